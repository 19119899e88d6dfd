"""How a merchant's destinations stand: what happened there of late, and what waits for longest. Each by its index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import rows
from tracklayer.db.counters import KEPT_BY_MINUTE, counted_in

DELIVERED_WITHIN = KEPT_BY_MINUTE  # how far back the last acknowledgement is looked for
BESIDES = timedelta(hours=2)  # what arrived longer ago than its window and this, and waits, has begun anew
FIRST_DUE, LONGEST = 100, 20  # looked at of what is due first, and of what waits longest


class Lately(NamedTuple):
    """``acknowledged_at``: the last minute with an acknowledgement. The counts are of the minutes since an instant."""

    acknowledged_at: datetime | None
    arrived: int
    left: int
    acknowledged: int


class WaitingRow(NamedTuple):
    """``since``: when it was queued, or redelivered."""

    since: datetime
    window_ends_at: datetime
    occurred_at: datetime
    action_source: str


# What was counted lately is not in hours yet, and is little. Of all else the last hour with an acknowledgement, and its minutes:
# where there is none for long, or never was, no minute is read.
LATELY = f"""
WITH counting AS MATERIALIZED (
    SELECT platform, max(minute) AS minute FROM minutes
    WHERE merchant_id = %(merchant)s AND slot <> 0 AND minute >= %(oldest)s AND minute <= %(now)s AND acknowledged > 0 GROUP BY platform
)
SELECT x.platform, greatest(counting.minute, folded.minute), flow.arrived, flow.finished, flow.acknowledged
FROM unnest(%(platforms)s::text[]) AS x(platform)
LEFT JOIN counting ON counting.platform = x.platform
LEFT JOIN LATERAL (
    SELECT last.minute FROM ledger_hours h CROSS JOIN LATERAL (
        SELECT minute FROM counted
        WHERE merchant_id = %(merchant)s AND platform = x.platform AND {counted_in("h.hour", "h.hour + interval '1 hour'")}
          AND minute >= %(oldest)s AND minute <= %(now)s AND acknowledged > 0
        ORDER BY minute DESC LIMIT 1) AS last
    WHERE h.merchant_id = %(merchant)s AND h.platform = x.platform AND h.acknowledged > 0
      AND h.hour >= date_trunc('hour', %(oldest)s::timestamptz, 'UTC') AND h.hour <= %(now)s
    ORDER BY h.hour DESC LIMIT 1) AS folded ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(routed + requeued), 0)::bigint AS arrived, coalesce(sum(finished), 0)::bigint AS finished,
           coalesce(sum(acknowledged), 0)::bigint AS acknowledged
    FROM counted WHERE merchant_id = %(merchant)s AND platform = x.platform AND {counted_in(until=None)}
      AND minute <= %(now)s) AS flow
"""


def lately(merchant_id: int, platforms: Sequence[str], since: datetime, now: datetime) -> dict[str, Lately]:
    """By platform, what happened from ``since``, a full minute, on."""
    params: Any = {
        "merchant": merchant_id,
        "platforms": list(platforms),
        "since": since,
        "oldest": now - DELIVERED_WITHIN,
        "now": now,
    }
    return {row[0]: Lately(*row[1:]) for row in rows(LATELY, params)}


# Those due first, by the index that workers claim by; and of the first minute in which something arrived that still
# waits, which the ledger knows: one that failed may be due long after others that came later.
LONGEST_WAITING = f"""
WITH asked AS (SELECT * FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS x(merchant_id, platform)), found AS (
    SELECT x.merchant_id, x.platform, d.* FROM asked x CROSS JOIN LATERAL (
        SELECT event_id, coalesce(requeued_at, queued_at) AS since, window_ends_at FROM deliveries
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND due_at IS NOT NULL
        ORDER BY due_at LIMIT %(first_due)s) AS d
    UNION
    SELECT x.merchant_id, x.platform, d.* FROM asked x CROSS JOIN LATERAL (
        SELECT minute FROM counted
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND {counted_in("%(oldest)s", None)} AND waiting <> 0
        GROUP BY minute HAVING sum(waiting) > 0 ORDER BY minute LIMIT 1) AS m
    CROSS JOIN LATERAL (
        SELECT event_id, coalesce(requeued_at, queued_at) AS since, window_ends_at FROM deliveries
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND queued_at >= m.minute
          AND queued_at < m.minute + interval '1 minute' AND status IN ('queued', 'failed')
        ORDER BY queued_at LIMIT %(longest)s) AS d
)
SELECT f.merchant_id, f.platform, f.since, f.window_ends_at, e.occurred_at, e.action_source
FROM found f CROSS JOIN LATERAL (
    SELECT occurred_at, action_source FROM events
    WHERE merchant_id = f.merchant_id AND event_id = f.event_id OFFSET 0) AS e  -- each by its key
"""


def longest_waiting(
    merchant_id: int, platforms: Sequence[str], window: timedelta, now: datetime
) -> dict[str, list[WaitingRow]]:
    """By platform, a bounded number of what waits longest and what is due first, in any order; none: it is left out.

    ``window``: how long a delivery waits at most.
    """
    found = longest_waiting_of([(merchant_id, platform) for platform in platforms], window, now)
    return {key[1]: waiting for key, waiting in found.items()}


def longest_waiting_of(
    keys: Sequence[tuple[int, str]], window: timedelta, now: datetime, first_due: int = FIRST_DUE
) -> dict[tuple[int, str], list[WaitingRow]]:
    """The same of several merchants' destinations, by (merchant, platform). ``first_due``: how many of what is due first."""
    params: Any = {
        "merchants": [key[0] for key in keys],
        "platforms": [key[1] for key in keys],
        "oldest": now - window - BESIDES,
        "first_due": first_due,
        "longest": LONGEST,
    }
    found: dict[tuple[int, str], list[WaitingRow]] = {}
    for row in rows(LONGEST_WAITING, params) if keys else ():
        found.setdefault((row[0], row[1]), []).append(WaitingRow(*row[2:]))
    return found
