"""The events that were received long after they happened, found without passing over all others.

Hardly one is: of a backfill each, of everyday traffic none, so that the index costs what is sent at once nothing.
"""

from __future__ import annotations

from typing import Any

SQL = """
CREATE INDEX events_late ON events (merchant_id, received_at, event_id)
    WHERE received_at - occurred_at > interval '1 hour';
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
