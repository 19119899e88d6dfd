"""Card data is found wherever it stands, everyday numbers are not taken for it, and the path never tells the number."""

from __future__ import annotations

import re
import time
import timeit
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.domain.cards import KINDS, TEXTS, WAYS, card_number, with_check_digit
from tests.drawing import drawn
from tests.factories import draft
from tracklayer.domain.card import find_card_data, may_name_card_data
from tracklayer.domain.read_event import read_event

VISA = "4111111111111111"
SPACED = "4111 1111 1111 1111"
EAN_THAT_PASSES_LUHN = "4006381333924"  # a German EAN-13 whose digits are a well-formed 13-digit Visa number too


def found(value: Any) -> tuple[str, ...] | None:
    """Where ``find_card_data`` finds something in an event whose ``properties`` hold ``value`` under ``note``."""
    return find_card_data({"properties": {"note": value}}, ("custom_data",))


AT_NOTE = ("custom_data", "properties", "note")


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("4571123456789016", id="dankort 4571"),
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
        pytest.param("5018123456789014", id="maestro 5018"),
        pytest.param("50181234567896", id="maestro 5018, 14 digits"),
        pytest.param("5019123456789013", id="dankort 5019"),
        pytest.param("5020123456789012340", id="maestro 5020, 19 digits"),
        pytest.param("5038123456789010", id="maestro 5038"),
        pytest.param("5600123456789018", id="maestro 56"),
        pytest.param("5893123456789014", id="maestro 5893"),
        pytest.param("6304000000000000", id="maestro 6304"),
        pytest.param("6759649826438453", id="maestro 6759"),
        pytest.param("6763123456789019", id="maestro 6763"),
        pytest.param("6771123456789019", id="maestro 6771"),
        pytest.param("6799123456789017", id="maestro 6799"),
        pytest.param("6062821234567890", id="hipercard 606282"),
        pytest.param("6370951234567892", id="hiper 637095"),
        pytest.param("5041751234567897", id="elo 504175"),
        pytest.param("5085123456789012", id="rupay 508"),
        pytest.param("9792123456789018", id="troy 9792"),
        pytest.param("8600123456789012", id="uzcard 8600"),
        pytest.param("9704123456789015", id="napas 9704"),
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
        pytest.param("4111.1111.1111.1111", id="points"),
        pytest.param("4111_1111_1111_1111", id="underscores"),
        pytest.param("4111,1111,1111,1111", id="commas"),
        pytest.param("4111\t1111\t1111\t1111", id="tabs"),
        pytest.param("4111\u200b1111\u200b1111\u200b1111", id="spaces without a width"),
        pytest.param("4111-1111 1111.1111", id="several signs"),
        pytest.param("41 11 11 11 11 11 11 11", id="pairs"),
        pytest.param("41111111 11111111", id="halves"),
        pytest.param("4000 0000 0000 0000 006", id="19 digits in groups"),
        pytest.param("4111%2520-%25201111%2520-%25201111%2520-%25201111", id="percent-encoded twice"),
        pytest.param("%B4111111111111111^DOE/JANE^2712101", id="a magnetic stripe"),
        pytest.param("exp 1227: 4111 1111 1111 1111", id="after a date of four digits"),
        pytest.param("4111 1111 1111 1111 1227", id="before a date of four digits"),
        pytest.param("4111 1111 1111 1112 4111 1111 1111 1111", id="after another one in groups"),
        pytest.param("order_4111111111111111", id="part of a longer word, after"),
        pytest.param("4111111111111111_order", id="part of a longer word, before"),
        pytest.param("sku4111111111111111DE", id="between letters"),
        pytest.param("4111111111111111.5", id="a number with a fraction"),
        pytest.param("+4111111111111111", id="with a plus"),
        pytest.param('{"note":"4111111111111111"}', id="in json text, under a name that is no id"),
        pytest.param("https://shop.example.com/4111111111111111", id="in the path of a url"),
        pytest.param("④①①①①①①①①①①①①①①①", id="digits in circles"),
        pytest.param("⁴¹¹¹ ¹¹¹¹ ¹¹¹¹ ¹¹¹¹", id="superscript digits"),
        pytest.param("₄₁₁₁₁₁₁₁₁₁₁₁₁₁₁₁", id="subscript digits"),
        pytest.param("❹❶❶❶➀➀➀➀⑴⑴⑴⑴⒈⒈⒈⒈", id="digits in all kinds of frames"),
        pytest.param("411111111111111¹", id="one digit of another kind"),
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
        pytest.param({"product_ids": ["sku", SPACED]}, ("product_ids", "1"), id="a product id as cards are printed"),
        pytest.param({"event_id": SPACED}, ("event_id",), id="an event id as cards are printed"),
        pytest.param({"event_name": f"Paid {VISA}"}, ("event_name",), id="the name of an event"),
        pytest.param({"phone": VISA}, ("phone",), id="a phone of 16 digits"),
        pytest.param({"phone": "+378282246310005"}, ("phone",), id="a phone of 15 digits that cannot be dialled"),
        pytest.param({"rdt_cid": "4111-1111-1111-1111"}, ("rdt_cid",), id="a platform's id as cards are printed"),
        pytest.param({"item_price": int(VISA)}, ("item_price",), id="a price"),
        pytest.param({"order_note": VISA}, ("order_note",), id="a note beside an order"),
        pytest.param({"gift_card_id": VISA}, ("gift_card_id",), id="an id of a card"),
    ],
)
def test_the_path_leads_to_the_card_data(value: Any, path: tuple[str, ...]) -> None:
    assert find_card_data(value) == path
    assert find_card_data(value, ("custom_data",)) == ("custom_data", *path)


NUMBERS_OF_CARDS = ("4111111111111112", 411111111111, "4111 1111 1111 1112", ["x", "4111111111111112"])
CODES = ("123", "1234", 123, " 0 1 2 ", "CVV: 123", {"a": [123]}, "\uff11\uff12\uff13")
NAMES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (
        "card_number cardNumber CardNumber CARD-NUMBER card.number cardnumber card_no cardNo card_num creditCardNumber "
        "credit_card_number credit-card-no debit_card_no ccNumber cc_number cc_no ccnum cc pan PAN card_pan "
        "primary_account_number pan_number creditCardNum card creditCard credit_card payment_card bankCard debit-card",
        NUMBERS_OF_CARDS,
    ),
    (
        "cvc CVC cvc2 cvv Cvv cvv2 c_v_v C.V.V. card_cvc cardCvv cvv_code cvc-code csc security_code securityCode "
        "card_security_code card_verification_value credit_card_cvv creditCardCvv cc_cvv cvv_number ccv CVVcode cardcvv",
        CODES,
    ),
    ("card_exp cardExpiry card_expiration_date cc_exp", ("12/27", "1227", "12 / 2027", "2027-12", 1227)),
    ("card_holder cardholder_name name_on_card", ("Jane Doe", "JANE DOE")),
    ("track1 track_2 trackData magstripe", ("%B4111111111111112^DOE/JANE^2712", "4111111111111112=2712")),
    ("pin_block", ("0412AC89ABCDEF67",)),
    ("card_pin", ("1234", 1234)),
)
TELLS_NOTHING = (None, True, "", "x", "yes", "pass", "M", "unchecked", 1)


@pytest.mark.parametrize(("key", "values"), [(key, values) for keys, values in NAMES for key in keys.split()])
def test_a_key_that_names_card_data_is_found_where_its_value_could_be_that(key: str, values: tuple[Any, ...]) -> None:
    for value in values:
        assert find_card_data({"properties": {key: value}}) == ("properties", key), value
    for value in TELLS_NOTHING:
        assert find_card_data({"properties": {key: value}}) is None, value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cvc_check", "pass"), ("cvcCheck", "123"), ("cvv_result", "M"), ("avs_cvv_result", "200"), ("avs_cvv_result", 100),
        ("cvv_response_code", "1234"), ("cvv2Match", True), ("security_code_check", "unchecked"),
        ("card_number", "**** **** **** 4242"), ("card_number", "411111******1111"), ("card_number", "4242"),
        ("card_number", "tok_1Mq2x3"), ("card", "visa ending in 4242"), ("card_last4", "4242"), ("pan", "ABCPE1234F"),
        ("cvv", "12"), ("cvv", "12345"), ("cvv", 129.99), ("cvv", "provided"), ("recv_value", "123"), ("cc", "US"),
        ("track1", "Bohemian Rhapsody 1975"), ("cardholder", "yes"), ("card_exp", "never"),
    ],
)  # fmt: skip
def test_a_key_that_names_card_data_is_not_found_where_its_value_tells_something_else(key: str, value: Any) -> None:
    assert find_card_data({"properties": {key: value}}) is None


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
        pytest.param("73.4111111111111111", id="the fraction of a number"),
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
        pytest.param("DE89 3704 0044 0532 0130 00", id="an IBAN"),
        pytest.param("ES91 2100 0418 4502 0005 1332, DE89370400440532013000", id="two IBANs"),
        pytest.param("61 1090 1014 0000 0712 1981 2874", id="a Polish account number"),
        pytest.param("9405 5036 9930 0012 3456 78", id="a parcel of the postal service of the United States"),
        pytest.param("302-8288665-7982029", id="an order of a marketplace"),
        pytest.param("GPA.3312-3456-7890-12345", id="an order of an app store"),
        pytest.param("30.11.2026 14:59:00", id="a date with a time"),
        pytest.param("30-11-2026-14-59-00", id="a date with a time, hyphens between"),
        pytest.param("52.520008,13.404954", id="a place on the map"),
        pytest.param("0.4111111111111111", id="a share"),
        pytest.param("34 36 38 40 42 44 46 48", id="sizes of clothes"),
        pytest.param("50667, 50668, 50670", id="postal codes"),
        pytest.param("2600:1700:1234:5678::1", id="a short IPv6 address"),
        pytest.param("2401:4900:4111:1111:1111:1111:1111:1111", id="an IPv6 address of digits alone"),
        pytest.param("507f1f77bcf86cd799439011", id="an ObjectId"),
        pytest.param("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.6778.86 Safari/537.36", id="a user agent"),
        pytest.param("4111111111111 4006381333924", id="13 digits"),
        pytest.param('{"sku":"4111111111111111"}', id="in json text, under a name that is an id"),
        pytest.param("https://shop.example.com/a?variant=4111111111111111&x=1", id="a url's parameter that is an id"),
        pytest.param("https://shop.example.com/orders/4111111111111111/thanks", id="a url's order"),
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
        pytest.param({"product_ids": [EAN_THAT_PASSES_LUHN, VISA]}, id="a product id"),
        pytest.param({"contents": [{"id": EAN_THAT_PASSES_LUHN, "quantity": 1}]}, id="the id of a basket's line"),
        pytest.param({"properties": {"variantId": int(VISA)}}, id="a number that is an id by its name"),
        pytest.param({"event_id": f"purchase_{VISA}"}, id="the id of an event"),
        pytest.param({"phone": "4917012345675"}, id="a phone number without a plus"),
        pytest.param({"rdt_cid": "4000000000000000006"}, id="a platform's id of 19 digits"),
    ],
)
def test_digits_are_no_card_where_articles_phones_and_platforms_have_their_numbers(event_part: dict[str, Any]) -> None:
    assert find_card_data(event_part, ("custom_data",)) is None


def test_thirteen_digits_that_pass_every_check_are_no_card() -> None:
    assert found(EAN_THAT_PASSES_LUHN) is None
    assert found("4222 2222 2222 2") is None


@pytest.mark.parametrize(
    "key",
    [
        "sku", "SKU", "skus", "ean", "EAN13", "gtin14", "GTINs", "isbn", "upc", "imei", "productId", "product-id",
        "productIDs", "product_ids", "orderNumber", "ordernumber", "order_no", "invoice", "invoiceNo", "ticketNumber",
        "tracking_number", "trackingCodes", "variant", "campaignId", "campaignid", "ad_id", "adset", "externalId",
        "transaction_id", "bookingReference", "barcode", "items[0][id]", "created_at", "timestamp", "utm_campaign",
        "fbclid", "_ga", "cnpj", "siret", "sendungsnummer", "Bestellnummer", "lieferscheinNr", "numero_pedido", "numeroCommande",
        "numero_fattura", "zamowienie", "siparis_no", "ordrenummer", "bestelnummer",
    ],
)  # fmt: skip
def test_bare_digits_are_an_id_where_the_key_says_so(key: str) -> None:
    assert find_card_data({"properties": {key: VISA}}) is None
    assert find_card_data({"event_source_url": f"https://shop.example.com/?{key}={VISA}&x=1"}) is None
    assert find_card_data({"properties": {key: SPACED}}) == ("properties", key)


@pytest.mark.parametrize(
    "key",
    ["注文番号", "商品ID", "订单号", "주문번호", "número_pedido", "numéroCommande", "zamówienie", "sipariş", "objednávka",
     "номер_заказа", "артикул", "رقم الطلب"],
)  # fmt: skip
def test_bare_digits_are_an_id_where_a_key_of_another_script_says_so(key: str) -> None:
    assert find_card_data({"properties": {key: VISA}}) is None
    assert find_card_data({"properties": {key: SPACED}}) == ("properties", key)


@pytest.mark.parametrize(
    "key",
    [
        "カード番号",
        "注文カード番号",
        "卡号",
        "카드번호",
        "номер_карты",
        "número_tarjeta",
        "cartão",
        "备注",
        "примечание",
    ],
)
def test_bare_digits_are_a_card_under_a_key_of_another_script_that_says_anything_else(key: str) -> None:
    assert find_card_data({"properties": {key: VISA}}) == ("properties", key)


@pytest.mark.parametrize(
    "key",
    ["note", "kartennummer", "numero_tarjeta", "coupon", "orderNote", "product_name", "productname", "x", "paid", "grid", "value", "item_price", "message", "adventure",
     "card_id", "description", "status", "n", "headline", "add"],
)  # fmt: skip
def test_bare_digits_are_a_card_where_the_key_says_anything_else(key: str) -> None:
    assert find_card_data({"properties": {key: VISA}}) == ("properties", key)
    assert find_card_data({"event_source_url": f"https://shop.example.com/?{key}={VISA}&x=1"}) == ("event_source_url",)


@pytest.mark.parametrize(
    "rest",
    [
        f"pay?card_number={VISA}&cvv=123", "pay?cvv=123", "pay?a=1&cvv=123#x", "pay?CVC2=1234&x=y", "pay#cvv=123",
        "pay?x%26cvv%3D123", "pay?cvv=%31%32%33", "pay?to=%2Fx%3Fcvv%3D123", "pay?%63vv=123", "pay?card_exp=12%2F27",
        "pay?card_number=4111111111111112", "pay?cc-exp=1227", "pay?cvv=+123", "pay?security_code=1234;x=1",
    ],
)  # fmt: skip
def test_a_url_with_a_parameter_of_card_data_is_found(rest: str) -> None:
    assert find_card_data({"event_source_url": f"https://shop.example.com/{rest}"}) == ("event_source_url",)


@pytest.mark.parametrize(
    "rest",
    [
        "pay?cvc_check=pass", "pay?cvv=", "pay?cvv=yes&order=1234", "success?order=1234", "account/123?page=123",
        "?utm_source=google&utm_campaign=120210000000000000&gclid=CjwKCAiA9bq6BhAHEiwAH6bqoA", "cards/1234?size=1234",
    ],
)  # fmt: skip
def test_an_everyday_url_is_not_taken_for_card_data(rest: str) -> None:
    assert find_card_data({"event_source_url": f"https://shop.example.com/{rest}"}) is None


def test_json_nested_thousands_deep_is_looked_through_without_an_error() -> None:
    deep: Any = VISA
    for _ in range(5000):
        deep = [deep]
    assert found(deep) is None  # read_event refuses it, because it is not flat
    assert find_card_data({"cvv": deep}) is None


def test_a_key_that_names_card_data_and_holds_the_number_is_not_echoed() -> None:
    path = find_card_data({"card_number_4111111111111111": "4111111111111112"})
    assert path is not None
    assert VISA not in ".".join(path)


# At scale ------------------------------------------------------------------------------------------------------------


def is_refused(event: dict[str, Any]) -> bool:
    read = read_event(draft(**event), NOW)
    return isinstance(read, list) and read[0].code == "CARD_DATA"


def test_a_card_number_of_any_scheme_is_refused_in_text_however_it_is_written() -> None:
    random = Random(15)
    assert len(WAYS) >= 40
    passed = []
    for count in range(5_100):
        way, place = WAYS[count % len(WAYS)], TEXTS[count // len(WAYS) % len(TEXTS)]
        event = place(way(card_number(random)))
        if not is_refused(event):
            passed.append(event)
    assert passed == []


def test_an_everyday_id_is_never_refused_where_it_stands_in_everyday_life() -> None:
    random = Random(15)
    assert len(KINDS) == 12
    refused = []
    for _, make, places in KINDS:
        for count in range(1_700):
            event = places[count % len(places)](make(random))
            if is_refused(event):
                refused.append(event)
    assert refused == []


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind[0]) for kind in KINDS if "(" not in kind[0]])
def test_the_numbers_of_the_everyday_ids_would_often_pass_as_cards(kind: Any) -> None:
    """Or the test above would show nothing: in text, some of them are refused."""
    random = Random(15)
    _, make, _ = kind
    luhn = [
        number
        for _ in range(3_000)
        if (number := re.sub(r"\D", "", make(random)))[:1] and with_check_digit(number[:-1]) == number
    ]
    assert len(luhn) > 100


@pytest.mark.parametrize(
    "piece",
    ["4111 1111 ", "1a", "4111111111111", "%", "%25", "DE89 ", "1:", "4111111111111112 ", f"{VISA}:::", "- ", "::"],
)
def test_a_text_takes_as_long_to_search_as_it_is_long(piece: str) -> None:
    short, long = (time_of(f"/sku/{piece * (count // len(piece))}") for count in (8_000, 64_000))
    assert long < 8 * 8 * short


@pytest.mark.parametrize("piece", ["=1-", "&a=1-", "?cvv=1;", "&cvv=%3", "=4111111111111111&"])
def test_a_url_takes_as_long_to_search_as_it_is_long(piece: str) -> None:
    short, long = (
        time_of(f"https://shop.example.com/?{piece * (count // len(piece))}", "event_source_url")
        for count in (8_000, 64_000)
    )
    assert long < 8 * 8 * short


def time_of(text: str, name: str = "note") -> float:
    """Of the processor: what others do meanwhile is not counted."""
    looked = lambda: (find_card_data({name: text}), may_name_card_data(text))  # noqa: E731
    return min(timeit.repeat(looked, timer=time.process_time, number=1, repeat=5))


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


@drawn(150)
@given(NUMBERS, SEPARATORS, PLACES)
def test_the_path_never_holds_the_number(number: str, separator: str, place: Any) -> None:
    path = found(place(separator.join(re.findall(r"\d{1,4}", number))))
    assert path is not None
    assert number not in re.sub(r"\D", "", "".join(path))
