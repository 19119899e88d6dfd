"""What sales at a platform are worth: of what waits and of what was lost, by their keys, and of a bounded number."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.factories import Merchant, draft
from tests.services.test_plans import scans
from tracklayer.clock import FrozenClock
from tracklayer.db import worth
from tracklayer.db.connection import execute, in_transaction
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.monitors.worth import CAME_TOO_LATE, NOT_COUNTED, NOTHING, Worth, said, was_lost
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import ingest_events


def bring(runtime: Runtime, merchant: Merchant, count: int, first: int = 0, **changes: Any) -> None:
    drafts = [draft(f"order_{n}", **changes) for n in range(first, first + count)]
    ingest_events(runtime, merchant.holder, drafts)


def sales(merchant: Merchant, clock: FrozenClock) -> worth.Sales:
    key = merchant.merchant_id, "meta"
    with in_transaction():
        return worth.sales_at({key: clock.now() - timedelta(hours=1)})[key]


def drop(merchant: Merchant, event_ids: list[str], reason: DropReason, clock: FrozenClock, ago: timedelta) -> None:
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = %s, due_at = NULL, finished_at = %s "
            "WHERE merchant_id = %s AND event_id = ANY(%s)",
            (reason, clock.now() - ago, merchant.merchant_id, event_ids),
        )


def fail(merchant: Merchant, event_ids: list[str], clock: FrozenClock, ago: timedelta) -> None:
    """Their first attempts ended so long ago, and another one a minute ago."""
    log = [
        {"at": (clock.now() - one).isoformat(), "outcome": outcome}
        for one, outcome in ((ago * 2, "rate_limited"), (ago, "rejected"), (timedelta(minutes=1), "rejected"))
    ]
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'failed', attempt_log = %s WHERE merchant_id = %s AND event_id = ANY(%s)",
            (json.dumps(log), merchant.merchant_id, event_ids),
        )


def test_only_sales_with_a_value_and_a_currency_are_added_up_each_in_its_own(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    assert sales(merchant, clock) == worth.Sales()
    bring(runtime, merchant, 3)
    bring(runtime, merchant, 2, 3, custom_data={"value": 10, "currency": "EUR"})
    bring(runtime, merchant, 1, 5, custom_data={"value": 0, "currency": "EUR"})
    bring(runtime, merchant, 1, 6, custom_data={"value": 5})
    bring(runtime, merchant, 1, 7, custom_data={})
    bring(runtime, merchant, 1, 8, event_name="AddToCart")
    found = sales(merchant, clock)
    assert found.waiting == Worth({"USD": Decimal("389.97"), "EUR": Decimal(20)})
    assert found.failing == NOTHING
    assert found.lost == {}


def test_what_came_too_old_is_told_apart_from_what_became_so_while_it_waited(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    key, week = (merchant.merchant_id, "meta"), timedelta(days=7)
    bring(runtime, merchant, 1, occurred_at=(clock.now() - week).isoformat())
    bring(runtime, merchant, 2, 1, occurred_at=(clock.now() - week + timedelta(hours=1)).isoformat())
    drop(merchant, ["order_0", "order_1", "order_2"], DropReason.EVENT_TOO_OLD, clock, timedelta())
    since, ages = {key: clock.now() - timedelta(hours=1)}, {key: {"website": week.total_seconds()}}
    with in_transaction():
        assert worth.sales_at(since, ages)[key].dropped == {DropReason.EVENT_TOO_OLD: 2, CAME_TOO_LATE: 1}
        assert worth.sales_at(since)[key].dropped == {DropReason.EVENT_TOO_OLD: 3}  # it may be as old as it likes
        lost = worth.lost_since(since, [DropReason.EVENT_TOO_OLD], ages, clock.now())
        assert (lost.count, said(lost.worth)) == (2, "259.98 USD")


def test_no_redelivery_saves_what_is_too_old_for_the_platform_by_now_whatever_it_was_dropped_for(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    key, week = (merchant.merchant_id, "meta"), timedelta(days=7)
    bring(runtime, merchant, 2, occurred_at=(clock.now() - timedelta(hours=1)).isoformat())
    bring(runtime, merchant, 1, 2, occurred_at=clock.now().isoformat())
    clock.move(week - timedelta(minutes=30))
    drop(merchant, ["order_0", "order_1", "order_2"], DropReason.WINDOW_EXPIRED, clock, timedelta())
    since, ages = {key: clock.now() - week}, {key: {"website": week.total_seconds()}}
    with in_transaction():
        lost = worth.lost_since(since, [DropReason.WINDOW_EXPIRED], ages, clock.now())
    assert (lost.count, said(lost.worth)) == (3, "389.97 USD")
    assert (lost.saved, said(lost.worth_saved)) == (1, "129.99 USD")


def test_whether_something_became_too_old_under_more_that_came_so_than_are_looked_at_is_not_known(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, week = (merchant.merchant_id, "meta"), timedelta(days=7)
    bring(runtime, merchant, 3, occurred_at=(clock.now() - week).isoformat())
    drop(merchant, ["order_0", "order_1", "order_2"], DropReason.EVENT_TOO_OLD, clock, timedelta())
    since, ages = {key: clock.now() - timedelta(hours=1)}, {key: {"website": week.total_seconds()}}
    for most, is_known in ((4, True), (3, False)):
        monkeypatch.setattr(worth, "MOST_TOO_OLD", most)
        with in_transaction():
            lost = worth.lost_since(since, [DropReason.EVENT_TOO_OLD], ages, clock.now())
        assert (lost.count, lost.worth.is_all) == (0, is_known)
        assert was_lost(lost.count, lost.worth, 0, NOTHING) == ("" if is_known else NOT_COUNTED)


def test_money_that_was_given_back_is_no_sale_and_takes_nothing_off_one(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    bring(runtime, merchant, 2, custom_data={"value": -50, "currency": "EUR"})
    assert said(sales(merchant, clock).waiting) == ""
    bring(runtime, merchant, 1, 2, custom_data={"value": "79.99", "currency": "eur"})
    bring(runtime, merchant, 1, 3, custom_data={"value": 1e-20, "currency": "USD"})
    assert said(sales(merchant, clock).waiting) == "79.99 EUR"


def test_what_was_tried_in_vain_and_what_was_dropped_since_are_told_apart(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    bring(runtime, merchant, 7)
    fail(merchant, ["order_0", "order_1"], clock, timedelta(minutes=5))
    fail(merchant, ["order_2", "order_6"], clock, timedelta(hours=2))  # before it began, and again since
    drop(merchant, ["order_1", "order_2"], DropReason.RETRIES_EXHAUSTED, clock, timedelta(minutes=1))
    drop(merchant, ["order_3"], DropReason.INVALID_FIELD, clock, timedelta(hours=2))  # before it began
    drop(merchant, ["order_4"], DropReason.CONSENT_DENIED, clock, timedelta(minutes=1))  # nobody's loss
    found = sales(merchant, clock)
    assert found.waiting == Worth({"USD": Decimal("389.97")})
    assert found.failing == Worth({"USD": Decimal("129.99")})
    assert found.refused == Worth({"USD": Decimal("129.99")})
    assert found.lost == {DropReason.RETRIES_EXHAUSTED: Worth({"USD": Decimal("259.98")})}


def test_of_more_than_a_thousand_a_thousand_are_added_up_and_told_as_the_least(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for first in range(0, 2200, 500):
        bring(runtime, merchant, min(500, 2200 - first), first, custom_data={"value": 1, "currency": "USD"})
    dropped = [f"order_{n}" for n in range(1100)]
    drop(merchant, dropped, DropReason.WINDOW_EXPIRED, clock, timedelta(minutes=1))
    found = sales(merchant, clock)
    assert found.waiting == Worth({"USD": Decimal(1000)}, is_all=False)
    assert found.lost == {DropReason.WINDOW_EXPIRED: Worth({"USD": Decimal(1000)}, is_all=False)}


def test_what_is_lost_again_after_a_redelivery_counts_however_many_newer_ones_were_lost_before(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    bring(runtime, merchant, 3)
    clock.move(timedelta(seconds=1))
    for first in (3, 503):
        bring(runtime, merchant, 500, first)
    drop(merchant, [f"order_{n}" for n in range(3, 1003)], DropReason.WINDOW_EXPIRED, clock, timedelta(hours=2))
    drop(merchant, ["order_0", "order_1", "order_2"], DropReason.WINDOW_EXPIRED, clock, timedelta(minutes=1))
    found = sales(merchant, clock)
    assert found.lost == {DropReason.WINDOW_EXPIRED: Worth({"USD": Decimal("389.97")})}
    assert found.dropped == {DropReason.WINDOW_EXPIRED: 3}


def test_both_are_read_by_their_keys(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    for first in range(0, 3000, 500):
        bring(runtime, merchant, 500, first)
    drop(merchant, [f"order_{n}" for n in range(20)], DropReason.INVALID_FIELD, clock, timedelta(minutes=1))
    with in_transaction():
        execute("ANALYZE deliveries")
        execute("ANALYZE events")
    params = {
        "merchants": [merchant.merchant_id],
        "platforms": ["meta"],
        "since": [clock.now()],
        "failed_since": [clock.now()],
        "until": None,
        "dropped_until": None,
        "told_platforms": ["meta"],
        "told_since": [None],
        "told_until": [clock.now()],
        "told_failed_since": [clock.now()],
        "told_failed_until": [clock.now()],
        "now": clock.now(),
        "reasons": sorted(worth.LOST),
        "ages": ['{"website": 604800}'],
    }
    waiting = scans(worth.WAITING, params)
    assert waiting.keys() == {"deliveries_due", "events_pkey"}
    assert "platform" in waiting["deliveries_due"]
    assert "event_id" in waiting["events_pkey"]
    dropped = scans(worth.DROPPED, params)
    assert dropped.keys() == {"deliveries_lost", "events_pkey"}
    assert "drop_reason" in dropped["deliveries_lost"]
    assert "finished_at" in dropped["deliveries_lost"]
    assert "event_id" in dropped["events_pkey"]
