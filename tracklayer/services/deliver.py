"""Delivers what is due: claim a batch, map it, send it, settle it, and again until nothing is due."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from tracklayer.db import deliveries as db
from tracklayer.db import destinations as db_destinations
from tracklayer.db.connection import in_transaction
from tracklayer.db.counters import Changes
from tracklayer.db.deliveries import Claimed, Delivered, Lease
from tracklayer.db.events import EventToMap
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    Claim,
    CredentialsRefused,
    Destination,
    DestinationState,
    DropReason,
    NoAnswer,
    NotSent,
    Outcome,
    PlatformReply,
    Refusal,
    Rejected,
    Reply,
    Settlement,
    TokenRefused,
    Unknown,
    Unreachable,
    Verdict,
)
from tracklayer.domain.retry import (
    FIRST_PROBE,
    RetryPolicy,
    judge_attempt,
    judge_health,
    judge_lost_claim,
    judge_unsent,
    release_pace,
)
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped, Mapper, Refused
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist
from tracklayer.services.credentials import open_settings, tell_closed
from tracklayer.services.payload import without_sealed
from tracklayer.services.transport import send
from tracklayer.turns import STEP, Turn

log = logging.getLogger(__name__)

BATCHES = 20  # of one wake-up, and
SLICE_SECONDS = 0.5  # at most: then the worker's thread is free for others, and the wake-up is sent again
SWEEP_LEASES = 20  # taken back by one sweep
SWEEP_ROWS = 2000  # dropped from one queue by one sweep
SWEEP_QUEUES = 200  # that one sweep drops from
DUE_DESTINATIONS = 10_000  # woken by one sweep
RELEASE_REQUEST = timedelta(seconds=1)  # what a destination that recovers gets in one request, at its present pace


class Item(NamedTuple):
    """One claimed delivery, mapped."""

    claim: Claim
    mapped: Mapped
    event: EventToMap


@dataclass(frozen=True)
class Batch:
    """One claim on one destination. ``alone``: the destination is probed or recovers, so one batch goes at a time."""

    lease: Lease
    destination: Destination
    mapper: Mapper
    turn: Turn
    alone: bool


class LeaseLostError(Exception):
    """Others have taken this batch over: whatever becomes of it is theirs to write."""


def deliver_due(runtime: Runtime, worker: int, merchant_id: int, platform: str) -> bool:
    """Delivers what is due at one destination. True where there is more to do: wake it again.

    Safe to call any number of times at once: claims never overlap. ``worker`` is the number whose lock this process
    holds, so that others know its claims are alive.
    """
    ends = time.monotonic() + SLICE_SECONDS
    turn = runtime.turns.of((merchant_id, platform))
    for _ in range(BATCHES):
        now = runtime.clock.now()
        with turn.work():
            taken = _claim(runtime, worker, merchant_id, platform, now, turn)
        if taken is None:
            return False
        batch, claimed = taken
        try:
            _deliver_batch(runtime, batch, claimed)
        except LeaseLostError:
            log.warning("merchant %s, %s: a batch took longer than its lease", merchant_id, platform)
            return True
        if batch.alone or time.monotonic() > ends:
            return True  # a probe, or a step of a release, is done: the row says what is next
    return True


def _claim(
    runtime: Runtime, worker: int, merchant_id: int, platform: str, now: datetime, turn: Turn
) -> tuple[Batch, list[Claimed]] | None:
    mapper = mapper_for(platform)
    with in_transaction():
        row = db_destinations.destination(merchant_id, platform)
        if row is None or not _may_send(row, now):
            return None
        limit = turn.limit(mapper.batch_size)
        alone = row.state == DestinationState.HELD or row.recovering_since is not None
        if alone:
            row = db_destinations.lock_destination(merchant_id, platform)
            if row is None or not _may_send(row, now):
                return None
            health = db_destinations.health_of(row)
            if health.state is DestinationState.HELD:
                limit = 1
            else:
                pace = release_pace(health, now)
                limit = min(limit, max(1, int(pace * RELEASE_REQUEST.total_seconds()))) if pace else limit
                alone = pace is not None
        taken = db.claim_due(merchant_id, platform, limit, now, worker)
        turn.claimed(len(taken[1]) if taken else 0, limit)
        if taken is None:
            return None
        if alone:
            # The turn is this worker's: nobody else looks before this one could have an answer.
            db_destinations.set_health(merchant_id, platform, replace(health, resume_at=now + FIRST_PROBE))
    lease, claimed = taken
    try:
        settings = open_settings(runtime.sealer, row)
    except SealError:
        tell_closed(runtime, merchant_id, platform)
        with in_transaction():
            db.end_lease(lease)
        return None
    except Exception:
        with in_transaction():
            db.end_lease(lease)
        raise
    destination = Destination(
        merchant_id,
        platform,
        settings,
        tuple(row.event_names) if row.event_names is not None else None,
        db_destinations.health_of(row),
    )
    return Batch(lease, destination, mapper, turn, alone), claimed


def _may_send(row: DestinationRow, now: datetime) -> bool:
    return row.state != DestinationState.PAUSED and (row.resume_at is None or row.resume_at <= now)


def _deliver_batch(runtime: Runtime, batch: Batch, claimed: Sequence[Claimed]) -> None:
    """Maps, sends and settles, request by request: what the platform took is written before the next one goes out.

    Before a request leaves, the lease says which deliveries are in it: should this process die, those are unknown and
    the others have certainly not been sent. A refused request is halved until the culprit stands alone.
    """
    now = runtime.clock.now()
    with batch.turn.work():
        unsent, groups = _map_batch(runtime, batch, claimed, now)
        todo = deque(chunk for group in groups.values() for chunk in _chunks(batch.mapper, group))
        with in_transaction():
            _settle_or_lose(batch, [], unsent, now, todo[0] if todo else None)
            if not todo and batch.alone:
                _give_turn_back(batch)
    while todo:
        items = todo.popleft()
        started_at = runtime.clock.now()
        verdict = _ask(runtime, batch, items)
        if isinstance(verdict, BatchRejected):
            if len(items) > 1:
                middle = len(items) // 2
                todo.extendleft([items[middle:], items[:middle]])
                with in_transaction():
                    _settle_or_lose(batch, [], [], runtime.clock.now(), todo[0])
                continue
            verdict = [verdict.rejected]
        with batch.turn.work():
            _settle(runtime, batch, items, verdict, started_at, todo)


def _map_batch(
    runtime: Runtime, batch: Batch, claimed: Sequence[Claimed], now: datetime
) -> tuple[list[Settlement], dict[str, list[Item]]]:
    """(what is not sent and why, the others by the group that shares a request)."""
    unsent: list[Settlement] = []
    by_group: dict[str, list[Item]] = {}
    for number, found in enumerate(claimed):
        if number % STEP == 0:
            batch.turn.look_around()
        if found.claim.window_ends_at <= now:
            refusal = Refusal(DropReason.WINDOW_EXPIRED, "not sent within its window")
            unsent.append(judge_unsent(found.claim, refusal))
            continue
        mapped = _map(runtime, batch, found, now)
        match mapped:
            case Mapped():
                by_group.setdefault(mapped.group, []).append(Item(found.claim, mapped, found.event))
            case Refused():
                unsent.append(judge_unsent(found.claim, mapped.as_refusal()))
            case Settlement():
                unsent.append(mapped)
    return unsent, by_group


def _give_turn_back(batch: Batch) -> None:
    """A turn that sent nothing told nothing about the platform: the next one may go at once."""
    destination = batch.destination
    row = db_destinations.lock_destination(destination.merchant_id, destination.platform)
    if row is not None and row.state != DestinationState.PAUSED:
        health = replace(db_destinations.health_of(row), resume_at=destination.health.resume_at)
        db_destinations.set_health(destination.merchant_id, destination.platform, health)


def _map(runtime: Runtime, batch: Batch, found: Claimed, now: datetime) -> Mapped | Refused | Settlement:
    try:
        event = persist.to_event(found.event, runtime.sealer)
        return batch.mapper.map_event(event, batch.destination.settings, now)
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        # A bug in a mapping, or a key that was taken away: this event waits for the mended version, its neighbours go.
        # The error's words may quote what it stumbled on.
        if isinstance(error, SealError):
            tell_closed(runtime, batch.destination.merchant_id, batch.destination.platform)
        else:
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error("mapping failed for %s: %s\n%s", found.claim.key, type(error).__name__, trace)
        outcome = Rejected("TRACKLAYER_ERROR", "TrackLayer could not map this event: its operator has the trace")
        return judge_attempt(
            found.claim,
            outcome,
            started_at=now,
            now=now,
            policy=_policy(runtime),
            jitter=runtime.jitter(),
            health=batch.destination.health,
        )


def _chunks(mapper: Mapper, items: Sequence[Item]) -> list[list[Item]]:
    """Requests that keep the platform's limits of count and bytes."""
    chunks: list[list[Item]] = []
    size = 0
    for item in items:
        # The envelope around the items is small; the limit is kept with room for it.
        length = len(orjson.dumps(item.mapped.item)) + 1 if mapper.max_batch_bytes else 0
        full = not chunks or len(chunks[-1]) >= mapper.batch_size
        if full or (mapper.max_batch_bytes and size + length > mapper.max_batch_bytes - 4096):
            chunks.append([])
            size = 0
        chunks[-1].append(item)
        size += length
    return chunks


def _ask(runtime: Runtime, batch: Batch, items: Sequence[Item]) -> Verdict:
    """What one request with these items came to."""
    destination = batch.destination
    bodies = [item.mapped.item for item in items]
    request = batch.mapper.build_request(items[0].mapped.group, bodies, destination.settings)
    reply = send(runtime.http(), destination.platform, request, runtime.settings.sandbox_url, runtime.tokens)
    return read_verdict(batch.mapper, reply, len(items))


def read_verdict(mapper: Mapper, reply: Reply, count: int) -> Verdict:
    """What a reply means for each item, also where there was none."""
    match reply:
        case NotSent(reason=reason):
            return [Unreachable(reason, may_have_arrived=False)] * count
        case NoAnswer(reason=reason):
            return [Unknown(reason)] * count
        case TokenRefused(code=code, status=status):
            return [CredentialsRefused(code, "the credentials were refused when a token was asked for", status)] * count
        case PlatformReply():
            return mapper.read_reply(reply, count)


def _settle(
    runtime: Runtime,
    batch: Batch,
    items: Sequence[Item],
    outcomes: Sequence[Outcome],
    started_at: datetime,
    todo: deque[list[Item]],
) -> None:
    """Writes what one request came to. Empties ``todo`` where the destination must rest first."""
    now = runtime.clock.now()
    destination = batch.destination
    outcomes = _without_sealed(runtime, batch, items, outcomes, started_at)
    with in_transaction():
        health = destination.health
        if judge_health(health, outcomes, now, started_at) != health:
            row = db_destinations.lock_destination(destination.merchant_id, destination.platform)
            if row is not None:
                before = db_destinations.health_of(row)
                health = judge_health(before, outcomes, now, started_at)
                if health != before:
                    db_destinations.set_health(destination.merchant_id, destination.platform, health)
                    _tell(destination, before.state, health.state, health.reason)
        delivered: dict[int | None, list[str]] = {}
        settlements = []
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Acknowledged):
                delivered.setdefault(outcome.http_status, []).append(item.claim.key.event_id)
            else:
                settlements.append(
                    judge_attempt(
                        item.claim,
                        outcome,
                        started_at=started_at,
                        now=now,
                        policy=_policy(runtime),
                        jitter=runtime.jitter(),
                        health=health,
                    )
                )
        if health.state is not DestinationState.ACTIVE or (health.resume_at is not None and health.resume_at > now):
            todo.clear()
        acknowledged = [Delivered(ids, status, started_at) for status, ids in delivered.items()]
        _settle_or_lose(batch, acknowledged, settlements, now, todo[0] if todo else None)


def _without_sealed(
    runtime: Runtime, batch: Batch, items: Sequence[Item], outcomes: Sequence[Outcome], as_of: datetime
) -> list[Outcome]:
    """The outcomes, their words without what the platform quotes of the sealed data of the events they are about."""
    about: dict[str, list[Item]] = {}
    for item, outcome in zip(items, outcomes, strict=True):
        if not isinstance(outcome, Acknowledged):
            about.setdefault(outcome.message, []).append(item)
    if not about:
        return list(outcomes)
    told = {}
    for words, those in about.items():
        sent = [(item.event, item.mapped.item) for item in those]
        told[words] = without_sealed(words, sent, batch.mapper, batch.destination.settings, as_of, runtime.sealer)
    return [
        outcome if isinstance(outcome, Acknowledged) else replace(outcome, message=told[outcome.message])
        for outcome in outcomes
    ]


def _settle_or_lose(
    batch: Batch,
    delivered: Sequence[Delivered],
    settlements: Sequence[Settlement],
    now: datetime,
    following: Sequence[Item] | None,
) -> None:
    """Writes verdicts and what is sent next, or that nothing is: in one transaction, which the caller holds.

    Raises LeaseLostError, and so undoes all of it, where others have taken the batch over.
    """
    changes = Changes()
    ids = [item.claim.key.event_id for item in following or ()]
    held = db.start_sending(batch.lease, ids, now) if ids else db.end_lease(batch.lease)
    if not held:
        raise LeaseLostError
    for done in delivered:
        db.settle_delivered(batch.lease, done, now, changes)
    db.settle_deliveries(batch.lease, settlements, now, changes)
    changes.write()


def _tell(destination: Destination, before: DestinationState, after: DestinationState, reason: str | None) -> None:
    if before is not after:
        log.warning(
            "merchant %s, %s: %s -> %s (%s)",
            destination.merchant_id,
            destination.platform,
            before,
            after,
            reason or "answers again",
        )


def _policy(runtime: Runtime) -> RetryPolicy:
    return RetryPolicy(runtime.settings.retry_base, runtime.settings.retry_window)


@dataclass(frozen=True)
class Swept:
    """What one sweep did, and whom to wake."""

    taken_back: int
    dropped: int
    wake: list[tuple[int, str]]


def sweep(runtime: Runtime) -> Swept:
    """The one rescue: takes back lost claims, drops what ran out of time, names destinations that have work.

    Each part is bounded and in transactions of its own, so any number of sweeps may run at once.
    """
    now = runtime.clock.now()
    taken_back = _take_back(runtime, now)
    with in_transaction():
        expired, removed = db.queues_to_drop_from(now, SWEEP_ROWS)
    dropped = 0
    for queues, drop in ((expired, db.drop_expired), (removed, db.drop_removed)):
        for merchant_id, platform in queues[:SWEEP_QUEUES]:
            with in_transaction():
                changes = Changes()
                dropped += drop(merchant_id, platform, now, SWEEP_ROWS, changes)
                changes.write()
    with in_transaction():
        wake = db_destinations.due_destinations(now, DUE_DESTINATIONS)
    return Swept(taken_back, dropped, wake)


def _take_back(runtime: Runtime, now: datetime) -> int:
    """Ends the leases of workers that are gone; how many deliveries were in them on their way to a platform."""
    with in_transaction():
        lost = db.lost_leases(now, SWEEP_LEASES)
        changes = Changes()
        for found in lost:
            settlements = [
                judge_lost_claim(claim, claimed_at=found.sent_at or now, now=now, policy=_policy(runtime))
                for claim in found.in_flight
            ]
            db.settle_deliveries(found.lease, settlements, now, changes)
            db.end_lease(found.lease)
        changes.write()
    in_flight = sum(len(found.in_flight) for found in lost)
    if lost:
        log.warning(
            "took back %d batches of workers that are gone, %d of their deliveries without an answer",
            len(lost),
            in_flight,
        )
    return in_flight
