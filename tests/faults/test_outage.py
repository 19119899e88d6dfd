"""A platform that hangs for every merchant, with real processes: found out once, probed by few, released for all."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.factories import draft, new_merchant
from tests.faults.conftest import Installation
from tests.faults.test_processes import count, select
from tests.servers import wait_until
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import Changed, example_settings, set_destination
from tracklayer.services.ingest import ingest_events

SHOPS = 40
PATIENCE = 150.0  # seconds: a time-out takes ten, the first probe comes after thirty

HELD = "SELECT count(*) FROM destinations WHERE platform = 'meta' AND state = 'held' AND strpos(state_reason, 'every merchant') > 0"


def requests(installation: Installation, platform: str) -> int:
    found = httpx.get(f"{installation.sandbox.url}/_requests", params={"limit": 5000}).json()["requests"]
    return sum(request["platform"] == platform for request in found)


def test_a_platform_that_hangs_is_found_out_once_whoever_dies_and_all_go_out_when_it_answers(
    installation: Installation, runtime: Runtime, now: Callable[[], str]
) -> None:
    installation.fault(kind="hang")
    shops = [new_merchant(runtime, name=f"Shop {number}") for number in range(SHOPS)]
    settings = example_settings(mapper_for("tiktok"))
    assert isinstance(set_destination(runtime, shops[0].merchant_id, "tiktok", settings, None), Changed)
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft(f"e_{shop.merchant_id}", occurred_at=now())])
    first, _ = installation.worker(), installation.worker()
    installation.scheduler()
    wait_until(lambda: requests(installation, "tiktok") == 1, "the other platform's event to go out", PATIENCE)
    wait_until(lambda: count(HELD) == SHOPS, "all to be held", PATIENCE)
    found_out = requests(installation, "meta")
    assert found_out <= SHOPS  # as many as there were threads for, and not each three times
    # The next round's probes hang, too, and with them one of the workers dies.
    wait_until(lambda: requests(installation, "meta") > found_out, "a probe", PATIENCE)
    first.kill()
    ingest_events(runtime, shops[0].holder, [draft("fresh", occurred_at=now())])
    wait_until(
        lambda: count("SELECT count(*) FROM deliveries WHERE event_id = 'fresh' AND status = 'delivered'") == 1,
        "the other platform's next event to go out",
        PATIENCE,
    )
    httpx.delete(f"{installation.sandbox.url}/_faults").raise_for_status()
    installation.worker()
    wait_until(
        lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == SHOPS + 3,
        "all to go out",
        PATIENCE,
    )
    assert select("SELECT opened_at, recovering_since IS NOT NULL FROM platform_health") == [(None, True)]
    assert count(HELD) == 0
    assert max(installation.accepted().values()) <= 3
