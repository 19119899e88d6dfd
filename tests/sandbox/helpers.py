"""What the tests of each emulated platform share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx


class Clock:
    """Stands at the instant of Meta's worked examples, or where a file says in ``STARTS_AT``, until it is moved."""

    def __init__(self) -> None:
        self.start = datetime(2026, 11, 20, 15, tzinfo=UTC)
        self.instant = self.start

    def now(self) -> datetime:
        return self.instant

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


def accepted(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/_accepted").json()
    return found


def counted(http: httpx.Client) -> tuple[int, int]:
    """(unique, received) of what was accepted."""
    found = accepted(http)
    return found["unique"], found["received"]
