"""Answers the platforms' traffic: a request in, the platform's answer or a fault out, the accepted kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from tracklayer.sandbox.accepted import Memory
from tracklayer.sandbox.faults import Draw, Faults
from tracklayer.sandbox.journal import LARGEST_BODY, SECRET_NAMES, Entry, Journal
from tracklayer.sandbox.platforms.base import Answer, Call, Platform, json_answer

# Where the server puts the function that ends the connection; ASGI itself has no way to answer nothing.
CUT = "tracklayer.sandbox.cut"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a sandbox remembers and reads; full of events of a usual size it takes less than 200 MB."""

    identities: int = 200_000
    bodies: int = 5_000
    requests: int = 500
    request_bytes: int = 8 * 1024 * 1024
    event_bytes: int = 16 * 1024  # of events larger than this on average no body is kept


DEFAULT_LIMITS = Limits()


class Engine:
    """The ASGI application behind ``/{platform}/...``, in one event loop, so that nothing needs a lock."""

    def __init__(
        self, platforms: Mapping[str, Platform], clock: Callable[[], datetime], seed: int, limits: Limits
    ) -> None:
        self.platforms = platforms
        self.clock = clock
        self.limits = limits
        self.faults = Faults(platforms, seed)
        self.memory = Memory(limits.identities, limits.bodies)
        self.journal = Journal(limits.requests)
        self._serial = 0

    def reset(self) -> None:
        """Forgets what was accepted and asked, and every fault; numbering and random numbers start anew."""
        self.faults.clear()
        self.memory.clear()
        self.journal.clear()
        self._serial = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        key = request.path_params["platform"]
        try:
            body = await read_body(request, self.limits.request_bytes)
        except ClientDisconnect:
            return
        if key not in self.platforms:
            known = list(self.platforms)
            await _send(send, json_answer(404, {"error": f"There is no platform {key[:64]!r}.", "platforms": known}))
        elif body is None:
            mib = self.limits.request_bytes / 1024 / 1024
            await _send(send, json_answer(413, {"error": f"The body is larger than {mib:g} MiB."}))
        else:
            self._serial += 1
            await self._play(key, self._call(request, body), scope, receive, send)

    async def _play(self, key: str, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request, with whatever faults strike it."""
        draw = self.faults.draw(key, call.now)
        kind = draw.struck.kind if draw.struck else None
        if kind == "down":
            self._note(key, call, kind, None)
            await _cut(scope, receive)
            return
        if draw.struck and kind == "hang" and await _has_left(receive, draw.struck.delay_seconds):
            self._note(key, call, kind, None)
            return
        answer = self._answer(key, call, draw)
        self._remember(key, call, answer)
        is_sent = kind != "drop_after_accept" and not (kind == "half_body" and not answer.body)
        self._note(key, call, kind, answer, status=answer.status if is_sent else None)
        if draw.delay_seconds and await _has_left(receive, draw.delay_seconds):
            return
        if is_sent:
            await _send(send, answer, whole=kind != "half_body")
        if kind in ("drop_after_accept", "half_body"):
            await _cut(scope, receive)

    def _answer(self, key: str, call: Call, draw: Draw) -> Answer:
        """The platform's answer: its own, or in its words the fault that struck."""
        platform, struck = self.platforms[key], draw.struck
        if struck and struck.kind == "error":
            return platform.server_error(call, struck.status)
        if struck and struck.kind == "credentials":
            return platform.credentials_refused(call)
        if struck and struck.kind == "rate_limit":
            answer = platform.rate_limited(call, struck.retry_after)
            if struck.retry_after is None:
                return answer
            return replace(answer, headers={**answer.headers, "retry-after": str(struck.retry_after)})
        answer = platform.answer(replace(call, refused_ids=draw.refused_ids))
        draw.count_refusals({item.event_id for item in answer.items})
        return answer

    def _remember(self, key: str, call: Call, answer: Answer) -> None:
        too_large = len(call.body) > self.limits.event_bytes * len(answer.items)
        for item in answer.items:
            if item.accepted:
                self.memory.remember(key, replace(item, body=None) if too_large else item, call.now)

    def _note(self, key: str, call: Call, kind: str | None, answer: Answer | None, status: int | None = None) -> None:
        items = answer.items if answer else ()
        self.journal.add(
            Entry(
                platform=key,
                call=call if len(call.body) <= LARGEST_BODY else replace(call, body=b""),
                status=status,
                fault=kind,
                items=len(items),
                accepted=sum(item.accepted for item in items),
                body_bytes=len(call.body),
                secret_names=SECRET_NAMES | self.platforms[key].secret_names,
            )
        )

    def _call(self, request: Request, body: bytes) -> Call:
        return Call(
            serial=self._serial,
            method=request.method,
            path=request.path_params["path"],
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=body,
            now=self.clock(),
        )


async def read_body(request: Request, most_bytes: int) -> bytes | None:
    """The body; None where it is larger, yet read to its end: else the client would not see the answer."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most_bytes:
            chunks.append(chunk)
    return b"".join(chunks) if size <= most_bytes else None


async def _has_left(receive: Receive, seconds: float) -> bool:
    """Waits so long, or until the client has gone, and says whether it has."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


async def _cut(scope: Scope, receive: Receive) -> None:
    """Ends the connection. Returns once it has ended, so that the server does not see an answer missing."""
    scope["extensions"][CUT]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, answer: Answer, *, whole: bool = True) -> None:
    """Sends the answer, or its head and half of its body."""
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    if answer.status == 204:  # RFC 9110, 8.6: a 204 has no Content-Length
        del headers["content-length"]
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    body = answer.body if whole else answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": body, "more_body": not whole})
