"""Deliveries by what befell them, counted a little: what waits, failed or was dropped, by platform, reason and code.

Nothing is counted to its end. Which groups there are is looked up one after another in their index, and of each a bounded
number of rows is read, the newest first; of what waits, by platform, what has been due the longest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tracklayer.db.connection import rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.domain.delivery import DeliveryStatus, DropReason

MOST_CODES = 40  # groups of one platform: what has more codes than that has codes that tell nothing
MOST_WAITING_CODES = 20  # of what waits on one platform
MOST_LOOKED_AT = 1_000  # rows of a group
MOST_OF_ALL = 25_000  # rows that one answer looks at; but at least so many of each group:
LEAST_LOOKED_AT = 50

# A kind is the reason of what was dropped, or 'failed'. All of it is said as the index deliveries_grouped says it.
KINDS = ("failed", *(reason.value for reason in DropReason))
KIND, CODE = "coalesce(d.drop_reason, d.status)", "coalesce(d.error_code, '')"
_OF_PLATFORM = f"d.merchant_id = %(merchant)s AND d.platform = {{0}}.platform AND {KIND} NOT IN ('queued', 'delivered')"
_OF_GROUP = f"{_OF_PLATFORM} AND {KIND} = {{0}}.kind AND {CODE} = {{0}}.code"

# One step in the index a group: from the first code of each kind to the next one that is there.
GROUPS = f"""
WITH RECURSIVE found AS (
    SELECT x.platform, k.kind, one.code, 1 AS number
    FROM unnest(%(platforms)s::text[]) AS x(platform) CROSS JOIN unnest(%(kinds)s::text[]) AS k(kind)
    CROSS JOIN LATERAL (
        SELECT {CODE} AS code FROM deliveries d WHERE {_OF_PLATFORM.format("x")} AND {KIND} = k.kind
        ORDER BY {CODE} LIMIT 1) AS one
    UNION ALL
    SELECT found.platform, found.kind, one.code, found.number + 1
    FROM found CROSS JOIN LATERAL (
        SELECT {CODE} AS code FROM deliveries d
        WHERE {_OF_PLATFORM.format("found")} AND {KIND} = found.kind AND {CODE} > found.code
        ORDER BY {CODE} LIMIT 1) AS one
    WHERE found.number < {MOST_CODES}
)
SELECT platform, kind, code FROM found ORDER BY number
"""
GROUPS_OF_CODE = f"""
SELECT x.platform, x.kind, x.code
FROM (SELECT platform, kind, %(code)s::text AS code
      FROM unnest(%(platforms)s::text[]) AS platform CROSS JOIN unnest(%(kinds)s::text[]) AS kind) AS x
CROSS JOIN LATERAL (SELECT 1 FROM deliveries d WHERE {_OF_GROUP.format("x")} LIMIT 1) AS one
"""

# ``looked``: the newest of a group in the time that is asked for. What is narrowed further is narrowed among those.
LOOK = f"""
SELECT g.platform, CASE g.kind WHEN 'failed' THEN 'failed' ELSE 'dropped' END, nullif(g.kind, 'failed'), nullif(g.code, ''),
       l.matching, l.looked <= %(most)s, l.newest,
       CASE WHEN l.looked > %(most)s AND NOT %(narrowed)s THEN (
           SELECT d.queued_at FROM deliveries d WHERE {_OF_GROUP.format("g")}
             AND d.queued_at >= %(since)s AND d.queued_at < %(until)s ORDER BY d.queued_at, d.event_id LIMIT 1)
       ELSE l.oldest END, l.example, x.last_error
FROM unnest(%(platforms)s::text[], %(kinds)s::text[], %(codes)s::text[]) AS g(platform, kind, code)
CROSS JOIN LATERAL (
    SELECT count(*) AS looked, least(count(*) FILTER (WHERE matches), %(most)s) AS matching,
           min(queued_at) FILTER (WHERE matches) AS oldest, max(queued_at) FILTER (WHERE matches) AS newest,
           (array_agg(event_id ORDER BY queued_at DESC, event_id DESC) FILTER (WHERE matches))[1] AS example
    FROM (
        SELECT d.queued_at, d.event_id, {{matches}} AS matches FROM deliveries d
        WHERE {_OF_GROUP.format("g")} AND d.queued_at >= %(since)s AND d.queued_at < %(until)s
        ORDER BY d.queued_at DESC, d.event_id DESC LIMIT %(most)s + 1) AS few) AS l
LEFT JOIN LATERAL (
    SELECT d.last_error FROM deliveries d
    WHERE {_OF_GROUP.format("g")} AND d.queued_at = l.newest AND d.event_id = l.example LIMIT 1) AS x ON true
WHERE l.matching > 0
"""

# Of a long queue what has been due the longest: those are looked at, and it is said that there are more.
WAITING = """
SELECT platform, code, least(count(*), %(most)s) AS matching, max(looked) <= %(most)s, max(queued_at), min(queued_at),
       (array_agg(event_id ORDER BY queued_at DESC, event_id DESC))[1],
       (array_agg(last_error ORDER BY queued_at DESC, event_id DESC))[1]
FROM (
    SELECT x.platform, few.*, count(*) OVER (PARTITION BY x.platform) AS looked
    FROM unnest(%(platforms)s::text[]) AS x(platform) CROSS JOIN LATERAL (
        SELECT d.status, d.error_code AS code, d.queued_at, d.event_id, d.last_error, {matches} AS matches
        FROM deliveries d WHERE d.merchant_id = %(merchant)s AND d.platform = x.platform AND d.due_at IS NOT NULL
        ORDER BY d.due_at LIMIT %(most)s + 1) AS few) AS looked_at
WHERE status = 'queued' AND queued_at >= %(since)s AND queued_at < %(until)s AND matches
GROUP BY platform, code ORDER BY matching DESC
"""


# Deliveries of events that were stored first are queued after they are received, and so after a time that is asked for.
QUEUED_LATER = """
SELECT 1 FROM deliveries WHERE merchant_id = %s AND queued_at > received_at AND queued_at >= %s
ORDER BY queued_at LIMIT 1
"""

# Until the transaction ends. All is read in the order of an index and only as far as is asked for: to gather and to sort may
# look cheaper where the statistics are older than a long queue, and reads it all.
IN_ORDER = "SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)"


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Deliveries of one platform that share their status, reason and code.

    ``count``: as many were found; where not ``is_exact`` there are, or may be, more: then, of what waits and of a search that
    goes by more than the group and when it was queued, ``oldest_queued_at`` is that of those that were found.
    """

    platform: str
    status: str
    drop_reason: str | None
    code: str | None
    count: int
    is_exact: bool
    newest_queued_at: datetime
    oldest_queued_at: datetime
    example_event_id: str
    example_error: str | None


def delivery_groups(merchant_id: int, search: DeliverySearch, platforms: list[str]) -> list[GroupRow]:
    """The groups of what a search finds on some platforms, in no order; what was delivered is in none.

    Needs a transaction of its own.
    """
    rows(IN_ORDER)
    if search.error_code is not None and not search.status:  # as a page of deliveries does
        search = replace(search, status=(DeliveryStatus.FAILED, DeliveryStatus.DROPPED))
    if search.platform is not None:
        platforms = [platform for platform in platforms if platform == search.platform]
    found = _of_troubled(merchant_id, search, platforms)
    if _admits(search, DeliveryStatus.QUEUED, "", None):
        found += _of_waiting(merchant_id, search, platforms)
    until = search.received_until
    if until is not None and found and rows(QUEUED_LATER, (merchant_id, until)):
        return [replace(group, is_exact=False) for group in found]
    return found


def _of_troubled(merchant_id: int, search: DeliverySearch, platforms: list[str]) -> list[GroupRow]:
    kinds = [kind for kind in KINDS if _admits(search, *_status_and_reason(kind), None)]
    params: dict[str, Any] = {
        "merchant": merchant_id,
        "platforms": platforms,
        "kinds": kinds,
        "code": search.error_code,
    }
    groups: list[tuple[str, str, str]] = []
    taken = Counter[str]()
    # The first code of each kind comes before the second of any: no kind is hidden by another that has many.
    for platform, kind, code in rows(GROUPS if search.error_code is None else GROUPS_OF_CODE, params):  # type: ignore[arg-type]
        if taken[platform] < MOST_CODES:
            taken[platform] += 1
            groups.append((platform, kind, code))
    if not groups:
        return []
    most = max(LEAST_LOOKED_AT, min(MOST_LOOKED_AT, MOST_OF_ALL // len(groups) // 100 * 100))
    matches, given = _narrowed(search, most)
    params |= {
        **given,
        "platforms": [group[0] for group in groups],
        "kinds": [group[1] for group in groups],
        "codes": [group[2] for group in groups],
    }
    return [GroupRow(*row) for row in rows(LOOK.format(matches=matches), params)]  # type: ignore[arg-type]


def _of_waiting(merchant_id: int, search: DeliverySearch, platforms: list[str]) -> list[GroupRow]:
    matches, given = _narrowed(search, MOST_LOOKED_AT)
    params: Any = {**given, "merchant": merchant_id, "platforms": platforms}
    found: dict[str, list[GroupRow]] = {}
    for platform, code, *rest in rows(WAITING.format(matches=matches), params):
        groups = found.setdefault(platform, [])
        if (search.error_code is None or search.error_code == (code or "")) and len(groups) < MOST_WAITING_CODES:
            groups.append(GroupRow(platform, DeliveryStatus.QUEUED, None, code, *rest))
    return [group for groups in found.values() for group in groups]


def _status_and_reason(kind: str) -> tuple[str, str]:
    if kind == DeliveryStatus.FAILED:
        return DeliveryStatus.FAILED, ""
    return DeliveryStatus.DROPPED, kind


def _admits(search: DeliverySearch, status: str, reason: str, code: str | None) -> bool:
    """Whether a search can find anything in a group; a ``code`` of None is any."""
    return (
        (not search.status or status in search.status)
        and (not search.drop_reason or reason in search.drop_reason)
        and (code is None or search.error_code is None or search.error_code == code)
    )


def _narrowed(search: DeliverySearch, most: int) -> tuple[str, dict[str, Any]]:
    """(a condition on each row beyond its group and time, its values)."""
    conditions = []
    if search.error_contains:
        conditions.append("strpos(lower(d.last_error), lower(%(words)s)) > 0")
    if search.received_since is not None or search.received_until is not None:
        conditions.append("d.received_at >= %(received_since)s AND d.received_at < %(received_until)s")
    since = [at for at in (search.queued_since, search.received_since) if at is not None]
    until = [at for at in (search.queued_until, search.received_until) if at is not None]
    given: dict[str, Any] = {
        "most": most,
        # Nothing is queued before it is received, and all but what was stored first then.
        "since": max(since, default="-infinity"),
        "until": min(until, default="infinity"),
        "narrowed": bool(conditions),
        "words": search.error_contains,
        "received_since": search.received_since or "-infinity",
        "received_until": search.received_until or "infinity",
    }
    return " AND ".join(conditions) or "true", given
