"""What hangs on events has ids that are compared by their bytes, as those of events are.

Otherwise no index serves where the two are compared: each look would read all that is kept of all merchants.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # keys are made beside the writers; what is left of a try that was ended is made anew

TABLES = ("enrichments", "differing_repeats")
# No row is written anew, and the key, which fits the new type, is taken as it is: the table is locked for a moment, whatever
# its size.
SWITCH = """
ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ALTER event_id TYPE text COLLATE "C";
ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY USING INDEX {table}_by_bytes
"""
IS_DONE = """
SELECT 1 FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = %s::regclass AND a.attname = 'event_id' AND c.collname = 'C'
"""


def up(migrator: Any, db: Any) -> None:
    for table in TABLES:
        if not db.execute_sql(IS_DONE, (table,)).fetchone():
            make_index(db, f"{table}_by_bytes", f'ON {table} (merchant_id, event_id COLLATE "C")', unique=True)
            with db.atomic():
                db.execute_sql(SWITCH.format(table=table))
