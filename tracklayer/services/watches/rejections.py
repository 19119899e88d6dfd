"""What is refused at the door: ``events_rejected``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.db import coverage as db_coverage
from tracklayer.db import names as db
from tracklayer.db.alerts import told_as
from tracklayer.db.coverage import RefusedEvents
from tracklayer.db.merchants import revocations
from tracklayer.domain.alert import AlertKind, Subject
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.events_rejected import (
    DoorMinute,
    DoorView,
    judge_events_rejected,
    wants_past,
    wants_run,
    with_run,
)
from tracklayer.domain.monitors.learn import SuccessRate
from tracklayer.domain.monitors.refused_requests import key_of
from tracklayer.domain.monitors.views import PAST, RECENT, RUN
from tracklayer.domain.monitors.words import clock_time
from tracklayer.services.watches.memory import MERCHANTS, Remembered
from tracklayer.services.watches.names import codes_of, share_of
from tracklayer.services.watches.page import Page, Verdicts

WHOLE = Subject(AlertKind.EVENTS_REJECTED)
OFTEN = timedelta(days=3)  # so far back is looked at for how often events come with a revoked key


class Rejections:
    """The looks of one process at what is refused. It remembers of open alerts what was before their last day, for an hour."""

    def __init__(self) -> None:
        self._hours: Remembered[int, tuple[_Asked, list[DoorMinute]]] = Remembered(MERCHANTS)

    def __call__(self, page: Page) -> Verdicts:
        return _look(page, self._before)

    def _before(self, merchant_id: int, names: Sequence[str], began: datetime, now: datetime) -> list[DoorMinute]:
        """By the hour, from when an open alert began to its last day; at least two days, which say how often it comes."""
        since = max(now - RUN, min(began, now - OFTEN)).replace(minute=0, second=0, microsecond=0)
        asked = _Asked(since, _day(now), tuple(names))
        known = self._hours.get(merchant_id)
        if known is None or known[0][1:] != asked[1:] or known[0].since > since:
            known = asked, _hours(merchant_id, names, since, asked.until)
            self._hours.note(merchant_id, known)
        return known[1]


class _Asked(NamedTuple):
    since: datetime
    until: datetime
    names: tuple[str, ...]


Before = Callable[[int, Sequence[str], datetime, datetime], list[DoorMinute]]


def _day(now: datetime) -> datetime:
    """What is after it is read by the minute, what is before it by the hour."""
    return (now - PAST).replace(minute=0, second=0, microsecond=0)


def _look(page: Page, before: Before) -> Verdicts:
    """Merchants with something refused in the last half hour, or with an alert about it; the others cost one statement."""
    verdicts = Verdicts()
    until = page.now + timedelta(minutes=1)
    recent_since = (page.now - RECENT).replace(second=0, microsecond=0)
    refused = db_coverage.rejections_by_minute(page.merchant_ids, recent_since, until)
    told = {
        merchant_id
        for (merchant_id, subject), (_, resolved_at) in page.lately.items()
        if subject.kind is AlertKind.EVENTS_REJECTED and resolved_at is None
    }
    concerned = sorted(refused.keys() | told)
    if not concerned:
        return verdicts
    usual = db.accepted_shares(concerned)
    doors = _doors(concerned, refused, recent_since, until)
    wanted = [
        each for each in concerned if each in told or wants_past(doors.get(each, []), _usual(usual.get(each, {})))
    ]
    if wanted:
        since = _day(page.now)
        doors.update(_doors(wanted, db_coverage.rejections_by_minute(wanted, since, until), since, until))
    began: dict[int, dict[str | None, datetime]] = defaultdict(dict)
    for (merchant_id, subject), said in told_as(sorted(told), [AlertKind.EVENTS_REJECTED]).items() if told else ():
        if said.began is not None:
            began[merchant_id][subject.event_name] = said.began
    hours = {
        merchant_id: before(merchant_id, sorted(name for name in of_names if name), min(of_names.values()), page.now)
        for merchant_id, of_names in sorted(began.items())
    }
    keys = _revoked_keys({each: [*hours.get(each, ()), *doors.get(each, ())] for each in concerned})
    for merchant_id in concerned:
        view = _view(page, merchant_id, doors.get(merchant_id, []), usual.get(merchant_id, {}))
        view = replace(view, began=began[merchant_id], keys=keys.get(merchant_id, {}), before=hours.get(merchant_id))
        if merchant_id in wanted:
            view = _with_run(page, merchant_id, view)
        found = judge_events_rejected(view, page.now)
        verdicts.add(merchant_id, found, [finding for finding in found.values() if finding is not None])
    return verdicts


def _view(page: Page, merchant_id: int, minutes: Sequence[DoorMinute], usual: Mapping[str, dict[str, Any]]) -> DoorView:
    lately = page.of_kind(merchant_id, AlertKind.EVENTS_REJECTED)
    whole = lately.get(WHOLE)
    return DoorView(
        minutes,
        _usual(usual),
        {name: share_of(learned) for name, learned in usual.items() if name},
        codes_of(usual.get("", {})),
        whole is not None and whole[1] is None,
        [subject.event_name for subject, (_, until) in lately.items() if subject.event_name and until is None],
        {subject.event_name: until for subject, (_, until) in lately.items() if until is not None},
    )


def _revoked_keys(doors: Mapping[int, Sequence[DoorMinute]]) -> dict[int, dict[str, str]]:
    """Merchant -> what stands in a field's place -> when that key was revoked, in words; a statement where there are any."""
    named = {
        (merchant_id, key_id): where
        for merchant_id, minutes in doors.items()
        for minute in minutes
        for _, _, where in minute.refused
        if (key_id := key_of(where)) is not None
    }
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for key, (prefix, at) in (revocations(sorted(named)) if named else {}).items():
        found[key[0]][named[key]] = f"The key {prefix}... was revoked at {clock_time(at)}, and is still sent with."
    return found


def _with_run(page: Page, merchant_id: int, view: DoorView) -> DoorView:
    names = wants_run(view)
    if not names:
        return view
    since = (page.now - RUN).replace(minute=0, second=0, microsecond=0)
    hours = _hours(merchant_id, sorted({*names} - {""}), since, _day(page.now))
    return with_run(view, hours, names, page.now)


def _hours(merchant_id: int, names: Sequence[str], since: datetime, until: datetime) -> list[DoorMinute]:
    """What arrived in each hour with anything, ``names`` and what is counted with others by name."""
    received = db.received_by_hour(merchant_id, since, until)
    refused: dict[datetime, dict[tuple[str, str, str], int]] = defaultdict(dict)
    for hour, name, code, field, events in db.refused_by_hour(merchant_id, since, until):
        refused[hour][name, code, field] = events
    of_names = db.hours_of_names(merchant_id, sorted({OTHERS, *names}), since, until, since)
    return [
        DoorMinute(
            hour,
            accepted,
            {name: found[hour][1] for name, found in of_names.items() if hour in found},
            refused.get(hour, {}),
            repeated,
        )
        for hour, (accepted, repeated, _) in sorted(received.items())
    ]


def _usual(learned: Mapping[str, dict[str, Any]]) -> SuccessRate | None:
    return share_of(learned[""]) if "" in learned else None


def _doors(
    merchant_ids: Sequence[int], refused: Mapping[int, Sequence[RefusedEvents]], since: datetime, until: datetime
) -> dict[int, list[DoorMinute]]:
    names = [
        (merchant_id, name)
        for merchant_id, found in refused.items()
        for name in {OTHERS, *(one.event_name for one in found)}
    ]
    events: dict[tuple[int, datetime], dict[str, int]] = defaultdict(dict)
    for merchant_id, name, minute, count in db.events_of_names(names, since, until):
        events[merchant_id, minute][name] = count
    causes: dict[tuple[int, datetime], dict[tuple[str, str, str], int]] = defaultdict(dict)
    for merchant_id, found in refused.items():
        for one in found:
            causes[merchant_id, one.minute][one.event_name, one.code, one.field] = one.events
    accepted = db.accepted_by_minute(merchant_ids, since, until)
    worth = db_coverage.refused_worth(merchant_ids, since, until)
    doors: dict[int, list[DoorMinute]] = {}
    for key in sorted(accepted.keys() | causes.keys()):
        all_accepted, repeated = accepted.get(key, (0, 0))
        door = DoorMinute(key[1], all_accepted, events.get(key, {}), causes.get(key, {}), repeated, worth.get(key, {}))
        doors.setdefault(key[0], []).append(door)
    return doors
