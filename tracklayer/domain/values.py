"""Values as JSON brings them, of any field: numbers, times, lists, and what stands for nothing.

What a field makes of them is in ``event_fields.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from tracklayer.domain.text import is_blank, without_invisible

NUMBERS = (int, float, Decimal)


def is_blank_text(value: Any) -> bool:
    return isinstance(value, str) and is_blank(value)


def is_nothing(value: Any) -> bool:
    """None, a blank text, or an empty list."""
    return value is None or is_blank_text(value) or (isinstance(value, Sequence) and not value)


def as_list(value: Any) -> Sequence[Any] | None:
    """A list, also one that PHP wrote as an object: ``{"0": ..., "1": ...}``. None for anything else."""
    if isinstance(value, Mapping):
        keys = [str(place) for place in range(len(value))]
        return [value[key] for key in keys] if value.keys() == set(keys) else None
    return value if isinstance(value, Sequence) and not isinstance(value, str) else None


def is_numbered(value: Mapping[Any, Any]) -> bool:
    """Whether it is an array of PHP's: no key of it is the name of a field."""
    return all(isinstance(key, str) and key.isdecimal() for key in value)


def write_instant(value: Any) -> str:
    """``2026-04-23T14:12:33.000Z``: UTC, milliseconds."""
    instant: datetime = value
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# As RFC 3339, and also without its separators, without what is zero, or with a blank in front of the offset or UTC, as Ruby, PHP and
# databases print it. Python takes more: any character between date and time, and weeks, of which it takes the Monday.
_DATE_AND_TIME = re.compile(
    r"([0-9]{4}(-?)[0-9]{2}\2[0-9]{2}[T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)([.,][0-9]+)?(?: ?(?:Z|UTC|[+-][0-9:]+))?"
)


def read_instant(value: Any) -> datetime | str:
    """An aware UTC datetime from RFC 3339 text, or the end of a sentence that says what is wrong."""
    how = "such as 2026-04-23T14:12:33.000Z or 2026-04-23T16:12:33+02:00"
    if isinstance(value, str):
        text = value if value.isascii() else without_invisible(value)
        text = text.strip().upper()  # RFC 3339 allows t and z in lower case
        try:
            found = _DATE_AND_TIME.fullmatch(text)
            value = _from_text(found) if found else None
        except (ValueError, OverflowError):
            return f"must be a date and time of RFC 3339 or ISO 8601 {how}"
    if not isinstance(value, datetime):
        return f"must be a date and time of RFC 3339 or ISO 8601 {how}"
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        return f"has no offset: end it with Z or an offset, {how}"
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return f"must be a date and time of RFC 3339 or ISO 8601 {how}"


def _from_text(found: re.Match[str]) -> datetime | None:
    """A leap second, which is the last of a day in UTC, is the first of the next one. A fraction is one of whatever comes last, be it
    the minute or the hour: Python takes it for one of a second.
    """
    whole, _, minutes, seconds, fraction = found.groups()
    rest = found[0][len(whole) :].replace(" ", "").replace("UTC", "Z")
    if fraction and not seconds:
        part = Decimal(f"0.{fraction[1:20]}") * (60 if minutes else 3600)
        return datetime.fromisoformat(whole + rest[len(fraction) :]) + timedelta(microseconds=int(part * 1_000_000))
    text = whole + rest
    if text[16:19] != ":60":
        return datetime.fromisoformat(text)
    last = datetime.fromisoformat(f"{text[:16]}:59{text[19:]}")
    is_leap = last.tzinfo is not None and last.astimezone(UTC).time().replace(microsecond=0) == time(23, 59, 59)
    return last + timedelta(seconds=1) if is_leap else None


_EVERYDAY_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


def read_decimal(value: Any) -> Decimal | None:
    """A finite Decimal from a JSON number or decimal text; a float by its shortest form, so 129.9 stays 129.9."""
    kind = type(value)
    # The everyday amounts, which are within every bound below.
    if kind is float and 1e-9 < abs(value) < 1e15:
        return Decimal(repr(value))
    if (kind is int and -(10**15) < value < 10**15) or (kind is str and _EVERYDAY_AMOUNT.fullmatch(value)):
        number = Decimal(value)
        return number if number else number.copy_abs()  # nothing has no sign: -0.00
    if isinstance(value, bool) or not isinstance(value, (*NUMBERS, str)):
        return None
    if isinstance(value, str) and ("_" in value or len(value) > 64):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        if isinstance(value, str) and (seen := without_invisible(value)) != value:
            return read_decimal(seen)
        return None
    if not number.is_finite():
        return None
    # 21 digits before the point are beyond any money; an exponent of thousands would fill pages when written out.
    if not -32 <= number.adjusted() <= 20 or int(number.as_tuple().exponent) < -64:
        return None
    return number if number else number.copy_abs()
