"""What the monitors read: minutes, states and baselines of a page of merchants at a time, each by its index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import counted_in, last_counted
from tracklayer.domain.delivery import UNMAPPABLE, DropReason
from tracklayer.domain.monitors.refusals import Unmappable
from tracklayer.domain.monitors.spans import COUNTS, MINUTE, Counts, Minute
from tracklayer.domain.monitors.views import Span

Key = tuple[int, str]  # merchant id, platform

# Slots of one minute are added up; sums of integers come as bigint.
_SUMS = ", ".join(f"sum({name})::bigint" for name in COUNTS)
RECENT = f"""
SELECT d.merchant_id, d.platform, m.* FROM destinations d CROSS JOIN LATERAL (
    SELECT minute, {_SUMS} FROM counted
    WHERE merchant_id = d.merchant_id AND platform = d.platform AND {counted_in(until=None)} AND minute <= %(now)s
    GROUP BY minute) AS m
WHERE d.merchant_id = ANY(%(merchants)s) AND d.removed_at IS NULL
ORDER BY d.merchant_id, d.platform, m.minute
"""

PAST = f"""
SELECT x.merchant_id, x.platform, m.* FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS x(merchant_id, platform)
CROSS JOIN LATERAL (
    SELECT minute, {_SUMS} FROM counted
    WHERE merchant_id = x.merchant_id AND platform = x.platform AND {counted_in()}
    GROUP BY minute) AS m
ORDER BY x.merchant_id, x.platform, m.minute
"""


def recent_minutes(merchant_ids: Sequence[int], since: datetime, now: datetime) -> dict[Key, list[Minute]]:
    """The minutes of each destination from ``since`` on, oldest first; only those in which something happened."""
    return _minutes(rows(RECENT, {"merchants": list(merchant_ids), "since": since, "now": now}))  # type: ignore[arg-type]


def past_minutes(keys: Sequence[Key], since: datetime, until: datetime) -> dict[Key, list[Minute]]:
    if not keys:
        return {}
    params: Any = {
        "merchants": [key[0] for key in keys],
        "platforms": [key[1] for key in keys],
        "since": since,
        "until": until,
    }
    return _minutes(rows(PAST, params))


# Behind the last minute in which anything was accepted, by the hour: of a destination to which hardly anything goes.
RUN = f"""
SELECT x.merchant_id, x.platform, m.* FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS x(merchant_id, platform)
CROSS JOIN LATERAL (
    SELECT {last_counted("x.merchant_id", "x.platform", "%(since)s", "%(now)s", "acknowledged > 0", "acknowledged > 0")} AS minute OFFSET 0
) AS good
CROSS JOIN LATERAL (
    SELECT min(minute), max(minute) AS last, {_SUMS} FROM counted
    WHERE merchant_id = x.merchant_id AND platform = x.platform
      AND {counted_in("greatest(%(since)s, good.minute)")} AND (good.minute IS NULL OR minute > good.minute)
    GROUP BY date_trunc('hour', minute, 'UTC')) AS m
ORDER BY x.merchant_id, x.platform, m.last
"""


def runs(keys: Sequence[Key], since: datetime, until: datetime, now: datetime) -> dict[Key, list[Span]]:
    """Of each destination, the hours from ``since`` to ``until`` after the last minute of them with an acknowledgement."""
    if not keys:
        return {}
    params: Any = {**_keys(keys), "since": since, "until": until, "now": now}
    return _spans(rows(RUN, params))


# Many times what is counted of whoever sends hardly anything: what was once busy is read as far back as that.
MOST_OF_FEW = 5_000
EARLIER = f"""
SELECT x.merchant_id, x.platform, m.*
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(since)s::timestamptz[]) AS x(merchant_id, platform, since)
CROSS JOIN LATERAL (
    SELECT min(minute), max(minute) AS last, {_SUMS} FROM (
        SELECT * FROM counted
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND {counted_in("x.since")}
        ORDER BY minute DESC LIMIT {MOST_OF_FEW}) AS newest
    GROUP BY date_trunc('hour', minute, 'UTC')) AS m
ORDER BY x.merchant_id, x.platform, m.last
"""


def earlier(since: Mapping[Key, datetime], until: datetime) -> dict[Key, list[Span]]:
    """The hours of each destination from its ``since`` up to ``until``: the newest, where there is much in them."""
    if not since:
        return {}
    params: Any = {**_keys(list(since)), "since": list(since.values()), "until": until}
    return _spans(rows(EARLIER, params))


def _spans(found: Iterable[tuple[Any, ...]]) -> dict[Key, list[Span]]:
    spans: dict[Key, list[Span]] = {}
    for merchant_id, platform, first, last, *counts in found:
        span = Span(first, last + MINUTE, *(max(0, count) for count in counts))
        spans.setdefault((merchant_id, platform), []).append(span)
    return spans


def _minutes(found: Sequence[tuple[Any, ...]]) -> dict[Key, list[Minute]]:
    minutes: dict[Key, list[Minute]] = {}
    for row in found:
        counts: Counts = tuple(row[3:])
        minutes.setdefault((row[0], row[1]), []).append((row[2], counts))
    return minutes


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """``settings``: without secrets. The last four are of the longest due delivery; None where nothing is due."""

    merchant_id: int
    platform: str
    state: str
    state_reason: str | None
    failing_since: datetime | None
    resume_at: datetime | None
    recovering_since: datetime | None
    settings: dict[str, Any]
    learned: dict[str, Any] | None
    waiting: int
    due_at: datetime | None
    window_ends_at: datetime | None
    occurred_at: datetime | None
    action_source: str | None


# The longest due by the index that workers claim by; what a worker has in hand right now is still due. ``LIMIT 1`` keeps the
# planner from joining: it would read the baselines of all merchants, and all events where there are few.
DESTINATIONS = """
SELECT d.merchant_id, d.platform, d.state, d.state_reason, d.failing_since, d.resume_at, d.recovering_since, d.settings::text,
       b.learned::text, coalesce(q.waiting, 0), o.due_at, o.window_ends_at, e.occurred_at, e.action_source
FROM destinations d
LEFT JOIN LATERAL (
    SELECT learned FROM baselines WHERE merchant_id = d.merchant_id AND platform = d.platform LIMIT 1) AS b ON true
LEFT JOIN LATERAL (
    SELECT sum(waiting)::bigint AS waiting FROM queues
    WHERE merchant_id = d.merchant_id AND platform = d.platform) AS q ON true
LEFT JOIN LATERAL (
    SELECT due_at, window_ends_at, event_id FROM deliveries
    WHERE merchant_id = d.merchant_id AND platform = d.platform AND due_at <= %(now)s
    ORDER BY due_at LIMIT 1) AS o ON true
LEFT JOIN LATERAL (
    SELECT occurred_at, action_source FROM events
    WHERE merchant_id = d.merchant_id AND event_id = o.event_id LIMIT 1) AS e ON true
WHERE d.merchant_id = ANY(%(merchants)s) AND d.removed_at IS NULL
ORDER BY d.merchant_id, d.platform
"""


def destination_facts(merchant_ids: Sequence[int], now: datetime) -> list[DestinationFacts]:
    found = rows(DESTINATIONS, {"merchants": list(merchant_ids), "now": now})  # type: ignore[arg-type]
    return [_facts(row) for row in found]


def _facts(row: tuple[Any, ...]) -> DestinationFacts:
    settings, learned = orjson.loads(row[7]), orjson.loads(row[8]) if row[8] else None
    return DestinationFacts(row[0], row[1], row[2], row[3], row[4], row[5], row[6], settings, learned, *row[9:14])


# Of the newest troubles, however many there are, a few are looked at.
LAST_ERRORS = """
SELECT x.merchant_id, x.platform, e.last_error, e.event_id
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(since)s::timestamptz[]) AS x(merchant_id, platform, since)
CROSS JOIN LATERAL (
    SELECT last_error, event_id FROM (
        (SELECT platform, event_id, last_error, last_attempt_at FROM deliveries
         WHERE merchant_id = x.merchant_id AND status = 'failed' ORDER BY queued_at DESC LIMIT 100)
        UNION ALL
        (SELECT platform, event_id, last_error, last_attempt_at FROM deliveries
         WHERE merchant_id = x.merchant_id AND status = 'dropped' ORDER BY queued_at DESC LIMIT 100)) AS troubled
    WHERE platform = x.platform AND last_error IS NOT NULL AND last_attempt_at >= x.since
    ORDER BY last_attempt_at DESC LIMIT 1) AS e
"""


def last_errors(since: Mapping[Key, datetime]) -> dict[Key, tuple[str, str]]:
    """Of destinations, (what a platform said of the delivery that failed last, its event), of the newest ones; it holds

    nothing personal. Of attempts from an instant on: an older one says nothing of what fails now.
    """
    params: Any = {**_keys(since), "since": list(since.values())}
    return {(row[0], row[1]): (row[2], row[3]) for row in rows(LAST_ERRORS, params)} if since else {}


def _keys(keys: Iterable[Key]) -> dict[str, Any]:
    pairs = list(keys)
    return {"merchants": [key[0] for key in pairs], "platforms": [key[1] for key in pairs]}


# What the newest ones say is taken for all of them: of many, what was refused before that is mended by now hides nothing. A
# ground is told by its rule's words where they differ.
UNMAPPABLE_GROUNDS = """
SELECT g.*, e.event_name, e.action_source FROM (
SELECT drop_reason, drop_field, (array_agg(last_error ORDER BY queued_at DESC))[1] AS words,
       count(*) / sum(count(*)) OVER () AS share, (array_agg(event_id ORDER BY queued_at DESC))[1] AS example
FROM (SELECT * FROM (
          SELECT platform, event_id, queued_at, finished_at, attempts, drop_reason, drop_field, last_error FROM deliveries
          WHERE merchant_id = %(merchant)s AND status = 'dropped' ORDER BY queued_at DESC LIMIT 1000) AS newest
      WHERE platform = %(platform)s AND drop_reason = ANY(%(reasons)s) AND attempts = 0 AND finished_at >= %(since)s
      ORDER BY queued_at DESC LIMIT 100) AS latest
GROUP BY drop_reason, drop_field ORDER BY count(*) DESC, drop_reason, drop_field LIMIT 5) AS g
LEFT JOIN events e ON e.merchant_id = %(merchant)s AND e.event_id = g.example
ORDER BY g.share DESC, g.drop_reason, g.drop_field
"""


def unmappable_grounds(merchant_id: int, platform: str, since: datetime) -> list[Unmappable]:
    """On what grounds a platform's rules refused events since an instant, the commonest first."""
    params: Any = {"merchant": merchant_id, "platform": platform, "since": since, "reasons": sorted(UNMAPPABLE)}
    found = rows(UNMAPPABLE_GROUNDS, params)
    sources = _delivered_sources(merchant_id, platform, [row[5] for row in found if row[5] is not None])
    return [
        Unmappable(
            DropReason(row[0]), row[1], row[2] or "", float(row[3]), row[4], row[5], row[6], sources.get(row[5], ())
        )
        for row in found
    ]


# Of the newest deliveries to all platforms, however many there are, a few are looked at.
DELIVERED_SOURCES = """
SELECT e.event_name, array_agg(DISTINCT e.action_source ORDER BY e.action_source) FROM (
    SELECT event_id, platform, status FROM deliveries
    WHERE merchant_id = %(merchant)s ORDER BY queued_at DESC LIMIT 1000) AS lately
CROSS JOIN LATERAL (
    SELECT event_name, action_source FROM events
    WHERE merchant_id = %(merchant)s AND event_id = lately.event_id OFFSET 0) AS e  -- each by its key
WHERE lately.platform = %(platform)s AND lately.status = 'delivered' AND e.event_name = ANY(%(names)s)
GROUP BY e.event_name
"""


def _delivered_sources(merchant_id: int, platform: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Event name -> the action sources from which events of that name were delivered there lately."""
    if not names:
        return {}
    params: Any = {"merchant": merchant_id, "platform": platform, "names": list(names)}
    return dict(rows(DELIVERED_SOURCES, params))


# Those that were queued before the longest due one are what went out last, as the queue goes by that order.
ANSWER_TIMES = """
SELECT x.merchant_id, x.platform, a.ms
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(before)s::timestamptz[]) AS x(merchant_id, platform, before)
CROSS JOIN LATERAL (
    SELECT (attempt_log -> -1 ->> 'duration_ms')::int AS ms FROM (
        SELECT platform, status, attempt_log, delivered_at FROM deliveries
        WHERE merchant_id = x.merchant_id AND queued_at <= x.before ORDER BY queued_at DESC LIMIT 500) AS lately
    WHERE platform = x.platform AND status = 'delivered' AND delivered_at >= %(since)s LIMIT 50) AS a
WHERE a.ms IS NOT NULL
"""


def answer_seconds(before: Mapping[Key, datetime], since: datetime) -> dict[Key, float]:
    """How long platforms take to answer: the median of deliveries that they acknowledged since an instant, if any.

    ``before``: of each destination, when its longest due delivery was due.
    """
    if not before:
        return {}
    params: Any = {**_keys(before), "before": list(before.values()), "since": since}
    found: dict[Key, list[int]] = {}
    for merchant_id, platform, milliseconds in rows(ANSWER_TIMES, params):
        found.setdefault((merchant_id, platform), []).append(milliseconds)
    return {key: median(times) / 1000 for key, times in found.items()}


# Merchants -----------------------------------------------------------------------------------------------------------

_WITH_EVENTS = "accepted + coalesced > 0"
LAST_EVENTS = f"""
SELECT b.merchant_id, b.learned::text, {last_counted("b.merchant_id", "''", "%(since)s", "%(now)s", _WITH_EVENTS, _WITH_EVENTS)}
FROM baselines b
WHERE b.merchant_id = ANY(%(merchants)s) AND b.platform = '' AND b.learned <> 'null'
"""


def last_events(
    merchant_ids: Sequence[int], since: datetime, now: datetime
) -> list[tuple[int, dict[str, Any], datetime | None]]:
    """(merchant, learned rhythm, the last minute in which an event arrived) of the merchants that have a rhythm."""
    found = rows(LAST_EVENTS, {"merchants": list(merchant_ids), "since": since, "now": now})  # type: ignore[arg-type]
    return [(row[0], orjson.loads(row[1]), row[2]) for row in found]


def learned_rhythm(merchant_id: int) -> dict[str, Any] | None:
    found = rows(
        "SELECT learned::text FROM baselines WHERE merchant_id = %s AND platform = '' AND learned <> 'null'",
        (merchant_id,),
    )
    return orjson.loads(found[0][0]) if found else None


_ACTIVE = f"merchant_id = %(merchant)s AND platform = '' AND {counted_in()} AND {_WITH_EVENTS}"


def minutes_with_events(merchant_id: int, spans: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """In how many minutes of each span an event arrived."""
    sql = f"SELECT count(DISTINCT minute) FROM counted WHERE {_ACTIVE}"
    return [rows(sql, _span(merchant_id, since, until))[0][0] for since, until in spans]


def active_minutes(merchant_id: int, since: datetime, until: datetime) -> list[datetime]:
    """The minutes in which an event arrived, in order; at most one for each minute of the span."""
    sql = f"SELECT DISTINCT minute FROM counted WHERE {_ACTIVE} ORDER BY minute"
    return [row[0] for row in rows(sql, _span(merchant_id, since, until))]


def _span(merchant_id: int, since: datetime, until: datetime | None = None) -> Any:
    return {"merchant": merchant_id, "since": since, "until": until}


def rejected_since(merchant_id: int, since: datetime) -> int:
    sql = (
        "SELECT coalesce(sum(rejected), 0)::bigint FROM counted "
        f"WHERE merchant_id = %(merchant)s AND platform = '' AND {counted_in(until=None)}"
    )
    count: int = rows(sql, _span(merchant_id, since))[0][0]
    return count


LAST_REJECTED = "SELECT " + last_counted("%(merchant)s", "''", "%(since)s", "%(now)s", "rejected > 0", "rejected > 0")


def last_rejected(merchant_id: int, since: datetime, now: datetime) -> datetime | None:
    """The last minute from an instant on in which an event was refused at the door."""
    params: Any = {"merchant": merchant_id, "since": since, "now": now}
    minute: datetime | None = rows(LAST_REJECTED, params)[0][0]
    return minute


# Baselines -----------------------------------------------------------------------------------------------------------


# Those without any first. Of whom nothing came since, nothing much is to be learned.
TO_LEARN = """
(SELECT merchant_id FROM merchants m
 WHERE NOT EXISTS (SELECT 1 FROM baselines WHERE merchant_id = m.merchant_id AND platform = '')
 ORDER BY merchant_id LIMIT %(limit)s)
UNION ALL
(SELECT b.merchant_id FROM baselines b LEFT JOIN looks l USING (merchant_id)
 WHERE b.platform = '' AND b.learned_until < %(before)s
   AND (b.learned_until < %(idle_before)s OR l.active_until > b.learned_until)
 ORDER BY b.learned_until, b.merchant_id LIMIT %(limit)s)
LIMIT %(limit)s
"""


def merchants_to_learn(learned_before: datetime, idle_before: datetime, limit: int) -> list[int]:
    """Merchants whose baselines are older, those without any first; ``idle_before``: of those who have sent nothing since."""
    params: Any = {"before": learned_before, "idle_before": idle_before, "limit": limit}
    return [row[0] for row in rows(TO_LEARN, params)]


def active_hours(merchant_id: int, since: datetime, until: datetime) -> dict[datetime, tuple[int, int]]:
    """Hour -> in how many of its minutes an event arrived, and how many did, repeats included; only hours with any."""
    found = rows(
        "SELECT date_trunc('hour', minute, 'UTC'), count(DISTINCT minute), sum(accepted + coalesced)::bigint FROM counted "
        f"WHERE {_ACTIVE} GROUP BY 1",
        _span(merchant_id, since, until),
    )
    return {row[0]: (row[1], row[2]) for row in found}


GAPS = f"""
SELECT minute - gap + interval '1 minute', minute FROM (
    SELECT minute, minute - lag(minute) OVER (ORDER BY minute) AS gap FROM (
        SELECT DISTINCT minute FROM counted WHERE {_ACTIVE}) AS active) AS gaps
WHERE gap >= %(least)s ORDER BY gap DESC LIMIT 1000
"""


def longest_gaps(
    merchant_id: int, since: datetime, until: datetime, least: timedelta
) -> list[tuple[datetime, datetime]]:
    """The longest silences between two events: (from, to)."""
    params: Any = {"merchant": merchant_id, "since": since, "until": until, "least": least}
    return [(row[0], row[1]) for row in rows(GAPS, params)]


ATTEMPTS = f"""
SELECT d.platform, m.good, m.bad FROM destinations d CROSS JOIN LATERAL (
    SELECT sum(acknowledged - retries_acknowledged)::bigint AS good,
           sum(refused + unmappable + credentials_refused + unreachable + unknown - retries_failed)::bigint AS bad
    FROM counted WHERE merchant_id = d.merchant_id AND platform = d.platform AND {counted_in()}
    GROUP BY date_trunc('hour', minute, 'UTC')) AS m
WHERE d.merchant_id = %(merchant)s AND d.removed_at IS NULL
"""


def attempts_by_hour(merchant_id: int, since: datetime, until: datetime) -> dict[str, list[tuple[int, int]]]:
    """Platform -> (acknowledged, failed) of each hour with outcomes: first ones, without retries."""
    found: dict[str, list[tuple[int, int]]] = {}
    for platform, good, bad in rows(ATTEMPTS, {"merchant": merchant_id, "since": since, "until": until}):  # type: ignore[arg-type]
        found.setdefault(platform, []).append((good, bad))
    return found


def write_baselines(merchant_id: int, learned: dict[str, Any], until: datetime) -> None:
    """``learned``: platform ('' for the merchant itself) -> what was learned, or None: nothing that would do.

    What was learned before stays where there is nothing new: a merchant that is silent for weeks keeps its rhythm.
    """
    given = [{"platform": platform, "learned": value} for platform, value in sorted(learned.items())]
    execute(
        "INSERT INTO baselines (merchant_id, platform, learned_until, learned) "
        "SELECT %s, platform, %s, coalesce(learned, 'null') "
        "FROM jsonb_to_recordset(%s::jsonb) AS x(platform text, learned jsonb) "
        "ON CONFLICT (merchant_id, platform) DO UPDATE SET learned_until = excluded.learned_until, "
        "learned = CASE WHEN excluded.learned = 'null' THEN baselines.learned ELSE excluded.learned END",
        (merchant_id, until, orjson.dumps(given).decode()),
    )
