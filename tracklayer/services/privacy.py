"""What must go, goes: events past their merchant's retention, and what of browsers was not seen for as long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer.db import alert_changes, alert_mails, channels, redeliveries
from tracklayer.db import destinations as db_destinations
from tracklayer.db import events as db
from tracklayer.db import identities as db_identities
from tracklayer.db import merchants as db_merchants
from tracklayer.db import schedule as db_schedule
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.db.ledger import events_accepted
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone, pages_of_merchants, stop_at

BATCH = 500  # events of one transaction: short enough that nobody waits for its locks
SMALLEST_BATCH = 20
SLOW_BATCH = timedelta(milliseconds=100)  # a batch that took longer is followed by a smaller one
RUN = timedelta(seconds=20)  # what is left is taken up by the next run
MERCHANTS = 1000  # of one page: 4000 look-ups
TURN = 2000  # events of one merchant, until the others have had their turn
ROUND = "purge"
REFUSED = "refused"  # the name of the place up to which late refusals were looked at
REDELIVERIES = timedelta(days=30)  # how long one that is finished can be looked up
ALERT_HISTORY = timedelta(days=30)  # how long openings, resolvings and their e-mails are kept; alerts themselves stay
HISTORY_BATCH = 5000
REFUSED_LATELY = timedelta(minutes=10)  # some rounds: longer than any link is on its way


def purge_expired(runtime: Runtime, budget: timedelta = RUN) -> int:
    """Deletes events, with their deliveries, past their merchant's retention as it is set now; how many. And browsers, what they
    showed and whom they were seen with, where that was last so long ago.

    In turns: each merchant has a bounded number of rows deleted, then those with more of them again. What is left when
    the time is over is taken up by the next run, which begins with the merchant behind the last one. Those of whom nothing
    is that old cost a look-up, a page of them at a time.

    Works in small transactions and rests as long as it worked, so that ingest and delivery keep their pace. Killed at
    any point, the next run goes on where it stopped. Any number may run at once: no row is waited for.
    """
    now = runtime.clock.now()
    deadline = time.monotonic() + budget.total_seconds()
    purged = 0
    left: list[tuple[int, int]] = []
    for page in pages_of_merchants(ROUND, MERCHANTS):
        with in_transaction():
            expired = db_merchants.with_expired({merchant_id: now - timedelta(days=days) for merchant_id, days in page})
        for merchant in page:
            if merchant[0] not in expired:
                continue
            gone, has_more = _turn(runtime, merchant, now, deadline)
            purged += gone
            if has_more:
                left.append(merchant)
            if time.monotonic() > deadline:
                stop_at(ROUND, merchant[0])
                return purged
    while left:
        again, left = left, []
        for merchant in again:
            gone, has_more = _turn(runtime, merchant, now, deadline)
            purged += gone
            if has_more:
                left.append(merchant)
            if time.monotonic() > deadline:
                return purged
    return purged


@dataclass(frozen=True)
class Shorter:
    """``before``: what arrived earlier would be deleted; ``events``: about how many; ``oldest``: of those there are now."""

    before: datetime
    events: int
    oldest: datetime | None


def preview_retention(merchant_id: int, days_now: int, days_then: int, now: datetime) -> Shorter:
    """What another retention would delete that the present one keeps. Reads counters, not events."""
    before = now - timedelta(days=days_then)
    oldest = db.oldest_received(merchant_id)
    if oldest is None or oldest >= before:
        return Shorter(before, 0, oldest)
    since = max(oldest, now - timedelta(days=days_now)).replace(minute=0, second=0, microsecond=0)
    return Shorter(before, events_accepted(merchant_id, since, before), oldest)


def _turn(runtime: Runtime, merchant: tuple[int, int], now: datetime, deadline: float) -> tuple[int, bool]:
    """(how many events of a merchant were deleted, whether there is more of anything)."""
    merchant_id, retention_days = merchant
    before = now - timedelta(days=retention_days)

    def purge_events(limit: int) -> tuple[int, bool]:
        gone = db.purge_events(merchant_id, before, limit, now)
        return gone, gone >= limit

    purged = 0
    has_more = False
    with alone(runtime, f"purging merchant {merchant_id}"):
        purged, has_more = _in_steps(purge_events, deadline)
        _, more = _in_steps(lambda limit: db_identities.purge_identities(merchant_id, before, limit), deadline)
        has_more = has_more or more
    return purged, has_more


def _in_steps(purge: Callable[[int], tuple[int, bool]], deadline: float) -> tuple[int, bool]:
    """(how many rows ``purge`` deleted, whether there are more), batch by batch, until a turn or the time is over.

    ``purge`` is told how many at most, and tells the same.
    """
    purged, batch = 0, BATCH
    while True:
        started = time.monotonic()
        with in_transaction(), statements_within(LONG_SECONDS):
            gone, has_more = purge(batch)
        purged += gone
        took = time.monotonic() - started
        if not has_more:
            return purged, False
        if purged >= TURN or time.monotonic() > deadline:
            return purged, True
        batch = max(SMALLEST_BATCH, batch // 2) if took > SLOW_BATCH.total_seconds() else min(BATCH, batch * 2)
        time.sleep(took)


def forget_refused(runtime: Runtime) -> int:
    """Deletes links that came with an event in the very moment of a browser's first refusal; how many.

    Such a link and the refusal do not see each other. Nothing is ever given by it, as the browser refused.
    """
    now, gone = runtime.clock.now(), 0
    with in_transaction():
        before = db_schedule.place_of(REFUSED)
    last = datetime.fromisoformat(before) if before is not None else now
    since: datetime | None = min(last, now) - REFUSED_LATELY  # and what came while no worker was there
    while since is not None:
        with in_transaction():
            some, since = db_identities.forget_late(since, now, HISTORY_BATCH)
            db_schedule.set_place(REFUSED, (since or now).isoformat())
        gone += some
    return gone


def purge_alert_history(runtime: Runtime) -> int:
    """Deletes changes of alerts, and what was sent about those that are over, that are older than 30 days; how many, bounded a run.

    A subscription that continues after an alert of that age gets all changes that are kept.
    """
    before = runtime.clock.now() - ALERT_HISTORY
    purged = 0
    for what, purge in (
        ("e-mails", alert_mails.purge_mails),
        ("messages", channels.purge_messages),
        ("changes", alert_changes.purge_changes),
    ):
        with alone(runtime, f"purging {what} of alerts"), in_transaction():
            purged += purge(before, HISTORY_BATCH)
    return purged


def purge_secrets() -> int:
    """Forgets the secrets of removed destinations that still have them; how many."""
    with in_transaction():
        return db_destinations.forget_removed_secrets()


def purge_redeliveries(runtime: Runtime) -> int:
    """Deletes redeliveries that finished more than 30 days ago; how many, bounded a run. What they queued stays."""
    with in_transaction():
        return redeliveries.purge_redeliveries(runtime.clock.now() - REDELIVERIES, HISTORY_BATCH)
