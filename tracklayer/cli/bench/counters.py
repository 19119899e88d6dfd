"""What the ledger's counters cost: the insert with and without them, and two processes that count at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import psycopg2

from tracklayer.cli.bench.ground import Ground, as_child, table
from tracklayer.db.storing import STORE_EVENTS
from tracklayer.mappers import PLATFORMS
from tracklayer.services.destinations import sandbox_destinations
from tracklayer.services.merchants import create_merchant

SIZES = (1, 8, 64, 512)
ROUNDS = 5
TOGETHER = 64  # events a statement, where two write at once

# The same statement without ``counted`` and ``queued``: what wakes nobody and counts nothing.
_HEAD, _, _REST = STORE_EVENTS.partition("), counted AS (")
WITHOUT = f"{_HEAD})\nSELECT merchant_id, event_id FROM stored"


def measure(place: Ground, seconds: float) -> dict[str, Any]:
    """Events a second by size of the statement, with and without counters; and of one process and of two at once."""
    created = create_merchant(place.runtime, "counters")
    assert isinstance(created, tuple)
    sandbox_destinations(place.runtime, created[0], tuple(PLATFORMS)[:2])
    writers = [place.child("counters") for _ in range(2)]
    job = {"url": place.url, "merchant_id": created[0], "seconds": seconds / ROUNDS, "size": TOGETHER, "counting": True}
    sizes = []
    for size in SIZES:
        rates: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(ROUNDS):
            for counting in (True, False):
                rates[counting].append(writers[0].ask({**job, "size": size, "counting": counting}))
        counted, plain = statistics.median(rates[True]), statistics.median(rates[False])
        sizes.append({"events": size, "counted": counted, "plain": plain, "ratio": counted / plain})
    alone: list[float] = []
    together: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS):
        alone.append(writers[0].ask(job))
        for counting in (True, False):
            for writer in writers:
                writer.tell({**job, "counting": counting})
            together[counting].append(sum(writer.hear() for writer in writers))
    return {
        "by_size": sizes,
        "one_process": statistics.median(alone),
        "two_processes": statistics.median(together[True]),
        "two_processes_plain": statistics.median(together[False]),
    }


def describe(found: dict[str, Any]) -> str:
    lines = [
        [str(m["events"]), f"{m['counted']:,.0f}", f"{m['plain']:,.0f}", f"{m['ratio']:.3f}"] for m in found["by_size"]
    ]
    ratio = found["two_processes"] / found["two_processes_plain"]
    return (
        "the ledger's counters, SQL alone on one connection\n"
        + table(["events a statement", "counted/s", "plain/s", "ratio"], lines)
        + f"\ntwo processes at once, same merchant: {found['two_processes']:,.0f} events/s counted, "
        f"{found['two_processes_plain']:,.0f} plain, ratio {ratio:.3f}; one alone {found['one_process']:,.0f}"
    )


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    """Answers each job with the events a second that it wrote."""
    connection: Any = None
    serial = 0
    for job in jobs:
        if connection is None:
            connection = psycopg2.connect(job["url"])
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET plan_cache_mode = force_generic_plan")
                for name, sql in (("counted", STORE_EVENTS), ("plain", WITHOUT)):
                    cursor.execute(f"PREPARE {name} (json, timestamptz, interval) AS {sql}")
                cursor.execute("SELECT pg_backend_pid()")
                process = cursor.fetchone()[0]
        name = "counted" if job["counting"] else "plain"
        started = time.perf_counter()
        events = 0
        with connection.cursor() as cursor:
            while time.perf_counter() - started < job["seconds"]:
                serial += 1
                records = _records(job["merchant_id"], f"c{process}_{serial}", job["size"])
                cursor.execute(f"EXECUTE {name} (%s, NULL, %s)", (records, timedelta(days=1)))
                events += job["size"]
        answer(events / (time.perf_counter() - started))


def _records(merchant_id: int, prefix: str, count: int) -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return orjson.dumps(
        [
            {
                "merchant_id": merchant_id,
                "event_id": f"{prefix}_{place}",
                "event_name": "Purchase",
                "occurred_at": now,
                "received_at": now,
                "times_received": 1,
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you",
                "user_data": {"email": "0" * 64, "phone": "1" * 64, "client_ip": "203.0.113.42"},
                "digests": None,
                "sealed": None,
                "custom_data": {"value": 129.99, "currency": "USD"},
                "consent": None,
            }
            for place in range(count)
        ]
    ).decode()


if __name__ == "__main__":
    as_child(_work)
