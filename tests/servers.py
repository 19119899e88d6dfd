"""Real servers and real processes for tests: Redis, and TrackLayer's own roles."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tracklayer.cli.bench import ground
from tracklayer.cli.bench.ground import free_port, redis_binary
from tracklayer.cli.bench.roles import Process, answers, running

__all__ = [
    "PATIENCE_SECONDS",
    "Process",
    "RedisServer",
    "allow_scripts",
    "disk_of",
    "fill",
    "free_port",
    "handlers_kept",
    "make_read_only",
    "make_room",
    "make_writable",
    "refuse_scripts",
    "running",
    "wait_for_api",
    "wait_until",
]

PATIENCE_SECONDS = 180  # no more than what a test that fails costs; a busy machine makes the others wait long


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Polls until it holds. Fails the test where it never does."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        if waited > seconds:
            pytest.fail(f"waited {seconds} s in vain: {what}")
        time.sleep(min(0.1, max(0.02, waited / 20)))  # whoever asks all the time slows down what it waits for


@contextmanager
def disk_of(size: str, disk: Path) -> Iterator[Path]:
    """A disk with so much room, ``16k`` or ``30m``, in a new directory."""
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """A command that serves takes signals for itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class RedisServer(ground.RedisServer):
    """The benchmarks' own; where there is none, the test is skipped."""

    def __init__(self) -> None:
        if redis_binary() is None:
            pytest.skip("no Redis: set TRACKLAYER_TEST_REDIS_URL or put redis-server on PATH")
        super().__init__(Path(tempfile.gettempdir()))


def wait_for_api(process: Process, url: str) -> None:
    """Until the API serves."""

    def ready() -> bool:
        if not process.is_running():
            pytest.fail(f"the API ended:\n{process.output()}")
        return answers(f"{url}/readyz")

    wait_until(ready, "the API to serve")


# What may be wrong with a Redis that answers, and its end.


def fill(client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def make_room(client: redis.Redis) -> None:
    client.config_set("maxmemory", "0")


def make_read_only(client: redis.Redis) -> None:
    client.config_set("replica-read-only", "yes")
    client.replicaof("127.0.0.1", free_port())


def make_writable(client: redis.Redis) -> None:
    client.replicaof("no", "one")


def refuse_scripts(client: redis.Redis) -> None:
    client.acl_setuser("default", enabled=True, nopass=True, commands=["-eval", "-evalsha"], reset=False)


def allow_scripts(client: redis.Redis) -> None:
    client.acl_setuser("default", enabled=True, nopass=True, commands=["+eval", "+evalsha"], reset=False)
