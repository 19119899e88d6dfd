"""What other programs do in the database while ours are at work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2.extensions import connection

from tests.servers import wait_until
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.leases import WORKER_LOCK


@contextlib.contextmanager
def other_session(url: str) -> Iterator[connection]:
    """A session of somebody else. Whatever it holds has been let go of when the block ends.

    One that is only closed holds its locks until its server has noticed, which a busy machine makes long.
    """
    with contextlib.closing(psycopg2.connect(url)) as session:
        try:
            yield session
        finally:
            with contextlib.suppress(psycopg2.Error):  # it may be away, or the session closed by the test
                session.rollback()


def is_waited_for(session: connection) -> bool:
    """Whether somebody waits for a lock, such as one that this session holds."""
    with session.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        found = cursor.fetchone()
    return found is not None and found[0] > 0


def wait_until_free(worker: int) -> None:
    """Until nobody holds a worker's number: a session that was closed does until its server has noticed."""
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s"

    def is_free() -> bool:
        with in_transaction():
            return not rows(held, (WORKER_LOCK, worker))

    wait_until(is_free, "PostgreSQL to let go of the worker's number")
