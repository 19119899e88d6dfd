"""Runs roles until a signal ends them: an HTTP server, workers, the scheduler."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import dramatiq
import uvicorn
from starlette.applications import Starlette

from tracklayer.actors.crew import Crew
from tracklayer.actors.schedule import run_schedule
from tracklayer.cli.connections import IDLE_SECONDS, Connection, Socket, max_connections, watch
from tracklayer.cli.process import CommandError
from tracklayer.runtime import Runtime
from tracklayer.schema.bodies import STREAM_BODY

log = logging.getLogger(__name__)

SETTLING_SECONDS = 3  # a process that ends sooner never served
UNREAD_MS = 60_000  # how long what was sent to a client may lie unread
GRACE_SECONDS = 2  # for requests and batches in hand: all of it together must end within 5 s of the signal
DRAIN_SECONDS = 35  # of a process that only delivers: longer than the longest request to a platform, half a minute


class Stopped(Exception):
    """A signal asked this process to end."""


class Stopper:
    """Turns SIGINT and SIGTERM into a clean end, whatever the process is doing.

    ``draining``: what is in hand is being finished, which may take long; a second signal ends that at once.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.serving = False
        self.draining = False

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
        if self.draining or not (self.serving or already):
            self.draining = False
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
        "timeout_keep_alive": IDLE_SECONDS,
        "http": Connection,
        "ws": Socket,
        "ws_max_size": STREAM_BODY,
        "ws_per_message_deflate": False,  # alerts are small; a thousand compressors are not
    }


class Server(uvicorn.Server):
    """Ends event streams before it waits for connections to close: they would never end by themselves."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._closing: asyncio.Event | None = getattr(app.state, "closing", None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.http_protocol_class.most = max_connections()  # type: ignore[attr-defined]
        await super().startup(sockets)
        self._watcher = asyncio.create_task(watch(self.server_state.connections))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watcher.cancel()
        if self._closing is not None:
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


def supervise(command: Sequence[str], count: int, stop: threading.Event, descriptors: Sequence[int]) -> int:
    """Keeps ``count`` processes running until ``stop``, then ends them as a signal would; the exit status.

    One that could not serve for ``SETTLING_SECONDS`` says what is wrong itself, and would say the same again: then all
    of them end, with its status.
    """
    running: dict[subprocess.Popen[bytes], float] = {}
    status = 0
    try:
        while not stop.is_set() and not status:
            while len(running) < count:
                process = subprocess.Popen(command, pass_fds=descriptors)  # noqa: S603 - this program, its own arguments
                running[process] = time.monotonic()
            stop.wait(0.2)
            for process, since in list(running.items()):
                if process.poll() is not None:
                    del running[process]
                    if stop.is_set():
                        continue
                    if time.monotonic() - since < SETTLING_SECONDS:
                        status = process.returncode if process.returncode > 0 else 1
                    log.warning("process %d ended with status %d", process.pid, process.returncode)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(2 * GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    return status


def end_with_parent(parent: int) -> None:
    """Ends this process as a signal would once its parent is gone, however that went: the port must come free."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


@contextmanager
def working(crew: Crew, seconds: int = GRACE_SECONDS) -> Iterator[dramatiq.Worker]:
    """A worker for the length of the block; then its batches in hand get ``seconds`` to finish.

    What does not finish in time stays claimed: when this process is gone, so is the lock on its number, and the next
    sweep takes the claims back.
    """
    worker = crew.start_worker()
    try:
        yield worker
    finally:
        worker.stop(timeout=seconds * 1000)


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
