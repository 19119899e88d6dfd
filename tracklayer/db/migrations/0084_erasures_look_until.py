"""How far an erasure looks where events had come by a clock that was ahead: it was set back before the request."""

from __future__ import annotations

from typing import Any

SQL = """
-- The greater of ``requested_at`` and the latest arrival that was stored then. Null: a process of the version before took the
-- request, and looks until ``requested_at``.
ALTER TABLE erasures ADD COLUMN looks_until timestamptz;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
