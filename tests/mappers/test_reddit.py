"""What Reddit gets, what it never gets, and how its answers are read."""

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
    BearerToken,
    CredentialsRefused,
    DropReason,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.sha256 import sha256_hex
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.outgoing import map_event
from tracklayer.mappers.reddit import MAPPER

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType({"pixel_id": "a2_abcd1234", "access_token": "sandbox-access-token"})
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SAM = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"  # sam@example.com
IPV6 = "f1ad3e621f73e90c44fbd9a008f51aca7719c4f1d5829ecc36e1e81ec9f6f071"  # 2001:db8::7
IP = "eacd5267d80f13eed692aff9d1608e048f9892a8d7ba0a74d4407a72ebecebad"  # 203.0.113.24
SHA1 = "0123456789abcdef0123456789abcdef01234567"
UUID = "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"

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
        "event_name": "AddToCart",
        "event_id": "evt-1",
        "occurred_at": "2026-11-21T13:00:00Z",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {"email": "sam@example.com"},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


ASKED = Asked(MAPPER, SETTINGS, NOW, frozenset({"US"}))
read, mapped, left_out = ASKED.read, ASKED.mapped, ASKED.fields_left_out


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
                "rdt_cid": "4783925710582634112",
                "rdt_uuid": f"1732112345678.{UUID}",
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
        {},
        {
            "data": {
                "events": [
                    {
                        "event_at": 1795185005250,
                        "action_source": "WEBSITE",
                        "event_source_url": "https://shop.example.com/thank-you?order=10045",
                        "type": {"tracking_type": "PURCHASE"},
                        "click_id": "4783925710582634112",
                        "user": {
                            "email": "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
                            "phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                            "external_id": "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf",
                            "ip_address": IP,
                            "user_agent": USER_AGENT,
                            "uuid": UUID,
                        },
                        "metadata": {
                            "conversion_id": "evt-10045",
                            "currency": "USD",
                            "value": 149.9,
                            "item_count": 3,
                            "products": [
                                {
                                    "id": "SKU-RED-M",
                                    "name": "Red shirt",
                                    "category": "Shirts",
                                    "quantity": 2,
                                    "item_price": 49.95,
                                },
                                {
                                    "id": "SKU-CAP",
                                    "name": "Cap",
                                    "category": "Hats",
                                    "quantity": 1,
                                    "item_price": 50.0,
                                },
                            ],
                        },
                    }
                ]
            }
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
                "phone": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
            },
            "custom_data": {},
        },
        {},
        {
            "data": {
                "events": [
                    {
                        "event_at": 1795251600000,
                        "action_source": "WEBSITE",
                        "event_source_url": "https://shop.example.com/welcome",
                        "type": {"tracking_type": "SIGN_UP"},
                        "user": {
                            "email": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                            "phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                        },
                        "metadata": {"conversion_id": "evt-20001"},
                    }
                ]
            }
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
            "user_data": {"rdt_cid": "4783925710582634112"},
            "custom_data": {"value": 25, "currency": "EUR"},
        },
        {},
        {
            "data": {
                "events": [
                    {
                        "event_at": 1795256130000,
                        "action_source": "WEBSITE",
                        "event_source_url": "https://shop.example.com/contact",
                        "type": {"tracking_type": "LEAD"},
                        "click_id": "4783925710582634112",
                        "metadata": {"conversion_id": "evt-30001", "currency": "EUR", "value": 25},
                    }
                ]
            }
        },
        id="lead with only a click id",
    ),
    pytest.param(
        {
            "event_name": "InitiateCheckout",
            "event_id": "evt-40001",
            "occurred_at": "2026-11-21T11:00:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/checkout",
            "user_data": {"email": "Al.ice$+Apple@Example.Com"},
            "custom_data": {"value": 1500, "currency": "JPY", "num_items": 2},
        },
        {},
        {
            "data": {
                "events": [
                    {
                        "event_at": 1795258800000,
                        "action_source": "WEBSITE",
                        "event_source_url": "https://shop.example.com/checkout",
                        "type": {"tracking_type": "CUSTOM", "custom_event_name": "InitiateCheckout"},
                        "user": {"email": "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976"},
                        "metadata": {
                            "conversion_id": "evt-40001",
                            "currency": "JPY",
                            "value": 1500,
                            "item_count": 2,
                        },
                    }
                ]
            }
        },
        id="custom event",
    ),
    pytest.param(
        {
            "event_name": "ViewContent",
            "event_id": "evt-60001",
            "occurred_at": "2026-11-21T13:00:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/p/1",
            "user_data": {"email": "sam@example.com", "state": "CA", "country": "US"},
            "custom_data": {
                "value": 10,
                "currency": "USD",
                "contents": [{"id": "SKU-1", "title": "Mug"}],
            },
            "consent": {"limited_data_use": True},
        },
        {"test_id": "t2_2example"},
        {
            "data": {
                "test_id": "t2_2example",
                "events": [
                    {
                        "event_at": 1795266000000,
                        "action_source": "WEBSITE",
                        "event_source_url": "https://shop.example.com/p/1",
                        "type": {"tracking_type": "VIEW_CONTENT"},
                        "user": {
                            "email": SAM,
                            "data_processing_options": {
                                "modes": ["LDU"],
                                "country": "US",
                                "region": "US-CA",
                            },
                        },
                        "metadata": {
                            "conversion_id": "evt-60001",
                            "products": [{"id": "SKU-1", "name": "Mug"}],
                        },
                    }
                ],
            }
        },
        id="limited data use in a test request",
    ),
]


@pytest.mark.parametrize(("event", "settings", "body"), EXAMPLES)
def test_worked_example_becomes_the_whole_request(
    event: dict[str, Any], settings: dict[str, Any], body: dict[str, Any]
) -> None:
    before = copy.deepcopy(event)
    found = mapped(event, {**SETTINGS, **settings})
    request = MAPPER.build_request(found.group, [found.item], {**SETTINGS, **settings})

    assert request.body == body
    assert request.method == "POST"
    assert request.url == "https://ads-api.reddit.com/api/v3/pixels/a2_abcd1234/conversion_events"
    assert request.auth == BearerToken("sandbox-access-token")
    assert "sandbox-access-token" not in repr(request)
    assert event == before


def test_value_keeps_its_type() -> None:
    whole = mapped(draft(custom_data={"value": 1500, "currency": "JPY"})).item["metadata"]["value"]
    fraction = mapped(draft(custom_data={"value": "39.95", "currency": "EUR"})).item["metadata"]["value"]

    assert (whole, type(whole)) == (1500, int)
    assert (fraction, type(fraction)) == (39.95, float)


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        pytest.param("Purchase", {}, {"tracking_type": "PURCHASE"}, id="Purchase"),
        pytest.param("AddToCart", {}, {"tracking_type": "ADD_TO_CART"}, id="AddToCart"),
        pytest.param("Lead", {}, {"tracking_type": "LEAD"}, id="Lead"),
        pytest.param("CompleteRegistration", {}, {"tracking_type": "SIGN_UP"}, id="CompleteRegistration"),
        pytest.param("ViewContent", {}, {"tracking_type": "VIEW_CONTENT"}, id="ViewContent"),
        pytest.param("Search", {}, {"tracking_type": "SEARCH"}, id="Search"),
        pytest.param("AddToWishlist", {}, {"tracking_type": "ADD_TO_WISHLIST"}, id="AddToWishlist"),
        pytest.param("PageView", {}, {"tracking_type": "PAGE_VISIT"}, id="PageView"),
        *(
            pytest.param(name, {}, {"tracking_type": "CUSTOM", "custom_event_name": name}, id=name)
            for name in ("InitiateCheckout", "AddPaymentInfo", "Subscribe", "StartTrial", "Contact")
        ),
        pytest.param(
            "purchase",
            {},
            {"tracking_type": "CUSTOM", "custom_event_name": "purchase"},
            id="standard name in lower case is a custom one",
        ),
        pytest.param(
            "Q" * 64,
            {},
            {"tracking_type": "CUSTOM", "custom_event_name": "Q" * 64},
            id="name of 64 characters",
        ),
        pytest.param(
            "Contact",
            {"Contact": "ContactForm", "*": "Other"},
            {"tracking_type": "CUSTOM", "custom_event_name": "ContactForm"},
            id="own entry",
        ),
        pytest.param(
            "Quiz",
            {"*": "Other"},
            {"tracking_type": "CUSTOM", "custom_event_name": "Other"},
            id="every other name",
        ),
        pytest.param("Lead", {"*": "Other"}, {"tracking_type": "LEAD"}, id="Reddit's type before every other name"),
        pytest.param(
            "Q" * 65,
            {"*": "Long"},
            {"tracking_type": "CUSTOM", "custom_event_name": "Long"},
            id="long name with a shorter one set",
        ),
    ],
)
def test_event_name_becomes_reddits(name: str, names: dict[str, str], expected: dict[str, str]) -> None:
    assert mapped(draft(event_name=name), {**SETTINGS, "custom_event_names": names}).item["type"] == expected


@pytest.mark.parametrize(
    ("source", "expected", "has_url"),
    [
        pytest.param("website", "WEBSITE", True, id="website"),
        pytest.param("app", "APP", False, id="app"),
        pytest.param("physical_store", "PHYSICAL_STORE", False, id="store"),
        *(
            pytest.param(source, "OTHER", False, id=source)
            for source in ("email", "phone_call", "chat", "system_generated", "business_messaging", "other")
        ),
    ],
)
def test_action_source_becomes_reddits_and_decides_on_the_url(source: str, expected: str, has_url: bool) -> None:
    item = mapped(draft(action_source=source)).item

    assert item["action_source"] == expected
    assert ("event_source_url" in item) is has_url


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        pytest.param(
            draft(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(draft(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
        pytest.param(draft(event_name="Q" * 65), DropReason.INVALID_FIELD, "event_name", id="name too long"),
        pytest.param(
            draft(
                event_name="Purchase",
                event_id="evt-50001",
                occurred_at="2026-11-14T13:59:00Z",
                event_source_url="https://shop.example.com/thank-you",
                custom_data={"value": 10, "currency": "USD"},
            ),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="a minute too old (worked example)",
        ),
        pytest.param(
            draft(occurred_at="2026-11-14T14:00:00Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="exactly 168 hours",
        ),
        *(
            pytest.param(draft(user_data=user_data), DropReason.MISSING_IDENTIFIERS, "user_data", id=title)
            for title, user_data in {
                "nothing": {},
                "user agent only": {"client_user_agent": USER_AGENT},
                "IP only": {"client_ip": "203.0.113.24"},
                "name and place only": {"first_name": "Jane", "country": "US", "state": "CA"},
                "address without a name": {"email": "+x@example.com"},
                "no address": {"email": "sam"},
                "broken cookie": {"rdt_uuid": "abc"},
                "broken click id": {"rdt_cid": "a b"},
                "phone without a country": {"phone": "415 555 0132"},
            }.items()
        ),
    ],
)
def test_event_is_refused_before_it_is_sent(event: dict[str, Any], reason: DropReason, field: str) -> None:
    found = MAPPER.map_event(read(event), SETTINGS, NOW)

    assert isinstance(found, Refused)
    assert (found.reason, found.field) == (reason, field)
    assert (found.verdicts[-1].ok, found.verdicts[-1].field) == (False, field)


def test_event_is_taken_to_the_last_second_and_five_minutes_ahead() -> None:
    oldest = mapped(draft(occurred_at="2026-11-14T14:00:00.001Z"))
    ahead = mapped(draft(occurred_at="2026-11-21T14:05:00Z"))
    early = map_event(MAPPER, read(draft(occurred_at="2026-11-21T14:05:00Z")), SETTINGS, NOW - timedelta(seconds=1))
    soon = map_event(MAPPER, read(draft(occurred_at="2026-11-21T14:05:00Z")), SETTINGS, NOW)

    assert oldest.item["event_at"] == 1794664800001
    assert ahead.item["event_at"] == 1795269900000
    assert isinstance(early, Mapped)
    assert early.not_before == NOW + timedelta(minutes=5)
    assert isinstance(soon, Mapped)
    assert soon.not_before is None


@pytest.mark.parametrize(
    ("user_data", "user"),
    [
        pytest.param({"rdt_uuid": UUID}, {"uuid": UUID}, id="cookie without a time"),
        pytest.param(
            {"external_id": " cust-8841"},
            {"external_id": "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf"},
            id="external id",
        ),
        pytest.param(
            {"phone": "+1 (415) 555-0132 ext. 7"},
            {"phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"},
            id="phone with an extension",
        ),
        pytest.param(
            {"client_ip": " 203.0.113.24 ", "client_user_agent": " Agent/1.0 "},
            {"ip_address": IP, "user_agent": "Agent/1.0"},
            id="IP and user agent",
        ),
    ],
)
def test_each_of_these_is_enough_to_be_known(user_data: dict[str, str], user: dict[str, str]) -> None:
    assert mapped(draft(user_data=user_data)).item["user"] == user


IDFA = "2afcf919a0c1953d177fcb412ea65138b44b4a42dda7d322225811767c0c530c"  # of capitals
AAID = "8c9644afb96dfda75c5ebd6f011779b85a23c6d032554cb910fc8979e62321c6"  # of small letters


@pytest.mark.parametrize(
    ("device", "user", "left"),
    [
        pytest.param(IPHONE, {"idfa": IDFA}, [], id="iPhone"),
        pytest.param(
            {**IPHONE, "advertising_id": IPHONE["advertising_id"].lower()}, {"idfa": IDFA}, [], id="IDFA, small"
        ),
        pytest.param(ANDROID, {"aaid": AAID}, [], id="Android"),
        pytest.param(
            {**ANDROID, "advertising_id": ANDROID["advertising_id"].upper()}, {"aaid": AAID}, [], id="AAID, capitals"
        ),
        pytest.param({**ANDROID, "advertising_id": AAID}, {"aaid": AAID}, [], id="hashed before"),
        pytest.param({**IPHONE, "tracking_allowed": False}, {}, ["device.advertising_id"], id="tracking not allowed"),
        pytest.param({**IPHONE, "os": "HarmonyOS"}, {}, ["device.advertising_id"], id="neither system"),
        pytest.param({**IPHONE, "advertising_id": "abc"}, {}, ["device.advertising_id"], id="not a UUID"),
        pytest.param(
            {"os": "iOS", "screen_width": 390, "screen_height": 844},
            {"screen_dimensions": {"width": 390, "height": 844}},
            [],
            id="screen",
        ),
        pytest.param({"os": "iOS", "screen_width": 390}, {}, ["device.screen_width"], id="half a screen"),
        pytest.param(
            {"os": "iOS", "vendor_id": UUID, "app_id": "1", "app_version": "2.1", "model": "x"}, {}, [], id="the rest"
        ),
    ],
)
def test_device_of_an_app_event_is_sent(device: dict[str, Any], user: dict[str, Any], left: list[str]) -> None:
    event = draft(action_source="app", device=device)

    assert mapped(event).item["user"] == {"email": SAM, **user}
    assert left_out(event) == left


@pytest.mark.parametrize("device", [pytest.param(IPHONE, id="iPhone"), pytest.param(ANDROID, id="Android")])
def test_advertising_id_alone_is_enough_to_be_known(device: dict[str, Any]) -> None:
    assert len(mapped(draft(action_source="app", user_data={}, device=device)).item["user"]) == 1


def test_one_email_and_one_phone_of_several_are_sent() -> None:
    several = draft(
        user_data={"email": "+x@example.com", "emails": ["sam@example.com"], "phones": ["1", "+14155550132"]}
    )

    assert mapped(several).item["user"] == {
        "email": SAM,
        "phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
    }
    assert left_out(several) == ["user_data.emails", "user_data.phones"]


def test_goods_by_weight_are_counted_in_pieces() -> None:
    contents = [
        {"id": "a", "quantity": 1.85, "item_price": 4},
        {"id": "b", "quantity": "2"},
        {"id": "c", "quantity": 0.2},
    ]
    products = mapped(draft(custom_data={"contents": contents})).item["metadata"]["products"]

    assert [(product["quantity"], type(product["quantity"])) for product in products] == [(2, int), (2, int), (1, int)]


def test_phone_without_country_code_is_read_in_the_default_country() -> None:
    item = mapped(draft(user_data={"phone": "(415) 555-0132"}), {**SETTINGS, "default_country": "US"}).item

    assert item["user"] == {"phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"}


def test_click_id_is_found_in_the_url() -> None:
    there = draft(event_source_url="https://shop.example.com/?a=1&rdt_cid=aB%2Dc&b=2", user_data={})
    given = draft(event_source_url="https://shop.example.com/?rdt_cid=url", user_data={"rdt_cid": " Given "})

    assert mapped(there).item["click_id"] == "aB-c"
    assert "user" not in mapped(there).item
    assert mapped(given).item["click_id"] == "Given"


@pytest.mark.parametrize(
    ("name", "custom_data", "metadata"),
    [
        *(
            pytest.param(
                name,
                {"value": 10, "currency": "USD", "num_items": 2},
                {"currency": "USD", "value": 10, "item_count": 2},
                id=f"{name} takes value and count",
            )
            for name in ("Purchase", "AddToCart", "AddToWishlist", "Quiz")
        ),
        *(
            pytest.param(
                name,
                {"value": 10, "currency": "USD", "num_items": 2},
                {"currency": "USD", "value": 10},
                id=f"{name} takes no count",
            )
            for name in ("Lead", "CompleteRegistration")
        ),
        *(
            pytest.param(
                name,
                {"value": 10, "currency": "USD", "num_items": 2},
                {},
                id=f"{name} takes neither value nor count",
            )
            for name in ("PageView", "ViewContent", "Search")
        ),
        pytest.param("PageView", {"product_ids": ["A"]}, {"products": [{"id": "A"}]}, id="product ids"),
        pytest.param(
            "Purchase",
            {"product_ids": ["Z"], "contents": [{"id": "A", "quantity": 3}, {"id": "B", "item_price": 2}]},
            {"products": [{"id": "A", "quantity": 3}, {"id": "B", "quantity": 1, "item_price": 2}]},
            id="contents before product ids",
        ),
        pytest.param(
            "Purchase",
            {"order_id": "1", "content_name": "Sale", "properties": {"colour": "red"}, "status": "done"},
            {},
            id="what has no place",
        ),
        pytest.param("Purchase", {"value": 0}, {"value": 0}, id="zero is a value"),
    ],
)
def test_metadata_holds_what_the_type_takes(name: str, custom_data: dict[str, Any], metadata: dict[str, Any]) -> None:
    item = mapped(draft(event_name=name, custom_data=custom_data)).item

    assert item["metadata"] == {"conversion_id": "evt-1", **metadata}


@pytest.mark.parametrize(
    ("place", "options", "fields"),
    [
        pytest.param({}, {"modes": ["LDU"]}, [], id="place unknown"),
        pytest.param({"country": "fr"}, {"modes": ["LDU"], "country": "FR"}, [], id="country only"),
        pytest.param(
            {"country": "US", "state": "california"},
            {"modes": ["LDU"], "country": "US", "region": "US-CA"},
            [],
            id="state by its name",
        ),
        pytest.param(
            {"country": "AU", "state": "AU-NSW"},
            {"modes": ["LDU"], "country": "AU", "region": "AU-NSW"},
            [],
            id="state by its whole code",
        ),
        pytest.param(
            {"country": "DE", "state": "Bayern"},
            {"modes": ["LDU"], "country": "DE", "region": "DE-BY"},
            [],
            id="a German state by its name",
        ),
        pytest.param(
            {"country": "CA", "state": " ontario"},
            {"modes": ["LDU"], "country": "CA", "region": "CA-ON"},
            [],
            id="a Canadian province by its name",
        ),
        pytest.param(
            {"country": "IN", "state": "Haryana"},
            {"modes": ["LDU"], "country": "IN", "region": "IN-HR"},
            [],
            id="a name without its accents",
        ),
        *(
            pytest.param(
                {"country": country, "state": state},
                {"modes": ["LDU"], "country": country},
                ["user_data.state"],
                id=f"{state} in {country}",
            )
            for country, state in (("DE", "Utopia"), ("ES", "Cantabria"), ("CA", "US-NB"), ("DE", "."))
        ),
        pytest.param({"state": "CA"}, {"modes": ["LDU"]}, ["user_data.state"], id="state of an unknown country"),
        pytest.param(
            {"state": "us-ca"},
            {"modes": ["LDU"], "country": "US", "region": "US-CA"},
            [],
            id="a whole code without a country",
        ),
        pytest.param(
            {"country": "USA", "state": "CA"},
            {"modes": ["LDU"], "country": "US", "region": "US-CA"},
            [],
            id="country of three letters",
        ),
        pytest.param(
            {"country": "Utopia", "state": "CA"},
            {"modes": ["LDU"]},
            ["user_data.country"],
            id="country that is none",
        ),
    ],
)
def test_limited_data_use_names_the_place_by_its_codes(
    place: dict[str, str], options: dict[str, Any], fields: list[str]
) -> None:
    event = draft(user_data={"rdt_cid": "1", **place}, consent={"limited_data_use": True})

    assert mapped(event).item["user"] == {"data_processing_options": options}
    assert left_out(event) == fields


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(
            pytest.param({"user_data": {"email": "sam@example.com", name: value}}, f"user_data.{name}", id=name)
            for name, value in {
                "phone": "415 555 0132",
                "client_ip": "203.0.113",
                "rdt_uuid": "1732112345678",
                "rdt_cid": "a b",
            }.items()
        ),
        pytest.param({"event_source_url": "shop.example.com"}, "event_source_url", id="URL"),
        *(
            pytest.param({"device": {name: 1080}}, f"device.{name}", id=name)
            for name in ("screen_width", "screen_height")
        ),
        pytest.param({"event_name": "Search", "custom_data": {"currency": "USD"}}, "custom_data.value", id="value"),
        pytest.param({"event_name": "Lead", "custom_data": {"num_items": 2}}, "custom_data.num_items", id="count"),
    ],
)
def test_what_reddit_would_not_take_is_left_out_and_the_event_goes(changes: dict[str, Any], field: str) -> None:
    event = draft(**changes)
    item = mapped(event).item

    assert left_out(event) == [field]
    assert item["user"] == {"email": SAM}
    assert item["metadata"] == {"conversion_id": "evt-1"}
    assert "click_id" not in item


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        pytest.param(
            "email",
            "Al.ice$+Apple@Example.Com",
            "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976",
            id="email, Reddit's sample",
        ),
        pytest.param(
            "email",
            "  Jane.Doe+News@Example.COM ",
            "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
            id="email",
        ),
        pytest.param(
            "email",
            "mary-ann_b@example.com",
            "d49ceb6e6d806d5ac12dddfe99980fe2a1d5a0d83b989a8c5474887730da226f",
            id="email with signs",
        ),
        pytest.param("email", "+x@example.com", None, id="email without a name"),
        pytest.param("email", SHA1[:32], None, id="MD5"),
        pytest.param(
            "phone",
            "+1 (415) 555-0132",
            "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
            id="phone",
        ),
        pytest.param(
            "external_id",
            " cust-8841",
            "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf",
            id="external id",
        ),
        pytest.param(
            "external_id",
            "Cust-8841",
            "6f41a80fb7724a6b0d981e41b1253d63f61069688e8e05a19f5fe97eeefefbe1",
            id="external id keeps its case",
        ),
        pytest.param("external_id", SAM.upper(), SAM, id="digest in capitals"),
        pytest.param("external_id", SHA1, sha256_hex(SHA1), id="id of 40 hexadecimal digits"),
        pytest.param("external_id", SHA1[:32], sha256_hex(SHA1[:32]), id="id of 32 hexadecimal digits"),
        pytest.param("external_id", " Jane@Shop.example ", sha256_hex("Jane@Shop.example"), id="id that is an e-mail"),
        pytest.param("external_id", "+14155550132", sha256_hex("+14155550132"), id="id that is a phone"),
        pytest.param("client_ip", "203.0.113.24", IP, id="IP"),
        pytest.param("client_ip", IP.upper(), IP, id="IP hashed before"),
        pytest.param("client_ip", "localhost", None, id="no IP"),
        pytest.param("client_ip", "::ffff:203.0.113.24", IP, id="IPv4 in IPv6"),
        pytest.param("client_ip", "203.0.113.24:51234", IP, id="IP with a port"),
        pytest.param("client_ip", f"{IP}.AQYCAQIB", IP, id="IP hashed before, with a builder's tail"),
        *(
            pytest.param("client_ip", value, IPV6, id=f"IPv6 {value}")
            for value in ("2001:db8::7", "2001:DB8:0:0:0:0:0:7", "[2001:db8::7]:443", " 2001:db8:0::7 ")
        ),
        pytest.param("client_ip", "fe80::1%eth0", None, id="IPv6 with a zone"),
        pytest.param("email", NOTHING, None, id="digest of nothing"),
        pytest.param("external_id", NOTHING, None, id="external id of nothing"),
        pytest.param("external_id", f"{SAM}.AQYCAQIB", SAM, id="external id with a builder's tail"),
        *(
            pytest.param(field, value, None, id=f"{field} {value!r}")
            for field in ("rdt_cid", "rdt_uuid", "external_id", "client_ip", "client_user_agent", "email", "phone")
            for value in PLACEHOLDERS
        ),
        pytest.param("client_user_agent", " Agent/1.0 ", "Agent/1.0", id="user agent"),
        pytest.param("rdt_uuid", f"1732112345678.{UUID}", UUID, id="cookie"),
        pytest.param("rdt_uuid", "1732112345678.x", None, id="broken cookie"),
        pytest.param("rdt_cid", " 4783925710582634112 ", "4783925710582634112", id="click id"),
        pytest.param("rdt_cid", "a b", None, id="broken click id"),
        pytest.param("country", "us", "US", id="country"),
        pytest.param("state", "us-ca", "US-CA", id="state"),
        pytest.param("state", "CA", None, id="state of an unknown country"),
    ],
)
def test_value_is_normalised_as_reddit_wants(field: str, value: str, expected: str | None) -> None:
    assert MAPPER.normalise[field](value, {}) == expected


V3_ERROR: dict[str, Any] = {
    "error": {
        "code": 400,
        "message": "Invalid request",
        "fields": [{"field": "data.events[0].event_at", "message": "is in the past of jane@example.com"}],
    }
}
V3_WORDS = "Invalid request; data.events[0].event_at: is in the past of …"
V2_ERROR: dict[str, Any] = {
    "message": "1 of 2 conversion events were invalid. None were processed.",
    "invalid_events": [{"error_message": "event_at is too old", "event": {"user": {"email": "jane@example.com"}}}],
}
V2_WORDS = "1 of 2 conversion events were invalid. None were processed.; event_at is too old"
UNAUTHORIZED: dict[str, Any] = {
    "success": False,
    "error": {"reason": "UNAUTHORIZED", "explanation": "no right on this pixel"},
}
WRONG_TYPE: dict[str, Any] = {
    "success": False,
    "error": {"reason": "UNAUTHORIZED", "explanation": "unexpected type number on field value"},
}
NONE = "Reddit gave no reason"
NOT_REDDIT = "the answer is none of Reddit's"
WEB_PAGE = "a web page came back instead of the platform's answer, such as a proxy's"
IN_BETWEEN = "something in between answered, such as a proxy: the event has not reached the platform"


@pytest.mark.parametrize(
    ("answer", "count", "expected"),
    [
        pytest.param(
            reply(200, {"data": {"message": "Successfully processed 2 conversion events."}}),
            2,
            [Acknowledged(200)] * 2,
            id="200",
        ),
        pytest.param(reply(200), 1, [Acknowledged(200)], id="200 with nothing at all"),
        *(
            pytest.param(
                answer,
                2,
                [Unreachable(WEB_PAGE, 200, may_have_arrived=False, code="intercepted")] * 2,
                id=f"200 with {title}",
            )
            for title, answer in {
                "a page": reply(200, text="<!DOCTYPE html><title>Sign in</title>"),
                "a page by its type": reply(200, text="Sign in", content_type="text/html; charset=utf-8"),
                "a page after some space": reply(200, text="\n  <html>"),
            }.items()
        ),
        *(
            pytest.param(answer, 1, [Unreachable(NOT_REDDIT, 200, code="unconfirmed")], id=f"200 with {title}")
            for title, answer in {
                "a bare text": reply(200, text="OK"),
                "a list": reply(200, []),
                "a word": reply(200, "ok"),
            }.items()
        ),
        *(
            pytest.param(reply(200, body), 2, BatchRejected(Rejected("200", words, 200)), id=f"200 with {title}")
            for title, body, words in (
                ("an error inside data", {"data": {"error": {"message": "no"}}}, "no"),
                ("invalid events", {"data": {"invalid_events": [{"error_message": "too old"}]}}, "too old"),
                ("errors", {"errors": [{"message": "no"}], "message": "refused"}, "refused"),
            )
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
        pytest.param(reply(202, {"data": {}}), 1, [Acknowledged(202)], id="202"),
        pytest.param(reply(200, V3_ERROR), 1, [Rejected("200", f"400; {V3_WORDS}", 200)], id="200 with an error"),
        pytest.param(
            reply(200, {"success": False}),
            2,
            BatchRejected(Rejected("200", NONE, 200)),
            id="200 without success",
        ),
        pytest.param(reply(400, V3_ERROR), 2, BatchRejected(Rejected("400", V3_WORDS, 400)), id="400, batch"),
        pytest.param(reply(400, V3_ERROR), 1, [Rejected("400", V3_WORDS, 400)], id="400, one event"),
        pytest.param(reply(400, V2_ERROR), 2, BatchRejected(Rejected("400", V2_WORDS, 400)), id="400, older form"),
        pytest.param(reply(400, {"error": "no JSON"}), 1, [Rejected("400", "no JSON", 400)], id="400 with a bare text"),
        pytest.param(reply(400), 1, [Rejected("400", NONE, 400)], id="400 without JSON"),
        pytest.param(
            reply(422, {"error": {"code": "INVALID_FIELD", "message": "no"}}),
            2,
            BatchRejected(Rejected("422", "INVALID_FIELD; no", 422)),
            id="422, batch",
        ),
        pytest.param(reply(422), 1, [Rejected("422", NONE, 422)], id="422, one event"),
        pytest.param(reply(413), 2, BatchRejected(Rejected("413", NONE, 413)), id="413 is split"),
        pytest.param(reply(413), 1, [Rejected("413", NONE, 413)], id="413, one event"),
        pytest.param(reply(401), 2, [CredentialsRefused("401", NONE, 401)] * 2, id="401 with a bare text"),
        pytest.param(
            reply(401, UNAUTHORIZED),
            1,
            [CredentialsRefused("401", "UNAUTHORIZED; no right on this pixel", 401)],
            id="401, older form",
        ),
        pytest.param(
            reply(403, UNAUTHORIZED),
            2,
            [CredentialsRefused("403", "UNAUTHORIZED; no right on this pixel", 403)] * 2,
            id="403",
        ),
        pytest.param(
            reply(403, WRONG_TYPE),
            1,
            [Rejected("WRONG_TYPE", "UNAUTHORIZED; unexpected type number on field value", 403)],
            id="403 for a wrong type",
        ),
        pytest.param(
            reply(403, WRONG_TYPE),
            2,
            BatchRejected(Rejected("WRONG_TYPE", "UNAUTHORIZED; unexpected type number on field value", 403)),
            id="403 for a wrong type, batch",
        ),
        pytest.param(
            reply(404, {"error": {"code": 404, "message": "pixel not found"}}),
            2,
            [CredentialsRefused("404", "pixel not found", 404)] * 2,
            id="404",
        ),
        pytest.param(reply(429), 2, [RateLimited(None, "429", NONE, 429)] * 2, id="429 without a time"),
        pytest.param(reply(429, None, retry_after="9"), 1, [RateLimited(9.0, "429", NONE, 429)], id="429 with a time"),
        *(
            pytest.param(reply(status), 2, [Unreachable(NONE, status, code=str(status))] * 2, id=f"{status}")
            for status in (408, 500, 502, 503, 504)
        ),
        pytest.param(reply(405), 1, [Rejected("405", NONE, 405)], id="405"),
    ],
)
def test_reply_is_read_for_each_event(answer: PlatformReply, count: int, expected: Verdict) -> None:
    assert MAPPER.read_reply(answer, count) == expected


def test_every_code_is_explained() -> None:
    assert sorted(MAPPER.explanations) == [
        *("200", "400", "401", "403", "404", "408", "413", "422", "425", "429", "500", "502", "503", "504"),
        *("WRONG_TYPE", "unconfirmed"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("pixel_id", "a2_abcd1234", None, id="pixel"),
        pytest.param("pixel_id", "t2_abcd1234", None, id="pixel of an older account"),
        pytest.param(
            "pixel_id",
            "abcd1234",
            "must begin with a2_ or t2_, as Events Manager shows it",
            id="pixel without its head",
        ),
        pytest.param(
            "pixel_id",
            "a2_ab/cd",
            "must begin with a2_ or t2_, as Events Manager shows it",
            id="pixel with a slash",
        ),
        pytest.param("custom_event_names", {"Contact": "ContactForm", "*": "Other"}, None, id="names"),
        pytest.param(
            "custom_event_names",
            ["Contact"],
            'must be an object of event name and custom name, such as {"Contact": "ContactForm"}',
            id="names as list",
        ),
        pytest.param(
            "custom_event_names",
            {"Lead": "X"},
            "must name custom events only: Lead is not one",
            id="name of a type",
        ),
        pytest.param(
            "custom_event_names",
            {"Refund": "X"},
            "must name custom events only: Refund is not one",
            id="refund",
        ),
        pytest.param(
            "custom_event_names",
            {"Quiz": "Q" * 65},
            "must give names of 1 to 64 characters",
            id="name too long",
        ),
        pytest.param("custom_event_names", {"Quiz": " "}, "must give names of 1 to 64 characters", id="name of spaces"),
        pytest.param("custom_event_names", {"Quiz": 7}, "must give names of 1 to 64 characters", id="name as number"),
    ],
)
def test_setting_is_checked(name: str, value: Any, wrong: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)

    assert setting.check is not None
    assert setting.check(value) == wrong


def test_examples_of_settings_are_good_settings() -> None:
    assert [setting.name for setting in MAPPER.settings if setting.check and setting.check(setting.example)] == []
    assert [setting.name for setting in MAPPER.settings if setting.required] == ["pixel_id", "access_token"]


def test_limits_of_a_request_are_reddits() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes) == (1000, 1_000_000)
    assert MAPPER.max_event_age == timedelta(hours=168)
    assert MAPPER.supports_test_events is True
