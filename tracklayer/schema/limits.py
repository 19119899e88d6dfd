"""How much may be asked for in a time: token buckets of this process, by whoever asks.

Taking events in costs nothing here; the waiting room bounds it (``services.intake``). What is refused is told with how
long to wait. Several API processes limit each for itself.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple

from tracklayer.db.merchants import KeyHolder
from tracklayer.schema import errors

BURST = 10  # seconds' worth that a bucket holds
REMEMBERED = 10_000  # buckets: the one that was not asked for longest goes for a new one, and would be full by then

# Of those who send no key, a second: one address, and all of them together.
STRANGERS, ALL_STRANGERS = 5, 20
# Look-ups of keys that this process has not seen, a second: what somebody who guesses may cost the database.
UNKNOWN_KEYS = 50


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
        self._buckets[key] = Bucket(left - wanted, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        return 0.0

    def left(self, key: Hashable, now: float) -> float:
        """How much could be taken."""
        bucket = self._buckets.get(key)
        if bucket is None:
            return self.burst
        return min(self.burst, bucket.left + max(0.0, now - bucket.at) * self.rate)


@dataclass
class Limits:
    """Of one process. ``reads``: objects a second of a merchant; ``requests``: operations a second of a key."""

    reads: Buckets
    requests: Buckets
    strangers: Buckets
    all_strangers: Buckets
    unknown_keys: Buckets
    now: Callable[[], float] = time.monotonic

    def admit(self, holder: KeyHolder, cost: int) -> None:
        """Counts an operation that does more than take events in. Raises GraphQLError where it has to wait."""
        now = self.now()
        wait = self.requests.take((holder.merchant_id, holder.key_id), 1, now)
        if wait:
            raise _limited(f"This key has asked {self.requests.burst:,.0f} times in too short a time", wait)
        wait = self.reads.take(holder.merchant_id, cost, now)
        if wait:
            raise _limited(f"This merchant has read {self.reads.burst:,.0f} objects in too short a time", wait)

    def admit_stranger(self, address: str) -> None:
        """Counts a request without a key. Raises GraphQLError where it has to wait."""
        now = self.now()
        wait = self.strangers.take(address, 1, now) or self.all_strangers.take("", 1, now)
        if wait:
            raise _limited("Too many requests without an API key", wait)

    def admit_unknown_key(self) -> None:
        """Counts the look-up of a key that was never seen. Raises GraphQLError where it has to wait."""
        wait = self.unknown_keys.take("", 1, self.now())
        if wait:
            raise _limited("Too many API keys that this server does not know", wait)


def build_limits(reads: float, requests: float) -> Limits:
    """``reads``: objects a second of a merchant; ``requests``: operations a second of a key; 0: no limit."""
    return Limits(Buckets(reads), Buckets(requests), Buckets(STRANGERS), Buckets(ALL_STRANGERS), Buckets(UNKNOWN_KEYS))


def _limited(what: str, wait: float) -> Exception:
    seconds = max(1, math.ceil(wait))
    return errors.refused(f"{what}. Ask again in {seconds} s.", errors.RATE_LIMITED, retryAfterSeconds=seconds)
