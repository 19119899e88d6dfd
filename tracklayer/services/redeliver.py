"""Starts a new series of attempts for deliveries that failed or were dropped: at once, or page by page in the background.

What is more than one page is done by whoever runs ``continue_redeliveries``. A page, the place behind it and the counts
are one transaction, so a kill at any point neither skips a delivery nor takes it twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tracklayer.db import deliveries as db
from tracklayer.db import destinations as db_destinations
from tracklayer.db import events as db_events
from tracklayer.db import redeliveries as db_redeliveries
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.counters import Changes
from tracklayer.db.deliveries import DeliveryRow, DeliverySearch
from tracklayer.db.events import EventRow
from tracklayer.db.models import DestinationRow
from tracklayer.db.redeliveries import Key, RedeliveryRow
from tracklayer.domain.delivery import DeliveryStatus
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import Wake

log = logging.getLogger(__name__)

PAGE = 1000  # deliveries of one transaction
APART = timedelta(milliseconds=1)  # from one delivery's due time to the next: a thousand a second and destination
AHEAD = timedelta(seconds=5)  # of its due times: what is queued too early would run out of its 24 hours waiting
BEHIND = timedelta(seconds=2)  # a destination that is so late gets no more to do: fresh events must not wait
LOOK_AGAIN = timedelta(seconds=1)
PATIENCE = timedelta(minutes=1)  # for a destination that is late: then one page is done all the same, so that all end
AFTER_ERROR = timedelta(minutes=1)
TURN_SECONDS = 0.8  # of one run: the next one begins a second after it


@dataclass
class Redelivered:
    """``refused``: reason -> how many. ``job``: does the rest; None where there is none."""

    matched: int = 0
    requeued: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wake: set[Wake] = field(default_factory=set)
    job: RedeliveryRow | None = None


def redeliver_ids(
    runtime: Runtime, merchant_id: int, keys: Sequence[Key], search: DeliverySearch, unknown: int = 0
) -> Redelivered:
    """Redelivers deliveries given as (event id, platform), as far as ``search`` admits them; ``unknown``: no such ids.

    Attempts and the 24 h window begin anew; event time, deduplication id and the log stay. Safe to call twice: what
    is queued already is refused.
    """
    now = runtime.clock.now()
    unique = list(dict.fromkeys(keys))
    pages = [unique[start : start + PAGE] for start in range(0, len(unique), PAGE)] or [[]]
    result = Redelivered(refused=Counter({"unknown id": unknown}))
    with in_transaction():
        if len(pages) > 1:
            result.job = db_redeliveries.insert_redelivery(merchant_id, search, True, now)
            db_redeliveries.insert_pages(result.job, pages[1:])
        found = _by_ids(merchant_id, pages[0], search, result)
        _requeue(runtime, merchant_id, found, now, result)
        _book(result, now)
    return result


def redeliver_matching(runtime: Runtime, merchant_id: int, search: DeliverySearch) -> Redelivered:
    """Redelivers all that ``search`` finds; where it names no status, what failed or was dropped."""
    now = runtime.clock.now()
    if not search.status:
        search = replace(search, status=(DeliveryStatus.FAILED, DeliveryStatus.DROPPED))
    result = Redelivered()
    with in_transaction():
        page = db.page_of_deliveries(merchant_id, search, PAGE + 1)
        if len(page) > PAGE:
            page = page[:PAGE]
            # What happens from now on, and be it that what is redelivered here is dropped again, is another story.
            search = replace(search, untouched_since=now)
            result.job = db_redeliveries.insert_redelivery(merchant_id, search, False, now)
            result.job.search = replace(search, after=_place(page))
        _requeue(runtime, merchant_id, page, now, result)
        _book(result, now)
    return result


def continue_redeliveries(runtime: Runtime) -> set[Wake]:
    """Does pages of those whose turn it is, for less than a second; whom to wake. Any number may run at once."""
    ends = time.monotonic() + TURN_SECONDS
    wake: set[Wake] = set()
    while time.monotonic() < ends:
        taken: tuple[int, int] | None = None
        try:
            with in_transaction():
                now = runtime.clock.now()
                taken = db_redeliveries.take_redelivery(now)
                job = db_redeliveries.redelivery_by_id(*taken) if taken is not None else None
                if job is None:
                    break
                wake |= _continue(runtime, job, now)
        except DatabaseAwayError:
            raise
        except Exception:
            if taken is None:
                raise
            # A bug that one of them meets must not keep the others from their turn.
            log.exception("redelivery %d of merchant %d", taken[1], taken[0])
            with in_transaction():
                db_redeliveries.postpone(*taken, runtime.clock.now() + AFTER_ERROR)
    return wake


def _continue(runtime: Runtime, job: RedeliveryRow, now: datetime) -> set[Wake]:
    """The next page of one that this transaction holds, unless its destinations are busy."""
    late = now - BEHIND
    if now - job.last_page_at < PATIENCE and db_redeliveries.is_any_behind(job.merchant_id, [*job.booked], late, now):
        db_redeliveries.postpone(job.merchant_id, job.redelivery_id, now + LOOK_AGAIN)
        return set()
    result = Redelivered(job.matched, job.requeued, Counter(job.refused), job=job)
    if job.by_ids:
        keys, more = db_redeliveries.take_page(job)
        page = _by_ids(job.merchant_id, keys, job.search, result)
    else:
        page = db.page_of_deliveries(job.merchant_id, job.search, PAGE)
        more = len(page) == PAGE
        if page:
            job.search = replace(job.search, after=_place(page))
    _requeue(runtime, job.merchant_id, page, now, result, job.requested_at)
    _book(result, now)
    if not more:
        job.finished_at = now
        db_redeliveries.save_redelivery(job)
    return result.wake


def _by_ids(merchant_id: int, keys: Sequence[Key], search: DeliverySearch, result: Redelivered) -> list[DeliveryRow]:
    found = db.deliveries_by_key(merchant_id, keys)
    result.refused["unknown id"] += len(keys) - len(found)
    return [row for row in found.values() if search.admits(row)]


def _place(page: Sequence[DeliveryRow]) -> tuple[datetime, str, str]:
    last = page[-1]
    return last.queued_at, last.event_id, last.platform


def _requeue(
    runtime: Runtime,
    merchant_id: int,
    page: Sequence[DeliveryRow],
    now: datetime,
    result: Redelivered,
    asked_at: datetime | None = None,
) -> None:
    """Queues what may be sent again, due one after another behind what this redelivery queued before.

    ``asked_at``: what was tried after that was not meant.
    """
    result.matched += len(page)
    events = db_events.events_by_id(merchant_id, list({row.event_id for row in page}))
    there = {row.platform: row for row in db_destinations.destinations(merchant_id)}
    booked = result.job.booked if result.job else {}
    due: dict[str, dict[str, datetime]] = {}
    for row in page:
        at = max(now, booked.get(row.platform, now))
        reason = _refusal(row, events, there, at, asked_at)
        if reason:
            result.refused[reason] += 1
            continue
        due.setdefault(row.platform, {})[row.event_id] = at
        if result.job:
            booked[row.platform] = at + APART
    changes = Changes()
    for platform, events_due in sorted(due.items()):
        requeued = db.requeue(merchant_id, platform, events_due, now, runtime.settings.retry_window, changes)
        result.requeued += requeued
        result.refused["being delivered at this moment"] += len(events_due) - requeued
        result.wake.add((merchant_id, platform))
    changes.write()
    result.refused = +result.refused


def _book(result: Redelivered, now: datetime) -> None:
    """Writes to the job what was done, and when it is its turn again."""
    job = result.job
    if job is None:
        return
    job.matched, job.requeued, job.refused = result.matched, result.requeued, dict(result.refused)
    job.last_page_at = now
    job.next_page_at = max([now, *(at - AHEAD for at in job.booked.values())])
    db_redeliveries.save_redelivery(job)


def _refusal(
    row: DeliveryRow,
    events: Mapping[str, EventRow],
    there: Mapping[str, DestinationRow],
    due_at: datetime,
    asked_at: datetime | None,
) -> str | None:
    if row.status == DeliveryStatus.DELIVERED:
        return "already delivered"
    if row.status == DeliveryStatus.QUEUED:
        return "already waiting to be delivered"
    if asked_at is not None and (row.finished_at or row.last_attempt_at or row.queued_at) > asked_at:
        return "tried again since this was asked for"
    event = events.get(row.event_id)
    if event is None:
        return "its event was purged"
    destination = there.get(row.platform)
    if destination is None:
        return "its destination was removed"
    limit = mapper_for(row.platform).oldest_age(event.action_source, destination.settings)
    if limit is not None and due_at - event.occurred_at > limit:
        return "too old for the platform"
    return None
