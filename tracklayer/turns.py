"""Fresh events before backlogs, among the threads of one process.

Threads of one process share one interpreter: a destination that has ten thousand deliveries due would take most of it,
and the one event of another merchant would wait at every step. So a destination that is behind takes smaller batches
while others have something to do, and between two steps of its work lets them through.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

Destination = tuple[int, str]  # merchant id, platform

SHARE = 100  # deliveries: more due at once than that is a backlog; it is also what one takes while others are busy
BUSY_SECONDS = 1.0  # that a fresh event makes this process count as busy
STEP_ASIDE_SECONDS = 0.02  # at most, at each step: a backlog is slowed down, and never stopped
HANDS = 2  # backlogs at work at once: one maps while another's statement runs; more only fight for the interpreter
LARGE = 32 * 1024  # bytes of JSON: where a destination's events have more, its claims are smaller
ROOM = 32 * 1024 * 1024  # bytes that the events of one claim may have, by those of the claim before
LOOK_BACK_SECONDS = 5.0  # that claims on a backlog go on behind the last one: then one begins at the longest due again
STEP = 16  # events mapped between two looks around: about a millisecond


class Turns:
    """Whose turn it is. One for a process."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._fresh = 0
        self._fresh_at = float("-inf")
        self._behind: set[Destination] = set()
        self._large: dict[Destination, float] = {}  # bytes of an event, where they are large
        self._reached: dict[Destination, tuple[float, datetime]] = {}  # where claims go on behind the last one
        self._backlog = threading.Lock()
        self._hands = threading.BoundedSemaphore(HANDS)

    def of(self, destination: Destination) -> Turn:
        return Turn(self, destination)

    def is_behind(self, destination: Destination) -> bool:
        return destination in self._behind

    def is_busy(self) -> bool:
        """Whether destinations that keep up have had something to do just now."""
        return self._fresh > 0 or time.monotonic() - self._fresh_at < BUSY_SECONDS

    def room(self) -> AbstractContextManager[object]:
        """Held by a backlog at work: by one while others are busy, else by two; requests to platforms overlap freely."""
        return self._backlog if self.is_busy() else self._hands

    def note(self, destination: Destination, is_behind: bool) -> None:
        if is_behind != (destination in self._behind):
            with self._condition:
                (self._behind.add if is_behind else self._behind.discard)(destination)

    def note_size(self, destination: Destination, size: float) -> None:
        if size > LARGE or destination in self._large:
            with self._condition:
                self._large[destination] = size
                if size <= LARGE:
                    del self._large[destination]

    def most_of_size(self, destination: Destination) -> int | None:
        """How many of its events fit into one claim; None: as many as it likes."""
        size = self._large.get(destination)
        return None if size is None else max(1, int(ROOM / size))

    def reached(self, destination: Destination) -> datetime | None:
        """What was due earlier was claimed a moment ago, so that a claim need not look there; None: it has to.

        Where somebody reads for long, PostgreSQL keeps what was claimed and is done, and each claim would pass over all of it.
        What came back meanwhile, or was stored late, is found by the next claim that begins at the beginning.
        """
        began, reached = self._reached.get(destination, (float("-inf"), None))
        return reached if time.monotonic() - began < LOOK_BACK_SECONDS else None

    def note_reached(self, destination: Destination, since: datetime | None, until: datetime | None) -> None:
        """A claim that looked from ``since`` on took all that it asked for, up to what was due at ``until``; None: it did not."""
        with self._condition:
            if until is None:
                self._reached.pop(destination, None)
            else:
                began = time.monotonic() if since is None else self._reached.get(destination, (float("-inf"), since))[0]
                self._reached[destination] = began, until

    def begin(self) -> None:
        with self._condition:
            self._fresh += 1

    def end(self, destinations: Iterable[Destination]) -> None:
        with self._condition:
            self._fresh -= 1
            if not self._behind.issuperset(destinations):  # they may have turned out to be
                self._fresh_at = time.monotonic()
            if not self._fresh:
                self._condition.notify_all()

    @contextmanager
    def fresh(self) -> Iterator[list[Destination]]:
        """Around what is done for many destinations together. Who does it adds to the list which of them keep up: one that
        has a backlog, and is not known to, must not pass for the others that it would have to make room for.
        """
        keep_up: list[Destination] = []
        self.begin()
        try:
            yield keep_up
        finally:
            self.end(keep_up)

    def step_aside(self) -> None:
        """Lets those through who keep up; at once where there is nobody."""
        if self._fresh:
            with self._condition:
                self._condition.wait_for(lambda: not self._fresh, STEP_ASIDE_SECONDS)


class Turn:
    """One destination's place among the others, for one wake-up."""

    def __init__(self, turns: Turns, destination: Destination) -> None:
        self._turns = turns
        self._destination = destination
        self._claimed = 0
        self._may_be_behind = False

    def may_be_behind(self) -> None:
        """More may be due than was asked for: it must not pass for one that keeps up, for which backlogs make room."""
        self._may_be_behind = True

    def limit(self, most: int) -> int:
        """How many deliveries to claim now, at most ``most``."""
        fitting = self._turns.most_of_size(self._destination)
        if fitting is not None:
            most = min(most, fitting)
        alone = self._turns.is_behind(self._destination) and not self._turns.is_busy()
        return most if alone else min(most, SHARE)

    def reached(self) -> datetime | None:
        """As ``Turns.reached``."""
        return self._turns.reached(self._destination)

    def note_reached(self, since: datetime | None, until: datetime | None) -> None:
        """As ``Turns.note_reached``."""
        self._turns.note_reached(self._destination, since, until)

    def claimed(self, count: int, asked: int, size: int) -> None:
        """``count`` were due where it asked for ``asked``: full claims up to a share say that this is a backlog.

        ``size``: bytes of JSON that their events have together.
        """
        self._claimed += count
        if count:
            self._turns.note_size(self._destination, size / count)
        if count < asked:
            self._turns.note(self._destination, False)
        elif self._claimed >= SHARE:
            self._turns.note(self._destination, True)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around what needs the interpreter or the database, not around the wait for a platform."""
        if self._turns.is_behind(self._destination):
            with self._turns.room():
                self._turns.step_aside()
                yield
            return
        self._turns.begin()
        try:
            yield
        finally:
            self._turns.end(() if self._may_be_behind else (self._destination,))

    def look_around(self) -> None:
        """In the midst of long work: lets others through if this destination is behind."""
        if self._turns.is_behind(self._destination):
            self._turns.step_aside()
