"""The emulated Pinterest against its API description."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import Clock, counted

EVENTS = "/pinterest/v5/ad_accounts/549755885175/events"
GOOD = {"Authorization": "Bearer good"}
NOW = 1795269600  # the clock's start in Unix seconds
STARTS_AT = datetime.fromtimestamp(NOW, UTC)
DIGEST = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "data": [
            {
                "event_name": "checkout",
                "action_source": "web",
                "event_time": 1795185005,
                "event_id": "evt-10045",
                "event_source_url": "https://shop.example.com/thank-you?order=10045",
                "opt_out": False,
                "user_data": {
                    "em": ["dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db"],
                    "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
                    "fn": ["81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"],
                    "ln": ["eb1aed4f494ca276a88d3161252e48e0fe703f32666fe44fe4652f660b82cda4"],
                    "ct": ["1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac"],
                    "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
                    "zp": ["c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead"],
                    "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
                    "external_id": ["570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf"],
                    "client_ip_address": "203.0.113.24",
                    "client_user_agent": CHROME,
                    "click_id": "dj0yJnU9b2JDcFFHekV4SHJN",
                },
                "custom_data": {
                    "currency": "USD",
                    "value": "149.90",
                    "content_ids": ["SKU-RED-M", "SKU-CAP"],
                    "contents": [
                        {
                            "id": "SKU-RED-M",
                            "item_price": "49.95",
                            "quantity": 2,
                            "item_name": "Red shirt",
                            "item_category": "Shirts",
                            "item_brand": "Acme",
                        },
                        {
                            "id": "SKU-CAP",
                            "item_price": "50.00",
                            "quantity": 1,
                            "item_name": "Cap",
                            "item_category": "Hats",
                            "item_brand": "Acme",
                        },
                    ],
                    "num_items": 3,
                    "order_id": "10045",
                },
            }
        ]
    },
    "already hashed": {
        "data": [
            {
                "event_name": "signup",
                "action_source": "web",
                "event_time": 1795251600,
                "event_id": "evt-20001",
                "event_source_url": "https://shop.example.com/welcome",
                "opt_out": False,
                "user_data": {
                    "em": ["8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"],
                    "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
                    "external_id": ["3f2cd8e57b096fe7e4a78a5627e34ca3f885ad65a56e61c287cf4211bbc5949f"],
                },
            }
        ]
    },
    "IP address and user agent alone": {
        "data": [
            {
                "event_name": "lead",
                "action_source": "web",
                "event_time": 1795256130,
                "event_id": "evt-30001",
                "event_source_url": "https://shop.example.com/contact",
                "opt_out": False,
                "user_data": {"client_ip_address": "2001:db8::7", "client_user_agent": CHROME},
            }
        ]
    },
    "custom event in yen": {
        "data": [
            {
                "event_name": "custom",
                "action_source": "web",
                "event_time": 1795258800,
                "event_id": "evt-40001",
                "event_source_url": "https://shop.example.com/quote",
                "opt_out": False,
                "user_data": {"em": ["cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"]},
                "custom_data": {"currency": "JPY", "value": "1500"},
            }
        ]
    },
    "purchase in a store under limited data processing": {
        "data": [
            {
                "event_name": "checkout",
                "action_source": "offline",
                "event_time": 1795266000,
                "event_id": "evt-60001",
                "opt_out": False,
                "user_data": {
                    "em": ["71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476"],
                    "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
                    "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
                },
                "custom_data": {
                    "currency": "USD",
                    "value": "12.50",
                    "order_id": "S-77",
                    "opt_out_type": "LDP",
                },
            }
        ]
    },
}

LATE = "event_time is more than one hour ago: the event is reported as offline."
REFUSED = "The event is refused on request of a fault."
UNKNOWN = "user_data needs em, hashed_maids, or client_ip_address with client_user_agent."

Send = Callable[..., httpx.Response]


@pytest.fixture
def send(http: httpx.Client) -> Send:
    """Sends events with a good token."""

    def send(*events: Any, path: str = EVENTS, **root: Any) -> httpx.Response:
        return http.post(path, json={"data": list(events), **root}, headers=GOOD)

    return send


def lead(event_id: str = "lead-1", **fields: Any) -> dict[str, Any]:
    """A good event; named fields replace its own, those that are ``...`` are left out."""
    good = {
        "event_name": "lead",
        "action_source": "web",
        "event_time": NOW - 60,
        "event_id": event_id,
        "opt_out": False,
        "user_data": {"em": [DIGEST]},
    }
    return {key: value for key, value in {**good, **fields}.items() if value is not ...}


def processed(warning: str | None = None) -> dict[str, str | None]:
    return {"status": "processed", "error_message": None, "warning_message": warning}


def failed(error: str) -> dict[str, str | None]:
    return {"status": "failed", "error_message": error, "warning_message": None}


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_example_is_accepted(http: httpx.Client, name: str) -> None:
    response = http.post(EVENTS, json=EXAMPLES[name], headers=GOOD)

    is_late = EXAMPLES[name]["data"][0]["action_source"] == "web"  # all the examples are an hour old
    assert response.status_code == 200
    assert response.json() == {
        "num_events_received": 1,
        "num_events_processed": 1,
        "events": [processed(LATE if is_late else None)],
    }
    assert counted(http) == (1, 1)


@pytest.mark.parametrize(
    ("path", "headers", "status", "body"),
    [
        pytest.param(EVENTS, {}, 401, {"code": 2, "message": "Authentication failed."}, id="no token"),
        pytest.param(
            EVENTS + "?access_token=good",
            {},
            401,
            {"code": 2, "message": "Authentication failed."},
            id="token in the query",
        ),
        pytest.param(
            EVENTS,
            {"Authorization": "Bearer bad-token"},
            401,
            {"code": 2, "message": "Authentication failed."},
            id="bad token",
        ),
        pytest.param(
            EVENTS,
            {"Authorization": "Bearer foreign-token"},
            403,
            {"code": 29, "message": "You are not permitted to access that resource."},
            id="token of somebody else",
        ),
        pytest.param(
            "/pinterest/v5/ad_accounts/0/events",
            GOOD,
            403,
            {"code": 29, "message": "You are not permitted to access that resource."},
            id="ad account of nobody",
        ),
        pytest.param(
            "/pinterest/v5/ad_accounts/act_5/events",
            GOOD,
            404,
            {"code": 404, "message": "The requested path does not exist."},
            id="ad account with letters",
        ),
    ],
)
def test_access_is_refused(
    http: httpx.Client,
    path: str,
    headers: dict[str, str],
    status: int,
    body: dict[str, Any],
) -> None:
    response = http.post(path, json={"data": [lead()]}, headers=headers)

    assert (response.status_code, response.json()) == (status, body)
    assert counted(http) == (0, 0)


def test_bad_events_leave_their_neighbours(send: Send, http: httpx.Client) -> None:
    response = send(lead("a"), lead("b", user_data={"ph": [DIGEST], "click_id": "dj0y"}), lead("c"))

    assert response.status_code == 422
    assert response.json() == {
        "code": 422,
        "message": "Not all events were processed.",
        "details": {
            "num_events_received": 3,
            "num_events_processed": 2,
            "events": [processed(), failed(UNKNOWN), processed()],
        },
    }
    assert counted(http) == (2, 2)


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param({"em": [DIGEST]}, id="email"),
        pytest.param({"hashed_maids": [DIGEST]}, id="device"),
        pytest.param({"client_ip_address": "2001:db8::7", "client_user_agent": CHROME}, id="IP address and user agent"),
    ],
)
def test_one_identifier_is_enough(send: Send, user_data: dict[str, Any]) -> None:
    assert send(lead(user_data=user_data)).status_code == 200


def test_event_of_an_app_is_accepted_with_its_device(send: Send, http: httpx.Client) -> None:
    device = {
        **dict.fromkeys(("app_id", "app_name", "app_version", "device_carrier", "device_model", "os_version"), "x"),
        "language": "pt",
    }

    response = send(lead(action_source="app_ios", user_data={"hashed_maids": [DIGEST]}, **device))

    assert response.status_code == 200
    assert counted(http) == (1, 1)


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"client_ip_address": "2001:db8::7"}, id="IP address alone"),
        pytest.param({"client_user_agent": CHROME}, id="user agent alone"),
        pytest.param({"external_id": [DIGEST], "fn": [DIGEST], "ln": [DIGEST]}, id="external id and names"),
    ],
)
def test_too_little_identity_is_refused(send: Send, http: httpx.Client, user_data: dict[str, Any]) -> None:
    response = send(lead(user_data=user_data))

    assert response.status_code == 422
    assert response.json()["details"]["events"] == [failed(UNKNOWN)]
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    ("event_time", "source", "warning"),
    [
        pytest.param(NOW - 3600, "web", None, id="an hour old"),
        pytest.param(NOW - 3601, "web", LATE, id="a second more"),
        pytest.param(NOW - 3601, "app_ios", LATE, id="a second more from an app"),
        pytest.param(NOW - 3601, "offline", None, id="a second more from a store"),
    ],
)
def test_late_event_is_processed_with_a_warning(send: Send, event_time: int, source: str, warning: str | None) -> None:
    response = send(lead(event_time=event_time, action_source=source))

    assert (response.status_code, response.json()["events"]) == (200, [processed(warning)])


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"event_id": ...}, ".event_id is required", id="no id"),
        pytest.param({"user_data": ...}, ".user_data is required", id="no user data"),
        pytest.param({"action_source": ...}, ".action_source is required", id="no action source"),
        pytest.param(
            {"action_source": "website"},
            ".action_source must be one of web, offline, app_android, app_ios",
            id="action source of another platform",
        ),
        pytest.param(
            {"event_name": "my event"},
            ".event_name must be 1 to 100 letters, digits, _ or -",
            id="name with a space",
        ),
        pytest.param({"event_time": 1.5}, ".event_time must be a whole number", id="fraction of a second"),
        pytest.param({"event_time": NOW * 1000}, ".event_time must be in Unix seconds", id="milliseconds"),
        pytest.param({"opt_out": "false"}, ".opt_out must be true or false", id="opt_out as text"),
        pytest.param({"limited": True}, " has the unknown key 'limited'", id="unknown key"),
        pytest.param({"partner_name": "company"}, ".partner_name must be of the form ss-company", id="partner name"),
        pytest.param({"event_source_url": "/cart"}, ".event_source_url must be a complete URL", id="half a URL"),
        pytest.param({"user_data": {"em": DIGEST}}, ".user_data.em must be a list", id="email outside a list"),
        pytest.param(
            {"user_data": {"em": ["sam@example.com"]}},
            ".user_data.em[0] must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="plain email",
        ),
        pytest.param(
            {"user_data": {"em": [DIGEST], "client_ip_address": ["203.0.113.7"]}},
            ".user_data.client_ip_address must be an IPv4 or IPv6 address",
            id="IP address in a list",
        ),
        pytest.param(
            {"custom_data": {"value": 149.9}},
            ".custom_data.value must be a decimal number written as a string",
            id="value as a number",
        ),
        pytest.param(
            {"custom_data": {"value": "-1.00"}},
            ".custom_data.value must be a decimal number written as a string",
            id="value below zero",
        ),
        pytest.param(
            {"custom_data": {"currency": "usd"}},
            ".custom_data.currency must be a currency code of three capitals",
            id="currency in small letters",
        ),
        pytest.param({"custom_data": {"np": "x"}}, ".custom_data has the unknown key 'np'", id="internal field"),
        pytest.param(
            {"custom_data": {"opt_out_type": "LDU"}}, ".custom_data.opt_out_type must be one of LDP", id="LDU"
        ),
        pytest.param(
            {"custom_data": {"contents": [{"id": "a", "item_price": 5}]}},
            ".custom_data.contents[0].item_price must be a decimal number written as a string",
            id="price as a number",
        ),
        pytest.param(
            {"custom_data": {"order_id": None}},
            ".custom_data.order_id must be left out where it has no value",
            id="null",
        ),
    ],
)
def test_breach_of_the_schema_sinks_the_request(
    send: Send, http: httpx.Client, fields: dict[str, Any], complaint: str
) -> None:
    response = send(lead("a"), lead(**{"event_id": "b", **fields}))

    assert response.status_code == 400
    assert response.json() == {"code": 4196, "message": f"Invalid request: body.data[1]{complaint}."}
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param({"data": []}, ".data must have at least 1 element", id="no events"),
        pytest.param({"data": [lead()] * 1001}, ".data must have at most 1000 elements", id="1001 events"),
        pytest.param({"data": {}}, ".data must be a list", id="data as object"),
        pytest.param({"events": []}, ".data is required", id="no data"),
        pytest.param([], " must be an object", id="a list"),
        pytest.param({"data": [lead()], "test": True}, " has the unknown key 'test'", id="test in the body"),
    ],
)
def test_request_is_refused(http: httpx.Client, body: Any, complaint: str) -> None:
    response = http.post(EVENTS, json=body, headers=GOOD)

    assert response.status_code == 400
    assert response.json() == {"code": 4196, "message": f"Invalid request: body{complaint}."}


def test_broken_json_is_refused(http: httpx.Client) -> None:
    response = http.post(EVENTS, content=b'{"data": [', headers=GOOD)

    assert (response.status_code, response.json()["code"]) == (400, 4196)


def test_thousand_events_are_accepted(send: Send, http: httpx.Client) -> None:
    response = send(*(lead(f"lead-{number}") for number in range(1000)))

    assert (response.status_code, response.json()["num_events_processed"]) == (200, 1000)
    assert counted(http) == (1000, 1000)


def test_trial_handles_twenty_events(http: httpx.Client, send: Send) -> None:
    twenty = send(*(lead(f"a-{number}") for number in range(20)), path=EVENTS + "?test=true")
    more = send(*(lead(f"b-{number}") for number in range(21)), path=EVENTS + "?test=true")

    assert (twenty.status_code, twenty.json()["num_events_processed"]) == (200, 20)
    assert more.status_code == 422
    assert (more.json()["details"]["num_events_received"], len(more.json()["details"]["events"])) == (21, 20)
    items = http.get("/_accepted", params={"platform": "pinterest", "limit": 100}).json()["items"]
    assert {item["test"] for item in items} == {True}


def test_copies_are_counted_once_for_48_hours(send: Send, http: httpx.Client, clock: Clock) -> None:
    send(lead("a"), lead("b"), lead("a"))
    clock.instant += timedelta(hours=48)
    send(lead("a"))
    assert counted(http) == (2, 4)

    clock.instant += timedelta(seconds=1)
    send(lead("a"))

    assert counted(http) == (3, 5)


@pytest.mark.parametrize(
    ("fields", "path", "unique"),
    [
        pytest.param({}, EVENTS, 1, id="the same event"),
        pytest.param({"event_name": "LEAD"}, EVENTS, 1, id="another case"),
        pytest.param({"event_name": "contact"}, EVENTS, 2, id="another name"),
        pytest.param({"event_id": "lead-2"}, EVENTS, 2, id="another id"),
        pytest.param({}, "/pinterest/v5/ad_accounts/7/events", 2, id="another ad account"),
    ],
)
def test_copy_is_known_by_ad_account_name_and_id(
    send: Send, http: httpx.Client, fields: dict[str, Any], path: str, unique: int
) -> None:
    send(lead())
    send(lead(**fields), path=path)

    assert counted(http) == (unique, 2)


def test_every_copy_of_an_offline_event_counts(send: Send, http: httpx.Client) -> None:
    send(lead(action_source="offline"))
    send(lead(action_source="offline"))

    assert counted(http) == (2, 2)


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        pytest.param(
            {"kind": "rate_limit"},
            429,
            {"code": 8, "message": "This request exceeded a rate limit."},
            id="too fast",
        ),
        pytest.param({"kind": "credentials"}, 401, {"code": 2, "message": "Authentication failed."}, id="credentials"),
        pytest.param(
            {"kind": "error", "status": 503},
            503,
            {"code": 4197, "message": "The endpoint is ramped down."},
            id="ramped down",
        ),
        pytest.param(
            {"kind": "error"},
            500,
            {"code": 500, "message": "Something went wrong on our end."},
            id="server error",
        ),
        pytest.param(
            {"kind": "error", "status": 400}, 400, {"code": 4196, "message": "Invalid request."}, id="refused"
        ),
    ],
)
def test_fault_is_worded_as_pinterest_words_it(
    http: httpx.Client,
    send: Send,
    fault: dict[str, Any],
    status: int,
    body: dict[str, Any],
) -> None:
    assert http.post("/_faults", json={"platform": "pinterest", **fault}).status_code == 201

    response = send(lead())

    assert (response.status_code, response.json()) == (status, body)
    assert counted(http) == (0, 0)


def test_refused_event_fails_alone(http: httpx.Client, send: Send) -> None:
    fault = {"platform": "pinterest", "kind": "refuse", "event_ids": ["b"]}
    http.post("/_faults", json=fault).raise_for_status()

    response = send(lead("a"), lead("b"))

    assert response.status_code == 422
    assert response.json()["details"]["events"] == [processed(), failed(REFUSED)]
    assert counted(http) == (1, 1)


def test_too_fast_says_how_long_where_the_fault_does(http: httpx.Client, send: Send) -> None:
    fault = {"platform": "pinterest", "kind": "rate_limit", "retry_after": 7}
    http.post("/_faults", json=fault).raise_for_status()

    headers = send(lead()).headers

    assert (headers["retry-after"], headers["x-ratelimit-reset"]) == ("7", "7")


def test_page_of_a_proxy_is_no_json(http: httpx.Client, send: Send) -> None:
    http.post("/_faults", json={"platform": "pinterest", "kind": "error", "status": 502}).raise_for_status()

    response = send(lead())

    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_token_is_not_shown_among_the_requests(http: httpx.Client, send: Send) -> None:
    send(lead())

    (entry,) = http.get("/_requests").json()["requests"]
    assert entry["headers"]["authorization"] == "•••"
