"""How a destination stands, as callers see it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from tracklayer.db.standing import DELIVERED_WITHIN
from tracklayer.domain.standing import PACE_OF, Standing
from tracklayer.schema.access import READ
from tracklayer.schema.enums import GivenUpBy
from tracklayer.schema.scalars import DateTime

_PACE_MINUTES = int(PACE_OF.total_seconds() // 60)


@strawberry.type(
    description="How a destination stands at this moment: when it last took something, what waits for how long still, and "
    "when that will be gone."
)
class DestinationStanding:
    last_delivered_at: DateTime | None = strawberry.field(
        metadata=READ,
        description="When the platform last acknowledged a delivery, rounded down to the minute; null: not in the last "
        f"{DELIVERED_WITHIN.days} days.",
    )
    delivered_per_minute: float = strawberry.field(
        metadata=READ,
        description=f"Deliveries that the platform acknowledged a minute, over the last {_PACE_MINUTES} minutes.",
    )
    waiting_since: DateTime | None = strawberry.field(
        metadata=READ, description="When the delivery that waits longest was queued, or redelivered; null: none waits."
    )
    deadline: DateTime | None = strawberry.field(
        metadata=READ,
        description="When the first of what waits is given up, unless it is delivered before: its window of 24 hours ends, "
        "or its event becomes too old for the platform. Judged by what waits longest and what is due first; null: none "
        "waits.",
    )
    given_up_by: GivenUpBy | None = strawberry.field(metadata=READ, description="What makes the deadline.")
    empty_at: DateTime | None = strawberry.field(
        metadata=READ,
        description=f"When nothing will wait any more, at the pace of the last {_PACE_MINUTES} minutes; null where nothing "
        "waits, or where it does not drain at this pace.",
    )


def standing_node(found: Standing) -> DestinationStanding:
    return DestinationStanding(
        last_delivered_at=_instant(found.last_delivered_at),
        delivered_per_minute=round(found.per_minute, 2),
        waiting_since=_instant(found.waiting_since),
        deadline=_instant(found.deadline),
        given_up_by=GivenUpBy(found.given_up_by.value) if found.given_up_by is not None else None,
        empty_at=_instant(found.empty_at),
    )


def _instant(value: datetime | None) -> DateTime | None:
    return DateTime(value) if value is not None else None
