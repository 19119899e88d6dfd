"""The HTTP client for calls to platforms: httpx's, without what such a call does not need."""

from __future__ import annotations

import functools
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

PATIENCE = 3  # times the client's limit for one part of an answer: what all of it may take, however it trickles
MOST_LATE_READS = 80  # after that, of 64 KiB at most: more than the longest answer that is taken
SHORTEST_READ = 0.001  # seconds
MOST_ADDRESSES = 4  # of one host that are tried
SHORTEST_CONNECT = 1.0  # seconds that each of them gets
LIMITS = httpx.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=30)


class PlatformClient(httpx.Client):
    """httpx's client without what no call to a platform needs, which is half of what a request costs: no cookies, redirects,
    authentication or hooks; a request leaves in one piece, and all of its answer has an end. Proxies of the environment, time-outs
    of each part and errors are httpx's own.
    """

    def __init__(self, trusted: ssl.SSLContext, timeout: httpx.Timeout) -> None:
        # Cookies are never kept: the next request from this thread is another merchant's.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        super().__init__(verify=trusted, timeout=timeout, limits=LIMITS, follow_redirects=False, cookies=no_cookies)
        self._gate = _Gate()
        for transport in (self._transport, *self._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                transport._pool._network_backend = _Backend(self._gate)  # httpx has no argument for it

    def build_request(self, method: str, url: httpx.URL | str, **given: Any) -> httpx.Request:
        """Of ``given`` counts what ``services/transport.py`` gives: ``content``, ``headers``, and of ``extensions`` ``may_leave``."""
        return httpx.Request(
            method,
            _url_of(str(url)),
            headers={
                "accept": "*/*",
                "accept-encoding": self.headers["accept-encoding"],
                "connection": "keep-alive",
                **given["headers"],
            },
            content=given["content"],
            extensions={"timeout": self.timeout.as_dict(), **(given.get("extensions") or {})},
        )

    def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """The answer's head; its body is to be read, and it is to be closed. All of it takes ``PATIENCE`` times the limit for one
        part of it at most: then httpx.ReadTimeout is raised, here or from the body.

        ``may_leave`` of its extensions is asked at the last moment, when there is a connection: where it says no, nothing leaves, and
        httpx.ConnectError is raised.
        """
        self._gate.may_leave = request.extensions.get("may_leave")
        response = self._transport_for_url(request.url).handle_request(request)
        stream = response.extensions.get("network_stream")
        if isinstance(stream, _Gathering) and stream.holds_request:
            # Somebody's answer was glued behind the one before: this request never left, and that is no answer to it.
            response.close()
            raise httpx.ConnectError("the connection held an answer before it was asked", request=request)
        response.request = request
        return response


@functools.lru_cache(maxsize=2048)
def _known_url(url: str) -> httpx.URL:
    return httpx.URL(url)


def _url_of(url: str) -> httpx.URL:
    """As httpx reads it, for a tenth of what that takes. A query may hold a secret: it is not kept."""
    address, mark, query = url.partition("?")
    if not _IS_ENCODED(query):
        return httpx.URL(url)
    known = _known_url(address)
    if mark:
        found = httpx.URL(known)
        found._uri_reference = known._uri_reference._replace(query=query)
        return found
    return known


_IS_ENCODED = re.compile(r"(?:[A-Za-z0-9._~=&+-]|%[0-9A-F]{2})*", re.ASCII).fullmatch  # nothing that httpx would encode


class _Gate:
    """What every request of one client passes when it leaves. ``may_leave``: of the present one; None: it may."""

    __slots__ = ("may_leave",)

    def __init__(self) -> None:
        self.may_leave: Callable[[], bool] | None = None

    def pass_through(self) -> None:
        """Raises httpcore.ConnectError where the present request may not leave any more."""
        if self.may_leave is not None and not self.may_leave():
            raise httpcore.ConnectError("too much time has passed since it was known that the request may leave")


class _Backend(httpcore.SyncBackend):
    """Its connections gather what is written until something is read, and do not wait for ever."""

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """In ``timeout`` seconds, however many addresses the host has: those that come next share what is left."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name has no address") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))[:MOST_ADDRESSES]
        ends = time.monotonic() + (timeout or 0)
        last: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for place, address in enumerate(addresses):
            left = (ends - time.monotonic()) / (len(addresses) - place)
            seconds = None if timeout is None else max(SHORTEST_CONNECT, left)
            try:
                stream = super().connect_tcp(address, port, seconds, local_address, socket_options)
                return _Gathering(stream, self._gate)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        assert last is not None
        raise last


class _Gathering(httpcore.NetworkStream):
    """httpcore writes a request's head, then its body. Each would be a system call, a packet or two, and a turn of the
    interpreter that other threads take meanwhile.

    It bounds all reads of an answer together, too: also of one that comes a byte at a time, or never gets to its head.
    """

    def __init__(self, stream: httpcore.NetworkStream, gate: _Gate) -> None:
        self._stream = stream
        self._gate = gate
        self._held: list[bytes] = []
        self._seconds: float | None = None  # that writing it may take
        self._began = 0.0  # the request, on the monotonic clock
        self._late_reads = 0  # of its answer

    @property
    def holds_request(self) -> bool:
        """Whether something was written that has not left."""
        return bool(self._held)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._held:
            self._began, self._late_reads = time.monotonic(), 0
        self._held.append(buffer)
        self._seconds = timeout

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._held:
            self._gate.pass_through()
            held, self._held = b"".join(self._held), []
            with suppress(httpcore.WriteError):  # as httpcore does: whoever hangs up may have said why
                self._stream.write(held, self._seconds)
        if timeout is not None:
            left = self._began + PATIENCE * timeout - time.monotonic()
            if left <= 0:  # what has arrived already is read all the same: it may be this process that stood still
                self._late_reads += 1
                if self._late_reads > MOST_LATE_READS:
                    raise httpcore.ReadTimeout
            timeout = min(timeout, max(left, SHORTEST_READ))
        return self._stream.read(max_bytes, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Gathering(self._stream.start_tls(ssl_context, server_hostname, timeout), self._gate)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
