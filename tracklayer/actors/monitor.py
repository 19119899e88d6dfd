"""``monitor()``: a look at the destinations and merchants of whom something can have changed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tracklayer.runtime import Runtime
from tracklayer.services.monitor import Watch

MOST_CALLED = 8  # messages of one look: whoever is there takes one of them up


class Monitor:
    """One look at a time in a process; ``told`` is called when alerts have changed, ``call`` so that others take part."""

    def __init__(self, runtime: Runtime, told: Callable[[], None], call: Callable[[], object]) -> None:
        self._watch, self._told = Watch(runtime, lambda pages: [call() for _ in range(min(pages, MOST_CALLED))]), told
        self._busy = threading.Lock()

    def __call__(self) -> None:
        self._once(self._watch.look)

    def join(self) -> None:
        """Takes part in the look that another process has begun."""
        self._once(self._watch.join)

    def _once(self, look: Callable[[], int]) -> None:
        if self._busy.acquire(blocking=False):
            try:
                if look():
                    self._told()
            finally:
                self._busy.release()
