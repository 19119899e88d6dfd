"""The emulated Google Ads against what is known of the Data Manager API and of the old upload."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import counted

INGEST = "/google_ads/v1/events:ingest"
UPLOAD = "/google_ads/v26/customers/1234567890:uploadClickConversions"
ADJUST = "/google_ads/v26/customers/1234567890:uploadConversionAdjustments"
TOKEN = "/google_ads/token"
GOOD = {"Authorization": "Bearer good"}
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
GCLID = "Cj0KCQiA_exampleGclid-Case.Kept_1234567890"
JANE = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"
JANES_PHONE = "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0"
FIRST_NAME = "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"
DOE = "799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f"
EXAMPLES: dict[str, dict[str, Any]] = {
    "full purchase": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000001",
            }
        ],
        "events": [
            {
                "transactionId": "10042",
                "eventTimestamp": "2026-11-20T14:03:12.345Z",
                "eventSource": "WEB",
                "adIdentifiers": {"gclid": GCLID},
                "userData": {
                    "userIdentifiers": [
                        {"emailAddress": JANE},
                        {"phoneNumber": JANES_PHONE},
                        {
                            "address": {
                                "givenName": FIRST_NAME,
                                "familyName": DOE,
                                "regionCode": "US",
                                "postalCode": "94107-1234",
                            }
                        },
                    ]
                },
                "eventDeviceInfo": {"userAgent": CHROME, "ipAddress": "203.0.113.42"},
                "conversionValue": 129.9,
                "currency": "USD",
                "cartData": {
                    "merchantId": "5551234",
                    "merchantFeedLabel": "US",
                    "merchantFeedLanguageCode": "en",
                    "items": [
                        {"merchantProductId": "SKU-1", "quantity": "2", "unitPrice": 39.95},
                        {"merchantProductId": "SKU-2", "quantity": "1", "unitPrice": 50},
                    ],
                },
                "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"},
            }
        ],
        "encoding": "HEX",
    },
    "hashed before": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000005",
            }
        ],
        "events": [
            {
                "transactionId": "reg-551",
                "eventTimestamp": "2026-11-20T12:10:00Z",
                "eventSource": "WEB",
                "userData": {
                    "userIdentifiers": [
                        {"emailAddress": JANE},
                        {"phoneNumber": "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8"},
                    ]
                },
                "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
            }
        ],
        "encoding": "HEX",
    },
    "lead with an email alone": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000002",
            }
        ],
        "events": [
            {
                "transactionId": "lead-552",
                "eventTimestamp": "2026-11-20T14:11:05Z",
                "eventSource": "WEB",
                "userData": {
                    "userIdentifiers": [
                        {"emailAddress": "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac"}
                    ]
                },
            }
        ],
        "encoding": "HEX",
    },
    "custom event": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000004",
            }
        ],
        "events": [
            {
                "transactionId": "quiz-9f2",
                "eventTimestamp": "2026-11-20T14:12:00Z",
                "eventSource": "WEB",
                "adIdentifiers": {"gclid": GCLID},
                "eventDeviceInfo": {"userAgent": CHROME},
            }
        ],
    },
    "several products": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000003",
            }
        ],
        "events": [
            {
                "transactionId": "atc-77",
                "eventTimestamp": "2026-11-20T14:15:30.250Z",
                "eventSource": "WEB",
                "adIdentifiers": {"gclid": "EAIaIQobChMI_exampleGclid2"},
                "userData": {
                    "userIdentifiers": [
                        {"phoneNumber": "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d"}
                    ]
                },
                "eventDeviceInfo": {"userAgent": CHROME, "ipAddress": "198.51.100.7"},
                "conversionValue": 74.5,
                "currency": "GBP",
                "cartData": {
                    "merchantId": "5551234",
                    "merchantFeedLabel": "GB",
                    "merchantFeedLanguageCode": "en",
                    "items": [
                        {"merchantProductId": "TEE-S", "quantity": "1", "unitPrice": 19.5},
                        {"merchantProductId": "TEE-M", "quantity": "2", "unitPrice": 20},
                        {"merchantProductId": "CAP", "quantity": "1", "unitPrice": 15},
                    ],
                },
            }
        ],
        "encoding": "HEX",
    },
    "validation of a phone lead": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000002",
            }
        ],
        "events": [
            {
                "transactionId": "lead-560",
                "eventTimestamp": "2026-11-20T14:20:00Z",
                "eventSource": "PHONE",
                "adIdentifiers": {"wbraid": "CmoKCQiA_exampleWbraid"},
                "userData": {
                    "userIdentifiers": [
                        {"phoneNumber": "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"}
                    ]
                },
                "conversionValue": 15,
                "currency": "USD",
                "consent": {"adUserData": "CONSENT_GRANTED"},
            }
        ],
        "encoding": "HEX",
        "validateOnly": True,
    },
    "full refund": {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": "7000000001",
            }
        ],
        "events": [
            {
                "transactionId": "10042",
                "eventTimestamp": "2026-11-20T14:03:12.345Z",
                "lastUpdatedTimestamp": "2026-11-21T09:00:00Z",
                "eventSource": "WEB",
                "adIdentifiers": {"gclid": GCLID},
                "userData": {"userIdentifiers": [{"emailAddress": JANE}]},
                "conversionValue": 0,
                "currency": "USD",
            }
        ],
        "encoding": "HEX",
    },
}
OLD_EXAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "full purchase": (
        UPLOAD,
        "conversions",
        {
            "conversions": [
                {
                    "gclid": GCLID,
                    "conversionAction": "customers/1234567890/conversionActions/7000000001",
                    "conversionDateTime": "2026-11-20 14:03:12+00:00",
                    "conversionValue": 129.9,
                    "currencyCode": "USD",
                    "orderId": "10042",
                    "userIdentifiers": [
                        {"userIdentifierSource": "FIRST_PARTY", "hashedEmail": JANE},
                        {"userIdentifierSource": "FIRST_PARTY", "hashedPhoneNumber": JANES_PHONE},
                    ],
                    "conversionEnvironment": "WEB",
                    "consent": {"adUserData": "GRANTED"},
                }
            ],
            "partialFailure": True,
        },
    ),
    "enhancement": (
        ADJUST,
        "conversionAdjustments",
        {
            "conversionAdjustments": [
                {
                    "adjustmentType": "ENHANCEMENT",
                    "orderId": "10042",
                    "conversionAction": "customers/1234567890/conversionActions/8000000001",
                    "gclidDateTimePair": {"gclid": GCLID, "conversionDateTime": "2026-11-20 14:03:12+00:00"},
                    "userIdentifiers": [
                        {"userIdentifierSource": "FIRST_PARTY", "hashedEmail": JANE},
                        {"userIdentifierSource": "FIRST_PARTY", "hashedPhoneNumber": JANES_PHONE},
                        {
                            "userIdentifierSource": "FIRST_PARTY",
                            "addressInfo": {
                                "hashedFirstName": FIRST_NAME,
                                "hashedLastName": DOE,
                                "city": "san francisco",
                                "state": "ca",
                                "countryCode": "US",
                                "postalCode": "94107-1234",
                            },
                        },
                    ],
                    "userAgent": CHROME,
                }
            ],
            "partialFailure": True,
        },
    ),
    "lead with an email alone": (
        UPLOAD,
        "conversions",
        {
            "conversions": [
                {
                    "conversionAction": "customers/1234567890/conversionActions/7000000002",
                    "conversionDateTime": "2026-11-20 14:11:05+00:00",
                    "orderId": "lead-552",
                    "userIdentifiers": [
                        {
                            "userIdentifierSource": "FIRST_PARTY",
                            "hashedEmail": "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac",
                        }
                    ],
                    "conversionEnvironment": "WEB",
                }
            ],
            "partialFailure": True,
        },
    ),
    "retraction": (
        ADJUST,
        "conversionAdjustments",
        {
            "conversionAdjustments": [
                {
                    "adjustmentType": "RETRACTION",
                    "orderId": "10042",
                    "conversionAction": "customers/1234567890/conversionActions/7000000001",
                    "adjustmentDateTime": "2026-11-21 09:00:00+00:00",
                }
            ],
            "partialFailure": True,
        },
    ),
}


def event(transaction: str = "lead-1", **changed: Any) -> dict[str, Any]:
    """A good event; ``...`` leaves a field out."""
    good = {
        "transactionId": transaction,
        "eventTimestamp": "2026-11-20T14:11:05Z",
        "eventSource": "WEB",
        "userData": {"userIdentifiers": [{"emailAddress": JANE}]},
    }
    return {key: value for key, value in {**good, **changed}.items() if value is not ...}


def request(*events: Any, **changed: Any) -> dict[str, Any]:
    """A good request; ``...`` leaves a field out."""
    good = {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "productDestinationId": "7000000002",
            }
        ],
        "events": list(events),
        "encoding": "HEX",
    }
    return {key: value for key, value in {**good, **changed}.items() if value is not ...}


def destination(action: str = "7000000002", account: str = "1234567890", **more: Any) -> dict[str, Any]:
    owner = {"accountType": "GOOGLE_ADS", "accountId": account}
    return {"operatingAccount": owner, "productDestinationId": action, **more}


def violations(response: httpx.Response) -> list[tuple[str, str | None]]:
    """(field, reason) of a refusal."""
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    listed = next(found for found in error["details"] if found["@type"].endswith("BadRequest"))["fieldViolations"]
    return [(violation["field"], violation.get("reason")) for violation in listed]


@pytest.mark.parametrize("body", [pytest.param(body, id=title) for title, body in EXAMPLES.items()])
def test_worked_example_is_accepted(http: httpx.Client, body: dict[str, Any]) -> None:
    response = http.post(INGEST, json=body, headers=GOOD)

    assert (response.status_code, response.json()) == (200, {"requestId": "t-sandbox-1"})
    (entry,) = http.get("/_accepted").json()["items"]
    (item,) = body["events"]
    action = body["destinations"][0]["productDestinationId"]
    assert (entry["item"], entry["event_id"], entry["destination"]) == (
        item,
        item["transactionId"],
        f"1234567890/{action}",
    )
    assert entry["test"] is body.get("validateOnly", False)


@pytest.mark.parametrize("title", OLD_EXAMPLES)
def test_worked_example_of_the_old_upload_is_accepted(http: httpx.Client, title: str) -> None:
    path, key, body = OLD_EXAMPLES[title]

    response = http.post(path, json=body, headers=GOOD)

    order = body[key][0]["orderId"]
    assert (response.status_code, response.json()) == (200, {"results": [{"orderId": order}], "jobId": "1"})
    assert [entry["item"] for entry in http.get("/_accepted").json()["items"]] == body[key]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"conversionValue": 10}, id="value without currency"),
        pytest.param(
            {
                "eventSource": "APP",
                "adIdentifiers": {"mobileDeviceId": "AB1C2D3E-0000-4000-8000-00112233AABB"},
                "eventDeviceInfo": {
                    "operatingSystem": "iOS",
                    "operatingSystemVersion": "18.1",
                    "model": "iPhone17,1",
                    "languageCode": "en",
                    "screenWidth": 1179,
                    "screenHeight": 2556,
                },
            },
            id="device of an app",
        ),
        pytest.param(
            {"userData": {"userIdentifiers": [{"emailAddress": f"{number:064x}"} for number in range(1, 11)]}},
            id="ten identifiers",
        ),
        pytest.param({"consent": {"adPersonalization": "CONSENT_DENIED"}}, id="personalised ads refused alone"),
    ],
)
def test_what_google_takes_is_taken(http: httpx.Client, changed: dict[str, Any]) -> None:
    response = http.post(INGEST, json=request(event(**changed)), headers=GOOD)

    assert (response.status_code, counted(http)) == (200, (1, 1))


def test_one_bad_event_fails_the_request_and_is_named(http: httpx.Client) -> None:
    response = http.post(INGEST, json=request(event("a"), event("b", eventTimestamp=...), event("c")), headers=GOOD)

    assert response.json()["error"]["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "INVALID_ARGUMENT",
            "domain": "datamanager.googleapis.com",
            "metadata": {"requestId": "t-sandbox-1"},
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [
                {
                    "field": "events.events[1].event_timestamp",
                    "description": "Required field is missing.",
                    "reason": "REQUIRED_FIELD_MISSING",
                }
            ],
        },
    ]
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        pytest.param(
            {"transactionId": ...}, "events.events[0].transaction_id", "REQUIRED_FIELD_MISSING", id="transaction id"
        ),
        pytest.param({"eventSource": ...}, "events.events[0].event_source", "REQUIRED_FIELD_MISSING", id="source"),
        pytest.param(
            {"eventTimestamp": "2026-11-31T14:11:05Z"},
            "events.events[0].event_timestamp",
            "EVENT_TIME_INVALID",
            id="no such day",
        ),
        pytest.param({"userData": ...}, "events.events[0]", "NO_IDENTIFIERS_PROVIDED", id="no identifiers"),
        pytest.param(
            {"userData": {"userIdentifiers": [{"emailAddress": JANE[:40]}]}},
            "events.events[0].user_data.user_identifiers[0].email_address",
            "INVALID_SHA256_FORMAT",
            id="digest of another kind",
        ),
        pytest.param(
            {"userData": {"userIdentifiers": [{"phoneNumber": "+16505550123"}]}},
            "events.events[0].user_data.user_identifiers[0].phone_number",
            "INVALID_HEX_ENCODING",
            id="plain phone",
        ),
        pytest.param(
            {"userData": {"userIdentifiers": [{"emailAddress": JANE, "phoneNumber": JANES_PHONE}]}},
            "events.events[0].user_data.user_identifiers[0]",
            "INVALID_ARGUMENT",
            id="two identifiers in one",
        ),
        pytest.param(
            {"userData": {"userIdentifiers": [{"emailAddress": JANE}] * 11}},
            "events.events[0].user_data",
            "TOO_MANY_USER_IDENTIFIERS",
            id="eleven identifiers",
        ),
        pytest.param(
            {"userData": {"userIdentifiers": [{"address": {"givenName": FIRST_NAME, "familyName": DOE}}]}},
            "events.events[0].user_data.user_identifiers[0].address",
            "REQUIRED_FIELD_MISSING",
            id="half an address",
        ),
        pytest.param(
            {
                "userData": {
                    "userIdentifiers": [
                        {"address": {"givenName": FIRST_NAME, "familyName": DOE, "regionCode": "us", "postalCode": "1"}}
                    ]
                }
            },
            "events.events[0].user_data.user_identifiers[0].address.region_code",
            "INVALID_COUNTRY_CODE",
            id="country in lower case",
        ),
        pytest.param({"eventTimestamp": 1795183865}, "events[0]", None, id="time as a number"),
        pytest.param({"conversionValue": "10"}, "events[0]", None, id="value as text"),
        pytest.param({"gclid": "C"}, "events[0]", None, id="unknown key"),
        pytest.param({"currency": ""}, "events[0]", None, id="empty text"),
        pytest.param({"eventSource": "WEBSITE"}, "events[0]", None, id="unknown source"),
    ],
)
def test_bad_event_is_refused_with_googles_reason(
    http: httpx.Client, changed: dict[str, Any], field: str, reason: str | None
) -> None:
    response = http.post(INGEST, json=request(event(**changed)), headers=GOOD)

    assert violations(response) == [(field, reason)]
    assert counted(http) == (0, 0)


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        pytest.param(request(event(), encoding=...), "encoding", "REQUIRED_FIELD_MISSING", id="no encoding"),
        pytest.param(request(), "events", None, id="no events"),
        pytest.param(request(event(), destinations=...), "destinations", "REQUIRED_FIELD_MISSING", id="no destination"),
        pytest.param(request(*[event()] * 2001), "events", "TOO_MANY_EVENTS", id="2,001 events"),
        pytest.param(
            request(event(), destinations=[destination()] * 11),
            "destinations",
            "TOO_MANY_DESTINATIONS",
            id="11 destinations",
        ),
        pytest.param(
            request(event(), destinations=[destination("0")]),
            "destinations.destinations[0].product_destination_id",
            "INVALID_CONVERSION_ACTION_ID",
            id="no such action",
        ),
        pytest.param(
            request(
                event(),
                destinations=[destination(loginAccount={"accountType": "GOOGLE_ADS", "accountId": "0000000000"})],
            ),
            "destinations.destinations[0].login_account",
            "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
            id="another manager",
        ),
        pytest.param(
            request(event(), destinations=[destination(account="123-456-7890")]),
            "destinations[0].operating_account.account_id",
            None,
            id="account with hyphens",
        ),
    ],
)
def test_bad_request_is_refused(http: httpx.Client, body: dict[str, Any], field: str, reason: str | None) -> None:
    assert violations(http.post(INGEST, json=body, headers=GOOD)) == [(field, reason)]


def test_body_that_is_no_json_is_refused(http: httpx.Client) -> None:
    response = http.post(INGEST, content=b"{", headers=GOOD)

    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("token", "account", "status", "name"),
    [
        (None, "1234567890", 401, "UNAUTHENTICATED"),
        ("bad-token", "1234567890", 401, "UNAUTHENTICATED"),
        ("expired-token", "1234567890", 401, "UNAUTHENTICATED"),
        ("foreign-token", "1234567890", 403, "PERMISSION_DENIED"),
        ("good", "0000000000", 403, "PERMISSION_DENIED"),
    ],
)
def test_access_is_refused(http: httpx.Client, token: str | None, account: str, status: int, name: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    bodies = {
        INGEST: request(event(), destinations=[destination(account=account)]),
        UPLOAD.replace("1234567890", account): {"conversions": [row()], "partialFailure": True},
    }

    for path, body in bodies.items():
        response = http.post(path, json=body, headers=headers)

        assert (response.status_code, response.json()["error"]["status"]) == (status, name)


def test_event_of_the_same_transaction_and_action_changes_the_first(http: httpx.Client) -> None:
    http.post(INGEST, json=request(event("a", conversionValue=10, currency="USD")), headers=GOOD)
    http.post(INGEST, json=request(event("a", conversionValue=4, currency="USD")), headers=GOOD)
    http.post(INGEST, json=request(event("a"), destinations=[destination("7000000003")]), headers=GOOD)
    http.post(INGEST, json=request(event("a"), validateOnly=True), headers=GOOD)

    assert counted(http) == (3, 4)
    assert http.get("/_accepted").json()["items"][0]["item"]["conversionValue"] == 4


def test_event_goes_to_the_destinations_it_names_or_to_all(http: httpx.Client) -> None:
    both = [destination("1", reference="one"), destination("2", reference="two")]

    http.post(
        INGEST, json=request(event("a"), event("b", destinationReferences=["two"]), destinations=both), headers=GOOD
    )

    found = http.get("/_accepted").json()["items"]
    assert [(entry["event_id"], entry["event_name"]) for entry in found] == [("a", "1"), ("a", "2"), ("b", "2")]


def test_refused_transaction_is_refused_until_the_fault_ends(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "google_ads", "kind": "refuse", "event_ids": ["a"], "count": 1})

    assert violations(http.post(INGEST, json=request(event("a")), headers=GOOD)) == [
        ("events.events[0]", "INVALID_ARGUMENT")
    ]
    assert http.post(INGEST, json=request(event("a")), headers=GOOD).status_code == 200


def row(order: str = "a", **changed: Any) -> dict[str, Any]:
    """A good conversion of the old upload; ``...`` leaves a field out."""
    good = {
        "orderId": order,
        "gclid": GCLID,
        "conversionAction": "customers/1234567890/conversionActions/7000000002",
        "conversionDateTime": "2026-11-20 14:11:05+00:00",
    }
    return {key: value for key, value in {**good, **changed}.items() if value is not ...}


def test_bad_row_of_the_old_upload_leaves_its_neighbours(http: httpx.Client) -> None:
    rows = [row("a"), row("b", gbraid="G", wbraid="W", gclid=...), row("c")]

    response = http.post(UPLOAD, json={"conversions": rows, "partialFailure": True}, headers=GOOD)

    assert response.status_code == 200
    assert response.json() == {
        "jobId": "1",
        "results": [{"orderId": "a"}, {}, {"orderId": "c"}],
        "partialFailureError": {
            "code": 3,
            "message": "Some rows were refused.",
            "details": [
                {
                    "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
                    "errors": [
                        {
                            "errorCode": {"conversionUploadError": "GBRAID_WBRAID_BOTH_SET"},
                            "message": "The row was refused.",
                            "location": {"fieldPathElements": [{"fieldName": "conversions", "index": 1}]},
                        }
                    ],
                }
            ],
        },
    }
    assert counted(http) == (2, 2)


@pytest.mark.parametrize(
    ("path", "given", "code"),
    [
        pytest.param(UPLOAD, row(conversionAction="7000000002"), "NO_CONVERSION_ACTION_FOUND", id="action by number"),
        pytest.param(UPLOAD, row(conversionDateTime="2026-11-20T14:11:05Z"), "INVALID_STRING_DATE_TIME", id="RFC 3339"),
        pytest.param(UPLOAD, row(conversionDateTime=...), "REQUIRED", id="no time"),
        pytest.param(UPLOAD, row(gclid=...), "REQUIRED", id="no identifier"),
        pytest.param(UPLOAD, row(wbraid="W"), "INVALID_VALUE", id="two click ids"),
        pytest.param(UPLOAD, row(gclid="two words"), "UNPARSEABLE_GCLID", id="click id with a space"),
        pytest.param(UPLOAD, row(userIdentifiers=[{"hashedEmail": JANE}] * 6), "INVALID_VALUE", id="six identifiers"),
        pytest.param(
            UPLOAD,
            row(userIdentifiers=[{"addressInfo": {"city": "boston"}}]),
            "UNSUPPORTED_USER_IDENTIFIER",
            id="address",
        ),
        pytest.param(
            UPLOAD.replace("1234567890", "9999999999"), row(), "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", id="closed"
        ),
        pytest.param(
            ADJUST,
            {
                "adjustmentType": "RESTATEMENT",
                "orderId": "a",
                "conversionAction": "customers/1234567890/conversionActions/7000000002",
                "adjustmentDateTime": "2026-11-20 14:11:05+00:00",
            },
            "REQUIRED",
            id="restatement without a value",
        ),
    ],
)
def test_bad_row_is_refused_with_googles_code(http: httpx.Client, path: str, given: dict[str, Any], code: str) -> None:
    key = "conversions" if path.endswith("Conversions") else "conversionAdjustments"

    body = http.post(path, json={key: [given], "partialFailure": True}, headers=GOOD).json()

    assert body["results"] == [{}]
    (error,) = body["partialFailureError"]["details"][0]["errors"]
    assert list(error["errorCode"].values()) == [code]


def test_validation_of_the_old_upload_has_no_results(http: httpx.Client) -> None:
    body = {"conversions": [row()], "partialFailure": True, "validateOnly": True}

    assert http.post(UPLOAD, json=body, headers=GOOD).json() == {"jobId": "1"}
    assert http.get("/_accepted").json()["items"][0]["test"] is True


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"conversions": [row()]}, id="without partialFailure"),
        pytest.param({"conversions": [row()], "partialFailure": False}, id="without partial failures"),
        pytest.param({"conversions": [{**row(), "transactionId": "a"}], "partialFailure": True}, id="unknown key"),
        pytest.param({"conversions": [row()] * 2001, "partialFailure": True}, id="2,001 rows"),
    ],
)
def test_old_upload_refuses_the_whole_request(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post(UPLOAD, json=body, headers=GOOD).status_code == 400
    assert counted(http) == (0, 0)


REFRESH = {
    "grant_type": "refresh_token",
    "client_id": "a-client",
    "client_secret": "a-secret",
    "refresh_token": "a-token",
}


def test_refresh_token_is_exchanged_for_an_access_token_that_works(http: httpx.Client) -> None:
    answer = http.post(TOKEN, data=REFRESH).json()

    assert answer == {"access_token": "sandbox-token-1", "expires_in": 3599, "token_type": "Bearer"}
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert http.post(INGEST, json=request(event()), headers=headers).status_code == 200
    shown = http.get("/_requests").json()["requests"][0]["body"]
    assert shown == {**dict.fromkeys(REFRESH, "•••"), "grant_type": "refresh_token"}


def test_token_of_a_stranger_is_granted_and_has_no_access(http: httpx.Client) -> None:
    assert (
        http.post(TOKEN, data={**REFRESH, "refresh_token": "foreign-token"}).json()["access_token"] == "foreign-token"
    )


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        pytest.param({**REFRESH, "refresh_token": "bad-token"}, 400, "invalid_grant", id="refresh token"),
        pytest.param({**REFRESH, "refresh_token": "expired-token"}, 400, "invalid_grant", id="expired"),
        pytest.param({**REFRESH, "refresh_token": ""}, 400, "invalid_grant", id="no refresh token"),
        pytest.param({**REFRESH, "client_secret": "bad-secret"}, 401, "invalid_client", id="client secret"),
        pytest.param({**REFRESH, "client_id": ""}, 401, "invalid_client", id="no client"),
        pytest.param(
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b"},
            400,
            "invalid_grant",
            id="JWT",
        ),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="another grant"),
    ],
)
def test_token_is_refused(http: httpx.Client, form: dict[str, str], status: int, error: str) -> None:
    response = http.post(TOKEN, data=form)

    assert (response.status_code, response.json()["error"]) == (status, error)


def test_assertion_is_exchanged_for_an_access_token(http: httpx.Client) -> None:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "head.claims.signature"}

    assert http.post(TOKEN, data=form).json()["access_token"] == "sandbox-token-1"


@pytest.mark.parametrize(
    ("fault", "path", "status", "name"),
    [
        ({"kind": "rate_limit", "retry_after": 7}, INGEST, 429, "RESOURCE_EXHAUSTED"),
        ({"kind": "error", "status": 503}, INGEST, 503, "UNAVAILABLE"),
        ({"kind": "error", "status": 500}, UPLOAD, 500, "INTERNAL"),
        ({"kind": "error", "status": 504}, INGEST, 504, "DEADLINE_EXCEEDED"),
        ({"kind": "credentials"}, UPLOAD, 401, "UNAUTHENTICATED"),
    ],
)
def test_fault_is_answered_in_googles_words(
    http: httpx.Client, fault: dict[str, Any], path: str, status: int, name: str
) -> None:
    http.post("/_faults", json={"platform": "google_ads", **fault}).raise_for_status()

    response = http.post(path, json={}, headers=GOOD)

    assert (response.status_code, response.json()["error"]["status"]) == (status, name)


def test_rate_limit_of_the_old_upload_tells_the_delay_in_the_body(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "google_ads", "kind": "rate_limit", "retry_after": 7})

    (detail,) = http.post(UPLOAD, json={}, headers=GOOD).json()["error"]["details"]

    assert detail["errors"][0]["errorCode"] == {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}
    assert detail["errors"][0]["details"] == {"quotaErrorDetails": {"retryDelay": "7s"}}


def test_credentials_fault_reaches_the_token_endpoint_in_its_own_words(http: httpx.Client) -> None:
    http.post("/_faults", json={"platform": "google_ads", "kind": "credentials"})

    response = http.post(TOKEN, data=REFRESH)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_other_paths_are_not_there(http: httpx.Client) -> None:
    assert http.post("/google_ads/v2/events:ingest", json={}, headers=GOOD).status_code == 404
    assert http.get(INGEST, headers=GOOD).status_code == 404
