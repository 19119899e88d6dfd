"""Redeliveries that go on after their call: one row each, taken page by page by whoever is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch

Key = tuple[str, str]  # event id, platform
LAST_ID = 2**63 - 1


class EventHead(NamedTuple):
    """Of a stored event, what says whether it may be sent again."""

    event_name: str
    action_source: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Stored events, by what and ``after`` which place, that get a delivery on a platform."""

    platform: str
    search: EventSearch


@dataclass(slots=True)
class RedeliveryRow:
    """``search``: by what, ``after`` which place. ``booked``: platform -> until when what was queued is due.

    ``stored``: it makes deliveries for these events instead, and ``search`` says nothing.
    ``refused``: reason -> how many; ``examples``: reason -> the event id of one of them.
    """

    merchant_id: int
    redelivery_id: int
    search: DeliverySearch
    by_ids: bool
    requested_at: datetime
    last_page_at: datetime
    next_page_at: datetime
    finished_at: datetime | None = None
    matched: int = 0
    requeued: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    booked: dict[str, datetime] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    stored: StoredEvents | None = None

    @property
    def after(self) -> tuple[Any, ...] | None:
        """The last one that was looked at."""
        return self.search.after if self.stored is None else self.stored.search.after


COLUMNS = (
    "merchant_id, redelivery_id, search, after, by_ids, requested_at, last_page_at, next_page_at, finished_at, matched, "
    "requeued, refused, booked, refused_examples, stored"
)
INSERT = """
INSERT INTO redeliveries (merchant_id, search, by_ids, requested_at, last_page_at, next_page_at)
VALUES (%s, %s, %s, %s, %s, %s) RETURNING redelivery_id
"""
INSERT_STORED = """
INSERT INTO redeliveries (merchant_id, search, by_ids, stored, requested_at, last_page_at, next_page_at)
VALUES (%s, '{}', false, %s, %s, %s, %s) RETURNING redelivery_id
"""
INSERT_PAGES = """
INSERT INTO redelivery_pages (merchant_id, redelivery_id, page, keys)
SELECT %s, %s, page, keys FROM json_array_elements(%s::json) WITH ORDINALITY AS x(keys, page)
"""


def insert_redelivery(merchant_id: int, search: DeliverySearch, by_ids: bool, now: datetime) -> RedeliveryRow:
    """A new one, whose first page is the caller's."""
    given: dict[str, Any] = {name: value for name, value in asdict(search).items() if name != "after"}
    if any(given[name] is not None for name in _LATER):
        given = {_WHOLE: given}
    redelivery_id = rows(INSERT, (merchant_id, orjson.dumps(given).decode(), by_ids, now, now, now))[0][0]
    return RedeliveryRow(merchant_id, redelivery_id, search, by_ids, now, now, now)


def insert_stored(merchant_id: int, stored: StoredEvents, now: datetime) -> RedeliveryRow:
    """A new one about stored events, whose first page is the caller's."""
    search = {name: value for name, value in asdict(stored.search).items() if name != "after"}
    given = orjson.dumps({"platform": stored.platform, "search": search}).decode()
    redelivery_id = rows(INSERT_STORED, (merchant_id, given, now, now, now))[0][0]
    return RedeliveryRow(merchant_id, redelivery_id, DeliverySearch(), False, now, now, now, stored=stored)


def insert_pages(row: RedeliveryRow, pages: Sequence[Sequence[Key]]) -> None:
    """What is to be redelivered by id, page by page."""
    execute(INSERT_PAGES, (row.merchant_id, row.redelivery_id, orjson.dumps(pages).decode()))


# Merchants take turns, however many of these each has: first the one that had a page done longest ago.
TAKE = """
WITH served AS (
    SELECT merchant_id, max(last_page_at) AS last_at FROM redeliveries WHERE finished_at IS NULL GROUP BY merchant_id
)
SELECT r.merchant_id, r.redelivery_id FROM redeliveries r JOIN served s USING (merchant_id)
WHERE r.finished_at IS NULL AND r.next_page_at <= %s
ORDER BY s.last_at, r.next_page_at, r.redelivery_id LIMIT 1 FOR UPDATE OF r SKIP LOCKED
"""


def take_redelivery(now: datetime) -> tuple[int, int] | None:
    """(merchant id, redelivery id) of one whose turn it is; this transaction holds it until it ends."""
    found = rows(TAKE, (now,))
    return (found[0][0], found[0][1]) if found else None


def redelivery_by_id(merchant_id: int, redelivery_id: int) -> RedeliveryRow | None:
    """A merchant's own one."""
    found = rows(
        f"SELECT {COLUMNS} FROM redeliveries WHERE merchant_id = %s AND redelivery_id = %s",
        (merchant_id, redelivery_id),
    )
    return _read(found[0]) if found else None


OF_MERCHANT = f"""
SELECT {COLUMNS} FROM redeliveries WHERE merchant_id = %(merchant)s AND redelivery_id < %(before)s
ORDER BY redelivery_id DESC LIMIT %(limit)s
"""


def page_of_redeliveries(merchant_id: int, before: int | None, limit: int) -> list[RedeliveryRow]:
    """The newest first, at most ``limit``; ``before``: the number of the last one seen."""
    params: Any = {"merchant": merchant_id, "before": LAST_ID if before is None else before, "limit": limit}
    return [_read(row) for row in rows(OF_MERCHANT, params)]


TAKE_PAGE = """
DELETE FROM redelivery_pages WHERE merchant_id = %(merchant)s AND redelivery_id = %(redelivery)s AND page = (
    SELECT min(page) FROM redelivery_pages WHERE merchant_id = %(merchant)s AND redelivery_id = %(redelivery)s)
RETURNING keys, EXISTS (SELECT 1 FROM redelivery_pages x WHERE x.merchant_id = %(merchant)s
                        AND x.redelivery_id = %(redelivery)s AND x.page > redelivery_pages.page)
"""


def take_page(row: RedeliveryRow) -> tuple[list[Key], bool]:
    """(the next ids of one that this transaction holds, whether there are more); they are gone when it commits."""
    params: Any = {"merchant": row.merchant_id, "redelivery": row.redelivery_id}
    found = rows(TAKE_PAGE, params)
    if not found:
        return [], False
    return [(event_id, platform) for event_id, platform in found[0][0]], found[0][1]


SAVE = """
UPDATE redeliveries SET after = %s, booked = %s, matched = %s, requeued = %s, refused = %s, last_page_at = %s,
    next_page_at = %s, finished_at = %s, refused_examples = %s
WHERE merchant_id = %s AND redelivery_id = %s
"""


def save_redelivery(row: RedeliveryRow) -> None:
    """Where it stands, in the transaction of what it did."""
    execute(
        SAVE,
        (
            _place(row.after) if row.finished_at is None else None,  # it names an event, and is of no more use
            orjson.dumps(row.booked).decode(),
            row.matched,
            row.requeued,
            orjson.dumps(row.refused).decode(),
            row.last_page_at,
            row.next_page_at,
            row.finished_at,
            orjson.dumps(row.examples).decode(),
            row.merchant_id,
            row.redelivery_id,
        ),
    )


def _place(after: tuple[Any, ...] | None) -> str | None:
    return orjson.dumps(after).decode() if after is not None else None


def hold_unchanged(row: RedeliveryRow) -> bool:
    """Whether one still stands where it was read; then this transaction holds it until it ends."""
    sql = (
        "SELECT 1 FROM redeliveries WHERE merchant_id = %s AND redelivery_id = %s AND finished_at IS NULL "
        "AND matched = %s AND after IS NOT DISTINCT FROM %s::jsonb FOR UPDATE"
    )
    return bool(rows(sql, (row.merchant_id, row.redelivery_id, row.matched, _place(row.after))))


def postpone(merchant_id: int, redelivery_id: int, until: datetime) -> None:
    """Nothing of it is done before an instant."""
    execute(
        "UPDATE redeliveries SET next_page_at = %s WHERE merchant_id = %s AND redelivery_id = %s",
        (until, merchant_id, redelivery_id),
    )


# Behind: something has been due for a while and no worker has it in hand, though nothing holds the destination back.
BEHIND = """
SELECT x.platform FROM destinations x
WHERE x.merchant_id = %(merchant)s AND x.platform = ANY(%(platforms)s) AND x.removed_at IS NULL
  AND x.state = 'active' AND (x.resume_at IS NULL OR x.resume_at <= %(now)s)
  AND EXISTS (
    SELECT 1 FROM deliveries d
    WHERE d.merchant_id = x.merchant_id AND d.platform = x.platform AND d.due_at <= %(late)s AND d.event_id NOT IN (
        SELECT unnest(event_ids) FROM claims WHERE merchant_id = %(merchant)s))
LIMIT 1
"""


def is_any_behind(merchant_id: int, platforms: Sequence[str], late: datetime, now: datetime) -> bool:
    """Whether a destination has something waiting since before ``late`` that its workers did not come to."""
    params: Any = {"merchant": merchant_id, "platforms": list(platforms), "late": late, "now": now}
    return bool(rows(BEHIND, params))


def heads_of_events(merchant_id: int, event_ids: Sequence[str]) -> dict[str, EventHead]:
    """By event id, of those that are there."""
    found = rows(
        "SELECT event_id, event_name, action_source, occurred_at FROM events WHERE merchant_id = %s AND event_id = ANY(%s)",
        (merchant_id, list(event_ids)),
    )
    return {row[0]: EventHead(*row[1:]) for row in found}


def in_hands(merchant_id: int) -> set[Key]:
    """Deliveries that workers have in their hands at this moment."""
    found = rows("SELECT unnest(event_ids), platform FROM claims WHERE merchant_id = %s", (merchant_id,))
    return {(row[0], row[1]) for row in found}


def purge_redeliveries(before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` that finished before an instant; how many."""
    return execute(
        "DELETE FROM redeliveries r USING (SELECT merchant_id, redelivery_id FROM redeliveries WHERE finished_at < %s "
        "ORDER BY finished_at LIMIT %s) AS old "
        "WHERE r.merchant_id = old.merchant_id AND r.redelivery_id = old.redelivery_id",
        (before, limit),
    )


def _read(found: Sequence[Any]) -> RedeliveryRow:
    merchant_id, redelivery_id, search, after, by_ids, requested_at, last_page_at, next_page_at, *counted = found
    finished_at, matched, requeued, refused, booked, examples, stored = counted
    return RedeliveryRow(
        merchant_id,
        redelivery_id,
        _read_search(search, after) if stored is None else DeliverySearch(),
        by_ids,
        requested_at,
        last_page_at,
        next_page_at,
        finished_at,
        matched,
        requeued,
        refused,
        {platform: datetime.fromisoformat(at) for platform, at in booked.items()},
        examples,
        _read_stored(stored, after) if stored is not None else None,
    )


_INSTANTS = ("received_since", "received_until", "occurred_since", "occurred_until")


def _read_stored(stored: Mapping[str, Any], after: Sequence[Any] | None) -> StoredEvents:
    given = dict(stored["search"])
    for name in _INSTANTS:
        given[name] = datetime.fromisoformat(given[name]) if given[name] is not None else None
    for name in ("delivery_statuses", "platforms"):
        given[name] = tuple(given[name])
    found = EventSearch(**given)
    if after is not None:
        found = replace(found, after=(datetime.fromisoformat(after[0]), after[1]))
    return StoredEvents(stored["platform"], found)


# What a search may be narrowed by besides since such jobs are kept. One that is stands under a name that a worker of the
# version before does not find: it would redeliver more than was asked for, and so leaves the job to the others.
_LATER = ("received_since", "received_until", "held", "error_code")
_WHOLE = "search"


def _read_search(given: Mapping[str, Any], after: Sequence[Any] | None) -> DeliverySearch:
    given = given.get(_WHOLE, given)

    def instant(name: str) -> datetime | None:
        return datetime.fromisoformat(given[name]) if given.get(name) is not None else None

    return DeliverySearch(
        platform=given["platform"],
        status=tuple(given["status"]),
        drop_reason=tuple(given["drop_reason"]),
        queued_since=instant("queued_since"),
        queued_until=instant("queued_until"),
        error_contains=given["error_contains"],
        untouched_since=instant("untouched_since"),
        received_since=instant("received_since"),
        received_until=instant("received_until"),
        held=given.get("held"),
        after=(datetime.fromisoformat(after[0]), after[1], after[2]) if after is not None else None,
        error_code=given.get("error_code"),
    )
