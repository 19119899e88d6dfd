"""How often a channel certainly did not take a message, so that it is known which attempts may have reached it."""

from __future__ import annotations

from typing import Any

# Of what an older version tried nothing is known: it may have arrived.
SQL = "ALTER TABLE channel_messages ADD COLUMN refused integer NOT NULL DEFAULT 0"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
