"""Writes what became of deliveries: what a request brought, what never went out, and the answers that came late.

Who may write what, and under which locks, is told in ``services/deliver.py``.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from tracklayer import metrics
from tracklayer.db import destinations as db_destinations
from tracklayer.db import leases as db_leases
from tracklayer.db import personal_data
from tracklayer.db import settling as db_settling
from tracklayer.db.connection import DatabaseAwayError, in_transaction, is_broken
from tracklayer.db.counters import Changes
from tracklayer.db.leases import LEASE, Lease
from tracklayer.db.sessions import is_in_the_way
from tracklayer.db.settling import Delivered
from tracklayer.domain.delivery import (
    Acknowledged,
    Claim,
    DeliveryStatus,
    Destination,
    DestinationState,
    Health,
    NotBuilt,
    Outcome,
    Rejected,
    Settlement,
    Unknown,
)
from tracklayer.domain.health import judge_health
from tracklayer.domain.retry import (
    PUT_OFF,
    judge_attempt,
    judge_unbuilt,
)
from tracklayer.runtime import Runtime
from tracklayer.services.alone import tell_fault
from tracklayer.services.channels import note_state
from tracklayer.services.outage import note_outcomes
from tracklayer.services.platform_requests import (
    UNREAD,
    Batch,
    Item,
    names_of,
    retry_policy,
    tell_fault_at,
    tell_notes,
    without_quotes,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

WRITE_PAUSES = (0.1, 5.0)  # seconds, first and longest, until an answer is written again that the database did not take
WRITE_FOR = timedelta(hours=1)  # so long it is kept in hand
RENEW_AFTER = LEASE / 4  # that the lease of what is kept was renewed last
KEPT_LOCK_MS = 50  # that a try of what is kept waits for a lock: there may be many to try, of many merchants
UNWRITTEN = Unknown("TrackLayer could not write the platform's answer: its operator has the trace")


class LeaseLostError(Exception):
    """Others have taken this batch over: whatever becomes of it is theirs to write."""


class RowsHeldError(Exception):
    """Somebody holds rows of this batch; what is left to write of it is kept aside."""


def patiently(span: timedelta, write: Callable[[], T], keep: Callable[[], bool]) -> T:
    """What ``write`` gives, once the database takes it; for so long it is tried. Raises DatabaseAwayError then.

    Where it was rows that somebody holds, raises RowsHeldError, if ``keep`` took it over.
    """
    gives_up = time.monotonic() + span.total_seconds()
    pause, longest = WRITE_PAUSES
    while True:
        try:
            return write()
        except DatabaseAwayError as error:
            if is_in_the_way(error) and keep():
                raise RowsHeldError from error
            if time.monotonic() > gives_up:
                raise
            time.sleep(pause)
            pause = min(pause * 2, longest)


@dataclass
class Answer:
    """What one request came to, as far as it is not written yet. It has no event in it: it may be kept for long.

    ``each_alone``: all of it together could not be written. ``is_late``: others have taken its batch over.
    """

    claims: list[Claim]
    verdict: list[Outcome] | NotBuilt
    sent_at: datetime
    each_alone: bool = False
    is_late: bool = False


def settle(
    runtime: Runtime,
    batch: Batch,
    items: Sequence[Item],
    verdict: Sequence[Outcome] | NotBuilt,
    sent_at: datetime,
    todo: deque[list[Item]],
) -> datetime:
    """Writes what one request came to; when. Empties ``todo`` where the destination must rest first.

    An answer that was read is not thrown away because the database is away in that moment: it is kept in hand and written
    when it is back. Where others have taken the batch over meanwhile, what was acknowledged is written all the same. Raises
    RowsHeldError where somebody holds its rows: then it is kept aside, and what was not sent is given back with it.
    """
    if not isinstance(verdict, NotBuilt):
        if verdict[0] != UNREAD:  # that we cannot read an answer says nothing about the platform
            note_outcomes(runtime, batch.destination, verdict, sent_at)
        verdict = without_quotes(runtime, batch, items, verdict, sent_at)
        tell_notes(batch.destination, items, verdict)
    answer = Answer([item.claim for item in items], verdict, sent_at)
    names = names_of(verdict, len(items)) if batch.steps is not None else []

    def write() -> datetime:
        with batch.turn.work(), metrics.SETTLE.time():
            return _write_answer(runtime, batch, answer, todo)

    written_at = patiently(
        WRITE_FOR, write, lambda: keep_aside(runtime, batch, lambda: _write_kept(runtime, batch, answer))
    )
    if batch.steps is not None:
        batch.steps.settled([item.claim for item in items], names)
    return written_at


def _write_answer(
    runtime: Runtime, batch: Batch, answer: Answer, todo: deque[list[Item]], lock_ms: int = db_leases.LOCK_MS
) -> datetime:
    """Writes what is left of an answer; when. Empties ``todo`` where the destination must rest first.

    Raises DatabaseAwayError, after which it can be called again, and LeaseLostError, after which nothing is left.
    """
    written_at = answer.sent_at
    while answer.claims:
        now = runtime.clock.now()
        if answer.is_late:
            if not isinstance(answer.verdict, NotBuilt):
                _write_late(batch, answer.claims, answer.verdict, answer.sent_at, now)
            raise LeaseLostError
        count = 1 if answer.each_alone else len(answer.claims)
        verdict = answer.verdict if isinstance(answer.verdict, NotBuilt) else answer.verdict[:count]
        is_last = count == len(answer.claims)
        following = ids_of(todo) if is_last else [claim.key.event_id for claim in answer.claims[count:]]  # sent already
        try:
            rests, leaving = _write(
                runtime, batch, answer.claims[:count], verdict, answer.sent_at, now, following, is_last, lock_ms
            )
        except DatabaseAwayError:
            raise
        except LeaseLostError:
            answer.is_late = True
            continue
        except Exception as error:
            if count > 1:
                answer.each_alone = True  # one of them cannot be written: the others are
                continue
            if isinstance(answer.verdict, NotBuilt) or isinstance(answer.verdict[0], Unknown):
                raise
            # Of what cannot be written as it was said this is left: that it was sent.
            tell_fault_at(runtime, "writing an answer", answer.claims[0], error)
            answer.verdict[0] = UNWRITTEN
            continue
        written_at = now
        del answer.claims[:count]
        if not isinstance(answer.verdict, NotBuilt):
            del answer.verdict[:count]
        if rests:
            todo.clear()
        elif is_last:
            leave_out(todo, leaving)
    return written_at


def leave_out(todo: deque[list[Item]], leaving: Collection[str]) -> None:
    """Keeps in the next request only what may leave."""
    if todo and len(leaving) < len(todo[0]):
        kept = set(leaving)
        todo[0] = [item for item in todo[0] if item.claim.key.event_id in kept]


def ids_of(todo: Sequence[Sequence[Item]]) -> list[str]:
    """The events of the next request, if there is one."""
    return [item.claim.key.event_id for item in todo[0]] if todo else []


def keep_aside(runtime: Runtime, batch: Batch, write: Callable[[], object]) -> bool:
    """Has ``write`` tried until the rows that it met locked are free, at most ``WRITE_FOR``. False: there is no room for it."""
    gives_up = time.monotonic() + WRITE_FOR.total_seconds()
    renewed_at = runtime.clock.now()

    def attempt() -> bool:
        nonlocal renewed_at
        try:
            write()
        except DatabaseAwayError as error:
            if time.monotonic() > gives_up:
                tell_fault(runtime, "writing an answer that was kept", error, batch.lease)
                return True
            now = runtime.clock.now()
            if now - renewed_at >= RENEW_AFTER:
                # Its worker lives and has the answer: nobody needs to take it over and send it all again.
                with suppress(DatabaseAwayError):
                    with in_transaction():
                        db_leases.renew_lease(batch.lease, now, KEPT_LOCK_MS)
                    renewed_at = now
            return False
        except LeaseLostError:
            tell_lost(batch.lease)
        except Exception as error:  # noqa: BLE001 - it is logged, and the lease's end sees to the rest
            tell_fault(runtime, "writing an answer that was kept", error, batch.lease)
        return True

    return runtime.kept.add((batch.lease.merchant_id, batch.lease.platform), attempt)


def _write_kept(runtime: Runtime, batch: Batch, answer: Answer) -> None:
    _write_answer(runtime, batch, answer, deque(), KEPT_LOCK_MS)


def _write(
    runtime: Runtime,
    batch: Batch,
    claims: Sequence[Claim],
    verdict: Sequence[Outcome] | NotBuilt,
    sent_at: datetime,
    now: datetime,
    following: Sequence[str],
    rest_unsent: bool,
    lock_ms: int,
) -> tuple[bool, Sequence[str]]:
    """In one transaction: the destination's health, the verdicts, and what is sent next. (Whether the destination rests now, the
    events that may leave next.)

    ``rest_unsent``: what follows was not sent yet, so that it can wait.
    """
    outcomes = () if isinstance(verdict, NotBuilt) else verdict
    with in_transaction():
        # That we cannot write an answer, which then stands alone, says nothing about the platform.
        told = () if outcomes and outcomes[0] == UNWRITTEN else outcomes
        health = _judge_destination(batch, told, sent_at, now, is_last=not following, lock_ms=lock_ms)
        if isinstance(verdict, NotBuilt):
            put_off = verdict.put_off or PUT_OFF
            settlements = [judge_unbuilt(claim, verdict.message, now, put_off) for claim in claims]
        else:
            settlements = [
                judge_attempt(
                    claim,
                    outcome,
                    started_at=sent_at,
                    now=now,
                    policy=retry_policy(runtime),
                    jitter=runtime.jitter(),
                    health=health,
                )
                for claim, outcome in zip(claims, verdict, strict=True)
                if not isinstance(outcome, Acknowledged)
            ]
        rests = health.state is not DestinationState.ACTIVE or (health.resume_at is not None and health.resume_at > now)
        rests = rests and rest_unsent
        acknowledged = acknowledged_by(claims, outcomes, sent_at)
        noted = () if rests else following
        left_at = None if rest_unsent else sent_at
        leaving = settle_or_lose(runtime, batch, acknowledged, settlements, now, noted, lock_ms, left_at)
    runtime.tally.add("deliveries", [one.status.value for one in settlements])
    runtime.tally.add_many("deliveries", DeliveryStatus.DELIVERED.value, len(claims) - len(settlements))
    return rests, leaving


def _judge_destination(
    batch: Batch, outcomes: Sequence[Outcome], sent_at: datetime, now: datetime, *, is_last: bool, lock_ms: int
) -> Health:
    """The destination after a request, written where that changes anything; judged by its row under the lock.

    A step of a release is judged once, whatever number of requests it takes: at the last one, or at the first that fails.
    """
    destination = batch.destination
    known = destination.health
    if batch.turn_ends_at is None and judge_health(known, outcomes, now, sent_at, had_turn=False) == known:
        return known
    is_fine = all(isinstance(outcome, Acknowledged | Rejected) for outcome in outcomes)
    if batch.turn_ends_at is not None and is_fine and not is_last and known.state is DestinationState.ACTIVE:
        return known
    db_leases.wait_briefly(lock_ms)
    row = db_destinations.lock_destination(destination.merchant_id, destination.platform)
    if row is None:
        return known
    before = db_destinations.health_of(row)
    had_turn = batch.turn_ends_at is not None and batch.turn_ends_at == before.turn_ends_at
    after = judge_health(before, outcomes, now, sent_at, had_turn=had_turn, sent=batch.items if had_turn else None)
    if had_turn and not outcomes:
        after = replace(after, turn_ends_at=None)
    if after != before:
        db_destinations.set_health(destination.merchant_id, destination.platform, after)
        note_state(destination.merchant_id, destination.platform, before.state, after.state, after.reason, now)
        _tell(destination, before.state, after.state, after.reason)
    return after


def acknowledged_by(claims: Sequence[Claim], outcomes: Sequence[Outcome], sent_at: datetime) -> list[Delivered]:
    """Those of one request that the platform took, by the status and the words it said so with."""
    ids: dict[Acknowledged, list[str]] = {}
    for claim, outcome in zip(claims, outcomes, strict=False):
        if isinstance(outcome, Acknowledged):
            ids.setdefault(outcome, []).append(claim.key.event_id)
    return [Delivered(found, said.http_status, sent_at, said.note, said.code) for said, found in ids.items()]


def _write_late(
    batch: Batch, claims: Sequence[Claim], outcomes: Sequence[Outcome], sent_at: datetime, now: datetime
) -> None:
    """The acknowledgements of a batch that others have taken over."""
    with in_transaction():
        db_leases.wait_briefly()
        changes = Changes()
        for done in acknowledged_by(claims, outcomes, sent_at):
            db_settling.settle_late(batch.lease, done, now, changes)
        changes.write()


def settle_or_lose(
    runtime: Runtime,
    batch: Batch,
    delivered: Sequence[Delivered],
    settlements: Sequence[Settlement],
    now: datetime,
    following: Sequence[str],
    lock_ms: int,
    left_at: datetime | None = None,
) -> Sequence[str]:
    """Writes the verdicts and marks the next request; its events that may leave. In one transaction, which the caller holds.

    ``left_at``: when what follows was sent, where it was.

    Raises LeaseLostError, and so undoes all of it, where others have taken the batch over.
    """
    changes = Changes(runtime.counting.names.known)
    lease = batch.lease
    leaving: Sequence[str] | None = ()
    erasing: Sequence[str] | None = ()
    if following:
        leaving = db_leases.start_sending(lease, following, now, lock_ms, left_at)
    else:
        erasing = db_leases.end_lease(lease, lock_ms)
    if leaving is None or erasing is None:
        raise LeaseLostError
    for done in delivered:
        db_settling.settle_delivered(batch.lease, done, now, changes)
    db_settling.settle_deliveries(batch.lease, settlements, now, changes)
    personal_data.drop_given_back(batch.lease, erasing, now, changes)
    changes.write()
    if changes.has_names:
        _count_by_name(runtime, changes)
    return leaving


def _count_by_name(runtime: Runtime, changes: Changes) -> None:
    """Of which names something was refused, or not sent, only monitors read: where it cannot be written, what was settled is all
    the same.
    """
    for what, write in (("refused", changes.write_refused_names), ("not sent", changes.write_unsent_names)):
        try:
            with in_transaction():
                write()
        except Exception as error:
            if is_broken():
                raise
            tell_fault(runtime, f"counting of which names events are {what}", error)


def _tell(destination: Destination, before: DestinationState, after: DestinationState, reason: str | None) -> None:
    if before is not after:
        log.warning(
            f"merchant %s, %s: {before.value} -> {after.value} (%s)",  # noqa: G004 - each change is a line of its own kind
            destination.merchant_id,
            destination.platform,
            reason or "answers again",
            extra={
                "kind": f"destination_{after.value}",
                "merchant_id": destination.merchant_id,
                "platform": destination.platform,
            },
        )


def tell_lost(lease: Lease) -> None:
    """That a batch is this worker's no more: others have taken it over, it was settled and the answer to that is lost, or its lease was
    lost with a standby or a crash of PostgreSQL's.
    """
    more = {"kind": "lease_lost", "merchant_id": lease.merchant_id, "platform": lease.platform}
    log.warning(
        "merchant %s, %s: a batch took longer than its lease, or the database took its outcome and could not say so, or lost the lease",
        lease.merchant_id,
        lease.platform,
        extra=more,
    )
