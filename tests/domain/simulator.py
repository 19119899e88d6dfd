"""Shops and faults run through the judges, without a database: how often they are wrong, and how soon they are right.

``python -m tests.domain.simulator [--shops 200] [--days 30] [--incidents 200] [--seed 1]`` runs the full size.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import repeat
from random import Random

from tests.domain.traffic import START, Engine, Shop
from tracklayer.domain.alert import AlertKind, Finding, Known, Severity, Step, Subject, next_step
from tracklayer.domain.monitors import OF_DESTINATIONS, judge_destination, judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM, Rhythm, SuccessRate, learn_rhythm, learn_success
from tracklayer.domain.monitors.platform_down import wants_run
from tracklayer.domain.monitors.spans import COUNTS, Memory, Minute, spans_of
from tracklayer.domain.monitors.tracking_stopped import LEAST_SILENCE, may_have_stopped
from tracklayer.domain.monitors.views import (
    RUN,
    DestinationView,
    MerchantView,
    Oldest,
    Span,
    Told,
    wants_earlier,
    wants_past,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LOOK = timedelta(seconds=15)
TICK = timedelta(seconds=5)
THREE_A_WEEK, FIFTY_A_SECOND = 3 / (7 * 86400), 50.0
WINDOW = timedelta(hours=24)


class Watched:
    """A shop and its destination as the counters show them, its baselines, and the alerts that there are."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.engine = Engine(shop)
        self.now = START
        self.minutes: deque[Minute] = deque()  # of the destination, a day
        self.spans: deque[Span] = deque()  # the same, as they are judged when nobody looked into them
        self.earlier: deque[Span] = deque()  # four weeks before that, since an alert told of its share
        self.run: deque[Span] = deque()  # what failed before that, since the last acknowledgement
        self.hours: dict[datetime, tuple[int, int]] = {}  # acknowledged, failed
        self.active: dict[datetime, int] = {}  # hour -> minutes with an event
        self.active_minutes: deque[datetime] = deque()  # of a week
        self.gaps: list[tuple[datetime, datetime]] = []
        self.memory = Memory()
        self.rhythm: Rhythm | None = None
        self.success: SuccessRate | None = None
        self.known: dict[Subject, Known] = {}
        self.opened: dict[AlertKind, datetime] = {}
        self.changes: list[tuple[datetime, AlertKind, str]] = []
        self._minute, self._arrived = START, False

    # Time -------------------------------------------------------------------------------------------------------------

    def pass_time(self, span: timedelta, silent: bool = False) -> None:
        """One step of at most a minute, within a minute."""
        seconds = span.total_seconds()
        arrived = 0 if silent else self.shop.arrivals(self.now, seconds)
        self.engine.step(self.now, seconds, arrived)
        if arrived and not self._arrived:
            self._arrived = True
            self._note_active(self._minute)
        self.now += span
        if self.now >= self._minute + MINUTE:
            self._end_minute()

    def _note_active(self, minute: datetime) -> None:
        hour = minute.replace(minute=0)
        self.active[hour] = self.active.get(hour, 0) + 1
        if self.active_minutes and minute - self.active_minutes[-1] >= LEAST_SILENCE:
            self.gaps.append((self.active_minutes[-1] + MINUTE, minute))
        self.active_minutes.append(minute)
        while self.active_minutes[0] < minute - timedelta(days=8):
            self.active_minutes.popleft()

    def _end_minute(self) -> None:
        counts = tuple(self.engine.counts)
        if any(counts):
            self.minutes.append((self._minute, counts))
            (span,) = spans_of([self.minutes[-1]], (), self.now)
            self.spans.append(span)
            hour = self._minute.replace(minute=0)
            good, bad = self.hours.get(hour, (0, 0))
            self.hours[hour] = good + span.first_acknowledged, bad + span.first_failed
        while self.minutes and self.minutes[0][0] < self.now - DAY:
            self.minutes.popleft()
            span = self.spans.popleft()
            self.earlier.append(span)
            if span.acknowledged:
                self.run.clear()
            elif span.failed:
                self.run.append(span)
        for spans in (self.run, self.earlier):
            while spans and spans[0].start < self.now - RUN:
                spans.popleft()
        self.engine.counts = [0] * len(COUNTS)
        self._minute, self._arrived = self.now, False

    def learn(self) -> None:
        until, since = self.now.replace(minute=0, second=0), self.now.replace(minute=0, second=0) - LEARN_FROM
        self.active = {hour: count for hour, count in self.active.items() if hour >= since}
        self.hours = {hour: counts for hour, counts in self.hours.items() if hour >= since}
        self.gaps = [gap for gap in self.gaps if gap[0] >= since]
        if self.active:
            longest = sorted(self.gaps, key=lambda gap: gap[0] - gap[1])[:1000]
            first = max(since, min(self.active))
            self.rhythm = learn_rhythm(self.active, longest, first, until) or self.rhythm
        self.success = learn_success(list(self.hours.values())) or self.success

    # Looks ------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        now = self.now
        recent_since = (now - timedelta(minutes=30)).replace(second=0)
        minutes = list(self._newest(recent_since))
        if any(self.engine.counts):
            minutes.append((self._minute, tuple(self.engine.counts)))
        view = self._view(minutes, recent_since)
        self.memory.note(1, "meta", minutes, now)
        kinds = {kind for kind in OF_DESTINATIONS if self._is_open(Subject(kind, "meta"))}
        found = judge_destination(view, kinds, now)
        is_down = any(finding.kind is AlertKind.PLATFORM_DOWN for finding in found)
        judged = [Subject(kind, "meta") for kind in ([AlertKind.PLATFORM_DOWN] if is_down else OF_DESTINATIONS)]
        merchant = self._merchant_view(now)
        if merchant is not None:
            found += judge_merchant(merchant, now)
            judged.append(Subject(AlertKind.TRACKING_STOPPED))
        by_subject = {finding.subject: finding for finding in found}
        for subject in judged:
            self._settle(subject, by_subject.get(subject), now)

    def _newest(self, since: datetime) -> Iterator[Minute]:
        place = len(self.minutes)
        while place and self.minutes[place - 1][0] >= since:
            place -= 1
        return (self.minutes[n] for n in range(place, len(self.minutes)))

    def _view(self, minutes: Sequence[Minute], recent_since: datetime) -> DestinationView:
        engine, now = self.engine, self.now
        recent = spans_of(minutes, self.memory.cuts(1, "meta"), now)
        health = engine.health
        due = engine.due_at if engine.due_at is not None and engine.due_at <= now else None
        view = DestinationView(
            "meta",
            "Meta",
            health.state,
            health.reason,
            health.failing_since,
            health.resume_at,
            recent,
            success=self.success,
            waiting=engine.waiting,
            oldest=Oldest(due, due + WINDOW) if due is not None else None,
            outage=self._told(AlertKind.PLATFORM_DOWN),
            rate_drop=self._told(AlertKind.DELIVERY_RATE_DROP),
        )
        if wants_past(recent, self.success) or health.failing_since is not None:
            view = replace(view, past=[span for span in self.spans if span.start < recent_since])
            if wants_run(view):
                view = replace(view, past=[*self.run, *view.past])
            elif wants_earlier(view):
                view = replace(view, earlier=list(self.earlier))
        return view

    def _told(self, kind: AlertKind) -> Told | None:
        known = self.known.get(Subject(kind, "meta"))
        if known is None or (known.resolved_at is not None and known.resolved_at < self.now - DAY):
            return None
        return Told(self.opened[kind], known.resolved_at)

    def _merchant_view(self, now: datetime) -> MerchantView | None:
        if self.rhythm is None or not self.active_minutes:
            return None
        last = self.active_minutes[-1] + MINUTE
        if not may_have_stopped(self.rhythm, last, now):
            return MerchantView(self.rhythm, last)
        spans = [(last - length, last) for length in (DAY, timedelta(days=7))]
        found = [sum(since <= minute for minute in self.active_minutes) for since, _ in spans]
        return MerchantView(self.rhythm, last, self.rhythm.level(spans, found))

    def _is_open(self, subject: Subject) -> bool:
        return subject in self.known and self.known[subject].resolved_at is None

    def _settle(self, subject: Subject, finding: Finding | None, now: datetime) -> None:
        known = self.known.get(subject)
        match next_step(known, finding, now):
            case Step.OPEN:
                self.opened[subject.kind] = now
                self.known[subject] = Known(1, subject, Severity.CRITICAL, now, None, None)
                self.changes.append((now, subject.kind, "open"))
            case Step.REOPEN:
                assert known is not None
                self.known[subject] = replace(known, last_seen_at=now, quiet_since=None, resolved_at=None)
                self.changes.append((now, subject.kind, "reopen"))
            case Step.SEEN:
                assert known is not None
                self.known[subject] = replace(known, last_seen_at=now, quiet_since=None)
            case Step.QUIET:
                assert known is not None
                self.known[subject] = replace(known, quiet_since=now)
            case Step.RESOLVE:
                assert known is not None
                self.known[subject] = replace(known, resolved_at=now)
                if subject.platform is not None:
                    self.earlier.clear()
                self.changes.append((now, subject.kind, "resolved"))


def grown_up(seed: int, per_second: float, days: int = 28) -> Watched:
    """A shop of which the last weeks are known."""
    watched = Watched(Shop(seed, per_second))
    end = watched.now + days * DAY
    while watched.now < end:
        watched.pass_time(MINUTE)
    watched.learn()
    return watched


def pick_rate(random: Random, least: float = THREE_A_WEEK) -> float:
    return math.exp(random.uniform(math.log(least), math.log(FIFTY_A_SECOND)))


# Healthy traffic ------------------------------------------------------------------------------------------------------


def healthy(seed: int, days: int) -> list[AlertKind]:
    """What was raised in a shop though nothing was wrong. A look a minute."""
    random = Random(f"healthy {seed}")
    watched = grown_up(random.getrandbits(32), pick_rate(random))
    end = watched.now + days * DAY
    while watched.now < end:
        watched.pass_time(MINUTE)
        watched.look()
        if watched.now.hour == 0 and watched.now.minute == 0:
            watched.learn()
    return [kind for _, kind, state in watched.changes if state == "open"]


# Incidents ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incident:
    """``detected``: from the fault to the alert, None: never. ``allowed``: as long as it may take."""

    per_second: float
    detected: timedelta | None
    allowed: timedelta
    openings: tuple[str, ...]  # every alert that opened, of whatever kind, and every one that opened again
    is_over: bool


FAULTS = {
    "refuse": AlertKind.PLATFORM_DOWN,
    "down": AlertKind.PLATFORM_DOWN,
    "hang": AlertKind.PLATFORM_DOWN,
    "credentials": AlertKind.PLATFORM_DOWN,
    "flaky": AlertKind.PLATFORM_DOWN,
    "unmappable": AlertKind.PLATFORM_DOWN,
    "unmappable from the start": AlertKind.PLATFORM_DOWN,
    "half unmappable from the start": AlertKind.DELIVERY_RATE_DROP,
    "slow": AlertKind.QUEUE_BACKLOG,
    "drop": AlertKind.DELIVERY_RATE_DROP,
    "stop": AlertKind.TRACKING_STOPPED,
}


def incident(seed: int, fault: str) -> Incident:
    """One fault, at a shop that sends one to fifty events a second (a stop: any that has a rhythm), and its end.

    What is allowed: 60 s for a platform that is down, or that can be sent nothing, 2 min for a backlog, 3 min for a rate
    drop; for a stop as long as the shop usually takes for twice what its usual longest silence swallows, half an hour at
    least. A platform that fails and answers by turns is told in 3 min, and half of all refused at a destination without
    a past in 10.
    """
    random = Random(f"{fault} {seed}")
    slowest = 30 / 86400 if fault == "stop" else 1.0
    watched = grown_up(random.getrandbits(32), pick_rate(random, slowest), 15 if fault == "stop" else 3)
    _approach(watched, random, 0.2 * slowest if fault == "stop" else 1.0)
    if fault == "stop":
        return _stop(watched)
    began, lasts = watched.now, timedelta(minutes=random.uniform(20, 90))
    if fault.endswith("from the start"):
        watched.success = None
    if fault == "slow":
        watched.engine.capacity = watched.shop.rate(began) * random.uniform(0, 0.4)
    elif fault == "drop":
        watched.engine.accepts = random.uniform(0.3, 0.8)
    elif "unmappable" in fault:
        watched.engine.maps = random.uniform(0.45, 0.55) if "half" in fault else 0.0
    else:
        watched.engine.platform = fault
    _run(watched, lasts)
    engine = watched.engine
    engine.capacity, engine.accepts, engine.maps, engine.platform = 3000.0, 1.0, 1.0, ""
    _run(watched, timedelta(minutes=45))
    kind = FAULTS[fault]
    allowed = {
        AlertKind.PLATFORM_DOWN: timedelta(seconds=60),
        AlertKind.QUEUE_BACKLOG: timedelta(minutes=2),
        AlertKind.DELIVERY_RATE_DROP: timedelta(minutes=3),
    }[kind]
    allowed = {"flaky": timedelta(minutes=3), "half unmappable from the start": timedelta(minutes=10)}.get(
        fault, allowed
    )
    return _told(watched, kind, began, allowed)


def _approach(watched: Watched, random: Random, least: float) -> None:
    """To a moment at which the shop is awake, for an hour has been and will be: closing times are known to the hour."""
    watched.now = watched._minute
    for _ in range(random.randint(0, 1440)):
        watched.pass_time(MINUTE)
    while min(watched.shop.rate(watched.now + n * HOUR) for n in (-1, 0, 1, 1.2)) < least:
        watched.pass_time(MINUTE)
    # Looks come at any time within the quarter minute, and faults at any time within a minute.
    for _ in range(random.randint(1, 12)):
        watched.pass_time(TICK)
    _run(watched, timedelta(minutes=10))


def _run(watched: Watched, span: timedelta, silent: bool = False) -> None:
    end = watched.now + span
    while watched.now < end:
        watched.pass_time(TICK, silent)
        if watched.now.second % 15 == 0:
            watched.look()


def _stop(watched: Watched) -> Incident:
    began, rhythm = watched.now, watched.rhythm
    if rhythm is None:
        return Incident(watched.shop.per_second, None, timedelta(), (), True)
    usual, at = began, 0.0
    while at < 2 * rhythm.usual:  # the shop itself says what is usual, not what was learned of it
        at += 1 - math.exp(-watched.shop.usual_rate(usual) * 60)
        usual += MINUTE
    allowed = max(timedelta(minutes=30), usual - began)
    end = began + 2 * allowed + DAY
    while watched.now < end and not watched.changes:
        watched.pass_time(TICK if watched.now.second else MINUTE, silent=True)
        if watched.now.second % 15 == 0:
            watched.look()
    while watched.shop.rate(watched.now) * 3600 < 1:
        watched.pass_time(TICK if watched.now.second else MINUTE, silent=True)
    _run(watched, max(timedelta(minutes=90), timedelta(seconds=6 / watched.shop.rate(watched.now))))
    return _told(watched, AlertKind.TRACKING_STOPPED, began, allowed)


def _told(watched: Watched, kind: AlertKind, began: datetime, allowed: timedelta) -> Incident:
    opened = [at for at, found, state in watched.changes if found is kind and state == "open"]
    return Incident(
        watched.shop.per_second,
        opened[0] - began if opened and opened[0] >= began else None,
        allowed,
        tuple(f"{state} {found}" for _, found, state in watched.changes if state != "resolved"),
        not any(known.resolved_at is None for known in watched.known.values()),
    )


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("shops", 200), ("days", 30), ("incidents", 200), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--faults", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        seeds = range(options.seed * 10_000, options.seed * 10_000 + options.incidents)
        for fault in options.faults:
            found = list(pool.map(incident, seeds, repeat(fault)))
            print(report(fault, [one for one in found if one.allowed]), flush=True)
        seeds = range(options.seed * 10_000, options.seed * 10_000 + options.shops)
        raised = Counter(kind for shop in pool.map(healthy, seeds, repeat(options.days)) for kind in shop)
    print(f"healthy: {options.shops} shops, {options.days} days, seed {options.seed}")
    for kind in AlertKind:
        print(f"  {kind}: {raised[kind]} ({raised[kind] * 1000 / (options.shops * options.days):.2f} per 1,000 days)")


def report(fault: str, found: Sequence[Incident]) -> str:
    """One line: how many were found, how soon against what is allowed, and how many told of them more than once."""
    shares = [one.detected / one.allowed for one in found if one.detected is not None]
    seconds = [one.detected.total_seconds() for one in found if one.detected is not None]
    again = [one for one in found if len(one.openings) != 1]
    still = sum(not one.is_over for one in found)
    times = (
        f"p50 {percentile(seconds, 0.5):.0f} s, p95 {percentile(seconds, 0.95):.0f} s, "
        f"p95 of the allowed time {percentile(shares, 0.95):.2f}"
        if shares
        else "none"
    )
    kinds = Counter(", ".join(one.openings) for one in again)
    return f"  {fault}: {len(shares)} of {len(found)} found, {times}; not told exactly once: {dict(kinds)}, still open: {still}"


if __name__ == "__main__":
    main()
