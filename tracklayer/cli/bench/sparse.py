"""The everyday traffic of many merchants: events that arrive one by one, each at some merchant, for all its destinations.

A worker process of its own is counted while it delivers them; events are stored and wake-ups sent as an API process does it.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis

from tracklayer.actors.broker import build_broker
from tracklayer.actors.crew import assemble
from tracklayer.actors.waker import Waker
from tracklayer.cli.bench.ground import Child, Ground
from tracklayer.cli.bench.ingest import purchase
from tracklayer.cli.bench.roles import Crowd, Installation, installation, wait_for
from tracklayer.cli.process import CommandError
from tracklayer.clock import elapsed
from tracklayer.db.connection import in_transaction, rows, session
from tracklayer.db.lateness import begin_storing
from tracklayer.db.merchants import KeyHolder, merchant_holder
from tracklayer.db.storing import run_statement
from tracklayer.domain.delivery import Acknowledged, PlatformReply
from tracklayer.domain.values import write_instant
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.ingest import LATE_SECONDS, judge, store
from tracklayer.services.merchants import create_merchant
from tracklayer.services.platform_requests import read_verdict

DONE_SECONDS = 120
COUNTED = ("messages", "redis_commands", "transactions", "statements", "cpu_ms")  # Redis': of all that there is
ANSWER = {"events_received": 1, "code": 0, "message": "OK"}  # of the sink


def platforms() -> list[str]:
    """Those that the sink speaks for."""
    reply = PlatformReply(200, ANSWER, {}, "")
    return [name for name in PLATFORMS if read_verdict(mapper_for(name), reply, 1) == [Acknowledged(200)]]


@dataclass
class Town:
    """Merchants with a destination each on every platform of the sink, and one worker that delivers for them."""

    place: Ground
    holders: Sequence[KeyHolder]
    installed: Installation
    worker: Child
    wake: Waker
    serial: int = 0

    def send(self, count: int) -> int:
        """The next events, one a merchant in turn, in one transaction; how many deliveries that makes."""
        calls = []
        for _ in range(count):
            self.serial += 1
            event = purchase(write_instant(self.place.runtime.clock.now()), f"town_{self.serial:015d}")
            holder = replace(self.holders[self.serial % len(self.holders)], asked_at=elapsed())
            calls.append(judge(self.place.runtime, holder, [event]))
        with in_transaction():
            steps = store(calls, self.place.runtime.settings.retry_window, begin_storing(LATE_SECONDS))
            try:
                step = next(steps)
                while True:
                    step = steps.send(run_statement(*step))
            except StopIteration as ended:
                queued = ended.value
        self.wake(queued)
        return len(queued)

    def burst(self) -> float:
        """Deliveries a second, where each destination has one event, all at once."""
        since = self.place.runtime.clock.now()
        count = self.send(len(self.holders))
        self.wait_until_done()
        with session():
            sql = "SELECT extract(epoch FROM max(delivered_at) - %s) FROM deliveries WHERE received_at >= %s"
            return count / float(rows(sql, (since, since))[0][0])

    def stream(self, rate: float, seconds: float) -> dict[str, float]:
        """At so many events a second: {p50_ms, p95_ms} from arrival to acknowledgement, what the worker did a delivery, as in
        ``COUNTED``, and ``threads`` that it has.
        """
        since, before = self.place.runtime.clock.now(), self.counts()
        start, sent, made = time.monotonic(), 0, 0
        while sent < rate * seconds:
            due = int((time.monotonic() - start) * rate) + 1 - sent
            if due > 0:
                made += self.send(due)
                sent += due
            time.sleep(max(0.0, start + sent / rate - time.monotonic()))
        self.wait_until_done()
        after = self.counts()
        with session():
            waits = [row[0] for row in rows("SELECT latency_ms FROM deliveries WHERE received_at >= %s", (since,))]
        cuts = statistics.quantiles(waits, n=100)
        return {
            "p50_ms": cuts[49],
            "p95_ms": cuts[94],
            **{name: (after[name] - before[name]) / made for name in COUNTED},
        }

    def counts(self) -> dict[str, float]:
        found: dict[str, float] = dict.fromkeys(COUNTED, 0.0) | self.worker.ask({})
        with contextlib.closing(redis.Redis.from_url(self.installed.redis.url)) as client:
            commands: Any = client.info("stats")
        return {**found, "cpu_ms": found["cpu_seconds"] * 1000, "redis_commands": commands["total_commands_processed"]}

    def wait_until_done(self) -> None:
        def is_over() -> bool:
            with session():
                return not rows("SELECT 1 FROM deliveries WHERE due_at IS NOT NULL LIMIT 1")

        wait_for(is_over, "every delivery to be made", DONE_SECONDS)


@contextlib.contextmanager
def town(place: Ground, platforms_url: str, merchants: int) -> Iterator[Town]:
    """So many merchants, the broker, a scheduler and the worker; all but the merchants is gone when the block ends."""
    holders = []
    for _ in range(merchants):
        created = create_merchant(place.runtime, "Town")
        if isinstance(created, list):
            raise CommandError("no merchant could be made")
        sandbox_destinations(place.runtime, created[0], platforms())
        with in_transaction():
            holder = merchant_holder(created[0])
        assert holder is not None
        holders.append(holder)
    with installation(place, Crowd(0, 0, 1), platforms_url) as installed:
        worker = place.child("counted")
        worker.ask({"url": place.url, "redis_url": installed.redis.url, "platforms_url": platforms_url})
        wake = assemble(place.runtime, build_broker(installed.redis.url)).wake
        try:
            yield Town(place, holders, installed, worker, wake)
        finally:
            worker.close()
            wake.stop()


def measure(
    place: Ground, platforms_url: str, merchants: int, bursts: int, seconds: float, rates: Sequence[float]
) -> tuple[float, dict[float, dict[str, float]]]:
    """(deliveries a second where each destination has one event, events a second -> what ``Town.stream`` tells)."""
    with town(place, platforms_url, merchants) as made:
        made.burst()  # until it has its connections
        burst = statistics.median(made.burst() for _ in range(bursts))
        return burst, {rate: made.stream(rate, seconds) for rate in rates}
