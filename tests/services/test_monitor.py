"""The monitors over real counters: what is told, when, how often, and when it is over."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from starlette.datastructures import Secret

from tests.factories import META, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import monitors
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.db.heartbeats import waiting
from tracklayer.db.operator_alerts import open_alert
from tracklayer.domain.alert import Severity
from tracklayer.domain.trouble import Trouble
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.backtest import backtest
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import (
    Changed,
    pause_destination,
    remove_destination,
    resume_destination,
    sandbox_destinations,
    set_destination,
)
from tracklayer.services.explain import explain
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.monitor import Watch, learn_baselines
from tracklayer.services.redeliver import redeliver_matching
from tracklayer.services.stored import deliver_stored
from tracklayer.services.sweep import sweep
from tracklayer.services.watches import destinations


class Scene:
    """One merchant with Meta, its time, and a watch that looks every 15 seconds."""

    def __init__(
        self, runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
    ) -> None:
        self.runtime, self.merchant, self.clock = runtime, merchant, clock
        self.sandbox, self.worker = sandbox, worker
        self.watch = Watch(runtime)
        self.sent = 0
        self.changes: list[dict[str, Any]] = [{}]  # of the events, in turn

    def passes(self, seconds: int, *, every: int | None = None, deliver: bool = True, step: int = 5) -> None:
        """Time, by steps of so many seconds: an event each ``every`` seconds, delivery, and a look each 15 seconds."""
        for second in range(step, seconds + 1, step):
            self.clock.move(timedelta(seconds=step))
            if every is not None and second % every < step:
                self.sends(max(1, step // every))
            if deliver:
                deliver_due(self.runtime, self.worker, self.merchant.merchant_id, "meta")
            if second % 15 == 0:
                self.watch.look()

    def sends(self, count: int) -> None:
        at = self.clock.now().isoformat()
        ids = [f"order_{n}" for n in range(self.sent, self.sent + count)]
        # Each an order of its own: without, all would look like one that is counted again and again.
        orders = [{"value": 129.99, "currency": "USD", "order_id": one} for one in ids]
        changes = [self.changes[n % len(self.changes)] for n in range(self.sent, self.sent + count)]
        drafts = [
            draft(one, **{"occurred_at": at, "custom_data": order} | change)
            for one, order, change in zip(ids, orders, changes, strict=True)
        ]
        self.sent += count
        ingest_events(self.runtime, self.merchant.holder, drafts)

    def fault(self, kind: str, **options: Any) -> None:
        given: dict[str, Any] = {"platform": "meta", "kind": kind, **options}
        if kind == "refuse":
            given["event_ids"] = [f"order_{n}" for n in range(self.sent, self.sent + 500)]
        httpx.post(f"{self.sandbox.url}/_faults", json=given).raise_for_status()

    def mend(self) -> None:
        httpx.delete(f"{self.sandbox.url}/_faults").raise_for_status()

    def alerts(self) -> list[tuple[str, bool]]:
        """(kind, is it open) of every alert, in order."""
        with in_transaction():
            return [
                (row[0], row[1])
                for row in rows(
                    "SELECT kind, resolved_at IS NULL FROM alerts WHERE merchant_id = %s ORDER BY alert_id",
                    (self.merchant.merchant_id,),
                )
            ]

    def alert(self) -> tuple[str, str, dict[str, Any]]:
        """(title, message, details) of the only one."""
        with in_transaction():
            [(title, message, details)] = rows(
                "SELECT title, message, details FROM alerts WHERE merchant_id = %s", (self.merchant.merchant_id,)
            )
        return title, message, details

    def told(self) -> tuple[str, str, dict[str, Any]]:
        """The same as it was when it was told."""
        with in_transaction():
            [(told,)] = rows("SELECT told FROM alerts WHERE merchant_id = %s", (self.merchant.merchant_id,))
        return told["title"], told["message"], told["details"]

    def history(self, platform: str, since: datetime, until: datetime, where: str = "true", **counts: int) -> None:
        """Counters of the past: ``counts`` in each minute that ``where``, in terms of ``minute``, admits."""
        names = list(counts)
        with in_transaction():
            execute(
                f"INSERT INTO minutes (merchant_id, platform, minute, slot, {', '.join(names)}) "
                f"SELECT %s, %s, minute, 1, {', '.join(['%s'] * len(names))} "
                f"FROM generate_series(%s, %s - interval '1 minute', interval '1 minute') AS minute WHERE {where}",
                (self.merchant.merchant_id, platform, *counts.values(), since, until),
            )


@pytest.fixture
def scene(runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int) -> Scene:
    return Scene(runtime, merchant, clock, sandbox, worker)


def test_a_platform_that_refuses_everything_is_told_once_and_is_over_when_it_accepts_again(scene: Scene) -> None:
    scene.passes(120, every=1)
    assert scene.alerts() == []
    scene.fault("refuse")
    scene.passes(60, every=1)
    assert scene.alerts() == [("platform_down", True)]
    title, message, details = scene.alert()
    assert title == "Meta refuses every event"
    assert "has accepted none of the last" in message
    assert "redeliver what was dropped" in message
    assert details["cause"] == "refused"
    assert details["last_error"] in message
    scene.passes(60, every=1)
    scene.mend()
    scene.passes(60, every=1)
    assert scene.alerts() == [("platform_down", False)]


@pytest.mark.parametrize(
    ("fault", "after", "title", "cause"),
    [
        pytest.param("down", 60, "Meta does not answer", "no_answer", id="no answer"),
        pytest.param("error", 60, "Meta answers with errors (500)", "server_error", id="server error"),
        pytest.param(
            "credentials",
            15,
            "Meta refuses your access token: set a new one now",
            "credentials_refused",
            id="credentials",
        ),
    ],
)
def test_a_held_destination_is_told_with_its_cause_until_the_end(
    scene: Scene, fault: str, after: int, title: str, cause: str
) -> None:
    scene.passes(60, every=5)
    scene.fault(fault)
    scene.passes(after, every=5)
    assert scene.alerts() == [("platform_down", True)]
    found, message, details = scene.alert()
    assert (found, details["cause"]) == (title, cause)
    assert f"{details['waiting']} deliveries wait, worth " in message
    assert " USD in sales, and the first is lost in 2" in message
    assert details["waiting"] > 0
    scene.mend()
    scene.passes(600, every=5)
    assert scene.alerts() == [("platform_down", False)]
    found, _, details = scene.alert()
    assert (found, details["cause"]) == (title, cause)


@pytest.mark.parametrize("rests", ["by a pause", "for want of workers"])
def test_a_platform_that_is_back_after_a_rest_ends_by_the_cause_that_was_told(scene: Scene, rests: str) -> None:
    merchant_id = scene.merchant.merchant_id
    scene.passes(60, every=10)
    scene.fault("error")
    scene.passes(300, every=15)
    since = scene.told()[2]["since"]
    if rests == "by a pause":
        pause_destination(scene.runtime, merchant_id, "meta")
    scene.passes(600, every=15, deliver=False)
    scene.mend()
    if rests == "by a pause":
        resume_destination(scene.runtime, merchant_id, "meta")
    for _ in range(24):
        scene.passes(15, every=15)
        title, message, details = scene.alert()
        assert (title, details["cause"], details["since"]) == ("Meta answers with errors (500)", "server_error", since)
        assert "its rules refuse them" not in message
    assert scene.alerts() == [("platform_down", False)]
    with in_transaction():
        assert rows("SELECT state FROM alert_changes ORDER BY change_id") == [("open",), ("resolved",)]


def test_an_outage_tells_what_waits_in_money_and_counts_from_its_first_failure_to_its_end(scene: Scene) -> None:
    scene.passes(180, every=5)
    began = scene.clock.now()
    scene.fault("error")
    scene.passes(60, every=5)
    title, message, details = scene.told()
    assert title == "Meta answers with errors (500)"
    money = f"{details['waiting'] * 129.99:,.2f} USD"
    assert f"{details['waiting']} deliveries wait, worth {money} in sales, and the first is lost in 2" in message
    assert details["waiting_worth"] == {"USD": f"{details['waiting'] * 129.99:.2f}"}
    since = datetime.fromisoformat(details["since"])
    assert began <= since <= began + timedelta(seconds=10)
    scene.passes(60, every=5)
    _, message, details = scene.alert()
    assert "deliveries wait, worth at least " in message  # added up a while ago
    scene.mend()
    for _ in range(20):
        scene.passes(30, every=5)
        _, message, details = scene.alert()
        assert datetime.fromisoformat(details["since"]) == since
        if "acknowledged" in details:
            # Nothing of what had been accepted before.
            assert details["acknowledged"] <= scene.sent - 36
            assert f"since {since:%Y-%m-%d %H:%M} UTC" in message
    assert scene.alerts() == [("platform_down", False)]
    assert scene.told()[2]["since"] == since.isoformat()


def test_money_that_cannot_be_added_up_costs_no_alert(scene: Scene) -> None:
    scene.passes(60, every=5)
    scene.fault("error")
    scene.passes(30, every=5)
    with in_transaction():
        execute(
            """UPDATE events SET custom_data = '{"value": 1e999999, "currency": "USD"}' WHERE event_id = 'order_15'"""
        )
    scene.passes(30, every=5)
    assert scene.alerts() == [("platform_down", True)]
    _, message, details = scene.told()
    assert f"{details['waiting']} deliveries wait, and the first is lost in 2" in message


def test_what_waits_is_added_up_when_it_is_found_and_then_ever_more_seldom(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    summed: list[datetime] = []
    real = destinations.sales_at  # type: ignore[attr-defined]

    def counted(since: dict[tuple[int, str], datetime], ages: Any) -> Any:
        if since:
            summed.append(scene.clock.now())
        return real(since, ages)

    monkeypatch.setattr(destinations, "sales_at", counted)
    scene.passes(60, every=5)
    assert summed == []  # nothing is in trouble
    scene.fault("error")
    began = scene.clock.now()
    scene.passes(900, every=60)
    assert scene.alerts() == [("platform_down", True)]
    after = [(at - began).total_seconds() for at in summed]
    assert len(after) == 8  # of 49 looks at it


NOBODY: dict[str, Any] = {"user_data": {}}
WORTHLESS: dict[str, Any] = {"custom_data": {}}
DENIED: dict[str, Any] = {"consent": {"ad_user_data": "denied"}}


@pytest.mark.parametrize(
    ("changes", "lack", "reason", "field"),
    [
        pytest.param(
            NOBODY,
            "lack everything by which it could match a person (`userData`)",
            "missing_identifiers",
            "user_data",
            id="nobody to match",
        ),
        pytest.param(WORTHLESS, "have no value (`customData.value`)", "invalid_field", "custom_data.value", id="field"),
    ],
)
def test_a_new_destination_whose_rules_refuse_everything_is_told_within_a_minute(
    scene: Scene, changes: dict[str, Any], lack: str, reason: str, field: str
) -> None:
    scene.changes = [changes]
    scene.passes(45, every=1)
    assert scene.alerts() == [("platform_down", True)]
    title, message, details = scene.alert()
    assert title == "Meta can be sent none of your events"
    assert message.startswith(f"Meta can be sent none of your events: 100% {lack}. Since 2026-11-20 15:00 UTC ")
    count, example = details["unmappable"], details["example_event_id"]
    assert f"{count} events{' are' if changes is WORTHLESS else ', worth '}" in message
    assert " are lost to it: whoever sends your shop's events must add" in message
    assert f"event `{example}` (Purchase) is an example" in message
    assert (details["cause"], details["drop_reason"], details["field"]) == ("unmappable", reason, field)
    assert example in [f"order_{n}" for n in range(45)]
    scene.changes = [{}]
    scene.passes(60, every=1)
    assert scene.alerts() == [("platform_down", False)]


def test_events_that_are_too_old_are_a_failure_too(scene: Scene) -> None:
    scene.changes = [{"occurred_at": (scene.clock.now() - timedelta(days=9)).isoformat()}]
    scene.passes(45, every=1)
    assert scene.alerts() == [("platform_down", True)]
    _, message, details = scene.alert()
    assert "100% happened longer ago than it takes (`occurredAt`)" in message
    assert (details["drop_reason"], details["field"]) == ("event_too_old", "occurred_at")


def test_what_nobody_wants_sent_is_no_failure(scene: Scene) -> None:
    scene.changes = [DENIED, {"event_name": "Refund"}]
    scene.passes(90, every=1)
    assert scene.alerts() == []
    with in_transaction():
        [(dropped, unmappable, consent, unsupported)] = rows(
            "SELECT sum(dropped)::int, sum(unmappable)::int, sum((drop_reasons ->> 'consent_denied')::int)::int, "
            "sum((drop_reasons ->> 'unsupported_event')::int)::int FROM minutes WHERE merchant_id = %s AND platform = 'meta'",
            (scene.merchant.merchant_id,),
        )
    assert (dropped, unmappable, consent, unsupported) == (90, 0, 45, 45)


def test_consent_that_is_required_and_never_sent_is_a_failure_though_nobody_refused(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    changed = set_destination(scene.runtime, merchant_id, "meta", {**META, "require_consent": "always"}, None)
    assert isinstance(changed, Changed)
    scene.changes = [{"consent": {"ad_user_data": "granted"}}, DENIED]
    scene.passes(300, every=1)
    assert scene.alerts() == []
    scene.changes = [{}]
    scene.passes(120, every=1)
    assert scene.alerts() == [("platform_down", True)]
    title, message, details = scene.alert()
    assert title == "Meta can be sent none of your events"
    assert "100% lack the consent that you require, as none was sent with them (`consent.adUserData`)" in message
    assert "are lost to it: nobody refused. Whoever sends your shop's events must send `consent.adUserData`" in message
    assert (details["drop_reason"], details["field"]) == ("invalid_field", "consent.ad_user_data")
    with in_transaction():
        found = rows(
            "SELECT DISTINCT drop_reason, error_code FROM deliveries WHERE merchant_id = %s AND status = 'dropped' ORDER BY 1",
            (merchant_id,),
        )
    assert found == [("consent_denied", "CONSENT_DENIED"), ("invalid_field", "CONSENT_MISSING")]
    explained = explain("meta", "CONSENT_MISSING", "invalid_field")
    assert explained is not None
    assert explained.field == "consent.ad_user_data"
    assert explained.summary.endswith("nobody refused.")
    scene.changes = [{"consent": {"ad_user_data": "granted"}}]
    scene.passes(60, every=1)
    assert scene.alerts() == [("platform_down", False)]


def test_a_new_destination_of_whose_events_half_are_refused_is_told_as_that(scene: Scene) -> None:
    scene.changes = [NOBODY, {}]
    scene.passes(180, every=1)
    assert scene.alerts() == [("delivery_rate_drop", True)]
    title, message, details = scene.alert()
    assert title == "Meta can be sent only 50% of your events"
    assert "cannot be sent to Meta and are lost to it, worth at least " in message
    assert " USD in sales: 50% lack everything by which" in message
    assert "other Purchase events do go out: what sends these differs" in message
    assert message.endswith("the least to be expected of a destination is 80%.")
    assert details["usual_success_rate"] is None
    now = scene.clock.now().replace(second=0, microsecond=0)
    scene.history("meta", now - timedelta(days=8), now - timedelta(days=1), acknowledged=30, unmappable=30)
    assert learn_baselines(scene.runtime) == 1
    scene.passes(60, every=1)
    assert scene.alerts() == [("delivery_rate_drop", True)]  # what was learned of it is no rate to get used to
    scene.changes = [{}]
    scene.passes(360, every=1)
    assert scene.alerts() == [("delivery_rate_drop", False)]


def test_of_several_causes_the_larger_one_is_named(scene: Scene) -> None:
    scene.changes = [NOBODY, WORTHLESS, {}, NOBODY]
    scene.fault("refuse")
    scene.passes(60, every=1)
    assert scene.alerts() == [("platform_down", True)]
    title, message, details = scene.alert()
    assert title == "Meta can be sent none of your events"
    assert "50% lack everything" in message
    assert "Besides: 25% have no value (`customData.value`)." in message
    assert "Of what was sent, Meta refused " in message
    assert details["last_error"] in message


def test_a_delivery_that_was_sent_and_is_then_too_old_failed_once(scene: Scene) -> None:
    almost = scene.clock.now() - timedelta(days=7) + timedelta(seconds=60)
    scene.changes = [{"occurred_at": almost.isoformat()}]
    scene.fault("refuse")
    scene.sends(1)
    scene.passes(300)
    with in_transaction():
        counted = rows(
            "SELECT sum(refused)::int, sum(unmappable)::int, sum(dropped)::int FROM minutes WHERE platform = 'meta'"
        )
    assert counted == [(1, 0, 1)]


def test_a_rate_limit_is_not_told_as_a_shortage_of_workers(scene: Scene) -> None:
    scene.passes(60, every=5)
    scene.fault("rate_limit", retry_after=1200)
    scene.passes(120, every=5)
    assert scene.alerts() == [("queue_backlog", True)]
    title, message, details = scene.alert()
    assert title == f"{details['waiting']} deliveries to Meta wait: Meta limits how fast it takes them"
    assert "more workers do not help" in message
    assert "must start more workers" not in message
    assert details["cause"] == "rate_limited"


class Resting(BaseHTTPRequestHandler):
    """A platform that answers 503 and asks for an hour's rest."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def resting(scene: Scene) -> Iterator[None]:
    """Instead of the emulator, as a setting of the process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Resting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    before = scene.runtime.settings
    scene.runtime.settings = replace(before, sandbox_url=f"http://127.0.0.1:{server.server_port}")
    yield
    scene.runtime.settings = before
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_failure_with_a_wish_for_an_hours_rest_is_told_by_what_waits(scene: Scene, resting: None) -> None:
    scene.passes(240, every=60)
    assert scene.alerts() == [("queue_backlog", True)]
    title, message, details = scene.told()
    assert title.endswith("deliveries to Meta wait: Meta answers with errors (503)")
    assert details["cause"] == "server_error"
    assert "It asked to be left alone until 2026-" in message
    for _ in range(3):
        scene.passes(600, every=60)
        assert scene.alert()[2]["cause"] == "server_error"
    with in_transaction():
        assert rows("SELECT state FROM alert_changes") == [("open",)]


def test_a_platform_that_asks_for_one_rest_after_another_is_told_by_one_alert_at_a_time(
    scene: Scene, resting: None
) -> None:
    scene.passes(120, every=15)
    assert scene.alerts() == [("queue_backlog", True)]
    scene.clock.move(timedelta(minutes=58))
    scene.sends(40)
    scene.passes(180, every=15)
    assert scene.alerts() == [("queue_backlog", False), ("platform_down", True)]
    with in_transaction():
        told = rows("SELECT told -> 'details' ->> 'since' FROM alerts WHERE kind = 'platform_down'")
    scene.clock.move(timedelta(minutes=58))
    scene.passes(180, every=15)
    assert scene.alerts() == [("queue_backlog", False), ("platform_down", True)]
    with in_transaction():
        assert rows("SELECT details ->> 'since' FROM alerts WHERE kind = 'platform_down'") == told


def test_what_a_rest_left_behind_is_put_down_to_it_until_it_has_gone_out(scene: Scene, resting: None) -> None:
    well = replace(scene.runtime.settings, sandbox_url=scene.sandbox.url)
    scene.passes(120, every=15)
    for _ in range(57):
        scene.clock.move(timedelta(minutes=1))
        scene.sends(4)
    scene.runtime.settings = well
    titles = set()
    for _ in range(20):
        scene.passes(15, every=1)
        titles.add(scene.alert()[0].partition(": ")[2])
    assert titles == {"Meta answers with errors (503)"}
    assert scene.alerts() == [("queue_backlog", False)]


def test_a_hold_of_a_clock_that_was_set_back_is_over_with_the_next_sweep(scene: Scene) -> None:
    scene.clock.move(timedelta(days=1))
    scene.fault("error")
    scene.passes(60, every=5)
    scene.clock.move(-timedelta(days=1))
    scene.mend()
    scene.passes(10)
    scene.sends(1)
    sweep(scene.runtime)
    deliver_due(scene.runtime, scene.worker, scene.merchant.merchant_id, "meta")
    with in_transaction():
        assert rows("SELECT state FROM destinations") == [("active",)]
        assert rows("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == [(1,)]


def test_slow_answers_are_told_as_that(scene: Scene) -> None:
    scene.passes(60, every=5)
    with in_transaction():
        execute("UPDATE deliveries SET attempt_log = jsonb_set(attempt_log, '{0,duration_ms}', '9800')")
    scene.passes(120, every=5, deliver=False)
    title, message, details = scene.alert()
    assert title == f"{details['waiting']} deliveries to Meta wait: Meta answers slowly"
    assert "Meta takes 10 s to answer a request." in message


def test_a_hiccup_of_ten_seconds_is_told_to_nobody(scene: Scene) -> None:
    scene.passes(60, every=5)
    scene.fault("down")
    scene.passes(10, every=5)
    scene.mend()
    scene.passes(120, every=5)
    assert scene.alerts() == []


def test_what_nobody_delivers_is_a_backlog_until_it_is_gone(scene: Scene) -> None:
    scene.passes(60, every=5)
    scene.passes(120, every=5, deliver=False)
    assert scene.alerts() == [("queue_backlog", True)]
    title, message, details = scene.alert()
    assert title == "24 deliveries to Meta wait: TrackLayer is too slow"
    assert "TrackLayer's operator must start more workers" in message
    assert "does not clear at this pace" in message
    assert details["clears_in_seconds"] is None
    assert details["waiting"] == 24
    scene.passes(150, every=5)
    assert scene.alerts() == [("queue_backlog", False)]


def test_a_paused_destination_is_told_before_it_loses_its_first_delivery(scene: Scene) -> None:
    pause_destination(scene.runtime, scene.merchant.merchant_id, "meta")
    scene.sends(1)
    scene.clock.move(timedelta(hours=19))
    scene.watch.look()
    assert scene.alerts() == []
    scene.clock.move(timedelta(hours=2))
    scene.watch.look()
    assert scene.alerts() == [("queue_backlog", True)]
    assert "Whoever paused it must resume it" in scene.alert()[1]


def test_a_drop_below_its_own_rate_is_told_by_the_figures(scene: Scene) -> None:
    now = scene.clock.now().replace(second=0, microsecond=0)
    scene.history("meta", now - timedelta(days=8), now, acknowledged=58, refused=2)
    scene.clock.move(now + timedelta(seconds=5) - scene.clock.now())
    assert learn_baselines(scene.runtime) == 1
    scene.watch.look()
    assert scene.alerts() == []
    scene.history("meta", now, now + timedelta(minutes=2), acknowledged=45, refused=15)
    scene.history("meta", now + timedelta(minutes=2), now + timedelta(minutes=3), acknowledged=7, refused=3)
    scene.clock.move(timedelta(minutes=2, seconds=10))
    scene.watch.look()
    assert scene.alerts() == [("delivery_rate_drop", True)]
    title, _, details = scene.alert()
    assert title == "Meta accepts 74.6% instead of 96.7%"
    assert (details["acknowledged"], details["failed"]) == (97, 33)
    assert details["probability"] < 1e-7


def test_what_is_refused_of_an_hourly_batch_is_told_at_the_second_look(scene: Scene) -> None:
    now = scene.clock.now().replace(second=0, microsecond=0)
    hourly = f"extract(minute from minute) = {now.minute}"
    scene.history("meta", now - timedelta(days=8), now, hourly, acknowledged=100)
    assert learn_baselines(scene.runtime) == 1
    scene.history("meta", now, now + timedelta(minutes=1), acknowledged=40, refused=60)
    seen = []
    for _ in range(2):
        scene.clock.move(timedelta(seconds=15))
        scene.watch.look()
        seen.append(scene.alerts())
    assert seen == [[], [("delivery_rate_drop", True)]]


def test_a_shop_that_goes_quiet_by_day_is_told_and_one_that_sleeps_is_not(scene: Scene) -> None:
    """It sends every other minute from 8 to 20 h, and never by night."""
    midnight = scene.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    by_day = (
        "extract(hour FROM minute AT TIME ZONE 'UTC') BETWEEN 8 AND 19 AND extract(minute FROM minute)::int %% 2 = 0"
    )
    scene.history("", midnight - timedelta(days=21), midnight + timedelta(hours=20), by_day, accepted=1)
    scene.clock.move(midnight + timedelta(hours=20, minutes=10) - scene.clock.now())
    assert learn_baselines(scene.runtime) == 1
    for hours in range(1, 14):
        scene.clock.move(midnight + timedelta(hours=20 + hours) - scene.clock.now())
        scene.watch.look()
        assert scene.alerts() == []
    scene.clock.move(timedelta(minutes=30))  # half past nine, when it usually has sent for an hour and a half
    scene.watch.look()
    assert scene.alerts() == [("tracking_stopped", True)]
    title, message, details = scene.alert()
    assert title == "No event for 13 h 31 min"
    assert details["rejected_since"] == 0
    assert "one in" in message
    scene.sends(1)
    scene.passes(120)
    assert scene.alerts()[0] == ("tracking_stopped", False)


@pytest.mark.parametrize(("sends", "told_at"), [("= 2", 4), ("BETWEEN 11 AND 12", 13)])
def test_a_shop_that_sends_in_a_few_hours_of_the_day_is_told_the_next_day(
    scene: Scene, sends: str, told_at: int
) -> None:
    midnight = scene.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    where = f"extract(hour FROM minute AT TIME ZONE 'UTC') {sends} AND extract(minute FROM minute)::int %% 3 = 0"
    scene.history("", midnight - timedelta(days=28), midnight, where, accepted=1)
    scene.clock.move(midnight - scene.clock.now())
    assert learn_baselines(scene.runtime) == 1
    for _ in range(told_at):
        assert scene.alerts() == []
        scene.clock.move(timedelta(hours=1))
        scene.watch.look()
    assert scene.alerts() == [("tracking_stopped", True)]


def test_what_is_refused_for_bad_fields_does_not_pass_for_life(scene: Scene) -> None:
    now = scene.clock.now().replace(second=0, microsecond=0)
    scene.history("", now - timedelta(days=8), now, accepted=5)
    learn_baselines(scene.runtime)
    ingest_events(scene.runtime, scene.merchant.holder, [draft("bad", occurred_at="yesterday")])
    scene.clock.move(timedelta(minutes=30))
    scene.watch.look()
    _, message, details = scene.alert()
    assert details["rejected_since"] == 1
    assert "1 event came since but was refused" in message


def test_three_events_a_week_are_no_rhythm(scene: Scene) -> None:
    now = scene.clock.now()
    where = "extract(isodow FROM minute) IN (1, 3, 5) AND to_char(minute AT TIME ZONE 'UTC', 'HH24:MI') = '10:00'"
    scene.history("", now - timedelta(days=28), now, where, accepted=1)
    learn_baselines(scene.runtime)
    scene.clock.move(timedelta(days=14))
    scene.watch.look()
    assert scene.alerts() == []


def test_an_alert_about_a_removed_destination_is_over(scene: Scene) -> None:
    scene.fault("credentials")
    scene.passes(30, every=5)
    assert scene.alerts() == [("platform_down", True)]
    remove_destination(scene.runtime, scene.merchant.merchant_id, "meta")
    scene.passes(45, deliver=False)
    assert scene.alerts() == [("platform_down", False)]


def test_however_many_look_at_once_there_is_one_alert(scene: Scene, runtime: Runtime) -> None:
    strangers = [new_merchant(runtime, name=f"Shop {n}") for n in range(3)]
    scene.fault("credentials")
    for merchant in (scene.merchant, *strangers):
        ingest_events(runtime, merchant.holder, [draft("order")])
        deliver_due(runtime, scene.worker, merchant.merchant_id, "meta")
    watches = [threading.Thread(target=Watch(runtime).look) for _ in range(4)]
    for thread in watches:
        thread.start()
    for thread in watches:
        thread.join()
    with in_transaction():
        assert rows("SELECT merchant_id, count(*) FROM alerts GROUP BY 1 ORDER BY 1") == [
            (merchant.merchant_id, 1) for merchant in (scene.merchant, *strangers)
        ]


def test_baselines_are_learned_again_only_when_they_are_old(scene: Scene) -> None:
    assert learn_baselines(scene.runtime) == 1
    assert learn_baselines(scene.runtime) == 0
    scene.clock.move(timedelta(hours=25))  # of one that sent nothing since; else it is six hours
    assert learn_baselines(scene.runtime) == 1


def test_minutes_of_several_backends_become_one_row_and_old_ones_an_hour(scene: Scene) -> None:
    now = scene.clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    old = hour - timedelta(days=36)
    for slot in (11, 12):
        with in_transaction():
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, drop_reasons, latency) "
                "SELECT %s, 'meta', at, %s, 1, '{\"consent\": 2}', '{0, 3}' FROM unnest(%s::timestamptz[]) AS at",
                (scene.merchant.merchant_id, slot, [old, old + timedelta(minutes=7), hour, now - timedelta(minutes=2)]),
            )
    fold_counters(scene.runtime)
    with in_transaction():
        found = rows(
            "SELECT minute, accepted, (drop_reasons ->> 'consent')::int, latency[2] FROM counted "
            "WHERE merchant_id = %s AND minute <= %s ORDER BY minute",
            (scene.merchant.merchant_id, hour),
        )
        fresh = rows("SELECT count(*) FROM minutes WHERE merchant_id = %s AND slot <> 0", (scene.merchant.merchant_id,))
    assert found == [(old, 4, 8, 12), (hour, 2, 4, 6)]
    assert fresh == [(2,)]


def test_minutes_become_hours_when_they_come_of_age_and_go_after_all_retention(scene: Scene) -> None:
    hour = scene.clock.now().replace(minute=0, second=0, microsecond=0)
    scene.history("", hour - timedelta(minutes=60), hour, accepted=1)
    for days, expected in ((1, (60, 60)), (36, (1, 60)), (401, (0, None))):
        scene.clock.move(hour + timedelta(days=days, hours=1) - scene.clock.now())
        fold_counters(scene.runtime)
        with in_transaction():
            assert rows("SELECT count(*), sum(accepted) FROM counted")[0] == expected


def test_a_backtest_finds_what_the_stored_counters_show_and_tells_nobody(scene: Scene) -> None:
    """Eight days of one a second with, on the last day, an outage, a drop, a backlog and a silence."""
    now = scene.clock.now().replace(minute=0, second=0, microsecond=0)
    scene.clock.move(now - scene.clock.now())
    at = {hours: now - timedelta(hours=hours) for hours in range(24)}
    steady = {"routed": 60, "acknowledged": 58, "refused": 2, "finished": 58}
    half_hour = timedelta(minutes=30)
    for since, until, counts in (
        (now - timedelta(days=8), at[20], steady),
        (at[20], at[20] + half_hour, {"routed": 60, "unreachable": 2}),
        (at[20] + half_hour, at[20] + timedelta(minutes=31), {"routed": 60, "acknowledged": 1860, "finished": 1860}),
        (at[20] + timedelta(minutes=31), at[16], steady),
        (at[16], at[16] + half_hour, {"routed": 60, "acknowledged": 30, "refused": 30, "finished": 30}),
        (at[16] + half_hour, at[12], steady),
        (at[12], at[12] + half_hour, {"routed": 60, "acknowledged": 6, "finished": 6}),
        (at[12] + half_hour, at[12] + timedelta(minutes=31), {"routed": 60, "acknowledged": 1680, "finished": 1680}),
        (at[12] + timedelta(minutes=31), now, steady),
    ):
        scene.history("meta", since, until, "true", **counts)
    scene.history("", now - timedelta(days=8), at[6], accepted=60)
    scene.history("", at[5], now, accepted=60)

    [(merchant_id, raised)] = backtest(scene.runtime, 1)
    assert merchant_id == scene.merchant.merchant_id
    found = [(one.finding.kind.value, one.opened_at, one.resolved_at) for one in raised]
    minute = timedelta(minutes=1)
    assert found == [
        ("platform_down", at[20] + 2 * minute, at[20] + 32 * minute),
        # Of the minute in which it begins nobody can tell whether all is refused from some moment on.
        ("delivery_rate_drop", at[16] + 2 * minute, at[16] + 36 * minute),
        ("queue_backlog", at[12] + minute, at[12] + 32 * minute),
        ("tracking_stopped", at[6] + 15 * minute, at[5] + minute),
    ]
    assert scene.alerts() == []
    [(_, week)] = backtest(scene.runtime, 7, scene.merchant.merchant_id)
    assert [(one.finding.kind.value, one.opened_at, one.resolved_at) for one in week] == found


def test_a_backtest_knows_that_a_queue_is_empty_and_what_the_credentials_were(scene: Scene) -> None:
    """What was tried in vain during an outage goes out as a retry: nothing waits any more, whatever was tried first."""
    now = scene.clock.now().replace(minute=0, second=0, microsecond=0)
    scene.clock.move(now - scene.clock.now())
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    steady = {"routed": 60, "acknowledged": 60, "finished": 60}
    late = {"routed": 60, "acknowledged": 660, "finished": 660, "retries_acknowledged": 15}
    for began, failure, tried in (
        (now - 20 * hour, "unreachable", {"unreachable": 15, "retries_failed": 0}),
        (now - 16 * hour, "unknown", {"unknown": 15, "retries_failed": 0}),
        (now - 12 * hour, "credentials_refused", {"credentials_refused": 15, "retries_failed": 0}),
    ):
        scene.history("meta", began - hour, began, "true", **steady)
        scene.history("meta", began, began + minute, "true", routed=60, **tried)
        probes = {"routed": 60, failure: 1, "retries_failed": 1}
        scene.history("meta", began + minute, began + 10 * minute, "true", **probes)
        scene.history("meta", began + 10 * minute, began + 11 * minute, "true", **late)
        scene.history("meta", began + 11 * minute, began + hour, "true", **steady)
    [(_, raised)] = backtest(scene.runtime, 1)
    assert [(one.finding.kind.value, one.finding.details["cause"]) for one in raised] == [
        ("platform_down", "unreachable"),
        ("platform_down", "no_answer"),
        ("platform_down", "credentials_refused"),
    ]
    assert all(one.resolved_at is not None for one in raised)


def test_a_backtest_without_counters_says_nothing(scene: Scene) -> None:
    assert list(backtest(scene.runtime, 30)) == [(scene.merchant.merchant_id, [])]


# Imports of old events ------------------------------------------------------------------------------------------------


def test_an_import_of_old_events_beside_healthy_ones_opens_no_alert(scene: Scene) -> None:
    old = {"occurred_at": (scene.clock.now() - timedelta(days=20)).isoformat()}
    scene.passes(60, every=1)
    scene.changes = [{}, old, old, old, old, old, old, old, old, old]
    scene.passes(180, every=1)
    scene.changes = [old]  # by night the import goes on, and nobody buys anything
    scene.passes(120, every=1)
    assert scene.alerts() == []
    with in_transaction():
        counted = rows(
            "SELECT sum(acknowledged)::int, sum(unmappable)::int, sum(retries_failed)::int FROM minutes "
            "WHERE platform = 'meta'"
        )
    assert counted == [(78, 282, 282)]
    now = scene.clock.now().replace(second=0, microsecond=0)
    scene.history("meta", now - timedelta(days=8), now - timedelta(days=1), acknowledged=3)
    scene.clock.move(timedelta(hours=1))
    assert learn_baselines(scene.runtime) == 1
    with in_transaction():
        [(share,)] = rows("SELECT (learned ->> 'share')::float FROM baselines WHERE platform = 'meta'")
    assert share > 0.99


def test_what_else_cannot_be_sent_is_told_beside_an_import(scene: Scene) -> None:
    old = {"occurred_at": (scene.clock.now() - timedelta(days=20)).isoformat()}
    scene.changes = [NOBODY, {}, old, old]
    scene.passes(360, every=1)
    assert scene.alerts() == [("delivery_rate_drop", True)]
    title, message, details = scene.alert()
    assert title == "Meta can be sent only 50% of your events"
    assert "50% lack everything by which" in message
    assert details["drop_reason"] == "missing_identifiers"


# Workers that are too few ---------------------------------------------------------------------------------------------

PLATFORMS = ("meta", "tiktok", "snapchat", "pinterest")


def of_shortage(scene: Scene) -> list[tuple[str | None, bool, str]]:
    with in_transaction():
        return rows(
            "SELECT platform, resolved_at IS NULL, severity FROM alerts WHERE merchant_id = %s AND kind = 'queue_backlog' "
            "ORDER BY alert_id",
            (scene.merchant.merchant_id,),
        )


def test_what_waits_for_want_of_workers_is_one_alert_for_all_destinations(scene: Scene) -> None:
    sandbox_destinations(scene.runtime, scene.merchant.merchant_id, PLATFORMS)
    scene.passes(150, every=5, deliver=False)
    assert of_shortage(scene) == [(None, True, "warning")]
    title, message, details = scene.alert()
    assert title.endswith(" deliveries to 4 platforms wait: TrackLayer is too slow")
    assert "They are for Meta, Pinterest, Snapchat and TikTok." in message
    assert details["platforms"] == sorted(PLATFORMS)
    with in_transaction():
        assert waiting(timedelta(minutes=2)).slow == dict.fromkeys(PLATFORMS, 1)  # as the operator's watch sees it
    for platform in PLATFORMS[1:]:
        while deliver_due(scene.runtime, scene.worker, scene.merchant.merchant_id, platform):
            pass
    scene.passes(60, deliver=False)  # one is still late, and it is still that alert
    assert of_shortage(scene) == [(None, True, "warning")]
    assert " deliveries to Meta wait: TrackLayer is too slow" in scene.alert()[0]
    scene.passes(150)
    assert of_shortage(scene) == [(None, False, "warning")]


def test_the_operators_shortage_is_told_to_the_merchant_once_something_is_about_to_be_lost(scene: Scene) -> None:
    sandbox_destinations(scene.runtime, scene.merchant.merchant_id, PLATFORMS)
    scene.runtime.settings = replace(scene.runtime.settings, operator_webhook=Secret("http://127.0.0.1:9/ops"))
    trouble = Trouble("no_worker", Severity.CRITICAL, "No worker is alive", "Start one.", scene.clock.now())
    with in_transaction():
        assert open_alert("alert-1", trouble)
    scene.passes(150, every=5, deliver=False)
    assert of_shortage(scene) == []
    scene.clock.move(timedelta(hours=23))
    scene.watch.look()
    assert of_shortage(scene) == [(None, True, "critical")]


def test_a_shortage_that_no_operator_hears_of_is_told_to_the_merchant_at_once(scene: Scene) -> None:
    trouble = Trouble("no_worker", Severity.CRITICAL, "No worker is alive", "Start one.", scene.clock.now())
    with in_transaction():
        assert open_alert("alert-1", trouble)
    scene.passes(150, every=5, deliver=False)
    assert of_shortage(scene) == [("meta", True, "warning")]


def small_day(scene: Scene, times: int) -> None:
    """Events spread over a day, each delivered, tried again if it has to be, and looked at."""
    for _ in range(times):
        scene.clock.move(timedelta(days=1) / times)
        scene.sends(1)
        scene.passes(30)


@pytest.mark.parametrize(
    ("fault", "change", "cause"),
    [
        pytest.param("refuse", {}, "refused", id="the platform refuses"),
        pytest.param(None, WORTHLESS, "unmappable", id="its rules refuse"),
    ],
)
@pytest.mark.parametrize("folds", [False, True])
def test_a_small_shop_that_loses_everything_is_told_once_chance_is_ruled_out(
    scene: Scene, fault: str | None, change: dict[str, Any], cause: str, folds: bool
) -> None:
    for _ in range(2):
        small_day(scene, 4)
    if fault is not None:
        scene.fault(fault)
    scene.changes = [change]
    began = scene.clock.now()
    for lost in range(1, 16):
        scene.clock.move(timedelta(hours=6))
        if folds:
            fold_counters(scene.runtime)
        scene.sends(1)
        scene.passes(30)
        assert scene.alerts() == ([("platform_down", True)] if lost >= 13 else [])
    _, _, details = scene.alert()
    assert (details["cause"], details["acknowledged"]) == (cause, 0)
    assert began < datetime.fromisoformat(details["since"]) < began + timedelta(hours=7)
    scene.clock.move(timedelta(hours=20))
    scene.passes(60)
    assert scene.alerts() == [("platform_down", True)]
    scene.mend()
    scene.changes = [{}]
    scene.sends(1)
    scene.passes(120)
    assert scene.alerts() == [("platform_down", False)]


def test_what_a_platform_refused_weeks_ago_and_then_took_alarms_nobody(scene: Scene) -> None:
    scene.changes = [WORTHLESS]
    for _ in range(12):
        small_day(scene, 1)
    scene.changes = [{}]
    small_day(scene, 1)
    scene.changes = [WORTHLESS]
    scene.clock.move(timedelta(days=9))
    for _ in range(3):
        small_day(scene, 1)
    assert scene.alerts() == []


PAGE_VIEW: dict[str, Any] = {"event_name": "PageView", "custom_data": {}}


class Beside(Scene):
    """A shop whose purchases are a few beside its page views."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.runtime, scene.merchant, scene.clock, scene.sandbox, scene.worker)
        self.pages = self.purchases = 0

    def minutes_pass(self, minutes: int, *, pages: int = 12, every: int = 1, **change: Any) -> None:
        """So many page views a minute, and a purchase each ``every`` minutes, which a fault can name."""
        for minute in range(minutes):
            self.clock.move(timedelta(seconds=55))
            at = self.clock.now().isoformat()
            views = [draft(f"page_{self.pages + n}", **PAGE_VIEW | {"occurred_at": at}) for n in range(pages)]
            self.pages += pages
            if minute % every == 0:
                order = {"value": 20 + self.purchases, "currency": "USD", "order_id": f"o{self.purchases}"}
                bought = {"occurred_at": at, "custom_data": order} | change
                views.append(draft(f"order_{self.purchases}", **bought))
                self.purchases += 1
            ingest_events(self.runtime, self.merchant.holder, views)
            for _ in range(2):
                deliver_due(self.runtime, self.worker, self.merchant.merchant_id, "meta")
            self.clock.move(timedelta(seconds=5))
            self.watch.look()

    def refuse_purchases(self) -> None:
        ids = [f"order_{n}" for n in range(self.purchases, self.purchases + 500)]
        given = {"platform": "meta", "kind": "refuse", "event_ids": ids}
        httpx.post(f"{self.sandbox.url}/_faults", json=given).raise_for_status()


@pytest.fixture
def beside(scene: Scene) -> Beside:
    return Beside(scene)


@pytest.mark.parametrize("every", [1, 3])
def test_a_name_that_a_platform_refuses_beside_others_that_pass_is_one_alert_that_names_it(
    beside: Beside, every: int
) -> None:
    beside.minutes_pass(20)
    assert beside.alerts() == []
    began = beside.clock.now()
    beside.refuse_purchases()
    beside.minutes_pass(15 * every, every=every)
    assert beside.alerts() == [("delivery_rate_drop", True)]
    title, message, details = beside.alert()
    assert title == "Meta refuses every Purchase event"
    assert " Purchase events since 2026-11-20 " in message
    assert "while other events go through" in message
    assert details["last_error"] in message
    assert f"Event `{details['example_event_id']}` is an example." in message
    assert details["event_names"] == ["Purchase"]
    assert (details["cause"], details["acknowledged"]) == ("refused", 0)
    assert began - timedelta(minutes=1) <= datetime.fromisoformat(details["since"]) <= began + timedelta(minutes=2)
    beside.mend()
    beside.minutes_pass(15)
    assert beside.alerts() == [("delivery_rate_drop", False)]
    with in_transaction():
        assert rows("SELECT DISTINCT event_name FROM refused_names") == [("Purchase",)]


def test_a_name_that_is_refused_is_told_with_what_its_sales_are_worth(beside: Beside) -> None:
    beside.minutes_pass(20)
    beside.refuse_purchases()
    beside.minutes_pass(30)
    _, message, details = beside.alert()
    worth = sum(20 + n for n in range(20, 20 + details["failed"]))  # each is worth a dollar more than the one before
    assert (
        f" of {details['failed']} Purchase events since 2026-11-20 15:20 UTC (code 100/2804019), worth {worth:,}.00 USD in sales, while"
        in message
    )
    assert details["failing_worth"] == {"USD": str(worth)}


def test_a_name_that_the_rules_refuse_beside_others_is_told_with_its_field(beside: Beside) -> None:
    beside.minutes_pass(16, custom_data={})
    assert beside.alerts() == [("delivery_rate_drop", True)]
    title, message, details = beside.alert()
    assert title == "Meta can be sent none of your Purchase events"
    assert (
        "they have no value (`customData.value`). Whoever sends your shop's events must add it now, event `" in message
    )
    assert (details["cause"], details["field"]) == ("unmappable", "custom_data.value")


def test_a_name_that_comes_seldom_is_told_by_its_run_of_days_and_a_success_ends_it(beside: Beside) -> None:
    beside.minutes_pass(2)
    beside.refuse_purchases()
    for refused in range(1, 15):
        beside.clock.move(timedelta(hours=5))
        fold_counters(beside.runtime)
        beside.minutes_pass(3, every=3)
        assert beside.alerts() == ([("delivery_rate_drop", True)] if refused >= 13 else [])
    beside.mend()
    beside.minutes_pass(8)
    assert beside.alerts() == [("delivery_rate_drop", False)]


def test_a_name_that_is_refused_and_accepted_by_turns_as_ever_is_told_to_nobody(beside: Beside) -> None:
    for _ in range(25):
        beside.minutes_pass(1, custom_data={})
        beside.minutes_pass(4)
    assert beside.alerts() == []


@contextmanager
def refused_names_cannot_be_read() -> Iterator[None]:
    with in_transaction():
        execute("ALTER TABLE refused_names RENAME COLUMN events TO elsewhere")
    try:
        yield
    finally:
        with in_transaction():
            execute("ALTER TABLE refused_names RENAME COLUMN elsewhere TO events")


def test_names_that_cannot_be_read_cost_no_other_alert(scene: Scene) -> None:
    others = [new_merchant(scene.runtime, name=f"Shop {number}") for number in range(3)]

    def minutes_pass(minutes: int, *, deliver: bool) -> None:
        for _ in range(minutes):
            number, at = scene.sent, scene.clock.now().isoformat()
            for other in others:
                ids = [f"{kind}_{number}" for kind in ("good", "bad")]
                orders = [{"value": 1, "currency": "USD", "order_id": one} for one in ids]
                drafts = [draft(one, occurred_at=at, custom_data=order) for one, order in zip(ids, orders, strict=True)]
                ingest_events(scene.runtime, other.holder, drafts)
                if deliver:
                    deliver_due(scene.runtime, scene.worker, other.merchant_id, "meta")
            scene.passes(60, every=20, deliver=deliver)

    bad = [*(f"bad_{number}" for number in range(10)), *(f"order_{number}" for number in range(0, 10, 2))]
    given = {"platform": "meta", "kind": "refuse", "event_ids": bad}
    httpx.post(f"{scene.sandbox.url}/_faults", json=given).raise_for_status()
    minutes_pass(3, deliver=True)
    with in_transaction():
        assert rows("SELECT count(DISTINCT merchant_id) FROM refused_names") == [(4,)]
    with refused_names_cannot_be_read():
        minutes_pass(12, deliver=False)
        with in_transaction():
            told = rows("SELECT merchant_id, kind FROM alerts WHERE resolved_at IS NULL ORDER BY merchant_id")
    assert told == [(one.merchant_id, "queue_backlog") for one in (scene.merchant, *others)]


def test_an_alert_about_a_name_stays_open_while_nobody_can_read_whether_it_is_over(beside: Beside) -> None:
    beside.minutes_pass(20)
    beside.refuse_purchases()
    beside.minutes_pass(15)
    assert beside.alerts() == [("delivery_rate_drop", True)]
    beside.mend()
    with refused_names_cannot_be_read():
        beside.minutes_pass(15)
        assert beside.alerts() == [("delivery_rate_drop", True)]
    beside.minutes_pass(3)
    assert beside.alerts() == [("delivery_rate_drop", False)]


def test_what_is_refused_once_more_when_it_is_redelivered_is_counted_by_its_name_once(scene: Scene) -> None:
    scene.changes = [{}, {"event_name": "Lead"}, {}, {"event_name": "Lead"}]
    given = {"platform": "meta", "kind": "refuse", "event_ids": [f"order_{n}" for n in range(3, 400, 4)]}
    httpx.post(f"{scene.sandbox.url}/_faults", json=given).raise_for_status()
    scene.passes(150, every=5)
    for _ in range(2):
        search = DeliverySearch(platform="meta", status=("failed", "dropped"))
        assert redeliver_matching(scene.runtime, scene.merchant.merchant_id, search).requeued > 0
        scene.passes(150, every=5)
    assert scene.alerts() == []
    with in_transaction():
        assert rows("SELECT event_name, sum(events)::int FROM refused_names GROUP BY 1") == [("Lead", 22)]
        assert rows("SELECT count(*) FROM deliveries WHERE status = 'failed'") == [(22,)]


def test_what_is_refused_once_more_when_it_is_redelivered_is_no_drop_of_the_destination(scene: Scene) -> None:
    given = {"platform": "meta", "kind": "refuse", "event_ids": [f"order_{n}" for n in range(0, 720, 10)]}
    httpx.post(f"{scene.sandbox.url}/_faults", json=given).raise_for_status()
    for _ in range(60):
        scene.sends(12)
        scene.passes(30)
    assert scene.alerts() == []
    search = DeliverySearch(platform="meta", status=("failed",))
    assert redeliver_matching(scene.runtime, scene.merchant.merchant_id, search).requeued == 72
    scene.passes(300, every=5)
    assert scene.alerts() == []


def test_what_was_never_tried_and_is_refused_when_it_is_redelivered_is_told_as_new_events_are(scene: Scene) -> None:
    """It waited for a day, as its destination was paused or removed: nobody knows yet that the platform refuses it."""
    for _ in range(20):
        scene.sends(12)
        scene.passes(30)
    merchant_id = scene.merchant.merchant_id
    assert pause_destination(scene.runtime, merchant_id, "meta")
    given = {"platform": "meta", "kind": "refuse", "event_ids": [f"order_{scene.sent + n}" for n in range(100)]}
    scene.sends(100)
    scene.clock.move(timedelta(hours=25))
    assert sweep(scene.runtime).dropped == 100
    assert resume_destination(scene.runtime, merchant_id, "meta")
    scene.passes(60)
    before = scene.alerts()
    httpx.post(f"{scene.sandbox.url}/_faults", json=given).raise_for_status()
    counted = "SELECT event_name, sum(events)::int FROM refused_names GROUP BY 1"
    for status in ("dropped", "failed"):  # the second time they had their outcome before
        search = DeliverySearch(platform="meta", status=(status,))
        assert redeliver_matching(scene.runtime, merchant_id, search).requeued == 100
        scene.passes(30)
        with in_transaction():
            assert rows(counted) == [("Purchase", 100)]
            [(failed, again)] = rows("SELECT sum(refused)::int, sum(retries_failed)::int FROM minutes")
        assert failed - again == 100
        assert scene.alerts() == [*before, ("platform_down", True)]


def test_what_the_rules_refuse_again_when_it_is_redelivered_is_counted_by_its_name_once(scene: Scene) -> None:
    scene.changes = [{"custom_data": {}}]
    scene.passes(15, every=5)
    for _ in range(2):
        search = DeliverySearch(platform="meta", status=("dropped",))
        assert redeliver_matching(scene.runtime, scene.merchant.merchant_id, search).requeued == 3
        scene.passes(15)
    with in_transaction():
        assert rows("SELECT event_name, sum(events)::int FROM refused_names GROUP BY 1") == [("Purchase", 3)]
        assert rows("SELECT sum(unmappable)::int FROM minutes") == [(9,)]


def test_what_goes_unsent_again_when_it_is_redelivered_is_counted_by_its_name_once(scene: Scene) -> None:
    scene.changes = [{"custom_data": {}}, {"consent": {"ad_user_data": "denied"}}]
    scene.passes(40, every=5)
    counted = "SELECT event_name, sum(events)::int FROM unsent_names GROUP BY 1"
    with in_transaction():
        found = rows(counted)
    assert found == [("Purchase", 4)]
    search = DeliverySearch(platform="meta", status=("dropped",), drop_reason=("consent_denied",))
    assert redeliver_matching(scene.runtime, scene.merchant.merchant_id, search).requeued == 4
    scene.passes(15)
    with in_transaction():
        assert rows(counted) == found


def test_where_all_is_refused_the_destination_alone_is_told(beside: Beside) -> None:
    beside.minutes_pass(10)
    beside.refuse_purchases()
    beside.minutes_pass(30, pages=0)
    assert beside.alerts() == [("platform_down", True)]


def test_what_is_accepted_writes_no_counters_of_names_and_names_without_end_make_few_rows(beside: Beside) -> None:
    beside.minutes_pass(3)
    with in_transaction():
        assert rows("SELECT count(*) FROM refused_names") == [(0,)]
    at = beside.clock.now().isoformat()
    for start in range(0, 300, 100):
        drafts = [
            draft(f"odd_{n}", event_name=f"Odd{n}", occurred_at=at, user_data={}, custom_data={})
            for n in range(start, start + 100)
        ]
        ingest_events(beside.runtime, beside.merchant.holder, drafts)
        deliver_due(beside.runtime, beside.worker, beside.merchant.merchant_id, "meta")
    with in_transaction():
        [(names, events)] = rows("SELECT count(DISTINCT event_name), sum(events)::int FROM refused_names")
    assert (names <= 101, events) == (True, 300)


def test_a_name_that_is_refused_completely_is_told_where_half_of_the_people_deny_consent(beside: Beside) -> None:
    beside.minutes_pass(6, pages=2)
    beside.refuse_purchases()
    for _ in range(15):
        beside.minutes_pass(1, pages=2)
        beside.minutes_pass(2, pages=2, **DENIED)
    assert beside.alerts() == [("delivery_rate_drop", True)]
    title, _, details = beside.alert()
    assert title == "Meta refuses every Purchase event"
    assert (details["acknowledged"], details["event_names"]) == (0, ["Purchase"])
    beside.mend()
    beside.minutes_pass(2, pages=2, **DENIED)  # says nothing
    assert beside.alerts() == [("delivery_rate_drop", True)]
    beside.minutes_pass(8, pages=2)
    assert beside.alerts() == [("delivery_rate_drop", False)]


def test_what_is_not_sent_is_counted_by_name_only_of_names_of_which_something_was_refused(beside: Beside) -> None:
    beside.minutes_pass(5, pages=2, **DENIED)
    with in_transaction():
        assert rows("SELECT count(*) FROM unsent_names") == [(0,)]
    beside.refuse_purchases()
    beside.minutes_pass(1, pages=2)
    beside.minutes_pass(4, pages=2, **DENIED)
    with in_transaction():
        assert rows("SELECT event_name, sum(events)::int FROM unsent_names GROUP BY 1") == [("Purchase", 4)]


def test_an_alert_about_a_name_is_over_once_the_settings_leave_the_name_out(beside: Beside) -> None:
    beside.minutes_pass(5, pages=2)
    beside.refuse_purchases()
    beside.minutes_pass(15, pages=2)
    assert beside.alerts() == [("delivery_rate_drop", True)]
    set_destination(beside.runtime, beside.merchant.merchant_id, "meta", META, ["PageView"])
    beside.minutes_pass(4, pages=2)
    assert beside.alerts() == [("delivery_rate_drop", False)]
    assert beside.alert()[0] == "Meta refuses every Purchase event"


@pytest.mark.parametrize("minutes", [13, 26 * 60])
def test_a_pause_neither_ends_an_alert_about_refused_names_nor_makes_it_begin_anew(
    beside: Beside, minutes: int
) -> None:
    beside.minutes_pass(10, pages=2)
    beside.refuse_purchases()
    beside.minutes_pass(15, pages=2)
    since = beside.alert()[2]["since"]
    pause_destination(beside.runtime, beside.merchant.merchant_id, "meta")
    beside.minutes_pass(5, pages=2)
    for _ in range(minutes // 60):  # seldom enough that little is lost meanwhile
        beside.clock.move(timedelta(minutes=59))
        beside.minutes_pass(1, pages=2)
    resume_destination(beside.runtime, beside.merchant.merchant_id, "meta")
    beside.minutes_pass(6, pages=2)
    assert [one for one in beside.alerts() if one[0] == "delivery_rate_drop"] == [("delivery_rate_drop", True)]
    with in_transaction():
        [(details,)] = rows("SELECT details FROM alerts WHERE kind = 'delivery_rate_drop'")
    # What ran out of its 24 hours meanwhile was not refused.
    assert details["since"] == since or (minutes > 24 * 60 and details["since"] > since)


def test_a_pause_does_not_end_an_alert_about_credentials_and_what_it_loses_is_told_besides(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    scene.passes(60, every=5)
    scene.fault("credentials")
    scene.passes(60, every=5)
    since = scene.alert()[2]["since"]
    pause_destination(scene.runtime, merchant_id, "meta")
    scene.passes(300, every=30)
    resume_destination(scene.runtime, merchant_id, "meta")
    scene.passes(120, every=5)
    assert scene.alerts() == [("platform_down", True)]
    assert scene.alert()[2]["since"] == since
    pause_destination(scene.runtime, merchant_id, "meta")
    scene.clock.move(timedelta(hours=21))
    scene.watch.look()
    assert scene.alerts() == [("platform_down", True), ("queue_backlog", True)]


@pytest.mark.parametrize("fault", ["down", "credentials"])
def test_that_a_destination_is_paused_is_over_when_it_is_resumed_whether_or_not_the_platform_answers(
    scene: Scene, fault: str
) -> None:
    merchant_id = scene.merchant.merchant_id
    scene.passes(30, every=5)
    pause_destination(scene.runtime, merchant_id, "meta")
    scene.passes(30, every=5)
    scene.clock.move(timedelta(hours=21))
    scene.watch.look()
    assert scene.alerts() == [("queue_backlog", True)]
    scene.fault(fault)
    resume_destination(scene.runtime, merchant_id, "meta")
    scene.passes(180, every=30)
    assert scene.alerts() == [("queue_backlog", False), ("platform_down", True)]


def test_the_first_loss_that_is_told_is_the_first_that_there_is_whatever_is_due_first(scene: Scene) -> None:
    scene.passes(60, every=5)
    pause_destination(scene.runtime, scene.merchant.merchant_id, "meta")
    for _ in range(18):
        scene.clock.move(timedelta(hours=1))
        scene.sends(2)
    scene.fault("credentials")
    resume_destination(scene.runtime, scene.merchant.merchant_id, "meta")
    scene.passes(30)
    with in_transaction():
        [(first,)] = rows("SELECT min(window_ends_at) FROM deliveries WHERE due_at IS NOT NULL")
        # As after one try more than the others.
        execute("UPDATE deliveries SET due_at = due_at + interval '1 hour' WHERE window_ends_at = %s", (first,))
    scene.clock.move(timedelta(minutes=15))
    scene.watch.look()
    assert datetime.fromisoformat(scene.alert()[2]["first_loss_at"]) == first
    scene.clock.move(first - timedelta(minutes=90) - scene.clock.now())
    scene.watch.look()
    assert "the first is lost in 1 h 30 min" in scene.alert()[1]


def test_a_paused_destination_is_told_of_the_first_that_it_loses_whatever_is_due_first(scene: Scene) -> None:
    scene.fault("error")
    scene.sends(1)
    scene.passes(5)
    pause_destination(scene.runtime, scene.merchant.merchant_id, "meta")
    scene.clock.move(timedelta(seconds=10))
    scene.sends(1)
    with in_transaction():
        execute("UPDATE deliveries SET due_at = due_at + interval '3 hours' WHERE event_id = 'order_0'")
        execute("UPDATE deliveries SET window_ends_at = window_ends_at + interval '3 hours' WHERE event_id = 'order_1'")
    scene.clock.move(timedelta(hours=21))
    scene.watch.look()
    assert ("queue_backlog", True) in scene.alerts()


@pytest.mark.parametrize("fault", ["down", "credentials"])
def test_what_is_told_of_an_outage_goes_on_while_the_destination_is_paused(scene: Scene, fault: str) -> None:
    merchant_id = scene.merchant.merchant_id
    scene.passes(60, every=5)
    scene.fault(fault)
    scene.passes(90, every=5)
    title, _, told = scene.alert()
    pause_destination(scene.runtime, merchant_id, "meta")
    for _ in range(10):
        scene.clock.move(timedelta(hours=1))
        scene.sends(2)
        scene.watch.look()
    assert scene.alerts() == [("platform_down", True)]
    paused_title, message, details = scene.alert()
    with in_transaction():
        [(waiting, first)] = rows("SELECT count(*), min(window_ends_at) FROM deliveries WHERE due_at IS NOT NULL")
    assert (paused_title, details["since"], details["cause"]) == (title, told["since"], told["cause"])
    assert (details["waiting"], datetime.fromisoformat(details["first_loss_at"])) == (waiting, first)
    assert f", and it is paused now: {waiting} deliveries wait" in message
    assert "Whoever paused it must resume it" in message
    assert "You need do nothing" not in message
    assert ("must set a new one on the destination before that" in message) == (fault == "credentials")
    resume_destination(scene.runtime, merchant_id, "meta")
    scene.passes(120)
    _, message, details = scene.alert()
    assert (details["since"], "paused" in message) == (told["since"], False)


def test_a_pause_of_days_does_not_end_an_alert_that_all_is_refused_nor_move_its_beginning(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    scene.passes(60, every=5)
    scene.fault("refuse")
    scene.passes(120, every=5)
    assert scene.alerts() == [("platform_down", True)]
    since = scene.alert()[2]["since"]
    with in_transaction():  # nothing waits
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = 'rejected', due_at = NULL WHERE status <> 'delivered'"
        )
    pause_destination(scene.runtime, merchant_id, "meta")
    for _ in range(6):
        scene.clock.move(timedelta(hours=12))
        scene.watch.look()
    resume_destination(scene.runtime, merchant_id, "meta")
    scene.passes(60)
    assert scene.alerts() == [("platform_down", True)]
    scene.passes(240, every=5)
    assert scene.alerts() == [("platform_down", True)]
    assert scene.alert()[2]["since"] == since
    for _ in range(5):  # and nothing more comes
        scene.clock.move(timedelta(hours=8))
        scene.passes(30)
    assert scene.alerts() == [("platform_down", False)]


def test_refusals_of_what_arrived_in_an_outage_are_told_as_soon_as_it_is_over(beside: Beside) -> None:
    beside.minutes_pass(20, pages=4)
    began = beside.clock.now()
    beside.refuse_purchases()
    beside.fault("down")
    beside.minutes_pass(25, pages=4)
    httpx.delete(f"{beside.sandbox.url}/_faults/2").raise_for_status()
    while beside.alerts() in ([], [("platform_down", True)]):
        beside.minutes_pass(1, pages=4)
    beside.minutes_pass(3, pages=4)
    assert beside.alerts() == [("platform_down", False), ("delivery_rate_drop", True)]
    with in_transaction():
        [(title, details)] = rows("SELECT title, details FROM alerts WHERE kind = 'delivery_rate_drop'")
    assert title == "Meta refuses every Purchase event"
    assert datetime.fromisoformat(details["since"]) <= began + timedelta(minutes=10)
    assert details["failed"] >= 20


def refuse_orders(beside: Beside, first: int, end: int) -> None:
    ids = [f"order_{n}" for n in range(first, end)]
    given = {"platform": "meta", "kind": "refuse", "event_ids": ids}
    httpx.post(f"{beside.sandbox.url}/_faults", json=given).raise_for_status()


def drop_told(count: int) -> dict[str, Any]:
    """Details of the one alert about names; that ``count`` earlier purchases were refused."""
    with in_transaction():
        [(title, message, severity, details)] = rows(
            "SELECT title, message, severity, details FROM alerts WHERE kind = 'delivery_rate_drop'"
        )
    assert title == f"Meta refused {count} earlier Purchase events"
    assert f"Meta has refused {count} of {count} Purchase events that arrived from 2026-11-20 " in message
    assert " and were sent late" in message
    assert severity == "critical"
    found: dict[str, Any] = details
    return found


def test_refusals_of_what_arrived_in_the_middle_of_an_outage_are_told_though_newer_events_are_taken(
    beside: Beside,
) -> None:
    beside.minutes_pass(10, pages=2)
    beside.fault("down")
    beside.minutes_pass(20, pages=2)
    first = beside.purchases
    beside.minutes_pass(25, pages=2)
    end = beside.purchases
    beside.minutes_pass(45, pages=2)
    beside.mend()
    refuse_orders(beside, first, end)
    beside.minutes_pass(15, pages=2)
    assert beside.alerts() == [("platform_down", False), ("delivery_rate_drop", True)]
    details = drop_told(end - first)
    assert details["event_names"] == ["Purchase"]
    assert details["last_error"] is not None
    beside.minutes_pass(60, pages=1)  # their retries are nothing new
    assert beside.alerts() == [("platform_down", False), ("delivery_rate_drop", False)]


def test_refusals_of_stored_events_that_are_delivered_later_are_told(beside: Beside) -> None:
    merchant_id = beside.merchant.merchant_id
    beside.minutes_pass(10, pages=2)
    remove_destination(beside.runtime, merchant_id, "meta")
    first = beside.purchases
    beside.minutes_pass(25, pages=2)
    end = beside.purchases
    beside.clock.move(timedelta(minutes=40))
    set_destination(beside.runtime, merchant_id, "meta", META, None)
    refuse_orders(beside, first, end)
    beside.minutes_pass(3, pages=2)
    deliver_stored(beside.runtime, merchant_id, "meta", EventSearch())
    beside.minutes_pass(6, pages=2)
    assert beside.alerts() == [("delivery_rate_drop", True)]
    drop_told(end - first)


def test_refusals_of_what_was_never_tried_and_is_redelivered_after_a_day_are_told_by_name(beside: Beside) -> None:
    merchant_id = beside.merchant.merchant_id
    beside.minutes_pass(10, pages=2)
    assert pause_destination(beside.runtime, merchant_id, "meta")
    first = beside.purchases
    beside.minutes_pass(80, pages=2)  # of what is a day ago, whole hours are known
    end = beside.purchases
    beside.clock.move(timedelta(hours=25))
    assert sweep(beside.runtime).dropped == 240
    assert resume_destination(beside.runtime, merchant_id, "meta")
    refuse_orders(beside, first, end)
    beside.minutes_pass(3, pages=2)
    search = DeliverySearch(platform="meta", status=("dropped",))
    assert redeliver_matching(beside.runtime, merchant_id, search).requeued == 240
    beside.minutes_pass(6, pages=2)
    assert beside.alerts() == [("delivery_rate_drop", True)]
    title, _, details = beside.alert()
    assert re.fullmatch("Meta refused [0-9]+ earlier Purchase events", title)
    assert details["event_names"] == ["Purchase"]


@pytest.mark.parametrize("change", [{}, WORTHLESS])
def test_an_alert_about_names_keeps_its_cause_once_nothing_of_what_was_refused_is_stored(
    beside: Beside, change: dict[str, Any]
) -> None:
    beside.minutes_pass(10, pages=2)
    if not change:
        beside.refuse_purchases()
    beside.minutes_pass(15, pages=2, **change)
    _, before, told = beside.alert()
    example = told["example_event_id"]
    with in_transaction():
        execute("DELETE FROM deliveries WHERE status IN ('failed', 'dropped')")
    for _ in range(2):
        beside.clock.move(timedelta(seconds=70))
        beside.watch.look()
    assert beside.alerts() == [("delivery_rate_drop", True)]
    _, message, details = beside.alert()
    for key in ("cause", "last_error", "error_code", "drop_reason", "field"):
        assert details[key] == told[key]
    assert details["example_event_id"] is None
    assert (example in before, example in message, "None" in message) == (True, False, False)


def test_a_shop_of_a_dozen_events_a_day_is_told_that_half_of_them_are_refused(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, sandbox: SandboxServer, worker: int
) -> None:
    scene = Scene(runtime, merchant, clock, sandbox, worker)
    refused = {"platform": "meta", "kind": "refuse", "event_ids": [f"order_{n}" for n in range(0, 100, 2)]}
    httpx.post(f"{sandbox.url}/_faults", json=refused).raise_for_status()
    while scene.sent < 90 and not scene.alerts():
        scene.sends(1)
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
        scene.watch.look()
        clock.move(timedelta(hours=2))
    assert scene.alerts() == [("delivery_rate_drop", True)]
    title, message, _ = scene.alert()
    assert title.startswith("Meta accepts ")
    assert " in 4 d" in message or " in 5 d" in message
    assert 50 <= scene.sent <= 66
    scene.mend()
    for _ in range(20):
        scene.sends(1)
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
        scene.watch.look()
        clock.move(timedelta(hours=2))
        scene.watch.look()
    assert scene.alerts() == [("delivery_rate_drop", False)]
    # What was told is over: nothing of it counts towards another alert.
    scene.fault("refuse")
    scene.sends(1)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    scene.watch.look()
    assert scene.alerts() == [("delivery_rate_drop", False)]


def test_of_a_destination_that_was_busy_for_weeks_no_more_is_read_than_tells_how_it_is_now(
    scene: Scene,
) -> None:
    until = scene.clock.now().replace(second=0, microsecond=0)
    since = until - timedelta(days=4)
    scene.history("meta", since, until, acknowledged=25)
    key = scene.merchant.merchant_id, "meta"
    with in_transaction():
        (hours,) = monitors.earlier({key: since}, until).values()
    assert sum(hour.acknowledged for hour in hours) == 25 * 5000
    assert (hours[0].start, hours[-1].end) == (until - timedelta(minutes=5000), until)
