"""A value that many threads go by and that is read anew once in a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """What was read last, at most ``seconds`` ago or being read. One thread reads; the others go by what there is."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._value: T | None = None
        self._read_at = float("-inf")

    def get(self, read: Callable[[], T]) -> T:
        """Raises what ``read`` raises; the next one tries again."""
        known = self._value
        if known is not None and time.monotonic() - self._read_at < self.seconds:
            return known
        if known is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return known
        try:
            if self._value is None or time.monotonic() - self._read_at >= self.seconds:
                began = time.monotonic()
                self._value = read()
                self._read_at = began
            return self._value
        finally:
            self._lock.release()

    def forget(self) -> None:
        """The next one reads it anew: it has just been changed."""
        self._read_at = float("-inf")
