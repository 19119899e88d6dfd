"""What the look at match quality reads: baselines, and of a page's names what their newest events carry.

``coverage_counted`` is read by the primary keys, (merchant_id, event_name, minute or day, ...), each name in a range of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import counted_in
from tracklayer.db.coverage import Covered
from tracklayer.domain.alert import AlertKind

Key = tuple[int, str]  # merchant id, event name
MOST_ROWS = 4000  # of a name that are judged: each is an event at least, and 640 events are enough

GLANCES = """
SELECT merchant_id, glances::text FROM coverage_baselines WHERE merchant_id = ANY(%s)
"""
NEWEST = f"""
SELECT x.merchant_id, x.event_name, c.* FROM unnest(%(merchants)s::bigint[], %(names)s::text[], %(since)s::timestamptz[])
    AS x(merchant_id, event_name, since)
CROSS JOIN LATERAL (
    SELECT max(minute), action_source, host, facts, sum(events)::bigint FROM coverage_counted
    WHERE merchant_id = x.merchant_id AND event_name = x.event_name AND {counted_in("x.since", unit="day")}
    GROUP BY action_source, host, facts) AS c
"""
LEARNED = """
SELECT x.merchant_id, x.event_name, (b.learned -> x.event_name)::text
FROM unnest(%(merchants)s::bigint[], %(names)s::text[]) AS x(merchant_id, event_name)
JOIN coverage_baselines b ON b.merchant_id = x.merchant_id
WHERE b.learned -> x.event_name IS NOT NULL
"""
PAST = f"""
SELECT x.merchant_id, x.event_name, c.* FROM unnest(%(merchants)s::bigint[], %(names)s::text[]) AS x(merchant_id, event_name)
CROSS JOIN LATERAL (
    SELECT minute, action_source, host, facts, events FROM coverage_counted
    WHERE merchant_id = x.merchant_id AND event_name = x.event_name AND {counted_in(unit="day")}
    ORDER BY minute DESC LIMIT {MOST_ROWS}) AS c
ORDER BY x.merchant_id, x.event_name, c.minute
"""
OPEN = """
SELECT merchant_id, event_name, details::text FROM alerts
WHERE merchant_id = ANY(%s) AND kind = %s AND resolved_at IS NULL AND event_name IS NOT NULL
"""


def glances(merchant_ids: Sequence[int]) -> dict[Key, float]:
    """The names that have a baseline, each with the seconds in which enough events for a glance usually come."""
    return {
        (merchant_id, name): seconds
        for merchant_id, found in rows(GLANCES, (list(merchant_ids),))
        for name, seconds in orjson.loads(found).items()
    }


def newest(keys: Mapping[Key, datetime], until: datetime) -> dict[Key, list[Covered]]:
    """What events of each name from an instant on carried, added up; ``minute`` is the last one with such an event."""
    params: Any = {**_keys(list(keys)), "since": list(keys.values()), "until": until}
    return _covered(rows(NEWEST, params)) if keys else {}


def learned(keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    if not keys:
        return {}
    return {(row[0], row[1]): orjson.loads(row[2]) for row in rows(LEARNED, _keys(keys))}


def past(keys: Sequence[Key], since: datetime, until: datetime) -> dict[Key, list[Covered]]:
    """By the minute, oldest first; of many events the newest ones, in whole minutes."""
    if not keys:
        return {}
    params: Any = {**_keys(keys), "since": since, "until": until}
    found = _covered(rows(PAST, params))
    for key, covered in found.items():
        if len(covered) == MOST_ROWS:
            found[key] = [one for one in covered if one.minute > covered[0].minute]
    return found


def open_details(merchant_ids: Sequence[int]) -> dict[Key, dict[str, Any]]:
    """The figures of the open alerts of this kind."""
    if not merchant_ids:
        return {}
    found = rows(OPEN, (list(merchant_ids), AlertKind.MATCH_QUALITY_DROP.value))
    return {(row[0], row[1]): orjson.loads(row[2]) for row in found}


PLATFORMS_OF = """
SELECT merchant_id, platform FROM destinations
WHERE merchant_id = ANY(%s) AND removed_at IS NULL ORDER BY merchant_id, platform
"""


def platforms_of(merchant_ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for merchant_id, platform in rows(PLATFORMS_OF, (list(merchant_ids),)):
        found.setdefault(merchant_id, []).append(platform)
    return found


def write_baselines(
    merchant_id: int, learned: Mapping[str, Any], glances: Mapping[str, float], until: datetime
) -> None:
    """What was learned before stays where nothing was learned: a merchant that is silent for weeks keeps it."""
    execute(
        "INSERT INTO coverage_baselines (merchant_id, learned_until, learned, glances) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (merchant_id) DO UPDATE SET learned_until = excluded.learned_until, "
        "learned = CASE WHEN excluded.learned = '{}' THEN coverage_baselines.learned ELSE excluded.learned END, "
        "glances = CASE WHEN excluded.learned = '{}' THEN coverage_baselines.glances ELSE excluded.glances END",
        (merchant_id, until, orjson.dumps(learned).decode(), orjson.dumps(glances).decode()),
    )


def _covered(found: Sequence[tuple[Any, ...]]) -> dict[Key, list[Covered]]:
    covered: dict[Key, list[Covered]] = {}
    for row in found:
        covered.setdefault((row[0], row[1]), []).append(Covered(row[1], *row[2:]))
    return covered


def _keys(keys: Sequence[Key]) -> Any:
    return {"merchants": [key[0] for key in keys], "names": [key[1] for key in keys]}
