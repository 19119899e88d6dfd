"""Who was told of an alert: by what went out, and not by what is set."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.datastructures import Secret

from tests.factories import Merchant, new_merchant
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_alert import Monitor
from tests.services.test_channels import channel_to, types
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.db.alert_mails import overdue
from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.merchants import merchant_by_id
from tracklayer.domain.alert import Severity
from tracklayer.domain.installation import ROLES, Beat, Facts
from tracklayer.domain.trouble import JOBS_LATE, WEBHOOKS_FAIL
from tracklayer.domain.watch import judge
from tracklayer.runtime import Runtime
from tracklayer.services.advise import PATIENCE, advice_of_telling
from tracklayer.services.alert import tell_late
from tracklayer.services.channels import Wish, set_channel
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import email_alerts
from tracklayer.services.privacy import purge_alert_history
from tracklayer.services.watch_operator import untold_to_merchants

MINUTE = timedelta(minutes=1)


@pytest.fixture
def posting(runtime: Runtime) -> Runtime:
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True)
    return runtime


@pytest.fixture
def monitor(posting: Runtime, merchant: Merchant, clock: FrozenClock) -> Monitor:
    return Monitor(posting, merchant, clock)


def steps(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> list[str]:
    row = merchant_by_id(merchant.merchant_id)
    assert row is not None
    with in_transaction():
        return [one.next_step for one in advice_of_telling(runtime, row, clock.now())]


def test_whoever_was_told_of_it_as_critical_was_told(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as receiver:
        channel_to(posting, merchant, receiver, min_severity="critical")
        monitor.finds()
        post_due(posting)
        monitor.finds(after=15, severity=Severity.WARNING)
        assert steps(posting, merchant, clock) == []


def test_an_address_that_is_refused_tells_nobody(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with MailServer() as server:
        posting.settings = replace(posting.settings, smtp_url=Secret(server.url))
        server.refuse_recipient["typo@shop.example"] = "550 5.1.1 no such user"
        update_merchant(posting, merchant.merchant_id, {"alert_emails": ["typo@shop.example"]})
        monitor.finds()
        assert steps(posting, merchant, clock) == []
        email_alerts(posting)
        (step,) = steps(posting, merchant, clock)
        assert step.startswith("What was sent was refused, or is not taken: correct the mail addresses")


def test_what_waits_for_a_quarter_of_an_hour_does_not_arrive(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as receiver:
        channel_to(posting, merchant, receiver)
        receiver.otherwise = 503
        monitor.finds()
        post_due(posting)
        assert steps(posting, merchant, clock) == []
        clock.move(PATIENCE + MINUTE)
        assert len(steps(posting, merchant, clock)) == 1
        receiver.otherwise = 200
        post_due(posting)
        assert steps(posting, merchant, clock) == []


def test_the_end_of_an_alert_is_told_however_long_it_was_open(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as receiver, MailServer() as server:
        posting.settings = replace(posting.settings, smtp_url=Secret(server.url))
        update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
        channel_to(posting, merchant, receiver)
        monitor.finds()
        post_due(posting)
        email_alerts(posting)
        for _ in range(32):
            monitor.finds(after=86400)
            purge_alert_history(posting)
        monitor.looks(after=15)
        monitor.looks(after=15)
        post_due(posting)
        email_alerts(posting)
        assert types(receiver) == ["alert.opened", "alert.resolved"]
        assert len(server.mails) == 2


def test_mails_that_are_due_and_not_tried_are_overdue(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    posting.settings = replace(posting.settings, smtp_url=Secret("smtp://127.0.0.1:9"))
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example", "b@shop.example"]})
    monitor.finds()
    due_at = clock.now()
    with in_transaction():
        assert overdue(due_at) == (0, None)
        assert overdue(due_at + MINUTE) == (2, due_at)
    clock.move(timedelta(hours=2))
    found = untold_to_merchants(clock.now())
    assert found is not None
    assert (found.overdue, found.mails_go) == (2, False)  # no mail server is set where they should be sent
    with in_transaction():
        execute(
            "UPDATE alert_mails SET status = 'sent', finished_at = %s WHERE recipient = 'a@shop.example'",
            (clock.now(),),
        )
    found = untold_to_merchants(clock.now())
    assert found is not None
    assert (found.overdue, found.mails_go) == (1, True)


def troubles(clock: FrozenClock) -> list[tuple[str, Severity]]:
    beats = [Beat(role, "1", "one", age=timedelta(), up=timedelta(hours=1)) for role in ROLES]
    facts = Facts(clock.now(), beats, untold=untold_to_merchants(clock.now()))
    return [(one.kind, one.severity) for one in judge(facts) if one.kind != JOBS_LATE]


def test_three_dead_addresses_are_no_outage_while_another_channel_takes_what_it_is_sent(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as dead, Receiver() as well:
        dead.otherwise = 410
        for n in range(3):
            other = new_merchant(posting, name=f"Dead {n}")
            channel_to(posting, other, dead)
            Monitor(posting, other, clock).finds()
        channel_to(posting, merchant, well)
        post_due(posting)
        clock.move(12 * MINUTE)
        monitor.finds()
        post_due(posting)
        assert types(well) == ["alert.opened"]
        for _ in range(3):  # nor is it later, when nobody else has anything to be told
            assert troubles(clock) == [(WEBHOOKS_FAIL, Severity.WARNING)]
            clock.move(timedelta(hours=1))
            post_due(posting)


def test_that_no_channel_takes_anything_is_critical_for_as_long_as_that_lasts(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as receiver:
        channel_to(posting, merchant, receiver)
        monitor.finds()
        post_due(posting)
        clock.move(timedelta(hours=1))
        receiver.otherwise = 503
        for n in range(3):
            other = new_merchant(posting, name=f"Other {n}")
            channel_to(posting, other, receiver)
            Monitor(posting, other, clock).finds()
        post_due(posting)
        assert troubles(clock) == []
        for minutes in (11, 60, 600):
            clock.move(minutes * MINUTE)
            post_due(posting)
            assert troubles(clock) == [(WEBHOOKS_FAIL, Severity.CRITICAL)]
        receiver.otherwise = 200
        clock.move(timedelta(hours=4))
        post_due(posting)
        assert troubles(clock) == []


def test_of_one_that_opened_again_counts_what_was_told_since(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as receiver, MailServer() as server:
        posting.settings = replace(posting.settings, smtp_url=Secret(server.url))
        update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
        channel_to(posting, merchant, receiver)
        monitor.finds()
        monitor.looks(after=15)
        for _ in range(2):
            post_due(posting)
            email_alerts(posting)
            monitor.looks(after=15)
        post_due(posting)
        email_alerts(posting)
        assert (types(receiver), len(server.mails)) == (["alert.opened", "alert.resolved"], 2)
        receiver.otherwise = 410
        server.refuse_recipient["a@shop.example"] = "550 5.1.1 no such user"
        for _ in range(25):
            monitor.finds(after=60)
            post_due(posting)
            email_alerts(posting)
        (step,) = steps(posting, merchant, clock)
        assert step.startswith("What was sent was refused, or is not taken")
        receiver.otherwise = 200
        clock.move(timedelta(hours=1))
        post_due(posting)
        assert types(receiver)[-1] == "alert.opened"
        assert steps(posting, merchant, clock) == []


def test_a_channel_that_leads_elsewhere_is_told_there_of_what_is_open(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as wrong, Receiver() as right:
        made = channel_to(posting, merchant, wrong)
        monitor.finds()
        post_due(posting)
        for _ in range(2):  # the second time, nothing changes
            wish = Wish(channel_id=made.row.channel_id, url=f"{right.url}/x")
            set_channel(posting, merchant.merchant_id, wish)
            post_due(posting)
        assert types(right) == ["alert.opened"]
        monitor.looks(after=15)
        monitor.looks(after=15)
        post_due(posting)
        assert (types(wrong), types(right)) == (["alert.opened"], ["alert.opened", "alert.resolved"])


def test_an_address_that_was_added_while_no_mail_server_was_set_is_told_when_one_is(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with MailServer() as server:
        with_server = replace(posting.settings, smtp_url=Secret(server.url))
        posting.settings = with_server
        update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
        monitor.finds()
        email_alerts(posting)
        posting.settings = replace(with_server, smtp_url=None)
        update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example", "b@shop.example"]})
        tell_late(posting)
        posting.settings = with_server
        for _ in range(3):
            monitor.finds(after=70)
            tell_late(posting)
            email_alerts(posting)
        assert [mail[0] for mail in server.mails] == ["a@shop.example", "b@shop.example"]
