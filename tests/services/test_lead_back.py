"""PostgreSQL's clock is set back: nothing waits until the time before has come again, and seconds change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_alert import Monitor
from tests.services.test_channels import channel_to, types
from tests.services.test_deliver import accepted, deliver, fault, ingest, mend
from tests.services.test_erase import EMAIL, begin, dump, finish, of, send, state, stored
from tests.services.test_monitor import Scene
from tests.services.test_notify import OPS, merchant_with, subjects, with_smtp
from tests.services.test_outage import Town
from tests.smtp import MailServer
from tracklayer.clock import FrozenClock
from tracklayer.db.alert_mails import hold
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.heartbeats import job_facts
from tracklayer.db.leases import LEASE, claim_due, start_sending
from tracklayer.db.schedule import begin_job, jobs_by_name, take_due_jobs
from tracklayer.domain.installation import JobFacts
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.alert import snooze_alert
from tracklayer.services.drops import note_drops
from tracklayer.services.erase import Request
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.lead_back import (
    EVERY,
    HELD,
    OF_ALL,
    OF_DESTINATIONS,
    OF_THE_OPERATOR,
    PAGE,
    lead_back,
)
from tracklayer.services.mail import ANSWER_SECONDS
from tracklayer.services.merchants import STITCHED_AFTER
from tracklayer.services.notify import email_alerts, take_next
from tracklayer.services.redeliver import continue_redeliveries, redeliver_matching
from tracklayer.services.sweep import sweep

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MANY = PAGE + 500
AGES_AGO = "2026-11-18T12:00:00Z"  # when events happened: one of a time to come waits for that

# What is judged by a condition beside its reader, as that may be the one who would lead it back.
JUDGED_WHERE_READ = {
    "operator_turns": {"taken_until"},
    "periodic_jobs": {"next_run_at", "begun_for", "leased_until"},
    "alerts": {"last_seen_at", "quiet_since", "resolved_at"},
    "claims": {"missed_at"},
}
# When something was, or until when something is good that nobody waits for the end of: who is signed in, which secret still
# signs, which mark still counts. One that lies ahead keeps nothing back: where something is asked for, all that was done lies
# before it, whatever its clock said (``done_before``); and the last of what was counted lies at or before now (``last_counted``).
TELLS = {
    "advice": {"since"},
    "alert_changes": {"at"},
    "alert_channels": {"created_at", "former_until"},
    "alerts": {"opened_at", "acknowledged_at", "snoozed_until"},  # a merchant named the instant
    "api_away": {"began_at", "ended_at"},  # the watch forgets what ends in time to come
    "api_keys": {"created_at", "last_used_at", "revoked_at"},
    "browser_people": {"first_seen_at", "last_seen_at"},
    "browser_signals": {"first_seen_at", "last_seen_at"},
    "browsers": {"first_seen_at", "last_seen_at"},
    "channel_messages": {"created_at", "finished_at", "tried_at"},
    "claims": {"claimed_at", "sent_at"},
    "coverage_baselines": {"learned_until"},
    "deliveries": {
        "received_at",
        "queued_at",
        "window_ends_at",
        "last_attempt_at",
        "delivered_at",
        "finished_at",
        "requeued_at",
    },
    "destinations": {"created_at", "removed_at", "set_up_at"},
    "differing_repeats": {"at"},
    "enrichments": {"decided_at"},
    "erasure_keys": {"made_at", "retired_at"},
    "erasure_requests": {"requested_at"},
    "erasure_walks": {"taken_at"},
    "erasures": {"requested_at", "finished_at", "looks_until", "taken_at"},
    "events": {"occurred_at", "received_at", "last_received_at"},
    "looks": {"active_until"},
    "merchants": {"created_at"},
    "name_baselines": {"learned_until"},
    "operator_alerts": {"opened_at", "resolved_at"},
    "operator_messages": {"told_at"},
    "redeliveries": {"requested_at", "finished_at"},
    "sealing_keys": {"made_at"},
    "sessions": {"created_at", "last_seen_at"},
    "sign_in_codes": {"created_at", "expires_at"},
    "suppressions": {"since"},
    "tombstones": {"expires_at"},
}
COUNTED_BY = {"minute", "hour", "day"}  # the key of a counter


@pytest.fixture
def town(runtime: Runtime, clock: FrozenClock, sandbox: SandboxServer, worker: int) -> Town:
    runtime.outages.seconds = 0
    runtime.settings = replace(runtime.settings, retry_base=timedelta(seconds=5))
    return Town(runtime, clock, sandbox, worker, 5)


@pytest.fixture
def scene(runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int) -> Scene:
    return Scene(runtime, merchant, clock, sandbox, worker)


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def telling(runtime: Runtime, smtp: MailServer, receiver: Receiver, clock: FrozenClock) -> Monitor:
    """What it finds is told by e-mail and to a channel."""
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True)
    shop = merchant_with(with_smtp(runtime, smtp.url), OPS)
    channel_to(runtime, shop, receiver)
    return Monitor(runtime, shop, clock)


def select(sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql, params)


def write(sql: str, params: Any = ()) -> None:
    with in_transaction():
        execute(sql, params)


def test_whatever_makes_something_wait_is_led_back_or_judged_where_it_is_read(database: str) -> None:
    """A new column is put on the list of services/lead_back.py, or among those here that merely tell."""
    found = set(
        select(
            "SELECT table_name::text, column_name::text FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
        )
    )
    led = {
        (waits.table, column)
        for waits in (*OF_ALL, *OF_DESTINATIONS, HELD, *OF_THE_OPERATOR)
        for column in waits.columns
    }
    led |= {("deliveries", "due_at"), ("deliveries", "next_retry_at")}
    judged = {(table, column) for table, columns in JUDGED_WHERE_READ.items() for column in columns}
    tells = {(table, column) for table, columns in TELLS.items() for column in columns}
    tells |= {key for key in found if key[1] in COUNTED_BY}
    assert sorted(found) == sorted([*led, *judged, *tells])


def test_a_platform_that_was_down_by_that_clock_is_probed_and_all_goes_out(town: Town) -> None:
    fault(town.sandbox, kind="error", status=500)
    for shop in town.shops:
        ingest(town.runtime, shop, draft(f"first_{shop.merchant_id}", occurred_at=AGES_AGO))
    town.live(30)
    assert town.platform.is_down
    mend(town.sandbox)
    town.clock.move(-30 * HOUR)
    for shop in town.shops:
        ingest(town.runtime, shop, draft(f"second_{shop.merchant_id}", occurred_at=AGES_AGO))
    town.live(120)
    assert not town.platform.is_down
    assert town.delivered() == 10


@pytest.mark.parametrize("by", [55 * MINUTE, DAY])
def test_a_hold_that_began_long_before_is_probed_within_a_minute(scene: Scene, by: timedelta) -> None:
    scene.changes = [{"occurred_at": AGES_AGO}]
    scene.fault("error")
    scene.passes(2 * 3600, every=60, step=60)
    sweep(scene.runtime)
    scene.clock.move(-by)
    scene.mend()
    scene.passes(5)
    sweep(scene.runtime)
    scene.sends(1)
    scene.passes(5)
    assert select("SELECT state FROM destinations") == [("active",)]


def test_an_answer_that_a_mail_server_takes_minutes_for_is_no_clock_that_was_set_back(
    runtime: Runtime, clock: FrozenClock
) -> None:
    with MailServer() as server:
        with_smtp(runtime, server.url)
        Monitor(runtime, merchant_with(runtime, OPS), clock).finds()
        taken = take_next(runtime)
        assert taken is not None
        answered_by = clock.now() + timedelta(seconds=ANSWER_SECONDS)
        with in_transaction():
            hold(taken.mail, answered_by)
        for _ in range(8):
            clock.move(MINUTE)
            lead_back(runtime, clock.now())
            email_alerts(runtime)
        assert select("SELECT status, leased_at FROM alert_mails") == [("sending", answered_by)]
        clock.move(-DAY)
        lead_back(runtime, clock.now())
        assert select("SELECT leased_at FROM alert_mails") == [(clock.now(),)]


def test_every_destination_has_its_turn_a_page_at_a_time(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    now = clock.now()
    write(
        "INSERT INTO merchants (name, created_at, stitched_since) SELECT 'Shop ' || n, %s, %s FROM generate_series(1, %s) AS n",
        (now, now + DAY, MANY),
    )
    write(
        "INSERT INTO destinations (merchant_id, platform, settings, secrets, created_at, resume_at) "
        "SELECT merchant_id, 'meta', '{}', '', %s, %s FROM merchants WHERE name LIKE 'Shop %%'",
        (now, now + DAY),
    )
    lead_back(runtime, now)
    assert 0 < select("SELECT count(*) FROM destinations WHERE resume_at > %s", (now,))[0][0] < MANY
    lead_back(runtime, now)
    assert select("SELECT count(*) FROM destinations WHERE resume_at > %s", (now,)) == [(0,)]
    assert select("SELECT count(*) FROM merchants WHERE stitched_since > %s", (now + STITCHED_AFTER,)) == [(0,)]


def test_what_a_worker_that_stands_still_had_in_hand_is_taken_back(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    ingest(runtime, merchant, draft())
    with in_transaction():
        taken = claim_due(merchant.merchant_id, "meta", 10, clock.now(), worker)
        assert taken is not None
        start_sending(taken[0], ["order_1"], clock.now())
    clock.move(-DAY)
    sweep(runtime)
    assert select("SELECT lease_ends_at FROM claims") == [(clock.now() + LEASE,)]  # it may live: it has its whole time
    clock.move(LEASE)
    assert sweep(runtime).taken_back == 1
    assert select("SELECT count(*) FROM claims") == [(0,)]


def test_a_job_of_a_worker_that_hangs_is_taken_over(runtime: Runtime, clock: FrozenClock, worker: int) -> None:
    every = {"sweep": timedelta(seconds=1)}
    with in_transaction():
        assert take_due_jobs(every, clock.now()) == ["sweep"]
        assert begin_job("sweep", worker, clock.now()) is not None
    clock.move(-DAY)
    with in_transaction():
        assert take_due_jobs(every, clock.now()) == ["sweep"]
        assert not jobs_by_name(clock.now())["sweep"].busy
        assert begin_job("sweep", worker + 1, clock.now()) is not None
        execute(
            "UPDATE periodic_jobs SET begun_at = clock_timestamp(), leased_until = clock_timestamp() + interval '1 day'"
        )
        [facts] = job_facts(every).values()
    assert isinstance(facts, JobFacts)
    assert not facts.busy


@pytest.mark.parametrize("attempts", [0, 1])
def test_deliveries_that_were_put_off_by_that_clock_go_out(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int, attempts: int
) -> None:
    if attempts:
        fault(sandbox, kind="refuse", event_ids=["order_1"])
    ingest(runtime, merchant, draft(occurred_at=AGES_AGO))
    if attempts:
        deliver(runtime, merchant, worker)
        mend(sandbox)
    sweep(runtime)
    clock.move(2 * MINUTE)
    sweep(runtime)
    clock.move(-6 * HOUR)
    sweep(runtime)
    deliver(runtime, merchant, worker)
    assert accepted(sandbox) == {"order_1": 1}


@pytest.mark.parametrize("ahead", [10 * MINUTE, HOUR, 170 * MINUTE, 30 * HOUR])
@pytest.mark.parametrize("is_redelivered", [False, True])
def test_what_was_queued_by_that_clock_while_nobody_swept_goes_out_within_a_minute(
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    sandbox: SandboxServer,
    worker: int,
    ahead: timedelta,
    is_redelivered: bool,
) -> None:
    sweep(runtime)
    if is_redelivered:
        ingest(runtime, merchant, draft(occurred_at=AGES_AGO))
        write(
            "UPDATE deliveries SET status = 'dropped', drop_reason = 'window_expired', due_at = NULL, finished_at = %s",
            (NOW,),
        )
    clock.move(5 * MINUTE + ahead)
    if is_redelivered:
        assert redeliver_matching(runtime, merchant.merchant_id, DeliverySearch()).requeued == 1
    else:
        ingest(runtime, merchant, draft(occurred_at=AGES_AGO))
    clock.move(-ahead)
    sweep(runtime)
    deliver(runtime, merchant, worker)
    assert accepted(sandbox) == {"order_1": 1}


def test_what_a_process_stored_that_had_not_seen_the_clock_set_back_goes_out_within_a_minute(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> None:
    with closing(Runtime(runtime.settings, runtime.database_url, runtime.sealer, FrozenClock(clock.now()))) as other:
        sweep(runtime)
        clock.move(-2 * HOUR)
        sweep(runtime)
        ingest(other, merchant, draft(occurred_at=AGES_AGO))
    clock.move(EVERY)
    sweep(runtime)
    deliver(runtime, merchant, worker)
    assert accepted(sandbox) == {"order_1": 1}


@pytest.mark.parametrize("seconds", [5, 65])
def test_a_hold_that_a_process_wrote_then_is_probed_within_a_minute(scene: Scene, seconds: int) -> None:
    """In the first minute after the clock was set back, and not for as long as a platform may wish later."""
    sweep(scene.runtime)
    scene.clock.move(-HOUR)
    sweep(scene.runtime)
    scene.clock.move(timedelta(seconds=seconds))
    if seconds > 60:
        sweep(scene.runtime)
    until = scene.clock.now() + 50 * MINUTE
    write("UPDATE destinations SET state = 'held', state_reason = 'credentials', resume_at = %s", (until,))
    for _ in range(3):
        scene.clock.move(EVERY)
        sweep(scene.runtime)
    assert (select("SELECT resume_at FROM destinations") == [(until,)]) is (seconds > 60)


def test_an_event_that_names_a_time_to_come_waits_for_it_though_the_clock_was_set_back(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> None:
    sweep(runtime)
    ingest(runtime, merchant, draft())
    clock.move(-6 * HOUR)
    for _ in range(2):
        sweep(runtime)
        deliver(runtime, merchant, worker)
    [due] = select("SELECT due_at, next_retry_at FROM deliveries")
    assert due == (NOW - MINUTE,) * 2
    clock.move(2 * MINUTE)
    sweep(runtime)
    assert select("SELECT due_at, next_retry_at FROM deliveries") == [due]


def test_an_erasure_that_waited_by_that_clock_finishes(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(5 * MINUTE)
    row = begin(runtime, merchant, Request(email=EMAIL))
    continue_erasures(runtime, 30)
    clock.move(-DAY)
    sweep(runtime)
    assert state(row).next_at > clock.now()  # what was on its way when it was asked for arrives before it looks
    assert finish(runtime, clock, row).counts["events"] == 1
    assert stored(merchant) == []


def test_a_redelivery_of_that_clock_goes_on_page_after_page(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> None:
    ingest(runtime, merchant, *[draft(f"order_{n}") for n in range(500)])
    for start in range(500, 3500, 500):
        ingest(runtime, merchant, *[draft(f"order_{n}") for n in range(start, start + 500)])
    write(
        "UPDATE deliveries SET status = 'dropped', drop_reason = 'window_expired', due_at = NULL, finished_at = %s",
        (clock.now(),),
    )
    assert not redeliver_matching(runtime, merchant.merchant_id, DeliverySearch()).complete
    clock.move(-DAY)
    sweep(runtime)
    for _ in range(70):
        continue_redeliveries(runtime)
        clock.move(timedelta(seconds=1))
    assert select("SELECT requeued, finished_at IS NOT NULL FROM redeliveries") == [(3500, True)]
    sweep(runtime)
    assert select("SELECT count(*) FROM deliveries WHERE due_at > %s", (clock.now() + MINUTE,)) == [(0,)]


@pytest.mark.parametrize("is_tried", [False, True])
def test_an_alert_of_that_clock_is_told_by_mail_and_to_channels(
    runtime: Runtime, telling: Monitor, smtp: MailServer, receiver: Receiver, clock: FrozenClock, is_tried: bool
) -> None:
    telling.finds()
    if is_tried:
        smtp.refuse_data, receiver.plan, receiver.answer_headers = "451 later", [503], {"retry-after": "60"}
        email_alerts(runtime)
        post_due(runtime)
        smtp.refuse_data = None
    told = len(receiver.got)
    clock.move(-DAY)
    telling.finds()
    sweep(runtime)
    email_alerts(runtime)
    post_due(runtime)
    assert len(subjects(smtp)) == 1
    assert len(receiver.got) == told + 1


def test_a_mail_whose_sender_died_by_that_clock_is_given_up(
    runtime: Runtime, telling: Monitor, clock: FrozenClock
) -> None:
    telling.finds()
    write("UPDATE alert_mails SET status = 'sending', leased_at = %s, attempts = 1", (clock.now(),))
    clock.move(-DAY)
    sweep(runtime)
    clock.move(6 * MINUTE)
    email_alerts(runtime)
    assert select("SELECT status FROM alert_mails") == [("unknown",)]


def test_what_was_dropped_since_is_told(scene: Scene, receiver: Receiver) -> None:
    scene.runtime.settings = replace(scene.runtime.settings, allow_private_webhooks=True)
    channel_to(scene.runtime, scene.merchant, receiver, topics=["delivery.dropped"])
    scene.clock.move(DAY)
    for _ in range(30):
        note_drops(scene.runtime)
    scene.clock.move(-DAY)
    scene.changes = [{"user_data": {}}]
    scene.sends(1)
    scene.passes(55)
    sweep(scene.runtime)
    for _ in range(5):
        scene.clock.move(MINUTE)
        note_drops(scene.runtime)
    post_due(scene.runtime)
    assert types(receiver) == ["delivery.dropped"]


def test_what_waits_as_long_as_it_may_goes_on_waiting(
    runtime: Runtime, telling: Monitor, smtp: MailServer, receiver: Receiver, clock: FrozenClock, town: Town
) -> None:
    """Also by a clock that was set back by less than clocks differ."""
    telling.finds()
    smtp.refuse_data, receiver.plan = "451 later", [503]
    receiver.answer_headers = {"retry-after": "86400"}
    email_alerts(runtime)
    post_due(runtime)
    telling.finds(after=20)
    assert snooze_alert(runtime, 1, 1, clock.now() + 30 * DAY)
    fault(town.sandbox, kind="error", status=500)
    town.ingest("first")
    town.live(30)
    ingest(runtime, town.shops[0], draft("later", occurred_at=(clock.now() + 4 * MINUTE).isoformat()))
    begin(runtime, town.shops[0], Request(email=EMAIL))
    write("UPDATE destinations SET resume_at = %s WHERE merchant_id = %s", (clock.now() + HOUR, town.ids[1]))
    lead_back(runtime, clock.move(EVERY))
    before = dump("rounds")
    lead_back(runtime, clock.move(-timedelta(seconds=30)))
    lead_back(runtime, clock.move(2 * EVERY))
    lead_back(runtime, clock.move(EVERY))
    assert dump("rounds") == before
