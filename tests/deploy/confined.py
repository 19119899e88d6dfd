"""TrackLayer's processes as a container or a unit has them: a user without a name, without rights, on a read-only root."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

USER = 64_321  # nobody's, and no name
# What the interpreter needs may lie where only root gets, which no image has: each such folder is covered, and what is
# needed of it put back. Then nothing on the root's disk can be written.
CONFINE = """
mount --make-rprivate /
scratch=$1; shift
at=0
for path in $NEEDED; do at=$((at+1)); mkdir "$scratch/$at"; mount --bind "$path" "$scratch/$at"; done
for closed in $CLOSED; do mount -t tmpfs -o mode=755 tmpfs "$closed"; done
at=0
for path in $NEEDED; do at=$((at+1)); mkdir -p "$path"; mount --bind "$scratch/$at" "$path"; done
for closed in $CLOSED; do mount -o remount,ro "$closed"; done
mount -o remount,bind,ro /
unset NEEDED CLOSED
exec setpriv --bounding-set=-all --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --no-new-privs "$@"
"""


def may_confine() -> bool:
    """Whether this machine lets us: else processes run as whoever runs the tests, where they find no place to write."""
    if os.getuid() or not all(map(shutil.which, ("unshare", "setpriv", "mount"))):
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def _closed_above(path: Path) -> Path | None:
    """The first folder on the way to ``path`` that others may not pass."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


class Confined:
    """``tracklayer ARGS`` with exactly this environment; its output in a file. Killed at the end, if nothing ended it."""

    def __init__(self, *args: str, environ: Mapping[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tl"))
        self._log = self._folder / "log"
        command = [sys.executable, "-m", "tracklayer", *args]
        # The machine's own, without which no program is found.
        environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ}
        environ["PYTHONPATH"] = str(Path(__file__).parent.parent.parent)
        if may_confine():
            paths = [Path(name).resolve() for name in (sys.base_prefix, sys.prefix, environ["PYTHONPATH"])]
            hidden = {path: closed for path in paths if (closed := _closed_above(path)) is not None}
            scratch = self._folder / "scratch"
            scratch.mkdir()
            environ |= {
                "NEEDED": " ".join(map(str, hidden)),
                "CLOSED": " ".join(sorted(set(map(str, hidden.values())))),
                "USER_ID": str(USER),
            }
            command = ["unshare", "-m", "sh", "-ec", CONFINE, "sh", str(scratch), *command]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd="/", env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.is_running():
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def output(self) -> str:
        return self._log.read_text()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def ask_to_end(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def ended(self, within: float) -> int:
        """Its exit status. Raises TimeoutExpired where a supervisor would have killed it."""
        return self._process.wait(within)
