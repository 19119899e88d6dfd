"""A worker looks into the database itself, every second, while messages do not go or work lies about that none told of."""

from __future__ import annotations

import logging
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
from tracklayer.services.deliver import some_with_work

log = logging.getLogger(__name__)

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
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        if self._broker is not None:
            self._broker.serve_worker()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                messages_go = self._broker is None or self._broker.try_again()
                self._jobs.keep()
                if self._broker is not None:
                    self._look(self._broker, messages_go)
            except DatabaseAwayError:
                pass  # whoever works tells so
            except Exception as error:
                if type(error).__name__ != self._failed:
                    log.exception("looking for work failed")
                self._failed = type(error).__name__
            else:
                self._failed = ""

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
