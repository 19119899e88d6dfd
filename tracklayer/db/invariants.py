"""What must always hold, asked of one merchant's rows: each query returns what breaks it, and nothing where all is well.

The callers hold one snapshot for all of them, so that work going on meanwhile is never mistaken for a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import MOST_OF_MINUTE
from tracklayer.db.leases import is_alive

STATEMENT_TIMEOUT = timedelta(minutes=10)  # a recount of a merchant with tens of millions of rows ends within it

_LEASED = """SELECT unnest(event_ids) FROM claims c
    WHERE c.merchant_id = d.merchant_id AND c.platform = d.platform AND c.lease_ends_at > %(late)s"""

# A destination that is paused, rests or was just released is a reason to wait; a window that has ended is none.
OVERDUE = f"""
SELECT d.platform, count(*), min(d.event_id)
FROM deliveries d LEFT JOIN destinations x ON x.merchant_id = d.merchant_id AND x.platform = d.platform
WHERE d.merchant_id = %(merchant)s AND d.due_at IS NOT NULL AND d.event_id NOT IN ({_LEASED})
  AND (d.window_ends_at <= %(late)s OR x.platform IS NULL OR x.removed_at <= %(late)s
       OR (d.due_at <= %(late)s AND x.removed_at IS NULL AND x.state <> 'paused'
           AND (x.resume_at IS NULL OR x.resume_at <= %(late)s)
           AND (x.turn_ends_at IS NULL OR x.turn_ends_at <= %(late)s)
           AND (x.recovering_since IS NULL OR x.recovering_since <= %(released)s)))
GROUP BY d.platform
"""

# What was never tried is due when it is queued, or when the time has come that its event names; the sweep leads back what a clock
# that was ahead put off, within a minute.
PUT_OFF = """
SELECT d.platform, count(*), min(d.event_id)
FROM deliveries d JOIN events e ON e.merchant_id = d.merchant_id AND e.event_id = d.event_id
WHERE d.merchant_id = %(merchant)s AND d.due_at > %(ahead)s AND d.next_retry_at IS NULL AND e.occurred_at < d.due_at
GROUP BY d.platform
"""

WITHOUT_EVENT = """
SELECT d.platform, count(*), min(d.event_id)
FROM deliveries d LEFT JOIN events e ON e.merchant_id = d.merchant_id AND e.event_id = d.event_id
WHERE d.merchant_id = %(merchant)s AND e.event_id IS NULL GROUP BY d.platform
"""

ENRICHMENT_WITHOUT_EVENT = """
SELECT NULL, count(*), min(n.event_id)
FROM enrichments n LEFT JOIN events e ON e.merchant_id = n.merchant_id AND e.event_id = n.event_id
WHERE n.merchant_id = %(merchant)s AND e.event_id IS NULL HAVING count(*) > 0
"""

LOST_LEASES = f"""
SELECT platform, count(*), min(event_ids[1]) FROM claims c
WHERE merchant_id = %(merchant)s
  AND (lease_ends_at <= %(late)s OR (coalesce(sent_at, claimed_at) <= %(late)s AND NOT {is_alive("c.worker")}))
GROUP BY platform
"""

SHARED_LEASES = """
SELECT platform, count(*), min(event_id) FROM (
    SELECT platform, unnest(event_ids) AS event_id FROM claims WHERE merchant_id = %(merchant)s) AS taken
GROUP BY platform HAVING count(*) <> count(DISTINCT event_id)
"""

# Each request that the platform answered about the event, or may have taken, is an attempt; a redelivery counts from 0 again.
IMPOSSIBLE = """
SELECT d.platform, count(*), min(d.event_id)
FROM deliveries d JOIN events e ON e.merchant_id = d.merchant_id AND e.event_id = d.event_id
WHERE d.merchant_id = %(merchant)s AND (
    d.status NOT IN ('queued', 'failed', 'delivered', 'dropped')
    OR (d.due_at IS NULL) <> (d.status IN ('delivered', 'dropped'))
    OR (d.drop_reason IS NOT NULL) <> (d.status = 'dropped') OR (d.delivered_at IS NOT NULL) <> (d.status = 'delivered')
    OR (d.due_at IS NULL) <> (d.finished_at IS NOT NULL) OR d.received_at <> e.received_at
    OR (d.status = 'failed' AND d.attempts = 0)
    OR (d.status = 'delivered' AND (d.attempts = 0 OR d.latency_ms IS NULL))
    OR (d.requeued_at IS NULL AND jsonb_array_length(d.attempt_log) > d.attempts AND d.attempts < (
        SELECT count(*) FROM jsonb_array_elements(d.attempt_log) AS e(entry)
        WHERE entry ->> 'outcome' IN ('acknowledged', 'rejected', 'unknown'))))
GROUP BY d.platform
"""


def _bucket(at: str) -> str:
    """The minute of an instant; of an older one the hour, as the ledger keeps it (services/fold.py) or will soon."""
    return (
        f"CASE WHEN {at} < date_trunc('hour', %(late)s::timestamptz - interval '34 days', 'UTC') "
        f"THEN date_trunc('hour', {at}, 'UTC') ELSE date_trunc('minute', {at}, 'UTC') END"
    )


_RECOUNT = f"""
WITH stored AS (
    SELECT platform, {_bucket("received_at")} AS minute, count(*) AS n,
           count(*) FILTER (WHERE due_at IS NOT NULL) AS waiting,
           count(*) FILTER (WHERE status = 'delivered') AS delivered,
           count(*) FILTER (WHERE status = 'dropped') AS dropped
    FROM deliveries WHERE merchant_id = %(merchant)s GROUP BY 1, 2
), tallied AS (
    SELECT platform, {_bucket("minute")} AS minute, sum(accepted) AS accepted, sum(filtered) AS filtered, sum(routed) AS routed,
           sum(waiting) AS waiting, sum(delivered) AS delivered, sum(dropped) AS dropped, sum(purged) AS purged
    FROM counted WHERE merchant_id = %(merchant)s AND platform <> '' GROUP BY 1, 2
), compared AS (
    SELECT platform, minute, coalesce(c.accepted, 0) AS accepted, coalesce(c.filtered, 0) AS filtered,
           coalesce(c.routed, 0) AS routed, coalesce(c.waiting, 0) AS waiting, coalesce(c.delivered, 0) AS delivered,
           coalesce(c.dropped, 0) AS dropped, coalesce(c.purged, 0) AS purged, coalesce(s.n, 0) AS n,
           coalesce(s.waiting, 0) AS there, coalesce(s.delivered, 0) AS delivered_there,
           coalesce(s.dropped, 0) AS dropped_there
    FROM stored s FULL JOIN tallied c USING (platform, minute)
)
"""

# What was routed is there, or was purged: exact, whatever destinations came, changed and went meanwhile.
WITHOUT_DELIVERIES = f"""
{_RECOUNT}
SELECT platform, sum(routed - n - purged)::bigint,
       (SELECT min(e.event_id) FROM events e
        WHERE e.merchant_id = %(merchant)s AND e.received_at >= min(compared.minute)
          AND e.received_at < min(compared.minute) + interval '1 minute'
          AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.merchant_id = e.merchant_id AND d.event_id = e.event_id
                          AND d.platform = compared.platform))
FROM compared WHERE routed > n + purged GROUP BY platform
"""

LEDGER = f"""
{_RECOUNT}
SELECT platform, count(*), NULL FROM compared
WHERE accepted <> filtered + routed OR routed <> delivered + dropped + waiting OR waiting <> there
   OR routed < n + purged OR delivered + dropped - purged <> delivered_there + dropped_there
   OR (purged = 0 AND (delivered <> delivered_there OR dropped <> dropped_there))
GROUP BY platform
"""

REASONS = f"""
WITH stored AS (
    SELECT platform, {_bucket("received_at")} AS minute, drop_reason AS reason, count(*) AS n
    FROM deliveries WHERE merchant_id = %(merchant)s AND status = 'dropped' GROUP BY 1, 2, 3
), tallied AS (
    SELECT platform, {_bucket("minute")} AS minute, r.key AS reason, sum(r.value::int) AS n
    FROM counted, jsonb_each_text(drop_reasons) AS r WHERE merchant_id = %(merchant)s GROUP BY 1, 2, 3
), purged AS (
    SELECT platform, {_bucket("minute")} AS minute FROM counted WHERE merchant_id = %(merchant)s AND purged > 0
)
SELECT platform, count(DISTINCT minute), NULL
FROM stored s FULL JOIN tallied c USING (platform, minute, reason)
WHERE coalesce(s.n, 0) <> coalesce(c.n, 0) AND (platform, minute) NOT IN (SELECT platform, minute FROM purged)
GROUP BY platform
"""

EVENTS = f"""
SELECT NULL, count(*), NULL FROM (
    SELECT {_bucket("received_at")} AS minute, count(*) AS n
    FROM events WHERE merchant_id = %(merchant)s GROUP BY 1) AS stored
FULL JOIN (
    SELECT {_bucket("minute")} AS minute, sum(accepted) AS accepted, sum(purged) AS purged
    FROM counted WHERE merchant_id = %(merchant)s AND platform = '' GROUP BY 1) AS tallied USING (minute)
WHERE coalesce(accepted, 0) <> coalesce(n, 0) + coalesce(purged, 0) HAVING count(*) > 0
"""

QUEUES = """
SELECT platform, abs(coalesce(waiting, 0) - coalesce(n, 0))::bigint, NULL FROM (
    SELECT platform, count(*) AS n FROM deliveries WHERE merchant_id = %(merchant)s AND due_at IS NOT NULL GROUP BY 1
    ) AS stored
FULL JOIN (
    SELECT platform, sum(waiting) AS waiting FROM queues WHERE merchant_id = %(merchant)s GROUP BY 1
    ) AS counted USING (platform)
WHERE coalesce(waiting, 0) <> coalesce(n, 0)
"""

# Of the last day. Not less: processes of an older version, which count neither, may still receive events in an upgrade.
_DAY = "minute >= date_trunc('hour', %(late)s::timestamptz, 'UTC') - interval '1 day'"
_RECEIVED = f"""
received AS (
    SELECT minute, sum(accepted) AS accepted, sum(rejected) AS rejected FROM counted
    WHERE merchant_id = %(merchant)s AND platform = '' AND {_DAY} AND {_DAY.replace("minute", "hour")} GROUP BY minute)
"""
COVERAGE = f"""
WITH RECURSIVE names AS (
    SELECT min(event_name) AS event_name FROM coverage WHERE merchant_id = %(merchant)s
    UNION ALL
    SELECT (SELECT min(event_name) FROM coverage WHERE merchant_id = %(merchant)s AND event_name > n.event_name)
    FROM names n WHERE n.event_name IS NOT NULL
), covered AS (
    SELECT c.minute, sum(c.events) AS events FROM names n CROSS JOIN LATERAL (
        SELECT minute, events FROM coverage
        WHERE merchant_id = %(merchant)s AND event_name = n.event_name AND {_DAY}) AS c GROUP BY c.minute
), {_RECEIVED}
SELECT NULL, count(*), NULL FROM covered LEFT JOIN received USING (minute)
WHERE events > coalesce(accepted, 0) HAVING count(*) > 0
"""
REJECTIONS = f"""
WITH refused AS (
    SELECT minute, sum(events) AS events FROM rejections WHERE merchant_id = %(merchant)s AND {_DAY} GROUP BY minute
), {_RECEIVED}
SELECT NULL, count(*), NULL FROM refused LEFT JOIN received USING (minute)
WHERE events > coalesce(rejected, 0) AND coalesce(rejected, 0) < {MOST_OF_MINUTE} HAVING count(*) > 0
"""

# kind -> (the query for what breaks it, in words with the number in front)
INVARIANTS: Mapping[str, tuple[str, str]] = {
    "overdue": (OVERDUE, "deliveries wait for more than a minute longer than they should, and nothing says why"),
    "put_off": (PUT_OFF, "deliveries that were never tried wait for a time to come that their events do not name"),
    "event_without_deliveries": (WITHOUT_DELIVERIES, "deliveries that were made when their events arrived are gone"),
    "delivery_without_event": (WITHOUT_EVENT, "deliveries have no event"),
    "enrichment_without_event": (
        ENRICHMENT_WITHOUT_EVENT,
        "events are gone, and what was added to them is still there",
    ),
    "lost_lease": (LOST_LEASES, "batches are held by workers that are gone: no sweep takes them back"),
    "shared_lease": (SHARED_LEASES, "deliveries are claimed, some of them by two workers at once"),
    "impossible": (IMPOSSIBLE, "deliveries are in a state that cannot be"),
    "ledger": (LEDGER, "minutes of the ledger differ from the deliveries that are stored"),
    "ledger_reasons": (REASONS, "minutes of the ledger count other reasons for dropping than the deliveries have"),
    "ledger_events": (EVENTS, "minutes of the ledger differ from the events that are stored"),
    "ledger_queues": (QUEUES, "deliveries are too many or too few in what is counted as waiting"),
    "coverage": (COVERAGE, "minutes of the last day count the fields of more events than were accepted"),
    "rejections": (REJECTIONS, "minutes of the last day count more refused events by code than were refused"),
}


def take_snapshot() -> None:
    """Makes all that this transaction reads one moment. Must be its first statement."""
    execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def broken(
    kind: str, merchant_id: int, late: datetime, released: datetime, ahead: datetime
) -> list[tuple[str | None, int, str | None]]:
    """(platform, how many, an event id) of what breaks one of ``INVARIANTS``.

    ``late``: what was due before should have been done. ``released``: a destination released before is at full pace. ``ahead``:
    nothing that is queued is due after that.
    """
    params: Any = {"merchant": merchant_id, "late": late, "released": released, "ahead": ahead}
    return [(row[0], int(row[1]), row[2]) for row in rows(INVARIANTS[kind][0], params)]
