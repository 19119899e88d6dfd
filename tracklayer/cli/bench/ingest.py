"""``tracklayer bench ingest``: events a second through the API, against the same insert without all that we do."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import psutil
from strawberry.utils.str_converters import to_camel_case

from tracklayer.cli.bench import counters
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
from tracklayer.cli.bench.load import ID_MARK, TAIL_MARK
from tracklayer.cli.process import CommandError, print_json
from tracklayer.db.connection import rows, session
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.merchants import create_merchant
from tracklayer.services.persist import to_record

ROUNDS = 3
SECONDS = 2.0
CONCURRENCIES = (1, 16, 64, 256)
BATCHES = (100, 500)
BATCH_CONCURRENCY = 4  # callers that send batches are few
MOST_EVENTS = 2_000_000  # of one measurement
MILLION = 1_000_000
LIMIT_MIB = 200
SAMPLE_ID = "sample_0000002345678"  # as long as ID_MARK; the phone number that ends like it is one
WORDS = {
    "json": "(a) bare route, JSON only",
    "insert": "(b) bare route, same insert",
    "spared": "(b') the same, collector spared",
    "stock": "(c) stock Strawberry",
    "product": "(d) TrackLayer",
}

INGEST = """mutation($input: IngestEventInput!) { ingestEvent(input: $input) {
 outcome event { eventId timesReceived } userErrors { field code message } } }"""
INGEST_MANY = """mutation($inputs: [IngestEventInput!]!) { ingestEvents(inputs: $inputs) {
 accepted coalesced rejected results { outcome event { eventId timesReceived } userErrors { field code message } } } }"""
INGEST_STOCK = "mutation($input: IngestEventInput!) { ingestEvent(input: $input) { outcome eventId } }"


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("ingest", help="events a second and latency of the API, against the same insert bare")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of all measurements in turn (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--million", action="store_true", help="then a million events more, memory sampled on the way")
    parser.add_argument("--profile", metavar="FILE", help="write where the API process spends its time")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return interruptible(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    with ground() as place:
        bench = Bench(place, args.profile)
        found: dict[str, Any] = {"machine": machine()}
        bench.measure_all(max(1, args.rounds), 0.45 if args.quick else min(60.0, max(0.1, args.seconds)))
        if args.million:
            found["million"] = bench.million()
        found["measurements"] = bench.summary()
        found["memory_mib"] = bench.memory()
        goals = bench.goals()
        found["of_spared"] = bench.of_spared()
        bench.check_rows()
        found["counters"] = counters.measure(place, 0.5 if args.quick else 2.0)
        found["goals"] = [goal.as_json() for goal in goals]
        if args.json:
            print_json(found)
            return 0
        print(describe(found["machine"]))
        print("wake-ups are gathered and thrown away: no worker shares the machine\n")
        lines = [
            [
                WORDS[m["server"]],
                m["batch"],
                m["concurrency"],
                f"{m['events_per_second']:,.0f}",
                m["p50_ms"],
                m["p99_ms"],
            ]
            for m in found["measurements"]
        ]
        print(table(["", "events a call", "callers", "events/s", "p50 ms", "p99 ms"], lines))
        print("\n" + goals_table(goals))
        print("of (b'), which no collector interrupts, as it interrupts no API process of ours: ", end="")
        print(f"{found['of_spared']:.3f} of the events/s with 64 callers")
        if args.million:
            print(f"\nmemory of the API process over a million events, MiB: {found['million']}")
        print("\n" + counters.describe(found["counters"]))
    return 0


@dataclass
class Server:
    child: Child
    port: int
    merchant_id: int
    key: str
    acknowledged: int = 0


@dataclass(frozen=True)
class Shape:
    """One kind of measurement."""

    server: str
    batch: int
    concurrency: int


@dataclass
class Bench:
    place: Ground
    profile: str | None
    found: dict[Shape, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._load = self.place.child("load")
        self._servers = {role: self._start(role) for role in WORDS}
        self._serial = 0

    def _start(self, role: str) -> Server:
        created = create_merchant(self.place.runtime, role)
        assert isinstance(created, tuple)
        sandbox_destinations(self.place.runtime, created[0], tuple(PLATFORMS)[:2])
        child = self.place.child("rivals")
        profile = self.profile if role == "product" else None
        port = child.ask({"role": role, "url": self.place.url, "merchant_id": created[0], "profile": profile})
        return Server(child, port, *created)

    def measure_all(self, rounds: int, seconds: float) -> None:
        for server in WORDS:
            self.measure(Shape(server, 1, 16), min(seconds, 0.5))  # a warm-up: connections, plans, caches
        self.found.clear()
        for _ in range(rounds):
            for concurrency in CONCURRENCIES:
                for server in WORDS:
                    self.measure(Shape(server, 1, concurrency), seconds)
            for batch in BATCHES:
                for server in ("insert", "product"):
                    self.measure(Shape(server, batch, BATCH_CONCURRENCY), seconds)

    def measure(self, shape: Shape, seconds: float, most: int = MOST_EVENTS) -> None:
        server = self._servers[shape.server]
        self._serial += 1
        job = {
            **self._request(shape, server),
            "port": server.port,
            "batch": shape.batch,
            "concurrency": shape.concurrency,
            "seconds": seconds,
            "most": most,
            "prefix": f"b{self._serial:06d}_",
        }
        found = self._load.ask(job)
        if found["errors"]:
            raise CommandError(f"{WORDS[shape.server]}: {found['errors']} wrong answers; {found['first_error']}")
        server.acknowledged += found["events"]
        self.found.setdefault(shape, []).append(found)

    def _request(self, shape: Shape, server: Server) -> dict[str, str]:
        runtime = self.place.runtime
        event = purchase(write_instant(runtime.clock.now() - timedelta(seconds=30)))
        head = "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        expected = '"outcome":"ACCEPTED"'
        if shape.server in ("json", "insert", "spared"):
            record = record_of(runtime, event, server.merchant_id)
            return {"head": head.format("/"), "body": '{"records":[{items}]}', "item": record, "expected": expected}
        item = orjson.dumps(camel(event)).decode()
        if shape.server == "stock":
            return {
                "head": head.format("/"),
                "body": _body(INGEST_STOCK, "input"),
                "item": item,
                "expected": '"ACCEPTED"',
            }
        head = head.format("/graphql") + f"authorization: Bearer {server.key}\r\n"
        body = _body(INGEST, "input") if shape.batch == 1 else _body(INGEST_MANY, "inputs", many=True)
        return {"head": head, "body": body, "item": item, "expected": expected}

    def million(self) -> list[float]:
        """Resident MiB of the API process, at ten places on the way."""
        memory = []
        for _ in range(10):
            self.measure(Shape("product", 500, 2), 3600, MILLION // 10)
            memory.append(self._resident())
        return memory

    def _resident(self) -> float:
        return float(round(psutil.Process(self._servers["product"].child.pid).memory_info().rss / 2**20, 1))

    def memory(self) -> float:
        """The most that the API process ever held, where the system tells; else what it holds now. In MiB."""
        try:
            with open(f"/proc/{self._servers['product'].child.pid}/status") as file:  # noqa: PTH123
                peak = next(line for line in file if line.startswith("VmHWM"))
            return round(int(peak.split()[1]) / 1024, 1)
        except (OSError, StopIteration):
            return self._resident()

    def summary(self) -> list[dict[str, Any]]:
        return [
            {
                **vars(shape),
                "events_per_second": self._rate(shape),
                "p50_ms": self._median(shape, "p50_ms"),
                "p99_ms": self._median(shape, "p99_ms"),
                "errors": 0,
            }
            for shape in self.found
        ]

    def _rate(self, shape: Shape) -> float:
        return statistics.median(float(found["events"] / found["seconds"]) for found in self.found[shape])

    def _median(self, shape: Shape, name: str) -> float:
        return statistics.median(float(found[name]) for found in self.found[shape])

    def goals(self) -> list[Goal]:
        def shape(server: str, concurrency: int = 64, batch: int = 1) -> Shape:
            return Shape(server, batch, concurrency)

        ours, bare, stock = shape("product"), shape("insert"), shape("stock")
        batches = [Shape(server, BATCHES[0], BATCH_CONCURRENCY) for server in ("product", "insert")]
        alone = [self._median(shape(server, 1), "p50_ms") for server in ("product", "insert")]
        return [
            Goal("ingestEvent, 64 callers: events/s of (b)", self._rate(ours) / self._rate(bare), 0.75),
            Goal("ingestEvent, 64 callers: events/s of (c)", self._rate(ours) / self._rate(stock), 25),
            Goal(
                "ingestEvent, 64 callers: p99 of (b)",
                self._median(ours, "p99_ms") / self._median(bare, "p99_ms"),
                2.5,
                True,
            ),
            Goal("ingestEvents(100): events/s of (b)", self._rate(batches[0]) / self._rate(batches[1]), 0.7),
            Goal("ingestEvent, 1 caller: p50 of (b)", alone[0] / alone[1], 1.5, True),
            Goal("peak memory of the API process, MiB", self.memory(), LIMIT_MIB, True),
        ]

    def of_spared(self) -> float:
        """Our events/s with 64 callers as a share of the bare route's that is spared Python's collector as we are."""
        return self._rate(Shape("product", 1, 64)) / self._rate(Shape("spared", 1, 64))

    def check_rows(self) -> None:
        """Raises CommandError where the database holds another number than was acknowledged."""
        with session():
            events = dict(rows("SELECT merchant_id, count(*) FROM events GROUP BY 1"))
            deliveries = dict(rows("SELECT merchant_id, count(*) FROM deliveries GROUP BY 1"))
        for role, server in self._servers.items():
            wanted = 0 if role == "json" else server.acknowledged
            stored = (events.get(server.merchant_id, 0), deliveries.get(server.merchant_id, 0))
            if stored != (wanted, 2 * wanted):
                raise CommandError(
                    f"{WORDS[role]}: {wanted} events were acknowledged, (events, deliveries) are {stored}"
                )


def _body(query: str, name: str, *, many: bool = False) -> str:
    """A GraphQL request; braces are doubled nowhere: ``{items}`` is cut out, not formatted."""
    items = "[{items}]" if many else "{items}"
    return f'{{"query":{orjson.dumps(query).decode()},"variables":{{"{name}":{items}}}}}'


def camel(value: Any) -> Any:
    """A draft in the spelling of GraphQL."""
    if not isinstance(value, dict):
        return value
    return {to_camel_case(key): camel(inner) for key, inner in value.items()}


def record_of(runtime: Runtime, event: dict[str, Any], merchant_id: int) -> str:
    """The event as ``store_events`` takes it: read, hashed and sealed beforehand, its marks read as an id."""
    now = runtime.clock.now()
    written = orjson.dumps(event).decode().replace(ID_MARK, SAMPLE_ID).replace(TAIL_MARK, SAMPLE_ID[-len(TAIL_MARK) :])
    read = read_event(orjson.loads(written), now)
    assert isinstance(read, ReadEvent)
    record = orjson.dumps(to_record(read.event, merchant_id, now, runtime.sealer, True, frozenset())).decode()
    return record.replace(SAMPLE_ID, ID_MARK)


def purchase(occurred_at: str, event_id: str = ID_MARK) -> dict[str, Any]:
    """A shop's purchase, plain: 25 fields, about 1 KB as a request. Address, number and order are each event's own."""
    return {
        "event_name": "Purchase",
        "event_id": event_id,
        "occurred_at": occurred_at,
        "event_source_url": "https://shop.example.com/checkout/thank-you?step=4",
        "user_data": {
            "email": f"jane.{event_id}@example.com",
            "phone": f"+1 415 {event_id[-len(TAIL_MARK) :]}",
            "first_name": "Jane",
            "last_name": "Doe",
            "city": "San Francisco",
            "state": "CA",
            "zip": "94107",
            "country": "US",
            "external_id": f"customer-{event_id}",
            "client_ip": "203.0.113.42",
            "client_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
            "fbp": "fb.1.1713877200123.1234567890",
            "fbc": "fb.1.1713877200123.AQzXy1abcDEFghiJKlMNopQR",
            "ga_client_id": "1234567890.1713877200",
        },
        "custom_data": {
            "value": 129.99,
            "currency": "USD",
            "order_id": f"order_{event_id}",
            "product_ids": ["sku_123", "sku_456"],
            "num_items": 2,
            "content_name": "Checkout",
            "content_type": "product",
        },
    }
