"""What hangs on its way into the database for too long does not get in: an erasure may have finished meanwhile."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import FrameType

import pytest

from tests.factories import INGEST, Api, Merchant, camel, draft
from tests.faults.proxy import FrozenProxy
from tests.faults.test_sessions import until
from tests.servers import wait_until
from tests.services.test_erase import stored
from tests.sessions import is_waited_for, other_session
from tracklayer.cli.import_events import Import
from tracklayer.clock import elapsed
from tracklayer.db import connection as connections_to
from tracklayer.db.async_session import AsyncSession, Moment
from tracklayer.db.connection import DatabaseAwayError, in_transaction, rows, session
from tracklayer.db.connection import database as connections
from tracklayer.db.lateness import KNOWN_SECONDS, begin_storing, end_storing
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.sessions import INGEST as LIMITS
from tracklayer.keyring import LIFETIME
from tracklayer.runtime import Runtime
from tracklayer.services import collect
from tracklayer.services import group_commit as module
from tracklayer.services import ingest as service
from tracklayer.services.erase import ON_ITS_WAY, SETTLE
from tracklayer.services.identify import identify
from tracklayer.services.ingest import Accepted, ingest_events
from tracklayer.services.intake import Intake
from tracklayer.services.waiting_room import TURN_EVENTS, LateError


@pytest.fixture
def proxy(runtime: Runtime, database: str) -> Iterator[FrozenProxy]:
    """The intake goes through it, and nothing else does."""
    with FrozenProxy(database) as made:
        runtime.database_url = made.url
        yield made


@pytest.mark.parametrize(("seconds", "gets_in"), [(1.0, False), (3600.0, True)])
async def test_a_statement_that_hung_on_its_way_stores_nothing(
    runtime: Runtime,
    merchant: Merchant,
    proxy: FrozenProxy,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    gets_in: bool,
) -> None:
    """Its caller heard long ago that the database is away."""
    intake = Intake(runtime, lambda _: None)
    await intake.ingest(merchant.holder, [draft("before")])
    with monkeypatch.context() as patch:
        patch.setattr(module, "LATE_SECONDS", seconds)
        proxy.stall()
        began = time.monotonic()
        with pytest.raises((DatabaseAwayError, LateError)):
            await intake.ingest(merchant.holder, [draft("hung")])
    await until(lambda: time.monotonic() > began + 1.2)
    proxy.release()
    await until(lambda: intake._short.task is None)
    assert stored(merchant) == (["before", "hung"] if gets_in else ["before"])
    (again,) = await intake.ingest(merchant.holder, [draft("hung")])
    assert isinstance(again, Accepted) is not gets_in
    await intake.close()


async def test_a_call_that_waited_behind_others_is_told_to_come_again(
    api: Api, runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "LATE_SECONDS", -1.0)
        answer = await api.post(INGEST, {"input": camel(draft("late"))})
    assert answer.status_code == 503
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "OVERLOADED", "retryable": True}
    assert "waited for more than" in error["message"]
    assert stored(merchant) == []
    assert (await api.ingest(draft("late")))["outcome"] == "ACCEPTED"


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Also what never lets the event loop go on."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it does not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def test_a_call_that_is_late_and_whose_caller_has_gone_stops_nobody(
    runtime: Runtime, merchant: Merchant, proxy: FrozenProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that came over a WebSocket which was closed, while the database stood still."""
    intake = Intake(runtime, lambda _: None)
    await intake.ingest(merchant.holder, [draft("before")])
    await until(lambda: intake._short.task is None)
    proxy.stall()
    hung = asyncio.create_task(intake.ingest(merchant.holder, [draft("hung")]))
    await until(lambda: intake._short.task is not None and not intake._short._waiting)
    gone = asyncio.create_task(intake.ingest(merchant.holder, [draft("gone")]))
    await until(lambda: bool(intake._short._waiting))
    gone.cancel()
    flush = intake._short.task
    assert flush is not None
    with monkeypatch.context() as patch, ends_within(3):
        patch.setattr(module, "LATE_SECONDS", -1.0)
        proxy.release()
        await flush
    assert isinstance((await hung)[0], Accepted)
    assert (gone.cancelled(), intake.events) == (True, 0)
    assert isinstance((await intake.ingest(merchant.holder, [draft("after")]))[0], Accepted)
    assert stored(merchant) == ["after", "before", "hung"]
    await intake.close()


async def test_a_server_whose_clock_was_set_is_asked_again_what_time_it_is(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(runtime, lambda _: None)
    await intake.ingest(merchant.holder, [draft("before")])
    session = intake._short._session
    assert session._clock is not None
    shown, at = session._clock
    session._clock = shown - timedelta(hours=1), at
    assert isinstance((await intake.ingest(merchant.holder, [draft("first")]))[0], Accepted)  # it did not wait for long
    session._clock = shown - timedelta(hours=1), at
    calls = (intake.ingest(merchant.holder, [draft(event_id)]) for event_id in ("a", "b", "c"))
    assert [type(one) for (one,) in await asyncio.gather(*calls)] == [Accepted] * 3
    assert stored(merchant) == ["a", "b", "before", "c", "first"]
    await intake.close()


async def test_a_moment_is_told_in_the_servers_own_time_and_never_later(database: str) -> None:
    session = AsyncSession(database, {})
    for ahead in (-5.0, 5.0):
        moment = Moment(elapsed() + ahead)
        ((left,),) = await session.execute("SELECT %s::timestamptz - clock_timestamp()", [moment])
        assert left <= timedelta(seconds=ahead)
    session.close()


async def test_a_clock_that_was_set_back_is_known_after_a_few_seconds(database: str) -> None:
    session = AsyncSession(database, {})
    await session.execute("SELECT %s::timestamptz", [Moment(elapsed())])
    assert session._clock is not None
    shown, at = session._clock
    session._clock = shown + timedelta(hours=1), at - 6
    ((left,),) = await session.execute("SELECT %s::timestamptz - clock_timestamp()", [Moment(elapsed() + 5)])
    assert left <= timedelta(seconds=5)
    session.close()


def test_an_import_that_hung_stores_nothing(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(service, "LATE_SECONDS", -1.0)
        with pytest.raises(DatabaseAwayError):
            ingest_events(runtime, merchant.holder, [draft()])
        with pytest.raises(DatabaseAwayError):
            ingest_events(runtime, merchant.holder, [draft(occurred_at="yesterday")])
    assert stored(merchant) == []
    assert isinstance(ingest_events(runtime, merchant.holder, [draft()]).outcomes[0], Accepted)


LATE = service.LATE_SECONDS + 1
BROWSER = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("forgets", [False, True])
def test_what_a_page_showed_and_hung_on_its_way_is_not_kept(
    runtime: Runtime, merchant: Merchant, forgets: bool
) -> None:
    now = runtime.clock.now()

    def call(late: float) -> collect.Call:
        signals = () if forgets else [("gclid", "Cj0", now)]
        consent = "denied" if forgets else None
        arrived = elapsed() - late
        return collect.Call(merchant.merchant_id, BROWSER, now, consent, signals, forgets=forgets, arrived=arrived)

    with pytest.raises(DatabaseAwayError):
        collect.store([call(0), call(LATE)], 250)
    assert counted("browsers") == 0
    assert collect.store([call(0)], 250) == [collect.Outcome.DENIED if forgets else collect.Outcome.KEPT_NEW]
    assert counted("browsers") == 1
    with session():
        own = connections.connection()
        shown, at = own.clock
        own.clock = shown - timedelta(hours=1), at  # the server's was set since
        assert collect.store([call(0)], 250) == [collect.Outcome.DENIED if forgets else collect.Outcome.KEPT]
        assert own.clock[0] >= shown


def test_whom_a_backend_named_and_that_hung_on_its_way_is_not_linked(runtime: Runtime, merchant: Merchant) -> None:
    jane = {"email": "jane@example.com"}
    with pytest.raises(DatabaseAwayError):
        identify(runtime, merchant.holder, BROWSER, jane, elapsed() - LATE)
    assert counted("browser_people") == 0
    assert identify(runtime, merchant.holder, BROWSER, jane).is_linked
    assert counted("browser_people") == 1


def test_what_the_first_question_takes_is_time_on_the_way_too(runtime: Runtime, database: str) -> None:
    with FrozenProxy(database) as proxy:

        def hang() -> None:
            with in_transaction():
                rows("SELECT 1")
                proxy.stall()
                later = threading.Timer(1.0, proxy.release)
                later.start()
                limit = begin_storing(0.5)
                later.join()
                end_storing(limit)

        connections_to.connect(proxy.url)
        try:
            with pytest.raises(DatabaseAwayError):
                hang()
        finally:
            connections_to.connect(database)


def counted(table: str) -> int:
    with in_transaction():
        return int(rows(f"SELECT count(*) FROM {table}")[0][0])


def test_an_erasure_waits_for_longer_than_anything_is_on_its_way() -> None:
    late = timedelta(seconds=KNOWN_SECONDS + service.LATE_SECONDS)
    assert late + timedelta(milliseconds=LIMITS.statement) < ON_ITS_WAY
    assert late + timedelta(seconds=5) < ON_ITS_WAY  # an import that idles before its commit
    assert LIFETIME <= timedelta(seconds=KNOWN_SECONDS) < SETTLE


def asked_long_ago(merchant: Merchant, seconds: float = KNOWN_SECONDS + LATE) -> KeyHolder:
    return replace(merchant.holder, asked_at=elapsed() - seconds)


async def test_what_is_judged_by_what_was_known_long_ago_is_late(runtime: Runtime, merchant: Merchant) -> None:
    """Its process stood still before it looked at the event: it may know nothing of an erasure that has finished since."""
    intake = Intake(runtime, lambda _: None)
    with pytest.raises(LateError):
        await intake.ingest(asked_long_ago(merchant), [draft("short")])
    with pytest.raises(LateError):
        await intake.ingest(asked_long_ago(merchant), [draft(f"long_{n}") for n in range(TURN_EVENTS)])
    with pytest.raises(DatabaseAwayError):
        ingest_events(runtime, asked_long_ago(merchant), [draft("imported")])
    with pytest.raises(DatabaseAwayError):
        identify(runtime, asked_long_ago(merchant), BROWSER, {"email": "jane@example.com"})
    assert (stored(merchant), counted("browser_people")) == ([], 0)
    assert isinstance((await intake.ingest(merchant.holder, [draft("short")]))[0], Accepted)
    await intake.close()


def test_what_waited_before_it_was_judged_came_when_its_merchant_was_asked_for(
    runtime: Runtime, merchant: Merchant
) -> None:
    """Whoever looks for what came before everybody knew of an erasure finds it."""
    now = runtime.clock.now()
    ago = timedelta(seconds=6)
    call = service.judge(runtime, asked_long_ago(merchant, ago.total_seconds()), [draft()])
    assert call.now <= now - ago + timedelta(seconds=KNOWN_SECONDS)
    assert service.judge(runtime, replace(merchant.holder, asked_at=elapsed()), [draft()]).now == now


def test_an_import_that_was_stopped_for_long_goes_on_with_what_is_known_now(
    runtime: Runtime, merchant: Merchant, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.1
    started = Import(runtime, merchant.holder, 0)
    with other_session(database) as other, ThreadPoolExecutor(1) as threads:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        with monkeypatch.context() as patch:
            patch.setattr(service, "LATE_SECONDS", seconds)
            late = threads.submit(started._ingest, [draft()])
            wait_until(lambda: late.done() or is_waited_for(other), "it to wait")
            time.sleep(2 * seconds)
        other.commit()
        assert isinstance(late.result()[0], Accepted)
    assert stored(merchant) == ["order_1"]


def test_an_import_that_waited_for_longer_than_may_be_stores_nothing(
    runtime: Runtime, merchant: Merchant, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.1
    monkeypatch.setattr(service, "LATE_SECONDS", seconds)
    with other_session(database) as other, ThreadPoolExecutor(1) as threads:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        hung = threads.submit(ingest_events, runtime, merchant.holder, [draft()])
        wait_until(lambda: hung.done() or is_waited_for(other), "it to wait")
        time.sleep(2 * seconds)  # it began to wait before: from now on it is late, whatever the machine is at
        other.commit()
        with pytest.raises(DatabaseAwayError):
            hung.result()
    assert stored(merchant) == []
