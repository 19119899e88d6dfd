"""What is told of a loss when its alert is over, or was over before: to everybody, and each delivery once."""

from __future__ import annotations

from datetime import timedelta

import httpx

from tests.services.test_lost_meanwhile import Told, lose, refuse_sixty, told, tries_again
from tests.services.test_monitor import Scene, scene
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.services.late_losses import tell_late_losses
from tracklayer.services.redeliver import redeliver_matching
from tracklayer.services.sweep import sweep

__all__ = ["scene", "told"]

WAITS = "60 deliveries, worth 7,799.40 USD in sales, failed meanwhile and wait for another attempt"


def figures(told: Told) -> list[tuple[str, int | None]]:
    """Of each message to the webhook: its type, and how many it says were lost."""
    return [(got.json["type"], got.json["data"]["alert"]["details"].get("lost_deliveries")) for got in told.hooks.got]


def redeliver(told: Told) -> None:
    scene = told.scene
    what = DeliverySearch(platform="meta", status=("dropped",))
    redeliver_matching(scene.runtime, scene.merchant.merchant_id, what)


def opens_again_briefly(told: Told) -> Scene:
    """An outage that is over, but for what waits, and back."""
    refuse_sixty(told)
    scene = told.scene
    told.passes(90, every=1)
    scene.fault("refuse")
    told.passes(60, every=1)
    assert scene.alerts() == [("platform_down", True)]
    return scene


def test_what_is_lost_while_an_alert_is_open_again_too_shortly_to_be_told_is_told_to_whoever_knows_of_its_end(
    told: Told,
) -> None:
    scene = opens_again_briefly(told)
    lose("retries_exhausted", "status = 'failed' AND substr(event_id, 7)::int < 130", scene.clock)
    scene.mend()
    told.passes(90, every=1)
    assert scene.alerts() == [("platform_down", False)]
    tries_again(told)
    assert figures(told) == [("alert.opened", None), ("alert.resolved", None), ("alert.resolved", 60)]
    _, first, second = told.texts()
    assert f"It is over. {WAITS}" in first
    assert "It is over. 60 deliveries, worth 7,799.40 USD in sales, were lost meanwhile: redeliver what was" in second


def test_what_loses_nothing_while_it_is_open_again_too_shortly_to_be_told_is_told_to_nobody(told: Told) -> None:
    scene = opens_again_briefly(told)
    scene.mend()
    told.passes(90, every=1)
    assert scene.alerts() == [("platform_down", False)]
    assert figures(told) == [("alert.opened", None), ("alert.resolved", None)]
    assert len(told.texts()) == 2


def test_what_is_lost_after_an_end_is_told_also_where_all_stood_still_for_a_day(told: Told) -> None:
    refuse_sixty(told)
    told.scene.clock.move(timedelta(hours=25))
    with in_transaction():
        assert rows("SELECT status, count(*) FROM deliveries WHERE due_at IS NOT NULL GROUP BY 1") == [("failed", 60)]
    tell_late_losses(told.scene.runtime, [told.scene.merchant.merchant_id])
    assert figures(told) == [("alert.opened", None), ("alert.resolved", None)]
    sweep(told.scene.runtime)
    told.passes(660, every=60)
    assert figures(told) == [("alert.opened", None), ("alert.resolved", None), ("alert.resolved", 60)]
    late = told.texts()[-1]
    assert "It is over. 60 deliveries, worth 7,799.40 USD in sales, were lost since it was over: redeliver what" in late


def test_what_was_told_after_an_end_is_not_told_again_by_the_next_end_of_the_same_alert(told: Told) -> None:
    refuse_sixty(told)
    scene = told.scene
    told.passes(120, every=5)
    lose("retries_exhausted", "status = 'failed'", scene.clock)
    scene.mend()
    told.passes(300, every=5)
    assert figures(told)[2:] == [("alert.resolved", 60)]
    scene.fault("credentials")
    told.passes(420, every=30)
    assert scene.alerts() == [("platform_down", True)]
    lose("window_expired", "TRUE", scene.clock)
    scene.mend()
    told.passes(300, every=30)
    assert scene.alerts() == [("platform_down", False)]
    with in_transaction():
        lost = dict(rows("SELECT drop_reason, count(*) FROM deliveries WHERE status = 'dropped' GROUP BY 1"))
    assert lost["retries_exhausted"] == 60
    assert figures(told)[3:] == [("alert.opened", None), ("alert.resolved", lost["window_expired"])]


def test_what_is_redelivered_before_the_end_and_taken_is_not_lost_in_its_figures(told: Told) -> None:
    scene = told.scene
    told.passes(30, every=10)
    scene.fault("credentials")
    told.passes(60, every=20)
    told.hours(26)
    redeliver(told)
    scene.mend()
    told.hours(1)
    told.passes(120, every=30)
    assert figures(told) == [("alert.opened", None), ("alert.reminder", 2), ("alert.resolved", None)]
    assert "lost_worth" not in told.hooks.got[-1].json["data"]["alert"]["details"]


def test_what_is_redelivered_after_the_end_and_lost_again_is_lost_once(told: Told) -> None:
    scene = told.scene
    told.passes(60, every=1)
    first = scene.sent
    refused = [f"order_{n}" for n in range(first, first + 60)]
    fault = {"platform": "meta", "kind": "refuse", "event_ids": refused}
    httpx.post(f"{scene.sandbox.url}/_faults", json=fault).raise_for_status()
    told.passes(60, every=1)
    lose("retries_exhausted", f"status = 'failed' AND substr(event_id, 7)::int < {first + 30}", scene.clock)
    told.passes(90, every=1)
    assert "It is over. 30 deliveries, worth 3,899.70 USD in sales, were lost meanwhile" in told.texts()[-1]
    scene.clock.move(timedelta(minutes=1))
    redeliver(told)
    tries_again(told)
    assert figures(told) == [("alert.opened", None), ("alert.resolved", 30), ("alert.resolved", 60)]
    late = told.texts()[-1]
    lost = "60 deliveries, worth 7,799.40 USD in sales, were lost since it was over: redeliver what was dropped."
    assert f"It is over. {lost} It was about this: " in late
    assert told.hooks.got[-1].json["data"]["alert"]["details"]["lost_worth"] == {"USD": "7799.40"}
