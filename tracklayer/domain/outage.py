"""Whether a platform serves nobody, judged by what the requests of all its merchants came to. Pure functions.

| condition | says | until | its row |
| --- | --- | --- | --- |
| Serving | each destination goes by its own health | requests of several merchants fail and nobody's is answered | nothing |
| In doubt | the same; ``failing`` names the merchants | anybody's request is answered, or it is down | ``failing`` |
| Down | nothing is sent but a few probes a round, whoever asks | one of these is answered | ``opened_at`` |

Evidence are requests of several merchants that failed, one after another, while nobody got an answer. So no merchant opens it
alone, whatever his settings lead to; nor do those who have been failing for long, since the others would not fail for that.
Nor do the same few open it again and again: whoever failed in an outage counts again once it was answered.
An answer is whatever the platform says: that it refuses an event, a credential or a rate is said by one that serves.

Destinations with something to send are held meanwhile, with the same reason and until the next round; in each round a few of
them are named, and each of these sends one delivery. Nobody waits for their answers: where none is heard of, for whatever
cause, the next round names others. Once it serves again its destinations are released at a pace that all share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tracklayer.domain.delivery import INTERCEPTED, Outcome, Unknown, Unreachable
from tracklayer.domain.health import DOWN, FIRST_PROBE, HOLD_AFTER, LONGEST_PROBE, words_of

MERCHANTS = 3  # whose requests must have failed
MEMORY = timedelta(minutes=5)  # of a failure: who sends seldom is tried again within it, after two and a half
NOTED_AGAIN = timedelta(seconds=10)  # between two notes of one merchant's failures
PROBES = 3  # a round, of as many merchants: one that is broken by its own fault must not keep all others back
TRIED = 30  # merchants remembered, so that the next round names others
SUSPECTS = 100
RELEASE_START = 10  # destinations a second that are released at first
RELEASE_DOUBLES = timedelta(seconds=5)
_A_DOUBLING = RELEASE_START * RELEASE_DOUBLES.total_seconds() / math.log(2)
_FULL = timedelta(minutes=2)  # after that the pace has no end


@dataclass(frozen=True, slots=True)
class PlatformHealth:
    """How a platform is doing for all. ``failing``: merchant -> when a request of its failed, or when it was named for a probe.

    ``failing_since``: when the first of these requests left, with no answer to anybody since. ``opened_at``: from then on it is
    down. ``resume_at``: the next round of probes; ``probers``: who may send one until then and has not yet.
    ``released_to``: up to when places of a release have been given out. ``suspects``: merchants that failed in the last outage
    and have not been answered since it ended, be it for a fault of their own: their failures are no evidence.
    """

    failing: Mapping[int, datetime] = field(default_factory=dict)
    failing_since: datetime | None = None
    reason: str | None = None
    opened_at: datetime | None = None
    resume_at: datetime | None = None
    probe_seconds: int = 0
    probers: tuple[int, ...] = ()
    recovering_since: datetime | None = None
    released_to: datetime | None = None
    suspects: tuple[int, ...] = ()

    @property
    def is_down(self) -> bool:
        return self.opened_at is not None

    @property
    def is_in_doubt(self) -> bool:
        """Enough merchants have failed; only the time is wanting."""
        return not self.is_down and len(self.failing) >= MERCHANTS


SERVING = PlatformHealth()


def is_answer(outcomes: Sequence[Outcome]) -> bool:
    """Whether the platform said anything, be it that it refuses."""
    return not all(isinstance(outcome, Unreachable | Unknown) for outcome in outcomes)


def failure_of(outcomes: Sequence[Outcome]) -> Unreachable | Unknown | None:
    """What kept a whole request from being answered: a time-out, a fault of the connection, a server's error.

    None where it was answered, and where what it was answered may be for that merchant alone.
    """
    found = None
    for outcome in outcomes:
        if not (isinstance(outcome, Unknown) or (isinstance(outcome, Unreachable) and _concerns_all(outcome))):
            return None
        found = found or outcome
    return found


def _concerns_all(outcome: Unreachable) -> bool:
    if outcome.is_of_merchant:
        return False
    return outcome.http_status is None or outcome.http_status >= 500 or outcome.code == INTERCEPTED


def judge_failure(
    health: PlatformHealth,
    merchant_id: int,
    outcome: Unreachable | Unknown,
    started_at: datetime,
    now: datetime,
    merchant_failing_since: datetime | None = None,
) -> PlatformHealth:
    """After a request that was not answered. ``merchant_failing_since``: since when that merchant's had failed before it."""
    wish = getattr(outcome, "retry_after_seconds", None)
    # What one merchant is asked for is kept by its own destination; for all it counts as much as the longest pause.
    asked = min(timedelta(seconds=wish), LONGEST_PROBE) if wish is not None else timedelta()
    reason = words_of(_for_everybody(outcome))
    if health.opened_at is not None:
        if started_at <= health.opened_at:
            return health
        return replace(health, reason=reason, resume_at=max(health.resume_at or now, now + asked))
    if merchant_id in health.suspects:
        return health
    if merchant_failing_since is not None and started_at - merchant_failing_since > MEMORY:
        return health  # it fails for longer than the others do, so for something of its own
    failing = {one: at for one, at in health.failing.items() if abs(now - at) <= MEMORY}  # either way: clocks are set
    since = min(health.failing_since or started_at, started_at) if failing else started_at
    if len(failing) < MERCHANTS or merchant_id in failing:
        at = failing.get(merchant_id)
        failing[merchant_id] = now if at is None or now - at >= NOTED_AGAIN else at
    if len(failing) < MERCHANTS or now - since < HOLD_AFTER:
        if failing == health.failing and since == health.failing_since:
            return health
        return replace(health, failing=failing, failing_since=since, reason=reason)
    return PlatformHealth(
        failing,
        since,
        reason,
        opened_at=now,
        resume_at=now + max(FIRST_PROBE, asked),
        probe_seconds=int(FIRST_PROBE.total_seconds()),
        suspects=health.suspects,
    )


def judge_answer(health: PlatformHealth, merchant_id: int, started_at: datetime, now: datetime) -> PlatformHealth:
    """After a request that was answered. Where it left before the platform was down, it says nothing about what is now."""
    if health.opened_at is not None:
        if started_at <= health.opened_at:
            return health
        failed = dict.fromkeys((*health.suspects, *health.failing))
        failed.pop(merchant_id, None)
        return PlatformHealth(recovering_since=now, released_to=now, suspects=tuple(failed)[-SUSPECTS:])
    if health.failing:
        health = replace(health, failing={}, failing_since=None, reason=None)
    if merchant_id in health.suspects:
        health = replace(health, suspects=tuple(one for one in health.suspects if one != merchant_id))
    return health


def _for_everybody(outcome: Unreachable | Unknown) -> Unreachable | Unknown:
    """Without what the platform said to one merchant: others read it, too."""
    if isinstance(outcome, Unknown) or outcome.http_status is None or outcome.code == INTERCEPTED:
        return outcome
    return replace(outcome, message="an error instead of an answer")


def next_round(health: PlatformHealth, probers: Sequence[int], now: datetime) -> PlatformHealth:
    """The round that begins now, with those who probe in it; the next one comes later by twice as long."""
    pause = min(timedelta(seconds=health.probe_seconds * 2), LONGEST_PROBE)
    tried = sorted({**health.failing, **dict.fromkeys(probers, now)}.items(), key=lambda one: one[1])
    return replace(
        health,
        failing=dict(tried[-TRIED:]),
        resume_at=now + pause,
        probe_seconds=int(pause.total_seconds()),
        probers=tuple(probers),
    )


def reason_of(health: PlatformHealth) -> str:
    """Of a destination that is held because its platform is down: what monitors and screens know, and since when."""
    since = health.failing_since or health.opened_at
    return f"{health.reason} {DOWN}{since.astimezone(UTC):%Y-%m-%d %H:%M} UTC)" if since else f"{health.reason}"


def release_slot(rank: int) -> timedelta:
    """When the destination of this rank, from 0, is released, from the first on."""
    return RELEASE_DOUBLES * math.log2(rank / _A_DOUBLING + 1)


def released_by(span: timedelta) -> int:
    """How many are released so long after the first."""
    doublings: float = min(max(span, timedelta()), _FULL) / RELEASE_DOUBLES
    return int(_A_DOUBLING * (2**doublings - 1))
