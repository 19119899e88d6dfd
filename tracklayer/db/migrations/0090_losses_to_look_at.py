"""Which alerts that are over are to be looked at again, for what became of what had failed: however long ago they ended."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # made beside the writers; what is left of a try that was ended is made anew

# Few alerts, and each for a day at most: of those that former versions have looked at the key is left, without an instant.
INDEX = "ON alerts (merchant_id) WHERE resolved_at IS NOT NULL AND told ? 'look_at'"


def up(migrator: Any, db: Any) -> None:
    make_index(db, "alerts_to_look_at", INDEX)
