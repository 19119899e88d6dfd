"""The judges by hand-made views, and, in the reduced simulation, by what shops and faults look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.domain.simulator import DAY, FAULTS, HOUR, MINUTE, healthy, incident
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors import judge_destination, judge_merchant
from tracklayer.domain.monitors.learn import (
    USUAL_AT_LEAST,
    WEEK_HOURS,
    Rhythm,
    SuccessRate,
    learn_rhythm,
    learn_success,
    outages_among,
)
from tracklayer.domain.monitors.platform_down import refusals_needed
from tracklayer.domain.monitors.queue_backlog import clears_in
from tracklayer.domain.monitors.spans import COUNTS, Counts, Memory, spans_of
from tracklayer.domain.monitors.statistics import failures_at_least, failures_in_a_row
from tracklayer.domain.monitors.views import (
    DestinationView,
    MerchantView,
    Oldest,
    Span,
    Told,
    wants_earlier,
    wants_past,
)
from tracklayer.domain.monitors.words import percent

NOW = datetime(2026, 3, 4, 14, 30, 5, tzinfo=UTC)  # a Wednesday
USUAL = SuccessRate(0.97, 0.01, 100_000)
VIEW = DestinationView("meta", "Meta", success=USUAL)

# The reduced simulation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(2))
def test_a_fault_is_told_once_and_in_time(fault: str, seed: int) -> None:
    found = incident(seed, fault)
    assert found.detected is not None
    assert found.detected <= found.allowed
    assert found.openings == (f"open {FAULTS[fault]}",)
    assert found.is_over


@pytest.mark.parametrize("seed", range(4))
def test_healthy_shops_alarm_nobody(seed: int) -> None:
    assert healthy(seed, days=2) == []


# Statistics ----------------------------------------------------------------------------------------------------------


def test_the_chance_of_failures_is_the_binomial_one_where_they_come_alone() -> None:
    exact = sum(math.comb(60, k) * 0.1**k * 0.9 ** (60 - k) for k in range(20, 61))
    assert failures_at_least(20, 60, 0.1, 1e-9) == pytest.approx(exact, rel=1e-3)
    assert failures_at_least(0, 60, 0.1, 0.01) == 1.0


def test_failures_that_come_in_flocks_are_less_surprising() -> None:
    chances = [failures_at_least(20, 60, 0.1, spread) for spread in (1e-6, 0.01, 0.1)]
    assert chances == sorted(chances)
    assert chances[2] > 1000 * chances[0]


def test_a_large_sample_counts_for_no_more_than_five_hundred() -> None:
    assert failures_at_least(10_000, 50_000, 0.1, 0.01) == failures_at_least(100, 500, 0.1, 0.01)


def test_how_many_in_a_row_are_beyond_chance() -> None:
    assert [failures_in_a_row(share, 1e-9) for share in (0.1, 0.2, 0.5, 0.9)] == [9, 13, 30, 197]


# Learning ------------------------------------------------------------------------------------------------------------


def test_a_success_rate_is_learned_without_its_worst_hours() -> None:
    learned = learn_success([(97, 3)] * 100 + [(0, 100)] * 4)
    assert learned is not None
    assert learned.share == pytest.approx(0.97, abs=0.001)
    assert learned.attempts == 10_400
    assert learn_success([(60, 3)] * 3) is None


def test_a_success_rate_that_changes_by_the_hour_has_a_wide_spread() -> None:
    steady, wild = learn_success([(90, 10)] * 100), learn_success([(99, 1), (81, 19)] * 50)
    assert steady is not None
    assert wild is not None
    assert wild.spread > 5 * steady.spread


def by_day(since: datetime, days: int, first: int = 8, last: int = 19) -> dict[datetime, int]:
    """Thirty minutes of each hour of the day have an event, and none of the night."""
    hours = [since + n * HOUR for n in range(days * 24)]
    return {at: 30 for at in hours if first <= at.hour <= last}


def nights(since: datetime, days: int) -> list[tuple[datetime, datetime]]:
    return [(since + n * DAY + 20 * HOUR, since + n * DAY + 32 * HOUR) for n in range(days - 1)]


def rhythm_of(days: int = 28) -> Rhythm:
    since = datetime(2026, 2, 2, tzinfo=UTC)
    learned = learn_rhythm(by_day(since, days), nights(since, days), since, since + days * DAY)
    assert learned is not None
    return learned


def test_a_rhythm_knows_the_night_and_makes_allowance_for_a_clock_change() -> None:
    rhythm = rhythm_of()
    assert [round(rate) for rate in rhythm.rates[:24]] == [0] * 8 + [30] * 12 + [0] * 4
    assert [round(rate) for rate in rhythm.sure[:24]] == [0] * 9 + [30] * 10 + [0] * 5
    assert rhythm.usual == pytest.approx(USUAL_AT_LEAST)


def test_a_week_of_history_and_forty_minutes_with_an_event_are_the_least() -> None:
    since = datetime(2026, 2, 2, tzinfo=UTC)
    assert learn_rhythm(by_day(since, 6), [], since, since + 6 * DAY) is None
    last = since + 7 * DAY
    assert learn_rhythm({since: 38, last: 1}, [], since, since + 28 * DAY) is None
    assert learn_rhythm({since: 39, last: 1}, [], since, since + 28 * DAY) is not None


def test_the_longest_but_one_silence_is_the_usual_one() -> None:
    since = datetime(2026, 2, 2, tzinfo=UTC)
    noon = since + 12 * HOUR
    gaps = [(noon, noon + 5 * HOUR), (noon + DAY, noon + DAY + 2 * HOUR), (noon + 2 * DAY, noon + 2 * DAY + HOUR)]
    learned = learn_rhythm(by_day(since, 28), gaps, since, since + 28 * DAY)
    assert learned is not None
    assert learned.usual == pytest.approx(60, rel=0.01)


def test_silences_that_were_told_are_outages_unless_they_come_each_week_or_often() -> None:
    start = datetime(2026, 11, 2, 6, tzinfo=UTC)
    gaps = [(start + day * DAY, start + day * DAY + 6 * HOUR) for day in (0, 4, 9, 15)]
    told = [since + HOUR for since, _ in gaps]
    assert outages_among(gaps, []) == []
    assert outages_among(gaps, told[:2]) == gaps[:2]
    assert outages_among(gaps[:3], told) == gaps[:3]
    assert outages_among(gaps, told) == []  # four of four weeks
    sunday = [(start + day * DAY, start + day * DAY + 20 * HOUR) for day in (6, 13)]
    assert outages_among(sunday, [since + 10 * HOUR for since, _ in sunday]) == []


def test_what_was_away_is_no_part_of_what_is_expected() -> None:
    rhythm = replace(rhythm_of(), away=((NOW - 3 * HOUR, NOW - HOUR),))
    whole = replace(rhythm, away=())
    assert rhythm.expected(NOW - 2 * HOUR, NOW) == pytest.approx(whole.expected(NOW - HOUR, NOW))
    assert rhythm.expected(NOW - 3 * HOUR, NOW - HOUR) == 0
    assert rhythm.expected(NOW - 5 * HOUR, NOW - 3 * HOUR) == whole.expected(NOW - 5 * HOUR, NOW - 3 * HOUR)


def test_a_level_is_lower_only_beyond_chance() -> None:
    rhythm = Rhythm((30.0,) * WEEK_HOURS)
    day = [(NOW - DAY, NOW)]
    assert [rhythm.level(day, [count]) for count in (1000, 720, 670, 360)] == [1.0, 1.0, 1.0, 0.5]
    assert rhythm.level([*day, (NOW - 7 * DAY, NOW)], [360, 1260]) == 0.25


# Spans ---------------------------------------------------------------------------------------------------------------


def counts(**given: int) -> Counts:
    return tuple(given.get(name, 0) for name in COUNTS)


def test_a_minute_is_cut_where_an_earlier_look_saw_it() -> None:
    memory, minute = Memory(), NOW.replace(second=0)
    early, late = minute + timedelta(seconds=15), minute + timedelta(seconds=30)
    memory.note(1, "meta", [(minute, counts(acknowledged=5))], early)
    spans = spans_of([(minute, counts(acknowledged=5, refused=3))], memory.cuts(1, "meta"), late)
    assert [(span.start, span.end, span.acknowledged, span.refused) for span in spans] == [
        (minute, early, 5, 0),
        (early, late, 0, 3),
    ]
    memory.note(1, "meta", [], minute + 3 * MINUTE)
    assert memory.cuts(1, "meta") == ()


# platform_down -------------------------------------------------------------------------------------------------------


def minutes(*given: dict[str, int]) -> list[Span]:
    """Whole minutes, the last one ends where the running minute begins."""
    end = NOW.replace(second=0)
    return [
        Span(end - (len(given) - n) * MINUTE, end - (len(given) - n - 1) * MINUTE, **one) for n, one in enumerate(given)
    ]


def judged(view: DestinationView, *is_open: AlertKind) -> list[AlertKind]:
    return [finding.kind for finding in judge_destination(view, is_open, NOW)]


def only(view: DestinationView, *is_open: AlertKind) -> Finding:
    (finding,) = judge_destination(view, is_open, NOW)
    return finding


DOWN, BACKLOG, DROP = AlertKind.PLATFORM_DOWN, AlertKind.QUEUE_BACKLOG, AlertKind.DELIVERY_RATE_DROP


def test_a_hold_is_told_after_its_first_probe_and_refused_credentials_at_once() -> None:
    held = replace(VIEW, state=DestinationState.HELD, state_reason="unreachable: timed out")
    assert judged(replace(held, failing_since=NOW - timedelta(seconds=35))) == []
    assert judged(replace(held, failing_since=NOW - timedelta(seconds=36))) == [DOWN]
    assert judged(replace(held, failing_since=NOW - timedelta(seconds=5)), DOWN) == [DOWN]
    refused = only(replace(held, failing_since=NOW, state_reason="credentials_refused: 190"))
    assert (refused.details["cause"], refused.severity) == ("credentials_refused", Severity.CRITICAL)
    assert refused.title == "Meta refuses your credentials: set new ones now"


@pytest.mark.parametrize(
    ("success", "needed"),
    [(None, 13), (SuccessRate(0.99, 0.01, 1000), 9), (USUAL, 9), (SuccessRate(0.5, 0.1, 1000), 197)],
)
def test_so_many_refusals_in_a_row_are_a_platform_that_is_down(success: SuccessRate | None, needed: int) -> None:
    view = replace(VIEW, success=success)
    assert refusals_needed(view) == needed
    before = {"acknowledged": 100}
    assert judged(replace(view, recent=minutes(before, {"refused": needed - 1}))) == []
    assert judged(replace(view, recent=minutes(before, {"refused": needed}))) == [DOWN]


def test_one_event_that_is_refused_five_times_is_no_outage() -> None:
    poison = [{"refused": 8, "retries_failed": 8}] * 5
    assert judged(replace(VIEW, recent=minutes({"acknowledged": 100}, *poison))) == []


def test_an_outage_is_open_until_something_is_acknowledged() -> None:
    assert judged(replace(VIEW, recent=minutes({"refused": 1})), DOWN) == [DOWN]
    assert judged(replace(VIEW, recent=minutes({"refused": 50}, {"acknowledged": 1})), DOWN) == []
    assert judged(replace(VIEW, recent=minutes({"refused": 50}, {}, {})), DOWN) == [DOWN]


def test_what_the_rules_refuse_beforehand_is_refused_as_well() -> None:
    assert judged(replace(VIEW, success=None, recent=minutes({"unmappable": 12}))) == []
    assert judged(replace(VIEW, success=None, recent=minutes({"unmappable": 13}))) == [DOWN]
    assert judged(replace(VIEW, recent=minutes({"acknowledged": 100}, {"unmappable": 5, "refused": 4}))) == [DOWN]


def test_one_request_of_many_events_without_an_answer_is_no_outage() -> None:
    view = replace(VIEW, recent=minutes({"acknowledged": 100}, {"unreachable": 500}))
    assert judged(view) == []
    assert judged(replace(view, failing_since=NOW - timedelta(seconds=35))) == []
    assert judged(replace(view, failing_since=NOW - timedelta(seconds=36))) == [DOWN]


def test_a_platform_that_comes_and_goes_is_told_as_that_and_nothing_else() -> None:
    well, half = {"acknowledged": 60}, {"acknowledged": 30, "unreachable": 30}
    assert judged(replace(VIEW, recent=minutes(*[well] * 5, half, half))) == []
    late = replace(queued(70, 10_000, 600, 100), recent=minutes(*[well] * 5, *[half | {"routed": 600}] * 2))
    assert judged(late) == []
    found = only(replace(late, recent=[*late.recent[1:], *minutes(half)], last_error="500 an unknown error"))
    assert (found.kind, found.title) == (DOWN, "Meta answers with errors (500)")


def test_one_that_comes_and_goes_stays_open_until_it_has_not_failed_for_five_minutes() -> None:
    well, half, probe = {"acknowledged": 60}, {"acknowledged": 55, "unknown": 5}, {"unreachable": 1}
    since = Told(NOW - 8 * MINUTE, None)
    view = replace(VIEW, outage=since)
    assert judged(replace(view, recent=minutes(well, probe, well, half, *[well] * 4)), DOWN) == [DOWN]
    assert judged(replace(view, recent=minutes(well, probe, well, half, *[well] * 5)), DOWN) == []
    # One that answers again for the first time is believed after a minute.
    view = replace(view, outage=Told(NOW - 3 * MINUTE, None))
    early = Span(NOW.replace(second=0), NOW, acknowledged=60)
    assert judged(replace(view, recent=minutes(well, *[probe] * 3)), DOWN) == [DOWN]
    assert judged(replace(view, recent=[*minutes(well, *[probe] * 3), early]), DOWN) == [DOWN]
    assert judged(replace(view, recent=minutes(well, *[probe] * 3, well)), DOWN) == []


def test_an_outage_keeps_its_cause_until_there_is_a_newer_error() -> None:
    ends = replace(VIEW, recent=minutes({"acknowledged": 60}, {"unreachable": 1}))
    told = replace(ends, told_cause="server_error", told_reason="unreachable: 503 down for maintenance")
    found = only(told, DOWN)
    assert (found.title, found.details["cause"]) == ("Meta answers with errors (503)", "server_error")
    assert found.details["reason"] == "unreachable: 503 down for maintenance"  # the next look reads it again
    newer = only(replace(told, last_error="500 an unknown error"), DOWN)
    assert (newer.title, newer.details["reason"]) == ("Meta answers with errors (500)", None)
    refused = only(replace(told, told_cause="refused", told_reason="400 Invalid"), DOWN)
    assert refused.title == "Meta cannot be reached"  # there was an answer then, and is none now
    shut = only(replace(ends, recent=minutes({"credentials_refused": 5}), last_error="401 expired"), DOWN)
    assert shut.title == "Meta refuses your credentials: set new ones now"


@pytest.mark.parametrize(
    ("back", "error"),
    [({"acknowledged": 60}, None), ({"acknowledged": 58, "refused": 2}, "400 Invalid"), ({"acknowledged": 1}, None)],
)
def test_one_that_answers_again_after_a_rest_keeps_its_cause(back: dict[str, int], error: str | None) -> None:
    began = NOW.replace(second=0) - 11 * MINUTE
    early = Span(NOW.replace(second=0), NOW, **back)
    recent = [*minutes({"acknowledged": 60}, {"unreachable": 3}, *[{}] * 10), early]
    view = replace(VIEW, recent=recent, outage=Told(began + MINUTE, None, began), last_error=error)
    found = only(replace(view, told_cause="server_error", told_reason="unreachable: 500 it failed"), DOWN)
    assert (found.title, found.since) == ("Meta answers with errors (500)", began)
    assert (found.details["cause"], found.details["reason"]) == ("server_error", "unreachable: 500 it failed")
    assert found.details["acknowledged"] == back["acknowledged"]
    assert "It has taken events again since" in found.message
    assert "Invalid" not in found.message


def test_one_that_comes_and_goes_is_not_told_as_refusing_for_the_few_that_it_refuses() -> None:
    well, half = {"acknowledged": 60}, {"acknowledged": 25, "unreachable": 15, "refused": 20}
    found = only(replace(VIEW, recent=minutes(*[well] * 5, half, half, half), last_error="500 it failed"))
    assert (found.kind, found.title) == (DOWN, "Meta answers with errors (500)")


def test_an_open_outage_is_counted_from_its_first_failure_as_long_as_its_cause_is_the_same() -> None:
    well, gone, half = {"acknowledged": 60}, {"unreachable": 2}, {"acknowledged": 30, "unreachable": 10}
    began = NOW.replace(second=0) - 7 * MINUTE + timedelta(seconds=20)
    first = {"acknowledged": 20, "unreachable": 1}
    outage = Told(began + MINUTE, None, began)
    view = replace(VIEW, recent=minutes(*[well] * 3, first, *[gone] * 3, half, half, half), outage=outage)
    found = only(replace(view, told_cause="server_error", told_reason="unreachable: 500 the platform failed"), DOWN)
    assert (found.since, found.details["acknowledged"], found.details["failures"]) == (began, 90, 37)
    assert "accepted 90 of the last 127 attempts, since 2026-03-04 14:23 UTC" in found.message
    # Of another cause what was before tells nothing.
    other = only(replace(view, told_cause="refused", told_reason="400 Invalid"), DOWN)
    assert other.since > began


def test_refusals_are_not_over_with_one_that_comes_through() -> None:
    assert judged(replace(VIEW, recent=minutes({"refused": 60}, {"refused": 59, "acknowledged": 1})), DOWN) == [DOWN]
    half = replace(VIEW, recent=minutes({"refused": 60}, {"refused": 30, "acknowledged": 30}))
    assert DOWN not in judged(half, DOWN)


def test_where_half_is_refused_so_many_in_a_row_are_needed_as_that_makes_likely() -> None:
    half, streak = {"acknowledged": 30, "refused": 30}, {"refused": 29}
    view = replace(VIEW, recent=minutes(*[half] * 5, streak), rate_drop=Told(NOW - 5 * MINUTE, None))
    assert refusals_needed(view) == 30
    assert judged(view, DROP) == [DROP]
    assert judged(replace(view, recent=minutes(*[half] * 5, {"refused": 30})), DROP) == [DOWN]


def test_a_destination_that_hardly_took_anything_while_it_was_learned_has_taught_nothing() -> None:
    learned = learn_success([(0, 100)] * 10)
    assert learned is not None
    assert refusals_needed(replace(VIEW, success=learned)) == refusals_needed(replace(VIEW, success=None)) == 13


def test_what_an_outage_left_behind_is_no_alert_of_its_own() -> None:
    late = Oldest(NOW - HOUR, NOW + 23 * HOUR)
    after = minutes(*[{"refused": 60}] * 10, {"acknowledged": 40, "refused": 20, "routed": 60, "finished": 400})
    view = replace(VIEW, recent=after, oldest=late, waiting=4000)
    assert judged(view, DOWN) == []
    over = Told(NOW - HOUR, NOW - MINUTE)
    assert judged(replace(view, outage=over)) == []
    assert judged(view) == [BACKLOG, DROP]


# queue_backlog -------------------------------------------------------------------------------------------------------


def queued(seconds: int, waiting: int, arrived: int, left: int) -> DestinationView:
    due = NOW - timedelta(seconds=seconds)
    recent = minutes({"routed": arrived, "finished": left, "acknowledged": left}, {"routed": arrived, "finished": left})
    return replace(VIEW, recent=recent, waiting=waiting, oldest=Oldest(due, due + DAY))


def test_a_queue_that_grows_is_told_after_a_minute_and_one_that_stands_still_after_a_minute_and_a_half() -> None:
    assert judged(queued(59, 10_000, 600, 100)) == []
    assert judged(queued(60, 10_000, 600, 100)) == [BACKLOG]
    assert judged(queued(89, 10_000, 600, 600)) == []
    assert judged(queued(90, 10_000, 600, 600)) == [BACKLOG]


def test_a_burst_that_drains_is_none() -> None:
    assert judged(queued(120, 10_000, 600, 3600)) == []
    assert judged(queued(120, 100_000, 600, 3600)) == [BACKLOG]
    found = only(queued(120, 100_000, 600, 3600))
    assert found.details["clears_in_seconds"] == pytest.approx(100_000 / 3000 * 60 * 125 / 120, rel=0.01)
    assert "100,000 deliveries to Meta wait" in found.message


def test_a_backlog_is_open_until_it_is_on_time_again() -> None:
    assert judged(queued(45, 100, 600, 700), BACKLOG) == [BACKLOG]
    assert judged(queued(29, 100, 600, 700), BACKLOG) == []


def test_the_first_loss_is_told_and_near_it_the_alert_is_critical() -> None:
    view = queued(300, 10_000, 600, 100)
    assert view.oldest is not None
    near = replace(view, oldest=replace(view.oldest, expires_at=NOW + timedelta(minutes=50)))
    tried = replace(view, first_loss_at=NOW + timedelta(minutes=50))  # and due later than others
    assert [only(one).severity for one in (view, near, tried)] == [
        Severity.WARNING,
        Severity.CRITICAL,
        Severity.CRITICAL,
    ]
    assert only(tried).details["first_loss_at"] == tried.first_loss_at
    assert "the first is lost in 50 min unless" in only(near).message


def test_a_rest_that_the_platform_asked_for_is_none_unless_it_is_long() -> None:
    view = queued(120, 10_000, 600, 0)
    assert judged(replace(view, resume_at=NOW + timedelta(minutes=5))) == []
    assert judged(replace(view, resume_at=NOW + timedelta(minutes=9))) == [BACKLOG]


def test_a_long_rest_is_told_by_what_it_began_with_however_long_ago_that_is() -> None:
    rests = replace(queued(120, 2, 1, 0), resume_at=NOW + timedelta(minutes=58))
    failing = replace(rests, failing_since=NOW - timedelta(seconds=130), last_error="503 down for maintenance")
    assert judged(replace(rests, failing_since=NOW - timedelta(seconds=130), resume_at=NOW)) == []
    assert judged(replace(failing, failing_since=NOW - timedelta(seconds=35))) == []
    before = minutes(*[{"acknowledged": 60}] * 5, {"unreachable": 1, "routed": 1}, {"routed": 1})
    for recent in (before, minutes({"routed": 1})):
        found = only(replace(failing, recent=recent))
        assert (found.kind, found.details["cause"]) == (BACKLOG, "server_error")
        assert "What Meta said last: 503 down for maintenance. It asked to be left alone until " in found.message
        limited = only(replace(rests, recent=recent), BACKLOG)
        assert limited.details["cause"] == "rate_limited"
        assert "put off" not in limited.message


@pytest.mark.parametrize(
    ("told", "title"),
    [
        ("rate_limited", "Meta limits how fast it takes them"),
        ("server_error", "Meta answers with errors (503)"),
        ("slow", "Meta answers slowly"),
        ("workers", "TrackLayer is too slow"),
    ],
)
def test_an_open_backlog_keeps_its_cause_while_what_it_left_goes_out(told: str, title: str) -> None:
    rested = replace(queued(3600, 180, 60, 0), told_backlog=told, told_backlog_error="503 down for maintenance")
    for view in (
        replace(rested, resume_at=NOW - timedelta(seconds=5)),  # the first request has not brought anything yet
        replace(rested, recovering_since=NOW - timedelta(seconds=20)),
        replace(queued(3600, 180, 60, 100), told_backlog=told, told_backlog_error="503 down for maintenance"),
    ):
        found = only(view, BACKLOG)
        assert found.title == f"180 deliveries to Meta wait: {title}"
        assert found.details["cause"] == told
        assert found.details["last_error"] == ("503 down for maintenance" if told == "server_error" else None)
    since = NOW - timedelta(seconds=90)
    for view in (rested, replace(rested, resume_at=since), replace(rested, recovering_since=since)):
        assert only(view, BACKLOG).details["cause"] == "workers"  # it could go out, and nobody sends it


def test_a_platform_that_does_not_answer_is_down_since_the_engine_got_no_answer() -> None:
    began = NOW - timedelta(minutes=61)
    spans = minutes({"acknowledged": 2, "unreachable": 1}, {"unreachable": 100})
    down = replace(VIEW, recent=spans, failing_since=began)
    assert only(down).since == began
    assert "since 2026-03-04 13:29 UTC" in only(down).message
    assert only(replace(down, recent=minutes({"refused": 100}))).since > began  # it answers


def test_when_a_queue_is_empty() -> None:
    assert clears_in(600, 1.0, 3.0) == timedelta(seconds=300)
    assert clears_in(600, 3.0, 3.0) is None


# delivery_rate_drop --------------------------------------------------------------------------------------------------


def test_a_drop_is_told_by_its_shortest_window_beyond_chance() -> None:
    usual = {"acknowledged": 58, "refused": 2}
    found = only(replace(VIEW, recent=[*minutes(usual, usual), *looks((15, 15), (15, 15))]))
    assert (found.kind, found.severity) == (DROP, Severity.WARNING)
    assert (found.details["acknowledged"], found.details["failed"]) == (30, 30)
    assert found.details["probability"] < 1e-7
    assert judged(replace(VIEW, recent=minutes(usual, usual, {"acknowledged": 52, "refused": 8}))) == []


def looks(*given: tuple[int, int]) -> list[Span]:
    """(acknowledged, refused) between two looks, a quarter of a minute each, in the running minute."""
    quarter, start = timedelta(seconds=15), NOW.replace(second=0)
    return [
        Span(start + n * quarter, start + (n + 1) * quarter, acknowledged=good, refused=bad)
        for n, (good, bad) in enumerate(given)
    ]


def test_what_may_be_the_beginning_of_refusing_everything_is_told_as_that_or_as_a_drop_by_the_next_look() -> None:
    before = minutes(*[{"acknowledged": 58, "refused": 2}] * 2)

    def then(*given: tuple[int, int]) -> list[AlertKind]:
        return judged(replace(VIEW, recent=[*before, *looks((15, 0), *given)]))

    assert then((3, 20)) == []
    assert then((3, 20), (0, 15)) == [DOWN]
    assert then((3, 20), (3, 12)) == [DROP]
    assert then((3, 20), (15, 0)) == []


def test_what_is_refused_of_a_batch_is_told_a_look_later_though_nothing_came_since() -> None:
    batch = replace(VIEW, recent=minutes({"acknowledged": 100}, {}, {"acknowledged": 40, "refused": 60}))
    assert judged(batch) == []
    (found,) = judge_destination(batch, (), NOW + timedelta(seconds=15))
    assert (found.kind, found.details["acknowledged"], found.details["failed"]) == (DROP, 40, 60)


def test_a_small_shop_is_judged_over_hours() -> None:
    one = [{"acknowledged": 1}, {}, {"refused": 1}, {}]
    past = minutes(*one * 30)
    recent = [Span(NOW.replace(second=0), NOW, acknowledged=1, refused=1)]
    assert judged(replace(VIEW, past=past, recent=recent)) == [DROP]
    assert judged(replace(VIEW, past=past[-12:], recent=recent)) == []


def test_retries_are_not_counted_again() -> None:
    retried = {"acknowledged": 58, "refused": 60, "retries_failed": 58}
    assert judged(replace(VIEW, recent=minutes(*[retried] * 10))) == []


def test_what_was_told_is_not_told_again() -> None:
    low, usual = {"acknowledged": 30, "refused": 30}, {"acknowledged": 52, "refused": 8}
    view = replace(VIEW, recent=minutes(*[low] * 5, *[usual] * 5))
    assert judged(view) == [DROP]
    assert judged(replace(view, rate_drop=Told(NOW - 10 * MINUTE, NOW.replace(second=0) - 5 * MINUTE))) == []


def test_a_drop_is_open_until_the_last_minutes_are_as_usual() -> None:
    low, usual = {"acknowledged": 30, "refused": 30}, {"acknowledged": 58, "refused": 2}
    assert judged(replace(VIEW, recent=minutes(*[low] * 5, usual)), DROP) == [DROP]
    assert judged(replace(VIEW, recent=minutes(*[low] * 5, *[usual] * 5)), DROP) == []


def test_an_open_drop_counts_what_is_lost_from_its_first_failure_and_judges_the_last_minutes() -> None:
    well, low, half = {"acknowledged": 60}, {"acknowledged": 15, "refused": 45}, {"acknowledged": 45, "refused": 15}
    view = replace(VIEW, recent=minutes(*[well] * 2, *[low] * 10, *[half] * 5))
    began = view.recent[2].start
    found = only(replace(view, rate_drop=Told(began + MINUTE, None, began)), DROP)
    assert (found.since, found.details["acknowledged"], found.details["failed"]) == (began, 375, 525)
    assert (found.title, found.severity) == ("Meta accepts 75% instead of 97%", Severity.WARNING)
    assert "did not accept 525 of 900 events since" in found.message
    # When it is found, what was well before it is none of it.
    first = only(replace(VIEW, recent=[*minutes(*[well] * 4), *looks((2, 28), (2, 28))]))
    assert (first.since, first.details["failed"]) == (NOW.replace(second=0), 56)


@pytest.mark.parametrize("success", [None, SuccessRate(0.5, 0.01, 1000)], ids=["new", "never well"])
def test_what_is_not_bearable_is_told_without_a_past_and_where_it_is_usual(success: SuccessRate | None) -> None:
    view = replace(VIEW, success=success)
    for counts in ({"acknowledged": 20, "refused": 20}, {"acknowledged": 195, "refused": 105}):
        assert judged(replace(view, recent=minutes(counts))) == []
    for counts in ({"acknowledged": 15, "refused": 45}, {"acknowledged": 100, "unmappable": 100}):
        assert judged(replace(view, recent=minutes(counts))) == [DROP]
    assert judged(replace(view, recent=minutes({"acknowledged": 69, "refused": 31})), DROP) == [DROP]
    assert judged(replace(view, recent=minutes({"acknowledged": 71, "refused": 29})), DROP) == []


def test_half_refused_is_told_of_whoever_sends_a_few_events_a_day_from_the_fiftieth_on() -> None:
    def one(hours: int, refused: int) -> Span:
        return Span(NOW - hours * HOUR, NOW - hours * HOUR + MINUTE, 1 - refused, refused)

    def few(earlier: int, refused: int = 1) -> DestinationView:
        hours = [one(n, n // 3 % 2 * refused) for n in range(25 + 6 * earlier, 25, -3)]
        day = [one(n, n // 3 % 2 * refused) for n in range(23, 1, -3)]
        last = [Span(NOW - MINUTE, NOW, 0, 1)]
        return replace(VIEW, success=None, recent=last, past=day, earlier=hours)

    assert wants_earlier(few(0))
    assert judged(few(0)) == []
    assert judged(few(20)) == []
    assert judged(few(21)) == [DROP]
    found = only(few(40))
    assert (found.kind, found.title) == (DROP, "Meta accepts 48.2% of your events")
    assert judged(few(40, 0)) == []
    unanswered = [replace(span, refused=0, unreachable=span.refused) for span in few(40).earlier]
    assert judged(replace(few(40), earlier=unanswered)) == []


def carts(size: int, refused: Sequence[int], count: int, every: timedelta) -> DestinationView:
    """A shop's last ``count`` carts, which are refused as a whole or not at all; of four weeks one in twenty was."""
    usual = learn_success([(size, 0)] * 190 + [(0, size)] * 10)
    spans = []
    for n in range(count, 0, -1):
        good, bad = (0, size) if n in refused else (size, 0)
        spans.append(Span(NOW - n * every, NOW - n * every + MINUTE, good, bad))
    earlier, past = ([span for span in spans if (span.start < NOW - DAY) is is_past] for is_past in (True, False))
    return replace(VIEW, success=usual, recent=[Span(NOW - MINUTE, NOW, 0, size)], past=past, earlier=earlier)


def test_carts_that_are_refused_as_a_whole_now_and_then_are_no_drop_of_a_shop_that_has_few() -> None:
    usual = carts(2, (), 1, HOUR).success
    assert usual is not None
    assert percent(usual.share) == "99.74%"  # its worst hours are left out
    assert judged(carts(2, (20, 12, 5, 3), 34, 5 * HOUR)) == []
    assert judged(carts(4, (20, 12, 5), 34, 5 * HOUR)) == []
    assert judged(carts(4, (4,), 40, 5 * HOUR)) == []
    (found,) = judge_destination(carts(2, range(1, 34, 2), 34, 5 * HOUR), (), NOW)
    assert (found.kind, found.title) == (DROP, "Meta accepts 46.7% instead of 94.8% or more")
    assert found.message.endswith(" 46.7% were accepted at the first attempt in 3 d; 94.8% or more is usual.")


def test_what_is_seldom_left_unanswered_is_a_drop_and_told_by_a_longer_window() -> None:
    some = {"acknowledged": 41, "unreachable": 9}
    view = replace(VIEW, success=SuccessRate(0.97, 0.005, 100_000), last_error="500 an unknown error")
    assert judged(replace(view, recent=minutes(*[{"acknowledged": 50}] * 10, *[some] * 5))) == []
    assert judged(replace(view, recent=minutes(*[some] * 15))) == [DROP]


def test_what_is_left_unanswered_is_no_drop_at_first_whatever_the_platform_refuses_as_usual() -> None:
    """Whether it is down is known after a minute. What it refuses is refused again, and so stands there more than once."""
    view = replace(VIEW, success=SuccessRate(0.92, 0.005, 100_000), last_error="500 an unknown error")
    usual = {"acknowledged": 110, "refused": 50, "retries_failed": 41}
    half = {"acknowledged": 80, "unreachable": 40, "refused": 50, "retries_failed": 43}
    refusing = {"acknowledged": 40, "unreachable": 3, "refused": 90, "retries_failed": 41}
    assert judged(replace(view, recent=minutes(*[usual] * 13, half, half))) == []
    assert judged(replace(view, recent=minutes(*[usual] * 13, refusing, refusing))) == [DROP]


# tracking_stopped ----------------------------------------------------------------------------------------------------

STEADY = Rhythm((30.0,) * WEEK_HOURS)  # every other minute


def silent(rhythm: Rhythm, span: timedelta, level: float = 1.0, at: datetime = NOW) -> bool:
    return bool(judge_merchant(MerchantView(rhythm, at - span, level), at))


def test_a_silence_is_told_by_what_it_swallowed() -> None:
    longest = timedelta(minutes=2 * 1.5 * USUAL_AT_LEAST)
    assert not silent(STEADY, longest - timedelta(seconds=1))
    assert silent(STEADY, longest + timedelta(seconds=1))
    assert not silent(STEADY, longest + timedelta(seconds=1), level=0.9)
    assert silent(STEADY, longest / 0.9 + timedelta(seconds=1), level=0.9)


def test_no_silence_of_a_quarter_of_an_hour_is_told() -> None:
    busy = Rhythm((60.0,) * WEEK_HOURS)
    assert not silent(busy, timedelta(minutes=14, seconds=59))
    assert silent(busy, timedelta(minutes=15))


def test_nobody_is_missed_by_night() -> None:
    rhythm, evening = rhythm_of(), datetime(2026, 3, 4, 20, tzinfo=UTC)
    assert not silent(rhythm, 13 * HOUR, at=evening + 13 * HOUR)
    assert silent(rhythm, 14 * HOUR, at=evening + 14 * HOUR)


def test_a_merchant_without_a_rhythm_is_never_missed() -> None:
    assert judge_merchant(MerchantView(None, NOW - 100 * DAY), NOW) == []


def test_events_that_were_refused_meanwhile_are_named() -> None:
    (finding,) = judge_merchant(MerchantView(STEADY, NOW - HOUR, rejected=3), NOW)
    assert "3 events came since but were refused: the alert about that" in finding.message
    assert finding.platform is None


# Events that came too late ------------------------------------------------------------------------------------------

LATE = {"unmappable": 300, "retries_failed": 300}


def test_what_came_too_late_is_no_alert_where_anything_was_accepted_within_the_day() -> None:
    for before in ({"acknowledged": 60}, {"acknowledged": 1}):
        view = replace(
            VIEW, recent=minutes(*[LATE] * 5), past=[Span(NOW - 3 * HOUR, NOW - 3 * HOUR + MINUTE, **before)]
        )
        assert judge_destination(view, (), NOW) == []
        assert judge_destination(view, (AlertKind.DELIVERY_RATE_DROP,), NOW) == []


def test_what_always_comes_too_late_is_told_as_a_destination_that_gets_nothing() -> None:
    (finding,) = judge_destination(replace(VIEW, recent=minutes(*[LATE] * 5)), (), NOW)
    assert finding.title == "Meta can be sent none of your events"
    assert finding.details["unmappable"] == 1500


def test_what_came_too_late_leaves_other_failures_as_they_are() -> None:
    mixed = {"acknowledged": 30, "unmappable": 330, "refused": 10, "retries_failed": 310}  # ten are retries
    span = minutes(mixed)[0]
    assert (span.too_late, span.without_late().unmappable, span.without_late().first_failed) == (300, 30, 30)
    assert span.with_late().first_failed == 330
    assert wants_past(minutes(LATE), USUAL)
    assert not wants_past(minutes({"acknowledged": 60, **LATE}), USUAL)
