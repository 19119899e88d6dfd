"""Google Analytics 4: worked examples, refusals, normalisation, answers and settings of its mapper."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from tests.mappers.helpers import Asked, left_out
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    CredentialsRefused,
    DropReason,
    PlatformReply,
    QueryToken,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.normalise import sha256_hex as sha
from tracklayer.mappers import outgoing
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.ga4 import MAPPER
from tracklayer.services.destinations import check_settings

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {"measurement_id": "G-ABC123DEF4", "api_secret": "a-secret-of-the-stream"}
)
LIVE = "https://www.google-analytics.com/mp/collect?measurement_id=G-ABC123DEF4"
DEBUG = "https://www.google-analytics.com/debug/mp/collect?measurement_id=G-ABC123DEF4"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
JANE = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"  # janedoe@gmail.com
JANES_PHONE = "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0"  # +16505550123
FIRST_NAME = "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"  # jane
ONEIL = "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c"  # oneil
MAIN_STREET = "c56a092e33fef672c4d8658e31ad4b17e8ceac569d5a88ca481846966d364fe5"  # 123 main st
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
LEAD: dict[str, Any] = {
    "event_name": "Lead",
    "event_id": "lead-1",
    "occurred_at": "2026-11-20T14:11:05Z",
    "action_source": "website",
    "user_data": {"ga_client_id": "555.666", "ga_session_id": "1795184000"},
}


ASKED = Asked(MAPPER, SETTINGS, NOW)
read, mapped, refused = ASKED.read, ASKED.mapped_with, ASKED.refused_with


def lead(**changed: Any) -> dict[str, Any]:
    """A good lead with more in ``user_data``; ``...`` leaves a field out."""
    person = {**LEAD["user_data"], **changed.pop("user_data", {})}
    whole = {**LEAD, **changed, "user_data": {key: value for key, value in person.items() if value is not ...}}
    return {key: value for key, value in whole.items() if value is not ...}


def presented(draft: dict[str, Any]) -> Mapped:
    """As it leaves: without what is personal and in plain text, which is the same for all platforms."""
    result = outgoing.map_event(MAPPER, read(draft), SETTINGS, NOW)
    assert isinstance(result, Mapped), result
    return result


def params(result: Mapped) -> dict[str, Any]:
    """The event's parameters without those of every lead above."""
    given: dict[str, Any] = result.item["events"][0]["params"]
    assert given.pop("engagement_time_msec") == 1
    given.pop("session_id", None)
    return given


QUIZ: dict[str, Any] = {
    "event_name": "QuizFinished",
    "event_id": "quiz-9f2",
    "occurred_at": "2026-11-20T14:12:00Z",
    "action_source": "website",
    "event_source_url": "https://shop.example.com/quiz",
    "user_data": {
        "ga_client_id": "1234567890.1794000000",
        "ga_session_id": "1795182000",
        "fbp": "fb.1.1794000000123.1098115397",
    },
    "custom_data": {"properties": {"quiz_name": "Skin type", "score": 87}},
}
EXAMPLES = [
    pytest.param(
        {
            "event_name": "Purchase",
            "event_id": "ord-10042",
            "occurred_at": "2026-11-20T14:03:12.345Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/thank-you?order=10042",
            "user_data": {
                "email": "  Jane.Doe@Gmail.com ",
                "phone": "+1 (650) 555-0123",
                "first_name": " Jane",
                "last_name": "O'Neil",
                "city": "San Francisco",
                "state": "CA",
                "zip": "94107",
                "country": "us",
                "external_id": "Cust-7781",
                "client_ip": "203.0.113.42",
                "client_user_agent": CHROME,
                "ga_client_id": "1234567890.1794000000",
                "ga_session_id": "1795182000",
            },
            "custom_data": {
                "value": 129.9,
                "currency": "usd",
                "order_id": "10042",
                "contents": [
                    {"id": "SKU-1", "quantity": 2, "item_price": 39.95, "title": "Wool sock"},
                    {"id": "SKU-2", "quantity": 1, "item_price": 50, "brand": "Acme", "title": "Scarf"},
                ],
                "num_items": 3,
                "properties": {"referrer_url": "https://shop.example.com/checkout"},
            },
            "consent": {"ad_user_data": "granted", "ad_personalization": "denied"},
        },
        {},
        LIVE,
        {
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
                            {
                                "item_id": "SKU-2",
                                "item_name": "Scarf",
                                "item_brand": "Acme",
                                "price": 50,
                                "quantity": 1,
                            },
                        ],
                    },
                }
            ],
        },
        id="full purchase",
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
                "external_id": "Cust-551",
                "ga_client_id": "1234567890.1794000000",
                "ga_session_id": "1795172000",
            },
            "custom_data": {"properties": {"method": "email"}},
        },
        {},
        LIVE,
        {
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
        id="hashed before",
    ),
    pytest.param(
        {
            "event_name": "Lead",
            "event_id": "lead-552",
            "occurred_at": "2026-11-20T14:11:05Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/newsletter",
            "user_data": {"ga_client_id": "555.666"},
        },
        {},
        LIVE,
        {
            "client_id": "555.666",
            "events": [
                {
                    "name": "generate_lead",
                    "timestamp_micros": 1795183865000000,
                    "params": {"engagement_time_msec": 1, "page_location": "https://shop.example.com/newsletter"},
                }
            ],
        },
        id="lead with a client id alone",
    ),
    pytest.param(
        QUIZ,
        {},
        LIVE,
        {
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
                "ga_client_id": "777.888",
                "ga_session_id": "1795183000",
                "client_ip": "198.51.100.7",
                "client_user_agent": CHROME,
            },
            "custom_data": {
                "value": 74.5,
                "currency": "GBP",
                "contents": [
                    {"id": "TEE-S", "quantity": 1, "item_price": 19.5, "brand": "Acme", "title": "Tee S"},
                    {"id": "TEE-M", "quantity": 2, "item_price": 20, "brand": "Acme", "title": "Tee M"},
                    {"id": "CAP", "quantity": 1, "item_price": 15, "category": "Hats", "title": "Cap"},
                ],
            },
        },
        {},
        LIVE,
        {
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
                            {
                                "item_id": "TEE-S",
                                "item_name": "Tee S",
                                "item_brand": "Acme",
                                "price": 19.5,
                                "quantity": 1,
                            },
                            {
                                "item_id": "TEE-M",
                                "item_name": "Tee M",
                                "item_brand": "Acme",
                                "price": 20,
                                "quantity": 2,
                            },
                            {"item_id": "CAP", "item_name": "Cap", "item_category": "Hats", "price": 15, "quantity": 1},
                        ],
                    },
                }
            ],
        },
        id="several products",
    ),
    pytest.param(
        {
            "event_name": "Refund",
            "event_id": "rf-1",
            "occurred_at": "2026-11-20T14:40:00Z",
            "action_source": "system_generated",
            "user_data": {"ga_client_id": "1234567890.1794000000"},
            "custom_data": {
                "order_id": "10042",
                "value": 50,
                "currency": "USD",
                "contents": [{"id": "SKU-2", "quantity": 1, "item_price": 50}],
            },
        },
        {},
        LIVE,
        {
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
        id="partial refund",
    ),
    pytest.param(
        {
            "event_name": "Search",
            "event_id": "s-1",
            "occurred_at": "2026-11-20T14:41:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/search?q=cap",
            "user_data": {"ga_client_id": "555.666", "ga_session_id": "1795184000"},
            "custom_data": {"search_string": "cap"},
        },
        {"validate_only": True},
        DEBUG,
        {
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
        id="validation",
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


def test_secret_is_neither_in_the_url_nor_in_the_body_nor_in_a_repr() -> None:
    result = mapped(LEAD)
    request = MAPPER.build_request(result.group, [result.item], SETTINGS)

    assert request.auth == QueryToken("api_secret", "a-secret-of-the-stream")
    assert "a-secret" not in f"{request.url}{request.body}{request!r}"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        pytest.param({}, LIVE, id="anywhere"),
        pytest.param({"eu_endpoint": True}, LIVE.replace("www", "region1"), id="in the EU"),
        pytest.param({"validate_only": True}, DEBUG, id="validation"),
        pytest.param(
            {"eu_endpoint": True, "validate_only": True}, DEBUG.replace("www", "region1"), id="validation in the EU"
        ),
    ],
)
def test_address_follows_the_settings(settings: dict[str, Any], url: str) -> None:
    result = mapped(LEAD)

    assert MAPPER.build_request(result.group, [result.item], {**SETTINGS, **settings}).url == url


@pytest.mark.parametrize(
    ("draft", "reason", "field"),
    [
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "ord-10050",
                "occurred_at": "2026-11-20T14:21:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you",
                "user_data": {"email": "a@example.com", "client_ip": "203.0.113.9"},
                "custom_data": {"value": 10, "currency": "USD", "order_id": "10050"},
            },
            DropReason.MISSING_IDENTIFIERS,
            "user_data.ga_client_id",
            id="no client id",
        ),
        pytest.param(
            {
                "event_name": "AddToCart",
                "event_id": "atc-1",
                "occurred_at": "2026-11-17T14:00:00Z",
                "action_source": "website",
                "user_data": {"ga_client_id": "555.666"},
                "custom_data": {"value": 10, "currency": "USD"},
            },
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="73 hours old",
        ),
        pytest.param(
            {
                "event_name": "session_start",
                "event_id": "x-1",
                "occurred_at": "2026-11-20T14:22:00Z",
                "action_source": "website",
                "user_data": {"ga_client_id": "555.666"},
            },
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            id="reserved name",
        ),
        pytest.param(
            lead(event_name="Purchase", event_id="x" * 101),
            DropReason.INVALID_FIELD,
            "event_id",
            id="purchase without order id, event id too long",
        ),
        pytest.param(
            lead(user_data={"ga_client_id": "GS2.1.s1747123456$o5$g1$t1747123999$j60$l0$h0"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data.ga_client_id",
            id="the session's cookie as client id",
        ),
        pytest.param(
            lead(user_data={"ga_client_id": "undefined"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data.ga_client_id",
            id="placeholder as client id",
        ),
        pytest.param(
            lead(user_data={"ga_client_id": "two words"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data.ga_client_id",
            id="malformed client id",
        ),
        pytest.param(
            lead(event_name="notification_open"), DropReason.UNSUPPORTED_EVENT, "event_name", id="reserved prefix"
        ),
        pytest.param(
            lead(event_name="screen view"), DropReason.UNSUPPORTED_EVENT, "event_name", id="reserved once it is mended"
        ),
        pytest.param(
            lead(event_name="2nd step"), DropReason.INVALID_FIELD, "event_name", id="name that begins with a digit"
        ),
        pytest.param(
            lead(event_name="Événement"),
            DropReason.INVALID_FIELD,
            "event_name",
            id="name that begins with another letter",
        ),
        pytest.param(
            lead(event_name="refund"), DropReason.INVALID_FIELD, "custom_data.order_id", id="refund without order id"
        ),
        pytest.param(
            lead(event_name="Purchase", custom_data={"value": 10, "order_id": "1"}),
            DropReason.INVALID_FIELD,
            "custom_data.currency",
            id="purchase of a value without currency",
        ),
        pytest.param(
            lead(custom_data={"order_id": "x" * 101}),
            DropReason.INVALID_FIELD,
            "custom_data.order_id",
            id="order id too long",
        ),
    ],
)
def test_event_is_refused_before_sending(draft: dict[str, Any], reason: DropReason, field: str) -> None:
    result = refused(draft)

    assert (result.reason, result.field) == (reason, field)
    assert (result.verdicts[-1].ok, result.verdicts[-1].field) == (False, field)


def test_event_is_taken_to_the_last_of_72_hours() -> None:
    event = read(LEAD)
    oldest = replace(event, occurred_at=NOW - timedelta(hours=72))

    assert isinstance(MAPPER.map_event(oldest, SETTINGS, NOW), Mapped)
    too_old = replace(event, occurred_at=NOW - timedelta(hours=72, microseconds=1))
    assert isinstance(MAPPER.map_event(too_old, SETTINGS, NOW), Refused)
    assert MAPPER.max_event_age == timedelta(hours=72)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Purchase", "purchase"),
        ("AddToCart", "add_to_cart"),
        ("InitiateCheckout", "begin_checkout"),
        ("AddPaymentInfo", "add_payment_info"),
        ("Lead", "generate_lead"),
        ("CompleteRegistration", "sign_up"),
        ("ViewContent", "view_item"),
        ("Search", "search"),
        ("AddToWishlist", "add_to_wishlist"),
        ("PageView", "page_view"),
        ("Refund", "refund"),
        ("Subscribe", "subscribe"),
        ("StartTrial", "start_trial"),
        ("Contact", "contact"),
        ("QuizFinished", "QuizFinished"),
        ("Quiz finished!", "Quiz_finished_"),
        ("x" * 50, "x" * 40),
    ],
)
def test_event_name_is_sent_as(name: str, sent: str) -> None:
    result = mapped(lead(event_name=name, custom_data={"order_id": "1"}))

    assert result.item["events"][0]["name"] == sent


@pytest.mark.parametrize(
    "name", ["Refund", "refund", "REFUND", "Refunded", "Order Refunded", "refunds/create", "charge.refunded"]
)
def test_a_refund_takes_back_a_purchase_however_a_shop_writes_it(name: str) -> None:
    custom_data = {"order_id": "order_1", "value": 10, "currency": "USD"}
    result = mapped(lead(event_name=name, custom_data=custom_data))
    assert result.item["events"][0]["name"] == "refund"
    assert left_out(result) == []
    assert refused(lead(event_name=name)).field == "custom_data.order_id"
    assert ("taken for a refund" in str(result.verdicts)) == (name not in ("Refund", "refund"))


@pytest.mark.parametrize(
    "name", ["Purchase", "purchase", "PURCHASE", "Order Completed", "orders/paid", "CompletePayment"]
)
def test_a_purchase_is_one_under_each_name_that_can_mean_nothing_else(name: str) -> None:
    custom_data = {"order_id": "order_1", "value": 10, "currency": "USD"}
    result = mapped(lead(event_name=name, custom_data=custom_data))
    assert result.item["events"][0]["name"] == "purchase"
    assert left_out(result) == []
    assert refused(lead(event_name=name, custom_data={"value": 10})).field == "custom_data.currency"
    assert ("taken for a purchase" in str(result.verdicts)) == (name not in ("Purchase", "purchase"))
    assert MAPPER.copy_memory(name, "website") == timedelta.max


@pytest.mark.parametrize("name", ["order.created", "charge.succeeded"])
def test_what_only_may_be_a_purchase_goes_out_under_its_own_name(name: str) -> None:
    assert mapped(lead(event_name=name)).item["events"][0]["name"] == name.replace(".", "_")


@pytest.mark.parametrize(("name", "sent_as"), [("Order Paid ❌", "Order_Paid__"), ("refund_申請", "refund___")])
def test_what_another_script_adds_to_a_name_is_not_overheard(name: str, sent_as: str) -> None:
    assert mapped(lead(event_name=name)).item["events"][0]["name"] == sent_as
    assert MAPPER.copy_memory(name, "website") is None


def test_tax_and_shipping_written_as_text_are_sent_as_numbers() -> None:
    properties = {"tax": "3.80", "shipping": "5", "tier": "5", "affiliation": "shop"}
    given = {"order_id": "1", "value": 20, "currency": "USD", "properties": properties}
    sent = params(mapped(lead(event_name="Purchase", custom_data=given)))
    assert [sent[key] for key in properties] == [3.8, 5, "5", "shop"]
    given["properties"] = {"tax": "none"}
    assert params(mapped(lead(event_name="Purchase", custom_data=given)))["tax"] == "none"


def test_a_user_id_is_sent_without_blanks_around_it() -> None:
    event = lead()
    event["user_data"] = {**event["user_data"], "external_id": " customer 881 "}
    assert mapped(event).item["user_id"] == "customer 881"


def test_what_may_be_a_refund_adds_no_value() -> None:
    given = {"order_id": "1", "value": 25, "currency": "USD"}
    result = mapped(lead(event_name="store/order/refund/created", custom_data=given))
    assert result.item["events"][0]["name"] == "store_order_refund_created"
    assert "value" not in params(result)
    assert ("value", "custom_data.value") in left_out(result)
    assert params(mapped(lead(event_name="refund_policy_read", custom_data=given)))["value"] == 25


def test_the_value_of_a_refund_is_sent_without_its_minus() -> None:
    result = mapped(lead(event_name="Refund", custom_data={"order_id": "1", "value": "-20.00", "currency": "USD"}))
    assert params(result)["value"] == 20
    assert [verdict.message for verdict in result.verdicts if verdict.rule == "value"] == [
        "sent without its minus: GA4 takes the value of a refund off"
    ]
    plain = mapped(lead(event_name="Refund", custom_data={"order_id": "1", "value": 20, "currency": "USD"}))
    assert params(plain) == {"transaction_id": "1", "value": 20, "currency": "USD"}
    assert [verdict for verdict in plain.verdicts if verdict.rule == "value"] == []


def test_all_amounts_of_a_refund_are_sent_without_their_minus() -> None:
    lines = [{"id": "A", "quantity": -1, "item_price": -20, "discount": "-1.50"}, {"id": "B", "item_price": 5}]
    of_shop = {"tax": -3.1, "shipping": "-4.90", "margin": -2}
    given = {"order_id": "1", "value": -20, "currency": "USD", "contents": lines, "properties": of_shop}

    result = mapped(lead(event_name="Refund", custom_data=given))

    assert params(result) == {
        "transaction_id": "1",
        "value": 20,
        "currency": "USD",
        "items": [
            {"item_id": "A", "quantity": 1, "price": 20, "discount": 1.5},
            {"item_id": "B", "quantity": 1, "price": 5},
        ],
        "tax": 3.1,
        "shipping": 4.9,
        "margin": -2,
    }
    assert [
        (one.field, one.message) for one in result.verdicts if "without" in one.message and "minus" in one.message
    ] == [
        ("custom_data.value", "sent without its minus: GA4 takes the value of a refund off"),
        ("custom_data.contents", "sent without their minus: GA4 takes the lines of a refund off"),
        ("custom_data.properties.tax", "sent without its minus: GA4 takes the tax of a refund off"),
        ("custom_data.properties.shipping", "sent without its minus: GA4 takes the shipping of a refund off"),
    ]
    del given["contents"][0]["quantity"]  # type: ignore[index]
    other = params(mapped(lead(event_name="Adjusted", custom_data=given)))
    assert (other["items"][0]["price"], other["tax"]) == (-20, -3.1)


def test_mended_name_is_told() -> None:
    result = mapped(lead(event_name="Quiz finished!"))

    assert left_out(result) == [("event_name", "event_name")]


def test_events_of_one_person_share_a_request_and_others_do_not() -> None:
    first, second = mapped(LEAD), mapped(lead(event_id="lead-2", occurred_at="2026-11-20T14:12:05Z"))
    others = [
        mapped(lead(user_data={"ga_client_id": "555.667"})),
        mapped(lead(user_data={"client_ip": "203.0.113.42"})),
        mapped(lead(user_data={"external_id": "Cust-1"})),
        mapped(lead(user_data={"email": "jane.doe@gmail.com"})),
        mapped(lead(consent={"ad_user_data": "granted"})),
    ]

    assert first.group == second.group
    assert len({first.group, *(other.group for other in others)}) == 6
    assert MAPPER.build_request(first.group, [first.item, second.item], SETTINGS).body == {
        "client_id": "555.666",
        "events": [first.item["events"][0], second.item["events"][0]],
    }


def test_group_gives_nobody_away() -> None:
    result = mapped(lead(user_data={"external_id": "Cust-1", "client_ip": "203.0.113.42"}))

    assert len(result.group) == 64
    assert not any(known in result.group for known in ("Cust-1", "203.0.113.42", "555.666"))


@pytest.mark.parametrize(
    ("consent", "sent", "has_user_data"),
    [
        pytest.param({}, None, True, id="unknown"),
        pytest.param({"ad_user_data": "granted"}, {"ad_user_data": "GRANTED"}, True, id="granted"),
        pytest.param({"ad_user_data": "denied"}, {"ad_user_data": "DENIED"}, False, id="denied"),
        pytest.param({"ad_personalization": "denied"}, {"ad_personalization": "DENIED"}, True, id="not personal"),
    ],
)
def test_consent_is_sent_and_kept_to(consent: dict[str, str], sent: dict[str, str] | None, has_user_data: bool) -> None:
    result = mapped(lead(user_data={"email": "jane.doe@gmail.com"}, consent=consent))

    assert result.item.get("consent") == sent
    assert ("user_data" in result.item) is has_user_data


def test_limited_data_use_refuses_the_consent_to_personalised_ads() -> None:
    draft = lead(consent={"ad_user_data": "granted", "ad_personalization": "granted", "limited_data_use": True})
    result = mapped(draft)

    assert result.item["consent"] == {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"}
    assert left_out(result) == []
    assert "limited_data_use" in [verdict.rule for verdict in result.verdicts]


@pytest.mark.parametrize("state", ["granted", "denied", "unspecified"])
def test_where_consent_is_required_nothing_less_than_granted_goes_out(state: str) -> None:
    event = read(lead(consent={"ad_user_data": state}))
    result = outgoing.map_event(MAPPER, event, {**SETTINGS, "require_consent": "always"}, NOW)

    assert isinstance(result, Mapped) == (state == "granted")
    if isinstance(result, Refused):
        reason = DropReason.CONSENT_DENIED if state == "denied" else DropReason.INVALID_FIELD
        assert (result.reason, result.field) == (reason, "consent.ad_user_data")


@pytest.mark.parametrize(
    ("switch", "key"),
    [
        ("send_ip", "ip_override"),
        ("send_user_agent", "user_agent"),
        ("send_user_data", "user_data"),
        ("send_user_id", "user_id"),
    ],
)
def test_privacy_switch_keeps_a_field_here(switch: str, key: str) -> None:
    draft = lead(
        user_data={
            "email": "jane.doe@gmail.com",
            "external_id": "Cust-1",
            "client_ip": "203.0.113.42",
            "client_user_agent": CHROME,
        }
    )
    everything = {"client_id", "user_id", "user_data", "ip_override", "user_agent", "events"}

    assert mapped(draft).item.keys() == everything
    for is_on, sent in ((True, everything), (False, everything - {key})):
        assert ASKED.mapped(draft, {**SETTINGS, switch: is_on}).item.keys() == sent


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("email", "jane", "email"),
        ("phone", "(650) 555-0123", "phone"),
        ("first_name", MD5, "first_name"),
        ("city", JANE, "city"),
        ("country", "Atlantis", "country"),
        ("client_ip", "999.1.1.1", "client_ip"),
        ("external_id", "jane@example.com", "external_id"),
        ("external_id", "x" * 257, "external_id"),
        ("ga_session_id", "s1795184000", "session"),
        ("ga_session_id", "1234567890.1794000000", "session"),
    ],
)
def test_malformed_identifier_is_left_out_and_the_event_goes(field: str, value: str, rule: str) -> None:
    result = mapped(lead(user_data={field: value}))

    assert left_out(result) == [(rule, f"user_data.{field}")]
    assert result.item.keys() == {"client_id", "events"}


def test_missing_session_is_told_and_none_is_invented() -> None:
    result = mapped(lead(user_data={"ga_session_id": ...}))

    assert [verdict.rule for verdict in result.verdicts] == ["event_name", "event_age", "identifiers", "session"]
    assert result.item["events"][0]["params"] == {"engagement_time_msec": 1}


@pytest.mark.parametrize(
    ("url", "sent", "is_told"),
    [
        (
            "https://shop.example.com/p?order=1&utm_source=a#top",
            "https://shop.example.com/p?order=1&utm_source=a#top",
            False,
        ),
        ("https://shop.example.com/@brand/p", "https://shop.example.com/@brand/p", False),
        ("https://shop.example.com/p?Email=jane%40example.com&a=1", "https://shop.example.com/p?a=1", True),
        ("https://shop.example.com/p?phone=%2B16505550123", "https://shop.example.com/p", True),
        ("https://shop.example.com/p?q=jane%40example.com", "https://shop.example.com/p", True),
        ("https://shop.example.com/u/jane@example.com/p", "https://shop.example.com/u/p", True),
        ("https://shop.example.com/p?street_address=1+Main+St&a=1", "https://shop.example.com/p?a=1", True),
        ("shop.example.com/p", "https://shop.example.com/p", False),
        ("https://jane:secret@shop.example.com/p", "https://shop.example.com/p", True),
        ("/p/tee", None, True),
        ("https://shop.example.com/" + "p" * 1000, "https://shop.example.com/" + "p" * 975, True),
    ],
)
def test_page_is_sent_without_what_names_a_person(url: str, sent: str | None, is_told: bool) -> None:
    result = presented(lead(event_source_url=url))

    assert params(result).get("page_location") == sent
    assert [field for _, field in left_out(result)] == (["event_source_url"] if is_told else [])


@pytest.mark.parametrize(
    ("custom_data", "sent", "fields"),
    [
        pytest.param({"value": 0, "currency": "USD"}, {"value": 0, "currency": "USD"}, [], id="value of nothing"),
        pytest.param({"currency": "EUR"}, {"currency": "EUR"}, [], id="currency alone"),
        pytest.param(
            {"product_ids": ["A", "B"]}, {"items": [{"item_id": "A"}, {"item_id": "B"}]}, [], id="product ids"
        ),
        pytest.param(
            {"product_ids": ["A"], "contents": [{"id": "B"}]},
            {"items": [{"item_id": "B", "quantity": 1}]},
            [],
            id="contents stand before product ids",
        ),
        pytest.param(
            {"contents": [{"id": "A", "title": "t" * 101}]},
            {"items": [{"item_id": "A", "item_name": "t" * 100, "quantity": 1}]},
            ["custom_data.contents.title"],
            id="long title",
        ),
        pytest.param({"num_items": 3, "content_type": "product"}, {}, [], id="no place"),
        pytest.param(
            {"content_name": "Tee", "content_category": "Shirts", "status": "new", "predicted_ltv": 12.5},
            {"content_name": "Tee", "content_category": "Shirts", "status": "new", "predicted_ltv": 12.5},
            [],
            id="under their own names",
        ),
        pytest.param(
            {"properties": {"method": "email", "tax": 1.5, "is_new": True, "page_title": "p" * 301}},
            {"method": "email", "tax": 1.5, "is_new": True, "page_title": "p" * 300},
            ["custom_data.properties.page_title"],
            id="properties",
        ),
        pytest.param(
            {"properties": {"referrer_url": "https://a.example/?a=1"}},
            {"page_referrer": "https://a.example/?a=1"},
            [],
            id="referrer",
        ),
        pytest.param(
            {"properties": {"referrer_url": "a.example/?a=1"}},
            {"page_referrer": "https://a.example/?a=1"},
            [],
            id="referrer without scheme",
        ),
        pytest.param(
            {"properties": {"none": None, "empty": ""}}, {}, ["custom_data.properties.none"], id="nothing to send"
        ),
        pytest.param(
            {"properties": {"_x": 1, "ga_x": 1, "firebase_conversion": 1, "google_x": 1, "gtag.x": 1}},
            {},
            [f"custom_data.properties.{key}" for key in ("_x", "ga_x", "firebase_conversion", "google_x", "gtag.x")],
            id="reserved names",
        ),
        pytest.param(
            {"properties": {"größe": 1, "gr\u0061\u0308ser": 2, "a.b": 3, "size$": "XL", "n" * 41: 5}},
            {"gr__e": 1, "gr_ser": 2, "a_b": 3, "size_": "XL", "n" * 40: 5},
            [],
            id="mended names",
        ),
        pytest.param(
            {"properties": {"1st": 1, "$x": 1, "ga-x": 1, "size$": 1, "size.": 2}},
            {"size_": 1},
            [f"custom_data.properties.{key}" for key in ("1st", "$x", "ga-x", "size.")],
            id="names beyond mending",
        ),
        pytest.param(
            {"contents": [{"id": "A", "variant": "red", "coupon": "SPRING", "discount": 1.5, "item_price": 10}]},
            {
                "items": [
                    {
                        "item_id": "A",
                        "item_variant": "red",
                        "coupon": "SPRING",
                        "price": 10,
                        "discount": 1.5,
                        "quantity": 1,
                    }
                ]
            },
            [],
            id="variant, coupon and discount of a line",
        ),
        pytest.param(
            {"contents": [{"id": "A", "quantity": 1.85}, {"id": "B", "quantity": "2"}, {"id": "C", "quantity": 0.2}]},
            {
                "items": [
                    {"item_id": "A", "quantity": 2},
                    {"item_id": "B", "quantity": 2},
                    {"item_id": "C", "quantity": 1},
                ]
            },
            [],
            id="goods by weight",
        ),
        pytest.param({"value": 10}, {"value": 10}, [], id="value without currency"),
        pytest.param(
            {"properties": {"value": 5, "items": "A", "session_id": "1", "debug_mode": True}},
            {},
            [f"custom_data.properties.{key}" for key in ("value", "items", "session_id", "debug_mode")],
            id="names of ours",
        ),
        pytest.param({"search_string": "jane@example.com"}, {}, ["custom_data.search_string"], id="personal data"),
        pytest.param(
            {"content_name": "ask jane@example.com", "properties": {"contact": "ask jane@example.com"}},
            {},
            ["custom_data.content_name", "custom_data.properties.contact"],
            id="an address among words",
        ),
        pytest.param(
            {"properties": {"note": "n" * 101}}, {"note": "n" * 100}, ["custom_data.properties.note"], id="long value"
        ),
    ],
)
def test_custom_data_becomes_parameters(custom_data: dict[str, Any], sent: dict[str, Any], fields: list[str]) -> None:
    result = mapped(lead(custom_data=custom_data))

    assert params(result) == sent
    assert [field for _, field in left_out(result)] == fields


def test_what_is_personal_in_plain_text_goes_to_no_parameter() -> None:
    properties = {
        "Email": "jane@example.com",
        "contact": "jane@example.com",
        "referrer_url": "https://a.example/?email=jane@example.com",
        "campaign": "Summer sale",
    }
    result = presented(lead(custom_data={"properties": properties}))

    assert params(result) == {"page_referrer": "https://a.example/", "campaign": "Summer sale"}
    assert {rule for rule, _ in left_out(result)} == {"personal_data"}


def test_analytics_360_takes_longer_values() -> None:
    custom_data = {"order_id": "o" * 101, "properties": {"note": "n" * 501}}

    assert params(mapped(lead(custom_data=custom_data), analytics_360=True)) == {
        "transaction_id": "o" * 101,
        "note": "n" * 500,
    }


def test_more_than_25_parameters_are_left_out() -> None:
    result = mapped(lead(custom_data={"properties": {f"p{number:02}": number for number in range(24)}}))

    assert params(result) == {f"p{number:02}": number for number in range(23)}
    assert left_out(result) == [("properties", "custom_data.properties.p23")]


def test_more_than_200_items_are_left_out() -> None:
    result = mapped(lead(custom_data={"product_ids": [str(number) for number in range(201)]}))

    assert len(params(result)["items"]) == 200
    assert left_out(result) == [("contents", "custom_data.product_ids")]


@pytest.mark.parametrize("settings", [{}, {"analytics_360": True}, {"validate_only": True}])
def test_lines_beyond_what_a_body_may_have_are_left_out_from_the_end(settings: dict[str, Any]) -> None:
    texts = {"title": "日" * 100, "brand": "本" * 100, "category": "語" * 100, "variant": "品" * 100}
    contents = [{"id": f"sku-{n}", **texts} for n in range(190)]
    result = mapped(lead(custom_data={"contents": contents}), **settings)

    items = params(result)["items"]
    assert [item["item_id"] for item in items] == [f"sku-{n}" for n in range(len(items))]
    body = MAPPER.build_request(result.group, [result.item], {**SETTINGS, **settings}).body
    size, line = len(orjson.dumps(body)), len(orjson.dumps(items[-1])) + 3
    assert 130_000 - 200 - line < size < 130_000
    assert left_out(result) == [("contents", "custom_data.contents")]
    told = f"left out: all but the first {len(items)}, which fill the 130,000 bytes that GA4 takes"
    assert told in [verdict.message for verdict in result.verdicts]


def test_long_product_ids_beyond_what_a_body_may_have_are_left_out_too() -> None:
    ids = [f"{n:03}" + "日" * 200 for n in range(190)] + ["last"]
    result = mapped(lead(custom_data={"product_ids": ids[:190]}), analytics_360=True)
    assert [item["item_id"] for item in params(result)["items"]] == ids[:190]
    result = mapped(lead(custom_data={"product_ids": [f"{n:03}" + "日" * 400 for n in range(190)]}), analytics_360=True)
    assert left_out(result) == [("contents", "custom_data.product_ids")]


@pytest.mark.parametrize("properties", [{"a.b": 1, "a_b": 2}, {"a_b": 2, "a.b": 1}])
def test_property_that_is_spelt_right_goes_before_one_that_is_mended(properties: dict[str, Any]) -> None:
    result = mapped(lead(custom_data={"properties": properties}))
    assert params(result) == {"a_b": 2}
    assert left_out(result) == [("properties", "custom_data.properties.a.b")]


@pytest.mark.parametrize("empty", [None, ""])
def test_mended_property_stands_in_where_the_one_spelt_right_is_none(empty: Any) -> None:
    assert params(mapped(lead(custom_data={"properties": {"a.b": 1, "a_b": empty}}))) == {"a_b": 1}


def test_list_among_the_properties_is_left_out() -> None:
    event = read(QUIZ)
    custom_data = replace(event.custom_data, properties={"answers": ["a", "c"], "score": Decimal("87.5")})

    result = MAPPER.map_event(replace(event, custom_data=custom_data), SETTINGS, NOW)

    assert isinstance(result, Mapped)
    assert left_out(result) == [("properties", "custom_data.properties.answers")]
    assert result.item["events"][0]["params"]["score"] == 87.5


def test_purchase_without_order_id_takes_the_events_id() -> None:
    draft = {
        "event_name": "Purchase",
        "event_id": "ord-10051",
        "occurred_at": "2026-11-20T14:23:00Z",
        "action_source": "website",
        "user_data": {"ga_client_id": "555.666"},
        "custom_data": {"value": 10, "currency": "USD"},
    }
    result = mapped(draft)

    assert params(result) == {"currency": "USD", "value": 10, "transaction_id": "ord-10051"}
    assert [verdict.ok for verdict in result.verdicts if verdict.field == "custom_data.order_id"] == [True]
    assert MAPPER.copy_memory("Purchase", "website") == timedelta.max


def test_value_without_currency_is_sent_and_told() -> None:
    result = mapped(lead(custom_data={"value": 10}))

    assert params(result) == {"value": 10}
    assert [verdict.ok for verdict in result.verdicts if verdict.field == "custom_data.currency"] == [True]


@pytest.mark.parametrize("name", ["earn_virtual_currency", "spend_virtual_currency"])
def test_points_have_no_currency_and_no_default_one(name: str) -> None:
    draft = lead(event_name=name, custom_data={"value": 50, "properties": {"virtual_currency_name": "Gems"}})
    result = outgoing.map_event(MAPPER, read(draft), {**SETTINGS, "default_currency": "USD"}, NOW)
    given = mapped({**draft, "custom_data": {"value": 50, "currency": "USD"}})

    assert isinstance(result, Mapped)
    assert params(result) == {"value": 50, "virtual_currency_name": "Gems"}
    assert [verdict for verdict in result.verdicts if verdict.field == "custom_data.currency"] == []
    assert params(given) == {"value": 50}
    assert left_out(given) == [("currency", "custom_data.currency")]


def test_default_currency_is_the_one_of_a_purchase_without() -> None:
    draft = lead(event_name="Purchase", custom_data={"value": 10, "order_id": "1"})
    result = outgoing.map_event(MAPPER, read(draft), {**SETTINGS, "default_currency": "EUR"}, NOW)

    assert isinstance(result, Mapped)
    assert params(result)["currency"] == "EUR"


def test_event_ahead_of_the_clock_waits_until_its_time() -> None:
    ahead = NOW + timedelta(seconds=6)
    result = outgoing.map_event(MAPPER, read(lead(occurred_at=ahead.isoformat())), SETTINGS, NOW)

    assert isinstance(result, Mapped)
    assert result.not_before == ahead


def test_three_emails_and_three_phones_go_out() -> None:
    person = {
        "email": "jane.doe@gmail.com",
        "emails": ["janedoe+x@gmail.com", *(f"{number}@example.com" for number in range(3))],
        "phone": "+16505550123",
        "phones": ["+16505550124", "555"],
    }
    result = mapped(lead(user_data=person))

    assert result.item["user_data"] == {
        "sha256_email_address": [JANE, sha("0@example.com"), sha("1@example.com")],
        "sha256_phone_number": [JANES_PHONE, sha("+16505550124")],
    }
    assert left_out(result) == [("email", "user_data.emails"), ("phone", "user_data.phone")]


APP: dict[str, Any] = {"firebase_app_id": "1:1234567890:ios:321abc456def7890", "app_api_secret": "a-secret-of-the-app"}
INSTANCE = "0A1b2c3d4e5f60718293a4b5c6d7e8f9"
DEVICE: dict[str, Any] = {
    "os": "iOS",
    "os_version": "18.1",
    "app_id": "com.example.shop",
    "model": "iPhone17,1",
    "locale": "en_US",
    "screen_width": 1179,
    "screen_height": 2556,
    "advertising_id": "AB1C2D3E-0000-4000-8000-00112233AABB",
    "vendor_id": "AB1C2D3E-0000-4000-8000-00112233AABC",
}
SENT_DEVICE = {
    "operating_system": "iOS",
    "operating_system_version": "18.1",
    "model": "iPhone17,1",
    "language": "en",
    "screen_resolution": "1179x2556",
}


def test_event_of_an_app_goes_to_the_apps_own_stream() -> None:
    draft = lead(event_name="screen_view", action_source="app", user_data={"ga_client_id": INSTANCE}, device=DEVICE)
    result = mapped(draft, **APP)
    request = MAPPER.build_request(result.group, [result.item], {**SETTINGS, **APP})

    assert request.url == (
        "https://www.google-analytics.com/mp/collect?firebase_app_id=1:1234567890:ios:321abc456def7890"
    )
    assert request.auth == QueryToken("api_secret", "a-secret-of-the-app")
    assert request.body == {
        "app_instance_id": INSTANCE,
        "device": SENT_DEVICE,
        "events": [
            {
                "name": "screen_view",
                "timestamp_micros": 1795183865000000,
                "params": {"session_id": "1795184000", "engagement_time_msec": 1},
            }
        ],
    }
    assert left_out(result) == []


@pytest.mark.parametrize(
    ("source", "given", "settings", "sent"),
    [
        pytest.param("app", INSTANCE, APP, "app_instance_id", id="app"),
        pytest.param("app", "555.666", APP, "client_id", id="app with the id of a website's visitor"),
        pytest.param("website", INSTANCE, APP, "client_id", id="website"),
        pytest.param("app", INSTANCE, {}, "client_id", id="no app stream"),
        pytest.param("website", INSTANCE, {**APP, "measurement_id": None}, "app_instance_id", id="app stream alone"),
    ],
)
def test_stream_is_chosen_by_source_and_id(source: str, given: str, settings: dict[str, Any], sent: str) -> None:
    result = mapped(lead(action_source=source, user_data={"ga_client_id": given}), **settings)

    assert {key: result.item[key] for key in ("client_id", "app_instance_id") if key in result.item} == {sent: given}


@pytest.mark.parametrize("given", ["555.666", "vendor", DEVICE["vendor_id"]])
def test_no_app_instance_id_is_made_up(given: str) -> None:
    draft = lead(action_source="app", user_data={"ga_client_id": given}, device=DEVICE)
    result = refused(draft, **{**APP, "measurement_id": None})

    assert (result.reason, result.field) == (DropReason.MISSING_IDENTIFIERS, "user_data.ga_client_id")


def test_app_stream_alone_has_the_one_secret() -> None:
    settings = {"firebase_app_id": APP["firebase_app_id"], "api_secret": "the-only-one"}
    request = MAPPER.build_request("", [{"app_instance_id": INSTANCE, "events": []}], settings)

    assert request.auth == QueryToken("api_secret", "the-only-one")


@pytest.mark.parametrize(
    ("changed", "settings", "device"),
    [
        pytest.param({"action_source": "app"}, {}, SENT_DEVICE, id="app"),
        pytest.param({"user_data": {"client_user_agent": CHROME}}, {}, None, id="the browser says more"),
        pytest.param({}, {}, SENT_DEVICE, id="website without user agent"),
        pytest.param({"action_source": "app"}, {"send_user_agent": False}, None, id="kept here"),
        pytest.param({"device": {"app_id": "com.example.shop"}}, {}, None, id="nothing that GA4 takes"),
    ],
)
def test_device_is_sent_where_no_browser_is_known(
    changed: dict[str, Any], settings: dict[str, Any], device: dict[str, Any] | None
) -> None:
    assert mapped(lead(**{"device": DEVICE, **changed}), **settings).item.get("device") == device


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("en_US", "en"),
        ("pt-BR", "pt"),
        ("DE", "de"),
        ("zh_Hans_CN", "zh"),
        ("eng", None),
        ("English", None),
        ("e", None),
    ],
)
def test_language_is_that_of_the_locale(locale: str, language: str | None) -> None:
    device = mapped(lead(action_source="app", device={"os": "Android", "locale": locale})).item["device"]

    assert device == {"operating_system": "Android"} | ({"language": language} if language else {})


@pytest.mark.parametrize(
    ("name", "in_web", "in_app"),
    [
        ("session_start", False, False),
        ("app_store_subscription_renew", False, False),
        ("notification_open", False, False),
        ("screen_view", False, True),
        ("in_app_purchase", False, True),
        ("ad_impression", False, True),
        ("view_complete", False, True),
        ("query_id_7", False, True),
        ("page_view", True, True),
        ("scroll", True, True),
        ("file_download", True, True),
        ("ga_something", True, True),
    ],
)
def test_name_is_reserved_in(name: str, in_web: bool, in_app: bool) -> None:
    event = read(lead(event_name=name, action_source="app", user_data={"ga_client_id": INSTANCE}))
    web = MAPPER.map_event(event, SETTINGS, NOW)
    app = MAPPER.map_event(event, {**SETTINGS, **APP}, NOW)

    assert (isinstance(web, Mapped), isinstance(app, Mapped)) == (in_web, in_app)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"measurement_id": "G-ABC123DEF4"}, None),
        ({"firebase_app_id": APP["firebase_app_id"]}, None),
        ({"measurement_id": "G-ABC123DEF4", **APP}, None),
        ({}, "measurement_id"),
        ({"measurement_id": "G-ABC123DEF4", "firebase_app_id": APP["firebase_app_id"]}, "app_api_secret"),
    ],
)
def test_there_is_a_stream_and_a_secret_for_each(settings: dict[str, Any], named: str | None) -> None:
    problems = check_settings(MAPPER, {"api_secret": "a-secret", **settings})

    assert [problem.field for problem in problems] == ([] if named is None else [("settings", named)])


def test_debug_mode_marks_every_event() -> None:
    assert params(mapped(LEAD, debug_mode=True)) == {"debug_mode": True}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("email", "  Jane.Doe@Gmail.com ", JANE),
        ("email", "jane.doe+news@googlemail.com", "338abf9ef1c8793cadc7bcf51ed595338eb727ed9e06ce3d91d566d60b975937"),
        ("email", JANE.upper(), JANE),
        ("email", "jane", None),
        ("phone", "+1 (650) 555-0123", JANES_PHONE),
        ("phone", "(650)555-1212", "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8"),
        ("phone", "555", None),
        ("first_name", " Jane", FIRST_NAME),
        ("first_name", "Jane 2", FIRST_NAME),
        ("first_name", FIRST_NAME.upper(), FIRST_NAME),
        ("first_name", MD5, None),
        ("last_name", "O'Neil", ONEIL),
        ("first_name", "Zoe\u0308", sha("zo\u00eb")),
        ("first_name", "null", None),
        ("city", "Ko\u0308ln", "k\u00f6ln"),
        ("client_ip", "[2001:DB8::0:1]:443", "2001:db8::1"),
        ("street", "123 Main St.", MAIN_STREET),
        ("street", "...", None),
        ("city", "San Francisco", "san francisco"),
        ("city", "St. Louis 2", "st louis"),
        ("city", JANE, None),
        ("state", "CA", "ca"),
        ("state", "US-CA", "ca"),
        ("city", "San\u00a0Francisco", "san francisco"),
        ("zip", " 94107. ", "94107"),
        ("zip", "94107\u200b", "94107"),
        ("zip", "SW1A\u00a01AA", "SW1A 1AA"),
        ("zip", "SW1A 1AA", "SW1A 1AA"),
        ("zip", MD5, None),
        ("country", "us", "US"),
        ("country", "Atlantis", None),
        ("external_id", "Cust-7781", "Cust-7781"),
        ("external_id", "jane@example.com", None),
        ("external_id", "jane doe@example.com", None),
        ("client_ip", " 203.0.113.42", "203.0.113.42"),
        ("client_ip", "localhost", None),
        ("client_user_agent", " curl/8 ", "curl/8"),
        ("ga_client_id", "1234567890.1794000000", "1234567890.1794000000"),
        ("ga_client_id", "GA1.1.1234567890.1794000000", "1234567890.1794000000"),
        ("ga_client_id", "GA1.2-2.1234567890.1794000000", "1234567890.1794000000"),
        ("ga_client_id", "_ga=GA1.1.1234567890.1794000000", "1234567890.1794000000"),
        ("ga_client_id", "x=1; _ga=GA1.1.1234567890.1794000000; _ga_A=GS1.1.5.1", "1234567890.1794000000"),
        ("ga_client_id", "GA1%2E1%2E1234567890%2E1794000000", "1234567890.1794000000"),
        ("ga_client_id", "GA1.3.amp-Ab_c-1", "amp-Ab_c-1"),
        ("ga_client_id", "of-a-server.1", "of-a-server.1"),
        *[
            ("ga_client_id", text, "555.666")
            for text in (
                '"GA1.1.555.666"', "%22GA1.1.555.666%22", "'555.666'", "ga=GA1.1.555.666", "_ga:GA1.1.555.666", "clientId=555.666",
                '_ga="GA1.1.555.666"', "GA1.1.555.666; path=/",
            )
        ],
        ("ga_client_id", "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("ga_client_id", "RM8h0JdZq%2FVrYYjWJLt%2F5WQkCSI%3D.1614589837", "RM8h0JdZq/VrYYjWJLt/5WQkCSI=.1614589837"),
        *[
            ("ga_client_id", text, None)
            for text in (
                "_ga_ABC=GS1.1.1795182000.5", "my-GA1.1.5.6", "GA1.1.GS1.1.5", "555.666.", "GA1.1.555.666.", "0.0", "GA1.1.0.0",
                '{"_ga":"GA1.1.555.666"}', "server:12", "a=b",
            )
        ],
        ("ga_client_id", "GS1.1.1747123456.5.1.1747123999.0.0.0", None),
        ("ga_client_id", "GS2.1.s1747123456$o5$g1$t1747123999$j60$l0$h0", None),
        ("ga_client_id", "GA1.1", None),
        ("ga_client_id", "GA1.1.undefined", None),
        ("ga_client_id", "\u0661\u0662.\u0663", None),
        ("ga_client_id", "undefined", None),
        ("ga_client_id", "two words", None),
        ("ga_session_id", "1795182000", "1795182000"),
        ("ga_session_id", "GS1.1.1795182000.1.0", "1795182000"),
        ("ga_session_id", "GS1.1.1795182000.5.1.1795182999.0.0.0", "1795182000"),
        ("ga_session_id", "GS2.1.s1795182000$o5$g1$t1795182999$j60$l0$h0", "1795182000"),
        ("ga_session_id", "GS2.1.o5$s1795182000$g1", "1795182000"),
        ("ga_session_id", "s1795182000$o5$g1$t1795182999$j60$l0$h0", "1795182000"),
        ("ga_session_id", "_ga_ABC123DEF4=GS2.1.s1795182000$o5", "1795182000"),
        ("ga_session_id", "GS2.1.s1795182000%24o5%24g1", "1795182000"),
        ("ga_session_id", "GS1%2E1%2E1795182000%2E5", "1795182000"),
        ("ga_session_id", '"GS1.1.1795182000.5"', "1795182000"),
        ("ga_session_id", '_ga_ABC="GS1.1.1795182000.5"', "1795182000"),
        ("ga_session_id", "session: GS2.1.s1795182000$o5", "1795182000"),
        ("ga_session_id", "'1795182000'", "1795182000"),
        ("ga_session_id", "_ga=GA1.1.5.6", None),
        ("ga_session_id", "GA1.1.1234567890.1794000000", None),
        ("ga_session_id", "GS2.1.o5$g1", None),
        ("ga_session_id", "0", None),
        ("ga_session_id", "null", None),
    ],
)  # fmt: skip
def test_value_is_normalised_to(field: str, value: str, expected: str | None) -> None:
    assert MAPPER.normalise[field](value, {"default_country": "US"}) == expected


def validation(*codes: str) -> dict[str, Any]:
    return {
        "validationMessages": [
            {"fieldPath": "events.params.currency", "description": "It is wrong.", "validationCode": code}
            for code in codes
        ]
    }


CODES = (
    "VALUE_INVALID",
    "VALUE_REQUIRED",
    "NAME_INVALID",
    "NAME_RESERVED",
    "VALUE_OUT_OF_BOUNDS",
    "EXCEEDED_MAX_ENTITIES",
    "NAME_DUPLICATED",
)
NO_REASON = "the platform gave no reason"
A_PAGE = "a web page came back instead of the platform's answer, such as a proxy's"
A_PROXY = "something in between answered, such as a proxy: the event has not reached the platform"


@pytest.mark.parametrize(
    ("reply", "count", "verdict"),
    [
        pytest.param(PlatformReply(204), 2, [Acknowledged(204), Acknowledged(204)], id="received"),
        pytest.param(PlatformReply(200), 1, [Acknowledged(200)], id="received with 200"),
        pytest.param(PlatformReply(200, validation()), 1, [Acknowledged(200)], id="valid"),
        *(
            pytest.param(
                PlatformReply(200, validation(code)),
                1,
                [Rejected(code, "events.params.currency: It is wrong.", 200)],
                id=code,
            )
            for code in CODES
        ),
        pytest.param(
            PlatformReply(200, validation("NAME_RESERVED", "VALUE_INVALID")),
            2,
            BatchRejected(Rejected("NAME_RESERVED", "events.params.currency: It is wrong.", 200)),
            id="one of two is invalid",
        ),
        pytest.param(
            PlatformReply(200, {"validationMessages": [{"validationCode": "NEW_CODE"}]}),
            1,
            [Rejected("VALUE_INVALID", "no reason given", 200)],
            id="unknown code without words",
        ),
        pytest.param(PlatformReply(400), 1, [Rejected("400", NO_REASON, 400)], id="refused"),
        pytest.param(PlatformReply(404), 1, [Rejected("404", NO_REASON, 404)], id="wrong address"),
        pytest.param(
            PlatformReply(302),
            1,
            [Unreachable(A_PROXY, 302, may_have_arrived=False, code="intercepted")],
            id="redirected",
        ),
        pytest.param(
            PlatformReply(200, None, {"content-type": "text/html; charset=utf-8"}, "<html>Sign in</html>"),
            2,
            [Unreachable(A_PAGE, 200, may_have_arrived=False, code="intercepted")] * 2,
            id="a web page",
        ),
        pytest.param(
            PlatformReply(200, {"error": {"code": 400, "message": "It is wrong.", "status": "INVALID_ARGUMENT"}}),
            1,
            [Rejected("400", "It is wrong.", 400)],
            id="an error in a good answer",
        ),
        pytest.param(
            PlatformReply(200, [{"error": {"code": 503, "message": "Not now."}}]),
            1,
            [Unreachable("Not now.", 503, code="503")],
            id="an error in a list in a good answer",
        ),
        pytest.param(
            PlatformReply(200, {"error": "no such stream"}),
            2,
            BatchRejected(Rejected("error", "no such stream", 200)),
            id="an error in words in a good answer",
        ),
        pytest.param(
            PlatformReply(200, {"errors": [{"code": 7}]}),
            1,
            [Rejected("error", "an error inside of a good answer", 200)],
            id="an error without words in a good answer",
        ),
        pytest.param(PlatformReply(413), 2, BatchRejected(Rejected("413", NO_REASON, 413)), id="too large"),
        pytest.param(PlatformReply(413), 1, [Rejected("413", NO_REASON, 413)], id="too large alone"),
        pytest.param(PlatformReply(403), 2, [CredentialsRefused("403", NO_REASON, 403)] * 2, id="turned away"),
        pytest.param(
            PlatformReply(429, None, {"retry-after": "9"}), 1, [RateLimited(9.0, "429", NO_REASON, 429)], id="too fast"
        ),
        pytest.param(PlatformReply(500), 2, [Unreachable(NO_REASON, 500, code="500")] * 2, id="server error"),
        pytest.param(
            PlatformReply(503),
            1,
            [Unreachable("Google takes no events at the moment", 503, may_have_arrived=False, code="503")],
            id="unavailable, so not counted",
        ),
    ],
)
def test_answer_means(reply: PlatformReply, count: int, verdict: Verdict) -> None:
    assert MAPPER.read_reply(reply, count) == verdict


def test_no_address_of_an_answer_gets_into_an_outcome() -> None:
    message = {"fieldPath": "user_id", "description": "jane@example.com", "validationCode": "VALUE_INVALID"}

    assert MAPPER.read_reply(PlatformReply(200, {"validationMessages": [message]}), 1) == [
        Rejected("VALUE_INVALID", "user_id: …", 200)
    ]


@pytest.mark.parametrize("code", [*CODES, "400", "401", "403", "404", "413", "429", "500", "502", "503", "504"])
def test_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].next_step != ""


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("measurement_id", "G-ABC123DEF4", None),
        ("measurement_id", "UA-1234-1", "must look like G-ABC123DEF4; the old UA-... ids do not work"),
        ("measurement_id", "G-abc", "must look like G-ABC123DEF4; the old UA-... ids do not work"),
        ("firebase_app_id", "1:1234567890:android:321abc456def7890", None),
        ("firebase_app_id", "com.example.shop", "must look like 1:1234567890:ios:321abc456def7890"),
        ("eu_endpoint", "yes", "must be true or false"),
        ("send_ip", 0, "must be true or false"),
        ("send_user_agent", None, "must be true or false"),
        ("send_user_data", False, None),
        ("send_user_id", "true", "must be true or false"),
        ("analytics_360", 1, "must be true or false"),
        ("debug_mode", True, None),
        ("validate_only", "x", "must be true or false"),
    ],
)
def test_setting_is_checked(name: str, value: Any, complaint: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)
    assert setting.check is not None
    assert setting.check(value) == complaint


def test_limits_of_a_request_are_ga4s() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes) == (25, 130_000)
    assert MAPPER.test_mode == {"validate_only": True}
