"""Runs roles until a signal ends them: an HTTP server, workers, the scheduler."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import dramatiq
import uvicorn
from starlette.applications import Starlette

from tracklayer.actors.crew import Crew
from tracklayer.actors.schedule import run_schedule
from tracklayer.cli.process import CommandError
from tracklayer.runtime import Runtime
from tracklayer.schema.http import MAX_BODY

UNREAD_MS = 60_000  # how long what was sent to a client may lie unread
GRACE_SECONDS = 2  # for requests and batches in hand: all of it together must end within 5 s of the signal


class Stopped(Exception):
    """A signal asked this process to end."""


class Stopper:
    """Turns SIGINT and SIGTERM into a clean end, whatever the process is doing."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.serving = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        # Until the process is gone, a second signal must not interrupt the cleaning up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        already = self.event.is_set()
        self.event.set()
        if not self.serving and not already:
            raise Stopped


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises CommandError where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None
    # Accepted connections inherit it: an answer is one small packet that must not wait for an acknowledgement.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A client that has stopped reading is let go: only the kernel can tell, since the server waits for it to read.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    return bound


def settings_of_server() -> dict[str, Any]:
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "timeout_keep_alive": 75,
        "ws_max_size": MAX_BODY,
        "ws_per_message_deflate": False,  # alerts are small; a thousand compressors are not
    }


class Server(uvicorn.Server):
    """Ends event streams before it waits for connections to close: they would never end by themselves."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._closing: asyncio.Event = app.state.closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)


def serve_http(app: Starlette, bound: socket.socket, stopper: Stopper) -> None:
    """Serves until a signal, then finishes what is in hand."""
    server = Server(app, uvicorn.Config(app, **settings_of_server()))
    stopper.serving = True
    try:
        # uvicorn takes the signals for itself while it serves, and hands them back to us when it is done.
        server.run(sockets=[bound])
    finally:
        stopper.serving = False
        stopper.event.set()


@contextmanager
def working(crew: Crew, threads: int) -> Iterator[dramatiq.Worker]:
    """A worker for the length of the block; its batches in hand get a moment to finish.

    What does not finish in time stays claimed: when this process is gone, so is the lock on its number, and the next
    sweep takes the claims back.
    """
    worker = crew.start_worker(threads)
    try:
        yield worker
    finally:
        worker.stop(timeout=GRACE_SECONDS * 1000)


@contextmanager
def scheduling(runtime: Runtime, crew: Crew) -> Iterator[None]:
    """The scheduler in a thread for the length of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=run_schedule, args=(runtime, crew.fire, stop), name="scheduler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=1)
