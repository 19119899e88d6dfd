"""A worker as an operator runs it, in a process of its own, that counts what it does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from tracklayer.actors.broker import build_broker
from tracklayer.actors.crew import QUEUE, assemble
from tracklayer.cli.bench.ground import SECRET, as_child
from tracklayer.db.connection import database
from tracklayer.runtime import build_runtime
from tracklayer.sealing import Sealer
from tracklayer.settings import load_settings


class _Counts(Middleware):
    """``found``: messages, statements and transactions since it was made."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, what: str) -> None:
        with self._lock:
            self.found[what] += 1

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        if message.queue_name == QUEUE:
            self.note("messages")

    def noting(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **options: Any) -> Any:
            self.note(what)
            return function(*args, **options)

        return noted


def _work(jobs: Iterator[Any], answer: Callable[[Any], None]) -> None:
    """The first job says where everything is; each one is answered with what was counted up to then."""
    counts = _Counts()
    for number, job in enumerate(jobs):
        if number == 0:
            runtime = build_runtime(
                load_settings({"TRACKLAYER_SANDBOX_URL": job["platforms_url"]}), job["url"], Sealer([SECRET])
            )
            broker = build_broker(job["redis_url"])
            broker.add_middleware(counts)
            for what, name in (("statements", "execute_sql"), ("transactions", "begin")):
                setattr(database, name, counts.noting(what, getattr(database, name)))
            assemble(runtime, broker).start_worker()
        answer({**counts.found, "cpu_seconds": time.process_time(), "threads": threading.active_count()})


if __name__ == "__main__":
    as_child(_work)
