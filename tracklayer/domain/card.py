"""Finds card data, so that it is refused before anything is stored. Says where it is, never what it is.

Issuer ranges and lengths: ISO/IEC 7812 prefixes as the card networks publish them; check digit: Luhn, ISO/IEC 7812-1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

# Digits in groups, 13 or more in all, not glued to a word (order_4111...), to a decimal (1.4111...) or to a plus,
# which begins a phone number.
_RUN = re.compile(
    r"(?<![\w+])(?<!\d\.)\d(?:[ \u00a0\u2010-\u2015-]{0,3}\d){12,}(?!\w)(?!\.\d)",
)
_UUID = re.compile(r"(?<!\w)[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)")
_GROUP = re.compile(r"\d+")

_KEYS = frozenset(
    "pan ccv csc cvn cid2 cardcvc cardcvv cardcsc cardcode securitycode cardno cardnum cardnr ccno ccnum "
    "ccnumber cc cardpan primaryaccountnumber cardexp cardexpiry cardexpirydate cardexpiration cardexpirationdate "
    "ccexp ccexpiry cardholder cardholdername nameoncard cardpin pinblock track1 track2 trackdata track1data track2data "
    "magstripe magneticstripe".split()
)
_KEY_PARTS = ("cardnum", "cardverification", "cardsecurity", "creditcardno", "debitcardno", "cvv", "cvc", "pannumber")
_MOST_DIGITS_SHOWN = 6  # of a key: one that holds more may be the number itself
_KEYS_IF_DIGITS = frozenset({"card", "creditcard", "debitcard", "paymentcard", "bankcard"})
_NOT_LETTERS = re.compile(r"[\W_]+")

# (first digits from, to, lengths): from and to have the same number of digits.
_ISSUERS: tuple[tuple[str, str, frozenset[int]], ...] = tuple(
    (low, high, frozenset(lengths))
    for low, high, lengths in (
        ("4", "4", (13, 16, 19)),  # Visa
        ("51", "55", (16,)),  # Mastercard
        ("2221", "2720", (16,)),
        ("34", "34", (15,)),  # American Express
        ("37", "37", (15,)),
        ("6011", "6011", (16, 17, 18, 19)),  # Discover
        ("644", "649", (16, 17, 18, 19)),
        ("65", "65", (16, 17, 18, 19)),
        ("62", "62", (16, 17, 18, 19)),  # UnionPay
        ("81", "81", (16, 17, 18, 19)),
        ("300", "305", (14, 15, 16, 17, 18, 19)),  # Diners Club
        ("3095", "3095", (14, 15, 16, 17, 18, 19)),
        ("36", "36", (14, 15, 16, 17, 18, 19)),
        ("38", "39", (14, 15, 16, 17, 18, 19)),
        ("3528", "3589", (16, 17, 18, 19)),  # JCB
        ("2200", "2204", (16, 17, 18, 19)),  # Mir
        ("5018", "5018", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
        ("5020", "5020", (13, 14, 15, 16, 17, 18, 19)),
        ("5038", "5038", (13, 14, 15, 16, 17, 18, 19)),
        ("5893", "5893", (13, 14, 15, 16, 17, 18, 19)),
        ("6304", "6304", (13, 14, 15, 16, 17, 18, 19)),
        ("6759", "6763", (13, 14, 15, 16, 17, 18, 19)),
    )
)

_MAX_DEPTH = 12
_PRODUCT_IDS = frozenset({"product_ids", "id"})  # where a 13-digit number is far more often a GTIN than a Visa card
_PHONE = frozenset({"phone"})
_PLATFORM_IDS = frozenset(
    "fbp fbc fbclid ttp ttclid gclid gbraid wbraid ga_client_id ga_session_id epik sc_click_id sc_cookie1 li_fat_id "
    "rdt_cid rdt_uuid msclkid twclid".split()
)


# What a card number begins like: wider than ``_RUN``, and quick, because the first digit is looked for first.
_MAYBE = re.compile(r"\d(?<!\w\d)(?<!\d\.\d)(?:[ \u00a0\u2010-\u2015-]{0,3}\d){12}")


def may_hold_card_number(value: Any) -> bool:
    """False for a scalar that can be no card number, at a fraction of what looking closely costs."""
    if type(value) is str:
        if len(value) < 13:
            return False
        # In one word with a letter in it no number stands alone.
        return value.isdigit() if value.isalnum() else _MAYBE.search(value) is not None
    return type(value) not in (bool, type(None)) and not -(10**12) < value < 10**12


_LONG = b"0" * 13
# Every digit becomes 0, every byte that no card number holds becomes x; what may stand between digits is left out.
_SHAPE = bytes(ord("0") if 48 <= byte <= 57 else ord("x") for byte in range(256))
_BETWEEN = b" -" + bytes(range(128, 256))
_ASCII = bytes(range(128))
_DIGIT = re.compile(r"\d")


def count_long_numbers(written: bytes) -> int:
    """How many numbers of 13 and more digits stand in JSON, at a hundredth of what looking closely costs.

    0: no text in it holds a card number (a number of it may: ``1e16``). One number may be counted twice, none is missed.
    """
    if not written.isascii() and _DIGIT.search(written.translate(None, _ASCII).decode()):
        return 1000  # digits of another script: look closely
    return written.translate(_SHAPE, _BETWEEN).count(_LONG)


def is_card_name(name: str) -> bool:
    """True for a key that names card data, whatever stands in it."""
    return bool(_names_card_data(name))


def find_card_data(value: Any, path: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """The path of the first card data below ``value`` (JSON: mappings, sequences, scalars), or None."""
    found = _find(value, path[-1] if path else "", _MAX_DEPTH)
    return None if found is None else (*path, *found)


def _find(value: Any, field: str, depth: int) -> tuple[str, ...] | None:
    """The path below ``value``, which stands in ``field``. Every event passes here: nothing is built but on a find."""
    if isinstance(value, str):
        return () if len(value) >= 13 and _holds_card_number(value, field) else None
    if value is None or isinstance(value, bool) or not depth:
        return None  # deeper than any event may be: it is refused for that
    if isinstance(value, Mapping):
        for key, inner in value.items():
            text = str(key)
            if len(text) >= 13 and _holds_card_number(text, field):
                return ("(a key)",)  # the key is the number: it must not be echoed
            names = _names_card_data(text)
            if names and inner is not None and (names == "always" or any(c.isdigit() for c in str(inner))):
                return (text if sum(map(str.isdigit, text)) <= _MOST_DIGITS_SHOWN else "(a key)",)
            found = _find(inner, text, depth - 1)
            if found is not None:
                return (text, *found)
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            found = _find(inner, field, depth - 1)
            if found is not None:
                return (str(index), *found)
    elif isinstance(value, int | float | Decimal):
        number = Decimal(value)
        if number.is_finite() and 10**12 <= abs(number) < 10**20 and number == number // 1:
            return () if _holds_card_number(f"{abs(number):.0f}", field) else None
    return None


@lru_cache(maxsize=4096)  # the same few names in every event
def _names_card_data(key: str) -> str:
    """``always``, ``with digits`` (a kind of payment is no card, a number in it is), or nothing."""
    letters = _NOT_LETTERS.sub("", key).lower()
    if letters in _KEYS or any(part in letters for part in _KEY_PARTS):
        return "always"
    return "with digits" if letters in _KEYS_IF_DIGITS else ""


def _holds_card_number(text: str, field: str) -> bool:
    if not _RUN.search(text):
        return False
    for run in _RUN.finditer(_UUID.sub("uuid", text)):
        groups = [_ascii_digits(group) for group in _GROUP.findall(run.group())]
        for start in range(len(groups)):
            digits = ""
            for group in groups[start:]:
                digits += group
                if len(digits) > 19:
                    break
                if len(digits) >= 13 and _is_card_number(digits) and not _is_something_else(digits, field):
                    return True
    return False


def _ascii_digits(group: str) -> str:
    return group if group.isascii() else "".join(str(unicodedata.digit(c)) for c in group)


def _is_card_number(digits: str) -> bool:
    length = len(digits)
    issued = any(low <= digits[: len(low)] <= high and length in lengths for low, high, lengths in _ISSUERS)
    return issued and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if index % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _is_something_else(digits: str, field: str) -> bool:
    """A number that chance made look like a card, where cards of that length are rare and such numbers are not.

    Thirteen digits are a card in old books only; an EAN or a phone number of that length is an everyday thing. Ids of
    platforms are random numbers of up to 19 digits; cards longer than 16 are next to none.
    """
    if field in _PLATFORM_IDS:
        return len(digits) > 16 or len(digits) == 13
    if len(digits) != 13:
        return False
    if field in _PHONE:
        return True
    return field in _PRODUCT_IDS and sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0
