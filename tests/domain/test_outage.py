"""What opens an outage of a platform for all, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from tracklayer.domain.delivery import (
    Acknowledged,
    CredentialsRefused,
    Outcome,
    RateLimited,
    Rejected,
    Unknown,
    Unreachable,
)
from tracklayer.domain.outage import (
    MERCHANTS,
    PROBES,
    SERVING,
    TRIED,
    PlatformHealth,
    failure_of,
    is_answer,
    judge_answer,
    judge_failure,
    next_round,
    reason_of,
    release_slot,
    released_by,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
NO_ANSWER = Unknown("no answer in time")
BUSY = Unreachable("service unavailable", 503)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def after(*failures: tuple[float, int], outcome: Unknown | Unreachable = NO_ANSWER) -> PlatformHealth:
    """(when it was given up, merchant), of requests that left ten seconds before."""
    return reduce(
        lambda health, one: judge_failure(health, one[1], outcome, at(one[0] - 10), at(one[0])), failures, SERVING
    )


DOWN = after((10, 1), (10, 2), (10, 3))


def test_requests_of_three_merchants_without_an_answer_to_anybody_open_it() -> None:
    assert (
        PlatformHealth({1: at(10), 2: at(10), 3: at(10)}, at(0), "unanswered: no answer in time", at(10), at(40), 30)
        == DOWN
    )


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([(10 + second, 1) for second in range(0, 60, 3)], id="of one merchant, however many"),
        pytest.param([(10 + second, 1 + second % 2) for second in range(60)], id="of two"),
        pytest.param([(10, 1), (320, 2), (630, 3)], id="of three, minutes apart"),
        pytest.param([(86400, 1), (86400, 2), (10, 3), (20, 3)], id="of two by a clock that has been set back"),
    ],
)
def test_fewer_open_nothing(failures: list[tuple[float, int]]) -> None:
    assert not after(*failures).is_down


def test_a_hiccup_of_less_than_five_seconds_opens_nothing() -> None:
    health = SERVING
    for merchant in range(1, 20):
        health = judge_failure(health, merchant, BUSY, at(merchant / 10), at(merchant / 10))
    assert (health.is_down, health.is_in_doubt, len(health.failing)) == (False, True, MERCHANTS)
    assert judge_failure(health, 20, BUSY, at(5.1), at(5.1)).is_down


@pytest.mark.parametrize(
    "answer",
    [Acknowledged(), Rejected("1", "bad"), RateLimited(), CredentialsRefused("190", "expired")],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_to_anybody_whatever_it_says_begins_anew(answer: Outcome) -> None:
    assert is_answer([answer, BUSY])
    assert failure_of([answer, BUSY]) is None
    assert judge_answer(after((10, 1), (11, 2)), 3, at(9), at(11)) == SERVING


def test_who_has_been_failing_for_long_says_nothing_about_the_others() -> None:
    health = SERVING
    for merchant in range(10):
        health = judge_failure(health, merchant, BUSY, at(merchant), at(merchant), at(-400))
    assert health == SERVING


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        pytest.param(NO_ANSWER, True, id="no answer"),
        pytest.param(Unreachable("the connection failed", may_have_arrived=False), True, id="no connection"),
        pytest.param(BUSY, True, id="a server's error"),
        pytest.param(Unreachable("a web page", 200, code="intercepted"), True, id="a proxy in between"),
        pytest.param(Unreachable("no event is confirmed", 200, code="unconfirmed"), False, id="unconfirmed"),
        pytest.param(Unreachable("a setting", may_have_arrived=False, is_of_merchant=True), False, id="a setting"),
    ],
)
def test_what_counts_as_a_failure_of_the_platform(outcome: Outcome, counts: bool) -> None:
    assert failure_of([outcome, outcome]) == (outcome if counts else None)
    assert not is_answer([outcome])


def test_it_is_over_once_something_that_left_since_is_answered() -> None:
    assert judge_answer(DOWN, 3, at(10), at(12)) == DOWN
    over = judge_answer(DOWN, 3, at(40), at(41))
    assert over == PlatformHealth(recovering_since=at(41), released_to=at(41), suspects=(1, 2))


def test_the_same_few_do_not_open_it_again_until_they_were_answered() -> None:
    over = judge_answer(DOWN, 9, at(40), at(41))
    for merchant in (1, 2, 3) * 5:
        assert judge_failure(over, merchant, BUSY, at(50), at(60)) == over
    over = judge_answer(over, 1, at(50), at(60))
    assert over.suspects == (2, 3)
    health = over
    for merchant in (1, 2, 3, 4, 5):
        health = judge_failure(health, merchant, BUSY, at(70), at(80))
    assert (sorted(health.failing), health.is_down, health.suspects) == ([1, 4, 5], True, (2, 3))
    assert sorted(judge_answer(health, 4, at(90), at(91)).suspects) == [1, 2, 3, 5]


def test_what_fails_while_it_is_down_changes_what_is_said_and_how_long_it_was_asked_to_wait() -> None:
    assert judge_failure(DOWN, 9, BUSY, at(9), at(19)) == DOWN
    failed = judge_failure(DOWN, 9, replace(BUSY, retry_after_seconds=3600), at(40), at(41))
    assert failed == replace(DOWN, reason="unreachable: 503 an error instead of an answer", resume_at=at(341))


def test_rounds_come_less_and_less_often_and_name_others_first() -> None:
    pauses = []
    health, now = DOWN, at(40)
    for number in range(20):
        health = next_round(health, range(number * PROBES, (number + 1) * PROBES), now)
        assert health.resume_at is not None
        pauses.append((health.resume_at - now).total_seconds())
        now = health.resume_at
    assert pauses == [60, 120, 240, *[300] * 17]
    assert health.probers == (57, 58, 59)
    assert sorted(health.failing) == list(range(60 - TRIED, 60))


def test_a_destination_says_what_its_platform_does_and_since_when_for_everybody() -> None:
    assert reason_of(DOWN) == "unanswered: no answer in time (down for every merchant since 2026-11-20 15:00 UTC)"


def test_a_release_begins_with_few_and_ten_thousand_take_less_than_a_minute() -> None:
    slots = [release_slot(rank) for rank in range(10_000)]
    per_second = [sum(second <= slot.total_seconds() < second + 1 for slot in slots) for second in range(36)]
    assert per_second[:3] == [11, 13, 14]
    assert sum(per_second) == 10_000
    assert slots == sorted(slots)


def test_pages_of_a_release_go_on_where_the_last_one_ended() -> None:
    for rank in (0, 1, 10, 1000, 9999):
        assert abs(released_by(release_slot(rank)) - rank) <= 1
    assert released_by(timedelta(days=1)) == released_by(timedelta(minutes=2))
