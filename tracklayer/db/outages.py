"""How platforms are doing for all merchants, and the destinations that are held with them.

``address``: where this installation's traffic to its platforms goes; '' for the platforms' own. What is found out at one
address says nothing about another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.health import DOWN
from tracklayer.domain.outage import SERVING, PlatformHealth

Destination = tuple[int, str]  # merchant id, platform

_COLUMNS = (
    "platform, failing::text, failing_since, reason, opened_at, resume_at, probe_seconds, probers, recovering_since, "
    "released_to, suspects"
)
_OWN = "(starts_with(state_reason, 'credentials') OR starts_with(state_reason, 'TrackLayer'))"
# As the index on them says it, word by word.
_WITH_PLATFORM = f"state = 'held' AND strpos(state_reason, '{DOWN}') > 0"


def platforms(address: str) -> dict[str, PlatformHealth]:
    """Of those that were ever in trouble; few."""
    return {
        row[0]: _health(row) for row in rows(f"SELECT {_COLUMNS} FROM platform_health WHERE address = %s", (address,))
    }


def platforms_down() -> dict[str, PlatformHealth]:
    """Of any address; at one that is used no more nobody is held."""
    found = rows(f"SELECT {_COLUMNS} FROM platform_health WHERE opened_at IS NOT NULL ORDER BY opened_at DESC")
    return {row[0]: _health(row) for row in found}


def lock_platform(platform: str, address: str) -> PlatformHealth:
    """Held by this transaction until it ends; its row is there from then on."""
    lock = f"SELECT {_COLUMNS} FROM platform_health WHERE platform = %s AND address = %s FOR UPDATE"
    found = rows(lock, (platform, address))
    if not found:
        execute(
            "INSERT INTO platform_health (platform, address) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (platform, address),
        )
        found = rows(lock, (platform, address))
    return _health(found[0]) if found else SERVING


def _health(row: tuple[Any, ...]) -> PlatformHealth:
    failing = {int(merchant): datetime.fromisoformat(at) for merchant, at in orjson.loads(row[1]).items()}
    return PlatformHealth(
        failing, row[2], row[3], row[4], row[5], row[6], tuple(row[7]), row[8], row[9], tuple(row[10])
    )


def set_platform(platform: str, address: str, health: PlatformHealth) -> None:
    execute(
        "UPDATE platform_health SET failing = %s::jsonb, failing_since = %s, reason = %s, opened_at = %s, resume_at = %s, "
        "probe_seconds = %s, probers = %s::bigint[], recovering_since = %s, released_to = %s, suspects = %s::bigint[] "
        "WHERE platform = %s AND address = %s",
        (
            JsonLiteral({str(merchant): at.isoformat() for merchant, at in health.failing.items()}),
            health.failing_since,
            health.reason,
            health.opened_at,
            health.resume_at,
            health.probe_seconds,
            list(health.probers),
            health.recovering_since,
            health.released_to,
            list(health.suspects),
            platform,
            address,
        ),
    )


def take_probe(merchant_id: int, platform: str, address: str) -> bool:
    """Whether that merchant may send a probe now: it was named, and is not any more. One caller is told so."""
    return bool(
        execute(
            "UPDATE platform_health SET probers = array_remove(probers, %s::bigint) WHERE platform = %s AND address = %s "
            "AND opened_at IS NOT NULL AND %s::bigint = ANY(probers)",
            (merchant_id, platform, address, merchant_id),
        )
    )


# Those first that are held with their platform until this round, since they had something to send then, and were not tried
# yet; any of them. Who is held for something of its own, where there is nobody else: whatever it is answered is an answer.
CHOOSE = f"""
WITH likely AS MATERIALIZED (
    SELECT merchant_id FROM destinations
    WHERE platform = %(platform)s AND failing_since IS NOT NULL AND state = 'held' AND removed_at IS NULL
      AND resume_at <= %(now)s AND (turn_ends_at IS NULL OR turn_ends_at <= %(now)s)
    ORDER BY NOT ({_WITH_PLATFORM}), resume_at < %(round)s, merchant_id = ANY(%(tried)s::bigint[]), random() LIMIT 200
)
SELECT merchant_id FROM likely WHERE EXISTS (
    SELECT 1 FROM deliveries d
    WHERE d.merchant_id = likely.merchant_id AND d.platform = %(platform)s AND d.due_at <= %(now)s)
LIMIT %(count)s
"""


def choose_probers(platform: str, tried: Sequence[int], begun: datetime, now: datetime, count: int) -> list[int]:
    """Merchants whose destination is held and has something to send. ``begun``: since when it is time."""
    params: Any = {"platform": platform, "tried": list(tried), "round": begun, "now": now, "count": count}
    return [row[0] for row in rows(CHOOSE, params)]


FAILING_WITH = f"""
SELECT merchant_id FROM destinations
WHERE platform = %(platform)s AND failing_since >= %(since)s
  AND (state = 'active' OR (state = 'held' AND NOT {_OWN} AND NOT ({_WITH_PLATFORM})))
ORDER BY failing_since LIMIT %(limit)s
"""


def failing_with(platform: str, since: datetime, limit: int) -> list[int]:
    """Merchants whose own requests have failed since then, and which are not held with their platform yet."""
    params: Any = {"platform": platform, "since": since, "limit": limit}
    return [row[0] for row in rows(FAILING_WITH, params)]


# What is the destination's own keeps its reason: refused credentials, and what we cannot open. One that is held for itself,
# since it found the outage out first, is from now on held with its platform; no wait is shortened by that.
HOLD = f"""
WITH chosen AS (
    SELECT x.merchant_id, x.platform, x.state,
        x.state = 'held' AND {_OWN} AS is_own
    FROM destinations x JOIN unnest(%(merchants)s::bigint[]) AS u (merchant_id) ON x.merchant_id = u.merchant_id
    WHERE x.platform = %(platform)s AND x.removed_at IS NULL AND x.state <> 'paused'
      AND (x.resume_at IS NULL OR x.resume_at <= %(now)s OR (x.state = 'held' AND NOT {_OWN} AND NOT ({_WITH_PLATFORM})))
      AND (x.turn_ends_at IS NULL OR x.turn_ends_at <= %(now)s)
    ORDER BY x.merchant_id FOR UPDATE OF x SKIP LOCKED
)
UPDATE destinations d SET state = 'held', state_reason = CASE WHEN c.is_own THEN d.state_reason ELSE %(reason)s END,
    failing_since = coalesce(d.failing_since, %(since)s), resume_at = greatest(d.resume_at, %(until)s), recovering_since = NULL,
    probe_seconds = CASE WHEN c.state = 'held' THEN d.probe_seconds ELSE 0 END
FROM chosen c WHERE d.merchant_id = c.merchant_id AND d.platform = c.platform
RETURNING d.merchant_id, c.state
"""


def hold_with_platform(
    platform: str, merchants: Sequence[int], reason: str, since: datetime, until: datetime, now: datetime
) -> list[int]:
    """Holds those of these merchants' destinations that may send, until the platform's next round; who was not held before."""
    params: Any = {
        "platform": platform,
        "merchants": sorted(merchants),
        "reason": reason,
        "since": since,
        "until": until,
        "now": now,
    }
    return [row[0] for row in rows(HOLD, params) if row[1] != DestinationState.HELD]


LOCK_HELD = f"""
SELECT merchant_id FROM destinations WHERE platform = %(platform)s AND {_WITH_PLATFORM}
ORDER BY merchant_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""


def lock_held(platform: str, limit: int) -> list[int]:
    """Merchants whose destination is held with its platform, held by this transaction; not those that others have."""
    params: Any = {"platform": platform, "limit": limit}
    return [row[0] for row in rows(LOCK_HELD, params)]


RELEASE = """
UPDATE destinations d SET state = 'active', state_reason = NULL, failures = 0, failing_since = NULL, probe_seconds = 0,
    turn_ends_at = NULL, resume_at = s.at, recovering_since = s.at
FROM unnest(%s::bigint[], %s::timestamptz[]) AS s (merchant_id, at)
WHERE d.merchant_id = s.merchant_id AND d.platform = %s
"""


def release_at(platform: str, places: Sequence[tuple[int, datetime]]) -> None:
    """(merchant, when its destination recovers from), of destinations that this transaction holds."""
    merchants, at = [place[0] for place in places], [place[1] for place in places]
    execute(RELEASE, (merchants, at, platform))


# From one to the next by the index on those.
PLATFORMS_HELD = f"""
WITH RECURSIVE walk AS (
    (SELECT platform FROM destinations WHERE {_WITH_PLATFORM} ORDER BY platform, merchant_id LIMIT 1)
    UNION ALL
    SELECT next.platform FROM walk w CROSS JOIN LATERAL (
        SELECT platform FROM destinations WHERE {_WITH_PLATFORM} AND platform > w.platform
        ORDER BY platform, merchant_id LIMIT 1) AS next
)
SELECT platform FROM walk
"""


def platforms_held() -> set[str]:
    """Platforms with which some destination is held."""
    return {row[0] for row in rows(PLATFORMS_HELD)}


COUNT_HELD = f"""
SELECT count(*) FROM (
    SELECT 1 FROM destinations WHERE platform = %(platform)s AND {_WITH_PLATFORM} LIMIT %(most)s) AS held
"""


def count_held(platform: str, most: int) -> int:
    """Destinations that are held with it, so many at most."""
    params: Any = {"platform": platform, "most": most}
    return int(rows(COUNT_HELD, params)[0][0])


@dataclass(frozen=True, slots=True)
class InHand:
    """A platform's batches in workers' hands. ``slow``: whose request has been on its way for long, of so many merchants."""

    slow: int
    slow_merchants: int
    total: int

    @property
    def most_hang(self) -> bool:
        return self.slow_merchants > 1 and self.slow * 2 > self.total


def in_hand(now: datetime, slow: timedelta) -> dict[str, InHand]:
    """By platform. There are as many claims as threads that deliver."""
    found = rows(
        "SELECT platform, count(*) FILTER (WHERE sent_at < %s), count(DISTINCT merchant_id) FILTER (WHERE sent_at < %s), "
        "count(*) FROM claims GROUP BY platform",
        (now - slow, now - slow),
    )
    return {row[0]: InHand(*row[1:]) for row in found}
