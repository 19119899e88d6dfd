"""TikTok: worked examples, refusals, normalisation, answers and settings of its mapper."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from tests.mappers.helpers import Asked, left_out
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    CredentialsRefused,
    DropReason,
    HeaderToken,
    Outcome,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
)
from tracklayer.domain.read_event import read_event
from tracklayer.mappers.base import Mapped
from tracklayer.mappers.outgoing import map_event
from tracklayer.mappers.tiktok import MAPPER

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType({"pixel_code": "C4ABCDEFGHIJKLMNOPQR", "access_token": "secret-token"})
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
LEAD: dict[str, Any] = {
    "event_name": "Lead",
    "event_id": "lead-552",
    "occurred_at": "2026-11-20T14:11:05Z",
    "action_source": "website",
    "event_source_url": "https://shop.example.com/newsletter",
    "user_data": {"email": "ANNA@example.org"},
}
ZOE = "2752b88686847fa5c86f47b94ce652b7b3f22a91c37617d451a4db9afa431450"  # zoë, composed
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ANNA = "a3bf86238a1c59bd2f0a648af9293620f90d18dad133d8fe2341cf9664a5d6d0"


ASKED = Asked(MAPPER, SETTINGS, NOW)
read, mapped, refused = ASKED.read, ASKED.mapped_with, ASKED.refused_with


def lead(**changed: Any) -> dict[str, Any]:
    """The lead of the worked examples; ``...`` leaves a field out."""
    return {key: value for key, value in {**LEAD, **changed}.items() if value is not ...}


@pytest.mark.parametrize(
    ("draft", "settings", "body"),
    [
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "ord-10042",
                "occurred_at": "2026-11-20T14:03:12.345Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you?order=10042",
                "user_data": {
                    "email": "  Jane.Doe+News@Gmail.com ",
                    "phone": "+1 (650) 555-0123",
                    "first_name": " Jane",
                    "last_name": "O'Neil",
                    "city": "San Francisco",
                    "state": "CA",
                    "zip": "94107",
                    "country": "US",
                    "external_id": "Cust-7781",
                    "client_ip": "203.0.113.42",
                    "client_user_agent": CHROME,
                    "ttclid": "E.C.P.CqcBexampleTtClickIdCASEkept_-9Zk",
                    "ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH",
                },
                "custom_data": {
                    "value": 129.9,
                    "currency": "usd",
                    "order_id": "10042",
                    "contents": [
                        {"id": "SKU-1", "quantity": 2, "item_price": 39.95, "title": "Wool sock"},
                        {"id": "SKU-2", "quantity": 1, "item_price": 50, "title": "Scarf", "brand": "Acme"},
                    ],
                    "num_items": 3,
                    "properties": {"referrer_url": "https://shop.example.com/checkout"},
                },
            },
            {},
            {
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
                                {
                                    "content_id": "SKU-1",
                                    "content_name": "Wool sock",
                                    "price": 39.95,
                                    "quantity": 2,
                                },
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
                    "email": "62A14E44F765419D10FEA99367361A727C12365E2520F32218D505ED9AA0F62F",
                    "phone": "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8",
                    "client_ip": "2001:db8::1f",
                    "client_user_agent": CHROME,
                },
            },
            {},
            {
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
            id="already hashed",
        ),
        pytest.param(
            LEAD,
            {},
            {
                "event_source": "web",
                "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
                "data": [
                    {
                        "event": "Lead",
                        "event_time": 1795183865,
                        "event_id": "lead-552",
                        "user": {"email": ANNA},
                        "page": {"url": "https://shop.example.com/newsletter"},
                    }
                ],
            },
            id="lead with an email alone",
        ),
        pytest.param(
            {
                "event_name": "QuizFinished",
                "event_id": "quiz-9f2",
                "occurred_at": "2026-11-20T14:12:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/quiz",
                "user_data": {
                    "external_id": "cust-7781",
                    "client_ip": "203.0.113.42",
                    "client_user_agent": CHROME,
                    "ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH",
                },
                "custom_data": {"properties": {"quiz_name": "Skin type", "score": 87}},
            },
            {},
            {
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
            id="custom event",
        ),
        pytest.param(
            {
                "event_name": "AddToCart",
                "event_id": "atc-77",
                "occurred_at": "2026-11-20T14:15:30.250Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/p/tee?ttclid=E.C.P.BnewClickFromUrl_7Hq",
                "user_data": {
                    "phone": "+44 20 7946 0958",
                    "country": "GB",
                    "client_ip": "198.51.100.7",
                    "client_user_agent": CHROME,
                    "ttclid": "E.C.P.AoldClickFromCookie_1aB",
                },
                "custom_data": {
                    "value": 74.5,
                    "currency": "GBP",
                    "contents": [
                        {"id": "TEE-S", "quantity": 1, "item_price": 19.5, "title": "Tee S", "brand": "Acme"},
                        {"id": "4711", "quantity": 2, "item_price": 20, "title": "Tee M", "brand": "Acme"},
                        {"id": "CAP", "quantity": 1, "item_price": 15, "title": "Cap", "category": "Hats"},
                    ],
                },
            },
            {},
            {
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
            id="click id of the URL wins over the cookie",
        ),
        pytest.param(
            {
                "event_name": "ViewContent",
                "event_id": "vc-301",
                "occurred_at": "2026-11-20T14:20:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/p/cap",
                "user_data": {
                    "email": "user.name+NYC@Example.com",
                    "client_ip": "203.0.113.99",
                    "client_user_agent": CHROME,
                },
                "custom_data": {"product_ids": ["CAP"], "value": 15, "currency": "USD"},
                "consent": {"limited_data_use": True},
            },
            {"test_event_code": "TEST04030"},
            {
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
            id="test event with limited data use",
        ),
    ],
)
def test_worked_example_becomes_exactly_this_body(
    draft: dict[str, Any], settings: dict[str, Any], body: dict[str, Any]
) -> None:
    before = deepcopy(draft)
    result = mapped(draft, **settings)

    request = MAPPER.build_request(result.group, [result.item], {**SETTINGS, **settings})

    assert request.body == body
    assert left_out(result) == []
    assert draft == before


def test_request_carries_the_token_in_a_header_of_its_own() -> None:
    request = MAPPER.build_request("", [{"event": "Lead"}], SETTINGS)

    assert request.url == "https://business-api.tiktok.com/open_api/v1.3/event/track/"
    assert request.method == "POST"
    assert request.auth == HeaderToken("Access-Token", "secret-token")
    assert "secret-token" not in f"{request.url}{request.body}{request!r}"


OFFLINE = ("physical_store", "email", "phone_call", "chat", "system_generated", "business_messaging", "other")


@pytest.mark.parametrize("source", OFFLINE)
def test_event_outside_web_and_app_goes_to_the_offline_event_set(source: str) -> None:
    settings = {**SETTINGS, "offline_event_set_id": "7123456789012345678"}
    result = mapped(lead(action_source=source, event_source_url=...), **settings)

    assert MAPPER.build_request(result.group, [result.item], settings).body == {
        "event_source": "offline",
        "event_source_id": "7123456789012345678",
        "data": [{"event": "Lead", "event_time": 1795183865, "event_id": "lead-552", "user": {"email": ANNA}}],
    }


@pytest.mark.parametrize(
    ("source", "setting"),
    [*((source, "offline_event_set_id") for source in OFFLINE), ("app", "tiktok_app_id")],
)
def test_event_without_its_asset_says_which_setting_would_carry_it(source: str, setting: str) -> None:
    result = refused(lead(action_source=source))

    assert (result.reason, result.field) == (DropReason.UNSUPPORTED_EVENT, "action_source")
    assert result.message.endswith(f"set {setting}")


IDFA = "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB"
GAID = "38400000-8cf0-11bd-b23e-10b96e40000d"
IPHONE: dict[str, Any] = {
    "os": "iOS",
    "os_version": "18.1.3",
    "app_id": "1234567890",
    "app_name": "Shop",
    "app_version": "4.2",
    "locale": "de_AT",
    "advertising_id": IDFA.lower(),
    "vendor_id": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB",
    "tracking_allowed": True,
}
APP = {**SETTINGS, "tiktok_app_id": "7219876543210987654"}


def app_event(device: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return lead(
        **{"event_name": "Purchase", "action_source": "app", "event_source_url": ..., "device": device, **changed}
    )


def test_app_event_goes_to_the_app_with_what_its_device_told() -> None:
    result = mapped(app_event(IPHONE, custom_data={"value": 5, "currency": "USD"}), **APP)

    assert MAPPER.build_request(result.group, [result.item], APP).body == {
        "event_source": "app",
        "event_source_id": "7219876543210987654",
        "data": [
            {
                "event": "Purchase",
                "event_time": 1795183865,
                "event_id": "lead-552",
                "user": {
                    "email": ANNA,
                    "locale": "de-AT",
                    "att_status": "AUTHORIZED",
                    "idfa": IDFA,
                    "idfv": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB",
                },
                "properties": {"value": 5, "currency": "USD"},
                "app": {"app_id": "1234567890", "app_name": "Shop", "app_version": "4.2"},
            }
        ],
    }
    assert left_out(result) == []


@pytest.mark.parametrize(
    ("device", "user", "fields"),
    [
        pytest.param({}, {}, [], id="no device"),
        pytest.param(
            {"os": "Android", "os_version": "14", "advertising_id": GAID.upper()},
            {"att_status": "NOT_APPLICABLE", "gaid": GAID},
            [],
            id="Android",
        ),
        pytest.param(
            {"os": "iOS", "advertising_id": IDFA, "tracking_allowed": False},
            {"att_status": "DENIED"},
            ["device.advertising_id"],
            id="tracking refused",
        ),
        pytest.param(
            {"os": "android", "advertising_id": GAID, "tracking_allowed": False},
            {"att_status": "NOT_APPLICABLE"},
            ["device.advertising_id"],
            id="tracking refused on Android",
        ),
        pytest.param({"os": "iPadOS"}, {"att_status": "NOT_DETERMINED"}, [], id="nobody asked"),
        pytest.param({"os": "iOS", "os_version": "13.7"}, {"att_status": "NOT_APPLICABLE"}, [], id="iOS 13 never asks"),
        pytest.param({"advertising_id": GAID}, {}, ["device.advertising_id"], id="id of no known system"),
        pytest.param(
            {"os": "android", "advertising_id": "no uuid", "vendor_id": GAID},
            {"att_status": "NOT_APPLICABLE"},
            ["device.advertising_id", "device.vendor_id"],
            id="ids that TikTok does not take",
        ),
        pytest.param({"app_name": "Shop"}, {}, ["device.app_id"], id="app without its id"),
    ],
)
def test_device_of_an_app_is_told(device: dict[str, Any], user: dict[str, str], fields: list[str]) -> None:
    result = mapped(app_event(device, event_name="Search"), **APP)

    assert result.item["user"] == {"email": ANNA, **user}
    assert "app" not in result.item
    assert [field for _, field in left_out(result)] == fields


@pytest.mark.parametrize("device", [{"os": "ios", "advertising_id": IDFA}, {"os": "ios", "vendor_id": IDFA}])
def test_id_of_a_device_is_enough_for_an_app_and_no_other(device: dict[str, str]) -> None:
    draft = app_event(device, user_data={"country": "US"})

    assert mapped(draft, **APP).item["user"].keys() & {"idfa", "idfv"}
    assert refused({**draft, "action_source": "website"}).reason == DropReason.MISSING_IDENTIFIERS


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Purchase", "Purchase"),
        ("InitiateCheckout", "Checkout"),
        ("Lead", "GenerateLead"),
        ("CompleteRegistration", "Registration"),
        ("LaunchAPP", "LaunchAPP"),
    ],
)
def test_event_of_an_app_is_named_as_tiktok_names_those(name: str, sent: str) -> None:
    assert mapped(app_event(IPHONE, event_name=name), **APP).item["event"] == sent


def test_page_of_an_app_event_is_left_out_and_its_click_id_is_not() -> None:
    result = mapped(app_event(IPHONE, event_source_url="https://shop.example.com/?ttclid=E.C.P.x"), **APP)

    assert "page" not in result.item
    assert result.item["user"]["ttclid"] == "E.C.P.x"
    assert ("page_url", "event_source_url") in left_out(result)


def test_app_event_is_sent_with_limited_data_use() -> None:
    assert mapped(app_event(IPHONE, consent={"limited_data_use": True}), **APP).item["limited_data_use"] is True


@pytest.mark.parametrize(
    ("consent", "settings"),
    [
        pytest.param({"limited_data_use": True}, {}, id="for this event"),
        pytest.param({}, {"limited_data_use": True}, id="for every event"),
    ],
)
def test_event_of_a_store_that_needs_limited_data_use_is_refused(
    consent: dict[str, bool], settings: dict[str, Any]
) -> None:
    draft = lead(action_source="physical_store", consent=consent)

    result = refused(draft, **settings, offline_event_set_id="7123456789012345678")

    assert (result.reason, result.field) == (DropReason.CONSENT_DENIED, "consent.limited_data_use")


@pytest.mark.parametrize(
    ("draft", "reason", "field"),
    [
        pytest.param(
            {
                "event_name": "AddToCart",
                "event_id": "atc-90",
                "occurred_at": "2026-11-20T14:22:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/p/cap",
                "user_data": {"city": "Austin", "country": "US"},
                "custom_data": {"value": 15, "currency": "USD"},
            },
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="city and country alone",
        ),
        pytest.param(
            lead(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(lead(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
        pytest.param(
            lead(occurred_at="2026-11-13T14:59:59Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="a second over seven days old",
        ),
        pytest.param(
            lead(user_data={"first_name": "Jane", "last_name": "Doe", "zip": "94107", "state": "CA"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="names and a place",
        ),
        pytest.param(
            lead(user_data={"client_ip": "203.0.113.9"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="IP address without a user agent",
        ),
        pytest.param(
            lead(user_data={"email": "no address", "ttclid": "a b"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="nothing well-formed",
        ),
    ],
)
def test_event_is_refused_before_sending(draft: dict[str, Any], reason: DropReason, field: str) -> None:
    result = refused(draft)

    assert (result.reason, result.field) == (reason, field)
    assert result.verdicts[-1].ok is False
    assert result.verdicts[-1].message == result.message


def test_event_ahead_of_the_clock_waits_until_its_time() -> None:
    event = read(lead(occurred_at="2026-11-20T15:05:01Z"), now=NOW + timedelta(hours=1))

    result = map_event(MAPPER, event, SETTINGS, NOW)

    assert isinstance(result, Mapped)
    assert (result.not_before, result.item["event_time"]) == (event.occurred_at, 1795187101)


WEB_WITHOUT_PAGE: dict[str, Any] = {
    "event_name": "ViewContent",
    "event_id": "vc-310",
    "occurred_at": "2026-11-20T14:21:00Z",
    "action_source": "website",
    "user_data": {"email": "a@example.com", "client_ip": "203.0.113.9", "client_user_agent": CHROME},
}


def test_web_event_without_a_page_is_sent_with_the_default_page() -> None:
    settings = {**SETTINGS, "default_page_url": "https://shop.example.com/"}

    result = map_event(MAPPER, read(WEB_WITHOUT_PAGE), settings, NOW)

    assert isinstance(result, Mapped)
    assert (result.item["page"], result.group) == ({"url": "https://shop.example.com/"}, mapped(LEAD).group)


@pytest.mark.parametrize(
    "url",
    [pytest.param(..., id="none"), pytest.param("/thanks", id="no full URL"), pytest.param("https://", id="no host")],
)
def test_web_event_without_any_page_goes_in_a_request_of_its_own(url: Any) -> None:
    result = mapped({**WEB_WITHOUT_PAGE, **({} if url is ... else {"event_source_url": url})})

    assert "page" not in result.item
    assert left_out(result)[-1] == ("page_url", "event_source_url")
    assert result.group != mapped(LEAD).group
    assert MAPPER.build_request(result.group, [result.item], SETTINGS).body == {
        "event_source": "web",
        "event_source_id": "C4ABCDEFGHIJKLMNOPQR",
        "data": [result.item],
    }


def test_page_without_its_scheme_is_sent_with_one() -> None:
    result = map_event(MAPPER, read(lead(event_source_url="shop.example.com/thanks?ttclid=E.C.P.x")), SETTINGS, NOW)

    assert isinstance(result, Mapped)
    assert result.item["page"] == {"url": "https://shop.example.com/thanks?ttclid=E.C.P.x"}
    assert result.item["user"]["ttclid"] == "E.C.P.x"


def test_referrer_with_blanks_is_sent_as_browsers_have_it() -> None:
    properties = {"referrer_url": "https://jane:secret@search.example/?q=red shoes"}
    result = mapped(lead(custom_data={"properties": properties}))

    assert result.item["page"]["referrer"] == "https://search.example/?q=red%20shoes"


def test_ttp_that_no_cookie_holds_is_left_out() -> None:
    result = mapped(lead(user_data={"email": "jane@example.com", "ttp": "2F7h37Yk S1j57AYSKTI7IHhJPYH"}))

    assert "ttp" not in result.item["user"]
    assert ("ttp", "user_data.ttp") in left_out(result)
    good = mapped(lead(user_data={"ttp": " 2F7h37YkS1j57AYSKTI7IHhJPYH "}))
    assert good.item["user"]["ttp"] == "2F7h37YkS1j57AYSKTI7IHhJPYH"


@pytest.mark.parametrize(
    ("custom_data", "properties", "fields"),
    [
        pytest.param({"value": 5, "currency": "USD"}, {"value": 5, "currency": "USD"}, [], id="both"),
        pytest.param({"currency": "USD"}, {"currency": "USD"}, ["custom_data.value"], id="no value"),
        pytest.param({"value": 5}, None, ["custom_data.currency"], id="no currency"),
        pytest.param({}, None, ["custom_data.value"], id="neither"),
    ],
)
def test_purchase_is_sent_with_what_is_there(
    custom_data: dict[str, Any], properties: dict[str, Any] | None, fields: list[str]
) -> None:
    result = mapped(lead(event_name="Purchase", custom_data=custom_data))

    assert result.item.get("properties") == properties
    assert [field for _, field in left_out(result)] == fields


def test_purchase_without_currency_is_sent_in_the_default_one() -> None:
    event = read(lead(event_name="Purchase", custom_data={"value": 5}))

    result = map_event(MAPPER, event, {**SETTINGS, "default_currency": "EUR"}, NOW)

    assert isinstance(result, Mapped)
    assert result.item["properties"] == {"value": 5, "currency": "EUR"}


def test_value_that_is_text_never_becomes_an_event() -> None:
    draft = lead(event_name="Purchase", custom_data={"value": "12,50", "currency": "USD"})

    problems = read_event(draft, NOW)

    assert isinstance(problems, list)
    assert [(problem.field, problem.code) for problem in problems] == [(("custom_data", "value"), "INVALID_NUMBER")]


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param({"phone": "+16505550123"}, id="phone"),
        pytest.param({"external_id": "7781"}, id="external id"),
        pytest.param({"ttclid": "E.C.P.x"}, id="click id"),
        pytest.param({"ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH"}, id="cookie"),
        pytest.param({"client_ip": "2001:db8::1", "client_user_agent": "x"}, id="IP address and user agent"),
    ],
)
def test_one_identifier_is_enough(user_data: dict[str, str]) -> None:
    assert left_out(mapped(lead(user_data=user_data))) == []


@pytest.mark.parametrize(
    ("occurred_at", "settings"),
    [
        pytest.param("2026-11-13T15:00:00Z", {}, id="seven days"),
        pytest.param("2026-10-23T15:00:00Z", {"max_age_days": 28}, id="28 days where they are allowed"),
        pytest.param("2026-11-20T15:05:00Z", {}, id="five minutes ahead"),
    ],
)
def test_age_within_the_limit_is_sent(occurred_at: str, settings: dict[str, Any]) -> None:
    assert mapped(lead(occurred_at=occurred_at), **settings).item["event"] == "Lead"


def test_shorter_limit_of_the_merchant_holds() -> None:
    assert refused(lead(occurred_at="2026-11-19T14:59:59Z"), max_age_days=1).reason == DropReason.EVENT_TOO_OLD


@pytest.mark.parametrize(
    ("name", "settings", "sent"),
    [
        *(
            pytest.param(name, {}, name, id=name)
            for name in (
                *("AddToCart", "InitiateCheckout", "AddPaymentInfo", "Lead", "CompleteRegistration"),
                *("ViewContent", "Search", "Subscribe", "StartTrial", "AddToWishlist", "Contact"),
                *("ApplicationApproval", "SubmitApplication", "CustomizeProduct", "Download"),
                *("FindLocation", "Schedule"),
            )
        ),
        pytest.param("PageView", {}, "Pageview", id="PageView"),
        pytest.param("lead", {}, "lead", id="another case is a custom event"),
        pytest.param("Lead", {"event_names": {"Lead": "SubmitForm"}}, "SubmitForm", id="name of an old pixel"),
        pytest.param("Quiz", {"event_names": {"Lead": "A", "*": "B"}}, "B", id="every other name"),
        pytest.param("Lead", {"event_names": {"Lead": "A", "*": "B"}}, "A", id="own name before every other"),
        pytest.param("Contact", {"event_names": {"Lead": "A"}}, "Contact", id="name that is not in the map"),
    ],
)
def test_event_name_is_sent_as(name: str, settings: dict[str, Any], sent: str) -> None:
    assert mapped(lead(event_name=name), **settings).item["event"] == sent


def test_refund_is_never_sent_under_another_name() -> None:
    result = refused(lead(event_name="Refund"), event_names={"Refund": "Returned", "*": "Other"})

    assert result.reason == DropReason.UNSUPPORTED_EVENT


@pytest.mark.parametrize(
    ("url", "given", "sent"),
    [
        pytest.param("https://a.example/?x=1&ttclid=E.C.P.a%2Db#ttclid=no", None, "E.C.P.a-b", id="decoded"),
        pytest.param("/x?ttclid=E.C.P.a", "E.C.P.cookie", "E.C.P.a", id="in a relative URL"),
        pytest.param("https://a.example/?ttclid=null&ttclid=E.C.P.a", "E.C.P.c", "E.C.P.a", id="the second is one"),
        pytest.param("https://a.example/?ttclid=E%E2%80%8BC", "E.C.P.c", "E.C.P.c", id="invisible in the URL"),
        pytest.param("https://a.example/?ttclid=(null)", "E.C.P.c", "E.C.P.c", id="nobody in the URL"),
        pytest.param("https://a.example/?ttclid=", "E.C.P.cookie", "E.C.P.cookie", id="empty in the URL"),
        pytest.param("https://a.example/?myttclid=x", " E.C.P.c ", "E.C.P.c", id="another parameter"),
        pytest.param("https://a.example/?ttclid=a%20b", "E.C.P.c", "E.C.P.c", id="spaces in the URL"),
        pytest.param("https://a.example/?ttclid=__CLICKID__", "E.C.P.c", "E.C.P.c", id="template in the URL"),
        pytest.param("https://a.example/?ttclid=undefined", None, None, id="nothing in the URL"),
        pytest.param(f"https://a.example/?ttclid={'x' * 1000}", None, "x" * 1000, id="a thousand characters"),
        pytest.param(f"https://a.example/?ttclid={'x' * 1001}", None, None, id="too long"),
    ],
)
def test_click_id_is_taken_from(url: str, given: str | None, sent: str | None) -> None:
    user_data = {"email": "anna@example.org"} | ({"ttclid": given} if given else {})

    user = mapped(lead(event_source_url=url, user_data=user_data)).item["user"]

    assert user == {"email": ANNA} | ({"ttclid": sent} if sent else {})


@pytest.mark.parametrize(
    ("user_data", "field"),
    [
        pytest.param({"phone": "650 555 0123"}, "phone", id="phone without its country"),
        pytest.param({"client_ip": "203.0.113"}, "client_ip", id="half an IP address"),
        pytest.param({"country": "Atlantis"}, "country", id="name of no country"),
        pytest.param({"city": ANNA}, "city", id="digest of a city"),
        pytest.param({"state": ANNA}, "state", id="digest of a state"),
        pytest.param({"ttclid": "x" * 1001}, "ttclid", id="click id too long"),
        pytest.param({"zip": "---"}, "zip", id="postal code of dashes"),
    ],
)
def test_malformed_identifier_is_left_out_and_the_event_goes(user_data: dict[str, str], field: str) -> None:
    result = mapped(lead(user_data={"email": "anna@example.org", **user_data}))

    assert result.item["user"] == {"email": ANNA}
    assert left_out(result) == [(field, f"user_data.{field}")]


def test_several_emails_and_phones_are_sent_each_once() -> None:
    person = {
        "email": "anna@example.org",
        "emails": ["jane.doe+news@gmail.com", "Anna@Example.org", "no address"],
        "phones": ["+1 650 555 0123", "650 555 0123"],
    }

    result = mapped(lead(user_data=person))

    assert result.item["user"] == {
        "email": [ANNA, "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a"],
        "phone": "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0",
    }
    assert left_out(result) == [("email", "user_data.email"), ("phone", "user_data.phone")]


def test_hashed_phone_is_sent_with_a_doubt() -> None:
    result = mapped(lead(user_data={"phone": ANNA.upper()}))

    assert result.item["user"] == {"phone": ANNA}
    assert [verdict.message for verdict in result.verdicts if verdict.rule == "phone"] == [
        "already hashed: right for TikTok only where the + was hashed with the number"
    ]


@pytest.mark.parametrize(
    ("custom_data", "properties", "left"),
    [
        pytest.param({"value": 0, "currency": "EUR"}, {"value": 0, "currency": "EUR"}, [], id="a value of zero"),
        pytest.param(
            {"value": 5, "currency": "XAF", "order_id": "7"},
            {"order_id": "7"},
            [("currency", "custom_data.currency")],
            id="currency that TikTok does not take",
        ),
        pytest.param(
            {"value": 5, "order_id": "7"}, {"order_id": "7"}, [("currency", "custom_data.currency")], id="no currency"
        ),
        pytest.param(
            {"contents": [{"id": "cheese", "quantity": 1.85, "item_price": 20}, {"id": "b", "quantity": 3.0}]},
            {
                "content_type": "product",
                "contents": [{"content_id": "cheese", "price": 20, "quantity": 2}, {"content_id": "b", "quantity": 3}],
            },
            [],
            id="goods by weight",
        ),
        pytest.param(
            {"contents": [{"id": "a"}], "product_ids": ["a", "b"]},
            {"content_type": "product", "contents": [{"content_id": "a", "quantity": 1}]},
            [],
            id="contents before product_ids",
        ),
        pytest.param(
            {"product_ids": ["a"], "content_type": "product_group"},
            {"content_type": "product_group", "content_ids": ["a"]},
            [],
            id="product group",
        ),
        pytest.param(
            {"product_ids": ["a"], "content_type": "hotel"},
            {"content_type": "hotel", "content_ids": ["a"]},
            [],
            id="content type of another catalogue",
        ),
        pytest.param(
            {"product_ids": ["a"], "content_type": " PRODUCT_GROUP"},
            {"content_type": "product_group", "content_ids": ["a"]},
            [],
            id="content type in capitals",
        ),
        pytest.param(
            {
                "num_items": 2,
                "search_string": "cap",
                "content_name": "Cap",
                "content_category": "Hats",
                "status": "new",
                "predicted_ltv": "99.5",
                "properties": {
                    "description": "d",
                    "shop_id": "s",
                    "delivery_category": "in_store",
                    "x": None,
                },
            },
            {
                "num_items": 2,
                "search_string": "cap",
                "content_name": "Cap",
                "content_category": "Hats",
                "status": "new",
                "predicted_ltv": 99.5,
                "description": "d",
                "shop_id": "s",
                "delivery_category": "in_store",
            },
            [],
            id="all that is optional",
        ),
        pytest.param(
            {"search_string": "cap", "properties": {"query": "hat", "value": 7}},
            {"search_string": "cap"},
            [
                ("properties", "custom_data.properties.query"),
                ("properties", "custom_data.properties.value"),
            ],
            id="properties under TikTok's own names",
        ),
        pytest.param({"properties": {"query": "hat"}}, {"query": "hat"}, [], id="query alone"),
    ],
)
def test_properties_are_built_from_custom_data(
    custom_data: dict[str, Any], properties: dict[str, Any], left: list[tuple[str, str]]
) -> None:
    result = mapped(lead(custom_data=custom_data))

    assert result.item["properties"] == properties
    assert left_out(result) == left


def test_purchase_in_a_currency_that_tiktok_does_not_take_is_sent_without_it() -> None:
    result = mapped(lead(event_name="Purchase", custom_data={"value": 5, "currency": "XAF"}))

    assert "properties" not in result.item
    assert left_out(result) == [("currency", "custom_data.currency")]


def test_no_amount_goes_out_in_a_currency_that_tiktok_does_not_take() -> None:
    custom_data = {
        "value": 5,
        "currency": "XAF",
        "predicted_ltv": 90,
        "contents": [{"id": "a", "item_price": 5, "brand": "b"}, {"id": "c"}],
    }
    result = mapped(lead(custom_data=custom_data))

    assert result.item["properties"] == {
        "content_type": "product",
        "contents": [{"content_id": "a", "brand": "b", "quantity": 1}, {"content_id": "c", "quantity": 1}],
    }
    assert left_out(result) == [
        ("currency", "custom_data.currency"),
        ("currency", "custom_data.predicted_ltv"),
        ("currency", "custom_data.contents.item_price"),
    ]


def test_locale_and_referrer_have_places_of_their_own() -> None:
    properties = {"locale": "de-AT", "referrer_url": "https://a.example/"}
    result = mapped(lead(custom_data={"properties": properties}))

    assert result.item["user"] == {"email": ANNA, "locale": "de-AT"}
    assert result.item["page"] == {
        "url": "https://shop.example.com/newsletter",
        "referrer": "https://a.example/",
    }
    assert "properties" not in result.item


def test_referrer_without_a_page_is_left_out() -> None:
    draft = {**WEB_WITHOUT_PAGE, "custom_data": {"properties": {"referrer_url": "https://a.example/"}}}

    assert ("referrer_url", "custom_data.properties.referrer_url") in left_out(mapped(draft))
    assert "page" not in mapped(draft).item


def test_referrer_that_is_no_url_is_left_out() -> None:
    result = mapped(lead(custom_data={"properties": {"referrer_url": "google"}}))

    assert result.item["page"] == {"url": "https://shop.example.com/newsletter"}
    assert left_out(result) == [("referrer_url", "custom_data.properties.referrer_url")]


def test_limited_data_use_can_be_set_for_every_event() -> None:
    assert "limited_data_use" not in mapped(LEAD).item
    assert "limited_data_use" not in mapped(LEAD, limited_data_use=False).item
    assert mapped(LEAD, limited_data_use=True).item["limited_data_use"] is True


@pytest.mark.parametrize(
    ("field", "value", "settings", "out"),
    [
        pytest.param(
            "email",
            "Jane.Doe+News@Gmail.com",
            {},
            "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a",
            id="email with a tag",
        ),
        pytest.param(
            "email",
            "John_Smith@gmail.com",
            {},
            "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
            id="email",
        ),
        pytest.param("email", "ANNA@example.org", {}, ANNA, id="email in capitals"),
        pytest.param(
            "email",
            "user.name+NYC@Example.com",
            {},
            "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac",
            id="email with dots",
        ),
        pytest.param("email", ANNA.upper(), {}, ANNA, id="email already hashed"),
        pytest.param("email", "anna", {}, None, id="no email"),
        pytest.param(
            "phone",
            "+1 (650) 555-0123",
            {},
            "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0",
            id="phone",
        ),
        pytest.param(
            "phone",
            "(650)555-1212",
            {"default_country": "US"},
            "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8",
            id="phone of the default country",
        ),
        pytest.param("phone", "(650)555-1212", {}, None, id="phone of no country"),
        pytest.param(
            "phone",
            "+44 20 7946 0958",
            {},
            "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d",
            id="British phone",
        ),
        pytest.param(
            "external_id",
            "Cust-7781",
            {},
            "005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4",
            id="external id",
        ),
        pytest.param(
            "first_name",
            " Jane",
            {},
            "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2",
            id="first name",
        ),
        pytest.param(
            "last_name",
            "O'Neil",
            {},
            "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c",
            id="last name",
        ),
        pytest.param("last_name", ANNA.upper(), {}, ANNA, id="last name already hashed"),
        pytest.param(
            "zip",
            "94107",
            {},
            "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead",
            id="zip",
        ),
        pytest.param(
            "zip",
            "94107-1234",
            {},
            "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead",
            id="zip with four digits more",
        ),
        pytest.param(
            "zip",
            "SW1A 1AA",
            {},
            "830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614",
            id="British postcode",
        ),
        pytest.param("city", "San Francisco", {}, "sanfrancisco", id="city"),
        pytest.param("city", "29 Palms", {}, "29palms", id="city with digits"),
        pytest.param("city", "São Paulo", {}, "sãopaulo", id="city with an accent"),
        pytest.param("city", ANNA, {}, None, id="city already hashed"),
        pytest.param("state", "CA", {}, "ca", id="state"),
        pytest.param("state", "New York", {}, "ny", id="full name of a state"),
        pytest.param("country", "US", {}, "us", id="country"),
        pytest.param("country", "USA", {}, "us", id="three letters"),
        pytest.param("country", "Austria", {}, "at", id="name of a country"),
        pytest.param("country", "Atlantis", {}, None, id="name of no country"),
        pytest.param("first_name", "Zoe\u0308", {}, ZOE, id="first name with its accent apart"),
        pytest.param("first_name", "Zoë", {}, ZOE, id="first name with an accent"),
        pytest.param("city", "Sa\u0303o Paulo", {}, "sãopaulo", id="city with its accent apart"),
        pytest.param("external_id", "Zoe\u0308", {}, ZOE, id="external id with its accent apart"),
        pytest.param("email", f"{ANNA}.AQYCAQIB", {}, ANNA, id="email hashed by a builder"),
        pytest.param("last_name", f"{ANNA}.AQYCAQIB", {}, ANNA, id="last name hashed by a builder"),
        pytest.param("email", NOTHING, {}, None, id="digest of no email"),
        pytest.param("external_id", NOTHING, {}, None, id="digest of no external id"),
        pytest.param("client_ip", "::ffff:203.0.113.42", {}, "203.0.113.42", id="IPv4 in IPv6"),
        pytest.param("client_ip", "203.0.113.42:51234", {}, "203.0.113.42", id="IP address with a port"),
        pytest.param("client_ip", "[2001:DB8:0::1F]:443", {}, "2001:db8::1f", id="IPv6 address with a port"),
        pytest.param("client_ip", "fe80::1%eth0", {}, None, id="IPv6 address with a zone"),
        pytest.param("ttclid", "__CLICKID__", {}, None, id="template of a click id"),
        pytest.param("client_ip", " 203.0.113.42 ", {}, "203.0.113.42", id="IP address"),
        pytest.param("client_ip", "localhost", {}, None, id="no IP address"),
        pytest.param("client_user_agent", " Mozilla/5.0 ", {}, "Mozilla/5.0", id="user agent"),
        pytest.param("ttclid", "E.C.P.CqcB_-9Zk", {}, "E.C.P.CqcB_-9Zk", id="click id"),
        pytest.param("ttclid", "E.C.P. x", {}, None, id="click id with a space"),
        pytest.param("ttp", " 2F7h37YkS1j57AYSKTI7IHhJPYH", {}, "2F7h37YkS1j57AYSKTI7IHhJPYH", id="cookie"),
    ],
)
def test_value_is_normalised_to(field: str, value: str, settings: dict[str, Any], out: str | None) -> None:
    assert MAPPER.normalise[field](value, settings) == out


@pytest.mark.parametrize(
    ("zip_code", "country", "digest"),
    [
        pytest.param("941071234", "US", "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead", id="US"),
        pytest.param(
            "94107 1234", "US", "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead", id="US with a space"
        ),
        pytest.param(
            "941071234",
            "DE",
            "c711389868997b7f3f747e95fbce358e2ac994a8b4e838142a4e968c2cfc8b22",
            id="elsewhere",
        ),
    ],
)
def test_zip_is_cut_in_the_us_alone(zip_code: str, country: str, digest: str) -> None:
    result = mapped(lead(user_data={"email": "anna@example.org", "zip": zip_code, "country": country}))

    assert result.item["user"]["zip_code"] == digest


OK = {"code": 0, "message": "OK", "request_id": "20261120", "data": {}}


def answer(code: object, status: int = 200, message: str = "no", wait: str | None = None) -> PlatformReply:
    headers = {} if wait is None else {"retry-after": wait}
    return PlatformReply(status, {"code": code, "message": message, "request_id": "2", "data": {}}, headers)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        pytest.param(PlatformReply(200, OK), Acknowledged(200), id="accepted"),
        pytest.param(answer(20001), Acknowledged(200, "no", "20001"), id="partial success"),
        *(
            pytest.param(answer(code), CredentialsRefused(str(code), "no", 200), id=f"credentials {code}")
            for code in (40001, 40101, 40105, 40110)
        ),
        pytest.param(answer(40104, 401), CredentialsRefused("40104", "no", 401), id="credentials 40104"),
        pytest.param(answer(40100, 401), RateLimited(300.0, "40100", "no", 401), id="too fast with 401"),
        pytest.param(answer(40100), RateLimited(300.0, "40100", "no", 200), id="too fast with 200"),
        pytest.param(answer(40100, wait="7"), RateLimited(7.0, "40100", "no", 200), id="too fast, told"),
        pytest.param(
            answer(40002, message="Batch.0.properties.contents.0.content_id: Not a valid string"),
            Rejected("40002", "Batch.0.properties.contents.0.content_id: Not a valid string", 200),
            id="invalid parameter",
        ),
        pytest.param(answer(40300, 403), Rejected("40300", "no", 403), id="other 4xxxx"),
        pytest.param(answer(61000), Rejected("61000", "no", 200), id="code of no family"),
        pytest.param(answer(50000), Unreachable("no", 200, code="50000"), id="server side"),
        pytest.param(answer(51030, 500), Unreachable("no", 500, code="51030"), id="server side with 500"),
        pytest.param(answer(1, 503), Unreachable("no", 503, code="1"), id="code of no family with 503"),
        pytest.param(
            PlatformReply(502, None, {}, "<html>"),
            Unreachable("the platform gave no reason", 502, code="502"),
            id="page of a proxy",
        ),
        pytest.param(
            PlatformReply(200, None, {}, "<html>"),
            Unreachable("the answer holds no code of TikTok", 200, code="unconfirmed"),
            id="page with 200",
        ),
        pytest.param(
            PlatformReply(401, None),
            Unreachable("the answer holds no code of TikTok", 401, code="unconfirmed"),
            id="401 alone",
        ),
        pytest.param(
            answer(True),
            Unreachable("the answer holds no code of TikTok", 200, code="unconfirmed"),
            id="code that is no number",
        ),
        pytest.param(
            PlatformReply(429, None, {"retry-after": "9"}),
            RateLimited(9.0, "429", "the platform gave no reason", 429),
            id="429",
        ),
        *(
            pytest.param(
                PlatformReply(status, None, {"content-type": "text/html"}, "<html>"),
                Unreachable(
                    "something in between answered, such as a proxy: the event has not reached the platform",
                    status,
                    may_have_arrived=False,
                    code="intercepted",
                ),
                id=f"{status} of a proxy",
            )
            for status in (301, 302, 407)
        ),
        pytest.param(PlatformReply(404, None), Rejected("404", "the platform gave no reason", 404), id="wrong path"),
    ],
)
def test_answer_means(reply: PlatformReply, outcome: Outcome) -> None:
    assert MAPPER.read_reply(reply, 1) == [outcome]
    several = MAPPER.read_reply(reply, 3)
    assert several == (BatchRejected(outcome) if isinstance(outcome, Rejected) else [outcome] * 3)


def test_no_token_or_address_of_the_answer_gets_into_an_outcome() -> None:
    (outcome,) = MAPPER.read_reply(answer(40002, message=f"bad {ANNA} of jane@example.com"), 1)  # type: ignore[misc]

    assert outcome == Rejected("40002", "bad … of …", 200)


@pytest.mark.parametrize(
    "code", ["20001", "40001", "40002", "40100", "40101", "40104", "40105", "40110", "502", "unconfirmed"]
)
def test_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].summary
    assert MAPPER.explanations[code].next_step


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        pytest.param("pixel_code", "C4ABCDEFGHIJKLMNOPQR", None, id="pixel code"),
        pytest.param("pixel_code", "7123456789012345678", "must be the pixel's code", id="advertiser's number"),
        pytest.param("pixel_code", "C4ABCD EF", "must be the pixel's code", id="pixel code with a space"),
        pytest.param("test_event_code", "TEST04030", None, id="test code"),
        pytest.param("test_event_code", "", "must be copied", id="empty test code"),
        pytest.param("event_names", {"Purchase": "CompletePayment", "*": "Other"}, None, id="names"),
        pytest.param("event_names", {"Purchase": ""}, "must map event names", id="empty name"),
        pytest.param("event_names", "CompletePayment", "must map event names", id="names that are no map"),
        pytest.param("limited_data_use", True, None, id="limited data use"),
        pytest.param("limited_data_use", "yes", "must be true or false", id="limited data use as text"),
        pytest.param("max_age_days", 28, None, id="28 days"),
        pytest.param("max_age_days", 29, "must be a whole number of days", id="29 days"),
        pytest.param("max_age_days", True, "must be a whole number of days", id="days that are no number"),
        pytest.param("offline_event_set_id", "7123456789012345678", None, id="event set"),
        pytest.param("offline_event_set_id", "my set", "must be copied", id="event set with a space"),
        pytest.param("default_country", "US", None, id="country"),
        pytest.param("default_country", "usa", "must be a two-letter", id="no country"),
    ],
)
def test_setting_is_checked(name: str, value: Any, complaint: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)
    assert setting.check is not None

    found = setting.check(value)

    assert (found is None) if complaint is None else (found is not None and found.startswith(complaint))


def test_required_settings_are_the_pixel_and_its_token() -> None:
    assert [(s.name, s.secret) for s in MAPPER.settings if s.required] == [
        ("pixel_code", False),
        ("access_token", True),
    ]


def test_limits_are_declared() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes, MAPPER.max_event_age) == (
        1000,
        None,
        timedelta(days=7),
    )
    assert MAPPER.supports_test_events


def test_value_keeps_its_digits() -> None:
    item = mapped(lead(custom_data={"value": Decimal("39.95"), "currency": "EUR"})).item

    assert item["properties"]["value"] == 39.95
