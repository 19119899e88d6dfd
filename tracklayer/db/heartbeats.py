"""Who lives: one row a process and role, written by that process alone, in this database's own time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import counted_in
from tracklayer.db.leases import is_alive
from tracklayer.db.schedule import LONGEST, is_leased
from tracklayer.domain.installation import Beat, JobFacts, Queues, Waiting

KEPT = timedelta(days=1)  # the rows of those that are gone; of each role the last one stays
# What every process says since it reads packed counters, too (db/packing.py), and lists (db/packed_lists.py). Whoever says
# nothing of it and lives, or may come back, is of an older version.
READS_COUNTED, READS_LISTS = "reads_counted", "reads_lists"
COMES_BACK = timedelta(minutes=10)
AWAY_FROM = timedelta(minutes=2)  # without a sign of life of any API process: nothing can have come in
AWAY_KEPT = timedelta(days=35)  # the monitors learn from four weeks
MOST_AWAY = 200  # spans that are read, the newest
MOST_BEATS = 2000  # rows that are read: far more processes than sessions that PostgreSQL has

_LAST_OF_API = "SELECT max(beat_at) AS beat_at FROM heartbeats WHERE role = 'api' AND NOT says ? 'lacks'"
BEAT = f"""
WITH before AS (SELECT max(beat_at) AS beat_at FROM heartbeats WHERE instance = %(instance)s), away AS (
    INSERT INTO api_away (began_at, ended_at)
    SELECT beat_at, clock_timestamp() FROM ({_LAST_OF_API}) AS last
    WHERE 'api' = ANY(%(roles)s::text[]) AND beat_at < clock_timestamp() - %(away)s ON CONFLICT (began_at) DO NOTHING
)
INSERT INTO heartbeats AS h (instance, role, host, version, started_at, beat_at, says)
SELECT %(instance)s, role, %(host)s, %(version)s, clock_timestamp(), clock_timestamp(), %(says)s::jsonb
FROM unnest(%(roles)s::text[]) AS role
ON CONFLICT (instance, role) DO UPDATE SET beat_at = excluded.beat_at, says = excluded.says, ended_at = NULL
RETURNING h.beat_at - (SELECT beat_at FROM before)
"""


def beat(instance: str, roles: Sequence[str], host: str, version: str, says: Mapping[str, Any]) -> timedelta | None:
    """This process lives, in these roles, and says so much of itself. How long ago it said so before; None: never.

    The first of the API after none of it said so for a while writes down that span.
    """
    params: Any = {
        "away": AWAY_FROM,
        "instance": instance,
        "roles": list(roles),
        "host": host,
        "version": version,
        "says": orjson.dumps({**says, READS_COUNTED: True, READS_LISTS: True}).decode(),
    }
    found: timedelta | None = rows(BEAT, params)[0][0]
    return found


def all_say(what: str) -> bool:
    """Whether every process that lives, or may come back, says so of itself."""
    found: bool = rows(
        "SELECT NOT EXISTS (SELECT FROM heartbeats WHERE beat_at > clock_timestamp() - %s AND ended_at IS NULL AND NOT says ? %s)",
        (COMES_BACK, what),
    )[0][0]
    return found


def end_beats(instance: str) -> None:
    """This process ends on purpose."""
    execute(
        "UPDATE heartbeats SET ended_at = clock_timestamp(), beat_at = clock_timestamp() WHERE instance = %s",
        (instance,),
    )


# Whoever is started again and again refuses again and again: one row a host and role, not one a start. It began when the
# last refusal before it was longer ago than a supervisor waits.
NOTE_REFUSAL = """
INSERT INTO heartbeats AS h (instance, role, host, version, started_at, beat_at, ended_at, says)
VALUES (%(instance)s, %(role)s, %(host)s, %(version)s, clock_timestamp(), clock_timestamp(), clock_timestamp(), %(says)s::jsonb)
ON CONFLICT (instance, role) DO UPDATE SET beat_at = excluded.beat_at, ended_at = excluded.ended_at,
    version = excluded.version, says = excluded.says,
    started_at = CASE WHEN h.beat_at < excluded.beat_at - %(pause)s THEN excluded.started_at ELSE h.started_at END
"""


def note_refusal(role: str, host: str, version: str, lacks: str, pause: timedelta) -> None:
    """A process of this role refused to start here. ``lacks``: ``key`` or ``migrations``. Nothing where there is no table yet."""
    if rows("SELECT to_regclass('heartbeats')")[0][0] is None:
        return
    params: Any = {
        "instance": f"{host}:refused",
        "role": role,
        "host": host,
        "version": version,
        "says": orjson.dumps({"lacks": lacks}).decode(),
        "pause": pause,
    }
    execute(NOTE_REFUSAL, params)


# However many there are of one role, the last of each is among them: it says that there ever was one.
BEATS = """
SELECT role, host, version, clock_timestamp() - beat_at, clock_timestamp() - started_at, clock_timestamp() - ended_at, says, instance
FROM heartbeats WHERE (instance, role) IN (
    (SELECT instance, role FROM heartbeats ORDER BY beat_at DESC LIMIT %s)
    UNION
    (SELECT DISTINCT ON (role) instance, role FROM heartbeats WHERE NOT says ? 'lacks' ORDER BY role, beat_at DESC))
ORDER BY beat_at DESC
"""


def beats(most: int = MOST_BEATS) -> list[Beat]:
    """Those that live, and those that are gone since a day at most; of each role the last."""
    return [Beat(*row) for row in rows(BEATS, (most,))]


def forget_old_beats() -> int:
    """Deletes the rows of those that are gone for long; how many."""
    execute("DELETE FROM api_away WHERE ended_at < clock_timestamp() - %s", (AWAY_KEPT,))
    return execute(
        "DELETE FROM heartbeats h WHERE beat_at < clock_timestamp() - %s AND EXISTS ("
        "SELECT 1 FROM heartbeats later WHERE later.role = h.role AND later.beat_at > h.beat_at AND NOT later.says ? 'lacks')",
        (KEPT,),
    )


def forget_coming_away(after: datetime) -> None:
    """A span that ends then was written down by a clock that was ahead: in it events may well come in."""
    execute("DELETE FROM api_away WHERE ended_at > %s", (after,))


API_AWAY = "SELECT began_at, ended_at FROM api_away WHERE ended_at > %s ORDER BY began_at DESC LIMIT %s"
LAST_OF_API = f"SELECT clock_timestamp() - beat_at FROM ({_LAST_OF_API}) AS last"


def api_away(since: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
    """When nothing could come in as no API process lived, oldest first, up to ``now`` where that goes on.

    Empty, too, where none ever said that it lives.
    """
    found: list[tuple[datetime, datetime]] = rows(API_AWAY, (since, MOST_AWAY))[::-1]
    [(age,)] = rows(LAST_OF_API)
    if age is not None and age > AWAY_FROM:
        found.append((now - age, now))
    return found


def job_facts(names: Iterable[str]) -> dict[str, JobFacts]:
    """Of the jobs that were ever fired."""
    params: Any = {"names": list(names), **LONGEST}
    found = rows(
        f"SELECT name, clock_timestamp() - begun_at, coalesce({is_leased('clock_timestamp()')}, false) "
        "FROM periodic_jobs WHERE name = ANY(%(names)s)",
        params,
    )
    return {row[0]: JobFacts(row[1], row[2]) for row in found}


def queued() -> int:
    """Deliveries that wait, as far as they are counted."""
    return int(rows("SELECT coalesce(sum(waiting), 0) FROM queues")[0][0])


WALKED = 20_000  # destinations that have something waiting, of one look; it starts anywhere

# From one destination that has something waiting to the next, as workers look for work, and no further than it must.
# What an outage left behind is no trouble of ours while it drains, nor what waits because its platform asked for it.
_STALLED = f"""
WITH RECURSIVE walk AS (
    (SELECT merchant_id, platform, due_at, 1 AS steps FROM deliveries
     WHERE due_at IS NOT NULL AND merchant_id > %(after)s AND merchant_id <= %(last)s
     ORDER BY merchant_id, platform, due_at LIMIT 1)
    UNION ALL
    SELECT next.*, w.steps + 1 FROM walk w CROSS JOIN LATERAL (
        SELECT merchant_id, platform, due_at FROM deliveries d
        WHERE due_at IS NOT NULL AND (d.merchant_id, d.platform) > (w.merchant_id, w.platform)
          AND merchant_id <= %(last)s
        ORDER BY merchant_id, platform, due_at LIMIT 1) AS next
    WHERE w.steps < %(steps)s
), old AS (
    SELECT w.merchant_id, w.platform, w.due_at FROM walk w JOIN destinations x USING (merchant_id, platform)
    WHERE w.due_at <= clock_timestamp() - %(old)s AND x.removed_at IS NULL AND x.state = 'active'
      AND x.failing_since IS NULL AND x.recovering_since IS NULL
      AND (x.resume_at IS NULL OR x.resume_at <= clock_timestamp() - %(old)s)
      AND NOT EXISTS (SELECT 1 FROM claims c
        WHERE c.merchant_id = w.merchant_id AND c.platform = w.platform AND {is_alive("c.worker")})
      AND NOT EXISTS (SELECT 1 FROM counted m
        WHERE m.merchant_id = w.merchant_id AND m.platform = w.platform
          AND {counted_in("statement_timestamp() - %(old)s", None)} AND m.minute <= statement_timestamp()
          AND m.finished + m.acknowledged + m.refused + m.rate_limited + m.unreachable + m.credentials_refused > 0
        OFFSET 0)  -- for each by its key: joined, the hours of all destinations would be read
)
SELECT platform, count(o.due_at), coalesce(array_agg(DISTINCT merchant_id) FILTER (WHERE o.due_at IS NOT NULL), '{{}}'),
    clock_timestamp() - min(o.due_at), (SELECT max(steps) FROM walk) >= %(steps)s,
    count(*), count(*) FILTER (WHERE x.state = 'held'), coalesce(sum(q.waiting), 0)::bigint,
    greatest(interval '0', clock_timestamp() - min(w.due_at) FILTER (WHERE x.state = 'active'))
FROM walk w LEFT JOIN old o USING (merchant_id, platform) LEFT JOIN destinations x USING (merchant_id, platform)
LEFT JOIN LATERAL (
    SELECT sum(waiting) AS waiting FROM queues
    WHERE merchant_id = w.merchant_id AND platform = w.platform OFFSET 0) AS q ON true
GROUP BY platform
"""
# An alert without a platform is about several, which its details name.
_SLOW = """
SELECT x.platform, count(DISTINCT a.merchant_id), array_agg(DISTINCT a.merchant_id), clock_timestamp() - min(a.opened_at)
FROM (SELECT merchant_id, platform, details, opened_at FROM alerts
      WHERE resolved_at IS NULL AND kind = 'queue_backlog' LIMIT %(steps)s) a
JOIN destinations x ON x.merchant_id = a.merchant_id
    AND (x.platform = a.platform OR (a.platform IS NULL AND a.details -> 'platforms' ? x.platform))
WHERE x.removed_at IS NULL AND x.state = 'active' GROUP BY x.platform
"""
_LAST_MERCHANT = 2**63 - 1


def waiting(old: timedelta, after: int = 0) -> Waiting:
    """Destinations whose deliveries have been due for longer than ``old``; those of merchants behind ``after`` first."""
    stalled: dict[str, int] = {}
    slow: dict[str, int] = {}
    merchants: set[int] = set()
    queues: dict[str, Queues] = {}
    oldest, more = timedelta(), False
    for first, last in ((after, _LAST_MERCHANT), (0, after)):
        if last > first:
            params: Any = {"after": first, "last": last, "old": old, "steps": WALKED // 2}
            for platform, count, whose, age, cut, *found in rows(_STALLED, params):
                queues[platform] = queues.get(platform, Queues()) + Queues(*found)
                if count:
                    stalled[platform] = stalled.get(platform, 0) + count
                    merchants.update(whose)
                    oldest = max(oldest, age)
                more = more or (bool(cut) and bool(stalled))
    for platform, count, whose, age in rows(_SLOW, {"steps": WALKED}):  # type: ignore[arg-type]
        slow[platform] = count
        merchants.update(whose)
        oldest = max(oldest, age)
    return Waiting(len(merchants), stalled, slow, oldest, more, queues)
