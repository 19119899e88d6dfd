"""Who was told of an alert: by what went out, and not by what is set."""

from __future__ import annotations

from collections.abc import Iterator
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
from tracklayer.actors.notify import Notify
from tracklayer.clock import FrozenClock
from tracklayer.db.alert_mails import overdue
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.merchants import merchant_by_id
from tracklayer.domain.alert import Severity
from tracklayer.domain.installation import ROLES, Beat, Facts
from tracklayer.domain.trouble import JOBS_LATE, WEBHOOKS_FAIL
from tracklayer.domain.watch import judge
from tracklayer.runtime import Runtime
from tracklayer.services.advise import PATIENCE, advice_of_telling
from tracklayer.services.alert import acknowledge_alert, snooze_alert
from tracklayer.services.channels import Wish, set_channel
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import email_alerts, take_next
from tracklayer.services.privacy import purge_alert_history
from tracklayer.services.watch_operator import untold_to_merchants

MINUTE = timedelta(minutes=1)


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


def test_a_mail_in_the_hands_of_a_worker_that_died_is_given_up_also_by_one_without_a_mail_server(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    posting.settings = replace(posting.settings, smtp_url=Secret("smtp://127.0.0.1:9"))
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example", "b@shop.example"]})
    monitor.finds()
    assert take_next(posting) is not None
    posting.settings = replace(posting.settings, smtp_url=None)
    clock.move(timedelta(hours=2))
    assert email_alerts(posting) == 0
    found = untold_to_merchants(clock.now())
    assert found is not None
    assert (found.overdue, found.mails_go) == (1, False)


def troubles(clock: FrozenClock) -> list[tuple[str, Severity]]:
    beats = [Beat(role, "1", "one", age=timedelta(), up=timedelta(hours=1)) for role in ROLES]
    facts = Facts(clock.now(), beats, untold=untold_to_merchants(clock.now()))
    return [(one.kind, one.severity) for one in judge(facts) if one.kind != JOBS_LATE]


def three_others_find(posting: Runtime, receiver: Receiver, clock: FrozenClock) -> None:
    """Something that their channels, which lead there, are to be told."""
    for n in range(3):
        other = new_merchant(posting, name=f"Other {n}")
        channel_to(posting, other, receiver)
        Monitor(posting, other, clock).finds()


def test_three_dead_addresses_are_no_outage_while_another_channel_takes_what_it_is_sent(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as dead, Receiver() as well:
        dead.otherwise = 410
        three_others_find(posting, dead, clock)
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
        three_others_find(posting, receiver, clock)
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


def test_what_was_due_before_the_last_message_was_taken_and_tried_after_it_tells_of_the_network_too(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    with Receiver() as well, Receiver() as away:
        away.otherwise = 503
        three_others_find(posting, away, clock)
        channel_to(posting, merchant, well)
        clock.move(timedelta(seconds=1))
        with in_transaction():  # the others wait until a worker comes to them, and meanwhile the network goes away
            execute("UPDATE alert_channels SET next_at = %s", (clock.now() + MINUTE,))
        monitor.finds()
        post_due(posting)
        assert (types(well), types(away)) == (["alert.opened"], [])
        for hours in (1, 1, 3):
            clock.move(timedelta(hours=hours))
            post_due(posting)
        assert troubles(clock) == [(WEBHOOKS_FAIL, Severity.CRITICAL)]


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


@pytest.mark.parametrize("change", ["acknowledged", "snoozed", "not wanted any more"])
def test_a_channel_that_was_told_of_an_opening_is_told_of_the_end_wherever_it_leads_then(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock, change: str
) -> None:
    with Receiver() as before, Receiver() as after:
        made = channel_to(posting, merchant, before)
        monitor.finds()
        post_due(posting)
        wish = Wish(channel_id=made.row.channel_id, url=f"{after.url}/x")
        if change == "acknowledged":
            acknowledge_alert(posting, merchant.merchant_id, 1)
        elif change == "snoozed":
            snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=1))
        else:
            wish = replace(wish, topics=["value_lost"])
        set_channel(posting, merchant.merchant_id, wish)
        for _ in range(2):
            monitor.looks(after=15)
        post_due(posting)
        assert (types(before), types(after)) == (["alert.opened"], ["alert.resolved"])


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
        posting.settings = with_server
        for _ in range(3):
            monitor.finds(after=70)
            email_alerts(posting)
        assert [mail[0] for mail in server.mails] == ["a@shop.example", "b@shop.example"]


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def sender(posting: Runtime, merchant: Merchant, mails: MailServer) -> Runtime:
    """The process that sends; ``posting``, which judges and answers the API, has no mail server."""
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
    return replace(posting, settings=replace(posting.settings, smtp_url=Secret(mails.url)))


def subjects(mails: MailServer) -> list[str]:
    return [str(mail["Subject"]).removesuffix(" - Shop") for _, mail in mails.mails]


def test_what_a_process_without_a_mail_server_judges_is_mailed_by_one_that_has_it(
    sender: Runtime, monitor: Monitor, mails: MailServer
) -> None:
    monitor.finds(severity=Severity.WARNING)
    email_alerts(sender)
    monitor.finds(after=60)
    email_alerts(sender)
    for _ in range(2):
        monitor.looks(after=15)
    email_alerts(sender)
    monitor.finds(after=60)
    monitor.finds(after=300)
    email_alerts(sender)
    again = ["[Critical] Meta is down", "[Resolved] Meta is down", "[Critical] Meta is down"]
    assert subjects(mails) == ["Meta is down", *again]


def test_a_snooze_through_a_process_without_a_mail_server_is_one_by_mail_too(
    posting: Runtime, sender: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock, mails: MailServer
) -> None:
    monitor.finds()
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=1))
    email_alerts(sender)
    assert subjects(mails) == []
    monitor.finds(after=3600)
    email_alerts(sender)
    assert subjects(mails) == ["[Critical] Meta is down"]


def test_mails_that_nobody_sends_are_not_told_as_refused(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example", "gone@shop.example"]})
    monitor.finds()
    (step,) = steps(posting, merchant, clock)
    assert step.startswith("There are mail addresses, and no mail server")
    posting.settings = replace(
        posting.settings, smtp_url=Secret("smtp://127.0.0.1:9")
    )  # here, and not where they are sent
    assert steps(posting, merchant, clock) == []
    clock.move(PATIENCE + MINUTE)
    (step,) = steps(posting, merchant, clock)
    assert step.startswith("Mails about it are due, and nobody has tried to send them yet")
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
    with in_transaction():
        assert overdue(clock.now()) == (
            1,
            clock.now() - PATIENCE - MINUTE,
        )  # nobody waits for that of the other address


def older_version(monitor: Monitor, *after: int) -> None:
    """Finds as one did that wrote no mails without a mail server, so long after each other."""
    with in_transaction():
        ((last,),) = rows("SELECT coalesce(max(mail_id), 0) FROM alert_mails")
    for seconds in after or (0,):
        monitor.finds(after=seconds)
    with in_transaction():
        execute("DELETE FROM alert_mails WHERE mail_id > %s", (last,))


def test_what_opened_under_a_version_that_wrote_no_mails_without_a_server_is_mailed_once_there_is_one(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock, mails: MailServer
) -> None:
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example", "b@shop.example"]})
    older_version(monitor)
    posting.settings = replace(posting.settings, smtp_url=Secret(mails.url))
    (step,) = steps(posting, merchant, clock)
    assert step.startswith("Mails about it are due, and nobody has tried to send them yet")
    notify = Notify(posting)
    for _ in range(3):
        notify()
    assert sorted(recipient for recipient, _ in mails.mails) == ["a@shop.example", "b@shop.example"]
    assert subjects(mails) == ["[Critical] Meta is down"] * 2
    assert steps(posting, merchant, clock) == []
    for _ in range(2):
        monitor.looks(after=15)
    notify()
    assert len(mails.mails) == 4  # and both of the end


def test_what_opened_again_under_such_a_version_is_mailed_again_and_once(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock, mails: MailServer
) -> None:
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
    posting.settings = replace(posting.settings, smtp_url=Secret(mails.url))
    notify = Notify(posting)
    monitor.finds()
    notify()
    for _ in range(3):
        monitor.looks(after=15)
        notify()
    told = ["[Critical] Meta is down", "[Resolved] Meta is down"]
    assert subjects(mails) == told
    older_version(monitor, 20, 15, 15)
    (step,) = steps(posting, merchant, clock)
    assert step.startswith("Mails about it are due, and nobody has tried to send them yet")
    notify = Notify(posting)
    for _ in range(3):
        notify()
    assert subjects(mails) == [*told, "[Critical] Meta is down"]
    assert steps(posting, merchant, clock) == []


def test_what_was_acknowledged_or_is_snoozed_under_such_a_version_is_not_mailed(
    posting: Runtime, monitor: Monitor, merchant: Merchant, clock: FrozenClock, mails: MailServer
) -> None:
    update_merchant(posting, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
    posting.settings = replace(posting.settings, smtp_url=Secret(mails.url))
    older_version(monitor)
    snooze_alert(posting, merchant.merchant_id, 1, clock.now() + timedelta(hours=1))
    with in_transaction():
        execute("DELETE FROM alert_mails")
    Notify(posting)()
    assert subjects(mails) == []
    monitor.finds(after=3600)
    Notify(posting)()
    assert subjects(mails) == ["[Critical] Meta is down"]
    with in_transaction():
        execute("DELETE FROM alert_mails")
    acknowledge_alert(posting, merchant.merchant_id, 1)
    Notify(posting)()
    assert len(mails.mails) == 1
