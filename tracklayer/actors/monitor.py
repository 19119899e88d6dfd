"""``monitor()``: a look at every destination and merchant."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tracklayer.runtime import Runtime
from tracklayer.services.monitor import Watch


class Monitor:
    """One look at a time in a process; ``told`` is called when alerts have changed."""

    def __init__(self, runtime: Runtime, told: Callable[[], None]) -> None:
        self._watch, self._told = Watch(runtime), told
        self._busy = threading.Lock()

    def __call__(self) -> None:
        if self._busy.acquire(blocking=False):
            try:
                if self._watch.look():
                    self._told()
            finally:
                self._busy.release()
