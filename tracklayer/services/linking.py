"""Which browsers and people come together: in an event, or in a call of ``identify``. Needs no database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tracklayer.db.identities import Link, link_record
from tracklayer.domain import normalise
from tracklayer.domain.event import Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import may_be_linked


def digest_of(kind: str, value: Matchable) -> str | None:
    """SHA-256 of an email's or phone's usual form, hex; the digest that was sent, where it came as one."""
    return value.email_sha256("basic") if kind == "email" else value.phone_sha256("digits", None)


def person_of(user_data: UserData) -> str | None:
    """The digest under which the person of an event is known: of the email, else of the phone, in the usual form."""
    for kind, values in (("email", user_data.all_emails[:1]), ("phone", user_data.all_phones[:1])):
        for value in values:
            found = digest_of(kind, value)
            if found is not None:
                return found
    return None


def links_of(event: Event, at: datetime, kept: Mapping[str, Any] | None = None) -> list[Link]:
    """The browser and the people that an event brings together; none where consent was denied.

    ``kept``: digests by field that were made of it already, as ``persist.to_record`` has them.
    """
    user_data = event.user_data
    browser_id = user_data.browser_id
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
