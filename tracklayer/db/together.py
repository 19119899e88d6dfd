"""Deliveries of many destinations at once: leased, begun and settled together. Of one: ``leases`` and ``settling``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import LATENCY_BOUNDS, Changes
from tracklayer.db.deliveries import LOG_LENGTH
from tracklayer.db.events import MAPPED, TO_MAP, EventToMap
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.db.leases import LEASE, WITHOUT_FLUSH, Claimed, Lease
from tracklayer.db.settling import (
    AS_DELIVERED,
    NOT_DONE,
    PLACE,
    Delivered,
    count_delivered,
    note_repeats,
    repeats_of,
)
from tracklayer.domain.delivery import Claim, DeliveryKey

# What workers have in their hands is gathered once for each destination: there is little of it where many are claimed.
CLAIM = f"""
WITH wanted AS MATERIALIZED (
    SELECT merchant_id, platform, taken.ids
    FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS w(merchant_id, platform)
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(id), '{{}}') AS ids FROM claims c CROSS JOIN unnest(c.event_ids) AS id
        WHERE c.merchant_id = w.merchant_id AND c.platform = w.platform) AS taken
), due AS MATERIALIZED (
    SELECT w.merchant_id, w.platform, d.* FROM wanted w CROSS JOIN LATERAL (
        SELECT event_id, attempts, received_at, due_at, window_ends_at FROM deliveries
        WHERE merchant_id = w.merchant_id AND platform = w.platform AND due_at <= %(now)s AND event_id <> ALL (w.ids)
        ORDER BY due_at LIMIT %(limit)s) AS d
), claim AS (
    INSERT INTO claims (merchant_id, platform, worker, claimed_at, lease_ends_at, event_ids)
    SELECT merchant_id, platform, %(worker)s, %(now)s, %(lease)s, array_agg(event_id) FROM due GROUP BY merchant_id, platform
    RETURNING merchant_id, platform, claim_id
)
SELECT {TO_MAP}, d.attempts, d.received_at, d.due_at, d.window_ends_at, d.platform, claim.claim_id
FROM claim JOIN due d USING (merchant_id, platform) CROSS JOIN LATERAL (
    SELECT * FROM events WHERE merchant_id = d.merchant_id AND event_id = d.event_id LIMIT 1) AS e
ORDER BY d.due_at, e.event_id
"""
# Each lease and each delivery is looked up by its key, however old the planner's statistics are.
BY_KEY = (
    "SELECT set_config('lock_timeout', %s, true), set_config('enable_hashjoin', 'off', true), "
    "set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true)"
)
_OF_LEASES = """unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(claims)s::bigint[]) AS w(merchant, platform, claim)
WHERE c.merchant_id = w.merchant AND c.platform = w.platform AND c.claim_id = w.claim"""
START = f"""
UPDATE claims c SET sending = event_ids, sent_at = %(now)s, lease_ends_at = %(lease)s
FROM {_OF_LEASES} RETURNING c.claim_id, c.event_ids
"""
END = f"DELETE FROM claims c USING {_OF_LEASES} RETURNING c.claim_id, c.event_ids, c.erasing"
_OF_EACH = {"started": "w.started", "logged": "w.logged"}
SETTLE = f"""
WITH done AS (
    UPDATE deliveries d {AS_DELIVERED.format(**_OF_EACH)}
    FROM json_to_recordset(%(done)s::json) AS w(
        merchant bigint, name text, event text, started timestamptz, logged jsonb)
    WHERE d.merchant_id = w.merchant AND d.event_id = w.event AND d.platform = w.name AND d.{NOT_DONE}
    RETURNING d.merchant_id, d.platform, d.received_at, d.latency_ms, d.attempts, d.queued_at
)
SELECT merchant_id, platform, date_trunc('minute', received_at, 'UTC') AS minute, {PLACE} AS place, count(*),
       count(*) FILTER (WHERE attempts > 1)
FROM done GROUP BY merchant_id, platform, minute, place
"""


def claim_due(queues: Sequence[tuple[int, str]], limit: int, now: datetime, worker: int) -> dict[Lease, list[Claimed]]:
    """The longest due deliveries of each of some queues, whose locks this transaction holds, leased to ``worker``.

    ``limit``: of one queue. Where nothing is due there is no lease.
    """
    execute(f"SELECT {WITHOUT_FLUSH}")
    params: Any = {
        "merchants": [merchant_id for merchant_id, _ in queues],
        "platforms": [platform for _, platform in queues],
        "now": now,
        "limit": limit,
        "worker": worker,
        "lease": now + LEASE,
    }
    found: dict[Lease, list[Claimed]] = {}
    for row in rows(CLAIM, params):
        event, (*of_claim, platform, claim_id) = EventToMap._make(row[:MAPPED]), row[MAPPED:]
        claim = Claim(DeliveryKey(event.merchant_id, event.event_id, platform), *of_claim)
        found.setdefault(Lease(event.merchant_id, platform, claim_id), []).append(Claimed(claim, event))
    return found


def start_sending(leases: Sequence[Lease], now: datetime, lock_ms: int) -> dict[int, set[str]]:
    """Notes that all that is in these leases is about to leave, and renews them; what that is, by the numbers of those that were
    not lost.

    It is less than was claimed where a late answer has settled some of it. ``lock_ms``: how long this transaction waits for each
    of its locks.
    """
    execute(BY_KEY, (str(lock_ms),))
    params: Any = {**_keys(leases), "now": now, "lease": now + LEASE}
    return {claim_id: set(event_ids) for claim_id, event_ids in rows(START, params)}


def end_leases(leases: Sequence[Lease], lock_ms: int) -> dict[int, Sequence[str]]:
    """The numbers of those that were not lost -> what an erasure waits for, as of ``leases.end_lease``. ``lock_ms``: as for
    ``start_sending``.
    """
    execute(BY_KEY, (str(lock_ms),))
    params: Any = _keys(leases)
    return {row[0]: row[2] for row in rows(END, params)}


def settle_delivered(done: Sequence[tuple[Lease, Delivered]], now: datetime, changes: Changes) -> None:
    """Writes acknowledgements to rows of leases that this transaction has just ended."""
    records = [
        {
            "merchant": lease.merchant_id,
            "name": lease.platform,
            "event": event_id,
            "started": delivered.started_at,
            "logged": logged,
        }
        for lease, delivered in done
        for logged in (delivered.first_log(now),)
        for event_id in delivered.event_ids
    ]
    params: Any = {"done": JsonLiteral(records), "now": now, "log": LOG_LENGTH, "bounds": list(LATENCY_BOUNDS)}
    total = 0
    for merchant_id, platform, minute, place, count, again in rows(SETTLE, params):
        count_delivered(merchant_id, platform, minute, place, count, again, now, changes)
        total += count
    if total < len(records):
        for lease, delivered in done:
            note_repeats(lease, repeats_of(delivered, now), now, changes)


def _keys(leases: Sequence[Lease]) -> dict[str, Any]:
    return {
        "merchants": [lease.merchant_id for lease in leases],
        "platforms": [lease.platform for lease in leases],
        "claims": [lease.claim_id for lease in leases],
    }
