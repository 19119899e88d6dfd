"""When events of each name arrive, and what is normal for them: what ``tracking_stopped`` and ``events_rejected`` read.

The minutes of a name are those of ``names_counted``, rows and lists (db/packed_lists.py) that are written when ``coverage`` is
folded, and of ``coverage`` itself since ``unfolded``: an instant that folding has passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import counted_in

# What is not folded yet is read from coverage: usually ten minutes of it, and a day where nobody folded for so long.
UNFOLDED = timedelta(days=1)
HOURS_FROM = timedelta(days=2)  # what is older is kept by the hour

# The last event of each name by the primary keys, backwards. What is told after hours is not asked for before. One that
# had none for long may have one at any moment.
LAST_OF_NAMES = """
SELECT b.merchant_id, b.event_name, last.minute, coalesce(last.minute, %(now)s) + make_interval(secs => b.told_after) AS at,
       CASE WHEN last.minute IS NOT NULL
             AND (last.minute + make_interval(secs => b.told_after) <= %(now)s OR also.event_name IS NOT NULL)
            THEN b.rhythm::text END
FROM name_baselines b
LEFT JOIN LATERAL (
    SELECT minute FROM coverage WHERE merchant_id = b.merchant_id AND event_name = b.event_name AND minute >= %(since)s
      AND minute <= %(now)s
    ORDER BY minute DESC LIMIT 1) AS newest ON true
LEFT JOIN LATERAL (
    SELECT CASE WHEN newest.minute >= %(exact_since)s THEN newest.minute ELSE greatest(newest.minute, (
        SELECT minute FROM name_minutes
        WHERE merchant_id = b.merchant_id AND event_name = b.event_name AND minute >= %(since)s
          AND minute <= %(now)s
        ORDER BY minute DESC LIMIT 1), (
        SELECT last.minute FROM name_days d CROSS JOIN LATERAL (
            SELECT max(d.day + place * interval '1 minute') AS minute FROM unnest(d.places) AS place
            WHERE d.day + place * interval '1 minute' BETWEEN %(since)s AND %(now)s) AS last
        WHERE d.merchant_id = b.merchant_id AND d.event_name = b.event_name
          AND d.day >= date_trunc('day', %(since)s, 'UTC') AND d.day <= %(now)s AND last.minute IS NOT NULL
        ORDER BY d.day DESC LIMIT 1)) END AS minute OFFSET 0) AS found ON true
LEFT JOIN unnest(%(open_merchants)s::bigint[], %(open_names)s::text[]) AS also(merchant_id, event_name)
    ON (also.merchant_id, also.event_name) = (b.merchant_id, b.event_name)
CROSS JOIN LATERAL (
    SELECT coalesce(found.minute, CASE WHEN also.event_name IS NOT NULL
        THEN (b.rhythm ->> 'until')::timestamptz - interval '1 hour' END) AS minute) AS last
WHERE b.merchant_id = ANY(%(merchants)s::bigint[] || %(open_merchants)s::bigint[]) AND b.event_name <> '' AND b.rhythm IS NOT NULL
  AND (b.merchant_id = ANY(%(merchants)s::bigint[]) OR also.event_name IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class QuietName:
    """``rhythm``: JSON. ``minute``: the last one with a new event of this name."""

    merchant_id: int
    name: str
    rhythm: dict[str, Any]
    minute: datetime


def quiet_names(
    merchant_ids: Sequence[int], also: Sequence[tuple[int, str]], since: datetime, now: datetime
) -> tuple[list[QuietName], dict[int, datetime]]:
    """Names with a rhythm that have been silent long enough to be looked at, and (merchant, name) ``also``, of whomever;

    and, by merchant, when the first of its others will have been, if no event of it comes.

    One that has had no event since ``since`` is not looked at, but for ``also``: of those the hour is known of the last one.
    """
    params: Any = {
        "merchants": list(merchant_ids),
        "since": since,
        "exact_since": now - HOURS_FROM + timedelta(hours=2),
        "now": now,
        "open_merchants": [key[0] for key in also],
        "open_names": [key[1] for key in also],
    }
    quiet: list[QuietName] = []
    others: dict[int, datetime] = {}
    for merchant_id, name, minute, at, rhythm in rows(LAST_OF_NAMES, params):
        if rhythm is not None:
            quiet.append(QuietName(merchant_id, name, orjson.loads(rhythm), minute))
        else:
            others[merchant_id] = min(at, others.get(merchant_id, at))
    return quiet, others


def rhythms_of(merchant_id: int) -> dict[str, dict[str, Any]]:
    """Name -> its rhythm as JSON, of the names that have one."""
    found = rows(
        "SELECT event_name, rhythm::text FROM name_baselines "
        "WHERE merchant_id = %s AND event_name <> '' AND rhythm IS NOT NULL",
        (merchant_id,),
    )
    return {row[0]: orjson.loads(row[1]) for row in found}


_ACTIVE = f"""
    SELECT event_name, minute, events FROM names_counted
    WHERE merchant_id = %(merchant)s AND event_name = ANY(%(names)s) AND {counted_in(unit="day")}
    UNION ALL
    SELECT event_name, minute, events FROM coverage
    WHERE merchant_id = %(merchant)s AND event_name = ANY(%(names)s) AND slot <> 0
      AND minute >= greatest(%(since)s, %(unfolded)s) AND minute < %(until)s
"""
MINUTES = f"SELECT event_name, count(DISTINCT minute) FROM ({_ACTIVE}) AS active GROUP BY 1"
HOURS = f"""
SELECT event_name, date_trunc('hour', minute, 'UTC'), count(DISTINCT minute), sum(events)::bigint
FROM ({_ACTIVE}) AS active GROUP BY 1, 2 ORDER BY 1, 2
"""
GAPS = f"""
SELECT event_name, minute - gap + interval '1 minute', minute FROM (
    SELECT event_name, minute, gap, row_number() OVER (PARTITION BY event_name ORDER BY gap DESC) AS place FROM (
        SELECT event_name, minute, minute - lag(minute) OVER (PARTITION BY event_name ORDER BY minute) AS gap
        FROM (SELECT DISTINCT event_name, minute FROM ({_ACTIVE}) AS active) AS minutes) AS gaps
    WHERE gap >= %(least)s) AS longest
WHERE place <= 200
"""


def minutes_of_names(merchant_id: int, names: Sequence[str], since: datetime, until: datetime) -> dict[str, int]:
    """In how many minutes of a span new events of each name arrived. ``until``: now, or before."""
    return {row[0]: row[1] for row in rows(MINUTES, _params(merchant_id, names, since, until))}


Hours = dict[datetime, tuple[int, int]]  # hour -> minutes with an event, events


def hours_of_names(
    merchant_id: int, names: Sequence[str], since: datetime, until: datetime, unfolded: datetime | None = None
) -> dict[str, Hours]:
    """Name -> its hours with any new event. ``unfolded``: since when nobody may have folded; usually a day is enough."""
    found: dict[str, Hours] = {}
    params = _params(merchant_id, names, since, until)
    if unfolded is not None:
        params["unfolded"] = unfolded
    for name, hour, minutes, events in rows(HOURS, params):
        found.setdefault(name, {})[hour] = minutes, events
    return found


Gaps = list[tuple[datetime, datetime]]


def gaps_of_names(
    merchant_id: int, names: Sequence[str], since: datetime, until: datetime, least: timedelta
) -> dict[str, Gaps]:
    """Name -> the longest silences between two events of it: (from, to)."""
    found: dict[str, Gaps] = {}
    params = _params(merchant_id, names, since, until) | {"least": least}
    for name, start, end in rows(GAPS, params):
        found.setdefault(name, []).append((start, end))
    return found


def _params(merchant_id: int, names: Sequence[str], since: datetime, until: datetime) -> Any:
    return {
        "merchant": merchant_id,
        "names": list(names),
        "since": since,
        "until": until,
        "unfolded": until - UNFOLDED,
    }


# Added up for each name by itself: joined, the hours of all merchants would be read for it.
EVENTS = f"""
SELECT x.merchant_id, x.event_name, m.*
FROM unnest(%(merchants)s::bigint[], %(names)s::text[]) AS x(merchant_id, event_name) CROSS JOIN LATERAL (
    SELECT minute, sum(events)::bigint FROM (
    SELECT minute, events FROM names_counted
    WHERE merchant_id = x.merchant_id AND event_name = x.event_name AND {counted_in(unit="day")}
    UNION ALL
    SELECT minute, events FROM coverage
    WHERE merchant_id = x.merchant_id AND event_name = x.event_name AND slot <> 0
      AND minute >= greatest(%(since)s, %(unfolded)s) AND minute < %(until)s) AS either GROUP BY minute) AS m
"""


def events_of_names(
    names: Sequence[tuple[int, str]], since: datetime, until: datetime
) -> list[tuple[int, str, datetime, int]]:
    """(merchant, name, minute, new events) of some merchants' names, in no order. ``until``: now, or before."""
    if not names:
        return []
    params: Any = {
        "merchants": [key[0] for key in names],
        "names": [key[1] for key in names],
        "since": since,
        "until": until,
        "unfolded": until - UNFOLDED,
    }
    return [(row[0], row[1], row[2], row[3]) for row in rows(EVENTS, params)]


# Added up for each merchant by itself: joined, the hours of all merchants would be read for it.
ACCEPTED = f"""
SELECT x.merchant_id, m.* FROM unnest(%(merchants)s::bigint[]) AS x(merchant_id) CROSS JOIN LATERAL (
    SELECT minute, sum(accepted + coalesced)::bigint, sum(coalesced)::bigint FROM counted
    WHERE merchant_id = x.merchant_id AND platform = '' AND {counted_in()} GROUP BY minute) AS m
"""


def accepted_by_minute(
    merchant_ids: Sequence[int], since: datetime, until: datetime
) -> dict[tuple[int, datetime], tuple[int, int]]:
    """(merchant, minute) -> (events accepted, repeats included; the repeats); minutes in which anything arrived."""
    params: Any = {"merchants": list(merchant_ids), "since": since, "until": until}
    return {(row[0], row[1]): (row[2], row[3]) for row in rows(ACCEPTED, params)}


def rejected_of_name(merchant_id: int, name: str, since: datetime) -> int:
    found = rows(
        "SELECT coalesce(sum(events), 0)::bigint FROM rejections_counted "
        f"WHERE merchant_id = %(merchant)s AND {counted_in(until=None, unit='day')} AND event_name = %(name)s",
        {"merchant": merchant_id, "since": since, "name": name},  # type: ignore[arg-type]
    )
    count: int = found[0][0]
    return count


# Baselines -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Learned:
    """What four weeks tell of a name: its rhythm, and the share of it that is accepted; each as JSON, None: too little.

    ``told_after``: in seconds, with a rhythm.
    """

    rhythm: dict[str, Any] | None = None
    told_after: int | None = None
    accepted: dict[str, Any] | None = None


def write_name_baselines(merchant_id: int, learned: Mapping[str, Learned], until: datetime) -> None:
    """Name ('' for all of them) -> what was learned of it. What is not among them any more is forgotten."""
    given = [
        {"event_name": name, "rhythm": found.rhythm, "told_after": found.told_after, "accepted": found.accepted}
        for name, found in sorted(learned.items())
    ]
    execute("DELETE FROM name_baselines WHERE merchant_id = %s AND event_name <> ALL(%s)", (merchant_id, list(learned)))
    if not given:
        return
    execute(
        "INSERT INTO name_baselines (merchant_id, event_name, learned_until, rhythm, told_after, accepted) "
        "SELECT %s, event_name, %s, nullif(rhythm, 'null'), told_after, nullif(accepted, 'null') "
        "FROM jsonb_to_recordset(%s::jsonb) AS x(event_name text, rhythm jsonb, told_after int, accepted jsonb) "
        "ON CONFLICT (merchant_id, event_name) DO UPDATE SET learned_until = excluded.learned_until, "
        "rhythm = excluded.rhythm, told_after = excluded.told_after, accepted = excluded.accepted",
        (merchant_id, until, orjson.dumps(given).decode()),
    )


def received_by_hour(merchant_id: int, since: datetime, until: datetime) -> dict[datetime, tuple[int, int, int]]:
    """Hour -> (events accepted, repeats included; the repeats; events refused); only hours with any."""
    params: Any = {"merchant": merchant_id, "since": since, "until": until}
    found = rows(
        "SELECT date_trunc('hour', minute, 'UTC'), sum(accepted + coalesced)::bigint, sum(coalesced)::bigint, sum(rejected)::bigint "
        f"FROM counted WHERE merchant_id = %(merchant)s AND platform = '' AND {counted_in()} GROUP BY 1",
        params,
    )
    return {row[0]: (row[1], row[2], row[3]) for row in found}


def refused_by_hour(merchant_id: int, since: datetime, until: datetime) -> list[tuple[datetime, str, str, str, int]]:
    """(hour, event name, code, field, how many were refused)."""
    found = rows(
        "SELECT date_trunc('hour', minute, 'UTC'), event_name, code, field, sum(events)::bigint FROM rejections_counted "
        f"WHERE merchant_id = %(merchant)s AND {counted_in(unit='day')} GROUP BY 1, 2, 3, 4",
        {"merchant": merchant_id, "since": since, "until": until},  # type: ignore[arg-type]
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in found]


def accepted_shares(merchant_ids: Sequence[int]) -> dict[int, dict[str, dict[str, Any]]]:
    """Merchant -> name ('' for all) -> what was learned of its accepted share, as JSON."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    sql = (
        "SELECT merchant_id, event_name, accepted::text FROM name_baselines "
        "WHERE merchant_id = ANY(%s) AND accepted IS NOT NULL"
    )
    for merchant_id, name, accepted in rows(sql, (list(merchant_ids),)):
        found.setdefault(merchant_id, {})[name] = orjson.loads(accepted)
    return found
