"""``queue_backlog``: deliveries wait longer than they should, and that does not end by itself soon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors.causes import Cause, cause_of_attempts, cause_told
from tracklayer.domain.monitors.platform_down import TOLD_AFTER
from tracklayer.domain.monitors.steadiness import LATELY, often_fails
from tracklayer.domain.monitors.views import (
    AGED,
    DestinationView,
    Oldest,
    Span,
    Told,
    at_stake,
    gone,
    redeliver,
)
from tracklayer.domain.monitors.words import clock_time, counted, ended, lasting, listed
from tracklayer.domain.monitors.worth import Worth, details, in_sales, losing, of_several

LATE = timedelta(seconds=90)  # a minute's rest after a rate limit, or a deploy, is shorter
LATE_AND_GROWING = timedelta(seconds=60)  # enough where more arrives than leaves by more than chance
ON_TIME = timedelta(seconds=30)  # what an open one must get down to
CLEARS_SOON = timedelta(minutes=5)  # an import, and what gathered during a short outage, is gone by then
LONGEST_REST = timedelta(minutes=10)  # that a platform may ask for by a rate limit before it is worth a word
A_STEP = timedelta(seconds=10)
PACE_OF = timedelta(seconds=120)  # how far back the present pace is measured
PAUSED_WARNING = timedelta(hours=4)  # before the first loss of a destination that its merchant has paused
CRITICAL = timedelta(hours=1)  # before the first loss
LOOKED_BACK = timedelta(minutes=10)  # for what the platform did
A_PART = 0.1  # of what it was asked: so much put off or unanswered is why
SLOW = 3.0  # seconds to answer; platforms answer in a tenth of it


def judge_queue_backlog(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    """The longest due delivery waits too long and, at the pace of the last two minutes, the queue is not empty in five.

    Too long is a minute and a half, or one minute where the queue grows: more arrived in two minutes than left, by
    more than three standard deviations of a Poisson count. So a burst that drains is no backlog, and one that outgrows
    its workers is. What a platform that is held has waiting belongs to ``platform_down`` (but not of one that is left alone
    for long since it asked for that as it failed: nothing is known of it until then), and so does what an outage
    left behind as long as that drains in no more time than it took to gather. A paused destination is told when its
    oldest deliveries near their end, until it is resumed: its queue may be empty as all was lost. An open one stays until the longest due waits for less than half a minute.
    """
    if view.state is DestinationState.PAUSED:
        return _judge_paused(view, now, is_open=is_open and view.told_backlog == Cause.PAUSED)
    if view.oldest is None or view.loses_at is None or view.state is DestinationState.HELD:
        return None
    rests = _rests_long(view, now)
    if not is_open and view.failing_since is not None and not (rests and now - view.failing_since >= TOLD_AFTER):
        return None  # nothing is answered right now: the next look knows whether it is down
    late = now - view.oldest.due_at
    if late < (ON_TIME if is_open else LATE_AND_GROWING):
        return None
    if not is_open and late < LATE and not _grows(view.recent, now):
        return None
    if not is_open and not rests and late < LATELY and often_fails(view.recent, now):
        return None  # it comes and goes: the next looks know whether that lasts, and it is told as that
    arrivals, departures = pace(view.recent, now)
    clears = clears_in(view.waiting, arrivals, departures)
    soon = max(CLEARS_SOON, _lasted(view.outage, view.oldest))
    if not is_open and ((clears is not None and clears <= soon) or _rests_a_while(view, late, now)):
        return None
    since = view.oldest.due_at
    left = view.loses_at - now
    when = f"clears in {lasting(clears)} at this pace" if clears is not None else "does not clear at this pace"
    why = _cause(view, now)
    if why is _WORKERS and is_open and (clears is not None or _rested_lately(view, now)):
        why = _told_before(view) or why
    waits = f"{counted(view.waiting, 'delivery', 'deliveries')} to {view.name} wait{'s' if view.waiting == 1 else ''}"
    money = in_sales(view.waiting_worth)
    return Finding(
        AlertKind.QUEUE_BACKLOG,
        view.platform,
        Severity.CRITICAL if left < CRITICAL else Severity.WARNING,
        f"{waits}: {why.title}",
        f"{waits} since {clock_time(since)}{money}, {_loss(left, view.aged, view.lost(AGED))}."
        f" {why.what_to_do}{redeliver(view)}{why.figures} The oldest is"
        f" {lasting(late)} late; usually none is. {arrivals * 60:,.0f} arrive and {departures * 60:,.0f} leave a minute: it"
        f" {when}.",
        since,
        {
            "cause": why.cause,
            "waiting": view.waiting,
            "oldest_late_seconds": round(late.total_seconds()),
            "arriving_per_second": round(arrivals, 2),
            "leaving_per_second": round(departures, 2),
            "clears_in_seconds": None if clears is None else round(clears.total_seconds()),
            "last_error": why.error,
            "first_loss_at": view.loses_at,
            **at_stake(view),
        },
    )


@dataclass(frozen=True, slots=True)
class _Why:
    """Why a queue does not drain. ``figures``: a sentence with a blank before it, or nothing. ``error``: what was said."""

    cause: Cause
    title: str
    what_to_do: str
    figures: str = ""
    error: str | None = None


_WORKERS = _Why(
    Cause.WORKERS,
    "TrackLayer is too slow",
    "TrackLayer's operator must start more workers now, or check that the running ones work (`tracklayer doctor`)."
    " You need do nothing but tell them.",
)


def _cause(view: DestinationView, now: datetime) -> _Why:
    """What the platform did lately; where it did nothing, it is the workers that are too few."""
    name = view.name
    lately = [span for span in view.recent if span.end > now - LOOKED_BACK]
    limited = sum(span.rate_limited for span in lately)
    unanswered = sum(span.unanswered for span in lately)
    asked = sum(span.outcomes - span.unmappable for span in lately) + limited
    rests = _rests_long(view, now)
    until = f" It asked to be left alone until {clock_time(view.resume_at)}." if rests and view.resume_at else ""
    # A rest began with a limit or a failure, which may be longer ago than is looked back.
    is_limited = view.failing_since is None if rests else limited >= max(1, A_PART * asked, unanswered)
    if is_limited:
        put_off = f" {name} put off {counted(limited, 'delivery', 'deliveries')} in {lasting(LOOKED_BACK)}."
        return _limited(name, f"{put_off if limited else ''}{until}")
    if rests or unanswered >= max(1, A_PART * asked):
        unknown = sum(span.unknown for span in lately)
        is_shut_out = sum(span.credentials_refused for span in lately) * 2 > unanswered
        why = cause_of_attempts(view.last_error, is_shut_out=is_shut_out, is_unknown=unknown * 2 > unanswered)
        said = f" What {name} said last: {ended(view.last_error)}" if view.last_error else ""
        title, what_to_do = why.title(name, view.credential), why.what_to_do(name, view.credential, view.waiting)
        return _Why(why.cause, title, what_to_do, f"{said}{until}", view.last_error)
    if view.answer_seconds is not None and view.answer_seconds >= SLOW:
        return _slow(name, f" {name} takes {view.answer_seconds:.0f} s to answer a request.")
    return _WORKERS


def _told_before(view: DestinationView) -> _Why | None:
    """What an open one was put down to, while what that left behind goes out: it is no want of workers for that."""
    if view.told_backlog == Cause.RATE_LIMITED:
        return _limited(view.name, "")
    if view.told_backlog == Cause.SLOW:
        return _slow(view.name, "")
    told = cause_told(view.told_backlog, view.told_backlog_error)
    if told is None:
        return None
    is_back = f"You need do nothing: {view.name} takes events again, and what waited for it goes out."
    return _Why(told.cause, told.title(view.name, view.credential), is_back, error=view.told_backlog_error)


def _slow(name: str, figures: str) -> _Why:
    return _Why(
        Cause.SLOW,
        f"{name} answers slowly",
        f"You need do nothing, the fault is {name}'s: all that waits goes out, slowly. TrackLayer's operator can start"
        " more workers, so that more requests wait for an answer at once.",
        figures,
    )


def _limited(name: str, figures: str) -> _Why:
    return _Why(
        Cause.RATE_LIMITED,
        f"{name} limits how fast it takes them",
        f"You need do nothing now: TrackLayer sends as fast as {name} allows, and more workers do not help. If it comes"
        f" again, whoever manages your account at {name} should ask for a higher limit, or fewer event names be sent.",
        figures,
    )


def gather_backlogs(found: Sequence[tuple[DestinationView, Finding]], now: datetime) -> Finding:
    """One finding of several destinations' own that TrackLayer's shortage keeps late.

    An event may wait for several, or be lost to them: then it is no more worth for that.
    """
    waiting = sum(finding.details["waiting"] for _, finding in found)
    names = [view.name for view, _ in found]
    since = min(finding.since for _, finding in found)
    first_loss_at = min(finding.details["first_loss_at"] for _, finding in found)
    worth = of_several([view.waiting_worth for view, _ in found])
    aged, aged_worth = (
        sum(view.aged for view, _ in found),
        of_several([view.lost(AGED) for view, _ in found if view.aged]),
    )
    where = names[0] if len(names) == 1 else f"{len(names)} platforms"
    waits = f"{counted(waiting, 'delivery', 'deliveries')} to {where} wait{'s' if waiting == 1 else ''}"
    named = "" if len(names) == 1 else f" They are for {listed(names)}."
    return Finding(
        AlertKind.QUEUE_BACKLOG,
        None,
        Severity.CRITICAL if first_loss_at - now < CRITICAL else Severity.WARNING,
        f"{waits}: {_WORKERS.title}",
        f"{waits} since {clock_time(since)}{in_sales(worth)}, {_loss(first_loss_at - now, aged, aged_worth)}."
        f" {_WORKERS.what_to_do}{max(redeliver(view) for view, _ in found)}{named} The oldest is"
        f" {lasting(now - since)} late; usually none is.",
        since,
        {
            "cause": Cause.WORKERS,
            "waiting": waiting,
            "platforms": [view.platform for view, _ in found],
            "oldest_late_seconds": round((now - since).total_seconds()),
            "first_loss_at": first_loss_at,
            **({"lost_deliveries": aged} if aged else {}),
            **details(waiting_worth=worth, lost_worth=aged_worth),
        },
    )


def _judge_paused(view: DestinationView, now: datetime, *, is_open: bool) -> Finding | None:
    """What waits there can only go out once it is resumed, or be lost: an open one is over in no other way."""
    left = None if view.loses_at is None else view.loses_at - now
    if not is_open and (view.oldest is None or left is None or left > PAUSED_WARNING):
        return None
    known = [view.oldest.due_at if view.oldest is not None else None, view.backlog_began if is_open else None]
    since = min((at for at in known if at is not None), default=now)
    is_losing = view.aged > 0 or (left is not None and left <= timedelta())
    waits = f"{counted(view.waiting, 'delivery', 'deliveries')} to {view.name} wait{'s' if view.waiting == 1 else ''}"
    oldest = f"since {clock_time(view.oldest.due_at)} " if view.oldest is not None else ""
    because = f"{oldest}because the destination is paused"
    if left is None:
        lost_now = f", and {gone(view)}" if view.aged else ""
        what = (
            f"Nothing waits for {view.name} any more, which is paused{lost_now}. Whoever paused it must resume it now."
        )
    else:
        all_of_them = "all that are left" if is_losing else "all of them"
        what = (
            f"{waits} {because}{in_sales(view.waiting_worth)}, {_loss(left, view.aged, view.lost(AGED))}."
            f" Whoever paused it must resume it now: then {all_of_them} are sent."
        )
    title = "deliveries are being lost" if is_losing else "its oldest deliveries near their end"
    return Finding(
        AlertKind.QUEUE_BACKLOG,
        view.platform,
        Severity.CRITICAL if is_losing or (left is not None and left < CRITICAL) else Severity.WARNING,
        f"{view.name} is paused, and {title}",
        f"{what}{redeliver(view)}",
        since,
        {
            "cause": Cause.PAUSED,
            "waiting": view.waiting,
            "paused": True,
            "first_loss_at": view.loses_at,
            **at_stake(view),
        },
    )


def _rests_long(view: DestinationView, now: datetime) -> bool:
    """Whether nothing is sent for a while, since the platform asked for that: more than a step of a release after a hold."""
    return view.resume_at is not None and view.resume_at - now > A_STEP


def _rested_lately(view: DestinationView, now: datetime) -> bool:
    """Whether it is sent to again since a moment ago: what that brings is not counted yet."""
    ends = (view.resume_at, view.recovering_since)
    return any(at is not None and timedelta() <= now - at < LATE for at in ends)


def _rests_a_while(view: DestinationView, late: timedelta, now: datetime) -> bool:
    """Whether it waits because the platform asked for it, for no longer than is common."""
    return view.resume_at is not None and view.resume_at > now and late + (view.resume_at - now) < LONGEST_REST


def _lasted(outage: Told | None, oldest: Oldest) -> timedelta:
    """How long the outage was in which the oldest came to wait; nothing where it was none."""
    if outage is None or outage.until is None or oldest.due_at > outage.until:
        return timedelta()
    return outage.until - outage.since


def _loss(left: timedelta, aged: int, worth: Worth) -> str:
    """``aged``: how many were lost so far."""
    return f"and {losing(left, aged, worth)}{' unless it goes out before' if left > timedelta() else ''}"


def _grows(recent: Sequence[Span], now: datetime) -> bool:
    spans = [span for span in recent if span.end > now - PACE_OF]
    arrived = sum(span.arrived for span in spans)
    return arrived - sum(span.finished for span in spans) > 3 * math.sqrt(arrived) + 10


def pace(recent: Sequence[Span], now: datetime) -> tuple[float, float]:
    """(arrivals, departures) a second of the last two minutes."""
    spans = [span for span in recent if span.end > now - PACE_OF]
    seconds = (now - spans[0].start).total_seconds() if spans else 0.0
    if seconds <= 0:
        return 0.0, 0.0
    return sum(span.arrived for span in spans) / seconds, sum(span.finished for span in spans) / seconds


def clears_in(waiting: int, arrivals: float, departures: float) -> timedelta | None:
    """When a queue is empty at a pace; None where it never is."""
    return timedelta(seconds=waiting / (departures - arrivals)) if departures > arrivals else None
