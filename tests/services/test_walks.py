"""A page of what no index leads to looks at so many rows, says how far it came, and goes on from there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Api, Merchant
from tests.services.test_pages_read import rows_read
from tracklayer.clock import FrozenClock
from tracklayer.db import delivery_search, walks
from tracklayer.db import event_search as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import example_settings, set_destination

EVENTS, MOST = 4_000, 500
RARE = ("e0100", "e1700", "e1701", "e3999")  # by their place, oldest first

MAKE = """
INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received,
                    action_source, user_data, custom_data)
SELECT %(merchant)s, 'e' || lpad(n::text, 4, '0'),
       CASE WHEN 'e' || lpad(n::text, 4, '0') = ANY(%(rare)s) THEN 'Rare' ELSE 'PageView' END,
       at, at, at, 1, 'website', '{}', '{}'
FROM generate_series(0, %(events)s - 1) AS n, LATERAL (SELECT %(now)s - (%(events)s - n) * interval '1 second' AS at) AS x
"""
# All wait at a platform that takes none, and each was refused once.
QUEUE = """
INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, due_at, window_ends_at, status, last_error)
SELECT merchant_id, event_id, 'tiktok', received_at, received_at, received_at, received_at + interval '1 day', 'failed',
       CASE WHEN event_name = 'Rare' THEN 'Somebody says THIS' ELSE 'no such pixel' END FROM events
"""
COUNT = """
INSERT INTO minutes (merchant_id, platform, minute, slot, routed, waiting)
SELECT merchant_id, platform, date_trunc('minute', received_at, 'UTC') AS minute, 1, count(*), count(*)
FROM deliveries GROUP BY merchant_id, platform, minute
"""


@pytest.fixture
def town(runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Merchant:
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    params: Any = {"merchant": merchant.merchant_id, "rare": list(RARE), "events": EVENTS, "now": clock.now()}
    with in_transaction():
        execute(MAKE, params)
        execute(QUEUE)
        execute(COUNT)
        execute("ANALYZE")
    monkeypatch.setattr(walks, "MOST_LOOKED", MOST)
    return merchant


SEARCHES = [
    (EventSearch(event_name="Rare"), RARE),
    (EventSearch(event_name="Nobody sends this"), ()),
    (EventSearch(event_name="Rare", platform="tiktok"), RARE),
    (EventSearch(platforms=("tiktok",), delivery_statuses=("delivered", "dropped")), ()),
    (EventSearch(delivery_status="delivered"), ()),
    (EventSearch(filtered_at="tiktok"), ()),
]


@pytest.mark.parametrize(("search", "ids"), SEARCHES, ids=str)
def test_each_page_reads_so_many_events_and_all_of_them_find_all(
    town: Merchant, search: EventSearch, ids: tuple[str, ...]
) -> None:
    found, pages = [], 0
    while True:
        with in_transaction():
            page, until = walks.walk_of_events(town.merchant_id, search, 3)
        place = rows_read(*db.place_query(town.merchant_id, search, MOST), ("events",))
        assert sum(place.values()) <= MOST + 5, place  # an hour more costs one
        since = EventSearch(**{**vars(search), "received_since": until})
        if until is not None:
            read = rows_read(*db.page_query(town.merchant_id, since, 3), ("events",))
            assert sum(read.values()) <= MOST + 5, read
        found += [row.event_id for row in page]
        pages += 1
        if until is not None:
            search = EventSearch(**{**vars(search), "after": (until, "")})
        elif len(page) == 3:
            search = EventSearch(**{**vars(search), "after": (page[-1].received_at, page[-1].event_id)})
        else:
            break
    assert found == sorted(ids, reverse=True)
    assert pages <= EVENTS // MOST + 1


def test_what_an_index_leads_to_is_found_at_once(town: Merchant) -> None:
    for search, count in (
        (EventSearch(event_id_prefix="e0100"), 1),
        (EventSearch(event_id_prefix="e0100", event_name="Rare"), 1),
        (EventSearch(delivery_status="failed"), 3),
        (EventSearch(), 3),
    ):
        with in_transaction():
            page, until = walks.walk_of_events(town.merchant_id, search, 3)
        assert (len(page), until) == (count, None)


def test_a_full_page_goes_on_behind_its_last_event(town: Merchant) -> None:
    with in_transaction():
        page, until = walks.walk_of_events(town.merchant_id, EventSearch(event_name="PageView"), 51)
    assert (len(page), until) == (51, None)


@pytest.mark.parametrize("words", ["says this", "nobody says that"])
def test_words_are_looked_for_among_so_many_deliveries_a_page(town: Merchant, words: str) -> None:
    search, found, pages = DeliverySearch(error_contains=words), [], 0
    while True:
        with in_transaction():
            page, until = walks.walk_of_deliveries(town.merchant_id, search, 3)
        place = rows_read(*delivery_search.place_query(town.merchant_id, search, MOST))
        assert sum(place.values()) <= MOST + 5, place  # an hour more costs one
        found += [row.event_id for row in page]
        pages += 1
        if until is not None:
            since = DeliverySearch(**{**vars(search), "queued_since": until})
            read = rows_read(*delivery_search.page_query(town.merchant_id, since, 3))
            assert sum(read.values()) <= MOST + 5, read
        elif len(page) < 3:
            break
        after = (until, "", "") if until is not None else (page[-1].queued_at, page[-1].event_id, page[-1].platform)
        search = DeliverySearch(**{**vars(search), "after": after})
    assert found == (sorted(RARE, reverse=True) if words == "says this" else [])
    assert pages <= EVENTS // MOST + 1


async def test_a_page_says_how_far_back_it_looked_and_its_cursor_goes_on(
    api: Api, town: Merchant, clock: FrozenClock
) -> None:
    ask = """query($after: String) { events(first: 2, after: $after, filter: {eventName: "Rare"}) {
        nodes { eventId } pageInfo { hasNextPage endCursor searchedUntil } } }"""
    told, after = [], None
    for _ in range(20):
        page = (await api(ask, after=after))["events"]
        told.append(([one["eventId"] for one in page["nodes"]], page["pageInfo"]["searchedUntil"] is not None))
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [event_id for ids, _ in told for event_id in ids] == sorted(RARE, reverse=True)
    assert told[0] == (["e3999"], True)
    assert [goes_on for _, goes_on in told] == [True] * (len(told) - 1) + [False]
    with in_transaction():
        ((at,),) = rows("SELECT received_at FROM events ORDER BY received_at DESC OFFSET %s LIMIT 1", (MOST,))
    first = (await api(ask))["events"]["pageInfo"]["searchedUntil"]
    assert first == at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert clock.now() - at == timedelta(seconds=MOST + 1)
