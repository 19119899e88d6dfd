"""Connections that are bounded in number, size and time: what uvicorn leaves open to whoever holds on to it.

One look a second at all connections of the process, instead of timers for each request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import select
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from tracklayer import files, metrics
from tracklayer.domain.address import caller_at
from tracklayer.domain.wire import (
    ADMITTED,
    BEHIND,
    COME_AGAIN,
    COUNTED,
    HOLDER,
    REFUSED,
    REFUSED_AS,
    RETRY_AFTER_SECONDS,
    STRANGER_BODY,
    TAKEN,
)

if sys.platform != "win32":
    import fcntl
    import termios

log = logging.getLogger(__name__)

HEAD_SECONDS = 10  # from the beginning of a request, or of its connection, to the end of its headers
BODY_SECONDS = 30  # for a whole body
FIRST_SECONDS = 5  # of a body, before its pace is looked at
SLOWEST = 8 * 1024  # bytes of a body a second
IDLE_SECONDS = 75  # between two requests
MAX_HEAD = 64 * 1024  # bytes of a request line and its headers; and of anything beside a body, between two pieces of it
MAX_PIPELINED = 100  # requests of a connection that wait behind the one in hand, until no more of it is read
ADMIT_SECONDS = 15  # from the beginning of a WebSocket until it is known who speaks: a key is waited for 10
STRANGER_FRAMES = 100  # of a WebSocket, until it is known who speaks: it says one message and hears of it
MAX_FRAMES = 5_000  # of a WebSocket in a second: a key may begin 2,000 operations at once, and end them
MAX_FRAGMENTS = 1_000  # of one message
MAX_UNREAD_PINGS = 100  # of whoever does not read what was answered
FAREWELL_SECONDS = 3  # that the other side has to answer the closing of a WebSocket, or to read why it was refused
MAX_REFUSED = 100  # connections that are still open for that; they count among the other files
MAX_CONNECTIONS = 4_000  # of a process, as far as the system lets it have as many open files
MAX_ASIDE = 50  # of them at a port for metrics and health, which a handful ask
OTHER_FILES = files.MOST - MAX_CONNECTIONS  # that a process has open besides
NEW_SECONDS = 0.5  # that a connection has for its first request when the process is being ended
_LOOK_SECONDS = 1.0
MOST_STALLED = 1_000  # bodies that are remembered as having stalled
_PIECE = 4 * 1024  # bytes that are taken before it is looked at what they were: 600 frames, or 230 requests, at most
_FULL = "This server has more connections than it may hold."
_PHRASES = {  # of the statuses in ``REFUSED_AS``
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
for _in_hand in ("nothing", "body", "answer"):
    metrics.CONNECTIONS_CLOSED.labels(_in_hand)
for _status in _PHRASES:
    metrics.CONNECTIONS_REFUSED.labels(_status)  # from 0 on: else the first one would not be seen


def is_readable(descriptor: int) -> bool:
    """Whether a read, or an accept, would give something at once."""
    looking = select.poll() if hasattr(select, "poll") else None
    if looking is None:
        return bool(select.select([descriptor], [], [], 0)[0])
    looking.register(descriptor, select.POLLIN)
    return any(event & select.POLLIN for _, event in looking.poll(0))


def max_connections() -> int:
    """How many connections this process may have open."""
    most = files.limit()
    return MAX_CONNECTIONS if most is None else max(min(MAX_CONNECTIONS, most - OTHER_FILES), 50)


class _Watched:
    """What both kinds of connections know of a client that does not read what it was answered."""

    loop: asyncio.AbstractEventLoop
    transport: Any
    server_state: Any
    first_seconds: float = FIRST_SECONDS
    since: float  # when it began to wait for what it waits for
    unread_since: float | None = None  # when more was written than its buffer takes
    left: tuple[float, int] | None = None  # at the last look: when that was, and how much was not read then,
    read_at = 0.0  # and the last one before which as much was read as must be

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]
        self.unread_since = self.loop.time()
        self.left = None
        if getattr(self.server_state, "cut", False):  # nobody waits for it any more
            self.loop.call_soon(self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()  # type: ignore[misc]
        self.unread_since = None

    @property
    def waits_to_be_read(self) -> bool:
        return self.unread_since is not None or self.transport.is_closing()

    @property
    def has_in_hand(self) -> str:
        """What it is in the midst of, though it is its client whom all waits for."""
        return "answer" if self.waits_to_be_read else ""

    def moved_at(self, now: float) -> float:
        """When something of it was last read, by either side."""
        return self.since if self.unread_since is None else max(self.unread_since, self.read_at)

    def moves(self, now: float) -> bool:
        """Whether that goes as fast as it must."""
        return self.unread_since is not None and now - self.read_at < self.first_seconds

    def make_room(self) -> None:
        """Ends it, without what its client did not read."""
        if self.transport is not None:
            self.transport.abort()

    def look_what_is_read(self, now: float) -> None:
        if self.unread_since is None:
            return
        size = self.transport.get_write_buffer_size() + _unread_of(self.transport)
        before, self.left = self.left, (now, size)
        if before is not None and before[1] - size >= (now - before[0]) * SLOWEST:
            self.read_at = now


def _unread_of(transport: asyncio.Transport) -> int:
    """Bytes that the system keeps of what was written, as far as it says."""
    if sys.platform == "win32":
        return 0
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (AttributeError, OSError):
        return 0


_KEY = re.compile(rb"\nauthorization:[ \t]*([^\r\n]+)", re.IGNORECASE)


class _Answers:
    """What is made for a client and waits until it reads: it counts for its merchant."""

    def __init__(self, server_state: Any) -> None:
        self._keep = getattr(server_state, "keep_answer", None)
        self._give_back: Callable[[], None] | None = None

    def wait(self, merchant_id: int | None, size: int) -> None:
        self.are_read()
        if self._keep is not None and merchant_id is not None:
            self._give_back = self._keep(merchant_id, size)

    def are_read(self) -> None:
        """Or nobody is there to read them."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None


async def _once_read(flow: Any, cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Any) -> None:
    """Nothing is done for a client that has not read what was done before."""
    try:
        await flow.drain()
    except asyncio.CancelledError:  # the process ends, and whatever was sent now would wait as this did
        cycle.disconnected = True
    if not cycle.disconnected:
        await app(scope, receive, send)


class Connection(_Watched, HttpToolsProtocol):
    """uvicorn's, which notes since when it waits for what."""

    most = MAX_CONNECTIONS
    answers: _Answers | None = None
    head_seconds, body_seconds = HEAD_SECONDS, BODY_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override,unused-ignore]
        self.url, self.headers = b"", []
        self.in_head = True  # its next headers are not complete
        self.since = self.loop.time()  # when it began to wait for them, or for the body
        self.received = 0  # bytes since then
        self.chunk = 0  # of them at once, the last time
        self.beside = 0  # bytes since then, and since any of a body, that are neither headers nor body
        self.came = 0  # bytes of the body
        self.seen: Any = None  # what had come of which body at the last look that found more of one,
        self.quiet_since = 0.0  # and when that was
        self.requests: list[RequestResponseCycle] = []  # that are not answered yet; uvicorn knows the last one alone
        self.opened = self.since
        self.arriving = False  # the headers of a request have begun and not ended
        self.is_ignoring = False  # of a request that is read again without the upgrade that it asks for
        self.last_one: RequestResponseCycle | None = None  # whose answer says that this connection is closed behind it
        self.unread: memoryview | None = None  # what came behind more requests than may wait
        self.has_asked_all = False  # its client sends nothing more, and waits for the answers
        has_room = len(self.connections) < self.most or _made_room(self.connections, self.since)
        super().connection_made(transport)
        if not has_room:
            log.warning(
                "a connection was refused with 503: each of the %d that this process may hold waits for an answer of ours, follows a "
                "stream, or is in the midst of a body or an answer that goes on",
                self.most,
                extra={"kind": "door_full"},
            )
            self.refuse(503, _FULL)

    def make_room(self) -> None:
        """A body of which nothing was done yet is refused, so that its sender knows."""
        cycle = self.cycle
        if self._takes_a_body and cycle is not None and not cycle.response_started and self.unread_since is None:
            self.refuse(503, _FULL)
        else:
            super().make_room()

    def data_received(self, data: bytes | memoryview) -> None:
        self.chunk = size = len(data)
        self.received += size
        self.beside += size
        if self.timeout_keep_alive_task is not None:  # as uvicorn's own method: a call less for each request
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if size > _PIECE or self.pipeline:
            self._read_in_pieces(memoryview(data))
        else:
            self._read(data)
        if self.transport.is_closing():
            return
        if self.in_head and self.received > MAX_HEAD:
            self.refuse(431, f"The request line and its headers may have {MAX_HEAD:,} bytes.")
        elif not self.in_head and self.beside > MAX_HEAD:
            self.refuse(431, f"What comes beside a body may have {MAX_HEAD:,} bytes.")

    def _read_in_pieces(self, data: memoryview) -> None:
        """No further than until ``MAX_PIPELINED`` requests wait: what comes behind them waits for them."""
        while data and not self.transport.is_closing() and self.transport.get_protocol() is self:
            if len(self.pipeline) >= MAX_PIPELINED:
                self.unread = data
                self._listen_no_more()
                self.received = self.beside = 0  # of what is read
                # Of the last one the body may not be read yet; that of the one before it is.
                self.requests[-2].on_response = self._read_on
                return
            self._read(data[:_PIECE])
            data = data[_PIECE:]

    def _read_on(self) -> None:
        """Where a request was answered that much waits behind."""
        self.on_response_complete()
        data, self.unread = self.unread, None
        if data is not None and not self.transport.is_closing():
            self.flow.read_paused = True
            self.flow.resume_reading()
            self.since = self.loop.time()
            self.data_received(data)

    def _read(self, data: bytes | memoryview) -> None:
        """As uvicorn's ``data_received``, but that an upgrade nobody here knows is ignored (RFC 9110, 7.8).

        Java's HttpClient, at its defaults, asks for one to HTTP/2. httptools takes all that follows for the other protocol's;
        so the head is read again without it, and what follows behind that.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                elif self.is_ignoring:
                    data = self._without_upgrade() + memoryview(data)[upgrade.args[0] :]
                    self.is_ignoring = False
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
                    continue
                return
            except httptools.HttpParserError as error:
                if not (self.transport.is_closing() or self.is_deaf):
                    self.logger.warning("Invalid HTTP request received.")
                    # The parser tells a header when the next one has begun.
                    if self.in_head and (key := _KEY.search(data)):
                        self.headers.append((b"authorization", key[1]))
                    self.refuse(400, self._unreadable(error))
            return

    def _unreadable(self, error: httptools.HttpParserError) -> str:
        """Why there is no request in what came. The parser's words quote nothing of it."""
        if self.cycle is not None and self.in_head and not self.url:
            return (
                "What came behind a request is none. Where it belongs to that one's body, Content-Length announced too few bytes: "
                "it counts bytes, and not characters."
            )
        if isinstance(error, httptools.HttpParserCallbackError):
            return "The address of the request is none."
        return f"This is no HTTP request: {error}."

    def _without_upgrade(self) -> bytes:
        """The head of the request, as it came but for that."""
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def on_message_begin(self) -> None:
        if self.transport.is_closing():
            raise ConnectionAbortedError("what came behind the last request is not read")  # it ends the parser's work
        super().on_message_begin()
        for request in self.requests:
            if request.response_started and not request.response_complete:
                self.hang_up()  # nobody asks anew in the midst of a stream, and its end could not be noticed any more
                break
        self.in_head, self.since, self.received = True, self.loop.time(), 0
        self.arriving = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # what comes behind a body (trailers) nobody reads, and some would take for the headers
            name = name.lower()
            if name == b"expect":
                super().on_header(name, value)
            else:  # as uvicorn's own method: a call less for each header
                self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.beside = 0
        self.came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.is_ignoring:
            super().on_message_complete()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and not self._should_upgrade() and self.parser.get_method() != b"CONNECT":
            self.is_ignoring = True
            return
        # What came at once with its headers was counted with them.
        if self.received + self.chunk > MAX_HEAD and self._size_of_head() > MAX_HEAD:
            self.refuse(431, f"The request line and its headers may have {MAX_HEAD:,} bytes.")
            raise ConnectionAbortedError("what was refused is not read")  # it ends the parser's work
        self.in_head, self.since, self.received = False, self.loop.time(), 0
        self.beside = self.came = 0
        self.arriving = False
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.__class__ = Exchange  # uvicorn has no setting for it; nothing of the request is done yet
            self.requests = [request for request in self.requests if not request.response_complete]
            self.requests.append(self.cycle)
            if self.transport.is_closing():
                self._tell_all()
            elif self.is_ending:
                self.announce_end()

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def handle_websocket_upgrade(self) -> None:
        """A WebSocket begins with GET and with nothing in hand: of anything else nobody would wait for the end."""
        if self.scope["method"] != "GET":
            self.refuse(400, "A WebSocket begins with GET.")
        elif not self.is_idle:
            self.refuse(400, "A WebSocket begins when all that was asked before it is answered.")
        elif not self.transport.is_closing():
            if self.answers is not None:
                self.answers.are_read()  # what is left of them is the socket's
            super().handle_websocket_upgrade()

    def eof_received(self) -> bool:  # type: ignore[override,unused-ignore]
        """True: its client has asked all that it wants to, and is answered; the connection is closed behind the last answer.

        A stream has no end that could be waited for: whoever followed it has gone.
        """
        cycle = self.cycle
        if self.arriving and not self.is_deaf:
            self.refuse(400, "The request ended in the midst of its headers.")
        elif not self.in_head and cycle is not None and cycle.more_body and not cycle.response_complete:
            if self._stalled_before(cycle):
                self._count_refused(cycle, 408)
            self.refuse(408, self._stalled(cycle, "and then the end of all that was sent."))
        if self.transport.is_closing() or self.is_idle or any(map(_is_stream, self.requests)):
            return False
        self.has_asked_all = True
        self.announce_end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell_all()
        self.resume_writing()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.flow.write_paused:
            app = partial(_once_read, self.flow, cycle, app)
        task = self.loop.create_task(cycle.run_asgi(app))  # as uvicorn's own method: a call less for each request
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def pause_writing(self) -> None:
        super().pause_writing()
        scope: Any = next((one.scope for one in reversed(self.requests) if one.response_started), {})
        holder = scope.get(HOLDER)
        if holder is not None:
            self.answers = self.answers or _Answers(self.server_state)
            self.answers.wait(holder.merchant_id, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        if self.answers is not None:
            self.answers.are_read()
        super().resume_writing()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand."""
        return all(request.response_complete for request in self.requests)

    @property
    def is_waiting(self) -> bool:
        """Whether it is the client whom all waits for, be it for the rest of a body, or for it to read what it was answered: it may
        be closed for another's sake.
        """
        if self.waits_to_be_read:
            return True
        cycle = self.cycle
        if cycle is None or not cycle.more_body or cycle.response_started or self.flow.read_paused:
            return self.is_idle
        return all(request.response_complete or request is cycle for request in self.requests)

    @property
    def _takes_a_body(self) -> bool:
        cycle = self.cycle
        return not self.in_head and cycle is not None and cycle.more_body and not cycle.response_complete

    @property
    def has_in_hand(self) -> str:
        return super().has_in_hand or ("body" if self._takes_a_body else "")

    def moved_at(self, now: float) -> float:
        if self.unread_since is not None or not self._takes_a_body:
            return super().moved_at(now)
        if self.came and (self.cycle, self.came) != self.seen:  # more has come since the last look
            return now
        return max(self.since, self.quiet_since)

    def moves(self, now: float) -> bool:
        if self.unread_since is not None or not self._takes_a_body:
            return super().moves(now)
        return self.came > (now - self.since) * SLOWEST and now - self.moved_at(now) < self.first_seconds / 2

    @property
    def is_ending(self) -> bool:
        """Whether this process is being ended. uvicorn's own state is what all connections of a server share."""
        return getattr(self.server_state, "ending", False)

    def announce_end(self) -> None:
        """The answer to the last request so far says that the connection is closed behind it."""
        if self.last_one is not None and self.last_one is not self.cycle and not self.last_one.response_started:
            self.last_one.keep_alive = True  # another request came in behind it
        if self.cycle is not None and not self.cycle.response_complete and self.cycle.keep_alive:
            self.cycle.keep_alive = False
            self.last_one = self.cycle

    def begin_no_more(self) -> None:
        """Closes behind the request in hand, and what waits behind that one is as if it had not come."""
        self.pipeline.clear()
        self.unread = None
        self.requests = [one for one in self.requests if not one.response_complete][:1]
        for one in self.requests:
            one.keep_alive = False
        if not self.requests:
            self.transport.close()

    def shutdown(self) -> None:
        """Called by the server, again and again, when it ends: closes where no request is in hand or on its way."""
        if self.transport is None or self.transport.is_closing():
            return
        if not self.is_idle or self.arriving:
            self.announce_end()
        elif not (self._is_new() or self._has_unread()):
            self.transport.close()

    def _is_new(self) -> bool:
        """Whoever has just connected is about to say why."""
        return self.cycle is None and self.loop.time() - self.opened < NEW_SECONDS

    def _has_unread(self) -> bool:
        """Whether bytes have arrived that the event loop has not handed over yet."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        return descriptor >= 0 and is_readable(descriptor)

    def look(self, now: float) -> None:
        """Closes it where what it waits for does not come."""
        if self.transport is None or self.transport.is_closing():
            return
        waited = now - self.since
        cycle = self.cycle
        if (self.pipeline or self.is_deaf or self.has_asked_all) and waited > self.head_seconds and self._is_held_up:
            self.hang_up()
            return
        if self.unread is not None:  # it is we who do not read
            return
        if self.in_head:
            # Between two requests uvicorn waits; a request that has begun, or a connection that says nothing, is ours.
            if waited > self.head_seconds and self.timeout_keep_alive_task is None and (cycle is None or self.received):
                self.refuse(408, f"The headers did not arrive within {self.head_seconds} s.")
        elif self.is_idle:
            # What came behind an answer, be it the rest of a body, has ended the time that uvicorn gives it.
            if self.timeout_keep_alive_task is None and waited > self.body_seconds:
                self.hang_up()
        elif cycle is not None and cycle.more_body and not cycle.response_complete:
            if self.flow.read_paused:  # it is we who do not read
                self.since, self.received = now, 0
                return
            if (cycle, self.came) != self.seen:
                self.seen, self.quiet_since = (cycle, self.came), now
            is_late = waited > self.body_seconds
            if is_late or (waited > self.first_seconds and self.received < (waited - self.first_seconds) * SLOWEST):
                if now - self.quiet_since > self.first_seconds / 2:
                    if self._stalled_before(cycle):  # the network may have stalled; a wrong Content-Length never passes
                        self._count_refused(cycle, 408)
                    self.refuse(408, self._stalled(cycle, f"and then nothing for {now - self.quiet_since:.0f} s."))
                elif is_late:
                    self.refuse(408, f"The body did not arrive within {self.body_seconds} s.")
                else:
                    self.refuse(408, f"The body came slower than {SLOWEST // 1024} KiB a second.")

    @property
    def _is_held_up(self) -> bool:
        """Whether its client does not read, or follows a stream, whose end is not noticed as long as others wait behind it."""
        return self.flow.write_paused or any(
            one.response_started and not one.response_complete for one in self.requests
        )

    def _stalled_before(self, cycle: RequestResponseCycle) -> bool:
        """Whether a body of the same sender and length ended at the same byte before, of late."""
        known: dict[int, None] = self.server_state.__dict__.setdefault("stalled", {})
        headers = dict(cycle.scope["headers"])
        stalled = hash((headers.get(b"authorization"), headers.get(b"content-length"), self.came))
        if stalled in known:
            return True
        known[stalled] = None
        if len(known) > MOST_STALLED:
            del known[next(iter(known))]
        return False

    def _stalled(self, cycle: RequestResponseCycle, then: str) -> str:
        """What came of a body of which nothing more comes."""
        for name, value in cycle.scope["headers"]:
            if name == b"content-length":
                return (
                    f"Of the {int(value):,} bytes of a body that Content-Length announced {self.came:,} came, {then} "
                    "Where those were all, correct Content-Length."
                )
        return f"{self.came:,} bytes of a body came without its end, {then}"

    @property
    def is_deaf(self) -> bool:
        """Whether what comes is not read any more, while what came before is being answered."""
        return isinstance(self.parser, _Unread)

    def refuse(self, status: int, message: str) -> None:
        """Answers the request that is coming, unless an answer has begun, and closes.

        Where requests before it are in hand, only they are answered: whoever reads a refusal knows that nothing was stored. The
        last of their answers says that the connection is closed behind it.
        """
        if self.is_deaf:  # what comes behind what was refused is too much to be passed over
            self._listen_no_more()
            return
        metrics.CONNECTIONS_REFUSED.labels(status).inc()
        cycle = self.cycle
        is_body = cycle is not None and not self.in_head and cycle.more_body and not cycle.response_complete
        if status not in COME_AGAIN and (is_body or self.in_head):
            self._count_refused(cycle if is_body else None, status)
        in_hand = [one for one in self.requests if not (one.response_complete or (is_body and one is cycle))]
        if not in_hand:
            if is_body and cycle.response_started:
                self.hang_up()
            else:
                self._write_refusal(status, message)
                self._leave()
        elif any(one.response_started for one in in_hand):
            self.hang_up()
        else:
            if is_body:
                self.pipeline.popleft()
            self.requests, self.cycle = in_hand, in_hand[-1]
            self.cycle.keep_alive = False
            self.parser = _Unread()  # type: ignore[assignment]
            self.in_head, self.since, self.received, self.beside = True, self.loop.time(), 0, 0

    def _write_refusal(self, status: int, message: str) -> None:
        again = b""
        if status in COME_AGAIN:
            message += " Nothing of it was taken: send the same request again."
            again = b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS
        error = {"message": message, "extensions": {"code": REFUSED_AS[status]}}
        body = json.dumps({"errors": [error]}, separators=(",", ":")).encode()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"
        self.transport.write(head % (status, _PHRASES[status], len(body), again) + body)

    def _leave(self) -> None:
        """Closes behind a refusal, which is in order: nobody could read it if what the client still sends were not taken in."""
        transport, self.transport = self.transport, _CLOSED
        if transport.is_closing():
            return
        refused: dict[_Refused, None] = self.server_state.__dict__.setdefault("refused", {})
        transport.write_eof()
        transport.set_protocol(_Refused(transport, refused, self.loop))
        self._unset_keepalive_if_required()
        self.connection_lost(ConnectionAbortedError())

    def _count_refused(self, cycle: RequestResponseCycle | None, status: int) -> None:
        """For whose key came with a request to the API. ``cycle`` of None: its headers are not complete."""
        count = getattr(self.server_state, "count_refused", None)
        if count is None:
            return
        if cycle is None:
            method, target, headers = self.parser.get_method().decode("latin-1"), self.url, dict(self.headers)
        else:
            scope: Any = cycle.scope
            if COUNTED in scope:
                return
            scope[COUNTED] = True
            method, target, headers = (
                scope["method"],
                scope["raw_path"] + b"?" + scope["query_string"],
                dict(scope["headers"]),
            )
        address = caller_at(self.client[0]) if self.client else ""
        task = self.loop.create_task(count(method, target, headers, address, REFUSED_AS[status]))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _listen_no_more(self) -> None:
        self.flow.pause_reading()
        self.flow.read_paused = False  # so that nobody goes on with it

    def hang_up(self) -> None:
        """Closes; whoever is about to answer on it learns so, as if the client had gone."""
        self._tell_all()
        self.transport.close()

    def _tell_all(self) -> None:
        for request in self.requests:
            if not request.response_complete:
                request.disconnected = True
                request.message_event.set()


class _Unread:
    """Stands in the parser's place where what comes is passed over."""

    def feed_data(self, data: bytes | memoryview) -> None:
        pass


class _Refused(asyncio.Protocol):
    """A connection behind a refusal: what comes is passed over until its client has closed it too, or its time is over.

    ``others``: those of the process; where there are too many, the first of them is cut off.
    """

    def __init__(
        self, transport: asyncio.Transport, others: dict[_Refused, None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.transport, self._others = transport, others
        self._timer = loop.call_later(FAREWELL_SECONDS, transport.close)
        if len(others) >= MAX_REFUSED:
            next(iter(others)).cut_off()
        others[self] = None

    def cut_off(self) -> None:
        self._others.pop(self, None)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.pop(self, None)
        self._timer.cancel()


class _Closed(asyncio.Transport):
    """Stands in a transport's place for whom it is closed."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    abort = close


_CLOSED = _Closed()


def _is_stream(request: RequestResponseCycle) -> bool:
    """Whether an answer is under way of which nobody knows where it ends."""
    return bool(request.response_started and not request.response_complete and request.chunked_encoding)


class Exchange(RequestResponseCycle):
    """A request and its answer, but that an answer whose length is known leaves in one piece.

    uvicorn writes an answer's head, then its body. Each would be a system call, a packet, and a wake-up of whoever reads.
    Whatever is out of the ordinary is uvicorn's own: it gets the head when the body, or its first part, is there.
    """

    head: Any = None  # that waits for its body: until then nothing of the answer has begun

    async def send_500_response(self) -> None:
        self.head = None  # of an answer whose body does not come: nobody has it yet
        await super().send_500_response()

    async def send(self, message: Any) -> None:
        if self.waiting_for_100_continue and self.more_body:
            # Whoever asked whether to send his body may leave it out: what comes then is nobody's guess.
            self.keep_alive = False
        head, self.head = self.head, None
        if head is not None:
            if not self._send_whole(head, message):
                await super().send(head)
                await super().send(message)
        elif message["type"] == "http.response.start" and not self.response_started and _is_measured(message):
            self.head = message
        else:
            await super().send(message)

    def _send_whole(self, head: Any, message: Any) -> bool:
        """Whether this is an everyday answer, and on its way."""
        if self.disconnected or self.flow.write_paused or message.get("more_body", False):
            return False
        if message["type"] != "http.response.body":
            return False
        body = message.get("body", b"")
        headers = head["headers"]
        # No step of Python's for each header: they took a fiftieth of what single events take.
        if not _ARE_EVERYDAY(map(_NAME, headers)) or (b"content-length", b"%d" % len(body)) not in headers:
            return False
        written = [*map(_LINE, self.default_headers), *map(_LINE, headers)]
        if self.scope["method"] == "HEAD" or HEADER_VALUE_RE.search(b"".join(written)):
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        if not self.keep_alive:
            written.append(b"connection: close")
        self.transport.write(b"%b%b\r\n\r\n%b" % (STATUS_LINE[head["status"]], b"\r\n".join(written), body))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


def _is_measured(head: Any) -> bool:
    for name, _ in head.get("headers", ()):  # noqa: SIM110 - all() of a generator takes twice as long, for every answer
        if name == b"content-length":
            return True
    return False


# As uvicorn writes them: in lower case.
_ARE_EVERYDAY = frozenset(
    (b"content-length", b"content-type", b"x-request-id", b"cache-control", b"retry-after", b"vary", b"etag")
).issuperset
_NAME, _LINE = itemgetter(0), b": ".join


class ConnectionAside(Connection):
    """Of a port beside the one that the process is for: whoever holds on to it takes no files from that."""

    most = MAX_ASIDE


class UnreadableError(Exception):
    """A frame that cannot be taken."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class _Reader(StreamReader):
    """Keeps what was read of the present frame."""

    parts: list[bytearray]

    def at_eof(self) -> Generator[None, None, bool]:
        self.parts = []  # it is asked before each frame
        return (yield from super().at_eof())

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        part = yield from super().read_exact(n)
        self.parts.append(part)
        return part


class _Frames(ServerProtocol):
    """websockets' own, but that a frame which cannot be taken closes nothing: it raises UnreadableError, and what comes behind it
    can be read.
    """

    reader: _Reader

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        if code in (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG):
            raise UnreadableError(code, reason)
        super().fail(code, reason)

    def read_on(self) -> UnreadableError | None:
        """Reads behind a frame that could not be taken; returns the next one that cannot, if there is any."""
        self.current_size = self.close_rcvd = None
        self.parser = self._behind()
        try:
            next(self.parser)
        except UnreadableError as error:
            return error
        return None

    def _behind(self) -> Generator[None, None, None]:
        """Passes over the rest of the frame, which has a head of two bytes, its length, a mask, and as much as that says."""
        reader, parts = self.reader, self.reader.parts
        size = parts[0][1] & 0x7F
        if size > 125:
            if len(parts) == 1:
                yield from reader.read_exact(2 if size == 126 else 8)
            size = len(parts[1]) + int.from_bytes(parts[1], "big")
        rest = 2 + size + (4 if parts[0][1] & 0x80 else 0) - sum(map(len, parts))
        while rest > 0 and not (yield from reader.at_eof()):
            come = min(rest, len(reader.buffer))
            del reader.buffer[:come]
            rest -= come
        yield from self.parse()


class Socket(_Watched, WebSocketsSansIOProtocol):
    """uvicorn's, which takes no long message before it is known who sends it, and waits for that no longer than it must.

    What it does not take it hands on as ``REFUSED``, in its place among the messages: so what came before is answered first, and
    whoever speaks closes it, for whatever reason, in one way.
    """

    admit_seconds = ADMIT_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._full_size = self.conn.max_message_size
        self.conn.max_message_size = STRANGER_BODY
        self.conn.__class__, self.conn.reader.__class__ = _Frames, _Reader  # uvicorn has no setting for it
        self.close_timeout = FAREWELL_SECONDS
        self.since = self.loop.time()
        self.is_strange = True  # as long as nobody is known to speak
        self.counted = 0  # frames so far; once it is known who speaks, since the last look
        self.unread_pings = 0
        self.merchant_id: int | None = None
        self.server_state = kwargs["server_state"]
        self.answers = _Answers(self.server_state)
        self.is_deaf = False  # what comes is passed over
        self.tell_behind: Callable[[Mapping[str, Any]], None] | None = None  # what comes behind the closing

    @property
    def is_waiting(self) -> bool:
        """Whether it may be closed for another's sake: nobody said who speaks, or nobody reads what was answered."""
        return self.is_strange or self.waits_to_be_read

    def data_received(self, data: bytes) -> None:
        """uvicorn takes whatever came at once, up to 256 KiB: 43,000 frames, and for seconds nobody else had a turn."""
        for start in range(0, len(data), _PIECE):
            if self.is_deaf:
                return
            self._read(data[start : start + _PIECE])
            if self.transport.is_closing():
                return
            if self._has_too_many:
                self.is_deaf, self.frames = True, []
                self._refuse(CloseCode.POLICY_VIOLATION, "too many frames")

    @property
    def _has_too_many(self) -> bool:
        return self.counted > (STRANGER_FRAMES if self.is_strange else MAX_FRAMES) or len(self.frames) > MAX_FRAGMENTS

    def _read(self, data: bytes) -> None:
        try:
            super().data_received(data)
            return
        except UnreadableError as error:
            found: UnreadableError | None = error
        while found is not None and not (self.transport.is_closing() or self._has_too_many):
            self.handle_events()  # that came before it
            self.frames, self.counted = [], self.counted + 1
            self._refuse(found.code, found.reason)
            assert isinstance(self.conn, _Frames)
            found = self.conn.read_on()
        if not self.transport.is_closing():
            self.handle_events()

    def handle_events(self) -> None:
        self.counted += len(self.conn.events)
        super().handle_events()

    def handle_ping(self) -> None:
        if self.transport.is_closing():
            return
        super().handle_ping()
        self.unread_pings = 0 if self.writable.is_set() else self.unread_pings + 1
        if self.unread_pings > MAX_UNREAD_PINGS:
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            try:
                text = b"".join(self.frames).decode()
            except UnicodeDecodeError:  # which uvicorn takes for an error of ours
                self.frames = []
                self._refuse(CloseCode.INVALID_DATA, "no UTF-8")
                return
            if self.close_sent and self.tell_behind is not None:
                self.tell_behind({"type": "websocket.receive", "text": text})
        super().send_receive_event_to_app()

    def _refuse(self, code: int, reason: str) -> None:
        told: Any = {"type": "websocket.receive", REFUSED: (int(code), reason)}
        if self.conn.state is State.CONNECTING:  # the handshake is not answered yet
            self.transport.abort()
        elif not self.close_sent:
            self.queue.put_nowait(told)
            if not self.read_paused:  # as behind any other message
                self.read_paused = True
                self.transport.pause_reading()
        elif self.tell_behind is not None:
            self.tell_behind(told)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope: dict[str, Any] | None = getattr(self, "scope", None)
        if scope is not None:  # the handshake was good; the application begins in the next turn of the loop
            scope[ADMITTED] = self._admitted
            scope[TAKEN] = self.writable.wait
            scope[BEHIND] = partial(setattr, self, "tell_behind")

    def connection_lost(self, exc: Exception | None) -> None:
        self.answers.are_read()
        self.connections.add(self)  # uvicorn takes it out, and fails where it has made room for another already
        super().connection_lost(exc)

    async def run_asgi(self) -> None:
        """A refusal with an answer of its own is an end like any other: uvicorn takes it for a handshake that is missing."""
        app = self.app

        async def answered(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)
            if self.initial_response is not None and self.close_sent:
                raise ClientDisconnected

        self.app = answered
        await super().run_asgi()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.answers.wait(self.merchant_id, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self.answers.are_read()
        super().resume_writing()

    async def send(self, message: Any) -> None:
        if not self.writable.is_set():
            answer = _Answers(self.server_state)
            answer.wait(self.merchant_id, len(message.get("text") or ""))
            try:
                while not self.writable.is_set():  # others waited, too: one after the other
                    await self.writable.wait()
            finally:
                answer.are_read()
        await super().send(message)

    def _admitted(self, merchant_id: int) -> None:
        self.merchant_id = merchant_id
        self.conn.max_message_size = self._full_size
        self.is_strange = False
        self.counted = 0

    def look(self, now: float) -> None:
        """Closes it where it is not known in time who speaks."""
        if not self.is_strange:
            self.counted = 0
        elif now - self.since > self.admit_seconds:
            self.transport.abort()


def wait_for_none(state: Any) -> None:
    """From now on: whoever does not read what he was answered is cut off, what is said last waits for nobody, and nothing is begun."""
    state.cut = True
    for connection in list(state.connections):
        if isinstance(connection, Connection | Socket) and connection.unread_since is not None:
            connection.transport.abort()
        elif isinstance(connection, Connection):
            connection.begin_no_more()
    for refused in list(getattr(state, "refused", ())):
        refused.cut_off()


async def watch(connections: Iterable[Any]) -> None:
    """Looks at all connections of the process, once a second, until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, Connection | Socket):
                try:
                    connection.look_what_is_read(now)
                    connection.look(now)
                except Exception:
                    log.exception("a connection could not be looked at")


def _made_room(connections: set[Any], now: float) -> bool:
    """Closes those whose clients were waited for longest since something moved, and those that are in the midst of nothing before the
    others; whoever waits for us goes on, and so does a body, or an answer, that moves.

    A body that was begun and does not go on is closed, too: else a stranger who begins bodies has all for half a minute.
    """
    waiting = [
        found
        for found in connections
        if isinstance(found, Connection | Socket) and found.is_waiting and not found.moves(now)
    ]
    idle = [found for found in waiting if not found.has_in_hand]
    closed = sorted(idle or waiting, key=lambda found: (found.moved_at(now), found.since))[: max(1, len(waiting) // 16)]
    for found in closed:
        metrics.CONNECTIONS_CLOSED.labels(found.has_in_hand or "nothing").inc()
        found.make_room()
        connections.discard(found)  # at once: others that come in this turn have that room, and need not look for more
    if closed:
        log.warning(
            "for new connections others were closed, as this process holds as many as it may: %d, %s",
            len(closed),
            "between two requests, or before one" if idle else "in the midst of a body or an answer that did not go on",
            extra={"kind": "door_crowded"},
        )
    return bool(closed)
