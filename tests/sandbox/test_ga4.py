"""The emulated Measurement Protocol against Google Analytics' pages on it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import counted

COLLECT = "/ga4/mp/collect"
DEBUG = "/ga4/debug/mp/collect"
STREAM = {"measurement_id": "G-ABC123DEF4", "api_secret": "good"}
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
JANE = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"
JANES_PHONE = "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0"
FIRST_NAME = "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"
ONEIL = "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c"
EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "client_id": "1234567890.1794000000",
        "user_id": "Cust-7781",
        "user_data": {
            "sha256_email_address": [JANE],
            "sha256_phone_number": [JANES_PHONE],
            "address": [
                {
                    "sha256_first_name": FIRST_NAME,
                    "sha256_last_name": ONEIL,
                    "city": "san francisco",
                    "region": "ca",
                    "postal_code": "94107",
                    "country": "US",
                }
            ],
        },
        "ip_override": "203.0.113.42",
        "user_agent": CHROME,
        "consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"},
        "events": [
            {
                "name": "purchase",
                "timestamp_micros": 1795183392345000,
                "params": {
                    "session_id": "1795182000",
                    "engagement_time_msec": 1,
                    "page_location": "https://shop.example.com/thank-you?order=10042",
                    "page_referrer": "https://shop.example.com/checkout",
                    "currency": "USD",
                    "value": 129.9,
                    "transaction_id": "10042",
                    "items": [
                        {"item_id": "SKU-1", "item_name": "Wool sock", "price": 39.95, "quantity": 2},
                        {"item_id": "SKU-2", "item_name": "Scarf", "item_brand": "Acme", "price": 50, "quantity": 1},
                    ],
                },
            }
        ],
    },
    "hashed before": {
        "client_id": "1234567890.1794000000",
        "user_id": "Cust-551",
        "user_data": {
            "sha256_email_address": [JANE],
            "sha256_phone_number": ["1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8"],
        },
        "events": [
            {
                "name": "sign_up",
                "timestamp_micros": 1795176600000000,
                "params": {
                    "session_id": "1795172000",
                    "engagement_time_msec": 1,
                    "page_location": "https://shop.example.com/signup/done",
                    "method": "email",
                },
            }
        ],
    },
    "lead with a client id alone": {
        "client_id": "555.666",
        "events": [
            {
                "name": "generate_lead",
                "timestamp_micros": 1795183865000000,
                "params": {"engagement_time_msec": 1, "page_location": "https://shop.example.com/newsletter"},
            }
        ],
    },
    "custom event": {
        "client_id": "1234567890.1794000000",
        "events": [
            {
                "name": "QuizFinished",
                "timestamp_micros": 1795183920000000,
                "params": {
                    "session_id": "1795182000",
                    "engagement_time_msec": 1,
                    "page_location": "https://shop.example.com/quiz",
                    "quiz_name": "Skin type",
                    "score": 87,
                },
            }
        ],
    },
    "several products": {
        "client_id": "777.888",
        "ip_override": "198.51.100.7",
        "user_agent": CHROME,
        "events": [
            {
                "name": "add_to_cart",
                "timestamp_micros": 1795184130250000,
                "params": {
                    "session_id": "1795183000",
                    "engagement_time_msec": 1,
                    "page_location": "https://shop.example.com/p/tee",
                    "currency": "GBP",
                    "value": 74.5,
                    "items": [
                        {"item_id": "TEE-S", "item_name": "Tee S", "item_brand": "Acme", "price": 19.5, "quantity": 1},
                        {"item_id": "TEE-M", "item_name": "Tee M", "item_brand": "Acme", "price": 20, "quantity": 2},
                        {"item_id": "CAP", "item_name": "Cap", "item_category": "Hats", "price": 15, "quantity": 1},
                    ],
                },
            }
        ],
    },
    "partial refund": {
        "client_id": "1234567890.1794000000",
        "events": [
            {
                "name": "refund",
                "timestamp_micros": 1795185600000000,
                "params": {
                    "engagement_time_msec": 1,
                    "currency": "USD",
                    "value": 50,
                    "transaction_id": "10042",
                    "items": [{"item_id": "SKU-2", "price": 50, "quantity": 1}],
                },
            }
        ],
    },
    "validation": {
        "client_id": "555.666",
        "validation_behavior": "ENFORCE_RECOMMENDATIONS",
        "events": [
            {
                "name": "search",
                "timestamp_micros": 1795185660000000,
                "params": {
                    "session_id": "1795184000",
                    "engagement_time_msec": 1,
                    "page_location": "https://shop.example.com/search?q=cap",
                    "search_term": "cap",
                },
            }
        ],
    },
}
HOUR = 3_600_000_000  # microseconds
TIME = 1795186800_000_000 - HOUR  # an hour before the clock


def event(name: str = "generate_lead", **changed: Any) -> dict[str, Any]:
    """A good event; ``...`` leaves a field out."""
    good = {"name": name, "timestamp_micros": TIME, "params": {"engagement_time_msec": 1}}
    return {key: value for key, value in {**good, **changed}.items() if value is not ...}


def body(*events: Any, **changed: Any) -> dict[str, Any]:
    """A good body; ``...`` leaves a field out."""
    whole = {"client_id": "555.666", "events": list(events), **changed}
    return {key: value for key, value in whole.items() if value is not ...}


def purchase(transaction: str = "10042", **params: Any) -> dict[str, Any]:
    return event("purchase", params={"transaction_id": transaction, **params})


@pytest.mark.parametrize("example", [pytest.param(given, id=title) for title, given in EXAMPLES.items()])
def test_worked_example_is_accepted_without_a_word(http: httpx.Client, example: dict[str, Any]) -> None:
    response = http.post(COLLECT, params=STREAM, json=example)

    assert (response.status_code, response.content) == (204, b"")
    (entry,) = http.get("/_accepted").json()["items"]
    assert (entry["item"], entry["destination"], entry["test"]) == (example, "G-ABC123DEF4", False)


@pytest.mark.parametrize("example", [pytest.param(given, id=title) for title, given in EXAMPLES.items()])
def test_worked_example_is_valid(http: httpx.Client, example: dict[str, Any]) -> None:
    response = http.post(DEBUG, params=STREAM, json=example)

    assert (response.status_code, response.json()) == (200, {"validationMessages": []})
    assert http.get("/_accepted").json()["items"][0]["test"] is True


BAD = [
    pytest.param(body(event("session_start")), "events.name", "NAME_RESERVED", id="reserved name"),
    pytest.param(body(event("notification_open")), "events.name", "NAME_RESERVED", id="reserved prefix"),
    pytest.param(body(event("quiz finished")), "events.name", "NAME_INVALID", id="name with a space"),
    pytest.param(body(event("x" * 41)), "events.name", "NAME_INVALID", id="long name"),
    pytest.param(
        body(event(timestamp_micros=TIME // 1000)), "events.timestamp_micros", "VALUE_OUT_OF_BOUNDS", id="milliseconds"
    ),
    pytest.param(
        body(event(timestamp_micros=TIME - 72 * HOUR)),
        "events.timestamp_micros",
        "VALUE_OUT_OF_BOUNDS",
        id="73 hours old",
    ),
    pytest.param(
        body(event(timestamp_micros=str(TIME))), "events.timestamp_micros", "VALUE_INVALID", id="time as text"
    ),
    pytest.param(
        body(event(params={"value": 1}), validation_behavior="ENFORCE_RECOMMENDATIONS"),
        "events.params.currency",
        "VALUE_REQUIRED",
        id="value without currency, recommendations enforced",
    ),
    pytest.param(body(event("view_complete")), "events.name", "NAME_RESERVED", id="reserved in web streams"),
    pytest.param(body(event("query_id_1")), "events.name", "NAME_RESERVED", id="reserved prefix in web streams"),
    pytest.param(
        body(event(params={"items": [{"item_id": "A", "quantity": 1.85}]})),
        "events.params.items",
        "VALUE_INVALID",
        id="quantity with a fraction",
    ),
    pytest.param(
        body(event(), device={"language": "en_US"}), "device.language", "VALUE_INVALID", id="locale for a language"
    ),
    pytest.param(
        body(event(params={"value": "1", "currency": "USD"})),
        "events.params.value",
        "VALUE_INVALID",
        id="value as text",
    ),
    pytest.param(
        body(event(params={"currency": "usd"})), "events.params.currency", "VALUE_INVALID", id="currency in lower case"
    ),
    pytest.param(
        body(event("purchase")), "events.params.transaction_id", "VALUE_REQUIRED", id="purchase without transaction"
    ),
    pytest.param(
        body(event("refund")), "events.params.transaction_id", "VALUE_REQUIRED", id="refund without transaction"
    ),
    pytest.param(
        body(event(params={"items": [{"price": 1}]})), "events.params.items", "VALUE_REQUIRED", id="item without id"
    ),
    pytest.param(
        body(event(params={"items": [{"item_id": "A", "price": "1"}]})),
        "events.params.items",
        "VALUE_INVALID",
        id="price as text",
    ),
    pytest.param(
        body(event(params={"items": [{"item_id": "A"}] * 201})),
        "events.params.items",
        "EXCEEDED_MAX_ENTITIES",
        id="201 items",
    ),
    pytest.param(
        body(event(params={f"p{number}": 1 for number in range(26)})),
        "events.params",
        "EXCEEDED_MAX_ENTITIES",
        id="26 parameters",
    ),
    pytest.param(body(event(params={"answers": ["a"]})), "events.params.answers", "VALUE_INVALID", id="list"),
    pytest.param(body(event(params={"ga_x": 1})), "events.params.ga_x", "NAME_RESERVED", id="reserved parameter"),
    pytest.param(body(event(params={"a.b": 1})), "events.params.a.b", "NAME_INVALID", id="parameter with a dot"),
    pytest.param(body(event(params={"note": "n" * 501})), "events.params.note", "VALUE_OUT_OF_BOUNDS", id="long value"),
    pytest.param(body(event(params={"note": ""})), "events.params.note", "VALUE_INVALID", id="empty value"),
    pytest.param(body(event(), client_id=...), "client_id", "VALUE_REQUIRED", id="no client id"),
    pytest.param(
        body(event(), user_data={"sha256_email_address": ["jane@example.com"]}),
        "user_data.sha256_email_address[0]",
        "VALUE_INVALID",
        id="plain email",
    ),
    pytest.param(
        body(event(), consent={"ad_user_data": "granted"}),
        "consent.ad_user_data",
        "VALUE_INVALID",
        id="consent in lower case",
    ),
    pytest.param(body(event(), non_personalized_ads=True), "", "VALUE_INVALID", id="unknown key"),
    pytest.param(body(*[event()] * 26), "events", "EXCEEDED_MAX_ENTITIES", id="26 events"),
    pytest.param(body(), "events", "VALUE_REQUIRED", id="no events"),
    pytest.param(body("purchase"), "events", "VALUE_INVALID", id="event that is text"),
]


@pytest.mark.parametrize(("given", "path", "code"), BAD)
def test_bad_event_is_lost_without_a_word_and_told_by_the_validation_server(
    http: httpx.Client, given: dict[str, Any], path: str, code: str
) -> None:
    live = http.post(COLLECT, params=STREAM, json=given)
    messages = http.post(DEBUG, params=STREAM, json=given).json()["validationMessages"]

    assert (live.status_code, live.content) == (204, b"")
    assert [(message["fieldPath"], message["validationCode"]) for message in messages] == [(path, code)]
    assert messages[0]["description"].endswith(".")
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"measurement_id": "G-ABC123DEF4"}, id="no secret"),
        pytest.param({"api_secret": "good"}, id="no measurement id"),
        pytest.param({**STREAM, "api_secret": "bad-token"}, id="wrong secret"),
        pytest.param({**STREAM, "api_secret": "expired-token"}, id="deleted secret"),
    ],
)
def test_wrong_credentials_lose_events_without_a_word_and_are_no_matter_to_validation(
    http: httpx.Client, query: dict[str, str]
) -> None:
    assert http.post(COLLECT, params=query, json=body(event())).status_code == 204
    assert counted(http) == (0, 0)

    assert http.post(DEBUG, params=query, json=body(event())).json() == {"validationMessages": []}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(body(event(params={"value": 1})), id="value without currency"),
        pytest.param(
            body(event("earn_virtual_currency", params={"value": 50}), validation_behavior="ENFORCE_RECOMMENDATIONS"),
            id="points, recommendations enforced",
        ),
        pytest.param(body(event("scroll"), event("file_download")), id="names that Google collects by itself"),
        pytest.param(
            body(event(params={"items": [{"item_id": "A", "item_variant": "red", "coupon": "X", "discount": 1.5}]})),
            id="variant, coupon and discount",
        ),
        pytest.param(body(event(), device={"operating_system": "iOS", "screen_resolution": "1179x2556"}), id="device"),
    ],
)
def test_what_google_takes_is_taken(http: httpx.Client, given: dict[str, Any]) -> None:
    count = len(given["events"])
    assert http.post(COLLECT, params=STREAM, json=given).status_code == 204
    assert counted(http) == (count, count)
    assert http.post(DEBUG, params=STREAM, json=given).json() == {"validationMessages": []}


APP_STREAM = {"firebase_app_id": "1:1234567890:ios:321abc456def7890", "api_secret": "good"}
INSTANCE = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def test_stream_of_an_app_takes_its_instance_id_and_its_own_events(http: httpx.Client) -> None:
    for _ in range(2):
        of_app = body(purchase(), event("screen_view"), client_id=..., app_instance_id=INSTANCE)
        assert http.post(COLLECT, params=APP_STREAM, json=of_app).status_code == 204

    assert counted(http) == (3, 4)
    assert http.get("/_accepted").json()["items"][0]["destination"] == APP_STREAM["firebase_app_id"]


def test_stream_of_an_app_knows_no_client_id(http: httpx.Client) -> None:
    http.post(COLLECT, params=APP_STREAM, json=body(event()))
    messages = http.post(DEBUG, params=APP_STREAM, json=body(event())).json()["validationMessages"]

    assert counted(http) == (0, 0)
    assert [(message["fieldPath"], message["validationCode"]) for message in messages] == [
        ("app_instance_id", "VALUE_REQUIRED")
    ]


def test_bad_event_leaves_its_neighbours(http: httpx.Client) -> None:
    http.post(COLLECT, params=STREAM, json=body(event(), event("error"), event()))

    assert counted(http) == (2, 2)


def test_only_purchases_of_one_user_are_recognised_again(http: httpx.Client) -> None:
    for _ in range(2):
        http.post(COLLECT, params=STREAM, json=body(purchase(), event()))
    http.post(COLLECT, params=STREAM, json=body(purchase(), client_id="555.667"))
    http.post(COLLECT, params=STREAM, json=body(purchase("10043")))

    assert counted(http) == (5, 6)
    assert http.get("/_accepted?event_id=10042").json()["unique"] == 2


def test_event_without_a_time_counts_as_of_now(http: httpx.Client) -> None:
    http.post(COLLECT, params=STREAM, json=body(event(timestamp_micros=...)))

    assert counted(http) == (1, 1)


def test_body_that_is_no_json_is_lost(http: httpx.Client) -> None:
    assert http.post(COLLECT, params=STREAM, content=b"{").status_code == 204
    assert counted(http) == (0, 0)
    (message,) = http.post(DEBUG, params=STREAM, content=b"{").json()["validationMessages"]
    assert message["validationCode"] == "VALUE_INVALID"


def test_body_of_130_kilobytes_is_too_large(http: httpx.Client) -> None:
    response = http.post(COLLECT, params=STREAM, content=b" " * 130_000)

    assert response.status_code == 413
    assert counted(http) == (0, 0)


def test_refused_transaction_is_lost_until_the_fault_ends(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "ga4", "kind": "refuse", "event_ids": ["10042"], "count": 1})

    assert http.post(COLLECT, params=STREAM, json=body(purchase())).status_code == 204
    assert counted(http) == (0, 0)
    http.post(COLLECT, params=STREAM, json=body(purchase()))
    assert counted(http) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "rate_limit", "retry_after": 7}, 429),
        ({"kind": "error", "status": 503}, 503),
        ({"kind": "credentials"}, 403),
    ],
)
def test_fault_is_answered_as_by_a_gateway(http: httpx.Client, fault: dict[str, Any], status: int) -> None:
    http.post("/_faults", json={"platform": "ga4", **fault}).raise_for_status()

    response = http.post(COLLECT, params=STREAM, json=body(event()))

    assert response.status_code == status
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)
    assert counted(http) == (0, 0)


def test_secret_is_not_shown(http: httpx.Client) -> None:
    http.post(COLLECT, params=STREAM, json=body(event()))

    (entry,) = http.get("/_requests").json()["requests"]
    assert entry["query"] == {"measurement_id": "G-ABC123DEF4", "api_secret": "•••"}


def test_other_paths_are_not_there(http: httpx.Client) -> None:
    assert http.post("/ga4/collect", params=STREAM, json=body(event())).status_code == 404
    assert http.get(COLLECT, params=STREAM).status_code == 404
