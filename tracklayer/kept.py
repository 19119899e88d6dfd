"""What is left to write where somebody holds the rows: kept, and tried again and again, by few threads of their own.

So a destination whose rows are locked holds no thread that delivers. What is kept is bounded: a destination that has much
of it gets nothing more to do, and where all of it together is much, one thing kept of a merchant is as much as it may have.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

Destination = tuple[int, str]  # merchant id, platform

OF_DESTINATION = 4  # requests' answers kept: then nothing more of it is claimed
OF_MERCHANT = 8
MOST = 1000  # of all: about as many megabytes as a hundred of their deliveries each have; beyond, nothing more is taken
WRITERS = 2  # threads
PAUSES = (0.25, 2.0)  # seconds, first and longest, between two tries of one thing


@dataclass(eq=False)
class _Kept:
    destination: Destination
    write: Callable[[], bool]
    pause: float
    due_at: float


class Kept:
    """Of one process. A ``write`` gives True once nothing is left to do, and raises nothing."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[_Kept] = deque()
        self._of_destination: Counter[Destination] = Counter()
        self._of_merchant: Counter[int] = Counter()
        self._count = self._writers = 0
        self._is_closed = False

    def add(self, destination: Destination, write: Callable[[], bool]) -> bool:
        """False where there is no room: whoever has it in hand keeps it."""
        with self._condition:
            if self._is_closed or len(self) >= MOST or not self._has_writer():
                return False
            if not self._of_merchant[destination[0]]:
                log.warning(
                    "merchant %s: rows of it are locked in the database, by a transaction that somebody left open perhaps; "
                    "what platforms answered for it is kept and written when they are free, and its deliveries wait",
                    destination[0],
                )
            self._count += 1
            self._of_destination[destination] += 1
            self._of_merchant[destination[0]] += 1
            self._waiting.append(_Kept(destination, write, PAUSES[0], time.monotonic() + PAUSES[0]))
            self._condition.notify()
        return True

    def _has_writer(self) -> bool:
        """Starts one where there are fewer than there may be. Needs the lock."""
        if self._writers < WRITERS:
            with contextlib.suppress(RuntimeError):  # there are too many threads already
                threading.Thread(target=self._run, name="kept answers", daemon=True).start()
                self._writers += 1
        return self._writers > 0

    def is_much(self, destination: Destination) -> bool:
        """Whether a destination has so much kept that nothing more of it should be begun."""
        if not self._of_merchant.get(destination[0]):
            return False
        if len(self) > MOST // 2:
            return True
        return (
            self._of_destination.get(destination, 0) >= OF_DESTINATION
            or self._of_merchant.get(destination[0], 0) >= OF_MERCHANT
        )

    def __len__(self) -> int:
        return self._count

    def close(self, seconds: float) -> None:
        """Takes nothing more, and gives what is kept so long to be written."""
        ends = time.monotonic() + seconds
        with self._condition:
            self._is_closed = True
            for kept in self._waiting:
                kept.due_at = 0.0
            self._condition.notify_all()
            self._condition.wait_for(lambda: not len(self), max(0.0, ends - time.monotonic()))
            left = len(self)
        if left:
            log.warning("%d answers that waited for locked rows are not written", left)

    def _run(self) -> None:
        while (kept := self._next()) is not None:
            done = kept.write()
            with self._condition:
                if not done:
                    kept.pause = min(kept.pause * 2, PAUSES[1])
                    kept.due_at = time.monotonic() + kept.pause
                    self._waiting.append(kept)
                    continue
                self._leave(kept.destination)
                for other in self._waiting:  # the rows of one are free: those of its like may be, too
                    if other.destination[0] == kept.destination[0]:
                        other.pause, other.due_at = PAUSES[0], 0.0
                self._condition.notify_all()

    def _next(self) -> _Kept | None:
        """What is due first, once it is; None where nothing is left to wait for."""
        with self._condition:
            while self._waiting:
                first = min(self._waiting, key=lambda kept: kept.due_at)
                wait = first.due_at - time.monotonic()
                if wait <= 0:
                    self._waiting.remove(first)
                    return first
                self._condition.wait(wait)
            self._writers -= 1
            return None

    def _leave(self, destination: Destination) -> None:
        """Needs the lock."""
        merchant_id, _ = destination
        self._count -= 1
        self._of_destination[destination] -= 1
        self._of_merchant[merchant_id] -= 1
        if not self._of_destination[destination]:
            del self._of_destination[destination]
        if not self._of_merchant[merchant_id]:
            del self._of_merchant[merchant_id]
            log.warning("merchant %s: its rows are free again", merchant_id)
