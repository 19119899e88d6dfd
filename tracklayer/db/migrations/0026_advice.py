"""What is about to cost a merchant conversions, and since when each setting of a destination is as it is."""

from __future__ import annotations

from typing import Any

SQL = (
    # ``platform`` '': the merchant's own; ``event_name`` '': of all events.
    """
CREATE TABLE advice (
    merchant_id      bigint NOT NULL REFERENCES merchants ON DELETE CASCADE,
    platform         text NOT NULL,
    code             text NOT NULL,
    event_name       text NOT NULL,
    sentence         text NOT NULL,
    next_step        text NOT NULL,
    count            bigint NOT NULL,
    example_event_id text,
    since            timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    details          jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (merchant_id, platform, code, event_name)
)
""",
    # Setting -> when its present value was set, in ISO 8601; what was set before this migration is missing.
    "ALTER TABLE destinations ADD COLUMN setting_times jsonb NOT NULL DEFAULT '{}'",
)


def up(migrator: Any, db: Any) -> None:
    for statement in SQL:
        db.execute_sql(statement)
