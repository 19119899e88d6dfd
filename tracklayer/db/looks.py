"""At which merchants the monitors look, and what is left of the look that goes on.

Whose counters change is found by the rows that are not folded yet, and for another while by ``active_until``, which is
written as they are folded. So a merchant of whom nothing changes costs nothing, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.advice import QUIET
from tracklayer.db.connection import execute, rows
from tracklayer.domain.alert import AlertKind

# After its last counter: the watches look back an hour, and at some names only each half hour.
ACTIVE_FOR = timedelta(minutes=70)
HOPS = 2000  # merchants of one statement that goes from one to the next

# From each merchant to the next, by an index that begins with it: however many rows each has.
_HOPS = """
WITH RECURSIVE walk AS (
    SELECT 0 AS hop, %(after)s::bigint AS merchant_id
    UNION ALL
    SELECT hop + 1, (SELECT merchant_id FROM {table} WHERE {which} AND merchant_id > w.merchant_id ORDER BY {order} LIMIT 1)
    FROM walk w WHERE merchant_id IS NOT NULL AND hop < %(hops)s
)
SELECT merchant_id FROM walk WHERE hop > 0 AND merchant_id IS NOT NULL
"""
COUNTING = _HOPS.format(table="minutes", which="slot <> 0", order="merchant_id, minute")
WAITING = _HOPS.format(table="deliveries", which="due_at IS NOT NULL", order="merchant_id, platform, due_at")
ACTIVE = "SELECT merchant_id FROM looks WHERE active_until > %s"
TROUBLED = """
SELECT merchant_id FROM destinations WHERE (state = 'held' OR failing_since IS NOT NULL) AND removed_at IS NULL
"""
UNSEEN_ADVICE = "SELECT DISTINCT merchant_id FROM advice WHERE last_seen_at <= %s"
SILENT = "SELECT merchant_id FROM looks WHERE silence_at <= %s"
OPEN = "SELECT merchant_id, bool_or(kind = %s), bool_or(kind <> %s) FROM alerts WHERE resolved_at IS NULL GROUP BY merchant_id"


@dataclass(frozen=True, slots=True)
class Concerned:
    """``merchants``: whose counters, queues and destinations are to be judged; ``silent``: whose silence is."""

    merchants: set[int]
    silent: set[int]


def concerned(now: datetime) -> Concerned:
    """Of whom something can have changed: what was counted lately, what waits, fails or is told of, and time itself.

    Advice that was not found again for as long as it takes to be over is judged, so that it is.
    """
    merchants = {*_walk(COUNTING), *_walk(WAITING)}
    merchants.update(row[0] for row in rows(ACTIVE, (now,)))
    merchants.update(row[0] for row in rows(TROUBLED))
    merchants.update(row[0] for row in rows(UNSEEN_ADVICE, (now - QUIET,)))
    silent = {row[0] for row in rows(SILENT, (now,))}
    kind = AlertKind.TRACKING_STOPPED.value
    for merchant_id, of_silence, of_others in rows(OPEN, (kind, kind)):
        if of_silence:
            silent.add(merchant_id)
        if of_others:
            merchants.add(merchant_id)
    return Concerned(merchants, silent)


def _walk(sql: str) -> list[int]:
    found: list[int] = []
    while True:
        params: Any = {"after": found[-1] if found else 0, "hops": HOPS}
        page = [row[0] for row in rows(sql, params)]
        found += page
        if len(page) < HOPS:
            return found


# Silence -------------------------------------------------------------------------------------------------------------

# One that lies ahead stays, so that not every look writes it.
PUT_OFF = """
INSERT INTO looks (merchant_id, silence_at)
SELECT x.merchant_id, x.at FROM json_to_recordset(%(given)s::json) AS x(merchant_id bigint, at timestamptz)
LEFT JOIN looks l USING (merchant_id) WHERE l.silence_at IS NULL OR l.silence_at <= %(now)s ORDER BY merchant_id
ON CONFLICT (merchant_id) DO UPDATE SET silence_at = excluded.silence_at
"""


def put_silence_off(until: Mapping[int, datetime], now: datetime) -> None:
    """Merchant -> before when no silence of it or its names can be told."""
    given = [{"merchant_id": merchant_id, "at": at} for merchant_id, at in until.items()]
    if given:
        execute(PUT_OFF, {"given": orjson.dumps(given).decode(), "now": now})  # type: ignore[arg-type]


def look_for_silence(merchant_id: int, now: datetime) -> None:
    """The next look judges its silence: what is usual of it, if anything is, was learned anew."""
    execute(
        "INSERT INTO looks (merchant_id, silence_at) SELECT merchant_id, %s FROM baselines "
        "WHERE merchant_id = %s AND platform = '' AND learned <> 'null' "
        "ON CONFLICT (merchant_id) DO UPDATE SET silence_at = excluded.silence_at",
        (now, merchant_id),
    )


# Pages ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LookPage:
    """A part of a look: as ``Concerned``, of some merchants."""

    place: int
    merchant_ids: Sequence[int]
    silence_ids: Sequence[int]


def left_over() -> list[LookPage]:
    """Takes what the last look left."""
    found = rows("DELETE FROM look_pages RETURNING place, merchant_ids, silence_ids")
    return [LookPage(*row) for row in sorted(found)]


def write_pages(pages: Sequence[LookPage]) -> None:
    given = [
        {"place": page.place, "merchant_ids": page.merchant_ids, "silence_ids": page.silence_ids} for page in pages
    ]
    execute(
        "INSERT INTO look_pages (place, merchant_ids, silence_ids) "
        "SELECT * FROM jsonb_to_recordset(%s::jsonb) AS x(place integer, merchant_ids bigint[], silence_ids bigint[]) "
        "ON CONFLICT (place) DO UPDATE SET merchant_ids = excluded.merchant_ids, silence_ids = excluded.silence_ids",
        (orjson.dumps(given).decode(),),
    )


TAKE = """
DELETE FROM look_pages WHERE place = (
    SELECT place FROM look_pages ORDER BY place = ANY(%s) DESC, place LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING place, merchant_ids, silence_ids
"""


def take_page(mine: Sequence[int]) -> LookPage | None:
    """One that is left, for this caller alone; rather one of the places ``mine``. None: none is."""
    found = rows(TAKE, (list(mine),))
    return LookPage(*found[0]) if found else None
