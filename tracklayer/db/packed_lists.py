"""Keeps what is counted by name, by what events carry and by why they were refused at few rows: lists of what is older.

A row of lists is what one key had in a day: ``places`` (its minutes for names, its hours for the others) in order, and
``events``, with ``facts`` where there are any, place by place. What is counted later is added to the list that is there.
A minute of a name takes some 140 bytes as a row and 6 in a list, an hour of what events carry some 290 and 14.

Nobody writes lists but who holds the lock of folding, and none while a process lives that reads rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import MOST
from tracklayer.db.folding import Whose, of_whom


@dataclass(frozen=True, slots=True)
class Lists:
    """``table``: of lists, by ``key`` and day, of what ``rows`` has, a row each.

    ``seconds``: of a place. ``walked``: what the key of ``rows`` begins with, before the minute. ``beside``: what is listed
    beside places and events.
    """

    table: str
    rows: str
    seconds: int
    key: tuple[str, ...]
    walked: tuple[str, ...]
    beside: tuple[str, ...] = ()
    folded: str = "true"  # what of ``rows`` may go into lists

    @property
    def place(self) -> str:
        """Of a minute in its list."""
        return f"(extract(epoch FROM minute)::bigint %% 86400 / {self.seconds})::smallint"


NAME_DAYS = Lists("name_days", "name_minutes", 60, ("merchant_id", "event_name"), ("merchant_id", "event_name"))
COVERAGE_DAYS = Lists(
    "coverage_days",
    "coverage",
    3600,
    ("merchant_id", "event_name", "action_source", "host"),
    ("merchant_id", "event_name"),
    ("facts",),
    "slot = 0",
)
REJECTION_DAYS = Lists(
    "rejection_days",
    "rejections",
    3600,
    ("merchant_id", "event_name", "code", "field"),
    ("merchant_id",),
    folded="slot = 0",
)
ENRICHED_DAYS = Lists(
    "enriched_facts_days",
    "enriched_facts",
    3600,
    ("merchant_id", "event_name"),
    ("merchant_id", "event_name"),
    ("facts",),
    "slot = 0",
)
OF_ROWS = {lists.rows: lists for lists in (NAME_DAYS, COVERAGE_DAYS, REJECTION_DAYS, ENRICHED_DAYS)}


def listing(lists: Lists, source: str) -> str:
    """Parts of a WITH that add what ``source`` has, columns of ``rows``, to their lists. Needs the lock of folding.

    Nobody else writes these lists meanwhile, so that what the statement saw of them is what it replaces.
    """
    table, beside = lists.table, "".join(f", {name}" for name in lists.beside)
    own = ", ".join((*lists.key, "day"))
    same = " AND ".join(f"t.{name} = x.{name}" for name in (*lists.key, "day"))
    by_place = ", ".join(("place", *lists.beside))
    listed = "".join(f", array_agg({name} ORDER BY {by_place}) AS {name}" for name in lists.beside)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in ("places", *lists.beside, "events"))
    return f"""
{table}_added AS (
    SELECT {", ".join(lists.key)}, date_trunc('day', minute, 'UTC') AS day, {lists.place} AS place{beside}, events
    FROM {source} AS s
), {table}_held AS (
    SELECT {", ".join(f"x.{name}" for name in (*lists.key, "day"))}, p.*
    FROM (SELECT DISTINCT {own} FROM {table}_added) AS x
    CROSS JOIN LATERAL (SELECT * FROM {table} t WHERE {same} OFFSET 0) AS t
    CROSS JOIN LATERAL unnest(t.places{"".join(f", t.{name}" for name in lists.beside)}, t.events) AS p(place{beside}, events)
), {table}_merged AS (
    SELECT {own}, place{beside}, least(sum(events), {MOST})::int AS events
    FROM (TABLE {table}_added UNION ALL TABLE {table}_held) AS both_of_them GROUP BY {own}, place{beside}
), {table}_written AS (
    INSERT INTO {table} ({own}, places{beside}, events)
    SELECT {own}, array_agg(place ORDER BY {by_place}) AS places{listed}, array_agg(events ORDER BY {by_place}) AS events
    FROM {table}_merged GROUP BY {own} ORDER BY {own}
    ON CONFLICT ({own}) DO UPDATE SET {replaced}
)"""


def _walk(lists: Lists, counted: str = "0::bigint", ends: str = "false") -> str:
    """From one (merchant, or merchant and name) that has rows to the next: by the key, however many rows each has.

    ``counted``: of each ``x``, and ``so_far`` of those before it; ``ends``: when none comes behind ``w``.
    """
    walked = ", ".join(lists.walked)
    after = ", ".join(f"%(after_{name})s" for name in lists.walked)
    here = ", ".join(f"w.{name}" for name in lists.walked)
    return f"""
WITH RECURSIVE walk AS (
    SELECT 1 AS hop, x.*, {counted} AS n, 0::bigint AS so_far FROM (
        SELECT {walked} FROM {lists.rows}
        WHERE ({walked}) > ({after}) AND merchant_id BETWEEN %(first)s AND %(last)s ORDER BY {walked} LIMIT 1) AS x
    UNION ALL
    SELECT w.hop + 1, x.*, {counted}, w.so_far + w.n FROM walk w CROSS JOIN LATERAL (
        SELECT {walked} FROM {lists.rows}
        WHERE ({walked}) > ({here}) AND merchant_id <= %(last)s ORDER BY {walked} LIMIT 1) AS x
    WHERE w.hop < %(hops)s AND NOT {ends}
)"""


_OF = "x.merchant_id <> ALL(%(without)s) AND (%(only)s::bigint[] IS NULL OR x.merchant_id = ANY(%(only)s::bigint[]))"


def _pack(lists: Lists) -> str:
    """Of each one that is walked, in order, until there are ``limit`` rows; of one of them ``limit`` at most, its oldest."""
    theirs = " AND ".join(f"{name} = x.{name}" for name in lists.walked)
    old = f"FROM {lists.rows} WHERE {theirs} AND minute < %(before)s AND {lists.folded} AND {_OF} ORDER BY minute LIMIT %(limit)s"
    return f"""
{_walk(lists, f"(SELECT count(*) FROM (SELECT {old}) AS theirs)", "w.so_far + w.n >= %(limit)s")}, taken AS (
    DELETE FROM {lists.rows} WHERE ctid = ANY(ARRAY(
        SELECT o.ctid FROM walk x CROSS JOIN LATERAL (SELECT ctid {old}) AS o WHERE x.n > 0))
    RETURNING *
), {listing(lists, "taken").strip()}
SELECT {", ".join(lists.walked)}, n FROM walk ORDER BY hop
"""


PACK = {lists.rows: _pack(lists) for lists in OF_ROWS.values()}
WALKED = {lists.rows: f"{_walk(lists)} SELECT DISTINCT merchant_id FROM walk ORDER BY 1" for lists in OF_ROWS.values()}
# In the order of the index: without statistics of that expression all lists would be read for nothing.
FORGET = """
DELETE FROM {0} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {0} WHERE day AT TIME ZONE 'UTC' <= %(before)s AT TIME ZONE 'UTC' - interval '1 day'
    ORDER BY day AT TIME ZONE 'UTC' LIMIT %(limit)s))
"""

Place = tuple[int, str]  # merchant id, event name ('' where only merchants are walked)
BEGINNING: Place = (0, "")
_LAST = 2**63 - 1


def pack(lists: Lists, before: datetime, after: Place, limit: int, whose: Whose) -> tuple[int, Place | None]:
    """Puts rows of before an instant into lists, of those behind a place, ``limit`` and as many again at most: how many.

    And the place of the last one that has no more of them; None where nobody comes behind it. Needs the lock of folding.
    """
    params: Any = {**_walk_from(after, limit, whose), "before": before, "limit": limit, **of_whom(whose)}
    found = rows(PACK[lists.rows], params)
    taken = 0
    for *walked, n in found:
        taken += n
        if n >= limit:  # it may have more
            return taken, after
        after = (walked[0], walked[1] if len(walked) > 1 else "")
    return taken, after if taken >= limit or len(found) == params["hops"] else None


def merchants_walked(lists: Lists, after: Place, limit: int, without: Sequence[int]) -> list[int]:
    """Merchants that a page behind a place is about."""
    found = rows(WALKED[lists.rows], _walk_from(after, limit, Whose(without=tuple(without))))
    return [row[0] for row in found if row[0] not in without]


def forget(lists: Lists, before: datetime, limit: int) -> int:
    """Deletes lists whose day was over before an instant; how many."""
    return execute(FORGET.format(lists.table), {"before": before, "limit": limit})  # type: ignore[arg-type]


def _walk_from(after: Place, limit: int, whose: Whose) -> Any:
    return {
        "after_merchant_id": after[0],
        "after_event_name": after[1],
        "first": min(whose.only, default=0) if whose.only is not None else 0,
        "last": max(whose.only, default=0) if whose.only is not None else _LAST,
        "hops": max(1, limit // 4),  # most have nothing that is old enough: two look-ups each
    }
