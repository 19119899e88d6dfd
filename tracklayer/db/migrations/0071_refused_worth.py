"""What the sales are worth that were refused at the door, for alerts: kept for two days."""

from __future__ import annotations

from typing import Any

SQL = """
CREATE TABLE refused_worth (
    merchant_id      bigint NOT NULL,
    minute           timestamptz NOT NULL,
    event_name       text NOT NULL,
    currency         text NOT NULL,
    slot             integer NOT NULL,
    amount           numeric NOT NULL,
    PRIMARY KEY (merchant_id, minute, event_name, currency, slot)
) WITH (fillfactor = 60);
CREATE INDEX refused_worth_age ON refused_worth (minute);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
