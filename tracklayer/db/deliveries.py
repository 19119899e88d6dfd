"""Deliveries: their rows, and those of an event or of a key.

Who has one in hand is in db/leases.py, what becomes of it in db/settling.py, what waits and begins anew in db/queues.py, and
whatever is asked for page by page in db/delivery_search.py.

Rows begin in db/storing.py (an event that is new) and db/queues.py (``INSERT_STORED``). They are changed in db/settling.py (four
statements: acknowledged, told twice, acknowledged late, any other verdict), db/together.py (acknowledged), db/queues.py (dropped
unsent, begun anew), db/ahead.py (led back to the clock) and db/personal_data.py (dropped as erased), and they go in
db/personal_data.py and, with their age, in db/events.py. A column that is new has a value in each of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.domain.delivery import DeliveryKey, DeliveryStatus

LOG_LENGTH = 20  # entries kept of an attempt log: five attempts, twice redelivered, and what came between
WAITING = (DeliveryStatus.QUEUED.value, DeliveryStatus.FAILED.value)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """``requeued_at``: when it was redelivered last; ``former_waits``: from when until when it had waited before."""

    merchant_id: int
    event_id: str
    platform: str
    status: str
    attempts: int
    received_at: datetime
    queued_at: datetime
    window_ends_at: datetime
    due_at: datetime | None
    next_retry_at: datetime | None
    last_attempt_at: datetime | None
    delivered_at: datetime | None
    finished_at: datetime | None
    latency_ms: int | None
    drop_reason: str | None
    last_error: str | None
    error_code: str | None
    attempt_log: list[dict[str, Any]]
    requeued_at: datetime | None
    former_waits: list[tuple[str, str]] | None  # instants as text

    @property
    def key(self) -> DeliveryKey:
        return DeliveryKey(self.merchant_id, self.event_id, self.platform)

    @property
    def touched_at(self) -> datetime:
        """When something was done to it last, but for starting anew."""
        return self.finished_at or self.last_attempt_at or self.queued_at


def just_queued(
    merchant_id: int, event_id: str, platform: str, received_at: datetime, window: timedelta
) -> DeliveryRow:
    """A delivery as it is when its event has just been taken in."""
    return DeliveryRow(
        merchant_id=merchant_id,
        event_id=event_id,
        platform=platform,
        status="queued",
        attempts=0,
        received_at=received_at,
        queued_at=received_at,
        window_ends_at=received_at + window,
        due_at=received_at,
        next_retry_at=None,
        last_attempt_at=None,
        delivered_at=None,
        finished_at=None,
        latency_ms=None,
        drop_reason=None,
        last_error=None,
        error_code=None,
        attempt_log=[],
        requeued_at=None,
        former_waits=None,
    )


COLUMNS = ", ".join(field.name for field in fields(DeliveryRow))


def with_delivery(merchant_id: int, platform: str, event_ids: Sequence[str]) -> set[str]:
    """Which of some events have a delivery on a platform."""
    found = rows(
        "SELECT event_id FROM deliveries WHERE merchant_id = %s AND event_id = ANY(%s) AND platform = %s",
        (merchant_id, list(event_ids), platform),
    )
    return {row[0] for row in found}


def deliveries_by_key(merchant_id: int, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], DeliveryRow]:
    """A merchant's deliveries by (event id, platform); unknown ones are missing."""
    if not keys:
        return {}
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE merchant_id = %s AND (event_id, platform) IN %s",
        (merchant_id, tuple(keys)),
    )
    return {(row[1], row[2]): DeliveryRow(*row) for row in found}


def deliveries_of_events(merchant_id: int, event_ids: Sequence[str]) -> dict[str, list[DeliveryRow]]:
    """The deliveries of each event, by platform."""
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE merchant_id = %s AND event_id = ANY(%s) ORDER BY event_id, platform",
        (merchant_id, list(event_ids)),
    )
    grouped: dict[str, list[DeliveryRow]] = {event_id: [] for event_id in event_ids}
    for row in found:
        grouped[row[1]].append(DeliveryRow(*row))
    return grouped
