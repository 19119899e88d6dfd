"""The id of a request: what its caller, the lines of the log about it, and whoever is asked what went wrong, have in common."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar

from starlette.types import Message, Scope, Send

HEADER = b"x-request-id"
# Where a scope keeps the id of its request, and the status that it was answered with.
ID, STATUS = "tracklayer.request_id", "tracklayer.status"
_SANE = re.compile(rb"[A-Za-z0-9_.:/=-]{1,128}")  # ids as proxies and tracing make them; nothing that is an address
_PROCESS = secrets.token_hex(6).encode() + b"-"
_numbers = itertools.count(1)

_current: ContextVar[Scope | None] = ContextVar("tracklayer.request", default=None)


def scope_of_current() -> Scope | None:
    """Of the request that this is done for; None: for none."""
    return _current.get()


def current() -> str | None:
    """The id of the request that this is done for; None: for none."""
    scope = _current.get()
    return scope[ID].decode() if scope is not None else None


def id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The caller's own id of a request, where it is a sane one; else one of ours, which no other request has."""
    for name, value in headers:
        if name == HEADER and _SANE.fullmatch(value):
            return value
    return b"%b%x" % (_PROCESS, next(_numbers))


def identified(scope: Scope, send: Send, answered: Callable[[int], None] | None = None) -> Send:
    """Gives a request its id, for all that is done for it from now on, and its answer the header that says it.

    ``answered``: told the status as the answer begins.
    """
    request_id = scope[ID] = id_of(scope["headers"])
    _current.set(scope)

    def sent(message: Message) -> Awaitable[None]:  # no coroutine of its own: it is called for every answer
        kind = message["type"]
        if kind == "http.response.start":
            scope[STATUS] = status = message["status"]
            if answered is not None:
                answered(status)
            message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
        elif kind == "websocket.accept":
            message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
        return send(message)

    return sent
