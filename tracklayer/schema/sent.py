"""What was sent: a body, and what it says, which is read once, whoever asks for it."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tracklayer.domain.json_text import NotAtOnceError, read_at_once, read_thoroughly, write_json
from tracklayer.schema import errors

MAX_VALUES = 1_000_000  # of a body: nobody has a turn while its values are made; 4 MiB can hold two millions of them
# Objects and lists of a body without ADMIN: a thousand events with a hundred lines each have half as many.
MAX_PARTS = 250_000
LONG_TO_READ = 16 * 1024  # bytes: from here on Python's collector waits while a body is read
MAX_FIELDS = 500_000  # of a body: a thousand events with a hundred long lines each have fewer; a million take seconds
EVERYDAY_PART = 20  # bytes: of everyday bodies no object and no list is shorter, on average
# Of everyday bodies no object and no list has more, on average: thousands in one take twice as long.
EVERYDAY_FIELDS = 20
STREAM_VALUES = 16_000  # of a message of a WebSocket, and of a body that is answered by a stream: 64 KiB of everyday events have fewer
# What an operation that stays open holds, in bytes: of a character, of a value in Python, and of a token of a parsed document.
_OF_CHARACTER, _OF_VALUE, _OF_TOKEN = 4, 128, 600
_FEW_TOKENS = 100  # that everyday subscriptions have
_TOKEN = re.compile(r"\w+|[^\w\s,]")
QUICK_BODY = 32 * 1024  # bytes: of what Python's own reader reads on the event loop, where orjson refused it
_OF_REQUEST = frozenset({"query", "variables", "operationName", "extensions"})
MOST_VARIABLES = 100  # that are looked at, of one operation
_SENDS = "ingestEvent"  # and ingestEvents
_NOT_YET = object()
# Texts and comments; what does not end is one, too: else each quotation mark would be looked behind to the end of them all.
TEXTS = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|"(?:[^"\\\n]|\\.)*+"?|#[^\n]*', re.DOTALL)
# What begins or ends a part of a definition, or is the word before it, with its name, where it stands in no such part.
_DEFINITION = re.compile(r"[(\[{]|[)\]}]|(?<![\w@$])(query|mutation|subscription|fragment)\b[\s,]*(\w*)")


def takes_events_in(query: str) -> bool:
    """Whether an operation may be one of those that take events in."""
    return _SENDS in query


def is_subscription(query: str, name: str | None) -> bool:
    """Whether the operation that is meant follows something, of a document that may have others beside it; where that is in doubt, not.

    Takes a time that grows with its length.
    """
    if "subscription" not in query:
        return False
    depth, operations = 0, list[tuple[str, str]]()
    for found in _DEFINITION.finditer(TEXTS.sub(" ", query)):
        if found[1] is None:
            depth += 1 if found[0] in "([{" else -1
        elif not depth and found[1] != "fragment":
            operations.append((found[1], found[2]))
    meant = [kind for kind, called in operations if name is None or called == name]
    return meant == ["subscription"]


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
                with _without_collecting():
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
                if len(self.body) < LONG_TO_READ:
                    self._value = read_at_once(self.body)
                else:
                    with _without_collecting():
                        self._value = read_at_once(self.body)
            except NotAtOnceError as error:
                self._why = error

    @property
    def is_read(self) -> bool:
        """Whether somebody has tried."""
        return self._value is not _NOT_YET or self._why is not None

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


@contextmanager
def _without_collecting() -> Iterator[None]:
    """What is being read holds no cycles, however many objects it is: the collector would look at them again and again, for ten
    times as long as it takes to make them.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def refuse_many(body: bytes, *, may_have_many: bool) -> int:
    """How many objects and lists, and fields, a body has beyond what everyday ones of its length have. Raises GraphQLError for
    one with more of them, or of values, than anybody sends. ``may_have_many``: it came with a key of scope ADMIN.
    """
    parts = body.count(b"[") + body.count(b"{")
    fields = body.count(b":")  # and those in texts, of which everyday ones have a few
    if body.count(b",") + parts > MAX_VALUES:
        raise _too_many(f"{MAX_VALUES:,} values")
    if fields > MAX_FIELDS:
        raise _too_many(f"{MAX_FIELDS:,} fields")
    if parts > MAX_PARTS and not may_have_many:
        raise _too_many(f"{MAX_PARTS:,} objects and lists")
    return max(0, parts - len(body) // EVERYDAY_PART) + max(0, fields - EVERYDAY_FIELDS * parts)


def _too_many(most: str) -> Exception:
    return errors.refused(f"The body may hold {most}. Send fewer events at once.", errors.TOO_LARGE)


def only_takes_in(request: Any) -> bool:
    """Whether a request takes events in, and brings nothing besides that it does not use."""
    if not isinstance(request, dict) or not request.keys() <= _OF_REQUEST:
        return False
    query, variables = request.get("query"), request.get("variables")
    if not isinstance(query, str) or not takes_events_in(query) or request.get("extensions"):
        return False
    return not variables or (
        isinstance(variables, dict)
        and len(variables) <= MOST_VARIABLES
        and all(f"${name}" in query for name in variables)
    )


def room_of_open(text: bytes, request: Any) -> int:
    """Bytes that an operation holds while it is open, at most about: it may be so for hours. ``text``: what came, and
    ``request`` the same as read. Raises GraphQLError for one with more values than anybody sends.
    """
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > STREAM_VALUES:
        message = (
            f"What is answered by a stream, or over a WebSocket, may hold {STREAM_VALUES:,} values. Send it by itself."
        )
        raise errors.refused(message, errors.TOO_LARGE)
    query = request.get("query") if isinstance(request, dict) else None
    tokens = sum(1 for _ in _TOKEN.finditer(query if isinstance(query, str) else text.decode("latin-1")))
    return _OF_CHARACTER * len(text) + _OF_VALUE * values + _OF_TOKEN * max(0, tokens - _FEW_TOKENS)
