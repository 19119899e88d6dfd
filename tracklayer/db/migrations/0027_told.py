"""What was told of an alert when it opened or became graver, and ids of messages that count nothing."""

from __future__ import annotations

from typing import Any

SQL = (
    # {"severity", "title", "message", "details"}. Null: it opened under an older version, and what was seen last is told.
    "ALTER TABLE alerts ADD COLUMN told jsonb",
    # Random, written with the message. Null: an older version's, whose id is that of its row.
    "ALTER TABLE channel_messages ADD COLUMN uid text",
    # Until when a receiver asked to be left alone.
    "ALTER TABLE alert_channels ADD COLUMN rest_until timestamptz",
)


def up(migrator: Any, db: Any) -> None:
    for statement in SQL:
        db.execute_sql(statement)
