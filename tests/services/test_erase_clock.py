"""PostgreSQL's clock was set back, or another server took over: what was stored before somebody was erased goes all the same."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from tests.factories import Merchant
from tests.services.test_deliver import accepted
from tests.services.test_erase import (
    EMAIL,
    LAPTOP,
    OPERATOR,
    begin,
    deliver,
    finish,
    links,
    of,
    seen,
    send,
    sound,
    state,
    stored,
)
from tests.services.test_erase_walk import TELEPHONE, receipt_of, told_at
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.lateness import begin_storing
from tracklayer.db.storing import run_statement
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import erase_jobs
from tracklayer.services.erase import ON_ITS_WAY, Begun, Counted, Request, count_person, erase_person
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.ingest import LATE_SECONDS, judge, store

HERS = Request(email=EMAIL)
BACK = pytest.mark.parametrize("back", [timedelta(seconds=5), timedelta(hours=1)], ids=["5 s", "1 h"])
SUPPRESS = pytest.mark.parametrize("suppress", [True, False], ids=["left alone", "not left alone"])


@BACK
@SUPPRESS
def test_what_came_by_a_clock_that_was_ahead_goes(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    worker: int,
    sandbox: SandboxServer,
    back: timedelta,
    suppress: bool,
) -> None:
    send(runtime, merchant, of("hers"), of("another's", "bob@other.example"))
    came_at = clock.now()
    clock.move(-back)
    looked = count_person(runtime, merchant.merchant_id, HERS)
    assert isinstance(looked, Counted)
    assert (looked.events, looked.complete) == (1, True)
    done = finish(runtime, clock, begin(runtime, merchant, HERS, suppress=suppress))
    assert (done.counts["events"], stored(merchant)) == (1, ["another's"])
    assert receipt_of(done)["looked_until"] == told_at(came_at)
    clock.move(back)
    deliver(runtime, worker, merchant)
    assert accepted(sandbox) == {"another's": 1}
    sound(clock)


@BACK
def test_a_page_view_in_their_browser_by_a_clock_that_was_ahead_goes(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, back: timedelta
) -> None:
    """It names nobody: the erasure learns of the browser by the events, and looks once more."""
    send(runtime, merchant, of("hers", browser_id=TELEPHONE), of("a page view", None, browser_id=TELEPHONE))
    seen(merchant, clock, TELEPHONE, email=EMAIL)
    clock.move(-back)
    finish(runtime, clock, begin(runtime, merchant, HERS, suppress=False))
    assert (stored(merchant), links(merchant)) == ([], [])
    sound(clock)


@BACK
@SUPPRESS
def test_who_asks_again_means_what_came_by_a_clock_that_was_ahead(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, back: timedelta, suppress: bool
) -> None:
    """Two ask for the same person; between them an event of theirs comes, and the clock is set back."""
    row = begin(runtime, merchant, HERS, suppress=suppress)
    with in_transaction():  # nobody knows yet that the person is to be left alone, or they were let back
        execute("DELETE FROM suppressions")
    clock.move(timedelta(seconds=15))
    send(runtime, merchant, of("hers"))
    clock.move(-back)
    again = erase_person(runtime, merchant.merchant_id, HERS, OPERATOR, suppress=suppress)
    assert isinstance(again, Begun)
    assert again.is_another
    clock.move(back)
    finish(runtime, clock, row)
    assert stored(merchant) == []


def test_what_comes_once_the_clock_is_past_that_stays(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked to leave the person alone: who buys again while a long look goes on is a new customer."""
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    send(runtime, merchant, of("before"), *(of(f"n{number:02}", f"n{number}@other.example") for number in range(20)))
    clock.move(timedelta(seconds=-5))
    row = begin(runtime, merchant, HERS, suppress=False)
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 0.001)
    assert state(row).stage == "walk"
    send(runtime, merchant, of("bought again"))
    finish(runtime, clock, row)
    assert [one for one in stored(merchant) if not one.startswith("n")] == ["bought again"]
    sound(clock)


def test_a_repeat_that_was_on_its_way_by_a_clock_that_was_ahead_does_not_stay(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """It was judged before its event was erased, and is stored after that."""
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    call = judge(runtime, merchant.holder, [of("hers")])  # by a process that then stood still
    clock.move(timedelta(hours=-1))
    row = begin(runtime, merchant, HERS, suppress=False)
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    assert (state(row).stage, stored(merchant)) == ("settling", [])
    with in_transaction(), contextlib.suppress(StopIteration):
        steps = store([call], runtime.settings.retry_window, begin_storing(LATE_SECONDS))
        statement, arguments = next(steps)
        while True:
            statement, arguments = steps.send(run_statement(statement, arguments))
    assert stored(merchant) == ["hers"]
    finish(runtime, clock, row)
    assert stored(merchant) == []


def test_who_is_left_alone_since_a_clock_that_was_ahead_was_not_let_back(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """So what an erasure finds of their browsers is left alone as well."""
    finish(runtime, clock, begin(runtime, merchant, HERS))
    seen(merchant, clock, LAPTOP, email=EMAIL)  # as another process did, which did not know yet
    clock.move(timedelta(hours=-1))
    with in_transaction():
        execute("UPDATE erasure_walks SET next_at = %s", (clock.now(),))  # when it goes on is no part of this
    done = finish(runtime, clock, begin(runtime, merchant, HERS))
    assert done.counts["identities"] == 1
    send(runtime, merchant, {**of("a page view", None, browser_id=LAPTOP), "occurred_at": clock.now()})
    with in_transaction():
        assert rows("SELECT drop_reason FROM deliveries") == [("suppressed",)]
