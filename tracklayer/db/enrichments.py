"""What events got that their browser, or their person's, showed: what is known of them, looked up, and what was decided.

How it becomes known, and how it is forgotten, is told in ``identities``; by which rules it is decided in ``domain.stitching``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.identities import read_person
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.domain.facts import BITS, mask_of
from tracklayer.domain.stitching import (
    LATE,
    MOST_BROWSERS,
    MOST_EVENTS_A_DAY,
    MOST_IN_A_BROWSER,
    MOST_PEOPLE,
    Browser,
    Enriched,
    Note,
    Person,
    Signal,
    Stitched,
)

DAY = timedelta(days=1)


class Wanted(NamedTuple):
    """An event that is looked at. ``people``: the digests of its emails and phones, where it names no browser.
    ``is_anonymous``: it may get the person of its browser, so who that is, and whether that is a mailbox of many, is looked at.
    Of the browser of another one that names it only many people say anything.
    """

    event_id: str
    browser_id: str | None
    people: Sequence[str] = ()
    is_anonymous: bool = True


@dataclass
class Found:
    """What is known of some events. ``decided``: event id -> what was decided before; ``tried``: those undecided ones that a
    platform may have got as they came; ``refused``: event id -> the browsers that it, or what was added to it, is of and that
    refused since; ``browsers`` by id; ``seen_with``: person -> ids of the browsers, of late; ``events_today``: person -> events
    of the last 24 hours, counted to ``MOST_EVENTS_A_DAY`` + 1.
    """

    decided: dict[str, Stitched] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    refused: dict[str, set[str]] = field(default_factory=dict)
    browsers: dict[str, Browser] = field(default_factory=dict)
    seen_with: dict[str, list[str]] = field(default_factory=dict)
    events_today: dict[str, int] = field(default_factory=dict)


_PERSON = "merchant_id::text || '/' || person"  # as the index enrichments_of says it, so that no other one fits

# One statement for all events of a claim. Each part is bounded: a few browsers a person, a few values and people a browser
# (``LINKING`` and ``SHOW`` of ``identities`` keep no more). What was decided before is not looked for again: of the same event
# that is all but its first platform. Whoever decides has committed that before anything leaves: so what is undecided, and was
# sent or is on its way to any platform, went without anything added.
LOOK_UP = f"""
WITH wanted AS MATERIALIZED (
    SELECT w.*, e.event_id IS NOT NULL AS is_decided, e.fields, e.note
    FROM json_to_recordset(%(wanted)s) AS w(event_id text, browser_id text, people text[], is_anonymous boolean)
    LEFT JOIN LATERAL (SELECT event_id, fields::text, note FROM enrichments
        WHERE merchant_id = %(merchant)s AND event_id = w.event_id LIMIT 1) e ON true
), persons AS MATERIALIZED (
    SELECT DISTINCT person FROM wanted CROSS JOIN unnest(people) AS p(person) WHERE NOT is_decided
), seen AS MATERIALIZED (
    SELECT p.person, b.browser_id FROM persons p
    CROSS JOIN LATERAL (SELECT browser_id FROM browser_people
        WHERE merchant_id = %(merchant)s AND digest = p.person AND last_seen_at >= %(late)s
        LIMIT {MOST_BROWSERS + 1}) b
), ids AS MATERIALIZED (
    SELECT browser_id, bool_or(is_anonymous) AS is_anonymous, bool_or(needs_people) AS needs_people FROM (
        SELECT browser_id, is_anonymous, is_anonymous FROM wanted WHERE browser_id IS NOT NULL AND NOT is_decided
        UNION ALL SELECT browser_id, false, true FROM seen) AS b(browser_id, is_anonymous, needs_people)
    GROUP BY browser_id
)
SELECT 'decided', event_id, fields, note, NULL::timestamptz, NULL::timestamptz FROM wanted WHERE is_decided
UNION ALL
SELECT 'refused', w.event_id, b.browser_id, NULL, NULL, NULL FROM wanted w
CROSS JOIN LATERAL (SELECT browser_id FROM browsers
    WHERE merchant_id = %(merchant)s AND consent = 'denied' AND browser_id = ANY(ARRAY(
        SELECT w.browser_id UNION ALL SELECT f ->> 'browser_id' FROM json_array_elements(w.fields::json) f))
    LIMIT 100) b
WHERE w.is_decided AND w.fields <> '[]'
UNION ALL
SELECT 'tried', w.event_id, NULL, NULL, NULL, NULL FROM wanted w
CROSS JOIN LATERAL (SELECT 1 FROM deliveries
    WHERE merchant_id = %(merchant)s AND event_id = w.event_id AND attempt_log <> '[]' LIMIT 1) d
WHERE NOT w.is_decided
UNION ALL
SELECT 'tried', c.event_id, NULL, NULL, NULL, NULL
FROM (SELECT unnest(sending) AS event_id FROM claims WHERE merchant_id = %(merchant)s) c
WHERE c.event_id IN (SELECT event_id FROM wanted WHERE NOT is_decided)
UNION ALL
SELECT 'seen', person, browser_id, NULL, NULL, NULL FROM seen
UNION ALL
SELECT 'today', p.person, NULL, NULL, NULL, NULL FROM persons p
CROSS JOIN LATERAL (SELECT 1 FROM enrichments
    WHERE {_PERSON} = %(merchant)s::text || '/' || p.person AND decided_at > %(day)s LIMIT {MOST_EVENTS_A_DAY + 1}) t
UNION ALL
SELECT 'known', i.browser_id, b.consent, NULL, NULL, NULL FROM ids i
CROSS JOIN LATERAL (SELECT consent FROM browsers
    WHERE merchant_id = %(merchant)s AND browser_id = i.browser_id AND last_seen_at >= %(oldest)s LIMIT 1) b
UNION ALL
SELECT 'signal', i.browser_id, s.kind, s.value, s.first_seen_at, s.last_seen_at FROM ids i
CROSS JOIN LATERAL (SELECT * FROM browser_signals
    WHERE merchant_id = %(merchant)s AND browser_id = i.browser_id AND last_seen_at >= %(oldest)s LIMIT 100) s
UNION ALL
SELECT CASE WHEN i.is_anonymous AND (
        (SELECT count(*) FROM (SELECT FROM browser_people
            WHERE merchant_id = %(merchant)s AND digest = p.digest AND last_seen_at >= %(late)s
            LIMIT {MOST_BROWSERS + 1}) AS b) > {MOST_BROWSERS}
        OR (SELECT count(*) FROM (SELECT FROM enrichments
            WHERE {_PERSON} = %(merchant)s::text || '/' || p.digest AND decided_at > %(day)s
            LIMIT {MOST_EVENTS_A_DAY + 1}) AS e) > {MOST_EVENTS_A_DAY})
    THEN 'many' ELSE 'person' END, i.browser_id, p.kind || ' ' || p.digest, p.digests::text, p.first_seen_at, p.last_seen_at
FROM (SELECT * FROM ids WHERE needs_people OR EXISTS (SELECT FROM browser_people
    WHERE merchant_id = %(merchant)s AND browser_id = ids.browser_id AND last_seen_at >= %(oldest)s
    OFFSET {MOST_IN_A_BROWSER})) i
CROSS JOIN LATERAL (SELECT * FROM browser_people
    WHERE merchant_id = %(merchant)s AND browser_id = i.browser_id AND last_seen_at >= %(oldest)s
    ORDER BY last_seen_at DESC LIMIT {MOST_PEOPLE}) p
"""


def look_up_arguments(
    merchant_id: int, wanted: Sequence[Wanted], retention: timedelta, now: datetime
) -> dict[str, Any]:
    """What ``LOOK_UP`` takes."""
    return {
        "merchant": merchant_id,
        "wanted": JsonLiteral(
            [
                {"event_id": event_id, "browser_id": browser_id, "people": people, "is_anonymous": is_anonymous}
                for event_id, browser_id, people, is_anonymous in wanted
            ]
        ),
        "late": max(now - LATE, now - retention),
        "oldest": now - retention,
        "day": now - DAY,
    }


def look_up(merchant_id: int, wanted: Sequence[Wanted], retention: timedelta, now: datetime) -> Found:
    """What is known of these events, their browsers and people. What is past ``retention`` is not known any more."""
    params: Any = look_up_arguments(merchant_id, wanted, retention, now)
    found, signals, people = Found(), dict[str, list[Signal]](), dict[str, list[Person]]()
    refused: dict[str, bool] = {}
    for what, key, first, second, since, last in rows(LOOK_UP, params):
        if what == "signal":
            signals.setdefault(key, []).append(Signal(first, second, since, last))
        elif what == "known":
            refused[key] = first == "denied"
        elif what == "decided":
            found.decided[key] = read_decision(first, second)
        elif what == "refused":
            found.refused.setdefault(key, set()).add(first)
        elif what == "tried":
            found.tried.add(key)
        elif what == "seen":
            found.seen_with.setdefault(key, []).append(first)
        elif what == "today":
            found.events_today[key] = found.events_today.get(key, 0) + 1
        else:
            kind, _, digest = first.partition(" ")
            person = read_person(kind, digest, orjson.loads(second), since, last, is_of_many=what == "many")
            people.setdefault(key, []).append(person)
    for browser_id in {*refused, *people, *signals}:
        found.browsers[browser_id] = Browser(
            browser_id,
            tuple(signals.get(browser_id, ())),
            tuple(people.get(browser_id, ())),
            refused.get(browser_id, False),
        )
    return found


def take_back(merchant_id: int, left: Mapping[str, Stitched]) -> None:
    """What is left of what was decided about events, by event id. What somebody holds goes another time."""
    given = [
        {"event_id": event_id, "fields": write_fields(one.fields), "note": one.note} for event_id, one in left.items()
    ]
    execute(
        "UPDATE enrichments n SET fields = x.fields, note = x.note "
        "FROM json_to_recordset(%s) AS x(event_id text, fields json, note text) "
        "WHERE n.merchant_id = %s AND n.event_id = x.event_id AND n.event_id IN (SELECT event_id FROM enrichments "
        "WHERE merchant_id = %s AND event_id = ANY(%s) ORDER BY event_id FOR NO KEY UPDATE SKIP LOCKED)",
        (JsonLiteral(given), merchant_id, merchant_id, list(left)),
    )


# Nothing leaves before something later has committed, and that writes this to disk as well.
_WITHOUT_FLUSH = "set_config('synchronous_commit', 'off', true) IS NOT NULL"


class Decision(NamedTuple):
    """``person``: the digest of the event's own email, or phone. ``counted_as`` and ``received_at``: the name under which, and
    the time of whose minute, what it gets is counted.
    """

    event_id: str
    stitched: Stitched
    person: str | None
    counted_as: str
    received_at: datetime


# In the order of ids, so that two of them never wait crosswise. Of an event that was erased or purged since, nothing is stored:
# nobody would ever take it away.
_STORE_DECISIONS = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(given)s) AS x(
        event_id text, fields json, note text, person text, event_name text, minute timestamptz, facts bigint)
), stored AS (
    INSERT INTO enrichments (merchant_id, event_id, fields, note, person, decided_at)
    SELECT %(merchant)s, event_id, fields, note, person, %(now)s FROM given x
    WHERE {_WITHOUT_FLUSH} AND EXISTS (SELECT FROM events e
        WHERE e.merchant_id = %(merchant)s AND e.event_id = x.event_id FOR KEY SHARE)
    ORDER BY event_id ON CONFLICT DO NOTHING RETURNING event_id
){{counted}}
SELECT event_id FROM stored
"""
STORE_DECISIONS = _STORE_DECISIONS.format(counted="")
# Counted with what is stored, and so once, whoever was ahead.
STORE_AND_COUNT_DECISIONS = _STORE_DECISIONS.format(
    counted=""", counted AS (
    INSERT INTO enriched_facts (merchant_id, event_name, minute, facts, slot, events)
    SELECT %(merchant)s, event_name, minute, facts, pg_backend_pid(), count(*)::int
    FROM stored JOIN given USING (event_id) WHERE facts <> 0 GROUP BY event_name, minute, facts
    ON CONFLICT (merchant_id, event_name, minute, facts, slot) DO UPDATE
        SET events = enriched_facts.events + excluded.events
)"""
)


def store_decisions(merchant_id: int, decisions: Sequence[Decision], now: datetime) -> dict[str, Stitched]:
    """What each event gets, by event id: another's word counts where somebody was ahead.

    Whoever waits sees what the other one committed: for that each statement must see its own moment (READ COMMITTED). Whoever
    sends anything by it commits something after it.
    """
    given = [
        {
            "event_id": one.event_id,
            "fields": write_fields(one.stitched.fields),
            "note": one.stitched.note,
            "person": one.person,
            "event_name": one.counted_as,
            "minute": one.received_at.astimezone(UTC).replace(second=0, microsecond=0),
            "facts": mask_of(added.field for added in one.stitched.fields if added.field in BITS),
        }
        for one in decisions
    ]
    sql = STORE_AND_COUNT_DECISIONS if any(one["facts"] for one in given) else STORE_DECISIONS
    params: Any = {"merchant": merchant_id, "now": now, "given": JsonLiteral(given)}
    stored = rows(sql, params)
    found = {one.event_id: one.stitched for one in decisions}
    others = sorted(found.keys() - {row[0] for row in stored})
    return found | decided(merchant_id, others) if others else found


def decided(merchant_id: int, event_ids: Sequence[str]) -> dict[str, Stitched]:
    """What was decided about events; those that nothing was decided about are missing."""
    found = rows(
        "SELECT event_id, fields::text, note FROM enrichments WHERE merchant_id = %s AND event_id = ANY(%s)",
        (merchant_id, list(event_ids)),
    )
    return {row[0]: read_decision(row[1], row[2]) for row in found}


def read_decision(fields: str, note: str | None) -> Stitched:
    # A note that a newer version wrote says nothing to this one.
    return Stitched(read_fields(fields), Note(note) if note in _NOTES else None)


_NOTES = frozenset(Note)


def read_fields(text: str) -> tuple[Enriched, ...]:
    return tuple(
        Enriched(
            one["field"], one["value"], one["source"], datetime.fromisoformat(one["seen_at"]), one.get("browser_id")
        )
        for one in orjson.loads(text)
    )


def write_fields(fields: Iterable[Enriched]) -> list[dict[str, Any]]:
    """As orjson writes them, with their times."""
    return [
        {
            "field": one.field,
            "value": one.value,
            "source": one.source,
            "seen_at": one.seen_at,
            **({"browser_id": one.browser_id} if one.browser_id is not None else {}),
        }
        for one in fields
    ]
