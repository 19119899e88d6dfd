"""What is usual for the identifiers that events carry, learned of each merchant."""

from __future__ import annotations

from typing import Any

SQL = """
-- ``learned``: event name -> what domain/monitors/coverage.py learned of it. ``glances``: event name -> the seconds in
-- which as many events usually come as a first glance takes: small, as every look of the monitors reads it.
CREATE TABLE coverage_baselines (
    merchant_id      bigint PRIMARY KEY,
    learned_until    timestamptz NOT NULL,
    learned          jsonb NOT NULL,
    glances          jsonb NOT NULL
);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
