"""``events_rejected``: markedly more of what a merchant sends is refused at the door than usual, or all of one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.event_names import is_step
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.delivery_rate_drop import CHANCE, FLOOR, LEAST_SAMPLE, WINDOWS
from tracklayer.domain.monitors.learn import LEAST_SPREAD, WORSE, WORST_USUAL, SuccessRate, worst_of
from tracklayer.domain.monitors.refused_requests import key_of, meaning_of
from tracklayer.domain.monitors.statistics import failures_at_least
from tracklayer.domain.monitors.views import NOTABLE_DROP, PAST, SMALL_SAMPLE, is_forgotten
from tracklayer.domain.monitors.words import clock_time, counted, listed, percent
from tracklayer.domain.monitors.worth import Worth, details, in_sales, worth_of
from tracklayer.domain.problem import CODES, Meaning
from tracklayer.domain.spelling import spelt

HALF = 0.5  # of at least LEAST_SAMPLE events: never usual, whatever the past was
HALF_OF = timedelta(hours=1)  # with a past: over so long at least, as a file of wrong events is over sooner
MANY, MANY_OF = 0.3, 200  # of so many events in an hour or longer: the same
CODE_FLOOR = 0.03  # of all events: a single code and field may rise by so much
LEAST_OF_CODE = 10
ENOUGH_FOR_A_CODE = 100  # newest events, which say whether it is over
STREAK = 10  # events refused in a row, without one that was accepted,
STREAK_LASTS = timedelta(
    minutes=5
)  # over so long, or LEAST_SAMPLE of them: one event that is sent again and again is none
# With a key that was revoked every event is refused, and no statistics are needed: so many of a day are told, or in so many
# minutes of it. It is over when none has come for so long, so that what is sent once an hour is one alert.
MANY_WITH_A_KEY, MINUTES_WITH_A_KEY = 20, 3
KEY_RESTS = timedelta(hours=2)
KEY_COMES_WITHIN = timedelta(hours=26)  # again, what comes once a day
FEW = 100  # refused in a day: more are judged by themselves
MOST_TOLD = 5  # codes and fields of a message
MENTIONED = 0.1  # of what is refused now: a cause of so much is one to mend, too,
MOST_TO_MEND = 3  # of the commonest
NEARLY_ALL = 0.9  # of what is refused for a cause that rose: it is the trouble of one name

Cause = tuple[str, str]  # code, field


@dataclass(frozen=True, slots=True)
class DoorMinute:
    """What arrived in a minute: ``accepted`` (repeats included), new events by name, refused by (name, code, field).

    ``OTHERS`` among the names: further names, counted together; empty: none that could be read. ``repeated``: those of the
    accepted that were repeats, of whatever name: nobody counts them by name. ``worth``: name -> what its refused sales are
    worth, of those that bring a value and a currency.
    """

    start: datetime
    accepted: int = 0
    names: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    repeated: int = 0
    worth: Mapping[str, Worth] = field(default_factory=dict)

    def of(self, name: str | None) -> tuple[datetime, int, int]:
        """(start, accepted, refused) of one name, or of all."""
        if not self.refused:
            return self.start, self.accepted_of(name), 0
        bad = sum(count for (of_name, _, _), count in self.refused.items() if name in (None, of_name))
        return self.start, self.accepted_of(name), bad

    def accepted_of(self, name: str | None) -> int:
        """Any that nobody counts by its name may have been one of a name: it is never said that all of them are refused."""
        return self.accepted if name is None else self.names.get(name, 0) + self.unnamed

    @property
    def unnamed(self) -> int:
        return self.repeated + self.names.get(OTHERS, 0)


@dataclass(frozen=True, slots=True)
class DoorView:
    """What arrived at one merchant's door. ``minutes``: oldest first, up to a day, and hours before it (``wants_run``).

    ``usual``, ``usual_names``, ``usual_causes``: the shares that are accepted, and not refused for one code and field.
    ``open_names``: of the alerts that are open; ``told_until``: name (None: all) -> when its last one was over. What was
    told is not told again. ``began``: name (None: all) -> since when its open alert says that it holds. ``keys``: what stands
    in a field's place for a revoked key -> when that was, in words. ``before``: of open alerts, the hours before ``minutes``, at
    least from when the first of them began; None: not read.
    """

    minutes: Sequence[DoorMinute]
    usual: SuccessRate | None = None
    usual_names: Mapping[str, SuccessRate] = field(default_factory=dict)
    usual_causes: Mapping[Cause, SuccessRate] = field(default_factory=dict)
    is_open: bool = False
    open_names: Collection[str] = ()
    told_until: Mapping[str | None, datetime] = field(default_factory=dict)
    began: Mapping[str | None, datetime] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[DoorMinute] | None = None

    @property
    def known(self) -> Sequence[DoorMinute]:
        """All that was read, oldest first."""
        first = self.minutes[0].start if self.minutes else None
        return [*(hour for hour in self.before or () if first is None or hour.start < first), *self.minutes]

    def fresh(self, minute: DoorMinute) -> DoorMinute:
        """Without the refusals that an alert tells of, or told of."""
        if not minute.refused or not (self.open_names or self.told_until):
            return minute
        refused = {
            cause: count
            for cause, count in minute.refused.items()
            if cause[0] not in self.open_names
            and all(name not in self.told_until or minute.start >= self.told_until[name] for name in (None, cause[0]))
        }
        return minute if len(refused) == len(minute.refused) else replace(minute, refused=refused)


def wants_past(minutes: Collection[DoorMinute], usual: SuccessRate | None) -> bool:
    """Whether half an hour leaves open how it is: too little to say, more than usual, nothing but refusals of a name, or any
    with a key that was revoked.
    """
    good, bad = sum(minute.accepted for minute in minutes), sum(sum(minute.refused.values()) for minute in minutes)
    if any(key_of(where) is not None for minute in minutes for _, _, where in minute.refused):
        return True
    if not good or good + bad < SMALL_SAMPLE or usual is None:
        return True
    if bad / (good + bad) > 1 - usual.share + NOTABLE_DROP / 2:
        return True
    return any(not any(minute.names.get(name) for minute in minutes) for name in _names(minutes) if _is_name(name))


def wants_run(view: DoorView) -> Collection[str]:
    """The names, ``""`` for all of them, of which something was refused in a day, too little to tell by, and none accepted:

    whether that is a streak only what came before the day says. And those of open alerts of which nothing was accepted.
    """
    of_day = _by_name(view.minutes)
    is_open: set[str | None] = {None} if view.is_open else set(view.open_names)
    found = []
    for name in {*of_day, *is_open}:
        series = of_day.get(name) or [minute.of(name) for minute in view.minutes]
        bad, is_told = sum(one[2] for one in series), name in is_open
        if (bad or is_told) and bad < FEW and not any(one[1] for one in series) and (name is None or _is_name(name)):
            found.append(name or "")
    return sorted(found)


def with_run(view: DoorView, hours: Sequence[DoorMinute], names: Collection[str], now: datetime) -> DoorView:
    """With what arrived before the day, unless nothing has come of any of these for so long that nobody knows how it is."""
    whole = [*hours, *view.minutes]
    for name in names:
        streak = []
        for start, accepted, refused in reversed([minute.of(name or None) for minute in whole]):
            if accepted:
                break
            if refused:
                streak.append((start, refused))
        if streak and not is_forgotten(streak[-1][0], streak[0][0], sum(count for _, count in streak), now):
            return replace(view, minutes=whole)
    return view


Series = Sequence[tuple[datetime, int, int]]  # start, accepted, refused


def judge_events_rejected(view: DoorView, now: datetime) -> dict[Subject, Finding | None]:
    """What was judged, and what was found of it.

    More than usual is refused where the share over one of eight windows rose by ten points and more than chance allows
    (as ``delivery_rate_drop``), in an hour as bad as come now and then, too, or by three points for one code and field.
    Absolutely, half of twenty events is too much, and so are three tenths of two hundred, and ten in a row without one
    that was accepted. One name is told by itself where the others are well, or where nearly all that is refused for the
    cause that rose is of it; else there is one alert of all, which lists names, codes and fields. While that is open,
    nothing is said of names.
    """
    whole = Subject(AlertKind.EVENTS_REJECTED)
    usual = _capped(view.usual)
    if view.is_open:
        since = _still([minute.of(None) for minute in view.minutes], usual) or _cause_still(view)
        since = since or _key_still(view, now)
        return {whole: _only_new_of_bad(_finding(view, None, since), view, usual, now) if since else None}
    found: dict[Subject, Finding | None] = {whole: None}
    for name in view.open_names:
        still = _still([minute.of(name) for minute in view.minutes], _capped(view.usual_names.get(name)))
        still = still or _cause_still(_of_name(view, name))  # it may have been told for that
        found[_subject(name)] = _finding(view, name, still) if still else None
    fresh = replace(view, minutes=[view.fresh(minute) for minute in view.minutes])
    bad = {}
    by_name = _by_name(fresh.minutes)
    for name in sorted(name for name in by_name if name is not None and _is_name(name)):
        since = _too_many(by_name[name], _capped(view.usual_names.get(name)), now, usual)
        if since is not None:
            bad[name] = since
            found[_subject(name)] = _finding(fresh, name, since)
    since, cause = _too_many(by_name[None], usual, now), None
    if since is None:
        since, cause = _cause_too_often(fresh, now)
    with_key = _with_revoked_key(fresh, now)
    if with_key is not None:
        since = min(with_key, since or with_key)
        return {
            **{_subject(each): found[_subject(each)] for each in view.open_names},
            whole: _finding(fresh, None, since),
        }
    if since is None and len(bad) != 1:
        return found
    name, part = _most_refused(fresh, since, cause) if since else (next(iter(bad)), 0.0)
    begin = since or bad[name]
    is_its_own = (
        cause is not None and part >= NEARLY_ALL and any(_without(one, name)[1] for one in fresh.minutes[-HALF_HOUR:])
    )
    if _is_name(name) and (is_its_own or _others_are_well(fresh, name, begin, usual, now)):
        found[_subject(name)] = _finding(fresh, name, begin)
        return found
    return {
        **{_subject(each): found[_subject(each)] for each in view.open_names},
        whole: _finding(fresh, None, begin),
    }


def _only_new_of_bad(finding: Finding, view: DoorView, usual: SuccessRate | None, now: datetime) -> Finding:
    """Of the names that an open alert was not told with, only those cost conversions of which too many are refused by themselves:
    a few of each always are.
    """
    by_name = _by_name(view.minutes)
    costs = {
        name: may_cost
        and name in by_name
        and _too_many(by_name[name], _capped(view.usual_names.get(name)), now, usual) is not None
        for name, may_cost in finding.members.items()
    }
    return replace(finding, members=costs)


def _with_revoked_key(view: DoorView, now: datetime) -> datetime | None:
    """Since when events come with a key that was revoked, of the last day; None: none, or hardly any."""
    for key in view.keys:
        own = _minutes_of(view, key, now - PAST)
        if sum(count for _, count in own) >= MANY_WITH_A_KEY or len(own) >= MINUTES_WITH_A_KEY:
            return own[0][0]
    return None


def _key_still(view: DoorView, now: datetime) -> datetime | None:
    """Since when events come with a revoked key, of those that came last; None: none for long.

    For two hours; where they come by turns, as of a job at night, for two hours longer than they stayed away before.
    """
    found = []
    for key in view.keys:
        lately = _minutes_of(view, key, now - KEY_RESTS)
        if lately:
            found.append(lately[0][0])
            continue
        came = [at for at, _ in _minutes_of(view, key, now - 2 * KEY_COMES_WITHIN)]
        gaps = [(later - at, later) for at, later in pairwise(came) if KEY_RESTS < later - at <= KEY_COMES_WITHIN]
        if gaps and now - came[-1] < max(gaps)[0] + KEY_RESTS:
            found.append(gaps[-1][1])
    return min(found, default=None)


def _minutes_of(view: DoorView, key: str, since: datetime) -> list[tuple[datetime, int]]:
    """(minute, events) with a key that was revoked; of what is long ago (hour, events)."""
    found = []
    for minute in view.known:
        if minute.refused and minute.start >= since:
            count = sum(events for (_, _, where), events in minute.refused.items() if where == key)
            if count:
                found.append((minute.start, count))
    return found


def _by_name(minutes: Sequence[DoorMinute]) -> dict[str | None, list[tuple[datetime, int, int]]]:
    """As ``DoorMinute.of``, of all (None) and of each name of which something is refused."""
    whole: list[tuple[datetime, int, int]] = []
    named: dict[str, list[tuple[datetime, int, int]]] = {name: [] for name in _names(minutes)}
    for minute in minutes:  # of a busy day there are 1,440
        start, arrived, unnamed = minute.start, minute.names, minute.unnamed
        bad: dict[str, int] = {}
        for (name, _, _), count in minute.refused.items():
            bad[name] = bad.get(name, 0) + count
        whole.append((start, minute.accepted, sum(bad.values())))
        for name, series in named.items():
            series.append((start, arrived.get(name, 0) + unnamed, bad.get(name, 0)))
    found: dict[str | None, list[tuple[datetime, int, int]]] = {None: whole}
    found.update(named)
    return found


def _is_name(name: str) -> bool:
    """Whether it is one that something can be told of by itself, neither several nor none."""
    return name not in ("", OTHERS)


def _subject(name: str) -> Subject:
    return Subject(AlertKind.EVENTS_REJECTED, event_name=name)


def _others_are_well(view: DoorView, name: str, since: datetime, usual: SuccessRate | None, now: datetime) -> bool:
    """Whether other names arrive and are accepted: at all, and as usual since one of them is refused."""
    rest = [_without(minute, name) for minute in view.minutes]
    good = sum(good for _, good, _ in rest[-HALF_HOUR:])
    if not good or _too_many(rest, usual, now) is not None:
        return False
    since_then = [one for one in rest if one[0] >= since]
    good, bad = sum(one[1] for one in since_then), sum(one[2] for one in since_then)
    return bad <= (good + bad) * ((1 - usual.share if usual is not None else 0.0) + FLOOR)


def _most_refused(view: DoorView, since: datetime, cause: Cause | None) -> tuple[str, float]:
    """The name of which most is refused, for one cause or for any, and its part of that."""
    refused: Counter[str] = Counter()
    for minute in view.minutes:
        if minute.start >= since:
            for (name, *of_cause), count in minute.refused.items():
                if cause is None or tuple(of_cause) == cause:
                    refused[name] += count
    ((name, most),) = refused.most_common(1)
    return name, most / refused.total()


HALF_HOUR = 30  # minutes


def _capped(usual: SuccessRate | None) -> SuccessRate | None:
    if usual is None or usual.share >= WORST_USUAL:
        return usual
    return replace(usual, share=WORST_USUAL)


def _without(minute: DoorMinute, name: str) -> tuple[datetime, int, int]:
    start, good, bad = minute.of(None)
    return start, max(0, good - minute.names.get(name, 0)), bad - minute.of(name)[2]


def _too_many(
    series: Series, usual: SuccessRate | None, now: datetime, of_all: SuccessRate | None = None
) -> datetime | None:
    """Since when too much is refused; None where it is not.

    ``of_all``: of the shop, where this is one name of it, whose own past is not known: half of twenty come by chance now and
    then where a fifth of all is refused in bad hours.
    """
    minute = now.replace(second=0, microsecond=0)
    good = bad = at = 0
    since = None  # the first of the minutes up to here in which something was refused
    for length in WINDOWS:  # each takes in what the shorter ones have
        start = minute - length
        while at < len(series) and series[-1 - at][0] >= start:
            of_minute = series[-1 - at]
            good, bad, at = good + of_minute[1], bad + of_minute[2], at + 1
            since = of_minute[0] if of_minute[2] else since
        if good + bad < LEAST_SAMPLE:
            continue
        is_half = bad >= HALF * (good + bad) and (usual is None or length >= HALF_OF)
        if is_half and usual is None and of_all is not None:
            is_half = _beyond_chance(bad, good + bad, of_all, FLOOR)
        is_many = bad >= MANY * (good + bad) and good + bad >= MANY_OF and length >= HALF_OF
        if is_half or is_many or (usual is not None and _beyond_chance(bad, good + bad, usual, FLOOR)):
            return since
    streak = []
    for one in reversed(series):
        if one[1]:
            break
        if one[2]:
            streak.append(one)
    bad = sum(one[2] for one in streak)
    if bad < STREAK or (bad < LEAST_SAMPLE and now - streak[-1][0] < STREAK_LASTS):
        return None
    return streak[-1][0] if usual is None or _beyond_chance(bad, bad, usual, FLOOR) else None


def _beyond_chance(bad: int, total: int, usual: SuccessRate, floor: float) -> bool:
    """Also in an hour as bad as come now and then, and markedly: the worst of a few such hours is not the worst that comes."""
    if bad / total < WORSE * (1 - worst_of(usual)) + floor:
        return False
    return failures_at_least(bad, total, 1 - worst_of(usual), usual.spread) < CHANCE


def _still(series: Series, usual: SuccessRate | None) -> datetime | None:
    """Whether the last five minutes with events, of at least twenty or all well, are still worse than usual."""
    good = bad = minutes = 0
    since = None
    for start, accepted, refused in reversed(series):
        if not accepted and not refused:
            continue
        if minutes >= 5 and (good + bad >= LEAST_SAMPLE or not bad):
            break
        minutes, good, bad = minutes + 1, good + accepted, bad + refused
        since = start if refused else since
    limit = min(MANY - FLOOR / 2, (1 - worst_of(usual) if usual is not None else MANY) + FLOOR / 2)
    return since if since is not None and bad / (good + bad) > limit else None


def _causes(minutes: Sequence[DoorMinute], name: str | None = None) -> Counter[Cause]:
    found: Counter[Cause] = Counter()
    for minute in minutes:
        for (of_name, code, where), count in minute.refused.items():
            if name is None or of_name == name:
                found[code, where] += count
    return found


def _cause_too_often(view: DoorView, now: datetime) -> tuple[datetime, Cause] | tuple[None, None]:
    """Since when which code and field is refused for markedly more often than it usually is."""
    if view.usual is None:
        return None, None
    minute = now.replace(second=0, microsecond=0)
    causes: Counter[Cause] = Counter()
    since: dict[Cause, datetime] = {}
    accepted = at = 0
    for length in WINDOWS:
        start = minute - length
        while at < len(view.minutes) and view.minutes[-1 - at].start >= start:
            one, at = view.minutes[-1 - at], at + 1
            accepted += one.accepted
            for (_, code, where), count in one.refused.items():
                causes[code, where] += count
                since[code, where] = one.start
        total = accepted + causes.total()
        if total < LEAST_SAMPLE:
            continue
        for cause, bad in causes.most_common():
            if bad < LEAST_OF_CODE:
                break
            if _beyond_chance(bad, total, _usual_cause(view, cause), CODE_FLOOR):
                return since[cause], cause
    return None, None


def _usual_cause(view: DoorView, cause: Cause) -> SuccessRate:
    """Of a cause that there never was: once in as many events as there were."""
    known = view.usual_causes.get(cause)
    if known is not None:
        return known
    attempts = view.usual.attempts if view.usual is not None else 0
    return SuccessRate((attempts + 1) / (attempts + 2), LEAST_SPREAD, attempts)


def _cause_still(view: DoorView) -> datetime | None:
    """Whether one code and field is still refused for too often, in the newest minutes, of at least five or all well."""
    if view.usual is None:
        return None
    newest: list[DoorMinute] = []
    total = 0
    for minute in reversed(view.minutes):
        causes = _causes(newest)
        if len(newest) >= 5 and (total >= ENOUGH_FOR_A_CODE or not causes):
            break
        newest.append(minute)
        total += minute.accepted + sum(minute.refused.values())
    for cause, bad in _causes(newest).items():
        if bad / total > 1 - worst_of(_usual_cause(view, cause)) + CODE_FLOOR / 2:
            return min(one.start for one in newest if _causes([one])[cause])
    return None


def _of_name(view: DoorView, name: str) -> DoorView:
    """With the refusals of one name alone."""
    own = [
        replace(minute, refused={cause: count for cause, count in minute.refused.items() if cause[0] == name})
        for minute in view.minutes
    ]
    return replace(view, minutes=own)


_SAID = {"": "without a name that can be read", OTHERS: "other names"}


def _finding(view: DoorView, name: str | None, lately: datetime) -> Finding:
    """``lately``: since when too much is refused now; what was refused is counted since an open alert's own beginning."""
    since = lately
    known = view.minutes
    if name in view.began and (view.is_open if name is None else name in view.open_names):
        known = view.known
        is_read = view.before is not None
        since = min(lately, view.began[name] if is_read else max(view.began[name], view.minutes[0].start))
    # Of what is kept by the hour, that in which it began, too.
    first = since.replace(minute=0, second=0, microsecond=0)
    by_minute = view.minutes[0].start if view.minutes else lately
    inside = [one for one in known if one.start >= (since if one.start >= by_minute else first)]
    recent = [minute for minute in inside if minute.start >= lately]
    causes, of_now = _causes(inside, name), _causes(recent, name)
    bad, total = _counts(inside, name)
    usual = view.usual if name is None else view.usual_names.get(name)
    what = "event" if name is None else f"{name} event"
    if name is not None and any(minute.repeated for minute in inside):
        what = f"new {what}"  # some of the repeats may be of this name, and were accepted
    # Some of the accepted ones of further names may be of this one.
    may_be_more = name is not None and any(minute.names.get(OTHERS) for minute in inside)
    bad_now, total_now = _counts(recent, name)
    share = bad_now / total_now if total_now else 0.0
    how_many = f"{percent(share)} of" if bad_now < total_now else "Many" if may_be_more else "All"
    # Of a batch that comes by itself: that no other came in its minutes does not say that none is accepted.
    is_by_key = all(where in view.keys for _, where in of_now) and any(minute.accepted for minute in view.minutes)
    of_key = " with a revoked key" if name is None and bad_now == total_now and is_by_key else ""
    # What is refused now comes first, however much of another cause was refused before: that may be mended.
    told = sorted(causes.items(), key=lambda one: (-of_now[one[0]], -one[1], one[0]))[:MOST_TOLD]
    to_mend = [cause for cause, _ in told if of_now[cause] >= MENTIONED * of_now.total()][:MOST_TO_MEND]
    to_mend = to_mend or [cause for cause, _ in told[:1]]  # of many that are as frequent none may be a tenth
    mended = [_cause(*cause) for cause, _ in told if not of_now[cause]]
    over = f" Since {clock_time(lately)} no longer for {listed(mended)}." if mended else ""
    names = Counter({each: sum(minute.of(each)[2] for minute in inside) for each in _names(inside)}).most_common(
        MOST_TOLD
    )
    by_name = (
        f" By name: {', '.join(f'{_SAID.get(each, each)} {count:,}' for each, count in names)}." if name is None else ""
    )
    normal = f" Usually {percent(1 - usual.share)} are refused." if usual is not None else ""
    revoked = "".join(f" {view.keys[where]}" for (_, where), _ in told if where in view.keys)
    why = "" if any(meaning_of(*cause) for cause, _ in told) else " for wrong fields"
    worth = _worth(inside, name)
    # Some of what is counted together as further names may be of this one.
    is_least = name is not None and any(of_name == OTHERS for minute in inside for of_name, _, _ in minute.refused)
    many = f"At least {counted(bad, what)}" if is_least else f"{bad:,} of {counted(total, what)}"
    return Finding(
        AlertKind.EVENTS_REJECTED,
        None,
        Severity.CRITICAL if share >= HALF else Severity.WARNING,
        f"{how_many} {what}s{of_key} are refused",
        f"{many} since {clock_time(since)} were refused{why}{in_sales(worth)}, and are"
        f" reported to no platform. Whoever maintains the shop must correct {listed([_cause(*cause) for cause in to_mend])} now, and then"
        f" send these events again.{revoked}{_orders(to_mend)} Refused for: {'; '.join(_counted_cause(cause, count) for cause, count in told)}."
        f"{over}{by_name}{normal}",
        since,
        {
            "refused": bad,
            "arrived": total,
            "refused_share": round(share, 4),
            "usual_refused_share": round(1 - usual.share, 4) if usual is not None else None,
            "causes": [{"code": code, "field": spelt(where), "events": count} for (code, where), count in told],
            "event_names": {each: count for each, count in names if count},
            **_leading(of_now),
            **details(refused_worth=worth),
        },
        event_name=name,
        # Where all are refused, that says it of each.
        members={each: bad_now < total_now and not is_step(each) for each in _names(inside) if _is_name(each)}
        if name is None
        else {},
    )


def _leading(refused: Counter[Cause]) -> dict[str, Any]:
    """The cause of most of what is refused now: told again where the alert was told with others (``db.alerts.keep_cause``)."""
    ((code, where), most), *_ = refused.most_common(1) or [(("", ""), 0)]
    if most < max(LEAST_SAMPLE, HALF * refused.total()):
        return {}
    return {"leading": {"code": code, "field": spelt(where)}}


def _worth(minutes: Sequence[DoorMinute], name: str | None) -> Worth:
    """At least: sales whose value or currency is what is wrong bring none, and nor do all that are no sales."""
    of_minutes = (one for minute in minutes for one in minute.worth.items())
    return worth_of(
        (sale for each, worth in of_minutes if name in (None, each) for sale in worth.amounts.items()), is_all=False
    )


def _counts(minutes: Sequence[DoorMinute], name: str | None) -> tuple[int, int]:
    """(refused, arrived) of one name, or of all; of a name without repeats, which nobody counts by name."""
    bad = _causes(minutes, name).total()
    return bad, bad + sum(minute.accepted if name is None else minute.names.get(name, 0) for minute in minutes)


def _names(minutes: Iterable[DoorMinute]) -> set[str]:
    return {name for minute in minutes for name, _, _ in minute.refused}


def _meaning(code: str, where: str) -> Meaning | None:
    """Codes of whole requests are other ones than those of fields, though some have the same name."""
    return meaning_of(code, where) or CODES.get(code)


def _cause(code: str, where: str) -> str:
    if meaning_of(code, where) is not None:
        return f"the requests ({code})"
    if where == OTHERS:
        return f"{code} in other fields"
    return f"`{spelt(where)}` ({code})" if where else code


def _orders(to_mend: Sequence[Cause]) -> str:
    """What to do about each field or request; and, of fields, where the ids are, which nobody keeps of what is refused."""
    whose: dict[str, list[str]] = {}
    for cause in to_mend:
        meaning = _meaning(*cause)
        if meaning is not None:
            whose.setdefault(meaning.what_to_do, []).append(_place(*cause))
    orders = "".join(f" {listed(found)}: {to_do}" for to_do, found in whose.items())
    if all(meaning_of(*cause) is not None for cause in to_mend):
        return orders
    return f"{orders} Which events they are, and what a field takes, says the answer to each: `eventId` beside `userErrors`."


def _place(code: str, where: str) -> str:
    if meaning_of(code, where) is not None:
        return "The requests"
    if where == OTHERS:
        return "Other fields"
    return f"`{spelt(where)}`" if where else "The event"


def _counted_cause(cause: Cause, count: int) -> str:
    meaning = _meaning(*cause)
    said = f" {meaning.meaning}".rstrip(".") if meaning is not None else ""
    return f"{_cause(*cause)} {count:,}:{said}" if said else f"{_cause(*cause)} {count:,}"
