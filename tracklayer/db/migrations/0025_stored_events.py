"""Jobs that make deliveries for stored events, beside those that redeliver.

A worker of the version before finds no search of deliveries in such a job, and leaves it to the others.
"""

from __future__ import annotations

from typing import Any

SQL = """
-- ``stored``: {"platform", "search"}, for events that get a delivery there; ``search`` beside it is empty then. Null: a
-- redelivery.
ALTER TABLE redeliveries ADD COLUMN stored jsonb;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
