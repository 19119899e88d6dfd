"""The queues of deliveries, one a destination: the lock of whoever takes out of one, what the sweep drops, what is put in again.

A delivery is queued with its event by db/storing.py, and leased out of its queue by db/leases.py: neither lives here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import Changes
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.domain.delivery import DeliveryStatus, DropReason

# Whoever takes deliveries out of a queue, to send, to drop or to start anew, holds this lock until it has committed: so
# that no two take the same. It is held for milliseconds, and one queue never waits for another.
QUEUE_LOCK = 7_301_003
LOCK_QUEUE = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
TRY_QUEUE = "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))"

# Rows that somebody holds are stepped over: there are few claims on a destination, so the subselect is a small hash.
UNCLAIMED = """event_id NOT IN (
    SELECT unnest(event_ids) FROM claims WHERE merchant_id = %(merchant)s AND platform = %(platform)s)"""


def lock_queue(merchant_id: int, platform: str) -> None:
    """Until this transaction ends nobody else takes deliveries out of this queue."""
    execute(LOCK_QUEUE, queue(merchant_id, platform))


QUEUES = "SELECT platform FROM destinations WHERE merchant_id = %s ORDER BY platform"
QUEUE_MS = 250  # that is waited for each of them, and for whatever else the transaction waits for


def lock_queues(merchant_id: int) -> None:
    """``lock_queue`` of all that a merchant has: whoever deletes what waits needs it, since of a claim that is not committed nobody
    sees that it has it in its hands.

    While it waits for one nothing is taken out of those that it has: so it waits briefly, and then fails.
    """
    execute("SELECT set_config('lock_timeout', %s, true)", (str(QUEUE_MS),))
    for (platform,) in rows(QUEUES, (merchant_id,)):
        lock_queue(merchant_id, platform)


def queue(merchant_id: int, platform: str) -> tuple[int, str]:
    """What ``LOCK_QUEUE`` and ``TRY_QUEUE`` take."""
    return QUEUE_LOCK, f"{merchant_id}/{platform}"


EXPIRED_QUEUES = """
SELECT merchant_id, platform, max(window_ends_at), sum(count(*)) OVER () FROM (
    SELECT merchant_id, platform, window_ends_at FROM deliveries
    WHERE status IN ('queued', 'failed') AND window_ends_at <= %(now)s AND window_ends_at > %(after)s
    ORDER BY window_ends_at LIMIT %(limit)s) AS expired
GROUP BY merchant_id, platform ORDER BY min(window_ends_at)
"""
REMOVED_QUEUES = """
SELECT merchant_id, platform, EXISTS (
    SELECT 1 FROM deliveries d WHERE d.merchant_id = x.merchant_id AND d.platform = x.platform AND d.due_at IS NOT NULL)
FROM destinations x WHERE removed_at IS NOT NULL AND (merchant_id, platform) > (%s, %s)
ORDER BY merchant_id, platform LIMIT %s
"""
DROP_WAITING = f"""
WITH dropped AS (
    SELECT event_id FROM deliveries
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND status IN ('queued', 'failed')
      AND window_ends_at <= %(ended)s AND {UNCLAIMED}
    ORDER BY window_ends_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d
SET status = 'dropped', drop_reason = %(reason)s, due_at = NULL, next_retry_at = NULL, finished_at = %(now)s,
    last_error = coalesce(last_error, %(words)s)
FROM dropped x WHERE d.merchant_id = %(merchant)s AND d.platform = %(platform)s AND d.event_id = x.event_id
RETURNING d.received_at
"""


def expired_queues(now: datetime, after: datetime | None, limit: int) -> tuple[list[tuple[int, str]], datetime | None]:
    """(destinations of ``limit`` deliveries whose window ended after an instant, where to go on; None: no more)."""
    params: Any = {"now": now, "after": after or datetime.min.replace(tzinfo=UTC), "limit": limit}
    found = rows(EXPIRED_QUEUES, params)
    is_full = bool(found) and found[0][3] == limit
    return [(row[0], row[1]) for row in found], max(row[2] for row in found) if is_full else None


def removed_queues(after: tuple[int, str], limit: int) -> tuple[list[tuple[int, str]], tuple[int, str] | None]:
    """(those of ``limit`` removed destinations behind one that still have deliveries waiting, where to go on; None: no more)."""
    found = rows(REMOVED_QUEUES, (*after, limit))
    following = (found[-1][0], found[-1][1]) if len(found) == limit else None
    return [(row[0], row[1]) for row in found if row[2]], following


def drop_expired(merchant_id: int, platform: str, now: datetime, limit: int, changes: Changes) -> int:
    """Drops what waited past its window, at most ``limit``; how many. What a worker is sending stays its own."""
    words = "not sent within its window"
    return _drop(merchant_id, platform, DropReason.WINDOW_EXPIRED, words, now, now, limit, changes)


def drop_removed(merchant_id: int, platform: str, now: datetime, limit: int, changes: Changes) -> int:
    """Drops what waits for a destination that was removed, at most ``limit``; how many."""
    words, whenever = "its destination was removed", datetime.max.replace(tzinfo=UTC)
    return _drop(merchant_id, platform, DropReason.DESTINATION_REMOVED, words, whenever, now, limit, changes)


def _drop(
    merchant_id: int,
    platform: str,
    reason: DropReason,
    words: str,
    ended: datetime,
    now: datetime,
    limit: int,
    changes: Changes,
) -> int:
    if not rows(TRY_QUEUE, queue(merchant_id, platform))[0][0]:
        return 0  # the next sweep comes in a second, and the other queues do not wait for this one
    params: Any = {
        "merchant": merchant_id,
        "platform": platform,
        "ended": ended,
        "reason": reason.value,
        "words": words,
        "now": now,
        "limit": limit,
    }
    found = rows(DROP_WAITING, params)
    for (received_at,) in found:
        changes.drop(merchant_id, platform, received_at, reason.value, now)
    return len(found)


# A dropped one waited until it was dropped, a failed one waits without a break. The ids are there twice, and rows
# that are locked are found again by their place, so that both steps are look-ups even where the statistics are old.
REQUEUE = f"""
WITH given AS (
    SELECT event_id, due_at FROM json_to_recordset(%(given)s::json) AS x(event_id text, due_at timestamptz)
), before AS (
    SELECT d.ctid, d.status, d.drop_reason, d.received_at, given.due_at
    FROM deliveries d JOIN given USING (event_id)
    WHERE d.merchant_id = %(merchant)s AND d.platform = %(platform)s AND d.event_id = ANY(%(ids)s) AND d.status IN ('failed', 'dropped')
      AND d.{UNCLAIMED}
    FOR UPDATE OF d
)
UPDATE deliveries d
SET status = 'queued', attempts = 0, due_at = before.due_at, window_ends_at = before.due_at + %(window)s,
    next_retry_at = NULL, drop_reason = NULL, drop_field = NULL, finished_at = NULL, last_error = NULL, error_code = NULL,
    had_outcome = coalesce(d.had_outcome, d.requeued_at IS NOT NULL) OR d.attempts > 0 OR d.attempt_log <> '[]'
        OR coalesce(d.drop_reason <> ALL(%(untried)s), false),
    requeued_at = %(now)s, former_waits = coalesce(d.former_waits, '[]') || jsonb_build_array(jsonb_build_array(
        coalesce(d.requeued_at, d.queued_at), coalesce(d.finished_at, %(now)s::timestamptz)))
FROM before WHERE d.ctid = before.ctid AND d.merchant_id = %(merchant)s
RETURNING d.event_id, before.received_at, before.status, before.drop_reason
"""


def requeue(
    merchant_id: int,
    platform: str,
    due: Mapping[str, datetime],
    now: datetime,
    window: timedelta,
    changes: Changes,
) -> set[str]:
    """Starts a new series of attempts for failed and dropped deliveries (event id -> when it is due); of which events.

    The log stays. What a worker has in its hands, or was settled meanwhile, is left alone.
    """
    lock_queue(merchant_id, platform)
    params: Any = _queueing(merchant_id, platform, due, now, window)
    params["untried"] = [DropReason.WINDOW_EXPIRED, DropReason.DESTINATION_REMOVED]
    found = rows(REQUEUE, params)
    for _, received_at, status, drop_reason in found:
        if status == DeliveryStatus.DROPPED:
            changes.add(merchant_id, platform, received_at, waiting=1, dropped=-1)
            changes.drop_reasons(merchant_id, platform, received_at, {drop_reason: -1})
            changes.add(merchant_id, platform, now, requeued=1)
    return {row[0] for row in found}


# The events' rows are held, so that none is purged meanwhile: of one that is, nothing comes back. In the order in which
# all who hold several take them.
INSERT_STORED = """
WITH given AS (
    SELECT event_id, due_at FROM json_to_recordset(%(given)s::json) AS x(event_id text, due_at timestamptz)
), there AS (
    SELECT e.event_id, e.received_at, given.due_at FROM events e JOIN given USING (event_id)
    WHERE e.merchant_id = %(merchant)s AND e.event_id = ANY(%(ids)s)
    ORDER BY e.event_id FOR KEY SHARE OF e
)
INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, due_at, window_ends_at)
SELECT %(merchant)s, event_id, %(platform)s, received_at, %(now)s, due_at, due_at + %(window)s FROM there
ON CONFLICT (merchant_id, event_id, platform) DO NOTHING
RETURNING event_id, received_at
"""


def insert_stored(
    merchant_id: int, platform: str, due: Mapping[str, datetime], now: datetime, window: timedelta
) -> dict[str, datetime]:
    """Makes a delivery for each stored event (event id -> when it is due) that has none: event id -> when it arrived.

    Of the others it returns nothing. The caller holds the queue's lock, and counts.
    """
    params: Any = _queueing(merchant_id, platform, due, now, window)
    return dict(rows(INSERT_STORED, params))


def _queueing(
    merchant_id: int, platform: str, due: Mapping[str, datetime], now: datetime, window: timedelta
) -> dict[str, Any]:
    """What is queued now at one destination, and when each is due."""
    records = [{"event_id": event_id, "due_at": at} for event_id, at in sorted(due.items())]
    return {
        "given": JsonLiteral(records),
        "ids": list(due),
        "merchant": merchant_id,
        "platform": platform,
        "window": window,
        "now": now,
    }


def waiting_by_platform(merchant_id: int) -> dict[str, int]:
    """How many deliveries of each platform are neither delivered nor dropped."""
    found = rows(
        "SELECT platform, sum(waiting)::bigint FROM queues WHERE merchant_id = %s GROUP BY platform", (merchant_id,)
    )
    return dict(found)
