"""``POST https://datamanager.googleapis.com/v1/events:ingest``: a request is refused whole for one bad event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, json_answer
from tracklayer.sandbox.platforms.checks import fields, flag, list_of, matching, number, one_of, text, whole
from tracklayer.sandbox.platforms.google_ads.shared import (
    CLOSED_ACCOUNT,
    CURRENCY,
    MOST_EVENTS,
    STATUS_NAMES,
    answer_error,
    error_info,
    int64,
    is_time,
    request_id,
    token_refusal,
)

MOST_IDENTIFIERS = 10

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
DEVICE = fields(
    {
        **dict.fromkeys(("userAgent", "category", "operatingSystem", "operatingSystemVersion", "model", "brand"), text),
        **dict.fromkeys(("browser", "browserVersion"), text),
        "languageCode": matching(r"[a-z]{2}", " must be a language code of two letters"),
        **dict.fromkeys(("screenWidth", "screenHeight"), whole),
        "ipAddress": checks.ip_address,
    }
)
CONSENT_STATE = one_of("CONSENT_GRANTED", "CONSENT_DENIED")
CONSENT = fields(dict.fromkeys(("adUserData", "adPersonalization"), CONSENT_STATE))
ADDRESS_KEYS = ("givenName", "familyName", "regionCode", "postalCode")
IDENTIFIER = fields(
    {**dict.fromkeys(("emailAddress", "phoneNumber"), text), "address": fields({**dict.fromkeys(ADDRESS_KEYS, text)})}
)

EVENT = fields(
    {
        "destinationReferences": list_of(text),
        "transactionId": text,
        **dict.fromkeys(("eventTimestamp", "lastUpdatedTimestamp"), TIME),
        "eventSource": one_of("WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"),
        "adIdentifiers": fields(
            {
                **dict.fromkeys(("gclid", "gbraid", "wbraid", "sessionAttributes", "mobileDeviceId"), text),
                "landingPageDeviceInfo": DEVICE,
            }
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


class Violation(NamedTuple):
    """Where a request is wrong and why; without a reason it is the JSON itself that cannot be read."""

    field: str
    description: str
    reason: str | None = None


def answer_events(call: Call) -> Answer:
    """``POST https://datamanager.googleapis.com/v1/events:ingest``."""
    if refused := token_refusal(call):
        return refused
    try:
        body: Any = call.json()
    except ValueError:
        return answer_error(call, 400, "Invalid JSON payload received.")
    if complaint := REQUEST(body):
        return _refusal(call, [_of_request(complaint)])
    destinations, events = body["destinations"], body["events"]
    accounts = [destination["operatingAccount"]["accountId"] for destination in destinations]
    if CLOSED_ACCOUNT in accounts:
        return answer_error(call, 403, "The caller does not have permission.", "PERMISSION_DENIED")
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
    return json_answer(200, {"requestId": request_id(call)}, items=items)


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
    if not is_time(event["eventTimestamp"]):
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
        details.insert(0, error_info(call, "INVALID_ARGUMENT"))
    message = "There was a problem with the request."
    error = {"code": 400, "message": message, "status": STATUS_NAMES[400], "details": details}
    return json_answer(400, {"error": error}, items=items)
