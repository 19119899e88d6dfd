"""What waits, failed or was dropped is found by pages that read so many rows, however much waits and whatever else is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.factories import Merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import delivery_search, event_search, walks
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import example_settings, pause_destination, set_destination

EVENTS = 6_000
MOST, WAITING = 500, 100  # looked at by a page; sorted, or looked up one by one
PAGE = 20
READ = 5 * MOST  # rows: the end is looked for, the page read, and what each row belongs to looked up

# The oldest third still waits at Meta, of the rest every second failed; TikTok got every fiftieth, and dropped it; Pinterest was
# set up later, and has the first hundred since.
MAKE = """
INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received,
                    action_source, user_data, custom_data)
SELECT %(merchant)s, 'e' || lpad(n::text, 4, '0'), CASE WHEN n IN (120, 2500, 5990) THEN 'Rare' ELSE 'PageView' END,
       at, at, at, 1, 'website', '{}', '{}'
FROM generate_series(0, %(events)s - 1) AS n, LATERAL (SELECT %(now)s - (%(events)s - n) * interval '9 second' AS at) AS x
"""
QUEUE = """
INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, due_at, window_ends_at, status, drop_reason,
                        last_error, delivered_at)
SELECT merchant_id, event_id, platform, received_at, CASE WHEN platform = 'pinterest' THEN %(now)s ELSE received_at END,
       CASE WHEN status IN ('queued', 'failed') THEN received_at END, received_at + interval '9 days', status,
       CASE WHEN status = 'dropped' THEN 'event_too_old' END, CASE WHEN status IN ('failed', 'dropped') THEN 'no' END,
       CASE WHEN status = 'delivered' THEN received_at END
FROM (SELECT *, substr(event_id, 2)::int AS n FROM events) AS e
CROSS JOIN LATERAL (
    SELECT 'meta' AS platform,
           CASE WHEN n < %(events)s / 3 THEN 'queued' WHEN n %% 2 = 0 THEN 'failed' ELSE 'delivered' END AS status
    UNION ALL SELECT 'tiktok', 'dropped' WHERE n %% 50 = 0
    UNION ALL SELECT 'pinterest', 'queued' WHERE n < 100) AS d
"""
COUNT = """
INSERT INTO ledger_hours (merchant_id, platform, hour, routed, waiting, delivered, dropped)
SELECT merchant_id, platform, date_trunc('hour', received_at, 'UTC') AS hour, count(*),
       count(*) FILTER (WHERE status IN ('queued', 'failed')), count(*) FILTER (WHERE status = 'delivered'),
       count(*) FILTER (WHERE status = 'dropped')
FROM deliveries GROUP BY merchant_id, platform, hour
"""
# By index, and by the tables themselves: as far as they were read in the open transaction.
ROWS_READ = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)), 0)::bigint
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE coalesce(i.indrelid, c.oid) IN ('deliveries'::regclass, 'events'::regclass)
"""


@pytest.fixture
def town(runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Merchant:
    for platform in ("meta", "tiktok", "pinterest"):
        set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)), None)
    params: Any = {"merchant": merchant.merchant_id, "events": EVENTS, "now": clock.now()}
    with in_transaction():
        execute(MAKE, params)
        execute(QUEUE, params)
        execute(COUNT)
        execute("ANALYZE")
    monkeypatch.setattr(walks, "MOST_LOOKED", MOST)
    monkeypatch.setattr(walks, "MOST_LOOKED_UP", MOST // 2)
    monkeypatch.setattr(delivery_search, "MOST_WAITING", WAITING)
    monkeypatch.setattr(event_search, "MOST_DUE", WAITING * 2)
    monkeypatch.setattr(event_search, "MOST_WAITING", WAITING)
    return merchant


def all_pages(
    page: Callable[[Any], tuple[list[Any], datetime | None]], search: Any, cursor: Callable[[Any], Any]
) -> Any:
    """(what all pages hold, the most rows that one of them read)."""
    found, most = [], 0
    for _ in range(1000):
        with in_transaction():
            read_before = rows(ROWS_READ)[0][0]
            some, until = page(search)
            most = max(most, rows(ROWS_READ)[0][0] - read_before)
        found += some
        if until is None and len(some) < PAGE:
            return found, most
        after = (until, "", "") if until is not None else cursor(some[-1])
        search = replace(search, after=after[:2] if isinstance(search, EventSearch) else after)
    raise AssertionError(f"{search} has no end")


EVENT_SEARCHES = (
    EventSearch(event_name="Rare", delivery_status="failed"),
    EventSearch(event_name="Rare", delivery_statuses=("failed", "dropped")),
    EventSearch(event_name="Rare", delivery_status="queued"),
    EventSearch(event_name="Rare", delivery_statuses=("queued", "failed", "dropped")),
    EventSearch(event_name="Nobody sends this", delivery_status="failed"),
    EventSearch(event_id_prefix="e012", delivery_status="failed"),
    EventSearch(platform="tiktok", delivery_status="failed"),
    EventSearch(platform="tiktok", delivery_status="dropped"),
    EventSearch(platforms=("meta", "pinterest"), delivery_status="queued"),
    EventSearch(delivery_status="queued"),
    EventSearch(platform="pinterest", delivery_status="queued"),
    EventSearch(delivery_statuses=("queued", "dropped")),
)
FIND_EVENTS = """
SELECT event_id FROM events e
WHERE (%(name)s::text IS NULL OR event_name = %(name)s) AND starts_with(event_id, %(prefix)s)
  AND EXISTS (SELECT FROM deliveries d WHERE d.event_id = e.event_id AND d.status = ANY(%(statuses)s)
              AND (%(platforms)s::text[] IS NULL OR d.platform = ANY(%(platforms)s)))
ORDER BY received_at DESC, event_id DESC
"""


def test_events_by_what_became_of_them(town: Merchant) -> None:
    wrong = []
    for search in EVENT_SEARCHES:
        params: Any = {
            "name": search.event_name,
            "prefix": search.event_id_prefix or "",
            "statuses": list(search.delivery_statuses or (search.delivery_status,)),
            "platforms": search.of_platforms and sorted(search.of_platforms),
        }
        with in_transaction():
            expected = [row[0] for row in rows(FIND_EVENTS, params)]
        found, read = all_pages(
            lambda asked: walks.walk_of_events(town.merchant_id, asked, PAGE),
            search,
            lambda row: (row.received_at, row.event_id),
        )
        if [row.event_id for row in found] != expected or read > READ:
            wrong.append((search, len(found), len(expected), read))
    assert wrong == []


DELIVERY_SEARCHES = (
    DeliverySearch(status=("queued",)),
    DeliverySearch("meta", ("queued",)),
    DeliverySearch("pinterest", ("queued",)),
    DeliverySearch("tiktok", ("queued",)),
    DeliverySearch("tiktok", ("failed",)),
    DeliverySearch("meta", ("failed",)),
    DeliverySearch(status=("queued", "failed")),
    DeliverySearch(status=("queued", "dropped")),
    DeliverySearch(held=True),
    DeliverySearch(status=("failed",), held=True),
    DeliverySearch(held=False),
    DeliverySearch("meta", held=False),
    DeliverySearch(status=("queued",), error_code="190"),
    DeliverySearch(status=("delivered", "dropped"), error_code=""),
)


@pytest.mark.parametrize("is_paused", [False, True])
def test_deliveries_by_what_became_of_them(town: Merchant, runtime: Runtime, is_paused: bool) -> None:
    if is_paused:
        pause_destination(runtime, town.merchant_id, "meta")
    with in_transaction():
        everything = delivery_search.page_of_deliveries(town.merchant_id, DeliverySearch(), 2 * EVENTS)
    wrong = []
    for search in DELIVERY_SEARCHES:
        found, read = all_pages(
            lambda asked: walks.walk_of_deliveries(town.merchant_id, asked, PAGE),
            search,
            lambda row: (row.queued_at, row.event_id, row.platform),
        )
        expected = [row for row in everything if search.admits(row, ["meta"] if is_paused else [])]
        if found != expected or read > READ:
            wrong.append((search, len(found), len(expected), read))
    assert wrong == []


def test_a_page_of_little_that_waits_is_whole(town: Merchant) -> None:
    with in_transaction():
        execute(
            "DELETE FROM deliveries WHERE platform = 'meta' AND status IN ('queued', 'failed') AND event_id > 'e0060'"
        )
        execute("DELETE FROM deliveries WHERE platform = 'pinterest' AND event_id > 'e0030'")
        for events in (EventSearch(delivery_status="queued"), EventSearch(event_name="Rare", delivery_status="queued")):
            assert walks.walk_of_events(town.merchant_id, events, 9)[1] is None
        for search in (
            DeliverySearch(status=("queued",)),
            DeliverySearch("meta", ("queued",)),
            DeliverySearch(held=True),
            DeliverySearch(status=("queued",), error_code="190"),
            DeliverySearch(status=("queued",), error_contains="nobody says this"),
        ):
            assert walks.walk_of_deliveries(town.merchant_id, search, 200)[1] is None
