"""Lists whose rows no index leads to: a page looks at so many and says how far it came; its cursor goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from tracklayer.db import delivery_search, event_search
from tracklayer.db.connection import rows
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.event_search import EventSearch
from tracklayer.db.events import EventRow

MOST_LOOKED = 20_000  # rows that one page looks at: some hundredths of a second
MOST_LOOKED_UP = 5_000  # where each is looked up in another table, too, and next to none may be found

Row = TypeVar("Row")


def walk_of_events(merchant_id: int, search: EventSearch, limit: int) -> tuple[list[EventRow], datetime | None]:
    """A page as ``page_of_events`` gives it, that looks at ``MOST_LOOKED`` events, or deliveries of some, at most; and how far
    back it looked, where it is not full and there are older ones: all that was received then or later.
    """
    waiting = event_search.waiting_events(merchant_id, search)
    ends: Sequence[Sequence[Any]] = []
    if waiting is None:
        if search.is_walked or search.unsettled is not None:
            most = MOST_LOOKED if search.is_walked else MOST_LOOKED_UP
            ends = rows(*event_search.place_query(merchant_id, search, most))
    elif search.picks and event_search.TROUBLED & (search.unsettled or frozenset()):
        most = MOST_LOOKED if search.event_name is None else MOST_LOOKED_UP
        ends = rows(*event_search.troubled_place_query(merchant_id, search, most))

    def page(since: datetime | None) -> list[EventRow]:
        return event_search.page_beside(merchant_id, replace(search, received_since=since), limit, waiting)

    return _walk(ends, search.received_since, page, limit)


def walk_of_deliveries(
    merchant_id: int, search: DeliverySearch, limit: int
) -> tuple[list[DeliveryRow], datetime | None]:
    """The same of deliveries, as ``page_of_deliveries`` gives them and by when they were queued: where words are looked for, or
    more waits than is sorted.
    """
    waits = delivery_search.much_waits(merchant_id, search)
    ends: Sequence[Sequence[Any]] = []
    is_sorted = waits is False and search.waits  # whole
    if waits or (search.is_walked and not is_sorted):
        ends = rows(*delivery_search.place_query(merchant_id, search, MOST_LOOKED))

    def page(since: datetime | None) -> list[DeliveryRow]:
        return delivery_search.page_of_deliveries(merchant_id, replace(search, queued_since=since), limit, waits)

    return _walk(ends, search.queued_since, page, limit)


def _walk(
    ends: Sequence[Sequence[Any]], since: datetime | None, page: Callable[[datetime | None], list[Row]], limit: int
) -> tuple[list[Row], datetime | None]:
    """``ends``: a row with the place at which the page ends; none where all are looked at. ``since``: as it was asked for."""
    if not ends:
        return page(since), None
    until: datetime = ends[0][0]
    found = page(until if since is None else max(until, since))
    return found, until if len(found) < limit else None
