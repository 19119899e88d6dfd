"""The ledger equals a recount from the rows at every moment, whatever was done in whatever order."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import META, Api, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.db.leases import claim_due
from tracklayer.db.ledger import ledger, ledger_as_one
from tracklayer.domain.ledger import Cohort, bucket_of, summed, with_totals
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import (
    example_settings,
    pause_destination,
    remove_destination,
    resume_destination,
    set_destination,
)
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import Accepted, Coalesced, ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.pacing import Redelivered
from tracklayer.services.privacy import purge_expired
from tracklayer.services.redeliver import redeliver_matching
from tracklayer.services.stored import deliver_stored
from tracklayer.services.sweep import sweep

STEPS = 120
PLATFORMS = ("meta", "tiktok")
LEDGER = """
query($since: DateTime!, $until: DateTime!, $bucket: LedgerBucket) {
  ledger(since: $since, until: $until, bucket: $bucket) { balanced rows {
    bucketStart platform eventsAccepted eventsCoalesced eventsRejected routed filtered delivered dropped leftAlone waiting held
    dropReasons latencyP50Ms latencyP95Ms } } }"""


def select(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql, params)


class Walk:
    """A merchant, what its callers were told, and what can be done next."""

    def __init__(self, runtime: Runtime, clock: FrozenClock, sandbox: SandboxServer, worker: int, seed: int) -> None:
        self.runtime, self.clock, self.sandbox, self.worker = runtime, clock, sandbox, worker
        self.random = random.Random(seed)
        self.merchant = new_merchant(runtime)
        self.stranger = new_merchant(runtime, name="Stranger")
        self.accepted = self.coalesced = self.rejected = self.purged = 0
        self.offered: dict[str, int] = dict.fromkeys(PLATFORMS, 0)
        self.routed: dict[str, int] = dict.fromkeys(PLATFORMS, 0)
        self.names: dict[str, list[str] | None] = {"meta": None}
        self.next_id = 0

    def ingest(self) -> None:
        drafts = []
        for _ in range(self.random.randint(1, 6)):
            event_id = f"order_{self.random.randint(0, self.next_id)}"
            self.next_id += self.random.randint(0, 2)
            name = self.random.choice(("Purchase", "Purchase", "Lead", "Chatted with us"))
            changes: dict[str, Any] = self.random.choice(({}, {}, {}, {"occurred_at": "yesterday"}, {"user_data": {}}))
            drafts.append(
                draft(event_id, **{"event_name": name, "occurred_at": self.clock.now().isoformat(), **changes})
            )
        result = ingest_events(self.runtime, self.merchant.holder, drafts)
        for outcome, given in zip(result.outcomes, drafts, strict=True):
            if isinstance(outcome, Accepted):
                self.accepted += 1
                for platform, names in self.names.items():
                    self.offered[platform] += 1
                    self.routed[platform] += names is None or given["event_name"] in names
            elif isinstance(outcome, Coalesced):
                self.coalesced += 1
            else:
                self.rejected += 1

    def deliver(self) -> None:
        for platform in PLATFORMS:
            deliver_due(self.runtime, self.worker, self.merchant.merchant_id, platform)

    def sweep(self) -> None:
        sweep(self.runtime)

    def move(self) -> None:
        seconds = self.random.choice((1, 40, 700, 10_000, 40_000))
        self.clock.move(timedelta(seconds=seconds))

    def fault(self) -> None:
        kind = self.random.choice(("down", "error", "rate_limit", "credentials", "drop_after_accept", "refuse"))
        given: dict[str, Any] = {"platform": self.random.choice(PLATFORMS), "kind": kind, "count": 2}
        if kind == "refuse":
            given = {"platform": "meta", "kind": kind, "event_ids": [f"order_{n}" for n in range(0, 200, 3)]}
        httpx.post(f"{self.sandbox.url}/_faults", json=given).raise_for_status()

    def mend(self) -> None:
        httpx.delete(f"{self.sandbox.url}/_faults").raise_for_status()
        for platform in PLATFORMS:
            resume_destination(self.runtime, self.merchant.merchant_id, platform)

    def pause(self) -> None:
        pause_destination(self.runtime, self.merchant.merchant_id, self.random.choice(PLATFORMS))

    def set(self) -> None:
        platform = self.random.choice(PLATFORMS)
        names = self.random.choice((None, None, ["Purchase"], ["Lead", "Search"]))
        settings = META if platform == "meta" else example_settings(mapper_for(platform))
        set_destination(self.runtime, self.merchant.merchant_id, platform, settings, names)
        self.names[platform] = names

    def remove(self) -> None:
        platform = self.random.choice(PLATFORMS)
        remove_destination(self.runtime, self.merchant.merchant_id, platform)
        self.names.pop(platform, None)

    def redeliver(self) -> None:
        redeliver_matching(self.runtime, self.merchant.merchant_id, DeliverySearch())

    def deliver_stored(self) -> None:
        """What was filtered counts as routed now, and what came before the destination as offered and routed."""
        platform = self.random.choice(PLATFORMS)
        names = self.random.choice((None, "Lead"))
        before = self.counted(platform)
        search = EventSearch(event_name=names, received_since=self.clock.now() - timedelta(days=400))
        found = deliver_stored(self.runtime, self.merchant.merchant_id, platform, search)
        if not isinstance(found, Redelivered):
            assert platform not in self.names
            return
        assert found.job is None
        accepted, filtered = (now - then for now, then in zip(self.counted(platform), before, strict=True))
        assert accepted - filtered == found.requeued
        assert (accepted >= 0, filtered <= 0) == (True, True)
        self.offered[platform] += accepted
        self.routed[platform] += found.requeued

    def counted(self, platform: str) -> tuple[int, int]:
        sql = "SELECT coalesce(sum(accepted), 0), coalesce(sum(filtered), 0) FROM counted WHERE merchant_id = %s AND platform = %s"
        ((accepted, filtered),) = select(sql, self.merchant.merchant_id, platform)
        assert filtered >= 0
        return accepted, filtered

    def lose_a_worker(self) -> None:
        with in_transaction():
            claim_due(self.merchant.merchant_id, "meta", 5, self.clock.now(), 999_999)

    def purge(self) -> None:
        self.clock.move(timedelta(days=self.random.choice((1, 30, 91))))
        self.purged += purge_expired(self.runtime)

    def fold(self) -> None:
        fold_counters(self.runtime)

    def step(self) -> str:
        likely = (self.ingest, self.deliver, self.sweep, self.move)
        seldom = (self.fault, self.mend, self.pause, self.set, self.remove, self.redeliver, self.lose_a_worker)
        action = self.random.choice(
            (*likely * 3, *seldom, self.redeliver, self.deliver_stored, self.mend, self.purge, self.fold)
        )
        action()
        return action.__name__

    def check(self) -> None:
        begin, end = self.clock.now() - timedelta(days=36_500), self.clock.now() + timedelta(days=1)
        with in_transaction():
            found = with_totals(ledger(self.merchant.merchant_id, begin, end, "hour"))
            strangers = ledger(self.stranger.merchant_id, begin, end, "hour")
        assert strangers == []
        self.check_as_one()
        assert [row for row in found if not row.is_balanced] == []
        whole = [row for row in found if row.platform is None]
        assert sum(row.accepted for row in whole) == self.accepted
        assert sum(row.coalesced for row in whole) == self.coalesced
        assert sum(row.rejected for row in whole) == self.rejected
        self.check_events(whole)
        assert [v for v in check_invariants(self.clock.now()) if v.kind not in ("overdue", "lost_lease")] == []
        for platform in PLATFORMS:
            self.check_platform(platform, [row for row in found if row.platform == platform])

    def check_as_one(self) -> None:
        """Of a time that begins and ends within hours, long or short, old or new: what its minutes come to."""
        merchant_id = self.merchant.merchant_id
        back, length = self.random.choice(
            ((30, 45), (187, 240), (self.random.randint(0, 200_000), 10_000), (36_000_000, 36_000_000))
        )
        since = bucket_of(self.clock.now() - timedelta(minutes=back), "minute")
        until = since + timedelta(minutes=length)
        with in_transaction():
            minutes = summed(ledger(merchant_id, since, until, "minute"), since)
            found = ledger_as_one(merchant_id, since, until)
        assert {row.platform: row for row in found} == {row.platform: row for row in minutes}

    def check_events(self, whole: list[Cohort]) -> None:
        stored = select("SELECT count(*) FROM events WHERE merchant_id = %s", self.merchant.merchant_id)[0][0]
        assert stored + self.purged == self.accepted

    def check_platform(self, platform: str, found: list[Cohort]) -> None:
        """By the hour: minutes older than five weeks are folded into hours. Minutes are recounted by the invariants."""
        assert sum(row.accepted for row in found) == self.offered[platform]
        assert sum(row.routed for row in found) == self.routed[platform]
        there = select(
            "SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), status, coalesce(drop_reason, ''), "
            "queued_at <= received_at "
            "FROM deliveries WHERE merchant_id = %s AND platform = %s",
            self.merchant.merchant_id,
            platform,
        )
        state = select(
            "SELECT state FROM destinations WHERE merchant_id = %s AND platform = %s AND removed_at IS NULL",
            self.merchant.merchant_id,
            platform,
        )
        is_held = bool(state) and state[0][0] in ("paused", "held")
        gone = dict(
            select(
                "SELECT to_char(minute AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), sum(purged) FROM counted "
                "WHERE merchant_id = %s AND platform = %s GROUP BY 1",
                self.merchant.merchant_id,
                platform,
            )
        )
        for row in found:
            hour = row.bucket_start.strftime("%Y-%m-%d %H")
            mine = [(status, reason, in_time) for at, status, reason, in_time in there if at == hour]
            waiting = sum(status in ("queued", "failed") for status, _, _ in mine)
            assert (row.waiting, row.held) == ((0, waiting) if is_held else (waiting, 0))
            assert row.routed == len(mine) + gone[hour]
            if gone[hour] == 0:
                assert row.delivered == sum(status == "delivered" for status, _, _ in mine)
                assert row.dropped == sum(status == "dropped" for status, _, _ in mine)
                reasons = [reason for _, reason, _ in mine if reason]
                assert row.drop_reasons == {reason: reasons.count(reason) for reason in reasons}
                assert sum(row.latency) == sum(status == "delivered" and in_time for status, _, in_time in mine)
        queued = select(
            "SELECT coalesce(sum(waiting), 0) FROM queues WHERE merchant_id = %s AND platform = %s",
            self.merchant.merchant_id,
            platform,
        )[0][0]
        assert queued == sum(status in ("queued", "failed") for _, status, _, _ in there)
        hours = {row.bucket_start.strftime("%Y-%m-%d %H") for row in found}
        assert {at for at, _, _, _ in there} <= hours


@pytest.mark.seeds(1, 2, 3)
def test_the_ledger_equals_a_recount_after_every_step(
    runtime: Runtime, clock: FrozenClock, sandbox: SandboxServer, worker: int, seed: int
) -> None:
    walk = Walk(runtime, clock, sandbox, worker, seed)
    done = []
    for _ in range(STEPS):
        done.append(walk.step())
        try:
            walk.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, after {done}") from error


async def test_the_ledger_over_the_api(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), ["Lead"])
    await api.ingest(draft())
    await api.ingest(draft())
    await api.ingest(draft("order_2", user_data={}))
    await api.ingest(draft("order_3", occurred_at="never"))
    await api.ingest(draft("order_4"))
    clock.move(timedelta(milliseconds=620))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    await api.ingest(draft("order_5"))
    pause_destination(runtime, merchant.merchant_id, "meta")
    asked = {"since": "2026-11-20T16:30:00+01:00", "until": "2026-11-20T15:31:00Z"}
    found = (await api(LEDGER, **asked))["ledger"]
    assert found["balanced"] is True
    whole, meta, tiktok = found["rows"]
    assert whole == {
        "bucketStart": "2026-11-20T15:00:00.000Z",
        "platform": None,
        "eventsAccepted": 4,
        "eventsCoalesced": 1,
        "eventsRejected": 1,
        "routed": 4,
        "filtered": 4,
        "delivered": 2,
        "dropped": 1,
        "leftAlone": 0,
        "waiting": 0,
        "held": 1,
        "dropReasons": {"missing_identifiers": 1},
        "latencyP50Ms": 625,
        "latencyP95Ms": 738,
    }
    events = {"eventsCoalesced": 0, "eventsRejected": 0}
    assert meta == {**whole, **events, "platform": "META", "filtered": 0}
    nothing = {"routed": 0, "delivered": 0, "dropped": 0, "held": 0, "dropReasons": {}}
    latency = {"latencyP50Ms": None, "latencyP95Ms": None}
    assert tiktok == {**whole, **events, **nothing, **latency, "platform": "TIKTOK"}


@pytest.mark.parametrize(
    ("until", "bucket", "words"),
    [
        ("2026-11-20T00:00:00Z", "HOUR", "since must be before until."),
        (
            "2026-11-21T00:00:01Z",
            "MINUTE",
            "since and until may lie at most 1 day apart where a bucket is one minute.",
        ),
        ("nonsense", "DAY", None),
    ],
)
async def test_a_range_that_is_none_is_refused(api: Api, until: str, bucket: str, words: str | None) -> None:
    variables = {"since": "2026-11-20T00:00:00Z", "until": until, "bucket": bucket}
    (error,) = (await api.post(LEDGER, variables)).json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert words is None or error["message"] == words
