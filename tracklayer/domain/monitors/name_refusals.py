"""``delivery_rate_drop`` of single names: a platform, or its rules, refuse one name's events while others go through."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.event_names import is_purchase, is_sale, is_step
from tracklayer.domain.monitors.causes import Cause
from tracklayer.domain.monitors.delivery_rate_drop import CHANCE, LEAST_SAMPLE, WINDOWS, Expected, expected_of
from tracklayer.domain.monitors.learn import WORSE, SuccessRate, worst_of
from tracklayer.domain.monitors.platform_down import CHANCE as CHANCE_OF_A_STREAK
from tracklayer.domain.monitors.platform_down import chance_of_a_refusal
from tracklayer.domain.monitors.refusals import Unmappable, lacking, next_step, rule
from tracklayer.domain.monitors.statistics import failures_at_least, failures_in_a_row
from tracklayer.domain.monitors.views import is_forgotten
from tracklayer.domain.monitors.words import capitalised, clock_time, counted, ended, percent
from tracklayer.domain.monitors.worth import NOTHING, Worth, details, in_sales

LATELY = 5  # stretches of time with events, which hold LEAST_SAMPLE or more
DOUBT = 1e-3  # the chance that so many are taken in a row while as many are refused as before
MOST_TAKEN = 20  # in a row: then it is over in any case
LEAST_TAKEN = 3
MOST_LISTED = 5

Stretch = tuple[
    datetime, int, int
]  # its start, events that arrived in it and were to be sent, those of them that were refused


@dataclass(frozen=True, slots=True)
class NameSeries:
    """One name at one destination. ``stretches``: oldest first, without those of which not all is known to have gone out.

    ``usual``: what four weeks tell of it. ``is_told``: an open alert names it. ``until``: up to when what arrived is known to
    have gone out; None: up to now.
    """

    name: str
    stretches: Sequence[Stretch]
    usual: SuccessRate | None = None
    is_told: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusing:
    """What was found of a name: how many of how many were refused since an instant.

    ``until``: of those that were sent late, when the last of them had arrived; what came since may be taken.
    """

    name: str
    since: datetime
    arrived: int
    refused: int
    usual: SuccessRate | None = None
    until: datetime | None = None

    @property
    def share(self) -> float:
        """That is taken."""
        return 1 - self.refused / self.arrived


@dataclass(frozen=True, slots=True)
class Why:
    """What the newest deliveries of a name say. ``unmappable``: the rules' commonest ground, None where they were sent. ``failing``
    and ``lost``: what the sales among those that were refused are worth, of those that are sent again and of the others.
    """

    unmappable: Unmappable | None = None
    error: str | None = None
    code: str | None = None
    example: str | None = None
    failing: Worth = NOTHING
    lost: Worth = NOTHING


def wants_closer_look(arrived: int, refused: int) -> bool:
    """Whether the last half hour of a name gives reason to look at more of it."""
    return bool(refused) and (arrived < LEAST_SAMPLE or refused >= 0.1 * arrived)


def needed_of(usual: SuccessRate | None) -> int:
    """How many refused in a row are no chance, as of a destination (``platform_down``)."""
    return failures_in_a_row(chance_of_a_refusal(usual), CHANCE_OF_A_STREAK)


def judge_name(series: NameSeries, now: datetime) -> Refusing | None:
    """A name of which as many in a row are refused as ``platform_down`` asks for, or as ``delivery_rate_drop`` judges.

    Where hours as bad as this one come now and then (``learn_worst``), it must be markedly worse than these.
    A told one stays until so many are taken in a row, at least three, as were a chance of one in a thousand if it went on.
    What waits, as while a destination is paused, tells nothing: nothing is forgotten meanwhile.
    """
    known = [one for one in series.stretches if one[1]]
    streak = _streak(known)
    if streak is not None:
        since, last, refused = streak
        if is_forgotten(since, last, refused, series.until or now):
            return None
        if refused >= needed_of(series.usual):
            return Refusing(series.name, since, refused, refused, series.usual)
    for expected in expected_of(series.usual):
        if not _is_low(known, expected):
            continue
        found = _still(known, series) if series.is_told else _dropped(known, expected, series, now)
        if found is not None:
            return found
    return None


def judge_late(series: NameSeries, since: datetime, until: datetime) -> Refusing | None:
    """What arrived in a span and was sent long after, as when an outage was over: as many in a row, or of all of it, as
    ``judge_name`` asks for. Whether newer ones are taken says nothing of these.
    """
    inside = [one for one in series.stretches if one[1] and since <= one[0] <= until]
    streaks: list[list[Stretch]] = [[]]
    for one in inside:
        if one[2] == one[1]:
            streaks[-1].append(one)
        elif streaks[-1]:
            streaks.append([])
    longest = max(streaks, key=_refused)
    if longest and _refused(longest) >= needed_of(series.usual):
        return _late(longest, series)
    bad = [place for place, one in enumerate(inside) if one[2]]
    inside = inside[bad[0] : bad[-1] + 1] if bad else []
    arrived, refused = sum(one[1] for one in inside), _refused(inside)
    for expected in expected_of(series.usual):
        if arrived < expected.least or refused / arrived < _notable(expected):
            continue
        if failures_at_least(refused, arrived, 1 - _worst(expected), expected.spread) < CHANCE:
            return _late(inside, series)
    return None


def _refused(stretches: Sequence[Stretch]) -> int:
    return sum(one[2] for one in stretches)


def _late(inside: Sequence[Stretch], series: NameSeries) -> Refusing:
    first, last = inside[0][0], inside[-1][0]
    return Refusing(series.name, first, sum(one[1] for one in inside), _refused(inside), series.usual, last)


def _streak(known: Sequence[Stretch]) -> tuple[datetime, datetime, int] | None:
    """(since, last, how many) of the newest in a row that were refused."""
    count, since = 0, None
    for start, arrived, refused in reversed(known):
        if refused < arrived:
            break
        count, since = count + refused, start
    return (since, known[-1][0], count) if since is not None else None


def _is_low(known: Sequence[Stretch], expected: Expected) -> bool:
    """Whether it is markedly less than expected in the newest stretches."""
    arrived = refused = 0
    for place, (_, came, bad) in enumerate(reversed(known)):
        if place >= LATELY and arrived >= LEAST_SAMPLE:
            break
        arrived, refused = arrived + came, refused + bad
    return bool(arrived) and 1 - refused / arrived < expected.share - expected.floor / 2


def _worst(expected: Expected) -> float:
    return expected.share if expected.usual is None else worst_of(expected.usual)


def _notable(expected: Expected) -> float:
    """The share refused from which on it is markedly more than expected."""
    usual = 1 - expected.share
    bad = 1 - _worst(expected)
    return expected.floor + (WORSE * bad if bad > usual else usual)


def _dropped(known: Sequence[Stretch], expected: Expected, series: NameSeries, now: datetime) -> Refusing | None:
    minute = now.replace(second=0, microsecond=0)
    for length in WINDOWS:
        inside = [one for one in known if one[0] >= minute - length]
        arrived, refused = sum(one[1] for one in inside), sum(one[2] for one in inside)
        if arrived < expected.least or refused / arrived < _notable(expected):
            continue
        if failures_at_least(refused, arrived, 1 - _worst(expected), expected.spread) < CHANCE:
            first = next(start for start, _, bad in inside if bad)
            since_then = [one for one in inside if one[0] >= first]
            return Refusing(series.name, first, sum(one[1] for one in since_then), refused, series.usual)
    return None


def _still(known: Sequence[Stretch], series: NameSeries) -> Refusing | None:
    taken, before = 0, list(known)
    while before and not before[-1][2]:
        taken += before.pop()[1]
    arrived, refused = sum(one[1] for one in before), sum(one[2] for one in before)
    if not refused:
        return None
    enough = LEAST_TAKEN
    if refused < arrived:
        enough = min(MOST_TAKEN, max(LEAST_TAKEN, math.ceil(math.log(DOUBT) / math.log(1 - refused / arrived))))
    if taken >= enough:
        return None
    first = next(start for start, _, bad in known if bad)
    since_then = [one for one in known if one[0] >= first]
    return Refusing(series.name, first, sum(one[1] for one in since_then), refused, series.usual)


def horizon(now: datetime, oldest_due_at: datetime | None) -> datetime:
    """Up to when everything that arrived has gone out, or failed to: a minute ago, or before what waits the longest."""
    settled = now - timedelta(minutes=1)
    if oldest_due_at is not None:
        settled = min(settled, oldest_due_at)
    return settled.replace(second=0, microsecond=0)


def name_finding(platform: str, title: str, found: Sequence[Refusing], why: Mapping[str, Why]) -> Finding:
    """One alert of a destination, of the names that it refuses: purchases first, then what is refused most."""
    ordered = sorted(found, key=lambda one: (not is_purchase(one.name), not is_sale(one.name), -one.refused, one.name))
    first, rest = ordered[0], ordered[1:]
    told = why.get(first.name, Why())
    is_all = first.refused == first.arrived
    events = f"{first.name} event"
    since = f"since {clock_time(first.since)}"
    if first.until is not None:
        since = f"that arrived from {clock_time(first.since)} to {clock_time(first.until)} and were sent late"
    money = in_sales(told.failing + told.lost)
    and_money = f"{money}," if money else ""
    more = f", and {len(rest)} more {'name' if len(rest) == 1 else 'names'}" if rest else ""
    if told.unmappable is None:
        what = f"refuses every {events}" if is_all else f"refuses {percent(1 - first.share)} of your {events}s"
        said = f" What {title} said last: {ended(told.error)}" if told.error else ""
        code = f" (code {told.code})" if told.code and told.code not in (told.error or "") else ""
        example = f" Event `{told.example}` is an example." if told.example else ""
        message = (
            f"{title} has refused {first.refused:,} of {counted(first.arrived, events)} {since}{code}{money}, while other"
            " events go through: each is lost to it after five attempts. Whoever last changed what sends"
            f" {events}s, or this destination's settings, must mend that now; then redeliver what was dropped.{said}{example}"
        )
    else:
        what = (
            f"can be sent none of your {events}s"
            if is_all
            else f"can be sent only {percent(first.share)} of your {events}s"
        )
        message = (
            f"{first.refused:,} of {counted(first.arrived, events)} {since}{and_money} cannot be sent to {title} and are lost to"
            f" it, while other events go through: they {lacking(told.unmappable)}. {capitalised(next_step(told.unmappable))}"
            f"{rule(told.unmappable)}"
        )
    if first.until is not None:
        what = f"{'refused' if told.unmappable is None else 'could not be sent'} {first.refused:,} earlier {events}s"
    if rest:
        listed = ", ".join(f"{one.name} ({one.refused:,} of {one.arrived:,})" for one in rest[:MOST_LISTED])
        message += (
            f" Refused as well: {listed}{f' and {len(rest) - MOST_LISTED} more' if len(rest) > MOST_LISTED else ''}."
        )
    if first.usual is not None:
        message += f" Usually {percent(first.usual.share)} of your {events}s are accepted."
    is_grave = any(not is_step(one.name) and one.share < 0.5 for one in ordered)
    return Finding(
        AlertKind.DELIVERY_RATE_DROP,
        platform,
        Severity.CRITICAL if is_grave else Severity.WARNING,
        f"{title} {what}{more}",
        message,
        min(one.since for one in ordered),
        {
            "cause": _cause(told),
            "event_names": [one.name for one in ordered],
            "name_causes": sorted({_cause(why.get(one.name, Why())) for one in ordered}),
            "success_rate": round(first.share, 4),
            "usual_success_rate": round(first.usual.share, 4) if first.usual is not None else None,
            "acknowledged": first.arrived - first.refused,
            "failed": first.refused,
            "last_error": told.error,
            "error_code": told.code,
            "drop_reason": told.unmappable.reason if told.unmappable else None,
            "field": told.unmappable.field if told.unmappable else None,
            "example_event_id": told.example,
            **details(failing_worth=told.failing, lost_worth=told.lost),
        },
        members={one.name: not is_step(one.name) for one in ordered},
    )


def _cause(why: Why) -> Cause:
    return Cause.REFUSED if why.unmappable is None else Cause.UNMAPPABLE
