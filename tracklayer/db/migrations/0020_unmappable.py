"""What a platform's rules refuse before it is sent, counted by minute; and the field that it was refused for."""

from __future__ import annotations

from typing import Any

SQL = """
ALTER TABLE minutes ADD COLUMN unmappable integer NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN drop_field text;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
