"""What would be sent, and why not: without a database, a clock or a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracklayer.domain.delivery import PlatformRequest
from tracklayer.domain.event import Event, read_event
from tracklayer.domain.problem import Problem
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped, Mapper, RuleVerdict
from tracklayer.services.destinations import check_settings, example_settings


@dataclass(frozen=True)
class Preview:
    """``request``: ``{"method", "url", "headers", "body"}`` without credentials, or None and ``refused`` says why."""

    request: dict[str, Any] | None
    verdicts: list[RuleVerdict]
    refused: str | None = None


def preview(draft: Any, platform: str, settings: Mapping[str, Any], now: datetime) -> Preview:
    """The request for one event as of ``now``, and every rule it was held against.

    Settings that are required and missing are shown with an invented example, and a verdict says so.
    """
    mapper = mapper_for(platform)
    verdicts = [_as_verdict(problem) for problem in check_settings(mapper, {**example_settings(mapper), **settings})]
    if verdicts:
        return Preview(None, verdicts, "INVALID_SETTING")
    missing = [s.name for s in mapper.settings if s.required and not s.secret and settings.get(s.name) in (None, "")]
    verdicts += [
        RuleVerdict("settings", False, f"{name} is not set: shown with an invented one", f"settings.{name}")
        for name in missing
    ]
    country = settings.get("default_country")
    read = read_event(draft, now, frozenset({country} if isinstance(country, str) else ()))
    if isinstance(read, list):
        return Preview(None, verdicts + [_as_verdict(problem) for problem in read], "INVALID_EVENT")
    examples = example_settings(mapper)
    used = {**{name: examples.get(name) for name in missing}, **settings}
    return preview_event(mapper, read.event, used, now, verdicts)


def preview_event(
    mapper: Mapper, event: Event, settings: Mapping[str, Any], now: datetime, verdicts: list[RuleVerdict] | None = None
) -> Preview:
    """As ``preview``, of an event that was read already, with complete settings."""
    mapped = mapper.map_event(event, settings, now)
    shown = [*(verdicts or []), *mapped.verdicts]
    if not isinstance(mapped, Mapped):
        return Preview(None, shown, mapped.reason.value.upper())
    return Preview(as_json(mapper.build_request(mapped.group, [mapped.item], settings)), shown)


def as_json(request: PlatformRequest) -> dict[str, Any]:
    """A request without what ``auth`` would add to it."""
    headers = {"content-type": "application/json", **request.headers}
    return {"method": request.method, "url": request.url, "headers": headers, "body": request.body}


def normalise_value(platform: str, field: str, value: str, settings: Mapping[str, Any]) -> str | None:
    """The value of a ``user_data`` field as the platform would get it, hash or plain; None where it is dropped."""
    rule = mapper_for(platform).normalise.get(field)
    return rule(value, settings) if rule is not None else None


def _as_verdict(problem: Problem) -> RuleVerdict:
    return RuleVerdict(problem.code.lower(), False, problem.message, ".".join(problem.field) or None)
