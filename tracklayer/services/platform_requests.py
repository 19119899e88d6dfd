"""What goes to a platform, and what it says: maps a claimed batch, puts it into requests, sends one, and reads its answer.

Nothing here writes to the database. A fault of ours costs one event or one request, never its neighbours: it is logged without
its words, and becomes a settlement or an outcome like any other.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from tracklayer import files, metrics
from tracklayer.db.events import EventToMap
from tracklayer.db.leases import Claimed, Lease
from tracklayer.domain.delivery import (
    Acknowledged,
    AttemptOutcome,
    BatchRejected,
    Claim,
    CredentialsRefused,
    Destination,
    DropReason,
    NoAnswer,
    NotBuilt,
    NotSent,
    Outcome,
    PlatformReply,
    RateLimited,
    Refusal,
    Rejected,
    Reply,
    Settlement,
    TokenRefused,
    Unknown,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import Event
from tracklayer.domain.retry import (
    RetryPolicy,
    judge_early,
    judge_unbuilt,
    judge_unsent,
)
from tracklayer.mappers.base import Mapped, Mapper, Refused
from tracklayer.mappers.outgoing import map_event
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist
from tracklayer.services.alone import tell_fault, tell_want
from tracklayer.services.payload import Many, names_within, without_names, without_sealed
from tracklayer.services.stitch import Stitching
from tracklayer.services.transport import NotWrittenError, send
from tracklayer.tracing import Steps
from tracklayer.turns import STEP, Turn

log = logging.getLogger(__name__)

CANNOT_BUILD = "TrackLayer could not make the request: its operator has the trace"
CANNOT_MAP = "TrackLayer could not map this event: its operator has the trace"
CANNOT_UNSEAL = "TrackLayer lacks the key that this event's data was sealed with: its operator has to put it back"
KEY_PUT_OFF = timedelta(seconds=30)
NO_CONNECTION = "TrackLayer could open no connection, for want of files: its operator is told"
FILES_PUT_OFF = timedelta(seconds=15)
CANNOT_READ = "TrackLayer could not read the platform's answer: its operator has the trace"
MOST_NOTES = 3  # of one request that are told
UNREAD = Unknown(CANNOT_READ)
WITHHELD = "what the platform said is not shown: TrackLayer could not tell whether it quotes personal data"
_NAMES = {
    Acknowledged: AttemptOutcome.ACKNOWLEDGED.value,
    Rejected: AttemptOutcome.REJECTED.value,
    RateLimited: AttemptOutcome.RATE_LIMITED.value,
    CredentialsRefused: AttemptOutcome.CREDENTIALS_REFUSED.value,
    Unreachable: AttemptOutcome.UNREACHABLE.value,
    Unknown: AttemptOutcome.UNKNOWN.value,
}


class Item(NamedTuple):
    """One claimed delivery, mapped."""

    claim: Claim
    mapped: Mapped
    event: EventToMap


@dataclass(frozen=True)
class Batch:
    """One claim on one destination. ``turn_ends_at``: the destination is probed or recovers, so one batch goes at a time.

    ``stitching``: None where the merchant's events are not stitched. ``items``: how many of it are sent, once that is known.
    ``stitched``: event id -> the event with what was added to it. ``steps``: for the traces of its events, where any is
    written.
    """

    lease: Lease
    destination: Destination
    mapper: Mapper
    turn: Turn
    turn_ends_at: datetime | None
    stitching: Stitching | None = None
    items: int = 0
    steps: Steps | None = None
    stitched: Mapping[str, Event] = field(default_factory=dict)


def map_batch(
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
                settled = judge_unsent(found.claim, mapped.as_refusal())
                unsent.append(replace(settled, came_too_late=_came_too_late(batch, found, mapped)))
            case Settlement():
                unsent.append(mapped)
    return unsent, by_group


def _came_too_late(batch: Batch, found: Claimed, refused: Refused) -> bool:
    """Whether it was too old for the platform when it arrived: an import of old events, and no fault of what delivers."""
    if refused.reason is not DropReason.EVENT_TOO_OLD:
        return False
    limit = batch.mapper.oldest_age(found.event.action_source, batch.destination.settings)
    return limit is not None and found.claim.received_at - found.event.occurred_at >= limit


def _map(runtime: Runtime, batch: Batch, found: Claimed, now: datetime) -> Mapped | Refused | Settlement:
    try:
        event = batch.stitched.get(found.event.event_id) or persist.to_event(found.event, runtime.sealer)
        mapped = map_event(batch.mapper, event, batch.destination.settings, now)
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        # A bug in a mapping, or a key that was taken away: this event waits for the mended version, its neighbours go.
        tell_fault_at(runtime, "mapping", found.claim, error)
        if isinstance(error, SealError):  # a process that has the key may have it soon
            return judge_unbuilt(found.claim, CANNOT_UNSEAL, now, KEY_PUT_OFF)
        return judge_unbuilt(found.claim, CANNOT_MAP, now)
    if isinstance(mapped, Mapped) and mapped.not_before is not None and mapped.not_before > now:
        return judge_early(found.claim, mapped.not_before)
    return mapped


def tell_fault_at(runtime: Runtime, what: str, claim: Claim, error: Exception) -> None:
    tell_fault(runtime, f"{what} for {claim.key.platform}", error, claim.key)


def chunks(
    runtime: Runtime, mapper: Mapper, items: Sequence[Item], now: datetime, unsent: list[Settlement]
) -> list[list[Item]]:
    """Requests that keep the platform's limits of count and bytes. What cannot be measured is put off, in ``unsent``."""
    chunks: list[list[Item]] = []
    size = length = 0
    for item in items:
        if mapper.max_batch_bytes:
            try:
                length = len(orjson.dumps(item.mapped.item)) + 1
            except Exception as error:  # noqa: BLE001 - it is logged, without its words
                tell_fault_at(runtime, "writing a request", item.claim, error)
                unsent.append(judge_unbuilt(item.claim, CANNOT_BUILD, now))
                continue
        # The envelope around the items is small; the limit is kept with room for it.
        full = not chunks or len(chunks[-1]) >= mapper.batch_size
        if full or (mapper.max_batch_bytes and size + length > mapper.max_batch_bytes - 4096):
            chunks.append([])
            size = 0
        chunks[-1].append(item)
        size += length
    return chunks


def ask(
    runtime: Runtime, batch: Batch, items: Sequence[Item], may_leave: Callable[[], bool] | None = None
) -> Verdict | NotBuilt:
    """What one request with these items came to. A fault of ours before it was sent is no answer, and one after it is none
    that anybody can read: nobody knows then what arrived. ``may_leave``: as for ``transport.send``.
    """
    destination = batch.destination
    try:
        bodies = [item.mapped.item for item in items]
        request = batch.mapper.build_request(items[0].mapped.group, bodies, destination.settings)
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        tell_fault_at(runtime, "building a request", items[0].claim, error)
        return NotBuilt(CANNOT_BUILD)
    try:
        http = runtime.http()
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        if files.are_wanting(error):
            return _wanting_files(runtime, destination.platform)
        tell_fault_at(runtime, "making a client", items[0].claim, error)
        return NotBuilt(CANNOT_BUILD)
    if batch.steps is not None:
        batch.steps.sends()
    try:
        with metrics.PlatformRequest(destination.platform) as asked:
            sandbox_url = runtime.settings.sandbox_url
            reply = send(http, destination.platform, request, sandbox_url, runtime.tokens, may_leave)
            asked.answer = answer_of(reply)
    except NotWrittenError as error:
        tell_fault_at(runtime, "writing a request", items[0].claim, error)
        return NotBuilt(CANNOT_BUILD)
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        tell_fault_at(runtime, "sending", items[0].claim, error)
        return [UNREAD] * len(items)
    if isinstance(reply, NotSent) and reply.is_ours:
        return _wanting_files(runtime, destination.platform)
    if batch.steps is not None:
        batch.steps.answered(reply.status if isinstance(reply, PlatformReply) else None)
    try:
        verdict = read_verdict(batch.mapper, reply, len(items))
        if isinstance(verdict, BatchRejected) or len(verdict) == len(items):
            return verdict
        raise ValueError("not as many outcomes as items")
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        tell_fault_at(runtime, "reading an answer", items[0].claim, error)
        return [UNREAD] * len(items)


def _wanting_files(runtime: Runtime, platform: str) -> NotBuilt:
    tell_want(runtime, f"sending to {platform}", files.NONE_LEFT)
    return NotBuilt(NO_CONNECTION, FILES_PUT_OFF, is_of_all=True)


def answer_of(reply: Reply) -> str:
    """The class of an answer, as it is counted."""
    match reply:
        case NotSent():
            return "not_sent"
        case NoAnswer():
            return "no_answer"
        case TokenRefused():
            return "token_refused"
        case PlatformReply(status=status):
            return f"{status // 100}xx"


def read_verdict(mapper: Mapper, reply: Reply, count: int) -> Verdict:
    """What a reply means for each item, also where there was none."""
    match reply:
        case NotSent(reason=reason, is_of_merchant=is_own):
            return [Unreachable(reason, may_have_arrived=False, is_of_merchant=is_own)] * count
        case NoAnswer(reason=reason):
            return [Unknown(reason)] * count
        case TokenRefused(code=code, status=status):
            return [CredentialsRefused(code, "the credentials were refused when a token was asked for", status)] * count
        case PlatformReply():
            return mapper.read_reply(reply, count)


def names_of(verdict: Sequence[Outcome] | NotBuilt, count: int) -> list[str]:
    """What each of so many came to, in a word."""
    if isinstance(verdict, NotBuilt):
        return ["not_built"] * count
    return [_NAMES[type(outcome)] for outcome in verdict]


def without_quotes(
    runtime: Runtime, batch: Batch, items: Sequence[Item], outcomes: Sequence[Outcome], as_of: datetime
) -> list[Outcome]:
    """The outcomes, their words without what the platform quotes of the sealed data of the events they are about, and without what
    names an event that they are not about.

    What is said of a whole request, or of the destination, is about no event. An order's id, and a page, goes in any case: words
    become a part of alerts and messages, which outlive an event.
    """
    try:
        return _cleaned(runtime, batch, items, outcomes, as_of)
    except Exception as error:  # noqa: BLE001 - an answer that was read is worth more than its words
        tell_fault_at(runtime, "cleaning an answer's words", items[0].claim, error)
        return [_reworded(outcome, WITHHELD) if _words_of(outcome) else outcome for outcome in outcomes]


def _cleaned(
    runtime: Runtime, batch: Batch, items: Sequence[Item], outcomes: Sequence[Outcome], as_of: datetime
) -> list[Outcome]:
    about: dict[str, list[Item]] = {}
    for item, outcome in zip(items, outcomes, strict=True):
        if words := _words_of(outcome):
            about.setdefault(words, []).append(item)
    if not about:
        return list(outcomes)
    told = {}
    names = [names_within(item.event, item.mapped.item, about) for item in items]
    every = Many(names)
    for words, those in about.items():
        sent = [(item.event, item.mapped.item) for item in those]
        told[words] = without_sealed(
            words, sent, batch.mapper, batch.destination.settings, as_of, runtime.sealer, batch.stitched
        )
    cleaned, of_many = [], dict[str, str]()
    for outcome, own in zip(outcomes, names, strict=True):
        words = _words_of(outcome)
        if not words:
            cleaned.append(outcome)
        elif len(about[words]) == 1 and isinstance(outcome, Acknowledged | Rejected):
            cleaned.append(_reworded(outcome, without_names(told[words], every, own)))
        else:
            if words not in of_many:
                of_many[words] = without_names(told[words], every)
            cleaned.append(_reworded(outcome, of_many[words]))
    return cleaned


def _words_of(outcome: Outcome) -> str:
    """What the platform said; empty where it took it and said nothing."""
    return outcome.note if isinstance(outcome, Acknowledged) else outcome.message


def _reworded(outcome: Outcome, words: str) -> Outcome:
    return replace(outcome, note=words) if isinstance(outcome, Acknowledged) else replace(outcome, message=words)


def tell_notes(destination: Destination, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
    """What the platform said of what it took: the merchant finds it with the delivery, and whoever runs this in the log, which names
    no event. ``outcomes``: after ``without_quotes``.
    """
    notes = Counter(one for one in outcomes if isinstance(one, Acknowledged) and one.note)
    for one, count in notes.most_common(MOST_NOTES):
        words = one.note
        if count == 1:  # it may be about that event, and name it
            item = items[outcomes.index(one)]
            words = without_names(words, Many([names_within(item.event, item.mapped.item, [words])]))
        log.warning(
            "merchant %s, %s: %s of %s taken with a note (%s): %s",
            destination.merchant_id,
            destination.platform,
            count,
            len(outcomes),
            one.code,
            words,
            extra={
                "kind": "taken_with_a_note",
                "merchant_id": destination.merchant_id,
                "platform": destination.platform,
                "alike": one.code,
            },
        )


def retry_policy(runtime: Runtime) -> RetryPolicy:
    """What the operator set: the pace of retries, and the window that they end with."""
    return RetryPolicy(runtime.settings.retry_base, runtime.settings.retry_window)
