"""The deliveries of events that were stored before their destination took them, found without passing over all others.

Hardly one is. All others were queued when their event was received, so that the index of pages finds those by either.
"""

from __future__ import annotations

from typing import Any

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

IS_HALF_MADE = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('deliveries_stored_first') AND NOT indisvalid"
DROP = "DROP INDEX CONCURRENTLY deliveries_stored_first"
CREATE = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_stored_first ON deliveries (merchant_id, queued_at, event_id, platform)
    WHERE queued_at > received_at
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
