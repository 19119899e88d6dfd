"""What an app's event happened on, and what a merchant sets for all platforms at once."""

from __future__ import annotations

from typing import Any

SQL = (
    "ALTER TABLE events ADD COLUMN device json",
    "ALTER TABLE merchants ADD COLUMN default_currency text, ADD COLUMN default_page_url text, "
    "ADD COLUMN require_consent text NOT NULL DEFAULT 'never' "
    "CHECK (require_consent IN ('never', 'eea', 'always'))",
)


def up(migrator: Any, db: Any) -> None:
    for statement in SQL:
        db.execute_sql(statement)
