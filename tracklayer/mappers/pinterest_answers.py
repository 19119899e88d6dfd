"""What Pinterest answers: what becomes of each event, and what each of its codes means to a merchant.

Source: pinterest/api-description, v5/openapi.json 5.23.0, operation events/create. Read 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    Outcome,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.mappers.base import Explanation, by_status, no_answer_of_the_platform, safe_message, taken, whole_number

_NEW_TOKEN = Explanation(
    "The access token is wrong or expired.",
    "Generate a new conversion token in Ads Manager and set it on the destination.",
)
_NO_ACCESS = Explanation(
    "The token has no right on this ad account.",
    "Compare the ad account ID; the token's owner needs the role Admin, Analyst, Audience or Campaign on it.",
)
_INVALID = Explanation(
    "The request does not follow Pinterest's schema.",
    "Compare the event with the field table of this page; its neighbours were sent without it.",
)
_TOO_FAST = Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself.")
_RAMPED_DOWN = Explanation("Pinterest takes no events for a while.", "Nothing to do: it is tried again by itself.")
_UNCONFIRMED = Explanation(
    "The answer does not say what became of this event.", "Nothing to do: it is tried again by itself."
)
EXPLANATIONS: Mapping[str, Explanation] = {
    **dict.fromkeys(("4196", "400"), _INVALID),
    **dict.fromkeys(("2", "401"), _NEW_TOKEN),
    **dict.fromkeys(("29", "403"), _NO_ACCESS),
    **dict.fromkeys(("8", "429"), _TOO_FAST),
    **dict.fromkeys(("4197", "500", "502", "503", "504"), _RAMPED_DOWN),
    "failed": Explanation(
        "Pinterest did not process this event; the message says why.",
        "Correct what the message names in your next events.",
    ),
    "422": Explanation(
        "Pinterest did not process this event and gave no details.",
        "Compare the event with the field table of this page.",
    ),
    "unconfirmed": _UNCONFIRMED,
}


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """Event by event where the answer lists them, with 200 as with 422; otherwise one verdict for all."""
    body = reply.json if isinstance(reply.json, Mapping) else {}
    is_success = 200 <= reply.status < 300
    if is_success or reply.status == 422:
        results = _results(body)
        if len(results) == count:
            return [_read_result(result, reply.status) for result in results]
    if is_success:
        if whole_number(body.get("num_events_processed")) == count and not _results(body):
            return [Acknowledged(reply.status)] * count
        page = no_answer_of_the_platform(reply)
        if isinstance(page, Unreachable):
            return [page] * count
        return [_unconfirmed(reply.status)] * count
    outcome = _read_error(reply, body)
    if isinstance(outcome, Rejected) and count > 1:
        return BatchRejected(outcome)
    return [outcome] * count


def _results(body: Mapping[str, Any]) -> Sequence[Any]:
    """The list of single verdicts, in ``details`` or at the top; empty where there is none."""
    details = body.get("details")
    for holder in (details if isinstance(details, Mapping) else {}, body):
        events = holder.get("events")
        if isinstance(events, list):
            return events
    return ()


def _read_result(result: Any, status: int) -> Outcome:
    """``processed``, also with a warning, or ``failed``."""
    given = result if isinstance(result, Mapping) else {}
    if given.get("status") == "processed":
        return taken(status, (given.get("warning_message"),))
    if given.get("status") == "failed":
        return Rejected("failed", safe_message(given.get("error_message")) or "Pinterest gave no reason", status)
    return _unconfirmed(status)


def _unconfirmed(status: int) -> Unreachable:
    return Unreachable("the answer does not confirm the event", status, code="unconfirmed")


def _read_error(reply: PlatformReply, body: Mapping[str, Any]) -> Outcome:
    """The status decides; ``code`` is only shown."""
    code = whole_number(body.get("code"))
    shown = "" if code is None else str(code)
    outcome = by_status(reply, shown, safe_message(body.get("message")))
    if isinstance(outcome, RateLimited) and outcome.retry_after_seconds is None:
        seconds = reply.headers.get("x-ratelimit-reset", "")
        if re.fullmatch(r"[0-9]{1,5}", seconds):  # more digits would be a date
            return replace(outcome, retry_after_seconds=float(seconds))
    return outcome
