"""Names that a destination refuses: how often the judge is wrong of healthy shops, and how soon it is right of others."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from random import Random

import pytest

from tracklayer.domain.monitors.learn import SuccessRate, learn_success, learn_worst
from tracklayer.domain.monitors.name_refusals import (
    NameSeries,
    Stretch,
    horizon,
    judge_late,
    judge_name,
    wants_closer_look,
)

START = datetime(2026, 11, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Name:
    """One name at a destination that refuses ``share`` of it, in flocks: up to four times as many in one hour of ten."""

    def __init__(self, seed: str, per_hour: float, share: float) -> None:
        self.random, self.per_hour, self.share = Random(seed), per_hour, share
        self.now = START
        self.stretches: list[Stretch] = []

    def hour_passes(self, share: float | None = None) -> None:
        """An hour by its minutes with events."""
        if share is None:
            share = min(0.5, self.share * (self.random.uniform(1, 4) if self.random.random() < 0.1 else 1))
        for minute in range(60):
            arrived = self._poisson(self.per_hour / 60)
            if arrived:
                refused = sum(self.random.random() < share for _ in range(arrived))
                self.stretches.append((self.now + minute * MINUTE, arrived, refused))
        self.now += HOUR

    def _poisson(self, mean: float) -> int:
        count, left = 0, self.random.expovariate(1)
        while left < mean:
            count, left = count + 1, left + self.random.expovariate(1)
        return count

    def looks(self, *, is_told: bool = False) -> Iterator[bool]:
        """As services/watches/refused_names.py does it, at each minute of the last hour with a refusal."""
        day, hour_ago = self.now - DAY, self.now - HOUR
        lately = self.stretches[self._place_of(day) :]
        for place, (start, _, refused) in enumerate(lately):
            if not refused or start < hour_ago:
                continue
            now = start + MINUTE
            seen = lately[: place + 1]
            recent = [one for one in seen if one[0] > now - 30 * MINUTE]
            if wants_closer_look(sum(one[1] for one in recent), sum(one[2] for one in recent)):
                before, usual = self._before(day)
                yield judge_name(NameSeries("Purchase", [*before, *seen], usual, is_told), now) is not None

    def _before(self, day: datetime) -> tuple[list[Stretch], SuccessRate | None]:
        """The four weeks until then by their hours, and what is usual by them."""
        hours: dict[datetime, tuple[int, int]] = {}
        for start, arrived, refused in self.stretches[self._place_of(self.now - 28 * DAY) : self._place_of(day)]:
            hour = start.replace(minute=0)
            good, bad = hours.get(hour, (0, 0))
            hours[hour] = good + arrived - refused, bad + refused
        usual = learn_success(list(hours.values()))
        before = [(hour, good + bad, bad) for hour, (good, bad) in hours.items()]
        return before, usual and replace(usual, worst=learn_worst(hours))

    def _place_of(self, time: datetime) -> int:
        """Of the first stretch that is not before."""
        return bisect_left(self.stretches, time, key=itemgetter(0))


def test_healthy_names_alarm_nobody() -> None:
    told = 0
    for seed in range(12):
        random = Random(f"name {seed}")
        name = Name(f"of {seed}", math.exp(random.uniform(math.log(0.1), math.log(15))), random.choice((0.01, 0.05)))
        for hour in range(20 * 24):
            name.hour_passes()
            told += any(name.looks()) if hour > 4 * 24 else 0
    assert told == 0  # of 192 days


def test_healthy_names_alarm_nobody_when_an_outage_is_over_and_all_of_it_is_sent_late() -> None:
    told = 0
    for seed in range(12):
        random = Random(f"late {seed}")
        name = Name(f"late {seed}", math.exp(random.uniform(math.log(0.1), math.log(15))), random.choice((0.01, 0.05)))
        for hour in range(20 * 24):
            name.hour_passes()
            if hour <= 4 * 24 or hour % 6:
                continue
            span = random.choice((1, 3, 6, 12)) * HOUR
            recent = [one for one in name.stretches if one[0] >= name.now - span]
            late = [one[0] for one in recent if one[2]]
            usual = learn_success([(round(2000 * (1 - name.share)), round(2000 * name.share))])
            for known in (usual, None):
                if late:
                    told += judge_late(NameSeries("Purchase", recent, known), late[0], late[-1]) is not None
    assert told == 0


def test_what_was_sent_late_is_judged_by_itself_whatever_was_taken_before_and_since() -> None:
    taken = [(START + n * MINUTE, 2, 0) for n in range(60)]
    bad = [(START + n * MINUTE, 2, 2) for n in range(60, 80)]
    since = [(START + n * MINUTE, 2, 0) for n in range(80, 200)]
    series = NameSeries("Purchase", [*taken, *bad, *since])
    assert judge_name(series, START + 200 * MINUTE) is None
    found = judge_late(series, bad[0][0], bad[-1][0])
    assert found is not None
    assert (found.since, found.until, found.refused, found.arrived) == (bad[0][0], bad[-1][0], 40, 40)
    assert judge_late(series, since[0][0], since[-1][0]) is None
    # Half of them, in no row.
    half = [(at, 2, 1) for at, _, _ in bad * 2]
    found = judge_late(NameSeries("Purchase", [*taken, *half, *since], learn_success([(990, 10)])), START, since[-1][0])
    assert found is not None
    assert (found.refused, found.arrived) == (40, 80)


@pytest.mark.parametrize("per_hour", [0.2, 4, 60])
def test_all_of_a_name_refused_is_told_after_nine_to_thirteen(per_hour: float) -> None:
    for seed in range(5):
        name = Name(f"refused {seed}", per_hour, 0.01)
        while name.now < START + 20 * DAY:
            name.hour_passes()
        before = sum(one[1] for one in name.stretches)
        is_told = False
        while not is_told:
            name.hour_passes(share=1)
            is_told = any(name.looks())
        refused = sum(one[1] for one in name.stretches) - before
        assert refused <= 13 + 3 * math.ceil(per_hour)  # an hour of them comes at once here


def test_half_of_a_name_refused_is_told_within_a_day_and_over_once_twenty_were_taken() -> None:
    name = Name("half", 12, 0.01)
    while name.now < START + 20 * DAY:
        name.hour_passes()
    told = []
    for _ in range(24):
        name.hour_passes(share=0.5)
        told.append(any(name.looks()))
    assert True in told[:12]
    now = name.now
    series = [one for one in name.stretches if one[0] >= now - DAY]
    usual = learn_success([(990, 10)])
    assert judge_name(NameSeries("Purchase", series, usual, is_told=True), now)
    few = [*series, (now, 5, 0)]
    assert judge_name(NameSeries("Purchase", few, usual, is_told=True), now + MINUTE)
    many = [*series, (now, 20, 0)]
    assert judge_name(NameSeries("Purchase", many, usual, is_told=True), now + MINUTE) is None


def test_an_hour_as_bad_as_there_was_one_every_other_day_is_told_to_nobody_and_a_worse_one_is() -> None:
    name = Name("some product is wrong", 60, 0.01)
    told = 0
    for day in range(24):
        for hour in range(24):
            name.hour_passes(share=0.3 if day % 2 and hour == 14 else None)
            told += any(name.looks()) if day > 13 else 0
    assert told == 0
    name.hour_passes(share=0.6)
    assert any(name.looks())


def test_what_is_paused_is_not_forgotten_meanwhile() -> None:
    day = [(START + n * MINUTE, 1, 1) for n in range(20)]
    series = NameSeries("Purchase", day, is_told=True)
    now = START + 2 * DAY
    assert judge_name(series, now) is None
    found = judge_name(replace(series, until=day[-1][0] + 2 * MINUTE), now)
    assert found is not None
    assert (found.since, found.refused) == (START, 20)


def test_what_waits_is_neither_refused_nor_accepted_yet() -> None:
    now = START + timedelta(minutes=10, seconds=20)
    assert horizon(now, None) == START + 9 * MINUTE
    assert horizon(now, START + timedelta(minutes=3, seconds=5)) == START + 3 * MINUTE


def test_a_success_ends_a_run_and_what_is_long_ago_is_forgotten() -> None:
    day = [(START + n * DAY, 1, 1) for n in range(14)]
    now = day[-1][0] + MINUTE
    assert judge_name(NameSeries("Purchase", day), now)
    mended = [*day[:8], (day[7][0] + HOUR, 1, 0), *day[8:]]
    assert judge_name(NameSeries("Purchase", mended), now) is None
    assert judge_name(NameSeries("Purchase", day), now + 4 * DAY) is None
