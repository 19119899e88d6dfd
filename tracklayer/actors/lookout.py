"""A worker looks into the database itself, every second, while messages do not go or work lies about that none told of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import dramatiq
from dramatiq import Message

from tracklayer.actors.jobs import Jobs
from tracklayer.actors.redis_broker import PatientBroker
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.schedule import is_late, jobs_by_name, take_due_jobs
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.sweep import some_with_work

LOOK_SECONDS = 1.0
DESTINATIONS = 200  # of one look; it starts anywhere, so that several workers find different ones


class Lookout:
    """``job(name)`` and ``delivery(merchant_id, platform)`` make the messages that nobody sent."""

    def __init__(
        self,
        runtime: Runtime,
        broker: dramatiq.Broker,
        jobs: Jobs,
        intervals: Mapping[str, timedelta],
        job: Callable[[str], Message[Any]],
        delivery: Callable[[int, str], Message[Any]],
    ) -> None:
        self._runtime, self._jobs, self._intervals = runtime, jobs, intervals
        self._broker = broker if isinstance(broker, PatientBroker) else None  # in this process, messages always go
        self._job, self._delivery = job, delivery
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._every_second, args=(what,), name="lookout", daemon=True)
            for what in (self._work, self._try)  # apart: a Redis that hangs must not hold up the looks
        ]

    def start(self) -> None:
        if self._broker is not None:
            self._broker.serve_worker()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=3)

    def _every_second(self, what: Callable[[], None]) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                what()
            except DatabaseAwayError:
                pass  # whoever works tells so
            except Exception as error:  # noqa: BLE001 - told; in a second it is tried again
                tell_fault(self._runtime, "looking for work", error)

    def _try(self) -> None:
        if self._broker is not None:
            self._broker.try_again()

    def _work(self) -> None:
        self._jobs.keep()
        if self._broker is not None:
            self._look(self._broker, self._broker.link.trouble is None)

    def _look(self, broker: PatientBroker, messages_go: bool) -> None:
        now = self._runtime.clock.now()
        with in_transaction():
            known = jobs_by_name(now)
        if messages_go and not any(is_late(known.get(name), every, now) for name, every in self._intervals.items()):
            return
        with in_transaction():
            fired = take_due_jobs(self._intervals, now)
        wanted = {name for name, job in known.items() if job.wanted and not job.busy and name in self._intervals}
        for name in sorted({*fired, *wanted}):
            broker.hand_over(self._job(name))
        for merchant_id, platform in some_with_work(self._runtime, DESTINATIONS):
            broker.hand_over(self._delivery(merchant_id, platform))
