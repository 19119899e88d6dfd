"""Looks for many destinations at once, and gives each request a thread: see ``services/deliver_together.py``.

Wake-ups that come while a look is at work are gathered for the next one, and so are the answers that come while others are
settled: the more there is to do, the more goes together, and nobody waits for a clock. A request that hangs has its thread
for itself; how many of those one destination, one merchant or one platform may have is bounded, and what finds no room waits
here until one of its like is done. All of it is wake-ups: should this process end, the sweep finds the work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, takewhile

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
    begin_together,
    deliver,
    settle_alone,
    settle_together,
    stitch_together,
    take,
)

log = logging.getLogger(__name__)

LOOKS = 2  # at once: while one's statements run, the other maps
REQUESTS_A_THREAD = 8  # on their way, for each thread of the worker: platforms take a fraction of a second to answer
FEW_AT_ONCE = 8  # threads that work, as long as they keep the processor busy
# Requests that are noted as sent by one commit: those that wait then count as sent where this process dies.
BEGUN_AT_ONCE = 32
BUSY = 0.5  # of a processor: above it, more threads would deliver no more
LOOK_SECONDS = 0.01  # in which that is found out, while something waits
LONG_SECONDS = 0.05  # after which whoever works waits for an answer: computing takes a few milliseconds
OF_DESTINATION = 4  # requests on their way: behind them its events gather, and go in one

Work = Callable[[], None]
Begun = tuple[Work, int]  # and the number under which it is at work


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
        self._threads.submit(self._look, at_once=True)

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
            to_stitch: dict[int, list[Errand]] = {}  # by merchant
            for errand in errands:
                if errand.to_stitch:
                    to_stitch.setdefault(errand.queue[0], []).append(errand)
            self._send_all([errand for errand in errands if not errand.to_stitch])
            for those in to_stitch.values():
                self._threads.submit(partial(self._stitch, those))
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

    def _stitch(self, errands: Sequence[Errand]) -> None:
        """Stitches what is of one merchant, and has it sent."""
        ready: Sequence[Errand] = ()
        with self._guarded("stitching"):
            ready = stitch_together(self._runtime, errands)
        self._leave({errand.queue for errand in errands} - {errand.queue for errand in ready})
        if ready:
            self._send_some(ready)

    def _send_all(self, errands: Sequence[Errand]) -> None:
        if errands:
            self._threads.submit(partial(self._send_some, errands))

    def _send_some(self, errands: Sequence[Errand]) -> None:
        """Notes of some that they are sent, and sends them; of the others when all these have their threads."""
        some, rest = errands[:BEGUN_AT_ONCE], errands[BEGUN_AT_ONCE:]
        with self._guarded("noting what many destinations are sent"):
            begin_together(self._runtime, some)
        for errand in reversed(some[1:]):
            self._threads.submit(partial(self._send, errand), first=True)
        self._send_all(rest)
        self._send(some[0])

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
        self.work: Begun | None = None


class _Threads:
    """Started as they are needed, ``most`` at most. The one that worked last works next: its connections are open still.

    ``FEW_AT_ONCE`` work at a time: where answers come at once, more only take the interpreter from each other, and a fifth
    of what the process does is changing threads. Where they wait for answers instead, more are let in: one for each that has been
    at it for ``LONG_SECONDS``, and as long as the processor has time left, twice as many again and again, until nothing waits.
    What is submitted raises nothing.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._lock = threading.Condition()
        self._idle: list[_Slot] = []
        self._todo: deque[Work] = deque()
        self._count = 0
        self._since: dict[int, float] = {}  # number of what is at work -> when it began, oldest first
        self._numbers = count()
        self._room = min(most, FEW_AT_ONCE)  # for how many that work, besides those that have been at it for long
        self._usher: threading.Thread | None = None

    def submit(self, work: Work, *, first: bool = False, at_once: bool = False) -> None:
        """Does it soon. ``first``: before all that waits. ``at_once``: however many work already."""
        with self._lock:
            if not self._has_room(at_once=at_once):
                (self._todo.appendleft if first else self._todo.append)(work)
                self._lock.notify()
                self._start_usher()
                return
            begun = self._note_begin(work)
        self._begin(begun)

    def _has_room(self, *, at_once: bool = False) -> bool:
        """For one more."""
        working = len(self._since)
        if at_once or working < self._room:
            return working < self._most
        return working < min(self._most, self._room + self._at_it_for_long())

    def _at_it_for_long(self) -> int:
        until = time.monotonic() - LONG_SECONDS
        return sum(1 for _ in takewhile(lambda since: since <= until, self._since.values()))

    def _note_begin(self, work: Work) -> Begun:
        number = next(self._numbers)
        self._since[number] = time.monotonic()
        return work, number

    def _start_usher(self) -> None:
        if self._usher is None:
            self._usher = threading.Thread(target=self._let_in, name=f"{self._name} usher", daemon=True)
            try:
                self._usher.start()
            except RuntimeError:  # there are too many threads already: until then those that work take it on
                self._usher = None

    def _begin(self, begun: Begun) -> None:
        """Gives it a thread; it counts as at work already."""
        with self._lock:
            if self._wake_idle(begun):
                return
            self._count += 1
        try:
            threading.Thread(target=self._run, args=(begun,), name=self._name, daemon=True).start()
        except RuntimeError:  # there are too many threads already: one of ours does it, or else whoever asks
            with self._lock:
                self._count -= 1
                if self._wake_idle(begun):
                    return
                del self._since[begun[1]]
                if self._count:
                    self._todo.append(begun[0])
                    return
            begun[0]()

    def _wake_idle(self, begun: Begun) -> bool:
        """Whether a thread had nothing to do, and does this."""
        if not self._idle:
            return False
        slot = self._idle.pop()
        slot.work = begun
        slot.wake.release()
        return True

    def _run(self, begun: Begun | None) -> None:
        slot = _Slot()
        while begun is not None:
            begun[0]()
            with self._lock:
                del self._since[begun[1]]
                if not self._todo:
                    self._room = max(min(self._most, FEW_AT_ONCE), len(self._since))
                begun = self._note_begin(self._todo.popleft()) if self._todo and self._has_room() else None
                if begun is None:
                    self._idle.append(slot)
            if begun is None:
                slot.wake.acquire()
                begun = slot.work

    def _let_in(self) -> None:
        """As long as something waits, looks whether those that work leave the processor time, or wait for answers."""
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._todo)
            used, at = time.process_time(), time.monotonic()
            time.sleep(LOOK_SECONDS)
            is_busy = time.process_time() - used > BUSY * (time.monotonic() - at)
            let_in: list[Begun] = []
            with self._lock:
                if self._todo and not is_busy:
                    self._room = min(self._most, 2 * self._room)
                while self._todo and self._has_room():
                    let_in.append(self._note_begin(self._todo.popleft()))
            for begun in let_in:
                self._begin(begun)
