"""The ledger, read: the minutes of every backend that counted, added up by bucket."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.db.counters import LATENCY_BOUNDS, counted_in
from tracklayer.db.events import PURGED
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.ledger import Cohort, bucket_of

REASONS = (*(reason.value for reason in DropReason), PURGED)
PLACES = len(LATENCY_BOUNDS) + 1
_SUMMED = ("accepted", "coalesced", "rejected", "filtered", "routed", "delivered", "dropped", "waiting", "purged")

# The destinations, removed ones too, name the platforms there can be minutes of: so each is one range of the primary
# key. One statement is one moment. Plain sums of each place and reason cost a fraction of adding up arrays and objects.
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in _SUMMED)
_REASONS = ", ".join(f"coalesce(sum((drop_reasons ->> '{reason}')::int), 0)" for reason in REASONS)
_LATENCY = ", ".join(f"coalesce(sum(latency[{place}]), 0)" for place in range(1, PLACES + 1))
_WHOSE = """merchant_id = %(merchant)s
      AND platform = ANY(ARRAY(SELECT platform FROM destinations WHERE merchant_id = %(merchant)s) || ARRAY[''])"""
_COLUMNS = ", ".join((*_SUMMED, "drop_reasons", "latency"))
_MINUTES = f"SELECT minute AS at, platform, {_COLUMNS} FROM counted WHERE {_WHOSE}"
# Hours, which hold what is folded, and what was counted since: the two are of one moment, as the statement is one.
_HOURS = f"""
    SELECT hour AS at, platform, {_COLUMNS} FROM ledger_hours
    WHERE {_WHOSE} AND hour >= %(first)s AND hour < %(last)s
    UNION ALL
    SELECT minute AS at, platform, {_COLUMNS} FROM minutes
    WHERE {_WHOSE} AND slot <> 0 AND minute >= %(first)s AND minute < %(last)s"""
_SUMMED_UP = f"""
SELECT m.bucket, m.platform, {", ".join(f"m.{name}" for name in _SUMMED)}, coalesce(x.state <> 'active', false),
       m.reasons, m.latency
FROM (
    SELECT {{bucket}} AS bucket, platform, {_SUMS},
           ARRAY[{_REASONS}]::bigint[] AS reasons, ARRAY[{_LATENCY}]::bigint[] AS latency
    FROM ({{counted}}) AS counted GROUP BY bucket, platform
) m LEFT JOIN destinations x ON x.merchant_id = %(merchant)s AND x.platform = m.platform AND x.removed_at IS NULL
WHERE ({", ".join(f"m.{name}" for name in _SUMMED)}) <> ({", ".join("0" for _ in _SUMMED)})
"""
_BUCKET = "date_trunc(%(bucket)s, at, 'UTC')"
LEDGER_OF = {
    "minute": _SUMMED_UP.format(bucket=_BUCKET, counted=f"{_MINUTES} AND {counted_in()}"),
    "hour": _SUMMED_UP.format(bucket=_BUCKET, counted=_HOURS),
    "day": _SUMMED_UP.format(bucket=_BUCKET, counted=_HOURS),
}
# All as one: whole hours, and minutes only where an hour lies in it in part.
LEDGER_AS_ONE = _SUMMED_UP.format(
    bucket="%(since)s::timestamptz",
    counted=f"""{_HOURS}
    UNION ALL {_MINUTES} AND {counted_in(until="%(first)s")}
    UNION ALL {_MINUTES} AND {counted_in(since="%(last)s")}""",
)


def ledger(merchant_id: int, since: datetime, until: datetime, bucket: str) -> list[Cohort]:
    """What the events that arrived from ``since`` up to ``until`` came to, by bucket (minute, hour, day) and platform.

    Both are beginnings of buckets.
    The rows without a platform hold what was counted of events; ``with_totals`` adds the sums of deliveries.
    """
    params: Any = {
        "merchant": merchant_id,
        "since": since,
        "until": until,
        "first": since,
        "last": until,
        "bucket": bucket,
    }
    return [_cohort(row) for row in rows(LEDGER_OF[bucket], params)]


def ledger_as_one(merchant_id: int, since: datetime, until: datetime) -> list[Cohort]:
    """What ``ledger`` finds, added up to one bucket that begins at ``since``. Both are full minutes."""
    return [_cohort(row) for row in rows(LEDGER_AS_ONE, as_one_params(merchant_id, since, until))]


def as_one_params(merchant_id: int, since: datetime, until: datetime) -> Any:
    first = bucket_of(since + timedelta(hours=1) - timedelta.resolution, "hour")
    last = bucket_of(until, "hour")
    if first >= last:  # no hour is whole
        first = last = until
    return {"merchant": merchant_id, "since": since, "until": until, "first": first, "last": last}


EVENTS_ACCEPTED = f"""
SELECT coalesce(sum(accepted), 0)::bigint FROM counted
WHERE merchant_id = %(merchant)s AND platform = '' AND {counted_in()}
"""


def events_accepted(merchant_id: int, since: datetime, until: datetime) -> int:
    """How many events arrived from ``since`` up to ``until``, by whole minutes: of counters, and so of deleted ones too."""
    params: Any = {"merchant": merchant_id, "since": since, "until": until}
    return int(rows(EVENTS_ACCEPTED, params)[0][0])


def _cohort(row: tuple[Any, ...]) -> Cohort:
    start, platform, accepted, coalesced, rejected, filtered, routed, delivered, dropped, waiting, purged = row[:11]
    is_held, reasons, latency = row[11:]
    return Cohort(
        start,
        platform or None,
        accepted,
        coalesced,
        rejected,
        filtered,
        routed,
        delivered,
        dropped,
        0 if is_held else waiting,
        waiting if is_held else 0,
        {reason: count for reason, count in zip(REASONS, reasons, strict=True) if count},
        latency,
        purged,
    )
