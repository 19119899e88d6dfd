"""What Snapchat gets, what it never gets, and how its answers are read."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tests.mappers.helpers import Asked, reply
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
from tracklayer.domain.normalise import sha256_hex
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.outgoing import map_event
from tracklayer.mappers.snapchat import MAPPER

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
PIXEL = "1ec32188-754e-4be2-8e55-c949a984a39f"
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "pixel_id": PIXEL,
        "access_token": "sandbox-access-token",
        "custom_event_map": {"QuoteRequested": "CUSTOM_EVENT_1"},
    }
)
APP = {**SETTINGS, "snap_app_id": "snap-app-1", "app_id": "com.example.shop"}
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
PERSON = "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"  # person@example.com
OWN_NAMES = (
    *(
        "PURCHASE",
        "SAVE",
        "START_CHECKOUT",
        "ADD_CART",
        "VIEW_CONTENT",
        "ADD_BILLING",
        "SIGN_UP",
        "SEARCH",
        "PAGE_VIEW",
    ),
    *("SUBSCRIBE", "AD_CLICK", "AD_VIEW", "COMPLETE_TUTORIAL", "LEVEL_COMPLETE", "INVITE", "LOGIN", "SHARE", "RESERVE"),
    *("ACHIEVEMENT_UNLOCKED", "ADD_TO_WISHLIST", "SPENT_CREDITS", "RATE", "START_TRIAL", "LIST_VIEW", "APP_INSTALL"),
    *("APP_OPEN", "CUSTOM_EVENT_1", "CUSTOM_EVENT_2", "CUSTOM_EVENT_3", "CUSTOM_EVENT_4", "CUSTOM_EVENT_5"),
)
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA1 = "0123456789abcdef0123456789abcdef01234567"


def draft(**changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "event_name": "AddToCart",
        "event_id": "evt-1",
        "occurred_at": "2026-11-21T13:00:00Z",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {"email": "person@example.com"},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


ASKED = Asked(MAPPER, SETTINGS, NOW, frozenset({"US"}))
read, mapped, left_out = ASKED.read, ASKED.mapped, ASKED.fields_left_out


def refused(event: dict[str, Any], settings: Mapping[str, Any] = SETTINGS) -> tuple[DropReason, str | None]:
    found = MAPPER.map_event(read(event), settings, NOW)
    assert isinstance(found, Refused), found
    assert found.verdicts[-1].ok is False
    assert found.verdicts[-1].field == found.field
    return found.reason, found.field


EXAMPLES = [
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
                "client_user_agent": USER_AGENT,
                "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
                "sc_cookie1": "9d1b0f7a-52c1-4d0e-8f0a-7a6b5c4d3e2f",
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
            "event_name": "PURCHASE",
            "event_time": 1795185005,
            "event_id": "evt-10045",
            "action_source": "WEB",
            "event_source_url": "https://shop.example.com/thank-you?order=10045",
            "user_data": {
                "em": ["dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db"],
                "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
                "fn": ["81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"],
                "ln": ["67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c"],
                "ct": ["1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac"],
                "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
                "zp": ["c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead"],
                "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
                "external_id": ["570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf"],
                "client_ip_address": "203.0.113.24",
                "client_user_agent": USER_AGENT,
                "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
                "sc_cookie1": "9d1b0f7a-52c1-4d0e-8f0a-7a6b5c4d3e2f",
            },
            "custom_data": {
                "currency": "USD",
                "value": 149.9,
                "order_id": "10045",
                "num_items": 3,
                "content_ids": ["SKU-RED-M", "SKU-CAP"],
                "content_category": ["Shirts", "Hats"],
                "contents": [
                    {"id": "SKU-RED-M", "quantity": 2, "item_price": 49.95, "brand": "Acme"},
                    {"id": "SKU-CAP", "quantity": 1, "item_price": 50.0, "brand": "Acme"},
                ],
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
                "country": "gb",
            },
            "custom_data": {},
        },
        {
            "event_name": "SIGN_UP",
            "event_time": 1795251600,
            "event_id": "evt-20001",
            "action_source": "WEB",
            "event_source_url": "https://shop.example.com/welcome",
            "user_data": {
                "em": ["8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"],
                "ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"],
                "country": ["0b407281768f0e833afef47ed464b6571d01ca4d53c12ce5c51d1462f4ad6677"],
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
            "user_data": {"phone": "0044 (0)844 412 4653"},
            "custom_data": {},
        },
        {
            "event_name": "SIGN_UP",
            "event_time": 1795256130,
            "event_id": "evt-30001",
            "action_source": "WEB",
            "event_source_url": "https://shop.example.com/contact",
            "user_data": {"ph": ["dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"]},
        },
        id="lead with a trunk zero",
    ),
    pytest.param(
        {
            "event_name": "QuoteRequested",
            "event_id": "evt-40001",
            "occurred_at": "2026-11-21T11:00:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/quote",
            "user_data": {"email": "person@example.com"},
            "custom_data": {"value": 1500, "currency": "JPY"},
        },
        {
            "event_name": "CUSTOM_EVENT_1",
            "event_time": 1795258800,
            "event_id": "evt-40001",
            "action_source": "WEB",
            "event_source_url": "https://shop.example.com/quote",
            "user_data": {"em": [PERSON]},
            "custom_data": {"currency": "JPY", "value": 1500},
        },
        id="custom event",
    ),
    pytest.param(
        {
            "event_name": "PageView",
            "event_id": "evt-60001",
            "occurred_at": "2026-11-21T13:00:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/",
            "user_data": {
                "client_ip": "203.0.113.24",
                "client_user_agent": USER_AGENT,
                "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
            },
            "consent": {"limited_data_use": True},
        },
        {
            "event_name": "PAGE_VIEW",
            "event_time": 1795266000,
            "event_id": "evt-60001",
            "action_source": "WEB",
            "event_source_url": "https://shop.example.com/",
            "data_processing_options": ["LMU"],
            "user_data": {
                "client_ip_address": "203.0.113.24",
                "client_user_agent": USER_AGENT,
                "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
            },
        },
        id="page view under limited use",
    ),
]


@pytest.mark.parametrize(("event", "item"), EXAMPLES)
def test_worked_example_becomes_the_whole_request(event: dict[str, Any], item: dict[str, Any]) -> None:
    before = copy.deepcopy(event)
    found = mapped(event)
    request = MAPPER.build_request(found.group, [found.item], SETTINGS)

    assert request.body == {"data": [item]}
    assert request.method == "POST"
    assert request.url == f"https://tr.snapchat.com/v3/{PIXEL}/events"
    assert request.auth == QueryToken("access_token", "sandbox-access-token")
    assert "sandbox-access-token" not in repr(request)
    assert event == before


def test_value_keeps_its_type() -> None:
    whole = mapped(draft(custom_data={"value": 1500, "currency": "JPY"})).item["custom_data"]["value"]
    fraction = mapped(draft(custom_data={"value": "39.95", "currency": "EUR"})).item["custom_data"]["value"]

    assert (whole, type(whole)) == (1500, int)
    assert (fraction, type(fraction)) == (39.95, float)


def test_every_field_of_an_event_reaches_its_place() -> None:
    event = draft(
        event_name="CompleteRegistration",
        user_data={"email": "person@example.com", "gender": "F", "state": "California", "country": "us"},
        custom_data={
            "product_ids": ["A", "B"],
            "content_name": "Sale",
            "content_category": "Shoes",
            "content_type": "product",
            "search_string": "red shoes",
            "predicted_ltv": "99.5",
            "status": "done",
            "contents": [{"id": "C", "category": "Hats"}, {"id": "D", "category": "Hats"}],
            "properties": {"sign_up_method": "email"},
        },
    )

    assert mapped(event).item == {
        "event_name": "SIGN_UP",
        "event_time": 1795266000,
        "event_id": "evt-1",
        "action_source": "WEB",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {
            "em": [PERSON],
            "ge": ["252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"],
            "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
            "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
        },
        "custom_data": {
            "content_ids": ["A", "B"],
            "content_category": ["Shoes"],
            "content_name": "Sale",
            "content_type": "product",
            "contents": [{"id": "C", "quantity": 1}, {"id": "D", "quantity": 1}],
            "search_string": "red shoes",
            "sign_up_method": "email",
            "predicted_ltv": 99.5,
        },
    }


def test_categories_of_contents_are_named_once() -> None:
    contents = [
        {"id": "C", "category": "Hats"},
        {"id": "D", "category": "Hats"},
        {"id": "E", "category": "Caps"},
    ]

    assert mapped(draft(custom_data={"contents": contents})).item["custom_data"]["content_category"] == [
        "Hats",
        "Caps",
    ]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        pytest.param("Purchase", {}, "PURCHASE", id="Purchase"),
        pytest.param("AddToCart", {}, "ADD_CART", id="AddToCart"),
        pytest.param("InitiateCheckout", {}, "START_CHECKOUT", id="InitiateCheckout"),
        pytest.param("AddPaymentInfo", {}, "ADD_BILLING", id="AddPaymentInfo"),
        pytest.param("Lead", {}, "SIGN_UP", id="Lead"),
        pytest.param("CompleteRegistration", {}, "SIGN_UP", id="CompleteRegistration"),
        pytest.param("ViewContent", {}, "VIEW_CONTENT", id="ViewContent"),
        pytest.param("Search", {}, "SEARCH", id="Search"),
        pytest.param("Subscribe", {}, "SUBSCRIBE", id="Subscribe"),
        pytest.param("StartTrial", {}, "START_TRIAL", id="StartTrial"),
        pytest.param("AddToWishlist", {}, "ADD_TO_WISHLIST", id="AddToWishlist"),
        pytest.param("PageView", {}, "PAGE_VIEW", id="PageView"),
        pytest.param("Contact", {"Contact": "CUSTOM_EVENT_2"}, "CUSTOM_EVENT_2", id="Contact with an entry"),
        pytest.param("Lead", {"Lead": "CUSTOM_EVENT_3"}, "CUSTOM_EVENT_3", id="own entry before Snap's event"),
        pytest.param("Quiz", {"*": "CUSTOM_EVENT_5"}, "CUSTOM_EVENT_5", id="every other name"),
        pytest.param("Lead", {"*": "CUSTOM_EVENT_5"}, "SIGN_UP", id="Snap's event before every other name"),
        pytest.param("Login", {"Login": "LOGIN"}, "LOGIN", id="another event of Snap"),
        *(pytest.param(own, {"*": "CUSTOM_EVENT_5"}, own, id=f"Snap's own {own}") for own in OWN_NAMES),
        pytest.param("SAVE", {"SAVE": "RATE"}, "RATE", id="own entry before Snap's own name"),
    ],
)
def test_event_name_becomes_snaps(name: str, settings: dict[str, str], expected: str) -> None:
    event = draft(event_name=name, custom_data={"value": 1, "currency": "USD"})

    assert mapped(event, {**SETTINGS, "custom_event_map": settings}).item["event_name"] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("website", "WEB", id="website"),
        pytest.param("app", "MOBILE_APP", id="app"),
        *(
            pytest.param(source, "OFFLINE", id=source)
            for source in (
                *("email", "phone_call", "chat", "physical_store"),
                *("system_generated", "business_messaging", "other"),
            )
        ),
    ],
)
def test_action_source_becomes_snaps(source: str, expected: str) -> None:
    assert mapped(draft(action_source=source), APP).item["action_source"] == expected


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        pytest.param(
            draft(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(
            draft(action_source="physical_store", consent={"limited_data_use": True}),
            DropReason.CONSENT_DENIED,
            "consent.limited_data_use",
            id="limited use offline",
        ),
        pytest.param(draft(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
        pytest.param(draft(event_name="Contact"), DropReason.UNSUPPORTED_EVENT, "event_name", id="contact unmapped"),
        pytest.param(draft(event_name="Quiz"), DropReason.UNSUPPORTED_EVENT, "event_name", id="custom unmapped"),
        pytest.param(draft(event_name="purchase"), DropReason.UNSUPPORTED_EVENT, "event_name", id="name in lower case"),
        pytest.param(draft(event_name="*"), DropReason.UNSUPPORTED_EVENT, "event_name", id="star as a name"),
        pytest.param(draft(action_source="app"), DropReason.UNSUPPORTED_EVENT, "action_source", id="app without ids"),
        pytest.param(
            draft(occurred_at="2026-11-14T13:59:59Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="older than 7 days",
        ),
        pytest.param(
            draft(
                event_name="Purchase",
                event_id="evt-50001",
                occurred_at="2026-11-21T12:00:00Z",
                event_source_url="https://shop.example.com/thank-you",
                custom_data={"order_id": "10046"},
            ),
            DropReason.INVALID_FIELD,
            "custom_data.value",
            id="purchase without value (worked example)",
        ),
        pytest.param(
            draft(event_name="PURCHASE", custom_data={"value": 10}),
            DropReason.INVALID_FIELD,
            "custom_data.currency",
            id="purchase by Snap's own name without currency",
        ),
        pytest.param(
            draft(event_name="Purchase", custom_data={"value": 10}),
            DropReason.INVALID_FIELD,
            "custom_data.currency",
            id="purchase without currency",
        ),
        pytest.param(
            draft(event_name="Purchase", custom_data={"value": 10, "currency": "ISK"}, user_data={"zip": "1"}),
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            id="currency taken, nobody known",
        ),
        pytest.param(
            draft(event_name="Purchase", custom_data={"value": 10, "currency": "BOB"}),
            DropReason.INVALID_FIELD,
            "custom_data.currency",
            id="purchase in an unsupported currency",
        ),
        *(
            pytest.param(draft(user_data=user_data), DropReason.MISSING_IDENTIFIERS, "user_data", id=title)
            for title, user_data in {
                "nothing": {},
                "external id only": {"external_id": "cust-1"},
                "click id and cookie only": {"sc_click_id": "abc", "sc_cookie1": "def"},
                "name and place only": {"first_name": "Jane", "city": "Paris", "country": "FR"},
                "address only": {"client_ip": "203.0.113.24"},
                "user agent only": {"client_user_agent": USER_AGENT},
                "no IP address": {"client_ip": "203.0.113", "client_user_agent": USER_AGENT},
                "no address": {"email": "jane"},
                "phone without a country": {"phone": "415 555 0132"},
                "email as MD5": {"email": SHA1[:32]},
            }.items()
        ),
    ],
)
def test_event_is_refused_before_it_is_sent(event: dict[str, Any], reason: DropReason, field: str) -> None:
    assert refused(event) == (reason, field)


def test_age_limit_is_seven_days_to_the_second() -> None:
    assert mapped(draft(occurred_at="2026-11-14T14:00:00Z")).item["event_time"] == 1794664800


def test_offline_event_may_be_old_and_without_url() -> None:
    event = draft(action_source="physical_store", occurred_at="2026-09-01T00:00:00Z", event_source_url=...)

    assert mapped(event).item == {
        "event_name": "ADD_CART",
        "event_time": 1788220800,
        "event_id": "evt-1",
        "action_source": "OFFLINE",
        "user_data": {"em": [PERSON]},
    }


@pytest.mark.parametrize(
    "url",
    [pytest.param(..., id="none"), pytest.param("/thanks", id="no full URL"), pytest.param("https://", id="no host")],
)
def test_website_event_without_any_page_goes_in_a_request_of_its_own(url: Any) -> None:
    event = draft(event_source_url=url)
    found = mapped(event)

    assert "event_source_url" not in found.item
    assert left_out(event)[-1] == "event_source_url"
    assert found.group != mapped(draft()).group
    assert MAPPER.build_request(found.group, [found.item], SETTINGS).url == f"https://tr.snapchat.com/v3/{PIXEL}/events"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param(..., "https://shop.example.com/", id="the default page"),
        pytest.param("shop.example.com/p?ScCid=aB", "https://shop.example.com/p?ScCid=aB", id="with a scheme"),
        pytest.param("//shop.example.com/p?ScCid=aB", "https://shop.example.com/p?ScCid=aB", id="with half a scheme"),
    ],
)
def test_page_of_a_website_event_is_mended(given: Any, sent: str) -> None:
    settings = {**SETTINGS, "default_page_url": "https://shop.example.com/"}
    found = map_event(MAPPER, read(draft(event_source_url=given)), settings, NOW)

    assert isinstance(found, Mapped)
    assert found.item["event_source_url"] == sent
    assert found.item["user_data"].get("sc_click_id") == ("aB" if "ScCid" in sent else None)
    assert found.group == mapped(draft()).group


def test_app_event_needs_no_page() -> None:
    event = draft(action_source="app", event_source_url=..., device={"os": "iOS", "tracking_allowed": False})

    assert "event_source_url" not in mapped(event, APP).item
    assert left_out(event, APP) == []


def test_no_amount_goes_out_in_a_currency_that_snapchat_does_not_take() -> None:
    custom_data = {
        "value": 3,
        "currency": "BOB",
        "predicted_ltv": 90,
        "contents": [{"id": "a", "item_price": 5, "brand": "b"}, {"id": "c"}],
    }
    event = draft(custom_data=custom_data)

    assert mapped(event).item["custom_data"] == {
        "content_ids": ["a", "c"],
        "contents": [{"id": "a", "brand": "b", "quantity": 1}, {"id": "c", "quantity": 1}],
    }
    assert left_out(event) == [
        "custom_data.currency",
        "custom_data.predicted_ltv",
        "custom_data.contents.item_price",
    ]


@pytest.mark.parametrize("currency", ["BGN", "HRK", "USD"])
def test_purchase_in_a_currency_of_snaps_list_is_taken_and_sent(currency: str) -> None:
    event = draft(event_name="Purchase", custom_data={"value": 10, "currency": currency})

    assert mapped(event).item["custom_data"] == {"value": 10, "currency": currency}


def test_purchase_without_currency_is_sent_in_the_default_one() -> None:
    event = read(draft(event_name="Purchase", custom_data={"value": 5}))
    found = map_event(MAPPER, event, {**SETTINGS, "default_currency": "EUR"}, NOW)

    assert isinstance(found, Mapped)
    assert found.item["custom_data"] == {"value": 5, "currency": "EUR"}


def test_event_ahead_of_the_clock_waits_until_its_time() -> None:
    event = read(draft(occurred_at="2026-11-21T14:00:06Z"))
    waits = map_event(MAPPER, event, SETTINGS, NOW)
    goes = map_event(MAPPER, event, SETTINGS, NOW + timedelta(seconds=1))

    assert isinstance(waits, Mapped)
    assert isinstance(goes, Mapped)
    assert (waits.not_before, goes.not_before) == (event.occurred_at, None)


IPHONE: dict[str, Any] = {
    "os": "iOS",
    "os_version": "18.1.3",
    "app_id": "com.example.shop",
    "app_name": "Shop",
    "app_version": "4.2",
    "model": "iPhone14,3",
    "locale": "en-US",
    "time_zone": "America/New_York",
    "carrier": "AT&T",
    "screen_width": 1284,
    "screen_height": 2778,
    "advertising_id": "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB",
    "vendor_id": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB",
    "tracking_allowed": True,
}
MADID = "7a3cbea0-bdf5-11e4-8dfc-aa07a5b093db"
ANDROID_SLOTS = ["a2", "com.example.shop", *[""] * 14]  # what is known without a device


def test_app_event_goes_to_the_app_with_what_its_device_told() -> None:
    found = mapped(draft(event_name="APP_INSTALL", action_source="app", event_source_url=..., device=IPHONE), APP)

    assert found.item == {
        "event_name": "APP_INSTALL",
        "event_time": 1795266000,
        "event_id": "evt-1",
        "action_source": "MOBILE_APP",
        "user_data": {"em": [PERSON], "madid": MADID, "idfv": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB"},
        "app_data": {
            "app_id": "com.example.shop",
            "advertiser_tracking_enabled": 1,
            "extinfo": [
                *("i2", "com.example.shop", "4.2", "", "18.1.3", "iPhone14,3", "en_US", ""),
                *("AT&T", "1284", "2778", "", "", "", "", "America/New_York"),
            ],
        },
    }
    assert MAPPER.build_request(found.group, [found.item], APP).url == "https://tr.snapchat.com/v3/snap-app-1/events"


@pytest.mark.parametrize(
    ("device", "ids", "allowed", "fields"),
    [
        pytest.param({}, {}, 0, [], id="nothing told"),
        pytest.param({"advertising_id": MADID}, {"madid": MADID}, 0, [], id="not told"),
        pytest.param({"tracking_allowed": True}, {}, 1, [], id="allowed"),
        pytest.param(
            {"advertising_id": MADID, "vendor_id": MADID, "tracking_allowed": False},
            {"idfv": MADID},
            0,
            ["device.advertising_id"],
            id="not allowed",
        ),
        pytest.param(
            {"advertising_id": "x", "vendor_id": "y", "tracking_allowed": True},
            {},
            1,
            ["device.advertising_id", "device.vendor_id"],
            id="ids that are none",
        ),
    ],
)
def test_ids_of_a_device_go_where_tracking_is_allowed(
    device: dict[str, Any], ids: dict[str, str], allowed: int, fields: list[str]
) -> None:
    event = draft(action_source="app", event_source_url=..., device={"os": "Android", **device})

    item = mapped(event, APP).item
    assert item["user_data"] == {"em": [PERSON], **ids}
    assert item["app_data"]["advertiser_tracking_enabled"] == allowed
    assert left_out(event, APP) == fields


@pytest.mark.parametrize(
    ("app_id", "device", "first"),
    [
        pytest.param("com.example.shop", {"os": "Android"}, ["a2", "com.example.shop"], id="package of the settings"),
        pytest.param("1234567890", {"os": "iPadOS"}, ["i2", ""], id="number of the App Store"),
        pytest.param(
            "1234567890", {"os": "Android", "app_id": "com.shop"}, ["a2", "com.shop"], id="package of the device"
        ),
    ],
)
def test_system_of_an_app_is_what_its_device_tells(app_id: str, device: dict[str, str], first: list[str]) -> None:
    item = mapped(draft(action_source="app", device=device), {**APP, "app_id": app_id}).item

    assert item["app_data"]["extinfo"][:2] == first


@pytest.mark.parametrize("app_id", ["com.shop.ios", "1234567890"])
@pytest.mark.parametrize(
    "device", [{}, {"model": "iPhone15,2", "os_version": "17.1"}, {"os": "HarmonyOS", "app_id": "com.shop"}]
)
def test_no_system_is_invented_of_an_app(app_id: str, device: dict[str, str]) -> None:
    settings = {**APP, "app_id": app_id}
    event = draft(action_source="app", event_source_url=..., device=device)
    found = mapped(event, settings)

    assert found.item["app_data"] == {"app_id": app_id, "advertiser_tracking_enabled": 0}
    assert left_out(event, settings) == ["device.os"]
    known = mapped({**event, "device": {"os": "iOS"}}, settings)
    assert found.group != known.group
    urls = {MAPPER.build_request(one.group, [one.item], settings).url for one in (found, known)}
    assert urls == {"https://tr.snapchat.com/v3/snap-app-1/events"}


def test_page_of_an_app_event_is_left_out_and_its_click_id_kept() -> None:
    url = "https://shop.example.com/?ScCid=aB"
    event = draft(action_source="app", event_source_url=url, device={"os": "iOS"})

    item = mapped(event, APP).item
    assert ("event_source_url" in item, item["user_data"]["sc_click_id"]) == (False, "aB")
    assert left_out(event, APP) == ["event_source_url"]


def test_advertising_id_is_enough_for_an_app_and_no_other() -> None:
    device = {"advertising_id": MADID}
    user_data = {"external_id": "cust-1"}

    assert (
        mapped(draft(action_source="app", user_data=user_data, device=device), APP).item["user_data"]["madid"] == MADID
    )
    assert refused(draft(user_data=user_data, device=device))[0] == DropReason.MISSING_IDENTIFIERS
    assert refused(draft(action_source="app", user_data=user_data, device={"vendor_id": MADID}), APP) == (
        DropReason.MISSING_IDENTIFIERS,
        "user_data",
    )


def test_app_that_tells_its_device_in_properties_is_understood_as_before() -> None:
    slots = (
        '["a2","com.example.shop","4.2","4.2.1","14","Pixel 8","en_GB","","","1080","2400","3","8","128","64","GMT"]'
    )
    event = draft(
        action_source="app",
        custom_data={"properties": {"advertiser_tracking_enabled": False, "extinfo": slots}},
        device={"advertising_id": MADID},
    )
    found = mapped(event, APP)

    assert found.item["app_data"] == {
        "app_id": "com.example.shop",
        "advertiser_tracking_enabled": 0,
        "extinfo": [
            *("a2", "com.example.shop", "4.2", "4.2.1", "14", "Pixel 8", "en_GB", ""),
            *("", "1080", "2400", "3", "8", "128", "64", "GMT"),
        ],
    }
    assert found.item["user_data"] == {"em": [PERSON]}
    assert mapped(draft(), APP).group != found.group


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        pytest.param({"extinfo": "a2"}, "custom_data.properties.extinfo", id="extinfo is no JSON"),
        pytest.param({"extinfo": '["a2"]'}, "custom_data.properties.extinfo", id="extinfo with one slot"),
        pytest.param(
            {"extinfo": "[" + ",".join(['"x"'] * 16) + "]"},
            "custom_data.properties.extinfo",
            id="extinfo of no system",
        ),
        pytest.param(
            {"advertiser_tracking_enabled": "yes"},
            "custom_data.properties.advertiser_tracking_enabled",
            id="tracking as text",
        ),
    ],
)
def test_malformed_app_data_is_left_out(properties: dict[str, Any], field: str) -> None:
    event = draft(
        action_source="app", event_source_url=..., device={"os": "Android"}, custom_data={"properties": properties}
    )

    assert left_out(event, APP) == [field]
    assert mapped(event, APP).item["app_data"] == {
        "app_id": "com.example.shop",
        "advertiser_tracking_enabled": 0,
        "extinfo": ANDROID_SLOTS,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(
            pytest.param({"user_data": {"email": "person@example.com", **user_data}}, f"user_data.{name}", id=title)
            for title, name, user_data in (
                ("broken click id", "sc_click_id", {"sc_click_id": "a b"}),
                ("broken cookie", "sc_cookie1", {"sc_cookie1": "a b"}),
                ("broken lead id", "lead_id", {"lead_id": "a b"}),
                ("broken IP", "client_ip", {"client_ip": "203.0.113"}),
                ("national phone", "phone", {"phone": "415 555 0132"}),
                ("name as SHA-1", "first_name", {"first_name": SHA1}),
                ("external id as MD5", "external_id", {"external_id": SHA1[:32]}),
                ("state without letters", "state", {"state": "75"}),
                ("unknown gender", "gender", {"gender": "x"}),
                ("unknown country", "country", {"country": "Atlantis"}),
                ("zip of signs", "zip", {"zip": "?!"}),
            )
        ),
        pytest.param({"custom_data": {"value": 3, "currency": "BOB"}}, "custom_data.currency", id="currency"),
        pytest.param(
            {"custom_data": {"properties": {"delivery_category": "by_drone"}}},
            "custom_data.properties.delivery_category",
            id="delivery category",
        ),
        pytest.param({"custom_data": {"properties": {"colour": "red"}}}, "custom_data.properties", id="own property"),
        pytest.param(
            {"action_source": "email", "event_source_url": "shop.example.com"},
            "event_source_url",
            id="offline URL",
        ),
    ],
)
def test_malformed_field_is_left_out_and_the_event_goes(changes: dict[str, Any], field: str) -> None:
    event = draft(**changes)

    assert left_out(event) == [field]
    assert mapped(event).item["user_data"] == {"em": [PERSON]}
    assert "custom_data" not in mapped(event).item


@pytest.mark.parametrize(("given", "sent"), [("hotel", "hotel"), ("Product ", "product")])
def test_a_content_type_goes_as_it_was_given(given: str, sent: str) -> None:
    event = draft(custom_data={"content_type": given})
    assert mapped(event).item["custom_data"] == {"content_type": sent}
    assert left_out(event) == []


def test_click_id_is_found_in_the_url_by_its_exact_name() -> None:
    there = draft(event_source_url="https://shop.example.com/?a=1&ScCid=aB%2Dc&b=2")
    misspelt = draft(event_source_url="https://shop.example.com/?sccid=aBc")
    given = draft(
        event_source_url="https://shop.example.com/?ScCid=url",
        user_data={"email": "person@example.com", "sc_click_id": " Given "},
    )
    template = draft(event_source_url="https://shop.example.com/?ScCid=%7B%7Bclick.id%7D%7D")
    broken = draft(
        event_source_url="https://shop.example.com/?ScCid=url",
        user_data={"email": "person@example.com", "sc_click_id": "a b"},
    )

    assert mapped(there).item["user_data"] == {"em": [PERSON], "sc_click_id": "aB-c"}
    assert mapped(misspelt).item["user_data"] == {"em": [PERSON]}
    assert mapped(given).item["user_data"] == {"em": [PERSON], "sc_click_id": "Given"}
    assert mapped(template).item["user_data"] == {"em": [PERSON]}
    assert mapped(broken).item["user_data"] == {"em": [PERSON], "sc_click_id": "url"}


def test_several_emails_and_phones_are_sent_each_once() -> None:
    person = {
        "email": "person@example.com",
        "emails": ["jane.doe+news@example.com", "Person@Example.com", "no address"],
        "phones": ["+1 (415) 555-0132", "+44 844 412 4653"],
        "lead_id": " 1234567890 ",
    }
    event = draft(user_data=person)

    assert mapped(event).item["user_data"] == {
        "em": [PERSON, "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db"],
        "ph": [
            "11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51",
            "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383",
        ],
        "lead_id": "1234567890",
    }
    assert left_out(event) == ["user_data.email"]


def test_goods_by_weight_are_sent_as_pieces_and_with_how_they_are_handed_over() -> None:
    custom_data = {
        "contents": [{"id": "cheese", "quantity": 1.85, "item_price": 20}, {"id": "bread", "quantity": "2"}],
        "properties": {"delivery_category": "curbside"},
    }
    event = draft(custom_data=custom_data)

    assert mapped(event).item["custom_data"] == {
        "content_ids": ["cheese", "bread"],
        "contents": [
            {"id": "cheese", "quantity": 2, "item_price": 20, "delivery_category": "curbside"},
            {"id": "bread", "quantity": 2, "delivery_category": "curbside"},
        ],
    }
    assert left_out(event) == []


def test_settings_mark_test_events_and_name_the_limited_use() -> None:
    settings = {**SETTINGS, "test_event_code": "TEST12345", "limited_use_option": "LDU"}
    item = mapped(draft(consent={"limited_data_use": True}), settings).item

    assert item["test_event_code"] == "TEST12345"
    assert item["data_processing_options"] == ["LDU"]
    assert (MAPPER.supports_test_events, MAPPER.marks_of_tests) == (True, ("test_event_code",))


def test_phone_without_country_code_is_read_in_the_default_country() -> None:
    item = mapped(draft(user_data={"phone": "(415) 555-0132"}), {**SETTINGS, "default_country": "US"}).item

    assert item["user_data"] == {"ph": ["11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51"]}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        pytest.param("email", "Person@Example.com", PERSON, id="email, Snap's sample"),
        pytest.param(
            "phone",
            "+44 844 412 4653",
            "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383",
            id="phone, Snap's sample",
        ),
        pytest.param(
            "phone",
            "+44 (0)844 412 4653",
            "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383",
            id="phone with a trunk zero",
        ),
        pytest.param(
            "phone",
            "0044 844 412 4653",
            "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383",
            id="phone with a double zero",
        ),
        pytest.param(
            "first_name",
            "John",
            "96d9632f363564cc3032521409cf22a852f2032eec099ed5967c0d000cec607a",
            id="first name, Snap's sample",
        ),
        pytest.param(
            "first_name",
            "Raphaël",
            "e74bb89e718fe1e19c422a48382870399f8bf7ca8dfa008739e75b0be76627b7",
            id="first name with an accent, Snap's sample",
        ),
        pytest.param(
            "email",
            "  Jane.Doe+News@Example.COM ",
            "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
            id="email",
        ),
        pytest.param(
            "phone",
            "+1 (415) 555-0132",
            "11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51",
            id="phone",
        ),
        pytest.param(
            "last_name",
            "O'Neil",
            "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c",
            id="last name",
        ),
        pytest.param(
            "city",
            "San Francisco",
            "1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac",
            id="city",
        ),
        pytest.param(
            "city",
            "Paris 13",
            "f2422fc780a5cdf685d2d7567cb8bc0737821d7b5a4f35b6e6ee66894579baf7",
            id="city with digits",
        ),
        pytest.param("state", "CA", "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126", id="state"),
        pytest.param("state", "75", None, id="state without letters"),
        pytest.param("city", "New York", sha256_hex("newyork"), id="city that is a state as well"),
        pytest.param("country", "USA", sha256_hex("us"), id="country of three letters"),
        pytest.param("gender", "Female", sha256_hex("f"), id="gender in a word"),
        pytest.param("first_name", "Raphae\u0308l", sha256_hex("raphaël"), id="first name with its accent apart"),
        pytest.param("email", f"{PERSON}.AQYCAQIB", PERSON, id="email hashed by a builder"),
        pytest.param("external_id", f"{PERSON}.Ag", PERSON, id="external id hashed by a builder"),
        pytest.param("email", NOTHING, None, id="digest of no email"),
        pytest.param("last_name", NOTHING, None, id="digest of no name"),
        pytest.param("client_ip", "::ffff:203.0.113.42", "203.0.113.42", id="IPv4 in IPv6"),
        pytest.param("client_ip", "203.0.113.42:51234", "203.0.113.42", id="IP with a port"),
        pytest.param("client_ip", "fe80::1%eth0", None, id="IP with a zone"),
        pytest.param("sc_click_id", "undefined", None, id="click id that is none"),
        pytest.param("sc_cookie1", "null", None, id="cookie that is none"),
        pytest.param("lead_id", " 1234567890 ", "1234567890", id="lead id"),
        pytest.param("zip", "94107", "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead", id="zip"),
        pytest.param(
            "zip",
            "SW1A 1AA",
            "830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614",
            id="British zip",
        ),
        pytest.param("country", "US", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621", id="country"),
        pytest.param(
            "external_id",
            "cust-8841",
            "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf",
            id="external id",
        ),
        pytest.param(
            "external_id",
            " Cust-8841 ",
            "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf",
            id="external id in capitals",
        ),
        pytest.param("last_name", PERSON.upper(), PERSON, id="digest in capitals"),
        pytest.param("email", SHA1[:32], None, id="MD5"),
        pytest.param("city", SHA1, None, id="SHA-1"),
        pytest.param("gender", "divers", None, id="gender"),
        pytest.param("client_ip", " 2001:db8::1 ", "2001:db8::1", id="IP"),
        pytest.param("client_ip", "localhost", None, id="no IP"),
        pytest.param("client_user_agent", " Agent/1.0 ", "Agent/1.0", id="user agent"),
        pytest.param("sc_click_id", " B4f1 ", "B4f1", id="click id"),
        pytest.param("sc_cookie1", "a b", None, id="broken cookie"),
    ],
)
def test_value_is_normalised_as_snapchat_wants(field: str, value: str, expected: str | None) -> None:
    assert MAPPER.normalise[field](value, {}) == expected


VALID: dict[str, Any] = {"status": "VALID", "reason": "All events were accepted"}
INVALID: dict[str, Any] = {
    "status": "INVALID",
    "reason": "1 event is invalid",
    "test_event": False,
    "event_logs": [
        {"event": 1, "status": "VALID"},
        {
            "event": 2,
            "status": "INVALID",
            "errors": {"codes": ["MISSING_PRICE"], "error_msgs": ["price is required for jane@example.com"]},
        },
    ],
}
PAGE_OF_A_PROXY = Unreachable(
    "a web page came back instead of the platform's answer, such as a proxy's",
    200,
    may_have_arrived=False,
    code="intercepted",
)
SOMETHING_BETWEEN = "something in between answered, such as a proxy: the event has not reached the platform"
WORDS = "MISSING_PRICE price is required for …"


@pytest.mark.parametrize(
    ("answer", "count", "expected"),
    [
        pytest.param(reply(200, VALID), 2, [Acknowledged(200)] * 2, id="VALID"),
        pytest.param(reply(200, {"status": "SUCCESS"}), 1, [Acknowledged(200)], id="SUCCESS"),
        pytest.param(reply(200, {"status": "OK"}), 1, [Acknowledged(200)], id="OK"),
        pytest.param(reply(200), 1, [Acknowledged(200)], id="200 without JSON"),
        *(
            pytest.param(PlatformReply(200, None, headers, text), 2, [PAGE_OF_A_PROXY] * 2, id=f"200 with {title}")
            for title, headers, text in (
                ("a web page", {}, "<!DOCTYPE html><html>Sign in</html>"),
                ("the type of a web page", {"content-type": "text/html; charset=utf-8"}, "Sign in"),
            )
        ),
        *(
            pytest.param(reply(200, body), 1, [Rejected("ERROR", words, 200)], id=f"200 with {title}")
            for title, body, words in (
                ("an error", {"error": "no permission"}, "no permission"),
                ("errors", {"errors": [{"reason": "x"}]}, "Snapchat gave no reason"),
            )
        ),
        *(
            pytest.param(
                reply(status, None),
                1,
                [Unreachable(SOMETHING_BETWEEN, status, may_have_arrived=False, code="intercepted")],
                id=f"{status} of a proxy",
            )
            for status in (301, 302, 407)
        ),
        *(
            pytest.param(
                reply(200, {"status": word, "reason": "no"}),
                1,
                [Rejected(word, "no", 200)],
                id=f"200 with {word}",
            )
            for word in ("INVALID", "FAILED", "ERROR")
        ),
        pytest.param(reply(200, INVALID), 2, BatchRejected(Rejected("INVALID", WORDS, 200)), id="200 INVALID, batch"),
        pytest.param(
            reply(200, {**INVALID, "status": "VALID"}),
            3,
            [Acknowledged(200), Rejected("INVALID", WORDS, 200), Acknowledged(200)],
            id="one event refused by its position",
        ),
        pytest.param(
            reply(
                200,
                {
                    "status": "SUCCESS",
                    "error_records": [{"reason": "bad time", "record_indexes": [0, 7, True]}],
                },
            ),
            2,
            [Rejected("INVALID", "bad time", 200), Acknowledged(200)],
            id="one event refused by its index, older form",
        ),
        pytest.param(
            reply(
                200,
                {"status": "VALID", "event_logs": [{"event": 0, "status": "INVALID"}, "x", {"event": "1"}]},
            ),
            1,
            [Acknowledged(200)],
            id="positions that are none",
        ),
        pytest.param(reply(400, INVALID), 2, BatchRejected(Rejected("400", WORDS, 400)), id="400, batch"),
        pytest.param(reply(400, INVALID), 1, [Rejected("400", "1 event is invalid", 400)], id="400, one event"),
        pytest.param(
            reply(400, {"error_records": [{"reason": "bad time", "record_indexes": [0]}]}),
            1,
            [Rejected("400", "bad time", 400)],
            id="400, older form",
        ),
        pytest.param(reply(400), 1, [Rejected("400", "Snapchat gave no reason", 400)], id="400 without JSON"),
        pytest.param(reply(422, {"reason": "no"}), 2, BatchRejected(Rejected("422", "no", 422)), id="422, batch"),
        pytest.param(reply(422, {"reason": "no"}), 1, [Rejected("422", "no", 422)], id="422, one event"),
        pytest.param(reply(413), 2, BatchRejected(Rejected("413", "Snapchat gave no reason", 413)), id="413 is split"),
        pytest.param(reply(413), 1, [Rejected("413", "Snapchat gave no reason", 413)], id="413, one event"),
        *(
            pytest.param(
                reply(status, {"status": "ERROR", "reason": "no"}),
                2,
                [CredentialsRefused(str(status), "no", status)] * 2,
                id=f"{status}",
            )
            for status in (401, 403, 404, 410)
        ),
        pytest.param(
            reply(429, None, retry_after="7"),
            2,
            [RateLimited(7.0, "429", "Snapchat gave no reason", 429)] * 2,
            id="429 with seconds",
        ),
        pytest.param(
            reply(429, None, retry_after="Sat, 21 Nov 2026 14:00:30 GMT", date="Sat, 21 Nov 2026 14:00:00 GMT"),
            1,
            [RateLimited(30.0, "429", "Snapchat gave no reason", 429)],
            id="429 with a date",
        ),
        pytest.param(
            reply(429, None, retry_after="soon"),
            1,
            [RateLimited(None, "429", "Snapchat gave no reason", 429)],
            id="429 with nonsense",
        ),
        pytest.param(
            reply(429), 1, [RateLimited(None, "429", "Snapchat gave no reason", 429)], id="429 without a time"
        ),
        *(
            pytest.param(
                reply(status),
                2,
                [Unreachable("Snapchat gave no reason", status, code=str(status))] * 2,
                id=f"{status}",
            )
            for status in (408, 500, 502, 503, 504)
        ),
        pytest.param(reply(405), 1, [Rejected("405", "Snapchat gave no reason", 405)], id="405"),
    ],
)
def test_reply_is_read_for_each_event(answer: PlatformReply, count: int, expected: Verdict) -> None:
    assert MAPPER.read_reply(answer, count) == expected


def test_what_snapchat_repeats_of_an_event_does_not_pass() -> None:
    reason = (
        f"em={PERSON} person@example.com +14155550132 203.0.113.24 2001:db8::1 https://shop.example.com/?a=b "
        "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e is wrong"
    )

    assert MAPPER.read_reply(reply(400, {"reason": reason}), 1) == [Rejected("400", "em=… … … … … … … is wrong", 400)]


def test_every_code_is_explained() -> None:
    assert sorted(MAPPER.explanations) == [
        *("200", "400", "401", "403", "404", "408", "410", "413", "422", "425", "429", "500", "502", "503", "504"),
        *("ERROR", "FAILED", "INVALID"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("pixel_id", PIXEL, None, id="pixel"),
        pytest.param("pixel_id", "12345", "must be a UUID, as Events Manager shows it", id="pixel as number"),
        pytest.param("snap_app_id", "7b2f0c52-91d4", None, id="Snap app"),
        pytest.param(
            "snap_app_id",
            "a/b",
            "must be letters, digits, dots, hyphens and underscores only",
            id="Snap app with a slash",
        ),
        pytest.param("app_id", 7, "must be letters, digits, dots, hyphens and underscores only", id="app as number"),
        pytest.param("custom_event_map", {"Quiz": "CUSTOM_EVENT_5", "*": "SAVE"}, None, id="map"),
        pytest.param(
            "custom_event_map",
            {"Quiz": "CUSTOM_EVENT_6"},
            "must map to CUSTOM_EVENT_1 to CUSTOM_EVENT_5, or to another of Snapchat's event names",
            id="map to a sixth slot",
        ),
        pytest.param(
            "custom_event_map",
            {"Quiz": ["SAVE"]},
            "must map to CUSTOM_EVENT_1 to CUSTOM_EVENT_5, or to another of Snapchat's event names",
            id="map to a list",
        ),
        pytest.param(
            "custom_event_map",
            "CUSTOM_EVENT_1",
            'must be an object of event name and Snapchat event, such as {"QuoteRequested": "CUSTOM_EVENT_1"}',
            id="map as text",
        ),
        pytest.param(
            "custom_event_map",
            {"Refund": "CUSTOM_EVENT_1"},
            "must not map Refund: Snapchat would take nothing off the PURCHASE",
            id="map of refunds",
        ),
        pytest.param("limited_use_option", "LDU", None, id="LDU"),
        pytest.param("limited_use_option", "GDPR", "must be LMU or LDU", id="unknown limited use"),
    ],
)
def test_setting_is_checked(name: str, value: Any, wrong: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)

    assert setting.check is not None
    assert setting.check(value) == wrong


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        pytest.param({"pixel_id": PIXEL}, None, id="pixel only"),
        pytest.param({"snap_app_id": "a", "app_id": "b"}, None, id="app only"),
        pytest.param({"pixel_id": PIXEL, "snap_app_id": "a", "app_id": "b"}, None, id="both"),
        pytest.param({}, ("pixel_id",), id="neither"),
        pytest.param({"snap_app_id": "a"}, ("app_id",), id="app without its store's id"),
        pytest.param({"pixel_id": PIXEL, "app_id": "b"}, ("snap_app_id",), id="app without Snap's id"),
    ],
)
def test_settings_need_a_pixel_or_an_app(settings: dict[str, str], field: tuple[str] | None) -> None:
    assert MAPPER.check_settings is not None
    problems = MAPPER.check_settings(settings)

    assert [(problem.field, problem.code) for problem in problems] == ([(field, "INVALID_SETTING")] if field else [])


def test_examples_of_settings_are_good_settings() -> None:
    examples = {setting.name: setting.example for setting in MAPPER.settings}

    assert [setting.name for setting in MAPPER.settings if setting.check and setting.check(setting.example)] == []
    assert MAPPER.check_settings is not None
    assert MAPPER.check_settings(examples) == []


def test_limits_of_a_request_are_snaps() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes) == (2000, 2_000_000)
    assert MAPPER.max_event_age is not None
    assert MAPPER.max_event_age.days == 7
