"""Deliveries: claimed in batches, settled in one statement, read by event and by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.events import EventRow, read_row
from tracklayer.domain.delivery import Claim, DeliveryKey, LoggedAttempt, Settlement

# Twice the longest a batch may take: what a worker that is alive but stuck is given before others take over.
LEASE = timedelta(minutes=4)
WORKER_LOCK = 7_301_002  # first key of the advisory lock that a worker's session holds on its number
LOG_LENGTH = 20  # entries kept of an attempt log: five attempts, twice redelivered, and what came between


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    merchant_id: int
    event_id: str
    platform: str
    status: str
    attempts: int
    received_at: datetime
    queued_at: datetime
    window_ends_at: datetime
    due_at: datetime | None
    next_retry_at: datetime | None
    last_attempt_at: datetime | None
    delivered_at: datetime | None
    finished_at: datetime | None
    latency_ms: int | None
    drop_reason: str | None
    last_error: str | None
    error_code: str | None
    attempt_log: list[dict[str, Any]]

    @property
    def key(self) -> DeliveryKey:
        return DeliveryKey(self.merchant_id, self.event_id, self.platform)


COLUMNS = (
    "merchant_id, event_id, platform, status, attempts, received_at, queued_at, window_ends_at, due_at, next_retry_at, "
    "last_attempt_at, delivered_at, finished_at, latency_ms, drop_reason, last_error, error_code, attempt_log"
)

CLAIM_DUE = """
WITH due AS (
    SELECT event_id, due_at FROM deliveries
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND due_at <= %(now)s AND claimed_by IS NULL
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claim AS (
    SELECT nextval('claims') AS id
), claimed AS (
    UPDATE deliveries d
    SET claimed_by = %(worker)s, claim_id = claim.id, claimed_at = %(now)s, due_at = %(lease)s
    FROM due, claim
    WHERE d.merchant_id = %(merchant)s AND d.platform = %(platform)s AND d.event_id = due.event_id
    RETURNING d.merchant_id, d.event_id, d.attempts, d.received_at, d.queued_at, due.due_at, d.window_ends_at, claim.id
)
SELECT e.merchant_id, e.event_id, e.event_name, e.occurred_at, e.received_at, e.last_received_at, e.times_received,
       e.action_source, e.event_source_url, e.user_data::text, e.digests::text, e.sealed, e.custom_data::text,
       e.consent::text,
       c.attempts, c.received_at, c.queued_at, c.due_at, c.window_ends_at, c.id
FROM claimed c JOIN events e ON e.merchant_id = c.merchant_id AND e.event_id = c.event_id
ORDER BY c.due_at, e.event_id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    claim: Claim
    event: EventRow


def claim_due(merchant_id: int, platform: str, limit: int, now: datetime, worker: int) -> tuple[int, list[Claimed]]:
    """The longest due deliveries of one destination, leased to ``worker``, and the number of the claim.

    Any number of workers may call it at once: no row is given to two of them.
    """
    params = {
        "merchant": merchant_id,
        "platform": platform,
        "now": now,
        "limit": limit,
        "worker": worker,
        "lease": now + LEASE,
    }
    found = rows(CLAIM_DUE, params)  # type: ignore[arg-type]
    claimed = [Claimed(Claim(DeliveryKey(merchant_id, row[1], platform), *row[14:19]), read_row(row)) for row in found]
    return (found[0][19] if found else 0), claimed


# ``claim_id``: a worker whose claim was taken over finds no row and changes nothing. An attempt that cost nothing is
# logged once, not at every probe of a long outage.
SETTLE = """
UPDATE deliveries d
SET status = x.status, attempts = x.attempts, due_at = x.due_at, next_retry_at = x.next_retry_at,
    drop_reason = x.drop_reason, last_error = coalesce(x.last_error, d.last_error),
    error_code = coalesce(x.error_code, d.error_code),
    last_attempt_at = coalesce(x.last_attempt_at, d.last_attempt_at), delivered_at = x.delivered_at,
    latency_ms = x.latency_ms, finished_at = CASE WHEN x.due_at IS NULL THEN %(now)s::timestamptz END,
    claimed_by = NULL, claim_id = NULL, claimed_at = NULL,
    attempt_log = CASE
        WHEN x.logged IS NULL THEN d.attempt_log
        WHEN x.attempts = d.attempts AND d.attempt_log -> -1 ->> 'outcome' = x.logged ->> 'outcome' THEN d.attempt_log
        WHEN jsonb_array_length(d.attempt_log) >= %(log)s THEN (d.attempt_log - 0) || x.logged
        ELSE d.attempt_log || x.logged
    END
FROM json_to_recordset(%(settlements)s::json) AS x(
    merchant_id bigint, event_id text, platform text, status text, attempts int, due_at timestamptz,
    next_retry_at timestamptz, drop_reason text, last_error text, error_code text, last_attempt_at timestamptz,
    delivered_at timestamptz, latency_ms int, logged jsonb)
WHERE d.merchant_id = x.merchant_id AND d.event_id = x.event_id AND d.platform = x.platform
  AND d.claim_id = %(claim)s
"""


def settle_deliveries(claim_id: int, settlements: Sequence[Settlement], now: datetime) -> int:
    """Writes verdicts to the rows of one claim; how many rows were still that claim's."""
    if not settlements:
        return 0
    records = [
        {
            "merchant_id": s.key.merchant_id,
            "event_id": s.key.event_id,
            "platform": s.key.platform,
            "status": s.status,
            "attempts": s.attempts,
            "due_at": s.due_at,
            "next_retry_at": s.next_retry_at,
            "drop_reason": s.drop_reason,
            "last_error": s.last_error,
            "error_code": s.error_code,
            "last_attempt_at": s.last_attempt_at,
            "delivered_at": s.delivered_at,
            "latency_ms": s.latency_ms,
            "logged": _log_entry(s.logged) if s.logged else None,
        }
        for s in settlements
    ]
    params = {"settlements": orjson.dumps(records).decode(), "now": now, "log": LOG_LENGTH, "claim": claim_id}
    return execute(SETTLE, params)  # type: ignore[arg-type]


def _log_entry(logged: LoggedAttempt) -> dict[str, Any]:
    return {
        "number": logged.number,
        "at": logged.at,
        "outcome": logged.outcome,
        "http_status": logged.http_status,
        "error": logged.error,
        "duration_ms": logged.duration_ms,
    }


LOST_CLAIMS = f"""
SELECT claim_id, claimed_at, merchant_id, event_id, platform, attempts, received_at, queued_at, due_at, window_ends_at
FROM deliveries d
WHERE claimed_by IS NOT NULL AND (
    due_at <= %s OR NOT EXISTS (
        SELECT 1 FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.classid = {WORKER_LOCK} AND l.objid = d.claimed_by::bigint::oid
          AND l.objsubid = 2 AND l.granted
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())))
LIMIT %s FOR UPDATE SKIP LOCKED
"""


def lost_claims(now: datetime, limit: int) -> list[tuple[int, datetime, Claim]]:
    """Claims whose worker holds its lock no more, or whose lease ran out: (claim id, claimed at, claim). Locks them."""
    return [
        (row[0], row[1], Claim(DeliveryKey(row[2], row[3], row[4]), *row[5:]))
        for row in rows(LOST_CLAIMS, (now, limit))
    ]


def release_claims(claim_id: int, claims: Sequence[Claim]) -> None:
    """Gives back what was claimed and not touched, as it was."""
    if claims:
        records = [{"event_id": c.key.event_id, "platform": c.key.platform, "due_at": c.due_at} for c in claims]
        execute(
            "UPDATE deliveries d SET claimed_by = NULL, claim_id = NULL, claimed_at = NULL, due_at = x.due_at "
            "FROM json_to_recordset(%s::json) AS x(event_id text, platform text, due_at timestamptz) "
            "WHERE d.merchant_id = %s AND d.event_id = x.event_id AND d.platform = x.platform AND d.claim_id = %s",
            (orjson.dumps(records).decode(), claims[0].key.merchant_id, claim_id),
        )


DROP_EXPIRED = """
WITH expired AS (
    SELECT merchant_id, event_id, platform FROM deliveries
    WHERE due_at IS NOT NULL AND window_ends_at <= %s AND claimed_by IS NULL
    ORDER BY window_ends_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d
SET status = 'dropped', drop_reason = 'window_expired', due_at = NULL, next_retry_at = NULL, finished_at = %s,
    last_error = coalesce(last_error, 'not sent within its window')
FROM expired x WHERE d.merchant_id = x.merchant_id AND d.event_id = x.event_id AND d.platform = x.platform
"""


def drop_expired(now: datetime, limit: int) -> int:
    """Drops what waited past its window, at most ``limit`` rows; how many it were."""
    return execute(DROP_EXPIRED, (now, limit, now))


DROP_REMOVED = """
WITH waiting AS (
    SELECT w.merchant_id, w.event_id, w.platform
    FROM destinations x CROSS JOIN LATERAL (
        SELECT merchant_id, event_id, platform FROM deliveries d
        WHERE d.merchant_id = x.merchant_id AND d.platform = x.platform AND d.due_at IS NOT NULL
          AND d.claimed_by IS NULL
        LIMIT %s FOR UPDATE SKIP LOCKED) w
    WHERE x.removed_at IS NOT NULL LIMIT %s
)
UPDATE deliveries d
SET status = 'dropped', drop_reason = 'destination_removed', due_at = NULL, next_retry_at = NULL, finished_at = %s,
    last_error = coalesce(last_error, 'its destination was removed')
FROM waiting x WHERE d.merchant_id = x.merchant_id AND d.event_id = x.event_id AND d.platform = x.platform
"""


def drop_removed(now: datetime, limit: int) -> int:
    """Drops what waits for destinations that were removed, at most ``limit`` rows; how many it were."""
    return execute(DROP_REMOVED, (limit, limit, now))


REQUEUE = """
UPDATE deliveries d
SET status = 'queued', attempts = 0, due_at = %(now)s, window_ends_at = %(window)s, next_retry_at = NULL,
    drop_reason = NULL, finished_at = NULL, last_error = NULL, error_code = NULL
FROM json_to_recordset(%(keys)s::json) AS x(event_id text, platform text)
WHERE d.merchant_id = %(merchant)s AND d.event_id = x.event_id AND d.platform = x.platform
  AND d.status IN ('failed', 'dropped') AND d.claimed_by IS NULL
RETURNING d.platform
"""


def requeue(merchant_id: int, keys: Sequence[DeliveryKey], now: datetime, window: timedelta) -> list[str]:
    """Starts a new series of attempts for failed and dropped deliveries; the platform of each. The log stays."""
    records = [{"event_id": key.event_id, "platform": key.platform} for key in keys]
    params = {"now": now, "window": now + window, "keys": orjson.dumps(records).decode(), "merchant": merchant_id}
    return [row[0] for row in rows(REQUEUE, params)]  # type: ignore[arg-type]


def deliveries_by_key(merchant_id: int, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], DeliveryRow]:
    """A merchant's deliveries by (event id, platform); unknown ones are missing."""
    if not keys:
        return {}
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE merchant_id = %s AND (event_id, platform) IN %s",
        (merchant_id, tuple(keys)),
    )
    return {(row[1], row[2]): DeliveryRow(*row) for row in found}


def deliveries_of_events(merchant_id: int, event_ids: Sequence[str]) -> dict[str, list[DeliveryRow]]:
    """The deliveries of each event, by platform."""
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE merchant_id = %s AND event_id = ANY(%s) ORDER BY event_id, platform",
        (merchant_id, list(event_ids)),
    )
    grouped: dict[str, list[DeliveryRow]] = {event_id: [] for event_id in event_ids}
    for row in found:
        grouped[row[1]].append(DeliveryRow(*row))
    return grouped


@dataclass(frozen=True)
class DeliverySearch:
    """What a page of deliveries may be narrowed by. ``after``: ``(queued_at, event_id, platform)`` last seen."""

    platform: str | None = None
    status: tuple[str, ...] = ()
    drop_reason: tuple[str, ...] = ()
    queued_since: datetime | None = None
    queued_until: datetime | None = None
    error_contains: str | None = None
    after: tuple[datetime, str, str] | None = None


def page_of_deliveries(merchant_id: int, search: DeliverySearch, limit: int) -> list[DeliveryRow]:
    """Newest queued first, at most ``limit``, by keyset."""
    where = ["merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.platform is not None:
        where.append("platform = %s")
        params.append(search.platform)
    if search.status:
        where.append("status = ANY(%s)")
        params.append(list(search.status))
    if search.drop_reason:
        where.append("status = 'dropped' AND drop_reason = ANY(%s)")
        params.append(list(search.drop_reason))
    if search.queued_since is not None:
        where.append("queued_at >= %s")
        params.append(search.queued_since)
    if search.queued_until is not None:
        where.append("queued_at < %s")
        params.append(search.queued_until)
    if search.error_contains:
        where.append("strpos(lower(last_error), lower(%s)) > 0")
        params.append(search.error_contains)
    if search.after is not None:
        where.append("(queued_at, event_id, platform) < (%s, %s, %s)")
        params.extend(search.after)
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE {' AND '.join(where)} "
        "ORDER BY queued_at DESC, event_id DESC, platform DESC LIMIT %s",
        (*params, limit),
    )
    return [DeliveryRow(*row) for row in found]


def waiting_by_platform(merchant_id: int) -> dict[str, int]:
    """How many deliveries of each platform are neither delivered nor dropped."""
    found = rows(
        "SELECT platform, count(*) FROM deliveries WHERE merchant_id = %s AND due_at IS NOT NULL GROUP BY platform",
        (merchant_id,),
    )
    return dict(found)
