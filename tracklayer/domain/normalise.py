"""One named rule per kind of value: what a platform wants to see before it is hashed, or plain.

A rule takes what a merchant sent and returns the normalised text, or None where nothing usable is left. Which
platform follows which rule is that platform's own business; where the rule comes from stands beside it. The rules of
e-mail addresses and phones live in ``email_address.py`` and ``phone.py`` and are named here too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache

import pycountry

from tracklayer.domain.email_address import EMAIL_RULES as EMAIL_RULES
from tracklayer.domain.email_address import email as email
from tracklayer.domain.email_address import email_alphanumeric as email_alphanumeric
from tracklayer.domain.email_address import email_digests as email_digests
from tracklayer.domain.email_address import email_google as email_google
from tracklayer.domain.email_address import email_without_alias as email_without_alias
from tracklayer.domain.phone import PHONE_RULES as PHONE_RULES
from tracklayer.domain.phone import phone_digests as phone_digests
from tracklayer.domain.phone import phone_digits as phone_digits
from tracklayer.domain.phone import phone_e164 as phone_e164
from tracklayer.domain.sha256 import sha256_hex as sha256_hex

Rule = Callable[[str], str | None]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_OTHER_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}")  # MD5 and SHA-1: no platform takes them
_ZIP_PLUS_4 = re.compile(r"\d{5}-\d{4}")
_US_ZIP = re.compile(r"(\d{5})(-?\d{4})?")
_ISO_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_SLASH_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


def is_sha256(value: str) -> bool:
    """True for 64 hexadecimal digits in any case: a value its sender hashed already."""
    return len(value) >= 64 and _SHA256.fullmatch(value.strip()) is not None


def hashed(value: str | None, rule: Rule) -> str | None:
    """The digest of ``rule(value)``; what is a digest already is lower-cased and never hashed again."""
    if value is None:
        return None
    if is_sha256(value):
        return value.strip().lower()
    normal = rule(value)
    return sha256_hex(normal) if normal else None


@lru_cache(maxsize=8192)
def hashed_once(value: str, rule: Rule) -> str | None:
    """As ``hashed``, and remembered: for what many people share, such as cities. ``rule`` is the same function each time."""
    return hashed(value, rule)


# Digests that fit each platform ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matchable:
    """An email or phone as the pipeline carries it: ``plain``, or ``digests`` of it by rule name.

    ``digests`` made at ingest hold the ``basic`` rule and those of the others that differ from it; a phone read in a
    default country is kept under ``rule:COUNTRY``. ``as_given`` is a digest its sender made: it serves every rule.
    """

    plain: str | None = field(default=None, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, value: str) -> Matchable:
        if is_sha256(value):
            return cls(None, {"as_given": value.strip().lower()})
        return cls(value, {})

    def email_sha256(self, rule: str) -> str | None:
        if self.plain is not None:
            return hashed(self.plain, EMAIL_RULES[rule])
        digests = self.digests
        return digests.get("as_given") or digests.get(rule, digests.get("basic")) or None

    def phone_sha256(self, rule: str, default_country: str | None) -> str | None:
        if self.plain is not None:
            return hashed(self.plain, lambda value: PHONE_RULES[rule](value, default_country))
        digests = self.digests
        return digests.get("as_given") or digests.get(rule) or digests.get(f"{rule}:{default_country}")


# People and places -------------------------------------------------------------------------------------------------


def lower_trimmed(value: str) -> str | None:
    """Outer spaces off, lower case."""
    return value.strip().lower() or None


def trimmed(value: str) -> str | None:
    """Outer spaces off, case kept."""
    return value.strip() or None


def name(value: str) -> str | None:
    """Lower case; no punctuation, symbols, digits or spaces; letters of every script stay, accents kept."""
    return _only("LM", value)


def city(value: str) -> str | None:
    """Lower case; no punctuation, digits or spaces; letters of every script stay, accents kept."""
    return _only("LM", value)


def state(value: str, country_code: str | None = None) -> str | None:
    """Lower case, no punctuation or spaces; in the US a state's full name becomes its two-letter code."""
    text = _only("LMN", value)
    if text and (country_code or "").strip().upper() == "US":
        return _us_states().get(text, text)
    return text


def zip_code(value: str, country_code: str | None = None) -> str | None:
    """Lower case, no spaces or dashes; a US code keeps its first five digits."""
    text = value.strip().lower()
    us = _US_ZIP.fullmatch(text)
    if us and ((country_code or "").strip().upper() == "US" or _ZIP_PLUS_4.fullmatch(text)):
        return us[1]
    return _only("LMN", text)


def country(value: str) -> str | None:
    """ISO 3166-1 alpha-2, lower case; None for anything that is not an assigned code."""
    text = value.strip().lower()
    return text if text in _countries() else None


@lru_cache(maxsize=512)
def state_in(country_code: str | None) -> Rule:
    """``state`` of one country, the same function each time."""
    return lambda value: state(value, country_code)


@lru_cache(maxsize=512)
def zip_code_in(country_code: str | None) -> Rule:
    """``zip_code`` of one country, the same function each time."""
    return lambda value: zip_code(value, country_code)


def gender(value: str) -> str | None:
    """``f`` or ``m``; anything else is None."""
    text = value.strip().lower()
    return text if text in ("f", "m") else None


def date_of_birth(value: str) -> date | None:
    """From ``YYYY-MM-DD`` or ``YYYYMMDD``; slashes only where one number is above 12, so that it reads one way."""
    text = value.strip()
    if iso := _ISO_DATE.fullmatch(text):
        year, month, day = int(iso[1]), int(iso[2]), int(iso[3])
    elif slashes := _SLASH_DATE.fullmatch(text):
        first, second, year = int(slashes[1]), int(slashes[2]), int(slashes[3])
        if first <= 12 and second <= 12 and first != second:
            return None
        month, day = (second, first) if first > 12 else (first, second)
    else:
        return None
    try:
        # Nobody alive was born before 1900: 0001-01-01 is a program's way to say nothing.
        return date(year, month, day) if year >= 1900 else None
    except ValueError:
        return None


def date_of_birth_digits(value: str) -> str | None:
    """``YYYYMMDD``."""
    born = date_of_birth(value)
    return born.isoformat().replace("-", "") if born else None


def is_foreign_digest(value: str) -> bool:
    """True for MD5 and SHA-1 hex: hashed by a method that no platform takes."""
    return _OTHER_DIGEST.fullmatch(value.strip().lower()) is not None


def _only(categories: str, value: str) -> str | None:
    text = value.strip().lower()
    if text.isascii():
        return (text if text.isalpha() else text.translate(_OTHERS_IN_ASCII[categories])) or None
    # One letter has two spellings in Unicode, é and e with an accent: only the composed one is what others hash.
    text = unicodedata.normalize("NFC", text)
    if text.isalpha():
        return text
    return "".join(c for c in text if unicodedata.category(c)[0] in categories) or None


_OTHERS_IN_ASCII = {
    categories: {code: None for code in range(128) if unicodedata.category(chr(code))[0] not in categories}
    for categories in ("LM", "LMN")
}


@cache
def _countries() -> frozenset[str]:
    return frozenset(found.alpha_2.lower() for found in pycountry.countries)


@cache
def currencies() -> frozenset[str]:
    """ISO 4217 codes in upper case."""
    return frozenset(found.alpha_3 for found in pycountry.currencies)


@cache
def _us_states() -> dict[str, str]:
    found = [area for area in pycountry.subdivisions if area.country_code == "US"]
    return {_only("LMN", area.name) or "": area.code.removeprefix("US-").lower() for area in found}
