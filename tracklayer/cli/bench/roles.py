"""TrackLayer's roles as processes of their own, to be killed and started again, and all that they stand on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import redis

from tracklayer.cli.bench.ground import PATIENCE_SECONDS, SECRET, Child, Ground, RedisServer, clean_environ, free_port
from tracklayer.cli.bench.pooler import Pooler, pooler_binary
from tracklayer.cli.process import CommandError

POLL_SECONDS = 0.02
STOP_SECONDS = 60  # more than a worker may take that waits for a platform which does not answer, on a busy machine
BUGS = ("map_event", "build_request", "read_reply")  # functions of a mapper that the launcher can make raise
RETRY_BASE_SECONDS = 1  # of the roles: a minute and a half for all five attempts instead of half a day


class Process:
    """One ``tracklayer`` command as a process of its own, its output in a file. ``faults``: see ``launcher``."""

    def __init__(self, *args: str, environ: Mapping[str, str], faults: Path | None = None) -> None:
        self._log = tempfile.NamedTemporaryFile(mode="w+", suffix=".log", delete=False)  # noqa: SIM115
        module = ("tracklayer",) if faults is None else ("tracklayer.cli.bench.launcher", str(faults))
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", *module, *args],
            env={**clean_environ(), "PYTHONFAULTHANDLER": "1", **environ},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours: we end them, in order
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
        """Asks it to end; its exit status. It has some seconds for what is in hand; a busy machine makes them more.

        Raises CommandError, with its output, where it does not.
        """
        self.ask_to_end(number)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # it writes down what each of its threads is at
            self._process.wait(10)
            raise CommandError(f"does not end, {STOP_SECONDS} s after the signal:\n{self.output()}") from None

    def close(self) -> None:
        if self.is_running():
            self.kill()
        self._log.close()
        Path(self._log.name).unlink()


@contextmanager
def running(*args: str, environ: Mapping[str, str]) -> Iterator[Process]:
    """A process that is killed at the end, if nothing ended it before."""
    process = Process(*args, environ=environ)
    try:
        yield process
    finally:
        process.close()


def wait_for(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Polls until it holds. Raises CommandError where it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise CommandError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(POLL_SECONDS)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


class Role:
    """One role that goes on however often it is killed. ``kind``: its command. ``faults``: a file of the ``launcher``."""

    def __init__(self, kind: str, *args: str, environ: Mapping[str, str], faults: Path | None = None) -> None:
        self.kind = kind
        self._args = args
        self._environ = environ
        self._path = faults
        self._faults: dict[str, Any] = {}
        self.set_faults()
        self._process = Process(kind, *args, environ=environ, faults=faults)

    def kill_and_restart(self) -> None:
        """``kill -9``, and the next one at once, with the same faults in it."""
        self._process.close()
        self._process = Process(self.kind, *self._args, environ=self._environ, faults=self._path)

    def set_faults(self, **faults: object) -> None:
        """What the launcher makes of it from now on, beside what was set before."""
        if self._path is not None:
            self._faults |= faults
            new = self._path.with_suffix(".new")  # whole or not at all: it is read meanwhile
            new.write_bytes(orjson.dumps(self._faults))
            new.rename(self._path)

    def has_raised(self, function: str) -> bool:
        """Whether a mapper's function, told to raise, was called."""
        return self._path is not None and self._path.with_suffix(f".{function}").exists()

    def check(self) -> None:
        """Raises CommandError where it ended by itself: whatever is away, a role waits for it."""
        if not self._process.is_running():
            last = "\n".join(self._process.output().strip().splitlines()[-3:])
            raise CommandError(f"the {self.kind} ended by itself: {last or 'it said nothing'}")

    def close(self) -> None:
        self._process.close()


@dataclass(frozen=True)
class Crowd:
    """How many processes of each role there are."""

    apis: int = 2
    workers: int = 2
    schedulers: int = 2


@dataclass
class Installation:
    """``apis``: the addresses of the API processes. ``platforms_url``: the emulator's, which is never killed."""

    place: Ground
    redis: RedisServer
    platforms_url: str
    apis: list[str]
    roles: list[Role] = field(repr=False)
    wire: Child | None = field(default=None, repr=False)  # between the roles and PostgreSQL
    pooler: Pooler | None = field(
        default=None, repr=False
    )  # between PostgreSQL and an API process and a worker of its own

    def platforms(self, path: str, method: str = "GET", **options: Any) -> Any:
        """Asks the emulator at one of its own doors; its JSON."""
        answer = httpx.request(method, f"{self.platforms_url}{path}", timeout=PATIENCE_SECONDS, **options)
        return answer.raise_for_status().json()

    def fault(self, **settings: object) -> int:
        """Sets a fault of the emulator on all platforms, or on one; its number."""
        return int(self.platforms("/_faults", "POST", json=settings)["id"])

    def has_struck(self, fault: int) -> bool:
        return any(found["id"] == fault and found["hits"] for found in self.platforms("/_faults")["faults"])

    def end_fault(self, fault: int) -> None:
        self.platforms(f"/_faults/{fault}", "DELETE")

    def clear_faults(self) -> None:
        self.platforms("/_faults", "DELETE")

    def empty_redis(self) -> None:
        with contextlib.closing(redis.Redis.from_url(self.redis.url)) as client:
            client.flushall()

    def set_redis(self, name: str, value: str) -> None:
        with contextlib.closing(redis.Redis.from_url(self.redis.url)) as client:
            client.config_set(name, value)

    def follow_nobody(self, follows: bool) -> None:
        """Makes Redis a read-only replica of a host that is not there, or its own master again."""
        with contextlib.closing(redis.Redis.from_url(self.redis.url)) as client:
            client.execute_command("REPLICAOF", *(("127.0.0.1", "1") if follows else ("NO", "ONE")))  # type: ignore[no-untyped-call]

    def freeze(self, frozen: bool) -> None:
        """Whether all that the roles and PostgreSQL tell each other is swallowed."""
        assert self.wire is not None
        self.wire.ask({"frozen": frozen})

    def restart_postgres(self) -> None:
        """As a crash would: every session is cut, nothing is finished; then the log is replayed."""
        pid = int((self.place.folder / "pg" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not _is_there(pid), "PostgreSQL to end")
        self.place.postgres.start()

    def wait_until_ready(self) -> None:
        """Until every API process serves."""
        for address in self.apis:
            wait_for(partial(answers, f"{address}/readyz"), "an API process to serve")


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wired(place: Ground) -> tuple[Child, str]:
    """A wire to the ground's PostgreSQL, and the address of its other end."""
    folder = parse_qs(urlsplit(place.url).query)["host"][0]
    wire = place.child("wire")
    port = wire.ask({"port": 0, "target": f"{folder}/.s.PGSQL.5432"})
    return wire, f"postgresql://postgres@127.0.0.1:{port}{urlsplit(place.url).path}"


@contextmanager
def installation(
    place: Ground, crowd: Crowd, platforms_url: str | None = None, *, in_storm: bool = False
) -> Iterator[Installation]:
    """All roles and the emulator, each in a process of its own, against the ground's PostgreSQL and one Redis.

    With ``platforms_url`` the platforms are there, and no emulator is started. ``in_storm``: with a wire to PostgreSQL that
    can be frozen, roles that can have faults in them, and, where there is a PgBouncer, an API process and a worker more
    behind it. Raises CommandError where there is no Redis: roles that are processes of their own wake one another through it.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(RedisServer(place.folder))
        if platforms_url is None:
            port = free_port()
            platforms_url = f"http://127.0.0.1:{port}"
            stack.enter_context(running("sandbox", "--port", str(port), environ={}))
            wait_for(partial(answers, f"{platforms_url}/_faults"), "the emulator to serve")
        wire, url = _wired(place) if in_storm else (None, place.url)
        binary = pooler_binary() if in_storm else None
        pooler = stack.enter_context(Pooler(binary, place.folder, place.url)) if binary is not None else None
        environ = {
            "TRACKLAYER_REDIS_URL": broker.url,
            "TRACKLAYER_SECRET_KEY": SECRET,
            "TRACKLAYER_SANDBOX_URL": platforms_url,
            "TRACKLAYER_RETRY_BASE_SECONDS": str(RETRY_BASE_SECONDS),
        }
        roles: list[Role] = []
        apis: list[str] = []

        def start(kind: str, *args: str, url: str = url) -> None:
            faults = place.folder / f"faults_{len(roles)}.json" if in_storm else None
            roles.append(Role(kind, *args, environ={**environ, "TRACKLAYER_DATABASE_URL": url}, faults=faults))
            stack.callback(roles[-1].close)

        def start_api(url: str = url) -> None:
            port = free_port()
            start("api", "--port", str(port), url=url)
            apis.append(f"http://127.0.0.1:{port}")

        for _ in range(crowd.apis):
            start_api()
        for _ in range(crowd.workers):
            start("worker")
        for _ in range(crowd.schedulers):
            start("scheduler")
        if pooler is not None:
            start_api(pooler.url)
            start("worker", url=pooler.url)
        made = Installation(place, broker, platforms_url, apis, roles, wire, pooler)
        made.wait_until_ready()
        yield made
