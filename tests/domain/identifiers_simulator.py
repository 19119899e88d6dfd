"""Shops whose events carry identifiers, through the judge of match quality: how often it is wrong, and how soon right.

``python -m tests.domain.identifiers_simulator [--shops 200] [--days 30] [--incidents 100] [--seed 1]
[--first 0]`` runs the full size.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from random import Random

from tests.domain.traffic import START, Shop, poisson
from tracklayer.domain.alert import AlertKind, Finding, Known, Step, Subject, next_step
from tracklayer.domain.monitors.coverage import (
    ANY_CLICK,
    CLICK_IDS,
    PLACES,
    STRONG,
    TRACKED,
    Bin,
    Cells,
    NameBaseline,
    Stratum,
    Tally,
    learn_name,
)
from tracklayer.domain.monitors.match_quality_drop import (
    ALL,
    CHANCE,
    DEEP_LOOK,
    GLANCE,
    LEAST_SAMPLE,
    LOOK_BACK,
    STRICT,
    Fall,
    NameView,
    Scope,
    _chance,
    _spread,
    _sums,
    _unmarked,
    judge_match_quality_drop,
    wants_past,
)
from tracklayer.domain.monitors.statistics import failures_at_least

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEARN_FROM = 28 * DAY
USERS = dict.fromkeys(TRACKED, ("Meta",))
# Identifier -> the shares from which shops differ, of events that buy and of events that look around.
SHARES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "email": ((0.6, 0.99), (0.05, 0.4)),
    "phone": ((0.3, 0.95), (0.02, 0.2)),
    "external_id": ((0.2, 0.9), (0.05, 0.5)),
    "first_name": ((0.5, 0.99), (0.0, 0.1)),
    "zip": ((0.5, 0.99), (0.0, 0.1)),
    "country": ((0.9, 1.0), (0.9, 1.0)),
    "client_ip": ((0.95, 1.0), (0.98, 1.0)),
    "client_user_agent": ((0.95, 1.0), (0.98, 1.0)),
    "fbp": ((0.6, 0.97), (0.6, 0.97)),
    "ga_client_id": ((0.5, 0.95), (0.5, 0.95)),
}
OF_BROWSERS = ("fbp", "ga_client_id")


def needed(usual: float, share: float, spread: float = 1e-9) -> int:
    """How many events rule chance out at one in 10^7, where the share falls from one to the other.

    ``spread``: how much alike the events of an hour usually are; by default each comes alone, as the exact binomial test
    has it. Where they are alike, more are needed: no judge that knows the shop's own weeks can be sooner.
    """
    for events in range(1, 5000):
        missing = round(events * (1 - share))
        if failures_at_least(missing, events, 1 - usual, spread, events) < CHANCE:
            return events
    return 5000


def binomial(random: Random, trials: int, share: float) -> int:
    """As ``traffic.binomial``, true also far out in the tails, of which a judge at one in 10^7 sees many."""
    if share > 0.5:
        return trials - binomial(random, trials, 1 - share)
    if trials <= 0 or share <= 0:
        return 0
    mean, odds = trials * share, share / (1 - share)
    if mean > 30:  # a normal draw with the skewness of the distribution (Cornish and Fisher)
        draw = random.gauss(0, 1)
        deviation = math.sqrt(mean * (1 - share))
        return min(trials, max(0, round(mean + deviation * draw + (1 - 2 * share) * (draw * draw - 1) / 6)))
    left, chance, found = random.random(), (1 - share) ** trials, 0
    while left > chance and found < trials:
        left -= chance
        chance *= odds * (trials - found) / (found + 1)
        found += 1
    return found


@dataclass
class Kind:
    """Events of one name: how they arrive, and what those of each stratum carry."""

    name: str
    traffic: Shop
    shares: dict[Stratum, dict[str, float]]
    weights: dict[Stratum, float]
    of_ads: float  # how much less of a person an ad's visitor tells, as a factor
    ads: float  # share of visitors from ads
    clicks: dict[str, float]  # click id -> its share of them
    denied: float
    noise: float  # of an hour, in units of the logit
    day_noise: float
    lost: dict[tuple[Stratum, str], float] = field(default_factory=dict)  # by a fault: what is left, as a factor
    instead: dict[Stratum, Stratum] = field(default_factory=dict)  # by a fault: one host for another
    ads_off: bool = False
    hour: int = -1
    shifts: dict[str, float] = field(default_factory=dict)
    day_shifts: dict[str, float] = field(default_factory=dict)

    def draw(self, random: Random, at: datetime, seconds: float) -> Cells:
        """What arrives from ``at`` on, within an hour."""
        rate = self.traffic.rate(at)
        self._shift(random, at)
        _, _, times = self.traffic._campaign
        hour = int((at - START) / HOUR)
        start, end, _ = self.traffic._campaign
        times = times if start <= hour < end else 1.0
        ads = 0.0 if self.ads_off else 1 - (1 - self.ads) / times
        if self.ads_off:
            rate *= (1 - self.ads) / times
        count = poisson(random, rate * seconds)
        cells: Cells = {}
        left, weight = count, sum(self.weights.values())
        for stratum, own in self.weights.items():
            here = binomial(random, left, min(1.0, own / weight)) if weight > 0 else 0
            left, weight = left - here, weight - own
            if here:
                from_ads = binomial(random, here, ads) if stratum[1] else 0
                self._fill(random, cells, stratum, here - from_ads, False)
                self._fill(random, cells, stratum, from_ads, True)
        return cells

    def _shift(self, random: Random, at: datetime) -> None:
        hour = int((at - START) / HOUR)
        if hour != self.hour:
            if hour // 24 != self.hour // 24:
                self.day_shifts = {name: random.gauss(0, self.day_noise) for name in SHARES}
            self.shifts = {name: random.gauss(0, self.noise) for name in SHARES}
            self.hour = hour

    def _fill(self, random: Random, cells: Cells, stratum: Stratum, count: int, from_ad: bool) -> None:
        denied = binomial(random, count, self.denied)
        events = count - denied
        if not count:
            return
        clicks_left = self.lost.get((stratum, ANY_CLICK), 1.0)
        is_marked = from_ad and clicks_left > 0.5
        shown = self.instead.get(stratum, stratum)
        found = cells.setdefault((*shown, is_marked), Tally())
        found.events += events
        found.denied += denied
        none = 1.0
        for name, share in self.shares[stratum].items():
            if from_ad and name in ("email", "phone", "external_id", "first_name", "zip"):
                share *= self.of_ads
            if 0 < share < 1:
                odds = share / (1 - share) * math.exp(self.shifts[name] + self.day_shifts[name])
                share = odds / (1 + odds)
            share *= self.lost.get((stratum, name), 1.0)
            found.carried[PLACES[name]] += binomial(random, events, share)
            if name in ("email", "phone", "external_id"):
                none *= 1 - share
        if is_marked:
            left = events
            for name, share in self.clicks.items():
                part = binomial(random, left, share)
                found.carried[PLACES[name]] += part
            found.carried[PLACES[ANY_CLICK]] += events
            found.carried[PLACES[STRONG]] += events
        else:
            found.carried[PLACES[STRONG]] += binomial(random, events, 1 - none)


class Watched:
    """Events of one name as the counters show them, what was learned, and the alerts that there are."""

    def __init__(self, kind: Kind, random: Random) -> None:
        self.kind, self.random = kind, random
        self.now = START
        self.hours: dict[datetime, Cells] = {}
        self.bins: list[Bin] = []
        self.baseline: NameBaseline | None = None
        self.known: Known | None = None
        self.falls: list[Fall] | None = None
        self.resolved_at: datetime | None = None
        self.openings: list[tuple[datetime, Finding]] = []
        self.deep_due = START

    def pass_time(self, span: timedelta, *, keep: bool = True) -> int:
        """Within an hour; how many events arrived."""
        cells = self.kind.draw(self.random, self.now, span.total_seconds())
        if cells:
            hour = self.hours.setdefault(self.now.replace(minute=0), {})
            for cell, found in cells.items():
                hour.setdefault(cell, Tally()).join(found)
            if keep:
                self.bins.append((self.now, cells))
        self.now += span
        return sum(found.events + found.denied for found in cells.values())

    def learn(self) -> None:
        since = self.now - LEARN_FROM
        self.hours = {hour: cells for hour, cells in self.hours.items() if hour >= since}
        learned = learn_name({hour: cells for hour, cells in self.hours.items() if hour + HOUR <= self.now})
        if learned is not None:
            self.baseline = NameBaseline.from_json(learned.as_json())

    def look(self) -> None:
        while self.bins and self.bins[0][0] < self.now - LOOK_BACK:
            self.bins.pop(0)
        if self.baseline is None or not self.bins:
            return
        finding = None
        if self.is_open or self.now >= self.deep_due or self._is_amiss(self.baseline):
            self.deep_due = self.now + DEEP_LOOK
            falls = self.falls if self.known is not None and self.known.resolved_at is None else None
            view = NameView(self.kind.name, self.baseline, self.bins, USERS, self.resolved_at, falls)
            finding = judge_match_quality_drop(view, self.now)
        self._settle(finding)

    def _is_amiss(self, baseline: NameBaseline) -> bool:
        cells: Cells = {}
        events = 0
        for _, one in reversed(self.bins):
            for cell, found in one.items():
                cells.setdefault(cell, Tally()).join(found)
                events += found.events + found.denied
            if events >= GLANCE:
                break
        return wants_past(cells, baseline, USERS)

    def _settle(self, finding: Finding | None) -> None:
        step = next_step(self.known, finding, self.now)
        subject = Subject(AlertKind.MATCH_QUALITY_DROP, None, self.kind.name)
        if finding is not None:
            self.falls = [Fall.from_json(one) for one in finding.details["identifiers"]]
        match step:
            case Step.OPEN | Step.REOPEN:
                assert finding is not None
                self.known = Known(1, subject, finding.severity, self.now, None, None)
                self.openings.append((self.now, finding))
            case Step.SEEN:
                assert self.known is not None
                self.known = replace(self.known, last_seen_at=self.now, quiet_since=None)
            case Step.QUIET:
                assert self.known is not None
                self.known = replace(self.known, quiet_since=self.now)
            case Step.RESOLVE:
                assert self.known is not None
                self.known = replace(self.known, resolved_at=self.now)
                self.resolved_at = self.now

    @property
    def is_open(self) -> bool:
        return self.known is not None and self.known.resolved_at is None


def make_kind(random: Random, name: str, per_day: float, strata: dict[Stratum, float]) -> Kind:
    buys = name == "Purchase"
    shares = {}
    base = {key: random.uniform(*ranges[0 if buys else 1]) for key, ranges in SHARES.items()}
    for stratum in strata:
        shares[stratum] = {
            key: min(1.0, max(0.0, share * random.uniform(0.7, 1.1)))
            for key, share in base.items()
            if stratum[1] or key not in OF_BROWSERS
        }
    clicks = {"gclid": random.uniform(0.1, 0.8), "fbc": random.uniform(0.2, 0.9), "fbclid": random.uniform(0.2, 0.6)}
    return Kind(
        name,
        Shop(random.getrandbits(32), per_day / 86400),
        shares,
        dict(strata),
        of_ads=random.uniform(0.5, 1.0),
        ads=random.choice((0.0, random.uniform(0.05, 0.6))),
        clicks=clicks,
        denied=random.choice((0.0, random.uniform(0.02, 0.3))),
        noise=random.uniform(0, 0.2),
        day_noise=random.uniform(0, 0.1),
    )


def make_strata(random: Random, hosts: int) -> dict[Stratum, float]:
    names = ["shop.example", "checkout.shop.example", "m.shop.example"][:hosts]
    strata: dict[Stratum, float] = {("website", host): random.uniform(0.2, 1.0) for host in names}
    if random.random() < 0.4:
        strata["app", ""] = random.uniform(0.1, 0.8)
    if random.random() < 0.2:
        strata["physical_store", ""] = random.uniform(0.05, 0.5)
    return strata


def grown_up(kind: Kind, random: Random) -> Watched:
    """With four weeks behind it."""
    watched = Watched(kind, random)
    end = START + LEARN_FROM
    while watched.now < end:
        watched.pass_time(HOUR, keep=watched.now >= end - LOOK_BACK)
    watched.learn()
    return watched


# Healthy shops ------------------------------------------------------------------------------------------------------


def healthy(seed: int, days: int) -> list[str]:
    """Titles of what was raised in a shop in which nothing broke: it has campaigns and sales, moves its customers from one

    channel to another, switches its ads off, and shows another consent banner.
    """
    random = Random(f"healthy {seed}")
    per_day = math.exp(random.uniform(math.log(8), math.log(4000)))
    strata = make_strata(random, random.randint(1, 3))
    kinds = [make_kind(random, "Purchase", per_day, strata)]
    if random.random() < 0.7:
        kinds.append(make_kind(random, "ViewContent", per_day * random.uniform(3, 20), strata))
    if random.random() < 0.3:
        kinds.append(make_kind(random, "Lead", per_day * random.uniform(0.2, 2), strata))
    at_day = {
        "mix": random.randint(0, 40),
        "banner": random.randint(0, 60),
        "ads": random.randint(0, 60),
        "sale": random.randint(0, 30),
    }
    weights = {stratum: weight * random.uniform(0.1, 5) for stratum, weight in strata.items()}
    denies = random.uniform(0.3, 0.7)
    watched = [grown_up(kind, Random(random.getrandbits(32))) for kind in kinds]
    step = timedelta(minutes=15)
    for day in range(days):
        for one in watched:
            kind = one.kind
            kind.weights = weights if day >= at_day["mix"] else dict(strata)
            if day == at_day["banner"]:
                kind.denied = max(kind.denied, denies)
            kind.ads_off = at_day["ads"] <= day < at_day["ads"] + 2
            if day in (at_day["sale"], at_day["sale"] + 3):
                kind.traffic.per_second *= 3 if day == at_day["sale"] else 1 / 3
            if day and day % 4 == 0:
                one.learn()
            for _ in range(96):
                if one.pass_time(step):
                    one.look()
    return [finding.title for one in watched for _, finding in one.openings]


# Incidents ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incident:
    """``events``: of those concerned, from the fault to the alert, None: never; ``allowed``: as many as it may take.

    ``provable``: after how many of them, all of which came after the fault, the test that the judge makes ruled chance out
    for the first time, by what it has learned; None where it had not, or where no identifier is lost. Where a part of an
    identifier is left, that is up to the draw: no judge that is wrong once in 10^7 can be sooner.
    """

    events: int | None
    allowed: float
    provable: int | None
    openings: int
    names_right: bool
    place_right: bool
    is_over: bool
    said: str


FAULTS = ("one_host", "phone", "email", "browser", "new_host", "banner")


def incident(seed: int, fault: str, most_a_day: float = 20_000) -> Incident:
    random = Random(f"{fault} {seed}")
    per_day = math.exp(random.uniform(math.log(40), math.log(most_a_day)))
    strata = make_strata(random, random.randint(2, 3) if fault in ("one_host", "new_host") else random.randint(1, 3))
    kind = make_kind(random, "Purchase", per_day, strata)
    kind.traffic.sleeps, kind.traffic.sunday = False, 1.0
    place: Stratum = ("website", "checkout.shop.example" if fault == "one_host" else "shop.example")
    concerned = [place] if fault in ("one_host", "new_host") else list(strata)
    if fault == "browser":
        concerned = [stratum for stratum in strata if stratum[1]]
    watched = grown_up(kind, random)
    # About one event a step, a minute at least.
    step = timedelta(minutes=min(30, max(1, round(1440 / per_day))))
    step = next(timedelta(minutes=n) for n in (1, 2, 3, 5, 10, 15, 20, 30) if n >= step / timedelta(minutes=1))
    for _ in range(random.randint(20, 120)):
        if watched.pass_time(step):
            watched.look()
    before = len(watched.openings)
    keys, allowed = _break(watched, fault, concerned, random)
    seen, found, last, provable = 0, None, 0, None
    began = watched.now
    name = next((key for key in keys if key != "ga_client_id"), None)
    for _ in range(40_000):
        count = watched.pass_time(step)
        if count:
            last = _concerned(watched.bins[-1][1], concerned, kind)
            seen += last if fault != "banner" else count
            if name is not None and provable is None and _is_proven(watched, concerned, name, began):
                provable = seen
            watched.look()
        if len(watched.openings) > before:
            found = seen
            break
        if seen > 6 * allowed + 60:
            break
    finding = watched.openings[-1][1] if found is not None else None
    # It goes on for as long again, then it is mended. What few events prove nothing of at first is named by then.
    for _ in range(60):
        if watched.pass_time(step):
            watched.look()
    in_the_end = {fall.identifier for fall in watched.falls or ()}
    kind.lost, kind.instead = {}, {}
    kind.denied = min(kind.denied, 0.3)
    for _ in range(20_000):
        if not watched.is_open:
            break
        if watched.pass_time(step):
            watched.look()
    told = {one["identifier"] for one in finding.details["identifiers"]} if finding else set()
    aside = {*CLICK_IDS, *(OF_BROWSERS if fault == "browser" else ())}
    hosts = finding.details.get("hosts", []) if finding else []
    expected = {"one_host": [place[1]], "new_host": ["neu.shop.example"]}.get(fault)
    where_is_right = expected is None or hosts == expected
    if fault == "browser" and len(concerned) < len(strata):
        where_is_right = "" not in hosts
    # A minute holds what it holds: it is told when the next one begins.
    return Incident(
        found,
        allowed + 2 * last,
        provable,
        len(watched.openings) - before,
        keys <= in_the_end and bool(keys & told or not keys) and not (told | in_the_end) - keys - aside,
        where_is_right,
        not watched.is_open,
        finding.message if finding else "",
    )


def _concerned(cells: Cells, concerned: Sequence[Stratum], kind: Kind) -> int:
    """How many events of these strata there are."""
    shown = {kind.instead.get(stratum, stratum) for stratum in concerned}
    return sum(found.events for cell, found in cells.items() if cell[:2] in shown)


def _is_proven(watched: Watched, concerned: Sequence[Stratum], name: str, began: datetime) -> bool:
    """Whether the events since the fault are beyond chance, in the scope in which it happened."""
    assert watched.baseline is not None
    view = NameView(watched.kind.name, watched.baseline, watched.bins, USERS)
    view = replace(view, unmarked=_unmarked(view))
    scope = ALL
    if len(concerned) == 1 < len(watched.kind.weights):
        scope = Scope("new" if watched.kind.instead else "stratum", tuple(concerned))
    events, carried, expected = _sums(view, scope, name, began)
    return events > 0 and _chance(events, carried, expected, _spread(view, scope, name, expected / events)) < CHANCE


def _spread_of(watched: Watched, name: str | None) -> float:
    assert watched.baseline is not None
    return max(watched.baseline.spreads.get(name or "", 0.0), 1e-9)


def _break(watched: Watched, fault: str, concerned: Sequence[Stratum], random: Random) -> tuple[set[str], float]:
    """Breaks it; what must be named, and how many events it may take: half as many again as are needed."""
    kind = watched.kind
    if fault == "banner":
        # More than the strictest banner brings must refuse, which is the nearest to what is found.
        usual = min(1 - kind.denied, 1 - STRICT)
        kind.denied = 1.0
        return set(), 1.5 * needed(usual, 0.0)
    left = 0.0
    if fault == "one_host":
        name, left = random.choice(("email", "phone", "external_id")), random.uniform(0, 0.1)
    elif fault == "phone":
        name, left = "phone", random.uniform(0.1, 0.4)
    elif fault == "browser":
        name = "fbp"
    else:
        name = "email"
    for stratum in concerned:
        kind.lost[stratum, name] = left
        if fault == "browser":
            kind.lost[stratum, "ga_client_id"] = 0.0
            kind.lost[stratum, ANY_CLICK] = 0.0
        if fault == "new_host":
            kind.instead[stratum] = ("website", "neu.shop.example")
    weights = {stratum: kind.weights[stratum] for stratum in concerned}
    total = sum(weights.values())
    usual = sum(weight * kind.shares[stratum].get(name, 0.0) for stratum, weight in weights.items()) / total
    usual *= (1 - kind.ads) + kind.ads * (kind.of_ads if name not in OF_BROWSERS else 1.0)
    usual = min(usual, 0.999)
    figure = needed(usual, usual * left, _spread_of(watched, name))
    keys = {name, "ga_client_id"} if fault == "browser" else {name}
    return keys, 1.5 * max(LEAST_SAMPLE, figure)


def report(fault: str, found: Sequence[Incident]) -> str:
    told = [one for one in found if one.events is not None]
    shares = sorted(one.events / one.allowed for one in told if one.events is not None)
    late = [one for one in told if one.events is not None and one.events > one.allowed]
    no_sooner = sum(one.provable is None or one.provable > one.allowed for one in late)
    middle = shares[len(shares) // 2] if shares else math.nan
    return (
        f"  {fault}: {len(told)} of {len(found)} found, {len(late)} later than allowed, {no_sooner} of which"
        " were not to be proven within that; of the allowed number of events"
        f" p50 {middle:.2f}, p95 {shares[math.ceil(0.95 * len(shares)) - 1] if shares else math.nan:.2f}; told not once:"
        f" {Counter(one.openings for one in found if one.openings != 1)!s}, wrong identifier"
        f" {sum(not one.names_right for one in told)}, wrong place {sum(not one.place_right for one in told)}, still open"
        f" {sum(not one.is_over for one in found)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    # ``first``: the shop and the incident to begin with, of those of a seed.
    for name, default in (
        ("shops", 200),
        ("days", 30),
        ("incidents", 100),
        ("seed", 1),
        ("first", 0),
        ("processes", 2),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        first = options.seed * 10_000 + options.first
        seeds = range(first, first + math.ceil(options.incidents / len(FAULTS)))
        for fault in options.faults:
            print(report(fault, list(pool.map(incident, seeds, repeat(fault)))), flush=True)
        shops = range(first, first + options.shops)
        raised = []
        for seed, titles in zip(shops, pool.map(healthy, shops, repeat(options.days)), strict=True):
            raised += titles
            if (seed + 1) % 20 == 0:
                print(f"  {seed + 1 - shops[0]} shops: {len(raised)} alarms", flush=True)
            for title in titles:
                print(f"  shop {seed}: {title}", flush=True)
    days = options.shops * options.days
    print(
        f"healthy: {options.shops} shops, {options.days} days: {len(raised)} alarms, {len(raised) * 1000 / max(1, days):.2f} per 1,000 days"
    )


if __name__ == "__main__":
    main()
