"""What was dropped because a destination takes no events of that source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.domain.monitors.source_not_taken import NotTaken

Found = dict[str, list[NotTaken]]  # by platform
NEWEST = 2000  # drops of a merchant, for whatever reason

# The newest drops by the index ``deliveries_dropped``; of these, the events of those that are meant.
DROPPED = """
WITH newest AS MATERIALIZED (
    SELECT m.merchant_id, d.event_id, d.platform, d.drop_reason, d.drop_field, d.last_error, d.finished_at
    FROM unnest(%(merchants)s::bigint[]) AS m(merchant_id) CROSS JOIN LATERAL (
        SELECT event_id, platform, drop_reason, drop_field, last_error, finished_at FROM deliveries
        WHERE merchant_id = m.merchant_id AND status = 'dropped' AND finished_at >= %(since)s
        ORDER BY finished_at DESC LIMIT %(newest)s) AS d
), counts AS (
    SELECT merchant_id, count(*) AS dropped FROM newest GROUP BY 1
)
SELECT n.merchant_id, n.platform, e.action_source, e.event_name, count(*),
       (array_agg(n.event_id ORDER BY n.finished_at DESC))[1], (array_agg(n.last_error ORDER BY n.finished_at DESC))[1],
       min(c.dropped)
FROM newest n JOIN counts c USING (merchant_id)
CROSS JOIN LATERAL (
    SELECT action_source, event_name FROM events
    WHERE merchant_id = n.merchant_id AND event_id = n.event_id OFFSET 0) AS e  -- each by its key, whatever is estimated
WHERE n.drop_reason = 'unsupported_event' AND n.drop_field = 'action_source'
GROUP BY n.merchant_id, n.platform, e.action_source, e.event_name
ORDER BY n.merchant_id, n.platform, count(*) DESC, e.action_source, e.event_name
"""


def not_taken_sources(merchant_ids: Sequence[int], now: datetime, within: timedelta) -> dict[int, tuple[Found, bool]]:
    """Merchant -> (what was dropped for its source by platform, whether that is all of it)."""
    params: Any = {"merchants": list(merchant_ids), "since": now - within, "newest": NEWEST}
    found: dict[int, tuple[Found, bool]] = {}
    for merchant_id, platform, source, name, count, example, message, dropped in rows(DROPPED, params):
        of_one, _ = found.setdefault(merchant_id, ({}, dropped < NEWEST))
        of_one.setdefault(platform, []).append(NotTaken(source, name, count, example, message or ""))
    return found
