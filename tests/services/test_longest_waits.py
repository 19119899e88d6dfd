"""What waits as long as it may is left alone by who leads back what waits for a clock that has been set back."""

from __future__ import annotations

from datetime import timedelta

from tests.factories import Merchant, draft
from tests.services.test_deliver import accepted, deliver, fault, ingest, mend, row
from tracklayer.clock import FrozenClock
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
