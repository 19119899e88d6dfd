"""The emulated Reddit against its pages and guide on the Conversions API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import Clock, accepted

NOW = STARTS_AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
MS = 1795269600000  # NOW in Unix milliseconds
WEEK = 7 * 86_400_000
EVENTS = "/reddit/api/v3/pixels/a2_abcd1234/conversion_events"
GOOD = {"Authorization": "Bearer good"}
DIGEST = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"
UUID = "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)

EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "events": [
            {
                "event_at": 1795185005250,
                "action_source": "WEBSITE",
                "event_source_url": "https://shop.example.com/thank-you?order=10045",
                "type": {"tracking_type": "PURCHASE"},
                "click_id": "4783925710582634112",
                "user": {
                    "email": "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
                    "phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                    "external_id": "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf",
                    "ip_address": "eacd5267d80f13eed692aff9d1608e048f9892a8d7ba0a74d4407a72ebecebad",
                    "user_agent": USER_AGENT,
                    "uuid": UUID,
                },
                "metadata": {
                    "conversion_id": "evt-10045",
                    "currency": "USD",
                    "value": 149.9,
                    "item_count": 3,
                    "products": [
                        {
                            "id": "SKU-RED-M",
                            "name": "Red shirt",
                            "category": "Shirts",
                            "quantity": 2,
                            "item_price": 49.95,
                        },
                        {
                            "id": "SKU-CAP",
                            "name": "Cap",
                            "category": "Hats",
                            "quantity": 1,
                            "item_price": 50.0,
                        },
                    ],
                },
            }
        ]
    },
    "already hashed": {
        "events": [
            {
                "event_at": 1795251600000,
                "action_source": "WEBSITE",
                "event_source_url": "https://shop.example.com/welcome",
                "type": {"tracking_type": "SIGN_UP"},
                "user": {
                    "email": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                    "phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                },
                "metadata": {"conversion_id": "evt-20001"},
            }
        ]
    },
    "lead with only a click id": {
        "events": [
            {
                "event_at": 1795256130000,
                "action_source": "WEBSITE",
                "event_source_url": "https://shop.example.com/contact",
                "type": {"tracking_type": "LEAD"},
                "click_id": "4783925710582634112",
                "metadata": {"conversion_id": "evt-30001", "currency": "EUR", "value": 25},
            }
        ]
    },
    "custom event": {
        "events": [
            {
                "event_at": 1795258800000,
                "action_source": "WEBSITE",
                "event_source_url": "https://shop.example.com/checkout",
                "type": {"tracking_type": "CUSTOM", "custom_event_name": "InitiateCheckout"},
                "user": {"email": "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976"},
                "metadata": {"conversion_id": "evt-40001", "currency": "JPY", "value": 1500, "item_count": 2},
            }
        ]
    },
    "limited data use in a test request": {
        "test_id": "t2_2example",
        "events": [
            {
                "event_at": 1795266000000,
                "action_source": "WEBSITE",
                "event_source_url": "https://shop.example.com/p/1",
                "type": {"tracking_type": "VIEW_CONTENT"},
                "user": {
                    "email": DIGEST,
                    "data_processing_options": {"modes": ["LDU"], "country": "US", "region": "US-CA"},
                },
                "metadata": {"conversion_id": "evt-60001", "products": [{"id": "SKU-1", "name": "Mug"}]},
            }
        ],
    },
}


def event(event_id: str = "evt-1", **changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "event_at": MS - 60_000,
        "action_source": "WEBSITE",
        "event_source_url": "https://shop.example.com/p/1",
        "type": {"tracking_type": "ADD_TO_CART"},
        "user": {"email": DIGEST},
        "metadata": {"conversion_id": event_id},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def send(http: httpx.Client, *events: Any, **data: Any) -> httpx.Response:
    return http.post(EVENTS, headers=GOOD, json={"data": {"events": list(events), **data}})


@pytest.mark.parametrize("data", [pytest.param(data, id=title) for title, data in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, data: dict[str, Any]) -> None:
    response = http.post(EVENTS, headers=GOOD, json={"data": data})

    assert response.status_code == 200
    assert response.json() == {"data": {"message": "Successfully processed 1 conversion events."}}
    assert [entry["item"] for entry in accepted(http)["items"]] == data["events"]
    assert [entry["test"] for entry in accepted(http)["items"]] == ["test_id" in data]


def test_request_without_a_token_gets_a_bare_text(http: httpx.Client) -> None:
    response = http.post(EVENTS, params={"access_token": "good"}, json={"data": {"events": [event()]}})

    assert (response.status_code, response.text) == (401, "Authorization Required")
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        pytest.param("bad-token", 401, "The token is not valid.", id="bad"),
        pytest.param("expired-token", 401, "The token is not valid.", id="expired"),
        pytest.param("foreign-token", 403, "The token has no permission for this pixel.", id="foreign"),
    ],
)
def test_token_is_refused(http: httpx.Client, token: str, status: int, message: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    response = http.post(EVENTS, headers=headers, json={"data": {"events": [event()]}})

    assert (response.status_code, response.json()) == (
        status,
        {"error": {"code": status, "message": message}},
    )
    assert accepted(http)["received"] == 0


def test_bad_event_fails_its_whole_request_and_is_named(http: httpx.Client) -> None:
    response = send(http, event("a"), event("b", event_at="1795269600000"), event("c"))

    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "code": 400,
            "message": "Invalid request: no event was processed.",
            "fields": [{"field": "data.events[1].event_at", "message": "must be a whole number"}],
        }
    }
    assert accepted(http) == {"unique": 0, "received": 0, "items": []}


@pytest.mark.parametrize(
    ("bad", "field", "message"),
    [
        pytest.param("x", "", "must be an object", id="text"),
        pytest.param(event(event_at=...), ".event_at", "is required", id="no time"),
        pytest.param(event(action_source=...), ".action_source", "is required", id="no source"),
        pytest.param(event(type=...), ".type", "is required", id="no type"),
        pytest.param(event(event_at=MS // 1000), ".event_at", "must be in Unix milliseconds", id="seconds"),
        pytest.param(event(event_at=MS - WEEK), ".event_at", "must be less than 168h0m0s ago", id="a week old"),
        pytest.param(event(event_at=MS + 300_001), ".event_at", "is in the future", id="ahead"),
        pytest.param(
            event(action_source="website"),
            ".action_source",
            "must be one of WEBSITE, APP, PHYSICAL_STORE, OTHER",
            id="source in lower case",
        ),
        pytest.param(
            event(type={"tracking_type": "CUSTOM"}),
            ".type.custom_event_name",
            "must be there for CUSTOM, and only there",
            id="custom without a name",
        ),
        pytest.param(
            event(type={"tracking_type": "LEAD", "custom_event_name": "Lead"}),
            ".type.custom_event_name",
            "must be there for CUSTOM, and only there",
            id="name without custom",
        ),
        pytest.param(
            event(user={"email": [DIGEST]}),
            ".user.email",
            "must be a string with something in it",
            id="email in a list",
        ),
        pytest.param(event(user={"uuid": f"1.{UUID}"}), ".user.uuid", "must be a UUID", id="whole cookie"),
        pytest.param(
            event(user={"click_id": "1"}),
            ".user",
            "needs an identifier, or there must be a click_id",
            id="click id inside user",
        ),
        pytest.param(event(user={}), ".user", "needs an identifier, or there must be a click_id", id="nobody"),
        pytest.param(
            event(user={"user_agent": "Agent/1.0"}),
            ".user",
            "needs an identifier, or there must be a click_id",
            id="user agent only",
        ),
        pytest.param(
            event(user={"email": DIGEST, "data_processing_options": {"modes": "LDU"}}),
            ".user.data_processing_options.modes",
            "must be a list",
            id="modes as text",
        ),
        pytest.param(
            event(user={"email": DIGEST, "data_processing_options": {"modes": ["LDU"], "region": "California"}}),
            ".user.data_processing_options.region",
            "must be a region code such as US-CA",
            id="region in words",
        ),
        pytest.param(
            event(metadata={"conversion_id": ""}),
            ".metadata.conversion_id",
            "must be a string with something in it",
            id="empty id",
        ),
        pytest.param(event(metadata={"value": "10"}), ".metadata.value", "must be a number", id="value as text"),
        pytest.param(
            event(metadata={"products": [{"id": "a", "quantity": 1.5}]}),
            ".metadata.products[0].quantity",
            "must be a whole number",
            id="half a product",
        ),
        pytest.param(
            event(user={"email": DIGEST, "screen_dimensions": {"width": 390}}),
            ".user.screen_dimensions.height",
            "is required",
            id="half a screen",
        ),
    ],
)
def test_event_is_refused(http: httpx.Client, bad: Any, field: str, message: str) -> None:
    response = send(http, bad)

    assert response.status_code == 400
    assert response.json()["error"]["fields"] == [{"field": f"data.events[0]{field}", "message": message}]
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(event(event_at=MS - WEEK + 1), id="nearly a week old"),
        pytest.param(event(event_at=MS + 300_000), id="five minutes ahead"),
        pytest.param(event(user=..., click_id="1"), id="click id only"),
        pytest.param(event(user={"uuid": UUID}), id="cookie only"),
        pytest.param(event(user={"phone_number": DIGEST}), id="phone only"),
        pytest.param(event(user={"ip_address": DIGEST, "user_agent": "Agent/1.0"}), id="IP and user agent"),
        pytest.param(
            event(type={"tracking_type": "LEAD"}, metadata={"value": 1, "currency": "USD"}), id="lead's value"
        ),
        pytest.param(event(metadata={"value": 1}), id="value without a currency"),
        pytest.param(event(user={"email": "sam@example.com"}), id="plain email"),
        pytest.param(event(user={"idfa": DIGEST}), id="Apple device only"),
        pytest.param(event(user={"aaid": DIGEST}), id="Android device only"),
        pytest.param(
            event(type={"tracking_type": "PAGE_VISIT"}, metadata={"value": 1, "currency": "USD", "item_count": 1}),
            id="metadata that the type does not use",
        ),
        pytest.param(event(metadata={"products": [{"id": "a", "price": 1}]}, partner_event=1), id="unknown keys"),
    ],
)
def test_event_is_accepted(http: httpx.Client, good: dict[str, Any]) -> None:
    assert send(http, good).status_code == 200
    assert accepted(http)["unique"] == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"{", "The body is no JSON.", id="no JSON"),
        *(
            pytest.param(body, "Invalid request: no event was processed.", id=title)
            for title, body in {
                "list": b"[]",
                "body of v2": b'{"events": [{}]}',
                "no event": b'{"data": {"events": []}}',
                "1,001 events": b'{"data": {"events": [' + b"1," * 1000 + b"1]}}",
            }.items()
        ),
    ],
)
def test_request_is_refused(http: httpx.Client, body: bytes, message: str) -> None:
    response = http.post(EVENTS, headers=GOOD, content=body)

    assert response.status_code == 400
    assert response.json()["error"]["message"] == message


def test_unknown_key_beside_the_events_is_passed_over(http: httpx.Client) -> None:
    assert send(http, event(), test_mode=True).status_code == 200
    assert [entry["test"] for entry in accepted(http)["items"]] == [False]


def test_request_beyond_a_megabyte_is_too_large(http: httpx.Client) -> None:
    response = http.post(EVENTS, headers=GOOD, content=b" " * (1024 * 1024 + 1))

    assert (response.status_code, response.json()["error"]["code"]) == (413, 413)


def test_unknown_pixel_and_path_are_not_there(http: httpx.Client) -> None:
    pixel = http.post("/reddit/api/v3/pixels/1234/conversion_events", headers=GOOD, json={})
    path = http.post("/reddit/api/v2.0/conversions/events/a2_abcd1234", headers=GOOD, json={})

    assert (pixel.status_code, pixel.json()) == (
        404,
        {"error": {"code": 404, "message": "There is no such pixel."}},
    )
    assert (path.status_code, path.json()) == (
        404,
        {"error": {"code": 404, "message": "There is nothing at this path."}},
    )


def test_copy_of_the_same_type_within_two_days_is_one_event(http: httpx.Client, clock: Clock) -> None:
    quiz = event(type={"tracking_type": "CUSTOM", "custom_event_name": "Quiz"})
    poll = event(type={"tracking_type": "CUSTOM", "custom_event_name": "Poll"})
    for copy in (event(), event(), quiz, poll):
        send(http, copy)
    send(http, event(), test_id="t2_2example")
    assert (accepted(http)["unique"], accepted(http)["received"]) == (4, 5)

    clock.instant = NOW + timedelta(days=2, seconds=1)
    send(http, event())

    assert (accepted(http)["unique"], accepted(http)["received"]) == (5, 6)


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        pytest.param({"kind": "rate_limit"}, 429, "Too many requests.", id="429"),
        pytest.param({"kind": "error"}, 500, "Something went wrong.", id="500"),
        pytest.param({"kind": "credentials"}, 401, "The token is not valid.", id="401"),
    ],
)
def test_fault_is_worded_as_reddit_would(http: httpx.Client, fault: dict[str, Any], status: int, message: str) -> None:
    http.post("/_faults", json={"platform": "reddit", **fault}).raise_for_status()
    response = send(http, event())

    assert (response.status_code, response.json()) == (
        status,
        {"error": {"code": status, "message": message}},
    )


def test_bad_gateway_is_a_page(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "reddit", "kind": "error", "status": 502}).raise_for_status()
    response = send(http, event())

    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_fault_refuses_the_event_it_names(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "reddit", "kind": "refuse", "event_ids": ["b"]}).raise_for_status()
    response = send(http, event("a"), event("b"))

    assert response.status_code == 400
    assert response.json()["error"]["fields"] == [
        {"field": "data.events[1]", "message": "is refused on request of a fault"}
    ]


def test_token_is_never_shown(http: httpx.Client) -> None:
    http.post(EVENTS, headers={"Authorization": "Bearer s3cret"}, json={"data": {"events": [event()]}})

    assert "s3cret" not in http.get("/_requests").text
