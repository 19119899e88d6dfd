"""How many threads of this process one destination, one merchant or one platform may occupy.

A destination that hangs leaves room for the others; so does a platform that hangs for every merchant at once, and a
merchant whose backlogs on many platforms would take every thread for as long as they last.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

Destination = tuple[int, str]  # merchant id, platform
HOUSEKEEPERS = 2  # threads


_ALL = "all"


def _keys(destination: Destination) -> tuple[object, ...]:
    return destination, ("merchant", destination[0]), ("platform", destination[1]), _ALL


class Lanes:
    """``threads``: of the process. A destination gets a quarter of them, if nothing else is said, a merchant or a platform half.

    Deliveries together leave ``HOUSEKEEPERS`` of them to the sweep and the other periodic jobs.
    """

    def __init__(self, threads: int, of_destination: int | None = None) -> None:
        self._limits = (
            of_destination or max(1, threads // 4),
            max(1, threads // 2),
            max(1, threads // 2),
            max(1, threads - HOUSEKEEPERS),
        )
        self._lock = threading.Lock()
        self._taken: Counter[object] = Counter()
        self._missed: set[Destination] = set()

    @contextmanager
    def enter(self, destination: Destination) -> Iterator[bool]:
        """True where there was room. Where there was none, ``missed`` names it to whoever leaves."""
        room = self.take(destination)
        try:
            yield room
        finally:
            if room:
                self.leave(destination)

    def take(self, destination: Destination) -> bool:
        """As ``enter``; whoever got room calls ``leave``."""
        keys = _keys(destination)
        with self._lock:
            room = all(self._taken[key] < limit for key, limit in zip(keys, self._limits, strict=True))
            if room:
                self._taken.update(keys)
            else:
                self._missed.add(destination)
            return room

    def leave(self, destination: Destination) -> None:
        keys = _keys(destination)
        with self._lock:
            self._taken.subtract(keys)
            for key in keys:
                if not self._taken[key]:
                    del self._taken[key]

    @property
    def taken(self) -> int:
        """By all together."""
        return self._taken.get(_ALL, 0)

    @property
    def is_full(self) -> bool:
        """Whether there is room for nobody."""
        return self.taken >= self._limits[-1]

    def missed(self, destination: Destination) -> list[Destination]:
        """Whom a wake-up found no room for, told once: those that share what ``destination`` has just left."""
        with self._lock:
            found = [other for other in self._missed if other[0] == destination[0] or other[1] == destination[1]]
            self._missed.difference_update(found)
            return found
