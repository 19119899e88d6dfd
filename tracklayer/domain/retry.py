"""Every number of retry and hold, as pure functions.

Attempt 1 goes out as soon as the event is committed. Failed attempt n (1 to 4) is followed after
``base * 4**(n - 1)``: 150 s, 10 min, 40 min, 160 min, plus up to 10 % jitter, later where the platform says so. After
a failed attempt 5, or once the next attempt would start after the window (24 h from queueing), it is dropped.

An attempt is a request that may have reached the platform. A rate limit, refused credentials and a platform that
nobody reaches cost none: they concern the destination, which rests or is held until it answers again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.delivery import (
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
)

MAX_ATTEMPTS = 5
BACKOFF = 4
JITTER = 0.1

HOLD_AFTER_FAILURES = 3  # requests in a row: one or two stray errors hold nothing
HOLD_AFTER = timedelta(seconds=5)  # and over at least this long, so that one hiccup seen by many threads is one
FIRST_PROBE = timedelta(seconds=30)
LONGEST_PROBE = timedelta(minutes=5)
REST_AFTER_FAILURE = timedelta(seconds=2)  # before the threshold: long enough to spare a struggling platform
RELEASE_START = 100  # deliveries a second right after a hold
RELEASE_DOUBLES = timedelta(seconds=5)  # as long as the platform takes it, its pace doubles in this time
RELEASE_FULL = 3200  # deliveries a second, reached after 25 s: from there on nobody counts
RATE_LIMIT_REST = timedelta(seconds=60)  # where the platform does not say for how long
MAX_ERROR = 300  # characters kept of a platform's message


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
    duration_ms = _ms(now - started_at)
    match outcome:
        case Acknowledged():
            number = claim.attempts + 1
            return Settlement(
                claim.key,
                DeliveryStatus.DELIVERED,
                number,
                last_attempt_at=started_at,
                delivered_at=now,
                latency_ms=_ms(now - claim.received_at),
                logged=LoggedAttempt(
                    number, started_at, AttemptOutcome.ACKNOWLEDGED, outcome.http_status, None, duration_ms
                ),
            )
        case RateLimited() | CredentialsRefused():
            counts = False
        case Unreachable(may_have_arrived=arrived):
            counts = arrived and health.state is not DestinationState.HELD
        case Unknown():
            counts = health.state is not DestinationState.HELD
        case Rejected():
            counts = True
    attempts = claim.attempts + 1 if counts else claim.attempts
    logged = LoggedAttempt(
        claim.attempts + 1,
        started_at,
        _NAMES[type(outcome)],
        getattr(outcome, "http_status", None),
        _message(outcome),
        duration_ms,
        getattr(outcome, "code", "") or None,
    )
    failed = Settlement(
        claim.key,
        DeliveryStatus.FAILED if attempts else DeliveryStatus.QUEUED,
        attempts,
        last_error=_message(outcome),
        error_code=logged.code,
        last_attempt_at=started_at,
        logged=logged,
    )
    if attempts >= MAX_ATTEMPTS:
        return replace(failed, status=DeliveryStatus.DROPPED, drop_reason=DropReason.RETRIES_EXHAUSTED)
    if counts:
        at = started_at + policy.delay(attempts, jitter)
        wait = getattr(outcome, "retry_after_seconds", None)
        if wait is not None:
            at = max(at, now + timedelta(seconds=wait))
        due_at = next_retry_at = at
    else:
        # It keeps its place in the queue: the destination as a whole decides when it moves on.
        due_at, next_retry_at = claim.due_at, health.resume_at or now
    if next_retry_at > claim.window_ends_at:
        return replace(failed, status=DeliveryStatus.DROPPED, drop_reason=DropReason.WINDOW_EXPIRED)
    return replace(failed, due_at=due_at, next_retry_at=next_retry_at)


def judge_unsent(claim: Claim, refusal: Refusal) -> Settlement:
    """Dropped without a request: mapping it again would say the same."""
    return Settlement(
        claim.key,
        DeliveryStatus.DROPPED,
        claim.attempts,
        drop_reason=refusal.reason,
        last_error=refusal.message[:MAX_ERROR],
        error_code=refusal.reason.value.upper(),
    )


def judge_lost_claim(claim: Claim, *, claimed_at: datetime, now: datetime, policy: RetryPolicy) -> Settlement:
    """A worker died with this delivery in hand: nobody knows whether the platform got it. It goes out again now."""
    number = claim.attempts + 1
    message = "the worker was lost before the platform's answer was recorded"
    settlement = Settlement(
        claim.key,
        DeliveryStatus.FAILED,
        number,
        due_at=now,
        next_retry_at=now,
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


def judge_health(
    health: Health, outcomes: Sequence[Outcome], now: datetime, started_at: datetime | None = None
) -> Health:
    """The destination after one request. A paused one stays paused: that is the merchant's word.

    ``started_at``: when the request left; from then on a platform that does not answer counts as failing.
    """
    if health.state is DestinationState.PAUSED:
        return health
    for outcome in outcomes:
        match outcome:
            case CredentialsRefused():
                return _hold(health, f"credentials refused: {_message(outcome)}", now)
            case RateLimited(retry_after_seconds=wait):
                rest = RATE_LIMIT_REST if wait is None else timedelta(seconds=wait)
                # It answers: it is there, and knows us. Afterwards it is spared the flood that brought this about.
                return Health(resume_at=now + rest, recovering_since=now + rest)
            case Unreachable() | Unknown():
                return _count_failure(health, outcome, started_at or now, now)
            case Acknowledged() | Rejected():
                pass
    if health == Health() or not outcomes:
        return health
    return _recovered(health, len(outcomes), now)


def _recovered(health: Health, sent: int, now: datetime) -> Health:
    """The platform answers. What gathered during a hold goes out slowly at first: everybody else's does so too."""
    if health.state is DestinationState.HELD:
        return release(now)
    if health.recovering_since is None:
        return Health()
    pace = release_pace(health, now)
    if pace is None:
        return Health()
    return Health(recovering_since=health.recovering_since, resume_at=now + timedelta(seconds=sent / pace))


def release(now: datetime) -> Health:
    """Whole again, from now on at a pace that grows."""
    return Health(recovering_since=now)


def release_pace(health: Health, now: datetime) -> float | None:
    """Deliveries a second of a destination that recovers; None: as fast as they go."""
    if health.recovering_since is None:
        return None
    doubled = max(timedelta(), now - health.recovering_since) / RELEASE_DOUBLES
    if doubled >= math.log2(RELEASE_FULL / RELEASE_START):  # asked first: after hours the power is too big for a float
        return None
    pace: float = RELEASE_START * 2**doubled
    return pace


def _count_failure(health: Health, outcome: Unreachable | Unknown, started_at: datetime, now: datetime) -> Health:
    since = health.failing_since or started_at
    failures = health.failures + 1
    failing = replace(health, failures=failures, failing_since=since)
    if health.state is DestinationState.HELD or (failures >= HOLD_AFTER_FAILURES and now - since >= HOLD_AFTER):
        return _hold(failing, f"unreachable: {_message(outcome)}", now)
    rest = REST_AFTER_FAILURE
    if isinstance(outcome, Unreachable) and outcome.retry_after_seconds is not None:
        rest = max(rest, timedelta(seconds=outcome.retry_after_seconds))
    return replace(failing, resume_at=now + rest)


def _hold(health: Health, reason: str, now: datetime) -> Health:
    pause = min(timedelta(seconds=health.probe_seconds * 2) or FIRST_PROBE, LONGEST_PROBE)
    return Health(
        DestinationState.HELD,
        reason,
        health.failures,
        health.failing_since or now,
        now + pause,
        int(pause.total_seconds()),
    )


_NAMES = {
    Rejected: AttemptOutcome.REJECTED,
    RateLimited: AttemptOutcome.RATE_LIMITED,
    CredentialsRefused: AttemptOutcome.CREDENTIALS_REFUSED,
    Unreachable: AttemptOutcome.UNREACHABLE,
    Unknown: AttemptOutcome.UNKNOWN,
}


def _message(outcome: Rejected | RateLimited | CredentialsRefused | Unreachable | Unknown) -> str:
    """``400 Invalid fbc format``: the status first, where there is one."""
    status = getattr(outcome, "http_status", None)
    return f"{status} {outcome.message}"[:MAX_ERROR] if status else outcome.message[:MAX_ERROR]


def _ms(span: timedelta) -> int:
    return max(0, round(span / timedelta(milliseconds=1)))
