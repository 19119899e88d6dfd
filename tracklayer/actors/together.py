"""Looks for many destinations at once, and gives each request a thread: see ``services/deliver_together.py``.

Wake-ups that come while a look is at work are gathered for the next one, and so are the answers that come while others are
settled: the more there is to do, the more goes together, and nobody waits for a clock. A request that hangs has its thread
for itself; how many of those one destination, one merchant or one platform may have is bounded, and what finds no room waits
here until one of its like is done. All of it is wake-ups: should this process end, the sweep finds the work.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from tracklayer.actors import Wake
from tracklayer.actors.lanes import Destination, Lanes
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.deliver_together import (
    MOST,
    Answered,
    Errand,
    deliver,
    settle_alone,
    settle_together,
    take,
)

log = logging.getLogger(__name__)

LOOKS = 2  # at once: while one's statements run, the other maps
REQUESTS_A_THREAD = 8  # on their way, for each thread of the worker: platforms take a fraction of a second to answer
OF_DESTINATION = 4  # requests on their way: behind them its events gather, and go in one


class Together:
    """Of one process. ``threads``: of its worker. ``alone``: wakes destinations that need a look of their own."""

    def __init__(self, runtime: Runtime, worker: WorkerLock, threads: int, alone: Wake) -> None:
        self._runtime, self._worker, self._alone = runtime, worker, alone
        requests = max(MOST, threads * REQUESTS_A_THREAD)
        self._lanes = Lanes(requests, OF_DESTINATION)
        self._lock = threading.Condition()
        self._wanted: dict[Destination, None] = {}
        self._looks = 0
        self._answers: deque[Answered] = deque()
        self._settles = False
        self._is_closed = False
        self._threads = _Threads(requests + LOOKS, "request")

    def __call__(self, destinations: Iterable[Destination]) -> None:
        """Looks what is due there, soon. Never blocks."""
        with self._lock:
            self._wanted.update(dict.fromkeys(destinations))
            if not self._wanted or self._looks >= LOOKS or self._lanes.is_full or self._is_closed:
                return  # whoever looks now, or leaves, goes on with them
            self._looks += 1
        self._threads.submit(self._look)

    def close(self, seconds: float) -> int:
        """Begins nothing more, and gives so long to what is on its way; how many destinations' requests still are."""
        with self._lock:
            self._is_closed = True
            self._lock.wait_for(lambda: not self._lanes.taken and not self._looks, max(0.0, seconds))
            return self._lanes.taken

    def _look(self) -> None:
        while found := self._next():
            errands: Sequence[Errand] = ()
            with self._guarded("looking for many destinations"):
                errands, alone = take(self._runtime, self._worker.number(), found)
                self._alone(alone)
            for errand in errands:
                self._threads.submit(partial(self._send, errand))
            self._leave(set(found) - {errand.queue for errand in errands})

    def _next(self) -> list[Destination]:
        """Whom to look for now, each with room for its request; none: this look is over."""
        found: list[Destination] = []
        with self._lock:
            while self._wanted and len(found) < MOST and not self._is_closed and not self._lanes.is_full:
                destination = next(iter(self._wanted))
                del self._wanted[destination]
                if self._lanes.take(destination):
                    found.append(destination)
            if not found:
                self._looks -= 1
                self._lock.notify_all()
        return found

    def _leave(self, destinations: Iterable[Destination]) -> None:
        """They are done with; those that found no room for their sake are looked for."""
        missed: list[Destination] = []
        with self._lock:
            for destination in destinations:
                self._lanes.leave(destination)
                missed += self._lanes.missed(destination, itself=True)
            self._lock.notify_all()
        self(missed)

    def _send(self, errand: Errand) -> None:
        answered = None
        with self._guarded(f"delivering for {errand.queue[1]}"):
            answered = deliver(self._runtime, errand)
        if answered is None:
            self._leave([errand.queue])
        else:
            self._settle(answered)

    def _settle(self, answered: Answered) -> None:
        """Settles it with what else has been answered. Where somebody is at it already, he takes it along."""
        with self._lock:
            self._answers.append(answered)
            if self._settles:
                return
            self._settles = True
        while True:
            with self._lock:
                gathered = [self._answers.popleft() for _ in range(min(MOST, len(self._answers)))]
                if not gathered:
                    self._settles = False
                    return
            left: Sequence[Answered] = ()
            with self._guarded("writing answers of many destinations"):
                left = settle_together(self._runtime, gathered)
            for one in left:
                self._threads.submit(partial(self._settle_alone, one))
            among = {id(one) for one in left}
            self._leave([one.errand.queue for one in gathered if id(one) not in among])

    def _settle_alone(self, answered: Answered) -> None:
        with self._guarded("writing an answer"):
            settle_alone(self._runtime, answered)
        self._leave([answered.errand.queue])

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """What is raised is told: the lease's end sees to the rest."""
        try:
            yield
        except DatabaseAwayError:
            log.warning("%s: the database is away; the sweep starts it again", what)
        except Exception as error:  # noqa: BLE001 - told
            tell_fault(self._runtime, what, error)


class _Slot:
    """A thread that waits for work. ``wake``: held until there is some."""

    __slots__ = ("wake", "work")

    def __init__(self) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()
        self.work: Callable[[], None] | None = None


class _Threads:
    """Started as they are needed, ``most`` at most. The one that worked last works next: its connections are open still.

    What is submitted raises nothing.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._lock = threading.Lock()
        self._idle: list[_Slot] = []
        self._todo: deque[Callable[[], None]] = deque()
        self._count = 0

    def submit(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._idle:
                slot = self._idle.pop()
                slot.work = work
                slot.wake.release()
                return
            if self._count == self._most:
                self._todo.append(work)
                return
            self._count += 1
        try:
            threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True).start()
        except RuntimeError:  # there are too many threads already: one of ours does it, or else whoever asks
            with self._lock:
                self._count -= 1
                if self._count:
                    self._todo.append(work)
                    return
            work()

    def _run(self, work: Callable[[], None] | None) -> None:
        slot = _Slot()
        while work is not None:
            work()
            with self._lock:
                work = self._todo.popleft() if self._todo else None
                if work is None:
                    self._idle.append(slot)
            if work is None:
                slot.wake.acquire()
                work = slot.work
