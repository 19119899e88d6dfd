"""``monitor()``: a look at the destinations and merchants of whom something can have changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tracklayer.runtime import Runtime
from tracklayer.services.monitor import Watch

log = logging.getLogger(__name__)

MOST_CALLED = 8  # messages of one look: whoever is there takes one of them up


class Monitor:
    """One look at a time in a process; ``told`` is called when alerts have changed, ``call`` so that others take part."""

    def __init__(self, runtime: Runtime, told: Callable[[], None], call: Callable[[], object]) -> None:
        self._watch, self._told, self._call = Watch(runtime, self._call_others), told, call
        self._busy = threading.Lock()

    def __call__(self) -> None:
        self._once(self._watch.look)

    def join(self) -> None:
        """Takes part in the look that another process has begun."""
        self._once(self._watch.join)

    def _call_others(self, pages: int) -> None:
        try:
            for _ in range(min(pages, MOST_CALLED)):
                self._call()
        except Exception as error:  # noqa: BLE001 - the broker's client raises what it likes; this process looks all the same
            log.warning("the broker takes no call for the monitors (%s): they look alone", type(error).__name__)

    def _once(self, look: Callable[[], int]) -> None:
        if self._busy.acquire(blocking=False):
            try:
                if look():
                    self._told()
            finally:
                self._busy.release()
