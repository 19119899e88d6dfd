"""What ``read_event`` takes, what it refuses and in which words, and what it takes with a warning."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import drawn
from tests.factories import PURCHASE
from tracklayer.domain import identifiers, normalise
from tracklayer.domain.event import (
    ACTION_SOURCES,
    CONSENT_FIELDS,
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    DEVICE_FIELDS,
    EVENT_FIELDS,
    NO_DEVICE,
    USER_FIELDS,
    Consent,
    Content,
    CustomData,
    Device,
    Event,
    UserData,
)
from tracklayer.domain.json_text import read_json
from tracklayer.domain.normalise import Matchable, sha256_hex
from tracklayer.domain.problem import Problem
from tracklayer.domain.read_event import ReadEvent, read_event, readable_event_id
from tracklayer.domain.shown import COOKIES, PARAMETERS
from tracklayer.domain.values import read_decimal, read_instant, write_instant

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
US = frozenset({"US"})
DE = frozenset({"DE"})


def draft(**changes: Any) -> dict[str, Any]:
    """The smallest event there is; ``changes`` replace top-level fields."""
    return {
        "event_name": "Purchase",
        "event_id": "order_1",
        "occurred_at": "2026-11-20T14:59:00Z",
        "user_data": {},
        **changes,
    }


def draft_with(path: str, value: Any) -> dict[str, Any]:
    """The smallest event with ``value`` at a dotted path."""
    made = draft()
    *parents, last = path.split(".")
    at: Any = made
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = value
    return made


def taken(given: Any, default_countries: frozenset[str] = frozenset()) -> ReadEvent:
    read = read_event(given, NOW, default_countries)
    assert isinstance(read, ReadEvent), read
    assert read.size == len(orjson.dumps(given, default=str))
    return read._replace(size=0)


def problems_of(given: Any) -> list[Problem]:
    read = read_event(given, NOW)
    assert isinstance(read, list), read
    return read


def refused(given: Any) -> list[tuple[str, str]]:
    """(code, path) of every problem."""
    return [(problem.code, ".".join(problem.field)) for problem in problems_of(given)]


@pytest.mark.parametrize("number", ["1e1000000", "-1e1000000", "1e999999999999999999", "9" * 400 + "e999999"])
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("custom_data.value", "INVALID_NUMBER"),
        ("custom_data.num_items", "INVALID_NUMBER"),
        ("custom_data.contents.0.quantity", "INVALID_NUMBER"),
        ("custom_data.contents.0.item_price", "INVALID_NUMBER"),
        ("custom_data.properties.a", "INVALID_NUMBER"),
        ("event_name", "INVALID_TYPE"),
        ("event_id", "INVALID_TYPE"),
        ("occurred_at", "INVALID_TIME"),
        ("user_data", "INVALID_TYPE"),
    ],
)
def test_a_number_beyond_all_bounds_is_a_mistake_of_its_field(number: str, path: str, code: str) -> None:
    given = read_json(orjson.dumps({**PURCHASE, "occurred_at": write_instant(NOW)}))
    custom = given["custom_data"] = {"value": 1, "currency": "EUR", "contents": [{"id": "a"}], "properties": {}}
    assert custom is not None
    *parents, name = path.split(".")
    within: Any = given
    for parent in parents:
        within = within[int(parent)] if isinstance(within, list) else within[parent]
    within[name] = read_json(number)
    assert (code, path) in refused(given)


@pytest.mark.parametrize("number", ["1e-1000000", "1e-999999999999999999", "0e999999999999999999"])
def test_a_number_beside_nothing_is_no_fault(number: str) -> None:
    for name in ("value", "predicted_ltv", "num_items", "order_id", "content_name"):
        read_event({**PURCHASE, "custom_data": {"currency": "EUR", "value": 1, name: read_json(number)}}, NOW)


def test_a_number_beyond_all_bounds_in_the_place_of_an_identifier_costs_no_event() -> None:
    given = {"email": read_json("1e1000000"), "city": read_json("-1e1000000"), "external_id": read_json("1e-1000000")}
    assert isinstance(read_event({**PURCHASE, "user_data": given}, NOW), ReadEvent)


def warned(given: Any, default_countries: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """(code, path) of every warning of an event that is taken."""
    return [(problem.code, ".".join(problem.field)) for problem in taken(given, default_countries).warnings]


# Events that are taken ---------------------------------------------------------------------------------------------


def test_the_data_models_own_example_is_taken_with_its_cookies_named() -> None:
    read = taken(PURCHASE)
    assert read.event == Event(
        event_name="Purchase",
        event_id="order_12345",
        occurred_at=datetime(2026, 4, 23, 14, 12, 33, tzinfo=UTC),
        user_data=UserData(
            email=Matchable(digests={"as_given": "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0"}),
            phone=Matchable(digests={"as_given": "a0e4aeb280283d343698dcbf9213bdb2e8e8e7abceb5f106874900ad3a7e1b41"}),
            client_ip="203.0.113.42",
            client_user_agent="Mozilla/5.0",
            fbp="fb.1.1713877200.1234567890",
            fbc="fb.1.1713877200.AQzXy1abcDEFghiJKlMNopQR",
        ),
        custom_data=CustomData(
            value=Decimal("129.99"),
            currency="USD",
            order_id="order_12345",
            product_ids=("sku_123", "sku_456"),
            num_items=2,
        ),
    )
    assert [(warning.code, warning.field) for warning in read.warnings] == [
        ("IDENTIFIER_MALFORMED", ("user_data", "fbp")),
        ("IDENTIFIER_MALFORMED", ("user_data", "fbc")),
    ]


WELL_FORMED = {
    "email": "Jane.Doe@example.com",
    "phone": "+1 (650) 555-0123",
    "emails": ["jane@work.example"],
    "phones": ["+44 20 7946 0958", "+49 30 901820"],
    "first_name": "Jane ",
    "last_name": "O'Neil",
    "date_of_birth": "1990-02-16",
    "gender": "f",
    "street": "123 Main St.",
    "city": "San Francisco",
    "state": "CA",
    "zip": "94107-1234",
    "country": "US",
    "external_id": "Cust-7781",
    "client_ip": "2001:db8::1",
    "client_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    "browser_id": "b.0123456789abcdef",
    "fbp": "fb.1.1596403881668.1116446470",
    "fbc": "fb.1.1554763741205.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk",
    "fbclid": "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB",
    "ttp": "94e2a4j9-h3ss-k5h5-98cc-c84n745mk654",
    "ttclid": "E.C.P.v3fQ2RHacdksKfofPmlyuStIIFJ4Af1tKYxF9zz2c2PLx1Oaw15oHpcfl5AH",
    "gclid": "Cj0KCQiA-5a9BhCBARIsACwMkJ5_abc",
    "gbraid": "0AAAAAo4mICHUCdcnQYuDhxwGvsCCgqhE1",
    "wbraid": "CkgKCAjwoIqwBhAWEjgAabc",
    "ga_client_id": "1234567890.1794000000",
    "ga_session_id": "1794000000",
    "epik": "dj0yJnU9b2JDcFFHekV4SHJNcmVrbFBkUEdqakh0akdUT1VjVVUmcD0yJm49cnNBQ3F2Q2dOVDBXWWhkWklrUGxBUSZ0PUFBQUFBR",
    "sc_click_id": "5f2bd0a4-9d1c-4e0b-9a3e-1e1f7ac1f3b2",
    "sc_cookie1": "3d0be0ac-3f46-4a1f-b8c1-2f9e8a0d1c2b",
    "li_fat_id": "c9d7f0b0-3cd4-4f3b-8a2f-2f9d1d8c1e1a",
    "rdt_cid": "3184742045291813272",
    "rdt_uuid": "1594924040000.550e8400-e29b-41d4-a716-446655440000",
    "msclkid": "dd4afe73c5b5463eb4ae1d6ef4cf1e1d",
    "twclid": "2-3ix9cq4hk1zy6v0pq7cq4hk1zy6v0p",
    "lead_id": "1234567890123456",
    "job_title": "Head of Gardens",
    "company_name": "Alder Works Ltd.",
}


DEVICE: dict[str, Any] = {
    "os": "iOS",
    "os_version": "18.5",
    "app_id": "com.example.shop",
    "app_name": "Shop",
    "app_version": "4.2.0",
    "model": "iPhone17,1",
    "locale": "en_US",
    "time_zone": "Europe/Berlin",
    "carrier": "Example Mobile",
    "screen_width": 1179,
    "screen_height": 2556,
    "advertising_id": "6D92078A-8246-4BA4-AE5B-76104861E7DC",
    "vendor_id": "0f1b2c3d-8246-4ba4-ae5b-76104861e7dc",
    "tracking_allowed": False,
}


def test_every_field_is_read_into_its_place() -> None:
    given = {
        "event_name": "Lead",
        "event_id": "lead-7",
        "occurred_at": "2026-11-20T16:04:05.250+01:30",
        "action_source": "phone_call",
        "event_source_url": "https://shop.example.com/thanks?x=1",
        "user_data": WELL_FORMED,
        "custom_data": {
            "value": "1234.50",
            "currency": " eur ",
            "order_id": "o-1",
            "product_ids": ["sku_1", "sku_2"],
            "contents": [
                {"id": "sku_1", "quantity": 2, "item_price": 10, "title": "T", "brand": "B", "category": "C"}
                | {"variant": "red", "coupon": "TEN", "discount": "1.50"},
                {"id": "sku_2"},
            ],
            "num_items": 3,
            "content_name": "Shoes",
            "content_category": "Sport",
            "content_type": "product",
            "search_string": "red shoes",
            "status": "done",
            "predicted_ltv": 99.5,
            "properties": {"text": "x", "number": 1.5, "flag": True, "nothing": None},
        },
        "device": DEVICE,
        "consent": {"ad_user_data": "granted", "ad_personalization": "denied", "limited_data_use": True},
    }
    before = copy.deepcopy(given)
    read = taken(given)
    assert read.warnings == ()
    # One that is new and not among these, or not read, is as if it had not been given.
    event, nothing = read.event, Event("", "", datetime.min)
    pairs: list[tuple[Any, Any]] = [(event, nothing), (event.custom_data.contents[0], Content(""))]
    pairs += [
        (getattr(event, part), getattr(nothing, part)) for part in ("user_data", "custom_data", "device", "consent")
    ]
    for found, empty in pairs:
        assert [one.name for one in fields(found) if getattr(found, one.name) == getattr(empty, one.name)] == []
    assert read.event == Event(
        event_name="Lead",
        event_id="lead-7",
        occurred_at=datetime(2026, 11, 20, 14, 34, 5, 250_000, tzinfo=UTC),
        action_source="phone_call",
        event_source_url="https://shop.example.com/thanks?x=1",
        user_data=UserData(
            **{  # type: ignore[arg-type]
                **WELL_FORMED,
                "email": Matchable(plain="Jane.Doe@example.com"),
                "phone": Matchable(plain="+1 (650) 555-0123", country="US"),
                "emails": (Matchable(plain="jane@work.example"),),
                "phones": tuple(Matchable(plain=text, country="US") for text in ("+44 20 7946 0958", "+49 30 901820")),
            }
        ),
        custom_data=CustomData(
            value=Decimal("1234.50"),
            currency="EUR",
            order_id="o-1",
            product_ids=("sku_1", "sku_2"),
            contents=(Content("sku_1", 2, Decimal(10), "T", "B", "C", "red", "TEN", Decimal("1.50")), Content("sku_2")),
            num_items=3,
            content_name="Shoes",
            content_category="Sport",
            content_type="product",
            search_string="red shoes",
            status="done",
            predicted_ltv=Decimal("99.5"),
            properties={"text": "x", "number": 1.5, "flag": True, "nothing": None},
        ),
        device=Device(**DEVICE),
        consent=Consent("granted", "denied", True),
    )
    assert given == before


def test_the_table_of_well_formed_identifiers_leaves_none_out() -> None:
    assert tuple(WELL_FORMED) == USER_FIELDS


def test_the_smallest_event_has_the_defaults() -> None:
    assert taken(draft()).event == Event(
        event_name="Purchase", event_id="order_1", occurred_at=datetime(2026, 11, 20, 14, 59, tzinfo=UTC)
    )


@pytest.mark.parametrize("source", ACTION_SOURCES)
def test_every_action_source_is_taken(source: str) -> None:
    assert taken(draft(action_source=source)).event.action_source == source


@pytest.mark.parametrize(
    "name",
    ["Purchase", "a", "Mein eigenes Ereignis", "x" * 255, "0", "404", "Nullrunde", "none of these", "購入", "-_-"],
)
def test_an_event_may_have_any_name(name: str) -> None:
    assert taken(draft(event_name=name)).event.event_name == name


@pytest.mark.parametrize(
    "path",
    [
        "action_source", "event_source_url", "custom_data", "consent", "user_data.email", "user_data.phone",
        "user_data.first_name", "user_data.client_ip", "user_data.fbp", "custom_data.value", "custom_data.currency",
        "custom_data.order_id", "custom_data.product_ids", "custom_data.contents", "custom_data.num_items",
        "custom_data.predicted_ltv", "custom_data.properties", "device", "device.os", "device.screen_width",
        "device.tracking_allowed", "user_data.emails", "user_data.phones", "consent.ad_user_data", "consent.ad_personalization",
        "consent.limited_data_use",
    ],
)  # fmt: skip
def test_null_is_the_same_as_leaving_a_field_out(path: str) -> None:
    assert taken(draft_with(path, None)) == taken(draft())


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff \u2060"])
@pytest.mark.parametrize("path", [*(f"user_data.{name}" for name in USER_FIELDS), "custom_data.order_id"])
def test_what_nobody_sees_is_the_same_as_leaving_it_out(path: str, unseen: str) -> None:
    assert taken(draft_with(path, unseen)) == taken(draft())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("1001 ", "1001"),
        ("\ufeff1001", "1001"),
        (" # 10\u200b01\u200b\u00a0", "# 10\u200b01"),
        ("１００１", "１００１"),
        ("Größe 1", "Größe 1"),
    ],
)
def test_an_order_and_a_product_have_nothing_around_their_ids(given: str, kept: str) -> None:
    custom = {"order_id": given, "product_ids": [given], "contents": [{"id": given}]}
    found = taken(draft(custom_data=custom)).event.custom_data
    assert (found.order_id, found.product_ids, found.contents) == (kept, (kept,), (Content(kept),))


@pytest.mark.parametrize("nothing", ["null", "nu%6cl", "%6eull", "order-null"])
def test_an_order_whose_number_stands_for_none_has_none(nothing: str) -> None:
    read = taken(draft(custom_data={"order_id": nothing}))
    assert read.event.custom_data.order_id is None
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_PLACEHOLDER", ("custom_data", "order_id"))]


@pytest.mark.parametrize(
    "nothing", [{"id": None}, {"id": ""}, {"id": " "}, {"id": "\u200b"}, {"id": "null"}, {}], ids=repr
)
def test_a_line_without_an_id_is_left_out_and_the_order_is_taken(nothing: dict[str, Any]) -> None:
    read = taken(draft(custom_data={"contents": [{**nothing, "title": "Tip", "item_price": 1}, {"id": "b"}]}))
    assert read.event.custom_data.contents == (Content("b"),)
    assert [(one.code, ".".join(one.field)) for one in read.warnings] == [
        ("IDENTIFIER_PLACEHOLDER", "custom_data.contents.0.id")
    ]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        pytest.param(None, "", id="null"),
        pytest.param([], "", id="an empty array of PHP's"),
        pytest.param("null", "", id="null as text"),
        pytest.param({}, ".id", id="without fields"),
        pytest.param({"id": None, "quantity": -1}, ".id", id="a wrong quantity"),
        pytest.param({"id": "null", "item_price": "abc"}, ".id", id="a wrong price"),
        pytest.param({"id": "", "title": []}, ".id", id="a wrong title"),
    ],
)
def test_a_line_that_stands_for_none_goes_whatever_else_is_in_it(line: Any, path: str) -> None:
    read = taken(draft(custom_data={"contents": [line, {"id": "b"}]}))
    assert read.event.custom_data.contents == (Content("b"),)
    assert [(one.code, ".".join(one.field)) for one in read.warnings] == [
        ("IDENTIFIER_PLACEHOLDER", f"custom_data.contents.0{path}")
    ]


def test_a_line_without_an_id_is_said_to_be_left_out() -> None:
    read = taken(draft(custom_data={"contents": [{"id": "a"}, {"title": "Tip"}]}))
    assert [one.message for one in read.warnings] == ["custom_data.contents.1 has no id: the line is left out."]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"sku": "x", "qty": 2, "price": 3}, ["sku", "qty", "price"]),
        ({"ID": "x", "quantity": 2}, ["ID"]),
        ({"id": "null", "productId": "x", "quantity": "abc"}, ["productId", "quantity"]),
        ({"id": "", "quantiti": 1, "title": []}, ["quantiti", "title"]),
    ],
    ids=str,
)
def test_a_line_whose_fields_have_other_names_is_refused_and_not_left_out(line: Any, told: list[str]) -> None:
    assert [path for _, path in refused(draft(custom_data={"contents": [line]}))] == [
        f"custom_data.contents.0.{name}" for name in told
    ]


def test_an_array_that_php_wrote_as_an_object_is_a_list() -> None:
    lines: list[Any] = [{"id": "a", "quantity": 2}, {"id": "b", "item_price": 5}, {"id": "c"}]
    lists = {"emails": ["a@example.com", "x" * 3000, "b@example.com"], "phones": ["+16505550123"]}
    custom: dict[str, list[Any]] = {"contents": lines, "product_ids": ["a", "b"]}

    def as_php(value: list[Any]) -> dict[str, Any]:
        return {str(place): one for place, one in reversed([*enumerate(value)])}

    read = taken(
        draft(
            user_data={name: as_php(value) for name, value in lists.items()},
            custom_data={name: as_php(value) for name, value in custom.items()},
        )
    )
    listed = taken(draft(user_data=lists, custom_data=custom))
    assert (read.event, read.warnings) == (listed.event, listed.warnings)
    assert [one.id for one in read.event.custom_data.contents] == ["a", "b", "c"]
    assert len(read.event.user_data.emails) == 2
    empty = taken(draft(user_data={"emails": {}}, custom_data={"contents": {}, "product_ids": {}}))
    assert (empty.event.user_data, empty.event.custom_data, empty.warnings) == (UserData(), CustomData(), ())


@pytest.mark.parametrize("value", [{"1": {"id": "a"}}, {"0": {"id": "a"}, "2": {"id": "b"}}], ids=str)
def test_an_array_of_phps_with_gaps_is_refused_with_what_mends_it(value: Any) -> None:
    for name in ("contents", "product_ids"):
        (problem,) = problems_of(draft(custom_data={name: value}))
        assert (problem.code, problem.field) == ("INVALID_TYPE", ("custom_data", name))
        assert "array_values()" in problem.message
    read = taken(draft(user_data={"emails": value}))
    assert "array_values()" in read.warnings[0].message


@pytest.mark.parametrize("held", [{"cvv": 123}, {"item_price": 4111111111111111}, {"title": "4111111111111111"}])
def test_card_data_is_refused_in_a_line_that_goes(held: dict[str, Any]) -> None:
    lines = {"contents": [{"id": None, **held}, {"id": "b"}]}
    assert refused(draft(custom_data=lines)) == [("CARD_DATA", f"custom_data.contents.0.{next(iter(held))}")]


@pytest.mark.parametrize("name", ["user_data", "custom_data", "custom_data.properties", "device", "consent"])
def test_an_empty_array_of_phps_is_an_empty_object(name: str) -> None:
    read = taken(draft_with(name, []))
    assert read == taken(draft_with(name, {}))._replace(size=read.size)
    assert read.warnings == ()


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\ufeff \u200e"])
@pytest.mark.parametrize(
    "path",
    [
        "action_source", "event_source_url", "consent.ad_user_data", "consent.ad_personalization", "consent.limited_data_use",
        "custom_data", "device", "consent", "custom_data.contents", "custom_data.product_ids", "custom_data.properties",
        "device.os", "device.tracking_allowed", "device.screen_width", "custom_data.value", "custom_data.num_items",
        "custom_data.predicted_ltv", *(f"custom_data.{name}" for name in ("currency", "order_id", "status", "content_name")),
        *(f"user_data.{name}" for name in USER_FIELDS),
    ],
)  # fmt: skip
def test_what_is_not_required_and_blank_is_absent(path: str, blank: str) -> None:
    at = path.rpartition(".")[0]
    read, without = taken(draft_with(path, blank)), taken(draft_with(at, {}) if at else draft())
    assert read.event == without.event
    assert read.warnings == ()


MARKS = ["\u200e{}", "\ufeff{}", "{}\u200b", " \u2066{}\u2069 "]


@pytest.mark.parametrize("mark", MARKS, ids=ascii)
def test_marks_that_nobody_sees_are_no_part_of_what_is_read(mark: str) -> None:
    plain = draft(
        action_source="app",
        custom_data={
            "currency": "EUR",
            "value": "100",
            "num_items": "2",
            "contents": [{"id": "a", "quantity": "1.5", "item_price": "3"}],
        },
        consent={"ad_user_data": "granted"},
    )
    line = {"id": mark.format("a"), "quantity": mark.format("1.5"), "item_price": mark.format("3")}
    custom = {
        "currency": mark.format("eur"),
        "value": mark.format("100"),
        "num_items": mark.format("2"),
        "contents": [line],
    }
    given = {
        **plain,
        "occurred_at": mark.format(plain["occurred_at"]),
        "action_source": mark.format("app"),
        "custom_data": custom,
        "consent": {"ad_user_data": mark.format("granted")},
    }
    read = taken(given)
    assert read.event == taken(plain).event
    assert read.warnings == ()


@pytest.mark.parametrize("given", ["cust\u200bomer-1", "\ufeffcustomer-1", "customer-1\u200b"])
def test_an_external_id_has_no_characters_that_nobody_sees(given: str) -> None:
    read = taken(draft(user_data={"external_id": given}))
    assert read.event.user_data.external_id == given.replace("\u200b", "").replace("\ufeff", "")
    (warning,) = read.warnings
    assert (warning.code, warning.field) == ("IDENTIFIER_MALFORMED", ("user_data", "external_id"))
    assert warning.message == "user_data.external_id holds characters that nobody sees. It is read without them."


@pytest.mark.parametrize(
    ("given", "read"), [("94107.0", "94107"), ("94107.00 ", "94107"), (94107, "94107"), (1234.0, "1234")]
)
def test_a_zip_that_a_table_wrote_as_a_number_is_its_digits_and_that_is_told(given: Any, read: str) -> None:
    found = taken(draft(user_data={"zip": given}))
    assert found.event.user_data.zip == read
    assert [(one.code, one.field) for one in found.warnings] == [("IDENTIFIER_MALFORMED", ("user_data", "zip"))]


@pytest.mark.parametrize(
    "given", ["94107", "94107-1234", "SW1A 1AA", "80.539-000", "12.345", "1012 AB", "D02 AF30", "94107.5"]
)
def test_any_other_zip_is_as_it_was_given(given: str) -> None:
    found = taken(draft(user_data={"zip": given}))
    assert (found.event.user_data.zip, found.warnings) == (given, ())


def test_a_digest_with_a_byte_order_mark_in_front_is_one() -> None:
    assert taken(draft(user_data={"external_id": "\ufeff" + "ab" * 32})).event.user_data.external_id == "ab" * 32


def test_one_phone_as_a_number_is_a_list_of_one() -> None:
    read = taken(draft(user_data={"phones": 4915112345678}), frozenset({"DE"}))
    assert [one.plain for one in read.event.user_data.phones] == ["4915112345678"]
    assert [(one.code, ".".join(one.field)) for one in read.warnings] == [
        ("IDENTIFIER_MALFORMED", "user_data.phones.0")
    ]


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n", "\u00a0"])
@pytest.mark.parametrize(
    "path",
    ["event_source_url", *(f"user_data.{name}" for name in USER_FIELDS), "custom_data.currency", "custom_data.order_id",
     "custom_data.content_name", "custom_data.content_category", "custom_data.content_type", "custom_data.search_string",
     "custom_data.status"],
)  # fmt: skip
def test_a_blank_optional_text_is_the_same_as_leaving_it_out(path: str, blank: str) -> None:
    assert taken(draft_with(path, blank)) == taken(draft())


def test_blank_and_null_product_ids_are_left_out() -> None:
    assert taken(draft_with("custom_data.product_ids", ["a", "", None, " ", "b"])).event.custom_data.product_ids == (
        "a",
        "b",
    )


# Required fields and types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, 1, "x", [], [{}], True], ids=repr)
def test_what_is_no_object_is_refused_as_a_whole(given: Any) -> None:
    assert refused(given) == [("INVALID_TYPE", "")]


def test_everything_that_is_required_is_named_at_once() -> None:
    assert refused({}) == [
        ("REQUIRED", "event_name"),
        ("REQUIRED", "event_id"),
        ("REQUIRED", "occurred_at"),
        ("REQUIRED", "user_data"),
    ]


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        pytest.param("event_name", None, "REQUIRED", id="event_name null"),
        pytest.param("event_name", "", "REQUIRED", id="event_name empty"),
        pytest.param("event_name", " \n", "REQUIRED", id="event_name blank"),
        *(
            pytest.param("event_name", text, "REQUIRED", id=f"event_name {text!r}")
            for text in (
                "undefined",
                "null",
                "NULL",
                "NaN",
                "[object Object]",
                "{{Event}}",
                "%7B%7BEvent%7D%7D",
                "\u200b",
            )
        ),
        pytest.param("event_name", 5, "INVALID_TYPE", id="event_name a number"),
        pytest.param("event_name", "x" * 256, "TOO_LONG", id="event_name of 256 characters"),
        pytest.param("event_name", "a\x00b", "INVALID_CHARACTER", id="event_name with NUL"),
        pytest.param("event_id", None, "REQUIRED", id="event_id null"),
        pytest.param("event_id", "  ", "REQUIRED", id="event_id blank"),
        pytest.param("event_id", "\u200b\ufeff ", "REQUIRED", id="event_id of what nobody sees"),
        *(
            pytest.param("event_id", text, "REQUIRED", id=f"event_id {text!r}")
            for text in ("undefined", "NULL", "NaN", "None", "N/A", "[object Object]", "{{order.id}}", " null ")
        ),
        pytest.param("event_id", "%%ORDER_ID%%", "REQUIRED", id="event_id a template"),
        *(
            pytest.param("occurred_at", text, "INVALID_TIME", id=f"occurred_at {text}")
            for text in (
                "0001-01-01T00:00:00Z",
                "1970-01-01T00:00:00.000Z",
                "1999-12-31T23:59:59Z",
                "2026-W03T10:00:00Z",
                "2026-01-19x10:00:00Z",
                "2026-01-19🕐10:00:00Z",
                "2026-01-19T10:00:60Z",
            )
        ),
        pytest.param("event_id", 1.5, "INVALID_TYPE", id="event_id a fraction"),
        pytest.param("event_id", ["x"], "INVALID_TYPE", id="event_id a list"),
        pytest.param("event_id", "x" * 256, "TOO_LONG", id="event_id of 256 characters"),
        pytest.param("event_id", "a\x00b", "INVALID_CHARACTER", id="event_id with NUL"),
        pytest.param("event_id", "a\ud800", "INVALID_CHARACTER", id="event_id with half a character"),
        pytest.param("event_id", "a\x7f", "INVALID_CHARACTER", id="event_id with DEL"),
        pytest.param("event_id", "a\x1bb", "INVALID_CHARACTER", id="event_id with ESC"),
        pytest.param("occurred_at", None, "REQUIRED", id="occurred_at null"),
        pytest.param("occurred_at", "", "REQUIRED", id="occurred_at empty"),
        pytest.param("user_data", None, "REQUIRED", id="user_data null"),
        pytest.param("user_data", "x", "INVALID_TYPE", id="user_data text"),
        pytest.param("user_data", [1], "INVALID_TYPE", id="user_data a list"),
        pytest.param("action_source", "Website", "INVALID_VALUE", id="action_source in capitals"),
        pytest.param("action_source", "shop", "INVALID_VALUE", id="action_source unknown"),
        pytest.param("action_source", 1, "INVALID_VALUE", id="action_source a number"),
        pytest.param("action_source", [], "INVALID_VALUE", id="action_source a list"),
        pytest.param("event_source_url", 1, "INVALID_TYPE", id="event_source_url a number"),
        pytest.param("event_source_url", "https://x.de/\x00", "INVALID_CHARACTER", id="event_source_url with NUL"),
        pytest.param("custom_data", [1], "INVALID_TYPE", id="custom_data a list"),
        pytest.param("custom_data", "x", "INVALID_TYPE", id="custom_data text"),
        pytest.param("custom_data.currency", "US", "INVALID_CURRENCY", id="currency of two letters"),
        pytest.param("custom_data.currency", "BTC", "INVALID_CURRENCY", id="currency that is none of ISO 4217"),
        pytest.param("custom_data.currency", "$", "INVALID_CURRENCY", id="currency as a sign"),
        pytest.param("custom_data.currency", "dollar", "INVALID_CURRENCY", id="currency as a word"),
        pytest.param("custom_data.currency", 840, "INVALID_TYPE", id="currency as a number"),
        pytest.param("custom_data.order_id", 5.5, "INVALID_TYPE", id="order_id a fraction"),
        pytest.param("custom_data.order_id", "a\x08", "INVALID_CHARACTER", id="order_id with backspace"),
        pytest.param("custom_data.num_items", -(2**31), "INVALID_NUMBER", id="num_items far below zero"),
        pytest.param("custom_data.num_items", "two", "INVALID_NUMBER", id="num_items a word"),
        pytest.param("device.screen_width", -1, "INVALID_NUMBER", id="screen_width below 0"),
        pytest.param("custom_data.num_items", 2**31, "INVALID_NUMBER", id="num_items beyond 31 bits"),
        pytest.param("custom_data.num_items", True, "INVALID_NUMBER", id="num_items true"),
        pytest.param("custom_data.product_ids", {"id": "sku"}, "INVALID_TYPE", id="product_ids an object"),
        pytest.param("custom_data.contents", "sku", "INVALID_TYPE", id="contents text"),
        pytest.param("custom_data.properties", [1], "INVALID_TYPE", id="properties a list"),
        pytest.param("custom_data.properties", "x", "INVALID_TYPE", id="properties text"),
        pytest.param("custom_data.properties.a", {}, "INVALID_TYPE", id="properties with an object"),
        pytest.param("custom_data.properties.a", [1], "INVALID_TYPE", id="properties with a list"),
        pytest.param("custom_data.properties", {"": 1}, "INVALID_TYPE", id="properties with an empty name"),
        pytest.param("custom_data.properties", {"x" * 256: 1}, "INVALID_TYPE", id="properties with a long name"),
        pytest.param("custom_data.properties", {"a\x00": 1}, "INVALID_TYPE", id="properties with NUL in a name"),
        pytest.param("custom_data.properties.a", "\x00", "INVALID_CHARACTER", id="properties with NUL"),
        pytest.param("custom_data.properties.a", "\udfff", "INVALID_CHARACTER", id="properties, half a character"),
        pytest.param("custom_data.properties.a", math.nan, "INVALID_NUMBER", id="properties with NaN"),
        pytest.param("custom_data.properties.a", math.inf, "INVALID_NUMBER", id="properties with Infinity"),
        pytest.param("custom_data.properties.a", 10**21, "INVALID_NUMBER", id="properties with a huge number"),
        pytest.param("custom_data.properties.a", 2**64, "INVALID_NUMBER", id="properties, a number of 65 bits"),
        pytest.param("consent", [1], "INVALID_TYPE", id="consent a list"),
        pytest.param("consent", True, "INVALID_TYPE", id="consent true"),
        pytest.param("consent.ad_user_data", "GRANTED", "INVALID_VALUE", id="consent in capitals"),
        pytest.param("consent.ad_user_data", True, "INVALID_VALUE", id="consent to user data true"),
        pytest.param("consent.ad_personalization", "yes", "INVALID_VALUE", id="consent to personalization yes"),
        pytest.param("consent.limited_data_use", "true", "INVALID_TYPE", id="limited data use as text"),
        pytest.param("consent.limited_data_use", 1, "INVALID_TYPE", id="limited data use 1"),
    ],
)
def test_a_wrong_field_is_refused_with_its_path_and_code(path: str, value: Any, code: str) -> None:
    assert refused(draft_with(path, value)) == [(code, path)]


@pytest.mark.parametrize(
    ("path", "value", "problems"),
    [
        pytest.param(
            "custom_data.product_ids", ["a", 5.5, "\x00"],
            [("INVALID_TYPE", "custom_data.product_ids.1"), ("INVALID_CHARACTER", "custom_data.product_ids.2")],
            id="product ids",
        ),
        pytest.param("custom_data.contents", ["a"], [("INVALID_TYPE", "custom_data.contents.0")], id="no object"),
        pytest.param("custom_data.contents", [{"id": .5}], [("INVALID_TYPE", "custom_data.contents.0.id")], id="number"),
        pytest.param(
            "custom_data.contents", [{"id": "a", "quantity": "x", "item_price": "x", "title": 1, "brand": [], "category": {}}],
            [
                ("INVALID_NUMBER", "custom_data.contents.0.quantity"),
                ("INVALID_NUMBER", "custom_data.contents.0.item_price"),
                ("INVALID_TYPE", "custom_data.contents.0.title"),
                ("INVALID_TYPE", "custom_data.contents.0.brand"),
                ("INVALID_TYPE", "custom_data.contents.0.category"),
            ],
            id="every field of a line",
        ),
    ],
)  # fmt: skip
def test_a_wrong_line_of_a_list_is_named_by_its_number(path: str, value: Any, problems: list[tuple[str, str]]) -> None:
    assert sorted(refused(draft_with(path, value))) == sorted(problems)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    given = draft(
        event_id=" ",
        occurred_at="yesterday",
        action_source="shop",
        user_data={"email": [], "emial": "x", "client_ip": "no address"},
        custom_data={"value": "x", "currency": "x", "contents": [{"id": []}]},
        consent={"ad_user_data": "x"},
        extra=1,
    )
    assert sorted(refused(given)) == [
        ("INVALID_CURRENCY", "custom_data.currency"),
        ("INVALID_NUMBER", "custom_data.value"),
        ("INVALID_TIME", "occurred_at"),
        ("INVALID_TYPE", "custom_data.contents.0.id"),
        ("INVALID_VALUE", "action_source"),
        ("INVALID_VALUE", "consent.ad_user_data"),
        ("REQUIRED", "event_id"),
        ("UNKNOWN_FIELD", "extra"),
        ("UNKNOWN_FIELD", "user_data.emial"),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"event_id": " "}, "event_id is required and must not be empty.", id="required"),
        pytest.param({"event_id": "x" * 256}, "event_id may have 255 characters, this has 256.", id="too long"),
        pytest.param({"event_id": 5.5}, "event_id must be text or a whole number.", id="type of an id"),
        pytest.param({"event_name": 5}, "event_name must be text.", id="type"),
        pytest.param({"event_id": "\x00"}, "event_id holds a control character or half a character.", id="character"),
        pytest.param(
            {"occurred_at": "2026-11-20T14:59:00"},
            "occurred_at has no offset: end it with Z or an offset, such as 2026-04-23T14:12:33.000Z or "
            "2026-04-23T16:12:33+02:00.",
            id="no offset",
        ),
        pytest.param(
            {"occurred_at": "2026-11-20T15:30:00Z"},
            "occurred_at is more than 5 minutes ahead: check the server's clock and the offset.",
            id="in the future",
        ),
        pytest.param(
            {"custom_data": {"value": "1,50"}},
            "custom_data.value must be a number of at most 21 digits before the point, or one written as text: 129.99.",
            id="number",
        ),
        pytest.param(
            {"custom_data": {"currency": "€"}},
            "custom_data.currency must be an ISO 4217 code such as USD.",
            id="currency",
        ),
        pytest.param(
            {"consent": {"ad_user_data": "x"}},
            "consent.ad_user_data must be one of granted, denied, unspecified.",
            id="choice",
        ),
    ],
)
def test_a_problem_says_what_to_do(given: dict[str, Any], message: str) -> None:
    assert [problem.message for problem in problems_of(draft(**given))] == [message]


# Unknown fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("eventName", "eventName is not a field of an event, did you mean event_name?", id="camelCase"),
        pytest.param(
            "user_data.emial", "user_data.emial is not a field of user_data, did you mean email?", id="user_data"
        ),
        pytest.param(
            "custom_data.curency",
            "custom_data.curency is not a field of custom_data, did you mean currency?",
            id="custom_data",
        ),
        pytest.param(
            "consent.ad_userdata",
            "consent.ad_userdata is not a field of consent, did you mean ad_user_data?",
            id="consent",
        ),
        pytest.param(
            "user_data.sc_cooki1",
            "user_data.sc_cooki1 is not a field of user_data, did you mean sc_cookie1?",
            id="a name with a digit",
        ),
        pytest.param(
            "custom_data.colour",
            "custom_data.colour is not a field of custom_data; custom_data.properties takes fields of your own.",
            id="nothing near",
        ),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest_right_one(path: str, message: str) -> None:
    (problem,) = problems_of(draft_with(path, "x"))
    assert (problem.code, ".".join(problem.field), problem.message) == ("UNKNOWN_FIELD", path, message)


def test_an_unknown_field_of_a_basket_line_is_named_with_its_number() -> None:
    (problem,) = problems_of(draft_with("custom_data.contents", [{"id": "a"}, {"id": "b", "quantiti": 1}]))
    assert problem == Problem(
        ("custom_data", "contents", "1", "quantiti"),
        "UNKNOWN_FIELD",
        "custom_data.contents.1.quantiti is not a field of custom_data.contents.1, did you mean quantity?",
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        *[({key: "A"}, ", did you mean id?") for key in ("sku", "SKU", "ID", "Id", "item_id", "itemId", "product_id")],
        *[({key: "A"}, ", did you mean id?") for key in ("variant_id", "productId", "contentId", "article_number")],
        ({"code": "A"}, "; its id is missing, which says what was bought."),
        ({"id": "A", "sku": "B"}, ": take it out."),
        ({"id": "A", "colour": "red"}, ": take it out."),
        ({"id": "A", "variant_id": "B"}, ", did you mean variant?"),
        *[
            ({"id": "A", key: 5}, ", did you mean item_price?")
            for key in ("price", "unit_price", "itemPrice", "Item_Price")
        ],
        ({"id": "A", "qty": 5}, ", did you mean quantity?"),
        ({"id": "A", "name": "Mug"}, ", did you mean title?"),
    ],
)
def test_what_is_said_of_a_field_of_a_line_does_not_empty_the_basket(line: dict[str, Any], hint: str) -> None:
    (problem,) = problems_of(draft_with("custom_data.contents", [line]))
    (key,) = [key for key in line if key != "id"]
    where = "custom_data.contents.0"
    assert (problem.code, problem.field[-1]) == ("UNKNOWN_FIELD", key)
    assert problem.message == f"{where}.{key} is not a field of {where}{hint}"


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ({"timestamp": 1, "occurred_at": None}, "occurred_at"),
        ({"EVENT_ID": "1", "event_id": None}, "event_id"),
        ({"name": "Purchase", "event_name": None}, "event_name"),
        ({"custom_data": {"items": []}}, "contents"),
        ({"custom_data": {"total": 5}}, "value"),
    ],
)
def test_a_field_by_another_word_is_named_by_its_own(given: dict[str, Any], near: str) -> None:
    whole = {name: value for name, value in draft(**given).items() if value is not None}
    (problem,) = [one for one in problems_of(whole) if one.code == "UNKNOWN_FIELD"]
    assert problem.message.endswith(f", did you mean {near}?")


def test_a_field_that_is_there_is_not_what_another_word_stands_for() -> None:
    (problem,) = problems_of(draft(timestamp=1))
    assert problem.message == "timestamp is not a field of an event; custom_data.properties takes fields of your own."


@pytest.mark.parametrize(
    "key", ["jane@example.com", "+1 650 555 0123", "x" * 65, "a b", "", "\x00", "\ud800", "ключ"], ids=ascii
)
def test_a_key_that_is_no_plain_word_is_not_echoed(key: str) -> None:
    (problem,) = problems_of(draft(user_data={key: "x"}))
    assert (problem.code, problem.field) == ("UNKNOWN_FIELD", ("user_data", "(a key)"))
    assert problem.message.startswith("user_data.(a key) is not a field of user_data")


# Time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2026-11-20T14:59:00Z", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="Z"),
        pytest.param("2026-11-20T14:59:00.000Z", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="milliseconds"),
        pytest.param(
            "2026-11-20T14:59:00.123456Z", datetime(2026, 11, 20, 14, 59, 0, 123456, tzinfo=UTC), id="microseconds"
        ),
        pytest.param(
            "2026-11-20T14:59:00.123456789Z", datetime(2026, 11, 20, 14, 59, 0, 123456, tzinfo=UTC), id="nanoseconds"
        ),
        pytest.param("2026-11-20T16:59:00+02:00", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="east"),
        pytest.param("2026-11-20T09:59:00-05:00", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="west"),
        pytest.param("2026-11-20T20:29:00+05:30", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="half an hour"),
        pytest.param("2026-11-20T14:59:00-00:00", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="offset unknown"),
        pytest.param("2026-11-20 14:59:00Z", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="a space for the T"),
        pytest.param("2026-11-20t14:59:00z", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="lower case, as RFC 3339"),
        pytest.param(" 2026-11-20T14:59:00Z\n", datetime(2026, 11, 20, 14, 59, tzinfo=UTC), id="blanks around"),
        pytest.param("2026-11-20T15:05:00Z", datetime(2026, 11, 20, 15, 5, tzinfo=UTC), id="5 minutes ahead"),
        pytest.param("2026-11-20T16:05:00+01:00", datetime(2026, 11, 20, 15, 5, tzinfo=UTC), id="5 minutes, offset"),
        pytest.param("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC), id="long ago"),
        pytest.param("2026-11-20T14:58.5Z", datetime(2026, 11, 20, 14, 58, 30, tzinfo=UTC), id="half a minute"),
        pytest.param("20261120T1458,25Z", datetime(2026, 11, 20, 14, 58, 15, tzinfo=UTC), id="a quarter of a minute"),
        pytest.param("2026-11-20T14.5Z", datetime(2026, 11, 20, 14, 30, tzinfo=UTC), id="half an hour of time"),
        pytest.param("2026-11-20T16:58.5+02:00", datetime(2026, 11, 20, 14, 58, 30, tzinfo=UTC), id="with an offset"),
        pytest.param(
            f"2026-11-20T14:58.{'9' * 99}Z",
            datetime(2026, 11, 20, 14, 58, 59, 999999, tzinfo=UTC),
            id="a long fraction",
        ),
    ],
)
def test_a_time_with_an_offset_is_read_as_utc(text: str, instant: datetime) -> None:
    occurred_at = taken(draft(occurred_at=text)).event.occurred_at
    assert (occurred_at, occurred_at.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param("2026-11-20T14:59:00", "INVALID_TIME", id="no offset"),
        pytest.param("2026-11-20", "INVALID_TIME", id="a date"),
        pytest.param("yesterday", "INVALID_TIME", id="a word"),
        pytest.param("20.11.2026 14:59", "INVALID_TIME", id="German"),
        pytest.param("Fri, 20 Nov 2026 14:59:00 GMT", "INVALID_TIME", id="of an e-mail"),
        pytest.param("2026-02-30T00:00:00Z", "INVALID_TIME", id="a day that never was"),
        pytest.param("2026-13-01T00:00:00Z", "INVALID_TIME", id="no month"),
        pytest.param("2026-11-20T25:00:00Z", "INVALID_TIME", id="no hour"),
        pytest.param("2026-11-20T105Z", "INVALID_TIME", id="half of the minutes"),
        pytest.param("2026-11-20T10:00:Z", "INVALID_TIME", id="no seconds behind the colon"),
        pytest.param("2026-11-20T10:00:00:50+00:00", "INVALID_TIME", id="a colon for the point"),
        pytest.param("2026-11-20T14:59:00+25:00", "INVALID_TIME", id="no offset there is"),
        pytest.param("1794000000", "INVALID_TIME", id="unix seconds as text"),
        pytest.param(1794000000, "INVALID_TIME", id="unix seconds"),
        pytest.param(1794000000.5, "INVALID_TIME", id="unix seconds with a fraction"),
        pytest.param(True, "INVALID_TIME", id="true"),
        pytest.param([], "INVALID_TIME", id="a list"),
        pytest.param("0001-01-01T00:00:00+14:00", "INVALID_TIME", id="before the first year"),
        pytest.param("9999-12-31T23:59:59-14:00", "INVALID_TIME", id="after the last year"),
        pytest.param("\x002026-11-20T14:59:00Z", "INVALID_TIME", id="NUL"),
        pytest.param("\ud800", "INVALID_TIME", id="half a character"),
        pytest.param("2026-11-20T15:05:00.000001Z", "TIME_IN_FUTURE", id="a microsecond more than 5 minutes ahead"),
        pytest.param("2026-11-20T15:04:00-01:00", "TIME_IN_FUTURE", id="an hour ahead by its offset"),
        pytest.param("9999-12-31T23:59:59Z", "TIME_IN_FUTURE", id="in the last year"),
    ],
)
def test_a_wrong_time_is_refused(value: Any, code: str) -> None:
    assert refused(draft(occurred_at=value)) == [(code, "occurred_at")]


@pytest.mark.parametrize(
    "day", ["2026-11-20T14:59:00", "2026-11-20 14:59:00.000000", "20261120T145900", "2026-11-20T14:59"]
)
@pytest.mark.parametrize(
    ("offset", "hours"), [(" Z", 0), (" UTC", 0), ("UTC", 0), (" +0000", 0), (" +02:00", 2), (" -0330", -3.5)]
)
def test_a_blank_may_stand_between_a_time_and_its_offset(day: str, offset: str, hours: float) -> None:
    assert read_instant(day + offset) == datetime(2026, 11, 20, 14, 59, tzinfo=UTC) - timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["2026-11-20T14:59:00  Z", "2026-11-20T14:59: 00Z", "2026-11-20 UTC", "2026-11-20T14:59:00 CET"]
)
def test_a_time_is_read_with_no_other_blank_or_zone(text: str) -> None:
    assert refused(draft(occurred_at=text)) == [("INVALID_TIME", "occurred_at")]


def test_a_leap_second_is_the_first_of_the_next_minute() -> None:
    assert read_instant("2016-12-31T23:59:60Z") == datetime(2017, 1, 1, tzinfo=UTC)
    assert read_instant("2017-01-01T05:29:60.25+05:30") == datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "event_id", ["0", "00", "none_1", "null-4711", "nil.", "false_start", "N/A 17", "{4711", "Undefined1"]
)
def test_an_id_is_refused_only_where_it_is_no_id_at_all(event_id: str) -> None:
    assert taken(draft(event_id=event_id)).event.event_id == event_id


def test_an_instant_is_read_from_a_datetime_too() -> None:
    assert read_instant(NOW) == NOW
    assert isinstance(read_instant(NOW.replace(tzinfo=None)), str)


@drawn(100)
@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_an_instant_is_the_same_in_every_offset(naive: datetime, minutes: int) -> None:
    instant = naive.replace(tzinfo=UTC)
    sign, (hours, rest) = "+" if minutes >= 0 else "-", divmod(abs(minutes), 60)
    local = (naive + timedelta(minutes=minutes)).isoformat()
    assert read_instant(f"{local}{sign}{hours:02}:{rest:02}") == instant


# Numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [
        pytest.param(10, "10", id="int"),
        pytest.param(0, "0", id="zero"),
        pytest.param(-5, "-5", id="negative"),
        pytest.param(129.9, "129.9", id="float"),
        pytest.param(0.1, "0.1", id="a float that binary cannot hold"),
        pytest.param(1e-7, "1E-7", id="a float with an exponent"),
        pytest.param("129.99", "129.99", id="text"),
        pytest.param("129.90", "129.90", id="text with a trailing zero"),
        pytest.param("-0.01", "-0.01", id="negative text"),
        pytest.param(" 5 ", "5", id="text with blanks"),
        pytest.param("1e3", "1E+3", id="text with an exponent"),
        pytest.param("12345678901234567890.12", "12345678901234567890.12", id="twenty digits"),
        pytest.param(Decimal("129.99"), "129.99", id="decimal"),
        pytest.param("99999999999999999999", "99999999999999999999", id="the largest of twenty digits"),
        pytest.param("999999999999999999999", "999999999999999999999", id="the largest that there is"),
    ],
)
def test_a_number_is_read_exactly_as_it_is_written(value: Any, number: str) -> None:
    for field in ("value", "predicted_ltv"):
        read = getattr(taken(draft(custom_data={field: value})).event.custom_data, field)
        assert (read, str(read)) == (Decimal(number), number)
    content = taken(draft(custom_data={"contents": [{"id": "a", "item_price": value}]})).event.custom_data.contents[0]
    assert str(content.item_price) == number


NO_NUMBERS = [
    pytest.param(math.nan, id="NaN"),
    pytest.param(math.inf, id="Infinity"),
    pytest.param(-math.inf, id="minus Infinity"),
    pytest.param("NaN", id="NaN as text"),
    pytest.param("sNaN", id="a signalling NaN as text"),
    pytest.param("Infinity", id="Infinity as text"),
    pytest.param("-inf", id="minus Infinity as text"),
    pytest.param(Decimal("NaN"), id="a decimal NaN"),
    pytest.param(Decimal("sNaN"), id="a signalling decimal NaN"),
    pytest.param("1e400", id="a huge exponent"),
    pytest.param("1e999999999", id="an exponent that would fill pages"),
    pytest.param("1e-999999999", id="a negative exponent that would fill pages"),
    pytest.param("0e999999999", id="zero with an exponent that would fill pages"),
    pytest.param("0e-999999999", id="zero with a negative exponent that would fill pages"),
    pytest.param(10**21, id="22 digits"),
    pytest.param(10**400, id="401 digits"),
    pytest.param(1e308, id="a huge float"),
    pytest.param(True, id="true"),
    pytest.param(False, id="false"),
    pytest.param("1,50", id="a comma"),
    pytest.param("1_000", id="an underscore"),
    pytest.param("1.000.000", id="two points"),
    pytest.param("$5", id="a sign"),
    pytest.param("0x10", id="hexadecimal"),
    pytest.param("five", id="a word"),
    pytest.param("1" * 65, id="65 characters"),
    pytest.param("5\x00", id="NUL"),
    pytest.param("\ud800", id="half a character"),
    pytest.param([], id="a list"),
    pytest.param({}, id="an object"),
]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_finite_number_of_money_is_refused(value: Any) -> None:
    assert read_decimal(value) is None
    assert refused(draft(custom_data={"value": value})) == [("INVALID_NUMBER", "custom_data.value")]


@drawn(200)
@given(st.floats(min_value=-1e20, max_value=1e20))
def test_a_float_comes_back_as_the_same_float(value: float) -> None:
    number = read_decimal(value)
    assert number is None or float(number) == value
    assert number is not None or 0 < abs(value) < 1e-32


def test_counts_are_taken_up_to_their_bounds() -> None:
    lines = [{"id": "a", "quantity": 0}, {"id": "b", "quantity": 2**31 - 1}, {"id": "c", "quantity": None}]
    read = taken(draft(custom_data={"num_items": 2**31 - 1, "contents": lines})).event.custom_data
    assert read.num_items == 2**31 - 1
    assert [content.quantity for content in read.contents] == [0, 2**31 - 1, 1]
    assert taken(draft(custom_data={"num_items": 0})).event.custom_data.num_items == 0


# Sizes -------------------------------------------------------------------------------------------------------------


def padded(size: int, at: str, **changes: Any) -> dict[str, Any]:
    """A draft of exactly ``size`` bytes of JSON, filled up at a dotted path."""
    empty = len(orjson.dumps({**draft_with(at, ""), **changes}))
    return {**draft_with(at, "x" * (size - empty)), **changes}


@pytest.mark.parametrize("at", ["custom_data.content_name", "event_source_url", "user_data.first_name", "unknown"])
def test_an_event_may_have_256_kib(at: str) -> None:
    largest, too_large = padded(256 * 1024, at), padded(256 * 1024 + 1, at)
    assert (len(orjson.dumps(largest)), len(orjson.dumps(too_large))) == (262_144, 262_145)
    read = read_event(largest, NOW)
    assert isinstance(read, ReadEvent) or [problem.code for problem in read] == ["UNKNOWN_FIELD"]
    assert problems_of(too_large) == [
        Problem((), "TOO_LARGE", "An event may have 262,144 bytes of JSON; this one has 262,145.")
    ]


def test_sizes_are_counted_in_bytes_and_not_in_characters() -> None:
    assert refused(draft(custom_data={"content_name": "é" * 131_072})) == [("TOO_LARGE", "")]
    taken(draft(custom_data={"content_name": "e" * 131_072}))


@pytest.mark.parametrize(
    "unwritable", [pytest.param(2**64, id="a number of 65 bits"), pytest.param(-(2**63) - 1, id="below 64 bits")]
)
def test_an_event_is_too_large_whatever_else_is_in_it(unwritable: int) -> None:
    given = draft(custom_data={"value": unwritable, "content_name": "x" * 300_000})
    assert [code for code, _ in refused(given)] == ["TOO_LARGE"]


def test_properties_may_have_8_kib() -> None:
    def properties(size: int) -> dict[str, Any]:
        return {"a": 1, "b": "x" * (size - len(orjson.dumps({"a": 1, "b": ""})))}

    largest = properties(8 * 1024)
    assert len(orjson.dumps(largest)) == 8192
    assert taken(draft(custom_data={"properties": largest})).event.custom_data.properties == largest
    assert problems_of(draft(custom_data={"properties": properties(8 * 1024 + 1)})) == [
        Problem(("custom_data", "properties"), "TOO_LARGE", "custom_data.properties may have 8,192 bytes of JSON.")
    ]


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_an_event_id_may_have_255_characters(character: str) -> None:
    assert taken(draft(event_id=character * 255)).event.event_id == character * 255
    assert refused(draft(event_id=character * 256)) == [("TOO_LONG", "event_id")]


def test_a_property_name_may_have_255_characters() -> None:
    assert taken(draft(custom_data={"properties": {"x" * 255: 1}})).event.custom_data.properties == {"x" * 255: 1}


def test_a_quantity_is_whole_or_a_weight_however_it_is_written() -> None:
    def quantities(*given: Any) -> list[Any]:
        contents = [{"id": "a", "quantity": one} for one in given]
        return [
            content.quantity for content in taken(draft(custom_data={"contents": contents})).event.custom_data.contents
        ]

    assert quantities(1.85, "1.85", Decimal("0.250")) == [Decimal("1.85"), Decimal("1.85"), Decimal("0.250")]
    whole = quantities(2, 2.0, "2", "2.00", Decimal(2))
    assert whole == [2] * 5
    assert {type(one) for one in whole} == {int}
    for wrong in (-(2**31), "two", float("inf"), 2**31, True, "1,85"):
        lines = {"contents": [{"id": "a", "quantity": wrong}]}
        assert refused(draft(custom_data=lines)) == [("INVALID_NUMBER", "custom_data.contents.0.quantity")]


@pytest.mark.parametrize(("quantity", "pieces"), [(3, 3), (Decimal("1.85"), 2), (Decimal("0.2"), 1), (0, 0)])
def test_a_weight_is_one_piece_at_least(quantity: Any, pieces: int) -> None:
    assert Content("a", quantity).whole_quantity == pieces


# Devices and further emails and phones -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "system"),
    [("iOS", "ios"), (" iPadOS 18", "ios"), ("android", "android"), ("Windows", None), (None, None)],
)
def test_the_system_of_a_device_is_read_in_any_spelling(given: str | None, system: str | None) -> None:
    assert Device(os=given).system == system


def test_an_advertising_id_of_nobody_is_absent_and_a_wrong_one_is_named() -> None:
    nobody = {"advertising_id": "00000000-0000-0000-0000-000000000000", "carrier": "null", "vendor_id": "12"}
    read = taken(draft(device=nobody))
    assert read.event.device == Device(vendor_id="12")
    assert [(warning.code, warning.field[-1]) for warning in read.warnings] == [
        ("IDENTIFIER_PLACEHOLDER", "carrier"),
        ("IDENTIFIER_PLACEHOLDER", "advertising_id"),
        ("IDENTIFIER_MALFORMED", "vendor_id"),
    ]
    assert taken(draft(device={"advertising_id": "00000000-0000-0000-0000-000000000000"})).event.device == NO_DEVICE


def test_what_is_wrong_with_a_device_is_named() -> None:
    given = {"os": 1, "screen_width": "wide", "tracking_allowed": "yes", "model": "x" * 256, "osVersion": "18"}
    assert sorted(refused(draft(device=given))) == [
        ("INVALID_NUMBER", "device.screen_width"),
        ("INVALID_TYPE", "device.os"),
        ("INVALID_TYPE", "device.tracking_allowed"),
        ("TOO_LONG", "device.model"),
        ("UNKNOWN_FIELD", "device.osVersion"),
    ]


def test_further_emails_and_phones_are_judged_one_by_one() -> None:
    given = {"email": "a@b.de", "emails": ["x", "null", "c@d.de"], "phones": ["+16505550123", "12"]}
    read = taken(draft(user_data=given))
    person = read.event.user_data
    assert [one.plain for one in person.all_emails] == ["a@b.de", "x", "c@d.de"]
    assert [one.plain for one in person.all_phones] == ["+16505550123", "12"]
    assert [(warning.code, ".".join(warning.field)) for warning in read.warnings] == [
        ("IDENTIFIER_MALFORMED", "user_data.emails.0"),
        ("IDENTIFIER_PLACEHOLDER", "user_data.emails.1"),
        ("IDENTIFIER_MALFORMED", "user_data.phones.1"),
    ]
    read = taken(draft(user_data={"emails": {"a": "a@b.de"}, "phones": [True]}))
    assert [".".join(warning.field) for warning in read.warnings] == ["user_data.emails", "user_data.phones.0"]
    assert (read.event.user_data.all_emails, read.event.user_data.all_phones) == ((), ())
    assert len(taken(draft(user_data={"emails": [f"a{n}@b.de" for n in range(30)]})).event.user_data.emails) == 9


def test_the_persons_own_country_reads_a_national_phone() -> None:
    given = draft(user_data={"phone": "(650) 555-0123", "country": "United States"})
    assert warned(given) == []
    phone = taken(given).event.user_data.phone
    assert phone is not None
    american = Matchable(plain="+16505550123").phone_sha256("e164", None)
    assert phone.phone_sha256("e164", None) == american
    assert phone.phone_sha256("e164", "DE") == american  # where the person lives says more than where the shop is
    abroad = taken(draft(user_data={"phone": "0171 2345678", "country": "US"})).event.user_data.phone
    assert abroad is not None
    assert abroad.phone_sha256("e164", "DE") == Matchable(plain="+491712345678").phone_sha256("e164", None)


# What only stands for a value ---------------------------------------------------------------------------------------

PLACEHOLDERS = [
    "null", "undefined", "NaN", "None", "false", "0", "-", " null ", "{gclid}", "{{click.id}}", "[object Object]",
    "%%CACHEBUSTER%%", "${fbclid}", "__CLICKID__",
]  # fmt: skip


@pytest.mark.parametrize(
    "value", [*PLACEHOLDERS, *(sha256_hex(text) for text in ("", "null", "undefined", "none", "-"))]
)
@pytest.mark.parametrize("name", [name for name in USER_FIELDS if name not in ("emails", "phones")])
def test_what_only_stands_for_an_identifier_is_absent(name: str, value: str) -> None:
    read = taken(draft(user_data={name: value}))
    assert read.event.user_data == UserData()
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_PLACEHOLDER", ("user_data", name))]


@pytest.mark.parametrize(
    "value", ["Null", "Nan", "None-Smith", "Falsetti", "00", "0x", "undefined_user", "-1", "{", "%%"]
)
def test_what_only_looks_like_a_placeholder_is_kept(value: str) -> None:
    read = taken(draft(user_data={"last_name": value, "external_id": f"{value}1"}))
    assert (read.event.user_data.last_name, read.event.user_data.external_id) == (value, f"{value}1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("external_id", value)
            for value in ("none", "NONE", "Null", "UNDEFINED", "n/a", "N/A", "(none)", '"null"', "(not set)")
        ),
        *(("gclid", value) for value in ("None", "[object Object", "%7Bgclid%7D", "\u200bnull")),
        ("fbc", "fb.1.1554763741205.none"),
        ("ga_client_id", "null.null"),
        ("ga_client_id", "GA1.1.1.null"),
        ("msclkid", "00000000000000000000000000000000"),
        ("rdt_uuid", "0.00000000-0000-0000-0000-000000000000"),
    ],
)
def test_an_id_of_nobody_is_absent_in_any_spelling(name: str, value: str) -> None:
    read = taken(draft(user_data={name: value}))
    if name == "fbc":  # kept as sent, as any malformed one, and no cookie to Meta
        assert [one.code for one in read.warnings] == ["IDENTIFIER_MALFORMED"]
    else:
        assert read.event.user_data == UserData()
        assert [one.code for one in read.warnings] == ["IDENTIFIER_PLACEHOLDER"]


def test_what_is_left_blank_or_stands_for_nothing_in_a_basket_is_absent() -> None:
    given = {"value": "", "currency": "null", "order_id": "undefined", "num_items": "2.0"}
    read = taken(
        draft(custom_data={**given, "contents": [{"id": "a", "quantity": "", "item_price": " ", "discount": ""}]})
    )
    assert read.event.custom_data == CustomData(num_items=2, contents=(Content("a"),))
    assert [(one.code, one.field[-1]) for one in read.warnings] == [
        ("IDENTIFIER_PLACEHOLDER", "currency"),
        ("IDENTIFIER_PLACEHOLDER", "order_id"),
    ]
    weights = taken(draft(custom_data={"num_items": 1.85})).event.custom_data
    assert weights.num_items == 2


TEXTS_OF_CUSTOM = ("content_name", "content_category", "content_type", "search_string", "status")
TEXTS_OF_LINES = ("title", "brand", "category", "variant", "coupon")


@pytest.mark.parametrize("printed", ["null", "undefined", "NaN", "None", "[object Object]"])
def test_a_text_that_a_program_printed_for_nothing_is_absent(printed: str) -> None:
    line = {"id": "A", **dict.fromkeys(TEXTS_OF_LINES, printed)}
    read = taken(draft(custom_data={**dict.fromkeys(TEXTS_OF_CUSTOM, printed), "contents": [line]}))
    assert read.event.custom_data == CustomData(contents=(Content("A"),))
    assert {(one.code, one.field) for one in read.warnings} == {
        *[("IDENTIFIER_PLACEHOLDER", ("custom_data", name)) for name in TEXTS_OF_CUSTOM],
        *[("IDENTIFIER_PLACEHOLDER", ("custom_data", "contents", "0", name)) for name in TEXTS_OF_LINES],
    }


@pytest.mark.parametrize("text", ["N/A", "none", "Null", "NULL", "nil", "-", "0", "False", "None of us", "Undefined"])
def test_a_text_that_may_be_a_name_is_one(text: str) -> None:
    line: dict[str, Any] = {"id": "A", **dict.fromkeys(TEXTS_OF_LINES, text)}
    texts: dict[str, Any] = dict.fromkeys(TEXTS_OF_CUSTOM, text)
    read = taken(draft(custom_data={**texts, "contents": [line]}))
    assert read.event.custom_data == CustomData(**texts, contents=(Content(**line),))
    assert read.warnings == ()


def test_a_basket_of_nothing_but_placeholders_is_warned_of_in_few_words() -> None:
    read = taken(draft(custom_data={"contents": [{"id": f"A{line}", "title": "null"} for line in range(300)]}))
    assert len(read.event.custom_data.contents) == 300
    assert len(read.warnings) == 20


def test_a_google_click_id_is_read_out_of_its_cookie() -> None:
    read = taken(draft(user_data={"gclid": "GCL.1712345678.Cj0KCQiA-5a9"}))
    assert (read.event.user_data.gclid, read.warnings) == ("Cj0KCQiA-5a9", ())


def test_a_page_that_only_stands_for_one_is_absent() -> None:
    assert taken(draft(event_source_url="undefined")).event.event_source_url is None
    assert warned(draft(event_source_url="undefined")) == [("IDENTIFIER_PLACEHOLDER", "event_source_url")]


@pytest.mark.parametrize("tail", ["AQYCAQIB", "AQ", "Bg", "BQICAQIB"])
@pytest.mark.parametrize("name", ["email", "phone", "first_name", "external_id", "zip", "country"])
def test_a_digest_is_read_without_its_builders_tail(name: str, tail: str) -> None:
    digest = sha256_hex("somebody")
    read = taken(draft(user_data={name: f"{digest.upper()}.{tail}"}))
    assert read.warnings == ()
    assert getattr(read.event.user_data, name) == as_kept(name, digest)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("::ffff:203.0.113.42", "203.0.113.42"),
        ("::FFFF:CB00:712A", "203.0.113.42"),
        ("203.0.113.42:51234", "203.0.113.42"),
        ("203.0.113.42, 10.0.0.1", "203.0.113.42"),
        ("10.0.0.5, 203.0.113.42", "203.0.113.42"),
        ("unknown, 203.0.113.42", "203.0.113.42"),
        ('"203.0.113.42"', "203.0.113.42"),
        ("10.0.0.5, 192.168.0.1", "10.0.0.5"),
        ("203.0.113.42.AQYCAQIB", "203.0.113.42"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:db8::1.AQYCAQIB", "2001:db8::1"),
    ],
)
def test_an_address_of_a_machine_is_kept_in_one_spelling(given: str, kept: str) -> None:
    read = taken(draft(user_data={"client_ip": given}))
    assert [one.code for one in read.warnings] == (["IDENTIFIER_MALFORMED"] if kept == "10.0.0.5" else [])
    assert read.event.user_data.client_ip == kept


@pytest.mark.parametrize(
    ("name", "cookie"), [("fbp", "fb.1.1713877200.1234567890"), ("fbc", "fb.1.1713877200.AQzXy1abcDEFghiJKlMNopQR")]
)
def test_a_cookie_whose_time_is_in_seconds_is_named_and_kept(name: str, cookie: str) -> None:
    read = taken(draft(user_data={name: cookie}))
    assert getattr(read.event.user_data, name) == cookie
    (warning,) = read.warnings
    assert (warning.code, warning.field) == ("IDENTIFIER_MALFORMED", ("user_data", name))
    assert warning.message.endswith("as Meta documents it. It is sent as it is.")


# Identifiers: kept as sent, and named ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "jane"),
        ("email", "jane@localhost"),
        ("email", "5d41402abc4b2a76b9719d911017c592"),
        ("phone", "650 555 0123"),
        ("phone", "call me"),
        ("phone", "+1"),
        ("date_of_birth", "16.02.1990"),
        ("date_of_birth", "02/03/1997"),
        ("date_of_birth", "1990-02-30"),
        ("gender", "unknown"),
        ("gender", "1"),
        ("gender", "Jane"),
        ("gender", "5d41402abc4b2a76b9719d911017c592"),
        ("country", "Atlantis"),
        ("client_ip", "203.0.113.256"),
        ("client_ip", "203.0.113.42:http"),
        ("client_ip", "fe80::1%eth0"),
        ("client_ip", "localhost"),
        ("browser_id", "short"),
        ("browser_id", "with a space"),
        ("browser_id", "anonymous"),
        ("browser_id", "unknown1"),
        ("browser_id", "not_set_"),
        ("browser_id", "NO_COOKIE"),
        ("browser_id", "notSetYet"),
        ("browser_id", "12345678"),
        ("browser_id", "0" * 32),
        ("browser_id", "00000000-0000-0000-0000-000000000000"),
        ("browser_id", "00000000-0000-4000-8000-000000000000"),
        ("fbp", "1596403881668.1116446470"),
        ("fbc", "fb.1.1713877200.AQ zXy"),
        ("fbc", "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB"),
        ("fbclid", "with a space"),
        ("ttp", "with a space"),
        ("gclid", "wïth"),
        ("gbraid", "with a space"),
        ("wbraid", "with a space"),
        ("ga_client_id", "GA1.1 1234567890"),
        ("ga_client_id", "GA1.2"),
        ("ga_client_id", "GS1.1.1795182000.5.1.1795182100.0.0.0"),
        ("ga_client_id", "GS2.1.s1795182000$o5$g1$t1795182100"),
        ("ga_session_id", "s1794000000"),
        ("ga_session_id", "GS1.1.null"),
        ("ga_session_id", "GS2.1.o5$g1"),
        ("epik", "with a space"),
        ("sc_click_id", "with a space"),
        ("sc_cookie1", "with a space"),
        ("li_fat_id", "with a space"),
        ("rdt_cid", "with a space"),
        ("rdt_uuid", "1594924040000"),
        ("msclkid", "dd4afe73"),
        ("twclid", "with a space"),
    ],
)
def test_a_malformed_identifier_is_kept_as_sent_and_named(name: str, value: str) -> None:
    read = taken(draft(user_data={name: value}))
    kept = getattr(read.event.user_data, name)
    assert kept == (Matchable(plain=value) if name in ("email", "phone") else value)
    (warning,) = read.warnings
    assert (warning.code, warning.field) == ("IDENTIFIER_MALFORMED", ("user_data", name))
    assert warning.message.startswith(f"user_data.{name} must ")
    assert warning.message.endswith(
        ". The event is taken, and this is kept with it; platforms that would refuse it do not get it."
    )


def test_a_browser_is_the_same_one_with_blanks_around_its_id() -> None:
    read = taken(draft(user_data={"browser_id": " 0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f\t"}))
    assert read.event.user_data.browser_id == "0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f"
    assert read.warnings == ()


@pytest.mark.parametrize(
    "value",
    [
        "0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "Vq3kP0x7YhR2mZs8bTn4Lw",
        "VqxkPaxbYhRcmZsdbTneLw",
        "visitor-120045",
    ],
)
def test_ids_of_browsers_by_chance_are_no_words(value: str) -> None:
    assert taken(draft(user_data={"browser_id": value})).warnings == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *WELL_FORMED.items(),
        ("email", "62A14E44F765419D10FEA99367361A727C12365E2520F32218D505ED9AA0F62F"),
        ("phone", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("phone", "0044 20 7946 0958"),
        ("date_of_birth", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("country", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("country", " de "),
        ("client_ip", "203.0.113.42"),
        ("country", "USA"),
        ("country", "Germany"),
        ("fbc", "fb.3.1554763741205.IwAR2F4-dbP0l7Mn1IawQQGC=="),
        ("fbp", "fb.2.1596403881668.1116446470.AQYBAQMB"),
        ("rdt_uuid", "550e8400-e29b-41d4-a716-446655440000"),
        ("msclkid", "dd4afe73-c5b5-463e-b4ae-1d6ef4cf1e1d"),
        ("first_name", "正"),
        *[("gender", word) for word in ("F", " male", "Mr.", "m\u00e4nnlich", "Frau", "X", "non-binary")],
        ("gender", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("zip", "?"),
        ("client_user_agent", "curl/8"),
    ],
)
def test_a_well_formed_identifier_is_kept_without_a_word(name: str, value: str) -> None:
    read = taken(draft(user_data={name: value}))
    assert read.warnings == ()
    assert getattr(read.event.user_data, name) == as_kept(name, value)


def as_kept(name: str, value: Any) -> Any:
    if name in ("emails", "phones"):
        return tuple(map(Matchable.read, value))
    return Matchable.read(value) if name in ("email", "phone") else value


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://shop.example.com/thanks?x=1#y", True),
        ("http://localhost:3000/", True),
        ("https://exämple.de", True),
        ("/thanks", False),
        ("shop.example.com/thanks", True),
        ("//shop.example.com/thanks", True),
        ("thanks", False),
        ("ftp://shop.example.com", False),
        ("android-app://com.example", False),
        ("https://", False),
        ("https://shop.example.com/with a space", True),
        ("https://shop example.com/", False),
        ("https://[::1", False),
    ],
)
def test_a_page_that_is_no_web_address_is_kept_and_named(url: str, is_one: bool) -> None:
    read = taken(draft(event_source_url=url))
    assert read.event.event_source_url == url
    assert [(warning.code, warning.field) for warning in read.warnings] == (
        [] if is_one else [("IDENTIFIER_MALFORMED", ("event_source_url",))]
    )


def test_a_national_phone_is_well_formed_where_a_destination_has_that_country() -> None:
    given = draft(user_data={"phone": "(650) 555-0123"})
    assert warned(given, US) == []
    assert warned(given, frozenset({"DE", "US"})) == []
    assert warned(given) == [("IDENTIFIER_MALFORMED", "user_data.phone")]


def test_every_malformed_identifier_is_named_and_none_rejects() -> None:
    bad = {"email": "x", "phone": "x", "country": "x", "client_ip": "x", "fbp": "x", "fbc": "x", "msclkid": "x"}
    assert warned(draft(user_data=bad)) == [
        ("IDENTIFIER_MALFORMED", "user_data.email"),
        ("IDENTIFIER_MALFORMED", "user_data.phone"),
        ("IDENTIFIER_MALFORMED", "user_data.country"),
        ("IDENTIFIER_MALFORMED", "user_data.client_ip"),
        ("IDENTIFIER_MALFORMED", "user_data.fbp"),
        ("IDENTIFIER_MALFORMED", "user_data.fbc"),
        ("IDENTIFIER_MALFORMED", "user_data.msclkid"),
    ]


def test_a_malformed_identifier_does_not_hide_a_wrong_field() -> None:
    assert refused(draft(event_id="", user_data={"fbp": "x"})) == [("REQUIRED", "event_id")]


# Card data ---------------------------------------------------------------------------------------------------------

CARD_MESSAGE = "This looks like payment card data. TrackLayer never takes it: remove it and send the event again."


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        pytest.param({"custom_data": {"properties": {"cvv": "123"}}}, ("custom_data", "properties", "cvv"), id="a key"),
        pytest.param(
            {"user_data": {"external_id": "4111 1111 1111 1111"}}, ("user_data", "external_id"), id="an identifier"
        ),
        pytest.param(
            {"custom_data": {"contents": [{"id": "a", "title": "x 4111111111111111"}]}},
            ("custom_data", "contents", "0", "title"),
            id="a line of the basket",
        ),
        pytest.param({"custom_data": {"value": 4111111111111111}}, ("custom_data", "value"), id="a number"),
        pytest.param(
            {"custom_data": {"unknown": {"deep": ["4111111111111111"]}}},
            ("custom_data", "unknown", "deep", "0"),
            id="below an unknown field",
        ),
        pytest.param({"user_data": {"4111111111111111": "x"}}, ("user_data", "(a key)"), id="a number as a key"),
        pytest.param(
            {"custom_data": {"properties": {"a": "x" * 300_000, "b": "4111111111111111"}}},
            ("custom_data", "properties", "b"),
            id="in an event that is too large",
        ),
        pytest.param(
            {"event_id": "", "occurred_at": "", "user_data": {"pan": "4111111111111112"}},
            ("user_data", "pan"),
            id="beside others",
        ),
        pytest.param({"event_name": "Paid 4111111111111111"}, ("event_name",), id="the name"),
        pytest.param({"event_id": "4111-1111-1111-1111"}, ("event_id",), id="the id, as cards are printed"),
        pytest.param(
            {"event_source_url": "https://shop.example.com/pay?card_number=4111111111111111&cvv=123"},
            ("event_source_url",),
            id="the url",
        ),
        pytest.param(
            {"event_source_url": "https://shop.example.com/?cvv=123"}, ("event_source_url",), id="a parameter"
        ),
        pytest.param({"cvv": "123"}, ("cvv",), id="an unknown field"),
    ],
)
def test_card_data_is_the_only_thing_an_event_is_refused_for(changes: dict[str, Any], path: tuple[str, ...]) -> None:
    assert problems_of(draft(**changes)) == [Problem(path, "CARD_DATA", CARD_MESSAGE)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("user_data.first_name", "card:\n4111111111111111", id="a number on a line of its own"),
        pytest.param("custom_data.content_name", "\t4111 1111 1111 1111", id="a number after a tab"),
        pytest.param("custom_data.status", "\r\n4111-1111-1111-1111\r\n", id="a number between line ends"),
        pytest.param("custom_data.search_string", '"4111111111111111"', id="a number in quotes"),
        pytest.param("custom_data.status", "\\4111111111111111", id="a number after a backslash"),
        pytest.param("custom_data.status", "é 4111111111111111", id="a number behind a letter beyond ASCII"),
        pytest.param("custom_data.order_id", "4111\u20111111\u20111111\u20111111", id="dashes that do not break"),
        pytest.param("custom_data.predicted_ltv", 4111111111111111.0, id="a float"),
        pytest.param("custom_data.value", 4000000000000000006, id="a number of 19 digits"),
        pytest.param("custom_data.product_ids", [["4111 1111 1111 1111"]], id="a list in a list"),
    ],
)
def test_a_card_number_is_refused_wherever_the_event_has_room_for_it(path: str, value: Any) -> None:
    ((code, where),) = refused(draft_with(path, value))
    assert (code, where.removesuffix(".0").removesuffix(".0")) == ("CARD_DATA", path)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        pytest.param("user_data.email", {"cvv": "123"}, "user_data.email.cvv", id="an identifier"),
        pytest.param(
            "custom_data.value", {"cardNumber": "4111111111111112"}, "custom_data.value.cardNumber", id="a value"
        ),
        pytest.param(
            "custom_data.product_ids", [{"pan": "4111111111111112"}], "custom_data.product_ids.0.pan", id="a list"
        ),
        pytest.param(
            "custom_data.contents", [{"id": {"cvc": "123"}}], "custom_data.contents.0.id.cvc", id="a basket's line"
        ),
        pytest.param("custom_data.properties", {"a": {"b": {"cvc": 123}}}, "custom_data.properties.a.b.cvc", id="deep"),
        pytest.param(
            "custom_data.properties",
            {"Card-Number": "4111111111111112"},
            "custom_data.properties.Card-Number",
            id="spelt",
        ),
        pytest.param("user_data.cvv", "123", "user_data.cvv", id="beside the identifiers"),
        pytest.param(
            "custom_data.contents", [{"id": "a", "cvv": 123}], "custom_data.contents.0.cvv", id="beside an id"
        ),
    ],
)
def test_a_key_that_names_card_data_is_refused_at_any_depth(path: str, value: Any, where: str) -> None:
    assert refused(draft_with(path, value)) == [("CARD_DATA", where)]


# Whatever comes ----------------------------------------------------------------------------------------------------

CANARY = "Zq7-canary@x.9"
PATHS = (
    "event_name", "event_id", "occurred_at", "action_source", "event_source_url", "user_data", "custom_data", "consent",
    *(f"user_data.{name}" for name in USER_FIELDS),
    *(f"custom_data.{name}" for name in CUSTOM_FIELDS),
    *(f"consent.{name}" for name in CONSENT_FIELDS),
    *(f"device.{name}" for name in DEVICE_FIELDS),
    "custom_data.properties.mine", "unknown", "user_data.unknown", "custom_data.unknown", "consent.unknown",
)  # fmt: skip
SHAPES = st.sampled_from(
    [
        lambda text: text,
        lambda text: f" {text} ",
        lambda text: text * 30,
        lambda text: text * 3000,
        lambda text: f"{text}\x00",
        lambda text: f"{text}\ud800",
        lambda text: [text],
        lambda text: {"id": text},
        lambda text: {text: text},
        lambda text: [{"id": text, "quantity": text, "item_price": text, "title": [text], text: text}],
        lambda text: {"cvv": text},
        lambda text: f"{text} 4111111111111111",
        lambda text: [[[[text]]]],
    ]
)


@drawn(400)
@given(st.sampled_from(PATHS), SHAPES)
def test_no_message_ever_quotes_a_value(path: str, shape: Any) -> None:
    read = read_event(draft_with(path, shape(CANARY)), NOW, US)
    said = read if isinstance(read, list) else read.warnings
    for problem in said:
        assert CANARY not in problem.message
        assert CANARY not in ".".join(problem.field)


@pytest.mark.parametrize("name", ["Refund", "woocommerce_order_refunded"])
def test_what_goes_back_in_a_refund_is_counted_without_its_minus(name: str) -> None:
    contents = [{"id": "A", "quantity": -1}, {"id": "B", "quantity": "-1.85"}, {"id": "C", "quantity": 2}]
    read = taken(draft(event_name=name, custom_data={"contents": contents, "num_items": -5}))
    assert [line.quantity for line in read.event.custom_data.contents] == [1, Decimal("1.85"), 2]
    assert read.event.custom_data.num_items == 5
    assert {(warning.code, warning.field) for warning in read.warnings} == {
        ("QUANTITY_NEGATIVE", ("custom_data", "contents", "0", "quantity")),
        ("QUANTITY_NEGATIVE", ("custom_data", "contents", "1", "quantity")),
        ("QUANTITY_NEGATIVE", ("custom_data", "num_items")),
    }
    assert "without its minus" in read.warnings[0].message


@pytest.mark.parametrize("name", ["Purchase", "Return", "Cancel"])
def test_what_was_not_bought_costs_its_line_and_not_the_order(name: str) -> None:
    contents = [
        {"id": "A", "quantity": -1, "item_price": 5},
        {"id": "B", "quantity": 2},
        {"id": "C", "quantity": "-0.5"},
    ]
    read = taken(
        draft(event_name=name, custom_data={"value": 9, "currency": "EUR", "num_items": -1, "contents": contents})
    )
    assert read.event.custom_data.contents == (Content("B", 2),)
    assert (read.event.custom_data.value, read.event.custom_data.num_items) == (Decimal(9), None)
    left = {("custom_data", "num_items"), *[("custom_data", "contents", place, "quantity") for place in "02"]}
    assert {(one.code, one.field) for one in read.warnings} == {("QUANTITY_NEGATIVE", path) for path in left}
    assert set(read.gone) == left
    (message,) = {one.message for one in read.warnings if one.field[2:] == ("0", "quantity")}
    assert message == (
        "custom_data.contents.0.quantity is below zero. The event is taken without that line, which was not bought."
    )


def test_no_quantity_is_below_all_bounds() -> None:
    (too_many,) = problems_of(draft(event_name="Refund", custom_data={"num_items": -(2**31)}))
    assert too_many.code == "INVALID_NUMBER"


@pytest.mark.parametrize("code", ["XXX", "XTS", "XAU", "xag", "XPD", "XPT", "XBA", "XSU", "XUA"])
def test_a_code_that_nobody_pays_in_is_a_warning_and_costs_no_order(code: str) -> None:
    read = taken(draft(custom_data={"value": 129.99, "currency": code}))
    assert read.event.custom_data.currency == code.upper()
    (warning,) = read.warnings
    assert (warning.code, warning.field) == ("CURRENCY_NO_MONEY", ("custom_data", "currency"))
    said = "custom_data.currency is a code for what nobody pays in. It is sent, and platforms may not count it."
    assert warning.message == said


@pytest.mark.parametrize("code", ["USD", "CLF", "UYI", "CHE", "XOF", "XPF", "XDR", "XCD"])
def test_money_of_any_kind_is_no_warning(code: str) -> None:
    assert taken(draft(custom_data={"value": 129.99, "currency": code})).warnings == ()


@pytest.mark.parametrize("amount", [-0.0, "-0", "-0.00", Decimal("-0.0"), "-0e5"])
def test_nothing_has_no_sign(amount: Any) -> None:
    custom = taken(
        draft(custom_data={"value": amount, "contents": [{"id": "a", "discount": amount}]})
    ).event.custom_data
    for found in (custom.value, custom.contents[0].discount):
        assert found == 0
        assert not str(found).startswith("-")


@pytest.mark.parametrize(
    "nothing",
    [
        "null",
        "undefined",
        "None ",
        " NULL ",
        "{{product.id}}",
        "[object Object]",
        "NaN",
        "-",
        "null'",
        "nu%6cl",
        "null\u200b",
    ],
)
def test_a_product_that_only_stands_for_one_is_left_out_and_the_order_is_taken(nothing: str) -> None:
    read = taken(
        draft(custom_data={"product_ids": ["a", nothing], "contents": [{"id": nothing, "quantity": 2}, {"id": "b"}]})
    )
    assert (read.event.custom_data.product_ids, read.event.custom_data.contents) == (("a",), (Content("b"),))
    assert [(warning.code, warning.field) for warning in read.warnings] == [
        ("IDENTIFIER_PLACEHOLDER", ("custom_data", "product_ids", "1")),
        ("IDENTIFIER_PLACEHOLDER", ("custom_data", "contents", "0", "id")),
    ]


def test_a_product_may_be_number_0_of_its_catalogue() -> None:
    read = taken(draft(custom_data={"product_ids": ["0", "00"], "contents": [{"id": "0"}]}))
    assert (read.event.custom_data.product_ids, read.event.custom_data.contents) == (("0", "00"), (Content("0"),))
    assert read.warnings == ()


def test_a_product_has_no_blanks_around_its_id() -> None:
    lines = [{"id": "\tsku 2\n"}, {"id": "sku 3\u00a0"}, {"id": "(4)"}]
    custom = taken(draft(custom_data={"product_ids": [" sku 1 ", "b", "c "], "contents": lines})).event.custom_data
    assert custom.product_ids == ("sku 1", "b", "c")
    assert custom.contents == (Content("sku 2"), Content("sku 3"), Content("(4)"))


def test_of_a_basket_of_nothings_some_are_told() -> None:
    read = taken(draft(custom_data={"contents": [{"id": "null"}] * 900, "product_ids": ["undefined"] * 900}))
    assert (read.event.custom_data.contents, read.event.custom_data.product_ids) == ((), ())
    assert len(read.warnings) == 20


def test_a_card_number_in_a_coupon_is_card_data() -> None:
    """Customers type into that field whatever they have at hand."""
    lines = [{"id": "4111111111111111", "coupon": "4111111111111111"}]
    assert refused(draft(custom_data={"contents": lines})) == [("CARD_DATA", "custom_data.contents.0.coupon")]


def test_one_thing_is_a_list_of_one_as_in_the_api() -> None:
    one = taken(
        draft(custom_data={"product_ids": "sku", "contents": {"id": "a"}}, user_data={"emails": "a@b.de"})
    ).event
    assert (one.custom_data.product_ids, one.custom_data.contents) == (("sku",), (Content("a"),))
    assert [email.plain for email in one.user_data.all_emails] == ["a@b.de"]
    assert taken(draft(custom_data={"product_ids": ""})).event.custom_data.product_ids == ()


@pytest.mark.parametrize(("given", "kept"), [("390", 390), (390.0, 390), (411.43, 411), ("", None), (0, None)])
def test_pixels_are_told_in_many_ways(given: Any, kept: int | None) -> None:
    assert taken(draft(device={"os": "Android", "screen_width": given})).event.device.screen_width == kept


def test_a_number_that_is_rounded_up_beyond_31_bits_is_refused() -> None:
    """No field of the API could show it."""
    assert refused(draft(custom_data={"num_items": 2147483647.6})) == [("INVALID_NUMBER", "custom_data.num_items")]


def test_no_message_quotes_a_value_where_everything_is_wrong() -> None:
    given: dict[str, Any] = dict.fromkeys(EVENT_FIELDS, CANARY)
    given["user_data"] = dict.fromkeys(USER_FIELDS, CANARY)
    given["custom_data"] = dict.fromkeys(CUSTOM_FIELDS, CANARY)
    said = problems_of(given)
    assert len(said) == 10
    assert not [problem for problem in said if CANARY in problem.message or CANARY in ".".join(problem.field)]


def nested(depth: int, kind: type) -> Any:
    deep: Any = "x"
    for _ in range(depth):
        deep = [deep] if kind is list else {"a": deep}
    return deep


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(
    "path", ["event_name", "user_data", "custom_data.value", "custom_data.properties", "custom_data.unknown", "x"]
)
def test_deeply_nested_json_is_refused_without_an_error(path: str, kind: type) -> None:
    assert len(problems_of(draft_with(path, nested(10_000, kind)))) == 1


NAMES = st.sampled_from(
    [
        *EVENT_FIELDS,
        *USER_FIELDS,
        *CUSTOM_FIELDS,
        *CONTENT_FIELDS,
        *CONSENT_FIELDS,
        *DEVICE_FIELDS,
        "cvv",
        "4111111111111111",
    ]
)
ANY_TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["\x00", "\ud800", "", " ", "USD", "NaN", "sNaN", "1e400", "-0", "2026-11-20T14:59:00Z", "granted", "a@b.de", "+1"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from([2**63, 2**64, 10**30]) | st.floats() | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | ANY_TEXT, inner, max_size=6),
    max_leaves=12,
)


@drawn(400)
@given(
    ANY_JSON,
    st.dictionaries(st.sampled_from(USER_FIELDS) | ANY_TEXT, ANY_JSON, max_size=4) | ANY_JSON,
    st.dictionaries(st.sampled_from(CUSTOM_FIELDS) | ANY_TEXT, ANY_JSON, max_size=4) | ANY_JSON,
    st.dictionaries(st.sampled_from(EVENT_FIELDS) | ANY_TEXT, ANY_JSON, max_size=3),
)
def test_no_json_whatsoever_makes_reading_raise(whole: Any, user_data: Any, custom_data: Any, others: Any) -> None:
    for given_ in (whole, draft(user_data=user_data, custom_data=custom_data), {**draft(), **others}):
        before = copy.deepcopy(given_)
        read = read_event(given_, NOW, US)
        assert isinstance(read, ReadEvent) or read != []
        assert repr(given_) == repr(before)  # by repr: NaN differs from itself


@drawn(200)
@given(st.dictionaries(st.text(max_size=20), SCALARS, max_size=5))
def test_properties_never_make_reading_raise(properties: Mapping[str, Any]) -> None:
    read = read_event(draft(custom_data={"properties": properties}), NOW)
    assert isinstance(read, ReadEvent) or read != []


@pytest.mark.parametrize("turned", [False, True])
def test_mistakes_are_told_in_the_order_of_the_data_model(turned: bool) -> None:
    def order(given: dict[str, Any]) -> dict[str, Any]:
        return dict(reversed(given.items())) if turned else given

    given = draft(
        occurred_at="soon",
        user_data=order({"email": "jane", "sex": "f"}),
        custom_data=order({"currency": "EURO", "properties": [1], "value": "ten", "status": 3}),
        note="hello",
    )
    assert [path for _, path in refused(order(given))] == [
        "note",
        "occurred_at",
        "user_data.sex",
        "custom_data.value",
        "custom_data.currency",
        "custom_data.status",
        "custom_data.properties",
    ]
    malformed = order({"email": "jane", "fbp": "fb.1", "client_ip": "localhost"})
    assert [path for _, path in warned(draft(user_data=malformed))] == [
        "user_data.email",
        "user_data.client_ip",
        "user_data.fbp",
    ]


# Personal data where no platform may get it -------------------------------------------------------------------------


def test_personal_data_in_plain_text_is_named_and_costs_nothing() -> None:
    read = taken(
        draft(
            event_source_url="https://shop.example.com/t?order=1&email=jane%40example.com",
            custom_data={"properties": {"customer_email": "jane@example.com", "colour": "red"}},
        )
    )
    assert [(one.code, ".".join(one.field)) for one in read.warnings] == [
        ("PERSONAL_DATA", "event_source_url"),
        ("PERSONAL_DATA", "custom_data.properties.customer_email"),
    ]
    assert read.event.custom_data.properties == {"customer_email": "jane@example.com", "colour": "red"}
    assert not [one for one in read.warnings if "jane" in one.message]


@pytest.mark.parametrize("contact", ["jane@example.com", "+491701234567", "jane%40example.com", "jane＠example.com"])
def test_an_address_or_a_number_where_none_belongs_is_told_field_by_field(contact: str) -> None:
    read = taken(
        draft(
            event_name=f"Lead {contact}",
            event_id=f"lead {contact}",
            user_data={"email": "x@example.com", "phone": "+16505550123", "external_id": contact, "lead_id": contact},
            custom_data={"order_id": contact, "content_name": contact, "contents": [{"id": "a"}, {"id": contact}]},
            device={"model": contact},
        )
    )
    assert [".".join(one.field) for one in read.warnings if one.code == "PERSONAL_DATA"] == [
        "event_name",
        "event_id",
        "user_data.external_id",
        "user_data.lead_id",
        "custom_data.order_id",
        "custom_data.contents.1.id",
        "custom_data.content_name",
        "device.model",
    ]
    assert not [one for one in read.warnings if "jane" in one.message or "170" in one.message]


@pytest.mark.parametrize("event_id", ["order_1", "491701234567", "4917012345678", "a+b", "team@home"])
def test_an_id_of_digits_or_signs_is_no_personal_data(event_id: str) -> None:
    person = {"email": "jane+shop@example.com", "emails": ["j@example.com"], "phone": "+1 650 555 0123"}
    given_ = draft(event_id=event_id, occurred_at="2026-11-20T15:59:00+01:00", user_data=person)
    assert taken(given_).warnings == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", ["a@b.de"]),
        ("email", {}),
        ("email", "a\x00@b.de"),
        ("email", "\udc00@b.de"),
        ("emails", {"a": "a@b.de"}),
        ("emails", 5),
        ("phone", 1.5),
        ("phone", -5),
        ("phone", 1e300),
        ("phone", math.nan),
        ("external_id", True),
        ("external_id", 10**255),
        ("first_name", "Jane \ud83d"),
        ("client_user_agent", "Mozilla/5.0\x07"),
        ("gclid", []),
        ("country", 5.5),
    ],
)
def test_an_identifier_of_the_wrong_kind_is_left_out_with_a_warning(name: str, value: Any) -> None:
    fbp = "fb.1.1596403881668.1116446470"
    read = read_event(draft(user_data={name: value, "fbp": fbp}), NOW)
    assert isinstance(read, ReadEvent), read
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_MALFORMED", ("user_data", name))]
    assert "The event is taken without it." in read.warnings[0].message
    assert read.event.user_data == UserData(fbp=fbp)


@pytest.mark.parametrize("kind", [list, dict])
def test_an_identifier_that_is_nested_deeply_is_left_out_too(kind: type) -> None:
    read = read_event(draft_with("user_data.email", nested(10_000, kind)), NOW)
    assert isinstance(read, ReadEvent), read
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_MALFORMED", ("user_data", "email"))]


@pytest.mark.parametrize("value", [{"cvv": "123"}, [{"card_number": "4111111111111111"}]])
def test_card_data_within_an_identifier_is_refused_all_the_same(value: Any) -> None:
    (problem,) = problems_of(draft(user_data={"email": value}))
    assert problem.code == "CARD_DATA"


@pytest.mark.parametrize(
    ("name", "value", "text", "warns"),
    [
        ("zip", 10115, "10115", True),
        ("zip", 10115.0, "10115", True),
        ("external_id", 5, "5", False),
        ("external_id", 2**53 + 1, "9007199254740993", False),
        ("date_of_birth", 19900216, "19900216", False),
        ("lead_id", 4711, "4711", False),
    ],
)
def test_a_number_is_read_as_its_digits(name: str, value: Any, text: str, warns: bool) -> None:
    read = taken(draft(user_data={name: value}))
    assert getattr(read.event.user_data, name) == text
    assert [(one.code, one.field) for one in read.warnings] == (
        [("IDENTIFIER_MALFORMED", ("user_data", name))] if warns else []
    )


@pytest.mark.parametrize(
    "country", ["Atlantis", "A", "\u0410\u0442\u043b\u0430\u043d\u0442\u0438\u0434\u0430", sha256_hex("Atlantis")]
)
def test_a_national_phone_beside_a_country_that_cannot_be_read_is_left_out_and_told(country: str) -> None:
    read = taken(draft(user_data={"phone": "0664 1234567", "phones": ["030 1234567"], "country": country}), DE)
    for phone in read.event.user_data.all_phones:
        assert (phone.phone_sha256("e164", "DE"), phone.phone_sha256("digits", None)) == (None, None)
    told = {one.field[1:]: one.message for one in read.warnings}
    assert told.keys() == {("country",), ("phone",), ("phones", "0")} - (
        {("country",)} if len(country) == 64 else set()
    )
    assert told[("phone",)].startswith(
        "user_data.phone must be written with + and the country code, such as +16505550123: the country that came with it cannot be read."
    )


@pytest.mark.parametrize("country", ["XX", " T1", "zz", "Unknown", "null", sha256_hex("xx"), sha256_hex("t1")])
def test_a_country_that_nobody_knew_is_none_and_the_phone_is_read_in_the_default_country(country: str) -> None:
    read = taken(draft(user_data={"phone": "0664 1234567", "country": country}), frozenset({"AT"}))
    assert read.event.user_data.country is None
    assert read.event.user_data.phone == Matchable("0664 1234567")
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_PLACEHOLDER", ("user_data", "country"))]


@pytest.mark.parametrize("country", ["Other", "EU", "Earth"])
def test_a_country_that_is_another_one_is_not_taken_for_the_default_country(country: str) -> None:
    read = taken(draft(user_data={"phone": "0664 1234567", "country": country}), frozenset({"AT"}))
    assert read.event.user_data.phone == Matchable("0664 1234567", country=normalise.UNREADABLE)
    assert [one.field[1] for one in read.warnings] == ["phone", "country"]


@pytest.mark.parametrize(
    "country",
    ["\u00d6sterreich", "Osterreich", "Austria (AT)", "\u200bAT", "\uff21\uff34", "AUT", "Autriche", sha256_hex("at")],
)
def test_a_national_phone_is_read_in_a_country_in_whatever_spelling(country: str) -> None:
    read = taken(draft(user_data={"phone": "0664 1234567", "country": country}), DE)
    assert read.event.user_data.phone is not None
    assert read.event.user_data.phone.phone_sha256("e164", "DE") == sha256_hex("+436641234567")
    assert read.warnings == ()


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("050-123-4567", "IL"),
        ("(555) 123-4567", "US"),
        ("01234 56789012", "GB"),
        ("0123-45-678", "JP"),
        ("345 12345", "IT"),
    ],
)
def test_a_phone_that_no_destination_would_send_is_told(phone: str, country: str) -> None:
    for defaults in (DE, frozenset({"DE", "FR"}), frozenset({country}), frozenset({country, "DE"}), frozenset()):
        read = taken(draft(user_data={"phone": phone, "country": country}), defaults)
        given = read.event.user_data.phone
        assert given is not None
        is_sent = any(given.phone_sha256("e164", default) for default in defaults or (None,))
        assert [one.field for one in read.warnings] == ([] if is_sent else [("user_data", "phone")])


@pytest.mark.parametrize(("text", "digits"), [("01234.0", "01234"), ("94107.00", "94107")])
def test_a_zip_as_tables_write_it_is_told_as_what_it_is(text: str, digits: str) -> None:
    read = taken(draft(user_data={"zip": text}))
    assert read.event.user_data.zip == digits
    assert [one.message for one in read.warnings] == [
        "user_data.zip is written as tables write a number: it is read as the digits before the point. "
        "Send it as it is written in an address."
    ]


OWN_IDS = [
    ("event_id", lambda event: event.event_id),
    ("custom_data.order_id", lambda event: event.custom_data.order_id),
    ("custom_data.product_ids.0", lambda event: event.custom_data.product_ids[0]),
    ("custom_data.contents.0.id", lambda event: event.custom_data.contents[0].id),
    ("user_data.external_id", lambda event: event.user_data.external_id),
]


def draft_with_id(path: str, value: Any) -> dict[str, Any]:
    if path == "event_id":
        return {**draft(), "event_id": value}
    room: dict[str, Any] = {"product_ids.0": [value], "contents.0.id": [{"id": value}]}
    section, name = path.split(".", 1)
    return draft_with(f"{section}.{name.split('.')[0]}", room.get(name, value))


@pytest.mark.parametrize(("path", "found"), OWN_IDS)
@pytest.mark.parametrize("digits", ["4711", "9007199254740993", "18446744073709551617", "9" * 40, "4111111111111111"])
def test_a_number_in_the_place_of_an_id_of_the_merchants_own_is_its_digits(
    path: str, found: Callable[[Event], str], digits: str
) -> None:
    as_text, as_number = (read_event(draft_with_id(path, value), NOW) for value in (digits, int(digits)))
    assert isinstance(as_text, ReadEvent)
    assert isinstance(as_number, ReadEvent), as_number
    assert (found(as_number.event), as_number.warnings) == (digits, ())
    assert as_number.event == as_text.event


@pytest.mark.parametrize(("path", "_"), OWN_IDS[:-1])
@pytest.mark.parametrize("value", [True, 1.5, -1, 2.0**60, {"id": 1}, [1], 10**255])
def test_what_is_no_whole_number_is_no_id_of_the_merchants_own(path: str, _: Any, value: Any) -> None:
    assert refused(draft_with_id(path, value)) == [("INVALID_TYPE", path)]


EMPTY_UUID = "00000000-0000-0000-0000-000000000000"
NO_IDS = [
    EMPTY_UUID, f"{{{EMPTY_UUID}}}", f"({EMPTY_UUID})", EMPTY_UUID.replace("-", ""), f" {EMPTY_UUID} ", "5.67891E+12", "5,67891E+12",
    "5E+12", "1.2345678901234567e+18", "#REF!", "#N/A", "#NAME?", "#DIV/0!", "#BEZUG!", "#NV", "########", "#",
    "<nil>", "<NULL>", "<no value>", "%!s(<nil>)", "%!d(MISSING)", "Optional(nil)", "Optional.empty", "[]", "Array", "$orderId", "$order_id", "$order->id", "$order.id", "%s", "%d", "%1$s",
    "%u", "%05d", "%20d", "%25s", "%2$s", "%lld", "%(order_id)s", "$order->items[0]->id", "$order['line_1']", "$order?->id", "stdClass",
    "Array,Array", "Array, Array",
]  # fmt: skip
NOTHING_BEHIND_WORDS = [
    "order_undefined", "order-null", "Order #null", "wc_order_undefined", "order:NaN", "order_nan", "shop/order/None", "#undefined",
    "ORDER_NULL", "order_(null)", "order_[object Object]", "order_{{order.id}}", "order-${id}", "order_%%ORDER_ID%%",
    f"order_{EMPTY_UUID}", '"order_undefined"', "order_", "Order #", "wc-order-", "Bestell-Nr:", "gid://shopify/Order/", "\u6ce8\u6587_", "__", "Order ID:", "customer-", "USER_", "Bestell-Nr.:", "Zam\u00f3wienie nr:",
    '"order_ "', "order_nil", "order_<nil>", "order_%!s(<nil>)", "order_Optional(nil)", "order_Optional.empty", "order_[]", "order_n/a",
    "order_(not set)", "order_false", "order_--", "ORD-NaN", "member.None", "web_order_nan", "PO-nan", "SO-nil", "ticket-none", "INV-",
    "Order-Nr.", "order_undefined_", "acme-NaN", "acme_None", "orderundefined", "ordernull", "orderNaN", "order.undefined", "order|null",
    "order undefined", "order_5.67891E+12", "order_#REF!", "order_#NV", "order_#N/A", "acme_########", "acme-undefined",
    *"order-{{CJS-ORDER-ID2}} {{order.id}}-purchase order_{{DLV-GA4-id}}_web {{GA4-a1}}-{{b2}} order{id} order-{order-id-2} order_[[id]]".split(),
    *"order-$orderId order_$order->id order-$id-web order_%s order-%d order%s order_%1$s order_Array orderArray".split(),
    *"order-[[id]]-web order-[[id2]]-web order_<%=id2%>_web order-__ORDER_ID__-web order-<nil>-web order-%05d order-%u-web".split(),
    *"order-%10d order-%32x order-%-20s order-%25s order-%25d-web".split(),
    "order-[object Object]-web", "order_<%= id %>_web", "order_<?= $order->id ?>_web", "order-%(order_id)s-web",
    "order-$order->items[0]->id", "order-stdClass", "order_Array,Array", "{ORDER-ID-2}-web", "order-{Item-Id-100}",
    "Bestellung\N{EN DASH}null", "Заказ \N{NUMERO SIGN}null", "ご注文\N{FULLWIDTH COLON}null", "注文番号\N{FULLWIDTH COLON}NaN", "commande n°null",
    "order\N{RIGHTWARDS ARROW}null", "注文\N{FULLWIDTH COLON}", "order\N{EN DASH}", "\N{EM DASH}",
]  # fmt: skip
SOMEBODYS_IDS = [
    "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "{a504e04f-4f89-11d3-9a0c-0305e82c3301}", "{3F2504E04F8911D39A0C0305E82C3301}", "{1001}",
    *"{WC1001} {#1001} {Order-7} {WEB.1001} {AB_1234} {注文-1001} {507f1f77bcf86cd799439011} [[1001]] order-1-{{id}} US$AB12X $1001 50%d".split(),
    "{Order 1001}", "{{3F2504E0-4F89-11D3-9A0C-0305E82C3301}}",
    "{ 1001 }", "{{1001}}", "{1001-7}", "{SO-2024-0b3c}", "{ABC-1001}", "{SKU-1}", "{order-1001}", "${1001}", '{"order":1001}', "12E5", "12E+5", "1.5E+3x", "SKU-NA", "NULL-13", "purchase_1001_null",
    "1001-undefined", "shop7_null", "00000000-0000-0000-0000-000000000001", "1230000", "#1001", "#A", "undefined_7", "order_undefined_7",
    "annul", "refined", "Nolan", "order_0", "0" * 31, "usernil", "enclosed-e", "order_7_", "1001-", "VyLKqPzRTabWcJdXeMhg_", "dQwXgWcQKe-", "Optional(1001)",
    "civil", "%!d(string=1001)", "https://example.com/jane/", "simpty", "anna_", "Anna_", "MAY-", "oz-nil", "nana_", "anna_order_", "null7_web",
    "\U0001f355_", "Mar\u00eda_", "PV-Array", "Solar-Array", "Solar Array Kit", "A__B__C", "order-__ID__-2024", "order%2d", "order%05d7",
    *"{B2B-1001} {RE-1001-DE} {DE-SHOP-1001} {EN-US-1001} {RE-DE-2024/7} order-{B2B-1001}-web [object-1] 20241129-{{order.id}}".split(),
    *"Summer%20dress id%20d order%20d-web Anna%20D%20s Red%20X A%26s %CE%91s Men%E2%80%99s%20x T%C3%A9s%29s handle%40x".split(),
    *"1001-{{customer.id}} 1001-[ORDER_NO] <1001> <4f9a.77> [A1B2] <order>1001</order> ORDER_ID_1001 my-order-id-7".split(),
]  # fmt: skip


@pytest.mark.parametrize("note", ["/", "\\"], ids=["read quickly", "searched"])
@pytest.mark.parametrize(("path", "found"), OWN_IDS)
@pytest.mark.parametrize("text", [*NO_IDS, *NOTHING_BEHIND_WORDS])
def test_what_is_written_for_no_id_is_nobodys_own(
    text: str, path: str, found: Callable[[Event], str | None], note: str
) -> None:
    given = draft_with_id(path, text)
    given.setdefault("custom_data", {})["properties"] = {"note": note}
    if path == "event_id":
        (problem,) = problems_of(given)
        assert (problem.code, problem.field) == ("REQUIRED", ("event_id",))
        return
    read = taken(given)
    if text in NOTHING_BEHIND_WORDS and ("product" in path or "contents" in path):  # a shop names its products in words
        assert (found(read.event), read.warnings) == (text, ())
        return
    assert [(one.code, ".".join(one.field)) for one in read.warnings] == [("IDENTIFIER_PLACEHOLDER", path)]
    custom = read.event.custom_data
    assert (custom.order_id, custom.product_ids, custom.contents) == (None, (), ())
    assert read.event.user_data.external_id is None


@pytest.mark.parametrize("note", ["/", "\\"], ids=["read quickly", "searched"])
@pytest.mark.parametrize(("path", "found"), OWN_IDS)
@pytest.mark.parametrize("text", SOMEBODYS_IDS)
def test_what_looks_like_no_id_and_tells_one_from_others_is_kept(
    text: str, path: str, found: Callable[[Event], str], note: str
) -> None:
    given = draft_with_id(path, text)
    given.setdefault("custom_data", {})["properties"] = {"note": note}
    read = taken(given)
    assert (found(read.event), read.warnings) == (text, ())


UNFILLED = "*|ORDER_ID|* *|TXN:REF|* shop1_*|ORDER_ID|* ORDER_ID_PLACEHOLDER order-id-placeholder order_placeholder YOUR_ORDER_ID your-order-id INSERT_ORDER_ID_HERE REPLACE_ME"
UNFILLED_OF_ORDERS = """2024-{{order.id}} shop1_{{order_id}} shop1_{{orderId}}_web shop1_%%ORDER_ID%% shop1_${transaction_id} shop1_<ORDER_ID> shop1_[ORDER_ID]
    shop1-<order-id> <CONVERSION_ID> <conversion_id> [CONVERSION_ID] #CONVERSION_ID# %CONVERSION_ID% @@CONVERSION_ID@@ order_id ORDER_ID orderId orderid
    TRANSACTION-ID @order_id :order_id"""


@pytest.mark.parametrize("text", [*UNFILLED.split(), *UNFILLED_OF_ORDERS.split()])
def test_the_name_of_an_orders_id_is_none(text: str) -> None:
    assert refused(draft(event_id=text)) == [("REQUIRED", "event_id")]
    read = taken(draft(custom_data={"order_id": text}))
    assert (read.event.custom_data.order_id, [one.code for one in read.warnings]) == (None, ["IDENTIFIER_PLACEHOLDER"])


def test_the_id_of_an_email_tells_one_order_from_others() -> None:
    assert not normalise.is_one_for_all("<4f9a.77@mail.shop.example>")


@pytest.mark.parametrize(
    "text",
    [*UNFILLED.split()[:2], "CUSTOMER_ID_PLACEHOLDER", "YOUR_USER_ID", "shop1_{{customer.id}}", "shop1_<CUSTOMER_ID>"],
)
def test_the_name_of_a_persons_id_is_none(text: str) -> None:
    read = taken(draft(user_data={"external_id": text}))
    assert (read.event.user_data.external_id, [one.code for one in read.warnings]) == (None, ["IDENTIFIER_PLACEHOLDER"])


@pytest.mark.parametrize(
    "text",
    ["user_id", "<john_smith>", "customer-7", "your_shop", "replaceme", "placeholder", "shop1_{{order.id}}"],
)
def test_what_a_person_may_be_called_is_kept(text: str) -> None:
    read = taken(draft(user_data={"external_id": text}))
    assert (read.event.user_data.external_id, read.warnings) == (text, ())


NAMES_OR_NOTHING = [
    "lee-nan",
    "jane/none",
    "acme_none",
    "null_pointer",
    "undefined-purchase",
    "order-null-web",
    "order-(null)-web",
    f"order-{EMPTY_UUID}-web",
    "shop.stdClass.web",
    "Nan.null",
    "acme – none",
    "None Smith",
]


@pytest.mark.parametrize("note", ["/", "\\"], ids=["read quickly", "searched"])
@pytest.mark.parametrize("text", NAMES_OR_NOTHING)
def test_what_may_be_somebodys_name_names_a_person_and_no_event_or_order(text: str, note: str) -> None:
    custom = {"order_id": text, "properties": {"note": note}}
    read = taken(draft(user_data={"external_id": text}, custom_data=custom))
    assert (read.event.user_data.external_id, read.event.custom_data.order_id) == (text, None)
    assert [(one.code, one.field[-1]) for one in read.warnings] == [("IDENTIFIER_PLACEHOLDER", "order_id")]
    assert refused(draft(event_id=text, custom_data={"properties": {"note": note}})) == [("REQUIRED", "event_id")]


@pytest.mark.parametrize(
    "text",
    [
        "{0}",
        "{order}",
        "{order-id}",
        "{ORDER-ID}",
        "{field-1}",
        "{{ga4-id}}",
        "{{DLV-GA4-order_id}}",
        "{{JS-ua4-id}}",
        "{{SO-2024-7}}",
        "${SO-2024-7}",
        "{% order.id %}",
        "<% order.id %>",
        "[[order_id]]",
        "[[ORDER-1234]]",
        "{dlv-order-id-2024}",
        "{ORDER-ID-2}",
        "{order-7}",
        "{field1}",
        "{0:d}",
        "{0.id}",
        "{WC1001}",
        "{{order}}",
        "{ order.id }",
        "{{ 'order' | t }}",
        "{}",
        "{$id}",
        "{1001}",
        "{'id': 1}",
    ],
)
def test_a_template_has_a_name_or_a_place_in_its_braces(text: str) -> None:
    assert normalise.is_placeholder(text) is (text not in ("{1001}", "{WC1001}", "{'id': 1}"))


def test_a_long_id_of_signs_is_looked_at_in_no_time() -> None:
    read = taken(draft(custom_data={"order_id": "_" * 200_000 + "a", "product_ids": ["{" * 30_000]}))
    assert len(read.event.custom_data.order_id or "") == 200_001


def test_nothing_is_no_id_as_a_number_either() -> None:
    read = taken(draft_with("custom_data.order_id", 0))
    assert read.event.custom_data.order_id is None
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_PLACEHOLDER", ("custom_data", "order_id"))]


def test_one_product_that_is_a_number_is_a_list_of_one() -> None:
    assert taken(draft_with("custom_data.product_ids", 4711)).event.custom_data.product_ids == ("4711",)


def test_a_refused_event_whose_id_is_a_number_is_named_by_it() -> None:
    wrong = {**draft(), "event_id": 77, "occurred_at": "never"}
    assert readable_event_id(wrong, problems_of(wrong)) == "77"


def test_a_phone_that_is_a_number_is_read_and_told() -> None:
    read = taken(draft(user_data={"phone": 16505550123, "phones": [4915123456789]}), US)
    assert read.event.user_data.phone == Matchable("16505550123")
    assert [(one.code, ".".join(one.field)) for one in read.warnings][:2] == [
        ("IDENTIFIER_MALFORMED", "user_data.phone"),
        ("IDENTIFIER_MALFORMED", "user_data.phones.0"),
    ]


INSIDE = [
    "10.0.0.5",
    "127.0.0.1",
    "0.0.0.0",
    "192.168.1.7",
    "172.16.0.1",
    "169.254.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
]


@pytest.mark.parametrize("address", [*INSIDE, "fe80::1", "10.1.1.1, 192.168.0.1", "[::1]:8080", "::ffff:127.0.0.1"])
def test_an_address_inside_of_a_network_is_told(address: str) -> None:
    read = taken(draft(user_data={"client_ip": address}))
    assert [(one.code, one.field) for one in read.warnings] == [("IDENTIFIER_MALFORMED", ("user_data", "client_ip"))]
    assert not identifiers.is_public(address)


@pytest.mark.parametrize("address", ["203.0.113.42", "11.0.0.1", "172.32.0.1", "100.128.0.1", "10.0.0.1, 203.0.113.42"])
def test_an_address_on_the_internet_is_not(address: str) -> None:
    assert taken(draft(user_data={"client_ip": address})).warnings == ()
    assert identifiers.is_public(address)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("fbclid", '"IwAR0abc"', "IwAR0abc"),
        ("fbclid", "fbclid=IwAR0abc", "IwAR0abc"),
        ("fbclid", "'fbclid=IwAR0abc'", "IwAR0abc"),
        ("ttclid", "ttclid=E.C.P.abc", "E.C.P.abc"),
        ("gclid", "?gclid=Cj0_x&utm_source=google", "Cj0_x"),
        ("gclid", '"Cj0_x"', "Cj0_x"),
        ("gclid", "gclid=GCL.1794000000.Cj0_x", "Cj0_x"),
        ("twclid", "TWCLID=23abc", "23abc"),
        ("sc_click_id", "ScCid=abc-1", "abc-1"),
        ("ttp", "_ttp=abc-1; _ga=GA1.1.5.6", "abc-1"),
        ("rdt_uuid", "_rdt_uuid=1.550e8400-e29b-41d4-a716-446655440000", "1.550e8400-e29b-41d4-a716-446655440000"),
        ("rdt_cid", "_rdt_cid=5551234567890", "5551234567890"),
        ("epik", "_epik=dj0yJnU9", "dj0yJnU9"),
        ("sc_click_id", "_scclid=abc-1", "abc-1"),
        ("sc_click_id", "_sccid=abc-1", "abc-1"),
        ("sc_click_id", "ScCid: abc-1", "abc-1"),
        ("sc_cookie1", "sc_cookie1=abc-1", "abc-1"),
        ("li_fat_id", "_li_fat_id=abc-1", "abc-1"),
        ("ttclid", "ttclid:E.C.P.abc", "E.C.P.abc"),
        ("twclid", "_twclid=23abc", "23abc"),
        ("twclid", '{"pv":1,"twclid":"23abc"}', "23abc"),
        ("twclid", "_twclid=%7B%22pv%22%3A1%2C%22twclid%22%3A%2223abc%22%7D", "23abc"),
        ("gclid", "_gcl_aw=GCL.1794000000.Cj0_x", "Cj0_x"),
        ("wbraid", "_gcl_gb=GCL.1794000000.Cj0_x", "Cj0_x"),
        ("gbraid", "_gcl_ag=2.1.kCj0_x$i1794000000", "Cj0_x"),
        ("gclid", "https://shop.example.com/?utm_source=google&gclid=Cj0_x#top", "Cj0_x"),
        ("gclid", "https%3A%2F%2Fshop.example.com%2F%3Fgclid%3DCj0_x%26a%3D1", "Cj0_x"),
        ("gclid", "gclid%3DCj0_x", "Cj0_x"),
        ("msclkid", "_uetmsclkid=_uet0123456789abcdef0123456789abcdef", "_uet0123456789abcdef0123456789abcdef"),
        ("fbp", "_fbp=fb.1.1794000000000.1116446470", "fb.1.1794000000000.1116446470"),
        ("fbp", "_ga=GA1.1.5.6; _fbp=fb.1.1794000000000.1116446470; a=b", "fb.1.1794000000000.1116446470"),
        ("fbp", '"fb.1.1794000000000.1116446470"', "fb.1.1794000000000.1116446470"),
        ("fbc", "_fbc=fb.1.1794000000000.IwAR2", "fb.1.1794000000000.IwAR2"),
        ("fbc", "'fb.1.1794000000000.IwAR2'", "fb.1.1794000000000.IwAR2"),
        ("browser_id", "_tlb=0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("gclid", "Cj0_x'", "Cj0_x"),
        ("fbclid", 'IwAR0"', "IwAR0"),
        ("gclid", '{"gclid":123456}', "123456"),
        ("gclid", "{gclid: Cj0_x}", "Cj0_x"),
        ("gclid", "gclid=Cj0_x,fbclid=IwAR0", "Cj0_x"),
        ("gclid", "(gclid=Cj0_x) gclid=Cj0_x)", "Cj0_x"),
        ("ttclid", "[ttclid=E.C.P.abc, ttclid=E.C.P.abc]", "E.C.P.abc"),
        ("rdt_cid", '{"rdt_cid":5551234567890,"x":1}', "5551234567890"),
        ("gclid", "?a=1&amp;gclid=Cj0_x&amp;b=2", "Cj0_x"),
        ("fbclid", "IwAR0&amp;utm_source=x", "IwAR0"),
        ("ttclid", "E.C.P.abc&utm_source=x", "E.C.P.abc"),
        ("fbclid", '["IwAR0"]', "IwAR0"),
        ("gclid", "['Cj0_x', 'Cj0_x']", "Cj0_x"),
        ("gclid", '{"gclid":["Cj0_x"]}', "Cj0_x"),
        ("gclid", '{"value":"Cj0_x","expiryDate":1793877200123}', "Cj0_x"),
        ("gclid", '{"expiry":1,"value":"Cj0_x"}', "Cj0_x"),
        ("gclid", r"{\"gclid\":\"Cj0_x\"}", "Cj0_x"),
        ("gclid", r'"{\"gclid\":\"Cj0_x\"}"', "Cj0_x"),
        ("gclid", r"\"Cj0_x\"", "Cj0_x"),
        ("gclid", r'"Cj0_x\n"', "Cj0_x"),
        ("gclid", "%22Cj0_x%22", "Cj0_x"),
        ("gclid", "Cj0_x%20", "Cj0_x"),
        ("gclid", "Cj0_x&quot;", "Cj0_x"),
        ("gclid", "&quot;Cj0_x&quot;", "Cj0_x"),
        ("gclid", "Cj0_x&nbsp;", "Cj0_x"),
        ("gclid", 'a:1:{s:5:"gclid";s:5:"Cj0_x";}', "Cj0_x"),
        ("gclid", 'a:2:{s:6:"fbclid";s:4:"IwAR";s:5:"gclid";s:5:"Cj0_x";}', "Cj0_x"),
        ("ttclid", 's:9:"E.C.P.abc";', "E.C.P.abc"),
        ("fbp", '["fb.1.1794000000000.1116446470"]', "fb.1.1794000000000.1116446470"),
        ("browser_id", '["0123456789abcdef0123456789abcdef"]', "0123456789abcdef0123456789abcdef"),
    ],
)
def test_a_click_id_is_read_without_what_was_copied_with_it_and_that_is_told(name: str, text: str, read: str) -> None:
    found = taken(draft(user_data={name: text}))
    assert getattr(found.event.user_data, name) == read
    (warning,) = found.warnings
    assert (warning.code, warning.field) == ("IDENTIFIER_MALFORMED", ("user_data", name))
    assert warning.message == f"user_data.{name} was copied with its name or quotation marks. It is read without them."
    assert found.unusable == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("fbclid", "IwAR0"), ("gclid", "Cj0KCQ="), ("epik", "dj0yJnU9="), ("li_fat_id", "gclid=x")),
        *(("ttclid", "abc:def"), ("epik", "a%2Fb"), ("twclid", "xgclid=1"), ("rdt_cid", "cid=1"), ("gbraid", "2.1.k")),
    ],
)
def test_nothing_else_is_taken_off_a_click_id(name: str, text: str) -> None:
    found = taken(draft(user_data={name: text}))
    assert (getattr(found.event.user_data, name), found.warnings) == (text, ())


@pytest.mark.parametrize("name", ["gclid", "fbclid", "ttclid", "epik", "sc_cookie1"])
@pytest.mark.parametrize(
    "text",
    ['["a1b2","c3d4"]', "<a1b2>", "a1b2)", r"a1\b2", "a1'b2", '{"fbclid":{"value":"a1b2"}}', "a1&b2", '{"x":["a1b2"]}'],
)
def test_a_quote_a_bracket_or_an_and_is_no_part_of_a_click_id(name: str, text: str) -> None:
    found = taken(draft(user_data={name: text}))
    assert [(one.code, one.field) for one in found.warnings] == [("IDENTIFIER_MALFORMED", ("user_data", name))]
    assert (found.unusable, identifiers.usable(name, text)) == ((("user_data", name),), None)


@pytest.mark.parametrize(
    "text",
    [
        *("gclid=", "gclid=null", "?gclid={gclid}&x=1", "''", "_gcl_aw=", "GCL.1794000000.null", "gclid=(not set)"),
        *('{"gclid":null}', '{"gclid":false}', '{"gclid":[]}', '{"gclid":{}}', '{"gclid":""}', '["null"]', "[]"),
        *("{gclid: undefined}", "%7B%22gclid%22%3Anull%7D", "gclid=null, t=1", "gclid=<nil>", '{"x":1,"gclid": null}'),
    ],
)
def test_the_name_of_a_click_id_alone_stands_for_none(text: str) -> None:
    found = taken(draft(user_data={"gclid": text}))
    assert found.event.user_data.gclid is None
    assert [one.code for one in found.warnings] == ["IDENTIFIER_PLACEHOLDER"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("wbraid", "GCL.1794000000.Cj0_x"), ("gbraid", "2.1.kCj0_x$i1794000000"), ("gclid", "2.1.kCj0_x$i1794000000$u5")],
)
def test_a_click_id_is_read_out_of_the_cookie_of_googles_tag(name: str, text: str) -> None:
    found = taken(draft(user_data={name: text}))
    assert (getattr(found.event.user_data, name), found.warnings) == ("Cj0_x", ())


@pytest.mark.parametrize("name", ["gclid", "ttclid", "epik", "twclid", "li_fat_id"])
def test_an_address_without_a_click_id_is_none(name: str) -> None:
    found = taken(draft(user_data={name: "https://shop.example.com/?utm_source=x"}))
    assert found.unusable == (("user_data", name),)


def test_every_name_that_the_collector_knows_comes_off() -> None:
    read_elsewhere = {"ga_client_id"}  # see ``google_tag``
    names = {(form.kind, name) for known in (PARAMETERS, COOKIES) for name, form in known.items()}
    for kind, name in names:
        if kind not in read_elsewhere:
            assert identifiers.without_name(kind, f"{name}=abc") == "abc", name


@pytest.mark.parametrize("text", ["_ga_ABC=GS1.1.1795182000.5", "0.0", "555.666.", "my-GA1.1.5.6", "a:b"])
def test_a_client_id_that_no_tag_gave_is_told(text: str) -> None:
    found = taken(draft(user_data={"ga_client_id": text}))
    assert [(one.code, one.field) for one in found.warnings] == [
        ("IDENTIFIER_MALFORMED", ("user_data", "ga_client_id"))
    ]
    assert found.unusable == (("user_data", "ga_client_id"),)


@pytest.mark.parametrize(
    ("born", "stays"), [("2030-01-01", False), ("20270101", False), ("2026-11-20", True), ("1990-02-16", True)]
)
def test_nobody_is_born_in_the_future(born: str, stays: bool) -> None:
    found = taken(draft(user_data={"date_of_birth": born}))
    assert found.event.user_data.date_of_birth == (born if stays else None)
    assert [(one.code, one.field[-1]) for one in found.warnings] == (
        [] if stays else [("IDENTIFIER_MALFORMED", "date_of_birth")]
    )


@pytest.mark.parametrize("text", ["N/A", "n/a"])
@pytest.mark.parametrize("name", ["first_name", "last_name", "company_name", "external_id"])
def test_what_is_not_available_is_no_name(name: str, text: str) -> None:
    found = taken(draft(user_data={name: text}))
    assert getattr(found.event.user_data, name) is None
    assert [one.code for one in found.warnings] == ["IDENTIFIER_PLACEHOLDER"]


_QUERY = ("order=1", "gclid=EAIa", "first_name=Jane", "last_name=Doe", "order_id=4111111111111111", "note=O'Brien")


@pytest.mark.parametrize(
    "ampersand", ["&amp;", "&#038;", "&#38;", "&#x26;", "&#X26;", "&amp;amp;", "&amp;#038;"], ids=lambda text: text
)
def test_an_address_that_was_escaped_for_html_is_read_as_the_one_it_is(ampersand: str) -> None:
    plain = f"https://shop.example.com/ok?{'&'.join(_QUERY)}"
    escaped = f"https://shop.example.com/ok?{ampersand.join(_QUERY)}"
    found = taken(draft(event_source_url=escaped))
    assert found.event.event_source_url == plain
    assert (found.event, found.warnings[1:]) == taken(draft(event_source_url=plain))[:2]
    assert (found.unusable, found.gone) == ((), ())
    assert [found.warnings[0].code, found.warnings[0].message] == [
        "IDENTIFIER_MALFORMED",
        "event_source_url holds escapes of HTML, such as &amp; for &. It is read without them.",
    ]


def test_what_else_html_escapes_is_read_too() -> None:
    escaped = "https://shop.example.com/ok?q=O&#039;Brien&amp;w=&quot;x&quot;&amp;gclid=EAIa"
    assert taken(draft(event_source_url=escaped)).event.event_source_url == (
        'https://shop.example.com/ok?q=O\'Brien&w="x"&gclid=EAIa'
    )


@pytest.mark.parametrize(
    "query",
    [
        "a=1&amp=2",
        "a=1&copy=2&lt=3",
        "q=AT%26amp%3BT",
        "a=1;b=2",
        "a=1&#038",
        "a=1&#top",
        "a=1&amplitude=3;4",
        "q=&quot;",
    ],
)
def test_an_address_that_is_right_as_it_is_stays(query: str) -> None:
    url = f"https://shop.example.com/ok?{query}"
    found = taken(draft(event_source_url=url))
    assert (found.event.event_source_url, found.warnings) == (url, ())


@pytest.mark.parametrize("ampersand", ["&amp;", "&#038;"])
@pytest.mark.parametrize("parameter", ["cvv=123", "note=4111111111111111", "q=4111+1111+1111+1111"])
def test_an_escape_of_html_hides_no_card(ampersand: str, parameter: str) -> None:
    for url in (f"?a=1{ampersand}{parameter}", f"?{parameter}{ampersand}a=1"):
        assert refused(draft(event_source_url=f"https://shop.example.com/ok{url}")) == [
            ("CARD_DATA", "event_source_url")
        ]


@pytest.mark.parametrize("person", [{"email": "9" * 64}, {"email": "jane@example.com", "phone": "+4915123456789"}])
@pytest.mark.parametrize(
    "contact",
    [
        "a&#64;b.de",
        "a&#x40;b.de",
        "a&commat;b.de",
        "a&amp;#64;b.de",
        r"a\u0040b.de",
        r"a\x40b.de",
        "&plus;491701234567",
    ],
)
def test_an_escape_hides_no_contact(contact: str, person: dict[str, str]) -> None:
    found = taken(draft(user_data=person, custom_data={"content_name": f"for {contact}", "order_id": contact}))
    assert [(one.code, one.field[-1]) for one in found.warnings] == [
        ("PERSONAL_DATA", "order_id"),
        ("PERSONAL_DATA", "content_name"),
    ]


def test_an_escape_of_html_hides_no_address_elsewhere() -> None:
    url = "https://shop.example.com/ok?a=1&amp;b=2&#039;&amp;c=3"
    found = taken(draft(event_source_url=url, custom_data={"content_name": "jane%40example.com"}))
    assert [(one.code, one.field[-1]) for one in found.warnings] == [
        ("IDENTIFIER_MALFORMED", "event_source_url"),
        ("PERSONAL_DATA", "content_name"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("last_name", "O&#039;Brien", "O'Brien"),
        ("last_name", "O&#8217;Brien", "O\u2019Brien"),
        ("first_name", "J&uuml;rgen", "Jürgen"),
        ("city", "K&amp;ouml;ln", "Köln"),
        ("street", "1 Main St &amp; 5th", "1 Main St & 5th"),
        ("company_name", "Bang &amp; Olufsen", "Bang & Olufsen"),
        ("city", "New&nbsp;York", "New York"),
        ("city", "Saint&ndash;Denis", "Saint\u2013Denis"),
        ("city", "K&ouml;ln&#8203;", "Köln"),
        ("first_name", "Ann&shy;a", "Anna"),
        ("street", "1&frasl;2 Main St &#x2116;", "1\u20442 Main St \u2116"),
        ("zip", "SW1A&nbsp;1AA", "SW1A 1AA"),
        ("zip", "94107&ZeroWidthSpace;", "94107"),
        ("country", "&Ouml;sterreich", "Österreich"),
        ("country", "C&ocirc;te d&#039;Ivoire", "Côte d'Ivoire"),
        ("country", "Trinidad &amp; Tobago", "Trinidad & Tobago"),
    ],
)
def test_words_of_a_person_that_were_escaped_for_html_are_read_as_they_are(name: str, text: str, read: str) -> None:
    found = taken(draft(user_data={name: text}))
    assert getattr(found.event.user_data, name) == read
    assert [one.message for one in found.warnings] == [
        f"user_data.{name} holds escapes of HTML, such as &amp; for &. It is read without them."
    ]


def test_the_country_that_was_escaped_for_html_reads_the_phone_too() -> None:
    found = taken(draft(user_data={"country": "&Ouml;sterreich", "phone": "0664 1234567"}))
    assert found.event.user_data.phone == Matchable("0664 1234567", country="AT")
    assert [one.field[-1] for one in found.warnings] == ["country"]


def test_a_blank_that_was_escaped_for_html_is_none() -> None:
    found = taken(draft(user_data={"city": "&nbsp;"}))
    assert found.event.user_data.city is None
    assert [one.code for one in found.warnings] == ["IDENTIFIER_MALFORMED", "IDENTIFIER_PLACEHOLDER"]


def test_an_email_that_was_escaped_for_html_is_the_one_it_is() -> None:
    found = taken(draft(user_data={"email": "o&#039;brien@example.com"}))
    assert found.event.user_data.email == Matchable.read("o'brien@example.com")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("jane@example.com&nbsp;", "jane@example.com"),
        ("jane@example.com&#8203;", "jane@example.com"),
        ("&nbsp;jane@example.com", "jane@example.com"),
        ("&lt;jane@example.com&gt;", "jane@example.com"),
        ("jane&amp;#64;example.com", "jane@example.com"),
        ("jane&commat;example&period;com", "jane@example.com"),
        (r"jane\u0040example.com", "jane@example.com"),
        ("jane@example.com%20", "jane@example.com"),
        ("%20jane@example.com", "jane@example.com"),
        ("jane%2Btag%40example.com", "jane+tag@example.com"),
        (r"jane@example.com\n", "jane@example.com"),
        (r"\"jane@example.com\"", "jane@example.com"),
        (r"\\\"jane@example.com\\\"\\r\\n", "jane@example.com"),
        ("Kontakt:%20jane@example.com", "jane@example.com"),
    ],
)
def test_an_email_is_read_without_escapes(text: str, read: str) -> None:
    for field, sent in (("email", text), ("emails", [text])):
        found = taken(draft(user_data={field: sent}))
        (email,) = found.event.user_data.all_emails
        assert email.email_sha256("basic") == sha256_hex(read)
        assert [one.message.partition(" ")[2] for one in found.warnings] == [
            "holds escapes, such as &#64; or %40 for @. It is read without them."
        ]
        assert found.unusable == ()


@pytest.mark.parametrize(
    "text", ["Jane doe@example.com", "jane . doe@example.com", "jane@exam ple.com", "jane%20doe@example.com"]
)
def test_an_email_that_is_read_without_a_blank_is_told(text: str) -> None:
    for field, sent in (("email", text), ("emails", [text])):
        found = taken(draft(user_data={field: sent}))
        (email,) = found.event.user_data.all_emails
        assert email.email_sha256("basic") is not None
        assert "holds a blank. It is read without it, as platforms have it." in found.warnings[-1].message
        assert found.unusable == ()


@pytest.mark.parametrize("text", [" jane @ example.com ", "Jane Doe <jane@example.com>", "J\u00f6rg\uff20example.com"])
def test_nothing_is_told_of_an_email_that_can_be_read_in_one_way_alone(text: str) -> None:
    assert taken(draft(user_data={"email": text})).warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "jane%example.com@example.org",
        "100%deal@example.com",
        "50%deal@example.com",
        "a&b@example.com",
        "ü@日本.example",
    ],
)
def test_an_email_without_escapes_stays(text: str) -> None:
    found = taken(draft(user_data={"email": text}))
    assert (found.event.user_data.email, found.warnings) == (Matchable.read(text), ())
    assert Matchable.read(text).email_sha256("basic") == sha256_hex(text)


@pytest.mark.parametrize(
    "text",
    [r"\njane@example.com", "jane@example.com|", "jane@example.com/", "jane@example.com&nbsp", "a%40b", "%22jane%22@example.com",
     "jane%2Cbob@example.com", "jane%40work@example.com", "jane%E9@example.com", "Jane Doe jane@example.com", "Jane%20jane@example.com"],
)  # fmt: skip
def test_an_email_with_more_to_it_is_told_and_not_sent(text: str) -> None:
    found = taken(draft(user_data={"email": text}))
    assert [(one.code, one.field) for one in found.warnings] == [("IDENTIFIER_MALFORMED", ("user_data", "email"))]
    assert found.event.user_data.email == Matchable.read(text)
    assert found.unusable == (("user_data", "email"),)


@pytest.mark.parametrize(
    "text",
    [
        "Bang & Olufsen",
        "A&B; C",
        "&#52;&#53;",
        "&#0;&#xD800;",
        "jane&#64;x",
        "jane&commat;x",
        "&sup2;",
        "&#43;49",
        "&plus;49",
        "&#65312;",
        "&percnt;40",
        "R&amp",
        "&notit;",
    ],
)
def test_words_that_are_no_escape_of_html_stay(text: str) -> None:
    found = taken(draft(user_data={"company_name": text}))
    assert (found.event.user_data.company_name, found.warnings) == (text, ())
