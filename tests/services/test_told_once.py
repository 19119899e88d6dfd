"""A loss that several alerts of a destination could tell is told by one of them: the one that was open first when it happened."""

from __future__ import annotations

import httpx

from tests.services.test_lost_meanwhile import Told, lose, refuse_every_other, told
from tests.services.test_monitor import scene
from tracklayer.db.connection import in_transaction, rows
from tracklayer.services.alert import acknowledge_alert

__all__ = ["scene", "told"]

DOWN, DROP = "platform_down", "delivery_rate_drop"


def told_by(told: Told) -> list[tuple[str, int | None]]:
    """Of each end that was told to the webhook: which alert, and how many it says were lost."""
    ends = [got.json["data"]["alert"] for got in told.hooks.got if got.json["type"] == "alert.resolved"]
    return [(one["kind"].lower(), one["details"].get("lost_deliveries")) for one in ends]


def dropped(reason: str) -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM deliveries WHERE drop_reason = %s", (reason,))[0][0])


def goes_down_in_a_drop(told: Told) -> None:
    refuse_every_other(told)
    told.scene.fault("credentials")
    told.passes(180, every=5)
    assert sorted(told.scene.alerts()) == [(DROP, True), (DOWN, True)]


def loses_after_both(told: Told) -> None:
    """What failed in both alerts is lost when both are over."""
    goes_down_in_a_drop(told)
    with in_transaction():
        failed = [row[0] for row in rows("SELECT event_id FROM deliveries WHERE status = 'failed'")]
    told.scene.mend()
    fault = {"platform": "meta", "kind": "refuse", "event_ids": failed}
    httpx.post(f"{told.scene.sandbox.url}/_faults", json=fault).raise_for_status()
    told.passes(540, every=1)
    assert sorted(told.scene.alerts()) == [(DROP, False), (DOWN, False)]
    lose("retries_exhausted", "status = 'failed'", told.scene.clock)
    told.passes(600)


def ends_both(told: Told) -> None:
    told.scene.mend()
    told.passes(540, every=1)
    assert sorted(told.scene.alerts()) == [(DROP, False), (DOWN, False)]


def test_what_is_lost_while_two_alerts_are_open_is_told_by_the_earlier_one(told: Told) -> None:
    goes_down_in_a_drop(told)
    lose("retries_exhausted", "status = 'failed'", told.scene.clock)
    lose("window_expired", "TRUE", told.scene.clock)
    ends_both(told)
    refused, unsent = dropped("retries_exhausted"), dropped("window_expired")
    assert sorted(told_by(told), key=str) == [(DROP, refused), (DOWN, unsent)]


def test_what_is_lost_to_the_earlier_alert_when_the_later_one_is_over_is_not_told_by_that_one(told: Told) -> None:
    goes_down_in_a_drop(told)
    told.scene.mend()
    refuse_on = [f"order_{n}" for n in range(0, 4000, 2)]
    told.scene.fault("refuse", event_ids=refuse_on)
    told.passes(300, every=1)
    told.scene.mend()
    lose("retries_exhausted", "status = 'failed'", told.scene.clock)
    told.passes(540, every=1)
    assert sorted(told.scene.alerts()) == [(DROP, False), (DOWN, False)]
    told.passes(600)
    assert sum(count or 0 for _, count in told_by(told)) == dropped("retries_exhausted")


def test_what_an_alert_lost_of_which_somebody_took_note_is_told_by_the_other_one(told: Told) -> None:
    goes_down_in_a_drop(told)
    acknowledge_alert(told.scene.runtime, told.scene.merchant.merchant_id, 1)
    lose("retries_exhausted", "status = 'failed'", told.scene.clock)
    lose("window_expired", "TRUE", told.scene.clock)
    ends_both(told)
    everything = dropped("retries_exhausted") + dropped("window_expired")
    assert (DOWN, everything) in told_by(told)


def test_what_failed_in_two_alerts_and_is_lost_after_both_is_told_by_the_earlier_one(told: Told) -> None:
    loses_after_both(told)
    late = [one for one in told_by(told) if one[1] is not None]
    assert late == [(DROP, dropped("retries_exhausted"))]
