"""Who lives, what each says of itself, and what the operator was told. All instants are this database's own clock.

None of it is a merchant's. Old code writes no heartbeats: a role that was never seen here is missed only where its work stands still.
"""

from __future__ import annotations

from typing import Any

SQL = """
-- One row a process and role; rewritten every ten seconds, so no column that changes is in an index. ``says``: what the
-- process found out about itself. ``ended_at``: it ended on purpose.
CREATE TABLE heartbeats (
    instance         text NOT NULL,
    role             text NOT NULL,
    host             text NOT NULL,
    version          text NOT NULL,
    started_at       timestamptz NOT NULL,
    beat_at          timestamptz NOT NULL,
    ended_at         timestamptz,
    says             jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (instance, role)
) WITH (fillfactor = 50);

CREATE TABLE operator_alerts (
    alert_id         text PRIMARY KEY,
    kind             text NOT NULL,
    severity         text NOT NULL,
    title            text NOT NULL,
    message          text NOT NULL,
    opened_at        timestamptz NOT NULL,
    seen_at          timestamptz NOT NULL,
    resolved_at      timestamptz
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX operator_alerts_open ON operator_alerts (kind) WHERE resolved_at IS NULL;
CREATE INDEX operator_alerts_resolved ON operator_alerts (resolved_at) WHERE resolved_at IS NOT NULL;

-- What goes out by one channel about one state of an alert. ``leased_until``: somebody sends it now.
CREATE TABLE operator_messages (
    alert_id         text NOT NULL REFERENCES operator_alerts ON DELETE CASCADE,
    state            text NOT NULL CHECK (state IN ('open', 'resolved')),
    channel          text NOT NULL,
    attempts         integer NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL,
    leased_until     timestamptz,
    told_at          timestamptz,
    PRIMARY KEY (alert_id, state, channel)
);

-- What one process at a time does, and until when nobody else begins it.
CREATE TABLE operator_turns (
    name             text PRIMARY KEY,
    taken_until      timestamptz NOT NULL
);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
