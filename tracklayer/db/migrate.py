"""Brings the database to this version of the code."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from pathlib import Path

import peewee
from playhouse.migrations import Runner

from tracklayer.db.connection import database, rows, session, unlimited_session
from tracklayer.db.sessions import code_of

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_301_001  # any number, as long as it stays: pg_advisory_lock's key for migrating
PATIENCE_SECONDS = 300
LOCK_SECONDS = 1.0  # all that want a table wait behind a migration that waits for it: less than ingest has patience for
PAUSE_SECONDS = 1.0
_BUSY = ("55P03", "40P01")  # locked, deadlock


class MigrationLockError(Exception):
    """Another process has been migrating for too long."""


def migrate(lock_seconds: float = LOCK_SECONDS, patience_seconds: float = PATIENCE_SECONDS) -> list[str]:
    """Applies what is missing, in order, each file in its own transaction; names of what was applied.

    Any number of processes may call it at once: one works, the others wait. The lock is tried in a loop because a
    waiting session holds a snapshot, which CREATE INDEX CONCURRENTLY would wait for in turn. For a table's lock each
    file waits ``lock_seconds`` at a time, and then lets those pass who have gathered behind it.
    """
    with unlimited_session(lock_seconds):
        deadline = time.monotonic() + patience_seconds
        while not rows("SELECT pg_try_advisory_lock(%s)", (LOCK,))[0][0]:
            if time.monotonic() > deadline:
                raise MigrationLockError("another process holds the migration lock")
            time.sleep(0.1)
        try:
            return _apply(deadline)
        finally:
            _unlock()


def _apply(deadline: float) -> list[str]:
    applied: list[str] = []
    runner = _runner()
    for name in pending():
        while True:
            try:
                applied += runner.up(name)
                break
            except peewee.OperationalError as error:
                if code_of(error) not in _BUSY:
                    raise
                if time.monotonic() > deadline:
                    raise MigrationLockError(
                        f"{name} cannot have its tables: something reads or writes for long"
                    ) from None
                log.info("%s waits until its tables are free", name)
                time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1))
    return applied


def _unlock() -> None:
    """The session is closed thereafter; where it is lost, so is the lock."""
    with contextlib.suppress(peewee.OperationalError, peewee.InterfaceError):
        rows("SELECT pg_advisory_unlock(%s)", (LOCK,))


def pending() -> list[str]:
    """Names of the migrations that this database lacks."""
    with session():
        return [found.name for found in _runner().status() if found.path is not None and not found.applied]


def unknown() -> list[str]:
    """Names of migrations in this database that this version of the code does not know: it is older."""
    with session():
        return [found.name for found in _runner().status() if found.path is None]


def _runner() -> Runner:
    return Runner(database, str(MIGRATIONS), table_name="schema_migrations")
