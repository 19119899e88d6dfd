"""In which fields the last repeat of an event that differed from it did so: names of fields, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.json_literal import JsonLiteral


class Difference(NamedTuple):
    """``fields``: dotted paths, as ``services.persist.differences`` names them."""

    merchant_id: int
    event_id: str
    at: datetime
    fields: tuple[str, ...]


# In the order of the key, so that two processes never wait for each other crosswise. Of an event that was purged since,
# nothing is noted: nobody would ever take it away.
NOTE = """
WITH there AS (
    SELECT e.merchant_id, e.event_id, x.at, x.fields
    FROM json_to_recordset(%s::json) AS x(merchant_id bigint, event_id text, at timestamptz, fields text[])
    JOIN events e USING (merchant_id, event_id)
    ORDER BY e.merchant_id, e.event_id FOR KEY SHARE OF e
)
INSERT INTO differing_repeats (merchant_id, event_id, at, fields)
SELECT merchant_id, event_id, at, fields FROM there
ON CONFLICT (merchant_id, event_id) DO UPDATE SET at = excluded.at, fields = excluded.fields
    WHERE differing_repeats.at <= excluded.at
"""


def note_differences(found: Iterable[Difference]) -> None:
    """Keeps of each event the last one; ``found`` has each event once."""
    execute(NOTE, (JsonLiteral([one._asdict() for one in found]),))


def differences_of(merchant_id: int, event_ids: Sequence[str]) -> dict[str, Difference]:
    """By event id; events of which no repeat differed are missing."""
    found = rows(
        "SELECT merchant_id, event_id, at, fields FROM differing_repeats WHERE merchant_id = %s AND event_id = ANY(%s)",
        (merchant_id, list(event_ids)),
    )
    return {row[1]: Difference(row[0], row[1], row[2], tuple(row[3])) for row in found}
