"""API keys and sessions that were looked up a moment ago, so that a caller of a thousand events a second is looked up once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from tracklayer.clock import elapsed

# A key that another process revoked works here for this long at most; what this process changes counts at once.
LIFETIME = timedelta(seconds=1)
_NOTHING = timedelta()
_SECONDS = LIFETIME.total_seconds()
LARGEST = 10_000  # keys kept: the oldest goes for a new one


class _Holder(Protocol):
    @property
    def merchant_id(self) -> int: ...

    @property
    def asked_at(self) -> float: ...  # when its rows were, by ``clock.elapsed``


H = TypeVar("H", bound=_Holder)


class Keyring(Generic[H]):
    """Who holds which key, by the key's hash. One a process, used by any thread.

    Only keys that were found are kept, so that guessing fills nothing. Whoever changes what a holder is made of calls
    ``forget`` after the commit. A look-up that began before that is not kept: it may have seen the rows as they were.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[bytes, tuple[H, datetime]] = {}
        self._changes = 0
        self._told: list[Callable[[], None]] = []

    def tell(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls a listener whenever something is dropped, in whichever thread does it. Returns what ends that."""
        self._told.append(listener)
        return lambda: self._told.remove(listener)

    def find(self, key_hash: bytes, now: datetime) -> H | None:
        """The holder, or None where the rows must be asked."""
        kept = self._kept.get(key_hash)
        if kept is None or not _NOTHING <= now - kept[1] < LIFETIME:
            return None
        holder = kept[0]
        # The one clock may have been set, and the other stands still with the machine.
        return holder if elapsed() - holder.asked_at < _SECONDS else None

    def has_held(self, key_hash: bytes) -> bool:
        """Whether it was found before, however long ago: then it is nobody's guess."""
        return key_hash in self._kept

    def begin(self) -> int:
        """What ``keep`` wants to know of a look-up: taken before its rows are read."""
        return self._changes

    def keep(self, key_hash: bytes, holder: H, now: datetime, begun: int) -> None:
        with self._lock:
            if begun != self._changes:
                return
            self._kept.pop(key_hash, None)
            self._kept[key_hash] = (holder, now)
            if len(self._kept) > LARGEST:
                del self._kept[next(iter(self._kept))]

    def forget(self, merchant_id: int) -> None:
        """Drops a merchant's keys."""
        with self._lock:
            self._changes += 1
            for key_hash in [key for key, (holder, _) in self._kept.items() if holder.merchant_id == merchant_id]:
                del self._kept[key_hash]
        self._tell()

    def drop(self, key_hash: bytes) -> None:
        """Drops one, as ``forget`` does all of a merchant."""
        with self._lock:
            self._changes += 1
            self._kept.pop(key_hash, None)
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._told):
            listener()

    def __len__(self) -> int:
        return len(self._kept)
