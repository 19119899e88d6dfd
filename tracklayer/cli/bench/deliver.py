"""``tracklayer bench deliver``: deliveries a second from the row to the acknowledged row, against its own two halves.

The platforms are ones that take everything at once. (a) is the same requests, mapped and sent without a database, (b)
everything but the requests, each with as many threads; the end-to-end figure is that of a worker process as an operator
runs it. Then: what a platform that hangs, and a backlog of somebody else, do to the latency of fresh events; and what events
cost that arrive one by one at many merchants, see ``sparse``.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tracklayer.cli.bench import sparse
from tracklayer.cli.bench.ground import Child, Goal, Ground, goals_table, ground, table
from tracklayer.cli.bench.ingest import INGEST, camel, purchase
from tracklayer.cli.bench.roles import Crowd, Installation, installation, wait_for
from tracklayer.cli.process import CommandError, print_json
from tracklayer.db.connection import LONG_SECONDS, execute, in_transaction, rows, session, statements_within
from tracklayer.db.merchants import merchant_holder
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import create_merchant

EVENTS, ROUNDS = 40_000, 3
THREADS = 8  # half of a worker's: what it gives one platform
MERCHANTS = 2  # a quarter for each destination
BATCH = 1000
BACKLOG = 200_000
FEED_SECONDS, FEED_RATE = 20.0, 50  # events a second
DONE_SECONDS = 600
TOWN, BURSTS = 500, 5  # merchants with single events; bursts of one for each
TOWN_GOALS = {200.0: 250, 50.0: 100}  # events a second -> p95 in ms


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("deliver", help="deliveries a second, and who slows whom")
    parser.add_argument("--events", type=int, default=EVENTS, help="of one measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of all measurements in turn (%(default)s)")
    parser.add_argument(
        "--backlog", type=int, default=BACKLOG, help="retries due while fresh events come (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    events = 8 * BATCH if args.quick else max(8, args.events // BATCH) * BATCH
    rounds = 1 if args.quick else max(1, args.rounds)
    backlog = 20_000 if args.quick else args.backlog
    seconds = FEED_SECONDS / 2 if args.quick else FEED_SECONDS
    with ground() as place:
        sink = place.child("sink")
        bench = Bench(place, sink, f"http://127.0.0.1:{sink.ask({'hanging': []})}")
        for _ in range(rounds):
            bench.measure(events)
        waits = bench.disturb(seconds, backlog)
        single, streams = sparse.measure(
            place, bench.platforms_url, TOWN // 5 if args.quick else TOWN, BURSTS, seconds, list(TOWN_GOALS)
        )
    rates = {name: statistics.median(found) for name, found in bench.found.items()}
    goals = [
        Goal("end to end: deliveries/s of (a)", rates["worker"] / rates["requests"], 0.5),
        Goal("end to end: deliveries/s of (b)", rates["worker"] / rates["statements"], 0.5),
        Goal("p95 of fresh events while another platform hangs", waits["hanging"][1] / waits["alone"][1], 1.1, True),
        Goal(f"p95 while {backlog:,} retries of another are due", waits["backlog"][1] / waits["alone"][1], 1.1, True),
        Goal("single events: deliveries/s", single, 2000),
        *(
            Goal(f"single events, {rate:g} a second: p95 in ms", streams[rate]["p95_ms"], most, True)
            for rate, most in TOWN_GOALS.items()
        ),
    ]
    if args.json:
        told = [goal.as_json() for goal in goals]
        town = {"deliveries_per_second": single, "streams": {f"{rate:g}": found for rate, found in streams.items()}}
        print_json({"deliveries_per_second": rates, "latency_ms": waits, "single_events": town, "goals": told})
        return 0
    print(table(["", "deliveries/s"], [[WORDS[name], f"{rate:,.0f}"] for name, rate in rates.items()]))
    lines = [[WORDS[name], f"{p50:.0f}", f"{p95:.0f}"] for name, (p50, p95) in waits.items()]
    print("\n" + table(["fresh events", "p50 ms", "p95 ms"], lines))
    streamed = [
        [f"{rate:g} events/s", *(f"{value:.2f}" for value in found.values())] for rate, found in streams.items()
    ]
    print("\n" + table(["single events, a delivery", *(name.replace("_", " ") for name in streams[50.0])], streamed))
    print("\n" + goals_table(goals))
    return 0


WORDS = {
    "requests": "(a) the same events mapped and sent, no database",
    "statements": "(b) the same without the requests",
    "worker": "a worker, end to end",
    "alone": "alone",
    "hanging": "while another platform hangs",
    "backlog": "while another merchant's backlog goes out",
}


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


@dataclass
class Bench:
    place: Ground
    sink: Child
    platforms_url: str
    found: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._courier = self.place.child("courier")
        self._serial = 0

    def measure(self, events: int) -> None:
        """The three rates, one after the other."""
        job: dict[str, Any] = {
            "url": self.place.url,
            "platforms_url": self.platforms_url,
            "platform": PLATFORMS[0],
            "threads": THREADS,
            "events": events,
        }
        self._note("requests", events / self._courier.ask({**job, "what": "requests"}))
        merchants = self.fill(events)
        self._note("statements", events / self._courier.ask({**job, "what": "statements", "merchants": merchants}))
        self._note("worker", self.rate_of_worker(events, self.fill(events)))

    def rate_of_worker(self, events: int, merchants: list[int]) -> float:
        """Deliveries a second of a worker process to whom all that waits is these merchants' events."""
        with installation(self.place, Crowd(0, 1, 1), self.platforms_url):
            self.wait_until_done(merchants)
        with session():
            sql = "SELECT extract(epoch FROM max(delivered_at) - min(last_attempt_at)) FROM deliveries WHERE merchant_id = ANY(%s)"
            return events / float(rows(sql, (merchants,))[0][0])

    def _note(self, name: str, rate: float) -> None:
        self.found.setdefault(name, []).append(rate)

    def merchant(self, platform: str) -> tuple[int, str]:
        created = create_merchant(self.place.runtime, "Bench")
        if isinstance(created, list):
            raise CommandError("no merchant could be made")
        sandbox_destinations(self.place.runtime, created[0], [platform])
        return created

    def fill(self, events: int, merchants: int = MERCHANTS) -> list[int]:
        """New merchants, with so many deliveries in all that wait for the first platform."""
        made = [self.merchant(PLATFORMS[0])[0] for _ in range(merchants)]
        for number in range(events // BATCH):
            with in_transaction():
                holder = merchant_holder(made[number % merchants])
            assert holder is not None
            ingest_events(self.place.runtime, holder, [self.event() for _ in range(BATCH)])
        return made

    def event(self) -> dict[str, Any]:
        self._serial += 1
        event = purchase(write_instant(self.place.runtime.clock.now()), f"bench_{self._serial:014d}")
        # As many names and places as a busy shop sees in an hour.
        event["user_data"] |= {
            "first_name": f"Jane{_letters(self._serial % 300)}",
            "last_name": f"Doe{_letters(self._serial % 7919)}",
            "city": f"San {_letters(self._serial % 500)}",
            "zip": f"{10_000 + self._serial % 3001}",
        }
        return event

    def wait_until_done(self, merchants: Sequence[int]) -> None:
        def is_over() -> bool:
            with session():
                sql = "SELECT 1 FROM deliveries WHERE merchant_id = ANY(%s) AND due_at IS NOT NULL LIMIT 1"
                return not rows(sql, (list(merchants),))

        wait_for(is_over, "every delivery to be made", DONE_SECONDS)

    # Disturbances -----------------------------------------------------------------------------------------------------

    def disturb(self, seconds: float, backlog: int) -> dict[str, tuple[float, float]]:
        """(p50, p95) of the latency of fresh events to the second platform, in ms, in each situation."""
        fresh, other = self.merchant(PLATFORMS[1]), self.merchant(PLATFORMS[0])
        found = {}
        with installation(self.place, Crowd(1, 1, 1), self.platforms_url) as installed:
            self.feed(installed, 3.0, fresh)
            found["alone"] = self.feed(installed, seconds, fresh)
            self.sink.ask({"hanging": [PLATFORMS[0]]})
            with self.feeding(installed, other, seconds + 10):
                time.sleep(10)  # until the first ones have given up
                found["hanging"] = self.feed(installed, seconds, fresh)
            self.sink.ask({"hanging": []})
        merchants = self.fill(backlog, 1)
        with in_transaction(), statements_within(LONG_SECONDS):
            execute("UPDATE deliveries SET status = 'failed', attempts = 1 WHERE merchant_id = ANY(%s)", (merchants,))
        with installation(self.place, Crowd(1, 1, 1), self.platforms_url) as installed:
            self.feed(installed, 3.0, fresh)
            found["backlog"] = self.feed(installed, seconds, fresh)
        return found

    def feed(self, installed: Installation, seconds: float, merchant: tuple[int, str]) -> tuple[float, float]:
        since = self.place.runtime.clock.now()
        self._send(installed.apis[0], merchant[1], seconds)
        time.sleep(2)
        with session():
            sql = "SELECT latency_ms FROM deliveries WHERE merchant_id = %s AND received_at >= %s"
            waits = [row[0] for row in rows(sql, (merchant[0], since))]
        if not waits or None in waits:
            raise CommandError(f"{waits.count(None)} of {len(waits)} fresh events were not delivered within 2 seconds")
        cuts = statistics.quantiles(waits, n=100)
        return cuts[49], cuts[94]

    @contextmanager
    def feeding(self, installed: Installation, merchant: tuple[int, str], seconds: float) -> Iterator[None]:
        thread = threading.Thread(target=self._send, args=(installed.apis[0], merchant[1], seconds))
        thread.start()
        yield
        thread.join()

    def _send(self, api: str, key: str, seconds: float) -> None:
        start = time.monotonic()
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=30) as client:
            for number in range(int(seconds * FEED_RATE)):
                time.sleep(max(0.0, start + number / FEED_RATE - time.monotonic()))
                body = {"query": INGEST, "variables": {"input": camel(self.event())}}
                client.post(f"{api}/graphql", json=body).raise_for_status()
