"""Whether a running erasure fails at its next step, how often in a row, and since when."""

from __future__ import annotations

from typing import Any

SQL = """
ALTER TABLE erasures ADD COLUMN failures integer NOT NULL DEFAULT 0;
ALTER TABLE erasures ADD COLUMN failing_since timestamptz;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
