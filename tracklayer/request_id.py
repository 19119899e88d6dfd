"""The id of a request: what its caller, the lines of the log about it, and whoever is asked what went wrong, have in common."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Awaitable, Iterable
from contextvars import ContextVar

from starlette.types import Message, Scope, Send

HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9_.:/=-]{1,128}")  # ids as proxies and tracing make them; nothing that is an address
_PROCESS = secrets.token_hex(6)
_numbers = itertools.count(1)

CURRENT: ContextVar[str | None] = ContextVar("tracklayer.request_id", default=None)


def id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The caller's own id of a request, where it is a sane one; else one of ours, which no other request has."""
    for name, value in headers:
        if name == HEADER and _SANE.fullmatch(value):
            return value
    return b"%s-%x" % (_PROCESS.encode(), next(_numbers))


def identified(scope: Scope, send: Send) -> Send:
    """Gives a request its id, for all that is done for it from now on, and its answer the header that says it."""
    request_id = id_of(scope["headers"])
    CURRENT.set(request_id.decode())
    header = (HEADER, request_id)

    def sent(message: Message) -> Awaitable[None]:  # no coroutine of its own: it is called for every answer
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), header]
        return send(message)

    return sent
