"""What is counted by name, by what events carry and by why they were refused becomes lists once it is older (db/packed_lists.py).

A row has what one key had in a day: ``places`` are the minutes of the day in ``name_days`` and its hours in the others, in
order, and the lists beside it belong to them place by place.
The views read both, the lists as the rows that they were. Nothing is moved here: folding does, once every process reads lists.
"""

from __future__ import annotations

from typing import Any

# The indexes by age are spelt so that only forgetting finds them: who reads a stretch of time reads one merchant's by the key.
# ``day`` is in the views for the indexes alone, as ``hour`` is in ``counted`` (0061).
SQL = """
CREATE TABLE name_days (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    day              timestamptz NOT NULL,
    places           smallint[] NOT NULL,
    events           integer[] NOT NULL,
    PRIMARY KEY (merchant_id, event_name, day)
) WITH (fillfactor = 80);
CREATE INDEX name_days_age ON name_days ((day AT TIME ZONE 'UTC'));

CREATE TABLE coverage_days (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    day              timestamptz NOT NULL,
    action_source    text NOT NULL,
    host             text NOT NULL,
    places           smallint[] NOT NULL,
    facts            bigint[] NOT NULL,
    events           integer[] NOT NULL,
    PRIMARY KEY (merchant_id, event_name, day, action_source, host)
) WITH (fillfactor = 80);
CREATE INDEX coverage_days_age ON coverage_days ((day AT TIME ZONE 'UTC'));

CREATE TABLE rejection_days (
    merchant_id      bigint NOT NULL,
    day              timestamptz NOT NULL,
    event_name       text NOT NULL,
    code             text NOT NULL,
    field            text NOT NULL,
    places           smallint[] NOT NULL,
    events           integer[] NOT NULL,
    PRIMARY KEY (merchant_id, day, event_name, code, field)
) WITH (fillfactor = 80);
CREATE INDEX rejection_days_age ON rejection_days ((day AT TIME ZONE 'UTC'));

CREATE VIEW names_counted AS
SELECT merchant_id, event_name, minute AS day, minute, events FROM name_minutes
UNION ALL
SELECT d.merchant_id, d.event_name, d.day, d.day + p.place * interval '1 minute', p.events
FROM name_days d CROSS JOIN LATERAL unnest(d.places, d.events) AS p(place, events);

CREATE VIEW coverage_counted AS
SELECT merchant_id, event_name, minute AS day, minute, action_source, host, facts, events FROM coverage
UNION ALL
SELECT d.merchant_id, d.event_name, d.day, d.day + p.place * interval '1 hour', d.action_source, d.host, p.facts, p.events
FROM coverage_days d CROSS JOIN LATERAL unnest(d.places, d.facts, d.events) AS p(place, facts, events);

CREATE VIEW rejections_counted AS
SELECT merchant_id, minute AS day, minute, event_name, code, field, events FROM rejections
UNION ALL
SELECT d.merchant_id, d.day, d.day + p.place * interval '1 hour', d.event_name, d.code, d.field, p.events
FROM rejection_days d CROSS JOIN LATERAL unnest(d.places, d.events) AS p(place, events);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
