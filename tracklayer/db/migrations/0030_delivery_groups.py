"""Failed and dropped deliveries by what befell them: to count each kind a little, and to page through one kind alone.

Hardly any delivery of everyday traffic is one of these, and one that becomes it is written to other indexes as well.
"""

from __future__ import annotations

from typing import Any

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

IS_HALF_MADE = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('deliveries_grouped') AND NOT indisvalid"
DROP = "DROP INDEX CONCURRENTLY deliveries_grouped"
# Failed ones have no reason: the status stands in its place, and '' in that of a code, so that all can be compared. Put in a
# way that no other condition on the status implies: nobody takes this index for a queue's, or for that of what was dropped.
# What is included spares the rows themselves: PostgreSQL takes no expression from an index unless its columns are there too.
CREATE = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_grouped ON deliveries
    (merchant_id, platform, coalesce(drop_reason, status), coalesce(error_code, ''), queued_at, event_id)
    INCLUDE (received_at, status, drop_reason, error_code)
    WHERE coalesce(drop_reason, status) NOT IN ('queued', 'delivered')
"""


def up(migrator: Any, db: Any) -> None:
    (limit,) = db.execute_sql("SHOW lock_timeout").fetchone()
    # It waits for those who write and keeps nobody waiting: there is no reason to give up.
    db.execute_sql("SET lock_timeout = 0")
    try:
        if db.execute_sql(IS_HALF_MADE).fetchone():
            db.execute_sql(DROP)
        db.execute_sql(CREATE)
    finally:
        db.execute_sql("SELECT set_config('lock_timeout', %s, false)", (limit,))
