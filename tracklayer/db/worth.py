"""What the sales are worth that wait for a platform, or were lost to it: of a bounded number of deliveries, by their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from tracklayer.db.connection import rows
from tracklayer.db.monitors import Key
from tracklayer.db.stored_json import OF_SALE
from tracklayer.domain.alert_members import member_name
from tracklayer.domain.delivery import AttemptOutcome, DeliveryStatus, DropReason
from tracklayer.domain.event_names import is_sale
from tracklayer.domain.monitors.refusals import REFUSED
from tracklayer.domain.monitors.worth import CAME_TOO_LATE, NOTHING, Worth, of_several, worth_of

# Deliveries of a destination that wait, those due longest; and of each reason for which it dropped some.
MOST_ADDED = 1000
MOST_TOO_OLD = 10_000  # of those that were too old: an import of old events lies over what became so while it waited
LOST = frozenset(
    {
        DropReason.RETRIES_EXHAUSTED,
        DropReason.WINDOW_EXPIRED,
        DropReason.MISSING_IDENTIFIERS,
        DropReason.INVALID_FIELD,
        DropReason.EVENT_TOO_OLD,
    }
)
_TOO_OLD = {DropReason.EVENT_TOO_OLD, CAME_TOO_LATE}
_TOLD = LOST | {CAME_TOO_LATE}
_REFUSED = "refused"  # beside the reasons
# How many seconds old an event may be for a platform, by its action source, where that has an end.
Ages = Mapping[str, float]

# What an event brings itself, by event name and currency. Each by its key: ``LIMIT 1`` keeps the planner from joining.
_OF_EVENTS = f"""
CROSS JOIN LATERAL (
    SELECT event_name, occurred_at, action_source, {OF_SALE}
    FROM events WHERE merchant_id = x.merchant_id AND event_id = d.event_id LIMIT 1) AS e
"""
# When it failed first, however often it was sent again: as failures are counted.
_FIRST_AT = f"""(jsonb_path_query_first(attempt_log, '$[*] ? (@.outcome != "{AttemptOutcome.RATE_LIMITED}")') ->> 'at')::timestamptz"""
_UNTIL = "coalesce(%(until)s::timestamptz, 'infinity')"
WAITING = f"""
SELECT x.merchant_id, x.platform, d.fails, e.event_name, e.currency, sum(e.value) FILTER (WHERE e.value > 0), max(d.read), count(*),
       max(d.window_ends_at)
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(since)s::timestamptz[]) AS x(merchant_id, platform, since)
CROSS JOIN LATERAL (
    SELECT event_id, window_ends_at, count(*) OVER () AS read,
        status = '{DeliveryStatus.FAILED}' AND coalesce({_FIRST_AT} BETWEEN x.since AND {_UNTIL}, false) AS fails FROM (
        SELECT event_id, status, window_ends_at, attempt_log FROM deliveries
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND due_at IS NOT NULL
        ORDER BY due_at LIMIT {MOST_ADDED}) AS oldest) AS d {_OF_EVENTS}
GROUP BY 1, 2, 3, 4, 5
"""
# Of what was dropped since an instant, that which was last; whether it failed first since another one and up to a third, whether the
# platform refused it at any attempt, which of what tells losses was about it, and whether it is too old for the platform by now.
# ``read``: of how many that is, here and above.
DROPPED = f"""
SELECT x.merchant_id, x.platform,
       CASE WHEN r.reason = '{DropReason.EVENT_TOO_OLD}'
                 AND d.received_at - e.occurred_at >= make_interval(secs => (x.ages ->> e.action_source)::float8)
            THEN '{CAME_TOO_LATE}' ELSE r.reason END,
       d.is_of_since, d.was_refused, d.told_by,
       coalesce(%(now)s::timestamptz - e.occurred_at >= make_interval(secs => (x.ages ->> e.action_source)::float8), false),
       e.event_name, e.currency, sum(e.value) FILTER (WHERE e.value > 0), max(d.read), count(*)
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[], %(since)s::timestamptz[], %(failed_since)s::timestamptz[], %(ages)s::jsonb[])
    AS x(merchant_id, platform, since, failed_since, ages)
CROSS JOIN unnest(%(reasons)s::text[]) AS r(reason)
CROSS JOIN LATERAL (
    SELECT event_id, received_at, count(*) OVER () AS read,
        coalesce({_FIRST_AT} BETWEEN x.failed_since AND {_UNTIL}, false) AS is_of_since,
        jsonb_path_exists(attempt_log, '$[*] ? (@.outcome == "{AttemptOutcome.REJECTED}")') AS was_refused,
        ARRAY(SELECT t.place FROM unnest(%(told_platforms)s::text[], %(told_since)s::timestamptz[], %(told_until)s::timestamptz[],
                                         %(told_failed_since)s::timestamptz[], %(told_failed_until)s::timestamptz[])
                  WITH ORDINALITY AS t(platform, since, until, failed_since, failed_until, place)
              WHERE t.platform = x.platform AND finished_at BETWEEN coalesce(t.since, '-infinity') AND coalesce(t.until, 'infinity')
                AND (t.failed_since IS NULL OR {_FIRST_AT} BETWEEN t.failed_since AND t.failed_until)) AS told_by FROM (
        SELECT event_id, received_at, finished_at, attempt_log FROM deliveries
        WHERE merchant_id = x.merchant_id AND platform = x.platform AND drop_reason = r.reason AND finished_at >= x.since
          AND finished_at <= coalesce(%(dropped_until)s::timestamptz, 'infinity') AND coalesce(drop_reason, '') <> ''
        ORDER BY finished_at DESC, event_id DESC
        LIMIT CASE r.reason WHEN '{DropReason.EVENT_TOO_OLD}' THEN {MOST_TOO_OLD} ELSE {MOST_ADDED} END) AS last) AS d {_OF_EVENTS}
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""


@dataclass(frozen=True, slots=True)
class Sales:
    """Worth of the sales of a destination: that wait, of those the ones that have failed since an instant, and lost, by reason
    (``CAME_TOO_LATE`` apart from what became too old while it waited); ``refused``: of the lost ones those that were tried in vain for the
    first time since then.

    ``dropped``: how many deliveries were lost, whatever they are worth; ``read``: of how many all this is.
    """

    waiting: Worth = NOTHING
    failing: Worth = NOTHING
    refused: Worth = NOTHING
    lost: Mapping[str, Worth] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    read: int = field(default=0, compare=False)


def sales_at(since: Mapping[Key, datetime], ages: Mapping[Key, Ages] = {}) -> dict[Key, Sales]:
    """Of destinations; ``since``: from when on what was dropped, or has failed, counts. Events that are no sale, or that bring no value above

    zero or no currency, add nothing. At most 1,000 that wait are added up, those due longest, and 1,000 dropped ones a reason, 10,000 of
    the too old, those lost last: where there are more, a sum is one of at least so much.
    """
    if not since:
        return {}
    params: Any = {**_by_destination(since), "until": None}
    waiting, failing, lost = _Sums(), _Sums(), _dropped(since, LOST, ages)
    for merchant_id, platform, fails, name, currency, value, read, count, _ in rows(WAITING, params):
        for sums in (waiting, failing) if fails else (waiting,):
            sums.add((merchant_id, platform, ""), name, currency, value, read, count, is_all=read < MOST_ADDED)
    return {
        key: Sales(
            waiting.of((*key, "")),
            failing.of((*key, "")),
            lost.of((*key, _REFUSED)),
            {reason: lost.of((*key, reason)) for reason in _TOLD if lost.count[*key, reason]},
            {reason: count for reason in _TOLD if (count := lost.count[*key, reason])},
            waiting.read[key] + lost.read[key],
        )
        for key in since
    }


@dataclass(frozen=True, slots=True)
class Lost:
    """How many deliveries were dropped, and what their sales are worth; and of them, those that a redelivery may save."""

    count: int
    worth: Worth
    saved: int
    worth_saved: Worth


@dataclass(frozen=True, slots=True)
class Teller:
    """What tells of deliveries of a destination that they are lost: of those dropped from ``since`` until an instant, None where there is no
    such end. ``reasons``: for one of these. ``names``, ``refused``, ``failed``: as below.
    """

    platform: str
    since: datetime | None
    until: datetime | None
    reasons: Collection[str] = _TOLD
    names: Collection[str] | None = None
    refused: Collection[str] = ()
    failed: tuple[datetime, datetime] | None = None

    def tells(self, reason: str, name: str, *, was_refused: bool) -> bool:
        return (
            reason in self.reasons
            and (self.names is None or member_name(name) in self.names)
            and (was_refused or reason not in self.refused)
        )


@dataclass(frozen=True, slots=True)
class Only:
    """Which deliveries are meant. ``names``: of events of these, as alerts call them. ``refused``: of those dropped for one of these
    reasons, the ones that the platform refused at an attempt. ``failed``: those of which the first attempt failed from an instant
    until another. ``until``: those that were dropped by then. ``told``: none of those that one of these tells.
    """

    names: Collection[str] | None = None
    refused: Collection[str] = ()
    failed: tuple[datetime, datetime] | None = None
    until: datetime | None = None
    told: Sequence[Teller] = ()

    def has(self, reason: str, name: str, *, was_refused: bool, has_failed: bool, told_by: Sequence[int]) -> bool:
        """``told_by``: the places, from 1 on, of those in ``told`` whose times it is within."""
        return (
            (self.names is None or member_name(name) in self.names)
            and (was_refused or reason not in self.refused)
            and (has_failed or self.failed is None)
            and not any(self.told[place - 1].tells(reason, name, was_refused=was_refused) for place in told_by)
        )


def _by_destination(since: Mapping[Key, datetime]) -> dict[str, Any]:
    """What ``WAITING`` and ``DROPPED`` take of destinations."""
    return {
        "merchants": [key[0] for key in since],
        "platforms": [key[1] for key in since],
        "since": list(since.values()),
    }


def lost_since(
    since: Mapping[Key, datetime],
    reasons: Collection[str],
    ages: Mapping[Key, Ages],
    now: datetime,
    in_vain: Collection[str] = (),
    only: Only = Only(),
) -> Lost:
    """Of the deliveries of destinations that were dropped for these reasons, with the same bounds. No redelivery saves what was dropped for one
    of ``in_vain``, nor what is too old for the platform now.

    An event that was lost to several is no more worth for that.
    """
    lost = _dropped(since, LOST.intersection(reasons), ages, now, only)

    def among(some: Collection[str]) -> tuple[int, Worth]:
        each = [sum((lost.of((*key, reason)) for reason in some), NOTHING) for key in since]
        return sum(lost.count[*key, reason] for key in since for reason in some), of_several(each)

    return Lost(*among(reasons), *among([_savable(reason) for reason in reasons if reason not in in_vain]))


def _savable(reason: str) -> str:
    return f"savable {reason}"


@dataclass(frozen=True, slots=True)
class Failing:
    """How many deliveries failed and wait for another attempt, what their sales are worth, and when the last of them is dropped."""

    count: int
    worth: Worth
    until: datetime | None


def failing_since(since: Mapping[Key, datetime], until: datetime | None, names: Collection[str] | None) -> Failing:
    """Of the deliveries of destinations of which the first attempt failed from an instant until another; with the same bounds. ``names``: as
    above.
    """
    params: Any = {**_by_destination(since), "until": until}
    sums, ends = _Sums(), []
    for merchant_id, platform, fails, name, currency, value, read, count, ends_at in rows(WAITING, params):
        key, is_all = (merchant_id, platform, ""), read < MOST_ADDED
        if fails and (names is None or member_name(name) in names):
            sums.add(key, name, currency, value, read, count, is_all=is_all)
            ends.append(ends_at)
        elif not is_all:  # others may lie under these
            sums.add(key, name, None, None, 0, 0, is_all=False)
    each = [sums.of((*key, "")) for key in since]
    return Failing(sum(sums.count[*key, ""] for key in since), of_several(each), max(ends, default=None))


def _dropped(
    since: Mapping[Key, datetime],
    reasons: Collection[DropReason],
    ages: Mapping[Key, Ages],
    now: datetime | None = None,
    only: Only = Only(),
) -> _Sums:
    failed_since, until = only.failed or (None, None)
    told_failed = [teller.failed or (None, None) for teller in only.told]
    params: Any = {
        **_by_destination(since),
        "failed_since": [failed_since or at for at in since.values()],
        "until": until,
        "dropped_until": only.until,
        "told_platforms": [teller.platform for teller in only.told],
        "told_since": [teller.since for teller in only.told],
        "told_until": [teller.until for teller in only.told],
        "told_failed_since": [first for first, _ in told_failed],
        "told_failed_until": [last for _, last in told_failed],
        "now": now,
        "ages": [orjson.dumps(ages.get(key, {})).decode() for key in since],
        "reasons": sorted(reasons),
    }
    found = _Sums()
    for (
        merchant_id,
        platform,
        reason,
        has_failed,
        was_refused,
        told_by,
        is_too_old,
        name,
        currency,
        value,
        read,
        count,
    ) in rows(DROPPED, params):
        key, is_all = (merchant_id, platform), read < (MOST_TOO_OLD if reason in _TOO_OLD else MOST_ADDED)
        if only.has(reason, name, was_refused=was_refused, has_failed=has_failed, told_by=told_by):
            found.add((*key, reason), name, currency, value, read, count, is_all=is_all)
            if not is_too_old:
                found.add((*key, _savable(reason)), name, currency, value, 0, count, is_all=is_all)
        if reason in REFUSED and has_failed:
            found.add((*key, _REFUSED), name, currency, value, 0, count, is_all=is_all)
        if not is_all:  # others may lie under these, and what became too old while it waited under what came too late
            under = DropReason.EVENT_TOO_OLD if reason == CAME_TOO_LATE else reason
            found.add((*key, under), name, None, None, 0, 0, is_all=False)
    return found


class _Sums:
    """By (merchant id, platform, reason or '')."""

    def __init__(self) -> None:
        self.read: Counter[Key] = Counter()
        self.count: Counter[tuple[int, str, str]] = Counter()
        self._found: dict[tuple[int, str, str], Worth] = {}

    def add(
        self,
        key: tuple[int, str, str],
        event_name: str,
        currency: str | None,
        value: Decimal | None,
        read: int,
        count: int,
        *,
        is_all: bool,
    ) -> None:
        self.count[key] += count
        if key not in self._found:
            self.read[key[:2]] += read
        one = worth_of([(currency, value)] if is_sale(event_name) else (), is_all=is_all)
        self._found[key] = self.of(key) + one

    def of(self, key: tuple[int, str, str]) -> Worth:
        return self._found.get(key, NOTHING)
