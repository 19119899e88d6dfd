"""Rows of a batch that somebody holds keep no thread that delivers: what is left to write of it waits elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from tests.factories import Merchant, draft, new_merchant
from tests.servers import wait_until
from tests.services.test_deliver import accepted, deliver, fault, ingest, mend, row
from tracklayer import kept as kept_module
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.leases import LEASE
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import deliver as engine
from tracklayer.services.deliver import deliver_due
from tracklayer.services.invariants import check_invariants
from tracklayer.services.sweep import sweep

HELD = ("deliveries", "claims", "destinations, deliveries")
PATIENCE = 30.0  # seconds: thread by thread this takes one or two


class Holder:
    """Somebody's open transaction."""

    def __init__(self, url: str) -> None:
        self._session = psycopg2.connect(url)

    def hold(self, tables: str, *merchants: Merchant) -> None:
        with self._session.cursor() as cursor:
            for table in tables.split(", "):
                cursor.execute(
                    f"SELECT FROM {table} WHERE merchant_id = ANY(%s) FOR UPDATE",
                    ([one.merchant_id for one in merchants],),
                )

    def let_go(self) -> None:
        self._session.rollback()

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def holder(database: str) -> Iterator[Holder]:
    with closing(Holder(database)) as made:
        yield made


@pytest.fixture
def shops(runtime: Runtime) -> list[Merchant]:
    return [new_merchant(runtime, name=f"Shop {number}") for number in range(3)]


Between = Callable[[Callable[[], object]], None]


def until_written(runtime: Runtime) -> None:
    wait_until(lambda: not len(runtime.kept), "what is kept to be written", PATIENCE)


@pytest.mark.parametrize("tables", HELD)
def test_rows_of_two_merchants_that_somebody_holds_cost_a_third_one_nothing(
    runtime: Runtime,
    shops: list[Merchant],
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    holder: Holder,
    between: Between,
    tables: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second, third = shops
    ingest(runtime, first, draft("a"))
    ingest(runtime, second, draft("b"))
    ingest(runtime, third, draft("c"))
    with ThreadPoolExecutor(1) as lane:

        def deliver_in_lane(shop: Merchant) -> bool:
            return lane.submit(deliver_due, runtime, worker, shop.merchant_id, "meta").result(PATIENCE)

        try:
            between(lambda: holder.hold(tables, first))
            assert deliver_in_lane(first) is False
            holder.let_go()
            until_written(runtime)
            assert row(first, "a").status == "delivered"
            ingest(runtime, first, draft("a2"))
            between(lambda: holder.hold(tables, first))
            assert deliver_in_lane(first) is False
            fault(sandbox, kind="refuse", event_ids=["b"])
            between(lambda: holder.hold(tables, second))
            assert deliver_in_lane(second) is False
            mend(sandbox)
            deliver_in_lane(third)
            assert row(third, "c").status == "delivered"
            assert (row(first, "a2").status, row(second, "b").status) == ("queued", "queued")
        finally:
            holder.let_go()
    until_written(runtime)
    assert (row(first, "a2").status, row(first, "a2").attempts) == ("delivered", 1)
    assert [entry["outcome"] for entry in row(second, "b").attempt_log] == ["rejected"]
    assert accepted(sandbox) == {"a": 1, "a2": 1, "c": 1}
    told = [record.getMessage() for record in caplog.records if record.name == kept_module.__name__]
    of_second = f"merchant {second.merchant_id}: "
    assert [words.removeprefix(of_second)[:8] for words in told if words.startswith(of_second)] == [
        "rows of ",
        "its rows",
    ]
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert not check_invariants(clock.now())


def test_what_was_not_sent_goes_out_once_the_rows_are_free(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    holder: Holder,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mapper = mapper_for("meta")
    monkeypatch.setattr(
        engine, "mapper_for", lambda _: replace(mapper, max_batch_bytes=1)
    )  # each in a request of its own
    ingest(runtime, merchant, draft("a"), draft("b"), draft("c"))
    between(lambda: holder.hold("deliveries", merchant))
    assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
    assert len(accepted(sandbox)) == 1
    holder.let_go()
    until_written(runtime)
    assert sorted(row(merchant, name).status for name in "abc") == ["delivered", "queued", "queued"]
    deliver(runtime, merchant, worker)
    assert accepted(sandbox) == dict.fromkeys("abc", 1)
    assert [row(merchant, name).attempts for name in "abc"] == [1, 1, 1]
    assert not check_invariants(clock.now())


def test_what_is_kept_stays_its_workers_however_long_the_rows_are_held(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    holder: Holder,
    between: Between,
) -> None:
    ingest(runtime, merchant, draft("a"))
    between(lambda: holder.hold("deliveries", merchant))
    assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
    for _ in range(4):
        clock.move(LEASE / 2)
        wait_until(lambda: lease_ends() == [(clock.now() + LEASE,)], "the lease to be renewed", PATIENCE)
        assert sweep(runtime).taken_back == 0
    holder.let_go()
    until_written(runtime)
    assert (row(merchant, "a").status, row(merchant, "a").attempts) == ("delivered", 1)
    assert accepted(sandbox) == {"a": 1}
    assert not check_invariants(clock.now())


def lease_ends() -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows("SELECT lease_ends_at FROM claims")


def test_an_answer_that_is_kept_is_written_where_others_took_its_batch_over(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    holder: Holder,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_module, "PAUSES", (3600.0, 3600.0))
    ingest(runtime, merchant, draft("a"))
    between(lambda: holder.hold("claims, deliveries", merchant))
    assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
    clock.move(LEASE + timedelta(seconds=1))
    holder.let_go()
    assert sweep(runtime).taken_back == 1
    assert row(merchant, "a").attempt_log[-1]["outcome"] == "unknown"
    runtime.kept.close(PATIENCE)  # it is tried at once
    assert len(runtime.kept) == 0
    assert [entry["outcome"] for entry in row(merchant, "a").attempt_log] == ["acknowledged"]
    assert not check_invariants(clock.now())


def test_a_batch_whose_rows_are_held_before_it_is_sent_is_given_back(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    holder: Holder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingest(runtime, merchant, draft("a"))
    real = engine.map_batch  # type: ignore[attr-defined]

    def held(*args: Any) -> Any:
        monkeypatch.setattr(engine, "map_batch", real)
        holder.hold("claims", merchant)
        return real(*args)

    monkeypatch.setattr(engine, "map_batch", held)
    assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
    holder.let_go()
    until_written(runtime)
    assert accepted(sandbox) == {}
    deliver(runtime, merchant, worker)
    assert (row(merchant, "a").status, accepted(sandbox)) == ("delivered", {"a": 1})


def test_of_a_destination_with_much_kept_nothing_more_is_claimed(
    runtime: Runtime, shops: list[Merchant], worker: int, sandbox: SandboxServer, holder: Holder, between: Between
) -> None:
    first, second, _ = shops
    for number in range(kept_module.OF_DESTINATION):
        ingest(runtime, first, draft(f"a{number}"))
        between(lambda: holder.hold("deliveries", first))
        assert deliver_due(runtime, worker, first.merchant_id, "meta") is False
    assert len(runtime.kept) == kept_module.OF_DESTINATION
    ingest(runtime, first, draft("more"))
    ingest(runtime, second, draft("other"))
    deliver(runtime, first, worker)
    deliver(runtime, second, worker)
    assert (row(first, "more").status, row(second, "other").status) == ("queued", "delivered")
    holder.let_go()
    until_written(runtime)
    deliver(runtime, first, worker)
    assert row(first, "more").status == "delivered"
    assert set(accepted(sandbox).values()) == {1}
