"""What Microsoft Advertising gets, what it never gets, and how its answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tests.mappers.helpers import Asked, reply
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    BearerToken,
    CredentialsRefused,
    DropReason,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.microsoft_ads import MAPPER
from tracklayer.mappers.outgoing import map_event

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType({"tag_id": "187012345", "capi_token": "sandbox-capi-token"})
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SAM = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"  # sam@example.com
SHA1 = "0123456789abcdef0123456789abcdef01234567"
DEVICE = "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
CLICK = "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b"
VISITOR = "3f0e8c10b2a411eda1c2d5e6f7a8b9c0"

PLACEHOLDERS = ("null", "undefined", "NaN", "None", "false", "0", "-", "{gclid}", "[object Object]", "%%ID%%", " null ")
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the digest of an empty text
IPHONE: dict[str, Any] = {
    "os": "iOS",
    "advertising_id": "6D92078A-8246-4BA4-AE5B-76104861E7DC",
    "tracking_allowed": True,
}
ANDROID: dict[str, Any] = {"os": "Android", "advertising_id": "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"}


def draft(**changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "event_name": "ViewContent",
        "event_id": "evt-1",
        "occurred_at": "2026-11-21T13:00:00Z",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {"email": "sam@example.com"},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


ASKED = Asked(MAPPER, SETTINGS, NOW, frozenset({"US"}))
read, mapped, left_out = ASKED.read, ASKED.mapped, ASKED.fields_left_out


EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "full purchase": (
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
                "msclkid": "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b",
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
                        "category": "Shirts",
                        "brand": "Acme",
                        "title": "Red shirt",
                    },
                    {
                        "id": "SKU-CAP",
                        "quantity": 1,
                        "item_price": 50.0,
                        "category": "Hats",
                        "brand": "Acme",
                        "title": "Cap",
                    },
                ],
                "properties": {"uetvid": "3f0e8c10b2a411eda1c2d5e6f7a8b9c0"},
            },
            "consent": {"ad_user_data": "granted"},
        },
        {},
        {
            "data": [
                {
                    "eventType": "custom",
                    "eventId": "evt-10045",
                    "eventName": "purchase",
                    "eventTime": 1795185005,
                    "eventSourceUrl": "https://shop.example.com/thank-you?order=10045",
                    "adStorageConsent": "G",
                    "userData": {
                        "em": "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
                        "ph": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                        "externalId": "cust-8841",
                        "anonymousId": "3f0e8c10b2a411eda1c2d5e6f7a8b9c0",
                        "msclkid": "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b",
                        "clientIpAddress": "203.0.113.24",
                        "clientUserAgent": USER_AGENT,
                    },
                    "customData": {
                        "value": 149.9,
                        "currency": "USD",
                        "transactionId": "10045",
                        "pageType": "purchase",
                        "ecommTotalValue": 149.9,
                        "itemIds": ["SKU-RED-M", "SKU-CAP"],
                        "items": [
                            {"id": "SKU-RED-M", "name": "Red shirt", "price": 49.95, "quantity": 2},
                            {"id": "SKU-CAP", "name": "Cap", "price": 50.0, "quantity": 1},
                        ],
                    },
                }
            ],
            "dataProvider": "TrackLayer",
            "continueOnValidationError": True,
        },
    ),
    "hashed already": (
        {
            "event_name": "CompleteRegistration",
            "event_id": "evt-20001",
            "occurred_at": "2026-11-21T09:00:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/welcome",
            "user_data": {
                "email": "8C87B489CE35CF2E2F39F80E282CB2E804932A56A213983EEEB428407D43B52D",
                "phone": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
            },
            "custom_data": {},
            "consent": {"ad_user_data": "granted"},
        },
        {},
        {
            "data": [
                {
                    "eventType": "custom",
                    "eventId": "evt-20001",
                    "eventName": "sign_up",
                    "eventTime": 1795251600,
                    "eventSourceUrl": "https://shop.example.com/welcome",
                    "adStorageConsent": "G",
                    "userData": {
                        "em": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                        "ph": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                    },
                }
            ],
            "dataProvider": "TrackLayer",
            "continueOnValidationError": True,
        },
    ),
    "lead with a click id only": (
        {
            "event_name": "Lead",
            "event_id": "evt-30001",
            "occurred_at": "2026-11-21T10:15:30.999Z",
            "action_source": "website",
            "user_data": {"msclkid": "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b"},
            "custom_data": {},
            "consent": {"ad_user_data": "granted"},
        },
        {},
        {
            "data": [
                {
                    "eventType": "custom",
                    "eventId": "evt-30001",
                    "eventName": "generate_lead",
                    "eventTime": 1795256130,
                    "adStorageConsent": "G",
                    "userData": {"msclkid": "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b"},
                }
            ],
            "dataProvider": "TrackLayer",
            "continueOnValidationError": True,
        },
    ),
    "custom event, phone without country": (
        {
            "event_name": "QuoteRequested",
            "event_id": "evt-40001",
            "occurred_at": "2026-11-21T11:00:00Z",
            "action_source": "system_generated",
            "user_data": {"email": "J.Doe@contoso.com", "phone": "(415) 555-0132"},
            "custom_data": {"value": 1500, "currency": "JPY"},
            "consent": {"ad_user_data": "granted"},
        },
        {},
        {
            "data": [
                {
                    "eventType": "custom",
                    "eventId": "evt-40001",
                    "eventName": "QuoteRequested",
                    "eventTime": 1795258800,
                    "adStorageConsent": "G",
                    "userData": {"em": "40180b296adc5c10a30f291244669b7ef458a2d037984502ce27b4f8c8dc546e"},
                    "customData": {"value": 1500, "currency": "JPY"},
                }
            ],
            "dataProvider": "TrackLayer",
            "continueOnValidationError": True,
        },
    ),
    "page view with consent denied": (
        {
            "event_name": "PageView",
            "event_id": "evt-60001",
            "occurred_at": "2026-11-21T13:00:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/",
            "user_data": {"client_user_agent": USER_AGENT},
            "custom_data": {
                "value": 10,
                "currency": "USD",
                "properties": {"uetvid": "3f0e8c10b2a411eda1c2d5e6f7a8b9c0"},
            },
            "consent": {"ad_user_data": "denied"},
        },
        {"send_denied": True},
        {
            "data": [
                {
                    "eventType": "pageLoad",
                    "eventId": "evt-60001",
                    "eventTime": 1795266000,
                    "eventSourceUrl": "https://shop.example.com/",
                    "adStorageConsent": "D",
                    "userData": {
                        "anonymousId": "3f0e8c10b2a411eda1c2d5e6f7a8b9c0",
                        "clientUserAgent": USER_AGENT,
                    },
                }
            ],
            "dataProvider": "TrackLayer",
            "continueOnValidationError": True,
        },
    ),
}


@pytest.mark.parametrize(
    ("event", "settings", "body"), [pytest.param(*parts, id=title) for title, parts in EXAMPLES.items()]
)
def test_event_becomes_exactly_the_documented_body(
    event: dict[str, Any], settings: dict[str, Any], body: dict[str, Any]
) -> None:
    settings = {**SETTINGS, **settings}

    assert MAPPER.build_request("", [mapped(event, settings).item], settings).body == body


def test_request_goes_to_the_tag_with_its_own_token() -> None:
    request = MAPPER.build_request("", [{"eventId": "a"}, {"eventId": "b"}], SETTINGS)

    assert (request.method, request.url) == ("POST", "https://capi.uet.microsoft.com/v1/187012345/events")
    assert request.auth == BearerToken("sandbox-capi-token")
    assert request.body == {
        "data": [{"eventId": "a"}, {"eventId": "b"}],
        "dataProvider": "TrackLayer",
        "continueOnValidationError": True,
    }
    assert "sandbox-capi-token" not in f"{request}{request.headers}{request.body}"


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        pytest.param(
            draft(occurred_at="2026-11-14T13:59:59.999Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="just too old",
        ),
        pytest.param(draft(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
        pytest.param(
            draft(event_name="PageView", event_source_url=...),
            DropReason.INVALID_FIELD,
            "event_source_url",
            id="page view without URL",
        ),
        pytest.param(
            draft(event_name="PageView", event_source_url="/cart"),
            DropReason.INVALID_FIELD,
            "event_source_url",
            id="page view with half a URL",
        ),
        pytest.param(
            draft(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(
            draft(consent={"ad_user_data": "granted", "limited_data_use": True}),
            DropReason.CONSENT_DENIED,
            "consent.limited_data_use",
            id="limited data use",
        ),
        *(
            pytest.param(draft(user_data=data), DropReason.MISSING_IDENTIFIERS, "user_data", id=title)
            for title, data in {
                "IP, user agent and name only": {
                    "client_ip": "203.0.113.24",
                    "client_user_agent": USER_AGENT,
                    "first_name": "Jane",
                },
                "phone without country only": {"phone": "(415) 555-0132"},
                "malformed click id only": {"msclkid": "abc"},
                "hashed by SHA-1": {"email": SHA1},
                "nothing": {},
            }.items()
        ),
    ],
)
def test_event_is_refused_before_it_is_sent(event: dict[str, Any], reason: DropReason, field: str) -> None:
    found = MAPPER.map_event(read(event), SETTINGS, NOW)

    assert isinstance(found, Refused)
    assert (found.reason, found.field) == (reason, field)
    assert (found.verdicts[-1].ok, found.verdicts[-1].message) == (False, found.message)


@pytest.mark.parametrize(
    "occurred_at",
    [
        pytest.param("2026-11-14T14:00:00Z", id="7 days old to the second"),
    ],
)
def test_event_at_the_edge_of_the_time_window_is_sent(occurred_at: str) -> None:
    assert mapped(draft(occurred_at=occurred_at)).item["eventId"] == "evt-1"


@pytest.mark.parametrize(
    ("ahead", "waits"),
    [
        pytest.param(timedelta(seconds=5), False, id="as much as clocks differ"),
        pytest.param(timedelta(seconds=5, milliseconds=1), True, id="a little more"),
        pytest.param(timedelta(minutes=5), True, id="all that is taken in"),
    ],
)
def test_event_ahead_of_the_clock_waits_and_is_not_lost(ahead: timedelta, *, waits: bool) -> None:
    event = read(draft(occurred_at=(NOW + ahead).isoformat()))

    found = map_event(MAPPER, event, SETTINGS, NOW)

    assert isinstance(found, Mapped)
    assert found.item["eventTime"] == 1795269600 + ahead // timedelta(seconds=1)
    assert found.not_before == (NOW + ahead if waits else None)


def test_page_view_without_a_page_goes_with_the_default_one() -> None:
    event = read(draft(event_name="PageView", event_source_url=...))

    found = map_event(MAPPER, event, {**SETTINGS, "default_page_url": "https://shop.example.com/"}, NOW)

    assert isinstance(found, Mapped)
    assert (found.item["eventType"], found.item["eventSourceUrl"]) == ("pageLoad", "https://shop.example.com/")


def test_page_without_a_scheme_goes_with_one() -> None:
    found = map_event(
        MAPPER, read(draft(event_name="PageView", event_source_url="shop.example.com/cart")), SETTINGS, NOW
    )

    assert isinstance(found, Mapped)
    assert found.item["eventSourceUrl"] == "https://shop.example.com/cart"


@pytest.mark.parametrize(
    ("device", "ids", "left"),
    [
        pytest.param(IPHONE, {"idfa": IPHONE["advertising_id"]}, [], id="iPhone, as given"),
        pytest.param(ANDROID, {"gaid": DEVICE}, [], id="Android"),
        pytest.param({**IPHONE, "tracking_allowed": False}, {}, ["device.advertising_id"], id="tracking not allowed"),
        pytest.param({**ANDROID, "os": "Windows"}, {}, ["device.advertising_id"], id="neither system"),
        pytest.param({**ANDROID, "advertising_id": SAM}, {}, ["device.advertising_id"], id="hashed"),
        pytest.param({"os": "iOS", "vendor_id": DEVICE, "app_id": "1", "app_version": "2.1"}, {}, [], id="the rest"),
    ],
)
def test_advertising_id_of_an_app_event_is_sent_plain(
    device: dict[str, Any], ids: dict[str, str], left: list[str]
) -> None:
    event = draft(action_source="app", device=device)

    assert mapped(event).item["userData"] == {"em": SAM, **ids}
    assert left_out(event) == left


@pytest.mark.parametrize("device", [pytest.param(IPHONE, id="iPhone"), pytest.param(ANDROID, id="Android")])
def test_advertising_id_alone_is_enough_to_be_known(device: dict[str, Any]) -> None:
    assert len(mapped(draft(action_source="app", user_data={}, device=device)).item["userData"]) == 1


def test_property_with_a_device_is_not_sent_where_tracking_is_not_allowed() -> None:
    properties = {"idfa": DEVICE, "gaid": DEVICE}
    event = draft(custom_data={"properties": properties}, device={"tracking_allowed": False})

    assert mapped(event).item["userData"] == {"em": SAM}
    assert left_out(event) == ["custom_data.properties.idfa", "custom_data.properties.gaid"]


def test_one_email_and_one_phone_of_several_are_sent() -> None:
    several = draft(
        user_data={"email": "+x@example.com", "emails": ["sam@example.com"], "phones": ["1", "+14155550132"]}
    )

    assert mapped(several).item["userData"] == {
        "em": SAM,
        "ph": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
    }
    assert left_out(several) == ["user_data.emails", "user_data.phones"]


def test_goods_by_weight_are_counted_in_pieces() -> None:
    contents = [{"id": "a", "quantity": 1.85}, {"id": "b", "quantity": "2"}, {"id": "c", "quantity": 0.2}]
    items = mapped(draft(custom_data={"contents": contents})).item["customData"]["items"]

    assert [(item["quantity"], type(item["quantity"])) for item in items] == [(2, int), (2, int), (1, int)]


@pytest.mark.parametrize("visitor", PLACEHOLDERS)
def test_visitor_that_stands_for_none_is_absent(visitor: str) -> None:
    assert mapped(draft(custom_data={"properties": {"uetvid": visitor}})).item["userData"] == {"em": SAM}


@pytest.mark.parametrize(
    ("rule", "country", "is_sent"),
    [
        pytest.param(None, "DE", True, id="no rule"),
        pytest.param("never", "DE", True, id="never"),
        pytest.param(False, "DE", True, id="false"),
        pytest.param("eea", "DE", False, id="eea"),
        pytest.param("eea", None, False, id="eea, country not known"),
        pytest.param("eea", "US", True, id="eea, elsewhere"),
        pytest.param("always", "US", False, id="always"),
        pytest.param(True, "US", False, id="true"),
    ],
)
def test_rule_that_asks_for_consent_goes_before_sending_what_is_denied(
    rule: Any, country: str | None, *, is_sent: bool
) -> None:
    settings = {**SETTINGS, "send_denied": True, "default_consent": "granted", "require_consent": rule}
    for consent in ("denied", "unspecified"):
        event = read(draft(user_data={"msclkid": CLICK, "country": country}, consent={"ad_user_data": consent}))

        found = map_event(MAPPER, event, settings, NOW)

        assert isinstance(found, Mapped) is is_sent
        if isinstance(found, Refused):
            is_said = consent == "denied"
            assert found.reason is (DropReason.CONSENT_DENIED if is_said else DropReason.INVALID_FIELD)


@pytest.mark.parametrize(
    ("name", "kind", "action"),
    [
        pytest.param("Purchase", "custom", "purchase", id="Purchase"),
        pytest.param("AddToCart", "custom", "add_to_cart", id="AddToCart"),
        pytest.param("InitiateCheckout", "custom", "begin_checkout", id="InitiateCheckout"),
        pytest.param("AddPaymentInfo", "custom", "add_payment_info", id="AddPaymentInfo"),
        pytest.param("Lead", "custom", "generate_lead", id="Lead"),
        pytest.param("CompleteRegistration", "custom", "sign_up", id="CompleteRegistration"),
        pytest.param("ViewContent", "custom", "view_item", id="ViewContent"),
        pytest.param("Search", "custom", "search", id="Search"),
        pytest.param("Subscribe", "custom", "subscribe", id="Subscribe"),
        pytest.param("StartTrial", "custom", "start_trial", id="StartTrial"),
        pytest.param("AddToWishlist", "custom", "add_to_wishlist", id="AddToWishlist"),
        pytest.param("Contact", "custom", "contact", id="Contact"),
        pytest.param("PageView", "pageLoad", None, id="PageView"),
        pytest.param("QuoteRequested", "custom", "QuoteRequested", id="a name of one's own"),
        pytest.param("purchase", "custom", "purchase", id="a name in other capitals"),
    ],
)
def test_event_name_becomes_type_and_action(name: str, kind: str, action: str | None) -> None:
    item = mapped(draft(event_name=name)).item

    assert (item["eventType"], item.get("eventName")) == (kind, action)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        pytest.param("Lead", "contact_form", id="its own action"),
        pytest.param("Purchase", "anything", id="every other name, the usual ones too"),
        pytest.param("QuoteRequested", "anything", id="every other name"),
        pytest.param("PageView", None, id="a page load has no action"),
    ],
)
def test_merchant_names_the_actions_of_the_goals(name: str, action: str | None) -> None:
    settings = {**SETTINGS, "event_names": {"Lead": "contact_form", "*": "anything"}}

    assert mapped(draft(event_name=name), settings).item.get("eventName") == action


@pytest.mark.parametrize(
    ("name", "page_type", "total"),
    [
        pytest.param("Purchase", "purchase", 10, id="Purchase"),
        pytest.param("AddToCart", "cart", 10, id="AddToCart"),
        pytest.param("InitiateCheckout", "cart", 10, id="InitiateCheckout"),
        pytest.param("AddPaymentInfo", "cart", 10, id="AddPaymentInfo"),
        pytest.param("ViewContent", "product", None, id="ViewContent"),
        pytest.param("Search", "searchresults", None, id="Search"),
        pytest.param("Lead", None, None, id="Lead"),
    ],
)
def test_page_type_and_total_follow_the_event(name: str, page_type: str | None, total: int | None) -> None:
    custom_data = mapped(draft(event_name=name, custom_data={"value": 10, "currency": "USD"})).item["customData"]

    assert (custom_data["value"], custom_data["currency"]) == (10, "USD")
    assert (custom_data.get("pageType"), custom_data.get("ecommTotalValue")) == (page_type, total)


@pytest.mark.parametrize(
    ("event_name", "given", "sent", "left"),
    [
        pytest.param("Lead", {"value": 10}, None, ["custom_data.value"], id="value without currency"),
        pytest.param("Purchase", {"value": 10}, {"pageType": "purchase"}, ["custom_data.value"], id="total neither"),
        pytest.param("Lead", {"currency": "USD"}, {"currency": "USD"}, [], id="currency without value"),
        pytest.param(
            "Lead",
            {"value": 0, "currency": "USD"},
            {"value": 0, "currency": "USD"},
            [],
            id="value of nothing",
        ),
        pytest.param("PageView", {"value": 10, "currency": "USD"}, None, ["custom_data.value"], id="page load"),
        pytest.param("Lead", {"product_ids": ["a", "b"]}, {"itemIds": ["a", "b"]}, [], id="product ids"),
        pytest.param(
            "Lead",
            {"product_ids": ["a"], "contents": [{"id": "b"}]},
            {"itemIds": ["a"], "items": [{"id": "b", "quantity": 1}]},
            [],
            id="product ids beside contents",
        ),
        pytest.param("Lead", {"search_string": "caps"}, {"searchTerm": "caps"}, [], id="search term"),
        pytest.param("Lead", {"num_items": 3, "status": "new"}, None, [], id="nothing Microsoft takes"),
        pytest.param(
            "Lead",
            {
                "properties": {
                    "event_category": "forms",
                    "event_label": "footer",
                    "event_value": 7.5,
                    "ecomm_category": "caps",
                    "page_type": "home",
                    "colour": "red",
                }
            },
            {
                "eventCategory": "forms",
                "eventLabel": "footer",
                "eventValue": 7.5,
                "ecommCategory": "caps",
                "pageType": "home",
            },
            ["custom_data.properties"],
            id="details of the goal",
        ),
        pytest.param(
            "Search",
            {"properties": {"page_type": "basket", "event_value": "many"}},
            {"pageType": "searchresults"},
            ["custom_data.properties.page_type", "custom_data.properties.event_value"],
            id="unknown page type",
        ),
    ],
)
def test_custom_data_holds_what_microsoft_takes(
    event_name: str, given: dict[str, Any], sent: dict[str, Any] | None, left: list[str]
) -> None:
    event = draft(event_name=event_name, custom_data=given)

    assert mapped(event).item.get("customData") == sent
    assert left_out(event) == left


def test_page_is_described_by_properties() -> None:
    properties = {
        "referrer_url": "https://www.example.org/",
        "page_title": " Caps ",
        "keywords": "red caps",
        "page_load_id": DEVICE,
    }

    item = mapped(
        draft(event_source_url="https://shop.example.com/p?a=1#top", custom_data={"properties": properties})
    ).item

    assert item == {
        "eventType": "custom",
        "eventId": "evt-1",
        "eventName": "view_item",
        "eventTime": 1795266000,
        "eventSourceUrl": "https://shop.example.com/p?a=1",
        "referrerUrl": "https://www.example.org/",
        "pageTitle": "Caps",
        "keywords": "red caps",
        "pageLoadId": DEVICE,
        "userData": {"em": SAM},
        "customData": {"pageType": "product"},
    }


def test_page_before_without_a_scheme_goes_with_one() -> None:
    event = draft(custom_data={"properties": {"referrer_url": "www.example.org/caps"}})

    assert mapped(event).item["referrerUrl"] == "https://www.example.org/caps"
    assert left_out(event) == []


def test_malformed_values_are_named_and_the_event_goes_without_them() -> None:
    event = draft(
        event_source_url="/cart",
        user_data={"email": "sam@example.com", "phone": "12", "msclkid": "abc", "client_ip": "300.1.1.1"},
        custom_data={
            "properties": {
                "gaid": "00000000-0000-0000-0000-000000000000",
                "idfa": "x",
                "referrer_url": "back",
                "page_load_id": "7a1b2c3d-4e5f-1a6b-8c7d-9e0f1a2b3c4d",
                "event_value": "abc",
            }
        },
    )

    assert left_out(event) == [
        "event_source_url",
        "user_data.phone",
        "user_data.msclkid",
        "custom_data.properties.idfa",
        "custom_data.properties.gaid",
        "user_data.client_ip",
        "custom_data.properties.referrer_url",
        "custom_data.properties.page_load_id",
        "custom_data.properties.event_value",
    ]
    assert mapped(event).item == {
        "eventType": "custom",
        "eventId": "evt-1",
        "eventName": "view_item",
        "eventTime": 1795266000,
        "userData": {"em": SAM},
        "customData": {"pageType": "product"},
    }


@pytest.mark.parametrize(
    ("user_data", "properties", "sent"),
    [
        pytest.param({"external_id": " Cust-1 "}, {}, {"externalId": "Cust-1"}, id="external id"),
        pytest.param({"msclkid": f"_uet{CLICK}"}, {}, {"msclkid": CLICK}, id="click id of the cookie"),
        pytest.param({}, {"uetvid": f" {VISITOR} "}, {"anonymousId": VISITOR}, id="visitor id"),
        pytest.param({}, {"idfa": DEVICE}, {"idfa": DEVICE}, id="Apple device"),
        pytest.param({}, {"gaid": DEVICE}, {"gaid": DEVICE}, id="Android device"),
        pytest.param(
            {"phone": "(415) 555-0132"},
            {},
            {"ph": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"},
            id="phone of the default country",
        ),
    ],
)
def test_any_one_identifier_suffices(
    user_data: dict[str, Any], properties: dict[str, Any], sent: dict[str, Any]
) -> None:
    event = draft(user_data=user_data, custom_data={"properties": properties})

    assert mapped(event, {**SETTINGS, "default_country": "US"}).item["userData"] == sent


def test_click_id_is_taken_from_the_url_where_the_event_has_none() -> None:
    url = f"https://shop.example.com/?a=1&msclkid={CLICK}"

    assert mapped(draft(event_source_url=url, user_data={})).item["userData"] == {"msclkid": CLICK}
    own = mapped(draft(event_source_url=url, user_data={"msclkid": VISITOR})).item["userData"]
    assert own == {"msclkid": VISITOR}


@pytest.mark.parametrize(
    ("settings", "consent", "letter"),
    [
        pytest.param({}, {"ad_user_data": "granted"}, "G", id="granted"),
        pytest.param({}, {}, None, id="nobody says"),
        pytest.param({"default_consent": "granted"}, {}, "G", id="the merchant says granted"),
        pytest.param({"send_denied": True}, {"ad_user_data": "denied"}, "D", id="denied"),
        pytest.param(
            {"send_denied": True, "default_consent": "granted"},
            {"ad_user_data": "denied"},
            "D",
            id="event before merchant",
        ),
        pytest.param({"send_denied": "true", "default_consent": "denied"}, {}, "D", id="the merchant says denied"),
        pytest.param({"send_denied": True}, {"limited_data_use": True}, "D", id="limited data use"),
    ],
)
def test_consent_goes_out_as_a_letter(settings: dict[str, Any], consent: dict[str, Any], letter: str | None) -> None:
    event = draft(user_data={"msclkid": CLICK}, consent=consent)

    assert mapped(event, {**SETTINGS, **settings}).item.get("adStorageConsent") == letter


def test_denied_event_goes_without_email_phone_and_external_id() -> None:
    event = draft(
        user_data={"email": "sam@example.com", "phone": "+14155550132", "external_id": "c", "msclkid": CLICK},
        consent={"ad_user_data": "denied"},
    )
    settings = {**SETTINGS, "send_denied": True}

    assert mapped(event, settings).item["userData"] == {"msclkid": CLICK}
    assert left_out(event, settings) == ["user_data.email", "user_data.phone", "user_data.external_id"]


def test_denied_event_with_nothing_else_is_refused() -> None:
    event = read(draft(consent={"ad_user_data": "denied"}))

    found = MAPPER.map_event(event, {**SETTINGS, "send_denied": True}, NOW)

    assert isinstance(found, Refused)
    assert found.reason is DropReason.MISSING_IDENTIFIERS


def test_default_consent_denied_keeps_events_back() -> None:
    settings = {**SETTINGS, "default_consent": "denied", "send_denied": False}
    by_default, denied = (
        MAPPER.map_event(read(draft(**given)), settings, NOW) for given in ({}, {"consent": {"ad_user_data": "denied"}})
    )

    assert isinstance(by_default, Refused)
    assert isinstance(denied, Refused)
    assert {by_default.reason, denied.reason} == {DropReason.CONSENT_DENIED}
    assert by_default.message == "the event says nothing of consent, and the destination's default_consent is denied"
    assert denied.message == "consent to use the data for ads is denied"


def test_a_denial_by_default_that_goes_out_is_told_as_one() -> None:
    settings = {**SETTINGS, "default_consent": "denied", "send_denied": True}
    by_default, denied = (
        mapped(draft(user_data={"msclkid": CLICK}, **given), settings)
        for given in ({}, {"consent": {"ad_user_data": "denied"}})
    )

    assert by_default.item == denied.item
    assert by_default.verdicts[0].message.startswith("none given, and default_consent is denied: goes out as such")
    assert denied.verdicts[0].message.startswith("denied: goes out as such")


@pytest.mark.parametrize(
    ("field", "value", "settings", "out"),
    [
        pytest.param(
            "email",
            "  Jane.Doe+News@Example.COM ",
            {},
            "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
            id="e-mail without dots and tag",
        ),
        pytest.param(
            "email",
            "Jane.Doe+Shopping@contoso.com",
            {},
            "62a8040a00736e70808e43009b5c63c4f6229ced98f486d0968441b292b9858a",
            id="on every domain",
        ),
        pytest.param(
            "email",
            "J.Doe@contoso.com",
            {},
            "40180b296adc5c10a30f291244669b7ef458a2d037984502ce27b4f8c8dc546e",
            id="e-mail with one dot",
        ),
        pytest.param("email", SAM.upper(), {}, SAM, id="e-mail hashed already"),
        pytest.param("email", SHA1, {}, None, id="e-mail hashed by SHA-1"),
        pytest.param(
            "phone",
            "+1 (415) 555-0132",
            {},
            "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
            id="phone",
        ),
        pytest.param(
            "phone",
            "+14255551234",
            {},
            "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e",
            id="phone in E.164",
        ),
        pytest.param("phone", "(415) 555-0132", {}, None, id="phone without country"),
        pytest.param(
            "phone",
            "(415) 555-0132",
            {"default_country": "US"},
            "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
            id="phone of the default country",
        ),
        pytest.param("external_id", " Cust-8841 ", {}, "Cust-8841", id="external id"),
        pytest.param("client_ip", " 2001:db8::7", {}, "2001:db8::7", id="IPv6 address"),
        pytest.param("client_ip", "localhost", {}, None, id="no address"),
        pytest.param("client_ip", "::ffff:203.0.113.24", {}, "203.0.113.24", id="IPv4 address in an IPv6 one"),
        pytest.param("client_ip", "203.0.113.24:51234", {}, "203.0.113.24", id="address with its port"),
        pytest.param("client_ip", "2001:DB8:0:0:0:0:0:7", {}, "2001:db8::7", id="IPv6 address, shortened"),
        pytest.param("email", NOTHING, {}, None, id="digest of nothing"),
        pytest.param("email", f"{SAM}.AQYCAQIB", {}, SAM, id="digest with a builder's tail"),
        pytest.param("external_id", NOTHING, {}, None, id="external id of nothing"),
        pytest.param("external_id", f"{SAM}.AQYCAQIB", {}, SAM, id="external id with a builder's tail"),
        *(
            pytest.param(field, value, {}, None, id=f"{field} {value!r}")
            for field in ("msclkid", "external_id", "client_ip", "client_user_agent", "email", "phone")
            for value in PLACEHOLDERS
        ),
        pytest.param("client_user_agent", " UA ", {}, "UA", id="user agent"),
        pytest.param("msclkid", f" _uet{CLICK}", {}, CLICK, id="click id of the cookie"),
        pytest.param("msclkid", DEVICE, {}, DEVICE, id="click id with hyphens"),
        pytest.param("msclkid", CLICK[:31], {}, None, id="click id too short"),
    ],
)
def test_value_is_normalised_for_microsoft(field: str, value: str, settings: dict[str, Any], out: str | None) -> None:
    assert MAPPER.normalise[field](value, settings) == out


def test_fields_microsoft_does_not_take_have_no_rule() -> None:
    assert set(MAPPER.normalise) == {
        "email",
        "phone",
        "external_id",
        "client_ip",
        "client_user_agent",
        "msclkid",
    }


def problems(*details: dict[str, Any], received: int | None = None) -> dict[str, Any]:
    error = {"code": "ValidationError", "message": "Invalid events", "details": list(details)}
    return {"error": error} if received is None else {"eventsReceived": received, "traceId": "t", "error": error}


def detail(index: int | None, message: str = "Must be a SHA-256 string", **more: Any) -> dict[str, Any]:
    given = {
        "index": index,
        "propertyName": "userData.em",
        "attemptedValue": "x@y.z",
        "errorMessage": message,
        **more,
    }
    return {key: value for key, value in given.items() if value is not None}


WEB_PAGE = "a web page came back instead of the platform's answer, such as a proxy's"
IN_BETWEEN = "something in between answered, such as a proxy: the event has not reached the platform"
NO_REASON = "Microsoft gave no reason"
UNCONFIRMED = Unreachable("the answer does not confirm every event", 200, code="unconfirmed")
REFUSED = Rejected("ValidationError", "userData.em: Must be a SHA-256 string", 200)


@pytest.mark.parametrize(
    ("answer", "count", "verdict"),
    [
        pytest.param(reply(200, {"eventsReceived": 2}), 2, [Acknowledged()] * 2, id="all taken"),
        pytest.param(
            reply(200, text="<html>"),
            2,
            [Unreachable(WEB_PAGE, 200, may_have_arrived=False, code="intercepted")] * 2,
            id="a page of a proxy",
        ),
        *(
            pytest.param(
                reply(status),
                2,
                [Unreachable(IN_BETWEEN, status, may_have_arrived=False, code="intercepted")] * 2,
                id=f"{status}",
            )
            for status in (301, 302, 407)
        ),
        pytest.param(
            reply(200, problems(detail(1), received=1)), 2, [Acknowledged(), REFUSED], id="one of two refused"
        ),
        pytest.param(
            reply(
                200,
                problems(detail(0), detail(0, "second fault"), detail(2, errorCode="InvalidHash"), received=1),
            ),
            3,
            [
                REFUSED,
                Acknowledged(),
                Rejected("ValidationError/InvalidHash", "userData.em: Must be a SHA-256 string", 200),
            ],
            id="two faults of one event, one of another",
        ),
        pytest.param(
            reply(200, problems(detail(0, isWarning=True), received=2)),
            2,
            [Acknowledged(200, "userData.em: Must be a SHA-256 string", "noted"), Acknowledged()],
            id="a warning is no refusal",
        ),
        pytest.param(reply(200, problems(detail(None), received=0)), 1, [REFUSED], id="a lone event without an index"),
        pytest.param(
            reply(200, problems(detail(9), received=1)),
            2,
            [UNCONFIRMED] * 2,
            id="an index outside the request",
        ),
        pytest.param(
            reply(200, problems(received=0)),
            2,
            BatchRejected(Rejected("ValidationError", "Invalid events", 200)),
            id="none taken and none named",
        ),
        pytest.param(
            reply(200, problems(received=0)),
            1,
            [Rejected("ValidationError", "Invalid events", 200)],
            id="a lone event not taken",
        ),
        pytest.param(reply(200, {"eventsReceived": 1}), 2, [UNCONFIRMED] * 2, id="fewer taken than sent"),
        pytest.param(reply(200, {}), 1, [UNCONFIRMED], id="no count"),
        pytest.param(reply(200), 1, [UNCONFIRMED], id="no JSON"),
        pytest.param(
            reply(400, problems(detail(1))),
            2,
            BatchRejected(Rejected("ValidationError", "userData.em: Must be a SHA-256 string", 400)),
            id="the batch is refused for one",
        ),
        pytest.param(
            reply(400, problems(detail(0))),
            1,
            [Rejected("ValidationError", "userData.em: Must be a SHA-256 string", 400)],
            id="a lone event refused",
        ),
        pytest.param(
            reply(400, {"error": {"code": "BadRequest", "message": "data is missing"}}),
            2,
            BatchRejected(Rejected("400/BadRequest", "data is missing", 400)),
            id="refused and none named",
        ),
        pytest.param(reply(413), 2, BatchRejected(Rejected("413", NO_REASON, 413)), id="too large"),
        pytest.param(reply(422), 2, BatchRejected(Rejected("422", NO_REASON, 422)), id="invalid batch"),
        pytest.param(reply(422), 1, [Rejected("422", NO_REASON, 422)], id="invalid event"),
        pytest.param(
            reply(401, {"error": {"code": "Unauthorized", "message": "no"}}),
            2,
            [CredentialsRefused("Unauthorized", "no", 401)] * 2,
            id="token wrong",
        ),
        pytest.param(reply(401), 1, [CredentialsRefused("401", NO_REASON, 401)], id="token wrong, no body"),
        pytest.param(reply(403), 1, [CredentialsRefused("403", NO_REASON, 403)], id="not enrolled"),
        pytest.param(reply(404), 2, [CredentialsRefused("404", NO_REASON, 404)] * 2, id="unknown tag"),
        pytest.param(reply(410), 2, [CredentialsRefused("410", NO_REASON, 410)] * 2, id="tag gone"),
        pytest.param(
            reply(429, retry_after="30"),
            2,
            [RateLimited(30.0, "429", NO_REASON, 429)] * 2,
            id="too fast, seconds",
        ),
        pytest.param(
            reply(429, retry_after="Sat, 21 Nov 2026 14:01:30 GMT", date="Sat, 21 Nov 2026 14:00:00 GMT"),
            1,
            [RateLimited(90.0, "429", NO_REASON, 429)],
            id="too fast, a date",
        ),
        pytest.param(reply(429), 1, [RateLimited(None, "429", NO_REASON, 429)], id="too fast, no time"),
        *(
            pytest.param(
                reply(status),
                2,
                [Unreachable(NO_REASON, status, code=str(status))] * 2,
                id=f"passing fault {status}",
            )
            for status in (408, 500, 502, 503, 504)
        ),
        pytest.param(
            reply(503, retry_after="7"),
            1,
            [Unreachable(NO_REASON, 503, 7.0, code="503")],
            id="unavailable for a time",
        ),
    ],
)
def test_answer_is_read_for_each_event(answer: PlatformReply, count: int, verdict: Verdict) -> None:
    assert MAPPER.read_reply(answer, count) == verdict


def test_message_repeats_nothing_that_was_sent() -> None:
    said = f'cust-8841 of "Jane O\'Neil", jane@example.com, {SAM}, {CLICK}, 203.0.113.24 and +1 415 555 0132 is wrong'
    answer = reply(200, problems(detail(0, said, attemptedValue="cust-8841"), received=0))

    assert MAPPER.read_reply(answer, 1) == [
        Rejected("ValidationError", "userData.em: … of …, … …, …, … and … is wrong", 200)
    ]


@pytest.mark.parametrize(
    "code", "ValidationError Unauthorized 400 401 403 404 408 410 413 422 429 500 502 503 504".split()
)
def test_every_documented_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].next_step


NOT_A_MAP = 'must be an object of event name and event action, such as {"Lead": "generate_lead"}'


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("tag_id", 187012345, None, id="tag as a number"),
        pytest.param("tag_id", "tag", "must be digits only, as Microsoft Advertising shows it", id="tag in letters"),
        pytest.param("customer_id", True, "must be digits only, as Microsoft Advertising shows it", id="customer true"),
        pytest.param("event_names", {"Lead": "lead", "*": "other"}, None, id="actions"),
        pytest.param("event_names", ["Lead"], NOT_A_MAP, id="a list"),
        pytest.param("event_names", {"": "lead"}, NOT_A_MAP, id="empty name"),
        pytest.param(
            "event_names",
            {"PageView": "view"},
            "must not name PageView: it is a page load, which has no event action",
            id="page view",
        ),
        pytest.param(
            "event_names",
            {"Lead": " lead"},
            "must have event actions as values: text without spaces around it",
            id="space before an action",
        ),
        pytest.param(
            "event_names",
            {"Lead": ""},
            "must have event actions as values: text without spaces around it",
            id="empty action",
        ),
        pytest.param("send_denied", False, None, id="denied not sent"),
        pytest.param("send_denied", "true", None, id="flag as text"),
        pytest.param("send_denied", 1, "must be true or false", id="flag as a number"),
        pytest.param("default_consent", "denied", None, id="consent"),
        pytest.param("default_consent", ["G"], "must be granted or denied", id="consent as a list"),
        pytest.param(
            "default_country",
            "us",
            "must be a two-letter country code in capitals, such as US",
            id="small country",
        ),
    ],
)
def test_setting_is_checked(name: str, value: object, wrong: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)

    assert setting.check is not None
    assert setting.check(value) == wrong


def test_what_is_secret_and_what_is_required_is_declared() -> None:
    assert [s.name for s in MAPPER.settings if s.secret] == ["capi_token"]
    assert [s.name for s in MAPPER.settings if s.required] == ["tag_id", "capi_token"]


def test_limits_are_those_of_microsoft() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes, MAPPER.max_event_age) == (
        1000,
        1_000_000,
        timedelta(days=7),
    )
    assert (MAPPER.supports_test_events, MAPPER.event_names.get("Refund")) == (False, None)
