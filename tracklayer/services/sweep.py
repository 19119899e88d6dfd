"""The one rescue of what waits: takes back what the lost had in hand, drops what ran out of time or has no destination any more,
and names the destinations that have work. Under which locks: ``services/deliver.py``.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer import metrics
from tracklayer.db import destinations as db_destinations
from tracklayer.db import leases as db_leases
from tracklayer.db import personal_data
from tracklayer.db import queues as db_queues
from tracklayer.db import schedule as db_schedule
from tracklayer.db import settling as db_settling
from tracklayer.db.connection import in_transaction
from tracklayer.db.counters import Changes
from tracklayer.db.leases import LEASE
from tracklayer.domain.delivery import DeliveryStatus
from tracklayer.domain.retry import judge_lost_claim
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone, is_everybodys, tell_fault
from tracklayer.services.lead_back import lead_back
from tracklayer.services.outage import see_to_platforms, to_wake
from tracklayer.services.platform_requests import retry_policy
from tracklayer.turns import LOOK_BACK_SECONDS

log = logging.getLogger(__name__)

SWEEP_LEASES = 20  # taken back by one sweep
SWEEP_ROWS = 2000  # that ran out of time, looked at by one sweep
DROP_ROWS = 1000  # dropped from one queue by one sweep
SWEEP_QUEUES = 200  # that one sweep drops from
SWEEP_SECONDS = 10  # that it drops for at most: what is left is taken up by the next one
DUE_DESTINATIONS = 3000  # with something waiting, looked at by one sweep: 100,000 have their turn within a minute
REMOVED = 300  # destinations that were removed, looked at by one sweep
EXPIRED_ROUND, REMOVED_ROUND, DUE_ROUND = "expired", "removed", "waiting"
DEAR_LOOK = "a dear look"
DEAR = 10_000  # entries that a look passes over to no end: some ten milliseconds, and more each second
OVERLAP = timedelta(seconds=1)  # of what falls due: it is committed a little later


@dataclass(frozen=True)
class Swept:
    """What one sweep did, and whom to wake."""

    taken_back: int
    dropped: int
    wake: list[tuple[int, str]]


def sweep(runtime: Runtime) -> Swept:
    """The one rescue: takes back lost claims, drops what ran out of time, names destinations that have work.

    Each part is bounded and in transactions of its own, so any number of sweeps may run at once. None waits for
    another to succeed, and no queue for another's.
    """
    if not runtime.clock.is_sure:
        return Swept(0, 0, [])
    now = runtime.clock.now()
    ends = time.monotonic() + SWEEP_SECONDS
    taken_back = dropped = 0
    wake: list[tuple[int, str]] = []
    with alone(runtime, "looking for lost claims"):
        taken_back = _rescue(runtime, now)
    expired: list[tuple[int, str]] = []
    removed: list[tuple[int, str]] = []
    with alone(runtime, "looking for what ran out of time"):
        expired, removed = _queues_to_drop_from(now)
    random.shuffle(removed)
    for queues, drop in ((expired, db_queues.drop_expired), (removed, db_queues.drop_removed)):
        for merchant_id, platform in queues[:SWEEP_QUEUES]:
            if time.monotonic() > ends:
                break
            with alone(runtime, f"dropping from the queue of merchant {merchant_id}, {platform},"), in_transaction():
                changes = Changes()
                gone = drop(merchant_id, platform, now, DROP_ROWS, changes)
                changes.write()
                dropped += gone
    runtime.tally.add_many("deliveries", DeliveryStatus.DROPPED.value, dropped)
    with alone(runtime, "looking for what a clock that was set back left ahead"):
        lead_back(runtime, now)
    with alone(runtime, "looking for what is due"):
        wake = _with_work(now)
    with alone(runtime, "looking at platforms that are down"):
        wake = see_to_platforms(runtime, wake, now)
    metrics.SWEPT.labels("taken_back").inc(taken_back)
    metrics.SWEPT.labels("dropped").inc(dropped)
    return Swept(taken_back, dropped, wake)


def _queues_to_drop_from(now: datetime) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The next page of what ran out of time, by when it did, from behind the last one: and round again.

    So rows that cannot be dropped, since they are in somebody's hands or since dropping them fails, hide no others.
    """
    with in_transaction():
        place = db_schedule.place_of(EXPIRED_ROUND)
        after = datetime.fromisoformat(place) if place else None
        expired, following = db_queues.expired_queues(now, after, SWEEP_ROWS)
        if not expired and after is not None:
            expired, following = db_queues.expired_queues(now, None, SWEEP_ROWS)
        if following != after:
            db_schedule.set_place(EXPIRED_ROUND, following.isoformat() if following else None)
        behind = _key_at(REMOVED_ROUND)
        removed, last = db_queues.removed_queues(behind, REMOVED)
        _go_on_behind(REMOVED_ROUND, behind, last)
        return expired, removed


def _with_work(now: datetime) -> list[tuple[int, str]]:
    """Destinations with work; where those with anything waiting are more than one sweep looks at, the next one goes on behind.

    So each is woken once a round, whoever is due besides, and none twice before the others. Where a look had to pass over
    much that is done, those of the next seconds look at what has fallen due since: as claims do (``Turns.reached``).
    """
    with in_transaction():
        behind = _key_at(DUE_ROUND)
        looked = db_schedule.place_of(DEAR_LOOK)
        looked_at = datetime.fromisoformat(looked) if looked else None
        is_lately = looked_at is not None and timedelta() <= now - looked_at < timedelta(seconds=LOOK_BACK_SECONDS)
        since = looked_at - OVERLAP if looked_at is not None and is_lately else None
        before = db_destinations.entries_of_queues_read()
        found = db_destinations.waiting_destinations(now, DUE_DESTINATIONS, behind, since)
        if since is None and db_destinations.entries_of_queues_read() - before > DEAR + len(found):
            db_schedule.set_place(DEAR_LOOK, now.isoformat())
        _go_on_behind(DUE_ROUND, behind, found[-1][0] if len(found) == DUE_DESTINATIONS else None)
        return [key for key, is_due in found if is_due]


def _key_at(round_: str) -> tuple[int, str]:
    merchant_id, _, platform = (db_schedule.place_of(round_) or "0 ").partition(" ")
    return int(merchant_id), platform


def _go_on_behind(round_: str, before: tuple[int, str], key: tuple[int, str] | None) -> None:
    if (key or db_destinations.BEGINNING) != before:
        db_schedule.set_place(round_, f"{key[0]} {key[1]}" if key else None)


def some_with_work(runtime: Runtime, limit: int) -> list[tuple[int, str]]:
    """Destinations that have work, from anywhere on: several who ask at once find different ones."""
    with in_transaction():
        after = random.randint(0, db_destinations.last_merchant_waiting()), ""
        found = db_destinations.waiting_destinations(runtime.clock.now(), DUE_DESTINATIONS, after)
    return to_wake(runtime, [key for key, is_due in found if is_due][:limit])


def _rescue(runtime: Runtime, now: datetime) -> int:
    """Takes back what is lost; where that fails, claim by claim, and those that it fails for stay."""
    try:
        return _take_back(runtime, now)
    except Exception as error:
        if is_everybodys(error):
            raise
        tell_fault(runtime, "taking back lost claims", error)
    taken_back = broken = 0
    for _ in range(SWEEP_LEASES):
        failed = True
        with alone(runtime, "taking back a lost claim"):
            taken_back += _take_back(runtime, now, slice(broken, broken + 1))
            failed = False
        broken += failed
    return taken_back


def _take_back(runtime: Runtime, now: datetime, which: slice = slice(None)) -> int:
    """Ends the leases of workers that are gone; how many deliveries were in them on their way to a platform."""
    with in_transaction():
        db_leases.wait_briefly()
        lost = db_leases.lost_leases(now, SWEEP_LEASES)[which]
        changes = Changes()
        for found in lost:
            settlements = [
                judge_lost_claim(claim, claimed_at=found.sent_at or now, now=now, policy=retry_policy(runtime))
                for claim in found.in_flight
            ]
            db_settling.settle_deliveries(found.lease, settlements, now, changes)
            personal_data.drop_given_back(found.lease, db_leases.end_lease(found.lease) or (), now, changes)
        changes.write()
    for found in lost:  # apart from the leases: whoever settles takes the destination's row first
        with in_transaction():
            db_destinations.end_turn(found.lease.merchant_id, found.lease.platform, found.claimed_at + LEASE)
    in_flight = sum(len(found.in_flight) for found in lost)
    if lost:
        log.warning(
            "took back %d batches of workers that are gone, %d of their deliveries without an answer",
            len(lost),
            in_flight,
            extra={"kind": "taken_back", "batches": len(lost), "deliveries": in_flight},
        )
    return in_flight
