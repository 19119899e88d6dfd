"""``post()``: what waits for channels goes out."""

from __future__ import annotations

import threading

from tracklayer.runtime import Runtime
from tracklayer.services.drops import note_drops
from tracklayer.services.post import InHand, begin_due

LAST_SECONDS = 2.0  # that receivers have for their answer when the worker ends: most need a tenth of one


class Post:
    """One look at a time in a process. It waits for no receiver: those have threads of their own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._in_hand = runtime, InHand()
        self._busy = threading.Lock()

    def __call__(self) -> None:
        if self._busy.acquire(blocking=False):
            try:
                note_drops(self._runtime)
                begin_due(self._runtime, self._in_hand)
            finally:
                self._busy.release()

    def stop(self) -> None:
        self._in_hand.close(LAST_SECONDS)
