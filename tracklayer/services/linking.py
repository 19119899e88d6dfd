"""Which browsers and people come together: in an event, or in a call of ``identify``. Needs no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
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


def links_of(event: Event, at: datetime, kept: Mapping[str, Any] | None = None) -> list[Link]:
    """The browser and the people that an event brings together; none where consent was denied.

    ``kept``: digests by field that were made of it already, as ``persist.to_record`` has them.
    """
    user_data = event.user_data
    browser_id = browser_of(user_data)
    if browser_id is None or event.consent.ad_user_data == "denied":
        return []
    found = []
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
            found.append(Link(browser_id, kind, digest, digests, at))
    if len(found) == 2:
        email, phone = found
        return [replace(email, pair=pair_of(email.digest, phone.digest)), phone]
    return found


def link_records(event: Event, record: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """``links_of`` an event as it is stored with its ``record``: seen together when it happened."""
    at = min(event.occurred_at, now)
    merchant_id, event_id = record["merchant_id"], event.event_id
    return [link_record(link, merchant_id, event_id, now) for link in links_of(event, at, record["digests"])]


def _digests_of(kind: str, value: Matchable) -> Mapping[str, str]:
    """All digests that mappers ask for, by rule."""
    if value.plain is None:
        return value.digests
    if kind == "email":
        return normalise.email_digests(value.plain)
    return normalise.phone_digests(value.plain, frozenset(), value.country)
