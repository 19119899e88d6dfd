"""How a destination is doing, and what each request changes about that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.test_retry import (
    ACTIVE,
    ANSWERED_500,
    DAY,
    HELD,
    NO_ANSWER,
    NOT_SENT,
    NOW,
    PAUSED,
    RATE_LIMITED,
    REFUSED,
    REJECTED,
)
from tracklayer.domain.delivery import (
    Acknowledged,
    DestinationState,
    Health,
    Outcome,
    RateLimited,
    Unknown,
    Unreachable,
)
from tracklayer.domain.health import (
    Active,
    Condition,
    Held,
    Paused,
    Probing,
    Recovering,
    Resting,
    condition_of,
    judge_health,
    may_send,
    release,
    release_pace,
    release_time,
)

# The destination's health ------------------------------------------------------------------------------------------


def after(health: Health, *steps: tuple[float, Outcome]) -> Health:
    """The health after one request each, ``(seconds since NOW, its outcome)``."""
    for seconds, outcome in steps:
        health = judge_health(health, [outcome], NOW + timedelta(seconds=seconds))
    return health


@pytest.mark.parametrize("outcome", [ANSWERED_500, NOT_SENT, NO_ANSWER], ids=["server error", "not sent", "no answer"])
def test_one_failure_is_counted_and_rested_after(outcome: Outcome) -> None:
    assert after(ACTIVE, (0, outcome)) == Health(failures=1, failing_since=NOW, resume_at=NOW + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("seconds", "state", "failures"),
    [
        pytest.param((0.0, 5.0), DestinationState.ACTIVE, 2, id="two, however far apart"),
        pytest.param((0.0, 2.5, 4.999), DestinationState.ACTIVE, 3, id="three in less than 5 s"),
        pytest.param((0.0, 2.5, 5.0), DestinationState.HELD, 3, id="three over 5 s"),
        pytest.param((0.0, 0.1, 0.2, 0.3, 4.9), DestinationState.ACTIVE, 5, id="five threads at once"),
        pytest.param((0.0, 0.1, 0.2, 0.3, 5.1), DestinationState.HELD, 5, id="five threads, then one more"),
        pytest.param((0.0, 600.0, 1200.0), DestinationState.HELD, 3, id="three, far apart"),
    ],
)
def test_a_hold_needs_three_failures_over_five_seconds(
    seconds: tuple[float, ...], state: DestinationState, failures: int
) -> None:
    health = after(ACTIVE, *((second, ANSWERED_500) for second in seconds))
    assert (health.state, health.failures, health.failing_since) == (state, failures, NOW)


def test_three_requests_that_hang_at_once_hold_as_soon_as_they_are_given_up() -> None:
    """Each waited ten seconds for nothing: that is no hiccup, though all three were given up in the same moment."""
    health = ACTIVE
    for _ in range(3):
        health = judge_health(health, [Unknown("no answer in time")], NOW + timedelta(seconds=10), NOW)
    assert health.state is DestinationState.HELD
    assert health.failing_since == NOW


def test_a_hold_says_why_and_probes_after_30_seconds() -> None:
    assert after(ACTIVE, (0, NOT_SENT), (3, NO_ANSWER), (6, ANSWERED_500)) == Health(
        DestinationState.HELD,
        "unreachable: 500 server error",
        3,
        NOW,
        NOW + timedelta(seconds=36),
        30,
    )


@pytest.mark.parametrize("answer", [Acknowledged(), REJECTED], ids=["acknowledged", "rejected"])
def test_an_answer_begins_the_count_anew(answer: Outcome) -> None:
    assert after(ACTIVE, (0, ANSWERED_500), (3, ANSWERED_500), (5, answer)) == Health()
    again = after(ACTIVE, (0, ANSWERED_500), (3, ANSWERED_500), (5, answer), (6, ANSWERED_500))
    assert (again.state, again.failures) == (DestinationState.ACTIVE, 1)


def test_a_rate_limit_is_an_answer_and_breaks_the_row_of_failures() -> None:
    health = after(ACTIVE, (0, ANSWERED_500), (3, ANSWERED_500), (6, RATE_LIMITED), (40, ANSWERED_500))
    assert health.state is DestinationState.ACTIVE


def test_each_failed_probe_doubles_the_pause_up_to_five_minutes() -> None:
    health = after(ACTIVE, (0, ANSWERED_500), (3, ANSWERED_500), (6, ANSWERED_500))
    pauses = []
    at = NOW + timedelta(seconds=6)
    for _ in range(6):
        assert health.state is DestinationState.HELD
        assert health.resume_at == at + timedelta(seconds=health.probe_seconds)
        pauses.append(health.probe_seconds)
        at = health.resume_at
        health = judge_health(health, [NOT_SENT], at)
    assert pauses == [30, 60, 120, 240, 300, 300]
    assert health.failing_since == NOW


@pytest.mark.parametrize("answer", [Acknowledged(), REJECTED], ids=["acknowledged", "rejected"])
def test_a_held_destination_recovers_with_the_first_answer(answer: Outcome) -> None:
    assert after(HELD, (60, answer)) == Health(recovering_since=NOW + timedelta(seconds=60))


def test_what_gathered_during_a_hold_is_released_at_a_pace_that_doubles_until_nobody_counts() -> None:
    health = release(NOW)
    paces = [release_pace(health, NOW + timedelta(seconds=seconds)) for seconds in (0, 5, 10, 15, 20, 24.9)]
    assert paces == [100, 200, 400, 800, 1600, pytest.approx(3156, abs=1)]
    assert release_pace(health, NOW + timedelta(seconds=25)) is None
    assert release_pace(health, NOW + timedelta(days=3000)) is None
    assert release_pace(Health(), NOW) is None


def test_each_step_of_a_release_waits_as_long_as_its_deliveries_take_at_the_present_pace() -> None:
    health = judge_health(release(NOW), [Acknowledged()] * 50, NOW)
    assert health == Health(recovering_since=NOW, resume_at=NOW + timedelta(seconds=0.5))
    later = NOW + timedelta(seconds=10)
    assert judge_health(health, [REJECTED] * 400, later).resume_at == later + timedelta(seconds=1)
    assert judge_health(health, [Acknowledged()], NOW + timedelta(seconds=25)) == Health()


def test_a_release_that_fails_is_held_again() -> None:
    health = after(release(NOW), (0, NOT_SENT), (3, NOT_SENT), (6, NOT_SENT))
    assert (health.state, health.recovering_since) == (DestinationState.HELD, None)


def test_refused_credentials_hold_at_once_and_say_why() -> None:
    assert after(ACTIVE, (0, REFUSED)) == Health(
        DestinationState.HELD,
        "credentials refused: 401 token expired",
        0,
        NOW,
        NOW + timedelta(seconds=30),
        30,
    )


def test_credentials_that_stay_refused_are_probed_less_and_less() -> None:
    health = after(ACTIVE, (0, REFUSED), (30, REFUSED), (90, REFUSED))
    assert (health.state, health.probe_seconds) == (DestinationState.HELD, 120)
    assert health.resume_at == NOW + timedelta(seconds=210)


def test_mended_credentials_end_the_hold() -> None:
    assert after(ACTIVE, (0, REFUSED), (30, Acknowledged())) == release(NOW + timedelta(seconds=30))


@pytest.mark.parametrize(
    ("outcome", "rest"),
    [
        pytest.param(RateLimited(30.0), 30, id="as long as the platform says"),
        pytest.param(RateLimited(0.0), 1, id="a second at least"),
        pytest.param(RateLimited(7200.0), 3600, id="an hour at most"),
        pytest.param(RateLimited(), 60, id="a minute where it does not say"),
    ],
)
def test_a_rate_limit_rests_the_destination_and_holds_nothing(outcome: Outcome, rest: float) -> None:
    ends = NOW + timedelta(seconds=rest)
    assert after(ACTIVE, (0, outcome)) == Health(resume_at=ends, recovering_since=ends, probe_seconds=1)


def test_a_rest_asked_for_with_a_server_error_is_kept() -> None:
    assert after(ACTIVE, (0, Unreachable("down", 503, 90.0))).resume_at == NOW + timedelta(seconds=90)
    assert after(ACTIVE, (0, Unreachable("down", 503, 1.0))).resume_at == NOW + timedelta(seconds=2)


@pytest.mark.parametrize(
    "outcome",
    [Acknowledged(), REJECTED, RATE_LIMITED, REFUSED, ANSWERED_500, NOT_SENT, NO_ANSWER],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_paused_destination_stays_as_the_merchant_left_it(outcome: Outcome) -> None:
    assert after(PAUSED, (0, outcome), (3, outcome), (6, outcome), (9, outcome)) == PAUSED


def test_a_good_destination_that_answers_is_left_as_it_is() -> None:
    assert judge_health(ACTIVE, [Acknowledged(), REJECTED], NOW) is ACTIVE
    assert judge_health(ACTIVE, [], NOW) is ACTIVE
    assert judge_health(HELD, [], NOW) is HELD


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param(
            [Acknowledged(), REFUSED],
            Health(
                DestinationState.HELD,
                "credentials refused: 401 token expired",
                0,
                NOW,
                NOW + timedelta(seconds=30),
                30,
            ),
            id="refused for one",
        ),
        pytest.param(
            [REJECTED, RATE_LIMITED],
            Health(
                resume_at=NOW + timedelta(seconds=30), recovering_since=NOW + timedelta(seconds=30), probe_seconds=1
            ),
            id="limited for one",
        ),
        pytest.param(
            [ANSWERED_500] * 1000,
            Health(failures=1, failing_since=NOW, resume_at=NOW + timedelta(seconds=2)),
            id="a batch counts once",
        ),
    ],
)
def test_one_request_is_judged_once_however_many_events_it_carried(outcomes: list[Outcome], expected: Health) -> None:
    assert judge_health(ACTIVE, outcomes, NOW) == expected


# Several answers, and answers that come late --------------------------------------------------------------------


def test_of_several_answers_the_longest_wait_holds() -> None:
    long, short = RateLimited(3000.0), RateLimited()
    for order in ((long, short), (short, long)):
        health = after(ACTIVE, (0, order[0]), (1, order[1]))
        assert health.resume_at is not None
        assert NOW + timedelta(seconds=3000) <= health.resume_at <= NOW + timedelta(seconds=3001)
    assert after(ACTIVE, (0, long), (1, ANSWERED_500)).resume_at == NOW + timedelta(seconds=3000)


@pytest.mark.parametrize(
    "before", [RateLimited(3000.0), Unreachable("down", 503, 3000.0)], ids=["limit", "server error"]
)
@pytest.mark.parametrize("answer", [Acknowledged(), REJECTED], ids=["acknowledged", "rejected"])
def test_an_answer_to_what_left_before_shortens_no_wait(before: Outcome, answer: Outcome) -> None:
    resting = after(ACTIVE, (0, before))
    late = judge_health(resting, [answer] * 7, NOW + timedelta(seconds=1), NOW - timedelta(seconds=2), had_turn=False)
    assert late.resume_at == NOW + timedelta(seconds=3000)
    assert late.failures == 0


def test_a_wish_at_the_end_of_a_release_is_kept_too() -> None:
    at = NOW + timedelta(seconds=26)  # at full pace, before the first answer has told so
    asked = judge_health(release(NOW), [Unreachable("down", 503, 3600.0)], at, at, had_turn=False)
    late = judge_health(asked, [Acknowledged()], at + timedelta(seconds=1), at, had_turn=False)
    assert late.resume_at == asked.resume_at == at + timedelta(hours=1)
    assert condition_of(late, at + timedelta(seconds=1)) == Resting(at + timedelta(hours=1))


def test_again_in_no_time_is_no_endless_loop() -> None:
    at, health, asked = NOW, ACTIVE, 0
    while at < NOW + timedelta(hours=24):
        health = judge_health(health, [RateLimited(0.0)], at)
        assert health.resume_at is not None
        assert health.resume_at > at
        at, asked = health.resume_at, asked + 1
    assert asked < 300
    assert judge_health(health, [Acknowledged()], at).probe_seconds == 0, "an answer begins anew"


def test_one_limit_told_by_many_requests_is_one() -> None:
    health = ACTIVE
    for _ in range(20):
        health = judge_health(health, [RateLimited(0.0)], NOW, had_turn=False)
    assert health.resume_at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    "outcome", [Acknowledged(), NO_ANSWER, RATE_LIMITED, REFUSED], ids=lambda found: type(found).__name__
)
def test_a_hold_is_moved_by_its_own_probe_alone(outcome: Outcome) -> None:
    probed = replace(HELD, turn_ends_at=NOW + timedelta(minutes=2))
    assert judge_health(probed, [outcome], NOW, had_turn=False) == probed
    moved = judge_health(probed, [outcome], NOW, had_turn=True)
    assert moved.turn_ends_at is None
    assert moved.resume_at != HELD.resume_at


def test_a_hold_whose_requests_may_have_arrived_says_so() -> None:
    health = after(ACTIVE, (0, NO_ANSWER), (3, NO_ANSWER), (6, NO_ANSWER))
    assert health.reason == "unanswered: no answer in time"
    proxy = Unreachable("a web page came back", 302, may_have_arrived=False, code="intercepted")
    assert after(ACTIVE, (0, proxy), (3, proxy), (6, proxy)).reason == "intercepted: 302 a web page came back"
    assert after(ACTIVE, (0, NOT_SENT), (3, NOT_SENT), (6, NOT_SENT)).reason == "unreachable: the connection failed"


# Conditions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "condition", "sends"),
    [
        pytest.param(ACTIVE, Active(0), True, id="active"),
        pytest.param(Health(failures=2, resume_at=NOW), Active(2), True, id="failed a while ago"),
        pytest.param(Health(resume_at=NOW + DAY), Resting(NOW + DAY), False, id="resting"),
        pytest.param(Health(resume_at=NOW + DAY, recovering_since=NOW + DAY), Resting(NOW + DAY), False, id="limited"),
        pytest.param(HELD, Held("unreachable: x", NOW + timedelta(seconds=60)), False, id="held"),
        pytest.param(replace(HELD, resume_at=NOW), Held("unreachable: x", NOW), True, id="held, and its probe may go"),
        pytest.param(
            replace(HELD, resume_at=NOW, turn_ends_at=NOW + DAY),
            Probing("unreachable: x", NOW + DAY),
            False,
            id="probing",
        ),
        pytest.param(release(NOW), Recovering(100), True, id="recovering"),
        pytest.param(
            Health(recovering_since=NOW, resume_at=NOW + timedelta(seconds=1)),
            Recovering(100),
            False,
            id="between steps",
        ),
        pytest.param(release(NOW - DAY), Active(0), True, id="recovered"),
        pytest.param(PAUSED, Paused(), False, id="paused"),
    ],
)
def test_what_a_row_says(health: Health, condition: Condition, sends: bool) -> None:
    assert condition_of(health, NOW) == condition
    assert may_send(health, NOW) is sends


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [(0, 0.0), (721, 5.0), (2140, 9.9), (22361, 25.0), (22361 + 3200, 26.0), (22361 + 3200 * 3600, 3625.0)],
)
def test_a_release_takes_as_long_as_the_sum_of_its_paces(waiting: int, seconds: float) -> None:
    assert round(release_time(waiting).total_seconds(), 1) == seconds
    # The same, step by step, as the engine does it.
    sent, at = 0.0, 0.0
    while at < min(seconds, 25.0):
        pace = release_pace(release(NOW), NOW + timedelta(seconds=at)) or 3200
        sent, at = sent + pace * 0.01, at + 0.01
    assert sent == pytest.approx(min(waiting, 22361), rel=0.01, abs=40)
