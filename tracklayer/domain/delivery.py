"""Words of the road from a stored Event to a platform's answer: requests, replies, outcomes, settlements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from tracklayer.domain.values import write_instant


class DeliveryStatus(StrEnum):
    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class DropReason(StrEnum):
    RETRIES_EXHAUSTED = "retries_exhausted"
    WINDOW_EXPIRED = "window_expired"
    UNSUPPORTED_EVENT = "unsupported_event"
    MISSING_IDENTIFIERS = "missing_identifiers"
    INVALID_FIELD = "invalid_field"
    EVENT_TOO_OLD = "event_too_old"
    CONSENT_DENIED = "consent_denied"
    DESTINATION_REMOVED = "destination_removed"
    ERASED = "erased"
    SUPPRESSED = "suppressed"


# What a platform's rules refuse before anything is sent: a failure, as what it refuses itself is. That consent is denied,
# that the platform has no such event, or that nobody wanted it sent any more, is none.
UNMAPPABLE = frozenset({DropReason.MISSING_IDENTIFIERS, DropReason.INVALID_FIELD, DropReason.EVENT_TOO_OLD})
# The code of an INVALID_FIELD: consent is required and the event says nothing of it. Nobody refused, and something is to be
# done. It is a code and no reason of its own, as processes of the version before read no reason that they do not know.
CONSENT_MISSING = "CONSENT_MISSING"
# Codes of an UNSUPPORTED_EVENT, for the same reason: its name is a refund's, or may be. Whoever gave such a name a place in the
# destination's settings would have it counted as one more sale.
NO_REFUND = "NO_REFUND"
MAYBE_REFUND = "MAYBE_REFUND"
# What cannot come right by being sent again.
IN_VAIN = frozenset({DropReason.EVENT_TOO_OLD, DropReason.CONSENT_DENIED, DropReason.ERASED, DropReason.SUPPRESSED})
# Whose person was erased, before or since: neither a success nor a failure of a destination.
LEFT_ALONE = frozenset({DropReason.ERASED, DropReason.SUPPRESSED})


def may_redeliver(status: str, drop_reason: str | None) -> bool:
    """Whether a new series of attempts could help: it failed or was dropped, for what may come right."""
    return status in (DeliveryStatus.FAILED, DeliveryStatus.DROPPED) and drop_reason not in IN_VAIN


class DestinationState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    HELD = "held"


class AttemptOutcome(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    CREDENTIALS_REFUSED = "credentials_refused"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


# What goes out ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoAuth:
    """The request carries no credentials beyond what is in its URL or body."""


@dataclass(frozen=True)
class BearerToken:
    token: str = field(repr=False)


@dataclass(frozen=True)
class HeaderToken:
    name: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class QueryToken:
    name: str
    token: str = field(repr=False)


class BodyToken(NamedTuple):
    """A credential that travels as a top-level field of the JSON body."""

    name: str
    token: str

    def __repr__(self) -> str:
        return f"BodyToken(name={self.name!r})"


@dataclass(frozen=True)
class RefreshedToken:
    """OAuth 2.0: ``form`` is posted to ``token_url``, the ``access_token`` of the answer goes out as a bearer token."""

    token_url: str
    form: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class ServiceAccount:
    """OAuth 2.0 for a Google service account: a signed JWT is exchanged for a bearer token. ``key`` is the JSON key."""

    key: Mapping[str, Any] = field(repr=False)
    scope: str = ""


@dataclass(frozen=True)
class OAuth1:
    """OAuth 1.0a, HMAC-SHA1: the request is signed when it is sent."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    token: str = field(repr=False)
    token_secret: str = field(repr=False)


Auth = NoAuth | BearerToken | HeaderToken | QueryToken | BodyToken | RefreshedToken | ServiceAccount | OAuth1


class PlatformRequest(NamedTuple):
    """One call to a platform. ``body`` is JSON without credentials: ``auth`` says how the transport adds them."""

    url: str
    body: Any
    auth: Auth = NoAuth()
    method: str = "POST"
    headers: Mapping[str, str] = {}  # shared, and never written to

    def __repr__(self) -> str:
        """Without the body: a repr ends up in logs."""
        return (
            f"PlatformRequest(url={self.url!r}, auth={self.auth!r}, method={self.method!r}, headers={self.headers!r})"
        )


# What comes back ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlatformReply:
    """An answer read to its end. ``json`` is None where the body is none; header names are lower-case.

    ``received_at``: when it had been read, for what it says of times. ``url``: of the request, without credentials.
    """

    status: int
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    received_at: datetime | None = field(default=None, compare=False)
    url: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class NotSent:
    """Nobody answered the door: the platform certainly received nothing. ``is_of_merchant``: for a setting of that merchant;
    ``is_ours``: nobody was asked, for what this process lacks.
    """

    reason: str
    is_of_merchant: bool = False
    is_ours: bool = False


@dataclass(frozen=True)
class NoAnswer:
    """Sent, or partly sent, and no complete answer was read: the platform may have received it."""

    reason: str


@dataclass(frozen=True)
class TokenRefused:
    """The token endpoint refused the credentials: the platform itself was never asked."""

    code: str
    status: int | None = None


Reply = PlatformReply | NotSent | NoAnswer | TokenRefused


# What it means for one delivery -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The platform took it. ``note``: what it said about that besides, which holds no token, address or payload; ``code``: of
    that, the platform's own or one of ours; both empty where it said nothing.
    """

    http_status: int | None = 200
    note: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """This event was refused. ``code`` is the platform's own; ``message`` holds no token, address or payload."""

    code: str
    message: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimited:
    retry_after_seconds: float | None = None
    code: str = ""
    message: str = "too many requests"
    http_status: int | None = 429


@dataclass(frozen=True, slots=True)
class CredentialsRefused:
    code: str
    message: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answered, or only with a server error. ``may_have_arrived`` is False where nothing was sent.

    ``is_of_merchant``: for a setting of that merchant, so it says nothing about the platform.
    """

    message: str
    http_status: int | None = None
    retry_after_seconds: float | None = None
    may_have_arrived: bool = True
    code: str = ""
    is_of_merchant: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Sent, no answer read."""

    message: str


NO_ANSWER_IN_TIME = "no answer in time"  # what an Unknown says of a request that timed out
INTERCEPTED = "intercepted"  # code of an Unreachable: something in between answered, such as a proxy

NOTED = "noted"  # code of a note that has none of the platform's
INTERFACE_VERSION = "interface_version"  # code of a note about the version of the platform's interface

Outcome = Acknowledged | Rejected | RateLimited | CredentialsRefused | Unreachable | Unknown

MAX_ERROR = 300  # characters kept of a platform's message


def message_of(outcome: Rejected | RateLimited | CredentialsRefused | Unreachable | Unknown) -> str:
    """``400 Invalid fbc format``: the status first, where there is one."""
    status = getattr(outcome, "http_status", None)
    return f"{status} {outcome.message}"[:MAX_ERROR] if status else outcome.message[:MAX_ERROR]


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """A fault of ours: nothing was sent, and it costs no attempt. ``message`` is for the merchant, and names no words.

    ``put_off``: where that is known, until when it may be mended. ``is_of_all``: no smaller request would fare better.
    """

    message: str
    put_off: timedelta | None = None
    is_of_all: bool = False


@dataclass(frozen=True, slots=True)
class BatchRejected:
    """The whole request was refused and nothing stored, because of some event in it: halve it and send again."""

    rejected: Rejected


Verdict = Sequence[Outcome] | BatchRejected


# What nobody knows -------------------------------------------------------------------------------------------------


def may_be_doubled(attempts: Sequence[tuple[datetime, str]], last: datetime | None, memory: timedelta | None) -> bool:
    """Whether an attempt that nobody answered was followed by one that the platform takes for another event; or one that was
    acknowledged, by one that it acknowledged too or nobody answered: it was on its way when the answer came late.

    ``attempts``: (when, outcome), oldest first. ``last``: of the last attempt that was made or is to come, which the log
    need not hold. ``memory``: how far apart the platform recognises a copy; None: never.
    """
    latest = max([at for at, _ in attempts] + ([last] if last is not None else []), default=None)
    taken = [at for at, outcome in attempts if outcome in (AttemptOutcome.UNKNOWN, AttemptOutcome.ACKNOWLEDGED)]
    followed: dict[str, datetime | None] = {
        AttemptOutcome.UNKNOWN: latest,
        AttemptOutcome.ACKNOWLEDGED: max(taken, default=None),
    }
    return any(
        then is not None and then > at and (memory is None or then - at > memory)
        for at, then in [(at, followed.get(outcome)) for at, outcome in attempts]
    )


# What becomes of the rows -------------------------------------------------------------------------------------------


class DeliveryKey(NamedTuple):
    merchant_id: int
    event_id: str
    platform: str


class Claim(NamedTuple):
    """A worker's lease on one delivery. ``due_at`` is when it was due before it was claimed."""

    key: DeliveryKey
    attempts: int
    received_at: datetime
    due_at: datetime
    window_ends_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not sent at all: the mapper or the clock says why."""

    reason: DropReason
    message: str
    field: str | None = None
    code: str | None = None  # where it says more than the reason


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """One line of a delivery's attempt log. ``note``: what the platform said of what it took; ``code``: of that, or of ``error``."""

    number: int
    at: datetime
    outcome: AttemptOutcome
    http_status: int | None
    error: str | None
    duration_ms: int
    code: str | None = None
    note: str | None = None


def told_attempts(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """An attempt log, its instants as everywhere else."""
    return [{**entry, "at": write_instant(datetime.fromisoformat(entry["at"]))} for entry in map(told_attempt, log)]


def told_attempt(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of an entry of the log as it is stored, what is told; the rest is for counting alone."""
    return {name: value for name, value in entry.items() if name != "again"}


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of one delivery. ``due_at`` None: final. ``logged`` None: nothing reached the platform.

    ``drop_field``: the path of our Event that it was refused for before it was sent. ``came_too_late``: it was dropped for
    an age that the platform did not take even when it arrived.
    """

    key: DeliveryKey
    status: DeliveryStatus
    attempts: int
    due_at: datetime | None = None
    next_retry_at: datetime | None = None
    drop_reason: DropReason | None = None
    drop_field: str | None = None
    last_error: str | None = None
    error_code: str | None = None
    last_attempt_at: datetime | None = None
    logged: LoggedAttempt | None = None
    came_too_late: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How a destination is doing, as its row says; ``domain.health`` tells what that means and what changes it.

    ``resume_at``: nothing is sent before. ``turn_ends_at``: till then one worker has the turn, and no other looks.
    ``recovering_since``: when a hold or a pause ended; what had gathered is released at a pace that grows from then on.
    ``probe_seconds``: of a hold, its last pause; of a rate limit, the least that the present one may be.
    """

    state: DestinationState = DestinationState.ACTIVE
    reason: str | None = None
    failures: int = 0
    failing_since: datetime | None = None
    resume_at: datetime | None = None
    probe_seconds: int = 0
    recovering_since: datetime | None = None
    turn_ends_at: datetime | None = None


@dataclass(frozen=True)
class Destination:
    """Where a merchant's events go on one platform. ``settings`` hold opened secrets: never log or show them."""

    merchant_id: int
    platform: str
    settings: Mapping[str, Any] = field(repr=False)
    event_names: tuple[str, ...] | None = None
    health: Health = Health()
