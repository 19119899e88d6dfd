"""What a look of the monitors tells of sales that it, or an earlier one, added up."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.monitors import Key
from tracklayer.db.worth import Sales
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.monitors.views import DestinationView, Span
from tracklayer.domain.monitors.worth import Worth
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.ingest import ingest_events
from tracklayer.services.redeliver import redeliver_ids
from tracklayer.services.watches import destinations
from tracklayer.services.watches.destinations import SalesKnown
from tracklayer.services.watches.page import Page

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BEGAN = NOW - 8 * HOUR
DROP = (
    "UPDATE deliveries SET status = 'dropped', drop_reason = 'window_expired', due_at = NULL, finished_at = %s "
    "WHERE event_id = %s"
)


def look(known: SalesKnown, runtime: Runtime, keys: list[Key], waiting: int, *spans: Span) -> dict[Key, Sales]:
    views = {key: DestinationView(key[1], "Meta", waiting=waiting, recent=spans) for key in keys}
    found = Finding(AlertKind.QUEUE_BACKLOG, "meta", Severity.WARNING, "", "", BEGAN, {})
    page = Page(runtime, [key[0] for key in keys], runtime.clock.now(), {})
    with in_transaction():
        return known.of(page, views, {key: [found] for key in keys})


def finished(since: datetime) -> Span:
    return Span(since, since + MINUTE, acknowledged=10, finished=10)


def test_what_waited_hours_ago_and_went_out_is_not_told_of_what_waits_now(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    key = merchant.merchant_id, "meta"
    known = SalesKnown()
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(10)])
    assert look(known, runtime, [key], 10)[key].waiting == Worth({"USD": Decimal("1299.90")})
    clock.move(MINUTE / 2)
    assert look(known, runtime, [key], 10)[key].waiting == Worth({"USD": Decimal("1299.90")}, is_all=False)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    ingest_events(runtime, merchant.holder, [draft(f"page_{n}", event_name="PageView") for n in range(11)])
    clock.move(MINUTE)
    for _ in range(3):
        assert look(known, runtime, [key], 11, finished(clock.now() - MINUTE))[key].waiting.amounts == {}
        clock.move(20 * MINUTE)


def test_what_was_lost_and_is_queued_again_is_not_told_as_lost(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    key = merchant.merchant_id, "meta"
    known = SalesKnown()
    ingest_events(runtime, merchant.holder, [draft("order_1")])
    with in_transaction():
        execute(DROP, (NOW, "order_1"))
    assert look(known, runtime, [key], 0)[key].lost == {DropReason.WINDOW_EXPIRED: Worth({"USD": Decimal("129.99")})}
    clock.move(MINUTE)
    assert redeliver_ids(runtime, merchant.merchant_id, [("order_1", "meta")], DeliverySearch()).requeued == 1
    clock.move(MINUTE)
    found = look(known, runtime, [key], 1, Span(clock.now() - MINUTE, clock.now(), requeued=1))[key]
    assert found == Sales(waiting=Worth({"USD": Decimal("129.99")}))


def test_what_was_told_before_a_sum_failed_is_told_on(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = merchant.merchant_id, "meta"
    known = SalesKnown()
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(3)])
    with in_transaction():
        execute(DROP, (NOW, "order_0"))
    look(known, runtime, [key], 2)

    def fails(*_: Any) -> NoReturn:
        rows("SELECT 1 / 0")
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(destinations, "sales_at", fails)
        clock.move(3 * HOUR)
        there = look(known, runtime, [key], 2)[key]
    clock.move(MINUTE / 2)
    assert look(known, runtime, [key], 2)[key] == there
    assert there.waiting == Worth({"USD": Decimal("259.98")}, is_all=False)
    assert there.lost == {DropReason.WINDOW_EXPIRED: Worth({"USD": Decimal("129.99")}, is_all=False)}


def test_however_much_each_dropped_a_look_adds_up_about_as_much_as_it_may(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others come first the next time, and what one look leaves out none leaves out for long."""
    monkeypatch.setattr(destinations, "SUMMED", 1000)
    count, each = 12, 600
    with in_transaction():
        execute("SET LOCAL session_replication_role = replica")
        execute(
            "INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received, "
            "action_source, user_data, custom_data) SELECT m, n::text, 'Purchase', %s, %s, %s, 1, 'website', '{}', "
            """'{"value": 1, "currency": "EUR"}' FROM generate_series(1, %s) AS m, generate_series(1, %s) AS n""",
            (NOW, NOW, NOW, count, each),
        )
        execute(
            "INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, window_ends_at, status, "
            "drop_reason, finished_at) SELECT m, n::text, 'meta', %s, %s, %s, 'dropped', 'window_expired', %s "
            "FROM generate_series(1, %s) AS m, generate_series(1, %s) AS n",
            (NOW, NOW, NOW, NOW, count, each),
        )
    keys = [(merchant_id, "meta") for merchant_id in range(1, count + 1)]
    known = SalesKnown()
    added: list[int] = []
    while len(added) < 10 and sum(added) < count:
        before = set(known._known)
        found = look(known, runtime, keys, 0)
        new = found.keys() - before
        assert all(found[key].lost == {DropReason.WINDOW_EXPIRED: Worth({"EUR": Decimal(each)})} for key in new)
        added.append(len(new))
        clock.move(MINUTE / 60)
    assert sum(added) == count
    assert max(added) * each <= 2 * 1000, added
