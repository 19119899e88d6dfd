"""Faults that a running sandbox is told to play: which there are, their JSON, whom they strike."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

KINDS = {
    "down": "the connection is cut without an answer, nothing is remembered",
    "hang": "nothing happens for delay_seconds (60); handled then if the client is still there",
    "slow": "handled at once, answered after delay_seconds (1); goes together with any other fault",
    "error": "status (500) in the platform's own error shape",
    "rate_limit": "the platform's own way to say too fast, with Retry-After where retry_after is given",
    "credentials": "the platform's own way to refuse a token",
    "refuse": "events whose id is in event_ids are invalid; goes together with any other fault",
    "drop_after_accept": "handled and remembered, then the connection is cut without an answer",
    "half_body": "handled and remembered, then cut in the middle of the answer's body",
}
JOINING = {"slow", "refuse"}
FIELDS = (*("platform", "kind", "share", "seconds", "count", "retry_after", "delay_seconds", "status", "event_ids"),)
DELAY_SECONDS = {"hang": 60.0, "slow": 1.0}
LONGEST_SECONDS = 30 * 86400.0  # longer than any test run; keeps times from overflowing
MOST_FAULTS = 1000  # each request looks at every fault


class FaultError(ValueError):
    """A fault that cannot be set; the message is one sentence for whoever asked."""


@dataclass(slots=True)
class Fault:
    """A fault that was set; ``until`` and ``left`` are None where nothing but clearing ends it."""

    id: int
    platform: str
    kind: str
    share: float
    until: datetime | None
    left: int | None
    retry_after: int | None
    delay_seconds: float
    status: int
    event_ids: frozenset[str]
    hits: int = 0

    def is_active(self, now: datetime) -> bool:
        return self.left != 0 and (self.until is None or now < self.until)

    def hit(self) -> None:
        self.hits += 1
        if self.left is not None:
            self.left -= 1

    def public(self, now: datetime) -> dict[str, Any]:
        """The JSON of ``GET /_faults``; ``count`` is how many requests it may still strike."""
        return {
            "id": self.id,
            "platform": self.platform,
            "kind": self.kind,
            "share": self.share,
            "until": self.until,
            "count": self.left,
            "retry_after": self.retry_after,
            "delay_seconds": self.delay_seconds,
            "status": self.status,
            "event_ids": sorted(self.event_ids),
            "hits": self.hits,
            "active": self.is_active(now),
        }


@dataclass(frozen=True, slots=True)
class Draw:
    """What strikes one request: at most one fault that decides the answer, a delay, ids to refuse."""

    struck: Fault | None
    delay_seconds: float
    refusing: tuple[Fault, ...]

    @property
    def refused_ids(self) -> frozenset[str]:
        return frozenset().union(*(fault.event_ids for fault in self.refusing))

    def count_refusals(self, event_ids: Collection[str | None]) -> None:
        """A ``refuse`` fault has struck where the request held one of its events, not before."""
        for fault in self.refusing:
            if not fault.event_ids.isdisjoint(event_ids):
                fault.hit()


class Faults:
    """The faults set, in their order. Of those that decide the answer, the first to strike wins."""

    def __init__(self, platforms: Collection[str], seed: int) -> None:
        self.platforms = platforms
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        """Forgets every fault and starts the random numbers anew."""
        self._faults: dict[int, Fault] = {}
        self._last_id = 0
        self._random = random.Random(self.seed)

    def set(self, draft: object, now: datetime) -> Fault:
        """Sets a fault from its JSON. Raises ``FaultError``."""
        if len(self._faults) >= MOST_FAULTS:
            raise FaultError(f"There are {MOST_FAULTS} faults already; clear some first.")
        self._last_id += 1
        fault = read_fault(draft, self._last_id, self.platforms, now)
        self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        """Whether there was such a fault."""
        return self._faults.pop(fault_id, None) is not None

    def remove_all(self) -> int:
        """How many there were. The random numbers go on."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def all(self) -> list[Fault]:
        return list(self._faults.values())

    def draw(self, platform: str, now: datetime) -> Draw:
        """Decides what strikes a request to this platform, and counts it, except for refusals."""
        struck, delay, refusing = None, 0.0, []
        for fault in self._faults.values():
            if fault.platform not in (platform, "*") or not fault.is_active(now):
                continue
            if struck and fault.kind not in JOINING:
                continue
            if fault.share < 1 and self._random.random() >= fault.share:
                continue
            if fault.kind == "refuse":
                refusing.append(fault)
                continue
            fault.hit()
            if fault.kind == "slow":
                delay += fault.delay_seconds
            else:
                struck = fault
        return Draw(struck, delay, tuple(refusing))


def read_fault(draft: object, fault_id: int, platforms: Collection[str], now: datetime) -> Fault:
    """A ``Fault`` from the JSON of ``POST /_faults``. Raises ``FaultError``."""
    if not isinstance(draft, dict):
        raise FaultError("A fault is a JSON object.")
    if unknown := sorted(draft.keys() - set(FIELDS)):
        raise FaultError(f"There is no field {', '.join(unknown)}; known are {', '.join(FIELDS)}.")
    kind = draft.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise FaultError(f"kind must be one of {', '.join(KINDS)}.")
    platform = draft.get("platform", "*")
    if platform != "*" and platform not in tuple(platforms):
        raise FaultError(f"platform must be * or one of {', '.join(platforms)}.")
    seconds = _number(draft, "seconds", None, least=0.001, most=LONGEST_SECONDS)
    return Fault(
        id=fault_id,
        platform=platform,
        kind=kind,
        share=_number(draft, "share", 1.0, least=0, most=1) or 0.0,
        until=None if seconds is None else now + timedelta(seconds=seconds),
        left=_whole(draft, "count", None, least=1, most=10**9),
        retry_after=_whole(draft, "retry_after", None, least=0, most=int(LONGEST_SECONDS)),
        delay_seconds=_number(draft, "delay_seconds", DELAY_SECONDS.get(kind, 0.0), 0, LONGEST_SECONDS) or 0.0,
        status=_whole(draft, "status", 500, least=400, most=599) or 500,
        event_ids=_event_ids(draft, kind),
    )


def _number(draft: Mapping[str, Any], key: str, default: float | None, least: float, most: float) -> float | None:
    value = draft.get(key)
    if value is None:
        return default
    if type(value) not in (int, float) or not least <= value <= most:
        raise FaultError(f"{key} must be a number from {least:g} to {most:g}.")
    return float(value)


def _whole(draft: Mapping[str, Any], key: str, default: int | None, least: int, most: int) -> int | None:
    value = draft.get(key)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise FaultError(f"{key} must be a whole number from {least} to {most}.")
    return value


def _event_ids(draft: Mapping[str, Any], kind: str) -> frozenset[str]:
    value = draft.get("event_ids")
    if value is None and kind != "refuse":
        return frozenset()
    if not isinstance(value, list) or not value or not all(isinstance(event_id, str) for event_id in value):
        raise FaultError("event_ids must be a list with one string at least.")
    return frozenset(value)
