"""A role with a fault in it: a wrong clock, or a mapper that raises. The product itself has no switch for either.

``python -m tracklayer.cli.bench.launcher FILE COMMAND ...`` is ``tracklayer COMMAND ...``, but for what FILE says, which is
looked at all the time: ``{"clock_seconds": 150, "raises": [PLATFORM, "map_event"]}``. The clock of this process is then 150 s
ahead of the machine's, and that function of that platform's mapper raises whatever it is given; that it has done so is told by
a file of FILE's name that ends in ``.map_event``.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

gc.disable()  # see ``tracklayer.__main__``

from tracklayer import clock, mappers  # noqa: E402
from tracklayer.cli import main  # noqa: E402
from tracklayer.cli.bench.roles import BUGS  # noqa: E402
from tracklayer.domain import retry  # noqa: E402

LOOK_SECONDS = 0.1  # between two looks at the file
PUT_OFF = timedelta(seconds=4)  # as all waits of a storm: what could not be sent waits for seconds, not for ten minutes


class BugError(Exception):
    """What a mapper with a bug raises."""


class Faults:
    """What the file says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at = -LOOK_SECONDS
        self._found: dict[str, Any] = {}

    @property
    def clock_seconds(self) -> float:
        return float(self._look().get("clock_seconds", 0))

    def check(self, platform: str, function: str) -> None:
        if self._look().get("raises") == [platform, function]:
            self._path.with_suffix(f".{function}").touch()
            raise BugError

    def _look(self) -> dict[str, Any]:
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._found = orjson.loads(self._path.read_bytes())
        return self._found


def shift_clock(faults: Faults) -> None:
    """Both ways to ask this machine what time it is: Python's, and the one place of ours."""
    seconds, nanoseconds = time.time, time.time_ns

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz or UTC) + timedelta(seconds=faults.clock_seconds)

        @classmethod
        def fromtimestamp(cls, timestamp: float, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(timestamp, tz or UTC)

    time.time = lambda: seconds() + faults.clock_seconds
    time.time_ns = lambda: nanoseconds() + int(faults.clock_seconds * 1e9)
    vars(clock)["datetime"] = Shifted


def plant_bugs(faults: Faults) -> None:
    def buggy(platform: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            faults.check(platform, name)
            return function(*args)

        return call

    planted = {}
    for platform in mappers.PLATFORMS:
        sound = mappers.mapper_for(platform)
        functions: dict[str, Any] = {name: buggy(platform, name, getattr(sound, name)) for name in BUGS}
        planted[platform] = replace(sound, **functions)
    vars(mappers)["_MAPPERS"] = MappingProxyType(planted)
    retry.judge_unbuilt.__defaults__ = (PUT_OFF,)


if __name__ == "__main__":
    faults = Faults(Path(sys.argv[1]))
    shift_clock(faults)
    plant_bugs(faults)
    # Whatever dies here dies as a role does, and is asked to end as one.
    sys.argv[0] = os.path.basename(sys.argv[0])  # noqa: PTH119 - no path, but a name to be shown
    sys.exit(main(sys.argv[2:]))
