"""Events: stored once by ``(merchant_id, event_id)``, read by id, and deleted when they are old.

How they are stored is in db/storing.py, how they are found page by page in db/event_search.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from tracklayer.db.connection import database, rows
from tracklayer.db.counters import Changes
from tracklayer.db.queues import lock_queues

Key = tuple[int, str]

PURGED = "purged"  # in the ledger, the reason of what was deleted while it waited


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as stored. ``user_data`` and ``custom_data``: JSON text; ``digests``: JSON text or None."""

    merchant_id: int
    event_id: str
    event_name: str
    occurred_at: datetime
    received_at: datetime
    last_received_at: datetime
    times_received: int
    action_source: str
    event_source_url: str | None
    user_data: str
    digests: str | None
    sealed: bytes | None
    custom_data: str
    consent: str | None
    device: str | None


class EventToMap(NamedTuple):
    """What of an event is mapped, as ``EventRow`` has it; ``sealed`` may be a view of the driver's own buffer."""

    merchant_id: int
    event_id: str
    event_name: str
    occurred_at: datetime
    action_source: str
    event_source_url: str | None
    user_data: str
    digests: str | None
    sealed: bytes | memoryview | None
    custom_data: str
    consent: str | None
    device: str | None


_ROW = tuple(field.name for field in fields(EventRow))
_SEALED = _ROW.index("sealed")
_JSON = {"user_data", "digests", "custom_data", "consent", "device"}  # read as text
TO_MAP = ", ".join(f"e.{name}::text" if name in _JSON else f"e.{name}" for name in EventToMap._fields)  # of an alias e
MAPPED = len(EventToMap._fields)  # so many columns ``TO_MAP`` is
COLUMNS = ", ".join(f"{name}::text" if name in _JSON else name for name in _ROW)


def read_row(found: Sequence[Any]) -> EventRow:
    """Of ``COLUMNS``, whatever stands behind them."""
    values = list(found[: len(_ROW)])
    if values[_SEALED] is not None:
        values[_SEALED] = bytes(values[_SEALED])
    return EventRow(*values)


def events_by_id(merchant_id: int, event_ids: Sequence[str]) -> dict[str, EventRow]:
    """A merchant's events by event id; unknown ones are missing."""
    found = rows(
        f"SELECT {COLUMNS} FROM events WHERE merchant_id = %s AND event_id = ANY(%s)", (merchant_id, list(event_ids))
    )
    return {row[1]: read_row(row) for row in found}


NEWEST_OF_EACH_NAME = f"""
WITH newest AS MATERIALIZED (
    SELECT event_id, event_name, received_at FROM events
    WHERE merchant_id = %(merchant)s AND received_at >= %(since)s
    ORDER BY received_at DESC, event_id DESC LIMIT %(looked)s
), ranked AS (
    SELECT event_id, count(*) OVER (PARTITION BY event_name) AS alike,
           row_number() OVER (PARTITION BY event_name ORDER BY received_at DESC, event_id DESC) AS place
    FROM newest
)
SELECT {COLUMNS} FROM events
WHERE merchant_id = %(merchant)s
  AND event_id = ANY(ARRAY(SELECT event_id FROM ranked ORDER BY place, alike DESC, event_id LIMIT %(limit)s))
ORDER BY received_at DESC, event_id DESC
"""
LOOKED = 5000  # of the newest events, among which each name is looked for


def newest_of_each_name(merchant_id: int, since: datetime, limit: int) -> list[EventRow]:
    """Up to ``limit`` of a merchant's newest events, newest first: as many of each name as there are and find room."""
    params: Any = {"merchant": merchant_id, "since": since, "limit": limit, "looked": LOOKED}
    return [read_row(row) for row in rows(NEWEST_OF_EACH_NAME, params)]


# An insert or an update takes this lock before it reads anything, and keeps it until its transaction ends.
WRITERS = """
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'events'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""


def writers() -> set[str]:
    """The transactions that write events at this moment."""
    return {row[0] for row in rows(WRITERS)}


# Rows that a worker has in its hands stay for the next round: taking them away would leave its answer without a row. Of what
# waits nobody knows whose hands it is in but under the queues' locks.
PURGE = """
WITH old AS (
    SELECT e.merchant_id, e.event_id FROM events e
    WHERE e.merchant_id = %(merchant)s AND e.received_at < %(before)s
      AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.merchant_id = e.merchant_id AND e.event_id = ANY(c.event_ids))
    ORDER BY e.received_at LIMIT %(limit)s FOR UPDATE OF e SKIP LOCKED
), deliveries_gone AS (
    DELETE FROM deliveries d USING old WHERE d.merchant_id = old.merchant_id AND d.event_id = old.event_id
    RETURNING d.platform, d.received_at, d.status
), repeats_gone AS (
    DELETE FROM differing_repeats r USING old WHERE r.merchant_id = old.merchant_id AND r.event_id = old.event_id
), enrichments_gone AS (
    DELETE FROM enrichments n USING old WHERE n.merchant_id = old.merchant_id AND n.event_id = old.event_id
), events_gone AS (
    DELETE FROM events e USING old WHERE e.merchant_id = old.merchant_id AND e.event_id = old.event_id
    RETURNING e.received_at
)
SELECT '', date_trunc('minute', received_at, 'UTC') AS minute, count(*), 0 FROM events_gone GROUP BY minute
UNION ALL
SELECT platform, date_trunc('minute', received_at, 'UTC') AS minute, count(*),
       count(*) FILTER (WHERE status IN ('queued', 'failed'))
FROM deliveries_gone GROUP BY platform, minute
"""


OLDEST_RECEIVED = "SELECT received_at FROM events WHERE merchant_id = %s ORDER BY received_at, event_id LIMIT 1"


def oldest_received(merchant_id: int) -> datetime | None:
    """When the oldest event of a merchant arrived that is still there."""
    found = rows(OLDEST_RECEIVED, (merchant_id,))
    return found[0][0] if found else None


def purge_events(merchant_id: int, before: datetime, limit: int, now: datetime) -> int:
    """Deletes up to ``limit`` of a merchant's oldest events received before an instant, with their deliveries and with what
    was added to them. Needs a transaction.

    Mostly nothing of them waits. Where something does, it is left until nobody else takes anything out of the merchant's queues;
    fails where that takes long.
    """
    params: Any = {"merchant": merchant_id, "before": before, "limit": limit}
    with database.savepoint() as step:
        found = rows(PURGE, params)
        some_wait = any(waiting for _, _, _, waiting in found)
        if some_wait:
            step.rollback(begin=False)
    if some_wait:
        lock_queues(merchant_id)
        found = rows(PURGE, params)
    changes, purged = Changes(), 0
    for platform, minute, gone, waiting in found:
        changes.add(merchant_id, platform, minute, purged=gone)
        if not platform:
            purged += gone
        elif waiting:
            # It waited for longer than events are kept: nobody will send it any more.
            changes.add(merchant_id, platform, minute, waiting=-waiting, dropped=waiting)
            changes.drop_reasons(merchant_id, platform, minute, {PURGED: waiting})
            changes.add(merchant_id, platform, now, finished=waiting)
    changes.write()
    return purged
