"""What a merchant's events of a day say about its clock, its queues and its prices: advice, no alert."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.event_names import is_purchase
from tracklayer.domain.facts import AHEAD_FROM, LATE_FROM
from tracklayer.domain.monitors.words import clock_time, counted, lasting, listed, percent

LEAST_TIMED = 20  # events whose time is wrong,
SHARE_TIMED = 0.2  # and their share of a day's: one phone with a wrong clock is not the shop's
LEAST_PURCHASES = 50
ALL, MANY = 0.98, 0.5
# Events of an hour that repeat an id, and how many times as many as new ones: browser and server send one id twice.
LEAST_REPEATS, REPEATS_A_NEW_ONE = 20, 4

# Events that event names leave out, and since when: of a destination that was just set, few.
LEAST_LEFT_OUT, LEFT_OUT_FOR = 10, timedelta(hours=1)
MOST_NAMED = 5


class Day(NamedTuple):
    """Events of one name within a day: how many in all, and how many of them are of which kind."""

    event_name: str
    events: int
    ahead: int = 0
    late: int = 0
    value: int = 0
    zero: int = 0
    currency: int = 0  # of those with a value, or a zero


class Recent(NamedTuple):
    """One of the newest events. ``ahead``: by how much it was ahead of the clock when it arrived; negative: its age."""

    event_id: str
    event_name: str
    ahead: timedelta
    value: float | None
    currency: str | None


def advise_on_events(
    days: Sequence[Day], newest: Sequence[Recent], *, has_currency: bool, lost: Collection[str], now: datetime
) -> list[Advice]:
    """``newest``: a few hundred at most, of which examples are taken. ``has_currency``: there is a default for values without
    one. ``lost``: names about whose value an alert is open: that says it all.
    """
    found = [_clock_ahead(days, newest, now), _late(days, newest, now)]
    for day in days:
        if is_purchase(day.event_name) and day.event_name not in lost and day.events >= LEAST_PURCHASES:
            found.append(_value(day, newest, now))
            if not has_currency:
                found.append(_currency(day, newest, now))
    return [advice for advice in found if advice is not None]


def _clock_ahead(days: Sequence[Day], newest: Sequence[Recent], now: datetime) -> Advice | None:
    events, ahead = sum(day.events for day in days), sum(day.ahead for day in days)
    if ahead < LEAST_TIMED or ahead < SHARE_TIMED * events:
        return None
    found = [one for one in newest if one.ahead >= AHEAD_FROM]
    by = median([one.ahead.total_seconds() for one in found]) if found else None
    how_much = f"about {lasting(timedelta(seconds=by))}" if by else f"{AHEAD_FROM.seconds} seconds or more"
    return Advice(
        AdviceCode.CLOCK_AHEAD,
        f"{counted(ahead, 'event')} of the last day ({percent(ahead / events)}) say that they happen {how_much} in the future: each "
        "waits here until its time has come where a platform forgives less, and comes later than it could.",
        "Set the clock of the shop's server (NTP), and have it send UTC or an offset: occurredAt is when the action happened.",
        now,
        count=ahead,
        example_event_id=found[0].event_id if found else None,
        details={"events": events, "ahead": ahead, "median_seconds": by},
    )


def _late(days: Sequence[Day], newest: Sequence[Recent], now: datetime) -> Advice | None:
    events, late = sum(day.events for day in days), sum(day.late for day in days)
    if late < LEAST_TIMED or late < SHARE_TIMED * events:
        return None
    found = [one for one in newest if -one.ahead >= LATE_FROM]
    return Advice(
        AdviceCode.EVENTS_LATE,
        f"{counted(late, 'event')} of the last day ({percent(late / events)}) arrived {LATE_FROM.days} days or more after they "
        "happened: campaigns learn from them late or not at all, and some platforms refuse what is older than 3 to 7 days.",
        "Have the shop send each event when it happens; an import of old ones needs nothing.",
        now,
        count=late,
        example_event_id=found[0].event_id if found else None,
        details={"events": events, "late": late},
    )


def _value(day: Day, newest: Sequence[Recent], now: datetime) -> Advice | None:
    if day.zero >= ALL * day.events:
        code, how, is_one = AdviceCode.VALUE_ALWAYS_ZERO, "have the value 0", _is_zero
    elif day.events - day.value - day.zero >= ALL * day.events:
        code, how, is_one = AdviceCode.VALUE_MISSING, "bring no value", _is_without
    else:
        return None
    return _of_purchases(
        day,
        code,
        day.zero if code is AdviceCode.VALUE_ALWAYS_ZERO else day.events - day.value - day.zero,
        f"{how}: campaigns that bid by value see orders that are worth nothing",
        "Have the shop send what the order costs as customData.value, a number in major units, with its currency.",
        is_one,
        newest,
        now,
    )


def _currency(day: Day, newest: Sequence[Recent], now: datetime) -> Advice | None:
    priced = day.value + day.zero
    missing = priced - day.currency
    if priced < LEAST_PURCHASES or missing < MANY * priced:
        return None
    return _of_purchases(
        day,
        AdviceCode.CURRENCY_MISSING,
        missing,
        "bring a value without a currency: platforms refuse such an event, or take its value for dollars",
        "Have the shop send customData.currency, such as USD, or set the merchant's defaultCurrency if there is only one.",
        lambda one: one.value is not None and not one.currency,
        newest,
        now,
    )


def _of_purchases(
    day: Day,
    code: AdviceCode,
    count: int,
    how: str,
    next_step: str,
    is_one: Callable[[Recent], bool],
    newest: Sequence[Recent],
    now: datetime,
) -> Advice:
    example = next((one.event_id for one in newest if one.event_name == day.event_name and is_one(one)), None)
    return Advice(
        code,
        f"{count:,} of {day.events:,} {day.event_name} events of the last day {how}.",
        next_step,
        now,
        event_name=day.event_name,
        count=count,
        example_event_id=example,
        details={"events": day.events, "value": day.value, "zero": day.zero, "currency": day.currency},
    )


def _is_zero(one: Recent) -> bool:
    return one.value == 0


def _is_without(one: Recent) -> bool:
    return one.value is None


def ids_reused(new: int, repeats: int, example_event_id: str | None, now: datetime) -> Advice | None:
    """Of the events of the last hour: those that are new, and those under an id that was there before."""
    if repeats < LEAST_REPEATS or repeats < REPEATS_A_NEW_ONE * new:
        return None
    return Advice(
        AdviceCode.EVENT_IDS_REUSED,
        f"{repeats:,} of the last {new + repeats:,} events repeat an event id that was sent before, and were counted once.",
        "If they are different orders, have the shop give each its own eventId; if one event is sent again and again, have it "
        "stop resending what was acknowledged.",
        now,
        count=repeats,
        example_event_id=example_event_id,
        details={"new": new, "repeats": repeats},
    )


def dropped_by_removal(removed: Sequence[tuple[str, datetime, int]]) -> Advice | None:
    """Of destinations that were removed while something waited for them. ``removed``: (title, when, deliveries)."""
    if not removed:
        return None
    each = [f"{title} at {clock_time(at)} ({counted(count, 'delivery', 'deliveries')})" for title, at, count in removed]
    total = sum(count for _, _, count in removed)
    return Advice(
        AdviceCode.DROPPED_BY_REMOVAL,
        f"{counted(total, 'delivery', 'deliveries')} that had not gone out {'was' if total == 1 else 'were'} dropped, as the "
        f"destination was removed: {listed(each)}.",
        "Where that was not meant so, set the destination up again, then redeliver them (DESTINATION_REMOVED) while the platform "
        "still takes their age; else nothing.",
        removed[0][1],
        count=total,
        details={
            "removed": [{"title": title, "at": at.isoformat(), "deliveries": count} for title, at, count in removed]
        },
    )


def takes_nothing(
    platform: str,
    title: str,
    names: Sequence[str],
    left_out: int,
    first_at: datetime,
    came: Mapping[str, int],
    now: datetime,
) -> Advice | None:
    """Of a destination that got none of a day's events, and whose event names never came. ``came``: name -> events of the day."""
    if left_out < LEAST_LEFT_OUT or now - first_at < LEFT_OUT_FOR:
        return None
    most = sorted(came, key=lambda name: (-came[name], name))[:MOST_NAMED]
    what = f" What comes is {listed([f'{name} ({came[name]:,})' for name in most])}." if most else ""
    its = f"its event names are {listed(list(names[:MOST_NAMED]))}" if names else "its list of event names is empty"
    return Advice(
        AdviceCode.FILTER_TAKES_NOTHING,
        f"{title} got none of {counted(left_out, 'event')} of the last day: {its}, and no event has come under "
        f"{'that name' if len(names) == 1 else 'such a name'}.{what}",
        "Correct the destination's event names (eventNames) to those that your shop sends, or take them off; then send what was "
        "left out with deliverStored.",
        first_at,
        platform,
        count=left_out,
        details={"event_names": list(names[:MOST_NAMED]), "left_out": left_out},
    )


def too_old(
    platform: str, title: str, count: int, limit: timedelta | None, example_event_id: str | None, now: datetime
) -> Advice | None:
    """Of events that a destination did not take for their age within a day."""
    if not count:
        return None
    takes = f"takes them up to {lasting(limit)} old" if limit is not None else "takes no older ones"
    return Advice(
        AdviceCode.EVENTS_TOO_OLD,
        f"{counted(count, 'event')} of the last day {'was' if count == 1 else 'were'} too old for {title} when "
        f"{'it' if count == 1 else 'they'} arrived, and did not go there: it {takes}.",
        "Have the shop send each event when it happens, and check that occurredAt is right. Those sent in time go out; an import of old ones needs nothing.",
        now,
        platform,
        count=count,
        example_event_id=example_event_id,
        details={"max_age_seconds": round(limit.total_seconds()) if limit is not None else None},
    )
