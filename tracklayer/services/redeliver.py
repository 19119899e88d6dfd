"""Starts a new series of attempts for deliveries that failed or were dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tracklayer.db import deliveries as db
from tracklayer.db import destinations as db_destinations
from tracklayer.db import events as db_events
from tracklayer.db.connection import in_transaction
from tracklayer.db.counters import Changes
from tracklayer.db.deliveries import DeliveryRow, DeliverySearch
from tracklayer.domain.delivery import DeliveryStatus
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import Wake

PAGE = 1000  # deliveries of one transaction


@dataclass
class Redelivered:
    """``refused``: reason -> how many."""

    matched: int = 0
    requeued: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wake: set[Wake] = field(default_factory=set)


def redeliver_ids(
    runtime: Runtime, merchant_id: int, keys: Sequence[tuple[str, str]], search: DeliverySearch
) -> Redelivered:
    """Redelivers deliveries given as (event id, platform), as far as ``search`` admits them.

    Attempts and the 24 h window begin anew; event time, deduplication id and the log stay. Safe to call twice: what
    is queued already is refused.
    """
    result = Redelivered()
    unique = list(dict.fromkeys(keys))
    for start in range(0, len(unique), PAGE):
        page = unique[start : start + PAGE]
        with in_transaction():
            found = db.deliveries_by_key(merchant_id, page)
            result.refused["unknown id"] += len(page) - len(found)
            _requeue(runtime, merchant_id, [row for row in found.values() if _admits(search, row)], result)
    result.refused = +result.refused
    return result


def redeliver_matching(runtime: Runtime, merchant_id: int, search: DeliverySearch) -> Redelivered:
    """Redelivers all failed and dropped deliveries that ``search`` finds, page by page, each in its transaction."""
    result = Redelivered()
    if not search.status:
        search = replace(search, status=(DeliveryStatus.FAILED, DeliveryStatus.DROPPED))
    while True:
        with in_transaction():
            page = db.page_of_deliveries(merchant_id, search, PAGE)
            _requeue(runtime, merchant_id, page, result)
        if len(page) < PAGE:
            result.refused = +result.refused
            return result
        search = replace(search, after=(page[-1].queued_at, page[-1].event_id, page[-1].platform))


def _requeue(runtime: Runtime, merchant_id: int, page: Sequence[DeliveryRow], result: Redelivered) -> None:
    now = runtime.clock.now()
    result.matched += len(page)
    events = db_events.events_by_id(merchant_id, list({row.event_id for row in page}))
    there = {row.platform for row in db_destinations.destinations(merchant_id)}
    due: dict[str, dict[str, datetime]] = {}
    for row in page:
        event = events.get(row.event_id)
        reason = _refusal(row, event.occurred_at if event else None, now, there)
        if reason:
            result.refused[reason] += 1
        else:
            due.setdefault(row.platform, {})[row.event_id] = now
    changes = Changes()
    for platform, events_due in sorted(due.items()):
        requeued = db.requeue(merchant_id, platform, events_due, now, runtime.settings.retry_window, changes)
        result.requeued += requeued
        result.refused["being delivered at this moment"] += len(events_due) - requeued
        result.wake.add((merchant_id, platform))
    changes.write()


def _refusal(row: DeliveryRow, occurred_at: datetime | None, now: datetime, there: set[str]) -> str | None:
    if row.status == DeliveryStatus.DELIVERED:
        return "already delivered"
    if row.status == DeliveryStatus.QUEUED:
        return "already waiting to be delivered"
    if occurred_at is None:
        return "its event was purged"
    if row.platform not in there:
        return "its destination was removed"
    limit = mapper_for(row.platform).max_event_age
    if limit is not None and now - occurred_at > limit:
        return "too old for the platform"
    return None


def _admits(search: DeliverySearch, row: DeliveryRow) -> bool:
    return (
        (search.platform is None or row.platform == search.platform)
        and (not search.status or row.status in search.status)
        and (not search.drop_reason or row.drop_reason in search.drop_reason)
        and (search.queued_since is None or row.queued_at >= search.queued_since)
        and (search.queued_until is None or row.queued_at < search.queued_until)
        and (not search.error_contains or search.error_contains.lower() in (row.last_error or "").lower())
    )
