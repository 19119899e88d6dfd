"""The time is PostgreSQL's, whatever a machine's own clock says, and whenever somebody sets it."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

import tracklayer
from tests.conftest import NOW
from tests.factories import Merchant, draft
from tests.servers import wait_until
from tracklayer.actors.crew import assemble
from tracklayer.clock import DRIFT, DatabaseClock, elapsed
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.leases import claim_due
from tracklayer.runtime import Runtime, Timekeeper, build_runtime, measure
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services.ingest import Accepted, ingest_events
from tracklayer.services.sweep import sweep
from tracklayer.settings import load_settings


class Machine:
    """A machine ``ahead`` of PostgreSQL, whose seconds pass when the test says so."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead
        self.passed = 1000.0
        self.start = NOW
        self.database_ahead = 0.0
        self.clock = DatabaseClock(lambda: self.there() + timedelta(seconds=self.ahead), lambda: self.passed)

    def there(self) -> datetime:
        return self.start + timedelta(seconds=self.passed - 1000 + self.database_ahead)

    def measure(self, question: float = 0.001, answer: float = 0.001) -> None:
        """One look, whose question and answer take so many seconds."""

        def ask() -> datetime:
            self.passed += question
            found = self.there()
            self.passed += answer
            return found

        self.clock.measure(ask)

    def wrong(self) -> float:
        """Seconds by which the clock is ahead of PostgreSQL's."""
        return (self.clock.now() - self.there()).total_seconds()


@pytest.mark.parametrize("ahead", [-420.0, -3.0, 0.0, 150.0, 86_400.0])
def test_a_machine_whose_clock_is_wrong_goes_by_postgresqls(ahead: float) -> None:
    machine = Machine(ahead)
    machine.measure()
    assert machine.wrong() == pytest.approx(0, abs=0.001)
    assert machine.clock.machine_is_ahead().total_seconds() == pytest.approx(ahead, abs=0.002)


def test_until_the_first_measurement_nobody_is_sure() -> None:
    machine = Machine(-420)
    assert not machine.clock.is_sure
    assert machine.wrong() == pytest.approx(-420)
    machine.measure()
    assert machine.clock.is_sure


@pytest.mark.parametrize("jump", [-600.0, -5.0, 150.0, 3600.0])
def test_a_machines_clock_that_is_set_changes_nothing(jump: float) -> None:
    machine = Machine(420)
    machine.measure()
    machine.ahead = jump
    assert machine.wrong() == pytest.approx(0, abs=0.001)
    machine.passed += 3600  # and no measurement succeeds for an hour
    assert machine.wrong() == pytest.approx(0, abs=0.001)
    assert machine.clock.is_sure


def test_of_many_measurements_the_quickest_say_most() -> None:
    machine = Machine()
    machine.measure(question=4.0, answer=0.0)
    assert machine.wrong() == pytest.approx(2.0)
    machine.measure(question=0.001, answer=0.003)
    assert machine.wrong() == pytest.approx(0, abs=0.002)
    machine.measure(question=90.0, answer=0.0)  # says nothing that is false, and nothing new
    assert machine.wrong() == pytest.approx(0, abs=0.002 + 90 * DRIFT)
    assert machine.clock.is_sure


def test_seconds_that_run_a_little_fast_are_followed() -> None:
    machine = Machine()
    machine.measure()
    for _ in range(1000):
        machine.passed += 10
        machine.database_ahead -= 10 * DRIFT / 2
        machine.measure()
        assert machine.wrong() == pytest.approx(0, abs=0.01)
        assert machine.clock.is_sure


def test_a_database_whose_clock_is_set_by_seconds_is_believed_at_once() -> None:
    machine = Machine()
    machine.measure()
    machine.database_ahead = -30
    machine.measure()
    assert machine.wrong() == pytest.approx(0, abs=0.002)
    assert machine.clock.is_sure


def test_a_jump_of_more_than_a_minute_is_believed_when_two_measurements_say_so() -> None:
    machine = Machine()
    machine.measure()
    machine.database_ahead = 300
    machine.measure()
    assert not machine.clock.is_sure
    assert machine.wrong() == pytest.approx(-300, abs=0.002)
    machine.passed += 1
    machine.measure()
    assert machine.clock.is_sure
    assert machine.wrong() == pytest.approx(0, abs=0.002)


def test_one_measurement_that_nobody_can_explain_is_forgotten() -> None:
    machine = Machine()
    machine.measure()
    machine.database_ahead = -300
    machine.measure()
    assert not machine.clock.is_sure
    machine.database_ahead = 0
    machine.measure()
    assert machine.clock.is_sure
    assert machine.wrong() == pytest.approx(0, abs=0.002)


def test_two_that_do_not_agree_with_each_other_prove_nothing() -> None:
    machine = Machine()
    machine.measure()
    for ahead in (300, 900, -1200):
        machine.database_ahead = ahead
        machine.measure()
        assert not machine.clock.is_sure
    machine.measure()
    assert machine.clock.is_sure
    assert machine.wrong() == pytest.approx(0, abs=0.002)


def test_a_question_that_fails_changes_nothing() -> None:
    machine = Machine()
    machine.measure()

    def fails() -> datetime:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        machine.clock.measure(fails)
    assert machine.clock.is_sure
    assert machine.wrong() == pytest.approx(0, abs=0.001)


# With a real database ------------------------------------------------------------------------------------------------


class Wall:
    """This machine's time of day, as somebody set it."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def test_a_difference_of_two_seconds_is_told_once_and_so_is_its_end(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tracklayer.runtime")
    wall = Wall(timedelta(seconds=1))
    keeper = Timekeeper(DatabaseClock(wall, elapsed))
    keeper.look()
    assert caplog.messages == []
    wall.ahead = timedelta(minutes=-7)
    for _ in range(3):
        keeper.look()
    (told,) = caplog.messages
    assert "behind PostgreSQL's" in told
    wall.ahead = timedelta()
    for _ in range(3):
        keeper.look()
    assert caplog.messages[1:] == ["this machine's clock agrees with PostgreSQL's again"]


@pytest.mark.parametrize("ahead", [timedelta(minutes=-7), timedelta(minutes=7)])
def test_events_are_taken_before_and_after_the_machines_clock_is_mended(
    runtime: Runtime, merchant: Merchant, ahead: timedelta
) -> None:
    wall = Wall(ahead)
    clock = DatabaseClock(wall, elapsed)
    measure(clock)
    runtime.clock = clock
    for event_id in ("before", "after"):
        event = draft(event_id, occurred_at=datetime.now(UTC).isoformat())
        (outcome,) = ingest_events(runtime, merchant.holder, [event]).outcomes
        assert isinstance(outcome, Accepted)
        wall.ahead = timedelta()


def test_a_sweeper_whose_clock_is_set_ahead_takes_nobodys_work(
    runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    wall = Wall(timedelta())
    clock = DatabaseClock(wall, elapsed)
    measure(clock)
    runtime.clock = clock
    events = [draft(f"order_{n}", occurred_at=datetime.now(UTC).isoformat()) for n in range(20)]
    ingest_events(runtime, merchant.holder, events)
    with in_transaction():
        taken = claim_due(merchant.merchant_id, "meta", 20, clock.now(), worker)
    assert taken is not None
    wall.ahead = timedelta(seconds=150)
    assert sweep(runtime).taken_back == 0
    with in_transaction():
        assert rows("SELECT count(*), sum(cardinality(event_ids)) FROM claims") == [(1, 20)]


def test_a_worker_whose_clock_is_set_behind_keeps_what_it_has_in_hand(
    runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    wall = Wall(timedelta())
    of_the_worker, of_the_sweeper = DatabaseClock(wall, elapsed), DatabaseClock()
    for clock in (of_the_worker, of_the_sweeper):
        measure(clock)
    wall.ahead = timedelta(minutes=-10)
    runtime.clock = of_the_sweeper
    ingest_events(runtime, merchant.holder, [draft(occurred_at=datetime.now(UTC).isoformat())])
    with in_transaction():
        # A second later: two clocks agree as far as a round trip to PostgreSQL tells, not to the microsecond.
        now = of_the_worker.now() + timedelta(seconds=1)
        taken = claim_due(merchant.merchant_id, "meta", 20, now, worker)
    assert taken is not None
    assert sweep(runtime).taken_back == 0
    with in_transaction():
        assert rows("SELECT count(*), sum(cardinality(event_ids)) FROM claims") == [(1, 1)]


def test_a_machine_whose_seconds_stood_still_is_right_again_with_the_next_ticks(database: str) -> None:
    slept = 0.0
    clock = DatabaseClock(lambda: datetime.now(UTC), lambda: elapsed() - slept)
    keeper = Timekeeper(clock)
    keeper.look()
    slept = 3600.0
    assert datetime.now(UTC) - clock.now() > timedelta(minutes=59)
    keeper.tick()
    assert not clock.is_sure
    keeper.tick()
    assert clock.is_sure
    assert abs(datetime.now(UTC) - clock.now()) < timedelta(minutes=1)


def test_a_process_measures_from_its_start_to_its_end(database: str) -> None:
    runtime = build_runtime(load_settings({}), database, Sealer(["k" * 32]))
    try:
        assert runtime.clock.is_sure
        with in_transaction():
            before = rows("SELECT clock_timestamp()")[0][0]
            found = runtime.clock.now()
            after = rows("SELECT clock_timestamp()")[0][0]
        # No more is known of the moment than that it lies within a round trip of these two.
        room = after - before + timedelta(milliseconds=50)
        assert before - room <= found <= after + room
    finally:
        runtime.close()


def test_nothing_is_claimed_while_nobody_knows_the_time(
    runtime: Runtime, merchant: Merchant, sandbox: SandboxServer
) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    machine = Machine()
    machine.measure()
    machine.database_ahead = 300
    machine.measure()
    runtime.clock = machine.clock
    broker = StubBroker(middleware=[])
    crew = assemble(runtime, broker)
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=2)
    worker.start()
    try:
        crew.fire("sweep")
        broker.get_actor("deliver").send(merchant.merchant_id, "meta")
        for queue in list(broker.queues):
            broker.join(queue)
        worker.join()
        assert select_status() == "queued"
        machine.measure()
        assert machine.clock.is_sure
        broker.get_actor("deliver").send(merchant.merchant_id, "meta")
        wait_until(lambda: select_status() == "delivered", "the delivery")
    finally:
        worker.stop()
        crew.stop()


def select_status() -> str:
    with in_transaction():
        ((status,),) = rows("SELECT status FROM deliveries")
    return str(status)


# What counts on the time since something came, or since its merchant's rows were asked: when an erasure may be over depends on it.
COUNT_ON_IT = frozenset(
    """keyring db.async_session db.lateness db.merchants db.sign_ins schema.mutations services.collect services.group_commit
    services.identify services.ingest services.intake services.linking web.collector""".split()
)


def test_what_an_erasure_counts_on_counts_while_a_machine_sleeps() -> None:
    """Linux stops the monotonic clock then: an event that came before would be taken for one that has just come."""
    root = Path(tracklayer.__file__).parent
    sources = {".".join(path.relative_to(root).with_suffix("").parts): path.read_text() for path in root.rglob("*.py")}
    counting = {
        name
        for name, source in sources.items()
        if not name.startswith("cli.")
        and re.search(r"db\.lateness import|\.asked_at\b|\bcall\.arrived\b|holder_of\(", source)
    }
    assert counting <= COUNT_ON_IT
    assert [name for name in sorted(COUNT_ON_IT) if "monotonic" in sources[name]] == []
