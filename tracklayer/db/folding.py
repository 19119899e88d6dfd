"""Keeps the counters few: what many backends counted becomes one row a minute, and what is old one row an hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import ACTIVITY, COHORT, MOST, MOST_OF_MINUTE, adding
from tracklayer.db.looks import ACTIVE_FOR

FOLD_LOCK = 7_301_006  # one folds at a time: two would wait for each other's rows

_COUNTED = (*COHORT, *ACTIVITY)
_PLACE = """CASE WHEN minute < %(hours_before)s THEN date_trunc('hour', minute, 'UTC') ELSE minute END"""


# Rows that their backend is writing to are passed over. A backend that comes back to a minute starts a new row.
def _fold(most: int) -> str:
    """``most`` refused events of a row."""
    sums = ", ".join(f"least(sum({name}), {most if name == 'rejected' else MOST})::int AS {name}" for name in _COUNTED)
    return f"""
WITH taken AS (
    DELETE FROM minutes m USING chosen AS x
    WHERE m.merchant_id = x.merchant_id AND m.platform = x.platform AND m.minute = x.minute AND m.slot = x.slot
    RETURNING m.*
), summed AS (
    SELECT merchant_id, platform, {_PLACE} AS minute, 0 AS slot,
           {sums},
           sum_counts(drop_reasons) AS drop_reasons, nullif(sum_counts(latency), '{{}}') AS latency
    FROM taken GROUP BY 1, 2, 3
), folded AS (
    INSERT INTO minutes (merchant_id, platform, minute, slot, {", ".join(_COUNTED)}, drop_reasons, latency)
    SELECT * FROM summed ORDER BY merchant_id, platform, minute
    {adding(_COUNTED, most)},
        drop_reasons = add_counts(minutes.drop_reasons, excluded.drop_reasons),
        latency = CASE WHEN excluded.latency IS NULL THEN minutes.latency
                       ELSE add_counts(minutes.latency, excluded.latency) END
)"""


_COUNT = "\nSELECT count(*) FROM taken\n"
# Whose rows these are is looked at for another while (db/looks.py); not written anew for each of their minutes.
_NOTED = """, noted AS (
    INSERT INTO looks AS l (merchant_id, active_until)
    SELECT merchant_id, max(minute) + %(active)s FROM taken GROUP BY merchant_id HAVING max(minute) + %(active)s > %(now)s
    ORDER BY merchant_id
    ON CONFLICT (merchant_id) DO UPDATE SET active_until = excluded.active_until
    WHERE l.active_until IS NULL OR l.active_until < excluded.active_until - interval '5 minutes'
)"""
_KEY = "merchant_id, platform, minute, slot"
_OF = "merchant_id <> ALL(%(without)s) AND (%(only)s::bigint[] IS NULL OR merchant_id = ANY(%(only)s::bigint[]))"
FOLD_SLOTS = f"""
WITH chosen AS (
    SELECT {_KEY} FROM minutes WHERE slot <> 0 AND minute < %(before)s AND {_OF}
    ORDER BY minute LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), {_fold(MOST_OF_MINUTE).strip().removeprefix("WITH ")}{_NOTED}{_COUNT}"""
# Only what has come of age lately is looked for: what is older was folded then, and what is counted in it later has a
# slot. The two instants make it a range of minutes_age.
FOLD_HOURS = f"""
WITH chosen AS (
    SELECT {_KEY} FROM minutes
    WHERE minute >= %(since)s AND minute < %(hours_before)s AND slot = 0
      AND extract(epoch FROM minute)::bigint %% 3600 <> 0 AND {_OF}
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), {_fold(60 * MOST_OF_MINUTE).strip().removeprefix("WITH ")}{_COUNT}"""

FORGET = """
DELETE FROM minutes WHERE ctid = ANY(ARRAY(SELECT ctid FROM minutes WHERE minute < %(before)s LIMIT %(limit)s))
"""

# A backend's own row stays as long as it lives.
FOLD_QUEUES = """
WITH taken AS (
    DELETE FROM queues q USING (
        SELECT merchant_id, platform, slot FROM queues
        WHERE slot <> 0 AND slot NOT IN (SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL)
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS x
    WHERE q.merchant_id = x.merchant_id AND q.platform = x.platform AND q.slot = x.slot RETURNING q.*
), folded AS (
    INSERT INTO queues (merchant_id, platform, slot, waiting)
    SELECT merchant_id, platform, 0, sum(waiting)::bigint FROM taken GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (merchant_id, platform, slot) DO UPDATE SET waiting = queues.waiting + excluded.waiting
)
SELECT count(*) FROM taken
"""


def lock_folding() -> bool:
    """False where somebody else folds; the lock is let go of with the transaction."""
    return bool(rows("SELECT pg_try_advisory_xact_lock(%s)", (FOLD_LOCK,))[0][0])


@dataclass(frozen=True, slots=True)
class Whose:
    """Rows of which merchants are folded. ``only`` None: of all; ``without``: but not of these."""

    only: tuple[int, ...] | None = None
    without: tuple[int, ...] = ()


EVERYBODY = Whose()


def fold_slots(before: datetime, hours_before: datetime, limit: int, whose: Whose, now: datetime) -> int:
    """Adds up what several backends counted in minutes before an instant; how many rows were taken up."""
    params = {"before": before, "hours_before": hours_before, "limit": limit, "active": ACTIVE_FOR, "now": now}
    return _count(FOLD_SLOTS, params | of_whom(whose))


def fold_hours(since: datetime, hours_before: datetime, limit: int, whose: Whose) -> int:
    """Makes hours of the minutes between two instants, the second one a full hour; how many rows were taken up."""
    return _count(FOLD_HOURS, {"since": since, "hours_before": hours_before, "limit": limit, **of_whom(whose)})


def of_whom(whose: Whose) -> dict[str, Any]:
    """``only`` and ``without`` of a statement that folds."""
    return {"only": list(whose.only) if whose.only is not None else None, "without": list(whose.without)}


def merchants_with_slots(before: datetime, limit: int, without: Sequence[int]) -> list[int]:
    """Merchants of the ``limit`` oldest rows that are to be added up."""
    found = rows(
        "SELECT DISTINCT merchant_id FROM (SELECT merchant_id FROM minutes WHERE slot <> 0 AND minute < %s "
        "AND merchant_id <> ALL(%s) ORDER BY minute LIMIT %s) AS oldest ORDER BY merchant_id",
        (before, list(without), limit),
    )
    return [row[0] for row in found]


def merchants_with_minutes(since: datetime, until: datetime, limit: int, without: Sequence[int]) -> list[int]:
    """Up to ``limit`` merchants with minutes between two instants that are to become hours."""
    found = rows(
        "SELECT DISTINCT merchant_id FROM minutes WHERE minute >= %s AND minute < %s AND slot = 0 "
        "AND extract(epoch FROM minute)::bigint %% 3600 <> 0 AND merchant_id <> ALL(%s) ORDER BY merchant_id LIMIT %s",
        (since, until, list(without), limit),
    )
    return [row[0] for row in found]


def forget_minutes(before: datetime, limit: int) -> int:
    return execute(FORGET, {"before": before, "limit": limit})  # type: ignore[arg-type]


def fold_queues(limit: int) -> int:
    """Adds up what backends that are no more had counted as waiting."""
    return _count(FOLD_QUEUES, {"limit": limit})


def _count(sql: str, params: dict[str, Any]) -> int:
    count: int = rows(sql, params)[0][0]  # type: ignore[arg-type]
    return count
