"""What the platforms have accepted, with duplicates recognised as the platform recognises them; bounded."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from tracklayer.sandbox.platforms.base import Item


@dataclass(slots=True)
class Accepted:
    """An event as the platform counts it; ``times`` is how often it arrived, ``item`` its body while kept."""

    seq: int
    platform: str
    event_id: str | None
    event_name: str | None
    destination: str
    test: bool
    received_at: datetime
    times: int
    item: object

    def public(self) -> dict[str, Any]:
        """The JSON of one of ``items`` in ``GET /_accepted``."""
        return {name: getattr(self, name) for name in self.__slots__}


class Memory:
    """Remembers at most ``identities`` events and the bodies of the last ``bodies``.

    The oldest are forgotten first; a copy of a forgotten event counts as a new one. The counts go on.
    """

    def __init__(self, identities: int, bodies: int) -> None:
        self._identities = identities
        self._bodies = bodies
        self.clear()

    def clear(self) -> None:
        # not a dict: taking the oldest out of one again and again walks over all that were taken before
        self._events: OrderedDict[tuple[object, ...], Accepted] = OrderedDict()
        self._with_body: deque[Accepted] = deque()
        self._unique: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._last_seq = 0

    def remember(self, platform: str, item: Item, now: datetime) -> None:
        """Counts an accepted item: as a new event, or as one more copy of one it has."""
        self._received[platform] += 1
        # a number is in no platform's key, so an event without a key is always new
        key: tuple[object, ...] = (platform, *(item.dedup_key or (self._last_seq + 1,)))
        known = self._events.get(key)
        if known is not None and now - known.received_at <= item.dedup_window:
            known.times += 1
            if item.newest_wins:
                self._keep_body(known, item.body)
            return
        self._unique[platform] += 1
        self._last_seq += 1
        self._events.pop(key, None)  # out of its window: the new one goes to the end
        event = Accepted(
            seq=self._last_seq,
            platform=platform,
            event_id=item.event_id,
            event_name=item.event_name,
            destination=item.destination,
            test=item.test,
            received_at=now,
            times=1,
            item=None,
        )
        self._events[key] = event
        self._keep_body(event, item.body)
        if len(self._events) > self._identities:
            self._events.popitem(last=False)

    def counts(self, platform: str | None, event_id: str | None) -> tuple[int, int]:
        """(unique, received): of everything ever accepted; with an event id, of what is still remembered."""
        if event_id is not None:
            found = list(self._matching(platform, event_id))
            return len(found), sum(event.times for event in found)
        if platform is not None:
            return self._unique[platform], self._received[platform]
        return self._unique.total(), self._received.total()

    def page(self, platform: str | None, event_id: str | None, since: int | None, limit: int) -> list[Accepted]:
        """Newest last. With ``since`` the next ones, so that a reader can follow; without it the newest."""
        found = self._matching(platform, event_id)
        if since is not None:
            return list(islice((event for event in found if event.seq > since), limit))
        return list(deque(found, maxlen=limit))

    def _matching(self, platform: str | None, event_id: str | None) -> Iterator[Accepted]:
        for event in self._events.values():
            if platform in (None, event.platform) and event_id in (None, event.event_id):
                yield event

    def _keep_body(self, event: Accepted, body: object) -> None:
        if event.item is None:
            self._with_body.append(event)
        event.item = body
        if len(self._with_body) > self._bodies:
            self._with_body.popleft().item = None
