"""What events carry and what is refused at the door, as ingest counted it: read by ranges of the primary keys.

``coverage`` has the key (merchant_id, event_name, minute, action_source, host, facts, slot): a range of time is one of
a name, and the names are found by hopping from one to the next. ``rejections`` has (merchant_id, minute, ...). Both hold
minutes; what is older lies in lists by the hour (db/packed_lists.py), and ``coverage_counted`` and ``rejections_counted``
read either. Slots of one minute are added up here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tracklayer.db.connection import rows
from tracklayer.db.counters import counted_in
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.worth import Worth, worth_of

MOST_NAMES = 300  # of a merchant that are read: whoever sends a new name with every event is counted under few a day


class Covered(NamedTuple):
    """``events`` new ones of a name that arrived in a minute (or an older hour); ``facts``: see ``domain/facts.py``."""

    event_name: str
    minute: datetime
    action_source: str
    host: str
    facts: int
    events: int


class RefusedEvents(NamedTuple):
    """``events`` refused in a minute (or an older hour); ``field``: the snake_case path, ``''`` where there is none."""

    minute: datetime
    event_name: str
    code: str
    field: str
    events: int


class Refusals(NamedTuple):
    """``events`` of one name refused for one reason in some time. ``OTHERS``: further names, or none that could be read."""

    event_name: str
    code: str
    field: str
    events: int


_WITHIN = counted_in(unit="day")


def _next_name(after: str = "") -> str:
    """A subquery: the first name of a merchant ``m`` behind another one, whether it has rows or lists."""
    of_each = ", ".join(
        f"(SELECT event_name FROM {table} WHERE merchant_id = m.merchant_id{after} ORDER BY event_name LIMIT 1)"
        for table in ("coverage", "coverage_days")
    )
    return f"least({of_each})"


# The next name after each, by the primary keys: as many index look-ups as there are names, however many rows.
_NAMES = f"""
WITH RECURSIVE names AS (
    SELECT m.merchant_id, 1 AS place, {_next_name()} AS event_name
    FROM unnest(%(merchants)s::bigint[]) AS m(merchant_id)
    UNION ALL
    SELECT m.merchant_id, m.place + 1, {_next_name(" AND event_name > m.event_name")}
    FROM names m WHERE m.event_name IS NOT NULL AND m.place < {MOST_NAMES}
)
"""
BY_NAME = _NAMES  # for statements elsewhere that go from name to name
NAMES = f"{_NAMES} SELECT event_name FROM names WHERE event_name IS NOT NULL ORDER BY 1"
BY_HOUR = f"""
{_NAMES}
SELECT n.event_name, c.* FROM names n CROSS JOIN LATERAL (
    SELECT date_trunc('hour', minute, 'UTC') AS hour, action_source, host, facts, sum(events)::bigint AS events FROM coverage_counted
    WHERE merchant_id = n.merchant_id AND event_name = n.event_name AND {_WITHIN}
    GROUP BY 1, action_source, host, facts) AS c
WHERE n.event_name IS NOT NULL AND (%(name)s::text IS NULL OR n.event_name = %(name)s)
ORDER BY n.event_name, c.hour
"""
_SUMS = f"""
{_NAMES}
SELECT n.event_name, c.* FROM names n CROSS JOIN LATERAL (
    SELECT facts, sum(events)::bigint AS events FROM {{counted}}
    WHERE merchant_id = n.merchant_id AND event_name = n.event_name AND {_WITHIN}
    GROUP BY facts) AS c
WHERE n.event_name IS NOT NULL AND (%(name)s::text IS NULL OR n.event_name = %(name)s)
ORDER BY n.event_name
"""
SUMS, ENRICHED = _SUMS.format(counted="coverage_counted"), _SUMS.format(counted="enriched_facts_counted")
REJECTIONS = f"""
SELECT m.merchant_id, r.* FROM unnest(%(merchants)s::bigint[]) AS m(merchant_id) CROSS JOIN LATERAL (
    SELECT minute, event_name, code, field, sum(events)::bigint AS events FROM rejections_counted
    WHERE merchant_id = m.merchant_id AND {_WITHIN}
    GROUP BY minute, event_name, code, field) AS r
ORDER BY m.merchant_id, r.minute, r.event_name, r.code, r.field
"""
# What refused sales are worth that an alert may tell of. Kept for two days.
REFUSED_WORTH = """
SELECT m.merchant_id, w.* FROM unnest(%(merchants)s::bigint[]) AS m(merchant_id) CROSS JOIN LATERAL (
    SELECT minute, event_name, currency, sum(amount) AS amount FROM refused_worth
    WHERE merchant_id = m.merchant_id AND minute >= %(since)s AND minute < %(until)s
    GROUP BY minute, event_name, currency) AS w
"""
REFUSALS = f"""
SELECT coalesce(nullif(event_name, ''), '{OTHERS}') AS name, code, field, sum(events)::bigint AS events
FROM rejections_counted WHERE merchant_id = %(merchant)s AND {_WITHIN}
GROUP BY name, code, field ORDER BY events DESC, name, code, field LIMIT %(limit)s
"""


def names_of(merchant_id: int) -> list[str]:
    """The names of events that were ever counted, in order, at most ``MOST_NAMES``."""
    return [row[0] for row in rows(NAMES, _params([merchant_id]))]


def coverage_by_hour(
    merchant_id: int, since: datetime, until: datetime, event_name: str | None = None
) -> list[Covered]:
    """What a merchant's events from ``since`` to ``until`` (not included) carried, by the hour (``minute`` is its start), of all
    names or one; in order of name, then hour.
    """
    return [Covered(*row) for row in rows(BY_HOUR, _params([merchant_id], since, until, event_name))]


def facts_of_names(
    merchant_id: int, since: datetime, until: datetime, event_name: str | None = None
) -> dict[str, dict[int, int]]:
    """Name -> facts -> events from ``since`` to ``until`` (not included), of all names or one."""
    return _facts(SUMS, merchant_id, since, until, event_name)


def enriched_of_names(
    merchant_id: int, since: datetime, until: datetime, event_name: str | None = None
) -> dict[str, dict[int, int]]:
    """Name -> what stitching added, as facts -> events that got it, of those of ``facts_of_names``."""
    return _facts(ENRICHED, merchant_id, since, until, event_name)


def _facts(
    sql: str, merchant_id: int, since: datetime, until: datetime, event_name: str | None
) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for name, facts, events in rows(sql, _params([merchant_id], since, until, event_name)):
        found.setdefault(name, {})[facts] = events
    return found


def rejections_by_minute(
    merchant_ids: Sequence[int], since: datetime, until: datetime
) -> dict[int, list[RefusedEvents]]:
    """What was refused from ``since`` to ``until`` (not included), by merchant, oldest first."""
    found: dict[int, list[RefusedEvents]] = {}
    for row in rows(REJECTIONS, _params(merchant_ids, since, until)):
        found.setdefault(row[0], []).append(RefusedEvents(*row[1:]))
    return found


def refused_worth(
    merchant_ids: Sequence[int], since: datetime, until: datetime
) -> dict[tuple[int, datetime], dict[str, Worth]]:
    """(merchant id, minute) -> event name -> what of it was refused is worth, of those that brought a value and a currency."""
    sales: dict[tuple[int, datetime], dict[str, list[tuple[str, Decimal]]]] = defaultdict(lambda: defaultdict(list))
    for merchant_id, minute, event_name, currency, amount in rows(REFUSED_WORTH, _params(merchant_ids, since, until)):
        sales[merchant_id, minute][event_name].append((currency, amount))
    return {key: {name: worth_of(of_name) for name, of_name in names.items()} for key, names in sales.items()}


def refusals(merchant_id: int, since: datetime, until: datetime, limit: int) -> list[Refusals]:
    """Why events were refused from ``since`` to ``until`` (not included): the commonest reasons first."""
    params: Any = {"merchant": merchant_id, "since": since, "until": until, "limit": limit}
    return [Refusals(*row) for row in rows(REFUSALS, params)]


def _params(
    merchant_ids: Sequence[int],
    since: datetime | None = None,
    until: datetime | None = None,
    event_name: str | None = None,
) -> Any:
    return {"merchants": list(merchant_ids), "since": since, "until": until, "name": event_name}
