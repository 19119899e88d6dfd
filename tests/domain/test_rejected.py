"""Events refused at the door: the reduced simulation, and which name or cause is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.domain.rejected import healthy, incident
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.events_rejected import DoorMinute, DoorView, judge_events_rejected
from tracklayer.domain.monitors.learn import SuccessRate, learn_worst

NOW = datetime(2026, 3, 4, 14, 30, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WHOLE = Subject(AlertKind.EVENTS_REJECTED)
PURCHASE = Subject(AlertKind.EVENTS_REJECTED, event_name="Purchase")
CURRENCY, TIME = ("INVALID_CURRENCY", "custom_data.currency"), ("INVALID_TIME", "occurred_at")


@pytest.mark.parametrize("seed", [1, 10_005], ids=["of-all", "of-purchases-beside-usual-refusals"])
def test_what_is_refused_is_told_once_and_within_three_minutes(seed: int) -> None:
    found = incident(seed)
    assert found.openings == (found.expected,)
    assert found.detected is not None
    assert found.detected <= 3 * MINUTE
    assert found.is_over


@pytest.mark.parametrize("seed", range(2))
def test_healthy_doors_alarm_nobody(seed: int) -> None:
    assert healthy(seed, days=2) == []


def judged(minutes: int, usual: SuccessRate, causes: Mapping[tuple[str, str], SuccessRate], **each: object) -> DoorView:
    start = NOW.replace(second=0) - minutes * MINUTE
    return DoorView([DoorMinute(start + n * MINUTE, **each) for n in range(minutes)], usual, usual_causes=causes)  # type: ignore[arg-type]


def found_of(view: DoorView) -> dict[Subject, Finding]:
    return {subject: finding for subject, finding in judge_events_rejected(view, NOW).items() if finding is not None}


def test_a_new_cause_that_is_one_names_is_told_of_that_name_though_more_of_another_is_usually_refused() -> None:
    usual = SuccessRate(0.95, 0.01, 10_000)
    refused = {("PageView", *CURRENCY): 8, ("Purchase", *TIME): 6}
    view = judged(5, usual, {CURRENCY: usual}, accepted=90, names={"PageView": 88, "Purchase": 2}, refused=refused)
    found = found_of(view)
    assert list(found) == [PURCHASE]
    assert found[PURCHASE].title == "75% of Purchase events are refused"


def test_an_hour_as_bad_as_come_every_other_day_is_no_news_and_a_worse_one_is() -> None:
    def is_told(worst: float, refused: int) -> bool:
        usual = SuccessRate(0.94, 0.005, 1_000_000, worst)
        good, bad = {"PageView": 100 - refused}, {("PageView", *CURRENCY): refused}
        return bool(found_of(judged(5, usual, {CURRENCY: usual}, accepted=100 - refused, names=good, refused=bad)))

    assert is_told(worst=0.94, refused=24)
    assert not is_told(worst=0.78, refused=24)
    assert is_told(worst=0.78, refused=50)
    assert is_told(worst=0.2, refused=50), "more than a quarter is never usual"


@pytest.mark.parametrize(("refused", "is_told"), [(10, False), (17, True)], ids=["half by chance", "nearly all"])
def test_half_of_twenty_of_a_name_are_no_news_in_an_hour_in_which_a_fifth_of_all_is_refused(
    refused: int, is_told: bool
) -> None:
    usual = SuccessRate(0.94, 0.005, 1_000_000, 0.8)
    bad = {("PageView", *CURRENCY): 19, ("Purchase", *CURRENCY): refused}
    start = NOW.replace(second=0)
    quiet = [DoorMinute(start - n * MINUTE, 77, {"PageView": 77}, {("PageView", *CURRENCY): 19}) for n in (5, 4, 3, 2)]
    now = DoorMinute(start - MINUTE, 96 - refused, {"PageView": 76, "Purchase": 20 - refused}, bad)
    view = DoorView([*quiet, now], usual, usual_causes={CURRENCY: usual})
    assert bool(found_of(view)) is is_told


def test_what_was_on_three_days_is_a_habit_and_what_was_on_two_an_incident() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    hours = {start + n * timedelta(hours=1): (98, 2) for n in range(28 * 24)}
    assert learn_worst(hours) == 1.0, "no more than chance may have brought"
    for days in (1, 2, 3):
        hours[start + timedelta(days=days, hours=10)] = (7_600, 2_400)
        assert learn_worst(hours) == (1.0 if days < 3 else pytest.approx(0.7698, abs=0.0001))
    young = {hour: counts for hour, counts in hours.items() if hour < start + timedelta(days=2)}
    assert learn_worst(young) == pytest.approx(0.7698, abs=0.0001), "of the first days one must do"
    assert learn_worst({start: (0, 0)}) is None


def test_a_new_cause_of_several_names_is_told_of_all() -> None:
    usual = SuccessRate(0.95, 0.01, 10_000)
    refused = {("PageView", *TIME): 30, ("Purchase", *TIME): 6}
    view = judged(5, usual, {}, accepted=90, names={"PageView": 88, "Purchase": 2}, refused=refused)
    assert list(found_of(view)) == [WHOLE]


def test_a_name_of_which_only_repeats_came_beside_a_few_refused_is_not_wholly_refused() -> None:
    usual = SuccessRate(0.99, 0.01, 100_000)
    refused = {("Purchase", *TIME): 1}
    view = judged(25, usual, {}, accepted=200, names={"PageView": 180}, refused=refused)
    found = found_of(view)
    assert list(found) == [PURCHASE]
    assert found[PURCHASE].title == "All Purchase events are refused"
    repeats = judged(25, usual, {}, accepted=200, names={"PageView": 180}, refused=refused, repeated=20)
    assert found_of(repeats) == {}


def test_where_there_are_repeats_only_new_events_of_a_name_are_spoken_of() -> None:
    usual = SuccessRate(0.99, 0.01, 100_000)
    refused = {("Purchase", *TIME): 20}
    view = judged(5, usual, {}, accepted=200, names={"PageView": 190}, refused=refused, repeated=10)
    found = found_of(view)
    assert found[PURCHASE].title == "All new Purchase events are refused"
    assert found[PURCHASE].message.startswith("20 of 20 new Purchase events since")


@pytest.mark.parametrize("name", ["", OTHERS])
def test_what_has_no_name_of_its_own_is_told_with_all(name: str) -> None:
    usual = SuccessRate(0.99, 0.01, 100_000)
    refused = {(name, *TIME): 20}
    found = found_of(judged(5, usual, {}, accepted=60, names={"PageView": 60}, refused=refused))
    assert list(found) == [WHOLE]
    said = {"": "without a name that can be read 20", OTHERS: "other names 20"}[name]
    assert f"By name: {said}." in found[WHOLE].message
    assert not found_of(judged(25, usual, {}, accepted=200, names={"PageView": 180}, refused={(name, *TIME): 1}))


def test_a_name_of_which_some_may_be_counted_among_further_names_is_not_wholly_refused() -> None:
    usual = SuccessRate(0.99, 0.01, 100_000)
    one, names = {("Purchase", *TIME): 1}, {"PageView": 160, OTHERS: 20}
    assert found_of(judged(25, usual, {}, accepted=200, names=names, refused=one)) == {}
    found = found_of(judged(5, usual, {}, accepted=200, names=names, refused={("Purchase", *TIME): 20}))
    assert found[PURCHASE].title == "Many Purchase events are refused"


def test_an_open_one_counts_from_where_it_began_and_its_title_tells_of_now() -> None:
    usual = SuccessRate(0.99, 0.01, 100_000)
    refused = {("Purchase", *TIME): 8}
    start = NOW.replace(second=0) - 20 * MINUTE
    worse = [DoorMinute(start + n * MINUTE, 0, {}, {("Purchase", *TIME): 20}) for n in range(10)]
    better = [DoorMinute(start + n * MINUTE, 32, {"Purchase": 32}, refused) for n in range(10, 20)]
    view = DoorView([*worse, *better], usual, is_open=True, began={None: start})
    found = found_of(view)[WHOLE]
    assert (found.since, found.title) == (start, "20% of events are refused")
    assert found.message.startswith(f"280 of 600 events since {start:%Y-%m-%d %H:%M} UTC were refused for wrong fields")


def test_what_is_refused_now_is_to_be_mended_first_though_more_was_refused_for_what_is_mended() -> None:
    """A second cause comes while the alert of the first one is open, or within the minutes in which it opens again."""
    usual = SuccessRate(0.99, 0.01, 100_000)
    start = NOW.replace(second=0) - 20 * MINUTE
    first, second = {("Purchase", *CURRENCY): 200}, {("Lead", *TIME): 20}
    minutes = [DoorMinute(start + n * MINUTE, 20, {"Lead": 20}, first) for n in range(10)]
    both = [*minutes, *[DoorMinute(start + n * MINUTE, 20, {}, {**first, **second}) for n in range(10, 20)]]
    told = found_of(DoorView(both, usual, is_open=True, began={None: start}))[WHOLE].message
    assert "must correct `customData.currency` (INVALID_CURRENCY) now, and then send" in told, "a tenth is not worth it"
    half = {("Lead", *TIME): 100}
    both = [*minutes, *[DoorMinute(start + n * MINUTE, 20, {}, {**first, **half}) for n in range(10, 20)]]
    told = found_of(DoorView(both, usual, is_open=True, began={None: start}))[WHOLE].message
    assert (
        "must correct `customData.currency` (INVALID_CURRENCY) and `occurredAt` (INVALID_TIME) now, and then send"
        in told
    )
    assert " `customData.currency`: Send a code such as `USD`. `occurredAt`: Send RFC 3339 or ISO 8601, such as" in told
    then = [*minutes, *[DoorMinute(start + n * MINUTE, 20, {"Purchase": 20}, second) for n in range(10, 20)]]
    told = found_of(DoorView(then, usual, is_open=True, began={None: start}))[WHOLE].message
    assert "must correct `occurredAt` (INVALID_TIME) now, and then send" in told
    assert "Refused for: `occurredAt` (INVALID_TIME) 200: The time is" in told
    assert (
        " Since 2026-03-04 14:25 UTC no longer for `customData.currency` (INVALID_CURRENCY). By name: Purchase" in told
    )


def test_one_name_told_for_its_cause_stays_so_while_the_cause_goes_on_though_hours_as_bad_are_known() -> None:
    usual = SuccessRate(0.99, 0.01, 100_000)
    known = {"Purchase": SuccessRate(0.98, 0.01, 100_000, 0.83)}
    start = NOW.replace(second=0) - 20 * MINUTE
    some = {("Purchase", *TIME): 8}
    minutes = [DoorMinute(start + n * MINUTE, 75, {"Purchase": 72, "Lead": 3}, some) for n in range(20)]
    view = DoorView(minutes, usual, known, {CURRENCY: usual})
    assert list(found_of(view)) == [PURCHASE]
    still = replace(view, open_names={"Purchase"}, began={"Purchase": start})
    assert found_of(still)[PURCHASE].message.startswith("160 of 1,600 Purchase events since")
    mended = [DoorMinute(start + n * MINUTE, 83, {"Purchase": 80, "Lead": 3}) for n in range(15, 20)]
    assert found_of(replace(still, minutes=[*minutes[:15], *mended])) == {}


def test_of_many_causes_that_are_as_frequent_one_is_named() -> None:
    refused = {("Purchase", "INVALID_FIELD", f"custom_data.{letter}"): 5 for letter in "abcdefghijkl"}
    (found,) = found_of(judged(5, SuccessRate(0.99, 0.01, 100_000), {}, accepted=0, names={}, refused=refused)).values()
    assert " must correct `customData.a` (INVALID_FIELD) now, and then send" in found.message


def test_where_further_names_were_refused_it_is_at_least_so_many_of_one() -> None:
    refused = {("Purchase", *TIME): 20, (OTHERS, *TIME): 2}
    usual = SuccessRate(0.99, 0.01, 100_000)
    found = found_of(judged(5, usual, {}, accepted=160, names={"PageView": 160}, refused=refused))
    assert found[PURCHASE].message.startswith("At least 20 Purchase events since")


def test_each_order_names_its_fields_and_where_the_events_are_named() -> None:
    refused = {
        ("Purchase", "INVALID_NUMBER", "custom_data.value"): 10,
        ("Purchase", "REQUIRED", "event_name"): 8,
        ("Purchase", "REQUIRED", "occurred_at"): 6,
    }
    view = judged(5, SuccessRate(0.99, 0.01, 10_000), {}, accepted=2, names={"PageView": 2}, refused=refused)
    told = found_of(view)[PURCHASE].message
    assert (
        " `customData.value`: Send a number within the bounds that the message names. `eventName` and `occurredAt`: Send it."
        " Which events they are, and what a field takes, says the answer to each: `eventId` beside `userErrors`."
        in told
    )


def test_what_comes_with_a_revoked_key_is_told_however_little_it_is_and_once_while_it_goes_on() -> None:
    usual = SuccessRate(0.999, 0.005, 100_000)
    key, refused = "key 7", {("", "UNAUTHENTICATED", "key 7"): 1}
    quiet = [DoorMinute(NOW + n * MINUTE, 100, {"PageView": 100}) for n in range(180)]
    now = NOW + 180 * MINUTE
    for times, is_told in ((2, False), (3, True)):
        minutes = [replace(one, refused=refused) if n >= 180 - times else one for n, one in enumerate(quiet)]
        view = DoorView(minutes, usual, keys={key: "The key tl_abc... was revoked."})
        found = found_of_whole(view, now)
        assert (found is not None) is is_told
    assert found is not None
    assert (found.severity, found.details["refused"]) == (Severity.WARNING, 3)
    assert "The key tl_abc... was revoked." in found.message
    later = [*minutes, *(DoorMinute(now + n * MINUTE, 100, {"PageView": 100}) for n in range(130))]
    view = replace(view, minutes=later, is_open=True)
    assert found_of_whole(view, now + 100 * MINUTE) is not None
    assert found_of_whole(view, now + 130 * MINUTE) is None


def found_of_whole(view: DoorView, now: datetime) -> Finding | None:
    return judge_events_rejected(view, now)[Subject(AlertKind.EVENTS_REJECTED)]
