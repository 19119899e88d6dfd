"""What other programs do in the database while ours are at work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2.extensions import connection


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
