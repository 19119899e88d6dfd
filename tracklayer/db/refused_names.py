"""Of which names a platform, or its rules, refused events, by the minute in which they arrived.

``refused_names`` has the key (merchant_id, platform, event_name, minute, slot): rows of minutes for two days, then of hours,
for 35 days (db/coverage_folding.py). A refusal is a delivery's first outcome; how many events there were of a name says
db/names.py, and how many of them were not sent at all ``unsent_names``, of the same key: of names only of which something was
refused, as elsewhere nobody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db.connection import execute, rows
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.db.stored_json import OF_SALE
from tracklayer.domain.delivery import UNMAPPABLE, DeliveryStatus
from tracklayer.domain.event_names import is_sale
from tracklayer.domain.monitors.worth import NOTHING, Worth, worth_of

Known = Callable[[int, str, int], str]  # (merchant id, event name, hour) -> what it is counted as
Settled = tuple[int, str, str, datetime]  # merchant id, platform, event id, when the event arrived
NamedMinute = tuple[int, str, str, datetime]  # merchant id, platform, what its name is counted as, the minute

# Whether a delivery ``d`` had not come to anything before its present attempts. What is redelivered counts these from 0 again; where it
# fails once more, that is no news of its destination, as a retry is none. What was never tried, as its destination was paused or gone
# for a day, is news.
IS_FIRST = "NOT coalesce(d.had_outcome, d.requeued_at IS NOT NULL)"

NAMES_OF = """
SELECT x.merchant_id, x.event_id, e.event_name FROM unnest(%s::bigint[], %s::text[]) AS x(merchant_id, event_id)
CROSS JOIN LATERAL (
    SELECT event_name FROM events WHERE merchant_id = x.merchant_id AND event_id = x.event_id LIMIT 1) AS e
"""
_ADD = """
INSERT INTO {0} (merchant_id, platform, event_name, minute, slot, events)
SELECT merchant_id, platform, event_name, minute, pg_backend_pid(), events
FROM json_to_recordset(%s::json) AS x(merchant_id bigint, platform text, event_name text, minute timestamptz, events int)
ON CONFLICT (merchant_id, platform, event_name, minute, slot) DO UPDATE SET events = {0}.events + excluded.events
"""
ADD, ADD_UNSENT = _ADD.format("refused_names"), _ADD.format("unsent_names")


def count_refused(refused: Sequence[Settled], known: Known) -> None:
    """Adds them to this backend's own rows, by name. Needs the transaction in which they are settled."""
    _write(ADD, _by_name(refused, known))


def count_unsent(unsent: Sequence[Settled], known: Known) -> None:
    """Adds deliveries that were dropped unsent to this backend's own rows, of the names of which anything was refused.

    Where nothing was, that costs a destination one look. Needs the transaction in which they are settled, after its refusals
    are counted.
    """
    names = {
        (merchant_id, platform): {
            name
            for (name,) in rows(REFUSED_NAMES, {"merchant": merchant_id, "platform": platform})  # type: ignore[arg-type]
        }
        for merchant_id, platform in sorted({one[:2] for one in unsent})
    }
    asked = [one for one in unsent if names[one[:2]]]
    if asked:
        _write(ADD_UNSENT, {key: count for key, count in _by_name(asked, known).items() if key[2] in names[key[:2]]})


def _by_name(settled: Sequence[Settled], known: Known) -> Counter[NamedMinute]:
    """How many arrived of a name in a minute; what was erased meanwhile has none."""
    names = {
        (merchant_id, event_id): name
        for merchant_id, event_id, name in rows(NAMES_OF, ([one[0] for one in settled], [one[2] for one in settled]))
    }
    counts = Counter[NamedMinute]()
    for merchant_id, platform, event_id, received_at in settled:
        name = names.get((merchant_id, event_id))
        if name is not None:
            name = known(merchant_id, name, int(received_at.timestamp() // 3600))
            counts[merchant_id, platform, name, received_at.astimezone(UTC).replace(second=0, microsecond=0)] += 1
    return counts


def _write(sql: str, counts: Mapping[NamedMinute, int]) -> None:
    records = [
        {"merchant_id": key[0], "platform": key[1], "event_name": key[2], "minute": key[3], "events": count}
        for key, count in sorted(counts.items())
    ]
    if records:
        execute(sql, (JsonLiteral(records),))


# From each name to the next, by the key: however many rows each has.
_NAMES = """
WITH RECURSIVE names AS (
    SELECT 1 AS place, (SELECT event_name FROM refused_names WHERE merchant_id = %(merchant)s AND platform = %(platform)s
                        ORDER BY event_name LIMIT 1) AS event_name
    UNION ALL
    SELECT place + 1, (SELECT event_name FROM refused_names WHERE merchant_id = %(merchant)s AND platform = %(platform)s
                       AND event_name > n.event_name ORDER BY event_name LIMIT 1)
    FROM names n WHERE n.event_name IS NOT NULL AND place < 300
)
"""
OF_NAMES = f"""
{_NAMES}
SELECT n.event_name, r.events FROM names n CROSS JOIN LATERAL (
    SELECT sum(events)::bigint AS events FROM refused_names
    WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND event_name = n.event_name AND minute >= %(since)s) AS r
WHERE n.event_name IS NOT NULL AND r.events IS NOT NULL
"""


REFUSED_NAMES = f"{_NAMES} SELECT event_name FROM names WHERE event_name IS NOT NULL"


def names_refused(merchant_id: int, platform: str) -> list[str]:
    """Of which anything was refused, as long as that is counted."""
    params: Any = {"merchant": merchant_id, "platform": platform}
    return [row[0] for row in rows(REFUSED_NAMES, params)]


def refused_of_names(merchant_id: int, platform: str, since: datetime) -> dict[str, int]:
    """Name -> how many of those that arrived since an instant were refused; names with any."""
    return dict(rows(OF_NAMES, _params(merchant_id, platform, since)))


_SERIES = """
SELECT date_trunc(%(unit)s, minute, 'UTC'), sum(events)::bigint FROM {0}
WHERE merchant_id = %(merchant)s AND platform = %(platform)s AND event_name = ANY(%(names)s)
  AND minute >= %(since)s AND minute < %(until)s GROUP BY 1
"""
SERIES, SERIES_UNSENT = _SERIES.format("refused_names"), _SERIES.format("unsent_names")


def refused_by(
    unit: str, merchant_id: int, platform: str, name: str, since: datetime, until: datetime
) -> dict[datetime, int]:
    """The beginning of each minute, or hour (``unit``), in which events arrived that were refused -> how many."""
    params = _params(merchant_id, platform, since) | {"unit": unit, "names": [name], "until": until}
    return dict(rows(SERIES, params))


def unsent_by(
    unit: str, merchant_id: int, platform: str, names: Sequence[str], since: datetime, until: datetime
) -> dict[datetime, int]:
    """As ``refused_by``: how many were dropped before anything was sent, and were no refusal; of several names together."""
    params = _params(merchant_id, platform, since) | {"unit": unit, "names": list(names), "until": until}
    return dict(rows(SERIES_UNSENT, params))


UNSENT_OF_NAMES = """
SELECT x.event_name, sum(u.events)::bigint FROM unnest(%(names)s::text[]) AS x(event_name)
JOIN unsent_names u ON u.merchant_id = %(merchant)s AND u.platform = %(platform)s AND u.event_name = x.event_name
WHERE u.minute >= %(since)s AND u.minute < %(until)s GROUP BY 1
"""


def unsent_of_names(
    merchant_id: int, platform: str, names: Sequence[str], since: datetime, until: datetime
) -> dict[str, int]:
    """Name -> how many of those that arrived in a span were not sent; names with any."""
    if not names:
        return {}
    params = _params(merchant_id, platform, since) | {"names": list(names), "until": until}
    return dict(rows(UNSENT_OF_NAMES, params))


def taken_names(merchant_id: int, platform: str) -> Collection[str] | None:
    """The names that a destination takes by its filter; None: every one, as where there is none."""
    found = rows(
        "SELECT event_names FROM destinations WHERE merchant_id = %s AND platform = %s AND removed_at IS NULL",
        (merchant_id, platform),
    )
    return found[0][0] if found else None


class Trouble(NamedTuple):
    """A delivery that failed, or was refused by the platform's rules (``attempts`` 0)."""

    event_id: str
    event_name: str
    attempts: int
    drop_reason: str | None
    drop_field: str | None
    error_code: str | None
    last_error: str


# Of the newest troubles, however many there are, a few are looked at.
TROUBLES = """
SELECT d.event_id, e.event_name, d.attempts, d.drop_reason, d.drop_field, d.error_code, d.last_error
FROM (SELECT event_id, platform, status, attempts, drop_reason, drop_field, error_code, last_error, queued_at FROM deliveries
      WHERE merchant_id = %(merchant)s AND last_error IS NOT NULL ORDER BY queued_at DESC LIMIT 1000) AS d
CROSS JOIN LATERAL (
    SELECT event_name FROM events WHERE merchant_id = %(merchant)s AND event_id = d.event_id OFFSET 0) AS e
WHERE d.platform = %(platform)s AND d.status IN ('failed', 'dropped') AND e.event_name = %(name)s AND d.queued_at >= %(since)s
ORDER BY d.queued_at DESC LIMIT 200
"""


def troubles_of(merchant_id: int, platform: str, name: str, since: datetime) -> list[Trouble]:
    """The newest deliveries of one name that were refused since an instant, the newest first."""
    found = rows(TROUBLES, _params(merchant_id, platform, since) | {"name": name})
    return [Trouble(*row) for row in found]


# As many are looked at as for what is wrong with them. ``is_all``: whether those before were stored before the span.
MOST_ADDED = 1000
WORTH = f"""
SELECT d.status = '{DeliveryStatus.DROPPED}', e.currency, sum(e.value), min(d.is_all::int)
FROM (SELECT *, count(*) OVER () < {MOST_ADDED} OR min(queued_at) OVER () < %(since)s AS is_all FROM (
        SELECT event_id, platform, status, attempts, drop_reason, received_at, attempt_log, queued_at FROM deliveries
        WHERE merchant_id = %(merchant)s AND last_error IS NOT NULL ORDER BY queued_at DESC LIMIT {MOST_ADDED}) AS newest) AS d
CROSS JOIN LATERAL (
    SELECT event_name, {OF_SALE}
    FROM events WHERE merchant_id = %(merchant)s AND event_id = d.event_id OFFSET 0) AS e
WHERE d.platform = %(platform)s AND d.status IN ('failed', 'dropped') AND e.event_name = %(name)s AND e.value > 0
  AND d.received_at >= %(since)s AND d.received_at < %(until)s
  AND CASE WHEN d.attempts = 0 THEN d.drop_reason = ANY(%(reasons)s)
           ELSE jsonb_path_exists(d.attempt_log, '$[*] ? (@.outcome == "rejected")') END
GROUP BY 1, 2
"""


def worth_of_refused(
    merchant_id: int, platform: str, name: str, since: datetime, until: datetime
) -> tuple[Worth, Worth]:
    """(what the sales of one name are worth that arrived in a span and were refused, and are sent again; that are lost)."""
    if not is_sale(name):
        return NOTHING, NOTHING
    more = {"name": name, "until": until, "reasons": sorted(UNMAPPABLE)}
    found = rows(WORTH, _params(merchant_id, platform, since) | more)
    failing, lost = (
        worth_of([(row[1], row[2]) for row in found if row[0] is is_lost], is_all=all(row[3] for row in found))
        for is_lost in (False, True)
    )
    return failing, lost


class Late(NamedTuple):
    """Of one name, when those events arrived that were refused long after: from the first of them to the last."""

    refused: int
    since: datetime
    until: datetime


# Sent for the first time long after they arrived: a retry of what was refused at once is none of them. Whatever came too long
# ago, or was tried too long ago, is left out before its log is opened.
LATE = f"""
SELECT e.event_name, count(*), min(d.received_at), max(d.received_at)
FROM (SELECT event_id, platform, status, attempts, received_at, finished_at, last_attempt_at, requeued_at, had_outcome, attempt_log FROM deliveries
      WHERE merchant_id = %(merchant)s AND last_error IS NOT NULL ORDER BY queued_at DESC LIMIT 1000) AS d
CROSS JOIN LATERAL (
    SELECT event_name FROM events WHERE merchant_id = %(merchant)s AND event_id = d.event_id OFFSET 0) AS e
WHERE d.platform = %(platform)s AND d.status IN ('failed', 'dropped') AND {IS_FIRST}
  AND d.received_at < %(since)s AND coalesce(d.last_attempt_at, d.finished_at) >= %(since)s
  AND CASE WHEN d.attempts = 0 THEN d.finished_at
           ELSE (jsonb_path_query_first(d.attempt_log, '$[*] ? (@.outcome == "rejected")') ->> 'at')::timestamptz
      END >= greatest(%(since)s, d.received_at + %(late)s)
GROUP BY 1
"""


def refused_late(merchant_id: int, platform: str, since: datetime, late: timedelta) -> dict[str, Late]:
    """Name -> what was refused since an instant, and had arrived ``late`` before or earlier: of the newest deliveries, names with any."""
    found = rows(LATE, _params(merchant_id, platform, since) | {"late": late})
    return {row[0]: Late(*row[1:]) for row in found}


def _params(merchant_id: int, platform: str, since: datetime) -> Any:
    return {"merchant": merchant_id, "platform": platform, "since": since}
