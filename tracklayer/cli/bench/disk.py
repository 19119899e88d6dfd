"""A small disk of PostgreSQL's own, which can be full: a file system in memory, where this process may mount one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tracklayer.cli.process import CommandError

ROOMY = 4 * 2**30  # bytes: it takes as much memory as is written, not this much
TRIES = 20  # what is written between the look and the remount makes it fail


class SmallDisk:
    """At ``folder``, once it is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mount(self) -> bool:
        """False where that is not permitted, or not known here."""
        if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
            return False
        self._folder.mkdir()
        return _run("mount", "-t", "tmpfs", "-o", f"size={ROOMY},mode=0700", "tmpfs", str(self._folder))

    def fill(self) -> None:
        """From now on it has no room but what is freed."""
        for _ in range(TRIES):
            found = os.statvfs(self._folder)
            if self._resize((found.f_blocks - found.f_bfree) * found.f_frsize):
                return
        raise CommandError("the disk of PostgreSQL could not be made full")

    def empty(self) -> None:
        if not self._resize(ROOMY):
            raise CommandError("the disk of PostgreSQL could not be made roomy again")

    def unmount(self) -> None:
        _run("umount", "-l", str(self._folder))

    def _resize(self, size: int) -> bool:
        return _run("mount", "-o", f"remount,size={size}", str(self._folder))


def _run(command: str, *args: str) -> bool:
    found = shutil.which(command)
    return found is not None and subprocess.run([found, *args], capture_output=True, check=False).returncode == 0  # noqa: S603
