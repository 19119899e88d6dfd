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


class Lanes:
    """``threads``: of the process. A destination gets a quarter of them, a merchant or a platform half.

    Deliveries together leave ``HOUSEKEEPERS`` of them to the sweep and the other periodic jobs.
    """

    def __init__(self, threads: int) -> None:
        self._limits = (
            max(1, threads // 4),
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
        keys = (destination, ("merchant", destination[0]), ("platform", destination[1]), "all")
        with self._lock:
            room = all(self._taken[key] < limit for key, limit in zip(keys, self._limits, strict=True))
            if room:
                self._taken.update(keys)
            else:
                self._missed.add(destination)
        try:
            yield room
        finally:
            if room:
                with self._lock:
                    self._taken.subtract(keys)
                    for key in keys:
                        if not self._taken[key]:
                            del self._taken[key]

    def missed(self, destination: Destination) -> list[Destination]:
        """Whom a wake-up found no room for, told once: those that share what ``destination`` has just left."""
        with self._lock:
            found = [other for other in self._missed if other[0] == destination[0] or other[1] == destination[1]]
            self._missed.difference_update(found)
            return found
