"""The old upload of the Google Ads API v26: it judges row by row, with HTTP 200 for refused rows too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, json_answer
from tracklayer.sandbox.platforms.checks import fields, flag, list_of, matching, number, one_of, text, whole
from tracklayer.sandbox.platforms.google_ads.shared import (
    CLOSED_ACCOUNT,
    CURRENCY,
    MOST_EVENTS,
    answer_error,
    int64,
    is_time,
    token_refusal,
)

MOST_OLD_IDENTIFIERS = 5
NOT_ALLOWLISTED_ACCOUNT = "9999999999"

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
OLD_PATTERN = rf"/v\d+/customers/(?P<customer>\d{{10}}):(?P<method>{'|'.join(OLD_METHODS)})"


def answer_old_upload(call: Call) -> Answer:
    """``POST https://googleads.googleapis.com/v26/customers/{customer}:{method}``: refused rows are ``{}`` in results."""
    if refused := token_refusal(call):
        return refused
    key = OLD_METHODS[call.parts["method"]]
    customer = call.parts["customer"]
    try:
        body: Any = call.json()
    except ValueError:
        return answer_error(call, 400, "Invalid JSON payload received.")
    known = {key: list_of(OLD_ROWS[key]), **dict.fromkeys(("partialFailure", "validateOnly"), flag), "jobId": whole}
    if complaint := checks.nothing_hollow(body) or fields(known, (key,))(body):
        return answer_error(call, 400, f"Invalid JSON payload received: body{complaint}.")
    if customer == CLOSED_ACCOUNT:
        return answer_error(call, 403, "The caller does not have permission.")
    if body.get("partialFailure") is not True or len(body[key]) > MOST_EVENTS:
        return answer_error(call, 400, f"partialFailure must be true, and {key} may have {MOST_EVENTS} elements.")
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
    if any(OLD_TIME(time) or not is_time(time) for time in times):
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
