"""What 1,000 destinations get of one worker process, under ten mixes of load: the real lanes and the real rules of holds, in
simulated time, without a database, a platform or chance.

``python -m tests.actors.fairness_simulator`` prints the shares. What is simulated is what a worker is made of: threads that
take wake-ups in turn, one interpreter that they share, a sweep every second, platforms that answer after a while or not at
all. ``turns`` is stood for by a queue at the interpreter in which fresh events go first.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from statistics import median

from tracklayer.actors.crew import WORKER_THREADS
from tracklayer.actors.lanes import Destination, Lanes
from tracklayer.actors.waker import GATHER_SECONDS
from tracklayer.domain.delivery import NO_ANSWER_IN_TIME, Acknowledged, Health, Outcome, Unknown
from tracklayer.domain.health import Held, Recovering, condition_of, judge_health, may_send
from tracklayer.services.deliver import BATCHES, RELEASE_REQUEST, SLICE_SECONDS
from tracklayer.turns import BUSY_SECONDS, SHARE

MERCHANTS, PLATFORMS = 100, 10
SECONDS = 60.0  # simulated
KNOWN = 30.0  # after which a worker that has just started knows who is behind
LOOK_COST = 0.004  # seconds of the interpreter and the database for one claim and its settling, whatever is in it
EACH_COST = 0.000_05  # and for each delivery of it
ANSWER = 0.1  # seconds that a platform takes
TIMEOUT = 10.0  # after which a request counts as unanswered
SWEEP_SECONDS = 1.0
BATCH = 1000  # deliveries that a platform takes at once
ENDLESS = 10**9
START = datetime(2026, 1, 1, tzinfo=UTC)

Step = tuple[str, float, bool]  # "compute" or "wait", how long, whether for fresh events
Work = Generator[Step, None, None]


@dataclass
class Place:
    """A destination, and what became of what came for it. ``rate``: events a second that arrive singly."""

    destination: Destination
    rate: float = 0.0
    backlog: int = 0
    answer: float | None = ANSWER
    batch: int = BATCH
    due: deque[float] = field(default_factory=deque)  # when each of what arrived singly did
    health: Health = field(default_factory=Health)
    behind: bool = False
    delivered: int = 0
    served_at: float | None = None  # for the first time
    waits: list[tuple[float, float]] = field(
        default_factory=list
    )  # of what came singly: when, how long until acknowledged

    @property
    def waiting(self) -> int:
        return len(self.due) + self.backlog


class Worker:
    """One worker process. ``most``: threads that were at work at once, by what they were at work for."""

    def __init__(self, places: Sequence[Place], threads: int = WORKER_THREADS, seed: int = 1) -> None:
        self._places = {place.destination: place for place in places}
        self._lanes = Lanes(threads)
        self._idle = threads
        self._random = random.Random(seed)
        self._now = 0.0
        self._order = count()
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._wanted: dict[Destination, None] = {}
        self._messages: deque[Destination] = deque()
        self._computing = self._taking = False
        self._queues: tuple[deque[tuple[Work, float]], deque[tuple[Work, float]]] = (deque(), deque())
        self._fresh_at = float("-inf")
        self._at_work: Counter[object] = Counter()
        self.most: Counter[object] = Counter()
        self.messages = 0
        for place in places:
            if place.rate:
                self._at(self._random.expovariate(place.rate), partial(self._arrive, place))

    def run(self, seconds: float = SECONDS) -> None:
        self._at(0.0, self._sweep)
        while self._coming and self._coming[0][0] <= seconds:
            self._now, _, happen = heapq.heappop(self._coming)
            happen()

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (when, next(self._order), happen))

    def _arrive(self, place: Place) -> None:
        place.due.append(self._now)
        self._wake([place.destination])
        self._at(self._now + self._random.expovariate(place.rate), partial(self._arrive, place))

    def _sweep(self) -> None:
        now = self._clock()
        found = [key for key, place in self._places.items() if place.waiting and may_send(place.health, now)]
        self._random.shuffle(found)
        self._wake(found)
        self._at(self._now + SWEEP_SECONDS, self._sweep)

    def _clock(self) -> datetime:
        return START + timedelta(seconds=self._now)

    def _wake(self, destinations: Iterable[Destination]) -> None:
        was_empty = not self._wanted
        self._wanted.update(dict.fromkeys(destinations))
        if was_empty and self._wanted:
            self._at(self._now + GATHER_SECONDS, self._send)

    def _send(self) -> None:
        self._messages.extend(self._wanted)
        self._wanted.clear()
        self._take()

    def _take(self) -> None:
        self._taking = True
        while self._idle and self._messages:
            self._idle -= 1
            self.messages += 1
            self._go_on(self._deliver(self._messages.popleft()))
        self._taking = False

    def _go_on(self, work: Work) -> None:
        try:
            kind, seconds, fresh = next(work)
        except StopIteration:
            self._idle += 1
            if not self._taking:
                self._take()
            return
        if kind == "wait":
            self._at(self._now + seconds, partial(self._go_on, work))
            return
        self._queues[0 if fresh else 1].append((work, seconds))
        self._compute()

    def _compute(self) -> None:
        """The interpreter does one thing after the other, what is fresh first."""
        queue = self._queues[0] or self._queues[1]
        if self._computing or not queue:
            return
        work, seconds = queue.popleft()
        self._computing = True

        def done() -> None:
            self._computing = False
            self._go_on(work)
            self._compute()

        self._at(self._now + seconds, done)

    def _deliver(self, destination: Destination) -> Work:
        """As ``actors.deliver``."""
        more = False
        yields = self._places[destination].behind and self._is_busy()
        with self._lanes.enter(destination, yields=yields) as room:
            if room:
                keys: tuple[object, ...] = (
                    destination,
                    ("merchant", destination[0]),
                    ("platform", destination[1]),
                    "all",
                )
                keys = (*keys, "backlogs") if yields else keys
                self._at_work.update(keys)
                self.most |= self._at_work
                more = yield from self._slice(self._places[destination])
                self._at_work.subtract(keys)
        if room:
            self._wake(self._lanes.missed(destination))
        if more:
            self._wake([destination])

    def _slice(self, place: Place) -> Generator[Step, None, bool]:
        """As ``services.deliver.deliver_due``."""
        ends, was_behind = self._now + SLICE_SECONDS, place.behind
        for _ in range(BATCHES):
            now = self._clock()
            if not place.waiting or not may_send(place.health, now):
                return False
            condition = condition_of(place.health, now)
            alone = isinstance(condition, Held | Recovering)
            claimed, arrived = self._claim(place, condition)
            if alone:
                place.health = replace(place.health, turn_ends_at=now + timedelta(minutes=2))
            yield "compute", LOOK_COST + claimed * EACH_COST, not place.behind
            sent_at = self._clock()
            yield "wait", TIMEOUT if place.answer is None else place.answer, False
            outcomes: list[Outcome] = [Unknown(NO_ANSWER_IN_TIME) if place.answer is None else Acknowledged()] * claimed
            now = self._clock()
            place.health = judge_health(place.health, outcomes, now, sent_at, had_turn=alone, sent=claimed)
            if place.answer is not None:
                place.delivered += claimed
                place.waits += [(at, self._now - at) for at in arrived]
                place.served_at = self._now if place.served_at is None else place.served_at
            if alone or self._now > ends or (place.behind and not was_behind):
                return True
        return True

    def _is_busy(self) -> bool:
        return self._now - self._fresh_at < BUSY_SECONDS

    def _claim(self, place: Place, condition: object) -> tuple[int, list[float]]:
        """How many are taken, and when those arrived that came singly. What is not acknowledged is due again much later."""
        limit = place.batch if place.behind and not self._is_busy() else min(place.batch, SHARE)
        if isinstance(condition, Held):
            limit = 1
        elif isinstance(condition, Recovering):
            limit = min(limit, max(1, int(condition.pace * RELEASE_REQUEST.total_seconds())))
        arrived = [place.due.popleft() for _ in range(min(limit, len(place.due)))]
        old = min(limit - len(arrived), place.backlog)
        place.backlog -= old
        claimed = len(arrived) + old
        place.behind = claimed == limit and claimed >= min(SHARE, place.batch)
        if not place.behind:
            self._fresh_at = self._now
        return claimed, arrived


def town() -> list[Place]:
    """1,000 destinations: a hundred merchants, each on ten platforms."""
    return [Place((merchant, f"platform {n}")) for merchant in range(1, MERCHANTS + 1) for n in range(PLATFORMS)]


def fresh(places: Iterable[Place], rate: float = 0.05) -> None:
    for place in places:
        place.rate = rate


def behind(places: Iterable[Place], backlog: int = ENDLESS) -> None:
    for place in places:
        place.backlog = backlog


def on(places: Iterable[Place], *platforms: int) -> list[Place]:
    return [place for place in places if place.destination[1] in {f"platform {n}" for n in platforms}]


def of(places: Iterable[Place], *merchants: int) -> list[Place]:
    return [place for place in places if place.destination[0] in merchants]


def others(places: Sequence[Place], those: Sequence[Place]) -> list[Place]:
    known = {place.destination for place in those}
    return [place for place in places if place.destination not in known]


Groups = dict[str, list[Place]]


def all_fresh(places: list[Place]) -> Groups:
    fresh(places)
    return {"all": places}


def one_backlog(places: list[Place]) -> Groups:
    fresh(places[1:])
    behind(places[:1])
    return {"the backlog": places[:1], "fresh": places[1:]}


def a_merchant_of_backlogs(places: list[Place]) -> Groups:
    those = of(places, 7)
    fresh(others(places, those))
    behind(those)
    return {"the merchant": those, "fresh": others(places, those)}


def a_platform_hangs(places: list[Place]) -> Groups:
    those = on(places, 3)
    fresh(places)
    for place in those:
        place.answer = None
    return {"hangs": those, "fresh": others(places, those)}


def a_platform_hangs_with_backlogs(places: list[Place]) -> Groups:
    those = on(places, 3)
    fresh(others(places, those))
    behind(those, 10_000)
    for place in those:
        place.answer = None
    return {"hangs": those, "fresh": others(places, those)}


def all_backlogs(places: list[Place]) -> Groups:
    behind(places)
    return {"all": places}


def a_slow_platform_among_backlogs(places: list[Place]) -> Groups:
    behind(places)
    those = on(places, 3)
    for place in those:
        place.answer = 2.0
    return {"slow": those, "others": others(places, those)}


def a_platform_of_small_batches(places: list[Place]) -> Groups:
    behind(places)
    those = on(places, 3)
    for place in those:
        place.batch = 25
    return {"25 at once": those, "others": others(places, those)}


def a_great_backlog_among_small_ones(places: list[Place]) -> Groups:
    behind(places, 200)
    behind(places[:1])
    return {"the great one": places[:1], "small ones": places[1:]}


def backlogs_and_fresh(places: list[Place]) -> Groups:
    those = of(places, *range(1, MERCHANTS // 2 + 1))
    behind(those)
    fresh(others(places, those), 0.02)
    return {"backlogs": those, "fresh": others(places, those)}


MIXES: tuple[Callable[[list[Place]], Groups], ...] = (
    all_fresh,
    one_backlog,
    a_merchant_of_backlogs,
    a_platform_hangs,
    a_platform_hangs_with_backlogs,
    all_backlogs,
    a_slow_platform_among_backlogs,
    a_platform_of_small_batches,
    a_great_backlog_among_small_ones,
    backlogs_and_fresh,
)


@dataclass(frozen=True)
class Got:
    """What the destinations of a group got. Seconds; deliveries: of each. ``share``: of all deliveries."""

    destinations: int
    delivered: int
    share: float
    least: int
    middle: float
    most: int
    unserved: int  # that had something to do
    wait_p95: float | None
    later_p95: float | None  # of what came once it was known who is behind


@dataclass(frozen=True)
class Result:
    groups: dict[str, Got]
    most: Counter[object]


def simulate(mix: Callable[[list[Place]], Groups], seconds: float = SECONDS) -> Result:
    places = town()
    groups = mix(places)
    worker = Worker(places)
    worker.run(seconds)
    everything = sum(place.delivered for place in places) or 1
    found = {}
    for name, those in groups.items():
        each = sorted(place.delivered for place in those)
        waits = [wait for place in those for wait in place.waits]
        found[name] = Got(
            len(those),
            sum(each),
            sum(each) / everything,
            each[0],
            median(each),
            each[-1],
            sum(place.served_at is None and place.waiting > 0 for place in those),
            _p95([wait for _, wait in waits]),
            _p95([wait for at, wait in waits if at >= KNOWN]),
        )
    return Result(found, worker.most)


def _p95(waits: Sequence[float]) -> float | None:
    return sorted(waits)[int(len(waits) * 0.95)] if waits else None


def main() -> None:
    head = f"{'mix':34} {'group':16} {'n':>4} {'delivered':>9} {'share':>6} {'least':>6} {'middle':>7} {'most':>8}"
    print(f"{head} {'unserved':>8} {'p95 wait':>9} {'after 30 s':>10}")
    for mix in MIXES:
        for name, got in simulate(mix).groups.items():
            first, later = (f"{wait:.2f} s" if wait is not None else "" for wait in (got.wait_p95, got.later_p95))
            print(
                f"{mix.__name__.replace('_', ' '):34} {name:16} {got.destinations:4} {got.delivered:9,} {got.share:6.1%} "
                f"{got.least:6,} {got.middle:7,.0f} {got.most:8,} {got.unserved:8} {first:>9} {later:>10}"
            )


if __name__ == "__main__":
    main()
