"""Leases: what is due is claimed in batches, held by one worker in a row of ``claims``, given back by it or taken back from it.

The lock of the queue that they are taken out of is in db/queues.py; what becomes of what is in one is written by db/settling.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.events import MAPPED, TO_MAP, EventToMap
from tracklayer.db.json_literal import TextsLiteral
from tracklayer.db.queues import TRY_QUEUE, UNCLAIMED, queue
from tracklayer.domain.delivery import Claim, DeliveryKey
from tracklayer.domain.retry import MAX_ATTEMPTS

# More than the longest a request may take (half a minute, see ``platform_client.PATIENCE``) with its mapping before and its settlement
# after: what a worker that is alive but stuck is given before others take over.
LEASE = timedelta(minutes=2)
WORKER_LOCK = 7_301_002  # first key of the advisory lock that a worker's session holds on its number


def is_alive(column: str) -> str:
    """The SQL condition that the worker of that number holds its lock: its session with this database lives."""
    return f"""EXISTS (
    SELECT 1 FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.classid = {WORKER_LOCK} AND l.objid = {column}::bigint::oid
      AND l.objsubid = 2 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""


# For a claim. Nothing leaves before ``start_sending`` has committed, and that writes this transaction to disk as well: a
# claim that is lost before has done nothing.
WITHOUT_FLUSH = "set_config('synchronous_commit', 'off', true)"

# ``LIMIT 1`` keeps the planner from joining: where its statistics know nothing of a merchant yet, it takes all the events
# of that merchant for one, and would read them all for each delivery.
CLAIM_DUE = f"""
WITH due AS MATERIALIZED (
    SELECT event_id, attempts, received_at, due_at, window_ends_at FROM deliveries
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND due_at <= %(now)s AND due_at >= %(since)s AND {UNCLAIMED}
      AND (attempts < %(spared)s OR last_attempt_at NOT BETWEEN %(rested)s AND %(coming)s OR window_ends_at <= %(last_call)s)
    ORDER BY due_at LIMIT %(limit)s
), claim AS (
    INSERT INTO claims (merchant_id, platform, worker, claimed_at, lease_ends_at, event_ids)
    SELECT %(merchant)s, %(platform)s, %(worker)s, %(now)s, %(lease)s, array_agg(event_id) FROM due HAVING count(*) > 0
    RETURNING claim_id
)
SELECT {TO_MAP}, d.attempts, d.received_at, d.due_at, d.window_ends_at, claim.claim_id
FROM claim, due d, LATERAL (
    SELECT * FROM events WHERE merchant_id = %(merchant)s AND event_id = d.event_id LIMIT 1) e
ORDER BY d.due_at, e.event_id
"""


# A probe of a held destination takes no delivery's last attempt, as long as there is time for a better occasion: not
# before the pause that would follow by the same rule as those before it, or shortly before the window ends.
SPARED_ATTEMPTS = MAX_ATTEMPTS - 1
LAST_CHANCE = timedelta(minutes=30)  # before the window ends


class QueueBusyError(Exception):
    """Somebody else takes from this queue at the moment."""


class Claimed(NamedTuple):
    claim: Claim
    event: EventToMap


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """One worker's hold on some deliveries of a destination: a row of ``claims``."""

    merchant_id: int
    platform: str
    claim_id: int


def claim_due(
    merchant_id: int,
    platform: str,
    limit: int,
    now: datetime,
    worker: int,
    *,
    spare: timedelta | None = None,
    since: datetime | None = None,
) -> tuple[Lease, list[Claimed]] | None:
    """The longest due deliveries of one destination, leased to ``worker``; None where nothing is due.

    Any number of workers may call it at once: no row is given to two of them. Raises QueueBusyError instead of waiting:
    whoever has the lock may be on a host that vanished. ``spare``: nothing is taken whose last attempt it would be, unless
    the one before lies so far back. ``since``: of what was due earlier nothing is taken, unless nothing else is due.
    """
    params: Any = {
        "merchant": merchant_id,
        "platform": platform,
        "now": now,
        "limit": limit,
        "worker": worker,
        "lease": now + LEASE,
        "spared": MAX_ATTEMPTS if spare is None else SPARED_ATTEMPTS,
        "rested": now - (spare or timedelta()),
        "coming": now + timedelta(minutes=1),  # an attempt after that was made by a clock that has been set back
        "last_call": now + LAST_CHANCE,
        "since": since or "-infinity",
    }
    if not rows(f"{TRY_QUEUE}, {WITHOUT_FLUSH}", queue(merchant_id, platform))[0][0]:
        raise QueueBusyError
    found = rows(CLAIM_DUE, params)
    if not found and since is not None:
        params["since"] = "-infinity"
        found = rows(CLAIM_DUE, params)
    if not found:
        return None
    claimed = [
        Claimed(Claim(DeliveryKey(merchant_id, row[1], platform), *row[MAPPED:-1]), EventToMap._make(row[:MAPPED]))
        for row in found
    ]
    return Lease(merchant_id, platform, found[0][-1]), claimed


# How long this transaction waits for each of its locks, from the lease's on: said with it, for no statement more.
_WAITING_BRIEFLY = "set_config('lock_timeout', %s, true) <> ''"
_OF_LEASE = f"merchant_id = %s AND platform = %s AND claim_id = %s AND {_WAITING_BRIEFLY}"
LOCK_MS = 500
START_SENDING = (
    f"UPDATE claims SET sending = %s, sent_at = %s, lease_ends_at = %s WHERE {_OF_LEASE} RETURNING event_ids"
)


def wait_briefly(lock_ms: int = LOCK_MS) -> None:
    """So long at most this transaction waits for each of its locks."""
    execute(f"SELECT {_WAITING_BRIEFLY}", (str(lock_ms),))


def start_sending(
    lease: Lease, event_ids: Sequence[str], now: datetime, lock_ms: int = LOCK_MS, sent_at: datetime | None = None
) -> Sequence[str] | None:
    """Notes what is about to leave, in case this worker is lost, and renews the lease; which may. None: the lease was lost.

    Those may not that were taken out of the lease since: a late answer has settled them. Locks the lease until the
    transaction ends, so that nobody takes it back in the middle of a settlement. ``lock_ms``: as for ``wait_briefly``.
    ``sent_at``: when they left, of such as did already: whoever writes their answer late finds their attempt by it.
    """

    def note(leaving: Sequence[str]) -> list[Any]:
        return rows(START_SENDING, (TextsLiteral(leaving), sent_at or now, now + LEASE, *_key(lease), str(lock_ms)))

    found = note(event_ids)
    if not found:
        return None
    held = set(found[0][0])
    leaving = [event_id for event_id in event_ids if event_id in held]
    if len(leaving) < len(event_ids):
        note(leaving)
    return leaving


HOLD_LEASE = f"SELECT event_ids FROM claims WHERE {_OF_LEASE} FOR UPDATE"
ARE_DELIVERED = """
SELECT event_id FROM deliveries
WHERE merchant_id = %s AND platform = %s AND event_id = ANY(%s) AND status = 'delivered'
"""
KEEP_IN_LEASE = "UPDATE claims SET event_ids = %s WHERE merchant_id = %s AND platform = %s AND claim_id = %s"


def leave_out_delivered(lease: Lease, event_ids: Sequence[str], lock_ms: int = LOCK_MS) -> None:
    """Takes out of a lease, none of which is on its way, what a late answer settled while it was: see ``start_sending``.

    Locks the lease until the transaction ends. ``lock_ms``: as for ``wait_briefly``.
    """
    found = rows(HOLD_LEASE, (*_key(lease), str(lock_ms)))
    done = {row[0] for row in rows(ARE_DELIVERED, (lease.merchant_id, lease.platform, list(event_ids)))}
    if found and done:
        execute(KEEP_IN_LEASE, ([one for one in found[0][0] if one not in done], *_key(lease)))


def end_lease(lease: Lease, lock_ms: int = LOCK_MS) -> Sequence[str] | None:
    """Gives back whatever was not settled, as it was. None: the lease was lost. ``lock_ms``: as for ``wait_briefly``.

    Returns the events among them that an erasure waits for: pass them to ``personal_data.drop_given_back`` in this transaction, once
    all is settled.
    """
    found = rows(f"DELETE FROM claims WHERE {_OF_LEASE} RETURNING erasing", (*_key(lease), str(lock_ms)))
    return found[0][0] if found else None


def renew_lease(lease: Lease, now: datetime, lock_ms: int) -> bool:
    """What its worker still has in hand stays its own. False: it was lost."""
    renew = f"UPDATE claims SET lease_ends_at = greatest(lease_ends_at, %s) WHERE {_OF_LEASE}"
    return execute(renew, (now + LEASE, *_key(lease), str(lock_ms))) == 1


def _key(lease: Lease) -> tuple[int, str, int]:
    return lease.merchant_id, lease.platform, lease.claim_id


# A worker that lives may lose the session of its lock: it then has the lock of the same number again within about three seconds
# (it looks once a second, rests for one after a try in vain, and connecting takes less than one). What it is sending would reach
# the platform twice if it were taken back before.
GRACE = timedelta(seconds=5)
_IS_NOTED = "coalesce(missed_at <= greatest(%(now)s, clock_timestamp()), false)"
# Noted at the later of two clocks: the sweep's may be old by the time that its words reach PostgreSQL, and a worker has its whole
# time. What lies ahead of both was noted by a clock that has been set back since.
NOTE_MISSED = f"""
UPDATE claims c SET missed_at = CASE WHEN x.is_noted THEN NULL ELSE greatest(%(now)s, clock_timestamp()) END
FROM (SELECT merchant_id, platform, claim_id, {_IS_NOTED} AS is_noted FROM claims c
    WHERE {_IS_NOTED} = {is_alive("c.worker")} FOR UPDATE SKIP LOCKED) AS x
WHERE c.merchant_id = x.merchant_id AND c.platform = x.platform AND c.claim_id = x.claim_id
"""
# What is taken away from others is judged by PostgreSQL's own clock as well, should this process's be ahead.
LOST_CLAIMS = f"""
SELECT merchant_id, platform, claim_id, sending, sent_at, claimed_at FROM claims c
WHERE lease_ends_at <= least(%(now)s, clock_timestamp())
   OR (missed_at <= least(%(now)s, clock_timestamp()) - %(grace)s AND NOT {is_alive("c.worker")})
ORDER BY claimed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
# Also what a late answer has delivered since: it was on its way once more.
IN_FLIGHT = """
SELECT event_id, attempts, received_at, coalesce(due_at, queued_at), window_ends_at FROM deliveries
WHERE merchant_id = %s AND platform = %s AND event_id = ANY(%s) AND status <> 'dropped'
"""


@dataclass(frozen=True, slots=True)
class LostLease:
    """``in_flight``: what its worker was sending since ``sent_at``; the rest never left."""

    lease: Lease
    sent_at: datetime | None
    claimed_at: datetime
    in_flight: list[Claim]


def lost_leases(now: datetime, limit: int) -> list[LostLease]:
    """Leases whose worker has not held its lock for ``GRACE``, or that ran out; this transaction holds them until it ends.

    Since when that is so is noted here: so it takes two calls.
    """
    params: Any = {"now": now, "grace": GRACE, "limit": limit}
    execute(NOTE_MISSED, params)
    found = []
    for merchant_id, platform, claim_id, sending, sent_at, claimed_at in rows(LOST_CLAIMS, params):
        claims = [
            Claim(DeliveryKey(merchant_id, row[0], platform), *row[1:])
            for row in (rows(IN_FLIGHT, (merchant_id, platform, sending)) if sending else ())
        ]
        found.append(LostLease(Lease(merchant_id, platform, claim_id), sent_at, claimed_at, claims))
    return found
