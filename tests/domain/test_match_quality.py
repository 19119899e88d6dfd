"""What events usually carry, and when fewer do: by hand-made hours and minutes, then, reduced, by the simulator's shops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.domain.identifiers_simulator import FAULTS, healthy, incident, needed
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.facts import mask_of
from tracklayer.domain.monitors.coverage import (
    ANY_CLICK,
    Bin,
    Cells,
    NameBaseline,
    Usual,
    busiest,
    learn_name,
    tally,
)
from tracklayer.domain.monitors.match_quality_drop import (
    Fall,
    NameView,
    Scope,
    judge_match_quality_drop,
    wants_past,
)

NOW = datetime(2026, 3, 31, 14, 0, tzinfo=UTC)
REST = ("website", "*")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
USERS = {"email": ("Meta", "TikTok"), "phone": ("Meta",), "fbp": ("Meta",), "gclid": ("Google Ads",)}
WEB, APP, PAY = ("website", "shop.example"), ("app", ""), ("website", "pay.shop.example")

# Of so many events of a stratum, how many carry which identifiers: (stratum, events, names).
Part = tuple[tuple[str, str], int, str]


def cells_of(*parts: Part) -> Cells:
    cells: Cells = {}
    for (source, host), events, names in parts:
        tally(cells, source, host, mask_of(names.split()), events)
    return cells


def learned(*parts: Part, days: int = 28) -> NameBaseline:
    """From the same hour again and again, by way of JSON, as it is stored."""
    found = learn_name({NOW - n * HOUR: cells_of(*parts) for n in range(1, days * 24 + 1)})
    assert found is not None
    return NameBaseline.from_json(found.as_json())


def minutes(count: int, *parts: Part, until: datetime = NOW) -> list[Bin]:
    return [(until - n * MINUTE, cells_of(*parts)) for n in range(count, 0, -1)]


def judged(baseline: NameBaseline, bins: list[Bin], **changes: object) -> Finding | None:
    view = NameView("Purchase", baseline, bins, USERS, **changes)  # type: ignore[arg-type]
    return judge_match_quality_drop(view, NOW)


USUAL: tuple[Part, ...] = ((WEB, 9, "email phone"), (WEB, 1, ""))

# The reduced simulation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks_is_told_once_in_time_and_by_its_name_and_place(fault: str) -> None:
    found = incident(1, fault, most_a_day=1500)
    assert found.events is not None
    assert found.events <= found.allowed
    assert (found.openings, found.names_right, found.place_right, found.is_over) == (1, True, True, True)


@pytest.mark.parametrize("seed", range(3))
def test_shops_in_which_nothing_broke_alarm_nobody(seed: int) -> None:
    assert healthy(seed, days=2) == []


@pytest.mark.parametrize(
    ("usual", "share", "events"),
    [(0.9, 0.34, 16), (0.9, 0.65, 62), (0.74, 0.37, 47), (0.3, 0.05, 69), (0.1, 0.03, 379)],
)
def test_how_many_events_rule_chance_out(usual: float, share: float, events: int) -> None:
    assert needed(usual, share) == events


# What is usual ------------------------------------------------------------------------------------------------------


def test_shares_are_learned_by_stratum_and_apart_for_visitors_from_ads() -> None:
    baseline = learned((WEB, 8, "email"), (WEB, 2, ""), (WEB, 3, "gclid email"), (WEB, 7, "gclid"), (APP, 5, "email"))
    assert set(baseline.strata) == {WEB, APP}
    usual = baseline.strata[WEB].usual["email"]
    assert usual.from_ads == pytest.approx(0.3, abs=0.001)
    assert usual.others == pytest.approx(0.8, abs=0.001)
    assert baseline.strata[WEB].weight == pytest.approx(0.8)
    assert baseline.strata[APP].usual["email"].others == pytest.approx(1, abs=0.001)
    assert baseline.strata[WEB].usual["gclid"] == baseline.strata[WEB].usual[ANY_CLICK] == Usual(0.5, 0.5, 0.004)
    assert sum(baseline.per_hour) == pytest.approx(25 * 24, rel=0.01)


def test_visitors_from_ads_who_were_never_there_have_no_past() -> None:
    assert learned(*USUAL).strata[WEB].usual["email"].from_ads is None


def test_a_week_and_two_hundred_events_are_needed() -> None:
    hours = {NOW - n * HOUR: cells_of(*USUAL) for n in range(1, 6 * 24)}
    assert learn_name(hours) is None
    assert learn_name({NOW - n * DAY: cells_of((WEB, 1, "email")) for n in range(28)}) is None
    assert learn_name({}) is None


def test_small_strata_are_merged_and_young_ones_have_no_past() -> None:
    hours = {NOW - n * HOUR: cells_of(*USUAL) for n in range(1, 28 * 24)}
    for n in range(1, 28 * 24, 4):
        tally(hours[NOW - n * HOUR], "website", f"shop{n % 3}.example", mask_of(["email"]), 2)
    for n in range(1, 100):
        tally(hours[NOW - n * HOUR], *PAY, mask_of(["phone"]), 10)
    baseline = learn_name(hours)
    assert baseline is not None
    assert set(baseline.strata) == {WEB, REST}
    assert baseline.merged == {("website", f"shop{n}.example") for n in range(3)}
    assert baseline.stratum_of(("website", "shop1.example", False)) == REST
    assert baseline.stratum_of((*PAY, False)) is None


def test_an_incident_of_three_days_is_not_what_is_normal() -> None:
    hours = {NOW - n * HOUR: cells_of(*USUAL) for n in range(1, 28 * 24)}
    for n in range(100, 172):
        hours[NOW - n * HOUR] = cells_of((WEB, 10, ""))
    baseline = learn_name(hours)
    assert baseline is not None
    assert baseline.strata[WEB].usual["email"].others == pytest.approx(0.9, abs=0.001)
    assert baseline.strata[WEB].usual["email"].spread < 0.01


def test_only_purchases_and_the_busiest_names_are_learned() -> None:
    names = busiest([(f"name{n}", n) for n in range(50)] + [("*", 1000), ("Purchase", 1)])
    assert len(names) == 30
    assert names[:2] == ["Purchase", "name49"]


# Falls --------------------------------------------------------------------------------------------------------------


def test_all_that_fell_is_one_finding_that_says_what_is_lost_and_who_must_act() -> None:
    bins = [*minutes(60, *USUAL, until=NOW - 3 * MINUTE), *minutes(3, (WEB, 1, "email phone"), (WEB, 9, ""))]
    found = judged(learned(*USUAL), bins)
    assert found is not None
    assert (found.kind, found.event_name, found.severity) == (
        AlertKind.MATCH_QUALITY_DROP,
        "Purchase",
        Severity.CRITICAL,
    )
    assert found.since == NOW - 3 * MINUTE
    assert found.title == "Purchase: only 10% carry an email instead of 90%, and 1 more identifier fell"
    assert found.message == (
        "Since 2026-03-31 13:57 UTC only 10% of your Purchase events carry the buyer's email, where 90% did before: about 24"
        " of 30 events lost it. Meta and TikTok match far fewer people to ads while that lasts; whoever changed the checkout,"
        " or what sends these events, must pass `email` and `phone` again. Also `phone` 10% instead of 90%. Only events of"
        " people who consent are counted; the chance of such a fall without a cause is below one in ten million."
    )
    assert [one["identifier"] for one in found.details["identifiers"]] == ["email", "phone"]
    assert (found.details["strong_share"], found.details["usual_strong_share"]) == (0.1, 0.9)


def test_nine_points_are_told_to_nobody_and_half_of_a_low_share_is() -> None:
    assert judged(learned(*USUAL), minutes(60, (WEB, 82, "email phone"), (WEB, 18, ""))) is None
    low = learned((WEB, 15, "email"), (WEB, 85, "phone"))
    found = judged(low, minutes(60, (WEB, 6, "email"), (WEB, 94, "phone")))
    assert found is not None
    assert (found.title, found.severity) == ("Purchase: only 6% carry an email instead of 15%", Severity.WARNING)


def test_what_is_mended_by_now_is_told_to_nobody() -> None:
    bins = [*minutes(30, (WEB, 10, ""), until=NOW - 5 * MINUTE), *minutes(5, *USUAL)]
    assert judged(learned(*USUAL), bins) is None


def test_a_shift_of_the_mix_changes_nothing() -> None:
    baseline = learned((WEB, 9, "email"), (WEB, 1, ""), (APP, 3, "email"), (APP, 7, ""))
    assert judged(baseline, minutes(60, (APP, 15, "email"), (APP, 35, ""))) is None


def test_a_campaign_that_brings_visitors_who_tell_less_changes_nothing() -> None:
    baseline = learned((WEB, 9, "email"), (WEB, 1, ""), (WEB, 2, "gclid email"), (WEB, 3, "gclid"))
    bins = minutes(60, (WEB, 9, "email"), (WEB, 1, ""), (WEB, 32, "gclid email"), (WEB, 48, "gclid"))
    assert judged(baseline, bins) is None


def test_a_fall_of_one_stratum_is_told_with_its_host_or_its_action_source() -> None:
    baseline = learned((WEB, 9, "email"), (WEB, 1, ""), (APP, 9, "email"), (APP, 1, ""))
    found = judged(baseline, minutes(10, (WEB, 10, ""), (APP, 9, "email"), (APP, 1, "")))
    assert found is not None
    assert "Purchase events on shop.example (action source website) carry" in found.message
    assert (found.details["hosts"], found.details["action_sources"]) == (["shop.example"], ["website"])
    found = judged(baseline, minutes(10, (APP, 10, ""), (WEB, 9, "email"), (WEB, 1, "")))
    assert found is not None
    assert "Purchase events with the action source app carry" in found.message


def test_a_new_host_is_judged_only_where_it_took_the_place_of_an_old_one() -> None:
    baseline = learned(*USUAL)
    assert judged(baseline, minutes(60, *USUAL, (PAY, 10, ""))) is None
    found = judged(baseline, minutes(60, (PAY, 10, "")))
    assert found is not None
    assert " on pay.shop.example, which took the place of shop.example, carry" in found.message


def test_a_shift_of_the_mix_among_small_hosts_changes_nothing() -> None:
    """Each has too few events to be judged by itself, and they are told of by the one that carries least."""
    hours = {NOW - n * HOUR: cells_of(*USUAL) for n in range(1, 28 * 24)}
    for n in range(1, 28 * 24, 6):
        tally(hours[NOW - n * HOUR], "website", "a.example", mask_of(["email"]), 1)
        tally(hours[NOW - n * HOUR], "website", "b.example", mask_of(["email"] if n % 12 == 1 else []), 1)
    found = learn_name(hours)
    assert found is not None
    baseline = NameBaseline.from_json(found.as_json())
    b: tuple[str, str] = ("website", "b.example")
    assert judged(baseline, minutes(60, (b, 1, "email"), (b, 1, ""))) is None
    assert judged(baseline, minutes(60, (b, 2, ""))) is not None


def test_few_events_of_a_store_are_not_those_of_a_host_that_fell_silent() -> None:
    hours = {NOW - n * HOUR: cells_of((WEB, 1, "email"), (PAY, 1, "email")) for n in range(1, 28 * 24)}
    for n in range(1, 28 * 24, 24):
        tally(hours[NOW - n * HOUR], "physical_store", "", mask_of([]), 1)
    baseline = learn_name(hours)
    assert baseline is not None
    assert not baseline.is_new(("physical_store", "", False))
    store = minutes(60, (PAY, 1, "email"), (("physical_store", ""), 1, ""))
    assert judged(baseline, store) is None
    assert baseline.is_new(("app", "", False))
    assert judged(baseline, minutes(60, (PAY, 1, "email"), (APP, 1, ""))) is None


def test_a_strict_banner_is_told_to_nobody_whatever_few_people_do() -> None:
    baseline = learned(*USUAL)
    bins = [*minutes(30, *USUAL[:1], (WEB, 21, "consent_denied"), until=NOW - 4 * MINUTE)]
    assert judged(baseline, [*bins, *minutes(4, (WEB, 1, "email phone"), (WEB, 9, "consent_denied"))]) is None
    assert judged(baseline, [*bins, *minutes(9, (WEB, 10, "consent_denied"))]) is not None


def test_click_ids_are_listed_beside_what_fell_and_raise_nothing_by_themselves() -> None:
    baseline = learned((WEB, 6, "email fbp"), (WEB, 4, "gclid email fbp"))
    assert judged(baseline, minutes(60, (WEB, 10, "email fbp"))) is None
    found = judged(baseline, minutes(60, (WEB, 10, "email")))
    assert found is not None
    assert [one["identifier"] for one in found.details["identifiers"]] == ["fbp", "gclid"]
    assert "must load tl.js again, and keep the parameters of links from ads" in found.message
    assert found.severity is Severity.WARNING


def test_visitors_from_ads_who_lost_their_click_ids_are_no_fall_of_what_they_never_told() -> None:
    baseline = learned((WEB, 6, "email fbp"), (WEB, 1, "gclid email fbp"), (WEB, 3, "gclid fbp"))
    bins = minutes(60, (WEB, 7, "email"), (WEB, 3, ""))
    found = judged(baseline, bins)
    assert found is not None
    assert [one["identifier"] for one in found.details["identifiers"]] == ["fbp", "gclid"]


def test_an_open_one_stays_until_two_windows_are_back() -> None:
    baseline = learned(*USUAL)
    fall = Fall("email", Scope("all"), NOW - HOUR, 0.9, 0.1, 30, 20, 1e-9)
    for back, is_open in ((1, True), (3, True), (4, False)):
        bins = [
            *minutes(30, (WEB, 1, "email phone"), (WEB, 9, "phone"), until=NOW - back * MINUTE),
            *minutes(back, *USUAL),
        ]
        found = judged(baseline, bins, open_falls=[fall])
        assert (found is not None) is is_open, back
        assert found is None or found.since == NOW - HOUR


def test_what_falls_while_one_is_open_joins_it() -> None:
    baseline = learned(*USUAL)
    fall = Fall("email", Scope("all"), NOW - HOUR, 0.9, 0.0, 30, 20, 1e-9)
    found = judged(baseline, minutes(30, (WEB, 10, "")), open_falls=[Fall.from_json(fall.as_json())])
    assert found is not None
    assert [one["identifier"] for one in found.details["identifiers"]] == ["email", "phone"]


def test_no_window_reaches_back_into_what_was_told() -> None:
    bins = minutes(30, (WEB, 10, ""))
    assert judged(learned(*USUAL), bins, told_until=NOW) is None


def test_refusals_are_on_neither_side_and_alone_told_only_where_nobody_is_left() -> None:
    baseline = learned(*USUAL, (WEB, 1, "consent_denied"))
    assert judged(baseline, minutes(60, *USUAL, (WEB, 15, "consent_denied"))) is None
    found = judged(baseline, minutes(60, (WEB, 1, "email phone"), (WEB, 30, "consent_denied")))
    assert found is not None
    assert found.severity is Severity.WARNING
    assert found.title == "Purchase: 96.8% of people refuse consent instead of 9.1%"
    found = judged(baseline, minutes(60, (WEB, 10, ""), (WEB, 15, "consent_denied")))
    assert found is not None
    assert " 60% of people now refuse consent; 9.1% is usual." in found.message


def test_a_glance_asks_for_more_only_where_something_is_amiss() -> None:
    baseline = learned(*USUAL)
    assert not wants_past(cells_of((WEB, 54, "email phone"), (WEB, 6, "")), baseline, USERS)
    assert wants_past(cells_of((WEB, 44, "email phone"), (WEB, 16, "phone")), baseline, USERS)
    assert wants_past(cells_of((WEB, 54, "email phone"), (WEB, 60, "consent_denied")), baseline, USERS)
    assert wants_past(cells_of((PAY, 60, "")), baseline, USERS)
