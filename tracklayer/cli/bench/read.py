"""``tracklayer bench read``: what a dashboard asks, at ten thousand and at ten million stored deliveries.

One event and its five deliveries are stored as ever; COPY then multiplies their rows, spread over sixty days. Of a hundred
deliveries one was dropped, of a thousand one is tried again, and all are counted in the ledger.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx
import psycopg2

from tracklayer.cli.bench.ground import Goal, Ground, goals_table, ground, table
from tracklayer.cli.bench.ingest import purchase
from tracklayer.cli.process import CommandError, print_json
from tracklayer.db import connection
from tracklayer.db.connection import database, execute, in_transaction, rows, unlimited_session
from tracklayer.db.merchants import merchant_holder
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import create_merchant

FEW, MANY = 10_000, 10_000_000  # deliveries
WIDTH = 5
SPREAD = timedelta(days=60)
ALERTS = 200
REQUESTS = 300  # of each kind
AS_FAST = ("event by id", "newest page of 50", "a page of 50 from the middle")  # with many as with few
WARM_UP = 10  # more of each, before they count
PART = 20_000  # events of one COPY
TEMPLATE = "template_of_the_bench"

EVENT = """query($id: String!) { event(eventId: $id) { eventId eventName receivedAt deliveries {
  platform status attempts latencyMs alerts { id kind } } alerts { id kind } } }"""
PAGE = """query($after: String) { events(first: 50, after: $after) { edges { cursor node { eventId eventName receivedAt
  deliveries { platform status attempts latencyMs alerts { id kind } } alerts { id kind } } } pageInfo { hasNextPage } } }"""

# What each screen of the dashboard waits for, the lists narrowed as its links narrow them.
FIGURES = (
    "platform eventsAccepted routed delivered dropped leftAlone dropReasons waiting held purged balanced latencyP50Ms"
)
LEDGER = f"""query($since: DateTime!, $until: DateTime!, $bucket: LedgerBucket!) {{
  ledger(since: $since, until: $until, bucket: $bucket) {{ balanced whole {{ {FIGURES} }}
    series {{ bucketStart eventsAccepted routed delivered }} }}
  merchant {{ advice {{ code }} destinations {{ platform state waiting advice {{ code }} openAlerts {{ id }}
    standing {{ lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt }} }} }} }}"""
EVENTS = """query($filter: EventFilter) { events(first: 50, filter: $filter) { nodes { eventId eventName receivedAt
  deliveries { platform status held dropReason } } pageInfo { hasNextPage endCursor } } }"""
ROWS = (
    "nodes { id platform status held dropReason lastError queuedAt attempts duplicateRisk event { eventId eventName } }"
)
DELIVERIES = f"query($filter: DeliveryFilter) {{ deliveries(first: 50, filter: $filter) {{ {ROWS} }} }}"
RARE = {"eventName": "Nobody sends this", "deliveryStatuses": ["FAILED", "DROPPED"]}
WAITING = {"platform": PLATFORMS[0].upper(), "status": ["QUEUED", "FAILED"]}
GROUPS = """{ deliveryGroups { platform status held dropReason code count isExact newestQueuedAt oldestQueuedAt exampleEventId } }"""
ALERTS_PAGE = "{ alerts(first: 50) { nodes { id kind severity state platform title openedAt resolvedAt } } }"
ALERT = f"query($id: ID!) {{ node(id: $id) {{ ... on Alert {{ title details deliveries(first: 50) {{ {ROWS} }} }} }} }}"
ANSWERS = (
    """{ merchant { destinations { platform settings answers { attempt { at outcome } delivery { id status } } } } }"""
)
WITHIN_MS = 100  # a screen's data, of 19 requests in 20


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("read", help="reads at ten thousand and at ten million stored deliveries")
    parser.add_argument("--deliveries", type=int, default=MANY, help="of the larger measurement (%(default)s)")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each kind (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="with 200,000 deliveries")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    many = 200_000 if args.quick else max(FEW, args.deliveries)
    with ground() as place:
        filler = Filler(place)
        filler.fill(FEW // WIDTH)
        stores = {FEW: filler.serve(filler.copy("few"))}
        filler.fill(many // WIDTH)
        stores[many] = filler.serve(place.url)
        found = measure(stores, max(20, args.requests))
    goals = [
        Goal(f"{name}: p95 at {many:,} of that at {FEW:,}", found[many][name][1] / found[FEW][name][1], 1.5, True)
        for name in AS_FAST
    ]
    goals += [
        Goal(f"{name}: p95 ms at {many:,}", found[many][name][1], WITHIN_MS, True)
        for name in found[many]
        if name not in AS_FAST
    ]
    if args.json:
        print_json({"latency_ms": by_text(found), "goals": [goal.as_json() for goal in goals]})
        return 0
    lines = [
        [f"{count:,}", name, f"{p50:.2f}", f"{p95:.2f}"] for count in found for name, (p50, p95) in found[count].items()
    ]
    print(table(["deliveries", "", "p50 ms", "p95 ms"], lines))
    print("\n" + goals_table(goals))
    return 0


def by_text(found: dict[int, Any]) -> dict[str, Any]:
    """As JSON has it: its keys are texts."""
    return {str(count): figures for count, figures in found.items()}


@dataclass
class Filler:
    """Stores the rows, and starts who reads them."""

    place: Ground
    platforms: Sequence[str] = PLATFORMS[:WIDTH]
    events: int = 1

    def __post_init__(self) -> None:
        created = create_merchant(self.place.runtime, "Dashboard")
        if isinstance(created, list):
            raise CommandError("no merchant could be made")
        self.merchant_id, self.key = created
        sandbox_destinations(self.place.runtime, self.merchant_id, self.platforms)
        self._store_template()

    def _store_template(self) -> None:
        now = self.place.runtime.clock.now()
        self.start = now - SPREAD
        with in_transaction():
            holder = merchant_holder(self.merchant_id)
            assert holder is not None
        ingest_events(self.place.runtime, holder, [purchase(write_instant(now), TEMPLATE)])
        with in_transaction():
            execute(
                "UPDATE deliveries SET status = 'delivered', attempts = 1, due_at = NULL, latency_ms = 120, "
                "last_attempt_at = queued_at, delivered_at = queued_at, finished_at = queued_at"
            )
            execute(
                "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, details, opened_at, "
                "last_seen_at, resolved_at) SELECT %s, 'platform_down', 'critical', %s, 'It was down', '', '{}', at, at, "
                "at + interval '20 minutes' FROM generate_series(1, %s) AS n, LATERAL (SELECT %s::timestamptz + n * "
                "%s::interval AS at) AS times",
                (self.merchant_id, self.platforms[0], ALERTS, self.start, SPREAD / ALERTS),
            )

    def fill(self, events: int) -> None:
        """Up to so many events, in the order of their arrival."""
        with unlimited_session():
            shapes = [Shape(name) for name in ("events", "deliveries")]
            while self.events < events:
                numbers = range(self.events, min(events, self.events + PART))
                for shape in shapes:
                    shape.copy([(event_id(n), self._at(n)) for n in numbers])
                self.events = numbers.stop
            with in_transaction():
                for statement in UNLIKE:
                    execute(statement)
            raw = database.connection()
            raw.commit()
            raw.autocommit = True
            raw.cursor().execute("VACUUM (ANALYZE) events, deliveries, alerts, minutes, ledger_hours")
            raw.cursor().execute("CHECKPOINT")  # else what was loaded is written while reads are measured
            raw.autocommit = False

    def copy(self, name: str) -> str:
        """The URL of a database with what is stored so far."""
        connection.disconnect()  # a database that somebody uses is not copied
        head, query = self.place.url.split("?", 1)
        server, source = head.rsplit("/", 1)
        with closing(psycopg2.connect(f"{server}/template1?{query}")) as session:
            session.autocommit = True
            session.cursor().execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        return f"{server}/{name}?{query}"

    def serve(self, url: str) -> Store:
        """An API process of its own over a database."""
        child = self.place.child("rivals")
        port = child.ask({"role": "product", "url": url, "merchant_id": self.merchant_id, "profile": None})
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {self.key}"}, timeout=60
        )
        self.place.close_after(client.close)
        return Store(client, self.events, self.start)

    def _at(self, number: int) -> datetime:
        """Any event's time, however many there are: the golden ratio scatters them evenly, and those of a part in order."""
        part, place = divmod(number, PART)
        return self.start + SPREAD * ((part * 0.6180339887498949) % 1.0 * 0.99 + 0.01 * place / PART)


# Some end otherwise, and all are counted.
UNLIKE = (
    "UPDATE deliveries SET status = 'dropped', drop_reason = 'event_too_old', delivered_at = NULL, latency_ms = NULL, "
    "last_error = 'it is older than the platform takes' WHERE status = 'delivered' AND event_id LIKE '%%07'",
    "UPDATE deliveries SET status = 'failed', delivered_at = NULL, finished_at = NULL, latency_ms = NULL, error_code = '190', "
    "last_error = '400 no', due_at = queued_at + interval '61 days' WHERE status = 'delivered' AND event_id LIKE '%%123'",
    "DELETE FROM minutes",
    "DELETE FROM ledger_hours",
    """INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, routed, delivered, dropped, waiting, acknowledged)
    SELECT merchant_id, platform, date_trunc('minute', received_at, 'UTC') AS minute, 0, count(*), count(*),
           count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE status = 'dropped'),
           count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'delivered')
    FROM deliveries GROUP BY merchant_id, platform, minute""",
    """INSERT INTO minutes (merchant_id, platform, minute, slot, accepted)
    SELECT merchant_id, '', date_trunc('minute', received_at, 'UTC') AS minute, 0, count(*)
    FROM events GROUP BY merchant_id, minute""",
)


def event_id(number: int) -> str:
    return f"order_{number:012d}"


@dataclass
class Store:
    """``events`` stored events since ``start``, and a client of the API over them."""

    client: httpx.Client
    events: int
    start: datetime
    random: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        cursors = list(self._cursors(100))
        self.questions: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            "event by id": lambda: (EVENT, {"id": event_id(self.random.randrange(1, self.events))}),
            "newest page of 50": lambda: (PAGE, {}),
            "a page of 50 from the middle": lambda: (PAGE, {"after": self.random.choice(cursors)}),
            **{name: _always(asked) for name, asked in self._screens().items()},
        }

    def _screens(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """What is asked for each screen."""
        hour = (self.start + SPREAD).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        days = {count: write_instant(hour - timedelta(days=count)) for count in (1, 30, 90)}
        until = write_instant(hour)
        (alert, *_) = self._post(ALERTS_PAGE, {})["data"]["alerts"]["nodes"]
        dropped = {"status": ["DROPPED"], "platform": PLATFORMS[0].upper()}
        return {
            "home, a day": (LEDGER, {"since": days[1], "until": until, "bucket": "HOUR"}),
            "home, 90 days": (LEDGER, {"since": days[90], "until": until, "bucket": "DAY"}),
            "events of a platform": (EVENTS, {"filter": {"platform": PLATFORMS[0].upper()}}),
            "events that were not taken": (EVENTS, {"filter": {"deliveryStatuses": ["FAILED", "DROPPED"]}}),
            "events of a rare name that were not taken": (EVENTS, {"filter": RARE}),
            "deliveries, grouped": (GROUPS, {}),
            "deliveries": (DELIVERIES, {}),
            "deliveries that one platform dropped": (DELIVERIES, {"filter": dropped}),
            "the same, a month ago": (DELIVERIES, {"filter": {**dropped, "receivedUntil": days[30]}}),
            "deliveries that failed": (DELIVERIES, {"filter": {"status": ["FAILED"]}}),
            "deliveries of one platform that wait": (DELIVERIES, {"filter": WAITING}),
            "notifications": (ALERTS_PAGE, {}),
            "an alert": (ALERT, {"id": alert["id"]}),
            "destinations": (ANSWERS, {}),
        }

    def ask(self, name: str) -> float:
        """How many ms it took."""
        query, variables = self.questions[name]()
        started = time.perf_counter()
        answer = self._post(query, variables)
        took = (time.perf_counter() - started) * 1000
        if "errors" in answer or not all(answer["data"].values()):
            raise CommandError(f"{name}: a wrong answer: {str(answer)[:300]}")
        return took

    def _post(self, query: str, variables: dict[str, Any]) -> Any:
        return self.client.post("/graphql", json={"query": query, "variables": variables}).json()

    def _cursors(self, count: int) -> Iterator[str]:
        """Of pages all over the time that is stored."""
        query = "query($until: DateTime!) { events(first: 1, filter: {receivedUntil: $until}) { edges { cursor } } }"
        for _ in range(count):
            until = self.start + SPREAD * self.random.uniform(0.2, 0.9)
            for edge in self._post(query, {"until": write_instant(until)})["data"]["events"]["edges"]:
                yield edge["cursor"]


def _always(asked: tuple[str, dict[str, Any]]) -> Callable[[], tuple[str, dict[str, Any]]]:
    return lambda: asked


def measure(stores: dict[int, Store], requests: int) -> dict[int, dict[str, tuple[float, float]]]:
    """(p50, p95) in ms by store and by what is asked: one request after the other, of each store and kind in turn."""
    times: dict[int, dict[str, list[float]]] = {
        count: {name: [] for name in store.questions} for count, store in stores.items()
    }
    for n in range(requests + WARM_UP):
        for name in next(iter(stores.values())).questions:
            for count, store in stores.items():
                took = store.ask(name)
                if n >= WARM_UP:
                    times[count][name].append(took)
    return {count: {name: _cuts(found) for name, found in kinds.items()} for count, kinds in times.items()}


def _cuts(times: list[float]) -> tuple[float, float]:
    found = statistics.quantiles(times, n=100)
    return found[49], found[94]


class Shape:
    """The rows of the template in one table, as COPY writes them."""

    def __init__(self, name: str) -> None:
        found = rows(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s "
            "AND is_generated = 'NEVER' ORDER BY ordinal_position",
            (name,),
        )
        self.name, self.columns = name, [row[0] for row in found]
        self._moving = {row[0] for row in found if row[1] == "timestamp with time zone"}
        out = io.StringIO()
        select = f"SELECT {', '.join(self.columns)} FROM {name} WHERE event_id = '{TEMPLATE}'"
        database.connection().cursor().copy_expert(f"COPY ({select}) TO STDOUT", out)
        self._lines = [line.split("\t") for line in out.getvalue().splitlines()]

    def copy(self, events: Sequence[tuple[str, datetime]]) -> None:
        out = io.StringIO()
        for event_id, at in events:
            written = at.isoformat()
            for line in self._lines:
                values = (
                    event_id
                    if column == "event_id"
                    else (written if column in self._moving and value != "\\N" else value)
                    for column, value in zip(self.columns, line, strict=True)
                )
                out.write("\t".join(values) + "\n")
        out.seek(0)
        cursor = database.connection().cursor()
        cursor.copy_expert(f"COPY {self.name} ({', '.join(self.columns)}) FROM STDIN", out)
        database.connection().commit()
