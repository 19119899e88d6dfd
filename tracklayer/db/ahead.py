"""Instants that lie further ahead than anybody writes them: by a clock that was ahead, and has been set back since.

Whatever waits for such an instant would stand still until that clock's time has come again. Here is how they are led back to
now; which there are, and how far ahead each may lie, is said in services/lead_back.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import counted_ahead

Key = tuple[int, str]  # merchant id, platform


class Longest(NamedTuple):
    """How far ahead of now an instant is written at most. ``to``: how far ahead of now one is left that lies further off."""

    ahead: timedelta = timedelta()
    to: timedelta = timedelta()


@dataclass(frozen=True)
class Waits:
    """Columns of a table by which its rows wait. ``which``: of its rows, which are ``t``; ``also``: what is written besides.

    Where one of the columns lies too far ahead, all of them were written by that clock.
    """

    table: str
    columns: Mapping[str, Longest]
    which: str = "true"
    also: str = ""


def lead_back(waits: Waits, now: datetime, off: timedelta, limit: int, page: Sequence[Key] = ()) -> int:
    """Leads back what lies further ahead than it may, by more than ``off``; in how many rows, at most ``limit``.

    Nobody is waited for: whoever has a row in hand writes it anew. ``page``: destinations, for a condition that names them.
    """
    params: dict[str, Any] = {"now": now, "limit": limit, **_given(page)}
    for name, longest in waits.columns.items():
        params |= {f"{name}_latest": now + longest.ahead + off, f"{name}_to": now + longest.to}
    led = ", ".join(
        f"{name} = CASE WHEN {name} > %({name}_to)s THEN %({name}_to)s ELSE {name} END" for name in waits.columns
    )
    is_ahead = " OR ".join(f"t.{name} > %({name}_latest)s" for name in waits.columns)
    return execute(
        f"UPDATE {waits.table} SET {led}{waits.also} WHERE ctid = ANY(ARRAY("
        f"SELECT t.ctid FROM {waits.table} t WHERE ({waits.which}) AND ({is_ahead}) LIMIT %(limit)s "
        "FOR UPDATE OF t SKIP LOCKED))",
        params,  # type: ignore[arg-type]
    )


OF_PAGE = """
(t.merchant_id, t.platform) IN (SELECT * FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]))"""
DESTINATIONS = """
SELECT merchant_id, platform FROM destinations WHERE (merchant_id, platform) > (%s, %s)
ORDER BY merchant_id, platform LIMIT %s
"""


def page_of_destinations(after: Key, limit: int) -> list[Key]:
    """The next ones by their key."""
    return [(row[0], row[1]) for row in rows(DESTINATIONS, (*after, limit))]


# What waits for the time that its event names waits for that, and for no clock. What never failed is due when it was queued: it
# is looked for where something was counted in time to come, as then by whoever queued it, and not among all that waits for retries.
DELIVERIES = f"""
UPDATE deliveries SET due_at = %(now)s, next_retry_at = CASE WHEN next_retry_at IS NOT NULL THEN %(now)s::timestamptz END
WHERE ctid = ANY(ARRAY(
    SELECT found.place FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS page (merchant_id, platform)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN {counted_ahead("page.merchant_id", "page.platform")} IS NULL THEN %(retry)s ELSE %(first)s END AS latest
        OFFSET 0) AS looked
    CROSS JOIN LATERAL (
        SELECT d.ctid AS place FROM deliveries d
        WHERE d.merchant_id = page.merchant_id AND d.platform = page.platform
          AND d.due_at > looked.latest AND (d.due_at > %(retry)s OR d.next_retry_at IS NULL)
          AND (SELECT occurred_at FROM events e WHERE e.merchant_id = d.merchant_id AND e.event_id = d.event_id) < d.due_at
        LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED) AS found
    LIMIT %(limit)s))
"""


def lead_deliveries_back(page: Sequence[Key], now: datetime, first: datetime, retry: datetime, limit: int) -> int:
    """Of what waits at these destinations, what is due later than ``retry``, or never failed and is due later than ``first``, which
    is earlier, is due now. How many, at most ``limit``.
    """
    params: Any = {"now": now, "first": first, "retry": retry, "limit": limit, **_given(page)}
    return execute(DELIVERIES, params)


def _given(page: Sequence[Key]) -> dict[str, Any]:
    return {"merchants": [key[0] for key in page], "platforms": [key[1] for key in page]}


def own_time() -> datetime:
    """What PostgreSQL's own clock says at this moment."""
    found: datetime = rows("SELECT clock_timestamp()")[0][0]
    return found
