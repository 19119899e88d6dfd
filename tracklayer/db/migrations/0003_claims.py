"""Claims as rows of their own, and the paced release after a hold.

A claim used to be three columns of every delivery it held. As a row it costs one insert a batch instead of an update a
delivery, and it can say which deliveries its worker was sending when it was lost.
"""

from __future__ import annotations

from typing import Any

SQL = """
DROP SEQUENCE claims;
-- A worker's lease on deliveries of one destination. ``sending``: those of them that are on their way since
-- ``sent_at``; the others have certainly not left.
CREATE TABLE claims (
    merchant_id         bigint NOT NULL,
    platform            text NOT NULL,
    claim_id            bigint GENERATED ALWAYS AS IDENTITY,
    worker              integer NOT NULL,
    claimed_at          timestamptz NOT NULL,
    lease_ends_at       timestamptz NOT NULL,
    event_ids           text[] NOT NULL,
    sending             text[] NOT NULL DEFAULT '{}',
    sent_at             timestamptz,
    PRIMARY KEY (merchant_id, platform, claim_id)
);
ALTER TABLE claims SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

DROP INDEX deliveries_claimed;
ALTER TABLE deliveries DROP COLUMN claimed_by, DROP COLUMN claim_id, DROP COLUMN claimed_at;

-- After a hold: since when its backlog has been released, at a pace that grows.
ALTER TABLE destinations ADD COLUMN recovering_since timestamptz;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
