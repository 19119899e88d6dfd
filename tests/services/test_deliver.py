"""What is due is claimed, mapped, sent, and settled by what the platform answered."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import psycopg2
import pytest

from tests.factories import META, PURCHASE, Merchant, draft, sweep_missed
from tests.sessions import other_session, wait_until_free
from tracklayer import turns
from tracklayer.clock import FrozenClock
from tracklayer.db import leases
from tracklayer.db.connection import database, execute, in_transaction, rows
from tracklayer.db.counters import Changes
from tracklayer.db.deliveries import DeliveryRow, deliveries_by_key
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.destinations import destination
from tracklayer.db.leases import GRACE, LEASE, WORKER_LOCK, Lease, claim_due, end_lease, lost_leases, start_sending
from tracklayer.db.queues import LOCK_QUEUE, QUEUE_LOCK
from tracklayer.db.settling import Delivered, settle_delivered, settle_deliveries
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.delivery import DeliveryStatus, Settlement
from tracklayer.domain.health import FIRST_PROBE
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import platform_requests
from tracklayer.services import settle as settle_module
from tracklayer.services.deliver import INVENTED, deliver_due
from tracklayer.services.destinations import (
    example_settings,
    invented_destinations,
    pause_destination,
    remove_destination,
    resume_destination,
    set_destination,
)
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.redeliver import redeliver_ids
from tracklayer.services.sweep import sweep
from tracklayer.turns import SHARE, Turn


def ingest(runtime: Runtime, merchant: Merchant, *drafts: dict[str, Any]) -> None:
    ingest_events(runtime, merchant.holder, drafts)


def deliver(runtime: Runtime, merchant: Merchant, worker: int) -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass


def row(merchant: Merchant, event_id: str = "order_1") -> DeliveryRow:
    with in_transaction():
        return deliveries_by_key(merchant.merchant_id, [(event_id, "meta")])[event_id, "meta"]


def fault(sandbox: SandboxServer, **settings: Any) -> None:
    httpx.post(f"{sandbox.url}/_faults", json={"platform": "meta", **settings}).raise_for_status()


def mend(sandbox: SandboxServer) -> None:
    httpx.delete(f"{sandbox.url}/_faults").raise_for_status()


def accepted(sandbox: SandboxServer) -> dict[str, int]:
    """Event id -> how often it arrived."""
    items = httpx.get(f"{sandbox.url}/_accepted", params={"limit": 5000}).json()["items"]
    return {item["event_id"]: item["times"] for item in items}


def requests(sandbox: SandboxServer) -> list[int]:
    """How many events each request carried, oldest first."""
    found = httpx.get(f"{sandbox.url}/_requests", params={"limit": 500}).json()["requests"]
    return [request["items"] for request in sorted(found, key=lambda request: request["seq"])]


@pytest.mark.parametrize(("waited", "latency"), [(timedelta(hours=9), 32_400_000), (timedelta(seconds=-4), 0)])
def test_latency_is_from_the_events_arrival_and_never_below_zero(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, waited: timedelta, latency: int
) -> None:
    """Also where it was tried before, and where the clock was set back since."""
    ingest(runtime, merchant, draft())
    clock.move(waited)
    with in_transaction():
        execute("UPDATE deliveries SET due_at = %s, queued_at = %s", (clock.now(), clock.now()))
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.latency_ms) == ("delivered", latency)


def test_an_acknowledged_delivery_says_when_and_how_fast(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    at = clock.move(timedelta(milliseconds=1500))
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts, found.due_at, found.next_retry_at) == ("delivered", 1, None, None)
    assert (found.last_attempt_at, found.delivered_at, found.latency_ms) == (at, at, 1500)
    assert found.attempt_log == [
        {
            "number": 1,
            "at": "2026-11-20T15:00:01.500000+00:00",
            "outcome": "acknowledged",
            "http_status": 200,
            "error": None,
            "duration_ms": 0,
        }
    ]
    assert accepted(sandbox) == {"order_1": 1}


@pytest.mark.parametrize(
    ("before", "numbers"),
    [
        pytest.param({"kind": "refuse", "event_ids": ["order_1"]}, [1, 2], id="that failed"),
        pytest.param({"kind": "rate_limit"}, [1, 1], id="that cost no attempt"),
    ],
)
def test_an_acknowledgement_is_told_behind_what_came_before_it(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    before: dict[str, Any],
    numbers: list[int],
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, **before)
    deliver(runtime, merchant, worker)
    first = row(merchant).attempt_log
    mend(sandbox)
    at = clock.move(timedelta(hours=1))
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts) == ("delivered", numbers[-1])
    assert found.attempt_log == [
        *first,
        {
            "number": numbers[-1],
            "at": at.isoformat(),
            "outcome": "acknowledged",
            "http_status": 200,
            "error": None,
            "duration_ms": 0,
        },
    ]
    assert [entry["number"] for entry in found.attempt_log] == numbers


def test_many_events_go_out_in_few_requests(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(1000)))
    ingest(runtime, merchant, *(draft(f"more_{n}") for n in range(200)))
    deliver(runtime, merchant, worker)
    assert requests(sandbox) == [100, 1000, 100], "what shows to be a backlog goes out in whole batches"
    assert len(accepted(sandbox)) == 1200


def test_one_bad_event_is_found_by_halving_and_its_neighbours_are_delivered(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(8)))
    fault(sandbox, kind="refuse", event_ids=["order_5"])
    deliver(runtime, merchant, worker)
    assert requests(sandbox) == [8, 4, 4, 2, 1, 1, 2]
    assert sorted(accepted(sandbox)) == [f"order_{n}" for n in range(8) if n != 5]
    bad = row(merchant, "order_5")
    assert (bad.status, bad.attempts, bad.error_code) == ("failed", 1, "100/2804019")
    assert bad.next_retry_at == clock.now() + timedelta(seconds=150)
    assert {row(merchant, f"order_{n}").attempts for n in range(8)} == {1}


def test_the_schedule_of_a_refused_event_to_the_end(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, kind="refuse", event_ids=["order_1"])
    waited = []
    for attempt in range(1, 5):
        deliver(runtime, merchant, worker)
        found = row(merchant)
        assert (found.status, found.attempts, found.drop_reason) == ("failed", attempt, None)
        assert found.next_retry_at is not None
        waited.append(found.next_retry_at - clock.now())
        clock.move(waited[-1] - timedelta(milliseconds=1))
        deliver(runtime, merchant, worker)
        assert row(merchant).attempts == attempt
        clock.move(timedelta(milliseconds=1))
    assert waited == [timedelta(seconds=s) for s in (150, 600, 2400, 9600)]
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts, found.drop_reason) == ("dropped", 5, "retries_exhausted")
    assert (found.due_at, found.next_retry_at, found.finished_at) == (None, None, clock.now())
    assert [entry["number"] for entry in found.attempt_log] == [1, 2, 3, 4, 5]
    assert len(requests(sandbox)) == 5


def test_the_row_of_the_data_model_comes_out_of_it(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    """Queued 14:12:34.102, third attempt 14:25:10.917, next 15:05:10.917, `400 Invalid fbc format`."""
    clock.instant = datetime(2026, 4, 23, 14, 12, 34, 102_000, tzinfo=UTC)
    ingest(runtime, merchant, PURCHASE)
    fault(sandbox, kind="refuse", event_ids=["order_12345"])
    for time in ("14:12:40.917", "14:15:10.917", "14:25:10.917"):
        clock.instant = datetime.fromisoformat(f"2026-04-23T{time}+00:00")
        deliver(runtime, merchant, worker)
    found = row(merchant, "order_12345")
    assert (found.status, found.attempts, found.latency_ms) == ("failed", 3, None)
    assert found.queued_at.isoformat() == "2026-04-23T14:12:34.102000+00:00"
    assert found.last_attempt_at is not None
    assert found.last_attempt_at.isoformat() == "2026-04-23T14:25:10.917000+00:00"
    assert found.next_retry_at is not None
    assert found.next_retry_at.isoformat() == "2026-04-23T15:05:10.917000+00:00"


def test_the_data_models_purchase_is_delivered_with_its_cookies_in_seconds(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    clock.instant = datetime(2026, 4, 23, 14, 12, 34, tzinfo=UTC)
    ingest(runtime, merchant, PURCHASE)
    deliver(runtime, merchant, worker)
    (item,) = httpx.get(f"{sandbox.url}/_accepted").json()["items"]
    assert item["item"] == {
        "event_name": "Purchase",
        "event_time": 1776953553,
        "event_id": "order_12345",
        "action_source": "website",
        "user_data": {
            "em": ["973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0"],
            "ph": ["a0e4aeb280283d343698dcbf9213bdb2e8e8e7abceb5f106874900ad3a7e1b41"],
            "client_ip_address": "203.0.113.42",
            "client_user_agent": "Mozilla/5.0",
            "fbc": "fb.1.1713877200.AQzXy1abcDEFghiJKlMNopQR",
            "fbp": "fb.1.1713877200.1234567890",
        },
        "custom_data": {
            "value": 129.99,
            "currency": "USD",
            "order_id": "order_12345",
            "content_ids": ["sku_123", "sku_456"],
            "content_type": "product",
            "num_items": 2,
        },
    }


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(draft(occurred_at="2026-11-01T00:00:00Z"), "event_too_old", id="too old"),
        pytest.param(draft(event_name="Refund"), "unsupported_event", id="no such event"),
        pytest.param(draft(user_data={"country": "US"}), "missing_identifiers", id="nobody to match"),
        pytest.param(draft(custom_data={"currency": "USD"}), "invalid_field", id="no value"),
        pytest.param(draft(consent={"ad_user_data": "denied"}), "consent_denied", id="consent denied"),
    ],
)
def test_what_the_platform_would_refuse_is_dropped_with_the_reason_and_never_sent(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, event: dict[str, Any], reason: str
) -> None:
    ingest(runtime, merchant, event, draft("good"))
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.drop_reason, found.attempts, found.attempt_log) == ("dropped", reason, 0, [])
    assert requests(sandbox) == [1]


def test_a_rate_limit_is_waited_out_and_costs_no_attempt(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, kind="rate_limit", retry_after=90)
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts) == ("queued", 0)
    assert found.next_retry_at == clock.now() + timedelta(seconds=90)
    mend(sandbox)
    clock.move(timedelta(seconds=89))
    deliver(runtime, merchant, worker)
    assert row(merchant).status == "queued"
    clock.move(timedelta(seconds=1))
    deliver(runtime, merchant, worker)
    assert (row(merchant).status, row(merchant).attempts) == ("delivered", 1)


def test_refused_credentials_hold_the_destination_and_burn_nothing(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft("a"), draft("b"))
    fault(sandbox, kind="credentials")
    deliver(runtime, merchant, worker)
    with in_transaction():
        held = destination(merchant.merchant_id, "meta")
    assert held is not None
    assert held.state == "held"
    assert (held.state_reason or "").startswith("credentials refused: 401 ")
    assert {row(merchant, name).attempts for name in "ab"} == {0}
    # Probes carry one delivery each, ever more seldom.
    pauses = []
    for _ in range(5):
        assert held.resume_at is not None
        pauses.append((held.resume_at - clock.now()).total_seconds())
        clock.instant = held.resume_at
        deliver(runtime, merchant, worker)
        with in_transaction():
            held = destination(merchant.merchant_id, "meta")
        assert held is not None
    assert pauses == [30, 60, 120, 240, 300]
    assert requests(sandbox)[1:] == [0, 0, 0, 0, 0]
    mend(sandbox)
    result = set_destination(runtime, merchant.merchant_id, "meta", {**META, "access_token": "the new token"}, None)
    assert not isinstance(result, list)
    deliver(runtime, merchant, worker)
    assert {row(merchant, name).status for name in "ab"} == {"delivered"}
    assert {row(merchant, name).attempts for name in "ab"} == {1}


def test_a_platform_that_nobody_reaches_is_held_and_released(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    sandbox.stop()
    for _ in range(4):
        deliver(runtime, merchant, worker)
        clock.move(timedelta(seconds=3))
    with in_transaction():
        held = destination(merchant.merchant_id, "meta")
    assert held is not None
    assert (held.state, held.state_reason) == ("held", "unreachable: the connection failed")
    assert (row(merchant).status, row(merchant).attempts) == ("queued", 0)
    sandbox.start()
    clock.move(timedelta(seconds=30))
    deliver(runtime, merchant, worker)
    with in_transaction():
        released = destination(merchant.merchant_id, "meta")
    assert released is not None
    assert (released.state, released.failures) == ("active", 0)
    assert row(merchant).status == "delivered"


def test_an_answer_that_was_never_read_is_unknown_and_repeated_with_the_same_id(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, kind="drop_after_accept", count=1)
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts, found.attempt_log[0]["outcome"]) == ("failed", 1, "unknown")
    clock.move(timedelta(seconds=150))
    deliver(runtime, merchant, worker)
    assert (row(merchant).status, row(merchant).attempts) == ("delivered", 2)
    assert accepted(sandbox) == {"order_1": 2}
    assert httpx.get(f"{sandbox.url}/_accepted").json()["unique"] == 1


def test_a_paused_destination_keeps_its_deliveries(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    pause_destination(runtime, merchant.merchant_id, "meta")
    ingest(runtime, merchant, draft())
    deliver(runtime, merchant, worker)
    assert sweep(runtime).wake == []
    assert row(merchant).status == "queued"
    resume_destination(runtime, merchant.merchant_id, "meta")
    assert sweep(runtime).wake == [(merchant.merchant_id, "meta")]
    deliver(runtime, merchant, worker)
    assert row(merchant).status == "delivered"


def test_what_waits_past_its_window_is_dropped(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    pause_destination(runtime, merchant.merchant_id, "meta")
    ingest(runtime, merchant, draft())
    clock.move(timedelta(hours=24) - timedelta(seconds=1))
    assert sweep(runtime).dropped == 0
    clock.move(timedelta(seconds=1))
    assert sweep(runtime).dropped == 1
    found = row(merchant)
    assert (found.status, found.drop_reason, found.finished_at) == ("dropped", "window_expired", clock.now())


def test_what_waits_for_a_removed_destination_is_dropped(runtime: Runtime, merchant: Merchant) -> None:
    ingest(runtime, merchant, draft())
    remove_destination(runtime, merchant.merchant_id, "meta")
    assert sweep(runtime).dropped == 1
    assert (row(merchant).status, row(merchant).drop_reason) == ("dropped", "destination_removed")


def claim(merchant: Merchant, clock: FrozenClock, limit: int, worker: int) -> tuple[Lease, list[str]]:
    with in_transaction():
        taken = claim_due(merchant.merchant_id, "meta", limit, clock.now(), worker)
        assert taken is not None
    return taken[0], [found.claim.key.event_id for found in taken[1]]


def start(lease: Lease, event_ids: list[str], clock: FrozenClock) -> None:
    with in_transaction():
        assert start_sending(lease, event_ids, clock.now())


def test_of_a_worker_that_is_gone_what_it_was_sending_is_unknown_and_the_rest_was_never_sent(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(4)))
    lease, event_ids = claim(merchant, clock, 4, worker=999_999)
    start(lease, event_ids[:1], clock)
    clock.move(timedelta(seconds=2))
    assert sweep_missed(runtime).taken_back == 1
    found = row(merchant, event_ids[0])
    assert (found.status, found.attempts, found.due_at) == ("failed", 1, clock.now())
    assert [(entry["outcome"], entry["duration_ms"]) for entry in found.attempt_log] == [("unknown", 2000)]
    for untouched in event_ids[1:]:
        assert (row(merchant, untouched).status, row(merchant, untouched).attempts) == ("queued", 0)
    deliver(runtime, merchant, worker)
    assert [row(merchant, event_id).attempts for event_id in event_ids] == [2, 1, 1, 1]
    assert {row(merchant, event_id).status for event_id in event_ids} == {"delivered"}


def test_claims_of_a_living_worker_are_left_until_their_lease_ends(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    lease, event_ids = claim(merchant, clock, 10, worker)
    start(lease, event_ids, clock)
    clock.move(LEASE - timedelta(milliseconds=1))
    assert sweep(runtime).taken_back == 0
    clock.move(timedelta(milliseconds=1))
    assert sweep(runtime).taken_back == 1


def test_two_claims_never_share_a_row(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(10)))
    first, one = claim(merchant, clock, 6, worker=1)
    second, two = claim(merchant, clock, 6, worker=2)
    assert (len(one), len(two)) == (6, 4)
    assert first != second
    assert set(one).isdisjoint(two)
    with in_transaction():
        assert claim_due(merchant.merchant_id, "meta", 6, clock.now(), 3) is None


COUNT_READ = "SELECT pg_stat_get_xact_tuples_returned('deliveries_due'::regclass)"


@pytest.fixture
def backlog(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> list[datetime]:
    """Five claims' worth of deliveries, each due a millisecond after the one before; when each is."""
    due = []
    for number in range(5 * SHARE):
        clock.move(timedelta(milliseconds=1))
        due.append(clock.now())
        ingest(runtime, merchant, draft(f"order_{number:03}"))
    return due


def test_claims_on_a_backlog_go_on_behind_the_last_one_and_end_with_a_look_from_the_beginning(
    runtime: Runtime, merchant: Merchant, worker: int, backlog: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is due before all others comes back in between."""
    real, looked, was_behind = claim_due, [], []

    def noted(*args: Any, since: datetime | None = None, **options: Any) -> Any:
        looked.append(since)
        was_behind.append(runtime.turns.is_behind((merchant.merchant_id, "meta")))
        if len(looked) == 3:
            execute("UPDATE deliveries SET due_at = due_at - interval '1 hour' WHERE event_id = 'order_000'")
        return real(*args, since=since, **options)

    monkeypatch.setattr(leases, "claim_due", noted)
    monkeypatch.setattr(Turn, "limit", lambda turn, most: SHARE)
    monkeypatch.setattr(turns, "LOOK_BACK_SECONDS", 3600.0)
    with in_transaction():
        execute("UPDATE deliveries SET due_at = due_at + interval '1 hour' WHERE event_id = 'order_000'")
    deliver(runtime, merchant, worker)
    assert looked == [None, *(backlog[number * SHARE] for number in range(1, 5)), None, None]
    assert was_behind == [False, True, True, True, True, True, False], (
        "few behind the last one say nothing of those before"
    )
    assert row(merchant, "order_000").status == "delivered"


def test_a_claim_passes_over_nothing_of_what_was_delivered_while_somebody_reads_for_long(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, backlog: list[datetime], database: str
) -> None:
    with other_session(database) as reader:
        reader.cursor().execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries")
        deliver(runtime, merchant, worker)
        clock.move(timedelta(seconds=1))
        ingest(runtime, merchant, *(draft(f"fresh_{number}") for number in range(20)))
        read = []
        for since in (None, backlog[-1]):
            with in_transaction():
                before = rows(COUNT_READ)[0][0]
                taken = claim_due(merchant.merchant_id, "meta", 10, clock.now(), worker, since=since)
                assert taken is not None
                assert [found.claim.due_at for found in taken[1]] == [clock.now()] * 10
                read.append(rows(COUNT_READ)[0][0] - before)
                execute("DELETE FROM claims")
    assert read == [5 * SHARE + 10, 1 + 10]


def test_what_is_due_since_long_is_taken_where_nothing_else_is(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    with in_transaction():
        taken = claim_due(
            merchant.merchant_id, "meta", 10, clock.now(), worker, since=clock.now() + timedelta(seconds=1)
        )
    assert taken is not None


def test_a_bug_in_mapping_one_event_stops_no_other(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft("broken"), draft("good"))
    with in_transaction():  # as a sealed value looks whose key was taken away
        execute(r"UPDATE events SET sealed = '\x0100000000' WHERE event_id = 'broken'")
    deliver(runtime, merchant, worker)
    assert row(merchant, "good").status == "delivered"
    found = row(merchant, "broken")
    assert (found.status, found.attempts, found.error_code) == ("queued", 0, "TRACKLAYER_ERROR")
    assert found.next_retry_at == runtime.clock.now() + timedelta(seconds=30)


def test_what_is_ahead_of_the_clock_waits_for_its_time_and_costs_no_attempt(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    """LinkedIn forgives seconds, where ingest forgives minutes."""

    def at_linkedin() -> DeliveryRow:
        while deliver_due(runtime, worker, merchant.merchant_id, "linkedin"):
            pass
        with in_transaction():
            return deliveries_by_key(merchant.merchant_id, [("ahead", "linkedin")])["ahead", "linkedin"]

    set_destination(runtime, merchant.merchant_id, "linkedin", example_settings(mapper_for("linkedin")), None)
    occurred_at = clock.now() + timedelta(minutes=4)
    ingest(runtime, merchant, draft("ahead", occurred_at=occurred_at.isoformat()))
    found = at_linkedin()
    assert (found.status, found.attempts, found.attempt_log) == ("queued", 0, [])
    assert found.next_retry_at == occurred_at
    clock.instant = occurred_at - timedelta(seconds=1)
    assert at_linkedin().status == "queued"
    clock.instant = occurred_at
    found = at_linkedin()
    assert (found.status, found.attempts) == ("delivered", 1)


def test_redelivery_begins_a_new_series_and_keeps_the_log(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, kind="refuse", event_ids=["order_1"])
    for _ in range(5):
        deliver(runtime, merchant, worker)
        clock.move(timedelta(hours=3))
    assert row(merchant).status == "dropped"
    mend(sandbox)
    result = redeliver_ids(runtime, merchant.merchant_id, [("order_1", "meta"), ("none", "meta")], DeliverySearch())
    assert (result.matched, result.requeued, dict(result.refused)) == (1, 1, {"unknown id": 1})
    found = row(merchant)
    assert (found.status, found.attempts, found.window_ends_at) == ("queued", 0, clock.now() + timedelta(hours=24))
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts) == ("delivered", 1)
    assert [entry["outcome"] for entry in found.attempt_log] == ["rejected"] * 5 + ["acknowledged"]
    again = redeliver_ids(runtime, merchant.merchant_id, [("order_1", "meta")], DeliverySearch())
    assert (again.requeued, dict(again.refused)) == (0, {"already delivered": 1})


def test_an_event_too_old_for_the_platform_is_not_redelivered(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    clock.move(timedelta(days=8))
    sweep(runtime)
    result = redeliver_ids(runtime, merchant.merchant_id, [("order_1", "meta")], DeliverySearch())
    assert (result.requeued, dict(result.refused)) == (0, {"too old for the platform": 1})


def test_a_worker_that_is_missed_has_time_to_take_its_number_again(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str
) -> None:
    clock.move(datetime.now(UTC) - clock.now())  # since when a worker is missed PostgreSQL says
    ingest(runtime, merchant, draft("order_1"))
    lock = WorkerLock(database)
    number = lock.number()
    with in_transaction():
        taken = claim_due(merchant.merchant_id, "meta", 1, clock.now(), number)
        assert taken is not None
        assert start_sending(taken[0], ["order_1"], clock.now())
    for _ in range(2):  # lost, and held again before anybody takes it for gone; each time it has its whole time
        lock.release()
        wait_until_free(number)
        assert sweep(runtime).taken_back == 0
        missed_longer(GRACE / 2)
        assert sweep(runtime).taken_back == 0
        with other_session(database) as again, again.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK, number))
            missed_longer(GRACE)
            assert sweep(runtime).taken_back == 0
    wait_until_free(number)
    assert sweep(runtime).taken_back == 0
    missed_longer(LEASE / 2)
    assert sweep(runtime).taken_back == 1


def missed_longer(than: timedelta) -> None:
    """As if so much time had passed since a sweep missed each worker that is missed."""
    with in_transaction():
        execute("UPDATE claims SET missed_at = missed_at - %s", (than,))


def test_a_worker_has_as_long_where_the_sweep_that_misses_it_looked_at_its_clock_before(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str
) -> None:
    clock.move(datetime.now(UTC) - clock.now())
    ingest(runtime, merchant, draft("order_1"))
    lock = WorkerLock(database)
    with in_transaction():
        taken = claim_due(merchant.merchant_id, "meta", 1, clock.now(), lock.number())
        assert taken is not None
        assert start_sending(taken[0], ["order_1"], clock.now())
        number = lock.number()
    lock.release()
    wait_until_free(number)
    with in_transaction():
        assert lost_leases(clock.now() - 2 * GRACE, 20) == []  # it waited for its session for so long
    assert sweep(runtime).taken_back == 0


def test_a_late_worker_cannot_overwrite_a_newer_verdict(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft())
    old, _ = claim(merchant, clock, 1, worker=999_999)
    sweep_missed(runtime)
    deliver(runtime, merchant, worker)
    with in_transaction():
        assert not start_sending(old, ["order_1"], clock.now())
        assert end_lease(old) is None
        late = Delivered(["order_1"], 200, clock.now())
        assert settle_delivered(old, late, clock.now(), Changes()) == 0
        failed = Settlement(row(merchant).key, DeliveryStatus.FAILED, 1, due_at=clock.now())
        assert settle_deliveries(old, [failed], clock.now(), Changes()) == 0
    assert row(merchant).status == "delivered"
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]


# Faults that machines and networks have ----------------------------------------------------------------------------


def destination_of(merchant: Merchant) -> Any:
    with in_transaction():
        found = destination(merchant.merchant_id, "meta")
    assert found is not None
    return found


def live(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, span: timedelta) -> None:
    """Lets time pass as a worker and a sweep see it: half a minute at a time, of hours five minutes."""
    step = timedelta(seconds=30) if span <= timedelta(hours=1) else timedelta(minutes=5)
    for _ in range(int(span / step)):
        deliver(runtime, merchant, worker)
        sweep(runtime)
        clock.move(step)


def test_of_a_platform_that_loses_its_answers_for_a_day_no_delivery_is_sent_more_than_five_times(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(3)))
    fault(sandbox, kind="drop_after_accept")
    live(runtime, merchant, worker, clock, timedelta(hours=5))
    assert destination_of(merchant).state == "held"
    assert destination_of(merchant).state_reason.startswith("unanswered: ")
    live(runtime, merchant, worker, clock, timedelta(hours=19, minutes=30))
    arrived = accepted(sandbox)
    found = {event_id: row(merchant, event_id) for event_id in arrived}
    assert len(arrived) == 3
    assert max(arrived.values()) <= 5
    assert {event_id: delivery.attempts for event_id, delivery in found.items()} == arrived
    assert {event_id: len(delivery.attempt_log) for event_id, delivery in found.items()} == arrived, (
        "each is in the log"
    )
    assert {delivery.status for delivery in found.values()} == {"dropped"}


def test_an_outage_of_hours_with_server_errors_costs_nobody_the_last_attempt(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(3)))
    fault(sandbox, kind="error", status=503)
    live(runtime, merchant, worker, clock, timedelta(hours=10))
    assert {row(merchant, f"order_{n}").status for n in range(3)} == {"failed"}
    assert max(row(merchant, f"order_{n}").attempts for n in range(3)) == 4
    mend(sandbox)
    ingest(runtime, merchant, draft("fresh", occurred_at=clock.now().isoformat()))
    live(runtime, merchant, worker, clock, timedelta(minutes=10))
    assert {row(merchant, name).status for name in ("fresh", "order_0", "order_1", "order_2")} == {"delivered"}


def test_where_nothing_else_comes_the_last_attempt_is_made_before_the_window_ends(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, kind="error", status=503)
    live(runtime, merchant, worker, clock, timedelta(hours=10))
    mend(sandbox)
    live(runtime, merchant, worker, clock, timedelta(hours=12))
    assert (row(merchant).status, row(merchant).attempts) == ("delivered", 5)


def test_each_probe_is_another_delivery(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, *(draft(f"order_{n}") for n in range(4)))
    fault(sandbox, kind="credentials")
    live(runtime, merchant, worker, clock, timedelta(minutes=30))
    tried = [row(merchant, f"order_{n}").last_attempt_at for n in range(4)]
    assert len(set(tried)) == 4
    assert {row(merchant, f"order_{n}").attempts for n in range(4)} == {0}


@pytest.mark.parametrize("wait", [0, 86_400])
def test_whatever_a_rate_limit_asks_for_it_is_asked_again_in_time_and_not_without_end(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, wait: int
) -> None:
    ingest(runtime, merchant, draft())
    fault(sandbox, kind="rate_limit", retry_after=wait)
    live(runtime, merchant, worker, clock, timedelta(hours=1))
    assert row(merchant).status == "queued"
    assert 1 <= len(requests(sandbox)) <= 130
    mend(sandbox)
    live(runtime, merchant, worker, clock, timedelta(hours=1, minutes=5))
    assert row(merchant).status == "delivered"


PERSON = "jane@example.com"


class Buggy:
    """The mapper of a platform, with one method that raises for one event, and for what it is answered."""

    def __init__(self, platform: str, method: str) -> None:
        self._mapper, self._method = mapper_for(platform), method

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._mapper, name)
        if name != self._method:
            return found

        def raising(*args: Any) -> Any:
            if name == "read_reply" or b"broken" in orjson.dumps(args, default=str):
                raise LookupError(PERSON)
            return found(*args)

        return raising


def test_a_bug_in_building_a_request_costs_its_event_nothing_and_stops_no_other(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("tracklayer.services.deliver.mapper_for", lambda platform: Buggy(platform, "build_request"))
    ingest(runtime, merchant, *(draft(name) for name in ("a", "b", "broken", "c", "d")))
    live(runtime, merchant, worker, clock, timedelta(hours=2))
    assert {row(merchant, name).status for name in "abcd"} == {"delivered"}
    found = row(merchant, "broken")
    assert (found.status, found.attempts, found.error_code) == ("queued", 0, "TRACKLAYER_ERROR")
    assert found.attempt_log == []
    assert PERSON not in caplog.text
    assert caplog.text.count("building a request for meta failed for") == 1  # however often it was tried
    ((_, untold),) = runtime.faults.values()
    assert untold > 0
    monkeypatch.undo()
    live(runtime, merchant, worker, clock, timedelta(minutes=11))
    assert row(merchant, "broken").status == "delivered"


def test_an_answer_that_cannot_be_read_counts_as_one_that_was_never_read(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tracklayer.services.deliver.mapper_for", lambda platform: Buggy(platform, "read_reply"))
    ingest(runtime, merchant, draft())
    deliver(runtime, merchant, worker)
    found = row(merchant)
    assert (found.status, found.attempts, found.attempt_log[0]["outcome"]) == ("failed", 1, "unknown")
    assert accepted(sandbox) == {"order_1": 1}


def test_settings_that_cannot_be_opened_hold_their_destination_and_are_told_once_a_probe(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    ingest(runtime, merchant, draft())
    with in_transaction():
        execute(r"UPDATE destinations SET secrets = '\x0100000000'")
    live(runtime, merchant, worker, clock, timedelta(minutes=30))
    assert destination_of(merchant).state == "held"
    assert destination_of(merchant).state_reason.startswith("TrackLayer cannot open its settings")
    assert (row(merchant).status, row(merchant).attempts) == ("queued", 0)
    assert 1 <= sum("cannot be opened" in record.getMessage() for record in caplog.records) <= 9
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]


def test_invented_settings_are_sent_to_no_real_platform_and_wait_for_the_sandbox(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    invented = {"pixel_id": "1234567890123456", "default_country": "DE"}  # a country of one's own makes no account
    set_destination(runtime, merchant.merchant_id, "meta", invented)
    with_sandbox = runtime.settings
    runtime.settings = replace(with_sandbox, sandbox_url=None)
    ingest(runtime, merchant, draft("one"))
    live(runtime, merchant, worker, clock, timedelta(hours=1))
    held = destination_of(merchant)
    assert (held.state, held.state_reason) == ("held", INVENTED)
    assert held.probe_seconds == FIRST_PROBE.total_seconds()
    assert (row(merchant, "one").status, row(merchant, "one").attempts, row(merchant, "one").attempt_log) == (
        "queued",
        0,
        [],
    )
    with in_transaction():
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    runtime.settings = with_sandbox
    live(runtime, merchant, worker, clock, timedelta(minutes=10))
    assert row(merchant, "one").status == "delivered"
    assert destination_of(merchant).state == "active"
    runtime.settings = replace(with_sandbox, sandbox_url=None)
    assert invented_destinations() == 1
    set_destination(runtime, merchant.merchant_id, "meta", {"pixel_id": "8234567890123456"})
    assert invented_destinations() == 0


def test_nobody_waits_for_a_queue_that_a_vanished_host_has_locked(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    ingest(runtime, merchant, draft())
    with other_session(runtime.database_url) as vanished:
        with vanished.cursor() as cursor:
            cursor.execute(LOCK_QUEUE, (QUEUE_LOCK, f"{merchant.merchant_id}/meta"))
        assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
        assert row(merchant).status == "queued"
    deliver(runtime, merchant, worker)
    assert row(merchant).status == "delivered"


def test_an_answer_is_kept_in_hand_while_the_database_is_away(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is ended by the server between the platform's answer and its settlement, three times."""
    ingest(runtime, merchant, draft())
    ended: list[int] = []
    real = settle_module._judge_destination

    def interrupted(*args: Any, **options: Any) -> Any:
        found = real(*args, **options)
        if len(ended) < 3:
            ended.append(1)
            with pytest.raises(psycopg2.Error), closing(database.connection().cursor()) as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return found

    monkeypatch.setattr(settle_module, "_judge_destination", interrupted)
    deliver(runtime, merchant, worker)
    assert len(ended) == 3
    found = row(merchant)
    assert (found.status, found.attempts) == ("delivered", 1)
    assert accepted(sandbox) == {"order_1": 1}


@pytest.mark.parametrize("before", [0, 4])
def test_an_acknowledgement_that_comes_after_its_lease_was_taken_back_is_written_all_the_same(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
) -> None:
    ingest(runtime, merchant, draft())
    with in_transaction():
        execute("UPDATE deliveries SET attempts = %s, status = %s", (before, "failed" if before else "queued"))
    real = platform_requests.send  # type: ignore[attr-defined]

    def slow(*args: Any) -> Any:
        reply = real(*args)
        clock.move(LEASE)
        assert sweep(runtime).taken_back == 1
        assert row(merchant).status == ("dropped" if before else "failed")
        return reply

    monkeypatch.setattr(platform_requests, "send", slow)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    found = row(merchant)
    assert (found.status, found.attempts, found.drop_reason) == ("delivered", before + 1, None)
    assert [entry["outcome"] for entry in found.attempt_log] == ["acknowledged"]
    assert not check_invariants(clock.now())


def test_refusals_are_counted_by_name_where_what_was_not_sent_cannot_be(
    runtime: Runtime, merchant: Merchant, worker: int, database: str
) -> None:
    ingest(runtime, merchant, draft("first", user_data={}))
    deliver(runtime, merchant, worker)
    with other_session(database) as other:
        other.cursor().execute("LOCK TABLE unsent_names IN ACCESS EXCLUSIVE MODE")
        ingest(runtime, merchant, draft("a", user_data={}), draft("b", consent={"ad_user_data": "denied"}))
        deliver(runtime, merchant, worker)
    with in_transaction():
        assert rows("SELECT event_name, sum(events)::int FROM refused_names GROUP BY 1") == [("Purchase", 2)]
        assert rows("SELECT count(*) FROM unsent_names") == [(0,)]


def test_a_failure_that_cost_no_attempt_counts_as_a_retry_behind_one_that_did(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, draft("a"))
    fault(sandbox, kind="error", count=1)
    deliver(runtime, merchant, worker)
    clock.move(timedelta(hours=1))
    fault(sandbox, kind="credentials", count=1)
    deliver(runtime, merchant, worker)
    with in_transaction():
        counted = rows(
            "SELECT sum(unreachable)::int, sum(credentials_refused)::int, sum(retries_failed)::int FROM minutes"
        )
    assert counted == [(1, 1, 1)]


@pytest.mark.parametrize("is_there", [True, False], ids=["locked", "away"])
def test_refusals_that_cannot_be_counted_by_name_keep_nothing_from_being_delivered(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    database: str,
    caplog: pytest.LogCaptureFixture,
    is_there: bool,
) -> None:
    fault(sandbox, kind="refuse", event_ids=["b", "c", "e"])
    ingest(runtime, merchant, *(draft(name) for name in "abcd"))
    with other_session(database) as other:
        if is_there:
            other.cursor().execute("LOCK TABLE refused_names IN ACCESS EXCLUSIVE MODE")
        else:
            with in_transaction():
                execute("ALTER TABLE refused_names RENAME TO elsewhere")
        try:
            deliver(runtime, merchant, worker)
        finally:
            if not is_there:
                with in_transaction():
                    execute("ALTER TABLE elsewhere RENAME TO refused_names")
    assert {name: row(merchant, name).status for name in "abcd"} == {
        **dict.fromkeys("ad", "delivered"),
        **dict.fromkeys("bc", "failed"),
    }
    lines = [one.getMessage() for one in caplog.records if "counting of which names" in one.getMessage()]
    assert len(lines) == 1
    ingest(runtime, merchant, draft("e"))
    deliver(runtime, merchant, worker)
    with in_transaction():
        assert rows("SELECT sum(refused)::int FROM minutes") == [(3,)]
        assert rows("SELECT event_name, events FROM refused_names") == [("Purchase", 1)]
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert check_invariants(runtime.clock.now()) == []
