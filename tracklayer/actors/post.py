"""``post()``: what waits for channels goes out."""

from __future__ import annotations

import threading

from tracklayer.runtime import Runtime
from tracklayer.services.drops import note_drops
from tracklayer.services.post import InHand, post_due


class Post:
    """One run at a time in a process; what an earlier one still has in hand counts in."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._in_hand = runtime, InHand()
        self._busy = threading.Lock()

    def __call__(self) -> None:
        if self._busy.acquire(blocking=False):
            try:
                note_drops(self._runtime)
                post_due(self._runtime, self._in_hand)
            finally:
                self._busy.release()
