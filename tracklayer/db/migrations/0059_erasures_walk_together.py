"""The running erasures of a merchant look at its events together: each event is read once for all of them."""

from __future__ import annotations

from typing import Any

SQL = """
-- Where a merchant's erasures are: they go round and round through its events, as long as there are any. ``place``: the last
-- event that was looked at, as [received_at, event_id], sealed; null: the beginning. ``lap``: the round. ``looked``: events, in all.
CREATE TABLE erasure_walks (
    merchant_id   bigint PRIMARY KEY REFERENCES merchants ON DELETE CASCADE,
    place         bytea,
    lap           bigint NOT NULL DEFAULT 0,
    looked        bigint NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL,
    taken_at      timestamptz
);
-- Of an erasure that is with them: in which round, and at which count, it joined; ``after`` then holds the place.
ALTER TABLE erasures ADD COLUMN lap bigint;
ALTER TABLE erasures ADD COLUMN looked bigint NOT NULL DEFAULT 0;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
