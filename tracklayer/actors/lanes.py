"""How many threads of this process one destination, one merchant or one platform may occupy.

A destination that hangs leaves room for the others; so do platforms that hang for every merchant at once, and a merchant
whose backlogs on many platforms would take every thread for as long as they last.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

Destination = tuple[int, str]  # merchant id, platform
HOUSEKEEPERS = 2  # threads
TOLD = 2  # of those that found no room, by each that leaves: the one that takes its place, and one by which they grow


class Lanes:
    """``threads``: of the process. A destination gets a quarter of them, a merchant half, a platform half of what others leave.

    So two platforms that hang have three quarters at most, and three of them seven eighths. Deliveries together leave
    ``HOUSEKEEPERS`` of all to the sweep and the other periodic jobs.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._limits = (max(1, threads // 4), max(1, threads // 2), max(1, threads - HOUSEKEEPERS))
        self._lock = threading.Lock()
        self._taken: Counter[object] = Counter()
        self._missed: dict[Destination, None] = {}  # whoever has waited longest first

    @contextmanager
    def enter(self, destination: Destination) -> Iterator[bool]:
        """True where there was room. Where there was none, ``missed`` names it to whoever leaves."""
        platform = ("platform", destination[1])
        keys = (destination, ("merchant", destination[0]), "all", platform)
        with self._lock:
            others = self._taken["all"] - self._taken[platform]
            limits = (*self._limits, max(1, (self._threads - others) // 2))
            room = all(self._taken[key] < limit for key, limit in zip(keys, limits, strict=True))
            if room:
                self._taken.update(keys)
                self._missed.pop(destination, None)
            else:
                self._missed.setdefault(destination)
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
        """Whom a wake-up found no room for, told once: of those that share what ``destination`` has just left the first.

        As many as may find room now. Whoever enters tells the next when it leaves, so that no thousands of messages go
        round for one thread, and a message that finds no room after all is noted again.
        """
        with self._lock:
            sharing = (other for other in self._missed if other[0] == destination[0] or other[1] == destination[1])
            found = list(islice(sharing, TOLD))
            for other in found:
                del self._missed[other]
            return found
