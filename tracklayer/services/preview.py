"""What would be sent, and why not: without a database, a clock or a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tracklayer.domain.delivery import DropReason, PlatformRequest
from tracklayer.domain.event import MATCHABLE_LISTS
from tracklayer.domain.event_fields import read_identifier
from tracklayer.domain.problem import Problem
from tracklayer.domain.read_event import read_event
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import KEEPS_PLAIN, Mapped, Mapper, RuleVerdict
from tracklayer.mappers.outgoing import show_event
from tracklayer.services.destinations import check_settings, example_settings


class Preview(NamedTuple):
    """``request``: ``{"method", "url", "headers", "body"}`` without credentials, or None and ``refused`` says why."""

    request: dict[str, Any] | None
    verdicts: list[RuleVerdict]
    refused: str | None = None


# Of an event of somebody who is to be left alone: whatever a platform would say of it.
LEFT_ALONE = Preview(
    None,
    [RuleVerdict("suppressed", False, "The person was erased, and is to be left alone: nothing is sent.")],
    DropReason.SUPPRESSED.value.upper(),
)


@dataclass(frozen=True)
class Prepared:
    """A destination to preview events for: its settings complete, or ``refused`` and what is wrong with them."""

    mapper: Mapper
    settings: Mapping[str, Any]
    default_countries: frozenset[str]
    verdicts: tuple[RuleVerdict, ...]
    refused: str | None = None


def prepare(platform: str, settings: Mapping[str, Any]) -> Prepared:
    """Settings that are required and missing are replaced by invented ones, and a verdict says so."""
    mapper = mapper_for(platform)
    examples = example_settings(mapper)
    own = {name: value for name, value in settings.items() if name != KEEPS_PLAIN}
    wrong = check_settings(mapper, {**examples, **own})
    if wrong:
        return Prepared(
            mapper,
            settings,
            frozenset(),
            tuple(_as_verdict(found, found.message) for found in wrong),
            "INVALID_SETTING",
        )
    missing = [s.name for s in mapper.settings if s.required and not s.secret and settings.get(s.name) in (None, "")]
    verdicts = [
        RuleVerdict("settings", False, f"{name} is not set: shown with an invented one", f"settings.{name}")
        for name in missing
    ]
    country = settings.get("default_country")
    return Prepared(
        mapper,
        {**{name: examples.get(name) for name in missing}, **settings},
        frozenset({country} if isinstance(country, str) else ()),
        tuple(verdicts),
    )


def preview(
    draft: Any, prepared: Prepared, now: datetime, word: Callable[[Problem], str] = lambda problem: problem.message
) -> Preview:
    """The request for one event as of ``now``, and every rule it was held against. ``word``: in whose spelling."""
    if prepared.refused is not None:
        return Preview(None, list(prepared.verdicts), prepared.refused)
    read = read_event(draft, now, prepared.default_countries)
    if isinstance(read, list):
        return Preview(
            None, [*prepared.verdicts, *(_as_verdict(found, word(found)) for found in read)], "INVALID_EVENT"
        )
    mapper = prepared.mapper
    mapped = show_event(mapper, read.event, prepared.settings, now)
    verdicts = [*prepared.verdicts, *mapped.verdicts] if prepared.verdicts else list(mapped.verdicts)
    if read.gone:
        verdicts[:0] = [
            _as_verdict(found, word(found)) for found in read.warnings if _is_missed(mapper, found, read.gone)
        ]
    if not isinstance(mapped, Mapped):
        return Preview(None, verdicts, mapped.reason.value.upper())
    request = as_json(mapper.build_request(mapped.group, [mapped.item], prepared.settings))
    return tuple.__new__(Preview, (request, verdicts, None))  # as Preview() does, with a call less


def as_json(request: PlatformRequest) -> dict[str, Any]:
    """A request without what ``auth`` would add to it."""
    url, body, _, method, headers = request
    return {"method": method, "url": url, "headers": {"content-type": "application/json", **headers}, "body": body}


def normalise_value(platform: str, field: str, value: str, settings: Mapping[str, Any]) -> str | None:
    """The value of a ``user_data`` field as the platform would get it, hash or plain; None where it is dropped."""
    rule = mapper_for(platform).normalise.get(field)
    known = read_identifier(field, value) if rule is not None else None
    return rule(known, settings) if rule is not None and known is not None else None


def _is_missed(mapper: Mapper, warning: Problem, gone: Sequence[tuple[str, ...]]) -> bool:
    """Whether it tells of something that was left out before the platform's rules could say so, and that the platform wants."""
    path = warning.field
    if path not in gone:
        return False
    return path[0] != "user_data" or path[1] in mapper.identifiers or path[1] in MATCHABLE_LISTS


def _as_verdict(problem: Problem, message: str) -> RuleVerdict:
    return RuleVerdict(problem.code.lower(), False, message, ".".join(problem.field) or None)
