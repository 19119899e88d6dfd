"""What stitching added to events, counted as ``coverage`` counts what they brought themselves."""

from __future__ import annotations

from typing import Any

SQL = """
-- Events that got something, by the minute in which they arrived: that of ``coverage``, which says how many there were.
-- ``facts``: what they got; ``slot`` as in ``minutes``.
CREATE TABLE enriched_facts (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    minute           timestamptz NOT NULL,
    facts            bigint NOT NULL,
    slot             integer NOT NULL,
    events           integer NOT NULL,
    PRIMARY KEY (merchant_id, event_name, minute, facts, slot)
) WITH (fillfactor = 60);
CREATE INDEX enriched_facts_unfolded ON enriched_facts (minute) WHERE slot <> 0;
CREATE INDEX enriched_facts_age ON enriched_facts (minute);
CREATE INDEX enriched_facts_minutes ON enriched_facts (minute)
    WHERE slot = 0 AND extract(minute FROM minute AT TIME ZONE 'UTC') <> 0;

-- What is older, as ``coverage_days``: ``places`` are hours of the day.
CREATE TABLE enriched_facts_days (
    merchant_id      bigint NOT NULL,
    event_name       text NOT NULL,
    day              timestamptz NOT NULL,
    places           smallint[] NOT NULL,
    facts            bigint[] NOT NULL,
    events           integer[] NOT NULL,
    PRIMARY KEY (merchant_id, event_name, day)
) WITH (fillfactor = 80);
CREATE INDEX enriched_facts_days_age ON enriched_facts_days ((day AT TIME ZONE 'UTC'));

CREATE VIEW enriched_facts_counted AS
SELECT merchant_id, event_name, minute AS day, minute, facts, events FROM enriched_facts
UNION ALL
SELECT d.merchant_id, d.event_name, d.day, d.day + p.place * interval '1 hour', p.facts, p.events
FROM enriched_facts_days d CROSS JOIN LATERAL unnest(d.places, d.facts, d.events) AS p(place, facts, events);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
