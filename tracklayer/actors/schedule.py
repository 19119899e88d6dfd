"""What fires by itself, and the loop that fires it: leaderless, by a table of due jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from tracklayer.db.connection import DatabaseAwayError, answers_within, in_transaction
from tracklayer.db.schedule import take_due_jobs
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.settings import Settings

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
ANSWER_SECONDS = 6.0  # a second more than it waits for a lock: then the host is gone, and another session is had


def periodic(settings: Settings) -> Mapping[str, timedelta]:
    """How often each job runs."""
    return {
        "sweep": timedelta(seconds=1),
        "purge": timedelta(minutes=1),
        "notify": timedelta(seconds=3),
        "post": timedelta(seconds=2),
        "redeliver": timedelta(seconds=1),
        "erase": timedelta(seconds=1),
        "monitor": settings.monitor_interval,
        "learn": timedelta(minutes=1),
        "fold": timedelta(minutes=1),
    }


def run_schedule(runtime: Runtime, fire: Callable[[str], object], stop: threading.Event) -> None:
    """Calls ``fire(name)`` whenever a job is due, until ``stop``. Any number may run: each firing is taken by one."""
    intervals = periodic(runtime.settings)
    away = False
    while not stop.wait(TICK_SECONDS):
        try:
            with in_transaction(), answers_within(ANSWER_SECONDS):
                names = take_due_jobs(intervals, runtime.clock.now())
        except DatabaseAwayError:
            if not away:
                log.warning("the database is away: nothing is scheduled until it is back")
            away = True
            continue
        except Exception as error:  # noqa: BLE001 - told; at the next tick it is tried again
            tell_fault(runtime, "looking for what is due", error)
            continue
        if away:
            log.warning("the database is back")
        away = False
        for name in names:
            try:
                fire(name)
            except Exception as error:  # noqa: BLE001 - the broker's client raises what it likes; the job is due again
                log.warning("the broker does not take %r (%s)", name, type(error).__name__)
