"""How each identifier of ``user_data`` is written, so that a wrong one is named the moment it arrives.

A wrong identifier never costs a conversion: it is kept as sent, named in a warning, and the mappers of the
platforms that would refuse it leave it out. Only formats that their owners publish are checked; what is opaque to
everyone but its owner is checked for spaces alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from tracklayer.domain import normalise

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_META_COOKIE = re.compile(r"fb\.[0-2]\.[0-9]{13}\.[A-Za-z0-9_\-]+(\.(\S{2}|\S{8}))?")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# The everyday cases, ten times as fast as parsing them.
_EVERYDAY_IP = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}|(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}}")
_EVERYDAY_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?#]\S*)?")
_EVERYDAY_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,30}){1,4}")
_URL_BEGINNING = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?#]|\Z)")
_WEB_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)
_OPAQUE = re.compile(r"[!-~]{1,2048}")
_GA_CLIENT_ID = re.compile(r"[!-~]{1,255}")
_GA_SESSION_ID = re.compile(r"\d{1,19}")
_RDT_UUID = re.compile(rf"(\d+\.)?{_UUID}")
_MSCLKID = re.compile(r"(_uet)?[0-9a-fA-F-]{32,36}")
_BROWSER_ID = re.compile(r"[A-Za-z0-9._~-]{8,128}")

Check = Callable[[str], bool]


def is_meta_cookie(value: str) -> bool:
    """``fb.{0..2}.{milliseconds, 13 digits}.{id}``: Meta for Developers, "fbp and fbc parameters"."""
    return _META_COOKIE.fullmatch(value.strip()) is not None


def is_ip(value: str) -> bool:
    """An IPv4 or IPv6 address."""
    text = value.strip()
    if _EVERYDAY_IP.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_everyday_url(value: str) -> bool:
    """True for most URLs, of texts that are known to hold no control character; of others ask ``is_web_url``."""
    return value.isascii() and " " not in value and _URL_BEGINNING.match(value) is not None


def is_web_url(value: str) -> bool:
    """An absolute http or https URL without white space."""
    if _EVERYDAY_URL.fullmatch(value):
        return True
    if not _WEB_URL.fullmatch(value):
        return False
    try:
        return bool(urlsplit(value).hostname)
    except ValueError:
        return False


class Format(NamedTuple):
    """``is_everyday`` is the quick test that most values pass; only those that fail it are asked ``is_right``."""

    is_everyday: Callable[[str], object]
    is_right: Check
    what: str  # it must be


def _format(pattern: re.Pattern[str], what: str) -> Format:
    return Format(pattern.fullmatch, lambda value: pattern.fullmatch(value.strip()) is not None, what)


def _email(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.email(value) is not None


def _birth(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.date_of_birth(value) is not None


def _country(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.country(value) is not None


_OPAQUE_ID = _format(_OPAQUE, "must be given as it was found in the URL or cookie, without spaces")
_META = "must look like fb.1.1596403881668.1116446470: the third part is the creation time in milliseconds, 13 digits"
_EMAIL = "must be an address such as jane@example.com, or its SHA-256 as 64 hexadecimal digits"

# A phone needs to know the default countries: see ``event.py``.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "email": Format(_EVERYDAY_EMAIL.fullmatch, _email, _EMAIL),
        "date_of_birth": Format(_birth, _birth, "must be written YYYY-MM-DD"),
        "country": Format(_country, _country, "must be a two-letter ISO 3166-1 code such as US"),
        "client_ip": Format(_EVERYDAY_IP.fullmatch, is_ip, "must be an IPv4 or IPv6 address"),
        "browser_id": _format(_BROWSER_ID, "must be the value of TrackLayer's own cookie"),
        "fbp": _format(_META_COOKIE, _META),
        "fbc": _format(_META_COOKIE, _META.replace("1116446470", "IwAR2F4d...")),
        "fbclid": _OPAQUE_ID,
        "ttp": _OPAQUE_ID,
        "ttclid": _OPAQUE_ID,
        "gclid": _OPAQUE_ID,
        "gbraid": _OPAQUE_ID,
        "wbraid": _OPAQUE_ID,
        "ga_client_id": _format(_GA_CLIENT_ID, "must be the client id, such as 1234567890.1713877200"),
        "ga_session_id": _format(_GA_SESSION_ID, "must be digits only"),
        "epik": _OPAQUE_ID,
        "sc_click_id": _OPAQUE_ID,
        "sc_cookie1": _OPAQUE_ID,
        "li_fat_id": _OPAQUE_ID,
        "rdt_cid": _OPAQUE_ID,
        "rdt_uuid": _format(_RDT_UUID, "must be the value of the _rdt_uuid cookie: milliseconds, a dot, a UUID"),
        "msclkid": _format(_MSCLKID, "must be 32 hexadecimal digits, with or without hyphens"),
        "twclid": _OPAQUE_ID,
    }
)
