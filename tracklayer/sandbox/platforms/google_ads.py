"""Google's Data Manager API v1 and the old upload of the Google Ads API, as they answer; with Google's token endpoint.

Source: Google for Developers, Data Manager API: "Send events", "Format user data", "Limits and quotas", error reasons of
package google-ads-datamanager 0.9.4; Google Ads API v26: conversion upload and adjustment services. Read 2026-11-23. The
Data Manager API refuses a request whole for one bad event, the old upload row by row. Tokens ``bad-token`` and
``expired-token`` are refused, as refresh tokens too, and so is the client secret ``bad-secret``; ``foreign-token`` has no
access (403), and neither has anybody to the account 0000000000; 9999999999 is not allowed the old upload, 0 is no conversion action. Assertions of service accounts are
not verified. Stricter than Google is known to be, so that a slip is seen here: empty values are refused, and so are parts
of an address. What becomes of an accepted event in the hours after is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, flag, list_of, matching, number, one_of, text, whole

MOST_EVENTS = 2000
MOST_IDENTIFIERS = 10
MOST_OLD_IDENTIFIERS = 5
TOKEN_PATH = "/token"  # noqa: S105 - a path
REFUSED_TOKENS = frozenset({"bad-token", "expired-token"})
FOREIGN_TOKENS = frozenset({"foreign-token"})
REFUSED_CLIENT_SECRETS = frozenset({"bad-secret"})
CLOSED_ACCOUNT = "0000000000"
NOT_ALLOWLISTED_ACCOUNT = "9999999999"
STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

ACCOUNT_ID = matching(r"[0-9]{10}", " must be 10 digits")
ACCOUNT = fields({"accountType": one_of("GOOGLE_ADS"), "accountId": ACCOUNT_ID}, ("accountType", "accountId"))
DESTINATION = fields(
    {
        **dict.fromkeys(("operatingAccount", "loginAccount"), ACCOUNT),
        "productDestinationId": matching(r"[0-9]+", " must be digits"),
        "reference": text,
    },
    required=("operatingAccount", "productDestinationId"),
)
TIME = matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", " must be an RFC 3339 time")
CURRENCY = matching(r"[A-Z]{3}", " must be a currency code of three capitals")
DEVICE = fields({"userAgent": text, "ipAddress": checks.ip_address})
CONSENT_STATE = one_of("CONSENT_GRANTED", "CONSENT_DENIED")
CONSENT = fields(dict.fromkeys(("adUserData", "adPersonalization"), CONSENT_STATE))
ADDRESS_KEYS = ("givenName", "familyName", "regionCode", "postalCode")
IDENTIFIER = fields(
    {**dict.fromkeys(("emailAddress", "phoneNumber"), text), "address": fields({**dict.fromkeys(ADDRESS_KEYS, text)})}
)


def int64(value: object) -> str | None:
    """A whole number, or one written as text: both are JSON of an int64."""
    is_text = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value)
    return None if is_text or type(value) is int else " must be a whole number"


EVENT = fields(
    {
        "destinationReferences": list_of(text),
        "transactionId": text,
        **dict.fromkeys(("eventTimestamp", "lastUpdatedTimestamp"), TIME),
        "eventSource": one_of("WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"),
        "adIdentifiers": fields(
            {**dict.fromkeys(("gclid", "gbraid", "wbraid", "sessionAttributes"), text), "landingPageDeviceInfo": DEVICE}
        ),
        "userData": fields({"userIdentifiers": list_of(IDENTIFIER)}, ("userIdentifiers",)),
        "eventDeviceInfo": DEVICE,
        "conversionValue": number,
        "currency": CURRENCY,
        "cartData": fields(
            {
                **dict.fromkeys(("merchantId", "merchantFeedLabel", "merchantFeedLanguageCode"), text),
                "items": list_of(fields({"merchantProductId": text, "quantity": int64, "unitPrice": number})),
                "couponCodes": list_of(text),
                "transactionDiscount": number,
            }
        ),
        "userProperties": fields({"customerType": one_of("NEW", "RETURNING", "REENGAGED")}),
        "customVariables": list_of(fields({"variable": text, "value": text}, ("variable", "value"))),
        "consent": CONSENT,
    }
)
REQUEST = fields(
    {
        "destinations": list_of(DESTINATION),
        "events": list_of(checks.anything),
        "encoding": one_of("HEX", "BASE64"),
        "consent": CONSENT,
        "validateOnly": flag,
    },
    required=("destinations", "events"),
)

OLD_TIME = matching(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", " must be of the form yyyy-mm-dd hh:mm:ss+hh:mm")
HASHED_KEYS = ("hashedEmail", "hashedPhoneNumber")
OLD_ADDRESS = fields(
    {
        **dict.fromkeys(("hashedFirstName", "hashedLastName", "hashedStreetAddress"), checks.sha256),
        **dict.fromkeys(("city", "state", "countryCode", "postalCode"), text),
    }
)
OLD_IDENTIFIERS = list_of(
    fields(
        {
            "userIdentifierSource": one_of("FIRST_PARTY"),
            **dict.fromkeys(HASHED_KEYS, checks.sha256),
            "addressInfo": OLD_ADDRESS,
        }
    )
)
OLD_ROWS = {
    "conversions": fields(
        {
            **dict.fromkeys(("gclid", "gbraid", "wbraid", "conversionAction", "orderId"), text),
            "conversionDateTime": text,
            "conversionValue": number,
            "currencyCode": CURRENCY,
            "userIdentifiers": OLD_IDENTIFIERS,
            "conversionEnvironment": one_of("WEB", "APP"),
            "consent": fields({"adUserData": one_of("GRANTED", "DENIED")}),
            "cartData": fields(
                {
                    "merchantId": int64,
                    **dict.fromkeys(("feedCountryCode", "feedLanguageCode"), text),
                    "localTransactionCost": number,
                    "items": list_of(fields({"productId": text, "quantity": whole, "unitPrice": number})),
                }
            ),
            "customVariables": list_of(fields({"conversionCustomVariable": text, "value": text})),
            "customerType": one_of("NEW", "RETURNING"),
        }
    ),
    "conversionAdjustments": fields(
        {
            "adjustmentType": one_of("ENHANCEMENT", "RETRACTION", "RESTATEMENT"),
            **dict.fromkeys(("orderId", "conversionAction", "userAgent"), text),
            "adjustmentDateTime": text,
            "gclidDateTimePair": fields(dict.fromkeys(("gclid", "conversionDateTime"), text)),
            "userIdentifiers": OLD_IDENTIFIERS,
            "restatementValue": fields({"adjustedValue": number, "currencyCode": CURRENCY}, ("adjustedValue",)),
        }
    ),
}
OLD_METHODS = {"uploadClickConversions": "conversions", "uploadConversionAdjustments": "conversionAdjustments"}


class Violation(NamedTuple):
    """Where a request is wrong and why; without a reason it is the JSON itself that cannot be read."""

    field: str
    description: str
    reason: str | None = None


def answer_token(call: Call) -> Answer:
    """``POST https://oauth2.googleapis.com/token``: a refresh token, or a service account's assertion."""
    form = call.form()
    if form.get("grant_type") == "refresh_token":
        token = form.get("refresh_token", "")
        secret = form.get("client_secret", "")
        if not (form.get("client_id") and secret) or secret in REFUSED_CLIENT_SECRETS:
            return json_answer(401, {"error": "invalid_client", "error_description": "The OAuth client was not found."})
        if not token or token in REFUSED_TOKENS:
            return answer_credentials_refused(call)
        granted = token if token in FOREIGN_TOKENS else f"sandbox-token-{call.serial}"
    elif form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
        if len(form.get("assertion", "").split(".")) != 3:
            return json_answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        granted = f"sandbox-token-{call.serial}"
    else:
        return json_answer(400, {"error": "unsupported_grant_type"})
    return json_answer(200, {"access_token": granted, "expires_in": 3599, "token_type": "Bearer"})


def answer_events(call: Call) -> Answer:
    """``POST https://datamanager.googleapis.com/v1/events:ingest``."""
    if refused := _token_refusal(call):
        return refused
    try:
        body: Any = call.json()
    except ValueError:
        return _error(call, 400, "Invalid JSON payload received.")
    if complaint := REQUEST(body):
        return _refusal(call, [_of_request(complaint)])
    destinations, events = body["destinations"], body["events"]
    accounts = [destination["operatingAccount"]["accountId"] for destination in destinations]
    if CLOSED_ACCOUNT in accounts:
        return _error(call, 403, "The caller does not have permission.", "PERMISSION_DENIED")
    violations = list(_request_violations(body)) or [
        violation
        for index, event in enumerate(events)
        if (violation := _event_violation(call, event, f"events.events[{index}]")) is not None
    ]
    items = [
        _item(destination, event, accepted=not violations, test=body.get("validateOnly") is True)
        for event in events
        for destination in _chosen(destinations, event)
    ]
    if violations:
        return _refusal(call, violations, items)
    return json_answer(200, {"requestId": _request_id(call)}, items=items)


def answer_old_upload(call: Call) -> Answer:
    """``POST https://googleads.googleapis.com/v26/customers/{customer}:{method}``: refused rows are ``{}`` in results."""
    if refused := _token_refusal(call):
        return refused
    key = OLD_METHODS[call.parts["method"]]
    customer = call.parts["customer"]
    try:
        body: Any = call.json()
    except ValueError:
        return _error(call, 400, "Invalid JSON payload received.")
    known = {key: list_of(OLD_ROWS[key]), **dict.fromkeys(("partialFailure", "validateOnly"), flag), "jobId": whole}
    if complaint := checks.nothing_hollow(body) or fields(known, (key,))(body):
        return _error(call, 400, f"Invalid JSON payload received: body{complaint}.")
    if customer == CLOSED_ACCOUNT:
        return _error(call, 403, "The caller does not have permission.")
    if body.get("partialFailure") is not True or len(body[key]) > MOST_EVENTS:
        return _error(call, 400, f"partialFailure must be true, and {key} may have {MOST_EVENTS} elements.")
    errors = [_row_error(call, key, row) for row in body[key]]
    is_test = body.get("validateOnly") is True
    items = [_old_item(row, accepted=error is None, test=is_test) for row, error in zip(body[key], errors, strict=True)]
    reply: dict[str, Any] = {"jobId": str(call.serial)}
    if not is_test:
        reply["results"] = [
            {"orderId": row.get("orderId", "")} if error is None else {}
            for row, error in zip(body[key], errors, strict=True)
        ]
    if any(errors):
        details = [
            {
                "errorCode": dict([error]),
                "message": "The row was refused.",
                "location": {"fieldPathElements": [{"fieldName": key, "index": index}]},
            }
            for index, error in enumerate(errors)
            if error is not None
        ]
        failure = {"@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure", "errors": details}
        reply["partialFailureError"] = {"code": 3, "message": "Some rows were refused.", "details": [failure]}
    return json_answer(200, reply, items=items)


def answer_no_route(call: Call) -> Answer:
    return html_answer(404)


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    """The old API tells the delay in the body."""
    details = []
    if retry_after is not None and "/customers/" in call.path:
        quota = {"quotaErrorDetails": {"retryDelay": f"{retry_after}s"}}
        code = {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}
        details = [{"errors": [{"errorCode": code, "message": "Too many requests.", "details": quota}]}]
    error = {"code": 429, "message": "Resource has been exhausted.", "status": STATUS_NAMES[429], "details": details}
    return json_answer(429, {"error": error})


def answer_server_error(call: Call, status: int) -> Answer:
    return html_answer(status) if status == 502 else _error(call, status, "The request could not be served.")


def answer_credentials_refused(call: Call) -> Answer:
    """The token endpoint speaks OAuth 2.0 (RFC 6749, 5.2), everything else Google's own way."""
    if call.path == TOKEN_PATH:
        words = "Token has been expired or revoked."
        return json_answer(400, {"error": "invalid_grant", "error_description": words})
    return _error(call, 401, "Request had invalid authentication credentials.", "ACCESS_TOKEN_EXPIRED")


def _token_refusal(call: Call) -> Answer | None:
    token = call.bearer()
    if token is None or token in REFUSED_TOKENS:
        return answer_credentials_refused(call)
    if token in FOREIGN_TOKENS:
        return _error(call, 403, "The caller does not have permission.", "PERMISSION_DENIED")
    return None


def _of_request(complaint: str) -> Violation:
    field = _snake(complaint.partition(" ")[0].lstrip("."))
    reason = "REQUIRED_FIELD_MISSING" if complaint.endswith("is required") else None
    return Violation(field, f"{field} is wrong: {complaint.partition(' ')[2]}.", reason)


def _request_violations(body: Mapping[str, Any]) -> Iterator[Violation]:
    if len(body["events"]) > MOST_EVENTS:
        yield Violation("events", f"Maximum number of events is {MOST_EVENTS}.", "TOO_MANY_EVENTS")
    if len(body["destinations"]) > 10:
        yield Violation("destinations", "Maximum number of destinations is 10.", "TOO_MANY_DESTINATIONS")
    for index, destination in enumerate(body["destinations"]):
        path = f"destinations.destinations[{index}]"
        if int(destination["productDestinationId"]) == 0:
            field = f"{path}.product_destination_id"
            yield Violation(field, "Conversion action ID is not valid.", "INVALID_CONVERSION_ACTION_ID")
        if destination.get("loginAccount", {}).get("accountId") == CLOSED_ACCOUNT:
            reason = "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH"
            yield Violation(f"{path}.login_account", "The login account has no access.", reason)
    if "encoding" not in body and any(checks.object_at(event, "userData") for event in body["events"]):
        yield Violation("encoding", "Required field is missing.", "REQUIRED_FIELD_MISSING")


def _event_violation(call: Call, event: Any, path: str) -> Violation | None:
    """The first thing wrong with one event."""
    if complaint := checks.nothing_hollow(event) or EVENT(event):
        # Words of the JSON reader: a place without the list's name before it, and no reason.
        return Violation(path.removeprefix("events."), f"Invalid value{_snake(complaint)}.")
    if call.refuses(event.get("transactionId")):
        return Violation(path, "The event is refused on request of a fault.", "INVALID_ARGUMENT")
    for key in ("eventTimestamp", "transactionId", "eventSource"):
        if key not in event:
            return Violation(f"{path}.{_snake(key)}", "Required field is missing.", "REQUIRED_FIELD_MISSING")
    if not _is_time(event["eventTimestamp"]):
        return Violation(f"{path}.event_timestamp", "The event time is not valid.", "EVENT_TIME_INVALID")
    identifiers = checks.object_at(event, "userData").get("userIdentifiers", [])
    if len(identifiers) > MOST_IDENTIFIERS:
        return Violation(f"{path}.user_data", "Too many identifiers.", "TOO_MANY_USER_IDENTIFIERS")
    for index, identifier in enumerate(identifiers):
        where = f"{path}.user_data.user_identifiers[{index}]"
        if len(identifier) != 1:
            return Violation(where, "Exactly one identifier is needed.", "INVALID_ARGUMENT")
        if found := _digest_violation(identifier, where):
            return found
    if not event.keys() & {"adIdentifiers", "userData"}:
        return Violation(path, "There are no user or ad identifiers.", "NO_IDENTIFIERS_PROVIDED")
    return None


def _digest_violation(identifier: Mapping[str, Any], path: str) -> Violation | None:
    address = identifier.get("address", {})
    if address and address.keys() != set(ADDRESS_KEYS):
        return Violation(f"{path}.address", "Required field is missing.", "REQUIRED_FIELD_MISSING")
    if address and not re.fullmatch(r"[A-Z]{2}", address["regionCode"]):
        return Violation(f"{path}.address.region_code", "Country code is not valid.", "INVALID_COUNTRY_CODE")
    hashed = {**identifier, **{f"address.{key}": address[key] for key in ADDRESS_KEYS[:2] if address}}
    for key, value in hashed.items():
        if key == "address":
            continue
        if not re.fullmatch(r"[0-9a-fA-F]+", value):
            return Violation(f"{path}.{_snake(key)}", "The HEX value is malformed.", "INVALID_HEX_ENCODING")
        if len(value) != 64:
            return Violation(f"{path}.{_snake(key)}", "The SHA256 value is malformed.", "INVALID_SHA256_FORMAT")
    return None


def _chosen(destinations: list[dict[str, Any]], event: Any) -> list[dict[str, Any]]:
    """Without references an event goes to all destinations."""
    references = event.get("destinationReferences") if isinstance(event, dict) else None
    if not isinstance(references, list):
        return destinations
    return [destination for destination in destinations if destination.get("reference") in references]


def _item(destination: Mapping[str, Any], event: Any, *, accepted: bool, test: bool) -> Item:
    """A later event of the same transaction and action adjusts the first; its count stays one."""
    account, action = destination["operatingAccount"]["accountId"], destination["productDestinationId"]
    transaction = checks.text_at(event, "transactionId")
    kind = "test" if test else "live"
    key = (kind, account, action, transaction) if transaction else None
    return Item(f"{account}/{action}", action, transaction, event, accepted, test, key, newest_wins=True)


def _row_error(call: Call, key: str, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """(kind, code) of the first thing wrong with a row of the old upload."""
    kind = "conversionUploadError" if key == "conversions" else "conversionAdjustmentUploadError"
    adjustment = row.get("adjustmentType")
    times = [
        *(row[name] for name in ("conversionDateTime", "adjustmentDateTime") if name in row),
        *(pair["conversionDateTime"] for pair in [row.get("gclidDateTimePair", {})] if "conversionDateTime" in pair),
    ]
    identifiers = row.get("userIdentifiers", [])
    clicks = [name for name in ("gclid", "gbraid", "wbraid") if name in row]
    if call.parts["customer"] == NOT_ALLOWLISTED_ACCOUNT:
        return kind, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
    if call.refuses(row.get("orderId")):
        return kind, "CLICK_NOT_FOUND"
    if not re.fullmatch(r"customers/\d{10}/conversionActions/[1-9]\d*", row.get("conversionAction", "")):
        return kind, "NO_CONVERSION_ACTION_FOUND"
    if any(OLD_TIME(time) or not _is_time(time) for time in times):
        return "dateError", "INVALID_STRING_DATE_TIME"
    needed = {
        None: ("conversionDateTime",),
        "ENHANCEMENT": ("orderId", "userIdentifiers"),
        "RETRACTION": ("orderId", "adjustmentDateTime"),
        "RESTATEMENT": ("orderId", "adjustmentDateTime", "restatementValue"),
    }[adjustment]
    if any(name not in row for name in needed) or (adjustment is None and not clicks and not identifiers):
        return "fieldError", "REQUIRED"
    if {"gbraid", "wbraid"} <= set(clicks):
        return kind, "GBRAID_WBRAID_BOTH_SET"
    if len(clicks) > 1 or len(identifiers) > MOST_OLD_IDENTIFIERS:
        return "fieldError", "INVALID_VALUE"
    if adjustment is None and any("addressInfo" in identifier for identifier in identifiers):
        return kind, "UNSUPPORTED_USER_IDENTIFIER"
    if any(re.search(r"\s", row[name]) for name in clicks):
        return kind, "UNPARSEABLE_GCLID"
    return None


def _old_item(row: Mapping[str, Any], *, accepted: bool, test: bool) -> Item:
    order, action = row.get("orderId"), row.get("conversionAction", "")
    kind = f"{'test' if test else 'live'} {row.get('adjustmentType', '')}"
    key = (kind, action, order) if order else None
    return Item(action, action.rpartition("/")[2] or None, order, row, accepted, test, key)


def _is_time(given: str) -> bool:
    """Digits that are a date and a time of day; fractions finer than Python's count too."""
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", given))
    except ValueError:
        return False
    return True


def _snake(path: str) -> str:
    """Google names fields in its errors with underscores."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", path)


def _refusal(call: Call, violations: Sequence[Violation], items: Sequence[Item] = ()) -> Answer:
    """400 with every violation; where the JSON could not be read, without the answer's own reason."""
    listed = [
        {name: value for name, value in violation._asdict().items() if value is not None} for violation in violations
    ]
    details: list[dict[str, Any]] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": listed}]
    if any(violation.reason for violation in violations):
        details.insert(0, _error_info(call, "INVALID_ARGUMENT"))
    message = "There was a problem with the request."
    error = {"code": 400, "message": message, "status": STATUS_NAMES[400], "details": details}
    return json_answer(400, {"error": error}, items=items)


def _error(call: Call, status: int, message: str, reason: str | None = None) -> Answer:
    details = [_error_info(call, reason)] if reason else []
    error = {"code": status, "message": message, "status": STATUS_NAMES.get(status, "INTERNAL"), "details": details}
    return json_answer(status, {"error": error})


def _error_info(call: Call, reason: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "datamanager.googleapis.com",
        "metadata": {"requestId": _request_id(call)},
    }


def _request_id(call: Call) -> str:
    return f"t-sandbox-{call.serial}"


OLD_PATTERN = rf"/v\d+/customers/(?P<customer>\d{{10}}):(?P<method>{'|'.join(OLD_METHODS)})"
PLATFORM = Platform(
    title="Google Ads",
    routes=(
        Route("POST", re.compile(TOKEN_PATH), answer_token),
        Route("POST", re.compile(r"/v1/events:ingest"), answer_events),
        Route("POST", re.compile(OLD_PATTERN, re.ASCII), answer_old_upload),
    ),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"client_id"}),
)
