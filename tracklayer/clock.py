"""The only place that asks what time it is. Everything else receives ``now`` as an argument.

PostgreSQL's clock is everybody's: due times, leases and windows mean the same to every process, whatever its machine
takes for the time of day.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

DRIFT = 5e-4  # seconds a second: no clock of a machine that works runs off faster (NTP slews by as much at most)
UNBELIEVABLE = timedelta(seconds=60)  # between what was expected and one measurement: a second one must say the same


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def now(self) -> datetime: ...

    @property
    def is_sure(self) -> bool:
        """False while nobody knows how late it is: whoever could take away another's work by it must not."""
        ...


class SystemClock:
    """This machine's clock, for what knows no database."""

    is_sure = True

    def now(self) -> datetime:
        return datetime.now(UTC)


class FrozenClock:
    """Stands still until it is moved: for tests, and for judging an event as of a given instant."""

    is_sure = True

    def __init__(self, instant: datetime) -> None:
        self.instant = instant.astimezone(UTC)

    def now(self) -> datetime:
        return self.instant

    def move(self, by: timedelta) -> datetime:
        self.instant += by
        return self.instant


def _elapsed() -> Callable[[], float]:
    """Seconds since some instant, whatever anybody sets the clock to; those that a machine slept too, where it tells."""
    try:
        boot: int = time.CLOCK_BOOTTIME
        time.clock_gettime(boot)
    except (AttributeError, OSError):
        return time.monotonic
    return partial(time.clock_gettime, boot)


elapsed = _elapsed()


@dataclass(frozen=True, slots=True)
class _Bounds:
    """PostgreSQL's clock is ``least`` to ``most`` seconds ahead of the elapsed ones, as was found ``at``."""

    least: float
    most: float
    at: float

    @property
    def middle(self) -> float:
        return (self.least + self.most) / 2

    def agreed(self, later: _Bounds) -> _Bounds | None:
        """What both say; None where they contradict each other: one of the clocks was set."""
        drifted = DRIFT * max(0.0, later.at - self.at)
        least, most = max(self.least - drifted, later.least), min(self.most + drifted, later.most)
        return _Bounds(least, most, later.at) if least <= most else None


class DatabaseClock:
    """PostgreSQL's time, carried on from one measurement to the next by this machine's count of seconds.

    The machine's own time of day is good for the very beginning, until the first measurement; whoever sets it later
    changes nothing. ``wall`` gives that time of day, ``seconds`` the elapsed seconds. Any thread may call.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds: Callable[[], float] = elapsed,
    ) -> None:
        self._wall = wall
        self._seconds = seconds
        self._lock = threading.Lock()
        self._ahead = wall().timestamp() - seconds()
        self._known: _Bounds | None = None
        self._doubted: _Bounds | None = None  # the last measurement, where it was not to be believed

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._ahead + self._seconds(), UTC)

    @property
    def is_sure(self) -> bool:
        return self._known is not None and self._doubted is None

    def measure(self, ask: Callable[[], datetime]) -> None:
        """Asks PostgreSQL, by ``ask``, what time it is, and goes by the answer. What ``ask`` raises is the caller's.

        Its clock was read at some time between question and answer: so each measurement gives bounds, wide ones after
        a slow round trip, and what stays is where they agree: the quickest say most, a slow one nothing false. Bounds
        that contradict the former ones are new ones: a clock was set. Where they lie more than ``UNBELIEVABLE`` off,
        two in a row must say so; until then the time goes on as it was, and ``is_sure`` is False.
        """
        before = self._seconds()
        there = ask().timestamp()
        after = self._seconds()
        found = _Bounds(there - after, there - before, after)
        with self._lock:
            agreed = found if self._known is None else self._known.agreed(found)
            if agreed is None:
                gap = max(found.least - self._ahead, self._ahead - found.most)
                confirmed = self._doubted.agreed(found) if self._doubted is not None else None
                if gap > UNBELIEVABLE.total_seconds() and confirmed is None:
                    self._doubted = found
                    return
                agreed = confirmed or found
            self._known, self._doubted, self._ahead = agreed, None, agreed.middle

    def machine_is_ahead(self) -> timedelta:
        """How far this machine's time of day is ahead of PostgreSQL's; nothing, where the bounds leave that open."""
        known = self._known
        if known is None:
            return timedelta()
        ahead = self._wall().timestamp() - self._seconds() - known.middle
        return timedelta(seconds=ahead) if abs(ahead) > (known.most - known.least) / 2 else timedelta()
