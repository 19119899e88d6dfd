"""Meta Conversions API, v21.0 to v26.0, as the API answers.

Source: Meta for Developers, "Using the API", "Server event parameters", "Customer information parameters",
"Custom data parameters", "App data parameters", "fbp and fbc", "Deduplicate pixel and server events", "Data processing
options", "Handling errors", and for the form of a cookie Meta's parameter builder, read 2026-11-28. One bad event fails
its whole request and nothing of it is stored. Any
token works but ``bad-token`` and ``expired-token``. Stricter than Meta is known to be, so that a slip is seen
here and not in Events Manager: unknown keys and empty values are refused, and so is an ``event_time`` that
can only be in milliseconds.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import orjson

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, flag, list_of, matching, number, one_of, text, whole

MOST_EVENTS = 1000
OLDEST_EVENT = timedelta(days=7)
OLDEST_STORE_EVENT = timedelta(days=62)  # action_source physical_store
DEDUP_WINDOW = timedelta(hours=48)
OLDEST_VERSION = 21  # an expired version is served by the next usable one, silently
BAD_TOKENS = {"bad-token": None, "expired-token": 463}
FIRST_MILLISECONDS = 10**11  # in seconds the year 5138, in milliseconds 1973

# If every key of user_data lies inside one of these groups, nobody can be told apart by it.
TOO_LITTLE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
# Meta's parameter builder puts one of these tails behind a digest and behind a cookie.
DIGEST = matching(r"[0-9a-f]{64}(\.(AQ|Ag|Aw|BA|BQ|Bg|.{8}))?", " must be a SHA-256 digest in lower-case hex")
HASHED = checks.one_or_list(DIGEST)
BROWSER_COOKIE = re.compile(r"fb\.\d+\.\d+\.[^.\s]+(\.(\S{2}|\S{8}))?", re.ASCII)  # seconds pass as well
USER_DATA = fields(
    {
        **dict.fromkeys(("em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country"), HASHED),
        "external_id": checks.one_or_list(text),
        "client_ip_address": checks.ip_address,
        **dict.fromkeys(("client_user_agent", "fbp", "fbc", "subscription_id", "madid", "anon_id"), text),
        **dict.fromkeys(("page_id", "page_scoped_user_id", "ctwa_clid"), text),
        **dict.fromkeys(("lead_id", "fb_login_id"), whole),
    }
)
DELIVERY_CATEGORY = one_of("in_store", "curbside", "home_delivery")
CONTENT = fields(
    {
        **dict.fromkeys(("id", "title", "description", "brand", "category"), text),
        "quantity": whole,
        "item_price": number,
        "delivery_category": DELIVERY_CATEGORY,
    },
    required=("id",),
)
CUSTOM_DATA = fields(
    {
        **dict.fromkeys(("value", "predicted_ltv", "net_revenue"), number),
        "currency": matching(r"[A-Za-z]{3}", " must be a currency code of three letters"),
        **dict.fromkeys(("order_id", "content_name", "content_category", "search_string", "status"), text),
        "content_ids": list_of(text),
        "contents": list_of(CONTENT),
        "content_type": text,  # product, product_group; hotel and the like of travel catalogues
        "num_items": whole,
        "delivery_category": DELIVERY_CATEGORY,
    },
    others=checks.anything,
)
SWITCH = one_of(0, 1)
PLACES = 16  # of extinfo


def _switch(value: object) -> str | None:
    return SWITCH(value) if type(value) is int else flag(value)


def _extinfo(value: object) -> str | None:
    """Texts, of which the version of the list and that of the system are there, and others may be empty."""
    if not isinstance(value, list) or len(value) != PLACES or not all(isinstance(place, str) for place in value):
        return f" must be a list of {PLACES} strings"
    if value[0] not in ("a2", "i2"):
        return "[0] must be one of a2, i2"
    return text(value[4]) and f"[4]{text(value[4])}"


APP_DATA = fields(
    {
        **dict.fromkeys(("advertiser_tracking_enabled", "application_tracking_enabled"), _switch),
        "extinfo": _extinfo,
    },
    required=("advertiser_tracking_enabled", "application_tracking_enabled", "extinfo"),
    others=checks.anything,
)
EVENT = fields(
    {
        **dict.fromkeys(("event_name", "event_id", "messaging_channel"), text),
        "event_time": whole,
        "action_source": one_of(
            *("website", "email", "app", "phone_call", "chat", "physical_store"),
            *("system_generated", "business_messaging", "other"),
        ),
        **dict.fromkeys(("event_source_url", "referrer_url"), checks.url),
        "user_data": USER_DATA,
        "custom_data": CUSTOM_DATA,
        "opt_out": flag,
        "data_processing_options": list_of(one_of("LDU"), least=0),
        "data_processing_options_country": one_of(0, 1),
        "data_processing_options_state": one_of(0, *range(1000, 1014)),
        "app_data": APP_DATA,
        **dict.fromkeys(("attribution_data", "original_event_data"), checks.structure),
        "customer_segmentation": checks.anything,
    },
    required=("event_name", "event_time", "action_source"),
)


class Problem(NamedTuple):
    """An error object's contents; ``detail`` names the place, never the value."""

    message: str
    code: int = 100
    subcode: int | None = None
    detail: str = ""
    is_transient: bool = False
    status: int = 400


def answer_events(call: Call) -> Answer:
    """``POST /v{N}.0/{dataset id}/events``."""
    parameters = _parameters(call)
    if refused := _token_problem(call, parameters):
        return _refusal(call, refused)
    if int(call.parts["dataset"]) == 0:
        return answer_no_route(call)
    if parameters is None:
        return _refusal(call, _invalid("The body is neither a JSON object nor a form."))
    events = parameters.get("data")
    if not isinstance(events, list):
        return _refusal(call, _invalid("data is required and must be a list."))
    found = _request_problem(parameters, events) or next(
        (problem for index, event in enumerate(events) if (problem := _event_problem(call, event, f"data[{index}]"))),
        None,
    )
    test = "test_event_code" in parameters
    items = [_item(call, event, accepted=found is None, test=test) for event in events]
    if found:
        return _refusal(call, found, items)
    reply = {"events_received": len(events), "messages": [], "fbtrace_id": _trace(call)}
    return json_answer(200, reply, _version_header(call), items)


def answer_no_route(call: Call) -> Answer:
    """Any other path or method: Meta says that there is no such object, not that the path is wrong."""
    what = f"Unsupported {call.method.lower()} request."
    why = "Object does not exist, cannot be loaded due to missing permissions, or does not support this."
    return _refusal(call, Problem(f"{what} {why}", subcode=33))


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    """Code 80004 with HTTP 400; Meta's estimate in minutes is only there where the fault names a time."""
    headers = {}
    if retry_after is not None:
        usage = {"type": "ads_management", "estimated_time_to_regain_access": math.ceil(retry_after / 60)}
        headers["x-business-use-case-usage"] = orjson.dumps({"1": [usage]}).decode()
    message = "(#80004) There have been too many calls to this ad-account. Wait a bit and try again."
    return _refusal(call, Problem(message, code=80004, subcode=2446079), headers=headers)


def answer_server_error(call: Call, status: int) -> Answer:
    """Code 2, transient, or the proxy's page for 502 and 504; below 500 an error that says nothing."""
    if status in (502, 504):
        return html_answer(status)
    if status < 500:
        return _refusal(call, Problem("Invalid parameter", status=status))
    unexpected = "An unexpected error has occurred. Please retry your request later."
    return _refusal(call, Problem(unexpected, code=2, is_transient=True, status=status))


def answer_credentials_refused(call: Call) -> Answer:
    return _refusal(call, _bad_token(463))


def _parameters(call: Call) -> dict[str, Any] | None:
    """Query and body together, as Graph reads them; None where the body cannot be read."""
    try:
        if call.has_form():
            body: Any = call.form()
            with contextlib.suppress(ValueError):  # left as text, it is refused with the words for that
                body["data"] = orjson.loads(body.get("data", ""))
        else:
            body = call.json()
    except ValueError:
        return None
    return {**call.query, **body} if isinstance(body, dict) else None


def _token_problem(call: Call, parameters: Mapping[str, Any] | None) -> Problem | None:
    given = parameters if parameters is not None else call.query
    token = given.get("access_token") or call.bearer()
    if not isinstance(token, str) or not token.strip():
        return Problem("An access token is required to request this resource.", code=190, status=401)
    return _bad_token(BAD_TOKENS[token]) if token in BAD_TOKENS else None


def _bad_token(subcode: int | None) -> Problem:
    message = "Invalid OAuth access token - Cannot parse access token"
    if subcode == 463:
        message = "Error validating access token: Session has expired"
    return Problem(message, code=190, subcode=subcode, status=401)


def _request_problem(parameters: Mapping[str, Any], events: list[Any]) -> Problem | None:
    if not 1 <= len(events) <= MOST_EVENTS:
        return _invalid(f"data must hold 1 to {MOST_EVENTS} events.")
    if "test_event_code" in parameters and (complaint := text(parameters["test_event_code"])):
        return _invalid(f"test_event_code{complaint}")
    agent = parameters.get("partner_agent", "ok")
    if not (isinstance(agent, str) and len(agent) < 23 and sum(map(str.isalpha, agent)) >= 2):
        return _invalid("partner_agent must be shorter than 23 characters, with two letters at least.")
    return None


def _event_problem(call: Call, event: Any, path: str) -> Problem | None:
    """The first thing wrong with one event."""
    if not isinstance(event, dict):
        return _invalid(f"{path} must be an object")
    if call.refuses(event.get("event_id")):
        return _invalid(f"{path} is refused on request of a fault.", subcode=2804019)
    user_data, custom_data = checks.object_at(event, "user_data"), checks.object_at(event, "custom_data")
    for name in ("fbc", "fbp"):
        cookie = user_data.get(name)
        if isinstance(cookie, str) and not BROWSER_COOKIE.fullmatch(cookie):
            return Problem(f"Invalid {name} format", detail=f"{path}.user_data.{name}")
    if event.get("event_name") == "Purchase" and (
        number(custom_data.get("value")) or not isinstance(custom_data.get("currency"), str)
    ):
        return _invalid(f"{path}.custom_data needs value, a number, and currency for a Purchase.", subcode=2804009)
    # Meta wants empty texts in app_data, and in no other place.
    if complaint := checks.nothing_hollow({**event, "app_data": 1}) or EVENT(event):
        return _invalid(path + complaint)
    # A website event without event_source_url is taken, and an app's without app_data: Meta's pages ask for them as they
    # ask for client_user_agent, whose absence was measured to be answered with 200.
    if complaint := _place_complaint(event):
        return _invalid(path + complaint)
    return _time_problem(call, event, path) or _identity_problem(user_data, path)


def _place_complaint(event: Mapping[str, Any]) -> str | None:
    """A country stands with its state, and a state with its country; 0 for both leaves the place to Meta."""
    country = event.get("data_processing_options_country")
    state = event.get("data_processing_options_state")
    if country is not None and state is None:
        return ".data_processing_options_state is required where the country is set."
    if bool(country) is not bool(state):
        return ".data_processing_options_country and .data_processing_options_state do not go together."
    return None


def _time_problem(call: Call, event: Mapping[str, Any], path: str) -> Problem | None:
    if not 0 < event["event_time"] < FIRST_MILLISECONDS:
        return _invalid(f"{path}.event_time must be in Unix seconds.")
    oldest = OLDEST_STORE_EVENT if event["action_source"] == "physical_store" else OLDEST_EVENT
    if call.now.timestamp() - event["event_time"] > oldest.total_seconds():
        return _invalid(f"{path}.event_time is more than {oldest.days} days ago.", subcode=2804003)
    return None


def _identity_problem(user_data: Mapping[str, Any], path: str) -> Problem | None:
    if any(user_data.keys() <= group for group in TOO_LITTLE):
        return _invalid(f"{path}.user_data has too little customer information.", subcode=2804050)
    return None


def _invalid(detail: str, subcode: int | None = None) -> Problem:
    return Problem("Invalid parameter", subcode=subcode, detail=detail)


def _item(call: Call, event: Any, *, accepted: bool, test: bool) -> Item:
    """Two events are one where dataset, name and id agree, within 48 hours; without an id each counts."""
    name, event_id = checks.text_at(event, "event_name"), checks.text_at(event, "event_id")
    dataset = call.parts["dataset"]
    key = (dataset, name or "", event_id) if event_id else None
    return Item(dataset, name, event_id, event, accepted, test, key, DEDUP_WINDOW)


def _refusal(
    call: Call, problem: Problem, items: list[Item] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    error: dict[str, Any] = {"message": problem.message, "type": "OAuthException", "code": problem.code}
    if problem.subcode is not None:
        error["error_subcode"] = problem.subcode
    error["is_transient"] = problem.is_transient
    if problem.detail:
        error |= {"error_user_title": problem.message, "error_user_msg": problem.detail}
    error["fbtrace_id"] = _trace(call)
    return json_answer(problem.status, {"error": error}, {**_version_header(call), **(headers or {})}, items or ())


def _version_header(call: Call) -> dict[str, str]:
    version = re.match(r"/v(\d{1,4})\.0/", call.path)
    return {"facebook-api-version": f"v{max(int(version[1]), OLDEST_VERSION)}.0"} if version else {}


def _trace(call: Call) -> str:
    return f"Asandbox{call.serial:014d}"


PLATFORM = Platform(
    title="Meta Conversions API",
    routes=(Route("POST", re.compile(r"/v\d{1,4}\.0/(?P<dataset>\d+)/events", re.ASCII), answer_events),),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"appsecret_proof"}),
)
