"""One event id of each kind of refusal, beside its count: who asks why has something to look at."""

from __future__ import annotations

from typing import Any

SQL = "ALTER TABLE redeliveries ADD COLUMN refused_examples jsonb NOT NULL DEFAULT '{}'"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
