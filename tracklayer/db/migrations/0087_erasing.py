"""What an erasure waits for in a worker's hands, so that it goes when it comes back."""

from __future__ import annotations

from typing import Any

SQL = """
-- Of ``event_ids``: whoever ends the claim drops what of these is not done.
ALTER TABLE claims ADD COLUMN erasing text[] NOT NULL DEFAULT '{}';
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
