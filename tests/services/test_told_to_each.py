"""A loss that another alert tells is left out of an end only for those who hear that other one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.datastructures import Secret

from tests.factories import Merchant, draft
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_lost_meanwhile import Told, lose, told
from tests.services.test_monitor import scene
from tests.services.test_told_once import DOWN, DROP, dropped, loses_after_both
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.runtime import Runtime
from tracklayer.services.alert import acknowledge_alert, settle_findings, snooze_alert
from tracklayer.services.channels import Wish, set_channel
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import update_merchant
from tracklayer.services.notify import email_alerts

__all__ = ["scene", "told"]

BACKLOG = "queue_backlog"
SEVERITIES = {BACKLOG: Severity.WARNING, DOWN: Severity.CRITICAL}


class Pair:
    """A destination with a backlog, the first of its alerts, that goes down as well. All that is lost is lost to both."""

    def __init__(
        self, runtime: Runtime, merchant: Merchant, clock: FrozenClock, mails: MailServer, hooks: Receiver
    ) -> None:
        self.runtime, self.merchant, self.clock, self.mails, self.hooks = runtime, merchant, clock, mails, hooks
        self.id = merchant.merchant_id

    def looks(self, *kinds: str, after: int = 15) -> None:
        now = self.clock.move(timedelta(seconds=after))
        found = [
            Finding(AlertKind(kind), "meta", SEVERITIES[kind], kind, "It waits.", now, {"cause": "unreachable"})
            for kind in kinds
        ]
        settle_findings(self.runtime, self.id, found, [Subject(AlertKind(kind), "meta") for kind in SEVERITIES], now)
        self.tell()

    def tell(self) -> None:
        email_alerts(self.runtime)
        post_due(self.runtime)

    def loses_five(self) -> None:
        drafts = [draft(f"o{n}", occurred_at=self.clock.now().isoformat()) for n in range(5)]
        ingest_events(self.runtime, self.merchant.holder, drafts)
        self.clock.move(timedelta(seconds=5))
        lose("window_expired", "TRUE", self.clock)

    def is_up(self) -> None:
        self.looks(BACKLOG)
        self.looks(BACKLOG)

    def is_over(self) -> None:
        self.is_up()
        self.looks()
        self.looks(after=70)
        assert self.open() == 0

    def open(self) -> int:
        with in_transaction():
            return int(
                rows("SELECT count(*) FROM alerts WHERE merchant_id = %s AND resolved_at IS NULL", (self.id,))[0][0]
            )

    def mailed(self) -> list[tuple[str, str, bool]]:
        """Of each end: to whom, of which alert, and whether it tells the loss."""
        return sorted(
            (to, str(mail["Subject"]).split()[1], "5 deliveries" in (body.get_content() if body else ""))
            for to, mail in self.mails.mails
            if str(mail["Subject"]).startswith("[Resolved]") and (body := mail.get_body(("plain",))) is not None
        )

    def posted(self) -> list[tuple[str, int | None]]:
        return ends_at(self.hooks, "/x")


def ends_at(hooks: Receiver, path: str) -> list[tuple[str, int | None]]:
    """Of each end that came there: of which alert, and how many it says were lost."""
    ends = [got.json["data"]["alert"] for got in hooks.got if got.path == path and got.json["type"] == "alert.resolved"]
    return [(one["kind"], one["details"].get("lost_deliveries")) for one in ends]


@pytest.fixture
def pair(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Iterator[Pair]:
    with MailServer() as mails, Receiver() as hooks:
        runtime.settings = replace(runtime.settings, smtp_url=Secret(mails.url), allow_private_webhooks=True)
        update_merchant(runtime, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
        yield Pair(runtime, merchant, clock, mails, hooks)


def listens(pair: Pair, path: str = "/x", **wish: Any) -> None:
    set_channel(pair.runtime, pair.id, Wish(kind="webhook", url=f"{pair.hooks.url}{path}", **wish))


@pytest.mark.parametrize("wish", [{"topics": [DOWN]}, {"min_severity": "critical"}])
def test_a_channel_that_hears_of_the_later_alert_alone_is_told_the_loss_by_its_end(
    pair: Pair, wish: dict[str, Any]
) -> None:
    listens(pair, **wish)
    listens(pair, "/all")
    pair.looks(BACKLOG)
    pair.looks(BACKLOG, DOWN)
    pair.loses_five()
    pair.is_over()
    assert pair.posted() == [(DOWN, 5)]
    assert ends_at(pair.hooks, "/all") == [(DOWN, None), (BACKLOG, 5)]
    assert pair.mailed() == [("a@shop.example", DOWN, False), ("a@shop.example", BACKLOG, True)]


def test_whoever_was_not_told_of_the_first_alert_before_it_was_snoozed_is_told_the_loss_by_the_other_one(
    pair: Pair,
) -> None:
    listens(pair)
    update_merchant(pair.runtime, pair.id, {"alert_emails": ["a@shop.example", "b@shop.example"]})
    pair.hooks.otherwise = 503
    pair.mails.refuse_recipient["a@shop.example"] = "450 4.2.0 greylisted"
    pair.looks(BACKLOG)
    snooze_alert(pair.runtime, pair.id, 1, pair.clock.now() + timedelta(hours=8))
    pair.hooks.otherwise = 200
    pair.mails.refuse_recipient.clear()
    pair.looks(BACKLOG, DOWN, after=120)
    pair.loses_five()
    pair.is_over()
    assert pair.posted() == [(DOWN, 5)]
    assert pair.mailed() == [
        ("a@shop.example", DOWN, True),
        ("b@shop.example", DOWN, False),
        ("b@shop.example", BACKLOG, True),
    ]


def test_whoever_was_told_of_the_first_alert_before_it_was_snoozed_is_told_the_loss_by_its_end(pair: Pair) -> None:
    listens(pair)
    pair.looks(BACKLOG)
    snooze_alert(pair.runtime, pair.id, 1, pair.clock.now() + timedelta(hours=8))
    pair.looks(BACKLOG, DOWN)
    pair.loses_five()
    pair.is_over()
    assert pair.posted() == [(DOWN, None), (BACKLOG, 5)]
    assert pair.mailed() == [("a@shop.example", DOWN, False), ("a@shop.example", BACKLOG, True)]


def test_of_what_somebody_took_note_while_the_other_end_waited_for_a_mail_server_that_end_tells_the_loss(
    pair: Pair,
) -> None:
    pair.looks(BACKLOG)
    pair.looks(BACKLOG, DOWN)
    pair.loses_five()
    pair.mails.refuse_recipient["a@shop.example"] = "450 4.2.0 greylisted"
    pair.is_up()
    acknowledge_alert(pair.runtime, pair.id, 1)
    pair.mails.refuse_recipient.clear()
    pair.clock.move(timedelta(minutes=1))
    pair.tell()
    assert pair.mailed() == [("a@shop.example", DOWN, True)]


def test_what_is_lost_after_both_ends_is_told_to_whoever_hears_of_the_later_alert_alone(told: Told) -> None:
    wish = Wish(kind="webhook", url=f"{told.hooks.url}/down", topics=[DOWN])
    set_channel(told.scene.runtime, told.scene.merchant.merchant_id, wish)
    loses_after_both(told)
    late = dropped("retries_exhausted")
    [first, (kind, its)] = ends_at(told.hooks, "/down")
    assert (first, kind) == ((DOWN, None), DOWN)
    assert its is not None  # what failed before it went down is none of its
    assert 0 < its < late
    assert [one for one in ends_at(told.hooks, "/x") if one[1] is not None] == [(DROP, late)]
    assert len([text for text in told.texts() if "were lost since it was over" in text]) == 1
