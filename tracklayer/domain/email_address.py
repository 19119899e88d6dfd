"""E-mail addresses: how each platform wants them before they are hashed, and the digests made of one at ingest.

A rule takes what a merchant sent and returns the normalised text, or None where it is no address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tracklayer.domain.sha256 import sha256_hex

_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]]+@[^@\s.<>,;:\"()\[\]]+(\.[^@\s.<>,;:\"()\[\]]+)+")
_SIGNS = re.compile(r"[\W_]+")  # all that is no letter and no digit of any script
_WHITESPACE = re.compile(r"\s+")


def email(value: str) -> str | None:
    """No whitespace, lower case; dots and +tag stay. Meta, TikTok, Pinterest, Snapchat, LinkedIn, X."""
    text = value.lower()
    if len(text) <= 254 and _EMAIL.fullmatch(text):  # which holds no whitespace
        return text
    text = _WHITESPACE.sub("", value).lower()
    return text if len(text) <= 254 and _EMAIL.fullmatch(text) else None


def email_google(value: str) -> str | None:
    """``email``, and for gmail.com and googlemail.com without dots and +tag. Google Ads, GA4."""
    text = email(value)
    return text if text is None or not text.endswith(_GOOGLES) else _without_alias(text)


def email_without_alias(value: str) -> str | None:
    """``email``, and on every domain without dots and +tag before the @. Microsoft Advertising."""
    return _without_alias(email(value) or "")


def email_alphanumeric(value: str) -> str | None:
    """``email``, and on every domain only letters and digits before the @ or the +tag. Reddit."""
    return _alphanumeric(email(value) or "")


_GOOGLES = ("@gmail.com", "@googlemail.com")


def _without_alias(basic: str) -> str | None:
    local, _, domain = basic.partition("@")
    return _address(_bare(local), domain)


def _alphanumeric(basic: str) -> str | None:
    local, _, domain = basic.partition("@")
    return _address(_letters_and_digits(_bare(local)), domain)


def _bare(local: str) -> str:
    return local.partition("+")[0].replace(".", "")


def _letters_and_digits(text: str) -> str:
    return text if text.isalnum() else _SIGNS.sub("", text)


def _address(local: str, domain: str) -> str | None:
    return f"{local}@{domain}" if local and domain else None


EMAIL_RULES: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {
        "basic": email,
        "google": email_google,
        "without_alias": email_without_alias,
        "alphanumeric": email_alphanumeric,
    }
)


def email_digests(value: str) -> dict[str, str]:
    """Every digest some platform needs of a plain address, by rule name; "" where a rule leaves nothing of it.

    Rules that agree with ``basic`` are left out; no entry at all: it is no address.
    """
    basic = email(value)
    if basic is None:
        return {}
    digests = {"basic": sha256_hex(basic)}
    local, _, domain = basic.partition("@")
    if local.isalnum():
        return digests  # neither dot nor tag nor sign: every rule leaves it as it is
    bare = _bare(local)
    of_bare = sha256_hex(f"{bare}@{domain}") if bare else ""
    if bare != local:
        if basic.endswith(_GOOGLES):
            digests["google"] = of_bare
        digests["without_alias"] = of_bare
    alphanumeric = _letters_and_digits(bare)
    if alphanumeric != local:
        same = alphanumeric == bare
        digests["alphanumeric"] = of_bare if same else sha256_hex(f"{alphanumeric}@{domain}") if alphanumeric else ""
    return digests
