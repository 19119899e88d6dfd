"""Folds the counters, a bounded number of rows at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from tracklayer.db import folding as db
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.runtime import Runtime

SLOTS_AFTER = timedelta(minutes=10)  # by then few backends still count in that minute
HOURS_AFTER = timedelta(days=35)  # the monitors learn from the minutes of four weeks
HOURS_LOOK_BACK = timedelta(days=3)  # however long no scheduler ran, the rest is merely larger
FORGET_AFTER = timedelta(days=400)  # more than the longest retention: nothing that was counted there is left
PAGE = 2000
BUDGET_SECONDS = 20


def fold_counters(runtime: Runtime) -> int:
    """One round; how many rows were taken up. Safe with any number of callers: one of them does it."""
    now = runtime.clock.now()
    hours_before = (now - HOURS_AFTER).replace(minute=0, second=0, microsecond=0)
    steps: list[Callable[[], int]] = [
        lambda: db.fold_slots(now - SLOTS_AFTER, hours_before, PAGE),
        lambda: db.fold_hours(hours_before - HOURS_LOOK_BACK, hours_before, PAGE),
        lambda: db.forget_minutes(now - FORGET_AFTER, PAGE),
        lambda: db.fold_queues(PAGE),
    ]
    ends = time.monotonic() + BUDGET_SECONDS
    folded = 0
    for step in steps:
        taken = PAGE
        while taken >= PAGE and time.monotonic() < ends:
            with in_transaction(), statements_within(LONG_SECONDS):
                if not db.lock_folding():
                    return folded
                taken = step()
            folded += taken
    return folded
