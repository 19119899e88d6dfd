"""Microsoft Advertising UET Conversions API v1, as the API answers.

Source: Microsoft Learn on the UET Conversions API and its guide as public connectors quote it, read 2026-11-24. With
``continueOnValidationError`` the good events of a request are taken and the bad ones listed, else one bad event fails
all. Any token works but ``bad-token`` and ``expired-token`` (401) and ``foreign-token`` (403); any tag but ``404`` and
``410``, which are answered so. Refused is what the guide's readers report: a wrong type, match keys that are no digests,
an event of nobody, a time out of range, a page load without its URL or with a value, a value without its currency. A wrong
``pageLoadId`` only costs itself and a warning. Microsoft says of the browser's copy only that an ``eventId`` makes it one
with the API's; here two copies over the API are one as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, list_of, matching, number, one_of, sha256, text, whole

MOST_EVENTS = 1000
MOST_BYTES = 1024 * 1024
OLDEST_EVENT = timedelta(days=7)
FURTHEST_AHEAD = timedelta(seconds=5)  # what two clocks may differ by
FIRST_MILLISECONDS = 10**11  # in seconds the year 5138, in milliseconds 1973
BAD_TOKENS = frozenset({"bad-token", "expired-token"})
FOREIGN_TOKEN = "foreign-token"  # noqa: S105  a token of an account that was not enrolled
TAG_FAULTS = {"404": 404, "410": 410}

_UUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
DEVICE = matching(_UUID, " must be a UUID")
PAGE_LOAD = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-4[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}")
IDENTITIES = frozenset({"anonymousId", "externalId", "em", "ph", "msclkid", "idfa", "gaid"})
USER_DATA = fields(
    {
        **dict.fromkeys(("em", "ph"), sha256),
        **dict.fromkeys(("externalId", "anonymousId", "msclkid", "clientUserAgent"), text),
        "clientIpAddress": checks.ip_address,
        **dict.fromkeys(("idfa", "gaid"), DEVICE),
    },
    others=checks.anything,
)
CUSTOM_DATA = fields(
    {
        **dict.fromkeys(("value", "ecommTotalValue", "eventValue"), number),
        "currency": matching(r"[A-Z]{3}", " must be a currency code of three capitals"),
        **dict.fromkeys(("transactionId", "searchTerm", "eventCategory", "eventLabel", "ecommCategory"), text),
        "itemIds": list_of(text, least=0),
        "items": list_of(
            fields({**dict.fromkeys(("id", "name"), text), "price": number, "quantity": whole}, others=checks.anything),
            least=0,
        ),
        "pageType": one_of("home", "product", "category", "searchresults", "cart", "purchase", "other"),
    },
    others=checks.anything,
)
EVENT = fields(
    {
        "eventType": one_of("pageLoad", "custom"),
        **dict.fromkeys(("eventName", "eventId", "pageTitle", "keywords", "pageLoadId"), text),
        "eventTime": whole,
        **dict.fromkeys(("eventSourceUrl", "referrerUrl"), checks.url),
        "adStorageConsent": one_of("G", "D"),
        "userData": USER_DATA,
        "customData": CUSTOM_DATA,
    },
    required=("eventType", "eventTime", "userData"),
    others=checks.anything,
)
ENVELOPE = fields(
    {"data": checks.anything, "dataProvider": text, "continueOnValidationError": checks.flag},
    required=("data",),
    others=checks.anything,
)


def answer_events(call: Call) -> Answer:
    """``POST /v1/{tag}/events``."""
    token = call.bearer()
    if token is None or token in BAD_TOKENS:
        return answer_credentials_refused(call)
    if token == FOREIGN_TOKEN:
        return _error(call, 403, "Forbidden", "The account is not enrolled in the Conversions API.")
    if status := TAG_FAULTS.get(call.parts["tag"]):
        return _error(call, status, "NotFound", "There is no such UET tag.")
    if len(call.body) > MOST_BYTES:
        return _error(call, 413, "RequestTooLarge", "The request is too large.")
    try:
        body: Any = call.json()
    except ValueError:
        return _error(call, 400, "BadRequest", "The body is no JSON.")
    if complaint := ENVELOPE(body):
        return _error(call, 400, "ValidationError", f"The request{complaint}.")
    events = body["data"]
    if not isinstance(events, list) or not 1 <= len(events) <= MOST_EVENTS:
        return _error(call, 400, "ValidationError", f"data must be a list of 1 to {MOST_EVENTS} events.")
    details = [detail for index, event in enumerate(events) for detail in _details(call, index, event)]
    bad = {detail["index"] for detail in details if not detail["isWarning"]}
    is_whole = bool(bad) and body.get("continueOnValidationError") is not True
    items = [_item(call, event, accepted=not is_whole and index not in bad) for index, event in enumerate(events)]
    if is_whole:
        return _error(call, 400, "ValidationError", "The request was refused: some events are invalid.", details, items)
    reply: dict[str, Any] = {"eventsReceived": len(events) - len(bad)}
    if details:
        message = "Some events were not taken, or not all of their fields."
        reply |= {"traceId": _trace(call), "error": _error_object("ValidationError", message, details)}
    return json_answer(200, reply, _request_id(call), items)


def answer_no_route(call: Call) -> Answer:
    return _error(call, 404, "NotFound", "There is nothing at this path.")


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    return _error(call, 429, "TooManyRequests", "Too many requests.")


def answer_server_error(call: Call, status: int) -> Answer:
    if status in (502, 504):
        return html_answer(status)
    return _error(call, status, "InternalError" if status >= 500 else "Error", "The request was not processed.")


def answer_credentials_refused(call: Call) -> Answer:
    return _error(call, 401, "Unauthorized", "The token is not valid for this tag.")


def _details(call: Call, index: int, event: Any) -> list[dict[str, Any]]:
    """The first fault of one event, or a warning."""
    if not isinstance(event, dict):
        return [_detail(index, event, " must be an object")]
    if call.refuses(event.get("eventId")):
        return [_detail(index, event, ".eventId is refused on request of a fault")]
    if complaint := EVENT(event):
        return [_detail(index, event, complaint)]
    if problem := _type_problem(event) or _time_problem(call, event["eventTime"]) or _money_problem(event):
        return [_detail(index, event, problem)]
    if not event["userData"].keys() & IDENTITIES:
        return [_detail(index, event, ".userData needs an identifier other than address and user agent")]
    if "pageLoadId" in event and not PAGE_LOAD.fullmatch(event["pageLoadId"]):
        return [_detail(index, event, ".pageLoadId is no UUID of version 4 and was dropped", is_warning=True)]
    return []


def _type_problem(event: Mapping[str, Any]) -> str | None:
    if event["eventType"] == "pageLoad" and "eventSourceUrl" not in event:
        return ".eventSourceUrl is required for a pageLoad"
    return None


def _time_problem(call: Call, event_time: int) -> str | None:
    if not 0 < event_time < FIRST_MILLISECONDS:
        return ".eventTime must be in Unix seconds"
    age = call.now.timestamp() - event_time
    if age > OLDEST_EVENT.total_seconds() + 1:  # the second's fraction was cut off by the sender
        return f".eventTime is more than {OLDEST_EVENT.days} days ago"
    return ".eventTime is in the future" if -age > FURTHEST_AHEAD.total_seconds() else None


def _money_problem(event: Mapping[str, Any]) -> str | None:
    custom_data = event.get("customData", {})
    if "value" in custom_data and event["eventType"] == "pageLoad":
        return ".customData.value is not taken with a pageLoad"
    if "value" in custom_data and "currency" not in custom_data:
        return ".customData.currency is required with a value"
    return None


def _detail(index: int, event: Any, problem: str, *, is_warning: bool = False) -> dict[str, Any]:
    """As Microsoft lists it: what was tried is repeated, so that a client which shows it is caught."""
    path, _, rule = problem.partition(" ")
    tried = event
    for key in re.findall(r"[^.\[\]]+", path):
        try:
            tried = tried[int(key)] if isinstance(tried, list) else tried[key]
        except (KeyError, IndexError, TypeError, ValueError):
            tried = None
    return {
        "index": index,
        "propertyName": path.lstrip("."),
        "attemptedValue": tried if isinstance(tried, str) else str(tried or ""),
        "errorMessage": rule,
        "errorCode": "InvalidValue" if tried is not None else "MissingValue",
        "isWarning": is_warning,
    }


def _item(call: Call, event: Any, *, accepted: bool) -> Item:
    """Two events are one where tag, type, action and id agree."""
    kind, name = checks.text_at(event, "eventType") or "", checks.text_at(event, "eventName")
    event_id, tag = checks.text_at(event, "eventId"), call.parts["tag"]
    return Item(
        destination=tag,
        event_name=name or kind or None,
        event_id=event_id,
        body=event,
        accepted=accepted,
        dedup_key=(tag, kind, name or "", event_id) if event_id else None,
    )


def _error(
    call: Call,
    status: int,
    code: str,
    message: str,
    details: Sequence[Mapping[str, Any]] = (),
    items: Sequence[Item] = (),
) -> Answer:
    body = {"traceId": _trace(call), "error": _error_object(code, message, details)}
    return json_answer(status, body, _request_id(call), items)


def _error_object(code: str, message: str, details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    return {**error, "details": list(details)} if details else error


def _request_id(call: Call) -> dict[str, str]:
    return {"x-ms-request-id": _trace(call)}


def _trace(call: Call) -> str:
    return f"sandbox-{call.serial:08d}"


PLATFORM = Platform(
    title="Microsoft Advertising UET Conversions API",
    routes=(Route("POST", re.compile(r"/v1/(?P<tag>\d+)/events", re.ASCII), answer_events),),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
)
