"""``tracklayer bench identity``: what it costs to know a browser again, in four measurements.

- ``pages``: ``POST /t`` on one process with the load on the same cores, against a bare route that only reads and writes JSON.
- ingest with ``browserId`` against without: of browsers and people that are seen together for the first time, which two rows
  each come of, and of such as were seen together within the hour.
- delivery of events to which their browsers add three fields, against ones that bring these themselves: a worker end to end,
  and an engine whose platforms answer before they are asked.
- the look-up of a claim's events, by browser and by email, at so many stored browsers and at ten times as many: rows and pages
  that the database reads.

Seconds by the clock are those of a machine that does this alone. So what each call takes of processors is told as well (API
process and PostgreSQL, in microseconds), and commits and bytes of WAL, which hold beside other work.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import orjson

from tracklayer.cli.bench import deliver
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
from tracklayer.cli.bench.ingest import INGEST, INGEST_MANY, camel, purchase
from tracklayer.cli.bench.load import ID_MARK, TAIL_MARK
from tracklayer.cli.bench.pages import PACE, Meter, Pages
from tracklayer.cli.process import CommandError, print_json
from tracklayer.db.connection import execute, in_transaction, rows, session, unlimited_session
from tracklayer.db.enrichments import LOOK_UP, Wanted, look_up_arguments
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.merchants import create_merchant

ROUNDS, SECONDS = 3, 2.0
CALLERS, BATCH_CALLERS = 64, 4
MOST_EVENTS = 200_000  # of one measurement
DELIVERED = 16_000  # events of one measurement
BROWSERS = 20_000  # of the smaller measurement of look-ups
LOOKED_UP, LOOKS = 50, 20  # events of a look-up, half of them by browser; look-ups of a measurement
RETENTION = timedelta(days=90)
OWN = ("fbp", "fbc", "ga_client_id")  # what a purchase brings itself, and here comes from its browser
BEFORE_ID, BEFORE_TAIL = "f1a2b3c4d5e6", "f1a2b3c4d5e60718293a4b5c6"  # of browsers' ids of 32 characters
SHAPES = {"ingestEvent": (INGEST, 1, CALLERS), "ingestEvents(100)": (INGEST_MANY, 100, BATCH_CALLERS)}
CASES = {"plain": "without", "first": "with, seen together first", "again": "with, seen together again"}


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "identity", help="calls of pages a second, and what browserId costs ingest, delivery and look-ups"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of all measurements in turn (%(default)s)")
    parser.add_argument("--events", type=int, default=DELIVERED, help="of one measurement of delivery (%(default)s)")
    parser.add_argument(
        "--browsers",
        type=int,
        default=10 * BROWSERS,
        help="stored ones, of the larger measurement of look-ups; 10,000,000 take a while (%(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return interruptible(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    rounds = 1 if args.quick else max(1, args.rounds)
    seconds = 0.7 if args.quick else min(60.0, max(0.1, args.seconds))
    events = 4 * deliver.BATCH if args.quick else max(4, args.events // deliver.BATCH) * deliver.BATCH
    with ground() as place:
        found_on = machine()
        load, product, bare = place.child("load"), _served(place, "product"), _served(place, "json")
        pages = Pages(place, load, product, bare)
        pages.measure_all(rounds, seconds)
        ingest = Ingest(place, load, product)
        ingest.measure_all(rounds, seconds)
        for child, _ in (product, bare):
            child.close()
        delivery = _deliveries(place, events, rounds)
        looks = _looks(
            place, [max(1_000, (BROWSERS if args.quick else args.browsers) // 10 * times) for times in (1, 10)]
        )
    goals = [
        Goal("POST /t, new browsers: calls/s", pages.rate("new"), 3000),
        Goal("POST /t, known browsers: calls/s", pages.rate("known"), 3000),
        Goal(f"POST /t, {PACE:g} a second: p99 in ms", pages.median("new, paced", "p99_ms"), 20, True),
        *(
            Goal(f"{of} {CASES[case]}: events/s of without", ingest.rate(of, case) / ingest.rate(of, "plain"), 0.97)
            for of in SHAPES
            for case in ("first", "again")
        ),
        *(
            Goal(f"{name}: enriched deliveries/s of others", rates["enriched"] / rates["plain"], 0.9)
            for name, rates in delivery.items()
        ),
        *(
            Goal(f"a look-up at ten times the browsers: {name}", looks[1][name] / looks[0][name], 1.5, True)
            for name in ("rows", "pages")
        ),
    ]
    if args.json:
        told = {
            "pages": pages.summary(),
            "ingest": ingest.summary(),
            "deliveries_per_second": delivery,
            "look_ups": looks,
        }
        print_json({"machine": found_on, **told, "goals": [goal.as_json() for goal in goals]})
        return 0
    print(describe(found_on) + "\n")
    print(table(HEAD, [[name, *line.values()] for name, line in pages.summary().items()]))
    print("\n" + table(HEAD, [[name, *line.values()] for name, line in ingest.summary().items()]))
    lines = [[name, f"{rates['plain']:,.0f}", f"{rates['enriched']:,.0f}"] for name, rates in delivery.items()]
    print("\n" + table(["deliveries/s", "as they came", "enriched"], lines))
    read = [[f"{found['browsers']:,.0f}", found["rows"], found["pages"], found["ms"]] for found in looks]
    print("\n" + table([f"browsers, a look-up of {LOOKED_UP} events", "rows", "pages", "ms"], read))
    print("\n" + goals_table(goals))
    return 0


HEAD = ["", "a second", "p50 ms", "p99 ms", "us of the API", "us of PostgreSQL", "commits", "WAL bytes"]


def _served(place: Ground, role: str) -> tuple[Child, int]:
    child = place.child("rivals")
    return child, child.ask({"role": role, "url": place.url, "merchant_id": None, "profile": None})


def _merchant(place: Ground) -> tuple[int, str]:
    created = create_merchant(place.runtime, "Shop")
    if isinstance(created, list):
        raise CommandError("no merchant could be made")
    sandbox_destinations(place.runtime, created[0], tuple(PLATFORMS)[:2])
    return created


# Ingest --------------------------------------------------------------------------------------------------------------


@dataclass
class Ingest:
    """The same purchases of three merchants: without a browser, with one that is new, and with one that was there before."""

    place: Ground
    load: Child
    product: tuple[Child, int]
    found: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keys = {case: _merchant(self.place)[1] for case in CASES}
        self._serial = 0
        self._most = MOST_EVENTS

    def measure_all(self, rounds: int, seconds: float) -> None:
        for of in SHAPES:
            for case in ("plain", "first"):
                self._measure(of, case, seconds)  # a warm-up
        # Whoever comes again was there before: so many of them.
        self._most = self._measure("ingestEvents(100)", "again", 2 * seconds)
        self.found.clear()
        for _ in range(rounds):
            for of in SHAPES:
                for case in CASES:
                    self._measure(of, case, seconds)

    def _measure(self, of: str, case: str, seconds: float) -> int:
        query, batch, callers = SHAPES[of]
        child, port = self.product
        self._serial += 1
        name = "inputs" if batch > 1 else "input"
        items = "[{items}]" if batch > 1 else "{items}"
        with Meter(self.place, child.pid).counting() as counted:
            found = self.load.ask(
                {
                    "port": port,
                    "head": "POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                    f"authorization: Bearer {self._keys[case]}\r\n",
                    "body": f'{{"query":{orjson.dumps(query).decode()},"variables":{{"{name}":{items}}}}}',
                    "item": orjson.dumps(camel(self._event(case))).decode(),
                    "batch": batch,
                    "concurrency": callers,
                    "seconds": seconds,
                    "most": self._most if case == "again" else MOST_EVENTS,
                    "expected": '"outcome":"ACCEPTED"',
                    "prefix": f"b{self._serial:06d}a",
                }
            )
        if found["errors"]:
            raise CommandError(f"{CASES[case]}: {found['errors']} wrong answers; {found['first_error']}")
        self.found.setdefault((of, case), []).append({**found, **counted.of(found["events"])})
        return int(found["events"])

    def _event(self, case: str) -> dict[str, Any]:
        event = purchase(write_instant(self.place.runtime.clock.now() - timedelta(seconds=30)))
        event["user_data"]["phone"] = f"+49 1511 {TAIL_MARK}"  # one that somebody can have, or it is linked to nobody
        if case == "first":
            event["user_data"]["browser_id"] = BEFORE_ID + ID_MARK
        elif case == "again":
            event["user_data"] |= {"browser_id": BEFORE_TAIL + TAIL_MARK, "email": f"jane.{TAIL_MARK}@example.com"}
        return event

    def rate(self, of: str, case: str) -> float:
        return statistics.median(float(found["events"] / found["seconds"]) for found in self.found[of, case])

    def summary(self) -> dict[str, dict[str, float]]:
        return {
            f"{of} {CASES[case]}": {"a_second": self.rate(of, case), **_medians(measured)}
            for (of, case), measured in self.found.items()
        }


def _medians(measured: list[dict[str, Any]]) -> dict[str, float]:
    names = ("p50_ms", "p99_ms", "api_us", "database_us", "commits", "wal_bytes")
    return {name: round(statistics.median(float(found[name]) for found in measured), 3) for name in names}


# Delivery ------------------------------------------------------------------------------------------------------------


class Stitching(deliver.Bench):
    """Merchants whose purchases bring ``OWN``. ``names_browsers``: they name a browser instead, which showed them."""

    names_browsers = False

    def event(self) -> dict[str, Any]:
        event = super().event()
        if not self.names_browsers:
            return event
        user_data = {name: value for name, value in event["user_data"].items() if name not in OWN}
        return {**event, "user_data": {**user_data, "browser_id": _browser_id(self._serial)}}

    def fill_enriched(self, events: int) -> list[int]:
        first = self._serial + 1
        self.names_browsers = True
        try:
            merchants = self.fill(events)
        finally:
            self.names_browsers = False
        for merchant_id in merchants:
            _store_browsers(self.place, merchant_id, first, self._serial)
        return merchants


def _deliveries(place: Ground, events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Deliveries a second, by how they are made: of events that bring all themselves, and of enriched ones."""
    sink, courier = place.child("sink"), place.child("courier")
    bench = Stitching(place, sink, f"http://127.0.0.1:{sink.ask({'hanging': []})}")
    job = {"url": place.url, "platforms_url": bench.platforms_url, "platform": PLATFORMS[0], "threads": deliver.THREADS}

    def engine(merchants: list[int]) -> float:
        return events / float(courier.ask({**job, "events": events, "what": "statements", "merchants": merchants}))

    ways: dict[str, Callable[[list[int]], float]] = {
        "an engine without requests": engine,
        "a worker, end to end": partial(bench.rate_of_worker, events),
    }
    found: dict[str, dict[str, list[float]]] = {name: {"plain": [], "enriched": []} for name in ways}
    for _ in range(rounds):
        for name, deliver_all in ways.items():
            found[name]["plain"].append(deliver_all(bench.fill(events)))
            merchants = bench.fill_enriched(events)
            found[name]["enriched"].append(deliver_all(merchants))
            _check_enriched(merchants, events)
    return {name: {of: statistics.median(rates) for of, rates in both.items()} for name, both in found.items()}


def _check_enriched(merchants: list[int], events: int) -> None:
    """Raises CommandError where not every event got all of ``OWN`` from its browser."""
    with session():
        sql = "SELECT count(*) FROM enrichments WHERE merchant_id = ANY(%s) AND json_array_length(fields) >= %s"
        enriched = rows(sql, (merchants, len(OWN)))[0][0]
    if enriched != events:
        raise CommandError(f"{enriched} of {events} events were enriched")


# Look-ups ------------------------------------------------------------------------------------------------------------


def _browser_id(number: int) -> str:
    return f"{BEFORE_ID}{number:020d}"


def _email(number: int) -> str:
    return f"jane.{number}@example.com"


# Each showed a click and two platforms' cookies; ``people``: and was seen with an email of its own.
_BROWSERS = (
    "INSERT INTO browsers (merchant_id, browser_id, first_seen_at, last_seen_at) "
    "SELECT %(merchant)s, %(before)s || lpad(n::text, 20, '0'), %(at)s, %(at)s FROM generate_series(%(first)s, %(last)s) AS n",
    "INSERT INTO browser_signals (merchant_id, browser_id, kind, value, first_seen_at, last_seen_at) "
    "SELECT %(merchant)s, %(before)s || lpad(n::text, 20, '0'), kind, value || n, %(at)s, %(at)s "
    "FROM generate_series(%(first)s, %(last)s) AS n, (VALUES ('fbclid', 'IwAR2_'), ('fbp', 'fb.1.1717243200000.1'), "
    "('ga_client_id', '1717243200.1')) AS k(kind, value)",
)
_PEOPLE = (
    "INSERT INTO browser_people (merchant_id, digest, browser_id, kind, digests, first_seen_at, last_seen_at) "
    "SELECT %(merchant)s, encode(sha256(('jane.' || n || '@example.com')::bytea), 'hex'), "
    "%(before)s || lpad(n::text, 20, '0'), 'email', '{}', %(at)s, %(at)s FROM generate_series(%(first)s, %(last)s) AS n"
)


def _store_browsers(place: Ground, merchant_id: int, first: int, last: int, *more: str) -> None:
    at = place.runtime.clock.now() - timedelta(minutes=10)
    params: Any = {"merchant": merchant_id, "before": BEFORE_ID, "at": at, "first": first, "last": last}
    with unlimited_session():
        for sql in (*_BROWSERS, *more):
            execute(sql, params)


def _looks(place: Ground, sizes: list[int]) -> list[dict[str, float]]:
    """What the look-up of a claim's events reads at so many stored browsers of one merchant: medians."""
    merchant_id = _merchant(place)[0]
    found, stored = [], 0
    for size in sizes:
        _store_browsers(place, merchant_id, stored + 1, size, _PEOPLE)
        stored = size
        with unlimited_session():
            execute("ANALYZE browsers, browser_signals, browser_people")
        looks = [_look(place, merchant_id, stored, turn) for turn in range(LOOKS)]
        found.append({"browsers": size, **{name: statistics.median(look[name] for look in looks) for name in looks[0]}})
    return found


def _look(place: Ground, merchant_id: int, stored: int, turn: int) -> dict[str, float]:
    numbers = [1 + (turn * LOOKED_UP + step) * stored // (LOOKS * LOOKED_UP) for step in range(LOOKED_UP)]
    wanted = [
        Wanted(f"look_{number}", _browser_id(number), ())
        if number % 2
        else Wanted(f"look_{number}", None, (sha256(_email(number).encode()).hexdigest(),))
        for number in numbers
    ]
    params: Any = look_up_arguments(merchant_id, wanted, RETENTION, place.runtime.clock.now())
    with in_transaction():
        (found,) = rows(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LOOK_UP}", params)[0]
    plan = found[0]["Plan"]
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return {"rows": _rows_read(plan), "pages": pages, "ms": found[0]["Execution Time"]}


def _rows_read(plan: dict[str, Any]) -> float:
    """By all scans of tables together."""
    own = (
        (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        if "Relation Name" in plan
        else 0
    )
    return float(own) + sum(_rows_read(inner) for inner in plan.get("Plans", ()))
