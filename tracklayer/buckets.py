"""Token buckets: how often something may be done in a time, by whoever does it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

BURST = 10  # seconds' worth that a bucket holds
REMEMBERED = 10_000  # buckets: the one that was not asked for longest goes for a new one, and would be full by then


class Bucket(NamedTuple):
    """How much was left when somebody last took."""

    left: float
    at: float


class Buckets:
    """One bucket for each key, filled by ``rate`` a second up to ``burst``. A rate of 0: no limit."""

    def __init__(self, rate: float, burst: float | None = None, remembered: int = REMEMBERED) -> None:
        self.rate = rate
        self.burst = rate * BURST if burst is None else burst
        self._remembered = remembered
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, key: Hashable, amount: float, now: float) -> float:
        """Takes ``amount`` if it is there. 0.0, or the seconds until it will be: then nothing was taken."""
        if not self.rate:
            return 0.0
        left = self.left(key, now)
        wanted = min(amount, self.burst)
        if wanted > left:
            return (wanted - left) / self.rate
        self._put(key, left - wanted, now)
        return 0.0

    def charge(self, key: Hashable, amount: float, now: float) -> None:
        """Takes ``amount`` whether it is there or not: what is missing is owed, up to a burst."""
        if self.rate:
            self._put(key, max(self.left(key, now) - amount, -self.burst), now)

    def left(self, key: Hashable, now: float) -> float:
        """How much could be taken."""
        bucket = self._buckets.get(key)
        if bucket is None:
            return self.burst
        return min(self.burst, bucket.left + max(0.0, now - bucket.at) * self.rate)

    def _put(self, key: Hashable, left: float, now: float) -> None:
        self._buckets[key] = Bucket(left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
