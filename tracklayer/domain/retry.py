"""Every number of retry, as pure functions; those of holds and rests are in ``domain.health``.

Attempt 1 goes out as soon as the event is committed. Failed attempt n (1 to 4) is followed after
``base * 4**(n - 1)``: 150 s, 10 min, 40 min, 160 min, plus up to 10 % jitter, later where the platform says so. After
a failed attempt 5, or once the next attempt would start after the window (24 h from queueing), it is dropped.

An attempt is a request that may have reached the platform, whatever the destination's condition: of a platform that takes
what it is sent and does not answer, no delivery is sent more than five times. A rate limit, refused credentials and a
platform that nobody reaches cost none: they concern the destination, which rests or is held until it answers again. Nor
does what could not be sent for a fault of ours: it is put off.

What a platform asks for is no reason to drop: a delivery is dropped when its attempts are made or its window has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.delivery import (
    MAX_ERROR,
    Acknowledged,
    AttemptOutcome,
    Claim,
    CredentialsRefused,
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
    message_of,
)
from tracklayer.domain.health import LONGEST_WISH

MAX_ATTEMPTS = 5
MOST_MS = 2**31 - 1  # 24 days: what is kept of a longer time
BACKOFF = 4
JITTER = 0.1

LAST_CALL = timedelta(minutes=1)  # before the window ends: a platform's wish puts nothing off beyond that
OUR_FAULT = "TRACKLAYER_ERROR"
PUT_OFF = timedelta(minutes=10)  # what a fault of ours kept from being sent waits for its mending


def doubling(first: timedelta, longest: timedelta, failures: int) -> timedelta:
    """The pause after so many failures in a row, one at least: twice as long each time, up to the longest."""
    times: int = 2 ** min(failures - 1, 20)
    return min(longest, first * times)


@dataclass(frozen=True)
class RetryPolicy:
    base: timedelta = timedelta(seconds=150)
    window: timedelta = timedelta(hours=24)

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """Pause after failed ``attempt`` (from 1). ``jitter`` is a random number from 0 to 1."""
        factor: float = BACKOFF ** (attempt - 1) * (1 + JITTER * jitter)
        return self.base * factor


def judge_attempt(
    claim: Claim,
    outcome: Outcome,
    *,
    started_at: datetime,
    now: datetime,
    policy: RetryPolicy,
    jitter: float,
    health: Health,
) -> Settlement:
    """What becomes of a delivery after ``outcome``. ``health`` is the destination's, judged after that outcome."""
    match outcome:
        case Acknowledged():
            return _acknowledged(claim, outcome, started_at, now)
        case RateLimited() | CredentialsRefused():
            counts = False
        case Unreachable(may_have_arrived=arrived):
            counts = arrived
        case Unknown() | Rejected():
            counts = True
    attempts = claim.attempts + 1 if counts else claim.attempts
    logged = LoggedAttempt(
        claim.attempts + 1,
        started_at,
        _NAMES[type(outcome)],
        getattr(outcome, "http_status", None),
        message_of(outcome),
        _ms(now - started_at),
        getattr(outcome, "code", "") or None,
    )
    failed = Settlement(
        claim.key,
        DeliveryStatus.FAILED if attempts else DeliveryStatus.QUEUED,
        attempts,
        last_error=message_of(outcome),
        error_code=logged.code,
        last_attempt_at=started_at,
        logged=logged,
    )
    if attempts >= MAX_ATTEMPTS:
        return replace(failed, status=DeliveryStatus.DROPPED, drop_reason=DropReason.RETRIES_EXHAUSTED)
    if not counts:
        # It keeps its place in the queue: the destination as a whole decides when it moves on. A probe goes behind what
        # is due, so that the next one is another delivery.
        due_at = max(claim.due_at, now) if health.state is DestinationState.HELD else claim.due_at
        return replace(failed, due_at=due_at, next_retry_at=health.resume_at or now)
    at = started_at + policy.delay(attempts, jitter)
    if at > claim.window_ends_at:
        return replace(failed, status=DeliveryStatus.DROPPED, drop_reason=DropReason.WINDOW_EXPIRED)
    wait = getattr(outcome, "retry_after_seconds", None)
    if wait is not None:
        asked = now + min(timedelta(seconds=wait), LONGEST_WISH)
        at = max(at, min(asked, claim.window_ends_at - LAST_CALL))
    return replace(failed, due_at=at, next_retry_at=at)


def _acknowledged(claim: Claim, outcome: Acknowledged, started_at: datetime, now: datetime) -> Settlement:
    number = claim.attempts + 1
    return Settlement(
        claim.key,
        DeliveryStatus.DELIVERED,
        number,
        last_attempt_at=started_at,
        logged=LoggedAttempt(
            number,
            started_at,
            AttemptOutcome.ACKNOWLEDGED,
            outcome.http_status,
            None,
            _ms(now - started_at),
            outcome.code or None,
            outcome.note or None,
        ),
    )


def judge_unbuilt(claim: Claim, message: str, now: datetime, put_off: timedelta = PUT_OFF) -> Settlement:
    """A fault of ours kept it from being sent: it costs no attempt, and waits for the mended version."""
    return replace(_put_off(claim, now + put_off, message), error_code=OUR_FAULT)


def judge_early(claim: Claim, until: datetime) -> Settlement:
    """It happened ahead of the clock, further than its platform forgives: it waits until then, and costs no attempt.

    Where the window ends before that, it is dropped now: waiting would be in vain.
    """
    if until > claim.window_ends_at:
        words = "it happened so far ahead of the clock that its retry window ends before its time comes"
        return judge_unsent(claim, Refusal(DropReason.WINDOW_EXPIRED, words))
    return _put_off(claim, until, "it happened ahead of the clock: it is sent when its time has come")


def _put_off(claim: Claim, until: datetime, message: str) -> Settlement:
    return Settlement(
        claim.key,
        DeliveryStatus.FAILED if claim.attempts else DeliveryStatus.QUEUED,
        claim.attempts,
        due_at=until,
        next_retry_at=until,
        last_error=message,
    )


def judge_unsent(claim: Claim, refusal: Refusal) -> Settlement:
    """Dropped without a request: mapping it again would say the same."""
    return Settlement(
        claim.key,
        DeliveryStatus.DROPPED,
        claim.attempts,
        drop_reason=refusal.reason,
        drop_field=refusal.field,
        last_error=refusal.message[:MAX_ERROR],
        error_code=refusal.code or refusal.reason.value.upper(),
    )


def judge_lost_claim(claim: Claim, *, claimed_at: datetime, now: datetime, policy: RetryPolicy) -> Settlement:
    """A worker died with this delivery in hand: nobody knows whether the platform got it.

    It goes out again now; after an attempt that failed before, as after any other: workers that die again and again do not
    use up all five within a minute.
    """
    number = claim.attempts + 1
    at = now if number == 1 else claimed_at + policy.delay(number, 0.0)
    message = "the worker was lost before the platform's answer was recorded"
    settlement = Settlement(
        claim.key,
        DeliveryStatus.FAILED,
        number,
        due_at=at,
        next_retry_at=at,
        last_error=message,
        last_attempt_at=claimed_at,
        logged=LoggedAttempt(number, claimed_at, AttemptOutcome.UNKNOWN, None, message, _ms(now - claimed_at)),
    )
    if number >= MAX_ATTEMPTS:
        return replace(
            settlement,
            status=DeliveryStatus.DROPPED,
            drop_reason=DropReason.RETRIES_EXHAUSTED,
            due_at=None,
            next_retry_at=None,
        )
    return settlement


_NAMES = {
    Rejected: AttemptOutcome.REJECTED,
    RateLimited: AttemptOutcome.RATE_LIMITED,
    CredentialsRefused: AttemptOutcome.CREDENTIALS_REFUSED,
    Unreachable: AttemptOutcome.UNREACHABLE,
    Unknown: AttemptOutcome.UNKNOWN,
}


def _ms(span: timedelta) -> int:
    return min(MOST_MS, max(0, round(span / timedelta(milliseconds=1))))
