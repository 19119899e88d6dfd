"""Events of a source that a destination is not set up for are told as advice, until they are taken."""

from __future__ import annotations

from datetime import timedelta

from tests.factories import AGENT, Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db.advice import advice_of
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import sandbox_destinations, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.monitor import Watch

PLATFORMS = ("meta", "tiktok", "snapchat")
FROM_APP = {
    "action_source": "app",
    "user_data": {"email": "somebody@example.com", "client_ip": "203.0.113.42", "client_user_agent": AGENT},
}


def send(runtime: Runtime, merchant: Merchant, worker: int, first: int, count: int) -> None:
    """``count`` purchases in an app, and as many on the website."""
    at = runtime.clock.now().isoformat()
    drafts: list[dict[str, object]] = []
    for n in range(first, first + count):
        for where, changes in (("web", {}), ("app", FROM_APP)):
            order = {"value": 10 + n + len(drafts), "currency": "USD", "order_id": f"{where}_{n}"}
            drafts.append(draft(f"{where}_{n}", occurred_at=at, custom_data=order, **changes))
    ingest_events(runtime, merchant.holder, drafts)
    for platform in PLATFORMS:
        while deliver_due(runtime, worker, merchant.merchant_id, platform):
            pass


def advice(merchant: Merchant) -> dict[str, Advice]:
    with in_transaction():
        found = advice_of([merchant.merchant_id])
    return {
        platform: one
        for (_, platform), of_one in found.items()
        for one in of_one
        if one.code is AdviceCode.SOURCE_NOT_TAKEN
    }


def test_an_app_beside_a_web_shop_is_told_where_it_is_not_taken(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    sandbox_destinations(runtime, merchant.merchant_id, PLATFORMS)
    watch = Watch(runtime)
    send(runtime, merchant, worker, 0, 12)
    watch.look()
    found = advice(merchant)
    assert sorted(found) == ["snapchat", "tiktok"]
    tiktok = found["tiktok"]
    assert tiktok.sentence == (
        "12 Purchase events from your app (`app`) did not go to TikTok in the last day: the destination is not set up for"
        " events of this source."
    )
    assert "set tiktok_app_id" in tiktok.next_step
    assert tiktok.count == 12
    assert (tiktok.example_event_id or "").startswith("app_")
    assert "snap_app_id" in found["snapchat"].next_step
    with in_transaction():
        assert rows("SELECT kind FROM alerts") == []
    # Once it is set up, what comes is taken; a day later nothing is said any more.
    set_destination(runtime, merchant.merchant_id, "tiktok", {"tiktok_app_id": "7123456789012345678"})
    for hours in (25, 1, 1):
        clock.move(timedelta(hours=hours, minutes=1))
        watch.look()
    assert advice(merchant) == {}


def test_an_event_that_a_platform_does_not_have_is_nothing_to_advise_on(
    runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    sandbox_destinations(runtime, merchant.merchant_id, PLATFORMS)
    at = runtime.clock.now().isoformat()
    ingest_events(runtime, merchant.holder, [draft("back", event_name="Refund", occurred_at=at)])
    for platform in PLATFORMS:
        deliver_due(runtime, worker, merchant.merchant_id, platform)
    Watch(runtime).look()
    assert advice(merchant) == {}
