"""Events that were stored before a destination took them get one delivery there, once, and the ledger knows of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import META, Merchant, draft, new_merchant
from tests.redelivering import go_on, job_of, select
from tests.servers import wait_until
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.db.events import purge_events
from tracklayer.db.ledger import ledger
from tracklayer.db.redeliveries import RedeliveryRow, redelivery_by_id, take_redelivery
from tracklayer.domain.problem import Problem
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import (
    Changed,
    example_settings,
    pause_destination,
    remove_destination,
    resume_destination,
    set_destination,
)
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.pacing import AHEAD, PAGE, PATIENCE, Redelivered
from tracklayer.services.redeliver import continue_redeliveries, redeliver_matching
from tracklayer.services.refusals import FILTERED, HAS_ONE, PURGED, REMOVED, TOO_OLD, reason_and_field, tally
from tracklayer.services.stored import LEASE, begin_stored, continue_stored, count_stored, deliver_stored
from tracklayer.services.sweep import sweep

EVERYTHING = EventSearch()
LIMIT = timedelta(days=7)  # of the platforms used here
WEEK = LIMIT - timedelta(hours=1)  # almost


def store(runtime: Runtime, merchant: Merchant, drafts: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(drafts), 500):
        ingest_events(runtime, merchant.holder, drafts[start : start + 500])


def add(runtime: Runtime, merchant: Merchant, platform: str = "tiktok", names: list[str] | None = None) -> None:
    settings = META if platform == "meta" else example_settings(mapper_for(platform))
    assert isinstance(set_destination(runtime, merchant.merchant_id, platform, settings, names), Changed)


def deliver(runtime: Runtime, merchant: Merchant, worker: int, platform: str = "tiktok") -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, platform):
        pass


def done(found: Redelivered | list[Problem]) -> Redelivered:
    assert isinstance(found, Redelivered)
    return found


def statuses(merchant: Merchant, platform: str = "tiktok") -> dict[str, int]:
    sql = "SELECT status, count(*) FROM deliveries WHERE merchant_id = %s AND platform = %s GROUP BY status"
    return dict(select(sql, merchant.merchant_id, platform))


def finish(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, result: Redelivered) -> RedeliveryRow:
    """Lets a worker do what is due and the job go on, in turn, for two minutes at most."""
    for _ in range(120):
        go_on(runtime)
        deliver(runtime, merchant, worker)
        if job_of(result).finished_at is not None:
            break
        clock.move(timedelta(seconds=1))
    return job_of(result)


def groups(result: Redelivered | RedeliveryRow) -> dict[tuple[str, str | None], tuple[int, str]]:
    """(reason, field) -> (how many, an example)."""
    return {reason_and_field(key): (count, result.examples[key]) for key, count in result.refused.items()}


def ledger_of(merchant: Merchant, clock: FrozenClock, platform: str = "tiktok") -> tuple[int, ...]:
    """(offered, filtered, routed, delivered, dropped, waiting) of all that arrived, and the latencies noted."""
    with in_transaction():
        found = ledger(merchant.merchant_id, clock.now() - timedelta(days=300), clock.now() + timedelta(days=1), "day")
    own = [row for row in found if row.platform == platform]
    names = ("accepted", "filtered", "routed", "delivered", "dropped", "waiting", "held")
    return (*(sum(getattr(row, name) for row in own) for name in names), sum(sum(row.latency) for row in own))


def test_a_destination_that_comes_a_week_later_gets_the_week(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    drafts = [draft(f"order_{n}") for n in range(3 * PAGE)]
    store(runtime, merchant, drafts)
    deliver(runtime, merchant, worker, "meta")
    clock.move(WEEK)
    add(runtime, merchant)
    asked_at = clock.now()

    counted = done(count_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(received_since=asked_at - WEEK)))
    assert (counted.matched, counted.requeued, counted.refused, counted.complete) == (3 * PAGE, 3 * PAGE, {}, True)
    assert (statuses(merchant), counted.job, counted.wake) == ({}, None, set())

    result = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(received_since=asked_at - WEEK)))
    assert (result.matched, result.requeued, result.refused, result.complete) == (PAGE, PAGE, {}, False)
    assert result.wake == {(merchant.merchant_id, "tiktok")}
    job = finish(runtime, merchant, worker, clock, result)
    assert (job.matched, job.requeued, job.refused) == (3 * PAGE, 3 * PAGE, {})
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": 3 * PAGE}
    # Each arrived then and was queued now; how fast others were is not told by these.
    assert select("SELECT count(*) FROM deliveries WHERE platform = 'tiktok' AND queued_at < %s", asked_at) == [(0,)]
    assert select("SELECT bool_and(latency_ms >= 600000000) FROM deliveries WHERE platform = 'tiktok'") == [(True,)]
    assert ledger_of(merchant, clock) == (3 * PAGE, 0, 3 * PAGE, 3 * PAGE, 0, 0, 0, 0)
    assert ledger_of(merchant, clock, "meta")[-1] == 3 * PAGE
    assert check_invariants(clock.now()) == []

    again = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(event_id_prefix="order_299")))
    assert (again.requeued, groups(again)) == (0, {(HAS_ONE, None): (11, again.examples[HAS_ONE])})


def test_what_the_platform_would_refuse_is_named_beforehand(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    now = clock.now()
    store(
        runtime,
        merchant,
        [
            draft("fine"),
            draft("no_page", event_name="PageView", event_source_url=None),
            draft("nobody", user_data={}),
            draft("refund", event_name="Refund"),
            draft("denied", consent={"ad_user_data": "denied"}),
            draft("old", occurred_at=(now - LIMIT + timedelta(minutes=1)).isoformat()),
            draft("other", event_name="Lead"),
        ],
    )
    clock.move(timedelta(hours=1))
    add(runtime, merchant, "microsoft_ads", ["Purchase", "PageView", "Refund"])
    store(runtime, merchant, [draft("new")])
    search = EventSearch(received_since=now)
    counted = done(count_stored(runtime, merchant.merchant_id, "microsoft_ads", search))
    expected = {
        ("INVALID_FIELD", "event_source_url"): (1, "no_page"),
        ("MISSING_IDENTIFIERS", "user_data"): (1, "nobody"),
        ("CONSENT_DENIED", "consent.ad_user_data"): (1, "denied"),
        ("UNSUPPORTED_EVENT", "event_name"): (1, "refund"),
        (TOO_OLD, "occurred_at"): (1, "old"),
        (FILTERED, "event_name"): (1, "other"),
        (HAS_ONE, None): (1, "new"),
    }
    assert (counted.matched, counted.requeued, groups(counted)) == (8, 1, expected)
    result = done(deliver_stored(runtime, merchant.merchant_id, "microsoft_ads", search))
    assert (result.matched, result.requeued, groups(result), result.job) == (8, 1, expected, None)
    deliver(runtime, merchant, worker, "microsoft_ads")
    assert statuses(merchant, "microsoft_ads") == {"delivered": 2}
    deliver(runtime, merchant, worker, "meta")
    assert check_invariants(clock.now()) == []


def test_what_was_filtered_counts_as_routed_afterwards(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    store(runtime, merchant, [draft("before")])  # of the same minute, and not offered
    add(runtime, merchant, names=["Purchase"])
    store(runtime, merchant, [draft(f"lead_{n}", event_name="Lead") for n in range(3)])
    store(runtime, merchant, [draft(f"order_{n}") for n in range(2)])
    assert ledger_of(merchant, clock) == (5, 3, 2, 0, 0, 2, 0, 0)
    clock.move(timedelta(hours=1))
    add(runtime, merchant, names=["Purchase", "Lead"])
    result = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(event_name="Lead")))
    assert result.requeued == 3
    assert ledger_of(merchant, clock) == (5, 0, 5, 0, 0, 5, 0, 0)
    result = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING))
    assert (result.requeued, groups(result)[HAS_ONE, None][0]) == (1, 5)
    deliver(runtime, merchant, worker)
    assert ledger_of(merchant, clock) == (6, 0, 6, 6, 0, 0, 0, 2)  # two of them came and went in time
    deliver(runtime, merchant, worker, "meta")
    assert check_invariants(clock.now()) == []


def test_what_was_counted_by_the_hour_stays_balanced(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    add(runtime, merchant, "pinterest", ["Purchase"])
    store(runtime, merchant, [draft(f"lead_{n}", event_name="Lead") for n in range(3)])
    clock.move(timedelta(minutes=2))
    store(runtime, merchant, [draft("order"), draft("late", event_name="Lead")])
    deliver(runtime, merchant, worker, "pinterest")
    sweep(runtime)
    clock.move(timedelta(days=36))
    sweep(runtime)  # what was left for Meta has no time any more
    fold_counters(runtime)
    add(runtime, merchant, "pinterest")
    add(runtime, merchant, "linkedin")
    result = done(deliver_stored(runtime, merchant.merchant_id, "pinterest", EventSearch(event_name="Lead")))
    assert (result.requeued, result.refused) == (4, {})
    assert done(deliver_stored(runtime, merchant.merchant_id, "linkedin", EVERYTHING)).matched == 5
    for _ in range(2):
        assert ledger_of(merchant, clock, "pinterest")[:3] == (5, 0, 5)
        assert check_invariants(clock.now()) == []
        deliver(runtime, merchant, worker, "pinterest")
        deliver(runtime, merchant, worker, "linkedin")
        clock.move(timedelta(minutes=20))
        fold_counters(runtime)
    assert statuses(merchant, "pinterest") == {"delivered": 5}
    assert select("SELECT count(*) FROM minutes WHERE filtered < 0") == [(0,)]


def test_too_old_is_what_is_too_old_when_it_is_its_turn(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    remove_destination(runtime, merchant.merchant_id, "meta")
    store(runtime, merchant, [draft(f"order_{n}") for n in range(2 * PAGE + 1)])
    add(runtime, merchant, "meta")
    with in_transaction():  # two seconds of events that will be too old before it is their turn
        execute("UPDATE events SET occurred_at = %s", (clock.now() - LIMIT + timedelta(seconds=1.5),))
    counted = done(count_stored(runtime, merchant.merchant_id, "meta", EVERYTHING))
    assert (counted.requeued, counted.refused) == (1501, {TOO_OLD: 500})
    result = done(deliver_stored(runtime, merchant.merchant_id, "meta", EVERYTHING))
    go_on(runtime)
    job = job_of(result)
    assert (job.matched, job.requeued, job.refused) == (2 * PAGE + 1, 1501, {TOO_OLD: 500})
    due = [row[0] - clock.now() for row in select("SELECT due_at FROM deliveries ORDER BY due_at")]
    assert due == [timedelta(milliseconds=n) for n in range(1501)]
    assert select("SELECT DISTINCT window_ends_at - due_at FROM deliveries") == [(timedelta(hours=24),)]


def test_a_dry_run_that_has_no_time_for_all_says_so(runtime: Runtime, merchant: Merchant) -> None:
    store(runtime, merchant, [draft(f"order_{n}") for n in range(PAGE + 1)])
    add(runtime, merchant)
    counted = done(count_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING, seconds=0))
    assert (counted.matched, counted.requeued, counted.complete) == (PAGE, PAGE, False)
    counted = done(count_stored(runtime, merchant.merchant_id, "tiktok", EventSearch(event_name="Lead"), seconds=0))
    assert (counted.matched, counted.complete) == (0, True)


def test_asked_by_many_at_once_each_event_gets_one_delivery(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    add(runtime, merchant, names=["Purchase"])
    store(runtime, merchant, [draft(f"order_{n}", event_name="Lead") for n in range(2 * PAGE + 500)])
    clock.move(timedelta(minutes=10))
    add(runtime, merchant)
    results: list[Redelivered] = []
    start = threading.Barrier(6)

    def ask() -> None:
        start.wait()
        results.append(done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING)))

    def run() -> None:
        start.wait()
        continue_redeliveries(runtime)

    def ingest() -> None:
        start.wait()
        store(runtime, merchant, [draft(f"new_{n}", event_name="Lead") for n in range(500)])

    for bodies in ((ask, ask, ask, ask, ingest, ingest), (run,) * 6):
        threads = [threading.Thread(target=body) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        start.reset()
    jobs = [finish(runtime, merchant, worker, clock, result) for result in results]
    assert sum(job.requeued for job in jobs) == 2 * PAGE + 500
    assert [job for job in jobs if job.matched != job.requeued + sum(job.refused.values())] == []
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": 2 * PAGE + 1000}
    assert ledger_of(merchant, clock)[:4] == (2 * PAGE + 1000, 0, 2 * PAGE + 1000, 2 * PAGE + 1000)
    deliver(runtime, merchant, worker, "meta")
    assert check_invariants(clock.now()) == []


def test_an_event_on_its_way_into_the_database_is_not_forgotten(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Its transaction began before the destination was there, and ends while somebody asks for what is stored."""
    stored, may_end = threading.Event(), threading.Event()
    found: list[Redelivered] = []

    def ingest() -> None:
        with in_transaction():
            ingest_events(runtime, merchant.holder, [draft("on_its_way")])
            stored.set()
            may_end.wait(30)

    def ask() -> None:
        found.append(done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING)))

    def has_looked() -> bool:
        looking = "SELECT 1 FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()"
        return bool(select(looking, "%virtualtransaction FROM pg_locks%"))

    writing, asking = threading.Thread(target=ingest), threading.Thread(target=ask)
    writing.start()
    assert stored.wait(30)
    add(runtime, merchant)
    asking.start()
    wait_until(has_looked, "the other one to look who writes")
    may_end.set()
    for thread in (writing, asking):
        thread.join()
    assert found[0].requeued == 1
    assert check_invariants(clock.now()) == []


def begun(runtime: Runtime, merchant: Merchant, count: int) -> tuple[Redelivered, RedeliveryRow, Any]:
    """A job whose second page a worker has read."""
    store(runtime, merchant, [draft(f"order_{n}") for n in range(count)])
    add(runtime, merchant)
    result = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING))
    with in_transaction():
        taken = take_redelivery(runtime.clock.now())
        assert taken is not None
        job = redelivery_by_id(*taken)
        assert job is not None
        return result, job, begin_stored(job, runtime.clock.now())


def test_a_page_whose_worker_is_lost_is_done_by_another(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    result, lost, page = begun(runtime, merchant, 2 * PAGE + 1)
    clock.move(LEASE - timedelta(microseconds=1))
    assert go_on(runtime) == set()
    assert job_of(result).matched == PAGE
    clock.move(timedelta(seconds=1))
    deliver(runtime, merchant, worker)
    assert go_on(runtime) == {(merchant.merchant_id, "tiktok")}
    job = job_of(result)
    assert (job.matched, job.requeued, job.finished_at) == (2 * PAGE + 1, 2 * PAGE + 1, clock.now())
    # And should it only have been slow, what it had in hand is done already.
    before = select("SELECT sum(routed), sum(waiting) FROM minutes")
    assert continue_stored(runtime, lost, page) == set()
    assert vars_of(job_of(result)) == vars_of(job)
    assert select("SELECT sum(routed), sum(waiting) FROM minutes") == before
    assert check_invariants(clock.now()) == []


def vars_of(job: RedeliveryRow) -> tuple[Any, ...]:
    return job.matched, job.requeued, job.refused, job.after, job.finished_at, job.last_page_at


@pytest.mark.parametrize(
    ("happens", "refused"),
    [
        pytest.param(
            lambda runtime, merchant, clock: remove_destination(runtime, merchant.merchant_id, "tiktok"),
            REMOVED,
            id="removed",
        ),
        pytest.param(lambda runtime, merchant, clock: purge(merchant, clock), PURGED, id="purged"),
        pytest.param(
            lambda runtime, merchant, clock: deliver_stored(
                runtime, merchant.merchant_id, "tiktok", EventSearch(event_id_prefix="order_", after=None)
            ),
            None,
            id="asked again",
        ),
    ],
)
def test_what_happens_between_the_look_at_a_page_and_its_end(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    happens: Callable[[Runtime, Merchant, FrozenClock], Any],
    refused: str | None,
) -> None:
    result, job, page = begun(runtime, merchant, PAGE + 10)
    happens(runtime, merchant, clock)
    continue_stored(runtime, job, page)
    found = job_of(result)
    assert (found.matched, found.finished_at) == (PAGE + 10, clock.now())
    assert found.refused == ({refused: 10} if refused else {})
    assert found.requeued == PAGE + (0 if refused else 10)
    if refused != REMOVED:  # nobody delivers here
        assert [broken for broken in check_invariants(clock.now()) if broken.kind != "overdue"] == []


def purge(merchant: Merchant, clock: FrozenClock) -> None:
    with in_transaction():
        assert (
            purge_events(merchant.merchant_id, clock.now() + timedelta(seconds=1), 2 * PAGE, clock.now()) == PAGE + 10
        )


def test_a_paused_destination_has_them_wait_and_a_removed_one_gets_none(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    store(runtime, merchant, [draft("order")])
    clock.move(timedelta(seconds=1))
    assert isinstance(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING), list)
    assert isinstance(count_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING), list)
    add(runtime, merchant)
    pause_destination(runtime, merchant.merchant_id, "tiktok")
    assert done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING)).requeued == 1
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"queued": 1}
    remove_destination(runtime, merchant.merchant_id, "tiktok")
    assert isinstance(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING), list)
    sweep(runtime)
    add(runtime, merchant)  # and is there again: what it had is for a redelivery
    again = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING))
    assert (again.requeued, again.refused) == (0, {HAS_ONE: 1})
    assert redeliver_matching(runtime, merchant.merchant_id, DeliverySearch(platform="tiktok")).requeued == 1
    resume_destination(runtime, merchant.merchant_id, "tiktok")
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": 1}
    assert ledger_of(merchant, clock) == (1, 0, 1, 1, 0, 0, 0, 0)
    assert check_invariants(clock.now()) == []


def test_a_destination_that_is_late_gets_no_more_to_do(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    store(runtime, merchant, [draft(f"order_{n}") for n in range(8 * PAGE)])
    add(runtime, merchant)
    result = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING))
    go_on(runtime)
    ahead = job_of(result).requeued
    assert ahead == PAGE + AHEAD // timedelta(seconds=1) * PAGE
    clock.move(timedelta(seconds=10))  # and no worker came
    assert go_on(runtime) == set()
    assert job_of(result).requeued == ahead
    clock.move(PATIENCE)
    go_on(runtime)
    assert job_of(result).requeued == ahead + PAGE


def test_it_stays_within_its_merchant_and_its_filter(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    other = new_merchant(runtime, name="Other")
    for each in (merchant, other):
        store(runtime, each, [draft(f"order_{n}") for n in range(PAGE + 5)])
        add(runtime, each)
    clock.move(timedelta(hours=1))
    store(runtime, merchant, [draft(f"new_{n}") for n in range(5)])
    search = EventSearch(
        event_name="Purchase",
        event_id_prefix="order_",
        received_until=clock.now() - timedelta(minutes=1),
        occurred_since=datetime.fromisoformat("2026-11-20T14:00:00Z"),
        delivery_statuses=("queued", "delivered"),
        platforms=("meta",),
    )
    result = done(deliver_stored(runtime, merchant.merchant_id, "tiktok", search))
    assert (job_of(result).stored, job_of(result).after) == (result.job and result.job.stored, result.job.after)  # type: ignore[union-attr]
    job = finish(runtime, merchant, worker, clock, result)
    assert (job.matched, job.requeued, job.refused) == (PAGE + 5, PAGE + 5, {})
    assert statuses(other) == {}
    with in_transaction():
        assert redelivery_by_id(other.merchant_id, job.redelivery_id) is None


def test_an_event_that_cannot_be_mapped_waits_for_a_version_that_can(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    store(runtime, merchant, [draft("strange"), draft("fine")])
    with in_transaction():
        execute("""UPDATE events SET user_data = '{"newer": 1}' WHERE event_id = 'strange'""")
    add(runtime, merchant)
    assert done(deliver_stored(runtime, merchant.merchant_id, "tiktok", EVERYTHING)).requeued == 2


def test_refusals_are_counted_in_a_bounded_number_of_groups() -> None:
    refused: dict[str, int] = {}
    examples: dict[str, str] = {}
    for number in range(30):
        tally(refused, examples, "INVALID_FIELD", f"order_{number}", f"custom_data.contents.{number}.id")
    assert (len(refused), refused["INVALID_FIELD"], examples["INVALID_FIELD"]) == (11, 20, "order_10")
    assert reason_and_field("INVALID_FIELD/custom_data.contents.0.id") == ("INVALID_FIELD", "custom_data.contents.0.id")
    assert reason_and_field(TOO_OLD) == (TOO_OLD, "occurred_at")
