"""Events besides alerts, told to the channels that name their topics: in the transaction of what happened, or gathered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.factories import META, Merchant, draft, new_merchant
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_channels import channel_to, types
from tests.services.test_deliver import deliver, fault, ingest, mend
from tests.services.test_redeliver import give_up
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.channels import ChannelSet, Wish, set_channel
from tracklayer.services.destinations import pause_destination, resume_destination, set_destination
from tracklayer.services.drops import MAX_EXAMPLES, _words, note_drops
from tracklayer.services.pacing import PAGE
from tracklayer.services.redeliver import continue_redeliveries, redeliver_matching

EVENTS = ("delivery.dropped", "destination.held", "destination.resumed", "redelivery.finished")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def hold(runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer) -> None:
    fault(sandbox, kind="credentials")
    ingest(runtime, merchant, draft())
    deliver(runtime, merchant, worker)
    mend(sandbox)


def messages() -> list[str]:
    with in_transaction():
        return [row[0] for row in rows("SELECT type FROM channel_messages ORDER BY message_id")]


def test_a_destination_that_is_held_and_goes_on_is_told(
    posting: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    receiver: Receiver,
) -> None:
    channel_to(posting, merchant, receiver, topics=["destination.held", "destination.resumed"])
    hold(posting, merchant, worker, sandbox)
    assert post_due(posting) == 1
    (held,) = receiver.got
    assert held.json["type"] == "destination.held"
    assert held.json["data"]["platform"] == "meta"
    assert held.json["data"]["state"] == "held"
    assert held.json["data"]["reason"].startswith("credentials refused: 401")
    clock.move(timedelta(hours=1))
    deliver(posting, merchant, worker)  # its probe
    assert post_due(posting) == 1
    assert receiver.got[1].json["type"] == "destination.resumed"
    assert receiver.got[1].json["data"]["state"] == "active"


@pytest.mark.parametrize("way", ["resume", "set", "pause"])
def test_a_merchant_ends_a_hold_and_it_is_told(
    posting: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, receiver: Receiver, way: str
) -> None:
    channel_to(posting, merchant, receiver, topics=["destination.resumed"])
    hold(posting, merchant, worker, sandbox)
    assert messages() == []
    if way == "resume":
        resume_destination(posting, merchant.merchant_id, "meta")
        resume_destination(posting, merchant.merchant_id, "meta")
    elif way == "set":
        set_destination(posting, merchant.merchant_id, "meta", META, None)
    else:
        pause_destination(posting, merchant.merchant_id, "meta")
    post_due(posting)
    assert [got.json["data"]["state"] for got in receiver.got] == ["paused" if way == "pause" else "active"]


def test_alerts_alone_are_no_wish_for_events(
    posting: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    hold(posting, merchant, worker, sandbox)
    give_up(posting, merchant, worker, 2)
    clock.move(timedelta(minutes=5))
    assert note_drops(posting) == 0
    assert messages() == []


def drop(posting: Runtime, merchant: Merchant, worker: int, *names: str) -> None:
    ingest(posting, merchant, *(draft(name, event_name="Refund") for name in names))
    deliver(posting, merchant, worker)


def test_what_was_dropped_is_gathered_and_told_once_a_minute(
    posting: Runtime, merchant: Merchant, worker: int, receiver: Receiver, clock: FrozenClock
) -> None:
    drop(posting, merchant, worker, "before")  # nobody asked yet
    clock.move(timedelta(seconds=1))
    channel_to(posting, merchant, receiver, topics=["delivery.dropped"])
    other = new_merchant(posting, name="Other")
    drop(posting, other, worker, "not_theirs")
    clock.move(timedelta(seconds=1))
    drop(posting, merchant, worker, *(f"order_{number}" for number in range(25)))
    told = []
    for _ in range(10):
        clock.move(timedelta(seconds=30))
        told.append(note_drops(posting))
    assert sum(told) == 1
    post_due(posting)
    (got,) = receiver.got
    data = got.json["data"]
    assert data["count"] == 25
    said = "25 deliveries were given up: Meta 25 (unsupported event). Correct the cause, then redeliver them."
    assert data["message"] == said
    assert data["counts"] == [{"platform": "meta", "reason": "unsupported_event", "count": 25}]
    assert len(data["examples"]) == MAX_EXAMPLES
    assert {example["event_id"] for example in data["examples"]} <= {f"order_{number}" for number in range(25)}
    drop(posting, merchant, worker, "late_1")
    clock.move(timedelta(seconds=20))
    drop(posting, merchant, worker, "late_2")
    for _ in range(20):
        clock.move(timedelta(seconds=10))
        note_drops(posting)
    post_due(posting)
    later = [got.json["data"] for got in receiver.got[1:]]
    assert sum(data["count"] for data in later) == 2
    with in_transaction():
        times = [row[0] for row in rows("SELECT created_at FROM channel_messages ORDER BY message_id")]
    assert all(second - first >= timedelta(minutes=1) for first, second in pairwise(times))


def test_after_a_long_pause_nothing_is_left_out_and_nothing_told_twice(
    posting: Runtime, merchant: Merchant, worker: int, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver, topics=["delivery.dropped"])
    clock.move(timedelta(seconds=1))
    for number in range(5):
        drop(posting, merchant, worker, f"order_{number}")
        clock.move(timedelta(minutes=50))
    while note_drops(posting):
        pass
    post_due(posting)
    found = [example["event_id"] for got in receiver.got for example in got.json["data"]["examples"]]
    assert sorted(found) == [f"order_{number}" for number in range(5)]


def test_one_merchants_trouble_keeps_no_other_from_hearing_of_drops(
    posting: Runtime, merchant: Merchant, worker: int, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver, topics=["delivery.dropped"])
    other = new_merchant(posting, name="Other")
    channel_to(posting, other, receiver, topics=["delivery.dropped"])
    clock.move(timedelta(seconds=1))
    drop(posting, merchant, worker, "order_1")
    drop(posting, other, worker, "order_2")
    with in_transaction():  # a fault of ours, in one merchant's rows
        execute("ALTER TABLE channel_messages ADD CONSTRAINT fault CHECK (merchant_id <> 1)")
    try:
        clock.move(timedelta(minutes=5))
        assert note_drops(posting) == 1
    finally:
        with in_transaction():
            execute("ALTER TABLE channel_messages DROP CONSTRAINT fault")
    assert note_drops(posting) == 1  # and nothing of it is lost


def test_the_end_of_a_big_redelivery_is_told(
    posting: Runtime, merchant: Merchant, worker: int, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver, topics=["redelivery.finished"])
    give_up(posting, merchant, worker, PAGE + 1)
    clock.move(timedelta(seconds=1))
    result = redeliver_matching(posting, merchant.merchant_id, DeliverySearch())
    assert result.job is not None
    for _ in range(200):
        clock.move(timedelta(minutes=2))
        continue_redeliveries(posting)
        if messages():
            break
    post_due(posting)
    (got,) = receiver.got
    data: dict[str, Any] = got.json["data"]
    assert (got.json["type"], data["matched"]) == ("redelivery.finished", PAGE + 1)
    assert data["requeued"] + sum(group["count"] for group in data["refused"]) == PAGE + 1


def test_a_topic_that_is_taken_up_again_begins_anew(
    posting: Runtime, merchant: Merchant, worker: int, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver, topics=["delivery.dropped"])
    assert isinstance(set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, topics=["*"])), ChannelSet)
    drop(posting, merchant, worker, "order_1")
    clock.move(timedelta(minutes=5))
    set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, topics=list(EVENTS)))
    clock.move(timedelta(minutes=5))
    assert note_drops(posting) == 0
    assert types(receiver) == []


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            [("ga4", "missing_identifiers", 3)],
            "3 deliveries were given up: Google Analytics 4 3 (missing identifiers). These are past mending: what is corrected "
            "counts for the next events.",
        ),
        (
            [("meta", "event_too_old", 1), ("tiktok", "invalid_field", 2)],
            "3 deliveries were given up: Meta 1 (event too old), TikTok 2 (invalid field). 1 of them is past mending: what is "
            "corrected counts for the next events. Correct the cause of the others, then redeliver them.",
        ),
    ],
)
def test_what_no_redelivery_mends_is_said_so(counts: list[tuple[str, str, int]], said: str) -> None:
    assert _words(counts) == said
