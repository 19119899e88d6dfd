"""A real HTTP server for tests: keeps what it is sent, and answers, hangs, redirects or hangs up as it is told."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HANG, CLOSE, HALF, TRICKLE, ENDLESS = "hang", "close", "half", "trickle", "endless"


@dataclass(frozen=True)
class Got:
    """One request that arrived whole. ``name``: TLS's SNI."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    name: str | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """``plan``: what is done with the next requests, an HTTP status or one of the words above; then ``otherwise``."""

    certificate: Path | None = None
    plan: list[int | str] = field(default_factory=list)
    otherwise: int | str = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._names: dict[int, str | None] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda request, client: None  # type: ignore[method-assign,assignment]
        if self.certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self.certificate)
            tls.sni_callback = self._note_name
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self.last_name: str | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def release(self) -> None:
        """Hangs up on all that hang, now and later."""
        self._over.set()

    def _note_name(self, socket: Any, name: str | None, context: Any) -> None:
        self.last_name = name

    def _next(self, got: Got) -> int | str:
        with self._lock:
            self.got.append(got)
            return self.plan.pop(0) if self.plan else self.otherwise

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler's own self is another
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # whoever sent it was killed meanwhile
                headers = {name.lower(): value for name, value in self.headers.items()}
                deed = receiver._next(Got(self.path, headers, body, receiver.last_name))
                self.close_connection = True
                if isinstance(deed, int):
                    self.send_response(deed)
                    for name, value in receiver.answer_headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                elif deed == HANG:
                    receiver._over.wait(30)
                elif deed == HALF:
                    self.wfile.write(b"HTTP/1.1 20")
                elif deed == TRICKLE:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not receiver._over.wait(0.05):
                        self.wfile.write(b"x-more: 1\r\n")
                elif deed == ENDLESS:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    while not receiver._over.is_set():
                        self.wfile.write(b"x" * 65536)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def until(holds: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
