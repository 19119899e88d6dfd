"""Browsers, what they showed, and whom they were seen with: noted, asked about and forgotten. What events got of it is told in
``enrichments``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.domain.stitching import (
    LINK_GRAIN,
    MOST_BROWSERS,
    MOST_PAIRS,
    MOST_PEOPLE,
    MOST_VALUES,
    PAIR,
    Person,
)

LINK_COLUMNS = "merchant_id bigint, event_id text, browser_id text, kind text, digest text, digests json, pair text"
_LINK_COLUMNS = f"{LINK_COLUMNS}, at timestamptz, received_at timestamptz"
# Beside the digests of an email: with which phones one call said it, each as ``pair_of``.
_PAIRS = "pairs"


# Of a new link, which has none yet: written behind its digests as text, which takes less than merging two objects.
_NEW_PAIRS = f"CASE WHEN pairs IS NULL THEN digests ELSE (left(digests::text, -1) || ',\"{_PAIRS}\":\"' || pairs || '\"}}}}')::json END"
_MORE_PAIRS = (
    f"CASE WHEN excluded.digests ->> '{_PAIRS}' IS NULL THEN browser_people.digests "
    f"ELSE (browser_people.digests::jsonb || jsonb_build_object('{_PAIRS}', left(concat_ws(' ', "
    f"excluded.digests ->> '{_PAIRS}', browser_people.digests ->> '{_PAIRS}'), {MOST_PAIRS * (PAIR + 1)})))::json END"
)


# What comes with events, or by ``identify``: browsers and people, from ``{source}``. Who was seen so a moment ago is not
# written again, and who denied consent in that browser not at all: its row is held, so that a refusal of the same moment
# either is seen here or takes away what is written here. How many there are of a browser and of a person is counted where a link
# is looked for: ``CROWDED`` are those of which some are to go.
LINKING = f"""links AS MATERIALIZED (
    SELECT merchant_id, digest, browser_id, min(kind) AS kind, (array_agg(digests))[1] AS digests, min(at) AS since,
           max(at) AS until, min(received_at) AS received_at, string_agg(DISTINCT pair, ' ') AS pairs
    FROM {{source}} GROUP BY merchant_id, digest, browser_id
), looked AS MATERIALIZED (
    SELECT l.*, p.browsers, p.known_at, p.known_at IS NULL
           OR l.until > p.known_at + interval '{LINK_GRAIN.total_seconds():.0f} s'
           OR l.since < p.known_since - interval '{LINK_GRAIN.total_seconds():.0f} s'
           OR NOT string_to_array(l.pairs, ' ') <@ string_to_array(coalesce(p.known_pairs, ''), ' ') AS is_fresh
    FROM links l CROSS JOIN LATERAL (
        SELECT count(*) AS browsers, max(last_seen_at) FILTER (WHERE p.browser_id = l.browser_id) AS known_at,
               max(first_seen_at) FILTER (WHERE p.browser_id = l.browser_id) AS known_since,
               max(p.digests ->> '{_PAIRS}') FILTER (WHERE p.browser_id = l.browser_id) AS known_pairs
        FROM browser_people p WHERE p.merchant_id = l.merchant_id AND p.digest = l.digest) p
), fresh AS MATERIALIZED (
    SELECT * FROM looked WHERE is_fresh
), unwilling AS MATERIALIZED (
    SELECT b.* FROM (SELECT DISTINCT merchant_id, browser_id FROM fresh ORDER BY merchant_id, browser_id) f
    CROSS JOIN LATERAL (SELECT merchant_id, browser_id, consent FROM browsers b
        WHERE b.merchant_id = f.merchant_id AND b.browser_id = f.browser_id LIMIT 1 FOR SHARE) b
    WHERE b.consent = 'denied'
), news AS MATERIALIZED (
    SELECT f.*, p.people FROM fresh f CROSS JOIN LATERAL (
        SELECT count(*) AS people FROM browser_people p
        WHERE p.merchant_id = f.merchant_id AND p.browser_id = f.browser_id) p
    WHERE NOT EXISTS (SELECT FROM unwilling r WHERE r.merchant_id = f.merchant_id AND r.browser_id = f.browser_id)
), linked AS (
    INSERT INTO browser_people (merchant_id, digest, browser_id, kind, digests, first_seen_at, last_seen_at)
    SELECT merchant_id, digest, browser_id, kind, {_NEW_PAIRS}, since, until
    FROM news ORDER BY merchant_id, digest, browser_id
    ON CONFLICT (merchant_id, digest, browser_id) DO UPDATE
        SET last_seen_at = greatest(browser_people.last_seen_at, excluded.last_seen_at),
            first_seen_at = least(browser_people.first_seen_at, excluded.first_seen_at),
            digests = {_MORE_PAIRS}
)"""
CROWDED = f"known_at IS NULL AND (people >= {MOST_PEOPLE} OR browsers > {MOST_BROWSERS})"
# With the first of a merchant's: whoever sends it has asked that events be stitched, from that one on, also where they would be a few
# seconds later, since the merchant's collector has just been switched on. Apart: for once in a merchant's life it would take a
# fifteenth of what storing a link takes.
ASKING = """asked AS (
    UPDATE merchants m SET stitched_since = (SELECT min(received_at) FROM news n WHERE n.merchant_id = m.merchant_id)
    WHERE merchant_id = ANY(ARRAY(
        SELECT x.merchant_id FROM (SELECT merchant_id, min(received_at) AS since FROM news GROUP BY merchant_id) n
        CROSS JOIN LATERAL (SELECT merchant_id FROM merchants
            WHERE merchant_id = n.merchant_id AND (stitched_since IS NULL OR stitched_since > n.since)
            LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) x))
)"""
LINK = (
    f"WITH {LINKING.format(source=f'json_to_recordset(%s) AS l({_LINK_COLUMNS})')}, {ASKING} "
    f"SELECT merchant_id, browser_id, digest FROM news WHERE {CROWDED}"
)
# After those were written that made it too many, in the same transaction or the next: of a browser the latest people are kept, and of
# a person as many browsers as tell that they are too many. What somebody holds at the moment goes another time, so that no two
# wait for each other crosswise.
FORGET_CROWD = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset({{given}}) AS x(merchant_id bigint, browser_id text, digest text)
), crowd AS MATERIALIZED (
    SELECT o.* FROM (SELECT DISTINCT merchant_id, browser_id FROM given) n
    CROSS JOIN LATERAL (SELECT merchant_id, digest, browser_id FROM browser_people p
        WHERE p.merchant_id = n.merchant_id AND p.browser_id = n.browser_id
        ORDER BY last_seen_at DESC OFFSET {MOST_PEOPLE}) o
    UNION
    SELECT o.* FROM (SELECT DISTINCT merchant_id, digest FROM given) n
    CROSS JOIN LATERAL (SELECT merchant_id, digest, browser_id FROM browser_people p
        WHERE p.merchant_id = n.merchant_id AND p.digest = n.digest
        ORDER BY last_seen_at DESC OFFSET {MOST_BROWSERS + 1}) o
)
DELETE FROM browser_people p USING (
    SELECT h.merchant_id, h.digest, h.browser_id FROM crowd c
    CROSS JOIN LATERAL (SELECT merchant_id, digest, browser_id FROM browser_people h
        WHERE h.merchant_id = c.merchant_id AND h.digest = c.digest AND h.browser_id = c.browser_id
        LIMIT 1 FOR UPDATE SKIP LOCKED) h) old
WHERE p.merchant_id = old.merchant_id AND p.digest = old.digest AND p.browser_id = old.browser_id
RETURNING p.merchant_id"""


def crowd_arguments(crowded: Iterable[tuple[int, str, str]]) -> tuple[Any, ...]:
    """What ``FORGET_CROWD`` takes, of (merchant id, browser id, digest)."""
    given = [{"merchant_id": one, "browser_id": browser_id, "digest": digest} for one, browser_id, digest in crowded]
    return (JsonLiteral(given),)


@dataclass(frozen=True, slots=True)
class Link:
    """``at``: when they were seen together. ``digests``: by rule name. ``pair``: of an email, ``pair_of`` it and the phone that
    came with it.
    """

    browser_id: str
    kind: str
    digest: str
    digests: Mapping[str, str]
    at: datetime
    pair: str | None = None


def link_record(
    merchant_id: int,
    event_id: str | None,
    browser_id: str,
    kind: str,
    digest: str,
    digests: Mapping[str, str] | None,
    pair: str | None,
) -> dict[str, Any]:
    """A row of ``LINK_COLUMNS`` as JSON values: a ``Link`` that comes with an event, which says when, or without one. ``digests``:
    None where the event itself has them.
    """
    return {
        "merchant_id": merchant_id,
        "event_id": event_id,
        "browser_id": browser_id,
        "kind": kind,
        "digest": digest,
        "digests": digests,
        "pair": pair,
    }


def link_people(merchant_id: int, links: Sequence[Link], now: datetime) -> None:
    """Notes that browsers were seen with people. Needs a transaction."""
    if links:
        given = [
            {
                **link_record(merchant_id, None, one.browser_id, one.kind, one.digest, one.digests, one.pair),
                "at": one.at,
                "received_at": now,
            }
            for one in links
        ]
        if crowded := rows(LINK, (JsonLiteral(given),)):
            execute(FORGET_CROWD.format(given="%s"), crowd_arguments(crowded))


def read_person(
    kind: str, digest: str, digests: Mapping[str, str], since: datetime, last: datetime, *, is_of_many: bool = False
) -> Person:
    """As a row of ``browser_people`` has it."""
    of_rules = {rule: value for rule, value in digests.items() if rule != _PAIRS}
    return Person(kind, digest, of_rules, since, last, is_of_many, frozenset(digests.get(_PAIRS, "").split()))


def has_refused(merchant_id: int, browser_id: str) -> bool:
    """Whether whoever uses a browser denied consent."""
    found = rows("SELECT consent FROM browsers WHERE merchant_id = %s AND browser_id = %s", (merchant_id, browser_id))
    return bool(found) and found[0][0] == "denied"


# What browsers showed in calls of a moment, of any merchants: who calls again and again is one row a value. Of a kind the
# latest values are kept; those of this call are the latest. Of who denied consent nothing is kept, then or ever again: this
# is looked at in the row that is held. Written in the order of the keys, first all browsers (``shown`` reads ``seen``:
# otherwise PostgreSQL runs that part last), and what somebody holds at the moment goes another time, so that no two wait
# crosswise.
SHOW = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%(shown)s) AS s(
        merchant_id bigint, browser_id text, kind text, value text, at timestamptz, consent text, since timestamptz,
        only_known boolean)
    WHERE (SELECT in_time(%(until)s))
), taken AS MATERIALIZED (
    SELECT g.* FROM given g WHERE CASE WHEN only_known THEN EXISTS (SELECT FROM browsers b
        WHERE b.merchant_id = g.merchant_id AND b.browser_id = g.browser_id) ELSE true END
), seen AS (
    INSERT INTO browsers (merchant_id, browser_id, first_seen_at, last_seen_at, consent)
    SELECT merchant_id, browser_id, min(at), max(at), min(consent) FROM taken  -- of denied and granted, denied
    GROUP BY merchant_id, browser_id ORDER BY merchant_id, browser_id
    ON CONFLICT (merchant_id, browser_id) DO UPDATE
        SET last_seen_at = greatest(browsers.last_seen_at, excluded.last_seen_at),
            consent = least(excluded.consent, browsers.consent)  -- of denied and granted, denied
    RETURNING merchant_id, browser_id, consent, xmax = 0 AS is_new
), latest AS (
    SELECT *, row_number() OVER (PARTITION BY merchant_id, browser_id, kind ORDER BY last_at DESC, value) AS place FROM (
        SELECT merchant_id, browser_id, kind, value, min(coalesce(since, at)) AS first_at, max(at) AS last_at
        FROM taken JOIN seen USING (merchant_id, browser_id)
        WHERE kind IS NOT NULL AND seen.consent IS DISTINCT FROM 'denied' GROUP BY merchant_id, browser_id, kind, value) g
), shown AS (
    INSERT INTO browser_signals (merchant_id, browser_id, kind, value, first_seen_at, last_seen_at)
    SELECT merchant_id, browser_id, kind, value, first_at, last_at FROM latest WHERE place <= {MOST_VALUES}
        AND (SELECT count(*) FROM seen) > 0
    ORDER BY merchant_id, browser_id, kind, value
    ON CONFLICT (merchant_id, browser_id, kind, value) DO UPDATE
        SET last_seen_at = greatest(browser_signals.last_seen_at, excluded.last_seen_at),
            first_seen_at = least(browser_signals.first_seen_at, excluded.first_seen_at)
    RETURNING merchant_id, browser_id, kind, value
), old AS (
DELETE FROM browser_signals s USING (
    SELECT h.*
    FROM (SELECT merchant_id, browser_id, kind, array_agg(value) AS given FROM shown JOIN seen USING (merchant_id, browser_id)
        WHERE NOT is_new GROUP BY 1, 2, 3) l
    CROSS JOIN LATERAL (SELECT value FROM browser_signals
        WHERE merchant_id = l.merchant_id AND browser_id = l.browser_id AND kind = l.kind AND value <> ALL(l.given)
        ORDER BY last_seen_at DESC OFFSET greatest({MOST_VALUES} - cardinality(l.given), 0)) o
    CROSS JOIN LATERAL (SELECT merchant_id, browser_id, kind, value FROM browser_signals
        WHERE merchant_id = l.merchant_id AND browser_id = l.browser_id AND kind = l.kind AND value = o.value
        LIMIT 1 FOR UPDATE SKIP LOCKED) h) old
WHERE s.merchant_id = old.merchant_id AND s.browser_id = old.browser_id AND s.kind = old.kind AND s.value = old.value
)
SELECT merchant_id, browser_id, consent, is_new FROM seen
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """Of one browser's call: a signal, or, with ``kind`` of None, only that it was there. ``consent``: granted, denied or None.
    ``since``: when it was first seen, where that was before; the earliest that was ever said counts. ``only_known``: of a
    browser that is not known nothing is noted.
    """

    browser_id: str
    kind: str | None
    value: str | None
    at: datetime
    consent: str | None = None
    since: datetime | None = None
    only_known: bool = False


class Seen(NamedTuple):
    """``consent``: after what was shown; where it is denied, nothing was noted. ``is_new``: it was not known before."""

    consent: str | None
    is_new: bool


def show(merchant_id: int, shown: Sequence[Shown]) -> None:
    """Notes what browsers showed. Needs a transaction."""
    show_all([shown_record(merchant_id, *astuple(one)) for one in shown])


# Thousands a second: an object for each of them would take longer than all the rest of it.
def shown_record(
    merchant_id: int,
    browser_id: str,
    kind: str | None,
    value: str | None,
    at: datetime,
    consent: str | None,
    since: datetime | None,
    only_known: bool,
) -> dict[str, Any]:
    """One of ``Shown`` as ``SHOW`` takes it."""
    return {
        "merchant_id": merchant_id,
        "browser_id": browser_id,
        "kind": kind,
        "value": value,
        "at": at,
        "consent": consent,
        "since": since,
        "only_known": only_known,
    }


def show_all(
    records: Sequence[Mapping[str, Any]], lock_ms: int | None = None, until: datetime | None = None
) -> dict[tuple[int, str], Seen]:
    """The same of several merchants, each as ``shown_record``, in one statement; (merchant id, browser id) -> what is known now,
    without those of whom nothing was noted as they are not known.

    Needs a transaction. With ``lock_ms`` it is one of its own, sent and answered at once, and waits for a lock so long. ``until``:
    later than that, by the server's clock, nothing is noted, and ``sessions.TOO_LATE`` is raised.
    """
    if not records:
        return {}
    # In one message, and so in one transaction.
    sql = SHOW if lock_ms is None else f"SET LOCAL lock_timeout = {lock_ms}; {SHOW}"
    found = rows(sql, {"shown": JsonLiteral(records), "until": until})  # type: ignore[arg-type]
    return {(row[0], row[1]): Seen(row[2], row[3]) for row in found}


BARRED = """
SELECT x.merchant_id, x.mark, s.mark IS NOT NULL FROM unnest(%s::bigint[], %s::bytea[]) AS x(merchant_id, mark)
LEFT JOIN LATERAL (SELECT mark FROM suppressions
    WHERE merchant_id = x.merchant_id AND mark = x.mark LIMIT 1) AS s ON true
LEFT JOIN LATERAL (SELECT mark FROM tombstones
    WHERE merchant_id = x.merchant_id AND mark = x.mark LIMIT 1) AS t ON true
WHERE s.mark IS NOT NULL OR t.mark IS NOT NULL
"""


def barred(marks: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], bool]:
    """Of (merchant id, mark) those whose browser was erased -> whether it is to be left alone."""
    if not marks:
        return {}
    found = rows(BARRED, ([merchant_id for merchant_id, _ in marks], [mark for _, mark in marks]))
    return {(row[0], bytes(row[1])): row[2] for row in found}


# By the keys of the page, so that each browser is looked up.
FORGET_LATE = """
WITH refused AS MATERIALIZED (
    SELECT merchant_id, browser_id, last_seen_at FROM browsers
    WHERE consent = 'denied' AND browser_id <> '' AND last_seen_at >= %(since)s AND last_seen_at < %(until)s
    ORDER BY last_seen_at LIMIT %(limit)s
), late AS MATERIALIZED (
    SELECT p.merchant_id, p.digest, p.browser_id FROM refused r
    CROSS JOIN LATERAL (SELECT merchant_id, digest, browser_id FROM browser_people
        WHERE merchant_id = r.merchant_id AND browser_id = r.browser_id
        LIMIT 100 FOR UPDATE SKIP LOCKED) p
), gone AS (
    DELETE FROM browser_people p USING late l
    WHERE p.merchant_id = l.merchant_id AND p.digest = l.digest AND p.browser_id = l.browser_id RETURNING 1
)
SELECT (SELECT count(*) FROM gone), count(*), max(last_seen_at) FROM refused
"""


def forget_late(since: datetime, until: datetime, limit: int) -> tuple[int, datetime | None]:
    """Deletes whom browsers were seen with that refused, or were last seen since, between two instants; (how many, from when to
    go on where there may be more). Needs a transaction.

    A refusal holds the browser's row, so that no link of the same moment is missed; a browser's first refusal has none to hold.
    """
    params: Any = {"since": since, "until": until, "limit": limit}
    gone, looked, last = rows(FORGET_LATE, params)[0]
    return gone, last if looked == limit and last > since else None


_KEYS = {
    "browser_people": "digest, browser_id",
    "browser_signals": "browser_id, kind, value",
    "browsers": "browser_id",
}


# By pairs, so that each browser is looked up: of one merchant that is named the planner might read all browsers.
_GIVEN_BROWSERS = "unnest(%s::bigint[], %s::text[]) AS x(merchant_id, browser_id)"
HOLD_BROWSERS = f"""
SELECT b.browser_id FROM {_GIVEN_BROWSERS} JOIN browsers b ON b.merchant_id = x.merchant_id AND b.browser_id = x.browser_id
ORDER BY b.browser_id FOR UPDATE OF b
"""


def pairs(merchant_id: int, browser_ids: Collection[str]) -> tuple[list[int], list[str]]:
    """What these statements take: of each browser once."""
    found = sorted(set(browser_ids))
    return [merchant_id] * len(found), found


def hold_browsers(merchant_id: int, browser_ids: Collection[str]) -> set[str]:
    """Until this transaction ends nobody else writes what these browsers showed, or whom they were seen with; those that have
    a row, and are held by it. All in one call.
    """
    return {row[0] for row in rows(HOLD_BROWSERS, pairs(merchant_id, browser_ids))}


def forget_signals(merchant_id: int, browser_ids: Collection[str]) -> dict[str, int]:
    """Deletes what browsers showed, and whom they were seen with; table -> rows.

    The caller holds the browsers' rows by an earlier statement, so whatever was being written is seen here.
    """
    return {table: _delete_of(table, merchant_id, browser_ids) for table in ("browser_signals", "browser_people")}


def forget_browsers(
    merchant_id: int, browser_ids: Collection[str], held: Collection[str], until: datetime | None = None
) -> dict[str, int]:
    """Deletes browsers with all that is known of them; table -> rows. ``held``: by ``hold_browsers``. ``until``: but for what
    was seen later as well.

    One that got its row since then is not waited for: whoever writes it may wait for one of these.
    """
    known = set(browser_ids) & set(held)
    return {
        "browser_signals": _delete_of("browser_signals", merchant_id, known, until),
        "browser_people": _delete_of("browser_people", merchant_id, browser_ids, until),
        "browsers": _delete_of("browsers", merchant_id, known, until),
    }


def _delete_of(table: str, merchant_id: int, browser_ids: Collection[str], until: datetime | None = None) -> int:
    return execute(FORGET[table], (*pairs(merchant_id, browser_ids), until))


def _of_alias(alias: str, key: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in key.split(", "))


# In the order in which others write, as not every browser has a row that could be held.
FORGET = {
    table: f"""
WITH old AS MATERIALIZED (
    SELECT t.merchant_id, {_of_alias("t", key)} FROM {_GIVEN_BROWSERS}
    JOIN {table} t ON t.merchant_id = x.merchant_id AND t.browser_id = x.browser_id
        AND t.last_seen_at <= coalesce(%s::timestamptz, 'infinity')
    ORDER BY {_of_alias("t", key)} FOR UPDATE OF t
)
DELETE FROM {table} t USING old WHERE (t.merchant_id, {_of_alias("t", key)}) = (old.merchant_id, {_of_alias("old", key)})
"""
    for table, key in _KEYS.items()
}


# ``browser_id <> ''`` is what the indexes by age say, so that they fit nothing else. One statement, so that a merchant who has none costs one.
PURGE_IDENTITIES = "WITH {} SELECT greatest({}), {}".format(
    ", ".join(
        f"{table}_gone AS (DELETE FROM {table} WHERE merchant_id = %(merchant)s AND ({key}) IN (SELECT {key} FROM {table} "
        "WHERE merchant_id = %(merchant)s AND browser_id <> '' AND last_seen_at < %(before)s ORDER BY last_seen_at LIMIT %(limit)s "
        "FOR UPDATE SKIP LOCKED) RETURNING 1)"
        for table, key in _KEYS.items()
    ),
    ", ".join(f"(SELECT count(*) FROM {table}_gone)" for table in _KEYS),
    " + ".join(f"(SELECT count(*) FROM {table}_gone)" for table in _KEYS),
)


def purge_identities(merchant_id: int, before: datetime, limit: int) -> tuple[int, bool]:
    """Deletes what was seen last before an instant, at most ``limit`` rows of each table; (how many, whether there may be
    more). Needs a transaction.
    """
    params: Any = {"merchant": merchant_id, "before": before, "limit": limit}
    most, gone = rows(PURGE_IDENTITIES, params)[0]
    return gone, most >= limit
