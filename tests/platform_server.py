"""A platform on loopback that answers, hangs and hangs up as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, strict_parsing=True) if "?" in self.target else []

    def places_of(self, secret: str) -> list[str]:
        """Where a secret is found: names of headers, ``query``, ``path``, ``body``."""
        places = [name for name, value in self.headers.items() if secret in value]
        places += ["query"] * sum(secret in value for _, value in self.query)
        places += ["path"] * (secret in urlsplit(self.target).path)
        return places + ["body"] * self.body.count(secret.encode())


Answer = Callable[[BaseHTTPRequestHandler], None]


class Platform:
    """A server on loopback. ``answer`` writes the bytes of the answer; the connection is closed after it."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Answer = answered(200, b'{"ok":true}')
        self.closing = threading.Event()
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                platform.received.append(Received(self.command, self.path, headers, body))
                with suppress(OSError):  # a client that has read enough hangs up
                    platform.answer(self)
                self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Says nothing until the test is over."""
        self.closing.wait(30)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def written(*parts: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        for part in parts:
            handler.wfile.write(part)

    return answer


def answered(status: int, body: bytes, *headers: str) -> Answer:
    head = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "connection: close", *headers]
    return written("\r\n".join([*head, "", ""]).encode(), body)
