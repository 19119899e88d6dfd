"""Delivers what is due: claim a batch, map it, send it, settle it, and again until nothing is due.

**Who may touch a delivery, and how.** A delivery that waits (``due_at`` set) is in its queue, (merchant, platform). Whoever
takes it out of there, or changes it there, holds the queue's lock (``db.queues``): a claim, the sweep's drop, a
redelivery. A claim then has a row of ``claims``, the lease: what is in it belongs to one worker, and all others pass over
it, until the lease is ended by its worker (settled, or given back) or by the sweep (taken back, once the worker's own lock
is gone or the lease has run out). Purge and erasure pass over what is leased; what an erasure waits for is marked in the lease, and
dropped by whoever ends that. Whoever is done writes verdicts under the
lease's row, so that one who was declared dead writes none, with one exception: an acknowledgement that was read is written
even then, in the place of the attempt whose fate nobody knew, or as one more where PostgreSQL lost the claim. What
another worker has leased by then is taken out of its lease, unless it is on its way: then that worker finds it delivered,
and adds its attempt, as the sweep does where that worker is lost. Each request that may have reached the platform is so told of once. Where somebody else holds the rows, an answer is
kept aside by its worker, which renews the lease until it is written; what of the batch was not sent is given back with it
(``settle.py``).

| taker | takes | under |
| --- | --- | --- |
| claim | what is due, into a lease | queue lock (tried, not waited for) |
| settle | what its lease holds | the lease's row |
| settle late | what its lease held: delivered, and out of others' leases | queue lock, the leases' rows |
| sweep | leases of the lost; what has no time or no destination | the lease's row (stepped over where held); queue lock |
| hold, release with a platform | nothing: states of destinations | the platform's row, destination rows (stepped over where held) |
| redeliver | what failed or was dropped, no lease | queue lock |
| deliver stored | nothing: it makes what was not there | destination row, queue lock, the events' rows (shared) |
| stitch | nothing: it writes what its lease's events get | the events' rows (shared), by a statement of its own |
| purge | what is past its retention, no lease | where anything of it waits, all queue locks of the merchant; the events' rows (stepped over where held) |
| erase | what is a person's, no lease | all queue locks of the merchant, the events' rows (stepped over where held) |

Locks are taken in this order and never the other way: job, platform, merchant, destination row, queue lock, lease, events,
deliveries, what else hangs on events, counters. The merchant's row is locked by whoever makes the first of something of that
merchant (a destination, in ``services/destinations.py``; the key of sign-in links; a channel among twenty), begins a session
(``sign_in.py``) or changes its collector (``merchants.py``): they hold none of the others yet. It keeps nobody from storing rows that
name the merchant. Of what browsers showed: ``browsers``, in the order of their ids and all at once, then
``browser_signals``, then ``browser_people``, each in the order of its key; who holds one of these waits for none of the others
above. A refusal and an erasure hold the browsers' rows, a link reads them shared, and purge steps over what is held.
``services/deliver_together.py`` claims and settles for many destinations in one transaction: of queue locks it takes those
that are free, and for leases and deliveries of others it waits for a moment only, and then leaves each to itself.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tracklayer import metrics
from tracklayer.db import destinations as db_destinations
from tracklayer.db import leases as db_leases
from tracklayer.db import personal_data
from tracklayer.db.connection import DatabaseAwayError, in_transaction, session
from tracklayer.db.counters import Changes
from tracklayer.db.destinations import Seen
from tracklayer.db.leases import LEASE, Claimed, Lease, QueueBusyError
from tracklayer.db.models import DestinationRow
from tracklayer.db.sessions import is_in_the_way
from tracklayer.domain.delivery import (
    BatchRejected,
    Destination,
    DestinationState,
    DropReason,
    NotBuilt,
    Settlement,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import Event
from tracklayer.domain.health import FIRST_PROBE, Held, Recovering, condition_of, hold_for_us, may_send
from tracklayer.domain.retry import MAX_ATTEMPTS
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services.alone import tell_fault
from tracklayer.services.channels import note_state
from tracklayer.services.credentials import settings_to_map
from tracklayer.services.destinations import is_invented
from tracklayer.services.leases import claiming
from tracklayer.services.outage import may_claim
from tracklayer.services.platform_requests import (
    Batch,
    Item,
    ask,
    chunks,
    map_batch,
    retry_policy,
)
from tracklayer.services.settle import (
    KEPT_LOCK_MS,
    LeaseLostError,
    RowsHeldError,
    ids_of,
    keep_aside,
    leave_out,
    patiently,
    settle,
    settle_or_lose,
    tell_lost,
)
from tracklayer.services.stitch import ToStitch, stitched, stitching_in
from tracklayer.turns import Turn

log = logging.getLogger(__name__)

BATCHES = 20  # of one wake-up, and
SLICE_SECONDS = 0.5  # at most: then the worker's thread is free for others, and the wake-up is sent again
BUSY_PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1)  # seconds, until a queue that others have is left to the next wake-up
# How old the note that a request is about to leave may be when it leaves; one that is older is written anew.
NOTED_FOR = LEASE / 8
CANNOT_OPEN = "TrackLayer cannot open its settings with the secret keys it has"
INVENTED = "Its settings are the invented ones of `tracklayer up --sandbox`, and TrackLayer runs without the sandbox"
RELEASE_REQUEST = timedelta(seconds=1)  # what a destination that recovers gets in one request, at its present pace


def count_from_zero() -> None:
    """Shows a worker's counters before it has anything to count."""
    metrics.begin_at_zero(PLATFORMS, [reason.value for reason in DropReason])


def deliver_due(runtime: Runtime, worker: int, merchant_id: int, platform: str) -> bool:
    """Delivers what is due at one destination. True where there is more to do: wake it again.

    Safe to call any number of times at once: claims never overlap. ``worker`` is the number whose lock this process
    holds, so that others know its claims are alive. What waits for a platform that this version does not know is left
    to the workers of a newer one.
    """
    if platform not in PLATFORMS:
        return False
    ends = time.monotonic() + SLICE_SECONDS
    turn = runtime.turns.of((merchant_id, platform))
    was_behind = runtime.turns.is_behind((merchant_id, platform))
    for _ in range(BATCHES):
        if not runtime.clock.is_sure:
            return False  # it would take what is not due yet, or drop what still has time
        if runtime.kept.is_much((merchant_id, platform)):
            return False  # its rows are locked: the sweep wakes it when they are free
        if not may_claim(runtime, merchant_id, platform):
            return False  # the platform is down for everybody: the sweep holds what is due, and names who probes it
        taken = _claim_patiently(runtime, worker, merchant_id, platform, turn)
        if taken is None:
            return False
        batch, claimed = taken
        try:
            _deliver_batch(runtime, batch, claimed)
        except LeaseLostError:
            tell_lost(batch.lease)
            return True
        except RowsHeldError:
            return False
        if batch.turn_ends_at is not None or time.monotonic() > ends:
            return True  # a probe, or a step of a release, is done: the row says what is next
        if not was_behind and runtime.turns.is_behind((merchant_id, platform)) and runtime.turns.is_busy():
            return True  # it turned out to have a backlog, and goes on in a lane of those
    return True


def _claim_patiently(
    runtime: Runtime, worker: int, merchant_id: int, platform: str, turn: Turn
) -> tuple[Batch, list[Claimed]] | None:
    """None also where others have had the queue all the time, or have rows of it locked: the sweep sees to it."""
    for pause in (*BUSY_PAUSES, None):
        try:
            with turn.work(), metrics.CLAIM.time():
                return _claim(runtime, worker, merchant_id, platform, runtime.clock.now(), turn)
        except QueueBusyError:
            if pause is not None:
                time.sleep(pause)
        except DatabaseAwayError as error:
            if not is_in_the_way(error):
                raise
            tell_fault(runtime, f"claiming for merchant {merchant_id}, {platform}", error)
            return None
    return None


def _claim(
    runtime: Runtime, worker: int, merchant_id: int, platform: str, now: datetime, turn: Turn
) -> tuple[Batch, list[Claimed]] | None:
    mapper = mapper_for(platform)
    with claiming(runtime) as leases:
        row: Seen | DestinationRow | None = db_destinations.see(merchant_id, platform)
        if row is None or not may_send(db_destinations.health_of(row), now):
            return None
        if row.state == DestinationState.HELD or row.recovering_since is not None:
            db_leases.wait_briefly()
            row = db_destinations.lock_destination(merchant_id, platform)
            if row is None or not may_send(db_destinations.health_of(row), now):
                return None
        health = db_destinations.health_of(row)
        condition = condition_of(health, now)
        limit = turn.limit(mapper.batch_size)
        if isinstance(condition, Held):
            limit = 1
        elif isinstance(condition, Recovering):
            limit = min(limit, max(1, int(condition.pace * RELEASE_REQUEST.total_seconds())))
        is_probe = isinstance(condition, Held)
        spare = retry_policy(runtime).delay(MAX_ATTEMPTS, 0.0) if is_probe else None
        is_single = isinstance(condition, Held | Recovering)
        since = None if is_single else turn.reached()
        taken = db_leases.claim_due(merchant_id, platform, limit, now, worker, spare=spare, since=since)
        claimed = taken[1] if taken else []
        size = sum([len(found.event.custom_data) + len(found.event.user_data) for found in claimed])
        # Behind the last one there may be few, and before it many again: the next claim tells.
        turn.claimed(len(claimed), len(claimed) if claimed and since is not None else limit, size)
        metrics.CLAIMED.labels("one").observe(len(claimed))
        if taken is None:
            turn.note_reached(since, None)
            if is_probe:
                db_destinations.put_probe_off(merchant_id, platform, now + FIRST_PROBE)
            return None
        turn_ends_at = now + LEASE if is_single else None  # as the lease, until it is renewed
        leases[taken[0]] = turn_ends_at
        if turn_ends_at is not None:
            db_destinations.take_turn(merchant_id, platform, turn_ends_at)
    is_full = len(claimed) == limit and not is_single
    turn.note_reached(since, claimed[-1].claim.due_at if is_full else None)
    batch = batch_of(runtime, taken[0], row, turn, now, turn_ends_at)
    return None if batch is None else (batch, claimed)


def batch_of(
    runtime: Runtime, lease: Lease, row: DestinationRow | Seen, turn: Turn, now: datetime, turn_ends_at: datetime | None
) -> Batch | None:
    """What was claimed on a destination; None where its settings cannot be opened, or are invented and it would go to a real
    platform: then it is held, and the lease ended.
    """
    merchant_id, platform = lease.merchant_id, lease.platform
    if runtime.settings.sandbox_url is None and is_invented(row):
        _hold_invented(merchant_id, platform, lease, now)
        return None
    try:
        settings = settings_to_map(runtime.sealer, row)
    except Exception as error:  # noqa: BLE001 - its words may quote what it stumbled on
        _hold_unopened(merchant_id, platform, lease, now, error, runtime.sealer.source)
        return None
    destination = Destination(
        merchant_id,
        platform,
        settings,
        tuple(row.event_names) if row.event_names is not None else None,
        db_destinations.health_of(row),
    )
    steps = runtime.tracer.claimed(runtime.clock.now() - now) if runtime.tracer is not None else None
    return Batch(lease, destination, mapper_for(platform), turn, turn_ends_at, stitching_in(row), steps=steps)


def _hold_unopened(merchant_id: int, platform: str, lease: Lease, now: datetime, error: Exception, source: str) -> None:
    """Nothing can be sent before the operator has mended it: looked at again as a platform that is away would be."""
    more = {"kind": "destination_unreadable", "merchant_id": merchant_id, "platform": platform}
    if isinstance(error, SealError):
        log.error(
            "merchant %s, %s: cannot be opened with the keys in %s, so nothing is delivered: put back the key that sealed it",
            merchant_id,
            platform,
            source,
            extra=more,
        )
    else:
        what = type(error).__name__
        log.error("merchant %s, %s: its settings cannot be read (%s)", merchant_id, platform, what, extra=more)
    _hold_back(merchant_id, platform, lease, CANNOT_OPEN, now)


def _hold_invented(merchant_id: int, platform: str, lease: Lease, now: datetime) -> None:
    """What is left of a trial has nobody's account to go to, and nobody but its emulator may get it.

    It is looked at again soon, however long it has been so: that asks no platform, and the sandbox may be back.
    """
    if _hold_back(merchant_id, platform, lease, INVENTED, now, anew=True):
        more = {"kind": "destination_held", "merchant_id": merchant_id, "platform": platform}
        log.warning(
            "merchant %s, %s: nothing is sent: its settings are the invented ones of `tracklayer up --sandbox`, and no sandbox "
            "is set",
            merchant_id,
            platform,
            extra=more,
        )


def _hold_back(
    merchant_id: int, platform: str, lease: Lease, reason: str, now: datetime, *, anew: bool = False
) -> bool:
    """Holds a destination for us, and ends the lease on it; whether it was not held before. ``anew``: as if for the first time."""
    is_new = False
    with in_transaction():
        db_leases.wait_briefly()
        row = db_destinations.lock_destination(merchant_id, platform)
        if row is not None:
            before = db_destinations.health_of(row)
            health = hold_for_us(replace(before, probe_seconds=0) if anew else before, reason, now)
            db_destinations.set_health(merchant_id, platform, health)
            note_state(merchant_id, platform, before.state, health.state, health.reason, now)
            is_new = before.state is not health.state
        changes = Changes()
        personal_data.drop_given_back(lease, db_leases.end_lease(lease) or (), now, changes)
        changes.write()
    return is_new


def _deliver_batch(runtime: Runtime, batch: Batch, claimed: Sequence[Claimed]) -> None:
    """Maps, sends and settles, request by request: what the platform took is written before the next one goes out.

    Before a request leaves, the lease says which deliveries are in it: should this process die, those are unknown and
    the others have certainly not been sent. A refused request is halved until the culprit stands alone.
    """
    now = runtime.clock.now()
    batch = stitch(runtime, batch, claimed, now)
    batch, unsent, todo = prepare(runtime, batch, claimed, now)
    sent_at = begin(runtime, batch, unsent, todo)
    send_all(runtime, batch, todo, sent_at)


def prepare(
    runtime: Runtime, batch: Batch, claimed: Sequence[Claimed], now: datetime
) -> tuple[Batch, list[Settlement], deque[list[Item]]]:
    """(the batch, what of it is not sent and why, the requests that the others go in)."""
    first_due = min([found.claim.due_at for found in claimed], default=now)
    runtime.tally.claimed((now - first_due).total_seconds())
    steps = batch.steps.maps(claimed) if batch.steps is not None else None
    with batch.turn.work():
        unsent, groups = map_batch(runtime, batch, claimed, now)
        todo = deque(chunk for group in groups.values() for chunk in chunks(runtime, batch.mapper, group, now, unsent))
    if steps is not None:
        steps.mapped()
    return replace(batch, items=sum(map(len, todo)), steps=steps), unsent, todo


def send_all(
    runtime: Runtime,
    batch: Batch,
    todo: deque[list[Item]],
    sent_at: datetime,
    answered: Verdict | NotBuilt | None = None,
) -> None:
    """Sends and settles request by request. ``answered``: what the first one, which has been sent, came to."""
    while todo:
        verdict, answered = answered, None
        if verdict is None:
            verdict, sent_at = ask_in_time(runtime, batch, todo, sent_at)
        items = todo.popleft()
        if verdict is None:  # late answers have settled them
            sent_at = begin(runtime, batch, [], todo)
            continue
        if isinstance(verdict, BatchRejected | NotBuilt):
            if len(items) > 1 and not (isinstance(verdict, NotBuilt) and verdict.is_of_all):
                middle = len(items) // 2
                todo.extendleft([items[middle:], items[:middle]])
                sent_at = begin(runtime, batch, [], todo, noted=items)
                continue
            if isinstance(verdict, BatchRejected):
                verdict = [verdict.rejected]
        sent_at = settle(runtime, batch, items, verdict, sent_at, todo)


def stitch(runtime: Runtime, batch: Batch, claimed: Sequence[Claimed], now: datetime) -> Batch:
    """The batch with what was added to its events, where its merchant's are stitched. Decided before anything is mapped, and
    on disk before anything leaves: what begins the sending commits after it.

    Not in the claim's own transaction, which others wait for. Where the database does not answer, the batch is given back.
    """
    if batch.stitching is None:
        return batch
    merchant_id = batch.destination.merchant_id
    events = [ToStitch(found.event, found.claim.received_at, found.claim.attempts > 0) for found in claimed]

    def decide() -> dict[str, Event]:
        with batch.turn.work(), session():  # each statement is a transaction of its own: none of them needs another
            return stitched(runtime, merchant_id, batch.stitching, events, now)

    def give_back() -> object:
        return _write_begin(runtime, batch, (), (), (), KEPT_LOCK_MS)

    return replace(batch, stitched=patiently(LEASE, decide, lambda: keep_aside(runtime, batch, give_back)))


def begin(
    runtime: Runtime,
    batch: Batch,
    unsent: Sequence[Settlement],
    todo: deque[list[Item]],
    noted: Sequence[Item] = (),
) -> datetime:
    """Writes what is not sent, and what is about to be, if anything; when. What of it a late answer has settled is taken out of
    the first request, which may be empty then.

    ``noted``: of a request that was noted as about to leave before and is not on its way: it never left, or was refused as a
    whole. Raises RowsHeldError where somebody holds its rows: then the batch is given back once they are free.
    """

    def write() -> tuple[datetime, Sequence[str]]:
        with batch.turn.work():
            return _write_begin(runtime, batch, unsent, ids_of(todo), ids_of([noted]), db_leases.LOCK_MS)

    def give_back() -> object:
        return _write_begin(runtime, batch, unsent, (), (), KEPT_LOCK_MS)

    begun_at, leaving = patiently(LEASE, write, lambda: keep_aside(runtime, batch, give_back))
    leave_out(todo, leaving)
    if batch.steps is not None and unsent:
        batch.steps.unsent(unsent)
    return begun_at


def ask_in_time(
    runtime: Runtime, batch: Batch, todo: deque[list[Item]], sent_at: datetime
) -> tuple[Verdict | NotBuilt | None, datetime]:
    """(what the next request came to, when it was noted that it is about to leave). None: there is nothing in it any more.

    Where that was noted a while ago, it is noted anew: before it is asked, and once more where connecting, or getting a token, took so
    long. So a worker that stood still in between (its process was stopped, its machine slept) learns whether it may still send: others
    may have delivered it, or erased whose it is. Raises LeaseLostError and RowsHeldError, as ``begin``.
    """

    def is_fresh() -> bool:
        return abs(runtime.clock.now() - sent_at) <= NOTED_FOR

    verdict: Verdict | NotBuilt | None = None
    for _ in range(2):
        if todo and todo[0] and not is_fresh():
            sent_at = begin(runtime, batch, [], todo, noted=todo[0])
        verdict = ask(runtime, batch, todo[0], is_fresh) if todo and todo[0] else None
        if is_fresh() or not _never_left(verdict):
            break
    return verdict, sent_at


def _never_left(verdict: Verdict | NotBuilt | None) -> bool:
    return isinstance(verdict, list) and isinstance(verdict[0], Unreachable) and not verdict[0].may_have_arrived


def _write_begin(
    runtime: Runtime,
    batch: Batch,
    unsent: Sequence[Settlement],
    following: Sequence[str],
    noted: Sequence[str],
    lock_ms: int,
) -> tuple[datetime, Sequence[str]]:
    now = runtime.clock.now()
    destination = batch.destination
    with in_transaction():
        if noted:
            db_leases.leave_out_delivered(batch.lease, noted, lock_ms)
        leaving = settle_or_lose(runtime, batch, [], unsent, now, following, lock_ms)
        if not following and batch.turn_ends_at is not None:
            # It sent nothing and told nothing about the platform: the next one may go at once.
            db_destinations.end_turn(destination.merchant_id, destination.platform, batch.turn_ends_at)
    runtime.tally.add("deliveries", [one.status.value for one in unsent])
    return now, leaving
