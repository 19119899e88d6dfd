"""Queries from a streaming standby: nobody can tell the difference, whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.datastructures import Secret

from tests.factories import INGEST, Api, Merchant, camel, draft, new_merchant
from tests.faults.conftest import Installation
from tests.servers import PATIENCE_SECONDS, free_port, running, wait_for_api, wait_until
from tests.sessions import other_session
from tests.standby import StandbyServer
from tracklayer.app import Application, build_app
from tracklayer.cli.doctor import examine
from tracklayer.db import connection
from tracklayer.db.connection import ReadTimeoutError, rows
from tracklayer.db.standby import (
    ANOTHER,
    AWAY,
    CANCELED,
    NO_STANDBY,
    read_for_merchant,
    reading_from,
    sentence_of,
    standby_trouble,
)
from tracklayer.runtime import Runtime
from tracklayer.services.export import PAGE as PAGE_OF_EXPORT
from tracklayer.services.export import export_pages
from tracklayer.services.ingest import ingest_events

LAG = timedelta(seconds=5)  # more than a loaded machine needs, so that no test falls back by chance
SHORT = timedelta(seconds=1)
EVENT = "query($id: String!) { event(eventId: $id) { eventId timesReceived deliveries { platform status } } }"
PAGE = "{ events { edges { node { eventId deliveries { platform } } } } merchant { name } }"
RENAME = (
    "mutation($name: String!) { updateMerchant(input: {name: $name}) { merchant { name destinations { state } } } }"
)
BEHIND = (
    "the standby of TRACKLAYER_READ_DATABASE_URL is more than 1 s behind the primary: the primary serves all queries"
)


@pytest.fixture(scope="module")
def follower(migrated: str) -> Iterator[StandbyServer]:
    """A standby of the server of the tests, for all of this module that do it no lasting harm."""
    with StandbyServer(Path(migrated.partition("host=")[2])) as server:
        yield server


@pytest.fixture
def lonely(migrated: str) -> Iterator[StandbyServer]:
    """One that the test may kill."""
    with StandbyServer(Path(migrated.partition("host=")[2])) as server:
        yield server


class Statements(logging.Handler):
    """What this process asks, and of whom: ``standby``, ``primary``. Sessions' own look at themselves is not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.standby: list[str] = []
        self.primary: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "peewee":  # but of its pool
            return
        sql = record.msg[0] if isinstance(record.msg, tuple) else str(record.msg)
        (self.standby if connection._lent.here else self.primary).append(sql)

    def clear(self) -> None:
        self.standby.clear()
        self.primary.clear()


@pytest.fixture
def asked() -> Iterator[Statements]:
    found, logger = Statements(), logging.getLogger("peewee")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(found)
    yield found
    logger.removeHandler(found)
    logger.setLevel(level)


@dataclass
class Server:
    """An API in this process. ``trouble``: of its standby."""

    app: Application
    client: httpx.AsyncClient
    api: Api

    @property
    def trouble(self) -> str | None:
        standby = self.app.door.house.standby
        assert standby is not None
        return standby.trouble

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < ends, what
            await asyncio.sleep(0.02)

    async def warnings(self) -> list[str]:
        answer = (await self.client.get("/readyz")).json()
        assert answer["ready"], answer
        return [found for found in answer.get("warnings", []) if "standby" in found]


@asynccontextmanager
async def serving(runtime: Runtime, merchant: Merchant, url: str, lag: timedelta = LAG) -> AsyncIterator[Server]:
    settings = replace(runtime.settings, read_database_url=Secret(url), read_lag=lag)
    app = build_app(replace(runtime, settings=settings), lambda wake: None)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tracklayer") as client:
            yield Server(app, client, Api(client, merchant.key))


def name_of(database: str) -> str:
    return urlsplit(database).path.strip("/")


def store(runtime: Runtime, merchant: Merchant, *ids: str) -> None:
    """As another process would."""
    ingest_events(runtime, merchant.holder, [draft(event_id) for event_id in ids])


async def test_a_query_is_read_from_the_standby_and_nothing_else_is(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer, asked: Statements
) -> None:
    store(runtime, merchant, "a")
    async with serving(runtime, merchant, follower.url_of(name_of(database))) as server:
        for _ in range(3):  # by the stock executor, then by a plan
            asked.clear()
            assert [edge["node"]["eventId"] for edge in (await server.api(PAGE))["events"]["edges"]] == ["a"]
            assert len([sql for sql in asked.standby if "FROM" in sql and "set_config" not in sql]) == 3
            # What is left is one short question, how far the primary has come, and whose key it is the first time.
            read = [sql for sql in asked.primary if "api_keys" not in sql]
            assert [sql.split()[:2] for sql in read if "SELECT" in sql] == [["SELECT", "system_identifier,"]] * len(
                read
            )
        asked.clear()
        answer = await server.client.get(
            "/graphql", params={"query": PAGE}, headers={"authorization": f"Bearer {merchant.key}"}
        )
        assert answer.json()["data"]["merchant"] == {"name": "Shop"}
        assert asked.standby
        asked.clear()
        assert (await server.api(RENAME, name="Another"))["updateMerchant"]["merchant"] == {
            "name": "Another",
            "destinations": [{"state": "ACTIVE"}],
        }
        await server.api(INGEST, input=camel(draft("b")))
        assert asked.standby == []
        assert server.trouble is None


async def test_whatever_was_acknowledged_before_a_query_is_in_its_answer_whoever_wrote_it(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer, asked: Statements
) -> None:
    async with (
        serving(runtime, merchant, follower.url_of(name_of(database))) as one,
        serving(runtime, merchant, follower.url_of(name_of(database))) as other,
    ):
        for number in range(60):
            event_id = f"order_{number}"
            if number % 2:
                store(runtime, merchant, event_id)
            else:
                await one.api.ingest(draft(event_id))
            assert (await other.api(EVENT, id=event_id))["event"]["eventId"] == event_id
            name = f"Shop {number}"
            await one.api(RENAME, name=name)
            assert (await other.api("{ merchant { name } }"))["merchant"] == {"name": name}
        assert one.trouble is None
        assert other.trouble is None
    pages = [sql for sql in asked.primary if sql.startswith("SELECT") and "times_received" in sql]
    assert pages == []


async def test_many_who_ask_at_once_ask_the_primary_together(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer, asked: Statements
) -> None:
    store(runtime, merchant, "a")
    async with serving(runtime, merchant, follower.url_of(name_of(database))) as server:
        await server.api(EVENT, id="a")
        asked.clear()
        found = await asyncio.gather(*(server.api(EVENT, id="a") for _ in range(40)))
        assert all(answer["event"]["eventId"] == "a" for answer in found)
        assert len([sql for sql in asked.primary if "pg_current_wal_flush_lsn" in sql]) <= 4
        assert not [sql for sql in asked.primary if "FROM events" in sql]


async def test_one_that_stands_still_is_not_read_from_and_that_is_told_once(
    runtime: Runtime,
    merchant: Merchant,
    database: str,
    follower: StandbyServer,
    asked: Statements,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = follower.url_of(name_of(database))
    async with serving(runtime, merchant, url, SHORT) as server:
        await server.api(PAGE)
        await server.until(lambda: server.trouble is None, "the standby to serve")
        caplog.clear()
        follower.pause()
        try:
            for number in range(5):
                store(runtime, merchant, f"order_{number}")
                assert (await server.api(EVENT, id=f"order_{number}"))["event"]["timesReceived"] == 1
            assert server.trouble == BEHIND
            assert await server.warnings() == [BEHIND]
            assert standby_trouble(url, SHORT) == BEHIND
            asked.clear()
            await server.api(PAGE)
            assert not [sql for sql in asked.standby if "FROM events" in sql]
        finally:
            follower.resume()
        await server.until(lambda: server.trouble is None, "the standby to serve again")
        assert await server.warnings() == []
        asked.clear()
        assert len((await server.api(PAGE))["events"]["edges"]) == 5
    told = [r.getMessage() for r in caplog.records if r.name == "tracklayer.db.standby"]
    assert told == [BEHIND, "the standby serves queries again"]


async def test_one_of_two_that_stands_still_does_not_keep_the_other_from_serving(
    runtime: Runtime,
    merchant: Merchant,
    database: str,
    follower: StandbyServer,
    lonely: StandbyServer,
    asked: Statements,
) -> None:
    url = f"postgresql://postgres:@/{name_of(database)}?host={follower.data},{lonely.data}&load_balance_hosts=random"
    store(runtime, merchant, "before")
    async with serving(runtime, merchant, url, SHORT) as server:
        await asyncio.gather(
            *(server.api(EVENT, id="before") for _ in range(40))
        )  # so that there are sessions with both
        lonely.pause()
        try:
            ends, rounds, served = time.monotonic() + PATIENCE_SECONDS, 0, 0
            while served < 20:  # in a row by the other one
                assert time.monotonic() < ends, "the other one to serve"
                rounds += 1
                store(runtime, merchant, f"order_{rounds}")
                asked.clear()
                answers = await asyncio.gather(*(server.api(EVENT, id=f"order_{rounds}") for _ in range(4)))
                assert all(answer["event"]["timesReceived"] == 1 for answer in answers)
                is_theirs = server.trouble is None and not [sql for sql in asked.primary if "FROM events" in sql]
                served = served + 1 if is_theirs else 0
            assert await server.warnings() == []
        finally:
            lonely.resume()


async def test_one_that_has_all_there_is_serves_while_nothing_is_written(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer, asked: Statements
) -> None:
    async with serving(runtime, merchant, follower.url_of(name_of(database))) as server:
        await server.api(PAGE)
        follower.pause()
        try:
            asked.clear()
            await server.api(PAGE)
            assert [sql for sql in asked.standby if "FROM merchants" in sql or '"merchants"' in sql]
        finally:
            follower.resume()


@pytest.mark.parametrize("end", ["kill", "freeze", "stop"])
async def test_one_that_goes_away_costs_nobody_an_answer(
    end: str,
    runtime: Runtime,
    merchant: Merchant,
    database: str,
    lonely: StandbyServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store(runtime, merchant, "a")
    async with serving(runtime, merchant, lonely.url_of(name_of(database))) as server:
        await server.api(EVENT, id="a")
        getattr(lonely, end)()
        found = await asyncio.gather(*(server.api(EVENT, id="a") for _ in range(30)))
        assert all(answer["event"]["eventId"] == "a" for answer in found)
        await server.until(lambda: server.trouble == sentence_of(AWAY), "the trouble to be known")
        store(runtime, merchant, "b")
        assert (await server.api(EVENT, id="b"))["event"]["eventId"] == "b"
        assert await server.warnings() == [sentence_of(AWAY)]
        assert standby_trouble(lonely.url_of(name_of(database)), LAG) == sentence_of(AWAY) or end == "freeze"
        lonely.thaw() if end == "freeze" else lonely.start()
        await server.until(lambda: server.trouble is None, "the standby to serve again")
        assert (await server.api(EVENT, id="b"))["event"]["eventId"] == "b"
    told = [r.getMessage() for r in caplog.records if r.name == "tracklayer.db.standby"]
    assert told == [sentence_of(AWAY), "the standby serves queries again"]


async def test_one_that_was_promoted_is_a_database_of_its_own(
    runtime: Runtime, merchant: Merchant, database: str, lonely: StandbyServer, asked: Statements
) -> None:
    url = lonely.url_of(name_of(database))
    async with serving(runtime, merchant, url) as server:
        await server.api(PAGE)
        lonely.promote()
        with other_session(url) as own, own.cursor() as cursor:
            cursor.execute("UPDATE merchants SET name = 'Of another time'")
            own.commit()
        asked.clear()
        assert (await server.api("{ merchant { name } }"))["merchant"] == {"name": "Shop"}
        assert server.trouble == sentence_of(NO_STANDBY)
        await asyncio.sleep(0)
        # A standby of what was promoted has all that the primary has, by its number of bytes, and is on another timeline.
        with StandbyServer(lonely.data) as of_another:
            assert standby_trouble(of_another.url_of(name_of(database)), LAG) == sentence_of(ANOTHER)


async def test_after_a_fail_over_another_standby_serves(
    runtime: Runtime, merchant: Merchant, database: str, lonely: StandbyServer, asked: Statements
) -> None:
    name = name_of(database)
    with StandbyServer(lonely.data) as second:
        lonely.promote()
        connection.connect(lonely.url_of(name))
        try:
            store(runtime, merchant, "after the fail-over")
            async with serving(runtime, merchant, second.url_of(name)) as server:
                await server.until(
                    lambda: second.ask("SELECT max(received_tli) FROM pg_stat_wal_receiver") == 2, "news"
                )
                await server.until(lambda: server.trouble is None, "the second one to serve")
                asked.clear()
                found = (await server.api(EVENT, id="after the fail-over"))["event"]
                assert found["timesReceived"] == 1
                assert [sql for sql in asked.standby if "times_received" in sql]
        finally:
            connection.connect(database)


async def test_a_door_that_is_jammed_keeps_nobody_from_reading(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer
) -> None:
    """Whose key is known is answered, though no short question is: then the primary is read from."""
    async with serving(runtime, merchant, follower.url_of(name_of(database))) as server:
        await server.api("{ merchant { name } }")
        with other_session(database) as other:
            other.cursor().execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
            stuck = [
                asyncio.create_task(server.api.post(EVENT, {"id": "a"}, key=f"tl_{'x' * 30}{n}")) for n in range(4)
            ]
            await asyncio.sleep(0)
            assert (await server.api("{ merchant { name } }"))["merchant"] == {"name": "Shop"}
            await asyncio.gather(*stuck)


def test_the_primary_itself_is_no_standby(database: str) -> None:
    assert standby_trouble(database, LAG) == sentence_of(NO_STANDBY)


@pytest.mark.parametrize("is_between", [False, True], ids=["in a statement", "between two statements"])
async def test_a_query_that_is_canceled_for_what_is_replayed_is_served_by_the_primary(
    runtime: Runtime,
    merchant: Merchant,
    database: str,
    follower: StandbyServer,
    caplog: pytest.LogCaptureFixture,
    is_between: bool,
) -> None:
    began, served, goes_on = asyncio.Event(), [], threading.Event()
    loop = asyncio.get_running_loop()
    url = follower.url_of(name_of(database))

    def long_look(merchant_id: int) -> int:
        served.append(connection._lent.here)
        with connection.bounded_read():
            found = int(rows("SELECT count(*) FROM answers_of_the_test")[0][0])
            loop.call_soon_threadsafe(began.set)
            if connection._lent.here and is_between:
                goes_on.wait(PATIENCE_SECONDS)
            if connection._lent.here:
                rows("SELECT pg_sleep(9)")
        return found

    def is_ended() -> bool:
        with other_session(url) as looker, looker.cursor() as looking:
            looking.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
            return looking.fetchone() == (0,)

    with other_session(database) as own, own.cursor() as cursor:
        own.autocommit = True
        cursor.execute("DROP TABLE IF EXISTS answers_of_the_test")
        cursor.execute("CREATE TABLE answers_of_the_test AS SELECT 1 AS n")
        async with serving(runtime, merchant, url) as server:
            with reading_from(server.app.door.house.standby):
                looking = asyncio.create_task(read_for_merchant(long_look, merchant.merchant_id))
            await asyncio.wait_for(began.wait(), PATIENCE_SECONDS)
            cursor.execute("TRUNCATE answers_of_the_test")
            if is_between:
                await asyncio.to_thread(wait_until, is_ended, "the standby to end the session")
            goes_on.set()
            assert await looking == 0
            assert served == [True, False]
            assert server.trouble is None
            assert (await server.api("{ merchant { name } }"))["merchant"] == {"name": "Shop"}
        cursor.execute("DROP TABLE answers_of_the_test")
    told = [r.getMessage() for r in caplog.records if r.name == "tracklayer.db.standby"]
    assert told == [CANCELED]


async def test_a_read_that_takes_too_long_is_not_asked_of_the_primary_as_well(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer
) -> None:
    served = []

    def endless(merchant_id: int) -> None:
        served.append(connection._lent.here)
        with connection.in_transaction(), connection.statements_within(0.1):
            rows("SELECT pg_sleep(5)")

    async with serving(runtime, merchant, follower.url_of(name_of(database))) as server:
        with reading_from(server.app.door.house.standby), pytest.raises(ReadTimeoutError):
            await read_for_merchant(endless, merchant.merchant_id)
        assert served == [True]
        assert server.trouble is None


async def test_where_the_primary_is_away_nothing_is_read(
    runtime: Runtime, merchant: Merchant, database: str, follower: StandbyServer
) -> None:
    """Nobody could tell then how much the standby lacks."""
    async with serving(runtime, merchant, follower.url_of(name_of(database))) as server:
        await server.api(PAGE)
        connection.connect("postgresql://postgres@127.0.0.1:1/nowhere")
        try:
            answer = await server.api.post("{ merchant { name } }")
        finally:
            connection.connect(database)
        assert answer.status_code == 503
        assert server.trouble is None


def test_doctor_looks_at_it(
    monkeypatch: pytest.MonkeyPatch, runtime: Runtime, database: str, follower: StandbyServer
) -> None:
    new_merchant(runtime)
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", "a-secret-key-for-tests-of-forty-characters")
    for url, ok in ((follower.url_of(name_of(database)), True), (database, False)):
        monkeypatch.setenv("TRACKLAYER_READ_DATABASE_URL", url)
        (found,) = [finding for finding in examine() if finding.check == "standby"]
        assert found.ok is ok
    assert found.message == sentence_of(NO_STANDBY)


def test_doctor_says_which_of_several_is_behind_and_what_is_exported_is_read_from_another(
    monkeypatch: pytest.MonkeyPatch,
    runtime: Runtime,
    merchant: Merchant,
    database: str,
    follower: StandbyServer,
    lonely: StandbyServer,
    asked: Statements,
) -> None:
    name = name_of(database)
    url = f"postgresql://postgres:@/{name}?host={lonely.data},{follower.data}&load_balance_hosts=random"
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", "a-secret-key-for-tests-of-forty-characters")
    monkeypatch.setenv("TRACKLAYER_READ_DATABASE_URL", url)
    monkeypatch.setenv("TRACKLAYER_READ_LAG_SECONDS", "5")

    def said() -> tuple[bool, str]:
        ((ok, message),) = [(one.ok, one.message) for one in examine() if one.check == "standby"]
        return ok, message

    serves, behind = "serves queries, and has all that the primary has", "is more than 5 s behind the primary"
    assert said() == (True, serves)
    lonely.pause()
    ingest_events(runtime, merchant.holder, [draft("order_1")])
    assert said() == (True, f"{serves}; {lonely.data}:5432 {behind}, and the others serve")
    settings = replace(runtime.settings, read_database_url=Secret(url))
    for _ in range(6):  # each begins with either of them
        asked.clear()
        pages = export_pages(
            replace(runtime, settings=settings),
            merchant.merchant_id,
            None,
            runtime.clock.now() + timedelta(days=1),
            None,
            deliveries=False,
        )
        assert [event.event_id for page in pages for event in page.events] == ["order_1"]
        assert not [sql for sql in asked.primary if "FROM events" in sql]
    lonely.kill()
    assert said() == (True, f"{serves}; {lonely.data}:5432 {AWAY}, and the others serve")
    follower.pause()
    try:
        ingest_events(runtime, merchant.holder, [draft("order_2")])
        ok, message = said()
        assert not ok
        assert message in (sentence_of(AWAY), sentence_of(behind))
    finally:
        follower.resume()


def test_several_api_hosts_and_a_standby(installation: Installation, database: str, follower: StandbyServer) -> None:
    """Each with an address of its own, one after the other: what one acknowledged the next one has."""
    environ = {**installation.environ, "TRACKLAYER_READ_DATABASE_URL": follower.url_of(name_of(database))}
    started = {}
    for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        port = free_port()
        running_there = running("api", "--host", host, "--port", str(port), environ=environ)
        started[f"http://{host}:{port}"] = installation.stack.enter_context(running_there)
    for url, process in started.items():
        wait_for_api(process, url)
    clients = [installation.client(url) for url in started]
    for number in range(60):
        one, other = clients[number % 3], clients[(number + 1) % 3]
        occurred_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sent = camel(draft(f"order_{number}", occurred_at=occurred_at))
        assert one.post("/graphql", json={"query": INGEST, "variables": {"input": sent}}).status_code == 200
        answer = other.post("/graphql", json={"query": EVENT, "variables": {"id": f"order_{number}"}}).json()
        assert answer["data"]["event"]["eventId"] == f"order_{number}"
    readers = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tracklayer'"
    assert follower.ask(readers) >= len(clients)
    for client in clients:
        assert [told for told in client.get("/readyz").json().get("warnings", []) if "standby" in told] == []


def test_an_export_reads_from_the_standby_and_goes_on_at_the_primary(
    runtime: Runtime, merchant: Merchant, database: str, lonely: StandbyServer, asked: Statements
) -> None:
    for part in range(3):
        ingest_events(runtime, merchant.holder, [draft(f"order_{part}_{n:03}") for n in range(PAGE_OF_EXPORT)])
    settings = replace(runtime.settings, read_database_url=Secret(lonely.url_of(name_of(database))))
    until = runtime.clock.now() + timedelta(days=1)
    asked.clear()
    of_standby = replace(runtime, settings=settings)
    pages = export_pages(of_standby, merchant.merchant_id, None, until, None, deliveries=True)
    found = [event.event_id for event in next(pages).events]
    assert [sql for sql in asked.standby if "FROM events" in sql]
    assert [sql for sql in asked.standby if "FROM deliveries" in sql]
    assert not [sql for sql in asked.primary if "FROM events" in sql]
    lonely.kill()
    found += [event.event_id for page in pages for event in page.events]
    assert [sql for sql in asked.primary if "FROM events" in sql]
    assert len(found) == len(set(found)) == 3 * PAGE_OF_EXPORT
