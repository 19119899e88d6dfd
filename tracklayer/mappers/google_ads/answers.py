"""What Google's answers mean: both APIs name errors alike, in the same envelope.

Source: Google for Developers, Data Manager API: "Diagnostics", package google-ads-datamanager 0.9.4; Google Ads API: package
google-ads 34.0.0. Read 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tracklayer.domain.delivery import (
    NO_REFUND,
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
    MOST_SAID,
    Explanation,
    by_status,
    no_answer_of_the_platform,
    plain_words,
    retry_after,
    safe_message,
    taken,
    whole_number,
)

WAIT_FOR_CLICKS = 6 * 3600.0  # seconds until Google knows a new conversion action or a fresh click

# What a code means, by the most exact one of an answer. Codes that are in none of these are about one event.
_CREDENTIALS = frozenset(
    "UNAUTHENTICATED PERMISSION_DENIED SERVICE_DISABLED TERMS_AND_CONDITIONS_NOT_SIGNED NOT_ALLOWLISTED "
    "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH "
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED "
    "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS "
    "OAUTH_TOKEN_EXPIRED OAUTH_TOKEN_INVALID OAUTH_TOKEN_REVOKED TWO_STEP_VERIFICATION_NOT_ENROLLED "
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS "
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS".split()
)
_TRANSIENT = frozenset("INTERNAL INTERNAL_ERROR TRANSIENT_ERROR UNAVAILABLE DEADLINE_EXCEEDED UNKNOWN ABORTED".split())
_LIMITED = frozenset({"RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"})
_TOO_EARLY = frozenset(
    "CONVERSION_ACTION_TOO_RECENTLY_CREATED TOO_RECENT_CONVERSION_ACTION TOO_RECENT_EVENT TOO_RECENT_CLICK".split()
)
_THERE_ALREADY = frozenset("CLICK_CONVERSION_ALREADY_EXISTS ORDER_ID_ALREADY_IN_USE DUPLICATE_TRANSACTION_ID".split())
# About the conversion action, which all events of a request share: halving the request would find no culprit.
_OF_THE_ACTION = frozenset(
    "INVALID_CONVERSION_ACTION_ID INVALID_CONVERSION_ACTION_TYPE CUSTOM_VARIABLE_NOT_ENABLED NOT_FOUND".split()
)

_WAIT = "Nothing to do: TrackLayer waits and goes on by itself."
_AGAIN = "Nothing to do: it is tried again by itself."
_COMPARE = "Compare the event with the field table of this page."
_CONNECT = "Connect the account again: client ID, secret and a new refresh token, or a service account."
_ACTION = "Compare the id in conversion_actions with the ctId in the action's address in Google Ads."
_CLICK = "Send the click id exactly as the landing page's address had it, of this account's own ads."

# Codes, what they mean, what to do, and the field of the event that it is about.
_EXPLAINED: tuple[tuple[str, str, str, str | None], ...] = (
    (
        "REQUIRED_FIELD_MISSING INVALID_ARGUMENT FAILED_PRECONDITION 400",
        "A required field is missing or malformed.",
        _COMPARE,
        None,
    ),
    (
        "NO_IDENTIFIERS_PROVIDED",
        "Nothing in the event can be matched.",
        "Send a click id, an email or a phone.",
        "user_data",
    ),
    (
        "INVALID_SHA256_FORMAT INVALID_HEX_ENCODING",
        "A digest is malformed.",
        "Send values plain, or as 64 hexadecimal digits.",
        "user_data",
    ),
    (
        "EVENT_TIME_INVALID EVENT_TOO_OLD EXPIRED_EVENT",
        "The conversion or its click is too old, or its time is wrong.",
        "Send events soon after they happen.",
        "occurred_at",
    ),
    ("TOO_MANY_EVENTS", "Too many events in one request.", "Tell the operator of TrackLayer.", None),
    (
        "EVENT_SOURCE_AND_DESTINATION_MISMATCH",
        "An action of the website's tag got an event that is not a website's.",
        "Give such events a conversion action of their own.",
        "action_source",
    ),
    (
        "INVALID_CONVERSION_ACTION_ID NO_CONVERSION_ACTION_FOUND NOT_FOUND 404",
        "Google does not know the conversion action in this account.",
        _ACTION,
        None,
    ),
    (
        "INVALID_CONVERSION_ACTION_TYPE",
        "The conversion action is of a type that takes no uploads.",
        "Create it as an import from clicks, or list an action of the tag in tag_conversion_actions.",
        None,
    ),
    (
        "CUSTOM_VARIABLE_NOT_ENABLED",
        "A custom variable is not enabled in the account.",
        "Google Ads, Goals, Custom variables: enable it, or take it out of custom_variables.",
        None,
    ),
    (
        "CONVERSION_ACTION_TOO_RECENTLY_CREATED TOO_RECENT_CONVERSION_ACTION TOO_RECENT_EVENT TOO_RECENT_CLICK",
        "Google does not know the conversion action or the click yet: that takes about 6 hours.",
        _WAIT,
        None,
    ),
    (
        "UNAUTHENTICATED 401 invalid_grant OAUTH_TOKEN_EXPIRED OAUTH_TOKEN_INVALID OAUTH_TOKEN_REVOKED",
        "Google no longer accepts the credentials.",
        _CONNECT,
        None,
    ),
    (
        "TWO_STEP_VERIFICATION_NOT_ENROLLED",
        "The Google account that gave access has no two-step verification.",
        "Switch it on, then connect the account again.",
        None,
    ),
    (
        "PERMISSION_DENIED 403",
        "The credentials have no access to this Google Ads account.",
        "Give them access in Google Ads, or set login_customer_id to the manager account they belong to.",
        None,
    ),
    (
        "SERVICE_DISABLED",
        "The API is switched off in the Cloud project of the credentials.",
        "Enable the Data Manager API in that project, in Google Cloud's console.",
        None,
    ),
    (
        "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
        "The manager account has no access to the account.",
        "Set login_customer_id to a manager that is linked to it.",
        None,
    ),
    (
        "NOT_ALLOWLISTED DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
        "Google does not let this account send customer data.",
        "Ask your contact at Google.",
        None,
    ),
    (
        "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS TERMS_AND_CONDITIONS_NOT_SIGNED "
        "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS "
        "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
        "The account may not send customer data yet.",
        "Google Ads, Goals, Settings: accept the customer data terms and switch on enhanced conversions.",
        None,
    ),
    (
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
        "The old upload is closed for this account.",
        "Set legacy_upload to false.",
        None,
    ),
    ("RESOURCE_EXHAUSTED RESOURCE_TEMPORARILY_EXHAUSTED 429", "Too many requests for this Cloud project.", _WAIT, None),
    (
        "INTERNAL INTERNAL_ERROR TRANSIENT_ERROR UNAVAILABLE DEADLINE_EXCEEDED UNKNOWN ABORTED 500 502 503 504",
        "A temporary fault at Google.",
        _AGAIN,
        None,
    ),
    (
        "DUPLICATE_TRANSACTION_ID DUPLICATE_GCLID CLICK_CONVERSION_ALREADY_EXISTS ORDER_ID_ALREADY_IN_USE",
        "Google has this conversion already.",
        "Nothing to do.",
        None,
    ),
    (
        "DENIED_CONSENT NO_CONSENT UNKNOWN_CONSENT",
        "Consent was refused, or Google does not know of it.",
        "Send consent.ad_user_data with your events.",
        "consent.ad_user_data",
    ),
    (
        "INVALID_GCLID INVALID_GBRAID INVALID_WBRAID UNPARSEABLE_GCLID INVALID_CLICK CLICK_NOT_FOUND",
        "Google finds no click by the click id.",
        _CLICK,
        "user_data.gclid",
    ),
    (
        "INVALID_OPERATING_ACCOUNT_FOR_CLICK INVALID_AD_IDENTIFIER_FOR_ACCOUNT INVALID_CUSTOMER_FOR_CLICK",
        "The click belongs to another account.",
        _CLICK,
        "user_data.gclid",
    ),
    (
        "CONVERSION_PRECEDES_CLICK CONVERSION_PRECEDES_EVENT",
        "The conversion's time lies before its click.",
        "Check the server's clock and the offset of occurred_at.",
        "occurred_at",
    ),
    ("GBRAID_WBRAID_BOTH_SET", "Two click ids in one conversion.", "Send one of them.", "user_data.gbraid"),
    (
        "ORDER_ID_CONTAINS_PII",
        "The order id looks like personal data.",
        "Use order ids without addresses and phone numbers.",
        "custom_data.order_id",
    ),
    (
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
        "An action that counts one conversion per click takes no gbraid or wbraid.",
        "Set the action to count every conversion.",
        None,
    ),
    ("partial_failure", "Google refused this conversion without naming why.", _COMPARE, None),
    (
        NO_REFUND,
        "No purchases go to Google Ads, so that a refund has no value to restate there.",
        "Leave the name out with the destination's event names. Where you map Purchase in conversion_actions, refunds of later"
        " purchases restate their value; the refund's own name, mapped to an action, would count as one more sale.",
        "event_name",
    ),
    ("unconfirmed", "The answer does not confirm the events.", _AGAIN, None),
)
EXPLANATIONS: Mapping[str, Explanation] = {
    code: Explanation(summary, next_step, field)
    for codes, summary, next_step, field in _EXPLAINED
    for code in codes.split()
}


_OF_EVENT = re.compile(r"events?\[(\d{1,9})\]")


class _Complaint(NamedTuple):
    """One error of an answer. ``field`` is the place it names, ``row`` the index of a row of the old upload."""

    code: str
    message: str
    field: str = ""
    row: int | None = None
    wait: float | None = None


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """Data Manager: taken or refused as a whole. Old upload: row by row, with HTTP 200 for refused rows too."""
    # The old API wraps some errors in a list.
    whole = reply.json[0] if isinstance(reply.json, list) and reply.json else reply.json
    body: Mapping[str, Any] = whole if isinstance(whole, Mapping) else {}
    error = body.get("error")
    if isinstance(error, Mapping):
        return _read_error(reply, error, count)
    if not 200 <= reply.status < 300:
        outcome = by_status(reply)
        is_one_fault = isinstance(outcome, Rejected) and reply.status in (400, 413) and count > 1
        return BatchRejected(outcome) if isinstance(outcome, Rejected) and is_one_fault else [outcome] * count
    if body.get("partialFailureError") or "results" in body or "jobId" in body:
        return _read_rows(reply, body, count)
    if body.get("requestId"):
        return _taken(reply.status, _objects(body.get("fieldWarnings")), count)
    return [no_answer_of_the_platform(reply) or _unconfirmed(reply)] * count


def _taken(status: int, warnings: Sequence[Mapping[str, Any]], count: int) -> list[Outcome]:
    """Warnings are of fields that Google did not use; one that names no event is told of all."""
    if not warnings:
        return [Acknowledged(status)] * count
    said: dict[int | None, list[str]] = {}
    for warning in warnings:
        field, reason = plain_words(warning.get("field")), plain_words(warning.get("reason"))
        words = plain_words(warning.get("description")) or reason or "not used"
        named = _OF_EVENT.search(field)
        of_event = said.setdefault(int(named[1]) if named else None, [])
        if len(of_event) < MOST_SAID:
            of_event.append(f"{field}: {words}" if field else words)
    of_all = said.pop(None, [])
    outcomes: list[Outcome] = [taken(status, of_all)] * count
    for index, of_event in said.items():
        if index is not None and index < count:
            outcomes[index] = taken(status, of_event + of_all)
    return outcomes


def _read_error(reply: PlatformReply, error: Mapping[str, Any], count: int) -> Verdict:
    """The most exact code that says more than "wrong" decides; else it is some event's fault, or all of them share it."""
    complaints = [*_complaints(error), *_broad_complaints(error)]
    for complaint in complaints:
        outcome = _judge(complaint, reply)
        if outcome is not None:
            break
    else:
        complaint = next((found for found in complaints if found.code), complaints[0])
        outcome = by_status(reply, complaint.code, complaint.message)
    if isinstance(outcome, Acknowledged) and (count > 1 or complaint.code not in _THERE_ALREADY):
        # An error inside a good answer; or one event is there already, and the others were refused with it.
        outcome = Rejected(complaint.code or str(reply.status), complaint.message, reply.status)
    if not isinstance(outcome, Rejected) or count == 1:
        return [outcome] * count
    named = [found for found in complaints if found.field]
    is_of_all = complaint.code in _OF_THE_ACTION or (named and not any(map(_names_event, named)))
    return [outcome] * count if is_of_all else BatchRejected(outcome)


def _read_rows(reply: PlatformReply, body: Mapping[str, Any], count: int) -> list[Outcome]:
    """Refused rows are named by their index and are ``{}`` in ``results``, which validation leaves out."""
    rows = body.get("results")
    failure = body.get("partialFailureError")
    if not failure:
        is_complete = rows is None or (isinstance(rows, list) and len(rows) == count and all(rows))
        return [Acknowledged(reply.status) if is_complete else _unconfirmed(reply)] * count
    error = failure if isinstance(failure, Mapping) else {}
    complaints = list(_complaints(error))
    unnamed = next((found for found in complaints if found.row is None), None)
    fallback = unnamed or _Complaint("partial_failure", safe_message(error.get("message")) or "no reason given")
    of_row = {found.row: found for found in reversed(complaints) if found.row is not None}
    outcomes: list[Outcome] = []
    for index in range(count):
        is_empty = not rows[index] if isinstance(rows, list) and len(rows) == count else not of_row
        complaint = of_row.get(index) or (fallback if is_empty else None)
        if complaint is None:
            outcomes.append(Acknowledged(reply.status))
        else:
            refused = Rejected(complaint.code, complaint.message, reply.status)
            outcomes.append(_judge(complaint, reply) or refused)
    return outcomes


def _judge(complaint: _Complaint, reply: PlatformReply) -> Outcome | None:
    """None for a code that says no more than that something was wrong."""
    code, message = complaint.code, complaint.message
    if code in _CREDENTIALS:
        return CredentialsRefused(code, message, reply.status)
    if code in _LIMITED:
        wait = complaint.wait if complaint.wait is not None else retry_after(reply)
        return RateLimited(wait, code, message, reply.status)
    if code in _TOO_EARLY:
        return RateLimited(WAIT_FOR_CLICKS, code, message, reply.status)
    if code in _TRANSIENT:
        return Unreachable(message, reply.status, retry_after(reply), code=code)
    is_told = 200 <= reply.status < 300 or 400 <= reply.status < 500
    return Acknowledged(reply.status) if code in _THERE_ALREADY and is_told else None


def _complaints(error: Mapping[str, Any]) -> Iterator[_Complaint]:
    """Violations of the Data Manager API, errors of the old one."""
    for detail in _objects(error.get("details")):
        for found in _objects(detail.get("fieldViolations")):
            field = plain_words(found.get("field"))
            code = _code(found.get("reason") or error.get("status"))
            words = plain_words(found.get("description")) or "refused"
            yield _Complaint(code, safe_message(f"{field}: {words}" if field else words), field)
        for found in _objects(detail.get("errors")):
            names = found.get("errorCode")
            code = next(iter(names.values()), "") if isinstance(names, Mapping) else ""
            location = found.get("location")
            path = _objects(location.get("fieldPathElements")) if isinstance(location, Mapping) else []
            row = next((row for element in path if (row := whole_number(element.get("index"))) is not None), None)
            field = "" if row is None else f"{plain_words(path[0].get('fieldName'))}[{row}]"
            yield _Complaint(
                _code(code), safe_message(found.get("message")) or "refused", field, row, _retry_delay(found)
            )


def _broad_complaints(error: Mapping[str, Any]) -> Iterator[_Complaint]:
    """The reason of the whole answer, then its status."""
    message = safe_message(error.get("message")) or "Google gave no reason"
    for detail in _objects(error.get("details")):
        if isinstance(detail.get("reason"), str):
            yield _Complaint(_code(detail["reason"]), message)
    yield _Complaint(_code(error.get("status")), message)


def _code(given: Any) -> str:
    """A constant of Google's, without the prefix of processing errors; empty for anything else."""
    fits = isinstance(given, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", given)
    return str(given).removeprefix("PROCESSING_ERROR_REASON_") if fits else ""


def _names_event(complaint: _Complaint) -> bool:
    return complaint.row is not None or _OF_EVENT.search(complaint.field) is not None


def _retry_delay(error: Mapping[str, Any]) -> float | None:
    """Seconds of ``details.quotaErrorDetails.retryDelay``, written ``30s``."""
    details = error.get("details")
    quota = details.get("quotaErrorDetails") if isinstance(details, Mapping) else None
    delay = quota.get("retryDelay") if isinstance(quota, Mapping) else None
    fits = isinstance(delay, str) and re.fullmatch(r"(\d{1,6}(?:\.\d+)?)s", delay)
    return float(fits[1]) if fits else None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [found for found in value if isinstance(found, Mapping)] if isinstance(value, list) else []


def _unconfirmed(reply: PlatformReply) -> Unreachable:
    return Unreachable("the answer does not confirm the events", reply.status, code="unconfirmed")
