"""Links of browsers and people, found by every digest that tells whose an event is: as those under ``google`` already are."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # indexes are made beside the writers, and what is left of a try that was ended is made anew

# Each begins with what nothing else is looked up by, so that no other look-up takes it. All but the last are of few links.
INDEXES = {
    "browser_people_decomposed": "decomposed",
    "browser_people_other_host": "other_host",
    "browser_people_googlemail": "gmail",
    "browser_people_e164": "e164",
}


def up(migrator: Any, db: Any) -> None:
    for name, rule in INDEXES.items():
        make_index(
            db, name, f"ON browser_people ((digests ->> '{rule}'), merchant_id) WHERE digests ->> '{rule}' IS NOT NULL"
        )
