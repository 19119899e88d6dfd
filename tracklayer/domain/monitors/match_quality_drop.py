"""``match_quality_drop``: events of one name carry markedly fewer of the identifiers that they usually carry."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.monitors import match_quality_words as words
from tracklayer.domain.monitors.coverage import (
    ANY_CLICK,
    CLICK_IDS,
    LEAST_SHARE,
    MOST_SPREAD,
    PLACES,
    STRONG,
    STRONG_ONES,
    Bin,
    Cell,
    Cells,
    NameBaseline,
    Stratum,
    Usual,
)
from tracklayer.domain.monitors.statistics import failures_at_least

LOOK_BACK = timedelta(days=7)  # in which a small host has the events that are judged
# Newest events: each sees a fall that began about so many events ago. Each has a fifth more than the one before: of a window
# that is longer than the fall, what came before takes a part, and where every second of these was left out, a fall that could
# be proven was told a third later, for want of a window that had little else in it.
WINDOWS = (
    10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 67, 80, 95, 113, 135, 160, 190, 226, 269, 320, 381, 453, 538, 640,
)  # fmt: skip
LEAST_SAMPLE = WINDOWS[0]
CHANCE = 1e-7
CHANCE_OF_OTHERS = 1e-8  # of what identifies nobody by itself: there is more of it, and it matters less
FLOOR = 0.10  # fewer points are not worth waking anybody,
LOW = 0.20  # but for an identifier that fewer carry: half of it
GLANCE = 60  # newest events that a first glance takes
FRESH = 8  # newest events that must bear it out
PLAIN = 0.005  # the chance from which on a first glance wants to know more
DEEP_LOOK = timedelta(minutes=20)  # how often more is read all the same: of a small host a glance shows too few events
LEAST_TO_COMPARE = 8  # events of a stratum that are enough to say that it is well
NOT_BACK = 0.05  # the chance from which on what was told is not over yet
UNLIKELY = 1e-3  # what is named besides what was found
# Click ids come and go with campaigns: they are listed beside what fell, and raise nothing by themselves.
_CLICKS = frozenset(CLICK_IDS)
_NOT_JUDGED = _CLICKS | {ANY_CLICK, STRONG}
GONE = 0.1  # of the usual share
# A stratum that took the place of another one.
TAKEN_OVER = 0.1  # of its usual share is left of the old one, which had as much of all events at least
# Refusals alone are told where hardly anybody is left to be told of.
ALL_DENY = 0.9
USUALLY_DENY = 0.6
STILL_DENY = 0.8
SOME_PEOPLE = 40
STRICT = 0.7  # refuse where a banner makes it as easy as to agree: that many may, so more must be beyond chance


class Scope(NamedTuple):
    """Which events are compared: ``all`` of strata with a past, one ``stratum``, or the ``new`` ones that took the place

    of ``strata``.
    """

    kind: str
    strata: tuple[Stratum, ...] = ()


ALL = Scope("all")
_TOGETHER: Stratum = ("", "")


@dataclass(frozen=True, slots=True)
class Fall:
    """One identifier that fewer events carry. ``share`` of ``events`` since ``since``; ``window``: by which it was found."""

    identifier: str
    scope: Scope
    since: datetime
    usual: float
    share: float
    events: int
    window: int
    chance: float

    def as_json(self) -> dict[str, Any]:
        return {
            "identifier": self.identifier,
            "usual_share": round(self.usual, 4),
            "share": round(self.share, 4),
            "events": self.events,
            "since": self.since.isoformat(),
            "window_events": self.window,
            "probability": self.chance,
            "scope": self.scope.kind,
            "strata": [list(stratum) for stratum in self.scope.strata],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Fall:
        scope = Scope(found["scope"], tuple((source, host) for source, host in found["strata"]))
        return cls(
            found["identifier"],
            scope,
            datetime.fromisoformat(found["since"]),
            found["usual_share"],
            found["share"],
            found["events"],
            found["window_events"],
            found["probability"],
        )


@dataclass(frozen=True, slots=True)
class NameView:
    """The events of one name at one look.

    ``bins``: minutes that have ended, oldest first, of a week or as many events as are judged. ``users``: identifier ->
    the titles of the merchant's platforms that use it. ``told_until``: when the last alert about it resolved.
    ``open_falls``: of its open alert, as they were told last; None where none is open. ``unmarked``: strata in which
    visitors from ads can be told from the others no more, by ``judge_match_quality_drop``.
    """

    event_name: str
    baseline: NameBaseline
    bins: Sequence[Bin]
    users: Mapping[str, Sequence[str]]
    told_until: datetime | None = None
    open_falls: Sequence[Fall] | None = None
    unmarked: frozenset[Stratum] = frozenset()

    @property
    def scopes(self) -> list[Scope]:
        strata = [Scope("stratum", (stratum,)) for stratum in self.baseline.strata]
        return [ALL, *strata] if len(strata) > 1 else [ALL]


def judge_match_quality_drop(view: NameView, now: datetime) -> Finding | None:
    """The identifiers of which the share fell by ten points (of less than 20 %: by half), beyond chance, in one finding.

    The test is the beta-binomial one against the name's own four weeks with its own spread (``coverage.learn_name``),
    one-sided, at one in 10^7 (an email, phone or customer id; of the others one in 10^8), over the newest 10 to 640 events,
    and the newest of these must bear it out. What is expected is the share that these very events would carry if every stratum were as usual: a shift of the mix changes nothing.
    All strata are judged together, and each by itself. A new one is judged only where it took the place of an old one.
    Events without consent are on neither side. Click ids are listed beside what fell and raise nothing by themselves:
    a campaign's end looks the same. An open one stays until two windows in a row, as long as the one it was found by, are
    back: no more than half the floor is missing, or no more than chance takes.
    """
    if not view.bins:
        return None
    view = replace(view, unmarked=_unmarked(view))
    falls = {fall.identifier: fall for fall in view.open_falls or () if fall.identifier not in _NOT_JUDGED}
    known = set(falls)
    falls = {name: _as_of_now(view, fall) for name, fall in falls.items() if _still_low(view, fall)}
    falls.update((name, fall) for name, fall in _newly_fallen(view).items() if name not in known)
    if falls:
        falls.update(_beside(view, falls))
    if not falls:
        return _refusals(view)
    return _finding(view, list(falls.values()), _denied_since(view, falls.values()))


def wants_past(cells: Cells, baseline: NameBaseline, used: Collection[str]) -> bool:
    """Whether the newest ``GLANCE`` events or so leave open how a name is doing, so that its minutes are worth reading."""
    names = [name for name in baseline.spreads if name in used and name not in _NOT_JUDGED]
    sums: dict[tuple[Stratum | None, str], list[float]] = {}
    for cell, found in cells.items():
        stratum = baseline.stratum_of(cell)
        if stratum is None and not baseline.is_new(cell):
            continue
        alike = () if stratum is not None else tuple(one for one in baseline.strata if one[0] == cell[0])
        for name in names:
            usual = baseline.strata[stratum].usual.get(name) if stratum is not None else _average(baseline, alike, name)
            share = None if usual is None else usual.from_ads if cell[2] else usual.others
            if share is None:
                continue
            for scope in (stratum, _TOGETHER) if stratum is not None else (None,):
                one = sums.setdefault((scope, name), [0, 0, 0.0])
                one[0] += found.events
                one[1] += found.carried[PLACES[name]]
                one[2] += found.events * share
    for events, carried, expected in sums.values():
        lost = bool(events) and _lost_enough(expected / events, carried / events, 0.5)
        if lost and _chance(int(events), int(carried), expected, 0.001) < PLAIN:
            return True
    people = sum(found.events + found.denied for found in cells.values())
    denied = sum(found.denied for found in cells.values())
    return denied - baseline.denied[0] * people >= (ALL_DENY - USUALLY_DENY) * people


# Falls --------------------------------------------------------------------------------------------------------------

Count = tuple[datetime, int, int, float]  # a minute: events, of which so many carry it, and would as usual


def _judged(view: NameView) -> list[str]:
    return [name for name in view.baseline.spreads if name in view.users and name not in _NOT_JUDGED]


def _newly_fallen(view: NameView) -> dict[str, Fall]:
    bins = [found for found in view.bins if view.told_until is None or found[0] >= view.told_until]
    view = replace(view, bins=bins)
    scopes = view.scopes
    replaced = _replaced(view)
    if replaced:
        scopes.append(Scope("new", replaced))
    falls: dict[str, Fall] = {}
    for name in _judged(view):
        found = [fall for scope in scopes if (fall := _fall(view, scope, name)) is not None]
        if found:
            falls[name] = _closest(view, found)
    return falls


def _beside(view: NameView, falls: Mapping[str, Fall]) -> dict[str, Fall]:
    """The identifiers that fell with what was found, click ids among them, though by themselves they would prove nothing."""
    first = min(falls.values(), key=lambda fall: fall.since)
    names = [name for name in (*_judged(view), *CLICK_IDS) if name in view.users and name not in falls]
    return {name: also for name in names if (also := _also(view, first, name)) is not None}


def _closest(view: NameView, falls: Sequence[Fall]) -> Fall:
    """Of one identifier, over several scopes: that of all, or of the only stratum that fell."""
    if falls[0].scope == ALL:
        fell = _where(view, falls[0]).strata
        if len(fell) == 1:
            return next((fall for fall in falls if fall.scope.strata == tuple(fell)), falls[0])
    return falls[0]


def _usual(baseline: NameBaseline, scope: Scope, cell: Cell, name: str) -> Usual | None:
    """What is usual for the events of a cell in a scope; None where they are not in it, or nothing is known."""
    if scope.kind == "new":
        return _average(baseline, scope.strata, name) if _took_over(baseline, scope.strata, cell) else None
    stratum = baseline.stratum_of(cell)
    if stratum is None or (scope.kind == "stratum" and stratum not in scope.strata):
        return None
    return baseline.strata[stratum].usual.get(name)


def _took_over(baseline: NameBaseline, old: Collection[Stratum], cell: Cell) -> bool:
    """Whether a cell is one of the new ones that took the place of old ones: a website never takes that of an app."""
    return baseline.is_new(cell) and any(source == cell[0] for source, _ in old)


def _share(view: NameView, scope: Scope, cell: Cell, name: str) -> float | None:
    """The share of a cell's events in a scope that usually carry an identifier; None as in ``_usual``."""
    usual = _usual(view.baseline, scope, cell, name)
    if usual is None or cell[2]:
        return usual and usual.from_ads
    if usual.from_ads is None or usual.others is None or _stratum(view.baseline, cell) not in view.unmarked:
        return usual.others
    # Visitors from ads may be among these, and often tell less of themselves.
    clicks = _usual(view.baseline, scope, cell, ANY_CLICK)
    ads = (clicks and clicks.others) or 0.0
    return min(usual.others, ads * usual.from_ads + (1 - ads) * usual.others)


def _stratum(baseline: NameBaseline, cell: Cell) -> Stratum:
    return baseline.stratum_of(cell) or cell[:2]


def _unmarked(view: NameView) -> frozenset[Stratum]:
    """The strata of whose newest events hardly any carries a click id any more."""
    sums: dict[Stratum, tuple[int, int]] = {}
    total = 0
    for _, cells in reversed(view.bins):
        total += sum(found.events for found in cells.values())
        if total > 2 * WINDOWS[-1]:
            break
        here: dict[Stratum, tuple[int, int]] = {}
        for cell, found in cells.items():
            stratum = _stratum(view.baseline, cell)
            events, carried = here.get(stratum, (0, 0))
            here[stratum] = events + found.events, carried + found.carried[PLACES[ANY_CLICK]]
        for stratum, (more, carrying) in here.items():
            events, carried = sums.get(stratum, (0, 0))
            if events < LEAST_SAMPLE:
                sums[stratum] = events + more, carried + carrying
    strata = view.baseline.strata
    gone = set()
    for stratum, (events, carried) in sums.items():
        usual = _average(view.baseline, (stratum,) if stratum in strata else tuple(strata), ANY_CLICK)
        if usual is not None and usual.others is not None and carried <= GONE * usual.others * events:
            gone.add(stratum)
    return frozenset(gone)


def _average(baseline: NameBaseline, strata: Sequence[Stratum], name: str) -> Usual | None:
    found = [
        (baseline.strata[stratum].weight, usual)
        for stratum in strata
        if stratum in baseline.strata and (usual := baseline.strata[stratum].usual.get(name)) is not None
    ]
    if not found:
        return None
    ads = [(weight, usual.from_ads) for weight, usual in found if usual.from_ads is not None]
    others = [(weight, usual.others) for weight, usual in found if usual.others is not None]
    return Usual(_mean(ads), _mean(others), max(usual.spread for _, usual in found))


def _mean(weighted: Sequence[tuple[float, float]]) -> float | None:
    total = sum(weight for weight, _ in weighted)
    return sum(weight * share for weight, share in weighted) / total if total else None


def _counts(view: NameView, scope: Scope, name: str) -> Iterator[Count]:
    """Newest first, up to as many events as are judged."""
    place, seen = PLACES[name], 0
    known: dict[Cell, float | None] = {}
    for at, cells in reversed(view.bins):
        events = carried = 0
        expected = 0.0
        for cell, found in cells.items():
            if cell not in known:
                known[cell] = _share(view, scope, cell, name)
            share = known[cell]
            if share is not None and found.events:
                events, carried = events + found.events, carried + found.carried[place]
                expected += found.events * share
        if events:
            yield at, events, carried, expected
            seen += events
            if seen >= WINDOWS[-1]:
                return


def _spread(view: NameView, scope: Scope, name: str, expected: float) -> float:
    """How much alike events of one hour are where such a share of them is expected to carry an identifier.

    Of a stratum no less than of all together: both are estimates. What was learned at a share near to all or none is too
    little for a mix with another share: where odds vary by one factor, it grows as the variance of a single event.
    """
    baseline = view.baseline
    strata = baseline.strata if scope.kind == "all" else scope.strata
    usual = _average(baseline, [one for one in strata if one in baseline.strata], name)
    found = baseline.spreads[name]
    if usual is None:
        return found
    if scope.kind == "stratum":
        found = max(found, usual.spread)
    clicks = _average(baseline, [one for one in strata if one in baseline.strata], ANY_CLICK)
    ads = clicks.others if clicks is not None and clicks.others is not None else 0.0
    mixed = _mean(
        [(ads, usual.from_ads or 0.0)] * (usual.from_ads is not None)
        + [(1 - ads, usual.others or 0.0)] * (usual.others is not None)
    )
    learned = expected if mixed is None else mixed
    return min(MOST_SPREAD, found * max(1.0, expected * (1 - expected) / max(learned * (1 - learned), 0.01)))


def _fall(view: NameView, scope: Scope, name: str) -> Fall | None:
    """The shortest window in which an identifier fell beyond chance."""
    counts: list[Count] = []
    events = carried = place = 0
    expected = 0.0
    newest = False  # whether the newest events were looked at
    for count in _counts(view, scope, name):
        counts.append(count)
        events, carried, expected = events + count[1], carried + count[2], expected + count[3]
        if not newest and events >= FRESH:
            newest = True
            # Then they are nearer to what is usual than to any fall, in whichever window (see _is_fresh).
            if not _lost_enough(expected / events, carried / events, 0.5):
                return None
        if place < len(WINDOWS) and events >= WINDOWS[place]:
            found = _beyond_chance(view, scope, name, counts, (events, carried, expected))
            if found is not None:
                return found
            while place < len(WINDOWS) and events >= WINDOWS[place]:
                place += 1
    if events >= LEAST_SAMPLE and place < len(WINDOWS):  # all there is, between two windows
        return _beyond_chance(view, scope, name, counts, (events, carried, expected))
    return None


def _beyond_chance(
    view: NameView, scope: Scope, name: str, counts: Sequence[Count], sums: tuple[int, int, float]
) -> Fall | None:
    """Whether it fell in the window of all of these minutes. ``sums``: their events, those that carry it, and that would."""
    events, carried, expected = sums
    usual, share = expected / events, carried / events
    if not _lost_enough(usual, share) or not _is_fresh(counts, events, usual, share):
        return None
    chance = _chance(events, carried, expected, _spread(view, scope, name, usual))
    if chance >= (CHANCE if name in STRONG_ONES else CHANCE_OF_OTHERS):
        return None
    fall = Fall(name, scope, counts[-1][0], usual, share, events, events, chance)
    return _since(list(_counts(view, scope, name)), fall)


def _lost_enough(usual: float, share: float, part: float = 1.0) -> bool:
    if usual < LEAST_SHARE:
        return False
    if usual < LOW and share <= usual * (1 - 0.5 * part):
        return True
    return usual - share >= FLOOR * part


def _chance(events: int, carried: int, expected: float, spread: float) -> float:
    missing = min(max(1 - expected / events, 1e-4), 1 - 1e-4)
    return failures_at_least(events - carried, events, missing, max(spread, 1e-4), WINDOWS[-1])


def _is_fresh(counts: Sequence[Count], window: int, usual: float, share: float) -> bool:
    """Whether the newest events, and the newest quarter of a window, are nearer to the fall than to what is usual."""
    events = carried = 0
    least = [FRESH, max(FRESH, window // 4)]
    for _, more, carrying, _ in counts:
        events, carried = events + more, carried + carrying
        while least and events >= least[0]:
            if carried / events > (usual + share) / 2:
                return False
            del least[0]
        if not least:
            return True
    return carried / events <= (usual + share) / 2


def _since(counts: Sequence[Count], fall: Fall) -> Fall:
    """The fall from the minute on from which it is likeliest to have begun."""
    best = likely = 0.0
    events = carried = 0
    expected = 0.0
    found = fall
    low = min(max(fall.share, 1e-3), 1 - 1e-3)
    for at, more, carrying, due in counts:
        events, carried, expected = events + more, carried + carrying, expected + due
        high = min(max(due / more, 1e-3), 1 - 1e-3)
        under = min(low, high)
        likely += carrying * math.log(under / high) + (more - carrying) * math.log((1 - under) / (1 - high))
        if likely > best:
            best = likely
            found = _from(fall, at, expected / events, carried / events, events)
    return found


def _from(fall: Fall, since: datetime, usual: float, share: float, events: int) -> Fall:
    return replace(fall, since=since, usual=usual, share=share, events=events)


def _still_low(view: NameView, fall: Fall) -> bool:
    """Whether the newest window, or the one before it, is not back yet."""
    if fall.identifier not in view.baseline.spreads:
        return False
    window = min(max(fall.window, 2 * LEAST_SAMPLE), WINDOWS[-1] // 2)
    if _is_left(view, fall.scope, window):
        return False
    spread = _spread(view, fall.scope, fall.identifier, fall.usual)
    counts = list(_counts(view, fall.scope, fall.identifier))
    # Where a week brings fewer than two such windows, its halves must do.
    window = max(LEAST_SAMPLE, min(window, sum(count[1] for count in counts) // 2))
    events = carried = full = 0
    expected = 0.0
    for _, more, carrying, due in counts:
        events, carried, expected = events + more, carried + carrying, expected + due
        if events >= window:
            if _is_low(events, carried, expected, spread):
                return True
            full += 1
            if full == 2:
                return False
            events, carried, expected = 0, 0, 0.0
    # Fewer came since than say that it is over.
    return full < 2


def _is_left(view: NameView, scope: Scope, window: int) -> bool:
    """Whether hardly any of the newest events are in a scope any more: a page was given up, there is nothing to mend."""
    events = inside = 0
    for _, cells in reversed(view.bins):
        for cell, found in cells.items():
            events += found.events
            stratum = view.baseline.stratum_of(cell)
            if scope.kind == "all":
                inside += found.events * (stratum is not None)
            elif scope.kind == "new":
                inside += found.events * _took_over(view.baseline, scope.strata, cell)
            else:
                inside += found.events * (stratum in scope.strata)
        if events >= window:
            break
    usual = min(1.0, sum(view.baseline.strata[one].weight for one in scope.strata if one in view.baseline.strata))
    return events >= window and inside < TAKEN_OVER * (usual or 1.0) * events


def _is_low(events: int, carried: int, expected: float, spread: float) -> bool:
    """Whether more than half the floor is missing, and more than one sample in twenty lacks by chance."""
    if not _lost_enough(expected / events, carried / events, 0.5):
        return False
    return _chance(events, carried, expected, spread) < NOT_BACK


def _as_of_now(view: NameView, fall: Fall) -> Fall:
    """With the figures since it began, as far as they were read."""
    events, carried, expected = _sums(view, fall.scope, fall.identifier, fall.since)
    if not events:
        return fall
    return _from(fall, fall.since, expected / events, carried / events, max(events, fall.events))


def _also(view: NameView, first: Fall, name: str) -> Fall | None:
    """An identifier that fell with what was found, though by itself it would prove nothing yet.

    A click id only where hardly one is left: fewer come with any campaign that ends.
    """
    if name not in view.baseline.spreads:
        return None
    events, carried, expected = _sums(view, first.scope, name, first.since)
    if not events or not _lost_enough(expected / events, carried / events):
        return None
    if name in _CLICKS and carried > GONE * expected:
        return None
    chance = _chance(events, carried, expected, _spread(view, first.scope, name, expected / events))
    if chance >= UNLIKELY:
        return None
    window = max(events, LEAST_SAMPLE)
    return Fall(name, first.scope, first.since, expected / events, carried / events, events, window, chance)


def _sums(view: NameView, scope: Scope, name: str, since: datetime) -> tuple[int, int, float]:
    """(events, those that carry it, those that would as usual) from an instant on, as far as was read."""
    events = carried = 0
    expected = 0.0
    for at, more, carrying, due in _counts(view, scope, name):
        if at < since:
            break
        events, carried, expected = events + more, carried + carrying, expected + due
    return events, carried, expected


def _replaced(view: NameView) -> tuple[Stratum, ...]:
    """The strata whose place new ones took, by the newest events; none where the new ones came on top."""
    new = total = 0
    seen: dict[Stratum, int] = {}
    sources: set[str] = set()
    for _, cells in reversed(view.bins):
        for cell, found in cells.items():
            total += found.events
            stratum = view.baseline.stratum_of(cell)
            if stratum is not None:
                seen[stratum] = seen.get(stratum, 0) + found.events
            elif view.baseline.is_new(cell) and found.events:
                new += found.events
                sources.add(cell[0])
        if new >= LEAST_SAMPLE or total >= WINDOWS[-1]:
            break
    if new < LEAST_SAMPLE:
        return ()
    gone = {
        stratum: found.weight
        for stratum, found in view.baseline.strata.items()
        if stratum[0] in sources
        and found.weight >= TAKEN_OVER
        and found.weight * total >= LEAST_SAMPLE / 2
        and seen.get(stratum, 0) < TAKEN_OVER * found.weight * total
    }
    return tuple(gone) if sum(gone.values()) >= 0.5 * new / total else ()


# Where, and who refuses ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Where:
    """The strata that fell, where others did not; ``instead_of``: whose place new ones took."""

    strata: Sequence[Stratum] = ()
    instead_of: Sequence[Stratum] = field(default_factory=tuple)


def _where(view: NameView, fall: Fall) -> Where:
    if fall.scope.kind == "new":
        new = sorted(
            {
                cell[:2]
                for at, cells in view.bins
                if at >= fall.since
                for cell, found in cells.items()
                if found.events and _took_over(view.baseline, fall.scope.strata, cell)
            }
        )
        return Where(new[:5], fall.scope.strata)
    fell, well = [], []
    for stratum in view.baseline.strata:
        events, carried, expected = _sums(view, Scope("stratum", (stratum,)), fall.identifier, fall.since)
        if not events:
            continue
        lost = (expected - carried) / expected if expected else 0.0
        if lost >= 0.5 * (1 - fall.share / fall.usual) and _chance(events, carried, expected, 0.01) < 0.05:
            fell.append(stratum)
        elif events >= LEAST_TO_COMPARE:
            well.append(stratum)
    return Where(fell) if well and fell else Where()


def _denied_since(view: NameView, falls: Collection[Fall]) -> tuple[float, float] | None:
    """(share of people who refuse consent since the falls began, usually), where it rose far beyond chance."""
    since = min(fall.since for fall in falls)
    events = denied = 0
    for at, cells in reversed(view.bins):
        if at < since:
            break
        for found in cells.values():
            events, denied = events + found.events, denied + found.denied
    usual = view.baseline.denied[0]
    if events + denied < LEAST_SAMPLE or denied / (events + denied) - usual < FLOOR:
        return None
    return (
        (denied / (events + denied), usual) if _denied_chance(view, events + denied, denied, usual) < CHANCE else None
    )


def _denied_chance(view: NameView, people: int, denied: int, usual: float) -> float:
    return failures_at_least(
        denied, people, min(max(usual, 1e-3), 0.999), max(view.baseline.denied[1], 1e-3), WINDOWS[-1]
    )


def _nobody_consents(view: NameView) -> tuple[float, float] | None:
    """(share of people who refuse consent now, usually), where more do than a banner explains that makes it easy.

    By the newest people, as few as rule chance out. What is told is over when fewer than eight in ten refuse.
    """
    usual = view.baseline.denied[0]
    if usual > USUALLY_DENY:
        return None
    people = denied = 0
    for _, cells in reversed(view.bins):
        people += sum(found.events + found.denied for found in cells.values())
        denied += sum(found.denied for found in cells.values())
        if people < SOME_PEOPLE:
            continue
        if view.open_falls is not None and denied >= STILL_DENY * people:
            return denied / people, usual
        if denied < ALL_DENY * people:
            return None
        if _denied_chance(view, people, denied, max(usual, STRICT)) < CHANCE:
            return denied / people, usual
        if people >= WINDOWS[-1]:
            return None
    return None


def _refusals(view: NameView) -> Finding | None:
    """A banner that asks more people, or asks better, is the shop's right; one that lets nobody consent is told."""
    denied = _nobody_consents(view)
    if denied is None:
        return None
    since = _refused_since(view)
    told = words.of_refusals(view.event_name, *denied, since)
    return Finding(
        AlertKind.MATCH_QUALITY_DROP,
        None,
        Severity.WARNING,
        told.title,
        told.message,
        since,
        {"denied_share": round(denied[0], 4), "usual_denied_share": round(denied[1], 4), "identifiers": []},
        view.event_name,
    )


def _refused_since(view: NameView) -> datetime:
    """The first of the newest minutes in which most people refuse."""
    since = view.bins[-1][0]
    for at, cells in reversed(view.bins):
        events, denied = sum(found.events for found in cells.values()), sum(found.denied for found in cells.values())
        if denied < events:
            break
        since = at
    return since


def _finding(view: NameView, falls: Sequence[Fall], denied: tuple[float, float] | None) -> Finding:
    strong = words.in_order(falls)
    first = strong[0]
    where = _where(view, first)
    halved = _strong_halved(view, falls)
    since = min(fall.since for fall in falls)
    everywhere = {source for source, _ in view.baseline.strata}
    sources = sorted({source for source, _ in where.strata})
    if everywhere <= set(sources):
        sources = []  # the action source tells nothing
    told = words.of_falls(view.event_name, strong, view.users, where.strata, where.instead_of, since, denied, sources)
    details: dict[str, Any] = {
        "identifiers": [{**fall.as_json(), "platforms": list(view.users.get(fall.identifier, ()))} for fall in strong],
        "events": max(fall.events for fall in falls),
        "action_sources": sources,
        "hosts": sorted({host for _, host in where.strata}),
        "instead_of_hosts": sorted({host for _, host in where.instead_of}),
    }
    if halved is not None:
        details["strong_share"], details["usual_strong_share"] = round(halved[0], 4), round(halved[1], 4)
    if denied is not None:
        details["denied_share"], details["usual_denied_share"] = round(denied[0], 4), round(denied[1], 4)
    is_critical = halved is not None and halved[0] <= halved[1] / 2
    return Finding(
        AlertKind.MATCH_QUALITY_DROP,
        None,
        Severity.CRITICAL if is_critical else Severity.WARNING,
        told.title,
        told.message,
        since,
        details,
        view.event_name,
    )


def _strong_halved(view: NameView, falls: Sequence[Fall]) -> tuple[float, float] | None:
    """(share of events with an email, phone, click id or customer id, its usual one) in the scope that has the fewest left."""
    found = []
    for scope in {fall.scope for fall in falls}:
        since = min(fall.since for fall in falls if fall.scope == scope)
        events, carried, expected = _sums(view, scope, STRONG, since)
        if events and expected:
            found.append((carried / events, expected / events))
    return min(found, key=lambda one: one[0] / one[1], default=None)
