"""Rows of one merchant that somebody holds cost that merchant's callers a clear 503, and nobody else anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.factories import INGEST, Api, Merchant, camel, draft, new_merchant
from tests.faults.proxy import FrozenProxy
from tests.sessions import other_session
from tracklayer.db.connection import DatabaseAwayError, in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services import group_commit as module
from tracklayer.services.ingest import Accepted, Coalesced
from tracklayer.services.intake import Intake
from tracklayer.services.waiting_room import TURN_EVENTS

EVENTS = "SELECT FROM events WHERE merchant_id = %s FOR UPDATE"
COUNTED = {
    "a counter": "SELECT FROM minutes WHERE merchant_id = %s FOR UPDATE",
    "a queue": "SELECT FROM queues WHERE merchant_id = %s FOR UPDATE",
}
COUNTS = pytest.mark.parametrize("count", [1, TURN_EVENTS], ids=["short calls", "long calls"])


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, no batch is taken for stuck."""
    monkeypatch.setattr(module, "SILENT_SECONDS", 60.0)


@pytest.fixture
async def intake(runtime: Runtime) -> AsyncIterator[Intake]:
    made = Intake(runtime, lambda _: None)
    yield made
    await made.close()


@pytest.fixture
def shops(runtime: Runtime) -> list[Merchant]:
    return [new_merchant(runtime, name=f"Shop {number}") for number in range(5)]


async def outcome(intake: Intake, shop: Merchant, *event_ids: str) -> str:
    try:
        found = await intake.ingest(shop.holder, [draft(event_id) for event_id in event_ids])
    except DatabaseAwayError as error:
        return type(error).__name__
    return " ".join(type(one).__name__ for one in found)


async def until_stored(intake: Intake, shop: Merchant, *event_ids: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if await outcome(intake, shop, *event_ids) != "LockedOutError":
                return
            await asyncio.sleep(0.02)


@COUNTS
async def test_events_of_one_merchant_that_somebody_holds_cost_its_own_callers_alone(
    intake: Intake, shops: list[Merchant], database: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    held = shops[2]
    before = [f"before_{number}" for number in range(count)]
    assert await outcome(intake, held, *before) == " ".join(["Accepted"] * count)
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(EVENTS, (held.merchant_id,))
        for turn in range(3):  # found out the first time, known the others
            after = [f"after_{turn}_{number}" for number in range(count - 1)]
            calls = [outcome(intake, shop, "before_0" if shop is held else f"{turn}", *after) for shop in shops]
            async with asyncio.timeout(30):
                found = await asyncio.gather(*calls)
            accepted = " ".join(["Accepted"] * count)
            assert found == [accepted, accepted, "LockedOutError", accepted, accepted]
            assert not intake.was_away
    await until_stored(intake, held, *before)
    told = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    merchant = f"merchant {held.merchant_id}"
    assert told == [
        f"{merchant}: rows of it are locked in the database, by a transaction that somebody left open perhaps; its events "
        "are refused (503) until they are free",
        f"{merchant}: its rows are free again",
    ]


@pytest.mark.parametrize("what", COUNTED)
@COUNTS
async def test_counters_of_one_merchant_that_somebody_holds_cost_nobody_else_anything_and_itself_little(
    intake: Intake, shops: list[Merchant], database: str, what: str, count: int
) -> None:
    """Each session counts in rows of its own: the one that met the lock makes way for another, once that is there."""
    held = shops[2]
    accepted = " ".join(["Accepted"] * count)
    assert await outcome(intake, held, *(f"before_{number}" for number in range(count))) == accepted
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(COUNTED[what], (held.merchant_id,))
        for turn in range(3):
            new = [f"new_{turn}_{number}" for number in range(count)]
            async with asyncio.timeout(30):
                found = await asyncio.gather(*(outcome(intake, shop, *new) for shop in shops))
            assert found[:2] + found[3:] == [accepted] * 4
            assert found[2] in (accepted, "LockedOutError")
            await until_stored(intake, held, *new)  # though they are still held
            assert not intake.was_away


async def test_however_many_merchants_are_locked_the_others_are_stored_on_the_session_there_is(
    runtime: Runtime, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 3600.0)
    shops = [new_merchant(runtime, name=f"Shop {number}") for number in range(24)]
    held, others = shops[:16], shops[16:]
    with FrozenProxy(database) as proxy:
        runtime.database_url = proxy.url
        intake = Intake(runtime, lambda _: None)
        await asyncio.gather(*(outcome(intake, shop, "a") for shop in shops))
        intake._short._renewed_at = time.monotonic()
        with other_session(database) as other, other.cursor() as cursor:
            cursor.execute(
                "SELECT FROM events WHERE merchant_id = ANY(%s) FOR UPDATE", ([one.merchant_id for one in held],)
            )
            opened = sum(b"PREPARE store_events" in packet for packet in proxy.sent)
            found = await asyncio.gather(*(outcome(intake, shop, "a") for shop in shops))
            assert found == ["LockedOutError"] * len(held) + ["Coalesced"] * len(others)
            assert sum(b"PREPARE store_events" in packet for packet in proxy.sent) == opened == 1
            short = [packet for packet in stores(proxy) if b"SET LOCAL lock_timeout" in packet]
            assert len(short) >= len(shops)
        await intake.close()


async def test_the_merchant_that_is_in_the_way_is_joined_with_nobody(
    runtime: Runtime, shops: list[Merchant], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCKED_SECONDS", 3600.0)
    with FrozenProxy(database) as proxy:
        runtime.database_url = proxy.url
        intake = Intake(runtime, lambda _: None)
        assert await outcome(intake, shops[0], "a") == "Accepted"
        with other_session(database) as other, other.cursor() as cursor:
            cursor.execute(EVENTS, (shops[0].merchant_id,))
            await asyncio.gather(*(outcome(intake, shop, "a") for shop in shops))
            began = len(stores(proxy))
            for turn in range(4):
                found = await asyncio.gather(*(outcome(intake, shop, f"b{turn}", "a") for shop in shops))
                assert found == ["LockedOutError", *["Accepted Coalesced"] * 4]
            assert len(stores(proxy)) - began == 4
        await intake.close()


async def test_where_nothing_is_locked_a_batch_of_many_merchants_is_one_statement(
    runtime: Runtime, shops: list[Merchant], database: str
) -> None:
    with FrozenProxy(database) as proxy:
        runtime.database_url = proxy.url
        intake = Intake(runtime, lambda _: None)
        await outcome(intake, shops[0], "first")
        before = len(proxy.sent)
        for turn in range(3):
            found = await asyncio.gather(*(outcome(intake, shop, f"{turn}") for shop in shops))
            assert found == ["Accepted"] * len(shops)
        assert len(proxy.sent) - before == 3
        await intake.close()


def stores(proxy: FrozenProxy) -> list[bytes]:
    return [packet for packet in proxy.sent if b"EXECUTE store_events" in packet]


async def until_waited_for(database: str, done: Callable[[], bool] = lambda: False) -> None:
    """Until somebody waits for a lock."""
    with other_session(database) as other, other.cursor() as cursor:
        other.autocommit = True
        async with asyncio.timeout(30):
            while not done():
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone() != (0,):
                    return
                await asyncio.sleep(0.01)


async def test_a_table_that_is_locked_for_a_moment_costs_nobody_anything(
    intake: Intake, shops: list[Merchant], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 30.0)
    assert await outcome(intake, shops[0], "first") == "Accepted"
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        calls = asyncio.gather(*(outcome(intake, shop, "a") for shop in shops))
        for _ in range(4):  # longer than a batch waits by itself
            await until_waited_for(database)
            await asyncio.sleep(module.LOCK_MS / 1000)
        assert not calls.done()
    assert await calls == ["Accepted"] * len(shops)


async def test_where_nobody_else_waits_a_merchant_waits_for_its_own_rows(
    intake: Intake, shops: list[Merchant], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 30.0)
    held, others = shops[0], shops[1:]
    assert await outcome(intake, held, "a") == "Accepted"
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(EVENTS, (held.merchant_id,))
        waiting = asyncio.ensure_future(outcome(intake, held, "a"))
        joined = [asyncio.ensure_future(outcome(intake, shop, "a")) for shop in others]
        assert await asyncio.gather(*joined) == ["Accepted"] * len(others)
        for _ in range(4):
            await until_waited_for(database)
            await asyncio.sleep(module.LOCK_MS / 1000)
        assert not waiting.done()
    assert await waiting == "Coalesced"
    with in_transaction():
        assert rows("SELECT times_received FROM events WHERE merchant_id = %s", (held.merchant_id,)) == [(2,)]


async def test_the_caller_is_told_what_is_locked_and_the_process_stays_ready(
    api: Api, merchant: Merchant, database: str
) -> None:
    def post() -> Any:
        return api.post(INGEST, {"input": camel(draft("a"))})

    assert (await post()).status_code == 200
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(EVENTS, (merchant.merchant_id,))
        for _ in range(2):
            answer = await post()
            assert answer.status_code == 503
            (error,) = answer.json()["errors"]
            assert error["extensions"] == {"code": "DATABASE_AWAY", "retryable": True}
            assert error["message"].startswith("Rows of this merchant are locked in the database;")
            assert (await api.client.get("/readyz")).status_code == 200


async def test_whoever_was_locked_out_is_stored_once_the_rows_are_free(
    intake: Intake, shops: list[Merchant], database: str
) -> None:
    held = shops[0]
    await intake.ingest(held.holder, [draft("a")])
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(EVENTS, (held.merchant_id,))
        assert await outcome(intake, held, "a") == "LockedOutError"
    await until_stored(intake, held, "b")
    (again,) = await intake.ingest(held.holder, [draft("a")])
    assert isinstance(again, Coalesced)
    (other_one,) = await intake.ingest(shops[1].holder, [draft("a")])
    assert isinstance(other_one, Accepted)
