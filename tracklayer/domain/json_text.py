"""JSON as others write it: all that RFC 8259 allows, at the speed of the everyday case.

orjson refuses a whole text for half of a surrogate pair (a shop cut an emoji in two) and for a number beyond 64 bits or a
double. Those are one field's mistake, and whoever reads that field says so. And it makes a double of every number with a
fraction and of every one beyond 64 bits: 99999999999999.99 becomes …98. A text that holds a number so long is read again,
with that number as a Decimal or an int: the digits that were sent. It is read by Python's own reader, which is written in C as
long as nobody asks to be called for each number: only those that a double might change are taken out beforehand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

from tracklayer.domain.values import write_instant

# A double keeps 15 digits of any number, and 64 bits keep an integer of 16. What may be changed is longer: with its point,
# or its exponent, at least so many of these signs.
_LONG = b"0" * 17
_SIGNS = dict.fromkeys(b"0123456789.eE", b"0") | dict.fromkeys(b":,[ \t\r\n", b" ") | {ord("-"): b"-"}
_NUMBER = b"".join(_SIGNS.get(byte, b"x") for byte in range(256))
_BEGINS = (_LONG, b"-" + _LONG)
_FOLLOWS = (b" " + _LONG, b" -" + _LONG)
_MOST_DIGITS = 400  # of an integer that is read: no longer one is within any bound
_WHOLE_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][+-]?\d++)?+(?![\w.+-])")
_EXPONENT = re.compile(rb"[eE][+-]?\d{3}")  # beyond a double, however short the number is
_BEFORE_EXPONENT = b"0123456789.-"
_BYTES_OF_ONE = 64  # where more numbers than one in so many bytes are uncommon, to be called for all of them costs less
_WITHOUT_TURNS = 128 * 1024  # characters that are read before another thread has a turn; a function of Python's is one
_CONSTANT = re.compile(r".?(?:NaN|-?Infinity)", re.DOTALL)
# As orjson says what is wrong: of texts, and of what is JSON all the same.
_CONTROL = "unexpected control character"
ENDS_EARLY = "unexpected end of data"
_READ_THOROUGHLY = (
    "no low surrogate",
    "unexpected low surrogate",
    "number is infinity",
    "UTF-8 byte order mark",
    "depth",
)
_TAKEN_OUT = b"NaN"  # which JSON does not have, and Python's reader calls somebody for


class NotAtOnceError(ValueError):
    """The text is no JSON, or is some that only the thorough reader reads. ``holds_long``: it is, and holds a long number.
    ``said``, ``at``: else what the quick reader said of it, and of which character.
    """

    def __init__(self, *, holds_long: bool, said: str = "", at: int = 0) -> None:
        super().__init__("no JSON")
        self.holds_long = holds_long
        self.said = said
        self.at = at


def read_json(text: bytes | str) -> Any:
    """The value; a number that no int of 64 bits and no double keeps is an int or a Decimal. Raises ValueError, which says
    where and why, and does not quote the text, for what is no JSON.
    """
    try:
        return read_at_once(text)
    except NotAtOnceError as why:
        return read_thoroughly(text, why)


def read_at_once(text: bytes | str) -> Any:
    """As ``read_json``, of everyday texts. Raises NotAtOnceError for any other."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotAtOnceError(holds_long=False, said=error.msg, at=error.pos) from None
    if _holds_long_number(text.encode() if isinstance(text, str) else text):
        raise NotAtOnceError(holds_long=True)
    return value


def read_thoroughly(text: bytes | str, why: NotAtOnceError) -> Any:
    """As ``read_json``, of what ``read_at_once`` does not read: it takes a few times as long."""
    sent = text
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        written = text.encode("utf-8", "surrogatepass")
        starts = [*_long_starts(written), *(() if why.holds_long else _exponent_starts(written))]
        if len(starts) > len(written) // _BYTES_OF_ONE:
            return json.loads(text, parse_float=exact_number, parse_int=_number, parse_constant=_no_json)
        parts: list[bytes] = []
        numbers: list[str] = []
        at = 0
        for number in _outside_strings(written, sorted(starts)):
            parts += (written[at : number.start()], _TAKEN_OUT)
            numbers.append(number[0].decode())
            at = number.end()
        if parts:
            text = b"".join((*parts, written[at:])).decode("utf-8", "surrogatepass")
        numbers.reverse()

        def taken_out(constant: str) -> int | float | Decimal:
            return _number(numbers.pop()) if numbers else _no_json(constant)

        if len(text) <= _WITHOUT_TURNS:
            return json.loads(text, parse_constant=taken_out)
        return json.loads(text, parse_float=_fraction, parse_int=_integer, parse_constant=taken_out)
    except (ValueError, RecursionError) as error:
        raise ValueError(_why(sent, why, error)) from None


def _why(text: bytes | str, why: NotAtOnceError, error: Exception) -> str:
    """Where and why a text is no JSON. The words are of the readers, which quote nothing of it."""
    if isinstance(error, UnicodeDecodeError):
        return f"{_place(text[: error.start])}: a byte that is no UTF-8. Send UTF-8"
    whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if why.said and not why.said.startswith(_READ_THOROUGHLY):
        place, said = why.at, why.said
    elif isinstance(error, json.JSONDecodeError):
        if error.doc != whole:  # numbers were taken out of it
            return f"line {error.lineno}: {error.msg}"
        place, said = error.pos, error.msg
    else:
        return "NaN, Infinity, or more lists within lists than anybody reads"
    if _CONSTANT.match(whole, max(0, place - 1)):
        said = "NaN and Infinity are no JSON. Leave the field out"
    elif said.startswith(_CONTROL):
        said = "a control character in a text. Write a tab as \\t, the end of a line as \\n"
    return f"{_place(whole[:place])}: {said}"


def _place(before: bytes | str) -> str:
    if isinstance(before, bytes):
        before = before.decode("utf-8", "replace")
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def write_with_instants(value: Any, option: int = 0, other: Callable[[Any], Any] | None = None) -> bytes:
    """Instants as ``write_instant`` has them. ``other``: of what JSON has no form for; else that is a TypeError."""

    def written(found: Any) -> Any:
        if isinstance(found, datetime):
            return write_instant(found)
        if other is None:
            raise TypeError
        return other(found)

    return orjson.dumps(value, written, option | orjson.OPT_PASSTHROUGH_DATETIME)


def exact_number(text: str) -> float | Decimal:
    """A number with a fraction or an exponent, as JSON writes it: a float where that is the same number, or 0 for what is too small for
    any other: so it is read at once.
    """
    number = float(text)
    if not number:
        return number
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return number
    return number if Decimal(repr(number)) == exact else exact


def _fraction(text: str) -> float:
    return float(text)


def _integer(text: str) -> int:
    return int(text)


def _number(text: str) -> int | float | Decimal:
    if not text.removeprefix("-").isdigit():
        return exact_number(text)
    return int(text) if len(text) <= _MOST_DIGITS else float(text)


def _outside_strings(text: bytes, starts: list[int]) -> Iterator[re.Match[bytes]]:
    """The numbers that begin there, and in no string."""
    if not starts:
        return
    unescaped = text.replace(b"\\\\", b"xx").replace(b'\\"', b"xx")  # its quotation marks all begin or end a string
    counted, marks, end = 0, 0, 0
    for start in starts:
        if start < end:
            continue
        marks += unescaped.count(b'"', counted, start)
        counted = start
        if not marks % 2 and (found := _WHOLE_NUMBER.match(text, start)):
            end = found.end()
            yield found


def _long_starts(text: bytes) -> Iterator[int]:
    shape = b" " + text.translate(_NUMBER)
    for begins in _FOLLOWS:
        at = shape.find(begins)
        while at >= 0:
            yield at  # without the sign that it follows, which ``text`` does not begin with
            at = shape.find(begins, at + len(begins))


def _exponent_starts(text: bytes) -> Iterator[int]:
    at = 0
    for exponent in _EXPONENT.finditer(text):
        before = text[at : exponent.start()]
        yield at + len(before.rstrip(_BEFORE_EXPONENT))
        at = exponent.start()


def _holds_long_number(text: bytes) -> bool:
    """Whether somewhere, mostly in no string, a long number begins. Takes about a microsecond for an event."""
    shape = text.translate(_NUMBER)
    return _FOLLOWS[0] in shape or _FOLLOWS[1] in shape or shape.startswith(_BEGINS)


def write_json(value: Any) -> bytes:
    """UTF-8; half of a surrogate pair, which has no UTF-8, as the sign for what cannot be shown."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_whole(value))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(inner) for key, inner in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _no_json(constant: str) -> NoReturn:
    raise ValueError("no JSON")
