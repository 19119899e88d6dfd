"""Events searched: what a page may be narrowed by, its statements, and where it ends that looks at so many one by one.

An event whose deliveries are not as they should be is found by those; what few have, in the hours in which the ledger counts some.
What is read by id is in db/events.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.db.events import COLUMNS, EventRow, read_row
from tracklayer.domain.event import MAX_AHEAD


@dataclass(frozen=True)
class EventSearch:
    """What a page of events may be narrowed by. ``after``: ``(received_at, event_id)`` of the last one seen.

    ``filtered_at``: what the destination on a platform did not take by its name.
    """

    event_name: str | None = None
    event_id_prefix: str | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None
    occurred_since: datetime | None = None
    occurred_until: datetime | None = None
    delivery_status: str | None = None
    delivery_statuses: tuple[str, ...] = ()  # empty: any
    platform: str | None = None
    platforms: tuple[str, ...] = ()
    filtered_at: str | None = None
    after: tuple[datetime, str] | None = None

    @property
    def unsettled(self) -> frozenset[str] | None:
        """The statuses that it asks for, where ``delivered`` is none of them, and it is not asked when it happened."""
        if self.delivery_status is None and not self.delivery_statuses:
            return None
        if self.occurred_since is not None or self.occurred_until is not None or self.filtered_at is not None:
            return None
        wanted = frozenset(self.delivery_statuses or (str(self.delivery_status),))
        if self.delivery_status is not None:
            wanted &= {self.delivery_status}
        return None if "delivered" in wanted else wanted

    @property
    def of_platforms(self) -> frozenset[str] | None:
        """The platforms that it asks for; None: all."""
        if self.platform is None and not self.platforms:
            return None
        wanted = frozenset(self.platforms or (str(self.platform),))
        return wanted & {self.platform} if self.platform is not None else wanted

    @property
    def is_walked(self) -> bool:
        """Whether events are looked at one after another for it, as no index leads to what it asks for."""
        if self.event_id_prefix or self.unsettled is not None:
            return False
        wanted = (self.event_name, self.delivery_status, self.platform, self.filtered_at)
        return any(one is not None for one in wanted) or bool(self.delivery_statuses or self.platforms)

    @property
    def picks(self) -> bool:
        """Whether it asks for more than what became of an event, and when."""
        return bool(self.event_id_prefix) or self.event_name is not None or self.of_platforms is not None

    @property
    def narrows(self) -> bool:
        """False where it finds all of a merchant's events."""
        return replace(self, event_id_prefix=self.event_id_prefix or None) != EventSearch()


# An event without a delivery was filtered by its name, or not offered at all, as there was no destination then. The ledger
# knows which minutes have some of the first kind; of what is older than five weeks, which hours.
_COUNTED = (
    "(SELECT sum(m.filtered) FROM counted m WHERE m.merchant_id = e.merchant_id AND m.platform = %s "
    "AND m.hour >= date_trunc('hour', e.received_at, 'UTC') AND m.hour <= date_trunc('{0}', e.received_at, 'UTC') "
    "AND m.minute = date_trunc('{0}', e.received_at, 'UTC'))"
)
_FILTERED = f"""EXISTS (SELECT 1 FROM destinations x
        WHERE x.merchant_id = e.merchant_id AND x.platform = %s AND x.created_at <= e.received_at)
    AND NOT EXISTS (SELECT 1 FROM deliveries d
        WHERE d.merchant_id = e.merchant_id AND d.event_id = e.event_id AND d.platform = %s)
    AND coalesce({_COUNTED.format("minute")}, {_COUNTED.format("hour")}) > 0"""
# Only the hours that have some are read: a name that is hardly ever sent, or a platform that gets few, is found without passing
# over all others.
_IN_HOURS = """
SELECT {columns} FROM (
    SELECT hour FROM (
        SELECT hour FROM ledger_hours WHERE merchant_id = %s AND platform = ANY({platforms}) AND {in_hour}
          AND hour >= coalesce(date_trunc('hour', %s::timestamptz, 'UTC'), '-infinity')
          AND hour <= coalesce(%s::timestamptz, 'infinity')
        UNION
        SELECT date_trunc('hour', minute, 'UTC') FROM minutes
        WHERE merchant_id = %s AND platform = ANY({platforms}) AND {in_minute} AND slot <> 0
          AND minute >= coalesce(date_trunc('hour', %s::timestamptz, 'UTC'), '-infinity')
          AND minute <= coalesce(%s::timestamptz, 'infinity')) AS counted
    ORDER BY hour DESC) AS hours
CROSS JOIN LATERAL (
    SELECT * FROM events e WHERE e.received_at >= hour AND e.received_at < hour + interval '1 hour' AND {where}
    ORDER BY received_at DESC, event_id DESC LIMIT %s) AS e
ORDER BY hour DESC, received_at DESC, event_id DESC LIMIT %s
"""


LATE_AFTER = timedelta(hours=1)
LATE = "(e.received_at - e.occurred_at > interval '1 hour')"  # as the index events_late says it


MOST_OF_EVENT = 20  # deliveries: one a platform
MOST_DUE = 10_000  # deliveries that wait, among which those that were not tried yet are looked for
MOST_WAITING = 2_000  # of these: events that are looked up one by one


def page_of_events(merchant_id: int, search: EventSearch, limit: int) -> list[EventRow]:
    """Newest received first, at most ``limit``. Keyset: the hundredth page costs what the first does.

    Events whose deliveries are not as they should be are few among many, so they are found by those deliveries.
    """
    return page_beside(merchant_id, search, limit, waiting_events(merchant_id, search))


def page_beside(merchant_id: int, search: EventSearch, limit: int, waiting: Sequence[str] | None) -> list[EventRow]:
    """The same, where ``waiting_events`` is known."""
    if waiting is None:
        return [read_row(row) for row in rows(*page_query(merchant_id, search, limit))]
    found = {}
    if waiting:
        of_these = rows(*page_query(merchant_id, search, limit, waiting))
        found = {row[1]: read_row(row) for row in of_these}
    if (search.unsettled or frozenset()) & TROUBLED:
        found |= {row[1]: read_row(row) for row in rows(*troubled_query(merchant_id, search, limit))}
    return sorted(found.values(), key=lambda row: (row.received_at, row.event_id), reverse=True)[:limit]


def waiting_events(merchant_id: int, search: EventSearch) -> list[str] | None:
    """Of a search that finds events by their deliveries: those with one that was not tried yet, if it asks for them.

    None: it does not find them so, or so many wait that they are found sooner among all events.
    """
    wanted = search.unsettled
    if wanted is None:
        return None
    if "queued" not in wanted:
        return []
    found = rows(*waiting_query(merchant_id, search))
    queued = {event_id for event_id, status in found if status == "queued"}
    return None if len(found) > MOST_DUE or len(queued) > MOST_WAITING else list(queued)


def place_query(merchant_id: int, search: EventSearch, most: int) -> tuple[str, tuple[Any, ...]]:
    """When the event was received at which a page of a search ends that looks at ``most`` events one after another: no row where
    the search comes to its end before. Read in the order of the index alone.
    """
    of_all = EventSearch(received_since=search.received_since, received_until=search.received_until, after=search.after)
    where, params = _where(merchant_id, of_all)
    hours = _hours_of(merchant_id, search)
    if hours is None:
        walk = f"SELECT received_at FROM events e WHERE {where} ORDER BY received_at DESC, event_id DESC LIMIT %s"
        walked: tuple[Any, ...] = (*params, most + 1)
    else:
        walk = hours.walk("received_at", where)
        walked = (*hours.params, *hours.params, *params, most + 1, most + 1)
    return f"SELECT received_at FROM ({walk}) AS walked OFFSET {most}", walked


TROUBLED = frozenset({"failed", "dropped"})  # as the indexes deliveries_troubled and deliveries_troubled_late say it


def waiting_query(merchant_id: int, search: EventSearch) -> tuple[str, tuple[Any, ...]]:
    """The event ids and statuses of deliveries that wait, or are tried again; one more than ``MOST_DUE`` where there are more."""
    platforms = search.of_platforms
    among = "" if platforms is None else " AND platform = ANY(%s)"
    sql = f"SELECT event_id, status FROM deliveries WHERE merchant_id = %s{among} AND due_at IS NOT NULL LIMIT %s"
    given = () if platforms is None else (list(platforms),)
    return sql, (merchant_id, *given, MOST_DUE + 1)


def troubled_place_query(merchant_id: int, search: EventSearch, most: int) -> tuple[str, tuple[Any, ...]]:
    """When the event was received at which a page of ``troubled_query`` ends that looks at ``most`` deliveries: no row where it
    comes to its end before. In the order of its two indexes, and of those alone.
    """
    parts, params = [], []
    for status in sorted((search.unsettled or frozenset()) & TROUBLED):
        for at, only in (("queued_at", ""), ("received_at", " AND d.queued_at > d.received_at")):
            where = ["d.merchant_id = %s", f"d.status = %s{only}"]
            params += [merchant_id, status]
            _narrow_by(at, search, where, params)
            order = f"ORDER BY d.{at} DESC, d.event_id DESC, d.platform DESC LIMIT %s"
            parts.append(f"(SELECT d.{at} AS at FROM deliveries d WHERE {' AND '.join(where)} {order})")
            params.append(most + 1)
    looked = " UNION ALL ".join(parts)
    return f"SELECT at FROM ({looked}) AS looked ORDER BY at DESC OFFSET {most} LIMIT 1", tuple(params)


def _narrow_by(at: str, search: EventSearch, where: list[str], params: list[Any]) -> None:
    """Adds when a delivery's event was received, by one of its columns, and the place behind which a page begins."""
    if search.received_since is not None:
        where.append(f"d.{at} >= %s")
        params.append(search.received_since)
    if search.received_until is not None:
        where.append(f"d.{at} < %s")
        params.append(search.received_until)
    if search.after is not None:
        where.append(f"(d.{at}, d.event_id) < (%s, %s)")
        params.extend(search.after)


def troubled_query(merchant_id: int, search: EventSearch, limit: int) -> tuple[str, tuple[Any, ...]]:
    """Events with a delivery that failed or was dropped, newest received first: the statement and its arguments.

    What was queued when it was received is read in the order of its queueing, and what was queued later has an index of its
    own. ``LIMIT 1`` keeps the planner from joining: each event is looked up by its key.
    """
    pages, params = [], []
    platforms = search.of_platforms
    for status in sorted((search.unsettled or frozenset()) & TROUBLED):
        for at, when in (("queued_at", "d.queued_at <= d.received_at"), ("received_at", "d.queued_at > d.received_at")):
            where = ["d.merchant_id = %s", "d.status = %s", when]
            params += [merchant_id, status]
            if platforms is not None:
                where.append("d.platform = ANY(%s)")
                params.append(list(platforms))
            _narrow_by(at, search, where, params)
            if search.event_id_prefix:
                where.append("starts_with(d.event_id, %s)")
                params.append(search.event_id_prefix)
            beside = ""
            if search.event_name is not None:
                beside = (
                    "CROSS JOIN LATERAL (SELECT event_name FROM events "
                    "WHERE merchant_id = d.merchant_id AND event_id = d.event_id LIMIT 1) AS e"
                )
                where.append("e.event_name = %s")
                params.append(search.event_name)
            pages.append(
                f"(SELECT d.received_at, d.event_id FROM deliveries d {beside} WHERE {' AND '.join(where)} "
                f"ORDER BY d.{at} DESC, d.event_id DESC, d.platform DESC LIMIT %s)"
            )
            params.append(limit * MOST_OF_EVENT)
    newest = "ORDER BY received_at DESC, event_id DESC"
    keys = f"SELECT DISTINCT received_at, event_id FROM ({' UNION ALL '.join(pages)}) AS found {newest} LIMIT %s"
    sql = (
        f"SELECT {COLUMNS} FROM events WHERE merchant_id = %s "
        f"AND event_id = ANY(ARRAY(SELECT event_id FROM ({keys}) AS keys)) {newest}"
    )
    return sql, (merchant_id, *params, limit)


def page_query(
    merchant_id: int, search: EventSearch, limit: int, event_ids: Sequence[str] | None = None
) -> tuple[str, tuple[Any, ...]]:
    """The statement of a page among all events, or among those of some ids, and its arguments."""
    condition, params = _where(merchant_id, search, event_ids)
    hours = _hours_of(merchant_id, search) if event_ids is None or search.filtered_at is not None else None
    if hours is not None:
        filtered = (f" AND {_FILTERED}", [search.filtered_at] * 4) if search.filtered_at is not None else ("", [])
        sql = hours.walk(COLUMNS, condition + filtered[0])
        return sql, (*hours.params, *hours.params, *params, *filtered[1], limit, limit)
    page = f"SELECT {COLUMNS} FROM events e WHERE {condition}"
    order = "ORDER BY received_at DESC, event_id DESC LIMIT %s"
    if search.occurred_until is None:
        return f"{page} {order}", (*params, limit)
    # What happened before an instant was received soon after it, or belongs to the few that came late and have an index of
    # their own: neither way passes over all that was received since.
    prompt = f"{page} AND NOT {LATE} AND e.received_at < %s + %s {order}"
    sql = f"({prompt}) UNION ALL ({page} AND {LATE} {order}) {order}"
    return sql, (*params, search.occurred_until, LATE_AFTER, limit, *params, limit, limit)


@dataclass(frozen=True)
class Hours:
    """Which hours have some, as the ledger counts them by hour and by minute. ``platforms``: an array, in SQL."""

    in_hour: str
    in_minute: str
    platforms: str
    params: tuple[Any, ...]

    def walk(self, columns: str, where: str) -> str:
        """Takes ``params`` twice, those of ``where``, and twice how many."""
        return _IN_HOURS.format(
            columns=columns, where=where, in_hour=self.in_hour, in_minute=self.in_minute, platforms=self.platforms
        )


_EVERYWHERE = "ARRAY(SELECT platform FROM destinations WHERE merchant_id = %s)"


def _hours_of(merchant_id: int, search: EventSearch) -> Hours | None:
    """The hours that a page passes over no others for; None where all are looked at."""
    until = min((at for at in (search.received_until, search.after and search.after[0]) if at), default=None)
    span = search.received_since, until
    if search.filtered_at is not None:
        return Hours("filtered > 0", "filtered > 0", "%s", (merchant_id, [search.filtered_at], *span))
    unsettled, platforms = search.unsettled, search.of_platforms
    if search.occurred_until is not None or (platforms is None and unsettled is None):
        return None
    # What changed lately is counted in the minutes of its arrival, whatever is in their hour.
    counted = "routed > purged"
    if unsettled is not None:
        counted += " AND (waiting > 0 OR dropped > 0)" if "dropped" in unsettled else " AND waiting > 0"
    elif (search.delivery_statuses or (search.delivery_status,)) == ("delivered",):
        counted += " AND delivered > 0"
    if platforms is None:
        return Hours(counted, "true", _EVERYWHERE, (merchant_id, merchant_id, *span))
    return Hours(counted, "true", "%s", (merchant_id, sorted(platforms), *span))


def _where(
    merchant_id: int, search: EventSearch, event_ids: Sequence[str] | None = None
) -> tuple[str, tuple[Any, ...]]:
    """The conditions on an event ``e``, and their arguments."""
    where = ["e.merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if event_ids is not None:
        where.append("e.event_id = ANY(%s)")
        params.append(list(event_ids))
    if search.event_name is not None:
        where.append("e.event_name = %s")
        params.append(search.event_name)
    if search.event_id_prefix:
        where.append("starts_with(e.event_id, %s)")
        params.append(search.event_id_prefix)
    if search.received_since is not None:
        where.append("e.received_at >= %s")
        params.append(search.received_since)
    if search.received_until is not None:
        where.append("e.received_at < %s")
        params.append(search.received_until)
    if search.occurred_since is not None:
        # What happened then or later was received then or later, but for the clocks of merchants' servers.
        where.append("e.occurred_at >= %s AND e.received_at >= %s - %s")
        params += [search.occurred_since, search.occurred_since, MAX_AHEAD]
    if search.occurred_until is not None:
        where.append("e.occurred_at < %s")
        params.append(search.occurred_until)
    if search.after is not None:
        where.append("(e.received_at, e.event_id) < (%s, %s)")
        params.extend(search.after)
    inner = []
    if search.delivery_status is not None:
        inner.append("d.status = %s")
        params.append(search.delivery_status)
    if search.delivery_statuses:
        inner.append("d.status = ANY(%s)")
        params.append(list(search.delivery_statuses))
    if search.platform is not None:
        inner.append("d.platform = %s")
        params.append(search.platform)
    if search.platforms:
        inner.append("d.platform = ANY(%s)")
        params.append(list(search.platforms))
    if inner:
        of_event = " AND ".join(["d.merchant_id = e.merchant_id AND d.event_id = e.event_id", *inner])
        where.append(f"EXISTS (SELECT 1 FROM deliveries d WHERE {of_event} OFFSET 0)")  # each by its key
    return " AND ".join(where), tuple(params)
