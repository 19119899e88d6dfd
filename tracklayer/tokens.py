"""Access tokens of platforms that hand them out by the hour: kept in memory, fetched once however many threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from tracklayer.clock import Clock

EARLY = timedelta(minutes=2)  # a token that is about to end is fetched anew: a batch must not outlive it
LARGEST = 10_000  # tokens kept; beyond it the cache starts anew


@dataclass(frozen=True)
class AccessToken:
    token: str = field(repr=False)
    lifetime: timedelta


class TokenCache:
    """One per process. Keys are digests of what the tokens are fetched with, so that no secret is kept as a key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    def get(self, key: str, fetch: Callable[[], AccessToken]) -> str:
        """The kept token, or the one that ``fetch`` brings. What ``fetch`` raises is the caller's."""
        with self._lock_of(key):
            kept = self._tokens.get(key)
            if kept is not None and kept[1] > self._clock.now().timestamp():
                return kept[0]
            found = fetch()
            usable = max(found.lifetime - EARLY, found.lifetime / 2)
            self._tokens[key] = (found.token, (self._clock.now() + usable).timestamp())
            return found.token

    def forget(self, key: str, token: str) -> bool:
        """Drops a token that was refused; False where another thread replaced it already."""
        with self._lock_of(key):
            kept = self._tokens.get(key)
            if kept is None or kept[0] != token:
                return False
            del self._tokens[key]
            return True

    def _lock_of(self, key: str) -> threading.Lock:
        with self._lock:
            if len(self._tokens) > LARGEST:
                self._tokens.clear()
            return self._locks.setdefault(key, threading.Lock())
