"""Sends wake-ups from a thread of its own, one a destination however many events arrived meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02  # what a burst is gathered for: one message instead of hundreds, at a price nobody sees
COMPLAIN_EVERY = 100  # failures: the first is told, then one in a hundred


class Waker:
    """``send(merchant_id, platform)`` enqueues one message and may fail: then the sweep finds the work."""

    def __init__(self, send: Callable[[int, str], object]) -> None:
        self._send = send
        self._wanted: dict[tuple[int, str], None] = {}  # in the order in which they were asked for
        self._ready = threading.Condition()
        self._stopped = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
        self._thread.start()

    def __call__(self, destinations: Iterable[tuple[int, str]]) -> None:
        with self._ready:
            self._wanted.update(dict.fromkeys(destinations))
            if self._wanted:
                self._ready.notify()

    def stop(self) -> None:
        """Sends what is gathered, then ends."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join(timeout=3)

    def _run(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._wanted or self._stopped)
                if self._stopped and not self._wanted:
                    return
            # While a burst goes on, the clock alone wakes this thread: each time, the event loop has to let go.
            while self._send_gathered():
                pass

    def _send_gathered(self) -> bool:
        """Sends what comes in for a moment; whether that was anything."""
        if not self._stopped:
            time.sleep(GATHER_SECONDS)
        with self._ready:
            wanted, self._wanted = self._wanted, {}
        for merchant_id, platform in wanted:
            self._try(merchant_id, platform)
        return bool(wanted)

    def _try(self, merchant_id: int, platform: str) -> None:
        try:
            self._send(merchant_id, platform)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the sweep makes up for it
            if self._failures % COMPLAIN_EVERY == 0:
                log.warning("the broker takes no wake-up (%s): the sweep delivers instead", type(error).__name__)
            self._failures += 1
        else:
            self._failures = 0
