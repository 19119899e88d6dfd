"""More than a few alerts alike are one, and one merchant's fault in settling costs no other its alert."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.factories import Merchant, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.facts import OTHERS
from tracklayer.runtime import Runtime
from tracklayer.services import monitor
from tracklayer.services.alert import settle_findings
from tracklayer.services.watches.gathering import MOST_APART, gather
from tracklayer.services.watches.page import Page, Verdicts

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
STOPPED = AlertKind.TRACKING_STOPPED
ALL = Subject(STOPPED, None, OTHERS)


def stopped(name: str, severity: Severity = Severity.WARNING, platform: str | None = None) -> Finding:
    return Finding(STOPPED, platform, severity, f"No {name}", f"No {name} came.", NOW, {"n": 1}, name)


def gathered(findings: list[Finding], open_now: Collection[Subject] = ()) -> tuple[list[Finding], set[Subject]]:
    return gather(findings, {found.subject for found in findings}, open_now)


def test_a_few_are_told_apart() -> None:
    few = [stopped(f"n{n}") for n in range(MOST_APART)]
    assert gathered(few) == (few, {found.subject for found in few})


def test_many_at_once_are_one_that_lists_them_the_gravest_first() -> None:
    many = [stopped("a"), stopped("b", Severity.CRITICAL), stopped("c", platform="meta"), stopped("d")]
    [found], judged = gathered(many)
    assert (found.subject, found.severity, found.title) == (ALL, Severity.CRITICAL, "No b, and 3 more like it")
    assert found.message == "No b came. The same is seen of a, c (Meta), d."
    assert [one["event_name"] for one in found.details["alike"]] == ["b", "a", "c", "d"]
    assert ALL in judged


def test_what_is_open_by_itself_stays_and_what_is_new_beside_it_joins_the_others() -> None:
    first = [stopped(name) for name in ("a", "b", "c")]
    late = [stopped("d"), stopped("e")]
    told, _ = gathered(first + late, {found.subject for found in first})
    assert told[:3] == first
    assert [(found.subject, found.title) for found in told[3:]] == [(ALL, "No d, and 1 more like it")]
    alone, judged = gathered([stopped("f")], {ALL})  # of one that an older version opened nobody knows what it is about
    assert ([found.subject for found in alone], ALL in judged) == ([ALL], True)
    assert gather([], {stopped("f").subject}, {ALL}) == ([], {stopped("f").subject, ALL})


def test_what_is_new_while_several_are_told_together_is_told_by_itself_up_to_as_many_as_are_told_apart() -> None:
    old = [stopped(name) for name in ("a", "b", "c", "d")]
    members = {STOPPED: ["a", "b", "c", "d"]}
    late = [stopped(f"n{n}") for n in range(MOST_APART)]
    told, judged = gather(old + late, {found.subject for found in old + late}, {ALL}, members)
    assert [found.subject for found in told] == [*(found.subject for found in late), ALL]
    assert ALL in judged
    apart = {ALL, *(found.subject for found in late)}
    told, _ = gather([*old, *late, stopped("Purchase", Severity.CRITICAL)], set(), apart, members)
    assert [found.subject for found in told] == [*(found.subject for found in late), ALL]
    assert (told[-1].title, told[-1].details["alike_count"]) == ("No Purchase, and 4 more like it", 5)
    assert told[-1].members == {"Purchase": True, "a": False, "b": False, "c": False, "d": False}


def test_sales_come_first_and_then_what_began_last() -> None:
    alike = [
        replace(stopped(name, Severity.CRITICAL), since=NOW - timedelta(minutes=minutes))
        for name, minutes in (("Search", 9), ("Contact", 1), ("Purchase", 9), ("Lead", 5))
    ]
    [found], _ = gathered(alike)
    assert [one["event_name"] for one in found.details["alike"]] == ["Purchase", "Contact", "Lead", "Search"]


def test_the_end_of_several_names_none_again_that_its_title_is_about(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    many = [stopped("a", Severity.CRITICAL, platform="meta"), *(stopped(name, platform="meta") for name in "bcd")]
    [found], _ = gathered(many)
    assert found.title == "No a, and 3 more like it"
    for findings, after in (([found], 0), ([], 15), ([], 60)):
        now = clock.move(timedelta(seconds=after))
        settle_findings(runtime, merchant.merchant_id, findings, [ALL], now)
    with in_transaction():
        told = rows("SELECT resolved_at IS NOT NULL, told ->> 'message' FROM alerts")
    assert told == [(True, "No a came. The same is seen of b (Meta), c (Meta), d (Meta).")]


def test_a_watch_that_says_nothing_of_a_kind_leaves_what_is_gathered_as_it_is() -> None:
    other = Subject(AlertKind.PLATFORM_DOWN, "meta")
    assert gather([], {other}, {ALL}) == ([], {other})


def test_one_merchants_fault_in_settling_costs_no_other_its_alert(
    runtime: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [new_merchant(runtime).merchant_id for _ in range(3)]
    patched: Any = monitor
    settle = patched.settle_findings
    looked: list[int] = []

    def once(page: Page) -> Verdicts:
        verdicts = Verdicts()
        for merchant_id in page.merchant_ids:
            if merchant_id not in looked:  # a watch with memory says it once
                looked.append(merchant_id)
                verdicts.add(merchant_id, [Subject(STOPPED)], [Finding(STOPPED, None, Severity.WARNING, "t", "m", NOW)])
        return verdicts

    def fails_for_the_first(runtime: Runtime, merchant_id: int, *rest: Any) -> Any:
        if merchant_id == shops[0]:
            raise ValueError
        return settle(runtime, merchant_id, *rest)

    monkeypatch.setattr(monitor, "settle_findings", fails_for_the_first)
    watch = monitor.Watch(runtime)
    watch._looks = (once,)
    watch.look()
    with in_transaction():
        assert [row[0] for row in rows("SELECT merchant_id FROM alerts ORDER BY 1")] == shops[1:]
    clock.move(timedelta(seconds=15))
