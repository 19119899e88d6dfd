"""What the pages of events ask for: names of identifiers, what a repeat differed in, what would be sent today, and the few
events that are not as they should be out of the many that are.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Api, Merchant, camel, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import event_search
from tracklayer.db import events as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.event_search import EventSearch, page_of_events, page_query
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services import intake
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import remove_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.privacy import purge_expired
from tracklayer.services.stored import deliver_stored

DIFFERENCE = "query($id: String!) { event(eventId: $id) { timesReceived lastDifference { at fields } } }"
PREVIEW = """query($id: String!) { event(eventId: $id) { deliveries { platform
  preview { wouldSend request verdicts { rule ok message field } } } } }"""


async def difference_of(api: Api, event_id: str) -> Any:
    return (await api(DIFFERENCE, id=event_id))["event"]["lastDifference"]


async def noted(api: Api, runtime: Runtime, event_id: str = "order_1") -> Any:
    """What is known of the last difference, once what waited to be written is written."""
    for _ in range(200):
        with in_transaction():
            if rows("SELECT 1 FROM differing_repeats"):
                break
        await api("{ merchant { name } }")
    return await difference_of(api, event_id)


async def test_identifiers_are_named_without_their_values(api: Api) -> None:
    person = {"email": "jane@example.com", "first_name": "Jane", "fbp": "fb.1.1596403881668.1116446470", "zip": "  "}
    await api.ingest(draft(user_data=person))
    (event,) = (await api("{ events { nodes { identifiers } } }"))["events"]["nodes"]
    assert event == {"identifiers": ["email", "firstName", "fbp"]}


async def test_what_a_repeat_differed_in_is_told_by_field_and_never_by_value(api: Api, clock: FrozenClock) -> None:
    await api.ingest(draft())
    await api.ingest(draft())
    assert await difference_of(api, "order_1") is None  # it was the same
    clock.move(timedelta(seconds=5))
    person = {"email": "other@example.com", "first_name": "Jane", "client_ip": "203.0.113.42"}
    await api.ingest(draft(user_data=person, custom_data={"value": 130, "currency": "USD", "properties": {"a": 1}}))
    found = await noted(api, None)  # type: ignore[arg-type]
    assert found == {
        "at": "2026-11-20T15:00:05.000Z",
        "fields": [
            "userData.email",
            "userData.firstName",
            "userData.clientUserAgent",
            "customData.value",
            "customData.properties",
        ],
    }
    with in_transaction():
        ((text,),) = rows("SELECT r::text FROM differing_repeats r")
    assert "other@example.com" not in text
    assert "Jane" not in text


async def test_a_sender_that_may_not_read_has_its_differences_noted_all_the_same(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    await api.ingest(draft())
    created = await api(
        'mutation { createApiKey(input: {name: "shop", scopes: [INGEST]}) { key } }',
    )
    sender = Api(api.client, created["createApiKey"]["key"])
    repeat = draft(custom_data={"value": 1, "currency": "USD"})
    answer = await sender.ingest(repeat)
    assert [error["field"] for error in answer["userErrors"]] == [["eventId"]]
    assert (await noted(api, runtime))["fields"] == ["customData.value"]
    refused = await sender.post(DIFFERENCE, {"id": "order_1"})
    assert refused.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_an_import_that_differs_is_noted_too(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    values = (5, 6, 7)
    for value in values:
        ingest_events(runtime, merchant.holder, [draft(custom_data={"value": value, "currency": "USD"})] * 2)
    assert (await difference_of(api, "order_1"))["fields"] == ["customData.value"]


async def test_too_many_differences_at_once_are_left_out_and_said_to_be(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake, "MAX_NOTES", 2)
    await api.ingest(draft())
    events = [draft(f"order_{n}") for n in range(5)]
    many = "mutation($inputs: [IngestEventInput!]!) { ingestEvents(inputs: $inputs) { coalesced } }"
    await api(many, inputs=[camel(event) for event in events])
    repeats = [{**event, "custom_data": {"value": 7, "currency": "USD"}} for event in events]
    assert (await api(many, inputs=[camel(event) for event in repeats]))["ingestEvents"]["coalesced"] == 5
    await noted(api, None)  # type: ignore[arg-type]
    with in_transaction():
        assert len(rows("SELECT 1 FROM differing_repeats")) == 2
    assert "of 3 repeats that differed it is not noted in which fields" in caplog.text


async def test_a_difference_goes_with_its_event(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    await api.ingest(draft())
    await api.ingest(draft(custom_data={"value": 1, "currency": "USD"}))
    await noted(api, runtime)
    clock.move(timedelta(days=91))
    purge_expired(runtime)
    with in_transaction():
        assert rows("SELECT 1 FROM differing_repeats") == []


async def test_what_would_be_sent_today_comes_with_every_rule(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    await api.ingest(draft(user_data={"email": "jane@example.com", "first_name": "Jane", "street": "1 Main Street"}))
    (delivery,) = (await api(PREVIEW, id="order_1"))["event"]["deliveries"]
    found = delivery["preview"]
    assert found["wouldSend"] is True
    assert [verdict["field"] for verdict in found["verdicts"] if verdict["rule"] == "no_place"] == ["userData.street"]
    assert "Main" not in str(found)
    assert found["request"]["method"] == "POST"
    person = found["request"]["body"]["data"][0]["user_data"]
    assert person["fn"] == ["••••"]
    assert len(person["em"][0]) == 64
    assert {verdict["rule"] for verdict in found["verdicts"]} >= {"event_name", "event_age", "consent", "identifiers"}
    assert "Jane" not in str(found)
    assert "token-of-the-tests" not in str(found)

    clock.move(timedelta(days=8))  # today is another day: what could be sent then is too old now
    (delivery,) = (await api(PREVIEW, id="order_1"))["event"]["deliveries"]
    assert delivery["preview"]["wouldSend"] is False
    assert delivery["preview"]["request"] is None
    broken = [verdict for verdict in delivery["preview"]["verdicts"] if not verdict["ok"]]
    assert [(verdict["rule"], verdict["field"]) for verdict in broken] == [
        ("user_data", "userData.clientUserAgent"),
        ("event_age", "occurredAt"),
    ] or broken[-1]["field"] == "occurredAt"

    remove_destination(runtime, merchant.merchant_id, "meta")
    (delivery,) = (await api(PREVIEW, id="order_1"))["event"]["deliveries"]
    assert delivery["preview"] is None


async def test_when_a_delivery_was_given_up_is_told(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    await api.ingest(draft("refund", event_name="Refund"))  # Meta has none: it is dropped before anything is sent
    await api.ingest(draft("order"))
    clock.move(timedelta(seconds=3))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    nodes = (await api("{ deliveries { nodes { status droppedAt attemptLog { number } } } }"))["deliveries"]["nodes"]
    assert nodes == [
        {"status": "DROPPED", "droppedAt": "2026-11-20T15:00:03.000Z", "attemptLog": []},
        {"status": "DELIVERED", "droppedAt": None, "attemptLog": [{"number": 1}]},
    ]


@pytest.fixture
def mixed(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> list[str]:
    """Delivered, dropped and waiting events in turns; and some that were dropped after they had been stored for a while."""
    for n in range(6):
        name = "Refund" if n % 2 else "Purchase"  # Meta has no refund: it is dropped
        ingest_events(runtime, merchant.holder, [draft(f"order_{n}", event_name=name)])
        clock.move(timedelta(seconds=1))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    set_destination(
        runtime, merchant.merchant_id, "tiktok", {"pixel_code": "CABCDEFGHIJ0123456789", "access_token": "t" * 40}
    )
    deliver_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(event_id_prefix="order_"))
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = 'rejected', due_at = NULL, finished_at = queued_at "
            "WHERE platform = 'tiktok' AND event_id IN ('order_0', 'order_1')"
        )
    ingest_events(runtime, merchant.holder, [draft("new_1"), draft("new_2", event_name="Lead")])
    return ["new_2", "new_1", *(f"order_{n}" for n in (5, 4, 3, 2, 1, 0))]


@pytest.mark.parametrize(
    "search",
    [
        EventSearch(delivery_status="dropped"),
        EventSearch(delivery_statuses=("dropped", "failed")),
        EventSearch(delivery_statuses=("dropped", "queued")),
        EventSearch(delivery_status="queued"),
        EventSearch(delivery_status="queued", platform="meta"),
        EventSearch(delivery_status="dropped", platforms=("tiktok",)),
        EventSearch(delivery_status="dropped", platform="meta", platforms=("tiktok",)),
        EventSearch(delivery_status="dropped", delivery_statuses=("queued",)),
        EventSearch(delivery_status="dropped", event_name="Refund"),
        EventSearch(delivery_status="dropped", event_id_prefix="order_1"),
        EventSearch(delivery_status="failed"),
    ],
)
def test_events_that_are_not_as_they_should_be_are_found_as_among_all(
    merchant: Merchant, mixed: list[str], clock: FrozenClock, search: EventSearch
) -> None:
    """By their deliveries, page by page, as the plain statement finds them among all events."""
    with in_transaction():
        among_all = [db.read_row(row) for row in rows(*page_query(merchant.merchant_id, search, 100))]
        assert page_of_events(merchant.merchant_id, search, 100) == among_all
        seen: list[Any] = []
        while True:
            after = (seen[-1].received_at, seen[-1].event_id) if seen else None
            page = page_of_events(merchant.merchant_id, EventSearch(**{**vars(search), "after": after}), 1)
            if not page:
                break
            seen += page
    assert seen == among_all


def test_a_time_narrows_what_is_found_by_deliveries(merchant: Merchant, mixed: list[str], clock: FrozenClock) -> None:
    now = clock.now()
    search = EventSearch(
        delivery_status="dropped", received_since=now - timedelta(seconds=5), received_until=now - timedelta(seconds=2)
    )
    with in_transaction():
        assert [row.event_id for row in page_of_events(merchant.merchant_id, search, 9)] == ["order_3", "order_1"]


async def test_an_event_has_no_more_deliveries_than_are_looked_through() -> None:
    assert len(PLATFORMS) <= event_search.MOST_OF_EVENT


async def test_another_merchants_differences_are_not_seen(api: Api, runtime: Runtime) -> None:
    await api.ingest(draft())
    await api.ingest(draft(custom_data={"value": 1, "currency": "USD"}))
    await noted(api, runtime)
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    await other.ingest(draft())
    await other.ingest(draft())
    assert await difference_of(other, "order_1") is None
