"""Alerts about events of one name, of further kinds, and what somebody says of one: a note, and until when it is quiet."""

from __future__ import annotations

from typing import Any

SQL = (
    "ALTER TABLE alerts ADD COLUMN event_name text, ADD COLUMN snoozed_until timestamptz, ADD COLUMN note text",
    # The kinds are the code's alone: a version that knows one more needs no migration for it.
    "ALTER TABLE alerts DROP CONSTRAINT alerts_kind_check",
    "DROP INDEX alerts_open",
    "CREATE UNIQUE INDEX alerts_open ON alerts (merchant_id, kind, coalesce(platform, ''), coalesce(event_name, '')) "
    "WHERE resolved_at IS NULL",
)


def up(migrator: Any, db: Any) -> None:
    for statement in SQL:
        db.execute_sql(statement)
