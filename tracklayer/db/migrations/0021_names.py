"""When events of each name arrived and what is normal for them; and finding the minutes of counters that become hours."""

from __future__ import annotations

from typing import Any

SQL = """
-- The minutes of five weeks in which new events of a name arrived, written when ``coverage`` is folded.
CREATE TABLE name_minutes (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    minute           timestamptz NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (merchant_id, event_name, minute)
) WITH (fillfactor = 90);
CREATE INDEX name_minutes_age ON name_minutes (minute);

-- What four weeks tell of a name, or ('') of all names together: when it is sent, and how much of it is accepted.
CREATE TABLE name_baselines (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    learned_until    timestamptz NOT NULL,
    rhythm           jsonb,
    told_after       integer,  -- seconds: no shorter silence of this name is ever told
    accepted         jsonb,
    PRIMARY KEY (merchant_id, event_name)
);

-- Folded minutes that are no hours yet. What ingest writes has a slot, and is in neither.
CREATE INDEX coverage_minutes ON coverage (minute)
    WHERE slot = 0 AND extract(minute FROM minute AT TIME ZONE 'UTC') <> 0;
CREATE INDEX rejections_minutes ON rejections (minute)
    WHERE slot = 0 AND extract(minute FROM minute AT TIME ZONE 'UTC') <> 0;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
