"""Who asked for an erasure, and when: each request that one erasure answers."""

from __future__ import annotations

from typing import Any

SQL = """
-- The first one as well. ``erasures.requested_at`` is until when it looks at what came, which a later request may move.
-- No key to ``erasures``: whoever asks would wait for the step that holds its row.
CREATE TABLE erasure_requests (
    merchant_id   bigint NOT NULL REFERENCES merchants ON DELETE CASCADE,
    erasure_id    bigint NOT NULL,
    place         bigint GENERATED ALWAYS AS IDENTITY,
    requested_by  jsonb NOT NULL,
    requested_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, erasure_id, place)
);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
