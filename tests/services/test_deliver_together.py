"""Many destinations at once: claimed, begun and settled together, and yet each by itself."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from tests.factories import META, Merchant, draft, new_merchant, sweep_missed
from tests.services.test_deliver import accepted, fault, ingest, mend, requests, row
from tests.services.test_held_rows import Holder, until_written
from tests.sessions import other_session
from tracklayer import turns
from tracklayer.clock import FrozenClock
from tracklayer.db import together as db
from tracklayer.db.connection import database as pool
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.destinations import destination
from tracklayer.db.leases import LEASE
from tracklayer.db.queues import LOCK_QUEUE, QUEUE_LOCK
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.delivery import NoAnswer
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import deliver_together as together
from tracklayer.services import platform_requests
from tracklayer.services.deliver import deliver_due
from tracklayer.services.deliver_together import (
    FEW,
    Answered,
    Errand,
    Queue,
    begin_together,
    deliver,
    settle_alone,
    settle_together,
    stitch_together,
    take,
)
from tracklayer.services.destinations import pause_destination, sandbox_destinations, set_destination
from tracklayer.services.invariants import check_invariants
from tracklayer.services.outage import to_wake
from tracklayer.services.sweep import sweep

LOST = 999_999  # a worker that nobody is


@pytest.fixture
def holder(database: str) -> Iterator[Holder]:
    with closing(Holder(database)) as made:
        yield made


def town(runtime: Runtime, count: int) -> list[Merchant]:
    """Shops with one event each, called by the shop's number."""
    shops = [new_merchant(runtime, name=f"Shop {number}") for number in range(count)]
    for shop in shops:
        ingest(runtime, shop, draft(f"order_{shop.merchant_id}"))
    return shops


def queues_of(shops: Sequence[Merchant]) -> list[Queue]:
    return [(shop.merchant_id, "meta") for shop in shops]


def of(shop: Merchant) -> Any:
    return row(shop, f"order_{shop.merchant_id}")


def answers(runtime: Runtime, errands: Sequence[Errand]) -> list[Answered]:
    begin_together(runtime, errands)
    return [found for errand in errands if (found := deliver(runtime, errand)) is not None]


def go(runtime: Runtime, worker: int, shops: Sequence[Merchant]) -> list[Queue]:
    """Claims, sends and settles; the destinations that need a look of their own."""
    errands, alone = take(runtime, worker, queues_of(shops))
    for left in settle_together(runtime, answers(runtime, errands)):
        settle_alone(runtime, left)
    return alone


def leases() -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM claims")[0][0])


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """First words of the statements that are run meanwhile."""
    found: Counter[str] = Counter()
    real = pool.execute_sql

    def noted(sql: str, *args: Any, **options: Any) -> Any:
        found[sql.split()[0]] += 1
        return real(sql, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "execute_sql", noted)
        yield found


def test_what_a_look_costs_does_not_grow_with_its_destinations(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for count in (2, 20):
        shops = town(runtime, count)
        to_wake(runtime, queues_of(shops))  # how platforms are doing is known for a second
        runtime.outages.seconds = 60
        at = clock.move(timedelta(milliseconds=1500))
        with counted(monkeypatch) as statements:
            assert go(runtime, worker, shops) == []
        found.append(statements)
        for shop in shops:
            done = of(shop)
            assert (done.status, done.attempts, done.due_at, done.delivered_at, done.latency_ms) == (
                "delivered",
                1,
                None,
                at,
                1500,
            )
            assert done.attempt_log == [
                {
                    "number": 1,
                    "at": at.isoformat(),
                    "outcome": "acknowledged",
                    "http_status": 200,
                    "error": None,
                    "duration_ms": 0,
                }
            ]
    assert found[0] == found[1]
    assert found[1].total() == 10
    assert set(accepted(sandbox).values()) == {1}
    assert leases() == 0
    assert not check_invariants(clock.now())


def test_events_of_one_destination_that_are_few_go_in_one_request(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(FEW - 1)))
    assert go(runtime, worker, [merchant]) == []
    assert requests(sandbox) == [FEW - 1]


def test_where_more_is_due_the_destination_gets_a_look_of_its_own(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(FEW + 5)))
    assert go(runtime, worker, [merchant]) == queues_of([merchant])
    assert requests(sandbox) == [FEW]
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert set(accepted(sandbox).values()) == {1}
    assert len(accepted(sandbox)) == FEW + 5


def test_of_what_is_due_the_longest_due_goes_first_and_a_retry_that_succeeds_counts_as_one(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n:02}") for n in range(FEW + 5)))
    with in_transaction():  # the last ones have waited longest; two of them for their second try
        execute("UPDATE deliveries SET due_at = due_at - (right(event_id, 2)::int + 1) * interval '1 s'")
        execute("UPDATE deliveries SET attempts = 1 WHERE event_id IN ('order_13', 'order_14')")
    clock.move(timedelta(seconds=1))
    assert go(runtime, worker, [merchant]) == queues_of([merchant])
    assert sorted(accepted(sandbox)) == [f"order_{n:02}" for n in range(5, FEW + 5)]
    with in_transaction():
        [(retries,)] = rows("SELECT sum(retries_acknowledged) FROM minutes WHERE platform = 'meta'")
    assert retries == 2


def test_a_lease_is_renewed_as_its_request_leaves(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    errands, _ = take(runtime, worker, queues_of([merchant]))
    clock.move(timedelta(seconds=5))
    begin_together(runtime, errands)
    with in_transaction():
        assert rows("SELECT lease_ends_at FROM claims") == [(clock.now() + LEASE,)]
    assert settle_together(runtime, [found for one in errands if (found := deliver(runtime, one))]) == []


def test_a_destination_with_large_events_gets_a_look_of_its_own(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    runtime.turns.of((merchant.merchant_id, "meta")).claimed(1, FEW, turns.ROOM)
    assert take(runtime, worker, queues_of([merchant])) == ([], queues_of([merchant]))


def test_what_does_not_simply_go_gets_a_look_of_its_own_or_none(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    plain, paused, held, probed, recovering, behind, resting, crowded = shops = town(runtime, 8)
    pause_destination(runtime, paused.merchant_id, "meta")
    runtime.turns.note((behind.merchant_id, "meta"), True)
    later, before = clock.now() + timedelta(minutes=1), clock.now() - timedelta(seconds=1)
    with in_transaction():
        for shop, columns, at in (
            (held, "state = 'held', resume_at = %s", before),
            (probed, "state = 'held', resume_at = %s", later),
            (recovering, "recovering_since = %s", before),
            (resting, "resume_at = %s", later),
        ):
            execute(f"UPDATE destinations SET {columns} WHERE merchant_id = %s", (at, shop.merchant_id))
        execute(
            "INSERT INTO claims (merchant_id, platform, worker, claimed_at, lease_ends_at, event_ids) "
            "SELECT %s, 'meta', %s, %s, %s, array_agg('x' || n) FROM generate_series(1, %s) n",
            (crowded.merchant_id, worker, clock.now(), later, together.IN_HAND),
        )
    assert sorted(go(runtime, worker, shops)) == sorted(queues_of([held, recovering, behind, crowded]))
    assert accepted(sandbox) == {f"order_{plain.merchant_id}": 1}


def test_events_that_are_stitched_go_with_the_others(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    plain, stitched = shops = [new_merchant(runtime) for _ in range(2)]
    with in_transaction():
        execute("UPDATE merchants SET stitched_since = %s WHERE merchant_id = %s", (clock.now(), stitched.merchant_id))
    for shop in shops:
        found = draft(f"order_{shop.merchant_id}")
        found["user_data"]["browser_id"] = "3f2b8c1d9e7a4f60b5c2d1e8a9f07b34"
        ingest(runtime, shop, found)
    errands, alone = take(runtime, worker, queues_of(shops))
    assert (len(errands), alone) == (2, [])
    assert settle_together(runtime, answers(runtime, errands)) == []
    assert [of(shop).status for shop in (plain, stitched)] == ["delivered", "delivered"]
    with in_transaction():
        assert rows(
            "SELECT merchant_id, event_id, decided_at FROM enrichments WHERE merchant_id = %s", (stitched.merchant_id,)
        ) == [(stitched.merchant_id, f"order_{stitched.merchant_id}", clock.now())]
    assert leases() == 0
    assert not check_invariants(clock.now())


BROWSER = "3f2b8c1d9e7a4f60b5c2d1e8a9f07b34"
THREE = ("meta", "tiktok", "pinterest")


def stitched_errands(runtime: Runtime, worker: int, shop: Merchant) -> list[Errand]:
    """An event of one browser, taken for three destinations of a merchant whose events are stitched."""
    sandbox_destinations(runtime, shop.merchant_id, THREE)
    with in_transaction():
        execute(
            "UPDATE merchants SET stitched_since = %s WHERE merchant_id = %s", (runtime.clock.now(), shop.merchant_id)
        )
    found = draft(f"order_{shop.merchant_id}")
    found["user_data"]["browser_id"] = BROWSER
    ingest(runtime, shop, found)
    errands, alone = take(runtime, worker, [(shop.merchant_id, platform) for platform in THREE])
    assert (sorted(errand.queue[1] for errand in errands), alone) == (sorted(THREE), [])
    return errands


def statuses(shop: Merchant) -> dict[str, str]:
    with in_transaction():
        return dict(rows("SELECT platform, status FROM deliveries WHERE merchant_id = %s", (shop.merchant_id,)))


def test_what_goes_to_many_destinations_of_a_merchant_is_stitched_and_begun_once(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = new_merchant(runtime)
    errands = stitched_errands(runtime, worker, shop)
    with counted(monkeypatch) as statements:
        ready = stitch_together(runtime, errands)
    assert list(ready) == errands
    assert not any(errand.to_stitch for errand in errands)
    assert statements["WITH"] + statements["INSERT"] <= 2, statements  # what is known, what is decided
    assert settle_together(runtime, answers(runtime, ready)) == []
    assert statuses(shop) == dict.fromkeys(THREE, "delivered")
    assert leases() == 0
    assert not check_invariants(clock.now())


def test_where_it_cannot_be_stitched_together_each_destination_stitches_for_itself(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    shop = new_merchant(runtime)
    errands = stitched_errands(runtime, worker, shop)
    with in_transaction():
        execute("ALTER TABLE enrichments RENAME TO elsewhere")
    assert list(stitch_together(runtime, errands)) == errands
    with in_transaction():
        execute("ALTER TABLE elsewhere RENAME TO enrichments")
    assert all(errand.to_stitch for errand in errands)
    assert settle_together(runtime, answers(runtime, errands)) == []
    assert statuses(shop) == dict.fromkeys(THREE, "delivered")
    assert not check_invariants(clock.now())


def test_nobody_waits_for_a_queue_that_somebody_has_locked(
    runtime: Runtime, worker: int, sandbox: SandboxServer
) -> None:
    shops = town(runtime, 3)
    second = shops[1]
    with other_session(runtime.database_url) as vanished:
        with vanished.cursor() as cursor:
            cursor.execute(LOCK_QUEUE, (QUEUE_LOCK, f"{second.merchant_id}/meta"))
        assert go(runtime, worker, shops) == queues_of([second])
    assert [of(shop).status for shop in shops] == ["delivered", "queued", "delivered"]
    assert go(runtime, worker, shops) == []
    assert of(second).status == "delivered"


def test_what_one_has_claimed_is_nobody_elses(runtime: Runtime, worker: int, sandbox: SandboxServer) -> None:
    shops = town(runtime, 3)
    errands, _ = take(runtime, worker, queues_of(shops))
    assert take(runtime, worker, queues_of(shops)) == ([], [])
    assert deliver_due(runtime, worker, shops[0].merchant_id, "meta") is False
    assert settle_together(runtime, answers(runtime, errands)) == []
    assert set(accepted(sandbox).values()) == {1}
    assert len(accepted(sandbox)) == 3


def test_two_workers_over_the_same_destinations_send_nothing_twice(
    runtime: Runtime, database: str, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    shops = town(runtime, 10)
    locks = [WorkerLock(database) for _ in range(4)]
    begin = threading.Barrier(len(locks))

    def work(lock: WorkerLock) -> None:
        begin.wait()
        for number in range(12):
            ingest(runtime, shops[number % 10], draft(f"more_{lock.number()}_{number}"))
            for merchant_id, platform in go(runtime, lock.number(), shops):
                deliver_due(runtime, lock.number(), merchant_id, platform)

    with ThreadPoolExecutor(len(locks)) as threads:
        list(threads.map(work, locks))
    for lock in locks:
        go(runtime, lock.number(), shops)
        lock.release()
    assert len(accepted(sandbox)) == 10 + 12 * len(locks)
    assert set(accepted(sandbox).values()) == {1}
    assert leases() == 0
    assert not check_invariants(clock.now())


def test_a_refused_a_lost_and_an_unmappable_one_are_settled_by_themselves(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    shops = town(runtime, 4)
    _, refused, mixed, _ = shops
    ingest(runtime, mixed, draft("strange", event_name="NobodyKnowsIt"))
    fault(sandbox, kind="refuse", event_ids=[f"order_{refused.merchant_id}"])
    assert go(runtime, worker, shops) == []
    mend(sandbox)
    assert [of(shop).status for shop in shops] == ["delivered", "failed", "delivered", "delivered"]
    assert [entry["outcome"] for entry in of(refused).attempt_log] == ["rejected"]
    assert leases() == 0
    assert not check_invariants(clock.now())


def test_a_platform_that_does_not_answer_one_is_noted_on_that_one_alone(
    runtime: Runtime, worker: int, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shops = town(runtime, 2)
    real = platform_requests.send  # type: ignore[attr-defined]

    def send(http: Any, platform: str, request: Any, *rest: Any) -> Any:
        if f"order_{second.merchant_id}" in str(request.body):
            return NoAnswer("no answer in time")
        return real(http, platform, request, *rest)

    monkeypatch.setattr(platform_requests, "send", send)
    go(runtime, worker, shops)
    assert (of(first).status, of(second).status) == ("delivered", "failed")
    with in_transaction():
        failures = [found.failures for shop in shops if (found := destination(shop.merchant_id, "meta")) is not None]
    assert failures == [0, 1]
    assert not check_invariants(clock.now())


def test_what_a_lost_worker_had_only_claimed_was_never_sent_and_what_it_had_begun_is_unknown(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    claimed, begun = town(runtime, 2)
    with in_transaction():
        assert len(db.claim_due(queues_of([claimed]), FEW, clock.now(), LOST)) == 1
    begin_together(runtime, take(runtime, LOST, queues_of([begun]))[0])
    assert leases() == 2
    assert sweep_missed(runtime).taken_back == 1
    assert (of(claimed).status, of(claimed).attempts, of(claimed).attempt_log) == ("queued", 0, [])
    assert [entry["outcome"] for entry in of(begun).attempt_log] == ["unknown"]
    clock.move(timedelta(minutes=5))
    go(runtime, worker, [claimed, begun])
    assert (of(claimed).attempts, of(begun).attempts) == (1, 2)
    assert set(accepted(sandbox).values()) == {1}
    assert not check_invariants(clock.now())


def test_an_answer_that_comes_after_its_lease_was_taken_back_is_written_all_the_same(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    slow, quick = town(runtime, 2)
    errands, _ = take(runtime, worker, queues_of([slow]))
    late = answers(runtime, errands)
    clock.move(LEASE + timedelta(seconds=1))
    assert sweep(runtime).taken_back == 1
    errands, _ = take(runtime, worker, queues_of([quick]))
    left = settle_together(runtime, late + answers(runtime, errands))
    assert left == late
    settle_alone(runtime, left[0])
    assert (of(slow).status, of(slow).attempts, of(quick).status) == ("delivered", 1, "delivered")
    assert [entry["outcome"] for entry in of(slow).attempt_log] == ["acknowledged"]
    assert set(accepted(sandbox).values()) == {1}
    assert not check_invariants(clock.now())


def test_what_was_taken_over_before_it_left_is_not_sent(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = town(runtime, 2)
    real = db.start_sending

    def late(*args: Any) -> Any:
        with other_session(runtime.database_url) as other, other, other.cursor() as cursor:
            cursor.execute("DELETE FROM claims WHERE merchant_id = %s", (shops[0].merchant_id,))
        return real(*args)

    monkeypatch.setattr(db, "start_sending", late)
    go(runtime, worker, shops)
    assert accepted(sandbox) == {f"order_{shops[1].merchant_id}": 1}
    assert (of(shops[0]).status, of(shops[0]).attempts) == ("queued", 0)


def interrupted(real: Callable[..., Any], times: int) -> Callable[..., Any]:
    """Each of the first calls, once it is done, loses its session to the server."""
    left = [None] * times

    def call(*args: Any) -> Any:
        found = real(*args)
        if left:
            left.pop()
            with pytest.raises(psycopg2.Error), closing(pool.connection().cursor()) as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return found

    return call


@pytest.mark.parametrize("name", ["start_sending", "end_leases", "settle_delivered"])
def test_what_the_database_does_not_take_at_once_is_written_when_it_is_back(
    runtime: Runtime,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    shops = town(runtime, 3)
    monkeypatch.setattr(db, name, interrupted(getattr(db, name), 2))
    assert go(runtime, worker, shops) == []
    assert [(of(shop).status, of(shop).attempts) for shop in shops] == [("delivered", 1)] * 3
    assert set(accepted(sandbox).values()) == {1}
    assert leases() == 0
    assert not check_invariants(clock.now())


@pytest.mark.parametrize("tables", ["deliveries", "claims"])
def test_rows_of_one_merchant_that_somebody_holds_keep_no_other_from_being_settled(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer, holder: Holder, tables: str
) -> None:
    shops = town(runtime, 3)
    errands, _ = take(runtime, worker, queues_of(shops))
    found = answers(runtime, errands)
    holder.hold(tables, shops[1])
    left = settle_together(runtime, found)
    assert left == found
    with ThreadPoolExecutor(1) as lane:
        for one in left:
            lane.submit(settle_alone, runtime, one).result()
    assert [of(shop).status for shop in shops] == ["delivered", "queued", "delivered"]
    assert len(runtime.kept) == 1
    holder.let_go()
    until_written(runtime)
    assert (of(shops[1]).status, of(shops[1]).attempts) == ("delivered", 1)
    assert set(accepted(sandbox).values()) == {1}
    assert leases() == 0
    assert not check_invariants(clock.now())


def test_leases_that_somebody_holds_before_they_are_begun_keep_no_other_from_it(
    runtime: Runtime,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    holder: Holder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shops = town(runtime, 3)
    real = db.start_sending

    def held(*args: Any) -> Any:
        holder.hold("claims", shops[1])
        return real(*args)

    monkeypatch.setattr(db, "start_sending", held)
    go(runtime, worker, shops)
    assert [of(shop).status for shop in shops] == ["delivered", "queued", "delivered"]
    holder.let_go()
    until_written(runtime)
    monkeypatch.setattr(db, "start_sending", real)
    go(runtime, worker, shops)
    assert of(shops[1]).attempts == 1
    assert set(accepted(sandbox).values()) == {1}
    assert not check_invariants(clock.now())


def test_a_destination_whose_settings_cannot_be_opened_is_held_and_the_others_go(
    runtime: Runtime, worker: int, clock: FrozenClock
) -> None:
    shops = town(runtime, 3)
    with in_transaction():
        execute(r"UPDATE destinations SET secrets = '\x0100000000' WHERE merchant_id = %s", (shops[1].merchant_id,))
    go(runtime, worker, shops)
    assert [of(shop).status for shop in shops] == ["delivered", "queued", "delivered"]
    with in_transaction():
        found = destination(shops[1].merchant_id, "meta")
    assert found is not None
    assert found.state == "held"
    assert leases() == 0


def test_a_statement_that_fails_for_one_of_many_leaves_each_a_look_of_its_own(
    runtime: Runtime, worker: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shops = town(runtime, 3)

    def broken(*_: Any) -> Any:
        raise ValueError("a row that nobody can read")

    monkeypatch.setattr(db, "claim_due", broken)
    assert go(runtime, worker, shops) == queues_of(shops)
    assert leases() == 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_an_empty_installation_and_destinations_that_are_not_there_cost_one_look(
    runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    assert take(runtime, worker, []) == ([], [])
    assert take(runtime, worker, [(merchant.merchant_id, "meta"), (4711, "meta"), (1, "of a newer version")]) == (
        [],
        [],
    )
    assert leases() == 0


def test_platforms_of_one_merchant_go_together(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    settings = {"pixel_code": "C4A5B6C7D8E9F0A1B2C3", "access_token": META["access_token"]}
    set_destination(runtime, merchant.merchant_id, "tiktok", settings, None)
    ingest(runtime, merchant, draft())
    errands, alone = take(runtime, worker, [(merchant.merchant_id, "meta"), (merchant.merchant_id, "tiktok")])
    assert (len(errands), alone) == (2, [])
    assert settle_together(runtime, answers(runtime, errands)) == []
    with in_transaction():
        assert rows("SELECT platform, status FROM deliveries ORDER BY platform") == [
            ("meta", "delivered"),
            ("tiktok", "delivered"),
        ]
