"""What tests of redeliveries and of deliveries of stored events share: their jobs, and going on with them."""

from __future__ import annotations

from typing import Any

from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.redeliveries import RedeliveryRow, redelivery_by_id
from tracklayer.runtime import Runtime
from tracklayer.services.pacing import Redelivered
from tracklayer.services.redeliver import continue_redeliveries


def select(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql, params)


def job_of(result: Redelivered) -> RedeliveryRow:
    assert result.job is not None
    with in_transaction():
        found = redelivery_by_id(result.job.merchant_id, result.job.redelivery_id)
    assert found is not None
    return found


def go_on(runtime: Runtime) -> set[tuple[int, str]]:
    """Until it is nobody's turn any more at this time; whom to wake."""
    woken = set()
    while select("SELECT 1 FROM redeliveries WHERE finished_at IS NULL AND next_page_at <= %s", runtime.clock.now()):
        woken |= continue_redeliveries(runtime)
    return woken
