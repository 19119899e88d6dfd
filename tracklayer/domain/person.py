"""By what a stored event, and a request about somebody, are known to be of one person: texts that are compared, no more.

A *token* is ``kind:value``. An event has some and a request has some; the event is of that person where both have one. Of
email and phone the values are SHA-256, as they are stored:

- ``email``: of an address whose spelling was known, in the usual form, and for Gmail without dots and +tag. Forms of other
  platforms are left out: on any other domain ``j.doe`` and ``jdoe`` may be two people.
- ``email_given``: of a digest that the merchant made, by whichever rule: it is compared with every form.
- ``phone``: in every form and country in which it was read.
- ``external_id``, ``browser_id``: as sent; an external id also as its SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.normalise import digest_in, sha256_hex

_STRICT = ("basic", "google")


def tokens_of_event(
    user_data: Mapping[str, Any], digests: Mapping[str, Any] | None, countries: frozenset[str]
) -> set[str]:
    """Of an event as it is stored. ``countries``: in which phones without a country code are read."""
    found: set[str] = set()
    digests = digests or {}
    country = normalise.country(user_data["country"]) if user_data.get("country") else None
    own = country.upper() if country else None
    for kind, read in (("email", _stored_email), ("phone", _stored_phone)):
        if shown := user_data.get(kind):
            found |= read(shown, digests.get(kind), countries, own)
        more = user_data.get(f"{kind}s") or ()
        kept = digests.get(f"{kind}s") or [None] * len(more)
        for shown, one in zip(more, kept, strict=False):
            found |= read(shown, one, countries, own)
    if external_id := user_data.get("external_id"):
        found |= _external(external_id)
    if browser_id := user_data.get("browser_id"):
        found.add(f"browser_id:{browser_id}")
    return found


def tokens_of_added(fields: Iterable[Mapping[str, Any]]) -> set[str]:
    """Of what stitching added to an event: ``[{field, value}]``, the value of an email or phone its digests by rule."""
    found: set[str] = set()
    for one in fields:
        if one["field"] in ("email", "phone") and isinstance(one["value"], Mapping):
            read = _stored_email if one["field"] == "email" else _stored_phone
            value = one["value"]
            given = value.get("as_given")
            found |= read(given or "", None if given else value, frozenset(), None)
    return found


def names_somebody(tokens: Iterable[str]) -> bool:
    """Whether they say who it was, and not only with which browser."""
    return any(not token.startswith("browser_id:") for token in tokens)


def _stored_email(
    shown: str, found: Mapping[str, str] | None, countries: frozenset[str] = frozenset(), own: str | None = None
) -> set[str]:
    if found is None:
        digest = digest_in(shown)
        if digest is not None:
            return {f"email_given:{digest}"}
        found = normalise.email_digests(shown)
    if not found:  # no address: the digest of its text is all that is known of it
        return {f"email:{digest_in(shown) or _of_text(shown)}"}
    return {f"email:{found[rule]}" for rule in _STRICT if found.get(rule)}


def _stored_phone(shown: str, found: Mapping[str, str] | None, countries: frozenset[str], own: str | None) -> set[str]:
    if found is None:
        digest = digest_in(shown)
        if digest is not None:
            return {f"phone:{digest}"}
        found = normalise.phone_digests(shown, countries, own)
    if not found:
        return {f"phone:{digest_in(shown) or _of_text(shown)}"}
    return {f"phone:{digest}" for digest in found.values() if digest}


def tokens_of_email(value: str) -> set[str]:
    """Of an address, or a SHA-256 of one in its usual form."""
    digest = digest_in(value)
    if digest is not None:
        return {f"email:{digest}", f"email_given:{digest}"}
    found = normalise.email_digests(value)
    return _stored_email(value, found) | {f"email_given:{digest}" for digest in found.values() if digest}


def tokens_of_phone(value: str, countries: frozenset[str]) -> set[str]:
    """Of a number, or a SHA-256 of one."""
    return _stored_phone(value, None, countries, None)


def tokens_of_external_id(value: str) -> set[str]:
    return _external(value)


def _external(value: str) -> set[str]:
    text = value.strip()
    digest = digest_in(text)
    return {f"external_id:{digest}"} if digest else {f"external_id:{text}", f"external_id:{sha256_hex(text)}"}


def _of_text(shown: str) -> str:
    return sha256_hex(shown.strip().lower())
