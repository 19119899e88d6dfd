"""The quick ways through an event say what the thorough ones say: random values, and those on the edges."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.factories import draft
from tracklayer.domain import identifiers, normalise
from tracklayer.domain.card import count_long_numbers, find_card_data
from tracklayer.domain.event import ReadEvent, read_decimal, read_event

REPEATABLE = settings(max_examples=1500, deadline=None, derandomize=True)

DIGITS = st.text("0123456789", min_size=1, max_size=18)
NUMBERS = st.lists(st.one_of(DIGITS, st.text(" -._x+/:é٣\t", max_size=3)), max_size=6).map("".join)
# Numbers that pass the check of cards, and the same with one digit changed.
CARDS = st.sampled_from(
    ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "4111111111111112"]
)


@REPEATABLE
@given(st.one_of(NUMBERS, CARDS, st.text(max_size=40)))
@example("٤١١١١١١١١١١١١١١١")
@example("4111\u00a01111\u00a01111\u00a01111")
@example("a4111111111111111b")
def test_what_holds_no_long_number_holds_no_card(text: str) -> None:
    try:
        written = orjson.dumps({"note": text})
    except TypeError:  # half a character
        return
    if count_long_numbers(written) == 0:
        assert find_card_data({"note": text}, ()) is None


PLACES = st.sampled_from(["email", "phone", "fbp", "fbc", "external_id", "city", "client_user_agent", "gclid"])


@REPEATABLE
@given(
    st.dictionaries(PLACES, st.one_of(NUMBERS, CARDS, st.just("fb.1.1596403881668.1116446470")), max_size=4),
    st.booleans(),
)
@example({"fbp": "fb.1.4111111111111.1", "external_id": "4111111111111111"}, False)
@example({"phone": "+4111111111111111"}, False)
@example({"fbp": "fb.1.1596403881668.4111111111111111"}, False)
def test_card_data_in_any_identifier_is_refused_whatever_else_is_there(person: dict[str, str], noisy: bool) -> None:
    event = draft(user_data={**person, **({"street": "1234567890123"} if noisy else {})})
    found = read_event(event, NOW)
    thorough = find_card_data(event["user_data"], ("user_data",))
    codes = [] if isinstance(found, ReadEvent) else [problem.code for problem in found]
    assert ("CARD_DATA" in codes) == (thorough is not None)


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


@REPEATABLE
@given(st.from_regex(identifiers._EVERYDAY_URL, fullmatch=True))
def test_an_everyday_url_is_a_url(text: str) -> None:
    assert identifiers._WEB_URL.fullmatch(text)


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
    return number if -32 <= number.adjusted() <= 20 and int(number.as_tuple().exponent) >= -64 else None


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


PUNCTUATED = st.tuples(
    st.sampled_from(["+", "00", "", "+0", " +"]),
    st.sampled_from(["1", "7", "31", "33", "34", "39", "44", "49", "52", "54", "55", "61", "81", "86", "91", "225", "353", "372", "420", "598", "881", "999"]),
    st.lists(st.sampled_from("0123456789 ().-"), min_size=3, max_size=18).map("".join),
).map("".join)  # fmt: skip


@settings(max_examples=6000, deadline=None, derandomize=True)
@given(PUNCTUATED)
@example("+390612345678")
@example("+5491123456789")
@example("+5212221234567")
@example("+78005553535")
@example("+2250748123456")
def test_a_phone_number_is_read_as_the_library_reads_it(text: str) -> None:
    quick = normalise._international(text)
    if quick is not None:
        assert quick == normalise._parsed_e164(text, None)
        assert quick == normalise._parsed_e164(text, "US")


ADDRESSES = st.tuples(
    st.text("aZ0.+_-'é ", min_size=1, max_size=10),
    st.sampled_from(["@gmail.com", "@GoogleMail.com", "@shop.example", "@shop", "", "@ä.example"]),
).map("".join)


@REPEATABLE
@given(st.one_of(ADDRESSES, st.emails()))
def test_the_digests_of_an_address_are_those_of_each_rule(text: str) -> None:
    basic = normalise.email(text)
    spaced = normalise._WHITESPACE.sub("", text).lower()
    assert basic == (spaced if len(spaced) <= 254 and normalise._EMAIL.fullmatch(spaced) else None)
    wanted = {}
    if basic is not None:
        wanted["basic"] = normalise.sha256_hex(basic)
        for name, rule in normalise.EMAIL_RULES.items():
            normal = rule(text)
            if normal != basic:
                wanted[name] = normalise.sha256_hex(normal) if normal else ""
    assert normalise.email_digests(text) == wanted


@pytest.mark.parametrize("countries", [frozenset(), frozenset({"US", "DE"})], ids=["none", "two"])
@REPEATABLE
@given(text=st.one_of(PUNCTUATED, st.just("(650) 555-0123"), st.just("030 1234567")))
def test_the_digests_of_a_phone_number_are_those_of_each_rule(countries: frozenset[str], text: str) -> None:
    fitting: list[str | None] = [None]
    if not normalise.phone_e164(text):
        fitting = [country for country in sorted(countries) if normalise.phone_e164(text, country)]
    wanted = {
        name if country is None else f"{name}:{country}": normalise.sha256_hex(rule(text, country) or "")
        for country in fitting
        for name, rule in normalise.PHONE_RULES.items()
    }
    assert normalise.phone_digests(text, countries) == wanted
