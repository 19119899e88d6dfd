"""Which share of a merchant's events carries which identifier: tallies of the counters, and what is usual for it.

Shares are learned and compared within cells: an action source, a host of the page, and whether the visitor came from an
ad. What changes the mix of visitors (a campaign, a sale in the app, a new channel) moves the weights of the cells and
none of their shares. Events of people who refuse consent are counted apart: they say nothing of a broken page.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from tracklayer.domain.event_names import most_wanted
from tracklayer.domain.facts import BITS, IDENTIFIERS, OTHERS, mask_of

# Click ids and what cookies keep of them: how many events carry them, campaigns decide.
CLICK_IDS = ("fbc fbclid ttclid gclid gbraid wbraid epik sc_click_id li_fat_id rdt_cid msclkid twclid").split()
ANY_CLICK, STRONG = "any_click_id", "any_strong"  # of several at least one
STRONG_ONES = ("email", "phone", "external_id", *CLICK_IDS)
# What is tallied, each by its mask: a tally has a place for each.
MASKS: dict[str, int] = {
    **{name: BITS[name] for name in IDENTIFIERS if name != "browser_id"},
    ANY_CLICK: mask_of(CLICK_IDS),
    STRONG: mask_of(STRONG_ONES),
}
TRACKED = tuple(MASKS)
PLACES = {name: place for place, name in enumerate(TRACKED)}
# Whether a visitor came from an ad decides these by itself: their shares are those of both kinds together.
WHOLE = frozenset({*CLICK_IDS, ANY_CLICK, STRONG})
_DENIED, _CLICK = BITS["consent_denied"], MASKS[ANY_CLICK]

ENOUGH = 200  # consented events of four weeks
ENOUGH_TIME = timedelta(days=7)  # a stratum younger than that has no past: what is new may be what is broken
MOST_NAMES = 30  # of a merchant
MOST_STRATA = 10  # of a name, the busiest ones; the others are merged
MOST_MERGED = 50  # that are remembered
LEAST_SHARE = 0.03  # what fewer carry is not worth watching
BLOCK = 20  # consented events, in neighbouring hours: fewer have no share to speak of
MOST_CUT = 0.25  # of the events of four weeks: what was low for longer is what is usual
LEAST_SPREAD, MOST_SPREAD = 0.001, 0.5
USUAL_SPREAD = 0.004  # of shops whose odds vary by a fifth from day to day: assumed unless four weeks rule it out
ENOUGH_ALIKE = 100  # events of visitors from ads, or of the others: fewer have no past
PRIOR = 5  # events that a cell's share leans on its stratum's with

Stratum = tuple[str, str]  # action source, host of the page
Cell = tuple[str, str, bool]  # action source, host, came from an ad


@dataclass(slots=True)
class Tally:
    """``events`` with consent, of which ``carried[place]`` carry the identifier ``TRACKED[place]``; ``denied`` besides."""

    events: int = 0
    denied: int = 0
    carried: list[int] = field(default_factory=lambda: [0] * len(TRACKED))

    def add(self, facts: int, events: int) -> None:
        if facts & _DENIED:
            self.denied += events
            return
        self.events += events
        for place in _places(facts):
            self.carried[place] += events

    def join(self, other: Tally) -> None:
        self.events += other.events
        self.denied += other.denied
        self.carried = [mine + its for mine, its in zip(self.carried, other.carried, strict=True)]


Cells = dict[Cell, Tally]
Bin = tuple[datetime, Cells]  # a minute (or an older hour) in which events arrived


@lru_cache(maxsize=4096)
def _places(facts: int) -> tuple[int, ...]:
    return tuple(place for place, mask in enumerate(MASKS.values()) if facts & mask)


def tally(cells: Cells, action_source: str, host: str, facts: int, events: int) -> None:
    """Adds what the counters hold of one kind of event."""
    cell = action_source, host, bool(facts & _CLICK)
    found = cells.get(cell)
    if found is None:
        found = cells[cell] = Tally()
    found.add(facts, events)


# What is usual ------------------------------------------------------------------------------------------------------


class Usual(NamedTuple):
    """Shares of the events that carry an identifier: of those from ads, and of the others; None: too few to know."""

    from_ads: float | None
    others: float | None
    spread: float  # how much alike events of one hour are, 0 to 1


@dataclass(frozen=True, slots=True)
class StratumBaseline:
    weight: float  # its share of the name's consented events
    usual: Mapping[str, Usual]


@dataclass(frozen=True, slots=True)
class NameBaseline:
    """What four weeks tell of the events of one name.

    ``merged``: strata that are too small to be judged by themselves: together, by action source; ``per_hour``: consented
    events by hour of the day (UTC); ``spreads``: of all strata together; ``denied``: the share of people who refuse, and
    its spread.
    """

    strata: Mapping[Stratum, StratumBaseline]
    merged: frozenset[Stratum]
    spreads: Mapping[str, float]
    per_hour: Sequence[float]
    denied: tuple[float, float]

    def stratum_of(self, cell: Cell) -> Stratum | None:
        """None: one without a past, or with too little of one."""
        stratum = cell[0], cell[1]
        if stratum in self.strata:
            return stratum
        rest = rest_of(stratum)
        return rest if stratum in self.merged and rest in self.strata else None

    def is_new(self, cell: Cell) -> bool:
        """Whether a stratum was not there a week ago. One of which few events came then is not new."""
        return self.stratum_of(cell) is None and cell[:2] not in self.merged

    def as_json(self) -> dict[str, Any]:
        return {
            "strata": [
                [
                    *stratum,
                    round(found.weight, 4),
                    {
                        name: [None if one is None else round(one, 4) for one in usual]
                        for name, usual in found.usual.items()
                    },
                ]
                for stratum, found in self.strata.items()
            ],
            "merged": sorted(self.merged),
            "spreads": {name: round(spread, 5) for name, spread in self.spreads.items()},
            "per_hour": [round(rate, 3) for rate in self.per_hour],
            "denied": [round(one, 5) for one in self.denied],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> NameBaseline:
        strata = {
            (source, host): StratumBaseline(
                weight, {name: Usual(*one) for name, one in usual.items() if name in PLACES}
            )
            for source, host, weight, usual in found["strata"]
        }
        merged = frozenset((source, host) for source, host in found["merged"])
        return cls(strata, merged, found["spreads"], found["per_hour"], tuple(found["denied"]))


def rest_of(stratum: Stratum) -> Stratum:
    """Where a stratum is counted that is too small to be judged by itself: an app is never lumped with a website."""
    return stratum[0], OTHERS


def learn_name(hours: Mapping[datetime, Cells]) -> NameBaseline | None:
    """From the hours of four weeks with events of one name; None where that is too little to know.

    Hours in which far less carried an identifier than is usual are left out, up to a quarter: an incident is not what
    is normal until it has lasted for a week.
    """
    ordered = sorted(hours)
    totals: Counter[Stratum] = Counter()
    first: dict[Stratum, datetime] = {}
    for at in ordered:
        for cell, found in hours[at].items():
            totals[cell[:2]] += found.events
            first.setdefault(cell[:2], at)
    if not ordered or sum(totals.values()) < ENOUGH or ordered[-1] - ordered[0] < ENOUGH_TIME - timedelta(hours=1):
        return None
    until = ordered[-1]
    grown = [
        stratum for stratum, _ in totals.most_common() if until - first[stratum] >= ENOUGH_TIME - timedelta(hours=1)
    ]
    own = [stratum for stratum in grown if totals[stratum] >= ENOUGH][:MOST_STRATA]
    merged = frozenset([stratum for stratum in grown if stratum not in own][:MOST_MERGED])
    place_of = {**{stratum: stratum for stratum in own}, **{stratum: rest_of(stratum) for stratum in merged}}
    series: dict[Stratum, list[_Hour]] = {stratum: [] for stratum in {*own, *place_of.values()}}
    for at in ordered:
        joined: dict[Stratum, _Hour] = {}
        for cell, found in hours[at].items():
            place = place_of.get(cell[:2])
            if place is not None:
                joined.setdefault(place, _Hour(Tally(), Tally())).of(cell[2]).join(found)
        for place, hour in joined.items():
            series[place].append(hour)
    events = {place: sum(hour.events for hour in found) for place, found in series.items()}
    total = sum(events.values())
    least = _least(hours, place_of)
    strata = {
        place: StratumBaseline(events[place] / total, _at_most(_usual(found), least[place]))
        for place, found in series.items()
        if events[place] >= ENOUGH
    }
    if not strata:
        return None
    days = max(1.0, (until - ordered[0]) / timedelta(days=1))
    return NameBaseline(
        strata,
        merged,
        _spreads(hours, ordered, strata, place_of),
        _per_hour(hours, days),
        _denied(hours, ordered),
    )


class _Hour(NamedTuple):
    others: Tally
    ads: Tally

    def of(self, from_ad: bool) -> Tally:
        return self.ads if from_ad else self.others

    @property
    def events(self) -> int:
        return self.others.events + self.ads.events


class _Block(NamedTuple):
    """Neighbouring hours: (events, carrying) of visitors from ads and of the others."""

    ads: int
    ads_carried: int
    others: int
    others_carried: int

    @property
    def events(self) -> int:
        return self.ads + self.others

    @property
    def share(self) -> float:
        return (self.ads_carried + self.others_carried) / self.events


def _usual(hours: Sequence[_Hour]) -> dict[str, Usual]:
    total = sum(hour.events for hour in hours)
    found = {}
    for name, place in PLACES.items():
        if sum(hour.ads.carried[place] + hour.others.carried[place] for hour in hours) < LEAST_SHARE * total:
            continue
        kept = _without_falls(_blocks(hours, place))
        ads, others = sum(block.ads for block in kept), sum(block.others for block in kept)
        events = ads + others
        carried_ads, carried_others = (
            sum(block.ads_carried for block in kept),
            sum(block.others_carried for block in kept),
        )
        # What has always been there fails once in a while all the same.
        share = min((carried_ads + carried_others) / events, (events + 1) / (events + 2))
        if share < LEAST_SHARE:
            continue
        if name in WHOLE:
            of_ads = of_others = share
        else:
            of_ads, of_others = _leaning(carried_ads, ads, share), _leaning(carried_others, others, share)
        expected = [(block.ads * of_ads + block.others * of_others) / block.events for block in kept]
        observed = [(block.share, block.events) for block in kept]
        spread = spread_of(observed, expected)
        if name in WHOLE:
            found[name] = Usual(share, share, spread)
        else:
            found[name] = Usual(
                of_ads if ads >= ENOUGH_ALIKE else None, of_others if others >= ENOUGH_ALIKE else None, spread
            )
    return found


def _least(
    hours: Mapping[datetime, Cells], place_of: Mapping[Stratum, Stratum]
) -> Mapping[Stratum, Sequence[float] | None]:
    """Of strata that are counted together, by identifier: the least share of any of them, as part of that of all.

    None where a stratum stands by itself. What moves customers among them makes no share fall below the least.
    """
    members: dict[Stratum, dict[Stratum, Tally]] = {}
    for cells in hours.values():
        for cell, found in cells.items():
            if cell[:2] in place_of:
                members.setdefault(place_of[cell[:2]], {}).setdefault(cell[:2], Tally()).join(found)
    parts: dict[Stratum, Sequence[float] | None] = {}
    for place, tallies in members.items():
        if len(tallies) == 1:
            parts[place] = None
            continue
        whole = Tally()
        for one in tallies.values():
            whole.join(one)
        shares = [carried / max(1, whole.events) for carried in whole.carried]
        parts[place] = [
            min(
                (
                    _leaning(one.carried[n], one.events, share) / share
                    for one in tallies.values()
                    if one.events >= BLOCK
                ),
                default=1.0,
            )
            if share
            else 1.0
            for n, share in enumerate(shares)
        ]
    return parts


def _at_most(usual: dict[str, Usual], parts: Sequence[float] | None) -> dict[str, Usual]:
    if parts is None:
        return usual
    found = {}
    for name, (of_ads, of_others, spread) in usual.items():
        part = min(1.0, parts[PLACES[name]])
        if max(of_ads or 0.0, of_others or 0.0) * part >= LEAST_SHARE:
            found[name] = Usual(
                None if of_ads is None else of_ads * part, None if of_others is None else of_others * part, spread
            )
    return found


def _leaning(carried: int, events: int, share: float) -> float:
    return (carried + PRIOR * share) / (events + PRIOR)


def _blocks(hours: Sequence[_Hour], place: int) -> list[_Block]:
    blocks = []
    ads = ads_carried = others = others_carried = 0
    for hour in hours:
        ads, ads_carried = ads + hour.ads.events, ads_carried + hour.ads.carried[place]
        others, others_carried = others + hour.others.events, others_carried + hour.others.carried[place]
        if ads + others >= BLOCK:
            blocks.append(_Block(ads, ads_carried, others, others_carried))
            ads = ads_carried = others = others_carried = 0
    return blocks


def _without_falls(blocks: Sequence[_Block]) -> Sequence[_Block]:
    """Without the blocks that fell far out of the others, unless these are many."""
    shares = [block.share for block in blocks]
    middle = statistics.median(shares)
    off = statistics.median(abs(share - middle) for share in shares)
    least = middle - max(min(0.2, middle / 2), 6 * off)  # six: four standard deviations
    kept = [block for block in blocks if block.share >= least]
    cut = sum(block.events for block in blocks) - sum(block.events for block in kept)
    return kept if cut <= MOST_CUT * sum(block.events for block in blocks) else blocks


def spread_of(observed: Sequence[tuple[float, int]], expected: Sequence[float]) -> float:
    """The correlation within an hour: of (share, events) around what was expected, by the method of moments.

    As ``learn._spread``, but each hour around its own mean: sum(n (r - p)^2 / (p q)) = A + spread (B - A) on average.
    Few hours tell little of it: within two standard errors it is taken for as large as is usual.
    """
    total = sum(size for _, size in observed)
    a = len(observed) - 1
    if a < 1:
        return MOST_SPREAD
    b = total - sum(size**2 for _, size in observed) / total
    # The share that so many events show is itself uncertain: what comes next varies by it as well.
    least = max(LEAST_SPREAD, 1 / (total + 1))
    if b <= a:
        return least
    squares = 0.0
    for (share, size), mean in zip(observed, expected, strict=True):
        p = min(max(mean, 1e-3), 1 - 1e-3)
        squares += size * (share - p) ** 2 / (p * (1 - p))
    found = max(0.0, (squares - a) / (b - a))
    error = math.sqrt(2 * a) * (1 + found * (b - a) / a) / (b - a)
    return min(MOST_SPREAD, max(least, found, min(found + 2 * error, USUAL_SPREAD)))


def _spreads(
    hours: Mapping[datetime, Cells],
    ordered: Sequence[datetime],
    strata: Mapping[Stratum, StratumBaseline],
    place_of: Mapping[Stratum, Stratum],
) -> dict[str, float]:
    """Of all strata together, around what their mix lets expect."""
    names = {name for found in strata.values() for name in found.usual}
    spreads = {}
    for name in sorted(names):
        place = PLACES[name]
        observed, expected = [], []
        events = carried = 0
        due = 0.0
        for at in ordered:
            for cell, found in hours[at].items():
                stratum = place_of.get(cell[:2])
                usual = strata[stratum].usual.get(name) if stratum is not None and stratum in strata else None
                share = None if usual is None else usual.from_ads if cell[2] else usual.others
                if share is not None:
                    events, carried = events + found.events, carried + found.carried[place]
                    due += found.events * share
            if events >= BLOCK:
                observed.append((carried / events, events))
                expected.append(due / events)
                events, carried, due = 0, 0, 0.0
        kept = [n for n, (share, _) in enumerate(observed) if share >= expected[n] - max(0.2, expected[n] / 2)]
        if sum(observed[n][1] for n in kept) < (1 - MOST_CUT) * sum(size for _, size in observed):
            kept = list(range(len(observed)))
        spreads[name] = spread_of([observed[n] for n in kept], [expected[n] for n in kept])
    return spreads


def _per_hour(hours: Mapping[datetime, Cells], days: float) -> list[float]:
    found = [0.0] * 24
    for at, cells in hours.items():
        found[at.hour] += sum(one.events for one in cells.values())
    return [count / days for count in found]


def _denied(hours: Mapping[datetime, Cells], ordered: Sequence[datetime]) -> tuple[float, float]:
    observed = []
    events = denied = all_events = all_denied = 0
    for at in ordered:
        for found in hours[at].values():
            events, denied = events + found.events + found.denied, denied + found.denied
        if events >= BLOCK:
            observed.append((denied / events, events))
            all_events, all_denied = all_events + events, all_denied + denied
            events = denied = 0
    if not all_events:
        return 0.0, MOST_SPREAD
    share = all_denied / all_events
    return share, spread_of(observed, [share] * len(observed))


def busiest(names: Iterable[tuple[str, int]]) -> list[str]:
    """The names that are learned, purchases first: of ``names`` with how many events of each there were."""
    return most_wanted({name: count for name, count in names if name != OTHERS}, MOST_NAMES)
