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


def add_suppressions(merchant_id: int, marks: Sequence[bytes], now: datetime, of_mark: bytes | None = None) -> None:
    """``of_mark``: the mark of the person whose browsers these are of; they are lifted with it."""
    execute(
        "INSERT INTO suppressions (merchant_id, mark, since, of_mark) "
        "SELECT %s, mark, %s, %s FROM unnest(%s::bytea[]) AS x(mark) ON CONFLICT DO NOTHING",
        (merchant_id, now, of_mark, sorted(marks)),
    )
    # By a clock that was ahead, one that is there began later than now: that would read as if the person had been let back since.
    execute(
        "UPDATE suppressions SET since = %s WHERE merchant_id = %s AND mark IN (SELECT mark FROM suppressions "
        "WHERE merchant_id = %s AND mark = ANY(%s::bytea[]) AND since > %s ORDER BY mark FOR NO KEY UPDATE)",
        (now, merchant_id, merchant_id, sorted(marks), now),
    )


def remove_suppressions(merchant_id: int, marks: Sequence[bytes]) -> int:
    """How many were there, with those of the browsers of whom they are of."""
    params: Any = {"merchant": merchant_id, "marks": sorted(marks)}
    # First those that ``let_back`` holds, by a statement of its own: what its transaction added is seen by the next one.
    rows(
        "SELECT FROM suppressions WHERE merchant_id = %(merchant)s AND mark = ANY(%(marks)s::bytea[]) "
        "ORDER BY mark FOR UPDATE",
        params,
    )
    return execute(
        "DELETE FROM suppressions WHERE merchant_id = %(merchant)s AND (mark = ANY(%(marks)s::bytea[]) "
        "OR of_mark = ANY(%(marks)s::bytea[]))",
        params,
    )


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
