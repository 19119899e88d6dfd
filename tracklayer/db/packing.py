"""Keeps the counters of what is over at one row an hour and destination: its minutes become part of the hour's row.

A folded minute (slot 0) moves from ``minutes`` to ``parts`` of its row of ``ledger_hours`` once its hour is over, in one
statement, and is read there as it was (``counted``). What is counted of it later begins as a row of ``minutes`` again, and
moves after it. A minute's row takes some 460 bytes with its index, a packed one some ten.

Processes of a version that reads ``minutes`` alone would miss what is packed. So nothing is, while one lives that does not say
in its heartbeat that it reads both; a version that old does not start on these tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import ACTIVITY, COHORT, MOST
from tracklayer.db.folding import Whose, of_whom

_COUNTED = (*COHORT, *ACTIVITY)
_OF = "merchant_id <> ALL(%(without)s) AND (%(only)s::bigint[] IS NULL OR merchant_id = ANY(%(only)s::bigint[]))"
_SAME = "merchant_id = x.merchant_id AND platform = x.platform"
_MINUTES = f"FROM minutes WHERE {_SAME} AND minute >= x.hour AND minute < x.hour + interval '1 hour' AND slot = 0"


MOST_PARTS = 75  # of an hour: sixty minutes, and what came late to some of them; more are added up by the minute


def _added_up(at: str) -> str:
    """Parts ``p`` as one of the place ``at``."""
    return f"""ROW(
               {at}, {", ".join(f"nullif(least(coalesce(sum(p.{name}), 0), {MOST}), 0)::int" for name in _COUNTED)},
               sum_counts(p.drop_reasons) FILTER (WHERE p.drop_reasons IS NOT NULL),
               nullif(sum_counts(p.latency) FILTER (WHERE p.latency IS NOT NULL), '{{}}'))::counted_minute"""


# What is packed of an hour already is left as it is, and what came since is put behind it: to add sixty minutes up anew for
# each late count would cost a millisecond an hour. A row that somebody holds is passed over; its hour stays loose. The newest
# hours first: so a backlog, as of the first round of all, keeps none of them waiting.
PACK = f"""
WITH chosen AS (
    SELECT merchant_id, platform, hour, parts, by_minute FROM ledger_hours
    WHERE loose AND (hour, merchant_id, platform) < (%(hour)s, %(merchant)s, %(platform)s) AND {_OF}
    ORDER BY hour DESC, merchant_id DESC, platform DESC LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM minutes WHERE ctid = ANY(ARRAY(
        SELECT m.ctid FROM chosen x CROSS JOIN LATERAL (SELECT ctid {_MINUTES} FOR UPDATE SKIP LOCKED) AS m))
    RETURNING *, (extract(epoch FROM minute)::bigint / 60 %% 60)::smallint AS at
), fresh AS (
    SELECT merchant_id, platform, date_trunc('hour', minute, 'UTC') AS hour, count(*) AS taken, bool_or(at <> 0) AS by_minute,
           array_agg(ROW(at, {", ".join(f"nullif({name}, 0)" for name in _COUNTED)}, drop_reasons, latency)::counted_minute
                     ORDER BY at) AS parts
    FROM taken GROUP BY 1, 2, 3
), minutes_added_up AS (
    SELECT merchant_id, platform, hour, {_added_up("p.at")} AS part
    FROM chosen x JOIN fresh f USING (merchant_id, platform, hour) CROSS JOIN LATERAL unnest(x.parts || f.parts) AS p
    WHERE cardinality(x.parts) + cardinality(f.parts) > {MOST_PARTS} GROUP BY merchant_id, platform, hour, p.at
), added_up AS (
    SELECT merchant_id, platform, hour, array_agg(part ORDER BY (part).at) AS parts
    FROM minutes_added_up GROUP BY merchant_id, platform, hour
), written AS (
    UPDATE ledger_hours h
    SET parts = CASE WHEN a.parts IS NOT NULL THEN a.parts WHEN f.parts IS NOT NULL THEN x.parts || f.parts ELSE x.parts END,
        by_minute = x.by_minute OR coalesce(f.by_minute, false),
        loose = (SELECT count(*) {_MINUTES}) <> coalesce(f.taken, 0)
    FROM chosen x LEFT JOIN fresh f USING (merchant_id, platform, hour) LEFT JOIN added_up a USING (merchant_id, platform, hour)
    WHERE h.merchant_id = x.merchant_id AND h.platform = x.platform AND h.hour = x.hour
)
SELECT hour, merchant_id, platform, count(*) OVER () FROM chosen ORDER BY hour, merchant_id, platform LIMIT 1
"""

# As fold_hours does with what is not packed.
PACK_HOURS = f"""
WITH chosen AS (
    SELECT merchant_id, platform, hour, parts FROM ledger_hours
    WHERE by_minute AND hour < %(hours_before)s AND {_OF} ORDER BY hour LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), summed AS (
    SELECT merchant_id, platform, hour, {_added_up("0")} AS part
    FROM chosen CROSS JOIN LATERAL unnest(parts) AS p GROUP BY merchant_id, platform, hour
), written AS (
    UPDATE ledger_hours h SET parts = ARRAY[s.part], by_minute = false FROM summed s
    WHERE h.merchant_id = s.merchant_id AND h.platform = s.platform AND h.hour = s.hour
)
SELECT count(*) FROM chosen
"""

# What is loose is packed first, or forgotten with its minutes; what is kept by the minute becomes an hour's sum first.
FORGET = """
DELETE FROM ledger_hours WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM ledger_hours WHERE hour < %(before)s AND NOT loose AND NOT by_minute LIMIT %(limit)s))
"""


@dataclass(frozen=True, slots=True)
class Place:
    """In the order in which hours are packed: hours before it, and of its own hour those of lesser destinations."""

    hour: datetime
    merchant_id: int = 0
    platform: str = ""


def pack(after: Place, limit: int, whose: Whose) -> tuple[int, Place]:
    """Packs up to ``limit`` hours behind a place, and how many those were; and the place of the last. Needs the lock of folding."""
    execute(
        "SELECT set_config('tracklayer.packs', 'on', true)"
    )  # for the trigger: these rows stay in their hours' sums
    params = {"hour": after.hour, "merchant": after.merchant_id, "platform": after.platform, "limit": limit}
    found = rows(PACK, {**params, **of_whom(whose)})  # type: ignore[arg-type]
    execute("SELECT set_config('tracklayer.packs', '', true)")
    return (found[0][3], Place(*found[0][:3])) if found else (0, after)


def pack_hours(hours_before: datetime, limit: int, whose: Whose) -> int:
    """Makes one sum of the packed minutes of each hour before a full hour; of how many hours."""
    count: int = rows(PACK_HOURS, {"hours_before": hours_before, "limit": limit, **of_whom(whose)})[0][0]  # type: ignore[arg-type]
    return count


def forget_hours(before: datetime, limit: int) -> int:
    return execute(FORGET, {"before": before, "limit": limit})  # type: ignore[arg-type]


def merchants_to_pack(before: datetime, limit: int, without: Sequence[int]) -> list[int]:
    """Merchants of the ``limit`` newest hours that are to be packed."""
    return _merchants("loose", before, limit, without)


def merchants_by_minute(hours_before: datetime, limit: int, without: Sequence[int]) -> list[int]:
    """Merchants of the ``limit`` newest hours that are to become one sum."""
    return _merchants("by_minute", hours_before, limit, without)


def _merchants(which: str, before: datetime, limit: int, without: Sequence[int]) -> list[int]:
    found = rows(
        f"SELECT DISTINCT merchant_id FROM (SELECT merchant_id FROM ledger_hours WHERE {which} AND hour < %s "
        "AND merchant_id <> ALL(%s) ORDER BY hour DESC LIMIT %s) AS newest ORDER BY merchant_id",
        (before, list(without), limit),
    )
    return [row[0] for row in found]
