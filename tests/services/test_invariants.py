"""Each invariant is found broken when a row is broken by hand, and never on healthy data."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.invariants import INVARIANTS
from tracklayer.db.leases import claim_due
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import pause_destination, remove_destination, resume_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.privacy import purge_expired

MINUTE = timedelta(minutes=1)
DUE = "UPDATE deliveries SET due_at = due_at - interval '61 seconds' WHERE status = 'queued'"
OWN_LEASE = (
    "INSERT INTO claims (merchant_id, platform, worker, claimed_at, lease_ends_at, event_ids) "
    "SELECT merchant_id, platform, 999999, due_at - interval '61 seconds', due_at + interval '1 minute', {} "
    "FROM deliveries WHERE status = 'queued'"
)


@pytest.fixture
def healthy(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> Merchant:
    """One delivered, one dropped, one waiting; and a merchant beside it that has nothing to do with it."""
    other = new_merchant(runtime, name="Other")
    ingest_events(runtime, other.holder, [draft()])
    ingest_events(runtime, merchant.holder, [draft("delivered"), draft("dropped", user_data={}), draft("delivered")])
    for each in (merchant, other):
        deliver_due(runtime, worker, each.merchant_id, "meta")
    ingest_events(runtime, merchant.holder, [draft("waiting")])
    return merchant


def break_by(sql: str) -> None:
    with in_transaction():
        execute(sql)


def found(clock: FrozenClock) -> list[tuple[str, str | None, int, str | None]]:
    return [(v.kind, v.platform, v.count, v.event_id) for v in check_invariants(clock.now())]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(DUE, [("overdue", "meta", 1, "waiting")], id="overdue"),
        pytest.param(
            "UPDATE deliveries SET due_at = due_at + interval '3 minutes' WHERE event_id = 'waiting'",
            [("put_off", "meta", 1, "waiting")],
            id="put_off",
        ),
        pytest.param(
            "DELETE FROM deliveries WHERE event_id = 'waiting'",
            [
                ("event_without_deliveries", "meta", 1, "waiting"),
                ("ledger", "meta", 1, None),
                ("ledger_queues", "meta", 1, None),
            ],
            id="an event without its delivery",
        ),
        pytest.param(
            "DELETE FROM events WHERE event_id = 'waiting'",
            [("delivery_without_event", "meta", 1, "waiting"), ("ledger_events", None, 1, None)],
            id="a delivery without its event",
        ),
        pytest.param(
            "INSERT INTO enrichments (merchant_id, event_id, fields, decided_at) VALUES (1, 'gone', '[]', '2026-11-20')",
            [("enrichment_without_event", None, 1, "gone")],
            id="something added to an event that is gone",
        ),
        pytest.param(
            OWN_LEASE.format("ARRAY[event_id]"), [("lost_lease", "meta", 1, "waiting")], id="a worker that is gone"
        ),
        pytest.param(
            OWN_LEASE.format("ARRAY[event_id, event_id]"),
            [("lost_lease", "meta", 1, "waiting"), ("shared_lease", "meta", 2, "waiting")],
            id="a delivery claimed twice",
        ),
        pytest.param(
            "UPDATE deliveries SET finished_at = NULL WHERE event_id = 'delivered' AND merchant_id = 1",
            [("impossible", "meta", 1, "delivered")],
            id="delivered and not finished",
        ),
        pytest.param(
            "UPDATE deliveries SET attempt_log = attempt_log || (attempt_log -> 0) WHERE event_id = 'delivered' AND merchant_id = 1",
            [("impossible", "meta", 1, "delivered")],
            id="sent more often than is told",
        ),
        pytest.param(
            "UPDATE minutes SET delivered = delivered + 1 WHERE platform = 'meta' AND merchant_id = 1 AND delivered > 0",
            [("ledger", "meta", 1, None)],
            id="a minute that does not add up",
        ),
        pytest.param(
            "UPDATE minutes SET delivered = delivered - 1, dropped = dropped + 1 "
            "WHERE platform = 'meta' AND merchant_id = 1 AND delivered > 0",
            [("ledger", "meta", 1, None)],
            id="a minute that adds up to the wrong thing",
        ),
        pytest.param(
            "UPDATE minutes SET drop_reasons = '{\"invalid_field\": 1}' WHERE drop_reasons IS NOT NULL",
            [("ledger_reasons", "meta", 1, None)],
            id="another reason",
        ),
        pytest.param(
            "UPDATE minutes SET accepted = accepted + 1 WHERE platform = '' AND merchant_id = 1",
            [("ledger_events", None, 1, None)],
            id="an event too many",
        ),
        pytest.param(
            "UPDATE queues SET waiting = waiting + 2 WHERE merchant_id = 1",
            [("ledger_queues", "meta", 2, None)],
            id="a queue that is counted wrong",
        ),
        pytest.param(
            "UPDATE coverage SET events = events + 3 WHERE merchant_id = 1",
            [("coverage", None, 1, None)],
            id="fields of more events than there were",
        ),
        pytest.param(
            "INSERT INTO rejections (merchant_id, minute, event_name, code, field, slot, events) "
            "SELECT merchant_id, minute, 'Purchase', 'REQUIRED', 'email', 0, 1 FROM minutes "
            "WHERE merchant_id = 1 AND platform = ''",
            [("rejections", None, 1, None)],
            id="more refusals by code than there were",
        ),
    ],
)
def test_what_is_broken_is_found(
    healthy: Merchant, clock: FrozenClock, sql: str, expected: list[tuple[str, str | None, int, str | None]]
) -> None:
    assert healthy.merchant_id == 1
    assert found(clock) == []
    break_by(sql)
    assert found(clock) == expected


def test_every_kind_is_provoked_above() -> None:
    marks = test_what_is_broken_is_found.pytestmark  # type: ignore[attr-defined]
    provoked = {kind for case in marks[0].args[1] for kind, *_ in case.values[1]}
    assert provoked == set(INVARIANTS)


def test_a_reason_to_wait_is_no_violation_and_ends(
    runtime: Runtime, healthy: Merchant, worker: int, clock: FrozenClock
) -> None:
    overdue = [("overdue", "meta", 1, "waiting")]
    pause_destination(runtime, healthy.merchant_id, "meta")
    clock.move(timedelta(hours=1))
    assert found(clock) == []
    resume_destination(runtime, healthy.merchant_id, "meta")
    clock.move(timedelta(minutes=4))
    assert found(clock) == []
    clock.move(2 * MINUTE)
    assert found(clock) == overdue
    with in_transaction():
        claim_due(healthy.merchant_id, "meta", 10, clock.now(), worker)
    assert found(clock) == []
    break_by("DELETE FROM claims")
    pause_destination(runtime, healthy.merchant_id, "meta")
    assert found(clock) == []
    clock.move(timedelta(hours=24))
    assert found(clock) == overdue


def test_what_waits_for_a_removed_destination_must_be_dropped(
    runtime: Runtime, healthy: Merchant, clock: FrozenClock
) -> None:
    remove_destination(runtime, healthy.merchant_id, "meta")
    assert found(clock) == []
    clock.move(MINUTE)
    assert found(clock) == [("overdue", "meta", 1, "waiting")]


def test_after_a_purge_all_still_adds_up(runtime: Runtime, healthy: Merchant, clock: FrozenClock) -> None:
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 4
    assert found(clock) == []
