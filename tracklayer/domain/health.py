"""How a destination is doing, and what each request that was sent to it changes about that. Pure functions.

| condition | says | until | its row |
| --- | --- | --- | --- |
| Active | sends freely | a request fails, is limited or refused | ``state`` active, nothing else |
| Resting | sends nothing: a request failed a moment ago, or the platform limits the rate | ``resume_at`` | ``resume_at`` ahead |
| Held | sends nothing: the platform is away, or refuses the credentials | ``resume_at``, then one probe | ``state`` held |
| Probing | one worker sends one delivery; nobody else sends | it is answered, at most ``turn_ends_at`` | held, ``turn_ends_at`` ahead |
| Recovering | sends at a pace that grows, a worker at a time | its pace is full | ``recovering_since`` |
| Paused | sends nothing, by the merchant's word | the merchant resumes it | ``state`` paused |

Two fields of the row say when, each one thing: nothing is sent before ``resume_at``, whoever asks; and nobody else looks
before ``turn_ends_at`` while one worker has the turn. ``judge_health`` is the one transition after a request. It takes the
row as it stands under its lock, not as it stood when the request left: of several answers the longest wait holds, an
answer that comes late shortens nothing, and a hold is moved by its own probe alone.

A wait that a platform asks for is kept, within bounds: never less than a floor that doubles with each limit in a row (1 s
to 5 min), so that "again in 0 s" is no endless loop; never more than an hour, after which it is asked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.delivery import (
    INTERCEPTED,
    Acknowledged,
    CredentialsRefused,
    DestinationState,
    Health,
    Outcome,
    RateLimited,
    Rejected,
    Unknown,
    Unreachable,
    message_of,
)

HOLD_AFTER_FAILURES = 3  # requests in a row: one or two stray errors hold nothing
HOLD_AFTER = timedelta(seconds=5)  # and over at least this long, so that one hiccup seen by many threads is one
FIRST_PROBE = timedelta(seconds=30)
LONGEST_PROBE = timedelta(minutes=5)
REST_AFTER_FAILURE = timedelta(seconds=2)  # before the threshold: long enough to spare a struggling platform
RELEASE_START = 100  # deliveries a second right after a hold
RELEASE_DOUBLES = timedelta(seconds=5)  # as long as the platform takes it, its pace doubles in this time
RELEASE_FULL = 3200  # deliveries a second, reached after 25 s: from there on nobody counts
RELEASE_GROWS = RELEASE_DOUBLES * math.log2(RELEASE_FULL / RELEASE_START)
RATE_LIMIT_REST = timedelta(seconds=60)  # where the platform does not say for how long
FIRST_FLOOR = 1  # seconds: no wait is shorter, whatever the platform asks for
LAST_FLOOR = 300
LONGEST_WISH = timedelta(hours=1)  # kept of a platform's wish, then it is asked again

_WELL = Health()
UNANSWERED = "unanswered"  # how the reason of a hold begins whose requests may have arrived
# How it ends where the destination is held with its platform, before the instant.
DOWN = "(down for every merchant since "

CREDENTIALS_REFUSED = "credentials refused"  # so begins the reason of such a hold


@dataclass(frozen=True, slots=True)
class Active:
    failures: int


@dataclass(frozen=True, slots=True)
class Resting:
    resume_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    reason: str
    resume_at: datetime


@dataclass(frozen=True, slots=True)
class Probing:
    reason: str
    turn_ends_at: datetime


@dataclass(frozen=True, slots=True)
class Recovering:
    """``pace``: deliveries a second."""

    pace: float


@dataclass(frozen=True, slots=True)
class Paused:
    pass


Condition = Active | Resting | Held | Probing | Recovering | Paused


def condition_of(health: Health, now: datetime) -> Condition:
    """What a row says of its destination at ``now``."""
    if health.state is DestinationState.PAUSED:
        return Paused()
    if health.state is DestinationState.HELD:
        reason = health.reason or "unreachable"
        if health.turn_ends_at is not None and health.turn_ends_at > now:
            return Probing(reason, health.turn_ends_at)
        return Held(reason, health.resume_at or now)
    pace = release_pace(health, now)
    if health.resume_at is not None and health.resume_at > now and not _is_step(health, now):
        return Resting(health.resume_at)
    return Active(health.failures) if pace is None else Recovering(pace)


def may_send(health: Health, now: datetime) -> bool:
    """Whether a worker may take deliveries now; where it is a probe or a step of a release, one worker at a time."""
    if health.state is DestinationState.PAUSED:
        return False
    waits = (health.resume_at, health.turn_ends_at)
    return all(at is None or at <= now for at in waits)


def judge_health(
    health: Health,
    outcomes: Sequence[Outcome],
    now: datetime,
    started_at: datetime | None = None,
    *,
    had_turn: bool = True,
    sent: int | None = None,
) -> Health:
    """The destination after one request; ``health`` as its row says under the lock. A paused one stays paused.

    ``started_at``: when the request left; from then on a platform that does not answer counts as failing. ``had_turn``:
    it was the probe of a hold, or a step of a release, and the turn ends with it. ``sent``: deliveries of that step, where
    it took several requests.
    """
    if health.state is DestinationState.PAUSED or not outcomes:
        return health
    is_late = health.state is DestinationState.HELD and not had_turn
    after = health if is_late else _judged(health, outcomes, now, started_at or now, sent or len(outcomes))
    turn_ends_at = None if had_turn else health.turn_ends_at
    return after if after.turn_ends_at == turn_ends_at else replace(after, turn_ends_at=turn_ends_at)


def _judged(health: Health, outcomes: Sequence[Outcome], now: datetime, started_at: datetime, sent: int) -> Health:
    for outcome in outcomes:
        match outcome:
            case CredentialsRefused():
                return _hold(health, f"{CREDENTIALS_REFUSED}: {message_of(outcome)}", now)
            case RateLimited(retry_after_seconds=wait):
                return _limited(health, wait, now)
            case Unreachable() | Unknown():
                return _count_failure(health, outcome, started_at, now)
            case Acknowledged() | Rejected():
                pass
    return _answered(health, sent, now, started_at)


def _answered(health: Health, sent: int, now: datetime, started_at: datetime) -> Health:
    """The platform answers. What gathered during a hold goes out slowly at first: everybody else's does so too."""
    if health == _WELL:
        return health
    if health.state is DestinationState.HELD:
        return release(now)
    if health.resume_at is not None and health.resume_at > started_at and not _is_step(health, started_at):
        # It left before the rest began, and says nothing about what the platform asked for since.
        return replace(health, failures=0, failing_since=None)
    pace = release_pace(health, now)
    if pace is None:
        return Health()
    return Health(recovering_since=health.recovering_since, resume_at=now + timedelta(seconds=sent / pace))


def _limited(health: Health, wait: float | None, now: datetime) -> Health:
    """It answers: it is there, and knows us. Afterwards it is spared the flood that brought this about."""
    floor = min(health.probe_seconds * 2 or FIRST_FLOOR, LAST_FLOOR)
    if health.state is DestinationState.HELD:
        floor, health = FIRST_FLOOR, Health()
    elif health.resume_at is not None and health.resume_at > now and health.probe_seconds:
        floor = health.probe_seconds  # one limit, told by several requests that were on their way
    asked = RATE_LIMIT_REST if wait is None else timedelta(seconds=wait)
    ends = _longest(health, now + min(max(asked, timedelta(seconds=floor)), LONGEST_WISH))
    return Health(resume_at=ends, recovering_since=ends, probe_seconds=floor)


def _count_failure(health: Health, outcome: Unreachable | Unknown, started_at: datetime, now: datetime) -> Health:
    since = health.failing_since or started_at
    failures = health.failures + 1
    failing = replace(health, failures=failures, failing_since=since)
    wish = getattr(outcome, "retry_after_seconds", None)
    asked = min(timedelta(seconds=wish), LONGEST_WISH) if wish is not None else timedelta()
    if health.state is DestinationState.HELD or (failures >= HOLD_AFTER_FAILURES and now - since >= HOLD_AFTER):
        # Where its platform is down, a probe of its own that fails changes nothing about that.
        mark = health.reason.find(f" {DOWN}") if health.reason else -1
        words = words_of(outcome) if mark < 0 else words_of(outcome) + health.reason[mark:]  # type: ignore[index]
        return _hold(failing, words, now, asked)
    ends = _longest(health, now + max(REST_AFTER_FAILURE, asked))
    # A release that goes on begins anew behind the rest: else an answer to what left before would pass for its next step.
    return replace(failing, resume_at=ends, recovering_since=ends if health.recovering_since is not None else None)


def words_of(outcome: Unreachable | Unknown) -> str:
    """Why nothing gets through, as the reason of a hold: how it begins is what monitors and screens go by."""
    kind = UNANSWERED if isinstance(outcome, Unknown) else "unreachable"
    if isinstance(outcome, Unreachable) and outcome.code == INTERCEPTED:
        kind = INTERCEPTED
    return f"{kind}: {message_of(outcome)}"


def _hold(health: Health, reason: str, now: datetime, asked: timedelta = timedelta()) -> Health:
    before = health.probe_seconds if health.state is DestinationState.HELD else 0  # else of a rate limit
    pause = min(timedelta(seconds=before * 2) or FIRST_PROBE, LONGEST_PROBE)
    return Health(
        DestinationState.HELD,
        reason,
        health.failures,
        health.failing_since or now,
        now + max(pause, asked),
        int(pause.total_seconds()),
    )


def hold_for_us(health: Health, reason: str, now: datetime) -> Health:
    """Held for a fault of ours; a paused one stays paused."""
    return health if health.state is DestinationState.PAUSED else _hold(health, reason, now)


def _longest(health: Health, ends: datetime) -> datetime:
    return ends if health.resume_at is None else max(health.resume_at, ends)


def release(now: datetime) -> Health:
    """Whole again, from now on at a pace that grows."""
    return Health(recovering_since=now)


def release_pace(health: Health, now: datetime) -> float | None:
    """Deliveries a second of a destination that recovers; None: as fast as they go."""
    if health.recovering_since is None:
        return None
    since = max(timedelta(), now - health.recovering_since)
    if since >= RELEASE_GROWS:  # asked first: after hours the power is too big for a float
        return None
    pace: float = RELEASE_START * 2 ** (since / RELEASE_DOUBLES)
    return pace


def next_try(
    next_retry_at: datetime | None, due_at: datetime | None, health: Health | None, now: datetime
) -> datetime | None:
    """When a delivery that waits is tried next; of a held one, when its destination is probed. None: nobody can tell.

    ``health``: of its destination; None where that is gone.
    """
    if health is not None and health.state is DestinationState.PAUSED:
        return None
    planned = next_retry_at
    if planned is None and due_at is not None and due_at > now:
        planned = due_at  # redelivered together with many: it is not its turn yet
    if health is None or health.resume_at is None:
        return planned
    return max(planned, health.resume_at) if planned else health.resume_at


def release_time(waiting: int) -> timedelta:
    """How long a release takes for so many at least, where the platform takes all that it is sent.

    Its pace is summed up while it grows; from there on it is reckoned with the full one.
    """
    a_doubling = RELEASE_START * RELEASE_DOUBLES.total_seconds() / math.log(2)
    while_it_grows = a_doubling * (RELEASE_FULL / RELEASE_START - 1)
    if waiting <= while_it_grows:
        return RELEASE_DOUBLES * math.log2(waiting / a_doubling + 1)
    return RELEASE_GROWS + timedelta(seconds=(waiting - while_it_grows) / RELEASE_FULL)


def _is_step(health: Health, at: datetime) -> bool:
    """Whether ``resume_at`` is but the next step of a release that goes on, and no rest."""
    return health.recovering_since is not None and health.recovering_since <= at
