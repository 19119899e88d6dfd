"""Which keys sealed what is in this database: of each, one value by which a process finds out that it has the key."""

from __future__ import annotations

from typing import Any

SQL = """
CREATE TABLE sealing_keys (
    key_id   bytea PRIMARY KEY CHECK (length(key_id) = 4),
    sealed   bytea NOT NULL,
    made_at  timestamptz NOT NULL
);
-- What was removed is not sealed for anybody any more.
UPDATE destinations SET secrets = '' WHERE removed_at IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
