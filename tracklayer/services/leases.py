"""Leases whose claim may be committed, and whose worker never heard of it: given back, and not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tracklayer.db import together as db
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.deliveries import LOCK_MS, Lease
from tracklayer.db.sessions import is_in_the_way
from tracklayer.runtime import Runtime


@contextmanager
def claiming(runtime: Runtime) -> Iterator[list[Lease]]:
    """A transaction that claims; the block adds each lease that it got. Raises DatabaseAwayError.

    Where its COMMIT is not answered, its leases may be there all the same. Their worker lives, so nobody would take them from
    it before they run out.
    """
    give_back_unanswered(runtime)
    leases: list[Lease] = []
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
    if leases := sorted(runtime.unanswered):
        try:
            with in_transaction():
                db.end_leases(leases, LOCK_MS)
        except DatabaseAwayError as error:
            if not is_in_the_way(error):
                raise
        runtime.unanswered.difference_update(leases)
