"""One small check of what becomes of a delivery, instead of six that every statement that writes one reads anew.

PostgreSQL parses the conditions of a table for each statement that inserts or updates: those of ``events`` and ``deliveries`` were
an eighth of what storing an event takes. What they said besides is looked for by ``doctor --invariants``, and nobody who writes
makes it: exactly one of these three is there, as ``status`` says. It is not asked of the rows that are stored, which the former
checks were asked.
"""

from __future__ import annotations

from typing import Any

SQL = """
ALTER TABLE deliveries DROP CONSTRAINT IF EXISTS deliveries_status_check, DROP CONSTRAINT IF EXISTS deliveries_check,
    DROP CONSTRAINT IF EXISTS deliveries_check1, DROP CONSTRAINT IF EXISTS deliveries_check2,
    ADD CONSTRAINT deliveries_outcome CHECK (num_nonnulls(due_at, drop_reason, delivered_at) = 1) NOT VALID;
ALTER TABLE events DROP CONSTRAINT IF EXISTS events_times_received_check, DROP CONSTRAINT IF EXISTS events_event_id_check;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
