"""What is lost while an alert is open: told as it begins, and with the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from starlette.datastructures import Secret

from tests.domain.test_monitors import NOW, VIEW, minutes
from tests.factories import Merchant, draft
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_monitor import Beside, Scene
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.monitors import judge_destination
from tracklayer.domain.monitors.views import Oldest
from tracklayer.domain.monitors.worth import Worth
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.alert import acknowledge_alert, settle_findings
from tracklayer.services.channels import Wish, set_channel
from tracklayer.services.destinations import pause_destination, remove_destination, resume_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import email_alerts
from tracklayer.services.sweep import sweep


class Told:
    """A scene whose merchant is told by e-mail and by webhook."""

    def __init__(self, scene: Scene, mails: MailServer, hooks: Receiver) -> None:
        self.scene, self.mails, self.hooks = scene, mails, hooks

    def passes(self, seconds: int, every: int | None = None) -> None:
        for _ in range(seconds // 30):
            self.scene.passes(30, every=every)
            self.tell()

    def hours(self, count: int) -> None:
        for _ in range(count):
            self.scene.clock.move(timedelta(minutes=59))
            sweep(self.scene.runtime)
            self.scene.passes(60)
            self.tell()

    def tell(self) -> None:
        email_alerts(self.scene.runtime)
        post_due(self.scene.runtime)

    def texts(self) -> list[str]:
        bodies = [mail.get_body(("plain",)) for _, mail in self.mails.mails]
        return [" ".join(body.get_content().split()) for body in bodies if body is not None]

    def types(self) -> list[str]:
        return [got.json["type"] for got in self.hooks.got]


@pytest.fixture
def told(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> Iterator[Told]:
    with MailServer() as mails, Receiver() as hooks:
        runtime.settings = replace(runtime.settings, smtp_url=Secret(mails.url), allow_private_webhooks=True)
        update_merchant(runtime, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
        set_channel(runtime, merchant.merchant_id, Wish(kind="webhook", url=f"{hooks.url}/x"))
        yield Told(Scene(runtime, merchant, clock, sandbox, worker), mails, hooks)


def test_the_first_loss_is_told_and_the_end_says_how_much_was_lost(told: Told) -> None:
    told.passes(30, every=10)
    told.scene.fault("credentials")
    told.passes(60, every=20)
    told.hours(26)
    opened, losing = told.texts()
    assert "the first is lost in" in opened
    assert "nothing waits for it at the moment, and " in losing
    assert "in sales, were lost for their age. Whoever" in losing
    assert "all that waits goes out at once." in opened
    assert "what comes from then on goes out at once. Then redeliver what was dropped." in losing
    assert told.types() == ["alert.opened", "alert.reminder"]
    told.scene.mend()
    told.hours(1)
    told.passes(120, every=30)
    end = told.texts()[-1]
    assert (
        "It is over. 2 deliveries, worth 259.98 USD in sales, were lost meanwhile: redeliver what was dropped. It was about"
        in end
    )
    resolved = told.hooks.got[-1].json["data"]["alert"]
    assert (resolved["state"], resolved["details"]["lost_deliveries"]) == ("resolved", 2)
    assert resolved["message"].startswith(
        "2 deliveries, worth 259.98 USD in sales, were lost meanwhile: redeliver what was"
    )


def test_the_first_loss_is_told_where_what_is_left_has_time_yet(told: Told) -> None:
    told.passes(30, every=10)
    told.scene.fault("credentials")
    told.passes(60, every=20)
    told.hours(20)
    told.scene.sends(1)
    told.hours(6)
    assert told.types() == ["alert.opened", "alert.reminder"]
    waits = "1 delivery waits, worth at least 129.99 USD in sales, and at least 2 deliveries, worth at least 259.98 USD in sales,"
    assert f"{waits} were lost for their age, and the next is lost in 19 h. Whoever" in told.texts()[-1]


def test_the_first_loss_to_a_platform_that_answers_now_and_then_is_told(told: Told) -> None:
    some = {"acknowledged": 5, "unreachable": 25}
    view = replace(VIEW, recent=minutes(*[some] * 10), last_error="500 an unknown error", waiting=40)
    soon = replace(view, oldest=Oldest(NOW - timedelta(hours=23), NOW + timedelta(minutes=1)))
    lost = replace(
        view,
        oldest=Oldest(NOW - timedelta(hours=24), NOW - timedelta(minutes=1)),
        lost_count={"window_expired": 12, "missing_identifiers": 3},
        lost_worth={"window_expired": Worth({"EUR": Decimal(600)}), "missing_identifiers": Worth({"EUR": Decimal(50)})},
    )
    runtime, merchant_id, clock = told.scene.runtime, told.scene.merchant.merchant_id, told.scene.clock
    subject = Subject(AlertKind.PLATFORM_DOWN, "meta")
    for seen in (soon, soon, lost, lost):
        found = [one for one in judge_destination(seen, {subject.kind}, NOW) if one.subject == subject]
        settle_findings(runtime, merchant_id, found, [subject], clock.move(timedelta(seconds=20)))
        told.tell()
    assert told.types() == ["alert.opened", "alert.reminder"]
    _, message, details = told.scene.alert()
    assert "so far 12 deliveries, worth 600.00 EUR in sales. You need do nothing" in message
    assert (details["lost_deliveries"], details["lost_worth"]) == (12, {"EUR": "600"})


def test_a_paused_destination_whose_queue_is_empty_as_all_was_lost_is_not_over(told: Told) -> None:
    runtime, merchant_id = told.scene.runtime, told.scene.merchant.merchant_id
    pause_destination(runtime, merchant_id, "meta")
    told.passes(30, every=10)
    told.hours(30)
    assert told.scene.alerts() == [("queue_backlog", True)]
    assert told.types() == ["alert.opened", "alert.reminder", "alert.reminder"]  # near, critical, lost
    message = told.scene.alert()[1]
    assert message.startswith("Nothing waits for Meta any more, which is paused, and ")
    assert message.endswith(
        " lost for their age. Whoever paused it must resume it now. Then redeliver what was dropped."
    )
    told.scene.sends(1)  # it is not over because something new waits, either
    told.hours(1)
    assert told.scene.alerts() == [("queue_backlog", True)]
    resume_destination(runtime, merchant_id, "meta")
    told.passes(180)
    assert told.scene.alerts() == [("queue_backlog", False)]
    assert "It is over. 3 deliveries, worth 389.97 USD in sales, were lost meanwhile" in told.texts()[-1]


def test_what_waits_at_a_paused_destination_waits_since_it_came_and_not_since_the_alert_began(told: Told) -> None:
    pause_destination(told.scene.runtime, told.scene.merchant.merchant_id, "meta")
    told.passes(30, every=10)
    told.hours(22)
    told.passes(30, every=10)
    told.hours(4)
    message = told.scene.alert()[1]
    assert message.startswith("3 deliveries to Meta wait since 2026-11-21 13:00 UTC because the destination is paused")
    assert (
        "3 deliveries, worth at least 389.97 USD in sales, were lost for their age, and the next is lost in " in message
    )


def test_the_end_of_an_alert_of_a_removed_destination_says_that_it_was_removed(told: Told) -> None:
    told.scene.fault("credentials")
    told.passes(60, every=20)
    remove_destination(told.scene.runtime, told.scene.merchant.merchant_id, "meta")
    told.passes(120)
    end = "It is over. The destination was removed, and what waited for it is dropped. It was about this: "
    assert end in told.texts()[-1]


def test_whoever_took_note_is_not_told_of_the_first_loss(told: Told) -> None:
    told.scene.fault("credentials")
    told.passes(60, every=20)
    acknowledge_alert(told.scene.runtime, told.scene.merchant.merchant_id, 1)
    told.hours(26)
    assert (len(told.texts()), told.types()) == (1, ["alert.opened"])


def test_what_a_destination_lost_that_joined_a_backlog_of_several_is_told_with_the_end(told: Told) -> None:
    runtime, merchant, clock = told.scene.runtime, told.scene.merchant, told.scene.clock
    tiktok = {"pixel_code": "CABCDEFGHIJKLMNOPQR0", "access_token": "tok-of-tests"}
    set_destination(runtime, merchant.merchant_id, "tiktok", tiktok, None)

    def look(*platforms: str) -> None:
        details = {"cause": "workers", "platforms": platforms, "waiting": 5}
        backlog = Finding(
            AlertKind.QUEUE_BACKLOG, None, Severity.CRITICAL, "Deliveries wait", "They do.", clock.now(), details
        )
        subject = Subject(AlertKind.QUEUE_BACKLOG)
        settle_findings(runtime, merchant.merchant_id, [backlog] if platforms else [], [subject], clock.now())
        told.tell()

    look("meta")
    at = clock.move(timedelta(minutes=10)).isoformat()
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}", occurred_at=at) for n in range(4)])
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = 'window_expired', finished_at = %s, due_at = NULL "
            "WHERE platform = 'tiktok'",
            (clock.now(),),
        )
    look("meta", "tiktok")
    for _ in range(3):
        clock.move(timedelta(seconds=61))
        look()
    assert told.types() == ["alert.opened", "alert.resolved"]
    alert = told.hooks.got[-1].json["data"]["alert"]
    assert alert["details"]["lost_deliveries"] == 4
    assert " were lost meanwhile: redeliver what was dropped." in alert["message"]


def test_what_a_destination_lost_that_left_a_backlog_of_several_is_told_with_the_end(told: Told) -> None:
    runtime, merchant, clock = told.scene.runtime, told.scene.merchant, told.scene.clock
    tiktok = {"pixel_code": "CABCDEFGHIJKLMNOPQR0", "access_token": "tok-of-tests"}
    set_destination(runtime, merchant.merchant_id, "tiktok", tiktok, None)
    ingest_events(
        runtime, merchant.holder, [draft(f"order_{n}", occurred_at=clock.now().isoformat()) for n in range(4)]
    )
    for platforms in (["meta"], ["meta", "tiktok"], ["meta"], [], [], []):
        details = {"cause": "workers", "platforms": platforms, "waiting": 5}
        backlog = Finding(
            AlertKind.QUEUE_BACKLOG, None, Severity.CRITICAL, "Deliveries wait", "They do.", clock.now(), details
        )
        found = [backlog] if platforms else []
        settle_findings(runtime, merchant.merchant_id, found, [Subject(AlertKind.QUEUE_BACKLOG)], clock.now())
        told.tell()
        lose("window_expired", "platform = 'tiktok'", clock)
        clock.move(timedelta(seconds=61))
    assert told.types() == ["alert.opened", "alert.resolved"]
    assert told.hooks.got[-1].json["data"]["alert"]["details"]["lost_deliveries"] == 4


def twenty_sales(scene: Scene, name: str, age: timedelta, first: int = 0) -> None:
    """Worth 50 EUR each, and so old already; numbered from ``first`` on."""
    at, sale = (scene.clock.now() - age).isoformat(), {"value": 50.0, "currency": "EUR"}
    ids = [f"{name}_{number}" for number in range(first, first + 20)]
    sales = [draft(one, occurred_at=at, custom_data={**sale, "order_id": one}) for one in ids]
    ingest_events(scene.runtime, scene.merchant.holder, sales)


def test_an_import_of_events_that_came_too_old_hides_nothing_that_became_so_while_it_waited(told: Told) -> None:
    scene = told.scene
    told.passes(30, every=10)
    scene.fault("credentials")
    twenty_sales(scene, "due", timedelta(days=6, hours=23))
    told.passes(60, every=20)
    for first in range(0, 1100, 20):
        twenty_sales(scene, "old", timedelta(days=9), first)
    told.hours(3)
    lose("event_too_old", "event_id LIKE 'due_%%' OR event_id LIKE 'old_%%'", scene.clock)
    scene.mend()
    told.hours(1)
    told.passes(240, every=20)
    assert told.types()[-1] == "alert.resolved"
    lost = "It is over. 20 deliveries, worth 1,000.00 EUR in sales, were lost meanwhile, and no redelivery saves them."
    assert lost in told.texts()[-1]


def test_an_end_says_how_much_of_what_was_lost_a_redelivery_saves(told: Told) -> None:
    scene = told.scene
    told.passes(30, every=10)
    scene.fault("credentials")
    twenty_sales(scene, "due", timedelta(days=6, hours=12))
    scene.sends(3)
    told.passes(60)
    told.hours(26)
    scene.mend()
    told.hours(1)
    told.passes(120, every=20)
    assert (
        "It is over. 23 deliveries, worth 1,000.00 EUR and 389.97 USD in sales, were lost meanwhile: redeliver what was"
        " dropped. That may save 3 deliveries, worth 389.97 USD in sales; no redelivery saves the others. It was about"
    ) in told.texts()[-1]


def test_the_end_of_a_drop_says_what_was_lost(told: Told) -> None:
    scene = told.scene
    refuse_every_other(told)
    lose("retries_exhausted", "status = 'failed'", scene.clock)
    scene.mend()
    told.passes(480, every=1)
    assert scene.alerts() == [("delivery_rate_drop", False)]
    end = told.texts()[-1]
    assert "It is over. 120 deliveries, worth 15,598.80 USD in sales, were lost meanwhile: redeliver what was" in end


class Leads:
    """Purchases and page views of ``Beside``, and three leads a minute, whole but for what ``change`` says."""

    def __init__(self, told: Told) -> None:
        self.told, self.beside, self.sent = told, Beside(told.scene), 0

    def pass_with(self, minutes: int, *refused: str, **change: object) -> None:
        """``refused``: the platform refuses what begins with it."""
        beside = self.beside
        httpx.delete(f"{beside.sandbox.url}/_faults").raise_for_status()
        if refused:
            ids = [f"{name}_{n}" for name in refused for n in range(500)]
            fault = {"platform": "meta", "kind": "refuse", "event_ids": ids}
            httpx.post(f"{beside.sandbox.url}/_faults", json=fault).raise_for_status()
        for _ in range(minutes):
            at = beside.clock.now().isoformat()
            given = {"event_name": "Lead", "occurred_at": at, "custom_data": {}, **change}
            drafts = [draft(f"lead_{self.sent + n}", **given) for n in range(3)]
            self.sent += len(drafts)
            ingest_events(beside.runtime, beside.merchant.holder, drafts)
            beside.minutes_pass(1)
            self.told.tell()


def test_another_name_that_a_platform_refuses_is_told_and_so_is_what_was_lost_of_it(told: Told) -> None:
    leads = Leads(told)
    leads.pass_with(20)
    leads.pass_with(15, "order")
    assert told.types() == ["alert.opened"]
    acknowledge_alert(leads.beside.runtime, leads.beside.merchant.merchant_id, 1)
    leads.pass_with(15, "order", "lead")
    assert told.types() == ["alert.opened", "alert.reminder"]
    assert "Meta refuses every Purchase event, and 1 more name" in told.texts()[-1]
    assert "Refused as well: Lead (" in told.texts()[-1]
    leads.pass_with(5, "lead")
    lose("retries_exhausted", "status = 'failed' AND event_id LIKE 'lead_%%'", leads.beside.clock)
    leads.pass_with(30)
    assert told.types() == ["alert.opened", "alert.reminder", "alert.resolved"]
    assert "It is over. 60 deliveries were lost meanwhile: redeliver what was dropped." in told.texts()[-1]
    assert "Refused as well: Lead (" in told.texts()[-1]


def test_what_was_lost_of_a_name_that_alerts_write_with_fewer_blanks_is_told(told: Told) -> None:
    leads = Leads(told)
    leads.pass_with(20, event_name="Lead  Form")
    leads.pass_with(15, "lead", event_name="Lead  Form")
    lose("retries_exhausted", "status = 'failed'", leads.beside.clock)
    leads.pass_with(30, event_name="Lead  Form")
    assert told.types() == ["alert.opened", "alert.resolved"]
    assert "It is over. 45 deliveries were lost meanwhile: redeliver what was dropped." in told.texts()[-1]
    assert told.hooks.got[-1].json["data"]["alert"]["details"]["lost_deliveries"] == 45


def test_what_rules_refuse_of_a_name_that_joined_is_lost_to_it_too(told: Told) -> None:
    leads = Leads(told)
    leads.pass_with(20)
    leads.pass_with(15, "order")
    leads.pass_with(20, "order", user_data={"country": "US"})
    lose("retries_exhausted", "status = 'failed'", leads.beside.clock)
    leads.pass_with(30)
    dropped = "SELECT drop_reason, count(*) FROM deliveries WHERE status = 'dropped' GROUP BY 1"
    with in_transaction():
        lost = dict(rows(dropped))
    assert lost["missing_identifiers"] == 60
    assert f"It is over. {sum(lost.values())} deliveries, worth " in told.texts()[-1]


def test_another_field_that_a_platform_demands_is_told_once_most_of_the_latest_lack_it(told: Told) -> None:
    scene = told.scene
    told.passes(60, every=5)
    scene.changes = [{"custom_data": {}}]
    told.passes(120, every=5)
    acknowledge_alert(scene.runtime, scene.merchant.merchant_id, 1)
    scene.changes = [{"user_data": {"country": "US"}}]
    told.passes(210, every=5)
    assert scene.alerts() == [("platform_down", True)]
    assert told.types() == ["alert.opened", "alert.reminder"]
    first, second = told.texts()
    assert "have no value (`customData.value`)" in first
    assert "lack everything by which it could match a person (`userData`)" in second


def test_what_was_refused_long_ago_does_not_hide_what_is_refused_now(told: Told) -> None:
    scene = told.scene
    told.passes(60, every=5)
    scene.changes = [{"custom_data": {}}]
    told.passes(900, every=5)
    scene.changes = [{"user_data": {"country": "US"}}]
    told.passes(300, every=5)
    message = scene.alert()[1]
    assert message.index("lack everything by which it could match a person") < message.index("have no value")


def test_what_the_platform_never_refused_is_not_lost_to_a_drop(told: Told) -> None:
    scene = told.scene
    refuse_every_other(told)
    scene.sends(30)
    lose("window_expired", "TRUE", scene.clock)
    scene.mend()
    told.passes(480, every=1)
    assert scene.alerts() == [("delivery_rate_drop", False)]
    end = told.texts()[-1]
    assert "It is over. 120 deliveries, worth 15,598.80 USD in sales, were lost meanwhile: redeliver what was" in end


@pytest.mark.parametrize("addresses", [["a@shop.example"], ["b@shop.example"]], ids=["the same", "another one"])
def test_an_end_tells_nothing_again_that_an_earlier_end_of_the_same_alert_told(
    told: Told, addresses: list[str]
) -> None:
    scene = told.scene
    told.passes(30, every=10)
    scene.fault("credentials")
    told.passes(60, every=20)
    update_merchant(scene.runtime, scene.merchant.merchant_id, {"alert_emails": addresses})
    told.hours(26)
    scene.mend()
    told.hours(1)
    told.passes(120, every=30)
    assert "It is over. 2 deliveries, worth 259.98 USD in sales, were lost meanwhile" in told.texts()[-1]
    scene.fault("credentials")
    told.passes(420, every=30)
    scene.mend()
    told.passes(300, every=30)
    assert scene.alerts() == [("platform_down", False)]
    assert told.types()[2:] == ["alert.resolved", "alert.opened", "alert.resolved"]
    assert "It is over. What it was about: Nothing has reached Meta since " in told.texts()[-1]
    assert "lost_deliveries" not in told.hooks.got[-1].json["data"]["alert"]["details"]


def test_what_an_earlier_end_did_not_tell_as_its_mail_was_taken_back_the_next_one_tells(told: Told) -> None:
    scene = told.scene
    told.passes(30, every=10)
    scene.fault("credentials")
    told.passes(60, every=20)
    told.hours(26)
    before = len(told.texts())
    scene.mend()
    scene.clock.move(timedelta(hours=1))
    scene.passes(120, every=30)
    assert scene.alerts() == [("platform_down", False)]
    scene.fault("credentials")
    scene.passes(180, every=30)
    scene.mend()
    told.passes(300, every=30)
    (end,) = told.texts()[before:]
    assert "It is over. 2 deliveries, worth 259.98 USD in sales, were lost meanwhile" in end


def refuse_sixty(told: Told) -> None:
    """All of a minute, until an outage was told and is over."""
    scene = told.scene
    told.passes(60, every=1)
    refused = [f"order_{n}" for n in range(scene.sent, scene.sent + 60)]
    fault = {"platform": "meta", "kind": "refuse", "event_ids": refused}
    httpx.post(f"{scene.sandbox.url}/_faults", json=fault).raise_for_status()
    told.passes(150, every=1)
    assert scene.alerts() == [("platform_down", False)]
    waits = "60 deliveries, worth 7,799.40 USD in sales, failed meanwhile and wait for another attempt"
    assert f"It is over. {waits}: what is not taken by 2026-11-21 15:02 UTC is dropped. It was" in told.texts()[-1]


def tries_again(told: Told) -> None:
    for _ in range(30):
        told.scene.clock.move(timedelta(minutes=9))
        sweep(told.scene.runtime)
        told.passes(60)


def test_what_had_failed_when_an_alert_was_over_is_told_once_more_when_it_is_lost(told: Told) -> None:
    refuse_sixty(told)
    tries_again(told)
    assert told.types() == ["alert.opened", "alert.resolved", "alert.resolved"]
    opened, _, late = told.texts()
    lost = "60 deliveries, worth 7,799.40 USD in sales, were lost since it was over: redeliver what was dropped."
    assert f"It is over. {lost} It was about this: {opened[opened.index('Meta has accepted none') :][:40]}" in late
    alert = told.hooks.got[-1].json["data"]["alert"]
    assert (alert["state"], alert["details"]["lost_deliveries"]) == ("resolved", 60)
    assert alert["details"]["lost_worth"] == {"USD": "7799.40"}


def test_nothing_is_told_of_what_had_failed_when_an_alert_was_over_and_is_taken_then(told: Told) -> None:
    refuse_sixty(told)
    told.scene.mend()
    tries_again(told)
    assert told.types() == ["alert.opened", "alert.resolved"]


def test_a_drop_tells_what_those_are_worth_that_it_counts(told: Told) -> None:
    refuse_every_other(told)
    said = "Meta did not accept 62 of 125 events since 2026-11-20 15:03 UTC, worth 8,059.38 USD in sales, and"
    assert said in told.texts()[0]
    details = told.scene.alert()[2]
    assert (details["failed"], details["failing_worth"]) == (120, {"USD": "15598.80"})


def test_a_drop_counts_from_its_first_failure_however_long_it_lasts(told: Told) -> None:
    scene = told.scene
    refuse_every_other(told)
    for _ in range(60):
        scene.clock.move(timedelta(minutes=29))
        told.passes(60, every=30)
    _, message, details = scene.alert()
    with in_transaction():
        first = "SELECT count(*) FROM deliveries WHERE attempt_log -> 0 ->> 'outcome' = 'rejected'"
        [(failed,)] = rows(first)
    events = details["acknowledged"] + failed
    assert failed == 180
    # One came since they were added up.
    worth = f"worth at least {179 * Decimal('129.99'):,} USD in sales"
    assert message.startswith(f"Meta did not accept 180 of {events} events since 2026-11-20 15:02 UTC, {worth}")
    assert (details["failed"], details["since"]) == (180, "2026-11-20T15:02:00+00:00")


def test_the_end_of_a_drop_of_a_removed_destination_says_that_it_was_removed(told: Told) -> None:
    refuse_every_other(told)
    remove_destination(told.scene.runtime, told.scene.merchant.merchant_id, "meta")
    told.passes(120)
    assert "It is over. The destination was removed, and what waited for it is dropped. It was" in told.texts()[-1]


def refuse_every_other(told: Told) -> None:
    """Until a drop of the rate is told: 120 deliveries of four minutes have failed then."""
    scene = told.scene
    told.passes(120, every=1)
    event_ids = [f"order_{n}" for n in range(scene.sent, scene.sent + 2000, 2)]
    fault = {"platform": "meta", "kind": "refuse", "event_ids": event_ids}
    httpx.post(f"{scene.sandbox.url}/_faults", json=fault).raise_for_status()
    told.passes(240, every=1)
    assert scene.alerts() == [("delivery_rate_drop", True)]


def lose(reason: str, which: str, clock: FrozenClock) -> None:
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = %s, finished_at = %s, due_at = NULL "
            f"WHERE due_at IS NOT NULL AND ({which})",
            (reason, clock.now()),
        )


def test_what_came_too_old_or_without_an_identifier_is_not_lost_to_refused_credentials(told: Told) -> None:
    scene = told.scene
    told.passes(30, every=10)
    scene.fault("credentials")
    told.passes(60, every=20)
    now, sale = scene.clock.now(), {"value": 50.0, "currency": "EUR"}
    old = (now - timedelta(days=9)).isoformat()
    imported = [draft(f"old_{n}", occurred_at=old, custom_data={**sale, "order_id": f"old_{n}"}) for n in range(3)]
    country = {"country": "US"}
    bare = [
        draft(
            f"bare_{n}", occurred_at=now.isoformat(), user_data=country, custom_data={**sale, "order_id": f"bare_{n}"}
        )
        for n in range(3)
    ]
    ingest_events(scene.runtime, scene.merchant.holder, [*imported, *bare])
    told.passes(240)
    scene.mend()
    told.hours(1)
    told.passes(120, every=30)
    with in_transaction():
        reasons = "SELECT drop_reason, count(*) FROM deliveries WHERE status = 'dropped' GROUP BY 1 ORDER BY 1"
        assert rows(reasons) == [("event_too_old", 3), ("missing_identifiers", 3)]
    assert told.types() == ["alert.opened", "alert.resolved"]
    end = told.hooks.got[-1].json["data"]["alert"]
    assert end["message"].startswith("Nothing has reached Meta since ")
    assert "lost_deliveries" not in end["details"]
    assert "lost_worth" not in end["details"]


def test_a_channel_that_was_away_until_the_first_loss_is_told_that_it_opened(told: Told) -> None:
    told.passes(30, every=10)
    told.hooks.otherwise = 503
    told.scene.fault("credentials")
    told.passes(60, every=20)
    told.hours(26)
    assert {*told.types()} == {"alert.opened"}
    told.hooks.got.clear()
    told.hooks.otherwise = 200
    told.hours(1)
    assert told.types() == ["alert.opened"]
