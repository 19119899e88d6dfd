"""``notify()``: alerts that are due by e-mail go out."""

from __future__ import annotations

import threading
import time

from tracklayer.runtime import Runtime
from tracklayer.services.alert import tell_unwritten
from tracklayer.services.notify import email_alerts

UNWRITTEN_EVERY_SECONDS = 60.0


class Notify:
    """One at a time in a process: a mail server that hangs holds one of its threads, however often this is called."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._busy = threading.Lock()
        self._look_at = time.monotonic()

    def __call__(self) -> None:
        if self._busy.acquire(blocking=False):
            try:
                if time.monotonic() >= self._look_at:
                    self._look_at = time.monotonic() + UNWRITTEN_EVERY_SECONDS
                    tell_unwritten(self._runtime)
                email_alerts(self._runtime)
            finally:
                self._busy.release()
