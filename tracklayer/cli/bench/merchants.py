"""``tracklayer bench merchants``: what a house of ten thousand merchants costs while nearly all of them are idle.

One merchant in a hundred sends, and so many have something waiting. What goes over all merchants, the looks of the
monitors, the sweep, the purge, the folding and the learning, is run as a scheduler would, and counted: statements, rows and
pages of the database, its time and Python's.
"""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.cli.bench.ground import Goal, Ground, describe, goals_table, ground, machine, table
from tracklayer.cli.bench.ingest import purchase
from tracklayer.cli.process import CommandError, print_json
from tracklayer.db.connection import database, execute, in_transaction, rows, unlimited_session
from tracklayer.db.counters import ACTIVITY, COHORT
from tracklayer.db.merchants import merchant_holder
from tracklayer.domain.monitors.learn import WEEK_HOURS, Rhythm
from tracklayer.domain.monitors.tracking_stopped import told_after
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services import monitor
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import create_merchant
from tracklayer.services.privacy import purge_expired
from tracklayer.services.sweep import sweep
from tracklayer.services.watches.names import rhythm_json

MERCHANTS, QUICK = 10_000, 1_000
ACTIVE, WITH_BACKLOG = 0.01, 0.01  # of them
NAMES = ("AddToCart", "PageView", "Purchase")  # that each sends
MINUTES = 60  # of four weeks in which an idle merchant sent something
WAITING = 20  # deliveries of each queue of those with backlogs
LOOKS = 5
A_LOOK = "monitor, a look"
SMALL, SMALL_QUICK = 50, 5  # merchants that are sent one event a minute
LOOK_SECONDS, STEP_MS, ROUND_SECONDS = 3.0, 100.0, 60.0


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "merchants", help="what goes over all merchants, with ten thousand that are nearly idle"
    )
    parser.add_argument("--merchants", type=int, default=MERCHANTS, help="how many (%(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"with {QUICK:,} merchants")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    count = QUICK if args.quick else max(100, args.merchants)
    with ground() as place:
        found_on = machine()
        house = fill(place, count)
        found, kept_mb = measure(place.runtime, house)
        day = a_day(place.runtime, SMALL_QUICK if args.quick else SMALL)
    goals = [*_goals(found), Goal("rows of counters an hour and destination", day.after.rows_an_hour, 1.0, True)]
    if args.json:
        jobs = {name: asdict(cost) for name, cost in found.items()}
        goals_json = [goal.as_json() for goal in goals]
        print_json(
            {
                "machine": found_on,
                "merchants": count,
                "jobs": jobs,
                "kept_mb": kept_mb,
                "day": asdict(day),
                "goals": goals_json,
            }
        )
        return 0
    print(f"{describe(found_on)}\n{count:,} merchants x {len(PLATFORMS)} destinations, {house.active} of them active\n")
    print(table(HEAD, [[name, *cost.line()] for name, cost in found.items()]))
    print(f"\nwhat the monitors keep: {kept_mb[0]:.2f} MB after {LOOKS} looks, {kept_mb[1]:.2f} MB after {2 * LOOKS}")
    print(f"\n{day.merchants:,} merchants x {len(PLATFORMS)} destinations, one event a minute for a day:\n")
    print(table(["counters", "rows", "an hour and destination", "bytes a delivery"], list(day.lines())))
    print(f"\npacked within {day.packing.seconds:.1f} s, the longest step {day.packing.longest_ms:.0f} ms")
    print("\n" + goals_table(goals))
    return 0


def _goals(found: dict[str, Cost]) -> Iterator[Goal]:
    yield Goal("a look of all monitors: seconds, database and Python", found[A_LOOK].seconds, LOOK_SECONDS, True)
    for name, cost in found.items():
        if "look" not in name:
            yield Goal(f"{name}: longest step, ms", cost.longest_ms, STEP_MS, True)
            yield Goal(f"{name}: seconds", cost.seconds, ROUND_SECONDS, True)


# Filling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class House:
    """``first`` to ``last``: ids of merchants, of which the first ``active`` send, and the last as many have backlogs."""

    first: int
    last: int
    active: int
    now: datetime

    @property
    def merchants(self) -> int:
        return self.last - self.first + 1


def fill(place: Ground, count: int) -> House:
    """One merchant with one event is stored as ever; its rows are then multiplied within the database."""
    runtime = place.runtime
    created = create_merchant(runtime, "First of many")
    if isinstance(created, list):
        raise CommandError("no merchant could be made")
    first = created[0]
    sandbox_destinations(runtime, first, PLATFORMS)
    now = runtime.clock.now()
    with in_transaction():
        holder = merchant_holder(first)
        assert holder is not None
    ingest_events(runtime, holder, [purchase(write_instant(now), "template")])
    house = House(first, first + count - 1, max(1, round(count * ACTIVE)), now)
    backlogs = max(1, round(count * WITH_BACKLOG))
    params: Any = {
        "template": first,
        "first": house.first,
        "last": house.last,
        "now": now,
        "minutes": MINUTES,
        "platforms": list(PLATFORMS),
        "of_destinations": MINUTES // 5,
        "names": list(NAMES),
        "active_last": house.first + house.active - 1,
        "backlog_first": house.last - backlogs + 1,
        "waiting": WAITING,
        "rhythm": orjson.dumps(rhythm_json(_RHYTHM, now)).decode(),
        "told_after": round(told_after(_RHYTHM).total_seconds()),
    }
    with unlimited_session():
        # What is kept beside the rows is made of them at once, and not row by row.
        execute("SET session_replication_role = replica")
        for statement in _statements():
            execute(statement, params)
        execute("SELECT setval(pg_get_serial_sequence('merchants', 'merchant_id'), %(last)s)", params)
        execute("SET session_replication_role = origin")
    with unlimited_session():
        raw = database.connection()
        raw.cursor().execute("VACUUM (ANALYZE)")
        raw.cursor().execute("CHECKPOINT")
    return house


_RHYTHM = Rhythm((MINUTES / 4 / WEEK_HOURS,) * WEEK_HOURS)
_OTHERS = "generate_series(%(first)s, %(last)s) AS m WHERE m <> %(template)s"


def _statements() -> Iterator[str]:
    yield _multiplied("merchants", "merchant_id = %(template)s", {"merchant_id": "m", "is_default": "false"}, _OTHERS)
    yield _multiplied("destinations", "merchant_id = %(template)s", {"merchant_id": "m"}, _OTHERS)
    waiting = "generate_series(%(backlog_first)s, %(last)s) AS m, generate_series(1, %(waiting)s) AS n WHERE true"
    ids = {"merchant_id": "m", "event_id": "'order_' || n"}
    yield _multiplied("events", "event_id = 'template'", ids, waiting)
    yield _multiplied("deliveries", "event_id = 'template'", ids, waiting)
    yield "UPDATE queues SET waiting = 0, slot = 0"  # of the template alone, so far
    yield _multiplied(
        "queues",
        "merchant_id = %(template)s",
        {"merchant_id": "m", "waiting": "CASE WHEN m >= %(backlog_first)s THEN %(waiting)s ELSE 0 END"},
        _OTHERS,
    )
    yield "DELETE FROM deliveries WHERE event_id = 'template'"
    yield "DELETE FROM events WHERE event_id = 'template'"
    yield "DELETE FROM minutes"
    yield "DELETE FROM coverage"
    # Of four weeks, scattered; none of it within the last hour, and something within the last two days.
    yield (
        "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, filtered) "
        "SELECT m, '', at, 0, 1, 0 FROM generate_series(%(first)s, %(last)s) AS m, "
        "generate_series(1, %(minutes)s) AS n, LATERAL (SELECT date_trunc('minute', %(now)s::timestamptz "
        "- interval '70 minutes' - n * (interval '28 days' / (%(minutes)s + 3)) - ((m * 7919 + n * 104729) %% 600) * "
        "interval '1 minute') AS at) AS times ON CONFLICT DO NOTHING"
    )
    yield (
        "INSERT INTO minutes (merchant_id, platform, minute, slot, routed, delivered, acknowledged, finished, latency) "
        "SELECT m, platform, at, 0, 1, 1, 1, 1, '{0,1}' FROM generate_series(%(first)s, %(last)s) AS m, "
        "unnest(%(platforms)s::text[]) AS platform, generate_series(1, %(of_destinations)s) AS n, "
        "LATERAL (SELECT date_trunc('minute', %(now)s::timestamptz - interval '70 minutes' - n * interval '2 days' "
        "- ((m * 7919 + n) %% 600) * interval '1 minute') AS at) AS times ON CONFLICT DO NOTHING"
    )
    # Those that send: each minute of the last two hours, the last ten not folded yet.
    active = "generate_series(%(first)s, %(active_last)s) AS m, generate_series(0, 119) AS n"
    minute = "date_trunc('minute', %(now)s::timestamptz) - n * interval '1 minute'"
    slot = "CASE WHEN n < 10 THEN 1 ELSE 0 END"
    yield (
        "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
        f"SELECT m, '', {minute}, {slot}, 30 FROM {active} ON CONFLICT DO NOTHING"
    )
    yield (
        "INSERT INTO minutes (merchant_id, platform, minute, slot, routed, delivered, acknowledged, finished, latency) "
        f"SELECT m, platform, {minute}, {slot}, 30, 30, 30, 30, '{{0,30}}' "
        f"FROM {active}, unnest(%(platforms)s::text[]) AS platform ON CONFLICT DO NOTHING"
    )
    carried = "INSERT INTO coverage (merchant_id, event_name, minute, action_source, host, facts, slot, events) "
    yield (
        f"{carried} SELECT m, name, {minute}, 'website', 'shop.example.com', 8191, {slot}, 10 "
        f"FROM {active}, unnest(%(names)s::text[]) AS name ON CONFLICT DO NOTHING"
    )
    yield (
        f"{carried} SELECT merchant_id, name, date_trunc('hour', minute, 'UTC'), 'website', 'shop.example.com', 8191, 0, "
        "count(*) FROM minutes, unnest(%(names)s::text[]) AS name WHERE platform = '' "
        "AND minute < %(now)s::timestamptz - interval '1 day' GROUP BY 1, 2, 3"
    )
    yield (
        "INSERT INTO name_minutes (merchant_id, event_name, minute, events) SELECT merchant_id, name, minute, 1 "
        "FROM minutes, unnest(%(names)s::text[]) AS name WHERE platform = ''"
    )
    yield _HOURS
    yield _PACKED
    learned = "%(now)s::timestamptz - (m %% 360) * interval '1 minute'"
    every = "generate_series(%(first)s, %(last)s) AS m"
    yield (
        f"INSERT INTO baselines (merchant_id, platform, learned_until, learned) SELECT m, platform, {learned}, "
        'CASE platform WHEN \'\' THEN %(rhythm)s::jsonb ELSE \'{"share": 0.99, "spread": 0.01, "attempts": 500}\' END '
        f"FROM {every}, unnest(%(platforms)s::text[] || ARRAY['']) AS platform"
    )
    yield (
        "INSERT INTO name_baselines (merchant_id, event_name, learned_until, rhythm, told_after, accepted) "
        f"SELECT m, name, {learned}, %(rhythm)s::jsonb, %(told_after)s, NULL "
        f"FROM {every}, unnest(%(names)s::text[]) AS name"
    )
    yield (
        "INSERT INTO coverage_baselines (merchant_id, learned_until, learned, glances) "
        f"SELECT m, {learned}, '{{}}', '{{\"Purchase\": 3600, \"PageView\": 600}}' FROM {every}"
    )


_COUNTS = (*COHORT, *ACTIVITY)
_SUMMED = (*COHORT, "acknowledged")
# As they stand after rounds of folding: hours that are over are packed.
_HOURS = (
    f"INSERT INTO ledger_hours (merchant_id, platform, hour, {', '.join(_SUMMED)}, parts, loose, by_minute) "
    f"SELECT merchant_id, platform, date_trunc('hour', minute, 'UTC') AS hour, {', '.join(f'sum({n})' for n in _SUMMED)}, "
    "array_agg(ROW(extract(minute FROM minute AT TIME ZONE 'UTC'), "
    f"{', '.join(f'nullif({n}, 0)' for n in _COUNTS)}, drop_reasons, latency)::counted_minute ORDER BY minute) "
    "FILTER (WHERE minute < date_trunc('hour', %(now)s::timestamptz - interval '10 minutes', 'UTC')), "
    "bool_or(minute >= date_trunc('hour', %(now)s::timestamptz - interval '10 minutes', 'UTC')), "
    "bool_or(extract(minute FROM minute AT TIME ZONE 'UTC') <> 0) FROM minutes WHERE slot = 0 GROUP BY 1, 2, 3"
)
_PACKED = "DELETE FROM minutes WHERE slot = 0 AND minute < date_trunc('hour', %(now)s::timestamptz - interval '10 minutes', 'UTC')"


def _multiplied(table: str, which: str, changes: dict[str, str], series: str) -> str:
    """The statement that repeats the template's rows for each of a series."""
    columns = [
        row[0]
        for row in rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public' "
            "AND is_generated = 'NEVER' AND column_name NOT IN ('public_key')",
            (table,),
        )
    ]
    values = [changes.get(name, f"t.{name}") for name in columns]
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM (SELECT * FROM {table} WHERE {which}) AS t, {series}"
    )


# Measuring -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Of one run. ``database_seconds``: waiting for statements; ``python_seconds``: of the processor, beside that.

    ``read``: rows that the database took up; ``pages``: of its memory or disk that it looked into; ``longest_ms``: of a
    transaction; ``did``: what the job says that it did.
    """

    database_seconds: float
    python_seconds: float
    statements: int
    read: int
    pages: int
    longest_ms: float
    did: int

    @property
    def seconds(self) -> float:
        return self.database_seconds + self.python_seconds

    def line(self) -> list[str]:
        return [
            f"{self.database_seconds:.3f}",
            f"{self.python_seconds:.3f}",
            f"{self.statements:,}",
            f"{self.read:,}",
            f"{self.pages:,}",
            f"{self.longest_ms:.0f}",
            f"{self.did:,}",
        ]


HEAD = ["", "database s", "Python s", "statements", "rows read", "pages", "longest step ms", "did"]


class Meter:
    """Counts what this thread asks of the database, from within the session."""

    def __init__(self) -> None:
        self.statements = 0
        self.seconds = self.python_in_it = 0.0
        self.longest = 0.0
        self._began = 0.0

    @contextmanager
    def around(self) -> Iterator[None]:
        own, begin, commit = database.execute_sql, database.begin, database.commit

        def timed(call: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **kwargs: Any) -> Any:
                started, used = time.perf_counter(), time.thread_time()
                try:
                    return call(*args, **kwargs)
                finally:
                    self.seconds += time.perf_counter() - started
                    self.python_in_it += time.thread_time() - used
                    self.statements += 1

            return run

        def begins(*args: Any, **kwargs: Any) -> Any:
            self._began = time.perf_counter()
            return timed(begin)(*args, **kwargs)

        def commits(*args: Any, **kwargs: Any) -> Any:
            found = timed(commit)(*args, **kwargs)
            self.longest = max(self.longest, time.perf_counter() - self._began)
            return found

        database.execute_sql, database.begin, database.commit = timed(own), begins, commits
        try:
            yield
        finally:
            del database.execute_sql, database.begin, database.commit


def cost_of(job: Callable[[], int]) -> Cost:
    """Of a job that runs in this thread; ``did`` is what it returns."""
    before = _statistics()
    meter = Meter()
    used = time.thread_time()
    with meter.around():
        did = job()
    python = time.thread_time() - used
    read, pages = (after - then for after, then in zip(_statistics(), before, strict=True))
    return Cost(
        meter.seconds, max(0.0, python - meter.python_in_it), meter.statements, read, pages, meter.longest * 1000, did
    )


def _statistics() -> tuple[int, int]:
    with in_transaction():
        execute("SELECT pg_stat_force_next_flush()")
    with in_transaction():
        rows("SELECT 1")
    with in_transaction():
        read, pages = rows(
            "SELECT tup_returned, blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
        )[0]
    return int(read), int(pages)


def measure(runtime: Runtime, house: House) -> tuple[dict[str, Cost], tuple[float, float]]:
    """What each job costs; and what the monitors keep in memory after some looks, and after as many more, in MB."""
    watch = monitor.Watch(runtime)
    found = {"monitor, the first look of a process": cost_of(watch.look)}
    looks = sorted((cost_of(watch.look) for _ in range(LOOKS)), key=lambda cost: cost.seconds)
    found[A_LOOK] = looks[LOOKS // 2]
    found["sweep, one"] = cost_of(lambda: len(sweep(runtime).wake))
    found["purge, a round"] = cost_of(lambda: purge_expired(runtime))
    found["fold, a round"] = cost_of(lambda: fold_counters(runtime))
    found["fold, the next round"] = cost_of(lambda: fold_counters(runtime))
    # As many as come of age in a minute, if all of them send.
    share = min(house.merchants, round(house.merchants / (monitor.LEARN_EVERY / timedelta(minutes=1))))
    with in_transaction():
        execute(
            "UPDATE baselines SET learned_until = %s WHERE merchant_id < %s AND platform = ''",
            (house.now - timedelta(days=2), house.first + share),
        )
    found["learn, a minute's share"] = cost_of(lambda: monitor.learn_baselines(runtime))
    return found, _kept_mb(runtime)


@dataclass(frozen=True)
class Stored:
    """``size``: bytes with all indexes, as much room left as ever. ``hours``: of all destinations together."""

    rows: int
    size: int
    hours: int
    deliveries: int

    @property
    def rows_an_hour(self) -> float:
        return self.rows / self.hours

    def line(self) -> list[str]:
        return [f"{self.rows:,}", f"{self.rows_an_hour:.1f}", f"{self.size / self.deliveries:.0f}"]


@dataclass(frozen=True)
class Day:
    """What is counted of merchants that are sent one event a minute for a day, before and after it is packed."""

    merchants: int
    before: Stored
    after: Stored
    packing: Cost

    def lines(self) -> Iterator[list[str]]:
        yield ["a row a minute", *self.before.line()]
        yield ["packed", *self.after.line()]


def a_day(runtime: Runtime, merchants: int) -> Day:
    """Of merchants that nobody else counts of; all other counters are deleted."""
    params: Any = {"merchants": merchants, "platforms": list(PLATFORMS)}
    params["now"] = runtime.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    with unlimited_session():
        execute("SET session_replication_role = replica")
        execute("TRUNCATE minutes, ledger_hours")
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, routed, delivered, acknowledged, finished, latency) "
            "SELECT m, platform, %(now)s::timestamptz - n * interval '1 minute', 0, 1, sent, sent, sent, sent, "
            "CASE sent WHEN 1 THEN '{0,1}'::int[] END FROM generate_series(1, 24 * 60) AS n, "
            "generate_series(1, %(merchants)s) AS m, unnest(%(platforms)s::text[] || ARRAY['']) AS platform, "
            "LATERAL (SELECT (platform <> '')::int AS sent) AS x",
            params,
        )
        execute(_HOURS, params)
        execute("UPDATE ledger_hours SET parts = NULL, loose = true, by_minute = false")
        execute("SET session_replication_role = origin")
    before = _stored(merchants)
    packing = cost_of(lambda: _until_nothing(lambda: fold_counters(runtime)))
    return Day(merchants, before, _stored(merchants), packing)


def _until_nothing(job: Callable[[], int]) -> int:
    did = 0
    while done := job():
        did += done
    return did


def _stored(merchants: int) -> Stored:
    with unlimited_session():
        raw = database.connection()
        raw.cursor().execute("VACUUM (FULL, ANALYZE) minutes")
        raw.cursor().execute("VACUUM (FULL, ANALYZE) ledger_hours")
        ((count, size),) = rows(
            "SELECT (SELECT count(*) FROM minutes) + (SELECT count(*) FROM ledger_hours), "
            "pg_total_relation_size('minutes') + pg_total_relation_size('ledger_hours')"
        )
    return Stored(count, size, 24 * merchants * (len(PLATFORMS) + 1), 24 * 60 * merchants * len(PLATFORMS))


def _kept_mb(runtime: Runtime) -> tuple[float, float]:
    tracemalloc.start()
    watch = monitor.Watch(runtime)
    kept = []
    for _ in range(2):
        for _ in range(LOOKS):
            watch.look()
        gc.collect()
        kept.append(tracemalloc.get_traced_memory()[0] / 1e6)
    tracemalloc.stop()
    return kept[0], kept[1]
