"""What events get that their browser, or their person's, showed: decided once, before an event is first mapped.

The events' own rows never change. Every attempt, on any worker, and every redelivery maps the same event with the same
fields beside it, which are a row of ``enrichments``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from tracklayer.db import identities as db
from tracklayer.db.connection import rows
from tracklayer.db.events import EventRow, EventToMap
from tracklayer.db.identities import Decision, Link, Wanted
from tracklayer.domain import normalise
from tracklayer.domain.event import Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import Browser, Enriched, Known, enriched, stitch
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist

Fields = tuple[Enriched, ...]


def stitched_since(merchant_id: int) -> tuple[datetime, timedelta] | None:
    """(since when a merchant's events are stitched, how long it keeps things); None: they are not."""
    found = rows("SELECT stitched_since, retention_days FROM merchants WHERE merchant_id = %s", (merchant_id,))
    if not found or found[0][0] is None:
        return None
    return found[0][0], timedelta(days=found[0][1])


def person_of(user_data: UserData) -> str | None:
    """The digest under which the person of an event is known: of the email, else of the phone, in the usual form."""
    for kind, value in (("email", user_data.email), ("phone", user_data.phone)):
        found = digest_of(kind, value) if value is not None else None
        if found is not None:
            return found
    return None


def digest_of(kind: str, value: Matchable) -> str | None:
    """SHA-256 of an email's or phone's usual form, hex; the digest that was sent, where it came as one."""
    return value.email_sha256("basic") if kind == "email" else value.phone_sha256("digits", None)


def digests_of(kind: str, value: Matchable) -> dict[str, str]:
    """All digests that mappers ask for, by rule."""
    if value.plain is None:
        return dict(value.digests)
    found: Mapping[str, str] = (
        normalise.email_digests(value.plain)
        if kind == "email"
        else normalise.phone_digests(value.plain, frozenset(), value.country)
    )
    return dict(found)


def links_of(event: Event, at: datetime) -> list[Link]:
    """The browser and the people that an event brings together; none where consent was denied."""
    user_data = event.user_data
    if user_data.browser_id is None or event.consent.ad_user_data == "denied":
        return []
    found = []
    for kind, values in (("email", user_data.all_emails[:1]), ("phone", user_data.all_phones[:1])):
        for value in values:
            digest = digest_of(kind, value)
            if digest is not None:
                found.append(Link(user_data.browser_id, kind, digest, digests_of(kind, value), at))
    return found


def decide(
    merchant_id: int,
    retention: timedelta,
    events: Sequence[tuple[Event, datetime]],
    now: datetime,
    *,
    store: bool = True,
) -> dict[str, Fields]:
    """What each event gets, by event id: what was decided before, else what is decided now, and stored.

    ``events`` with when each was received. Needs a transaction where it stores.
    """
    wanted = {
        event.event_id: Wanted(
            event.event_id,
            event.user_data.browser_id,
            person_of(event.user_data) if event.user_data.browser_id is None else None,
        )
        for event, _ in events
    }
    asked = [one for one in wanted.values() if one.browser_id is not None or one.person is not None]
    if not asked:
        return {}
    found = db.look_up(merchant_id, asked, retention, now)
    fields: dict[str, Fields] = dict(found.decided)
    fresh = []
    for event, _ in events:
        one = wanted[event.event_id]
        if event.event_id in fields or (one.browser_id is None and one.person is None):
            continue
        known = Known(
            found.browsers.get(one.browser_id) if one.browser_id is not None else None,
            tuple(found.browsers.get(id, Browser(id)) for id in found.seen_with.get(one.person or "", ())),
            found.events_today.get(one.person or "", 0),
        )
        fields[event.event_id] = stitch(event, known)
        fresh.append(Decision(event.event_id, fields[event.event_id], one.person))
    if fresh and store:
        db.store_decisions(merchant_id, fresh, now)
        # Another worker may have been a moment ahead: then its word counts.
        fields |= db.decided(merchant_id, [one.event_id for one in fresh])
    return fields


def stitched(
    runtime: Runtime,
    merchant_id: int,
    rows: Sequence[tuple[EventRow | EventToMap, datetime]],
    now: datetime,
    *,
    store: bool,
) -> dict[str, Event]:
    """The events of a merchant as mappers get them, by event id; empty where its events are not stitched.

    ``rows`` with when each was received. An event that cannot be read is left to whoever reads it next, and tells why. Needs a
    transaction where it stores.
    """
    asked = stitched_since(merchant_id)
    if asked is None:
        return {}
    since, retention = asked
    read: list[tuple[Event, datetime]] = []
    for row, received_at in rows:
        if received_at >= since:
            with suppress(SealError, ValueError, TypeError):
                read.append((persist.to_event(row, runtime.sealer), received_at))
    fields = decide(merchant_id, retention, read, now, store=store)
    return {event.event_id: enriched(event, fields.get(event.event_id, ())) for event, _ in read}
