"""Who has the turn at a destination that is probed or recovers: apart from when the platform may be asked again.

So that neither changes the other: an answer that comes late ends no wait, and a turn that is given back no rest.
"""

from __future__ import annotations

from typing import Any

SQL = "ALTER TABLE destinations ADD COLUMN turn_ends_at timestamptz"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
