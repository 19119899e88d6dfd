"""What Meta answers: what becomes of the events, and what each of its codes means to a merchant.

Source: Meta for Developers, "Handling errors", "Using the API", "Rate limiting". Read 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    CredentialsRefused,
    Outcome,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.mappers.base import (
    Explanation,
    by_status,
    no_answer_of_the_platform,
    plain_words,
    retry_after,
    safe_message,
    taken,
    whole_number,
)

_RATE_LIMITS = frozenset({4, 17, 32, 613})
_CREDENTIALS = frozenset({3, 10, 102, 104, 190})
_TRANSIENT = frozenset({1, 2, 341, 368})

# An event as it was stored is sent again as it was: only what a setting or a default of the destination adds can change.
_COMPARE = (
    "look at the payload of the delivery (or `preview` of such an event) beside the field table of this page, and beside that of "
    "an event with the same name that Meta took: what only this one has, or lacks, is what to correct."
)
_THEN = "Correct it in your next events; redeliver this one only where a setting of the destination was at fault."
EXPLANATIONS: Mapping[str, Explanation] = {
    "190": Explanation(
        "The access token is wrong, expired or was revoked.",
        "Generate a new token in Events Manager (dataset, Settings, Conversions API) and set it on the destination.",
    ),
    "190/463": Explanation(
        "The access token has expired.",
        "Generate a new token in Events Manager; a system user's token does not expire.",
    ),
    "102": Explanation("The session of the access token is not valid.", "Set a new access token on the destination."),
    "104": Explanation(
        "The app demands a proof (appsecret_proof) that came out wrong.",
        "Switch off 'Require app secret' for the app, or use a system user's token of another app.",
    ),
    "3": Explanation("The app lacks the permission for this call.", "Give the system user access to the dataset."),
    "10": Explanation("The token lacks the permission for this call.", "Give the system user access to the dataset."),
    "200": Explanation("The token lacks a permission.", "Give the token's user access to the dataset and try again."),
    "100/33": Explanation(
        "The dataset (pixel) id does not exist or the token has no access to it.",
        "Compare the pixel id with Events Manager and assign the dataset to the token's user.",
    ),
    "100": Explanation(
        "A parameter is invalid.",
        f"Meta's message says which where Meta knows: correct that one. Where it names none, {_COMPARE} {_THEN}",
    ),
    "100/2804003": Explanation(
        "The event is older than 7 days (62 for physical_store).",
        "Send events within 7 days; Meta takes none that are older.",
        "occurred_at",
    ),
    "100/2804009": Explanation(
        "A Purchase came without a value.",
        "Send custom_data.value and currency with every Purchase.",
        "custom_data.value",
    ),
    "100/2804050": Explanation(
        "Too little customer information to match anybody.",
        "Send an email, a phone, an external id, fbp or fbc, or the IP address together with the user agent.",
        "user_data",
    ),
    "105": Explanation(
        "Too many parameters in the request.", "Send fewer custom properties.", "custom_data.properties"
    ),
    "506": Explanation("Meta takes the event for a duplicate of another.", "Nothing to do when it was sent before."),
    "4": Explanation("Too many calls for this app.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "17": Explanation("Too many calls for this user.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "613": Explanation("A rate limit was reached.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "368": Explanation("Meta blocks this account for a while.", "Look into Account Quality in Business Manager."),
    **{
        code: Explanation("A rate limit was reached.", "Nothing to do: TrackLayer waits and goes on by itself.")
        for code in ("32", *map(str, range(80000, 80015)))
    },
    **{
        str(code): Explanation(
            "The token lacks a permission.", "Give the token's user access to the dataset and try again."
        )
        for code in range(201, 300)
    },
    "341": Explanation("A limit of the application was reached for now.", "Nothing to do: it is tried again."),
    "400": Explanation(
        "Meta refused the request without a reason, and so without naming a field.",
        f"First send a test event (`testDestination`): if that is refused too, compare the destination's settings with Events "
        f"Manager. If it is taken, {_COMPARE} {_THEN}",
    ),
    "404": Explanation("Meta knows no such address.", "Check the pixel id and the API version of the destination."),
    "413": Explanation("The request was too large.", "Nothing to do: TrackLayer halves it and sends it again."),
    "1": Explanation("A temporary fault at Meta.", "Nothing to do: it is tried again."),
    "2": Explanation("Meta is temporarily unavailable.", "Nothing to do: it is tried again."),
}


_OF_VERSIONS = frozenset({"facebook-api-version", "x-ad-api-version-warning"})
_VERSION = re.compile(r"\Ahttps://[^/]+/(v[0-9]+\.[0-9]+)/")


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """One verdict for the whole request: a bad event fails all of it, and then nothing is stored."""
    body = reply.json if isinstance(reply.json, Mapping) else None
    error = body.get("error") if body else None
    if isinstance(error, Mapping):
        outcome = _read_error(reply, error)
        if isinstance(outcome, Rejected) and count > 1:
            return BatchRejected(outcome)
        return [outcome] * count
    if 200 <= reply.status < 300:
        if body is not None and whole_number(body.get("events_received")) == count:
            return [_taken(reply, body)] * count
        page = no_answer_of_the_platform(reply)
        if isinstance(page, Unreachable):  # 200 alone is a code of Meta's own
            return [page] * count
        return [Unreachable("the answer does not confirm every event", reply.status, code="unconfirmed")] * count
    if reply.status in (400, 413) and count > 1:
        return BatchRejected(Rejected(str(reply.status), "the request was refused without a reason", reply.status))
    return [by_status(reply)] * count


def _taken(reply: PlatformReply, body: Mapping[str, Any]) -> Acknowledged:
    """``messages`` are warnings; another version than was asked for answers where that one has ended."""
    messages = body.get("messages")
    if not messages and not _OF_VERSIONS & reply.headers.keys():
        return Acknowledged(reply.status)
    said = [one.get("message") if isinstance(one, Mapping) else one for one in _listed(messages)]
    warned = plain_words(reply.headers.get("x-ad-api-version-warning"))
    asked, answered = _VERSION.search(reply.url), plain_words(reply.headers.get("facebook-api-version"))
    of_versions = [f"X-Ad-Api-Version-Warning: {warned}"] if warned else []
    if asked and answered and answered != asked[1]:
        of_versions.append(f"asked for {asked[1]} of the Graph API, answered by {answered}")
    return taken(reply.status, said, of_versions)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _read_error(reply: PlatformReply, error: Mapping[str, Any]) -> Outcome:
    """By code, subcode and is_transient, never by text. ``type`` is OAuthException for nearly everything."""
    code = whole_number(error.get("code")) or 0
    subcode = whole_number(error.get("error_subcode")) or 0
    shown = f"{code}/{subcode}" if subcode else str(code)
    message = safe_message(error.get("error_user_msg")) or safe_message(error.get("message")) or "no reason given"
    if code in _RATE_LIMITS or 80000 <= code <= 80014:
        return RateLimited(_seconds_to_wait(reply), shown, message, reply.status)
    if code in _CREDENTIALS or 200 <= code <= 299 or (code == 100 and subcode == 33):
        return CredentialsRefused(shown, message, reply.status)
    if error.get("is_transient") is True or code in _TRANSIENT or reply.status >= 500:
        return Unreachable(message, reply.status, retry_after(reply), code=shown)
    if reply.status in (401, 408, 429):  # the status says what a code we do not know leaves open
        return by_status(reply, shown, message)
    return Rejected(shown, message, reply.status)


def _seconds_to_wait(reply: PlatformReply) -> float | None:
    """Retry-After where it is given, else the longest estimated_time_to_regain_access (minutes)."""
    told = retry_after(reply)
    if told is not None:
        return told
    minutes = re.findall(
        r'"estimated_time_to_regain_access"\s*:\s*(\d{1,5})', reply.headers.get("x-business-use-case-usage", "")
    )
    return max(map(int, minutes)) * 60.0 if any(map(int, minutes)) else None
