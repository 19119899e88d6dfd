"""The emulated Meta against Meta for Developers' pages on the Conversions API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

EVENTS = "/meta/v26.0/1234567890/events"
EXAMPLES = json.loads(Path(__file__).with_name("meta_worked_examples.json").read_text())
DIGEST = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
NOW = 1795186800  # the clock's start in Unix seconds
DAY = 86400
FBC = "fb.1.1795100000456.IwAR2F4dbP0l7Mn1IawQQGCINEz7PYXQvwjNwBqa2ofrHyiLjcbCRxTDMgk"

EXTINFO = ["i2", "com.example.shop", "", "", "19.1", *[""] * 11]
APP_DATA = {"advertiser_tracking_enabled": True, "application_tracking_enabled": 0, "extinfo": EXTINFO}

Send = Callable[..., httpx.Response]
Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("body", [pytest.param(body, id=title) for title, body in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, accepted: Make, body: dict[str, Any]) -> None:
    response = http.post(EVENTS, json=body, headers={"Authorization": "Bearer good"})

    assert response.status_code == 200
    assert response.headers["facebook-api-version"] == "v26.0"
    assert response.json() == {"events_received": 1, "messages": [], "fbtrace_id": "Asandbox00000000000001"}
    assert [entry["item"] for entry in accepted()["items"]] == body["data"]
    assert accepted()["items"][0]["test"] is ("test_event_code" in body)


@pytest.mark.parametrize(
    "request_parts",
    [
        pytest.param({"json": {"access_token": "good"}}, id="in the JSON body"),
        pytest.param({"json": {}, "params": {"access_token": "good"}}, id="in the query"),
        pytest.param({"json": {}, "headers": {"Authorization": "Bearer good"}}, id="as a bearer token"),
        pytest.param({"json": {"access_token": ""}, "headers": {"Authorization": "bearer good"}}, id="in any case"),
    ],
)
def test_token_is_taken_from_each_of_its_places(http: httpx.Client, event: Make, request_parts: dict[str, Any]) -> None:
    request_parts = {**request_parts, "json": {"data": [event()], **request_parts["json"]}}

    response = http.post(EVENTS, **request_parts)

    assert response.status_code == 200


def test_form_body_is_read_like_json(http: httpx.Client, event: Make, accepted: Make) -> None:
    form = {"data": json.dumps([event("a"), event("b")]), "access_token": "good", "test_event_code": "TEST1"}

    response = http.post(EVENTS, data=form)

    assert response.json()["events_received"] == 2
    assert [(entry["event_id"], entry["test"]) for entry in accepted()["items"]] == [("a", True), ("b", True)]


@pytest.mark.parametrize(
    ("token", "subcode", "message"),
    [
        pytest.param(None, None, "An access token is required to request this resource.", id="missing"),
        pytest.param("", None, "An access token is required to request this resource.", id="empty"),
        pytest.param(7, None, "An access token is required to request this resource.", id="not a string"),
        pytest.param("bad-token", None, "Invalid OAuth access token - Cannot parse access token", id="bad"),
        pytest.param("expired-token", 463, "Error validating access token: Session has expired", id="expired"),
    ],
)
def test_token_is_refused(
    http: httpx.Client, event: Make, accepted: Make, token: object, subcode: int | None, message: str
) -> None:
    body = {"data": [event()], "access_token": token}

    response = http.post(EVENTS, json=body)

    expected: dict[str, Any] = {"message": message, "type": "OAuthException", "code": 190}
    if subcode:
        expected["error_subcode"] = subcode
    expected |= {"is_transient": False, "fbtrace_id": "Asandbox00000000000001"}
    assert response.status_code == 401
    assert response.json() == {"error": expected}
    assert accepted()["received"] == 0


@pytest.mark.parametrize(
    ("fields", "subcode", "detail"),
    [
        pytest.param({"event_name": ...}, None, ".event_name is required", id="no name"),
        pytest.param({"event_time": ...}, None, ".event_time is required", id="no time"),
        pytest.param({"action_source": ...}, None, ".action_source is required", id="no source"),
        pytest.param({"event_time": "1795183865"}, None, ".event_time must be a whole number", id="time as text"),
        pytest.param({"event_time": 1795183865.5}, None, ".event_time must be a whole number", id="time fraction"),
        pytest.param({"event_time": True}, None, ".event_time must be a whole number", id="time as boolean"),
        pytest.param({"event_time": NOW * 1000}, None, ".event_time must be in Unix seconds.", id="milliseconds"),
        pytest.param({"event_time": 0}, None, ".event_time must be in Unix seconds.", id="time zero"),
        pytest.param({"event_time": NOW - 7 * DAY - 1}, 2804003, ".event_time is more than 7 days ago.", id="too old"),
        pytest.param(
            {"event_time": NOW - 62 * DAY - 1, "action_source": "physical_store"},
            2804003,
            ".event_time is more than 62 days ago.",
            id="too old for a store",
        ),
        pytest.param({"event_id": ""}, None, ".event_id must be left out where it has no value", id="empty id"),
        pytest.param({"event_id": 7}, None, ".event_id must be a string with something in it", id="id number"),
        pytest.param(
            {"action_source": "web"},
            None,
            ".action_source must be one of website, email, app, phone_call, chat, physical_store, "
            "system_generated, business_messaging, other",
            id="unknown source",
        ),
        pytest.param(
            {"event_source_url": "shop.example.com"},
            None,
            ".event_source_url must be a complete URL",
            id="URL cut",
        ),
        pytest.param({"referrer_url": 1}, None, ".referrer_url must be a complete URL", id="referrer number"),
        pytest.param({"opt_out": "true"}, None, ".opt_out must be true or false", id="opt_out as text"),
        pytest.param({"user_data": ...}, 2804050, ".user_data has too little customer information.", id="no user"),
        pytest.param({"user_data": []}, None, ".user_data must be an object", id="user as list"),
        pytest.param({"ttclid": "E.C.P.1"}, None, " has the unknown key 'ttclid'", id="another platform's key"),
        pytest.param(
            {"data_processing_options": ["LDU"], "data_processing_options_country": 1},
            None,
            ".data_processing_options_state is required where the country is set.",
            id="LDU country without state",
        ),
        pytest.param(
            {"data_processing_options": "LDU"},
            None,
            ".data_processing_options must be a list",
            id="LDU as text",
        ),
        pytest.param(
            {"data_processing_options": ["GDPR"]},
            None,
            ".data_processing_options[0] must be one of LDU",
            id="LDU unknown",
        ),
        pytest.param(
            {"data_processing_options_country": 2, "data_processing_options_state": 0},
            None,
            ".data_processing_options_country must be one of 0, 1",
            id="LDU country unknown",
        ),
        *(
            pytest.param(
                {
                    "data_processing_options": ["LDU"],
                    "data_processing_options_country": country,
                    "data_processing_options_state": state,
                },
                None,
                ".data_processing_options_country and .data_processing_options_state do not go together.",
                id=f"LDU country {country} with state {state}",
            )
            for country, state in ((1, 0), (0, 1000))
        ),
        *(
            pytest.param(
                {"action_source": "app", "app_data": {**APP_DATA, **changes}}, None, f".app_data{detail}", id=title
            )
            for title, changes, detail in (
                ("app data of 15 places", {"extinfo": EXTINFO[:15]}, ".extinfo must be a list of 16 strings"),
                ("app data with a number", {"extinfo": [*EXTINFO[:15], 1]}, ".extinfo must be a list of 16 strings"),
                ("app data of no version", {"extinfo": ["", *EXTINFO[1:]]}, ".extinfo[0] must be one of a2, i2"),
                (
                    "app data without the system's version",
                    {"extinfo": [*EXTINFO[:4], "", *EXTINFO[5:]]},
                    ".extinfo[4] must be a string with something in it",
                ),
                (
                    "app data with a switch as text",
                    {"advertiser_tracking_enabled": "1"},
                    ".advertiser_tracking_enabled must be true or false",
                ),
                (
                    "app data with a switch of 2",
                    {"application_tracking_enabled": 2},
                    ".application_tracking_enabled must be one of 0, 1",
                ),
            )
        ),
        pytest.param(
            {"action_source": "app", "app_data": {"extinfo": EXTINFO}},
            None,
            ".app_data.advertiser_tracking_enabled is required",
            id="app data without switches",
        ),
        pytest.param({"app_data": None}, None, ".app_data must be an object", id="app data null"),
        pytest.param(
            {"event_name": "Purchase"},
            2804009,
            ".custom_data needs value, a number, and currency for a Purchase.",
            id="purchase without data",
        ),
        pytest.param(
            {"event_name": "Purchase", "custom_data": {"value": "10", "currency": "USD"}},
            2804009,
            ".custom_data needs value, a number, and currency for a Purchase.",
            id="purchase value as text",
        ),
        pytest.param(
            {"event_name": "Purchase", "custom_data": {"value": 10}},
            2804009,
            ".custom_data needs value, a number, and currency for a Purchase.",
            id="purchase without currency",
        ),
    ],
)
def test_event_is_refused(
    send: Send, event: Make, accepted: Make, fields: dict[str, Any], subcode: int | None, detail: str
) -> None:
    response = send(event("good"), event(**fields))

    expected: dict[str, Any] = {"message": "Invalid parameter", "type": "OAuthException", "code": 100}
    if subcode:
        expected["error_subcode"] = subcode
    expected |= {
        "is_transient": False,
        "error_user_title": "Invalid parameter",
        "error_user_msg": f"data[1]{detail}",
        "fbtrace_id": "Asandbox00000000000001",
    }
    assert response.status_code == 400
    assert response.json() == {"error": expected}
    assert accepted() == {"unique": 0, "received": 0, "items": []}


@pytest.mark.parametrize(
    ("user_data", "detail"),
    [
        *(
            pytest.param(
                {key: "x@example.com"},
                f".{key} must be a SHA-256 digest in lower-case hex",
                id=f"plain {key}",
            )
            for key in ("em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country")
        ),
        pytest.param(
            {"em": [DIGEST.upper()]},
            ".em[0] must be a SHA-256 digest in lower-case hex",
            id="upper-case digest",
        ),
        pytest.param({"em": [DIGEST[:32]]}, ".em[0] must be a SHA-256 digest in lower-case hex", id="MD5"),
        pytest.param({"em": []}, ".em must have at least 1 element", id="empty list"),
        pytest.param({"em": DIGEST + ".ZZ"}, ".em must be a SHA-256 digest in lower-case hex", id="unknown tail"),
        pytest.param({"em": [EMPTY_DIGEST]}, ".em[0] is the digest of an empty string", id="digest of nothing"),
        pytest.param({"em": None}, ".em must be left out where it has no value", id="null"),
        pytest.param(
            {"external_id": [""]},
            ".external_id[0] must be left out where it has no value",
            id="empty external_id",
        ),
        pytest.param(
            {"client_ip_address": ["203.0.113.9"]},
            ".client_ip_address must be an IPv4 or IPv6 address",
            id="IP in a list",
        ),
        pytest.param(
            {"client_ip_address": "203.0.113"},
            ".client_ip_address must be an IPv4 or IPv6 address",
            id="IP cut",
        ),
        pytest.param(
            {"client_user_agent": ["Mozilla"]},
            ".client_user_agent must be a string with something in it",
            id="user agent in a list",
        ),
        pytest.param({"fbc": [FBC]}, ".fbc must be a string with something in it", id="fbc in a list"),
        pytest.param({"lead_id": "12"}, ".lead_id must be a whole number", id="lead id as text"),
        pytest.param({"email": DIGEST}, " has the unknown key 'email'", id="unknown key"),
    ],
)
def test_user_data_is_refused(send: Send, event: Make, user_data: dict[str, Any], detail: str) -> None:
    response = send(event(user_data=user_data))

    assert response.status_code == 400
    assert response.json()["error"]["code"] == 100
    assert "error_subcode" not in response.json()["error"]
    assert response.json()["error"]["error_user_msg"] == f"data[0].user_data{detail}"


@pytest.mark.parametrize(
    ("custom_data", "detail"),
    [
        pytest.param({"value": "12.5"}, ".value must be a number", id="value as text"),
        pytest.param({"value": True}, ".value must be a number", id="value as boolean"),
        pytest.param({"currency": "EURO"}, ".currency must be a currency code of three letters", id="currency"),
        pytest.param({"order_id": 10042}, ".order_id must be a string with something in it", id="order id number"),
        pytest.param({"content_ids": "SKU-1"}, ".content_ids must be a list", id="content_ids as text"),
        pytest.param(
            {"content_ids": [1]},
            ".content_ids[0] must be a string with something in it",
            id="content id number",
        ),
        pytest.param({"contents": {"id": "SKU-1"}}, ".contents must be a list", id="contents as object"),
        pytest.param({"contents": [{"quantity": 1}]}, ".contents[0].id is required", id="content without id"),
        pytest.param(
            {"contents": [{"id": "a"}, {"id": "b", "quantity": 1.5}]},
            ".contents[1].quantity must be a whole number",
            id="quantity fraction",
        ),
        pytest.param(
            {"contents": [{"id": "a", "item_price": "5"}]},
            ".contents[0].item_price must be a number",
            id="price as text",
        ),
        pytest.param(
            {"contents": [{"id": "a", "price": 5}]},
            ".contents[0] has the unknown key 'price'",
            id="wrong price key",
        ),
        pytest.param(
            {"content_type": 5},
            ".content_type must be a string with something in it",
            id="content_type",
        ),
        pytest.param({"num_items": "3"}, ".num_items must be a whole number", id="num_items as text"),
        pytest.param({"predicted_ltv": "3"}, ".predicted_ltv must be a number", id="predicted_ltv as text"),
        pytest.param({"search_string": 5}, ".search_string must be a string with something in it", id="search number"),
        pytest.param(
            {"delivery_category": "post"},
            ".delivery_category must be one of in_store, curbside, home_delivery",
            id="delivery_category",
        ),
        pytest.param({"colour": None}, ".colour must be left out where it has no value", id="own key null"),
        pytest.param({"tags": ["a", ""]}, ".tags[1] must be left out where it has no value", id="own key empty"),
    ],
)
def test_custom_data_is_refused(send: Send, event: Make, custom_data: dict[str, Any], detail: str) -> None:
    response = send(event(custom_data=custom_data))

    assert response.status_code == 400
    assert response.json()["error"]["code"] == 100
    assert response.json()["error"]["error_user_msg"] == f"data[0].custom_data{detail}"


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param({}, id="nothing"),
        pytest.param(
            dict.fromkeys(("ct", "country", "st", "zp", "ge"), DIGEST) | {"client_user_agent": "Mozilla/5.0"},
            id="place, gender and user agent",
        ),
        pytest.param({"db": DIGEST, "client_user_agent": "Mozilla/5.0"}, id="birthday and user agent"),
        pytest.param({"fn": DIGEST, "ge": DIGEST}, id="first name and gender"),
        pytest.param({"ln": DIGEST, "ge": DIGEST}, id="last name and gender"),
        pytest.param({"client_user_agent": "Mozilla/5.0"}, id="user agent"),
    ],
)
def test_too_little_customer_information_is_refused(
    send: Send, event: Make, accepted: Make, user_data: dict[str, Any]
) -> None:
    response = send(event(user_data=user_data))

    assert response.status_code == 400
    assert response.json()["error"]["code"] == 100
    assert response.json()["error"]["error_subcode"] == 2804050
    assert accepted()["received"] == 0


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param({"em": DIGEST}, id="email as string"),
        pytest.param({"ph": [DIGEST]}, id="phone"),
        pytest.param({"em": [DIGEST + ".AQ", DIGEST + ".abcd1234"]}, id="tails of the parameter builder"),
        pytest.param({"external_id": "cust-7781"}, id="plain external_id"),
        pytest.param({"fbp": "fb.1.1596403881668.1116446470", "client_user_agent": "x"}, id="fbp and user agent"),
        pytest.param({"fbc": FBC + ".AQ"}, id="fbc with a tail"),
        pytest.param({"client_ip_address": "2001:db8::1f", "client_user_agent": "x"}, id="IP and user agent"),
        pytest.param({"fn": DIGEST, "ln": DIGEST}, id="both names"),
        pytest.param({"lead_id": 12}, id="lead id"),
    ],
)
def test_enough_customer_information_is_accepted(send: Send, event: Make, user_data: dict[str, Any]) -> None:
    response = send(event(user_data=user_data))

    assert response.status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"event_time": NOW - 7 * DAY}, id="just seven days old"),
        pytest.param({"event_time": NOW - 62 * DAY, "action_source": "physical_store"}, id="old in a store"),
        pytest.param({"event_time": NOW + DAY}, id="in the future"),
        pytest.param({"event_id": ...}, id="without an id"),
        pytest.param({"action_source": "email", "event_source_url": ...}, id="e-mail without URL"),
        pytest.param({"event_source_url": ...}, id="website without URL"),
        pytest.param({"data_processing_options": []}, id="limited data use off"),
        pytest.param({"data_processing_options": ["LDU"]}, id="limited data use without a place"),
        pytest.param(
            {
                "data_processing_options": ["LDU"],
                "data_processing_options_country": 0,
                "data_processing_options_state": 0,
            },
            id="limited data use anywhere",
        ),
        pytest.param({"event_name": "Purchase", "custom_data": {"value": 0, "currency": "usd"}}, id="free purchase"),
        pytest.param({"custom_data": {"score": 87, "tags": ["a"], "deep": {"er": False}}}, id="own properties"),
        pytest.param({"opt_out": True}, id="opted out of optimisation"),
        pytest.param({"action_source": "app", "app_data": APP_DATA}, id="app with its device"),
        pytest.param({"action_source": "app"}, id="app without its device"),
        pytest.param({"user_data": {"fbc": "fb.3.1795100000456.IwAR2F4"}}, id="cookie of a deep domain"),
        pytest.param({"user_data": {"fbp": "fb.1.1713877200.1234567890"}}, id="cookie in seconds"),
        pytest.param({"user_data": {"fbc": "fb.1.1795100000456.Ab+C/dE=="}}, id="click id in base64"),
    ],
)
def test_event_is_accepted(send: Send, event: Make, accepted: Make, fields: dict[str, Any]) -> None:
    response = send(event(**fields))

    assert response.status_code == 200
    assert (accepted()["unique"], accepted()["received"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("fbc", "IwAR2F4dbP0l7Mn1Iaw", id="a bare fbclid"),
        pytest.param("fbc", "fb.1.17951e9.IwAR2F4", id="time that is no number"),
        pytest.param("fbc", "fb.x.1795100000456.IwAR2F4", id="subdomain index that is no number"),
        pytest.param("fbc", "fb.1.1795100000456.Iw AR2F4", id="space"),
        pytest.param("fbc", "fb.1.1795100000456.", id="no fbclid"),
        pytest.param("fbc", FBC + ".abc", id="tail of three"),
        pytest.param("fbp", "fb.1.1596403881668", id="fbp without its number"),
        pytest.param("fbp", "GA1.1.1596403881668.1116446470", id="another cookie"),
    ],
)
def test_browser_cookie_in_a_wrong_format_is_refused(
    send: Send, event: Make, accepted: Make, name: str, value: str
) -> None:
    response = send(event(user_data={"em": [DIGEST], name: value}))

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": f"Invalid {name} format",
        "type": "OAuthException",
        "code": 100,
        "is_transient": False,
        "error_user_title": f"Invalid {name} format",
        "error_user_msg": f"data[0].user_data.{name}",
        "fbtrace_id": "Asandbox00000000000001",
    }
    assert accepted()["received"] == 0


@pytest.mark.parametrize(
    ("root", "detail"),
    [
        pytest.param({"data": []}, "data must hold 1 to 1000 events.", id="no events"),
        pytest.param({"data": [{}] * 1001}, "data must hold 1 to 1000 events.", id="1001 events"),
        pytest.param({"data": {}}, "data is required and must be a list.", id="data as object"),
        pytest.param({"data": ["x"]}, "data[0] must be an object", id="event as text"),
        pytest.param(
            {"test_event_code": 12},
            "test_event_code must be a string with something in it",
            id="test code number",
        ),
        pytest.param(
            {"test_event_code": ""},
            "test_event_code must be a string with something in it",
            id="test code empty",
        ),
        pytest.param(
            {"partner_agent": "x" * 23},
            "partner_agent must be shorter than 23 characters, with two letters at least.",
            id="partner agent too long",
        ),
    ],
)
def test_request_is_refused(send: Send, event: Make, accepted: Make, root: dict[str, Any], detail: str) -> None:
    response = send(event(), **root)

    assert response.status_code == 400
    assert response.json()["error"]["error_user_msg"] == detail
    assert accepted()["received"] == 0


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        pytest.param(b'{"data": [', "application/json", id="broken JSON"),
        pytest.param(b"[]", "application/json", id="a list"),
        pytest.param(b'{"data": "\xff"}', "application/json", id="not UTF-8"),
        pytest.param(b'{"data": ' + b"[" * 2000 + b"]" * 2000 + b"}", "application/json", id="too deep"),
        pytest.param(urlencode({"data": "[{"}).encode(), "application/x-www-form-urlencoded", id="broken form"),
    ],
)
def test_unreadable_body_is_refused(http: httpx.Client, content: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Authorization": "Bearer good"}

    response = http.post(EVENTS, content=content, headers=headers)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == 100


def test_deeply_nested_property_is_refused(send: Send, event: Make) -> None:
    nested: Any = "leaf"
    for _ in range(500):
        nested = [nested]

    response = send(event(custom_data={"deep": nested}))

    assert response.json()["error"]["error_user_msg"].endswith(" is nested too deeply")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", EVENTS, id="wrong method"),
        pytest.param("POST", "/meta/v26.0/my-pixel/events", id="dataset id with letters"),
        pytest.param("POST", "/meta/v26.0/0/events", id="dataset zero"),
        pytest.param("POST", "/meta/1234567890/events", id="no version"),
        pytest.param("POST", "/meta/v26.0/1234567890/event", id="other edge"),
        pytest.param("POST", "/meta", id="nothing"),
    ],
)
def test_object_that_does_not_exist_is_code_100_subcode_33(
    http: httpx.Client, event: Make, method: str, path: str
) -> None:
    response = http.request(method, path, json={"data": [event()], "access_token": "good"})

    assert response.status_code == 400
    assert (response.json()["error"]["code"], response.json()["error"]["error_subcode"]) == (100, 33)


def test_expired_version_is_served_by_the_next_one(http: httpx.Client, event: Make) -> None:
    response = http.post("/meta/v12.0/1/events", json={"data": [event()], "access_token": "good"})

    assert response.status_code == 200
    assert response.headers["facebook-api-version"] == "v21.0"


def test_one_bad_event_sinks_a_thousand(send: Send, event: Make, accepted: Make, http: httpx.Client) -> None:
    good = [event(f"lead-{number}") for number in range(999)]

    refused = send(*good, event(event_time=1))
    taken = send(*good)

    assert refused.json()["error"]["error_user_msg"] == "data[999].event_time is more than 7 days ago."
    assert taken.json()["events_received"] == 999
    assert (accepted()["unique"], accepted()["received"]) == (999, 999)
    counted = [(entry["items"], entry["accepted"]) for entry in http.get("/_requests").json()["requests"]]
    assert counted == [(1000, 0), (999, 999)]


def test_copies_are_counted_once_for_48_hours(send: Send, event: Make, accepted: Make, clock: Any) -> None:
    send(event("a"), event("b"), event("a"))
    clock.move(hours=48)
    send(event("a"))
    assert (accepted()["unique"], accepted()["received"]) == (2, 4)

    clock.move(seconds=1)
    send(event("a"))

    assert (accepted()["unique"], accepted()["received"]) == (3, 5)
    assert [(entry["event_id"], entry["times"]) for entry in accepted()["items"]] == [("b", 1), ("a", 1)]


@pytest.mark.parametrize(
    ("path", "fields", "unique"),
    [
        pytest.param(EVENTS, {}, 1, id="the same event"),
        pytest.param(EVENTS, {"event_name": "Contact"}, 2, id="another name"),
        pytest.param(EVENTS, {"event_id": "lead-2"}, 2, id="another id"),
        pytest.param("/meta/v26.0/42/events", {}, 2, id="another dataset"),
        pytest.param("/meta/v25.0/1234567890/events", {}, 1, id="another version"),
    ],
)
def test_copy_is_known_by_dataset_name_and_id(
    http: httpx.Client,
    send: Send,
    event: Make,
    accepted: Make,
    path: str,
    fields: dict[str, Any],
    unique: int,
) -> None:
    send(event())
    http.post(path, json={"data": [{**event(), **fields}], "access_token": "good"})

    assert (accepted()["unique"], accepted()["received"]) == (unique, 2)


def test_first_copy_is_kept(send: Send, event: Make, accepted: Make) -> None:
    send(event(custom_data={"value": 1}))
    send(event(custom_data={"value": 2}))

    (entry,) = accepted()["items"]
    assert (entry["times"], entry["item"]["custom_data"]) == (2, {"value": 1})


def test_events_without_id_are_never_copies(send: Send, event: Make, accepted: Make) -> None:
    send(event(event_id=...), event(event_id=...))

    assert (accepted()["unique"], accepted()["received"]) == (2, 2)
