"""Posts what webhooks and channels are due, as the watchman does, and waits for it."""

from __future__ import annotations

import time
from datetime import timedelta

from tracklayer.runtime import Runtime
from tracklayer.services.post import LOOK_SECONDS, RUN, InHand, begin_due


def post_due(runtime: Runtime, budget: timedelta = RUN) -> int:
    """Sends what is due, and what becomes due meanwhile, until nothing is in hand or the time is over; how many were begun."""
    in_hand = InHand()
    ends = time.monotonic() + budget.total_seconds()
    while time.monotonic() < ends:
        begin_due(runtime, in_hand)
        if not in_hand.threads:
            break
        in_hand.wait(LOOK_SECONDS)
    return in_hand.begun
