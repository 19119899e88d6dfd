"""Of which names a platform, or its rules, refused events: written only where something is refused."""

from __future__ import annotations

from typing import Any

SQL = """
-- Deliveries whose first outcome was a refusal, by the minute in which their event arrived: that of ``coverage``, which
-- says how many there were. ``slot`` as in ``minutes``.
CREATE TABLE refused_names (
    merchant_id      bigint NOT NULL,
    platform         text NOT NULL,
    event_name       text NOT NULL,
    minute           timestamptz NOT NULL,
    slot             integer NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (merchant_id, platform, event_name, minute, slot)
) WITH (fillfactor = 60);
CREATE INDEX refused_names_unfolded ON refused_names (minute) WHERE slot <> 0;
CREATE INDEX refused_names_age ON refused_names (minute);
CREATE INDEX refused_names_minutes ON refused_names (minute)
    WHERE slot = 0 AND extract(minute FROM minute AT TIME ZONE 'UTC') <> 0;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
