"""How many threads of this process one destination may occupy, so that a hanging one leaves room for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LANES = 4  # of a worker's threads


class Lanes:
    def __init__(self, limit: int = LANES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._taken: dict[tuple[int, str], int] = {}
        self._missed: set[tuple[int, str]] = set()

    @contextmanager
    def enter(self, destination: tuple[int, str]) -> Iterator[bool]:
        """True where there was room. Where there was none, ``missed`` tells so to whoever leaves."""
        with self._lock:
            taken = self._taken.get(destination, 0)
            room = taken < self._limit
            if room:
                self._taken[destination] = taken + 1
            else:
                self._missed.add(destination)
        try:
            yield room
        finally:
            if room:
                with self._lock:
                    self._taken[destination] -= 1
                    if not self._taken[destination]:
                        del self._taken[destination]

    def missed(self, destination: tuple[int, str]) -> bool:
        """True once after a wake-up found no room: the destination may have more to do."""
        with self._lock:
            if destination in self._missed:
                self._missed.discard(destination)
                return True
            return False
