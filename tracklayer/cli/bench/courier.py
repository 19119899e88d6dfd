"""Two limits of the delivery engine, in a process of its own: its HTTP without a database, and its SQL without HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from tracklayer.actors.crew import GC_THRESHOLD
from tracklayer.cli.bench.ground import SECRET, as_child
from tracklayer.cli.bench.ingest import purchase
from tracklayer.db import connection, leases
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.delivery import PlatformReply, PlatformRequest, Reply
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.domain.values import write_instant
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped
from tracklayer.mappers.outgoing import map_event
from tracklayer.runtime import Runtime, build_runtime, spare_collector
from tracklayer.sealing import Sealer
from tracklayer.services import deliver
from tracklayer.services.destinations import example_settings
from tracklayer.services.platform_requests import read_verdict
from tracklayer.services.transport import send
from tracklayer.settings import load_settings


def _requests(runtime: Runtime, job: Any) -> None:
    """The worker's requests, of as many events each, from as many threads: mapped, sent, and their answers read."""
    mapper, now = mapper_for(job["platform"]), runtime.clock.now()
    when = write_instant(now - timedelta(seconds=30))
    events = []
    for number in range(mapper.batch_size):
        read = read_event(purchase(when, f"bench_{number:014d}"), now)
        assert isinstance(read, ReadEvent)
        events.append(read.event)
    settings = example_settings(mapper)
    count = job["events"] // mapper.batch_size // job["threads"]

    def work() -> None:
        for _ in range(count):
            found = [map_event(mapper, event, settings, now) for event in events]
            mapped = [one for one in found if isinstance(one, Mapped)]
            assert len(mapped) == len(events)
            request = mapper.build_request(mapped[0].group, [one.item for one in mapped], settings)
            reply = send(runtime.http(), job["platform"], request, job["platforms_url"], runtime.tokens)
            verdict = read_verdict(mapper, reply, mapper.batch_size)
            assert isinstance(verdict, list)
            assert len(verdict) == mapper.batch_size

    _in_threads([work] * job["threads"])


def _statements(runtime: Runtime, job: Any) -> None:
    """Everything that a worker does with the database and the events, with platforms that answer before they are asked."""
    setattr(deliver, "send", _taken)  # noqa: B010 - a limit is measured, not a product
    lock = WorkerLock(job["url"])

    def work(merchant_id: int) -> None:
        while deliver.deliver_due(runtime, lock.number(), merchant_id, job["platform"]):
            pass

    each = job["threads"] // len(job["merchants"])
    _in_threads([lambda merchant=merchant: work(merchant) for merchant in job["merchants"] for _ in range(each)])  # type: ignore[misc]


def _claims(runtime: Runtime, job: Any) -> list[float]:
    """As ``_statements``; how many ms each claim took."""
    claim_due, times = leases.claim_due, []

    def timed(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        found = claim_due(*args, **options)
        times.append((time.perf_counter() - started) * 1000)
        return found

    setattr(leases, "claim_due", timed)  # noqa: B010 - a limit is measured, not a product
    _statements(runtime, job)
    return times


def _taken(http: Any, platform: str, request: PlatformRequest, *_: Any) -> Reply:
    count = len(request.body["data"])
    return PlatformReply(200, {"events_received": count, "code": 0, "message": "OK"}, {}, "")


def _in_threads(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    spare_collector(GC_THRESHOLD)  # as a worker is
    for job in jobs:
        runtime = build_runtime(
            load_settings({"TRACKLAYER_SANDBOX_URL": job["platforms_url"]}), job["url"], Sealer([SECRET])
        )
        started = time.monotonic()
        told = {"requests": _requests, "statements": _statements, "claims": _claims}[job["what"]](runtime, job)
        answer(told or time.monotonic() - started)
        runtime.close()
        connection.disconnect()


if __name__ == "__main__":
    as_child(_work)
