"""When a destination was set up anew that had been removed; ``created_at`` stays when it was there first."""

from __future__ import annotations

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("ALTER TABLE destinations ADD COLUMN set_up_at timestamptz")
