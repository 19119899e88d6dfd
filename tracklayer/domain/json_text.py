"""JSON as others write it: all that RFC 8259 allows, at the speed of the everyday case.

orjson refuses a whole text for half of a surrogate pair (a shop cut an emoji in two) and for a number beyond 64 bits or a
double. Those are one field's mistake, and whoever reads that field says so.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson


def read_json(text: bytes | str) -> Any:
    """The value. Raises ValueError, which does not quote the text, for what is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None


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
