"""The edges of delivering: whose a batch is, whose turn it is, when time is over, and what cannot be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from tests.factories import Merchant, draft, sweep_missed
from tests.services.test_deliver import (
    accepted,
    claim,
    deliver,
    destination_of,
    fault,
    ingest,
    mend,
    requests,
    row,
    start,
)
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.counters import Changes
from tracklayer.db.deliveries import LOG_LENGTH
from tracklayer.db.leases import LAST_CHANCE, LEASE, claim_due, end_lease
from tracklayer.db.queues import drop_expired, drop_removed
from tracklayer.domain.retry import MAX_ATTEMPTS
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import deliver as engine
from tracklayer.services import platform_requests
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import remove_destination
from tracklayer.services.invariants import check_invariants
from tracklayer.services.platform_requests import Item
from tracklayer.services.settle import UNWRITTEN
from tracklayer.services.sweep import sweep

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@contextmanager
def unwritable(event_id: str, excepted: str = UNWRITTEN.message) -> Iterator[None]:
    """Nothing can be written to the delivery of one event, except that its answer could not be written."""
    excepted = excepted.replace("'", "''")
    with in_transaction():
        execute(
            "CREATE FUNCTION of_a_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NEW.event_id = '{event_id}' AND NEW.last_error IS DISTINCT FROM '{excepted}' "
            "THEN RAISE EXCEPTION 'it cannot be written'; END IF; RETURN NEW; END $$"
        )
        execute("CREATE TRIGGER of_a_test BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION of_a_test()")
    try:
        yield
    finally:
        with in_transaction():
            execute("DROP TRIGGER of_a_test ON deliveries")
            execute("DROP FUNCTION of_a_test()")


def test_where_one_answer_cannot_be_written_those_behind_it_are_though_the_destination_must_rest(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(name) for name in ("a", "broken", "c")))
    fault(sandbox, kind="credentials")
    with unwritable("broken"):
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert destination_of(merchant).state == "held"
    told = {name: row(merchant, name) for name in ("a", "broken", "c")}
    assert {name: found.attempts for name, found in told.items()} == {"a": 0, "broken": 1, "c": 0}
    assert [entry["outcome"] for entry in told["broken"].attempt_log] == ["unknown"]
    assert [entry["outcome"] for entry in told["c"].attempt_log] == ["credentials_refused"]
    assert told["c"].error_code == told["a"].error_code is not None
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]


def test_that_an_answer_cannot_be_written_is_no_failure_of_the_platform(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft("broken"))
    with unwritable("broken"):
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
    found = row(merchant, "broken")
    assert (found.status, found.attempts, found.last_error) == ("failed", 1, UNWRITTEN.message)
    assert accepted(sandbox) == {"broken": 1}
    health = destination_of(merchant)
    assert (health.state, health.failures, health.failing_since) == ("active", 0, None)


# Turns: a destination that is held is probed by one at a time ----------------------------------------------------------


@pytest.fixture
def held(runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock) -> None:
    """Its destination was held, with ``probe`` waiting; it may be probed now, and would answer."""
    ingest(runtime, merchant, draft("probe"))
    fault(sandbox, kind="credentials")
    deliver(runtime, merchant, worker)
    mend(sandbox)
    clock.instant = destination_of(merchant).resume_at
    assert destination_of(merchant).state == "held"


@pytest.mark.usefixtures("held")
def test_a_probe_that_sent_nothing_gives_its_turn_to_the_next_at_once(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft("refund", event_name="Refund", occurred_at=clock.now().isoformat()))
    with in_transaction():
        execute("UPDATE deliveries SET due_at = due_at - interval '1 hour' WHERE event_id = 'refund'")
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert (row(merchant, "refund").status, row(merchant, "probe").status) == ("dropped", "queued")
    assert destination_of(merchant).turn_ends_at is None
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert (row(merchant, "probe").status, destination_of(merchant).state) == ("delivered", "active")


@pytest.mark.usefixtures("held")
def test_the_turn_of_a_worker_that_is_gone_is_over_with_its_lease(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    turn = runtime.turns.of((merchant.merchant_id, "meta"))
    taken = engine._claim(runtime, 999_999, merchant.merchant_id, "meta", clock.now(), turn)
    assert taken is not None
    assert destination_of(merchant).turn_ends_at == clock.now() + LEASE
    deliver(runtime, merchant, worker)
    assert row(merchant, "probe").status == "queued"
    sweep_missed(runtime)
    assert destination_of(merchant).turn_ends_at is None
    deliver(runtime, merchant, worker)
    assert (row(merchant, "probe").status, destination_of(merchant).state) == ("delivered", "active")


@pytest.mark.usefixtures("held")
def test_whoever_has_no_turn_any_more_releases_nothing_and_ends_nobodys(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    between: Callable[[Callable[[], object]], None],
) -> None:
    others = clock.now() + LEASE + MINUTE

    def lose_it() -> None:
        with in_transaction():
            execute("UPDATE destinations SET turn_ends_at = %s", (others,))

    between(lose_it)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert row(merchant, "probe").status == "delivered"
    assert (destination_of(merchant).state, destination_of(merchant).turn_ends_at) == ("held", others)


def test_a_probe_takes_a_last_attempt_shortly_before_its_window_ends_and_not_before(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    tried = clock.now() - MINUTE
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'failed', attempts = %s, last_attempt_at = %s", (MAX_ATTEMPTS - 1, tried)
        )

    def probed(left: timedelta) -> bool:
        with in_transaction():
            execute("UPDATE deliveries SET window_ends_at = %s", (clock.now() + left,))
            return claim_due(merchant.merchant_id, "meta", 1, clock.now(), worker, spare=HOUR) is not None

    assert timedelta(minutes=5) <= LAST_CHANCE <= 2 * HOUR
    assert [probed(LAST_CHANCE + SECOND), probed(LAST_CHANCE)] == [False, True]


# Whose a batch is ----------------------------------------------------------------------------------------------------


def test_the_sweep_drops_nothing_that_a_worker_has_in_hand(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    lease, event_ids = claim(merchant, clock, 1, worker)
    start(lease, event_ids, clock)
    with in_transaction():
        execute("UPDATE deliveries SET window_ends_at = %s", (clock.now(),))
    clock.move(SECOND)
    assert sweep(runtime).dropped == 0
    remove_destination(runtime, merchant.merchant_id, "meta")
    for drop in (drop_expired, drop_removed):
        with in_transaction():
            assert drop(merchant.merchant_id, "meta", clock.now(), 10, Changes()) == 0
    assert row(merchant).status == "queued"
    with in_transaction():
        assert end_lease(lease) is not None
    assert sweep(runtime).dropped == 1
    assert not check_invariants(clock.now())


def test_a_process_whose_clock_is_ahead_takes_no_living_workers_batch(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    lease, event_ids = claim(merchant, clock, 1, worker)
    start(lease, event_ids, clock)
    with in_transaction():
        ((ends_at,),) = rows(
            "UPDATE claims SET lease_ends_at = clock_timestamp() + interval '1 day' RETURNING lease_ends_at"
        )
        execute("UPDATE deliveries SET window_ends_at = %s", (ends_at + timedelta(days=1),))
    clock.instant = ends_at + HOUR
    assert sweep(runtime).taken_back == 0
    with in_transaction():
        execute("UPDATE claims SET lease_ends_at = clock_timestamp()")
    assert sweep(runtime).taken_back == 1


def test_what_ran_out_of_time_while_its_acknowledgement_was_on_its_way_is_delivered(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    between: Callable[[Callable[[], object]], None],
) -> None:
    ingest(runtime, merchant, draft())

    def be_late() -> None:
        clock.move(LEASE)
        assert sweep_missed(runtime).taken_back == 1
        with in_transaction():
            execute("UPDATE deliveries SET window_ends_at = %s", (clock.now(),))
        assert sweep(runtime).dropped == 1
        assert (row(merchant).status, row(merchant).drop_reason) == ("dropped", "window_expired")

    between(be_late)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    found = row(merchant)
    assert (found.status, found.attempts, found.drop_reason) == ("delivered", 1, None)
    assert [entry["outcome"] for entry in found.attempt_log] == ["acknowledged"]
    assert not check_invariants(clock.now())


# Time and room -------------------------------------------------------------------------------------------------------


def test_in_the_instant_in_which_its_window_ends_nothing_is_sent_any_more(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    clock.instant = row(merchant).window_ends_at
    deliver(runtime, merchant, worker)
    assert (row(merchant).status, row(merchant).drop_reason) == ("dropped", "window_expired")
    assert requests(sandbox) == []


def test_a_full_log_of_attempts_loses_its_oldest_for_the_newest(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    before = [
        {"number": number, "at": clock.now().isoformat(), "outcome": "rejected", "http_status": 400}
        | {"error": str(number), "duration_ms": 1}
        for number in range(LOG_LENGTH)
    ]
    with in_transaction():
        execute("UPDATE deliveries SET attempt_log = %s::jsonb", (orjson.dumps(before).decode(),))
    fault(sandbox, kind="refuse", event_ids=["order_1"])
    deliver(runtime, merchant, worker)
    found = row(merchant).attempt_log
    assert len(found) == LOG_LENGTH
    assert [entry["error"] for entry in found[:-1]] == [str(number) for number in range(1, LOG_LENGTH)]
    assert (found[-1]["number"], found[-1]["outcome"]) == (1, "rejected")
    mend(sandbox)
    clock.move(HOUR)
    deliver(runtime, merchant, worker)
    found = row(merchant).attempt_log
    assert len(found) == LOG_LENGTH
    assert [entry["outcome"] for entry in found[-2:]] == ["rejected", "acknowledged"]
    assert found[0]["error"] == "2"


def test_a_request_keeps_room_for_what_is_around_its_items(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    """Whatever a mapper puts around them, up to 4 KiB, what leaves is no larger than the platform takes."""
    most, ids = 20_000, [f"order_{number:02}" for number in range(60)]
    mapper = replace(mapper_for("meta"), max_batch_bytes=most, batch_size=1000)
    item = {"text": "x" * 990}
    items: list[Any] = [Item(claim=None, mapped=Mapped({**item, "id": one}), event=None) for one in ids]  # type: ignore[arg-type]
    unsent: list[Any] = []
    chunks = platform_requests.chunks(runtime, mapper, items, clock.now(), unsent)
    assert unsent == []
    assert [one.mapped.item["id"] for chunk in chunks for one in chunk] == ids
    sizes = [len(orjson.dumps([one.mapped.item for one in chunk])) for chunk in chunks]
    assert max(sizes) <= most - 4096
    assert len(chunks) == 4, "and no smaller than it must be"
