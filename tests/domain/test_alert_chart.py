"""Which stretch of time an alert's chart shows, and in which steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tracklayer.domain.alert import AlertKind
from tracklayer.domain.alert_chart import (
    LONGEST,
    MOST_POINTS,
    ChartRange,
    ChartUnit,
    Series,
    SeriesRole,
    began,
    chart_range,
    is_empty,
    joined,
    shares,
    sums,
    usual_sums,
)
from tracklayer.domain.monitors.learn import Rhythm

NOW = datetime(2026, 11, 20, 15, 0, 20, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DOWN, SILENT = AlertKind.PLATFORM_DOWN, AlertKind.TRACKING_STOPPED


def test_an_alert_that_has_just_opened_is_shown_by_the_minute_from_an_hour_before() -> None:
    opened = NOW - 5 * MINUTE
    span = chart_range(DOWN, opened - MINUTE, opened, None, NOW - 35 * DAY, NOW)
    assert (span.step, span.points) == (MINUTE, 67)
    assert span.since == datetime(2026, 11, 20, 13, 54, tzinfo=UTC)
    assert span.times[-1] == NOW.replace(second=0)  # the minute that runs


def test_one_that_resolved_is_shown_until_a_while_after() -> None:
    opened = NOW - 10 * HOUR
    span = chart_range(DOWN, opened, opened, opened + 20 * MINUTE, NOW - 35 * DAY, NOW)
    assert span.since == datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    assert span.until == datetime(2026, 11, 20, 5, 51, tzinfo=UTC)


def test_a_silence_is_shown_with_enough_of_what_is_usual() -> None:
    opened = NOW - MINUTE
    span = chart_range(SILENT, opened - 8 * HOUR, opened, None, NOW - 35 * DAY, NOW)
    assert (span.step, span.since) == (15 * MINUTE, datetime(2026, 11, 19, 14, 45, tzinfo=UTC))


@pytest.mark.parametrize("lasted", [MINUTE, HOUR, 30 * HOUR, 3 * DAY, 12 * DAY, 300 * DAY])
@pytest.mark.parametrize("age", [0 * DAY, DAY, 40 * DAY, 380 * DAY])
def test_no_chart_is_longer_than_may_be_and_old_ones_go_by_the_hour(lasted: timedelta, age: timedelta) -> None:
    for kind in (DOWN, SILENT):
        opened = NOW - age - lasted
        for resolved in (None, opened + lasted):
            span = chart_range(kind, opened - HOUR, opened, resolved, NOW - 35 * DAY, NOW)
            assert 1 <= span.points <= MOST_POINTS
            assert span.until - span.since <= LONGEST + 2 * span.step
            assert span.since <= opened - HOUR
            assert span.since < NOW
            assert span.step >= HOUR or span.since >= NOW - 36 * DAY
            assert (span.since - datetime(1970, 1, 1, tzinfo=UTC)) % span.step == timedelta()


def test_since_when_it_holds_is_read_from_its_figures_whatever_stands_there() -> None:
    opened = NOW
    assert began((NOW - HOUR).isoformat(), opened) == NOW - HOUR
    for nonsense in (None, 5, "yesterday", "2026-11-20T10:00:00", (NOW + DAY).isoformat()):
        assert began(nonsense, opened) == opened
    assert began((NOW - 300 * DAY).isoformat(), opened) == opened - 14 * DAY


def test_steps_without_anything_have_no_share_and_the_one_that_runs_no_sum() -> None:
    span = ChartRange(NOW.replace(second=0) - 2 * MINUTE, MINUTE, 3)
    assert shares(span, {0: (3, 4), 2: (-1, 2)}) == ([0.75, None, 0.0], [4, 0, 2])
    assert sums(span, {0: 7, 2: 1}, NOW) == [7, 0, None]


def test_steps_are_joined_where_few_came_in_each() -> None:
    span = ChartRange(NOW.replace(second=0), MINUTE, 101)
    few, found = joined(span, dict.fromkeys(range(100), (1, 4)), 20)
    assert (few.step, few.points) == (4 * MINUTE, 26)  # as long as there are enough
    assert found == dict.fromkeys(range(25), (4, 16))
    some, found = joined(span, dict.fromkeys(range(100), (1, 10)), 20)
    assert (some.step, some.points, found[49]) == (2 * MINUTE, 51, (2, 20))
    for enough in (dict.fromkeys(range(100), (1, 20)), {0: (1, 1), 99: (2, 2)}, {}):
        assert joined(span, enough, 20) == (span, enough)


def test_what_is_usual_follows_the_hours_of_the_week() -> None:
    rates = [0.0] * 168
    rates[4 * 24 + 14] = 30.0  # Friday, 14:00: every other minute has an event
    span = ChartRange(datetime(2026, 11, 20, 13, 0, tzinfo=UTC), 30 * MINUTE, 5)
    assert usual_sums(span, Rhythm(tuple(rates), events=2.0)) == [0, 0, 30, 30, 0]


def test_nothing_is_drawn_where_nothing_was_seen() -> None:
    def of(role: SeriesRole, *values: float | None) -> Series:
        return Series(role, "", values)

    seen, normal, compared = SeriesRole.SEEN, SeriesRole.NORMAL, SeriesRole.COMPARED
    assert is_empty(ChartUnit.SHARE, [of(seen, None, None), of(normal, 0.9, 0.9)])
    assert not is_empty(ChartUnit.SHARE, [of(seen, 0.0, None)])
    assert is_empty(ChartUnit.EVENTS, [of(seen, 0, None)])
    assert not is_empty(ChartUnit.EVENTS, [of(seen, 0, 0), of(normal, 0, 3)])
    assert not is_empty(ChartUnit.DELIVERIES, [of(seen, 0), of(compared, 2)])
