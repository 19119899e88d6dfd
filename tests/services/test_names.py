"""Names that fall silent, and events refused at the door, over real counters: what is told, when, and how often."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain import normalise
from tracklayer.runtime import Runtime
from tracklayer.services.alert import acknowledge_alert
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.monitor import Watch, learn_baselines

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
THESE = "kind IN ('tracking_stopped', 'events_rejected')"
BAD: dict[str, Any] = {"custom_data": {"value": 5, "currency": "Euros"}}


class Door:
    """One merchant, its time, and a watch that looks every 15 seconds."""

    def __init__(self, runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
        self.runtime, self.merchant, self.clock = runtime, merchant, clock
        self.watch = Watch(runtime)
        self.sent = 0

    def history(self, names: dict[str, int], days: int = 10, rejected: int = 0, hourly: str = "") -> None:
        """So many events of each name in every minute of the days before, as folding leaves it; ``hourly``: one an hour."""
        now = self.clock.now().replace(second=0, microsecond=0)
        minutes = "generate_series(%s::timestamptz, %s - interval '1 minute', interval '1 minute') AS minute"
        span, merchant = (now - days * DAY, now), self.merchant.merchant_id
        with in_transaction():
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, rejected) "
                f"SELECT %s, '', minute, 0, %s, %s FROM {minutes}",
                (merchant, sum(names.values()), rejected, *span),
            )
            for name, count in names.items():
                execute(
                    f"INSERT INTO name_minutes SELECT %s, %s, minute, %s FROM {minutes}", (merchant, name, count, *span)
                )
                if rejected:
                    execute(
                        "INSERT INTO rejections SELECT %s, minute, %s, 'INVALID_CURRENCY', 'custom_data.currency', 0, %s "
                        f"FROM {minutes}",
                        (merchant, name, rejected, *span),
                    )
                execute(
                    f"INSERT INTO coverage SELECT %s, %s, minute, 'website', '', 0, 0, %s FROM {minutes} WHERE minute > %s",
                    (merchant, name, count, *span, now - DAY),
                )
            if hourly:
                execute(
                    "INSERT INTO name_minutes SELECT %s, %s, hour, 1 FROM "
                    "generate_series(%s::timestamptz, %s - interval '1 hour', interval '1 hour') AS hour",
                    (merchant, hourly, *span),
                )
                execute(
                    "INSERT INTO coverage SELECT %s, %s, %s, 'website', '', 0, 0, 1", (merchant, hourly, now - MINUTE)
                )
        learn_baselines(self.runtime)

    def sends(self, *events: dict[str, Any]) -> None:
        at = self.clock.now().isoformat()
        ids = [f"e{self.sent + n}" for n in range(len(events))]
        # Each of a person of its own: of one person they would look like copies of one purchase.
        people = [{"user_data": {"external_id": one}} for one in ids]
        drafts = [
            draft(one, **{"occurred_at": at} | person | event)
            for one, person, event in zip(ids, people, events, strict=True)
        ]
        self.sent += len(drafts)
        ingest_events(self.runtime, self.merchant.holder, drafts)

    def passes(self, seconds: int, *events: dict[str, Any]) -> None:
        """Time by quarter minutes; in each, the events and then a look."""
        for _ in range(0, seconds, 15):
            self.clock.move(timedelta(seconds=15))
            if events:
                self.sends(*events)
            self.watch.look()

    def alerts(self) -> list[tuple[str, str | None, bool]]:
        """(kind, event name, is it open) of every alert of these kinds, in order."""
        with in_transaction():
            return [
                (row[0], row[1], row[2])
                for row in rows(
                    f"SELECT kind, event_name, resolved_at IS NULL FROM alerts WHERE {THESE} ORDER BY alert_id"
                )
            ]

    def alert(self) -> tuple[str, str, dict[str, Any]]:
        with in_transaction():
            [(title, message, details)] = rows(f"SELECT title, message, details FROM alerts WHERE {THESE}")
        return title, message, details


@pytest.fixture
def door(runtime: Runtime, clock: FrozenClock) -> Door:
    return Door(runtime, new_merchant(runtime, meta=False), clock)


PAGE: dict[str, Any] = {"event_name": "PageView"}
PURCHASE: dict[str, Any] = {"event_name": "Purchase"}
LEAD: dict[str, Any] = {"event_name": "Lead"}


def test_a_name_that_falls_silent_is_told_while_the_others_go_on_and_is_over_when_it_is_back(door: Door) -> None:
    door.history({"PageView": 20, "Purchase": 2})
    door.passes(60, PAGE, PURCHASE)
    door.passes(13 * 60, PAGE)
    assert door.alerts() == []
    door.passes(3 * 60, PAGE)
    assert door.alerts() == [("tracking_stopped", "Purchase", True)]
    title, message, details = door.alert()
    assert title == "No Purchase event for 15 min"
    assert message.startswith(
        "About 30 Purchase events are missing: none has arrived for 15 min, while others do, and what"
    )
    assert "Whoever maintains the shop must look now at what sends Purchase" in message
    assert details["expected_events"] == 30
    fold_counters(door.runtime)
    learn_baselines(door.runtime)
    door.passes(5 * 60, PAGE)
    door.passes(120, PAGE, PURCHASE)
    assert door.alerts() == [("tracking_stopped", "Purchase", False)]


def test_a_merchant_that_falls_silent_is_one_alert_and_so_is_its_return(door: Door) -> None:
    door.history({"PageView": 20, "Purchase": 2, "Lead": 1})
    door.passes(60, PAGE, PURCHASE, {"event_name": "Lead"})
    door.passes(25 * 60)
    assert door.alerts() == [("tracking_stopped", None, True)]
    door.passes(10 * 60, PAGE)  # one name is back before the others: the clock of these begins anew
    assert door.alerts() == [("tracking_stopped", None, False)]
    door.passes(60, PAGE, PURCHASE, {"event_name": "Lead"})
    assert door.alerts() == [("tracking_stopped", None, False)]


def test_names_that_are_silent_when_all_is_stay_as_they_are(door: Door) -> None:
    door.history({"PageView": 20, "Purchase": 2})
    door.passes(60, PAGE, PURCHASE)
    door.passes(16 * 60, PAGE)
    door.passes(20 * 60)
    expected = [("tracking_stopped", "Purchase", True), ("tracking_stopped", None, True)]
    assert door.alerts() == expected
    door.passes(180, PAGE)
    assert door.alerts() == [expected[0], ("tracking_stopped", None, False)]


def test_a_name_with_an_open_alert_is_none_of_what_is_expected_of_the_merchant(door: Door) -> None:
    door.history({"PageView": 20}, hourly="Lead")
    door.passes(60, PAGE, LEAD)
    door.passes(16 * 60, LEAD)
    assert door.alerts() == [("tracking_stopped", "PageView", True)]
    for _ in range(3):
        door.passes(20 * 60)
        door.passes(15, LEAD)
    assert door.alerts() == [("tracking_stopped", "PageView", True)], "one an hour is usual of what is left"
    door.passes(120, PAGE)
    assert door.alerts() == [("tracking_stopped", "PageView", False)]


def test_the_few_events_beside_what_a_merchant_lives_of_do_not_end_its_silence(door: Door) -> None:
    door.history({"PageView": 20}, hourly="Lead")
    door.passes(60, PAGE)
    door.passes(20 * 60)
    assert door.alerts() == [("tracking_stopped", None, True)]
    for _ in range(3):
        door.passes(17 * 60)
        door.passes(3 * 60, LEAD)
        assert door.alerts() == [("tracking_stopped", None, True)]
    title, message, details = door.alert()
    assert title == "Hardly any event for 1 h 19 min, and no PageView"
    assert (
        " PageView events are missing: none has arrived for 1 h 19 min, and few of any other name: most of" in message
    )
    assert details["event_name"] == "PageView"
    door.passes(120, PAGE)
    assert door.alerts() == [("tracking_stopped", None, False)]


def test_a_name_that_repeats_while_some_of_it_is_refused_is_not_wholly_refused(door: Door) -> None:
    door.history({"PageView": 20, "Purchase": 2})
    door.passes(60, *[PAGE] * 5, PURCHASE)
    at = door.clock.now().isoformat()
    again = [draft("e5", occurred_at=at, **PURCHASE)] * 5
    for n in range(44):
        ingest_events(door.runtime, door.merchant.holder, again)
        door.passes(15, *[PAGE] * 5, *[PURCHASE | BAD] * (n % 4 == 0))
    assert door.alerts() == []


def test_half_of_all_refused_is_told_with_code_field_minute_and_what_to_do(door: Door) -> None:
    door.history({"PageView": 10, "Purchase": 10})
    door.passes(60, PAGE, PURCHASE)
    began = door.clock.now()
    half = [PURCHASE | BAD, PAGE, PURCHASE, PAGE | BAD]
    door.passes(180, *half * 3)
    assert door.alerts() == [("events_rejected", None, True)]
    title, message, details = door.alert()
    assert title.endswith("% of events are refused")
    assert f"{began:%Y-%m-%d %H:%M} UTC were refused for wrong fields, and are reported to no platform" in message
    assert "must correct `customData.currency` (INVALID_CURRENCY) now, and then send these events again" in message
    assert "`customData.currency`: Send a code such as `USD`." in message
    assert details["causes"][0]["field"] == "customData.currency"
    door.passes(6 * 60, *[PURCHASE, PAGE] * 6)
    assert door.alerts() == [("events_rejected", None, False)]


def test_a_second_cause_while_the_first_is_open_and_acknowledged_is_told_again_once(door: Door) -> None:
    door.history({"PageView": 20})
    late = PURCHASE | {"occurred_at": "yesterday"}
    door.passes(120, *[PAGE] * 5, *[PAGE | BAD] * 10)
    with in_transaction():
        [(alert_id,)] = rows("SELECT alert_id FROM alerts WHERE kind = 'events_rejected'")

    def acknowledged() -> bool:
        acknowledge_alert(door.runtime, door.merchant.merchant_id, alert_id)
        door.passes(60, *[PAGE] * 5, *[PAGE | BAD] * 2, *[late] * 10)
        with in_transaction():
            return rows("SELECT acknowledged_at IS NOT NULL FROM alerts WHERE alert_id = %s", (alert_id,)) == [(True,)]

    # Until it is most of what was refused in the last five minutes; then it is told, and not again.
    assert [acknowledged() for _ in range(5)] == [True, True, False, True, True]
    _, message, details = door.alert()
    assert "must correct `occurredAt` (INVALID_TIME) and `customData.currency` (INVALID_CURRENCY) now" in message
    assert details["leading"] == {"code": "INVALID_TIME", "field": "occurredAt"}


def test_another_name_that_is_refused_while_an_alert_of_several_is_open_undoes_an_acknowledgement_once(
    door: Door,
) -> None:
    door.history({"PageView": 20, "Search": 20, "Purchase": 5})
    search = {"event_name": "Search"}
    others = [PAGE | BAD, search | BAD] * 4

    def acknowledged(minutes: int, *sales: dict[str, Any]) -> bool:
        door.passes(minutes * 60, PAGE, PAGE, search, search, *others, *sales)
        with in_transaction():
            return rows("SELECT acknowledged_at IS NOT NULL FROM alerts WHERE kind = 'events_rejected'") == [(True,)]

    acknowledged(3, PURCHASE)
    assert door.alerts() == [("events_rejected", None, True)]
    acknowledge_alert(door.runtime, door.merchant.merchant_id, 1)
    assert acknowledged(15, PURCHASE)
    assert not acknowledged(5, PURCHASE | BAD)
    acknowledge_alert(door.runtime, door.merchant.merchant_id, 1)
    assert acknowledged(15, PURCHASE | BAD)
    assert door.alerts() == [("events_rejected", None, True)]


@pytest.mark.parametrize("is_known", [False, True])
def test_purchases_that_stop_while_names_that_nobody_sends_any_more_are_told_together_are_told(
    door: Door, is_known: bool
) -> None:
    old = ["Search", "ViewContent", "Subscribe_old", "Contact"]
    door.history({"PageView": 20, "Purchase": 2} | dict.fromkeys(old, 2))
    door.passes(120, PAGE, PURCHASE, *({"event_name": name} for name in old))
    door.passes(20 * 60, PAGE, PURCHASE)
    assert door.alerts() == [("tracking_stopped", "*", True)]
    if is_known:
        acknowledge_alert(door.runtime, door.merchant.merchant_id, 1)
    door.passes(20 * 60, PAGE)
    assert door.alerts() == [("tracking_stopped", "*", True), ("tracking_stopped", "Purchase", True)]
    door.passes(120, PAGE, PURCHASE)
    assert door.alerts() == [("tracking_stopped", "*", True), ("tracking_stopped", "Purchase", False)]


def test_all_of_one_name_refused_is_told_by_its_name(door: Door) -> None:
    door.history({"PageView": 50, "Purchase": 1})
    door.passes(60, *[PAGE] * 10, PURCHASE)
    door.passes(180, *[PAGE] * 10, PURCHASE | BAD, PURCHASE | BAD)
    assert door.alerts() == [("events_rejected", "Purchase", True)]
    assert door.alert()[0].endswith(" Purchase events are refused")
    door.passes(20 * 60, *[PAGE] * 10, PURCHASE | BAD)
    assert door.alerts() == [("events_rejected", "Purchase", True)], "what is refused is not silent besides"
    door.passes(8 * 60, *[PAGE] * 10, PURCHASE)
    assert door.alerts() == [("events_rejected", "Purchase", False)]


def test_what_refused_sales_are_worth_is_told_once_an_event_in_its_own_currency(door: Door) -> None:
    late = {"occurred_at": "yesterday"}
    sales = [
        PURCHASE | late | {"custom_data": {"value": 100, "currency": "EUR"}},
        PURCHASE | late | {"custom_data": {"value": "0.50", "currency": "USD"}},
        PURCHASE | late | {"custom_data": {"value": -3, "currency": "USD"}},
        PURCHASE | late | {"custom_data": {"value": 8}},
        PAGE | late | {"custom_data": {"value": 7, "currency": "USD"}},
        PURCHASE | BAD,
    ]
    door.passes(60, *sales * 2)
    again = draft("e0", **sales[0])
    ingest_events(door.runtime, door.merchant.holder, [again, again])
    door.watch.look()
    _, message, details = door.alert()
    assert details["refused_worth"] == {"EUR": "800", "USD": "4.00"}
    assert "were refused for wrong fields, worth at least 800.00 EUR and 4.00 USD in sales, and are" in message


def test_a_refused_sale_without_an_id_may_be_a_repeat_and_is_worth_nothing_known(door: Door) -> None:
    sale = PURCHASE | {"occurred_at": "yesterday", "custom_data": {"value": 100, "currency": "EUR"}}
    nameless = {name: value for name, value in draft(**sale).items() if name != "event_id"}
    ingest_events(door.runtime, door.merchant.holder, [nameless] * 30)
    door.passes(60, *[sale] * 2)
    _, message, details = door.alert()
    assert details["refused"] > 30
    assert details["refused_worth"] == {"EUR": "800"}
    assert "worth at least 800.00 EUR in sales" in message


def test_whoever_has_sales_refused_in_every_currency_and_spelling_makes_few_rows(door: Door) -> None:
    names = ["".join(letters) for letters in itertools.product(*((a, a.upper()) for a in "order"))]
    sales = [
        draft(
            f"{name} {currency} {n}",
            event_name=name,
            occurred_at="yesterday",
            custom_data={"value": 1, "currency": currency},
        )
        for n in range(3)
        for name in names
        for currency in sorted(normalise.currencies())[:30]
    ]
    for first in range(0, len(sales), 960):
        ingest_events(door.runtime, door.merchant.holder, sales[first : first + 960])
    with in_transaction():
        assert rows("SELECT count(*) FROM refused_worth") == [(10,)]


def test_whoever_has_every_name_refused_for_every_fault_makes_few_rows_and_is_told_all_of_it(door: Door) -> None:
    """Wrong in one field each, of sixty, under forty names: 2,400 rows a minute, were each counted by itself."""
    faults: list[dict[str, Any]] = [BAD, {"occurred_at": "yesterday"}, {"action_source": "fax"}]
    faults += [{"user_data": {f"field_{n}": "x"}} for n in range(57)]
    sent = [
        draft(f"{n} {place} {times}", **{"event_name": f"name {n}"} | fault)
        for times in range(4)
        for n in range(40)
        for place, fault in enumerate(faults)
    ]
    for first in range(0, len(sent), 960):
        ingest_events(door.runtime, door.merchant.holder, sent[first : first + 960])
    with in_transaction():
        [(count, events)] = rows("SELECT count(*), sum(events) FROM rejections")
        [(refused,)] = rows("SELECT sum(rejected) FROM minutes WHERE platform = ''")
    assert (events, refused) == (len(sent), len(sent))
    assert count <= 200
    door.passes(30)
    assert door.alerts() == [("events_rejected", None, True)]
    _, message, details = door.alert()
    assert details["refused"] == len(sent)
    assert "By name: other names " in message


def test_no_sum_is_too_large_to_be_told(door: Door) -> None:
    """Twenty-one digits pass as a value, and whoever has a key may send as many as they like."""
    door.passes(15, PURCHASE | {"occurred_at": "yesterday", "custom_data": {"value": "9" * 21, "currency": "EUR"}})
    with in_transaction():
        execute("UPDATE refused_worth SET amount = amount * 1000000")
    door.passes(60, *[PURCHASE | BAD] * 8)
    _, message, _ = door.alert()
    assert "worth at least 999,999,999,999,999,999,999,000,000.00 EUR in sales" in message


def test_a_new_merchant_whose_every_event_is_refused_is_told(door: Door) -> None:
    door.passes(60, *[PURCHASE | BAD] * 8)
    assert door.alerts() == [("events_rejected", None, True)]
    title, message, _ = door.alert()
    assert title == "All events are refused"
    assert "By name: Purchase" in message


@pytest.mark.parametrize(("wrong", "right"), [(1, 0), (3, 2), (9, 0)])
def test_a_wrong_event_or_somebody_who_tests_is_told_to_nobody(door: Door, wrong: int, right: int) -> None:
    door.sends(*[PURCHASE | BAD] * wrong, *[PURCHASE] * right)
    door.passes(600)
    assert door.alerts() == []


def test_a_slow_shop_whose_every_event_is_refused_is_told_by_the_streak(door: Door) -> None:
    for _ in range(12):
        door.sends(PURCHASE | BAD)
        door.watch.look()
        door.clock.move(timedelta(hours=1))
    assert door.alerts() == [("events_rejected", None, True)]


def test_what_is_usually_refused_is_told_to_nobody(door: Door) -> None:
    door.history({"PageView": 18}, rejected=2)
    door.passes(600, *[PAGE] * 9, PAGE | BAD)
    assert door.alerts() == []


def test_an_hour_as_bad_as_on_three_days_of_the_past_is_told_to_nobody(door: Door) -> None:
    door.history({"PageView": 20})
    with in_transaction():
        for day in (2, 4, 6):
            hour = door.clock.now().replace(minute=0, second=0, microsecond=0) - day * DAY
            span = (hour, hour + timedelta(hours=1))
            execute("UPDATE minutes SET rejected = 5 WHERE minute >= %s AND minute < %s", span)
            execute(
                "INSERT INTO rejections SELECT %s, minute, 'PageView', 'INVALID_CURRENCY', 'custom_data.currency', 0, 5 "
                "FROM generate_series(%s::timestamptz, %s::timestamptz - interval '1 minute', interval '1 minute') AS minute",
                (door.merchant.merchant_id, *span),
            )
        execute("DELETE FROM baselines")
    learn_baselines(door.runtime)
    door.passes(300, *[PAGE] * 8, *[PAGE | BAD] * 2)
    assert door.alerts() == []
    door.passes(300, *[PAGE] * 5, *[PAGE | BAD] * 5)
    assert [kind for kind, _, _ in door.alerts()] == ["events_rejected"]


def test_half_refused_for_weeks_is_not_usual(door: Door) -> None:
    door.history({"PageView": 10}, rejected=10)
    door.passes(240, *[PAGE] * 5, *[PAGE | BAD] * 5)
    assert door.alerts() == [("events_rejected", None, True)]


@pytest.mark.parametrize("folds", [False, True])
def test_a_small_shop_whose_every_event_is_refused_for_days_is_told_at_the_tenth(door: Door, folds: bool) -> None:
    for _ in range(6):
        small_day(door, PURCHASE)
    for refused in range(1, 12):
        door.clock.move(timedelta(hours=8))
        if folds:
            fold_counters(door.runtime)
        door.sends(PURCHASE | BAD)
        door.watch.look()
        assert door.alerts() == ([("events_rejected", None, True)] if refused >= 10 else [])
    _, message, details = door.alert()
    assert message.startswith("11 of 11 events since ")
    assert (details["refused"], details["arrived"]) == (11, 11)
    door.clock.move(timedelta(hours=20))
    door.passes(600)
    assert door.alerts() == [("events_rejected", None, True)]  # silent for no longer than it usually is
    for _ in range(6):
        door.clock.move(timedelta(hours=8))
        door.sends(PURCHASE)
        door.passes(300)
    assert door.alerts() == [("events_rejected", None, False)]


def test_what_was_refused_weeks_ago_and_mended_alarms_nobody(door: Door) -> None:
    for _ in range(8):
        small_day(door, PURCHASE | BAD, times=1)
    small_day(door, PURCHASE, times=1)
    door.clock.move(10 * DAY)
    door.sends(PURCHASE | BAD)
    door.passes(60)
    door.clock.move(DAY)
    door.sends(PURCHASE | BAD)
    door.passes(60)
    assert door.alerts() == []


def test_a_name_that_comes_seldom_and_is_refused_each_time_is_told_beside_others(door: Door) -> None:
    small_day(door, PURCHASE, PAGE)
    for refused in range(1, 11):
        small_day(door, PURCHASE | BAD, PAGE, times=1)
        assert door.alerts() == ([("events_rejected", "Purchase", True)] if refused == 10 else [])


def small_day(door: Door, *events: dict[str, Any], times: int = 9) -> None:
    for _ in range(times):
        door.clock.move(DAY / times)
        door.sends(*events)
        door.watch.look()
