"""A redelivery starts each delivery's attempts anew, once: at once where it is small, page by page where it is big."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft, new_merchant
from tests.redelivering import go_on, job_of, select
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.leases import claim_due
from tracklayer.db.redeliveries import RedeliveryRow, redelivery_by_id
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, pause_destination, remove_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.pacing import AHEAD, PAGE, PATIENCE, Redelivered
from tracklayer.services.privacy import purge_redeliveries
from tracklayer.services.redeliver import (
    continue_redeliveries,
    count_ids,
    count_matching,
    redeliver_ids,
    redeliver_matching,
)
from tracklayer.services.refusals import IN_HANDS

EVERYTHING = DeliverySearch()


def give_up(runtime: Runtime, merchant: Merchant, worker: int, count: int, platform: str = "meta") -> None:
    """``count`` deliveries that were dropped, because their events had a fault that is mended afterwards."""
    for start in range(0, count, 500):
        drafts = [draft(f"order_{n}", event_name="Refund") for n in range(start, min(start + 500, count))]
        ingest_events(runtime, merchant.holder, drafts)
    deliver(runtime, merchant, worker, platform)
    with in_transaction():
        execute("UPDATE events SET event_name = 'Lead' WHERE merchant_id = %s", (merchant.merchant_id,))


def deliver(runtime: Runtime, merchant: Merchant, worker: int, platform: str = "meta") -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, platform):
        pass


def statuses(merchant: Merchant) -> dict[str, int]:
    sql = "SELECT status, count(*) FROM deliveries WHERE merchant_id = %s GROUP BY status"
    return dict(select(sql, merchant.merchant_id))


def finish(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, result: Redelivered) -> RedeliveryRow:
    """Lets a worker do what is due and the redelivery go on, in turn, for a minute at most."""
    for _ in range(60):
        go_on(runtime)
        deliver(runtime, merchant, worker)
        if job_of(result).finished_at is not None:
            break
        clock.move(timedelta(seconds=1))
    return job_of(result)


def keys_of(merchant: Merchant) -> list[tuple[str, str]]:
    sql = "SELECT event_id, platform FROM deliveries WHERE merchant_id = %s ORDER BY 1, 2"
    return [(row[0], row[1]) for row in select(sql, merchant.merchant_id)]


def test_what_fits_a_page_is_done_at_once(runtime: Runtime, merchant: Merchant, worker: int) -> None:
    give_up(runtime, merchant, worker, PAGE)
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    assert (result.matched, result.requeued, result.refused, result.job) == (PAGE, PAGE, Counter(), None)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": PAGE}


@pytest.mark.parametrize("by_ids", [False, True])
def test_what_does_not_fit_goes_on_page_by_page(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, by_ids: bool
) -> None:
    count = 2 * PAGE + 1
    give_up(runtime, merchant, worker, count)
    keys = [*keys_of(merchant), ("none", "meta"), keys_of(merchant)[0]]
    clock.move(timedelta(seconds=1))
    if by_ids:
        result = redeliver_ids(runtime, merchant.merchant_id, keys, EVERYTHING, unknown=2)
    else:
        result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    unknown = {"unknown id": 2} if by_ids else {}
    assert (result.matched, result.requeued, result.refused) == (PAGE, PAGE, unknown)
    job = job_of(result)
    assert (job.matched, job.requeued, job.refused, job.finished_at) == (PAGE, PAGE, unknown, None)

    job = finish(runtime, merchant, worker, clock, result)
    assert (job.matched, job.requeued) == (count, count)
    assert job.refused == ({"unknown id": 3} if by_ids else {})
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": count}
    assert select("SELECT count(*) FROM redelivery_pages") == [(0,)]
    assert check_invariants(clock.now()) == []


def test_a_thousand_a_second_are_due_and_their_window_begins_then(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, 3 * PAGE)
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    assert result.wake == {(merchant.merchant_id, "meta")}
    assert go_on(runtime) == {(merchant.merchant_id, "meta")}
    due = [row[0] - clock.now() for row in select("SELECT due_at FROM deliveries ORDER BY due_at")]
    assert due == [timedelta(milliseconds=n) for n in range(3 * PAGE)]
    assert select("SELECT DISTINCT window_ends_at - due_at FROM deliveries") == [(timedelta(hours=24),)]
    # A fresh event is due before most of them.
    ingest_events(runtime, merchant.holder, [draft("fresh")])
    clock.move(timedelta(milliseconds=10))
    deliver(runtime, merchant, worker)
    assert select("SELECT status FROM deliveries WHERE event_id = 'fresh'") == [("delivered",)]
    assert statuses(merchant)["queued"] > 2 * PAGE


def test_a_destination_that_is_late_gets_no_more_to_do(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, 10 * PAGE)
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    go_on(runtime)
    ahead = job_of(result).requeued
    assert ahead == PAGE + AHEAD // timedelta(seconds=1) * PAGE
    clock.move(timedelta(seconds=10))  # and no worker came
    assert go_on(runtime) == set()
    assert job_of(result).requeued == ahead
    clock.move(PATIENCE)
    go_on(runtime)
    assert job_of(result).requeued == ahead + PAGE
    # One that nobody may send to is no reason to wait.
    pause_destination(runtime, merchant.merchant_id, "meta")
    clock.move(timedelta(seconds=1))
    go_on(runtime)
    assert job_of(result).requeued > ahead + PAGE


def test_what_is_dropped_again_meanwhile_is_not_redelivered_twice(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, 2 * PAGE)
    keys = keys_of(merchant)
    clock.move(timedelta(seconds=1))
    by_filter = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    by_ids = redeliver_ids(runtime, merchant.merchant_id, keys[::-1], EVERYTHING)
    with in_transaction():  # what is sent from now on is refused again
        execute("UPDATE events SET event_name = 'Refund'")
    clock.move(timedelta(seconds=1))
    deliver(runtime, merchant, worker)
    first, second = (finish(runtime, merchant, worker, clock, given) for given in (by_filter, by_ids))
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"dropped": 2 * PAGE}
    assert first.requeued + second.requeued == 2 * PAGE
    refused = Counter(first.refused) + Counter(second.refused)
    assert set(refused) <= {"tried again since this was asked for", "already waiting to be delivered"}
    assert sum(refused.values()) == first.matched + second.matched - 2 * PAGE
    assert check_invariants(clock.now()) == []


@pytest.mark.parametrize("by_ids", [False, True])
def test_what_a_clock_that_was_ahead_dropped_is_redelivered_as_the_dry_run_says(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, by_ids: bool
) -> None:
    clock.move(timedelta(days=2))
    give_up(runtime, merchant, worker, PAGE + 5)
    clock.move(-timedelta(days=2))
    asked = (runtime, merchant.merchant_id, keys_of(merchant), EVERYTHING)
    would = count_ids(*asked) if by_ids else count_matching(runtime, merchant.merchant_id, EVERYTHING)
    result = redeliver_ids(*asked) if by_ids else redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    job = finish(runtime, merchant, worker, clock, result)
    assert (job.matched, job.requeued, job.refused) == (PAGE + 5, PAGE + 5, {})
    assert (would.matched, would.requeued, +would.refused) == (PAGE + 5, PAGE + 5, {})
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": PAGE + 5}


def test_asked_twice_at_once_each_delivery_begins_anew_once(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, 3 * PAGE)
    clock.move(timedelta(seconds=1))
    results: list[Redelivered] = []
    start = threading.Barrier(3)

    def ask() -> None:
        start.wait()
        results.append(redeliver_matching(runtime, merchant.merchant_id, EVERYTHING))

    def go_on() -> None:
        start.wait()
        continue_redeliveries(runtime)

    for body in (ask, go_on):
        threads = [threading.Thread(target=body) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        start.reset()
    jobs = [finish(runtime, merchant, worker, clock, result) for result in results if result.job is not None]
    at_once = [result for result in results if result.job is None]
    assert sum(job.requeued for job in jobs) + sum(result.requeued for result in at_once) == 3 * PAGE
    assert [job for job in jobs if job.matched != job.requeued + sum(job.refused.values())] == []
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"delivered": 3 * PAGE}
    assert select("SELECT DISTINCT jsonb_array_length(former_waits) FROM deliveries") == [(1,)]
    assert check_invariants(clock.now()) == []


def test_it_stays_within_its_merchant(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    give_up(runtime, merchant, worker, PAGE + 5)
    give_up(runtime, other, worker, PAGE + 7)
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    job = finish(runtime, merchant, worker, clock, result)
    assert (job.matched, job.requeued) == (PAGE + 5, PAGE + 5)
    assert statuses(other) == {"dropped": PAGE + 7}
    with in_transaction():
        assert redelivery_by_id(other.merchant_id, job.redelivery_id) is None


def test_a_filter_narrows_every_page(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> None:
    give_up(runtime, merchant, worker, PAGE + 500)
    with in_transaction():
        execute("UPDATE deliveries SET last_error = 'Odd' WHERE event_id LIKE '%%7'")
    clock.move(timedelta(hours=1))
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    search = DeliverySearch(
        "meta", ("dropped",), ("unsupported_event",), clock.now() - timedelta(hours=2), clock.now(), "NO REFUND"
    )
    odd = len(select("SELECT 1 FROM deliveries WHERE last_error = 'Odd'"))
    result = redeliver_matching(runtime, merchant.merchant_id, search)
    job = finish(runtime, merchant, worker, clock, result)
    assert (job.matched, job.requeued) == (PAGE + 500 - odd, PAGE + 500 - odd)
    assert job.search == DeliverySearch(
        **{**vars(search), "untouched_since": job.requested_at, "after": job.search.after}
    )
    clock.move(AHEAD)
    deliver(runtime, merchant, worker)
    assert statuses(merchant) == {"dropped": odd, "delivered": PAGE + 500 - odd}


def test_delivered_ones_are_refused_where_they_are_asked_for(runtime: Runtime, merchant: Merchant, worker: int) -> None:
    ingest_events(runtime, merchant.holder, [draft("good"), draft("bad", event_name="Refund")])
    deliver(runtime, merchant, worker)
    whole = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    assert (whole.matched, whole.requeued, whole.refused) == (1, 1, {})
    asked = redeliver_matching(runtime, merchant.merchant_id, DeliverySearch(status=("delivered", "queued")))
    assert (asked.matched, asked.requeued) == (2, 0)
    assert asked.refused == {"already delivered": 1, "already waiting to be delivered": 1}


@pytest.mark.parametrize(
    ("platform", "source", "settings", "days", "refused"),
    [
        ("meta", "website", {}, 7, True),
        ("meta", "physical_store", {}, 7, False),
        ("meta", "physical_store", {}, 62, True),
        ("tiktok", "website", {"max_age_days": 3}, 3, True),
        ("tiktok", "website", {}, 3, False),
        ("snapchat", "website", {}, 7, True),
        ("snapchat", "physical_store", {}, 80, False),
        ("pinterest", "website", {}, 80, False),
        ("reddit", "website", {}, 7, True),
        ("x_ads", "website", {"max_age_days": 7}, 7, True),
    ],
)
def test_too_old_is_what_the_mapper_would_call_too_old(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    platform: str,
    source: str,
    settings: dict[str, Any],
    days: int,
    refused: bool,
) -> None:
    used = {**example_settings(mapper_for(platform)), **settings}
    remove_destination(runtime, merchant.merchant_id, "meta")
    set_destination(runtime, merchant.merchant_id, platform, used, None)
    ingest_events(runtime, merchant.holder, [draft(action_source=source)])
    with in_transaction():
        execute("UPDATE deliveries SET status = 'failed', attempts = 1 WHERE platform = %s", (platform,))
    occurred_at: datetime = select("SELECT occurred_at FROM events")[0][0]
    clock.move(occurred_at + timedelta(days=days, microseconds=1) - clock.now())
    result = redeliver_ids(runtime, merchant.merchant_id, [("order_1", platform)], EVERYTHING)
    assert (result.requeued, dict(result.refused)) == ((0, {"too old for the platform": 1}) if refused else (1, {}))


def test_what_is_purged_or_was_removed_meanwhile_is_refused(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, PAGE + 10)
    clock.move(timedelta(seconds=1))
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    remove_destination(runtime, merchant.merchant_id, "meta")
    clock.move(timedelta(seconds=1))
    go_on(runtime)
    job = job_of(result)
    assert (job.matched, job.requeued, job.refused) == (PAGE + 10, PAGE, {"its destination was removed": 10})
    assert job.finished_at == clock.now()


@pytest.mark.parametrize("by_ids", [False, True])
def test_a_dry_run_counts_all_pages_as_the_redelivery_does(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, by_ids: bool
) -> None:
    give_up(runtime, merchant, worker, 2 * PAGE + 1)
    keys = [*keys_of(merchant), ("none", "meta")]
    with in_transaction():  # four seconds of events that will be too old before it is their turn
        execute("UPDATE events SET occurred_at = %s", (clock.now() - timedelta(days=7) + timedelta(seconds=1.5),))
    before = select("SELECT xmin::text, d.* FROM deliveries d ORDER BY event_id")
    counted = (
        count_ids(runtime, merchant.merchant_id, keys, EVERYTHING)
        if by_ids
        else count_matching(runtime, merchant.merchant_id, EVERYTHING)
    )
    assert select("SELECT xmin::text, d.* FROM deliveries d ORDER BY event_id") == before
    assert select("SELECT count(*) FROM redeliveries") == [(0,)]
    assert (counted.matched, counted.requeued, counted.complete) == (2 * PAGE + 1, 1501, True)
    assert (counted.job, counted.wake) == (None, set())
    if by_ids:
        done = redeliver_ids(runtime, merchant.merchant_id, keys, EVERYTHING)
    else:
        done = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    go_on(runtime)
    job = job_of(done)
    assert (job.matched, job.requeued, job.refused) == (counted.matched, counted.requeued, counted.refused)
    assert job.examples.keys() == counted.examples.keys() == job.refused.keys()


UNANSWERED = """
UPDATE deliveries SET attempt_log = jsonb_build_array(jsonb_build_object('number', 1, 'at', %s::text, 'outcome', %s::text))
WHERE event_id = ANY(%s)
"""


@pytest.mark.parametrize("by_ids", [False, True])
@pytest.mark.parametrize(
    ("platform", "outcome", "age", "expected"),
    [
        pytest.param("meta", "unknown", timedelta(minutes=1), 30, id="no answer, and copies are not recognised"),
        pytest.param("meta", "rejected", timedelta(minutes=1), 0, id="refused, which is an answer"),
        pytest.param(
            "tiktok", "unknown", timedelta(hours=47), 0, id="no answer, and copies are recognised for two days"
        ),
        pytest.param("tiktok", "unknown", timedelta(hours=49), 30, id="no answer, longer ago than that"),
    ],
)
def test_a_dry_run_counts_what_may_count_twice_over_all_that_it_looks_at(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    by_ids: bool,
    platform: str,
    outcome: str,
    age: timedelta,
    expected: int,
) -> None:
    if platform != "meta":
        set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)))
        remove_destination(runtime, merchant.merchant_id, "meta")
    unanswered = [f"risky_{number}" for number in range(30)]
    ingest_events(runtime, merchant.holder, [draft(event_id) for event_id in unanswered])
    clock.move(timedelta(seconds=1))
    for start in (0, 500):
        ingest_events(runtime, merchant.holder, [draft(f"newer_{number}") for number in range(start, start + 500)])
    with in_transaction():
        execute("UPDATE deliveries SET status = 'dropped', drop_reason = 'retries_exhausted', due_at = NULL")
        execute(UNANSWERED, ((clock.now() - age).isoformat(), outcome, unanswered))
    keys = [key for key in keys_of(merchant) if key[1] == platform]
    counted = (
        count_ids(runtime, merchant.merchant_id, keys, EVERYTHING)
        if by_ids
        else count_matching(runtime, merchant.merchant_id, DeliverySearch(platform=platform))
    )
    assert (counted.requeued, counted.complete, counted.at_risk) == (1030, True, expected)


def test_a_dry_run_that_has_no_time_for_all_says_so(runtime: Runtime, merchant: Merchant, worker: int) -> None:
    give_up(runtime, merchant, worker, PAGE + 1)
    counted = count_matching(runtime, merchant.merchant_id, EVERYTHING, seconds=0)
    assert (counted.matched, counted.requeued, counted.complete) == (PAGE, PAGE, False)
    counted = count_ids(runtime, merchant.merchant_id, keys_of(merchant), EVERYTHING, seconds=0)
    assert (counted.matched, counted.requeued, counted.complete) == (PAGE, PAGE, False)
    with in_transaction():
        execute("DELETE FROM deliveries WHERE event_id = 'order_0'")
    counted = count_matching(runtime, merchant.merchant_id, EVERYTHING, seconds=0)
    assert (counted.matched, counted.complete) == (PAGE, True)


def test_what_a_worker_has_in_hands_is_refused_in_both(runtime: Runtime, merchant: Merchant, worker: int) -> None:
    ingest_events(runtime, merchant.holder, [draft("a"), draft("b")])
    with in_transaction():
        execute("UPDATE deliveries SET status = 'failed', attempts = 1")
        claim_due(merchant.merchant_id, "meta", 1, runtime.clock.now(), worker)
    ((held,),) = select("SELECT event_ids FROM claims")
    expected = (1, {IN_HANDS: 1}, {IN_HANDS: held[0]})
    counted = count_matching(runtime, merchant.merchant_id, EVERYTHING)
    assert (counted.requeued, counted.refused, counted.examples) == expected
    done = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    assert (done.requeued, done.refused, done.examples) == expected


def test_a_job_of_an_older_version_goes_on_with_its_counts(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, PAGE + 1)
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    with in_transaction():  # it noted no examples
        execute("""UPDATE redeliveries SET refused = '{"its event was purged": 3}', refused_examples = DEFAULT""")
    job = job_of(result)
    assert (job.refused, job.examples) == ({"its event was purged": 3}, {})
    remove_destination(runtime, merchant.merchant_id, "meta")
    go_on(runtime)
    job = job_of(result)
    assert job.refused == {"its event was purged": 3, "its destination was removed": 1}
    assert job.examples == {"its destination was removed": "order_0"}


def test_one_that_fails_does_not_keep_the_others_from_their_turn(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    other = new_merchant(runtime, name="Other")
    give_up(runtime, merchant, worker, PAGE + 1)
    give_up(runtime, other, worker, PAGE + 1)
    broken = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    whole = redeliver_matching(runtime, other.merchant_id, EVERYTHING)
    with in_transaction():
        execute("UPDATE redeliveries SET search = '{}' WHERE merchant_id = %s", (merchant.merchant_id,))
    go_on(runtime)
    assert job_of(whole).finished_at is not None
    assert select("SELECT requeued, finished_at FROM redeliveries WHERE merchant_id = %s", merchant.merchant_id) == [
        (broken.requeued, None)
    ]


def test_a_finished_one_is_kept_for_thirty_days(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    give_up(runtime, merchant, worker, PAGE + 1)
    result = redeliver_matching(runtime, merchant.merchant_id, EVERYTHING)
    clock.move(timedelta(days=31))
    assert purge_redeliveries(runtime) == 0
    finish(runtime, merchant, worker, clock, result)
    clock.move(timedelta(days=30))
    assert purge_redeliveries(runtime) == 0
    clock.move(timedelta(seconds=1))
    assert purge_redeliveries(runtime) == 1
    assert statuses(merchant) != {}
