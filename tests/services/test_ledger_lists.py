"""Every figure of the ledger is a list: the filters that a figure stands for find exactly as many rows as it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.factories import META, Api, Merchant, draft, new_merchant
from tests.redelivering import go_on, job_of
from tests.services.test_ledger import PLATFORMS, Walk
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.delivery_search import DeliverySearch, page_of_deliveries
from tracklayer.db.event_search import EventSearch, page_of_events
from tracklayer.db.ledger import ledger
from tracklayer.db.redeliveries import insert_redelivery, redelivery_by_id
from tracklayer.domain.ledger import Cohort, with_totals
from tracklayer.domain.problem import CODES
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, pause_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.pacing import PAGE
from tracklayer.services.redeliver import count_ids, redeliver_matching
from tracklayer.services.stored import deliver_stored

STEPS = 120
EVERYTHING = 100_000
DELIVERIES = """query($filter: DeliveryFilter) { deliveries(first: 500, filter: $filter) { edges { node { id } } } }"""
EVENTS = """query($filter: EventFilter) { events(first: 500, filter: $filter) { edges { node { eventId } } } }"""
WHOLE = """
query($since: DateTime!, $until: DateTime!) {
  ledger(since: $since, until: $until) { balanced whole { bucketStart platform eventsAccepted eventsCoalesced eventsRejected
    routed filtered delivered dropped waiting held dropReasons purged balanced latencyP50Ms } }
  rejections(since: $since, until: $until) { code field eventName count meaning nextStep }
}"""


class Lists:
    """As many rows as the lists of one bucket hold, by the figures' names."""

    def __init__(self, merchant_id: int, platform: str, since: datetime, until: datetime) -> None:
        self.merchant_id, self.platform, self.since, self.until = merchant_id, platform, since, until

    def deliveries(self, **narrowed: Any) -> int:
        search = DeliverySearch(
            platform=self.platform, received_since=self.since, received_until=self.until, **narrowed
        )
        return len(page_of_deliveries(self.merchant_id, search, EVERYTHING))

    def events(self, **narrowed: Any) -> int:
        search = EventSearch(received_since=self.since, received_until=self.until, **narrowed)
        return len(page_of_events(self.merchant_id, search, EVERYTHING))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        yield "routed", self.deliveries()
        yield "delivered", self.deliveries(status=("delivered",))
        yield "dropped", self.deliveries(status=("dropped",))
        yield "waiting", self.deliveries(status=("queued", "failed"), held=False)
        yield "held", self.deliveries(held=True)
        yield "filtered", self.events(filtered_at=self.platform)


def check_lists(walk: Walk) -> None:
    begin, end = walk.clock.now() - timedelta(days=300), walk.clock.now() + timedelta(days=1)

    with in_transaction():
        found = with_totals(ledger(walk.merchant.merchant_id, begin, end, "hour"))
        for row in found:
            if row.platform is None:
                lists = Lists(walk.merchant.merchant_id, "", row.bucket_start, row.bucket_start + timedelta(hours=1))
                assert lists.events() == row.accepted
            else:
                check_row(walk.merchant.merchant_id, row.platform, row)


def check_pages(walk: Walk) -> None:
    """Whichever way a page is found, it holds what all deliveries in their order would, passed over one by one."""
    merchant_id = walk.merchant.merchant_id
    with in_transaction():
        everything = page_of_deliveries(merchant_id, DeliverySearch(), EVERYTHING)
        sql = "SELECT platform FROM destinations WHERE merchant_id = %s AND removed_at IS NULL AND state <> 'active'"
        not_sent_to = [row[0] for row in rows(sql, (merchant_id,))]
        check_event_pages(walk)
        middle = everything[len(everything) // 2] if everything else None
        for platform in (None, *PLATFORMS):
            for search in searches(platform, middle):
                admitted = [row for row in everything if search.admits(row, not_sent_to)]
                if search.after is not None:
                    admitted = [row for row in admitted if (row.queued_at, row.event_id, row.platform) < search.after]
                assert page_of_deliveries(merchant_id, search, 7) == admitted[:7], search
                assert page_of_deliveries(merchant_id, search, EVERYTHING) == admitted, search


def check_event_pages(walk: Walk) -> None:
    merchant_id = walk.merchant.merchant_id
    everything = page_of_events(merchant_id, EventSearch(), EVERYTHING)
    for platforms in (PLATFORMS[:1], PLATFORMS[1:], PLATFORMS, ("pinterest",)):
        for statuses in ((), ("delivered",), ("delivered", "queued"), ("delivered", "dropped", "failed")):
            sql = "SELECT event_id FROM deliveries WHERE merchant_id = %s AND platform = ANY(%s) AND status = ANY(%s)"
            given = (merchant_id, list(platforms), list(statuses or ("delivered", "dropped", "failed", "queued")))
            there = {row[0] for row in rows(sql, given)}
            admitted = [row for row in everything if row.event_id in there]
            search = EventSearch(platforms=platforms, delivery_statuses=statuses)
            assert page_of_events(merchant_id, search, EVERYTHING) == admitted, search
            if len(admitted) > 1:
                middle = admitted[len(admitted) // 2]
                search = replace(search, after=(middle.received_at, middle.event_id))
                assert page_of_events(merchant_id, search, 5) == admitted[len(admitted) // 2 + 1 :][:5], search
                search = replace(search, after=None, received_since=middle.received_at)
                later = [row for row in admitted if row.received_at >= middle.received_at]
                assert page_of_events(merchant_id, search, EVERYTHING) == later, search


def searches(platform: str | None, middle: DeliveryRow | None) -> Iterator[DeliverySearch]:
    narrowed: tuple[dict[str, Any], ...] = (
        {},
        {"status": ("delivered",)},
        {"status": ("dropped", "failed")},
        {"status": ("queued",), "drop_reason": ("retries_exhausted",)},
        {"drop_reason": ("missing_identifiers",)},
        {"drop_reason": ("retries_exhausted", "window_expired", "consent_denied")},
        {"drop_reason": ("retries_exhausted",), "error_code": "100"},
        {"error_contains": "4"},
        {"error_contains": "nobody says this"},
        {"held": True},
        {"held": False},
    )
    for given in narrowed:
        search = DeliverySearch(platform=platform, **given)
        yield search
        if middle is not None:
            yield replace(search, queued_since=middle.queued_at)
            yield replace(search, queued_until=middle.queued_at)
            yield replace(search, after=(middle.queued_at, middle.event_id, middle.platform))


def check_row(merchant_id: int, platform: str, row: Cohort) -> None:
    lists = Lists(merchant_id, platform, row.bucket_start, row.bucket_start + timedelta(hours=1))
    assert dict(lists) == {name: getattr(row, name) for name, _ in lists}
    reasons = {reason: lists.deliveries(drop_reason=(reason,)) for reason in row.drop_reasons}
    assert reasons == {reason: count for reason, count in row.drop_reasons.items() if count}


class LongWalk(Walk):
    """One whose destinations stay, and whose events are kept: each figure has its rows."""

    def purge(self) -> None:
        self.clock.move(timedelta(hours=3))

    def remove(self) -> None:
        self.move()


@pytest.mark.seeds(1, 2, 716593215)
def test_every_figure_is_a_list_whatever_was_done(
    runtime: Runtime, clock: FrozenClock, sandbox: SandboxServer, worker: int, seed: int
) -> None:
    walk = LongWalk(runtime, clock, sandbox, worker, seed)
    done = []
    for step in range(STEPS):
        done.append(walk.step())
        clock.move(
            timedelta(seconds=1)
        )  # so that a destination is there before or after an event, and not as it arrives
        if step % 10 == 9:
            try:
                check_lists(walk)
                if step % 40 == 39:
                    check_pages(walk)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, after {done}") from error
    assert walk.accepted
    assert set(walk.names) <= set(PLATFORMS)


@pytest.fixture
def mixed(runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int, sandbox: SandboxServer) -> Merchant:
    """Of everything that may become of an event something, within one hour; TikTok's destination is paused."""
    now = clock.now().isoformat()

    def at(event_id: str, **changes: Any) -> dict[str, Any]:
        return draft(event_id, **{"occurred_at": now, **changes})

    ingest_events(runtime, merchant.holder, [at("early_lead", event_name="Lead"), at("early_purchase")])
    clock.move(timedelta(seconds=5))
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), ["Lead"])
    clock.move(timedelta(seconds=5))
    broken = [at("no_time", occurred_at="yesterday"), at("", event_name="Lead"), at("no_time_2", occurred_at="never")]
    plain = [at("purchase_1"), at("purchase_2"), at("purchase_1"), at("lead_1", event_name="Lead")]
    nobody, old = at("nobody", user_data={}), at("old", occurred_at=(clock.now() - timedelta(days=8)).isoformat())
    refused = at("refund", event_name="Refund")
    httpx.post(
        f"{sandbox.url}/_faults",
        json={"platform": "meta", "kind": "refuse", "event_ids": ["purchase_2"], "count": 99},
    ).raise_for_status()
    ingest_events(runtime, merchant.holder, [*broken, *plain, nobody, old, refused])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    deliver_due(runtime, worker, merchant.merchant_id, "tiktok")
    clock.move(timedelta(minutes=5))
    pause_destination(runtime, merchant.merchant_id, "tiktok")
    ingest_events(runtime, merchant.holder, [at("lead_2", event_name="Lead"), at("lead_3", event_name="Lead")])
    return merchant


async def test_the_whole_time_as_one_row_a_platform(api: Api, mixed: Merchant) -> None:
    found = await api(WHOLE, since="2026-11-20T14:00:00Z", until="2026-11-20T16:00:00Z")
    assert found["ledger"]["balanced"] is True
    whole, meta, tiktok = found["ledger"]["whole"]
    assert {**whole, "latencyP50Ms": None} == {
        "bucketStart": "2026-11-20T14:00:00.000Z",
        "platform": None,
        "eventsAccepted": 10,
        "eventsCoalesced": 1,
        "eventsRejected": 3,
        "routed": 13,
        "filtered": 5,
        "delivered": 5,
        "dropped": 3,
        "waiting": 3,
        "held": 2,
        "dropReasons": {"missing_identifiers": 1, "event_too_old": 1, "unsupported_event": 1},
        "purged": 0,
        "balanced": True,
        "latencyP50Ms": None,
    }
    assert (meta["platform"], meta["routed"], meta["waiting"], meta["held"]) == ("META", 10, 3, 0)
    assert (tiktok["platform"], tiktok["filtered"], tiktok["delivered"], tiktok["held"]) == ("TIKTOK", 5, 1, 2)
    assert found["rejections"][0] == {
        "code": "INVALID_TIME",
        "field": "occurredAt",
        "eventName": "Purchase",
        "count": 2,
        "meaning": CODES["INVALID_TIME"].meaning,
        "nextStep": CODES["INVALID_TIME"].what_to_do,
    }
    assert sum(row["count"] for row in found["rejections"]) == whole["eventsRejected"]


async def test_the_whole_time_is_the_same_whether_its_buckets_are_asked_for_or_not(api: Api, mixed: Merchant) -> None:
    whole = "whole { platform eventsAccepted routed filtered delivered waiting held dropReasons purged latencyP95Ms }"
    for bucket in ("MINUTE", "HOUR"):
        ledger = f'ledger(since: "2026-11-20T14:00:00Z", until: "2026-11-20T16:00:00Z", bucket: {bucket})'
        alone = await api(f"{{ {ledger} {{ {whole} }} }}")
        assert [row["routed"] for row in alone["ledger"]["whole"]] == [13, 10, 3]
        for more in (f"{whole} series {{ routed }}", f"rows {{ routed }} {whole} balanced"):
            found = await api(f"{{ {ledger} {{ {more} }} }}")
            assert found["ledger"]["whole"] == alone["ledger"]["whole"]


async def test_every_figure_is_a_list_over_the_api(api: Api, mixed: Merchant) -> None:
    span = {"receivedSince": "2026-11-20T14:00:00Z", "receivedUntil": "2026-11-20T16:00:00Z"}

    async def count(**narrowed: Any) -> int:
        found = await api(DELIVERIES, filter={**span, **narrowed})
        return len(found["deliveries"]["edges"])

    whole = (await api(WHOLE, since=span["receivedSince"], until=span["receivedUntil"]))["ledger"]["whole"]
    for row in whole:
        of = {"platform": row["platform"]} if row["platform"] else {}
        assert await count(**of) == row["routed"]
        assert await count(**of, status=["DELIVERED"]) == row["delivered"]
        assert await count(**of, status=["DROPPED"]) == row["dropped"]
        assert await count(**of, status=["QUEUED", "FAILED"], held=False) == row["waiting"]
        assert await count(**of, held=True) == row["held"]
        assert await count(**of, held=False) == row["routed"] - row["held"]
        for reason, dropped in row["dropReasons"].items():
            assert await count(**of, dropReason=[reason.upper()]) == dropped
        if row["platform"]:
            found = await api(EVENTS, filter={**span, "filteredAt": row["platform"]})
            assert len(found["events"]["edges"]) == row["filtered"]
    assert len((await api(EVENTS, filter=span))["events"]["edges"]) == whole[0]["eventsAccepted"]
    tiktok = await api(EVENTS, filter={"filteredAt": "TIKTOK"})
    assert {edge["node"]["eventId"] for edge in tiktok["events"]["edges"]} == {
        "purchase_1",
        "purchase_2",
        "nobody",
        "old",
        "refund",
    }


async def test_pages_of_what_was_filtered_go_on_where_the_last_ended(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), ["Lead"])
    sent = []
    for hour in range(4):
        clock.move(timedelta(minutes=50))
        for number in range(3):
            clock.move(timedelta(seconds=20))
            sent.append(f"order_{hour}_{number}")
            await api.ingest(draft(sent[-1], occurred_at=clock.now().isoformat()))
    pages, after = [], None
    while True:
        query = """query($after: String) { events(first: 5, after: $after, filter: {filteredAt: TIKTOK}) {
          edges { cursor node { eventId } } pageInfo { hasNextPage } } }"""
        found = (await api(query, after=after))["events"]
        pages += [edge["node"]["eventId"] for edge in found["edges"]]
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["edges"][-1]["cursor"]
    assert pages == sent[::-1]


def test_what_was_stored_before_its_destination_is_listed_by_when_it_arrived(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    begin = clock.now()
    ingest_events(runtime, merchant.holder, [draft("old_1", occurred_at=begin.isoformat())])
    clock.move(timedelta(hours=5))
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    deliver_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(event_id_prefix="old_"))
    ingest_events(runtime, merchant.holder, [draft("new_1", occurred_at=clock.now().isoformat())])
    with in_transaction():
        hour = DeliverySearch(platform="tiktok", received_since=begin, received_until=begin + timedelta(hours=1))
        assert [row.event_id for row in page_of_deliveries(merchant.merchant_id, hour, 50)] == ["old_1"]
        later = DeliverySearch(platform="tiktok", received_since=begin + timedelta(hours=1))
        assert [row.event_id for row in page_of_deliveries(merchant.merchant_id, later, 50)] == ["new_1"]


def test_a_redelivery_keeps_to_when_events_arrived_and_what_is_held(
    runtime: Runtime, clock: FrozenClock, worker: int
) -> None:
    """Also where it is too big for one call, and goes on by what was written down of it."""
    merchant = new_merchant(runtime)
    for count, hour in ((5, 0), (PAGE + 200, 1), (5, 2)):
        events = [
            draft(f"order_{hour}_{number}", occurred_at=clock.now().isoformat(), event_name="Refund")
            for number in range(count)
        ]
        for start in range(0, count, 500):
            ingest_events(runtime, merchant.holder, events[start : start + 500])
        while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
            pass
        clock.move(timedelta(hours=1))
    since, until = clock.now() - timedelta(hours=2), clock.now() - timedelta(hours=1)
    search = DeliverySearch(received_since=since, received_until=until, held=False)
    result = redeliver_matching(runtime, merchant.merchant_id, search)
    job = job_of(result)
    assert (job.search.received_since, job.search.received_until, job.search.held) == (since, until, False)
    clock.move(timedelta(minutes=2))  # nobody delivers here, and so long it waits at most for those who do
    go_on(runtime)
    assert (job_of(result).matched, job_of(result).finished_at is not None) == (PAGE + 200, True)


def test_by_ids_what_is_held_is_told_from_what_waits(runtime: Runtime, clock: FrozenClock) -> None:
    merchant = new_merchant(runtime)
    set_destination(runtime, merchant.merchant_id, "meta", META, None)
    ingest_events(runtime, merchant.holder, [draft()])
    pause_destination(runtime, merchant.merchant_id, "meta")
    keys = [("order_1", "meta")]
    for held, matched in ((True, 1), (False, 0)):
        found = count_ids(runtime, merchant.merchant_id, keys, DeliverySearch(held=held))
        assert found.matched == matched


def test_a_worker_of_an_older_version_leaves_such_a_job_alone(runtime: Runtime, clock: FrozenClock) -> None:
    """It reads the names it knows, and finds none: it would redeliver what nobody asked for."""
    merchant = new_merchant(runtime)
    with in_transaction():
        for search, names in (
            (DeliverySearch(received_since=clock.now()), ["search"]),
            (DeliverySearch(held=True), ["search"]),
        ):
            job = insert_redelivery(merchant.merchant_id, search, False, clock.now())
            (written,) = rows(
                "SELECT array_agg(name) FROM redeliveries, jsonb_object_keys(search) AS name WHERE redelivery_id = %s",
                (job.redelivery_id,),
            )[0]
            assert written == names
            found = redelivery_by_id(merchant.merchant_id, job.redelivery_id)
            assert found is not None
            assert found.search == search
