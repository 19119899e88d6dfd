"""Writes down how many events were refused with their whole requests: gathered in the process, and written once in a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tracklayer import metrics
from tracklayer.db import storing as db
from tracklayer.db.connection import in_transaction
from tracklayer.db.server import Became, became_of, transaction_id
from tracklayer.runtime import Runtime


def write_turned_away(runtime: Runtime) -> int:
    """How many counts were written, for which the monitors look. Raises DatabaseAwayError; then they wait for the next time.

    Where a COMMIT is not answered, PostgreSQL is asked the next time what became of it: nothing is counted twice.
    """
    if not _is_sure(runtime):
        return 0
    counted = runtime.counting.turned_away
    taken = counted.take()
    if not taken:
        return 0
    transaction = None
    try:
        records = [_record(*key, count) for key, count in taken.items()]
        with in_transaction():
            name, arguments = db.to_store([], records, [], runtime.settings.retry_window)
            db.run_statement(name, arguments)
            transaction = transaction_id()
    except BaseException:
        if transaction is None:
            counted.give_back(taken)
        else:
            counted.keep_unsure((transaction, taken))
        raise
    _note_stored(runtime, taken)
    return len(taken)


def _is_sure(runtime: Runtime) -> bool:
    """Whether it is known by now what became of all that was written. What was undone is counted once more."""
    counted = runtime.counting.turned_away
    unsure = counted.take_unsure()
    became = dict.fromkeys([transaction for transaction, _ in unsure], Became.UNKNOWN)
    try:
        for transaction in became:
            with in_transaction():
                became[transaction] = became_of(transaction)
    finally:
        for transaction, taken in unsure:
            if became[transaction] is Became.UNKNOWN:
                counted.keep_unsure((transaction, taken))
            elif became[transaction] is Became.UNDONE:
                counted.give_back(taken)
            else:
                _note_stored(runtime, taken)
    return Became.UNKNOWN not in became.values()


def _note_stored(runtime: Runtime, taken: Mapping[tuple[int, int, str | None, str | None], int]) -> None:
    """For metrics and for the log, which say what the ledger does: once it is committed."""
    for (_, _, code, _), count in taken.items():
        metrics.EVENTS_REFUSED.labels(code or "SENT_AGAIN").inc(count)
    rejected = sum(taken.values())
    metrics.REJECTED.inc(rejected)
    runtime.tally.add_many("events", "rejected", rejected)


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
