"""Erasures: one row each, who asked for it, and a merchant's walk past its events, that all which look at them share.

What they find and delete is in db/personal_data.py; the marks that keep it from coming back, in db/marks.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from tracklayer.db.connection import execute, rows

LAST_ID = 2**63 - 1


@dataclass(slots=True)
class ErasureRow:
    """``wanted``, ``after``: sealed. ``identifiers``: [kind, cut off keyed hash]. ``counts``: table -> rows deleted.

    ``platforms``: platform -> {deliveries, attempted, delivered, first_at, last_at}, of the deliveries deleted. ``stage``: what
    it is at, since ``staged_at``. ``looks_until``: what came until then was there when it was asked for, as far as arrivals tell:
    ``requested_at``, or the latest arrival of an event, a browser or a link that was stored then, by a clock that was ahead. ``scanned``: events that were looked at. ``failures``: of its next step, in a row. ``lap``: of
    the merchant's walk, in which it joined that; with ``after`` the place, and ``looked`` the count, at which it did.
    """

    merchant_id: int
    erasure_id: int
    requested_by: dict[str, Any]
    identifiers: list[list[str]]
    wanted: bytes
    suppress: bool
    stage: str
    requested_at: datetime
    next_at: datetime
    staged_at: datetime
    looks_until: datetime
    after: bytes | None = None
    scanned: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    platforms: dict[str, dict[str, Any]] = field(default_factory=dict)
    finished_at: datetime | None = None
    receipt: str | None = None
    failures: int = 0
    failing_since: datetime | None = None
    lap: int | None = None
    looked: int = 0


@dataclass(slots=True)
class WalkRow:
    """A merchant's look at its events, for all erasures that need one. ``place``: sealed; None: the beginning."""

    merchant_id: int
    place: bytes | None
    lap: int
    looked: int
    next_at: datetime


WALKING = ("walk", "settling")  # stages of erasures that look at events, all of a merchant together

COLUMNS = (
    "merchant_id, erasure_id, requested_by, identifiers, wanted, suppress, stage, requested_at, next_at, staged_at, "
    "greatest(requested_at, looks_until), after, scanned, counts, platforms, finished_at, receipt, failures, failing_since, lap, looked"
)
# Whatever was committed before the request goes, also what came by a clock that has been set back since.
_NEWEST = (
    "(SELECT max(received_at) FROM events WHERE merchant_id = %(merchant)s), "
    # ``browser_id <> ''`` is what the indexes by age say.
    "(SELECT max(last_seen_at) FROM browsers WHERE merchant_id = %(merchant)s AND browser_id <> ''), "
    "(SELECT max(last_seen_at) FROM browser_people WHERE merchant_id = %(merchant)s AND browser_id <> '')"
)
INSERT = f"""
INSERT INTO erasures (merchant_id, requested_by, identifiers, wanted, suppress, stage, requested_at, next_at, staged_at, looks_until)
VALUES (%(merchant)s, %(by)s, %(identifiers)s, '', %(suppress)s, %(stage)s, %(now)s, %(now)s, %(now)s,
    greatest(%(now)s, {_NEWEST})) RETURNING erasure_id, looks_until
"""


def insert_erasure(
    merchant_id: int,
    requested_by: Mapping[str, Any],
    identifiers: Sequence[Sequence[str]],
    suppress: bool,
    stage: str,
    now: datetime,
) -> ErasureRow:
    """A new one, without what is looked for: the caller seals it for its id, and saves it."""
    given: Any = {
        "merchant": merchant_id,
        "by": orjson.dumps(requested_by).decode(),
        "identifiers": orjson.dumps(identifiers).decode(),
        "suppress": suppress,
        "stage": stage,
        "now": now,
    }
    ((erasure_id, looks_until),) = rows(INSERT, given)
    return ErasureRow(
        merchant_id,
        erasure_id,
        dict(requested_by),
        [list(one) for one in identifiers],
        b"",
        suppress,
        stage,
        now,
        now,
        now,
        looks_until,
    )


# Merchants take turns, however much each has begun: first the one whose last turn was longest ago. One look-up a merchant who
# has any, by the index that holds what goes on alone.
TURNS = """
WITH RECURSIVE merchant AS (
    (SELECT merchant_id FROM erasures WHERE finished_at IS NULL ORDER BY merchant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.merchant_id FROM erasures e WHERE e.finished_at IS NULL AND e.merchant_id > m.merchant_id
            ORDER BY e.merchant_id LIMIT 1)
    FROM merchant m WHERE m.merchant_id IS NOT NULL
), turn AS (
    SELECT m.merchant_id, t.alone_at, CASE WHEN t.walk_at IS NOT NULL THEN greatest(t.walk_at, w.next_at) END AS walk_at,
           greatest(t.taken_at, w.taken_at) AS taken_at
    FROM merchant m
    CROSS JOIN LATERAL (SELECT min(next_at) FILTER (WHERE NOT stage = ANY(%(walking)s)) AS alone_at,
            min(next_at) FILTER (WHERE stage = ANY(%(walking)s)) AS walk_at, max(taken_at) AS taken_at
        FROM erasures e WHERE e.merchant_id = m.merchant_id AND e.finished_at IS NULL) t
    LEFT JOIN erasure_walks w ON w.merchant_id = m.merchant_id
)
SELECT merchant_id, alone_at, walk_at FROM turn
WHERE least(alone_at, walk_at) <= %(now)s ORDER BY taken_at NULLS FIRST, least(alone_at, walk_at), merchant_id LIMIT 100
"""
TAKE = f"""
SELECT {COLUMNS} FROM erasures WHERE merchant_id = %s AND finished_at IS NULL AND next_at <= %s AND NOT stage = ANY(%s)
ORDER BY next_at, erasure_id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
TAKE_WALK = """
SELECT merchant_id, place, lap, looked, next_at FROM erasure_walks WHERE merchant_id = %s AND next_at <= %s
FOR UPDATE SKIP LOCKED
"""
# Looked for first, and by one at a time: to insert beside a row that somebody writes is to wait until that one has committed.
BEGIN_WALK = """
INSERT INTO erasure_walks (merchant_id, next_at) SELECT %(merchant)s, %(now)s
WHERE CASE WHEN EXISTS (SELECT FROM erasure_walks WHERE merchant_id = %(merchant)s) THEN false
    ELSE pg_try_advisory_xact_lock(%(merchant)s, hashtext('erasure walk')) END
ON CONFLICT DO NOTHING RETURNING merchant_id, place, lap, looked, next_at
"""


def take_turn(now: datetime) -> ErasureRow | WalkRow | None:
    """An erasure whose turn it is, or a merchant's look at its events; this transaction holds it until it ends.

    What somebody holds is passed over, and not waited for.
    """
    walking = list(WALKING)
    for merchant_id, alone_at, walk_at in rows(TURNS, {"walking": walking, "now": now}):  # type: ignore[arg-type]
        is_walk_first = walk_at is not None and (alone_at is None or walk_at <= alone_at)
        for is_walk in (is_walk_first, not is_walk_first):
            at = walk_at if is_walk else alone_at
            if at is None or at > now:
                continue
            if is_walk:
                begins: Any = {"merchant": merchant_id, "now": now}
                for found in rows(TAKE_WALK, (merchant_id, now)) or rows(BEGIN_WALK, begins):
                    execute("UPDATE erasure_walks SET taken_at = %s WHERE merchant_id = %s", (now, merchant_id))
                    return WalkRow(found[0], _bytes(found[1]), *found[2:])
            for found in () if is_walk else rows(TAKE, (merchant_id, now, walking)):
                row = _read(found)
                execute(
                    "UPDATE erasures SET taken_at = %s WHERE merchant_id = %s AND erasure_id = %s",
                    (now, merchant_id, row.erasure_id),
                )
                return row
    return None


# Those that wait for one that looks for the very same are left to ``ask_again``: the more ask, the longer would they be held.
MAY_BEGIN = """
SELECT erasure_id FROM erasures WHERE merchant_id = %(merchant)s AND finished_at IS NULL AND stage = 'walk' AND lap IS NULL
    AND next_at <= %(now)s AND (%(all)s OR (identifiers, suppress) NOT IN (SELECT identifiers, suppress FROM erasures
        WHERE merchant_id = %(merchant)s AND finished_at IS NULL AND stage = ANY(%(walking)s) AND lap IS NOT NULL))
ORDER BY erasure_id FOR NO KEY UPDATE
"""


def walkers(merchant_id: int, now: datetime, *, is_lost: bool = False) -> tuple[list[ErasureRow], set[int]]:
    """(a merchant's erasures that look at events, or wait for that; the numbers of those that may begin now).

    Nobody changes them but who holds the merchant's walk; of those that have not begun ``ask_again`` does, so this transaction holds
    those that may begin, from before they are read. ``is_lost``: all of them begin anew.
    """
    params: Any = {"merchant": merchant_id, "now": now, "all": is_lost, "walking": list(WALKING)}
    may_begin = {row[0] for row in rows(MAY_BEGIN, params)}
    found = rows(
        f"SELECT {COLUMNS} FROM erasures WHERE merchant_id = %s AND finished_at IS NULL AND stage = ANY(%s) "
        "ORDER BY erasure_id",
        (merchant_id, list(WALKING)),
    )
    return [_read(row) for row in found], may_begin


def take_at(merchant_id: int, stage: str, until: datetime, limit: int, but: int | None = None) -> list[ErasureRow]:
    """Those of a merchant that are at a stage, whose turn it is by then, and that nobody holds; this transaction does.

    ``but``: the number of one that it holds already.
    """
    found = rows(
        f"SELECT {COLUMNS} FROM erasures WHERE merchant_id = %s AND finished_at IS NULL AND next_at <= %s AND stage = %s "
        "AND erasure_id IS DISTINCT FROM %s ORDER BY erasure_id LIMIT %s FOR UPDATE SKIP LOCKED",
        (merchant_id, until, stage, but, limit),
    )
    return [_read(one) for one in found]


def save_walk(walk: WalkRow) -> None:
    """Where it is, in the transaction of what was done there."""
    execute(
        "UPDATE erasure_walks SET place = %s, lap = %s, looked = %s, next_at = %s WHERE merchant_id = %s",
        (walk.place, walk.lap, walk.looked, walk.next_at, walk.merchant_id),
    )


def postpone_walk(merchant_id: int, now: datetime, until: datetime) -> None:
    """Its step failed: nothing of it is done before an instant, for none of those that would have been in it."""
    execute("UPDATE erasure_walks SET next_at = %s WHERE merchant_id = %s", (until, merchant_id))
    execute(
        "UPDATE erasures SET failures = failures + 1, failing_since = coalesce(failing_since, %s), "
        "next_at = CASE WHEN lap IS NULL THEN %s ELSE next_at END "
        "WHERE merchant_id = %s AND finished_at IS NULL AND stage = ANY(%s) AND (lap IS NOT NULL OR next_at <= %s)",
        (now, until, merchant_id, list(WALKING), now),
    )


def queue_with_who_asks(merchant_id: int) -> None:
    """Waits for those of a merchant who ask at this moment. Whoever asks next waits until this transaction ends.

    Whoever asks waits in here for rows of the merchant, so nobody may who holds any.
    """
    rows("SELECT pg_advisory_xact_lock(%s, hashtext('erasures'))", (merchant_id,))


def count_open(merchant_id: int, limit: int) -> int:
    """How many of a merchant's go on, counted to ``limit``. Whoever asks next waits until this transaction ends."""
    queue_with_who_asks(merchant_id)
    found = rows(
        "SELECT count(*) FROM (SELECT FROM erasures WHERE merchant_id = %s AND finished_at IS NULL LIMIT %s) AS e",
        (merchant_id, limit),
    )
    return int(found[0][0])


def may_finish(merchant_id: int) -> bool:
    """Whether nobody asks at this moment, or will before this transaction ends: so whoever asked is known. Nobody is waited for."""
    return bool(rows("SELECT pg_try_advisory_xact_lock(%s, hashtext('erasures'))", (merchant_id,))[0][0])


class AskedBy(NamedTuple):
    """One request that an erasure answers. ``requested_by``: None where a process of a version before took it, and noted nobody."""

    requested_by: dict[str, Any] | None
    requested_at: datetime


MOST_REQUESTS = 1000  # that one erasure answers: whoever comes then gets another


def count_requests(row: ErasureRow) -> int:
    """How many one answers: none of one that a version before began."""
    found = rows(
        "SELECT count(*) FROM erasure_requests WHERE merchant_id = %s AND erasure_id = %s",
        (row.merchant_id, row.erasure_id),
    )
    return int(found[0][0])


def add_requests(row: ErasureRow, requests: Sequence[AskedBy]) -> None:
    """Notes requests that one answers. In the transaction of ``count_open``."""
    execute(
        "INSERT INTO erasure_requests (merchant_id, erasure_id, requested_by, requested_at) "
        "SELECT %s, %s, x.requested_by::jsonb, x.requested_at FROM unnest(%s::text[], %s::timestamptz[]) "
        "WITH ORDINALITY AS x(requested_by, requested_at, place) ORDER BY x.place",
        (
            row.merchant_id,
            row.erasure_id,
            [orjson.dumps(one.requested_by).decode() for one in requests],
            [one.requested_at for one in requests],
        ),
    )


def requests_of(row: ErasureRow) -> list[AskedBy]:
    """All that one answers, in their order. Of one that a version before began, or that it was asked for again there, as far as
    it is known.
    """
    found = rows(
        "SELECT requested_by, requested_at FROM erasure_requests WHERE merchant_id = %s AND erasure_id = %s ORDER BY place",
        (row.merchant_id, row.erasure_id),
    )
    known = [AskedBy(dict(by), at) for by, at in found] or [AskedBy(row.requested_by, row.requested_at)]
    is_later = all(one.requested_at < row.requested_at for one in known)
    return [*known, AskedBy(None, row.requested_at)] if is_later else known


def open_alike(merchant_id: int, identifiers: Sequence[Sequence[str]], suppress: bool) -> list[ErasureRow]:
    """Those of a merchant that go on and were asked for with the same marks and options: at most as many as may go on."""
    found = rows(
        f"SELECT {COLUMNS} FROM erasures WHERE merchant_id = %s AND finished_at IS NULL AND identifiers = %s::jsonb "
        "AND suppress = %s ORDER BY erasure_id",
        (merchant_id, orjson.dumps(identifiers).decode(), suppress),
    )
    return [_read(row) for row in found]


ASK_AGAIN = f"""
UPDATE erasures SET requested_at = greatest(requested_at, %(now)s), looks_until = greatest(looks_until, %(now)s, {_NEWEST})
WHERE merchant_id = %(merchant)s AND erasure_id IN (SELECT erasure_id FROM erasures
    WHERE merchant_id = %(merchant)s AND erasure_id = %(erasure)s AND finished_at IS NULL
    AND (stage = 'ids' OR stage = 'walk' AND lap IS NULL) AND wanted = %(wanted)s FOR NO KEY UPDATE SKIP LOCKED)
"""


def ask_again(row: ErasureRow, now: datetime) -> bool:
    """Has one look at what came until now as well; False where it has begun to look, and so may have passed over some of it, or
    where somebody has it in hand and may begin.

    ``row``: as it was read; what it looks for must be as it was then. Whoever asks by a clock that is behind makes it look at no
    less.
    """
    row.requested_at = max(row.requested_at, now)
    given: Any = {"merchant": row.merchant_id, "erasure": row.erasure_id, "wanted": row.wanted, "now": now}
    return bool(execute(ASK_AGAIN, given))


SAVE = """
UPDATE erasures e SET wanted = x.wanted, stage = x.stage, after = x.after, scanned = x.scanned, counts = x.counts::jsonb,
    platforms = x.platforms::jsonb, next_at = x.next_at, staged_at = x.staged_at, finished_at = x.finished_at,
    receipt = x.receipt, lap = x.lap, looked = x.looked, failures = x.failures, failing_since = x.failing_since
FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::text[], %s::bytea[], %s::bigint[], %s::text[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bigint[], %s::bigint[], %s::int[],
    %s::timestamptz[]) AS x(merchant_id, erasure_id, wanted, stage, after, scanned, counts, platforms, next_at, staged_at,
    finished_at, receipt, lap, looked, failures, failing_since)
WHERE e.merchant_id = x.merchant_id AND e.erasure_id = x.erasure_id AND e.finished_at IS NULL
"""


def save_erasures(erasures: Sequence[ErasureRow]) -> None:
    """Where they stand, in the transaction of what they did. What was given up meanwhile stays so."""
    given = [
        (
            row.merchant_id,
            row.erasure_id,
            row.wanted,
            row.stage,
            row.after,
            row.scanned,
            orjson.dumps(row.counts).decode(),
            orjson.dumps(row.platforms).decode(),
            row.next_at,
            row.staged_at,
            row.finished_at,
            row.receipt,
            row.lap,
            row.looked,
            row.failures,
            row.failing_since,
        )
        for row in erasures
    ]
    if given:
        execute(SAVE, [list(column) for column in zip(*given, strict=True)])


# Of one that walks: what the walk has looked at since it joined counts as well.
_SHOWN = COLUMNS.replace(
    "scanned,",
    "scanned + CASE WHEN lap IS NULL THEN 0 ELSE coalesce((SELECT w.looked FROM erasure_walks w "
    "WHERE w.merchant_id = erasures.merchant_id), looked) - looked END,",
)


def erasure_by_id(merchant_id: int, erasure_id: int) -> ErasureRow | None:
    """A merchant's own one."""
    found = rows(f"SELECT {_SHOWN} FROM erasures WHERE merchant_id = %s AND erasure_id = %s", (merchant_id, erasure_id))
    return _read(found[0]) if found else None


def page_of_erasures(merchant_id: int, before: int | None, limit: int) -> list[ErasureRow]:
    """The newest first, at most ``limit``; ``before``: the number of the last one seen."""
    found = rows(
        f"SELECT {_SHOWN} FROM erasures WHERE merchant_id = %s AND erasure_id < %s ORDER BY erasure_id DESC LIMIT %s",
        (merchant_id, LAST_ID if before is None else before, limit),
    )
    return [_read(row) for row in found]


def postpone(merchant_id: int, erasure_id: int, now: datetime, until: datetime) -> None:
    """Its step failed: nothing of it is done before an instant."""
    execute(
        "UPDATE erasures SET next_at = %s, failures = failures + 1, failing_since = coalesce(failing_since, %s) "
        "WHERE merchant_id = %s AND erasure_id = %s",
        (until, now, merchant_id, erasure_id),
    )


GIVEN_UP = "given_up"  # the stage of one that finished without a receipt


def failing_erasures(before: datetime, limit: int) -> list[tuple[int, int, datetime]]:
    """(merchant id, erasure id, since when) of those whose step has failed since before an instant, oldest first."""
    found = rows(
        "SELECT merchant_id, erasure_id, failing_since FROM erasures WHERE finished_at IS NULL "
        "AND failing_since < %s ORDER BY failing_since LIMIT %s",
        (before, limit),
    )
    return [(row[0], row[1], row[2]) for row in found]


def give_up_lost_erasures(key_ids: Collection[bytes], now: datetime) -> None:
    """Ends those that go on and are sealed with none of these keys: nobody can tell any more whom they meant."""
    execute(
        "WITH lost AS (SELECT merchant_id, erasure_id FROM erasures e WHERE finished_at IS NULL AND EXISTS (SELECT FROM ("
        "VALUES (wanted), (after) UNION ALL SELECT sealed FROM erasure_traces t "
        "WHERE t.merchant_id = e.merchant_id AND t.erasure_id = e.erasure_id) AS x(sealed) "
        "WHERE length(sealed) > 4 AND NOT substring(sealed FROM 2 FOR 4) = ANY(%s::bytea[])) FOR UPDATE), "
        "gone AS (DELETE FROM erasure_traces t USING lost WHERE t.merchant_id = lost.merchant_id "
        "AND t.erasure_id = lost.erasure_id) "
        "UPDATE erasures e SET finished_at = %s, stage = %s, wanted = '', after = NULL FROM lost "
        "WHERE e.merchant_id = lost.merchant_id AND e.erasure_id = lost.erasure_id",
        (list(key_ids), now, GIVEN_UP),
    )


def _read(found: Sequence[Any]) -> ErasureRow:
    values = list(found)
    values[4], values[11] = _bytes(values[4]), _bytes(values[11])
    return ErasureRow(*values)


def _bytes(found: Any) -> bytes | None:
    return bytes(found) if found is not None else None


def purge_erasures(before: datetime, limit: int) -> int:
    """Deletes those that finished before an instant, with their receipts."""
    return execute(
        "WITH old AS (SELECT merchant_id, erasure_id FROM erasures WHERE finished_at < %s ORDER BY finished_at LIMIT %s), "
        "requests AS (DELETE FROM erasure_requests r USING old "
        "WHERE r.merchant_id = old.merchant_id AND r.erasure_id = old.erasure_id) "
        "DELETE FROM erasures e USING old WHERE e.merchant_id = old.merchant_id AND e.erasure_id = old.erasure_id",
        (before, limit),
    )
