"""``event_name_unknown``: events arrive under a name that a destination does not take, and that only misspells one it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.event_names import is_step
from tracklayer.domain.monitors.words import clock_time, counted

LEAST_EVENTS = 10  # within the hour that is looked at: fewer are somebody's try
LEAST_TO_ADVISE = {"hour": 3, "day": 2}
HOUR = timedelta(hours=1)  # that is looked at
MENDED_AFTER = timedelta(minutes=5)  # of the right name alone, at least
CHANCE = 1e-4  # that none comes for so long though nothing was mended


class Fate(StrEnum):
    """What becomes of an event at a destination, because of its name."""

    COUNTS = "counts"  # as what it is
    OTHER = "other"  # it goes out as another one: the merchant's own, or the action for all other names
    FILTERED = "filtered"  # it does not go out


@dataclass(frozen=True, slots=True)
class Spelling:
    """A name in the last hour at one destination, and the one that it misspells.

    ``first_at``, ``last_at``: the first and last minute of the hour with it. ``right_events``, ``right_last_at``: of the
    right name. ``is_conversion``: its events bring a value, or an order. ``can_be_added``: the destination is told by name
    what becomes of an event, so that the name may be added there. ``is_added``: it has been. ``is_left_out``: the destination has
    event names, and not this one among them. ``is_standard``: it is the platform's and the data model's
    own name, which the destination's event names have in another spelling: then these are wrong, and not the shop.
    """

    platform: str
    title: str
    name: str
    right: str
    fate: Fate
    events: int
    first_at: datetime
    last_at: datetime
    right_events: int = 0
    right_last_at: datetime | None = None
    is_conversion: bool = False
    can_be_added: bool = False
    is_added: bool = False
    is_left_out: bool = False
    is_standard: bool = False


def judge_event_name_unknown(seen: Spelling, *, is_open: bool) -> Finding | None:
    """Ten events of an hour that do not go out, where fewer than half as many come under the right name.

    Where as many come under the right one, the same conversions probably come twice, and it is well that one of the two
    is left out: that is advice (``advise_on_spelling``). An open one is over when the right name has come alone for so
    long, and for five minutes at least, that it is no chance by the wrong one's own pace; or the destination takes the name: that no
    event comes of either mends nothing.
    """
    if seen.fate is not Fate.FILTERED:
        return None
    if is_open and seen.events:
        mended = seen.right_last_at is not None and _has_ended(seen.events, seen.right_last_at - seen.last_at)
    else:
        mended = seen.events < LEAST_EVENTS or seen.right_events * 2 >= seen.events
    if mended:
        return None
    matters = seen.is_conversion or not is_step(seen.right)
    if seen.is_standard:
        title = f"{seen.title} gets no {seen.name}: its event names have {seen.right} instead"
        to_do = (
            f"its event names (`eventNames`) have {seen.right}, which is another name, and {seen.name} is the right one. Add"
            f" {seen.name} to them now, then send what was left out with `deliverStored`; the shop need change nothing."
            f" Of {seen.right}"
        )
    else:
        title = f"{seen.title} gets no {seen.name}: it is called {seen.right} there"
        to_do = (
            f"it takes {seen.right}, and not this spelling. Whoever maintains the shop must have it send {seen.right}"
            f" now{_or_add(seen)}. Under the right name"
        )
    return Finding(
        AlertKind.EVENT_NAME_UNKNOWN,
        seen.platform,
        Severity.CRITICAL if matters else Severity.WARNING,
        title,
        f"{seen.title} got none of the events named {seen.name} of the last hour, {seen.events:,} since "
        f"{clock_time(seen.first_at)} at least: {to_do} came {counted(seen.right_events, 'event')} in the same hour; what was"
        " left out is stored here.",
        seen.first_at,
        {"name": seen.name, "meant": seen.right, "events": seen.events, "events_of_meant": seen.right_events},
        event_name=seen.name,
    )


def _has_ended(events: int, silence: timedelta) -> bool:
    """Whether events of an hour, that might fall anywhere in it, all fell before a silence by more than chance."""
    return silence >= MENDED_AFTER and max(0.0, 1 - silence / HOUR) ** events < CHANCE


def _or_add(seen: Spelling) -> str:
    """What else mends it, and how what did not go out is sent then: what event names leave out has no delivery."""
    if not seen.can_be_added:
        return ""
    where = ["the destination's event names (`eventNames`)"] if seen.is_left_out else []
    if not seen.is_added:
        its = "its" if where else "the destination's"
        where.append(f"{its} settings with what {seen.right} has there")
    then = "send what was left out with `deliverStored`" if seen.is_left_out else "redeliver what was dropped"
    return f", or add {seen.name} to {' and to '.join(where)}, and {then}"


def advise_on_spelling(seen: Spelling, within: Literal["hour", "day"]) -> Advice | None:
    """Of a name that goes out as something else, or that is left out beside the right one. ``within``: what was looked at."""
    if seen.fate is Fate.COUNTS or seen.events < LEAST_TO_ADVISE[within]:
        return None
    if seen.fate is Fate.OTHER:
        sentence = (
            f"{counted(seen.events, 'event')} of the last {within} named {seen.name} went to {seen.title} as an event of that name, "
            f"not as {seen.right}: campaigns that count {seen.right} do not see them."
        )
    else:
        sentence = (
            f"{counted(seen.events, 'event')} of the last {within} named {seen.name} did not go to {seen.title}, which takes "
            f"{seen.right} ({counted(seen.right_events, 'event')})."
        )
    return Advice(
        AdviceCode.NAME_MISSPELT,
        sentence,
        f"Add {seen.name} to the destination's event names, unless it is left out on purpose: {seen.right} is another name there."
        if seen.is_standard
        else f"Have the shop send {seen.right} instead of {seen.name}, unless the two are meant to differ.",
        seen.first_at,
        seen.platform,
        seen.name,
        seen.events,
        details={"name": seen.name, "meant": seen.right, "fate": seen.fate.value, "events_of_meant": seen.right_events},
    )
