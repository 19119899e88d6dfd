"""Shops that keep their hours by the wall clock, on the days on which that is changed: nobody is missed for it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from tracklayer.domain.monitors import judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM, Rhythm, learn_rhythm
from tracklayer.domain.monitors.tracking_stopped import LEAST_SILENCE
from tracklayer.domain.monitors.views import MerchantView

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
CLOSES = 18 * HOUR


def sales(zone: ZoneInfo, late: timedelta, an_hour: int, since: datetime, until: datetime) -> list[datetime]:
    """The minutes with an event, in UTC, of a shop that opens and closes so long after 8:00 and 18:00 of its wall clock."""
    random, found = Random(f"{zone} {late} {an_hour}"), set()
    day = since.astimezone(zone).replace(hour=0, minute=0, tzinfo=None)
    while day.replace(tzinfo=zone) < until:
        at = 8 * HOUR + late
        while (at := at + HOUR * random.expovariate(an_hour)) < CLOSES + late:
            found.add((day + at).replace(second=0, microsecond=0, tzinfo=zone).astimezone(UTC))
        day += DAY
    return sorted(at for at in found if since <= at < until)


def learned(minutes: list[datetime], until: datetime) -> Rhythm:
    gaps = [(before + MINUTE, after) for before, after in pairwise(minutes) if after - before >= LEAST_SILENCE]
    hours = Counter(minute.replace(minute=0) for minute in minutes)
    rhythm = learn_rhythm(hours, gaps, min(hours), until)
    assert rhythm is not None
    return rhythm


def told(rhythm: Rhythm, minutes: list[datetime], since: datetime, until: datetime) -> list[datetime]:
    """The looks, one in five minutes, that find it silent."""
    found, place, at = [], 0, since
    while at < until:
        while place + 1 < len(minutes) and minutes[place + 1] < at:
            place += 1
        if judge_merchant(MerchantView(rhythm, minutes[place] + MINUTE), at):
            found.append(at)
        at += 5 * MINUTE
    return found


@pytest.mark.parametrize("an_hour", [30, 200])
@pytest.mark.parametrize("late", [0, 15, 30, 45])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        pytest.param(BERLIN, datetime(2026, 10, 25, tzinfo=UTC), id="Berlin in autumn"),
        pytest.param(BERLIN, datetime(2027, 3, 28, tzinfo=UTC), id="Berlin in spring"),
        pytest.param(NEW_YORK, datetime(2026, 11, 1, 4, tzinfo=UTC), id="New York in autumn"),
        pytest.param(NEW_YORK, datetime(2027, 3, 14, 4, tzinfo=UTC), id="New York in spring"),
    ],
)
def test_a_shop_that_opens_and_closes_at_any_minute_is_not_missed_when_the_clocks_change(
    zone: ZoneInfo, change: datetime, late: int, an_hour: int
) -> None:
    minutes = sales(zone, late * MINUTE, an_hour, change - LEARN_FROM, change + 2 * DAY)
    rhythm = learned([minute for minute in minutes if minute < change], change)
    assert told(rhythm, minutes, change, change + 2 * DAY) == []


@pytest.mark.parametrize("late", [0, 15, 30, 45])
def test_on_any_other_day_it_is_missed_from_its_second_whole_hour_on(late: int) -> None:
    day = datetime(2026, 6, 10, tzinfo=UTC)
    minutes = sales(BERLIN, late * MINUTE, 60, day - LEARN_FROM, day + DAY)
    rhythm = learned([minute for minute in minutes if minute < day], day)
    began = (
        day + (8 if late == 0 else 9) * HOUR - HOUR
    )  # 8:00, or 9:00, is the first that all of it is open; UTC is 2 h behind
    found = told(rhythm, [minute for minute in minutes if minute < began], began - HOUR, began + HOUR)
    assert found[0] <= began + 30 * MINUTE
