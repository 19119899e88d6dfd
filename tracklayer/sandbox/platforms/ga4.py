"""GA4 Measurement Protocol and its validation server, as they answer.

Source: Google Analytics, "Send Measurement Protocol events", "Measurement Protocol reference", "Validate events", "Send
user-provided data with User-ID", "Event naming rules"; some limits from public connectors. Read 2026-11-28. ``/mp/collect``
says 204 whatever comes, and keeps what is good: a wrong event, the secrets ``bad-token`` and ``expired-token`` and a
missing measurement id are lost without a word, as with Google. ``/debug/mp/collect`` tells what is wrong and looks at
neither secret nor id. Stricter than Google is known to be, so that a slip is seen here: unknown keys and empty values are
wrong, and so is an event older than 72 hours, which Google would move to another time. A value without currency is taken,
unless recommendations are to be enforced. An app's stream is one whose query has ``firebase_app_id``. Google documents no refusal of
credentials and no rate limit: those faults are answered as a gateway would, with 403 and 429.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, list_of, matching, number, one_of, text, whole

MOST_EVENTS = 25
MOST_BYTES = 130_000  # a body must be smaller
MOST_PARAMETERS = 25
MOST_ITEMS = 200
LONGEST_NAME = 40
LONGEST_VALUE = 500  # of a 360 property; others have 100, but the stream's kind is not known here
LONGEST = {"page_location": 1000, "page_referrer": 420, "page_title": 300}
OLDEST_EVENT = timedelta(hours=72)
AHEAD = timedelta(hours=1)  # nothing is documented: only units are told apart by it
LOST_SECRETS = frozenset({"bad-token", "expired-token"})
RESERVED_NAMES = frozenset(
    (
        *("ad_activeview", "ad_click", "ad_exposure", "ad_query", "ad_reward", "adunit_exposure", "app_clear_data"),
        *("app_exception", "app_install", "app_remove", "app_store_refund", "app_update", "app_upgrade"),
        *("dynamic_link_app_open", "dynamic_link_app_update", "dynamic_link_first_open", "error", "os_update"),
        *("firebase_campaign", "first_open", "first_visit", "session_start", "user_engagement"),
        *("app_store_subscription_cancel", "app_store_subscription_convert", "app_store_subscription_renew"),
    )
)
RESERVED_IN_WEB_STREAMS = re.compile(r"ad_impression|screen_view|in_app_purchase|view_complete|query_id.*")
POINTS = frozenset({"earn_virtual_currency", "spend_virtual_currency"})  # their value has no currency
RESERVED_NAME = re.compile(r"(firebase_in_app_message|notification)_.*")
RESERVED_PARAMETER = re.compile(r"(_|firebase_|ga_|google_|gtag\.).*")

DIGESTS = checks.one_or_list(checks.sha256)
ADDRESS = fields(
    {
        **dict.fromkeys(("sha256_first_name", "sha256_last_name", "sha256_street"), checks.sha256),
        **dict.fromkeys(("city", "region", "postal_code"), text),
        "country": matching(r"[A-Z]{2}", " must be a country code of two capitals"),
    }
)
ROOT = fields(
    {
        **dict.fromkeys(("client_id", "user_agent"), text),
        "app_instance_id": matching(r"[0-9A-Fa-f]{32}", " must be 32 hexadecimal digits"),
        "user_id": matching(r"(?s).{1,256}", " must have 1 to 256 characters"),
        "timestamp_micros": whole,
        "user_data": fields(
            {**dict.fromkeys(("sha256_email_address", "sha256_phone_number"), DIGESTS), "address": list_of(ADDRESS)}
        ),
        "ip_override": checks.ip_address,
        "consent": fields(dict.fromkeys(("ad_user_data", "ad_personalization"), one_of("GRANTED", "DENIED"))),
        **dict.fromkeys(("user_location", "user_properties"), checks.structure),
        "device": fields(
            {
                **dict.fromkeys(("category", "operating_system", "operating_system_version", "model", "brand"), text),
                **dict.fromkeys(("browser", "browser_version"), text),
                "language": matching(r"[a-z]{2}", " must be a language code of two letters"),
                "screen_resolution": matching(r"[0-9]+x[0-9]+", " must be a width and a height in pixels"),
            }
        ),
        "validation_behavior": one_of("RELAXED", "ENFORCE_RECOMMENDATIONS"),
        "events": checks.anything,
    }
)
ITEM = fields({**dict.fromkeys(("price", "discount"), number), "quantity": whole}, others=text)
PARAMETERS = {
    "session_id": matching(r"[0-9]+", " must be digits"),
    **dict.fromkeys(("engagement_time_msec", "value"), number),
    "currency": matching(r"[A-Z]{3}", " must be a currency code of three capitals"),
    **dict.fromkeys(("page_location", "page_referrer"), checks.url),
    "transaction_id": text,
    "items": list_of(ITEM),
}


class Problem(NamedTuple):
    """One message of the validation server."""

    path: str
    code: str
    description: str


def answer_collect(call: Call) -> Answer:
    """``POST /mp/collect``: 204 with nothing in it."""
    if len(call.body) >= MOST_BYTES:
        return html_answer(413)
    body, problems = _read(call)
    is_known = bool(_stream(call)) and call.query.get("api_secret", "bad-token") not in LOST_SECRETS
    of_request = [problem for index, problem in problems if index is None]
    wrong = {index for index, _ in problems}
    items = [
        _item(call, body, event, accepted=is_known and not of_request and index not in wrong, test=False)
        for index, event in enumerate(_events(body))
    ]
    return Answer(204, items=tuple(items))


def answer_validation(call: Call) -> Answer:
    """``POST /debug/mp/collect``: what is wrong, and nothing is recorded."""
    body, problems = _read(call)
    messages = [
        {"fieldPath": problem.path, "description": problem.description, "validationCode": problem.code}
        for _, problem in problems
    ]
    items = [_item(call, body, event, accepted=not problems, test=True) for event in _events(body)]
    return json_answer(200, {"validationMessages": messages}, items=items)


def answer_no_route(call: Call) -> Answer:
    return html_answer(404)


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    return html_answer(429)


def answer_server_error(call: Call, status: int) -> Answer:
    return html_answer(status)


def answer_credentials_refused(call: Call) -> Answer:
    return html_answer(403)


def _read(call: Call) -> tuple[Mapping[str, Any], list[tuple[int | None, Problem]]]:
    """The body and what is wrong in it, each with the index of its event; None is about all of them."""
    try:
        body: Any = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {}, [(None, Problem("", "VALUE_INVALID", "The body must be a JSON object."))]
    root = {key: value for key, value in body.items() if key != "events"}
    problems: list[tuple[int | None, Problem]] = []
    if complaint := checks.nothing_hollow(root) or ROOT(root):
        problems.append((None, Problem(_path(complaint), "VALUE_INVALID", f"Value{complaint}.")))
    key = "app_instance_id" if _is_app(call) else "client_id"
    if not isinstance(body.get(key), str):
        problems.append((None, Problem(key, "VALUE_REQUIRED", f"Measurement requires a {key}.")))
    events = body.get("events")
    if not isinstance(events, list) or not events:
        problems.append((None, Problem("events", "VALUE_REQUIRED", "There must be an event.")))
    elif len(events) > MOST_EVENTS:
        problems.append((None, Problem("events", "EXCEEDED_MAX_ENTITIES", f"At most {MOST_EVENTS} events.")))
    for index, event in enumerate(_events(body)):
        enforced = body.get("validation_behavior") == "ENFORCE_RECOMMENDATIONS"
        problems += [(index, problem) for problem in _event_problems(call, event, enforced=enforced)]
    return body, problems


def _events(body: Mapping[str, Any]) -> list[Any]:
    events = body.get("events")
    return events if isinstance(events, list) else []


def _path(complaint: str) -> str:
    return complaint.partition(" ")[0].strip(".")


def _is_app(call: Call) -> bool:
    return bool(call.query.get("firebase_app_id"))


def _stream(call: Call) -> str:
    return call.query.get("firebase_app_id") or call.query.get("measurement_id", "")


def _event_problems(call: Call, event: Any, *, enforced: bool) -> Iterator[Problem]:
    name, params = checks.text_at(event, "name"), checks.object_at(event, "params")
    if name is None or not isinstance(event, dict) or not event.keys() <= {"name", "params", "timestamp_micros"}:
        yield Problem("events", "VALUE_INVALID", "An event has name, params and timestamp_micros.")
        return
    if call.refuses(params.get("transaction_id")):
        yield Problem("events", "VALUE_INVALID", "The event is refused on request of a fault.")
    if not re.fullmatch(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", name):
        yield Problem("events.name", "NAME_INVALID", "A name has a letter first, then letters, digits and _.")
    elif name in RESERVED_NAMES or RESERVED_NAME.fullmatch(name) or _is_reserved_here(call, name):
        yield Problem("events.name", "NAME_RESERVED", "The event name is reserved.")
    yield from _time_problems(call, event)
    yield from _parameter_problems(params)
    if enforced and "value" in params and "currency" not in params and name not in POINTS:
        yield Problem("events.params.currency", "VALUE_REQUIRED", "A value needs its currency.")
    if name in ("purchase", "refund") and "transaction_id" not in params:
        yield Problem("events.params.transaction_id", "VALUE_REQUIRED", f"A {name} needs a transaction_id.")
    items = params.get("items")
    if isinstance(items, list):
        if not all(isinstance(item, dict) and item.keys() & {"item_id", "item_name"} for item in items):
            yield Problem("events.params.items", "VALUE_REQUIRED", "An item needs item_id or item_name.")
        if len(items) > MOST_ITEMS:
            yield Problem("events.params.items", "EXCEEDED_MAX_ENTITIES", f"At most {MOST_ITEMS} items.")


def _is_reserved_here(call: Call, name: str) -> bool:
    return not _is_app(call) and RESERVED_IN_WEB_STREAMS.fullmatch(name) is not None


def _time_problems(call: Call, event: Mapping[str, Any]) -> Iterator[Problem]:
    """Without a time the event counts as of now; milliseconds are a time in January 1970."""
    time = event.get("timestamp_micros")
    if time is None:
        return
    path = "events.timestamp_micros"
    if whole(time):
        yield Problem(path, "VALUE_INVALID", "A time is a whole number of microseconds.")
        return
    age = call.now.timestamp() - time / 1_000_000
    if not -AHEAD.total_seconds() <= age <= OLDEST_EVENT.total_seconds():
        yield Problem(path, "VALUE_OUT_OF_BOUNDS", "A time lies within the last 72 hours.")


def _parameter_problems(params: Mapping[str, Any]) -> Iterator[Problem]:
    if len(params) > MOST_PARAMETERS:
        yield Problem("events.params", "EXCEEDED_MAX_ENTITIES", f"At most {MOST_PARAMETERS} parameters.")
    if complaint := checks.nothing_hollow(params):
        yield Problem(f"events.params.{_path(complaint)}", "VALUE_INVALID", f"Value{complaint}.")
    for key, value in params.items():
        path = f"events.params.{key}"
        if RESERVED_PARAMETER.fullmatch(key):
            yield Problem(path, "NAME_RESERVED", "The parameter name is reserved.")
        elif not re.fullmatch(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", key):
            yield Problem(path, "NAME_INVALID", "A name has a letter first, then letters, digits and _.")
        elif key in PARAMETERS:
            if complaint := PARAMETERS[key](value):
                yield Problem(path, "VALUE_INVALID", f"Value{complaint}.")
        elif not isinstance(value, str | int | float):
            yield Problem(path, "VALUE_INVALID", "A parameter is text, a number, true or false.")
        if isinstance(value, str) and len(value) > LONGEST.get(key, LONGEST_VALUE):
            yield Problem(path, "VALUE_OUT_OF_BOUNDS", "The value is too long.")


def _item(call: Call, body: Mapping[str, Any], event: Any, *, accepted: bool, test: bool) -> Item:
    """Copies of a purchase are one, by transaction and user; of everything else each copy counts."""
    stream = _stream(call)
    name, params = checks.text_at(event, "name"), checks.object_at(event, "params")
    transaction = params.get("transaction_id")
    known = transaction if isinstance(transaction, str) else None
    user = str(body.get("app_instance_id") if _is_app(call) else body.get("client_id"))
    key = ("test" if test else "live", stream, user, known) if name == "purchase" and known else None
    return Item(stream, name, known, {**body, "events": [event]}, accepted, test, key)


PLATFORM = Platform(
    title="Google Analytics 4",
    routes=(
        Route("POST", re.compile("/mp/collect"), answer_collect),
        Route("POST", re.compile("/debug/mp/collect"), answer_validation),
    ),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"api_secret"}),
)
