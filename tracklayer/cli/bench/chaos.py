"""``tracklayer bench chaos``: events flow while every role is killed again and again, and everything else breaks.

What breaks below them are Redis and PostgreSQL: emptied, stopped, full, read-only, crashed, frozen, locked. After each it is
measured how long every API takes until it acknowledges again, and the workers until they try a delivery again.

Afterwards it is counted: every event that was acknowledged is stored with a delivery a platform, every delivery has come
to its end, the emulator has each exactly once, and nothing that must never be is found. The seed fixes who is killed
and what breaks, in which order.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import psycopg2

from tracklayer.cli.bench.ground import ground
from tracklayer.cli.bench.ingest import INGEST_MANY, camel, purchase
from tracklayer.cli.bench.roles import Crowd, Installation, installation
from tracklayer.cli.process import CommandError, print_json
from tracklayer.db.connection import DatabaseAwayError, rows, session
from tracklayer.mappers import PLATFORMS
from tracklayer.schema.scalars import write_instant
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.invariants import check_invariants
from tracklayer.services.merchants import create_merchant

EVENTS, KILLS, WIDTH = 10_000, 50, 5
BATCH = 20  # events of one request
SENDERS = 4
KILL_EVERY_SECONDS = 1.2
AWAY_SECONDS = 5  # of Redis or PostgreSQL
FROZEN_SECONDS = 12
LOCKED_SECONDS = 4
RECOVERY_SECONDS = 90  # that everything may take to serve again after a trouble
TROUBLED_SECONDS = 60  # about so long everything below is broken, or on its way back
CANARY_SECONDS = 3  # that one request waits for its answer meanwhile
MOST_ARRIVALS = 5  # of one delivery
SETTLE_SECONDS = 600  # for all that waits after the last trouble: five attempts take a minute and a half
KILLED = ("api", "worker", "worker", "worker", "scheduler")  # as often as each stands here
# What the platforms do meanwhile. ``slow`` has taken what it does not answer yet, so that a worker killed during it dies
# between the platform's yes and the row.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "slow", "delay_seconds": 2, "seconds": 4},
    {"kind": "hang", "seconds": 3},
    {"kind": "rate_limit", "retry_after": 2, "count": 3},
    {"kind": "drop_after_accept", "share": 0.5, "seconds": 2},
    {"kind": "half_body", "share": 0.5, "seconds": 2},
    {"kind": "error", "share": 0.5, "seconds": 3},
    {"kind": "down", "seconds": 3},
    {"kind": "credentials", "count": 1},
)


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("chaos", help="kill roles and break things while events flow; then count")
    parser.add_argument("--events", type=int, default=EVENTS, help="%(default)s")
    parser.add_argument(
        "--platforms", type=int, default=WIDTH, choices=range(1, len(PLATFORMS) + 1), help="%(default)s"
    )
    parser.add_argument("--kills", type=int, default=KILLS, help="%(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed and broken, and when (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    found = storm(args.events, args.platforms, args.kills, args.seed)
    if args.json:
        print_json(vars(found))
    else:
        print(found.describe())
    return 0 if not found.faults else 1


@dataclass
class Found:
    """What a storm was, and what was found after it. ``faults``: sentences; empty: nothing is wrong."""

    seed: int
    events: int
    platforms: int
    kills: dict[str, int]
    troubles: dict[str, int]
    acknowledged: int
    repeated: int
    storm_seconds: float
    settle_seconds: float
    by_status: dict[str, int]
    drop_reasons: dict[str, int]
    most_attempts: int
    received: int
    unique: int
    most_arrivals: int
    recovery_seconds: dict[str, float]
    faults: list[str]

    def describe(self) -> str:
        def listed(counts: dict[str, int]) -> str:
            return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

        lines = [
            ["seed", str(self.seed)],
            ["events x platforms", f"{self.events:,} x {self.platforms}"],
            ["kill -9", listed(self.kills)],
            ["troubles", listed(self.troubles)],
            ["acknowledged", f"{self.acknowledged:,}, after {self.repeated:,} requests were sent again"],
            ["storm, then settling", f"{self.storm_seconds:.0f} s, {self.settle_seconds:.0f} s"],
            ["deliveries", listed(self.by_status) + (f" ({listed(self.drop_reasons)})" if self.drop_reasons else "")],
            ["most attempts of one", str(self.most_attempts)],
            [
                "at the platforms",
                f"{self.unique:,} events, which arrived {self.received:,} times, one at most {self.most_arrivals}",
            ],
            ["served again after", ", ".join(f"{name} {took:g} s" for name, took in self.recovery_seconds.items())],
        ]
        verdict = (
            "\n".join(self.faults) if self.faults else "Nothing is lost, nothing is there twice, nothing is stuck."
        )
        return "\n".join(f"{name:22}{value}" for name, value in lines) + f"\n\n{verdict}"


def storm(events: int, width: int, kills: int, seed: int, crowd: Crowd | None = None) -> Found:
    """Raises CommandError where something does not start or ended by itself."""
    with ground() as place, installation(place, crowd or Crowd(), wired=True) as installed:
        created = create_merchant(place.runtime, "Storm")
        if isinstance(created, list):
            raise CommandError("no merchant could be made")
        merchant_id, key = created
        platforms = PLATFORMS[:width]
        sandbox_destinations(place.runtime, merchant_id, platforms)
        senders = Senders(installed.apis, key, events, lambda: write_instant(place.runtime.clock.now()))
        canary = Canary(installed, key, senders)
        breaker = Breaker(installed, Random(seed), platforms, canary)
        started = time.monotonic()
        senders.start(kills * KILL_EVERY_SECONDS + TROUBLED_SECONDS)
        breaker.rage(kills)
        installed.clear_faults()
        senders.join()
        storm_seconds = time.monotonic() - started
        settle_seconds = _settle(installed, (events + canary.sent) * width)
        return _count(installed, merchant_id, platforms, senders, breaker, storm_seconds, settle_seconds, seed)


class Senders:
    """Threads that send all events, each request again until it is acknowledged, as a merchant's backend would."""

    def __init__(self, apis: Sequence[str], key: str, events: int, now: Callable[[], str]) -> None:
        self._apis, self._key, self._events, self._now = apis, key, events, now
        self._lock = threading.Lock()
        self._next = 0
        self._threads: list[threading.Thread] = []
        self.acknowledged: set[str] = set()
        self.repeated = 0
        self.error: str | None = None

    def start(self, seconds: float) -> None:
        """Over about so many seconds."""
        pause = seconds * BATCH * SENDERS / self._events
        for number in range(SENDERS):
            thread = threading.Thread(target=self._send_all, args=(number, pause), daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """Raises CommandError where a request got an answer that it must not get."""
        for thread in self._threads:
            thread.join()
        if self.error is not None:
            raise CommandError(self.error)

    def _send_all(self, number: int, pause: float) -> None:
        random = Random(number)
        headers = {"authorization": f"Bearer {self._key}"}
        with httpx.Client(headers=headers, timeout=30) as client:
            while self.error is None and (event_ids := self._take()):
                inputs = [camel(_event(event_id, self._now())) for event_id in event_ids]
                body = {"query": INGEST_MANY, "variables": {"inputs": inputs}}
                while self.error is None and not self._is_taken(client, random.choice(self._apis), body, event_ids):
                    with self._lock:
                        self.repeated += 1
                    time.sleep(0.1)
                time.sleep(pause * random.uniform(0.5, 1.5))

    def _take(self) -> list[str]:
        with self._lock:
            start, self._next = self._next, min(self._events, self._next + BATCH)
        return [f"storm_{n}" for n in range(start, self._next)]

    def _is_taken(self, client: httpx.Client, api: str, body: Any, event_ids: Sequence[str]) -> bool:
        try:
            answer = client.post(f"{api}/graphql", json=body)
        except httpx.TransportError:
            return False
        return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE and self.takes(answer, event_ids)

    def takes(self, answer: httpx.Response, event_ids: Sequence[str]) -> bool:
        """Whether an answer acknowledges these; one that must not come is kept as the storm's error."""
        outcomes = _outcomes(answer)
        if len(outcomes) != len(event_ids) or set(outcomes) - {"ACCEPTED", "COALESCED"}:
            self.error = f"a good request was answered with {answer.status_code}: {answer.text[:300]}"
            return False
        with self._lock:
            self.acknowledged.update(event_ids)
        return True


def _outcomes(answer: httpx.Response) -> list[str]:
    try:
        return [result["outcome"] for result in answer.json()["data"]["ingestEvents"]["results"]]
    except (ValueError, LookupError, TypeError):
        return []


def _event(event_id: str, now: str) -> dict[str, Any]:
    event = purchase(now, event_id)
    event["custom_data"]["order_id"] = event_id
    return event


class Canary:
    """One event after another, to see when everything serves again."""

    def __init__(self, installed: Installation, key: str, senders: Senders) -> None:
        self._installed, self._senders = installed, senders
        self._headers = {"authorization": f"Bearer {key}"}
        self.sent = 0

    def seconds_until_all_serve(self) -> float:
        """Until every API has acknowledged an event, and a worker has tried it. Raises CommandError where one never does."""
        started = time.monotonic()
        for api in self._installed.apis:
            self.sent += 1
            event_id = f"canary_{self.sent}"
            while not self._is_taken(api, event_id):
                self._check(started, "an API does not take events again")
                time.sleep(0.05)
            while not self._is_tried(event_id):
                self._check(started, "no worker tries deliveries again")
                time.sleep(0.05)
        return round(time.monotonic() - started, 1)

    def _is_taken(self, api: str, event_id: str) -> bool:
        body = {"query": INGEST_MANY, "variables": {"inputs": [camel(_event(event_id, write_instant(_now())))]}}
        try:
            answer = httpx.post(f"{api}/graphql", json=body, headers=self._headers, timeout=CANARY_SECONDS)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and self._senders.takes(answer, [event_id])

    def _is_tried(self, event_id: str) -> bool:
        with contextlib.suppress(DatabaseAwayError), session():
            sql = "SELECT count(*) FROM deliveries WHERE event_id = %s AND last_attempt_at IS NOT NULL"
            return bool(rows(sql, (event_id,))[0][0])
        return False

    def _check(self, started: float, what: str) -> None:
        if time.monotonic() - started > RECOVERY_SECONDS:
            raise CommandError(f"after {RECOVERY_SECONDS} s {what}")
        for role in self._installed.roles:
            role.check()


@dataclass
class Breaker:
    """Kills and breaks, by the numbers of its seed."""

    installed: Installation
    random: Random
    platforms: Sequence[str]
    canary: Canary
    kills: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    recovery: dict[str, float] = field(default_factory=dict)

    def rage(self, kills: int) -> None:
        """``kills`` times: something breaks on a platform, a role dies; and in between everything below breaks once."""
        below: dict[str, Callable[[], None]] = {
            "Redis emptied": self.installed.empty_redis,
            "Redis stopped": self._stop_redis,
            "Redis full": self._fill_redis,
            "Redis read-only": self._make_redis_read_only,
            "PostgreSQL crashed": self.installed.restart_postgres,
            "PostgreSQL frozen": self._freeze_postgres,
            "PostgreSQL read-only": self._make_postgres_read_only,
            "a table locked": self._lock_a_table,
        }
        due = {kills * (2 * place + 1) // (2 * len(below)): name for place, name in enumerate(below)}
        for number in range(kills):
            started = time.monotonic()
            if number in due:
                name = due[number]
                below[name]()
                self.troubles[name] += 1
                self.recovery[name] = self.canary.seconds_until_all_serve()
            fault = dict(FAULTS[number % len(FAULTS)], platform=self.random.choice(self.platforms))
            self.installed.fault(**fault)
            self.troubles[fault["kind"]] += 1
            # During ``slow`` a worker dies: what it has in hand has been taken, and not been answered.
            kind = "worker" if fault["kind"] == "slow" else self.random.choice(KILLED)
            time.sleep(self.random.uniform(0.2, KILL_EVERY_SECONDS))
            for role in self.installed.roles:
                role.check()
            self.random.choice([role for role in self.installed.roles if role.kind == kind]).kill_and_restart()
            self.kills[kind] += 1
            time.sleep(max(0.0, KILL_EVERY_SECONDS - (time.monotonic() - started)))

    def _stop_redis(self) -> None:
        self.installed.redis.stop()
        time.sleep(AWAY_SECONDS)
        self.installed.redis.start()

    def _fill_redis(self) -> None:
        self.installed.set_redis("maxmemory", "1mb")
        time.sleep(AWAY_SECONDS)
        self.installed.set_redis("maxmemory", "0")

    def _make_redis_read_only(self) -> None:
        self.installed.follow_nobody(True)
        time.sleep(AWAY_SECONDS)
        self.installed.follow_nobody(False)

    def _freeze_postgres(self) -> None:
        self.installed.freeze(True)
        time.sleep(FROZEN_SECONDS)
        self.installed.freeze(False)

    def _make_postgres_read_only(self) -> None:
        """As a fail-over looks to the roles: the sessions end, the new ones may not write, and then they may."""
        for value in ("on", "off"):
            with closing(_direct(self.installed)) as connection, connection.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE postgres SET default_transaction_read_only = {value}")
                if value == "on":
                    cursor.execute(_END_SESSIONS)
            if value == "on":
                time.sleep(AWAY_SECONDS)

    def _lock_a_table(self) -> None:
        with closing(_direct(self.installed)) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            time.sleep(LOCKED_SECONDS)
            cursor.execute("ROLLBACK")


def _direct(installed: Installation) -> Any:
    """A session beside the wire, in autocommit."""
    connection = psycopg2.connect(installed.place.url, application_name="chaos")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")  # whatever the database says of new sessions
    return connection


_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'tracklayer%'
"""


def _settle(installed: Installation, deliveries: int) -> float:
    """Waits until every delivery has come to its end, for so long at most; how long that took.

    Raises CommandError where a role ended by itself.
    """
    started = time.monotonic()
    while time.monotonic() - started < SETTLE_SECONDS:
        for role in installed.roles:
            role.check()
        with contextlib.suppress(DatabaseAwayError), session():
            sql = "SELECT count(*), count(*) FILTER (WHERE status IN ('delivered', 'dropped')) FROM deliveries"
            total, ended = rows(sql)[0]
            if total >= deliveries and ended == total:
                break
        time.sleep(0.2)
    return time.monotonic() - started


def _count(
    installed: Installation,
    merchant_id: int,
    platforms: Sequence[str],
    senders: Senders,
    breaker: Breaker,
    storm_seconds: float,
    settle_seconds: float,
    seed: int,
) -> Found:
    with session():
        stored = {row[0] for row in rows("SELECT event_id FROM events WHERE merchant_id = %s", (merchant_id,))}
        by_status = dict(rows("SELECT status, count(*) FROM deliveries GROUP BY 1"))
        by_platform = dict(rows("SELECT platform, count(*) FROM deliveries GROUP BY 1"))
        delivered = dict(rows("SELECT platform, count(*) FROM deliveries WHERE status = 'delivered' GROUP BY 1"))
        dropped = dict(rows("SELECT drop_reason, count(*) FROM deliveries WHERE status = 'dropped' GROUP BY 1"))
        most_attempts = rows("SELECT max(attempts) FROM deliveries")[0][0]
    most_arrivals = max(
        (item["times"] for name in platforms for item in _accepted_by(installed, name) if item["event_id"]), default=0
    )
    accepted = {name: installed.platforms(f"/_accepted?platform={name}&limit=1") for name in platforms}
    faults = [f"{len(senders.acknowledged - stored)} acknowledged events are lost."] * bool(
        senders.acknowledged - stored
    )
    ended = by_status.get("delivered", 0) + by_status.get("dropped", 0)
    if ended != sum(by_status.values()):
        faults.append(f"{sum(by_status.values()) - ended} deliveries have not come to their end.")
    for name in platforms:
        found, here = by_platform.get(name, 0), accepted[name]["unique"]
        if found != len(stored):
            faults.append(f"{name}: {len(stored)} events have {found} deliveries.")
        # What was dropped after an answer that was lost may be there; everything else is there exactly once.
        if not delivered.get(name, 0) <= here <= delivered.get(name, 0) + sum(dropped.values()):
            faults.append(f"{name}: {delivered.get(name, 0)} are delivered, and the platform has {here}.")
    if most_arrivals > MOST_ARRIVALS:
        faults.append(f"One delivery arrived {most_arrivals} times.")
    faults += [violation.message for violation in check_invariants(_now())]
    return Found(
        seed,
        len(stored),
        len(platforms),
        dict(breaker.kills),
        dict(breaker.troubles),
        len(senders.acknowledged),
        senders.repeated,
        round(storm_seconds, 1),
        round(settle_seconds, 1),
        by_status,
        dropped,
        most_attempts,
        sum(found["received"] for found in accepted.values()),
        sum(found["unique"] for found in accepted.values()),
        most_arrivals,
        breaker.recovery,
        faults,
    )


def _accepted_by(installed: Installation, platform: str) -> Iterator[dict[str, Any]]:
    """What a platform has accepted, page by page."""
    since = 0
    while items := installed.platforms(f"/_accepted?platform={platform}&limit=5000&since={since}")["items"]:
        yield from items
        since = items[-1]["seq"]


def _now() -> Any:
    with session():
        return rows("SELECT now()")[0][0]
