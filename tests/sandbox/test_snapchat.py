"""The emulated Snapchat against Snap's pages on the Conversions API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import Clock, accepted

NOW = STARTS_AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
SECONDS = 1795269600  # NOW in Unix seconds
DAY = 86400
ASSET = "/snapchat/v3/1ec32188-754e-4be2-8e55-c949a984a39f"
EVENTS = f"{ASSET}/events"
TOKEN = {"access_token": "good"}
DIGEST = "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
EXTINFO = [*("a2", "com.example.shop", "4.2", "4.2.1", "14", "Pixel 8", "en_GB", ""), *("",) * 8]

EXAMPLES = {
    "full purchase": {
        "event_name": "PURCHASE",
        "event_time": 1795185005,
        "event_id": "evt-10045",
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/thank-you?order=10045",
        "user_data": {
            "em": ["dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db"],
            "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
            "fn": ["81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"],
            "ln": ["67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c"],
            "ct": ["1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac"],
            "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
            "zp": ["c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead"],
            "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
            "external_id": ["570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf"],
            "client_ip_address": "203.0.113.24",
            "client_user_agent": USER_AGENT,
            "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
            "sc_cookie1": "9d1b0f7a-52c1-4d0e-8f0a-7a6b5c4d3e2f",
        },
        "custom_data": {
            "currency": "USD",
            "value": 149.9,
            "order_id": "10045",
            "num_items": 3,
            "content_ids": ["SKU-RED-M", "SKU-CAP"],
            "content_category": ["Shirts", "Hats"],
            "contents": [
                {"id": "SKU-RED-M", "quantity": 2, "item_price": 49.95, "brand": "Acme"},
                {"id": "SKU-CAP", "quantity": 1, "item_price": 50.0, "brand": "Acme"},
            ],
        },
    },
    "already hashed": {
        "event_name": "SIGN_UP",
        "event_time": 1795251600,
        "event_id": "evt-20001",
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/welcome",
        "user_data": {
            "em": ["8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"],
            "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
            "country": ["0b407281768f0e833afef47ed464b6571d01ca4d53c12ce5c51d1462f4ad6677"],
        },
    },
    "lead": {
        "event_name": "SIGN_UP",
        "event_time": 1795256130,
        "event_id": "evt-30001",
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/contact",
        "user_data": {"ph": ["dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"]},
    },
    "custom event": {
        "event_name": "CUSTOM_EVENT_1",
        "event_time": 1795258800,
        "event_id": "evt-40001",
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/quote",
        "user_data": {"em": [DIGEST]},
        "custom_data": {"currency": "JPY", "value": 1500},
    },
    "page view under limited use": {
        "event_name": "PAGE_VIEW",
        "event_time": 1795266000,
        "event_id": "evt-60001",
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/",
        "data_processing_options": ["LMU"],
        "user_data": {
            "client_ip_address": "203.0.113.24",
            "client_user_agent": USER_AGENT,
            "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
        },
    },
}


def event(event_id: Any = "evt-1", **changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "event_name": "ADD_CART",
        "event_time": SECONDS - 60,
        "event_id": event_id,
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {"em": [DIGEST]},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def app_event(**changes: Any) -> dict[str, Any]:
    return event(**{"action_source": "MOBILE_APP", "app_data": {"app_id": "a"}, **changes})


def send(http: httpx.Client, *events: Any, path: str = EVENTS) -> httpx.Response:
    return http.post(path, params=TOKEN, json={"data": list(events)})


@pytest.mark.parametrize("item", [pytest.param(item, id=title) for title, item in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, item: dict[str, Any]) -> None:
    response = send(http, item)

    assert (response.status_code, response.json()) == (
        200,
        {"status": "VALID", "reason": "1 events were valid."},
    )
    assert [entry["item"] for entry in accepted(http)["items"]] == [item]


@pytest.mark.parametrize(
    ("params", "headers", "status", "reason"),
    [
        pytest.param({}, {}, 401, "The access token is invalid or has expired.", id="none"),
        pytest.param(
            {},
            {"Authorization": "Bearer good"},
            401,
            "The access token is invalid or has expired.",
            id="header only",
        ),
        pytest.param({"access_token": "bad-token"}, {}, 401, "The access token is invalid or has expired.", id="bad"),
        pytest.param(
            {"access_token": "expired-token"},
            {},
            401,
            "The access token is invalid or has expired.",
            id="expired",
        ),
        pytest.param(
            {"access_token": "foreign-token"},
            {},
            403,
            "The access token has no permission for this asset.",
            id="foreign",
        ),
    ],
)
def test_token_is_refused(
    http: httpx.Client, params: dict[str, str], headers: dict[str, str], status: int, reason: str
) -> None:
    response = http.post(EVENTS, params=params, headers=headers, json={"data": [event()]})

    assert (response.status_code, response.json()) == (status, {"status": "ERROR", "reason": reason})
    assert accepted(http)["received"] == 0


def test_bad_event_fails_its_whole_request_and_is_named_by_its_position(http: httpx.Client) -> None:
    response = send(http, event("a"), event("b", event_time="1795269000"), event("c"))

    assert response.status_code == 400
    assert response.json() == {
        "status": "INVALID",
        "reason": "1 of 3 events are invalid.",
        "test_event": False,
        "event_logs": [
            {"event": 1, "status": "VALID"},
            {
                "event": 2,
                "status": "INVALID",
                "errors": {"codes": ["INVALID_FIELD"], "error_msgs": ["event_time must be a whole number"]},
            },
            {"event": 3, "status": "VALID"},
        ],
    }
    assert accepted(http) == {"unique": 0, "received": 0, "items": []}


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        pytest.param("x", "INVALID_FIELD", "the event must be an object", id="text"),
        pytest.param(event(event_name=...), "INVALID_FIELD", "event_name is required", id="no name"),
        pytest.param(event(event_time=...), "INVALID_FIELD", "event_time is required", id="no time"),
        pytest.param(event(action_source=...), "INVALID_FIELD", "action_source is required", id="no source"),
        pytest.param(event(event_time=0), "INVALID_TIME", "event_time must be in Unix seconds or milliseconds", id="0"),
        pytest.param(
            event(event_time=SECONDS - 7 * DAY - 1),
            "INVALID_TIME",
            "event_time is more than 7 days ago",
            id="too old",
        ),
        pytest.param(
            event(event_time=(SECONDS - 7 * DAY - 1) * 1000),
            "INVALID_TIME",
            "event_time is more than 7 days ago",
            id="too old in milliseconds",
        ),
        pytest.param(
            app_event(event_time=SECONDS - 7 * DAY - 1),
            "INVALID_TIME",
            "event_time is more than 7 days ago",
            id="too old for an app",
        ),
        pytest.param(
            event(event_source_url="shop.example.com"),
            "INVALID_FIELD",
            "event_source_url must be a complete URL",
            id="URL without scheme",
        ),
        pytest.param(
            app_event(app_data=...),
            "MISSING_FIELD",
            "app_data is required for app events",
            id="app without its data",
        ),
        pytest.param(
            app_event(app_data={"app_id": "a", "extinfo": ["a2"]}),
            "INVALID_FIELD",
            "app_data.extinfo must be a list of 16 strings",
            id="extinfo too short",
        ),
        pytest.param(
            app_event(app_data={"app_id": "a", "extinfo": [""] * 16}),
            "INVALID_FIELD",
            "app_data.extinfo[0] must be a2 or i2",
            id="extinfo of no system",
        ),
        pytest.param(
            event(action_source="OFFLINE", data_processing_options=["LMU"]),
            "INVALID_FIELD",
            "data_processing_options is for web events only",
            id="limited use offline",
        ),
        pytest.param(
            event(data_processing_options=["GDPR"]),
            "INVALID_FIELD",
            "data_processing_options[0] must be one of LMU, DELETE, LDU",
            id="unknown limited use",
        ),
        pytest.param(
            event(event_name="PURCHASE", custom_data={"value": 1}),
            "MISSING_PRICE",
            "custom_data needs value and currency for a PURCHASE",
            id="purchase without currency",
        ),
        pytest.param(
            event(user_data={"em": ["jane@example.com"]}),
            "INVALID_FIELD",
            "user_data.em[0] must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="plain email",
        ),
        pytest.param(
            event(user_data={"em": [DIGEST.upper()]}),
            "INVALID_FIELD",
            "user_data.em[0] must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="digest in capitals",
        ),
        pytest.param(
            event(user_data={"em": []}),
            "INVALID_FIELD",
            "user_data.em must have at least 1 element",
            id="empty list",
        ),
        pytest.param(
            event(user_data={"em": None}),
            "INVALID_FIELD",
            "user_data.em must be left out where it has no value",
            id="null",
        ),
        pytest.param(
            event(user_data={"client_ip_address": ["203.0.113.24"]}),
            "INVALID_FIELD",
            "user_data.client_ip_address must be an IPv4 or IPv6 address",
            id="IP in a list",
        ),
        pytest.param(
            event(user_data={"external_id": [DIGEST], "sc_click_id": "a", "sc_cookie1": "b"}),
            "INSUFFICIENT_PII",
            "user_data needs em, ph, client_ip_address and client_user_agent, or an app's madid",
            id="too little",
        ),
        pytest.param(
            event(user_data={"madid": "0d1b0f7a-52c1-4d0e-8f0a-7a6b5c4d3e2f"}),
            "INSUFFICIENT_PII",
            "user_data needs em, ph, client_ip_address and client_user_agent, or an app's madid",
            id="mobile ad id on the web",
        ),
        pytest.param(
            event(custom_data={"num_items": 1.5}),
            "INVALID_FIELD",
            "custom_data.num_items must be a whole number, or one written as text",
            id="num_items fraction",
        ),
        pytest.param(
            event(custom_data={"value": "ten"}),
            "INVALID_FIELD",
            "custom_data.value must be a number, or one written as text",
            id="value in words",
        ),
        pytest.param(
            event(custom_data={"contents": [{"id": "a", "quantity": 1.85}]}),
            "INVALID_FIELD",
            "custom_data.contents[0].quantity must be a whole number",
            id="quantity with a fraction",
        ),
    ],
)
def test_event_is_refused(http: httpx.Client, bad: Any, code: str, message: str) -> None:
    response = send(http, bad)

    assert response.status_code == 400
    assert response.json()["event_logs"] == [
        {"event": 1, "status": "INVALID", "errors": {"codes": [code], "error_msgs": [message]}}
    ]
    assert accepted(http)["received"] == 0


def test_url_of_a_website_event_is_asked_for_where_it_is_validated(http: httpx.Client) -> None:
    without = event(event_source_url=...)

    response = send(http, without, path=f"{EVENTS}/validate")

    assert (response.status_code, response.json()["event_logs"]) == (
        400,
        [
            {
                "event": 1,
                "status": "INVALID",
                "errors": {"codes": ["MISSING_FIELD"], "error_msgs": ["event_source_url is required for web events"]},
            }
        ],
    )
    assert send(http, app_event(event_source_url=...), path=f"{EVENTS}/validate").status_code == 200
    assert send(http, without).status_code == 200


@pytest.mark.parametrize("currency", ["BOB", "usd"])
def test_currency_off_the_list_is_refused(http: httpx.Client, currency: str) -> None:
    response = send(http, event(event_name="PURCHASE", custom_data={"value": 1, "currency": currency}))

    assert response.status_code == 400
    (message,) = response.json()["event_logs"][0]["errors"]["error_msgs"]
    assert message.startswith("custom_data.currency must be one of AED, ALL, AUD,")


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(event(event_time=(SECONDS - 60) * 1000), id="time in milliseconds"),
        pytest.param(event(event_time=SECONDS - 7 * DAY), id="seven days old"),
        pytest.param(event(custom_data={"value": "10.5", "num_items": "2"}), id="numbers as text"),
        pytest.param(event(user_data={"ph": DIGEST}), id="digest without a list"),
        pytest.param(event(event_source_url=...), id="website event without URL"),
        pytest.param(app_event(event_source_url=...), id="app event without URL"),
        pytest.param(event(custom_data={"brands": ["Acme"], "unknown": 1}), id="keys that Snap does not ask for"),
        pytest.param(
            event(action_source="phone_call", event_time=SECONDS - 90 * DAY, event_source_url=...),
            id="old offline event",
        ),
        pytest.param(
            app_event(
                app_data={"app_id": "a", "advertiser_tracking_enabled": 1, "extinfo": EXTINFO},
                user_data={"madid": "0d1b0f7a-52c1-4d0e-8f0a-7a6b5c4d3e2f"},
            ),
            id="app event",
        ),
    ],
)
def test_event_is_accepted(http: httpx.Client, good: dict[str, Any]) -> None:
    assert send(http, good).status_code == 200
    assert accepted(http)["unique"] == 1


def test_app_events_and_others_do_not_share_a_request(http: httpx.Client) -> None:
    response = send(http, event("a"), app_event(event_id="b"))

    assert response.status_code == 400
    assert [log["errors"]["error_msgs"] for log in response.json()["event_logs"]] == [
        ["app events and others have endpoints of their own"]
    ] * 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no data"),
        pytest.param(b'{"data": []}', id="no event"),
        pytest.param(b'{"data": [' + b"1," * 2000 + b"1]}", id="2,001 events"),
    ],
)
def test_request_is_refused(http: httpx.Client, body: bytes) -> None:
    response = http.post(EVENTS, params=TOKEN, content=body)

    assert response.status_code == 400
    assert response.json() == {
        "status": "INVALID",
        "reason": "data must be a list of 1 to 2000 events.",
        "test_event": False,
        "event_logs": [],
    }


def test_request_beyond_two_megabytes_is_too_large(http: httpx.Client) -> None:
    response = http.post(EVENTS, params=TOKEN, content=b" " * (2 * 1024 * 1024 + 1))

    assert (response.status_code, response.json()["reason"]) == (413, "The request is too large.")


def test_validation_judges_and_stores_nothing(http: httpx.Client) -> None:
    good = send(http, event(), path=f"{EVENTS}/validate")
    bad = send(http, event(event_time=...), path=f"{EVENTS}/validate")

    assert (good.status_code, good.json()) == (
        200,
        {
            "status": "VALID",
            "reason": "1 events were valid.",
            "test_event": True,
            "event_logs": [{"event": 1, "status": "VALID"}],
        },
    )
    assert (bad.status_code, bad.json()["test_event"]) == (400, True)
    assert accepted(http)["received"] == 0


def test_copy_within_48_hours_is_one_event(http: httpx.Client, clock: Clock) -> None:
    send(http, event())
    send(http, event())
    send(http, event(event_name="SEARCH"))
    assert (accepted(http)["unique"], accepted(http)["received"]) == (2, 3)

    clock.instant = NOW + timedelta(hours=48, seconds=1)
    send(http, event())

    assert (accepted(http)["unique"], accepted(http)["received"]) == (3, 4)


def test_purchases_without_an_id_are_one_by_their_order(http: httpx.Client) -> None:
    purchase = event(event_id=..., event_name="PURCHASE", custom_data={"value": 1, "currency": "USD", "order_id": "1"})
    send(http, purchase)
    send(http, purchase)
    send(http, event(event_id=...))
    send(http, event(event_id=...))

    assert (accepted(http)["unique"], accepted(http)["received"]) == (3, 4)


def test_test_event_is_marked(http: httpx.Client) -> None:
    send(http, event(test_event_code="TEST12345"))

    assert [entry["test"] for entry in accepted(http)["items"]] == [True]


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        pytest.param(
            {"kind": "rate_limit", "retry_after": 7},
            429,
            {"status": "ERROR", "reason": "Too many requests."},
            id="429",
        ),
        pytest.param({"kind": "error"}, 500, {"status": "ERROR", "reason": "Something went wrong."}, id="500"),
        pytest.param(
            {"kind": "credentials"},
            401,
            {"status": "ERROR", "reason": "The access token is invalid or has expired."},
            id="401",
        ),
    ],
)
def test_fault_is_worded_as_snapchat_would(
    http: httpx.Client, fault: dict[str, Any], status: int, body: dict[str, str]
) -> None:
    http.post("/_faults", json={"platform": "snapchat", **fault}).raise_for_status()
    response = send(http, event())

    assert (response.status_code, response.json()) == (status, body)
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)


def test_bad_gateway_is_a_page(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "snapchat", "kind": "error", "status": 502}).raise_for_status()
    response = send(http, event())

    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_fault_refuses_the_event_it_names(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "snapchat", "kind": "refuse", "event_ids": ["b"]}).raise_for_status()
    response = send(http, event("a"), event("b"))

    assert response.status_code == 400
    assert [log["status"] for log in response.json()["event_logs"]] == ["VALID", "INVALID"]


def test_other_paths_are_not_there(http: httpx.Client) -> None:
    response = http.get(EVENTS, params=TOKEN)

    assert (response.status_code, response.json()) == (
        404,
        {"status": "ERROR", "reason": "There is nothing at this path."},
    )


def test_token_is_never_shown(http: httpx.Client) -> None:
    http.post(EVENTS, params={"access_token": "s3cret"}, json={"data": [event()]})

    assert "s3cret" not in http.get("/_requests").text
