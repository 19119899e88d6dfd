"""Counters of what events carry and what is refused become few rows, and say the same, beside an older version's processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.coverage_folding import FOLD_HOURS, FOLD_SLOTS
from tracklayer.runtime import Runtime
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def old_process(database: str) -> None:
    """While one lives, nothing becomes lists (test_packed_lists.py)."""
    with in_transaction():
        execute("INSERT INTO heartbeats VALUES ('old', 'api', 'a', '1', now(), now(), NULL, '{}')")


def select(sql: str) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql)


def write(minutes: list[datetime], slot: int, events: int = 1) -> None:
    with in_transaction():
        for minute in minutes:
            execute(
                "INSERT INTO coverage VALUES (1, 'Purchase', %s, 'website', 'shop', 3, %s, %s)", (minute, slot, events)
            )
            execute(
                "INSERT INTO rejections VALUES (1, %s, 'Purchase', 'REQUIRED', 'email', %s, %s)", (minute, slot, events)
            )
            execute("INSERT INTO enriched_facts VALUES (1, 'Purchase', %s, 3, %s, %s)", (minute, slot, events))
            execute("INSERT INTO refused_names VALUES (1, 'meta', 'Purchase', %s, %s, %s)", (minute, slot, events))


def test_slots_become_one_row_and_the_minutes_of_a_name_are_noted(runtime: Runtime, clock: FrozenClock) -> None:
    now = clock.now()
    old, fresh = now - 11 * MINUTE, now - 9 * MINUTE
    for slot in (7, 8, 9):
        write([old, fresh], slot, events=2)
    fold_counters(runtime)
    for table in ("coverage", "rejections", "enriched_facts", "refused_names"):
        found = select(f"SELECT minute, slot, events FROM {table} ORDER BY minute, slot")
        assert found == [(old, 0, 6), *((fresh, slot, 2) for slot in (7, 8, 9))]
    assert select("SELECT * FROM name_minutes") == [(1, "Purchase", old, 6)]
    write([old], 7, events=1)  # a backend that was late
    fold_counters(runtime)
    assert select("SELECT events FROM coverage WHERE slot = 0") == [(7,)]
    assert select("SELECT events FROM name_minutes") == [(7,)]


def test_minutes_become_hours_after_two_days_and_go_after_all_retention(runtime: Runtime, clock: FrozenClock) -> None:
    hour = clock.now()
    assert hour.minute == 0
    write([hour + n * MINUTE for n in range(60)], 7)
    expected = {1: (60, 60, 60), 3: (1, 60, 60), 36: (1, 60, 0), 401: (0, None, 0)}
    for days, (count, events, minutes) in expected.items():
        clock.move(hour + timedelta(days=days, hours=1) - clock.now())
        fold_counters(runtime)
        for table in ("coverage", "rejections", "enriched_facts"):
            assert select(f"SELECT count(*), sum(events) FROM {table}") == [(count, events)]
        assert select("SELECT count(*) FROM name_minutes") == [(minutes,)]
        of_names = (count, events) if days < 36 else (0, None)
        assert select("SELECT count(*), sum(events) FROM refused_names") == [of_names]


def test_what_nobody_folded_for_days_becomes_hours_at_once_and_its_minutes_are_known(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    start = clock.now()
    for n in range(3):
        ingest_events(runtime, merchant.holder, [draft(f"order_{n}"), draft(f"bad_{n}", custom_data={"currency": "x"})])
        clock.move(7 * MINUTE)
    clock.move(5 * DAY)
    fold_counters(runtime)
    assert select("SELECT minute, slot, events FROM coverage") == [(start, 0, 3)]
    assert select("SELECT minute, slot, events, code FROM rejections") == [(start, 0, 3, "INVALID_CURRENCY")]
    assert select("SELECT minute FROM name_minutes ORDER BY 1") == [(start + n * 7 * MINUTE,) for n in range(3)]


def test_the_minutes_of_an_age_are_found_by_their_index(runtime: Runtime, clock: FrozenClock) -> None:
    since = clock.now() - 3 * DAY
    with in_transaction():
        execute(
            "INSERT INTO coverage SELECT m, 'Purchase', %s + i * interval '1 hour', 'website', '', i, 0, 1 "
            "FROM generate_series(1, 100) AS m, generate_series(1, 72) AS i",
            (since,),
        )
        execute("ANALYZE coverage")
        params: Any = {
            "before": clock.now(),
            "hours_before": clock.now() - 2 * DAY,
            "names_since": since,
            "limit": 100,
            "only": None,
            "without": [],
        }
        for sql, index in ((FOLD_SLOTS["coverage"], "coverage_unfolded"), (FOLD_HOURS["coverage"], "coverage_minutes")):
            (plan,) = rows(f"EXPLAIN (FORMAT JSON) {sql}", params)[0]
            assert index in str(plan)
