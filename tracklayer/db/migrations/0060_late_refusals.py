"""Browsers that refused are found by when: whom they were seen with at that very moment goes a little later."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # the index is made beside the writers, and what is left of a try that was ended is made anew


def up(migrator: Any, db: Any) -> None:
    # No other look-up of browsers that refused says what it does of their ids, and so none takes it.
    make_index(db, "browsers_refused", "ON browsers (last_seen_at) WHERE consent = 'denied' AND browser_id <> ''")
