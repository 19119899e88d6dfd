"""An outage of one platform, of many merchants: found out once, held and probed together, released at one pace."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import NOW
from tests.factories import API_KEY_SECRET, META, Merchant, draft, new_merchant
from tests.services.test_deliver import accepted, fault, mend
from tests.sessions import other_session
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db import outages as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.destinations import destination, destinations
from tracklayer.db.leases import claim_due, start_sending
from tracklayer.db.outages import platforms
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.outage import PROBES, SERVING, PlatformHealth
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services import watch_operator
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import (
    Changed,
    example_settings,
    pause_destination,
    resume_destination,
    set_destination,
)
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.monitor import Watch
from tracklayer.services.outage import WAKE_IN_DOUBT, as_shown, may_claim, to_wake
from tracklayer.services.sweep import some_with_work, sweep

REASON = "unreachable: 500 an error instead of an answer (down for every merchant since 2026-11-20 15:00 UTC)"
SECOND = timedelta(seconds=1)


class Town:
    """Merchants whose deliveries go out as their workers' would: a sweep a second, and each that it wakes, one by one."""

    def __init__(self, runtime: Runtime, clock: FrozenClock, sandbox: SandboxServer, worker: int, count: int) -> None:
        self.runtime, self.clock, self.sandbox, self.worker = runtime, clock, sandbox, worker
        self.shops = [new_merchant(runtime, name=f"Shop {number}") for number in range(count)]
        self.ids = [shop.merchant_id for shop in self.shops]
        self.messages: list[int] = []
        self.is_served: Callable[[int, str], bool] = lambda merchant_id, platform: True

    def ingest(self, event_id: str, shops: list[Merchant] | None = None) -> None:
        for shop in self.shops if shops is None else shops:
            ingest_events(self.runtime, shop.holder, [draft(f"{event_id}_{shop.merchant_id}")])

    def live(self, seconds: int, every: int = 1) -> None:
        """``every``: seconds between two sweeps."""
        for _ in range(0, seconds, every):
            woken = to_wake(self.runtime, sweep(self.runtime).wake)
            self.messages.append(len(woken))
            for merchant_id, platform in woken:
                while self.is_served(merchant_id, platform) and deliver_due(
                    self.runtime, self.worker, merchant_id, platform
                ):
                    pass
            self.clock.move(every * SECOND)

    def requests(self) -> Counter[str]:
        found = httpx.get(f"{self.sandbox.url}/_requests", params={"limit": 5000}).json()["requests"]
        return Counter(request["platform"] for request in found)

    def states(self) -> Counter[tuple[str, str | None]]:
        with in_transaction():
            return Counter(rows("SELECT state, state_reason FROM destinations WHERE platform = 'meta'"))

    def delivered(self) -> int:
        with in_transaction():
            return int(rows("SELECT count(*) FROM deliveries WHERE status = 'delivered'")[0][0])

    @property
    def platform(self) -> PlatformHealth:
        with in_transaction():
            return platforms(self.sandbox.url).get("meta", SERVING)


@pytest.fixture
def town(request: Any, runtime: Runtime, clock: FrozenClock, sandbox: SandboxServer, worker: int) -> Town:
    """As many merchants as the test says, or twelve. The process looks anew each time, since the clock stands still."""
    runtime.outages.seconds = 0
    runtime.settings = replace(runtime.settings, retry_base=timedelta(seconds=5))
    return Town(runtime, clock, sandbox, worker, getattr(request, "param", 12))


@pytest.mark.parametrize("town", [300], indirect=True)
def test_an_outage_of_three_hundred_merchants_is_found_out_once_and_all_go_out_when_it_is_over(town: Town) -> None:
    others = town.shops[:20]
    tiktok = example_settings(mapper_for("tiktok"))
    for shop in others:
        assert isinstance(set_destination(town.runtime, shop.merchant_id, "tiktok", tiktok, None), Changed)
    fault(town.sandbox, kind="error", status=500)
    town.ingest("first")
    town.ingest("second", others)
    town.live(20)
    # All were tried in the first second; then, while it was in doubt, twenty a second, until five seconds had passed.
    found_out = town.requests()["meta"]
    assert found_out <= 300 + 5 * 20
    assert sum(town.messages) <= 320 + 6 * 20
    assert town.platform.is_down
    assert town.states() == {("held", REASON): 300}
    # For a quarter of an hour three probes a round, and as many messages; what arrives meanwhile is held, too.
    town.messages.clear()
    town.ingest("third", others)
    town.live(800, every=5)
    rounds = 5  # after 30, 90, 210, 450 and 750 s
    assert town.requests()["meta"] == found_out + PROBES * rounds
    assert sum(town.messages) == PROBES * rounds + len(others)
    assert town.states() == {("held", REASON): 300}
    with in_transaction():
        assert rows("SELECT sum(attempts) FROM deliveries WHERE platform = 'meta'")[0][0] >= found_out
        assert rows("SELECT count(*) FROM deliveries WHERE platform = 'tiktok' AND status <> 'delivered'") == [(0,)]
    # It is over: one probe says so, and the others follow at a pace that all share.
    mend(town.sandbox)
    for _ in range(61):
        if town.platform.is_down:
            town.live(5, every=5)
    sweep(town.runtime)
    assert town.states() == {("active", None): 300}
    now = town.clock.now()
    with in_transaction():
        starts = [row[0] for row in rows("SELECT recovering_since FROM destinations WHERE platform = 'meta'")]
    soon = [sum(start <= now + second * SECOND for start in starts) for second in (1, 5, 20)]
    assert soon[0] <= 30
    assert soon[1] <= 160
    assert soon[2] == 300
    town.live(60)
    assert town.delivered() == 300 + 20 + 2 * (20 + 20)
    assert set(accepted(town.sandbox).values()) == {1}
    assert check_invariants(town.clock.now()) == []


def open_it(town: Town) -> None:
    """All of the town fail, twice, with five seconds between."""
    fault(town.sandbox, kind="error", status=500)
    town.ingest("first")
    town.live(1)
    town.clock.move(timedelta(seconds=5))
    town.ingest("fresh", town.shops[:1])
    town.live(1)
    assert town.platform.is_down


def close_it(town: Town) -> None:
    mend(town.sandbox)
    town.live(60)
    assert not town.platform.is_down


def shop_of(town: Town, number: int) -> Any:
    with in_transaction():
        found = destination(town.ids[number], "meta")
    assert found is not None
    return found


def test_one_merchants_own_fault_opens_nothing_and_neither_do_two(town: Town) -> None:
    fault(town.sandbox, kind="error", status=500)
    for number in range(60):
        town.ingest(f"e{number}", town.shops[:2])
        town.live(1)
    assert not town.platform.is_down
    assert shop_of(town, 0).state_reason.startswith("unreachable: 500 An unexpected error")
    assert "down for every merchant" not in shop_of(town, 0).state_reason
    assert town.states()["active", None] == 10


def test_while_anybody_is_answered_nothing_opens_however_many_fail(town: Town) -> None:
    fault(town.sandbox, kind="error", status=500, share=0.7)
    for number in range(30):
        town.ingest(f"e{number}")
        town.live(1)
    assert not town.platform.is_down


def test_what_is_meant_for_another_address_is_no_evidence(town: Town, database: str) -> None:
    open_it(town)
    real = Runtime(replace(town.runtime.settings, sandbox_url=None), database, Sealer([API_KEY_SECRET]), town.clock)
    assert may_claim(real, town.ids[0], "meta")
    assert not may_claim(town.runtime, town.ids[0], "meta")
    real.close()


def test_while_it_is_down_nobody_looks_and_no_statement_is_spent(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    open_it(town)
    town.live(2)
    town.runtime.outages.seconds = 1000
    assert to_wake(town.runtime, [(town.ids[0], "meta")]) == []
    own, real = threading.get_ident(), connection.database.execute_sql

    def run(*args: Any, **kwargs: Any) -> Any:
        assert threading.get_ident() != own, "a statement"  # what others of this process do is nothing of ours
        return real(*args, **kwargs)

    monkeypatch.setattr(connection.database, "execute_sql", run)
    for shop in town.shops:
        assert not deliver_due(town.runtime, town.worker, shop.merchant_id, "meta")
    assert to_wake(town.runtime, [(one, "meta") for one in town.ids]) == []
    assert to_wake(town.runtime, [(one, "tiktok") for one in town.ids]) == [(one, "tiktok") for one in town.ids]


def test_workers_that_look_for_themselves_find_only_what_may_go(town: Town) -> None:
    open_it(town)
    assert some_with_work(town.runtime, 100) == []


def test_two_processes_share_it_and_each_probe_is_sent_by_one_of_them(town: Town, database: str) -> None:
    open_it(town)
    town.live(1)
    other = Runtime(town.runtime.settings, database, Sealer([API_KEY_SECRET]), town.clock, jitter=lambda: 0.0)
    other.outages.seconds = 0
    lock = WorkerLock(database)
    try:
        before = town.requests()["meta"]
        for shop in town.shops:
            assert not deliver_due(other, lock.number(), shop.merchant_id, "meta")
        assert town.requests()["meta"] == before
        town.clock.move(timedelta(seconds=30))
        woken = sweep(other).wake
        assert len(woken) == PROBES
        for merchant_id, platform in woken:
            deliver_due(other, lock.number(), merchant_id, platform)
            deliver_due(town.runtime, town.worker, merchant_id, platform)
        assert town.requests()["meta"] == before + PROBES
        mend(town.sandbox)
        town.clock.move(timedelta(seconds=60))
        merchant_id, platform = sweep(town.runtime).wake[0]
        deliver_due(other, lock.number(), merchant_id, platform)
        assert may_claim(town.runtime, town.ids[0], "meta")
    finally:
        lock.release()
        other.close()


def test_a_prober_that_dies_is_made_up_for_by_the_others_and_by_the_next_round(town: Town) -> None:
    open_it(town)
    town.live(1)
    town.clock.move(timedelta(seconds=30))
    probers = sweep(town.runtime).wake
    assert all(
        may_claim(town.runtime, *key) for key in probers
    )  # their turn is used up, and nothing is ever heard of them
    mend(town.sandbox)
    town.live(59)
    assert town.platform.is_down
    town.live(4)
    assert not town.platform.is_down


def test_a_merchant_that_is_broken_by_its_own_fault_keeps_nobody_back(town: Town) -> None:
    open_it(town)
    broken = set(town.ids[:9])
    town.is_served = lambda merchant_id, platform: merchant_id not in broken
    mend(town.sandbox)
    town.live(400)  # in four rounds at most all others were named
    assert not town.platform.is_down


def test_what_is_the_destinations_own_stays_so(town: Town) -> None:
    refused, paused = town.shops[:2]
    own = ("held", "credentials refused: expired")
    with in_transaction():
        execute(
            "UPDATE destinations SET state = %s, state_reason = %s, resume_at = %s, failing_since = %s "
            "WHERE merchant_id = %s",
            (*own, NOW, NOW, refused.merchant_id),
        )
    assert isinstance(pause_destination(town.runtime, paused.merchant_id, "meta"), Changed)
    town.shops = town.shops[2:]
    open_it(town)
    town.ingest("own", [refused, paused])
    town.live(3)
    assert town.states() == {own: 1, ("paused", "paused by the merchant"): 1, ("held", REASON): 10}
    close_it(town)
    town.live(60)  # its credentials are good by now, as its own probe finds out
    assert town.states() == {("active", None): 11, ("paused", "paused by the merchant"): 1}


def test_a_merchant_that_resumes_its_destination_meanwhile_is_held_again(town: Town) -> None:
    open_it(town)
    town.live(2)
    before = town.requests()["meta"]
    assert isinstance(resume_destination(town.runtime, town.ids[3], "meta"), Changed)
    town.live(2)
    assert (shop_of(town, 3).state, shop_of(town, 3).state_reason) == ("held", REASON)
    assert isinstance(set_destination(town.runtime, town.ids[4], "meta", META, None), Changed)
    town.live(2)
    assert (shop_of(town, 4).state, town.requests()["meta"]) == ("held", before)


def test_whoever_sends_first_after_a_night_without_events_is_the_probe(town: Town) -> None:
    open_it(town)
    town.live(2)
    with in_transaction():  # nothing of anybody waits any more
        execute(
            "UPDATE deliveries SET due_at = NULL, status = 'dropped', drop_reason = 'window_expired', finished_at = %s",
            (NOW,),
        )
        execute("UPDATE destinations SET resume_at = %s WHERE state = 'held'", (NOW,))
    town.clock.move(timedelta(hours=8))
    town.live(2)
    mend(town.sandbox)
    town.ingest("morning", town.shops[5:6])
    town.live(400)
    assert not town.platform.is_down
    assert town.states() == {("active", None): 12}
    assert accepted(town.sandbox) == {f"morning_{town.ids[5]}": 1}


def test_it_tells_each_merchant_by_its_own_alert_and_the_operator_once(town: Town) -> None:
    watch = Watch(town.runtime)
    open_it(town)
    town.live(60)
    watch.look()
    with in_transaction():
        alerts = rows("SELECT merchant_id, title, message, resolved_at FROM alerts WHERE kind = 'platform_down'")
        assert [found[0] for found in alerts] == town.ids
        assert {found[1] for found in alerts} == {"Meta answers with errors (500)"}
        assert all(f"The reason: {REASON}." in found[2] for found in alerts)
        execute(
            "INSERT INTO heartbeats (instance, role, host, version, started_at, beat_at, says) "
            "VALUES ('w', 'worker', 'a', '1', clock_timestamp(), clock_timestamp(), '{}')"
        )
    facts = watch_operator.facts_now({}, town.clock.now(), with_queue=False)
    assert [(down.title, down.held, down.since) for down in facts.down] == [("Meta", 12, NOW)]
    watch_operator.look(facts)
    watch_operator.look(facts)
    assert [(trouble.kind, trouble.title) for trouble in watch_operator.open_troubles()] == [
        ("platform_down:meta", "Meta serves no merchant")
    ]
    close_it(town)
    for _ in range(10):
        town.live(60, every=10)
        watch.look()
    with in_transaction():
        assert rows("SELECT count(*) FROM alerts WHERE kind = 'platform_down' AND resolved_at IS NULL") == [(0,)]
    assert watch_operator.facts_now({}, town.clock.now(), with_queue=False).down == []


def test_whoever_has_nothing_to_send_is_shown_that_the_platform_is_down_too(town: Town) -> None:
    idle = new_merchant(town.runtime, name="Idle")
    open_it(town)
    town.live(2)
    with in_transaction():
        (row,) = destinations(idle.merchant_id)
        assert (row.state, row.state_reason) == ("active", None)
        (shown,) = as_shown(town.runtime, [row])
    assert (shown.state, shown.state_reason, shown.resume_at) == ("held", REASON, town.platform.resume_at)
    close_it(town)
    with in_transaction():
        (shown,) = as_shown(town.runtime, destinations(idle.merchant_id))
    assert (shown.state, shown.state_reason) == ("active", None)


def test_whoever_found_it_out_first_is_held_and_released_with_the_others(town: Town) -> None:
    own = town.ids[0]
    fault(town.sandbox, kind="error", status=500)
    town.ingest("first", town.shops[:1])
    with in_transaction():
        execute(
            "UPDATE destinations SET state = 'held', state_reason = 'unreachable: 500', failing_since = %s, resume_at = %s, "
            "probe_seconds = 240 WHERE merchant_id = %s",
            (NOW, NOW + timedelta(seconds=200), own),
        )
    town.shops = town.shops[1:]
    open_it(town)
    town.live(2)
    assert (shop_of(town, 0).state_reason, shop_of(town, 0).resume_at) == (REASON, NOW + timedelta(seconds=200))
    close_it(town)
    assert town.states() == {("active", None): 12}


@pytest.mark.parametrize("town", [40], indirect=True)
def test_of_a_platform_whose_requests_all_hang_no_more_are_woken_than_may_help(town: Town) -> None:
    settings = example_settings(mapper_for("tiktok"))
    for shop in town.shops:
        assert isinstance(set_destination(town.runtime, shop.merchant_id, "tiktok", settings, None), Changed)
    town.ingest("first")
    for merchant_id in town.ids[:4]:
        with in_transaction():
            lease, _ = claim_due(merchant_id, "meta", 1, town.clock.now(), town.worker) or pytest.fail("nothing is due")
            assert start_sending(lease, [f"first_{merchant_id}"], town.clock.now())
    assert len(sweep(town.runtime).wake) == 40 + 40  # nothing is known yet
    town.clock.move(timedelta(seconds=2))
    woken = Counter(platform for _, platform in sweep(town.runtime).wake)
    assert woken == {"meta": WAKE_IN_DOUBT, "tiktok": 40}


def test_what_is_asked_every_second_goes_by_an_index_however_many_destinations_there_are(town: Town) -> None:
    with in_transaction():
        execute("INSERT INTO merchants (name, created_at) SELECT 'M', %s FROM generate_series(1, 5000)", (NOW,))
        execute(
            "INSERT INTO destinations (merchant_id, platform, settings, secrets, created_at, state, state_reason, resume_at, "
            "failing_since) SELECT merchant_id, platform, '{}', '', %s, CASE WHEN is_held THEN 'held' ELSE 'active' END, "
            "CASE WHEN is_held THEN %s END, CASE WHEN is_held THEN %s::timestamptz END, "
            "CASE WHEN is_failing THEN %s::timestamptz END FROM (SELECT merchant_id, platform, CASE platform WHEN 'a' "
            "THEN merchant_id %% 20 > 1 WHEN 'b' THEN merchant_id %% 20 = 0 ELSE false END AS is_held, "
            "merchant_id %% 20 = 1 AND platform = 'b' AS is_failing "
            "FROM merchants, unnest('{a,b,c,d}'::text[]) AS platform WHERE name = 'M') AS x",
            (NOW, REASON, NOW, NOW),
        )
        execute("ANALYZE destinations")
    at = {
        "platform": "b",
        "now": NOW,
        "round": NOW,
        "since": NOW,
        "limit": 1000,
        "tried": [1],
        "count": 3,
        "most": 20_000,
    }
    held = {"merchants": [1, 2, 3], "reason": REASON, "until": NOW}
    for statement, index in (
        (db.CHOOSE, "destinations_"),  # of two small ones, what is known of their sizes decides
        (db.FAILING_WITH, "destinations_failing"),
        (db.LOCK_HELD, "destinations_down"),
        (db.PLATFORMS_HELD, "destinations_down"),
        (db.COUNT_HELD, "destinations_down"),
        (db.HOLD, "destinations_pkey"),
    ):
        with in_transaction():
            plan = "\n".join(row[0] for row in rows(f"EXPLAIN {statement}", {**at, **held}))  # type: ignore[arg-type]
        assert index in plan, plan
        assert "Seq Scan on destinations" not in plan


def test_three_broken_merchants_hold_the_others_back_once_at_most(town: Town) -> None:
    broken, well = town.shops[:3], town.shops[3:]
    fault(town.sandbox, kind="error", status=500)
    town.ingest("broken", broken)
    town.live(1)
    town.clock.move(timedelta(seconds=5))
    town.ingest("again", broken)
    town.live(1)
    assert town.platform.is_down
    mend(town.sandbox)
    town.ingest("first", well)
    town.is_served = lambda merchant_id, platform: merchant_id > broken[-1].merchant_id
    town.live(60)
    assert not town.platform.is_down
    assert town.delivered() == len(well)
    fault(town.sandbox, kind="error", status=500)  # of the broken ones alone, since nobody else sends now
    town.is_served = lambda merchant_id, platform: True
    for number in range(5):
        town.ingest(f"more_{number}", broken)
        town.live(5)
    assert not town.platform.is_down


def test_a_table_that_somebody_has_locked_stops_no_delivery(town: Town, database: str) -> None:
    town.ingest("first", town.shops[:1])
    with other_session(database) as session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE platform_health")
        town.runtime.outages.seconds = 1000  # it is looked at once
        assert deliver_due(town.runtime, town.worker, town.ids[0], "meta")
    assert town.delivered() == 1
