"""What is lost while an alert is open: told as it begins, and with the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.datastructures import Secret

from tests.factories import Merchant
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_monitor import Scene
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.alert import acknowledge_alert
from tracklayer.services.channels import Wish, set_channel
from tracklayer.services.destinations import pause_destination, remove_destination, resume_destination
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
            self._tell()

    def hours(self, count: int) -> None:
        for _ in range(count):
            self.scene.clock.move(timedelta(minutes=59))
            sweep(self.scene.runtime)
            self.scene.passes(60)
            self._tell()

    def _tell(self) -> None:
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
        "3 deliveries, worth at least 389.97 USD in sales, were lost for their age, and the first is lost in "
        in message
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
