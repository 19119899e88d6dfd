"""What events get that their browser, or their person's, showed: decided once, before an event is first mapped.

The events' own rows never change. Every attempt, on any worker, and every redelivery maps the same event with the same
fields beside it, which are a row of ``enrichments``. But for one thing: what is of a browser that refused since is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from tracklayer.db import enrichments as db
from tracklayer.db import merchants as db_merchants
from tracklayer.db.connection import in_transaction
from tracklayer.db.enrichments import Decision, Wanted
from tracklayer.db.events import EventRow, EventToMap
from tracklayer.domain.event import Event
from tracklayer.domain.stitching import (
    MOST_EVENTS_A_DAY,
    Browser,
    Known,
    Stitched,
    browser_of,
    enriched,
    judge_event,
    names_somebody,
    without_refused,
)
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist
from tracklayer.services.alone import tell_fault
from tracklayer.services.linking import people_of

NOTHING = Stitched()


@dataclass(frozen=True, slots=True)
class Stitching:
    """``since``: events received from then on are stitched. ``retention``: how long a merchant keeps things."""

    since: datetime
    retention: timedelta


@dataclass(frozen=True, slots=True)
class ToStitch:
    """``was_tried``: a platform may have got it already."""

    row: EventRow | EventToMap
    received_at: datetime
    was_tried: bool = False


class HasStitching(Protocol):
    merchant_stitched_since: datetime | None
    merchant_retention_days: int


def stitching_in(row: HasStitching) -> Stitching | None:
    """As a destination that was read with its merchant has it; None: its events are not stitched."""
    if row.merchant_stitched_since is None:
        return None
    return Stitching(row.merchant_stitched_since, timedelta(days=row.merchant_retention_days))


def stitching_of(merchant_id: int) -> Stitching | None:
    """Whether and since when a merchant's events are stitched."""
    found = db_merchants.stitched_since(merchant_id)
    return Stitching(found[0], timedelta(days=found[1])) if found is not None else None


def stitched(
    runtime: Runtime, merchant_id: int, stitching: Stitching | None, events: Sequence[ToStitch], now: datetime
) -> dict[str, Event]:
    """The events of a merchant as mappers get them, by event id; empty where its events are not stitched.

    What was not decided before is decided now, and stored. An event that cannot be read is left to whoever reads it next, and
    tells why. Needs a session, and no transaction: what is decided is stored by one statement.
    """
    if stitching is None:
        return {}
    read = _read(runtime, stitching, events)
    found = _decide(runtime, merchant_id, stitching, read, now, store=True)
    return {event.event_id: enriched(event, found.get(event.event_id, NOTHING).fields) for event, _ in read}


def decisions(runtime: Runtime, merchant_id: int, found: Sequence[EventRow]) -> dict[str, Stitched]:
    """What stored events got, by event id; of those that were not mapped yet, what they would get now. Stores nothing.

    Events that are not stitched, or cannot be read, are missing.
    """
    with in_transaction():
        stitching = stitching_of(merchant_id)
        if stitching is None:
            return {}
        read = _read(runtime, stitching, [ToStitch(row, row.received_at) for row in found])
        return _decide(runtime, merchant_id, stitching, read, runtime.clock.now(), store=False)


def _read(runtime: Runtime, stitching: Stitching, events: Sequence[ToStitch]) -> list[tuple[Event, ToStitch]]:
    read = []
    for one in events:
        if one.received_at >= stitching.since:
            with suppress(SealError, ValueError, TypeError):
                read.append((persist.to_event(one.row, runtime.sealer), one))
    return read


def _decide(
    runtime: Runtime,
    merchant_id: int,
    stitching: Stitching,
    events: Sequence[tuple[Event, ToStitch]],
    now: datetime,
    *,
    store: bool,
) -> dict[str, Stitched]:
    """What each event gets, by event id: what was decided before, else what is decided now. Those without browser and person
    are missing: nothing can be known of them.
    """
    browsers, people, asked = dict[str, str | None](), dict[str, list[str]](), list[Wanted]()
    for event, _ in events:
        event_id, own = event.event_id, event.user_data
        browsers[event_id] = browser_id = browser_of(own)
        if browser_id is not None:
            # Of an event that names a browser, only whose it is, is noted.
            people[event_id] = list(islice(people_of(own), 1))
            asked.append(Wanted(event_id, browser_id, (), is_anonymous=not names_somebody(own)))
            continue
        people[event_id] = those = list(people_of(own))
        if those:
            asked.append(Wanted(event_id, None, those))
    if not asked:
        return {}
    known = db.look_up(merchant_id, asked, stitching.retention, now)
    left = {
        event_id: without_refused(known.decided[event_id], browsers[event_id], those)
        for event_id, those in known.refused.items()
    }
    if left and store:
        db.take_back(merchant_id, left)
    fresh = []
    known_name = runtime.counting.names.known
    for event, given in events:
        event_id, those = event.event_id, people[event.event_id]
        if event_id in known.decided or (browsers[event_id] is None and not those):
            continue
        # What a platform may have got without anything added stays so.
        is_tried = given.was_tried or event_id in known.tried
        found = NOTHING if is_tried else _judge(runtime, merchant_id, event, browsers[event_id], those, known)
        counted_as = known_name(merchant_id, event.event_name, int(given.received_at.timestamp() // 3600))
        fresh.append(Decision(event_id, found, those[0] if those else None, counted_as, given.received_at))
    decided: Mapping[str, Stitched] = {one.event_id: one.stitched for one in fresh}
    if fresh and store:
        decided = db.store_decisions(merchant_id, fresh, now)
    return {**known.decided, **left, **decided}


def _known(browser_id: str | None, people: Sequence[str], found: db.Found) -> Known:
    if browser_id is not None:
        return Known(found.browsers.get(browser_id))
    # By its email, and by its phone or another email where that was seen nowhere.
    person = next(
        (one for one in people if one in found.seen_with or found.events_today.get(one, 0) > MOST_EVENTS_A_DAY),
        people[0],
    )
    browsers = [found.browsers.get(one, Browser(one)) for one in found.seen_with.get(person, ())]
    return Known(None, browsers, person, found.events_today.get(person, 0), frozenset(people))


def _judge(
    runtime: Runtime, merchant_id: int, event: Event, browser_id: str | None, people: Sequence[str], found: db.Found
) -> Stitched:
    try:
        return judge_event(event, _known(browser_id, people, found), names_browser=browser_id is not None)
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        # A bug in a rule: the event goes as it came, its neighbours with what is theirs.
        tell_fault(runtime, "stitching an event", error, (merchant_id, event.event_id))
        return NOTHING
