"""One request to an address that somebody gave: over in ten seconds, and into a private network only where that is allowed.

A name is looked up once: every address that it has is judged, and the connection goes to one of those very addresses,
so that a name which means another one a moment later gains nothing. The name itself stays in the Host header, in TLS's
SNI and in what the certificate must say. Redirects are not followed. Knows nothing of alerts.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpcore
import httpx

from tracklayer.domain.address import is_loopback, is_public
from tracklayer.domain.certificate import wrong_with_certificate
from tracklayer.domain.waits import retry_after

SECONDS = 10.0  # of all: looking the name up, connecting, TLS, sending, and the answer's first line
CONNECT_SECONDS = 4.0  # of one address, so that there is time for another one
MOST_ADDRESSES = 4  # of a name that are tried
ANSWER_SECONDS = 1.0  # for the rest of an answer whose status is known
MAX_ANSWER = 4096  # bytes of an answer that are read: it is never shown
MAX_URL = 2000  # characters
RESOLVING_AT_ONCE = 32  # threads: the system's resolver knows no limit in time, so one that hangs is left behind
LONGEST_WISH = 3600.0  # seconds of a Retry-After that are kept

PRIVATE = "its name leads into a private network"
NOT_FOUND = "its name is not known"

Resolve = Callable[[str, int, float], Sequence[str]]
_resolving = threading.BoundedSemaphore(RESOLVING_AT_ONCE)


class NoAddressError(Exception):
    """Nothing that may be connected to. ``reason``: words that quote nothing."""

    def __init__(self, reason: str, *, is_private: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_private = reason, is_private


@dataclass(frozen=True, slots=True)
class Answer:
    """``error``: what went wrong, in words without the address; None: it was taken.

    ``retry_after``: seconds that the receiver asks to be left alone. ``may_have_it``: nobody knows whether it got the request.
    """

    status: int | None
    error: str | None
    retry_after: float = 0.0
    may_have_it: bool = False


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    trusted: ssl.SSLContext,
    *,
    allow_private: bool,
    allow_loopback: bool = False,
    seconds: float = SECONDS,
    resolve: Resolve | None = None,
) -> Answer:
    """What the receiver made of it. Never raises for what a network does. Only a 2xx means that it was taken."""
    backend = _Backend(resolve or addresses_of, allow_private, allow_loopback, time.monotonic() + seconds)
    return _ask("POST", url, body, headers, trusted, backend, seconds)


def get(
    url: str,
    headers: Mapping[str, str],
    trusted: ssl.SSLContext,
    *,
    allow_private: bool,
    seconds: float = SECONDS,
) -> Answer:
    """As ``post``, without a body."""
    backend = _Backend(addresses_of, allow_private, allow_private, time.monotonic() + seconds)
    return _ask("GET", url, None, headers, trusted, backend, seconds)


def _ask(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    trusted: ssl.SSLContext,
    backend: _Backend,
    seconds: float,
) -> Answer:
    target = httpx.URL(url)
    given = {"host": target.netloc.decode("ascii"), "connection": "close", **headers}
    if body is not None:
        given["content-length"] = str(len(body))
    request = httpcore.Request(
        method,
        httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path or b"/"),
        headers=[(name.encode(), value.encode("ascii")) for name, value in given.items()],
        content=body,
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
    )
    try:
        with httpcore.ConnectionPool(ssl_context=trusted, max_connections=1, network_backend=backend) as pool:
            response = pool.handle_request(request)
            try:
                backend.ends = min(backend.ends, time.monotonic() + ANSWER_SECONDS)
                _read_some(response)
            finally:
                response.close()
    except NoAddressError as error:
        return Answer(None, f"It was not reached: {error.reason}.")
    except httpcore.TimeoutException as error:
        is_connected = not isinstance(error, httpcore.ConnectTimeout)
        return Answer(None, f"It did not answer within {SECONDS:.0f} seconds.", may_have_it=is_connected)
    except (httpcore.ConnectError, httpcore.UnsupportedProtocol) as error:
        return Answer(None, f"It was not reached: {_why(error)}.")
    except (httpcore.NetworkError, httpcore.ProtocolError):
        return Answer(None, "It closed the connection before it had answered.", may_have_it=True)
    return _judged(response.status, response.headers)


def addresses_of(host: str, port: int, seconds: float) -> Sequence[str]:
    """The IP addresses that a name has now. Raises NoAddressError where there is none, or no answer in time."""
    ends = time.monotonic() + seconds
    if not _resolving.acquire(timeout=seconds):
        raise NoAddressError("too many names are being looked up")
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            found.set_exception(error)
        finally:
            _resolving.release()

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        rows = found.result(max(0.0, ends - time.monotonic()))
    except TimeoutError:
        raise NoAddressError("its name could not be looked up in time") from None
    except (OSError, UnicodeError):
        raise NoAddressError(NOT_FOUND) from None
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def admitted(
    host: str, port: int, seconds: float, *, allow_private: bool, allow_loopback: bool = False, resolve: Resolve
) -> Sequence[str]:
    """The addresses of a name, all of them judged. Raises NoAddressError where one of them leads inside.

    ``allow_loopback``: to this machine itself, and to nothing else that is private.
    """
    found = resolve(host, port, seconds)
    if not found:
        raise NoAddressError(NOT_FOUND)
    if not allow_private and not all(is_public(one) or (allow_loopback and is_loopback(one)) for one in found):
        raise NoAddressError(PRIVATE, is_private=True)
    return found


class _Backend(httpcore.NetworkBackend):
    """Connects to judged addresses only; nothing of it takes longer than until ``ends``."""

    def __init__(self, resolve: Resolve, allow_private: bool, allow_loopback: bool, ends: float) -> None:
        self._resolve, self._allow_private, self._allow_loopback = resolve, allow_private, allow_loopback
        self._real = httpcore.SyncBackend()
        self.ends = ends

    def left(self) -> float:
        """Seconds. Raises httpcore.TimeoutException where there are none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        found = admitted(
            host,
            port,
            self.left(),
            allow_private=self._allow_private,
            allow_loopback=self._allow_loopback,
            resolve=self._resolve,
        )
        last: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in found[:MOST_ADDRESSES]:
            try:
                seconds = min(self.left(), CONNECT_SECONDS)
                stream = self._real.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
                continue
            return _Stream(stream, self)
        assert last is not None
        raise last


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends when the whole errand must."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _Backend) -> None:
        self._stream, self._backend = stream, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), 16_384):
            self._stream.write(buffer[start : start + 16_384], self._backend.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._backend.left()), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _read_some(response: httpcore.Response) -> None:
    """So that the receiver sees its answer taken. What follows its status changes nothing any more."""
    read = 0
    try:
        for chunk in response.iter_stream():
            read += len(chunk)
            if read >= MAX_ANSWER:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return


def _judged(status: int, headers: Sequence[tuple[bytes, bytes]]) -> Answer:
    if 200 <= status < 300:
        return Answer(status, None)
    if 300 <= status < 400:
        return Answer(status, f"It answered {status}, a redirect, which is not followed: give the address it leads to.")
    if status == 410:
        return Answer(status, "It answered 410: there is nothing at this address any more.")
    said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(headers)}
    wish = retry_after(said, datetime.now(UTC))
    may_have_it = status >= 500 and status != 503  # whoever failed may have failed behind taking it
    return Answer(status, f"It answered {status}.", min(LONGEST_WISH, wish or 0.0), may_have_it)


def _why(error: Exception) -> str:
    """The kind of error only: its words quote names."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate {wrong_with_certificate(cause.verify_code)}"
    if isinstance(cause, ssl.SSLError):
        return "it does not speak TLS there"
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused"
    return "the connection failed"
