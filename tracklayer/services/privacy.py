"""What must go, goes: events past their merchant's retention."""

from __future__ import annotations

import time
from datetime import timedelta

from tracklayer.db import alert_changes, alert_mails, redeliveries
from tracklayer.db import destinations as db_destinations
from tracklayer.db import events as db
from tracklayer.db import merchants as db_merchants
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.runtime import Runtime

BATCH = 500  # events of one transaction: short enough that nobody waits for its locks
SMALLEST_BATCH = 20
SLOW_BATCH = timedelta(milliseconds=250)  # a batch that took longer is followed by a smaller one
RUN = timedelta(seconds=20)  # what is left is taken up by the next run
MERCHANTS = 1000  # of one page
REDELIVERIES = timedelta(days=30)  # how long one that is finished can be looked up
ALERT_HISTORY = timedelta(days=30)  # how long openings, resolvings and their e-mails are kept; alerts themselves stay
HISTORY_BATCH = 5000


def purge_expired(runtime: Runtime, budget: timedelta = RUN) -> int:
    """Deletes events, with their deliveries, past their merchant's retention as it is set now; how many.

    Works in small transactions and rests as long as it worked, so that ingest and delivery keep their pace. Killed at
    any point, the next run goes on where it stopped. Any number may run at once: no row is waited for.
    """
    now = runtime.clock.now()
    deadline = time.monotonic() + budget.total_seconds()
    purged = after = 0
    while True:
        with in_transaction():
            page = db_merchants.page_of_merchants(after, MERCHANTS)
        for merchant_id, retention_days in page:
            before = now - timedelta(days=retention_days)
            batch = BATCH
            while True:
                started = time.monotonic()
                with in_transaction(), statements_within(LONG_SECONDS):
                    gone = db.purge_events(merchant_id, before, batch, now)
                purged += gone
                took = time.monotonic() - started
                if gone < batch or time.monotonic() > deadline:
                    break
                batch = max(SMALLEST_BATCH, batch // 2) if took > SLOW_BATCH.total_seconds() else min(BATCH, batch * 2)
                time.sleep(took)
            if time.monotonic() > deadline:
                return purged
        if len(page) < MERCHANTS:
            return purged
        after = page[-1][0]


def purge_alert_history(runtime: Runtime) -> int:
    """Deletes changes of alerts, and e-mails about them, that are older than 30 days; how many, bounded a run.

    A subscription that continues after an alert of that age gets all changes that are kept.
    """
    before = runtime.clock.now() - ALERT_HISTORY
    with in_transaction():
        return alert_mails.purge_mails(before, HISTORY_BATCH) + alert_changes.purge_changes(before, HISTORY_BATCH)


def purge_secrets() -> int:
    """Forgets the secrets of removed destinations that still have them; how many."""
    with in_transaction():
        return db_destinations.forget_removed_secrets()


def purge_redeliveries(runtime: Runtime) -> int:
    """Deletes redeliveries that finished more than 30 days ago; how many, bounded a run. What they queued stays."""
    with in_transaction():
        return redeliveries.purge_redeliveries(runtime.clock.now() - REDELIVERIES, HISTORY_BATCH)
