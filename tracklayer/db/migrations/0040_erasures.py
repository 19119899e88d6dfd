"""Erasures of people, what keeps them erased, and the keys that this takes."""

from __future__ import annotations

from typing import Any

SQL = """
-- ``marked``: this merchant has tombstones or suppressions, so ingest looks for them.
ALTER TABLE merchants ADD COLUMN marked boolean NOT NULL DEFAULT false;

-- A key of random bytes each, made once. ``sealed``: the key itself, sealed; empty of one that is lost. ``public``: of one
-- that signs; it stays published when the key is of no more use.
CREATE TABLE erasure_keys (
    key_id        text PRIMARY KEY,
    purpose       text NOT NULL CHECK (purpose IN ('mark', 'sign')),
    sealed        bytea NOT NULL,
    public        bytea,
    made_at       timestamptz NOT NULL,
    retired_at    timestamptz
);
CREATE UNIQUE INDEX erasure_keys_in_use ON erasure_keys (purpose) WHERE retired_at IS NULL;

-- One request each. ``wanted``: what is looked for, sealed; empty once it is finished. ``after``: the last event that was
-- looked at, as [received_at, event_id], sealed for its id. ``identifiers``: keyed hashes, cut off. ``counts``: table -> rows
-- deleted. ``platforms``: what each got. ``receipt``: signed JSON, once it is finished.
CREATE TABLE erasures (
    merchant_id   bigint NOT NULL REFERENCES merchants ON DELETE CASCADE,
    erasure_id    bigint GENERATED ALWAYS AS IDENTITY,
    requested_by  jsonb NOT NULL,
    identifiers   jsonb NOT NULL,
    wanted        bytea NOT NULL,
    suppress      boolean NOT NULL,
    stage         text NOT NULL,
    after         bytea,
    scanned       bigint NOT NULL DEFAULT 0,
    counts        jsonb NOT NULL DEFAULT '{}',
    platforms     jsonb NOT NULL DEFAULT '{}',
    requested_at  timestamptz NOT NULL,
    next_at       timestamptz NOT NULL,
    staged_at     timestamptz NOT NULL,
    finished_at   timestamptz,
    receipt       text,
    PRIMARY KEY (merchant_id, erasure_id)
);
CREATE INDEX erasures_running ON erasures (next_at) WHERE finished_at IS NULL;
CREATE INDEX erasures_finished ON erasures (finished_at) WHERE finished_at IS NOT NULL;

-- Ids of events that one has erased, sealed, until nothing names them any more.
CREATE TABLE erasure_traces (
    merchant_id   bigint NOT NULL,
    erasure_id    bigint NOT NULL,
    page          integer NOT NULL,
    sealed        bytea NOT NULL,
    PRIMARY KEY (merchant_id, erasure_id, page),
    FOREIGN KEY (merchant_id, erasure_id) REFERENCES erasures ON DELETE CASCADE
);

-- Keyed hashes, never what they are of. Of event ids that were erased, until the event would be gone anyway; and of
-- identifiers of people who are to be left alone.
CREATE TABLE tombstones (
    merchant_id   bigint NOT NULL,
    mark          bytea NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, mark)
);
CREATE INDEX tombstones_age ON tombstones (expires_at);
CREATE TABLE suppressions (
    merchant_id   bigint NOT NULL,
    mark          bytea NOT NULL,
    since         timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, mark)
);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
