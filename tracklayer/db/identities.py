"""Browsers, what they showed, whom they were seen with, and what events got of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.domain.stitching import (
    LATE,
    MOST_BROWSERS,
    MOST_EVENTS_A_DAY,
    MOST_PEOPLE,
    MOST_VALUES,
    Browser,
    Enriched,
    Person,
    Signal,
)

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An event that is looked at for the first time. ``person``: the digest of its email, or phone, where it names no browser."""

    event_id: str
    browser_id: str | None
    person: str | None


@dataclass
class Found:
    """What is known of some events. ``decided``: event id -> what was added before; ``browsers`` by id; ``seen_with``: person ->
    ids of the browsers, of late; ``events_today``: person -> events of the last 24 hours, counted to ``MOST_EVENTS_A_DAY`` + 1.
    """

    decided: dict[str, tuple[Enriched, ...]] = field(default_factory=dict)
    browsers: dict[str, Browser] = field(default_factory=dict)
    seen_with: dict[str, list[str]] = field(default_factory=dict)
    events_today: dict[str, int] = field(default_factory=dict)


# One statement for all events of a claim. Each part is bounded: a few browsers a person, a few values and people a browser.
LOOK_UP = f"""
WITH wanted AS (
    SELECT * FROM json_to_recordset(%(wanted)s) AS w(event_id text, browser_id text, person text)
), decided AS (
    SELECT w.event_id, e.fields FROM wanted w
    CROSS JOIN LATERAL (SELECT fields FROM enrichments
        WHERE merchant_id = %(merchant)s AND event_id = w.event_id LIMIT 1) e
), persons AS (
    SELECT DISTINCT person FROM wanted WHERE person IS NOT NULL
), seen AS (
    SELECT p.person, b.browser_id FROM persons p
    CROSS JOIN LATERAL (SELECT browser_id FROM browser_people
        WHERE merchant_id = %(merchant)s AND digest = p.person AND last_seen_at >= %(late)s
        LIMIT {MOST_BROWSERS + 1}) b
), ids AS (
    SELECT browser_id FROM wanted WHERE browser_id IS NOT NULL UNION SELECT browser_id FROM seen
), known AS (
    SELECT i.browser_id, b.consent FROM ids i
    CROSS JOIN LATERAL (SELECT consent FROM browsers
        WHERE merchant_id = %(merchant)s AND browser_id = i.browser_id LIMIT 1) b
)
SELECT 'decided', event_id, fields::text, NULL, NULL::timestamptz, NULL::timestamptz FROM decided
UNION ALL
SELECT 'seen', person, browser_id, NULL, NULL, NULL FROM seen
UNION ALL
SELECT 'today', p.person, NULL, NULL, NULL, NULL FROM persons p
CROSS JOIN LATERAL (SELECT 1 FROM enrichments
    WHERE merchant_id = %(merchant)s AND person = p.person AND decided_at > %(day)s LIMIT {MOST_EVENTS_A_DAY + 1}) t
UNION ALL
SELECT 'known', browser_id, consent, NULL, NULL, NULL FROM known
UNION ALL
SELECT 'signal', i.browser_id, s.kind, s.value, s.first_seen_at, s.last_seen_at FROM ids i
CROSS JOIN LATERAL (SELECT * FROM browser_signals
    WHERE merchant_id = %(merchant)s AND browser_id = i.browser_id AND last_seen_at >= %(oldest)s LIMIT 100) s
UNION ALL
SELECT 'person', i.browser_id, p.kind || ' ' || p.digest, p.digests::text, p.first_seen_at, p.last_seen_at FROM ids i
CROSS JOIN LATERAL (SELECT * FROM browser_people
    WHERE merchant_id = %(merchant)s AND browser_id = i.browser_id AND last_seen_at >= %(oldest)s
    ORDER BY last_seen_at DESC LIMIT {MOST_PEOPLE}) p
"""


def look_up(merchant_id: int, wanted: Sequence[Wanted], retention: timedelta, now: datetime) -> Found:
    """What is known of these events, their browsers and people. What is past ``retention`` is not known any more."""
    params = {
        "merchant": merchant_id,
        "wanted": JsonLiteral([asdict(one) for one in wanted]),
        "late": max(now - LATE, now - retention),
        "oldest": now - retention,
        "day": now - DAY,
    }
    found, signals, people = Found(), dict[str, list[Signal]](), dict[str, list[Person]]()
    refused: dict[str, bool] = {}
    for what, key, first, second, since, last in rows(LOOK_UP, params):  # type: ignore[arg-type]
        if what == "decided":
            found.decided[key] = read_fields(first)
        elif what == "seen":
            found.seen_with.setdefault(key, []).append(first)
        elif what == "today":
            found.events_today[key] = found.events_today.get(key, 0) + 1
        elif what == "known":
            refused[key] = first == "denied"
        elif what == "signal":
            signals.setdefault(key, []).append(Signal(first, second, since, last))
        else:
            kind, _, digest = first.partition(" ")
            people.setdefault(key, []).append(Person(kind, digest, orjson.loads(second), since, last))
    for browser_id in {*refused, *people, *signals}:
        found.browsers[browser_id] = Browser(
            browser_id,
            tuple(signals.get(browser_id, ())),
            tuple(people.get(browser_id, ())),
            refused.get(browser_id, False),
        )
    return found


@dataclass(frozen=True, slots=True)
class Decision:
    event_id: str
    fields: tuple[Enriched, ...]
    person: str | None


def store_decisions(merchant_id: int, decisions: Sequence[Decision], now: datetime) -> None:
    """What each event gets, unless that was decided before. In the order of ids, so that two of them never wait crosswise."""
    given = [{"event_id": one.event_id, "fields": write_fields(one.fields), "person": one.person} for one in decisions]
    execute(
        "INSERT INTO enrichments (merchant_id, event_id, fields, person, decided_at) "
        "SELECT %s, event_id, fields, person, %s FROM json_to_recordset(%s) AS x(event_id text, fields json, person text) "
        "ORDER BY event_id ON CONFLICT DO NOTHING",
        (merchant_id, now, JsonLiteral(given)),
    )


def decided(merchant_id: int, event_ids: Sequence[str]) -> dict[str, tuple[Enriched, ...]]:
    """What was added to events; those that nothing was decided about are missing."""
    found = rows(
        "SELECT event_id, fields::text FROM enrichments WHERE merchant_id = %s AND event_id = ANY(%s)",
        (merchant_id, list(event_ids)),
    )
    return {row[0]: read_fields(row[1]) for row in found}


def read_fields(text: str) -> tuple[Enriched, ...]:
    return tuple(
        Enriched(one["field"], one["value"], one["source"], datetime.fromisoformat(one["seen_at"]))
        for one in orjson.loads(text)
    )


def write_fields(fields: Iterable[Enriched]) -> list[dict[str, Any]]:
    return [
        {"field": one.field, "value": one.value, "source": one.source, "seen_at": one.seen_at.isoformat()}
        for one in fields
    ]


# What comes with an event, or by ``identify``: a browser and people. Of a browser the latest people are kept.
LINK = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%(links)s) AS l(
        browser_id text, kind text, digest text, digests json, at timestamptz)
), linked AS (
    INSERT INTO browser_people (merchant_id, digest, browser_id, kind, digests, first_seen_at, last_seen_at)
    SELECT %(merchant)s, digest, browser_id, min(kind), (array_agg(digests))[1], min(at), max(at) FROM given
    GROUP BY digest, browser_id ORDER BY digest, browser_id
    ON CONFLICT (merchant_id, digest, browser_id) DO UPDATE
        SET last_seen_at = greatest(browser_people.last_seen_at, excluded.last_seen_at),
            first_seen_at = least(browser_people.first_seen_at, excluded.first_seen_at)
    RETURNING browser_id
)
DELETE FROM browser_people p USING (
    SELECT o.browser_id, o.digest FROM (SELECT DISTINCT browser_id FROM linked) l
    CROSS JOIN LATERAL (SELECT browser_id, digest FROM browser_people
        WHERE merchant_id = %(merchant)s AND browser_id = l.browser_id
        ORDER BY last_seen_at DESC OFFSET {MOST_PEOPLE}) o) old
WHERE p.merchant_id = %(merchant)s AND p.browser_id = old.browser_id AND p.digest = old.digest
"""


@dataclass(frozen=True, slots=True)
class Link:
    browser_id: str
    kind: str
    digest: str
    digests: dict[str, str]
    at: datetime


def link_people(merchant_id: int, links: Sequence[Link]) -> None:
    """Notes that browsers were seen with people. Needs a transaction."""
    if links:
        params = {"merchant": merchant_id, "links": JsonLiteral([asdict(one) for one in links])}
        execute(LINK, params)  # type: ignore[arg-type]


# What browsers showed in calls of a moment, of any merchants: who calls again and again is one row a value. Of a kind the
# latest values are kept; those of this call are the latest. All in the order of the keys, so that no two wait crosswise.
SHOW = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%(shown)s) AS s(
        merchant_id bigint, browser_id text, kind text, value text, at timestamptz, consent text, since timestamptz)
), seen AS (
    INSERT INTO browsers (merchant_id, browser_id, first_seen_at, last_seen_at, consent)
    SELECT merchant_id, browser_id, min(at), max(at),
        (array_agg(consent ORDER BY at DESC) FILTER (WHERE consent IS NOT NULL))[1] FROM given
    GROUP BY merchant_id, browser_id ORDER BY merchant_id, browser_id
    ON CONFLICT (merchant_id, browser_id) DO UPDATE
        SET last_seen_at = greatest(browsers.last_seen_at, excluded.last_seen_at),
            consent = coalesce(excluded.consent, browsers.consent)
), latest AS (
    SELECT *, row_number() OVER (PARTITION BY merchant_id, browser_id, kind ORDER BY last_at DESC, value) AS place FROM (
        SELECT merchant_id, browser_id, kind, value, min(coalesce(since, at)) AS first_at, max(at) AS last_at
        FROM given WHERE kind IS NOT NULL GROUP BY merchant_id, browser_id, kind, value) g
), shown AS (
    INSERT INTO browser_signals (merchant_id, browser_id, kind, value, first_seen_at, last_seen_at)
    SELECT merchant_id, browser_id, kind, value, first_at, last_at FROM latest WHERE place <= {MOST_VALUES}
    ORDER BY merchant_id, browser_id, kind, value
    ON CONFLICT (merchant_id, browser_id, kind, value) DO UPDATE
        SET last_seen_at = greatest(browser_signals.last_seen_at, excluded.last_seen_at)
    RETURNING merchant_id, browser_id, kind, value
)
DELETE FROM browser_signals s USING (
    SELECT l.merchant_id, l.browser_id, l.kind, o.value
    FROM (SELECT merchant_id, browser_id, kind, array_agg(value) AS given FROM shown GROUP BY 1, 2, 3) l
    CROSS JOIN LATERAL (SELECT value FROM browser_signals
        WHERE merchant_id = l.merchant_id AND browser_id = l.browser_id AND kind = l.kind AND value <> ALL(l.given)
        ORDER BY last_seen_at DESC OFFSET greatest({MOST_VALUES} - cardinality(l.given), 0)) o) old
WHERE s.merchant_id = old.merchant_id AND s.browser_id = old.browser_id AND s.kind = old.kind AND s.value = old.value
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """Of one browser's call: a signal, or, with ``kind`` of None, only that it was there. ``consent``: granted, denied or None.
    ``since``: when it was first seen, where that was before; it counts once, when the signal is new here.
    """

    browser_id: str
    kind: str | None
    value: str | None
    at: datetime
    consent: str | None = None
    since: datetime | None = None


def show(merchant_id: int, shown: Sequence[Shown]) -> None:
    """Notes what browsers showed. Needs a transaction."""
    show_all({merchant_id: shown})


def show_all(shown: Mapping[int, Sequence[Shown]]) -> None:
    """The same of several merchants, by their ids, in one statement. Needs a transaction."""
    # Thousands a second: ``asdict`` takes ten times as long.
    given = [
        {
            "merchant_id": merchant_id,
            "browser_id": one.browser_id,
            "kind": one.kind,
            "value": one.value,
            "at": one.at,
            "consent": one.consent,
            "since": one.since,
        }
        for merchant_id, those in shown.items()
        for one in those
    ]
    if given:
        execute(SHOW, {"shown": JsonLiteral(given)})  # type: ignore[arg-type]


def forget_signals(merchant_id: int, browser_ids: Sequence[str]) -> None:
    """Deletes what browsers showed, and whom they were seen with: whoever uses them denied consent."""
    for table in ("browser_signals", "browser_people"):
        execute(
            f"DELETE FROM {table} WHERE merchant_id = %s AND browser_id = ANY(%s)", (merchant_id, list(browser_ids))
        )


def purge_identities(merchant_id: int, before: datetime, limit: int) -> int:
    """Deletes what was seen last before an instant, at most ``limit`` rows of each table; how many."""
    gone = 0
    for table, key in (
        ("browser_people", "digest, browser_id"),
        ("browser_signals", "browser_id, kind, value"),
        ("browsers", "browser_id"),
    ):
        gone += execute(
            f"DELETE FROM {table} WHERE merchant_id = %s AND ({key}) IN (SELECT {key} FROM {table} "
            "WHERE merchant_id = %s AND last_seen_at < %s ORDER BY last_seen_at LIMIT %s FOR UPDATE SKIP LOCKED)",
            (merchant_id, merchant_id, before, limit),
        )
    return gone
