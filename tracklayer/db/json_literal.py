"""JSON, and many texts, as an argument of a statement, at a tenth of what psycopg2 takes to escape them character by character."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg2.extensions import QuotedString, adapt

_QUOTE = b"$json$"  # PostgreSQL's dollar quotes: what stands between two of them is taken as it is


class JsonLiteral:
    """An adapter for psycopg2: ``value`` as orjson writes it. Where dollar quotes would not do, it is escaped."""

    __slots__ = ("_connection", "written")

    def __init__(self, value: Any) -> None:
        self.written = orjson.dumps(value)
        self._connection: Any = None

    def __conform__(self, protocol: Any) -> JsonLiteral:
        return self

    def prepare(self, connection: Any) -> None:
        """psycopg2 tells where it will be sent."""
        self._connection = connection

    def getquoted(self) -> bytes:
        """A literal in the encoding of the connection."""
        # One byte is found at the speed of memory; most of what is sent holds no dollar, and is searched for that alone.
        # JSON ends with a bracket, a quote or a letter, never with the beginning of the closing quote.
        if self._connection.encoding == "UTF8" and (b"$" not in self.written or _QUOTE not in self.written):
            return _QUOTE + self.written + _QUOTE
        escaped = QuotedString(self.written.decode())
        escaped.prepare(self._connection)
        found: bytes = escaped.getquoted()
        return found


class TextsLiteral(JsonLiteral):
    """As a list of texts, for a ``text[]``; which PostgreSQL then reads in one piece, and not as so many expressions."""

    __slots__ = ("_escaped",)

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__(texts)
        self._escaped: Any = None
        # Between its quotes a text of an array is written as one of JSON is, but for what has to be escaped.
        if b"\\" in self.written:
            self._escaped = adapt(list(texts))
        else:
            self.written = b"{" + self.written[1:-1] + b"}"

    def prepare(self, connection: Any) -> None:
        super().prepare(connection)
        if self._escaped is not None:
            self._escaped.prepare(connection)

    def getquoted(self) -> bytes:
        if self._escaped is None:
            return super().getquoted()
        found: bytes = self._escaped.getquoted()
        return found
