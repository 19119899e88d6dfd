"""Card data is found wherever it stands, everyday numbers are not taken for it, and the path never tells the number."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklayer.domain.card import find_card_data

VISA = "4111111111111111"
EAN_THAT_PASSES_LUHN = "4006381333924"  # a German EAN-13 whose digits are a well-formed 13-digit Visa number too


def found(value: Any) -> tuple[str, ...] | None:
    """Where ``find_card_data`` finds something in an event whose ``properties`` hold ``value`` under ``note``."""
    return find_card_data({"properties": {"note": value}}, ("custom_data",))


AT_NOTE = ("custom_data", "properties", "note")


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("4222222222222", id="visa, 13 digits"),
        pytest.param("4111111111111111", id="visa, 16 digits"),
        pytest.param("4000000000000000006", id="visa, 19 digits"),
        pytest.param("5105105105105100", id="mastercard 51"),
        pytest.param("5555555555554444", id="mastercard 55"),
        pytest.param("2221123456789014", id="mastercard 2221, the first of its range"),
        pytest.param("2223003122003222", id="mastercard 2223"),
        pytest.param("2720123456789010", id="mastercard 2720, the last of its range"),
        pytest.param("341234567890127", id="american express 34"),
        pytest.param("378282246310005", id="american express 37"),
        pytest.param("6011111111111117", id="discover 6011"),
        pytest.param("6011123456789012348", id="discover 6011, 19 digits"),
        pytest.param("6441234567890123", id="discover 644"),
        pytest.param("6491234567890122", id="discover 649"),
        pytest.param("6510000000000133", id="discover 65"),
        pytest.param("6200000000000005", id="unionpay 62"),
        pytest.param("6212345678901234569", id="unionpay 62, 19 digits"),
        pytest.param("8171999927660000", id="unionpay 81"),
        pytest.param("30012345678907", id="diners 300"),
        pytest.param("30569309025904", id="diners 305"),
        pytest.param("30951234567897", id="diners 3095"),
        pytest.param("36227206271667", id="diners 36"),
        pytest.param("3612345678901234563", id="diners 36, 19 digits"),
        pytest.param("38520000023237", id="diners 38"),
        pytest.param("39123456789010", id="diners 39"),
        pytest.param("3528123456789012", id="jcb 3528, the first of its range"),
        pytest.param("3530111333300000", id="jcb 3530"),
        pytest.param("3589123456789018", id="jcb 3589, the last of its range"),
        pytest.param("2200000000000004", id="mir 2200"),
        pytest.param("2204123456789015", id="mir 2204"),
        pytest.param("5018123456789", id="maestro 5018, 13 digits"),
        pytest.param("5020123456789012340", id="maestro 5020, 19 digits"),
        pytest.param("5038123456787", id="maestro 5038"),
        pytest.param("5893123456789014", id="maestro 5893"),
        pytest.param("6304000000000000", id="maestro 6304"),
        pytest.param("6759649826438453", id="maestro 6759"),
        pytest.param("6763123456789", id="maestro 6763"),
    ],
)
def test_a_number_of_every_issuer_is_found(number: str) -> None:
    assert found(number) == AT_NOTE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("4111 1111 1111 1111", id="spaces"),
        pytest.param("4111-1111-1111-1111", id="dashes"),
        pytest.param("4111  1111  1111  1111", id="double spaces"),
        pytest.param("4111 - 1111 - 1111 - 1111", id="spaces and dashes"),
        pytest.param("4111\u00a01111\u00a01111\u00a01111", id="spaces that do not break"),
        pytest.param("4111\u20131111\u20131111\u20131111", id="en dashes"),
        pytest.param("3782 822463 10005", id="american express as it is printed"),
        pytest.param("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", id="every digit on its own"),
        pytest.param("please charge 4111111111111111, thanks", id="in a sentence"),
        pytest.param("The card is 4111111111111111.", id="at the end of a sentence"),
        pytest.param("(4111111111111111)", id="in brackets"),
        pytest.param('{"n":4111111111111111}', id="in json"),
        pytest.param("https://shop.example.com/pay?n=4111111111111111&x=1", id="in a url"),
        pytest.param("4111111111111111 12/27 123", id="with its date and code"),
        pytest.param("4111 1111 1111 1111 12/27 123", id="spaced, with its date and code"),
        pytest.param("12 4111 1111 1111 1111", id="after another number"),
        pytest.param("4111 1111 1111 1111 12", id="before another number"),
        pytest.param("2026-11-20 4111111111111111", id="after a date"),
        pytest.param("4111111111111112 4111111111111111", id="after one with a wrong check digit"),
        pytest.param("  4111111111111111\n", id="blanks around"),
        pytest.param("x" * 20_000 + " 4111111111111111", id="far behind"),
        pytest.param("Card No.4111111111111111", id="after an abbreviation without a space"),
        pytest.param("It is 4111111111111111.Thanks", id="before a full stop without a space"),
        pytest.param("４１１１１１１１１１１１１１１１", id="full-width digits"),
    ],
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert found(text) == AT_NOTE


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(4111111111111111, id="int"),
        pytest.param(4111111111111111.0, id="float"),
        pytest.param(Decimal("4111111111111111"), id="decimal"),
        pytest.param(Decimal("4.111111111111111E+15"), id="decimal with an exponent"),
        pytest.param(4000000000000000006, id="int of 19 digits"),
    ],
)
def test_a_card_number_is_found_as_a_json_number(number: object) -> None:
    assert found(number) == AT_NOTE


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({"user_data": {"email": VISA}}, ("user_data", "email"), id="a field"),
        pytest.param({"a": [{"b": ["x", VISA]}]}, ("a", "0", "b", "1"), id="lists in lists"),
        pytest.param({"a": ("x", VISA)}, ("a", "1"), id="a tuple"),
        pytest.param([1, [2, [VISA]]], ("1", "1", "0"), id="lists alone"),
        pytest.param({"a": {VISA: 1}}, ("a", "(a key)"), id="a key"),
        pytest.param({"a": {"4111 1111 1111 1111": 1}}, ("a", "(a key)"), id="a key with spaces"),
        pytest.param({"a": {int(VISA): 1}}, ("a", "(a key)"), id="a key that is a number"),
        pytest.param({"a": {VISA: {"cvv": "123"}}}, ("a", "(a key)"), id="a key above another find"),
        pytest.param({"a": 1, "b": VISA, "c": VISA}, ("b",), id="the first of two"),
        pytest.param({"product_ids": ["sku", VISA]}, ("product_ids", "1"), id="a product id of 16 digits"),
        pytest.param({"product_ids": ["4222222222222"]}, ("product_ids", "0"), id="13 digits that are no EAN"),
        pytest.param({"phone": VISA}, ("phone",), id="a phone of 16 digits"),
        pytest.param({"rdt_cid": VISA}, ("rdt_cid",), id="a platform's id of 16 digits"),
    ],
)
def test_the_path_leads_to_the_card_data(value: Any, path: tuple[str, ...]) -> None:
    assert find_card_data(value) == path
    assert find_card_data(value, ("custom_data",)) == ("custom_data", *path)


@pytest.mark.parametrize(
    "key",
    [
        "card_number", "cardNumber", "CardNumber", "CARD-NUMBER", "Card Number", "card.number", "cardnumber", "card_no",
        "cardNo", "card_num", "creditCardNumber", "credit_card_number", "credit-card-no", "debit_card_no", "ccNumber",
        "cc_number", "cc_no", "ccnum", "cc", "pan", "PAN", "card_pan", "primary_account_number", "cvc", "CVC", "cvc2",
        "cvv", "Cvv", "cvv2", "c_v_v", "C.V.V.", "card_cvc", "cardCvv", "cvv_code", "cvc-code", "csc", "security_code",
        "securityCode", "card_security_code", "card_verification_value", "card_exp", "cardExpiry",
        "card_expiration_date", "cc_exp", "card_holder", "cardholder_name", "name_on_card", "track1", "track_2",
        "trackData", "magstripe", "pin_block", "card_pin",
        # Spellings that the rule should know as well.
        "credit_card_cvv", "creditCardCvv", "cc_cvv", "cvv_number", "ccv", "pan_number", "creditCardNum",
    ],
)  # fmt: skip
def test_a_key_that_names_card_data_is_found_whatever_it_holds(key: str) -> None:
    assert find_card_data({"properties": {key: "x"}}) == ("properties", key)
    assert find_card_data({"properties": {key: 123}}) == ("properties", key)
    assert find_card_data({"properties": {key: None}}) is None


@pytest.mark.parametrize("key", ["card", "creditCard", "credit_card", "payment_card", "bankCard", "debit-card"])
def test_a_key_that_may_name_a_brand_is_found_only_with_digits(key: str) -> None:
    assert find_card_data({key: "1234"}) == (key,)
    assert find_card_data({key: 1234}) == (key,)
    assert find_card_data({key: "visa"}) is None


@pytest.mark.parametrize(
    "key",
    [
        "japan", "company", "span", "pancake", "panel", "expansion", "account", "accountant", "discard", "postcard",
        "card_type", "card_brand", "scorecard", "success", "number", "order_number", "pin_color", "track", "holder",
        "payment_method", "subscription_id",
    ],
)  # fmt: skip
def test_a_key_that_only_sounds_like_card_data_is_not_found(key: str) -> None:
    assert find_card_data({"properties": {key: "visa 12"}}) is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("order_4111111111111111", id="part of a longer word, after"),
        pytest.param("4111111111111111_order", id="part of a longer word, before"),
        pytest.param("sku4111111111111111", id="glued to letters"),
        pytest.param("4111111111111111DE", id="glued to letters behind"),
        pytest.param("73.4111111111111111", id="the fraction of a number"),
        pytest.param("4111111111111111.5", id="a number with a fraction"),
        pytest.param(4.111111111111111, id="a small float"),
        pytest.param(4111111111111111.5, id="a float with a fraction"),
        pytest.param(
            "4111111111111111411111111111111141111111111111114111111111111111", id="a SHA-256 of digits alone"
        ),
        pytest.param("41111111111111114111111111111111", id="an MD5 of digits alone"),
        pytest.param("973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0", id="a SHA-256"),
        pytest.param("1596403881668", id="unix milliseconds"),
        pytest.param(1794000000000, id="unix milliseconds as a number"),
        pytest.param("1732114740000000000", id="unix nanoseconds"),
        pytest.param("20261120150000123", id="a compact date and time"),
        pytest.param("2026-11-20T14:59:00.123456Z", id="a date and time"),
        pytest.param("550e8400-e29b-41d4-a716-446655440000", id="a UUID"),
        pytest.param("41111111-1111-4016-8abc-def012345678", id="a UUID that begins like a Visa number"),
        pytest.param("550e8400-e29b-41d4-8112-111111111111", id="a UUID that ends like a UnionPay number"),
        pytest.param("1594924040000.550e8400-e29b-41d4-a716-446655440000", id="the _rdt_uuid cookie"),
        pytest.param("fb.1.1596403881668.1116446470", id="the _fbp cookie"),
        pytest.param("fb.1.1596403881668.4111111111111111", id="the _fbp cookie with a number like a card's"),
        pytest.param("GA1.1.1234567890.1794000000", id="the _ga cookie"),
        pytest.param("GS2.1.s1794000000$o1$g0$t1794000000$j60$l0$h0", id="the session cookie of Analytics"),
        pytest.param("+4917012345675", id="a German phone number"),
        pytest.param("+49 170 1234567", id="a German phone number with spaces"),
        pytest.param("+49 (0)170 123-45-675", id="a German phone number with brackets"),
        pytest.param("0049 170 12345675", id="a German phone number with 00"),
        pytest.param("+4917012345678907", id="a long number with a plus"),
        pytest.param("DE89 3704 0044 0532 0130 00", id="an IBAN"),
        pytest.param("203.0.113.42", id="an IP address"),
        pytest.param("2001:db8:1111:2222:3333:4444:5555:6666", id="an IPv6 address"),
        pytest.param("4111111111111112", id="wrong check digit"),
        pytest.param("4111 1111 1111 1112", id="wrong check digit, with spaces"),
        pytest.param(4111111111111112, id="wrong check digit, as a number"),
        pytest.param("1123456789012345", id="no issuer begins with 1"),
        pytest.param("9123456789012348", id="no issuer begins with 9"),
        pytest.param("2220123456789015", id="one below Mastercard's range"),
        pytest.param("2721123456789019", id="one above Mastercard's range"),
        pytest.param("30612345678904", id="one above Diners' range"),
        pytest.param("3527123456789013", id="one below JCB's range"),
        pytest.param("3590123456789015", id="one above JCB's range"),
        pytest.param("6431234567890125", id="one below Discover's range"),
        pytest.param("41234567890120", id="visa with 14 digits"),
        pytest.param("412345678901233", id="visa with 15 digits"),
        pytest.param("41234567890123458", id="visa with 17 digits"),
        pytest.param("412345678901234561", id="visa with 18 digits"),
        pytest.param("412345678905", id="12 digits"),
        pytest.param("41234567890123456787", id="20 digits"),
        pytest.param("511234567890121", id="mastercard with 15 digits"),
        pytest.param("3712345678901234", id="american express with 16 digits"),
        pytest.param("4111 1111", id="half a number"),
        pytest.param("", id="nothing"),
        pytest.param(None, id="null"),
        pytest.param(True, id="true"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(Decimal("sNaN"), id="a signalling decimal"),
        pytest.param(10**400, id="a number of 401 digits"),
    ],
)
def test_an_everyday_value_is_not_taken_for_a_card(value: object) -> None:
    assert found(value) is None


@pytest.mark.parametrize(
    "event_part",
    [
        pytest.param({"product_ids": [EAN_THAT_PASSES_LUHN]}, id="a product id"),
        pytest.param({"contents": [{"id": EAN_THAT_PASSES_LUHN, "quantity": 1}]}, id="the id of a basket's line"),
        pytest.param({"phone": "4917012345675"}, id="a phone number without a plus"),
        pytest.param({"rdt_cid": "4000000000000000006"}, id="a platform's id of 19 digits"),
    ],
)
def test_digits_are_no_card_where_articles_phones_and_platforms_have_their_numbers(event_part: dict[str, Any]) -> None:
    assert find_card_data(event_part, ("custom_data",)) is None


def test_thirteen_digits_that_pass_every_check_are_a_card_elsewhere() -> None:
    assert find_card_data({"order_id": EAN_THAT_PASSES_LUHN}) == ("order_id",)


def test_json_nested_thousands_deep_is_looked_through_without_an_error() -> None:
    deep: Any = VISA
    for _ in range(5000):
        deep = [deep]
    assert found(deep) is None  # read_event refuses it, because it is not flat


def test_a_key_that_names_card_data_and_holds_the_number_is_not_echoed() -> None:
    path = find_card_data({"card_number_4111111111111111": "x"})
    assert path is not None
    assert VISA not in ".".join(path)


NUMBERS = st.sampled_from([VISA, "378282246310005", "4000000000000000006", "30569309025904", "6200000000000005"])
SEPARATORS = st.sampled_from(["", " ", "-", " - "])
PLACES = st.sampled_from(
    [
        lambda text: text,
        lambda text: f"card {text}, please",
        lambda text: [text],
        lambda text: {"a": [1, {"b": text}]},
        lambda text: {text: "x"},
        lambda text: {f"my {text}": {"cvv": "x"}},
        lambda text: [{"x": {text: [text]}}],
    ]
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(NUMBERS, SEPARATORS, PLACES)
def test_the_path_never_holds_the_number(number: str, separator: str, place: Any) -> None:
    path = found(place(separator.join(re.findall(r"\d{1,4}", number))))
    assert path is not None
    assert number not in re.sub(r"\D", "", "".join(path))
