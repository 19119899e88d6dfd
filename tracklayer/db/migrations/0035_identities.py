"""What browsers showed, whom they were seen with, and what an event got of it."""

from __future__ import annotations

from typing import Any

SQL = """
-- ``public_key`` names a merchant to the collector: it is in every page of the shop, and opens nothing else.
-- ``collector``: {enabled, origins, cookie_domain, consent_required}. ``stitched_since``: events received from then on get
-- what is known of their browser; null: never asked for.
ALTER TABLE merchants ADD COLUMN public_key text UNIQUE;
ALTER TABLE merchants ADD COLUMN collector json;
ALTER TABLE merchants ADD COLUMN stitched_since timestamptz;

CREATE TABLE browsers (
    merchant_id   bigint NOT NULL,
    browser_id    text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    consent       text,
    PRIMARY KEY (merchant_id, browser_id)
) WITH (fillfactor = 80);
CREATE INDEX browsers_age ON browsers (merchant_id, last_seen_at);

-- ``kind``: the identifier's name (domain/stitching.py KINDS).
CREATE TABLE browser_signals (
    merchant_id   bigint NOT NULL,
    browser_id    text NOT NULL,
    kind          text NOT NULL,
    value         text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, browser_id, kind, value)
) WITH (fillfactor = 80);
CREATE INDEX browser_signals_age ON browser_signals (merchant_id, last_seen_at);

-- An email or phone that a browser was seen with, in a call of the merchant's own backend. ``digest``: SHA-256 of the
-- usual form, hex; ``digests``: of each rule of a platform that differs.
CREATE TABLE browser_people (
    merchant_id   bigint NOT NULL,
    digest        text NOT NULL,
    browser_id    text NOT NULL,
    kind          text NOT NULL,
    digests       json NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, digest, browser_id)
) WITH (fillfactor = 80);
CREATE INDEX browser_people_of ON browser_people (merchant_id, browser_id);
CREATE INDEX browser_people_age ON browser_people (merchant_id, last_seen_at);

-- Decided once, before an event is first mapped: [{field, value, source, seen_at}]. ``person``: the digest of the email or
-- phone by which it was looked up.
CREATE TABLE enrichments (
    merchant_id   bigint NOT NULL,
    event_id      text NOT NULL,
    fields        json NOT NULL,
    person        text,
    decided_at    timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, event_id)
);
CREATE INDEX enrichments_of ON enrichments (merchant_id, person, decided_at) WHERE person IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
