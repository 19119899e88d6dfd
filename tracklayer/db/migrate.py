"""Brings the database to this version of the code."""

from __future__ import annotations

import time
from pathlib import Path

from playhouse.migrations import Runner

from tracklayer.db.connection import database, rows, session

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_301_001  # any number, as long as it stays: pg_advisory_lock's key for migrating
PATIENCE_SECONDS = 300


class MigrationLockError(Exception):
    """Another process has been migrating for too long."""


def migrate() -> list[str]:
    """Applies what is missing, in order, each file in its own transaction; names of what was applied.

    Any number of processes may call it at once: one works, the others wait. The lock is tried in a loop because a
    waiting session holds a snapshot, which CREATE INDEX CONCURRENTLY would wait for in turn.
    """
    with session():
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not rows("SELECT pg_try_advisory_lock(%s)", (LOCK,))[0][0]:
            if time.monotonic() > deadline:
                raise MigrationLockError("another process holds the migration lock")
            time.sleep(0.1)
        try:
            applied: list[str] = _runner().up()
            return applied
        finally:
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
