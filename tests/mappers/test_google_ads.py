"""Google Ads: worked examples, refusals, normalisation, answers and settings of its mapper."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tests.mappers.helpers import Asked, left_out
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    RateLimited,
    RefreshedToken,
    Rejected,
    ServiceAccount,
    Unreachable,
    Verdict,
)
from tracklayer.domain.normalise import sha256_hex as sha
from tracklayer.mappers import outgoing
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.google_ads import MAPPER
from tracklayer.services.destinations import check_settings, example_settings

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 9, 1, tzinfo=UTC)
INGEST = "https://datamanager.googleapis.com/v1/events:ingest"
LEGACY = "https://googleads.googleapis.com/v26/customers/1234567890"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
GCLID = "Cj0KCQiA_exampleGclid-Case.Kept_1234567890"
JANE = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"  # janedoe@gmail.com
JANES_PHONE = "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0"  # +16505550123
FIRST_NAME = "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"  # jane
DOE = "799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f"  # doe
ONEIL = "eb1aed4f494ca276a88d3161252e48e0fe703f32666fe44fe4652f660b82cda4"  # o'neil
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
OAUTH = {"client_id": "a-client", "client_secret": "a-client-secret", "refresh_token": "a-refresh-token"}
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "customer_id": "1234567890",
        "login_customer_id": "9876543210",
        "conversion_actions": {
            "Purchase": "7000000001",
            "Lead": "7000000002",
            "AddToCart": "7000000003",
            "QuizFinished": "7000000004",
            "CompleteRegistration": "7000000005",
        },
        **OAUTH,
    }
)
CART: dict[str, Any] = {
    "merchant_center_id": "5551234",
    "feed_label": {"USD": "US", "GBP": "GB"},
    "feed_language": "en",
}
OLD: dict[str, Any] = {"legacy_upload": True}
TAGGED: dict[str, Any] = {"conversion_actions": {"Purchase": "8000000001"}, "tag_conversion_actions": ["8000000001"]}
PURCHASE: dict[str, Any] = {
    "event_name": "Purchase",
    "event_id": "evt-8c1",
    "occurred_at": "2026-11-20T14:03:12.345Z",
    "action_source": "website",
    "event_source_url": "https://shop.example.com/thank-you?order=10042",
    "user_data": {
        "email": "  Jane.Doe+News@Gmail.com ",
        "phone": "+1 (650) 555-0123",
        "first_name": " Jane",
        "last_name": "Doe",
        "city": "San Francisco",
        "state": "CA",
        "zip": "94107-1234",
        "country": "us",
        "external_id": "Cust-7781",
        "client_ip": "203.0.113.42",
        "client_user_agent": CHROME,
        "gclid": GCLID,
    },
    "custom_data": {
        "value": 129.9,
        "currency": "usd",
        "order_id": "10042",
        "contents": [
            {"id": "SKU-1", "quantity": 2, "item_price": 39.95},
            {"id": "SKU-2", "quantity": 1, "item_price": 50},
        ],
        "num_items": 3,
    },
    "consent": {"ad_user_data": "granted", "ad_personalization": "denied"},
}
LEAD: dict[str, Any] = {
    "event_name": "Lead",
    "event_id": "lead-1",
    "occurred_at": "2026-11-20T14:11:05Z",
    "action_source": "website",
    "user_data": {"email": "jane.doe@gmail.com"},
}


ASKED = Asked(MAPPER, SETTINGS, NOW)
read, mapped, refused = ASKED.read, ASKED.mapped_with, ASKED.refused_with


def lead(**changed: Any) -> dict[str, Any]:
    """A good lead; ``...`` leaves a field out."""
    return {key: value for key, value in {**LEAD, **changed}.items() if value is not ...}


EXAMPLES = [
    pytest.param(
        PURCHASE,
        CART,
        INGEST,
        {
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
        id="full purchase",
    ),
    pytest.param(
        PURCHASE,
        OLD,
        f"{LEGACY}:uploadClickConversions",
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
        id="full purchase by the old upload",
    ),
    pytest.param(
        PURCHASE,
        {**OLD, **TAGGED},
        f"{LEGACY}:uploadConversionAdjustments",
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
        id="enhancement of the tag's purchase by the old upload",
    ),
    pytest.param(
        {
            "event_name": "CompleteRegistration",
            "event_id": "reg-551",
            "occurred_at": "2026-11-20T14:10:00+02:00",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/signup/done",
            "user_data": {
                "email": "D6117306485ED0E50AFAB3AC871E98F81699151F30281527D63FF5F233656C69",
                "phone": "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8",
            },
            "consent": {"ad_user_data": "granted", "ad_personalization": "granted"},
        },
        {},
        INGEST,
        {
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
        id="hashed before",
    ),
    pytest.param(
        {
            "event_name": "Lead",
            "event_id": "lead-552",
            "occurred_at": "2026-11-20T14:11:05Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/newsletter",
            "user_data": {"email": "user.name+NYC@Example.com"},
        },
        {},
        INGEST,
        {
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
        id="lead with an email alone",
    ),
    pytest.param(
        {
            "event_name": "Lead",
            "event_id": "lead-552",
            "occurred_at": "2026-11-20T14:11:05Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/newsletter",
            "user_data": {"email": "user.name+NYC@Example.com"},
        },
        OLD,
        f"{LEGACY}:uploadClickConversions",
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
        id="lead with an email alone by the old upload",
    ),
    pytest.param(
        {
            "event_name": "QuizFinished",
            "event_id": "quiz-9f2",
            "occurred_at": "2026-11-20T14:12:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/quiz",
            "user_data": {"gclid": GCLID, "client_user_agent": CHROME},
            "custom_data": {"properties": {"quiz_name": "Skin type", "score": 87}},
        },
        {},
        INGEST,
        {
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
        id="custom event",
    ),
    pytest.param(
        {
            "event_name": "AddToCart",
            "event_id": "atc-77",
            "occurred_at": "2026-11-20T14:15:30.250Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/p/tee",
            "user_data": {
                "phone": "+44 20 7946 0958",
                "client_ip": "198.51.100.7",
                "client_user_agent": CHROME,
                "gclid": "EAIaIQobChMI_exampleGclid2",
            },
            "custom_data": {
                "value": 74.5,
                "currency": "GBP",
                "contents": [
                    {"id": "TEE-S", "quantity": 1, "item_price": 19.5},
                    {"id": "TEE-M", "quantity": 2, "item_price": 20},
                    {"id": "CAP", "quantity": 1, "item_price": 15},
                ],
            },
        },
        CART,
        INGEST,
        {
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
        id="several products",
    ),
    pytest.param(
        {
            "event_name": "Lead",
            "event_id": "lead-560",
            "occurred_at": "2026-11-20T14:20:00Z",
            "action_source": "phone_call",
            "user_data": {"phone": "+1 800 555 0100", "wbraid": "CmoKCQiA_exampleWbraid"},
            "custom_data": {"value": 15, "currency": "USD"},
            "consent": {"ad_user_data": "granted"},
        },
        {"validate_only": True},
        INGEST,
        {
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
        id="validation of a phone lead",
    ),
]


@pytest.mark.parametrize(("draft", "settings", "url", "body"), EXAMPLES)
def test_worked_example_becomes_exactly_this_request(
    draft: dict[str, Any], settings: dict[str, Any], url: str, body: dict[str, Any]
) -> None:
    used = {**SETTINGS, **settings}
    event = read(draft)
    before = deepcopy(event)

    result = MAPPER.map_event(event, used, NOW)
    assert isinstance(result, Mapped), result
    request = MAPPER.build_request(result.group, [result.item], used)

    assert (request.method, request.url, request.body) == ("POST", url, body)
    assert event == before
    assert MAPPER.map_event(event, used, NOW) == result


REFUND: dict[str, Any] = {
    "event_name": "Refund",
    "event_id": "rf-10042",
    "occurred_at": "2026-11-21T09:00:00Z",
    "action_source": "website",
    "user_data": {"email": "jane.doe+news@gmail.com"},
    "custom_data": {"value": 129.9, "currency": "USD", "order_id": "10042"},
}
# What the merchant keeps from the purchase and sends along.
OF_THE_PURCHASE = {
    "user_data": {**REFUND["user_data"], "gclid": GCLID},
    "custom_data": {
        **REFUND["custom_data"],
        "properties": {"remaining_value": 0, "purchase_occurred_at": "2026-11-20T14:03:12.345Z"},
    },
}


def test_full_refund_restates_the_purchase_at_its_own_time() -> None:
    result = mapped({**REFUND, **OF_THE_PURCHASE}, LATER)

    assert MAPPER.build_request(result.group, [result.item], SETTINGS).body == {
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
    }


@pytest.mark.parametrize(
    ("remaining", "row"),
    [
        pytest.param(0, {"adjustmentType": "RETRACTION"}, id="full"),
        pytest.param(
            "79.9",
            {"adjustmentType": "RESTATEMENT", "restatementValue": {"adjustedValue": 79.9, "currencyCode": "USD"}},
            id="partial",
        ),
    ],
)
def test_refund_is_an_adjustment_of_the_old_upload(remaining: Any, row: dict[str, Any]) -> None:
    properties = {"remaining_value": remaining, "purchase_occurred_at": "2026-11-20T14:03:12Z"}
    result = mapped({**REFUND, "custom_data": {**REFUND["custom_data"], "properties": properties}}, LATER, **OLD)

    assert result.group == "conversionAdjustments"
    assert result.item == {
        "conversionAction": "customers/1234567890/conversionActions/7000000001",
        "orderId": "10042",
        "adjustmentDateTime": "2026-11-21 09:00:00+00:00",
        **row,
    }


@pytest.mark.parametrize("name", ["Refund", "Order Refunded"])
@pytest.mark.parametrize(
    ("actions", "group"),
    [
        pytest.param({"Order Completed": "1", "*": "2"}, "1", id="purchase of another name"),
        pytest.param({"orders/paid": "1", "*": "2"}, "1", id="purchase of Shopify"),
        pytest.param(
            {"Purchase": "1", "purchase": "1", "Order Placed": "3", "*": "2"}, "1", id="two names of one action"
        ),
        pytest.param({"Purchase": 1}, "1", id="id as a number"),
        pytest.param({"orders/create": "1", "Lead": "3"}, "1", id="what may be a purchase"),
        pytest.param({"Lead": "3", "*": "2"}, "2", id="purchase among every other name"),
        pytest.param({"Purchase": "1", "Order Completed": "3", "Refund": "3"}, "3", id="told by Refund"),
        pytest.param({"Bestellung": "1", "*": "2", "Refund": "1"}, "1", id="purchase of an own name, told by Refund"),
        pytest.param(
            {"Purchase": "1", "*": "2", "Refund": "2"}, "2", id="purchases among every other name, told by Refund"
        ),
    ],
)
def test_refund_goes_where_the_purchase_went(actions: dict[str, Any], group: str, name: str) -> None:
    assert mapped({**REFUND, **OF_THE_PURCHASE, "event_name": name}, LATER, conversion_actions=actions).group == group
    assert check_settings(MAPPER, {**SETTINGS, "conversion_actions": actions}) == []


@pytest.mark.parametrize("name", ["orders/paid", "CompletePayment", "Order Completed", "purchase", "Purchase"])
@pytest.mark.parametrize("listed", ["Purchase", "orders/paid"])
def test_a_purchase_by_another_name_is_where_its_refund_restates_it(listed: str, name: str) -> None:
    actions = {listed: "1", "*": "2"}
    bought = mapped({**REFUND, "event_name": name}, LATER, conversion_actions=actions)
    refund = mapped({**REFUND, **OF_THE_PURCHASE}, LATER, conversion_actions=actions)
    assert (bought.group, refund.group) == ("1", "1")
    (told,) = [verdict.message for verdict in bought.verdicts if verdict.rule == "event_name"]
    assert told == (
        "mapped to a conversion action"
        if name == listed
        else "a purchase by another name: goes to the conversion action of purchases"
    )


@pytest.mark.parametrize(
    ("name", "actions", "group"),
    [
        pytest.param("orders/paid", {"Purchase": "1", "Order Completed": "3", "*": "2"}, "2", id="purchases of two actions"),
        pytest.param("Order Placed", {"Purchase": "1", "*": "2"}, "2", id="what may be a step before it"),
        pytest.param("orders/paid", {"Lead": "1", "*": "2"}, "2", id="no purchase listed"),
        pytest.param("Lead", {"Purchase": "1", "*": "2"}, "2", id="no purchase"),
    ],
)  # fmt: skip
def test_every_other_name_goes_where_that_is_said(name: str, actions: dict[str, str], group: str) -> None:
    assert mapped({**REFUND, "event_name": name}, LATER, conversion_actions=actions).group == group


def test_a_purchase_that_is_not_listed_is_not_sent() -> None:
    result = refused({**REFUND, "event_name": "orders/paid"}, LATER, conversion_actions={"Purchase": "1"})
    assert result.reason == DropReason.UNSUPPORTED_EVENT


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param({"Purchase": "1", "Order Completed": "2"}, id="two purchases"),
        pytest.param({"orders/create": "1", "*": "2"}, id="what may be a purchase, and every other name"),
    ],
)
def test_refund_of_a_purchase_that_may_be_in_several_actions_is_refused(actions: dict[str, Any]) -> None:
    result = refused({**REFUND, **OF_THE_PURCHASE}, LATER, conversion_actions=actions)

    assert (result.reason, result.field) == (DropReason.INVALID_FIELD, "event_name")
    assert "add Refund to conversion_actions" in result.verdicts[-1].message


@pytest.mark.parametrize(
    ("custom_data", "field"),
    [
        pytest.param({"order_id": ...}, "custom_data.order_id", id="order id"),
        pytest.param({"properties": {}}, "custom_data.properties.remaining_value", id="remaining value"),
        pytest.param(
            {"properties": {"remaining_value": -1, "purchase_occurred_at": "2026-11-20T14:03:12Z"}},
            "custom_data.properties.remaining_value",
            id="remaining value below zero",
        ),
        pytest.param(
            {"properties": {"remaining_value": 0}},
            "custom_data.properties.purchase_occurred_at",
            id="time of the purchase",
        ),
        pytest.param(
            {"properties": {"remaining_value": 0, "purchase_occurred_at": "2026-11-20T14:03:12"}},
            "custom_data.properties.purchase_occurred_at",
            id="time of the purchase without offset",
        ),
        pytest.param(
            {"properties": {"remaining_value": 0, "purchase_occurred_at": "2026-11-22T14:03:12Z"}},
            "custom_data.properties.purchase_occurred_at",
            id="time of the purchase after the refund",
        ),
    ],
)
def test_refund_that_lacks_a_fact_of_the_purchase_is_refused(custom_data: dict[str, Any], field: str) -> None:
    given = {**OF_THE_PURCHASE["custom_data"], **custom_data}
    draft = {**REFUND, "custom_data": {key: value for key, value in given.items() if value is not ...}}

    result = refused(draft, LATER)

    assert (result.reason, result.field) == (DropReason.INVALID_FIELD, field)


@pytest.mark.parametrize(
    ("remaining", "told"),
    [
        (None, "a refund needs the value that remains of the purchase, 0 for a full refund"),
        (" ", "a refund needs the value that remains of the purchase, 0 for a full refund"),
        ("-5", "remaining_value is below zero: it must be what remains of the purchase's value, 0 for a full refund"),
        ("10,5", "remaining_value must be a number, or one written as text: 10.50"),
        ("NaN", "remaining_value must be a number, or one written as text: 10.50"),
    ],
)
def test_what_is_wrong_with_the_value_that_remains_is_told(remaining: Any, told: str) -> None:
    properties = {"remaining_value": remaining, "purchase_occurred_at": "2026-11-20T14:03:12Z"}
    result = refused({**REFUND, "custom_data": {**REFUND["custom_data"], "properties": properties}}, LATER)

    assert (result.field, result.message) == ("custom_data.properties.remaining_value", told)


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (None, "a refund needs the time that was sent with the purchase"),
        (" ", "a refund needs the time that was sent with the purchase"),
        ("2026-11-20T14:03:12", "purchase_occurred_at has no offset: end it with Z or an offset"),
        ("yesterday", "purchase_occurred_at must be a date and time"),
        ("2026-11-22T14:03:12Z", "purchase_occurred_at is later than the refund"),
    ],
)
def test_what_is_wrong_with_the_time_of_the_purchase_is_told(time: Any, told: str) -> None:
    properties = {"remaining_value": 0, "purchase_occurred_at": time}
    result = refused({**REFUND, "custom_data": {**REFUND["custom_data"], "properties": properties}}, LATER)

    assert result.message.startswith(told)


@pytest.mark.parametrize(
    ("draft", "settings", "reason", "field"),
    [
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "evt-901",
                "occurred_at": "2026-11-20T14:21:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you",
                "user_data": {
                    "external_id": "Cust-7781",
                    "fbp": "fb.1.1794000000123.1098115397",
                    "first_name": "Jane",
                    "last_name": "Doe",
                },
                "custom_data": {"value": 10, "currency": "USD", "order_id": "9001"},
            },
            {},
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="nothing that Google could match",
        ),
        pytest.param(
            {
                "event_name": "AddToWishlist",
                "event_id": "wl-1",
                "occurred_at": "2026-11-20T14:22:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/p/cap",
                "user_data": {"email": "a@example.com"},
            },
            {},
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            id="no conversion action",
        ),
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "evt-902",
                "occurred_at": "2026-11-20T14:23:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you",
                "user_data": {"email": "a@example.com", "gclid": "Cj0KCQiA_x"},
                "custom_data": {"value": 10, "currency": "USD", "order_id": "9002"},
                "consent": {"ad_user_data": "denied", "ad_personalization": "denied"},
            },
            {},
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(
            lead(user_data={"client_ip": "203.0.113.42", "client_user_agent": CHROME}),
            {},
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="IP address alone",
        ),
        pytest.param(
            lead(user_data={"email": "jane", "gclid": "two words"}),
            {},
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="malformed identifiers alone",
        ),
        pytest.param(
            lead(event_name="Purchase", action_source="app"),
            TAGGED,
            DropReason.INVALID_FIELD,
            "action_source",
            id="app event for an action of the tag",
        ),
        pytest.param(
            lead(event_name="Refund"),
            {"conversion_actions": {"Lead": "7000000002"}},
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            id="refund without an action for purchases",
        ),
        pytest.param(
            lead(user_data={"client_ip": "203.0.113.42"}),
            OLD,
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="old upload, IP address alone",
        ),
        pytest.param(
            lead(event_name="Purchase", user_data={"gclid": GCLID}),
            {**OLD, **TAGGED},
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="old upload, enhancement without customer data",
        ),
    ],
)
def test_event_is_refused_before_sending(
    draft: dict[str, Any], settings: dict[str, Any], reason: DropReason, field: str
) -> None:
    result = refused(draft, **settings)

    assert (result.reason, result.field) == (reason, field)
    assert (result.verdicts[-1].ok, result.verdicts[-1].field) == (False, field)


@pytest.mark.parametrize("state", ["granted", "unspecified"])
def test_consent_is_enough_where_it_is_required(state: str) -> None:
    event = read(lead(consent={"ad_user_data": state}))
    result = outgoing.map_event(MAPPER, event, {**SETTINGS, "require_consent": True}, NOW)

    if state == "granted":
        assert isinstance(result, Mapped)
        assert result.item["consent"] == {"adUserData": "CONSENT_GRANTED"}
    else:
        assert isinstance(result, Refused)
        assert (result.reason, result.field) == (DropReason.INVALID_FIELD, "consent.ad_user_data")


@pytest.mark.parametrize("settings", [{}, OLD])
def test_value_without_currency_is_counted_in_that_of_the_conversion_action(settings: dict[str, Any]) -> None:
    result = mapped(lead(custom_data={"value": 10}), **settings)

    assert (result.item["conversionValue"], result.item.keys() & {"currency", "currencyCode"}) == (10, set())
    assert [(found.rule, found.ok) for found in result.verdicts if found.field == "custom_data.currency"] == [
        ("currency", True)
    ]


def test_refund_without_currency_restates_the_value_alone() -> None:
    properties = {"remaining_value": 5, "purchase_occurred_at": "2026-11-20T14:03:12Z"}
    draft = {**REFUND, "custom_data": {"order_id": "10042", "properties": properties}}

    assert mapped(draft, LATER).item["conversionValue"] == 5
    assert mapped(draft, LATER, **OLD).item["restatementValue"] == {"adjustedValue": 5}


def test_default_currency_is_the_one_of_a_value_without() -> None:
    event = read(lead(custom_data={"value": 10}))
    result = outgoing.map_event(MAPPER, event, {**SETTINGS, "default_currency": "EUR"}, NOW)

    assert isinstance(result, Mapped)
    assert result.item["currency"] == "EUR"


def test_event_ahead_of_the_clock_waits_until_its_time() -> None:
    ahead = NOW + timedelta(seconds=6)
    result = outgoing.map_event(MAPPER, read(lead(occurred_at=ahead.isoformat())), SETTINGS, NOW)

    assert isinstance(result, Mapped)
    assert result.not_before == ahead


def test_limited_data_use_refuses_the_consent_to_personalised_ads() -> None:
    draft = lead(consent={"ad_user_data": "granted", "ad_personalization": "granted", "limited_data_use": True})
    result = mapped(draft)

    assert result.item["consent"] == {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"}
    assert ("limited_data_use", True) in [(found.rule, found.ok) for found in result.verdicts]


def test_old_upload_has_no_place_for_limited_data_use() -> None:
    result = mapped(lead(consent={"limited_data_use": True}), **OLD)

    assert left_out(result) == [("limited_data_use", "consent.limited_data_use")]
    assert "consent" not in result.item


EMAILS = [f"jane{number}@example.com" for number in range(9)]
PHONES = [f"+1650555012{number}" for number in range(9)]


@pytest.mark.parametrize(
    ("settings", "most", "email_key"), [({}, 10, "emailAddress"), ({**OLD, **TAGGED}, 5, "hashedEmail")]
)
def test_several_emails_and_phones_go_out_as_far_as_google_takes_them(
    settings: dict[str, Any], most: int, email_key: str
) -> None:
    address = {"first_name": "Jane", "last_name": "Doe", "country": "US", "zip": "94107"}
    person = {"email": "jane@example.com", "phone": "+16505550199", "emails": EMAILS, "phones": PHONES, **address}
    result = mapped(lead(event_name="Purchase", user_data=person), **settings)

    identifiers = result.item["userData"]["userIdentifiers"] if not settings else result.item["userIdentifiers"]
    assert len(identifiers) == most
    assert [email_key in found for found in identifiers] == [True, False, *[True] * (most - 3), False]
    assert left_out(result) == [("identifiers", "user_data")]


def test_the_same_email_twice_is_one_identifier() -> None:
    result = mapped(lead(user_data={"email": "jane.doe@gmail.com", "emails": ["janedoe+x@gmail.com"]}))

    assert result.item["userData"] == {"userIdentifiers": [{"emailAddress": JANE}]}


DEVICE: dict[str, Any] = {
    "os": "iOS",
    "os_version": "18.1",
    "app_id": "com.example.shop",
    "model": "iPhone17,1",
    "locale": "en_US",
    "screen_width": 1179,
    "screen_height": 2556,
    "advertising_id": "AB1C2D3E-0000-4000-8000-00112233AABB",
}


@pytest.mark.parametrize(
    ("source", "changed", "ad_identifiers", "rules"),
    [
        pytest.param("app", {}, {"mobileDeviceId": DEVICE["advertising_id"]}, [], id="of an app"),
        pytest.param("website", {}, None, [], id="not of an app"),
        pytest.param("app", {"tracking_allowed": False}, None, ["advertising_id"], id="tracking refused"),
        pytest.param("app", {"advertising_id": "none of them"}, None, ["advertising_id"], id="no such id"),
        pytest.param(
            "app",
            {"advertising_id": "00000000-0000-0000-0000-000000000000"},
            None,
            [],
            id="nobody's id",
        ),
    ],
)
def test_device_is_sent_with_the_conversion(
    source: str, changed: dict[str, Any], ad_identifiers: dict[str, str] | None, rules: list[str]
) -> None:
    result = mapped(lead(action_source=source, device={**DEVICE, **changed}))

    assert result.item.get("adIdentifiers") == ad_identifiers
    assert result.item["eventDeviceInfo"] == {
        "operatingSystem": "iOS",
        "operatingSystemVersion": "18.1",
        "model": "iPhone17,1",
        "languageCode": "en",
        "screenWidth": 1179,
        "screenHeight": 2556,
    }
    assert [rule for rule, _ in left_out(result)] == rules


def test_device_alone_identifies_nobody() -> None:
    result = refused(lead(action_source="app", user_data={"external_id": "1"}, device=DEVICE))

    assert result.reason is DropReason.MISSING_IDENTIFIERS


def test_no_age_is_too_great() -> None:
    assert mapped(lead(occurred_at="2025-01-01T00:00:00Z")).item["eventTimestamp"] == "2025-01-01T00:00:00Z"
    assert MAPPER.max_event_age is None


@pytest.mark.parametrize(
    ("actions", "name", "group"),
    [
        pytest.param({"Lead": "1", "*": "2"}, "Lead", "1", id="by name"),
        pytest.param({"Lead": "1", "*": "2"}, "Contact", "2", id="every other name"),
        pytest.param({"Lead": 7000000002}, "Lead", "7000000002", id="id as a number"),
    ],
)
def test_conversion_action_is_chosen_by_the_event_name(actions: dict[str, Any], name: str, group: str) -> None:
    assert mapped(lead(event_name=name), conversion_actions=actions).group == group


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("website", "WEB"),
        ("app", "APP"),
        ("physical_store", "IN_STORE"),
        ("phone_call", "PHONE"),
        ("chat", "MESSAGE"),
        ("business_messaging", "MESSAGE"),
        ("email", "OTHER"),
        ("system_generated", "OTHER"),
        ("other", "OTHER"),
    ],
)
def test_action_source_becomes_googles(source: str, sent: str) -> None:
    assert mapped(lead(action_source=source)).item["eventSource"] == sent


@pytest.mark.parametrize(
    ("occurred_at", "sent"),
    [
        ("2026-11-20T14:03:12Z", "2026-11-20T14:03:12Z"),
        ("2026-11-20T14:03:12.25Z", "2026-11-20T14:03:12.250Z"),
        ("2026-11-20T14:03:12.000007Z", "2026-11-20T14:03:12.000007Z"),
        ("2026-11-20T16:03:12+02:00", "2026-11-20T14:03:12Z"),
    ],
)
def test_time_is_sent_in_utc_with_its_fraction_in_threes(occurred_at: str, sent: str) -> None:
    assert mapped(lead(occurred_at=occurred_at)).item["eventTimestamp"] == sent


@pytest.mark.parametrize(
    ("url", "user_data", "clicks"),
    [
        pytest.param("https://shop.example.com/?gclid=Ab%2Dc", {}, {"gclid": "Ab-c"}, id="of the page"),
        pytest.param("https://shop.example.com/?gclid=Url", {"gclid": " Given "}, {"gclid": "Given"}, id="given wins"),
        pytest.param("https://shop.example.com/?dclid=X&gclid=", {}, None, id="none"),
        pytest.param(
            "https://shop.example.com/?wbraid=W&gbraid=G",
            {"gclid": "C"},
            {"gclid": "C", "gbraid": "G", "wbraid": "W"},
            id="all three",
        ),
        pytest.param("https://[/?gclid=X", {}, None, id="no URL"),
        pytest.param("https://shop.example.com/?gclid=%7Bgclid%7D", {}, None, id="of a template"),
        pytest.param("https://shop.example.com/?gclid=Url", {"gclid": "null"}, {"gclid": "Url"}, id="placeholder"),
    ],
)
def test_click_ids_are_taken_from(url: str, user_data: dict[str, Any], clicks: dict[str, str] | None) -> None:
    draft = lead(event_source_url=url, user_data={"email": "jane.doe@gmail.com", **user_data})

    assert mapped(draft).item.get("adIdentifiers") == clicks


@pytest.mark.parametrize(
    ("user_data", "missing"),
    [
        pytest.param({"first_name": "Jane", "last_name": "Doe", "zip": "94107"}, "country", id="no country"),
        pytest.param({"first_name": "Jane", "country": "US", "zip": "94107"}, "last_name", id="no last name"),
        pytest.param(
            {"first_name": "Jane", "last_name": "Doe", "country": "US", "zip": "9410"}, "zip", id="no US postal code"
        ),
        pytest.param(
            {"first_name": MD5, "last_name": "Doe", "country": "US", "zip": "94107"}, "first_name", id="MD5 of a name"
        ),
    ],
)
def test_address_is_left_out_unless_it_is_whole(user_data: dict[str, Any], missing: str) -> None:
    result = mapped(lead(user_data={"email": "jane.doe@gmail.com", **user_data}))

    assert result.item["userData"] == {"userIdentifiers": [{"emailAddress": JANE}]}
    assert left_out(result) == [("address", f"user_data.{missing}")]


def test_place_without_a_name_is_no_fault() -> None:
    assert left_out(mapped(lead(user_data={"email": "jane.doe@gmail.com", "country": "US", "city": "Boston"}))) == []


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("email", "jane", "email"),
        ("phone", "(650) 555-0123", "phone"),
        ("client_ip", "999.1.1.1", "client_ip"),
        ("gclid", "two words", "gclid"),
    ],
)
def test_malformed_identifier_is_left_out_and_the_event_goes(field: str, value: str, rule: str) -> None:
    result = mapped(lead(user_data={"wbraid": "W", field: value}))

    assert left_out(result) == [(rule, f"user_data.{field}")]
    assert result.item["adIdentifiers"] == {"wbraid": "W"}
    assert "userData" not in result.item


def test_phone_without_country_code_is_read_in_the_default_country() -> None:
    draft = lead(user_data={"phone": "(650) 555-0123"})

    assert mapped(draft, default_country="US").item["userData"] == {"userIdentifiers": [{"phoneNumber": JANES_PHONE}]}


@pytest.mark.parametrize(
    ("custom_data", "settings", "fields"),
    [
        pytest.param(
            {"value": 0, "currency": "USD"}, {}, {"conversionValue": 0, "currency": "USD"}, id="value of nothing"
        ),
        pytest.param({"currency": "EUR"}, {}, {"currency": "EUR"}, id="currency alone"),
        pytest.param(
            {"contents": [{"id": "A"}]},
            {},
            {"cartData": {"items": [{"merchantProductId": "A", "quantity": "1"}]}},
            id="products without Merchant Center",
        ),
        pytest.param(
            {"contents": [{"id": "A"}], "properties": {"coupon": "SPRING", "discount": "5.5"}},
            {"merchant_center_id": 5551234, "feed_label": "US"},
            {
                "cartData": {
                    "merchantId": "5551234",
                    "merchantFeedLabel": "US",
                    "items": [{"merchantProductId": "A", "quantity": "1"}],
                    "couponCodes": ["SPRING"],
                    "transactionDiscount": 5.5,
                }
            },
            id="coupon and discount",
        ),
        pytest.param(
            {
                "contents": [
                    {"id": "A", "quantity": 2, "coupon": "SPRING", "discount": 1.5},
                    {"id": "B", "coupon": "SPRING"},
                    {"id": "C", "coupon": "TWO", "discount": "0.25", "variant": "red"},
                ],
                "properties": {"coupon": "FIRST"},
            },
            {},
            {
                "cartData": {
                    "items": [
                        {"merchantProductId": "A", "quantity": "2"},
                        {"merchantProductId": "B", "quantity": "1"},
                        {"merchantProductId": "C", "quantity": "1"},
                    ],
                    "couponCodes": ["FIRST", "SPRING", "TWO"],
                    "transactionDiscount": 3.25,
                }
            },
            id="coupons and discounts of the lines",
        ),
        pytest.param(
            {"contents": [{"id": "A", "quantity": 1.85, "item_price": 10}, {"id": "B", "quantity": "2"}]},
            {},
            {
                "cartData": {
                    "items": [
                        {"merchantProductId": "A", "quantity": "2", "unitPrice": 10},
                        {"merchantProductId": "B", "quantity": "2"},
                    ]
                }
            },
            id="goods by weight",
        ),
        pytest.param({"product_ids": ["A"]}, CART, {}, id="product ids are no cart"),
        pytest.param(
            {"properties": {"customer_type": "returning"}},
            {},
            {"userProperties": {"customerType": "RETURNING"}},
            id="customer type",
        ),
        pytest.param(
            {"properties": {"score": 87, "won": True, "none": None}},
            {"custom_variables": {"score": "quiz_score", "won": "quiz_won", "none": "quiz_none", "gone": "quiz_gone"}},
            {"customVariables": [{"variable": "quiz_score", "value": "87"}, {"variable": "quiz_won", "value": "true"}]},
            id="custom variables",
        ),
    ],
)
def test_custom_data_is_sent_as(custom_data: dict[str, Any], settings: dict[str, Any], fields: dict[str, Any]) -> None:
    result = mapped(lead(custom_data=custom_data), **settings)

    assert left_out(result) == []
    common = {"transactionId", "eventTimestamp", "eventSource", "userData"}
    assert {key: value for key, value in result.item.items() if key not in common} == fields


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        pytest.param(
            {"custom_data": {"properties": {"quiz_name": "Skin"}}}, "properties", id="property without variable"
        ),
        pytest.param({"custom_data": {"properties": {"customer_type": "VIP"}}}, "customer_type", id="customer type"),
        pytest.param(
            {"user_data": {"gbraid": "G"}, "custom_data": {"contents": [{"id": "A"}]}},
            "contents",
            id="cart with gbraid",
        ),
        pytest.param(
            {"user_data": {"wbraid": "W"}, "custom_data": {"properties": {"coupon": "SPRING"}}},
            "coupon",
            id="coupon with wbraid",
        ),
        pytest.param(
            {"user_data": {"gbraid": "G"}, "custom_data": {"properties": {"coupon": " ", "discount": "4.50"}}},
            "discount",
            id="discount with gbraid",
        ),
    ],
)
def test_what_google_has_no_place_for_is_left_out(changed: dict[str, Any], rule: str) -> None:
    result = mapped(lead(**changed))

    assert [found for found, _ in left_out(result)] == [rule]
    assert result.item.keys() & {"customVariables", "userProperties", "cartData"} == set()


@pytest.mark.parametrize(
    ("properties", "fields"),
    [
        ({"coupon": 2024}, ["coupon"]),
        ({"coupon": True, "discount": "4,50"}, ["coupon", "discount"]),
        ({"discount": True}, ["discount"]),
        ({"coupon": " ", "discount": ""}, []),
        ({"coupon": None, "discount": None}, []),
    ],
)
def test_a_coupon_or_a_discount_that_is_none_is_left_out_and_told(
    properties: dict[str, Any], fields: list[str]
) -> None:
    contents = [{"id": "A", "coupon": "SPRING", "discount": 1.5}]
    result = mapped(lead(custom_data={"contents": contents, "properties": properties}))

    assert [found for found, _ in left_out(result)] == fields
    items = [{"merchantProductId": "A", "quantity": "1"}]
    assert result.item["cartData"] == {"items": items, "couponCodes": ["SPRING"], "transactionDiscount": 1.5}


def test_a_state_by_its_whole_code_is_the_one_without_its_country_in_the_old_upload() -> None:
    whole = PURCHASE | {"user_data": PURCHASE["user_data"] | {"state": "US-CA"}}
    assert mapped(whole, **OLD, **TAGGED).item == mapped(PURCHASE, **OLD, **TAGGED).item


def test_order_id_stands_before_the_event_id() -> None:
    assert mapped(lead(custom_data={"order_id": "10042"})).item["transactionId"] == "10042"
    assert mapped(lead()).item["transactionId"] == "lead-1"


def test_old_upload_takes_one_click_id_and_what_else_it_knows() -> None:
    draft = lead(
        action_source="phone_call",
        user_data={"gclid": "C", "wbraid": "W"},
        custom_data={
            "currency": "USD",
            "contents": [{"id": "A", "item_price": 2}],
            "properties": {"new": "yes", "customer_type": "NEW", "discount": 1},
        },
        consent={"ad_user_data": "granted"},
    )

    result = mapped(draft, **OLD, **{**CART, "custom_variables": {"new": "123"}})

    assert left_out(result) == [("wbraid", "user_data.wbraid")]
    assert result.item == {
        "gclid": "C",
        "conversionAction": "customers/1234567890/conversionActions/7000000002",
        "conversionDateTime": "2026-11-20 14:11:05+00:00",
        "currencyCode": "USD",
        "orderId": "lead-1",
        "cartData": {
            "merchantId": "5551234",
            "feedCountryCode": "US",
            "feedLanguageCode": "en",
            "localTransactionCost": 1,
            "items": [{"productId": "A", "quantity": 1, "unitPrice": 2}],
        },
        "customVariables": [
            {"conversionCustomVariable": "customers/1234567890/conversionCustomVariables/123", "value": "yes"}
        ],
        "customerType": "NEW",
        "consent": {"adUserData": "GRANTED"},
    }


def test_events_of_one_action_share_a_request_and_the_encoding_of_any() -> None:
    first, second = mapped(lead(user_data={"gclid": "C"})), mapped(lead(event_id="lead-2"))

    body = MAPPER.build_request("7000000002", [first.item, second.item], {**SETTINGS, "login_customer_id": None}).body

    assert first.group == second.group == "7000000002"
    assert body == {
        "destinations": [
            {
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "productDestinationId": "7000000002",
            }
        ],
        "events": [first.item, second.item],
        "encoding": "HEX",
    }


KEY = {
    "type": "service_account",
    "client_email": "a@b.iam.gserviceaccount.com",
    "private_key": "a-private-key",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.mark.parametrize(
    ("settings", "auth"),
    [
        pytest.param(
            {},
            RefreshedToken("https://oauth2.googleapis.com/token", {"grant_type": "refresh_token", **OAUTH}),
            id="refresh token",
        ),
        pytest.param(
            {"service_account": KEY},
            ServiceAccount(KEY, "https://www.googleapis.com/auth/datamanager"),
            id="service account",
        ),
        pytest.param(
            {"service_account": '{"type": "service_account"}', "legacy_upload": True},
            ServiceAccount({"type": "service_account"}, "https://www.googleapis.com/auth/adwords"),
            id="service account as text, old upload",
        ),
    ],
)
def test_credentials_are_described_and_not_sent(settings: dict[str, Any], auth: Any) -> None:
    used = {**SETTINGS, **settings}
    result = mapped(lead(), **settings)
    request = MAPPER.build_request(result.group, [result.item], used)

    assert request.auth == auth
    assert not any(secret in f"{request.url}{request.body}{request!r}" for secret in (*OAUTH.values(), "a-private-key"))


def test_old_upload_names_the_manager_in_a_header() -> None:
    assert MAPPER.build_request("conversions", [], {**SETTINGS, **OLD}).headers == {"login-customer-id": "9876543210"}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("email", "  Jane.Doe+News@Gmail.com ", JANE),
        (
            "email",
            "cloudy.sanfrancisco+shopping@gmail.com",
            "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4",
        ),
        ("email", "user.name+NYC@Example.com", "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac"),
        ("email", JANE.upper(), JANE),
        ("email", "jane", None),
        ("phone", "+1 (650) 555-0123", JANES_PHONE),
        ("phone", "(650)555-1212", "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8"),
        ("phone", "+44 20 7946 0958", "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d"),
        ("phone", "(800)555-0100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
        ("first_name", " Jane", FIRST_NAME),
        ("first_name", "Mrs. Jane", sha("mrs. jane")),
        ("first_name", " Anne-Marie ", sha("anne-marie")),
        ("first_name", "Zoe\u0308", sha("zo\u00eb")),
        ("first_name", "null", None),
        ("first_name", sha(""), None),
        ("first_name", FIRST_NAME.upper(), FIRST_NAME),
        ("first_name", MD5, None),
        ("first_name", " - ", None),
        ("last_name", "Doe", DOE),
        ("last_name", "O'Neil", ONEIL),
        ("last_name", "O'Connor", sha("o'connor")),
        ("last_name", "van  der Berg Jr.", sha("van  der berg jr.")),
        ("country", " us", "US"),
        ("country", "Atlantis", None),
        ("last_name", "van\u00a0der Berg", sha("van der berg")),
        ("zip", " 94107-1234 ", "94107-1234"),
        ("zip", "94107\u200b", "94107"),
        ("zip", "\uff33\uff37\uff11A\u00a01AA", "SW1A 1AA"),
        ("zip", "SW1A 1AA", "SW1A 1AA"),
        ("zip", JANE, None),
        ("client_ip", " 203.0.113.42", "203.0.113.42"),
        ("client_ip", "localhost", None),
        ("client_ip", "::ffff:203.0.113.42", "203.0.113.42"),
        ("client_ip", "[2001:DB8::0:1]:443", "2001:db8::1"),
        ("client_user_agent", " curl/8 ", "curl/8"),
        ("gclid", GCLID, GCLID),
        ("wbraid", "two words", None),
        ("gclid", "{gclid}", None),
        ("gclid", "undefined", None),
    ],
)
def test_value_is_normalised_to(field: str, value: str, expected: str | None) -> None:
    assert MAPPER.normalise[field](value, {"default_country": "US"}) == expected


def violation(field: str, reason: str | None, description: str = "It is wrong.") -> dict[str, Any]:
    found = {"field": field, "description": description, "reason": reason}
    return {key: value for key, value in found.items() if value is not None}


def error(status: int, name: str, *violations: dict[str, Any], reason: str | None = None) -> PlatformReply:
    """An error of the Data Manager API."""
    details: list[dict[str, Any]] = []
    if reason:
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason})
    if violations:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": list(violations)})
    body = {"error": {"code": status, "message": "There was a problem.", "status": name, "details": details}}
    return PlatformReply(status, body)


A_PAGE = "a web page came back instead of the platform's answer, such as a proxy's"
AT_3 = "events.events[3].event_timestamp"
AT_DESTINATION = "destinations.destinations[0].product_destination_id"
SIX_HOURS = 21600.0
SETUP_CODES = (
    "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
    "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
    "TERMS_AND_CONDITIONS_NOT_SIGNED",
    "NOT_ALLOWLISTED",
    "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(PlatformReply(200, {"requestId": "r-1"}), [Acknowledged(), Acknowledged()], id="taken"),
        pytest.param(
            PlatformReply(200, {"requestId": "r-1", "fieldWarnings": [{"field": "events.events[0].cart_data"}]}),
            [Acknowledged(200, "events.events[0].cart_data: not used", "noted"), Acknowledged()],
            id="taken with warnings",
        ),
        pytest.param(
            PlatformReply(
                200,
                {
                    "requestId": "r-1",
                    "fieldWarnings": [
                        {"field": "events.events[1].event_time", "reason": "SHORT", "description": "too short"},
                        {"field": "encoding", "reason": "UNUSED"},
                        "odd",
                    ],
                },
            ),
            [
                Acknowledged(200, "encoding: UNUSED", "noted"),
                Acknowledged(200, "events.events[1].event_time: too short; encoding: UNUSED", "noted"),
            ],
            id="taken with warnings of one and of all",
        ),
        pytest.param(
            PlatformReply(200, {}),
            [Unreachable("the answer does not confirm the events", 200, code="unconfirmed")] * 2,
            id="nothing confirmed",
        ),
        pytest.param(
            PlatformReply(200, None),
            [Unreachable("the answer does not confirm the events", 200, code="unconfirmed")] * 2,
            id="no JSON",
        ),
        pytest.param(
            PlatformReply(200, None, {"content-type": "text/html"}, "<html>Sign in</html>"),
            [Unreachable(A_PAGE, 200, may_have_arrived=False, code="intercepted")] * 2,
            id="a web page",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation(AT_3, "REQUIRED_FIELD_MISSING"), reason="INVALID_ARGUMENT"),
            BatchRejected(Rejected("REQUIRED_FIELD_MISSING", f"{AT_3}: It is wrong.", 400)),
            id="one event is wrong",
        ),
        pytest.param(
            error(200, "INVALID_ARGUMENT", violation(AT_3, "REQUIRED_FIELD_MISSING")),
            BatchRejected(Rejected("REQUIRED_FIELD_MISSING", f"{AT_3}: It is wrong.", 200)),
            id="an error inside a good answer",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation("events[1]", None)),
            BatchRejected(Rejected("INVALID_ARGUMENT", "events[1]: It is wrong.", 400)),
            id="JSON that cannot be read",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT"),
            BatchRejected(Rejected("INVALID_ARGUMENT", "There was a problem.", 400)),
            id="wrong without a place",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation(AT_DESTINATION, "INVALID_CONVERSION_ACTION_ID")),
            [Rejected("INVALID_CONVERSION_ACTION_ID", f"{AT_DESTINATION}: It is wrong.", 400)] * 2,
            id="conversion action unknown",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation("encoding", "INVALID_ENUM_VALUE")),
            [Rejected("INVALID_ENUM_VALUE", "encoding: It is wrong.", 400)] * 2,
            id="something of the whole request",
        ),
        pytest.param(error(404, "NOT_FOUND"), [Rejected("NOT_FOUND", "There was a problem.", 404)] * 2, id="not found"),
        pytest.param(
            error(400, "FAILED_PRECONDITION"),
            BatchRejected(Rejected("FAILED_PRECONDITION", "There was a problem.", 400)),
            id="failed precondition",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation("events.events[0].transaction_id", "DUPLICATE_TRANSACTION_ID")),
            BatchRejected(Rejected("DUPLICATE_TRANSACTION_ID", "events.events[0].transaction_id: It is wrong.", 400)),
            id="one event is there already",
        ),
        *(
            pytest.param(
                error(400, "INVALID_ARGUMENT", violation(AT_DESTINATION, code)),
                [CredentialsRefused(code, f"{AT_DESTINATION}: It is wrong.", 400)] * 2,
                id=code,
            )
            for code in SETUP_CODES
        ),
        pytest.param(
            error(400, "FAILED_PRECONDITION", violation(AT_DESTINATION, "CONVERSION_ACTION_TOO_RECENTLY_CREATED")),
            [RateLimited(SIX_HOURS, "CONVERSION_ACTION_TOO_RECENTLY_CREATED", f"{AT_DESTINATION}: It is wrong.", 400)]
            * 2,
            id="conversion action too new",
        ),
        pytest.param(
            error(401, "UNAUTHENTICATED", reason="ACCESS_TOKEN_EXPIRED"),
            [CredentialsRefused("UNAUTHENTICATED", "There was a problem.", 401)] * 2,
            id="token expired",
        ),
        pytest.param(
            error(403, "PERMISSION_DENIED", reason="SERVICE_DISABLED"),
            [CredentialsRefused("SERVICE_DISABLED", "There was a problem.", 403)] * 2,
            id="API switched off",
        ),
        pytest.param(
            error(403, "PERMISSION_DENIED"),
            [CredentialsRefused("PERMISSION_DENIED", "There was a problem.", 403)] * 2,
            id="no access",
        ),
        pytest.param(
            error(429, "RESOURCE_EXHAUSTED"),
            [RateLimited(None, "RESOURCE_EXHAUSTED", "There was a problem.", 429)] * 2,
            id="too fast",
        ),
        *(
            pytest.param(
                error(status, name), [Unreachable("There was a problem.", status, code=name)] * 2, id=name.lower()
            )
            for status, name in (
                (500, "INTERNAL"),
                (500, "UNKNOWN"),
                (409, "ABORTED"),
                (503, "UNAVAILABLE"),
                (504, "DEADLINE_EXCEEDED"),
            )
        ),
        pytest.param(PlatformReply(502), [Unreachable("the platform gave no reason", 502, code="502")] * 2, id="proxy"),
        pytest.param(
            PlatformReply(413), BatchRejected(Rejected("413", "the platform gave no reason", 413)), id="too large"
        ),
        pytest.param(PlatformReply(404), [Rejected("404", "the platform gave no reason", 404)] * 2, id="wrong address"),
        pytest.param(
            PlatformReply(401),
            [CredentialsRefused("401", "the platform gave no reason", 401)] * 2,
            id="401 without words",
        ),
    ],
)
def test_answer_of_the_data_manager_to_two_events_means(reply: PlatformReply, verdict: Verdict) -> None:
    assert MAPPER.read_reply(reply, 2) == verdict


def test_retry_after_is_heeded() -> None:
    limited = error(429, "RESOURCE_EXHAUSTED")
    reply = PlatformReply(429, limited.json, {"retry-after": "12"})

    assert MAPPER.read_reply(reply, 1) == [RateLimited(12.0, "RESOURCE_EXHAUSTED", "There was a problem.", 429)]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation("events.events[0]", "NO_IDENTIFIERS_PROVIDED")),
            Rejected("NO_IDENTIFIERS_PROVIDED", "events.events[0]: It is wrong.", 400),
            id="wrong",
        ),
        pytest.param(
            error(400, "INVALID_ARGUMENT", violation("events.events[0]", "DUPLICATE_TRANSACTION_ID")),
            Acknowledged(400),
            id="there already",
        ),
        pytest.param(PlatformReply(413), Rejected("413", "the platform gave no reason", 413), id="too large"),
    ],
)
def test_refusal_of_a_lone_event_is_its_own(reply: PlatformReply, outcome: Outcome) -> None:
    assert MAPPER.read_reply(reply, 1) == [outcome]


def test_no_address_of_an_answer_gets_into_an_outcome() -> None:
    reply = error(400, "INVALID_ARGUMENT", violation("events[0]", "INVALID_FORMAT", "jane@example.com +1 650 555 0123"))

    assert MAPPER.read_reply(reply, 1) == [Rejected("INVALID_FORMAT", "events[0]: … …", 400)]


def row_error(code: str, index: int | None = 1, **more: Any) -> dict[str, Any]:
    location = (
        {} if index is None else {"location": {"fieldPathElements": [{"fieldName": "conversions", "index": index}]}}
    )
    return {"errorCode": {"conversionUploadError": code}, "message": "It is wrong.", **location, **more}


def partial(*errors: dict[str, Any], results: Any = ...) -> PlatformReply:
    failure = {"code": 3, "message": "Some failed.", "details": [{"@type": "GoogleAdsFailure", "errors": list(errors)}]}
    rows = [{"orderId": "a"}, {}, {"orderId": "c"}] if results is ... else results
    body = {"partialFailureError": failure, "jobId": "1", **({} if rows is None else {"results": rows})}
    return PlatformReply(200, body)


ROWS_OK = {"results": [{"orderId": "a"}, {"orderId": "b"}, {"orderId": "c"}], "jobId": "1"}
FINAL_CODES = (
    *(
        "CLICK_NOT_FOUND",
        "UNPARSEABLE_GCLID",
        "EXPIRED_EVENT",
        "CONVERSION_PRECEDES_EVENT",
        "INVALID_CUSTOMER_FOR_CLICK",
    ),
    *(
        "NO_CONVERSION_ACTION_FOUND",
        "INVALID_CONVERSION_ACTION_TYPE",
        "GBRAID_WBRAID_BOTH_SET",
        "ORDER_ID_CONTAINS_PII",
    ),
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *((code, Rejected(code, "It is wrong.", 200)) for code in FINAL_CODES),
        ("CLICK_CONVERSION_ALREADY_EXISTS", Acknowledged()),
        ("ORDER_ID_ALREADY_IN_USE", Acknowledged()),
        ("TOO_RECENT_EVENT", RateLimited(SIX_HOURS, "TOO_RECENT_EVENT", "It is wrong.", 200)),
        ("TOO_RECENT_CONVERSION_ACTION", RateLimited(SIX_HOURS, "TOO_RECENT_CONVERSION_ACTION", "It is wrong.", 200)),
        ("TRANSIENT_ERROR", Unreachable("It is wrong.", 200, code="TRANSIENT_ERROR")),
        ("INTERNAL_ERROR", Unreachable("It is wrong.", 200, code="INTERNAL_ERROR")),
        ("RESOURCE_EXHAUSTED", RateLimited(None, "RESOURCE_EXHAUSTED", "It is wrong.", 200)),
        *(
            (code, CredentialsRefused(code, "It is wrong.", 200))
            for code in (
                "OAUTH_TOKEN_EXPIRED",
                "OAUTH_TOKEN_INVALID",
                "OAUTH_TOKEN_REVOKED",
                "TWO_STEP_VERIFICATION_NOT_ENROLLED",
                "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
                "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
                "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
            )
        ),
    ],
)
def test_refused_row_of_the_old_upload_leaves_its_neighbours(code: str, outcome: Outcome) -> None:
    assert MAPPER.read_reply(partial(row_error(code)), 3) == [Acknowledged(), outcome, Acknowledged()]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(PlatformReply(200, ROWS_OK), [Acknowledged()] * 3, id="all taken"),
        pytest.param(PlatformReply(200, {"jobId": "1"}), [Acknowledged()] * 3, id="all valid, without results"),
        pytest.param(
            PlatformReply(200, {"results": [{"orderId": "a"}]}),
            [Unreachable("the answer does not confirm the events", 200, code="unconfirmed")] * 3,
            id="results missing",
        ),
        pytest.param(
            partial(row_error("EXPIRED_EVENT", 0), results=None),
            [Rejected("EXPIRED_EVENT", "It is wrong.", 200), Acknowledged(), Acknowledged()],
            id="one invalid, without results",
        ),
        pytest.param(
            partial(row_error("EXPIRED_EVENT", None)),
            [Acknowledged(), Rejected("EXPIRED_EVENT", "It is wrong.", 200), Acknowledged()],
            id="error without an index is about the empty row",
        ),
        pytest.param(
            partial(),
            [Acknowledged(), Rejected("partial_failure", "Some failed.", 200), Acknowledged()],
            id="failure without errors",
        ),
        pytest.param(
            PlatformReply(
                400,
                {
                    "error": {
                        "code": 400,
                        "message": "Request contains an invalid argument.",
                        "status": "INVALID_ARGUMENT",
                        "details": [{"errors": [{"errorCode": {"requestError": "UNKNOWN_FIELD"}, "message": "No."}]}],
                    }
                },
            ),
            BatchRejected(Rejected("UNKNOWN_FIELD", "No.", 400)),
            id="whole request refused",
        ),
        pytest.param(
            PlatformReply(401, [{"error": {"code": 401, "message": "No.", "status": "UNAUTHENTICATED"}}]),
            [CredentialsRefused("UNAUTHENTICATED", "No.", 401)] * 3,
            id="401 in a list",
        ),
        pytest.param(
            PlatformReply(
                429,
                {
                    "error": {
                        "code": 429,
                        "message": "Quota.",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [
                            {
                                "errors": [
                                    {
                                        "errorCode": {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"},
                                        "message": "Too fast.",
                                        "details": {"quotaErrorDetails": {"retryDelay": "30s"}},
                                    }
                                ]
                            }
                        ],
                    }
                },
            ),
            [RateLimited(30.0, "RESOURCE_TEMPORARILY_EXHAUSTED", "Too fast.", 429)] * 3,
            id="quota with a delay",
        ),
        pytest.param(
            PlatformReply(503, {"error": {"code": 503, "message": "Later.", "status": "UNAVAILABLE"}}),
            [Unreachable("Later.", 503, code="UNAVAILABLE")] * 3,
            id="unavailable",
        ),
    ],
)
def test_answer_of_the_old_upload_to_three_rows_means(reply: PlatformReply, verdict: Verdict) -> None:
    assert MAPPER.read_reply(reply, 3) == verdict


PROCESSING_REASONS = (
    *(
        "EVENT_TOO_OLD",
        "DENIED_CONSENT",
        "NO_CONSENT",
        "UNKNOWN_CONSENT",
        "DUPLICATE_GCLID",
        "DUPLICATE_TRANSACTION_ID",
    ),
    *("INVALID_GCLID", "INVALID_GBRAID", "INVALID_WBRAID", "CONVERSION_PRECEDES_CLICK", "INVALID_CLICK"),
    *("CLICK_NOT_FOUND", "INVALID_OPERATING_ACCOUNT_FOR_CLICK", "TOO_RECENT_CLICK", "INTERNAL_ERROR"),
)
OTHER_CODES = (
    *("REQUIRED_FIELD_MISSING", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "NO_IDENTIFIERS_PROVIDED"),
    *("EVENT_TIME_INVALID", "INVALID_SHA256_FORMAT", "INVALID_HEX_ENCODING", "TOO_MANY_EVENTS", "UNAUTHENTICATED"),
    *("EVENT_SOURCE_AND_DESTINATION_MISMATCH", "INVALID_AD_IDENTIFIER_FOR_ACCOUNT", "INVALID_CONVERSION_ACTION_ID"),
    *("CUSTOM_VARIABLE_NOT_ENABLED", "CONVERSION_ACTION_TOO_RECENTLY_CREATED", "PERMISSION_DENIED", "SERVICE_DISABLED"),
    *("RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "ABORTED", "invalid_grant"),
    *("TOO_RECENT_EVENT", "TOO_RECENT_CONVERSION_ACTION", "TRANSIENT_ERROR", "RESOURCE_TEMPORARILY_EXHAUSTED"),
    *("OAUTH_TOKEN_EXPIRED", "OAUTH_TOKEN_INVALID", "OAUTH_TOKEN_REVOKED", "TWO_STEP_VERIFICATION_NOT_ENROLLED"),
    *("CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS"),
    *("CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS", "CLICK_CONVERSION_ALREADY_EXISTS"),
    *(
        "ORDER_ID_ALREADY_IN_USE",
        "partial_failure",
        "unconfirmed",
        "400",
        "401",
        "403",
        "404",
        "429",
        "500",
        "503",
        "504",
    ),
)


@pytest.mark.parametrize("code", sorted({*SETUP_CODES, *FINAL_CODES, *PROCESSING_REASONS, *OTHER_CODES}))
def test_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].next_step != ""


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("customer_id", "1234567890", None),
        ("customer_id", "123-456-7890", "must be 10 digits without hyphens"),
        ("login_customer_id", "987654321", "must be 10 digits without hyphens"),
        ("conversion_actions", {"*": 7000000001}, None),
        (
            "conversion_actions",
            {"Purchase": "AW-123/label"},
            "must give ids of digits only: the ctId of the action's address, not the AW-... label of the tag",
        ),
        ("conversion_actions", {}, 'must map event names to conversion action ids, such as {"Purchase": "7000000001"}'),
        ("tag_conversion_actions", "1", 'must be a list of conversion action ids, such as ["8000000001"]'),
        ("service_account", KEY, None),
        ("service_account", "{}", "must be the JSON key file of a service account"),
        ("service_account", "no JSON", "must be the JSON key file of a service account"),
        (
            "service_account",
            {**KEY, "token_uri": "https://elsewhere.example.com/token"},
            "must name https://oauth2.googleapis.com/token as its token_uri",
        ),
        ("merchant_center_id", "M-1", "must be digits only"),
        ("feed_label", {"GBP": "GB", "*": "US"}, None),
        ("feed_label", "us", 'must be a feed label such as US, or one for each currency: {"GBP": "GB"}'),
        ("feed_language", "english", "must be a two-letter language code such as en"),
        (
            "custom_variables",
            {"score": ""},
            'must map names of your properties to custom variables, such as {"score": "quiz_score"}',
        ),
        ("require_consent", "yes", "must be never, eea or always"),
        ("validate_only", 1, "must be true or false"),
        ("legacy_upload", "true", "must be true or false"),
    ],
)
def test_setting_is_checked(name: str, value: Any, complaint: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)
    assert setting.check is not None
    assert setting.check(value) == complaint


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({}, None, id="refresh token"),
        pytest.param({**dict.fromkeys(OAUTH), "service_account": KEY}, None, id="service account"),
        pytest.param(dict.fromkeys(OAUTH), "client_id", id="no credentials"),
        pytest.param({"refresh_token": None}, "refresh_token", id="credentials in part"),
        pytest.param(
            {"conversion_actions": {"Purchase": "1", "Refund": "1"}}, None, id="refund restates the purchase's action"
        ),
        pytest.param(
            {"conversion_actions": {"Purchase": "1", "Refund": "2"}},
            "conversion_actions",
            id="refund of another action",
        ),
        pytest.param(
            {"tag_conversion_actions": ["9"]}, "tag_conversion_actions", id="action of the tag that is not mapped"
        ),
        pytest.param({**OLD, "custom_variables": {"a": "b"}}, "custom_variables", id="old upload, variables by name"),
        pytest.param({**OLD, "custom_variables": {"a": "12"}}, None, id="old upload, variables by id"),
    ],
)
def test_settings_must_fit_each_other(changed: dict[str, Any], field: str | None) -> None:
    problems = check_settings(MAPPER, {**SETTINGS, **changed})

    assert [(problem.field, problem.code) for problem in problems] == (
        [] if field is None else [(("settings", field), "INVALID_SETTING")]
    )


def test_examples_are_good_settings_with_one_set_of_credentials() -> None:
    examples = example_settings(MAPPER)

    assert sorted(examples) == [
        "client_id",
        "client_secret",
        "conversion_actions",
        "customer_id",
        "default_country",
        "refresh_token",
    ]
    assert check_settings(MAPPER, examples) == []


def test_limits_of_a_request_are_googles() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes) == (2000, None)
    assert MAPPER.test_mode == {"validate_only": True}
