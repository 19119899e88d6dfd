"""The emulated X against its documentation of the Conversion API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import Clock, accepted

NOW = STARTS_AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
SECONDS = 1795269600  # NOW in Unix seconds
CONVERSIONS = "/x_ads/12/measurement/conversions/o8z6j"
GOOD = {"X-Pixel-Token": "good"}
DIGEST = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "conversions": [
            {
                "conversion_time": "2026-11-20T14:30:05.250Z",
                "event_id": "tw-o8z6j-ol288",
                "identifiers": [
                    {"twclid": "23opevjt88psuo13lu8d020qkn"},
                    {"hashed_email": "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db"},
                    {"hashed_phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"},
                    {"ip_address": "203.0.113.24", "user_agent": USER_AGENT},
                ],
                "conversion_id": "evt-10045",
                "value": "149.90",
                "price_currency": "USD",
                "number_items": 3,
                "contents": [
                    {
                        "content_id": "SKU-RED-M",
                        "content_name": "Red shirt",
                        "content_type": "Shirts",
                        "content_price": "49.95",
                        "num_items": 2,
                    },
                    {
                        "content_id": "SKU-CAP",
                        "content_name": "Cap",
                        "content_type": "Hats",
                        "content_price": "50.00",
                        "num_items": 1,
                    },
                ],
            }
        ]
    },
    "hashed already, time with an offset, lone IP address": {
        "conversions": [
            {
                "conversion_time": "2026-11-21T09:00:00.000Z",
                "event_id": "tw-o8z6j-ol290",
                "identifiers": [
                    {
                        "hashed_email": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                        "ip_address": "203.0.113.24",
                    },
                    {"hashed_phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"},
                ],
                "conversion_id": "evt-20001",
            }
        ]
    },
    "lead with a click id only": {
        "conversions": [
            {
                "conversion_time": "2026-11-21T10:15:30.000Z",
                "event_id": "tw-o8z6j-ol289",
                "identifiers": [{"twclid": "23opevjt88psuo13lu8d020qkn"}],
                "conversion_id": "evt-30001",
            }
        ]
    },
    "custom event in yen, product ids only": {
        "conversions": [
            {
                "conversion_time": "2026-11-21T11:00:00.999Z",
                "event_id": "tw-o8z6j-ol291",
                "identifiers": [{"hashed_email": "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"}],
                "conversion_id": "evt-40001",
                "value": "1500.00",
                "price_currency": "JPY",
                "contents": [{"content_id": "SKU-1"}, {"content_id": "SKU-2"}],
            }
        ]
    },
    "batch of two": {
        "conversions": [
            {
                "conversion_time": "2026-11-21T10:15:30.000Z",
                "event_id": "tw-o8z6j-ol289",
                "identifiers": [{"twclid": "23opevjt88psuo13lu8d020qkn"}],
                "conversion_id": "evt-30001",
            },
            {
                "conversion_time": "2026-11-21T11:00:00.999Z",
                "event_id": "tw-o8z6j-ol291",
                "identifiers": [{"hashed_email": "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"}],
                "conversion_id": "evt-40001",
                "value": "1500.00",
                "price_currency": "JPY",
                "contents": [{"content_id": "SKU-1"}, {"content_id": "SKU-2"}],
            },
        ]
    },
}


def set_fault(http: httpx.Client, kind: str, **fields: Any) -> None:
    http.post("/_faults", json={"kind": kind, **fields}).raise_for_status()


def conversion(conversion_id: str = "evt-1", **changes: Any) -> dict[str, Any]:
    """A good conversion; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "conversion_time": "2026-11-21T13:59:00.000Z",
        "event_id": "tw-o8z6j-ol289",
        "identifiers": [{"hashed_email": DIGEST}],
        "conversion_id": conversion_id,
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def send(http: httpx.Client, *conversions: Any, **body: Any) -> httpx.Response:
    return http.post(CONVERSIONS, headers=GOOD, json={"conversions": list(conversions), **body})


def signed(**changes: str) -> dict[str, str]:
    """An OAuth 1.0a header."""
    parts = {
        "oauth_consumer_key": "key",
        "oauth_nonce": "n",
        "oauth_signature": "s%3D",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1795269600",
        "oauth_token": "token",
        "oauth_version": "1.0",
        **changes,
    }
    return {"Authorization": "OAuth " + ", ".join(f'{name}="{value}"' for name, value in parts.items())}


@pytest.mark.parametrize("body", [pytest.param(body, id=title) for title, body in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, body: dict[str, Any]) -> None:
    response = http.post(CONVERSIONS, headers=GOOD, json=body)

    assert response.status_code == 200
    assert response.headers["x-current-api-version"] == "12"
    assert response.json() == {
        "request": {"params": {"account_id": "18ce552mlaq"}},
        "data": {
            "conversions_processed": len(body["conversions"]),
            "debug_id": "00000000-0000-4000-8000-000000000001",
        },
    }
    assert [entry["item"] for entry in accepted(http)["items"]] == body["conversions"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param({}, 401, "UNAUTHORIZED_ACCESS", id="none"),
        pytest.param({"X-Pixel-Token": "bad-token"}, 401, "UNAUTHORIZED_ACCESS", id="bad"),
        pytest.param({"X-Pixel-Token": "expired-token"}, 401, "UNAUTHORIZED_ACCESS", id="expired"),
        pytest.param({"X-Pixel-Token": "foreign-token"}, 403, "ACCOUNT_NOT_FOUND", id="of another account"),
        pytest.param({"Authorization": "Bearer good"}, 401, "UNAUTHORIZED_ACCESS", id="a bearer token"),
        pytest.param(signed(oauth_signature=""), 401, "UNAUTHORIZED_ACCESS", id="no signature"),
        pytest.param(signed(oauth_signature_method="PLAINTEXT"), 401, "UNAUTHORIZED_ACCESS", id="not HMAC-SHA1"),
        pytest.param(signed(oauth_token="bad-token"), 401, "UNAUTHORIZED_ACCESS", id="bad OAuth token"),
        pytest.param(
            signed(oauth_consumer_key="app-without-access"),
            403,
            "UNAUTHORIZED_CLIENT_APPLICATION",
            id="app without access",
        ),
    ],
)
def test_credentials_are_refused(http: httpx.Client, headers: dict[str, str], status: int, code: str) -> None:
    response = http.post(CONVERSIONS, headers=headers, json={"conversions": [conversion()]})

    assert (response.status_code, [error["code"] for error in response.json()["errors"]]) == (status, [code])
    assert accepted(http)["received"] == 0


def test_signed_request_is_taken(http: httpx.Client) -> None:
    response = http.post(CONVERSIONS, headers=signed(), json={"conversions": [conversion()]})

    assert response.status_code == 200


def test_bad_conversion_fails_its_whole_request_without_a_position(http: httpx.Client) -> None:
    bad = conversion("b", identifiers=[{"hashed_email": "jane@example.com"}])

    response = send(http, conversion("a"), bad, conversion("c", conversion_time=...))

    assert response.status_code == 400
    digest = "must be a SHA-256 digest in 64 lower-case hexadecimal characters"
    assert response.json() == {
        "errors": [
            {
                "code": "INVALID_PARAMETER",
                "message": f'identifiers[0].hashed_email {digest}, got "jane@example.com"',
                "parameter": "hashed_email",
            },
            {
                "code": "MISSING_PARAMETER",
                "message": "conversion_time is required",
                "parameter": "conversion_time",
            },
        ],
        "request": {"params": {}},
    }
    assert accepted(http) == {"unique": 0, "received": 0, "items": []}


@pytest.mark.parametrize(
    ("bad", "code", "parameter"),
    [
        pytest.param("x", "INVALID_PARAMETER", "conversions", id="text"),
        pytest.param(conversion(event_id=...), "MISSING_PARAMETER", "event_id", id="no tag"),
        pytest.param(conversion(event_id="tw-o8z6j"), "INVALID_PARAMETER", "event_id", id="no single tag"),
        pytest.param(conversion(identifiers=...), "MISSING_PARAMETER", "identifiers", id="no identifiers"),
        pytest.param(conversion(identifiers=[]), "MISSING_PARAMETER", "identifiers", id="empty identifiers"),
        pytest.param(conversion(identifiers=[{"twclid": ""}]), "MISSING_PARAMETER", "identifiers", id="empty click id"),
        pytest.param(
            conversion(identifiers=[{"twclid": "a", "hashed_email": ""}]),
            "INVALID_PARAMETER",
            "hashed_email",
            id="empty e-mail beside a click id",
        ),
        pytest.param(
            conversion(identifiers={"twclid": "a"}),
            "INVALID_PARAMETER",
            "identifiers",
            id="identifiers as object",
        ),
        pytest.param(
            conversion(identifiers=[{"user_agent": "UA"}]),
            "INVALID_PARAMETER",
            "identifiers",
            id="user agent alone",
        ),
        pytest.param(
            conversion(identifiers=[{"ip_address": "203.0.113.24"}, {"user_agent": "UA"}]),
            "INVALID_PARAMETER",
            "identifiers",
            id="address and user agent apart",
        ),
        pytest.param(
            conversion(identifiers=[{"twclid": "a", "ip_address": "2001:db8::7"}]),
            "INVALID_PARAMETER",
            "ip_address",
            id="IPv6 address",
        ),
        pytest.param(
            conversion(conversion_time="2026-11-21T13:59:00.000"),
            "INVALID_PARAMETER",
            "conversion_time",
            id="no zone",
        ),
        pytest.param(
            conversion(value="1500", price_currency="JPY"),
            "INVALID_PARAMETER",
            "value",
            id="bare whole number",
        ),
        pytest.param(
            conversion(value=1500, price_currency="JPY"),
            "INVALID_PARAMETER",
            "value",
            id="bare whole number as a number",
        ),
        pytest.param(conversion(number_items=0), "INVALID_PARAMETER", "number_items", id="no items"),
        pytest.param(
            conversion(contents=[{"content_id": "a", "num_items": 1.5}]),
            "INVALID_PARAMETER",
            "num_items",
            id="half an item",
        ),
    ],
)
def test_conversion_is_refused(http: httpx.Client, bad: Any, code: str, parameter: str | None) -> None:
    response = send(http, bad)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"], error.get("parameter")) == (400, code, parameter)
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param("missing", id="unknown"),
        pytest.param("tw-o8z6j-missing", id="unknown, in full"),
        pytest.param("tw-other-ol289", id="of another pixel"),
    ],
)
def test_unknown_tag_is_told_in_two_codes(http: httpx.Client, tag: str) -> None:
    response = send(http, conversion(event_id=tag))

    assert response.status_code == 404
    assert [(error["code"], error["parameter"]) for error in response.json()["errors"]] == [
        ("NOT_FOUND", "event_id"),
        ("INVALID_PARAMETER", "event_id"),
    ]


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(conversion(event_id="ol289"), id="short tag"),
        pytest.param(conversion(identifiers=[{"ip_address": "203.0.113.24", "user_agent": "UA"}]), id="address, agent"),
        pytest.param(conversion(identifiers=[{"twclid": "a", "user_agent": "UA"}]), id="agent beside a click id"),
        pytest.param(conversion(conversion_time="2020-01-01T00:00:00.000Z"), id="years old"),
        pytest.param(conversion(description="free", number_items=2), id="description and count"),
        pytest.param(conversion(conversion_time="2026-11-21T13:59:00Z"), id="time without a fraction"),
        pytest.param(conversion(value=10.5, price_currency="USD"), id="value as a number"),
        pytest.param(conversion(value="10.00"), id="value without a currency"),
        pytest.param(
            conversion(contents=[{"content_id": "a", "content_price": 100.99}]), id="price without a currency"
        ),
        pytest.param(conversion(event_source_url="https://a.example"), id="unknown key"),
    ],
)
def test_conversion_is_accepted(http: httpx.Client, good: dict[str, Any]) -> None:
    assert send(http, good).status_code == 200
    assert accepted(http)["unique"] == 1


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        pytest.param(b"{", "INVALID_PARAMETER", "The body is no JSON", id="no JSON"),
        *(
            pytest.param(
                content,
                "MISSING_PARAMETER",
                "The body must be an object of conversions, a list with one at least",
                id=title,
            )
            for title, content in {
                "list": b"[]",
                "no conversion": b'{"conversions": []}',
            }.items()
        ),
        pytest.param(
            b'{"conversions": [' + b"1," * 500 + b"1]}",
            "INVALID_PARAMETER",
            "Conversion count limit is 500",
            id="501 conversions",
        ),
    ],
)
def test_request_is_refused(http: httpx.Client, content: bytes, code: str, message: str) -> None:
    response = http.post(CONVERSIONS, headers=GOOD, content=content)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"], error["message"]) == (400, code, message)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", CONVERSIONS, 405, "METHOD_NOT_ALLOWED", id="wrong method"),
        pytest.param("POST", "/x_ads/12/measurement/conversions/O8-Z", 404, "ROUTE_NOT_FOUND", id="no pixel"),
        pytest.param("POST", "/x_ads/11/measurement/conversions/o8z6j", 404, "ROUTE_NOT_FOUND", id="other version"),
    ],
)
def test_there_is_one_way_in(http: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    response = http.request(method, path, headers=GOOD)

    assert (response.status_code, response.json()["errors"][0]["code"]) == (status, code)


def test_copy_is_known_by_pixel_tag_and_id_for_48_hours(http: httpx.Client, clock: Clock) -> None:
    for copy in (
        conversion("a"),
        conversion("a", event_id="ol289"),
        conversion("a", event_id="ol290"),
        conversion("b"),
    ):
        send(http, copy)
    http.post(
        "/x_ads/12/measurement/conversions/other",
        headers=GOOD,
        json={"conversions": [conversion("a", event_id="ol289")]},
    )
    assert (accepted(http)["unique"], accepted(http)["received"]) == (4, 5)

    clock.instant = NOW + timedelta(hours=48)
    send(http, conversion("a"))
    assert (accepted(http)["unique"], accepted(http)["received"]) == (4, 6)

    clock.instant = NOW + timedelta(hours=48, seconds=1)
    send(http, conversion("a"))
    assert (accepted(http)["unique"], accepted(http)["received"]) == (5, 7)


def test_refused_id_fails_its_request(http: httpx.Client) -> None:
    set_fault(http, "refuse", event_ids=["b"])

    (error,) = send(http, conversion("a"), conversion("b")).json()["errors"]

    assert (error["code"], error["parameter"]) == ("INVALID_PARAMETER", "conversion_id")
    assert send(http, conversion("a")).status_code == 200


def test_rate_limit_names_its_end_in_unix_seconds(http: httpx.Client) -> None:
    set_fault(http, "rate_limit", retry_after=9)

    response = send(http, conversion())

    assert (response.status_code, response.json()["errors"][0]["code"]) == (429, "TOO_MANY_REQUESTS")
    assert response.headers["x-account-rate-limit-reset"] == str(SECONDS + 9)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param({"kind": "credentials"}, 401, "UNAUTHORIZED_ACCESS", id="credentials"),
        pytest.param({"kind": "error"}, 500, "INTERNAL_ERROR", id="internal error"),
        pytest.param({"kind": "error", "status": 503}, 503, "OVER_CAPACITY", id="over capacity"),
        pytest.param({"kind": "error", "status": 408}, 408, "CANCELLED_REQUEST", id="cancelled"),
        pytest.param({"kind": "error", "status": 423}, 423, "LOCK_ACQUISITION_TIMEOUT", id="locked"),
    ],
)
def test_fault_is_worded_as_x_does(http: httpx.Client, fault: dict[str, Any], status: int, code: str) -> None:
    set_fault(http, **fault)

    response = send(http, conversion())

    assert (response.status_code, response.json()["errors"][0]["code"]) == (status, code)
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    ("status", "is_page"),
    [pytest.param(502, True, id="a page"), pytest.param(400, False, id="nothing at all")],
)
def test_error_may_come_without_x_words(http: httpx.Client, status: int, is_page: bool) -> None:
    set_fault(http, "error", status=status)

    response = send(http, conversion())

    assert (response.status_code, b"<html>" in response.content, response.content == b"") == (
        status,
        is_page,
        not is_page,
    )


def test_credentials_are_never_shown(http: httpx.Client) -> None:
    http.post(CONVERSIONS, headers={**GOOD, **signed()}, json={"conversions": [conversion()]})

    (entry,) = http.get("/_requests").json()["requests"]
    assert (entry["headers"]["x-pixel-token"], entry["headers"]["authorization"]) == ("•••", "•••")
