"""TikTok Events API 2.0 (Business API v1.3, event/track), as the API answers.

Source: TikTok API for Business portal, Events API 2.0, as others read and tried it in September 2026;
TikTok Business Help Centre, "Standard events and parameters". Read 2026-11-23. The body's ``code`` is the
verdict; HTTP 401 stands for a missing token and for too many requests alike, other errors come with 200.
One bad event fails its whole request. Any token works but ``bad-token`` and ``expired-token``, any pixel
but one named by digits alone. A key it does not know is taken without a word, as TikTok takes it, and so is a
web event without page. Stricter than TikTok is known to be, so that a slip is seen here and not in Events
Manager: values of the wrong form and empty ones are refused, and so is an ``event_time`` that can only be in
milliseconds.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, flag, list_of, matching, number, one_of, text, whole

MOST_EVENTS = 1000
DEDUP_WINDOW = timedelta(hours=48)
BAD_TOKENS = frozenset({"bad-token", "expired-token"})
FIRST_MILLISECONDS = 10**11  # in seconds the year 5138, in milliseconds 1973
LONGEST_CLICK_ID = 1000
ATT_STATUSES = ("AUTHORIZED", "DENIED", "NOT_DETERMINED", "RESTRICTED", "NOT_APPLICABLE")


def place(value: object) -> str | None:
    """A city or state: plain, lower case, neither spaces nor punctuation."""
    if not isinstance(value, str) or not value or checks.sha256(value) is None:
        return " must be plain text, not a digest"
    if value != value.lower() or any(c.isspace() or c in string.punctuation for c in value):
        return " must be in lower case without spaces and punctuation"
    return None


HASHED = checks.one_or_list(checks.sha256)
USER = fields(
    {
        **dict.fromkeys(("email", "phone", "external_id"), HASHED),
        **dict.fromkeys(("first_name", "last_name", "zip_code"), checks.sha256),
        **dict.fromkeys(("city", "state"), place),
        "country": matching(r"[a-z]{2}", " must be a two-letter code in lower case"),
        "ip": checks.ip_address,
        **dict.fromkeys(("user_agent", "ttp", "locale"), text),
        "ttclid": matching(rf"\S{{1,{LONGEST_CLICK_ID}}}", " must be a click id without spaces"),
        **dict.fromkeys(("idfa", "idfv", "gaid"), text),
        "att_status": one_of(*ATT_STATUSES),
    },
    others=checks.anything,
)
CONTENT = fields(
    {
        **dict.fromkeys(("content_id", "content_name", "content_category", "brand"), text),
        "price": number,
        "quantity": whole,
    },
    others=checks.anything,
)
PROPERTIES = fields(
    {
        "value": number,
        "currency": matching(r"[A-Z]{3}", " must be an ISO 4217 code in capitals"),
        "content_type": text,  # product, product_group; hotel and the like of travel catalogues
        "contents": list_of(CONTENT),
        "content_ids": list_of(text),
        "num_items": whole,
        **dict.fromkeys(("order_id", "search_string", "query", "description", "shop_id"), text),
        **dict.fromkeys(("status", "delivery_category"), text),
    },
    others=checks.anything,
)
EVENT = fields(
    {
        **dict.fromkeys(("event", "event_id"), text),
        "event_time": whole,
        "user": USER,
        "properties": PROPERTIES,
        "page": fields(dict.fromkeys(("url", "referrer"), checks.url)),
        "app": fields(dict.fromkeys(("app_id", "app_name", "app_version"), text), others=checks.anything),
        "lead": fields(dict.fromkeys(("lead_id", "lead_event_source"), text)),
        "limited_data_use": flag,
    },
    required=("event", "event_time"),
    others=checks.anything,
)
ROOT = fields(
    {
        "event_source": one_of("web", "app", "offline", "crm"),
        **dict.fromkeys(("event_source_id", "test_event_code", "partner_name"), text),
        "data": list_of(checks.structure),
    },
    required=("event_source", "event_source_id", "data"),
    others=checks.anything,
)


class Problem(NamedTuple):
    """What is wrong. ``message`` names the place, never the value."""

    code: int
    message: str
    status: int = 200


def answer_events(call: Call) -> Answer:
    """``POST /open_api/v1.3/event/track/``."""
    if refused := _token_problem(call):
        return _reply(call, refused)
    try:
        body: Any = call.json()
    except ValueError:
        return _reply(call, Problem(40002, "The body is no valid JSON"))
    if complaint := ROOT(body):
        return _reply(call, _invalid("", complaint))
    events = body["data"]
    found = _request_problem(body) or next(
        (
            problem
            for index, event in enumerate(events)
            if (problem := _event_problem(call, body["event_source"], event, f"Batch.{index}"))
        ),
        None,
    )
    items = [_item(body, event, accepted=found is None) for event in events]
    return _reply(call, found or Problem(0, "OK"), items)


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    """HTTP 401, as documented: never 429."""
    return _reply(call, Problem(40100, "Too many requests. Please retry later.", 401))


def answer_server_error(call: Call, status: int) -> Answer:
    """A code of the fifty thousands, a proxy's page for 502 and 504; below 500 an error that says nothing."""
    if status in (502, 504):
        return html_answer(status)
    if status < 500:
        return _reply(call, Problem(40002, "Invalid parameter", status))
    return _reply(call, Problem(50000, "System error, please retry later.", status))


def answer_credentials_refused(call: Call) -> Answer:
    return _reply(call, Problem(40105, "Access token is incorrect or has been revoked."))


def _token_problem(call: Call) -> Problem | None:
    """Only the header of TikTok's own counts: a bearer token is no token here."""
    token = call.headers.get("access-token", "").strip()
    if not token:
        return Problem(40104, "Access token is missing.", 401)
    if token in BAD_TOKENS:
        return Problem(40105, "Access token is incorrect or has been revoked.")
    return None


def _request_problem(body: Mapping[str, Any]) -> Problem | None:
    if len(body["data"]) > MOST_EVENTS:
        return Problem(40002, f"data: Length must be between 1 and {MOST_EVENTS}")
    if body["event_source"] == "web" and body["event_source_id"].isdigit():
        return Problem(40001, "No permission to operate this pixel: an advertiser's number is no pixel code")
    return None


def _event_problem(call: Call, source: str, event: dict[str, Any], path: str) -> Problem | None:
    """The first thing wrong with one event."""
    if call.refuses(event.get("event_id")):
        return _invalid(path, ".event_id is refused on request of a fault")
    if complaint := checks.nothing_hollow(event) or EVENT(event):
        return _invalid(path, complaint)
    if not 0 < event["event_time"] < FIRST_MILLISECONDS:
        return _invalid(path, ".event_time must be in Unix seconds")
    if source not in ("web", "app") and "limited_data_use" in event:
        return _invalid(path, ".limited_data_use is for web and app")
    return None


def _invalid(path: str, complaint: str) -> Problem:
    """In TikTok's words: ``Batch.0.properties.contents.0.content_id: must be a string``."""
    place, _, what = re.sub(r"\[(\d+)\]", r".\1", complaint).partition(" ")
    return Problem(40002, f"{(path + place).lstrip('.') or 'body'}: {what}")


def _item(body: Mapping[str, Any], event: Mapping[str, Any], *, accepted: bool) -> Item:
    """Copies are one event where pixel, name and id agree, within 48 hours; without an id each one counts."""
    source_id = body["event_source_id"]
    name, event_id = _text(event, "event"), _text(event, "event_id")
    key = (source_id, name or "", event_id) if event_id else None
    return Item(source_id, name, event_id, event, accepted, "test_event_code" in body, key, DEDUP_WINDOW)


def _reply(call: Call, problem: Problem, items: list[Item] | None = None) -> Answer:
    body = {
        "code": problem.code,
        "message": problem.message,
        "request_id": f"20261120sandbox{call.serial:014d}",
        "data": {},
    }
    return json_answer(problem.status, body, items=items or ())


def _text(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    return value if isinstance(value, str) else None


PLATFORM = Platform(
    title="TikTok Events API",
    routes=(Route("POST", re.compile(r"/open_api/v1\.3/event/track/"), answer_events),),
    no_route=lambda call: html_answer(404),
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"access-token"}),
)
