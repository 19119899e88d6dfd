"""Reddit Conversions API v3, as the API answers.

Source: Reddit for Business help, "Manual Advanced Matching" and "Event Deduplication", and Reddit's v3 guide as public
connectors quote it, read 2026-11-23. One bad event fails its whole request and nothing of it is stored. Any token works
but ``bad-token`` and ``expired-token`` (401) and ``foreign-token`` (403). Refused is what a field's documented type or
the time forbids, and an event of nobody: match keys may be plain or digests, and metadata that a type of event does not
use is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, list_of, matching, number, one_of, text, whole

MOST_EVENTS = 1000
MOST_BYTES = 1024 * 1024
OLDEST_EVENT = timedelta(hours=168)  # an event must be younger
FURTHEST_AHEAD = timedelta(minutes=5)
DEDUP_WINDOW = timedelta(days=2)
FIRST_MILLISECONDS = 10**11  # in milliseconds 1973, in seconds the year 5138
TOKEN_STATUS = {"bad-token": 401, "expired-token": 401, "foreign-token": 403}

TYPES = (
    *(
        "PURCHASE",
        "ADD_TO_CART",
        "LEAD",
        "SIGN_UP",
        "VIEW_CONTENT",
        "SEARCH",
        "ADD_TO_WISHLIST",
        "PAGE_VISIT",
    ),
    "CUSTOM",
)
IDENTITIES = frozenset({"uuid", "email", "idfa", "aaid", "external_id", "phone_number"})

UUID = matching(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", " must be a UUID")
OPTIONS = fields(
    {
        "modes": list_of(one_of("LDU")),
        "country": matching(r"[A-Z]{2}", " must be a country code of two capital letters"),
        "region": matching(r"[A-Z]{2}-[A-Z0-9]{1,3}", " must be a region code such as US-CA"),
    },
    required=("modes",),
    others=checks.anything,
)
USER = fields(
    {
        **dict.fromkeys(("email", "phone_number", "external_id", "ip_address", "idfa", "aaid"), text),
        "user_agent": text,
        "uuid": UUID,
        "screen_dimensions": fields({"width": whole, "height": whole}, required=("width", "height")),
        "data_processing_options": OPTIONS,
    },
    others=checks.anything,
)
PRODUCT = fields(
    {**dict.fromkeys(("id", "name", "category"), text), "quantity": whole, "item_price": number},
    required=("id",),
    others=checks.anything,
)
METADATA = fields(
    {
        "conversion_id": text,
        "value": number,
        "currency": matching(r"[A-Z]{3}", " must be a currency code of three capital letters"),
        "item_count": whole,
        "products": list_of(PRODUCT, least=0),
    },
    others=checks.anything,
)
EVENT = fields(
    {
        "event_at": whole,
        "action_source": one_of("WEBSITE", "APP", "PHYSICAL_STORE", "OTHER"),
        "event_source_url": checks.url,
        "type": fields(
            {
                "tracking_type": one_of(*TYPES),
                "custom_event_name": text,
            },
            required=("tracking_type",),
        ),
        "click_id": text,
        "user": USER,
        "metadata": METADATA,
    },
    required=("event_at", "action_source", "type"),
    others=checks.anything,
)


def answer_events(call: Call) -> Answer:
    """``POST /api/v3/pixels/{pixel}/conversion_events``."""
    token = call.bearer()
    if token is None:
        return Answer(401, b"Authorization Required", {"content-type": "text/plain; charset=utf-8"})
    if TOKEN_STATUS.get(token) == 401:
        return answer_credentials_refused(call)
    if token in TOKEN_STATUS:
        return _error(403, "The token has no permission for this pixel.")
    if not call.parts["pixel"].startswith(("a2_", "t2_")):
        return _error(404, "There is no such pixel.")
    if len(call.body) > MOST_BYTES:
        return _error(413, "The request is too large.")
    try:
        body = call.json()
    except ValueError:
        return _error(400, "The body is no JSON.")
    data = checks.object_at(body, "data")
    events = data.get("events")
    if not isinstance(events, list) or not 1 <= len(events) <= MOST_EVENTS:
        return _invalid([f"data.events must be a list of 1 to {MOST_EVENTS} events"])
    problems = _data_problems(data) + [
        f"data.events[{index}]{problem}"
        for index, event in enumerate(events)
        if (problem := _event_problem(call, event)) is not None
    ]
    items = [_item(call, event, accepted=not problems, test="test_id" in data) for event in events]
    if problems:
        return _invalid(problems, items)
    message = f"Successfully processed {len(events)} conversion events."
    return json_answer(200, {"data": {"message": message}}, items=items)


def answer_no_route(call: Call) -> Answer:
    return _error(404, "There is nothing at this path.")


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    return _error(429, "Too many requests.")


def answer_server_error(call: Call, status: int) -> Answer:
    return html_answer(status) if status in (502, 504) else _error(status, "Something went wrong.")


def answer_credentials_refused(call: Call) -> Answer:
    return _error(401, "The token is not valid.")


def _data_problems(data: Mapping[str, Any]) -> list[str]:
    known = {"events": checks.anything, "test_id": text, "partner": text}
    complaint = fields(known, others=checks.anything)(data)
    return [f"data{complaint}"] if complaint else []


def _event_problem(call: Call, event: Any) -> str | None:
    """The first thing wrong with one event, as what follows its path."""
    if not isinstance(event, dict):
        return " must be an object"
    user, metadata = checks.object_at(event, "user"), checks.object_at(event, "metadata")
    if call.refuses(metadata.get("conversion_id")):
        return " is refused on request of a fault"
    if complaint := EVENT(event):
        return complaint
    tracking_type = event["type"]["tracking_type"]
    if (tracking_type == "CUSTOM") is not ("custom_event_name" in event["type"]):
        return ".type.custom_event_name must be there for CUSTOM, and only there"
    return _time_problem(call, event["event_at"]) or _identity_problem(event, user)


def _time_problem(call: Call, event_at: int) -> str | None:
    if event_at < FIRST_MILLISECONDS:
        return ".event_at must be in Unix milliseconds"
    age = call.now.timestamp() - event_at / 1000
    if age >= OLDEST_EVENT.total_seconds():
        return ".event_at must be less than 168h0m0s ago"
    if -age > FURTHEST_AHEAD.total_seconds():
        return ".event_at is in the future"
    return None


def _identity_problem(event: Mapping[str, Any], user: Mapping[str, Any]) -> str | None:
    if "click_id" in event or user.keys() & IDENTITIES or {"ip_address", "user_agent"} <= user.keys():
        return None
    return ".user needs an identifier, or there must be a click_id"


def _item(call: Call, event: Any, *, accepted: bool, test: bool) -> Item:
    """Two events are one where pixel, type, custom name and id agree, within two days; a test is never a live one."""
    kind = checks.object_at(event, "type")
    name, custom = checks.text_at(kind, "tracking_type"), checks.text_at(kind, "custom_event_name")
    event_id = checks.text_at(checks.object_at(event, "metadata"), "conversion_id")
    pixel = call.parts["pixel"]
    key = (pixel, "test" if test else "live", name or "", custom or "", event_id) if event_id else None
    return Item(pixel, custom or name, event_id, event, accepted, test, key, DEDUP_WINDOW)


def _invalid(problems: Sequence[str], items: Sequence[Item] = ()) -> Answer:
    """Each problem is a path, a space and what is wrong there."""
    named = [problem.partition(" ") for problem in problems]
    listed = [{"field": path, "message": message} for path, _, message in named]
    error = {"code": 400, "message": "Invalid request: no event was processed.", "fields": listed}
    return json_answer(400, {"error": error}, items=items)


def _error(status: int, message: str) -> Answer:
    return json_answer(status, {"error": {"code": status, "message": message}})


PLATFORM = Platform(
    title="Reddit Conversions API",
    routes=(Route("POST", re.compile(r"/api/v3/pixels/(?P<pixel>[A-Za-z0-9_-]+)/conversion_events"), answer_events),),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
)
