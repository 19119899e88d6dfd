"""What a process has done since it was last asked: for the line that it writes to its log once a minute."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """``counts``: of what (``events``, ``deliveries``) -> outcome -> how many. ``longest_wait``: seconds, of what was claimed."""

    counts: Mapping[str, Mapping[str, int]]
    claims: int
    longest_wait: float

    def sentence(self, seconds: float) -> str:
        """For example ``in the last 60 s: events 120 accepted, 3 rejected; 7 claims, longest wait 0.4 s``."""
        parts = [
            f"{what} {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}"
            for what, outcomes in sorted(self.counts.items())
        ]
        if self.claims:
            parts.append(
                f"{self.claims} claim{'s' if self.claims > 1 else ''}, longest wait {max(0.0, self.longest_wait):.1f} s"
            )
        return f"in the last {seconds:.0f} s: {'; '.join(parts)}"


class Tally:
    """Of one process. Any thread may add; the lock is held for some additions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._claims, self._longest_wait = 0, 0.0

    def add(self, what: str, outcomes: Iterable[str]) -> None:
        """Counts one of ``what`` for each outcome."""
        with self._lock:
            counts = self._counts[what]
            for outcome in outcomes:
                counts[outcome] = counts.get(outcome, 0) + 1

    def add_many(self, what: str, outcome: str, count: int) -> None:
        if count:
            with self._lock:
                counts = self._counts[what]
                counts[outcome] = counts.get(outcome, 0) + count

    def claimed(self, waited: float) -> None:
        """One claim; ``waited``: seconds that the delivery in it which was due first had been so."""
        with self._lock:
            self._claims += 1
            self._longest_wait = max(self._longest_wait, waited)

    def take(self) -> Done | None:
        """What was added since the last time; None: nothing."""
        with self._lock:
            counts = {what: outcomes for what, outcomes in self._counts.items() if outcomes}
            done = Done(counts, self._claims, self._longest_wait)
            self._begin()
        return done if done.counts or done.claims else None
