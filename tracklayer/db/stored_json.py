"""Stored JSON: read as Python values, read to be written again digit by digit, and written.

JSON as an argument of a statement is in db/json_literal.py.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson

# Columns: what ``custom_data`` of an event says that it brings itself.
OF_SALE = """custom_data ->> 'currency' AS currency,
           CASE WHEN json_typeof(custom_data -> 'value') = 'number' THEN (custom_data ->> 'value')::numeric END AS value"""


def loads(text: str) -> Any:
    """Stored JSON as Python values."""
    return orjson.loads(text)


def loads_exactly(text: str) -> Any:
    """Stored JSON to be written again: its numbers digit by digit, as ``orjson.Fragment`` where Python has no such number."""
    return _EXACTLY.decode(text)


def _whole(digits: str) -> int | orjson.Fragment:
    return int(digits) if len(digits) < 19 else orjson.Fragment(digits)


_EXACTLY = json.JSONDecoder(parse_float=orjson.Fragment, parse_int=_whole)


def dumps(value: Any) -> str:
    """JSON text for a column. A Decimal is written digit by digit, so that money stays exact."""
    return orjson.dumps(value, default=_exact).decode()


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(type(value).__name__)
