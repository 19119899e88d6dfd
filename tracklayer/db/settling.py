"""What became of the deliveries of a lease: verdicts and acknowledgements, in time or late, with all that is counted of them.

Whose they are meanwhile is in db/leases.py; what is dropped out of a queue unsent, and what begins anew, in db/queues.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import LATENCY_BOUNDS, Changes
from tracklayer.db.deliveries import LOG_LENGTH
from tracklayer.db.json_literal import JsonLiteral, TextsLiteral
from tracklayer.db.leases import ARE_DELIVERED, KEEP_IN_LEASE, Lease
from tracklayer.db.queues import lock_queue
from tracklayer.db.refused_names import IS_FIRST
from tracklayer.domain.delivery import (
    LEFT_ALONE,
    UNMAPPABLE,
    AttemptOutcome,
    DeliveryStatus,
    LoggedAttempt,
    Settlement,
)
from tracklayer.domain.retry import MOST_MS

# The same rows as those with ``due_at`` (the table's check), said so that no index of waiting rows fits: the planner must
# go by event id, however many wait and however old its statistics are.
NOT_DONE = "status NOT IN ('delivered', 'dropped')"

# What was stored before its destination took it waited for nobody: it is no part of how fast others were.
_IN_TIME = "queued_at <= received_at"

_LATENCY = f"least({MOST_MS}, greatest(0, round(extract(epoch FROM %(now)s::timestamptz - received_at) * 1000)))"
# An attempt whose fate nobody knows keeps, as ``again``, whether an earlier series of attempts had brought an outcome: by the time
# that its answer comes, late, the delivery may have been sent again by ``redeliver``.
_IN_SERIES = """CASE WHEN d.requeued_at IS NOT NULL AND x.logged ->> 'outcome' = 'unknown'
            THEN jsonb_build_object('again', coalesce(d.had_outcome, true)) ELSE '{}' END"""
# The log of attempts without its oldest, where it is full.
_ROOM_IN_LOG = "CASE WHEN jsonb_array_length(attempt_log) >= %(log)s THEN attempt_log - 0 ELSE attempt_log END"
# What an acknowledgement makes of a row. ``started``, ``now``, ``logged`` and ``log``: of the request; ``logged`` is what
# ``Delivered.first_log`` gives. Most deliveries had no attempt before, and their log is that as it stands: putting each together
# takes a quarter of what settling takes.
AS_DELIVERED = f"""
    SET status = 'delivered', attempts = attempts + 1, due_at = NULL, next_retry_at = NULL,
        last_attempt_at = {{started}}, delivered_at = %(now)s, finished_at = %(now)s,
        latency_ms = {_LATENCY},
        attempt_log = CASE
            WHEN attempts = 0 AND attempt_log = '[]' THEN {{logged}}
            ELSE ({_ROOM_IN_LOG}) || jsonb_set({{logged}}, '{{{{0,number}}}}', to_jsonb(attempts + 1))
        END"""
_OF_ONE = {"started": "%(started)s", "logged": "%(logged)s::jsonb"}
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

    def first_log(self, now: datetime) -> list[dict[str, Any]]:
        """The attempt log of a delivery that it was the first attempt of."""
        entry = {
            "number": 1,
            "at": self.started_at,
            "outcome": AttemptOutcome.ACKNOWLEDGED,
            "http_status": self.http_status,
            "error": None,
            "duration_ms": duration_ms(self, now),
        }
        return [entry | self.said]


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
        "ids": TextsLiteral(delivered.event_ids),
        "started": delivered.started_at,
        "now": now,
        "logged": JsonLiteral(delivered.first_log(now)),
        "left_alone": list(LEFT_ALONE),
        "log": LOG_LENGTH,
        "bounds": list(LATENCY_BOUNDS),
    }


def duration_ms(delivered: Delivered, now: datetime) -> int:
    """How long a request took."""
    return min(MOST_MS, max(0, round((now - delivered.started_at) / timedelta(milliseconds=1))))


# The attempt was taken for one without an answer, and the delivery may have been sent again, dropped or delivered since. Whatever
# it was dropped for, the platform has it; but for whom was erased since nothing is written any more.
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
      AND (drop_reason IS NULL OR drop_reason <> ALL(%(left_alone)s))
    FOR UPDATE OF deliveries
), done AS (
    UPDATE deliveries d
    SET status = 'delivered', attempts = greatest(attempts, 1), due_at = NULL, next_retry_at = NULL, drop_reason = NULL,
        drop_field = NULL, last_error = CASE WHEN b.was <> 'dropped' THEN d.last_error END,
        error_code = CASE WHEN b.was <> 'dropped' THEN d.error_code END,
        last_attempt_at = greatest(last_attempt_at, %(started)s),
        delivered_at = coalesce(d.delivered_at, %(now)s),
        finished_at = CASE WHEN b.was = 'delivered' THEN d.finished_at ELSE %(now)s END,
        latency_ms = CASE WHEN b.was = 'delivered' THEN d.latency_ms ELSE
            {_LATENCY} END,
        attempt_log = jsonb_set(attempt_log, ARRAY[b.place::text],
            (attempt_log -> b.place::int) - 'again' || (%(logged)s::jsonb -> 0) - ARRAY['number', 'at'])
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

    What waits without a note of that attempt is delivered by it, too: the lease was lost with what PostgreSQL lost in a crash, or
    had not given to its standby yet.
    """
    params: Any = _of_delivered(lease, delivered, now)
    key = lease.merchant_id, lease.platform
    lock_queue(*key)
    leased = rows(LEASES_WITH, params)
    found = rows(SETTLE_LATE, params)
    done = {row[0] for row in found}
    if unnoted := [event_id for event_id in delivered.event_ids if event_id not in done]:
        settle_delivered(lease, replace(delivered, event_ids=unnoted), now, changes)
        done.update(row[0] for row in rows(ARE_DELIVERED, (*key, unnoted)))
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
    last_attempt_at = coalesce(x.last_attempt_at, d.last_attempt_at),
    finished_at = CASE WHEN x.due_at IS NULL THEN %(now)s::timestamptz END,
    attempt_log = CASE
        WHEN x.logged IS NULL THEN d.attempt_log
        WHEN x.attempts = d.attempts AND d.attempt_log -> -1 ->> 'outcome' = x.logged ->> 'outcome' THEN d.attempt_log
        ELSE ({_ROOM_IN_LOG}) || (x.logged || {_IN_SERIES})
    END
FROM json_to_recordset(%(settlements)s::json) AS x(
    event_id text, status text, attempts int, due_at timestamptz, next_retry_at timestamptz, drop_reason text,
    drop_field text, last_error text, error_code text, last_attempt_at timestamptz,
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
    params = {
        "settlements": JsonLiteral([_record(s) for s in settlements]),
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


def _record(s: Settlement) -> dict[str, Any]:
    """What ``SETTLE`` reads as ``x``."""
    return {
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
        "came_too_late": s.came_too_late,
        "logged": _log_entry(s.logged) if s.logged else None,
    }


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
