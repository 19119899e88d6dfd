"""What platforms said of the newest events that they took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.domain.delivery import NOTED
from tracklayer.domain.monitors.taken_with_notes import Noted

NEWEST = 1000  # deliveries of a merchant, to whatever platform

# By the index ``deliveries_queued``.
TAKEN = """
WITH newest AS MATERIALIZED (
    SELECT m.merchant_id, d.event_id, d.platform, d.queued_at, d.said
    FROM unnest(%(merchants)s::bigint[]) AS m(merchant_id) CROSS JOIN LATERAL (
        SELECT event_id, platform, queued_at, status, attempt_log -> -1 AS said FROM deliveries
        WHERE merchant_id = m.merchant_id AND queued_at >= %(since)s
        ORDER BY queued_at DESC, event_id DESC, platform DESC LIMIT %(newest)s) AS d
    WHERE d.status = 'delivered'
), counts AS (
    SELECT merchant_id, platform, count(*) AS taken FROM newest GROUP BY 1, 2
)
SELECT merchant_id, platform, min(taken), count(*), (array_agg(said ->> 'note' ORDER BY queued_at DESC, event_id))[1],
       (array_agg(said ->> 'code' ORDER BY queued_at DESC, event_id))[1],
       (array_agg(event_id ORDER BY queued_at DESC, event_id))[1]
FROM newest JOIN counts USING (merchant_id, platform) WHERE said ->> 'note' IS NOT NULL
GROUP BY merchant_id, platform
"""


def notes_of(merchant_ids: Sequence[int], now: datetime, within: timedelta) -> dict[int, dict[str, Noted]]:
    """Merchant -> platform -> what it said of the newest events that it took; without those that said nothing."""
    params: Any = {"merchants": list(merchant_ids), "since": now - within, "newest": NEWEST}
    found: dict[int, dict[str, Noted]] = {}
    for merchant_id, platform, taken, noted, note, code, example in rows(TAKEN, params):
        found.setdefault(merchant_id, {})[platform] = Noted(taken, noted, note, code or NOTED, example)
    return found
