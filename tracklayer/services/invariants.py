"""Looks for what must never be: a delivery forgotten, an event without its deliveries, a ledger that does not add up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer.db import invariants as db
from tracklayer.db import merchants as db_merchants
from tracklayer.db.connection import in_transaction, statements_within

LATE = timedelta(seconds=60)
RELEASE = timedelta(minutes=5)  # what gathered during a hold may take this long to go out; full pace comes after 25 s
AHEAD = timedelta(minutes=2)  # clocks differ by a minute at most, and within another one the sweep has looked
MERCHANTS = 1000  # of one page


@dataclass(frozen=True, slots=True)
class Violation:
    """``platform`` None: of the merchant as a whole. ``event_id``: one example, where there is one."""

    kind: str
    merchant_id: int
    platform: str | None
    count: int
    event_id: str | None
    message: str


def check_invariants(now: datetime) -> list[Violation]:
    """Everything that is not as it must be, by merchant. Reads only, and blocks nobody.

    Each merchant is looked at in one snapshot, and no invariant spans two, so work that goes on meanwhile is never
    mistaken for a fault. ``now`` must be PostgreSQL's time. Raises DatabaseAwayError, and
    ReadTimeoutError where a merchant has too much for a recount.
    """
    found: list[Violation] = []
    after = 0
    while True:
        with in_transaction():
            page = db_merchants.page_of_merchants(after, MERCHANTS)
        for merchant_id, _ in page:
            found += _check(merchant_id, now)
        if len(page) < MERCHANTS:
            return found
        after = page[-1][0]


def _check(merchant_id: int, now: datetime) -> list[Violation]:
    with in_transaction():
        db.take_snapshot()
        with statements_within(db.STATEMENT_TIMEOUT.total_seconds()):
            return [
                Violation(kind, merchant_id, platform, count, event_id, _sentence(merchant_id, platform, count, words))
                for kind, (_, words) in db.INVARIANTS.items()
                for platform, count, event_id in db.broken(kind, merchant_id, now - LATE, now - RELEASE, now + AHEAD)
            ]


def _sentence(merchant_id: int, platform: str | None, count: int, words: str) -> str:
    where = f"merchant {merchant_id}, {platform}" if platform else f"merchant {merchant_id}"
    return f"{where}: {count} {words}"
