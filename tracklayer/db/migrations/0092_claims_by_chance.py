"""Numbers of claims that are never given out again, also where PostgreSQL went on from before some of its commits.

A sequence that fell back with a standby, or in a crash without ``synchronous_commit``, gives the numbers of claims that workers still
hold to others: whoever settled one then settled the other's.
"""

from __future__ import annotations

from typing import Any

# 15 digits of 16 of which 14 are chance. Other keys go before it in every index, so that its order costs nothing. The
# sequence of workers' numbers, which is not asked any more either, stays for the version before.
SQL = """
ALTER TABLE claims ALTER COLUMN claim_id DROP IDENTITY;
ALTER TABLE claims ALTER COLUMN claim_id SET DEFAULT ('x' || left(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
