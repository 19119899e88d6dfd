"""Starts a new series of attempts for deliveries that failed or were dropped: at once, or page by page in the background.
Or tells beforehand what that would do.

What is more than one page is done by whoever runs ``continue_redeliveries``. A page, the place behind it and the counts
are one transaction, so a kill at any point neither skips a delivery nor takes it twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tracklayer.db import deliveries as db
from tracklayer.db import delivery_search
from tracklayer.db import destinations as db_destinations
from tracklayer.db import queues as db_queues
from tracklayer.db import redeliveries as db_redeliveries
from tracklayer.db.connection import (
    LONG_SECONDS,
    ReadTimeoutError,
    bounded_read,
    bounded_transaction,
    in_transaction,
    statements_within,
)
from tracklayer.db.counters import Changes, done_before
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.models import DestinationRow
from tracklayer.db.redeliveries import EventHead, Key, RedeliveryRow
from tracklayer.domain.delivery import DeliveryStatus, DropReason, may_be_doubled
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.alone import is_everybodys, tell_fault
from tracklayer.services.ingest import Wake
from tracklayer.services.pacing import APART, LOOK_SECONDS, PAGE, Again, Redelivered, book, must_wait, so_far, tell_end
from tracklayer.services.refusals import IN_HANDS, PURGED, REMOVED, TOO_OLD, UNKNOWN_ID
from tracklayer.services.stored import begin_stored, continue_stored

AFTER_ERROR = timedelta(minutes=1)
TURN_SECONDS = 0.8  # of one run: the next one begins a second after it


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
    result = Redelivered(refused=Counter({UNKNOWN_ID: unknown}), complete=len(pages) == 1)
    with in_transaction():
        if len(pages) > 1:
            later = replace(search, untouched_since=done_before(merchant_id, now))
            result.job = db_redeliveries.insert_redelivery(merchant_id, later, True, now)
            db_redeliveries.insert_pages(result.job, pages[1:])
        found = _by_ids(merchant_id, pages[0], search, result)
        _requeue(runtime, merchant_id, found, now, result)
        book(result, now)
    return result


def redeliver_matching(runtime: Runtime, merchant_id: int, search: DeliverySearch) -> Redelivered:
    """Redelivers all that ``search`` finds; where it names no status, what failed or was dropped.

    Raises ReadTimeoutError for a search that takes too long: then nothing was redelivered.
    """
    now = runtime.clock.now()
    search = _of_ended(search)
    result = Redelivered()
    with bounded_transaction():
        page = delivery_search.page_of_deliveries(merchant_id, search, PAGE + 1)
        if len(page) > PAGE:
            page = page[:PAGE]
            # What happens from now on, and be it that what is redelivered here is dropped again, is another story.
            search = replace(search, untouched_since=done_before(merchant_id, now))
            result.job = db_redeliveries.insert_redelivery(merchant_id, search, False, now)
            result.job.search = replace(search, after=_place(page))
            result.complete = False
        _requeue(runtime, merchant_id, page, now, result)
        book(result, now)
    return result


def count_ids(
    runtime: Runtime,
    merchant_id: int,
    keys: Sequence[Key],
    search: DeliverySearch,
    unknown: int = 0,
    seconds: float = LOOK_SECONDS,
) -> Redelivered:
    """What ``redeliver_ids`` would do, without doing it: ``requeued`` is what it would queue."""
    unique = list(dict.fromkeys(keys))
    result = Redelivered(refused=Counter({UNKNOWN_ID: unknown}))

    def pages() -> Iterator[Page]:
        for start in range(0, len(unique), PAGE):
            found = _by_ids(merchant_id, unique[start : start + PAGE], search, result)
            yield found, start + PAGE < len(unique)

    return _count(runtime, merchant_id, pages(), result, seconds)


def count_matching(
    runtime: Runtime, merchant_id: int, search: DeliverySearch, seconds: float = LOOK_SECONDS
) -> Redelivered:
    """What ``redeliver_matching`` would do, without doing it. Newest first, where ``seconds`` do not suffice for all."""

    def pages() -> Iterator[Page]:
        rest, more = _of_ended(search), True
        while more:
            page = delivery_search.page_of_deliveries(merchant_id, rest, PAGE + 1)
            page, more = page[:PAGE], len(page) > PAGE
            yield page, more
            rest = replace(rest, after=_place(page)) if page else rest

    return _count(runtime, merchant_id, pages(), Redelivered(), seconds)


Page = tuple[list[DeliveryRow], bool]  # what is to be looked at, and whether there is more


def _count(
    runtime: Runtime, merchant_id: int, pages: Iterator[Page], result: Redelivered, seconds: float
) -> Redelivered:
    """Sorts page by page, each in a transaction of its own, as a redelivery that nothing delays would."""
    now, ends = runtime.clock.now(), time.monotonic() + seconds
    booked: dict[str, datetime] = {}
    more, is_big = True, False
    try:
        while more and (not is_big or time.monotonic() < ends):
            with bounded_read():
                page, more = next(pages, ([], False))
                is_big = is_big or more
                held = db_redeliveries.in_hands(merchant_id)
                due = _sort(merchant_id, page, now, result, booked if is_big else None)
            for platform, events in due.items():
                for event_id, again in events.items():
                    if (event_id, platform) in held:
                        result.refuse(IN_HANDS, event_id)
                    else:
                        result.queue((event_id, platform), again)
    except ReadTimeoutError:
        more = True
    result.complete, result.refused = not more, +result.refused
    return result


def continue_redeliveries(runtime: Runtime) -> set[Wake]:
    """Does pages of those whose turn it is, for less than a second; whom to wake. Any number may run at once."""
    ends = time.monotonic() + TURN_SECONDS
    wake: set[Wake] = set()
    while time.monotonic() < ends:
        taken: tuple[int, int] | None = None
        try:
            page = None
            with in_transaction(), statements_within(LONG_SECONDS):
                now = runtime.clock.now()
                taken = db_redeliveries.take_redelivery(now)
                job = db_redeliveries.redelivery_by_id(*taken) if taken is not None else None
                if job is None:
                    break
                if must_wait(job, now):
                    continue
                if job.stored is None:
                    wake |= _continue(runtime, job, now)
                else:
                    page = begin_stored(job, now)
            if page is not None:
                wake |= continue_stored(runtime, job, page)
        except Exception as error:
            if taken is None or is_everybodys(error):
                raise
            # A bug that one of them meets must not keep the others from their turn.
            tell_fault(runtime, f"redelivery {taken[1]} of merchant {taken[0]}", error)
            with in_transaction():
                db_redeliveries.postpone(*taken, runtime.clock.now() + AFTER_ERROR)
    return wake


def _continue(runtime: Runtime, job: RedeliveryRow, now: datetime) -> set[Wake]:
    """The next page of one that this transaction holds."""
    result = so_far(job)
    untouched_since = job.search.untouched_since or job.requested_at
    if job.by_ids:
        keys, more = db_redeliveries.take_page(job)
        # What was tried since is refused aloud, as it was asked for by its id.
        page = _by_ids(job.merchant_id, keys, replace(job.search, untouched_since=None), result)
    else:
        page = delivery_search.page_of_deliveries(job.merchant_id, job.search, PAGE)
        more = len(page) == PAGE
        if page:
            job.search = replace(job.search, after=_place(page))
    _requeue(runtime, job.merchant_id, page, now, result, untouched_since)
    book(result, now)
    if not more:
        job.finished_at = now
        db_redeliveries.save_redelivery(job)
        tell_end(job, now)
    return result.wake


def _by_ids(merchant_id: int, keys: Sequence[Key], search: DeliverySearch, result: Redelivered) -> list[DeliveryRow]:
    found = db.deliveries_by_key(merchant_id, keys)
    for key in keys:
        if key not in found:
            result.refuse(UNKNOWN_ID, key[0])
    waiting_for = db_destinations.not_sent_to(merchant_id) if search.held is not None else ()
    return [row for row in found.values() if search.admits(row, waiting_for)]


def _of_ended(search: DeliverySearch) -> DeliverySearch:
    return search if search.status else replace(search, status=(DeliveryStatus.FAILED, DeliveryStatus.DROPPED))


def _place(page: Sequence[DeliveryRow]) -> tuple[datetime, str, str]:
    last = page[-1]
    return last.queued_at, last.event_id, last.platform


def _requeue(
    runtime: Runtime,
    merchant_id: int,
    page: Sequence[DeliveryRow],
    now: datetime,
    result: Redelivered,
    untouched_since: datetime | None = None,
) -> None:
    """Queues what may be sent again, due one after another behind what this redelivery queued before.

    ``untouched_since``: what was tried after that was not meant.
    """
    due = _sort(merchant_id, page, now, result, result.job.booked if result.job else None, untouched_since)
    changes = Changes()
    for platform, events_due in sorted(due.items()):
        times = {event_id: again.at for event_id, again in events_due.items()}
        requeued = db_queues.requeue(merchant_id, platform, times, now, runtime.settings.retry_window, changes)
        for event_id, again in events_due.items():
            if event_id in requeued:
                result.queue((event_id, platform), again)
            else:
                result.refuse(IN_HANDS, event_id)
        result.wake.add((merchant_id, platform))
    changes.write()
    result.refused = +result.refused


def _sort(
    merchant_id: int,
    page: Sequence[DeliveryRow],
    now: datetime,
    result: Redelivered,
    booked: dict[str, datetime] | None,
    untouched_since: datetime | None = None,
) -> dict[str, dict[str, Again]]:
    """What may be sent again and how, by platform and event id; the rest is refused in ``result``.

    ``booked``: until when a big redelivery has its destinations busy, which goes on from there; None: all is due now.
    """
    result.matched += len(page)
    events = db_redeliveries.heads_of_events(merchant_id, list({row.event_id for row in page}))
    there = {row.platform: row for row in db_destinations.destinations(merchant_id)}
    due: dict[str, dict[str, Again]] = {}
    for row in page:
        at = max(now, booked.get(row.platform, now)) if booked is not None else now
        reason = _refusal(row, events, there, at, untouched_since)
        if reason:
            result.refuse(reason, row.event_id)
            continue
        due.setdefault(row.platform, {})[row.event_id] = Again(at, _may_be_doubled(row, events[row.event_id], at))
        if booked is not None:
            booked[row.platform] = at + APART
    return due


def _refusal(
    row: DeliveryRow,
    events: Mapping[str, EventHead],
    there: Mapping[str, DestinationRow],
    due_at: datetime,
    untouched_since: datetime | None,
) -> str | None:
    if row.status == DeliveryStatus.DELIVERED:
        return "already delivered"
    if row.status == DeliveryStatus.QUEUED:
        return "already waiting to be delivered"
    if row.drop_reason in (DropReason.ERASED, DropReason.SUPPRESSED):
        return "the person was erased"
    if untouched_since is not None and row.touched_at > untouched_since:
        return "tried again since this was asked for"
    if row.event_id not in events:
        return PURGED
    event = events[row.event_id]
    destination = there.get(row.platform)
    if destination is None:
        return REMOVED
    if row.platform not in PLATFORMS:
        return None  # a newer version's: its workers know what is too old for it
    limit = mapper_for(row.platform).oldest_age(event.action_source, destination.settings)
    if limit is not None and due_at - event.occurred_at > limit:
        return TOO_OLD
    return None


def _may_be_doubled(row: DeliveryRow, event: EventHead, due_at: datetime) -> bool:
    """Whether its platform, if it is sent then, may count it twice."""
    attempts = [(datetime.fromisoformat(entry["at"]), entry["outcome"]) for entry in row.attempt_log]
    memory = None  # of a newer version's platform it is not known that it recognises any
    if row.platform in PLATFORMS:
        memory = mapper_for(row.platform).copy_memory(event.event_name, event.action_source)
    return may_be_doubled(attempts, due_at, memory)
