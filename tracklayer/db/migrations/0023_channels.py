"""Where a merchant's alerts and events go besides e-mail, what waits to go there, and drops in the order they happened."""

from __future__ import annotations

from typing import Any

atomic = False  # the index is made beside the writers; what is left of a try that was ended is made anew

SQL = (
    # ``secrets``: sealed JSON, the address and what signs. ``shown``: the address without its secret part.
    # ``next_at``: when something is to be sent there, null: nothing is. ``leased_until``: one process has it in hand.
    # ``told_until``: dropped deliveries are told of until then, null: they are not asked for.
    """
CREATE TABLE IF NOT EXISTS alert_channels (
    merchant_id      bigint NOT NULL REFERENCES merchants ON DELETE CASCADE,
    channel_id       bigint GENERATED ALWAYS AS IDENTITY,
    kind             text NOT NULL,
    shown            text NOT NULL,
    secrets          bytea NOT NULL,
    former_until     timestamptz,
    topics           text[] NOT NULL,
    min_severity     text NOT NULL,
    created_at       timestamptz NOT NULL,
    last_error       text,
    failures         integer NOT NULL DEFAULT 0,
    next_at          timestamptz,
    leased_until     timestamptz,
    lease            bigint NOT NULL DEFAULT 0,
    told_until       timestamptz,
    PRIMARY KEY (merchant_id, channel_id)
)""",
    "CREATE INDEX IF NOT EXISTS alert_channels_due ON alert_channels (next_at) WHERE next_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS alert_channels_told ON alert_channels (told_until) WHERE told_until IS NOT NULL",
    # One row a message to one channel. ``data``: JSON text, what it tells, as it was then. ``state``: of its alert.
    """
CREATE TABLE IF NOT EXISTS channel_messages (
    merchant_id      bigint NOT NULL,
    message_id       bigint GENERATED ALWAYS AS IDENTITY,
    channel_id       bigint NOT NULL,
    type             text NOT NULL,
    alert_id         bigint,
    state            text,
    data             text NOT NULL,
    status           text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'failed', 'cancelled')),
    created_at       timestamptz NOT NULL,
    due_at           timestamptz NOT NULL,
    next_attempt_at  timestamptz NOT NULL,
    attempts         integer NOT NULL DEFAULT 0,
    last_error       text,
    finished_at      timestamptz,
    PRIMARY KEY (merchant_id, message_id),
    FOREIGN KEY (merchant_id, channel_id) REFERENCES alert_channels ON DELETE CASCADE
)""",
    "CREATE INDEX IF NOT EXISTS channel_messages_waiting ON channel_messages "
    "(merchant_id, channel_id, next_attempt_at, message_id) WHERE status = 'waiting'",
    "CREATE INDEX IF NOT EXISTS channel_messages_alert ON channel_messages (merchant_id, alert_id, channel_id, message_id)",
    "CREATE INDEX IF NOT EXISTS channel_messages_due ON channel_messages (due_at)",
)
IS_HALF_MADE = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('deliveries_dropped') AND NOT indisvalid"
DROP = "DROP INDEX CONCURRENTLY deliveries_dropped"
# Of everyday traffic hardly a row is dropped, and an update that drops one is written to other indexes as well.
CREATE = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_dropped ON deliveries (merchant_id, finished_at, event_id, platform)
    WHERE status = 'dropped'
"""


def up(migrator: Any, db: Any) -> None:
    for statement in SQL:
        db.execute_sql(statement)
    (limit,) = db.execute_sql("SHOW lock_timeout").fetchone()
    # It waits for those who write and keeps nobody waiting: there is no reason to give up.
    db.execute_sql("SET lock_timeout = 0")
    try:
        if db.execute_sql(IS_HALF_MADE).fetchone():
            db.execute_sql(DROP)
        db.execute_sql(CREATE)
    finally:
        db.execute_sql("SELECT set_config('lock_timeout', %s, false)", (limit,))
