"""Alerts by e-mail, against a real SMTP server: once each, whatever fails or dies."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from starlette.datastructures import Secret

from tests.factories import API_KEY_SECRET, Merchant, new_merchant
from tests.servers import free_port, running, wait_until
from tests.services.test_alert import Monitor
from tests.smtp import BANNER, EndlessServer, MailServer
from tracklayer.cli import main
from tracklayer.clock import FrozenClock, SystemClock
from tracklayer.db.alert_mails import mails_unsent
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.runtime import Runtime
from tracklayer.services import notify
from tracklayer.services.alert import acknowledge_alert, settle_findings, snooze_alert
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import LEASE, email_alerts

OPS, BOSS = "canary.ops@shop.example", "canary.boss@shop.example"


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def mailing(runtime: Runtime, smtp: MailServer) -> Runtime:
    return with_smtp(runtime, smtp.url)


@pytest.fixture
def shop(mailing: Runtime) -> Merchant:
    return merchant_with(mailing, OPS)


@pytest.fixture
def monitor(mailing: Runtime, shop: Merchant, clock: FrozenClock) -> Monitor:
    return Monitor(mailing, shop, clock)


def with_smtp(runtime: Runtime, url: str) -> Runtime:
    runtime.settings = replace(runtime.settings, smtp_url=Secret(url), public_url="https://tracklayer.example")
    return runtime


def merchant_with(runtime: Runtime, *addresses: str, name: str = "Jane's <Shop>\n") -> Merchant:
    shop = new_merchant(runtime, name=name)
    update_merchant(runtime, shop.merchant_id, {"alert_emails": list(addresses)})
    return shop


def said_by_us(caplog: pytest.LogCaptureFixture) -> str:
    """Our log; the test's mail server has one of its own."""
    records = [record for record in caplog.records if record.name.startswith("tracklayer")]
    assert records
    return "\n".join(record.getMessage() for record in records)


def subjects(smtp: MailServer) -> list[str]:
    return [str(message["Subject"]) for _, message in smtp.mails]


def statuses() -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows("SELECT state, status, attempts, last_error FROM alert_mails ORDER BY mail_id")


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    text: str = body.get_content()
    return text


OPENED = "[Critical] Meta is down - Jane's <Shop>"
RESOLVED = "[Resolved] Meta is down - Jane's <Shop>"


def test_one_mail_when_it_opens_and_one_when_it_resolves(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant
) -> None:
    monitor.finds(message="20 of 20 requests <b>failed</b>; normal is 0 %. Check the token.")
    assert email_alerts(mailing) == 1
    assert email_alerts(mailing) == 0
    monitor.finds(after=15)
    monitor.looks(after=15)
    assert email_alerts(mailing) == 0
    monitor.looks(after=10)
    assert email_alerts(mailing) == 1
    assert email_alerts(mailing) == 0
    (to_first, first), (to_second, second) = smtp.mails
    assert (to_first, to_second) == (OPS, OPS)
    assert subjects(smtp) == [OPENED, RESOLVED]
    link = "https://tracklayer.example/notifications/WyJBbGVydCIsMSwxXQ"
    assert first["From"] == "alerts@tracklayer.example"
    assert first["To"] == OPS
    assert first["Date"] == "Fri, 20 Nov 2026 15:00:00 +0000"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] == "<alert.1.1.1.open@tracklayer.example>"
    assert second["Message-ID"] == "<alert.1.1.2.resolved@tracklayer.example>"
    assert first["References"] == second["References"] == "<alert.1.1@tracklayer.example>"
    assert part(first, "plain").replace("\r\n", "\n") == (
        "Meta is down\n\n20 of 20 requests <b>failed</b>; normal is 0 %. Check the token.\n\n"
        f"Open since 2026-11-20 15:00:00 UTC.\n\n{link}\n\n"
        "Acknowledge the alert and no more e-mail is sent about it.\n"
    )
    assert "20 of 20 requests &lt;b&gt;failed&lt;/b&gt;" in part(first, "html")
    assert f'<a href="{link}">' in part(first, "html")
    assert "Open from 2026-11-20 15:00:00 UTC until 2026-11-20 15:00:40 UTC." in part(second, "plain")


def test_what_becomes_critical_is_mailed_once_more(mailing: Runtime, monitor: Monitor, smtp: MailServer) -> None:
    monitor.finds(severity=Severity.WARNING, message="10% of events are refused.")
    email_alerts(mailing)
    monitor.finds(after=15, message="90% of events are refused.")
    assert email_alerts(mailing) == 1
    for severity in (Severity.WARNING, Severity.CRITICAL, Severity.WARNING):  # around the bound
        monitor.finds(after=15, severity=severity, message="2% of events are refused.")
        assert email_alerts(mailing) == 0
    monitor.looks(after=15)
    monitor.looks(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == ["Meta is down - Jane's <Shop>", OPENED, RESOLVED]
    (_, graver), (_, resolved) = smtp.mails[1:]
    assert "90% of events are refused." in part(graver, "plain")
    assert "It is over. What it was about: 90% of events are refused." in part(resolved, "plain")
    assert len({message["Message-ID"] for _, message in smtp.mails}) == 3


def test_what_becomes_critical_after_it_came_back_is_mailed_again(
    mailing: Runtime, monitor: Monitor, smtp: MailServer
) -> None:
    monitor.finds()
    email_alerts(mailing)
    monitor.looks(after=15)
    monitor.looks(after=15)
    email_alerts(mailing)
    monitor.finds(after=60, severity=Severity.WARNING)
    monitor.finds(after=300, severity=Severity.WARNING)
    assert email_alerts(mailing) == 1
    monitor.finds(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED, RESOLVED, "Meta is down - Jane's <Shop>", OPENED]


def test_what_becomes_critical_before_its_mail_went_out_is_one_mail(
    mailing: Runtime, monitor: Monitor, smtp: MailServer
) -> None:
    monitor.finds(severity=Severity.WARNING)
    monitor.finds(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED]


def test_what_comes_back_as_critical_while_its_end_waits_is_mailed_as_that(
    mailing: Runtime, monitor: Monitor, smtp: MailServer
) -> None:
    monitor.finds(severity=Severity.WARNING)
    email_alerts(mailing)
    smtp.refuse_data = "451 come back later"
    monitor.looks(after=15)
    monitor.looks(after=15)
    email_alerts(mailing)
    smtp.refuse_data = None
    monitor.finds(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == ["Meta is down - Jane's <Shop>", OPENED]
    monitor.looks(after=15)
    monitor.looks(after=15)
    email_alerts(mailing)
    assert subjects(smtp)[2:] == [RESOLVED]


def test_a_cause_is_told_once_and_an_acknowledgement_holds_for_those_that_were_told(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock
) -> None:
    def finds(cause: str) -> None:
        now = clock.move(timedelta(seconds=15))
        monitor.looks(
            Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, cause, "It is.", now, {"cause": cause})
        )
        email_alerts(mailing)

    for cause in ("credentials_refused", "refused", "credentials_refused", "refused"):
        finds(cause)
    assert [subject.split()[1] for subject in subjects(smtp)] == ["credentials_refused", "refused"]
    acknowledge_alert(mailing, shop.merchant_id, 1)
    finds("credentials_refused")
    with in_transaction():
        assert rows("SELECT acknowledged_at IS NOT NULL FROM alerts") == [(True,)]
    finds("unmappable")
    assert [subject.split()[1] for subject in subjects(smtp)[2:]] == ["unmappable"]
    with in_transaction():
        assert rows("SELECT acknowledged_at IS NOT NULL FROM alerts") == [(False,)]


def test_what_is_refused_at_the_door_is_told_once_a_code_and_field_also_after_it_became_critical(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, clock: FrozenClock
) -> None:
    def finds(severity: Severity, code: str, *others: str) -> None:
        now = clock.move(timedelta(seconds=15))
        causes = [{"code": one, "field": "value", "share": 0.5} for one in (code, *others)]
        details = {"leading": {"code": code, "field": "value"}, "causes": causes}
        monitor.looks(Finding(AlertKind.EVENTS_REJECTED, None, severity, code, "It is.", now, details))
        email_alerts(mailing)

    finds(Severity.WARNING, "A", "B")
    finds(Severity.WARNING, "C")
    finds(Severity.CRITICAL, "B")
    for code in "ABCABC":
        finds(Severity.CRITICAL, code)
    assert [subject.split(" - ")[0] for subject in subjects(smtp)] == ["A", "C", "[Critical] B"]
    for code in "DEFGHI":
        finds(Severity.CRITICAL, code)
    assert [subject.split(" - ")[0] for subject in subjects(smtp)[3:]] == [f"[Critical] {code}" for code in "DEFG"]


def refused(now: datetime, *names: str, **details: Any) -> Finding:
    """Names that Meta refuses; those in lower case cost no conversion."""
    members = {name: name.istitle() for name in names}
    words = f"Refused: {names[0]}", f"Meta refuses {' and '.join(names)}."
    shown = {"cause": "refused", "event_names": list(names), **details}
    return Finding(AlertKind.DELIVERY_RATE_DROP, "meta", Severity.CRITICAL, *words, now, shown, members=members)


RATE = Subject(AlertKind.DELIVERY_RATE_DROP, "meta")


@dataclass
class Refusals:
    """Looks at the names that one merchant's Meta refuses, and the mails that come of each."""

    runtime: Runtime
    shop: Merchant
    clock: FrozenClock
    smtp: MailServer

    def looks(self, minutes: float, *names: str, **details: Any) -> list[str]:
        """The words of the mails after so long."""
        self.smtp.mails.clear()
        now = self.clock.move(timedelta(minutes=minutes))
        found = [refused(now, *names, **details)] if names else []
        settle_findings(self.runtime, self.shop.merchant_id, found, [RATE], now)
        email_alerts(self.runtime)
        return [part(message, "plain").split("\r\n\r\n")[1] for _, message in self.smtp.mails]

    def is_acknowledged(self) -> bool:
        with in_transaction():
            return rows("SELECT acknowledged_at IS NOT NULL FROM alerts") == [(True,)]


@pytest.fixture
def refusals(mailing: Runtime, shop: Merchant, clock: FrozenClock, smtp: MailServer) -> Refusals:
    return Refusals(mailing, shop, clock, smtp)


@pytest.mark.parametrize("is_known", [False, True])
def test_a_name_that_joins_an_open_alert_is_told_once_and_undoes_an_acknowledgement(
    refusals: Refusals, is_known: bool
) -> None:
    assert refusals.looks(0, "Purchase") == ["Meta refuses Purchase."]
    if is_known:
        acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    assert refusals.looks(20, "Purchase", "page") == []
    assert refusals.is_acknowledged() is is_known
    assert refusals.looks(20, "Purchase", "page", "Lead") == ["Meta refuses Purchase and page and Lead."]
    assert not refusals.is_acknowledged()
    acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    for names in (["Purchase"], ["Lead", "Purchase"], ["Lead"], ["Lead", "page"]):
        assert refusals.looks(5, *names) == []
    assert refusals.is_acknowledged()


def test_a_name_that_recovered_and_fails_again_is_told_again_only_after_as_long_as_alerts_need(
    refusals: Refusals,
) -> None:
    refusals.looks(0, "Lead", "Purchase")
    assert refusals.looks(20, "Lead") == []
    assert refusals.looks(9, "Lead", "Purchase") == []
    assert refusals.looks(1, "Lead") == []
    assert refusals.looks(10, "Lead", "Purchase") == ["Meta refuses Lead and Purchase."]


def test_names_that_join_one_after_another_are_one_mail(refusals: Refusals) -> None:
    names = ["Search"]
    assert refusals.looks(0, *names) == ["Meta refuses Search."]
    mails = []
    for name in ("Lead", "Contact", "Donate", "Schedule"):
        names.append(name)
        mails += refusals.looks(2, *names)
    mails += refusals.looks(2, *names)
    assert mails == ["Meta refuses Search and Lead and Contact and Donate and Schedule."]
    assert refusals.looks(60, *names) == []


def test_a_name_that_joins_a_snoozed_alert_is_told_as_that_ends(refusals: Refusals) -> None:
    refusals.looks(0, "Purchase")
    snooze_alert(refusals.runtime, refusals.shop.merchant_id, 1, refusals.clock.now() + timedelta(hours=1))
    assert refusals.looks(20, "Purchase", "Lead") == []
    assert refusals.looks(41, "Purchase", "Lead") == ["Meta refuses Purchase and Lead."]
    assert refusals.looks(60, "Purchase", "Lead") == []


def test_an_alert_that_comes_back_with_another_name_is_told_whether_or_not_somebody_knew_of_it(
    refusals: Refusals,
) -> None:
    refusals.looks(0, "Purchase")
    acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    refusals.looks(60)
    assert refusals.looks(2) == []
    assert refusals.looks(5, "Purchase") == []
    assert refusals.is_acknowledged()
    assert refusals.looks(5, "Purchase", "Lead") == ["Meta refuses Purchase and Lead."]


def test_the_end_names_all_that_an_alert_was_about(refusals: Refusals) -> None:
    refusals.looks(0, "Purchase", "Contact")
    refusals.looks(20, "Contact")
    refusals.looks(20, "Contact", "Lead")
    refusals.looks(20, "Contact", "Lead", "page")
    refusals.looks(1)
    assert refusals.looks(2) == [
        "It is over. What it was about: Meta refuses Contact and Lead. The same was seen of Purchase and page, at times."
    ]


def test_another_field_that_a_rule_demands_is_told_and_each_once(refusals: Refusals) -> None:
    def finds(field: str, name: str = "Purchase") -> int:
        ground = {"cause": "unmappable", "drop_reason": "missing_identifiers", "field": field}
        return len(refusals.looks(1, name, **ground))

    assert [finds(field) for field in ("custom_data.value", "user_data", "custom_data.value")] == [1, 1, 0]
    acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    assert (finds("user_data"), refusals.is_acknowledged()) == (0, True)
    assert (finds("event_source_url"), refusals.is_acknowledged()) == (1, False)


def test_an_alert_of_an_older_version_is_not_told_anew_for_the_names_that_it_has(refusals: Refusals) -> None:
    refusals.looks(0, "Purchase", "Lead")
    acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    with in_transaction():
        execute("UPDATE alerts SET told = told - 'members'")
    assert refusals.looks(60, "Purchase", "Lead") == []
    assert refusals.looks(60, "Purchase", "Donate") == ["Meta refuses Purchase and Donate."]


def test_an_alert_of_an_older_version_is_told_with_a_name_that_it_was_not_told_with(refusals: Refusals) -> None:
    refusals.looks(0, "Purchase", "Lead")
    acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    with in_transaction():
        execute("UPDATE alerts SET told = told - 'members'")
    assert refusals.looks(60, "Purchase", "Contact") == ["Meta refuses Purchase and Contact."]


def test_an_alert_of_an_older_version_that_does_not_say_all_its_names_is_not_told_anew(refusals: Refusals) -> None:
    refusals.looks(0, "Purchase", "Lead")
    acknowledge_alert(refusals.runtime, refusals.shop.merchant_id, 1)
    with in_transaction():
        execute("UPDATE alerts SET told = (told - 'members') #- '{details,event_names}'")
    assert refusals.looks(60, "Purchase", "Lead", "Contact") == []


def test_what_is_refused_at_the_door_is_written_down_once_and_not_at_each_look(
    mailing: Runtime, monitor: Monitor, clock: FrozenClock
) -> None:
    sizes = set()
    for count in range(1, 9):
        details = {"event_names": {"Purchase": count}}
        now = clock.move(timedelta(seconds=15))
        monitor.looks(Finding(AlertKind.EVENTS_REJECTED, None, Severity.CRITICAL, "t", "It is.", now, details))
        with in_transaction():
            sizes.add(rows("SELECT length(told::text) FROM alerts")[0][0])
    assert len(sizes) == 1


@pytest.mark.parametrize("asleep", [False, True])
def test_what_becomes_critical_where_somebody_knows_it_is_not_mailed(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock, asleep: bool
) -> None:
    monitor.finds(severity=Severity.WARNING)
    email_alerts(mailing)
    if asleep:
        snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=1))
    else:
        acknowledge_alert(mailing, shop.merchant_id, 1)
    monitor.finds(after=15)
    assert email_alerts(mailing) == 0
    clock.move(timedelta(hours=1))
    assert email_alerts(mailing) == int(asleep)  # it is told once more then, as it is then
    assert subjects(smtp) == ["Meta is down - Jane's <Shop>", OPENED][: 1 + asleep]


def test_an_alert_of_an_older_version_ends_in_the_words_it_has(
    mailing: Runtime, monitor: Monitor, smtp: MailServer
) -> None:
    monitor.finds()
    with in_transaction():
        execute("UPDATE alerts SET told = NULL")
    monitor.looks(after=15)
    monitor.looks(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [RESOLVED]


def test_each_address_gets_a_mail_of_its_own(runtime: Runtime, smtp: MailServer, clock: FrozenClock) -> None:
    shop = merchant_with(with_smtp(runtime, smtp.url), OPS, BOSS, OPS)
    Monitor(runtime, shop, clock).finds()
    assert email_alerts(runtime) == 2
    assert [(recipient, message["To"]) for recipient, message in smtp.mails] == [(OPS, OPS), (BOSS, BOSS)]
    assert [BOSS in message.as_string() for _, message in smtp.mails] == [False, True]
    assert smtp.sessions == 1


def test_nobody_to_tell_is_no_mail(mailing: Runtime, clock: FrozenClock) -> None:
    Monitor(mailing, merchant_with(mailing, name="Nobody"), clock).finds()
    assert email_alerts(mailing) == 0
    assert statuses() == []


def test_an_acknowledged_alert_is_silent(mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant) -> None:
    monitor.finds()
    acknowledge_alert(mailing, shop.merchant_id, 1)
    assert email_alerts(mailing) == 0
    monitor.looks(after=10)
    monitor.looks(after=10)
    assert email_alerts(mailing) == 0
    assert smtp.mails == []


def test_acknowledged_after_the_mail_it_resolves_silently(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant
) -> None:
    monitor.finds()
    email_alerts(mailing)
    acknowledge_alert(mailing, shop.merchant_id, 1)
    monitor.looks(after=10)
    monitor.looks(after=10)
    assert email_alerts(mailing) == 0
    assert subjects(smtp) == [OPENED]


def test_an_alert_that_is_over_before_its_mail_is_told_once_and_whole(
    mailing: Runtime, monitor: Monitor, smtp: MailServer
) -> None:
    monitor.finds()
    monitor.looks(after=10)
    monitor.looks(after=10)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [RESOLVED]


def test_a_flapping_alert_fills_no_inbox_and_is_told_again_when_it_stays(
    mailing: Runtime, monitor: Monitor, smtp: MailServer
) -> None:
    monitor.finds()
    email_alerts(mailing)
    for _ in range(5):
        monitor.looks(after=10)
        monitor.looks(after=10)
        email_alerts(mailing)
        monitor.finds(after=60)
        email_alerts(mailing)
    assert subjects(smtp) == [OPENED, RESOLVED]
    monitor.finds(after=299)
    assert email_alerts(mailing) == 0
    monitor.finds(after=1)
    assert email_alerts(mailing) == 1
    monitor.looks(after=10)
    monitor.looks(after=10)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED, RESOLVED, OPENED, RESOLVED]


def test_an_address_that_was_taken_away_gets_nothing_more(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant
) -> None:
    monitor.finds()
    update_merchant(mailing, shop.merchant_id, {"alert_emails": []})
    assert email_alerts(mailing) == 0
    assert [status for _, status, _, _ in statuses()] == ["cancelled"]


def test_an_address_that_is_added_is_told_of_what_is_open_and_of_its_end(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant
) -> None:
    smtp.refuse_recipient = {OPS: "550 no such user"}
    monitor.finds()
    assert email_alerts(mailing) == 0
    smtp.refuse_recipient = {}
    update_merchant(mailing, shop.merchant_id, {"alert_emails": [BOSS]})
    assert email_alerts(mailing) == 1
    update_merchant(mailing, shop.merchant_id, {"alert_emails": []})
    update_merchant(mailing, shop.merchant_id, {"alert_emails": [BOSS]})
    assert email_alerts(mailing) == 0  # it knows
    monitor.looks(after=15)
    monitor.looks(after=15)
    assert email_alerts(mailing) == 1
    assert [(recipient, message["Subject"]) for recipient, message in smtp.mails] == [(BOSS, OPENED), (BOSS, RESOLVED)]
    update_merchant(mailing, shop.merchant_id, {"alert_emails": [OPS, BOSS]})
    assert email_alerts(mailing) == 0  # it is over


def test_an_address_that_is_added_hears_of_what_is_snoozed_later_and_of_what_somebody_knows_never(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock
) -> None:
    monitor.finds()
    email_alerts(mailing)
    snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    update_merchant(mailing, shop.merchant_id, {"alert_emails": [BOSS]})
    assert email_alerts(mailing) == 0
    clock.move(timedelta(hours=8))
    assert email_alerts(mailing) == 1
    acknowledge_alert(mailing, shop.merchant_id, 1)
    update_merchant(mailing, shop.merchant_id, {"alert_emails": [OPS, BOSS, "new@shop.example"]})
    assert email_alerts(mailing) == 0
    assert [recipient for recipient, _ in smtp.mails] == [OPS, BOSS]


def test_a_server_that_is_away_is_tried_again_with_longer_pauses(
    runtime: Runtime,
    clock: FrozenClock,
    migrated: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with_smtp(runtime, f"smtp://127.0.0.1:{free_port()}")
    shop = merchant_with(runtime, OPS)
    Monitor(runtime, shop, clock).finds()
    assert email_alerts(runtime) == 0
    assert email_alerts(runtime) == 0  # not due yet
    assert statuses() == [("open", "waiting", 1, "ConnectionRefusedError")]
    clock.move(timedelta(seconds=15))
    assert email_alerts(runtime) == 0
    clock.move(timedelta(seconds=29))
    assert email_alerts(runtime) == 0
    assert statuses() == [("open", "waiting", 2, "ConnectionRefusedError")]

    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", migrated)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    monkeypatch.setenv("TRACKLAYER_SMTP_URL", str(runtime.settings.smtp_url))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert (
        "FAULT  e-mails     1 wait because the server does not take them since 2026-11-20 15:00 UTC "
        "(ConnectionRefusedError)" in told
    )
    assert "canary" not in told + said_by_us(caplog)

    with MailServer() as back:
        with_smtp(runtime, back.url)
        clock.move(timedelta(seconds=1))
        assert email_alerts(runtime) == 1
        assert [recipient for recipient, _ in back.mails] == [OPS]


def test_after_a_day_of_failures_it_is_given_up(runtime: Runtime, clock: FrozenClock) -> None:
    with_smtp(runtime, f"smtp://127.0.0.1:{free_port()}")
    monitor = Monitor(runtime, merchant_with(runtime, OPS), clock)
    monitor.finds()
    monitor.looks(after=15)
    monitor.looks(after=15)
    for _ in range(49):
        email_alerts(runtime)
        clock.move(timedelta(minutes=30))
    assert statuses()[-1][1:] == ("failed", 49, "ConnectionRefusedError")


def test_that_an_alert_is_open_is_tried_for_as_long_as_it_is(runtime: Runtime, clock: FrozenClock) -> None:
    with_smtp(runtime, f"smtp://127.0.0.1:{free_port()}")
    Monitor(runtime, merchant_with(runtime, OPS), clock).finds()
    for _ in range(60):
        email_alerts(runtime)
        clock.move(timedelta(minutes=30))
    with MailServer() as server:
        with_smtp(runtime, server.url)
        assert email_alerts(runtime) == 1


def test_what_was_open_before_there_was_a_mail_server_is_told_once_there_is(
    runtime: Runtime, clock: FrozenClock
) -> None:
    monitor = Monitor(runtime, merchant_with(runtime, OPS), clock)
    monitor.finds()
    assert email_alerts(runtime) == 0
    for _ in range(60):  # for as long as it is open
        clock.move(timedelta(hours=1))
        monitor.finds()
        assert email_alerts(runtime) == 0
    with MailServer() as server:
        with_smtp(runtime, server.url)
        for _ in range(2):
            email_alerts(runtime)
        monitor.looks(after=15)
        monitor.looks(after=15)
        email_alerts(runtime)
        assert [message["Subject"].strip()[:10] for _, message in server.mails] == ["[Critical]", "[Resolved]"]


def test_an_end_that_nobody_has_sent_for_a_day_is_given_up_also_without_a_mail_server(
    runtime: Runtime, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor(runtime, merchant_with(runtime, OPS), clock)
    monitor.finds()
    monitor.looks(after=15)
    monitor.looks(after=15)
    clock.move(timedelta(hours=24))
    email_alerts(runtime)
    assert statuses()[-1] == ("resolved", "waiting", 0, None)
    clock.move(timedelta(seconds=1))
    email_alerts(runtime)
    assert statuses()[-1] == ("resolved", "failed", 0, "NeverTried")
    assert "1 e-mails about the end of an alert were not sent for a day" in said_by_us(caplog)
    with MailServer() as server:
        with_smtp(runtime, server.url)
        assert email_alerts(runtime) == 0
    with in_transaction():
        assert (
            mails_unsent(clock.now() + timedelta(minutes=30), timedelta(minutes=10)) is None
        )  # it is not the server's


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        pytest.param({"refuse_data": "451 come back later"}, "waiting", "SMTPResponseException 451", id="not now"),
        pytest.param({"refuse_data": "554 no"}, "waiting", "SMTPResponseException 554", id="not this message"),
        pytest.param(
            {"refuse_recipient": {OPS: "450 canary greylisted"}},
            "waiting",
            "SMTPResponseException 450",
            id="greylisted",
        ),
        pytest.param({"refuse_recipient": {OPS: "550 no canary"}}, "failed", "Refused550", id="no such address"),
    ],
)
def test_a_refusal_is_certain_and_costs_nobody_else_his_mail(
    mailing: Runtime,
    smtp: MailServer,
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    status: str,
    error: str,
) -> None:
    for name, value in fault.items():
        setattr(smtp, name, value)
    shop = merchant_with(mailing, OPS, BOSS)
    Monitor(mailing, shop, clock).finds()
    with caplog.at_level(logging.DEBUG, logger="tracklayer"):
        email_alerts(mailing)
    assert statuses()[0] == ("open", status, 1, error)
    smtp.refuse_recipient, smtp.refuse_data = {}, None
    clock.move(timedelta(seconds=15))
    email_alerts(mailing)
    assert sorted(recipient for recipient, _ in smtp.mails) == ([BOSS] if status == "failed" else [BOSS, OPS])
    assert "canary" not in said_by_us(caplog)


def test_doctor_says_why_mails_were_given_up(
    mailing: Runtime,
    smtp: MailServer,
    migrated: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    smtp.refuse_recipient = {OPS: "554 canary relay access denied"}
    mailing.clock = clock = FrozenClock(SystemClock().now())
    Monitor(mailing, merchant_with(mailing, OPS), clock).finds()
    assert email_alerts(mailing) == 0
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", migrated)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    monkeypatch.setenv("TRACKLAYER_SMTP_URL", smtp.url)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "1 of the last day were given up, or nobody knows their fate (Refused554)" in told
    assert "canary" not in told


def test_addresses_that_are_not_taken_now_hold_up_nobody_elses_mail(
    mailing: Runtime, smtp: MailServer, clock: FrozenClock
) -> None:
    grey = [f"canary{n}@grey.example" for n in range(5)]
    smtp.refuse_recipient = dict.fromkeys(grey, "451 4.7.1 greylisted, come back later")
    Monitor(mailing, merchant_with(mailing, *grey), clock).finds()
    clock.move(timedelta(seconds=1))
    Monitor(mailing, merchant_with(mailing, OPS, name="Other"), clock).finds()
    assert email_alerts(mailing) == 1
    assert [recipient for recipient, _ in smtp.mails] == [OPS]
    assert statuses()[:5] == [("open", "waiting", 1, "SMTPResponseException 451")] * 5


def test_a_server_that_takes_one_message_a_session_gets_a_session_for_each(
    mailing: Runtime, smtp: MailServer, clock: FrozenClock
) -> None:
    smtp.most_in_a_session = 1
    addresses = [f"canary{n}@shop.example" for n in range(5)]
    Monitor(mailing, merchant_with(mailing, *addresses), clock).finds()
    assert email_alerts(mailing) == 5
    assert statuses() == [("open", "sent", 1, None)] * 5
    assert smtp.sessions == 5


@pytest.mark.parametrize("place", [BANNER, b"RCPT", b"DATA"], ids=bytes.decode)
def test_a_server_whose_answer_has_no_end_ends_the_run_and_the_mail_is_tried_again(
    runtime: Runtime, smtp: MailServer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, place: bytes
) -> None:
    with EndlessServer(place) as endless, monkeypatch.context() as hurried:
        hurried.setattr(notify, "WHOLE_SECONDS", 0.2)
        with_smtp(runtime, endless.url)
        Monitor(runtime, merchant_with(runtime, OPS), clock).finds()
        assert email_alerts(runtime) == 0
    assert statuses() == [("open", "waiting", 1, "TooSlow")]
    with_smtp(runtime, smtp.url)
    clock.move(timedelta(seconds=15))
    assert email_alerts(runtime) == 1


def test_a_mail_whose_fate_is_unknown_is_never_sent_again(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, clock: FrozenClock
) -> None:
    def cut(server: SMTP) -> None:
        transport: Any = server.transport
        transport.abort()

    smtp.on_taken = cut
    monitor.finds()
    assert email_alerts(mailing) == 0
    assert statuses() == [("open", "unknown", 1, "SMTPServerDisconnected")]
    smtp.on_taken = lambda server: None
    clock.move(timedelta(hours=1))
    assert email_alerts(mailing) == 0
    assert subjects(smtp) == [OPENED]
    monitor.looks()
    monitor.looks(after=10)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED, RESOLVED]


def test_a_worker_killed_between_send_and_mark_sends_nothing_twice(
    runtime: Runtime, smtp: MailServer, database: str, redis_url: str
) -> None:
    """A real worker process dies the moment the server has its mail; another one takes over and lets it be."""
    runtime.clock = SystemClock()
    with_smtp(runtime, smtp.url)
    shop = merchant_with(runtime, OPS)
    environ = {
        "TRACKLAYER_DATABASE_URL": database,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_SMTP_URL": smtp.url,
    }
    with running("worker", environ=environ) as first, running("scheduler", environ=environ):
        smtp.on_taken = lambda server: os.kill(first.pid, signal.SIGKILL)
        now = runtime.clock.now()
        settle_findings(
            runtime,
            shop.merchant_id,
            [Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, "Meta is down", "It is.", now)],
            [],
            now,
        )
        wait_until(lambda: not first.is_running(), "the first worker to be killed")
        smtp.on_taken = lambda server: None
        assert [status for _, status, _, _ in statuses()] == ["sending"]
        with running("worker", environ=environ):
            settle_findings(
                runtime,
                merchant_with(runtime, BOSS, name="Other").merchant_id,
                [Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, "Meta is down", "It is.", now)],
                [],
                now,
            )
            wait_until(lambda: len(smtp.mails) == 2, "the second worker to send another merchant's mail")
            wait_until(lambda: statuses()[1][1] == "sent", "it to be marked")
    assert [recipient for recipient, _ in smtp.mails] == [OPS, BOSS]
    late = FrozenClock(SystemClock().now() + LEASE + timedelta(seconds=30))
    runtime.clock = late
    assert email_alerts(runtime) == 0
    assert [status for _, status, _, _ in statuses()] == ["unknown", "sent"]
    assert [recipient for recipient, _ in smtp.mails] == [OPS, BOSS]


def test_many_processes_at_once_send_each_mail_once(mailing: Runtime, smtp: MailServer, clock: FrozenClock) -> None:
    addresses = [f"canary{n}@shop.example" for n in range(30)]
    Monitor(mailing, merchant_with(mailing, *addresses), clock).finds()
    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(lambda _: email_alerts(mailing), range(6))) == 30
    assert sorted(recipient for recipient, _ in smtp.mails) == sorted(addresses)


@pytest.mark.parametrize(("password", "sent"), [("s3cret:p@ss", 1), ("wrong", 0)])
def test_a_server_may_ask_for_a_password(runtime: Runtime, clock: FrozenClock, password: str, sent: int) -> None:
    with MailServer(auth=("user@shop", "s3cret:p@ss")) as server:
        quoted = password.replace(":", "%3A").replace("@", "%40")
        with_smtp(runtime, f"smtp://user%40shop:{quoted}@127.0.0.1:{server.port}")
        Monitor(runtime, merchant_with(runtime, OPS), clock).finds()
        assert email_alerts(runtime) == sent
        assert [message["From"] for _, message in server.mails] == ["tracklayer@tracklayer.example"] * sent
    ((_, status, _, error),) = statuses()
    assert (status, error) == (("sent", None) if sent else ("waiting", "SMTPAuthenticationError 535"))


def test_an_address_outside_ascii_is_written_as_it_is(mailing: Runtime, smtp: MailServer, clock: FrozenClock) -> None:
    Monitor(mailing, merchant_with(mailing, "jörg@läden.example"), clock).finds()
    assert email_alerts(mailing) == 1
    assert [(recipient, message["To"]) for recipient, message in smtp.mails] == [
        ("jörg@läden.example", "jörg@läden.example")
    ]


def test_snoozed_no_mail_goes_out_and_then_one_if_it_is_still_open(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock
) -> None:
    monitor.finds()
    snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    assert email_alerts(mailing) == 0
    clock.move(timedelta(hours=8))
    assert email_alerts(mailing) == 1
    assert email_alerts(mailing) == 0
    assert subjects(smtp) == [OPENED]
    monitor.looks(after=15)
    monitor.looks(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED, RESOLVED]


def test_who_was_told_before_it_was_snoozed_is_reminded_once_and_told_of_the_end(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock
) -> None:
    monitor.finds()
    email_alerts(mailing)
    snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    monitor.finds(after=3600)
    assert email_alerts(mailing) == 0
    clock.move(timedelta(hours=7))
    assert email_alerts(mailing) == 1
    assert len({str(message["Message-ID"]) for _, message in smtp.mails}) == 2
    snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    monitor.looks(after=15)
    monitor.looks(after=15)
    email_alerts(mailing)
    clock.move(timedelta(hours=9))
    email_alerts(mailing)
    assert subjects(smtp) == [OPENED, OPENED, RESOLVED]


def test_what_nobody_was_told_of_ends_in_silence_while_it_is_snoozed(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock
) -> None:
    monitor.finds()
    snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    monitor.looks(after=15)
    monitor.looks(after=15)
    clock.move(timedelta(hours=9))
    assert email_alerts(mailing) == 0
    assert smtp.mails == []


def test_what_comes_back_while_it_is_snoozed_waits_for_the_end_of_that(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, shop: Merchant, clock: FrozenClock
) -> None:
    monitor.finds()
    email_alerts(mailing)
    snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    monitor.looks(after=15)
    monitor.looks(after=15)
    monitor.finds(after=15)  # before a mail could tell that it was over
    clock.move(timedelta(hours=1))
    assert email_alerts(mailing) == 0
    clock.move(timedelta(hours=7))
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED, OPENED]


class Hesitating:
    """A mail server that takes its time for the answer to an address, and then says no for now, or to a message."""

    def __init__(self, smtp: MailServer, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        answer: Any = getattr(smtp, f"handle_{place}")

        async def hesitate(*given: Any) -> str:
            if self.goes_on.is_set():
                return str(await answer(*given))
            self.reached.set()
            await asyncio.to_thread(self.goes_on.wait, 20)
            return "451 greylisted" if place == "RCPT" else str(await answer(*given))

        monkeypatch.setattr(smtp, f"handle_{place}", hesitate)


@contextmanager
def in_hand(mailing: Runtime, hesitating: Hesitating) -> Iterator[None]:
    """The block happens while the server has yet to answer to a mail."""
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(email_alerts, mailing)
        assert hesitating.reached.wait(20)
        yield
        hesitating.goes_on.set()
        run.result(20)


def test_snoozed_while_its_mail_is_in_hand_it_waits_for_the_end_of_that(
    mailing: Runtime,
    monitor: Monitor,
    smtp: MailServer,
    shop: Merchant,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor.finds()
    with in_hand(mailing, Hesitating(smtp, monkeypatch, "RCPT")):
        snooze_alert(mailing, shop.merchant_id, 1, clock.now() + timedelta(hours=8))
    clock.move(timedelta(hours=7))
    assert email_alerts(mailing) == 0
    clock.move(timedelta(hours=1))
    assert email_alerts(mailing) == 1
    assert [status for _, status, _, _ in statuses()] == ["cancelled", "sent"]


def test_critical_while_its_mail_is_in_hand_it_is_one_mail_more_or_one_at_all(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.finds(severity=Severity.WARNING)
    with in_hand(mailing, Hesitating(smtp, monkeypatch, "RCPT")):
        monitor.finds(after=15)
        assert email_alerts(mailing) == 0
    clock.move(timedelta(minutes=5))
    email_alerts(mailing)
    assert subjects(smtp) == [OPENED]
    monitor.looks(after=15)
    monitor.looks(after=15)
    email_alerts(mailing)
    monitor.finds(after=3600, severity=Severity.WARNING)
    with in_hand(mailing, Hesitating(smtp, monkeypatch, "DATA")):
        monitor.finds(after=15)
        assert email_alerts(mailing) == 0
    email_alerts(mailing)
    assert subjects(smtp)[1:] == [RESOLVED, "Meta is down - Jane's <Shop>", OPENED]


def test_back_while_its_end_is_in_hand_and_never_told_there_is_nothing_to_tell(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.finds()
    email_alerts(mailing)
    monitor.looks(after=15)
    monitor.looks(after=15)
    with in_hand(mailing, Hesitating(smtp, monkeypatch, "RCPT")):
        monitor.finds(after=15)
    for _ in range(10):
        monitor.finds(after=60)
        assert email_alerts(mailing) == 0
    monitor.looks(after=15)
    monitor.looks(after=15)
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED, RESOLVED]


def test_an_end_is_mailed_after_its_opening_whoever_sends_them(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.finds()
    with in_hand(mailing, Hesitating(smtp, monkeypatch, "DATA")):
        monitor.looks(after=15)
        monitor.looks(after=15)
        assert email_alerts(mailing) == 0
    email_alerts(mailing)
    assert subjects(smtp) == [OPENED, RESOLVED]


def test_a_server_that_takes_long_to_answer_has_taken_it_and_holds_up_no_other_mail(
    mailing: Runtime, smtp: MailServer, shop: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "PATIENCE_SECONDS", 0.2)
    answer, goes_on = smtp.handle_DATA, threading.Event()

    async def slow(server: SMTP, session: Any, envelope: Any) -> str:
        if OPS in envelope.rcpt_tos:
            await asyncio.to_thread(goes_on.wait, 20)
        return await answer(server, session, envelope)

    monkeypatch.setattr(smtp, "handle_DATA", slow)
    update_merchant(mailing, shop.merchant_id, {"alert_emails": [OPS, BOSS]})
    Monitor(mailing, shop, clock).finds()
    assert email_alerts(mailing) == 1
    assert statuses() == [("open", "sending", 1, None), ("open", "sent", 1, None)]
    clock.move(LEASE + timedelta(minutes=1))
    assert email_alerts(mailing) == 0
    goes_on.set()
    wait_until(lambda: statuses()[0][1] == "sent", "the late answer")
    assert sorted(recipient for recipient, _ in smtp.mails) == [BOSS, OPS]


def test_a_server_that_is_silent_about_all_gets_no_more_than_a_few(
    mailing: Runtime,
    smtp: MailServer,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(notify, "PATIENCE_SECONDS", 0.05)
    hesitating = Hesitating(smtp, monkeypatch, "DATA")
    addresses = [f"canary{n}@shop.example" for n in range(notify.AT_ONCE + 3)]
    Monitor(mailing, merchant_with(mailing, *addresses), clock).finds()
    assert email_alerts(mailing) == 0
    assert [status for _, status, _, _ in statuses()] == ["sending"] * notify.AT_ONCE + ["waiting"] * 3
    hesitating.goes_on.set()
    wait_until(lambda: [one[1] for one in statuses()].count("sent") == notify.AT_ONCE, "the late answers")
    wait_until(lambda: email_alerts(mailing) == 0 and statuses()[-1][1] == "sent", "the others")
    assert "canary" not in "".join(record.getMessage() for record in caplog.records if "tracklayer" in record.name)


def test_over_and_back_while_its_mail_is_in_hand_and_not_taken_it_is_mailed(
    mailing: Runtime, monitor: Monitor, smtp: MailServer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail about its end was written later, and taken back: it is no reason to leave out the one that waits."""
    monitor.finds()
    with in_hand(mailing, Hesitating(smtp, monkeypatch, "RCPT")):
        monitor.looks(after=15)
        monitor.looks(after=15)
        monitor.finds(after=15)
    clock.move(timedelta(minutes=5))
    assert email_alerts(mailing) == 1
    assert subjects(smtp) == [OPENED]
    assert [(state, status) for state, status, _, _ in statuses()] == [("open", "sent"), ("resolved", "cancelled")]
