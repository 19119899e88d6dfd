"""Whose baselines are the oldest, which advice is, and what backends that are no more had counted: without reading all."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # the indexes are made beside the writers


def up(migrator: Any, db: Any) -> None:
    make_index(db, "baselines_learned", "ON baselines (learned_until) WHERE platform = ''")
    make_index(db, "advice_seen", "ON advice (last_seen_at)")
    make_index(db, "queues_slots", "ON queues (slot) WHERE slot <> 0")
