"""Access tokens of platforms that hand them out by the hour: kept in memory, fetched once however many threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tracklayer.clock import Clock

EARLY = timedelta(minutes=2)  # a token that is about to end is fetched anew: a batch must not outlive it
LARGEST = 10_000  # tokens kept; beyond it the oldest go


@dataclass(frozen=True)
class AccessToken:
    token: str = field(repr=False)
    lifetime: timedelta


class TokenCache:
    """One per process. Keys are digests of what the tokens are fetched with, so that no secret is kept as a key.

    A fetch keeps nobody waiting but those who ask with the same key, and they wait for that one fetch: what it brings,
    or fails with, is theirs too. Of a key nothing is kept but a token that still runs.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()  # never held while anything is waited for
        self._fetching: dict[str, Future[str]] = {}
        self._tokens: dict[str, tuple[str, datetime]] = {}  # until when they are good, oldest first

    def get(self, key: str, fetch: Callable[[], AccessToken]) -> str:
        """The kept token, or the one that ``fetch`` brings. What ``fetch`` raises is the caller's."""
        while True:
            with self._lock:
                kept = self._tokens.get(key)
                if kept is not None and kept[1] > self.clock.now():
                    return kept[0]
                under_way = self._fetching.get(key)
                if under_way is None:
                    mine = self._fetching[key] = Future()
            if under_way is None:
                return self._fetch(key, mine, fetch)
            try:
                return under_way.result()
            except CancelledError:
                continue  # whoever fetched was stopped, and nothing was found out

    def _fetch(self, key: str, mine: Future[str], fetch: Callable[[], AccessToken]) -> str:
        found: AccessToken | None = None
        failed: Exception | None = None
        try:
            found = fetch()
        except Exception as error:
            failed = error
            raise
        finally:
            with self._lock:
                del self._fetching[key]
                self._tokens.pop(key, None)
                if found is not None:
                    self._keep(key, found)
            if found is not None:
                mine.set_result(found.token)
            elif failed is not None:
                mine.set_exception(failed)
            else:
                mine.cancel()
        return found.token

    def _keep(self, key: str, found: AccessToken) -> None:
        now = self.clock.now()
        for other in [other for other, (_, until) in self._tokens.items() if until <= now]:
            del self._tokens[other]
        while len(self._tokens) >= LARGEST:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[key] = (found.token, now + max(found.lifetime - EARLY, found.lifetime / 2))

    def forget(self, key: str, token: str) -> bool:
        """Drops a token that was refused; False where another thread replaced it already."""
        with self._lock:
            kept = self._tokens.get(key)
            if kept is None or kept[0] != token:
                return False
            del self._tokens[key]
            return True

    def size(self) -> int:
        """Of how many keys anything is kept: a token, or a fetch that is under way."""
        with self._lock:
            return len(self._tokens.keys() | self._fetching.keys())
