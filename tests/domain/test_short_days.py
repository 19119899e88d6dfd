"""Shops that send in a few hours of the day, or in one batch: their silence is told after as many days as bring enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import (
    ENOUGH_OF_A_NAME,
    LEARN_FROM,
    LONGEST_OF_A_NAME,
    USUAL_AT_LEAST,
    Rhythm,
    learn_arrivals,
    learn_rhythm,
)
from tracklayer.domain.monitors.tracking_stopped import (
    LEAST_SILENCE,
    TIMES_USUAL,
    TIMES_USUAL_OF_A_NAME,
    judge_name_stopped,
    told_at_the_earliest,
)
from tracklayer.domain.monitors.views import MerchantView, NameView
from tracklayer.services.watches.names import rhythm_json, rhythm_of

MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=7)
END = datetime(2026, 6, 10, tzinfo=UTC)  # a Wednesday
EVERY_DAY, OFFICE_DAYS, TWO_DAYS = range(7), range(5), (1, 4)
TO_THE_HOUR = 3 * HOUR  # one that it may come later, and two for when in its hours it begins and ends


def batch(opens: timedelta, lasts: timedelta, every: timedelta, days: Collection[int]) -> list[datetime]:
    """The minutes with an event of four weeks and of the four that follow, an event each so many minutes."""
    found = []
    day = END - LEARN_FROM
    while day < END + LEARN_FROM:
        if day.weekday() in days:
            found += [day + opens + n * every for n in range(-(-lasts // every))]
        day += DAY
    return found


def gaps_of(minutes: list[datetime]) -> list[tuple[datetime, datetime]]:
    return [(before + MINUTE, after) for before, after in pairwise(minutes) if after - before >= LEAST_SILENCE]


def of_all(minutes: list[datetime]) -> Rhythm | None:
    hours = Counter(minute.replace(minute=0) for minute in minutes)
    return learn_rhythm(hours, gaps_of(minutes), min(hours), END)


def of_a_name(minutes: list[datetime]) -> Rhythm | None:
    hours = Counter(minute.replace(minute=0) for minute in minutes)
    found = {hour: (count, count) for hour, count in hours.items()}
    return learn_arrivals(found, gaps_of(minutes), min(hours), END, ENOUGH_OF_A_NAME, LONGEST_OF_A_NAME)


def is_told_all(rhythm: Rhythm, last: datetime, at: datetime) -> bool:
    return bool(judge_merchant(MerchantView(rhythm, last), at))


def is_told_name(rhythm: Rhythm, last: datetime, at: datetime) -> bool:
    return judge_name_stopped(NameView("Purchase", rhythm, last), is_open=False, now=at) is not None


def shops() -> Iterator[tuple[timedelta, timedelta, timedelta, Collection[int]]]:
    for lasts in (20, 40, 60, 90, 120, 180, 240, 720, 1440):
        for opens in (0, 15, 30, 45):
            for every in (1, 8):
                for days in (EVERY_DAY, OFFICE_DAYS, TWO_DAYS):
                    at = (23 * HOUR if days == EVERY_DAY else (DAY - lasts * MINUTE) // 2) + opens * MINUTE
                    if days == EVERY_DAY or at + lasts * MINUTE <= DAY:
                        yield at, lasts * MINUTE, every * MINUTE, days


@pytest.mark.parametrize(
    ("learn", "is_told", "times"),
    [
        pytest.param(of_all, is_told_all, TIMES_USUAL, id="the shop"),
        pytest.param(of_a_name, is_told_name, TIMES_USUAL_OF_A_NAME, id="a name"),
    ],
)
def test_whoever_has_a_rhythm_is_told_once_as_many_days_are_missing_as_bring_enough(
    learn: Callable[[list[datetime]], Rhythm | None],
    is_told: Callable[[Rhythm, datetime, datetime], bool],
    times: float,
) -> None:
    learned = 0
    for shop in shops():
        minutes = batch(*shop)
        known = [minute for minute in minutes if minute < END]
        rhythm = learn(known)
        if rhythm is None:
            continue
        learned += 1
        missing = [minute for minute in minutes if minute >= END]
        a_week = len(missing) / 4
        assert sum(rhythm.rates) == pytest.approx(a_week, rel=0.1), shop  # where few come, chance picks the hours
        enough = missing[min(len(missing) - 1, round(1.1 * times * rhythm.usual))]
        closes = max(minute for minute in missing if minute - enough < DAY and minute.date() == enough.date())
        assert is_told(rhythm, known[-1] + MINUTE, closes + TO_THE_HOUR), shop
    assert learned > 120


CHANGES = [
    (ZoneInfo("Europe/Berlin"), datetime(2026, 10, 25, tzinfo=UTC)),
    (ZoneInfo("Europe/Berlin"), datetime(2027, 3, 28, tzinfo=UTC)),
    (ZoneInfo("America/New_York"), datetime(2026, 11, 1, 4, tzinfo=UTC)),
    (ZoneInfo("America/New_York"), datetime(2027, 3, 14, 4, tzinfo=UTC)),
]


def by_the_wall_clock(
    zone: ZoneInfo, around: datetime, opens: timedelta, lasts: timedelta, an_hour: float, days: Collection[int]
) -> list[datetime]:
    """The minutes with an event of the four weeks before and the one after: one after another, or (60 an hour) all of them."""
    random, found = Random(f"{zone} {opens} {lasts} {an_hour}"), set()
    day = (around - LEARN_FROM).astimezone(zone).replace(hour=0, minute=0, tzinfo=None)
    while day.replace(tzinfo=zone) < around + WEEK:
        at = opens
        while day.weekday() in days and at < opens + lasts:
            found.add((day + at).replace(second=0, microsecond=0, tzinfo=zone).astimezone(UTC))
            at += MINUTE if an_hour == 60 else HOUR * random.expovariate(an_hour)
        day += DAY
    return sorted(found)


@pytest.mark.parametrize("days", [EVERY_DAY, OFFICE_DAYS])
@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=str)
def test_when_the_clocks_change_nobody_is_told_who_opens_as_ever(
    zone: ZoneInfo, change: datetime, days: Collection[int]
) -> None:
    for lasts, an_hour in ((20, 60), (60, 60), (90, 60), (90, 20), (150, 20), (210, 20), (480, 20)):
        for opens in (4 * HOUR, 9.5 * HOUR, 11.75 * HOUR):
            minutes = by_the_wall_clock(zone, change, opens, lasts * MINUTE, an_hour, days)
            known = [minute for minute in minutes if minute < change]
            hours = Counter(minute.replace(minute=0) for minute in known)
            rhythm = learn_rhythm(hours, gaps_of(known), min(hours), change)
            if rhythm is None:
                continue
            for start, end in gaps_of(minutes):
                if change - DAY <= end:
                    assert not is_told_all(rhythm, start, end), (lasts, opens, an_hour, start)


def nightly() -> tuple[Rhythm, datetime]:
    """Twenty events from 2:00 on, one a minute, and when the last of them came."""
    minutes = [minute for minute in batch(2 * HOUR, 20 * MINUTE, MINUTE, EVERY_DAY) if minute < END]
    rhythm = of_all(minutes)
    assert rhythm is not None
    return rhythm, minutes[-1] + MINUTE


def test_a_batch_each_night_is_told_once_it_cannot_be_an_hour_late() -> None:
    rhythm, last = nightly()
    assert rhythm.usual == pytest.approx(USUAL_AT_LEAST)
    night = END + 2 * HOUR
    assert not is_told_all(rhythm, last, night + 2 * HOUR - MINUTE)
    assert is_told_all(rhythm, last, night + 2 * HOUR)
    assert told_at_the_earliest(rhythm, last, last, 3 * DAY) == night + 2 * HOUR


@pytest.mark.parametrize(
    ("began", "lasted", "told"),
    [
        pytest.param(2 * HOUR, 20 * MINUTE, False, id="all of it"),
        pytest.param(3 * HOUR, 20 * MINUTE, False, id="all of it, were it an hour late"),
        pytest.param(2 * HOUR, 5 * MINUTE, True, id="a part of it"),
        pytest.param(9 * HOUR, 3 * HOUR, True, id="none of it"),
    ],
)
def test_what_may_have_come_while_tracklayer_was_away_is_not_missing(
    began: timedelta, lasted: timedelta, told: bool
) -> None:
    rhythm, last = nightly()
    rhythm = replace(rhythm, away=((END + began, END + began + lasted),))
    assert is_told_all(rhythm, last, END + 20 * HOUR) == told


def test_what_is_learned_is_kept_and_an_older_version_reads_of_it_what_is_sure() -> None:
    rhythm, last = nightly()
    kept = rhythm_json(rhythm, last)
    assert kept["rates"] == [0.0] * 168
    assert rhythm_of(kept) == replace(rhythm, rates=tuple(kept["all"]), usual=kept["usual"], events=1.0)
    del kept["all"]
    assert rhythm_of(kept).expected(last, last + WEEK) == 0.0


def batches_on(days: Collection[int]) -> list[datetime]:
    """Fifty events, one a minute, on some of the days before (1: the last)."""
    return sorted(END - day * DAY + 9 * HOUR + n * MINUTE for day in days for n in range(50))


def test_a_batch_that_was_missing_once_is_told_the_next_time() -> None:
    minutes = batches_on([day for day in range(1, 29) if day != 12])
    rhythm = of_all(minutes)
    assert rhythm is not None
    assert is_told_all(rhythm, minutes[-1] + MINUTE, END + 11 * HOUR)


@pytest.mark.parametrize("seed", range(5))
def test_batches_that_come_every_few_days_are_given_more_time_than_they_ever_took(seed: int) -> None:
    random, day, days = Random(seed), 1, []
    while day < 29:
        days.append(day)
        day += random.randint(3, 7)
    minutes = batches_on(days)
    rhythm = of_all(minutes)
    assert rhythm is not None
    last = minutes[-1] + MINUTE
    assert not is_told_all(rhythm, last, last + 7 * DAY)


def of_sizes(sizes: Sequence[int], at: timedelta = 2 * HOUR) -> list[datetime]:
    """One batch a night with an event a minute, of as many events as said, the last night's last."""
    first = END - len(sizes) * DAY + at
    return [first + night * DAY + n * MINUTE for night, size in enumerate(sizes) for n in range(size)]


A_SALE = [20] * 17 + [300] + [20] * 10


@pytest.mark.parametrize(
    "sizes",
    [
        [20] * 28,
        A_SALE,
        [20] * 15 + [200, 200, 200] + [20] * 10,
        [round(20 * 1.05**night) for night in range(28)],
    ],
)
@pytest.mark.parametrize("at", [2 * HOUR, 23.75 * HOUR])
def test_a_sale_or_slow_growth_takes_no_time_from_a_batch_that_stays_away(sizes: list[int], at: timedelta) -> None:
    minutes = of_sizes(sizes, at)
    rhythm = of_all(minutes)
    assert rhythm is not None
    assert rhythm.clumps == 1.0
    assert is_told_all(rhythm, minutes[-1] + MINUTE, END + at + HOUR + TO_THE_HOUR)


def test_growth_within_a_week_takes_a_day_more_at_most() -> None:
    minutes = of_sizes([6] * 14 + [6, 8, 12, 17, 24, 33, 46] + [60] * 7)
    rhythm = of_all(minutes)
    assert rhythm is not None
    assert is_told_all(rhythm, minutes[-1] + MINUTE, END + DAY + 2 * HOUR + TO_THE_HOUR)


@pytest.mark.parametrize("at", [2 * HOUR, 23.5 * HOUR])
def test_batches_about_midnight_are_no_days_that_differ(at: timedelta) -> None:
    random = Random(1)
    begins = [END - night * DAY + at + random.randint(-30, 30) * MINUTE for night in range(1, 29)]
    rhythm = of_all(sorted(start + n * MINUTE for start in begins for n in range(60)))
    assert rhythm is not None
    assert rhythm.clumps == 1.0


@pytest.mark.parametrize("nights", [3, 7])
def test_an_outage_that_was_told_is_no_part_of_what_is_usual(nights: int) -> None:
    minutes = of_sizes([60] * (18 - nights) + [0] * nights + [60] * 10)
    hours = Counter(minute.replace(minute=0) for minute in minutes)
    gap = max(gaps_of(minutes), key=lambda gap: gap[1] - gap[0])
    told = learn_rhythm(hours, gaps_of(minutes), min(hours), END, told=[gap[0] + DAY])
    untold = learn_rhythm(hours, gaps_of(minutes), min(hours), END)
    assert told is not None
    assert untold is not None
    assert told.clumps == 1.0
    assert sum(told.rates) == pytest.approx(7 * 60)
    assert untold.clumps > 1.0
    assert is_told_all(told, minutes[-1] + MINUTE, END + 2 * HOUR + TO_THE_HOUR)


@pytest.mark.parametrize("sizes", [[60] * 28, A_SALE, [20] * 5 + [0] + [20] * 9 + [0] + [20] * 12])
@pytest.mark.parametrize("nights", [3, 7, 14])
def test_an_alert_says_how_many_events_are_missing_however_sure_that_is(sizes: list[int], nights: int) -> None:
    minutes = of_sizes(sizes)
    rhythm = of_all(minutes)
    assert rhythm is not None
    view = MerchantView(rhythm, minutes[-1] + MINUTE)
    (found,) = judge_merchant(view, END + nights * DAY - 12 * HOUR, is_open=True)
    assert found.details["expected_events"] == pytest.approx(nights * sizes[-1], rel=0.15)
