"""What X gets, what it never gets, and how its answers are read."""

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
    CredentialsRefused,
    DropReason,
    HeaderToken,
    OAuth1,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.problem import Problem
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.outgoing import map_event
from tracklayer.mappers.x_ads import MAPPER

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "pixel_id": "o8z6j",
        "pixel_token": "sandbox-pixel-token",
        "event_ids": {
            "Purchase": "tw-o8z6j-ol288",
            "Lead": "tw-o8z6j-ol289",
            "CompleteRegistration": "tw-o8z6j-ol290",
            "QuoteRequested": "tw-o8z6j-ol291",
        },
    }
)
OAUTH = {
    "consumer_key": "sandbox-consumer-key",
    "consumer_secret": "sandbox-consumer-secret",
    "access_token": "sandbox-access-token",
    "access_token_secret": "sandbox-access-token-secret",
}
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SAM = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"  # sam@example.com
SHA1 = "0123456789abcdef0123456789abcdef01234567"
CLICK = "23opevjt88psuo13lu8d020qkn"

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
        "event_name": "Lead",
        "event_id": "evt-1",
        "occurred_at": "2026-11-21T13:00:00Z",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {"email": "sam@example.com"},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


ASKED = Asked(MAPPER, SETTINGS, NOW, frozenset({"US"}))
read, mapped, left_out = ASKED.read, ASKED.mapped, ASKED.fields_left_out


def identifiers(user_data: dict[str, Any], **changes: Any) -> Any:
    return mapped(draft(user_data=user_data, **changes)).item["identifiers"]


EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
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
                "twclid": "23opevjt88psuo13lu8d020qkn",
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
            },
            "consent": {"ad_user_data": "granted"},
        },
        {
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
    ),
    "hashed already, time with an offset, lone IP address": (
        {
            "event_name": "CompleteRegistration",
            "event_id": "evt-20001",
            "occurred_at": "2026-11-21T10:00:00+01:00",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/welcome",
            "user_data": {
                "email": "8C87B489CE35CF2E2F39F80E282CB2E804932A56A213983EEEB428407D43B52D",
                "phone": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                "client_ip": "203.0.113.24",
            },
            "custom_data": {},
        },
        {
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
    ),
    "lead with a click id only": (
        {
            "event_name": "Lead",
            "event_id": "evt-30001",
            "occurred_at": "2026-11-21T10:15:30Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/contact?twclid=23opevjt88psuo13lu8d020qkn",
            "user_data": {"twclid": "23opevjt88psuo13lu8d020qkn", "first_name": "Ana", "city": "Porto"},
            "custom_data": {},
        },
        {
            "conversions": [
                {
                    "conversion_time": "2026-11-21T10:15:30.000Z",
                    "event_id": "tw-o8z6j-ol289",
                    "identifiers": [{"twclid": "23opevjt88psuo13lu8d020qkn"}],
                    "conversion_id": "evt-30001",
                }
            ]
        },
    ),
    "custom event in yen, product ids only": (
        {
            "event_name": "QuoteRequested",
            "event_id": "evt-40001",
            "occurred_at": "2026-11-21T11:00:00.999999Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/quote",
            "user_data": {"email": "Sam@Example.com"},
            "custom_data": {
                "value": 1500,
                "currency": "jpy",
                "num_items": 0,
                "product_ids": ["SKU-1", "SKU-2"],
            },
        },
        {
            "conversions": [
                {
                    "conversion_time": "2026-11-21T11:00:00.999Z",
                    "event_id": "tw-o8z6j-ol291",
                    "identifiers": [
                        {"hashed_email": "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"}
                    ],
                    "conversion_id": "evt-40001",
                    "value": "1500.00",
                    "price_currency": "JPY",
                    "contents": [{"content_id": "SKU-1"}, {"content_id": "SKU-2"}],
                }
            ]
        },
    ),
}


@pytest.mark.parametrize(("event", "body"), [pytest.param(*parts, id=title) for title, parts in EXAMPLES.items()])
def test_event_becomes_exactly_the_documented_body(event: dict[str, Any], body: dict[str, Any]) -> None:
    assert MAPPER.build_request("", [mapped(event).item], SETTINGS).body == body


def test_several_events_share_one_list_in_their_order() -> None:
    chosen = ("lead with a click id only", "custom event in yen, product ids only")
    events = [EXAMPLES[title] for title in chosen]

    request = MAPPER.build_request("", [mapped(event).item for event, _ in events], SETTINGS)

    assert request.body == {"conversions": [conversion for _, body in events for conversion in body["conversions"]]}


@pytest.mark.parametrize(
    ("changes", "auth"),
    [
        pytest.param({}, HeaderToken("X-Pixel-Token", "sandbox-pixel-token"), id="pixel token"),
        pytest.param(OAUTH, HeaderToken("X-Pixel-Token", "sandbox-pixel-token"), id="the token before the keys"),
        pytest.param(
            {**OAUTH, "pixel_token": None},
            OAuth1(
                "sandbox-consumer-key",
                "sandbox-consumer-secret",
                "sandbox-access-token",
                "sandbox-access-token-secret",
            ),
            id="four OAuth keys",
        ),
    ],
)
def test_request_goes_to_the_pixel_with_its_credentials_described(changes: dict[str, Any], auth: object) -> None:
    request = MAPPER.build_request("", [{}], {**SETTINGS, **changes})

    assert (request.method, request.url) == ("POST", "https://ads-api.x.com/12/measurement/conversions/o8z6j")
    assert request.auth == auth
    assert "sandbox-" not in f"{request}{request.headers}{request.body}"


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        pytest.param(
            draft(occurred_at="2026-08-23T13:59:59.999Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="just too old",
        ),
        pytest.param(
            draft(event_name="AddToCart"),
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            id="standard name without a tag",
        ),
        pytest.param(draft(event_name="lead"), DropReason.UNSUPPORTED_EVENT, "event_name", id="name in other capitals"),
        pytest.param(draft(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
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
                "user agent, name and external id": {
                    "external_id": "cust-9",
                    "first_name": "Sam",
                    "client_user_agent": USER_AGENT,
                },
                "IP address only": {"client_ip": "203.0.113.24"},
                "IPv6 address with user agent": {"client_ip": "2001:db8::7", "client_user_agent": USER_AGENT},
                "phone without country only": {"phone": "(415) 555-0132"},
                "hashed by SHA-1": {"email": SHA1},
                "click id with a space": {"twclid": "23 op"},
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


def test_refund_is_refused_even_where_a_tag_is_set_for_it() -> None:
    settings = {**SETTINGS, "event_ids": {"Refund": "ol1aa", "*": "ol2aa"}}

    found = MAPPER.map_event(read(draft(event_name="Refund")), settings, NOW)

    assert isinstance(found, Refused)
    assert found.reason is DropReason.UNSUPPORTED_EVENT


@pytest.mark.parametrize(
    ("settings", "now", "reason"),
    [
        pytest.param({}, NOW + timedelta(days=90, hours=-1), None, id="90 days old"),
        pytest.param({"max_age_days": 7}, NOW + timedelta(days=7, hours=-1), None, id="7 days old of 7"),
        pytest.param({"max_age_days": 7}, NOW + timedelta(days=7), DropReason.EVENT_TOO_OLD, id="older than 7 days"),
    ],
)
def test_time_window_is_the_merchants(settings: dict[str, Any], now: datetime, reason: DropReason | None) -> None:
    found = MAPPER.map_event(read(draft()), {**SETTINGS, **settings}, now)

    assert (found.reason if isinstance(found, Refused) else None) is reason


@pytest.mark.parametrize(
    ("minutes", "ahead", "waits"),
    [
        pytest.param(None, timedelta(minutes=5), False, id="5 minutes"),
        pytest.param(None, timedelta(minutes=5, seconds=1), True, id="more than that"),
        pytest.param(0, timedelta(seconds=1), True, id="none allowed"),
        pytest.param(0, timedelta(0), False, id="now"),
        pytest.param("2", timedelta(minutes=2), False, id="two minutes, as text"),
        pytest.param("2", timedelta(minutes=2, seconds=1), True, id="more than two"),
    ],
)
def test_event_ahead_of_the_clock_waits_and_is_not_lost(
    minutes: int | str | None, ahead: timedelta, *, waits: bool
) -> None:
    event = read(draft())
    now = event.occurred_at - ahead

    found = map_event(MAPPER, event, {**SETTINGS, "max_ahead_minutes": minutes}, now)

    assert isinstance(found, Mapped)
    assert found.item["conversion_time"] == "2026-11-21T13:00:00.000Z"
    assert found.not_before == (event.occurred_at if waits else None)


def test_device_has_no_place_at_x() -> None:
    there = {**IPHONE, "app_id": "1", "app_version": "2.1", "vendor_id": ANDROID["advertising_id"]}

    assert mapped(draft(action_source="app", device=there)).item == mapped(draft(action_source="app")).item


def test_one_email_and_one_phone_of_several_are_sent() -> None:
    several = {"email": "no address", "emails": ["sam@example.com"], "phones": ["1", "+14155550132"]}

    assert identifiers(several) == [
        {"hashed_email": SAM},
        {"hashed_phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"},
    ]
    assert left_out(draft(user_data=several)) == ["user_data.emails", "user_data.phones"]


def test_goods_by_weight_are_counted_in_pieces() -> None:
    contents = [{"id": "a", "quantity": 1.85}, {"id": "b", "quantity": "2"}, {"id": "c", "quantity": 0.2}]
    items = mapped(draft(custom_data={"contents": contents})).item["contents"]

    assert [(item["num_items"], type(item["num_items"])) for item in items] == [(2, int), (2, int), (1, int)]


@pytest.mark.parametrize(
    ("custom_data", "told"),
    [
        pytest.param({"num_items": 0}, ["custom_data.num_items"], id="no items"),
        pytest.param({"num_items": 1}, [], id="one item"),
        pytest.param({"num_items": 0.2}, [], id="less than one item, by weight"),
        pytest.param(
            {"contents": [{"id": "a", "quantity": 2}, {"id": "b", "quantity": 0}]},
            ["custom_data.contents.quantity"],
            id="none of one",
        ),
        pytest.param({"contents": [{"id": "a"}, {"id": "b", "quantity": 0.2}]}, [], id="one of each"),
        pytest.param({"properties": {"description": 7}}, ["custom_data.properties.description"], id="no text"),
        pytest.param({"properties": {"description": " "}}, [], id="blank"),
    ],
)
def test_what_x_would_refuse_of_the_details_is_left_out_and_told(custom_data: dict[str, Any], told: list[str]) -> None:
    assert left_out(draft(custom_data=custom_data)) == told


def test_value_without_a_currency_is_sent_in_the_default_one() -> None:
    event = read(draft(custom_data={"value": 10, "contents": [{"id": "a", "item_price": 5}]}))

    found = map_event(MAPPER, event, {**SETTINGS, "default_currency": "EUR"}, NOW)

    assert isinstance(found, Mapped)
    assert (found.item["value"], found.item["price_currency"]) == ("10.00", "EUR")
    assert found.item["contents"] == [{"content_id": "a", "content_price": "5.00", "num_items": 1}]


@pytest.mark.parametrize(
    ("name", "tag"),
    [pytest.param("Lead", "ol289", id="its own tag"), pytest.param("Search", "ol999", id="every other name")],
)
def test_star_stands_for_every_other_event_name(name: str, tag: str) -> None:
    settings = {**SETTINGS, "event_ids": {"Lead": "ol289", "*": "ol999"}}

    assert mapped(draft(event_name=name), settings).item["event_id"] == tag


@pytest.mark.parametrize(
    ("user_data", "expected"),
    [
        pytest.param(
            {"client_ip": "203.0.113.24", "client_user_agent": "UA"},
            [{"ip_address": "203.0.113.24", "user_agent": "UA"}],
            id="IP address and user agent are an identity",
        ),
        pytest.param(
            {"twclid": f" {CLICK} ", "email": "sam@example.com", "client_user_agent": " UA "},
            [{"twclid": CLICK, "user_agent": "UA"}, {"hashed_email": SAM}],
            id="a lone user agent joins the first",
        ),
        pytest.param(
            {"email": "sam@example.com", "client_ip": "2001:db8::7", "client_user_agent": "UA"},
            [{"hashed_email": SAM, "user_agent": "UA"}],
            id="an IPv6 address is none",
        ),
        pytest.param(
            {"email": "sam@example.com", "phone": "(415) 555-0132", "twclid": "a b"},
            [{"hashed_email": SAM}],
            id="malformed ones left out",
        ),
    ],
)
def test_identifiers_are_laid_out_one_an_object(user_data: dict[str, Any], expected: object) -> None:
    assert identifiers(user_data) == expected


def test_click_id_is_taken_from_the_url_where_the_event_has_none() -> None:
    url = "https://shop.example.com/?a=1&twclid=23op%65vj#x"

    assert identifiers({}, event_source_url=url) == [{"twclid": "23opevj"}]
    assert identifiers({"twclid": "own"}, event_source_url=url) == [{"twclid": "own"}]


def test_phone_is_read_in_the_default_country() -> None:
    event = draft(user_data={"phone": "(415) 555-0132"})

    assert mapped(event, {**SETTINGS, "default_country": "US"}).item["identifiers"] == [
        {"hashed_phone_number": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462"}
    ]


def test_malformed_values_are_named_as_left_out() -> None:
    event = draft(
        user_data={"email": "sam@example.com", "phone": "12", "twclid": "a b", "client_ip": "::1"},
        custom_data={"value": 5, "contents": [{"id": "a", "item_price": 5}]},
    )

    assert left_out(event) == [
        "user_data.twclid",
        "user_data.phone",
        "user_data.client_ip",
        "custom_data.value",
        "custom_data.contents",
    ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param({"value": 1500, "currency": "jpy"}, {"value": "1500.00", "price_currency": "JPY"}, id="whole"),
        pytest.param(
            {"value": 149.9, "currency": "USD"},
            {"value": "149.90", "price_currency": "USD"},
            id="one decimal",
        ),
        pytest.param(
            {"value": "0.005", "currency": "USD"},
            {"value": "0.005", "price_currency": "USD"},
            id="not rounded",
        ),
        pytest.param({"value": "2e2", "currency": "USD"}, {"value": "200.00", "price_currency": "USD"}, id="exponent"),
        pytest.param({"value": 10, "num_items": 2}, {"number_items": 2}, id="value without currency"),
        pytest.param(
            {"contents": [{"id": "a", "item_price": 5, "quantity": 0}]},
            {"contents": [{"content_id": "a"}]},
            id="price without currency, quantity of nothing",
        ),
        pytest.param(
            {"contents": [{"id": "a"}], "product_ids": ["b"]},
            {"contents": [{"content_id": "a", "num_items": 1}]},
            id="contents before product ids",
        ),
        pytest.param({"num_items": 0}, {}, id="no items"),
        pytest.param(
            {
                "order_id": "1",
                "search_string": "x",
                "properties": {"description": " Quote ", "colour": "red"},
            },
            {"description": "Quote"},
            id="description",
        ),
        pytest.param({"properties": {"description": 7}}, {}, id="description that is no text"),
    ],
)
def test_details_are_sent_as_x_takes_them(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert mapped(draft(custom_data=given)).item == {
        "conversion_time": "2026-11-21T13:00:00.000Z",
        "event_id": "tw-o8z6j-ol289",
        "identifiers": [{"hashed_email": SAM}],
        "conversion_id": "evt-1",
        **sent,
    }


@pytest.mark.parametrize(
    ("field", "value", "settings", "out"),
    [
        pytest.param(
            "email",
            "  Jane.Doe+News@Example.COM ",
            {},
            "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
            id="e-mail trimmed and lower-cased",
        ),
        pytest.param(
            "email",
            "test-email@test.com",
            {},
            "e586883b2b4faf78d48300a79e0e15138d664cdf796ffb86e533170a9893eda8",
            id="X's own example of an e-mail",
        ),
        pytest.param("email", "Sam@Example.com", {}, SAM, id="e-mail"),
        pytest.param(
            "email",
            "test@x.com",
            {},
            "5806dc6b2f04fb728708a8f7b81c14edcd4fba36f77914cf0c9368d9a3a25f76",
            id="the e-mail that X's guide hashes wrongly",
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
            "+11234567890",
            {},
            "1fa6b8d986d9b9cd01bf36951815158bbde9f520c0567c835dfe34783d0a4231",
            id="X's own example of a phone",
        ),
        pytest.param("phone", "(415) 555-0132", {}, None, id="phone without country"),
        pytest.param(
            "phone",
            "(415) 555-0132",
            {"default_country": "US"},
            "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
            id="phone of the default country",
        ),
        pytest.param("client_ip", " 203.0.113.24 ", {}, "203.0.113.24", id="IPv4 address"),
        pytest.param("client_ip", "2001:db8::7", {}, None, id="IPv6 address"),
        pytest.param("client_ip", "::ffff:203.0.113.24", {}, "203.0.113.24", id="IPv4 address in an IPv6 one"),
        pytest.param("client_ip", "203.0.113.24:51234", {}, "203.0.113.24", id="address with its port"),
        pytest.param("email", NOTHING, {}, None, id="digest of nothing"),
        pytest.param("email", f"{SAM}.AQYCAQIB", {}, SAM, id="digest with a builder's tail"),
        pytest.param("twclid", "2-AbCdEf123", {}, "2-AbCdEf123", id="click id with a hyphen"),
        *(
            pytest.param(field, value, {}, None, id=f"{field} {value!r}")
            for field in ("twclid", "client_ip", "client_user_agent", "email", "phone")
            for value in PLACEHOLDERS
        ),
        pytest.param("client_user_agent", " UA ", {}, "UA", id="user agent"),
        pytest.param("twclid", f" {CLICK} ", {}, CLICK, id="click id"),
        pytest.param("twclid", "23 op", {}, None, id="click id with a space"),
    ],
)
def test_value_is_normalised_for_x(field: str, value: str, settings: dict[str, Any], out: str | None) -> None:
    assert MAPPER.normalise[field](value, settings) == out


def test_fields_x_does_not_take_have_no_rule() -> None:
    assert set(MAPPER.normalise) == {"email", "phone", "client_ip", "client_user_agent", "twclid"}


def errors(*entries: tuple[str, str, str | None]) -> dict[str, Any]:
    return {
        "errors": [
            {"code": code, "message": message, **({"parameter": parameter} if parameter else {})}
            for code, message, parameter in entries
        ],
        "request": {"params": {}},
    }


def processed(count: int) -> dict[str, Any]:
    params = {"account_id": "18ce552mlaq"}
    return {"request": {"params": params}, "data": {"conversions_processed": count, "debug_id": "d"}}


WEB_PAGE = "a web page came back instead of the platform's answer, such as a proxy's"
IN_BETWEEN = "something in between answered, such as a proxy: the event has not reached the platform"
NO_REASON = "X gave no reason"
UNCONFIRMED = Unreachable("the answer does not confirm every event", 200, code="unconfirmed")
DATE = "Sat, 21 Nov 2026 14:00:00 GMT"
NOW_SECONDS = 1795269600


@pytest.mark.parametrize(
    ("answer", "count", "verdict"),
    [
        pytest.param(reply(200, processed(2)), 2, [Acknowledged()] * 2, id="all processed"),
        pytest.param(reply(200, processed(1)), 2, [UNCONFIRMED] * 2, id="fewer processed than sent"),
        pytest.param(reply(200, {"data": {}}), 1, [UNCONFIRMED], id="no count"),
        pytest.param(reply(200), 1, [UNCONFIRMED], id="no JSON"),
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
            reply(200, errors(("INVALID_PARAMETER", "no", "conversion_time"))),
            2,
            BatchRejected(Rejected("INVALID_PARAMETER", "conversion_time: no", 200)),
            id="an error inside a 200",
        ),
        pytest.param(
            reply(400, errors(("INVALID_PARAMETER", "Expected a SHA-256 value", "hashed_email"))),
            2,
            BatchRejected(Rejected("INVALID_PARAMETER", "hashed_email: Expected a SHA-256 value", 400)),
            id="one bad conversion in a batch",
        ),
        pytest.param(
            reply(400, errors(("MISSING_PARAMETER", "at least one user identifier", None))),
            1,
            [Rejected("MISSING_PARAMETER", "at least one user identifier", 400)],
            id="a lone bad conversion",
        ),
        pytest.param(
            reply(
                400,
                errors(("TOO_LONG", "a", "x"), ("INVALID_PARAMETER", "b", "y"), ("INVALID_PARAMETER", "b", "y")),
            ),
            1,
            [Rejected("INVALID_PARAMETER", "x: a; y: b", 400)],
            id="several errors, each said once",
        ),
        pytest.param(
            reply(400, errors(("CONVERSION_COUNT_LIMIT", "Conversion count limit is 500", None))),
            2,
            BatchRejected(Rejected("400/CONVERSION_COUNT_LIMIT", "Conversion count limit is 500", 400)),
            id="another code",
        ),
        pytest.param(reply(400), 2, BatchRejected(Rejected("400", NO_REASON, 400)), id="refused with a page"),
        pytest.param(reply(413), 2, BatchRejected(Rejected("413", NO_REASON, 413)), id="too large"),
        pytest.param(
            reply(401, errors(("UNAUTHORIZED_ACCESS", "no", None))),
            2,
            [CredentialsRefused("UNAUTHORIZED_ACCESS", "no", 401)] * 2,
            id="credentials wrong",
        ),
        pytest.param(reply(401), 1, [CredentialsRefused("401", NO_REASON, 401)], id="credentials wrong, no body"),
        *(
            pytest.param(reply(403, errors((code, "no", None))), 2, [CredentialsRefused(shown, "no", 403)] * 2, id=code)
            for code, shown in (
                ("UNAUTHORIZED_CLIENT_APPLICATION", "UNAUTHORIZED_CLIENT_APPLICATION"),
                ("ACCOUNT_NOT_FOUND", "ACCOUNT_NOT_FOUND"),
                ("USER_SUSPENDED", "403/USER_SUSPENDED"),
            )
        ),
        pytest.param(
            reply(404, errors(("ROUTE_NOT_FOUND", "no", None))),
            2,
            [CredentialsRefused("ROUTE_NOT_FOUND", "no", 404)] * 2,
            id="unknown pixel",
        ),
        pytest.param(reply(404), 1, [CredentialsRefused("404", NO_REASON, 404)], id="unknown pixel, no body"),
        pytest.param(
            reply(404, errors(("NOT_FOUND", "no", "event_id"))),
            2,
            BatchRejected(Rejected("NOT_FOUND", "event_id: no", 404)),
            id="unknown tag in a batch",
        ),
        pytest.param(
            reply(404, errors(("NOT_FOUND", "no", "event_id"), ("INVALID_PARAMETER", "bad", "event_id"))),
            1,
            [Rejected("NOT_FOUND", "event_id: no; event_id: bad", 404)],
            id="unknown tag, two codes",
        ),
        pytest.param(reply(405), 2, [Rejected("405", NO_REASON, 405)] * 2, id="wrong method"),
        pytest.param(
            reply(408, errors(("CANCELLED_REQUEST", "no", None))),
            1,
            [Unreachable("no", 408, code="CANCELLED_REQUEST")],
            id="cancelled",
        ),
        pytest.param(
            reply(423, errors(("LOCK_ACQUISITION_TIMEOUT", "no", None)), retry_after="3"),
            2,
            [Unreachable("no", 423, 3.0, code="LOCK_ACQUISITION_TIMEOUT")] * 2,
            id="locked",
        ),
        pytest.param(
            reply(
                429,
                errors(("TOO_MANY_REQUESTS", "no", None)),
                date=DATE,
                x_account_rate_limit_reset=str(NOW_SECONDS + 90),
                x_rate_limit_reset=str(NOW_SECONDS + 5),
            ),
            2,
            [RateLimited(90.0, "TOO_MANY_REQUESTS", "no", 429)] * 2,
            id="limit of the account",
        ),
        pytest.param(
            reply(429, date=DATE, x_rate_limit_reset=str(NOW_SECONDS + 5)),
            1,
            [RateLimited(5.0, "429", NO_REASON, 429)],
            id="limit of the user",
        ),
        pytest.param(
            reply(429, date=DATE, x_rate_limit_reset=str(NOW_SECONDS - 5)),
            1,
            [RateLimited(0.0, "429", NO_REASON, 429)],
            id="a limit that has ended",
        ),
        pytest.param(
            reply(429, retry_after="12", date=DATE, x_rate_limit_reset=str(NOW_SECONDS + 5)),
            1,
            [RateLimited(12.0, "429", NO_REASON, 429)],
            id="Retry-After comes first",
        ),
        pytest.param(
            reply(429, x_rate_limit_reset=str(NOW_SECONDS)),
            1,
            [RateLimited(None, "429", NO_REASON, 429)],
            id="a limit without a date",
        ),
        pytest.param(reply(429), 1, [RateLimited(None, "429", NO_REASON, 429)], id="too fast, no time"),
        *(
            pytest.param(
                reply(status, errors((code, "no", None))),
                2,
                [Unreachable("no", status, code=code)] * 2,
                id=code,
            )
            for status, code in (
                (500, "INTERNAL_ERROR"),
                (503, "SERVICE_UNAVAILABLE"),
                (503, "OVER_CAPACITY"),
            )
        ),
        *(
            pytest.param(
                reply(status),
                1,
                [Unreachable(NO_REASON, status, code=str(status))],
                id=f"passing fault {status}",
            )
            for status in (502, 504)
        ),
    ],
)
def test_answer_is_read_for_each_event(answer: PlatformReply, count: int, verdict: Verdict) -> None:
    assert MAPPER.read_reply(answer, count) == verdict


def test_message_repeats_nothing_that_was_sent() -> None:
    said = f"got \"jane\" of user 'sam', jane@example.com, {SAM}, 203.0.113.24, 2001:db8::7 and +1 415 555 0132"

    verdict = MAPPER.read_reply(reply(400, errors(("INVALID_PARAMETER", said, "hashed_email"))), 1)

    assert verdict == [Rejected("INVALID_PARAMETER", "hashed_email: got … of user …, … …, …, … and …", 400)]


@pytest.mark.parametrize(
    "code",
    "INVALID_PARAMETER MISSING_PARAMETER UNAUTHORIZED_ACCESS UNAUTHORIZED_CLIENT_APPLICATION ACCOUNT_NOT_FOUND "
    "ROUTE_NOT_FOUND NOT_FOUND CANCELLED_REQUEST LOCK_ACQUISITION_TIMEOUT TOO_MANY_REQUESTS INTERNAL_ERROR "
    "SERVICE_UNAVAILABLE OVER_CAPACITY 400 401 403 404 405 408 413 423 429 500 502 503 504".split(),
)
def test_every_documented_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].next_step


NOT_A_MAP = 'must be an object of event name and event tag id, such as {"Purchase": "tw-o8z6j-ol288"}'
NOT_A_TAG = "must have event tag ids as values, such as ol288 or tw-o8z6j-ol288"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("pixel_id", "o8z6j", None, id="pixel"),
        pytest.param(
            "pixel_id",
            "O8Z6J",
            "must be 3 to 12 lower-case letters and digits, as Events Manager shows it",
            id="pixel in capitals",
        ),
        pytest.param("event_ids", {"Lead": "ol289", "*": "tw-o8z6j-ol291"}, None, id="tags"),
        pytest.param("event_ids", {}, NOT_A_MAP, id="no tag"),
        pytest.param("event_ids", "ol289", NOT_A_MAP, id="one id"),
        pytest.param("event_ids", {" ": "ol289"}, "must have event names as keys", id="blank name"),
        pytest.param("event_ids", {"Lead": 289}, NOT_A_TAG, id="a number"),
        pytest.param("event_ids", {"Lead": "tw-o8z6j"}, NOT_A_TAG, id="half a tag"),
        pytest.param("max_age_days", 90, None, id="90 days"),
        pytest.param("max_age_days", 91, "must be a whole number from 1 to 90", id="91 days"),
        pytest.param("max_age_days", True, "must be a whole number from 1 to 90", id="days true"),
        pytest.param("max_ahead_minutes", "0", None, id="no minute ahead"),
        pytest.param("max_ahead_minutes", 6, "must be a whole number from 0 to 5", id="6 minutes ahead"),
    ],
)
def test_setting_is_checked(name: str, value: object, wrong: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)

    assert setting.check is not None
    assert setting.check(value) == wrong


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        pytest.param({}, [], id="pixel token"),
        pytest.param({"pixel_token": None, **OAUTH}, [], id="four OAuth keys"),
        pytest.param({"event_ids": {"Lead": "ol289"}}, [], id="short tags"),
        pytest.param(
            {"pixel_token": None},
            [Problem(("pixel_token",), "INVALID_SETTING", "A pixel token (pixel_token) is required.")],
            id="no credentials",
        ),
        pytest.param(
            {"pixel_token": None, **OAUTH, "access_token_secret": ""},
            [
                Problem(
                    ("pixel_token",),
                    "INVALID_SETTING",
                    "Set a pixel token, or all four OAuth keys: access_token_secret not set.",
                )
            ],
            id="three OAuth keys",
        ),
        pytest.param(
            {"event_ids": {"Lead": "tw-other-ol289", "*": "tw-third-ol289"}},
            [
                Problem(
                    ("event_ids",),
                    "INVALID_SETTING",
                    "An event tag of event_ids names another pixel than pixel_id: one destination serves one pixel.",
                )
            ],
            id="tags of another pixel",
        ),
    ],
)
def test_settings_are_checked_together(changes: dict[str, Any], problems: list[Problem]) -> None:
    assert MAPPER.check_settings is not None
    assert MAPPER.check_settings({**SETTINGS, **changes}) == problems


def test_what_is_secret_and_what_is_required_is_declared() -> None:
    assert [s.name for s in MAPPER.settings if s.secret] == ["pixel_token", *OAUTH]
    assert [s.name for s in MAPPER.settings if s.required] == ["pixel_id", "event_ids"]
    assert MAPPER.check_settings is not None
    assert MAPPER.check_settings({s.name: s.example for s in MAPPER.settings}) == []


def test_limits_are_those_of_x() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes, MAPPER.max_event_age) == (
        500,
        None,
        timedelta(days=90),
    )
    assert (MAPPER.supports_test_events, MAPPER.event_names.get("Refund")) == (False, None)
