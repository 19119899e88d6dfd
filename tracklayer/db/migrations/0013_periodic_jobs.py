"""Who runs a periodic job, since when and until when at most; and where rounds over all merchants stopped.

``begun_for``: the firing that was taken up last, as the ``next_run_at`` that it left; while that is the one there is,
nothing is to be done. Old code sets ``next_run_at`` alone, and its firings are taken up all the same.
"""

from __future__ import annotations

from typing import Any

SQL = """
ALTER TABLE periodic_jobs
    ADD COLUMN begun_for timestamptz,
    ADD COLUMN missed integer NOT NULL DEFAULT 0,
    ADD COLUMN run bigint NOT NULL DEFAULT 0,
    ADD COLUMN worker integer,
    ADD COLUMN begun_at timestamptz,
    ADD COLUMN leased_until timestamptz;
CREATE TABLE rounds (
    name             text PRIMARY KEY,
    place            text NOT NULL
);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
