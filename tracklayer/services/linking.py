"""Which browsers and people come together: in an event, or in a call of ``identify``. Needs no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tracklayer.db.identities import Link, link_record
from tracklayer.domain import normalise
from tracklayer.domain.event import Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import browser_of, may_be_linked, pair_of


def digest_of(kind: str, value: Matchable) -> str | None:
    """SHA-256 of an email's or phone's usual form, hex; the digest that was sent, where it came as one."""
    return value.email_sha256("basic") if kind == "email" else value.phone_sha256("digits", None)


def people_of(user_data: UserData) -> Iterator[str]:
    """The digests under which the person of an event may be known, in the order in which they are asked: of the email, of the
    phone, of further ones.
    """
    given = (("email", user_data.all_emails), ("phone", user_data.all_phones))
    first = [(kind, value) for kind, values in given for value in values[:1]]
    more = [(kind, value) for kind, values in given for value in values[1:]]
    for kind, value in (*first, *more):
        digest = digest_of(kind, value)
        if digest is not None:
            yield digest


def links_of(event: Event, at: datetime) -> list[Link]:
    """The browser and the people that an event brings together; none where consent was denied."""
    browser_id = browser_of(event.user_data)
    if browser_id is None or event.consent.ad_user_data == "denied":
        return []
    return [
        Link(browser_id, kind, digest, digests, at, pair) for kind, digest, digests, pair in _people(event, browser_id)
    ]


def link_records(event: Event, record: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """``links_of`` an event as it is stored with its ``record``: seen together when it happened."""
    browser_id = browser_of(event.user_data)
    if browser_id is None or event.consent.ad_user_data == "denied":
        return []
    at = min(event.occurred_at, now)
    return [
        link_record(record["merchant_id"], event.event_id, browser_id, kind, digest, digests, at, now, pair)
        for kind, digest, digests, pair in _people(event, browser_id, record["digests"])
    ]


def _people(
    event: Event, browser_id: str, kept: Mapping[str, Any] | None = None
) -> list[tuple[str, str, Mapping[str, str], str | None]]:
    """(kind, digest, digests, ``pair_of`` an email and the phone that came with it) of an email and a phone.

    ``kept``: digests by field that were made of it already, as ``persist.to_record`` has them.
    """
    user_data = event.user_data
    found: list[tuple[str, str, Mapping[str, str], str | None]] = []
    for kind, value in (("email", user_data.email), ("phone", user_data.phone)):
        if value is None:  # a further one does as well
            more = user_data.emails if kind == "email" else user_data.phones
            if not more:
                continue
            value = more[0]
        if not may_be_linked(browser_id, kind, value):
            continue
        digests = (kept or {}).get(kind) or _digests_of(kind, value)
        digest = digests.get("as_given") or digests.get("basic" if kind == "email" else "digits")
        if digest:
            found.append((kind, digest, digests, None))
    if len(found) == 2:
        kind, digest, digests, _ = found[0]
        found[0] = (kind, digest, digests, pair_of(digest, found[1][1]))
    return found


def _digests_of(kind: str, value: Matchable) -> Mapping[str, str]:
    """All digests that mappers ask for, by rule."""
    if value.plain is None:
        return value.digests
    if kind == "email":
        return normalise.email_digests(value.plain)
    return normalise.phone_digests(value.plain, frozenset(), value.country)
