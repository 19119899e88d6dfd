"""Finds card data in an event, so that it is refused before anything is stored. Says where it is, never what it is.

A card number is 14 to 19 digits that begin as an issuer's do, have a length of that issuer's, and pass the Luhn check.
One in 30 numbers of 16 digits does so by chance, so where it stands decides, as with the scanners of the payment
industry:

- **In text** (names, titles, searches, user agents, properties and URL parameters of any other name) such a number is
  a card, whatever letters or signs surround it. Digits behind a decimal point are a fraction, not a number of their own.
- **In an id** (a name that says order, product, campaign, EAN, id and the like, see ``card_names``) bare digits are an id.
- **As cards are printed** it is a card everywhere: 4-4-4-4 and what is left, 4-6-5, 4-6-4, or every digit alone,
  between any signs. A longer row of fours is no card (USPS and bank account numbers are printed so), unless it is
  several cards; one more four may be the expiry date.
- Other groups count in text alone, and only with one and the same sign between them: twos, threes, blocks of four run
  together, 6-13. So dates with times, prices, 302-8288665-7982029 and lists of sizes are never glued into a card.
- A phone of 14 or 15 digits is a phone where it stands in a phone's field and can be dialled.

Digits of every script count, and what is percent-encoded is decoded, up to eight times over; a number that decoding would
make unreadable, because it stands right behind a percent sign, is looked at as sent.
UUIDs, digests, IPv6 addresses and IBANs with a right check number are put aside. A name that says card data
(``cvv``) refuses what could be that (three or four digits), not what tells a result (``cvc_check: pass``).

Everyday events are not searched so: ``may_hold_card_data`` looks over their bytes, and what it passes holds nothing
that ``find_card_data`` would find.

What makes digits a card's is told in ``card_number``, and what a name says of its value in ``card_names``; here an event is
searched by both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from tracklayer.domain.card_names import ID, PHONE, TEXT, card_name, kind_by_name
from tracklayer.domain.card_number import BEGINS, FEWEST, MOST, is_card_number, is_grouped, is_printed, without_known
from tracklayer.domain.phone import phone_e164
from tracklayer.domain.problem import shown_name

_LEAST = 10 ** (FEWEST - 1)
_MOST_OF_NAME = 255  # characters: a longer one says nothing, and is not kept in memory
_MOST_OF_PARAMETER = 64  # characters of its name that are looked at
_MAX_DEPTH = 12  # of the objects that are searched: deeper than any event may be
_MOST_ENCODINGS = 8  # of a text, one around the other

# The quick look ------------------------------------------------------------------------------------------------------

_LONG = b"0" * FEWEST
# Every digit becomes 0, letters and quotes become x; what may stand between digits is left out.
_SHAPE = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord("x") for byte in range(256))
_BETWEEN = bytes(byte for byte in range(256) if byte > 127 or not (chr(byte).isalnum() or chr(byte) == '"'))
_ASCII = bytes(range(128))
# Of every script, and those that are no digits to \d: ², ①, ⑴, ❶ and the like, as Unicode's numeric type Digit has them.
_DIGIT = re.compile(
    r"[\d²³¹\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea"
    r"\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\U00010a40-\U00010a43\U00010e60-\U00010e68"
    r"\U00011052-\U0001105a\U0001f100-\U0001f10a]"
)
_PERCENT, _BACKSLASH = ord("%"), ord("\\")
# Once decoded, letters in it may be signs; its digits stay, so that no run becomes shorter.
_ENCODED = re.compile(rb"%[%0-9A-Fa-f]+")
_HEXADECIMAL = b"%abcdefABCDEF"
_BETWEEN_ENCODED = _BETWEEN + _HEXADECIMAL

_META_COOKIE = re.compile(r"fb\.[0-2]\.[0-9]{13}\.[A-Za-z0-9_-]+")
_META_NUMBERS = re.compile(r"fb\.[0-2]\.[0-9]{10,13}\.[0-9]{1,20}")
_GA_NUMBERS = re.compile(r"[0-9]{5,10}\.[0-9]{10}")
_PRECISE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}[+-][0-9]{2}:[0-9]{2}")  # 16 digits after T
# Bare digits of a parameter, with letters behind them: an id, where its name says so.
_NUMBER_OF_URL = re.compile(r"=[0-9]{14,27}(?=&[A-Za-z]|#[A-Za-z]|\Z)")
# Every way in which cards are printed has one of these beginnings.
_GROUPED = re.compile(
    r"(?<![0-9])(?:[0-9]{4}[\W_]+(?:[0-9]{4}[\W_]+[0-9]{2}|[0-9]{6}[\W_]+[0-9]{4})"
    r"|[0-9][\W_]+[0-9][\W_]+[0-9][\W_]+[0-9](?![0-9]))"
)
# What a card's code, date or number could be: 3 to 8 digits, or 12 and more.
_NUMBER_IN_URL = re.compile(
    r"=[^\w&#;?=]{0,3}(?P<digits>(?:[^a-zA-Z0-9&#;?=]?[0-9]){3,8}|(?:[^a-zA-Z0-9&#;?=]?[0-9]){12,})[^\w&#;?=]*"
    r"(?=[&#;?=]|\Z)"
)
# Every such number begins so. No code and no date is 5 or 7 to 11 bare digits long; those of 14 to 27 are counted among
# the long numbers.
_MAY_BE_NUMBER_IN_URL = re.compile(
    r"=(?![A-Za-z&#]|(?:[0-9]{5}|[0-9]{7,11}|[0-9]{14,27})(?:[&#]|\Z))[0-9]{0,2}+[^A-Za-z&#]"
)
_HIDDEN_IN_URL = re.compile(r"%(?:25|3[dD]|[0-9A-Fa-f]?%)")  # what is an equals sign once decoded


def may_hold_card_number(number: float | Decimal) -> bool:
    """Whether a JSON number has as many digits as a card."""
    return not -_LEAST < number < _LEAST


def may_name_card_data(url: str) -> bool:
    """False for a URL that has no parameter which is named as card data and holds what could be that."""
    if not url.isascii() or ("%" in url and _HIDDEN_IN_URL.search(url)):
        return True
    found = _MAY_BE_NUMBER_IN_URL.search(url)
    while found:
        name = _name_of_parameter(url, found.start())
        if "%" in name or card_name(name):
            return True
        found = _MAY_BE_NUMBER_IN_URL.search(url, found.end())
    return False


def _name_of_parameter(url: str, end: int) -> str:
    """What stands before the equals sign at ``end``; of a long name its end."""
    begin = max(0, end - _MOST_OF_PARAMETER)
    name = url[max(begin, url.rfind("&", begin, end) + 1) : end]
    if name.isidentifier():
        return name
    return name[max(name.rfind("="), name.rfind("?"), name.rfind("#"), name.rfind(";")) + 1 :]


def may_hold_card_data(draft: Mapping[str, Any], written: bytes) -> bool:
    """False where no text of the draft, written as JSON, holds a card number.

    Its numbers, and the names of its properties and URL parameters, are left to whoever reads them.
    """
    if not written.isascii() and _DIGIT.search(written.translate(None, _ASCII).decode(errors="replace")):
        return True  # digits of another script
    if _BACKSLASH in written:
        for escaped in (rb"\"", rb"\n", rb"\t", rb"\r"):
            written = written.replace(escaped, b"")
    if _PERCENT in written and not _is_harmless_encoded(draft.get("event_source_url"), written):
        written = _ENCODED.sub(_without_letters, written)
    count = written.translate(_SHAPE, _BETWEEN).count(_LONG)
    return count > 0 and not _are_everyday(count, draft)


def _is_harmless_encoded(url: Any, written: bytes) -> bool:
    """Whether only the URL is percent-encoded, and holds no long number whatever its encoding hides."""
    if type(url) is not str or url.count("%") != written.count(b"%"):
        return False
    return _LONG not in url.encode().translate(_SHAPE, _BETWEEN_ENCODED)


def _without_letters(encoded: re.Match[bytes]) -> bytes:
    return encoded[0].translate(None, _HEXADECIMAL)


def _are_everyday(count: int, draft: Mapping[str, Any]) -> bool:
    """Whether that many long numbers are ids which find_card_data would pass: each stands alone between quotes."""
    person = draft.get("user_data")
    if type(person) is not dict:
        return False
    cookie = person.get("fbp")
    if type(cookie) is str and _META_NUMBERS.fullmatch(cookie):
        count -= (len(cookie) - 5) // FEWEST
        if not count:
            return True
    cookie = person.get("fbc")
    if type(cookie) is str and _META_COOKIE.fullmatch(cookie):
        count -= 1  # of its first part and the time; what the last part holds is left
        if not count:
            return True
    text = person.get("ga_client_id")
    if type(text) is str and _GA_NUMBERS.fullmatch(text):
        count -= 1
        if not count:
            return True
    time = draft.get("occurred_at")
    if type(time) is str and len(time) == 32 and _PRECISE_TIME.fullmatch(time):
        count -= 1
        if not count:
            return True
    url = draft.get("event_source_url")
    if type(url) is str and "=" in url:
        for found in _NUMBER_OF_URL.finditer(url):
            name = _name_of_parameter(url, found.start())
            count -= (
                name.isidentifier()
                and len(name) < _MOST_OF_PARAMETER
                and name[-1].isalpha()
                and kind_by_name(name) == ID
            )
        if not count:
            return True
    count -= _long_numbers_of_ids(_ids_of(draft, person))
    if count == 1:  # an address that is made of an order's number: only of what is left one looks closely
        count -= _long_numbers_of_email(person.get("email"))
    return count == 0


def _ids_of(draft: Mapping[str, Any], person: Mapping[str, Any]) -> list[Any]:
    """What stands in the fields that hold an id by their meaning."""
    found = [person.get("external_id", ""), draft.get("event_id", "")]
    if not person.keys().isdisjoint(_RARE_ID_FIELDS):
        found += [person.get(name, "") for name in _RARE_ID_FIELDS]
    custom = draft.get("custom_data")
    if type(custom) is dict:
        found.append(custom.get("order_id", ""))
        products, lines = custom.get("product_ids"), custom.get("contents")
        if type(products) is list:
            found += products
        if type(lines) is list:
            found += [line.get("id") for line in lines if type(line) is dict]
    return found


def _long_numbers_of_ids(values: list[Any]) -> int:
    """How many of the counted numbers the texts among them hold; none of an id which could be a card."""
    try:
        together = "x".join(values)  # a letter: nothing goes on from one to the next
    except TypeError:
        values = [value for value in values if type(value) is str]
        together = "x".join(values)
    if together.isascii() and "%" not in together and not _GROUPED.search(together):
        return _long_numbers(together)
    return sum(map(_long_numbers_of_id, values))


def _long_numbers_of_email(value: Any) -> int:
    """How many of the counted numbers it holds; 0 where the close look finds a card."""
    if type(value) is not str or not value.isascii() or "%" in value or "\\" in value or '"' in value:
        return 0
    found = _long_numbers(value)
    return 0 if found and _holds_card_number(value, kind_by_name("email")) else found


_RARE_ID_FIELDS = ("rdt_uuid", "rdt_cid", "browser_id")


def _long_numbers_of_id(value: str) -> int:
    """How many of the counted numbers it holds; 0 where one of them could be a card."""
    if not value.isascii() or "%" in value or _GROUPED.search(value):
        return 0
    return _long_numbers(value)


def _long_numbers(text: str) -> int:
    return text.encode().translate(_SHAPE, _BETWEEN).count(_LONG)


# The close look ------------------------------------------------------------------------------------------------------


def find_card_data(value: Any, path: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """The path of the first card data in an event's draft, or in ``value`` (JSON) which stands at ``path``; or None."""
    found = _find(value, path[-1] if path else "", _MAX_DEPTH)
    return None if found is None else (*path, *found)


def _find(value: Any, name: str, depth: int) -> tuple[str, ...] | None:
    if isinstance(value, str):
        if _holds_card_number(value, kind_by_name(name)) or (name == "event_source_url" and _names_card_data(value)):
            return ()
        # An amount may be written as 4.1e15: as text, too.
        is_card = _EXPONENT.fullmatch(value) and _is_card(_digits_of(Decimal(value.strip())), kind_by_name(name))
        return () if is_card else None
    if value is None or isinstance(value, bool) or not depth:
        return None
    if isinstance(value, Mapping):
        for key, inner in value.items():
            text = str(key)
            if _holds_card_number(text, TEXT):
                return ("(a key)",)  # the key is the number: it must not be echoed
            inner_name = text if len(text) <= _MOST_OF_NAME else ""
            kind = card_name(inner_name)
            if kind and _could_be(kind, inner, depth):
                return (_shown(text),)
            found = _find(inner, inner_name, depth - 1)
            if found is not None:
                return (_shown(text), *found)
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            found = _find(inner, name, depth - 1)
            if found is not None:
                return (str(index), *found)
    elif isinstance(value, int | float | Decimal) and _is_card(_digits_of(value), kind_by_name(name)):
        return ()
    return None


_BETWEEN_WORDS = re.compile(r"[ .()\[\]_-]+")


def _shown(key: str) -> str:
    """Its ``shown_name``; but as it is where it is made of words of any script, as names of cards are: no address and no token is."""
    is_short = len(key) <= 64 and sum(map(str.isdigit, key)) <= 3
    is_words = is_short and all(not word or word.isalpha() or word.isdigit() for word in _BETWEEN_WORDS.split(key))
    return key if is_words else shown_name(key)


_EXPONENT = re.compile(r"\s*[+-]?(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})[eE][+-]?[0-9]{1,2}\s*", re.ASCII)


def _digits_of(number: float | Decimal) -> str:
    """Of a whole number; nothing of any other and of one that is too long for a card."""
    exact = Decimal(number)
    # Looked at before anything is reckoned: with an exponent beyond a million, nothing can be.
    if not exact.is_finite() or not 0 <= exact.adjusted() < MOST or exact != exact // 1:
        return ""
    return f"{exact.copy_abs():.0f}"


_NO_NAMES = frozenset(
    "yes no true false pass fail match matched nomatch mismatch same present missing provided verified unchecked "
    "unavailable unknown none null na".split()
)
_COULD_BE = {
    "number": re.compile(r"\d(?:[\W_]{0,8}\d){11}"),  # from 12 digits on; no more than ten are shown of a masked one
    "code": re.compile(r"(?<![\w.,])\d(?:[ .-]?\d){2,3}(?!\w|[.,]\d)"),
    "expiry": re.compile(
        r"(?<!\d)(?:\d\d\W{0,3}(?:\d\d|\d{4})|\d\W{1,3}(?:\d\d|\d{4})|\d{4}\W{0,3}\d\d|\d{4}\W{1,3}\d)(?!\d)"
    ),
    "track": re.compile(r"[0-9A-Fa-f]{12}"),
    "pin": re.compile(r"(?<!\w)(?:\d{4}|\d{6})(?!\w)"),
}


def _could_be(kind: str, value: Any, depth: int) -> bool:
    if value is None or isinstance(value, bool) or not depth:
        return False
    if isinstance(value, Mapping):
        return any(_could_be(kind, inner, depth - 1) for inner in value.values())
    if isinstance(value, str):
        text = _plain_digits(value)
    elif isinstance(value, Sequence):
        return any(_could_be(kind, inner, depth - 1) for inner in value)
    else:
        text = _digits_of(value)
    if kind == "holder":
        letters = [letter for letter in text.lower() if letter.isalpha()]
        return len(letters) > 1 and "".join(letters) not in _NO_NAMES
    return _COULD_BE[kind].search(without_known(text)) is not None


def _is_card(digits: str, kind: str) -> bool:
    """Whether bare digits that stand in a field of that kind are a card."""
    if kind == ID or not is_card_number(digits):
        return False
    return kind != PHONE or phone_e164(f"+{digits}") is None


def _names_card_data(url: str) -> bool:
    """Whether a parameter is named as card data and holds digits which could be that."""
    for form in _forms(url):
        for found in _NUMBER_IN_URL.finditer(form):
            kind = card_name(_name_of_parameter(form, found.start()))
            if kind and kind != "holder" and _could_be(kind, found["digits"], 1):
                return True
    return False


_RUN = re.compile(rf"[0-9](?:[\W_]{{0,8}}[0-9]){{{FEWEST - 1},}}")
_SIGNS = re.compile(r"([\W_]+)")
# Of %4111 the first three characters are a letter once decoded.
_BEHIND_PERCENT = re.compile(rf"%[A-Za-z]?([0-9](?:[ -]?[0-9]){{{FEWEST - 1},18}})(?![0-9])")


def _plain_digits(text: str) -> str:
    """The same with the digits of all scripts as ASCII has them."""
    return text if text.isascii() else _DIGIT.sub(lambda digit: str(unicodedata.digit(digit[0])), text)


def _forms(text: str) -> Iterator[str]:
    """With the percent-encoding taken off, as often as there is one; before, what that would make unreadable."""
    for _ in range(_MOST_ENCODINGS):
        if "%" not in text:
            break
        decoded = unquote(text, errors="replace")
        if decoded == text:
            break
        behind = _BEHIND_PERCENT.findall(_plain_digits(text))
        if behind:
            yield "; ".join(behind)
        text = decoded
    yield _plain_digits(text)


def _holds_card_number(text: str, kind: str) -> bool:
    if len(text) < FEWEST or (text.isascii() and "%" not in text and not BEGINS.search(text)):
        return False
    # Only of what seems to hold one it is asked whether that is something else.
    return any(
        _shows_card_number(form, kind) and _shows_card_number(without_known(form), kind) for form in _forms(text)
    )


def _shows_card_number(text: str, kind: str) -> bool:
    for run in _RUN.finditer(text):
        if not BEGINS.search(run[0]):
            continue
        parts = _SIGNS.split(run[0])
        groups, signs = parts[::2], parts[1::2]
        sizes = list(map(len, groups))
        if is_printed(groups, sizes, signs):
            return True
        if kind == TEXT and is_grouped(groups, sizes, signs):
            return True
        if max(sizes) < FEWEST:
            continue
        start = run.start()
        for index, group in enumerate(groups):
            is_fraction = index > 0 and signs[index - 1] == "."
            if not is_fraction and _is_card(group, kind) and not _is_named_id(text, start):
                return True
            start += len(group) + (len(signs[index]) if index < len(signs) else 0)
    return False


_ENDS_PARAMETER = re.compile(r"[?&#;\s]")
_NOT_OF_NAME = re.compile(r"[\s/?&#;=:\"'{}]")
_ID_PATHS = ("p", "dp", "itm")
_MOST_BEFORE = 128  # characters before a number that are looked at for its name


def _is_named_id(text: str, start: int) -> bool:
    """Whether the number at ``start`` is an id by its name within the text: ``variant=``, ``/orders/``, ``"sku":``."""
    before = text[max(0, start - _MOST_BEFORE) : start]
    end = max(before.rfind("="), before.rfind("/"), before.rfind('":'))
    if end < 0:
        return False
    sign, between = before[end], before[end + 1 :]
    if sign == '"':
        return not ("{" in between or "}" in between) and kind_by_name(before[:end].rpartition('"')[2]) == ID
    if _ENDS_PARAMETER.search(between):
        return False
    name = _NOT_OF_NAME.split(before[:end])[-1]
    if sign == "=":
        return kind_by_name(name) == ID
    return ("://" in text or text.startswith("/")) and (name in _ID_PATHS or kind_by_name(name) == ID)
