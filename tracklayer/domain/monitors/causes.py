"""Why a destination gets nothing: told apart by what the platform did, since each asks somebody else to act."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tracklayer.domain.delivery import INTERCEPTED, NO_ANSWER_IN_TIME
from tracklayer.domain.health import UNANSWERED


class Cause(StrEnum):
    """What ``details`` of an alert call it."""

    UNMAPPABLE = "unmappable"  # refused by the platform's rules before anything is sent
    REFUSED = "refused"
    CREDENTIALS = "credentials_refused"
    SERVER_ERROR = "server_error"
    TIMED_OUT = "timed_out"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    INTERCEPTED = "intercepted"
    UNCONFIRMED = "unconfirmed"
    RATE_LIMITED = "rate_limited"
    SLOW = "slow"
    WORKERS = "workers"
    PAUSED = "paused"
    INTERNAL = "internal"


# Of these nothing ends by itself: somebody at the shop must act, whatever else was told of the same alert before.
WANTS_SOMEBODY = frozenset({Cause.CREDENTIALS, Cause.REFUSED, Cause.UNMAPPABLE})


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why requests bring no answer that counts. ``status``: of HTTP, where there was an answer."""

    cause: Cause
    status: int | None = None

    def title(self, name: str, credential: str) -> str:
        match self.cause:
            case Cause.CREDENTIALS:
                return f"{name} refuses your {credential}: set {'new ones' if credential.endswith('s') else 'a new one'} now"
            case Cause.SERVER_ERROR:
                return f"{name} answers with errors ({self.status})"
            case Cause.TIMED_OUT:
                return f"{name} is too slow: requests time out"
            case Cause.NO_ANSWER:
                return f"{name} does not answer"
            case Cause.UNCONFIRMED:
                return f"{name} answers, but confirms no event"
            case Cause.INTERCEPTED:
                return f"Something between TrackLayer and {name} answers in its place"
            case Cause.INTERNAL:
                return f"TrackLayer cannot send to {name}"
            case _:
                return f"{name} cannot be reached"

    def what_to_do(self, name: str, credential: str, waiting: int) -> str:
        """Who must act, and how; a sentence. ``waiting``: how many deliveries do."""
        then = "all that waits goes out" if waiting else "what comes from then on goes out"
        again = f"TrackLayer keeps trying, and {then} once it"
        match self.cause:
            case Cause.CREDENTIALS:
                return (
                    f"Whoever manages your account at {name} must make {'new' if credential.endswith('s') else 'a new'}"
                    f" {credential} and set {'them' if credential.endswith('s') else 'it'} on the destination:"
                    f" {then} at once."
                )
            case Cause.INTERCEPTED:
                return (
                    "TrackLayer's operator must let its requests through: a proxy, a firewall or a sign-in page stands in"
                    f" the way. You need do nothing: {again} gets through."
                )
            case Cause.INTERNAL:
                return "TrackLayer's operator must mend that, its log says more. You need do nothing."
            case Cause.UNREACHABLE:
                return (
                    f"You need do nothing: {again} answers. Where no other platform can be reached either, TrackLayer's"
                    " operator must look at its network."
                )
            case _:
                return f"You need do nothing, the fault is {name}'s: {again} answers as usual."


_UNANSWERED = frozenset(
    {
        Cause.CREDENTIALS,
        Cause.SERVER_ERROR,
        Cause.TIMED_OUT,
        Cause.NO_ANSWER,
        Cause.UNREACHABLE,
        Cause.INTERCEPTED,
        Cause.UNCONFIRMED,
        Cause.INTERNAL,
    }
)
_STATUS = re.compile(r"(?:[a-z_ ]+: )?([1-5][0-9][0-9])\b")


def _status_in(text: str | None) -> int | None:
    """The HTTP status that a hold's reason, or an error of a delivery, begins with."""
    found = _STATUS.match(text) if text else None
    return int(found[1]) if found else None


def cause_of_hold(reason: str) -> Unanswered:
    """By the words that ``domain.health`` begins a hold's reason with."""
    if reason.startswith("credentials"):
        return Unanswered(Cause.CREDENTIALS)
    if reason.startswith("TrackLayer"):
        return Unanswered(Cause.INTERNAL)
    if reason.startswith(INTERCEPTED):
        return Unanswered(Cause.INTERCEPTED)
    return cause_of_error(reason, is_unknown=reason.startswith(UNANSWERED))


def cause_of_error(error: str | None, *, is_unknown: bool) -> Unanswered:
    """By what was written of an attempt. ``is_unknown``: it was sent, and no answer was read."""
    if is_unknown:
        is_late = error is not None and NO_ANSWER_IN_TIME in error
        return Unanswered(Cause.TIMED_OUT if is_late else Cause.NO_ANSWER)
    return _by_status(_status_in(error))


def cause_of_attempts(error: str | None, *, is_shut_out: bool, is_unknown: bool) -> Unanswered:
    """The same of many. ``is_shut_out``: most were refused for the credentials, whatever the last one was answered."""
    return Unanswered(Cause.CREDENTIALS) if is_shut_out else cause_of_error(error, is_unknown=is_unknown)


def cause_told(cause: str | None, said: str | None) -> Unanswered | None:
    """What an alert gave as its cause, as its details hold it. ``said``: the reason or the error that it was told by.

    None where that was no want of answers.
    """
    if cause not in _UNANSWERED:
        return None
    return Unanswered(Cause(cause), _status_in(said))


def _by_status(status: int | None) -> Unanswered:
    if status is None:
        return Unanswered(Cause.UNREACHABLE)
    if status in (408, 425):
        return Unanswered(Cause.TIMED_OUT, status)
    if status >= 500:
        return Unanswered(Cause.SERVER_ERROR, status)
    return Unanswered(Cause.UNCONFIRMED if status < 300 else Cause.UNREACHABLE, status)
