"""Finding the minutes of a certain age: a summary of each stretch of the table, as minutes are written in their order."""

from __future__ import annotations

from typing import Any

SQL = """
CREATE INDEX minutes_age ON minutes USING brin (minute) WITH (pages_per_range = 32, autosummarize = on);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
