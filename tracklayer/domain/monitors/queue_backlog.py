"""``queue_backlog``: deliveries wait longer than they should, and that does not end by itself soon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors.views import DestinationView, Oldest, Span, Told
from tracklayer.domain.monitors.words import clock_time, counted, lasting

LATE = timedelta(seconds=90)  # a minute's rest after a rate limit, or a deploy, is shorter
LATE_AND_GROWING = timedelta(seconds=60)  # enough where more arrives than leaves by more than chance
ON_TIME = timedelta(seconds=30)  # what an open one must get down to
CLEARS_SOON = timedelta(minutes=5)  # an import, and what gathered during a short outage, is gone by then
LONGEST_REST = timedelta(minutes=10)  # that a platform may ask for by a rate limit before it is worth a word
PACE_OF = timedelta(seconds=120)  # how far back the present pace is measured
PAUSED_WARNING = timedelta(hours=4)  # before the first loss of a destination that its merchant has paused
CRITICAL = timedelta(hours=1)  # before the first loss


def judge_queue_backlog(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    """The longest due delivery waits too long and, at the pace of the last two minutes, the queue is not empty in five.

    Too long is a minute and a half, or one minute where the queue grows: more arrived in two minutes than left, by
    more than three standard deviations of a Poisson count. So a burst that drains is no backlog, and one that outgrows
    its workers is. What a platform that is held has waiting belongs to ``platform_down``, and so does what an outage
    left behind as long as that drains in no more time than it took to gather. A paused destination is told when its
    oldest deliveries near their end. An open one stays until the longest due waits for less than half a minute.
    """
    if view.oldest is None or view.state is DestinationState.HELD:
        return None
    if view.state is DestinationState.PAUSED:
        return _judge_paused(view, view.oldest, now)
    if not is_open and view.failing_since is not None:
        return None  # nothing is answered right now: the next look knows whether it is down
    late = now - view.oldest.due_at
    if late < (ON_TIME if is_open else LATE_AND_GROWING):
        return None
    if not is_open and late < LATE and not _grows(view.recent, now):
        return None
    arrivals, departures = pace(view.recent, now)
    clears = clears_in(view.waiting, arrivals, departures)
    soon = max(CLEARS_SOON, _lasted(view.outage, view.oldest))
    if not is_open and ((clears is not None and clears <= soon) or _rests_a_while(view, late, now)):
        return None
    since = view.oldest.due_at
    left = view.oldest.expires_at - now
    when = f"clears in {lasting(clears)} at this pace" if clears is not None else "does not clear at this pace"
    rest = ""
    if view.resume_at is not None and view.resume_at > now:
        rest = f" The platform asked to be left alone until {clock_time(view.resume_at)}."
    return Finding(
        AlertKind.QUEUE_BACKLOG,
        view.platform,
        Severity.CRITICAL if left < CRITICAL else Severity.WARNING,
        f"{counted(view.waiting, 'delivery', 'deliveries')} to {view.name} wait{'s' if view.waiting == 1 else ''}",
        f"{counted(view.waiting, 'delivery', 'deliveries')} to {view.name} wait{'s' if view.waiting == 1 else ''}, the"
        f" oldest {lasting(late)} too long; usually none does. {arrivals * 60:,.0f} arrive and {departures * 60:,.0f}"
        f" leave a minute: it {when}. {_loss(left)}{rest} Start more workers, or look at whether those there are do work:"
        " tracklayer doctor.",
        since,
        {
            "waiting": view.waiting,
            "oldest_late_seconds": round(late.total_seconds()),
            "arriving_per_second": round(arrivals, 2),
            "leaving_per_second": round(departures, 2),
            "clears_in_seconds": None if clears is None else round(clears.total_seconds()),
            "first_loss_at": view.oldest.expires_at,
        },
    )


def _judge_paused(view: DestinationView, oldest: Oldest, now: datetime) -> Finding | None:
    left = oldest.expires_at - now
    if left > PAUSED_WARNING:
        return None
    return Finding(
        AlertKind.QUEUE_BACKLOG,
        view.platform,
        Severity.CRITICAL if left < CRITICAL else Severity.WARNING,
        f"{view.name} is paused, and its oldest deliveries near their end",
        f"{counted(view.waiting, 'delivery', 'deliveries')} to {view.name} wait{'s' if view.waiting == 1 else ''} while"
        f" it is paused. {_loss(left)} Resume the destination to send them.",
        oldest.due_at,
        {"waiting": view.waiting, "paused": True, "first_loss_at": oldest.expires_at},
    )


def _rests_a_while(view: DestinationView, late: timedelta, now: datetime) -> bool:
    """Whether it waits because the platform asked for it, for no longer than is common."""
    return view.resume_at is not None and view.resume_at > now and late + (view.resume_at - now) < LONGEST_REST


def _lasted(outage: Told | None, oldest: Oldest) -> timedelta:
    """How long the outage was in which the oldest came to wait; nothing where it was none."""
    if outage is None or outage.until is None or oldest.due_at > outage.until:
        return timedelta()
    return outage.until - outage.since


def _loss(left: timedelta) -> str:
    if left <= timedelta():
        return "The oldest are being dropped for their age."
    return f"The first is dropped for its age in {lasting(left)}."


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
