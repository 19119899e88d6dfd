"""Match quality over real counters: what is told when events stop to carry what people are matched by, and when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import AGENT, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.facts import mask_of
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import Changed, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.monitor import Watch, learn_baselines
from tracklayer.services.watches.match_quality import learn_coverage

USUAL = ("client_ip", "client_user_agent", "event_source_url", "value", "currency")
WITH_EMAIL = ("email", *USUAL)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Shop:
    """A merchant with four weeks of purchases on two hosts, of which nine in ten carry an email, and its watch."""

    def __init__(self, runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
        self.runtime, self.merchant, self.clock = runtime, merchant, clock
        self.watch = Watch(runtime)
        self.sent = self.minute = 0
        self.clock.move(clock.now().replace(hour=12, minute=0, second=0, microsecond=0) + DAY - clock.now())
        self.began = clock.now()

    def past(
        self, event_name: str, host: str, an_hour: int, with_email: int, facts: tuple[str, ...] = WITH_EMAIL
    ) -> None:
        """Every hour of four weeks: so many events, of which so many with all of ``facts``."""
        with in_transaction():
            for mask, events in ((mask_of(facts), with_email), (mask_of(USUAL), an_hour - with_email)):
                if events:
                    execute(
                        "INSERT INTO coverage (merchant_id, event_name, minute, action_source, host, facts, slot, events) "
                        "SELECT %s, %s, hour, 'website', %s, %s, 0, %s FROM generate_series(%s, %s, interval '1 hour') AS hour",
                        (
                            self.merchant.merchant_id,
                            event_name,
                            host,
                            mask,
                            events,
                            self.began - 28 * DAY,
                            self.began - HOUR,
                        ),
                    )

    def minutes_pass(
        self,
        minutes: int,
        hosts: dict[str, bool],
        *,
        denied: bool = False,
        name: str = "Purchase",
        user_data: dict[str, Any] | None = None,
    ) -> None:
        """Each minute an event on each host, with an email (nine of ten) or without, and a look. ``user_data``: of all besides."""
        for _ in range(minutes):
            self.minute += 1
            drafts = []
            for host, with_email in hosts.items():
                user: dict[str, Any] = {"client_ip": "203.0.113.42", "client_user_agent": AGENT, **(user_data or {})}
                if with_email and self.minute % 10:
                    user["email"] = f"jane{self.sent}@example.com"
                drafts.append(
                    draft(
                        f"order_{self.sent}",
                        event_name=name,
                        occurred_at=self.clock.now().isoformat(),
                        event_source_url=f"https://{host}/thanks",
                        user_data=user,
                        **({"consent": {"ad_user_data": "denied"}} if denied else {}),
                    )
                )
                self.sent += 1
            ingest_events(self.runtime, self.merchant.holder, drafts)
            self.clock.move(MINUTE)
            self.watch.look()

    def alerts(self) -> list[tuple[str, str, str, bool, str, str, dict[str, Any]]]:
        """(kind, event name, severity, is it open, title, message, details), in order."""
        with in_transaction():
            return rows(
                "SELECT kind, event_name, severity, resolved_at IS NULL, title, message, details FROM alerts "
                "WHERE merchant_id = %s AND kind = 'match_quality_drop' ORDER BY alert_id",
                (self.merchant.merchant_id,),
            )


@pytest.fixture
def shop(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Shop:
    shop = Shop(runtime, merchant, clock)
    shop.past("Purchase", "shop.example", 60, 54)
    shop.past("Purchase", "checkout.shop.example", 60, 54)
    assert learn_baselines(runtime) == 1
    return shop


def test_a_checkout_that_drops_the_email_is_told_once_with_its_host_and_is_over_when_it_is_back(shop: Shop) -> None:
    both = {"shop.example": True, "checkout.shop.example": True}
    shop.minutes_pass(25, both)
    assert shop.alerts() == []
    changed_at = shop.clock.now()
    shop.minutes_pass(16, {"shop.example": True, "checkout.shop.example": False})
    [(_, name, severity, is_open, title, message, details)] = shop.alerts()
    assert (name, severity, is_open) == ("Purchase", "critical", True)
    assert title == "Purchase: none carry an email instead of 90%"
    assert message.startswith(
        f"Since {changed_at:%Y-%m-%d %H:%M} UTC none of your Purchase events on checkout.shop.example carry the buyer's email,"
        f" where 90% did before: about {details['events'] * 0.9:.0f} of {details['events']} events lost it."
        " Meta matches far fewer people to ads while that lasts; whoever changed the checkout, or"
        " what sends these events, must pass `email` again."
    )
    assert details["hosts"] == ["checkout.shop.example"]
    [fall] = details["identifiers"]
    assert (fall["identifier"], fall["share"], fall["platforms"]) == ("email", 0.0, ["Meta"])
    assert datetime.fromisoformat(fall["since"]) == changed_at
    assert fall["probability"] < 1e-7

    shop.minutes_pass(20, {"shop.example": True, "checkout.shop.example": False})
    assert [alert[3] for alert in shop.alerts()] == [True]
    shop.minutes_pass(60, both)
    assert [alert[3] for alert in shop.alerts()] == [False]


@pytest.mark.parametrize("garbage", ["[hidden by privacy plugin]", "j***@gmail"])
def test_an_email_that_turns_into_garbage_is_told_as_one_that_is_dropped(shop: Shop, garbage: str) -> None:
    shop.minutes_pass(25, {"shop.example": True, "checkout.shop.example": True})
    shop.minutes_pass(16, {"shop.example": False, "checkout.shop.example": False}, user_data={"email": garbage})
    [(_, name, severity, is_open, title, *_)] = shop.alerts()
    assert (name, severity, is_open) == ("Purchase", "critical", True)
    assert title == "Purchase: none carry an email instead of 90%"


def test_an_email_that_moves_into_the_list_is_not_lost(shop: Shop) -> None:
    shop.minutes_pass(25, {"shop.example": True, "checkout.shop.example": True})
    listed = {"emails": ["jane@example.com"]}
    shop.minutes_pass(60, {"shop.example": False, "checkout.shop.example": False}, user_data=listed)
    assert shop.alerts() == []


def test_a_shift_of_the_mix_alone_is_told_to_nobody(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """The app's customers are known by half as often, and suddenly all buy there."""
    shop = Shop(runtime, merchant, clock)
    shop.past("Purchase", "shop.example", 60, 54)
    shop.past("Purchase", "m.shop.example", 60, 0)
    learn_baselines(runtime)
    shop.minutes_pass(40, {"shop.example": True})
    shop.minutes_pass(60, {"m.shop.example": False})
    assert shop.alerts() == []


def test_a_new_host_that_takes_the_place_of_an_old_one_and_carries_less_is_told(shop: Shop) -> None:
    shop.minutes_pass(10, {"shop.example": True, "checkout.shop.example": True})
    shop.minutes_pass(40, {"shop.example": True, "pay.shop.example": False})
    [(_, _, _, is_open, _, message, details)] = shop.alerts()
    assert is_open
    assert "on pay.shop.example, which took the place of checkout.shop.example, carry" in message
    assert (details["hosts"], details["instead_of_hosts"]) == (["pay.shop.example"], ["checkout.shop.example"])


def test_a_new_channel_that_carries_less_is_no_fall_of_the_old_ones(shop: Shop) -> None:
    both = {"shop.example": True, "checkout.shop.example": True}
    shop.minutes_pass(60, {**both, "kiosk.example": False})
    assert shop.alerts() == []


def test_a_banner_that_lets_nobody_consent_is_a_warning_and_one_that_asks_better_is_none(shop: Shop) -> None:
    both = {"shop.example": True, "checkout.shop.example": True}
    for _ in range(20):
        shop.minutes_pass(1, both)
        shop.minutes_pass(1, both, denied=True)
    assert shop.alerts() == []
    shop.minutes_pass(40, both, denied=True)
    [(_, _, severity, is_open, title, message, details)] = shop.alerts()
    assert (severity, is_open) == ("warning", True)
    assert title == "Purchase: 100% of people refuse consent instead of 0%"
    assert ", where 0% did before." in message
    assert details["identifiers"] == []
    shop.minutes_pass(80, both)
    assert [alert[3] for alert in shop.alerts()] == [False]


def test_refusals_that_rose_with_a_fall_are_told_with_it(shop: Shop) -> None:
    both = {"shop.example": True, "checkout.shop.example": True}
    shop.minutes_pass(10, both)
    for _ in range(15):
        shop.minutes_pass(1, dict.fromkeys(both, False))
        shop.minutes_pass(1, both, denied=True)
    [(*_, message, details)] = shop.alerts()
    assert "of people now refuse consent; 0% is usual." in message
    assert details["usual_denied_share"] == 0.0


def test_a_merchant_without_a_past_or_of_another_name_is_judged_by_nothing(shop: Shop) -> None:
    shop.minutes_pass(40, {"shop.example": False}, name="Lead")
    stranger = new_merchant(shop.runtime, name="Stranger")
    assert learn_baselines(shop.runtime) == 1
    with in_transaction():
        assert rows("SELECT count(*) FROM coverage_baselines WHERE learned <> '{}'")[0][0] == 1
        assert rows("SELECT learned FROM coverage_baselines WHERE merchant_id = %s", (stranger.merchant_id,)) == [({},)]
    assert shop.alerts() == []


def test_what_was_learned_stays_when_a_merchant_falls_silent(shop: Shop) -> None:
    with in_transaction():
        before = rows("SELECT learned, glances FROM coverage_baselines")
        execute("DELETE FROM coverage", ())
        learn_coverage(shop.merchant.merchant_id, shop.began)
        assert rows("SELECT learned, glances FROM coverage_baselines") == before


def test_only_platforms_that_use_an_identifier_are_named(shop: Shop) -> None:
    changed = set_destination(
        shop.runtime,
        shop.merchant.merchant_id,
        "tiktok",
        {"pixel_code": "C0ABCDEFGHIJKLMNOPQR", "access_token": "token-of-the-tests"},
        None,
    )
    assert isinstance(changed, Changed), changed
    shop.minutes_pass(20, {"shop.example": False, "checkout.shop.example": False})
    [(*_, message, _)] = shop.alerts()
    assert "Meta and TikTok match far fewer people" in message
