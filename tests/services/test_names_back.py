"""Names that are back within ten minutes of an alert's end stay in the alert that told them."""

from __future__ import annotations

from datetime import timedelta

from tests.factories import Merchant
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.runtime import Runtime
from tracklayer.services.monitor import _look_at
from tracklayer.services.notify import email_alerts
from tracklayer.services.watches.page import Verdicts


class Shop:
    """A merchant some of whose event names come without a value."""

    def __init__(self, runtime: Runtime, merchant: Merchant, clock: FrozenClock, mails: MailServer) -> None:
        self.runtime, self.merchant_id, self.clock, self.mails = runtime, merchant.merchant_id, clock, mails

    def look(self, minutes: float, *names: str) -> list[str]:
        """The subjects of the mails that go out then."""
        now = self.clock.move(timedelta(minutes=minutes))
        kind = AlertKind.VALUE_LOST
        found = [
            Finding(kind, None, Severity.CRITICAL, f"No value of {one}", f"No value of {one}.", now, {}, one)
            for one in names
        ]
        judged = {Subject(kind, None, one) for one in ("Purchase", "Lead", "Donate", "Subscribe")}
        _look_at(
            self.runtime, lambda _: Verdicts({self.merchant_id: found}, {self.merchant_id: judged}), [self.merchant_id]
        )
        before = len(self.mails.mails)
        email_alerts(self.runtime)
        return [str(mail["Subject"]) for _, mail in self.mails.mails[before:]]

    def is_well(self) -> list[str]:
        return [*self.look(1), *self.look(6)]


FOUR = ("Purchase", "Lead", "Donate", "Subscribe")


def test_names_of_one_alert_that_are_back_one_by_one_within_ten_minutes_are_that_alert(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, mails: MailServer
) -> None:
    shop = Shop(runtime, merchant, clock, mails)
    assert len(shop.look(0, *FOUR)) == 1
    assert len(shop.is_well()) == 1
    assert shop.look(2, "Lead") == []
    assert shop.look(1, "Lead", "Donate") == []
    assert shop.look(2, "Lead", "Donate", "Subscribe") == []
    assert len(shop.look(3, "Lead", "Donate", "Subscribe")) == 1  # open for five minutes
    assert len(shop.is_well()) == 1


def test_names_of_several_alerts_that_are_back_with_another_one_stay_theirs(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, mails: MailServer
) -> None:
    shop = Shop(runtime, merchant, clock, mails)
    assert len(shop.look(0, *FOUR[:3])) == 3
    assert len(shop.is_well()) == 3
    told = shop.look(2, *FOUR)
    assert len(told) == 1
    assert "Subscribe" in told[0]
    assert len(shop.look(6, *FOUR)) == 3
