"""An answer that was read is never thrown away, whatever happens between reading and writing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft, new_merchant, sweep_missed
from tests.services.test_deliver import accepted, deliver, destination_of, ingest, row
from tracklayer.clock import FrozenClock
from tracklayer.db import settling as db
from tracklayer.db.connection import DatabaseAwayError, execute, in_transaction, rows
from tracklayer.db.deliveries import deliveries_by_key
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.destinations import set_health
from tracklayer.db.leases import claim_due
from tracklayer.domain.delivery import Acknowledged, DestinationState, Health, NoAnswer, Rejected
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import deliver as engine
from tracklayer.services import platform_requests
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, set_destination
from tracklayer.services.invariants import check_invariants
from tracklayer.services.redeliver import redeliver_ids
from tracklayer.services.sweep import sweep

LOST = 999_999  # the number of a worker whose lock nobody holds


Between = Callable[[Callable[[], object]], None]


def test_after_a_redelivery_in_between_the_ledger_still_balances(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, between: Between
) -> None:
    ingest(runtime, merchant, draft())

    def meanwhile() -> None:
        clock.move(timedelta(seconds=5))
        assert sweep_missed(runtime).taken_back == 1
        assert redeliver_ids(runtime, merchant.merchant_id, [("order_1", "meta")], DeliverySearch()).requeued == 1

    between(meanwhile)
    deliver_due(runtime, LOST, merchant.merchant_id, "meta")
    found = row(merchant)
    assert (found.status, found.attempts) == ("delivered", 1)
    assert not check_invariants(clock.now())


def test_behind_an_attempt_that_failed_meanwhile_it_is_written_all_the_same(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingest(runtime, merchant, draft())

    def meanwhile() -> None:
        clock.move(timedelta(seconds=5))
        assert sweep_missed(runtime).taken_back == 1
        with monkeypatch.context() as patch:
            patch.setattr(platform_requests, "send", lambda *_: NoAnswer("no answer in time"))
            deliver_due(runtime, worker, merchant.merchant_id, "meta")

    between(meanwhile)
    deliver_due(runtime, LOST, merchant.merchant_id, "meta")
    found = row(merchant)
    assert (found.status, found.attempts) == ("delivered", 2)
    assert [entry["outcome"] for entry in found.attempt_log] == ["acknowledged", "unknown"]
    assert not check_invariants(clock.now())


def test_it_is_written_again_where_the_database_did_not_take_it_late(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    sandbox: SandboxServer,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingest(runtime, merchant, draft())
    between(lambda: (clock.move(timedelta(seconds=5)), sweep_missed(runtime)))
    real, calls = db.settle_late, []

    def once(*args: Any) -> int:
        calls.append(1)
        if len(calls) == 1:
            raise DatabaseAwayError("a lock timeout")
        return real(*args)

    monkeypatch.setattr(db, "settle_late", once)
    deliver_due(runtime, LOST, merchant.merchant_id, "meta")
    assert (row(merchant).status, len(calls)) == ("delivered", 2)


@pytest.mark.parametrize("tries", [1, 2], ids=["the first attempt", "a retry"])
def test_an_attempt_that_was_acknowledged_late_is_counted_once(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
    tries: int,
) -> None:
    ingest(runtime, merchant, draft())
    if tries == 2:
        with monkeypatch.context() as patch:
            patch.setattr(platform_requests, "send", lambda *_: NoAnswer("no answer in time"))
            deliver_due(runtime, worker, merchant.merchant_id, "meta")
        clock.move(timedelta(minutes=10))

    def meanwhile() -> None:
        clock.move(timedelta(seconds=70))
        assert sweep_missed(runtime).taken_back == 1
        clock.move(timedelta(minutes=3))

    between(meanwhile)
    deliver_due(runtime, LOST, merchant.merchant_id, "meta")
    assert (row(merchant).status, row(merchant).attempts) == ("delivered", tries)
    names = ("acknowledged", "unknown", "retries_acknowledged", "retries_failed")
    sums = ", ".join(f"sum({name})::int" for name in names)
    with in_transaction():
        (total,) = rows(f"SELECT {sums} FROM minutes")
        of_minutes = rows(f"SELECT {sums} FROM minutes WHERE platform <> '' GROUP BY minute")
    assert total == ((1, 0, 0, 0) if tries == 1 else (1, 1, 1, 0))
    assert all(count >= 0 for found in of_minutes for count in found)  # it was taken back where it was counted
    assert not check_invariants(clock.now())


def test_words_that_cannot_be_cleaned_cost_nobody_the_acknowledgement(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> str:
        raise LookupError

    refusing = replace(
        mapper_for("meta"),
        read_reply=lambda reply, count: [Acknowledged()] * (count - 1) + [Rejected("1", "jane", 400)],
    )
    monkeypatch.setattr(platform_requests, "without_sealed", broken)
    monkeypatch.setattr(engine, "mapper_for", lambda platform: refusing)
    ingest(runtime, merchant, draft("a"), draft("b"))
    deliver(runtime, merchant, worker)
    assert row(merchant, "a").status == "delivered"
    assert (row(merchant, "b").status, row(merchant, "b").attempts) == ("failed", 1)
    assert "jane" not in str(row(merchant, "b").attempt_log)


def test_one_answer_that_cannot_be_written_costs_the_others_nothing(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, *(draft(name) for name in "abcd"))
    with in_transaction():  # as a row looks that no version should have written
        execute("ALTER TABLE deliveries ADD CONSTRAINT odd CHECK (event_id <> 'b' OR status <> 'delivered') NOT VALID")
    try:
        deliver(runtime, merchant, worker)
        assert {row(merchant, name).status for name in "acd"} == {"delivered"}
        assert (row(merchant, "b").status, row(merchant, "b").attempts) == ("failed", 1)
        assert accepted(sandbox) == dict.fromkeys("abcd", 1)
        with in_transaction():
            assert rows("SELECT count(*) FROM claims") == [(0,)]
    finally:
        with in_transaction():
            execute("ALTER TABLE deliveries DROP CONSTRAINT odd")


def test_what_is_acknowledged_a_month_after_it_was_received_is_written(
    runtime: Runtime, clock: FrozenClock, worker: int, sandbox: SandboxServer
) -> None:
    clock.move(timedelta(days=-60))
    shop = new_merchant(runtime, meta=False)
    set_destination(runtime, shop.merchant_id, "linkedin", example_settings(mapper_for("linkedin")), None)
    ingest(runtime, shop, draft(occurred_at=clock.now().isoformat()))
    clock.move(timedelta(hours=25))
    sweep(runtime)
    clock.move(timedelta(days=26))
    assert redeliver_ids(runtime, shop.merchant_id, [("order_1", "linkedin")], DeliverySearch()).requeued == 1
    deliver_due(runtime, worker, shop.merchant_id, "linkedin")
    with in_transaction():
        found = deliveries_by_key(shop.merchant_id, [("order_1", "linkedin")])["order_1", "linkedin"]
    assert (found.status, found.attempts, found.latency_ms) == ("delivered", 1, 2**31 - 1)


def test_a_request_that_cannot_be_measured_keeps_nobody_from_going(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mapper = mapper_for("meta")

    def odd(event: Any, settings: Any, now: Any) -> Any:
        mapped = mapper.map_event(event, settings, now)
        return replace(mapped, item={"x": {1, 2}}) if event.event_id == "bad" else mapped  # type: ignore[type-var]

    for most in (100_000, None):
        monkeypatch.setattr(
            engine, "mapper_for", lambda _, most=most: replace(mapper, map_event=odd, max_batch_bytes=most)
        )
        ingest(runtime, merchant, draft("bad"), draft(f"good_{most or 0}"))
        deliver(runtime, merchant, worker)
        assert row(merchant, f"good_{most or 0}").status == "delivered"
        assert (row(merchant, "bad").status, row(merchant, "bad").attempts) == ("queued", 0)
        with in_transaction():
            execute("UPDATE deliveries SET due_at = queued_at WHERE event_id = 'bad'")


def test_a_lease_that_is_taken_back_ends_nobody_elses_turn(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(4)))
    with in_transaction():
        claim_due(merchant.merchant_id, "meta", 1, clock.now(), LOST)
    clock.move(timedelta(seconds=1))
    now = clock.now()
    with in_transaction():
        set_health(merchant.merchant_id, "meta", Health(DestinationState.HELD, "unreachable: x", 3, now, now, 30))
    turn = runtime.turns.of((merchant.merchant_id, "meta"))
    assert engine._claim(runtime, worker, merchant.merchant_id, "meta", now, turn) is not None
    before = destination_of(merchant).turn_ends_at
    sweep(runtime)
    assert destination_of(merchant).turn_ends_at == before
    assert engine._claim(runtime, worker, merchant.merchant_id, "meta", now, turn) is None
