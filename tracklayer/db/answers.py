"""The last answers of a platform: found by when something was answered last, and from there by index, a bounded number of rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.db.counters import KEPT_BY_MINUTE, last_counted
from tracklayer.db.deliveries import COLUMNS, DeliveryRow

WITHIN = KEPT_BY_MINUTE  # how far back answers are looked for
LOOKED = 100  # deliveries of each kind

# The last minute with an answer, the last one with an acknowledgement, and what is due first of all that waits.
_OF = ("%(merchant)s", "%(platform)s", "%(oldest)s", "%(now)s")
_ANY_ANSWER = "acknowledged + refused + rate_limited + credentials_refused + unreachable + unknown > 0"
LAST_ANSWERED = f"""
SELECT {last_counted(*_OF, _ANY_ANSWER)},
       {last_counted(*_OF, "acknowledged > 0", "acknowledged > 0")},
       (SELECT due_at FROM deliveries
        WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)
"""

# What waits for its next attempt; what keeps its place in the queue, up to what was asked for last; what was
# acknowledged of late, which was queued before all that waits; and what was given up in that minute.
LATELY_ANSWERED = f"""
(SELECT {COLUMNS} FROM deliveries
 WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND due_at IS NOT NULL AND due_at > %(now)s
 ORDER BY due_at DESC LIMIT %(looked)s)
UNION ALL
(SELECT {COLUMNS} FROM deliveries
 WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND due_at IS NOT NULL AND due_at < %(until)s
   AND due_at <= %(now)s
 ORDER BY due_at DESC LIMIT %(looked)s)
UNION ALL
(SELECT {COLUMNS} FROM deliveries
 WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND status = 'delivered'
   AND queued_at < %(acknowledged)s AND queued_at >= %(begun)s
 ORDER BY queued_at DESC LIMIT %(few)s)
UNION ALL
(SELECT {COLUMNS} FROM deliveries
 WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND status = 'dropped' AND last_attempt_at IS NOT NULL
   AND finished_at < %(until)s AND finished_at >= %(until)s - interval '2 minutes'
 ORDER BY finished_at DESC LIMIT %(few)s)
"""


def lately_answered(merchant_id: int, platform: str, few: int, window: timedelta, now: datetime) -> list[DeliveryRow]:
    """Deliveries with the last answers of a platform among their attempts, the last attempted first; ``few`` at most.

    ``window``: how long a delivery waits at most. Under a storm of failures it may be one of the last that is told, and
    not the very last.
    """
    asked: Any = {"merchant": merchant_id, "platform": platform, "oldest": now - WITHIN, "now": now}
    answered, acknowledged, due_first = rows(LAST_ANSWERED, asked)[0]
    if answered is None:
        return []
    minute = timedelta(minutes=1)
    last = acknowledged + minute if acknowledged is not None else answered
    params: Any = {
        **asked,
        "until": answered + minute,
        "acknowledged": min(last, due_first) if due_first is not None else last,
        "begun": (acknowledged if acknowledged is not None else now) - window,
        "looked": LOOKED,
        "few": few,
    }
    found = [DeliveryRow(*row) for row in rows(LATELY_ANSWERED, params)]
    tried = [row for row in found if row.last_attempt_at is not None]
    return sorted(tried, key=lambda row: row.last_attempt_at or now, reverse=True)[:few]
