"""Shops that send events of several names, run through the judges of silence and of refusals, without a database.

``python -m tests.domain.names [--shops 200] [--days 30] [--incidents 100] [--seed 1]`` runs the full size.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, deque
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from random import Random

from tests.domain.simulator import percentile, pick_rate
from tests.domain.traffic import START, Shop
from tracklayer.domain.alert import AlertKind, Finding, Known, Step, Subject, next_step
from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import ENOUGH_OF_A_NAME, LEARN_FROM, LONGEST_OF_A_NAME, Rhythm, learn_arrivals
from tracklayer.domain.monitors.tracking_stopped import (
    LEAST_SILENCE,
    TIMES_USUAL_OF_A_NAME,
    carrier,
    fell_silent_before,
    is_hushed,
    judge_carrier_missing,
    judge_name_stopped,
    may_have_stopped,
    most_frequent,
    told_after,
)
from tracklayer.domain.monitors.views import LEVEL_OF, MerchantView, NameView

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WHOLE = Subject(AlertKind.TRACKING_STOPPED)


@dataclass
class Arrivals:
    """When something arrived: what is kept of it, and what was learned of that."""

    hours: dict[datetime, tuple[int, int]] = field(default_factory=dict)
    minutes: deque[datetime] = field(default_factory=deque)  # of eight days
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)
    rhythm: Rhythm | None = None
    told_after: timedelta = timedelta()

    def note(self, minute: datetime) -> None:
        hour = minute.replace(minute=0)
        found = self.hours.get(hour, (0, 0))
        self.hours[hour] = found[0] + 1, found[1] + 1
        if self.minutes and minute - self.minutes[-1] >= LEAST_SILENCE:
            self.gaps.append((self.minutes[-1] + MINUTE, minute))
        self.minutes.append(minute)
        while self.minutes[0] < minute - 8 * DAY:
            self.minutes.popleft()

    def learn(self, until: datetime, longest_within: float) -> None:
        since = until - LEARN_FROM
        self.hours = {hour: counts for hour, counts in self.hours.items() if hour >= since}
        self.gaps = [gap for gap in self.gaps if gap[0] >= since]
        longest = sorted(self.gaps, key=lambda gap: gap[0] - gap[1])[:200]
        first = max(since, min(self.hours, default=since))
        self.rhythm = learn_arrivals(self.hours, longest, first, until, ENOUGH_OF_A_NAME, longest_within)
        self.told_after = told_after(self.rhythm) if self.rhythm else timedelta.max

    def count(self, since: datetime, until: datetime) -> int:
        found = 0
        for minute in reversed(self.minutes):
            if minute < since:
                break
            found += minute < until
        return found

    def level(self, last: datetime) -> float:
        assert self.rhythm is not None
        spans = [(last - length, last) for length in LEVEL_OF]
        return self.rhythm.level(spans, [self.count(*span) for span in spans])


@dataclass(frozen=True, slots=True)
class Kind:
    """One name's part of a shop's traffic. ``follows``: how much of a campaign it sees; ``clumps``: hours on and off."""

    name: str
    share: float
    follows: float
    noise: float
    clumps: bool = False
    office: bool = False


class NamedShop:
    """A shop that sends two to seven names: what a visitor does on every page, what few do, and what a job sends."""

    def __init__(self, seed: int, per_second: float) -> None:
        self.shop = Shop(seed, per_second)
        pick = self.random = Random(f"names {seed}")
        share = math.exp(pick.uniform(math.log(0.005), math.log(0.6)))
        self.kinds = [Kind("PageView", 1 - share / 2, 1.0, 0.05), Kind("Purchase", share, 0.5, pick.uniform(0.1, 0.4))]
        for name in pick.sample(["AddToCart", "Lead", "Search", "Subscribe", "ViewContent"], pick.randint(0, 5)):
            part = math.exp(pick.uniform(math.log(0.001), math.log(0.5)))
            clumps, office = pick.random() < 0.2, pick.random() < 0.15
            self.kinds.append(Kind(name, part, pick.uniform(0, 1), pick.uniform(0.05, 0.5), clumps, office))
        self.silent: Collection[str] = ()
        self._hour: datetime | None = None
        self._chances: list[tuple[str, float]] = []

    def active(self, minute: datetime) -> list[str]:
        """Names of which something arrives in a minute."""
        hour = minute.replace(minute=0)
        if hour != self._hour:
            self._hour, self._chances = hour, [(kind.name, self._chance(kind, hour)) for kind in self.kinds]
        draw = self.random.random
        return [name for name, chance in self._chances if draw() < chance and name not in self.silent]

    def _chance(self, kind: Kind, hour: datetime) -> float:
        usual = self.usual_rate(kind.name, hour)
        campaign = self.shop.rate(hour) / self.shop.usual_rate(hour) if self.shop.usual_rate(hour) else 1.0
        rate = usual * campaign**kind.follows * self.random.lognormvariate(0, kind.noise)
        if kind.clumps:
            rate *= self.random.choice((0.0, 0.2, 2.8))
        return 1 - math.exp(-rate * 60)

    def usual_rate(self, name: str, at: datetime) -> float:
        """Events a second, without campaigns and without chance."""
        kind = next(kind for kind in self.kinds if kind.name == name)
        if kind.office and not (at.weekday() < 5 and 8 <= at.hour < 18):
            return 0.0
        return kind.share * self.shop.usual_rate(at)


def _subject(name: str) -> Subject:
    return Subject(AlertKind.TRACKING_STOPPED, event_name=name)


class WatchedNames:
    """A shop as the counters show it, what was learned of it, and the alerts that there are; by whole minutes."""

    def __init__(self, shop: NamedShop) -> None:
        self.shop, self.now = shop, START
        self.whole = Arrivals()
        self.names = {kind.name: Arrivals() for kind in shop.kinds}
        self.known: dict[Subject, Known] = {}
        self.opened: dict[Subject, datetime] = {}
        self.changes: list[tuple[datetime, Subject, str]] = []

    def pass_minute(self) -> None:
        active = self.shop.active(self.now)
        if active:
            self.whole.note(self.now)
            for name in active:
                self.names[name].note(self.now)
        self.now += MINUTE

    def learn(self) -> None:
        self.whole.learn(self.now, 1.0)
        for arrivals in self.names.values():
            arrivals.learn(self.now, LONGEST_OF_A_NAME)

    def look(self) -> None:
        """As services/watches/silence.py does it."""
        now = self.now
        if self.whole.rhythm is None or not self.whole.minutes:
            return
        rhythms = {name: each.rhythm for name, each in self.names.items() if each.rhythm is not None}
        open_names = {name for name in self.names if self._is_open(_subject(name))}
        judged: Arrivals | None = self.whole
        if open_names:
            most = most_frequent({name: rhythm for name, rhythm in rhythms.items() if name not in open_names})
            judged = self.names[most] if most is not None else None
        last = self.whole.minutes[-1] + MINUTE
        view = MerchantView(judged.rhythm if judged is not None else None, last)
        if judged is not None and judged.rhythm is not None and may_have_stopped(judged.rhythm, last, now):
            view = replace(view, level=judged.level(last))
        found, was_open = judge_merchant(view, now), self._is_open(WHOLE)
        if not found and was_open and not open_names:
            found = self._without_its_carrier(self.whole.rhythm, rhythms)
        self._settle(WHOLE, found[0] if found else None)
        if found or was_open:
            return
        hushed_since = last if is_hushed(view, now) else None
        for name in self.names:
            self._settle(_subject(name), self._judge(name, self.names[name], _subject(name), hushed_since))

    def _without_its_carrier(self, whole: Rhythm, rhythms: dict[str, Rhythm]) -> list[Finding]:
        last = {name: self.names[name].minutes[-1] + MINUTE for name in rhythms if self.names[name].minutes}
        name = carrier(whole, rhythms, {name: at for name, at in last.items() if at <= self.opened[WHOLE]}, self.now)
        return [judge_carrier_missing(NameView(name, rhythms[name], last[name]), self.now)] if name is not None else []

    def _judge(self, name: str, arrivals: Arrivals, subject: Subject, hushed_since: datetime | None) -> Finding | None:
        rhythm, now = arrivals.rhythm, self.now
        if rhythm is None or not arrivals.minutes:
            return None
        last = arrivals.minutes[-1] + MINUTE
        if self._is_open(subject):
            is_quiet = last <= self.opened[subject]
            return judge_name_stopped(NameView(name, rhythm, last), is_open=True, now=now) if is_quiet else None
        if now - last < arrivals.told_after:
            return None
        told = self.known.get(WHOLE)
        since = max(last, told.resolved_at) if told is not None and told.resolved_at is not None else last
        if not may_have_stopped(rhythm, since, now, TIMES_USUAL_OF_A_NAME):
            return None
        if hushed_since is not None and not fell_silent_before(NameView(name, rhythm, since), hushed_since):
            return None
        others = [
            (other.rhythm.expected(since, now), other.count(since, now))
            for each, other in self.names.items()
            if each != name and other.rhythm is not None
        ]
        return judge_name_stopped(NameView(name, rhythm, since, arrivals.level(last), others), is_open=False, now=now)

    def _is_open(self, subject: Subject) -> bool:
        return subject in self.known and self.known[subject].resolved_at is None

    def _settle(self, subject: Subject, finding: Finding | None) -> None:
        known, now = self.known.get(subject), self.now
        step = next_step(known, finding, now)
        if step is Step.OPEN and finding is not None:
            self.known[subject] = Known(1, subject, finding.severity, now, None, None)
            self.opened[subject] = now
        elif known is not None and step in (Step.REOPEN, Step.SEEN):
            self.known[subject] = replace(known, last_seen_at=now, quiet_since=None, resolved_at=None)
        elif known is not None and step is Step.QUIET:
            self.known[subject] = replace(known, quiet_since=now)
        elif known is not None and step is Step.RESOLVE:
            self.known[subject] = replace(known, resolved_at=now)
        if step in (Step.OPEN, Step.REOPEN, Step.RESOLVE):
            self.changes.append((now, subject, step.value))

    @property
    def openings(self) -> tuple[str, ...]:
        return tuple(subject.event_name or "all" for _, subject, step in self.changes if step != "resolve")


def grown_up(seed: int, per_second: float, days: int = 28) -> WatchedNames:
    """A shop of which the last weeks are known."""
    watched = WatchedNames(NamedShop(seed, per_second))
    while watched.now < START + days * DAY:
        watched.pass_minute()
    watched.learn()
    return watched


def healthy(seed: int, days: int) -> tuple[str, ...]:
    """What was raised in a shop though nothing was wrong. A look a minute."""
    random = Random(f"healthy names {seed}")
    watched = grown_up(random.getrandbits(32), pick_rate(random))
    end = watched.now + days * DAY
    while watched.now < end:
        watched.pass_minute()
        watched.look()
        if watched.now.minute == 0 and watched.now.hour % 6 == 0:
            watched.learn()
    return watched.openings


@dataclass(frozen=True, slots=True)
class Silence:
    """``detected``: from the last event to the alert. ``allowed``: twice what its longest usual silence takes.

    ``carries``: the name brings most of the shop's traffic. Where no other event came for as long as that takes either,
    its silence is told as the shop's, and that alert stays until the name is back.
    """

    name: str
    detected: timedelta | None
    allowed: timedelta
    openings: tuple[str, ...]
    is_over: bool
    carries: bool = False

    @property
    def is_told_once(self) -> bool:
        return self.openings == (self.name,) or (self.carries and self.openings == ("all",))


def name_falls_silent(seed: int) -> Silence | None:
    """One name with a rhythm stops while the others go on, then comes back; None where the shop has no such name."""
    random = Random(f"name {seed}")
    watched = _awake(random)
    names = [name for name, arrivals in watched.names.items() if arrivals.rhythm is not None]
    if not names:
        return None
    name = random.choice(names)
    while watched.shop.usual_rate(name, watched.now) == 0 or watched.shop.usual_rate(name, watched.now + HOUR) == 0:
        watched.pass_minute()
        watched.look()
    rhythm = watched.names[name].rhythm
    assert rhythm is not None
    began = watched.names[name].minutes[-1] + MINUTE
    watched.changes.clear()
    watched.known.clear()
    watched.shop.silent = {name}
    allowed = _twice_its_usual(rhythm, began)
    rhythms = {each: arrivals.rhythm for each, arrivals in watched.names.items() if arrivals.rhythm is not None}
    whole = watched.whole.rhythm
    carries = whole is not None and carrier(whole, rhythms, {name: began}, began + allowed) == name
    return replace(_until_told_and_over(watched, name, began, allowed), carries=carries)


def all_fall_silent(seed: int) -> Silence:
    """A shop falls silent as a whole, and comes back: what is told of it is one alert, and none of a name."""
    random = Random(f"all {seed}")
    watched = _awake(random)
    rhythm = watched.whole.rhythm
    assert rhythm is not None
    began = watched.whole.minutes[-1] + MINUTE
    watched.shop.silent = set(watched.names)
    return _until_told_and_over(watched, "all", began, _twice_its_usual(rhythm, began))


def _twice_its_usual(rhythm: Rhythm, began: datetime) -> timedelta:
    """How long a silence lasts that swallows twice what the usual one does, by the rhythm that was learned."""
    end = began
    while rhythm.expected(began, end) < 2 * rhythm.usual:
        end += MINUTE * 5
    return max(timedelta(minutes=30), end - began)


def _awake(random: Random) -> WatchedNames:
    """A shop of at least thirty events a day, at some moment when it is awake."""
    watched = grown_up(random.getrandbits(32), pick_rate(random, 30 / 86400), 15)
    for _ in range(random.randint(0, 1440)):
        watched.pass_minute()
    while min(watched.shop.shop.usual_rate(watched.now + n * HOUR) for n in (-1, 0, 1, 1.2)) == 0:
        watched.pass_minute()
    return watched


def _until_told_and_over(watched: WatchedNames, name: str, began: datetime, allowed: timedelta) -> Silence:
    end = began + 2 * allowed + DAY
    while watched.now < end and not watched.changes:
        watched.pass_minute()
        watched.look()
    opened = [at for at, subject, step in watched.changes if subject.event_name in (None, name) and step == "open"]
    lasts = watched.now + timedelta(hours=3)
    while watched.now < lasts:
        watched.pass_minute()
        watched.look()
    watched.shop.silent = ()
    ends = watched.now + allowed + DAY
    while watched.now < ends:
        watched.pass_minute()
        watched.look()
    return Silence(
        name,
        opened[0] - began if opened else None,
        allowed,
        watched.openings,
        not any(known.resolved_at is None for known in watched.known.values()),
    )


def report(title: str, found: list[Silence]) -> str:
    shares = [one.detected / one.allowed for one in found if one.detected is not None]
    wrong = Counter(f"{one.name}: {', '.join(one.openings)}" for one in found if not one.is_told_once)
    as_all = sum(one.is_told_once and one.openings != (one.name,) for one in found)
    late = sum(share > 1 for share in shares)
    still = sum(not one.is_over for one in found)
    times = (
        f"p50 {percentile(shares, 0.5):.2f}, p95 {percentile(shares, 0.95):.2f} of the allowed time" if shares else ""
    )
    return f"  {title}: {len(shares)} of {len(found)} found, {times}, late: {late}; told as all: {as_all}; not told exactly once: {dict(wrong)}, still open: {still}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("shops", 200), ("days", 30), ("incidents", 100), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    first = options.seed * 10_000
    with ProcessPoolExecutor() as pool:
        seeds = range(first, first + options.incidents)
        silent = [one for one in pool.map(name_falls_silent, seeds) if one is not None]
        print(report("a name falls silent", silent), flush=True)
        print(report("all fall silent", list(pool.map(all_fall_silent, seeds))), flush=True)
        raised: Counter[str] = Counter()
        for place, names in enumerate(pool.map(healthy, range(first, first + options.shops), repeat(options.days)), 1):
            raised.update(names)
            if place % 20 == 0:
                print(f"  {place} shops: {raised.total()} alarms", flush=True)
    days = options.shops * options.days
    print(f"healthy: {options.shops} shops, {options.days} days, seed {options.seed}: {dict(raised)}")
    print(
        f"  by name {(raised.total() - raised['all']) * 1000 / days:.2f}, whole {raised['all'] * 1000 / days:.2f} in 1,000 days"
    )


if __name__ == "__main__":
    main()
