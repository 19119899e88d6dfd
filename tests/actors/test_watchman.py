"""One look after another at real rows, a real Redis and real servers; time passes by moving what is written back."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import psycopg2
import pytest
import redis
from aiosmtpd.smtp import SMTP
from dramatiq.brokers.stub import StubBroker
from starlette.datastructures import Secret

from tests.factories import API_KEY_SECRET, Merchant, draft, new_merchant
from tests.operator_receiver import Receiver
from tests.posting import post_due
from tests.servers import RedisServer, fill, free_port, make_read_only, make_room, make_writable, running, wait_until
from tests.services.test_alert import Monitor
from tests.smtp import MailServer
from tracklayer.actors.broker import build_broker
from tracklayer.actors.redis_broker import PatientBroker
from tracklayer.actors.watchman import Watchman, lonely
from tracklayer.cli import main
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db.connection import DatabaseAwayError, execute, in_transaction, rows
from tracklayer.db.heartbeats import beats, forget_old_beats
from tracklayer.domain.installation import JOBS, Waiting
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services import watch_operator
from tracklayer.services.channels import ChannelSet, Wish, remove_channel, set_channel
from tracklayer.services.destinations import pause_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import LEASE, email_alerts, take_next
from tracklayer.services.tell_operator import Teller
from tracklayer.services.watch_operator import end_beats, facts_now, note_refusal

WRITTEN = {
    "heartbeats": ("started_at", "beat_at", "ended_at"),
    "operator_alerts": ("seen_at", "resolved_at"),
    "operator_messages": ("next_attempt_at", "leased_until"),
    "operator_turns": ("taken_until",),
}


def pass_time(seconds: float) -> None:
    """Everything that was written of the installation was written that much earlier; periodic jobs went on."""
    with in_transaction():
        for job in JOBS:
            execute(
                "INSERT INTO periodic_jobs (name, next_run_at, begun_at) VALUES (%s, clock_timestamp(), clock_timestamp()) "
                "ON CONFLICT (name) DO UPDATE SET begun_at = excluded.begun_at",
                (job,),
            )
        for table, columns in WRITTEN.items():
            moved = ", ".join(f"{column} = {column} - make_interval(secs => {seconds})" for column in columns)
            execute(f"UPDATE {table} SET {moved}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def told(runtime: Runtime, receiver: Receiver) -> Receiver:
    """The operator's webhook."""
    runtime.settings = replace(
        runtime.settings, operator_webhook=Secret(receiver.url), sandbox_url=None, public_url="https://tl.example.com"
    )
    return receiver


def man(
    runtime: Runtime, *roles: str, broker: dramatiq.Broker | None = None, sandbox_url: str | None = None
) -> Watchman:
    """One process' watchman, whose looks are made by hand. It has had the database for long."""
    watchman = Watchman(
        runtime, broker or StubBroker(), roles, "1.0", sandbox_url, settled_seconds=0.0, away_seconds=0.0
    )
    watchman.beat()
    return watchman


def look(*watchmen: Watchman) -> None:
    """Each says once more that it lives, and has its turn."""
    for watchman in watchmen:
        watchman.beat()
    for watchman in watchmen:
        with in_transaction():
            execute("DELETE FROM operator_turns WHERE name IN ('look', 'queue')")
        watchman.look()
        watchman.tell()


def kinds(receiver: Receiver) -> list[tuple[str, str]]:
    return [(body["kind"], body["state"]) for body in receiver.bodies]


def test_workers_that_are_gone_are_told_once_by_whoever_lives_and_that_they_are_back(
    runtime: Runtime, told: Receiver
) -> None:
    first, second, scheduler = man(runtime, "api"), man(runtime, "api"), man(runtime, "scheduler")
    man(runtime, "worker")
    look(first, second, scheduler)
    pass_time(30)
    look(first, second, scheduler)
    assert kinds(told) == []  # a worker that is late by three heartbeats may live
    pass_time(15)
    look(first, second, scheduler)
    look(first, second, scheduler)
    assert kinds(told) == [("no_worker", "open")]
    body = told.bodies[0]
    assert sorted(body) == ["id", "kind", "message", "severity", "since", "state", "title", "url"]
    assert (body["title"], body["severity"], body["url"]) == (
        "No worker is running",
        "critical",
        "https://tl.example.com",
    )
    assert [trouble.kind for trouble in second.troubles] == ["no_worker"]
    worker = man(runtime, "worker")
    pass_time(25)
    look(worker, first, second, scheduler)
    look(worker, first, second, scheduler)
    assert kinds(told) == [("no_worker", "open"), ("no_worker", "resolved")]
    assert told.bodies[1]["id"] == body["id"]
    assert told.bodies[1]["until"] > told.bodies[1]["since"] == body["since"]
    assert first.troubles == []


def test_a_role_that_was_stopped_on_purpose_and_has_no_other_is_told_as_such(runtime: Runtime, told: Receiver) -> None:
    api = man(runtime, "api", "worker")
    scheduler = man(runtime, "scheduler")
    end_beats(scheduler._instance)
    look(api)
    pass_time(45)
    look(api)
    assert kinds(told) == [("no_scheduler", "open")]
    assert "was stopped 45 s ago, and none took its place" in told.bodies[0]["message"]


def test_who_has_just_started_waits_for_others_that_may_start_too_and_ends_no_alert(
    runtime: Runtime, told: Receiver
) -> None:
    man(runtime, "worker", "scheduler")
    api = man(runtime, "api")
    pass_time(600)
    look(api)
    assert sorted(kinds(told)) == [("no_scheduler", "open"), ("no_worker", "open")]
    pass_time(600)
    with in_transaction():
        execute("DELETE FROM heartbeats WHERE role = 'api'")
    look(man(runtime, "api"))
    assert len(told.bodies) == 2


def test_who_has_had_the_database_for_a_moment_judges_nobody(runtime: Runtime, told: Receiver) -> None:
    man(runtime, "worker", "scheduler")
    api = Watchman(runtime, StubBroker(), ["api"], "1.0", None)
    api.beat()
    pass_time(600)
    look(api)
    assert kinds(told) == []


def test_nothing_is_told_while_one_process_has_all_roles(runtime: Runtime, told: Receiver) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    for _ in range(3):
        look(alone)
        pass_time(20)
    assert (kinds(told), alone.troubles) == ([], [])


FAULTS: dict[str, tuple[Callable[[redis.Redis], None], Callable[[redis.Redis], None], str]] = {
    "full": (fill, make_room, "Redis takes no messages: it is full"),
    "read-only": (make_read_only, make_writable, "Redis takes no messages: it is a read-only replica"),
}


def broker_at(url: str) -> PatientBroker:
    broker = build_broker(url)
    assert isinstance(broker, PatientBroker)
    broker.declare_queue("deliver")
    return broker


@pytest.mark.parametrize("fault", FAULTS)
def test_a_redis_that_takes_nothing_is_told_by_an_api_that_sends_nothing(
    fault: str, runtime: Runtime, told: Receiver
) -> None:
    begin, end, title = FAULTS[fault]
    with RedisServer() as server, closing(redis.Redis.from_url(server.url)) as client:
        api = man(runtime, "api", "worker", "scheduler", broker=broker_at(server.url))
        begin(client)
        look(api)
        assert kinds(told) == []
        with in_transaction():
            execute("UPDATE heartbeats SET beat_at = beat_at - interval '20 s'")
            execute("DELETE FROM operator_turns")
        api.look()
        api.tell()
        assert [body["title"] for body in told.bodies] == [title]
        end(client)
        for _ in range(4):
            pass_time(25)
            look(api)
        assert kinds(told) == [("broker_takes_nothing", "open"), ("broker_takes_nothing", "resolved")]


def test_a_redis_that_is_away_is_told_as_such(runtime: Runtime, told: Receiver) -> None:
    api = man(runtime, "api", "worker", "scheduler", broker=broker_at(f"redis://127.0.0.1:{free_port()}/0"))
    with in_transaction():
        execute("UPDATE heartbeats SET beat_at = beat_at - interval '20 s'")
    api.look()
    api.tell()
    assert [body["title"] for body in told.bodies] == ["Redis takes no messages: it does not answer"]


def test_a_webhook_that_is_down_is_told_when_it_is_back(
    runtime: Runtime, told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    told.status = 500
    api, _ = man(runtime, "api", "scheduler"), man(runtime, "worker")
    pass_time(60)
    look(api)
    pass_time(10)
    look(api)
    look(api)
    assert (told.tried, told.bodies) == (2, [])  # the second after a pause, and not sooner
    assert [r.getMessage() for r in caplog.records if "takes no message" in r.getMessage()] == [
        "the operator's webhook takes no message (status 500); it is tried again"
    ]
    told.status = 200
    pass_time(300)
    look(api)
    look(api)
    assert kinds(told) == [("no_worker", "open")]


def test_what_was_over_before_it_could_be_told_is_told_as_over(runtime: Runtime, told: Receiver) -> None:
    told.status = 500
    api, _ = man(runtime, "api", "scheduler"), man(runtime, "worker")
    pass_time(60)
    look(api)
    worker = man(runtime, "worker")
    pass_time(25)
    look(worker, api)
    told.status = 200
    pass_time(300)
    look(worker, api)
    assert kinds(told) == [("no_worker", "resolved")]


def test_mail_goes_to_each_address_once(runtime: Runtime) -> None:
    with MailServer() as server:
        runtime.settings = replace(
            runtime.settings, operator_email=("a@example.com", "b@example.com"), smtp_url=Secret(server.url)
        )
        api, _ = man(runtime, "api", "scheduler"), man(runtime, "worker")
        pass_time(60)
        look(api, man(runtime, "api"))
        look(api)
    assert sorted(recipient for recipient, _ in server.mails) == ["a@example.com", "b@example.com"]
    _, mail = server.mails[0]
    assert (mail["Subject"], mail["From"]) == ("[TrackLayer] No worker is running", "alerts@tracklayer.example")
    assert "none is delivered" in mail.get_content()
    assert mail["Message-ID"] == server.mails[1][1]["Message-ID"]


def test_the_switch_is_pinged_by_one_process_while_all_is_well_and_by_none_when_a_role_is_sick(
    runtime: Runtime, told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver() as switch:
        runtime.settings = replace(runtime.settings, heartbeat_url=Secret(switch.url))
        api, other = man(runtime, "api"), man(runtime, "api", "scheduler")
        look(api, other)
        assert switch.asked == 0  # there is no worker yet: nothing to tell, and not well either
        worker = man(runtime, "worker")
        look(api, other, worker)
        assert switch.asked == 1
        pass_time(61)
        look(worker, api, other)
        look(worker, api, other)
        assert switch.asked == 2
        switch.status = 500
        for _ in range(3):
            pass_time(61)
            look(worker, other, api)
        failures = [r for r in caplog.records if "TRACKLAYER_HEARTBEAT_URL" in r.getMessage()]
        assert len(failures) <= 3  # each of three processes says so once an hour at most
        switch.status, tried = 200, switch.tried
        pass_time(61)
        look(api, other)
        assert (switch.tried, kinds(told)) == (tried, [("no_worker", "open")])


def test_a_database_that_is_away_is_told_by_one_of_those_that_reach_the_same_redis_and_that_it_is_back(
    runtime: Runtime, told: Receiver, database: str, empty_redis: str
) -> None:
    first, second = (man(runtime, "api", "worker", "scheduler", broker=broker_at(empty_redis)) for _ in range(2))
    connection.connect(f"postgresql://127.0.0.1:{free_port()}/gone")
    for _ in range(2):
        for watchman in (first, second):
            watchman.look()
    assert kinds(told) == [("database_away", "open")]
    assert "whatever has the same id is the same trouble" in told.bodies[0]["message"]
    assert [trouble.kind for trouble in second.troubles] == ["database_away"]
    connection.connect(database)
    look(first, second)
    look(first, second)
    assert kinds(told) == [("database_away", "open"), ("database_away", "resolved")]
    assert told.bodies[0]["id"] == told.bodies[1]["id"]


def test_without_redis_each_process_tells_by_itself_under_one_id_and_its_end_is_told_once(
    runtime: Runtime, told: Receiver, database: str
) -> None:
    first, second = (man(runtime, "api", "worker", "scheduler") for _ in range(2))
    look(first, second)
    connection.connect(f"postgresql://127.0.0.1:{free_port()}/gone")
    for _ in range(2):
        for watchman in (first, second):
            watchman.look()
    assert kinds(told) == [("database_away", "open")] * 2
    connection.connect(database)
    look(first, second)
    look(first, second)
    assert kinds(told)[2:] == [("database_away", "resolved")]
    assert len({body["id"] for body in told.bodies}) == 1


def process(runtime: Runtime, *roles: str, broker: dramatiq.Broker | None = None, settled: float = 0.0) -> Watchman:
    """As ``man``, and its looks have to be settled."""
    return Watchman(runtime, broker or StubBroker(), roles, "1.0", None, settled_seconds=settled, away_seconds=0.0)


@contextmanager
def away(database: str) -> Iterator[None]:
    """For the length of the block nobody reaches the database."""
    connection.connect(f"postgresql://127.0.0.1:{free_port()}/gone")
    try:
        yield
    finally:
        connection.connect(database)


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    with closing(redis.Redis.from_url(redis_url)) as client:
        for key in client.keys("tracklayer:operator:*"):
            client.delete(key)
    return redis_url


@pytest.mark.parametrize("has_redis", [True, False])
def test_each_outage_of_an_hour_is_told_and_its_end(
    has_redis: bool, runtime: Runtime, told: Receiver, database: str, empty_redis: str
) -> None:
    broker = broker_at(empty_redis) if has_redis else None
    alone = man(runtime, "api", "worker", "scheduler", broker=broker)
    look(alone)
    for _ in range(3):
        with away(database):
            alone.look()
            alone.look()
        look(alone)
        look(alone)
    assert kinds(told) == [("database_away", "open"), ("database_away", "resolved")] * 3
    ids = [body["id"] for body in told.bodies]
    assert (ids[::2], len(set(ids))) == (ids[1::2], 3)


@pytest.mark.parametrize("has_redis", [True, False])
def test_one_outage_across_the_full_hour_has_one_id(
    has_redis: bool, runtime: Runtime, told: Receiver, database: str, empty_redis: str
) -> None:
    brokers = [broker_at(empty_redis) if has_redis else StubBroker() for _ in range(2)]
    first, second = (lonely(Teller(runtime.settings), database, broker, 0.0) for broker in brokers)
    first.is_back()
    second.is_back()
    hour = datetime(2026, 11, 28, 13, tzinfo=UTC)
    first.is_away(None, "The api", hour - timedelta(seconds=2))
    second.is_away(None, "The worker", hour + timedelta(seconds=1))
    assert (len(told.bodies), len({body["id"] for body in told.bodies})) == (1 if has_redis else 2, 1)


def test_the_end_of_an_outage_is_told_though_all_who_told_it_are_gone(
    runtime: Runtime, told: Receiver, database: str, empty_redis: str
) -> None:
    gone = man(runtime, "api", "worker", "scheduler", broker=broker_at(empty_redis))
    with away(database):
        gone.look()
    late = man(runtime, "api", "worker", "scheduler", broker=broker_at(empty_redis))
    look(late)
    assert kinds(told) == [("database_away", "open")]  # who told it may find the database away still
    with closing(redis.Redis.from_url(empty_redis)) as client:
        (seen,) = client.keys("tracklayer:operator:*:seen")
        assert 0 < client.ttl(seen) <= 30
        client.delete(seen)
    look(late)
    look(late)
    assert kinds(told) == [("database_away", "open"), ("database_away", "resolved")]
    assert told.bodies[0]["id"] == told.bodies[1]["id"]


def test_who_is_started_in_an_outage_tells_it_under_the_same_id_and_its_end(
    runtime: Runtime, told: Receiver, database: str, empty_redis: str
) -> None:
    first = man(runtime, "api", "worker", "scheduler", broker=broker_at(empty_redis))
    late = lonely(Teller(runtime.settings), runtime.database_url, broker_at(empty_redis), 0.0)
    with away(database):
        first.look()
        late.is_away(None, "The worker on b, which waits to start,", runtime.clock.now())
    late.is_back()
    look(man(runtime, "api", "worker", "scheduler"))
    assert kinds(told) == [("database_away", "open"), ("database_away", "resolved")]
    assert told.bodies[0]["id"] == told.bodies[1]["id"]


def test_an_outage_that_no_channel_took_is_told_as_over(runtime: Runtime, told: Receiver, database: str) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    told.status = 500
    with away(database):
        alone.look()
    told.status = 200
    look(alone)
    assert kinds(told) == [("database_away", "resolved")]


def test_a_pause_of_all_processes_is_no_trouble_of_any(runtime: Runtime, told: Receiver) -> None:
    api, rest = process(runtime, "api", settled=30.0), man(runtime, "worker", "scheduler")
    api.beat()
    api._good_since = time.monotonic() - 3600
    api.look()
    assert api._is_settled()
    pass_time(60)  # in which nothing ran, and the machine's own clock stood still
    with in_transaction():
        execute("DELETE FROM operator_turns")
    api.look()
    assert _rows("SELECT 1 FROM operator_alerts") == []
    api.beat()
    look(api)
    assert kinds(told) == []
    assert not api._is_settled()  # the others are given the time to beat
    rest.beat()


def test_a_process_that_stood_still_judges_nobody_before_it_has_beaten_for_a_while(runtime: Runtime) -> None:
    api = process(runtime, "api", settled=30.0)
    api.beat()
    api._good_since = time.monotonic() - 3600
    api.beat()
    assert api._is_settled()
    api._beat_at -= 60
    assert not api._is_settled()


@contextmanager
def reads_only(database: str) -> Iterator[None]:
    with closing(psycopg2.connect(database)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute("ALTER DATABASE tracklayer SET default_transaction_read_only = on")
            try:
                connection.database.close_all()  # the sessions there are would go on to write
                yield
            finally:
                cursor.execute("SET default_transaction_read_only = off")
                cursor.execute("ALTER DATABASE tracklayer RESET default_transaction_read_only")
                connection.database.close_all()


def test_a_database_that_only_reads_is_told_as_such(runtime: Runtime, told: Receiver, database: str) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    with reads_only(database):
        alone.look()
    assert [body["title"] for body in told.bodies] == ["The database only reads"]


def test_a_database_that_only_read_is_told_once_and_wakes_no_other_alarm(
    runtime: Runtime, told: Receiver, database: str
) -> None:
    alone, rest = process(runtime, "api"), man(runtime, "worker", "scheduler")
    alone.beat()
    look(alone, rest)
    with reads_only(database):
        for _ in range(3):
            for each in (alone, rest):
                assert not each._try(each.beat, "a heartbeat")
                each.look()
    with in_transaction():  # so long that every heartbeat is old
        execute("UPDATE heartbeats SET beat_at = beat_at - interval '70 s'")
        execute("DELETE FROM operator_turns")
    alone.look()  # what only reads would succeed now, and nobody has said again that it lives
    assert _rows("SELECT kind FROM operator_alerts WHERE resolved_at IS NULL") == []
    assert alone._try(alone.beat, "a heartbeat")
    assert rest._try(rest.beat, "a heartbeat")
    for _ in range(3):
        look(alone, rest)
    opened = [body["id"] for body in told.bodies if body["state"] == "open"]
    assert {kind for kind, _ in kinds(told)} == {"database_read_only"}
    assert len(set(opened)) == 1  # each of two processes without a Redis told it, and no row did besides
    assert kinds(told)[-1] == ("database_read_only", "resolved")


def test_a_heartbeat_that_cannot_be_written_is_told_though_reading_goes_on(
    runtime: Runtime, told: Receiver, database: str
) -> None:
    alone = process(runtime, "api", settled=3600.0)
    alone.beat()
    with reads_only(database):
        alone._try(alone.beat, "a heartbeat")
        alone.look()
        assert [trouble.kind for trouble in alone.troubles] == ["database_read_only"]
    assert kinds(told) == [("database_read_only", "open")]


def test_a_database_that_reads_only_now_and_again_is_told_though_heartbeats_are_written(
    runtime: Runtime, told: Receiver
) -> None:
    def meet() -> None:
        with pytest.raises(DatabaseAwayError), in_transaction():
            execute("DO $$ BEGIN RAISE EXCEPTION 'read only' USING ERRCODE = '25006'; END $$")

    alone = man(runtime, "api", "worker", "scheduler")
    meet()
    look(alone)
    assert kinds(told) == []  # it took a heartbeat since
    meet()
    look(alone)
    assert kinds(told) == [("database_read_only", "open")]


def test_a_full_disk_is_told_by_those_who_met_it(runtime: Runtime, told: Receiver) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    with pytest.raises(DatabaseAwayError), in_transaction():
        execute("DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$")
    look(alone)
    assert [body["title"] for body in told.bodies] == ["PostgreSQL's disk is full"]


@contextmanager
def without_room(database: str, *tables: str) -> Iterator[None]:
    """For the length of the block no row is added to these tables, as on a full disk; those that there are can be changed."""
    with closing(psycopg2.connect(database)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$"
            )
            for table in tables:
                cursor.execute(f"CREATE TRIGGER no_room BEFORE INSERT ON {table} EXECUTE FUNCTION no_room()")
            try:
                yield
            finally:
                cursor.execute("DROP FUNCTION no_room CASCADE")


@pytest.mark.parametrize("table", ["operator_alerts", "operator_messages"])
def test_a_full_disk_that_takes_heartbeats_and_no_alert_is_told_while_it_lasts(
    table: str, runtime: Runtime, told: Receiver, merchant: Merchant, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    roles = ["api", "worker", "scheduler"]
    with Watchman(
        runtime,
        StubBroker(),
        roles,
        "1.0",
        None,
        beat_seconds=0.5,
        look_seconds=0.1,
        settled_seconds=3.0,
        away_seconds=1.0,
        lately_seconds=2.0,
    ):
        with without_room(database, "events", table):
            with pytest.raises(DatabaseAwayError):
                ingest_events(runtime, merchant.holder, [draft()])
            wait_until(lambda: bool(told.bodies), "it to be told while there is no room")
            assert kinds(told) == [("database_full", "open")]
            assert "PostgreSQL's disk is full" in caplog.text

        def is_over() -> bool:
            with in_transaction():  # so long that nobody saw it is long enough
                execute("UPDATE operator_alerts SET seen_at = seen_at - interval '1 min'")
            return told.told("database_full")[-1] == "resolved"

        wait_until(is_over, "its end to be told")
    assert kinds(told) == [("database_full", "open"), ("database_full", "resolved")]
    assert told.bodies[0]["id"] == told.bodies[1]["id"]
    assert _rows("SELECT count(*) FROM operator_alerts") == [(1,)]
    assert "it is over: database_full" in caplog.text


def refuse_an_event(runtime: Runtime, merchant: Merchant) -> None:
    with pytest.raises(DatabaseAwayError):
        ingest_events(runtime, merchant.holder, [draft()])


def test_a_full_disk_is_not_over_while_events_are_refused_whatever_else_it_takes(
    runtime: Runtime, told: Receiver, merchant: Merchant, database: str
) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    with without_room(database, "events", "operator_alerts", "heartbeats"):
        refuse_an_event(runtime, merchant)
        assert not alone._try(alone.beat, "a heartbeat")
        alone.look()
        assert kinds(told) == [("database_full", "open")]
        with in_transaction():
            execute("DROP TRIGGER no_room ON operator_alerts")
            execute("DROP TRIGGER no_room ON heartbeats")
        for _ in range(3):
            look(alone)
            refuse_an_event(runtime, merchant)
        assert [trouble.kind for trouble in alone.troubles] == ["database_full"]
    look(alone)  # there is room, and nobody knows it yet
    assert kinds(told) == [("database_full", "open")]
    assert _rows("SELECT count(*) FROM operator_alerts") == [(0,)]


def test_nor_is_it_while_another_process_was_refused_a_write(
    runtime: Runtime, told: Receiver, merchant: Merchant, database: str
) -> None:
    alone = Watchman(
        runtime, StubBroker(), ["worker"], "1.0", None, settled_seconds=0.0, away_seconds=0.0, lately_seconds=0.0
    )
    alone.beat()
    other = man(runtime, "api", "scheduler")
    with without_room(database, "events", "operator_alerts"):
        refuse_an_event(runtime, merchant)
        other.beat()
        alone.look()
    look(alone)
    assert kinds(told) == [("database_full", "open")]
    other._own._lately_seconds = 0.0  # it was refused nothing any more
    other.beat()
    look(alone)
    assert kinds(told) == [("database_full", "open"), ("database_full", "resolved")]
    assert told.bodies[0]["id"] == told.bodies[1]["id"]


def test_who_has_had_the_database_for_a_moment_tells_a_full_disk_that_it_met_unless_somebody_has(
    runtime: Runtime, told: Receiver, merchant: Merchant, database: str
) -> None:
    started = Watchman(runtime, StubBroker(), ["api"], "1.0", None, away_seconds=0.0)
    started.beat()
    with without_room(database, "events"):
        refuse_an_event(runtime, merchant)
        look(man(runtime, "api", "worker", "scheduler"), started)
        assert kinds(told) == [("database_full", "open")]
        with in_transaction():
            execute("DELETE FROM operator_alerts")
        look(started)
    assert kinds(told) == [("database_full", "open"), ("database_full", "open")]
    assert "it lasts" not in told.bodies[1]["message"]


def make_old(merchant: Merchant, runtime: Runtime, age: str = "10 min") -> None:
    """A delivery that has been due for so long."""
    ingest_events(runtime, merchant.holder, [draft()])
    with in_transaction():
        execute("UPDATE deliveries SET due_at = clock_timestamp() - %s::interval", (age,))
        execute("DELETE FROM minutes")


def test_deliveries_that_nobody_serves_are_told_once_for_all_merchants(
    runtime: Runtime, told: Receiver, merchant: Merchant
) -> None:
    make_old(merchant, runtime)
    alone = man(runtime, "api", "worker", "scheduler")
    look(alone)
    look(alone)
    assert kinds(told) == [("old_queue", "open")]
    assert told.bodies[0]["title"] == "Deliveries wait at 1 destination of 1 merchant"
    assert "The oldest has been due for 10 min" in told.bodies[0]["message"]
    assert told.bodies[0]["message"].endswith("By platform: Meta 1.")


def test_what_becomes_critical_is_told_once_more_and_logged(
    runtime: Runtime, told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Teller(runtime.settings)
    man(runtime, "api", "worker", "scheduler")

    def goes_on(**waiting: Any) -> None:
        now = runtime.clock.now()
        found = Waiting(1, oldest=timedelta(minutes=10), **waiting)
        watch_operator.look(replace(facts_now({}, now, with_queue=False), waiting=found))
        watch_operator.tell_due(teller, teller.channels)

    for _ in range(2):
        goes_on(slow={"Meta": 3})
    for _ in range(2):
        goes_on(stalled={"Meta": 500})
    goes_on(slow={"Meta": 3})
    goes_on(stalled={"Meta": 7})
    assert [(body["kind"], body["state"], body["severity"]) for body in told.bodies] == [
        ("old_queue", "open", "warning"),
        ("old_queue", "open", "critical"),
    ]
    assert told.bodies[0]["id"] == told.bodies[1]["id"]
    assert told.bodies[1]["title"] == "Deliveries wait at 500 destinations of 1 merchant"
    assert any("it became critical: Deliveries wait at 500" in record.getMessage() for record in caplog.records)


def test_doctor_says_what_the_operators_channels_do_not_take(
    runtime: Runtime,
    merchant: Merchant,
    migrated: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = Secret(f"http://127.0.0.1:{free_port()}/secret")
    runtime.settings = replace(runtime.settings, operator_webhook=url)
    make_old(merchant, runtime)
    look(man(runtime, "api", "worker", "scheduler"))
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", migrated)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "1 message waits because the webhook does not take them, or may not have" in said
    assert "(It was not reached: the connection was refused)" in said
    assert "secret" not in said.partition("1 message waits")[2].partition("\n")[0]


def paused(runtime: Runtime, merchant: Merchant) -> None:
    pause_destination(runtime, merchant.merchant_id, "meta")


def served(runtime: Runtime, merchant: Merchant) -> None:
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, acknowledged) "
            "VALUES (%s, 'meta', date_trunc('minute', clock_timestamp()), 0, 1)",
            (merchant.merchant_id,),
        )


def fresh(runtime: Runtime, merchant: Merchant) -> None:
    with in_transaction():
        execute("UPDATE deliveries SET due_at = clock_timestamp() - interval '100 s'")


def recovering(runtime: Runtime, merchant: Merchant) -> None:
    with in_transaction():
        execute("UPDATE destinations SET recovering_since = clock_timestamp()")


@pytest.mark.parametrize("why", [paused, served, fresh, recovering])
def test_what_waits_for_a_reason_or_is_being_served_is_no_old_queue(
    why: Callable[[Runtime, Merchant], None], runtime: Runtime, told: Receiver, merchant: Merchant
) -> None:
    make_old(merchant, runtime)
    why(runtime, merchant)
    look(man(runtime, "api", "worker", "scheduler"))
    assert kinds(told) == []


def test_an_old_queue_is_told_though_a_clock_that_was_ahead_counted_what_was_served(
    runtime: Runtime, told: Receiver, merchant: Merchant
) -> None:
    make_old(merchant, runtime)
    served(runtime, merchant)
    with in_transaction():
        execute("UPDATE minutes SET minute = minute + interval '1 day' WHERE acknowledged > 0")
    look(man(runtime, "api", "worker", "scheduler"))
    assert kinds(told) == [("old_queue", "open")]


def test_a_mail_server_that_takes_nothing_for_ten_minutes_is_told_by_the_other_channel(
    runtime: Runtime, told: Receiver, merchant: Merchant, clock: FrozenClock
) -> None:
    gone = Secret(f"smtp://127.0.0.1:{free_port()}")
    dead = replace(runtime.settings, smtp_url=gone)
    alone = man(runtime, "api", "worker", "scheduler")
    runtime.settings = dead
    update_merchant(runtime, merchant.merchant_id, {"alert_emails": ["ops@shop.example"]})
    Monitor(runtime, merchant, clock).finds()
    assert email_alerts(runtime) == 0
    clock.move(timedelta(minutes=9))
    look(alone)
    assert kinds(told) == []
    clock.move(timedelta(minutes=2))
    look(alone)
    assert kinds(told) == [("mails_fail", "open")]
    assert "1 mail waits since " in told.bodies[0]["message"]
    assert "The last error: ConnectionRefusedError." in told.bodies[0]["message"]
    with MailServer() as smtp:
        runtime.settings = replace(dead, smtp_url=Secret(smtp.url))
        clock.move(timedelta(minutes=30))
        assert email_alerts(runtime) == 1
    is_over(runtime, alone, told, "mails_fail")


def relay_denied(smtp: MailServer) -> None:
    smtp.refuse_recipient = dict.fromkeys(("ops@shop.example", "boss@shop.example"), "554 5.7.1 Relay access denied")


def cut_off(smtp: MailServer) -> None:
    def cut(server: SMTP) -> None:
        transport: Any = server.transport
        transport.abort()

    smtp.on_taken = cut


def one_typo(smtp: MailServer) -> None:
    smtp.refuse_recipient = {"ops@shop.example": "550 no such address"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [(relay_denied, "Refused554"), (cut_off, "SMTPServerDisconnected"), (one_typo, None)],
)
def test_mails_that_are_not_tried_again_tell_of_a_server_that_takes_nothing(
    runtime: Runtime,
    told: Receiver,
    merchant: Merchant,
    clock: FrozenClock,
    fault: Callable[[MailServer], None],
    error: str | None,
) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    update_merchant(runtime, merchant.merchant_id, {"alert_emails": ["ops@shop.example", "boss@shop.example"]})
    with MailServer() as smtp:
        fault(smtp)
        runtime.settings = replace(runtime.settings, smtp_url=Secret(smtp.url))
        Monitor(runtime, merchant, clock).finds()
        for _ in range(2):
            email_alerts(runtime)
        clock.move(timedelta(minutes=9))
        look(alone)
        assert kinds(told) == []
        clock.move(timedelta(minutes=2))
        look(alone)
        assert kinds(told) == ([("mails_fail", "open")] if error else [])
        if error:
            assert "2 mails were given up or may not have arrived since " in told.bodies[0]["message"]
            assert f"The last error: {error}." in told.bodies[0]["message"]
            smtp.refuse_recipient, smtp.on_taken = {}, lambda server: None
            other = new_merchant(runtime, name="Other")
            update_merchant(runtime, other.merchant_id, {"alert_emails": ["ops@shop.example"]})
            Monitor(runtime, other, clock).finds()
            assert email_alerts(runtime) == 1
            is_over(runtime, alone, told, "mails_fail")


def test_mails_in_the_hands_of_a_process_that_died_say_nothing_of_the_server(
    runtime: Runtime, told: Receiver, merchant: Merchant, clock: FrozenClock
) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    update_merchant(runtime, merchant.merchant_id, {"alert_emails": ["ops@shop.example"]})
    runtime.settings = replace(runtime.settings, smtp_url=Secret(f"smtp://127.0.0.1:{free_port()}"))
    Monitor(runtime, merchant, clock).finds()
    assert take_next(runtime) is not None
    clock.move(LEASE + timedelta(minutes=1))
    assert email_alerts(runtime) == 0
    clock.move(timedelta(minutes=11))
    look(alone)
    assert kinds(told) == []


def test_a_webhook_that_takes_nothing_for_ten_minutes_is_told_to_the_operator(
    runtime: Runtime, told: Receiver, merchant: Merchant, clock: FrozenClock
) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True)
    wish = Wish(kind="webhook", url=f"http://127.0.0.1:{free_port()}/hooks")
    made = set_channel(runtime, merchant.merchant_id, wish)
    assert isinstance(made, ChannelSet)
    Monitor(runtime, merchant, clock).finds()
    assert post_due(runtime) == 1  # tried
    clock.move(timedelta(minutes=9))
    look(alone)
    assert kinds(told) == []
    clock.move(timedelta(minutes=2))
    look(alone)
    assert kinds(told) == [("webhooks_fail", "open")]
    assert told.bodies[0]["title"] == "1 alert channel of 1 merchant takes no messages"
    remove_channel(merchant.merchant_id, made.row.channel_id)
    is_over(runtime, alone, told, "webhooks_fail")


def is_over(runtime: Runtime, alone: Watchman, told: Receiver, kind: str) -> None:
    """Told as over, 20 seconds after nobody has seen it any more: as if those had passed."""
    with in_transaction():
        execute("UPDATE operator_alerts SET seen_at = seen_at - interval '1 minute'")
    look(alone)
    assert kinds(told)[-1] == (kind, "resolved")


def test_with_no_worker_the_queue_is_part_of_that_and_no_second_alert(
    runtime: Runtime, told: Receiver, merchant: Merchant
) -> None:
    make_old(merchant, runtime)
    api = man(runtime, "api", "scheduler")
    man(runtime, "worker")
    pass_time(60)
    look(api)
    assert kinds(told) == [("no_worker", "open")]
    assert "1 delivery waits" in told.bodies[0]["message"]


def test_monitors_that_do_not_run_are_told_though_workers_live(runtime: Runtime, told: Receiver) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    pass_time(300)
    with in_transaction():
        for name, age in (("sweep", "1 s"), ("monitor", "80 s"), ("fold", "70 s"), ("purge", "70 s")):
            execute(
                "UPDATE periodic_jobs SET begun_at = clock_timestamp() - %s::interval WHERE name = %s",
                (age, name),
            )
    look(alone)
    assert [(body["kind"], body["title"]) for body in told.bodies] == [("jobs_late", "Monitor does not run any more")]


def test_a_key_that_is_gone_from_a_process_that_runs_is_told(
    runtime: Runtime, told: Receiver, merchant: Merchant
) -> None:
    runtime.sealer = Sealer(["another-key-of-more-than-forty-characters-"])
    look(man(runtime, "api", "worker", "scheduler"))
    assert [(body["kind"], body["title"]) for body in told.bodies] == [
        ("wrong_key", "1 destination cannot be opened with the secret keys there are")
    ]


def test_a_process_that_refuses_to_start_is_told_by_those_that_live(
    runtime: Runtime, told: Receiver, merchant: Merchant, database: str, redis_url: str
) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    environ = {
        "TRACKLAYER_DATABASE_URL": database,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": "another-key-of-more-than-forty-characters-",
    }
    with running("worker", environ=environ) as process:
        wait_until(lambda: not process.is_running(), "it to refuse")
    look(alone)
    assert [(body["kind"], body["title"]) for body in told.bodies] == [
        ("wrong_key", "A process has the wrong secret key")
    ]
    pass_time(120)
    look(alone)
    assert kinds(told)[1:] == [("wrong_key", "resolved")]


def test_refusals_of_one_host_are_one_row_however_often_it_is_started(runtime: Runtime) -> None:
    for _ in range(3):
        note_refusal("worker", "a", "1.0", "migrations")
    with in_transaction():
        assert [(beat.role, beat.says) for beat in beats()] == [("worker", {"lacks": "migrations"})]


def test_the_last_process_of_a_role_is_remembered_however_many_of_others_there_are(runtime: Runtime) -> None:
    man(runtime, "scheduler")
    pass_time(2 * 86400)
    note_refusal("scheduler", "a", "1.0", "migrations")
    for _ in range(3):
        man(runtime, "worker")
    with in_transaction():
        forget_old_beats()
        found = [(beat.role, "lacks" in beat.says) for beat in beats(2)]
    assert found == [("worker", False), ("worker", False), ("scheduler", False)]


def test_a_sandbox_that_was_left_set_is_told_and_does_not_stop_the_switch(
    runtime: Runtime, told: Receiver, merchant: Merchant
) -> None:
    with Receiver() as switch:
        runtime.settings = replace(runtime.settings, heartbeat_url=Secret(switch.url))
        look(man(runtime, "api", "worker", "scheduler", sandbox_url="http://127.0.0.1:9100"))
    assert [(body["kind"], body["severity"]) for body in told.bodies] == [("sandbox_left_set", "warning")]
    assert switch.asked == 1


def test_a_look_pings_nobody_itself(runtime: Runtime) -> None:
    with Receiver() as switch:
        runtime.settings = replace(runtime.settings, heartbeat_url=Secret(switch.url), sandbox_url=None)
        alone = man(runtime, "api", "worker", "scheduler")
        alone.look()
        assert switch.tried == 0  # whoever listens may take its time
        alone.ping()
        assert switch.asked == 1


def test_a_webhook_that_hangs_holds_up_neither_mail_nor_looks(runtime: Runtime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs, MailServer() as server:
        runtime.settings = replace(
            runtime.settings,
            operator_webhook=Secret(f"http://127.0.0.1:{hangs.getsockname()[1]}/"),
            operator_email=("a@example.com",),
            smtp_url=Secret(server.url),
        )
        with Watchman(runtime, StubBroker(), ["api"], "1.0", None, look_seconds=0.05) as watchman:
            for number, kind in enumerate(("clock_off", "old_queue"), start=1):
                with in_transaction():
                    execute(
                        "INSERT INTO operator_alerts (alert_id, kind, severity, title, message, opened_at, seen_at) "
                        "VALUES (%s, %s, 'warning', 'T', 'M', clock_timestamp(), clock_timestamp())",
                        (kind, kind),
                    )
                wait_until(lambda number=number: len(server.mails) == number, "the mail")  # type: ignore[misc]
                wait_until(lambda number=number: len(watchman.troubles) == number, "a look")  # type: ignore[misc]
            taken = "SELECT count(told_at) FROM operator_messages WHERE channel = 'webhook'"
            assert _rows(taken) == [(0,)]


def test_threads_beat_look_and_say_that_they_end(runtime: Runtime, told: Receiver) -> None:
    watchman = Watchman(runtime, StubBroker(), ["api"], "1.0", None, beat_seconds=0.05, look_seconds=0.05)
    with watchman:
        while not _rows("SELECT 1 FROM heartbeats"):
            pass
    assert _rows("SELECT role, version, ended_at IS NOT NULL FROM heartbeats") == [("api", "1.0", True)]


def test_no_channel_no_message_but_a_line_in_the_log(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    api, _ = man(runtime, "api", "scheduler"), man(runtime, "worker")
    pass_time(60)
    with caplog.at_level(logging.ERROR):
        look(api, man(runtime, "api"))
        look(api)
    assert [r.getMessage()[:21] for r in caplog.records] == ["No worker is running."]
    assert [trouble.kind for trouble in api.troubles] == ["no_worker"]


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql)


def test_a_clock_that_was_set_back_keeps_nothing_from_the_operator(runtime: Runtime, told: Receiver) -> None:
    """A worker that died then does not live on until that time has come again, and what is over ends."""
    api, scheduler, worker = man(runtime, "api"), man(runtime, "scheduler"), man(runtime, "worker")
    turn(api, scheduler, worker)
    pass_time(-86400)
    turn(api, scheduler)  # dated back
    pass_time(60)
    turn(api, scheduler)
    assert kinds(told) == [("no_worker", "open")]

    told.status = 503
    pass_time(-86400)  # also the alert, and each turn
    man(runtime, "worker")
    turn(api, scheduler)
    pass_time(61)
    worker = man(runtime, "worker")
    turn(api, scheduler, worker)
    told.status = 200
    assert kinds(told) == [("no_worker", "open")]  # that it is over was not taken
    pass_time(-86400)  # its second try, too
    turn(api, scheduler, worker)
    assert kinds(told)[-1] == ("no_worker", "resolved")
    with in_transaction():
        assert rows("SELECT count(*) FROM operator_messages WHERE told_at IS NULL") == [(0,)]


def test_a_job_that_began_by_a_clock_ahead_counts_as_late_when_it_is(runtime: Runtime, told: Receiver) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    pass_time(600)
    look(alone)
    with in_transaction():
        execute(
            "UPDATE periodic_jobs SET begun_at = begun_at + interval '1 day', leased_until = clock_timestamp() + interval '1 day'"
        )
        execute("DELETE FROM operator_turns")
    look(alone)
    with in_transaction():
        execute("UPDATE periodic_jobs SET begun_at = begun_at - interval '10 minutes'")
    look(alone)
    assert ("jobs_late", "open") in kinds(told)


def test_a_span_without_an_api_that_ends_in_time_to_come_is_none(runtime: Runtime, told: Receiver) -> None:
    alone = man(runtime, "api", "worker", "scheduler")
    with in_transaction():
        execute(
            "INSERT INTO api_away (began_at, ended_at) VALUES "
            "(statement_timestamp() - interval '3 hours', statement_timestamp() - interval '2 hours'), "
            "(statement_timestamp() - interval '1 hour', statement_timestamp() + interval '1 day')"
        )
    turn(alone)
    with in_transaction():
        assert rows("SELECT ended_at - began_at FROM api_away") == [(timedelta(hours=1),)]


def turn(*watchmen: Watchman) -> None:
    """As ``look``, whose turn it is."""
    for watchman in watchmen:
        watchman.beat()
    for watchman in watchmen:
        watchman.look()
        watchman.tell()
