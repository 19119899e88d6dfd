"""What each hearer is told of an alert's ends: once, and whatever became of what others were told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_alert import DOWN, Monitor
from tests.services.test_channels import channel_to, types
from tests.services.test_late_losses import figures
from tests.services.test_lost_meanwhile import Told, lose, refuse_sixty, told, tries_again
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.db import channels
from tracklayer.db.alerts import MOST_TOLD_AGAIN
from tracklayer.db.connection import in_transaction
from tracklayer.domain.alert import Finding, Severity
from tracklayer.domain.monitors.causes import Cause
from tracklayer.runtime import Runtime
from tracklayer.services import notify
from tracklayer.services.alert import acknowledge_alert, snooze_alert
from tracklayer.services.channels import ChannelSet, Wish, set_channel
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import email_alerts, take_next

__all__ = ["told"]

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def monitor(posting: Runtime, merchant: Merchant, clock: FrozenClock) -> Monitor:
    return Monitor(posting, merchant, clock)


def ends(monitor: Monitor) -> None:
    monitor.looks(after=15)
    assert monitor.looks(after=15) == [1]


@pytest.mark.parametrize("is_woken", [False, True])
def test_a_snooze_of_what_has_just_ended_takes_back_no_end(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock, mails: MailServer, is_woken: bool
) -> None:
    monitor.finds()
    email_alerts(posting)
    if is_woken:
        snooze_alert(posting, merchant.merchant_id, 1, clock.now() + 8 * HOUR)
    ends(monitor)
    snooze_alert(posting, merchant.merchant_id, 1, None if is_woken else clock.now() + HOUR)
    email_alerts(posting)
    assert [str(mail["Subject"])[:10] for _, mail in mails.mails] == ["[Critical]", "[Resolved]"]


def test_a_snooze_takes_back_nothing_that_was_lost_after_an_end(told: Told) -> None:
    refuse_sixty(told)
    told.mails.refuse_recipient["a@shop.example"] = "450 4.2.0 greylisted"
    tries_again(told)
    told.mails.refuse_recipient.clear()
    scene = told.scene
    snooze_alert(scene.runtime, scene.merchant.merchant_id, 1, scene.clock.now() + HOUR)
    scene.clock.move(HOUR)
    told.tell()
    assert len(told.texts()) == 3
    assert "were lost since it was over" in told.texts()[-1]


def loses_sixty(told: Told) -> None:
    """Meta is down, and what waits for it is dropped."""
    told.passes(60, every=1)
    told.scene.fault("credentials")
    told.passes(60, every=1)
    assert told.scene.alerts() == [("platform_down", True)]
    lose("window_expired", "TRUE", told.scene.clock)


def is_back_and_over(told: Told) -> None:
    """It opens again, loses nothing more, and ends."""
    told.scene.fault("credentials")
    told.passes(420, every=30)
    assert told.scene.alerts() == [("platform_down", True)]
    told.scene.mend()
    told.passes(300, every=30)
    assert told.scene.alerts() == [("platform_down", False)]


def ends_with_loss(told: Told) -> list[str]:
    return [one for one in told.texts() if one.startswith("Resolved") and "60 deliveries, worth 7,799.40 USD" in one]


def losses_by_webhook(told: Told) -> list[Any]:
    return [lost for kind, lost in figures(told) if kind == "alert.resolved"]


def test_an_end_that_was_in_hand_as_it_was_back_and_did_not_go_out_is_made_up_for_by_the_next(told: Told) -> None:
    scene = told.scene
    loses_sixty(told)
    scene.mend()
    for _ in range(40):
        scene.passes(30, every=5)
        if scene.alerts() == [("platform_down", False)]:
            break
    taken = take_next(scene.runtime)
    assert taken is not None
    assert taken.mail.state == "resolved"
    scene.fault("credentials")
    for _ in range(4):
        scene.passes(30, every=1)
    assert scene.alerts() == [("platform_down", True)]
    notify._put_off(scene.runtime, taken.mail, "450")
    is_back_and_over(told)
    assert len(ends_with_loss(told)) == 1
    assert losses_by_webhook(told) == [60, None]


def test_a_loss_that_only_channels_were_told_is_told_them_once_and_the_others_then(told: Told) -> None:
    loses_sixty(told)
    acknowledge_alert(told.scene.runtime, told.scene.merchant.merchant_id, 1)
    told.scene.mend()
    told.passes(120, every=5)
    assert (losses_by_webhook(told), ends_with_loss(told)) == ([60], [])
    is_back_and_over(told)
    assert losses_by_webhook(told) == [60, None]
    assert len(ends_with_loss(told)) == 1


def test_a_loss_is_told_once_however_many_others_take_no_mail(told: Told) -> None:
    told.mails.refuse_recipient["full@shop.example"] = "452 4.2.2 mailbox full"
    both = {"alert_emails": ["a@shop.example", "full@shop.example"]}
    update_merchant(told.scene.runtime, told.scene.merchant.merchant_id, both)
    loses_sixty(told)
    told.scene.mend()
    told.passes(120, every=5)
    is_back_and_over(told)
    assert len([one for one in told.texts() if one.startswith("Resolved")]) == 2
    assert len(ends_with_loss(told)) == 1
    assert losses_by_webhook(told) == [60, None]


def test_whoever_knows_that_it_was_open_is_told_that_it_is_nobodys_any_more(
    posting: Runtime, monitor: Monitor, merchant: Merchant, mails: MailServer
) -> None:
    with Receiver() as receiver:
        channel_to(posting, merchant, receiver)

        def tell() -> tuple[int, list[str]]:
            email_alerts(posting)
            post_due(posting)
            return len(mails.mails), types(receiver)

        monitor.finds()
        tell()
        acknowledge_alert(posting, merchant.merchant_id, 1)
        ends(monitor)
        assert tell() == (1, ["alert.opened", "alert.resolved"])
        monitor.finds(after=60)
        assert tell() == (1, ["alert.opened", "alert.resolved"])
        monitor.finds(after=300)
        assert tell() == (2, ["alert.opened", "alert.resolved", "alert.opened"])
        monitor.finds(after=3600)
        assert tell()[0] == 2


@pytest.mark.parametrize("is_snoozed", [False, True])
@pytest.mark.parametrize(("status", "end"), [(503, []), (404, []), (500, ["alert.resolved"])])
def test_a_channel_that_certainly_took_no_opening_gets_no_end(
    posting: Runtime,
    monitor: Monitor,
    merchant: Merchant,
    clock: FrozenClock,
    status: int,
    end: list[str],
    is_snoozed: bool,
) -> None:
    with Receiver() as receiver:
        channel_to(posting, merchant, receiver)
        receiver.otherwise = status
        monitor.finds()
        post_due(posting)
        if is_snoozed:
            snooze_alert(posting, merchant.merchant_id, 1, clock.now() + 8 * HOUR)
        else:
            acknowledge_alert(posting, merchant.merchant_id, 1)
        receiver.otherwise = 200
        ends(monitor)
        clock.move(HOUR)
        post_due(posting)
        assert types(receiver) == ["alert.opened", *end]


@pytest.mark.parametrize("how", ["acknowledged", "snoozed", "unwanted", "back and snoozed"])
@pytest.mark.parametrize(("status", "end"), [(503, []), (429, []), (500, ["alert.resolved"])])
def test_an_opening_that_is_taken_back_takes_the_end_behind_it_along(
    posting: Runtime,
    monitor: Monitor,
    merchant: Merchant,
    clock: FrozenClock,
    status: int,
    end: list[str],
    how: str,
) -> None:
    with Receiver() as receiver:
        made = channel_to(posting, merchant, receiver)
        assert isinstance(made, ChannelSet)
        receiver.otherwise = status
        monitor.finds()
        post_due(posting)
        ends(monitor)
        if how == "acknowledged":
            acknowledge_alert(posting, merchant.merchant_id, 1)
        elif how == "unwanted":
            wish = Wish(channel_id=made.row.channel_id, topics=["queue_backlog"])
            assert isinstance(set_channel(posting, merchant.merchant_id, wish), ChannelSet)
        else:
            if how == "back and snoozed":
                monitor.finds(after=60)
            snooze_alert(posting, merchant.merchant_id, 1, clock.now() + 8 * HOUR)
        receiver.otherwise = 200
        clock.move(HOUR)
        post_due(posting)
        assert types(receiver) == ["alert.opened", *end]


@pytest.mark.parametrize("how", ["acknowledged", "snoozed", "unwanted"])
@pytest.mark.parametrize(("status", "end"), [(503, []), (500, [None, 60])])
def test_an_opening_that_is_taken_back_takes_a_loss_behind_its_end_along(
    told: Told, status: int, end: list[int | None], how: str
) -> None:
    told.hooks.otherwise = status
    refuse_sixty(told)
    tries_again(told)
    scene = told.scene
    merchant_id = scene.merchant.merchant_id
    if how == "acknowledged":
        acknowledge_alert(scene.runtime, merchant_id, 1)
    elif how == "unwanted":
        wish = Wish(channel_id=1, topics=["queue_backlog"])
        assert isinstance(set_channel(scene.runtime, merchant_id, wish), ChannelSet)
    else:
        snooze_alert(scene.runtime, merchant_id, 1, scene.clock.now() + HOUR)
    tried = len(told.hooks.got)
    told.hooks.otherwise = 200
    scene.clock.move(HOUR)
    told.tell()
    assert figures(told)[tried:] == [("alert.resolved", lost) for lost in end]


@pytest.mark.parametrize("is_over_first", [False, True])
@pytest.mark.parametrize("how", ["acknowledged", "unwanted"])
@pytest.mark.parametrize("is_refused", [False, True])
def test_an_opening_that_is_refused_after_it_was_taken_back_takes_the_end_along(
    posting: Runtime,
    monitor: Monitor,
    merchant: Merchant,
    clock: FrozenClock,
    is_refused: bool,
    how: str,
    is_over_first: bool,
) -> None:
    with Receiver() as receiver:
        made = channel_to(posting, merchant, receiver)
        monitor.finds()
        with in_transaction():
            taken = channels.take_next(clock.now(), HOUR)
        assert taken is not None
        if is_over_first:
            ends(monitor)
        if how == "acknowledged":
            acknowledge_alert(posting, merchant.merchant_id, 1)
        else:
            wish = Wish(channel_id=made.row.channel_id, topics=["queue_backlog"])
            assert isinstance(set_channel(posting, merchant.merchant_id, wish), ChannelSet)
        if not is_over_first:
            ends(monitor)
        now = clock.now()
        with in_transaction():
            channels.put_off(taken, "It answered 503.", now, now - 24 * HOUR, now, is_refused=is_refused)
        clock.move(HOUR)
        post_due(posting)
        assert types(receiver) == ([] if is_refused else ["alert.resolved"])


def test_another_cause_is_told_five_times_at_most_and_anew_when_it_opens_again(
    monitor: Monitor, posting: Runtime, clock: FrozenClock, mails: MailServer
) -> None:
    def refuses(code: int) -> int:
        now = clock.move(MINUTE)
        found = Finding(
            DOWN.kind,
            DOWN.platform,
            Severity.CRITICAL,
            "Meta refuses every event",
            f"It refuses them with {code}.",
            now,
            {"cause": Cause.REFUSED, "error_code": str(code)},
        )
        monitor.looks(found)
        email_alerts(posting)
        return len(mails.mails)

    codes = range(MOST_TOLD_AGAIN + 3)
    assert [refuses(code) for code in codes] == [*range(1, MOST_TOLD_AGAIN + 2), *[MOST_TOLD_AGAIN + 1] * 2]
    ends(monitor)
    email_alerts(posting)
    told = len(mails.mails)
    back = [refuses(0) for _ in range(6)]  # five minutes of it are worth an e-mail
    assert (back[0], back[-1]) == (told, told + 1)
    assert [refuses(code) for code in (1, 2, 1)] == [told + 2, told + 3, told + 3]
