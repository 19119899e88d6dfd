"""Serves the sandbox over HTTP: ``run_sandbox`` for the command, ``SandboxServer`` for all else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tracklayer.sandbox.app import build_sandbox, utc_now
from tracklayer.sandbox.engine import CUT, DEFAULT_LIMITS, Limits
from tracklayer.sandbox.platforms import PLATFORMS
from tracklayer.sandbox.platforms.base import Platform

START_SECONDS = STOP_SECONDS = 10  # a loaded machine; usually some hundredths
LAST_SECONDS = 1  # that requests have to end when their connections were cut
TICK_SECONDS = 0.1  # uvicorn counts ten to a second
KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection, so that none is closed under their hands


def run_sandbox(host: str = "127.0.0.1", port: int = 9100) -> None:
    """Serves until Ctrl-C. Raises ``OSError`` where the port is taken."""
    server = _Server(_config(build_sandbox()))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it has shut down
        server.run(sockets=[_listen(host, port)])


class SandboxServer:
    """A sandbox in a thread of its own: ``with SandboxServer() as sandbox: post(f"{sandbox.url}/meta/...")``.

    Port 0 takes a free one and keeps it. Stopped and started again it is the same sandbox: what it remembers
    and its faults are still there, and in between nobody answers, as when a platform is unreachable.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        seed: int = 0,
        clock: Callable[[], datetime] = utc_now,
        limits: Limits = DEFAULT_LIMITS,
        platforms: Mapping[str, Platform] = PLATFORMS,
    ) -> None:
        self.host = host
        self.port = port
        self._app = build_sandbox(seed, clock, limits, platforms)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:9100``, without a slash at the end; the port is known once it was started."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Returns once it answers; nothing new where it does already. Raises ``OSError``: port taken."""
        if self._thread is not None:
            return self
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        server = _Server(_config(self._app))
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
        thread.start()
        if not server.answers.wait(START_SECONDS):
            server.end()
            raise RuntimeError("The sandbox did not start.")
        self._server, self._thread = server, thread
        return self

    def stop(self) -> None:
        """Cuts every connection and frees the port, and waits for no request; does nothing where it is stopped."""
        if self._server is None or self._thread is None:
            return
        self._server.end()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("The sandbox did not stop.")
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Config(uvicorn.Config):
    def configure_logging(self) -> None:
        """Touches no logger: they belong to the process, and ``up`` has another uvicorn in it."""


class _Protocol(H11Protocol):
    """Hands every request the means to end its connection, and logs none of them."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.app = self._with_cut

    async def _with_cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        # close and not abort: half an answer that was written is still to arrive
        scope["extensions"] = {CUT: self.transport.close}
        await self.config.loaded_app(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn's, which ends when it is told to, and not up to a fifth of a second later: most tests start one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    def end(self) -> None:
        """From any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._told.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.answers.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cuts the connections, since a hanging request would be waited for. There is no lifespan to end."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_SECONDS)  # what is left is cancelled with the loop


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=512)
    # Connections inherit it. asyncio sets it only on sockets it made itself, and without it every answer,
    # written in two pieces, waits 40 ms for the client to acknowledge the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return _Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
