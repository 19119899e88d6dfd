"""Periodic jobs: each runs once at a time over all processes, and what was missed makes one run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import dramatiq
import psycopg2
import pytest

from tests.conftest import NOW
from tests.factories import Merchant
from tests.sessions import wait_until_free
from tracklayer.actors.broker import build_broker
from tracklayer.actors.crew import HOUSEKEEPING, assemble
from tracklayer.actors.jobs import RENEW_SECONDS, Jobs
from tracklayer.actors.schedule import periodic
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.schedule import LATE, LEASE, begin_job, end_job, is_late, jobs_by_name, take_due_jobs
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime

EVERY = {"sweep": timedelta(seconds=1)}


@pytest.fixture
def new_jobs(runtime: Runtime) -> Iterator[Callable[[], Jobs]]:
    """As many processes as a test asks for."""
    with ExitStack() as stack:

        def make() -> Jobs:
            lock = WorkerLock(runtime.database_url)
            stack.callback(lock.release)
            return Jobs(runtime, lock)

        yield make


def fire(clock: FrozenClock, times: int = 1) -> list[str]:
    """Fires the sweep as a scheduler does, a second apart; what was told of it."""
    told = []
    for _ in range(times):
        with in_transaction():
            told += take_due_jobs(EVERY, clock.now())
        clock.move(timedelta(seconds=1))
    return told


def test_a_firing_makes_one_run_however_often_it_is_told(new_jobs: Callable[[], Jobs], clock: FrozenClock) -> None:
    ran: list[int] = []
    assert fire(clock) == ["sweep"]
    processes = [new_jobs(), new_jobs()]
    for _ in range(3):
        for jobs in processes:
            assert not jobs.run("sweep", lambda: ran.append(1))
    assert ran == [1]
    assert fire(clock) == ["sweep"]
    processes[1].run("sweep", lambda: ran.append(2))
    assert ran == [1, 2]


def test_what_was_fired_while_it_ran_makes_one_more_run(new_jobs: Callable[[], Jobs], clock: FrozenClock) -> None:
    one, other = new_jobs(), new_jobs()
    ran: list[str] = []

    def slow() -> None:
        fire(clock, times=5)
        assert not other.run("sweep", lambda: ran.append("at once"))
        ran.append("slow")

    fire(clock)
    assert one.run("sweep", slow)  # and is to run again
    assert not one.run("sweep", lambda: ran.append("afterwards"))
    assert not other.run("sweep", lambda: ran.append("twice"))
    assert ran == ["slow", "afterwards"]


def test_whoever_finds_a_job_running_may_take_part_in_it(new_jobs: Callable[[], Jobs], clock: FrozenClock) -> None:
    one, other = new_jobs(), new_jobs()
    ran: list[str] = []

    def run() -> None:
        assert not other.run("sweep", lambda: ran.append("twice"), lambda: ran.append("a part"))
        ran.append("the rest")

    fire(clock)
    one.run("sweep", run, lambda: ran.append("its own part"))
    assert ran == ["a part", "the rest"]


def test_ten_minutes_without_a_worker_are_one_run_and_few_messages(
    new_jobs: Callable[[], Jobs], clock: FrozenClock
) -> None:
    told = fire(clock, times=600)
    assert len(told) == 8 + 600 // 8 - 1
    ran: list[int] = []
    jobs = new_jobs()
    for _ in told:
        jobs.run("sweep", lambda: ran.append(1))
    assert ran == [1]


def test_a_run_whose_worker_is_gone_is_taken_over_at_once(
    runtime: Runtime, new_jobs: Callable[[], Jobs], clock: FrozenClock
) -> None:
    dead = WorkerLock(runtime.database_url)
    fire(clock)
    with in_transaction():
        assert begin_job("sweep", dead.number(), clock.now()) is not None
    fire(clock)
    ran: list[int] = []
    new_jobs().run("sweep", lambda: ran.append(1))
    assert ran == []
    number = dead.number()
    dead.release()
    wait_until_free(number)
    new_jobs().run("sweep", lambda: ran.append(2))
    assert ran == [2]


def test_a_run_that_nobody_renews_is_free_after_its_lease(
    runtime: Runtime, worker: int, new_jobs: Callable[[], Jobs], clock: FrozenClock
) -> None:
    """As of a host that vanished: PostgreSQL has not noticed yet that its session is gone."""
    fire(clock)
    with in_transaction():
        run = begin_job("sweep", worker, clock.now())
    assert run is not None
    fire(clock)
    clock.move(LEASE)
    ran: list[int] = []
    new_jobs().run("sweep", lambda: ran.append(1))
    assert ran == [1]
    with in_transaction():
        assert not end_job("sweep", run)  # the first one comes back too late: it lets go of nothing
        assert rows("SELECT run > %s FROM periodic_jobs", (run,)) == [(True,)]


def test_a_job_that_raises_is_let_go_of(new_jobs: Callable[[], Jobs], clock: FrozenClock) -> None:
    jobs = new_jobs()

    def bug() -> None:
        raise ValueError

    fire(clock)
    with pytest.raises(ValueError):
        jobs.run("sweep", bug)
    fire(clock)
    ran: list[int] = []
    jobs.run("sweep", lambda: ran.append(1))
    assert ran == [1]


def test_a_lease_is_let_go_of_when_the_database_is_back(
    runtime: Runtime, new_jobs: Callable[[], Jobs], clock: FrozenClock
) -> None:
    jobs = new_jobs()

    def loses_its_session() -> None:
        with psycopg2.connect(runtime.database_url) as admin, admin.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'tracklayer' AND pid <> pg_backend_pid()"
            )
        admin.close()

    fire(clock)
    jobs.run("sweep", loses_its_session)
    jobs.keep()
    with in_transaction():
        assert rows("SELECT leased_until FROM periodic_jobs") == [(None,)]
    assert LEASE.total_seconds() / 2 > RENEW_SECONDS


def test_what_a_scheduler_of_the_version_before_fires_is_run(new_jobs: Callable[[], Jobs], clock: FrozenClock) -> None:
    with in_transaction():
        execute("INSERT INTO periodic_jobs (name, next_run_at) VALUES ('sweep', %s)", (clock.now(),))
    ran: list[int] = []
    jobs = new_jobs()
    for n in range(3):
        jobs.run("sweep", lambda n=n: ran.append(n))  # type: ignore[misc]
        jobs.run("sweep", lambda: ran.append(99))
        with in_transaction():
            execute("UPDATE periodic_jobs SET next_run_at = %s", (clock.move(timedelta(seconds=1)),))
    assert ran == [0, 1, 2]


def test_a_job_is_late_when_nobody_begins_or_fires_it(runtime: Runtime, worker: int, clock: FrozenClock) -> None:
    def late(every: timedelta) -> bool:
        with in_transaction():
            return is_late(jobs_by_name(clock.now()).get("sweep"), every, clock.now())

    second = EVERY["sweep"]
    assert late(second)  # never fired at all
    fire(clock, times=3)
    assert not late(second)
    fire(clock)
    assert late(second)  # fired again and again, and nobody begins it
    with in_transaction():
        run = begin_job("sweep", worker, clock.now())
    assert run is not None
    fire(clock, times=10)
    assert not late(second)  # it runs
    with in_transaction():
        end_job("sweep", run)
        again = begin_job("sweep", worker, clock.now())
        assert again is not None
        end_job("sweep", again)
    assert not late(second)
    clock.move(LATE)
    assert late(second)  # nobody fires it
    with in_transaction():
        execute(
            "UPDATE periodic_jobs SET next_run_at = %s, begun_for = NULL, missed = 0",
            (clock.now() + timedelta(minutes=1),),
        )
    assert not late(timedelta(minutes=1))
    clock.move(LATE)
    assert late(timedelta(minutes=1))  # seldom fired, and its message was lost


def test_every_job_of_a_crew_runs_when_it_is_fired(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    broker = build_broker(None)
    assert isinstance(broker, dramatiq.brokers.stub.StubBroker)
    crew = assemble(runtime, broker, threads=4)
    with in_transaction():
        fired = take_due_jobs(periodic(runtime.settings), NOW)
    assert sorted(fired) == sorted(periodic(runtime.settings))
    with caplog.at_level(logging.WARNING):
        worker = crew.start_worker()
        for name in fired * 2:
            crew.fire(name)
        broker.join(HOUSEKEEPING)
        worker.stop()
    crew.stop()
    assert caplog.records == []
    with in_transaction():
        assert rows("SELECT DISTINCT run > 0, leased_until, begun_for = next_run_at FROM periodic_jobs") == [
            (True, None, True)
        ]


def test_a_run_that_postgresql_lost_does_not_let_go_of_the_one_that_others_began_instead(
    worker: int, clock: FrozenClock
) -> None:
    fire(clock)
    with in_transaction():
        (before,) = rows("SELECT run, begun_for, leased_until FROM periodic_jobs WHERE name = 'sweep'")
        lost = begin_job("sweep", worker, clock.now())
    assert lost is not None
    with in_transaction():
        execute("UPDATE periodic_jobs SET (run, begun_for, leased_until) = (%s, %s, %s) WHERE name = 'sweep'", before)
        begun = begin_job("sweep", worker, clock.now())
        assert begun is not None
        assert begun != lost
        assert not end_job("sweep", lost)
        assert rows("SELECT leased_until IS NOT NULL FROM periodic_jobs WHERE name = 'sweep'") == [(True,)]
