"""A page reads about as many rows as it holds, however many others lie between, before and after them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from tests.factories import Merchant
from tests.schema.test_delivery_groups import many
from tracklayer.clock import FrozenClock
from tracklayer.db import alerts, standing
from tracklayer.db import delivery_search as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.ledger import LEDGER_AS_ONE, as_one_params
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import example_settings, set_destination

MANY = 20_000
FEW = 200  # rows, beside those of a page: of the minutes of an hour, or the hours of a day

# As ``tests.schema.test_delivery_groups.many`` makes deliveries it counts none; here they are, folded a while ago.
COUNT = """
INSERT INTO minutes (merchant_id, platform, minute, slot, routed, delivered, dropped, acknowledged)
SELECT merchant_id, platform, date_trunc('minute', received_at, 'UTC') AS minute, 0, count(*),
       count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE status = 'dropped'),
       count(*) FILTER (WHERE status = 'delivered')
FROM deliveries GROUP BY merchant_id, platform, minute
"""


@pytest.fixture
def crowd(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Merchant:
    """Much that Meta took, some that it gave up, few and old ones of TikTok; Pinterest answers nobody. All with statistics."""
    for platform in ("tiktok", "pinterest"):
        set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)), None)
    now = clock.now()
    many(merchant, clock, "a", "delivered", MANY)
    many(merchant, clock, "b", "dropped", 3_000, reason="consent_denied", code="CONSENT_DENIED")
    clock.move(-timedelta(hours=7))  # none of the others is of that hour
    many(merchant, clock, "c", "delivered", 5, platform="tiktok")
    many(merchant, clock, "d", "dropped", 3, reason="event_too_old", code="EVENT_TOO_OLD")
    clock.move(now - clock.now())
    with in_transaction():
        execute("UPDATE deliveries SET last_error = NULL WHERE status = 'delivered' OR event_id LIKE 'b1%%'")
        execute(COUNT)
        execute("ANALYZE")
    return merchant


def rows_read(sql: str, params: Any, of: tuple[str, ...] = ("deliveries",)) -> dict[str, int]:
    """Index -> how many rows all scans of some tables by it looked at, as the statement is run."""
    with in_transaction():
        (plan,) = rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)[0]
    found: dict[str, int] = {}
    todo = [plan[0]["Plan"]]
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if node.get("Relation Name") in of and "Scan" in node["Node Type"]:
            index = node.get("Index Name") or node["Relation Name"]
            looked = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            found[index] = found.get(index, 0) + round(looked * node["Actual Loops"])
    return found


@pytest.mark.parametrize(
    ("search", "count"),
    [
        (db.DeliverySearch("tiktok"), 5),
        (db.DeliverySearch("tiktok", ("delivered",)), 5),
        (db.DeliverySearch("tiktok", ("dropped",)), 0),
        (db.DeliverySearch("pinterest"), 0),
        (db.DeliverySearch("meta"), 51),
        (db.DeliverySearch("meta", ("dropped",)), 51),
        (db.DeliverySearch("meta", ("delivered", "dropped")), 51),
        (db.DeliverySearch(drop_reason=("event_too_old",)), 3),
        (db.DeliverySearch(drop_reason=("window_expired",)), 0),
        (db.DeliverySearch("tiktok", drop_reason=("consent_denied",)), 0),
        (db.DeliverySearch(("tiktok"), ("dropped",), drop_reason=("event_too_old", "consent_denied")), 0),
    ],
    ids=str,
)
def test_what_is_rare_is_found_without_passing_over_the_rest(
    crowd: Merchant, search: db.DeliverySearch, count: int
) -> None:
    with in_transaction():
        assert len(db.page_of_deliveries(crowd.merchant_id, search, 51)) == count
    read = rows_read(*db.page_query(crowd.merchant_id, search, 51))
    assert sum(read.values()) <= count + FEW, read


def test_of_one_platform_since_a_while_ago_no_other_is_read(crowd: Merchant, clock: FrozenClock) -> None:
    search = db.DeliverySearch("tiktok", queued_since=clock.now() - timedelta(days=30))
    read = rows_read(*db.page_query(crowd.merchant_id, search, 51))
    assert sum(read.values()) <= 5 + FEW, read


@pytest.mark.parametrize("platform", [None, "meta", "tiktok"])
def test_words_are_looked_for_where_there_are_some(crowd: Merchant, platform: str | None) -> None:
    with in_transaction():
        ((refused,),) = rows("SELECT count(*) FROM deliveries WHERE last_error IS NOT NULL")
    search = db.DeliverySearch(platform, error_contains="nobody says this")
    read = rows_read(*db.page_query(crowd.merchant_id, search, 51))
    assert sum(read.values()) <= refused, read


def test_a_long_alert_of_a_silent_platform_reads_none_of_the_others(crowd: Merchant, clock: FrozenClock) -> None:
    now = clock.now()
    span = {
        "alert_id": 1,
        "platform": "pinterest",
        "began_at": (now - timedelta(days=20)).isoformat(),
        "queued_since": (now - timedelta(days=21)).isoformat(),
        "until": now.isoformat(),
    }
    place = {"at": None, "event": None, "platform": None}
    for platform, count in (("pinterest", 0), ("tiktok", 5), ("meta", 51)):
        params: Any = {"merchant": crowd.merchant_id, "limit": 51, **place}
        params["alerts"] = orjson.dumps([{**span, "platform": platform}]).decode()
        with in_transaction():
            assert len(rows(alerts.DELIVERIES_OF_ALERTS, params)) == count
        read = rows_read(alerts.DELIVERIES_OF_ALERTS, params)
        assert sum(read.values()) <= count + FEW, read


def test_a_destination_that_acknowledged_long_ago_or_never_costs_no_minutes(
    crowd: Merchant, clock: FrozenClock
) -> None:
    now = clock.now()
    with in_transaction():
        execute(
            """INSERT INTO minutes (merchant_id, platform, minute, slot, routed, waiting)
            SELECT %s, platform, date_trunc('minute', %s::timestamptz, 'UTC') - n * interval '1 minute', 0, 1, 1
            FROM generate_series(10, 5000) AS n, unnest(ARRAY['tiktok', 'pinterest']) AS platform ON CONFLICT DO NOTHING""",
            (crowd.merchant_id, now),
        )
        execute("ANALYZE")
        found = standing.lately(crowd.merchant_id, ["meta", "tiktok", "pinterest"], now, now)
        plain = rows(
            "SELECT platform, max(minute) FROM minutes WHERE merchant_id = %s AND acknowledged > 0 GROUP BY platform",
            (crowd.merchant_id,),
        )
    assert {key: row.acknowledged_at for key, row in found.items()} == {"pinterest": None, **dict(plain)}
    params: Any = {"merchant": crowd.merchant_id, "platforms": ["tiktok", "pinterest"], "since": now}
    params |= {"oldest": now - standing.DELIVERED_WITHIN, "now": now}
    read = rows_read(standing.LATELY, params, ("minutes", "ledger_hours"))
    assert sum(read.values()) <= FEW, read


def test_a_day_as_one_row_reads_its_hours(crowd: Merchant, clock: FrozenClock) -> None:
    until = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=7)
    params = as_one_params(crowd.merchant_id, until - timedelta(days=1), until)
    read = rows_read(LEDGER_AS_ONE, params, ("minutes", "ledger_hours"))
    with in_transaction():
        ((minutes,),) = rows("SELECT count(*) FROM minutes WHERE merchant_id = %s", (crowd.merchant_id,))
    assert minutes > FEW
    assert sum(read.values()) <= 150, read  # an hour's minutes at either end, and hours
