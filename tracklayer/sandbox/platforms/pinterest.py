"""Pinterest API for Conversions v5, as the API answers.

Source: pinterest/api-description, v5/openapi.json 5.23.0 and what 5.28 adds, operation events/create. Read
2026-11-23. A request that breaks the schema is refused whole (400); within the schema each event has a
verdict of its own, and the status is 422 where not all were processed. Any token works but ``bad-token``
and ``expired-token`` (401) and ``foreign-token`` (403); so does any ad account but ``0``. Stricter than
Pinterest is known to be, so that a slip is seen here and not in Ads Manager: unknown keys, empty values and
the fields for Pinterest's own use are refused, and so is an ``event_time`` that can only be in
milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, flag, list_of, matching, one_of, text, whole

MOST_EVENTS = 1000
MOST_TEST_EVENTS = 20  # of a request with ?test=true; the rest is not looked at
DEDUP_WINDOW = timedelta(hours=48)
LATE = timedelta(hours=1)
BAD_TOKENS = frozenset({"bad-token", "expired-token"})
FOREIGN_TOKENS = frozenset({"foreign-token"})
FIRST_MILLISECONDS = 10**11  # in seconds the year 5138, in milliseconds 1973

HASHED = list_of(checks.sha256)
AMOUNT = matching(r"(0|[1-9][0-9]*)(\.[0-9]+)?", " must be a decimal number written as a string")
USER_DATA = fields(
    {
        **dict.fromkeys(("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country"), HASHED),
        **dict.fromkeys(("external_id", "hashed_maids"), HASHED),
        "client_ip_address": checks.ip_address,
        **dict.fromkeys(("client_user_agent", "click_id"), text),
    }
)
CONTENT = fields(
    {
        **dict.fromkeys(("id", "item_name", "item_category", "item_brand"), text),
        "item_brand_id": matching(r".{1,64}", " must be a string of at most 64 characters"),
        "item_price": AMOUNT,
        "quantity": whole,
    }
)
CUSTOM_DATA = fields(
    {
        **dict.fromkeys(("value", "predicted_ltv"), AMOUNT),
        "currency": matching(r"[A-Z]{3}", " must be a currency code of three capitals"),
        **dict.fromkeys(("order_id", "search_string"), text),
        **dict.fromkeys(("content_name", "content_category", "content_brand"), text),
        "content_ids": list_of(text),
        "contents": list_of(CONTENT),
        "num_items": whole,
        "opt_out_type": one_of("LDP"),
    }
)
EVENT = fields(
    {
        "event_name": matching(r"[A-Za-z0-9_-]{1,100}", " must be 1 to 100 letters, digits, _ or -"),
        "action_source": one_of("web", "offline", "app_android", "app_ios"),
        "event_time": whole,
        "event_id": text,
        "event_source_url": checks.url,
        "opt_out": flag,
        "partner_name": matching(r"ss-[a-z0-9_-]+", " must be of the form ss-company"),
        "user_data": USER_DATA,
        "custom_data": CUSTOM_DATA,
        **dict.fromkeys(("app_id", "app_name", "app_version", "device_brand", "device_carrier"), text),
        **dict.fromkeys(("device_model", "device_type", "os_version", "language"), text),
        "wifi": flag,
    },
    required=("event_name", "action_source", "event_time", "event_id", "user_data"),
)
BODY = fields({"data": list_of(checks.structure)}, required=("data",))


def answer_events(call: Call) -> Answer:
    """``POST /v5/ad_accounts/{ad account id}/events``, with ``?test=true`` for a trial."""
    token = call.bearer()  # in the query string it does not count
    if token is None or token in BAD_TOKENS:
        return answer_credentials_refused(call)
    if token in FOREIGN_TOKENS or int(call.parts["account"]) == 0:
        return _refusal(403, 29, "You are not permitted to access that resource.")
    try:
        body: Any = call.json()
    except ValueError:
        return _refusal(400, 4196, "The body is no valid JSON.")
    if complaint := BODY(body) or _schema_complaint(body["data"]):
        return _refusal(400, 4196, f"Invalid request: body{complaint}.")
    is_test = call.query.get("test") == "true"
    events = body["data"]
    handled = events[:MOST_TEST_EVENTS] if is_test else events
    results = [_result(call, event) for event in handled]
    processed = sum(result["status"] == "processed" for result in results)
    report = {"num_events_received": len(events), "num_events_processed": processed, "events": results}
    items = [
        _item(
            call,
            event,
            accepted=index < len(results) and results[index]["status"] == "processed",
            test=is_test,
        )
        for index, event in enumerate(events)
    ]
    if processed == len(events):
        return json_answer(200, report, items=items)
    return json_answer(422, {"code": 422, "message": "Not all events were processed.", "details": report}, items=items)


def answer_no_route(call: Call) -> Answer:
    return _refusal(404, 404, "The requested path does not exist.")


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    headers = {} if retry_after is None else {"x-ratelimit-reset": str(retry_after)}
    return _refusal(429, 8, "This request exceeded a rate limit.", headers)


def answer_server_error(call: Call, status: int) -> Answer:
    """Code 4197 is the one that is documented, with 503; a proxy's page for 502 and 504."""
    if status in (502, 504):
        return html_answer(status)
    if status < 500:
        return _refusal(status, 4196, "Invalid request.")
    message = "The endpoint is ramped down." if status == 503 else "Something went wrong on our end."
    return _refusal(status, 4197 if status == 503 else status, message)


def answer_credentials_refused(call: Call) -> Answer:
    return _refusal(401, 2, "Authentication failed.")


def _schema_complaint(events: list[dict[str, Any]]) -> str | None:
    """The first breach of the schema in any event: it costs the whole request."""
    if len(events) > MOST_EVENTS:
        return f".data must have at most {MOST_EVENTS} elements"
    for index, event in enumerate(events):
        complaint = checks.nothing_hollow(event) or EVENT(event)
        if complaint is None and not 0 < event["event_time"] < FIRST_MILLISECONDS:
            complaint = ".event_time must be in Unix seconds"
        if complaint:
            return f".data[{index}]{complaint}"
    return None


def _result(call: Call, event: Mapping[str, Any]) -> dict[str, str | None]:
    """The verdict on an event that keeps to the schema."""
    error = warning = None
    user_data = event["user_data"]
    if call.refuses(event["event_id"]):
        error = "The event is refused on request of a fault."
    elif not {"em", "hashed_maids"} & user_data.keys() and not (
        user_data.keys() >= {"client_ip_address", "client_user_agent"}
    ):
        error = "user_data needs em, hashed_maids, or client_ip_address with client_user_agent."
    elif event["action_source"] != "offline" and _age(call, event) > LATE:
        warning = "event_time is more than one hour ago: the event is reported as offline."
    return {
        "status": "failed" if error else "processed",
        "error_message": error,
        "warning_message": warning,
    }


def _age(call: Call, event: Mapping[str, Any]) -> timedelta:
    return timedelta(seconds=call.now.timestamp() - event["event_time"])


def _item(call: Call, event: Mapping[str, Any], *, accepted: bool, test: bool) -> Item:
    """Copies are one event where ad account, name and id agree, within 48 hours; each offline copy counts."""
    account, name, event_id = call.parts["account"], event["event_name"], event["event_id"]
    # Names are compared without case.
    key = None if event["action_source"] == "offline" else (account, name.lower(), event_id)
    return Item(account, name, event_id, event, accepted, test, key, DEDUP_WINDOW)


def _refusal(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return json_answer(status, {"code": code, "message": message}, headers)


PLATFORM = Platform(
    title="Pinterest API for Conversions",
    routes=(Route("POST", re.compile(r"/v5/ad_accounts/(?P<account>[0-9]+)/events"), answer_events),),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
)
