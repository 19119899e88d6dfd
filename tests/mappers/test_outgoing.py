"""What all platforms have in common: consent, defaults, personal data in plain text, and events ahead of the clock."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer.domain import identifiers
from tracklayer.domain.delivery import CONSENT_MISSING, DropReason
from tracklayer.domain.event import PLAIN_USER_FIELDS, Event
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.domain.sha256 import sha256_hex
from tracklayer.domain.shown import PARAMETERS
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import COMMON_SETTINGS, Mapped, Mapper, Refused, RuleVerdict, unix_seconds
from tracklayer.mappers.outgoing import _presentable, map_event
from tracklayer.services.destinations import example_settings

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
Changes = dict[str, Any]


def event(**changes: Any) -> Event:
    given = {
        "event_name": "Purchase",
        "event_id": "order_1",
        "occurred_at": "2026-11-20T14:59:00Z",
        "user_data": {"email": "jane@example.com"},
        "custom_data": {"value": 5},
        **changes,
    }
    read = read_event(given, NOW)
    assert isinstance(read, ReadEvent), read
    return read.event


class Seen:
    """A platform that keeps what it is asked to map."""

    def __init__(self, **fields: Any) -> None:
        self.events: list[Event] = []
        self.times: list[datetime] = []
        self.mapper: Mapper = replace(mapper_for("meta"), map_event=self.map, **fields)

    def map(self, event: Event, settings: Any, now: datetime) -> Mapped:
        self.events.append(event)
        self.times.append(now)
        return Mapped({"id": event.event_id})

    def get(self, given: Event, **settings: Any) -> tuple[Event, Mapped]:
        found = map_event(self.mapper, given, settings, NOW)
        assert isinstance(found, Mapped), found
        return self.events[-1], found


def test_an_everyday_event_reaches_the_mapper_as_it_is() -> None:
    given = event(
        event_source_url="https://shop.example.com/thanks?order=10042", custom_data={"value": 5, "currency": "EUR"}
    )
    seen, found = Seen().get(given, default_currency="USD", default_page_url="https://shop.example.com/")
    assert seen is given
    assert (found.verdicts, found.not_before) == ((), None)


# Defaults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("custom_data", "currency"),
    [
        pytest.param({"value": 5}, "EUR", id="a value"),
        pytest.param({"predicted_ltv": 5}, "EUR", id="a predicted value"),
        pytest.param({"contents": [{"id": "a", "item_price": 5}]}, "EUR", id="a price"),
        pytest.param({"value": 5, "currency": "USD"}, "USD", id="its own"),
        pytest.param({"contents": [{"id": "a"}]}, None, id="no amount"),
    ],
)
def test_the_default_currency_is_that_of_amounts_that_bring_none(custom_data: Changes, currency: str | None) -> None:
    seen, found = Seen().get(event(custom_data=custom_data), default_currency="EUR")
    assert seen.custom_data.currency == currency
    told = [(one.rule, one.ok, one.field) for one in found.verdicts]
    assert told == ([("currency", True, "custom_data.currency")] if currency == "EUR" else [])


def test_without_a_default_nothing_is_invented() -> None:
    seen, found = Seen().get(event())
    assert (seen.custom_data.currency, seen.event_source_url, found.verdicts) == (None, None, ())


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        ({}, "https://shop.example.com/"),
        ({"event_source_url": "https://shop.example.com/a"}, "https://shop.example.com/a"),
        ({"event_source_url": "null"}, "https://shop.example.com/"),
        ({"event_source_url": "/thanks"}, "https://shop.example.com/"),
        ({"event_source_url": "shop.example.com/a"}, "https://shop.example.com/a"),
        ({"action_source": "app"}, None),
        ({"action_source": "physical_store"}, None),
    ],
)
def test_the_default_page_is_that_of_website_events_that_bring_none(changes: Changes, page: str | None) -> None:
    seen, _ = Seen().get(event(**changes), default_page_url="https://shop.example.com/")
    assert seen.event_source_url == page


CLICKS = {
    "fbclid": "IwAR2F4dqqXyZ",
    "ttclid": "E.C.P.abcdef0123456789",
    "gclid": "CjwKCAiA-xyz_0123",
    "epik": "dj0yJnU9abcdef0123",
    "ScCid": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "li_fat_id": "d6f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "rdt_cid": "5316480811201435000",
    "msclkid": "3b2f0a4c5d6e7f8091a2b3c4d5e6f708",
    "twclid": "26l6412g5p4iyj65a2oic2ayg2",
}


KINDS_OF_CLICKS = {form.kind for form in PARAMETERS.values()}


@pytest.mark.parametrize("platform", [key for key in PLATFORMS if KINDS_OF_CLICKS & {*mapper_for(key).identifiers}])
@pytest.mark.parametrize("page", [None, "https://shop.example.com/start"])
@pytest.mark.parametrize("start", ["/collections/tees?", "myapp://buy?", "https://shop.example.com/a?"])
@pytest.mark.parametrize("between", ["&", "&amp;", "&#038;"])
def test_every_platform_that_takes_a_click_finds_it_whatever_stands_for_the_page(
    platform: str, page: str | None, start: str, between: str
) -> None:
    mapper = mapper_for(platform)
    settings = {**example_settings(mapper), "conversion_actions": {"*": "7000000001"}}
    if page:
        settings["default_page_url"] = page
    query = between.join(f"{name}={value}" for name, value in CLICKS.items())
    custom_data = {"value": 5, "currency": "EUR", "order_id": "1"}
    given = event(event_source_url=f"{start}email=x@example.com{between}{query}", custom_data=custom_data)
    found = map_event(mapper, given, settings, NOW)
    assert isinstance(found, Mapped), found
    shown = str(found.item)
    if not start.startswith("https://"):
        assert ("myapp://" in shown, "/collections" in shown) == (False, False)
    sent = [value for value in CLICKS.values() if value in shown.replace(start, "")]
    assert sent, shown
    assert "x@example.com" not in shown


@pytest.mark.parametrize("platform", ["meta", "ga4", "tiktok", "microsoft_ads"])
def test_a_referrer_that_was_escaped_for_html_goes_out_as_the_address_it_is(platform: str) -> None:
    mapper = mapper_for(platform)
    person = {"email": "jane@example.com", "ga_client_id": "123.456", "fbclid": "IwAR0"}
    referrer = "https://blog.example.com/?a=1&amp;email=x@example.com&#038;b=2"
    given = event(
        event_source_url="https://shop.example.com/ok",
        user_data=person,
        custom_data={"value": 5, "currency": "EUR", "order_id": "1", "properties": {"referrer_url": referrer}},
    )
    found = map_event(mapper, given, example_settings(mapper), NOW)
    assert isinstance(found, Mapped), found
    shown = str(found.item)
    assert "https://blog.example.com/?a=1&" in shown
    assert ("&amp;" in shown, "&#" in shown, "x@example.com" in shown) == (False, False, False)


def test_the_default_page_leaves_the_click_of_the_address_to_the_mapper() -> None:
    given = event(event_source_url="/x?gclid=abc&email=x@example.com", custom_data={})
    seen, found = Seen().get(given, default_page_url="https://shop.example.com/")
    assert (seen.event_source_url, seen.clicked_url) == ("https://shop.example.com/", "/x?gclid=abc")
    assert "the default page stands in" in str(found.verdicts)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("shop.example.com/thanks?a=1", "https://shop.example.com/thanks?a=1"),
        ("//shop.example.com/thanks", "https://shop.example.com/thanks"),
        ("https://exämple.de/x", "https://exämple.de/x"),
        ("thanks", "thanks"),
    ],
)
def test_a_page_without_a_scheme_gets_one(url: str, sent: str) -> None:
    seen, found = Seen().get(event(event_source_url=url, custom_data={}))
    assert seen.event_source_url == sent
    assert bool(found.verdicts) == (sent != url)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://shop.example.com/search?q=red shoes", "https://shop.example.com/search?q=red%20shoes"),
        ("shop.example.com/red shoes/", "https://shop.example.com/red%20shoes/"),
        ("https://shop.example.com/?q=red\tshoes\u3000m", "https://shop.example.com/?q=red%09shoes%E3%80%80m"),
        ("\ufeffhttps://shop.example.com/a\u200e", "https://shop.example.com/a"),
        ("https://shop.example.com/?q=a b&gclid=Cj0x", "https://shop.example.com/?q=a%20b&gclid=Cj0x"),
        ("https://shop.example.com/?q=a b&email=jane doe@example.com&c=d", "https://shop.example.com/?q=a%20b&c=d"),
    ],
)
def test_blanks_in_a_page_are_sent_as_browsers_have_them(url: str, sent: str) -> None:
    given = event(event_source_url=url, custom_data={"value": 5, "currency": "EUR"})
    assert given.event_source_url == url  # it is stored as it came
    seen, found = Seen().get(given)
    assert seen.event_source_url == seen.clicked_url == sent
    told = [verdict for verdict in found.verdicts if verdict.rule == "event_source_url"]
    assert [(verdict.ok, verdict.message.endswith("blanks inside percent-encoded")) for verdict in told] == [
        (True, True)
    ]


@pytest.mark.parametrize("shown", ["https://shop.example.com/", "shop.example.com/"])
@pytest.mark.parametrize(
    "number",
    [
        "+1 650 253 0000",
        "+1%20650%20253%200000",
        "+1\t650\t253\t0000",
        "+1\u00a0650\u00a0253\u00a00000",
        "+ 16502530000",
    ],
)
def test_what_the_warning_says_no_platform_gets_goes_to_none_with_blanks_in_it_either(shown: str, number: str) -> None:
    url = f"{shown}a b?p={number}&c=d"
    draft = {
        "event_name": "Purchase",
        "event_id": "order_1",
        "occurred_at": "2026-11-20T14:59:00Z",
        "event_source_url": url,
        "user_data": {"email": "jane@example.com", "ga_client_id": "1234567890.1794000000"},
        "custom_data": {"value": 5, "currency": "EUR", "properties": {"referrer_url": url}},
    }
    read = read_event(draft, NOW)
    assert isinstance(read, ReadEvent)
    assert ("event_source_url",) in [warning.field for warning in read.warnings if warning.code == "PERSONAL_DATA"]
    for platform in PLATFORMS:
        mapper = mapper_for(platform)
        settings = {**example_settings(mapper), "conversion_actions": {"*": "7000000001"}}
        found = map_event(mapper, read.event, settings, NOW)
        assert isinstance(found, Mapped), found
        assert not [part for part in ("253", '0000"') if part in str(found.item).replace("7000000001", "")]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_that_takes_a_page_gets_one_with_blanks(platform: str) -> None:
    mapper = mapper_for(platform)
    given = event(
        event_source_url="https://shop.example.com/search?q=shoes",
        user_data={"email": "jane@example.com", "ga_client_id": "1234567890.1794000000"},
        custom_data={"value": 5, "currency": "EUR"},
    )
    with_blanks = replace(given, event_source_url="https://shop.example.com/search?q=red shoes")
    everyday, found = (map_event(mapper, one, example_settings(mapper), NOW) for one in (given, with_blanks))
    assert isinstance(everyday, Mapped), everyday
    assert isinstance(found, Mapped), found
    takes_pages = "https://shop.example.com/search?q=shoes" in str(everyday.item)
    assert ("https://shop.example.com/search?q=red%20shoes" in str(found.item)) is takes_pages
    left_out, usually = ([verdict for verdict in one.verdicts if not verdict.ok] for one in (found, everyday))
    assert left_out == usually


@pytest.mark.parametrize("url", ["https://shop example.com/", "https:// shop.example.com/", "thank you", "https://"])
def test_what_has_a_blank_in_its_host_is_no_page(url: str) -> None:
    seen, found = Seen().get(event(event_source_url=url, custom_data={}), default_page_url="https://shop.example.com/")
    assert seen.event_source_url == "https://shop.example.com/"
    assert "the default page stands in" in str(found.verdicts)


# Consent -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "person", "settings", "is_sent"),
    [
        (None, {}, {}, True),
        ("never", {}, {}, True),
        (False, {}, {}, True),
        ("always", {"country": "US"}, {}, False),
        (True, {"country": "US"}, {}, False),
        ("eea", {"country": "US"}, {}, True),
        ("eea", {"country": "DE"}, {}, False),
        ("eea", {"country": "Germany"}, {}, False),
        ("eea", {"country": "GB"}, {}, False),
        ("eea", {"country": "CH"}, {}, False),
        ("eea", {}, {}, False),
        ("eea", {}, {"default_country": "US"}, False),
        ("eea", {"country": "RE"}, {}, False),
        ("eea", {"country": "FR"}, {"default_country": "US"}, False),
    ],
)
def test_what_nobody_consented_to_is_kept_back_where_the_rule_asks(
    rule: Any, person: Changes, settings: Changes, is_sent: bool
) -> None:
    settings = {**settings, "require_consent": rule} if rule is not None else settings
    given = event(user_data={"email": "jane@example.com", **person})
    found = map_event(Seen().mapper, given, settings, NOW)
    assert isinstance(found, Mapped) == is_sent
    if isinstance(found, Refused):
        said = (DropReason.INVALID_FIELD, "consent.ad_user_data", CONSENT_MISSING)  # nobody refused: nothing was said
        assert (found.reason, found.field, found.code) == said
        assert [verdict.rule for verdict in found.verdicts] == ["consent"]
        refused = replace(given, consent=replace(given.consent, ad_user_data="denied"))
        denied = map_event(Seen().mapper, refused, settings, NOW)
        assert isinstance(denied, Refused)
        assert (denied.reason, denied.code) == (DropReason.CONSENT_DENIED, None)
    granted = replace(given, consent=replace(given.consent, ad_user_data="granted"))
    assert isinstance(map_event(Seen().mapper, granted, settings, NOW), Mapped)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(("rule", "country"), [("never", "DE"), ("eea", "US"), ("eea", "DE"), ("always", "US")])
def test_what_was_denied_leaves_without_email_and_phone_or_not_at_all(platform: str, rule: str, country: str) -> None:
    mapper = mapper_for(platform)
    settings = {**example_settings(mapper), "conversion_actions": {"*": "7000000001"}, "send_denied": True}
    user = {"email": "jane@example.com", "phone": "+16505550123", "country": country, "ga_client_id": "12.34"}
    user |= {"msclkid": "3b2f0a4c5d6e7f8091a2b3c4d5e6f708"}
    given = event(
        user_data=user,
        consent={"ad_user_data": "denied"},
        event_source_url="https://shop.example.com/",
        custom_data={"value": 5, "currency": "EUR", "order_id": "1"},
    )
    found = map_event(mapper, given, {**settings, "require_consent": rule}, NOW)
    is_asked = rule == "always" or (rule, country) == ("eea", "DE")
    if isinstance(found, Refused):
        assert found.reason is DropReason.CONSENT_DENIED
    else:
        assert not is_asked
        shown = str(found.item)
        assert sha256_hex("jane@example.com") not in shown
        assert sha256_hex("+16505550123") not in shown
        assert sha256_hex("16505550123") not in shown


# Personal data -------------------------------------------------------------------------------------------------------


def test_personal_data_in_plain_text_is_taken_out_and_told_without_its_value() -> None:
    given = event(
        event_source_url="https://shop.example.com/thanks?order=1&email=jane%40example.com",
        custom_data={"properties": {"customer_email": "jane@example.com", "colour": "red"}},
    )
    seen, found = Seen().get(given)
    assert seen.event_source_url == "https://shop.example.com/thanks?order=1"
    assert seen.custom_data.properties == {"colour": "red"}
    assert [(one.rule, one.ok, one.field) for one in found.verdicts] == [
        ("personal_data", False, "event_source_url"),
        ("personal_data", False, "custom_data.properties.customer_email"),
    ]
    assert not [one for one in found.verdicts if "jane" in one.message]
    assert given.custom_data.properties == {"customer_email": "jane@example.com", "colour": "red"}


def test_no_address_or_number_leaves_in_a_text_that_is_meant_for_something_else() -> None:
    basket = {
        "order_id": "jane@example.com",
        "search_string": "parcel +49 171 2345678",
        "content_name": "Mug",
        "product_ids": ["sku_1", "jane@example.com"],
        "contents": [
            {"id": "sku_1", "title": "Mug for jane@example.com", "brand": "Acme"},
            {"id": "jane@example.com"},
            {"id": "sku_3", "title": "2x@50% off"},
        ],
    }
    given = event(custom_data=basket, device={"os": "iOS", "model": "jane@example.com"})
    seen, found = Seen().get(given)
    custom = seen.custom_data
    assert (custom.order_id, custom.search_string, custom.content_name) == (None, None, "Mug")
    assert custom.product_ids == ("sku_1",)
    assert [(line.id, line.title, line.brand) for line in custom.contents] == [
        ("sku_1", None, "Acme"),
        ("sku_3", "2x@50% off", None),
    ]
    assert (seen.device.os, seen.device.model) == ("iOS", None)
    assert [one.field for one in found.verdicts if one.rule == "personal_data"] == [
        "custom_data.order_id",
        "custom_data.search_string",
        "custom_data.contents.0.title",
        "custom_data.contents.1.id",
        "custom_data.product_ids",
        "device.model",
    ]


@pytest.mark.parametrize("platform", ["linkedin", "microsoft_ads", "ga4"])
def test_no_platform_gets_an_address_for_an_id_of_the_merchants_own(platform: str) -> None:
    person = {"email": "x@example.com", "external_id": "canary@example.com", "ga_client_id": "12.34"}
    mapper = mapper_for(platform)
    found = map_event(mapper, event(user_data=person), example_settings(mapper), NOW)
    assert not isinstance(found, Mapped) or "canary" not in repr(found.item)


CONTACT_IDS = [
    "lead_canary@example.com", "lead_+491701234567", "canary%40example.com", "+49 170 1234567",
    "canary&#64;example.com", r"canary\u0040example.com", "&#43;49 170 1234567",
]  # fmt: skip


@pytest.mark.parametrize("event_id", CONTACT_IDS)
def test_an_event_id_that_holds_an_address_or_a_number_leaves_as_its_digest(event_id: str) -> None:
    seen, found = Seen().get(event(event_id=event_id))
    assert seen.event_id == sha256_hex(event_id)
    assert [(one.rule, one.ok, one.field) for one in found.verdicts] == [("event_id", True, "event_id")]
    assert "canary" not in repr(found)
    seen, found = Seen().get(event(event_id=event_id), keeps_plain=True)
    assert (seen.event_id, found.verdicts) == (event_id, ())


@pytest.mark.parametrize("event_id", ["order_10042", "491701234567", "a+b", "50%", "lead@home", "Größe-7"])
def test_any_other_event_id_leaves_as_it_is(event_id: str) -> None:
    seen, found = Seen().get(event(event_id=event_id))
    assert (seen.event_id, found.verdicts) == (event_id, ())


def test_an_event_name_that_holds_an_address_stays_here_unless_a_setting_says_what_goes_out_for_it() -> None:
    name = "signup canary@example.com"
    seen, found = Seen().get(event(event_name=name))
    assert seen.event_name == "CustomEvent"
    assert [(one.rule, one.ok, one.field) for one in found.verdicts] == [("personal_data", False, "event_name")]
    seen, found = Seen().get(event(event_name=name), event_names={name: "Lead"})
    assert (seen.event_name, found.verdicts) == (name, ())


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "contact",
    ["canary@example.com", "+491701234567", "canary&#64;example.com", r"canary\u0040example.com", "&plus;491701234567"],
)
def test_no_field_takes_an_address_or_a_number_to_a_platform(platform: str, contact: str) -> None:
    person = {name: f"x {contact}" if name == "client_user_agent" else contact for name in PLAIN_USER_FIELDS}
    person |= {"email": "jane@example.com", "client_ip": "203.0.113.42", "country": "DE"}
    texts = ("order_id", "content_name", "content_category", "content_type", "search_string", "status")
    custom = {"value": 5, "currency": "EUR", "properties": {"note": contact}, **dict.fromkeys(texts, contact)}
    given_ = event(event_id=contact, event_name=f"Sign-up {contact}", user_data=person, custom_data=custom)
    mapper = mapper_for(platform)
    settings = {**example_settings(mapper)}
    for name, value in settings.items():  # a name of the merchant's own goes where all others do
        if isinstance(value, dict) and "Purchase" in value:
            settings[name] = {"*": value["Purchase"]}
    found = map_event(mapper, given_, settings, NOW)
    sent = repr(found.item) if isinstance(found, Mapped) else ""
    assert not [one for one in ("canary", "491701234567") if one in sent]
    told = {one.field for one in found.verdicts}
    assert {"event_id", "event_name", "user_data.gclid", "user_data.client_user_agent"} <= told
    assert contact not in repr(found.verdicts)


def test_the_default_page_leaves_without_personal_data_too() -> None:
    page = "https://user:pw@shop.example.com/?email=jane@example.com&a=1"
    seen, _ = Seen().get(event(), default_page_url=page)
    assert seen.event_source_url == "https://shop.example.com/?a=1"


LEAKS = {
    "event_source_url": "https://shop.example.com/t?x=1&email=canary%40example.com&phone=%2B491712345678&vorname=Canary#a@canary.de",
    "custom_data": {
        "value": 5,
        "currency": "USD",
        "order_id": "1",
        "properties": {"email": "canary@example.com", "note": "by canary@example.com", "phone": "+491712345678"},
    },
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_platform_gets_personal_data_in_plain_text(platform: str) -> None:
    person = {
        "email": "x@example.com",
        "ga_client_id": "1.2",
        "client_ip": "203.0.113.42",
        "client_user_agent": "Mozilla/5.0",
    }
    mapper = mapper_for(platform)
    settings = example_settings(mapper)
    found = map_event(mapper, event(user_data=person, **LEAKS), settings, NOW)
    assert isinstance(found, Mapped), found
    body = repr(mapper.build_request(found.group, [found.item], settings).body).lower()
    assert "canary" not in body
    assert "491712345678" not in body
    assert [verdict for verdict in found.verdicts if verdict.rule == "personal_data"]


# Ahead of the clock --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "waits"), [(-1, False), (0, False), (5, False), (6, True), (240, True)])
def test_what_is_further_ahead_than_a_platform_forgives_waits(ahead: int, waits: bool) -> None:
    seen = Seen(max_ahead=timedelta(seconds=5))
    at = NOW + timedelta(seconds=ahead)
    given, found = seen.get(replace(event(), occurred_at=at))
    assert found.not_before == (at if waits else None)
    assert seen.times == [at if waits else NOW]
    assert [verdict.rule for verdict in found.verdicts] == (["event_time"] if waits else [])
    assert given.occurred_at == at


@pytest.mark.parametrize("platform", PLATFORMS)
def test_on_every_platform_it_is_told_what_a_default_fills_in_and_without_one_nothing_is(platform: str) -> None:
    mapper = mapper_for(platform)
    settings = example_settings(mapper)
    given = event(
        user_data={"email": "jane@example.com", "ga_client_id": "1234567890.1713877200"},
        custom_data={"value": 5, "order_id": "1"},
    )
    page, currency = "https://shop.example.com/start", "CHF"
    filled = map_event(mapper, given, {**settings, "default_currency": currency, "default_page_url": page}, NOW)
    told = {verdict.field: verdict for verdict in filled.verdicts if "stands in" in verdict.message and verdict.ok}
    # Of a page that goes nowhere nothing stands in.
    assert told.keys() == {"custom_data.currency", "event_source_url"} - mapper.no_place_for
    assert isinstance(filled, Refused) or ("event_source_url" in told) == (page in str(filled.item))
    assert currency in told["custom_data.currency"].message
    bare = map_event(mapper, given, settings, NOW)
    assert [verdict for verdict in bare.verdicts if "stands in" in verdict.message] == []
    for found in (filled, bare):
        sent = str(found.item) if isinstance(found, Mapped) else ""
        assert found is filled or (currency not in sent and page not in sent)
    # What the event brings itself stays, and nothing is said of a default.
    own = event(
        event_source_url="https://shop.example.com/own",
        user_data={"email": "jane@example.com", "ga_client_id": "1234567890.1713877200"},
        custom_data={"value": 5, "order_id": "1", "currency": "USD"},
    )
    kept = map_event(mapper, own, {**settings, "default_currency": currency, "default_page_url": page}, NOW)
    assert [verdict for verdict in kept.verdicts if "stands in" in verdict.message] == []
    assert not isinstance(kept, Mapped) or (currency not in str(kept.item) and page not in str(kept.item))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_takes_the_common_settings(platform: str) -> None:
    mapper = mapper_for(platform)
    assert {setting.name for setting in COMMON_SETTINGS} <= {setting.name for setting in mapper.settings}
    assert len({setting.name for setting in mapper.settings}) == len(mapper.settings)


@drawn(300)
@given(
    st.from_regex(identifiers.is_plain_url.__self__, fullmatch=True),  # type: ignore[attr-defined]
    st.sampled_from(["EUR", None]),
    st.sampled_from([{}, {"default_currency": "USD"}, {"default_page_url": "https://shop.example.com/"}]),
)
def test_an_event_of_a_plain_page_is_what_the_close_look_makes_of_it(
    url: str, currency: str | None, settings: Changes
) -> None:
    given_ = event(event_source_url=url, custom_data={"value": 5, "currency": currency})
    said: list[RuleVerdict] = []
    seen, found = Seen().get(given_, **settings)
    assert seen == _presentable(Seen().mapper, given_, settings, said)
    assert found.verdicts == tuple(said)


@drawn(1000)
@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC))
@example(datetime(2026, 11, 20, 15, 0, 0, 999_999, tzinfo=UTC))
def test_seconds_are_whole_and_cut_off(instant: datetime) -> None:
    assert unix_seconds(instant) == calendar.timegm(instant.timetuple())


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "url",
    ["https://shop.example.com/thanks", "https://shop.example.com/?order=1", "ftp://shop.example.com/", "x y", None],
)
def test_what_is_known_of_a_url_beforehand_changes_nothing(platform: str, url: str | None) -> None:
    mapper = mapper_for(platform)
    given_ = event(event_source_url=url, custom_data={"value": 5, "currency": "EUR"})
    asked_again = replace(given_)
    assert not asked_again.has_plain_url
    found = map_event(mapper, given_, example_settings(mapper), NOW)
    assert found == map_event(mapper, asked_again, example_settings(mapper), NOW)
    assert given_.has_plain_url == (url == "https://shop.example.com/thanks")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_name_is_the_same_without_the_characters_that_nobody_sees(platform: str) -> None:
    mapper = mapper_for(platform)
    person = {"email": "jane@example.com", "gclid": "g", "city": "Köln", "country": "DE", "street": "Am Tor 1"}
    names = {"first_name": "Jané", "last_name": "Doe"}
    hidden = {
        "first_name": "\ufeffJa\u200bné",
        "last_name": "D\u00adoe\u200e",
        "city": "K\u200böln",
        "street": "Am\u200b Tor 1",
    }
    clean = map_event(mapper, event(user_data={**person, **names}), example_settings(mapper), NOW)
    copied = map_event(mapper, event(user_data={**person, **names, **hidden}), example_settings(mapper), NOW)
    assert clean == copied
