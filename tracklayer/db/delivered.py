"""Where deliveries lie: in ``deliveries`` until they are delivered, then in ``delivered``, which is written once.

``deliveries`` holds what waits, is in hand, failed or was dropped, and stays small. An acknowledgement takes a row out of it and
puts it into ``delivered`` in one statement. ``all_deliveries`` is both, for whoever reads.

``delivered`` is partitioned by when the retention of its rows ends, in periods of four weeks: so the indexes that are written
are small, and a partition that is empty when its period is over is dropped whole. Weeks would be four times as many partitions,
and a statement that names none of them is planned ten times as long (6.8 ms instead of 0.6). What was received at an instant lies in
at most one partition for each length of retention that there is, or in the one of all else (``within``, ``near``): a merchant's
retention may have been another when it was delivered.

Processes of a version that reads ``deliveries`` alone would miss what lies here. So nothing is put here while one lives that does
not say in its heartbeat that it reads both, and what was delivered before is moved afterwards (services/store.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

from tracklayer.db.connection import execute, rows

RETENTIONS = (30, 90, 180, 365)  # days, as the table of merchants admits them
PERIOD = 28  # days of one partition
AHEAD = 3  # periods that are made before anything can lie in them
_FIRST = date(2000, 1, 3)
# ``gone_by`` of what lies in ``deliveries``, and of what lies where all else does: every reader looks there, too.
_ANYWHERE = ["-infinity", "infinity"]

_KEPT = (
    "merchant_id, event_id, platform, attempts, received_at, queued_at, window_ends_at, last_attempt_at, delivered_at, "
    "finished_at, latency_ms, last_error, error_code, attempt_log, requeued_at, former_waits"
)


class Way(Enum):
    """How an acknowledgement is written: to its row of ``deliveries``, or out of there into ``delivered``."""

    IN_PLACE = "in place"
    APART = "apart"


def _gone_by(at: str, days: str) -> str:
    """SQL: the day by which the retention has ended of all that lies with what was received at ``at``."""
    start = f"date '{_FIRST}'"
    return f"({start} + (({at} AT TIME ZONE 'UTC')::date + {days} - {start}) / {PERIOD} * {PERIOD} + {PERIOD})"


def by_key(merchant: str, event: str, platform: str) -> str:
    """SQL of a look-up for ``LATERAL``: the ``ctid`` of a row of ``deliveries``, by its primary key and by nothing else.

    That table is empty most of the time, and the planner's statistics are of then: where much waits it would take any index that
    begins with the merchant, and read all that waits for each batch. In the order of the key no other index is as good. Nobody but
    the holder of its lease changes a row that waits, so its place is still its own in the same statement; who has delivered it
    meanwhile has taken it away.
    """
    return f"""(SELECT ctid FROM deliveries
            WHERE merchant_id = {merchant} AND event_id >= {event} AND event_id <= {event} AND platform = {platform}
            ORDER BY event_id LIMIT 1)"""


def put(source: str, merchant: str, new: Mapping[str, str]) -> str:
    """The statement that puts rows of ``source``, taken out of ``deliveries``, into ``delivered``; takes ``now``.

    ``merchant``: the SQL of whose they are. ``new``: what of them is other than it was, column -> SQL. What was past its
    retention when it was delivered goes where all else is: nothing is added any more to a partition whose time is over.
    """
    names = _KEPT.split(", ")
    days = f"coalesce((SELECT retention_days FROM merchants m WHERE m.merchant_id = {merchant}), {max(RETENTIONS)})"
    place = _gone_by("received_at", days)
    return f"""INSERT INTO delivered ({_KEPT}, gone_by)
    SELECT {", ".join(new.get(name, name) for name in names)},
           CASE WHEN {place} > (%(now)s::timestamptz AT TIME ZONE 'UTC')::date THEN {place} ELSE 'infinity' END
    FROM {source}"""


def near(at: str) -> str:
    """SQL of a condition on ``d``, a row of ``all_deliveries`` that was received on the same day as ``at``: where it may lie."""
    places = ", ".join(_gone_by(at, str(days)) for days in RETENTIONS)
    # By itself, so that it is no condition at all on what lies in ``deliveries``, and none that anybody would count on.
    return f"(d.gone_by = '-infinity' OR d.gone_by = ANY(ARRAY[date 'infinity', {places}]))"


def within(since: datetime, until: datetime) -> list[str]:
    """``gone_by`` of all partitions in which something may lie that was received in a span of time, its ends with it."""
    found = set()
    for days in RETENTIONS:
        day, last = (_period_of(at.astimezone(UTC).date() + timedelta(days=days)) for at in (since, until))
        while day <= last:
            found.add(day)
            day += timedelta(days=PERIOD)
    return [*_ANYWHERE, *(day.isoformat() for day in sorted(found))]


IN_ORDER = "SELECT set_config('enable_sort', 'off', true)"
_AS_EVER = "SELECT set_config('enable_sort', 'on', true)"


def rows_in_order(sql: str, params: Any) -> list[tuple[Any, ...]]:
    """The rows of a page of ``all_deliveries``: each partition is read in the order of its index, as far as the page goes.

    Where the planner takes an hour for a handful of rows, to read all that all partitions have of it, and to sort that, looks
    cheaper. In a transaction, what follows is planned as ever.
    """
    found = rows(f"{IN_ORDER}; {sql}", params)
    execute(_AS_EVER)
    return found


SPAN = "SELECT min(received_at), max(received_at) FROM events WHERE merchant_id = %s AND event_id = ANY(%s)"


def places_of(merchant_id: int, event_ids: Sequence[str]) -> list[str]:
    """``gone_by`` of all partitions in which the deliveries of some events of a merchant may lie."""
    since, until = rows(SPAN, (merchant_id, list(event_ids)))[0]
    return within(since, until) if since is not None else _ANYWHERE


def _period_of(day: date) -> date:
    return _FIRST + timedelta(days=((day - _FIRST).days // PERIOD + 1) * PERIOD)


# Moving ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """In a merchant's list of deliveries, newest queued first: what is looked at lies behind it."""

    queued_at: datetime
    event_id: str = ""
    platform: str = ""


# Rows that somebody holds stay for another round: nobody is waited for.
MOVE = f"""
WITH looked AS MATERIALIZED (
    SELECT ctid AS place, status, queued_at, event_id, platform FROM deliveries
    WHERE merchant_id = %(merchant)s AND (queued_at, event_id, platform) < (%(queued_at)s, %(event)s, %(platform)s)
    ORDER BY queued_at DESC, event_id DESC, platform DESC LIMIT %(limit)s
), taken AS (
    DELETE FROM deliveries WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM deliveries WHERE ctid = ANY(ARRAY(SELECT place FROM looked WHERE status = 'delivered'))
        FOR UPDATE SKIP LOCKED)) AND status = 'delivered'
    RETURNING *
), moved AS (
    {put("taken", "%(merchant)s", {})} RETURNING 1
)
SELECT queued_at, event_id, platform, count(*) OVER (), (SELECT count(*) FROM moved) FROM looked
ORDER BY queued_at, event_id, platform LIMIT 1
"""


def move(merchant_id: int, after: Place, limit: int, now: datetime) -> tuple[int, Place | None]:
    """Of ``limit`` deliveries behind a place, those that are delivered leave ``deliveries``: (how many, the place of the last).

    No place: there are no more. Locks no row that anybody waits for.
    """
    params: Any = {
        "merchant": merchant_id,
        "queued_at": after.queued_at,
        "event": after.event_id,
        "platform": after.platform,
        "limit": limit,
        "now": now,
    }
    found = rows(MOVE, params)
    if not found:
        return 0, None
    queued_at, event_id, platform, looked, moved = found[0]
    return moved, Place(queued_at, event_id, platform) if looked == limit else None


# Whose event somebody deletes at this moment stays: that looks in one place first and then in the other.
_WITH_EVENT = """
SELECT d.ctid FROM {table} d CROSS JOIN LATERAL (
    SELECT 1 FROM events e WHERE e.merchant_id = d.merchant_id AND e.event_id = d.event_id FOR KEY SHARE SKIP LOCKED) AS e
WHERE {which} LIMIT %(limit)s"""
MOVE_BACK = f"""
WITH taken AS (
    DELETE FROM {{table}} WHERE ctid = ANY(ARRAY({_WITH_EVENT.format(table="{table}", which="true")})) RETURNING *
)
INSERT INTO deliveries ({_KEPT}, status) SELECT {_KEPT}, 'delivered' FROM taken
"""


def move_back(partition: Partition, limit: int) -> int:
    """Puts up to ``limit`` of a partition's rows back into ``deliveries``, for a version that reads those alone; how many."""
    return execute(MOVE_BACK.format(table=partition.name), {"limit": limit})  # type: ignore[arg-type]


_DAYS = "(SELECT retention_days FROM merchants m WHERE m.merchant_id = d.merchant_id)"
_NOW_GONE_BY = _gone_by("d.received_at", _DAYS)
REHOME = f"""
UPDATE delivered d SET gone_by = {_NOW_GONE_BY}
WHERE gone_by = %(gone_by)s AND ctid = ANY(ARRAY({
    _WITH_EVENT.format(table="{table}", which=f"{_NOW_GONE_BY} > %(today)s")
}))
"""


def rehome(partition: Partition, today: date, limit: int) -> int:
    """Moves up to ``limit`` rows of a partition that are kept for longer than it to where they belong now; how many."""
    params: Any = {"gone_by": partition.gone_by, "today": today, "limit": limit}
    return execute(REHOME.format(table=partition.name), params)


# Partitions -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Partition:
    """``gone_by``: None of the one in which lies all that has none of its own."""

    name: str
    gone_by: date | None


_OTHERWISE = "delivered_otherwise"
DDL_MS = 200  # that is waited for a table; whoever wants it waits behind


def partitions() -> list[Partition]:
    """By their time."""
    found = rows(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'delivered'::regclass ORDER BY c.relname"
    )
    return [Partition(name, _day_of(name)) for (name,) in found]


def _day_of(name: str) -> date | None:
    return None if name == _OTHERWISE else datetime.strptime(name.removeprefix("delivered_"), "%Y%m%d").date()  # noqa: DTZ007


def missing(today: date) -> list[date]:
    """Of the partitions that may be needed from today until ``AHEAD`` periods after the longest retention, those that lack."""
    there, day = {one.gone_by for one in partitions()}, _period_of(today)
    last = _period_of(today + timedelta(days=max(RETENTIONS) + AHEAD * PERIOD))
    wanted = [day + timedelta(days=PERIOD * n) for n in range((last - day).days // PERIOD + 1)]
    return [day for day in wanted if day not in there]


def make_partition(gone_by: date) -> bool:
    """False: what belongs there lies where all else does already, and stays there. Needs a transaction; waits briefly for tables."""
    execute("SELECT set_config('lock_timeout', %s, true)", (str(DDL_MS),))
    execute("LOCK TABLE delivered IN SHARE UPDATE EXCLUSIVE MODE")
    if rows(f"SELECT 1 FROM {_OTHERWISE} WHERE gone_by = %s LIMIT 1", (gone_by,)):
        return False
    name = f"delivered_{gone_by:%Y%m%d}"
    execute(
        f"CREATE TABLE {name} (LIKE delivered INCLUDING DEFAULTS INCLUDING INDEXES) WITH (autovacuum_vacuum_scale_factor = 0.5)"
    )
    execute(f"ALTER TABLE delivered ATTACH PARTITION {name} FOR VALUES IN ('{gone_by}')")
    return True


def is_empty(partition: Partition) -> bool:
    return not rows(f"SELECT 1 FROM {partition.name} LIMIT 1")


def drop_partition(partition: Partition) -> None:
    """Of a time to which nothing is added any more. Needs a transaction; waits briefly for tables."""
    execute("SELECT set_config('lock_timeout', %s, true)", (str(DDL_MS),))
    execute(f"DROP TABLE {partition.name}")
