"""Names that a destination refuses while it takes others: looked at where something was refused of late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum

from tracklayer.db import names as db_names
from tracklayer.db import refused_names as db
from tracklayer.db.alerts import ended_causes, open_details
from tracklayer.db.connection import in_transaction
from tracklayer.db.monitors import Key
from tracklayer.db.refused_names import Late
from tracklayer.domain.alert import AlertKind, Finding
from tracklayer.domain.alert_members import member_name
from tracklayer.domain.delivery import UNMAPPABLE, DestinationState, DropReason
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.causes import Cause
from tracklayer.domain.monitors.learn import learn_success, learn_worst
from tracklayer.domain.monitors.name_refusals import (
    NameSeries,
    Refusing,
    Stretch,
    Why,
    horizon,
    judge_late,
    judge_name,
    name_finding,
    wants_closer_look,
)
from tracklayer.domain.monitors.refusals import Unmappable
from tracklayer.domain.monitors.views import PAST, RECENT, RUN, DestinationView
from tracklayer.services.alone import alone
from tracklayer.services.watches.memory import MERCHANTS, Remembered
from tracklayer.services.watches.page import Page

AGAIN = timedelta(minutes=1)  # a destination that refuses a few all the time is not read at each look
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MOST_NAMES = 20  # of one destination that are looked at closely, those that are refused most


class Unread(Enum):
    """What a look knows of a destination's names where it could not read them."""

    UNREAD = "unread"


UNREAD = Unread.UNREAD


class NamesRefused:
    """The looks of one process. It remembers for a minute what it found, and of whom it could read nothing."""

    def __init__(self) -> None:
        self._known: Remembered[Key, tuple[datetime, Finding | Unread | None]] = Remembered(MERCHANTS)
        self._failed_at: datetime | None = None

    def look(self, page: Page, merchant_id: int, view: DestinationView, told: Sequence[str]) -> Finding | Unread | None:
        """``told``: the names that its open alert is about, as it calls them. None where nothing is refused, or nothing else is accepted."""
        key, now = (merchant_id, view.platform), page.now
        if view.state is not DestinationState.ACTIVE:
            return None
        is_refusing = any(span.first_failed and span.refused + span.unmappable for span in view.recent)
        if not is_refusing and not told:
            self._known.pop(key, None)
            return None
        at, finding = self._known.get(key, (None, None))
        if at is None or not timedelta() <= now - at < AGAIN:
            finding = self._read(page, merchant_id, view, told)
        return finding

    def _read(
        self, page: Page, merchant_id: int, view: DestinationView, told: Sequence[str]
    ) -> Finding | Unread | None:
        """In a transaction of its own: the look goes on where it fails. It may have waited for a lock: so it tries no others
        then, and the next look begins with those.
        """
        if self._failed_at == page.now:
            return UNREAD
        finding, is_read = None, False
        what = f"reading which names merchant {merchant_id}, {view.platform}, has refused"
        with alone(page.runtime, what), in_transaction():
            finding = _look(merchant_id, view, told, page.now)
            is_read = True
        if not is_read:
            self._failed_at = page.now
        known = finding if is_read else UNREAD
        self._known.note((merchant_id, view.platform), (page.now, known))
        return known


def _look(merchant_id: int, view: DestinationView, told_as: Sequence[str], now: datetime) -> Finding | None:
    names_refused = db.names_refused(merchant_id, view.platform) if told_as else ()
    told = [name for name in names_refused if member_name(name) in told_as]
    oldest = view.oldest.due_at if view.oldest is not None else None
    until = horizon(now, oldest)
    since = max(until - RECENT, now - PAST)
    refused = db.refused_of_names(merchant_id, view.platform, since)
    refused.pop(OTHERS, None)
    arrived: Counter[str] = Counter()
    for _, name, minute, events in db_names.events_of_names([(merchant_id, name) for name in refused], since, now):
        arrived[name] += events if minute < until else 0
    arrived.subtract(db.unsent_of_names(merchant_id, view.platform, sorted(refused), since, until))
    wanted = {name: count for name, count in refused.items() if wants_closer_look(arrived[name], count)}
    late = db.refused_late(merchant_id, view.platform, now - RECENT, RECENT)
    wanted.update({name: one.refused for name, one in late.items() if name not in wanted})
    names = {*sorted(wanted, key=lambda name: -wanted[name])[:MOST_NAMES], *told}
    taken = db.taken_names(merchant_id, view.platform)
    found = [
        one
        for name in sorted(names)
        # What its settings leave out by now is refused no more.
        if (taken is None or name in taken)
        and (one := _judged(_series(merchant_id, view, name, name in told, until, now), late.get(name), now))
        is not None
    ]
    # Where nothing else goes through either, the destination's own alert says it.
    first = min((one.since for one in found), default=now)
    if not found or (not told_as and not any(span.acknowledged for span in view.spans if span.end > first)):
        return None
    why: dict[str, Why] = {}
    for one in found[:MOST_NAMES]:
        cause = _why(merchant_id, view.platform, one, one.name in told)
        why[one.name] = _with_worth(merchant_id, view.platform, one, cause, until, now)
    return name_finding(view.platform, view.name, found, why)


def _judged(series: NameSeries, late: Late | None, now: datetime) -> Refusing | None:
    """By what arrived, and where that shows nothing, by what was sent long after it had arrived."""
    found = judge_name(series, now)
    if found is not None or late is None:
        return found
    since = late.since.replace(second=0, microsecond=0)
    if since < now - PAST:  # before the last day it is known by the hour
        since = since.replace(minute=0)
    return judge_late(series, since, late.until)


def _series(
    merchant_id: int, view: DestinationView, name: str, is_told: bool, until: datetime, now: datetime
) -> NameSeries:
    """The last day by minutes, and what was before it by the hour."""
    day = (now - PAST).replace(minute=0, second=0, microsecond=0)
    since = now - RUN
    minutes: Counter[datetime] = Counter()
    others: Counter[datetime] = Counter()
    keys = [(merchant_id, name), (merchant_id, OTHERS)]
    for _, of_name, minute, events in db_names.events_of_names(keys, day, now):
        (minutes if of_name == name else others)[minute] += events
    hours = db_names.hours_of_names(merchant_id, [name, OTHERS], since, day)
    of_hours = {hour: events for hour, (_, events) in hours.get(name, {}).items()}
    others_of_hours = {hour: events for hour, (_, events) in hours.get(OTHERS, {}).items()}
    platform, counted = view.platform, [name, OTHERS]
    before = _stretches(
        of_hours,
        others_of_hours,
        db.refused_by("hour", merchant_id, platform, name, since, day),
        db.unsent_by("hour", merchant_id, platform, counted, since, day),
    )
    end = now + timedelta(minutes=1)
    lately = _stretches(
        minutes,
        others,
        db.refused_by("minute", merchant_id, platform, name, day, end),
        db.unsent_by("minute", merchant_id, platform, counted, day, end),
    )
    # What a new destination takes is not known from what arrived before it was there.
    usual = None
    if view.success is not None:
        hours_of = {start: (arrived - bad, bad) for start, arrived, bad in before}
        usual = learn_success(list(hours_of.values()))
        usual = usual and replace(usual, worst=learn_worst(hours_of))
    told = _told_until(merchant_id, view)
    fresh = [one for one in (*before, *lately) if one[0] < until and all(one[0] >= over for over in told)]
    return NameSeries(name, fresh, usual, is_told, until + timedelta(minutes=1))


def _told_until(merchant_id: int, view: DestinationView) -> list[datetime]:
    """Until when what was told of the destination holds its refusals, too: these are not told again of its names.

    Whoever did not answer, or took no credentials, refused nothing: what arrived in such an outage is sent after it, and
    refused then.
    """
    told = []
    if view.rate_drop is not None and view.rate_drop.until is not None:
        told.append(view.rate_drop.until)
    if view.outage is not None and view.outage.until is not None:
        until = view.outage.until
        causes = ended_causes(merchant_id, AlertKind.PLATFORM_DOWN, view.platform, until)
        if not causes or not causes.isdisjoint({Cause.REFUSED, Cause.UNMAPPABLE}):
            told.append(until)
    return told


def _stretches(
    arrived: Mapping[datetime, int],
    others: Mapping[datetime, int],
    refused: Mapping[datetime, int],
    unsent: Mapping[datetime, int],
) -> list[Stretch]:
    """Some of the further names that are counted together may be this one. What is sent again may be refused again.

    What was not sent, as where consent is denied, was neither refused nor taken.
    """
    found = []
    for start, events in sorted(arrived.items()):
        bad = min(refused.get(start, 0), events)
        found.append((start, max(bad, events + others.get(start, 0) - unsent.get(start, 0)), bad))
    return found


def _why(merchant_id: int, platform: str, found: Refusing, is_told: bool) -> Why:
    troubles = db.troubles_of(merchant_id, platform, found.name, found.since)
    if not troubles:
        return _told_why(merchant_id, platform, found.name) if is_told else Why()
    unsent = [one for one in troubles if one.drop_reason in UNMAPPABLE and not one.attempts]
    if len(unsent) * 2 > len(troubles):
        grounds = Counter((one.drop_reason, one.drop_field) for one in unsent)
        (reason, field), count = grounds.most_common(1)[0]
        newest = next(one for one in unsent if (one.drop_reason, one.drop_field) == (reason, field))
        ground = Unmappable(
            DropReason(str(reason)), field, newest.last_error, count / len(unsent), newest.event_id, found.name
        )
        return Why(ground, newest.last_error, None, newest.event_id)
    sent = [one for one in troubles if one.attempts]
    code = Counter(one.error_code for one in sent).most_common(1)[0][0]
    newest = next(one for one in sent if one.error_code == code)
    return Why(None, newest.last_error, code, newest.event_id)


def _with_worth(merchant_id: int, platform: str, found: Refusing, why: Why, until: datetime, now: datetime) -> Why:
    """Of those that it counts: what arrived up to ``until``, or of what was sent late up to the end of its last minute, or hour."""
    if found.until is not None:
        until = found.until + (HOUR if found.until < now - PAST else MINUTE)
    failing, lost = db.worth_of_refused(merchant_id, platform, found.name, found.since, until)
    return replace(why, failing=failing, lost=lost)


def _told_why(merchant_id: int, platform: str, name: str) -> Why:
    """What the open alert says, of the name that it gives the cause of: once nothing of what was refused is stored any more."""
    details = open_details(merchant_id, AlertKind.DELIVERY_RATE_DROP, platform)
    if next(iter(details.get("event_names") or ()), None) != member_name(name):
        return Why()
    error, reason = details.get("last_error"), details.get("drop_reason")
    if reason is None or reason not in UNMAPPABLE:
        return Why(None, error, details.get("error_code"))
    return Why(Unmappable(DropReason(reason), details.get("field"), error or "", 1.0, None, name), error)
