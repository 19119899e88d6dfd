"""Reads bodies: no larger than whoever sends one may, and no more of them at once than this process has room for.

Compressed ones are inflated as they come, and both bounds are of what that gives: a small body may be a large one.

How long a body may take is the server's to say: it closes a connection whose body does not come (``cli.connections``).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from functools import partial
from types import TracebackType
from typing import Self

from starlette.types import Message, Receive

from tracklayer.domain.wire import STRANGER_BODY, STREAM_BODY
from tracklayer.schema import errors

MAX_BODY = 4 * 1024 * 1024  # bytes
MAX_ADMIN_BODY = 32 * 1024 * 1024  # of a key with the scope ADMIN: hundreds of thousands of ids to redeliver
ALL_BODIES = 128 * 1024 * 1024  # of all requests in hand together
ALWAYS = 64 * 1024  # bytes that a merchant may hold, however full the room is
ANSWERS = "answers"  # of a merchant, beside what it sends
SLICE = 256 * 1024  # inflated bytes, after which others have their turn
PIECE = 32 * 1024  # bytes that are inflated from at once: what follows a member is copied each time
MOST_MEMBERS = 1_000  # of a gzip body (RFC 1952, 2.2): a member of nothing takes work, and twenty bytes
MEMBERS_OF_A_TURN = 50  # that begin before others have their turn
_GZIP, _ZLIB = 31, 15  # ``wbits`` of zlib
ENCODINGS = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": _ZLIB}  # RFC 9110, 8.4.1
_CODINGS = frozenset((*ENCODINGS, b"compress", b"x-compress", b"br", b"zstd", b"identity"))  # that are named


class ClientGoneError(Exception):
    """Whoever sent the request left before its end: nobody waits for an answer."""


class UnknownEncodingError(Exception):
    """The body has a Content-Encoding that nobody reads here."""


class DamagedBodyError(Exception):
    """The body is not what its Content-Encoding says, or ends too soon."""


class Bodies:
    """The room that all bodies of a process share, in bytes, and with them the operations that stay open, and the answers that are
    made and not read.

    One merchant may hold half of it; when it is full, each no more than an equal share, with one left over. All strangers
    together are one more; and so are the answers of a merchant, so that whoever does not read keeps no event out.
    """

    def __init__(self, room: int = ALL_BODIES) -> None:
        self._room = room
        self._held: dict[Hashable, int] = {}
        self.held = 0

    def reader(self, owner: Hashable, most: int, headers: Mapping[bytes, bytes]) -> Reader:
        """For one request of ``owner`` with a body of at most ``most`` bytes; a block, whose end gives its room back.

        Raises GraphQLError for one that announces more, and UnknownEncodingError.
        """
        wbits = None
        if encoding := headers.get(b"content-encoding"):
            encoding = encoding.strip().lower()
            wbits = ENCODINGS.get(encoding)
            if wbits is None and encoding != b"identity":
                raise UnknownEncodingError
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > most:
            raise _too_large(most)
        return Reader(self, owner, most, wbits)

    def take(self, owner: Hashable, size: int) -> None:
        """Raises GraphQLError where there is no room."""
        own = self._held.get(owner, 0)
        if self._is_too_much(own, size):
            message = "This server has more bodies in hand than it may hold; nothing of this request was stored. Send it again."
            raise errors.refused(message, errors.OVERLOADED, retryable=True)
        self._hold(owner, size)

    def _is_too_much(self, own: int, size: int) -> bool:
        """Of whoever holds ``own`` bytes and wants ``size`` more."""
        is_full = self.held + size > self._room
        of_owner = own + size
        return of_owner > ALWAYS and of_owner > self._room // (len(self._held) + (not own) + 1 if is_full else 2)

    def keep_answer(self, merchant_id: int, size: int) -> Callable[[], None]:
        """Takes room for what is made already, be there any or not; returns what gives it back."""
        owner = (ANSWERS, merchant_id)
        self._hold(owner, size)
        return partial(self.give_back, owner, size)

    def admit_answer(self, merchant_id: int) -> None:
        """Before anything is read for a merchant. Raises GraphQLError where too much that was made for it is not read."""
        own = self._held.get((ANSWERS, merchant_id))
        if own and self._is_too_much(own, 0):
            message = (
                f"Clients of this merchant have {own:,} bytes of answers to read still, and this server may hold no more. Read "
                "them, or close those connections, and ask again."
            )
            raise errors.refused(message, errors.OVERLOADED, retryable=True)

    def give_back(self, owner: Hashable, size: int) -> None:
        """What was taken."""
        self._hold(owner, -size)

    def _hold(self, owner: Hashable, more: int) -> None:
        """Whoever holds nothing has no entry, and may take nothing and give it back."""
        held = self._held.pop(owner, 0) + more
        if held:
            self._held[owner] = held
        self.held += more


class Reader:
    """Reads one body."""

    __slots__ = ("_bodies", "_most", "_owner", "_taken", "_wbits")

    def __init__(self, bodies: Bodies, owner: Hashable, most: int, wbits: int | None = None) -> None:
        self._bodies = bodies
        self._owner = owner
        self._most = most
        self._taken = 0
        self._wbits = wbits

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._taken:
            self._bodies.give_back(self._owner, self._taken)

    async def read(self, receive: Receive) -> bytes:
        """The whole body. Raises ClientGoneError, and DamagedBodyError; GraphQLError for one that is too large, or that there is
        no room for.
        """
        if self._wbits is not None:
            return b"".join([part async for part in self._inflated(receive, self._wbits)])
        parts: list[bytes] = []
        while True:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part: bytes = message.get("body", b"")
            self._take(part)
            if not message.get("more_body", False):
                return b"".join((*parts, part)) if parts else part
            parts.append(part)

    def hold(self, size: int) -> None:
        """Takes more room, for what becomes of the body. Raises GraphQLError where there is none."""
        self._bodies.take(self._owner, size)
        self._taken += size

    def _take(self, part: bytes) -> None:
        if self._taken + len(part) > self._most:
            raise _too_large(self._most)
        if part:
            self.hold(len(part))

    async def _inflated(self, receive: Receive, wbits: int) -> AsyncIterator[bytes]:
        """Never more than ``SLICE`` at once, and nothing beyond what the body may have, before or after."""
        more, arrived, members = True, 0, 1
        inflating = zlib.decompressobj(wbits)
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            body: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            arrived += len(body)
            if arrived > self._most:
                raise _too_large(self._most)  # blocks that hold nothing may come without end
            for start in range(0, len(body), PIECE):
                packed, is_full = body[start : start + PIECE], False
                while packed or is_full:
                    if packed and inflating.eof:
                        members += 1
                        if wbits != _GZIP or members > MOST_MEMBERS:
                            raise DamagedBodyError  # something follows its end
                        if members % MEMBERS_OF_A_TURN == 0:
                            await asyncio.sleep(0)
                        inflating = zlib.decompressobj(wbits)
                    try:
                        part = inflating.decompress(packed, SLICE)
                    except zlib.error:
                        raise DamagedBodyError from None
                    self._take(part)
                    yield part
                    packed, is_full = inflating.unused_data or inflating.unconsumed_tail, len(part) == SLICE
                    if is_full:
                        await asyncio.sleep(0)
        if not inflating.eof:
            raise DamagedBodyError


def why_coded(transfer_encoding: bytes) -> str | None:
    """What is wrong with a body that is sent in more than chunks, of which the server takes only those apart; None: nothing is."""
    for coding in transfer_encoding.lower().split(b","):
        name = coding.strip()
        if name not in (b"", b"chunked"):
            named = name.decode() if name in _CODINGS else "another coding"
            return (
                f"The body cannot be read: its Transfer-Encoding names {named}, and only chunked is taken apart. Say with "
                "Content-Encoding how it is compressed: gzip or deflate."
            )
    return None


def _too_large(most: int) -> Exception:
    hints = {STRANGER_BODY: "Send your API key, or less.", STREAM_BODY: "What is answered by a stream is short."}
    hint = hints.get(most, "Send fewer events at once.")
    return errors.refused(f"The body may have {most:,} bytes. {hint}", errors.TOO_LARGE)
