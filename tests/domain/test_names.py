"""Names of events that fall silent: the reduced simulation, and the rules one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.domain.names import all_fall_silent, healthy, name_falls_silent
from tracklayer.domain.monitors.learn import USUAL_AT_LEAST, WEEK_HOURS, Rhythm, learn_arrivals
from tracklayer.domain.monitors.tracking_stopped import (
    TIMES_USUAL_OF_A_NAME,
    carrier,
    fell_silent_before,
    is_hushed,
    judge_carrier_missing,
    judge_name_stopped,
    judge_tracking_stopped,
    kept_up,
    most_frequent,
    told_after,
)
from tracklayer.domain.monitors.views import MerchantView, NameView

NOW = datetime(2026, 3, 4, 14, 30, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEADY = Rhythm((30.0,) * WEEK_HOURS, events=2.5)  # every other minute
LONGEST = timedelta(minutes=2 * TIMES_USUAL_OF_A_NAME * USUAL_AT_LEAST)


@pytest.mark.parametrize("seed", range(3))
def test_a_name_that_falls_silent_is_told_once_and_in_time(seed: int) -> None:
    found = name_falls_silent(seed)
    assert found is not None
    assert found.detected is not None
    assert found.detected <= found.allowed
    assert found.is_told_once
    assert found.is_over


@pytest.mark.parametrize("seed", range(3))
def test_a_merchant_that_falls_silent_as_a_whole_is_one_alert(seed: int) -> None:
    found = all_fall_silent(seed)
    assert found.openings == ("all",)
    assert found.is_over


@pytest.mark.parametrize("seed", range(3))
def test_healthy_names_alarm_nobody(seed: int) -> None:
    assert healthy(seed, days=2) == ()


def silent(span: timedelta, level: float = 1.0, others: tuple[tuple[float, int], ...] = ()) -> bool:
    view = NameView("Purchase", STEADY, NOW - span, level, others)
    return judge_name_stopped(view, is_open=False, now=NOW) is not None


def test_a_name_is_told_by_what_its_silence_swallowed() -> None:
    assert not silent(LONGEST - timedelta(seconds=1))
    assert silent(LONGEST + timedelta(seconds=1))
    assert not silent(LONGEST + timedelta(seconds=1), level=0.9)
    assert told_after(STEADY) == LONGEST
    assert told_after(Rhythm((60.0,) * WEEK_HOURS)) == timedelta(minutes=15)


def test_a_quiet_day_of_the_whole_shop_is_no_silence_of_a_name() -> None:
    assert kept_up([]) == 1.0
    assert kept_up([(100.0, 95), (40.0, 10)]) == 1.0, "one that kept up suffices"
    assert kept_up([(100.0, 25), (40.0, 8)]) == 0.25
    assert kept_up([(5.0, 0), (4.0, 0)]) == 0.0, "too rare to say by themselves"
    assert not silent(2 * LONGEST, others=((100.0, 25),))
    assert silent(2 * LONGEST, others=((100.0, 60),))


def test_an_open_one_stays_until_an_event_of_its_name() -> None:
    view = NameView("Purchase", STEADY, NOW - timedelta(minutes=16))
    assert judge_name_stopped(view, is_open=False, now=NOW) is None
    assert judge_name_stopped(view, is_open=True, now=NOW) is not None


def test_a_merchant_is_hushed_long_before_its_silence_is_told() -> None:
    assert not is_hushed(MerchantView(STEADY, NOW - timedelta(minutes=5)), NOW)
    assert is_hushed(MerchantView(STEADY, NOW - timedelta(minutes=6)), NOW)
    assert is_hushed(MerchantView(None, NOW), NOW)


def test_a_name_carries_a_merchant_where_less_than_half_is_left_without_it() -> None:
    often, seldom = Rhythm((20.0,) * WEEK_HOURS), Rhythm((5.0,) * WEEK_HOURS)
    since = {"PageView": NOW - HOUR}
    assert carrier(STEADY, {"PageView": STEADY, "Purchase": seldom}, since, NOW) == "PageView"
    assert carrier(STEADY, {"PageView": STEADY, "Purchase": often}, since, NOW) is None
    assert carrier(STEADY, {"PageView": STEADY, "Purchase": seldom}, {"Purchase": NOW - DAY}, NOW) is None
    assert carrier(STEADY, {"PageView": STEADY}, {}, NOW) is None
    assert most_frequent({"Purchase": seldom, "Lead": often}) == "Lead"
    assert most_frequent({}) is None


def test_a_name_that_fell_silent_long_before_the_others_did_so_by_itself() -> None:
    view = NameView("Purchase", STEADY, NOW - HOUR)
    usual = timedelta(minutes=2 * USUAL_AT_LEAST)
    assert not fell_silent_before(view, NOW - HOUR + usual - timedelta(seconds=1))
    assert fell_silent_before(view, NOW - HOUR + usual + timedelta(seconds=1))


def test_a_silence_that_few_other_events_break_names_what_is_missing() -> None:
    found = judge_carrier_missing(NameView("PageView", STEADY, NOW - HOUR), NOW)
    assert (found.title, found.event_name) == ("Hardly any event for 1 h, and no PageView", None)
    assert found.message == (
        "About 75 PageView events are missing: none has arrived for 1 h, and few of any other name: most of"
        " what happened in the shop since 2026-03-04 13:30 UTC is reported to no platform. Whoever maintains the shop must"
        " look now at what sends PageView: the last change of the pages and of the tag that sends it, and the shop's"
        " connection. The chance of none while all is well is less than one in a billion."
    )


def test_the_longest_silence_is_the_usual_one_unless_it_is_longer_by_far() -> None:
    since = datetime(2026, 2, 2, tzinfo=UTC)
    hours = {since + n * HOUR: (30, 30) for n in range(28 * 24)}
    found = []
    for longest in (1.4, 1.6):
        gaps = [(since + DAY, since + DAY + HOUR), (since + 2 * DAY, since + 2 * DAY + longest * HOUR)]
        for longest_within in (1.0, 1.5):
            learned = learn_arrivals(hours, gaps, since, since + 28 * DAY, longest_within=longest_within)
            assert learned is not None
            found.append(round(learned.usual))
    assert found == [30, 42, 30, 30]


def test_what_is_lost_and_who_must_look_comes_before_the_figures() -> None:
    found = judge_name_stopped(NameView("Purchase", STEADY, NOW - HOUR, rejected=3), is_open=False, now=NOW)
    assert found is not None
    assert (found.title, found.event_name) == ("No Purchase event for 1 h", "Purchase")
    assert found.message == (
        "About 75 Purchase events are missing: none has arrived for 1 h, while others do, and what happened since 2026-03-04"
        " 13:30 UTC is reported as Purchase to no platform. Whoever maintains the shop must look now at what sends Purchase:"
        " the last change of the pages and the code where it arises, and of the tag that sends it. 3 Purchase events came"
        " since but were refused: the alert about that, or the answers to them, says why. The chance of none while all is well"
        " is less than one in a billion."
    )
    whole = judge_tracking_stopped(MerchantView(STEADY, NOW - HOUR), NOW)
    assert whole is not None
    assert whole.message == (
        "About 75 events are missing: none has arrived for 1 h, and whatever happened in the shop since 2026-03-04 13:30 UTC"
        " is reported to no platform. Whoever maintains the shop must look now at whether the shop still sends: its last"
        " deployment, its API key, its connection to TrackLayer. The chance of none while all is well is less than one in a"
        " billion."
    )


def test_a_rhythm_knows_how_many_events_a_minute_has() -> None:
    since = datetime(2026, 2, 2, tzinfo=UTC)
    hours = {since + n * HOUR: (30, 90) for n in range(28 * 24)}
    learned = learn_arrivals(hours, [], since, since + 28 * DAY)
    assert learned is not None
    assert learned.events == 3.0
    assert learn_arrivals({since: (49, 49)}, [], since, since + 28 * DAY) is None
