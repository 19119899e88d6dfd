"""Alerts: read by page, by id, and by the deliveries that were part of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from tracklayer.db.connection import rows
from tracklayer.db.models import AlertRow


@dataclass(frozen=True)
class AlertSearch:
    """What a page of alerts may be narrowed by. ``after``: ``(opened_at, alert_id)`` of the last one seen."""

    kinds: tuple[str, ...] = ()
    platform: str | None = None
    open: bool | None = None
    opened_since: datetime | None = None
    after: tuple[datetime, int] | None = None


def page_of_alerts(merchant_id: int, search: AlertSearch, limit: int) -> list[AlertRow]:
    """Newest opened first, at most ``limit``, by keyset."""
    where = ["merchant_id = %s"]
    params: list[Any] = [merchant_id]
    if search.kinds:
        where.append("kind = ANY(%s)")
        params.append(list(search.kinds))
    if search.platform is not None:
        where.append("platform = %s")
        params.append(search.platform)
    if search.open is not None:
        where.append(f"resolved_at IS {'' if search.open else 'NOT '}NULL")
    if search.opened_since is not None:
        where.append("opened_at >= %s")
        params.append(search.opened_since)
    if search.after is not None:
        where.append("(opened_at, alert_id) < (%s, %s)")
        params.extend(search.after)
    found = AlertRow.raw(
        f"SELECT * FROM alerts WHERE {' AND '.join(where)} ORDER BY opened_at DESC, alert_id DESC LIMIT %s",
        *params,
        limit,
    )
    return list(found)


def alerts_by_id(merchant_id: int, alert_ids: Sequence[int]) -> dict[int, AlertRow]:
    found = AlertRow.select().where((AlertRow.merchant_id == merchant_id) & AlertRow.alert_id.in_(list(alert_ids)))
    return {row.alert_id: row for row in found}


# A delivery belongs to the alerts of its platform, or of the whole merchant, that were open while it waited.
ALERTS_OF_DELIVERIES = """
SELECT x.event_id, x.platform, a.alert_id
FROM json_to_recordset(%s::json) AS x(event_id text, platform text, since timestamptz, until timestamptz)
JOIN alerts a ON a.merchant_id = %s AND (a.platform IS NULL OR a.platform = x.platform)
  AND a.opened_at <= x.until AND (a.resolved_at IS NULL OR a.resolved_at >= x.since)
ORDER BY a.opened_at DESC, a.alert_id DESC
"""

Wait = tuple[str, str, datetime, datetime]


def alerts_of_deliveries(merchant_id: int, waits: Sequence[Wait]) -> dict[tuple[str, str], list[AlertRow]]:
    """The alerts of deliveries given as (event id, platform, waited since, waited until), newest first."""
    records = [{"event_id": e, "platform": p, "since": s, "until": u} for e, p, s, u in waits]
    pairs = rows(ALERTS_OF_DELIVERIES, (orjson.dumps(records).decode(), merchant_id))
    found = alerts_by_id(merchant_id, list({row[2] for row in pairs})) if pairs else {}
    grouped: dict[tuple[str, str], list[AlertRow]] = {(e, p): [] for e, p, _, _ in waits}
    for event_id, platform, alert_id in pairs:
        if alert_id in found:
            grouped[event_id, platform].append(found[alert_id])
    return grouped
