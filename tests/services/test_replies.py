"""Answers that no platform should give are read, stored, and cost one delivery one attempt."""

from __future__ import annotations

import httpx
import pytest

from tests.factories import Merchant, draft
from tests.platform_server import Platform, answered
from tracklayer.db.connection import in_transaction
from tracklayer.db.deliveries import DeliveryRow, deliveries_by_key
from tracklayer.domain.delivery import BearerToken, PlatformReply, PlatformRequest, RateLimited
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.ingest import ingest_events
from tracklayer.services.platform_requests import read_verdict
from tracklayer.services.transport import send


def row(merchant: Merchant) -> DeliveryRow:
    with in_transaction():
        return deliveries_by_key(merchant.merchant_id, [("order_1", "meta")])["order_1", "meta"]


DEEP = b"[" * 1000 + b"]" * 1000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(
            b'{"error": {"code": 100, "message": "Bad\\u0000 value\\u2028here"}}', "400 Bad  value here", id="NUL"
        ),
        pytest.param(b'{"error": {"code": 100, "message": %b}}' % DEEP, "400 no reason given", id="deep"),
        pytest.param(b'{"error": {"code": {}, "error_subcode": []}}', "400 no reason given", id="objects for codes"),
    ],
)
def test_an_odd_refusal_is_stored_as_a_refusal(
    runtime: Runtime, merchant: Merchant, worker: int, platform: Platform, body: bytes, words: str
) -> None:
    platform.answer = answered(400, body)
    ingest_events(runtime, merchant.holder, [draft()])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    found = row(merchant)
    assert (found.status, found.attempts, found.last_error) == ("failed", 1, words)
    assert [entry["outcome"] for entry in found.attempt_log] == ["rejected"]
    assert len(platform.received) == 1


def test_a_date_is_waited_for_by_the_platforms_own_clock(platform: Platform) -> None:
    platform.answer = answered(
        429, b"", "Retry-After: Fri, 20 Nov 2026 15:02:00 GMT", "Date: Fri, 20 Nov 2026 15:00:30 GMT"
    )
    with httpx.Client() as http:
        reply = send(http, "meta", PlatformRequest("https://api.example.com/v1", {}, BearerToken("t")), platform.url)
    assert isinstance(reply, PlatformReply)
    assert reply.received_at is not None
    (outcome,) = read_verdict(mapper_for("meta"), reply, 1)  # type: ignore[misc]
    assert isinstance(outcome, RateLimited)
    assert outcome.retry_after_seconds == 90.0
