"""Merchants, events and GraphQL calls for tests."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.leases import GRACE
from tracklayer.db.merchants import KeyHolder, merchant_holder
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import Changed, set_destination
from tracklayer.services.merchants import create_merchant
from tracklayer.services.sweep import Swept, sweep

API_KEY_SECRET = "a-secret-key-for-tests-of-forty-characters"
META = {"pixel_id": "8234567890123456", "access_token": "token-of-the-tests"}
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"

# The data model's own Purchase, as its page shows it.
PURCHASE: dict[str, Any] = {
    "event_name": "Purchase",
    "event_id": "order_12345",
    "occurred_at": "2026-04-23T14:12:33.000Z",
    "user_data": {
        "email": "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0",
        "phone": "a0e4aeb280283d343698dcbf9213bdb2e8e8e7abceb5f106874900ad3a7e1b41",
        "client_ip": "203.0.113.42",
        "client_user_agent": "Mozilla/5.0",
        "fbp": "fb.1.1713877200.1234567890",
        "fbc": "fb.1.1713877200.AQzXy1abcDEFghiJKlMNopQR",
    },
    "custom_data": {
        "value": 129.99,
        "currency": "USD",
        "order_id": "order_12345",
        "product_ids": ["sku_123", "sku_456"],
        "num_items": 2,
    },
}


@dataclass(frozen=True)
class Merchant:
    merchant_id: int
    key: str

    @property
    def holder(self) -> KeyHolder:
        with in_transaction():
            found = merchant_holder(self.merchant_id)
        assert found is not None
        return found


def new_merchant(runtime: Runtime, *, hashing: bool = True, meta: bool = True, name: str = "Shop") -> Merchant:
    """A merchant with a destination on Meta."""
    created = create_merchant(runtime, name, hash_user_data=hashing)
    assert isinstance(created, tuple)
    if meta:
        assert isinstance(set_destination(runtime, created[0], "meta", META, None), Changed)
    return Merchant(*created)


def draft(event_id: str = "order_1", /, **changes: Any) -> dict[str, Any]:
    """A purchase of the tests' day; ``changes`` replace top-level fields."""
    event: dict[str, Any] = {
        "event_name": "Purchase",
        "event_id": event_id,
        "occurred_at": "2026-11-20T14:59:00Z",
        "event_source_url": "https://shop.example.com/thanks",
        "user_data": {"email": "jane@example.com", "client_ip": "203.0.113.42", "client_user_agent": AGENT},
        "custom_data": {"value": 129.99, "currency": "USD"},
    }
    return {**event, **copy.deepcopy(changes)}


def camel(value: Any) -> Any:
    """A draft in the spelling of GraphQL, ``properties`` as they are."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_camel(key): inner if key == "properties" else camel(inner) for key, inner in value.items()}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


INGEST = """
mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome event { id eventId timesReceived } userErrors { field code message } }
}"""
INGEST_MANY = """
mutation($inputs: [IngestEventInput!]!) {
  ingestEvents(inputs: $inputs) {
    accepted coalesced rejected results { outcome event { eventId timesReceived } userErrors { field code } }
  }
}"""


@dataclass
class Api:
    """A client of the API that speaks for one merchant."""

    client: httpx.AsyncClient
    key: str

    async def post(self, query: str, variables: Any = None, key: str | None = None, **headers: str) -> httpx.Response:
        return await self.client.post(
            "/graphql",
            json={"query": query, "variables": variables or {}},
            headers={"authorization": f"Bearer {key or self.key}", **headers},
        )

    async def __call__(self, query: str, /, **variables: Any) -> Any:
        """``data`` of an operation that must succeed."""
        answer = (await self.post(query, variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def ingest(self, event: dict[str, Any]) -> Any:
        return (await self(INGEST, input=camel(event)))["ingestEvent"]


def events_among(value: Any) -> Iterator[dict[str, Any]]:
    """The events among the variables of an operation."""
    if isinstance(value, dict) and "userData" in value:
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from events_among(item)


def sweep_missed(runtime: Runtime) -> Swept:
    """A sweep when every worker that does not hold its lock has been missed for as long as it is given."""
    with in_transaction():
        execute("UPDATE claims SET missed_at = %s", (runtime.clock.now() - GRACE,))
    return sweep(runtime)
