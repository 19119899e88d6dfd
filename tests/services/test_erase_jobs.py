"""Erasures as jobs: what stops one is told, what waits for one goes on, and many share their look at the events."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.factories import API_KEY_SECRET, Api, Merchant
from tests.services.test_erase import EMAIL, begin, deliver, finish, of, send, state, stored
from tests.sessions import other_session
from tracklayer import cli
from tracklayer.clock import FrozenClock
from tracklayer.db import identities, redeliveries
from tracklayer.db import queues as db_queues
from tracklayer.db.connection import database, execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.identities import Shown
from tracklayer.db.sealing_keys import keys_of_erasures
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services import alone
from tracklayer.services.access_package import export_person
from tracklayer.services.destinations import example_settings, set_destination
from tracklayer.services.erase import ON_ITS_WAY, Request
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.keys import confirm_keys, forget_lost_keys, look_at_keys

NEW_KEY = "another-secret-key-of-forty-characters-xx"
ERASURES = """{ merchant { erasures { nodes { state failingSince receipt } } } }"""


def keys(*secrets: str) -> Sealer:
    return Sealer(secrets)


async def test_what_a_job_looks_for_needs_its_key_until_it_has_finished(
    runtime: Runtime,
    merchant: Merchant,
    api: Api,
    clock: FrozenClock,
    migrated: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The key is rotated in mid-job, and then taken away."""
    old = runtime.sealer
    confirm_keys(old, clock.now())
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    runtime.sealer, runtime.marker = keys(NEW_KEY, API_KEY_SECRET), None
    confirm_keys(runtime.sealer, clock.now())
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    with in_transaction():
        assert old.newest in keys_of_erasures()
    runtime.sealer, runtime.marker = keys(NEW_KEY), None
    assert look_at_keys(runtime.sealer).lost == {old.newest}

    for _ in range(2):
        clock.move(timedelta(minutes=2))
        continue_erasures(runtime, 30)
    assert state(row).failures == 2
    (told,) = (await api(ERASURES))["merchant"]["erasures"]["nodes"]
    assert told == {"state": "RUNNING", "failingSince": "2026-11-20T15:03:20.000Z", "receipt": None}
    with in_transaction():
        execute("UPDATE erasures SET failing_since = %s", (datetime.now(UTC) - timedelta(hours=1),))
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", migrated)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", NEW_KEY)
    assert cli.main(["doctor"]) == 1
    assert f"a step fails again and again of {row.erasure_id} of merchant {row.merchant_id}" in capsys.readouterr().out

    runtime.sealer, runtime.marker = keys(NEW_KEY, API_KEY_SECRET), None
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, row)
    assert done.failing_since is None
    assert done.receipt is not None
    with in_transaction():
        assert keys_of_erasures().keys() == {runtime.sealer.newest}


async def test_a_job_whose_key_is_given_up_says_so(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    confirm_keys(runtime.sealer, clock.now())
    row = begin(runtime, merchant, Request(email=EMAIL))
    runtime.sealer, runtime.marker = keys(NEW_KEY), None
    assert forget_lost_keys(runtime.sealer, clock.now()) == 1
    (told,) = (await api(ERASURES))["merchant"]["erasures"]["nodes"]
    assert told == {"state": "GIVEN_UP", "failingSince": None, "receipt": None}
    assert state(row).wanted == b""
    assert continue_erasures(runtime, 30) == 0
    again = begin(runtime, merchant, Request(email=EMAIL))
    assert finish(runtime, clock, again).counts["events"] == 1


def test_a_queue_that_somebody_holds_keeps_no_other_one_waiting(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, migrated: str
) -> None:
    """The lock of a host that vanished: the step is over at once, and with it the locks that it has."""
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    with in_transaction():
        before = rows("SHOW lock_timeout")
    with other_session(migrated) as holder:
        holder.cursor().execute(db_queues.LOCK_QUEUE, db_queues.queue(merchant.merchant_id, "tiktok"))
        waits: list[Any] = []
        real = db_queues.lock_queue
        with pytest.MonkeyPatch.context() as patch:

            def lock(*queue: Any) -> None:
                waits.extend(rows("SHOW lock_timeout"))
                real(*queue)

            patch.setattr("tracklayer.db.queues.lock_queue", lock)
            continue_erasures(runtime, 30)
        assert waits == [("250ms",), ("250ms",)] != before
        assert state(row).failures == 1
        deliver(runtime, worker, merchant)
        holder.rollback()
    clock.move(timedelta(seconds=10))
    assert finish(runtime, clock, row).counts["events"] == 1
    assert stored(merchant) == ["his"]


def test_a_queue_that_somebody_holds_for_long_is_no_fault(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    migrated: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log says it now and then, without a trace, and the erasure is tried again seconds later."""
    monkeypatch.setattr(alone, "DELAY_AGAIN_SECONDS", 3600.0)  # however slow this machine is
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    with other_session(migrated) as holder, caplog.at_level(logging.INFO):
        holder.cursor().execute(db_queues.LOCK_QUEUE, db_queues.queue(merchant.merchant_id, "meta"))
        for number in (1, 2, 3):
            continue_erasures(runtime, 0.1)
            assert state(row).failures == number
            clock.move(timedelta(seconds=10))
        told = [(one.levelname, one.message, one.exc_info) for one in caplog.records if "erasure" in one.message]
        what = f"erasures of merchant {merchant.merchant_id}: waiting for rows that somebody holds"
        assert told == [("INFO", f"{what}, or that take too long; tried again every 10 s", None)]
    assert finish(runtime, clock, row).counts["events"] == 1


def test_whoever_asks_without_end_keeps_none_from_ending(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, migrated: str
) -> None:
    """Two, of whom one always has the lock and the other waits for it, as when a hundred are asked for in a second."""
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    is_over = threading.Event()

    def ask() -> None:
        with other_session(migrated) as asking:
            while not is_over.is_set():
                with asking, asking.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext('erasures'))", (merchant.merchant_id,))
                    cursor.execute("SELECT pg_sleep(0.02)")

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(30):
            continue_erasures(runtime, 30)
            clock.move(timedelta(minutes=1))
    finally:
        is_over.set()
        for asker in askers:
            asker.join()
    assert state(row).receipt is not None


def test_a_redelivery_that_does_not_end_holds_no_erasure_for_ever(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    with in_transaction():
        job = redeliveries.insert_redelivery(merchant.merchant_id, DeliverySearch(), True, clock.now())
        redeliveries.insert_pages(job, [[("hers", "meta"), ("his", "meta")]])
        job.examples = {"purged": "hers"}
        job.next_page_at = clock.now() + timedelta(days=300)
        redeliveries.save_redelivery(job)
    row = begin(runtime, merchant, Request(email=EMAIL))
    for _ in range(30):
        continue_erasures(runtime, 30)
        clock.move(timedelta(minutes=1))
    assert state(row).receipt is not None
    with in_transaction():
        assert rows("SELECT refused_examples FROM redeliveries") == [({"purged": "erased"},)]
        assert rows("SELECT keys FROM redelivery_pages") == [([["erased", "meta"], ["his", "meta"]],)]


def test_a_redelivery_that_stands_at_an_erased_event_is_waited_for_a_day(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    with in_transaction():
        job = redeliveries.insert_redelivery(merchant.merchant_id, DeliverySearch(), False, clock.now())
        job.search = DeliverySearch(after=(clock.now(), "hers", "meta"))
        job.next_page_at = clock.now() + timedelta(days=300)
        redeliveries.save_redelivery(job)
    row = begin(runtime, merchant, Request(email=EMAIL))
    stages = []
    for _ in range(30):
        for _ in range(3):
            continue_erasures(runtime, 30)
            clock.move(timedelta(minutes=20))
        stages.append(state(row).stage)
    assert stages[0] == stages[20] == "traces"
    assert stages[-1] == "finished"


def test_what_is_called_as_an_erased_event_stays(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """Somebody's events have ids that are words of ours."""
    send(runtime, merchant, of("meta"), of("platform"))
    details = orjson.dumps({"platform": "meta", "example_event_id": "meta"}).decode()
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, title, message, details, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'warning', 'x', 'y', %s, %s, %s)",
            (merchant.merchant_id, details, clock.now(), clock.now()),
        )
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    with in_transaction():
        assert rows("SELECT details FROM alerts") == [({"platform": "meta", "example_event_id": "erased"},)]


def test_ids_with_backticks_and_within_words_leave_no_mention(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ids = ("canary`1", "canary-order-77", "canary-order-7", "T`1", "refund", "C1", "123456")
    send(runtime, merchant, *(of(one) for one in ids), of("canary-order-8", "john@shop.example"))
    said = (
        "Events `canary`1`, `T`1`, `C1` and xcanary-order-77x, 'canary-order-7', canary-order-8; a refund of C1, `refund`.",
        "{'id': 'canary-order-77', 'C1': 1}",
        "see canary-order-7/refund, no. 123456 of 1234567",
        orjson.dumps({"last_error": "id=canary-order-77;", "kind": "refund", "reason": "no canary`1"}).decode(),
        "HTTP 400: canary-order-7canary-order-77",
    )
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, title, message, note, details, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'warning', %s, %s, %s, %s, %s, %s)",
            (merchant.merchant_id, said[1], said[0], said[2], said[3], clock.now(), clock.now()),
        )
        execute(
            "INSERT INTO alert_channels (merchant_id, kind, shown, secrets, topics, min_severity, created_at, last_error) "
            "VALUES (%s, 'webhook', 'x', '', '{}', 'warning', %s, %s)",
            (merchant.merchant_id, clock.now(), said[4]),
        )
        execute(
            "INSERT INTO channel_messages (merchant_id, channel_id, type, data, last_error, created_at, due_at, "
            "next_attempt_at) SELECT %s, channel_id, 'delivery.dropped', '{}', %s, %s, %s, %s FROM alert_channels",
            (merchant.merchant_id, said[4], *[clock.now()] * 3),
        )
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert done.counts["mentions"] == 3
    with in_transaction():
        ((message, title, note, details),) = rows("SELECT message, title, note, details FROM alerts")
        for table in ("alert_channels", "channel_messages"):
            assert rows(f"SELECT last_error FROM {table}") == [("HTTP 400: erasederased",)]
    # A word, or what is too short to be told from one, stays where it is not marked as an id.
    assert message == (
        "Events `erased`, `erased`, `erased` and xerasedx, 'erased', canary-order-8; a refund of C1, `erased`."
    )
    assert (title, note) == ("{'id': 'erased', 'C1': 1}", "see erased/refund, no. erased of 1234567")
    assert details == {"last_error": "id=erased;", "kind": "refund", "reason": "no erased"}


def test_a_slow_reader_of_an_access_package_keeps_no_transaction_open(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    with in_transaction():
        identities.show(merchant.merchant_id, [Shown("4f8a1c5e9b2d7f60" * 2, "fbp", "fb.1.1", clock.now())])
    send(runtime, merchant, of("hers", browser_id="4f8a1c5e9b2d7f60" * 2), of("hers-too"))
    clock.move(timedelta(minutes=1))
    parts = []
    asked = Request(email=EMAIL, browser_id="4f8a1c5e9b2d7f60" * 2, event_ids=("hers", "hers-too"))
    for part in export_person(runtime, merchant.merchant_id, asked):
        parts.append(part[0])
        assert not database.in_transaction()
    assert parts == ["event", "event", "browser"]
