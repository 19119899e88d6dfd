"""What a destination lost lately, by reason: found by when it was lost, however long ago it was queued first."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

# Hardly any delivery of everyday traffic is dropped, and an update that drops one is written to other indexes as well. Put in a
# way that no other condition implies: nobody takes this index for that of what was dropped in a minute.
INDEX = """
ON deliveries (merchant_id, platform, drop_reason, finished_at, event_id) WHERE coalesce(drop_reason, '') <> ''
"""


def up(migrator: Any, db: Any) -> None:
    make_index(db, "deliveries_lost", INDEX)
