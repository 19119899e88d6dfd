"""Indexes made while others write: for migrations that are not ``atomic``."""

from __future__ import annotations

from typing import Any


def make_index(db: Any, name: str, definition: str, *, unique: bool = False) -> None:
    """Makes an index, unless it is there; what is left of a try that was ended is made anew. ``definition``: from ``ON`` on.

    It waits for those who write and keeps nobody waiting, so there is no reason to give up. Not in a transaction.
    """
    (limit,) = db.execute_sql("SHOW lock_timeout").fetchone()
    db.execute_sql("SET lock_timeout = 0")
    try:
        half_made = f"SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid"
        if db.execute_sql(half_made).fetchone():
            db.execute_sql(f"DROP INDEX CONCURRENTLY {name}")
        db.execute_sql(f"CREATE {'UNIQUE ' * unique}INDEX CONCURRENTLY IF NOT EXISTS {name} {definition}")
    finally:
        db.execute_sql("SELECT set_config('lock_timeout', %s, false)", (limit,))
