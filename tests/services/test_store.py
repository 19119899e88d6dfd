"""What is delivered leaves the table of what waits, whatever happens at the same moment, and every reader finds it as before."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from tests.conftest import NOW, _run, url_of
from tests.factories import API_KEY_SECRET, Merchant, draft, new_merchant
from tests.redelivering import select
from tests.services.test_plans import scans
from tracklayer.clock import FrozenClock
from tracklayer.db import connection, heartbeats, together
from tracklayer.db import delivered as db
from tracklayer.db import deliveries as db_deliveries
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.counters import LATENCY_BOUNDS, Changes
from tracklayer.db.delivered import Place, Way, within
from tracklayer.db.deliveries import (
    Delivered,
    DeliverySearch,
    Lease,
    claim_due,
    deliveries_by_key,
    deliveries_of_events,
    insert_stored,
    lock_queue,
    page_of_deliveries,
    settle_delivered,
    settle_late,
    start_sending,
    with_delivery,
)
from tracklayer.db.erasures import erase_events
from tracklayer.db.events import EventSearch, page_of_events, purge_events
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.db.migrate import migrate
from tracklayer.db.schedule import place_of
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services import store
from tracklayer.services.deliver import deliver_due, sweep
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.privacy import purge_expired
from tracklayer.services.store import MOVING, keep_apart_again, may_keep_apart, move_back, move_delivered
from tracklayer.services.stored import deliver_stored
from tracklayer.settings import load_settings

DAY = timedelta(days=1)
HERE, THERE = "deliveries", "delivered"


def ingest(runtime: Runtime, merchant: Merchant, *event_ids: str) -> None:
    at = runtime.clock.now().isoformat()
    ingest_events(runtime, merchant.holder, [draft(event_id, occurred_at=at) for event_id in event_ids])


def deliver(runtime: Runtime, worker: int, merchant: Merchant) -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass


def ids_in(table: str, merchant: Merchant) -> list[str]:
    return [
        row[0]
        for row in select(f"SELECT event_id FROM {table} WHERE merchant_id = %s ORDER BY 1", merchant.merchant_id)
    ]


def sound(clock: FrozenClock) -> None:
    assert [one for one in check_invariants(clock.now()) if one.kind != "overdue"] == []


def claim(merchant: Merchant, clock: FrozenClock, worker: int, limit: int = 100) -> Lease:
    with in_transaction():
        found = claim_due(merchant.merchant_id, "meta", limit, clock.now(), worker)
    assert found is not None
    return found[0]


# Where it lies ---------------------------------------------------------------------------------------------------------


def test_what_is_delivered_leaves_the_table_of_what_waits_and_is_the_same_row(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    found: list[Any] = []
    for apart in (False, True):
        runtime.apart = apart
        ingest(runtime, merchant, f"order_{apart}")
        deliver(runtime, worker, merchant)
        ((row,),) = (page_of_deliveries(merchant.merchant_id, DeliverySearch(), 1),)
        assert row.event_id == f"order_{apart}"
        found.append(replace(row, event_id=""))
    assert found[0] == found[1]
    assert ids_in(HERE, merchant) == ["order_False"]
    assert ids_in(THERE, merchant) == ["order_True"]
    sound(clock)


def test_it_lies_by_when_its_merchants_retention_ends(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    for days in db.RETENTIONS:
        with in_transaction():
            execute("UPDATE merchants SET retention_days = %s WHERE merchant_id = %s", (days, merchant.merchant_id))
        ingest(runtime, merchant, f"order_{days:03}")
        deliver(runtime, worker, merchant)
    found = select("SELECT event_id, gone_by FROM delivered ORDER BY 1")
    for (event_id, gone_by), days in zip(found, db.RETENTIONS, strict=True):
        assert event_id == f"order_{days:03}"
        assert timedelta() < gone_by - (NOW + timedelta(days=days)).date() <= timedelta(days=db.PERIOD)
        assert gone_by.isoformat() in within(clock.now(), clock.now())


def test_it_is_found_by_whoever_knows_when_it_was_received(database: str) -> None:
    start = datetime(2025, 12, 20, 23, 59, tzinfo=UTC)
    with in_transaction():
        for hours in range(0, 24 * 60, 5):
            at = start + timedelta(hours=hours)
            near = rows(f"SELECT ARRAY(SELECT p::text FROM (VALUES {_places()}) AS v(p))", [at] * 4)[0][0]
            assert set(near) | {"-infinity", "infinity"} == set(within(at, at))
            assert set(within(at, at)) <= set(within(start, at))


def _places() -> str:
    return ", ".join(f"({db._gone_by('%s::timestamptz', str(days))})" for days in db.RETENTIONS)


def test_what_is_past_its_retention_when_it_is_delivered_lies_where_all_else_does_and_goes(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, "late", "waits")
    lease = claim(merchant, clock, worker, 1)
    clock.move(timedelta(days=300))
    with in_transaction():
        assert (
            settle_delivered(lease, Delivered(["late", "waits"], 200, clock.now()), clock.now(), Changes(), Way.APART)
            == 2
        )
        execute("DELETE FROM claims")
    assert select("SELECT DISTINCT gone_by::text, tableoid::regclass::text FROM delivered") == [
        ("infinity", "delivered_otherwise")
    ]
    assert len(deliveries_of(merchant, "late", "waits")) == 2
    assert purge_expired(runtime) == 2
    assert select("SELECT count(*) FROM delivered") == [(0,)]


def deliveries_of(merchant: Merchant, *event_ids: str) -> list[db_deliveries.DeliveryRow]:
    with in_transaction():
        found = deliveries_of_events(merchant.merchant_id, event_ids)
        by_key = deliveries_by_key(merchant.merchant_id, [(event_id, "meta") for event_id in event_ids])
        assert with_delivery(merchant.merchant_id, "meta", event_ids) == {key[0] for key in by_key}
    assert [row for event_id in event_ids for row in found[event_id]] == [by_key[one, "meta"] for one in event_ids]
    return list(by_key.values())


def test_a_late_answer_takes_it_out_too(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> None:
    for way, event_id in ((Way.IN_PLACE, "order_1"), (Way.APART, "order_2")):
        ingest(runtime, merchant, event_id)
        lease, sent_at = claim(merchant, clock, 999_999), clock.now()
        with in_transaction():
            assert start_sending(lease, [event_id], sent_at)
        sweep(runtime)  # its worker is gone: an attempt without an answer
        with in_transaction():
            changes = Changes()
            late = Delivered([event_id], 200, sent_at)
            assert settle_late(lease, late, clock.now(), changes, way) == 1
            assert settle_late(lease, late, clock.now(), changes, way) == 0
            changes.write()
    assert (ids_in(HERE, merchant), ids_in(THERE, merchant)) == (["order_1"], ["order_2"])
    first, second = deliveries_of(merchant, "order_1", "order_2")
    assert replace(first, event_id="") == replace(second, event_id="")
    assert (second.status, second.attempts, second.attempt_log[0]["outcome"]) == ("delivered", 1, "acknowledged")
    sound(clock)


# At the same moment ----------------------------------------------------------------------------------------------------


def _waiting() -> list[tuple[Any, ...]]:
    with psycopg2.connect(_url[0]) as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return list(cursor.fetchall())


_url: list[str] = []


@pytest.fixture(autouse=True)
def _knows_url(database: str) -> None:
    _url[:] = [database]


@pytest.mark.parametrize("goes", ["purge", "erase"])
@pytest.mark.parametrize("way", Way)
def test_an_event_that_goes_while_its_delivery_is_settled_leaves_nothing(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, goes: str, way: Way
) -> None:
    """The settlement has written and not committed; no lease keeps the event: it was lost, and its answer comes late."""
    ingest(runtime, merchant, "order_1", "order_2")
    lease, now = Lease(merchant.merchant_id, "meta", 1), clock.now()

    def delete() -> int:
        with in_transaction():
            if goes == "purge":
                return purge_events(merchant.merchant_id, now + DAY, 10, now)
            return len(erase_events(merchant.merchant_id, ["order_1", "order_2"], now).events)

    with in_transaction():
        changes = Changes()
        assert settle_delivered(lease, Delivered(["order_1"], 200, now), now, changes, way) == 1
        deleting = ThreadPoolExecutor(1)
        future = deleting.submit(delete)
        for _ in range(300):
            if _waiting():
                break
            time.sleep(0.01)
        changes.write()
    try:
        assert future.result(30) == 2
    except connection.DatabaseAwayError:
        assert goes == "erase"  # it waits for a quarter of a second only, and comes again
        assert delete() == 2
    deleting.shutdown()
    assert select("SELECT count(*) FROM all_deliveries") == [(0,)]
    assert select("SELECT count(*) FROM events") == [(0,)]
    sound(clock)


def test_a_delivery_that_is_being_delivered_is_not_made_a_second_time(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, "order_1")
    lease, now = Lease(merchant.merchant_id, "meta", 1), clock.now()

    def make() -> dict[str, datetime]:
        with in_transaction():
            lock_queue(merchant.merchant_id, "meta")
            return insert_stored(merchant.merchant_id, "meta", {"order_1": now}, now, DAY)

    with ThreadPoolExecutor(1) as pool:
        with in_transaction():
            changes = Changes()
            settle_delivered(lease, Delivered(["order_1"], 200, now), now, changes, Way.APART)
            changes.write()
            assert pool.submit(make).result(30) == {}  # it does not wait, either
        assert pool.submit(make).result(30) == {}
    assert (ids_in(HERE, merchant), ids_in(THERE, merchant)) == ([], ["order_1"])


def test_two_workers_with_the_same_answer_write_it_once(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    event_ids = [f"order_{n}" for n in range(200)]
    ingest(runtime, merchant, *event_ids)
    lease, now, total = Lease(merchant.merchant_id, "meta", 1), clock.now(), []

    def settle(those: list[str]) -> None:
        with in_transaction():
            changes = Changes()
            total.append(settle_delivered(lease, Delivered(those, 200, now), now, changes, Way.APART))
            changes.write()

    threads = [threading.Thread(target=settle, args=(those,)) for those in (event_ids, event_ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(total) == 200
    assert (ids_in(HERE, merchant), len(ids_in(THERE, merchant))) == ([], 200)
    sound(clock)


# While an older version lives -----------------------------------------------------------------------------------------


def test_nothing_is_put_apart_while_a_process_lives_that_would_not_find_it(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    runtime.apart = False
    ingest(runtime, merchant, "order_1")
    deliver(runtime, worker, merchant)
    with in_transaction():
        heartbeats.beat("new", ["worker"], "a", "1", {})
        execute(
            "INSERT INTO heartbeats (instance, role, host, version, started_at, beat_at, says) "
            "VALUES ('old', 'worker', 'b', '0', clock_timestamp(), clock_timestamp() - interval '9 minutes', "
            "'{\"reads_counted\": true}')"
        )
    assert not may_keep_apart(5)
    assert move_delivered(runtime) == 0
    assert ids_in(HERE, merchant) == ["order_1"]
    with in_transaction():
        execute("UPDATE heartbeats SET ended_at = clock_timestamp() WHERE instance = 'old'")
    assert may_keep_apart(5)
    assert move_delivered(runtime) == 1
    assert ids_in(THERE, merchant) == ["order_1"]


# Moving --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shops(runtime: Runtime, worker: int, clock: FrozenClock) -> list[Merchant]:
    """Three merchants with what was delivered in place, at many times and many at the same, and some that wait."""
    found = [new_merchant(runtime, name=f"Shop {n}") for n in range(3)]
    runtime.apart = False
    for turn in range(4):
        for shop in found:
            ingest(runtime, shop, *(f"order_{turn}_{n}" for n in range(30)))
            deliver(runtime, worker, shop)
        clock.move(timedelta(hours=7))
    for shop in found:
        ingest(runtime, shop, "waits")
    runtime.apart = True
    return found


def everything(shops: list[Merchant]) -> list[Any]:
    with in_transaction():
        return [
            [
                page_of_deliveries(shop.merchant_id, search, 500)
                for search in (DeliverySearch(), DeliverySearch(platform="meta"), DeliverySearch(status=("delivered",)))
            ]
            + [
                [
                    row.event_id
                    for row in page_of_events(shop.merchant_id, EventSearch(delivery_status="delivered"), 500)
                ]
            ]
            for shop in shops
        ]


def test_what_was_delivered_before_is_moved_step_by_step_wherever_it_is_ended(
    runtime: Runtime, shops: list[Merchant], clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(shops)
    monkeypatch.setattr(store, "BATCH", 25)  # fewer than are queued at the same time
    monkeypatch.setattr(store, "LARGEST", 25)
    moved = [move_delivered(runtime, timedelta()) for _ in range(3 * 6 + 3)]  # ended after each step
    assert sum(moved) == 3 * 120
    assert max(moved) <= 25
    assert everything(shops) == before
    assert [ids_in(HERE, shop) for shop in shops] == [["waits"]] * 3
    with in_transaction():
        assert (place_of(MOVING) or "").startswith("done ")
    assert move_delivered(runtime) == 0
    sound(clock)


def test_what_somebody_holds_is_left_for_the_next_round(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, database: str
) -> None:
    runtime.apart = False
    ingest(runtime, merchant, "order_1", "order_2")
    deliver(runtime, worker, merchant)
    with psycopg2.connect(database) as other, other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM deliveries WHERE event_id = 'order_1' FOR UPDATE")
        assert move_delivered(runtime) == 1
    assert move_delivered(runtime) == 0
    clock.move(timedelta(days=1))
    assert move_delivered(runtime) == 1
    assert ids_in(HERE, merchant) == []


def test_it_may_be_moved_back_for_the_version_before_and_again(
    runtime: Runtime, shops: list[Merchant], clock: FrozenClock
) -> None:
    before = everything(shops)
    assert move_delivered(runtime) == 3 * 120
    columns = "SELECT to_jsonb(d) FROM all_deliveries d ORDER BY merchant_id, event_id"
    moved = [{**row[0], "gone_by": None} for row in select(columns)]
    assert move_back(timedelta()) == (3 * 120, 0)
    assert select("SELECT count(*) FROM delivered") == [(0,)]
    assert [{**row[0], "gone_by": None} for row in select(columns)] == moved
    assert everything(shops) == before
    assert not may_keep_apart(5)
    assert move_delivered(runtime) == 0
    sound(clock)
    keep_apart_again()
    assert may_keep_apart(5)
    assert move_delivered(runtime) == 3 * 120
    sound(clock)


# Going ---------------------------------------------------------------------------------------------------------------


def test_the_purge_finds_what_lies_in_either_place_and_the_ledger_counts_it(
    runtime: Runtime, shops: list[Merchant], clock: FrozenClock
) -> None:
    with in_transaction():
        db.move(shops[0].merchant_id, Place(clock.now()), 70, clock.now())
    assert len(ids_in(THERE, shops[0])) == 70
    clock.move(timedelta(days=90) - timedelta(hours=6))
    assert purge_expired(runtime) == 3 * 120
    assert select("SELECT count(*) FROM delivered") == [(0,)]
    assert [ids_in(HERE, shop) for shop in shops] == [["waits"]] * 3
    assert select("SELECT sum(purged) FROM counted WHERE platform = 'meta'") == [(3 * 120,)]
    sound(clock)


def test_another_retention_needs_nothing_moved(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, "order_1")
    deliver(runtime, worker, merchant)
    for days, gone in ((365, 0), (30, 1)):
        clock.move(timedelta(days=60))
        with in_transaction():
            execute("UPDATE merchants SET retention_days = %s WHERE merchant_id = %s", (days, merchant.merchant_id))
        assert len(deliveries_of(merchant, "order_1")) == 1
        assert purge_expired(runtime) == gone
    assert select("SELECT count(*) FROM delivered") == [(0,)]


# Partitions -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(postgres: str, clock: FrozenClock) -> Iterator[Runtime]:
    """A database of its own: its tables come and go."""
    _run(postgres, "DROP DATABASE IF EXISTS partitions", "CREATE DATABASE partitions")
    url = url_of(postgres, "partitions")
    connection.disconnect()
    connection.connect(url)
    migrate()
    yield Runtime(load_settings({}), url, Sealer([API_KEY_SECRET]), clock, jitter=lambda: 0.0)
    connection.disconnect()
    _run(postgres, "DROP DATABASE partitions")


def days(now: datetime) -> list[date]:
    with in_transaction():
        return [one.gone_by for one in db.partitions() if one.gone_by is not None]


def test_partitions_are_made_long_before_they_are_needed_and_dropped_when_they_are_empty(
    database: str, own: Runtime, clock: FrozenClock
) -> None:
    today = datetime.now(UTC)
    with in_transaction():
        assert db.missing(today.date()) == []  # the migration made them
    clock.move(today - clock.now() + timedelta(days=200))
    merchant = new_merchant(own)
    ingest(own, merchant, "kept", "gone")
    with in_transaction():
        lease = Lease(merchant.merchant_id, "meta", 1)
        settle_delivered(lease, Delivered(["kept", "gone"], 200, clock.now()), clock.now(), Changes(), Way.APART)
    ((old,),) = select("SELECT DISTINCT gone_by FROM delivered")
    before = days(clock.now())
    store.see_to_partitions(own)
    after = days(clock.now())
    assert min(after) > (clock.now() - store.NOBODY_ADDS).date()
    assert set(before) - set(after) == {day for day in before if day <= (clock.now() - store.NOBODY_ADDS).date()}
    assert len(after) == (max(after) - min(after)).days // db.PERIOD + 1
    assert (max(after) - clock.now().date()).days > 365 + db.PERIOD * 2
    with in_transaction():
        assert db.missing(clock.now().date()) == []
        execute("UPDATE merchants SET retention_days = 365")
        execute("DELETE FROM delivered WHERE event_id = 'gone'")
    clock.move(timedelta(days=150))
    store.see_to_partitions(own)
    assert old not in days(clock.now())
    ((found,),) = select("SELECT gone_by FROM delivered WHERE event_id = 'kept'")  # it is where it belongs now
    assert found > clock.now().date()
    assert len(deliveries_of(merchant, "kept")) == 1


def test_what_has_no_partition_lies_in_the_one_of_all_else_and_is_found_there(
    database: str, own: Runtime, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.move(datetime.now(UTC) - clock.now() + timedelta(days=3000))
    merchant = new_merchant(own)
    ingest(own, merchant, "order_1")
    with in_transaction():
        changes = Changes()
        lease = Lease(merchant.merchant_id, "meta", 1)
        settle_delivered(lease, Delivered(["order_1"], 200, clock.now()), clock.now(), changes, Way.APART)
        changes.write()
    assert select("SELECT tableoid::regclass::text FROM delivered") == [("delivered_otherwise",)]
    assert len(deliveries_of(merchant, "order_1")) == 1
    store.see_to_partitions(own)
    assert "lie in delivered_otherwise" in caplog.text
    assert len(deliveries_of(merchant, "order_1")) == 1
    with in_transaction():
        assert len(db.missing(clock.now().date())) == 1
    clock.move(timedelta(days=91))
    assert purge_expired(own) == 1
    assert select("SELECT count(*) FROM delivered") == [(0,)]


def test_a_table_that_is_in_use_is_left_alone(database: str, own: Runtime, clock: FrozenClock) -> None:
    clock.move(datetime.now(UTC) - clock.now() + timedelta(days=200))
    before = days(clock.now())
    with psycopg2.connect(own.database_url) as other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM delivered")
        store.see_to_partitions(own)
        assert set(before) <= set(days(clock.now()))
    clock.move(store.LOOK_AGAIN * 2)
    store.see_to_partitions(own)
    assert min(days(clock.now())) > (clock.now() - store.NOBODY_ADDS).date()


# Plans ---------------------------------------------------------------------------------------------------------------


def test_settlements_go_by_key_also_where_the_table_was_empty_when_it_was_looked_at(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    """As it is most of the time: what waits is delivered, and leaves it."""
    ingest(runtime, merchant, *(f"order_{n}" for n in range(300)))
    deliver(runtime, worker, merchant)
    with in_transaction():
        execute("ANALYZE deliveries, delivered, events")
    for page in range(10):
        ingest(runtime, merchant, *(f"new_{page}_{n}" for n in range(300)))
    ids, now = [f"new_0_{n}" for n in range(300)], clock.now()
    answer = {"started": now, "at": "", "status": 200, "duration": 1, "bounds": list(LATENCY_BOUNDS), "log": 20}
    of_one = {"merchant": merchant.merchant_id, "platform": "meta", "ids": ids, "now": now, **answer}
    done = [
        {"merchant": merchant.merchant_id, "name": "meta", "event": one, "started": now, "said": ""} for one in ids[:50]
    ]
    of_many = {"done": JsonLiteral(done), "now": now, "log": 20, "bounds": list(LATENCY_BOUNDS)}
    for sql, params in ((db_deliveries.SETTLE_DELIVERED[Way.APART], of_one), (together.SETTLE[Way.APART], of_many)):
        with in_transaction():
            execute(together.BY_KEY, ("50",))
            found = scans(sql, params, ("deliveries",))
        assert found.keys() == {"deliveries_pkey", "by place"}
        assert "event_id" in found["deliveries_pkey"]


def test_all_that_take_and_put_deliveries_at_once_neither_lose_nor_double_one(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    """Workers of both ways, the move, the move back, purge and erasure: a bounded number of rounds of each, whoever is first."""
    faults: list[Exception] = []
    ids = [f"order_{n}" for n in range(120)]

    def rounds(what: Callable[[random.Random], object], seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(25):
                try:
                    what(dice)
                except connection.DatabaseAwayError:
                    continue  # it waited for somebody's row for as long as it may
        except Exception as error:  # noqa: BLE001 - the test tells
            faults.append(error)

    def send(dice: random.Random) -> None:
        ingest(runtime, merchant, *dice.sample(ids, 10))

    def work(dice: random.Random) -> None:
        runtime.apart = dice.random() < 0.6
        deliver_due(runtime, worker, merchant.merchant_id, "meta")

    def move(_: random.Random) -> None:
        with in_transaction():
            db.move(merchant.merchant_id, Place(clock.now() + DAY), 50, clock.now())

    def back(_: random.Random) -> None:
        with in_transaction():
            for one in db.partitions():
                db.move_back(one, 5)

    def purge(dice: random.Random) -> None:
        with in_transaction():
            purge_events(merchant.merchant_id, clock.now() + DAY, dice.randint(1, 10), clock.now())

    def erase(dice: random.Random) -> None:
        with in_transaction():
            erase_events(merchant.merchant_id, dice.sample(ids, 5), clock.now())

    def make(_: random.Random) -> None:
        deliver_stored(runtime, merchant.merchant_id, "meta", EventSearch())

    jobs = (send, work, work, move, back, purge, erase, make)
    threads = [threading.Thread(target=rounds, args=(job, seed)) for seed, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    keys = select("SELECT event_id FROM all_deliveries ORDER BY 1")
    assert len(set(keys)) == len(keys)
    assert keys == select("SELECT event_id FROM events ORDER BY 1")
    sound(clock)


def test_what_came_back_failed_while_its_person_was_erased_is_counted_as_dropped(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str
) -> None:
    """It was in a worker's hands when what waits was dropped, and no more when its event was deleted."""
    ingest(runtime, merchant, "order_1", "order_2")
    claim(merchant, clock, 999_999, 1)
    now = clock.now()

    def delete() -> int:
        with in_transaction():
            return len(erase_events(merchant.merchant_id, ["order_1", "order_2"], now).events)

    with psycopg2.connect(database) as other, other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute(
            "SELECT 1 FROM deliveries WHERE event_id NOT IN (SELECT unnest(event_ids) FROM claims) FOR UPDATE"
        )
        future = pool.submit(delete)  # it waits for that row, to drop it
        for _ in range(300):
            if _waiting():
                break
            time.sleep(0.01)
        with psycopg2.connect(database) as worker_, worker_.cursor() as answering:
            answering.execute("DELETE FROM claims")  # the answer: it failed, and waits for its next attempt
        other.commit()
        assert future.result(30) == 2
    assert select("SELECT sum(waiting)::int FROM queues") == [(0,)]
    sound(clock)
