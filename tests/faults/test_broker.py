"""A broker that is full, read-only, away or refuses its scripts changes nothing but speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest
import redis

from tests.factories import draft
from tests.faults.conftest import Installation
from tests.faults.test_processes import count, post
from tests.servers import (
    Process,
    allow_scripts,
    fill,
    make_read_only,
    make_room,
    make_writable,
    refuse_scripts,
    wait_until,
)

DELIVERED = "SELECT count(*) FROM deliveries WHERE status = 'delivered'"
CALM_LINES = 12  # that a process writes about a broker that went and came back, however long it was away


FAULTS: dict[str, tuple[Callable[[redis.Redis], None], Callable[[redis.Redis], None]]] = {
    "full": (fill, make_room),
    "read-only": (make_read_only, make_writable),
    "scripts refused": (refuse_scripts, allow_scripts),
}


def deliver_some(client: Any, now: Callable[[], str], name: str, total: int) -> None:
    post(client, *(draft(f"{name}_{n}", occurred_at=now()) for n in range(5)))
    wait_until(lambda: count(DELIVERED) == total, f"the events of {name} to be delivered")


def carries_messages(client: redis.Redis, worker: Process) -> Callable[[], bool]:
    """Whether messages are put in and taken out again: what is in it now is gone, and more has passed."""

    def scripts_run() -> int:
        return int(client.info("commandstats").get("cmdstat_rpush", {"calls": 0})["calls"])

    before = scripts_run()
    return lambda: scripts_run() > before and client.llen("tracklayer:housekeeping") == 0 and worker.is_running()


def is_empty(broker: redis.Redis) -> bool:
    """Whether no message waits, nor is in anybody's hands."""
    return not broker.hlen("tracklayer:deliver.msgs") and not broker.keys("tracklayer:__acks__.*.deliver")


@pytest.mark.parametrize("fault", FAULTS)
def test_events_are_delivered_while_the_broker_takes_nothing_and_messages_go_again_afterwards(
    fault: str, installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    worker, scheduler = installation.worker(), installation.scheduler()
    broker = redis.Redis.from_url(installation.redis.url)
    deliver_some(client, now, "before", 5)
    begin, end = FAULTS[fault]
    installation.fault(kind="slow", delay_seconds=3, count=1)
    post(client, draft("in hand", occurred_at=now()))
    wait_until(lambda: "in hand" in installation.accepted(), "a message to be in a worker's hand")
    begin(broker)
    wait_until(lambda: count(DELIVERED) == 6, "what is in hand to be settled")
    deliver_some(client, now, "meanwhile", 11)
    deliver_some(client, now, "still", 16)
    end(broker)
    wait_until(carries_messages(broker, worker), "messages to go again")
    wait_until(lambda: "messages go again" in worker.output(), "the worker to say so")
    deliver_some(client, now, "afterwards", 21)
    # The message whose acknowledgement Redis refused is not kept for ever.
    wait_until(lambda: is_empty(broker), "nothing to be left behind")
    for process in (worker, scheduler):
        told = [line for line in process.output().splitlines() if line]
        assert len(told) <= CALM_LINES, process.output()
        assert "Traceback" not in process.output()
    broker.close()


def test_events_are_delivered_while_the_broker_is_away(installation: Installation, now: Callable[[], str]) -> None:
    client = installation.client(installation.api())
    worker = installation.worker()
    installation.scheduler()
    deliver_some(client, now, "before", 5)
    installation.redis.stop()
    deliver_some(client, now, "meanwhile", 10)
    deliver_some(client, now, "still", 15)
    installation.redis.start()
    broker = redis.Redis.from_url(installation.redis.url)
    wait_until(carries_messages(broker, worker), "messages to go again")
    deliver_some(client, now, "afterwards", 20)
    broker.close()


def test_events_are_delivered_while_the_broker_hangs(installation: Installation, now: Callable[[], str]) -> None:
    client = installation.client(installation.api())
    worker = installation.worker()
    installation.scheduler()
    broker = redis.Redis.from_url(installation.redis.url)
    server = psutil.Process(broker.info("server")["process_id"])
    deliver_some(client, now, "before", 5)
    server.suspend()
    try:
        deliver_some(client, now, "meanwhile", 10)
        deliver_some(client, now, "still", 15)
    finally:
        server.resume()
    wait_until(carries_messages(broker, worker), "messages to go again")
    deliver_some(client, now, "afterwards", 20)
    broker.close()


def test_a_worker_that_finds_redis_full_of_messages_makes_room(
    installation: Installation, now: Callable[[], str]
) -> None:
    broker = redis.Redis.from_url(installation.redis.url)
    for n in range(2000):
        broker.hset("tracklayer:deliver.msgs", f"message_{n}", "x" * 1000)
        broker.rpush("tracklayer:deliver", f"message_{n}")
    broker.config_set("maxmemory-policy", "noeviction")
    broker.config_set("maxmemory", str(broker.info("memory")["used_memory"] - 1_000_000))
    worker = installation.worker()
    installation.scheduler()
    wait_until(lambda: not broker.exists("tracklayer:deliver.msgs"), "the messages that nobody needs to be gone")
    wait_until(carries_messages(broker, worker), "messages to go")
    broker.close()


def test_what_nobody_fires_is_found_by_workers(installation: Installation, now: Callable[[], str]) -> None:
    """No scheduler, and an API whose messages are lost: there is due work and no message arrives."""
    installation.environ["TRACKLAYER_REDIS_URL"], own = "redis://127.0.0.1:1/0", installation.redis.url
    client = installation.client(installation.api())
    installation.environ["TRACKLAYER_REDIS_URL"] = own
    installation.worker()
    deliver_some(client, now, "unannounced", 5)
