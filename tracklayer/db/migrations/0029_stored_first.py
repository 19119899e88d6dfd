"""The deliveries of events that were stored before their destination took them, found without passing over all others.

Hardly one is. All others were queued when their event was received, so that the index of pages finds those by either.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

INDEX = """
ON deliveries (merchant_id, queued_at, event_id, platform)
    WHERE queued_at > received_at
"""


def up(migrator: Any, db: Any) -> None:
    make_index(db, "deliveries_stored_first", INDEX)
