"""Deliveries: settled in one statement, read by event and by page."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import LATENCY_BOUNDS, Changes
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.db.leases import KEEP_IN_LEASE, Lease
from tracklayer.db.queues import lock_queue
from tracklayer.db.refused_names import IS_FIRST
from tracklayer.domain.delivery import (
    UNMAPPABLE,
    AttemptOutcome,
    DeliveryKey,
    DeliveryStatus,
    DropReason,
    LoggedAttempt,
    Settlement,
)
from tracklayer.domain.retry import MOST_MS

LOG_LENGTH = 20  # entries kept of an attempt log: five attempts, twice redelivered, and what came between


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """``requeued_at``: when it was redelivered last; ``former_waits``: from when until when it had waited before."""

    merchant_id: int
    event_id: str
    platform: str
    status: str
    attempts: int
    received_at: datetime
    queued_at: datetime
    window_ends_at: datetime
    due_at: datetime | None
    next_retry_at: datetime | None
    last_attempt_at: datetime | None
    delivered_at: datetime | None
    finished_at: datetime | None
    latency_ms: int | None
    drop_reason: str | None
    last_error: str | None
    error_code: str | None
    attempt_log: list[dict[str, Any]]
    requeued_at: datetime | None
    former_waits: list[tuple[str, str]] | None  # instants as text

    @property
    def key(self) -> DeliveryKey:
        return DeliveryKey(self.merchant_id, self.event_id, self.platform)


def just_queued(
    merchant_id: int, event_id: str, platform: str, received_at: datetime, window: timedelta
) -> DeliveryRow:
    """A delivery as it is when its event has just been taken in."""
    return DeliveryRow(
        merchant_id=merchant_id,
        event_id=event_id,
        platform=platform,
        status="queued",
        attempts=0,
        received_at=received_at,
        queued_at=received_at,
        window_ends_at=received_at + window,
        due_at=received_at,
        next_retry_at=None,
        last_attempt_at=None,
        delivered_at=None,
        finished_at=None,
        latency_ms=None,
        drop_reason=None,
        last_error=None,
        error_code=None,
        attempt_log=[],
        requeued_at=None,
        former_waits=None,
    )


COLUMNS = (
    "merchant_id, event_id, platform, status, attempts, received_at, queued_at, window_ends_at, due_at, next_retry_at, "
    "last_attempt_at, delivered_at, finished_at, latency_ms, drop_reason, last_error, error_code, attempt_log, "
    "requeued_at, former_waits"
)


# The same rows as those with ``due_at`` (the table's check), said so that no index of waiting rows fits: the planner must
# go by event id, however many wait and however old its statistics are.
NOT_DONE = "status NOT IN ('delivered', 'dropped')"


# What was stored before its destination took it waited for nobody: it is no part of how fast others were.
_IN_TIME = "queued_at <= received_at"

_LATENCY = f"least({MOST_MS}, greatest(0, round(extract(epoch FROM %(now)s::timestamptz - received_at) * 1000)))"
# Whether the delivery had come to something before the series of attempts in which one was told that nobody knows the fate of:
# where its answer comes late, the next series may have begun.
_IN_SERIES = """CASE WHEN d.requeued_at IS NOT NULL AND x.logged ->> 'outcome' = 'unknown'
            THEN jsonb_build_object('again', coalesce(d.had_outcome, true)) ELSE '{}' END"""
# The log of attempts without its oldest, where it is full.
_ROOM_IN_LOG = "CASE WHEN jsonb_array_length(attempt_log) >= %(log)s THEN attempt_log - 0 ELSE attempt_log END"
# What an acknowledgement makes of a row. ``started``, ``now``, ``at``, ``status``, ``duration``, ``said`` and ``log``: of the
# request; ``said`` is what ``Delivered.said`` gives.
AS_DELIVERED = f"""
    SET status = 'delivered', attempts = attempts + 1, due_at = NULL, next_retry_at = NULL,
        last_attempt_at = {{started}}, delivered_at = %(now)s, finished_at = %(now)s,
        latency_ms = {_LATENCY},
        attempt_log = {_ROOM_IN_LOG}
            || (jsonb_build_object('number', attempts + 1, 'at', {{at}}, 'outcome', 'acknowledged', 'http_status', {{status}},
                                   'error', NULL, 'duration_ms', {{duration}}) || {{said}})"""
_OF_ONE = {
    "started": "%(started)s",
    "at": "%(at)s::text",
    "status": "%(status)s::int",
    "duration": "%(duration)s::int",
    "said": "%(said)s::jsonb",
}
PLACE = f"CASE WHEN {_IN_TIME} THEN width_bucket(latency_ms, %(bounds)s::int[]) END"

SETTLE_DELIVERED = f"""
WITH done AS (
    UPDATE deliveries {AS_DELIVERED.format(**_OF_ONE)}
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND event_id = ANY(%(ids)s) AND {NOT_DONE}
    RETURNING received_at, latency_ms, attempts, queued_at
)
SELECT date_trunc('minute', received_at, 'UTC') AS minute, {PLACE} AS place, count(*), count(*) FILTER (WHERE attempts > 1)
FROM done GROUP BY minute, place
"""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one request brought to its end: the platform acknowledged these, all of them at once, and in the same words.

    ``note`` and ``code``: as of ``Acknowledged``.
    """

    event_ids: Sequence[str]
    http_status: int | None
    started_at: datetime
    note: str = ""
    code: str = ""

    @property
    def said(self) -> dict[str, str]:
        """What stands of it in the attempt log besides: nothing, or the note and its code."""
        return {"note": self.note, "code": self.code} if self.note else {}


def settle_delivered(lease: Lease, delivered: Delivered, now: datetime, changes: Changes) -> int:
    """Writes acknowledgements to rows of a lease that this transaction holds; how many."""
    params = _of_delivered(lease, delivered, now)
    total = 0
    for minute, place, count, again in rows(SETTLE_DELIVERED, params):  # type: ignore[arg-type]
        count_delivered(lease.merchant_id, lease.platform, minute, place, count, again, now, changes)
        total += count
    if total < len(delivered.event_ids):
        note_repeats(lease, repeats_of(delivered, now), now, changes)
    return total


def repeats_of(delivered: Delivered, now: datetime) -> list[Repeat]:
    """What is told of an acknowledged request, of each of its deliveries that is delivered already."""
    logged = LoggedAttempt(
        1,
        delivered.started_at,
        AttemptOutcome.ACKNOWLEDGED,
        delivered.http_status,
        None,
        duration_ms(delivered, now),
        delivered.code or None,
        delivered.note or None,
    )
    return [Repeat(event_id, logged, 1) for event_id in delivered.event_ids]


# What an answer that came late has delivered may have been on its way once more, and that request reached the platform as
# well: all that is told of it is its attempt. Not again where its answer is written again.
NOTE_REPEATS = f"""
UPDATE deliveries d
SET attempts = d.attempts + x.cost, last_attempt_at = greatest(d.last_attempt_at, x.at),
    attempt_log = {_ROOM_IN_LOG}
        || (x.logged || jsonb_build_object('number', d.attempts + 1) || {_IN_SERIES})
FROM json_to_recordset(%(repeats)s::json) AS x(event_id text, at timestamptz, cost int, logged jsonb)
WHERE d.merchant_id = %(merchant)s AND d.platform = %(platform)s AND d.event_id = x.event_id AND d.event_id = ANY(%(ids)s)
  AND d.status = 'delivered' AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(d.attempt_log) AS e(entry) WHERE (entry ->> 'at')::timestamptz = x.at)
RETURNING x.logged ->> 'outcome', d.attempts - x.cost > 0, {IS_FIRST}
"""


class Repeat(NamedTuple):
    """A request with a delivery that another one's answer has delivered meanwhile. ``cost``: of attempts, 0 or 1."""

    event_id: str
    logged: LoggedAttempt
    cost: int


def note_repeats(lease: Lease, repeats: Sequence[Repeat], now: datetime, changes: Changes) -> None:
    """Adds their attempts to those of some deliveries of a lease that are delivered already; of others nothing.

    This transaction holds the lease.
    """
    records = [
        {"event_id": one.event_id, "at": one.logged.at, "cost": one.cost, "logged": _log_entry(one.logged)}
        for one in repeats
    ]
    params: Any = {
        "repeats": JsonLiteral(records),
        "ids": [one.event_id for one in repeats],
        "log": LOG_LENGTH,
        "merchant": lease.merchant_id,
        "platform": lease.platform,
    }
    for outcome, is_retry, is_first in rows(NOTE_REPEATS, params):
        if outcome == AttemptOutcome.ACKNOWLEDGED:
            done = {"acknowledged": 1, "retries_acknowledged": int(is_retry)}
        else:
            done = _failed(outcome, is_retry=is_retry or not is_first)
        changes.add(lease.merchant_id, lease.platform, now, **done)


def count_delivered(
    merchant_id: int,
    platform: str,
    minute: datetime,
    place: int | None,
    count: int,
    again: int,
    now: datetime,
    changes: Changes,
) -> None:
    """``count`` of the events of a minute were acknowledged, ``again`` of them not at the first attempt."""
    changes.add(merchant_id, platform, minute, waiting=-count, delivered=count)
    if place is not None:
        changes.latency(merchant_id, platform, minute, place, count)
    changes.add(merchant_id, platform, now, acknowledged=count, finished=count, retries_acknowledged=again)


def _of_delivered(lease: Lease, delivered: Delivered, now: datetime) -> dict[str, Any]:
    return {
        "merchant": lease.merchant_id,
        "platform": lease.platform,
        "ids": list(delivered.event_ids),
        "started": delivered.started_at,
        "at": delivered.started_at.isoformat(),
        "now": now,
        "status": delivered.http_status,
        "duration": duration_ms(delivered, now),
        "said": JsonLiteral(delivered.said),
        "log": LOG_LENGTH,
        "bounds": list(LATENCY_BOUNDS),
    }


def duration_ms(delivered: Delivered, now: datetime) -> int:
    """How long a request took."""
    return min(MOST_MS, max(0, round((now - delivered.started_at) / timedelta(milliseconds=1))))


# The attempt was taken for one without an answer, and the delivery may have been sent again, dropped or delivered since.
SETTLE_LATE = f"""
WITH before AS (
    SELECT event_id, status AS was, drop_reason, entry.*
    FROM deliveries CROSS JOIN LATERAL (
        SELECT place - 1 AS place, (entry ->> 'number')::int > 1 AS is_retry,
               coalesce((entry ->> 'again')::boolean,  -- missing: it was not redelivered then, or by a version before
                   (entry ->> 'at')::timestamptz >= (former_waits -> 0 ->> 1)::timestamptz
                   AND ((entry ->> 'at')::timestamptz < requeued_at OR coalesce(had_outcome, true)), false) AS is_again,
               (entry ->> 'at')::timestamptz + (entry ->> 'duration_ms')::int * interval '1 ms' AS counted_at
        FROM jsonb_array_elements(attempt_log) WITH ORDINALITY AS x(entry, place)
        WHERE entry ->> 'outcome' = 'unknown' AND (entry ->> 'at')::timestamptz = %(started)s
        ORDER BY place DESC LIMIT 1) AS entry
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND event_id = ANY(%(ids)s)
      AND (status <> 'dropped' OR drop_reason IN ('retries_exhausted', 'window_expired'))
    FOR UPDATE OF deliveries
), done AS (
    UPDATE deliveries d
    SET status = 'delivered', attempts = greatest(attempts, 1), due_at = NULL, next_retry_at = NULL, drop_reason = NULL,
        last_attempt_at = greatest(last_attempt_at, %(started)s),
        delivered_at = coalesce(d.delivered_at, %(now)s),
        finished_at = CASE WHEN b.was = 'delivered' THEN d.finished_at ELSE %(now)s END,
        latency_ms = CASE WHEN b.was = 'delivered' THEN d.latency_ms ELSE
            {_LATENCY} END,
        attempt_log = jsonb_set(attempt_log, ARRAY[b.place::text], (attempt_log -> b.place::int) - 'again' || jsonb_build_object(
            'outcome', 'acknowledged', 'http_status', %(status)s::int, 'error', NULL, 'duration_ms', %(duration)s::int)
            || %(said)s::jsonb)
    FROM before b WHERE d.merchant_id = %(merchant)s AND d.platform = %(platform)s AND d.event_id = b.event_id
    RETURNING d.event_id, d.received_at, d.latency_ms, d.queued_at, b.is_retry, b.is_again, b.counted_at, b.was, b.drop_reason
)
SELECT event_id, received_at, CASE WHEN {_IN_TIME} THEN width_bucket(latency_ms, %(bounds)s::int[]) END, is_retry, is_again,
       counted_at, was, drop_reason
FROM done
"""
# In the order in which all who settle late take them.
LEASES_WITH = """
SELECT claim_id, event_ids, sending FROM claims
WHERE merchant_id = %(merchant)s AND platform = %(platform)s
  AND EXISTS (SELECT FROM unnest(event_ids) AS e(id) WHERE id = ANY(%(ids)s))
ORDER BY claim_id FOR UPDATE
"""


def settle_late(lease: Lease, delivered: Delivered, now: datetime, changes: Changes) -> int:
    """Writes acknowledgements of a lease that others ended: in the place of the attempts that nobody knew the fate of.

    Also in what is counted: such an attempt is told once. It was one request, and a monitor would take it for a success and
    a failure. Who has one of them in a lease by now and has not begun to send it does not send it any more; who has, tells
    of it when it is done (``note_repeats``). The queue's lock is held for that: else somebody might be leasing them now.
    """
    params: Any = _of_delivered(lease, delivered, now)
    key = lease.merchant_id, lease.platform
    lock_queue(*key)
    leased = rows(LEASES_WITH, params)
    found = rows(SETTLE_LATE, params)
    done = {row[0] for row in found}
    for claim_id, event_ids, sending in leased:
        kept = [one for one in event_ids if one not in done or one in sending]
        if len(kept) < len(event_ids):
            execute(KEEP_IN_LEASE, (kept, *key, claim_id))
    for _, received_at, place, is_retry, is_again, counted_at, was, reason in found:
        changes.add(*key, now, acknowledged=1, retries_acknowledged=int(is_retry))
        changes.add(*key, counted_at or now, unknown=-1, retries_failed=-int(is_retry or is_again))
        if was == DeliveryStatus.DELIVERED:
            continue
        if was == DeliveryStatus.DROPPED:
            changes.add(*key, received_at, dropped=-1, delivered=1)
            changes.drop_reasons(*key, received_at, {reason: -1})
        else:
            changes.add(*key, received_at, waiting=-1, delivered=1)
            changes.add(*key, now, finished=1)
        if place is not None:
            changes.latency(*key, received_at, place, 1)
    return len(found)


# An attempt that cost nothing is logged once, not at every probe of a long outage. None is written again where its COMMIT was
# done and not answered: whatever waits keeps when it was tried last, and how many attempts it had then.
SETTLE = f"""
UPDATE deliveries d
SET status = x.status, attempts = x.attempts, due_at = x.due_at, next_retry_at = x.next_retry_at,
    drop_reason = x.drop_reason, drop_field = x.drop_field, last_error = coalesce(x.last_error, d.last_error),
    error_code = coalesce(x.error_code, d.error_code),
    last_attempt_at = coalesce(x.last_attempt_at, d.last_attempt_at), delivered_at = x.delivered_at,
    latency_ms = x.latency_ms, finished_at = CASE WHEN x.due_at IS NULL THEN %(now)s::timestamptz END,
    attempt_log = CASE
        WHEN x.logged IS NULL THEN d.attempt_log
        WHEN x.attempts = d.attempts AND d.attempt_log -> -1 ->> 'outcome' = x.logged ->> 'outcome' THEN d.attempt_log
        ELSE ({_ROOM_IN_LOG}) || (x.logged || {_IN_SERIES})
    END
FROM json_to_recordset(%(settlements)s::json) AS x(
    event_id text, status text, attempts int, due_at timestamptz, next_retry_at timestamptz, drop_reason text,
    drop_field text, last_error text, error_code text, last_attempt_at timestamptz, delivered_at timestamptz, latency_ms int,
    came_too_late boolean, logged jsonb)
WHERE d.merchant_id = %(merchant)s AND d.platform = %(platform)s AND d.event_id = x.event_id AND d.event_id = ANY(%(ids)s)
  AND d.{NOT_DONE}
  AND (x.logged IS NULL OR d.attempts <> x.attempts OR d.last_attempt_at IS DISTINCT FROM x.last_attempt_at)
RETURNING d.received_at, d.drop_reason, x.came_too_late, x.logged ->> 'outcome', (x.logged ->> 'number')::int > 1, x.attempts,
          d.event_id, {IS_FIRST}
"""


def settle_deliveries(lease: Lease, settlements: Sequence[Settlement], now: datetime, changes: Changes) -> int:
    """Writes verdicts to rows of a lease that this transaction holds; how many. Acknowledged ones go another way.

    May be called again with the same ones, where nobody knows whether the transaction before was committed.
    """
    if not settlements:
        return 0
    records = [
        {
            "event_id": s.key.event_id,
            "status": s.status,
            "attempts": s.attempts,
            "due_at": s.due_at,
            "next_retry_at": s.next_retry_at,
            "drop_reason": s.drop_reason,
            "drop_field": s.drop_field,
            "last_error": s.last_error,
            "error_code": s.error_code,
            "last_attempt_at": s.last_attempt_at,
            "delivered_at": s.delivered_at,
            "latency_ms": s.latency_ms,
            "came_too_late": s.came_too_late,
            "logged": _log_entry(s.logged) if s.logged else None,
        }
        for s in settlements
    ]
    params = {
        "settlements": JsonLiteral(records),
        "ids": [s.key.event_id for s in settlements],
        "now": now,
        "log": LOG_LENGTH,
        "merchant": lease.merchant_id,
        "platform": lease.platform,
    }
    found = rows(SETTLE, params)  # type: ignore[arg-type]
    for received_at, drop_reason, came_too_late, outcome, is_retry, attempts, event_id, is_first in found:
        if drop_reason is not None:
            changes.drop(lease.merchant_id, lease.platform, received_at, drop_reason, now)
            if drop_reason in UNMAPPABLE and not attempts:  # else it failed when it was sent, and counts once
                # What came too late counts as a retry does: among the failures, not among those of new events.
                is_new = is_first and not came_too_late
                changes.add(lease.merchant_id, lease.platform, now, unmappable=1, retries_failed=int(not is_new))
                if is_new:
                    changes.refused(lease.merchant_id, lease.platform, event_id, received_at)
            if is_first and not attempts and (drop_reason not in UNMAPPABLE or came_too_late):
                changes.unsent(lease.merchant_id, lease.platform, event_id, received_at)
        if outcome is not None:
            if outcome == AttemptOutcome.REJECTED and attempts == 1 and is_first:
                changes.refused(lease.merchant_id, lease.platform, event_id, received_at)
            failed = _failed(outcome, is_retry=is_retry or not is_first)
            changes.add(lease.merchant_id, lease.platform, now, **failed)
    if len(found) < len(settlements):
        repeats = [
            Repeat(s.key.event_id, s.logged, s.attempts - s.logged.number + 1)
            for s in settlements
            if s.logged is not None
        ]
        if repeats:
            note_repeats(lease, repeats, now, changes)
    return len(found)


COUNTED_AS = {
    AttemptOutcome.REJECTED: "refused",
    AttemptOutcome.RATE_LIMITED: "rate_limited",
    AttemptOutcome.CREDENTIALS_REFUSED: "credentials_refused",
    AttemptOutcome.UNREACHABLE: "unreachable",
    AttemptOutcome.UNKNOWN: "unknown",
}


def _failed(outcome: str, *, is_retry: bool) -> dict[str, int]:
    """What an attempt counts as that was not acknowledged."""
    is_failure = outcome != AttemptOutcome.RATE_LIMITED
    return {COUNTED_AS[AttemptOutcome(outcome)]: 1, "retries_failed": int(is_retry and is_failure)}


def _log_entry(logged: LoggedAttempt) -> dict[str, Any]:
    return {
        "number": logged.number,
        "at": logged.at,
        "outcome": logged.outcome,
        "http_status": logged.http_status,
        "error": logged.error,
        "duration_ms": logged.duration_ms,
        **({"note": logged.note, "code": logged.code} if logged.note else {}),
    }


def with_delivery(merchant_id: int, platform: str, event_ids: Sequence[str]) -> set[str]:
    """Which of some events have a delivery on a platform."""
    found = rows(
        "SELECT event_id FROM deliveries WHERE merchant_id = %s AND event_id = ANY(%s) AND platform = %s",
        (merchant_id, list(event_ids), platform),
    )
    return {row[0] for row in found}


def deliveries_by_key(merchant_id: int, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], DeliveryRow]:
    """A merchant's deliveries by (event id, platform); unknown ones are missing."""
    if not keys:
        return {}
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE merchant_id = %s AND (event_id, platform) IN %s",
        (merchant_id, tuple(keys)),
    )
    return {(row[1], row[2]): DeliveryRow(*row) for row in found}


def deliveries_of_events(merchant_id: int, event_ids: Sequence[str]) -> dict[str, list[DeliveryRow]]:
    """The deliveries of each event, by platform."""
    found = rows(
        f"SELECT {COLUMNS} FROM deliveries WHERE merchant_id = %s AND event_id = ANY(%s) ORDER BY event_id, platform",
        (merchant_id, list(event_ids)),
    )
    grouped: dict[str, list[DeliveryRow]] = {event_id: [] for event_id in event_ids}
    for row in found:
        grouped[row[1]].append(DeliveryRow(*row))
    return grouped


@dataclass(frozen=True)
class DeliverySearch:
    """What a page of deliveries may be narrowed by. ``after``: ``(queued_at, event_id, platform)`` last seen.

    ``untouched_since``: neither queued, nor tried, nor given up after that instant. ``received_since`` and
    ``received_until``: when the event arrived. ``held``: it waits, and its destination is paused or held now; False: not so.
    ``error_code``: of the last refusal, '' is none; what was delivered has no refusal. ``status`` and ``drop_reason``: any of
    them; each stands there once, however often it was named, since a page is put together of one search for each.
    """

    platform: str | None = None
    status: tuple[str, ...] = ()
    drop_reason: tuple[str, ...] = ()
    queued_since: datetime | None = None
    queued_until: datetime | None = None
    error_contains: str | None = None
    after: tuple[datetime, str, str] | None = None
    untouched_since: datetime | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    held: bool | None = None
    error_code: str | None = None

    def __post_init__(self) -> None:
        for name in ("status", "drop_reason"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))

    @property
    def asks_what_waits(self) -> bool:
        """Whether no index leads to a page of it in its order, where much waits."""
        if self.drop_reason or _kinds_of(self) is not None:
            return False
        failed_there = self.platform is not None and DeliveryStatus.FAILED in self.status
        return self.held is not None or DeliveryStatus.QUEUED in self.status or failed_there

    @property
    def is_walked(self) -> bool:
        """Whether deliveries are looked at one after another for it, however many wait."""
        return bool(self.error_contains) or (self.error_code is not None and _kinds_of(self) is None)

    @property
    def waits(self) -> bool:
        """Whether all that it asks for waits."""
        return self.held is True or (bool(self.status) and {*self.status} <= {*WAITING})

    @property
    def narrows(self) -> bool:
        """False where it finds all of a merchant's deliveries."""
        return replace(self, error_contains=self.error_contains or None) != DeliverySearch()

    def admits(self, row: DeliveryRow, not_sent_to: Collection[str] = ()) -> bool:
        """Whether a row is one that a page of this search, from its beginning, would hold.

        ``not_sent_to``: platforms whose destination is paused or held.
        """
        touched = row.finished_at or row.last_attempt_at or row.queued_at
        is_held = row.status in WAITING and row.platform in not_sent_to
        return (
            (self.platform is None or row.platform == self.platform)
            and (not self.status or row.status in self.status)
            and (not self.drop_reason or row.drop_reason in self.drop_reason)
            and (self.queued_since is None or row.queued_at >= self.queued_since)
            and (self.queued_until is None or row.queued_at < self.queued_until)
            and (not self.error_contains or self.error_contains.lower() in (row.last_error or "").lower())
            and (self.untouched_since is None or touched <= self.untouched_since)
            and (self.received_since is None or row.received_at >= self.received_since)
            and (self.received_until is None or row.received_at < self.received_until)
            and (self.held is None or is_held == self.held)
            and (
                self.error_code is None
                or (row.status != DeliveryStatus.DELIVERED and self.error_code == (row.error_code or ""))
            )
        )


WAITING = (DeliveryStatus.QUEUED.value, DeliveryStatus.FAILED.value)
_NOT_SENT_TO = "(SELECT platform FROM destinations WHERE merchant_id = %s AND removed_at IS NULL AND state <> 'active')"
# Of events that were stored before their destination took them. All others were queued when they were received.
_STORED_FIRST = "queued_at > received_at"  # as the index deliveries_stored_first says it
_PROMPT = "queued_at <= received_at"


def page_of_deliveries(
    merchant_id: int, search: DeliverySearch, limit: int, much_waits: bool | None = None
) -> list[DeliveryRow]:
    """Newest queued first, at most ``limit``, by keyset. ``much_waits``: as ``page_query`` has it."""
    return [DeliveryRow(*row) for row in rows(*page_query(merchant_id, search, limit, much_waits))]


MOST_WAITING = 2_000  # deliveries that are sorted, to find the newest of those that wait


def waiting_query(merchant_id: int, search: DeliverySearch) -> tuple[str, list[Any]]:
    """How many wait among which a search looks: one more than ``MOST_WAITING`` where there are more."""
    among, given = _among_due(merchant_id, search)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE {among} LIMIT %s) AS waiting"
    return sql, [*given, MOST_WAITING + 1]


def _among_due(merchant_id: int, search: DeliverySearch) -> tuple[str, list[Any]]:
    """What waits, of the platforms that a search asks for, in the words of the index deliveries_due."""
    where = ["merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.platform is not None:
        where.append("platform = %s")
        params.append(search.platform)
    if search.held is True:
        where.append(f"platform IN {_NOT_SENT_TO}")
        params.append(merchant_id)
    return f"{' AND '.join(where)} AND due_at IS NOT NULL", params


def much_waits(merchant_id: int, search: DeliverySearch) -> bool | None:
    """Whether too much waits to sort it; None of a search that does not depend on it."""
    if not search.asks_what_waits:
        return None
    return bool(rows(*waiting_query(merchant_id, search))[0][0] > MOST_WAITING)


# Of some platforms and kinds (reasons of what was dropped, or 'failed') each in the order of the index deliveries_grouped,
# and said as that says it.
PLATFORMS_OF = "(SELECT platform AS name FROM destinations WHERE merchant_id = %s)"
OF_KINDS = """
(SELECT {columns} FROM {platforms} AS p CROSS JOIN unnest(%s::text[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT * FROM deliveries WHERE {where} AND platform = p.name
      AND coalesce(drop_reason, status) NOT IN ('queued', 'delivered') AND coalesce(drop_reason, status) = k.kind
    ORDER BY queued_at DESC, event_id DESC LIMIT %s) AS x {newest})"""
# The same of reasons alone, whatever their codes, in the order of the index deliveries_reasons.
OF_REASONS = """
(SELECT {columns} FROM {platforms} AS p CROSS JOIN unnest(%s::text[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT * FROM deliveries WHERE {where} AND platform = p.name AND drop_reason = k.kind
    ORDER BY queued_at DESC, event_id DESC LIMIT %s) AS x {newest})"""


def _narrow_to_span(search: DeliverySearch, where: list[str], params: list[Any]) -> None:
    """Adds when it was queued, and the place behind which a page begins."""
    if search.queued_since is not None:
        where.append("queued_at >= %s")
        params.append(search.queued_since)
    if search.queued_until is not None:
        where.append("queued_at < %s")
        params.append(search.queued_until)
    if search.after is not None:
        where.append("(queued_at, event_id, platform) < (%s, %s, %s)")
        params.extend(search.after)


def place_query(merchant_id: int, search: DeliverySearch, most: int) -> tuple[str, list[Any]]:
    """When the delivery was queued at which a page ends that looks at ``most`` deliveries: no row where it comes to its end before.

    Words are looked for in the order of the index deliveries_refused, all else in that of deliveries_queued, and in those alone.
    Of what waits only the hours are looked at in which something does.
    """
    where = ["merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.error_contains:
        where.append("last_error IS NOT NULL")
    _narrow_to_span(search, where, params)
    newest = "ORDER BY queued_at DESC, event_id DESC, platform DESC"
    if not search.waits or search.error_contains:
        return f"SELECT queued_at FROM deliveries WHERE {' AND '.join(where)} {newest} OFFSET {most} LIMIT 1", params
    hours = _hours_with(merchant_id, search)
    prompt = " AND ".join([*where, _OF_HOUR])
    walk = hours.walk("queued_at", "waiting", prompt)
    stored = f"SELECT queued_at FROM deliveries WHERE {' AND '.join([*where, _STORED_FIRST])} {newest} LIMIT %s"
    sql = (
        f"SELECT queued_at FROM (({walk}) UNION ALL ({stored})) AS walked ORDER BY queued_at DESC OFFSET {most} LIMIT 1"
    )
    return sql, [*hours.params, *params, most + 1, most + 1, *params, most + 1]


def page_query(
    merchant_id: int, search: DeliverySearch, limit: int, much_waits: bool | None = None
) -> tuple[str, list[Any]]:
    """The statement of a page, and its parameters. ``much_waits``: what waits is found hour by hour; False: it is sorted."""
    kinds, each_kind = _kinds_of(search), OF_KINDS
    if kinds is None and search.drop_reason:
        wanted = not search.status or DeliveryStatus.DROPPED in search.status
        kinds, each_kind = list(search.drop_reason) if wanted else [], OF_REASONS
    if kinds is not None:
        search = replace(search, status=(), drop_reason=())
    where, params = _conditions(merchant_id, search)
    if kinds is None and search.error_code is not None:
        where.append("status <> 'delivered'")
    statuses: Sequence[str | None] = search.status or (None,)
    if search.held is True:
        statuses = [status for status in WAITING if not search.status or status in search.status]
        if not statuses:
            where.append("false")
    # A page of each status, then the newest of those: only so is each read in the order of its index.
    asked = _Asked(merchant_id, search, limit, much_waits, kinds, each_kind)
    pages = [page for status in statuses or (None,) for page in _pages_of(asked, status, where, params)]
    if len(pages) == 1:
        return pages[0]
    texts, given = [sql for sql, _ in pages], [value for _, values in pages for value in values]
    return f"SELECT {COLUMNS} FROM ({' UNION ALL '.join(texts)}) AS found {_NEWEST}", [*given, limit]


_NEWEST = "ORDER BY queued_at DESC, event_id DESC, platform DESC LIMIT %s"


class _Asked(NamedTuple):
    """``kinds``: what each page is read by, with the statement ``each_kind``; None: by no kind."""

    merchant_id: int
    search: DeliverySearch
    limit: int
    much_waits: bool | None
    kinds: list[str] | None
    each_kind: str


def _conditions(merchant_id: int, search: DeliverySearch) -> tuple[list[str], list[Any]]:
    """What each delivery of a page fulfils, whatever its status."""
    where = ["merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.platform is not None:
        where.append("platform = %s")
        params.append(search.platform)
    if search.error_code is not None:
        where.append("coalesce(error_code, '') = %s")
        params.append(search.error_code)
    _narrow_to_span(search, where, params)
    if search.error_contains:
        where.append("last_error IS NOT NULL AND strpos(lower(last_error), lower(%s)) > 0")
        params.append(search.error_contains)
    if search.untouched_since is not None:
        where.append("coalesce(finished_at, last_attempt_at, queued_at) <= %s")
        params.append(search.untouched_since)
    if search.received_since is not None:
        where.append("received_at >= %s AND queued_at >= %s")  # nothing is queued before it is received
        params += [search.received_since] * 2
    if search.received_until is not None:
        where.append("received_at < %s")
        params.append(search.received_until)
    if search.held is not None:
        where.append(
            f"platform IN {_NOT_SENT_TO}" if search.held else f"NOT (due_at IS NOT NULL AND platform IN {_NOT_SENT_TO})"
        )
        params.append(merchant_id)
    return where, params


def _pages_of(
    asked: _Asked, status: str | None, where: list[str], params: list[Any]
) -> Iterator[tuple[str, list[Any]]]:
    """The newest of one status (None: of all), and their parameters: all that are on the page are among these."""
    merchant_id, search, limit, much_waits, kinds, each_kind = asked
    own, mine = [*where], [*params]
    if status is not None:
        # What is not sent yet is also what is due some time: where little is, that index is the shorter way. Where much
        # waits, none that holds all of it may be taken, not even that of windows.
        is_due = status == DeliveryStatus.QUEUED and much_waits is None
        is_passed = status in WAITING and much_waits
        own.append(f"status{' || %s' if is_passed else ''} = %s{' AND due_at IS NOT NULL' if is_due else ''}")
        mine += ["", status] if is_passed else [status]
    if status in WAITING and much_waits is False:
        among, there = _among_due(merchant_id, search)
        sorted_ones = _SORTED.format(columns=COLUMNS, among=among, where=" AND ".join(own), newest=_NEWEST)
        yield f"({sorted_ones})", [*there, *mine, limit]
        return
    # What one platform dropped lies by its reasons in the order of its queueing, whenever it was stored.
    by_reason = kinds is None and status == DeliveryStatus.DROPPED and search.platform is not None
    of_kinds, each = ([reason.value for reason in DropReason], OF_REASONS) if by_reason else (kinds, each_kind)
    counted = _COUNTED.get(status) if search.platform is not None and of_kinds is None else None
    if much_waits and search.waits:
        counted = "waiting"
    parts = [(own, mine)]
    if counted is not None and not search.error_contains:
        hours = _hours_with(merchant_id, search)
        walk = hours.walk(COLUMNS, counted, " AND ".join([*own, _OF_HOUR, _PROMPT]))
        yield f"({walk})", [*hours.params, *mine, limit, limit]
        parts = [([*own, _STORED_FIRST], mine)]
    elif search.received_until is not None:
        # What was received before an instant was queued before it, or belongs to the few that have an index of their own.
        until = search.received_until
        parts = [
            ([*own, "queued_at < %s"], [*mine, until]),
            ([*own, "queued_at >= %s", _STORED_FIRST], [*mine, until]),
        ]
    for conditions, values in parts:
        condition = " AND ".join(conditions)
        if of_kinds is None:
            yield f"(SELECT {COLUMNS} FROM deliveries WHERE {condition} {_NEWEST})", [*values, limit]
            continue
        platforms = PLATFORMS_OF if search.platform is None else "(SELECT %s AS name)"
        page = each.format(columns=COLUMNS, platforms=platforms, where=condition, newest=_NEWEST)
        whose = merchant_id if search.platform is None else search.platform
        yield page, [whose, of_kinds, *values, limit, limit]


# Status, or none for all -> what the ledger counts them as. What is not in it has an index of its own.
_COUNTED: dict[str | None, str] = {None: "routed", "delivered": "delivered"}
# Of one platform only the hours that have some are read: of a platform that gets few of many, no delivery to the others is
# passed over. Nor are the hours of which nothing is kept any more.
_IN_HOURS = """
SELECT {columns} FROM (
    SELECT hour FROM (
        SELECT hour FROM ledger_hours WHERE merchant_id = %s AND platform = ANY({platforms}) AND {count} > 0
          AND routed > purged AND hour >= coalesce(date_trunc('hour', %s::timestamptz, 'UTC'), '-infinity')
          AND hour <= coalesce(%s::timestamptz, 'infinity')
        UNION
        SELECT date_trunc('hour', minute, 'UTC') FROM minutes WHERE merchant_id = %s AND platform = ANY({platforms}) AND slot <> 0
          AND minute >= coalesce(date_trunc('hour', %s::timestamptz, 'UTC'), '-infinity')
          AND minute <= coalesce(%s::timestamptz, 'infinity')
        ) AS counted
    ORDER BY hour DESC) AS hours
CROSS JOIN LATERAL (
    SELECT * FROM deliveries WHERE {where} ORDER BY queued_at DESC, event_id DESC, platform DESC LIMIT %s) AS found
ORDER BY hour DESC, queued_at DESC, event_id DESC, platform DESC LIMIT %s
"""


# What waits, where little does: found by the index deliveries_due, and sorted.
_SORTED = """
SELECT {columns} FROM (
    SELECT * FROM deliveries WHERE {among} OFFSET 0) AS waiting
WHERE {where} {newest}
"""
_OF_HOUR = "queued_at >= hour AND queued_at < hour + interval '1 hour'"


class _Hours(NamedTuple):
    """``platforms``: an array, in SQL. ``params``: what ``_IN_HOURS`` takes before the arguments of its condition."""

    platforms: str
    params: list[Any]

    def walk(self, columns: str, count: str, where: str) -> str:
        return _IN_HOURS.format(columns=columns, count=count, where=where, platforms=self.platforms)


def _hours_with(merchant_id: int, search: DeliverySearch) -> _Hours:
    ends = [at for at in (search.received_until, search.queued_until, search.after and search.after[0]) if at]
    begins = [at for at in (search.received_since, search.queued_since) if at]
    span = [max(begins, default=None), min(ends, default=None)]
    if search.platform is not None:
        return _Hours("ARRAY[%s]", [merchant_id, search.platform, *span] * 2)
    all_of_them = _NOT_SENT_TO if search.held is True else PLATFORMS_OF
    return _Hours(f"ARRAY{all_of_them}", [merchant_id, merchant_id, *span] * 2)


def _kinds_of(search: DeliverySearch) -> list[str] | None:
    """Which reasons, and 'failed', a search by a code looks at; None of a search that is none, or looks at what waits.

    One without a status looks at what failed or was dropped, as a redelivery does.
    """
    ended = {DeliveryStatus.FAILED, DeliveryStatus.DROPPED}
    if search.error_code is None or not ended.issuperset(search.status):
        return None
    statuses = search.status or ended
    failed = ["failed"] if DeliveryStatus.FAILED in statuses and not search.drop_reason else []
    dropped = search.drop_reason or [reason.value for reason in DropReason]
    return [*failed, *(dropped if DeliveryStatus.DROPPED in statuses else ())]
