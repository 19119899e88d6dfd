"""Deliveries searched: what a page may be narrowed by, its statement, and where it ends that looks at so many one by one.

Each way to a page goes by an index that holds it in its order, or by the hours in which the ledger counts some. What is read by
its key is in db/deliveries.py; how many there are of each kind, in db/delivery_groups.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from tracklayer.db.connection import rows
from tracklayer.db.deliveries import COLUMNS, WAITING, DeliveryRow
from tracklayer.domain.delivery import DeliveryStatus, DropReason


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
        is_held = row.status in WAITING and row.platform in not_sent_to
        return (
            (self.platform is None or row.platform == self.platform)
            and (not self.status or row.status in self.status)
            and (not self.drop_reason or row.drop_reason in self.drop_reason)
            and (self.queued_since is None or row.queued_at >= self.queued_since)
            and (self.queued_until is None or row.queued_at < self.queued_until)
            and (not self.error_contains or self.error_contains.lower() in (row.last_error or "").lower())
            and (self.untouched_since is None or row.touched_at <= self.untouched_since)
            and (self.received_since is None or row.received_at >= self.received_since)
            and (self.received_until is None or row.received_at < self.received_until)
            and (self.held is None or is_held == self.held)
            and (
                self.error_code is None
                or (row.status != DeliveryStatus.DELIVERED and self.error_code == (row.error_code or ""))
            )
        )


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
