"""Reads: pages by keyset, a fixed number of statements, one merchant never seeing another's rows."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type

from tests.factories import PURCHASE, Api, Merchant, camel, draft, new_merchant
from tests.sessions import other_session
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.walks import walk_of_deliveries
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.schema import queries, schema
from tracklayer.services.alert import settle_findings
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, remove_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.redeliver import redeliver_matching

EVERYTHING = """
query($after: String, $first: Int) { events(first: $first, after: $after) {
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  edges { cursor node {
    id eventId eventName occurredAt receivedAt actionSource eventSourceUrl userData customData
    consent { adUserData adPersonalization limitedDataUse } timesReceived lastReceivedAt expiresAt
    enrichment { field } alerts { id title }
    deliveries { id platform status attempts lastError dropReason held queuedAt lastAttemptAt nextRetryAt deliveredAt
      latencyMs attemptLog { number at outcome httpStatus error durationMs }
      explanation { code summary field nextStep docsUrl } payload alerts { id kind } event { eventId } }
  } } } }"""


def store(runtime: Runtime, merchant: Merchant, *events: dict[str, Any]) -> None:
    ingest_events(runtime, merchant.holder, events)


def open_alert(merchant: Merchant, clock: FrozenClock, platform: str | None = "meta") -> None:
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'critical', %s, 'Meta is down', 'It does not answer.', %s, %s)",
            (merchant.merchant_id, platform, clock.now(), clock.now()),
        )


async def test_an_alert_that_is_over_says_what_it_said_when_it_opened(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    def seen(title: str, waiting: int) -> None:
        details = {"waiting": waiting}
        found = Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.WARNING, title, title, clock.now(), details)
        settle_findings(runtime, merchant.merchant_id, [found], [], clock.now())

    seen("12 wait", 12)
    clock.move(timedelta(minutes=1))
    seen("Nothing waits", 0)
    asked = "{ alerts { nodes { state title message details } } }"
    (found,) = (await api(asked))["alerts"]["nodes"]
    assert (found["state"], found["title"], found["details"]["waiting"]) == ("OPEN", "Nothing waits", 0)
    for _ in range(2):
        clock.move(timedelta(minutes=1))
        settle_findings(runtime, merchant.merchant_id, [], [Subject(AlertKind.PLATFORM_DOWN, "meta")], clock.now())
    (found,) = (await api(asked))["alerts"]["nodes"]
    assert (found["state"], found["title"], found["message"]) == ("RESOLVED", "12 wait", "12 wait")
    assert found["details"]["waiting"] == 12


async def test_an_event_leads_to_its_deliveries_and_their_alerts(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    await api.ingest(draft(user_data={"email": "jane@example.com", "first_name": "Jane"}))
    clock.move(timedelta(seconds=2))
    open_alert(merchant, clock)
    clock.move(timedelta(seconds=1))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    answer = await api(EVERYTHING)
    (edge,) = answer["events"]["edges"]
    event = edge["node"]
    (delivery,) = event.pop("deliveries")
    assert event == {
        "id": event["id"],
        "eventId": "order_1",
        "eventName": "Purchase",
        "occurredAt": "2026-11-20T14:59:00.000Z",
        "receivedAt": "2026-11-20T15:00:00.000Z",
        "actionSource": "WEBSITE",
        "eventSourceUrl": "https://shop.example.com/thanks",
        "userData": {
            "email": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
            "first_name": "••••",
        },
        "customData": {"value": 129.99, "currency": "USD"},
        "consent": {"adUserData": "UNSPECIFIED", "adPersonalization": "UNSPECIFIED", "limitedDataUse": False},
        "timesReceived": 1,
        "lastReceivedAt": "2026-11-20T15:00:00.000Z",
        "expiresAt": "2027-02-18T15:00:00.000Z",
        "enrichment": [],
        "alerts": [{"id": event["alerts"][0]["id"], "title": "Meta is down"}],
    }
    assert delivery == {
        "id": delivery["id"],
        "platform": "META",
        "status": "DELIVERED",
        "attempts": 1,
        "lastError": None,
        "dropReason": None,
        "held": False,
        "queuedAt": "2026-11-20T15:00:00.000Z",
        "lastAttemptAt": "2026-11-20T15:00:03.000Z",
        "nextRetryAt": None,
        "deliveredAt": "2026-11-20T15:00:03.000Z",
        "latencyMs": 3000,
        "attemptLog": [
            {
                "number": 1,
                "at": "2026-11-20T15:00:03.000Z",
                "outcome": "ACKNOWLEDGED",
                "httpStatus": 200,
                "error": None,
                "durationMs": 0,
            }
        ],
        "explanation": None,
        "payload": {
            "data": [
                {
                    "event_name": "Purchase",
                    "event_time": 1795186740,
                    "event_id": "order_1",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/thanks",
                    "user_data": {
                        "em": ["8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"],
                        "fn": ["••••"],
                    },
                    "custom_data": {"value": 129.99, "currency": "USD"},
                }
            ]
        },
        "alerts": [{"id": event["alerts"][0]["id"], "kind": "PLATFORM_DOWN"}],
        "event": {"eventId": "order_1"},
    }


async def test_a_dropped_delivery_is_explained(api: Api, runtime: Runtime, merchant: Merchant, worker: int) -> None:
    await api.ingest(draft(event_name="Refund"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    answer = await api(
        "{ deliveries { edges { node { dropReason lastError payload explanation { code docsUrl } } } } }"
    )
    assert answer["deliveries"]["edges"][0]["node"] == {
        "dropReason": "UNSUPPORTED_EVENT",
        "lastError": "Meta has no refund: as a custom event it would take nothing off the Purchase",
        "payload": None,
        "explanation": {"code": "NO_REFUND", "docsUrl": "http://127.0.0.1:8000/docs/platforms-meta"},
    }


async def test_a_page_costs_the_same_number_of_statements_whatever_its_size(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    store(runtime, merchant, *(draft(f"order_{n}") for n in range(60)))
    open_alert(merchant, clock)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    await api("{ merchant { name } }")  # the key's last use is noted once a minute
    counts = []
    for first in (1, 5, 50):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="peewee"):
            answer = await api(EVERYTHING, first=first)
        assert len(answer["events"]["edges"]) == first
        statements = [r.getMessage() for r in caplog.records if r.name == "peewee" and "SELECT 1" not in r.getMessage()]
        counts.append(len([s for s in statements if "SELECT" in s and "set_config" not in s]))
    # The page, deliveries, events of deliveries, destinations, alerts (pairs and rows), the merchant; the key is known.
    assert counts == [7, 7, 7]


async def test_pages_follow_each_other_without_gap_or_repeat(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for batch in range(4):
        store(runtime, merchant, *(draft(f"order_{batch}_{n}") for n in range(5)))
        clock.move(timedelta(milliseconds=1))
    query = """query($after: String) { events(first: 7, after: $after) {
      pageInfo { hasNextPage hasPreviousPage endCursor } edges { node { eventId } } } }"""
    seen: list[str] = []
    flags = []
    after = None
    while True:
        page = (await api(query, after=after))["events"]
        seen += [edge["node"]["eventId"] for edge in page["edges"]]
        flags.append((page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]))
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
        if len(flags) == 1:  # what arrives meanwhile is on a page before, and shifts nothing
            store(runtime, merchant, draft("new"))
    assert seen == [f"order_{batch}_{n}" for batch in (3, 2, 1, 0) for n in (4, 3, 2, 1, 0)]
    assert flags == [(True, False), (True, True), (False, True)]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        pytest.param({"eventName": "Lead"}, ["lead"], id="name"),
        pytest.param({"eventIdPrefix": "or"}, ["order_1"], id="prefix"),
        pytest.param({"eventIdPrefix": "o%"}, [], id="a prefix is no pattern"),
        pytest.param({"deliveryStatus": "DROPPED"}, ["refund"], id="status"),
        pytest.param(
            {"deliveryStatus": "DELIVERED", "platform": "META"}, ["order_1", "lead"], id="status and platform"
        ),
        pytest.param({"deliveryStatuses": ["DROPPED", "DELIVERED"]}, ["order_1", "refund", "lead"], id="statuses"),
        pytest.param({"deliveryStatuses": ["QUEUED", "DROPPED"]}, ["refund"], id="one of some statuses"),
        pytest.param({"deliveryStatuses": []}, ["order_1", "refund", "lead"], id="no status is every status"),
        pytest.param({"deliveryStatus": "DROPPED", "deliveryStatuses": ["DELIVERED"]}, [], id="status and statuses"),
        pytest.param({"platforms": ["TIKTOK", "META"], "eventName": "Lead"}, ["lead"], id="platforms"),
        pytest.param({"platforms": ["TIKTOK"]}, [], id="platforms without a delivery"),
        pytest.param({"receivedSince": "2026-11-20T15:00:00.500Z"}, ["order_1"], id="since"),
        pytest.param({"receivedUntil": "2026-11-20T16:00:00.500+01:00"}, ["refund", "lead"], id="until"),
    ],
)
async def test_events_are_filtered(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, filter: Any, expected: list[str]
) -> None:
    store(runtime, merchant, draft("refund", event_name="Refund"), draft("lead", event_name="Lead"))
    clock.move(timedelta(seconds=1))
    store(runtime, merchant, draft("order_1"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    answer = await api("query($f: EventFilter) { events(filter: $f) { edges { node { eventId } } } }", f=filter)
    assert [edge["node"]["eventId"] for edge in answer["events"]["edges"]] == expected


async def test_events_are_found_by_when_they_happened(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """However late they were received, page by page; the newest received first."""
    happened = {}
    for number in range(24):
        at = clock.now() - timedelta(hours=7 * number if number % 3 == 0 else 0, minutes=number % 5 - 2)
        happened[f"order_{number}"] = at
        store(runtime, merchant, draft(f"order_{number}", occurred_at=at.isoformat()))
        clock.move(timedelta(minutes=20))
    query = """query($f: EventFilter, $after: String) {
      events(first: 3, filter: $f, after: $after) { nodes { eventId } pageInfo { hasNextPage endCursor } } }"""
    instants = sorted(happened.values())[::3]
    for since, until in product([None, *instants], [None, *instants]):
        if since is not None and until is not None and since > until:
            continue
        seen: list[str] = []
        filter = {"occurredSince": since and since.isoformat(), "occurredUntil": until and until.isoformat()}
        page: Any = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
        while page["pageInfo"]["hasNextPage"]:
            page = (await api(query, f=filter, after=page["pageInfo"]["endCursor"]))["events"]
            seen += [node["eventId"] for node in page["nodes"]]
        wanted = [id for id, at in happened.items() if (since is None or at >= since) and (until is None or at < until)]
        assert seen == wanted[::-1], filter


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("events", "received"),
        ("events", "occurred"),
        ("deliveries", "queued"),
        ("deliveries", "received"),
        ("alerts", "opened"),
    ],
)
async def test_a_filter_whose_time_ends_before_it_begins_is_refused(api: Api, field: str, name: str) -> None:
    until, since = "2026-11-20T14:00:00Z", "2026-11-20T14:00:00.001Z"
    query = f'{{ {field}(filter: {{{name}Since: "%s", {name}Until: "%s"}}) {{ nodes {{ id }} }} }}'
    (error,) = (await api.post(query % (since, until))).json()["errors"]
    assert error["message"] == f"filter.{name}Since lies after filter.{name}Until."
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert await api(query % (until, until)) == {field: {"nodes": []}}, "an empty one is none that is wrong"


async def test_nodes_are_the_rows_of_the_edges(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    store(runtime, merchant, draft("order_1"), draft("order_2"))
    open_alert(merchant, clock)
    for name in ("events", "deliveries", "alerts"):
        page = (await api(f"{{ {name} {{ nodes {{ id }} edges {{ node {{ id }} }} }} }}"))[name]
        assert page["nodes"] == [edge["node"] for edge in page["edges"]] != []


async def test_what_an_event_was_worth_is_selected_field_by_field(api: Api) -> None:
    custom = {
        "value": "129.90",
        "currency": "eur",
        "order_id": "A-1",
        "product_ids": ["sku_1", "sku_2"],
        "contents": [
            {"id": "sku_1", "quantity": 2, "item_price": 64.95, "title": "Lamp", "brand": "B", "category": "C"},
            {"id": "sku_2"},
        ],
        "num_items": 3,
        "content_name": "Lamps",
        "content_category": "Light",
        "content_type": "product",
        "search_string": "lamp",
        "status": "registered",
        "predicted_ltv": 1000,
        "properties": {"value": "another"},
    }
    await api.ingest(draft("full", custom_data=custom))
    await api.ingest(draft("empty", custom_data={}))
    query = """query($id: String!) { event(eventId: $id) { customData custom {
      value currency orderId productIds contents { id quantity itemPrice title brand category } numItems contentName
      contentCategory contentType searchString status predictedLtv } } }"""
    full = (await api(query, id="full"))["event"]
    assert full["custom"] == {
        **camel({name: value for name, value in full["customData"].items() if name != "properties"}),
        "contents": [
            {"id": "sku_1", "quantity": 2, "itemPrice": 64.95, "title": "Lamp", "brand": "B", "category": "C"},
            {"id": "sku_2", "quantity": 1, "itemPrice": None, "title": None, "brand": None, "category": None},
        ],
    }
    assert (full["custom"]["value"], full["custom"]["currency"]) == (129.90, "EUR")
    empty = (await api(query, id="empty"))["event"]["custom"]
    assert {name for name, value in empty.items() if value} == set()


@pytest.mark.parametrize(
    "query",
    [
        pytest.param('{ events(filter: {eventName: "Nope"}) { edges { cursor } } }', id="events"),
        pytest.param('{ deliveries(filter: {errorContains: "nope"}) { edges { cursor } } }', id="deliveries"),
    ],
)
async def test_a_read_that_takes_too_long_is_ended_and_says_how_to_narrow_it(
    api: Api,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    query: str,
) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT_MS", 100)
    with other_session(database) as other:
        other.cursor().execute("LOCK TABLE events, deliveries IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):  # the stock executor's answer, then the plan's
            answer = await api.post(query)
            (error,) = answer.json()["errors"]
            assert error["extensions"] == {"code": "READ_TIMEOUT"}
            assert "Narrow it" in error["message"]
    assert "edges" in next(iter((await api(query)).values()))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        pytest.param({"status": ["DELIVERED", "QUEUED"]}, ["order_1"], id="statuses"),
        pytest.param({"status": ["DELIVERED", "DELIVERED"]}, ["order_1"], id="a status twice"),
        pytest.param({"dropReason": ["UNSUPPORTED_EVENT"]}, ["refund"], id="drop reason"),
        pytest.param({"dropReason": ["UNSUPPORTED_EVENT"] * 3000}, ["refund"], id="a drop reason again and again"),
        pytest.param({"errorContains": "NO REFUND"}, ["refund"], id="error"),
        pytest.param({"platform": "META"}, ["refund", "order_1"], id="platform"),
        pytest.param({"queuedUntil": "2026-11-20T15:00:00Z"}, [], id="until"),
    ],
)
async def test_deliveries_are_filtered(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, filter: Any, expected: list[str]
) -> None:
    store(runtime, merchant, draft("refund", event_name="Refund"), draft("order_1"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    query = "query($f: DeliveryFilter) { deliveries(filter: $f) { edges { node { event { eventId } } } } }"
    answer = await api(query, f=filter)
    assert [edge["node"]["event"]["eventId"] for edge in answer["deliveries"]["edges"]] == expected


async def test_what_is_deleted_while_a_page_is_read_is_asked_for_again(
    api: Api, runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store(runtime, merchant, draft("order_1"), draft("order_2"))

    def page(*args: Any) -> Any:
        found = walk_of_deliveries(*args)
        with other_session(runtime.database_url) as other, other.cursor() as cursor:
            for table in ("deliveries", "events"):
                cursor.execute(f"DELETE FROM {table} WHERE event_id = 'order_1'")
            other.commit()
        return found

    monkeypatch.setattr(queries, "walk_of_deliveries", page)
    query = "{ deliveries { edges { node { event { eventId } } } } }"
    (error,) = (await api.post(query)).json()["errors"]
    assert error["extensions"] == {"code": "CHANGED_MEANWHILE", "retryable": True}
    assert error["message"] == "The event of a delivery was deleted while this was read. Ask again."
    assert [one["node"]["event"] for one in (await api(query))["deliveries"]["edges"]] == [{"eventId": "order_2"}]
    assert caplog.records == []


async def test_alerts_lead_to_the_deliveries_that_waited_while_they_were_open(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    store(runtime, merchant, draft("before"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    clock.move(timedelta(minutes=1))
    store(runtime, merchant, draft("during"))
    open_alert(merchant, clock)
    answer = await api(
        "{ alerts(filter: {state: OPEN, kind: [PLATFORM_DOWN]}) { edges { node { state severity platform "
        "deliveries { edges { node { event { eventId } } } } } } } }"
    )
    assert answer["alerts"]["edges"][0]["node"] == {
        "state": "OPEN",
        "severity": "CRITICAL",
        "platform": "META",
        "deliveries": {"edges": [{"node": {"event": {"eventId": "during"}}}]},
    }
    assert (await api("{ alerts(filter: {state: RESOLVED}) { edges { cursor } } }"))["alerts"]["edges"] == []


async def test_what_was_lost_before_an_alert_found_it_is_part_of_it(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    store(runtime, merchant, draft("long before", event_name="Refund"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    clock.move(timedelta(minutes=1))
    began = clock.now()
    store(runtime, merchant, draft("lost", event_name="Refund"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")  # dropped: Meta takes no such event
    clock.move(timedelta(minutes=1))
    open_alert(merchant, clock)
    query = "{ alerts { nodes { deliveries { nodes { status event { eventId } } } } } }"
    lost = [{"status": "DROPPED", "event": {"eventId": "lost"}}]
    told = [
        ({}, None, []),
        ({"since": began.isoformat()}, None, lost),
        # Seen again later, it tells of less: what it told when it opened counts.
        ({"since": clock.now().isoformat()}, {"details": {"since": began.isoformat()}}, lost),
        ({"since": "unknown"}, None, []),
    ]
    for details, at_first, found in told:
        with in_transaction():
            execute("UPDATE alerts SET details = %s, told = %s", (json.dumps(details), json.dumps(at_first)))
        assert [one["deliveries"]["nodes"] for one in (await api(query))["alerts"]["nodes"]] == [found]


async def test_alerts_are_narrowed_by_when_they_opened(api: Api, merchant: Merchant, clock: FrozenClock) -> None:
    open_alert(merchant, clock)
    opened, later = clock.now().isoformat(), (clock.now() + timedelta(seconds=1)).isoformat()
    query = """query($since: DateTime, $until: DateTime) {
      alerts(filter: {openedSince: $since, openedUntil: $until}) { nodes { title } } }"""
    for since, until, found in ((opened, later, 1), (later, None, 0), (None, opened, 0), (None, later, 1)):
        assert len((await api(query, since=since, until=until))["alerts"]["nodes"]) == found


WINDOWS = """{
  alerts { edges { node { title deliveries(first: 10) { edges { node { event { eventId } } } } } } }
  deliveries { edges { node { event { eventId } alerts { title } } } }
  events { edges { node { eventId alerts { title } } } } }"""
TITLES = """{ alerts { edges { node { title deliveries(first: 2) {
  pageInfo { hasNextPage endCursor } edges { node { event { eventId } } } } } } } }"""


async def test_a_delivery_belongs_to_the_alerts_that_were_open_while_it_waited_to_the_instant(
    api: Api, merchant: Merchant, clock: FrozenClock
) -> None:
    """Waits and alerts on a scale of seconds: all three ways of asking agree, and a shared instant counts."""
    start = clock.now()

    def at(second: float | None) -> datetime | None:
        return None if second is None else start + timedelta(seconds=second)

    waits: dict[str, tuple[float, float | None]] = {"a": (0, 10), "b": (10, 20), "c": (20, 30), "d": (30, None)}
    spans: dict[str, tuple[str | None, float, float | None]] = {
        "ends as b begins": ("meta", 2, 10),
        "an instant of b": ("meta", 15, 15),
        "begins as b ends": ("meta", 20, 21),
        "between the waits of none": ("meta", 30.5, 30.6),
        "of the whole merchant": (None, 9.999, 10.001),
        "of another platform": ("tiktok", 0, 100),
        "open still": ("meta", 30.000001, None),
    }
    with in_transaction():
        for event_id, (since, until) in waits.items():
            execute(
                "INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, "
                "times_received, action_source, user_data, custom_data) "
                "VALUES (%s, %s, 'Purchase', %s, %s, %s, 1, 'website', '{}', '{}')",
                (merchant.merchant_id, event_id, at(since), at(since), at(since)),
            )
            execute(
                "INSERT INTO deliveries (merchant_id, event_id, platform, status, received_at, queued_at, "
                "window_ends_at, due_at, delivered_at, finished_at) VALUES (%s, %s, 'meta', %s, %s, %s, %s, %s, %s, %s)",
                (
                    merchant.merchant_id,
                    event_id,
                    "queued" if until is None else "delivered",
                    *[at(since)] * 3,
                    at(since) if until is None else None,
                    *[at(until)] * 2,
                ),
            )
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, routed) SELECT merchant_id, platform, "
            "date_trunc('minute', received_at, 'UTC') AS minute, 1, count(*) FROM deliveries GROUP BY 1, 2, minute"
        )
        for title, (platform, since, until) in spans.items():
            execute(
                "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, opened_at, last_seen_at, "
                "resolved_at) VALUES (%s, 'platform_down', 'critical', %s, %s, '', %s, %s, %s)",
                (merchant.merchant_id, platform, title, at(since), at(since), at(until)),
            )
    clock.move(timedelta(seconds=60))
    answer = await api(WINDOWS)
    expected = {
        "ends as b begins": {"a", "b"},
        "an instant of b": {"b"},
        "begins as b ends": {"b", "c"},
        "between the waits of none": {"d"},
        "of the whole merchant": {"a", "b"},
        "of another platform": set(),
        "open still": {"d"},
    }
    by_alert = {
        edge["node"]["title"]: {inner["node"]["event"]["eventId"] for inner in edge["node"]["deliveries"]["edges"]}
        for edge in answer["alerts"]["edges"]
    }
    assert by_alert == expected
    turned = {event_id: {title for title, found in expected.items() if event_id in found} for event_id in waits}
    by_delivery = {
        edge["node"]["event"]["eventId"]: {alert["title"] for alert in edge["node"]["alerts"]}
        for edge in answer["deliveries"]["edges"]
    }
    assert by_delivery == turned
    by_event = {
        edge["node"]["eventId"]: {alert["title"] for alert in edge["node"]["alerts"]}
        for edge in answer["events"]["edges"]
    }
    assert by_event == turned


async def test_a_delivery_that_was_redelivered_belongs_to_the_alerts_of_each_time_it_waited(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    async def alert(title: str) -> None:
        """One that is open for ten minutes from now on."""
        open_alert(merchant, clock)
        clock.move(timedelta(minutes=10))
        with in_transaction():
            execute("UPDATE alerts SET title = %s, resolved_at = %s WHERE resolved_at IS NULL", (title, clock.now()))
        clock.move(timedelta(minutes=10))

    store(runtime, merchant, draft("again", event_name="Refund"), draft("once"))
    await alert("while it waits first")
    deliver_due(runtime, worker, merchant.merchant_id, "meta")  # "again" is dropped, "once" is delivered
    clock.move(timedelta(minutes=1))
    await alert("while it lies dropped")
    clock.move(timedelta(days=3))  # longer than any delivery waits by itself
    redeliver_matching(runtime, merchant.merchant_id, DeliverySearch())
    await alert("while it waits again")
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    clock.move(timedelta(minutes=1))
    await alert("after it was dropped again")
    redeliver_matching(runtime, merchant.merchant_id, DeliverySearch())
    await alert("while it waits for the third time")
    answer = await api(WINDOWS)
    by_alert = {
        edge["node"]["title"]: [inner["node"]["event"]["eventId"] for inner in edge["node"]["deliveries"]["edges"]]
        for edge in answer["alerts"]["edges"]
    }
    assert by_alert == {
        "while it waits first": ["once", "again"],
        "while it lies dropped": [],
        "while it waits again": ["again"],
        "after it was dropped again": [],
        "while it waits for the third time": ["again"],
    }
    by_delivery = {
        edge["node"]["event"]["eventId"]: [alert["title"] for alert in edge["node"]["alerts"]]
        for edge in answer["deliveries"]["edges"]
    }
    assert by_delivery == {
        "once": ["while it waits first"],
        "again": ["while it waits for the third time", "while it waits again", "while it waits first"],
    }


async def test_one_alert_over_two_waits_is_one(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    store(runtime, merchant, draft("again", event_name="Refund"))
    open_alert(merchant, clock)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    redeliver_matching(runtime, merchant.merchant_id, DeliverySearch())
    answer = await api(WINDOWS)
    assert answer["deliveries"]["edges"][0]["node"]["alerts"] == [{"title": "Meta is down"}]
    assert len(answer["alerts"]["edges"][0]["node"]["deliveries"]["edges"]) == 1


async def test_the_deliveries_of_many_alerts_are_read_in_one_statement(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    store(runtime, merchant, *(draft(f"order_{n}") for n in range(3)))
    open_alert(merchant, clock)
    open_alert(merchant, clock, None)
    open_alert(merchant, clock, "tiktok")
    await api(TITLES)  # the key's last use is noted once a minute
    with caplog.at_level(logging.DEBUG, logger="peewee"):
        answer = await api(TITLES)
    pages = [edge["node"]["deliveries"] for edge in answer["alerts"]["edges"]]
    newest = [{"node": {"event": {"eventId": f"order_{n}"}}} for n in (2, 1)]
    assert [page["edges"] for page in pages] == [[], newest, newest]
    assert [page["pageInfo"]["hasNextPage"] for page in pages] == [False, True, True]
    assert len([r for r in caplog.records if "CROSS JOIN LATERAL" in r.getMessage()]) == 1
    after = pages[2]["pageInfo"]["endCursor"]
    rest = await api(
        "query($after: String) { alerts { edges { node { deliveries(after: $after) { edges { node { event { eventId } "
        "} } } } } } }",
        after=after,
    )
    found = [edge["node"]["deliveries"]["edges"] for edge in rest["alerts"]["edges"]]
    assert found == [[], *[[{"node": {"event": {"eventId": "order_0"}}}]] * 2]


@pytest.mark.parametrize(
    "query",
    [
        "{ events(first: 0) { edges { cursor } } }",
        "{ events(first: 501) { edges { cursor } } }",
        '{ events(after: "nonsense") { edges { cursor } } }',
        '{ deliveries(after: "WyJFdmVudCIsMV0") { edges { cursor } } }',
        '{ events(filter: {receivedSince: "yesterday"}) { edges { cursor } } }',
        '{ events(filter: {receivedSince: "2026-11-20T15:00:00"}) { edges { cursor } } }',
        '{ events(filter: {eventName: "a\\u0000b"}) { edges { cursor } } }',
    ],
)
async def test_a_wrong_argument_is_a_clear_error(api: Api, query: str) -> None:
    answer = (await api.post(query)).json()
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_node_is_found_again_by_its_id(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    store(runtime, merchant, draft())
    open_alert(merchant, clock)
    found = await api(
        "{ merchant { id destinations { id } apiKeys { id } } events { edges { node { id } } } "
        "deliveries { edges { node { id } } } alerts { edges { node { id } } } }"
    )
    ids = {
        "Merchant": found["merchant"]["id"],
        "Destination": found["merchant"]["destinations"][0]["id"],
        "ApiKey": found["merchant"]["apiKeys"][0]["id"],
        **{
            kind: found[field]["edges"][0]["node"]["id"]
            for kind, field in (("Event", "events"), ("Delivery", "deliveries"), ("Alert", "alerts"))
        },
    }
    for kind, id in ids.items():
        answer = await api("query($id: ID!) { node(id: $id) { __typename id } }", id=id)
        assert answer["node"] == {"__typename": kind, "id": id}
    together = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    asked = [ids["Delivery"], "nonsense", *ids.values()]
    answer = await api(together, ids=asked)
    kinds = ["Delivery", None, *ids]
    assert answer["nodes"] == [
        {"__typename": kind, "id": id} if kind else None for kind, id in zip(kinds, asked, strict=True)
    ]
    (error,) = (await api.post(together, {"ids": ["x"] * 101})).json()["errors"]
    assert (error["extensions"]["code"], error["message"]) == ("BAD_USER_INPUT", "ids holds at most 100; this is 101.")
    stranger = Api(api.client, new_merchant(runtime, name="Other").key)
    assert (await stranger(together, ids=asked))["nodes"] == [None] * len(asked)
    for id in [*ids.values(), "", "nonsense", "W10", "WyJFdmVudCJd"]:
        assert (await stranger("query($id: ID!) { node(id: $id) { id } }", id=id))["node"] is None


GIVEN = {"first": "1", "retentionDays": "DAYS_30", "platform": "META"}  # argument -> value, wherever a field takes it


def _fields(kind: GraphQLObjectType, depth: int) -> str:
    """A selection of every field, as deep as the schema's limit allows."""
    chosen = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if name == "preview" and depth < 3:
            continue  # dear, and the same as higher up
        if is_leaf_type(inner):
            chosen.append(name)
        elif depth and isinstance(inner, GraphQLObjectType):
            given = [f"{argument}: {value}" for argument, value in GIVEN.items() if argument in field.args]
            arguments = f"({', '.join(given)})" if given else ""
            chosen.append(f"{name}{arguments} {{ {_fields(inner, depth - 1)} }}")
    return " ".join(chosen) or "__typename"


async def test_no_field_shows_another_merchants_rows(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    """Every query field, every field below it, asked with and about another merchant's ids."""
    secret = "SECRET-OF-THE-FIRST-SHOP"
    await api(
        "mutation($i: UpdateMerchantInput!) { updateMerchant(input: $i) { userErrors { code } } }", i={"name": secret}
    )
    store(
        runtime,
        merchant,
        draft(f"{secret}-event", user_data={"external_id": secret, "client_ip": "1.2.3.4", "client_user_agent": "x"}),
    )
    with in_transaction():
        execute("UPDATE destinations SET state_reason = %s", (secret,))
    open_alert(merchant, clock)
    with in_transaction():
        execute("UPDATE alerts SET title = %s", (secret,))
    own = await api(
        "{ events { edges { node { id } cursor } } deliveries { edges { node { id } cursor } } alerts { edges { node { id } } } }"
    )
    event, delivery = own["events"]["edges"][0], own["deliveries"]["edges"][0]
    alert = own["alerts"]["edges"][0]["node"]["id"]
    stranger = Api(api.client, new_merchant(runtime, name="Other").key)
    query = schema._schema.query_type
    assert query is not None
    asked = set()
    for name, field in query.fields.items():
        kind = get_named_type(field.type)
        arguments = {
            "node": [f'(id: "{event["node"]["id"]}")', f'(id: "{delivery["node"]["id"]}")'],
            "nodes": [f'(ids: ["{event["node"]["id"]}", "{delivery["node"]["id"]}"])'],
            "event": [f'(eventId: "{secret}-event")'],
            "alertChart": [f'(id: "{alert}")'],
            "events": [
                "(first: 3)",
                f'(first: 3, after: "{event["cursor"]}")',
                f'(first: 3, filter: {{eventIdPrefix: "{secret}"}})',
            ],
            "deliveries": [
                "(first: 3)",
                f'(first: 3, after: "{delivery["cursor"]}")',
                "(first: 3, filter: {status: [QUEUED, DELIVERED]})",
            ],
            "alerts": ["(first: 3)", "(first: 9, filter: {state: OPEN})"],
            "ledger": ['(since: "2026-11-20T00:00:00Z", until: "2026-11-21T00:00:00Z")'],
            "coverage": ['(since: "2026-11-20T00:00:00Z", until: "2026-11-21T00:00:00Z")'],
            "rejections": ['(since: "2026-11-20T00:00:00Z", until: "2026-11-21T00:00:00Z")'],
        }.get(name, [""])
        if name == "preview":
            continue  # its own test: it reads nothing but the caller's settings
        selection = _fields(kind, 4) if isinstance(kind, GraphQLObjectType) else "id"
        for argument in arguments:
            answer = await stranger.post(f"{{ {name}{argument} {{ {selection} }} }}")
            assert answer.status_code == 200
            assert "errors" not in answer.json(), answer.text
            assert secret not in answer.text, name
            if name == "ledger":
                assert answer.json()["data"]["ledger"] == {
                    "rows": [],
                    "balanced": True,
                    "whole": [],
                    "series": [],
                }
            asked.add(name)
    assert asked == set(query.fields) - {"preview"}


async def test_preview_shows_the_request_and_every_rule_and_stores_nothing(api: Api) -> None:
    query = """query($input: IngestEventInput!) { preview(input: $input, platform: META) {
      wouldSend request verdicts { rule ok message field } } }"""
    shown = (await api(query, input=camel(draft())))["preview"]
    assert shown["wouldSend"] is True
    assert shown["request"]["url"] == "https://graph.facebook.com/v26.0/8234567890123456/events"
    assert "token-of-the-tests" not in str(shown)
    assert all(verdict["ok"] for verdict in shown["verdicts"])
    refused = (await api(query, input=camel(draft(event_name="Refund"))))["preview"]
    assert (refused["wouldSend"], refused["request"]) == (False, None)
    assert refused["verdicts"][-1]["field"] == "eventName"
    wrong = (await api(query, input=camel(draft(occurred_at="never"))))["preview"]
    (invalid,) = [verdict for verdict in wrong["verdicts"] if not verdict["ok"]]
    assert (invalid["rule"], invalid["field"]) == ("invalid_time", "occurredAt")
    assert invalid["message"].startswith("occurredAt must be ")
    assert (await api("{ events { edges { cursor } } }"))["events"]["edges"] == []


async def test_platforms_tell_what_a_destination_needs(api: Api) -> None:
    answer = await api(
        "{ platforms { platform title batchSize maxEventAgeHours supportsTestEvents docsUrl "
        "settings { name required secret label help } eventNames deduplication } }"
    )
    meta = next(platform for platform in answer["platforms"] if platform["platform"] == "META")
    assert (meta["batchSize"], meta["maxEventAgeHours"], meta["supportsTestEvents"]) == (1000, 168, True)
    assert [s["name"] for s in meta["settings"] if s["secret"]] == ["access_token"]
    assert meta["deduplication"].startswith("Meta does not promise to recognise two copies")


@pytest.mark.parametrize(("platform", "at_risk"), [("meta", True), ("tiktok", False)])
async def test_a_repeat_that_the_platform_may_count_twice_is_marked(
    api: Api,
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    clock: FrozenClock,
    platform: str,
    at_risk: bool,
) -> None:
    remove_destination(runtime, merchant.merchant_id, "meta")
    set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)), None)
    query = "{ deliveries { edges { node { status duplicateRisk attemptLog { outcome } } } } }"

    async def node() -> tuple[Any, ...]:
        found = (await api(query))["deliveries"]["edges"][0]["node"]
        return found["status"], found["duplicateRisk"], [entry["outcome"] for entry in found["attemptLog"]]

    await api.ingest(draft())
    assert await node() == ("QUEUED", False, [])
    lost = {"platform": platform, "kind": "drop_after_accept", "count": 1}
    httpx.post(f"{sandbox.url}/_faults", json=lost).raise_for_status()
    deliver_due(runtime, worker, merchant.merchant_id, platform)
    assert await node() == ("FAILED", at_risk, ["UNKNOWN"])
    clock.move(timedelta(minutes=3))
    deliver_due(runtime, worker, merchant.merchant_id, platform)
    assert await node() == ("DELIVERED", at_risk, ["UNKNOWN", "ACKNOWLEDGED"])


async def test_a_held_delivery_says_that_it_waits_and_for_what(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    httpx.post(f"{sandbox.url}/_faults", json={"platform": "meta", "kind": "credentials"}).raise_for_status()
    await api.ingest(draft())
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    answer = await api(
        "{ deliveries { edges { node { held status attempts nextRetryAt lastError explanation { nextStep } "
        "attemptLog { outcome } } } } merchant { destinations { state stateReason waiting } } }"
    )
    node = answer["deliveries"]["edges"][0]["node"]
    assert (node["held"], node["status"], node["attempts"]) == (True, "QUEUED", 0)
    assert node["nextRetryAt"] == "2026-11-20T15:00:30.000Z"
    assert node["lastError"].startswith("401 ")
    assert "new token" in node["explanation"]["nextStep"]
    assert node["attemptLog"] == [{"outcome": "CREDENTIALS_REFUSED"}]
    (destination,) = answer["merchant"]["destinations"]
    assert (destination["state"], destination["waiting"]) == ("HELD", 1)
    assert destination["stateReason"].startswith("credentials refused: 401")


async def test_the_data_models_purchase_comes_back_as_it_was_sent(api: Api) -> None:
    await api.ingest(PURCHASE)
    event = (await api('{ event(eventId: "order_12345") { userData customData occurredAt eventName } }'))["event"]
    assert event == {
        "userData": PURCHASE["user_data"],
        "customData": PURCHASE["custom_data"],
        "occurredAt": "2026-04-23T14:12:33.000Z",
        "eventName": "Purchase",
    }
