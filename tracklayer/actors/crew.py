"""Binds the actors to a broker and a runtime, and runs a worker: what a process that delivers is made of."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dramatiq

from tracklayer.actors.deliver import deliver, deliver_alone
from tracklayer.actors.erase import erase
from tracklayer.actors.jobs import Jobs
from tracklayer.actors.lanes import Lanes
from tracklayer.actors.lookout import Lookout
from tracklayer.actors.monitor import Monitor
from tracklayer.actors.notify import Notify
from tracklayer.actors.post import Post
from tracklayer.actors.purge import purge
from tracklayer.actors.redeliver import redeliver
from tracklayer.actors.schedule import periodic
from tracklayer.actors.sweep import sweep
from tracklayer.actors.together import Together
from tracklayer.actors.waker import Waker
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.db.workers import WorkerLock
from tracklayer.kept import Kept
from tracklayer.runtime import Runtime, spare_collector
from tracklayer.services.alone import tell_fault
from tracklayer.services.deliver import count_from_zero
from tracklayer.services.fold import fold_counters
from tracklayer.services.monitor import learn_baselines
from tracklayer.services.outage import to_wake

log = logging.getLogger(__name__)

WORKER_THREADS = 16  # platforms answer in a fraction of a second, so threads mostly wait
KEPT_SECONDS = 1.0  # that answers whose rows are locked get, when the worker ends
IDLE_POLL_MS = 50  # how often an idle worker looks into Redis: wakes within 20 ms at 4 % of a core
SWITCH_SECONDS = 0.001  # of the interpreter, between threads that compute: a fresh event waits for many such turns
# Batches in hand are hundreds of thousands of objects without a cycle among them: the collector must not walk them.
GC_THRESHOLD = 200_000
QUEUE = "deliver"
HOUSEKEEPING = "housekeeping"  # a queue of its own: a sweep never waits behind deliveries


@dataclass
class Crew:
    """``wake``: asks for deliveries; ``fire``: starts a periodic job by name."""

    broker: dramatiq.Broker
    wake: Waker
    worker_lock: WorkerLock
    threads: int
    _jobs: dict[str, Any]
    _lookout: Lookout
    _kept: Kept
    _post: Post
    _together: Together

    def fire(self, name: str) -> None:
        self._jobs[name].send()

    def start_worker(self) -> dramatiq.Worker:
        sys.setswitchinterval(SWITCH_SECONDS)
        spare_collector(GC_THRESHOLD)
        count_from_zero()
        worker = dramatiq.Worker(self.broker, worker_timeout=IDLE_POLL_MS, worker_threads=self.threads)
        worker.start()
        self._lookout.start()
        return worker

    def finish(self, seconds: float) -> int:
        """Begins no more requests to platforms, and gives so long to those on their way; how many are not back by then."""
        return self._together.close(seconds)

    def stop(self) -> None:
        """Sends what is gathered, writes what is kept and lets go of the worker's number."""
        self._kept.close(KEPT_SECONDS)
        self._post.stop()
        self._lookout.stop()
        self.wake.stop()
        self.worker_lock.release()
        self.broker.close()


def assemble(runtime: Runtime, broker: dramatiq.Broker, threads: int = WORKER_THREADS) -> Crew:
    """The actors of this process. Whoever only sends, the API and the scheduler, uses ``wake`` and ``fire`` alone.

    ``threads``: that a worker of this process has, for its lanes.
    """
    lock = WorkerLock(runtime.database_url)
    lanes = Lanes(threads)

    def actor(name: str, queue: str, body: Callable[..., object]) -> Any:
        def run(*args: Any) -> None:
            if not runtime.clock.is_sure:
                return  # by a wrong clock it could take what others have in hand; the next sweep comes in a second
            try:
                body(*args)
            except DatabaseAwayError:
                log.warning("%s: the database is away; the sweep starts it again", name)
            except Exception as error:  # noqa: BLE001 - told
                # Acknowledged all the same: the row falls due again, and a message must not become a second memory.
                tell_fault(runtime, f"{name}({', '.join(map(str, args))})", error)

        run.__name__ = name
        return dramatiq.actor(actor_name=name, queue_name=queue, broker=broker)(run)

    def job(name: str, body: Callable[[], object]) -> Any:
        join = body.join if isinstance(body, Monitor) else None

        def run() -> None:
            if turns.run(name, body, join):
                jobs[name].send()  # fired again meanwhile, however often: one more run, behind what waits already

        return actor(name, HOUSEKEEPING, run)

    def notify_now() -> None:
        for name in ("notify", "post"):
            turns.want(name)
            jobs[name].send()

    deliver_actor = actor("deliver", QUEUE, lambda *named: deliver(together, *named))
    alone_actor = actor("deliver_alone", QUEUE, lambda *named: deliver_alone(runtime, lock, lanes, waker, *named))
    waker = Waker(deliver_actor.send, alone_actor.send, lambda wanted: to_wake(runtime, wanted))
    together = Together(runtime, lock, threads, waker.alone)
    turns = Jobs(runtime, lock)
    post = Post(runtime)
    bodies: dict[str, Callable[[], object]] = {
        "sweep": lambda: sweep(runtime, waker),
        "purge": lambda: purge(runtime),
        "redeliver": lambda: redeliver(runtime, waker),
        "erase": lambda: erase(runtime),
        "notify": Notify(runtime),
        "post": post,
        "monitor": Monitor(runtime, notify_now, lambda: jobs["monitor"].send()),
        "learn": lambda: learn_baselines(runtime),
        "fold": lambda: fold_counters(runtime),
    }
    jobs: dict[str, Any] = {name: job(name, body) for name, body in bodies.items()}
    lookout = Lookout(
        runtime, broker, turns, periodic(runtime.settings), lambda name: jobs[name].message(), deliver_actor.message
    )
    return Crew(broker, waker, lock, threads, jobs, lookout, runtime.kept, post, together)
