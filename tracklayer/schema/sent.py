"""What was sent: a body, and what it says, which is read once, whoever asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tracklayer.domain.json_text import NotAtOnceError, read_at_once, read_thoroughly, write_json
from tracklayer.schema import errors

MAX_VALUES = 1_000_000  # of a body: nobody has a turn while its values are made; 4 MiB can hold two millions of them
STREAM_VALUES = 16_000  # of a message of a WebSocket, and of a body that is answered by a stream: 64 KiB of everyday events have fewer
# What an operation that stays open holds, in bytes: of a character, of a value in Python, and of a token of a parsed document.
_OF_CHARACTER, _OF_VALUE, _OF_TOKEN = 4, 128, 600
_FEW_TOKENS = 100  # that everyday subscriptions have
_TOKEN = re.compile(r"\w+|[^\w\s,]")
QUICK_BODY = 32 * 1024  # bytes: of what Python's own reader reads on the event loop, where orjson refused it
_NOT_YET = object()


class Sent:
    """Of one request. It is read by one at a time."""

    __slots__ = ("_value", "_why", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._value: Any = _NOT_YET
        self._why: ValueError | None = None  # it is not read yet, or cannot be

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Sent:
        """Of what was read already: a request, ``{"query": ..., "variables": ...}``. Its body is the same for the same."""
        sent = cls(_written(value))
        sent._value = value
        return sent

    def is_easy(self, long: int) -> bool:
        """Whether it is read, or cannot be longer to read than anybody may take on the event loop: of more than ``long`` bytes
        what orjson reads.
        """
        self.glance()
        why = self._why
        return not isinstance(why, NotAtOnceError) or len(self.body) <= (long if why.holds_long else QUICK_BODY)

    def read(self) -> Any:
        """Raises ValueError, always again, for what is no JSON."""
        self.glance()
        if isinstance(self._why, NotAtOnceError):
            why, self._why = self._why, None
            try:
                self._value = read_thoroughly(self.body, why)
            except ValueError as error:
                self._why = error
        if self._why is not None:
            raise self._why
        return self._value

    def glance(self) -> None:
        """Reads it where orjson does, which is quick."""
        if self._value is _NOT_YET and self._why is None:
            try:
                self._value = read_at_once(self.body)
            except NotAtOnceError as error:
                self._why = error

    @property
    def known(self) -> Any:
        """What was read; None where nothing was, or it is no JSON."""
        return None if self._value is _NOT_YET else self._value


def _written(request: Mapping[str, Any]) -> bytes:
    """As JSON, also where it holds what orjson does not write: numbers beyond 64 bits, and lists within lists."""
    try:
        return write_json(request)
    except (TypeError, RecursionError):
        pass
    try:
        return json.dumps(request, default=str).encode()
    except RecursionError:
        return json.dumps(request.get("query")).encode()


def refuse_many(body: bytes) -> None:
    """Raises GraphQLError for a body with more values than anybody sends."""
    if _signs_in(body) > MAX_VALUES:
        message = f"The body may hold {MAX_VALUES:,} values. Send fewer events at once."
        raise errors.refused(message, errors.TOO_LARGE)


def room_of_open(text: bytes, request: Any) -> int:
    """Bytes that an operation holds while it is open, at most about: it may be so for hours. ``text``: what came, and
    ``request`` the same as read. Raises GraphQLError for one with more values than anybody sends.
    """
    values = _signs_in(text)
    if values > STREAM_VALUES:
        message = (
            f"What is answered by a stream, or over a WebSocket, may hold {STREAM_VALUES:,} values. Send it by itself."
        )
        raise errors.refused(message, errors.TOO_LARGE)
    query = request.get("query") if isinstance(request, dict) else None
    tokens = sum(1 for _ in _TOKEN.finditer(query if isinstance(query, str) else text.decode("latin-1")))
    return _OF_CHARACTER * len(text) + _OF_VALUE * values + _OF_TOKEN * max(0, tokens - _FEW_TOKENS)


def _signs_in(text: bytes) -> int:
    """About as many as there are values."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")
