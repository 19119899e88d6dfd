"""The quick ways through an event say what the thorough ones say: random values, and those on the edges."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.domain.cards import WAYS, card_number
from tests.drawing import drawn
from tests.factories import PURCHASE, draft
from tracklayer.domain import identifiers, normalise
from tracklayer.domain.card import find_card_data, may_hold_card_data, may_name_card_data
from tracklayer.domain.event_fields import FieldReader
from tracklayer.domain.personal import _clean_url, without_personal_url
from tracklayer.domain.read_event import _AROUND_AN_ID, _EVERYDAY_IDENTIFIERS, _has_digit, read_event
from tracklayer.domain.values import read_decimal

REPEATABLE = drawn(300)

CARDS = st.builds(
    lambda seed, way: WAYS[way](card_number(Random(seed))),
    st.integers(0, 10**6),
    st.integers(0, len(WAYS) - 1),
)
DIGITS = st.text("0123456789", min_size=1, max_size=20)
SIGNS = st.text(" -._x+/:é٣\t\n\"\\%&=#;?,\u200b|Bz'", max_size=3)
ENCODED = st.sampled_from(
    [
        "%20",
        "%2D",
        "%2d",
        "%252D",
        "%25",
        "%3D",
        "%26",
        "%31",
        "%C2%A0",
        "%EF%BC%94",
        "%22",
        "%%32D",
        "%2%44",
        "%B3",
        "%7A",
    ]
)
PIECES = st.one_of(CARDS, DIGITS, SIGNS, ENCODED)
EVERYDAY = st.sampled_from(
    [
        "fb.1.1596403881668.1116446470", "fb.1.1596403881668.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCR",
        "fb.1.1596403881668.4111111111111111", "GA1.1.1234567890.1794000000", "1234567890.1794000000",
        "1594924040000.550e8400-e29b-41d4-a716-446655440000", "39847362847362", "purchase-1713877200123-98765432",
        "2026-11-20T14:59:00.123456+00:00", "203.0.113.42", "2401:4900:4111:1111:1111:1111:1111:1111", "9" * 64,
        "https://shop.example.com/?utm_campaign=120210000000000000&utm_content=4111111111111111&gclid=Cj0K",
        "https://shop.example.com/thanks?order=4111111111111111", "https://shop.example.com/?cvv=123&x=1",
        "https://shop.example.com/?paid=4111111111111111&id=4111111111111111", "https://shop.example.com/p#cvc2=%31%32%33",
        "https://shop.example.com/a%2Fb%20c?x=4111%2D1111%2D1111%2D1111", "4111 1111 1111 1111", "4111111111111111",
    ]
)  # fmt: skip
NOTHINGS = st.builds(
    lambda words, sign, nothing, behind: words + sign + nothing + behind,
    st.sampled_from(["", "order", "Order ", "shop-7", "x-y", "{", "A", "注文", "Zakaz"]),
    st.sampled_from([*"-_#:/ (.|=", "_ ", "", *"\N{EN DASH}\N{FULLWIDTH COLON}\N{NUMERO SIGN}°º\N{RIGHTWARDS ARROW}"]),
    st.sampled_from(["undefined", "NULL", "nan", "None", "nil", "5.67891E+12", "1e+99", "0" * 32, "{{id}}", "[object Object]", "#REF!", "%7Bid%7D", "n/A", "False", "<nil>", "Optional.empty", "NaN", "#NV", "#N/A", "", "{{DLV-GA4-id2}}", "${id}", "[[id]]", "{WC1001}", "{order-7}", "Array", "$orderId", "$order->id", "%s", "%1$d", "%05d", "%(id)s", "$a->b[0]->c", "stdClass", "[]", "<%= id2 %>", "__ID__", "[[id2]]", "Optional(nil)"]),
    st.sampled_from(["", "", ")", "}", "'", "1", " ", "\u200b", "__", "-purchase", "\N{EN DASH}", "_web", "-x-y"]),
)  # fmt: skip
TEXTS = st.one_of(EVERYDAY, NOTHINGS, st.lists(PIECES, max_size=6).map("".join), st.text(max_size=30))
PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["utm_campaign", "id", "variant", "cvv", "CVC2", "card_number", "x", "n", "q%63vv", "cc-exp", "a=cvv"]
        ),
        st.one_of(
            st.sampled_from(
                ["", "1", "123", "1234", "12/27", "12345", "+123", "12a", "4111111111111112", "123%26cvv=123"]
            ),
            CARDS,
            DIGITS,
        ),
        st.sampled_from(["&", "&", "#", ";", "?", "%26"]),
    ),
    max_size=4,
)
URLS = st.builds(
    lambda start, parts: start + "".join(f"{name}={value}{end}" for name, value, end in parts),
    st.sampled_from(
        ["https://shop.example.com/?", "https://shop.example.com/a#", "https://shop.example.com/12345678/?"]
    ),
    PARAMETERS,
)
NUMBERS = st.one_of(
    st.sampled_from(
        [129.99, 4111111111111111, 4111111111111111.0, Decimal("4111111111111111.00"), 39847362847362, 1e16]
    ),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "event_name": TEXTS,
        "event_id": TEXTS,
        "event_source_url": st.one_of(URLS, TEXTS),
        "occurred_at": st.sampled_from(
            ["2026-11-20T14:59:00.123456+00:00", "2026-11-20 14:59:00.123Z", "2026-11-20T14:59:00Z"]
        ),
        "user_data": st.dictionaries(
            st.sampled_from(
                ["fbp", "fbc", "ga_client_id", "rdt_uuid", "external_id", "phone", "city", "client_ip", "email"]
            ),
            TEXTS,
            max_size=4,
        ),
        "custom_data": st.fixed_dictionaries(
            {},
            optional={
                "value": NUMBERS,
                "predicted_ltv": st.one_of(NUMBERS, TEXTS),
                "order_id": TEXTS,
                "search_string": TEXTS,
                "product_ids": st.lists(TEXTS, max_size=3),
                "contents": st.lists(
                    st.fixed_dictionaries({"id": TEXTS}, optional={"item_price": NUMBERS, "title": TEXTS})
                ),
                "properties": st.dictionaries(
                    st.one_of(st.sampled_from(["note", "sku", "cvv", "cvc_check", "card_number"]), TEXTS),
                    st.one_of(TEXTS, NUMBERS, st.booleans(), st.none(), st.sampled_from(["123", "pass"])),
                    max_size=3,
                ),
            },
        ),
    },
)


NONE = "null NULL undefined NaN nan None nil false False 0 - n/a N/A (null) 00000000-0000-0000-0000-000000000000 Cj0_x 94107".split()
BEHIND = ["", " ", "  ", "\u00a0", "\t", "'", '"', "' ", " '", "\u200b", "\ufeff", "\"'", ".", "0", "}"]


@pytest.mark.parametrize("name", sorted(identifiers.WORDS | identifiers.FORMATS.keys() | {"zip", "external_id"}))
def test_what_passes_a_quick_test_is_what_the_thorough_reader_makes_of_it(name: str) -> None:
    read_otherwise = ("email", "phone", "country", "date_of_birth", "client_ip")  # normalised, and only then compared
    wrong = []
    for text in (f"{before}{none}{behind}" for none in NONE for behind in BEHIND for before in ("", behind)):
        if name not in read_otherwise and _EVERYDAY_IDENTIFIERS[name](text):
            read = FieldReader(False, 0)._identifier(("user_data", name), name, text)
            wrong += [] if read == text else [(text, read)]
    assert wrong == []


@drawn(1000)
@given(EVENTS)
@example({"event_source_url": "https://shop.example.com/?n=%B336227206271667"})
@example({"event_source_url": "https://shop.example.com/?id=4111111111111111&n=4111111111111111"})
@example({"event_source_url": "https://shop.example.com/?card_number=411111111111"})
@example({"event_source_url": "https://shop.example.com/?x=1&cc-exp=51112"})
@example({"event_source_url": "https://shop.example.com/;a=/orders/cvv=4571991361382949"})
@example({"event_source_url": "https://shop.example.com/?card_number=4111111111111112"})
@example({"user_data": {"fbp": "fb.1.4111111111111.1", "city": "4111111111111111"}})
@example({"user_data": {"fbc": "fb.1.1596403881668.4111-1111-1111-1111"}})
@example({"event_id": "4111%2D1111%2D1111%2D1111"})
@example({"custom_data": {"search_string": '4111"1111"1111"1111'}})
@example({"custom_data": {"value": Decimal("4.111111111111111E+15")}})
def test_an_event_is_refused_for_card_data_exactly_where_a_full_search_finds_some(parts: dict[str, Any]) -> None:
    event = draft(**parts)
    read = read_event(event, NOW)
    where = find_card_data(event)
    cards = [problem.field for problem in read if problem.code == "CARD_DATA"] if isinstance(read, list) else []
    assert cards == ([where] if where else [])


@pytest.mark.parametrize(
    "parts",
    [
        {},
        PURCHASE,
        {"user_data": {"fbp": "fb.1.1713877200123.765432198765432109", "fbc": "fb.1.1713877200123.IwAR2F4-dbP0l7Mn1Iaw"}},
        {"user_data": {"ga_client_id": "1234567890.1713877200", "rdt_uuid": "1713877200123.550e8400-e29b-41d4-a716-446655440000"}},
        {"event_id": "purchase-1713877200123-98765432", "occurred_at": "2026-11-20T14:59:00.123456+00:00"},
        {"event_source_url": "https://shop.example.com/?utm_source=fb&utm_campaign=120210000000000000&utm_content=120210000000000001"},
        {"event_source_url": "https://shop.example.com/a%2Cb?utm_source=a%20b&gad_source=1&gad_campaignid=21234567890&order=98765"},
        {"custom_data": {"order_id": "5512345678901234", "contents": [{"id": "39847362847362", "title": '27" screen'}]}},
    ],
)  # fmt: skip
def test_an_everyday_event_passes_the_quick_look(parts: dict[str, Any]) -> None:
    event = draft(**parts) if parts is not PURCHASE else PURCHASE
    assert not may_hold_card_data(event, orjson.dumps(event))
    assert not may_name_card_data(event.get("event_source_url") or "")


@REPEATABLE
@given(st.sampled_from(sorted(identifiers.FORMATS)), st.data())
def test_what_looks_everyday_is_right(name: str, data: Any) -> None:
    wanted = identifiers.FORMATS[name]
    pattern = getattr(wanted.is_everyday, "__self__", None)
    text = data.draw(
        st.from_regex(pattern, fullmatch=True) if isinstance(pattern, re.Pattern) else st.text(max_size=20)
    )
    if wanted.is_everyday(text):
        assert wanted.is_right(text)


@drawn(1000)
@given(st.one_of(NOTHINGS, TEXTS))
def test_an_id_that_looks_everyday_is_somebodys(text: str) -> None:
    assert not (identifiers.is_everyday_id(text) and (text == "0" or normalise.is_one_for_all(text)))
    assert not (identifiers.is_everyday_id(text) and normalise.is_no_id(text))
    assert not (_passes_as_an_event_id(text) and normalise.is_one_for_all(text))


def _passes_as_an_event_id(text: str) -> bool:
    looked_at_quickly = text[:1] in _AROUND_AN_ID and text[-1:] in _AROUND_AN_ID and _has_digit(text) is not None
    return looked_at_quickly and not set("{$%[<+") & set(text)


@REPEATABLE
@given(st.from_regex(identifiers._EVERYDAY_URL, fullmatch=True))
def test_an_everyday_url_is_a_url(text: str) -> None:
    assert identifiers._WEB_URL.fullmatch(text)


@REPEATABLE
@given(st.text("htps:/.aZ0-?#\u00e4 \u00a0@[", max_size=20).map("https://".__add__))
def test_a_url_that_looks_everyday_is_one(text: str) -> None:
    assert identifiers.is_web_url(text) or not identifiers.is_everyday_url(text)


def thorough_decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str) and ("_" in value or len(value) > 64):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    if not number.is_finite():
        return None
    if not -32 <= number.adjusted() <= 20 or int(number.as_tuple().exponent) < -64:
        return None
    return number.copy_abs() if number == 0 else number


@REPEATABLE
@given(
    st.one_of(
        st.floats(),
        st.integers(-(10**22), 10**22),
        st.decimals(),
        st.decimals(allow_nan=False, allow_infinity=False).map(str),
        st.text("0123456789.-+eE_ ", max_size=24),
        st.booleans(),
        st.none(),
    )
)
@example(1e15)
@example(-1e-9)
@example("-0")
@example("١٢٣")
def test_an_amount_is_read_as_the_thorough_way_reads_it(value: Any) -> None:
    found, wanted = read_decimal(value), thorough_decimal(value)
    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        assert found.as_tuple() == wanted.as_tuple()


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NOTHING = st.sampled_from(sorted(normalise.digests_of_nothing()))
TAKEN_LITERALLY = st.one_of(
    HEX, NOTHING, HEX.map(str.upper), HEX.map(lambda text: text[1:]), HEX.map(lambda text: f"{text}.AQ"),
    HEX.map(lambda text: f" {text}"), st.sampled_from(["jane@example.com", "+16505550123", "", " ", "null", 5, None, True, ["x"]]),
    st.text(max_size=12),
)  # fmt: skip
TIMES = st.one_of(
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.sampled_from(
        [
            "2026-11-20T14:59:00Z", "2026-11-20T14:59:00.123Z", "2026-11-20t14:59:00z", " 2026-11-20T14:59:00Z", "2026-11-20",
            "2026-11-20T14:59:00", "2026-11-20T14:59:00+00:00", "2026-11-20T16:59:00+02:00", "2026-11-20\u202814:59:00Z",
            "2026-11-20\u00a014:59:00Z", "2026-11-20x14:59:00Z", "20261120T145900Z", "2026-W47-5T14:59:00Z", "9999-12-31T23:59:59Z",
            "2026-11-20T15:04:00Z", "2026-11-20T15:06:00Z", "0001-01-01T00:00:00+01:00", "2026-11-20T14:59:00-00:00", "", 5, None,
            "2026-11-20T14:59:00 Z", "2026-11-20T14:59:00  Z", "2026-11-20T14:59:00 +00:00", "2026-11-20T14:59:00.123 Z", "2026-11-20T14:59:00 UTC",
        ]
    ),
)  # fmt: skip
PAGES = st.one_of(
    st.from_regex(identifiers.is_plain_url.__self__, fullmatch=True), URLS,  # type: ignore[attr-defined]
    st.text("htps:/.aZ0-?#@%+=&;\u00e4 ", max_size=24).map("https://shop.example.com".__add__),
    st.sampled_from(["", "null", "shop.example.com/x", "https://shop.example.com/jane@example.com", "https://a:8080/x~y", 5, None]),
)  # fmt: skip
ANYTHING = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none(), st.sampled_from([" ", "\u2003", "usd", "USD", "null"]))
WRITTEN = st.fixed_dictionaries(
    {},
    optional={
        "event_name": ANYTHING,
        "event_id": st.one_of(ANYTHING, NOTHINGS, st.sampled_from(["x" * 255, "x" * 256])),
        "occurred_at": TIMES,
        "event_source_url": PAGES,
        "user_data": st.dictionaries(
            st.sampled_from(["email", "phone", "country", "fbp", "ga_client_id", "client_ip", "city", "emails", "x"]),
            st.one_of(TAKEN_LITERALLY, ANYTHING),
            max_size=5,
        ),
        "custom_data": st.fixed_dictionaries(
            {},
            optional={
                "value": ANYTHING,
                "predicted_ltv": ANYTHING,
                "currency": ANYTHING,
                "order_id": st.one_of(ANYTHING, NOTHINGS),
                "num_items": ANYTHING,
                "product_ids": st.one_of(ANYTHING, st.lists(ANYTHING, max_size=3)),
                "unknown": ANYTHING,
            },
        ),
    },
)


@drawn(600)
@given(WRITTEN)
@example({"user_data": {"email": normalise.sha256_hex("")}})
@example({"occurred_at": "2026-11-20\u202814:59:00Z"})
@example({"custom_data": {"product_ids": ["a", 1, " ", None, "b"]}})
def test_what_no_text_is_escaped_in_is_read_as_what_is_searched_character_by_character(parts: dict[str, Any]) -> None:
    """A backslash anywhere takes every field the long way."""
    quick, slow = (draft(**copy.deepcopy(parts)) for _ in range(2))
    for event, note in ((quick, "/"), (slow, "\\")):
        if isinstance(event["custom_data"], dict):
            event["custom_data"]["properties"] = {"note": note}
    found, wanted = read_event(quick, NOW), read_event(slow, NOW)
    if isinstance(found, list) or isinstance(wanted, list):
        assert found == wanted
        return
    assert found.warnings == wanted.warnings
    custom, same = vars(found.event.custom_data), vars(wanted.event.custom_data)
    assert list(custom) == list(same)
    assert {**custom, "properties": {}} == {**same, "properties": {}}
    assert list(vars(found.event.user_data).items()) == list(vars(wanted.event.user_data).items())
    for name in ("event_name", "event_id", "occurred_at", "event_source_url"):
        assert getattr(found.event, name) == getattr(wanted.event, name)


@REPEATABLE
@given(
    st.one_of(
        HEX, HEX.map(str.upper), HEX.map(lambda text: text + "\n"), st.text("0123456789abcdefG\u0663", max_size=66)
    )
)
def test_a_plain_digest_is_the_digest_that_is_in_it(text: str) -> None:
    assert not normalise.is_plain_digest(text) or normalise.digest_in(text) == text


@REPEATABLE
@given(st.from_regex(identifiers.is_plain_url.__self__, fullmatch=True))  # type: ignore[attr-defined]
def test_of_a_plain_url_there_is_nothing_to_be_said(url: str) -> None:
    assert identifiers.is_everyday_url(url)
    assert identifiers.is_web_url(url)
    assert identifiers.web_url(url) == url
    assert not normalise.is_placeholder(url)
    assert "=" not in url
    assert without_personal_url(url) == (url, ())
    assert _clean_url(url) == (url, ())
