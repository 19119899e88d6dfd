"""Redeliveries that are too big for one call, and what a delivery that was redelivered did before."""

from __future__ import annotations

from typing import Any

SQL = """
-- One row for each redelivery that goes on after its call. ``search``: which deliveries, as db/redeliveries.py writes
-- it. ``after``: the last one that was looked at. ``booked``: by platform, until when what it queued is due.
CREATE TABLE redeliveries (
    merchant_id      bigint NOT NULL REFERENCES merchants ON DELETE CASCADE,
    redelivery_id    bigint GENERATED ALWAYS AS IDENTITY,
    search           jsonb NOT NULL,
    by_ids           boolean NOT NULL,
    after            jsonb,
    booked           jsonb NOT NULL DEFAULT '{}',
    matched          integer NOT NULL DEFAULT 0,
    requeued         integer NOT NULL DEFAULT 0,
    refused          jsonb NOT NULL DEFAULT '{}',
    requested_at     timestamptz NOT NULL,
    last_page_at     timestamptz NOT NULL,
    next_page_at     timestamptz NOT NULL,
    finished_at      timestamptz,
    PRIMARY KEY (merchant_id, redelivery_id)
);
-- Whose turn it is.
CREATE INDEX redeliveries_waiting ON redeliveries (next_page_at, redelivery_id) WHERE finished_at IS NULL;
CREATE INDEX redeliveries_finished ON redeliveries (finished_at) WHERE finished_at IS NOT NULL;

-- The ids that a redelivery was given, a page a row: ``[[event id, platform], ...]``. A page that is done is gone.
CREATE TABLE redelivery_pages (
    merchant_id      bigint NOT NULL,
    redelivery_id    bigint NOT NULL,
    page             integer NOT NULL,
    keys             json NOT NULL,
    PRIMARY KEY (merchant_id, redelivery_id, page),
    FOREIGN KEY (merchant_id, redelivery_id) REFERENCES redeliveries ON DELETE CASCADE
);

-- When a delivery was redelivered last, and from when until when it had waited before: ``[[since, until], ...]``. Null
-- in all that never were.
ALTER TABLE deliveries ADD COLUMN requeued_at timestamptz, ADD COLUMN former_waits jsonb;
-- Those few, in the order of their pages.
CREATE INDEX deliveries_requeued ON deliveries (merchant_id, queued_at, event_id, platform)
    WHERE requeued_at IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
