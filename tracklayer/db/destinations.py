"""Destinations: where a merchant's events go, and how each is doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import peewee

from tracklayer.db.connection import execute, rows
from tracklayer.db.models import DestinationRow, MerchantRow
from tracklayer.db.queues import QUEUE_LOCK
from tracklayer.domain.delivery import DestinationState, Health


def destination(merchant_id: int, platform: str) -> DestinationRow | None:
    """One that was not removed."""
    found: DestinationRow | None = _of_merchant(merchant_id).where(DestinationRow.platform == platform).first()
    return found


def _of_merchant(merchant_id: int) -> Any:
    """Those that were not removed, each with what the merchant sets for all platforms."""
    return (
        DestinationRow.select(
            DestinationRow,
            MerchantRow.default_currency.alias("merchant_currency"),
            MerchantRow.default_page_url.alias("merchant_page_url"),
            MerchantRow.require_consent.alias("merchant_consent"),
            MerchantRow.hash_user_data.alias("merchant_hashes"),
            MerchantRow.stitched_since.alias("merchant_stitched_since"),
            MerchantRow.retention_days.alias("merchant_retention_days"),
        )
        .join(MerchantRow, on=(MerchantRow.merchant_id == DestinationRow.merchant_id))
        .where((DestinationRow.merchant_id == merchant_id) & DestinationRow.removed_at.is_null())
        .objects()
    )


@dataclass(slots=True)
class Seen:
    """A destination that a worker looked at, with what its merchant sets for all platforms.

    ``in_hand``: deliveries that workers have leased; None: not counted. ``is_locked``: this transaction has its queue's lock; None:
    not tried.
    """

    merchant_id: int
    platform: str
    state: str
    state_reason: str | None
    event_names: list[str] | None
    settings: dict[str, Any]
    secrets: memoryview
    failures: int
    failing_since: datetime | None
    resume_at: datetime | None
    probe_seconds: int
    recovering_since: datetime | None
    turn_ends_at: datetime | None
    merchant_currency: str | None
    merchant_page_url: str | None
    merchant_consent: str
    merchant_hashes: bool
    merchant_stitched_since: datetime | None
    merchant_retention_days: int
    in_hand: int | None = None
    is_locked: bool | None = None


_AS_SEEN = """d.merchant_id, d.platform, d.state, d.state_reason, d.event_names, d.settings, d.secrets, d.failures,
       d.failing_since, d.resume_at, d.probe_seconds, d.recovering_since, d.turn_ends_at, m.default_currency,
       m.default_page_url, m.require_consent, m.hash_user_data, m.stitched_since, m.retention_days"""
SEE = f"""
SELECT {_AS_SEEN} FROM destinations d JOIN merchants m USING (merchant_id)
WHERE d.merchant_id = %s AND d.platform = %s AND d.removed_at IS NULL
"""


def see(merchant_id: int, platform: str) -> Seen | None:
    """One that was not removed, for whoever claims there: what ``destination`` gives takes many times as long to read."""
    found = rows(SEE, (merchant_id, platform))
    return Seen(*found[0]) if found else None


# The locks are taken here and not by the claim itself: a statement sees what was committed before it began, and so must
# begin when it has them. Only of what is sent to freely, by nobody else for the most part.
LOOK = f"""
SELECT {_AS_SEEN}, c.in_hand,
       CASE WHEN d.state = 'active' AND d.recovering_since IS NULL AND (d.resume_at IS NULL OR d.resume_at <= %(now)s)
            AND (d.turn_ends_at IS NULL OR d.turn_ends_at <= %(now)s) AND c.in_hand < %(most)s
            THEN pg_try_advisory_xact_lock(%(class)s, hashtext(d.merchant_id || '/' || d.platform)) END
FROM unnest(%(merchants)s::bigint[], %(platforms)s::text[]) AS w(merchant_id, platform)
JOIN destinations d USING (merchant_id, platform) JOIN merchants m USING (merchant_id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(cardinality(event_ids)), 0)::int AS in_hand FROM claims
    WHERE merchant_id = d.merchant_id AND platform = d.platform) AS c
WHERE d.removed_at IS NULL
"""


def look_at(wanted: Sequence[tuple[int, str]], now: datetime, most_in_hand: int) -> list[Seen]:
    """Destinations that were not removed, and the locks of those queues that are free, of destinations that are well.

    Not where workers have ``most_in_hand`` deliveries.
    """
    params: Any = {
        "merchants": [merchant_id for merchant_id, _ in wanted],
        "platforms": [platform for _, platform in wanted],
        "now": now,
        "most": most_in_hand,
        "class": QUEUE_LOCK,
    }
    return [Seen(*row) for row in rows(LOOK, params)]


def destinations(merchant_id: int) -> list[DestinationRow]:
    """A merchant's destinations, by platform: one a platform at most, so there are few."""
    return list(_of_merchant(merchant_id).order_by(DestinationRow.platform))


def upsert_destination(merchant_id: int, platform: str, values: dict[str, Any], now: datetime) -> None:
    """Creates or changes; one that was removed begins anew. Its hold ends: whoever changed it meant to mend it."""
    fresh = {
        "failures": 0,
        "failing_since": None,
        "resume_at": None,
        "probe_seconds": 0,
        "recovering_since": None,
        "turn_ends_at": None,
        "removed_at": None,
        **values,
    }
    is_there = DestinationRow.removed_at.is_null()
    set_up_at = peewee.Case(None, [(is_there, DestinationRow.set_up_at)], now)
    DestinationRow.insert(merchant_id=merchant_id, platform=platform, created_at=now, **fresh).on_conflict(
        conflict_target=[DestinationRow.merchant_id, DestinationRow.platform], update={**fresh, "set_up_at": set_up_at}
    ).execute()


def lock_destination(merchant_id: int, platform: str) -> DestinationRow | None:
    """One that was not removed, held by this transaction until it ends."""
    rows_of_one = _of_merchant(merchant_id).where(DestinationRow.platform == platform)
    found: DestinationRow | None = rows_of_one.for_update(of=DestinationRow).first()
    return found


def remove_destination(merchant_id: int, platform: str, now: datetime) -> int:
    """Its secrets are gone at once: whoever creates it again gives them anew."""
    return execute(
        "UPDATE destinations SET removed_at = %s, state = 'active', state_reason = NULL, resume_at = NULL, secrets = '' "
        "WHERE merchant_id = %s AND platform = %s AND removed_at IS NULL",
        (now, merchant_id, platform),
    )


def forget_removed_secrets() -> int:
    """Of destinations that a version removed which kept them; how many."""
    return execute("UPDATE destinations SET secrets = '' WHERE removed_at IS NOT NULL AND length(secrets) > 0")


def held_because(reason: str) -> list[tuple[int, str]]:
    """(merchant, platform) of all that are held for this reason."""
    return rows(
        "SELECT merchant_id, platform FROM destinations WHERE state = 'held' AND state_reason = %s AND removed_at IS NULL "
        "ORDER BY merchant_id, platform",
        (reason,),
    )


def count_with_other_settings(settings: Mapping[str, Mapping[str, Any]]) -> int:
    """How many destinations have other settings than these, by platform; secrets are not looked at."""
    return int(
        rows(
            "SELECT count(*) FROM destinations d JOIN unnest(%s::text[], %s::text[]) AS o (platform, settings) "
            "ON d.platform = o.platform WHERE d.removed_at IS NULL AND d.settings <> o.settings::jsonb",
            (list(settings), [orjson.dumps(found).decode() for found in settings.values()]),
        )[0][0]
    )


def count_with_any_setting(settings: Mapping[str, Mapping[str, Any]]) -> int:
    """How many destinations have at least one of these settings, by platform."""
    each = [(platform, name, value) for platform, found in settings.items() for name, value in found.items()]
    return int(
        rows(
            "SELECT count(*) FROM destinations d WHERE d.removed_at IS NULL AND EXISTS (SELECT 1 "
            "FROM unnest(%s::text[], %s::text[], %s::text[]) AS o (platform, name, value) "
            "WHERE d.platform = o.platform AND d.settings -> o.name = o.value::jsonb)",
            (
                [platform for platform, _, _ in each],
                [name for _, name, _ in each],
                [orjson.dumps(value).decode() for _, _, value in each],
            ),
        )[0][0]
    )


def there_since(row: DestinationRow) -> datetime:
    """Since when it is there; of one that had been removed, since it was set up anew."""
    found: datetime = row.set_up_at or row.created_at
    return found


def health_of(row: DestinationRow | Seen) -> Health:
    return Health(
        DestinationState(row.state),
        row.state_reason,
        row.failures,
        row.failing_since,
        row.resume_at,
        row.probe_seconds,
        row.recovering_since,
        row.turn_ends_at,
    )


def set_health(merchant_id: int, platform: str, health: Health) -> None:
    execute(
        "UPDATE destinations SET state = %s, state_reason = %s, failures = %s, failing_since = %s, resume_at = %s, "
        "probe_seconds = %s, recovering_since = %s, turn_ends_at = %s WHERE merchant_id = %s AND platform = %s",
        (
            health.state.value,
            health.reason,
            health.failures,
            health.failing_since,
            health.resume_at,
            health.probe_seconds,
            health.recovering_since,
            health.turn_ends_at,
            merchant_id,
            platform,
        ),
    )


def take_turn(merchant_id: int, platform: str, ends_at: datetime) -> None:
    """Nobody else looks there before."""
    execute(
        "UPDATE destinations SET turn_ends_at = %s WHERE merchant_id = %s AND platform = %s",
        (ends_at, merchant_id, platform),
    )


def end_turn(merchant_id: int, platform: str, ends_at: datetime) -> None:
    """The turn that was to end then is over; another's goes on."""
    execute(
        "UPDATE destinations SET turn_ends_at = NULL WHERE merchant_id = %s AND platform = %s AND turn_ends_at = %s",
        (merchant_id, platform, ends_at),
    )


def put_probe_off(merchant_id: int, platform: str, until: datetime) -> None:
    """Of what waits at a held destination nothing may be risked as its probe: nobody looks before."""
    execute(
        "UPDATE destinations SET resume_at = %s WHERE merchant_id = %s AND platform = %s AND state = 'held'",
        (until, merchant_id, platform),
    )


# From one destination that has something waiting to the next, by the index that workers claim by: what it costs is
# bounded by ``hops``, and does not grow with how much each has waiting, nor with how many wait for a platform that is away.
# But what is done stays in the index while somebody reads for long (a dump), and is looked up in the table entry by entry, to
# no end. What was due before ``since`` is told by the entry itself.
WAITING_DESTINATIONS = """
WITH RECURSIVE walk AS (
    (SELECT 1 AS hop, merchant_id, platform, due_at FROM deliveries
     WHERE due_at >= coalesce(%(since)s::timestamptz, '-infinity') AND (merchant_id, platform) > (%(merchant)s, %(platform)s)
     ORDER BY merchant_id, platform, due_at LIMIT 1)
    UNION ALL
    SELECT w.hop + 1, next.* FROM walk w CROSS JOIN LATERAL (
        SELECT merchant_id, platform, due_at FROM deliveries d
        WHERE due_at >= coalesce(%(since)s::timestamptz, '-infinity') AND (d.merchant_id, d.platform) > (w.merchant_id, w.platform)
        ORDER BY merchant_id, platform, due_at LIMIT 1) AS next
    WHERE w.hop < %(hops)s
)
SELECT w.merchant_id, w.platform, coalesce(w.due_at <= %(now)s AND x.removed_at IS NULL AND x.state <> 'paused'
  AND (x.resume_at IS NULL OR x.resume_at <= %(now)s) AND (x.turn_ends_at IS NULL OR x.turn_ends_at <= %(now)s), false)
FROM walk w JOIN destinations x USING (merchant_id, platform) ORDER BY w.hop
"""
Place = tuple[int, str]  # merchant id, platform
BEGINNING: Place = (0, "")


def waiting_destinations(
    now: datetime, hops: int, after: Place = BEGINNING, since: datetime | None = None
) -> list[tuple[Place, bool]]:
    """Destinations with something waiting, in the order of their keys: (key, whether they have work and may do it).

    Those behind ``after`` first, then the others; ``hops`` of them at most, each once. ``since``: what fell or falls due from
    then on, and nothing older.
    """
    found = _walk(now, hops, after, since)
    if len(found) < hops and after > BEGINNING:
        found += [one for one in _walk(now, hops - len(found), BEGINNING, since) if one[0] <= after]
    return found


def entries_of_queues_read() -> int:
    """Entries of the index of queues that this session has looked up in the table until now: differences tell."""
    found: int = rows("SELECT pg_stat_get_xact_tuples_returned(to_regclass('deliveries_due'))")[0][0]
    return found


def _walk(now: datetime, hops: int, after: Place, since: datetime | None) -> list[tuple[Place, bool]]:
    params: Any = {"now": now, "hops": hops, "merchant": after[0], "platform": after[1], "since": since}
    return [((row[0], row[1]), row[2]) for row in rows(WAITING_DESTINATIONS, params)]


# In the whole order of that index, so that no other one fits.
LAST_WAITING = """
SELECT merchant_id FROM deliveries WHERE due_at IS NOT NULL
ORDER BY merchant_id DESC, platform DESC, due_at DESC LIMIT 1
"""


def last_merchant_waiting() -> int:
    """The highest id of a merchant with something waiting; 0 where nothing waits."""
    found = rows(LAST_WAITING)
    return int(found[0][0]) if found else 0


def not_sent_to(merchant_id: int) -> set[str]:
    """Platforms whose destination is paused or held at the moment."""
    found = rows(
        "SELECT platform FROM destinations WHERE merchant_id = %s AND removed_at IS NULL AND state <> 'active'",
        (merchant_id,),
    )
    return {row[0] for row in found}


def waits_of(merchant_id: int, platforms: Sequence[str]) -> dict[str, tuple[str, datetime | None]]:
    """(state, resume_at) of destinations: what a waiting delivery waits for."""
    found = rows(
        "SELECT platform, state, resume_at FROM destinations WHERE merchant_id = %s AND platform = ANY(%s)",
        (merchant_id, list(platforms)),
    )
    return {row[0]: (row[1], row[2]) for row in found}
