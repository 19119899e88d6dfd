"""Browsers of erased people: a mark each, lifted with the person's, and links found in every spelling of a Gmail address.

Beside that, whose turn it was last among the merchants whose people are being erased.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # indexes are made beside the writers, and what is left of a try that was ended is made anew

SQL = """
ALTER TABLE suppressions ADD COLUMN IF NOT EXISTS of_mark bytea;
ALTER TABLE erasures ADD COLUMN IF NOT EXISTS taken_at timestamptz;
"""
# The one of links begins with what nothing else is looked up by, so that no other look-up takes it.
INDEXES = {
    "browser_people_gmail": "browser_people ((digests ->> 'google'), merchant_id) WHERE digests ->> 'google' IS NOT NULL",
    "suppressions_of": "suppressions (merchant_id, of_mark) WHERE of_mark IS NOT NULL",
    "erasures_open": "erasures (merchant_id, next_at) WHERE finished_at IS NULL",
}


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
    for name, definition in INDEXES.items():
        make_index(db, name, f"ON {definition}")
