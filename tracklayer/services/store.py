"""Keeps what waits and what was delivered apart (db/delivered.py): when that may begin, moves what was delivered before, makes the
partitions that will be needed and drops those of which nothing is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tracklayer.db import delivered as db
from tracklayer.db import heartbeats
from tracklayer.db import merchants as db_merchants
from tracklayer.db import schedule as db_schedule
from tracklayer.db.connection import LONG_SECONDS, answers_within, in_transaction, statements_within
from tracklayer.db.delivered import Place
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone

log = logging.getLogger(__name__)

# Names of places that are kept (db/schedule.py).
BACK = "delivered is moved back"  # set: nothing is put into delivered until it is taken away
MOVING = "delivered is moved"  # "<merchant id> <instant>": behind which merchant, and in its list behind what
PARTITIONS = "partitions of delivered"  # when they were looked at last
_DONE = "done"  # instead of a merchant id

STEP = timedelta(milliseconds=100)  # a step that took longer is followed by a smaller one
BATCH, SMALLEST, LARGEST = 500, 20, 2000  # rows that one step looks at
BUDGET = timedelta(seconds=20)  # of one run
AGAIN = timedelta(days=1)  # after a round that came to its end: a straggler may have written in place
LOOK_AGAIN = timedelta(hours=1)  # at the partitions
NOBODY_ADDS = timedelta(days=2)  # after a partition's time: more than clocks differ, and than an answer is kept
MERCHANTS = 1000
BACK_PAUSE = timedelta(seconds=30)  # until all processes have seen with a heartbeat that nothing is to be put apart


def may_keep_apart(seconds: float) -> bool:
    """Whether all processes that live, or may come back, read both places, within so many seconds. Raises DatabaseAwayError."""
    with in_transaction(), answers_within(seconds):
        return _may_keep_apart()


def _may_keep_apart() -> bool:
    return heartbeats.all_say(heartbeats.READS_DELIVERED) and db_schedule.place_of(BACK) is None


def move_delivered(runtime: Runtime, budget: timedelta = BUDGET) -> int:
    """Moves what was delivered in place to where such things lie; how many. Merchant by merchant, of each the newest first.

    In steps of 100 ms, each a transaction, with rests as long as those. Killed at any point, the next run goes on where it
    stopped. Nothing is moved while a process lives that would not find it.
    """
    now, ends = runtime.clock.now(), time.monotonic() + budget.total_seconds()
    with in_transaction():
        if not _may_keep_apart():
            return 0
        place = db_schedule.place_of(MOVING) or "0"
    first, _, at = place.partition(" ")
    if first == _DONE:
        if datetime.fromisoformat(at) > now - AGAIN:
            return 0
        first, at = "0", ""
    after, begun = int(first), datetime.fromisoformat(at) if at else None
    moved = 0
    while True:
        with in_transaction():
            page = db_merchants.page_of_merchants(after, MERCHANTS)
        for merchant_id, _ in page:
            # What was queued at the same time as the last is looked at again: no event's id is kept.
            start = Place(begun + timedelta(microseconds=1) if begun is not None else datetime.max.replace(tzinfo=UTC))
            begun = None
            with alone(runtime, f"moving what was delivered for merchant {merchant_id}"):
                gone, at_end = _move_of(merchant_id, after, start, now, ends)
                moved += gone
                if not at_end:
                    return moved
            after = merchant_id
        if len(page) < MERCHANTS:
            with in_transaction():
                db_schedule.set_place(MOVING, f"{_DONE} {now.isoformat()}")
            return moved


def _move_of(merchant_id: int, before: int, start: Place, now: datetime, ends: float) -> tuple[int, bool]:
    """(how many of a merchant's were moved, whether that is all). ``before``: the merchant before it."""
    place: Place | None = start
    moved = 0

    def step(limit: int) -> int:
        nonlocal place, moved
        assert place is not None
        if not _may_keep_apart():
            return 0
        gone, following = db.move(merchant_id, place, limit, now)
        at = f"{before} {following.queued_at.isoformat()}" if following is not None else str(merchant_id)
        db_schedule.set_place(MOVING, at)
        moved, place = moved + gone, following
        return limit if following is not None else 0

    _in_steps(step, ends)
    return moved, place is None and time.monotonic() < ends


def _in_steps(step: Callable[[int], int], ends: float) -> None:
    """Transaction by transaction until ``step``, told how many rows at most, took fewer, or the time is over."""
    limit = BATCH
    while True:
        began = time.monotonic()
        with in_transaction(), statements_within(LONG_SECONDS):
            taken = step(limit)
        took = time.monotonic() - began
        if taken < limit or time.monotonic() > ends:
            return
        limit = max(SMALLEST, limit // 2) if took > STEP.total_seconds() else min(LARGEST, limit * 2)
        time.sleep(took)


def see_to_partitions(runtime: Runtime, budget: timedelta = BUDGET) -> None:
    """Makes the partitions that may be needed in the next months, and drops those whose time is over, once they are empty.

    Rows that are kept for longer than their partition, as their merchant's retention was made longer, are moved to another. It
    looks once an hour. A table that is busy is left alone until then.
    """
    now, ends = runtime.clock.now(), time.monotonic() + budget.total_seconds()
    today = now.astimezone(UTC).date()
    with in_transaction():
        looked_at = db_schedule.place_of(PARTITIONS)
        if looked_at is not None and datetime.fromisoformat(looked_at) > now - LOOK_AGAIN:
            return
        db_schedule.set_place(PARTITIONS, now.isoformat())
        wanted, there = db.missing(today), db.partitions()
    for gone_by in wanted:
        with alone(runtime, f"making the partition of deliveries whose retention ends by {gone_by}"), in_transaction():
            if not db.make_partition(gone_by):
                log.warning(
                    "deliveries whose retention ends by %s lie in delivered_otherwise, as their partition was missing: no "
                    "scheduler or worker has run for months; they are read and purged as all others",
                    gone_by,
                )
    for one in there:
        if one.gone_by is None or one.gone_by > today - NOBODY_ADDS:
            continue
        with alone(runtime, f"dropping the partition {one.name}"):
            _in_steps(lambda limit, one=one: db.rehome(one, today, limit), ends)  # type: ignore[misc]
            with in_transaction(), statements_within(LONG_SECONDS):
                is_empty = db.is_empty(one)
            if is_empty:
                with in_transaction():
                    db.drop_partition(one)
                log.info("dropped the empty partition %s", one.name)


def move_back(pause: timedelta = BACK_PAUSE) -> tuple[int, int]:
    """Puts all that is in ``delivered`` back where a version before looks for it, and nothing new there: (how many were moved,
    how many partitions still have some).

    Processes of this version may run meanwhile: they go by what their heartbeats find, which ``pause`` waits for. May be called
    again, also where it was ended.
    """
    with in_transaction():
        db_schedule.set_place(BACK, "yes")
        db_schedule.set_place(MOVING, None)
        there = db.partitions()
    time.sleep(pause.total_seconds())
    moved = 0
    for one in there:
        while True:
            with in_transaction(), statements_within(LONG_SECONDS):
                gone = db.move_back(one, BATCH)
            moved += gone
            if not gone:
                break
    with in_transaction(), statements_within(LONG_SECONDS):
        return moved, sum(not db.is_empty(one) for one in there)


def keep_apart_again() -> None:
    """After ``move_back``: from now on what is delivered is put apart again."""
    with in_transaction():
        db_schedule.set_place(BACK, None)
