"""How many threads of this process one destination, one merchant or one platform may occupy.

A destination that hangs leaves room for the others; so does a platform that hangs for every merchant at once, and a
merchant whose backlogs on many platforms would take every thread for as long as they last.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

Destination = tuple[int, str]  # merchant id, platform
HOUSEKEEPERS = 2  # threads


class Lanes:
    """``threads``: of the process. A destination gets a quarter of them, a merchant or a platform half.

    Deliveries together leave ``HOUSEKEEPERS`` of them to the sweep and the other periodic jobs. Whoever finds no room stands in
    line, and each lane that becomes free is offered to the one that has stood there longest and fits.
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
        self._places = count()
        self._lines: defaultdict[str, dict[Destination, int]] = defaultdict(
            dict
        )  # by platform; which place, of all of them

    @contextmanager
    def enter(self, destination: Destination) -> Iterator[bool]:
        """True where there was room. Where there was none, ``missed`` names it, when it is its turn, to whoever leaves."""
        keys = _keys(destination)
        with self._lock:
            line = self._lines[destination[1]]
            room = self._has_room(destination)
            if room:
                self._taken.update(keys)
                line.pop(destination, None)
            elif destination not in line:
                line[destination] = next(self._places)
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
        """Whom to wake now that ``destination`` has left: of all others that found no room and have it by now, the one that
        has waited longest. One, for the one lane that is free; it is told once.
        """
        with self._lock:
            fitting = [found for line in self._lines.values() if (found := self._first(line, destination)) is not None]
            if not fitting:
                return []
            _, other = min(fitting)
            del self._lines[other[1]][other]
            return [other]

    def _first(self, line: dict[Destination, int], left: Destination) -> tuple[int, Destination] | None:
        """Of one platform. Passes over a few at most: where it is the platform that is full, no one has room."""
        for other, place in line.items():
            if self._taken["platform", other[1]] >= self._limits[2]:
                return None
            if other != left and self._has_room(other):
                return place, other
        return None

    def _has_room(self, destination: Destination) -> bool:
        return all(self._taken[key] < limit for key, limit in zip(_keys(destination), self._limits, strict=True))


def _keys(destination: Destination) -> tuple[object, ...]:
    return (destination, ("merchant", destination[0]), ("platform", destination[1]), "all")
