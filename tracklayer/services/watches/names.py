"""What is normal for the events of each name: when they arrive, and how much of them is refused at the door."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tracklayer.db import alerts as db_alerts
from tracklayer.db import coverage as db_coverage
from tracklayer.db import names as db
from tracklayer.db.heartbeats import api_away
from tracklayer.db.names import Learned
from tracklayer.domain.alert import AlertKind
from tracklayer.domain.alert_members import member_name
from tracklayer.domain.event_names import most_wanted
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.learn import (
    ENOUGH_OF_A_NAME,
    LEARN_FROM,
    LONGEST_OF_A_NAME,
    Away,
    Rhythm,
    SuccessRate,
    learn_arrivals,
    learn_success,
    learn_worst,
    learned_until,
)
from tracklayer.domain.monitors.tracking_stopped import LEAST_SILENCE, MOST_NAMES, told_after


def rhythm_of(learned: dict[str, Any], away: Sequence[Away] = ()) -> Rhythm:
    """From what ``rhythm_json`` made, or an older version without ``events`` or ``all``."""
    sure = tuple(learned["rates"])
    rates = tuple(learned.get("all", sure))
    return Rhythm(rates, learned["usual"], learned.get("events", 1.0), tuple(away), sure, learned.get("clumps", 1.0))


def rhythm_json(rhythm: Rhythm, until: datetime) -> dict[str, Any]:
    """``until``: the end of the last hour with an event that it was learned from."""
    return {
        "until": until.isoformat(),
        "rates": [round(rate, 4) for rate in rhythm.sure or rhythm.rates],  # an older version expects all of these
        "all": [round(rate, 4) for rate in rhythm.rates],
        "clumps": round(rhythm.clumps, 3),
        "usual": round(rhythm.usual, 3),
        "events": round(rhythm.events, 2),
    }


def learned_names_of(merchant_id: int, until: datetime, now: datetime) -> dict[str, Learned]:
    """What the four weeks before tell of the most frequent names and ('') of all. Needs an open transaction."""
    since = until - LEARN_FROM
    names = [name for name in db_coverage.names_of(merchant_id) if name != OTHERS]
    hours = db.hours_of_names(merchant_id, names, since, until) if names else {}
    kept = _kept(merchant_id, hours)
    frequent = most_wanted({name: sum(minutes for minutes, _ in hours[name].values()) for name in hours}, MOST_NAMES)
    rhythms = _rhythms(merchant_id, frequent, hours, since, until, now)
    refused = db.refused_by_hour(merchant_id, since, until)
    learned = {name: Learned(rhythm, _told_after(rhythm_of(rhythm))) for name, rhythm in kept.items()}
    for name in frequent:
        rhythm = rhythms.get(name)
        accepted = _learned(_by_hour({hour: events for hour, (_, events) in hours[name].items()}, refused, name))
        share = _share_json(accepted) if accepted else None
        if name in kept:
            learned[name] = replace(learned[name], accepted=share)
        elif rhythm is not None or accepted is not None:
            learned[name] = Learned(
                rhythm_json(rhythm, learned_until(hours[name])) if rhythm else None,
                _told_after(rhythm) if rhythm else None,
                share,
            )
    received = db.received_by_hour(merchant_id, since, until)
    whole = _learned_door({hour: (accepted, bad) for hour, (accepted, _, bad) in received.items()}, refused)
    return {**learned, "": Learned(accepted=whole)} if whole else learned


def _told_after(rhythm: Rhythm) -> int:
    return round(told_after(rhythm).total_seconds())


def _kept(merchant_id: int, hours: Mapping[str, db.Hours]) -> dict[str, dict[str, Any]]:
    """The rhythms, as JSON, that stay as they are: of names that are told to be silent, and of those of which nothing came

    since it was learned, for four weeks: else what is usual would go with the events, and a silence be forgotten.
    """
    told = db_alerts.open_names([merchant_id], AlertKind.TRACKING_STOPPED).get(merchant_id, ())
    return {
        name: rhythm
        for name, rhythm in db.rhythms_of(merchant_id).items()
        if member_name(name) in told or (name in hours and not is_newer(learned_until(hours[name]), rhythm))
    }


def is_newer(until: datetime, learned: Mapping[str, Any]) -> bool:
    """Whether events came since a rhythm was learned; an older version did not say when that was."""
    return "until" not in learned or until > datetime.fromisoformat(learned["until"])


def _rhythms(
    merchant_id: int,
    names: Sequence[str],
    hours: dict[str, db.Hours],
    since: datetime,
    until: datetime,
    now: datetime,
) -> dict[str, Rhythm]:
    if not names:
        return {}
    gaps = db.gaps_of_names(merchant_id, names, since, until, LEAST_SILENCE)
    told, away = db_alerts.told_silences(merchant_id, since), api_away(since, now)
    told_of = db_alerts.told_silences_of_names(merchant_id, since, LEAST_SILENCE)
    rhythms = {}
    for name in names:
        first = max(since, min(hours[name]))
        of_name = [*told, *told_of.get(member_name(name), ())]
        found = learn_arrivals(
            hours[name], gaps.get(name, []), first, until, ENOUGH_OF_A_NAME, LONGEST_OF_A_NAME, away, of_name
        )
        if found is not None:
            rhythms[name] = found
    return rhythms


Refused = tuple[datetime, str, str, str, int]


def _learned(hours: Mapping[datetime, tuple[int, int]]) -> SuccessRate | None:
    """From hour -> (accepted, refused)."""
    found = learn_success(list(hours.values()))
    return found and replace(found, worst=learn_worst(hours))


def _by_hour(events: dict[datetime, int], refused: Sequence[Refused], name: str) -> dict[datetime, tuple[int, int]]:
    bad: Counter[datetime] = Counter()
    for hour, of_name, _, _, count in refused:
        if of_name == name:
            bad[hour] += count
    return {hour: (events.get(hour, 0), bad[hour]) for hour in {*events, *bad}}


def _learned_door(received: dict[datetime, tuple[int, int]], refused: Sequence[Refused]) -> dict[str, Any] | None:
    """The share that is accepted of everything, with the usual share of each code and field."""
    whole = _learned(received)
    if whole is None:
        return None
    by_code: defaultdict[tuple[str, str], Counter[datetime]] = defaultdict(Counter)
    for hour, _, code, where, count in refused:
        by_code[code, where][hour] += count
    codes = []
    for (code, where), bad in sorted(by_code.items()):
        share = _learned({hour: (good + n - bad[hour], bad[hour]) for hour, (good, n) in received.items()})
        if share is not None:
            codes.append({"code": code, "field": where, **_share_json(share)})
    return {**_share_json(whole), "codes": codes}


def _share_json(rate: SuccessRate) -> dict[str, Any]:
    found = {"share": rate.share, "spread": rate.spread, "attempts": rate.attempts}
    return found if rate.worst is None else {**found, "worst": rate.worst}


def share_of(learned: dict[str, Any]) -> SuccessRate:
    """From what was learned of a name or of all, or what an older version learned, without ``worst``."""
    return SuccessRate(learned["share"], learned["spread"], learned["attempts"], learned.get("worst"))


def codes_of(learned: dict[str, Any]) -> dict[tuple[str, str], SuccessRate]:
    """(code, field) -> the share of events that are not refused for it."""
    return {(one["code"], one["field"]): share_of(one) for one in learned.get("codes", ())}
