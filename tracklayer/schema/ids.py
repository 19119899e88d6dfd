"""Global ids, cursors and texts as arguments: what is wrong with one is told to the caller."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tracklayer.domain.ids import MAX_TEXT, cursor, decode, encode, parts_of
from tracklayer.domain.text import is_storable
from tracklayer.domain.values import read_instant
from tracklayer.schema import errors

__all__ = ["cursor", "decode", "encode", "parts_of", "read_cursor", "text_argument"]  # all of ids is known from here


def read_cursor(text: str, kind: str, types: tuple[type, ...]) -> list[Any]:
    """``[instant, *parts]``. Raises GraphQLError for a cursor that is not one of this list's."""
    found = parts_of(text, f"{kind}Cursor", (str, *types))
    if found is not None:
        instant = read_instant(found[0])
        if isinstance(instant, datetime):
            return [instant, *found[1:]]
    message = "after is not a cursor of this list: pass an endCursor that it returned."
    raise errors.refused(message, errors.BAD_INPUT)


def text_argument(text: str | None, name: str) -> str | None:
    """An argument to compare with. Raises GraphQLError for text that no row can hold, or that is too long."""
    if text is not None and (not is_storable(text) or len(text) > MAX_TEXT):
        raise errors.refused(f"{name} must be plain text of at most {MAX_TEXT:,} characters.", errors.BAD_INPUT)
    return text
