"""Periodic jobs run one at a time over all processes, each on a lease that its worker keeps up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tracklayer import metrics
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.schedule import begin_job, end_job, renew_job, want_job
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime

log = logging.getLogger(__name__)

RENEW_SECONDS = 15
LONGEST_SECONDS = 120  # of a run that is renewed: all are bounded, so what takes longer hangs, and others begin anew


@dataclass
class _Run:
    number: int
    began: float
    renewed: float
    ended: bool = False


class Jobs:
    """The runs of this process. Any thread may call any of it."""

    def __init__(self, runtime: Runtime, worker: WorkerLock) -> None:
        self._runtime, self._worker = runtime, worker
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}

    def run(self, name: str, body: Callable[[], object], join: Callable[[], object] | None = None) -> bool:
        """Runs a job that was fired, unless it runs somewhere; whether it was fired again meanwhile.

        A message that comes late, twice, or for a firing that others have taken up costs this one look; and ``join``, of a
        job that several take part in.
        Raises DatabaseAwayError, and what ``body`` raises.
        """
        now = self._runtime.clock.now()
        worker = self._worker.number()
        with in_transaction():
            number = begin_job(name, worker, now)
        if number is None:
            if join is not None:
                join()
            return False
        began = time.monotonic()
        run = _Run(number, began, began)
        with self._lock:
            self._runs[name] = run
        try:
            with metrics.job(name):
                body()
        finally:
            run.ended = True
            again = self._let_go(name, run)
        return again

    def want(self, name: str) -> None:
        """The job runs once more, as if it had been fired now."""
        with in_transaction():
            want_job(name, self._runtime.clock.now())

    def keep(self) -> None:
        """Renews the leases of what runs, and lets go of what could not be let go of when it ended.

        Raises DatabaseAwayError.
        """
        with self._lock:
            runs = list(self._runs.items())
        for name, run in runs:
            if run.ended:
                self._let_go(name, run)
                continue
            now = time.monotonic()
            if now - run.renewed > RENEW_SECONDS and now - run.began < LONGEST_SECONDS:
                with in_transaction():
                    renew_job(name, run.number, self._runtime.clock.now())
                run.renewed = now

    def _let_go(self, name: str, run: _Run) -> bool:
        try:
            with in_transaction():
                again = end_job(name, run.number)
        except DatabaseAwayError:
            return False  # ``keep`` does it when the database is back
        with self._lock:
            if self._runs.get(name) is run:
                del self._runs[name]
        return again
