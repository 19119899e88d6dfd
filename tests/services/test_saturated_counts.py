"""More refused events than a count can hold are the most that it holds: nothing fails, and nobody else's counts wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio.to_thread
import pytest

from tests.factories import Api, Merchant, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.counters import MOST, MOST_OF_MINUTE
from tracklayer.domain.ledger import bucket_of
from tracklayer.runtime import Runtime
from tracklayer.services.fold import fold_counters
from tracklayer.services.invariants import check_invariants
from tracklayer.services.turned_away import write_turned_away

pytestmark = pytest.mark.anyio
MANY = 1_200_000_000
MINUTE = timedelta(minutes=1)
LEDGER = """query($since: DateTime!, $until: DateTime!, $bucket: LedgerBucket) {
  ledger(since: $since, until: $until, bucket: $bucket) { rows { eventsRejected } whole { eventsRejected } }
  rejections(since: $since, until: $until) { count } }"""


def write(merchant_id: int, at: Any, slot: int, events: int) -> None:
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, rejected) VALUES (%s, '', %s, %s, %s)",
            (merchant_id, at, slot, events),
        )
        execute("INSERT INTO rejections VALUES (%s, %s, '', 'X', '', %s, %s)", (merchant_id, at, slot, events))


def stored(table: str, column: str, merchant_id: int) -> list[int]:
    with in_transaction():
        found = rows(f"SELECT {column} FROM {table} WHERE merchant_id = %s ORDER BY 1", (merchant_id,))
    return [row[0] for row in found]


@pytest.mark.parametrize("bucket", ["HOUR", "DAY"])
async def test_counts_beyond_any_are_read_and_folded(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, bucket: str
) -> None:
    other = await anyio.to_thread.run_sync(lambda: new_merchant(runtime, name="Other"))
    day = bucket_of(clock.now(), "day")
    hour = bucket_of(clock.now() - timedelta(hours=1), "hour")
    clock.move(timedelta(days=1))

    def counted() -> None:
        for minute in range(60):
            for slot in (7, 8):
                write(merchant.merchant_id, hour + minute * MINUTE, slot, MANY)
        write(other.merchant_id, hour, 7, 3)

    async def told() -> tuple[int, int, int]:
        found = await api(LEDGER, since=day.isoformat(), until=(day + timedelta(days=1)).isoformat(), bucket=bucket)
        ledger = found["ledger"]
        return (
            ledger["rows"][0]["eventsRejected"],
            ledger["whole"][0]["eventsRejected"],
            found["rejections"][0]["count"],
        )

    await anyio.to_thread.run_sync(counted)
    assert await told() == (MOST, MOST, MOST)
    await anyio.to_thread.run_sync(fold_counters, runtime)
    assert stored("minutes", "rejected", other.merchant_id) + stored("ledger_hours", "rejected", other.merchant_id)
    assert stored("ledger_hours", "rejected", merchant.merchant_id) == [60 * MOST_OF_MINUTE]
    assert stored("rejections", "events", merchant.merchant_id) == [MOST] * 60
    assert await told() == (60 * MOST_OF_MINUTE, 60 * MOST_OF_MINUTE, MOST)
    await anyio.to_thread.run_sync(lambda: write(merchant.merchant_id, hour, 9, MANY))  # late
    clock.move(timedelta(days=3))
    for _ in range(3):
        await anyio.to_thread.run_sync(fold_counters, runtime)
    assert await told() == (61 * MOST_OF_MINUTE, 61 * MOST_OF_MINUTE, MOST)
    assert await anyio.to_thread.run_sync(check_invariants, clock.now()) == []


async def test_what_is_added_to_a_count_that_holds_no_more_is_no_error(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    other = await anyio.to_thread.run_sync(lambda: new_merchant(runtime, name="Other"))
    minute = int(clock.now().timestamp()) // 60

    def refuse() -> None:
        for merchant_id in (merchant.merchant_id, other.merchant_id):
            for _ in range(2):
                runtime.counting.turned_away.add((merchant_id, minute, "FORBIDDEN", "request"), MANY)
        write_turned_away(runtime)

    def nearly() -> None:
        with in_transaction():
            for table, column in (("minutes", "rejected"), ("rejections", "events")):
                execute(f"UPDATE {table} SET {column} = %s WHERE merchant_id = %s", (MOST - 1, merchant.merchant_id))

    for step in (refuse, nearly, refuse):
        await anyio.to_thread.run_sync(step)
    for table, column in (("minutes", "rejected"), ("rejections", "events")):
        assert stored(table, column, merchant.merchant_id)[-1] >= MOST - 1
        assert sum(stored(table, column, other.merchant_id)) == 2_000_000
