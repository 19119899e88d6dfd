"""What is stored of a person: events, deliveries, browsers and links, found and erased.

The request, and how far it has come, is in db/erasures.py; what is left of it, in db/marks.py and db/traces.py. How a browser is
told whose it is, and what that adds to events, is in db/identities.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.counters import Changes
from tracklayer.db.identities import pairs, read_person
from tracklayer.db.leases import Lease
from tracklayer.db.queues import lock_queues
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.person import KEPT_UNDER, TELLING
from tracklayer.domain.stitching import Person

Place = tuple[datetime, str]  # when an event came, and its id


class Looked(NamedTuple):
    """What of an event says whose it is. ``added``: JSON text of what stitching added, or None."""

    event_id: str
    received_at: datetime
    user_data: str
    digests: str | None
    added: str | None


_LOOKED = """
SELECT e.event_id, e.received_at, e.user_data::text, e.digests::text, n.fields::text FROM (
    SELECT event_id, received_at, user_data, digests FROM events WHERE merchant_id = %(merchant)s AND {condition}) AS e
LEFT JOIN LATERAL (SELECT fields FROM enrichments
    WHERE merchant_id = %(merchant)s AND event_id = e.event_id LIMIT 1) AS n ON true
ORDER BY e.received_at, e.event_id
"""
PAGE = _LOOKED.format(
    condition="received_at >= %(since)s AND received_at <= %(until)s AND (received_at, event_id) > (%(since)s, %(id)s) "
    "AND (received_at, event_id) <= (%(until)s, %(last)s) "
    "ORDER BY received_at, event_id LIMIT %(limit)s"
)
NAMED = _LOOKED.format(condition="event_id = ANY(%(ids)s)")


def looked_at(merchant_id: int, event_ids: Sequence[str]) -> list[Looked]:
    """Some events by id, in the order in which they came; those that are not stored are missing."""
    return [Looked(*row) for row in rows(NAMED, {"merchant": merchant_id, "ids": list(event_ids)})]  # type: ignore[arg-type]


def events_after(merchant_id: int, after: Place, until: Place, limit: int) -> list[Looked]:
    """A merchant's events behind a place, and not behind another, in the order in which they came.

    A place is that of an event, which has come at an instant; with an empty id it is before all that came then.
    """
    params: Any = {
        "merchant": merchant_id,
        "since": after[0],
        "id": after[1],
        "until": until[0],
        "last": until[1],
        "limit": limit,
    }
    return [Looked(*row) for row in rows(PAGE, params)]


def behind_all(merchant_id: int) -> Place:
    """Behind all of a merchant's events that are stored, also of those that came by a clock that was ahead."""
    newest = rows("SELECT max(received_at) FROM events WHERE merchant_id = %s", (merchant_id,))[0][0]
    return (newest or datetime.min.replace(tzinfo=UTC)) + timedelta.resolution, ""


def still_there(merchant_id: int, event_ids: Sequence[str]) -> list[str]:
    """Which of some events are stored, by id."""
    found = rows(
        "SELECT event_id FROM events WHERE merchant_id = %s AND event_id = ANY(%s) ORDER BY event_id",
        (merchant_id, list(event_ids)),
    )
    return [row[0] for row in found]


def deliveries_of(merchant_id: int, event_ids: Sequence[str]) -> int:
    """How many deliveries some events have."""
    found = rows(
        "SELECT count(*) FROM deliveries WHERE merchant_id = %s AND event_id = ANY(%s)", (merchant_id, list(event_ids))
    )
    return int(found[0][0])


ERASED = DropReason.ERASED.value
HOLD = """
SELECT event_id FROM events WHERE merchant_id = %s AND event_id = ANY(%s) ORDER BY event_id FOR UPDATE SKIP LOCKED
"""
# Whoever has them in hand at this moment, and writes what became of them, is not waited for: there is a next look.
MARK = """
UPDATE claims c SET erasing = c.erasing || x.more
FROM (SELECT platform, claim_id, more FROM claims CROSS JOIN LATERAL (
        SELECT ARRAY(SELECT unnest(event_ids) INTERSECT SELECT unnest(%(ids)s::text[]) EXCEPT SELECT unnest(erasing))) AS y(more)
    WHERE merchant_id = %(merchant)s AND event_ids && %(ids)s::text[] AND more <> '{}'
    FOR UPDATE OF claims SKIP LOCKED) AS x
WHERE c.merchant_id = %(merchant)s AND c.platform = x.platform AND c.claim_id = x.claim_id
"""
DROP = """
UPDATE deliveries d
SET status = 'dropped', drop_reason = %(reason)s, due_at = NULL, next_retry_at = NULL, finished_at = %(now)s,
    last_error = NULL
WHERE d.merchant_id = %(merchant)s AND d.event_id = ANY(%(ids)s) AND d.platform = coalesce(%(platform)s, d.platform)
  AND d.status NOT IN ('delivered', 'dropped')
  AND NOT EXISTS (SELECT 1 FROM claims c
    WHERE c.merchant_id = %(merchant)s AND c.platform = d.platform AND d.event_id = ANY(c.event_ids))
RETURNING d.platform, d.received_at
"""
# What a worker has in its hands stays: taking it away would leave its answer without a row. As ``db.events.PURGE``.
ERASE = """
WITH old AS (
    SELECT e.merchant_id, e.event_id FROM events e
    WHERE e.merchant_id = %(merchant)s AND e.event_id = ANY(%(ids)s)
      AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.merchant_id = e.merchant_id AND e.event_id = ANY(c.event_ids))
    ORDER BY e.event_id FOR UPDATE OF e SKIP LOCKED
), deliveries_gone AS (
    DELETE FROM deliveries d USING old WHERE d.merchant_id = old.merchant_id AND d.event_id = old.event_id
    RETURNING d.event_id, d.platform, d.received_at, d.status, d.attempts, d.last_attempt_at, d.delivered_at,
              jsonb_array_length(d.attempt_log) AS logged, (d.attempt_log -> 0 ->> 'at')::timestamptz AS began_at
), repeats_gone AS (
    DELETE FROM differing_repeats r USING old WHERE r.merchant_id = old.merchant_id AND r.event_id = old.event_id
    RETURNING r.event_id
), enrichments_gone AS (
    DELETE FROM enrichments n USING old WHERE n.merchant_id = old.merchant_id AND n.event_id = old.event_id
    RETURNING n.event_id
), events_gone AS (
    DELETE FROM events e USING old WHERE e.merchant_id = old.merchant_id AND e.event_id = old.event_id
    RETURNING e.event_id, e.event_name, e.received_at
)
SELECT 'event', event_id, event_name, received_at, false, false, NULL::timestamptz, NULL::timestamptz, false FROM events_gone
UNION ALL
SELECT 'delivery', event_id, platform, received_at, attempts > 0 OR logged > 0, status = 'delivered',
       least(began_at, last_attempt_at, delivered_at), coalesce(delivered_at, last_attempt_at),
       status IN ('queued', 'failed') FROM deliveries_gone
UNION ALL
SELECT 'differing_repeats', event_id, '', NULL, false, false, NULL, NULL, false FROM repeats_gone
UNION ALL
SELECT 'enrichments', event_id, '', NULL, false, false, NULL, NULL, false FROM enrichments_gone
"""


class Given(NamedTuple):
    """What a platform got: of one delivery that was deleted."""

    event_id: str
    platform: str
    is_attempted: bool
    is_delivered: bool
    first_at: datetime | None
    last_at: datetime | None


@dataclass(slots=True)
class Gone:
    """``events``: id -> when it was received; ``names``: id -> its name. ``others``: (table, event id), one a row."""

    events: dict[str, datetime] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)


def erase_events(merchant_id: int, event_ids: Sequence[str], now: datetime) -> Gone:
    """Deletes events with all that hangs on them; those with a delivery in a worker's hands stay, without what waits, and those
    that somebody holds stay as they are.

    What waits is dropped first, and the ledger counts both; what is in a worker's hands is as soon as it is given back, unless it was
    delivered. Needs a transaction. Fails where it would wait for long: see ``lock_queues``.
    """
    lock_queues(merchant_id)
    execute(MARK, {"merchant": merchant_id, "ids": list(event_ids)})  # type: ignore[arg-type]
    held = [row[0] for row in rows(HOLD, (merchant_id, list(event_ids)))]
    params: Any = {"merchant": merchant_id, "ids": held}
    changes, gone = Changes(), Gone()
    _drop(merchant_id, None, held, now, changes)
    for what, event_id, platform, at, is_attempted, is_delivered, first_at, last_at, waited in rows(ERASE, params):
        if what == "event":
            gone.events[event_id], gone.names[event_id] = at, platform
            changes.add(merchant_id, "", at, purged=1)
        elif what == "delivery":
            gone.given.append(Given(event_id, platform, is_attempted, is_delivered, first_at, last_at))
            changes.add(merchant_id, platform, at, purged=1)
            if waited:  # it was in a worker's hands when the others were dropped, and came back since
                changes.drop(merchant_id, platform, at, ERASED, now)
        else:
            gone.others.append((what, event_id))
    changes.write()
    return gone


def drop_given_back(lease: Lease, event_ids: Sequence[str], now: datetime, changes: Changes) -> None:
    """Of a lease that this transaction has ended and settled: drops what an erasure waits for, so that it does not go out once more."""
    if event_ids:
        _drop(lease.merchant_id, lease.platform, event_ids, now, changes)


def _drop(merchant_id: int, platform: str | None, event_ids: Sequence[str], now: datetime, changes: Changes) -> None:
    """``platform``: None for all."""
    params: Any = {"merchant": merchant_id, "platform": platform, "ids": list(event_ids), "now": now, "reason": ERASED}
    for found, received_at in rows(DROP, params):
        changes.drop(merchant_id, found, received_at, ERASED, now)


UNNAME = """
UPDATE enrichments n SET fields = (
    SELECT json_agg(CASE WHEN f ->> 'browser_id' = ANY(%(browsers)s) THEN (f::jsonb - 'browser_id')::json ELSE f END
        ORDER BY place)
    FROM json_array_elements(n.fields) WITH ORDINALITY AS x(f, place))
WHERE n.merchant_id = %(merchant)s AND n.event_id IN (SELECT event_id FROM enrichments
        WHERE merchant_id = %(merchant)s AND event_id = ANY(%(ids)s) ORDER BY event_id FOR NO KEY UPDATE)
    AND EXISTS (SELECT FROM json_array_elements(n.fields) f WHERE f ->> 'browser_id' = ANY(%(browsers)s))
RETURNING n.event_id
"""


def unname_browsers(merchant_id: int, event_ids: Sequence[str], browser_ids: Sequence[str]) -> list[str]:
    """Of some events, takes away of which of some browsers something was added to them; those that it was done to."""
    params: Any = {"merchant": merchant_id, "ids": list(event_ids), "browsers": list(browser_ids)}
    return [row[0] for row in rows(UNNAME, params)]


class LinkRow(NamedTuple):
    """A browser was seen with somebody. The person's ``digests`` are empty where that one was erased."""

    browser_id: str
    person: Person


MOST_LINKS = 2000  # that are looked at


# One digest after the other: of many at once the planner would rather read the whole table.
_WITH = """
(SELECT DISTINCT p.browser_id FROM unnest(%(digests)s::text[]) AS x(digest) CROSS JOIN LATERAL (
    SELECT browser_id FROM browser_people
    WHERE merchant_id = %(merchant)s AND {form} = x.digest LIMIT %(limit)s) AS p LIMIT %(limit)s)
"""
# By all that tells whose an event is, so that no link of a person stays whose events go.
LINK_FORMS = (
    "browser_people.digest",
    *(f"digests ->> '{rule}'" for rules in TELLING.values() for rule in rules if rule not in KEPT_UNDER),
)
BROWSERS_WITH = "UNION".join(_WITH.format(form=form) for form in LINK_FORMS)


def browsers_with(merchant_id: int, digests: Sequence[str]) -> list[str]:
    """Browsers that were seen with whom these digests are of, in whichever of the spellings that are told for the same."""
    params: Any = {"merchant": merchant_id, "digests": list(digests), "limit": MOST_LINKS}
    return [row[0] for row in rows(BROWSERS_WITH, params)]


LINKS_OF_BROWSERS = """
SELECT p.browser_id, p.kind, p.digest, p.digests, p.first_seen_at, p.last_seen_at FROM unnest(%s::bigint[], %s::text[]) AS x(merchant_id, browser_id)
JOIN browser_people p ON p.merchant_id = x.merchant_id AND p.browser_id = x.browser_id
"""


def browser(merchant_id: int, browser_id: str) -> tuple[datetime, datetime, str | None] | None:
    """(first seen, last seen, what was agreed to there)."""
    found: list[Any] = rows(
        "SELECT first_seen_at, last_seen_at, consent FROM browsers WHERE merchant_id = %s AND browser_id = %s",
        (merchant_id, browser_id),
    )
    return found[0] if found else None


def signals_of(merchant_id: int, browser_id: str, most: int) -> list[tuple[Any, ...]]:
    """(kind, value, first seen, last seen) of what a browser showed."""
    return rows(
        "SELECT kind, value, first_seen_at, last_seen_at FROM browser_signals WHERE merchant_id = %s AND browser_id = %s "
        "ORDER BY kind, first_seen_at LIMIT %s",
        (merchant_id, browser_id, most),
    )


def links_of_browsers(merchant_id: int, browser_ids: Sequence[str]) -> list[LinkRow]:
    """Everybody that some browsers were seen with: of each there are a few."""
    return [LinkRow(row[0], read_person(*row[1:])) for row in rows(LINKS_OF_BROWSERS, pairs(merchant_id, browser_ids))]


# By key, also of a merchant who is new to the planner.
_GIVEN = "unnest(%(merchants)s::bigint[], %(ids)s::text[]) AS x(merchant_id, browser_id)"


def known_browsers(merchant_id: int, browser_ids: Sequence[str]) -> set[str]:
    """Of which of some browsers anything is kept beside events."""
    tables = ("browsers", "browser_signals", "browser_people")
    sql = " UNION ".join(
        f"SELECT t.browser_id FROM {_GIVEN} JOIN {table} t "
        "ON t.merchant_id = x.merchant_id AND t.browser_id = x.browser_id"
        for table in tables
    )
    merchants, ids = pairs(merchant_id, browser_ids)
    return {row[0] for row in rows(sql, {"merchants": merchants, "ids": ids})}  # type: ignore[arg-type]


def refused_browsers(merchant_id: int, browser_ids: Sequence[str]) -> set[str]:
    """In which of some browsers consent was denied."""
    merchants, ids = pairs(merchant_id, browser_ids)
    found = rows(
        f"SELECT b.browser_id FROM {_GIVEN} JOIN browsers b "
        "ON b.merchant_id = x.merchant_id AND b.browser_id = x.browser_id WHERE b.consent = 'denied'",
        {"merchants": merchants, "ids": ids},  # type: ignore[arg-type]
    )
    return {row[0] for row in found}


NAMELESS = """
INSERT INTO browser_people (merchant_id, digest, browser_id, kind, digests, first_seen_at, last_seen_at)
SELECT merchant_id, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), browser_id, kind, '{}',
       first_seen_at, last_seen_at
FROM browser_people WHERE merchant_id = %s AND (browser_id, digest) IN %s
"""


ERASE_LINKS = """
WITH old AS MATERIALIZED (
    SELECT p.merchant_id, p.browser_id, p.digest
    FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS x(merchant_id, browser_id, digest)
    JOIN browser_people p USING (merchant_id, browser_id, digest)
    ORDER BY p.digest, p.browser_id FOR UPDATE OF p
)
DELETE FROM browser_people p USING old
WHERE p.merchant_id = old.merchant_id AND p.browser_id = old.browser_id AND p.digest = old.digest
"""


def erase_links(merchant_id: int, links: Sequence[tuple[str, str]], *, is_shared: bool) -> int:
    """Deletes that browsers were seen with somebody, by (browser id, digest); how many. The caller holds the browsers' rows.

    ``is_shared``: in the place of each stays that the browser was seen with somebody, so that it does not become another's
    alone.
    """
    if not links:
        return 0
    if is_shared:
        execute(NAMELESS, (merchant_id, tuple(links)))
    browser_ids, digests = zip(*links, strict=True)
    return execute(ERASE_LINKS, ([merchant_id] * len(links), list(browser_ids), list(digests)))
