"""Shops as they are, for the simulator: their traffic by day, night, week and campaign, and a destination that delivers it."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from tracklayer.domain.delivery import (
    Acknowledged,
    CredentialsRefused,
    DestinationState,
    Health,
    Outcome,
    Unknown,
    Unreachable,
)
from tracklayer.domain.health import judge_health, release_pace
from tracklayer.domain.monitors.spans import COUNTS
from tracklayer.domain.retry import MAX_ATTEMPTS, RetryPolicy

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
PLACES = {name: place for place, name in enumerate(COUNTS)}
RETRIES = [RetryPolicy().delay(attempt, 0.0) for attempt in range(1, MAX_ATTEMPTS)]


def poisson(random: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    if mean <= 0:
        return 0
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def binomial(random: Random, trials: int, share: float) -> int:
    if trials > 100:
        return min(trials, max(0, round(random.gauss(trials * share, math.sqrt(trials * share * (1 - share))))))
    return sum(random.random() < share for _ in range(trials))


class Shop:
    """``per_second``: its average. Some sleep by night, some on Sundays; all have campaigns now and then."""

    def __init__(self, seed: int, per_second: float) -> None:
        self.random = Random(seed)
        self.per_second = per_second
        pick = self.random
        self.opens = pick.uniform(6, 10)
        self.swing = pick.uniform(0.3, 0.9)  # between the busiest hour and the quietest
        self.sleeps = pick.random() < 0.4
        self.sunday = pick.choice((0.0, 0.4, 0.8, 1.3))
        self.noise = pick.uniform(0.05, 0.35)  # of one hour against the same hour of other weeks
        self.drift = pick.uniform(-0.003, 0.003)  # a day
        self.refuses = pick.choice((0.0, 0.002, 0.01, 0.03, 0.08))
        self.maps = 1 - Random(f"lacks {seed}").choice((0.0, 0.0, 0.01, 0.05))  # events that lack nothing
        self._hours: dict[int, float] = {}
        self._campaign: tuple[int, int, float] = (0, 0, 1.0)  # from hour, to hour, times

    def rate(self, at: datetime) -> float:
        """Events a second."""
        hour = int((at - START) / timedelta(hours=1))
        found = self._hours.get(hour)
        if found is None:
            found = self._hours[hour] = self._rate(hour)
        return found

    def _rate(self, hour: int) -> float:
        start, end, times = self._campaign
        if hour >= end and self.random.random() < 1 / 168:
            self._campaign = start, end, times = hour, hour + self.random.randint(1, 5), self.random.uniform(2, 8)
        campaign = times if start <= hour < end else 1.0
        return self._usual(hour) * campaign * self.random.lognormvariate(0, self.noise)

    def usual_rate(self, at: datetime) -> float:
        """As ``rate``, without campaigns and without the chance of the hour."""
        return self._usual(int((at - START) / timedelta(hours=1)))

    def _usual(self, hour: int) -> float:
        day, of_day = divmod(hour, 24)
        since_opening = (of_day - self.opens) % 24
        if self.sleeps and since_opening > 14:
            return 0.0
        shape = 1 + self.swing * math.sin(math.pi * (since_opening / 7 - 0.5))
        week = self.sunday if day % 7 == 6 else 1.0
        return self.per_second * shape * week * (1 + self.drift * day)

    def arrivals(self, at: datetime, seconds: float) -> int:
        return poisson(self.random, self.rate(at) * seconds)


MOST_IN_A_REQUEST = 1000  # as Meta's
Waiting = tuple[datetime, int, int, int]  # due, attempts made, deliveries that no attempt will bring home, others


@dataclass
class Engine:
    """The delivery engine in figures, step by step, with the real rules of retry, hold and release.

    ``platform``: what the platform does ('' well, 'refuse', 'down', 'hang', 'credentials', 'flaky': half of its answers
    are errors); ``accepts``: its share of what is not refused for good; ``maps``: the
    share that its rules let through; ``capacity``: deliveries a second that the workers can do.
    """

    shop: Shop
    platform: str = ""
    accepts: float = 1.0
    maps: float = 1.0  # of those that lack nothing as a rule
    capacity: float = 3000.0
    health: Health = field(default_factory=Health)
    queue: deque[tuple[datetime, int]] = field(default_factory=deque)
    retries: list[Waiting] = field(default_factory=list)  # a heap
    counts: list[int] = field(default_factory=lambda: [0] * len(COUNTS))
    busy_until: datetime = START
    waiting: int = 0

    def add(self, name: str, count: int) -> None:
        self.counts[PLACES[name]] += count

    @property
    def due_at(self) -> datetime | None:
        """Of the longest due."""
        due = [self.queue[0][0]] if self.queue else []
        return min([*due, *(retry[0] for retry in self.retries[:1])], default=None)

    def step(self, now: datetime, seconds: float, arrived: int) -> None:
        """From ``now`` on for ``seconds``, in which so many events arrive."""
        if arrived:
            self.add("routed", arrived)
            self.waiting += arrived
            self.queue.append((now, arrived))
        end = now + timedelta(seconds=seconds)
        is_resting = self.health.resume_at is not None and self.health.resume_at > end
        if is_resting or self.busy_until > end:
            return
        if not self.queue and (not self.retries or self.retries[0][0] > end):
            return
        if self.platform == "flaky" and self.shop.random.random() < 0.5:
            self._send_in_vain(end)
        elif self.platform == "flaky":
            self._send(end, seconds)  # there are other workers while one of them waits ten seconds
        elif self.platform in ("", "refuse"):
            self._send(end, seconds)
        else:
            self._send_in_vain(end)

    def _send(self, now: datetime, seconds: float) -> None:
        room = round(self.capacity * seconds)
        if self.health.state is DestinationState.HELD:
            room = 1
        pace = release_pace(self.health, now)
        if pace is not None:
            room = min(room, round(pace * seconds))
        taken = [*self._take_new(room)]
        room -= sum(bad + good for _, _, bad, good in taken)
        while self.retries and self.retries[0][0] <= now and room > 0:
            retry = heapq.heappop(self.retries)
            part = _split(retry, room)
            if part != retry:
                heapq.heappush(self.retries, (retry[0], retry[1], retry[2] - part[2], retry[3] - part[3]))
            taken.append(part)
            room -= part[2] + part[3]
        sent = 0
        for _, attempts, bad, good in taken:
            refused = good if self.platform == "refuse" else binomial(self.shop.random, good, 1 - self.accepts)
            self._settle(now, attempts + 1, good - refused, bad, refused)
            sent += bad + good
        if sent:
            self.health = judge_health(self.health, [Acknowledged()] * min(sent, 10), now)

    def _take_new(self, room: int) -> Iterator[Waiting]:
        while self.queue and room > 0:
            at, count = self.queue.popleft()
            part = min(count, room)
            room -= part
            if part < count:
                self.queue.appendleft((at, count - part))
            refused = binomial(self.shop.random, part, 1 - self.maps * self.shop.maps)
            self.add("unmappable", refused)
            self.add("finished", refused)
            self.waiting -= refused
            part -= refused
            bad = binomial(self.shop.random, part, self.shop.refuses)
            yield at, 0, bad, part - bad

    def _settle(self, now: datetime, attempt: int, good: int, bad: int, refused: int) -> None:
        failed = bad + refused
        self.add("acknowledged", good)
        self.add("refused", failed)
        self.add("finished", good)
        self.waiting -= good
        if attempt > 1:
            self.add("retries_acknowledged", good)
            self.add("retries_failed", failed)
        if attempt >= MAX_ATTEMPTS:
            self.add("finished", failed)
            self.waiting -= failed
        elif failed:
            heapq.heappush(self.retries, (now + RETRIES[attempt - 1], attempt, bad, refused))

    def _send_in_vain(self, now: datetime) -> None:
        """Nothing that goes out comes back: none of it counts as an attempt of its deliveries."""
        outcome: Outcome
        names = {"down": "unreachable", "flaky": "unreachable", "hang": "unknown", "credentials": "credentials_refused"}
        started_at = now
        if self.platform == "hang":
            outcome, started_at = Unknown("no answer in time"), now - timedelta(seconds=10)
            self.busy_until = now + timedelta(seconds=10)
        elif self.platform in ("down", "flaky"):
            outcome = Unreachable("connection refused")
        else:
            outcome = CredentialsRefused("190", "the token has expired")
        # A request that fails carries as much as one that does not.
        due = sum(count for _, count in self.queue) or 1
        batch = 1 if self.health.state is DestinationState.HELD else min(MOST_IN_A_REQUEST, due)
        self.add(names[self.platform], batch)
        self.health = judge_health(self.health, [outcome], now, started_at)


def _split(waiting: Waiting, room: int) -> Waiting:
    """As much of it as there is room for."""
    at, attempts, bad, good = waiting
    if bad + good <= room:
        return waiting
    part = min(bad, room * bad // (bad + good))
    return at, attempts, part, min(good, room - part)
