"""A worker's answer comes when others have its delivery: what the platform got is told, whatever comes in which order."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import META, Merchant, draft, new_merchant, sweep_missed
from tests.services.test_deliver import accepted, fault, ingest, mend, requests, row
from tests.services.test_deliver_edges import unwritable
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.counters import Changes
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.domain.delivery import IN_VAIN, BatchRejected, NotBuilt, Rejected, Verdict, may_be_doubled
from tracklayer.domain.retry import MAX_ATTEMPTS
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import deliver as engine
from tracklayer.services import settle as settle_module
from tracklayer.services.deliver import deliver_due
from tracklayer.services.deliver_together import (
    Answered,
    Errand,
    begin_together,
    deliver,
    settle_alone,
    settle_together,
    take,
)
from tracklayer.services.destinations import (
    Changed,
    pause_destination,
    remove_destination,
    resume_destination,
    set_destination,
)
from tracklayer.services.erase import Begun, Request, erase_person
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.invariants import check_invariants
from tracklayer.services.platform_requests import Batch, Item, ask
from tracklayer.services.redeliver import redeliver_matching
from tracklayer.services.settle import LeaseLostError
from tracklayer.services.sweep import sweep

GONE, GONE_TOO = 999_998, 999_999  # numbers of workers whose locks nobody holds


@dataclass
class Sender:
    """One worker and one batch: claimed, begun, sent and settled step by step, whatever others do between."""

    runtime: Runtime
    merchant: Merchant
    worker: int
    batch: Batch | None = None
    todo: deque[list[Item]] = field(default_factory=deque)
    sent_at: datetime | None = None
    verdict: Verdict | NotBuilt | None = None

    def claim(self) -> None:
        queue = (self.merchant.merchant_id, "meta")
        now, turn = self.runtime.clock.now(), self.runtime.turns.of(queue)
        taken = engine._claim(self.runtime, self.worker, *queue, now, turn)
        if taken is not None:
            self.batch, unsent, self.todo = engine.prepare(self.runtime, *taken, now)
            assert not unsent

    def begin(self) -> None:
        if self.batch is not None:
            self.sent_at = engine.begin(self.runtime, self.batch, [], self.todo)

    def send(self) -> None:
        if self.batch is not None and self.todo and self.todo[0]:
            self.verdict = ask(self.runtime, self.batch, self.todo[0])

    def settle(self) -> None:
        if self.batch is not None and self.sent_at is not None:
            with suppress(LeaseLostError):
                engine.send_all(self.runtime, self.batch, self.todo, self.sent_at, self.verdict)

    def go(self) -> None:
        self.claim()
        self.begin()
        self.send()


class TogetherSender:
    """The same where many destinations go together. ``between``: claiming and beginning."""

    def __init__(self, runtime: Runtime, merchant: Merchant, worker: int) -> None:
        self.runtime, self.queue, self.worker = runtime, (merchant.merchant_id, "meta"), worker
        self.answered: list[Answered] = []

    def go(self, between: Callable[[], object] = lambda: None) -> None:
        errands, alone = take(self.runtime, self.worker, [self.queue])
        assert not alone
        between()
        begin_together(self.runtime, errands)
        self.answered = [found for errand in errands if (found := deliver(self.runtime, errand)) is not None]

    def settle(self) -> None:
        for left in settle_together(self.runtime, self.answered):
            settle_alone(self.runtime, left)


def risk(found: DeliveryRow) -> bool:
    """Whether it may have been counted twice where the platform recognises no copy."""
    attempts = [(datetime.fromisoformat(entry["at"]), entry["outcome"]) for entry in found.attempt_log]
    return may_be_doubled(attempts, found.last_attempt_at, None)


def outcomes(found: DeliveryRow) -> list[str]:
    return [entry["outcome"] for entry in found.attempt_log]


def counted() -> dict[str, int]:
    """What the attempts count as, in all."""
    names = ("acknowledged", "unknown", "refused", "rate_limited", "retries_acknowledged", "retries_failed")
    with in_transaction():
        (sums,) = rows(f"SELECT {', '.join(f'sum({name})::int' for name in names)} FROM minutes WHERE platform <> ''")
    return {name: count for name, count in zip(names, sums, strict=True) if count}


def nothing_more_goes_out(runtime: Runtime, worker: int, merchant: Merchant, sandbox: SandboxServer) -> None:
    clock: Any = runtime.clock
    before = requests(sandbox)
    clock.move(timedelta(hours=6))
    sweep(runtime)
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    assert requests(sandbox) == before
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert not check_invariants(clock.now())


def test_an_answer_that_is_written_one_by_one_is_known_again_when_its_worker_was_taken_for_lost_half_way(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(name) for name in "abc"))
    one = Sender(runtime, merchant, GONE)
    one.go()
    items, answer = [*one.todo[0]], one.verdict
    assert isinstance(answer, list)
    one.verdict = [*answer]
    clock.move(timedelta(seconds=1))
    with unwritable("b", excepted=""), pytest.raises(Exception, match="it cannot be written"):
        one.settle()
    assert [row(merchant, name).status for name in "abc"] == ["delivered", "queued", "queued"]
    clock.move(timedelta(seconds=1))
    assert sweep_missed(runtime).taken_back == 2
    assert {row(merchant, name).attempt_log[0]["at"] for name in "abc"} == {
        one.sent_at.isoformat() if one.sent_at else ""
    }
    one.todo.append(items)
    one.verdict = answer
    one.settle()
    assert {name: outcomes(row(merchant, name)) for name in "abc"} == {name: ["acknowledged"] for name in "abc"}
    assert accepted(sandbox) == dict.fromkeys("abc", 1)
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


# What the second request comes to -> (attempts told, the log, how often the platform took it, whether it may count twice)
SECOND: dict[str, tuple[int, list[str], int, bool]] = {
    "acknowledged": (2, ["acknowledged", "acknowledged"], 2, True),
    "unanswered": (2, ["acknowledged", "unknown"], 2, True),
    "its worker is lost": (2, ["acknowledged", "unknown"], 2, True),
    "refused": (2, ["acknowledged", "rejected"], 1, False),
    "too fast": (1, ["acknowledged", "rate_limited"], 1, False),
}
COUNTED = {
    "acknowledged": {"acknowledged": 2, "retries_acknowledged": 1},
    "unanswered": {"acknowledged": 1, "unknown": 1, "retries_failed": 1},
    "its worker is lost": {"acknowledged": 1, "unknown": 1, "retries_failed": 1},
    "refused": {"acknowledged": 1, "refused": 1, "retries_failed": 1},
    "too fast": {"acknowledged": 1, "rate_limited": 1},
}
FAULTS: dict[str, dict[str, Any]] = {
    "unanswered": {"kind": "drop_after_accept"},
    "refused": {"kind": "refuse", "event_ids": ["order_1"]},
    "too fast": {"kind": "rate_limit"},
}


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("late", ["the second claim", "the second sending", "the second answer", "nothing"])
def test_the_platforms_count_is_told_in_every_order(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    late: str,
    second: str,
) -> None:
    """``late``: before what of the second worker's the late answer is written."""
    is_lost = second == "its worker is lost"
    ingest(runtime, merchant, draft())
    one, two = Sender(runtime, merchant, GONE), Sender(runtime, merchant, GONE_TOO if is_lost else worker)
    one.go()
    clock.move(timedelta(seconds=2))
    assert sweep_missed(runtime).taken_back == 1
    if second in FAULTS:
        fault(sandbox, **FAULTS[second])

    def answer() -> None:
        if is_lost:
            sweep_missed(runtime)
        else:
            two.settle()

    steps: list[tuple[str, Callable[[], object]]] = [
        ("the second claim", two.claim),
        ("the second sending", two.begin),
        ("", two.send),
        ("the second answer", answer),
        ("nothing", lambda: None),
    ]
    for name, step in steps:
        clock.move(timedelta(seconds=1))
        if name == late:
            one.settle()
        step()
    mend(sandbox)

    found = row(merchant)
    if late in ("the second claim", "the second sending"):
        attempts, log, times, doubled = 1, ["acknowledged"], 1, False
        assert counted() == {"acknowledged": 1}
        if is_lost and late == "the second sending":
            sweep_missed(runtime)
    else:
        attempts, log, times, doubled = SECOND[second]
        assert counted() == COUNTED[second]
    assert (found.status, found.attempts, outcomes(found), risk(found)) == ("delivered", attempts, log, doubled)
    assert [entry["number"] for entry in found.attempt_log] == [1, 2][: len(log)]
    assert found.delivered_at is not None
    assert found.finished_at == found.delivered_at
    assert found.latency_ms == (found.delivered_at - found.received_at) // timedelta(milliseconds=1)
    assert accepted(sandbox) == {"order_1": times}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)
    assert row(merchant) == found


@pytest.mark.parametrize(
    ("late", "times"),
    [("the second sending", 1), ("the second answer", 2), ("nothing", 2)],
    ids=lambda value: str(value),
)
def test_so_it_is_where_many_destinations_go_together(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    late: str,
    times: int,
) -> None:
    other = new_merchant(runtime, name="Other")
    ingest(runtime, merchant, draft())
    ingest(runtime, other, draft("else"))
    one = TogetherSender(runtime, merchant, GONE)
    two = TogetherSender(runtime, merchant, worker)
    one.go()
    clock.move(timedelta(seconds=2))
    assert sweep_missed(runtime).taken_back == 1
    two.go(one.settle if late == "the second sending" else lambda: None)
    clock.move(timedelta(seconds=1))
    if late == "the second answer":
        one.settle()
    beside = TogetherSender(runtime, other, worker)
    beside.go()
    two.answered += beside.answered
    two.settle()
    if late == "nothing":
        one.settle()
    found = row(merchant)
    log = ["acknowledged"] * times
    assert (found.status, found.attempts, outcomes(found), risk(found)) == ("delivered", times, log, times > 1)
    assert (row(other, "else").status, row(other, "else").attempts) == ("delivered", 1)
    assert accepted(sandbox) == {"order_1": times, "else": 1}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize("is_redelivered_again", [False, True])
@pytest.mark.parametrize("was_tried", [False, True])
def test_what_is_taken_back_of_an_answer_that_comes_late_is_what_its_own_series_counted(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    was_tried: bool,
    is_redelivered_again: bool,
) -> None:
    """What was never tried counts as new in its second series, whatever comes of that before the next one."""
    merchant_id, refused = merchant.merchant_id, {"refused": 1} if was_tried else {}
    if was_tried:
        fault(sandbox, kind="refuse", event_ids=["order_1"])
        ingest(runtime, merchant, draft(occurred_at=clock.now().isoformat()))
        while deliver_due(runtime, worker, merchant_id, "meta"):
            pass
        mend(sandbox)
    else:
        pause_destination(runtime, merchant_id, "meta")
        ingest(runtime, merchant, draft(occurred_at=clock.now().isoformat()))
        clock.move(timedelta(hours=25))
        sweep(runtime)
        resume_destination(runtime, merchant_id, "meta")
    assert counted() == refused
    assert redeliver_matching(runtime, merchant_id, DeliverySearch()).requeued == 1
    one = Sender(runtime, merchant, GONE)
    one.go()
    clock.move(timedelta(minutes=3))
    assert sweep_missed(runtime).taken_back == 1
    assert counted() == {"unknown": 1, **({"retries_failed": 1} if was_tried else {}), **refused}
    if is_redelivered_again:
        assert redeliver_matching(runtime, merchant_id, DeliverySearch()).requeued == 1
    one.settle()
    found = row(merchant)
    assert (found.status, outcomes(found)[-1]) == ("delivered", "acknowledged")
    assert counted() == {"acknowledged": 1, **refused}
    assert "again" not in found.attempt_log[-1]
    assert not check_invariants(clock.now())


def told(merchant: Merchant, event_ids: Sequence[str]) -> dict[str, int]:
    return {event_id: row(merchant, event_id).attempts for event_id in event_ids}


def given_up(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> tuple[Sender, Sender]:
    """(a worker that sent the events a and b and was taken for lost, one that is alive)."""
    ingest(runtime, merchant, draft("a"), draft("b"))
    one, two = Sender(runtime, merchant, GONE), Sender(runtime, merchant, worker)
    one.go()
    clock.move(timedelta(seconds=2))
    assert sweep_missed(runtime).taken_back == 2
    return one, two


def test_of_a_batch_only_what_is_on_its_way_goes_out_twice(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    one, two = given_up(runtime, merchant, worker, clock)
    ingest(runtime, merchant, draft("c"))
    two.claim()
    two.todo = deque(sorted([[item] for item in two.todo[0]], key=lambda items: items[0].claim.key.event_id))
    two.begin()
    two.send()
    one.settle()
    clock.move(timedelta(seconds=1))
    two.settle()
    assert told(merchant, "abc") == accepted(sandbox) == {"a": 2, "b": 1, "c": 1}
    assert {row(merchant, name).status for name in "abc"} == {"delivered"}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def test_a_request_that_is_refused_as_a_whole_does_not_go_out_again_with_what_is_settled(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    one, two = given_up(runtime, merchant, worker, clock)
    ingest(runtime, merchant, draft("c"), draft("d"))
    two.claim()
    two.begin()
    two.verdict = BatchRejected(Rejected("100", "one of them is wrong", 400))
    one.settle()
    clock.move(timedelta(seconds=1))
    two.settle()
    assert told(merchant, "abcd") == accepted(sandbox) == dict.fromkeys("abcd", 1)
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def test_an_answer_that_is_written_twice_adds_one_attempt(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    """As after a commit whose own answer was lost: what follows in the lease lets it be written again."""
    one, two = given_up(runtime, merchant, worker, clock)
    two.claim()
    two.todo = deque([item] for item in two.todo[0])
    first, following = (items[0].claim.key.event_id for items in two.todo)
    two.begin()
    two.send()
    one.settle()
    clock.move(timedelta(seconds=1))
    assert two.batch is not None
    assert two.sent_at is not None
    claims = [two.todo[0][0].claim]
    assert isinstance(two.verdict, list)
    for _ in range(2):
        settle_module._write(runtime, two.batch, claims, two.verdict, two.sent_at, clock.now(), [following], True, 500)
    assert (row(merchant, first).attempts, len(row(merchant, first).attempt_log)) == (2, 2)


def test_the_last_attempt_may_be_answered_late_too(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    senders = []
    for _ in range(MAX_ATTEMPTS):
        senders.append(Sender(runtime, merchant, GONE))
        senders[-1].go()
        clock.move(timedelta(hours=3))
        assert sweep_missed(runtime).taken_back == 1
    assert row(merchant).drop_reason == "retries_exhausted"
    for sender in reversed(senders):
        sender.settle()
    found = row(merchant)
    assert (found.status, found.attempts, outcomes(found)) == (
        "delivered",
        MAX_ATTEMPTS,
        ["acknowledged"] * MAX_ATTEMPTS,
    )
    assert accepted(sandbox) == {"order_1": MAX_ATTEMPTS}
    assert risk(found)
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def its_destination_is_removed(runtime: Runtime, merchant: Merchant) -> None:
    remove_destination(runtime, merchant.merchant_id, "meta")


def its_destination_asks_for_consent(runtime: Runtime, merchant: Merchant) -> None:
    settings = {**META, "require_consent": "always"}
    assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", settings, None), Changed)


def it_grows_too_old(runtime: Runtime, merchant: Merchant) -> None:
    """By the time alone."""


# What ends a delivery while its first answer is on its way -> the reason it is dropped for.
ENDS: list[tuple[Callable[[Runtime, Merchant], None], str]] = [
    (its_destination_is_removed, "destination_removed"),
    (its_destination_asks_for_consent, "invalid_field"),
    (it_grows_too_old, "event_too_old"),
]


@pytest.mark.parametrize(
    ("end", "reason", "is_redelivered"),
    [(*one, False) for one in ENDS] + [(*one, True) for one in ENDS if one[1] not in IN_VAIN],
)
def test_whatever_it_was_dropped_for_a_late_acknowledgement_counts(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    end: Callable[[Runtime, Merchant], None],
    reason: str,
    is_redelivered: bool,
) -> None:
    """The platform has it: nothing of it goes out again, and nothing says any more that it was dropped."""
    merchant_id = merchant.merchant_id
    happened_at = clock.now() - (timedelta(days=7) - timedelta(minutes=4) if reason == "event_too_old" else timedelta())
    ingest(runtime, merchant, draft(occurred_at=happened_at.isoformat()))
    one = Sender(runtime, merchant, GONE)
    one.go()
    clock.move(timedelta(minutes=2))
    assert sweep_missed(runtime).taken_back == 1
    end(runtime, merchant)
    clock.move(timedelta(minutes=6))
    sweep(runtime)
    while deliver_due(runtime, worker, merchant_id, "meta"):
        pass
    found = row(merchant)
    assert (found.status, found.drop_reason, outcomes(found)) == ("dropped", reason, ["unknown"])
    if is_redelivered:
        assert isinstance(set_destination(runtime, merchant_id, "meta", META, None), Changed)
        assert redeliver_matching(runtime, merchant_id, DeliverySearch()).requeued == 1
    one.settle()
    found = row(merchant)
    assert (found.status, found.attempts, outcomes(found)) == ("delivered", 1, ["acknowledged"])
    assert (found.drop_reason, found.last_error, found.error_code) == (None, None, None)
    assert counted() == {"acknowledged": 1}
    with in_transaction():
        assert rows("SELECT sum(delivered)::int, sum(dropped)::int FROM minutes WHERE platform <> ''") == [(1, 0)]
    if not is_redelivered:
        set_destination(runtime, merchant_id, "meta", META, None)
    assert redeliver_matching(runtime, merchant_id, DeliverySearch()).requeued == 0
    assert accepted(sandbox) == {"order_1": 1}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize("reason", ["erased", "suppressed"])
def test_what_was_dropped_for_an_erasure_stays_so_whatever_is_answered_late(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, reason: str
) -> None:
    ingest(runtime, merchant, draft())
    one = Sender(runtime, merchant, GONE)
    one.go()
    clock.move(timedelta(minutes=3))
    assert sweep_missed(runtime).taken_back == 1
    changes = Changes()
    with in_transaction():  # as an erasure leaves it for the moment until it is deleted
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = %s, due_at = NULL, next_retry_at = NULL, finished_at = %s",
            (reason, clock.now()),
        )
        changes.drop(merchant.merchant_id, "meta", row(merchant).received_at, reason, clock.now())
        changes.write()
    before = row(merchant)
    one.settle()
    assert row(merchant) == before
    assert not check_invariants(clock.now())


def others_deliver(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> None:
    """What a worker that stands still for ten minutes has in its hands."""
    for _ in range(10):
        clock.move(timedelta(minutes=1))
        sweep(runtime)
        while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
            pass


@pytest.mark.parametrize("set_back", [timedelta(), timedelta(minutes=20)], ids=["", "and the clock was set back"])
@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_a_worker_that_stood_still_before_it_sent_does_not_send_what_others_delivered(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    is_together: bool,
    set_back: timedelta,
) -> None:
    """Its process was stopped, or its machine slept, after it had noted that it sends: its session lives, its lease ran out."""
    ingest(runtime, merchant, draft())
    one = Sender(runtime, merchant, worker)
    errands: list[Errand] = []
    if is_together:
        errands, _ = take(runtime, worker, [(merchant.merchant_id, "meta")])
        begin_together(runtime, errands)
    else:
        one.claim()
        one.begin()
    others_deliver(runtime, merchant, worker, clock)
    before = row(merchant)
    assert (before.status, outcomes(before), accepted(sandbox)) == (
        "delivered",
        ["unknown", "acknowledged"],
        {"order_1": 1},
    )
    clock.move(-set_back)
    one.settle()
    assert [deliver(runtime, errand) for errand in errands] == [None] * len(errands)
    assert (row(merchant), accepted(sandbox)) == (before, {"order_1": 1})
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def test_a_worker_that_stood_still_between_two_requests_does_not_send_the_second(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    """The first was refused as a whole, and its halves go out one by one."""
    ingest(runtime, merchant, draft("a"), draft("b"))
    one = Sender(runtime, merchant, worker)
    one.claim()
    assert one.batch is not None
    one.todo = deque([item] for item in one.todo[0])
    one.begin()
    others_deliver(runtime, merchant, worker, clock)
    one.settle()
    assert accepted(sandbox) == {"a": 1, "b": 1}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def test_a_worker_that_stood_still_does_not_send_who_was_erased_meanwhile(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    errands, _ = take(runtime, worker, [(merchant.merchant_id, "meta")])
    begin_together(runtime, errands)
    clock.move(timedelta(minutes=3))
    assert sweep_missed(runtime).taken_back == 1
    begun = erase_person(runtime, merchant.merchant_id, Request(event_ids=("order_1",)), {"key": "test"}, suppress=True)
    assert isinstance(begun, Begun)
    for _ in range(90):
        continue_erasures(runtime, 30)
        clock.move(timedelta(seconds=1))
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0,)]
        assert rows("SELECT count(*) FROM erasures WHERE receipt IS NOT NULL") == [(1,)]
    assert [deliver(runtime, errand) for errand in errands] == [None]
    assert accepted(sandbox) == {}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def connecting_takes_long(monkeypatch: pytest.MonkeyPatch, *meanwhile: Callable[[], object]) -> None:
    """Each happens while a worker makes one of its next connections to a platform."""
    left, connect = deque(meanwhile), socket.create_connection

    def connect_slowly(*args: Any, **given: Any) -> socket.socket:
        if threading.current_thread() is threading.main_thread() and left:
            with ThreadPoolExecutor(1) as others:
                others.submit(left.popleft()).result()
        return connect(*args, **given)

    monkeypatch.setattr(socket, "create_connection", connect_slowly)


def is_sent(runtime: Runtime, merchant: Merchant, worker: int, *, is_together: bool) -> None:
    """By a worker that has noted it, settled as well."""
    if not is_together:
        one = Sender(runtime, merchant, worker)
        one.claim()
        one.begin()
        one.settle()
        return
    errands, _ = take(runtime, worker, [(merchant.merchant_id, "meta")])
    begin_together(runtime, errands)
    settle_together(runtime, [found for errand in errands if (found := deliver(runtime, errand)) is not None])


@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_a_worker_that_stood_still_while_it_connected_does_not_send_what_others_delivered(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    is_together: bool,
) -> None:
    ingest(runtime, merchant, draft())
    connecting_takes_long(monkeypatch, lambda: others_deliver(runtime, merchant, worker, clock))
    is_sent(runtime, merchant, worker, is_together=is_together)
    after = row(merchant)
    assert (after.status, outcomes(after), accepted(sandbox)) == (
        "delivered",
        ["unknown", "acknowledged"],
        {"order_1": 1},
    )
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_a_worker_that_stood_still_while_it_connected_does_not_send_who_was_erased(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    is_together: bool,
) -> None:
    ingest(runtime, merchant, draft())

    def erased() -> None:
        clock.move(timedelta(minutes=3))
        assert sweep_missed(runtime).taken_back == 1
        request = Request(event_ids=("order_1",))
        assert isinstance(erase_person(runtime, merchant.merchant_id, request, {"key": "test"}, suppress=True), Begun)
        for _ in range(90):
            continue_erasures(runtime, 30)
            clock.move(timedelta(seconds=1))
        with in_transaction():
            assert rows("SELECT count(*) FROM erasures WHERE receipt IS NOT NULL") == [(1,)]

    connecting_takes_long(monkeypatch, erased)
    is_sent(runtime, merchant, worker, is_together=is_together)
    assert accepted(sandbox) == {}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_a_worker_that_stood_still_while_it_connected_for_less_than_its_lease_sends(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    is_together: bool,
) -> None:
    ingest(runtime, merchant, draft())
    connecting_takes_long(monkeypatch, lambda: clock.move(timedelta(seconds=100)))
    is_sent(runtime, merchant, worker, is_together=is_together)
    after = row(merchant)
    assert (after.status, outcomes(after), accepted(sandbox)) == ("delivered", ["acknowledged"], {"order_1": 1})
    assert after.last_attempt_at == clock.now()
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_where_connecting_always_takes_too_long_the_platform_counts_as_away(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    is_together: bool,
) -> None:
    ingest(runtime, merchant, draft())
    connecting_takes_long(monkeypatch, *[lambda: clock.move(timedelta(seconds=20))] * 2)
    is_sent(runtime, merchant, worker, is_together=is_together)
    after = row(merchant)
    assert (after.status, after.attempts, outcomes(after)) == ("queued", 0, ["unreachable"])
    assert accepted(sandbox) == {}


@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_a_worker_that_stood_still_for_less_than_its_lease_sends(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, is_together: bool
) -> None:
    """It notes anew that it does, so that its lease lasts as long as the request may take."""
    ingest(runtime, merchant, draft())
    one = Sender(runtime, merchant, worker)
    errands: list[Errand] = []
    if is_together:
        errands, _ = take(runtime, worker, [(merchant.merchant_id, "meta")])
        begin_together(runtime, errands)
    else:
        one.claim()
        one.begin()
    sent_at = clock.move(timedelta(seconds=100))
    assert sweep(runtime).taken_back == 0
    one.settle()
    answered = [found for errand in errands if (found := deliver(runtime, errand)) is not None]
    assert not settle_together(runtime, answered)
    after = row(merchant)
    assert (after.status, after.attempts, outcomes(after)) == ("delivered", 1, ["acknowledged"])
    assert (after.last_attempt_at, accepted(sandbox)) == (sent_at, {"order_1": 1})
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


@pytest.mark.parametrize("is_together", [True, False], ids=["with other destinations", "by itself"])
def test_a_worker_that_stood_still_does_not_send_what_is_answered_late_meanwhile(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, is_together: bool
) -> None:
    """It had noted that it sends, and its lease lasts: of what has not left yet nothing need leave."""
    one, two = given_up(runtime, merchant, worker, clock)
    ingest(runtime, merchant, draft("c"))
    errands: list[Errand] = []
    if is_together:
        errands, _ = take(runtime, worker, [(merchant.merchant_id, "meta")])
        begin_together(runtime, errands)
    else:
        two.claim()
        two.begin()
    one.settle()
    clock.move(timedelta(seconds=30))
    two.settle()
    settle_together(runtime, [found for errand in errands if (found := deliver(runtime, errand)) is not None])
    assert told(merchant, "abc") == accepted(sandbox) == dict.fromkeys("abc", 1)
    assert {row(merchant, name).status for name in "abc"} == {"delivered"}
    nothing_more_goes_out(runtime, worker, merchant, sandbox)


def test_what_is_on_its_way_when_another_answer_settles_it_is_not_erased_before_its_own_is_told(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    one, two = given_up(runtime, merchant, worker, clock)
    two.go()
    one.settle()
    request = Request(event_ids=("a", "b"))
    assert isinstance(erase_person(runtime, merchant.merchant_id, request, {"key": "test"}, suppress=False), Begun)

    def left() -> list[tuple[Any, ...]]:
        for _ in range(60):
            continue_erasures(runtime, 30)
            clock.move(timedelta(seconds=1))
        with in_transaction():
            return rows("SELECT event_id FROM events ORDER BY event_id")

    assert left() == [("a",), ("b",)]
    two.settle()
    assert told(merchant, "ab") == accepted(sandbox) == {"a": 2, "b": 2}
    assert counted() == {"acknowledged": 4, "retries_acknowledged": 2}
    assert left() == []


def waits_for_one_that_is_in_hand(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """An erasure of all that these tests ingest begins, and looks for it."""
    request = Request(event_ids=("order_1", "a", "b"))
    assert isinstance(erase_person(runtime, merchant.merchant_id, request, {"key": "test"}, suppress=True), Begun)
    goes_on(runtime, clock, 25)
    with in_transaction():
        assert rows("SELECT count(*) FROM events")[0][0] > 0


def goes_on(runtime: Runtime, clock: FrozenClock, seconds: int) -> None:
    for _ in range(seconds):
        continue_erasures(runtime, 30)
        clock.move(timedelta(seconds=1))


def is_erased(runtime: Runtime, clock: FrozenClock) -> bool:
    goes_on(runtime, clock, 60)
    with in_transaction():
        (found,) = rows("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM erasures WHERE receipt IS NULL)")
    return found == (0, 0)


def attempted() -> Any:
    with in_transaction():
        return rows("SELECT platforms -> 'meta' ->> 'attempted', platforms -> 'meta' ->> 'deliveries' FROM erasures")[0]


def test_what_an_erasure_waits_for_is_not_sent_once_more_when_its_worker_is_lost(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    Sender(runtime, merchant, GONE).go()
    waits_for_one_that_is_in_hand(runtime, merchant, clock)
    assert sweep_missed(runtime).taken_back == 1
    found = row(merchant)
    assert (found.status, found.drop_reason, outcomes(found)) == ("dropped", "erased", ["unknown"])
    clock.move(timedelta(minutes=5))
    nothing_more_goes_out(runtime, worker, merchant, sandbox)
    assert is_erased(runtime, clock)
    assert (accepted(sandbox), attempted()) == ({"order_1": 1}, ("1", "1"))


@pytest.mark.parametrize("kind", ["error", "rate_limit", "drop_after_accept", "credentials", "down"])
def test_what_an_erasure_waits_for_is_not_tried_again_when_it_fails(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, kind: str
) -> None:
    ingest(runtime, merchant, draft("a"), draft("b"))
    fault(sandbox, kind=kind, count=9)
    one = Sender(runtime, merchant, worker)
    one.claim()
    one.todo = deque([item] for item in one.todo[0])  # the second may still be here when the first fails
    one.begin()
    one.send()
    waits_for_one_that_is_in_hand(runtime, merchant, clock)
    one.settle()
    mend(sandbox)
    assert {row(merchant, name).drop_reason for name in "ab"} == {"erased"}
    before = accepted(sandbox)
    nothing_more_goes_out(runtime, worker, merchant, sandbox)
    assert is_erased(runtime, clock)
    assert accepted(sandbox) == before


def test_what_an_erasure_waits_for_is_not_sent_later_where_nobody_knew_whether_it_was_claimed(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    one = Sender(runtime, merchant, worker)
    one.claim()
    assert one.batch is not None
    runtime.unanswered[one.batch.lease] = None  # as where its COMMIT was not answered
    waits_for_one_that_is_in_hand(runtime, merchant, clock)
    assert not deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert row(merchant).drop_reason == "erased"
    nothing_more_goes_out(runtime, worker, merchant, sandbox)
    assert is_erased(runtime, clock)
    assert accepted(sandbox) == {}


def test_what_is_delivered_while_an_erasure_waits_for_it_counts_as_delivered(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    one = Sender(runtime, merchant, worker)
    one.go()
    waits_for_one_that_is_in_hand(runtime, merchant, clock)
    one.settle()
    assert (row(merchant).status, row(merchant).drop_reason) == ("delivered", None)
    assert is_erased(runtime, clock)
    assert counted() == {"acknowledged": 1}
