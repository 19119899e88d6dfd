"""``notify()``: alerts that are due by e-mail go out."""

from __future__ import annotations

import threading

from tracklayer.runtime import Runtime
from tracklayer.services.notify import email_alerts


class Notify:
    """One at a time in a process: a mail server that hangs holds one of its threads, however often this is called."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._busy = threading.Lock()

    def __call__(self) -> None:
        if self._busy.acquire(blocking=False):
            try:
                email_alerts(self._runtime)
            finally:
                self._busy.release()
