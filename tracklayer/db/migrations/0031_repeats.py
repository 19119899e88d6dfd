"""In which fields the last repeat of an event that differed from it did so, and what was queued late and went wrong."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # the index is made beside the writers; what is left of a try that was ended is made anew

# Names of fields, never a value. A table of its own: hardly an event has a row, and its writing waits for no event's row.
SQL = """
CREATE TABLE IF NOT EXISTS differing_repeats (
    merchant_id      bigint NOT NULL,
    event_id         text NOT NULL,
    at               timestamptz NOT NULL,
    fields           text[] NOT NULL,
    PRIMARY KEY (merchant_id, event_id)
)
"""
# Events whose deliveries went wrong are read in the order in which they came. That is the order of their queueing, but for
# these: what was queued when it had been stored for a while.
INDEX = """
ON deliveries (merchant_id, status, received_at, event_id, platform)
    WHERE status IN ('failed', 'dropped') AND queued_at > received_at
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
    make_index(db, "deliveries_troubled_late", INDEX)
