"""The events that were received long after they happened, found without passing over all others.

Hardly one is: of a backfill each, of everyday traffic none, so that the index costs what is sent at once nothing.
"""

from __future__ import annotations

from typing import Any

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

IS_HALF_MADE = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('events_late') AND NOT indisvalid"
DROP = "DROP INDEX CONCURRENTLY events_late"
CREATE = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_late ON events (merchant_id, received_at, event_id)
    WHERE received_at - occurred_at > interval '1 hour'
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
