"""How a worker proves that it is alive: a session of its own that holds an advisory lock on its number.

PostgreSQL lets go of the lock the moment the session ends, whatever ended it: then the sweep takes the worker's
claims back. Needs a direct session: a transaction-pooling proxy would keep the lock for somebody else.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import psycopg2

from tracklayer.db.connection import DatabaseAwayError, own_connection
from tracklayer.db.deliveries import WORKER_LOCK

log = logging.getLogger(__name__)


class WorkerLock:
    """One per worker process. ``number()`` may be called from any thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Any = None
        self._number = 0

    def number(self) -> int:
        """The number this process holds the lock of. Raises DatabaseAwayError.

        A session that was lost gives a new number: claims made under the old one are being taken back already.
        """
        with self._lock:
            try:
                if self._connection is not None:
                    try:
                        self._run("SELECT 1")
                        return self._number
                    except psycopg2.Error:
                        log.warning("the worker's session was lost: taking a new number")
                        self._drop()
                self._connection = own_connection(self._url)
                while True:
                    self._number = int(self._run("SELECT nextval('workers')"))
                    if self._run("SELECT pg_try_advisory_lock(%s, %s)", (WORKER_LOCK, self._number)):
                        return self._number
            except psycopg2.Error as error:
                self._drop()
                raise DatabaseAwayError("the database is away") from error

    def release(self) -> None:
        """Lets go: what is still claimed is taken back by others at once."""
        with self._lock:
            self._drop()

    def _run(self, sql: str, params: tuple[Any, ...] = ()) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchone()[0]

    def _drop(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except psycopg2.Error:
                log.debug("closing a lost session failed")
            self._connection = None
