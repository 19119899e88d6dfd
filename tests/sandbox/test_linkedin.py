"""The emulated LinkedIn against its pages on the Conversions API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import accepted

NOW = STARTS_AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
MS = 1795269600000  # NOW in Unix milliseconds
DAY = 86_400_000
EVENTS = "/linkedin/rest/conversionEvents"
HEADERS = {
    "Authorization": "Bearer good",
    "LinkedIn-Version": "202608",
    "X-Restli-Protocol-Version": "2.0.0",
}
BATCH = {"X-RestLi-Method": "BATCH_CREATE"}
DIGEST = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"
RULE = "urn:lla:llaPartnerConversion:14488341"


EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "conversion": "urn:lla:llaPartnerConversion:14488340",
        "conversionHappenedAt": 1795185005250,
        "conversionValue": {"currencyCode": "USD", "amount": "149.90"},
        "eventId": "evt-10045",
        "user": {
            "userIds": [
                {
                    "idType": "SHA256_EMAIL",
                    "idValue": "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
                },
                {
                    "idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID",
                    "idValue": "f5c2a1d0-8b7e-4c3d-9a21-0e6b5d4c3b2a",
                },
                {"idType": "PLAINTEXT_IP_ADDRESS", "idValue": "203.0.113.24"},
            ],
            "userInfo": {"firstName": "Jane", "lastName": "O'Neil", "countryCode": "US"},
            "externalIds": ["cust-8841"],
        },
    },
    "hashed e-mail, IPv6 address": {
        "conversion": "urn:lla:llaPartnerConversion:14488342",
        "conversionHappenedAt": 1795251600000,
        "eventId": "evt-20001",
        "user": {
            "userIds": [
                {
                    "idType": "SHA256_EMAIL",
                    "idValue": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                }
            ]
        },
    },
    "lead with a name only": {
        "conversion": "urn:lla:llaPartnerConversion:14488341",
        "conversionHappenedAt": 1795256130000,
        "eventId": "evt-30001",
        "user": {"userIds": [], "userInfo": {"firstName": "Mike", "lastName": "Smith", "countryCode": "US"}},
    },
    "custom event in yen": {
        "conversion": "urn:lla:llaPartnerConversion:14488377",
        "conversionHappenedAt": 1795258800000,
        "conversionValue": {"currencyCode": "JPY", "amount": "1500"},
        "eventId": "evt-40001",
        "user": {
            "userIds": [
                {
                    "idType": "SHA256_EMAIL",
                    "idValue": "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16",
                }
            ]
        },
    },
    "batch of two": {
        "elements": [
            {
                "conversion": "urn:lla:llaPartnerConversion:14488342",
                "conversionHappenedAt": 1795251600000,
                "eventId": "evt-20001",
                "user": {
                    "userIds": [
                        {
                            "idType": "SHA256_EMAIL",
                            "idValue": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                        }
                    ]
                },
            },
            {
                "conversion": "urn:lla:llaPartnerConversion:14488377",
                "conversionHappenedAt": 1795258800000,
                "conversionValue": {"currencyCode": "JPY", "amount": "1500"},
                "eventId": "evt-40001",
                "user": {
                    "userIds": [
                        {
                            "idType": "SHA256_EMAIL",
                            "idValue": "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16",
                        }
                    ]
                },
            },
        ]
    },
}


def set_fault(http: httpx.Client, kind: str, **fields: Any) -> None:
    http.post("/_faults", json={"kind": kind, **fields}).raise_for_status()


def event(event_id: str = "evt-1", **changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "conversion": RULE,
        "conversionHappenedAt": MS - 60_000,
        "eventId": event_id,
        "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": DIGEST}]},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def send(http: httpx.Client, *events: Any, **headers: str) -> httpx.Response:
    """One event bare, several as a batch."""
    if len(events) == 1:
        return http.post(EVENTS, headers={**HEADERS, **headers}, json=events[0])
    return http.post(EVENTS, headers={**HEADERS, **BATCH, **headers}, json={"elements": list(events)})


@pytest.mark.parametrize("body", [pytest.param(body, id=title) for title, body in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, body: dict[str, Any]) -> None:
    elements = body.get("elements")

    response = http.post(EVENTS, headers={**HEADERS, **(BATCH if elements else {})}, json=body)

    if elements:
        assert (response.status_code, response.json()) == (
            200,
            {"elements": [{"status": 201}, {"status": 201}]},
        )
    else:
        assert (response.status_code, response.content) == (201, b"")
    assert [entry["item"] for entry in accepted(http)["items"]] == (elements or [body])


@pytest.mark.parametrize(
    ("token", "status", "error"),
    [
        pytest.param("", 401, {"code": "EMPTY_ACCESS_TOKEN"}, id="none"),
        pytest.param("Bearer bad-token", 401, {"serviceErrorCode": 65600, "code": "INVALID_ACCESS_TOKEN"}, id="bad"),
        pytest.param(
            "Bearer revoked-token",
            401,
            {"serviceErrorCode": 65601, "code": "REVOKED_ACCESS_TOKEN"},
            id="revoked",
        ),
        pytest.param(
            "Bearer expired-token",
            401,
            {"serviceErrorCode": 65602, "code": "EXPIRED_ACCESS_TOKEN"},
            id="expired",
        ),
        pytest.param("Bearer foreign-token", 403, {"serviceErrorCode": 100, "code": "ACCESS_DENIED"}, id="no role"),
    ],
)
def test_token_is_refused(http: httpx.Client, token: str, status: int, error: dict[str, Any]) -> None:
    response = send(http, event(), Authorization=token)

    found = response.json()
    assert isinstance(found.pop("message"), str)
    assert (response.status_code, found) == (status, {"status": status, **error})
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        pytest.param("LinkedIn-Version", "", 400, "VERSION_MISSING", id="no version"),
        pytest.param("LinkedIn-Version", "v2", 400, "VERSION_MISSING", id="no month"),
        pytest.param("LinkedIn-Version", "202511", 426, "NONEXISTENT_VERSION", id="retired version"),
        pytest.param("X-Restli-Protocol-Version", "1.0.0", 400, "BAD_REQUEST", id="other protocol"),
    ],
)
def test_headers_are_checked(http: httpx.Client, name: str, value: str, status: int, code: str) -> None:
    response = send(http, event(), **{name: value})

    assert (response.status_code, response.json()["status"], response.json()["code"]) == (
        status,
        status,
        code,
    )
    assert accepted(http)["received"] == 0


def test_bad_event_fails_its_whole_request_and_is_named_by_position(http: httpx.Client) -> None:
    response = send(http, event("a"), event("b", conversionHappenedAt=MS // 1000), event("c", user={}))

    assert response.status_code == 422
    assert response.json() == {
        "status": 422,
        "message": "Index: 1, ERROR :: /conversionHappenedAt :: must be in Unix milliseconds\n"
        "Index: 2, ERROR :: /user/userIds :: is required",
    }
    assert accepted(http) == {"unique": 0, "received": 0, "items": []}


@pytest.mark.parametrize(
    ("rule", "status", "message"),
    [
        pytest.param("400", 400, "conversion is not of the conversion method CONVERSIONS_API", id="of another method"),
        pytest.param("404", 404, "conversion does not exist", id="unknown"),
    ],
)
def test_wrong_rule_is_named_by_all_its_positions(http: httpx.Client, rule: str, status: int, message: str) -> None:
    bad = f"urn:lla:llaPartnerConversion:{rule}"

    response = send(http, event("a", conversion=bad), event("b"), event("c", conversion=bad))

    assert response.status_code == status
    assert response.json() == {"status": status, "message": f"{message}, indices [0, 2] (0-indexed)"}


def ids(*entries: tuple[str, str]) -> dict[str, Any]:
    return {"userIds": [{"idType": kind, "idValue": value} for kind, value in entries]}


@pytest.mark.parametrize(
    ("bad", "path", "rule"),
    [
        pytest.param("x", "/", "must be an object", id="text"),
        pytest.param(event(conversion=...), "/conversion", "is required", id="no rule"),
        pytest.param(
            event(conversion="14488341"),
            "/conversion",
            "must be the URN of a conversion rule",
            id="bare rule",
        ),
        pytest.param(
            event(conversionHappenedAt="1"),
            "/conversionHappenedAt",
            "must be a whole number",
            id="time as text",
        ),
        pytest.param(
            event(conversionHappenedAt=MS - 90 * DAY - 1),
            "/conversionHappenedAt",
            "is more than 90 days ago",
            id="too old",
        ),
        pytest.param(event(conversionHappenedAt=MS + 5001), "/conversionHappenedAt", "is in the future", id="ahead"),
        pytest.param(
            event(conversionValue={"amount": "1"}),
            "/conversionValue/currencyCode",
            "is required",
            id="no currency",
        ),
        pytest.param(
            event(conversionValue={"amount": 1, "currencyCode": "USD"}),
            "/conversionValue/amount",
            "must be a decimal number written as a string",
            id="amount as a number",
        ),
        pytest.param(event(user={"externalIds": ["a"]}), "/user/userIds", "is required", id="no list of ids"),
        pytest.param(
            event(user={"userIds": []}),
            "/user",
            "needs a userId, userInfo, an externalId or a lead",
            id="nobody",
        ),
        pytest.param(
            event(user={"userIds": [], "externalIds": ["a", "b"]}),
            "/user/externalIds",
            "may hold one id",
            id="two external ids",
        ),
        pytest.param(
            event(user={"userIds": [], "userInfo": {"firstName": "Jane"}}),
            "/user/userInfo/lastName",
            "is required",
            id="half a name",
        ),
        pytest.param(
            event(user=ids(("SHA256_EMAIL", "sam@example.com"))),
            "/user/userIds/0/idValue",
            "must be a SHA-256 digest in 64 lower-case hexadecimal characters",
            id="plain e-mail",
        ),
        pytest.param(
            event(user=ids(("PLAINTEXT_IP_ADDRESS", "2001:db8::7"))),
            "/user/userIds/0/idValue",
            "must be an IPv4 address",
            id="IPv6 address",
        ),
        pytest.param(event(eventId=""), "/eventId", "must be a string with something in it", id="empty id"),
        pytest.param(event(phone="1"), "/", "has the unknown key 'phone'", id="unknown key"),
    ],
)
def test_event_is_refused(http: httpx.Client, bad: Any, path: str, rule: str) -> None:
    response = send(http, bad)

    assert (response.status_code, response.json()) == (
        422,
        {"status": 422, "message": f"ERROR :: {path} :: {rule}"},
    )
    assert accepted(http)["received"] == 0


@pytest.mark.parametrize(
    "user",
    [
        pytest.param({"userIds": [], "externalIds": ["cust-1"]}, id="external id"),
        pytest.param({"userIds": [], "lead": "urn:li:leadGenFormResponse:7"}, id="lead"),
        pytest.param({"userIds": [], "userInfo": {"firstName": "J", "lastName": "D"}}, id="name"),
        pytest.param(ids(("PLAINTEXT_IP_ADDRESS", "203.0.113.24")), id="IP address"),
        pytest.param(ids(("GOOGLE_AID", "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")), id="device"),
        pytest.param(ids(("ACXIOM_ID", "a"), ("ACXIOM_ID", "b")), id="two of one kind"),
        pytest.param(
            {"userIds": [], "userInfo": {"firstName": DIGEST, "lastName": "D"}}, id="name that nobody matches"
        ),
    ],
)
def test_any_one_identity_suffices(http: httpx.Client, user: dict[str, Any]) -> None:
    assert send(http, event(user=user, conversionHappenedAt=MS - 90 * DAY)).status_code == 201
    assert accepted(http)["unique"] == 1


def test_event_within_what_clocks_differ_by_is_taken(http: httpx.Client) -> None:
    assert send(http, event(conversionHappenedAt=MS + 5000)).status_code == 201


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        pytest.param(b"{", {}, id="no JSON"),
        pytest.param(b"[]", BATCH, id="a list"),
        pytest.param(b"{}", BATCH, id="no elements"),
        pytest.param(b'{"elements": []}', BATCH, id="no event"),
        pytest.param(b'{"elements": [1], "more": 1}', BATCH, id="something beside the elements"),
        pytest.param(b'{"elements": [' + b"1," * 5000 + b"1]}", BATCH, id="5,001 events"),
    ],
)
def test_request_is_refused(http: httpx.Client, content: bytes, headers: dict[str, str]) -> None:
    response = http.post(EVENTS, headers={**HEADERS, **headers}, content=content)

    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")


def test_batch_without_its_header_is_taken_for_one_wrong_event(http: httpx.Client) -> None:
    response = http.post(EVENTS, headers=HEADERS, json={"elements": [event()]})

    assert response.status_code == 422


def test_unknown_path_is_not_there(http: httpx.Client) -> None:
    response = http.post("/linkedin/rest/conversions", headers=HEADERS, json=event())

    assert (response.status_code, response.json()["status"]) == (404, 404)


def test_copy_is_known_by_rule_and_id(http: httpx.Client) -> None:
    other = "urn:lla:llaPartnerConversion:7"
    for copy in (event("a"), event("a"), event("a", conversion=other), event("b"), event(eventId=...)):
        send(http, copy)

    assert (accepted(http)["unique"], accepted(http)["received"]) == (4, 5)
    assert [entry["destination"] for entry in accepted(http)["items"]] == [
        "14488341",
        "7",
        "14488341",
        "14488341",
    ]


def test_refused_id_fails_its_request(http: httpx.Client) -> None:
    set_fault(http, "refuse", event_ids=["b"])

    assert send(http, event("a"), event("b")).json()["message"] == (
        "Index: 1, ERROR :: /eventId :: is refused on request of a fault"
    )
    assert send(http, event("a")).status_code == 201


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param({"kind": "rate_limit", "retry_after": 9}, 429, "TOO_MANY_REQUESTS", id="too fast"),
        pytest.param({"kind": "credentials"}, 401, "EXPIRED_ACCESS_TOKEN", id="credentials"),
        pytest.param({"kind": "error"}, 500, None, id="server error"),
        pytest.param({"kind": "error", "status": 423}, 423, None, id="locked"),
    ],
)
def test_fault_is_worded_as_linkedin_does(
    http: httpx.Client, fault: dict[str, Any], status: int, code: str | None
) -> None:
    set_fault(http, **fault)

    response = send(http, event())

    assert (response.status_code, response.json()["status"], response.json().get("code")) == (
        status,
        status,
        code,
    )
    assert response.headers.get("retry-after") == ("9" if status == 429 else None)
    assert accepted(http)["received"] == 0


def test_gateway_answers_with_a_page(http: httpx.Client) -> None:
    set_fault(http, "error", status=502)

    assert send(http, event()).headers["content-type"] == "text/html; charset=utf-8"


def test_token_is_never_shown(http: httpx.Client) -> None:
    send(http, event())

    (entry,) = http.get("/_requests").json()["requests"]
    assert (entry["headers"]["authorization"], entry["items"], entry["accepted"]) == ("•••", 1, 1)
