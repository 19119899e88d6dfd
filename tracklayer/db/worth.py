"""What the sales are worth that wait for a platform, or were lost to it: of a bounded number of deliveries, by their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from tracklayer.db.connection import rows
from tracklayer.db.monitors import Key
from tracklayer.domain.delivery import DeliveryStatus, DropReason
from tracklayer.domain.event_names import is_sale
from tracklayer.domain.monitors.worth import CAME_TOO_LATE, NOTHING, Worth, of_several, worth_of

# Deliveries of a destination that wait, those due longest; and of each reason for which it dropped some.
MOST_ADDED = 1000
LOST = frozenset(
    {
        DropReason.RETRIES_EXHAUSTED,
        DropReason.WINDOW_EXPIRED,
        DropReason.MISSING_IDENTIFIERS,
        DropReason.INVALID_FIELD,
        DropReason.EVENT_TOO_OLD,
    }
)
_TOLD = {*LOST, CAME_TOO_LATE}
# How many seconds old an event may be for a platform, by its action source, where that has an end.
Ages = Mapping[str, float]

# What an event brings itself, by event name and currency. Each by its key: ``LIMIT 1`` keeps the planner from joining.
_OF_EVENTS = """
CROSS JOIN LATERAL (
    SELECT event_name, occurred_at, action_source, custom_data ->> 'currency' AS currency,
           CASE WHEN json_typeof(custom_data -> 'value') = 'number' THEN (custom_data ->> 'value')::numeric END AS value
    FROM events WHERE merchant_id = x.merchant_id AND event_id = d.event_id LIMIT 1) AS e
GROUP BY 1, 2, 3, 4, 5
"""
WAITING = f"""
SELECT x.merchant_id, x.platform, d.status, e.event_name, e.currency, sum(e.value) FILTER (WHERE e.value > 0), max(d.read), count(*)
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS x(merchant_id, platform)
CROSS JOIN LATERAL (
    SELECT event_id, status, count(*) OVER () AS read FROM (
        SELECT event_id, status FROM deliveries
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND due_at IS NOT NULL
        ORDER BY due_at LIMIT {MOST_ADDED}) AS oldest) AS d {_OF_EVENTS}
"""
# Of the newest that were dropped, those that were since an instant. ``read``: of how many that is, here and above.
DROPPED = f"""
SELECT x.merchant_id, x.platform,
       CASE WHEN r.reason = '{DropReason.EVENT_TOO_OLD}'
                 AND d.received_at - e.occurred_at >= make_interval(secs => (x.ages ->> e.action_source)::float8)
            THEN '{CAME_TOO_LATE}' ELSE r.reason END,
       e.event_name, e.currency, sum(e.value) FILTER (WHERE e.value > 0), max(d.read), count(*)
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(since)s::timestamptz[], %(ages)s::jsonb[])
    AS x(merchant_id, platform, since, ages)
CROSS JOIN unnest(%(reasons)s::text[]) AS r(reason)
CROSS JOIN LATERAL (
    SELECT event_id, received_at, read FROM (
        SELECT event_id, received_at, finished_at, count(*) OVER () AS read FROM (
            SELECT event_id, received_at, finished_at FROM deliveries
            WHERE merchant_id = x.merchant_id AND platform = x.platform AND drop_reason = r.reason
            ORDER BY queued_at DESC, event_id DESC LIMIT {MOST_ADDED}) AS newest) AS counted
    WHERE finished_at >= x.since OFFSET 0) AS d {_OF_EVENTS}
"""


@dataclass(frozen=True, slots=True)
class Sales:
    """Worth of the sales of a destination: that wait, of those the ones that were tried in vain, and lost, by reason (``CAME_TOO_LATE``
    apart from what became too old while it waited).

    ``dropped``: how many deliveries were lost, whatever they are worth; ``read``: of how many all this is.
    """

    waiting: Worth = NOTHING
    failing: Worth = NOTHING
    lost: Mapping[str, Worth] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    read: int = field(default=0, compare=False)


def sales_at(since: Mapping[Key, datetime], ages: Mapping[Key, Ages] = {}) -> dict[Key, Sales]:
    """Of destinations; ``since``: from when on what was dropped counts. Events that are no sale, or that bring no value above

    zero or no currency, add nothing. At most 1,000 that wait are added up, those due longest, and 1,000 dropped ones a reason, the
    newest: where there are more, a sum is one of at least so much.
    """
    if not since:
        return {}
    params: Any = {"merchants": [key[0] for key in since], "platforms": [key[1] for key in since]}
    waiting, failing, lost = _Sums(), _Sums(), _dropped(since, LOST, ages)
    for merchant_id, platform, status, *sale in rows(WAITING, params):
        waiting.add((merchant_id, platform, ""), *sale)
        if status == DeliveryStatus.FAILED:
            failing.add((merchant_id, platform, ""), *sale)
    return {
        key: Sales(
            waiting.of((*key, "")),
            failing.of((*key, "")),
            {reason: lost.of((*key, reason)) for reason in _TOLD if lost.count[*key, reason]},
            {reason: count for reason in _TOLD if (count := lost.count[*key, reason])},
            waiting.read[key] + lost.read[key],
        )
        for key in since
    }


def lost_since(
    since: Mapping[Key, datetime], reasons: Collection[str], ages: Mapping[Key, Ages]
) -> tuple[Mapping[str, int], Worth]:
    """(how many deliveries of these destinations were dropped, by such reasons, what their sales are worth), with the same bounds.

    An event that was lost to several is no more worth for that.
    """
    lost = _dropped(since, LOST.intersection(reasons), ages)
    each = [sum((lost.of((*key, reason)) for reason in reasons), NOTHING) for key in since]
    counts = {reason: sum(lost.count[*key, reason] for key in since) for reason in reasons}
    return counts, of_several(each)


def _dropped(since: Mapping[Key, datetime], reasons: Collection[DropReason], ages: Mapping[Key, Ages]) -> _Sums:
    params: Any = {
        "merchants": [key[0] for key in since],
        "platforms": [key[1] for key in since],
        "since": list(since.values()),
        "ages": [orjson.dumps(ages.get(key, {})).decode() for key in since],
        "reasons": sorted(reasons),
    }
    found = _Sums()
    for merchant_id, platform, reason, *sale in rows(DROPPED, params):
        found.add((merchant_id, platform, reason), *sale)
    return found


class _Sums:
    """By (merchant id, platform, reason or '')."""

    def __init__(self) -> None:
        self.read: Counter[Key] = Counter()
        self.count: Counter[tuple[int, str, str]] = Counter()
        self._found: dict[tuple[int, str, str], Worth] = {}

    def add(
        self,
        key: tuple[int, str, str],
        event_name: str,
        currency: str | None,
        value: Decimal | None,
        read: int,
        count: int,
    ) -> None:
        self.count[key] += count
        if key not in self._found:
            self.read[key[:2]] += read
        one = worth_of([(currency, value)] if is_sale(event_name) else (), is_all=read < MOST_ADDED)
        self._found[key] = self.of(key) + one

    def of(self, key: tuple[int, str, str]) -> Worth:
        return self._found.get(key, NOTHING)
