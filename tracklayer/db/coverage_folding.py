"""Keeps the tables of ``KEYS`` few: one row a minute of what many backends counted, and lists of what is older.

Minutes of the last two days are rows; what is older becomes lists (db/packed_lists.py), and so do the minutes in which a name
was sent once their hour is over. While a process lives that reads rows alone, hours take the place of lists of hours.

What a row costs, and how many there are. A row of coverage is one combination of name, action source, host and facts in
one minute: about 100 bytes and 150 more in three indexes while ingest writes it (each backend its own), and some 290
afterwards. A busy merchant (50 events a second, 8 names, 50 combinations of facts that are alive) has up to 400 rows a
minute of each backend for ten minutes, 400 a minute for two days (1.2 million), then 8 lists a day for 400 days with 9,600
places in all. A sparse one (30 events a day) has a row an event for two days, then a list a day and name. Rejections are
counted by name, code and field: a handful a minute even of a merchant whose every event is refused, and of whoever sends
every name with every fault some 200 of each process (``counting.Refusals``). A name has a list a day on which it was sent,
for 35 days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import MOST, up_to
from tracklayer.db.folding import Whose, of_whom
from tracklayer.db.packed_lists import OF_ROWS, listing

KEYS = {
    "coverage": ("merchant_id", "event_name", "minute", "action_source", "host", "facts", "slot"),
    "rejections": ("merchant_id", "minute", "event_name", "code", "field", "slot"),
    "enriched_facts": ("merchant_id", "event_name", "minute", "facts", "slot"),
    "refused_names": ("merchant_id", "platform", "event_name", "minute", "slot"),  # never listed: there are few
    "unsent_names": ("merchant_id", "platform", "event_name", "minute", "slot"),  # of the same names
}
# The minutes of an hour but its first, which is where the others are added to; as the indexes of 0021 have it.
_NO_HOUR = "extract(minute FROM minute AT TIME ZONE 'UTC') <> 0"
_PLACE = "CASE WHEN minute < %(hours_before)s THEN date_trunc('hour', minute, 'UTC') ELSE minute END AS minute"
_OF = "merchant_id <> ALL(%(without)s) AND (%(only)s::bigint[] IS NULL OR merchant_id = ANY(%(only)s::bigint[]))"
_SLOTS = "slot <> 0 AND minute < %(before)s"
_HOURS = f"slot = 0 AND {_NO_HOUR} AND minute < %(hours_before)s"
_NAMES = """, named AS (
    INSERT INTO name_minutes (merchant_id, event_name, minute, events)
    SELECT merchant_id, event_name, minute, sum(events)::int FROM taken
    WHERE minute >= %(names_since)s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (merchant_id, event_name, minute) DO UPDATE SET events = name_minutes.events + excluded.events
)"""


def _fold(table: str, where: str, also: str = "", *, listed: bool = False) -> str:
    """``listed``: what is older than what is kept by the minute goes into lists (db/packed_lists.py)."""
    key = KEYS[table]
    columns, kept = ", ".join(key), ", ".join(name for name in key if name != "slot")
    placed = kept.replace("minute", _PLACE)
    old, young = "", ""
    if listed:
        old = ", " + listing(OF_ROWS[table], "(SELECT * FROM summed WHERE minute < %(hours_before)s)").strip()
        young = "WHERE minute >= %(hours_before)s"
    return f"""
WITH chosen AS (
    SELECT {columns} FROM {table} WHERE {where} AND {_OF}
    ORDER BY minute LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM {table} t USING chosen AS x WHERE {" AND ".join(f"t.{name} = x.{name}" for name in key)} RETURNING t.*
){also}, summed AS (
    SELECT {placed}, events FROM taken
), folded AS (
    INSERT INTO {table} ({kept}, slot, events)
    SELECT {kept}, 0, least(sum(events), {MOST})::int FROM summed {young} GROUP BY {kept} ORDER BY {kept}
    ON CONFLICT ({columns}) DO UPDATE SET events = {up_to(f"{table}.events", "excluded.events")}
){old}
SELECT count(*) FROM taken
"""


FOLD_SLOTS = {
    "coverage": _fold("coverage", _SLOTS, _NAMES),
    "rejections": _fold("rejections", _SLOTS),
    "enriched_facts": _fold("enriched_facts", _SLOTS),
    "refused_names": _fold("refused_names", _SLOTS),
    "unsent_names": _fold("unsent_names", _SLOTS),
}
LIST_SLOTS = {
    "coverage": _fold("coverage", _SLOTS, _NAMES, listed=True),
    "rejections": _fold("rejections", _SLOTS, listed=True),
    "enriched_facts": _fold("enriched_facts", _SLOTS, listed=True),
}
FOLD_HOURS = {table: _fold(table, _HOURS) for table in KEYS}
FORGET = "DELETE FROM {0} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0} WHERE minute < %(before)s LIMIT %(limit)s))"


def fold_slots(
    table: str,
    before: datetime,
    hours_before: datetime,
    names_since: datetime,
    limit: int,
    whose: Whose,
    *,
    lists: bool,
) -> int:
    """Adds up what several backends counted before an instant, and notes the minutes of each name; of how many rows.

    What is already old enough to be kept by the hour becomes that at once. ``lists``: every process reads them.
    """
    params = {"before": before, "hours_before": hours_before, "names_since": names_since, "limit": limit}
    return _count((LIST_SLOTS if lists else FOLD_SLOTS)[table], {**params, **of_whom(whose)})


def fold_hours(table: str, hours_before: datetime, limit: int, whose: Whose) -> int:
    """Makes hours of the minutes before a full hour, the oldest first; of how many rows."""
    return _count(FOLD_HOURS[table], {"hours_before": hours_before, "limit": limit, **of_whom(whose)})


def merchants_with_slots(table: str, before: datetime, limit: int, without: Sequence[int]) -> list[int]:
    """Merchants of the ``limit`` oldest rows that are to be added up."""
    return _merchants(table, _SLOTS, {"before": before, "limit": limit, "without": list(without)})


def merchants_with_minutes(table: str, hours_before: datetime, limit: int, without: Sequence[int]) -> list[int]:
    """Merchants of the ``limit`` oldest rows that are to become hours."""
    return _merchants(table, _HOURS, {"hours_before": hours_before, "limit": limit, "without": list(without)})


def _merchants(table: str, where: str, params: Any) -> list[int]:
    found = rows(
        f"SELECT DISTINCT merchant_id FROM (SELECT merchant_id FROM {table} WHERE {where} "
        "AND merchant_id <> ALL(%(without)s) ORDER BY minute LIMIT %(limit)s) AS oldest ORDER BY merchant_id",
        params,
    )
    return [row[0] for row in found]


def forget(table: str, before: datetime, limit: int) -> int:
    """Deletes rows of a table of counters, as ``coverage``, of before an instant; how many."""
    return execute(FORGET.format(table), {"before": before, "limit": limit})  # type: ignore[arg-type]


def _count(sql: str, params: Any) -> int:
    count: int = rows(sql, params)[0][0]
    return count
