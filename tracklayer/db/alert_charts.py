"""What the chart of an alert is drawn from: the counters of one stretch of time, added up by step.

Each statement is a range of one primary key. ``place`` is the number of a step, from 0: steps without a row are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from tracklayer.db.connection import rows
from tracklayer.db.counters import counted_in
from tracklayer.db.names import UNFOLDED
from tracklayer.domain.alert_chart import ChartRange

_PLACE = "floor(extract(epoch FROM minute - %(since)s) / %(seconds)s)::int AS place"
_WITHIN = "merchant_id = %(merchant)s AND minute >= %(since)s AND minute < %(until)s"
_DAYS_WITHIN = f"merchant_id = %(merchant)s AND {counted_in(unit='day')}"
_COUNTED_WITHIN = f"merchant_id = %(merchant)s AND {counted_in()}"

OUTCOMES = f"""
SELECT {_PLACE}, sum(acknowledged)::bigint,
       sum(refused + unmappable + credentials_refused + unreachable + unknown)::bigint,
       sum(retries_acknowledged)::bigint, sum(retries_failed)::bigint,
       sum(routed + requeued)::bigint, sum(finished)::bigint
FROM counted WHERE {_COUNTED_WITHIN} AND platform = ANY(%(platforms)s) GROUP BY 1
"""
RECEIVED = f"""
SELECT {_PLACE}, sum(accepted + coalesced)::bigint, sum(rejected)::bigint
FROM counted WHERE {_COUNTED_WITHIN} AND platform = '' GROUP BY 1
"""
REFUSED = f"""
SELECT {_PLACE}, sum(events)::bigint FROM rejections_counted WHERE {_DAYS_WITHIN} AND event_name = %(name)s GROUP BY 1
"""
# As ``names.EVENTS``: names_counted is what was folded, coverage the rest. Spelt so that the planner cannot take the index
# of what is not folded yet, which holds everybody's.
EVENTS = f"""
SELECT event_name, {_PLACE}, sum(events)::bigint FROM (
    SELECT event_name, minute, events FROM names_counted WHERE {_DAYS_WITHIN} AND event_name = ANY(%(names)s)
    UNION ALL
    SELECT event_name, minute, events FROM coverage
    WHERE {_WITHIN} AND event_name = ANY(%(names)s) AND slot + 0 <> 0 AND minute >= %(unfolded)s) AS found
GROUP BY 1, 2
"""
OLD_EVENTS = f"""
SELECT event_name, {_PLACE}, sum(events)::bigint FROM coverage_counted
WHERE {_DAYS_WITHIN} AND event_name = ANY(%(names)s) GROUP BY 1, 2
"""
# Of the events with one of the facts ``among`` (0: of all). Only of these sources and hosts; a host ``*`` is any of its
# source.
CARRIED = f"""
SELECT {_PLACE}, sum(events)::bigint, coalesce(sum(events) FILTER (WHERE facts & %(mask)s <> 0), 0)::bigint,
       coalesce(sum(events) FILTER (WHERE facts & %(denied)s <> 0), 0)::bigint,
       coalesce(sum(events) FILTER (WHERE facts & %(mask)s <> 0 AND facts & %(denied)s = 0), 0)::bigint
FROM coverage_counted c WHERE {_DAYS_WITHIN} AND event_name = %(name)s AND (%(among)s = 0 OR facts & %(among)s <> 0)
  AND (%(sources)s::text[] IS NULL OR EXISTS (
      SELECT 1 FROM unnest(%(sources)s::text[], %(hosts)s::text[]) AS x(source, host)
      WHERE x.source = action_source AND (x.host = c.host OR x.host = '*')))
GROUP BY 1
"""


class Outcomes(NamedTuple):
    """What came of deliveries in a step, and what arrived for them and left."""

    acknowledged: int
    failed: int
    retries_acknowledged: int
    retries_failed: int
    arrived: int
    finished: int


class Carried(NamedTuple):
    """New events of a name in a step; ``carrying``: with the wanted fact; ``denied``: of people who refused consent;

    ``consented_carrying``: of the others, those with it.
    """

    events: int
    carrying: int
    denied: int
    consented_carrying: int


def outcomes(merchant_id: int, span: ChartRange, platforms: Sequence[str]) -> dict[int, Outcomes]:
    """Of deliveries to some platforms together."""
    return {row[0]: Outcomes(*row[1:]) for row in rows(OUTCOMES, _params(merchant_id, span, platforms=list(platforms)))}


def received(merchant_id: int, span: ChartRange) -> dict[int, tuple[int, int]]:
    """(events accepted, repeats included; events refused at the door), whatever their name."""
    return {row[0]: (row[1], row[2]) for row in rows(RECEIVED, _params(merchant_id, span))}


def refused_of_name(merchant_id: int, span: ChartRange, name: str) -> dict[int, int]:
    return dict(rows(REFUSED, _params(merchant_id, span, name=name)))


def events_of_names(
    merchant_id: int, span: ChartRange, names: Sequence[str], now: datetime, *, is_old: bool
) -> dict[str, dict[int, int]]:
    """Name -> new events. ``is_old``: the minutes of names are forgotten already, the hours of coverage are not."""
    found: dict[str, dict[int, int]] = {name: {} for name in names}
    params = _params(merchant_id, span, names=list(names), unfolded=now - UNFOLDED)
    for name, place, events in rows(OLD_EVENTS if is_old else EVENTS, params):
        found[name][place] = events
    return found


def carried(
    merchant_id: int,
    span: ChartRange,
    name: str,
    mask: int,
    denied: int,
    strata: Sequence[tuple[str, str]] | None = None,
    among: int = 0,
) -> dict[int, Carried]:
    """``mask``: bits of ``domain/facts.py``, of which one suffices, and so of ``among``; ``strata`` None: of all."""
    params = _params(
        merchant_id,
        span,
        name=name,
        mask=mask,
        denied=denied,
        among=among,
        sources=None if strata is None else [source for source, _ in strata],
        hosts=None if strata is None else [host for _, host in strata],
    )
    return {row[0]: Carried(*row[1:]) for row in rows(CARRIED, params)}


def learned_of(merchant_id: int, platform: str) -> dict[str, Any] | None:
    """What the monitors learned of a destination, or ('') of the merchant itself."""
    found = rows(
        "SELECT nullif(learned, 'null')::text FROM baselines WHERE merchant_id = %s AND platform = %s",
        (merchant_id, platform),
    )
    return orjson.loads(found[0][0]) if found and found[0][0] else None


def rhythm_of_name(merchant_id: int, name: str) -> dict[str, Any] | None:
    found = rows(
        "SELECT rhythm::text FROM name_baselines WHERE merchant_id = %s AND event_name = %s", (merchant_id, name)
    )
    return orjson.loads(found[0][0]) if found and found[0][0] else None


def _params(merchant_id: int, span: ChartRange, **others: Any) -> Any:
    return {
        "merchant": merchant_id,
        "since": span.since,
        "until": span.until,
        "seconds": int(span.step.total_seconds()),
        **others,
    }
