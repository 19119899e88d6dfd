"""Google Ads conversions by the Data Manager API v1; by the Google Ads API v26 where that is set. Page: google_ads.md.

Source: Google for Developers, Data Manager API: "Send events", "Format user data", "Conversion adjustments", "Limits and
quotas", "Diagnostics", packages google-ads-datamanager 0.9.4 and google-ads-datamanager-util 0.4.0; Google Ads API:
conversion upload and adjustment services, package google-ads 34.0.0. Read 2026-11-23.

Longer than other mappers because it speaks both: accounts that uploaded before June 2026 may go on with the old one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    Auth,
    BatchRejected,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    RateLimited,
    RefreshedToken,
    Rejected,
    ServiceAccount,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import Event, read_decimal, read_instant
from tracklayer.domain.identifiers import FORMATS, is_ip
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.problem import Problem
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    Explanation,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    by_status,
    number,
    omit_empty,
    plain_words,
    retry_after,
    safe_message,
    whole_number,
)

INGEST_URL = "https://datamanager.googleapis.com/v1/events:ingest"
LEGACY_URL = "https://googleads.googleapis.com/v26/customers"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/datamanager"
LEGACY_SCOPE = "https://www.googleapis.com/auth/adwords"

# What to create in Google Ads for each of our events; what is sent is the id of the conversion action.
EVENT_NAMES = {
    "Purchase": "Purchase",
    "AddToCart": "Add to cart",
    "InitiateCheckout": "Begin checkout",
    "AddPaymentInfo": "Other",
    "ViewContent": "Page view",
    "Search": "Other",
    "AddToWishlist": "Other",
    "PageView": "Page view",
    "Lead": "Submit lead form",
    "CompleteRegistration": "Sign-up",
    "Subscribe": "Subscribe",
    "StartTrial": "Subscribe",
    "Contact": "Contact",
    "Refund": "Purchase",  # restates the purchase's value
}
BATCH_SIZE = 2000
WAIT_FOR_CLICKS = 6 * 3600.0  # seconds until Google knows a new conversion action or a fresh click

_SOURCES = {
    "website": "WEB",
    "app": "APP",
    "physical_store": "IN_STORE",
    "phone_call": "PHONE",
    "chat": "MESSAGE",
    "business_messaging": "MESSAGE",
}
_ENVIRONMENTS = {"website": "WEB", "app": "APP"}
_CLICK_IDS = ("gclid", "gbraid", "wbraid")
_CUSTOMER_TYPES = ("NEW", "RETURNING", "REENGAGED")
_TITLES = frozenset("mr mrs ms miss mx dr prof".split())
_SUFFIXES = frozenset("jr sr ii iii iv phd".split())
_US_ZIP = re.compile(r"\d{5}([ -]?\d{4})?")

# Properties that have a place at Google without being mapped to a custom variable.
_KNOWN_PROPERTIES = frozenset({"coupon", "discount", "customer_type", "remaining_value", "purchase_occurred_at"})

_UPLOADS = "conversions"
_ADJUSTMENTS = "conversionAdjustments"
_LEGACY_METHODS = {_UPLOADS: "uploadClickConversions", _ADJUSTMENTS: "uploadConversionAdjustments"}


def _email(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).email_sha256("google")


def _phone(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).phone_sha256("e164", settings.get("default_country"))


def _letters(value: str) -> str:
    """Lower case, neither punctuation nor symbols; spaces and digits stay."""
    return "".join(c for c in value.lower() if unicodedata.category(c)[0] not in "PS").strip()


def _person_name(value: str) -> str | None:
    """``oneil`` of ``Mrs. O'Neil``: without titles in front, suffixes behind, punctuation and outer spaces."""
    words = _letters(value).split()
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    while len(words) > 1 and words[-1] in _SUFFIXES:
        words = words[:-1]
    return " ".join(words) or None


def _name_sha256(value: str) -> str | None:
    return None if normalise.is_foreign_digest(value) else normalise.hashed(value, _person_name)


def _street_sha256(value: str) -> str | None:
    return None if normalise.is_foreign_digest(value) else normalise.hashed(value, _letters)


def _country(value: str) -> str | None:
    code = normalise.country(value)
    return code.upper() if code else None


def _zip(value: str, country: str | None) -> str | None:
    """As it is; a US code has 5 or 5+4 digits. A digest is no postal code: Google wants it plain."""
    text = value.strip()
    if normalise.is_sha256(text) or normalise.is_foreign_digest(text):
        return None
    return None if country == "US" and not _US_ZIP.fullmatch(text) else text or None


def _click_id(value: str, settings: Settings) -> str | None:
    return value.strip() if FORMATS["gclid"].is_right(value) else None


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "first_name": lambda value, settings: _name_sha256(value),
    "last_name": lambda value, settings: _name_sha256(value),
    "zip": lambda value, settings: _zip(value, None),
    "country": lambda value, settings: _country(value),
    "client_ip": lambda value, settings: value.strip() if is_ip(value) else None,
    "client_user_agent": lambda value, settings: normalise.trimmed(value),
    **dict.fromkeys(_CLICK_IDS, _click_id),
}

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
    ("unconfirmed", "The answer does not confirm the events.", _AGAIN, None),
)
EXPLANATIONS: Mapping[str, Explanation] = {
    code: Explanation(summary, next_step, field)
    for codes, summary, next_step, field in _EXPLAINED
    for code in codes.split()
}

_CONSENT_OK = RuleVerdict("consent", True, "not denied", "consent.ad_user_data")
_ACTION_OK = RuleVerdict("event_name", True, "mapped to a conversion action", "event_name")
_ACTION_STAR = RuleVerdict("event_name", True, "mapped to the conversion action of every other event", "event_name")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "a click id or customer data to match", "user_data")
_RESTATED = RuleVerdict("refund", True, "restates the value of the purchase", "custom_data.properties.remaining_value")
_NO_LIMITED_USE = RuleVerdict(
    "limited_data_use", False, "left out: Google Ads takes no such flag", "consent.limited_data_use"
)
_NO_CART = RuleVerdict(
    "contents", False, "left out: Google drops cart data that comes with gbraid or wbraid", "custom_data.contents"
)
_NO_PLACE = RuleVerdict("properties", False, "left out: not mapped in custom_variables", "custom_data.properties")


class _Sale(NamedTuple):
    """When the conversion was made, what it is worth, and when that was last changed."""

    at: datetime
    value: Decimal | None
    changed_at: datetime | None = None


class _Complaint(NamedTuple):
    """One error of an answer. ``field`` is the place it names, ``row`` the index of a row of the old upload."""

    code: str
    message: str
    field: str = ""
    row: int | None = None
    wait: float | None = None


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``events``; its group is the conversion action, since a request has one destination."""
    verdicts = Verdicts()
    consent = event.consent.ad_user_data
    if consent == "denied" or (consent != "granted" and settings.get("require_consent") is True):
        message = "consent to use the data for ads is denied" if consent == "denied" else "consent is not known"
        return verdicts.refuse(DropReason.CONSENT_DENIED, "consent", "consent.ad_user_data", message)
    verdicts.ok(_CONSENT_OK)
    action, verdict = _conversion_action(event.event_name, settings)
    if action is None:
        message = "no conversion action is set for this event name in conversion_actions"
        return verdicts.refuse(DropReason.UNSUPPORTED_EVENT, "event_name", "event_name", message)
    verdicts.ok(verdict)
    is_tagged = action in [str(tagged) for tagged in settings.get("tag_conversion_actions") or ()]
    if is_tagged and event.action_source != "website":
        message = "its conversion action belongs to the website's tag and takes website events only"
        return verdicts.refuse(DropReason.INVALID_FIELD, "action_source", "action_source", message)
    sale = _Sale(event.occurred_at, event.custom_data.value)
    if event.event_name == "Refund":
        restated = _restated(event)
        if not isinstance(restated, _Sale):
            return verdicts.refuse(DropReason.INVALID_FIELD, "refund", *restated)
        sale = restated
        verdicts.ok(_RESTATED)
    if sale.value is not None and event.custom_data.currency is None:
        message = "a value without its currency"
        return verdicts.refuse(DropReason.INVALID_FIELD, "currency", "custom_data.currency", message)
    if event.consent.limited_data_use:
        verdicts.ok(_NO_LIMITED_USE)
    if any(
        key not in _KNOWN_PROPERTIES and key not in (settings.get("custom_variables") or {})
        for key in event.custom_data.properties
    ):
        verdicts.ok(_NO_PLACE)
    if settings.get("legacy_upload") is True:
        return _map_legacy(event, settings, verdicts, action, sale, is_tagged)
    clicks = _clicks(event, verdicts)
    identifiers = _user_identifiers(event, settings, verdicts)
    if not clicks and not identifiers:
        message = "Google wants a click id, an email, a phone, or first and last name with country and postal code"
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(_IDENTIFIERS_OK)
    given = event.custom_data
    item = omit_empty(
        {
            "transactionId": given.order_id or event.event_id,
            "eventTimestamp": _rfc3339(sale.at),
            "lastUpdatedTimestamp": _rfc3339(sale.changed_at) if sale.changed_at else None,
            "eventSource": _SOURCES.get(event.action_source, "OTHER"),
            "adIdentifiers": clicks,
            "userData": omit_empty({"userIdentifiers": identifiers}),
            "eventDeviceInfo": _device(event, verdicts),
            "conversionValue": number(sale.value),
            "currency": given.currency,
            "cartData": None if sale.changed_at else _cart(event, settings, clicks, verdicts),
            "userProperties": omit_empty({"customerType": _customer_type(event, verdicts)}),
            "customVariables": [
                {"variable": name, "value": value} for name, value in _custom_variables(event, settings)
            ],
            "consent": omit_empty(
                {
                    "adUserData": _CONSENT_STATES.get(consent),
                    "adPersonalization": _CONSENT_STATES.get(event.consent.ad_personalization),
                }
            ),
        }
    )
    return Mapped(item, tuple(verdicts.rules), action)


_CONSENT_STATES = {"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"destinations": [one], "events": [...]}``, or of the old upload ``{"conversions": [...]}``."""
    customer, manager = str(settings["customer_id"]), str(settings.get("login_customer_id") or "")
    body: dict[str, Any]
    if method := _LEGACY_METHODS.get(group):
        # Without partialFailure the old API refuses the whole request.
        body = {group: list(items), "partialFailure": True}
        url = f"{LEGACY_URL}/{customer}:{method}"
        headers = {"login-customer-id": manager} if manager else {}
    else:
        destination: dict[str, Any] = {"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": customer}}
        if manager:
            destination["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": manager}
        destination["productDestinationId"] = group
        body = {"destinations": [destination], "events": list(items)}
        if any("userData" in item for item in items):
            body["encoding"] = "HEX"
        url, headers = INGEST_URL, {}
    if settings.get("validate_only") is True:
        body["validateOnly"] = True
    return PlatformRequest(url, body, _auth(settings), headers=headers)


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
        return [Acknowledged(reply.status)] * count
    return [_unconfirmed(reply)] * count


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
    return complaint.row is not None or re.search(r"events?\[\d+\]", complaint.field) is not None


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


def _conversion_action(event_name: str, settings: Settings) -> tuple[str | None, RuleVerdict]:
    """A refund restates the purchase, so it goes to the purchase's action."""
    actions: Mapping[str, Any] = settings.get("conversion_actions") or {}
    name = "Purchase" if event_name == "Refund" else event_name
    if actions.get(name):
        return str(actions[name]), _ACTION_OK
    return (str(actions["*"]) if actions.get("*") else None), _ACTION_STAR


def _restated(event: Event) -> _Sale | tuple[str, str]:
    """What the purchase is worth after a refund; or the field that is missing or wrong, and why it is needed.

    The count of conversions never falls, and a restatement that finds no purchase becomes a new conversion: so
    nothing is guessed here.
    """
    given = event.custom_data
    if given.order_id is None:
        return "custom_data.order_id", "a refund without the purchase's order id would be a new conversion"
    left = read_decimal(given.properties.get("remaining_value"))
    if left is None or left < 0:
        name = "custom_data.properties.remaining_value"
        return name, "a refund needs the value that remains of the purchase, 0 for a full refund"
    bought_at = read_instant(given.properties.get("purchase_occurred_at"))
    if not isinstance(bought_at, datetime) or bought_at > event.occurred_at:
        name = "custom_data.properties.purchase_occurred_at"
        return name, "a refund needs the time that was sent with the purchase, such as 2026-11-20T14:03:12Z"
    return _Sale(bought_at, left, event.occurred_at)


def _clicks(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Click ids as given, else from the page's URL; their case counts and they are never cut."""
    found = {}
    of_url = _parameters(event.event_source_url)
    for name in _CLICK_IDS:
        given = getattr(event.user_data, name)
        if given is None:
            given = of_url.get(name)
        if given is None:
            continue
        click_id = _click_id(given, {})
        if click_id is None:
            verdicts.left_out(name, f"user_data.{name}", "left out: a click id has no spaces")
        else:
            found[name] = click_id
    return found


def _parameters(url: str | None) -> dict[str, str]:
    """Query parameters of a URL that may hold a click id, percent-decoded once."""
    if url is None or ("gclid=" not in url and "braid=" not in url):
        return {}
    try:
        query = urlsplit(url).query
    except ValueError:
        return {}
    pairs = (part.partition("=") for part in query.split("&"))
    return {name: unquote_plus(value) for name, _, value in pairs if value}


def _contacts(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, str]:
    """Digests of email and phone, as far as there are any."""
    person = event.user_data
    found = {}
    if person.email is not None:
        found["email"] = person.email.email_sha256("google")
    if person.phone is not None:
        found["phone"] = person.phone.phone_sha256("e164", settings.get("default_country"))
    for name, digest in found.items():
        if digest is None:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that Google could match as {name}")
    return {name: digest for name, digest in found.items() if digest is not None}


def _address(event: Event, verdicts: Verdicts) -> tuple[str, str, str, str] | None:
    """First name, last name, country, postal code: all four, since Google takes no part of them alone."""
    person = event.user_data
    if person.first_name is None and person.last_name is None:
        return None
    country = _country(person.country) if person.country is not None else None
    found = {
        "first_name": _name_sha256(person.first_name) if person.first_name is not None else None,
        "last_name": _name_sha256(person.last_name) if person.last_name is not None else None,
        "country": country,
        "zip": _zip(person.zip, country) if person.zip is not None else None,
    }
    first, last, region, code = found.values()
    if first and last and region and code:
        return first, last, region, code
    missing = next(name for name, value in found.items() if not value)
    message = "the address is left out: Google takes first and last name only with country and postal code"
    verdicts.left_out("address", f"user_data.{missing}", message)
    return None


def _user_identifiers(event: Event, settings: Settings, verdicts: Verdicts) -> list[dict[str, Any]]:
    """One object for each identifier."""
    names = {"email": "emailAddress", "phone": "phoneNumber"}
    found: list[dict[str, Any]] = [
        {names[name]: digest} for name, digest in _contacts(event, settings, verdicts).items()
    ]
    if address := _address(event, verdicts):
        keys = ("givenName", "familyName", "regionCode", "postalCode")
        found.append({"address": dict(zip(keys, address, strict=True))})
    return found


def _device(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Of the conversion; the device of the landing is not known here."""
    person = event.user_data
    found = {}
    if person.client_user_agent is not None:
        found["userAgent"] = person.client_user_agent.strip()
    if person.client_ip is not None:
        if is_ip(person.client_ip):
            found["ipAddress"] = person.client_ip.strip()
        else:
            verdicts.left_out("client_ip", "user_data.client_ip", "left out: not an IP address")
    return found


def _cart(event: Event, settings: Settings, clicks: Mapping[str, str], verdicts: Verdicts) -> dict[str, Any]:
    given = event.custom_data
    coupon = given.properties.get("coupon")
    cart = omit_empty(
        {
            "items": [
                omit_empty(
                    {
                        "merchantProductId": content.id,
                        "quantity": str(content.quantity),  # an int64 is text in Google's JSON
                        "unitPrice": number(content.item_price),
                    }
                )
                for content in given.contents
            ],
            "couponCodes": [coupon] if isinstance(coupon, str) and coupon else None,
            "transactionDiscount": number(read_decimal(given.properties.get("discount"))),
        }
    )
    if not cart:
        return {}
    if "gbraid" in clicks or "wbraid" in clicks:
        verdicts.ok(_NO_CART)
        return {}
    merchant, label, language = _feed(event, settings)
    return omit_empty(
        {"merchantId": merchant, "merchantFeedLabel": label, "merchantFeedLanguageCode": language, **cart}
    )


def _feed(event: Event, settings: Settings) -> tuple[str | None, str | None, str | None]:
    """Merchant Center id, label and language of the feed that the products are in."""
    merchant = settings.get("merchant_center_id")
    label = settings.get("feed_label")
    if isinstance(label, Mapping):
        label = label.get(event.custom_data.currency) or label.get("*")
    return str(merchant) if merchant else None, label or None, settings.get("feed_language") or None


def _customer_type(event: Event, verdicts: Verdicts) -> str | None:
    given = event.custom_data.properties.get("customer_type")
    if given is None:
        return None
    if isinstance(given, str) and given.upper() in _CUSTOMER_TYPES:
        return given.upper()
    message = f"left out: must be one of {', '.join(_CUSTOMER_TYPES)}"
    verdicts.left_out("customer_type", "custom_data.properties.customer_type", message)
    return None


def _custom_variables(event: Event, settings: Settings) -> Iterator[tuple[str, str]]:
    """(name of the variable at Google, value as text)."""
    for key, name in (settings.get("custom_variables") or {}).items():
        value = event.custom_data.properties.get(key)
        if isinstance(value, bool):
            yield str(name), "true" if value else "false"
        elif value is not None and value != "":
            yield str(name), str(value)


def _rfc3339(instant: datetime) -> str:
    """``2026-11-20T14:03:12.345Z``: UTC, with as many digits of the second's fraction as there are, in threes."""
    places = "seconds" if not instant.microsecond else "microseconds" if instant.microsecond % 1000 else "milliseconds"
    return instant.isoformat(timespec=places).removesuffix("+00:00") + "Z"


def _map_legacy(
    event: Event, settings: Settings, verdicts: Verdicts, action: str, sale: _Sale, is_tagged: bool
) -> Mapped | Refused:
    """A row of the old upload: a conversion, an enhancement of the tag's conversion, or a refund's adjustment."""
    customer = settings["customer_id"]
    given = event.custom_data
    row: dict[str, Any] = {
        "conversionAction": f"customers/{customer}/conversionActions/{action}",
        "orderId": given.order_id or event.event_id,
    }
    if sale.changed_at is not None:
        row["adjustmentType"] = "RESTATEMENT" if sale.value else "RETRACTION"
        row["adjustmentDateTime"] = _legacy_time(sale.changed_at)
        if sale.value:
            row["restatementValue"] = {"adjustedValue": number(sale.value), "currencyCode": given.currency}
        return Mapped(row, tuple(verdicts.rules), _ADJUSTMENTS)
    click = _one_click(_clicks(event, verdicts), verdicts)
    names = {"email": "hashedEmail", "phone": "hashedPhoneNumber"}
    identifiers: list[dict[str, Any]] = [
        {"userIdentifierSource": "FIRST_PARTY", names[name]: digest}
        for name, digest in _contacts(event, settings, verdicts).items()
    ]
    if is_tagged and (address := _legacy_address(event, verdicts)):
        identifiers.append({"userIdentifierSource": "FIRST_PARTY", "addressInfo": address})
    if not identifiers and (is_tagged or not click):
        message = "Google wants an email or a phone" + ("" if is_tagged else ", or a click id")
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(_IDENTIFIERS_OK)
    if is_tagged:
        row["adjustmentType"] = "ENHANCEMENT"
        if "gclid" in click:
            row["gclidDateTimePair"] = {**click, "conversionDateTime": _legacy_time(sale.at)}
        row["userIdentifiers"] = identifiers
        row["userAgent"] = normalise.trimmed(event.user_data.client_user_agent or "")
        return Mapped(omit_empty(row), tuple(verdicts.rules), _ADJUSTMENTS)
    customer_type = _customer_type(event, verdicts)
    row |= {
        **click,
        "conversionDateTime": _legacy_time(sale.at),
        "conversionValue": number(sale.value),
        "currencyCode": given.currency,
        "userIdentifiers": identifiers,
        "conversionEnvironment": _ENVIRONMENTS.get(event.action_source),
        "cartData": _legacy_cart(event, settings, click, verdicts),
        "customVariables": [
            {"conversionCustomVariable": f"customers/{customer}/conversionCustomVariables/{name}", "value": value}
            for name, value in _custom_variables(event, settings)
        ],
        "customerType": customer_type if customer_type != "REENGAGED" else None,
        "consent": {"adUserData": "GRANTED"} if event.consent.ad_user_data == "granted" else None,
    }
    return Mapped(omit_empty(row), tuple(verdicts.rules), _UPLOADS)


def _one_click(clicks: dict[str, str], verdicts: Verdicts) -> dict[str, str]:
    """The old upload takes one click id."""
    for name in list(clicks)[1:]:
        verdicts.left_out(name, f"user_data.{name}", "left out: the old upload takes one click id")
    return dict(list(clicks.items())[:1])


def _legacy_address(event: Event, verdicts: Verdicts) -> dict[str, str] | None:
    address = _address(event, verdicts)
    if address is None:
        return None
    person = event.user_data
    first, last, country, code = address
    return omit_empty(
        {
            "hashedFirstName": first,
            "hashedLastName": last,
            "hashedStreetAddress": _street_sha256(person.street) if person.street else None,
            "city": _place(person.city),
            "state": _place(person.state),
            "countryCode": country,
            "postalCode": code,
        }
    )


def _place(value: str | None) -> str | None:
    """Plain, so a digest has no place here."""
    return None if value is None or normalise.is_sha256(value) else _letters(value) or None


def _legacy_cart(
    event: Event, settings: Settings, clicks: Mapping[str, str], verdicts: Verdicts
) -> dict[str, Any] | None:
    """Only with all three facts about the feed."""
    merchant, label, language = _feed(event, settings)
    cart = _cart(event, settings, clicks, verdicts) if merchant and label and language else {}
    if not cart.get("items"):
        return None
    return omit_empty(
        {
            "merchantId": merchant,
            "feedCountryCode": label,
            "feedLanguageCode": language,
            "localTransactionCost": cart.get("transactionDiscount"),
            "items": [
                omit_empty(
                    {"productId": content.id, "quantity": content.quantity, "unitPrice": number(content.item_price)}
                )
                for content in event.custom_data.contents
            ],
        }
    )


def _legacy_time(instant: datetime) -> str:
    """``2026-11-20 14:03:12+00:00``; the fraction of the second is lost."""
    return instant.strftime("%Y-%m-%d %H:%M:%S+00:00")


_OAUTH = ("client_id", "client_secret", "refresh_token")


def _auth(settings: Settings) -> Auth:
    """The service account where there is one, else the refresh token."""
    key = _service_account_key(settings.get("service_account"))
    if key is not None:
        return ServiceAccount(key, LEGACY_SCOPE if settings.get("legacy_upload") is True else SCOPE)
    form = {name: str(settings.get(name) or "") for name in _OAUTH}
    return RefreshedToken(TOKEN_URL, {"grant_type": "refresh_token", **form})


def _service_account_key(value: Any) -> Mapping[str, Any] | None:
    """The key file as an object; it may come as an object or as its text."""
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def _check_service_account(value: Any) -> str | None:
    key = _service_account_key(value) or {}
    parts = (key.get("client_email"), key.get("private_key"))
    if key.get("type") != "service_account" or not all(isinstance(part, str) and part.strip() for part in parts):
        return "must be the JSON key file of a service account"
    # Signed assertions go to Google and nowhere else, whatever the file says.
    if key.get("token_uri", TOKEN_URL) != TOKEN_URL:
        return f"must name {TOKEN_URL} as its token_uri"
    return None


def _account(value: Any) -> str | None:
    fits = re.fullmatch(r"[0-9]{10}", str(value))
    return None if fits else "must be 10 digits without hyphens"


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and re.fullmatch(r"[0-9]{1,20}", str(value)) is not None


def _check_actions(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not value or not all(isinstance(n, str) and n.strip() for n in value):
        return 'must map event names to conversion action ids, such as {"Purchase": "7000000001"}'
    if not all(map(_is_id, value.values())):
        return "must give ids of digits only: the ctId of the action's address, not the AW-... label of the tag"
    return None


def _check_tagged(value: Any) -> str | None:
    is_good = isinstance(value, list) and all(map(_is_id, value))
    return None if is_good else 'must be a list of conversion action ids, such as ["8000000001"]'


def _check_variables(value: Any) -> str | None:
    is_good = isinstance(value, Mapping) and all(
        isinstance(text, str) and text.strip() for pair in value.items() for text in pair
    )
    return None if is_good else 'must map names of your properties to custom variables, such as {"score": "quiz_score"}'


def _check_label(value: Any) -> str | None:
    labels = list(value.values()) if isinstance(value, Mapping) else [value]
    fits = all(isinstance(label, str) and re.fullmatch(r"[A-Z0-9_-]{1,20}", label) for label in labels)
    return None if labels and fits else 'must be a feed label such as US, or one for each currency: {"GBP": "GB"}'


def _check_language(value: Any) -> str | None:
    return None if re.fullmatch(r"[a-z]{2}", str(value)) else "must be a two-letter language code such as en"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _digits(value: Any) -> str | None:
    return None if _is_id(value) else "must be digits only"


def check_settings(settings: Settings) -> list[Problem]:
    """One complete set of credentials; ids that fit each other."""
    problems = []
    missing = [name for name in _OAUTH if not settings.get(name)]
    if missing and not settings.get("service_account"):
        message = f"Set client_id, client_secret and refresh_token, or service_account: {missing[0]} is not set."
        problems.append(Problem((missing[0],), "INVALID_SETTING", message))
    actions = {name: str(action) for name, action in settings["conversion_actions"].items()}
    if actions.get("Refund", actions.get("Purchase")) != actions.get("Purchase"):
        message = "Refund must have the conversion action of Purchase, whose value it restates, or none."
        problems.append(Problem(("conversion_actions",), "INVALID_SETTING", message))
    if not {str(tagged) for tagged in settings.get("tag_conversion_actions") or ()} <= set(actions.values()):
        message = "tag_conversion_actions must name ids that conversion_actions has too."
        problems.append(Problem(("tag_conversion_actions",), "INVALID_SETTING", message))
    if settings.get("legacy_upload") is True and not all(
        map(_is_id, (settings.get("custom_variables") or {}).values())
    ):
        message = "With legacy_upload, custom_variables must give the variables' ids, of digits only."
        problems.append(Problem(("custom_variables",), "INVALID_SETTING", message))
    return problems


MAPPER = Mapper(
    title="Google Ads",
    settings=(
        Setting(
            "customer_id",
            "Customer ID",
            "Google Ads, at the top right: the number of the account that owns the conversion actions, without hyphens.",
            example="1234567890",
            check=_account,
        ),
        Setting(
            "login_customer_id",
            "Manager account ID",
            "Where the credentials have access through a manager account: its number, without hyphens.",
            required=False,
            example="9876543210",
            check=_account,
        ),
        Setting(
            "conversion_actions",
            "Conversion actions",
            "Event name -> id of the conversion action: Google Ads, Goals, Conversions, open the action, ctId in its "
            "address. Events that are not listed are not sent; * stands for every other event name.",
            example={"Purchase": "7000000001", "*": "7000000002"},
            check=_check_actions,
        ),
        Setting(
            "tag_conversion_actions",
            "Actions of the website tag",
            "Ids of those conversion actions that your website's tag reports as well: TrackLayer then adds to what the "
            "tag sent under the same transaction id.",
            required=False,
            example=["7000000001"],
            check=_check_tagged,
        ),
        Setting(
            "client_id",
            "OAuth client ID",
            "Google Cloud console, APIs and Services, Credentials: an OAuth client of a project with the Data Manager "
            "API enabled.",
            required=False,
            secret=True,
            example="sandbox-client-id",
        ),
        Setting(
            "client_secret",
            "OAuth client secret",
            "Beside the OAuth client ID.",
            required=False,
            secret=True,
            example="sandbox-client-secret",
        ),
        Setting(
            "refresh_token",
            "OAuth refresh token",
            f"Of a user with access to the account, granted to that client for the scope {SCOPE}.",
            required=False,
            secret=True,
            example="sandbox-refresh-token",
        ),
        Setting(
            "service_account",
            "Service account key",
            "Instead of the three above: the JSON key file of a service account that was given access to the account "
            "in Google Ads, Access and security.",
            required=False,
            secret=True,
            example={
                "type": "service_account",
                "client_email": "tracklayer@sandbox-project.iam.gserviceaccount.com",
                "private_key": "sandbox-private-key",
                "token_uri": TOKEN_URL,
            },
            check=_check_service_account,
        ),
        Setting(
            "merchant_center_id",
            "Merchant Center ID",
            "For cart data: Merchant Center, at the top right, the number of the account that holds your products.",
            required=False,
            example="5551234",
            check=_digits,
        ),
        Setting(
            "feed_label",
            "Feed label",
            'For cart data: Merchant Center, Data sources. One label, or one for each currency: {"USD": "US", "*": "GB"}.',
            required=False,
            example="US",
            check=_check_label,
        ),
        Setting(
            "feed_language",
            "Feed language",
            "For cart data: the two-letter language of that feed.",
            required=False,
            example="en",
            check=_check_language,
        ),
        Setting(
            "custom_variables",
            "Custom variables",
            "Name of your property -> name of the conversion custom variable: Google Ads, Goals, Custom variables.",
            required=False,
            example={"score": "quiz_score"},
            check=_check_variables,
        ),
        Setting(
            "validate_only",
            "Validation only",
            "True: Google checks every event and records none. Remove it for production.",
            required=False,
            example=False,
            check=_flag,
        ),
        Setting(
            "legacy_upload",
            "Old upload",
            "True: send by the Google Ads API instead. Only for accounts that uploaded conversions by it before June "
            "2026; to all others Google refuses it.",
            required=False,
            example=False,
            check=_flag,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=BATCH_SIZE,
    max_event_age=None,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    deduplication="Google Ads recognises a copy by its transaction id and conversion action, however late it arrives.",
    copy_memory=lambda event_name, action_source: timedelta.max,
    supports_test_events=True,
    test_mode={"validate_only": True},
    check_settings=check_settings,
)
