"""By what a stored event, and a request about somebody, are known to be of one person: texts that are compared, no more.

A *token* is ``kind:value``. An event has some and a request has some; the event is of that person where both have one. Of
email and phone the values are SHA-256, as they are stored:

- ``email``: of an address whose spelling was known, in the usual form, and for Gmail without dots and +tag, on both of its
  domains, and with its letters composed and decomposed, and its host as people write it and as DNS does. Forms of other
  platforms are left out: on any other domain ``j.doe`` and ``jdoe`` may be two people.
- ``email_given``: of a digest that the merchant made: it is compared with the same forms, and for the same reason no others.
- ``phone``: of a number that reads in one way. ``phone_maybe``: in each way, where the countries in which it is read make
  different numbers of it: whose it is cannot be told. So it cannot of a number that was kept in plain without its country code:
  it went out as a country says, and that may be another one by now. ``phone_end``: of a request, each end of its number that
  may stand so in an event.
- ``external_id``, ``browser_id``: as sent, without blanks around it; an external id also as its SHA-256. An email or a phone that
  a sender took for the external id counts as one, and so does the SHA-256 of one.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tracklayer.domain import normalise
from tracklayer.domain.contact import contacts_within, holds_contact
from tracklayer.domain.email_address import OTHER_SPELLINGS, email_as_before, other_spellings
from tracklayer.domain.identifiers import unescaped_email
from tracklayer.domain.normalise import digest_in, sha256_hex
from tracklayer.domain.text import decimal_digits, without_invisible

# By which of the digests that are kept of an email or phone it is told whose it is: where an event has it, and where a browser
# is linked with it. ``db.personal_data`` finds links by all of these: each but those that a link is kept under has an index.
TELLING: Mapping[str, tuple[str, ...]] = {"email": ("basic", "google", *OTHER_SPELLINGS), "phone": ("digits", "e164")}
KEPT_UNDER = ("basic", "digits")  # that a link is kept under; one that the merchant made, under that
_GMAIL = ("gmail.com", "googlemail.com")  # two names of the same mailboxes
_FEWEST_DIGITS = 6  # of a text that may be somebody's number
_MOST_DIGITS = 15  # of a number with its country code: E.164
_END = "phone_end:"
_AROUND_AT = re.compile(r"\s{0,3}[@\uff20\ufe6b]\s{0,3}")  # blanks there are no part of an address
_TRUNK = ("8", "06", "1")  # what is dialled before a number within a country, and is no part of it; zeros besides


def tokens_of_event(
    user_data: Mapping[str, Any], digests: Mapping[str, Any] | None, countries: frozenset[str]
) -> set[str]:
    """Of an event as it is stored. ``countries``: in which phones without a country code are read."""
    found: set[str] = set()
    digests = digests or {}
    own = country_of(user_data)
    for kind, read in (("email", _stored_email), ("phone", _stored_phone)):
        if shown := user_data.get(kind):
            found |= read(shown, digests.get(kind), countries, own)
        more = user_data.get(f"{kind}s") or ()
        kept = digests.get(f"{kind}s") or [None] * len(more)
        for shown, one in zip(more, kept, strict=False):
            found |= read(shown, one, countries, own)
    if external_id := user_data.get("external_id"):
        found |= _external(external_id) | _contacts_in(external_id)
    if browser_id := browser_of(user_data):
        found.add(of_browser(browser_id))
    return found


def country_of(user_data: Mapping[str, Any]) -> str | None:
    """The country that a stored event's person gives, as ``normalise.own_country`` reads it."""
    return normalise.own_country(user_data.get("country"))


def browser_of(user_data: Mapping[str, Any]) -> str | None:
    """The browser that a stored event names."""
    return (user_data.get("browser_id") or "").strip() or None


def of_browser(browser_id: str) -> str:
    """The token of a browser."""
    return f"browser_id:{browser_id.strip()}"


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


def shown_browser(merchant_id: int, browser_id: str) -> str:
    """As whoever may not send sees a browser's id: two that are the same look the same. It is of no browser's form itself."""
    return f"sha256:{sha256_hex(f'{merchant_id}/{browser_id.strip()}')[:16]}"


def names_of(tokens: Iterable[str]) -> set[str]:
    """Those that say who it was, and not only with which browser, or who it may have been."""
    return {token for token in tokens if not token.startswith(("browser_id:", _END))}


def ends_of(tokens: Iterable[str]) -> set[str]:
    """Those that say only who it may have been."""
    return {token for token in tokens if token.startswith(_END)}


def browsers_of(tokens: Iterable[str]) -> set[str]:
    """The browsers that are among them."""
    return {token.partition(":")[2] for token in tokens if token.startswith("browser_id:")}


def to_leave_alone(tokens: Iterable[str]) -> set[str]:
    """By which of an event's tokens it is of somebody who is to be left alone: a browser speaks for whom nothing else names."""
    found = set(tokens)
    return names_of(found) or found


def maybe(tokens: Iterable[str]) -> set[str]:
    """What an event has that may be of somebody with these tokens, or of somebody else."""
    kinds = ("phone:", _END)
    return {f"phone_maybe:{token.partition(':')[2]}" for token in tokens if token.startswith(kinds)}


def people_of_event(
    user_data: Mapping[str, Any], digests: Mapping[str, Any] | None, countries: frozenset[str]
) -> list[tuple[str, str, set[str]]]:
    """(email or phone, the digest under which a browser is linked with it, its tokens), of all that a stored event has."""
    people, own = [], country_of(user_data)
    for kind, form in (("email", "basic"), ("phone", "digits")):
        more = user_data.get(f"{kind}s") or ()
        kept = (digests or {}).get(f"{kind}s") or [None] * len(more)
        for shown, found in [
            (user_data.get(kind), (digests or {}).get(kind)),
            *zip(more, kept, strict=False),
        ]:
            if shown:
                one = {kind: shown, "country": user_data.get("country")}
                tokens = tokens_of_event(one, {kind: found} if found is not None else None, countries)
                if found is None:
                    is_email = kind == "email"
                    found = (
                        normalise.email_digests(shown) if is_email else normalise.phone_digests(shown, countries, own)
                    )
                people.append((kind, found.get(form) or digest_in(shown), tokens))
    return [(kind, digest, tokens) for kind, digest, tokens in people if digest]


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
    return {f"email:{found[rule]}" for rule in TELLING["email"] if found.get(rule)}


def _stored_phone(shown: str, found: Mapping[str, str] | None, countries: frozenset[str], own: str | None) -> set[str]:
    if found is None:
        digest = digest_in(shown)
        if digest is not None:
            return {f"phone:{digest}"}
        found = normalise.phone_digests_to_keep(shown, countries, own)
        at_home = {f"phone_maybe:{digest}" for digest in _at_home(shown, own)}
    else:
        at_home = set()  # of what is kept as digests these are what went out
    if not found:
        return at_home | {f"phone:{digest_in(shown) or _of_text(shown)}"}
    kind = "phone_maybe" if len(_numbers(found)) > 1 else "phone"
    # Each may be that of a country: ``digits:DE``.
    telling = {digest for rule, digest in found.items() if _rule(rule) in TELLING["phone"]}
    return at_home | {f"{kind}:{digest}" for digest in telling if digest}


def _at_home(shown: str, own: str | None) -> list[str]:
    """As which end of a whole number a plain one may be found that has no country code; none where it has one, or is read in the
    person's ``own`` country.
    """
    text = shown.strip()
    if text[:1] == "+" or (own is not None and normalise.phone_at_home(text, own)):
        return []
    digits = decimal_digits(text)
    ends = [digits.lstrip("0"), *(digits[len(one) :] for one in _TRUNK if digits.startswith(one))]
    return [_of_end(end) for end in ends if len(end) >= _FEWEST_DIGITS]


def _of_end(digits: str) -> str:
    return sha256_hex(f"end of a number: {digits}")


def _numbers(found: Mapping[str, str]) -> set[str]:
    """The digests of the different numbers that one text may be."""
    return {digest for rule, digest in found.items() if _rule(rule) == "digits" and digest}


def _rule(name: str) -> str:
    """``digits`` of ``digits:DE``, and of ``unsent_digits:DE``: by what was not sent somebody is found all the same."""
    return name.partition(":")[0].removeprefix(normalise.UNSENT)


def is_email(value: str) -> bool:
    """Whether somebody can be found by it: an address as ingest reads it, or as a version before did, or a SHA-256 of one."""
    return (
        normalise.is_sha256(value)
        or normalise.email(unescaped_email(value)) is not None
        or email_as_before(value) is not None
    )


def tokens_of_email(value: str) -> set[str]:
    """Of an address, or a SHA-256 of one in its usual form. An address is read as ingest reads it, and is looked for as versions
    before read it, too.
    """
    digests = _digests_of_email(value)
    return {f"{kind}:{digest}" for kind in ("email", "email_given") for digest in digests} | written_otherwise(
        email=value
    )


def of_mailbox(value: str) -> str | None:
    """A token that is the same for all spellings of an address, as ``stitching.Person.name``; None of a digest, whose address
    is not known.
    """
    if digest_in(value) is not None:
        return None
    value = unescaped_email(value)
    found = normalise.email_digests(value)
    basic = found.get("basic") or _of_text(value)
    return f"email:{found.get('gmail') or found.get('google') or min(basic, found.get('other_host') or basic)}"


def _digests_of_email(value: str) -> set[str]:
    digest = digest_in(value)
    if digest is not None:
        return {digest}
    # As a text, too: as versions stored it that took no address with a blank inside.
    return {_of_text(unescaped_email(value)), *map(sha256_hex, _every_spelling(value))}


def _every_spelling(value: str) -> set[str]:
    """In which an address is looked for: all that is made of one is made of each of these. None of what is no address.

    At Gmail as it was asked for, without its tag, and without dots too, on both domains; and of each with letters composed and
    decomposed, and the host as people write it and as DNS does, also where both are so.
    """
    basic = normalise.email(unescaped_email(value))
    if basic is None:
        return set()
    local, _, domain = basic.partition("@")
    found = {basic}
    if domain in _GMAIL:
        untagged = local.partition("+")[0]
        found |= {f"{one}@{host}" for one in (local, untagged, untagged.replace(".", "")) if one for host in _GMAIL}
    for spelling in tuple(found):
        for other in other_spellings(spelling).values():
            found |= {other, *other_spellings(other).values()}
    return found


def written_otherwise(
    email: str | None = None, phone: str | None = None, countries: frozenset[str] = frozenset()
) -> set[str]:
    """What an email or phone is known by that was sent as no platform takes it: it is kept as the text that it is.

    A digest with ``sha256:`` or ``0x`` before it, or in base64, for URLs or not, which others than hexadecimal digits are; an address
    with its part before the @ in quotes, or percent-encoded, or with the @ as HTML may have it, or written as it is asked for, where
    it is read otherwise today; MD5 and SHA-1 of an address. ``countries``: in which a phone without a country code is read.
    """
    found: set[str] = set()
    if email is not None:
        usual = _digests_of_email(email)
        texts = {text for digest in usual for text in _as_text(digest)}
        for spelling in _every_spelling(email):
            local, at, domain = spelling.rpartition("@")
            texts |= {f'"{local}"{at}{domain}', f"%22{local}%22{at}{domain}"}
            texts |= {spelling.replace("@", "%40"), quote(spelling, safe="")}
            texts |= {quote(local, safe="") + at + domain, spelling.replace("@", "&#64;")} - {spelling}
            texts |= {
                hashlib.new(name, spelling.encode(), usedforsecurity=False).hexdigest() for name in ("md5", "sha1")
            }
        if digest_in(email) is None:
            texts |= {email, email_as_before(email) or email}
        found |= {f"email:{one}" for one in set(map(_of_text, texts)) - usual}
    if phone is not None and (digest := digest_in(phone)) is not None:
        found |= {f"phone:{_of_text(text)}" for text in _as_text(digest)}
    elif phone is not None:
        digests = normalise.phone_digests(phone, countries)
        if not digests and (number := normalise.phone_e164(phone)) is not None:
            digests = normalise.phone_digests(number, frozenset())
        found |= {f"phone:{_of_text(text)}" for digest in digests.values() for text in _as_text(digest)}
    return found


def _as_text(digest: str) -> set[str]:
    in_base64 = {encode(bytes.fromhex(digest)).decode() for encode in (b64encode, urlsafe_b64encode)}
    return {f"sha256:{digest}", f"0x{digest}", *in_base64, *(text.rstrip("=") for text in in_base64)}


def tokens_of_phone(value: str, countries: frozenset[str]) -> set[str]:
    """Of a number, or a SHA-256 of one; of one that cannot be read, as its text was stored. Of a number in plain its ends, too."""
    if digest_in(value) is not None:
        return {f"phone:{digest_in(value)}"} | written_otherwise(phone=value)
    found = normalise.phone_digests(value, countries)
    tokens = _stored_phone(value, found, countries, None) | written_otherwise(phone=value, countries=countries)
    numbers = {normalise.phone_e164(value, country) for country in countries} | {normalise.phone_e164(value)}
    whole = {decimal_digits(number) for number in numbers if number} or {
        decimal_digits(value).lstrip("0")[-_MOST_DIGITS:]
    }
    return tokens | {
        f"{_END}{_of_end(digits[start:])}"
        for digits in whole
        for start in range(max(0, len(digits) - _FEWEST_DIGITS + 1))
    }


def is_phone(value: str, countries: frozenset[str]) -> bool:
    """Whether somebody can be found by it: a number that reads in one way, or a text that may be one in none."""
    found = normalise.phone_digests(value, countries)
    return len(_numbers(found)) == 1 or (not found and sum(map(str.isdecimal, value)) >= _FEWEST_DIGITS)


def tokens_of_external_id(value: str) -> set[str]:
    return _external(value)


def _external(value: str) -> set[str]:
    text = (value if value.isascii() else without_invisible(value)).strip()
    digest = digest_in(text)
    return {f"external_id:{digest}"} if digest else {f"external_id:{text}", f"external_id:{sha256_hex(text)}"}


def _contacts_in(external_id: str) -> set[str]:
    """Of the emails and phones of which a sender made an external id, in plain or as a digest."""
    digest = digest_in(external_id)
    if digest is not None:
        return {f"email_given:{digest}", f"phone:{digest}"}
    text = _AROUND_AT.sub("@", external_id) if "@" in external_id or not external_id.isascii() else external_id
    if not holds_contact(text):
        return set()
    emails, phones = contacts_within(text)
    found: set[str] = set()
    for email in {text, *emails}:
        if digests := normalise.email_digests(email):
            found |= _stored_email("", digests)
    for phone in phones:
        if digests := normalise.phone_digests(phone, frozenset()):
            found |= _stored_phone("", digests, frozenset(), None)
    return found


def _of_text(shown: str) -> str:
    return sha256_hex(shown.strip().lower())
