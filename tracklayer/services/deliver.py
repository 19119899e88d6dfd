"""Delivers what is due: claim a batch, map it, send it, settle it, and again until nothing is due."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from tracklayer.db import deliveries as db
from tracklayer.db import destinations as db_destinations
from tracklayer.db.connection import in_transaction
from tracklayer.db.deliveries import Claimed
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import (
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
)
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped, Mapper, Refused
from tracklayer.runtime import Runtime
from tracklayer.services import persist
from tracklayer.services.credentials import open_settings
from tracklayer.services.transport import send

log = logging.getLogger(__name__)

BATCHES = 20  # of one wake-up: then the worker's thread is free for others, and the wake-up is sent again
SWEEP_ROWS = 2000  # of each kind of one sweep
DUE_DESTINATIONS = 10_000  # woken by one sweep


@dataclass(frozen=True, slots=True)
class Item:
    """One claimed delivery, mapped."""

    claim: Claim
    mapped: Mapped


@dataclass(frozen=True)
class Batch:
    """One claim on one destination. ``health`` changes as its requests are answered."""

    claim_id: int
    destination: Destination
    mapper: Mapper


def deliver_due(runtime: Runtime, worker: int, merchant_id: int, platform: str) -> bool:
    """Delivers what is due at one destination. True where there is more to do: wake it again.

    Safe to call any number of times at once: claims never overlap. ``worker`` is the number whose lock this process
    holds, so that others know its claims are alive.
    """
    for _ in range(BATCHES):
        now = runtime.clock.now()
        taken = _claim(runtime, worker, merchant_id, platform, now)
        if taken is None:
            return False
        batch, claimed = taken
        health_before = batch.destination.health.state
        _deliver_batch(runtime, batch, claimed)
        if health_before is DestinationState.HELD:
            return True  # the probe is done: whatever it found out, the row says it now
    return True


def _claim(
    runtime: Runtime, worker: int, merchant_id: int, platform: str, now: datetime
) -> tuple[Batch, list[Claimed]] | None:
    mapper = mapper_for(platform)
    with in_transaction():
        row = db_destinations.destination(merchant_id, platform)
        if row is None or not _may_send(row, now):
            return None
        limit = mapper.batch_size
        if row.state == DestinationState.HELD:
            row = db_destinations.lock_destination(merchant_id, platform)
            if row is None or not _may_send(row, now):
                return None
            # The probe is this worker's: nobody else looks before this one could have an answer.
            health = db_destinations.health_of(row)
            db_destinations.set_health(merchant_id, platform, replace(health, resume_at=now + FIRST_PROBE))
            limit = 1
        claim_id, claimed = db.claim_due(merchant_id, platform, limit, now, worker)
    if not claimed:
        return None
    try:
        settings = open_settings(runtime.sealer, row)
    except Exception:
        with in_transaction():
            db.release_claims(claim_id, [found.claim for found in claimed])
        raise
    destination = Destination(
        merchant_id,
        platform,
        settings,
        tuple(row.event_names) if row.event_names is not None else None,
        db_destinations.health_of(row),
    )
    return Batch(claim_id, destination, mapper), claimed


def _may_send(row: DestinationRow, now: datetime) -> bool:
    return row.state != DestinationState.PAUSED and (row.resume_at is None or row.resume_at <= now)


def _deliver_batch(runtime: Runtime, batch: Batch, claimed: Sequence[Claimed]) -> None:
    now = runtime.clock.now()
    unsent: list[Settlement] = []
    by_group: dict[str, list[Item]] = {}
    for found in claimed:
        if found.claim.window_ends_at <= now:
            refusal = Refusal(DropReason.WINDOW_EXPIRED, "not sent within its window")
            unsent.append(judge_unsent(found.claim, refusal))
            continue
        mapped = _map(runtime, batch, found, now)
        match mapped:
            case Mapped():
                by_group.setdefault(mapped.group, []).append(Item(found.claim, mapped))
            case Refused():
                unsent.append(judge_unsent(found.claim, mapped.as_refusal()))
            case Settlement():
                unsent.append(mapped)
    with in_transaction():
        db.settle_deliveries(batch.claim_id, unsent, runtime.clock.now())
    chunks = [chunk for group in by_group.values() for chunk in _chunks(batch.mapper, group)]
    for index, chunk in enumerate(chunks):
        if not _send_and_settle(runtime, batch, chunk):
            left = [item.claim for later in chunks[index + 1 :] for item in later]
            with in_transaction():
                db.release_claims(batch.claim_id, left)
            return


def _map(runtime: Runtime, batch: Batch, found: Claimed, now: datetime) -> Mapped | Refused | Settlement:
    try:
        event = persist.to_event(found.event, runtime.sealer)
        return batch.mapper.map_event(event, batch.destination.settings, now)
    except Exception:
        # A bug in a mapping, or a key that was taken away: this event waits for the mended version, its neighbours go.
        log.exception("mapping failed for %s", found.claim.key)
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


def _send_and_settle(runtime: Runtime, batch: Batch, items: Sequence[Item]) -> bool:
    """Sends one request, halved until a culprit stands alone. False where the destination must rest first.

    Settled request by request: what the platform took is written before the next request goes out.
    """
    destination = batch.destination
    started_at = runtime.clock.now()
    bodies = [item.mapped.item for item in items]
    request = batch.mapper.build_request(items[0].mapped.group, bodies, destination.settings)
    reply = send(runtime.http(), destination.platform, request, runtime.settings.sandbox_url, runtime.tokens)
    verdict = read_verdict(batch.mapper, reply, len(items))
    if isinstance(verdict, BatchRejected):
        if len(items) == 1:
            verdict = [verdict.rejected]
        else:
            middle = len(items) // 2
            if not _send_and_settle(runtime, batch, items[:middle]):
                with in_transaction():
                    db.release_claims(batch.claim_id, [item.claim for item in items[middle:]])
                return False
            return _send_and_settle(runtime, batch, items[middle:])
    return _settle(runtime, batch, items, verdict, started_at)


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
    runtime: Runtime, batch: Batch, items: Sequence[Item], outcomes: Sequence[Outcome], started_at: datetime
) -> bool:
    now = runtime.clock.now()
    destination = batch.destination
    with in_transaction():
        health = destination.health
        if judge_health(health, outcomes, now) != health:
            row = db_destinations.lock_destination(destination.merchant_id, destination.platform)
            if row is not None:
                before = db_destinations.health_of(row)
                health = judge_health(before, outcomes, now)
                if health != before:
                    db_destinations.set_health(destination.merchant_id, destination.platform, health)
                    _tell(destination, before.state, health.state, health.reason)
        settlements = [
            judge_attempt(
                item.claim,
                outcome,
                started_at=started_at,
                now=now,
                policy=_policy(runtime),
                jitter=runtime.jitter(),
                health=health,
            )
            for item, outcome in zip(items, outcomes, strict=True)
        ]
        db.settle_deliveries(batch.claim_id, settlements, now)
    return health.state is DestinationState.ACTIVE and (health.resume_at is None or health.resume_at <= now)


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

    Each part is one bounded statement, so any number of sweeps may run at once.
    """
    now = runtime.clock.now()
    with in_transaction():
        lost = db.lost_claims(now, SWEEP_ROWS)
        by_claim: dict[int, list[Settlement]] = {}
        for claim_id, claimed_at, claim in lost:
            settlement = judge_lost_claim(claim, claimed_at=claimed_at, now=now, policy=_policy(runtime))
            by_claim.setdefault(claim_id, []).append(settlement)
        for claim_id, settlements in by_claim.items():
            db.settle_deliveries(claim_id, settlements, now)
    if lost:
        log.warning("took back %d deliveries of workers that are gone", len(lost))
    with in_transaction():
        dropped = db.drop_expired(now, SWEEP_ROWS) + db.drop_removed(now, SWEEP_ROWS)
        wake = db_destinations.due_destinations(now, DUE_DESTINATIONS)
    return Swept(len(lost), dropped, wake)
