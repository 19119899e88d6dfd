"""``value_lost``: events of a name that used to bring a value, or a currency, bring none, or always 0."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.event_names import is_purchase, is_step
from tracklayer.domain.monitors.learn import learn_success
from tracklayer.domain.monitors.statistics import failures_at_least
from tracklayer.domain.monitors.words import clock_time, percent

WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 2, 5, 15, 60, 360, 1440))
LEAST_SAMPLE = 20  # events, of which hardly any brings one;
LEAST_OF_PART = 30  # where a part lost it, fewer tell too little of how large it is
CHANCE = 1e-7
FLOOR = 0.10
# A name of which fewer bring it, or a step before a conversion, has events of several kinds, whose mix moves:
STEADY = 0.9
NONE_LEFT = 0.1  # of such a name hardly any may be left
USUAL_AT_LEAST = 0.2
ENOUGH_HOURS = 6  # of which something is known
ENOUGH_OF_STRATUM = 20
STILL = 5  # minutes with events that must bear it out
NONE_LEFT_OPEN = 0.5  # of an open one
BEGAN, OVER = math.log(1e3), math.log(1e6)  # how much likelier it must be that it began, and that it is over
LEAST_MISSING, MOST_MISSING = 0.01, 0.9
MOST_LISTED = 20  # sources and hosts among the figures


class Sample(NamedTuple):
    """Events of one name from ``start`` on, of one ``stratum``: an action source and a host. A minute, or an older hour.

    ``carrying``: those with a value above zero (or with a currency). ``zero``: those with the value 0.
    """

    start: datetime
    stratum: tuple[str, str]
    events: int
    carrying: int
    zero: int = 0


@dataclass(frozen=True, slots=True)
class Usual:
    """Which share of the events of each stratum usually carries it, where that says anything; ``spread``: how much alike

    events of one hour are.
    """

    shares: Mapping[tuple[str, str], float]
    share: float
    spread: float


def learn_usual(samples: Sequence[Sample]) -> Usual | None:
    """From four weeks; None where too little is known, or too few events carry it for their absence to mean anything."""
    strata: dict[tuple[str, str], list[int]] = {}
    for sample in samples:
        counts = strata.setdefault(sample.stratum, [0, 0])
        counts[0] += sample.carrying
        counts[1] += sample.events
    shares = {
        stratum: min(carrying / events, (events + 1) / (events + 2))
        for stratum, (carrying, events) in strata.items()
        if events >= ENOUGH_OF_STRATUM and carrying >= USUAL_AT_LEAST * events
    }
    hours: dict[datetime, list[int]] = {}
    for sample in samples:
        if sample.stratum in shares:
            counts = hours.setdefault(sample.start.replace(minute=0, second=0, microsecond=0), [0, 0])
            counts[0] += sample.carrying
            counts[1] += sample.events - sample.carrying
    if len(hours) < ENOUGH_HOURS:
        return None
    whole = learn_success([(good, bad) for good, bad in hours.values()])
    return Usual(shares, whole.share, whole.spread) if whole is not None else None


class Measure(NamedTuple):
    """What is judged: ``what`` is lost; ``samples``: of the last day, oldest first; ``usual``: before that."""

    what: str  # value or currency
    samples: Sequence[Sample]
    usual: Usual | None


@dataclass(frozen=True, slots=True)
class _Window:
    since: datetime
    events: int
    carrying: int
    zero: int
    expected: float  # the share that is usual at this mix of strata

    @property
    def share(self) -> float:
        return self.carrying / self.events


def judge_value_lost(
    event_name: str, measures: Sequence[Measure], *, is_open: bool, told_until: datetime | None, now: datetime
) -> Finding | None:
    """The share of events with a value (or else a currency) over one of eight windows fell by ten points and more than
    chance allows.

    The test is that of ``delivery_rate_drop``. What is usual is the mix of today's sources and hosts, each with its own
    share: more orders by phone, which bring no value, are no loss. One that is new, or hardly ever brings one, counts on
    neither side. The last five minutes with events must bear it out. ``told_until``: when the last one was over; no window
    reaches back into it. Told are all events since it most likely began.

    An open one stays until ten minutes with events say that it is over, against the share that was lost before them, with
    one in a million to be wrong: a lasting fault of one order in eight has stretches that look well.
    """
    for measure in measures:
        usual = measure.usual
        if usual is None:
            continue
        samples = [sample for sample in measure.samples if sample.events and sample.stratum in usual.shares]
        is_steady = usual.share >= STEADY and not is_step(event_name)
        if is_open:
            lost = _since_it_began(samples, usual, is_steady, is_open=True)
            if lost is not None and _is_over(lost, samples, usual):
                lost = None
        else:
            samples = [sample for sample in samples if told_until is None or sample.start >= told_until]
            lost = _lost(samples, usual, is_steady, now) if _is_still_low(samples, usual, is_steady) else None
            if lost is not None:
                lost = _since_it_began(samples, usual, is_steady, is_open=False) or lost
        if lost is not None:
            return _finding(event_name, measure.what, lost, usual, samples)
    return None


def _lost(samples: Sequence[Sample], usual: Usual, is_steady: bool, now: datetime) -> _Window | None:
    minute = now.replace(second=0, microsecond=0)
    for length in WINDOWS:
        window = _window([sample for sample in samples if sample.start >= minute - length], usual)
        if window is None or not _is_enough(window) or not _is_low(window, is_steady, FLOOR, NONE_LEFT):
            continue
        bad = window.events - window.carrying
        if failures_at_least(bad, window.events, 1 - window.expected, usual.spread) < CHANCE:
            return window
    return None


def _is_enough(window: _Window) -> bool:
    return window.events >= (LEAST_SAMPLE if window.share < NONE_LEFT * window.expected else LEAST_OF_PART)


def _is_low(window: _Window, is_steady: bool, floor: float, left: float) -> bool:
    if not is_steady:
        return window.share < left * window.expected
    return window.share <= window.expected - floor


def _is_still_low(samples: Sequence[Sample], usual: Usual, is_steady: bool) -> bool:
    """Whether the last minutes with events are below what is usual."""
    taken: list[Sample] = []
    minutes: set[datetime] = set()
    events = 0
    for sample in reversed(samples):
        if sample.start not in minutes and len(minutes) >= STILL and events >= LEAST_SAMPLE:
            break
        minutes.add(sample.start)
        events += sample.events
        taken.append(sample)
    window = _window(taken, usual)
    return window is not None and _is_low(window, is_steady, FLOOR / 2, NONE_LEFT)


def _since_it_began(samples: Sequence[Sample], usual: Usual, is_steady: bool, *, is_open: bool) -> _Window | None:
    """All events since the most likely beginning: the start from which on their share explains them best, against what is

    usual. None where from no start on at least twenty are low. It reaches to the end, so that no lucky run is picked out.
    """
    floor, left = (FLOOR / 2, NONE_LEFT_OPEN) if is_open else (FLOOR, NONE_LEFT)
    best, began = 0.0, None
    events = carrying = 0
    expected = as_usual = 0.0
    for start, group in reversed(_by_start(samples)):
        for sample in group:
            events += sample.events
            carrying += sample.carrying
            expected += sample.events * usual.shares[sample.stratum]
            missing = _missing(usual, sample)
            as_usual += _log_likelihood(sample.events, sample.carrying, missing)
        found = _Window(start, events, carrying, 0, expected / events)
        if not _is_enough(found) or not _is_low(found, is_steady, floor, left):
            continue
        ratio = _log_likelihood(events, carrying, 1 - found.share) - as_usual
        if ratio > best:
            best, began = ratio, start
    if began is None or best < BEGAN:
        return None
    return _window([sample for sample in samples if sample.start >= began], usual)


def _is_over(lost: _Window, samples: Sequence[Sample], usual: Usual) -> bool:
    """Whether some minutes up to now are as usual, rather than as all since the beginning."""
    groups = _by_start([sample for sample in samples if sample.start >= lost.since])
    missing = min(max(1 - lost.share, 1 - lost.expected + FLOOR / 2), MOST_MISSING)
    as_usual = 0.0
    events = carrying = 0
    for minutes, (_, group) in enumerate(reversed(groups), 1):
        for sample in group:
            events += sample.events
            carrying += sample.carrying
            as_usual += _log_likelihood(sample.events, sample.carrying, _missing(usual, sample))
        if minutes >= 2 * STILL and as_usual - _log_likelihood(events, carrying, missing) >= OVER:
            return True
    return False


def _by_start(samples: Sequence[Sample]) -> list[tuple[datetime, list[Sample]]]:
    found: dict[datetime, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.start, []).append(sample)
    return sorted(found.items())


def _missing(usual: Usual, sample: Sample) -> float:
    """The share of a stratum that usually comes without; a free order now and then is none."""
    return max(1 - usual.shares[sample.stratum], LEAST_MISSING)


def _log_likelihood(events: int, carrying: int, missing: float) -> float:
    bad = events - carrying
    return (bad * math.log(missing) if bad else 0.0) + (carrying * math.log(1 - missing) if carrying else 0.0)


def _window(samples: Sequence[Sample], usual: Usual) -> _Window | None:
    events = sum(sample.events for sample in samples)
    if not events:
        return None
    expected = sum(sample.events * usual.shares[sample.stratum] for sample in samples) / events
    carrying, zero = sum(sample.carrying for sample in samples), sum(sample.zero for sample in samples)
    return _Window(min(sample.start for sample in samples), events, carrying, zero, expected)


_COSTS = {
    "value": "campaigns that bid by value take these for worth nothing, and spend less on such people",
    "currency": "platforms refuse an event whose value has no currency, or take it for dollars",
}
_AGAIN = {
    "value": "`customData.value` as a number above 0",
    "currency": "`customData.currency`, such as USD, or set the merchant's default currency if there is only one",
}


def _finding(name: str, what: str, lost: _Window, usual: Usual, samples: Sequence[Sample]) -> Finding:
    since = lost.since
    missing = lost.events - lost.carrying
    none_left = lost.share < 0.02
    zeros = lost.zero if what == "value" else 0
    how = f"came with the value 0 ({zeros:,}) or without any" if 0 < zeros < missing else f"came without a {what}"
    if zeros and zeros == missing:
        how = "came with the value 0"
    where = _places(lost, samples)
    return Finding(
        AlertKind.VALUE_LOST,
        None,
        Severity.CRITICAL if is_purchase(name) else Severity.WARNING,
        f"{name} events bring no {what} since {since:%H:%M} UTC"
        if none_left
        else f"Only {percent(lost.share)} of {name} events bring a {what}",
        f"{missing:,} of {lost.events:,} {name} events since {clock_time(since)} {how}: {_COSTS[what]}. Whoever "
        f"maintains the checkout{f' on {where}' if where else ''} must look now at what changed then, and have it send "
        f"{_AGAIN[what]}. Usually {percent(lost.expected)} of them bring one.",
        since,
        {
            "lost": what,
            "events": lost.events,
            "without": missing,
            "zero": zeros,
            "share": round(lost.share, 4),
            "usual_share": round(lost.expected, 4),
            "probability": failures_at_least(missing, lost.events, 1 - lost.expected, usual.spread),
            "strata": _judged(lost, samples),
        },
        event_name=name,
    )


def _judged(lost: _Window, samples: Sequence[Sample]) -> list[list[str]] | None:
    """The sources and hosts that the figures are of; None where there are too many to list."""
    found = sorted({sample.stratum for sample in samples if sample.start >= lost.since})
    return [list(stratum) for stratum in found] if len(found) <= MOST_LISTED else None


def _places(lost: _Window, samples: Sequence[Sample]) -> str:
    """Where most of it is lost: a host, or an action source without one."""
    missing: Counter[str] = Counter()
    for sample in samples:
        if sample.start >= lost.since:
            missing[sample.stratum[1] or sample.stratum[0]] += sample.events - sample.carrying
    if not missing or len(missing) == 1:
        return next(iter(missing), "")
    place, most = missing.most_common(1)[0]
    return place if most >= 0.8 * missing.total() else ""
