"""What events carry and what is refused, read back as ingest counted it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.factories import Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import coverage as db
from tracklayer.db import match_quality
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.facts import BITS
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import ingest_events

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_what_ingest_counted_is_read_by_minute_and_by_hour(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    stranger = new_merchant(runtime, name="Other")
    start = clock.now().replace(second=0)
    ingest_events(runtime, merchant.holder, [draft("a"), draft("b"), draft("c", event_name="Lead"), draft("a")])
    ingest_events(runtime, stranger.holder, [draft("a")])
    clock.move(timedelta(minutes=1))
    ingest_events(runtime, merchant.holder, [draft("d"), draft("e", custom_data={"currency": "Euros"})])
    both = [merchant.merchant_id, stranger.merchant_id]
    with in_transaction():
        keys = [(both[0], "Lead"), (both[0], "Purchase"), (both[1], "Purchase")]
        found = match_quality.past(keys, start, start + HOUR)
        refused = db.rejections_by_minute(both, start, start + HOUR)
        assert db.names_of(merchant.merchant_id) == ["Lead", "Purchase"]
        by_hour = db.coverage_by_hour(merchant.merchant_id, start, start + HOUR)
        assert db.coverage_by_hour(both[0], start + HOUR, start + 2 * HOUR) == []
        assert [one.event_name for one in db.coverage_by_hour(both[0], start, start + HOUR, "Lead")] == ["Lead"]
    own = [(one.event_name, one.minute, one.host, one.events) for key in keys[:2] for one in found[key]]
    minute = start + timedelta(minutes=1)
    assert own == [
        ("Lead", start, "shop.example.com", 1),
        ("Purchase", start, "shop.example.com", 2),
        ("Purchase", minute, "shop.example.com", 1),
    ]
    assert found[keys[0]][0].facts & BITS["email"]
    assert sum(one.events for one in found[keys[2]]) == 1
    assert refused == {
        merchant.merchant_id: [db.RefusedEvents(minute, "Purchase", "INVALID_CURRENCY", "custom_data.currency", 1)]
    }
    assert [(one.event_name, one.events) for one in by_hour] == [("Lead", 1), ("Purchase", 3)]


def test_reads_go_by_the_key_however_much_there_is(database: str, clock: FrozenClock) -> None:
    since = clock.now() - DAY
    with in_transaction():
        execute(
            "INSERT INTO coverage SELECT m, 'name ' || n, %s + i * interval '1 minute', 'website', '', i, 0, 1 "
            "FROM generate_series(1, 20) AS m, generate_series(1, 5) AS n, generate_series(1, 300) AS i",
            (since,),
        )
        execute(
            "INSERT INTO rejections SELECT m, %s + i * interval '1 minute', 'Purchase', 'REQUIRED', 'email', 0, 1 "
            "FROM generate_series(1, 20) AS m, generate_series(1, 1000) AS i",
            (since,),
        )
        execute("ANALYZE coverage, rejections")
        params: Any = {"merchants": [3, 4], "since": clock.now() - DAY, "until": since + HOUR, "name": None}
        for sql in (db.NAMES, db.BY_HOUR, db.SUMS, db.REJECTIONS):
            (plan,) = rows(f"EXPLAIN (FORMAT JSON) {sql}", params)[0]
            assert "Seq Scan" not in str(plan), plan
            assert "_age" not in str(plan), plan
        assert len(db.coverage_by_hour(3, since, since + HOUR)) == 5 * 59, "each minute has facts of its own"
