"""The monitors of what events bring: each incident is found once, and healthy shops are silent."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.alert import Finding, Severity
from tracklayer.domain.monitors.event_name_unknown import (
    Fate,
    Spelling,
    advise_on_spelling,
    judge_event_name_unknown,
)
from tracklayer.domain.monitors.habits import Day, Recent, advise_on_events, ids_reused, too_old
from tracklayer.domain.monitors.learn import learn_success
from tracklayer.domain.monitors.likely_duplicates import Conversion, judge_likely_duplicates
from tracklayer.domain.monitors.value_lost import Measure, Sample, Usual, judge_value_lost, learn_usual

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEB, PHONE = ("website", "shop.example.com"), ("phone_call", "")

# Values --------------------------------------------------------------------------------------------------------------


def hours(share: float, per_hour: int, days: int = 28, stratum: tuple[str, str] = WEB) -> list[Sample]:
    start = NOW - timedelta(days=days)
    return [
        Sample(start + n * HOUR, stratum, per_hour, round(per_hour * share + (0.4 if n % 3 else -0.4)))
        for n in range(days * 24)
    ]


def minutes(
    count: int, per_minute: int, carrying: int, stratum: tuple[str, str] = WEB, zero: int = 0, until: datetime = NOW
) -> list[Sample]:
    return [Sample(until - n * MINUTE, stratum, per_minute, carrying, zero) for n in range(count, 0, -1)]


USUAL = learn_usual(hours(0.99, 60))


def judge(samples: Sequence[Sample], usual: Usual | None = USUAL, what: str = "value", **given: Any) -> Finding | None:
    measures = [Measure(what, samples, usual)]
    return judge_value_lost("Purchase", measures, **{"is_open": False, "told_until": None, "now": NOW, **given})


def test_purchases_that_lost_their_value_are_told_with_the_minute_in_which_it_began() -> None:
    found = judge([*minutes(50, 2, 2, until=NOW - 10 * MINUTE), *minutes(10, 2, 0)])
    assert found is not None
    assert (found.title, found.severity) == ("Purchase events bring no value since 14:50 UTC", Severity.CRITICAL)
    assert found.since == NOW - 10 * MINUTE
    assert found.message.startswith("20 of 20 Purchase events since 2026-11-20 14:50 UTC came without a value")
    assert "checkout on shop.example.com" in found.message
    assert found.details["lost"] == "value"


def test_values_that_are_all_zero_are_as_good_as_none() -> None:
    found = judge([*minutes(50, 2, 2, until=NOW - 15 * MINUTE), *minutes(15, 2, 0, zero=2)])
    assert found is not None
    assert "came with the value 0" in found.message
    assert found.details["zero"] == found.details["without"]


def test_a_lost_currency_is_told_as_one() -> None:
    found = judge(minutes(15, 2, 0), what="currency")
    assert found is not None
    assert found.title == "Purchase events bring no currency since 14:45 UTC"


def test_a_third_that_loses_it_is_told_with_its_share() -> None:
    found = judge(minutes(60, 3, 2))
    assert found is not None
    assert found.title == "Only 66.7% of Purchase events bring a value"


@pytest.mark.parametrize(
    ("samples", "usual"),
    [
        pytest.param(minutes(60, 2, 2), USUAL, id="all is well"),
        pytest.param(minutes(5, 1, 0), USUAL, id="a handful says nothing"),
        pytest.param([*minutes(55, 3, 3, until=NOW - 5 * MINUTE), *minutes(2, 1, 0)], USUAL, id="two free orders"),
        pytest.param(minutes(60, 5, 0), learn_usual(hours(0.0, 60)), id="never had any"),
        pytest.param(minutes(60, 5, 0), learn_usual(hours(0.99, 60, days=0)), id="nothing is known"),
        pytest.param(minutes(60, 5, 0, stratum=("app", "")), USUAL, id="a new channel"),
        pytest.param(
            [*minutes(60, 1, 1), *minutes(60, 9, 0, PHONE)],
            learn_usual([*hours(0.99, 60), *hours(0.0, 10, stratum=PHONE)]),
            id="more orders by phone, which never bring one",
        ),
        pytest.param(minutes(60, 10, 3), learn_usual(hours(0.6, 60)), id="a mixed name whose mix moves"),
    ],
)
def test_what_is_no_loss_is_not_told(samples: list[Sample], usual: Usual | None) -> None:
    assert judge(sorted(samples), usual) is None


def test_pages_that_bring_no_value_beside_products_are_no_loss() -> None:
    visits = [Measure("value", minutes(60, 10, 5), USUAL)]
    assert judge_value_lost("ViewContent", visits, is_open=False, told_until=None, now=NOW) is None
    assert judge_value_lost("Purchase", visits, is_open=False, told_until=None, now=NOW) is not None


def test_a_mixed_name_of_which_hardly_any_is_left_is_told() -> None:
    assert judge(minutes(60, 10, 0), learn_usual(hours(0.6, 60))) is not None


def test_one_that_is_open_stays_until_values_are_back_and_is_told_once() -> None:
    lost = [*minutes(20, 2, 0, until=NOW - 4 * MINUTE), *minutes(4, 2, 2)]
    assert judge(lost, is_open=True) is not None
    mended = [*minutes(20, 2, 0, until=NOW - 12 * MINUTE), *minutes(12, 2, 2)]
    assert judge(mended, is_open=True) is None
    assert judge(mended) is None
    again = [*minutes(30, 1, 0, until=NOW - 8 * MINUTE), *minutes(8, 2, 0)]
    assert judge(again) is not None
    assert judge(again, told_until=NOW - 5 * MINUTE) is None  # what was told is not told again


def lasting_fault(share: float, *, mended_after: int, minutes: int, seed: int) -> tuple[list[Finding], list[int]]:
    """(findings that opened an alert, minutes at which one was over) of a fault that takes ``share`` of the values."""
    made, usual = random.Random(seed), Usual({WEB: 0.9999}, 0.9999, 0.005)
    samples: list[Sample] = []
    opened: list[Finding] = []
    over: list[int] = []
    is_open, quiet, told_until = False, 0, None
    for n in range(minutes):
        zero = sum(made.random() < (share if n < mended_after else 0) for _ in range(3))
        samples.append(Sample(NOW + n * MINUTE, WEB, 3, 3 - zero, zero))
        now = NOW + (n + 1) * MINUTE
        found = judge(samples, usual, is_open=is_open, told_until=told_until, now=now)
        quiet = 0 if found is not None else quiet + 1
        if found is not None and not is_open:
            opened.append(found)
            is_open = True
        elif is_open and quiet > 5:
            over.append(n)
            is_open, told_until = False, now
    return opened, over


@pytest.mark.parametrize("share", [0.12, 0.15, 0.3, 0.6])
@pytest.mark.parametrize("seed", [5, 7])
def test_a_lasting_fault_of_a_part_is_one_alert_with_true_figures(share: float, seed: int) -> None:
    opened, over = lasting_fault(share, mended_after=150, minutes=150, seed=seed)
    assert (len(opened), over) == (1, [])
    [found] = opened
    assert found.since <= NOW + 15 * MINUTE
    assert found.details["events"] >= 30
    assert found.message.startswith(
        f"{found.details['without']:,} of {found.details['events']:,} Purchase events since"
    )
    assert "bring a value" in found.title


def test_a_part_that_was_lost_is_over_when_it_is_back() -> None:
    opened, over = lasting_fault(0.3, mended_after=120, minutes=240, seed=5)
    assert (len(opened), len(over)) == (1, 1)
    assert 120 < over[0] < 180


def test_what_is_told_is_of_all_events_since_it_began_and_not_of_its_last_run() -> None:
    part = [Sample(NOW - n * MINUTE, WEB, 2, n % 2, 2 - n % 2) for n in range(40, 3, -1)]
    found = judge([*minutes(60, 2, 2, until=NOW - 40 * MINUTE), *part, *minutes(3, 2, 0, zero=2)])
    assert found is not None
    assert found.since == NOW - 40 * MINUTE
    assert (found.details["events"], found.details["without"]) == (80, 62)
    assert found.title == "Only 22.5% of Purchase events bring a value"
    assert "one in" not in found.message


# Duplicates ----------------------------------------------------------------------------------------------------------


def conversion(n: int, **changes: Any) -> Conversion:
    made = Conversion(f"event_{n}", "Purchase", NOW - MINUTE, {"email": f"person_{n}"}, Decimal("129.99"), "USD")
    return replace(made, **changes)


def shop(count: int = 100) -> list[Conversion]:
    """Different people, a few prices, some baskets."""
    return [conversion(n, value=Decimal(20 + n % 7), basket=f"sku_{n % 11}") for n in range(count)]


def again(events: Sequence[Conversion], **changes: Any) -> Iterator[Conversion]:
    for event in events:
        yield replace(event, event_id=f"{event.event_id}_again", **changes)


SAME = conversion(0, person={"email": "one"})
RETRIES = [replace(SAME, event_id=f"event_{n}", occurred_at=NOW - timedelta(seconds=n // 4)) for n in range(995)]


@pytest.mark.parametrize(
    ("events", "copies", "conversions"),
    [
        pytest.param([*shop(5), *RETRIES], 994, 1, id="one purchase 995 times"),
        pytest.param([*shop(), *again(shop()[:15])], 15, 15, id="a retry that makes a new id"),
        pytest.param(
            [
                *[conversion(n, person={"email": f"p{n}", "fbp": f"b{n}"}) for n in range(20)],
                *[conversion(n + 100, person={"fbp": f"b{n}"}) for n in range(20)],
            ],
            20,
            20,
            id="browser and server, who know another part of a person each",
        ),
        pytest.param(
            [*shop(40), *(conversion(n, order_id=f"o{n % 4}", person={}) for n in range(100, 108))],
            4,
            4,
            id="four orders twice, of nobody",
        ),
        pytest.param(
            [
                conversion(n, person={"email": f"p{n % 5}"}, order_id=f"o{n % 5}", occurred_at=NOW - n * 5 * MINUTE)
                for n in range(10)
            ],
            5,
            5,
            id="orders that come again half an hour later",
        ),
        pytest.param(
            [
                *[conversion(n, order_id=f"o{n}", person={"email": f"p{n}"}) for n in range(20)],
                *[conversion(n + 100, order_id=f"o{n}", person={"fbp": f"b{n}"}, value=None) for n in range(20)],
            ],
            20,
            20,
            id="one order from server and browser, who know nothing of each other",
        ),
        pytest.param(
            [*[conversion(n) for n in range(40)], *again([SAME] * 1, person={"email": "one"}, origin=("ip", "agent"))]
            + [replace(SAME, event_id=f"b{n}", origin=("ip", "agent")) for n in range(24)],
            24,
            1,
            id="one browser that sends its order again and again",
        ),
        pytest.param(
            [*shop(), *again(shop()[:30], value=Decimal(0), order_id="same"), *again(shop()[30:50])],
            None,
            None,
            id="beside others",
        ),
    ],
)
def test_a_conversion_that_comes_under_several_ids_is_told(
    events: list[Conversion], copies: int | None, conversions: int | None
) -> None:
    found = judge_likely_duplicates("Purchase", events, is_open=False, since=NOW - 10 * MINUTE)
    assert found is not None
    if copies is not None:
        assert (found.details["copies"], found.details["conversions"]) == (copies, conversions)
        assert f"{copies:,} of the {len(events):,} newest Purchase events" in found.message
        assert found.details["is_certain"]
    first, second = found.details["example_event_ids"]
    assert first != second
    assert f"`{first}` and `{second}`" in found.message
    assert "person_" not in found.message


def test_what_copies_are_worth_is_told() -> None:
    found = judge_likely_duplicates("Purchase", [*shop(), *RETRIES], is_open=False, since=NOW - 10 * MINUTE)
    assert found is not None
    assert "every platform counts them again: 129,210.06 USD too much." in found.message


OFFICE = {"email": "office"}


def spread(count: int, over: timedelta, *, person: dict[str, str], prices: int = 1) -> list[Conversion]:
    """Sales of one person at even distances up to now."""
    return [
        conversion(n, person=person, occurred_at=NOW - (count - n) * over / count, value=Decimal(49 + n * 7 % prices))
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param(shop(), id="different people"),
        pytest.param([*shop(), *again(shop()[:4])], id="somebody buys the same ticket twice now and then"),
        pytest.param(
            [
                *[conversion(n, order_id=f"o{n}") for n in range(50)],
                *[conversion(n, event_id=f"x{n}", order_id=f"x{n}") for n in range(50)],
            ],
            id="everybody buys it twice, by an order each",
        ),
        pytest.param([conversion(n, person={}) for n in range(200)], id="donations of equal amounts by nobody"),
        pytest.param(
            [replace(one, action_source="system_generated") for one in RETRIES], id="renewals of a subscription"
        ),
        pytest.param(
            [conversion(n, person={"email": "shop"}, order_id=f"o{n}") for n in range(200)],
            id="a shop that takes orders by phone",
        ),
        pytest.param(
            [conversion(n, person={"email": "shop", "phone": f"p{n}"}, value=Decimal(20 + n % 2)) for n in range(200)],
            id="the shop's address, and everybody's own phone",
        ),
        pytest.param(
            [conversion(n, person={"email": "shop"}, value=Decimal(n % 40), basket="b") for n in range(200)],
            id="one address on many different orders",
        ),
        pytest.param(
            [conversion(n, order_id="none", value=Decimal(n)) for n in range(1, 50)], id="an order id that all share"
        ),
        pytest.param(
            [replace(SAME, event_id=f"e{n}", occurred_at=NOW - n * 11 * MINUTE) for n in range(50)],
            id="the same again every quarter of an hour",
        ),
        pytest.param([replace(one, value=None) for one in RETRIES], id="no value and no order"),
        pytest.param(spread(60, HOUR, person=OFFICE, prices=3), id="one address for all, few prices, for an hour"),
        pytest.param(
            spread(30, 10 * MINUTE, person=OFFICE, prices=3), id="one address for all, few prices, in a hurry"
        ),
        pytest.param(spread(20, 10 * MINUTE, person=OFFICE), id="one address for all, one price"),
        pytest.param(spread(40, HOUR, person=OFFICE), id="one address for all, one price, for an hour"),
        pytest.param(
            [replace(one, origin=(f"ip{n}", "agent")) for n, one in enumerate(spread(60, MINUTE, person=OFFICE))],
            id="one address for all, from many computers",
        ),
        pytest.param(
            [
                conversion(n, person={"email": f"p{n}"}, order_id=f"{n // 2}", value=Decimal(20 + n % 3))
                for n in range(120)
            ],
            id="receipts that two stores count from 1",
        ),
        pytest.param(
            [conversion(n, person={"external_id": f"store{n % 2}"}, order_id=f"{n // 2}") for n in range(120)],
            id="receipts that two stores count from 1, at one price",
        ),
        pytest.param(
            [
                conversion(n, person={"email": f"p{n // 2}"}, order_id=f"o{n // 2}", value=Decimal(30 - n % 2 * 10))
                for n in range(24)
            ],
            id="an order in two parcels",
        ),
        pytest.param(
            [
                conversion(n, person={"email": f"p{n // 3}"}, order_id=f"o{n // 3}", basket=f"line{n % 3}")
                for n in range(90)
            ],
            id="an event for each line of an order",
        ),
        pytest.param(
            [conversion(n, person={"external_id": "guest", "fbp": f"b{n}"}) for n in range(200)],
            id="one customer id for all guests, and a browser each",
        ),
    ],
)
def test_what_is_no_duplicate_is_not_told(events: list[Conversion]) -> None:
    assert judge_likely_duplicates("Purchase", events, is_open=False, since=NOW - 10 * MINUTE) is None


@pytest.mark.parametrize("name", ["AddToCart", "Refund", "OrderShipped", "Lead", "Warenkorb", "VideoWatched"])
def test_what_is_no_sale_is_nobodys_duplicate(name: str) -> None:
    events = [replace(one, event_name=name, order_id="one") for one in RETRIES]
    assert judge_likely_duplicates(name, events, is_open=False, since=NOW - 10 * MINUTE) is None


@pytest.mark.parametrize("name", ["Purchase", "CompletePayment", "Donate", "Subscribe", "purchase"])
def test_what_is_a_sale_is_told_when_it_comes_again(name: str) -> None:
    events = [replace(one, event_name=name) for one in RETRIES]
    assert judge_likely_duplicates(name, events, is_open=False, since=NOW - 10 * MINUTE) is not None


def seats(count: int, company: str = "company") -> list[Conversion]:
    """Renewals of the seats of one company: a program buys them within half a minute."""
    at = NOW - MINUTE
    person = {"email": company, "external_id": company}
    return [
        conversion(n, event_id=f"{company}_{n}", person=person, value=Decimal("9.99"), occurred_at=at + n * MINUTE / 60)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*shop(), *seats(30)], id="a company"),
        pytest.param([*shop(20), *(one for n in range(5) for one in seats(10, f"c{n}"))], id="several"),
    ],
)
def test_seats_of_a_company_are_asked_about_and_not_called_copies(events: list[Conversion]) -> None:
    found = judge_likely_duplicates("Purchase", events, is_open=False, since=NOW - 10 * MINUTE)
    assert found is not None
    assert (found.severity, found.details["is_certain"], found.details["worth"]) == (Severity.WARNING, False, {})
    assert found.title.endswith("Purchase events are alike: copies, or orders of their own?")
    assert (
        "If they are orders of their own, as the seats of a company that renew together, nothing is lost"
        in found.message
    )
    assert "too much" not in found.message


def test_seats_that_name_their_orders_are_not_even_asked_about() -> None:
    events = [replace(one, order_id=one.event_id) for one in seats(30)]
    assert judge_likely_duplicates("Purchase", [*shop(), *events], is_open=False, since=NOW - 10 * MINUTE) is None


def test_who_bought_as_often_before_is_no_copy() -> None:
    before = [
        replace(one, event_id=f"{one.event_id}_{n}", occurred_at=NOW - n * 15 * MINUTE)
        for n in (2, 3)
        for one in seats(30)
    ]
    found = judge_likely_duplicates(
        "Purchase", [*shop(), *seats(30)], is_open=False, since=NOW - 10 * MINUTE, before=before
    )
    assert found is None


def test_half_of_what_opens_one_keeps_it_open() -> None:
    events = [*shop(), *again(shop()[:6])]
    assert judge_likely_duplicates("Purchase", events, is_open=False, since=NOW - 10 * MINUTE) is None
    assert judge_likely_duplicates("Purchase", events, is_open=True, since=NOW - 10 * MINUTE) is not None
    few = [*shop(), *again(shop()[:4])]
    assert judge_likely_duplicates("Purchase", few, is_open=True, since=NOW - 10 * MINUTE) is None


# Names ---------------------------------------------------------------------------------------------------------------

SPELLING = Spelling("snapchat", "Snapchat", "purchase", "Purchase", Fate.FILTERED, 60, NOW - HOUR, NOW)


def test_a_misspelt_name_that_does_not_go_out_is_told() -> None:
    found = judge_event_name_unknown(SPELLING, is_open=False)
    assert found is not None
    assert found.subject == ("event_name_unknown", "snapchat", "purchase")
    assert (found.title, found.severity) == (
        "Snapchat gets no purchase: it is called Purchase there",
        Severity.CRITICAL,
    )
    assert found.message.startswith("Snapchat got none of the events named purchase of the last hour, 60 since")
    assert " must have it send Purchase now. Under the right name came 0 events" in found.message
    by_name = judge_event_name_unknown(replace(SPELLING, can_be_added=True), is_open=False)
    assert by_name is not None
    assert " must have it send Purchase now, or add purchase to the destination's settings" in by_name.message


@pytest.mark.parametrize(
    ("changes", "advised"),
    [
        pytest.param({"events": 9}, True, id="few"),
        pytest.param({"events": 2}, False, id="somebody's try"),
        pytest.param({"right_events": 60}, True, id="beside the right one"),
        pytest.param({"fate": Fate.OTHER}, True, id="goes out as another"),
        pytest.param({"fate": Fate.COUNTS}, False, id="counts all the same"),
    ],
)
def test_what_may_be_meant_so_is_advice_at_most(changes: dict[str, Any], advised: bool) -> None:
    seen = replace(SPELLING, **changes)
    assert judge_event_name_unknown(seen, is_open=False) is None
    assert (advise_on_spelling(seen, "hour") is not None) is advised


def test_it_is_over_when_the_right_name_has_come_alone_for_five_minutes() -> None:
    seen = replace(SPELLING, events=110, last_at=NOW - 6 * MINUTE, right_events=20, right_last_at=NOW - 2 * MINUTE)
    assert judge_event_name_unknown(seen, is_open=True) is not None
    assert judge_event_name_unknown(replace(seen, right_last_at=NOW - MINUTE), is_open=True) is None


@pytest.mark.parametrize(
    ("events", "minutes", "is_over"),
    [(110, 4, False), (110, 5, True), (12, 5, False), (12, 30, False), (30, 15, False), (30, 17, True), (2, 59, False)],
)
def test_a_silence_that_is_usual_at_the_pace_of_a_misspelt_name_is_no_end(
    events: int, minutes: int, is_over: bool
) -> None:
    seen = replace(SPELLING, events=events, last_at=NOW - minutes * MINUTE, right_events=5, right_last_at=NOW)
    assert (judge_event_name_unknown(seen, is_open=True) is None) is is_over


# Habits --------------------------------------------------------------------------------------------------------------


def advise(*days: Day, newest: Sequence[Recent] = (), **given: Any) -> list[Advice]:
    return advise_on_events(days, newest, **{"has_currency": False, "lost": (), "now": NOW, **given})


def recent(event_id: str, ahead: float = 0, value: float | None = 1, currency: str | None = "USD") -> Recent:
    return Recent(event_id, "Purchase", timedelta(seconds=ahead), value, currency)


FINE = Day("Purchase", 100, value=100, currency=100)


@pytest.mark.parametrize(
    ("day", "code", "count", "example"),
    [
        pytest.param(FINE._replace(ahead=90), "clock_ahead", 90, "ahead", id="a clock that is ahead"),
        pytest.param(FINE._replace(late=30), "events_late", 30, "late", id="events days late"),
        pytest.param(FINE._replace(value=0, zero=100), "value_always_zero", 100, "zero", id="values of 0"),
        pytest.param(FINE._replace(value=0, currency=0), "value_missing", 100, "none", id="no values"),
        pytest.param(FINE._replace(currency=20), "currency_missing", 80, "bare", id="no currency"),
    ],
)
def test_habits_that_cost_conversions_are_advised_on_with_an_example(
    day: Day, code: str, count: int, example: str
) -> None:
    newest = [
        recent("fine"),
        recent("ahead", 10),
        recent("late", -3 * 86400),
        recent("zero", value=0),
        recent("none", value=None, currency=None),
        recent("bare", currency=None),
    ]
    [found] = advise(day, newest=newest)
    assert (found.code, found.count, found.example_event_id) == (code, count, example)
    assert f"{count}" in found.sentence


def test_how_far_a_clock_is_ahead_is_the_median_of_the_newest() -> None:
    [found] = advise(FINE._replace(ahead=90), newest=[recent(f"e{n}", 9 + n % 3) for n in range(30)])
    assert "happen about 10 s in the future" in found.sentence
    assert found.details["median_seconds"] == 10


@pytest.mark.parametrize(
    ("day", "given"),
    [
        pytest.param(FINE, {}, id="all is well"),
        pytest.param(FINE._replace(ahead=15), {}, id="one phone with a wrong clock"),
        pytest.param(Day("Purchase", 1000, ahead=50, late=50, value=1000, currency=1000), {}, id="a twentieth"),
        pytest.param(Day("Purchase", 49, zero=49, currency=49), {}, id="too few purchases"),
        pytest.param(Day("Lead", 1000), {}, id="no purchases"),
        pytest.param(FINE._replace(currency=0), {"has_currency": True}, id="a default currency"),
        pytest.param(FINE._replace(value=0, zero=100), {"lost": ["Purchase"]}, id="an alert says it"),
        pytest.param(FINE._replace(value=60, zero=40), {}, id="free orders beside others"),
    ],
)
def test_what_is_no_habit_is_not_advised_on(day: Day, given: dict[str, Any]) -> None:
    assert advise(day, **given) == []


def test_events_that_a_platform_does_not_take_for_their_age_are_counted() -> None:
    found = too_old("meta", "Meta", 12, 7 * DAY, "order_1", NOW)
    assert found is not None
    assert (found.code, found.count) == (AdviceCode.EVENTS_TOO_OLD, 12)
    assert found.sentence.startswith("12 events of the last day were too old for Meta")
    assert too_old("meta", "Meta", 0, 7 * DAY, None, NOW) is None


@pytest.mark.parametrize(
    ("new", "repeats", "told"),
    [(1, 199, True), (5, 20, True), (1, 19, False), (30, 60, False), (100, 399, False)],
)
def test_event_ids_that_come_again_and_again_are_told(new: int, repeats: int, told: bool) -> None:
    found = ids_reused(new, repeats, "purchase", NOW)
    assert (found is not None) is told
    if found is not None:
        assert (found.code, found.count, found.example_event_id) == (AdviceCode.EVENT_IDS_REUSED, repeats, "purchase")
        assert found.sentence.startswith(f"{repeats} of the last {new + repeats} events repeat an event id")


# Shops of a month ----------------------------------------------------------------------------------------------------


class Shop:
    """Purchases of a made-up shop by the minute, the same at every run: by day more than by night, some of them free."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.per_hour = self.random.choice((3, 10, 40, 200))
        self.free = self.random.choice((0.0, 0.01, 0.05))
        self.by_phone = self.random.choice((0.0, 0.1, 0.3))

    def hour(self, at: datetime, campaign: float = 1.0, phone: float = 1.0) -> list[Sample]:
        level = (1.6 if 8 <= at.hour < 22 else 0.3) * campaign
        found = [self._sample(at, WEB, self.per_hour * level, self.free)]
        if self.by_phone:
            found.append(self._sample(at, PHONE, self.per_hour * level * self.by_phone * phone, 1.0))
        return [sample for sample in found if sample.events]

    def minute(self, at: datetime, without: Callable[[], bool] | None = None) -> list[Sample]:
        found = []
        for sample in self.hour(at):
            events = sum(self.random.random() < 1 / 60 for _ in range(sample.events))
            share = sample.carrying / sample.events
            carrying = sum(self.random.random() < share for _ in range(events))
            if events:
                found.append(Sample(at, sample.stratum, events, 0 if without is not None and without() else carrying))
        return found

    def _sample(self, at: datetime, stratum: tuple[str, str], mean: float, free: float) -> Sample:
        events = round(max(0.0, self.random.gauss(mean, mean**0.5)))
        return Sample(at, stratum, events, sum(self.random.random() >= free for _ in range(events)))


def test_thirty_shops_of_a_month_with_campaigns_and_shifts_are_silent() -> None:
    for seed in range(30):
        shop = Shop(seed)
        start = NOW - timedelta(days=58)
        past = [sample for n in range(28 * 24) for sample in shop.hour(start + n * HOUR)]
        usual = learn_usual(past)
        if usual is None:
            continue
        day: list[Sample] = []
        for n in range(30 * 24):
            at = start + timedelta(days=28) + n * HOUR
            campaign, phone = (4.0 if n // 24 in (9, 10, 20) else 1.0), (5.0 if n // 24 > 24 else 1.0)
            day = [sample for sample in day if sample.start > at - DAY] + shop.hour(at, campaign, phone)
            found = judge(day, usual, now=at + HOUR)
            assert found is None, (seed, at, found)


def test_thirty_shops_that_lose_their_values_are_told_once_each_and_soon() -> None:
    told = 0
    for seed in range(30):
        shop = Shop(seed)
        start = NOW - timedelta(days=28)
        usual = learn_usual([sample for n in range(28 * 24) for sample in shop.hour(start + n * HOUR)])
        if usual is None or shop.per_hour < 40:
            continue
        samples: list[Sample] = []
        is_open, opened, lost = False, 0, 0
        for n in range(180):
            at = NOW + n * MINUTE
            samples += shop.minute(at, lambda n=n: n >= 60)  # type: ignore[misc]
            found = judge(samples, usual, now=at + MINUTE, is_open=is_open)
            assert found is None or n >= 60, (seed, n)
            if n >= 60 and not is_open:
                lost += sum(sample.events for sample in samples if sample.start == at and sample.stratum == WEB)
            opened += found is not None and not is_open
            is_open = found is not None
        told += 1
        assert (opened, is_open) == (1, True), seed
        assert lost <= 60, (seed, lost)  # events that came without before it was told
    assert told >= 10


def test_a_share_that_was_always_nought_is_learned_too() -> None:
    learned = learn_success([(0, 100)] * 5)
    assert learned is not None
    assert 0 < learned.share < 0.01


def ten_minutes(seed: int, retried: float = 0.0) -> list[Conversion]:
    """Sales of a made-up shop: few products, some people buy the same twice, a share is sent again under another id."""
    made = random.Random(seed)
    products, named = made.choice((1, 3, 50)), made.random() < 0.5
    found: list[Conversion] = []
    for n in range(made.choice((60, 100, 300, 495))):
        product, at = made.randrange(products), NOW - timedelta(seconds=made.randrange(600))
        event = conversion(
            n,
            occurred_at=at,
            value=Decimal(10 + product),
            basket=f"sku_{product}",
            order_id=f"o{n}" if named else None,
            person={"email": f"p{n}", "fbp": f"b{n}"} if made.random() < 0.8 else {},
        )
        found.append(event)
        if made.random() < 0.02:
            changes = {"order_id": f"o{n}_more"} if named else {}
            found.append(replace(event, event_id=f"event_{n}_more", **changes))  # type: ignore[arg-type]
        if made.random() < retried:
            found.append(replace(event, event_id=f"event_{n}_retry"))
    return found


def test_of_a_hundred_shops_those_that_retry_under_new_ids_are_told_and_no_others() -> None:
    for seed in range(100):
        for retried in (0.0, 0.5):
            events = ten_minutes(seed, retried)
            found = judge_likely_duplicates("Purchase", events, is_open=False, since=NOW - 10 * MINUTE)
            assert (found is not None) is (retried > 0), (seed, retried, len(events))
