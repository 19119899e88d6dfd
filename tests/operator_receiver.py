"""A real HTTP server that keeps what it is sent, and fails where it is told to."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson


class Receiver:
    """``bodies``: the JSON of what it took by POST; ``asked``: how often it was asked by GET. ``status``: of its answers.

    ``tried``: everything that came, also what it did not take. ``logins``: the headers of those who logged in.
    """

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.asked = 0
        self.tried = 0
        self.logins: list[str] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.tried += 1
                if receiver.status == 200:
                    receiver.bodies.append(body)
                self._answer()

            def do_GET(self) -> None:
                receiver.tried += 1
                receiver.asked += receiver.status == 200
                self._answer()

            def _answer(self) -> None:
                if "authorization" in self.headers:
                    receiver.logins.append(self.headers["authorization"])
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def told(self, kind: str) -> list[str]:
        """The states in which a trouble was told, in order."""
        return [body["state"] for body in self.bodies if body["kind"] == kind]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
