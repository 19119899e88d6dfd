"""PostgreSQL goes on from before some of its commits: on a standby that had not got them, or after a crash without
``synchronous_commit``. What workers have in their hands is then in no row, or in somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft
from tests.services.test_deliver import accepted, fault, ingest, mend, row
from tests.services.test_late_answers import GONE, Sender, TogetherSender, counted, nothing_more_goes_out, outcomes
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer

SEQUENCES = "SELECT sequencename, start_value, last_value FROM pg_sequences WHERE schemaname = 'public'"


@contextmanager
def lost() -> Iterator[None]:
    """What the block claims is lost when it ends, and so are the numbers that were given out in it."""
    with in_transaction():
        before = rows(SEQUENCES)
        held = [found[0] for found in rows("SELECT claim_id FROM claims")]
    yield
    with in_transaction():
        execute("DELETE FROM claims WHERE claim_id <> ALL(%s)", (held,))
        for name, first, last in before:
            rows("SELECT setval(%s::regclass, %s, %s)", (name, last or first, last is not None))


def test_a_claim_is_not_settled_by_whoever_had_one_that_was_lost(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    one, two = Sender(runtime, merchant, worker), Sender(runtime, merchant, worker)
    with lost():
        one.go()
    clock.move(timedelta(seconds=1))
    ingest(runtime, merchant, draft("order_2"), draft("order_3"))
    two.go()
    assert two.batch is not None
    one.settle()
    with in_transaction():
        assert rows("SELECT claim_id, sending <> '{}' FROM claims") == [(two.batch.lease.claim_id, True)]
    clock.move(timedelta(seconds=1))
    two.settle()
    assert [row(merchant, name).status for name in ("order_1", "order_2", "order_3")] == ["delivered"] * 3
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def test_a_worker_gets_no_number_that_was_given_to_one_that_lives(database: str) -> None:
    with lost():
        one = WorkerLock(database)
        number = one.number()
        one._session.close()  # type: ignore[union-attr]
        one._released.set()  # so that it takes none again by itself
    others = [WorkerLock(database) for _ in range(3)]
    assert number not in [other.number() for other in others]
    for lock in (one, *others):
        lock.release()


@pytest.mark.parametrize("is_tried_before", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_an_answer_is_written_though_its_claim_was_lost(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    together: bool,
    is_tried_before: bool,
) -> None:
    ingest(runtime, merchant, draft())
    if is_tried_before:
        fault(sandbox, kind="refuse", event_ids=["order_1"])
        first = Sender(runtime, merchant, worker)
        first.go()
        first.settle()
        mend(sandbox)
        clock.move(timedelta(minutes=10))
    with lost():
        one: Any = (TogetherSender if together else Sender)(runtime, merchant, worker)
        one.go()
    clock.move(timedelta(seconds=1))
    one.settle()
    found = row(merchant)
    log = [*["rejected"][: int(is_tried_before)], "acknowledged"]
    assert (found.status, found.attempts, outcomes(found)) == ("delivered", len(log), log)
    assert counted() == {"acknowledged": 1, **({"refused": 1, "retries_acknowledged": 1} if is_tried_before else {})}
    one.settle()  # as where its commit was not answered
    assert row(merchant) == found
    assert accepted(sandbox) == {"order_1": 1}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize(
    ("late", "times"),
    [("the second sending", 1), ("the second answer", 2), ("nothing", 2)],
    ids=lambda value: str(value),
)
def test_an_answer_whose_claim_was_lost_and_somebody_elses_are_each_told_once(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    late: str,
    times: int,
) -> None:
    """``late``: before what of the second worker's the late answer is written."""
    ingest(runtime, merchant, draft())
    one, two = Sender(runtime, merchant, GONE), Sender(runtime, merchant, worker)
    with lost():
        one.go()
    clock.move(timedelta(seconds=1))
    two.claim()
    if late == "the second sending":
        one.settle()
    two.begin()
    two.send()
    if late == "the second answer":
        one.settle()
    clock.move(timedelta(seconds=1))
    two.settle()
    if late == "nothing":
        one.settle()
    found = row(merchant)
    assert (found.status, found.attempts, outcomes(found)) == ("delivered", times, ["acknowledged"] * times)
    assert counted() == {"acknowledged": times, **({"retries_acknowledged": 1} if times > 1 else {})}
    assert accepted(sandbox) == {"order_1": times}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)
