"""Lists whose rows no index leads to: a page looks at so many and says how far it came; its cursor goes on from there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.db.deliveries import DeliveryRow, DeliverySearch, page_of_deliveries

MOST_LOOKED = 20_000  # deliveries with an error, that one page looks at


def walk_of_deliveries(
    merchant_id: int, search: DeliverySearch, limit: int
) -> tuple[list[DeliveryRow], datetime | None]:
    """A page as ``page_of_deliveries`` gives it; where words are looked for, among ``MOST_LOOKED`` deliveries at most. And how far
    back it looked, where it is not full and there are older ones: all that was queued then or later.
    """
    places = rows(*place_query(merchant_id, search)) if search.error_contains else []
    if not places:
        return page_of_deliveries(merchant_id, search, limit), None
    until: datetime = places[0][0]
    since = until if search.queued_since is None else max(until, search.queued_since)
    found = page_of_deliveries(merchant_id, replace(search, queued_since=since), limit)
    return found, until if len(found) < limit else None


def place_query(merchant_id: int, search: DeliverySearch) -> tuple[str, list[Any]]:
    """When the delivery was queued at which such a page ends: no row where it comes to its end before. In the order of the index
    deliveries_refused, and of that alone.
    """
    where = ["merchant_id = %s", "last_error IS NOT NULL"]
    params: list[Any] = [merchant_id]
    if search.queued_since is not None:
        where.append("queued_at >= %s")
        params.append(search.queued_since)
    if search.queued_until is not None:
        where.append("queued_at < %s")
        params.append(search.queued_until)
    if search.after is not None:
        where.append("(queued_at, event_id, platform) < (%s, %s, %s)")
        params.extend(search.after)
    return (
        f"SELECT queued_at FROM deliveries WHERE {' AND '.join(where)} "
        f"ORDER BY queued_at DESC, event_id DESC, platform DESC OFFSET {MOST_LOOKED} LIMIT 1",
        params,
    )
