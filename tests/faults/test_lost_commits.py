"""A transaction that was committed, and whose process never heard of it: what it counted is not counted again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import Merchant, draft
from tests.faults.proxy import FrozenProxy
from tests.servers import wait_until
from tests.sessions import other_session
from tracklayer import metrics
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db.connection import DatabaseAwayError, execute, in_transaction, rows
from tracklayer.db.leases import Lease
from tracklayer.db.server import Became, became_of, transaction_id
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.deliver import deliver_due
from tracklayer.services.deliver_together import take
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.turned_away import write_turned_away

# What the counters of Meta say, and what is told by its deliveries and their logs.
COUNTED = """
SELECT sum(acknowledged)::int, sum(refused)::int, sum(rate_limited)::int, sum(unreachable)::int, sum(unknown)::int,
       sum(retries_acknowledged)::int, sum(retries_failed)::int, sum(unmappable)::int, sum(finished)::int,
       sum(waiting)::int, sum(delivered)::int, sum(dropped)::int,
       (SELECT coalesce(sum(n), 0)::int FROM minutes, unnest(latency) AS n),
       (SELECT coalesce(sum(n::int), 0)::int FROM minutes, jsonb_each_text(drop_reasons) AS e(reason, n)),
       (SELECT coalesce(sum(q.waiting), 0)::int FROM queues q),
       (SELECT coalesce(sum(events), 0)::int FROM refused_names)
FROM minutes WHERE platform = 'meta'
"""
LOGGED = """
WITH log AS (
    SELECT e ->> 'outcome' AS outcome, (e ->> 'number')::int AS number
    FROM deliveries, jsonb_array_elements(attempt_log) AS e),
of_log AS (
    SELECT count(*) FILTER (WHERE outcome = 'acknowledged') AS acknowledged,
           count(*) FILTER (WHERE outcome = 'rejected') AS refused,
           count(*) FILTER (WHERE outcome = 'rate_limited') AS rate_limited,
           count(*) FILTER (WHERE outcome = 'unreachable') AS unreachable,
           count(*) FILTER (WHERE outcome = 'unknown') AS unknown,
           count(*) FILTER (WHERE outcome = 'acknowledged' AND number > 1) AS retries_acknowledged,
           count(*) FILTER (WHERE outcome IN ('rejected', 'unreachable', 'unknown') AND number > 1) AS retries_failed,
           count(*) FILTER (WHERE outcome = 'rejected' AND number = 1) AS refused_first
    FROM log),
of_rows AS (
    SELECT count(*) FILTER (WHERE status = 'dropped' AND attempts = 0) AS unmappable,
           count(finished_at) AS finished, count(due_at) AS waiting,
           count(*) FILTER (WHERE status = 'delivered') AS delivered,
           count(*) FILTER (WHERE status = 'dropped') AS dropped
    FROM deliveries)
SELECT acknowledged, refused, rate_limited, unreachable, unknown, retries_acknowledged, retries_failed, unmappable, finished,
       waiting, delivered, dropped, delivered, dropped, waiting, refused_first + unmappable
FROM of_log, of_rows
"""


@pytest.fixture
def sandbox(clock: FrozenClock) -> Iterator[SandboxServer]:
    """One that lives in the time of the test."""
    with SandboxServer(clock=clock.now) as server:
        yield server


@pytest.fixture
def proxy(database: str) -> Iterator[FrozenProxy]:
    """The database of this test through a proxy; this process is connected through it."""
    with FrozenProxy(database) as made:
        connection.connect(made.url)
        yield made
        connection.connect(database)


def fault(sandbox: SandboxServer, **given: Any) -> None:
    httpx.post(f"{sandbox.url}/_faults", json={"platform": "meta", **given}).raise_for_status()


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        pytest.param(None, 0, id="acknowledged"),
        pytest.param("refuse", 1, id="refused"),
        pytest.param("rate_limit", 2, id="rate limited"),
        pytest.param("error", 3, id="unreachable"),
        pytest.param("drop_after_accept", 4, id="unknown"),
        pytest.param("unmappable", 7, id="refused by the rules"),
    ],
)
@pytest.mark.parametrize(("cuts", "every"), [(3, 1), (4, 2), (40, 2)])
def test_what_a_settlement_counts_is_exact_however_many_of_its_commits_are_not_answered(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    proxy: FrozenProxy,
    database: str,
    kind: str | None,
    column: int,
    cuts: int,
    every: int,
) -> None:
    at = clock.now().isoformat()
    changes: dict[str, Any] = {"user_data": {}} if kind == "unmappable" else {}
    # Those that are refused have their requests halved, so that a settlement has others behind it.
    drafts = [draft(f"order_{n}", occurred_at=at, **(changes if n % 3 == 0 else {})) for n in range(12)]
    ingest_events(runtime, merchant.holder, drafts)
    fault(sandbox, kind="refuse", event_ids=["order_2", "order_5", "order_8"] if kind is not None else ["order_2"])
    if kind not in (None, "refuse", "unmappable"):
        fault(sandbox, kind=kind, count=1)
    proxy.cut_commits(cuts, b"attempt_log", every)
    for _ in range(6):
        while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
            pass
        clock.move(timedelta(minutes=4))
    assert proxy.cuts_left < cuts
    connection.connect(database)
    with in_transaction():
        [counted], [logged] = rows(COUNTED), rows(LOGGED)
    assert counted == logged
    assert logged[column] > 0
    assert check_invariants(clock.now()) == []


@pytest.mark.parametrize("arrive", [True, False])
def test_what_was_refused_with_whole_requests_is_counted_once_whatever_became_of_a_commit(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, proxy: FrozenProxy, database: str, arrive: bool
) -> None:
    told = metrics.REJECTED._value.get()
    counted, minute = runtime.counting.turned_away, int(clock.now().timestamp() // 60)
    proxy.cut_commits(3, b"rejections", every=2, arrive=arrive)
    for _ in range(6):
        counted.add((merchant.merchant_id, minute, "BAD_REQUEST", "request"), 10)
        with suppress(DatabaseAwayError):
            write_turned_away(runtime)
    assert proxy.cuts_left < 3
    connection.connect(database)

    def is_written() -> bool:
        write_turned_away(runtime)
        return not counted.has_any

    wait_until(is_written, "all of it is written")
    with in_transaction():
        assert rows("SELECT sum(rejected)::int FROM minutes") == [(60,)]
        assert rows("SELECT sum(events)::int FROM rejections") == [(60,)]
    assert metrics.REJECTED._value.get() - told == 60
    done = runtime.tally.take()
    assert done is not None
    assert done.counts["events"] == {"rejected": 60}


def test_what_became_of_a_transaction_is_known_of_one_that_no_server_has_begun_and_of_one_that_goes_on(
    database: str,
) -> None:
    with in_transaction():
        mine = transaction_id()
        assert became_of(mine) is Became.UNKNOWN
        assert became_of(mine + 1_000_000) is Became.UNDONE
    with in_transaction():
        assert became_of(mine) is Became.COMMITTED


@pytest.mark.parametrize("arrive", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("together", [True, False], ids=["of many", "of one"])
def test_what_may_be_leased_by_a_claim_that_nobody_answered_is_given_back_at_once(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    proxy: FrozenProxy,
    database: str,
    clock: FrozenClock,
    together: bool,
    arrive: bool,
) -> None:
    ingest_events(
        runtime, merchant.holder, [draft(f"order_{n}", occurred_at=clock.now().isoformat()) for n in range(5)]
    )
    queue = (merchant.merchant_id, "meta")
    proxy.cut_commits(1, b"INSERT INTO claims", arrive=arrive)
    with pytest.raises(DatabaseAwayError):
        take(runtime, worker, [queue]) if together else deliver_due(runtime, worker, *queue)
    assert proxy.cuts_left == 0
    connection.connect(database)
    if together:
        [errand], others = take(runtime, worker, [queue])
        assert (errand.queue, others) == (queue, [])
        with in_transaction():
            assert rows("SELECT cardinality(event_ids) FROM claims") == [(5,)]
        return
    while deliver_due(runtime, worker, *queue):
        pass
    with in_transaction():
        assert rows("SELECT DISTINCT status FROM deliveries") == [("delivered",)]
        assert rows("SELECT count(*) FROM claims") == [(0,)]


def test_a_lease_that_somebody_holds_keeps_no_other_claim_waiting(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, database: str
) -> None:
    ingest_events(runtime, merchant.holder, [draft(occurred_at=clock.now().isoformat())])
    held = Lease(merchant.merchant_id + 1, "meta", 1)
    with in_transaction():
        execute(
            "INSERT INTO claims (merchant_id, platform, claim_id, worker, claimed_at, lease_ends_at, event_ids) "
            "OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, '{}')",
            (held.merchant_id, held.platform, held.claim_id, worker, clock.now(), clock.now() + timedelta(minutes=2)),
        )
    runtime.unanswered[held] = clock.now() + timedelta(minutes=2)
    with other_session(database) as other:
        other.cursor().execute("SELECT FROM claims FOR UPDATE")
        while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
            pass
        with in_transaction():
            assert rows("SELECT status FROM deliveries") == [("delivered",)]
    assert runtime.unanswered == {}


@pytest.mark.parametrize("arrive", [True, False], ids=["committed", "not committed"])
def test_the_turn_of_a_probe_whose_claim_nobody_answered_is_given_back_with_it(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    proxy: FrozenProxy,
    database: str,
    clock: FrozenClock,
    sandbox: SandboxServer,
    arrive: bool,
) -> None:
    ingest_events(runtime, merchant.holder, [draft(occurred_at=clock.now().isoformat())])
    fault(sandbox, kind="credentials", count=1)
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    with in_transaction():
        [(state, clock.instant)] = rows("SELECT state, resume_at FROM destinations WHERE platform = 'meta'")
    assert state == "held"
    proxy.cut_commits(1, b"INSERT INTO claims", arrive=arrive)
    with pytest.raises(DatabaseAwayError):
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert proxy.cuts_left == 0
    connection.connect(database)
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    with in_transaction():
        assert rows("SELECT status FROM deliveries") == [("delivered",)]
        assert rows("SELECT state, turn_ends_at FROM destinations WHERE platform = 'meta'") == [("active", None)]
