"""The directory of an embedded PostgreSQL: made whole or not at all, and who serves it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Container, Iterable
from itertools import pairwise
from pathlib import Path

import psutil

UNFINISHED = ".new-"  # begins the name of a folder in which initdb works, or was interrupted
MADE = ".made"  # what initdb has made, whole and on disk, on its way into the directory
VERSION = "PG_VERSION"  # without it, it is no database for anybody
END_SECONDS = 30.0  # for a server to write what it holds; then it ends without, and replays its log at its next start


class ClusterError(Exception):
    """The directory holds what is no whole database. The message says what to do."""


def make_cluster(folder: Path, initdb: Callable[[Path], object]) -> None:
    """Makes a database in ``folder`` where there is none. Whoever holds the directory's lock may call it, at every start.

    It may end at any instant, by a signal, ``kill -9`` or a power cut: ``initdb`` works in a folder of its own inside, and
    what it made moves in when it is whole, the file that makes it a database last. Deleted is only what such a folder
    holds; it is another one each time, so that an initdb whose parent was killed is in nobody's way.

    Raises ClusterError where something lies there that is neither a whole database nor nothing.
    """
    _clear_unfinished(folder)
    made = folder / MADE
    if (folder / VERSION).exists():
        with contextlib.suppress(OSError):  # there is none; or a backup was restored beside it
            made.rmdir()
        _refuse_a_part(folder)
        return
    if not made.is_dir():
        _refuse_what_is_not_ours(folder)
        end(servers_of(folder))  # of a directory that somebody has deleted meanwhile: it would write into the new one
        new = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
        try:
            initdb(new)
            new.rename(made)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        _sync(folder)
    _move_in(made, folder)


def refuse_remains(folder: Path) -> None:
    """Raises ClusterError where a folder that holds no database holds something else. Makes and changes nothing."""
    if folder.is_dir() and not (folder / VERSION).exists() and not (folder / MADE).is_dir():
        _refuse_what_is_not_ours(folder)


def _move_in(made: Path, folder: Path) -> None:
    """May have been begun before: what has moved is there no more."""
    _refuse_what_is_not_ours(
        folder, {entry.name for entry in folder.iterdir()} - {entry.name for entry in made.iterdir()}
    )
    folder.chmod(0o700)  # as initdb would: PostgreSQL refuses a directory that others may read
    for entry in made.iterdir():
        if entry.name != VERSION:
            entry.rename(folder / entry.name)
    _sync(folder)
    _sync(made)
    (made / VERSION).rename(folder / VERSION)
    _sync(folder)
    made.rmdir()


def _clear_unfinished(folder: Path) -> None:
    """Of those who hold the lock none is making anything: it was begun by somebody who was killed."""
    for left in folder.glob(f"{UNFINISHED}*"):
        end(process for process in psutil.process_iter() if _is_initdb(process, left))
        shutil.rmtree(left, ignore_errors=True)  # should a process of it write one more file: at the next start


def _refuse_a_part(folder: Path) -> None:
    if not (folder / "global" / "pg_control").exists():
        raise ClusterError(
            f"{folder} is not a whole database (global/pg_control is missing): if its first start was interrupted and it never "
            f"ran, remove it and start again; else restore it from a backup"
        )


def _refuse_what_is_not_ours(folder: Path, ours: Container[str] = ()) -> None:
    names = (entry.name for entry in folder.iterdir() if not entry.name.startswith(UNFINISHED))
    found = sorted(name for name in names if name not in ours)
    if found:
        raise ClusterError(
            f"{folder} holds {found[0]!r}, but no database ({VERSION} is missing): if no database ever ran there, remove what it "
            "holds and start again; else restore it from a backup"
        )


def _sync(folder: Path) -> None:
    """Until then a power cut may undo what was moved, in any order."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def servers_of(folder: Path) -> list[psutil.Process]:
    """Those that serve the directory, or are about to: the shell of ``pg_ctl`` that becomes a server of it, too.

    Not the processes that a server has begun: it ends them itself.
    """
    folder = folder.resolve()
    pid = pid_in_file(folder)
    named = {process.pid: process for process in psutil.process_iter() if _is_started_for(process, folder)}
    if pid and pid not in named and is_postmaster(pid, folder):  # begun by hand, with another spelling
        with contextlib.suppress(psutil.NoSuchProcess):
            named[pid] = psutil.Process(pid)
    return [process for process in named.values() if _parent_of(process) not in named]


def pid_in_file(folder: Path) -> int | None:
    """That of ``postmaster.pid``: 0 where the file is damaged, None where there is none."""
    try:
        return int((folder / "postmaster.pid").read_bytes().splitlines()[0])  # a path in it may be in any encoding
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError):
        return 0


def _is_started_for(process: psutil.Process, folder: Path) -> bool:
    try:
        name, words = process.name(), process.cmdline()
    except psutil.Error:
        return False  # gone, or not ours
    if is_postgres(name):
        return any(option == "-D" and _is_there(process, path, folder) for option, path in pairwise(words))
    return name in ("sh", "dash", "bash") and any(f'/postgres" -D "{folder}"' in word for word in words)


def _is_there(process: psutil.Process, path: str, folder: Path) -> bool:
    """Whether what a process calls ``path`` is the folder: by whatever name, it is the same place on the same disk.

    A process of another container may mean another place by the same name.
    """
    root = Path(f"/proc/{process.pid}/root")
    with contextlib.suppress(OSError):
        return (root / path.lstrip("/") if root.exists() else Path(path)).samefile(folder)
    return path == str(folder)  # it is not ours to look at, or its place is gone


def _parent_of(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.Error:
        return None


def _is_initdb(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "initdb" and _follows(process.cmdline(), "-D", str(folder))
    except psutil.Error:
        return False


def _follows(words: list[str], option: str, value: str) -> bool:
    return (option, value) in pairwise(words)


def end(processes: Iterable[psutil.Process]) -> None:
    """Ends them, as Ctrl-C would: a server breaks what is at work, writes what it holds, and then goes."""
    found = list(processes)
    for number in (signal.SIGINT, signal.SIGQUIT):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + END_SECONDS
        while found and time.monotonic() < deadline:
            found = [process for process in found if _is_alive(process)]
            time.sleep(0.02 if found else 0)
        if not found:
            return


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)  # nobody may ask about it
    except psutil.Error:
        return False


def is_postmaster(pid: int, folder: Path) -> bool:
    """Whether the process is seen to be the server of this directory. ``pid`` 0: whether any process is.

    Of one that cannot be looked at, another user's say, the directory's lock tells.
    """
    if not pid:
        named = (process.pid for process in psutil.process_iter(["name"]) if is_postgres(process.info["name"]))
        return any(is_postmaster(found, folder) for found in named)
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not is_postgres(process.name()):
            return False
        return _is_there(process, process.cwd(), folder)  # a postmaster goes into its directory
    except psutil.Error:  # gone, or not ours
        return False


def is_postgres(name: str | None) -> bool:
    return (name or "").startswith("postgres")
