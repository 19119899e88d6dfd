"""Folds the counters, a bounded number of rows at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import orjson

from tracklayer.db import coverage_folding, heartbeats, packed_lists, packing
from tracklayer.db import folding as db
from tracklayer.db import schedule as db_schedule
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.db.counters import KEPT_BY_MINUTE
from tracklayer.db.folding import EVERYBODY, Whose
from tracklayer.db.packed_lists import Lists
from tracklayer.db.packing import Place
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone, is_everybodys, tell_fault
from tracklayer.services.merchants import RETENTION_DAYS

SLOTS_AFTER = timedelta(minutes=10)  # by then few backends still count in that minute
HOURS_AFTER = KEPT_BY_MINUTE
HOURS_LOOK_BACK = timedelta(days=3)  # however long no scheduler ran, the rest is merely larger
FORGET_AFTER = timedelta(days=max(RETENTION_DAYS)) + KEPT_BY_MINUTE  # nothing that was counted there is left
COVERAGE_HOURS_AFTER = timedelta(days=2)  # of what events carry and what is refused: nobody reads older minutes
WORTH_FORGET_AFTER = timedelta(days=2)  # alerts look back for a day
NAMES_FORGET_AFTER = KEPT_BY_MINUTE
PAGE = 2000  # rows of one transaction; what took longer than ``STEP`` is followed by a smaller one, down to a twentieth
PAGE_OF_HOURS = 200  # of packing: an hour has up to sixty rows
STEP = 0.1  # seconds
BUDGET_SECONDS = 20  # of one round
ALONE_SECONDS = 6  # of a step whose rows cannot be added up, for those of each merchant alone
HOURS_ROUND, HOURS_AGAIN = "fold hours", timedelta(hours=3)  # for another process's clock, and an older version


@dataclass
class _Step:
    """``fold(limit, whose)`` takes up so many rows at most, and tells how many.

    And whether there may be more, where that is not whether it found its limit. ``concerned(without)``: merchants that have
    some, where rows can be taken up by merchant. ``done`` is called when there are no more.
    """

    what: str
    fold: Callable[[int, Whose], int | tuple[int, bool]]
    concerned: Callable[[Sequence[int]], list[int]] | None = None
    done: Callable[[], None] | None = None
    largest: int = PAGE
    limit: int = field(init=False)

    def __post_init__(self) -> None:
        self.limit = self.largest // 8

    def page(self, whose: Whose = EVERYBODY) -> tuple[int, bool]:
        """(how many rows were taken up, whether there are more). A transaction of its own."""
        began, limit = time.monotonic(), self.limit
        with in_transaction(), statements_within(LONG_SECONDS):
            if not db.lock_folding():
                return 0, False
            found = self.fold(limit, whose)
            taken, more = found if isinstance(found, tuple) else (found, found >= limit)
            if not more and self.done is not None and whose is EVERYBODY:
                self.done()
        took = time.monotonic() - began
        if took > STEP:
            self.limit = max(self.largest // 20, limit // 2)
        elif took < STEP / 2:
            self.limit = min(self.largest, limit * 2)
        return taken, more


def fold_counters(runtime: Runtime) -> int:
    """One round; how many rows were taken up. Safe with any number of callers: one of them does it.

    The steps take turns, a page each, and each has one, however soon the time is over: so a large backlog of one keeps no
    other waiting. A merchant whose counters cannot be added up is left out.
    """
    ends = time.monotonic() + BUDGET_SECONDS
    steps = deque(_steps(runtime.clock.now()))
    folded, first_turns = 0, len(steps)
    while steps and (first_turns > 0 or time.monotonic() < ends):
        step = steps.popleft()
        first_turns -= 1
        try:
            taken, more = step.page()
        except Exception as error:
            if is_everybodys(error):
                raise
            tell_fault(runtime, step.what, error)
            taken, more = _each_alone(runtime, step), False
        folded += taken
        if more:
            steps.append(step)
    return folded


def _steps(now: datetime) -> Iterator[_Step]:
    hours_before, slots_before = hours_end(now), now - SLOTS_AFTER
    yield _Step(
        "folding counters",
        lambda limit, whose: db.fold_slots(slots_before, hours_before, limit, whose, now),
        lambda without: db.merchants_with_slots(slots_before, PAGE, without),
    )
    with in_transaction():
        place = db_schedule.place_of(HOURS_ROUND)
    if place is None or datetime.fromisoformat(place) < hours_before:  # once an hour there is another one
        since = hours_before - HOURS_LOOK_BACK
        if place is not None:
            since = max(since, datetime.fromisoformat(place) - HOURS_AGAIN)
        yield _Step(
            "folding counters",
            lambda limit, whose: db.fold_hours(since, hours_before, limit, whose),
            lambda without: db.merchants_with_minutes(since, hours_before, PAGE, without),
            lambda: db_schedule.set_place(HOURS_ROUND, hours_before.isoformat()),
        )
    yield from _steps_of_packing(now)
    with in_transaction():
        has_lists = heartbeats.all_say(heartbeats.READS_LISTS)
    for table in coverage_folding.KEYS:
        yield from _steps_of_coverage(table, now, has_lists and table in packed_lists.OF_ROWS)
    for lists in packed_lists.OF_ROWS.values():
        if has_lists:
            yield from _steps_of_lists(lists, now)
        yield _Step("forgetting old lists", partial(_forget_lists, lists, now - _kept(lists)))
    yield _Step("forgetting old counters", lambda limit, _: db.forget_minutes(now - FORGET_AFTER, limit))
    yield _Step("forgetting old counters", lambda limit, _: packing.forget_hours(now - FORGET_AFTER, limit))
    yield _Step("folding queues", lambda limit, _: db.fold_queues(limit))
    for what, table, after in (
        ("forgetting what events carried", "coverage", FORGET_AFTER),
        ("forgetting what events were given", "enriched_facts", FORGET_AFTER),
        ("forgetting what was refused", "rejections", FORGET_AFTER),
        ("forgetting what refused sales are worth", "refused_worth", WORTH_FORGET_AFTER),
        ("forgetting names", "name_minutes", NAMES_FORGET_AFTER),
        ("forgetting refused names", "refused_names", NAMES_FORGET_AFTER),
        ("forgetting unsent names", "unsent_names", NAMES_FORGET_AFTER),
    ):
        yield _Step(what, partial(_forget, table, now - after))


def _forget(table: str, before: datetime, limit: int, _: Whose) -> int:
    return coverage_folding.forget(table, before, limit)


def _forget_lists(lists: Lists, before: datetime, limit: int, _: Whose) -> int:
    return packed_lists.forget(lists, before, limit)


def _kept(lists: Lists) -> timedelta:
    return NAMES_FORGET_AFTER if lists is packed_lists.NAME_DAYS else FORGET_AFTER


def hours_end(now: datetime) -> datetime:
    """What was counted before is kept by the hour."""
    return (now - HOURS_AFTER).replace(minute=0, second=0, microsecond=0)


def _steps_of_packing(now: datetime) -> Iterator[_Step]:
    with in_transaction():
        if not heartbeats.all_say(heartbeats.READS_COUNTED):
            return
    # By then few backends count in the hour; what they count is packed after it.
    before = (now - SLOTS_AFTER).replace(minute=0, second=0, microsecond=0)
    hours_before = hours_end(now)
    places: dict[Whose, Place] = {}  # what was packed in this round is not passed over again with each page

    def pack(limit: int, whose: Whose) -> int:
        packed, place = packing.pack(places.get(whose, Place(before)), limit, whose)
        places[whose] = place
        return packed

    yield _Step(
        "packing counters", pack, partial(packing.merchants_to_pack, before, PAGE_OF_HOURS), largest=PAGE_OF_HOURS
    )
    yield _Step(
        "packing counters",
        lambda limit, whose: packing.pack_hours(hours_before, limit, whose),
        partial(packing.merchants_by_minute, hours_before, PAGE_OF_HOURS),
        largest=PAGE_OF_HOURS,
    )


def _coverage_hours_end(now: datetime) -> datetime:
    return (now - COVERAGE_HOURS_AFTER).replace(minute=0, second=0, microsecond=0)


def _steps_of_coverage(table: str, now: datetime, has_lists: bool) -> Iterator[_Step]:
    slots_before, names_since = now - SLOTS_AFTER, now - NAMES_FORGET_AFTER
    hours_before = _coverage_hours_end(now)
    yield _Step(
        "folding counters",
        lambda limit, whose: coverage_folding.fold_slots(
            table, slots_before, hours_before, names_since, limit, whose, lists=has_lists
        ),
        lambda without: coverage_folding.merchants_with_slots(table, slots_before, PAGE, without),
    )
    if has_lists:
        return
    yield _Step(
        "folding counters",
        lambda limit, whose: coverage_folding.fold_hours(table, hours_before, limit, whose),
        lambda without: coverage_folding.merchants_with_minutes(table, hours_before, PAGE, without),
    )


def _steps_of_lists(lists: Lists, now: datetime) -> Iterator[_Step]:
    """Once an hour from merchant to merchant; a round goes on where the one before stopped."""
    before = _coverage_hours_end(now)
    if lists is packed_lists.NAME_DAYS:  # by the minute in either
        before = (now - SLOTS_AFTER).replace(minute=0, second=0, microsecond=0)
    name = f"list {lists.rows}"
    with in_transaction():
        stopped_at = db_schedule.place_of(name)
    began = packed_lists.BEGINNING
    if stopped_at is not None:
        until, *after = orjson.loads(stopped_at)
        if until == before.isoformat():
            if not after:
                return  # it came to the end
            began = after[0], after[1]
    places: dict[Whose, packed_lists.Place] = {EVERYBODY: began}

    def pack(limit: int, whose: Whose) -> tuple[int, bool]:
        place = places.get(whose) or (packed_lists.BEGINNING if whose.only else places[EVERYBODY])
        packed, reached = packed_lists.pack(lists, before, place, limit, whose)
        if reached is not None:
            places[whose] = reached
        if whose.only is None:
            db_schedule.set_place(name, orjson.dumps([before.isoformat(), *(reached or ())]).decode())
        return packed, reached is not None

    yield _Step(
        "packing lists",
        pack,
        lambda without: packed_lists.merchants_walked(lists, places[EVERYBODY], PAGE, without),
    )


def _each_alone(runtime: Runtime, step: _Step) -> int:
    """The rows of each merchant by themselves, where a page failed, then all but those of the merchants they fail for."""
    if step.concerned is None:
        return 0
    folded = 0
    broken: list[int] = []
    with in_transaction():
        merchant_ids = step.concerned(broken)
    ends = time.monotonic() + ALONE_SECONDS
    for merchant_id in merchant_ids:
        before = len(broken)
        broken.append(merchant_id)
        with alone(runtime, f"{step.what} of merchant {merchant_id}"):
            folded += _pages(step, Whose(only=(merchant_id,)), ends)
            del broken[before:]
    with alone(runtime, "folding the other counters"):
        folded += _pages(step, Whose(without=tuple(broken)), ends)
    return folded


def _pages(step: _Step, whose: Whose, ends: float) -> int:
    folded, more = 0, True
    while more and time.monotonic() < ends:
        taken, more = step.page(whose)
        folded += taken
    return folded
