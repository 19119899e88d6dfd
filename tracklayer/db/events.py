"""Events: stored once by ``(merchant_id, event_id)``, read by id and by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows

Key = tuple[int, str]


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


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """``inserted`` False: the row was there before, and ``row`` is the stored one. ``routed``: platforms queued."""

    row: EventRow
    inserted: bool
    routed: tuple[str, ...]


COLUMNS = (
    "merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received, action_source, "
    "event_source_url, user_data::text, digests::text, sealed, custom_data::text, consent::text"
)


def read_row(found: Sequence[Any]) -> EventRow:
    """The first 14 columns of ``COLUMNS``."""
    values = list(found[:14])
    values[11] = bytes(values[11]) if values[11] is not None else None
    return EventRow(*values)


# One statement, so one round trip and one moment: the events that are new, the deliveries of those, the counts of the
# others. ``xmax = 0`` holds for a row that this statement inserted and not for one it updated. Sorted, so that two
# processes with the same ids in their hands never wait for each other crosswise.
STORE_EVENTS = """
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS x(
        merchant_id bigint, event_id text, event_name text, occurred_at timestamptz, received_at timestamptz,
        times_received int, action_source text, event_source_url text, user_data json, digests json, sealed bytea,
        custom_data json, consent json)
), stored AS (
    INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received,
                        action_source, event_source_url, user_data, digests, sealed, custom_data, consent)
    SELECT merchant_id, event_id, event_name, occurred_at, received_at, received_at, times_received, action_source,
           event_source_url, user_data, digests, sealed, custom_data, consent
    FROM given ORDER BY merchant_id, event_id
    ON CONFLICT (merchant_id, event_id) DO UPDATE
        SET times_received = events.times_received + excluded.times_received,
            last_received_at = greatest(events.last_received_at, excluded.last_received_at)
        WHERE events.event_name = excluded.event_name
    RETURNING *, xmax = 0 AS inserted
), routed AS (
    INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, due_at, window_ends_at)
    SELECT s.merchant_id, s.event_id, d.platform, s.received_at, s.received_at, s.received_at, s.received_at + %s
    FROM stored s JOIN destinations d ON d.merchant_id = s.merchant_id
    WHERE s.inserted AND d.removed_at IS NULL AND (d.event_names IS NULL OR s.event_name = ANY(d.event_names))
    RETURNING merchant_id, event_id, platform
)
SELECT merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received, action_source,
       event_source_url, user_data::text, digests::text, sealed, custom_data::text, consent::text, inserted,
       ARRAY(SELECT platform FROM routed r WHERE r.merchant_id = stored.merchant_id AND r.event_id = stored.event_id)
FROM stored
"""


def store_events(records: list[dict[str, Any]], window: timedelta) -> dict[Key, StoredEvent]:
    """Stores events of different keys with their deliveries, or counts the repeat. Needs an open transaction.

    ``records``: one JSON object an event, keys as the columns. A key that is missing from the answer is stored
    under another event name: ``stored_names`` tells which.
    """
    ordered = sorted(records, key=lambda record: (record["merchant_id"], record["event_id"]))
    found = rows(STORE_EVENTS, (orjson.dumps(ordered).decode(), window))
    return {(row[0], row[1]): StoredEvent(read_row(row), row[14], tuple(row[15])) for row in found}


def stored_names(keys: Sequence[Key]) -> dict[Key, str]:
    """The event name under which each key is stored."""
    found = rows(
        "SELECT merchant_id, event_id, event_name FROM events WHERE (merchant_id, event_id) IN %s", (tuple(keys),)
    )
    return {(row[0], row[1]): row[2] for row in found}


def count_repeats(merchant_id: int, event_id: str, repeats: int, now: datetime) -> EventRow | None:
    """Adds repeats to a stored event; its row afterwards."""
    found = rows(
        "UPDATE events SET times_received = times_received + %s, last_received_at = greatest(last_received_at, %s) "
        f"WHERE merchant_id = %s AND event_id = %s RETURNING {COLUMNS}",
        (repeats, now, merchant_id, event_id),
    )
    return read_row(found[0]) if found else None


def events_by_id(merchant_id: int, event_ids: Sequence[str]) -> dict[str, EventRow]:
    """A merchant's events by event id; unknown ones are missing."""
    found = rows(
        f"SELECT {COLUMNS} FROM events WHERE merchant_id = %s AND event_id = ANY(%s)", (merchant_id, list(event_ids))
    )
    return {row[1]: read_row(row) for row in found}


@dataclass(frozen=True)
class EventSearch:
    """What a page of events may be narrowed by. ``after``: ``(received_at, event_id)`` of the last one seen."""

    event_name: str | None = None
    event_id_prefix: str | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    delivery_status: str | None = None
    platform: str | None = None
    after: tuple[datetime, str] | None = None


def page_of_events(merchant_id: int, search: EventSearch, limit: int) -> list[EventRow]:
    """Newest received first, at most ``limit``. Keyset: the hundredth page costs what the first does."""
    where = ["e.merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.event_name is not None:
        where.append("e.event_name = %s")
        params.append(search.event_name)
    if search.event_id_prefix:
        where.append("starts_with(e.event_id, %s)")
        params.append(search.event_id_prefix)
    if search.received_since is not None:
        where.append("e.received_at >= %s")
        params.append(search.received_since)
    if search.received_until is not None:
        where.append("e.received_at < %s")
        params.append(search.received_until)
    if search.after is not None:
        where.append("(e.received_at, e.event_id) < (%s, %s)")
        params.extend(search.after)
    if search.delivery_status is not None or search.platform is not None:
        inner = ["d.merchant_id = e.merchant_id", "d.event_id = e.event_id"]
        if search.delivery_status is not None:
            inner.append("d.status = %s")
            params.append(search.delivery_status)
        if search.platform is not None:
            inner.append("d.platform = %s")
            params.append(search.platform)
        where.append(f"EXISTS (SELECT 1 FROM deliveries d WHERE {' AND '.join(inner)})")
    found = rows(
        f"SELECT {COLUMNS} FROM events e WHERE {' AND '.join(where)} ORDER BY e.received_at DESC, e.event_id DESC LIMIT %s",
        (*params, limit),
    )
    return [read_row(row) for row in found]


# Rows that a worker has in its hands stay for the next round: taking them away would leave its answer without a row.
PURGE = """
WITH old AS (
    SELECT e.merchant_id, e.event_id FROM events e
    WHERE e.merchant_id = %(merchant)s AND e.received_at < %(before)s
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.merchant_id = e.merchant_id AND d.event_id = e.event_id
                      AND d.claimed_by IS NOT NULL)
    ORDER BY e.received_at LIMIT %(limit)s FOR UPDATE OF e SKIP LOCKED
), gone AS (
    DELETE FROM deliveries d USING old WHERE d.merchant_id = old.merchant_id AND d.event_id = old.event_id
)
DELETE FROM events e USING old WHERE e.merchant_id = old.merchant_id AND e.event_id = old.event_id
"""


def purge_events(merchant_id: int, before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` of a merchant's oldest events received before an instant, with their deliveries."""
    return execute(PURGE, {"merchant": merchant_id, "before": before, "limit": limit})  # type: ignore[arg-type]


def loads(text: str) -> Any:
    """Stored JSON as Python values; numbers with a fraction as they were written."""
    return orjson.loads(text)


def dumps(value: Any) -> str:
    """JSON text for a column. A Decimal is written digit by digit, so that money stays exact."""
    return orjson.dumps(value, default=_exact).decode()


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(type(value).__name__)
