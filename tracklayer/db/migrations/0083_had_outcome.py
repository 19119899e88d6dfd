"""Whether a delivery that is redelivered had come to anything before, so that what was never tried counts as new."""

from __future__ import annotations

from typing import Any

SQL = """
-- Null: it was not redelivered, or by a version that did not say; then it counts as one that had.
ALTER TABLE deliveries ADD COLUMN had_outcome boolean;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
