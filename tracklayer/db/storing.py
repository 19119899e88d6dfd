"""Storing events: one statement for those that are new, their deliveries, the counts of the others and the ledger's minutes.

Statements have a name and take their arguments by place, for whoever prepares them: nobody here opens a session. Beside them
what is asked on the way in: which marks of people and of erased events are known, and under which names events are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from tracklayer.db.async_session import Moment
from tracklayer.db.connection import rows
from tracklayer.db.counters import MOST, adding, up_to
from tracklayer.db.events import EventRow, Key
from tracklayer.db.identities import ASKING, CROWDED, FORGET_CROWD, LINK_COLUMNS, LINKING
from tracklayer.db.json_literal import JsonLiteral

# One statement, so one round trip and one moment: the events that are new, the deliveries of those, the counts of the
# others, and the ledger's minutes. ``xmax = 0`` holds for a row that this statement inserted and not for one it
# updated. Sorted, so that two processes with the same ids in their hands never wait for each other crosswise. Counts are made
# of the types of their columns: where PostgreSQL must convert them, it puts a node more before each table.
_STORE = """
WITH given AS (
    SELECT * FROM json_to_recordset($1) AS x(
        merchant_id bigint, event_id text, event_name text, occurred_at timestamptz, received_at timestamptz,
        times_received int, action_source text, event_source_url text, user_data json, digests json, sealed bytea,
        custom_data json, consent json, device json, counted_as text, host text, facts bigint{tombstone})
    WHERE (SELECT in_time($2)){unless}
){refused}, stored AS (
    INSERT INTO events (merchant_id, event_id, event_name, occurred_at, received_at, last_received_at, times_received,
                        action_source, event_source_url, user_data, digests, sealed, custom_data, consent, device)
    SELECT merchant_id, event_id, event_name, occurred_at, received_at, received_at, times_received, action_source,
           event_source_url, user_data, digests, sealed, custom_data, consent, device
    FROM given ORDER BY merchant_id, event_id
    ON CONFLICT (merchant_id, event_id) DO UPDATE
        SET times_received = events.times_received + excluded.times_received,
            last_received_at = greatest(events.last_received_at, excluded.last_received_at)
        WHERE events.event_name = excluded.event_name
    RETURNING merchant_id, event_id, times_received, xmax = 0 AS inserted, event_name, received_at, {found}
), received AS (
    SELECT s.merchant_id, date_trunc('minute', g.received_at, 'UTC') AS minute, s.inserted,
           g.times_received - s.inserted::int AS repeats, coalesce(g.counted_as, s.event_name) AS event_name,
           g.action_source, coalesce(g.host, '') AS host, g.facts
    FROM stored s JOIN given g USING (merchant_id, event_id){received}
), covered AS (
    INSERT INTO coverage (merchant_id, event_name, minute, action_source, host, facts, slot, events)
    SELECT merchant_id, event_name, minute, action_source, host, facts, pg_backend_pid(), count(*)::int
    FROM received WHERE inserted AND facts IS NOT NULL GROUP BY merchant_id, event_name, minute, action_source, host, facts
    ON CONFLICT (merchant_id, event_name, minute, action_source, host, facts, slot)
        DO UPDATE SET events = coverage.events + excluded.events
){rejecting}, offered AS (
    SELECT s.merchant_id, s.event_id, d.platform, s.received_at,
           d.event_names IS NULL OR s.event_name = ANY(d.event_names) AS wanted
    FROM stored s JOIN destinations d ON d.merchant_id = s.merchant_id
    WHERE s.inserted AND d.removed_at IS NULL
), routed AS (
    INSERT INTO deliveries (merchant_id, event_id, platform, received_at, queued_at, {columns})
    SELECT merchant_id, event_id, platform, received_at, received_at, {values}
    FROM offered WHERE wanted
), counted AS (
    INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, coalesced, rejected, filtered, routed, {counts})
    SELECT merchant_id, ''::text, minute, pg_backend_pid(), (count(*) FILTER (WHERE inserted))::int,
           coalesce(sum(repeats) FILTER (WHERE inserted IS NOT NULL), 0)::int,
           least(coalesce(sum(repeats) FILTER (WHERE inserted IS NULL), 0), {most})::int, 0, 0, {none}
    FROM received GROUP BY merchant_id, minute
    UNION ALL
    SELECT merchant_id, platform, date_trunc('minute', received_at, 'UTC') AS minute, pg_backend_pid(), count(*)::int, 0, 0,
           (count(*) FILTER (WHERE NOT wanted))::int, {wanted}, {counted}
    FROM offered GROUP BY merchant_id, platform, minute
    {adding}
), queued AS (
    INSERT INTO queues (merchant_id, platform, slot, waiting)
    SELECT merchant_id, platform, pg_backend_pid(), count(*) FROM offered WHERE {waits} GROUP BY merchant_id, platform
    ON CONFLICT (merchant_id, platform, slot) DO UPDATE SET waiting = queues.waiting + excluded.waiting
    RETURNING merchant_id, platform
)"""
# What of the calls was refused, counted with what was not. Most calls have nothing of it: opening these tables, and their indexes,
# for nothing is a twentieth of what storing one event takes.
_NOTHING_REFUSED = {"refused": "", "received": "", "rejecting": ""}
# While an erasure goes on, an event that it deleted must not become a new one, though nobody knew of that when its mark was looked
# for. ``HOLD_EVENTS`` comes before in the same transaction: then either the event is there and stays until this has committed, or
# whoever deleted it has committed its tombstone, which this statement sees.
_WHATEVER_WAS_ERASED = {"tombstone": "", "unless": ""}
_UNLESS_ERASED = {
    "tombstone": ", tombstone bytea",
    # Of each by its key: for an EXISTS the planner would rather read all of them.
    "unless": """ AND (tombstone IS NULL OR (
        SELECT true FROM tombstones t WHERE t.merchant_id = x.merchant_id AND t.mark = x.tombstone LIMIT 1) IS NULL)""",
}
_REFUSED = {
    "refused": """, refused AS (
    SELECT * FROM json_to_recordset($3) AS r(
        merchant_id bigint, received_at timestamptz, rejected int, event_name text, code text, field text,
        currency text, amount numeric)
)""",
    "received": """
    UNION ALL
    SELECT merchant_id, date_trunc('minute', received_at, 'UTC'), NULL, rejected, NULL, NULL, NULL, NULL FROM refused""",
    "rejecting": f""", rejecting AS (
    INSERT INTO rejections (merchant_id, minute, event_name, code, field, slot, events)
    SELECT merchant_id, date_trunc('minute', received_at, 'UTC') AS minute, event_name, code, field, pg_backend_pid(),
           least(sum(rejected), {MOST})
    FROM refused WHERE code IS NOT NULL GROUP BY merchant_id, minute, event_name, code, field
    ON CONFLICT (merchant_id, minute, event_name, code, field, slot)
        DO UPDATE SET events = {up_to("rejections.events", "excluded.events")}
), forgone AS (
    INSERT INTO refused_worth (merchant_id, minute, event_name, currency, slot, amount)
    SELECT merchant_id, date_trunc('minute', received_at, 'UTC') AS minute, event_name, currency, pg_backend_pid(), sum(amount)
    FROM refused WHERE currency IS NOT NULL GROUP BY merchant_id, minute, event_name, currency
    ON CONFLICT (merchant_id, minute, event_name, currency, slot)
        DO UPDATE SET amount = refused_worth.amount + excluded.amount
)""",
}
# What is stored of a repeat, as one JSON text: each column that is returned costs its reader a name to decode, and each of the
# statement a place in every row that it carries. Of a new event the caller has everything.
_BEFORE = """CASE WHEN xmax <> 0 THEN json_build_array(
        event_name, occurred_at, received_at, last_received_at, action_source, event_source_url, user_data::text, digests::text,
        encode(sealed, 'hex'), custom_data::text, consent::text, device::text)::text END AS before"""
_STORED = """
SELECT merchant_id, event_id, times_received, inserted, before FROM stored
UNION ALL
SELECT merchant_id, platform, 0, NULL, NULL FROM queued
"""
# Of those that were to be linked, and were so within the hour: since when nobody wrote that down anew. Of those that are too many
# now: no time.
_LINKED = f"""UNION ALL
SELECT merchant_id, browser_id, 0, NULL, json_build_array(digest, known_at)::text FROM looked WHERE is_fresh IS NOT TRUE
UNION ALL
SELECT merchant_id, browser_id, 0, NULL, json_build_array(digest, NULL)::text FROM news WHERE {CROWDED}
"""
_ARRIVALS = ("accepted", "coalesced", "rejected", "filtered", "routed")
_WANTED = "(count(*) FILTER (WHERE wanted))::int"


# What becomes of the deliveries of new events: they are queued, or dropped before anybody sees them.
def _queueing(refused: dict[str, str], window: str, erased: dict[str, str] = _WHATEVER_WAS_ERASED) -> str:
    return _STORE.format(
        **refused,
        **erased,
        most=MOST,
        found=_BEFORE,
        wanted=_WANTED,
        columns="due_at, window_ends_at",
        values=f"received_at, received_at + {window}",
        counts="waiting",
        none="0",
        counted=_WANTED,
        adding=adding((*_ARRIVALS, "waiting")),
        waits="wanted",
    )


# Arguments stand in the order in which ``run_statement`` fills them in.
_QUEUEING = _queueing(_NOTHING_REFUSED, "$3")
_QUEUEING_AND_REFUSING = _queueing(_REFUSED, "$4")


def _dropping(erased: dict[str, str]) -> str:
    return _STORE.format(
        **_NOTHING_REFUSED,
        **erased,
        most=MOST,
        found=_BEFORE,
        wanted=_WANTED,
        columns="""window_ends_at, status, drop_reason, finished_at,
                            last_error""",
        values="""received_at + $3, 'dropped', 'suppressed', received_at,
           'the person was erased, and is to be left alone'""",
        counts="dropped, finished, drop_reasons",
        none="0, 0, NULL::jsonb",
        counted=f"""{_WANTED}, {_WANTED},
           CASE WHEN {_WANTED} > 0
               THEN jsonb_build_object('suppressed', {_WANTED}) END""",
        adding=adding((*_ARRIVALS, "dropped", "finished"))
        + """,
        drop_reasons = CASE WHEN excluded.drop_reasons IS NULL THEN minutes.drop_reasons
                            ELSE add_counts(minutes.drop_reasons, excluded.drop_reasons) END""",
        waits="false",
    )


STORE_EVENTS = _QUEUEING + _STORED
STORE_AND_REFUSE = _QUEUEING_AND_REFUSING + _STORED
# The same, and whom the new ones among them were seen with: a repeat links nobody.
_LINKS_OF_NEW = (
    "(SELECT merchant_id, l.browser_id, l.kind, l.digest, coalesce(l.digests, g.digests -> l.kind) AS digests, l.pair, "
    "least(g.occurred_at, g.received_at) AS at, g.received_at "
    f"FROM json_to_recordset({{place}}) AS l({LINK_COLUMNS}) JOIN stored s USING (merchant_id, event_id) "
    "JOIN given g USING (merchant_id, event_id) WHERE s.inserted) AS n"
)
STORE_AND_LINK = f"{_QUEUEING}, {LINKING.format(source=_LINKS_OF_NEW.format(place='$4'))}{_STORED}{_LINKED}"
_LINKED_TOO = f", {LINKING.format(source=_LINKS_OF_NEW.format(place='$5'))}, {ASKING}{_STORED}{_LINKED}"
STORE_LINK_AND_REFUSE = _QUEUEING_AND_REFUSING + _LINKED_TOO
# Of people who are to be left alone.
STORE_SUPPRESSED = _dropping(_WHATEVER_WAS_ERASED) + _STORED
# The same while an erasure of any of their merchants goes on: but for what was erased by now, of which nothing comes back.
STORE_UNLESS_ERASED = _queueing(_REFUSED, "$4", _UNLESS_ERASED) + _LINKED_TOO
SUPPRESS_UNLESS_ERASED = _dropping(_UNLESS_ERASED) + _STORED
# In the order of those statements. Whoever erases passes over what is held, and comes back to it.
HOLD_EVENTS = """
SELECT x.event_id FROM (SELECT * FROM json_to_recordset($1) AS x(merchant_id bigint, event_id text) ORDER BY merchant_id, event_id) AS x
CROSS JOIN LATERAL (SELECT FROM events
    WHERE merchant_id = x.merchant_id AND event_id = x.event_id LIMIT 1 FOR KEY SHARE) AS e
"""

# Which marks of events on their way in are known: of erased events, each by itself and followed by that of its name, and of
# people who are to be left alone. And the number of each merchant's last erasure, of 0 where there is none any more; null while
# one goes on, which deletes links.
FIND_MARKS = """
WITH given AS (SELECT DISTINCT merchant_id, mark FROM json_to_recordset($1) AS x(merchant_id bigint, mark bytea))
SELECT g.merchant_id, t.mark, true, NULL::bigint FROM given g
CROSS JOIN LATERAL (SELECT mark FROM tombstones WHERE merchant_id = g.merchant_id
    AND mark >= g.mark AND mark <= g.mark || '\\xffffffffffffffffff'::bytea ORDER BY mark LIMIT 9) t
UNION ALL
SELECT g.merchant_id, g.mark, false, NULL FROM given g
CROSS JOIN LATERAL (SELECT 1 FROM suppressions WHERE merchant_id = g.merchant_id AND mark = g.mark LIMIT 1) s
UNION ALL
SELECT m.merchant_id, NULL, NULL, CASE
    WHEN EXISTS (SELECT FROM erasures WHERE merchant_id = m.merchant_id AND finished_at IS NULL) THEN NULL
    ELSE coalesce((SELECT erasure_id FROM erasures WHERE merchant_id = m.merchant_id ORDER BY erasure_id DESC LIMIT 1), 0) END
FROM (SELECT DISTINCT merchant_id FROM given) m
"""
# Repeats of events that were erased: nothing of them is stored but that they came.
COUNT_REPEATS = f"""
INSERT INTO minutes (merchant_id, platform, minute, slot, coalesced)
SELECT merchant_id, '', date_trunc('minute', received_at, 'UTC') AS minute, pg_backend_pid(), sum(repeats)
FROM json_to_recordset($1) AS x(merchant_id bigint, received_at timestamptz, repeats int) GROUP BY merchant_id, minute
{adding(("coalesced",))}
RETURNING merchant_id
"""


class StoredEvent(NamedTuple):
    """``times_received``: with this call. ``before``: the event as it is stored, where it was there before."""

    times_received: int
    before: EventRow | None


@dataclass(frozen=True, slots=True)
class Stored:
    """``queued``: (merchant id, platform) of destinations that got something to do. ``known``: (merchant id, browser id, digest)
    of the links that were not written, as they are stored -> when the two were last seen together, by what is stored. ``crowded``:
    those that were, of which there are too many now.

    A key that is missing from ``events`` is stored under another event name: ``stored_names`` tells which.
    """

    events: dict[Key, StoredEvent]
    queued: set[tuple[int, str]]
    known: dict[tuple[int, str, str], datetime] = field(default_factory=dict)
    crowded: list[tuple[int, str, str]] = field(default_factory=list)


def to_store(
    records: list[dict[str, Any]],
    rejected: list[dict[str, Any]],
    links: list[dict[str, Any]],
    window: timedelta,
    until: datetime | Moment | None = None,
    *,
    asks: bool = True,
) -> tuple[str, tuple[Any, ...]]:
    """The name of the statement, and what it takes: events of different keys, and how many of whose were refused.

    ``records``: one JSON object an event, keys as the columns, and ``facts`` where what it carries is counted, by
    ``counted_as`` (else its name) and ``host``. ``rejected``: ``{merchant_id, received_at, rejected, event_name, code, field}``;
    without a code it is counted as rejected alone; with ``currency`` and ``amount`` it says what such sales are worth.
    ``links``: as ``identities.link_record``. ``asks``: they may be the first of a merchant. ``window``: of retries. ``until``:
    later than that, by the server's clock, nothing is stored, and ``sessions.TOO_LATE`` comes back; None: whenever.
    """
    stored = JsonLiteral(sorted(records, key=_key)), until
    if rejected or (links and asks):
        refusing = *stored, JsonLiteral(rejected), window
        return ("store_link_and_refuse", (*refusing, JsonLiteral(links))) if links else ("store_and_refuse", refusing)
    storing = *stored, window
    return ("store_and_link", (*storing, JsonLiteral(links))) if links else ("store_events", storing)


def to_suppress(
    records: list[dict[str, Any]], window: timedelta, until: datetime | Moment | None = None
) -> tuple[str, tuple[Any, ...]]:
    """As ``to_store``, of people who are to be left alone."""
    return "store_suppressed", (JsonLiteral(sorted(records, key=_key)), until, window)


def unless_erased(
    statement: tuple[str, tuple[Any, ...]], held: Sequence[Key], records: list[dict[str, Any]]
) -> tuple[str, tuple[Any, ...]]:
    """The same as one of ``to_store`` or ``to_suppress``, but for what an erasure that goes on has deleted by now: that is missing
    from what comes back.

    ``records``: with ``tombstone``, the mark of the event, where it may have been; ``held``: the keys of those.
    """
    name, (_, until, *others) = statement
    given = JsonLiteral([{"merchant_id": merchant, "event_id": event_id} for merchant, event_id in held])
    storing = given, JsonLiteral(sorted(records, key=_key)), until
    if name == "store_suppressed":
        return "suppress_unless_erased", (*storing, *others)
    nothing = JsonLiteral([])
    rejected = others.pop(0) if "refuse" in name else nothing
    window, links = others if "link" in name else (*others, nothing)
    return "store_unless_erased", (*storing, rejected, window, links)


def read_stored(found: Sequence[Sequence[Any]]) -> Stored:
    """The rows that a statement of ``to_store`` or ``to_suppress`` returns."""
    stored = Stored({}, set())
    for row in found:
        if row[3] is None and row[4] is not None:
            digest, known_at = orjson.loads(row[4])
            if known_at is None:
                stored.crowded.append((row[0], row[1], digest))
            else:
                stored.known[row[0], row[1], digest] = _read_instant(known_at)
        elif row[3] is None:
            stored.queued.add((row[0], row[1]))
        elif row[3]:
            stored.events[row[0], row[1]] = StoredEvent(row[2], None)
        else:
            stored.events[row[0], row[1]] = StoredEvent(row[2], _read_before(row))
    return stored


def _read_before(row: Sequence[Any]) -> EventRow:
    merchant_id, event_id, times_received, _, before = row
    name, *instants, source, url, user_data, digests, sealed, custom_data, consent, device = orjson.loads(before)
    occurred, received, last_received = map(_read_instant, instants)
    return EventRow(
        *(merchant_id, event_id, name, occurred, received, last_received, times_received, source, url),
        *(user_data, digests, bytes.fromhex(sealed) if sealed is not None else None, custom_data, consent, device),
    )


def _read_instant(written: str) -> datetime:
    return datetime.fromisoformat(written).astimezone(UTC)


def _key(record: dict[str, Any]) -> Key:
    return record["merchant_id"], record["event_id"]


STORED_NAMES = """
SELECT e.merchant_id, e.event_id, e.event_name
FROM json_to_recordset($1) AS x(merchant_id bigint, event_id text) JOIN events e USING (merchant_id, event_id)
"""


# name -> (types of its arguments, the statement): for whoever prepares them, and for ``run_statement``.
STATEMENTS = {
    "store_events": ("json, timestamptz, interval", STORE_EVENTS),
    "store_and_refuse": ("json, timestamptz, json, interval", STORE_AND_REFUSE),
    "store_and_link": ("json, timestamptz, interval, json", STORE_AND_LINK),
    "store_link_and_refuse": ("json, timestamptz, json, interval, json", STORE_LINK_AND_REFUSE),
    "stored_names": ("json", STORED_NAMES),
    "store_suppressed": ("json, timestamptz, interval", STORE_SUPPRESSED),
    "hold_events": ("json", HOLD_EVENTS),
    "store_unless_erased": ("json, timestamptz, json, interval, json", STORE_UNLESS_ERASED),
    "suppress_unless_erased": ("json, timestamptz, interval", SUPPRESS_UNLESS_ERASED),
    "find_marks": ("json", FIND_MARKS),
    "count_repeats": ("json", COUNT_REPEATS),
    "forget_crowd": ("json", FORGET_CROWD.format(given="$1")),
}
READS = frozenset({"stored_names", "find_marks"})  # of these: whatever becomes of what follows, nothing is stored yet
# Each in one transaction behind ``hold_events``, whose argument is the first of its own.
HOLDING = frozenset({"store_unless_erased", "suppress_unless_erased"})


def run_statement(name: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of one of ``STATEMENTS``, in the open transaction, without preparing it."""
    if name in HOLDING:
        run_statement("hold_events", arguments[:1])
        arguments = arguments[1:]
    types, sql = STATEMENTS[name]
    for place, kind in enumerate(types.split(", "), 1):
        sql = sql.replace(f"${place}", f"%s::{kind}")
    return rows(sql, arguments)


def stored_names_arguments(keys: Sequence[Key]) -> tuple[Any, ...]:
    """What ``stored_names`` takes; it answers with (merchant id, event id, the event name it is stored under)."""
    return (JsonLiteral([{"merchant_id": merchant, "event_id": event_id} for merchant, event_id in keys]),)


def marks_arguments(marks: set[tuple[int, bytes]]) -> tuple[Any, ...]:
    """What ``find_marks`` takes; it answers with (merchant id, mark, whether it is a tombstone, None), a tombstone's mark being
    one of those given or one that begins so, and once a
    merchant with (merchant id, None, None, the number of its last erasure or None).
    """
    found = [{"merchant_id": merchant, "mark": "\\x" + mark.hex()} for merchant, mark in sorted(marks)]
    return (JsonLiteral(found),)


def repeats_arguments(repeats: Sequence[tuple[int, datetime, int]]) -> tuple[Any, ...]:
    """What ``count_repeats`` takes, of (merchant id, when, how many)."""
    return (JsonLiteral([{"merchant_id": one, "received_at": at, "repeats": count} for one, at, count in repeats]),)
