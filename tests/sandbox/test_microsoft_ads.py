"""The emulated Microsoft Advertising against its guide on the UET Conversions API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import accepted

NOW = STARTS_AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
SECONDS = 1795269600  # NOW in Unix seconds
DAY = 86_400
EVENTS = "/microsoft_ads/v1/187012345/events"
GOOD = {"Authorization": "Bearer good"}
DIGEST = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "data": [
            {
                "eventType": "custom",
                "eventId": "evt-10045",
                "eventName": "purchase",
                "eventTime": 1795185005,
                "eventSourceUrl": "https://shop.example.com/thank-you?order=10045",
                "adStorageConsent": "G",
                "userData": {
                    "em": "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
                    "ph": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                    "externalId": "cust-8841",
                    "anonymousId": "3f0e8c10b2a411eda1c2d5e6f7a8b9c0",
                    "msclkid": "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b",
                    "clientIpAddress": "203.0.113.24",
                    "clientUserAgent": USER_AGENT,
                },
                "customData": {
                    "value": 149.9,
                    "currency": "USD",
                    "transactionId": "10045",
                    "pageType": "purchase",
                    "ecommTotalValue": 149.9,
                    "itemIds": ["SKU-RED-M", "SKU-CAP"],
                    "items": [
                        {"id": "SKU-RED-M", "name": "Red shirt", "price": 49.95, "quantity": 2},
                        {"id": "SKU-CAP", "name": "Cap", "price": 50.0, "quantity": 1},
                    ],
                },
            }
        ],
        "dataProvider": "TrackLayer",
        "continueOnValidationError": True,
    },
    "hashed already": {
        "data": [
            {
                "eventType": "custom",
                "eventId": "evt-20001",
                "eventName": "sign_up",
                "eventTime": 1795251600,
                "eventSourceUrl": "https://shop.example.com/welcome",
                "adStorageConsent": "G",
                "userData": {
                    "em": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                    "ph": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                },
            }
        ],
        "dataProvider": "TrackLayer",
        "continueOnValidationError": True,
    },
    "lead with a click id only": {
        "data": [
            {
                "eventType": "custom",
                "eventId": "evt-30001",
                "eventName": "generate_lead",
                "eventTime": 1795256130,
                "adStorageConsent": "G",
                "userData": {"msclkid": "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b"},
            }
        ],
        "dataProvider": "TrackLayer",
        "continueOnValidationError": True,
    },
    "custom event, phone without country": {
        "data": [
            {
                "eventType": "custom",
                "eventId": "evt-40001",
                "eventName": "QuoteRequested",
                "eventTime": 1795258800,
                "adStorageConsent": "G",
                "userData": {"em": "40180b296adc5c10a30f291244669b7ef458a2d037984502ce27b4f8c8dc546e"},
                "customData": {"value": 1500, "currency": "JPY"},
            }
        ],
        "dataProvider": "TrackLayer",
        "continueOnValidationError": True,
    },
    "page view with consent denied": {
        "data": [
            {
                "eventType": "pageLoad",
                "eventId": "evt-60001",
                "eventTime": 1795266000,
                "eventSourceUrl": "https://shop.example.com/",
                "adStorageConsent": "D",
                "userData": {
                    "anonymousId": "3f0e8c10b2a411eda1c2d5e6f7a8b9c0",
                    "clientUserAgent": USER_AGENT,
                },
            }
        ],
        "dataProvider": "TrackLayer",
        "continueOnValidationError": True,
    },
}


def set_fault(http: httpx.Client, kind: str, **fields: Any) -> None:
    http.post("/_faults", json={"kind": kind, **fields}).raise_for_status()


def event(event_id: str = "evt-1", **changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "eventType": "custom",
        "eventName": "sign_up",
        "eventId": event_id,
        "eventTime": SECONDS - 60,
        "userData": {"em": DIGEST},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def send(http: httpx.Client, *events: Any, **envelope: Any) -> httpx.Response:
    return http.post(EVENTS, headers=GOOD, json={"data": list(events), **envelope})


def detail(index: int, name: str, message: str, tried: str = "", *, is_warning: bool = False) -> dict[str, Any]:
    return {
        "index": index,
        "propertyName": name,
        "attemptedValue": tried,
        "errorMessage": message,
        "errorCode": "InvalidValue" if tried else "MissingValue",
        "isWarning": is_warning,
    }


@pytest.mark.parametrize("body", [pytest.param(body, id=title) for title, body in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, body: dict[str, Any]) -> None:
    response = http.post(EVENTS, headers=GOOD, json=body)

    assert (response.status_code, response.json()) == (200, {"eventsReceived": 1})
    assert response.headers["x-ms-request-id"] == "sandbox-00000001"
    assert [entry["item"] for entry in accepted(http)["items"]] == body["data"]


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        pytest.param("", 401, "Unauthorized", id="none"),
        pytest.param("Bearer bad-token", 401, "Unauthorized", id="bad"),
        pytest.param("Bearer expired-token", 401, "Unauthorized", id="expired"),
        pytest.param("Bearer foreign-token", 403, "Forbidden", id="not enrolled"),
    ],
)
def test_token_is_refused_before_the_body_is_looked_at(http: httpx.Client, token: str, status: int, code: str) -> None:
    response = http.post(EVENTS, headers={"Authorization": token}, json={"data": []})

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert accepted(http)["received"] == 0


def test_empty_batch_tells_that_the_token_is_good(http: httpx.Client) -> None:
    assert send(http).status_code == 400


@pytest.mark.parametrize("tag", [pytest.param("404", id="unknown"), pytest.param("410", id="gone")])
def test_tag_that_is_not_there_is_said_by_the_status(http: httpx.Client, tag: str) -> None:
    response = http.post(f"/microsoft_ads/v1/{tag}/events", headers=GOOD, json={"data": [event()]})

    assert (response.status_code, response.json()["error"]["code"]) == (int(tag), "NotFound")


def test_good_events_are_taken_where_the_request_says_so(http: httpx.Client) -> None:
    bad = event("b", userData={"em": "jane@example.com"})

    response = send(http, event("a"), bad, event("c"), continueOnValidationError=True)

    assert response.status_code == 200
    digest = "must be a SHA-256 digest in 64 lower-case hexadecimal characters"
    assert response.json() == {
        "eventsReceived": 2,
        "traceId": "sandbox-00000001",
        "error": {
            "code": "ValidationError",
            "message": "Some events were not taken, or not all of their fields.",
            "details": [detail(1, "userData.em", digest, "jane@example.com")],
        },
    }
    assert [entry["event_id"] for entry in accepted(http)["items"]] == ["a", "c"]


@pytest.mark.parametrize(
    "envelope",
    [pytest.param({}, id="not said"), pytest.param({"continueOnValidationError": False}, id="said not to")],
)
def test_one_bad_event_fails_its_whole_request_otherwise(http: httpx.Client, envelope: dict[str, Any]) -> None:
    response = send(http, event("a"), event("b", eventTime=...), **envelope)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "ValidationError"
    assert response.json()["error"]["details"] == [detail(1, "eventTime", "is required")]
    assert accepted(http) == {"unique": 0, "received": 0, "items": []}


def test_wrong_page_load_id_costs_a_warning_only(http: httpx.Client) -> None:
    response = send(http, event(pageLoadId="7"))

    assert response.status_code == 200
    assert response.json()["eventsReceived"] == 1
    assert response.json()["error"]["details"] == [
        detail(0, "pageLoadId", "is no UUID of version 4 and was dropped", "7", is_warning=True)
    ]
    assert accepted(http)["unique"] == 1


PAGE: dict[str, Any] = {
    "eventType": "pageLoad",
    "eventName": ...,
    "eventSourceUrl": "https://shop.example.com/",
}


@pytest.mark.parametrize(
    ("bad", "name", "message"),
    [
        pytest.param("x", "", "must be an object", id="text"),
        pytest.param(event(eventType="purchase"), "eventType", "must be one of pageLoad, custom", id="other type"),
        pytest.param(
            event(**{**PAGE, "eventSourceUrl": ...}),
            "eventSourceUrl",
            "is required for a pageLoad",
            id="page load, no URL",
        ),
        pytest.param(event(eventTime=SECONDS * 1000), "eventTime", "must be in Unix seconds", id="milliseconds"),
        pytest.param(event(eventTime=SECONDS - 0.5), "eventTime", "must be a whole number", id="half a second"),
        pytest.param(event(eventTime=SECONDS - 7 * DAY - 2), "eventTime", "is more than 7 days ago", id="too old"),
        pytest.param(event(eventTime=SECONDS + 6), "eventTime", "is in the future", id="ahead"),
        pytest.param(
            event(adStorageConsent="granted"),
            "adStorageConsent",
            "must be one of G, D",
            id="consent in words",
        ),
        pytest.param(event(userData=...), "userData", "is required", id="nobody"),
        pytest.param(
            event(userData={"clientIpAddress": "203.0.113.24", "clientUserAgent": "UA"}),
            "userData",
            "needs an identifier other than address and user agent",
            id="address and user agent",
        ),
        pytest.param(
            event(userData={"em": [DIGEST]}),
            "userData.em",
            "must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="e-mail in a list",
        ),
        pytest.param(
            event(userData={"fn": DIGEST}),
            "userData",
            "needs an identifier other than address and user agent",
            id="a name",
        ),
        pytest.param(event(userData={"gaid": "x"}), "userData.gaid", "must be a UUID", id="no device"),
        pytest.param(
            event(customData={"value": "10", "currency": "USD"}),
            "customData.value",
            "must be a number",
            id="value as text",
        ),
        pytest.param(
            event(customData={"value": 10}),
            "customData.currency",
            "is required with a value",
            id="no currency",
        ),
        pytest.param(
            event(**PAGE, customData={"value": 10, "currency": "USD"}),
            "customData.value",
            "is not taken with a pageLoad",
            id="page load's value",
        ),
        pytest.param(
            event(customData={"items": [{"id": "a", "quantity": 1.5}]}),
            "customData.items[0].quantity",
            "must be a whole number",
            id="half an item",
        ),
        pytest.param(
            event(customData={"pageType": "basket"}),
            "customData.pageType",
            "must be one of home, product, category, searchresults, cart, purchase, other",
            id="other page type",
        ),
    ],
)
def test_event_is_refused(http: httpx.Client, bad: Any, name: str, message: str) -> None:
    response = send(http, bad)

    assert response.status_code == 400
    (found,) = response.json()["error"]["details"]
    assert (found["index"], found["propertyName"], found["errorMessage"], found["isWarning"]) == (
        0,
        name,
        message,
        False,
    )
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(event(eventTime=SECONDS - 7 * DAY - 1), id="seven days and a second's fraction"),
        pytest.param(event(eventTime=SECONDS), id="now"),
        pytest.param(event(**PAGE), id="page load"),
        pytest.param(event(userData={"externalId": "c"}), id="external id"),
        pytest.param(event(customData={"currency": "USD"}), id="currency alone"),
        pytest.param(event(eventTime=SECONDS + 5), id="as far ahead as clocks differ"),
        pytest.param(event(eventName=...), id="no action"),
        pytest.param(event(**{**PAGE, "eventName": "view"}), id="page load's action"),
        pytest.param(event(userData={"msclkid": "m"}), id="click id of a form that nobody documents"),
        pytest.param(event(continueOnValidationError=True, userData={"em": DIGEST, "fn": "x"}), id="unknown keys"),
    ],
)
def test_event_is_accepted(http: httpx.Client, good: dict[str, Any]) -> None:
    assert send(http, good).json() == {"eventsReceived": 1}
    assert accepted(http)["unique"] == 1


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param(b"{", 400, "BadRequest", id="no JSON"),
        pytest.param(b"[]", 400, "ValidationError", id="list"),
        pytest.param(b'{"data": {}}', 400, "ValidationError", id="data as object"),
        pytest.param(b'{"data": [' + b"1," * 1000 + b"1]}", 400, "ValidationError", id="1,001 events"),
        pytest.param(b" " * (1024 * 1024 + 1), 413, "RequestTooLarge", id="more than a megabyte"),
    ],
)
def test_request_is_refused(http: httpx.Client, content: bytes, status: int, code: str) -> None:
    response = http.post(EVENTS, headers=GOOD, content=content)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_unknown_path_is_not_there(http: httpx.Client) -> None:
    assert http.post("/microsoft_ads/v2/187012345/events", headers=GOOD, json={}).status_code == 404


def test_copy_is_known_by_tag_action_and_id(http: httpx.Client) -> None:
    for copy in (event("a"), event("a"), event("a", eventName="other"), event("b"), event(eventId=...)):
        send(http, copy)
    http.post("/microsoft_ads/v1/7/events", headers=GOOD, json={"data": [event("a")]})

    assert (accepted(http)["unique"], accepted(http)["received"]) == (5, 6)
    assert accepted(http)["items"][0]["event_name"] == "sign_up"


def test_refused_id_leaves_its_neighbours(http: httpx.Client) -> None:
    set_fault(http, "refuse", event_ids=["b"])

    response = send(http, event("a"), event("b"), continueOnValidationError=True)

    assert response.json()["eventsReceived"] == 1
    assert [entry["event_id"] for entry in accepted(http)["items"]] == ["a"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param({"kind": "rate_limit", "retry_after": 9}, 429, "TooManyRequests", id="too fast"),
        pytest.param({"kind": "credentials"}, 401, "Unauthorized", id="credentials"),
        pytest.param({"kind": "error"}, 500, "InternalError", id="server error"),
        pytest.param({"kind": "error", "status": 422}, 422, "Error", id="invalid"),
    ],
)
def test_fault_is_worded_as_microsoft_does(http: httpx.Client, fault: dict[str, Any], status: int, code: str) -> None:
    set_fault(http, **fault)

    response = send(http, event())

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("retry-after") == ("9" if status == 429 else None)
    assert accepted(http)["received"] == 0


def test_gateway_answers_with_a_page(http: httpx.Client) -> None:
    set_fault(http, "error", status=504)

    assert send(http, event()).headers["content-type"] == "text/html; charset=utf-8"


def test_token_is_never_shown(http: httpx.Client) -> None:
    send(http, event())

    (entry,) = http.get("/_requests").json()["requests"]
    assert (entry["headers"]["authorization"], entry["items"], entry["accepted"]) == ("•••", 1, 1)
