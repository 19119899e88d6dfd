"""Threads of one process look for many destinations at once, and none of them waits for one that hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.factories import Merchant, draft, new_merchant
from tests.servers import wait_until
from tests.services.test_deliver import ingest
from tracklayer.actors import together as together_module
from tracklayer.actors.lanes import Lanes
from tracklayer.actors.together import BEGUN_AT_ONCE, FEW_AT_ONCE, OF_DESTINATION, Together, _Threads
from tracklayer.actors.waker import MOST, Waker
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.delivery import PlatformReply
from tracklayer.runtime import Runtime
from tracklayer.services import platform_requests
from tracklayer.services.invariants import check_invariants


class Gate:
    """A platform that answers at once, but to those whose events hang until ``opened``. ``sent``: requests, by event id."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.hanging = ""
        self.sent: list[str] = []
        self.waiting = 0
        self._lock = threading.Lock()

    def send(self, http: Any, platform: str, request: Any, *_: Any) -> PlatformReply:
        ids = [item["event_id"] for item in request.body["data"]]
        hangs = bool(self.hanging) and ids[0].startswith(self.hanging)
        with self._lock:
            self.sent += ids
            self.waiting += hangs
        if hangs:
            self.opened.wait(60)
        return PlatformReply(200, {"events_received": len(ids)}, {}, "")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setattr(platform_requests, "send", made.send)
    yield made
    made.opened.set()


@contextmanager
def process(runtime: Runtime, threads: int = 4) -> Iterator[tuple[Together, list[tuple[int, str]]]]:
    """A worker's looks, and the destinations that it wanted a look of its own for."""
    lock = WorkerLock(runtime.database_url)
    alone: list[tuple[int, str]] = []
    together = Together(runtime, lock, threads, alone.extend)
    try:
        yield together, alone
    finally:
        together.close(30)
        lock.release()


def town(runtime: Runtime, count: int, name: str = "order") -> list[Merchant]:
    shops = [new_merchant(runtime) for _ in range(count)]
    for shop in shops:
        ingest(runtime, shop, draft(f"{name}_{shop.merchant_id}"))
    return shops


def delivered() -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM deliveries WHERE status = 'delivered'")[0][0])


def until(count: int) -> None:
    wait_until(lambda: delivered() == count, f"{count} to be delivered", 300)


def test_a_destination_that_hangs_holds_up_none_of_a_hundred_others(
    runtime: Runtime, gate: Gate, clock: FrozenClock
) -> None:
    gate.hanging = "hung"
    (hung,) = town(runtime, 1, "hung")
    others = town(runtime, 100)
    with process(runtime) as (together, alone):
        together([(shop.merchant_id, "meta") for shop in (hung, *others)])
        until(100)
        assert gate.waiting == 1
        ingest(runtime, others[0], draft("later"))
        together([(others[0].merchant_id, "meta")])
        until(101)
        gate.opened.set()
        until(102)
    assert alone == []
    assert len(gate.sent) == len(set(gate.sent)) == 102
    assert not check_invariants(clock.now())


class Crowd:
    """Works that are all at it until somebody lets them go. ``most``: at once, so far."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)
        self.begun, self.working, self.most = 0, 0, 0
        self._lock = threading.Lock()

    def work(self) -> None:
        with self._lock:
            self.begun += 1
            self.working += 1
            self.most = max(self.most, self.working)
        self.ended.acquire()
        with self._lock:
            self.working -= 1


def test_where_the_processor_is_busy_few_requests_are_at_it_and_the_others_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together_module, "BUSY", -1.0)  # nothing is less busy than that
    monkeypatch.setattr(together_module, "LONG_SECONDS", 1e9)
    threads, crowd = _Threads(100, "test"), Crowd()
    for _ in range(60):
        threads.submit(crowd.work)
    wait_until(lambda: crowd.working == FEW_AT_ONCE, "the first ones to begin")
    threads.submit(crowd.work, at_once=True)
    wait_until(lambda: crowd.working == FEW_AT_ONCE + 1, "the one that waits for nobody")
    for _ in range(61):
        crowd.ended.release()
    wait_until(lambda: crowd.begun == 61 and not crowd.working, "all to be done")
    assert crowd.most <= FEW_AT_ONCE + 1


def test_where_requests_wait_for_answers_more_are_let_in_and_after_that_few_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together_module, "BUSY", 1e9)
    threads, crowd = _Threads(100, "test"), Crowd()
    for _ in range(60):
        threads.submit(crowd.work)
    wait_until(lambda: crowd.working == 60, "all of them to begin")
    monkeypatch.setattr(together_module, "BUSY", -1.0)
    monkeypatch.setattr(together_module, "LONG_SECONDS", 1e9)
    for _ in range(60):
        crowd.ended.release()
    wait_until(lambda: not crowd.working, "all to be done")
    again = Crowd()
    for _ in range(60):
        threads.submit(again.work)
    for _ in range(60):
        again.ended.release()
    wait_until(lambda: again.begun == 60 and not again.working, "all to be done again")
    assert again.most <= FEW_AT_ONCE


def test_what_waits_for_its_thread_does_not_count_as_sent(
    runtime: Runtime, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together_module, "BUSY", -1.0)
    monkeypatch.setattr(together_module, "LONG_SECONDS", 1e9)
    gate.hanging = "order"
    shops = town(runtime, 40)
    with process(runtime) as (together, _):
        together([(shop.merchant_id, "meta") for shop in shops])
        wait_until(lambda: gate.waiting >= FEW_AT_ONCE, "the first ones to leave")
        with in_transaction():
            begun = rows("SELECT count(*) FILTER (WHERE sending <> '{}'), count(*) FROM claims")[0]
        assert begun[0] == BEGUN_AT_ONCE < begun[1]
        gate.opened.set()
        until(40)


def test_whoever_waits_for_long_keeps_nobody_out_though_the_processor_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together_module, "BUSY", -1.0)  # by a backlog, for example
    threads, hung, crowd = _Threads(100, "test"), Crowd(), Crowd()
    for _ in range(40):
        threads.submit(hung.work)
    threads.submit(crowd.work)
    crowd.ended.release()
    wait_until(lambda: crowd.begun == 1 and not crowd.working, "the one behind them")
    for _ in range(40):
        hung.ended.release()


def test_of_one_destination_few_requests_are_on_their_way_and_behind_them_its_events_gather(
    runtime: Runtime, merchant: Merchant, gate: Gate
) -> None:
    gate.hanging = "hung"
    here = [(merchant.merchant_id, "meta")]
    with process(runtime) as (together, _):
        for number in range(OF_DESTINATION):
            ingest(runtime, merchant, draft(f"hung_{number}"))
            together(here)
            wait_until(lambda number=number: gate.waiting == number + 1, "the request to leave")  # type: ignore[misc]
        for number in range(3):
            ingest(runtime, merchant, draft(f"more_{number}"))
            together(here)
        assert delivered() == 0
        gate.opened.set()
        until(OF_DESTINATION + 3)
    assert len(gate.sent) == len(set(gate.sent)) == OF_DESTINATION + 3


def test_a_platform_that_hangs_for_everybody_leaves_half_of_the_requests_to_others(
    runtime: Runtime, gate: Gate
) -> None:
    gate.hanging = "hung"
    shops = town(runtime, MOST, "hung")
    with process(runtime, threads=1) as (together, _):
        together([(shop.merchant_id, "meta") for shop in shops])
        wait_until(lambda: gate.waiting == MOST // 2, "half of the requests to hang")
        assert not together._lanes.is_full
        gate.opened.set()
        until(MOST)
    assert len(gate.sent) == len(set(gate.sent)) == MOST


def test_what_is_more_than_there_are_requests_goes_as_they_are_done(runtime: Runtime, gate: Gate) -> None:
    shops = town(runtime, 60)
    with process(runtime, threads=1) as (together, _):
        together._lanes = Lanes(6, 4)
        together([(shop.merchant_id, "meta") for shop in shops])
        until(60)
    assert len(gate.sent) == len(set(gate.sent)) == 60


def test_whoever_ends_waits_for_what_is_on_its_way_and_begins_nothing(
    runtime: Runtime, gate: Gate, clock: FrozenClock
) -> None:
    gate.hanging = "hung"
    (hung,) = town(runtime, 1, "hung")
    (late,) = town(runtime, 1)
    with process(runtime) as (together, _):
        together([(hung.merchant_id, "meta")])
        wait_until(lambda: gate.waiting == 1, "the request to leave")
        together.close(0)
        together([(late.merchant_id, "meta")])
        threading.Timer(0.2, gate.opened.set).start()
        together.close(30)
        assert delivered() == 1
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert gate.sent == [f"hung_{hung.merchant_id}"]
    assert not check_invariants(clock.now())


def test_a_database_that_goes_away_in_a_look_stops_no_later_one(
    runtime: Runtime, merchant: Merchant, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(runtime, merchant, draft())
    here = [(merchant.merchant_id, "meta")]
    with process(runtime) as (together, _):
        url = runtime.database_url
        monkeypatch.setattr(together._worker, "_url", f"{url}_not_there")
        together(here)
        wait_until(lambda: not together._lanes.taken and not together._looks, "the look to be over")
        monkeypatch.setattr(together._worker, "_url", url)
        together(here)
        until(1)


def test_a_wake_up_names_many_destinations_and_each_once() -> None:
    together: list[tuple[Any, ...]] = []
    alone: list[tuple[Any, ...]] = []
    waker = Waker(lambda *named: together.append(named), lambda *named: alone.append(named))
    named = [(number, "meta") for number in range(MOST + 1)]
    waker(named + named)
    waker.alone([(1, "meta"), (2, "meta")])
    waker.stop()
    assert sorted(len(message) for message in together) == [2, 2 * MOST]
    found = [pair for message in together for pair in zip(message[::2], message[1::2], strict=True)]
    assert sorted(found) == named
    assert sorted(alone) == [(1, "meta"), (2, "meta")]
