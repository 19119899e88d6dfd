"""Event ids are compared by their bytes.

Then no new version of the operating system's locales can make an index wrong, ids that begin alike stand together and
are looked up as such, and storing a new one compares it at the least cost.
"""

from __future__ import annotations

from typing import Any

SQL = """
ALTER TABLE events ALTER event_id TYPE text COLLATE "C";
ALTER TABLE deliveries ALTER event_id TYPE text COLLATE "C";
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
