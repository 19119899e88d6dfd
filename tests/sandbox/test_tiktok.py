"""The emulated TikTok against what is known of its Events API 2.0."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import Clock, counted

TRACK = "/tiktok/open_api/v1.3/event/track/"
GOOD = {"Access-Token": "good"}
DIGEST = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [
            {
                "event": "Purchase",
                "event_time": 1795183392,
                "event_id": "ord-10042",
                "user": {
                    "ttclid": "E.C.P.CqcBexampleTtClickIdCASEkept_-9Zk",
                    "email": "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a",
                    "phone": "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0",
                    "external_id": "005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4",
                    "ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH",
                    "ip": "203.0.113.42",
                    "user_agent": CHROME,
                    "first_name": "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2",
                    "last_name": "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c",
                    "city": "sanfrancisco",
                    "state": "ca",
                    "country": "us",
                    "zip_code": "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead",
                },
                "properties": {
                    "value": 129.9,
                    "currency": "USD",
                    "order_id": "10042",
                    "content_type": "product",
                    "contents": [
                        {"content_id": "SKU-1", "content_name": "Wool sock", "price": 39.95, "quantity": 2},
                        {
                            "content_id": "SKU-2",
                            "content_name": "Scarf",
                            "brand": "Acme",
                            "price": 50,
                            "quantity": 1,
                        },
                    ],
                    "num_items": 3,
                },
                "page": {
                    "url": "https://shop.example.com/thank-you?order=10042",
                    "referrer": "https://shop.example.com/checkout",
                },
            }
        ],
    },
    "already hashed": {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [
            {
                "event": "CompleteRegistration",
                "event_time": 1795176600,
                "event_id": "reg-551",
                "user": {
                    "email": "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
                    "phone": "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8",
                    "ip": "2001:db8::1f",
                    "user_agent": CHROME,
                },
                "page": {"url": "https://shop.example.com/signup/done"},
            }
        ],
    },
    "lead with an email alone": {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [
            {
                "event": "Lead",
                "event_time": 1795183865,
                "event_id": "lead-552",
                "user": {"email": "a3bf86238a1c59bd2f0a648af9293620f90d18dad133d8fe2341cf9664a5d6d0"},
                "page": {"url": "https://shop.example.com/newsletter"},
            }
        ],
    },
    "custom event": {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [
            {
                "event": "QuizFinished",
                "event_time": 1795183920,
                "event_id": "quiz-9f2",
                "user": {
                    "external_id": "005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4",
                    "ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH",
                    "ip": "203.0.113.42",
                    "user_agent": CHROME,
                },
                "properties": {"quiz_name": "Skin type", "score": 87},
                "page": {"url": "https://shop.example.com/quiz"},
            }
        ],
    },
    "products and a click id": {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [
            {
                "event": "AddToCart",
                "event_time": 1795184130,
                "event_id": "atc-77",
                "user": {
                    "ttclid": "E.C.P.BnewClickFromUrl_7Hq",
                    "phone": "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d",
                    "ip": "198.51.100.7",
                    "user_agent": CHROME,
                    "country": "gb",
                },
                "properties": {
                    "value": 74.5,
                    "currency": "GBP",
                    "content_type": "product",
                    "contents": [
                        {
                            "content_id": "TEE-S",
                            "content_name": "Tee S",
                            "brand": "Acme",
                            "price": 19.5,
                            "quantity": 1,
                        },
                        {
                            "content_id": "4711",
                            "content_name": "Tee M",
                            "brand": "Acme",
                            "price": 20,
                            "quantity": 2,
                        },
                        {
                            "content_id": "CAP",
                            "content_name": "Cap",
                            "content_category": "Hats",
                            "price": 15,
                            "quantity": 1,
                        },
                    ],
                },
                "page": {"url": "https://shop.example.com/p/tee?ttclid=E.C.P.BnewClickFromUrl_7Hq"},
            }
        ],
    },
    "test event with limited data use": {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [
            {
                "event": "ViewContent",
                "event_time": 1795184400,
                "event_id": "vc-301",
                "user": {
                    "email": "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac",
                    "ip": "203.0.113.99",
                    "user_agent": CHROME,
                },
                "properties": {
                    "value": 15,
                    "currency": "USD",
                    "content_type": "product",
                    "content_ids": ["CAP"],
                },
                "page": {"url": "https://shop.example.com/p/cap"},
                "limited_data_use": True,
            }
        ],
        "test_event_code": "TEST04030",
    },
}

Send = Callable[..., httpx.Response]


@pytest.fixture
def send(http: httpx.Client) -> Send:
    """Sends events of a website with a good token."""

    def send(*events: Any, **root: Any) -> httpx.Response:
        body = {"event_source": "web", "event_source_id": "C4ABC", "data": list(events), **root}
        return http.post(TRACK, json={key: value for key, value in body.items() if value is not ...}, headers=GOOD)

    return send


def lead(event_id: str = "lead-1", **fields: Any) -> dict[str, Any]:
    """A good event; named fields replace its own, those that are ``...`` are left out."""
    good = {
        "event": "Lead",
        "event_time": 1795183865,
        "event_id": event_id,
        "user": {"email": DIGEST},
        "page": {"url": "https://shop.example.com/newsletter"},
    }
    return {key: value for key, value in {**good, **fields}.items() if value is not ...}


def verdict(response: httpx.Response) -> tuple[int, int, str]:
    body = response.json()
    assert (sorted(body), body["data"]) == (["code", "data", "message", "request_id"], {})
    return response.status_code, body["code"], body["message"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_example_is_accepted(http: httpx.Client, name: str) -> None:
    response = http.post(TRACK, json=EXAMPLES[name], headers=GOOD)

    assert response.status_code == 200
    assert response.json() == {
        "code": 0,
        "message": "OK",
        "request_id": "20261120sandbox00000000000001",
        "data": {},
    }
    assert counted(http) == (1, 1)


def test_test_event_is_marked_as_one(http: httpx.Client, send: Send) -> None:
    send(lead("real"))
    send(lead("trial"), test_event_code="TEST04030")

    items = http.get("/_accepted", params={"platform": "tiktok"}).json()["items"]
    assert [(item["event_id"], item["destination"], item["test"]) for item in items] == [
        ("real", "C4ABC", False),
        ("trial", "C4ABC", True),
    ]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, (401, 40104, "Access token is missing."), id="no token"),
        pytest.param({"Authorization": "Bearer good"}, (401, 40104, "Access token is missing."), id="bearer"),
        pytest.param(
            {"Access-Token": "bad-token"},
            (200, 40105, "Access token is incorrect or has been revoked."),
            id="bad token",
        ),
        pytest.param(
            {"Access-Token": "expired-token"},
            (200, 40105, "Access token is incorrect or has been revoked."),
            id="expired token",
        ),
    ],
)
def test_token_is_refused(http: httpx.Client, headers: dict[str, str], expected: tuple[int, int, str]) -> None:
    body = {"event_source": "web", "event_source_id": "C4ABC", "data": [lead()]}

    assert verdict(http.post(TRACK, json=body, headers=headers)) == expected
    assert counted(http) == (0, 0)


def test_token_is_not_shown_among_the_requests(http: httpx.Client, send: Send) -> None:
    send(lead())

    (entry,) = http.get("/_requests").json()["requests"]
    assert entry["headers"]["access-token"] == "•••"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        pytest.param({"data": []}, (200, 40002, "data: must have at least 1 element"), id="no events"),
        pytest.param({"data": [{}] * 1001}, (200, 40002, "data: Length must be between 1 and 1000"), id="1001 events"),
        pytest.param({"data": {}}, (200, 40002, "data: must be a list"), id="data as object"),
        pytest.param({"data": ["x"]}, (200, 40002, "data.0: must be an object"), id="event as text"),
        pytest.param(
            {"event_source": "website"},
            (200, 40002, "event_source: must be one of web, app, offline, crm"),
            id="event source",
        ),
        pytest.param(
            {"event_source": ..., "event_source_id": ..., "pixel_code": "C4ABC"},
            (200, 40002, "event_source: is required"),
            id="1.0 body",
        ),
        pytest.param(
            {"event_source_id": "7123456789"},
            (200, 40001, "No permission to operate this pixel: an advertiser's number is no pixel code"),
            id="number of the advertiser",
        ),
        pytest.param(
            {"test_event_code": ""},
            (200, 40002, "test_event_code: must be a string with something in it"),
            id="empty test code",
        ),
    ],
)
def test_request_is_refused(
    send: Send, http: httpx.Client, root: dict[str, Any], expected: tuple[int, int, str]
) -> None:
    assert verdict(send(lead(), **root)) == expected
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"data": [', id="broken JSON"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
    ],
)
def test_unreadable_body_is_refused(http: httpx.Client, content: bytes) -> None:
    response = http.post(TRACK, content=content, headers=GOOD)

    assert verdict(response)[:2] == (200, 40002)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"event": ...}, "Batch.0.event: is required", id="no event"),
        pytest.param({"event": ..., "event_name": "Lead"}, "Batch.0.event: is required", id="event_name"),
        pytest.param({"event_time": ...}, "Batch.0.event_time: is required", id="no time"),
        pytest.param({"event_time": "1795183865"}, "Batch.0.event_time: must be a whole number", id="time as text"),
        pytest.param({"event_time": 1795183865000}, "Batch.0.event_time: must be in Unix seconds", id="milliseconds"),
        pytest.param({"page": {"url": "/cart"}}, "Batch.0.page.url: must be a complete URL", id="half a URL"),
        pytest.param(
            {"properties": {}, "event_id": ""},
            "Batch.0.event_id: must be left out where it has no value",
            id="empty id",
        ),
        pytest.param(
            {"limited_data_use": "true"}, "Batch.0.limited_data_use: must be true or false", id="flag as text"
        ),
        pytest.param(
            {"user": {"att_status": "YES"}},
            "Batch.0.user.att_status: must be one of AUTHORIZED, DENIED, NOT_DETERMINED, RESTRICTED, NOT_APPLICABLE",
            id="tracking status of no kind",
        ),
        pytest.param(
            {"user": {"email": "jane@example.com"}},
            "Batch.0.user.email: must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="plain email",
        ),
        pytest.param(
            {"user": {"zip_code": "94107"}},
            "Batch.0.user.zip_code: must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="plain zip",
        ),
        pytest.param(
            {"user": {"city": DIGEST}},
            "Batch.0.user.city: must be plain text, not a digest",
            id="hashed city",
        ),
        pytest.param(
            {"user": {"city": "San Francisco"}},
            "Batch.0.user.city: must be in lower case without spaces and punctuation",
            id="city as written",
        ),
        pytest.param(
            {"user": {"country": "US"}},
            "Batch.0.user.country: must be a two-letter code in lower case",
            id="country in capitals",
        ),
        pytest.param(
            {"user": {"ip": "localhost"}},
            "Batch.0.user.ip: must be an IPv4 or IPv6 address",
            id="no IP address",
        ),
        pytest.param(
            {"user": {"ttclid": "x" * 1001}},
            "Batch.0.user.ttclid: must be a click id without spaces",
            id="click id too long",
        ),
        pytest.param(
            {"properties": {"value": "12.50"}},
            "Batch.0.properties.value: must be a number",
            id="value as text",
        ),
        pytest.param(
            {"properties": {"contents": [{"content_id": "a"}, {"content_id": 4711}]}},
            "Batch.0.properties.contents.1.content_id: must be a string with something in it",
            id="product id as a number",
        ),
        pytest.param(
            {"properties": {"currency": "usd"}},
            "Batch.0.properties.currency: must be an ISO 4217 code in capitals",
            id="currency in small letters",
        ),
        pytest.param(
            {"properties": {"content_type": 5}},
            "Batch.0.properties.content_type: must be a string with something in it",
            id="content type",
        ),
    ],
)
def test_event_is_refused_with_its_path(send: Send, http: httpx.Client, fields: dict[str, Any], message: str) -> None:
    assert verdict(send(lead(**fields))) == (200, 40002, message)
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "root"),
    [
        pytest.param({"event_id": ...}, {}, id="without an id"),
        pytest.param({"user": ...}, {}, id="without a user"),
        pytest.param({"event_time": 1}, {}, id="as old as can be"),
        pytest.param({"user": {"email": [DIGEST, DIGEST]}}, {}, id="two emails"),
        pytest.param({"properties": {"score": 87, "deep": {"er": [1]}}}, {}, id="own properties"),
        pytest.param({"page": ...}, {"event_source": "offline", "event_source_id": "7123456789"}, id="from a store"),
        pytest.param({"page": ...}, {}, id="web event without page"),
        pytest.param({"event": "Purchase"}, {}, id="purchase without value and currency"),
        pytest.param({"properties": {"value": 5, "currency": "XAF"}}, {}, id="currency of no known list"),
        pytest.param({"user": {"phone_number": DIGEST}}, {}, id="key that TikTok does not know"),
        pytest.param(
            {
                "page": ...,
                "user": {"idfa": "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB", "att_status": "AUTHORIZED"},
                "app": {"app_id": "1234567890", "app_name": "Shop", "app_version": "4.2"},
                "limited_data_use": True,
            },
            {"event_source": "app", "event_source_id": "7219876543"},
            id="from an app",
        ),
    ],
)
def test_event_is_accepted(send: Send, http: httpx.Client, fields: dict[str, Any], root: dict[str, Any]) -> None:
    assert verdict(send(lead(**fields), **root)) == (200, 0, "OK")
    assert counted(http) == (1, 1)


def test_limited_data_use_is_not_for_stores(send: Send) -> None:
    response = send(lead(limited_data_use=True), event_source="offline")

    assert verdict(response) == (200, 40002, "Batch.0.limited_data_use: is for web and app")


def test_one_bad_event_sinks_a_thousand(send: Send, http: httpx.Client) -> None:
    good = [lead(f"lead-{number}") for number in range(999)]

    refused = send(*good, lead(event_time=-1))

    assert verdict(refused) == (200, 40002, "Batch.999.event_time: must be in Unix seconds")
    assert counted(http) == (0, 0)
    assert verdict(send(*good)) == (200, 0, "OK")
    assert counted(http) == (999, 999)


def test_copies_are_counted_once_for_48_hours(send: Send, http: httpx.Client, clock: Clock) -> None:
    send(lead("a"), lead("b"), lead("a"))
    clock.instant += timedelta(hours=48)
    send(lead("a"))
    assert counted(http) == (2, 4)

    clock.instant += timedelta(seconds=1)
    send(lead("a"))

    assert counted(http) == (3, 5)


@pytest.mark.parametrize(
    ("fields", "root", "unique"),
    [
        pytest.param({}, {}, 1, id="the same event"),
        pytest.param({"event": "Contact"}, {}, 2, id="another name"),
        pytest.param({"event_id": "lead-2"}, {}, 2, id="another id"),
        pytest.param({"event_id": ...}, {}, 2, id="no id"),
        pytest.param({}, {"event_source_id": "C4XYZ"}, 2, id="another pixel"),
    ],
)
def test_copy_is_known_by_pixel_name_and_id(
    send: Send, http: httpx.Client, fields: dict[str, Any], root: dict[str, Any], unique: int
) -> None:
    send(lead())
    send(lead(**fields), **root)

    assert counted(http) == (unique, 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", TRACK, id="wrong method"),
        pytest.param("POST", TRACK.rstrip("/"), id="without the slash at the end"),
        pytest.param("POST", "/tiktok/open_api/v1.2/event/track/", id="retired version"),
        pytest.param("POST", "/tiktok/open_api/v1.3/pixel/track/", id="Events API 1.0"),
    ],
)
def test_other_path_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    assert http.request(method, path, headers=GOOD).status_code == 404


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param({"kind": "rate_limit"}, (401, 40100, "Too many requests. Please retry later."), id="too fast"),
        pytest.param(
            {"kind": "credentials"},
            (200, 40105, "Access token is incorrect or has been revoked."),
            id="credentials",
        ),
        pytest.param({"kind": "error"}, (500, 50000, "System error, please retry later."), id="server error"),
        pytest.param({"kind": "error", "status": 400}, (400, 40002, "Invalid parameter"), id="refused"),
        pytest.param(
            {"kind": "refuse", "event_ids": ["lead-1"]},
            (200, 40002, "Batch.1.event_id: is refused on request of a fault"),
            id="one event",
        ),
    ],
)
def test_fault_is_worded_as_tiktok_words_it(
    http: httpx.Client,
    send: Send,
    fault: dict[str, Any],
    expected: tuple[int, int, str],
) -> None:
    assert http.post("/_faults", json={"platform": "tiktok", **fault}).status_code == 201

    assert verdict(send(lead("lead-0"), lead("lead-1"))) == expected
    assert counted(http) == (0, 0)


def test_page_of_a_proxy_is_no_json(http: httpx.Client, send: Send) -> None:
    http.post("/_faults", json={"platform": "tiktok", "kind": "error", "status": 502}).raise_for_status()

    response = send(lead())

    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_too_fast_says_how_long_where_the_fault_does(http: httpx.Client, send: Send) -> None:
    fault = {"platform": "tiktok", "kind": "rate_limit", "retry_after": 7}
    http.post("/_faults", json=fault).raise_for_status()

    assert send(lead()).headers["retry-after"] == "7"
