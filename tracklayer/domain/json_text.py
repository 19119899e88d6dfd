"""JSON as others write it: all that RFC 8259 allows, at the speed of the everyday case.

orjson refuses a whole text for half of a surrogate pair (a shop cut an emoji in two) and for a number beyond 64 bits or a
double. Those are one field's mistake, and whoever reads that field says so. And it makes a double of every number with a
fraction and of every one beyond 64 bits: 99999999999999.99 becomes …98. A text that holds a number so long is read again,
with that number as a Decimal or an int: the digits that were sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

from tracklayer.domain.event import write_instant

# A double keeps 15 digits of any number, and 64 bits keep an integer of 16. What may be changed is longer: with its point,
# or its exponent, at least so many of these signs.
_LONG = b"0" * 17
_SIGNS = dict.fromkeys(b"0123456789.eE", b"0") | dict.fromkeys(b":,[ \t\r\n", b" ") | {ord("-"): b"-"}
_NUMBER = b"".join(_SIGNS.get(byte, b"x") for byte in range(256))
_BEGINS = (_LONG, b"-" + _LONG)
_FOLLOWS = (b" " + _LONG, b" -" + _LONG)
_MOST_DIGITS = 400  # of an integer that is read: no longer one is within any bound


def read_json(text: bytes | str) -> Any:
    """The value; a number that no int of 64 bits and no double keeps is an int or a Decimal. Raises ValueError, which does not
    quote the text, for what is no JSON.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    else:
        if not _holds_long_number(text.encode() if isinstance(text, str) else text):
            return value
    try:
        return json.loads(text, parse_float=exact_number, parse_int=_integer, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None


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
    """A number with a fraction or an exponent, as JSON writes it: a float where that is the same number."""
    number = float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return number
    return number if Decimal(repr(number)) == exact else exact


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _MOST_DIGITS else float(text)


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
