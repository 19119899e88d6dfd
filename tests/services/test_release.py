"""A destination that recovers is sent what was claimed for it, however many requests that takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft, new_merchant
from tests.services.test_deliver import ingest, requests
from tracklayer.clock import FrozenClock
from tracklayer.db import leases as db
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.destinations import destination, health_of, set_health
from tracklayer.domain.delivery import Health, NoAnswer
from tracklayer.domain.health import RELEASE_START, release
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services import platform_requests
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, example_settings, set_destination

COUNT = 20


@pytest.fixture
def shop(runtime: Runtime, clock: FrozenClock) -> Merchant:
    """One whose GA4 recovers; each of its events is another user's, and has a request of its own."""
    made = new_merchant(runtime, meta=False)
    settings = example_settings(mapper_for("ga4"))
    assert isinstance(set_destination(runtime, made.merchant_id, "ga4", settings), Changed)
    drafts = [
        draft(f"order_{number}", event_name="Lead", user_data={"ga_client_id": f"1234567890.17938772{number:02}"})
        for number in range(COUNT)
    ]
    ingest(runtime, made, *drafts)
    with in_transaction():
        set_health(made.merchant_id, "ga4", release(clock.now()))
    return made


@pytest.fixture
def claimed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many deliveries each claim took."""
    real, found = db.claim_due, []

    def noted(*args: Any, **options: Any) -> Any:
        taken = real(*args, **options)
        found.append(len(taken[1]) if taken is not None else 0)
        return taken

    monkeypatch.setattr(db, "claim_due", noted)
    return found


def health(shop: Merchant) -> Health:
    with in_transaction():
        found = destination(shop.merchant_id, "ga4")
    assert found is not None
    return health_of(found)


def test_all_that_is_claimed_is_sent_where_a_request_takes_one(
    runtime: Runtime, shop: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, claimed: list[int]
) -> None:
    assert deliver_due(runtime, worker, shop.merchant_id, "ga4") is True
    assert claimed == [COUNT]
    assert requests(sandbox) == [1] * COUNT
    with in_transaction():
        assert rows("SELECT status, attempts, count(*) FROM deliveries GROUP BY 1, 2") == [("delivered", 1, COUNT)]
    # It rests as long as so many take at its pace, and nobody has the turn any more.
    rests = Health(recovering_since=clock.now(), resume_at=clock.now() + timedelta(seconds=COUNT / RELEASE_START))
    assert health(shop) == rests


def test_at_the_first_request_that_fails_the_others_are_left(
    runtime: Runtime, shop: Merchant, worker: int, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sent = platform_requests.send, []  # type: ignore[attr-defined]

    def send(*args: Any) -> Any:
        sent.append(1)
        return NoAnswer("no answer in time") if len(sent) == 3 else real(*args)

    monkeypatch.setattr(platform_requests, "send", send)
    assert deliver_due(runtime, worker, shop.merchant_id, "ga4") is True
    assert len(sent) == 3
    with in_transaction():
        found = rows("SELECT status, attempts, count(*) FROM deliveries GROUP BY 1, 2 ORDER BY 1")
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert found == [("delivered", 1, 2), ("failed", 1, 1), ("queued", 0, COUNT - 3)]
    assert (health(shop).failures, health(shop).turn_ends_at) == (1, None)
