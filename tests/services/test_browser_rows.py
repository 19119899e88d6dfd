"""Whoever writes of browsers takes their rows first: so a refusal leaves nothing, and nobody waits crosswise."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, new_merchant
from tests.services.test_erase import DIGEST, EMAIL, begin, finish, of, send, state, stored
from tests.sessions import other_session
from tracklayer.clock import FrozenClock
from tracklayer.db import identities as db
from tracklayer.db.connection import database as connections
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.identities import Link, Shown
from tracklayer.db.leases import LEASE
from tracklayer.runtime import Runtime
from tracklayer.services import deliver as engine
from tracklayer.services import stitch
from tracklayer.services.collect import Call, store
from tracklayer.services.deliver import deliver_due
from tracklayer.services.erase import Request
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.privacy import forget_refused
from tracklayer.services.sweep import sweep

BROWSER = "b" * 32
PATIENCE_MS = 60_000
ROWS_OF = {
    "browser_signals": "SELECT 1 FROM browser_signals WHERE browser_id = %s FOR UPDATE NOWAIT",
    "browser_people": "SELECT 1 FROM browser_people WHERE browser_id = %s FOR UPDATE NOWAIT",
}


@contextmanager
def in_the_background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Ends when the work has ended; what it raised, it raises."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            failed.append(error)
        finally:
            connections.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    if failed:
        raise failed[0]


def until_it_waits(database: str, thread: threading.Thread) -> None:
    """For a lock that somebody holds, or has ended."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with other_session(database) as session, session.cursor() as cursor:
        session.autocommit = True
        while thread.is_alive():
            cursor.execute(sql)
            if (cursor.fetchone() or (0,))[0]:
                return
            time.sleep(0.01)


def link(merchant: Merchant, clock: FrozenClock, browser_id: str = BROWSER, digest: str = DIGEST) -> None:
    of_her = Link(browser_id, "email", digest, {"as_given": digest}, clock.now())
    db.link_people(merchant.merchant_id, [of_her], clock.now())


def refuse(merchant: Merchant, clock: FrozenClock, *browser_ids: str) -> None:
    at = clock.now() + timedelta(seconds=1)
    calls = [Call(merchant.merchant_id, one, at, "denied", forgets=True) for one in browser_ids]
    store(calls, PATIENCE_MS)


def test_what_was_being_written_of_a_browser_goes_with_a_refusal(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str
) -> None:
    """Another process has written, and not committed, when the refusal comes."""
    with in_transaction():
        db.show(merchant.merchant_id, [Shown(BROWSER, None, None, clock.now(), "granted")])
    for write in (
        lambda: db.show(merchant.merchant_id, [Shown(BROWSER, "fbclid", "click", clock.now(), "granted")]),
        lambda: link(merchant, clock),
    ):
        written, go_on = threading.Event(), threading.Event()

        def other(write: Callable[[], None] = write, written: Any = written, go_on: Any = go_on) -> None:
            with in_transaction():
                write()
                written.set()
                go_on.wait()

        with in_the_background(other):
            written.wait()
            with in_the_background(lambda: refuse(merchant, clock, BROWSER)) as refusal:
                until_it_waits(database, refusal)
                go_on.set()
        with in_transaction():
            assert rows("SELECT consent FROM browsers") == [("denied",)]
            assert rows("SELECT kind FROM browser_signals") == []
            assert rows("SELECT kind FROM browser_people") == []
            execute("UPDATE browsers SET consent = 'granted'")


def test_what_came_in_the_moment_of_a_first_refusal_goes_a_little_later(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str
) -> None:
    """There is no row of that browser yet that either could hold."""
    other = new_merchant(runtime, name="Other")
    written, go_on = threading.Event(), threading.Event()

    def order() -> None:
        with in_transaction():
            link(merchant, clock)
            written.set()
            go_on.wait()

    with in_the_background(order):
        written.wait()
        refuse(merchant, clock, BROWSER, *(f"refused-{number:04}" for number in range(9)))
        go_on.set()
    with in_transaction():
        link(merchant, clock)  # from then on it is known
        link(merchant, clock, "4f8a1c5e9b2d-other")
        link(other, clock)
        assert rows("SELECT count(*) FROM browser_people") == [(3,)]
    clock.move(timedelta(minutes=1))
    assert forget_refused(runtime) == 1
    with in_transaction():
        found = rows("SELECT merchant_id, browser_id FROM browser_people ORDER BY 1, 2")
    assert found == [(merchant.merchant_id, "4f8a1c5e9b2d-other"), (other.merchant_id, BROWSER)]
    assert forget_refused(runtime) == 0


def test_what_came_in_that_moment_goes_too_where_no_worker_was_there_for_an_hour(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    assert forget_refused(runtime) == 0
    clock.move(timedelta(minutes=1))
    written, go_on = threading.Event(), threading.Event()

    def order() -> None:
        with in_transaction():
            link(merchant, clock)
            written.set()
            go_on.wait()

    with in_the_background(order):
        written.wait()
        refuse(merchant, clock, BROWSER)
        go_on.set()
    clock.move(timedelta(hours=1))
    assert forget_refused(runtime) == 1
    assert forget_refused(runtime) == 0


@pytest.mark.parametrize("who", ["show", "link", "refuse", "erase"])
def test_whoever_writes_of_a_browser_takes_its_row_first(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str, who: str
) -> None:
    merchant_id = merchant.merchant_id
    shown = [Shown(BROWSER, "fbclid", "click", clock.now())]
    with in_transaction():
        db.show(merchant_id, shown)
        link(merchant, clock)
    row = begin(runtime, merchant, Request(email=EMAIL))
    with in_transaction():
        execute("UPDATE erasures SET stage = 'people', next_at = requested_at")

    def work() -> None:
        if who == "refuse":
            refuse(merchant, clock, BROWSER)
        elif who == "erase":
            continue_erasures(runtime, 0.1)
        else:
            with in_transaction():
                db.show(merchant_id, shown) if who == "show" else link(merchant, clock, digest="0" * 64)

    with other_session(database) as holder, other_session(database) as looker:
        holder.cursor().execute("SELECT FROM browsers FOR UPDATE")
        with in_the_background(work) as thread:
            until_it_waits(database, thread)
            assert thread.is_alive()
            for sql in ROWS_OF.values():
                with looker.cursor() as cursor:
                    cursor.execute(sql, (BROWSER,))  # fails where it is held
                    assert cursor.fetchall() == [(1,)]
            looker.rollback()
            holder.rollback()
    assert who != "erase" or state(row).counts["browser_signals"] == 1


def test_calls_links_refusals_and_erasures_never_wait_crosswise(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    browsers = [f"browser_{number:04}" for number in range(12)]
    people = [f"{number:064}" for number in range(4)]
    now = clock.now()

    def show(some: list[str]) -> None:
        at = now + timedelta(seconds=2)
        db.show(merchant.merchant_id, [Shown(one, "gclid", f"click-{one}", at, "granted") for one in some])

    def link_some(some: list[str]) -> None:
        links = [Link(one, "email", digest, {}, now) for one in some for digest in people]
        db.link_people(merchant.merchant_id, links, now)

    def erase(some: list[str]) -> None:
        held = db.hold_browsers(merchant.merchant_id, some)
        db.forget_browsers(merchant.merchant_id, some[:3], held)

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for step in range(40):
            some = dice.sample(browsers, 6)
            if (seed + step) % 4 == 0:
                refuse(merchant, clock, *some)
                continue
            with in_transaction():
                (show, link_some, erase)[(seed + step) % 4 - 1](some)

    with (
        in_the_background(lambda: work(1)),
        in_the_background(lambda: work(2)),
        in_the_background(lambda: work(3)),
        in_the_background(lambda: work(4)),
    ):
        pass
    with in_transaction():
        lost = "SELECT count(*) FROM browser_signals s LEFT JOIN browsers b USING (merchant_id, browser_id) WHERE b.browser_id IS NULL"
        assert rows(lost) == [(0,)]


def test_nothing_is_decided_about_an_event_that_was_erased_meanwhile(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker hung for longer than its lease."""
    with in_transaction():
        link(merchant, clock, "c" * 32, "1" * 64)  # from now on events are stitched
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    decide = stitch.stitched

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(engine, "stitched", decide)

        def others() -> None:
            clock.move(LEASE + timedelta(minutes=1))
            sweep(runtime)
            finish(runtime, clock, row)

        with in_the_background(others):
            pass
        return decide(*arguments)

    monkeypatch.setattr(engine, "stitched", late)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert stored(merchant) == []
    assert state(row).receipt is not None
    with in_transaction():
        assert rows("SELECT event_id FROM enrichments") == []
