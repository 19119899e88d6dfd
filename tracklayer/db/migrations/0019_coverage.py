"""Which identifiers and values events carry, and what is refused at the door, counted by minute."""

from __future__ import annotations

from typing import Any

SQL = """
-- Events that were new in a minute, by name, action source, host of the page, and ``facts``: the bits of
-- domain/facts.py. ``slot`` as in ``minutes``.
CREATE TABLE coverage (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    minute           timestamptz NOT NULL,
    action_source    text NOT NULL,
    host             text NOT NULL,
    facts            bigint NOT NULL,
    slot             integer NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (merchant_id, event_name, minute, action_source, host, facts, slot)
) WITH (fillfactor = 60);
CREATE INDEX coverage_unfolded ON coverage (minute) WHERE slot <> 0;
CREATE INDEX coverage_age ON coverage (minute);

-- Events refused in a minute, by the first problem of each.
CREATE TABLE rejections (
    merchant_id      bigint NOT NULL,
    minute           timestamptz NOT NULL,
    event_name       text NOT NULL,
    code             text NOT NULL,
    field            text NOT NULL,
    slot             integer NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (merchant_id, minute, event_name, code, field, slot)
) WITH (fillfactor = 60);
CREATE INDEX rejections_unfolded ON rejections (minute) WHERE slot <> 0;
CREATE INDEX rejections_age ON rejections (minute);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
