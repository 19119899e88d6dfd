"""PgBouncer between roles and PostgreSQL, where this machine has one: it is killed and started again as roles are."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import psycopg2

from tracklayer.cli.bench.ground import END_SECONDS, PATIENCE_SECONDS, free_port
from tracklayer.cli.process import CommandError

SESSIONS = 60  # with PostgreSQL at most: of a hundred that it has
# Lifetime 0: a session that was given back is closed. It would go to somebody else, with all that was wrong with it: what
# the database was set to when it began, or a server that is silent. Login retry: the pooler's own 15 s would come on top.

_INI = """
[databases]
{database} = host={folder} port=5432 user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {sessions}
max_client_conn = 500
server_lifetime = 0
server_login_retry = 1
"""


def pooler_binary() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


class Pooler:
    """``url``: PostgreSQL through it. ``mode``: "session" or "transaction"."""

    def __init__(self, binary: str, folder: Path, postgres_url: str, mode: str = "session") -> None:
        there = urlsplit(postgres_url)
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}{there.path}"
        sockets = Path(parse_qs(there.query)["host"][0])
        self._owner = sockets.stat().st_uid  # whoever PostgreSQL runs as
        settings = folder / f"pgbouncer_{mode}.ini"
        settings.write_text(
            _INI.format(
                database=there.path[1:],
                folder=sockets,
                port=self.port,
                mode=mode,
                sessions=SESSIONS,
            )
        )
        settings.chmod(0o644)
        self._command = [binary, str(settings)]
        self._log = settings.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                user=self._owner if os.geteuid() == 0 else None,  # it refuses to run as root
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                raise CommandError(f"PgBouncer does not start: {''.join(said) or 'it said nothing'}")
            time.sleep(0.05)

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True
