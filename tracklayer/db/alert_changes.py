"""The openings and resolvings of alerts, in order: written with a notification, read by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from tracklayer.db.connection import execute, rows
from tracklayer.db.models import AlertRow

CHANNEL = "tracklayer_alerts"  # its messages are merchant ids


@dataclass(frozen=True, slots=True)
class Change:
    """An alert opened (or opened again) or resolved. ``alert``: the row as it is, or was shortly afterwards."""

    change_id: int
    state: str
    at: datetime
    alert: AlertRow


class Place(NamedTuple):
    """Behind a change. ``at``: when that happened; None: it is before all, or of a version that did not say."""

    change_id: int
    at: datetime | None = None


def insert_change(merchant_id: int, alert_id: int, state: str, now: datetime) -> int:
    """Notes a change and tells every listening process when this transaction commits. Needs ``lock_alerts``.

    Only so rare a transaction may notify: the commit of one that does waits for all others that do.
    """
    found = rows(
        "INSERT INTO alert_changes (merchant_id, alert_id, state, at) VALUES (%s, %s, %s, %s) RETURNING change_id",
        (merchant_id, alert_id, state, now),
    )
    rows("SELECT pg_notify(%s, %s)", (CHANNEL, str(merchant_id)))
    return int(found[0][0])


def next_number() -> int:
    """A number that no change has or will have."""
    return int(rows("SELECT nextval(pg_get_serial_sequence('alert_changes', 'change_id'))")[0][0])


_ALERT = tuple(field.column_name for field in AlertRow._meta.sorted_fields)
_COLUMNS = f"c.change_id, c.state, c.at, {', '.join(f'a.{name}' for name in _ALERT)}"

# After a fail-over to a standby that lacked them, and from a backup, the numbers of the last changes are given to others. So a
# change is known by when it happened as well; where it is not there, what is surely from before it is left out, and no more: the
# clock that counts now may be behind the former one. Of one that does not say when it was, a number that is higher than all tells.
BEHIND = """
CASE WHEN EXISTS (SELECT FROM alert_changes c
        WHERE c.merchant_id = x.merchant_id AND c.change_id = x.after AND c.at = x.at)
    OR (x.at IS NULL AND EXISTS (SELECT FROM alert_changes c WHERE c.merchant_id = x.merchant_id AND c.change_id >= x.after))
    THEN x.after
    ELSE coalesce((SELECT max(c.change_id) FROM alert_changes c
        WHERE c.merchant_id = x.merchant_id AND c.change_id < x.after AND c.at < x.at - interval '1 minute'), 0) END
"""
CHANGES_AFTER = f"""
SELECT {_COLUMNS}
FROM json_to_recordset(%s::json) AS x(merchant_id bigint, after bigint, at timestamptz)
CROSS JOIN LATERAL (SELECT {BEHIND} AS position) AS p
CROSS JOIN LATERAL (
    SELECT * FROM alert_changes c WHERE c.merchant_id = x.merchant_id AND c.change_id > p.position
    ORDER BY c.change_id LIMIT %s) AS c
JOIN alerts a ON a.merchant_id = c.merchant_id AND a.alert_id = c.alert_id
ORDER BY c.merchant_id, c.change_id
"""


def changes_after(places: Mapping[int, Place], limit: int) -> dict[int, list[Change]]:
    """Merchant -> its changes after a place, oldest first, at most ``limit`` each; in one statement for all.

    Where the change of that place is not there any more, they begin at most a minute before it, or with all where that is not known.
    """
    records = [{"merchant_id": merchant_id, "after": after, "at": at} for merchant_id, (after, at) in places.items()]
    found: dict[int, list[Change]] = {merchant_id: [] for merchant_id in places}
    for row in rows(CHANGES_AFTER, (orjson.dumps(records).decode(), limit)):
        change = Change(row[0], row[1], row[2], AlertRow(**dict(zip(_ALERT, row[3:], strict=True))))
        found[change.alert.merchant_id].append(change)
    return found


POSITION_OF = f"SELECT {BEHIND} FROM (SELECT %s::bigint, %s::bigint, %s::timestamptz) AS x(merchant_id, after, at)"


def position_of(merchant_id: int, place: Place) -> int:
    """The number that a place of a merchant has: what comes behind it has higher ones. See ``changes_after``."""
    return int(rows(POSITION_OF, (merchant_id, *place))[0][0])


POSITIONS_BEFORE_LAST = """
SELECT x.merchant_id, coalesce((
    SELECT c.change_id FROM alert_changes c WHERE c.merchant_id = x.merchant_id
    ORDER BY c.change_id DESC OFFSET %s LIMIT 1), 0)
FROM unnest(%s::bigint[]) AS x(merchant_id)
"""


def positions_before_last(merchant_ids: Sequence[int], count: int) -> dict[int, int]:
    """Merchant -> the position behind which its last ``count`` changes lie."""
    return {row[0]: row[1] for row in rows(POSITIONS_BEFORE_LAST, (count, list(merchant_ids)))}


def first_change_of(merchant_id: int, alert_id: int) -> int:
    """The position of an alert's first change that is still kept; 0 where none is."""
    found = rows(
        "SELECT change_id FROM alert_changes WHERE merchant_id = %s AND alert_id = %s ORDER BY change_id LIMIT 1",
        (merchant_id, alert_id),
    )
    return int(found[0][0]) if found else 0


def purge_changes(before: datetime, limit: int) -> int:
    """Deletes up to ``limit`` changes, oldest first; how many."""
    return execute(
        "DELETE FROM alert_changes c USING (SELECT merchant_id, change_id FROM alert_changes WHERE at < %s "
        "ORDER BY at LIMIT %s) AS old WHERE c.merchant_id = old.merchant_id AND c.change_id = old.change_id",
        (before, limit),
    )
