"""What waits to be stored: the calls of all merchants, each merchant's in a line of its own, which take turns.

How many may wait is told in ``intake``, and what is stored together in ``group_commit``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from tracklayer.services.ingest import Call

T = TypeVar("T")

TURN_EVENTS = 50  # read and hashed, or taken into a batch, in one go, before the next merchant gets its turn


class OverloadedError(Exception):
    """More waits than this process may hold, or than this merchant may have waiting: nothing of the call was taken."""


class LateError(OverloadedError):
    """It waited for longer than ``LATE_SECONDS``: nothing more of the call is stored, but a part of a long one may be."""


class Lines(Generic[T]):
    """What waits, a line for each merchant; they take turns."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[T]] = {}

    def add(self, merchant_id: int, item: T) -> None:
        line = self._lines.get(merchant_id)
        if line is None:
            self._lines[merchant_id] = line = deque()
        line.append(item)

    def next(self, only: int | None = None) -> deque[T]:
        """The line whose turn it is, never an empty one; the next call gives another's, where there is one.

        ``only``: whose turn it is, for one that has a line.
        """
        merchant_id = next(iter(self._lines)) if only is None else only
        line = self._lines[merchant_id]
        if len(self._lines) > 1:
            self._lines[merchant_id] = self._lines.pop(merchant_id)
        return line

    def leave(self, merchant_id: int) -> None:
        """Ends a line that has become empty."""
        del self._lines[merchant_id]

    def of(self, merchant_id: int) -> Iterable[T]:
        """What waits of one merchant."""
        return self._lines.get(merchant_id, ())

    def merchants(self) -> AbstractSet[int]:
        """Those that have a line."""
        return self._lines.keys()

    def all(self) -> Iterable[T]:
        """All that waits."""
        return chain.from_iterable(self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(slots=True)
class Waiting:
    """A call on its way: its drafts are judged first, then its items are stored, in one part or in several."""

    call: Call
    drafts: Sequence[Any]
    done: asyncio.Future[None]
    taken: int = 0  # items that went into batches
    stored: int = 0  # items that are committed
