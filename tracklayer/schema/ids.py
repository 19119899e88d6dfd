"""Global ids and cursors: opaque to clients, readable to us."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Any

import orjson
from graphql import GraphQLError

from tracklayer.domain.node_id import node_id


def encode(kind: str, *parts: Any) -> str:
    """An id that no other row of any merchant has."""
    return node_id(kind, *parts)


def decode(text: str) -> tuple[str, list[Any]] | None:
    """(kind, parts), or None for what was never an id of ours."""
    try:
        value = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, UnicodeEncodeError):
        return None
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        return None
    return value[0], value[1:]


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


def read_cursor(text: str, kind: str, types: tuple[type, ...]) -> list[Any]:
    """``[instant, *parts]``. Raises GraphQLError for a cursor that is not one of this list's."""
    found = parts_of(text, f"{kind}Cursor", (str, *types))
    if found is not None:
        try:
            return [datetime.fromisoformat(found[0]), *found[1:]]
        except ValueError:
            pass
    message = "after is not a cursor of this list: pass an endCursor that it returned."
    raise GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


def storable(text: str) -> bool:
    """False for text that no row can hold: a NUL, or half a character."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def text_argument(text: str | None, name: str) -> str | None:
    """An argument to compare with. Raises GraphQLError for text that no row can hold, or that is too long."""
    if text is not None and (not storable(text) or len(text) > 1000):
        raise GraphQLError(
            f"{name} must be plain text of at most 1000 characters.", extensions={"code": "BAD_USER_INPUT"}
        )
    return text
