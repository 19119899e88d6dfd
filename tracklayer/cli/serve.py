"""Runs roles until a signal ends them: an HTTP server, workers, the scheduler."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

import dramatiq
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tracklayer import metrics
from tracklayer.actors.crew import Crew
from tracklayer.actors.schedule import run_schedule
from tracklayer.cli.connections import (
    IDLE_SECONDS,
    Connection,
    Socket,
    is_readable,
    max_connections,
    wait_for_none,
    watch,
)
from tracklayer.cli.process import WRONG_FOR_GOOD, CommandError
from tracklayer.domain.wire import STREAM_BODY
from tracklayer.runtime import Runtime

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

log = logging.getLogger(__name__)

SETTLING_SECONDS = 3  # a process that ends sooner never served
UNREAD_MS = 60_000  # how long what was sent to a client may lie unread
GRACE_SECONDS = 2  # for requests and batches in hand: all of it together must end within 5 s of the signal
BACKLOG_SECONDS = 0.5  # for connections that the system has let in already
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds until a process that ended before it served is started again
HELD_UP_SECONDS = 15  # after a second signal
DRAIN_SECONDS = 35  # of a process that only delivers: longer than the longest request to a platform, half a minute


class Stopped(BaseException):
    """A signal asked this process to end.

    No ``Exception``: it is raised wherever the process happens to be, and ``except Exception`` there, as in every handler of
    a log, would lose the signal.
    """


class Asked(threading.Event):
    """Set by a signal, wherever that finds the thread that waits, and whichever thread the system hands it to.

    ``threading.Event`` locks itself while its ``wait`` begins: a handler that sets it there waits for ever. And a signal
    that another thread was given interrupts nobody. Here whoever waits does so for a byte in a pipe, and what the system
    calls writes it, before any code of Python's runs. Only the main thread may wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)

    def __enter__(self) -> Self:
        self._woke_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.set_wakeup_fd(self._woke_before)
        ends, self._reader, self._writer = (self._reader, self._writer), -1, -1
        for end in ends:
            os.close(end)

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        if self._writer >= 0:
            with suppress(BlockingIOError):  # full: whoever waits wakes anyway
                os.write(self._writer, b"\0")

    def wait(self, timeout: float | None = None) -> bool:
        ends = None if timeout is None else time.monotonic() + timeout
        while not self._is_set:
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                break
            waiter = select.poll()  # which takes any descriptor, where ``select`` takes the first thousand
            waiter.register(self._reader, select.POLLIN)
            waiter.poll(None if left is None else math.ceil(left * 1000))
            with suppress(BlockingIOError):
                os.read(self._reader, 4096)  # of any signal; the handler of ours has run by now
        return self._is_set


def end_soon() -> None:
    """The system ends this process, should it be held up: by a reader of its log who reads no more, say."""
    if not signal.getitimer(signal.ITIMER_REAL)[0]:  # whoever asks again and again does not begin it anew
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HELD_UP_SECONDS)


class Stopper:
    """Turns SIGINT, SIGTERM and, where a terminal was closed, SIGHUP into a clean end, whatever the process is doing.

    ``draining``: what is in hand is being finished, which may take long; a second signal ends that at once.

    Where what it raises is lost, since the signal came while Python ran a ``__del__`` or a weak reference's callback, which
    let nothing through, it is raised once more.
    """

    def __init__(self) -> None:
        self.event = Asked()
        self._is_lost = False
        self.signals: list[int] = []  # in the order in which they came
        self.serving = False
        self.draining = False

    def __enter__(self) -> Self:
        self.event.__enter__()
        self._hook_before, sys.unraisablehook = sys.unraisablehook, self._see_lost
        for number in self._heeded():
            signal.signal(number, self._handle)
        # Whoever started this process may have blocked them, and that is inherited.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heeded())
        return self

    def __exit__(self, *exc: object) -> None:
        # Until the process is gone, a second signal must not interrupt the cleaning up.
        for number in self._heeded():
            signal.signal(number, signal.SIG_IGN)
        sys.unraisablehook = self._hook_before
        self.event.__exit__()

    @staticmethod
    def _heeded() -> list[signal.Signals]:
        """What ``nohup`` has ignored stays so."""
        is_wanted = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if is_wanted else [])]

    def _see_lost(self, lost: UnraisableHookArgs) -> None:
        if lost.exc_type is not Stopped:
            self._hook_before(lost)
            return
        self._is_lost = True
        # Not from here, where it would be lost again; and without the locks of ``Thread``, which may be what it interrupted.
        start_new_thread(self._raise_again, (self.signals[-1],))

    @staticmethod
    def _raise_again(number: int) -> None:
        time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_lost:
            self._is_lost = False
            raise Stopped
        already = self.event.is_set()
        self.signals.append(number)
        self.event.set()
        if already:
            end_soon()
        if self.draining or not (self.serving or already):
            self.draining = False
            raise Stopped


def listen(host: str, port: int, chosen_by: str = "--port or TRACKLAYER_PORT") -> socket.socket:
    """A bound socket. Raises CommandError where the address is taken or not ours, with what chooses another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise cannot_listen(host, port, error, chosen_by) from None
    # Accepted connections inherit it: an answer is one small packet that must not wait for an acknowledgement.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A client that has stopped reading is let go: only the kernel can tell, since the server waits for it to read.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    return bound


def cannot_listen(host: str, port: int, error: OSError, chosen_by: str = "--port") -> CommandError:
    why = str(error.strerror).partition(" (while")[0]  # behind it Python names the address once more
    number = error.errno or 0
    if (
        number == errno.EADDRNOTAVAIL or number < 0
    ):  # of names, which have numbers below zero: another port would not mend it
        chosen_by = "--host" if chosen_by == "--port" else "TRACKLAYER_HOST"
        return CommandError(
            f"cannot listen on {host}:{port}: {why}; choose an address of this machine with {chosen_by}"
        )
    return CommandError(f"cannot listen on {host}:{port}: {why}; choose another with {chosen_by}")


def address_of(bound: socket.socket) -> str:
    """Where a bound socket listens."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Forwarded:
    """What a trusted proxy says of its caller is read as uvicorn does, of those requests that say something.

    Most say nothing, and to look whether their sender would be trusted costs each of them more than to find that out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._proxied = ProxyHeadersMiddleware(app, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))  # type: ignore[arg-type]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        for name, _ in scope.get("headers", ()):
            if name.startswith(b"x-forwarded-"):
                return self._proxied(scope, receive, send)  # type: ignore[arg-type]
        return self._app(scope, receive, send)


def config_of(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """How an app is served; ``more``: of uvicorn's settings."""
    settings = {
        "log_config": None,
        "interface": "asgi3",
        "proxy_headers": False,  # see Forwarded
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "timeout_keep_alive": IDLE_SECONDS,
        "http": Connection,
        "ws": Socket,
        "ws_max_size": STREAM_BODY,
        "ws_per_message_deflate": False,  # alerts are small; a thousand compressors are not
    }
    return uvicorn.Config(Forwarded(app), **{**settings, **more})


class Server(uvicorn.Server):
    """Ends without breaking a request: readiness falls first, then, after ``drain``, nothing new is taken.

    From the signal on each answer says that its connection is closed. ``drain``: for SIGTERM alone, which comes from
    who takes this process out of a proxy's list meanwhile. Event streams are ended before it waits for connections to
    close: they would never end by themselves. A second signal ends at once, unless ``heeds_second`` is false.
    ``stopper``: who had the signals before this took them, and has those that this does not take.
    """

    def __init__(
        self,
        app: Starlette,
        config: uvicorn.Config,
        drain: timedelta = timedelta(),
        stopper: Stopper | None = None,
        *,
        heeds_second: bool = True,
    ) -> None:
        super().__init__(config)
        self._others: Sequence[int] = stopper.signals if stopper is not None else ()
        self._app = app
        self._closing: asyncio.Event | None = getattr(app.state, "closing", None)
        self._drain = drain.total_seconds()
        self._heeds_second = heeds_second
        self._told_cut = False
        logging.getLogger("uvicorn.error").addFilter(_is_no_cut)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            super().handle_exit(sig, frame)
        elif self._heeds_second:
            self.force_exit = True
            end_soon()

    async def on_tick(self, counter: int) -> bool:
        if self._others and not self.should_exit:  # not as captured ones: those are raised again for who had these
            self.should_exit = True
            self.force_exit = self._heeds_second and len(self._others) > 1
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        protocol: type[Connection] = self.config.http_protocol_class  # type: ignore[assignment]
        protocol.most = min(protocol.most, max_connections())
        self.server_state.count_refused = getattr(self._app.state, "count_refused", None)  # type: ignore[attr-defined]
        self.server_state.keep_answer = getattr(self._app.state, "keep_answer", None)  # type: ignore[attr-defined]
        await super().startup(sockets)
        self._watcher = asyncio.create_task(watch(self.server_state.connections))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.ending = True
        self.server_state.ending = True  # type: ignore[attr-defined]
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.announce_end()
        if signal.SIGTERM in (*self._captured_signals, *self._others) and self._drain:
            log.info("taking requests for %g s more; /readyz says that this process is being ended", self._drain)
            await self._wait(self._drain, lambda: False)
        # Whoever was let in by the system, and not by us yet, would find the door shut.
        await self._wait(BACKLOG_SECONDS, lambda: not any(is_readable(bound.fileno()) for bound in sockets or ()))
        self._watcher.cancel()
        if self._closing is not None:
            self._closing.set()
        closer = asyncio.create_task(self._close_idle())
        try:
            await super().shutdown(sockets)
        finally:
            closer.cancel()

    async def _wait_tasks_to_complete(self) -> None:
        try:
            await super()._wait_tasks_to_complete()
        finally:
            self._tell_cut()
            wait_for_none(self.server_state)

    def _tell_cut(self) -> None:
        """How much is in hand that is not waited for any more; once."""
        connections = self.server_state.connections
        behind = sum(len(found.pipeline) for found in connections if isinstance(found, Connection))
        cut = len(self.server_state.tasks) + behind
        if cut and not self._told_cut:
            self._told_cut = True
            log.warning("%d request%s cut off: it was time to end", cut, " was" if cut == 1 else "s were")

    async def _wait(self, seconds: float, done: Callable[[], bool]) -> None:
        """Until it is done, for so long at most, or until a second signal."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            if self.force_exit or done() or loop.time() >= deadline:
                return
            await asyncio.sleep(min(0.05, seconds))

    async def _close_idle(self) -> None:
        """Closes connections as soon as nothing is in hand on them; after a second signal, all of them."""
        while True:
            if self.force_exit:
                self._tell_cut()
            for connection in list(self.server_state.connections):
                if self.force_exit and connection.transport is not None:
                    connection.transport.abort()
                elif isinstance(connection, Connection):
                    connection.shutdown()
            await asyncio.sleep(0.05)


def _is_no_cut(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's log is not about what was cut off at the end: a trace for each, and none says more than
    that it was.
    """
    kind = record.exc_info[0] if record.exc_info else None
    is_cut = kind is not None and issubclass(kind, asyncio.CancelledError)
    text = record.getMessage()
    return not (is_cut or "asyncio.exceptions.CancelledError" in text or "timeout graceful shutdown exceeded" in text)


def serve_http(
    app: Starlette,
    bound: socket.socket,
    stopper: Stopper,
    drain: timedelta = timedelta(),
    *,
    heeds_second: bool = True,
) -> None:
    """Serves until a signal, then finishes what is in hand; ``drain`` and ``heeds_second`` as of ``Server``."""
    server = Server(app, config_of(app), drain, stopper, heeds_second=heeds_second)
    stopper.serving = True
    try:
        # uvicorn takes the signals for itself while it serves, and hands them back to us when it is done.
        server.run(sockets=[bound])
    finally:
        stopper.serving = False
        stopper.event.set()


class Meanwhile:
    """Serves an app on a socket in a thread, from ``start`` to ``end``, or to the end of the block.

    The socket stays open: whoever connects at the end is taken by who serves it next. ``connection``: what one is.
    """

    def __init__(self, app: Starlette, bound: socket.socket, connection: type[Connection] = Connection) -> None:
        self._server = Server(app, config_of(app, http=connection, lifespan="off"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [bound.dup()]}, name="meanwhile", daemon=True
        )

        self._is_started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def start(self) -> None:
        """Nothing where it was started before."""
        if not self._is_started:
            self._is_started = True
            self._thread.start()

    def end(self) -> None:
        self._server.should_exit = True
        if self._is_started:
            self._thread.join(2 * GRACE_SECONDS)


def supervise(
    command: Sequence[str],
    count: int,
    stopper: Stopper,
    bound: socket.socket,
    drain: timedelta = timedelta(),
    shared: Path | None = None,
) -> int:
    """Keeps ``count`` processes that share a socket running until a signal, then ends them by the same; the exit status.

    ``shared``: the folder in which each has its place for its metrics; whoever replaces one takes the place over.

    One that ends with WRONG_FOR_GOOD has said what is wrong, and would say the same again: then all of them end, unless one
    of them has served and goes on doing so. Any other is started again: at once where it had served, else after a pause
    that grows, so that a database that is away for a while costs no more than that while.
    """
    running: dict[subprocess.Popen[bytes], float] = {}
    places: dict[subprocess.Popen[bytes], str] = {}
    pause, resume_at = FIRST_PAUSE, 0.0
    status = 0
    try:
        while not stopper.event.is_set() and not status:
            while len(running) < count and time.monotonic() >= resume_at:
                place = next(str(n) for n in range(count) if str(n) not in places.values())
                environ = os.environ if shared is None else {**os.environ, metrics.PLACE: str(shared / place)}
                process = subprocess.Popen(command, pass_fds=(bound.fileno(),), env=environ)  # noqa: S603 - this program, its own arguments
                running[process], places[process] = time.monotonic(), place
            stopper.event.wait(0.2)
            for process, since in list(running.items()):
                if process.poll() is None:
                    continue
                del running[process]
                place = places.pop(process)
                if shared is not None:
                    metrics.forget_gauges(shared / place)
                if stopper.event.is_set():
                    continue
                now = time.monotonic()
                # A machine may be slow: another that has lived little longer than this one may be about to say the same.
                settled = now - since + SETTLING_SECONDS
                if process.returncode == WRONG_FOR_GOOD and all(now - s < settled for s in running.values()):
                    status = 1
                elif now - since >= SETTLING_SECONDS:
                    pause, resume_at = FIRST_PAUSE, 0.0
                else:
                    resume_at = now + pause
                    pause = min(2 * pause, LONGEST_PAUSE)
                more = {"kind": "process_ended", "child": process.pid, "status": process.returncode}
                log.warning("process %d ended with status %d", process.pid, process.returncode, extra=more)
    finally:
        bound.close()  # so that the door is shut when the last of them shuts it
        _end(running, stopper, drain)
    return status


def _end(running: Iterable[subprocess.Popen[bytes]], stopper: Stopper, drain: timedelta) -> None:
    """Ends processes, by the signal that ends this one; those that do not end in time, or at a second signal, at once."""
    for process in running:
        process.send_signal(stopper.signals[0] if stopper.signals else signal.SIGTERM)
    deadline = time.monotonic() + drain.total_seconds() + 2 * GRACE_SECONDS
    left = list(running)
    while left and time.monotonic() < deadline and len(stopper.signals) < 2:
        time.sleep(0.05)
        left = [process for process in left if process.poll() is None]
    for process in left:
        process.kill()
        process.wait()
    if left:
        told = "%d process%s ended at once, with what was in hand: %s"
        why = "a second signal came" if len(stopper.signals) > 1 else "it was time to end"
        log.warning(told, len(left), " was" if len(left) == 1 else "es were", why)


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
        began, at_work = time.monotonic(), 0
        try:
            crew.finish(0)
            worker.stop(timeout=seconds * 1000)
            at_work = sum(thread.is_alive() for thread in worker.workers)
            crew.finish(began + seconds - time.monotonic())
        finally:  # a second signal ends the waiting
            on_their_way = crew.finish(0)
            if at_work or on_their_way:
                told = (
                    "ends after %d s with work in hand that others take over: requests to %d destination(s), %d job(s)"
                )
                more = {"kind": "undrained", "requests": on_their_way, "jobs": at_work}
                log.warning(told, round(time.monotonic() - began), on_their_way, at_work, extra=more)


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
