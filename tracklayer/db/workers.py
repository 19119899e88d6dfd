"""How a worker proves that it is alive: a session of its own that holds an advisory lock on its number.

PostgreSQL lets go of the lock the moment the session ends, whatever ended it. A worker that lives looks at its session
all the time, and takes the lock of the same number again: what it has claimed stays its own. Of one that does not for
``leases.GRACE`` the sweep takes the claims back. A session that asks nothing for a while is ended, so that a host that
vanished ends too, whatever stands between. Needs a direct session: a transaction-pooling proxy would keep the lock for
somebody else.
"""

from __future__ import annotations

import logging
import secrets
import threading

import psycopg2

from tracklayer.db.leases import WORKER_LOCK
from tracklayer.db.sessions import WORKER, DatabaseAwayError, Limits, Session, open_session

log = logging.getLogger(__name__)

MOST_NUMBERS = 2**31 - 1  # as many as there are of an advisory lock's second key
HEARD_TIMES = 4  # at least, in the time after which a silent session is ended
LOOK_SECONDS = 1.0  # at most between two looks at a session: a lost one is to be replaced well within ``leases.GRACE``


class WorkerLock:
    """One per worker process. ``number()`` may be called from any thread. ``limits``: of its session."""

    def __init__(self, url: str, limits: Limits = WORKER) -> None:
        self._url = url
        self._limits = limits
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._numbers: list[int] = []  # all that this process ever had: claims may have been made under each
        self._held: set[int] = set()
        self._released = threading.Event()
        self._pulse: threading.Thread | None = None

    def number(self) -> int:
        """The number this process holds the lock of. Raises DatabaseAwayError.

        A session that was lost gives the same number again, as soon as the server has noticed that loss, too; until then another one.
        """
        with self._lock:
            try:
                if not self._is_held():
                    self._begin()
            except psycopg2.Error as error:
                self._drop()
                raise DatabaseAwayError() from error
            if self._pulse is None and self._limits.idle:
                self._pulse = threading.Thread(target=self._beat, name="worker's pulse", daemon=True)
                self._pulse.start()
            return next(number for number in reversed(self._numbers) if number in self._held)

    def release(self) -> None:
        """Lets go: what is still claimed is taken back by others at once."""
        with self._lock:
            self._released.set()
            self._pulse = None
            self._drop()

    def _is_held(self) -> bool:
        """Whether the session lives, and the locks with it; one that does not is dropped. Needs the lock of threads."""
        if self._session is None:
            return False
        try:
            self._session.ask("SELECT 1")
        except psycopg2.Error:
            log.warning("the worker's session was lost: it takes its number again")
            self._drop()
            return False
        return True

    def _begin(self) -> None:
        """A session with a lock. Raises psycopg2.Error and DatabaseAwayError. Needs the lock of threads."""
        # Those who wait behind this one are told at once if it fails.
        self._session = open_session(self._url, "tracklayer lock", self._limits)
        self._take_again()
        while not self._held:
            # By chance: a sequence that a fail-over set back would give the number of one that lives, and has claims under it.
            number = secrets.randbelow(MOST_NUMBERS) + 1
            if self._try(number):
                self._numbers.append(number)

    def _take_again(self) -> None:
        """Locks what of its numbers a session that was lost, and that the server did not miss yet, has held on to."""
        for number in self._numbers:
            if number not in self._held:
                self._try(number)

    def _try(self, number: int) -> bool:
        assert self._session is not None
        if self._session.ask("SELECT pg_try_advisory_lock(%s, %s)", (WORKER_LOCK, number)):
            self._held.add(number)
        return number in self._held

    def _beat(self) -> None:
        """Batches may be in hand for longer than a session may be silent, or its loss unseen."""
        while not self._released.wait(min(LOOK_SECONDS, self._limits.idle / 1000 / HEARD_TIMES)):
            with self._lock:
                if self._released.is_set():
                    return
                try:
                    if self._is_held():
                        self._take_again()
                    else:
                        self._begin()
                except (psycopg2.Error, DatabaseAwayError):
                    self._drop()  # the next look tries again

    def _drop(self) -> None:
        self._held.clear()
        if self._session is not None:
            try:
                self._session.close()
            except psycopg2.Error:
                log.debug("closing a lost session failed")
            self._session = None
