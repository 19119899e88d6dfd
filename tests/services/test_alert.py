"""The life of an alert in the database, with any number of schedulers."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import Api, Merchant, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.alert_changes import Place, changes_after
from tracklayer.db.alerts import open_lately
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.runtime import Runtime
from tracklayer.services.alert import acknowledge_alert, settle_findings
from tracklayer.services.privacy import purge_alert_history

DOWN = Subject(AlertKind.PLATFORM_DOWN, "meta")
STOPPED = Subject(AlertKind.TRACKING_STOPPED)


def down(now: datetime, severity: Severity = Severity.CRITICAL, message: str = "It does not answer.") -> Finding:
    return Finding(DOWN.kind, DOWN.platform, severity, "Meta is down", message, now, {"failures": 20})


def select(sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql, params)


def states(merchant: Merchant) -> list[tuple[int, str]]:
    """(alert, state) of every change, in order."""
    with in_transaction():
        found = changes_after({merchant.merchant_id: Place(0)}, 100)
    return [(change.alert.alert_id, change.state) for change in found[merchant.merchant_id]]


class Monitor:
    """Looks at one merchant's Meta and its events."""

    def __init__(self, runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
        self._runtime, self._merchant, self._clock = runtime, merchant, clock

    def looks(self, *findings: Finding, after: float = 0) -> list[int]:
        now = self._clock.move(timedelta(seconds=after))
        return settle_findings(self._runtime, self._merchant.merchant_id, findings, [DOWN, STOPPED], now)

    def finds(self, after: float = 0, **changes: Any) -> list[int]:
        now = self._clock.move(timedelta(seconds=after))
        return self.looks(down(now, **changes))


@pytest.fixture
def monitor(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Monitor:
    return Monitor(runtime, merchant, clock)


def test_an_alert_opens_moves_on_and_resolves_by_itself(
    monitor: Monitor, merchant: Merchant, clock: FrozenClock
) -> None:
    opened = clock.now()
    assert monitor.finds() == [1]
    with in_transaction():
        assert open_lately([merchant.merchant_id], clock.now(), clock.now())[merchant.merchant_id, DOWN][1] is None
    assert monitor.finds(after=15, severity=Severity.WARNING, message="It answers half of the time.") == []
    seen = clock.now()
    found = select("SELECT severity, message, details, opened_at, last_seen_at, resolved_at FROM alerts")
    details = {"since": seen.isoformat(), "failures": 20}
    assert found == [("warning", "It answers half of the time.", details, opened, seen, None)]
    assert monitor.looks(after=15) == []  # quiet, and not believed yet
    assert monitor.looks(after=9) == []
    assert monitor.looks(after=1) == [1]
    resolved = clock.now()
    assert select("SELECT last_seen_at, resolved_at FROM alerts") == [(seen, resolved)]
    assert states(merchant) == [(1, "open"), (1, "resolved")]
    with in_transaction():
        assert (
            open_lately([merchant.merchant_id], clock.now() - timedelta(days=1), clock.now())[
                merchant.merchant_id, DOWN
            ][1]
            is not None
        )
    assert monitor.looks(after=15) == []


def test_an_opening_and_a_resolving_are_a_line_of_the_log_each(
    monitor: Monitor, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monitor.finds()
    monitor.finds(after=15, message="It answers half of the time.")
    monitor.looks(after=15)
    monitor.looks(after=10)
    said = [record for record in caplog.records if "kind" in record.__dict__]
    assert [record.__dict__["kind"] for record in said] == ["alert_opened", "alert_resolved"]
    about = f"merchant {merchant.merchant_id}, meta: alert 1"
    assert [record.getMessage() for record in said] == [
        f"{about} opened, platform_down",
        f"{about} resolved, platform_down",
    ]
    assert "answer" not in caplog.text  # nor anything else of what it found


def test_a_finding_in_between_starts_the_quiet_anew(monitor: Monitor, merchant: Merchant) -> None:
    monitor.finds()
    monitor.looks(after=15)
    monitor.finds(after=5)
    monitor.looks(after=15)
    assert monitor.looks(after=9) == []
    assert monitor.looks(after=1) == [1]
    assert states(merchant) == [(1, "open"), (1, "resolved")]


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(days=1)])
def test_alerts_of_a_clock_that_was_set_back_keep_nothing_from_being_told_or_ended(
    monitor: Monitor, merchant: Merchant, clock: FrozenClock, by: timedelta
) -> None:
    monitor.finds()
    monitor.looks(after=15)
    assert monitor.looks(after=10) == [1]
    clock.move(-by)
    assert monitor.finds() == [2]  # whatever was over an hour from now
    seen = clock.now()
    with in_transaction():
        lately = open_lately([merchant.merchant_id], seen - timedelta(days=1), seen)
    assert lately == {(merchant.merchant_id, DOWN): (seen, None)}
    monitor.looks(after=15)
    assert monitor.looks(after=10) == [2]
    assert monitor.finds(after=15) == [2]  # the same trouble once more, and not the one that was an hour ahead

    clock.move(by)
    monitor.finds()
    clock.move(-by)
    assert monitor.finds(message="It answers half of the time.") == []
    seen = clock.now()
    assert select("SELECT message, last_seen_at FROM alerts WHERE alert_id = 2") == [
        ("It answers half of the time.", seen)
    ]
    clock.move(by)
    monitor.looks()
    clock.move(-by)
    assert monitor.looks(after=15) == []  # quiet from now on
    assert monitor.looks(after=10) == [2]
    assert select("SELECT quiet_since, resolved_at FROM alerts WHERE alert_id = 2") == [
        (clock.now() - timedelta(seconds=10), clock.now())
    ]


def test_what_was_not_judged_stays_as_it_is(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    settle_findings(runtime, merchant.merchant_id, [down(clock.now())], [DOWN], clock.now())
    for _ in range(5):
        now = clock.move(timedelta(minutes=5))
        assert settle_findings(runtime, merchant.merchant_id, [], [STOPPED], now) == []
    assert select("SELECT quiet_since, resolved_at FROM alerts") == [(None, None)]


@pytest.mark.parametrize(("away", "ids"), [(599, [1]), (600, [2])])
def test_what_comes_back_within_ten_minutes_is_the_same_alert(
    monitor: Monitor, merchant: Merchant, runtime: Runtime, clock: FrozenClock, away: float, ids: list[int]
) -> None:
    opened = clock.now()
    monitor.finds()
    acknowledged = acknowledge_alert(runtime, merchant.merchant_id, 1)
    assert acknowledged is not None
    monitor.looks(after=10)
    assert monitor.looks(after=10) == [1]
    assert monitor.finds(after=away) == ids
    first = select(
        "SELECT opened_at, last_seen_at, resolved_at IS NULL, acknowledged_at FROM alerts WHERE alert_id = 1"
    )
    if ids == [1]:
        assert first == [(opened, clock.now(), True, acknowledged.acknowledged_at)]
    else:
        assert first == [(opened, opened, False, acknowledged.acknowledged_at)]
    assert states(merchant) == [(1, "open"), (1, "resolved"), (ids[0], "open")]


def test_a_look_that_changes_nothing_writes_nothing(monitor: Monitor) -> None:
    monitor.finds()
    before = select("SELECT xmin, ctid, last_seen_at FROM alerts")
    monitor.finds(after=9, message="Other figures.")
    assert select("SELECT xmin, ctid, last_seen_at FROM alerts") == before


def test_many_schedulers_at_once_open_one_alert_and_resolve_it_once(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    start = threading.Barrier(8)

    def settle(findings: list[Finding]) -> list[int]:
        start.wait()
        return settle_findings(runtime, merchant.merchant_id, findings, [DOWN, STOPPED], clock.now())

    def everybody(findings: list[Finding]) -> list[int]:
        with ThreadPoolExecutor(8) as threads:
            changed = threads.map(settle, [findings] * 8)
        return [alert_id for ids in changed for alert_id in ids]

    stopped = Finding(STOPPED.kind, None, Severity.WARNING, "No events", "None for an hour.", clock.now())
    assert sorted(everybody([down(clock.now()), stopped])) == [1, 2]
    clock.move(timedelta(seconds=10))
    assert everybody([]) == []
    clock.move(timedelta(seconds=60))
    assert sorted(everybody([])) == [1, 2]
    assert sorted(states(merchant)) == [(1, "open"), (1, "resolved"), (2, "open"), (2, "resolved")]


def test_a_verdict_that_comes_late_undoes_no_later_one(
    runtime: Runtime, merchant: Merchant, monitor: Monitor, clock: FrozenClock
) -> None:
    early = clock.now()
    monitor.finds(after=5)
    assert settle_findings(runtime, merchant.merchant_id, [], [DOWN], early) == []
    monitor.looks(after=10)
    quiet_since = clock.now()
    late = quiet_since - timedelta(seconds=1)
    assert settle_findings(runtime, merchant.merchant_id, [down(late)], [DOWN], late) == []
    assert select("SELECT quiet_since FROM alerts") == [(quiet_since,)]


def test_merchants_do_not_touch_each_other(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    for one in (merchant, other):
        settle_findings(runtime, one.merchant_id, [down(clock.now())], [DOWN], clock.now())
    for seconds in (10, 10):
        settle_findings(runtime, other.merchant_id, [], [DOWN], clock.move(timedelta(seconds=seconds)))
    assert [state for _, state in states(merchant)] == ["open"]
    assert [state for _, state in states(other)] == ["open", "resolved"]
    assert acknowledge_alert(runtime, other.merchant_id, 1) is None


def test_changes_are_numbered_in_the_order_in_which_they_can_be_seen(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Whoever reads while others write never finds a lower number after a higher one."""
    platforms = [f"platform_{n}" for n in range(40)]
    done = threading.Event()

    def settle(platform: str) -> None:
        found = replace(down(clock.now()), platform=platform)
        settle_findings(runtime, merchant.merchant_id, [found], [], clock.now())

    def follow() -> list[int]:
        seen: list[int] = []
        while True:
            last_round = done.is_set()
            with in_transaction():
                place = Place(seen[-1] if seen else 0)
                found = changes_after({merchant.merchant_id: place}, 100)[merchant.merchant_id]
            seen += [change.change_id for change in found]
            if last_round:
                return seen

    with ThreadPoolExecutor(9) as threads:
        reader = threads.submit(follow)
        list(threads.map(settle, platforms))
        done.set()
        assert reader.result() == [row[0] for row in select("SELECT change_id FROM alert_changes ORDER BY 1")]
    assert len(reader.result()) == 40


def test_changes_and_mails_go_after_thirty_days_and_alerts_stay(
    monitor: Monitor, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    monitor.finds()
    assert monitor.looks(after=10) == []
    assert monitor.looks(after=30 * 86400 - 10) == [1]
    assert purge_alert_history(runtime) == 0
    clock.move(timedelta(seconds=1))
    assert purge_alert_history(runtime) == 1
    assert states(merchant) == [(1, "resolved")]
    assert select("SELECT count(*) FROM alerts") == [(1,)]


ACKNOWLEDGE = """mutation($id: ID!) { acknowledgeAlert(id: $id) {
  alert { state acknowledgedAt lastSeenAt message details } userErrors { field code } } }"""
ALERTS = "{ alerts { edges { node { id state acknowledgedAt resolvedAt change } } } }"


async def test_acknowledging_keeps_the_first_time_and_leaves_the_alert_open(
    api: Api, monitor: Monitor, clock: FrozenClock
) -> None:
    monitor.finds()
    (edge,) = (await api(ALERTS))["alerts"]["edges"]
    clock.move(timedelta(seconds=3))
    first = (await api(ACKNOWLEDGE, id=edge["node"]["id"]))["acknowledgeAlert"]
    assert first == {
        "alert": {
            "state": "OPEN",
            "acknowledgedAt": "2026-11-20T15:00:03.000Z",
            "lastSeenAt": "2026-11-20T15:00:00.000Z",
            "message": "It does not answer.",
            "details": {"since": "2026-11-20T15:00:00+00:00", "failures": 20},
        },
        "userErrors": [],
    }
    clock.move(timedelta(seconds=3))
    assert (await api(ACKNOWLEDGE, id=edge["node"]["id"]))["acknowledgeAlert"] == first


async def test_nobody_acknowledges_what_is_not_theirs(api: Api, runtime: Runtime, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    settle_findings(runtime, other.merchant_id, [down(clock.now())], [], clock.now())
    (edge,) = (await api.post(ALERTS, key=other.key)).json()["data"]["alerts"]["edges"]
    for wrong in (edge["node"]["id"], "nonsense", "WyJBbGVydCIsMSw5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"):
        answer = (await api(ACKNOWLEDGE, id=wrong))["acknowledgeAlert"]
        assert answer == {"alert": None, "userErrors": [{"field": ["id"], "code": "NOT_FOUND"}]}
    assert select("SELECT acknowledged_at FROM alerts") == [(None,)]
