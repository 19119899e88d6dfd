"""Snapchat Conversions API v3, as the API answers.

Source: Snap for Developers, Conversions API: "Using the API", "Parameters", "Verify Set Up", "Best Practices", and
public connectors where those are silent, read 2026-11-28. One bad event fails its whole request and nothing of it is
stored: Snap does not say. Any token works but ``bad-token`` and ``expired-token`` (401) and ``foreign-token`` (403).
A key it does not know is taken without a word. A website event without its URL is refused only where it is validated:
that page of Snap's asks for one. Stricter than Snap is known to be, so that a slip is seen here: empty values and
currencies off its list are refused everywhere, and one request never mixes app events with others. The codes inside an
answer are this emulation's own: Snap publishes none. Its log of test events is not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import (
    fields,
    list_of,
    matching,
    number,
    one_of,
    one_or_list,
    text,
    whole,
)

MOST_EVENTS = 2000
MOST_BYTES = 2 * 1024 * 1024
OLDEST_EVENT = timedelta(days=7)  # not for offline events
DEDUP_WINDOW = timedelta(hours=48)
DEDUP_WINDOW_OF_ORDERS = timedelta(days=30)
FIRST_MILLISECONDS = 10**11  # in seconds the year 5138, in milliseconds 1973
TOKEN_STATUS = {"bad-token": 401, "expired-token": 401, "foreign-token": 403}

NAMES = (
    *("PURCHASE", "SAVE", "START_CHECKOUT", "ADD_CART", "VIEW_CONTENT", "ADD_BILLING", "SIGN_UP", "SEARCH"),
    *(
        "PAGE_VIEW",
        "SUBSCRIBE",
        "AD_CLICK",
        "AD_VIEW",
        "COMPLETE_TUTORIAL",
        "LEVEL_COMPLETE",
        "INVITE",
        "LOGIN",
    ),
    *("SHARE", "RESERVE", "ACHIEVEMENT_UNLOCKED", "ADD_TO_WISHLIST", "SPENT_CREDITS", "RATE", "START_TRIAL"),
    *("LIST_VIEW", "APP_INSTALL", "APP_OPEN", "CUSTOM_EVENT_1", "CUSTOM_EVENT_2", "CUSTOM_EVENT_3"),
    *("CUSTOM_EVENT_4", "CUSTOM_EVENT_5"),
)
KINDS = {
    **dict.fromkeys(("WEB", "website"), "web"),
    **dict.fromkeys(("MOBILE_APP", "app"), "app"),
    **dict.fromkeys(("OFFLINE", "physical_store", "phone_call", "phone"), "offline"),
    **dict.fromkeys(("email", "chat", "system_generated"), "offline"),
}
CURRENCIES = (
    *(
        "AED",
        "ALL",
        "AUD",
        "BGN",
        "BHD",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CZK",
        "DKK",
        "DZD",
        "EGP",
    ),
    *(
        "EUR",
        "GBP",
        "GHS",
        "GIP",
        "HKD",
        "HRK",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IQD",
        "ISK",
        "JOD",
        "JPY",
        "KES",
    ),
    *(
        "KRW",
        "KWD",
        "KZT",
        "LBP",
        "MAD",
        "MXN",
        "MYR",
        "NGN",
        "NOK",
        "NZD",
        "OMR",
        "PEN",
        "PHP",
        "PKR",
        "PLN",
    ),
    *(
        "QAR",
        "RON",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "TWD",
        "TZS",
        "UAH",
        "USD",
        "VND",
        "XOF",
        "ZAR",
    ),
)
NUMERAL = matching(r"-?\d+(\.\d+)?", " must be a number, or one written as text")
DIGITS = matching(r"\d+", " must be a whole number, or one written as text")


def amount(value: object) -> str | None:
    return None if number(value) is None else NUMERAL(value)


def count(value: object) -> str | None:
    return None if whole(value) is None else DIGITS(value)


def extinfo(value: object) -> str | None:
    """Slots may be empty, the first names the system."""
    if not isinstance(value, list) or len(value) != 16 or not all(isinstance(slot, str) for slot in value):
        return " must be a list of 16 strings"
    return None if value[0] in ("a2", "i2") else "[0] must be a2 or i2"


USER_DATA = fields(
    {
        **dict.fromkeys(("em", "ph", "fn", "ln", "ge", "ct", "st", "zp"), one_or_list(checks.sha256)),
        **dict.fromkeys(("country", "external_id"), one_or_list(checks.sha256)),
        "client_ip_address": checks.ip_address,
        **dict.fromkeys(("client_user_agent", "sc_click_id", "sc_cookie1", "idfv", "lead_id"), text),
        "madid": matching(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", " must be in lower case with hyphens"),
        **dict.fromkeys(("subscription_id", "anon_id", "download_id", "partner_id"), text),
    },
    others=checks.anything,
)
CONTENT = fields(
    {
        **dict.fromkeys(("id", "brand"), text),
        "quantity": whole,
        "item_price": number,
        "delivery_category": one_of("in_store", "curbside", "home_delivery"),
    },
    others=checks.anything,
)
CUSTOM_DATA = fields(
    {
        "value": amount,
        "currency": one_of(*CURRENCIES),
        "num_items": count,
        "predicted_ltv": number,
        **dict.fromkeys(("order_id", "content_name", "search_string", "sign_up_method"), text),
        **dict.fromkeys(("content_ids", "content_category"), list_of(text)),
        "content_type": text,  # product, product_group; hotel and the like of travel catalogues
        "contents": list_of(CONTENT),
        "brands": one_or_list(text),
    },
    others=checks.anything,
)
APP_DATA = fields(
    {"app_id": text, "advertiser_tracking_enabled": one_of(0, 1), "extinfo": extinfo},
    required=("app_id",),
    others=checks.anything,
)
EVENT = fields(
    {
        "event_name": one_of(*NAMES),
        "event_time": whole,
        **dict.fromkeys(("event_id", "integration", "test_event_code"), text),
        "action_source": one_of(*KINDS),
        "event_source_url": checks.url,
        "data_processing_options": list_of(one_of("LMU", "DELETE", "LDU")),
        "data_processing_options_country": one_of(0, 1),
        "data_processing_options_state": one_of(0, 1000),
        "user_data": USER_DATA,
        "custom_data": CUSTOM_DATA,
        "app_data": APP_DATA,
    },
    required=("event_name", "event_time", "action_source"),
    others=checks.anything,
)


class Problem(NamedTuple):
    """What is wrong with one event; ``message`` names the place, never the value."""

    message: str
    code: str = "INVALID_FIELD"


def answer_events(call: Call) -> Answer:
    """``POST /v3/{pixel or app}/events``."""
    return _answer(call, is_trial=False)


def answer_validate(call: Call) -> Answer:
    """``POST /v3/{pixel or app}/events/validate``: judged, not stored."""
    return _answer(call, is_trial=True)


def answer_no_route(call: Call) -> Answer:
    return _error(404, "There is nothing at this path.")


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    return _error(429, "Too many requests.")


def answer_server_error(call: Call, status: int) -> Answer:
    return html_answer(status) if status in (502, 504) else _error(status, "Something went wrong.")


def answer_credentials_refused(call: Call) -> Answer:
    return _error(401, "The access token is invalid or has expired.")


def _answer(call: Call, *, is_trial: bool) -> Answer:
    token = call.query.get("access_token", "").strip()
    if not token or TOKEN_STATUS.get(token) == 401:
        return answer_credentials_refused(call)
    if token in TOKEN_STATUS:
        return _error(403, "The access token has no permission for this asset.")
    if len(call.body) > MOST_BYTES:
        return _error(413, "The request is too large.")
    try:
        body = call.json()
    except ValueError:
        body = None
    events = body.get("data") if isinstance(body, dict) else None
    if not isinstance(events, list) or not 1 <= len(events) <= MOST_EVENTS:
        return _invalid(f"data must be a list of 1 to {MOST_EVENTS} events.", [], is_trial=is_trial)
    problems = _mixture_problems(events) or [_event_problem(call, event, is_trial=is_trial) for event in events]
    is_good = not any(problems)
    items = [_item(call, event, accepted=is_good and not is_trial) for event in events]
    if not is_good:
        reason = f"{sum(map(bool, problems))} of {len(events)} events are invalid."
        return _invalid(reason, problems, is_trial=is_trial, items=items)
    reply: dict[str, Any] = {"status": "VALID", "reason": f"{len(events)} events were valid."}
    if is_trial:
        reply |= {"test_event": True, "event_logs": _logs(problems)}
    return json_answer(200, reply, items=items)


def _mixture_problems(events: list[Any]) -> list[Problem | None]:
    """Every event of a request that goes to a pixel and to an app at once."""
    if len({KINDS.get(checks.text_at(event, "action_source") or "") == "app" for event in events}) < 2:
        return []
    return [Problem("app events and others have endpoints of their own")] * len(events)


def _event_problem(call: Call, event: Any, *, is_trial: bool) -> Problem | None:
    """The first thing wrong with one event."""
    if not isinstance(event, dict):
        return Problem("the event must be an object")
    if call.refuses(event.get("event_id")):
        return Problem("the event is refused on request of a fault", "REFUSED")
    full = {key: value for key, value in event.items() if key != "app_data"}  # slots of extinfo may be empty
    if complaint := checks.nothing_hollow(full) or EVENT(event):
        return Problem(complaint.lstrip(". "))
    kind = KINDS[event["action_source"]]
    if is_trial and kind == "web" and "event_source_url" not in event:
        return Problem("event_source_url is required for web events", "MISSING_FIELD")
    if kind == "app" and "app_data" not in event:
        return Problem("app_data is required for app events", "MISSING_FIELD")
    if kind != "web" and "data_processing_options" in event:
        return Problem("data_processing_options is for web events only")
    custom_data = checks.object_at(event, "custom_data")
    if event["event_name"] == "PURCHASE" and not {"value", "currency"} <= custom_data.keys():
        return Problem("custom_data needs value and currency for a PURCHASE", "MISSING_PRICE")
    return _time_problem(call, event, kind) or _identity_problem(checks.object_at(event, "user_data"), kind)


def _time_problem(call: Call, event: Mapping[str, Any], kind: str) -> Problem | None:
    """Seconds and milliseconds are both taken."""
    time = event["event_time"]
    if time <= 0:
        return Problem("event_time must be in Unix seconds or milliseconds", "INVALID_TIME")
    seconds = time / 1000 if time >= FIRST_MILLISECONDS else time
    if kind != "offline" and call.now.timestamp() - seconds > OLDEST_EVENT.total_seconds():
        return Problem(f"event_time is more than {OLDEST_EVENT.days} days ago", "INVALID_TIME")
    return None


def _identity_problem(user_data: Mapping[str, Any], kind: str) -> Problem | None:
    is_known = bool(user_data.keys() & {"em", "ph"}) or (kind == "app" and "madid" in user_data)
    if is_known or {"client_ip_address", "client_user_agent"} <= user_data.keys():
        return None
    return Problem(
        "user_data needs em, ph, client_ip_address and client_user_agent, or an app's madid", "INSUFFICIENT_PII"
    )


def _item(call: Call, event: Any, *, accepted: bool) -> Item:
    """Two events are one where asset, name and id agree, within 48 hours; purchases without an id by their order."""
    name, event_id = checks.text_at(event, "event_name"), checks.text_at(event, "event_id")
    order = checks.text_at(checks.object_at(event, "custom_data"), "order_id")
    asset, window, key = call.parts["asset"], DEDUP_WINDOW, None
    if event_id:
        key = (asset, name or "", event_id)
    elif order and name == "PURCHASE":
        key, window = (asset, "PURCHASE of an order", order), DEDUP_WINDOW_OF_ORDERS
    is_test = checks.text_at(event, "test_event_code") is not None
    return Item(asset, name, event_id, event, accepted, is_test, key, window)


def _logs(problems: Sequence[Problem | None]) -> list[dict[str, Any]]:
    """Each event by its position, from 1."""
    return [
        {"event": position, "status": "VALID"}
        if problem is None
        else {
            "event": position,
            "status": "INVALID",
            "errors": {"codes": [problem.code], "error_msgs": [problem.message]},
        }
        for position, problem in enumerate(problems, start=1)
    ]


def _invalid(reason: str, problems: Sequence[Problem | None], *, is_trial: bool, items: Sequence[Item] = ()) -> Answer:
    reply = {"status": "INVALID", "reason": reason, "test_event": is_trial, "event_logs": _logs(problems)}
    return json_answer(400, reply, items=items)


def _error(status: int, reason: str) -> Answer:
    return json_answer(status, {"status": "ERROR", "reason": reason})


PLATFORM = Platform(
    title="Snapchat Conversions API",
    routes=(
        Route("POST", re.compile(r"/v3/(?P<asset>[A-Za-z0-9._-]+)/events"), answer_events),
        Route("POST", re.compile(r"/v3/(?P<asset>[A-Za-z0-9._-]+)/events/validate"), answer_validate),
    ),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
)
