"""Shops of whose events a share is refused, run through the judge of refusals, without a database.

``python -m tests.domain.rejected [--shops 200] [--days 30] [--incidents 100] [--seed 1]`` runs the full size.
"""

from __future__ import annotations

import argparse
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from random import Random

from tests.domain.identifiers_simulator import binomial
from tests.domain.simulator import percentile, pick_rate
from tests.domain.traffic import START, Shop
from tracklayer.domain.alert import AlertKind, Known, Step, Subject, next_step
from tracklayer.domain.monitors.events_rejected import DoorMinute, DoorView, judge_events_rejected, wants_past
from tracklayer.domain.monitors.learn import LEARN_FROM, SuccessRate, learn_success, learn_worst

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RECENT = 30  # minutes
NAMES = (("PageView", 0.8), ("AddToCart", 0.15), ("Purchase", 0.05))
USUAL_CAUSE = ("INVALID_CURRENCY", "custom_data.currency")
NEW_CAUSE = ("INVALID_TIME", "occurred_at")


@dataclass
class Door:
    """One shop's door by the minute. ``refuses``: its usual share; ``worse``: name -> share that is refused besides.

    Now and then an hour has several times as many refusals as usual: a product with a wrong currency, say.
    """

    seed: int
    per_second: float
    refuses: float
    worse: dict[str, float] = field(default_factory=dict)
    now: datetime = START
    minutes: deque[DoorMinute] = field(default_factory=deque)
    hours: dict[datetime, Counter[str]] = field(default_factory=dict)  # '' good, else refused by code
    names: dict[str, dict[datetime, tuple[int, int]]] = field(default_factory=dict)  # of each by hour: good, refused
    usual: SuccessRate | None = None
    usual_names: dict[str, SuccessRate] = field(default_factory=dict)
    causes: dict[tuple[str, str], SuccessRate] = field(default_factory=dict)
    known: dict[Subject, Known] = field(default_factory=dict)
    openings: list[tuple[datetime, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shop, self.random = Shop(self.seed, self.per_second), Random(f"door {self.seed}")
        self._hour, self._share = START - DAY, 0.0

    def pass_minute(self) -> None:
        names, refused = self._arrive(60)
        if names or refused:
            self.minutes.append(DoorMinute(self.now, sum(names.values()), names, refused))
        self.now += MINUTE
        while self.minutes and self.minutes[0].start < self.now - DAY:
            self.minutes.popleft()

    def pass_hour(self) -> None:
        """Of which nothing is kept but what is learned from. From a full hour on."""
        self._arrive(3600)
        self.now += HOUR

    def _arrive(self, seconds: int) -> tuple[dict[str, int], dict[tuple[str, str, str], int]]:
        """What is accepted by name, and what is refused, within an hour."""
        hour = self.now.replace(minute=0)
        if hour != self._hour:
            self._hour = hour
            self._share = min(0.5, self.refuses * (self.random.uniform(1, 4) if self.random.random() < 0.1 else 1))
        names, refused = dict[str, int](), dict[tuple[str, str, str], int]()
        arrived = self.shop.arrivals(self.now, seconds)
        if not arrived:
            return names, refused
        found = self.hours.setdefault(hour, Counter())
        left, rest = arrived, 1.0
        for name, part in NAMES:
            count = binomial(self.random, left, min(1.0, part / rest))
            left, rest = left - count, rest - part
            bad = binomial(self.random, count, self._share)
            new = binomial(self.random, count - bad, self.worse.get(name, 0.0))
            for key, of_name in (((name, *USUAL_CAUSE), bad), ((name, *NEW_CAUSE), new)):
                if of_name:
                    refused[key] = of_name
                    found[key[1]] += of_name
            if count - bad - new:
                names[name] = count - bad - new
                found[""] += names[name]
            if count:
                hours = self.names.setdefault(name, {})
                good, worse = hours.get(hour, (0, 0))
                hours[hour] = (good + count - bad - new, worse + bad + new)
        return names, refused

    def learn(self) -> None:
        """As services/watches/names.py does it."""
        since = self.now - LEARN_FROM
        self.hours = {hour: found for hour, found in self.hours.items() if hour >= since}
        self.names = {
            name: {hour: found for hour, found in hours.items() if hour >= since} for name, hours in self.names.items()
        }
        of_names = {name: _learned(hours) for name, hours in self.names.items()}
        self.usual_names = {name: learned for name, learned in of_names.items() if learned is not None}
        self.usual = _learned({hour: (found[""], found.total() - found[""]) for hour, found in self.hours.items()})
        code = USUAL_CAUSE[0]
        of_code = _learned({hour: (found.total() - found[code], found[code]) for hour, found in self.hours.items()})
        self.causes = {USUAL_CAUSE: of_code} if of_code is not None else {}

    def look(self, now: datetime) -> None:
        """As services/watches/rejections.py does it: at half an hour, and at a day where that leaves it open."""
        recent: deque[DoorMinute] = deque()
        for minute in reversed(self.minutes):
            if minute.start < now - RECENT * MINUTE:
                break
            recent.appendleft(minute)
        is_open = [subject for subject, known in self.known.items() if known.resolved_at is None]
        if not is_open and not any(minute.refused for minute in recent):
            return
        view = DoorView(
            list(self.minutes if is_open or wants_past(recent, self.usual) else recent),
            self.usual,
            self.usual_names,
            usual_causes=self.causes,
            is_open=Subject(AlertKind.EVENTS_REJECTED) in is_open,
            open_names=[subject.event_name for subject in is_open if subject.event_name],
            told_until={
                subject.event_name: known.resolved_at for subject, known in self.known.items() if known.resolved_at
            },
        )
        for subject, finding in judge_events_rejected(view, now).items():
            known = self.known.get(subject)
            step = next_step(known, finding, now)
            if step is Step.OPEN and finding is not None:
                self.known[subject] = Known(1, subject, finding.severity, now, None, None)
                self.openings.append((now, subject.event_name or "all"))
            elif known is not None and step in (Step.REOPEN, Step.SEEN):
                self.known[subject] = replace(known, last_seen_at=now, quiet_since=None, resolved_at=None)
            elif known is not None and step is Step.QUIET:
                self.known[subject] = replace(known, quiet_since=now)
            elif known is not None and step is Step.RESOLVE:
                self.known[subject] = replace(known, resolved_at=now)


def _learned(hours: Mapping[datetime, tuple[int, int]]) -> SuccessRate | None:
    found = learn_success(list(hours.values()))
    return found and replace(found, worst=learn_worst(hours))


def grown_up(random: Random, per_second: float, days: int = 15) -> Door:
    door = Door(random.getrandbits(32), per_second, random.choice((0.0, 0.001, 0.005, 0.02, 0.06)))
    while door.now < START + (days - 1) * DAY:
        door.pass_hour()
    while door.now < START + days * DAY:
        door.pass_minute()
    door.learn()
    return door


def healthy(seed: int, days: int) -> list[str]:
    """What was told of a shop though nothing was wrong. A look each five minutes; the first days without a past."""
    random = Random(f"healthy door {seed}")
    door = grown_up(random, pick_rate(random), 28 if seed % 4 else 0)
    end = door.now + days * DAY
    while door.now < end:
        for _ in range(5):
            door.pass_minute()
        door.look(door.now)
        if door.now.hour == 0 and door.now.minute < 5:
            door.learn()
    return [name for _, name in door.openings]


@dataclass(frozen=True, slots=True)
class Refusal:
    detected: timedelta | None
    openings: tuple[str, ...]
    expected: str
    is_over: bool


def incident(seed: int) -> Refusal:
    """Half or all of everything, or all of one name, is refused at a shop of which an event a second arrives (of that)."""
    random = Random(f"refused {seed}")
    what = random.choice(("all", "all", "Purchase", "AddToCart"))
    share = random.uniform(0.5, 1.0) if what == "all" else 1.0
    least = 1.0 / dict(NAMES).get(what, 1.0)
    door = grown_up(random, least * random.uniform(1.5, 4), 3)
    while door.shop.rate(door.now) < least or door.shop.rate(door.now + timedelta(hours=1)) < least:
        door.pass_minute()
    door.openings.clear()
    door.known.clear()
    began = door.now
    door.worse = {name: share for name, _ in NAMES} if what == "all" else {what: share}
    for lasts in (30, 30):
        for _ in range(lasts):
            door.pass_minute()
            door.look(door.now)
        door.worse = {}
    opened = [at for at, name in door.openings if name == what]
    is_over = all(known.resolved_at is not None for known in door.known.values())
    return Refusal(opened[0] - began if opened else None, tuple(name for _, name in door.openings), what, is_over)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("shops", 200), ("days", 30), ("incidents", 100), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    first = options.seed * 10_000
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(incident, range(first, first + options.incidents)))
        seconds = [one.detected.total_seconds() for one in found if one.detected is not None]
        wrong = Counter(
            f"{one.expected}: {', '.join(one.openings)}" for one in found if one.openings != (one.expected,)
        )
        if found:
            print(
                f"  refused: {len(seconds)} of {len(found)} found, p50 {percentile(seconds, 0.5):.0f} s, "
                f"p95 {percentile(seconds, 0.95):.0f} s; not told exactly once: {dict(wrong)}, "
                f"still open: {sum(not one.is_over for one in found)}",
                flush=True,
            )
        raised: Counter[str] = Counter()
        for place, names in enumerate(pool.map(healthy, range(first, first + options.shops), repeat(options.days)), 1):
            raised.update(names)
            if place % 20 == 0:
                print(f"  {place} shops: {raised.total()} alarms", flush=True)
    days = options.shops * options.days
    print(
        f"healthy: {options.shops} shops, {options.days} days: {dict(raised)}, {raised.total() * 1000 / days:.2f} in 1,000 days"
    )


if __name__ == "__main__":
    main()
