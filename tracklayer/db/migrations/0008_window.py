"""The index of what runs out of time, out of the way of claims.

Its condition used to be that of the index of what is due. Where the statistics knew nothing of a merchant yet, the
planner took it for a claim and read what was due of every merchant.
"""

from __future__ import annotations

from typing import Any

SQL = """
DROP INDEX deliveries_window;
CREATE INDEX deliveries_window ON deliveries (window_ends_at) WHERE status IN ('queued', 'failed');
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
