"""Sends wake-ups from a thread of its own, one for many destinations, and each of those once, however many events arrived."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tracklayer import metrics
from tracklayer.actors.lanes import Destination

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02  # what a burst is gathered for: one message instead of hundreds, at a price nobody sees
MOST = 100  # destinations of one message: as many as one look is for
COMPLAIN_EVERY = 100  # failures: the first is told, then one in a hundred


class Waker:
    """``send(merchant_id, platform, merchant_id, platform, ...)`` enqueues one message; it may fail: the sweep finds the work.

    ``send_alone(merchant_id, platform)``: the same for a destination that needs a look of its own. ``of_use``: those of the
    wanted that may be sent to at all.
    """

    def __init__(
        self,
        send: Callable[..., object],
        send_alone: Callable[..., object],
        of_use: Callable[[Iterable[Destination]], Iterable[Destination]] = list,
    ) -> None:
        self._send, self._send_alone, self._of_use = send, send_alone, of_use
        # In the order in which they were asked for.
        self._wanted: dict[Destination, None] = {}
        self._wanted_alone: dict[Destination, None] = {}
        self._ready = threading.Condition()
        self._stopped = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
        self._thread.start()

    def __call__(self, destinations: Iterable[Destination]) -> None:
        self._want(self._wanted, destinations)

    def alone(self, destinations: Iterable[Destination]) -> None:
        """Each with a message of its own."""
        self._want(self._wanted_alone, destinations)

    def stop(self) -> None:
        """Sends what is gathered, then ends."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join(timeout=3)

    def _want(self, wanted: dict[Destination, None], destinations: Iterable[Destination]) -> None:
        with self._ready:
            wanted.update(dict.fromkeys(destinations))
            if wanted:
                self._ready.notify()

    def _has_some(self) -> bool:
        return bool(self._wanted or self._wanted_alone)

    def _run(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._has_some() or self._stopped)
                if self._stopped and not self._has_some():
                    return
            # While a burst goes on, the clock alone wakes this thread: each time, the event loop has to let go.
            while self._send_gathered():
                pass

    def _send_gathered(self) -> bool:
        """Sends what comes in for a moment; whether that was anything."""
        if not self._stopped:
            time.sleep(GATHER_SECONDS)
        with self._ready:
            wanted, alone = list(self._wanted), list(self._wanted_alone)
            self._wanted.clear()
            self._wanted_alone.clear()
        has_some = bool(wanted or alone)
        wanted = list(self._of_use(wanted))
        for start in range(0, len(wanted), MOST):
            self._try(self._send, *(part for destination in wanted[start : start + MOST] for part in destination))
        for destination in self._of_use(alone):
            self._try(self._send_alone, *destination)
        return has_some

    def _try(self, send: Callable[..., object], *named: Any) -> None:
        try:
            with metrics.BROKER_SECONDS.time():
                send(*named)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the sweep makes up for it
            metrics.BROKER_FAILURES.inc()
            if self._failures % COMPLAIN_EVERY == 0:
                log.warning("the broker takes no wake-up (%s): the sweep delivers instead", type(error).__name__)
            self._failures += 1
        else:
            self._failures = 0
