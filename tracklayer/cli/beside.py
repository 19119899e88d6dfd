"""Where the ``up`` of a data directory is, for commands that are typed beside it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tracklayer.cli.process import CommandError, settings_with_log
from tracklayer.db.embedded import cannot, data_folder
from tracklayer.settings import Settings, load_settings

RUNS = ".up"  # in the data directory: locked while it runs; a line with its address, and one with its sandbox's
_LOOKS, _PAUSE = 20, 0.05  # seconds: a command that reads the file has it locked for a moment


class Running(NamedTuple):
    """An ``up`` that lives."""

    public_url: str | None
    sandbox_url: str | None


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Until the block ends no other ``up`` may begin with this data directory: they would share the work by chance.

    Raises CommandError where one runs. With a database of the operator's own, several may.
    """
    if settings.database_url is not None:
        yield
        return
    folder = _folder(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(cannot("make", folder, error)) from None
    with _told(folder):
        file = (folder / RUNS).open("a+")
    with file:  # the lock ends with it, and with the process, however that ends
        if not _locked(file.fileno()):
            file.seek(0)
            where = file.readline().strip()
            at = f" at {where}" if where else ""
            raise CommandError(
                f"TrackLayer runs already with the data directory {folder}{at}: stop it first, or set another TRACKLAYER_DATA_DIR"
            )
        _note(file.fileno(), settings.public_url, folder, is_first=True)
        yield


def note_sandbox(settings: Settings) -> None:
    """Of the ``up`` that is ``alone``: where its traffic goes. With a database of the operator's own, nothing."""
    if settings.database_url is None and settings.sandbox_url is not None:
        folder = _folder(settings)
        with _told(folder), (folder / RUNS).open("a") as file:
            _note(file.fileno(), settings.sandbox_url, folder)


def _note(descriptor: int, url: str, folder: Path, *, is_first: bool = False) -> None:
    """Unbuffered: what a full disk does not take would else be written again when the file is closed, and fail there."""
    with _told(folder):
        if is_first:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{url}\n".encode())


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(cannot("write in", folder, error)) from None


def settings_beside() -> Settings:
    """The process's settings, and its log set up by them. Where the environment says neither where the API is nor that there is
    a sandbox, they are those of the ``up`` that has this data directory, while it lives.
    """
    settings = settings_with_log()
    found = _running(settings) if settings.database_url is None else None
    if found is None:
        return settings
    is_told = settings.public_url != load_settings({}).public_url
    return replace(
        settings,
        public_url=settings.public_url if is_told else found.public_url or settings.public_url,
        sandbox_url=settings.sandbox_url or found.sandbox_url,
    )


def _running(settings: Settings) -> Running | None:
    try:
        file = (_folder(settings) / RUNS).open()
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            lines = [line.strip() or None for line in file] + [None, None]
            return Running(lines[0], lines[1])
    return None


def _locked(descriptor: int) -> bool:
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _folder(settings: Settings) -> Path:
    return data_folder(settings.data_dir)
