"""Marks that keep what was erased from coming back: tombstones of events, for a while, and suppressions of people.

How one is made of an event or a person is in services/marks.py; ingest looks for them by a statement of db/storing.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tracklayer.db.connection import execute, rows


def mark_merchant(merchant_id: int) -> None:
    """From now on ingest looks for this merchant's marks."""
    execute("UPDATE merchants SET marked = true WHERE merchant_id = %s AND NOT marked", (merchant_id,))


def add_tombstones(merchant_id: int, marks: Mapping[bytes, datetime]) -> None:
    """Mark -> until when. In their order, so that two of them never wait crosswise."""
    if marks:
        given = sorted(marks.items())
        execute(
            "INSERT INTO tombstones (merchant_id, mark, expires_at) "
            "SELECT %s, mark, expires_at FROM unnest(%s::bytea[], %s::timestamptz[]) AS x(mark, expires_at) "
            "ON CONFLICT (merchant_id, mark) DO UPDATE SET expires_at = greatest(tombstones.expires_at, excluded.expires_at)",
            (merchant_id, [mark for mark, _ in given], [at for _, at in given]),
        )


# By a clock that was ahead, one that is there began later than now: that would read as if the person had been let back since.
JOIN_SUPPRESSIONS = """
WITH old AS MATERIALIZED (
    SELECT s.mark, x.of_mark FROM unnest(%(marks)s::bytea[], %(of)s::bytea[]) AS x(mark, of_mark)
    JOIN suppressions s ON s.merchant_id = %(merchant)s AND s.mark = x.mark
    WHERE s.since > %(now)s OR s.of_mark IS NULL AND x.of_mark IS NOT NULL
    ORDER BY s.mark FOR NO KEY UPDATE OF s
)
UPDATE suppressions s SET since = least(s.since, %(now)s), of_mark = coalesce(s.of_mark, old.of_mark)
FROM old WHERE s.merchant_id = %(merchant)s AND s.mark = old.mark
"""


def add_suppressions(merchant_id: int, marks: Mapping[bytes, bytes | None], now: datetime) -> None:
    """Mark -> the one with which it is lifted: of another spelling, or of whose browser it is. One that is there keeps its own."""
    given = sorted(marks)
    params: Any = {"merchant": merchant_id, "marks": given, "of": [marks[mark] for mark in given], "now": now}
    execute(
        "INSERT INTO suppressions (merchant_id, mark, since, of_mark) "
        "SELECT %(merchant)s, mark, %(now)s, of_mark FROM unnest(%(marks)s::bytea[], %(of)s::bytea[]) AS x(mark, of_mark) "
        "ON CONFLICT DO NOTHING",
        params,
    )
    execute(JOIN_SUPPRESSIONS, params)


# Each is compared by what the spellings share of the name that it is lifted with.
DISOWN = """
WITH shared AS MATERIALIZED (
    SELECT s.mark FROM unnest(%(marks)s::bytea[], %(of)s::bytea[]) AS x(mark, of_mark)
    JOIN suppressions s ON s.merchant_id = %(merchant)s AND s.mark = x.mark
    LEFT JOIN suppressions first ON first.merchant_id = %(merchant)s AND first.mark = s.of_mark
    LEFT JOIN suppressions second ON second.merchant_id = %(merchant)s AND second.mark = x.of_mark
    WHERE coalesce(first.of_mark, s.of_mark) <> coalesce(second.of_mark, x.of_mark)
    ORDER BY s.mark FOR NO KEY UPDATE OF s
)
UPDATE suppressions s SET of_mark = s.mark FROM shared WHERE s.merchant_id = %(merchant)s AND s.mark = shared.mark
"""


def disown_suppressions(merchant_id: int, marks: Mapping[bytes, bytes]) -> None:
    """Mark -> the one with which it should be lifted: those that are lifted with another one are lifted by themselves from now on.

    By a statement of its own after ``add_suppressions``: that of two people one is second is seen once both are there.
    """
    given = sorted(marks)
    params: Any = {"merchant": merchant_id, "marks": given, "of": [marks[mark] for mark in given]}
    execute(DISOWN, params)


# From a name up to what its spellings share, and down from there to these and to the browsers. Nobody climbs from a browser: it
# is lifted alone.
LIFTED = """
WITH RECURSIVE up(mark) AS (
    SELECT unnest(%(names)s::bytea[])
    UNION
    SELECT s.of_mark FROM up JOIN suppressions s ON s.merchant_id = %(merchant)s AND s.mark = up.mark
    WHERE s.of_mark IS NOT NULL
), lifted(mark) AS (
    (SELECT mark FROM up UNION SELECT unnest(%(marks)s::bytea[]))
    UNION
    SELECT s.mark FROM lifted JOIN suppressions s ON s.merchant_id = %(merchant)s AND s.of_mark = lifted.mark
)
"""
HOLD_LIFTED = f"""{LIFTED}
SELECT FROM suppressions WHERE merchant_id = %(merchant)s AND mark IN (SELECT mark FROM lifted) ORDER BY mark FOR UPDATE
"""
LIFT = f"{LIFTED} DELETE FROM suppressions WHERE merchant_id = %(merchant)s AND mark IN (SELECT mark FROM lifted)"


def remove_suppressions(merchant_id: int, marks: Sequence[bytes], names: Sequence[bytes]) -> int:
    """How many were there. ``names``: those of ``marks`` that say who it is; they take along whatever hangs together with them."""
    params: Any = {"merchant": merchant_id, "marks": sorted(marks), "names": sorted(names)}
    # First those that ``let_back`` holds, by a statement of its own: what its transaction added is seen by the next one.
    rows(HOLD_LIFTED, params)
    return execute(LIFT, params)


def with_tombstone(merchant_id: int, marks: Sequence[bytes]) -> set[bytes]:
    """Which of some marks are of events that were erased."""
    found = rows(
        "SELECT mark FROM tombstones WHERE merchant_id = %s AND mark = ANY(%s::bytea[])", (merchant_id, list(marks))
    )
    return {bytes(row[0]) for row in found}


def is_any_suppressed(merchant_id: int, marks: Sequence[bytes]) -> bool:
    """Whether one of some marks is of somebody who is to be left alone."""
    return bool(
        rows(
            "SELECT 1 FROM suppressions WHERE merchant_id = %s AND mark = ANY(%s::bytea[]) LIMIT 1",
            (merchant_id, list(marks)),
        )
    )


def are_all_suppressed(merchant_id: int, marks: Sequence[bytes], since: datetime) -> bool:
    """Whether some marks are all of people who have been left alone since an instant, without a break."""
    found = rows(
        "SELECT count(*) FROM suppressions WHERE merchant_id = %s AND mark = ANY(%s::bytea[]) AND since <= %s",
        (merchant_id, list(marks), since),
    )
    return int(found[0][0]) == len(marks)


LET_BACK = """
SELECT x.place FROM unnest(%(marks)s::bytea[], %(since)s::timestamptz[]) WITH ORDINALITY AS x(mark, since, place)
LEFT JOIN LATERAL (SELECT s.mark FROM suppressions s
    WHERE s.merchant_id = %(merchant)s AND s.mark = x.mark AND s.since <= x.since FOR KEY SHARE) s ON true
WHERE s.mark IS NULL
"""


def let_back(merchant_id: int, asked: Sequence[tuple[bytes, datetime]]) -> set[int]:
    """Of some (mark, instant) those, by their places, whose person has not been left alone ever since that instant.

    Needs a transaction: until it ends nobody of the others is let back.
    """
    marks, since = [mark for mark, _ in asked], [at for _, at in asked]
    params: Any = {"merchant": merchant_id, "marks": marks, "since": since}
    return {place - 1 for (place,) in rows(LET_BACK, params)}


def purge_tombstones(now: datetime, limit: int) -> int:
    """Deletes those whose event would be gone by now."""
    return execute(
        "DELETE FROM tombstones t USING (SELECT merchant_id, mark FROM tombstones WHERE expires_at < %s "
        "ORDER BY expires_at LIMIT %s) AS old WHERE t.merchant_id = old.merchant_id AND t.mark = old.mark",
        (now, limit),
    )
