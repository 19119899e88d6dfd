"""Whatever waits as long as it may goes on waiting: nothing brings it forward, also where a clock was set back."""

from __future__ import annotations

from datetime import timedelta

from tests.factories import Merchant, draft
from tests.services.test_deliver import accepted, deliver, fault, ingest, mend, row
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.leases import LEASE, LOCK_MS, claim_due, renew_lease
from tracklayer.domain.retry import MAX_ATTEMPTS
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.lead_back import EVERY, lead_back


def test_the_last_retry_of_a_delivery_comes_after_hours_as_it_was_put_off(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> None:
    """Brought forward, the delivery would have made all its attempts before a platform that refuses for an hour takes it."""
    fault(sandbox, kind="refuse", event_ids=["order_1"])
    ingest(runtime, merchant, draft())
    for _ in range(MAX_ATTEMPTS - 1):
        if (due_at := row(merchant).due_at) is not None:
            clock.move(max(due_at - clock.now(), timedelta()))
        deliver(runtime, merchant, worker)
    before = row(merchant)
    assert before.due_at is not None
    assert (before.status, before.attempts) == ("failed", MAX_ATTEMPTS - 1)
    assert before.due_at - clock.now() > timedelta(hours=2)
    for _ in range(3):
        lead_back(runtime, clock.move(EVERY))
    assert row(merchant) == before
    mend(sandbox)
    clock.move(before.due_at - clock.now())
    deliver(runtime, merchant, worker)
    assert accepted(sandbox) == {"order_1": 1}


def test_a_retry_waits_its_time_though_the_clock_was_set_back(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> None:
    """By a few minutes: it lies no further ahead than a retry may. What never failed is due at once."""
    fault(sandbox, kind="refuse", event_ids=["order_1"])
    ingest(runtime, merchant, draft())
    deliver(runtime, merchant, worker)
    before = row(merchant)
    assert before.status == "failed"
    lead_back(runtime, clock.now())
    lead_back(runtime, clock.move(-timedelta(minutes=5)))
    assert row(merchant) == before


def test_a_lease_that_is_renewed_by_a_clock_that_was_set_back_ends_no_sooner(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    ingest(runtime, merchant, draft())
    began = clock.now()
    with in_transaction():
        taken = claim_due(merchant.merchant_id, "meta", 10, began, worker)
        assert taken is not None
        for moved, ends in ((-timedelta(minutes=10), began), (timedelta(minutes=11), began + timedelta(minutes=1))):
            assert renew_lease(taken[0], clock.move(moved), LOCK_MS)
            assert rows("SELECT lease_ends_at FROM claims") == [(ends + LEASE,)]
