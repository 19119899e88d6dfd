"""Webhooks and Slack: what is told, in which order, to whom, whatever the receiver does; against real HTTP servers."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import signal
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from tests.factories import API_KEY_SECRET, Merchant, new_merchant
from tests.posting import post_due
from tests.receiver import CLOSE, HANG, Got, Receiver, until
from tests.servers import running, wait_until
from tests.services.test_alert import Monitor, down
from tracklayer.clock import FrozenClock, SystemClock
from tracklayer.db import channels as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.channel import EventTopic
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services.alert import acknowledge_alert, settle_findings, snooze_alert
from tracklayer.services.channels import MOST_FORMER, ChannelSet, Wish, note_event, open_channel, set_channel
from tracklayer.services.post import GIVE_UP_AFTER, LEASE, TO_FAILING, TO_ONE_HOST, InHand, begin_due
from tracklayer.services.slack import GREEN, RED

SECRET_PATH = "canary-secret-path"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def posting(runtime: Runtime) -> Runtime:
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True, public_url="https://tracklayer.example")
    return runtime


@pytest.fixture
def monitor(posting: Runtime, merchant: Merchant, clock: FrozenClock) -> Monitor:
    return Monitor(posting, merchant, clock)


def channel_to(
    runtime: Runtime, merchant: Merchant, receiver: Receiver, kind: str = "webhook", **wish: Any
) -> ChannelSet:
    made = set_channel(runtime, merchant.merchant_id, Wish(kind=kind, url=f"{receiver.url}/{SECRET_PATH}", **wish))
    assert isinstance(made, ChannelSet), made
    return made


def types(receiver: Receiver) -> list[str]:
    return [got.json["type"] for got in receiver.got]


def statuses() -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows("SELECT type, status, attempts FROM channel_messages ORDER BY message_id")


def last_error(runtime: Runtime, made: ChannelSet) -> str | None:
    with in_transaction():
        row = db.channel(made.row.merchant_id, made.row.channel_id)
    assert row is not None
    return row.last_error


def is_signed(got: Got, secret: str) -> bool:
    """As Standard Webhooks' own libraries verify it."""
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    key = b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return expected in got.headers["webhook-signature"].split(" ")


def resolve_it(monitor: Monitor) -> None:
    monitor.looks(after=15)
    monitor.looks(after=15)


@pytest.mark.parametrize("wish", [{"topics": ["tracking_stopped"]}, {"min_severity": "critical"}])
def test_what_waits_for_a_channel_that_wants_it_no_more_is_taken_back_and_told_when_it_wants_it_again(
    wish: dict[str, Any],
    posting: Runtime,
    monitor: Monitor,
    merchant: Merchant,
    receiver: Receiver,
    clock: FrozenClock,
) -> None:
    made = channel_to(posting, merchant, receiver, topics=["*", "destination.held"])
    receiver.otherwise = 503
    monitor.looks(Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.WARNING, "It is.", "It is.", clock.now(), {}))
    with in_transaction():
        note_event(merchant.merchant_id, EventTopic.HELD, {}, clock.now())
    post_due(posting)
    set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, **wish))
    receiver.got.clear()
    receiver.otherwise = 200
    clock.move(timedelta(minutes=5))
    post_due(posting)
    assert types(receiver) == ([] if "topics" in wish else ["destination.held"])
    again = Wish(made.row.channel_id, topics=["*"], min_severity="warning")
    set_channel(posting, merchant.merchant_id, again)
    post_due(posting)
    assert types(receiver)[-1] == "alert.opened"


def test_an_alert_is_told_as_it_opens_and_as_it_resolves(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver)
    assert made.secret is not None
    monitor.finds()
    assert post_due(posting) == 1
    assert post_due(posting) == 0
    resolve_it(monitor)
    assert post_due(posting) == 1
    opened, resolved = receiver.got
    assert opened.path == f"/{SECRET_PATH}"
    assert opened.headers["content-type"] == "application/json"
    assert opened.json == {
        "id": opened.headers["webhook-id"],
        "type": "alert.opened",
        "created_at": "2026-11-20T15:00:00.000Z",
        "merchant": {"id": "WyJNZXJjaGFudCIsMV0", "name": "Shop"},
        "data": {
            "alert": {
                "id": "WyJBbGVydCIsMSwxXQ",
                "url": "https://tracklayer.example/notifications/WyJBbGVydCIsMSwxXQ",
                "kind": "platform_down",
                "severity": "critical",
                "state": "open",
                "platform": "meta",
                "event_name": None,
                "title": "Meta is down",
                "message": "It does not answer.",
                "details": {"since": "2026-11-20T15:00:00+00:00", "failures": 20},
                "note": None,
                "opened_at": "2026-11-20T15:00:00.000Z",
                "acknowledged_at": None,
                "resolved_at": None,
            }
        },
    }
    assert re.fullmatch(r"msg_[0-9a-f]{32}", opened.headers["webhook-id"])  # it counts nobody's messages
    assert opened.headers["webhook-id"] != resolved.headers["webhook-id"]
    assert opened.headers["webhook-timestamp"] == str(int((clock.now() - timedelta(seconds=30)).timestamp()))
    assert is_signed(opened, made.secret)
    assert is_signed(resolved, made.secret)
    assert not is_signed(opened, "whsec_" + b64encode(b"x" * 32).decode())
    assert resolved.json["type"] == "alert.resolved"
    assert resolved.json["data"]["alert"]["state"] == "resolved"
    assert resolved.json["data"]["alert"]["resolved_at"] == "2026-11-20T15:00:30.000Z"


def test_slack_gets_its_own_form(posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver) -> None:
    made = channel_to(posting, merchant, receiver, "slack")
    assert made.secret is None
    monitor.finds(message="Nothing <arrives> & <!channel> waits.")
    resolve_it(monitor)
    assert post_due(posting) == 2
    opened, resolved = (got.json for got in receiver.got)
    assert "webhook-signature" not in receiver.got[0].headers
    assert opened["text"] == "Meta is down - Shop"
    (attachment,) = opened["attachments"]
    assert attachment["color"] == RED
    assert attachment["fallback"] == "Meta is down - Shop"
    header, message, figures, _, actions = attachment["blocks"]
    assert header["text"]["text"] == "Meta is down"
    assert message["text"]["text"] == "Nothing &lt;arrives&gt; &amp; &lt;\u200b!channel&gt; waits."
    assert {"type": "mrkdwn", "text": "*failures*\n20", "verbatim": True} in figures["fields"]
    assert actions["elements"][0]["url"] == "https://tracklayer.example/notifications/WyJBbGVydCIsMSwxXQ"
    assert resolved["attachments"][0]["color"] == GREEN
    assert resolved["text"] == "Resolved: Meta is down - Shop"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({}, 1),
        ({"topics": ["platform_down"]}, 1),
        ({"topics": ["tracking_stopped", "delivery.dropped"]}, 0),
        ({"min_severity": "critical"}, 1),
    ],
)
def test_a_channel_is_told_what_it_asks_for(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, wish: dict[str, Any], told: int
) -> None:
    channel_to(posting, merchant, receiver, **wish)
    monitor.finds()
    assert post_due(posting) == told


def test_an_alert_that_becomes_grave_is_told_where_only_grave_ones_are(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    channel_to(posting, merchant, receiver, min_severity="critical")
    with Receiver() as other:
        channel_to(posting, merchant, other)
        monitor.finds(severity=Severity.WARNING)
        post_due(posting)
        assert (types(receiver), types(other)) == ([], ["alert.opened"])
        monitor.finds(after=15)
        monitor.finds(after=15)
        post_due(posting)
        graver = ["alert.opened", "alert.reminder"]  # as by e-mail
        assert (types(receiver), types(other)) == (["alert.opened"], graver)
        assert [got.json["data"]["alert"]["severity"] for got in other.got] == ["warning", "critical"]
        resolve_it(monitor)
        post_due(posting)
        assert (types(receiver), types(other)) == (["alert.opened", "alert.resolved"], [*graver, "alert.resolved"])


def test_what_became_critical_before_it_was_sent_is_told_so_once(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds(severity=Severity.WARNING)
    monitor.finds(after=15)
    post_due(posting)
    assert [(got.json["type"], got.json["data"]["alert"]["severity"]) for got in receiver.got] == [
        ("alert.opened", "critical")
    ]


def test_a_channel_that_is_new_is_told_of_what_is_open_and_of_its_end(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    monitor.finds()
    made = channel_to(posting, merchant, receiver)
    post_due(posting)
    change = Wish(made.row.channel_id, topics=["*", "delivery.dropped"])
    assert isinstance(set_channel(posting, merchant.merchant_id, change), ChannelSet)
    post_due(posting)  # it knows
    assert types(receiver) == ["alert.opened"]
    resolve_it(monitor)
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved"]


def test_the_end_is_told_in_the_words_of_its_worst_time(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds(severity=Severity.WARNING, message="10% of events are refused.")
    monitor.finds(after=15, message="90% of events are refused.")
    monitor.finds(after=15, severity=Severity.WARNING, message="2% of events are refused.")
    resolve_it(monitor)
    post_due(posting)
    opened, resolved = (got.json["data"]["alert"] for got in receiver.got)
    assert (opened["severity"], opened["message"]) == ("warning", "10% of events are refused.")
    assert (resolved["severity"], resolved["message"]) == ("critical", "90% of events are refused.")
    assert resolved["details"] == {"since": "2026-11-20T15:00:15+00:00", "failures": 20}


def test_after_a_rotation_both_secrets_sign_for_a_day(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver)
    rotated = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, rotate_secret=True))
    assert isinstance(rotated, ChannelSet)
    assert made.secret is not None
    assert rotated.secret is not None
    assert made.secret != rotated.secret
    kept = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, topics=["*"]))
    assert isinstance(kept, ChannelSet)
    assert kept.secret is None  # it is shown once
    monitor.finds()
    post_due(posting)
    clock.move(timedelta(hours=24))
    resolve_it(monitor)
    post_due(posting)
    first, second = receiver.got
    assert (is_signed(first, made.secret), is_signed(first, rotated.secret)) == (True, True)
    assert (is_signed(second, made.secret), is_signed(second, rotated.secret)) == (False, True)


def test_rotated_twice_every_secret_signs_for_a_day_from_when_it_was_replaced(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    def rotate() -> ChannelSet:
        rotated = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, rotate_secret=True))
        assert isinstance(rotated, ChannelSet)
        return rotated

    made = channel_to(posting, merchant, receiver)
    first = rotate()
    clock.move(timedelta(seconds=30))
    second = rotate()
    monitor.finds()
    post_due(posting)
    clock.move(timedelta(hours=24) - timedelta(seconds=55))
    resolve_it(monitor)  # half a minute
    post_due(posting)
    clock.move(timedelta(seconds=30))
    monitor.finds(after=600)
    post_due(posting)
    signed = [[is_signed(got, of.secret) for of in (made, first, second) if of.secret] for got in receiver.got]
    assert signed == [[True, True, True], [False, True, True], [False, False, True]]


def test_a_secret_that_an_older_version_replaced_signs_until_its_end_and_beside_the_next(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver)
    rotated = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, rotate_secret=True))
    assert isinstance(rotated, ChannelSet)
    sealed = open_channel(posting.sealer, rotated.row)
    as_before = orjson.dumps({"url": sealed.url, "secret": sealed.secret, "former": made.secret})
    context = f"alert-channel/{merchant.merchant_id}/{made.row.channel_id}"
    with in_transaction():
        execute("UPDATE alert_channels SET secrets = %s", (posting.sealer.seal(as_before, context),))
    monitor.finds()
    post_due(posting)
    again = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, rotate_secret=True))
    assert isinstance(again, ChannelSet)
    resolve_it(monitor)
    post_due(posting)
    signed = [[is_signed(got, of.secret) for of in (made, rotated, again) if of.secret] for got in receiver.got]
    assert signed == [[True, True, False], [True, True, True]]


def test_of_many_rotations_within_a_day_the_oldest_and_the_latest_secrets_sign(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    made = channel_to(posting, merchant, receiver)
    secrets = [made.secret]
    for _ in range(MOST_FORMER + 2):
        rotated = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, rotate_secret=True))
        assert isinstance(rotated, ChannelSet)
        secrets.append(rotated.secret)
    monitor.finds()
    post_due(posting)
    signed = [is_signed(receiver.got[0], str(secret)) for secret in secrets]
    assert signed == [True, False, False, *[True] * MOST_FORMER]


def test_an_older_version_signs_with_the_oldest_of_the_former_secrets(
    posting: Runtime, merchant: Merchant, receiver: Receiver
) -> None:
    made = channel_to(posting, merchant, receiver)
    for _ in range(2):
        rotated = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, rotate_secret=True))
    assert isinstance(rotated, ChannelSet)
    assert made.secret is not None
    former = open_channel(posting.sealer, rotated.row).former
    assert former is not None
    assert b64decode(former.removeprefix("whsec_")) == b64decode(made.secret.removeprefix("whsec_"))


def test_what_is_not_taken_is_sent_again_with_longer_pauses_and_the_same_id(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver)
    receiver.plan = [500, 302, CLOSE]
    monitor.finds()
    for pause, error in (
        (15, "It answered 500."),
        (30, "It answered 302, a redirect, which is not followed: give the address it leads to."),
        (60, "It closed the connection before it had answered."),
    ):
        assert post_due(posting) == 1
        assert last_error(posting, made) == error
        clock.move(timedelta(seconds=pause - 1))
        assert post_due(posting) == 0
        clock.move(timedelta(seconds=1))
    assert post_due(posting) == 1
    assert last_error(posting, made) is None
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len(receiver.got) == 4
    assert {got.body for got in receiver.got} == {receiver.got[0].body}
    assert statuses() == [("alert.opened", "sent", 4)]


def test_a_resolving_never_comes_before_its_opening(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    receiver.plan = [500, 503]
    monitor.finds()
    post_due(posting)
    resolve_it(monitor)
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.opened"]
    clock.move(timedelta(minutes=1))
    assert post_due(posting) == 2
    assert types(receiver)[2:] == ["alert.opened", "alert.resolved"]


def test_that_an_alert_is_open_is_tried_for_as_long_as_it_is(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    receiver.otherwise = 503
    monitor.finds()
    for _ in range(60):
        post_due(posting)
        clock.move(timedelta(minutes=30))
    receiver.otherwise, receiver.got = 200, []
    post_due(posting)
    resolve_it(monitor)
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved"]


def test_whoever_got_no_opening_within_a_day_gets_no_end(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    receiver.otherwise = 503
    monitor.finds()
    post_due(posting)
    clock.move(timedelta(hours=25))
    resolve_it(monitor)
    post_due(posting)
    assert [status for _, status, _ in statuses()] == ["failed", "failed"]
    receiver.otherwise, receiver.got = 200, []
    clock.move(timedelta(hours=1))
    post_due(posting)
    assert types(receiver) == []


def test_after_a_day_it_is_given_up_and_told(
    posting: Runtime,
    monitor: Monitor,
    merchant: Merchant,
    receiver: Receiver,
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = channel_to(posting, merchant, receiver)
    receiver.otherwise = 410
    began = clock.now()
    monitor.finds()
    post_due(posting)
    resolve_it(monitor)
    with caplog.at_level(logging.WARNING, logger="tracklayer"):
        while statuses()[0][1] == "waiting":
            post_due(posting)
            clock.move(timedelta(minutes=30))
            assert clock.now() - began < GIVE_UP_AFTER + timedelta(hours=1)
    assert clock.now() - began >= GIVE_UP_AFTER - timedelta(minutes=30)
    assert [status for _, status, _ in statuses()] == ["failed", "failed"]
    assert last_error(posting, made) == "It answered 410: there is nothing at this address any more."
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("tracklayer")]
    assert line == (
        f"2 messages for a channel of merchant 1 (127.0.0.1:{receiver.port}) are given up after a day: "
        "It answered 410: there is nothing at this address any more."
    )
    assert SECRET_PATH not in caplog.text
    receiver.otherwise, receiver.got = 200, []
    monitor.finds(after=3600)
    post_due(posting)  # what comes later goes out again
    assert types(receiver) == ["alert.opened"]


def in_hands(merchant: Merchant) -> int:
    with in_transaction():
        return int(
            rows(
                "SELECT count(*) FROM alert_channels WHERE merchant_id = %s AND leased_until IS NOT NULL",
                (merchant.merchant_id,),
            )[0][0]
        )


def test_a_receiver_that_hangs_holds_up_nobody_else(
    posting: Runtime, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    slow = new_merchant(posting, name="Slow")
    with Receiver() as hanging:
        hanging.otherwise = HANG
        for _ in range(6):
            channel_to(posting, slow, hanging)
        channel_to(posting, merchant, receiver)
        Monitor(posting, slow, clock).finds()
        Monitor(posting, merchant, clock).finds()
        running = threading.Thread(target=post_due, args=(posting, timedelta(minutes=5)))
        running.start()
        until(lambda: receiver.got)
        until(lambda: hanging.got)
        assert in_hands(slow) <= db.OF_ONE
        new = new_merchant(posting, name="Later")
        channel_to(posting, new, receiver)
        Monitor(posting, new, clock).finds()
        until(lambda: len(receiver.got) == 2)  # while others hang still
        assert in_hands(slow) > 0
        hanging.release()
        running.join(30)


def test_a_provider_that_hangs_holds_up_no_other(
    posting: Runtime, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    in_hand = InHand()
    with Receiver(otherwise=HANG) as hanging:
        for number in range(8):
            other = new_merchant(posting, name=f"At the provider {number}")
            for _ in range(2):
                channel_to(posting, other, hanging)
            Monitor(posting, other, clock).finds()
        channel_to(posting, merchant, receiver)
        clock.move(timedelta(seconds=1))
        Monitor(posting, merchant, clock).finds()  # the last of all
        begin_due(posting, in_hand)
        until(lambda: receiver.got)
        assert len(hanging.got) <= TO_ONE_HOST
        hanging.release()
        in_hand.close(30)


@pytest.mark.parametrize("is_new", [False, True])
def test_those_that_failed_last_time_take_a_quarter_of_the_threads(
    posting: Runtime, merchant: Merchant, receiver: Receiver, clock: FrozenClock, is_new: bool
) -> None:
    """However many hosts they are at; also new channels at a host that answered nobody."""
    in_hand = InHand()
    with ExitStack() as stack:
        hosts = [stack.enter_context(Receiver(plan=[CLOSE], otherwise=HANG)) for _ in range(TO_FAILING + 3)]
        others = [new_merchant(posting, name=f"Hangs {number}") for number in range(len(hosts))]
        for other, host in zip(others, hosts, strict=True):
            channel_to(posting, other, host)
            Monitor(posting, other, clock).finds()
        begin_due(posting, in_hand)
        until(lambda: not in_hand.threads)
        assert [len(host.got) for host in hosts] == [1] * len(hosts)
        if is_new:
            for other, host in zip(others, hosts, strict=True):
                later = new_merchant(posting, name=f"{other.merchant_id} too")
                channel_to(posting, later, host)
                Monitor(posting, later, clock).finds()
        else:
            clock.move(timedelta(seconds=15))
        channel_to(posting, merchant, receiver)
        Monitor(posting, merchant, clock).finds()
        begin_due(posting, in_hand)
        until(lambda: receiver.got)
        until(lambda: in_hand.threads == TO_FAILING)
        assert sum(len(host.got) for host in hosts) <= len(hosts) + TO_FAILING
        for host in hosts:
            host.release()
        in_hand.close(30)


def test_what_is_wrong_is_said_until_nothing_that_failed_waits(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver, topics=["*", "destination.held"])
    receiver.plan = [400, 200, 200]
    monitor.finds()
    post_due(posting)
    assert last_error(posting, made) == "It answered 400."
    with in_transaction():
        note_event(merchant.merchant_id, EventTopic.HELD, {"message": "Held."}, clock.now())
    assert post_due(posting) == 1
    assert types(receiver) == ["alert.opened", "destination.held"]
    assert last_error(posting, made) == "It answered 400."
    clock.move(timedelta(seconds=15))
    assert post_due(posting) == 1
    assert last_error(posting, made) is None


def test_a_message_of_an_older_version_keeps_its_id(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    with in_transaction():
        execute("UPDATE channel_messages SET uid = NULL")
    post_due(posting)
    assert receiver.got[0].headers["webhook-id"] == "msg_1_1"


def test_whoever_dies_with_a_message_leaves_it_to_others(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    with in_transaction():
        taken = db.take_next(clock.now(), LEASE)
    assert taken is not None  # and its process is no more
    assert post_due(posting) == 0
    clock.move(LEASE)
    assert post_due(posting) == 1
    with in_transaction():
        db.put_off(taken, "late", clock.now(), clock.now(), clock.now())  # the dead one comes back, and counts no more
    assert statuses() == [("alert.opened", "sent", 2)]


def test_processes_share_the_work_and_nothing_is_sent_twice(
    posting: Runtime, receiver: Receiver, clock: FrozenClock
) -> None:
    shops = [new_merchant(posting, meta=False, name=f"Shop {number}") for number in range(12)]
    for shop in shops:
        channel_to(posting, shop, receiver)
        Monitor(posting, shop, clock).finds()
    threads = [threading.Thread(target=post_due, args=(posting,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(receiver.got) == 12
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 12


def test_what_has_gathered_goes_out_one_after_the_other_by_itself(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    resolve_it(monitor)
    in_hand = InHand()
    begin_due(posting, in_hand)
    until(lambda: in_hand.threads == 0)
    assert in_hand.begun == 2
    assert types(receiver) == ["alert.opened", "alert.resolved"]
    in_hand.close(1)
    monitor.finds(after=3600)
    begin_due(posting, in_hand)
    assert in_hand.begun == 2  # whoever ends begins nothing more


def test_what_flaps_is_told_again_only_when_it_stays(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    post_due(posting)
    for _ in range(3):
        resolve_it(monitor)
        post_due(posting)
        monitor.finds(after=5)
        post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved"]
    clock.move(timedelta(minutes=5))
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved", "alert.opened"]


def test_acknowledged_it_is_not_told_that_it_is_open_but_that_it_is_over(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    receiver.plan = [500]
    monitor.finds()
    post_due(posting)
    acknowledge_alert(posting, merchant.merchant_id, 1, "We are on it.")
    clock.move(timedelta(minutes=5))
    assert post_due(posting) == 0
    resolve_it(monitor)
    post_due(posting)  # the first try may have arrived
    assert types(receiver) == ["alert.opened", "alert.resolved"]
    assert receiver.got[1].json["data"]["alert"]["note"] == "We are on it."


def test_what_was_acknowledged_is_told_again_when_it_is_back_after_its_end_was_told(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    post_due(posting)
    acknowledge_alert(posting, merchant.merchant_id, 1)
    resolve_it(monitor)
    post_due(posting)
    monitor.finds(after=240)
    clock.move(timedelta(minutes=5))
    monitor.finds()
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved", "alert.opened"]
    acknowledge_alert(posting, merchant.merchant_id, 1)
    monitor.finds(after=15)
    resolve_it(monitor)
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved", "alert.opened", "alert.resolved"]


def test_a_name_that_joins_as_an_alert_opens_again_is_told_with_that_and_not_once_more(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.looks(replace(down(clock.now()), members={"Purchase": True}))
    resolve_it(monitor)
    post_due(posting)
    for _ in range(60):
        now = clock.move(timedelta(seconds=15))
        monitor.looks(replace(down(now), members={"Purchase": True, "Lead": True}))
        post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved", "alert.opened"]


@pytest.mark.parametrize("is_gathered", [False, True])
def test_a_name_that_joins_an_acknowledged_alert_of_an_older_version_is_told(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock, is_gathered: bool
) -> None:
    def looks(*names: str) -> None:
        now = clock.move(timedelta(minutes=10))
        alike = [{"event_name": name, "platform": None} for name in names]
        details = {"alike": alike, "alike_count": len(names)} if is_gathered else {"event_names": names}
        monitor.looks(replace(down(now), details=details, members=dict.fromkeys(names, True)))
        post_due(posting)

    channel_to(posting, merchant, receiver)
    looks("Purchase")
    with in_transaction():
        execute("UPDATE alerts SET told = told - 'members'")
    acknowledge_alert(posting, merchant.merchant_id, 1)
    looks("Purchase")
    assert types(receiver) == ["alert.opened"]
    with in_transaction():
        execute("UPDATE alerts SET told = told - 'members'")
    looks("Purchase", "Lead")
    looks("Purchase", "Lead")
    assert types(receiver) == ["alert.opened", "alert.reminder"]


def test_another_cause_that_wants_somebody_is_told_at_once_and_is_nobodys_again(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)

    def finds(cause: str, title: str) -> None:
        now = clock.move(timedelta(seconds=15))
        monitor.looks(replace(down(now), title=title, details={"cause": cause}))
        post_due(posting)

    def told() -> list[tuple[str, str]]:
        return [(got.json["type"], got.json["data"]["alert"]["title"]) for got in receiver.got]

    finds("no_answer", "Meta does not answer")
    acknowledge_alert(posting, merchant.merchant_id, 1, "Waiting for Meta.")
    finds("server_error", "Meta answers with errors (500)")  # ends by itself, too
    assert told() == [("alert.opened", "Meta does not answer")]
    for _ in range(2):
        finds("credentials_refused", "Meta refuses your access token: set a new one now")
        finds("no_answer", "Meta does not answer")
    resolve_it(monitor)
    post_due(posting)
    assert told()[1:] == [
        ("alert.reminder", "Meta refuses your access token: set a new one now"),
        ("alert.resolved", "Meta refuses your access token: set a new one now"),
    ]
    with in_transaction():
        assert rows("SELECT acknowledged_at, note FROM alerts") == [(None, "Waiting for Meta.")]


def test_taking_note_of_what_is_over_silences_nothing_that_comes_back(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    resolve_it(monitor)
    post_due(posting)
    acknowledge_alert(posting, merchant.merchant_id, 1)
    monitor.finds(after=60)
    clock.move(timedelta(minutes=10))
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved", "alert.opened"]


def test_snoozed_nothing_is_told_and_then_once_if_it_is_still_open(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=8))
    assert post_due(posting) == 0
    clock.move(timedelta(hours=7))
    assert post_due(posting) == 0
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=2))
    clock.move(timedelta(hours=2))
    assert post_due(posting) == 1
    assert post_due(posting) == 0
    assert types(receiver) == ["alert.opened"]
    resolve_it(monitor)
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved"]


def test_what_is_told_later_is_told_as_it_is_then_and_sent_again_as_it_was_sent(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds(severity=Severity.WARNING, message="3 deliveries wait.")
    post_due(posting)
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=8))
    monitor.finds(after=4 * 3600, message="400 deliveries wait.")
    monitor.finds(after=4 * 3600, message="800 deliveries wait.")
    receiver.plan = [500]
    post_due(posting)
    monitor.finds(after=15, message="801 deliveries wait.")
    post_due(posting)
    resolve_it(monitor)
    post_due(posting)
    monitor.finds(after=15, message="5 deliveries wait.")
    monitor.finds(after=300, message="50 deliveries wait.")  # it stays: it is told again
    post_due(posting)
    said = [(got.json["type"], got.json["data"]["alert"]["message"]) for got in receiver.got]
    assert [one for one in said if one[0] != "alert.resolved"] == [
        ("alert.opened", "3 deliveries wait."),
        ("alert.reminder", "800 deliveries wait."),
        ("alert.reminder", "800 deliveries wait."),
        ("alert.opened", "50 deliveries wait."),
    ]
    assert receiver.got[1].body == receiver.got[2].body
    assert receiver.got[1].json["data"]["alert"]["severity"] == "critical"


def test_what_ends_while_it_is_snoozed_is_told_only_to_those_who_know_of_it(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=8))
    resolve_it(monitor)
    assert post_due(posting) == 0
    clock.move(timedelta(hours=9))
    assert post_due(posting) == 0
    monitor.finds()
    post_due(posting)
    snooze_alert(posting, merchant.merchant_id, 2, clock.now() + timedelta(hours=8))
    resolve_it(monitor)
    post_due(posting)
    clock.move(timedelta(hours=9))
    post_due(posting)
    assert types(receiver) == ["alert.opened", "alert.resolved"]


def test_woken_it_is_told_at_once(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver)
    monitor.finds()
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=8))
    snooze_alert(posting, merchant.merchant_id, 1, None)
    snooze_alert(posting, merchant.merchant_id, 1, None)
    post_due(posting)
    clock.move(timedelta(hours=9))
    post_due(posting)
    assert types(receiver) == ["alert.opened"]


def test_an_address_sealed_with_a_lost_key_is_said_so(
    posting: Runtime, monitor: Monitor, merchant: Merchant, receiver: Receiver
) -> None:
    made = channel_to(posting, merchant, receiver)
    monitor.finds()
    posting.sealer = Sealer(["another-key-of-more-than-forty-characters"])
    post_due(posting)
    assert last_error(posting, made) == "Its address was sealed with a key that is lost. Set the url anew."
    refused = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, topics=["*"]))
    assert isinstance(refused, list)
    mended = set_channel(posting, merchant.merchant_id, Wish(made.row.channel_id, url=receiver.url))
    assert isinstance(mended, ChannelSet)
    assert mended.secret is not None
    assert post_due(posting) == 1
    assert is_signed(receiver.got[0], mended.secret)


def test_nothing_secret_is_stored_in_plain(posting: Runtime, merchant: Merchant, receiver: Receiver) -> None:
    made = channel_to(posting, merchant, receiver)
    assert made.secret is not None
    with in_transaction():
        (found,) = rows("SELECT c::text FROM alert_channels c")
    assert SECRET_PATH not in found[0]
    assert SECRET_PATH.encode().hex() not in found[0]
    assert made.secret not in found[0]
    assert made.row.shown == f"http://127.0.0.1:{receiver.port}/••••"


def test_a_worker_killed_with_a_message_in_hand_leaves_it_to_another(
    runtime: Runtime, receiver: Receiver, database: str, redis_url: str
) -> None:
    """A real worker dies when the receiver has the message and before it is marked: it comes once more, under its id."""
    runtime.clock = SystemClock()
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True)
    shop = new_merchant(runtime)
    channel_to(runtime, shop, receiver)
    environ = {
        "TRACKLAYER_DATABASE_URL": database,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_ALLOW_PRIVATE_WEBHOOKS": "true",
    }
    receiver.plan = [HANG]
    with running("worker", environ=environ) as first, running("scheduler", environ=environ):
        finding = Finding(
            AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, "Meta is down", "It is.", runtime.clock.now()
        )
        settle_findings(runtime, shop.merchant_id, [finding], [], runtime.clock.now())
        wait_until(lambda: len(receiver.got) == 1, "the first worker to send it")
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: not first.is_running(), "the first worker to be killed")
        with running("worker", environ=environ):
            wait_until(lambda: statuses()[0][1] == "sent", "another worker to send it again", seconds=90)
    # The workers' own monitors find Meta well, and may have told so behind it.
    first_two = receiver.got[:2]
    assert [got.json["type"] for got in first_two] == ["alert.opened"] * 2
    assert first_two[0].headers["webhook-id"] == first_two[1].headers["webhook-id"]
    assert first_two[0].body == first_two[1].body
    assert "alert.opened" not in [got.json["type"] for got in receiver.got[2:]]


def test_a_receiver_that_asks_to_be_left_alone_is_by_what_comes_meanwhile_too(
    posting: Runtime, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    channel_to(posting, merchant, receiver, topics=["delivery.dropped"])
    receiver.otherwise, receiver.answer_headers = 429, {"retry-after": "3600"}
    for _ in range(10):
        with in_transaction():
            note_event(merchant.merchant_id, EventTopic.DROPPED, {"message": "One."}, clock.now())
        post_due(posting)
        clock.move(timedelta(minutes=5))
    assert len(receiver.got) == 1
    receiver.otherwise, receiver.answer_headers = 200, {}
    clock.move(timedelta(minutes=15))
    post_due(posting)
    assert len(receiver.got) == 11


def test_a_message_that_cannot_be_written_is_told_and_blocks_nothing_behind_it(
    posting: Runtime, merchant: Merchant, receiver: Receiver, clock: FrozenClock
) -> None:
    made = channel_to(posting, merchant, receiver, topics=["delivery.dropped"])
    for message in ("One.", "Two."):
        with in_transaction():
            note_event(merchant.merchant_id, EventTopic.DROPPED, {"message": message}, clock.now())
    with in_transaction():
        execute(
            "UPDATE channel_messages SET data = '[' WHERE message_id = (SELECT min(message_id) FROM channel_messages)"
        )
    post_due(posting)
    clock.move(timedelta(seconds=30))
    post_due(posting)
    assert [got.json["data"]["message"] for got in receiver.got] == ["Two."]
    assert "TrackLayer failed" in str(last_error(posting, made))
    for _ in range(60):
        clock.move(timedelta(minutes=30))
        post_due(posting)
    assert [row[1] for row in statuses()] == ["failed", "sent"]
