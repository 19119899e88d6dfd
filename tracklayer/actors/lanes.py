"""How many places of this process one destination, one merchant or one platform may occupy.

A place is a thread that works on a backlog, or a request of a single delivery that is on its way. A destination that hangs
leaves room for the others; so do platforms that hang for every merchant at once, and a merchant whose backlogs on many
platforms would take every place for as long as they last.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

Destination = tuple[int, str]  # merchant id, platform
HOUSEKEEPERS = 2  # places
FRESH = 4  # lanes that backlogs leave to whoever keeps up while there is somebody, however many backlogs there are
LAST = 2  # lanes that no platform gets which has a quarter of the places
_ALL, _BACKLOGS = "all", "backlogs"


class Lanes:
    """``places``: of the process. A destination gets a quarter of them, if nothing else is said, a merchant or a platform
    half. The ``LAST`` ones go to platforms that have less than a quarter, so that two that hang leave some to the others.

    Deliveries together leave ``HOUSEKEEPERS`` of them free, where threads work for the sweep and the other periodic jobs, and
    backlogs together ``FRESH`` of the rest to others. Whoever finds no room stands in line, and each lane that becomes free
    is offered to the one that has stood there longest and fits.
    """

    def __init__(self, places: int, of_destination: int | None = None) -> None:
        self._all_places = places
        self._of_destination = of_destination or max(1, places // 4)
        self._of_merchant = max(1, places // 2)
        self._of_all = max(1, places - HOUSEKEEPERS)
        self._of_backlogs = max(1, places - HOUSEKEEPERS - FRESH)
        self._lock = threading.Lock()
        self._taken: Counter[object] = Counter()
        self._places = count()
        # By platform, and whether it is of those that yield: who stands there, oldest first, at which place of all of them.
        self._lines: defaultdict[tuple[str, bool], OrderedDict[Destination, int]] = defaultdict(OrderedDict)
        self._called: dict[Destination, int] = {}  # whom somebody was told of, and their places

    @contextmanager
    def enter(self, destination: Destination, *, yields: bool = False) -> Iterator[bool]:
        """True where there was room. Where there was none, ``missed`` names it, when it is its turn, to whoever leaves.

        ``yields``: it has a backlog, and others have something to do.
        """
        room = self.take(destination, yields=yields)
        try:
            yield room
        finally:
            if room:
                self.leave(destination, yields=yields)

    def take(self, destination: Destination, *, yields: bool = False) -> bool:
        """As ``enter``; whoever got room calls ``leave``."""
        keys = _keys(destination, yields)
        with self._lock:
            room = self._has_room(keys)
            called = self._called.pop(destination, None)
            before = self._lines[destination[1], not yields].pop(destination, called)
            line = self._lines[destination[1], yields]
            if room:
                self._taken.update(keys)
                line.pop(destination, None)
            elif destination not in line:
                line[destination] = next(self._places) if before is None else before
                if before is not None:  # it was overtaken on its way here
                    line.move_to_end(destination, last=False)
            return room

    def leave(self, destination: Destination, *, yields: bool = False) -> None:
        keys = _keys(destination, yields)
        with self._lock:
            self._taken.subtract(keys)
            for key in keys:
                if not self._taken[key]:
                    del self._taken[key]

    @property
    def taken(self) -> int:
        """By all together."""
        return self._taken.get(_ALL, 0)

    @property
    def is_full(self) -> bool:
        """Whether there is room for nobody."""
        return self.taken >= self._of_all

    def missed(self, destination: Destination, *, itself: bool = False) -> list[Destination]:
        """Whom to wake now that ``destination`` has left: of all others that found no room and have it by now, the one that
        has waited longest. One, for the one lane that is free; it is told once. ``itself``: it may be the one, too.
        """
        with self._lock:
            fitting = []
            for (platform, yields), line in self._lines.items():
                # What nobody of a line could have is asked first: of the others a few are passed over at most.
                if line and self._has_room(_keys((0, platform), yields)):
                    for other, place in line.items():
                        if (itself or other != destination) and self._has_room(_keys(other, yields)):
                            fitting.append((place, other, line))
                            break
            if not fitting:
                return []
            _, other, line = min(fitting, key=lambda found: found[0])
            self._called[other] = line.pop(other)
            return [other]

    def _has_room(self, keys: tuple[object, ...]) -> bool:
        limits = self._limits(self._taken[_ALL])
        return all(self._taken[key] < limit for key, limit in zip(keys, limits, strict=False))

    def _limits(self, taken: int) -> tuple[int, ...]:
        """Of a destination, a merchant, a platform, all deliveries and all backlogs, while so many are taken."""
        of_platform = max(1, self._all_places // (4 if taken >= self._of_all - LAST else 2))
        return self._of_destination, self._of_merchant, of_platform, self._of_all, self._of_backlogs


def _keys(destination: Destination, yields: bool) -> tuple[object, ...]:
    """What it takes a lane of, in the order of the limits."""
    keys = (destination, ("merchant", destination[0]), ("platform", destination[1]), _ALL)
    return (*keys, _BACKLOGS) if yields else keys
