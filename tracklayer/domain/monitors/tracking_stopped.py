"""``tracking_stopped``: a merchant that usually sends has gone quiet, or sends all but the events of one name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.monitors.learn import HOUR, USUAL_AT_LEAST, Rhythm, level_of
from tracklayer.domain.monitors.views import MerchantView, NameView
from tracklayer.domain.monitors.words import clock_time, counted, lasting

LEAST_SILENCE = timedelta(minutes=15)  # a busy shop that deploys is back by then
TIMES_USUAL = 1.5  # how much longer than the usual silence one must be
# Of a name: a merchant has many, and each is one more chance to be wrong. Twice is also how soon it must be told.
TIMES_USUAL_OF_A_NAME = 2.0
HUSH = 3.0  # minutes with an event: a merchant silent for as long as swallows these may be about to be told as a whole
MOST_NAMES = 30  # of a merchant that are judged by themselves, the most frequent ones
HALF = 0.5  # of a merchant's minutes with an event: a name that brings more than all others carries it


def judge_tracking_stopped(view: MerchantView, now: datetime, *, is_open: bool = False) -> Finding | None:
    """A silence that swallowed half as much again as this merchant's usual one, judged by the hours of its own week.

    Where arrivals are independent, the chance of a silence that swallows x minutes with an event is at most exp(-x),
    as for any Poisson process: the usual silence, of one in a thousand or the longest but one of four weeks, makes
    x at least 6.9; one and a half times that is a chance of one in 31,600. Where they come in clusters, the usual one has
    been longer, and so has to be this one. Nobody is judged without a rhythm (``learn_rhythm``). It is over with the next
    event: an open one (``is_open``: and no event came since) stays, whatever is usual now.
    """
    if view.rhythm is None or view.last_event_at is None:
        return None
    last = view.last_event_at
    if not is_open and not _is_told(view.rhythm, last, view.level, TIMES_USUAL, now):
        return None
    lost = (
        f"none has arrived for {lasting(now - last)}, and whatever happened in the shop since {clock_time(last)} is"
        " reported to no platform."
    )
    look = "whether the shop still sends: its last deployment, its API key, its connection to TrackLayer"
    return _finding(None, view.rhythm, last, view.level, view.rejected, f"{lost} {_who(look)}", now)


def judge_name_stopped(view: NameView, *, is_open: bool, now: datetime) -> Finding | None:
    """The silence of one name, by its own rhythm and the same rule, while the merchant sends other events.

    Where all of the merchant is quieter than usual, so is each name: of the other names the one that kept up best says
    by how much. Whether the merchant itself is silent the caller knows: then nobody is asked about names. An open one
    stays until an event of that name arrives.
    """
    since, rhythm = view.quiet_since, view.rhythm
    level = 1.0 if is_open else view.level * kept_up(view.others)
    if not is_open and not _is_told(rhythm, since, level, TIMES_USUAL_OF_A_NAME, now):
        return None
    lost = (
        f"none has arrived for {lasting(now - since)}, while others do, and what happened since {clock_time(since)} is"
        f" reported as {view.name} to no platform."
    )
    look = f"what sends {view.name}: the last change of the pages and the code where it arises, and of the tag that sends it"
    return _finding(view.name, rhythm, since, level, view.rejected, f"{lost} {_who(look)}", now)


def judge_carrier_missing(view: NameView, now: datetime) -> Finding:
    """Of an open alert of the merchant, where events came again but none of the name that carries it (``carrier``).

    The few others do not end it: else it would open anew in each of their pauses, by turns with one of that name.
    """
    lost = (
        f"none has arrived for {lasting(now - view.quiet_since)}, and few of any other name: most of what happened in the"
        f" shop since {clock_time(view.quiet_since)} is reported to no platform."
    )
    look = (
        f"what sends {view.name}: the last change of the pages and of the tag that sends it, and the shop's connection"
    )
    title = f"Hardly any event for {lasting(now - view.quiet_since)}, and no {view.name}"
    found = _finding(view.name, view.rhythm, view.quiet_since, 1.0, view.rejected, f"{lost} {_who(look)}", now)
    return replace(found, title=title, details=dict(found.details) | {"event_name": view.name}, event_name=None)


def carrier(whole: Rhythm, names: Mapping[str, Rhythm], silent: Mapping[str, datetime], now: datetime) -> str | None:
    """Of names that are ``silent`` (since when), the one without which less than half of a merchant's minutes with an event

    would be left since. None where there is none, as with whoever is so busy that nearly every minute has several names.
    """
    name = max(silent, key=lambda each: (names[each].expected(silent[each], now), each), default=None)
    if name is None:
        return None
    since = silent[name]
    rest = sum(rhythm.expected(since, now) for each, rhythm in names.items() if each != name)
    return name if rest < HALF * whole.expected(since, now) else None


def most_frequent(names: Mapping[str, Rhythm]) -> str | None:
    """By whose rhythm a merchant is judged while alerts are open about other names: it is silent only if this one is."""
    return max(names, key=lambda name: (sum(names[name].rates), name), default=None)


def _who(look: str) -> str:
    return f"Whoever maintains the shop must look now at {look}."


def _is_told(rhythm: Rhythm, last: datetime, level: float, times: float, now: datetime) -> bool:
    """Whether a silence has swallowed as much as is to be told."""
    return now - last >= LEAST_SILENCE and rhythm.expected(last, now) * level >= times * rhythm.usual


def _finding(
    name: str | None, rhythm: Rhythm, since: datetime, level: float, rejected: int, lost: str, now: datetime
) -> Finding:
    """``level``: the share of what is usual that would have come. The chance is by what is sure to be missing, the number is not."""
    swallowed = rhythm.expected(since, now) * level
    what = "event" if name is None else f"{name} event"
    silence = now - since
    chance = math.exp(-swallowed * USUAL_AT_LEAST / rhythm.usual)
    missing = max(1, round(rhythm.missing(since, now) * level * rhythm.events))
    refused = (
        f" {counted(rejected, what)} came since but {'was' if rejected == 1 else 'were'} refused: the alert about that, or the"
        f" answer{'' if rejected == 1 else 's'} to {'it' if rejected == 1 else 'them'}, says why."
        if rejected
        else ""
    )
    away = rhythm.away_for(since, now)
    ours = (
        f" TrackLayer itself could take nothing in for {lasting(away)} of that: what is missing is counted without it."
        if away
        else ""
    )
    return Finding(
        AlertKind.TRACKING_STOPPED,
        None,
        Severity.CRITICAL,
        f"No {what} for {lasting(silence)}",
        f"About {counted(missing, what)} {'is' if missing == 1 else 'are'} missing: {lost}{ours}{refused} The chance of none while"
        f" all is well is {_one_in(chance)}.",
        since,
        {
            "silent_seconds": round(silence.total_seconds()),
            "expected_events": missing,
            "expected_minutes_with_events": round(swallowed, 1),
            "usual_silence_swallows": round(rhythm.usual, 1),
            "probability": chance,
            "rejected_since": rejected,
        },
        event_name=name,
    )


def kept_up(others: Sequence[tuple[float, int]]) -> float:
    """How much of its usual traffic a merchant had beside one name, 1 at most: (usual, found) of each other name.

    The best of those of which enough is usual to say; of all together where none is. 1 where there are no others.
    """
    telling = [pair for pair in others if pair[0] >= USUAL_AT_LEAST]
    if not telling:
        telling = [(sum(usual for usual, _ in others), sum(found for _, found in others))]
    return max(level_of(usual, found) for usual, found in telling)


def may_have_stopped(rhythm: Rhythm, last_event_at: datetime, now: datetime, times: float = TIMES_USUAL) -> bool:
    """The quick test: whether it would be told if the traffic before was as usual. ``times``: its usual silence."""
    return _is_told(rhythm, last_event_at, 1.0, times, now)


def told_at_the_earliest(
    rhythm: Rhythm, last_event_at: datetime, now: datetime, within: timedelta, times: float = TIMES_USUAL
) -> datetime:
    """Before then a silence is not told, whatever the traffic before it was; now: it may be. At most ``within`` from now.

    An event that comes meanwhile makes that later, and never sooner.
    """
    needed, at = times * rhythm.usual, now
    while at < now + within and (missing := needed - rhythm.expected(last_event_at, at)) > 0:
        following = min(now + within, at.replace(minute=0, second=0, microsecond=0) + HOUR)
        if rhythm.expected(last_event_at, following) >= needed:
            swallowed = rhythm.expected(at, following)  # bit by bit; what else is expected by then is so at once
            at += (following - at) * min(1.0, missing / swallowed if swallowed else 1.0)
            break
        at = following
    return min(now + within, max(at, last_event_at + LEAST_SILENCE))


def is_hushed(view: MerchantView, now: datetime) -> bool:
    """Whether a merchant's own silence may be about to be told: long before it is, so that no name of it goes first."""
    if view.rhythm is None or view.last_event_at is None:
        return True
    return view.rhythm.expected(view.last_event_at, now) >= HUSH


def fell_silent_before(view: NameView, others_until: datetime) -> bool:
    """Whether a name had been silent for as long as is usual at most while others still came, until then: it is a silence

    of its own, whatever has become of the others since.
    """
    return view.rhythm.expected(view.quiet_since, others_until) >= view.rhythm.usual


def told_after(rhythm: Rhythm) -> timedelta:
    """No silence of a name that is shorter is ever told, at whatever hour it begins."""
    return max(LEAST_SILENCE, timedelta(hours=TIMES_USUAL_OF_A_NAME * rhythm.usual / max(max(rhythm.rates), 0.01)))


def _one_in(chance: float) -> str:
    return "less than one in a billion" if chance < 1e-9 else f"one in {1 / chance:,.0f}"
