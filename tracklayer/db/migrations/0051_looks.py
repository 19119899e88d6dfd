"""At which merchants the monitors look: those of whom something can have changed, and the others in turn.

Old code looks at all of them, and needs none of it.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # the indexes are made beside the writers; each step may be done again

TABLES = (
    # ``active_until``: its counters changed so lately that all watches look at it until then; null: not for long.
    # ``silence_at``: before then no silence of it can be told, nor one of its names; null: nothing is usual of it.
    """
CREATE TABLE IF NOT EXISTS looks (
    merchant_id      bigint PRIMARY KEY,
    active_until     timestamptz,
    silence_at       timestamptz
) WITH (fillfactor = 70)
""",
    "CREATE INDEX IF NOT EXISTS looks_active ON looks (active_until)",
    "CREATE INDEX IF NOT EXISTS looks_silence ON looks (silence_at)",
    # What is left of the look that goes on, for whichever process takes it. ``silence_ids``: whose silence is judged.
    """
CREATE TABLE IF NOT EXISTS look_pages (
    place            integer PRIMARY KEY,
    merchant_ids     bigint[] NOT NULL,
    silence_ids      bigint[] NOT NULL
)
""",
    # Whoever has a rhythm is looked at once, and it is then known when next.
    "INSERT INTO looks (merchant_id, silence_at) SELECT merchant_id, learned_until FROM baselines WHERE platform = '' "
    "AND learned <> 'null' ON CONFLICT (merchant_id) DO NOTHING",
)


def up(migrator: Any, db: Any) -> None:
    for statement in TABLES:
        db.execute_sql(statement)
    make_index(
        db, "destinations_troubled", "ON destinations (merchant_id) WHERE state = 'held' OR failing_since IS NOT NULL"
    )
    make_index(db, "destinations_removed", "ON destinations (merchant_id, platform) WHERE removed_at IS NOT NULL")
