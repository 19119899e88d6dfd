"""Failed and dropped deliveries by what befell them: to count each kind a little, and to page through one kind alone.

Hardly any delivery of everyday traffic is one of these, and one that becomes it is written to other indexes as well.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

# Failed ones have no reason: the status stands in its place, and '' in that of a code, so that all can be compared. Put in a
# way that no other condition on the status implies: nobody takes this index for a queue's, or for that of what was dropped.
# What is included spares the rows themselves: PostgreSQL takes no expression from an index unless its columns are there too.
INDEX = """
ON deliveries
    (merchant_id, platform, coalesce(drop_reason, status), coalesce(error_code, ''), queued_at, event_id)
    INCLUDE (received_at, status, drop_reason, error_code)
    WHERE coalesce(drop_reason, status) NOT IN ('queued', 'delivered')
"""


def up(migrator: Any, db: Any) -> None:
    make_index(db, "deliveries_grouped", INDEX)
