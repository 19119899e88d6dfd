"""The folder in which processes that share a port keep their metrics, each in a place of its own: see ``metrics.py``."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracklayer.metrics import FOLDER

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

JUST_MADE_SECONDS = 60  # that a folder may not be locked yet


@contextmanager
def shared_folder() -> Iterator[Path | None]:
    """For the length of the block; None where none can be made: then each process shows its own metrics alone.

    It is held locked meanwhile: so whoever starts later knows those that were left behind by processes that were killed,
    and takes them away; and what tidies up old files leaves this one alone.
    """
    try:
        made = Path(tempfile.mkdtemp(prefix=FOLDER))
        descriptor = os.open(made, os.O_RDONLY)
    except OSError as error:
        log.warning("no folder for metrics (%s): each API process shows its own alone", error.strerror)
        yield None
        return
    try:
        _lock(descriptor)
        _remove_left(made.parent)
        yield made
    finally:
        os.close(descriptor)
        shutil.rmtree(made, ignore_errors=True)


def _remove_left(parent: Path) -> None:
    for path in parent.glob(f"{FOLDER}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # another user's, or gone
            continue
        try:
            known = os.fstat(descriptor)
            is_settled = time.time() - known.st_mtime > JUST_MADE_SECONDS
            if known.st_uid == os.getuid() and is_settled and _lock(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether nobody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
