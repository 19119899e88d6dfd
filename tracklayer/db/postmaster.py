"""PostgreSQL's programs, run for one directory, whatever characters its path has.

The library that brings them puts the path unquoted into a shell's command line and into a URL, so here they are run without
it. What it does for root, whom PostgreSQL does not serve, it does here too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import shlex
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tracklayer.db.cluster import VERSION, is_postmaster, pid_in_file, servers_of

USER = "pgserver"  # whom PostgreSQL runs as where we are root
CTL_SECONDS = 10
# What stands between double quotes in the shell's command lines of pg_ctl and initdb, which quote nothing else, and what
# would end a line of the pid file.
_UNQUOTABLE = re.compile(r'["$`\\]|[\x00-\x1f]')
_PID_FILE = "postmaster.pid"
_SOCKET = ".s.PGSQL.5432"
_SOCKET_BYTES = 103  # of its path: macOS has room for one less than Linux, and both want a zero at the end
_FAULT = re.compile(r"(?:FATAL|PANIC|ERROR|error): +(.+)")
_NO_ROOM = re.compile("no space left|quota exceeded", re.IGNORECASE)
_IN_USE = re.compile(r'lock file "([^"]+)" already exists')
LINE_CHARACTERS = 200


class StartError(Exception):
    """It does not start, and would not the next time. The message says why."""


class NotReadyError(Exception):
    """It runs, and serves nobody yet."""


class HeldError(Exception):
    """Another server has the directory, and this process cannot see it. The message says what to do."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"a PostgreSQL that cannot be seen from here has {folder}, in another container perhaps: run the command there "
            "(`docker exec`, `kubectl exec`), or stop that TrackLayer first"
        )


def what_to_do(said: str) -> str:
    """What stands behind PostgreSQL's own words where these say only what is wrong: no room, or a file that names a server."""
    if _NO_ROOM.search(said):
        return ": make room there"
    found = _IN_USE.search(said)
    return f": if no PostgreSQL of this directory runs any more, remove {found[1]}, and start again" if found else ""


def initdb(library: Any, folder: Path) -> None:
    """Makes a database in an empty folder. Raises StartError, with what initdb says last, and CalledProcessError."""
    user = _prepare(library, folder)
    words = ["--auth=trust", "--auth-local=trust", "--encoding=utf8", "-U", "postgres", "-D", str(folder)]
    done = subprocess.run([_program(library, "initdb"), *words], capture_output=True, check=False, user=user)  # noqa: S603
    if done.returncode > 0:
        found = _FAULT.findall((done.stdout + b"\n" + done.stderr).decode(errors="replace"))
        said = f"it says: {found[-1][:LINE_CHARACTERS]}" if found else f"initdb ends with {done.returncode}"
        raise StartError(f"PostgreSQL cannot make its files in {folder.parent}; {said}{what_to_do(said)}")
    done.check_returncode()  # somebody ended it: the next time may be another


def serve(library: Any, folder: Path) -> str:
    """Starts a server of the directory where none runs; its ``postgresql://`` URL. Whoever calls it holds the lock of starts.

    Raises StartError, NotReadyError, HeldError, and SubprocessError where its log tells more.
    """
    if not is_postmaster(pid_in_file(folder) or 0, folder):
        _start(library, folder)
    lines = _pid_file(folder)
    if len(lines) < 8 or lines[7].strip() != "ready":
        raise NotReadyError
    host = str(folder) if lines[4] == lines[1] else lines[4]  # beside its files: by the name that they have here
    # Each character that a URL, or libpq, could take for something else is encoded.
    return f"postgresql://postgres:@/postgres?host={quote(os.fsencode(host))}"


def is_held_unseen(folder: Path) -> bool:
    """Whether a server has the directory that is no process of this machine, or container, as far as this one can see."""
    if servers_of(folder):
        return False
    try:
        with _alone(folder, socket_folder(folder)):
            return False
    except HeldError:
        return True
    except (OSError, StartError, NotReadyError):
        return False


@contextmanager
def _alone(folder: Path, sockets: Path) -> Iterator[int]:
    """A descriptor that has the directory for itself. Who is given it keeps the directory, until the last of them has ended: a
    server and all that it begins. Raises HeldError while one has it that cannot be seen, and NotReadyError while what is left of
    one is ending.

    Pids say nothing of servers in other containers; a lock does, in all of one machine. A server of a version before has none,
    and answers at its socket.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not _locked(descriptor) or _answers(sockets):
            raise NotReadyError if is_postmaster(0, folder) else HeldError(folder)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a network disk may have no such locks
    return True


def _answers(sockets: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as found:
        found.settimeout(1)
        try:
            found.connect(os.fsencode(sockets / _SOCKET))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except OSError:
            return True  # it has too much to do, or does not want us
    return True


def _start(library: Any, folder: Path) -> None:
    user = _prepare(library, folder)
    sockets = socket_folder(folder)
    if sockets != folder:
        _make_private(sockets, user)
    with _alone(folder, sockets) as descriptor:
        _forget_dead_server(folder, sockets)
        _run_server(library, folder, sockets, user, descriptor)


def _run_server(library: Any, folder: Path, sockets: Path, user: str | None, descriptor: int) -> None:
    # Twice quoted: as one name of a list, and as one word of the shell that pg_ctl calls.
    listed = f'"{sockets}"'
    options = f'-h "" -k {shlex.quote(listed)}'
    words = ["-w", "-o", options, "-l", str(folder / "log"), "-D", str(folder), "start"]
    subprocess.run(  # noqa: S603
        [_program(library, "pg_ctl"), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # no pipe: the server would hold its other end
        check=True,
        timeout=CTL_SECONDS,
        user=user,
        pass_fds=[descriptor],
        env={**_KEPT_MEMORY, **os.environ},
    )


# glibc gives what a statement needed back to the system behind each one, and a statement of a hundred events takes it anew, page by
# page: a tenth of what PostgreSQL spends on them. So much each of its processes keeps, in bytes, if it ever had it.
_KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(8 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20)}


def _forget_dead_server(folder: Path, sockets: Path) -> None:
    """After a power cut the files stay that name a server by its pid, cut short perhaps, and that pid may be somebody else's by now.

    Whoever finds such a pid alive takes the directory, or the socket, for in use. Only who is ``_alone`` there may call it.
    """
    for named in (folder / _PID_FILE, sockets / f"{_SOCKET}.lock"):
        named.unlink(missing_ok=True)


def _program(library: Any, name: str) -> str:
    return str(_programs(library) / name)


def _programs(library: Any) -> Path:
    path: Path = library.utils.POSTGRES_VERSIONS[library.utils.TARGET_POSTGRES_VERSION]
    return path


def _prepare(library: Any, folder: Path) -> str | None:
    """Whom to run as: None is whoever we are. Raises StartError for a path that cannot be given to PostgreSQL's programs, or a
    directory of another version.
    """
    for path, what in ((folder, "use another TRACKLAYER_DATA_DIR"), (_programs(library), "install it elsewhere")):
        found = _UNQUOTABLE.search(str(path))
        if found:
            raise StartError(f"PostgreSQL cannot run in {str(path)!r}: the path has the character {found[0]!r}; {what}")
    with contextlib.suppress(FileNotFoundError):
        version = (folder / VERSION).read_bytes().strip().decode(errors="replace")
        ours = library.utils.TARGET_POSTGRES_VERSION
        if version != str(ours):
            raise StartError(f"{folder} was made by PostgreSQL {version}, and this one is {ours}")
    if os.geteuid() != 0:
        return None
    utils = library.utils
    entry = utils.ensure_user_exists(USER)
    utils.ensure_prefix_permissions(folder)
    for path in utils.POSTGRES_VERSIONS.values():
        utils.ensure_prefix_permissions(path)
        utils.ensure_folder_permissions(path, 0o055)
        utils.ensure_folder_permissions(path.parent / "lib", 0o044)
    os.chown(folder, entry.pw_uid, -1)
    return USER


def socket_folder(folder: Path) -> Path:
    """Where the server's socket lies: beside its files, or else in a folder of its own for temporary files.

    That is where its path were too long, would be taken for two by libpq, or is no UTF-8.
    """
    if _takes_socket(folder):
        return folder
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    sockets = Path(tempfile.gettempdir()).resolve() / f"tracklayer-{os.geteuid()}-{name}"
    if not _takes_socket(sockets):
        raise StartError(
            f"PostgreSQL's socket can lie neither in {folder} nor in {sockets.parent}: a path is too long, has a comma or is no UTF-8; "
            "set TMPDIR to a directory with a short path"
        )
    return sockets


def _takes_socket(folder: Path) -> bool:
    path = os.fsencode(folder / _SOCKET)
    try:
        path.decode()  # as psycopg2 does
    except UnicodeDecodeError:
        return False
    return len(path) <= _SOCKET_BYTES and not re.search(rb"[,\x00-\x1f]", path)


def _make_private(sockets: Path, user: str | None) -> None:
    """Raises StartError where somebody else made it: whoever holds it could answer in PostgreSQL's place."""
    owner = os.geteuid() if user is None else pwd.getpwnam(user).pw_uid
    with contextlib.suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
        if user is not None:
            os.chown(sockets, owner, -1)
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise StartError(
            f"PostgreSQL's socket cannot lie in {sockets}, which somebody else made: remove it, or set TMPDIR"
        )


def forget_socket(folder: Path) -> None:
    """Removes the folder that was made for it, if one was; the server has taken away what it held."""
    with contextlib.suppress(StartError, OSError):
        sockets = socket_folder(folder)
        if sockets != folder and not sockets.lstat().st_mode & 0o077:  # else it is somebody else's
            sockets.rmdir()


def _pid_file(folder: Path) -> list[str]:
    try:
        return os.fsdecode((folder / _PID_FILE).read_bytes()).split("\n")
    except OSError:
        return []
