"""Traces of erased events: their sealed ids while an erasure goes on, and the places elsewhere that may name one by its id.

What is put in the place of a name is decided in services/traces.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracklayer.db.connection import execute, rows


def add_traces(merchant_id: int, sealed: Mapping[int, bytes]) -> None:
    """Ids of events that erasures deleted, by erasure id."""
    execute(
        "INSERT INTO erasure_traces (merchant_id, erasure_id, page, sealed) SELECT %(merchant)s, x.erasure_id, "
        "coalesce((SELECT max(page) FROM erasure_traces t WHERE t.merchant_id = %(merchant)s "
        "AND t.erasure_id = x.erasure_id), 0) + 1, x.sealed "
        "FROM unnest(%(ids)s::bigint[], %(sealed)s::bytea[]) AS x(erasure_id, sealed)",
        {"merchant": merchant_id, "ids": list(sealed), "sealed": list(sealed.values())},  # type: ignore[arg-type]
    )


def traces(merchant_id: int, erasure_id: int) -> list[bytes]:
    found = rows(
        "SELECT sealed FROM erasure_traces WHERE merchant_id = %s AND erasure_id = %s ORDER BY page",
        (merchant_id, erasure_id),
    )
    return [bytes(row[0]) for row in found]


def forget_traces(merchant_id: int, erasure_id: int) -> None:
    execute("DELETE FROM erasure_traces WHERE merchant_id = %s AND erasure_id = %s", (merchant_id, erasure_id))


@dataclass(frozen=True)
class Mentions:
    """A table that may name an event by its id. ``columns``: those that may, ``json``: those of them that are JSON.

    ``only``: a condition on its rows.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    json: frozenset[str] = frozenset()
    only: str = "true"


PLACES = (
    Mentions("destinations", ("platform",), ("state_reason",)),
    Mentions("alerts", ("alert_id",), ("title", "message", "note", "details", "told"), frozenset({"details", "told"})),
    Mentions("alert_channels", ("channel_id",), ("last_error",)),
    Mentions("channel_messages", ("message_id",), ("data", "last_error"), frozenset({"data"})),
    Mentions(
        "advice",
        ("platform", "code", "event_name"),
        ("sentence", "next_step", "example_event_id", "details"),
        frozenset({"details"}),
    ),
    # One that goes on needs what it searches for, and where it is.
    Mentions(
        "redeliveries",
        ("redelivery_id",),
        ("refused_examples",),
        frozenset({"refused_examples"}),
        "finished_at IS NULL",
    ),
    Mentions("redelivery_pages", ("redelivery_id", "page"), ("keys",), frozenset({"keys"})),
    Mentions(
        "redeliveries",
        ("redelivery_id",),
        ("search", "stored", "after", "refused_examples"),
        frozenset({"search", "stored", "after", "refused_examples"}),
        "finished_at IS NOT NULL",
    ),
)


def is_any_redelivered(merchant_id: int, before: datetime) -> bool:
    """Whether a redelivery that was asked for before an instant goes on."""
    return bool(
        rows(
            "SELECT 1 FROM redeliveries WHERE merchant_id = %s AND finished_at IS NULL AND requested_at <= %s LIMIT 1",
            (merchant_id, before),
        )
    )


def is_any_at(merchant_id: int, event_ids: Collection[str]) -> bool:
    """Whether a redelivery that goes on stands at one of some events."""
    return bool(
        rows(
            "SELECT 1 FROM redeliveries WHERE merchant_id = %s AND finished_at IS NULL AND after ->> 1 = ANY(%s) LIMIT 1",
            (merchant_id, list(event_ids)),
        )
    )


def page_of_place(place: Mentions, merchant_id: int, after: Sequence[Any] | None, limit: int) -> list[tuple[Any, ...]]:
    """Rows of a merchant, key first, then the columns as text; By key."""
    key, columns = ", ".join(place.key), ", ".join(f"{name}::text" for name in place.columns)
    behind = f"AND ({key}) > %s" if after is not None else ""
    sql = (
        f"SELECT {key}, {columns} FROM {place.table} WHERE merchant_id = %s AND {place.only} {behind} "
        f"ORDER BY {key} LIMIT %s"
    )
    return rows(sql, (merchant_id, *((tuple(after),) if after is not None else ()), limit))


def rewrite(
    place: Mentions, merchant_id: int, key: Sequence[Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> int:
    """Writes the columns that differ, unless somebody changed them meanwhile; how many rows."""
    changed = [name for name in place.columns if before[name] != after[name]]
    sets = ", ".join(f"{name} = %s" for name in changed)
    unchanged = " AND ".join(f"{name}::text IS NOT DISTINCT FROM %s" for name in changed)
    sql = f"UPDATE {place.table} SET {sets} WHERE merchant_id = %s AND ({', '.join(place.key)}) = %s AND {unchanged}"
    params = (*(after[name] for name in changed), merchant_id, tuple(key), *(before[name] for name in changed))
    return execute(sql, params)
