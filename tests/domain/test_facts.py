"""What an event carries, as bits, and the bounded words it is counted by."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.factories import draft
from tracklayer.domain.event import USER_FIELDS, Consent, CustomData, Event, UserData
from tracklayer.domain.facts import (
    AHEAD_FROM,
    BITS,
    FACTS,
    IDENTIFIERS,
    LATE_FROM,
    facts_left_alone,
    facts_of,
    host_of,
    mask_of,
    refusal_of,
)
from tracklayer.domain.problem import Problem
from tracklayer.domain.read_event import ReadEvent, read_event

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def event(**given: object) -> Event:
    return Event("Purchase", "o-1", **{"occurred_at": NOW, **given})  # type: ignore[arg-type]


def test_a_fact_has_a_place_of_its_own_that_a_bigint_holds() -> None:
    assert len(set(FACTS)) == len(FACTS) <= 62
    assert mask_of(FACTS) == 2 ** len(FACTS) - 1
    # Stored numbers are read by these places.
    assert (BITS["email"], BITS["phone"], BITS["fbp"], BITS["value"]) == (1, 2, 1 << 15, 1 << 37)
    assert set(IDENTIFIERS) == set(USER_FIELDS) - {"emails", "phones"}


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"user_data": UserData(fbp="fb.1.1.1", zip="10115")}, ["zip", "fbp"], id="identifiers"),
        pytest.param({"event_source_url": "https://shop.example/"}, ["event_source_url"], id="a page"),
        pytest.param(
            {"custom_data": CustomData(value=Decimal(5), currency="EUR")}, ["value", "currency"], id="a value"
        ),
        pytest.param({"custom_data": CustomData(value=Decimal("0.00"))}, ["zero_value"], id="no value to speak of"),
        pytest.param(
            {"custom_data": CustomData(product_ids=("1",), order_id="7")}, ["contents", "order_id"], id="what"
        ),
        pytest.param({"consent": Consent(ad_user_data="denied")}, ["consent_denied"], id="refused by the person"),
        pytest.param({"occurred_at": NOW + AHEAD_FROM}, ["ahead"], id="a fast clock"),
        pytest.param({"occurred_at": NOW + AHEAD_FROM / 2}, [], id="a clock as clocks are"),
        pytest.param({"occurred_at": NOW - LATE_FROM}, ["late"], id="long ago"),
    ],
)
def test_facts(given: dict[str, object], facts: list[str]) -> None:
    assert facts_of(event(**given), NOW) == mask_of(facts)


def read_facts(user_data: dict[str, object] | None = None, **given: object) -> int:
    """Of what was sent, as it is read."""
    given = {"event_source_url": None, "occurred_at": NOW.isoformat(), "user_data": user_data or {}, **given}
    read = read_event(draft("o-1", **given), NOW)
    assert isinstance(read, ReadEvent), read
    return facts_of(read.event, NOW, read.unusable)


MALFORMED = {
    "email": "[hidden by privacy plugin]",
    "phone": "0151 23456789",  # of no country
    "date_of_birth": "1990-02-30",
    "country": "Narnia",
    "client_ip": "10.0.0.1",
    "browser_id": "zzz",
    "fbp": "abc",
    "fbc": "abc",
    "lead_id": "a b",
    "ga_client_id": "a b",
    "ga_session_id": "abc",
    "rdt_uuid": "zz",
    "msclkid": "zz",
    **dict.fromkeys("fbclid ttp ttclid gclid gbraid wbraid epik".split(), "a b"),
    **dict.fromkeys("sc_click_id sc_cookie1 li_fat_id rdt_cid twclid".split(), "a b"),
}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_what_stands_for_a_value_or_is_malformed_is_not_there(name: str) -> None:
    usual = read_facts({"first_name": "Jane", "gclid": "Cj0KCQ"}, custom_data={})
    without = usual & ~BITS[name]
    for text in filter(None, (MALFORMED.get(name), "undefined", "null", "[REDACTED]@", "j***@gmail")):
        user_data: dict[str, object] = {"first_name": "Jane", "gclid": "Cj0KCQ", name: text}
        read = read_event(draft("o-1", occurred_at=NOW.isoformat(), user_data=user_data), NOW)
        assert isinstance(read, ReadEvent), read
        told = {warning.field for warning in read.warnings}
        assert told or text not in (MALFORMED.get(name), "undefined"), text
        wanted = without if ("user_data", name) in told else usual | BITS[name]
        assert read_facts(user_data, custom_data={}) == wanted, text


@pytest.mark.parametrize(
    ("user_data", "facts"),
    [
        pytest.param({"emails": ["jane@example.com"]}, ["email"], id="further addresses alone"),
        pytest.param({"phones": ["+16505550177"]}, ["phone"], id="further numbers alone"),
        pytest.param({"email": "x", "emails": ["jane@example.com"]}, ["email"], id="a good one beside a bad one"),
        pytest.param({"email": "jane@example.com", "emails": ["x"]}, ["email"], id="a bad one beside a good one"),
        pytest.param({"emails": ["x", "undefined", "jane@example.com"]}, ["email"], id="a good one among bad ones"),
        pytest.param({"email": "x", "emails": ["y", "undefined"]}, [], id="bad ones"),
        pytest.param(
            {"phones": ["030 1234567", "+16505550177"]}, ["phone"], id="a number of no country and one of one"
        ),
        pytest.param({"phone": "030 1234567", "phones": ["0151 23456789"]}, [], id="numbers of no country"),
        pytest.param({"phone": "030 1234567", "country": "DE"}, ["phone", "country"], id="a number of their country"),
        pytest.param({"phone": 16505550177}, [], id="a number of no country, as a number"),
        pytest.param({"phone": 493012345678, "country": "DE"}, ["phone", "country"], id="a number as a number"),
        pytest.param({"zip": 94107}, ["zip"], id="digits as a number"),
        pytest.param(
            {"emails": [f"jane{n}@example.com" for n in range(12)]},
            ["email"],
            id="more than are taken, of which some are",
        ),
        pytest.param({"fbp": "fb.1.1713877200.1234567890"}, ["fbp"], id="a cookie in seconds, which goes out"),
        pytest.param({"external_id": "jane@example.com"}, ["external_id"], id="an address as an id, which is hashed"),
        pytest.param({"gclid": "jane@example.com"}, [], id="an address as a click id, which nobody gets"),
    ],
)
def test_an_identifier_is_there_where_a_platform_can_use_it(user_data: dict[str, object], facts: list[str]) -> None:
    assert read_facts(user_data, custom_data={}) == mask_of(facts)


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        pytest.param({"event_source_url": "not a page"}, [], id="no page"),
        pytest.param({"event_source_url": "shop.example/cart"}, ["event_source_url"], id="a page without a scheme"),
        pytest.param({"custom_data": {"order_id": "jane@example.com"}}, [], id="an address as an order"),
        pytest.param({"custom_data": {"currency": "XXX"}}, ["currency"], id="a currency that goes out"),
        pytest.param({"custom_data": {"product_ids": ["jane@example.com"]}}, [], id="an address as a product"),
        pytest.param(
            {"custom_data": {"product_ids": ["jane@example.com", "sku-1"]}},
            ["contents"],
            id="an address beside a product",
        ),
        pytest.param({"custom_data": {"contents": [{"id": "jane@example.com"}]}}, [], id="an address as a line"),
        pytest.param(
            {"custom_data": {"contents": [{"id": "jane@example.com"}, {"id": "sku-1"}]}},
            ["contents"],
            id="an address beside a line",
        ),
        pytest.param(
            {"custom_data": {"contents": [{"id": "sku-1", "title": "jane@example.com"}]}}, ["contents"], id="in a line"
        ),
    ],
)
def test_what_else_is_of_no_use_is_not_there_either(given: dict[str, object], facts: list[str]) -> None:
    assert read_facts(**{"custom_data": {}, **given}) == mask_of(facts)  # type: ignore[arg-type]


def test_who_is_left_alone_is_not_counted_as_anybody() -> None:
    facts = mask_of(["email", "phone", "browser_id", "value", "currency", "order_id", "event_source_url", "late"])
    assert facts_left_alone(facts) == mask_of(
        ["value", "currency", "order_id", "event_source_url", "late", "consent_denied"]
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (None, ""),
        ("https://Shop.Example/cart?x=1", "shop.example"),
        ("http://shop.example:8080", "shop.example"),
        ("https://user:word@shop.example/", "shop.example"),
        ("shop.example/cart", ""),
        ("https:///", ""),
    ],
)
def test_hosts(url: str | None, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("problems", "counted"),
    [
        ([], ("", "")),
        ([Problem(("custom_data", "currency"), "INVALID_CURRENCY", "")], ("INVALID_CURRENCY", "custom_data.currency")),
        ([Problem(("custom_data", "contents", "3", "id"), "REQUIRED", "")], ("REQUIRED", "custom_data.contents.id")),
        ([Problem(("a@b.example",), "UNKNOWN_FIELD", ""), Problem(("x",), "REQUIRED", "")], ("UNKNOWN_FIELD", "*")),
    ],
)
def test_what_a_refused_event_is_counted_under(problems: list[Problem], counted: tuple[str, str]) -> None:
    assert refusal_of(problems) == counted
