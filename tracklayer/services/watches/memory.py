"""What a process remembers between two looks: of a bounded number of merchants, so that its memory does not grow."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MERCHANTS = 20_000  # of whom a process remembers when it looked at them: some 150 bytes each


class Remembered(OrderedDict[K, V], Generic[K, V]):
    """The keys that were noted last, ``most`` of them. What is forgotten is looked at as if for the first time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def note(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)

    def note_all(self, keys: list[K], value: V) -> None:
        for key in keys:
            self.note(key, value)
