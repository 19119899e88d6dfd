"""The only place that asks what time it is. Everything else receives ``now`` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """This machine's clock, moved by ``skew`` so that every process agrees with PostgreSQL's."""

    def __init__(self, skew: timedelta = timedelta()) -> None:
        self.skew = skew

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew


class FrozenClock:
    """Stands still until it is moved: for tests, and for judging an event as of a given instant."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant.astimezone(UTC)

    def now(self) -> datetime:
        return self.instant

    def move(self, by: timedelta) -> datetime:
        self.instant += by
        return self.instant
