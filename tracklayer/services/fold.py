"""Folds the counters, a bounded number of rows at a time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from tracklayer.db import coverage_folding
from tracklayer.db import folding as db
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.db.folding import Whose
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone, is_everybodys, tell_fault

SLOTS_AFTER = timedelta(minutes=10)  # by then few backends still count in that minute
HOURS_AFTER = timedelta(days=35)  # the monitors learn from the minutes of four weeks
HOURS_LOOK_BACK = timedelta(days=3)  # however long no scheduler ran, the rest is merely larger
FORGET_AFTER = timedelta(days=400)  # more than the longest retention: nothing that was counted there is left
COVERAGE_HOURS_AFTER = timedelta(days=2)  # of what events carry and what is refused: nobody reads older minutes
NAMES_FORGET_AFTER = timedelta(days=35)  # the monitors learn from four weeks
PAGE = 2000
BUDGET_SECONDS = 6  # of each step


def fold_counters(runtime: Runtime) -> int:
    """One round; how many rows were taken up. Safe with any number of callers: one of them does it.

    Each step has its own time, so that a large backlog of one keeps no other from its turn, and a merchant whose
    counters cannot be added up is left out.
    """
    now = runtime.clock.now()
    hours_before = (now - HOURS_AFTER).replace(minute=0, second=0, microsecond=0)
    since = hours_before - HOURS_LOOK_BACK
    slots_before = now - SLOTS_AFTER

    folded = _fold(
        runtime,
        lambda whose: db.fold_slots(slots_before, hours_before, PAGE, whose),
        lambda without: db.merchants_with_slots(slots_before, PAGE, without),
    )
    folded += _fold(
        runtime,
        lambda whose: db.fold_hours(since, hours_before, PAGE, whose),
        lambda without: db.merchants_with_minutes(since, hours_before, PAGE, without),
    )
    for table in coverage_folding.KEYS:
        folded += _fold_coverage(runtime, table, now)
    for what, step in (
        ("forgetting old counters", lambda: db.forget_minutes(now - FORGET_AFTER, PAGE)),
        ("folding queues", lambda: db.fold_queues(PAGE)),
        ("forgetting what events carried", lambda: coverage_folding.forget("coverage", now - FORGET_AFTER, PAGE)),
        ("forgetting what was refused", lambda: coverage_folding.forget("rejections", now - FORGET_AFTER, PAGE)),
        ("forgetting names", lambda: coverage_folding.forget("name_minutes", now - NAMES_FORGET_AFTER, PAGE)),
    ):
        with alone(runtime, what):
            folded += _pages(step)
    return folded


def _fold_coverage(runtime: Runtime, table: str, now: datetime) -> int:
    slots_before, names_since = now - SLOTS_AFTER, now - NAMES_FORGET_AFTER
    hours_before = (now - COVERAGE_HOURS_AFTER).replace(minute=0, second=0, microsecond=0)
    folded = _fold(
        runtime,
        lambda whose: coverage_folding.fold_slots(table, slots_before, hours_before, names_since, PAGE, whose),
        lambda without: coverage_folding.merchants_with_slots(table, slots_before, PAGE, without),
    )
    return folded + _fold(
        runtime,
        lambda whose: coverage_folding.fold_hours(table, hours_before, PAGE, whose),
        lambda without: coverage_folding.merchants_with_minutes(table, hours_before, PAGE, without),
    )


def _fold(runtime: Runtime, fold: Callable[[Whose], int], concerned: Callable[[Sequence[int]], list[int]]) -> int:
    """Pages of all merchants; where one fails, each merchant of it alone, and without those it fails for."""
    folded = 0
    broken: list[int] = []

    def page() -> int:
        return fold(Whose(without=tuple(broken)))

    try:
        return _pages(page)
    except Exception as error:
        if is_everybodys(error):
            raise
        tell_fault(runtime, "folding counters", error)
    with in_transaction():
        merchant_ids = concerned(broken)
    ends = time.monotonic() + BUDGET_SECONDS
    for merchant_id in merchant_ids:
        if time.monotonic() > ends:
            break
        before = len(broken)
        broken.append(merchant_id)
        with alone(runtime, f"folding counters of merchant {merchant_id}"):
            folded += _pages(functools.partial(fold, Whose(only=(merchant_id,))))
            del broken[before:]
    with alone(runtime, "folding the other counters"):
        folded += _pages(page)
    return folded


def _pages(step: Callable[[], int]) -> int:
    """Page after page until one is not full, or the time is over; how many rows. Each in its own transaction."""
    ends = time.monotonic() + BUDGET_SECONDS
    folded, taken = 0, PAGE
    while taken >= PAGE and time.monotonic() < ends:
        with in_transaction(), statements_within(LONG_SECONDS):
            if not db.lock_folding():
                return folded
            taken = step()
        folded += taken
    return folded
