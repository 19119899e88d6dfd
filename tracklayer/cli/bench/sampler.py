"""Where a process spends its time: its stack, looked at after every millisecond of processor time."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Self

PERIOD_SECONDS = 0.001
DEPTH = 60  # frames of a stack


class Sampler:
    """Writes ``count stack`` lines, innermost frame last, most frequent first; does nothing without a file."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._stacks: Counter[tuple[str, ...]] = Counter()

    def __enter__(self) -> Self:
        if self._path is not None:
            signal.signal(signal.SIGPROF, self._look)
            signal.setitimer(signal.ITIMER_PROF, PERIOD_SECONDS, PERIOD_SECONDS)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._path is not None:
            signal.setitimer(signal.ITIMER_PROF, 0)
            with Path(self._path).open("w") as file:
                for stack, count in self._stacks.most_common():
                    file.write(f"{count} {';'.join(stack)}\n")

    def _look(self, number: int, frame: FrameType | None) -> None:
        stack: list[str] = []
        while frame is not None and len(stack) < DEPTH:
            code = frame.f_code
            stack.append(f"{code.co_filename.rpartition('/')[2]}:{frame.f_lineno}:{code.co_name}")
            frame = frame.f_back
        self._stacks[tuple(reversed(stack))] += 1
