"""How a destination stands: what waits for how long still, at which pace it drains, and when it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tracklayer.domain.delivery import DestinationState

PACE_OF = timedelta(minutes=5)  # how far back the pace is measured: an outage that just ended shows at once


class GivenUpBy(StrEnum):
    WINDOW = "window"
    PLATFORM_AGE = "platform_age"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits since ``since``. ``too_old_at``: then its platform takes the event no more; None: it always does."""

    since: datetime
    window_ends_at: datetime
    too_old_at: datetime | None

    @property
    def deadline(self) -> tuple[datetime, GivenUpBy]:
        if self.too_old_at is not None and self.too_old_at < self.window_ends_at:
            return self.too_old_at, GivenUpBy.PLATFORM_AGE
        return self.window_ends_at, GivenUpBy.WINDOW


@dataclass(frozen=True, slots=True)
class Flow:
    """What came to a destination and left it in ``seconds`` of late. ``acknowledged``: of what left, what was delivered."""

    seconds: float
    arrived: int
    left: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Standing:
    """``last_delivered_at``: to the minute. ``per_minute``: deliveries acknowledged a minute of late.

    Of what waits: since when the oldest does, when the first of it is given up and why. ``empty_at`` None: nothing waits,
    or it does not drain at this pace.
    """

    last_delivered_at: datetime | None
    per_minute: float
    waiting_since: datetime | None
    deadline: datetime | None
    given_up_by: GivenUpBy | None
    empty_at: datetime | None


def judge_standing(
    state: DestinationState,
    waiting: int,
    oldest: Sequence[Waiting],
    flow: Flow,
    last_delivered_at: datetime | None,
    now: datetime,
) -> Standing:
    """``oldest``: of the ``waiting`` deliveries those that wait longest and are due first, in any order."""
    first = min((one.deadline for one in oldest), default=None)
    drains = flow.left - flow.arrived
    empty_at = None
    if waiting > 0 and drains > 0 and flow.seconds > 0 and state is DestinationState.ACTIVE:
        seconds = waiting * flow.seconds / drains
        empty_at = now + timedelta(seconds=seconds) if seconds < LONGEST_FORECAST else None
    return Standing(
        last_delivered_at,
        flow.acknowledged * 60 / flow.seconds if flow.seconds > 0 else 0.0,
        min((one.since for one in oldest), default=None),
        first[0] if first else None,
        first[1] if first else None,
        empty_at,
    )


LONGEST_FORECAST = timedelta(days=30).total_seconds()  # what would take longer does not drain
