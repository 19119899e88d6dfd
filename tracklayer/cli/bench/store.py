"""``tracklayer bench store``: what ingest, delivery, reads, purge and claims cost where very much is stored.

COPY multiplies the rows of one event and its five deliveries, spread over sixty days, all of one merchant. Their ids are
scattered as those of a shop that draws them by chance: the next event's place in an index is anywhere among them. The rates
are those of the same process and the same merchant with few rows and with many, one after the other; reads are asked in turn
of two databases. A claim's time is told while somebody holds a snapshot, of the first and of the last quarter of a backlog.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg2

from tracklayer.cli.bench import deliver, read
from tracklayer.cli.bench.ground import (
    Child,
    Goal,
    Ground,
    describe,
    goals_table,
    ground,
    interruptible,
    machine,
    table,
)
from tracklayer.cli.bench.ingest import purchase
from tracklayer.cli.bench.roles import Crowd, installation
from tracklayer.cli.bench.sparse import platforms
from tracklayer.cli.process import print_json
from tracklayer.db.connection import database, execute, in_transaction, rows, session, unlimited_session
from tracklayer.db.merchants import merchant_holder
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.services.ingest import ingest_events
from tracklayer.services.privacy import purge_expired

ROWS, QUICK = 30_000_000, 200_000  # deliveries
DAY = 1_000_000  # deliveries that are past their retention at once
EVENTS, ROUNDS = 8_000, 3  # of one measurement of ingest and delivery
BATCH = 1000
CLAIMED = 200_000  # deliveries that are claimed while a snapshot is held: an hour of 55 a second
RETENTION = timedelta(days=90)
SINGLES_SECONDS = 10.0
TABLES = ("events", "deliveries")
LONG = timedelta(minutes=10)  # that a purge is given
ACKNOWLEDGED = (  # what each delivery's log has
    '{"number": 1, "at": "2026-11-20T15:00:00.123456+00:00", "outcome": "acknowledged", "http_status": 200, "error": null, '
    '"duration_ms": 80}'
)


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("store", help="ingest, delivery, reads and purge at thirty million stored deliveries")
    parser.add_argument(
        "--rows", type=int, default=ROWS, help="stored deliveries; a million takes 0.7 GB (%(default)s)"
    )
    parser.add_argument("--events", type=int, default=EVENTS, help="of one measurement of rates (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of rates (%(default)s)")
    parser.add_argument("--requests", type=int, default=read.REQUESTS, help="of each kind of read (%(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"with {QUICK:,} deliveries, some minutes")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return interruptible(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    count = QUICK if args.quick else max(2 * read.FEW, args.rows)
    events = 2 * BATCH if args.quick else max(1, args.events // BATCH) * BATCH
    rounds, requests = (1, 60) if args.quick else (max(1, args.rounds), max(20, args.requests))
    with ground() as place:
        found_on = machine()
        bench = Bench(place, place.child("sink"))
        store = bench.store
        store.fill(read.FEW // read.WIDTH)
        stores = {read.FEW: store.serve(store.copy("few"))}
        bench.rates(BATCH, 1)  # whoever is first finds everything cold
        few = bench.rates(events, rounds)
        store.fill(count // read.WIDTH)
        sizes = bytes_a_row()
        many = bench.rates(events, rounds)
        stores[count] = store.serve(place.url)
        reads = read.measure(stores, requests)
        day = min(DAY, count // 10)
        purge = bench.purge(day)
        waits = bench.ingest_beside_purge(day)
        claims = bench.claims(CLAIMED // 10 if args.quick else CLAIMED)
    goals = [
        *(Goal(f"{name}: {count:,} stored of {read.FEW:,}", many[name] / few[name], 0.95) for name in few),
        *(
            Goal(f"{name}: p95 at {count:,} of that at {read.FEW:,}", p95 / reads[read.FEW][name][1], 1.2, True)
            for name, (_, p95) in reads[count].items()
        ),
        Goal("purge of a million deliveries: s of the database", purge * DAY / day, 1.0, True),
        Goal("an event's ingest: p95 beside a purge", waits["purge"] / waits["alone"], 1.1, True),
        Goal("a claim beside a snapshot: last quarter of first", claims["last"] / claims["first"], 1.2, True),
    ]
    if args.json:
        figures = {"few": few, "many": many, "bytes": sizes, "latency_ms": read.by_text(reads), "purge_seconds": purge}
        print_json(
            {
                "machine": found_on,
                "rows": count,
                **figures,
                "ingest_p95_ms": waits,
                "claims": claims,
                "goals": [goal.as_json() for goal in goals],
            }
        )
        return 0
    print(describe(found_on))
    print("\n" + table(["", f"{read.FEW:,} stored", f"{count:,}"], [[name, few[name], many[name]] for name in few]))
    print("\n" + table(["bytes", "rows", "indexes"], [[name, *found] for name, found in sizes.items()]))
    lines = [[f"{at:,}", name, *found] for at, kinds in reads.items() for name, found in kinds.items()]
    print("\n" + table(["deliveries", "", "p50 ms", "p95 ms"], lines))
    times = [
        [f"purge of {day:,} deliveries, ms of the database", purge * 1000],
        *([f"an event's ingest, p95 in ms: {name}", found] for name, found in waits.items()),
        *([f"a claim of {BATCH:,} beside a snapshot, ms: {name} quarter", claims[name]] for name in ("first", "last")),
        ["entries of the queue's index read a delivery", claims["entries"]],
    ]
    print("\n" + table(["", "found"], times))
    print("\n" + goals_table(goals))
    return 0


def scattered(number: int) -> str:
    """An event's id, unlike that of the one before."""
    return sha256(str(number).encode()).hexdigest()[:24]


class Store(read.Filler):
    """One merchant's rows with scattered ids, in the order of their arrival."""

    def __post_init__(self) -> None:
        super().__post_init__()
        with in_transaction():
            execute("UPDATE deliveries SET attempt_log = %s", (f"[{ACKNOWLEDGED}]",))

    def fill(self, events: int) -> None:
        """Up to so many events of the last sixty days. The indexes are made when all is there."""
        numbers = range(self.events, events)
        with unlimited_session(), without_indexes():
            self.load([(number, self.start + read.SPREAD * (number / events)) for number in numbers])
        self.events = events
        analyze()

    def load(self, events: Sequence[tuple[int, datetime]]) -> None:
        """Events by number and when they came, by COPY."""
        shapes = [read.Shape(name) for name in TABLES]
        for start in range(0, len(events), read.PART):
            part = [(scattered(number), at) for number, at in events[start : start + read.PART]]
            for shape in shapes:
                shape.copy(part)

    def serve(self, url: str) -> read.Store:
        served = super().serve(url)
        return Reads(served.client, served.events, served.start)


class Reads(read.Store):
    """The reads that are compared."""

    def __post_init__(self) -> None:
        cursors = list(self._cursors(100))
        self.questions = {
            read.AS_FAST[0]: lambda: (read.EVENT, {"id": scattered(self.random.randrange(1, self.events))}),
            read.AS_FAST[1]: lambda: (read.PAGE, {}),
            read.AS_FAST[2]: lambda: (read.PAGE, {"after": self.random.choice(cursors)}),
        }


INDEXES = """
SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), pg_get_constraintdef(c.oid)
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype = 'p'
WHERE i.indrelid = ANY(%s::regclass[])
"""


@contextmanager
def without_indexes() -> Iterator[None]:
    """They are made anew at the end: row by row that takes many times as long."""
    found = rows(INDEXES, (list(TABLES),))
    _alone(
        *(
            f"ALTER TABLE {name} DROP CONSTRAINT {index}" if key else f"DROP INDEX {index}"
            for name, index, _, key in found
        )
    )
    yield
    _alone(
        "SET maintenance_work_mem = '512MB'",
        *(f"ALTER TABLE {name} ADD CONSTRAINT {index} {key}" if key else made for name, index, made, key in found),
    )


def analyze() -> None:
    """As autovacuum does; and what was loaded is not written while others are measured."""
    with unlimited_session():
        _alone(f"VACUUM (ANALYZE) {', '.join(TABLES)}", "CHECKPOINT")


def _alone(*statements: str) -> None:
    """Each in a transaction of its own, as VACUUM has to be."""
    raw = database.connection()
    raw.commit()
    raw.autocommit = True
    for statement in statements:
        raw.cursor().execute(statement)
    raw.autocommit = False


def bytes_a_row() -> dict[str, tuple[float, float]]:
    """Table -> bytes that one of its rows takes, and the entries of its indexes."""
    with session():
        return {
            f"of one row of {name}": (float(found[0]), float(found[1]))
            for name in TABLES
            for found in rows(
                f"SELECT pg_table_size('{name}') / count(*)::float8, pg_indexes_size('{name}') / count(*)::float8 FROM {name}"
            )
        }


TELL_NOW = "SELECT pg_stat_force_next_flush()"  # else a session tells what it did once a second, and when it ends


def _busy_seconds() -> float:
    """That sessions have spent in statements."""
    with session():
        rows(TELL_NOW)
        rows("SELECT pg_stat_clear_snapshot()")
        return float(rows("SELECT active_time FROM pg_stat_database WHERE datname = current_database()")[0][0]) / 1000


def _entries_read() -> int:
    """Of the index of what waits, by all sessions that have ended."""
    with session():
        rows(TELL_NOW)
        rows("SELECT pg_stat_clear_snapshot()")
        return int(rows("SELECT pg_stat_get_tuples_returned('deliveries_due'::regclass)")[0][0])


@dataclass
class Bench:
    place: Ground
    sink: Child
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.platforms_url = f"http://127.0.0.1:{self.sink.ask({'hanging': []})}"
        self.store = Store(self.place, platforms()[: read.WIDTH])
        self._deliver = deliver.Bench(self.place, self.sink, self.platforms_url)
        self._serial = 10**12  # behind the ids of all that are loaded

    def rates(self, events: int, rounds: int) -> dict[str, float]:
        """Events that are stored a second in batches, with five deliveries each, and deliveries that a worker process makes."""
        found: dict[str, list[float]] = {"events stored a second": [], "deliveries a second": []}
        for _ in range(rounds):
            since, started = self.place.runtime.clock.now(), time.monotonic()
            for _ in range(events // BATCH):
                self.ingest(BATCH)
            found["events stored a second"].append(events / (time.monotonic() - started))
            found["deliveries a second"].append(self._rate_of_worker(since))
        return {name: statistics.median(rates) for name, rates in found.items()}

    def ingest(self, events: int) -> None:
        when = write_instant(self.place.runtime.clock.now())
        drafts = []
        for _ in range(events):
            self._serial += 1
            drafts.append(purchase(when, scattered(self._serial)))
        with in_transaction():
            holder = merchant_holder(self.store.merchant_id)
        assert holder is not None
        ingest_events(self.place.runtime, holder, drafts)

    def _rate_of_worker(self, since: datetime) -> float:
        merchants = [self.store.merchant_id]
        with installation(self.place, Crowd(0, 1, 1), self.platforms_url):
            self._deliver.wait_until_done(merchants)
        with session():
            sql = (
                "SELECT count(*), extract(epoch FROM max(delivered_at) - min(last_attempt_at)) FROM deliveries "
                "WHERE merchant_id = %s AND queued_at >= %s"
            )
            count, seconds = rows(sql, (merchants[0], since))[0]
        return float(count) / float(seconds)

    def purge(self, deliveries: int) -> float:
        """Seconds that the database works on the purge of so many deliveries and their events."""
        self._let_expire(deliveries)
        before = _busy_seconds()
        self._purge()
        return _busy_seconds() - before

    def ingest_beside_purge(self, deliveries: int) -> dict[str, float]:
        """95th percentile of single events, in ms: alone, and while so many deliveries are purged."""
        self._let_expire(deliveries)
        found = {"alone": self._singles(lambda: True)}
        thread = threading.Thread(target=self._purge)
        thread.start()
        found["purge"] = self._singles(thread.is_alive)
        thread.join()
        return found

    def _let_expire(self, deliveries: int) -> None:
        """Adds events of the day before the last that is kept."""
        start = self.place.runtime.clock.now() - RETENTION - timedelta(days=1)
        count, first = deliveries // read.WIDTH, self._serial + 1
        self._serial += count
        with unlimited_session():
            self.store.load([(first + n, start + timedelta(days=1) * (n / count)) for n in range(count)])
        analyze()

    def _purge(self) -> None:
        with session():
            purge_expired(self.place.runtime, LONG)
            rows(TELL_NOW)

    def _singles(self, goes_on: Any) -> float:
        times: list[float] = []
        ends = time.monotonic() + SINGLES_SECONDS
        while len(times) < 2 or (goes_on() and time.monotonic() < ends):
            started = time.perf_counter()
            self.ingest(1)
            times.append((time.perf_counter() - started) * 1000)
            time.sleep(0.005)
        return statistics.quantiles(times, n=20)[18]

    def claims(self, deliveries: int) -> dict[str, float]:
        """What a claim takes, in ms, in the first and in the last quarter of a backlog, while a snapshot is held.

        ``entries``: of the queue's index, that were read for each delivery.
        """
        merchants = self._deliver.fill(deliveries, 1)
        courier = self.place.child("courier")
        with closing(psycopg2.connect(self.place.url)) as reader:
            reader.cursor().execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM merchants")
            before = _entries_read()
            times = courier.ask(
                {
                    "what": "claims",
                    "url": self.place.url,
                    "platforms_url": self.platforms_url,
                    "platform": PLATFORMS[0],
                    "threads": 1,
                    "merchants": merchants,
                }
            )
        courier.close()
        quarter = max(1, len(times) // 4)
        return {
            "first": statistics.mean(times[:quarter]),
            "last": statistics.mean(times[-quarter - 1 : -1]),  # the very last one finds nothing
            "entries": (_entries_read() - before) / deliveries,
        }
