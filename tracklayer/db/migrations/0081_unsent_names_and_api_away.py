"""Of which names events were not sent to a platform, and when nothing could come in."""

from __future__ import annotations

from typing import Any

SQL = """
-- Deliveries that were dropped before anything was sent, and were no refusal, as where consent is denied: counted as
-- ``refused_names`` is, and taken from what arrived before it is said how much of that was refused.
CREATE TABLE unsent_names (
    merchant_id      bigint NOT NULL,
    platform         text NOT NULL,
    event_name       text NOT NULL,
    minute           timestamptz NOT NULL,
    slot             integer NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (merchant_id, platform, event_name, minute, slot)
) WITH (fillfactor = 60);
CREATE INDEX unsent_names_unfolded ON unsent_names (minute) WHERE slot <> 0;
CREATE INDEX unsent_names_age ON unsent_names (minute);
CREATE INDEX unsent_names_minutes ON unsent_names (minute)
    WHERE slot = 0 AND extract(minute FROM minute AT TIME ZONE 'UTC') <> 0;

-- Spans in which no API process said that it lives: written by the first that does so again.
CREATE TABLE api_away (
    began_at         timestamptz PRIMARY KEY,
    ended_at         timestamptz NOT NULL
);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
