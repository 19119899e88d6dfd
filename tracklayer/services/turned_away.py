"""Writes down how many events were refused with their whole requests: gathered in the process, and written once in a while."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tracklayer.db import events as db
from tracklayer.db.connection import in_transaction
from tracklayer.runtime import Runtime


def write_turned_away(runtime: Runtime) -> int:
    """How many counts were written, for which the monitors look. Raises DatabaseAwayError; then they wait for the next time."""
    taken = runtime.counting.turned_away.take()
    if not taken:
        return 0
    try:
        records = [_record(*key, count) for key, count in taken.items()]
        with in_transaction():
            name, arguments = db.to_store([], records, [], runtime.settings.retry_window)
            db.run_statement(name, arguments)
    except BaseException:
        runtime.counting.turned_away.give_back(taken)
        raise
    return len(taken)


def _record(merchant_id: int, minute: int, code: str | None, where: str | None, count: int) -> dict[str, Any]:
    at = datetime.fromtimestamp(minute * 60, UTC)
    return {
        "merchant_id": merchant_id,
        "received_at": at,
        "rejected": count,
        "event_name": "",
        "code": code,
        "field": where,
    }
