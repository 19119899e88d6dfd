"""What the tests of each mapper ask it, with the settings and at the instant of their examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracklayer.domain.delivery import PlatformReply
from tracklayer.domain.event import Event
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.mappers.base import Mapped, Mapper, Refused


def reply(status: int, body: Any = None, text: str = "", **headers: str) -> PlatformReply:
    return PlatformReply(status, body, {name.replace("_", "-"): value for name, value in headers.items()}, text)


def left_out(found: Mapped) -> list[tuple[str, str | None]]:
    """The rule and the field of each verdict that something stays here."""
    return [(verdict.rule, verdict.field) for verdict in found.verdicts if not verdict.ok]


@dataclass(frozen=True)
class Asked:
    """A mapper. ``countries``: of the merchant's destinations, by which phones without a country code are read."""

    mapper: Mapper
    settings: Mapping[str, Any]
    now: datetime
    countries: frozenset[str] = frozenset()

    def read(self, draft: dict[str, Any], now: datetime | None = None) -> Event:
        found = read_event(draft, now or self.now, self.countries)
        assert isinstance(found, ReadEvent), found
        return found.event

    def mapped(
        self, draft: dict[str, Any], settings: Mapping[str, Any] | None = None, now: datetime | None = None
    ) -> Mapped:
        """By its own settings, or by others in their place."""
        at = now or self.now
        found = self.mapper.map_event(self.read(draft, at), self.settings if settings is None else settings, at)
        assert isinstance(found, Mapped), found
        return found

    def mapped_with(self, draft: dict[str, Any], now: datetime | None = None, **settings: Any) -> Mapped:
        """By its own settings and some more."""
        return self.mapped(draft, {**self.settings, **settings}, now)

    def refused_with(self, draft: dict[str, Any], now: datetime | None = None, **settings: Any) -> Refused:
        at = now or self.now
        found = self.mapper.map_event(self.read(draft, at), {**self.settings, **settings}, at)
        assert isinstance(found, Refused), found
        return found

    def fields_left_out(self, draft: dict[str, Any], settings: Mapping[str, Any] | None = None) -> list[str | None]:
        return [field for _, field in left_out(self.mapped(draft, settings))]
