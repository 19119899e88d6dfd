"""What was seen against what is normal around the moment of an alert, drawn from what is stored and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import alert_charts as db
from tracklayer.db.alerts import KINDS, alerts_by_id
from tracklayer.db.models import AlertRow
from tracklayer.domain.alert import AlertKind, told
from tracklayer.domain.alert_chart import (
    OF_A_SHARE,
    OF_A_SUM,
    Chart,
    ChartRange,
    ChartUnit,
    Series,
    SeriesRole,
    began,
    chart_range,
    is_empty,
    joined,
    level,
    shares,
    sums,
    usual_sums,
)
from tracklayer.domain.facts import BITS, OTHERS
from tracklayer.domain.monitors.coverage import MASKS
from tracklayer.domain.monitors.learn import LEARN_FROM
from tracklayer.domain.monitors.match_quality_words import NAMES as IDENTIFIER_NAMES
from tracklayer.domain.spelling import spelt
from tracklayer.mappers import title_of
from tracklayer.services.fold import COVERAGE_HOURS_AFTER, NAMES_FORGET_AFTER, hours_end
from tracklayer.services.watches.names import rhythm_of

MAX_TITLE = 200  # characters
LONGEST_NAME = 80  # of an event's name in a title
SEEN, NORMAL, COMPARED = SeriesRole.SEEN, SeriesRole.NORMAL, SeriesRole.COMPARED
OF_COVERAGE = frozenset({AlertKind.MATCH_QUALITY_DROP, AlertKind.VALUE_LOST})
USUAL = "usual"
USUAL_LEARNED = "usual in the last four weeks"
USUAL_HOUR = "usual at this hour of the week"

Drawn = tuple[str, ChartUnit, list[Series], list[int] | None]  # title, unit, lines, counts


def chart_of_alert(merchant_id: int, alert_id: int, now: datetime) -> Chart | None:
    """None where nothing is left of that time, or the kind is a newer version's, or the merchant has no such alert.

    Needs a transaction.
    """
    row = alerts_by_id(merchant_id, [alert_id]).get(alert_id)
    if row is None or row.kind not in KINDS:
        return None
    kind, details = AlertKind(row.kind), row.details if isinstance(row.details, Mapping) else {}
    since = began(details.get("since"), row.opened_at)
    minutes_since = hours_end(now)
    if kind in OF_COVERAGE or (kind is AlertKind.EVENTS_REJECTED and row.event_name is not None):
        minutes_since = (now - COVERAGE_HOURS_AFTER).replace(minute=0, second=0, microsecond=0)
    span = chart_range(kind, since, row.opened_at, row.resolved_at, minutes_since, now)
    asked = _Asked(merchant_id, row, details, span, now)
    drawn = _DRAW[kind](asked)
    if drawn is None:
        return None
    title, unit, series, counts = drawn
    if is_empty(unit, series):
        return None
    return Chart(told(title, MAX_TITLE), unit, since, asked.span.step, asked.span.times, series, counts)


class _Asked:
    """One alert, the figures it was told with, and the stretch of time that is drawn: in longer steps where few came."""

    def __init__(
        self, merchant_id: int, row: AlertRow, details: Mapping[str, Any], span: ChartRange, now: datetime
    ) -> None:
        self.merchant_id, self.row, self.details, self.span, self.now = merchant_id, row, details, span, now

    @property
    def name(self) -> str:
        """The event name as a title has it."""
        name = self.row.event_name
        return "further" if name is None or name == OTHERS else str(name)

    def share(self, name: str) -> float | None:
        """A share among the figures."""
        value = self.details.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            return None
        return float(value)

    def shares(self, counted: Mapping[int, tuple[int, int]]) -> tuple[list[float | None], list[int]]:
        """As ``alert_chart.shares``, of (how many did, how many there were)."""
        self.span, found = joined(self.span, counted, OF_A_SHARE)
        return shares(self.span, {place: (some, total) for place, (some, total) in found.items()})

    def sums(self, *counted: Mapping[int, int]) -> list[list[float | None]]:
        """As ``alert_chart.sums``, of several counts."""
        places = {place for one in counted for place in one}
        both = {place: tuple(one.get(place, 0) for one in counted) for place in places}
        self.span, found = joined(self.span, both, OF_A_SUM)
        return [
            sums(self.span, {place: counts[n] for place, counts in found.items()}, self.now)
            for n in range(len(counted))
        ]

    @property
    def is_learned_of(self) -> bool:
        """Whether what the monitors have learned tells of that time, and not of a later one alone."""
        return bool(self.row.opened_at > self.now - LEARN_FROM)


def _of_destination(asked: _Asked) -> Drawn | None:
    """The share that is taken: of first attempts where a rate fell, of all where nothing gets through."""
    platform = asked.row.platform
    if platform is None:
        return None
    is_first = asked.row.kind == AlertKind.DELIVERY_RATE_DROP
    counted = {}
    for place, one in db.outcomes(asked.merchant_id, asked.span, [platform]).items():
        good, bad = one.acknowledged, one.failed
        if is_first:
            good, bad = good - one.retries_acknowledged, bad - one.retries_failed
        counted[place] = good, good + bad
    values, counts = asked.shares(counted)
    usual, label = asked.share("usual_success_rate"), USUAL
    failing = asked.share("usual_failure_share")
    if not is_first and failing is not None:
        usual = round(1 - failing, 4)
    elif not is_first and asked.is_learned_of and "usual_failure_share" not in asked.details:
        learned = db.learned_of(asked.merchant_id, platform)
        if learned is not None:
            usual, label = round(float(learned["share"]), 4), USUAL_LEARNED
    what = "events accepted at the first attempt" if is_first else "attempts accepted"
    series = [Series(SEEN, "accepted", values), *_normal(asked, usual, label)]
    return f"{title_of(platform)}: share of {what}", ChartUnit.SHARE, series, counts


def _of_queue(asked: _Asked) -> Drawn | None:
    """What came into a queue, and what left it."""
    listed = asked.details.get("platforms")
    platforms = [asked.row.platform] if asked.row.platform else _texts(listed)
    if not platforms:
        return None
    found = db.outcomes(asked.merchant_id, asked.span, platforms)
    left, came = asked.sums(
        {place: one.finished for place, one in found.items()}, {place: one.arrived for place, one in found.items()}
    )
    where = title_of(platforms[0]) if len(platforms) == 1 else f"{len(platforms)} platforms"
    series = [
        Series(SEEN, "delivered or given up", left),
        Series(COMPARED, "came in", came),
    ]
    return f"Deliveries to {where}: what came in and what went out", ChartUnit.DELIVERIES, series, None


def _of_silence(asked: _Asked) -> Drawn | None:
    if asked.row.event_name is not None:
        return _events(asked, f"{asked.name} events that arrived")
    found = {place: good for place, (good, _) in db.received(asked.merchant_id, asked.span).items()}
    (seen,) = asked.sums(found)
    series = [Series(SEEN, "arrived", seen)]
    learned = db.learned_of(asked.merchant_id, "") if asked.is_learned_of else None
    if learned is not None:
        series.append(Series(NORMAL, USUAL_HOUR, usual_sums(asked.span, rhythm_of(learned))))
    return "Events that arrived", ChartUnit.EVENTS, series, None


def _of_duplicates(asked: _Asked) -> Drawn | None:
    return _events(asked, f"{asked.name} events that arrived, copies among them")


def _events(asked: _Asked, title: str) -> Drawn | None:
    """New events of one name, and how many are usual."""
    name = asked.row.event_name
    if name is None:
        return None
    found = db.events_of_names(asked.merchant_id, asked.span, [name], asked.now, is_old=_is_old(asked))[name]
    (seen,) = asked.sums(found)
    series = [Series(SEEN, "arrived", seen)]
    learned = db.rhythm_of_name(asked.merchant_id, name) if asked.is_learned_of else None
    if learned is not None:
        series.append(Series(NORMAL, USUAL_HOUR, usual_sums(asked.span, rhythm_of(learned))))
    return title, ChartUnit.EVENTS, series, None


def _of_refusals(asked: _Asked) -> Drawn | None:
    """The share that is refused at the door: of all that arrives, or of the new events of one name."""
    name, usual = asked.row.event_name, asked.share("usual_refused_share")
    if name is None:
        counted = {
            place: (bad, good + bad) for place, (good, bad) in db.received(asked.merchant_id, asked.span).items()
        }
        title = "Share of events refused"
    else:
        bad = db.refused_of_name(asked.merchant_id, asked.span, name)
        good = db.events_of_names(asked.merchant_id, asked.span, [name], asked.now, is_old=_is_old(asked))[name]
        counted = {place: (bad.get(place, 0), good.get(place, 0) + bad.get(place, 0)) for place in {*good, *bad}}
        title = f"Share of {asked.name} events refused"
    values, counts = asked.shares(counted)
    return title, ChartUnit.SHARE, [Series(SEEN, "refused", values), *_normal(asked, usual, USUAL)], counts


def _of_identifiers(asked: _Asked) -> Drawn | None:
    """The share that carries the identifier which matters most, or, where none fell, of people who refuse consent."""
    name = asked.row.event_name
    if name is None:
        return None
    fallen = asked.details.get("identifiers")
    first = fallen[0] if isinstance(fallen, Sequence) and fallen and isinstance(fallen[0], Mapping) else {}
    identifier = first.get("identifier")
    denied = BITS["consent_denied"]
    if not isinstance(identifier, str) or identifier not in MASKS:
        if asked.share("usual_denied_share") is None:
            return None
        found = db.carried(asked.merchant_id, asked.span, name, 0, denied)
        values, counts = asked.shares({place: (one.denied, one.events) for place, one in found.items()})
        series = [Series(SEEN, "refused", values), *_normal(asked, asked.share("usual_denied_share"), USUAL)]
        return f"Share of people with {asked.name} events who refuse consent", ChartUnit.SHARE, series, counts
    strata = _strata(first) if first.get("scope") == "stratum" else None
    found = db.carried(asked.merchant_id, asked.span, name, MASKS[identifier], denied, strata)
    values, counts = asked.shares(
        {place: (one.consented_carrying, one.events - one.denied) for place, one in found.items()}
    )
    usual = _Asked(asked.merchant_id, asked.row, first, asked.span, asked.now).share("usual_share")
    what = IDENTIFIER_NAMES.get(identifier, f"`{spelt(identifier)}`")
    where = f" at {', '.join(host or source for source, host in strata)}" if strata else ""
    series = [Series(SEEN, "with it", values), *_normal(asked, usual, USUAL)]
    return f"Share of {asked.name} events{where} with {what}", ChartUnit.SHARE, series, counts


def _of_value(asked: _Asked) -> Drawn | None:
    """Of the sources and hosts that were judged: others hardly ever bring one, and say nothing."""
    name, lost = asked.row.event_name, asked.details.get("lost")
    if name is None or lost not in ("value", "currency"):
        return None
    # A currency is only missed where there is a value, be it 0.
    among = BITS["value"] | BITS["zero_value"] if lost == "currency" else 0
    strata = _strata(asked.details)
    found = db.carried(asked.merchant_id, asked.span, name, BITS[lost], BITS["consent_denied"], strata, among)
    values, counts = asked.shares({place: (one.carrying, one.events) for place, one in found.items()})
    what = "a value above 0" if lost == "value" else "a currency"
    usual = asked.share("usual_share") if strata is not None else None
    series = [Series(SEEN, "with it", values), *_normal(asked, usual, USUAL)]
    return f"Share of {asked.name} events with {what}", ChartUnit.SHARE, series, counts


def _of_spelling(asked: _Asked) -> Drawn | None:
    """Events under the wrong name beside those under the right one."""
    name, right = asked.row.event_name, asked.details.get("meant")
    if name is None or not isinstance(right, str):
        return None
    found = db.events_of_names(
        asked.merchant_id, asked.span, list(dict.fromkeys((name, right))), asked.now, is_old=_is_old(asked)
    )
    wrong, meant = asked.sums(found[name], found[right])
    series = [
        Series(SEEN, told(f"named {name}", LONGEST_NAME), wrong),
        Series(COMPARED, told(f"named {right}", LONGEST_NAME), meant),
    ]
    return "Events that arrived, by their name", ChartUnit.EVENTS, series, None


_DRAW = {
    AlertKind.PLATFORM_DOWN: _of_destination,
    AlertKind.DELIVERY_RATE_DROP: _of_destination,
    AlertKind.QUEUE_BACKLOG: _of_queue,
    AlertKind.TRACKING_STOPPED: _of_silence,
    AlertKind.EVENTS_REJECTED: _of_refusals,
    AlertKind.MATCH_QUALITY_DROP: _of_identifiers,
    AlertKind.LIKELY_DUPLICATES: _of_duplicates,
    AlertKind.VALUE_LOST: _of_value,
    AlertKind.EVENT_NAME_UNKNOWN: _of_spelling,
}


def _normal(asked: _Asked, usual: float | None, label: str) -> list[Series]:
    values = level(asked.span, usual)
    return [] if values is None else [Series(NORMAL, label, values)]


def _is_old(asked: _Asked) -> bool:
    """Whether the minutes of names do not reach back so far."""
    return asked.span.since < asked.now - NAMES_FORGET_AFTER + timedelta(hours=1)


def _strata(fall: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    found = fall.get("strata")
    pairs = [
        (one[0], one[1])
        for one in (found if isinstance(found, Sequence) else ())
        if isinstance(one, Sequence) and len(one) == 2 and all(isinstance(part, str) for part in one)
    ]
    return pairs or None


def _texts(found: object) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, Sequence) else []
