"""Indexes of which each fits its own look-up alone.

Of a merchant whom its statistics do not know yet the planner takes all rows for one. So a look-up must find no second index
that begins with the merchant, or it may take that one, and read all that is kept of the merchant.
"""

from __future__ import annotations

from typing import Any

SQL = """
DROP INDEX browsers_age;
DROP INDEX browser_signals_age;
DROP INDEX browser_people_age;
CREATE INDEX browsers_age ON browsers (merchant_id, last_seen_at) WHERE browser_id <> '';
CREATE INDEX browser_signals_age ON browser_signals (merchant_id, last_seen_at) WHERE browser_id <> '';
CREATE INDEX browser_people_age ON browser_people (merchant_id, last_seen_at) WHERE browser_id <> '';
ALTER TABLE browser_people DROP CONSTRAINT browser_people_pkey, ADD PRIMARY KEY (digest, merchant_id, browser_id);
DROP INDEX browser_people_of;
CREATE INDEX browser_people_of ON browser_people (browser_id, merchant_id);
DROP INDEX enrichments_of;
CREATE INDEX enrichments_of ON enrichments ((merchant_id::text || '/' || person), decided_at) WHERE person IS NOT NULL;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
