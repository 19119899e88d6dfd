"""What the watch over the quality of events reads: ``coverage`` by what matters to it, and small samples of the newest events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from tracklayer.db.connection import rows
from tracklayer.db.counters import counted_in
from tracklayer.db.coverage import BY_NAME
from tracklayer.db.stored_json import loads
from tracklayer.domain.facts import BITS
from tracklayer.domain.monitors.habits import Day

MOST_WALKED = 3000  # of a merchant's newest events, in order of arrival; of these
MOST_SAMPLED = 500


class Counts(NamedTuple):
    """Events of a minute (or an older hour) of one name, action source and host, and how many of them carry what.

    ``value``: above zero. ``currency``: of those with a value or a zero. ``orders``: those with an order id.
    """

    minute: datetime
    action_source: str
    host: str
    events: int
    value: int
    zero: int
    currency: int
    orders: int


_WITHIN = counted_in(unit="day")
_PRICED = BITS["value"] | BITS["zero_value"]
_COUNTS = f"""sum(events)::bigint,
    coalesce(sum(events) FILTER (WHERE facts & {BITS["value"]} <> 0), 0)::bigint,
    coalesce(sum(events) FILTER (WHERE facts & {BITS["zero_value"]} <> 0), 0)::bigint,
    coalesce(sum(events) FILTER (WHERE facts & {BITS["currency"]} <> 0 AND facts & {_PRICED} <> 0), 0)::bigint"""
_ORDERS = f"""coalesce(sum(events) FILTER (WHERE facts & {BITS["order_id"]} <> 0), 0)::bigint"""
MINUTES = f"""
{BY_NAME}
SELECT n.merchant_id, n.event_name, c.* FROM names n CROSS JOIN LATERAL (
    SELECT minute, action_source, host, {_COUNTS}, {_ORDERS} FROM coverage_counted
    WHERE merchant_id = n.merchant_id AND event_name = n.event_name AND {_WITHIN}
    GROUP BY minute, action_source, host) AS c
WHERE n.event_name IS NOT NULL
ORDER BY n.merchant_id, n.event_name, c.minute
"""
HOURS = f"""
SELECT date_trunc('hour', minute, 'UTC') AS hour, action_source, host, {_COUNTS}, {_ORDERS} FROM coverage_counted
WHERE merchant_id = %(merchant)s AND event_name = %(name)s AND {_WITHIN}
GROUP BY hour, action_source, host ORDER BY hour
"""
DAYS = f"""
{BY_NAME}
SELECT n.merchant_id, n.event_name, c.* FROM names n CROSS JOIN LATERAL (
    SELECT sum(events)::bigint AS events, coalesce(sum(events) FILTER (WHERE facts & {BITS["ahead"]} <> 0), 0)::bigint,
           coalesce(sum(events) FILTER (WHERE facts & {BITS["late"]} <> 0), 0)::bigint, {_COUNTS.partition(",")[2]}
    FROM coverage_counted
    WHERE merchant_id = n.merchant_id AND event_name = n.event_name AND {_WITHIN}) AS c
WHERE n.event_name IS NOT NULL AND c.events > 0
ORDER BY n.merchant_id, n.event_name
"""


def counts_by_minute(
    merchant_ids: Sequence[int], since: datetime, until: datetime
) -> dict[int, dict[str, list[Counts]]]:
    """Merchant -> event name -> its minutes from ``since`` to ``until`` (not included), oldest first."""
    found: dict[int, dict[str, list[Counts]]] = {}
    params: Any = {"merchants": list(merchant_ids), "since": since, "until": until}
    for row in rows(MINUTES, params):
        found.setdefault(row[0], {}).setdefault(row[1], []).append(Counts._make(row[2:]))
    return found


def counts_by_hour(merchant_id: int, event_name: str, since: datetime, until: datetime) -> list[Counts]:
    """The same of one name by the hour; ``minute`` is its start."""
    params: Any = {"merchant": merchant_id, "name": event_name, "since": since, "until": until}
    return [Counts._make(row) for row in rows(HOURS, params)]


def days_of(merchant_ids: Sequence[int], since: datetime, until: datetime) -> dict[int, list[Day]]:
    """What the events of each name were like from ``since`` to ``until`` (not included)."""
    found: dict[int, list[Day]] = {}
    params: Any = {"merchants": list(merchant_ids), "since": since, "until": until}
    for row in rows(DAYS, params):
        found.setdefault(row[0], []).append(Day._make(row[1:]))
    return found


class Sampled(NamedTuple):
    """An event as it is stored; ``user_data`` and ``custom_data``: the JSON."""

    event_id: str
    event_name: str
    occurred_at: datetime
    received_at: datetime
    action_source: str
    user_data: Mapping[str, Any]
    custom_data: Mapping[str, Any]


SAMPLE = f"""
SELECT event_id, event_name, occurred_at, received_at, action_source, user_data::text, custom_data::text FROM (
    SELECT * FROM events WHERE merchant_id = %(merchant)s AND received_at >= %(since)s
    ORDER BY received_at DESC, event_id DESC LIMIT {MOST_WALKED}) AS newest
WHERE %(names)s::text[] IS NULL OR event_name = ANY(%(names)s::text[])
ORDER BY received_at DESC, event_id DESC LIMIT %(limit)s
"""


def newest_events(
    merchant_id: int, since: datetime, names: Sequence[str] | None = None, limit: int = MOST_SAMPLED
) -> list[Sampled]:
    """The newest that arrived from ``since`` on, of some names or of all, the newest first; at most ``limit``."""
    params: Any = {
        "merchant": merchant_id,
        "since": since,
        "names": list(names) if names is not None else None,
        "limit": limit,
    }
    return [Sampled._make((*row[:5], loads(row[5]), loads(row[6]))) for row in rows(SAMPLE, params)]


def exact(value: Any) -> Decimal | None:
    """A stored amount; None of what is none."""
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


RECEIVED = f"""
SELECT x.merchant_id, m.accepted, m.coalesced FROM unnest(%(merchants)s::bigint[]) AS x(merchant_id) CROSS JOIN LATERAL (
    SELECT coalesce(sum(accepted), 0)::bigint AS accepted, coalesce(sum(coalesced), 0)::bigint AS coalesced FROM counted
    WHERE merchant_id = x.merchant_id AND platform = '' AND {counted_in()}) AS m
"""
REPEATED = f"""
SELECT event_id FROM (
    SELECT event_id, times_received, last_received_at FROM events WHERE merchant_id = %s AND received_at >= %s
    ORDER BY received_at DESC, event_id DESC LIMIT {MOST_WALKED}) AS newest
WHERE last_received_at >= %s AND times_received > %s ORDER BY times_received DESC, event_id LIMIT 1
"""


def received(merchant_ids: Sequence[int], since: datetime, until: datetime) -> dict[int, tuple[int, int]]:
    """Merchant -> its events from ``since`` to ``until`` (not included): new ones, and repeats of an event id."""
    params: Any = {"merchants": list(merchant_ids), "since": since, "until": until}
    return {row[0]: (row[1], row[2]) for row in rows(RECEIVED, params)}


def most_repeated(merchant_id: int, stored_since: datetime, since: datetime, least: int) -> str | None:
    """The event id that came most often, more than ``least`` times, of the newest stored from ``stored_since`` on; it came

    again from ``since`` on.
    """
    found = rows(REPEATED, (merchant_id, stored_since, since, least))
    return found[0][0] if found else None


class Place(NamedTuple):
    """A destination as far as names of events matter: its settings without secrets."""

    platform: str
    event_names: Sequence[str] | None
    settings: Mapping[str, Any]


class Shop(NamedTuple):
    """``default_currency``: the merchant's. ``places``: its destinations that take events."""

    default_currency: str | None
    places: list[Place]


SHOPS = """
SELECT m.merchant_id, m.default_currency, d.platform, d.event_names, d.settings::text
FROM merchants m LEFT JOIN destinations d ON d.merchant_id = m.merchant_id AND d.removed_at IS NULL
WHERE m.merchant_id = ANY(%s) ORDER BY m.merchant_id, d.platform
"""


def shops(merchant_ids: Sequence[int]) -> dict[int, Shop]:
    found: dict[int, Shop] = {}
    for merchant_id, currency, platform, names, settings in rows(SHOPS, (list(merchant_ids),)):
        shop = found.setdefault(merchant_id, Shop(currency, []))
        if platform is not None:
            shop.places.append(Place(platform, names, loads(settings)))
    return found


REMOVED = f"""
SELECT d.platform, d.removed_at, m.dropped FROM destinations d CROSS JOIN LATERAL (
    SELECT coalesce(sum((drop_reasons ->> 'destination_removed')::int), 0)::bigint AS dropped FROM counted
    WHERE merchant_id = d.merchant_id AND platform = d.platform
      AND {counted_in("d.removed_at - %(window)s", "d.removed_at + interval '1 minute'")}) AS m
WHERE d.merchant_id = %(merchant)s AND d.removed_at >= %(since)s AND m.dropped > 0
ORDER BY d.removed_at, d.platform
"""


def dropped_by_removal(merchant_id: int, since: datetime, window: timedelta) -> list[tuple[str, datetime, int]]:
    """(platform, when it was removed, deliveries that were dropped for it and not redelivered) of destinations that were removed
    since an instant. ``window``: how long a delivery waits at most.
    """
    params: Any = {"merchant": merchant_id, "since": since, "window": window}
    return [(row[0], row[1], row[2]) for row in rows(REMOVED, params)]


FILTERED = f"""
SELECT d.platform, m.filtered, m.first_at FROM destinations d CROSS JOIN LATERAL (
    SELECT coalesce(sum(filtered), 0)::bigint AS filtered, coalesce(sum(routed), 0)::bigint AS routed,
           min(minute) FILTER (WHERE filtered > 0) AS first_at FROM counted
    WHERE merchant_id = d.merchant_id AND platform = d.platform AND {counted_in()}) AS m
WHERE d.merchant_id = %(merchant)s AND d.removed_at IS NULL AND d.event_names IS NOT NULL AND m.routed = 0 AND m.filtered > 0
"""


def filtered_wholly(merchant_id: int, now: datetime, within: timedelta) -> dict[str, tuple[int, datetime]]:
    """Platform -> how many events its event names left out, and when the first one came, of destinations that got none."""
    params: Any = {"merchant": merchant_id, "since": now - within, "until": now + timedelta(minutes=1)}
    return {platform: (filtered, first_at) for platform, filtered, first_at in rows(FILTERED, params)}


TOO_OLD = f"""
SELECT d.platform, m.dropped,
       CASE WHEN m.dropped > 0 THEN (
           SELECT event_id FROM (
               SELECT event_id, platform, drop_reason FROM deliveries
               WHERE merchant_id = d.merchant_id AND status = 'dropped' ORDER BY queued_at DESC LIMIT 200) AS troubled
           WHERE platform = d.platform AND drop_reason = 'event_too_old' LIMIT 1) END
FROM destinations d CROSS JOIN LATERAL (
    SELECT coalesce(sum((drop_reasons ->> 'event_too_old')::int), 0)::bigint AS dropped FROM counted
    WHERE merchant_id = d.merchant_id AND platform = d.platform AND {counted_in()}) AS m
WHERE d.merchant_id = %(merchant)s AND d.removed_at IS NULL
"""


def too_old_events(merchant_id: int, now: datetime, within: timedelta) -> dict[str, tuple[int, str | None]]:
    """Platform -> how many events did not go there for their age, and the event id of one of the newest of these."""
    params: Any = {"merchant": merchant_id, "since": now - within, "until": now + timedelta(minutes=1)}
    found = rows(TOO_OLD, params)
    return {platform: (dropped, event_id) for platform, dropped, event_id in found}
