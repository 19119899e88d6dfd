"""How destinations stand, from the rows: asked of all of them at once."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import Api, Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, pause_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.redeliver import redeliver_matching

STANDING = """{ merchant { destinations { platform state waiting openAlerts { title }
  standing { lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt } } } }"""
NOTHING = {
    "lastDeliveredAt": None,
    "deliveredPerMinute": 0.0,
    "waitingSince": None,
    "deadline": None,
    "givenUpBy": None,
    "emptyAt": None,
}


async def standing(api: Api) -> dict[str, dict[str, Any]]:
    found = (await api(STANDING))["merchant"]["destinations"]
    return {row["platform"]: row for row in found}


def send(runtime: Runtime, merchant: Merchant, clock: FrozenClock, *event_ids: str, **changes: Any) -> None:
    events = [draft(event_id, **{"occurred_at": clock.now().isoformat(), **changes}) for event_id in event_ids]
    ingest_events(runtime, merchant.holder, events)


async def test_a_destination_without_events_has_nothing_to_tell(api: Api, merchant: Merchant) -> None:
    meta = (await standing(api))["META"]
    assert meta == {"platform": "META", "state": "ACTIVE", "waiting": 0, "openAlerts": [], "standing": NOTHING}


async def test_what_was_delivered_and_what_waits(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    send(runtime, merchant, clock, "order_1", "order_2")
    clock.move(timedelta(seconds=30))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    clock.move(timedelta(minutes=1))
    send(runtime, merchant, clock, "order_3")
    clock.move(timedelta(minutes=1))
    found = (await standing(api))["META"]["standing"]
    assert found == {
        "lastDeliveredAt": "2026-11-20T15:00:00.000Z",
        "deliveredPerMinute": 0.36,  # two in the five and a half minutes since 14:57
        "waitingSince": "2026-11-20T15:01:30.000Z",
        "deadline": "2026-11-21T15:01:30.000Z",
        "givenUpBy": "WINDOW",
        "emptyAt": None,  # three came and two left
    }


async def test_the_platforms_own_age_limit_may_come_first(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    happened = clock.now() - timedelta(days=7) + timedelta(hours=3)
    send(runtime, merchant, clock, "fresh")
    send(runtime, merchant, clock, "old", occurred_at=happened.isoformat())
    found = (await standing(api))["META"]["standing"]
    assert found["deadline"] == "2026-11-20T18:00:00.000Z"
    assert found["givenUpBy"] == "PLATFORM_AGE"


async def test_one_that_failed_and_is_due_late_is_still_the_one_that_waits_longest(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int, sandbox: SandboxServer
) -> None:
    fault = {"platform": "meta", "kind": "refuse", "event_ids": ["first"], "count": 99}
    httpx.post(f"{sandbox.url}/_faults", json=fault).raise_for_status()
    begin = clock.now()
    send(runtime, merchant, clock, "first")
    for minutes in (0, 3, 11):
        clock.move(timedelta(minutes=minutes))
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
    send(runtime, merchant, clock, *(f"later_{number}" for number in range(150)))
    found = (await standing(api))["META"]["standing"]
    assert found["waitingSince"] == begin.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_redelivery_begins_to_wait_anew(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    send(runtime, merchant, clock, "order_1", event_name="Refund")
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    clock.move(timedelta(days=2))
    redeliver_matching(runtime, merchant.merchant_id, DeliverySearch(drop_reason=("unsupported_event",)))
    found = (await standing(api))["META"]["standing"]
    assert found["waitingSince"] == "2026-11-22T15:00:00.000Z"
    assert found["deadline"] == "2026-11-23T15:00:00.000Z"


async def test_a_paused_one_has_no_forecast_and_its_open_alerts_beside_it(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    send(runtime, merchant, clock, "order_1", "order_2")
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    pause_destination(runtime, merchant.merchant_id, "meta")
    send(runtime, merchant, clock, "order_3")
    with in_transaction():
        for title, platform, resolved in (
            ("Meta is down", "meta", None),
            ("It was down", "meta", clock.now()),
            ("No events", None, None),
        ):
            execute(
                "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, opened_at, last_seen_at, "
                "resolved_at) VALUES (%s, 'platform_down', 'critical', %s, %s, '', %s, %s, %s)",
                (merchant.merchant_id, platform, title, clock.now(), clock.now(), resolved),
            )
    clock.move(timedelta(minutes=1))
    meta = (await standing(api))["META"]
    assert (meta["state"], meta["waiting"], meta["openAlerts"]) == ("PAUSED", 1, [{"title": "Meta is down"}])
    assert meta["standing"]["emptyAt"] is None


async def test_ten_destinations_cost_as_many_statements_as_one(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    counts = []
    for platforms in ([], ["tiktok", "pinterest", "snapchat"]):
        for platform in platforms:
            set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)), None)
        send(runtime, merchant, clock, f"order_{len(platforms)}")
        with caplog.at_level(logging.DEBUG, logger="peewee"):
            caplog.clear()
            assert len(await standing(api)) == 1 + len(platforms)
        asked = [record.getMessage() for record in caplog.records if record.name == "peewee"]
        # Whose key it is, and how platforms are doing, is known for a second, whatever is asked.
        known = ("api_keys", "platform_health")
        counts.append(len([text for text in asked if "SELECT" in text and not any(name in text for name in known)]))
    assert counts[0] == counts[1]
