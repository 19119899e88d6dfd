"""How many of a minute's attempts were retries: an event that fails for good must not count as five."""

from __future__ import annotations

from typing import Any

SQL = """
ALTER TABLE minutes
    ADD COLUMN retries_acknowledged integer NOT NULL DEFAULT 0,
    ADD COLUMN retries_failed integer NOT NULL DEFAULT 0;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
