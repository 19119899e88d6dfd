"""Delivers for many destinations at once what is due there singly: the everyday traffic of many merchants.

One look, in one transaction, leases what is due at up to ``MOST`` destinations; one more notes of some of them that all of it
is about to leave; each destination gets its own request; and what has been answered meanwhile is settled in one transaction. All that
``services/deliver.py`` says at its head holds for each lease of these. Only what goes as it should goes together: what is
held, recovers, is behind, or is in others' hands gets a look of its own there; and what is refused, fails, or cannot be
written together with the others is written by itself. What is stitched is so for all destinations of its merchant at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from tracklayer import metrics
from tracklayer.db import destinations as db_destinations
from tracklayer.db import together as db
from tracklayer.db.connection import DatabaseAwayError, in_transaction, session
from tracklayer.db.counters import Changes
from tracklayer.db.destinations import Seen
from tracklayer.db.leases import LEASE, Claimed, Lease
from tracklayer.domain.delivery import Acknowledged, DeliveryStatus, Outcome, Settlement
from tracklayer.domain.health import judge_health, may_send
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.alone import is_everybodys, tell_fault
from tracklayer.services.deliver import (
    ask_in_time,
    batch_of,
    begin,
    prepare,
    send_all,
    stitch,
)
from tracklayer.services.leases import claiming
from tracklayer.services.outage import by_platform, note_outcomes
from tracklayer.services.platform_requests import Batch, Item, names_of
from tracklayer.services.settle import (
    KEPT_LOCK_MS,
    WRITE_FOR,
    LeaseLostError,
    RowsHeldError,
    acknowledged_by,
    leave_out,
    patiently,
    settle,
    tell_lost,
)
from tracklayer.services.stitch import ToStitch, stitched

MOST = 100  # destinations of one look, and answers of one settlement
FEW = 10  # deliveries of one destination: where more are due, it gets a look of its own
IN_HAND = 50  # deliveries of one destination that workers have: more of them are a backlog that somebody sees to

Queue = tuple[int, str]  # merchant id, platform


@dataclass
class Errand:
    """What was claimed on one destination. ``sent_at``: since when it is noted that all of it is sent; None: it is not yet.

    ``unsent``: what of it is not sent, and why. ``todo``: the requests that the others go in. ``to_stitch``: what has to be
    stitched before it is mapped, by whoever sends it: then there is nothing else yet.
    """

    batch: Batch
    unsent: list[Settlement] = field(default_factory=list)
    todo: deque[list[Item]] = field(default_factory=deque)
    sent_at: datetime | None = None
    to_stitch: Sequence[Claimed] = ()

    @property
    def queue(self) -> Queue:
        return self.batch.lease.merchant_id, self.batch.lease.platform


@dataclass(frozen=True)
class Answered:
    """A request that the platform acknowledged all of: nothing else changes by it."""

    errand: Errand
    items: Sequence[Item]
    outcomes: Sequence[Outcome]
    sent_at: datetime


def take(runtime: Runtime, worker: int, wanted: Iterable[Queue]) -> tuple[list[Errand], list[Queue]]:
    """(what is to be sent now, a request or few for each destination; destinations that need a look of their own).

    Any number of workers may call it at once. What is sent must be given to ``begin_together`` and ``deliver`` soon: its leases
    run. Raises DatabaseAwayError.
    """
    if not runtime.clock.is_sure:
        return [], []  # it would take what is not due yet
    queues: list[Queue] = []
    serving, alone = by_platform(runtime, wanted)
    for queue in serving:
        if queue[1] in PLATFORMS and not runtime.kept.is_much(queue):
            is_plain = not runtime.turns.is_behind(queue) and runtime.turns.most_of_size(queue) is None
            (queues if is_plain else alone).append(queue)
    if not queues:
        return [], alone
    now = runtime.clock.now()
    try:
        with runtime.turns.fresh() as keep_up, metrics.CLAIM.time():
            seen, claimed, others = _claim(runtime, queues, now, worker)
            keep_up += [(lease.merchant_id, lease.platform) for lease, those in claimed.items() if len(those) < FEW]
    except Exception as error:
        if is_everybodys(error):
            raise
        tell_fault(runtime, "claiming for many destinations", error)
        return [], alone + queues  # whoever it was, the others are not kept from theirs
    if claimed:
        metrics.CLAIMED.labels("many").observe(sum(map(len, claimed.values())))
    errands = []
    for lease, those in claimed.items():
        queue = lease.merchant_id, lease.platform
        turn = runtime.turns.of(queue)
        turn.claimed(len(those), FEW, sum([len(one.event.custom_data) + len(one.event.user_data) for one in those]))
        if len(those) == FEW:
            turn.may_be_behind()
            others.append(queue)
        try:
            batch = batch_of(runtime, lease, seen[queue], turn, now, None)
            if batch is not None and batch.stitching is not None:
                errands.append(Errand(batch, to_stitch=those))
            elif batch is not None:
                errands.append(Errand(*prepare(runtime, batch, those, now)))
        except Exception as error:
            if is_everybodys(error):
                raise
            tell_fault(runtime, f"making requests for {lease.platform}", error, lease)
    return errands, alone + others


def _claim(
    runtime: Runtime, queues: Sequence[Queue], now: datetime, worker: int
) -> tuple[Mapping[Queue, Seen], Mapping[Lease, list[Claimed]], list[Queue]]:
    """(the destinations, what was claimed, those that may be sent to and were passed over)."""
    with claiming(runtime) as leases:
        seen = {(found.merchant_id, found.platform): found for found in db_destinations.look_at(queues, now, IN_HAND)}
        locked = [queue for queue, found in seen.items() if found.is_locked]
        claimed = db.claim_due(locked, FEW, now, worker) if locked else {}
        leases.update(dict.fromkeys(claimed))
    others = [
        queue
        for queue, found in seen.items()
        if not found.is_locked and may_send(db_destinations.health_of(found), now)
    ]
    return seen, claimed, others


def begin_together(runtime: Runtime, errands: Sequence[Errand]) -> None:
    """Notes what is about to leave, of those of whose leases all goes in one request; the others are begun one by one.

    So are those that it cannot be noted for together with the others. Whose lease was lost is taken out of the requests. Who
    calls it sends all of it at once: what waited then, and never left, would count as what may have arrived.
    """
    plain = [errand for errand in errands if len(errand.todo) == 1 and not errand.unsent]
    if not plain:
        return

    def write() -> tuple[datetime, dict[int, set[str]]]:
        now = runtime.clock.now()
        with runtime.turns.fresh() as keep_up, in_transaction():
            keep_up += [errand.queue for errand in plain if errand.batch.items < FEW]
            return now, db.start_sending([errand.batch.lease for errand in plain], now, KEPT_LOCK_MS)

    try:
        now, held = patiently(LEASE, write, lambda: True)
    except RowsHeldError:
        return  # somebody has rows of one of them
    except Exception as error:
        if is_everybodys(error):
            raise
        tell_fault(runtime, "noting what many destinations are sent", error)
        return
    for errand in plain:
        errand.sent_at = now
        leaving = held.get(errand.batch.lease.claim_id)
        if leaving is None:
            errand.todo.clear()
            tell_lost(errand.batch.lease)
        else:
            leave_out(errand.todo, leaving)


def stitch_together(runtime: Runtime, errands: Sequence[Errand]) -> Sequence[Errand]:
    """Stitches what was taken for some destinations of one merchant: mostly the same events, of which one look tells everything.

    Those of the errands that ``deliver`` gets now; the others are told. Where it cannot be done together, each is stitched there.
    """
    events: dict[str, ToStitch] = {}
    for errand in errands:
        for one in errand.to_stitch:
            known = events.get(one.event.event_id)
            was_tried = one.claim.attempts > 0 or (known is not None and known.was_tried)
            events[one.event.event_id] = ToStitch(one.event, one.claim.received_at, was_tried)
    first, now = errands[0].batch, runtime.clock.now()
    try:
        with first.turn.work(), session():
            found = stitched(runtime, first.destination.merchant_id, first.stitching, [*events.values()], now)
    except Exception:  # noqa: BLE001 - whoever stitches by itself waits for the database, or tells what else it is
        return errands
    ready = []
    for errand in errands:
        try:
            batch = replace(errand.batch, stitched=found)
            errand.batch, errand.unsent, errand.todo = prepare(runtime, batch, errand.to_stitch, now)
        except Exception as error:
            if is_everybodys(error):
                raise
            tell_fault(runtime, f"making requests for {errand.queue[1]}", error, errand.batch.lease)
        else:
            errand.to_stitch = ()
            ready.append(errand)
    return ready


def deliver(runtime: Runtime, errand: Errand) -> Answered | None:
    """Sends what was taken for one destination. What it gives is for ``settle_together``; all else is settled already."""
    try:
        if errand.to_stitch:
            now = runtime.clock.now()
            batch = stitch(runtime, errand.batch, errand.to_stitch, now)
            errand.batch, errand.unsent, errand.todo = prepare(runtime, batch, errand.to_stitch, now)
        batch, todo = errand.batch, errand.todo
        sent_at = errand.sent_at or begin(runtime, batch, errand.unsent, todo)
        verdict, sent_at = ask_in_time(runtime, batch, todo, sent_at)
        if isinstance(verdict, list) and len(todo) == 1 and all(map(_is_plain, verdict)):
            health = batch.destination.health
            if judge_health(health, verdict, runtime.clock.now(), sent_at, had_turn=False) == health:
                note_outcomes(runtime, batch.destination, verdict, sent_at)
                return Answered(errand, todo[0], verdict, sent_at)
        send_all(runtime, batch, todo, sent_at, verdict)
    except LeaseLostError:
        tell_lost(errand.batch.lease)
    except RowsHeldError:
        pass  # what is left to write is kept
    return None


def _is_plain(outcome: Outcome) -> bool:
    """Whether it was taken without a word: those are first looked at for what they quote."""
    return isinstance(outcome, Acknowledged) and not outcome.note


def settle_together(runtime: Runtime, answered: Sequence[Answered]) -> list[Answered]:
    """Writes what many requests came to; those that have to be settled alone: their lease was lost, or writing them failed.

    While the database is away it waits. Raises DatabaseAwayError, after an hour.
    """

    def write() -> Collection[int]:
        now = runtime.clock.now()
        with metrics.SETTLE.time(), runtime.turns.fresh() as keep_up, in_transaction():
            keep_up += [one.errand.queue for one in answered if len(one.items) < FEW]
            held = db.end_leases([one.errand.batch.lease for one in answered], KEPT_LOCK_MS)
            changes = Changes()
            done = [
                (one.errand.batch.lease, delivered)
                for one in answered
                if one.errand.batch.lease.claim_id in held
                for delivered in acknowledged_by([item.claim for item in one.items], one.outcomes, one.sent_at)
            ]
            db.settle_delivered(done, now, changes)
            changes.write()
            return held

    try:
        held = patiently(WRITE_FOR, write, lambda: True)
    except RowsHeldError:
        return list(answered)
    except DatabaseAwayError:
        raise
    except Exception as error:  # noqa: BLE001 - told; one of them cannot be written, the others are
        tell_fault(runtime, "writing answers of many destinations", error)
        return list(answered)
    written = [one for one in answered if one.errand.batch.lease.claim_id in held]
    runtime.tally.add_many("deliveries", DeliveryStatus.DELIVERED.value, sum(len(one.items) for one in written))
    for one in written:
        if (steps := one.errand.batch.steps) is not None:
            steps.settled([item.claim for item in one.items], names_of(one.outcomes, len(one.items)))
    return [one for one in answered if one.errand.batch.lease.claim_id not in held]


def settle_alone(runtime: Runtime, answered: Answered) -> None:
    """Writes what one request came to, also where its lease was lost or its rows are held. Raises DatabaseAwayError."""
    batch = answered.errand.batch
    try:
        with suppress(RowsHeldError):
            settle(runtime, batch, answered.items, answered.outcomes, answered.sent_at, deque())
    except LeaseLostError:
        tell_lost(batch.lease)
