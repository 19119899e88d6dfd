"""The numbers of the contract's retry schedule and of the hold, one decision at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer.domain.delivery import (
    Acknowledged,
    AttemptOutcome,
    Claim,
    CredentialsRefused,
    DeliveryKey,
    DeliveryStatus,
    DestinationState,
    DropReason,
    Health,
    LoggedAttempt,
    Outcome,
    RateLimited,
    Refusal,
    Rejected,
    Settlement,
    Unknown,
    Unreachable,
)
from tracklayer.domain.retry import (
    RetryPolicy,
    judge_attempt,
    judge_early,
    judge_lost_claim,
    judge_unbuilt,
    judge_unsent,
)

KEY = DeliveryKey(1, "order_12345", "meta")
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
DAY = timedelta(hours=24)
POLICY = RetryPolicy()
ACTIVE = Health()
HELD = Health(DestinationState.HELD, "unreachable: x", 3, NOW - timedelta(minutes=1), NOW + timedelta(seconds=60), 60)
PAUSED = Health(DestinationState.PAUSED, "paused by the merchant")


def claim(attempts: int = 0, *, queued_at: datetime = NOW, due_at: datetime | None = None) -> Claim:
    return Claim(KEY, attempts, queued_at, due_at or queued_at, queued_at + DAY)


def judged(
    outcome: Outcome,
    attempts: int = 0,
    *,
    health: Health = ACTIVE,
    at: datetime = NOW,
    took: timedelta = timedelta(),
    queued_at: datetime = NOW,
    due_at: datetime | None = None,
    jitter: float = 0.0,
    policy: RetryPolicy = POLICY,
) -> Settlement:
    """The settlement of a delivery with ``attempts`` behind it, of a request that began ``at`` and ``took`` so long."""
    return judge_attempt(
        claim(attempts, queued_at=queued_at, due_at=due_at),
        outcome,
        started_at=at,
        now=at + took,
        policy=policy,
        jitter=jitter,
        health=health,
    )


REJECTED = Rejected("100/2804019", "Invalid fbc format", 400)


# The schedule ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "pause"),
    [
        (1, timedelta(seconds=150)),
        (2, timedelta(minutes=10)),
        (3, timedelta(minutes=40)),
        (4, timedelta(minutes=160)),
    ],
)
def test_the_pauses_are_those_of_the_contract(attempt: int, pause: timedelta) -> None:
    assert POLICY.delay(attempt, 0.0) == pause
    settlement = judged(REJECTED, attempt - 1)
    assert (settlement.attempts, settlement.next_retry_at, settlement.due_at) == (attempt, NOW + pause, NOW + pause)


def test_the_data_models_example_row_comes_out_step_by_step() -> None:
    queued_at = datetime(2026, 4, 23, 14, 12, 34, 102_000, tzinfo=UTC)
    first = datetime(2026, 4, 23, 14, 12, 40, 917_000, tzinfo=UTC)
    second = datetime(2026, 4, 23, 14, 15, 10, 917_000, tzinfo=UTC)
    third = datetime(2026, 4, 23, 14, 25, 10, 917_000, tzinfo=UTC)
    one = judged(REJECTED, 0, at=first, queued_at=queued_at)
    assert (one.status, one.attempts, one.next_retry_at) == (DeliveryStatus.FAILED, 1, second)
    two = judged(REJECTED, one.attempts, at=second, queued_at=queued_at)
    assert (two.status, two.attempts, two.next_retry_at) == (DeliveryStatus.FAILED, 2, third)
    took = timedelta(milliseconds=213)
    assert judged(REJECTED, two.attempts, at=third, took=took, queued_at=queued_at) == Settlement(
        KEY,
        DeliveryStatus.FAILED,
        3,
        due_at=datetime(2026, 4, 23, 15, 5, 10, 917_000, tzinfo=UTC),
        next_retry_at=datetime(2026, 4, 23, 15, 5, 10, 917_000, tzinfo=UTC),
        last_error="400 Invalid fbc format",
        error_code="100/2804019",
        last_attempt_at=third,
        logged=LoggedAttempt(3, third, AttemptOutcome.REJECTED, 400, "400 Invalid fbc format", 213, "100/2804019"),
    )


def test_five_attempts_lie_within_the_first_four_hours() -> None:
    at, attempts = NOW, 0
    times = []
    while True:
        settlement = judged(REJECTED, attempts, at=at)
        times.append(at - NOW)
        attempts = settlement.attempts
        if settlement.next_retry_at is None:
            break
        at = settlement.next_retry_at
    assert times == [
        timedelta(),
        timedelta(seconds=150),
        timedelta(seconds=750),
        timedelta(seconds=3150),
        timedelta(seconds=12750),
    ]
    assert (settlement.status, settlement.drop_reason) == (DeliveryStatus.DROPPED, DropReason.RETRIES_EXHAUSTED)


@pytest.mark.parametrize(
    ("jitter", "pause"),
    [
        pytest.param(0.0, timedelta(minutes=10), id="none"),
        pytest.param(0.5, timedelta(minutes=10, seconds=30), id="half"),
        pytest.param(1.0, timedelta(minutes=11), id="all"),
    ],
)
def test_jitter_adds_up_to_ten_percent(jitter: float, pause: timedelta) -> None:
    assert POLICY.delay(2, jitter) == pause
    assert judged(REJECTED, 1, jitter=jitter).next_retry_at == NOW + pause


@drawn(200)
@given(st.integers(1, 4), st.floats(0, 1), st.integers(1, 86_400))
def test_jitter_is_never_minus_and_at_most_ten_percent(attempt: int, jitter: float, base: int) -> None:
    policy = RetryPolicy(timedelta(seconds=base))
    pause = policy.delay(attempt, jitter)
    exact = timedelta(seconds=base) * 4 ** (attempt - 1)
    assert exact <= pause <= exact * 1.1 + timedelta(microseconds=1)


def test_the_base_of_the_schedule_is_the_operators() -> None:
    quick = RetryPolicy(timedelta(seconds=1))
    assert [quick.delay(attempt, 0.0) for attempt in (1, 2, 3, 4)] == [timedelta(seconds=s) for s in (1, 4, 16, 64)]
    assert judged(REJECTED, 2, policy=quick).next_retry_at == NOW + timedelta(seconds=16)


@pytest.mark.parametrize(
    ("wait", "pause"),
    [
        pytest.param(None, 150, id="not said"),
        pytest.param(0.0, 150, id="at once"),
        pytest.param(149.0, 150, id="sooner"),
        pytest.param(151.0, 151, id="later"),
        pytest.param(3600.0, 3600, id="an hour"),
    ],
)
def test_the_later_of_schedule_and_retry_after_counts(wait: float | None, pause: int) -> None:
    outcome = Unreachable("down", 503, wait)
    assert judged(outcome).next_retry_at == NOW + timedelta(seconds=pause)


def test_retry_after_counts_from_the_answer_and_the_schedule_from_the_attempt() -> None:
    took = timedelta(seconds=8)
    assert judged(REJECTED, took=took).next_retry_at == NOW + timedelta(seconds=150)
    assert judged(Unreachable("down", 503, 600.0), took=took).next_retry_at == NOW + timedelta(seconds=608)


# The end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(REJECTED, id="rejected"),
        pytest.param(Unreachable("down", 503), id="unreachable"),
        pytest.param(Unknown("no answer in time"), id="unknown"),
    ],
)
def test_a_failed_fifth_attempt_drops(outcome: Outcome) -> None:
    settlement = judged(outcome, 4)
    assert (settlement.status, settlement.attempts, settlement.drop_reason) == (
        DeliveryStatus.DROPPED,
        5,
        DropReason.RETRIES_EXHAUSTED,
    )
    assert (settlement.due_at, settlement.next_retry_at) == (None, None)
    assert settlement.last_error is not None
    assert settlement.logged is not None
    assert settlement.logged.number == 5


def test_a_fifth_attempt_that_is_acknowledged_is_delivered() -> None:
    settlement = judged(Acknowledged(), 4)
    assert (settlement.status, settlement.attempts, settlement.drop_reason) == (DeliveryStatus.DELIVERED, 5, None)


@pytest.mark.parametrize(
    ("age", "is_dropped"),
    [
        pytest.param(DAY - timedelta(seconds=150), False, id="the next one starts as the window ends"),
        pytest.param(DAY - timedelta(seconds=150) + timedelta(microseconds=1), True, id="a microsecond later"),
        pytest.param(DAY + timedelta(hours=1), True, id="long after"),
    ],
)
def test_a_next_attempt_beyond_the_window_drops(age: timedelta, is_dropped: bool) -> None:
    settlement = judged(REJECTED, 0, queued_at=NOW - age)
    if is_dropped:
        assert (settlement.status, settlement.drop_reason) == (DeliveryStatus.DROPPED, DropReason.WINDOW_EXPIRED)
        assert (settlement.due_at, settlement.next_retry_at) == (None, None)
    else:
        assert (settlement.status, settlement.drop_reason) == (DeliveryStatus.FAILED, None)
        assert settlement.next_retry_at == NOW - age + DAY
    assert settlement.attempts == 1


def test_jitter_may_carry_the_next_attempt_beyond_the_window_and_a_platforms_wish_may_not() -> None:
    queued_at = NOW - DAY + timedelta(minutes=5)
    assert (
        judged(REJECTED, queued_at=queued_at - timedelta(seconds=150), jitter=0.01).drop_reason
        is DropReason.WINDOW_EXPIRED
    )
    for wish in (290.0, 90_000.0):
        waiting = judged(Unreachable("down", 503, wish), queued_at=queued_at)
        assert (waiting.drop_reason, waiting.next_retry_at) == (None, NOW + timedelta(minutes=4))


def test_a_wish_of_a_day_is_kept_for_an_hour() -> None:
    waiting = judged(Unreachable("down", 503, 86_400.0), 2)
    assert (waiting.drop_reason, waiting.next_retry_at) == (None, NOW + timedelta(hours=1))


def test_a_fifth_attempt_past_the_window_is_dropped_for_its_attempts() -> None:
    assert judged(REJECTED, 4, queued_at=NOW - DAY).drop_reason is DropReason.RETRIES_EXHAUSTED


def test_what_waits_for_a_destination_is_not_dropped_before_its_window_ends() -> None:
    last = Health(DestinationState.HELD, "x", 3, NOW, NOW + timedelta(minutes=5), 300)
    for minutes in (5, 4):
        queued_at = NOW + timedelta(minutes=minutes) - DAY
        kept = judged(CredentialsRefused("190", "expired", 401), health=last, queued_at=queued_at)
        assert (kept.status, kept.drop_reason, kept.attempts) == (DeliveryStatus.QUEUED, None, 0)


@pytest.mark.parametrize("before", [0, 2])
def test_a_fault_of_ours_costs_nothing_and_waits_for_its_mending(before: int) -> None:
    settlement = judge_unbuilt(claim(before), "the operator has the trace", NOW)
    assert (settlement.attempts, settlement.drop_reason, settlement.logged) == (before, None, None)
    assert settlement.status is (DeliveryStatus.FAILED if before else DeliveryStatus.QUEUED)
    assert (settlement.due_at, settlement.error_code) == (NOW + timedelta(minutes=10), "TRACKLAYER_ERROR")


# What an attempt costs ---------------------------------------------------------------------------------------------

RATE_LIMITED = RateLimited(30.0)
REFUSED = CredentialsRefused("190", "token expired", 401)
ANSWERED_500 = Unreachable("server error", 500)
NOT_SENT = Unreachable("the connection failed", may_have_arrived=False)
NO_ANSWER = Unknown("no answer in time")


@pytest.mark.parametrize(
    ("outcome", "health", "cost"),
    [
        pytest.param(REJECTED, ACTIVE, 1, id="rejected, active"),
        pytest.param(REJECTED, HELD, 1, id="rejected, held"),
        pytest.param(REJECTED, PAUSED, 1, id="rejected, paused"),
        pytest.param(ANSWERED_500, ACTIVE, 1, id="server error, active"),
        pytest.param(ANSWERED_500, HELD, 1, id="server error, held"),
        pytest.param(ANSWERED_500, PAUSED, 1, id="server error, paused"),
        pytest.param(NOT_SENT, ACTIVE, 0, id="not sent, active"),
        pytest.param(NOT_SENT, HELD, 0, id="not sent, held"),
        pytest.param(NOT_SENT, PAUSED, 0, id="not sent, paused"),
        pytest.param(NO_ANSWER, ACTIVE, 1, id="no answer, active"),
        pytest.param(NO_ANSWER, HELD, 1, id="no answer, held"),
        pytest.param(NO_ANSWER, PAUSED, 1, id="no answer, paused"),
        pytest.param(RATE_LIMITED, ACTIVE, 0, id="rate limit, active"),
        pytest.param(RATE_LIMITED, HELD, 0, id="rate limit, held"),
        pytest.param(RATE_LIMITED, PAUSED, 0, id="rate limit, paused"),
        pytest.param(REFUSED, ACTIVE, 0, id="credentials refused, active"),
        pytest.param(REFUSED, HELD, 0, id="credentials refused, held"),
        pytest.param(REFUSED, PAUSED, 0, id="credentials refused, paused"),
    ],
)
@pytest.mark.parametrize("before", [0, 3])
def test_what_costs_an_attempt_and_what_does_not(outcome: Outcome, health: Health, cost: int, before: int) -> None:
    due_at = NOW - timedelta(seconds=1)
    settlement = judged(outcome, before, health=health, due_at=due_at, queued_at=NOW - timedelta(minutes=1))
    after = before + cost
    assert settlement.attempts == after
    assert settlement.status is (DeliveryStatus.FAILED if after else DeliveryStatus.QUEUED)
    assert settlement.drop_reason is None
    assert settlement.last_attempt_at == NOW
    if cost:
        assert settlement.next_retry_at == settlement.due_at == NOW + POLICY.delay(after, 0.0)
    else:
        # It keeps its place in the queue, a probe behind what is due; the destination says when it moves on.
        assert settlement.due_at == (NOW if health is HELD else due_at)
        assert settlement.next_retry_at == (health.resume_at or NOW)


def test_a_rate_limit_may_be_waited_out_any_number_of_times() -> None:
    resting = Health(resume_at=NOW + timedelta(seconds=30))
    for _ in range(100):
        settlement = judged(RATE_LIMITED, 4, health=resting)
        assert (settlement.status, settlement.attempts) == (DeliveryStatus.FAILED, 4)
        assert settlement.next_retry_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("outcome", "name", "status", "error", "code"),
    [
        pytest.param(REJECTED, AttemptOutcome.REJECTED, 400, "400 Invalid fbc format", "100/2804019", id="rejected"),
        pytest.param(RATE_LIMITED, AttemptOutcome.RATE_LIMITED, 429, "429 too many requests", None, id="rate limit"),
        pytest.param(
            REFUSED, AttemptOutcome.CREDENTIALS_REFUSED, 401, "401 token expired", "190", id="credentials refused"
        ),
        pytest.param(ANSWERED_500, AttemptOutcome.UNREACHABLE, 500, "500 server error", None, id="server error"),
        pytest.param(NOT_SENT, AttemptOutcome.UNREACHABLE, None, "the connection failed", None, id="not sent"),
        pytest.param(NO_ANSWER, AttemptOutcome.UNKNOWN, None, "no answer in time", None, id="no answer"),
    ],
)
def test_every_failure_is_logged_with_what_the_platform_said(
    outcome: Outcome, name: AttemptOutcome, status: int | None, error: str, code: str | None
) -> None:
    settlement = judged(outcome, 1, took=timedelta(milliseconds=1500))
    assert settlement.logged == LoggedAttempt(2, NOW, name, status, error, 1500, code)
    assert (settlement.last_error, settlement.error_code) == (error, code)


def test_a_platforms_message_is_kept_up_to_300_characters() -> None:
    settlement = judged(Rejected("1", "x" * 1000, 400))
    assert settlement.last_error == "400 " + "x" * 296


# Delivered ---------------------------------------------------------------------------------------------------------


def test_an_acknowledgement_is_logged_with_how_long_it_took() -> None:
    at = NOW + timedelta(seconds=2, milliseconds=250)
    took = timedelta(milliseconds=333)
    assert judged(Acknowledged(202), 1, at=at, took=took) == Settlement(
        KEY,
        DeliveryStatus.DELIVERED,
        2,
        last_attempt_at=at,
        logged=LoggedAttempt(2, at, AttemptOutcome.ACKNOWLEDGED, 202, None, 333),
    )


@pytest.mark.parametrize("health", [ACTIVE, HELD, PAUSED], ids=["active", "held", "paused"])
def test_an_acknowledgement_is_a_delivery_whatever_the_destinations_state(health: Health) -> None:
    settlement = judged(Acknowledged(), health=health, queued_at=NOW - 2 * DAY)
    assert (settlement.status, settlement.attempts, settlement.due_at) == (DeliveryStatus.DELIVERED, 1, None)


# Not sent, and lost ------------------------------------------------------------------------------------------------


def test_what_cannot_be_sent_is_dropped_without_an_attempt() -> None:
    refusal = Refusal(DropReason.MISSING_IDENTIFIERS, "too little customer information", "user_data")
    assert judge_unsent(claim(2), refusal) == Settlement(
        KEY,
        DeliveryStatus.DROPPED,
        2,
        drop_reason=DropReason.MISSING_IDENTIFIERS,
        drop_field="user_data",
        last_error="too little customer information",
        error_code="MISSING_IDENTIFIERS",
    )


LOST = "the worker was lost before the platform's answer was recorded"


@pytest.mark.parametrize(("before", "minutes"), [(0, 0.0), (1, 10.0), (2, 40.0), (3, 160.0)])
def test_a_lost_claim_cost_an_attempt_and_goes_out_again_at_once_for_the_first_time(
    before: int, minutes: float
) -> None:
    """Later ones wait as after any failure: a worker that dies again and again must not use up all five at once."""
    claimed_at = NOW - timedelta(seconds=4)
    again = claimed_at + timedelta(minutes=minutes) if before else NOW
    assert judge_lost_claim(claim(before), claimed_at=claimed_at, now=NOW, policy=POLICY) == Settlement(
        KEY,
        DeliveryStatus.FAILED,
        before + 1,
        due_at=again,
        next_retry_at=again,
        last_error=LOST,
        last_attempt_at=claimed_at,
        logged=LoggedAttempt(before + 1, claimed_at, AttemptOutcome.UNKNOWN, None, LOST, 4000),
    )


def test_a_lost_fifth_attempt_drops() -> None:
    assert judge_lost_claim(claim(4), claimed_at=NOW, now=NOW, policy=POLICY) == Settlement(
        KEY,
        DeliveryStatus.DROPPED,
        5,
        drop_reason=DropReason.RETRIES_EXHAUSTED,
        last_error=LOST,
        last_attempt_at=NOW,
        logged=LoggedAttempt(5, NOW, AttemptOutcome.UNKNOWN, None, LOST, 0),
    )


@pytest.mark.parametrize("attempts", [0, 2])
def test_what_is_ahead_of_the_clock_waits_unless_its_window_ends_before_that(attempts: int) -> None:
    waits = judge_early(claim(attempts), NOW + DAY)
    assert (waits.drop_reason, waits.due_at, waits.attempts) == (None, NOW + DAY, attempts)
    dropped = judge_early(claim(attempts), NOW + DAY + timedelta(seconds=1))
    assert (dropped.status, dropped.drop_reason) == (DeliveryStatus.DROPPED, DropReason.WINDOW_EXPIRED)
    assert (dropped.attempts, dropped.due_at, dropped.next_retry_at) == (attempts, None, None)
    assert dropped.last_error is not None
    assert "it is sent" not in dropped.last_error
