"""Why something was not added to an event."""

from __future__ import annotations

from typing import Any

SQL = """
-- domain/stitching.py Note
ALTER TABLE enrichments ADD COLUMN note text;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
