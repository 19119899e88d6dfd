"""Makes deliveries for stored events that have none on a platform: a destination was added, or takes more, since they came.
At once, or page by page in the background. Or tells beforehand what that would do.

A page is read in one transaction, mapped in none, and written in another: its deliveries, the place behind it and the counts.
So a kill at any point neither skips an event nor takes it twice, and whatever runs at once, an event gets one delivery.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.db import deliveries as db
from tracklayer.db import destinations as db_destinations
from tracklayer.db import event_search
from tracklayer.db import events as db_events
from tracklayer.db import queues as db_queues
from tracklayer.db import redeliveries as db_redeliveries
from tracklayer.db.connection import LONG_SECONDS, ReadTimeoutError, bounded_read, in_transaction, statements_within
from tracklayer.db.counters import Changes, filtered_in, minute_of
from tracklayer.db.event_search import EventSearch
from tracklayer.db.events import EventRow
from tracklayer.db.models import DestinationRow
from tracklayer.db.redeliveries import RedeliveryRow, StoredEvents
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.problem import Problem
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.credentials import settings_to_map
from tracklayer.services.destinations import NOT_FOUND
from tracklayer.services.fold import hours_end
from tracklayer.services.ingest import Wake
from tracklayer.services.pacing import APART, LOOK_SECONDS, PAGE, Redelivered, book, so_far, tell_end
from tracklayer.services.refusals import (
    FILTERED,
    HAS_ONE,
    INTERNAL,
    PURGED,
    REMOVED,
    SEALED,
    TOO_OLD,
    is_taken,
    why_not_sent,
)
from tracklayer.services.stitch import decisions
from tracklayer.turns import STEP

LEASE = timedelta(seconds=20)  # of a page that is being mapped: a job whose worker is lost goes on after that
WRITERS_SECONDS = 5.0  # for events that were on their way into the database when this was asked for
JUST_NOW = timedelta(minutes=5)  # what arrived then is counted as arrived there already


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest received first; ``there``: which have a delivery on the platform; ``row``: its destination."""

    events: list[EventRow]
    has_more: bool
    there: set[str]
    row: DestinationRow | None


def deliver_stored(
    runtime: Runtime, merchant_id: int, platform: str, search: EventSearch
) -> Redelivered | list[Problem]:
    """Queues a delivery for each event that ``search`` finds and that has none on the platform; safe to call twice.

    What the platform would refuse is refused here: as it is mapped for the time when it would be sent. ``matched`` are
    events, ``requeued`` deliveries made. Raises ReadTimeoutError for a search that takes too long: then nothing was done.
    """
    let_writers_end()
    with bounded_read():
        page = _read(merchant_id, platform, search)
    if page.row is None:
        return [NOT_FOUND]
    result = Redelivered(complete=not page.has_more)
    now = runtime.clock.now()
    due, booked = _judge(runtime, page, now if page.has_more else None, now, result)
    with in_transaction():
        if page.has_more:
            result.job = db_redeliveries.insert_stored(merchant_id, StoredEvents(platform, search), now)
            result.job.booked[platform] = booked
            result.job.stored = StoredEvents(platform, _behind(search, page))
        _insert(runtime, merchant_id, platform, due, now, result)
        book(result, now)
    return result


def count_stored(
    runtime: Runtime, merchant_id: int, platform: str, search: EventSearch, seconds: float = LOOK_SECONDS
) -> Redelivered | list[Problem]:
    """What ``deliver_stored`` would do, without doing it. Newest first, where ``seconds`` do not suffice for all."""
    now, ends = runtime.clock.now(), time.monotonic() + seconds
    result = Redelivered()
    booked: datetime | None = None
    try:
        while True:
            with bounded_read():
                page = _read(merchant_id, platform, search)
            if page.row is None:
                return [NOT_FOUND]
            if page.has_more:
                booked = booked or now
            due, until = _judge(runtime, page, booked, now, result)
            booked = until if booked is not None else None
            result.requeued += len(due)
            if not page.has_more:
                return result
            search = _behind(search, page)
            if time.monotonic() > ends:
                break
    except ReadTimeoutError:
        pass
    result.complete = False
    return result


def begin_stored(job: RedeliveryRow, now: datetime) -> Page:
    """The next page of a job that this transaction holds. For a while nobody else takes it up."""
    assert job.stored is not None
    page = _read(job.merchant_id, job.stored.platform, job.stored.search)
    db_redeliveries.postpone(job.merchant_id, job.redelivery_id, now + LEASE)
    return page


def continue_stored(runtime: Runtime, job: RedeliveryRow, page: Page) -> set[Wake]:
    """Does a page that ``begin_stored`` gave, unless somebody else has done it since; whom to wake."""
    assert job.stored is not None
    platform, now = job.stored.platform, runtime.clock.now()
    result = so_far(job)
    due, booked = _judge(runtime, page, job.booked.get(platform, now), now, result)
    with in_transaction(), statements_within(LONG_SECONDS):
        if not db_redeliveries.hold_unchanged(job):
            return set()
        job.booked[platform] = booked
        job.stored = StoredEvents(platform, _behind(job.stored.search, page))
        _insert(runtime, job.merchant_id, platform, due, now, result)
        book(result, now)
        if not page.has_more:
            job.finished_at = now
            db_redeliveries.save_redelivery(job)
            tell_end(job, now)
    return result.wake


def let_writers_end() -> None:
    """An event whose transaction began before the destination was there is not routed to it, and is seen when it ends."""
    ends = time.monotonic() + WRITERS_SECONDS
    with in_transaction():
        before = db_events.writers()
    while before and time.monotonic() < ends:
        time.sleep(0.01)
        with in_transaction():
            before &= db_events.writers()


def _read(merchant_id: int, platform: str, search: EventSearch) -> Page:
    found = event_search.page_of_events(merchant_id, search, PAGE + 1)
    events = found[:PAGE]
    there = db.with_delivery(merchant_id, platform, [event.event_id for event in events])
    return Page(events, len(found) > PAGE, there, db_destinations.destination(merchant_id, platform))


def _behind(search: EventSearch, page: Page) -> EventSearch:
    if not page.events:
        return search
    last = page.events[-1]
    return replace(search, after=(last.received_at, last.event_id))


def _judge(
    runtime: Runtime, page: Page, booked: datetime | None, now: datetime, result: Redelivered
) -> tuple[dict[str, datetime], datetime]:
    """(event id -> when it is due, of those that may be sent; until when the destination is busy). Refuses the others.

    ``booked``: from when on it has nothing to do; None: all is due now.
    """
    result.matched += len(page.events)
    row = page.row
    mapper = mapper_for(row.platform) if row is not None else None
    settings = settings_to_map(runtime.sealer, row) if row is not None else {}
    added = decisions(runtime, row.merchant_id, page.events) if row is not None else {}
    due: dict[str, datetime] = {}
    at = now if booked is None else max(now, booked)
    for number, event in enumerate(page.events):
        if number % STEP == 0:
            time.sleep(0)  # whoever else has something to do in this process goes first
        if event.event_id in page.there:
            result.refuse(HAS_ONE, event.event_id)
            continue
        if row is None or mapper is None:
            result.refuse(REMOVED, event.event_id)
            continue
        if not is_taken(row.event_names, event.event_name):
            result.refuse(FILTERED, event.event_id)
            continue
        why = why_not_sent(runtime, row, mapper, settings, event, at, added.get(event.event_id))
        if why is None or why[0] in (INTERNAL, SEALED):
            # As at ingest, a fault of ours waits for a mended version, or the key it was sealed with, and is dropped aloud.
            due[event.event_id] = at
            if booked is not None:
                at += APART
        elif why[0] == DropReason.EVENT_TOO_OLD.name:
            result.refuse(TOO_OLD, event.event_id)
        else:
            result.refuse(why[0], event.event_id, why[1])
    return due, at


def _insert(
    runtime: Runtime, merchant_id: int, platform: str, due: Mapping[str, datetime], now: datetime, result: Redelivered
) -> None:
    """Makes the deliveries and counts them, in the caller's transaction: of the events that still have none."""
    if not due:
        return
    if db_destinations.lock_destination(merchant_id, platform) is None:
        for event_id in due:
            result.refuse(REMOVED, event_id)
        return
    db_queues.lock_queue(merchant_id, platform)
    inserted = db_queues.insert_stored(merchant_id, platform, due, now, runtime.settings.retry_window)
    left_out = [event_id for event_id in due if event_id not in inserted]
    there = db.with_delivery(merchant_id, platform, left_out) if left_out else set()
    for event_id in left_out:
        result.refuse(HAS_ONE if event_id in there else PURGED, event_id)
    if inserted:
        _count(merchant_id, platform, inserted, now)
        result.requeued += len(inserted)
        result.wake.add((merchant_id, platform))


def _count(merchant_id: int, platform: str, inserted: Mapping[str, datetime], now: datetime) -> None:
    """Under the queue's lock, so that no two take the same out of what was filtered.

    An event without a delivery was filtered by its name, or not offered at all. The ledger knows of the first how many
    they were in each of its minutes, or hours: as many now count as routed, and the others as offered and routed.
    """
    kept_by_hour = hours_end(now) + timedelta(hours=1)  # with some room for another process's clock
    routed: Counter[tuple[datetime, datetime]] = Counter()
    for received_at in inserted.values():
        start, length = minute_of(received_at), timedelta(minutes=1)
        if start < kept_by_hour:
            start, length = start.replace(minute=0), timedelta(hours=1)
        routed[start, start + length] += 1
    filtered = filtered_in(merchant_id, platform, list(routed))
    changes = Changes()
    for (start, _), count in routed.items():
        taken = min(count, max(0, filtered.get(start, 0)))
        changes.add(merchant_id, platform, start, accepted=count - taken, filtered=-taken, routed=count, waiting=count)
    late = sum(received_at < now - JUST_NOW for received_at in inserted.values())
    changes.add(merchant_id, platform, now, requeued=late)
    changes.write()
