"""Leases whose claim may be committed, and whose worker never heard of it: given back, and not waited for. So are the turns that
were taken with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from tracklayer.db import destinations as db_destinations
from tracklayer.db import together as db
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.counters import Changes
from tracklayer.db.leases import LOCK_MS, Lease, wait_briefly
from tracklayer.db.personal_data import drop_given_back
from tracklayer.db.sessions import is_in_the_way
from tracklayer.runtime import Runtime


@contextmanager
def claiming(runtime: Runtime) -> Iterator[dict[Lease, datetime | None]]:
    """A transaction that claims; the block adds each lease that it got, and until when it took the destination's turn with it, if it
    did. Raises DatabaseAwayError.

    Where its COMMIT is not answered, its leases may be there all the same. Their worker lives, so nobody would take them from
    it before they run out.
    """
    give_back_unanswered(runtime)
    leases: dict[Lease, datetime | None] = {}
    try:
        with in_transaction():
            yield leases
    except DatabaseAwayError:
        runtime.unanswered.update(leases)
        raise


def give_back_unanswered(runtime: Runtime) -> None:
    """Ends what nobody knows whether this process leased: nothing of it was sent. Raises DatabaseAwayError.

    Where somebody holds one of them, they are left to run out: nobody else's claims wait for that.
    """
    if not runtime.unanswered:
        return
    leases: dict[Lease, datetime | None] = dict(runtime.unanswered)
    _unless_held(partial(_end, sorted(leases), runtime.clock.now()))
    for lease, turn_ends_at in leases.items():  # apart from them: whoever settles takes the destination's row first
        if turn_ends_at is not None:
            _unless_held(partial(_end_turn, lease, turn_ends_at))
        runtime.unanswered.pop(lease, None)


def _end(leases: Sequence[Lease], now: datetime) -> None:
    ended, changes = db.end_leases(leases, LOCK_MS), Changes()
    for lease in leases:
        drop_given_back(lease, ended.get(lease.claim_id, ()), now, changes)
    changes.write()


def _end_turn(lease: Lease, ends_at: datetime) -> None:
    wait_briefly()
    db_destinations.end_turn(lease.merchant_id, lease.platform, ends_at)


def _unless_held(write: Callable[[], object]) -> None:
    """Does it in a transaction, unless somebody holds its rows. Raises DatabaseAwayError."""
    try:
        with in_transaction():
            write()
    except DatabaseAwayError as error:
        if not is_in_the_way(error):
            raise
