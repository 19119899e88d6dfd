"""Advice that a watch found: one row a merchant, platform, code and event name, for as long as it is found again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.domain.advice import Advice, AdviceCode

MAX_ADVICE = 50  # of one destination, or of a merchant itself
SEEN_GRAIN = timedelta(minutes=5)  # how exactly ``last_seen_at`` is kept
QUIET = timedelta(hours=1)  # what was not found again for so long is over
CODES = frozenset(code.value for code in AdviceCode)

Judged = tuple[str, AdviceCode]  # platform, '' of the merchant's own

# A row is written again only where it says something new.
UPSERT = """
INSERT INTO advice AS a (merchant_id, platform, code, event_name, sentence, next_step, count, example_event_id, since,
                         last_seen_at, details)
SELECT merchant_id, platform, code, event_name, sentence, next_step, count, example_event_id, since, %s, details
FROM json_to_recordset(%s::json) AS x(merchant_id bigint, platform text, code text, event_name text, sentence text,
                                      next_step text, count bigint, example_event_id text, since timestamptz, details jsonb)
ORDER BY merchant_id, platform, code, event_name
ON CONFLICT (merchant_id, platform, code, event_name) DO UPDATE SET
    sentence = excluded.sentence, next_step = excluded.next_step, count = excluded.count, details = excluded.details,
    example_event_id = coalesce(excluded.example_event_id, a.example_event_id), last_seen_at = excluded.last_seen_at
WHERE a.last_seen_at <= excluded.last_seen_at - %s
"""
# Rows that another look is writing were just found by it: they stay, and nobody waits.
FORGET = """
WITH gone AS (
    SELECT a.merchant_id, a.platform, a.code, a.event_name
    FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS j(merchant_id, platform, code)
    JOIN advice a USING (merchant_id, platform, code)
    WHERE a.last_seen_at <= %s FOR UPDATE OF a SKIP LOCKED
)
DELETE FROM advice a USING gone g
WHERE (a.merchant_id, a.platform, a.code, a.event_name) = (g.merchant_id, g.platform, g.code, g.event_name)
"""
FORGET_REMOVED = """
WITH gone AS (
    SELECT merchant_id, platform, code, event_name FROM advice a
    WHERE merchant_id = ANY(%s) AND platform <> '' AND NOT EXISTS (
        SELECT FROM destinations d
        WHERE d.merchant_id = a.merchant_id AND d.platform = a.platform AND d.removed_at IS NULL)
    FOR UPDATE SKIP LOCKED
)
DELETE FROM advice a USING gone g
WHERE (a.merchant_id, a.platform, a.code, a.event_name) = (g.merchant_id, g.platform, g.code, g.event_name)
"""


def write_advice(found: Mapping[int, Sequence[Advice]], now: datetime) -> None:
    """What was found of each merchant; ``since`` stays what it was of what is known already."""
    given = [
        {
            "merchant_id": merchant_id,
            "platform": one.platform or "",
            "code": one.code.value,
            "event_name": one.event_name or "",
            "sentence": one.sentence,
            "next_step": one.next_step,
            "count": one.count,
            "example_event_id": one.example_event_id,
            "since": one.since.isoformat(),
            "details": dict(one.details),
        }
        for merchant_id, advice in found.items()
        for one in advice
    ]
    if given:
        execute(UPSERT, (now, orjson.dumps(given).decode(), SEEN_GRAIN))


def forget_advice(judged: Mapping[int, Collection[Judged]], now: datetime) -> int:
    """Those of what was judged of each merchant that were not found for a while; how many."""
    keys = [(merchant_id, *one) for merchant_id, of_one in sorted(judged.items()) for one in sorted(of_one)]
    if not keys:
        return 0
    merchants, platforms, codes = zip(*keys, strict=True)
    return execute(FORGET, (list(merchants), list(platforms), [code.value for code in codes], now - QUIET))


def forget_of_removed(merchant_ids: Sequence[int]) -> int:
    """Advice on destinations that are gone."""
    return execute(FORGET_REMOVED, (list(merchant_ids),))


def advice_of(merchant_ids: Sequence[int]) -> dict[tuple[int, str], list[Advice]]:
    """(merchant, platform or '') -> its advice, what has held for longest first; at most ``MAX_ADVICE`` each."""
    found: dict[tuple[int, str], list[Advice]] = {}
    sql = (
        "SELECT merchant_id, platform, code, event_name, sentence, next_step, count, example_event_id, since, details::text "
        "FROM advice WHERE merchant_id = ANY(%s) ORDER BY merchant_id, platform, since, code, event_name"
    )
    for row in rows(sql, (list(merchant_ids),)):
        of_one = found.setdefault((row[0], row[1]), [])
        if row[2] in CODES and len(of_one) < MAX_ADVICE:  # a newer version's code is that version's to tell
            of_one.append(_advice(row))
    return found


def advice_counts() -> dict[str, int]:
    """Code -> how many merchants it is given to at present, of all merchants."""
    return dict(rows("SELECT code, count(DISTINCT merchant_id) FROM advice GROUP BY code ORDER BY code"))


def _advice(row: tuple[Any, ...]) -> Advice:
    return Advice(
        AdviceCode(row[2]),
        row[4],
        row[5],
        row[8],
        row[1] or None,
        row[3] or None,
        row[6],
        row[7],
        orjson.loads(row[9]),
    )
