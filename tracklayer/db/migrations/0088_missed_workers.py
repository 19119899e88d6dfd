"""Since when a claim's worker has not been heard of, so that one which lives has time to say so again."""

from __future__ import annotations

from typing import Any

# By whoever sweeps: when nobody was first seen to hold the lock of the worker's number. Null: somebody holds it.
SQL = "ALTER TABLE claims ADD COLUMN missed_at timestamptz"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
