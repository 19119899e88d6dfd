"""How a worker proves that it is alive: a session of its own that holds an advisory lock on its number.

PostgreSQL lets go of the lock the moment the session ends, whatever ended it: then the sweep takes the worker's
claims back. A session that asks nothing for a while is ended, so that a host that vanished ends too, whatever stands
between; one that lives is heard all the time. Needs a direct session: a transaction-pooling proxy would keep the lock
for somebody else.
"""

from __future__ import annotations

import logging
import threading

import psycopg2

from tracklayer.db.leases import WORKER_LOCK
from tracklayer.db.sessions import WORKER, DatabaseAwayError, Limits, Session, open_session

log = logging.getLogger(__name__)

HEARD_TIMES = 4  # in the time after which a silent session is ended


class WorkerLock:
    """One per worker process. ``number()`` may be called from any thread. ``limits``: of its session."""

    def __init__(self, url: str, limits: Limits = WORKER) -> None:
        self._url = url
        self._limits = limits
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._number = 0
        self._released = threading.Event()
        self._pulse: threading.Thread | None = None

    def number(self) -> int:
        """The number this process holds the lock of. Raises DatabaseAwayError.

        A session that was lost gives a new number: claims made under the old one are being taken back already.
        """
        with self._lock:
            try:
                if self._is_held():
                    return self._number
                # Those who wait behind this one are told at once if it fails.
                self._session = open_session(self._url, "tracklayer lock", self._limits)
                while True:
                    self._number = int(self._session.ask("SELECT nextval('workers')"))
                    if self._session.ask("SELECT pg_try_advisory_lock(%s, %s)", (WORKER_LOCK, self._number)):
                        break
            except psycopg2.Error as error:
                self._drop()
                raise DatabaseAwayError() from error
            if self._pulse is None and self._limits.idle:
                self._pulse = threading.Thread(target=self._beat, name="worker's pulse", daemon=True)
                self._pulse.start()
            return self._number

    def release(self) -> None:
        """Lets go: what is still claimed is taken back by others at once."""
        with self._lock:
            self._released.set()
            self._pulse = None
            self._drop()

    def _is_held(self) -> bool:
        """Whether the session lives, and the lock with it; one that does not is dropped. Needs the lock of threads."""
        if self._session is None:
            return False
        try:
            self._session.ask("SELECT 1")
        except psycopg2.Error:
            log.warning("the worker's session was lost: taking a new number")
            self._drop()
            return False
        return True

    def _beat(self) -> None:
        """Batches may be in hand for longer than a session may be silent."""
        while not self._released.wait(self._limits.idle / 1000 / HEARD_TIMES):
            with self._lock:
                self._is_held()

    def _drop(self) -> None:
        if self._session is not None:
            try:
                self._session.close()
            except psycopg2.Error:
                log.debug("closing a lost session failed")
            self._session = None
