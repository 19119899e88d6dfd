"""When a message to a channel was sent first, so that a dead address is told from a network that is away."""

from __future__ import annotations

from typing import Any

# Null: it was not yet, or by an older version.
SQL = "ALTER TABLE channel_messages ADD COLUMN tried_at timestamptz"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
