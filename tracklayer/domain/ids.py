"""Global ids and cursors: opaque to clients, readable to us."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Any

import orjson

from tracklayer.domain.node_id import node_id
from tracklayer.domain.text import is_storable

MAX_NUMBER = 2**63  # of a bigint
MAX_TEXT = 1000  # characters of what is compared with


def encode(kind: str, *parts: Any) -> str:
    """An id that no other row of any merchant has."""
    return node_id(kind, *parts)


def decode(text: str) -> tuple[str, list[Any]] | None:
    """(kind, parts), or None for what was never an id of ours: parts are text and whole numbers that a row can hold."""
    try:
        value = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, UnicodeEncodeError):
        return None
    if not isinstance(value, list) or not value or not all(map(_is_part, value)) or not isinstance(value[0], str):
        return None
    return value[0], value[1:]


def _is_part(value: Any) -> bool:
    if type(value) is int:  # a bool is none
        return -MAX_NUMBER <= value < MAX_NUMBER
    return type(value) is str and is_storable(value)


def parts_of(text: str, kind: str, types: tuple[type, ...]) -> list[Any] | None:
    """The parts of an id of one kind, or None."""
    found = decode(text)
    if found is None or found[0] != kind or len(found[1]) != len(types):
        return None
    if any(type(part) is not expected for part, expected in zip(found[1], types, strict=True)):
        return None
    return found[1]


def cursor(kind: str, at: datetime, *parts: Any) -> str:
    return encode(f"{kind}Cursor", at.isoformat(), *parts)
