"""A house for what was delivered: it is written once, beside the table of what waits, failed or was dropped.

Partitions of four weeks, by when retention ends, so that indexes stay small, and a partition of which nothing is left is dropped
(db/delivered.py). Nothing is written here by processes that do not know of it, and nothing before all that live do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

# What a delivered one never has (a status of another kind, a time when it is due, a reason for dropping) is no column.
# ``gone_by``: the day by which the retention of all in its partition has ended; 'infinity' where it had ended before.
TABLE = """
CREATE TABLE delivered (
    merchant_id      bigint NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    platform         text NOT NULL,
    attempts         smallint NOT NULL,
    received_at      timestamptz NOT NULL,
    queued_at        timestamptz NOT NULL,
    window_ends_at   timestamptz NOT NULL,
    last_attempt_at  timestamptz,
    delivered_at     timestamptz NOT NULL,
    finished_at      timestamptz,
    latency_ms       integer,
    last_error       text,
    error_code       text,
    attempt_log      jsonb NOT NULL,
    requeued_at      timestamptz,
    former_waits     jsonb,
    gone_by          date NOT NULL,
    PRIMARY KEY (merchant_id, event_id, platform, gone_by)
) PARTITION BY LIST (gone_by);
-- Pages of deliveries, newest queued first.
CREATE INDEX delivered_queued ON delivered (merchant_id, queued_at, event_id, platform);
-- As deliveries_stored_first, deliveries_refused and deliveries_requeued: hardly any is in one of these.
CREATE INDEX delivered_stored_first ON delivered (merchant_id, queued_at, event_id, platform)
    WHERE queued_at > received_at;
CREATE INDEX delivered_refused ON delivered (merchant_id, queued_at, event_id, platform) WHERE last_error IS NOT NULL;
CREATE INDEX delivered_requeued ON delivered (merchant_id, queued_at, event_id, platform) WHERE requeued_at IS NOT NULL;
CREATE TABLE delivered_otherwise PARTITION OF delivered DEFAULT;
-- Every delivery, wherever it lies. ``gone_by`` is '-infinity' of those in deliveries.
CREATE OR REPLACE VIEW all_deliveries AS
SELECT merchant_id, event_id, platform, status, attempts, received_at, queued_at, window_ends_at, due_at, next_retry_at,
       last_attempt_at, delivered_at, finished_at, latency_ms, drop_reason, drop_field, last_error, error_code, attempt_log,
       requeued_at, former_waits, date '-infinity' AS gone_by
FROM deliveries
UNION ALL
SELECT merchant_id, event_id, platform, 'delivered', attempts, received_at, queued_at, window_ends_at, NULL::timestamptz,
       NULL::timestamptz, last_attempt_at, delivered_at, finished_at, latency_ms, NULL::text, NULL::text, last_error, error_code,
       attempt_log, requeued_at, former_waits, gone_by
FROM delivered
"""
PERIOD = 28  # days, counted from a Monday
FIRST = "date '2000-01-03' + ((current_date - date '2000-01-03') / 28 + 1) * 28"
AHEAD = 365 + 3 * PERIOD  # days: the longest retention, and what is made beforehand
DAYS_AHEAD = range(0, AHEAD + PERIOD, PERIOD)


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(TABLE)
    (first,) = db.execute_sql(f"SELECT {FIRST}").fetchone()
    for days in DAYS_AHEAD:
        day = first + timedelta(days=days)
        db.execute_sql(
            f"CREATE TABLE delivered_{day:%Y%m%d} PARTITION OF delivered FOR VALUES IN ('{day}') "
            "WITH (autovacuum_vacuum_scale_factor = 0.5)"
        )
