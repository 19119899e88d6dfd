"""Pinterest: worked examples, refusals, normalisation, answers and settings of its mapper."""

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
    BearerToken,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
)
from tracklayer.domain.read_event import read_event
from tracklayer.mappers.base import Mapped
from tracklayer.mappers.outgoing import map_event
from tracklayer.mappers.pinterest import MAPPER

NOW = datetime(2026, 11, 21, 14, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType({"ad_account_id": "549755885175", "access_token": "secret-token"})
URL = "https://api.pinterest.com/v5/ad_accounts/549755885175/events"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SAM = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
US = "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"
CA = "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"
ZIP = "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead"
MAID = "AEBE52E7-03EE-455A-B3C4-E57283966239"
HASHED_MAID = "aab766791ab90f208a8bcb342fd935b3012e81ca20b1f7cf707caf804bbd813c"  # in lower case
LEAD: dict[str, Any] = {
    "event_name": "Lead",
    "event_id": "evt-1",
    "occurred_at": "2026-11-21T13:30:00Z",
    "action_source": "website",
    "event_source_url": "https://shop.example.com/contact",
    "user_data": {"email": "sam@example.com"},
}


ASKED = Asked(MAPPER, SETTINGS, NOW)
read, mapped, refused = ASKED.read, ASKED.mapped_with, ASKED.refused_with


def lead(**changed: Any) -> dict[str, Any]:
    """A good lead; ``...`` leaves a field out."""
    return {key: value for key, value in {**LEAD, **changed}.items() if value is not ...}


@pytest.mark.parametrize(
    ("draft", "item"),
    [
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "evt-10045",
                "occurred_at": "2026-11-20T14:30:05.250Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you?order=10045",
                "user_data": {
                    "email": "  Jane.Doe+News@Example.COM ",
                    "phone": "+1 (415) 555-0132",
                    "first_name": " Jane",
                    "last_name": "O'Neil",
                    "city": "San Francisco",
                    "state": "CA",
                    "zip": "94107",
                    "country": "US",
                    "external_id": "cust-8841",
                    "client_ip": "203.0.113.24",
                    "client_user_agent": CHROME,
                    "epik": "dj0yJnU9b2JDcFFHekV4SHJN",
                },
                "custom_data": {
                    "value": 149.9,
                    "currency": "USD",
                    "order_id": "10045",
                    "num_items": 3,
                    "contents": [
                        {
                            "id": "SKU-RED-M",
                            "quantity": 2,
                            "item_price": 49.95,
                            "title": "Red shirt",
                            "category": "Shirts",
                            "brand": "Acme",
                        },
                        {
                            "id": "SKU-CAP",
                            "quantity": 1,
                            "item_price": 50.0,
                            "title": "Cap",
                            "category": "Hats",
                            "brand": "Acme",
                        },
                    ],
                },
                "consent": {"ad_user_data": "granted"},
            },
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
                    "st": [CA],
                    "zp": [ZIP],
                    "country": [US],
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
            },
            id="full purchase",
        ),
        pytest.param(
            {
                "event_name": "CompleteRegistration",
                "event_id": "evt-20001",
                "occurred_at": "2026-11-21T09:00:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/welcome",
                "user_data": {
                    "email": "8C87B489CE35CF2E2F39F80E282CB2E804932A56A213983EEEB428407D43B52D",
                    "phone": "11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51",
                    "external_id": MD5,
                },
                "custom_data": {},
            },
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
            },
            id="already hashed",
        ),
        pytest.param(
            {
                "event_name": "Lead",
                "event_id": "evt-30001",
                "occurred_at": "2026-11-21T10:15:30Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/contact",
                "user_data": {"client_ip": "2001:db8::7", "client_user_agent": CHROME},
                "custom_data": {},
            },
            {
                "event_name": "lead",
                "action_source": "web",
                "event_time": 1795256130,
                "event_id": "evt-30001",
                "event_source_url": "https://shop.example.com/contact",
                "opt_out": False,
                "user_data": {"client_ip_address": "2001:db8::7", "client_user_agent": CHROME},
            },
            id="IP address and user agent alone",
        ),
        pytest.param(
            {
                "event_name": "QuoteRequested",
                "event_id": "evt-40001",
                "occurred_at": "2026-11-21T11:00:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/quote",
                "user_data": {"email": "sam@example.com"},
                "custom_data": {"value": 1500, "currency": "JPY"},
            },
            {
                "event_name": "custom",
                "action_source": "web",
                "event_time": 1795258800,
                "event_id": "evt-40001",
                "event_source_url": "https://shop.example.com/quote",
                "opt_out": False,
                "user_data": {"em": [SAM]},
                "custom_data": {"currency": "JPY", "value": "1500"},
            },
            id="custom event in yen",
        ),
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "evt-60001",
                "occurred_at": "2026-11-21T13:00:00Z",
                "action_source": "physical_store",
                "user_data": {"email": "ann@example.com", "state": "CA", "country": "US"},
                "custom_data": {"value": 12.5, "currency": "USD", "order_id": "S-77"},
                "consent": {"limited_data_use": True},
            },
            {
                "event_name": "checkout",
                "action_source": "offline",
                "event_time": 1795266000,
                "event_id": "evt-60001",
                "opt_out": False,
                "user_data": {
                    "em": ["71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476"],
                    "st": [CA],
                    "country": [US],
                },
                "custom_data": {
                    "currency": "USD",
                    "value": "12.50",
                    "order_id": "S-77",
                    "opt_out_type": "LDP",
                },
            },
            id="purchase in a store under limited data processing",
        ),
    ],
)
def test_worked_example_becomes_exactly_this_request(draft: dict[str, Any], item: dict[str, Any]) -> None:
    before = deepcopy(draft)
    result = mapped(draft)

    request = MAPPER.build_request(result.group, [result.item], SETTINGS)

    assert request.body == {"data": [item]}
    assert (request.method, request.url, request.auth) == ("POST", URL, BearerToken("secret-token"))
    assert left_out(result) == []
    assert draft == before


def test_token_is_neither_in_the_url_nor_in_the_body_nor_in_a_repr() -> None:
    request = MAPPER.build_request("", [{}], {**SETTINGS, "test": True})

    assert "secret-token" not in f"{request.url}{request.body}{request!r}"


@pytest.mark.parametrize(
    ("draft", "reason", "field"),
    [
        pytest.param(
            {
                "event_name": "AddToCart",
                "event_id": "evt-50001",
                "occurred_at": "2026-11-21T12:00:00Z",
                "action_source": "website",
                "user_data": {"phone": "+14155550132", "epik": "dj0yJnU9b2JD"},
                "custom_data": {"value": 20, "currency": "USD"},
            },
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="phone and click id alone",
        ),
        pytest.param(lead(user_data={"email": MD5}), DropReason.MISSING_IDENTIFIERS, "user_data", id="MD5 of an email"),
        pytest.param(
            lead(user_data={"client_ip": "nowhere", "client_user_agent": "x"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="user agent beside no IP address",
        ),
        pytest.param(
            lead(user_data={"external_id": "7", "first_name": "Jane", "last_name": "Doe"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="external id and names",
        ),
        pytest.param(
            lead(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(lead(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
        pytest.param(
            lead(user_data={}, device={"advertising_id": MAID, "tracking_allowed": False}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="advertising id of somebody who allows no tracking",
        ),
    ],
)
def test_event_is_refused_before_sending(draft: dict[str, Any], reason: DropReason, field: str) -> None:
    result = refused(draft)

    assert (result.reason, result.field) == (reason, field)
    assert result.verdicts[-1].ok is False
    assert result.verdicts[-1].message == result.message


def test_event_that_is_further_ahead_than_five_minutes_waits_until_its_time_has_come() -> None:
    ahead = read(lead(occurred_at="2026-11-21T14:05:01Z"), NOW + timedelta(hours=1))
    at_the_edge = read(lead(occurred_at="2026-11-21T14:05:00Z"))

    waits, goes = (map_event(MAPPER, event, SETTINGS, NOW) for event in (ahead, at_the_edge))

    assert isinstance(waits, Mapped)
    assert isinstance(goes, Mapped)
    assert (waits.not_before, goes.not_before) == (ahead.occurred_at, None)


def test_time_that_is_none_never_becomes_an_event() -> None:
    problems = read_event(lead(occurred_at="yesterday"), NOW)

    assert isinstance(problems, list)
    assert [(problem.field, problem.code) for problem in problems] == [(("occurred_at",), "INVALID_TIME")]


@pytest.mark.parametrize(
    ("occurred_at", "is_late"),
    [
        pytest.param("2026-11-21T14:05:00Z", False, id="five minutes ahead"),
        pytest.param("2026-11-21T13:00:00Z", False, id="an hour old"),
        pytest.param("2026-11-21T12:59:59Z", True, id="a second more"),
        pytest.param("2025-11-21T14:00:00Z", True, id="a year old"),
    ],
)
def test_no_age_is_too_great_but_lateness_is_told(occurred_at: str, is_late: bool) -> None:
    rules = [verdict.rule for verdict in mapped(lead(occurred_at=occurred_at)).verdicts]

    assert ("event_age" in rules) is is_late


@pytest.mark.parametrize(
    ("name", "settings", "sent"),
    [
        pytest.param("Purchase", {}, "checkout", id="Purchase"),
        pytest.param("AddToCart", {}, "add_to_cart", id="AddToCart"),
        pytest.param("InitiateCheckout", {}, "initiate_checkout", id="InitiateCheckout"),
        pytest.param("AddPaymentInfo", {}, "add_payment_info", id="AddPaymentInfo"),
        pytest.param("Lead", {}, "lead", id="Lead"),
        pytest.param("CompleteRegistration", {}, "signup", id="CompleteRegistration"),
        pytest.param("ViewContent", {}, "view_content", id="ViewContent"),
        pytest.param("Search", {}, "search", id="Search"),
        pytest.param("Subscribe", {}, "subscribe", id="Subscribe"),
        pytest.param("StartTrial", {}, "start_trial", id="StartTrial"),
        pytest.param("AddToWishlist", {}, "add_to_wishlist", id="AddToWishlist"),
        pytest.param("Contact", {}, "contact", id="Contact"),
        pytest.param("PageView", {}, "page_visit", id="PageView"),
        pytest.param("purchase", {}, "custom", id="another case is a custom event"),
        pytest.param("watch_video", {}, "custom", id="name of Pinterest's own that nobody set"),
        pytest.param("Quote", {"custom_event_names": {"Quote": "quote-1"}}, "quote-1", id="a name of one's own"),
        pytest.param("ViewContent", {"custom_event_names": {"ViewContent": "page_visit"}}, "page_visit", id="override"),
        pytest.param("Lead", {"custom_event_names": {"Quote": "q", "*": "custom"}}, "custom", id="every other"),
        pytest.param("Lead", {"custom_event_names": {"Quote": "q"}}, "lead", id="name that is not in the map"),
    ],
)
def test_event_name_is_sent_as(name: str, settings: dict[str, Any], sent: str) -> None:
    assert mapped(lead(event_name=name), **settings).item["event_name"] == sent


@pytest.mark.parametrize(
    ("action_source", "agent", "sent", "group"),
    [
        pytest.param("website", CHROME, "web", "", id="website"),
        *(
            pytest.param(source, CHROME, "offline", "offline", id=source)
            for source in (
                *("physical_store", "phone_call", "email", "chat", "system_generated"),
                *("business_messaging", "other"),
            )
        ),
        pytest.param("app", "Dalvik/2.1.0 (Linux; U; Android 16; Pixel 9)", "app_android", "", id="Android"),
        pytest.param("app", "Shop/3.1 CFNetwork/1410 Darwin/22.6.0", "app_ios", "", id="iOS network library"),
        pytest.param("app", "Shop/3.1 (iPad; iOS 19.1)", "app_ios", "", id="iPad"),
        pytest.param("app", "okhttp/5", "offline", "offline", id="app of an unknown system"),
    ],
)
def test_action_source_is_sent_as(action_source: str, agent: str, sent: str, group: str) -> None:
    user_data = {"email": "sam@example.com", "client_user_agent": agent}

    result = mapped(lead(action_source=action_source, user_data=user_data))

    assert (result.item["action_source"], result.group) == (sent, group)
    assert ("event_source_url" in result.item) is (sent == "web")


@pytest.mark.parametrize(
    ("device", "agent", "os", "sent"),
    [
        pytest.param(
            {"os": "iPadOS 19"}, "Dalvik/2.1.0 (Linux; U; Android 16)", "android", "app_ios", id="device first"
        ),
        pytest.param({"os": "Windows"}, "Shop/3.1 (iPad; iOS 19.1)", "android", "app_ios", id="then the user agent"),
        pytest.param({}, "okhttp/5", "Android", "app_android", id="then the property"),
        pytest.param({}, "okhttp/5", 16, "offline", id="property that is no text"),
        pytest.param({}, "okhttp/5", "Windows", "offline", id="another system"),
    ],
)
def test_system_of_an_app_is_told_by(device: dict[str, str], agent: str, os: Any, sent: str) -> None:
    user_data = {"email": "sam@example.com", "client_user_agent": agent}
    draft = lead(action_source="app", user_data=user_data, device=device, custom_data={"properties": {"os": os}})

    result = mapped(draft)

    assert result.item["action_source"] == sent
    assert ("action_source" in [verdict.rule for verdict in result.verdicts]) is (sent == "offline")


IPHONE: dict[str, Any] = {
    "os": "iOS",
    "os_version": "19.1",
    "app_id": "com.example.shop",
    "app_name": "Shop",
    "app_version": "3.1",
    "model": "iPhone17,1",
    "locale": "pt_BR",
    "time_zone": "America/Sao_Paulo",
    "carrier": "Example Mobile",
    "screen_width": 1206,
    "screen_height": 2622,
    "advertising_id": MAID,
    "vendor_id": "5CB9D4A7-2C4C-4B0C-8C3A-6B1B3B0E2F11",
    "tracking_allowed": True,
}


def test_event_of_an_app_carries_what_the_schema_has_of_its_device() -> None:
    result = mapped(lead(action_source="app", event_source_url=..., user_data={}, device=IPHONE))

    assert result.item == {
        "event_name": "lead",
        "action_source": "app_ios",
        "event_time": 1795267800,
        "event_id": "evt-1",
        "opt_out": False,
        "user_data": {"hashed_maids": [HASHED_MAID]},
        "app_id": "com.example.shop",
        "app_name": "Shop",
        "app_version": "3.1",
        "device_carrier": "Example Mobile",
        "device_model": "iPhone17,1",
        "os_version": "19.1",
        "language": "pt",
    }
    assert left_out(result) == []


@pytest.mark.parametrize(
    ("source", "locale", "language"),
    [
        pytest.param("app", "en", "en", id="language alone"),
        pytest.param("app", "EN-us", "en", id="hyphen"),
        pytest.param("app", "eng", ..., id="three letters"),
        pytest.param("website", "en_US", ..., id="website"),
        pytest.param("physical_store", "en_US", ..., id="shop"),
    ],
)
def test_language_is_two_letters_of_an_app(source: str, locale: str, language: Any) -> None:
    item = mapped(lead(action_source=source, device={"os": "Android", "locale": locale})).item

    assert item.get("language", ...) == language


@pytest.mark.parametrize(
    ("device", "opt_out", "user_data", "left"),
    [
        pytest.param({}, False, {"em": [SAM]}, [], id="nothing said"),
        pytest.param(
            {"advertising_id": MAID.lower()}, False, {"em": [SAM], "hashed_maids": [HASHED_MAID]}, [], id="not asked"
        ),
        pytest.param(
            {"advertising_id": MAID, "tracking_allowed": False},
            True,
            {"em": [SAM]},
            [("advertising_id", "device.advertising_id")],
            id="refused",
        ),
        pytest.param(
            {"advertising_id": "9774d56d682e549c"},
            False,
            {"em": [SAM]},
            [("advertising_id", "device.advertising_id")],
            id="no advertising id",
        ),
    ],
)
def test_tracking_that_is_refused_opts_out_and_keeps_the_advertising_id_here(
    device: dict[str, Any], opt_out: bool, user_data: dict[str, Any], left: list[tuple[str, str]]
) -> None:
    result = mapped(lead(action_source="app", device={"os": "iOS", **device}))

    assert (result.item["opt_out"], result.item["user_data"], left_out(result)) == (opt_out, user_data, left)


def test_further_emails_and_phones_follow_the_first_each_once() -> None:
    person = {
        "email": "sam@example.com",
        "emails": ["ann@example.com", "SAM@example.com", f"{SAM}.AQYCAQIB", "nobody"],
        "phones": ["+1 (415) 555-0132", "415 555 0132"],
    }
    result = mapped(lead(user_data=person))

    assert result.item["user_data"] == {
        "em": [SAM, "71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476"],
        "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
    }
    assert left_out(result) == [("emails.3", "user_data.emails.3"), ("phones.1", "user_data.phones.1")]


def test_a_further_email_alone_is_enough() -> None:
    assert mapped(lead(user_data={"emails": ["sam@example.com"]})).item["user_data"] == {"em": [SAM]}


def test_page_that_is_no_full_url_is_left_out() -> None:
    result = mapped(lead(event_source_url="shop.example.com"))

    assert "event_source_url" not in result.item
    assert left_out(result) == [("event_source_url", "event_source_url")]


@pytest.mark.parametrize(
    ("consent", "opt_out"),
    [
        pytest.param({}, False, id="nothing said"),
        pytest.param({"ad_user_data": "granted", "ad_personalization": "granted"}, False, id="granted"),
        pytest.param({"ad_personalization": "denied"}, True, id="personalised ads denied"),
    ],
)
def test_denied_personalisation_opts_out(consent: dict[str, str], opt_out: bool) -> None:
    assert mapped(lead(consent=consent)).item["opt_out"] is opt_out


def test_limited_data_use_without_a_place_is_sent_and_told() -> None:
    result = mapped(lead(consent={"limited_data_use": True}))

    assert result.item["custom_data"] == {"opt_out_type": "LDP"}
    assert [verdict.message for verdict in result.verdicts if verdict.rule == "limited_data_use"] == [
        "Pinterest also wants the person's state and country"
    ]


def test_partner_name_is_sent_with_the_event() -> None:
    assert "partner_name" not in mapped(LEAD).item
    assert mapped(LEAD, partner_name="ss-company").item["partner_name"] == "ss-company"


def test_test_mode_is_in_the_query_and_every_event_travels_alone() -> None:
    settings = {**SETTINGS, "test": True}
    groups = [mapped(lead(event_id=event_id), test=True).group for event_id in ("a", "b")]

    assert groups == ["test:a", "test:b"]
    assert MAPPER.build_request(groups[0], [{}], settings).url == URL + "?test=true"
    assert MAPPER.build_request("", [{}], {**SETTINGS, "test": False}).url == URL


@pytest.mark.parametrize(
    ("url", "epik", "sent"),
    [
        pytest.param("https://a.example/?epik=dj0y%2Bx&y=1", None, "dj0y+x", id="of the URL"),
        pytest.param("https://a.example/?epik=url", " cookie ", "cookie", id="of the cookie"),
        pytest.param("https://a.example/?epik=", None, None, id="empty"),
        pytest.param("https://a.example/?epik=undefined", None, None, id="of nothing"),
        pytest.param("https://a.example/?epik=%7Bepik%7D", None, None, id="of a template"),
        pytest.param("https://a.example/?epik=null", "cookie", "cookie", id="of the cookie, nothing in the URL"),
        pytest.param("https://a.example/?epik=url", "null", "url", id="of the URL, nothing in the cookie"),
        pytest.param("https://a.example/?pepik=x#epik=y", None, None, id="another parameter"),
        pytest.param("a.example/?epik=x", None, "x", id="of a URL without a scheme"),
    ],
)
def test_click_id_is_taken_from(url: str, epik: str | None, sent: str | None) -> None:
    user_data = {"email": "sam@example.com"} | ({"epik": epik} if epik else {})

    found = mapped(lead(event_source_url=url, user_data=user_data)).item["user_data"]

    assert found == {"em": [SAM]} | ({"click_id": sent} if sent else {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("phone", "415 555 0132", id="phone without its country"),
        pytest.param("phone", MD5, id="MD5 of a phone"),
        pytest.param("first_name", MD5, id="MD5 of a name"),
        pytest.param("last_name", MD5 + "00000000", id="SHA-1 of a name"),
        pytest.param("city", MD5, id="MD5 of a city"),
        pytest.param("zip", "abc", id="postal code without a digit"),
        pytest.param("country", "Atlantis", id="country that is none"),
        pytest.param("gender", "unknown", id="gender that is none"),
        pytest.param("date_of_birth", "1990", id="year of birth"),
        pytest.param("client_ip", "203.0.113", id="half an IP address"),
        pytest.param("client_ip", "fe80::1%eth0", id="IP address with a zone"),
    ],
)
def test_malformed_identifier_is_left_out_and_the_event_goes(field: str, value: str) -> None:
    result = mapped(lead(user_data={"email": "sam@example.com", field: value}))

    assert result.item["user_data"] == {"em": [SAM]}
    assert left_out(result) == [(field, f"user_data.{field}")]


@pytest.mark.parametrize(
    ("custom_data", "sent", "left"),
    [
        pytest.param({"value": 0, "currency": "USD"}, {"currency": "USD", "value": "0.00"}, [], id="zero"),
        pytest.param({"value": "-0", "currency": "USD"}, {"currency": "USD", "value": "0.00"}, [], id="minus zero"),
        pytest.param(
            {"value": 1234567.5, "currency": "EUR"},
            {"currency": "EUR", "value": "1234567.50"},
            [],
            id="millions",
        ),
        pytest.param({"value": "1E+3", "currency": "EUR"}, {"currency": "EUR", "value": "1000.00"}, [], id="exponent"),
        pytest.param({"value": "0.005", "currency": "EUR"}, {"currency": "EUR", "value": "0.01"}, [], id="rounded"),
        pytest.param({"value": "99.5", "currency": "KRW"}, {"currency": "KRW", "value": "100"}, [], id="won"),
        pytest.param({"value": "1.5", "currency": "KWD"}, {"currency": "KWD", "value": "1.500"}, [], id="dinar"),
        pytest.param({"value": "1.5", "currency": "CLF"}, {"currency": "CLF", "value": "1.5000"}, [], id="fomento"),
        pytest.param({"value": 20}, {"value": "20.00"}, [], id="no currency"),
        pytest.param({"value": "1.234"}, {"value": "1.234"}, [], id="no currency, three decimals"),
        pytest.param(
            {"contents": [{"id": "a", "item_price": -3}], "predicted_ltv": -1},
            {"content_ids": ["a"], "contents": [{"id": "a", "quantity": 1}]},
            [("contents", "custom_data.contents"), ("predicted_ltv", "custom_data.predicted_ltv")],
            id="prices below zero",
        ),
        pytest.param(
            {"value": -5, "currency": "USD", "order_id": "7"},
            {"currency": "USD", "order_id": "7"},
            [("value", "custom_data.value")],
            id="value below zero",
        ),
        pytest.param(
            {"contents": [{"id": "a", "quantity": 1.85, "item_price": 3.2}, {"id": "b", "quantity": "2"}]},
            {
                "content_ids": ["a", "b"],
                "contents": [{"id": "a", "quantity": 2, "item_price": "3.20"}, {"id": "b", "quantity": 2}],
            },
            [],
            id="goods by weight are counted in pieces",
        ),
        pytest.param(
            {"contents": [{"id": "a"}], "product_ids": ["p", "q"]},
            {"content_ids": ["p", "q"], "contents": [{"id": "a", "quantity": 1}]},
            [],
            id="product_ids before the ids of contents",
        ),
        pytest.param(
            {
                "content_name": "Cap",
                "content_category": "Hats",
                "content_type": "product",
                "status": "new",
                "search_string": "cap",
                "predicted_ltv": 99,
                "currency": "USD",
                "properties": {"content_brand": "Acme"},
            },
            {
                "content_name": "Cap",
                "content_category": "Hats",
                "content_brand": "Acme",
                "search_string": "cap",
                "predicted_ltv": "99.00",
                "currency": "USD",
            },
            [],
            id="all that is optional",
        ),
        pytest.param(
            {"order_id": "7", "properties": {"np": "x", "score": 87, "content_brand": 5}},
            {"order_id": "7"},
            [("properties", "custom_data.properties")],
            id="fields of one's own",
        ),
    ],
)
def test_custom_data_is_built_from(
    custom_data: dict[str, Any], sent: dict[str, Any], left: list[tuple[str, str]]
) -> None:
    result = mapped(lead(custom_data=custom_data))

    assert result.item["custom_data"] == sent
    assert left_out(result) == left


def test_quantities_that_are_rounded_are_told() -> None:
    whole, weighed = (mapped(lead(custom_data={"contents": [{"id": "a", "quantity": q}]})) for q in (2.0, 1.85))

    assert [[v.field for v in found.verdicts if v.rule == "contents"] for found in (whole, weighed)] == [
        [],
        ["custom_data.contents"],
    ]


@pytest.mark.parametrize(
    ("value", "currency", "sent", "told"),
    [
        ("1.005", "USD", "1.01", ["rounded to the 2 decimals that USD has"]),
        ("129.99", "JPY", "130", ["rounded: JPY has no decimals"]),
        ("1.00", "JPY", "1", []),
        ("1.5", "KWD", "1.500", []),
        ("1.234", None, "1.234", []),
    ],
)
def test_an_amount_that_is_rounded_is_told(value: str, currency: str | None, sent: str, told: list[str]) -> None:
    lines = [{"id": "a", "item_price": value}, {"id": "b", "item_price": value}]
    given = {"value": value, "predicted_ltv": value, "contents": lines} | ({"currency": currency} if currency else {})
    result = mapped(lead(custom_data=given))

    data = result.item["custom_data"]
    assert [data["value"], data["predicted_ltv"], *(line["item_price"] for line in data["contents"])] == [sent] * 4
    for rule in ("value", "predicted_ltv", "contents"):
        found = [verdict for verdict in result.verdicts if verdict.rule == rule]
        assert [(one.ok, one.message, one.field) for one in found] == [
            (True, text, f"custom_data.{rule}") for text in told
        ]


def test_event_without_custom_data_has_none() -> None:
    assert "custom_data" not in mapped(lead(custom_data={"properties": {"empty": None}})).item


@pytest.mark.parametrize(
    ("field", "value", "settings", "out"),
    [
        pytest.param(
            "email",
            "  Jane.Doe+News@Example.COM ",
            {},
            "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
            id="email",
        ),
        pytest.param("email", SAM.upper(), {}, SAM, id="email already hashed"),
        pytest.param("email", MD5, {}, None, id="MD5 of an email"),
        pytest.param(
            "phone",
            "+1 (415) 555-0132",
            {},
            "11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51",
            id="phone",
        ),
        pytest.param(
            "phone",
            "(415) 555-0132",
            {"default_country": "US"},
            "11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51",
            id="phone of the default country",
        ),
        pytest.param("phone", "(415) 555-0132", {}, None, id="phone of no country"),
        pytest.param("phone", MD5, {"default_country": "US"}, None, id="MD5 of a phone"),
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
            "eb1aed4f494ca276a88d3161252e48e0fe703f32666fe44fe4652f660b82cda4",
            id="last name keeps its apostrophe",
        ),
        pytest.param(
            "city",
            "San Francisco",
            {},
            "1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac",
            id="city",
        ),
        pytest.param(
            "first_name",
            " Zoe\u0308",
            {},
            "2752b88686847fa5c86f47b94ce652b7b3f22a91c37617d451a4db9afa431450",
            id="accent written apart",
        ),
        pytest.param(
            "last_name",
            "Anne-Marie Dubois",
            {},
            "e1f6d8da1510a99b8144d8ca2edebc1ecd5c40a792f93f89ca7fbc21b1efae0f",
            id="hyphen and inner space stay",
        ),
        pytest.param("first_name", f"{SAM.upper()}.AQYCAQIB", {}, SAM, id="digest with a builder's tail"),
        pytest.param("email", f"{SAM}.Bg", {}, SAM, id="digest of an email with a builder's tail"),
        pytest.param(
            "city",
            "Saint-E\u0301tienne",
            {},
            "bb35a91d6f2bd7ba807fdd240cc838bdd3b20fe1a6fdedba60d941fbe8d5c10f",
            id="city with an accent written apart",
        ),
        pytest.param(
            "city", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", {}, None, id="digest of nothing"
        ),
        pytest.param("external_id", "null", {}, None, id="external id that stands for none"),
        pytest.param("epik", "{{epik}}", {}, None, id="click id of a template"),
        pytest.param("state", "CA", {}, CA, id="state"),
        pytest.param("state", "California", {}, CA, id="full name of a state"),
        pytest.param("zip", "94107", {}, ZIP, id="zip"),
        pytest.param("zip", "94107-1234", {}, ZIP, id="zip with four digits more"),
        pytest.param("zip", "K-94107", {}, ZIP, id="letters are lost"),
        pytest.param("country", "US", {}, US, id="country"),
        pytest.param("country", "United States", {}, US, id="name of a country"),
        pytest.param("country", "usa", {}, US, id="three letters of a country"),
        pytest.param(
            "external_id",
            " cust-8841 ",
            {},
            "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf",
            id="external id",
        ),
        pytest.param(
            "external_id",
            MD5,
            {},
            "3f2cd8e57b096fe7e4a78a5627e34ca3f885ad65a56e61c287cf4211bbc5949f",
            id="external id that looks like an MD5",
        ),
        pytest.param(
            "external_id",
            "Cust-8841",
            {},
            "6f41a80fb7724a6b0d981e41b1253d63f61069688e8e05a19f5fe97eeefefbe1",
            id="external id keeps its case",
        ),
        pytest.param(
            "gender",
            " F",
            {},
            "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111",
            id="gender",
        ),
        pytest.param(
            "gender",
            "N",
            {},
            "1b16b1df538ba12dc3f97edbb85caa7050d46c148134290feba80f8236c83db9",
            id="neither gender",
        ),
        *(
            pytest.param(
                "gender",
                word,
                {},
                "1b16b1df538ba12dc3f97edbb85caa7050d46c148134290feba80f8236c83db9",
                id=f"gender {word}",
            )
            for word in ("non-binary", "Nonbinary", "x")
        ),
        *(
            pytest.param(
                "gender",
                word,
                {},
                "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111",
                id=f"gender {word}",
            )
            for word in ("female", "Ms.", "woman")
        ),
        pytest.param(
            "date_of_birth",
            "1990-05-17",
            {},
            "7eaa6e2f3dca12acc11ad21625299f660e38a7510de1e12cf2013dd5274d2926",
            id="date of birth",
        ),
        pytest.param(
            "city",
            "29 Palms",
            {},
            "e82cbf2570b0830f734642acec7583654fdfa34f0d076fbe27541b63155b0c8a",
            id="city with digits",
        ),
        pytest.param(
            "zip",
            "SW1A 1AA",
            {},
            "4fc82b26aecb47d2868c4efbe3581732a3e7cbcc6c2efb32062c08170a05eeb8",
            id="British postcode",
        ),
        pytest.param("client_ip", " 203.0.113.24", {}, "203.0.113.24", id="IP address"),
        pytest.param("client_ip", "::ffff:203.0.113.24", {}, "203.0.113.24", id="IPv4 in IPv6"),
        pytest.param("client_ip", "[2001:DB8:0::7]:443", {}, "2001:db8::7", id="IPv6 in brackets with a port"),
        pytest.param("client_user_agent", " Mozilla/5.0 ", {}, "Mozilla/5.0", id="user agent"),
        pytest.param("epik", " dj0yJnU9b2JD ", {}, "dj0yJnU9b2JD", id="click id"),
    ],
)
def test_value_is_normalised_to(field: str, value: str, settings: dict[str, Any], out: str | None) -> None:
    assert MAPPER.normalise[field](value, settings) == out


@pytest.mark.parametrize(
    ("country", "user_data"),
    [
        pytest.param("US", {"em": [SAM], "zp": [ZIP], "country": [US]}, id="US"),
        pytest.param("United States", {"em": [SAM], "zp": [ZIP], "country": [US]}, id="US by its name"),
        pytest.param(
            None,
            {"em": [SAM], "zp": ["c711389868997b7f3f747e95fbce358e2ac994a8b4e838142a4e968c2cfc8b22"]},
            id="country unknown",
        ),
    ],
)
def test_zip_is_cut_in_the_us_alone(country: str | None, user_data: dict[str, Any]) -> None:
    given = {"email": "sam@example.com", "zip": "941071234"} | ({"country": country} if country else {})

    assert mapped(lead(user_data=given)).item["user_data"] == user_data


def done(*statuses: str, **root: Any) -> dict[str, Any]:
    """Pinterest's body of a success, or of a partial one."""
    events = [
        {"status": status, "error_message": "bad" if status == "failed" else None, "warning_message": None}
        for status in statuses
    ]
    return {
        "num_events_received": len(statuses),
        "num_events_processed": statuses.count("processed"),
        "events": events,
        **root,
    }


UNCONFIRMED = Unreachable("the answer does not confirm the event", 200, code="unconfirmed")


@pytest.mark.parametrize(
    ("reply", "outcomes"),
    [
        pytest.param(
            PlatformReply(200, done("processed", "processed")),
            [Acknowledged(200), Acknowledged(200)],
            id="all processed",
        ),
        pytest.param(
            PlatformReply(
                200,
                {
                    "num_events_received": 2,
                    "num_events_processed": 2,
                    "events": [
                        {"status": "processed", "error_message": None, "warning_message": None},
                        {"status": "processed", "error_message": None, "warning_message": "no click_id"},
                    ],
                },
            ),
            [Acknowledged(200), Acknowledged(200, "no click_id", "noted")],
            id="a warning is no failure",
        ),
        pytest.param(
            PlatformReply(200, done("processed", "failed")),
            [Acknowledged(200), Rejected("failed", "bad", 200)],
            id="failure inside a success",
        ),
        pytest.param(
            PlatformReply(200, {"num_events_received": 2, "num_events_processed": 2}),
            [Acknowledged(200), Acknowledged(200)],
            id="all processed, not listed",
        ),
        pytest.param(
            PlatformReply(200, {"num_events_received": 2, "num_events_processed": 1}),
            [UNCONFIRMED, UNCONFIRMED],
            id="one processed, not listed",
        ),
        pytest.param(PlatformReply(200, done("processed")), [UNCONFIRMED, UNCONFIRMED], id="list that is too short"),
        pytest.param(
            PlatformReply(200, done("processed", "pending")),
            [Acknowledged(200), UNCONFIRMED],
            id="unknown word",
        ),
        pytest.param(PlatformReply(200, None, {}, "ok"), [UNCONFIRMED, UNCONFIRMED], id="no JSON"),
        pytest.param(
            PlatformReply(200, None, {"content-type": "text/html; charset=utf-8"}, "Welcome"),
            [
                Unreachable(
                    "a web page came back instead of the platform's answer, such as a proxy's",
                    200,
                    may_have_arrived=False,
                    code="intercepted",
                )
            ]
            * 2,
            id="a web page",
        ),
        *(
            pytest.param(
                PlatformReply(status, None, {}, "<html>Sign in</html>"),
                [
                    Unreachable(
                        "something in between answered, such as a proxy: the event has not reached the platform",
                        status,
                        may_have_arrived=False,
                        code="intercepted",
                    )
                ]
                * 2,
                id=f"{status} of a proxy",
            )
            for status in (301, 302, 407)
        ),
        pytest.param(
            PlatformReply(422, {"code": 1, "message": "some", "details": done("failed", "processed")}),
            [Rejected("failed", "bad", 422), Acknowledged(422)],
            id="422 with details",
        ),
        pytest.param(
            PlatformReply(422, done("failed", "processed", code=1, message="some")),
            [Rejected("failed", "bad", 422), Acknowledged(422)],
            id="422 with the list at the top",
        ),
        pytest.param(
            PlatformReply(422, {"code": 1, "message": "some", "details": {}}),
            BatchRejected(Rejected("1", "some", 422)),
            id="422 without a list",
        ),
        pytest.param(
            PlatformReply(400, {"code": 4196, "message": "Invalid request"}),
            BatchRejected(Rejected("4196", "Invalid request", 400)),
            id="invalid request",
        ),
        pytest.param(
            PlatformReply(401, {"code": 2, "message": "Authentication failed."}),
            [CredentialsRefused("2", "Authentication failed.", 401)] * 2,
            id="bad token",
        ),
        pytest.param(
            PlatformReply(403, {"code": 29, "message": "Not permitted"}),
            [CredentialsRefused("29", "Not permitted", 403)] * 2,
            id="no right on the ad account",
        ),
        pytest.param(
            PlatformReply(429, {"code": 8, "message": "Slow"}, {"retry-after": "7", "x-ratelimit-reset": "40"}),
            [RateLimited(7.0, "8", "Slow", 429)] * 2,
            id="too fast with Retry-After",
        ),
        pytest.param(
            PlatformReply(429, {"code": 8, "message": "Slow"}, {"x-ratelimit-reset": "40"}),
            [RateLimited(40.0, "8", "Slow", 429)] * 2,
            id="too fast with a reset",
        ),
        pytest.param(
            PlatformReply(429, {"code": 8, "message": "Slow"}, {"x-ratelimit-reset": "1795269600"}),
            [RateLimited(None, "8", "Slow", 429)] * 2,
            id="too fast with a reset that is a date",
        ),
        pytest.param(
            PlatformReply(503, {"code": 4197, "message": "Ramped down"}, {"retry-after": "30"}),
            [Unreachable("Ramped down", 503, 30.0, code="4197")] * 2,
            id="ramped down",
        ),
        pytest.param(
            PlatformReply(500, None),
            [Unreachable("the platform gave no reason", 500, code="500")] * 2,
            id="server error without a word",
        ),
        pytest.param(
            PlatformReply(404, {"code": True, "message": "bad 0123456789"}),
            BatchRejected(Rejected("404", "bad …", 404)),
            id="not found, code that is no number",
        ),
    ],
)
def test_answer_to_two_events_means(reply: PlatformReply, outcomes: list[Outcome] | BatchRejected) -> None:
    assert MAPPER.read_reply(reply, 2) == outcomes


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        pytest.param(
            PlatformReply(400, {"code": 4196, "message": "Invalid request"}),
            Rejected("4196", "Invalid request", 400),
            id="invalid request",
        ),
        pytest.param(PlatformReply(422, {"message": "some"}), Rejected("422", "some", 422), id="422 without a list"),
    ],
)
def test_refusal_of_a_lone_event_is_its_own(reply: PlatformReply, outcome: Outcome) -> None:
    assert MAPPER.read_reply(reply, 1) == [outcome]


def test_no_address_of_the_answer_gets_into_an_outcome() -> None:
    body = done("failed")
    body["events"][0]["error_message"] = f"em {SAM} of jane@example.com"

    assert MAPPER.read_reply(PlatformReply(422, {"details": body}), 1) == [Rejected("failed", "em … of …", 422)]


@pytest.mark.parametrize("code", ["4196", "2", "29", "8", "4197", "422", "failed", "unconfirmed"])
def test_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].summary
    assert MAPPER.explanations[code].next_step


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        pytest.param("ad_account_id", "549755885175", None, id="ad account"),
        pytest.param("ad_account_id", 549755885175, None, id="ad account as a number"),
        pytest.param("ad_account_id", "act_549", "must be digits only", id="ad account with letters"),
        pytest.param("test", True, None, id="test mode"),
        pytest.param("test", "true", "must be true or false", id="test mode as text"),
        pytest.param("custom_event_names", {"Quote": "quote-1", "*": "custom"}, None, id="names"),
        pytest.param("custom_event_names", {}, "must map event names", id="no names"),
        pytest.param("custom_event_names", ["quote"], "must map event names", id="names that are no map"),
        pytest.param("custom_event_names", {"Quote": "my quote"}, "must give names", id="name with a space"),
        pytest.param("custom_event_names", {"Quote": "q" * 101}, "must give names", id="name too long"),
        pytest.param("custom_event_names", {"Quote": 5}, "must give names", id="name that is no text"),
        pytest.param(
            "custom_event_names",
            {**{f"E{n}": f"own{n}" for n in range(15)}, "P": "page_visit", "Q": "OWN1"},
            None,
            id="fifteen of one's own",
        ),
        pytest.param(
            "custom_event_names",
            {f"E{n}": f"own{n}" for n in range(16)},
            "must name at most 15",
            id="sixteen of one's own",
        ),
        pytest.param("partner_name", "ss-company", None, id="partner"),
        pytest.param("partner_name", "company", "must be the name", id="partner without ss-"),
        pytest.param("default_country", "us", "must be a two-letter", id="country in small letters"),
    ],
)
def test_setting_is_checked(name: str, value: Any, complaint: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)
    assert setting.check is not None

    found = setting.check(value)

    assert (found is None) if complaint is None else (found is not None and found.startswith(complaint))


def test_required_settings_are_the_ad_account_and_its_token() -> None:
    assert [(s.name, s.secret) for s in MAPPER.settings if s.required] == [
        ("ad_account_id", False),
        ("access_token", True),
    ]


def test_limits_are_declared() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes, MAPPER.max_event_age) == (1000, 2_000_000, None)
    assert MAPPER.supports_test_events
    assert MAPPER.max_ahead == timedelta(minutes=5)
