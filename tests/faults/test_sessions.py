"""PostgreSQL that is silent, only reads, is locked or starts late: everybody is told in time, and nobody needs a restart."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import peewee
import psycopg2
import pytest

from tests.conftest import url_of
from tests.factories import API_KEY_SECRET, INGEST, Api, Merchant, camel, draft
from tests.faults.conftest import Installation
from tests.faults.proxy import FrozenProxy
from tests.servers import RedisServer, free_port, running, wait_for_api, wait_until
from tests.sessions import other_session
from tracklayer.actors.schedule import run_schedule
from tracklayer.app import build_app
from tracklayer.cli import doctor
from tracklayer.clock import SystemClock
from tracklayer.db import alerts, connection, folding, leases, migrate, queues, sessions, workers
from tracklayer.db.async_session import AsyncSession
from tracklayer.db.connect_faults import fault_of
from tracklayer.db.connection import (
    DatabaseAwayError,
    ReadTimeoutError,
    execute,
    in_transaction,
    rows,
    run_in_db_thread,
    statements_within,
)
from tracklayer.db.listen import Listener
from tracklayer.db.sessions import Limits
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.services.intake import Intake

QUICK = Limits(statement=300, lock=100)
AWAY = {"code": "DATABASE_AWAY", "retryable": True}


@pytest.fixture
def proxy(database: str) -> Iterator[FrozenProxy]:
    """The database of this test through a proxy; this process is connected through it."""
    with FrozenProxy(database) as made:
        connection.connect(made.url)
        yield made
        connection.connect(database)


@contextmanager
def direct(url: str, sql: str = "") -> Iterator[Any]:
    """A cursor of a session of the test's own, in a transaction in which ``sql`` was executed."""
    with other_session(url) as own, own.cursor() as cursor:
        if sql:
            cursor.execute(sql)
        yield cursor


def alone(url: str, sql: str) -> None:
    """Executes outside a transaction."""
    with other_session(url) as own:
        own.autocommit = True
        own.cursor().execute(sql)


@contextmanager
def set_on_database(url: str, setting: str, value: str) -> Iterator[None]:
    """A setting of the database, for sessions that begin now: those there are end."""
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    alone(url, f"ALTER DATABASE tracklayer SET {setting} = {value}")
    alone(url, others)
    try:
        yield
    finally:
        # It may be the very setting that forbids to change it.
        alone(f"{url}&options=-c%20default_transaction_read_only%3Doff", f"ALTER DATABASE tracklayer RESET {setting}")


async def until(holds: Callable[[], Any]) -> None:
    """Polls until it holds, which may be an awaitable."""
    async with asyncio.timeout(20):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


def now_or_away() -> str:
    try:
        with in_transaction():
            return str(rows("SELECT 'there'")[0][0])
    except DatabaseAwayError:
        return "away"


async def answers(session: AsyncSession) -> bool:
    try:
        return await session.execute("SELECT 3") == [(3,)]
    except DatabaseAwayError:
        return False


def is_stale(since: float) -> bool:
    return time.monotonic() - since > connection.FRESH_SECONDS


# Silent hosts ---------------------------------------------------------------------------------------------------------


async def test_where_the_address_swallows_connections_all_callers_are_told_at_once(proxy: FrozenProxy) -> None:
    proxy.freeze()
    before = proxy.connections
    calls = (run_in_db_thread(rows, "SELECT 1") for _ in range(64))
    found = await asyncio.gather(*calls, return_exceptions=True)
    tried = proxy.connections - before
    assert Counter(map(type, found)) == {DatabaseAwayError: 64}
    assert 1 <= tried < 32  # as many as have threads, and hardly another: who comes later waits for none of his own
    proxy.thaw()
    await asyncio.to_thread(wait_until, lambda: now_or_away() == "there", "a session to be had again")


async def test_a_host_that_vanishes_with_a_statement_in_hand_is_found_out(proxy: FrozenProxy) -> None:
    def ask() -> None:
        with in_transaction(), statements_within(0.2):
            proxy.freeze()
            rows("SELECT 1")

    with pytest.raises(DatabaseAwayError):
        ask()
    proxy.thaw()
    await asyncio.to_thread(wait_until, lambda: now_or_away() == "there", "a session to be had again")


async def test_sessions_whose_host_vanished_while_they_lay_about_delay_nobody_for_long(proxy: FrozenProxy) -> None:
    await asyncio.gather(*(run_in_db_thread(rows, "SELECT pg_sleep(0.05)") for _ in range(8)))  # several of them
    since = time.monotonic()
    proxy.freeze()
    await asyncio.to_thread(wait_until, lambda: is_stale(since), "them to have lain about")
    began = time.monotonic()
    found = await asyncio.gather(*(run_in_db_thread(rows, "SELECT 1") for _ in range(12)), return_exceptions=True)
    took = time.monotonic() - began
    assert Counter(map(type, found)) == {DatabaseAwayError: 12}
    assert took < 12 * connection.PING_SECONDS  # as it would be one after the other
    proxy.thaw()
    await asyncio.to_thread(wait_until, lambda: now_or_away() == "there", "a session to be had again")


async def test_who_waits_for_a_silent_host_is_told_when_another_finds_it_out(proxy: FrozenProxy) -> None:
    await asyncio.gather(*(run_in_db_thread(rows, "SELECT pg_sleep(0.05)") for _ in range(2)))
    begun, frozen = threading.Event(), threading.Event()

    def ask_for_long() -> None:
        own: sessions.Session = connection.database.connection()
        with own.answering_within(3600):
            begun.set()
            frozen.wait()
            rows("SELECT 1")

    asking = asyncio.create_task(run_in_db_thread(ask_for_long))
    await until(begun.is_set)
    proxy.freeze()
    frozen.set()
    since = time.monotonic()
    await until(lambda: is_stale(since))
    with pytest.raises(DatabaseAwayError):
        await run_in_db_thread(rows, "SELECT 1")
    async with asyncio.timeout(20):
        with pytest.raises(DatabaseAwayError):
            await asking


async def begun_for_long(statement: str, begun: threading.Event, goes_on: threading.Event) -> Any:
    """A statement in a session that may wait for its answer for an hour, once it may go on."""

    def ask_for_long() -> Any:
        own: sessions.Session = connection.database.connection()
        with own.answering_within(3600):
            begun.set()
            goes_on.wait()
            return rows(statement)

    return await run_in_db_thread(ask_for_long)


async def test_a_silent_host_is_found_out_while_a_statement_is_in_hand_though_nobody_else_asks(
    proxy: FrozenProxy,
) -> None:
    begun, frozen = threading.Event(), threading.Event()
    asking = asyncio.create_task(begun_for_long("SELECT 1", begun, frozen))
    await until(begun.is_set)
    proxy.freeze()
    frozen.set()
    async with asyncio.timeout(30):
        with pytest.raises(DatabaseAwayError):
            await asking


async def test_a_server_that_is_at_work_for_long_gives_a_sign_of_life_and_is_left_alone(
    proxy: FrozenProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PROBE_AFTER", 0.1)
    monkeypatch.setattr(sessions, "PROBE_SECONDS", 30.0)
    at_once = threading.Event()
    at_once.set()
    asking = asyncio.create_task(begun_for_long("SELECT pg_sleep(3), 7", threading.Event(), at_once))
    await until(lambda: proxy.sent.count(sessions._GSS_REQUEST) >= 3)
    assert (await asking)[0][1] == 7


@pytest.mark.parametrize("who", ["the pool", "ingest"])
async def test_a_server_that_lets_nobody_in_but_answers_on_the_sessions_there_are_is_not_silent(
    proxy: FrozenProxy, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(sessions, "PROBE_AFTER", 1.0)
    monkeypatch.setattr(sessions, "PROBE_SECONDS", 1.0)
    other = AsyncSession(proxy.url, {})
    assert await answers(other)

    async def of_the_pool() -> bool:
        return bool(await run_in_db_thread(rows, "SELECT 1"))

    at_once = threading.Event()
    at_once.set()
    begun = threading.Event()
    asking = asyncio.create_task(begun_for_long("SELECT pg_sleep(5), 7", begun, at_once))
    await until(begun.is_set)
    assert await of_the_pool()  # a second session of the pool
    proxy.hold()
    while not asking.done():
        assert await (of_the_pool() if who == "the pool" else answers(other))
        await asyncio.sleep(0.02)
    assert (await asking)[0][1] == 7
    assert sum(packet == sessions._GSS_REQUEST for packet in proxy.sent) >= 1
    sessions.circuit_of(proxy.url).admit()
    other.close()


async def test_the_session_of_ingest_finds_a_silent_host_out_and_comes_back(proxy: FrozenProxy) -> None:
    session = AsyncSession(proxy.url, {}, QUICK)
    assert await session.execute("SELECT 1") == [(1,)]
    proxy.freeze()
    for _ in range(2):  # with a statement in hand, then while it connects
        with pytest.raises(DatabaseAwayError):
            await session.execute("SELECT 2")
    proxy.thaw()
    await until(lambda: answers(session))
    session.close()


async def test_how_connecting_failed_while_nobody_asked_is_not_told_to_who_asks_later(proxy: FrozenProxy) -> None:
    session = AsyncSession(proxy.url, {})
    proxy.freeze()
    with pytest.raises(DatabaseAwayError):
        await session.execute("SELECT 1")
    opening = session._opening
    assert opening is not None
    await until(opening.done)
    ended = time.monotonic()
    proxy.thaw()
    await until(lambda: time.monotonic() > ended + sessions.REST_SECONDS)
    assert await session.execute("SELECT 1") == [(1,)]
    session.close()


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_session_that_came_when_nobody_waited_and_was_ended_since_serves_nobody(
    proxy: FrozenProxy, database: str, is_first: bool
) -> None:
    session = AsyncSession(proxy.url, {})
    if is_first:
        proxy.stall()
        with pytest.raises(DatabaseAwayError):
            await session.execute("SELECT 1")
        proxy.release()
    else:
        await session.execute("SELECT 1")
        session.renew()
    opening = session._opening
    assert opening is not None
    await until(opening.done)
    alone(database, f"SELECT pg_terminate_backend({opening.result().connection.info.backend_pid})")
    await until(opening.result().is_gone)
    assert await session.execute("SELECT 1") == [(1,)]
    session.close()


async def test_a_try_to_connect_that_was_called_off_before_it_began_keeps_nobody_from_another(database: str) -> None:
    session, other = AsyncSession(database, {}), AsyncSession(database, {})
    await session.execute("SELECT 1")
    sessions.circuit_of(database).failed(TimeoutError())
    failed = time.monotonic()
    await until(lambda: time.monotonic() > failed + sessions.REST_SECONDS)
    session.renew()
    opening = session._opening
    assert opening is not None
    session.close()
    await asyncio.wait((opening,))
    assert await other.execute("SELECT 1") == [(1,)]
    other.close()


async def test_names_are_resolved_off_the_event_loop(proxy: FrozenProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, asked_in = socket.getaddrinfo, []

    def noted(*args: Any, **options: Any) -> Any:
        asked_in.append(threading.current_thread())
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    session = AsyncSession(proxy.url.replace("127.0.0.1", "localhost"), {}, QUICK)
    await until(lambda: answers(session))
    assert asked_in
    assert threading.current_thread() not in asked_in
    starts = [packet for packet in proxy.sent if b"application_name\0" in packet]
    assert len(starts) == 1  # and libpq was given the address that was found
    session.close()


async def test_a_new_primary_behind_a_silent_first_host_is_found(proxy: FrozenProxy, database: str) -> None:
    with FrozenProxy(database) as second:
        proxy.freeze()
        name = second.url.rsplit("/", 1)[1]
        ports = f"127.0.0.1:{proxy.port},127.0.0.1:{second.port}"
        url = f"postgresql://postgres@{ports}/{name}?target_session_attrs=read-write"
        connection.connect(url)
        await asyncio.to_thread(wait_until, lambda: now_or_away() == "there", "the pool to reach the second host")
        session = AsyncSession(url, {}, QUICK)
        await until(lambda: answers(session))
        session.close()
        lock = WorkerLock(url)
        assert await asyncio.to_thread(lock.number)
        lock.release()


def is_locked(cursor: Any, number: int) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s::bigint::oid",
        (leases.WORKER_LOCK, number),
    )
    return bool(cursor.fetchone()[0])


def test_the_lock_of_a_worker_whose_host_vanished_comes_free(proxy: FrozenProxy, database: str) -> None:
    lock = WorkerLock(proxy.url, Limits(statement=300, lock=100, idle=500))
    number = lock.number()
    with direct(database) as cursor:
        cursor.connection.autocommit = True
        assert is_locked(cursor, number)
        proxy.freeze()
        with pytest.raises(DatabaseAwayError):  # and its thread is not stuck
            lock.number()
        wait_until(lambda: not is_locked(cursor, number), "the lock to come free")
    proxy.thaw()

    def has_it_again() -> bool:
        try:
            return lock.number() == number
        except DatabaseAwayError:
            return False

    wait_until(has_it_again, "the same number: what it has claimed is its own")
    lock.release()


def test_a_worker_that_lost_its_session_has_its_number_again_before_it_is_taken_for_gone(database: str) -> None:
    lock = WorkerLock(database)
    number = lock.number()
    with direct(database) as cursor:
        cursor.connection.autocommit = True
        cursor.execute(END_LOCKS)
        wait_until(lambda: not is_locked(cursor, number), "the lock to come free")
        wait_until(lambda: is_locked(cursor, number), "the lock to be held again, though nobody asks for the number")
    assert lock.number() == number
    lock.release()


def test_a_worker_is_given_longer_than_it_takes_to_have_its_number_again() -> None:
    longest = workers.LOOK_SECONDS + sessions.REST_SECONDS + sessions.CONNECT_SECONDS
    assert longest < leases.GRACE.total_seconds()


END_LOCKS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 'tracklayer lock' AND datname = current_database()"
)


def test_a_worker_whose_lost_session_the_server_did_not_miss_yet_has_its_number_again_when_it_does(
    database: str,
) -> None:
    lock = WorkerLock(database)
    number = lock.number()
    lock._session.close()  # type: ignore[union-attr]
    with direct(database) as zombie:
        zombie.connection.autocommit = True
        zombie.execute("SELECT pg_advisory_lock(%s, %s)", (leases.WORKER_LOCK, number))
        meanwhile = lock.number()
        assert meanwhile != number  # two never have the same
        zombie.connection.close()
    wait_until(lambda: lock.number() == meanwhile and has_both(database, number, meanwhile), "both to be held")
    lock.release()


def has_both(database: str, *numbers: int) -> bool:
    with direct(database) as cursor:
        return all(is_locked(cursor, number) for number in numbers)


def test_a_worker_that_asks_nothing_for_long_keeps_its_lock(database: str) -> None:
    lock = WorkerLock(database, Limits(statement=300, lock=100, idle=400))
    number, since = lock.number(), time.monotonic()
    wait_until(lambda: time.monotonic() - since > 1.2, "three times as long as a silent session lives")
    assert lock.number() == number
    lock.release()


def test_a_transaction_of_a_host_that_vanished_holds_its_locks_no_longer(proxy: FrozenProxy, database: str) -> None:
    limits = Limits(statement=300, lock=100, idle_in_transaction=200)
    vanished = sessions.connect(proxy.url, "tracklayer", limits)
    vanished.cursor().execute("BEGIN")
    vanished.cursor().execute("LOCK TABLE claims")
    proxy.freeze()
    with direct(database) as cursor:
        cursor.execute("LOCK TABLE claims")  # waits until the server ended the other one
    vanished.close()


async def test_who_listens_finds_a_silent_host_out_and_listens_again(proxy: FrozenProxy) -> None:
    listened: list[float] = []
    heard: list[str] = []
    listener = Listener(
        proxy.url, "some_channel", heard.append, lambda: listened.append(time.monotonic()), QUICK, ask_seconds=0.1
    )
    task = asyncio.create_task(listener.run())
    await until(lambda: listened)
    proxy.freeze()
    proxy.thaw()
    await until(lambda: len(listened) == 2)
    for number in range(5):  # and it hears, however often it is asked meanwhile
        await run_in_db_thread(rows, f"SELECT pg_notify('some_channel', '{number}'), pg_sleep(0.06)")
    await until(lambda: heard == ["0", "1", "2", "3", "4"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(listened) == 2


# What a session says of itself ------------------------------------------------------------------------------------------


async def test_no_session_asks_for_anything_at_its_start_that_a_pooler_refuses(proxy: FrozenProxy) -> None:
    session = AsyncSession(proxy.url, {})
    lock = WorkerLock(proxy.url)
    listening = asyncio.Event()
    listener = asyncio.create_task(Listener(proxy.url, "some_channel", lambda _: None, listening.set).run())
    await session.execute("SELECT 1")
    lock.number()
    await listening.wait()
    assert now_or_away() == "there"
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)
    session.close()
    lock.release()
    starts = [greeting for greeting in proxy.sent if b"application_name\0" in greeting]
    assert len(starts) == 4
    known = {"user", "database", "application_name", "client_encoding"}  # that PgBouncer takes in its mode `session`
    for start in starts:
        assert {word.decode() for word in start[8:].split(b"\0")[:-2:2]} <= known


def test_every_session_has_its_times(database: str) -> None:
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone"]
    with in_transaction():
        found = [rows(f"SHOW {name}")[0][0] for name in names]
        kernel = [rows(f"SELECT setting FROM pg_settings WHERE name = '{name}'")[0][0] for name in KERNEL]
    assert found == ["20s", "5s", "20s", "UTC"]
    assert kernel == ["5000", "panic"]


KERNEL = ("client_connection_check_interval", "log_min_error_statement")


def test_what_the_operators_url_says_holds() -> None:
    given = sessions.parameters("postgresql://h/db?connect_timeout=9&keepalives=0&application_name=mine", "tracklayer")
    assert given == {
        "keepalives_idle": 5,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 12_000,
    }


def test_times_in_the_operators_url_or_shorter_ones_of_the_database_hold(database: str) -> None:
    with set_on_database(database, "lock_timeout", "'70ms'"):
        url = f"{database}&options=-c%20statement_timeout%3D99s"
        with closing(sessions.connect(url, "tracklayer", sessions.POOL)) as session:
            assert session.ask("SHOW lock_timeout") == "70ms"
            assert session.ask("SHOW statement_timeout") == "99s"
            assert session.ask("SHOW idle_in_transaction_session_timeout") == "20s"


async def test_what_postgresql_refuses_does_not_stand_in_its_log(database: str, postgres: str) -> None:
    session = AsyncSession(database, {})
    with pytest.raises(psycopg2.Error):
        await session.execute("SELECT %s::int", ("jane.roe@example.com",))
    with pytest.raises(psycopg2.errors.NotNullViolation):
        await session.execute("INSERT INTO api_keys (name) VALUES (%s)", ("jane.roe@example.com",))
    session.close()
    log = Path(postgres.partition("host=")[2]) / "log"
    text = log.read_text(errors="replace")
    assert "STATEMENT:  INSERT INTO api_keys" not in text
    assert "Failing row" not in text


# Sick, not gone ---------------------------------------------------------------------------------------------------------

CANNOT_SERVE_NOW = "25006 25P03 53100 53200 53300 57014 57P01 57P02 57P03 57P05 58030 08006 08P01 55P03 40001 40P01 26000 42P05 42P01 3F000 42883".split()


@pytest.mark.parametrize("code", CANNOT_SERVE_NOW)
async def test_every_class_of_cannot_serve_now_is_told_as_away(database: str, code: str) -> None:
    fails = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
    with pytest.raises(DatabaseAwayError):
        await run_in_db_thread(execute, fails)
    session = AsyncSession(database, {})
    with pytest.raises(DatabaseAwayError):
        await session.execute(fails)
    assert await session.execute("SELECT 1") == [(1,)]
    session.close()
    assert now_or_away() == "there"


@pytest.mark.parametrize("code", ["22P02", "23505", "42703", "XX000"])
async def test_what_no_later_try_would_mend_is_not(database: str, code: str) -> None:
    fails = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
    with pytest.raises(peewee.DatabaseError):
        await run_in_db_thread(execute, fails)
    session = AsyncSession(database, {})
    with pytest.raises(psycopg2.Error):
        await session.execute(fails)
    session.close()


async def test_a_deadlock_is_tried_again_at_once(database: str) -> None:
    session = AsyncSession(database, {})
    await session.execute("CREATE TEMPORARY SEQUENCE tries")
    once = "DO $$ BEGIN IF nextval('tries') = 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END IF; END $$"
    await session.execute(once)
    assert await session.execute("SELECT last_value FROM tries") == [(2,)]
    session.close()


async def test_times_that_were_too_short_for_a_while_leave_no_session_behind(database: str) -> None:
    takes_a_while = "SELECT pg_sleep(0.3)"
    session = AsyncSession(database, {})

    async def of_the_session() -> None:
        await session.execute(takes_a_while)

    async def of_the_pool() -> None:
        await run_in_db_thread(rows, takes_a_while)

    async def runs(ask: Callable[[], Any]) -> bool:
        try:
            await ask()
        except DatabaseAwayError:
            return False
        return True

    for ask in (of_the_session, of_the_pool):
        connection.connect(database)  # the pool's sessions begin anew
        with set_on_database(database, "statement_timeout", "'200ms'"):
            assert not await runs(ask)
        await until(functools.partial(runs, ask))
    session.close()


async def stored(post: Callable[[], Any]) -> bool:
    return bool((await post()).status_code == 200)


async def test_a_database_that_only_reads_is_away_and_comes_back_without_a_restart(api: Api, database: str) -> None:
    def post() -> Any:
        return api.post(INGEST, {"input": camel(draft())})

    assert (await post()).status_code == 200
    with set_on_database(database, "default_transaction_read_only", "on"):
        for _ in range(3):
            away = await post()
            assert (away.status_code, away.json()["errors"][0]["extensions"]) == (503, AWAY)
        mutation = await api.post("mutation { pauseDestination(platform: META) { userErrors { code } } }")
        assert mutation.json()["errors"][0]["extensions"] == AWAY
        ready = await api.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {
            "ready": False,
            "why": "the database only reads: it is a standby, or was set to read only",
        }
        with pytest.raises(DatabaseAwayError), in_transaction():
            execute("DELETE FROM claims")
    # Every session that was opened meanwhile would only read for ever: none is kept.
    await until(lambda: stored(post))
    with in_transaction():
        execute("DELETE FROM claims")


async def test_behind_a_lock_the_caller_is_told_to_come_again(api: Api, database: str) -> None:
    def post() -> Any:
        return api.post(INGEST, {"input": camel(draft())})

    with set_on_database(database, "lock_timeout", "'100ms'"):
        await until(lambda: stored(post))  # the session that ended is replaced
        with direct(database, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"):
            away = await post()
            assert (away.status_code, away.json()["errors"][0]["extensions"]) == (503, AWAY)
            ready = await api.client.get("/readyz")
            assert ready.json()["why"] == "the database could not store what was sent a moment ago"
        await until(lambda: stored(post))
        assert (await api.client.get("/readyz")).status_code == 200


async def test_readiness_is_told_in_time_where_the_database_is_silent(
    proxy: FrozenProxy, runtime: Runtime, merchant: Merchant
) -> None:
    proxy.freeze()
    app = build_app(runtime, lambda _: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as client:
        async with asyncio.timeout(10):
            ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["why"] in ("the database is away", "the database does not answer")


async def test_a_session_whose_statements_could_not_all_be_prepared_is_thrown_away(
    runtime: Runtime, merchant: Merchant, database: str
) -> None:
    with set_on_database(database, "lock_timeout", "'100ms'"):
        intake = Intake(runtime, lambda _: None)
        with direct(database, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"), pytest.raises(DatabaseAwayError):
            await intake.ingest(merchant.holder, [draft("a")])
        assert [type(found).__name__ for found in await intake.ingest(merchant.holder, [draft("a")])] == ["Accepted"]
        await intake.close()


async def test_behind_a_proxy_that_gave_the_session_to_somebody_else_the_caller_is_told_to_come_again(
    database: str,
) -> None:
    session = AsyncSession(database, {"one": ("int", "SELECT $1")})
    assert await session.execute("EXECUTE one(1)") == [(1,)]
    await session.execute("DEALLOCATE ALL")
    with pytest.raises(DatabaseAwayError):
        await session.execute("EXECUTE one(1)")
    assert await session.execute("EXECUTE one(1)") == [(1,)]
    session.close()


async def test_a_redelivery_whose_filter_finds_too_much_is_ended(
    api: Api, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT_MS", 100)
    with direct(database, "LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"):
        answer = await api.post("mutation { redeliver(filter: {}, all: true) { matched } }")
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "READ_TIMEOUT"}


def test_what_housekeeping_may_do_for_longer_is_told_apart_from_away(database: str) -> None:
    with pytest.raises(ReadTimeoutError), in_transaction(), statements_within(0.05):
        rows("SELECT pg_sleep(5)")
    assert now_or_away() == "there"


def test_the_scheduler_outlives_locks_and_timeouts(
    runtime: Runtime, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    fired: list[str] = []
    stop = threading.Event()
    with set_on_database(database, "lock_timeout", "'50ms'"):
        thread = threading.Thread(target=run_schedule, args=(runtime, fired.append, stop))
        with direct(database, "LOCK TABLE periodic_jobs IN ACCESS EXCLUSIVE MODE"), caplog.at_level(logging.WARNING):
            thread.start()
            wait_until(lambda: "nothing is scheduled" in caplog.text, "it to meet the lock")
        wait_until(lambda: "sweep" in fired, "it to go on")
        stop.set()
        thread.join()


@contextmanager
def without_tables(url: str) -> Iterator[None]:
    """The schema goes by another name for a while."""
    alone(url, "ALTER SCHEMA public RENAME TO elsewhere")
    try:
        yield
    finally:
        alone(url, "ALTER SCHEMA elsewhere RENAME TO public")


def test_the_scheduler_outlives_tables_that_are_not_there_and_whatever_else_a_look_raises(
    runtime: Runtime, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.clock = SystemClock()
    fired: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=run_schedule, args=(runtime, fired.append, stop), daemon=True)
    with without_tables(database):
        thread.start()
        wait_until(lambda: "nothing is scheduled" in caplog.text, "it to miss its table")
        wait_until(lambda: "another search_path?" in caplog.text, "what is wrong to be told")
    wait_until(lambda: "sweep" in fired, "it to go on")
    alone(database, "ALTER TABLE periodic_jobs RENAME COLUMN next_run_at TO elsewhere_at")
    wait_until(lambda: "looking for what is due failed" in caplog.text, "it to meet something else")
    fired.clear()
    alone(database, "ALTER TABLE periodic_jobs RENAME COLUMN elsewhere_at TO next_run_at")
    wait_until(lambda: "sweep" in fired, "it to go on again")
    assert caplog.text.count("looking for what is due failed") == 1
    stop.set()
    thread.join()


async def test_while_its_tables_are_not_there_the_caller_is_told_to_come_again(api: Api, database: str) -> None:
    def post() -> Any:
        return api.post(INGEST, {"input": camel(draft("a"))})

    assert (await post()).status_code == 200
    with without_tables(database):
        for _ in range(3):
            answer = await post()
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert answer.json()["errors"][0]["extensions"] == AWAY
    await until(lambda: stored(post))


async def test_a_search_path_that_led_nowhere_for_a_while_leaves_no_session_behind(api: Api, database: str) -> None:
    def post() -> Any:
        return api.post(INGEST, {"input": camel(draft("a"))})

    assert (await post()).status_code == 200
    with set_on_database(database, "search_path", "'nowhere'"):

        async def is_refused() -> bool:
            return bool((await post()).status_code == 503)

        await until(is_refused)
    await until(lambda: stored(post))
    assert [(await post()).status_code for _ in range(8)] == [200] * 8


def test_no_two_advisory_locks_share_a_number() -> None:
    numbers = [migrate.LOCK, leases.WORKER_LOCK, queues.QUEUE_LOCK, alerts.ALERT_LOCK, folding.FOLD_LOCK]
    assert len(set(numbers)) == len(numbers)


# Migrations ---------------------------------------------------------------------------------------------------------------


def somebody_waits(cursor: Any, doing: str) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    cursor.execute(waiting, (f"%{doing}%",))
    return bool(cursor.fetchone()[0])


@pytest.fixture
def half_migrated(postgres: str) -> Iterator[str]:
    """A database that lacks the migrations after the eighth."""
    alone(postgres, "DROP DATABASE IF EXISTS half")
    alone(postgres, "CREATE DATABASE half")
    url = url_of(postgres, "half")
    connection.connect(url)
    with connection.session():
        migrate._runner().up("0008_window")
    yield url
    connection.disconnect()
    alone(postgres, "DROP DATABASE half WITH (FORCE)")


def test_a_migration_behind_a_long_reader_lets_everybody_else_pass(half_migrated: str) -> None:
    applied: list[str] = []
    thread = threading.Thread(target=lambda: applied.extend(migrate.migrate(lock_seconds=0.05)))
    with direct(half_migrated, "SELECT count(*) FROM events"), direct(half_migrated) as other:
        thread.start()
        other.connection.autocommit = True
        other.execute("SET lock_timeout = '1s'")
        wait_until(lambda: somebody_waits(other, "ALTER"), "the migration to wait for the table")
        for _ in range(20):
            other.execute("DELETE FROM events")  # none waits for as long as the reader reads
    thread.join(30)
    assert applied == ALL_AFTER_0008


ALL_AFTER_0008 = sorted(path.stem for path in migrate.MIGRATIONS.glob("0*.py") if path.stem > "0008_window")


def test_an_index_that_is_made_later_keeps_nobody_from_writing(half_migrated: str) -> None:
    with connection.session():
        migrate._runner().up("0010_refused_examples")
    # What a try that was ended in the middle leaves behind.
    url = f"{half_migrated}&options=-c%20lock_timeout%3D50"
    with direct(half_migrated, "DELETE FROM events"), pytest.raises(psycopg2.errors.LockNotAvailable):
        alone(url, "CREATE INDEX CONCURRENTLY events_late ON events (merchant_id)")
    thread = threading.Thread(target=migrate.migrate)
    with direct(half_migrated, "DELETE FROM events"), direct(half_migrated) as other:
        thread.start()
        other.connection.autocommit = True
        wait_until(lambda: somebody_waits(other, "events_late"), "the migration to wait for who writes")
        other.execute("SET lock_timeout = '1s'")
        other.execute("DELETE FROM events")
    thread.join(30)
    with connection.session():
        assert rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'events_late'::regclass") == [(True,)]
        assert "received_at - occurred_at" in rows("SELECT pg_get_indexdef('events_late'::regclass)")[0][0]


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ('connection to server at "db", port 5432 failed: Connection refused', True),
        ('connection to server at "db", port 5432 failed: timeout expired', True),
        ('could not translate host name "db" to address: Name or service not known', True),
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", True),
        ("SSL SYSCALL error: EOF detected", True),
        ("server closed the connection unexpectedly", True),
        ('FATAL:  password authentication failed for user "timer"', False),
        ('FATAL:  database "nowhere" does not exist', False),
        ("fe_sendauth: no password supplied", False),
        ("server does not support SSL, but SSL was required", False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "x", database "y", no encryption', False),
    ],
)
def test_a_role_waits_for_what_passes_by_itself_and_for_nothing_else(said: str, passes: bool) -> None:
    error = DatabaseAwayError()
    error.__cause__ = psycopg2.OperationalError(said)
    fault = fault_of(error)
    assert fault is not None
    assert fault.passing is passes


# Roles that start early -----------------------------------------------------------------------------------------------


def test_a_role_that_starts_early_waits_and_says_for_what(proxy: FrozenProxy, runtime: Runtime) -> None:
    proxy.refuse()
    port = free_port()
    with RedisServer() as redis:
        environ = {
            "TRACKLAYER_DATABASE_URL": proxy.url,
            "TRACKLAYER_REDIS_URL": redis.url,
            "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        }
        with (
            running("api", "--port", str(port), environ=environ) as api,
            running("worker", environ=environ) as worker,
            running("scheduler", environ=environ) as scheduler,
        ):
            for role in (api, worker, scheduler):
                wait_until(lambda role=role: "waiting for PostgreSQL" in role.output(), "it to say what it waits for")  # type: ignore[misc]
                assert f"at 127.0.0.1:{proxy.port}" in role.output()
                assert "hunter2" not in role.output()
            assert scheduler.stop() == 0  # a signal ends the waiting
            proxy.thaw()
            wait_for_api(api, f"http://127.0.0.1:{port}")
            wait_until(lambda: "PostgreSQL is there" in worker.output(), "the worker to find it")
            assert worker.stop() == 0
        wrong = {**environ, "TRACKLAYER_DATABASE_URL": proxy.url.replace("/tracklayer", "/nowhere")}
        with running("scheduler", environ=wrong) as scheduler:
            wait_until(lambda: not scheduler.is_running(), "what will not mend itself to end it")
            assert "waiting" not in scheduler.output()


def test_all_roles_serve_again_without_a_restart_after_the_databases_host_vanished(
    proxy: FrozenProxy, installation: Installation, database: str, now: Callable[[], str]
) -> None:
    connection.connect(database)  # the test's own sessions go another way
    installation.environ["TRACKLAYER_DATABASE_URL"] = proxy.url
    client = installation.client(installation.api())
    installation.worker()
    installation.scheduler()

    def post(event_id: str) -> httpx.Response:
        variables = {"input": camel(draft(event_id, occurred_at=now()))}
        return client.post("/graphql", json={"query": INGEST, "variables": variables})

    assert post("before").status_code == 200
    wait_until(lambda: "before" in installation.accepted(), "the first event to go out")
    proxy.freeze()
    away = post("during")
    assert (away.status_code, away.json()["errors"][0]["extensions"]) == (503, AWAY)
    assert client.get("/readyz").status_code == 503
    proxy.thaw()  # another host has its address; what is connected to the old one stays silent
    wait_until(lambda: post("after").status_code == 200, "ingest to work again")
    wait_until(lambda: "after" in installation.accepted(), "the event after it to go out")
    assert client.get("/readyz").status_code == 200


def test_doctor_says_that_the_database_only_reads(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    with set_on_database(database, "default_transaction_read_only", "on"):
        faults = [found.message for found in doctor.examine() if not found.ok]
    assert "only reads, so nothing can be stored: a standby, or set to read only" in faults
