"""The ledger's hours are the sums of what is folded, whoever folds, and whatever is folded again or forgotten."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

from tests.factories import Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db import folding, packing
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.ledger import LEDGER_OF, ledger
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.privacy import purge_expired

HOURS_KEPT = import_module("tracklayer.db.migrations.0034_ledger_hours")
MIGRATION = import_module("tracklayer.db.migrations.0043_reasons")
COLUMNS = ", ".join(MIGRATION.COUNTS)
HOURS = f"""SELECT platform, hour, {COLUMNS}, (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(drop_reasons)
    WHERE value <> '0'), latency FROM ledger_hours ORDER BY platform, hour"""
RECOUNT = f"""SELECT platform, date_trunc('hour', minute, 'UTC') AS hour,
    {", ".join(f"sum({name})" for name in MIGRATION.COUNTS)},
    (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(sum_counts(drop_reasons)) WHERE value <> '0'),
    nullif(sum_counts(latency), '{{}}')
    FROM (SELECT platform, minute, {COLUMNS}, drop_reasons, latency FROM counted
          EXCEPT ALL SELECT platform, minute, {COLUMNS}, drop_reasons, latency FROM minutes WHERE slot <> 0) AS folded
    GROUP BY platform, 2 ORDER BY platform, 2"""


def hours() -> list[tuple[Any, ...]]:
    with in_transaction():
        found = rows(HOURS)
        assert found == rows(RECOUNT)
    return found


def some_hours(runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int) -> None:
    for hour in range(3):
        for number in range(4):
            name = "Refund" if number == 3 else "Purchase"
            event = draft(f"order_{hour}_{number}", event_name=name, occurred_at=clock.now().isoformat())
            ingest_events(runtime, merchant.holder, [event])
            clock.move(timedelta(minutes=7))
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
        clock.move(timedelta(minutes=32))
    clock.move(timedelta(minutes=20))


def test_what_is_folded_is_added_to_its_hour(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    some_hours(runtime, merchant, clock, worker)
    assert hours() == []
    fold_counters(runtime)
    found = hours()
    assert [(row[0], row[2]) for row in found if row[2]] == [
        ("", 4),
        ("", 4),
        ("", 4),
        ("meta", 4),
        ("meta", 4),
        ("meta", 4),
    ]
    fold_counters(runtime)
    assert hours() == found


def test_minutes_that_become_hours_change_no_hour(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    some_hours(runtime, merchant, clock, worker)
    fold_counters(runtime)
    found = hours()
    clock.move(timedelta(days=36))
    fold_counters(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes WHERE extract(minute FROM minute) <> 0") == [(0,)]
    assert hours() == found


def test_what_changes_later_is_added_when_it_is_folded_and_read_before(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    begin = clock.now()
    some_hours(runtime, merchant, clock, worker)
    fold_counters(runtime)
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 12
    for _ in range(2):
        with in_transaction():
            found = ledger(merchant.merchant_id, begin, begin + timedelta(hours=4), "hour")
        assert [row.purged for row in found if row.platform is None] == [4, 4, 4]
        clock.move(timedelta(minutes=15))
        fold_counters(runtime)
        hours()


def test_hours_are_forgotten_with_their_minutes(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    some_hours(runtime, merchant, clock, worker)
    fold_counters(runtime)
    with in_transaction():
        folding.forget_minutes(clock.now() + timedelta(days=1), 1000)
        packing.pack_hours(clock.now(), 1000, folding.EVERYBODY)  # by then no hour is kept by the minute
        packing.forget_hours(clock.now() + timedelta(days=1), 1000)
        assert rows("SELECT count(*) FROM ledger_hours WHERE accepted <> 0 OR routed <> 0") == [(0,)]
        assert rows("SELECT count(*) FROM ledger_hours WHERE platform = ''") == [(0,)]


def test_what_was_counted_before_the_hours_were_kept_is_in_them(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    some_hours(runtime, merchant, clock, worker)
    with in_transaction():  # of that version, too: it knows of nothing packed
        execute("INSERT INTO heartbeats VALUES ('old', 'api', 'a', '1', now(), now(), NULL, '{}')")
    fold_counters(runtime)
    found = hours()
    with in_transaction():
        execute("DELETE FROM ledger_hours")
        execute(HOURS_KEPT.FILL)
        execute(MIGRATION.FILL)
    assert hours() == found


def test_the_ledger_of_weeks_reads_hours_and_what_is_not_folded_yet(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    some_hours(runtime, merchant, clock, worker)
    params: Any = {
        "merchant": merchant.merchant_id,
        "since": clock.now() - timedelta(days=30),
        "until": clock.now(),
        "bucket": "day",
    }
    params |= {"first": params["since"], "last": params["until"]}
    with in_transaction():
        # As many minutes that are folded as there are in weeks, and others' that are not: the planner must have seen them, whatever it saw before.
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot) "
            "SELECT %s, '', %s::timestamptz + n * interval '5 minutes', 0 FROM generate_series(1, 5000) AS n",
            (merchant.merchant_id, params["since"]),
        )
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot) "
            "SELECT %s + n, '', %s::timestamptz - n * interval '1 minute', 1 FROM generate_series(1, 5000) AS n",
            (merchant.merchant_id, params["until"]),
        )
        execute("ANALYZE minutes, ledger_hours")
        execute("SET LOCAL enable_seqscan = off")
        (plan,) = rows(f"EXPLAIN (FORMAT JSON) {LEDGER_OF['day']}", params)[0]
    used = set()
    todo = [plan[0]["Plan"]]
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        used.add(node.get("Index Name"))
    assert {"ledger_hours_pkey", "minutes_counting"} <= used, used
