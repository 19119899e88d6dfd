"""``platform_down``: nothing that is meant for a destination is accepted any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import UNMAPPABLE, DestinationState
from tracklayer.domain.health import UNANSWERED
from tracklayer.domain.monitors.causes import Cause, Unanswered, cause_of_attempts, cause_of_hold, cause_told
from tracklayer.domain.monitors.learn import SuccessRate
from tracklayer.domain.monitors.refusals import NOT_KNOWN, lacking, lost, next_step, others, rule
from tracklayer.domain.monitors.statistics import failures_in_a_row
from tracklayer.domain.monitors.steadiness import LATELY, MUCH, is_not_back, keeps_failing
from tracklayer.domain.monitors.views import (
    AGED,
    BEARABLE_SHARE,
    DestinationView,
    Span,
    at_stake,
    gone,
    is_forgotten,
    redeliver,
)
from tracklayer.domain.monitors.words import clock_time, counted, ended, percent
from tracklayer.domain.monitors.worth import CAME_TOO_LATE, details, in_sales, losing, said

# A hold is told once its first probe, half a minute after it began, has brought nothing either: a hiccup is over by then.
TOLD_AFTER = timedelta(seconds=36)
CHANCE = 1e-9  # of so many refusals in a row while all is well
SHARE_OF_A_NEW_ONE = (
    1 - BEARABLE_SHARE
)  # of events that a destination is taken to refuse as long as nothing is known of it
SHARE_AT_LEAST, SHARE_AT_MOST = 0.1, 0.9
TIMES_USUAL = 3  # an event that is refused comes seldom alone: its like are refused too
LEARNED_AT_LEAST = 0.5  # a destination that took less than half while it was learned has taught nothing
STILL_REFUSED = 0.75  # of the newest outcomes: an open one is not over with the first that comes through

UNANSWERED_TOO = (
    "What was sent may have arrived all the same: no delivery is sent more than five times, each try is in its log, and"
    " platforms that recognise copies count it once."
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcomes since an instant, and up to one. ``events``: those of the failures that came for the first time."""

    since: datetime
    until: datetime
    acknowledged: int = 0
    failed: int = 0
    events: int = 0
    refused: int = 0
    unmappable: int = 0
    unanswered: int = 0
    mostly_credentials: bool = False  # of those without an answer: not let in
    mostly_unknown: bool = False  # of those without an answer: sent, and nothing read
    is_unsteady: bool = False  # it is down for what it leaves unanswered, whatever few it refuses between its answers

    @property
    def cause(self) -> Cause | None:
        """The larger of what the platform and its rules refused; None: it is down for want of answers."""
        if self.is_unsteady or self.unanswered > max(self.refused, self.unmappable):
            return None
        return Cause.UNMAPPABLE if self.unmappable >= self.refused else Cause.REFUSED


def judge_platform_down(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    """A destination that is held, or of which all that is meant for it is refused: by it, or by its rules beforehand.

    The engine holds what cannot be reached or refuses the credentials; that is told once it has lasted, credentials at
    once. Refusals are told when so many events in a row, each with the chance that this destination usually refuses one
    (three times that, from 10 to 90 %), would be a coincidence of one in 10^9. Events are counted and not their retries,
    which fail with them, over four weeks where so few come (``wants_run``). While a drop of its rate is open, the chance is the one seen since: half refused is not all.

    One that answers some requests and fails at others is told once it has kept failing for a minute. An open one stays
    until something is acknowledged again, or nothing was sent for a day, or for three times as long as is usual; where it did not answer, until it has not failed
    for a minute, or five if it failed after it had answered; where it refused, until the newest are not refused but for
    a few. So nothing opens and closes with every answer. Of a paused one nothing is known: what is open stays, and the time
    until it is resumed counts for nothing.
    """
    if view.state is DestinationState.PAUSED:
        return _judge_paused(view, now) if is_open else None
    if view.state is DestinationState.HELD:
        return _judge_hold(view, is_open=is_open, now=now)
    streak = _still_down(view, now) if is_open else _newly_down(view, now)
    if streak is None or is_forgotten(streak.since, streak.until, streak.events, now - _paused_since(view, streak)):
        return None
    if is_open:
        streak = _since_it_began(view, streak)
    match streak.cause:
        case Cause.UNMAPPABLE:
            return _unmappable(view, streak)
        case None:
            # The engine knows since when nothing at all was answered, also where more was in the minute in which that began.
            failing_since = view.failing_since or streak.since
            return _unanswered(view, replace(streak, since=min(streak.since, failing_since)), now)
        case _:
            return _refused(view, streak)


def _newly_down(view: DestinationView, now: datetime) -> Tally | None:
    if keeps_failing(view.recent, now):
        return _unsteady(_lately(view.recent, now))
    if not _is_refusing(view):
        return None
    streak = streak_of(view.spans)
    if streak is None or streak.events < refusals_needed(view):
        return None
    if streak.cause is None and (view.failing_since is None or now - view.failing_since < TOLD_AFTER):
        return None  # one request of many events, until the engine has tried again
    return streak


def _still_down(view: DestinationView, now: datetime) -> Tally | None:
    streak = streak_of(view.spans)
    if streak is not None:
        return streak
    newest = _newest(view)
    if view.told_cause == Cause.CREDENTIALS and newest is not None and not newest.credentials_refused:
        return None  # it is let in again: that does not come and go by itself
    lately = _lately(view.recent, now)
    if is_not_back(view.recent, view.outage.since if view.outage else None, now):
        return _unsteady(lately)
    if newest is not None and newest.failed - newest.unanswered >= STILL_REFUSED * newest.outcomes:
        return lately
    return None


def _since_it_began(view: DestinationView, streak: Tally) -> Tally:
    """The same of all that an open alert tells of, as long as it has the same cause."""
    began = view.known_since(view.outage)
    is_told_as = None if cause_told(view.told_cause, view.told_reason) is not None else view.told_cause
    if began is None or view.told_cause is None or is_told_as != streak.cause:
        return streak
    since = [span for span in reversed(view.spans) if span.outcomes and span.end > began]
    if not since:
        return streak
    # What was accepted in the span in which it began was accepted before.
    first = since[-1]
    whole = _tally([*since[:-1], replace(first, acknowledged=0) if first.start < began else first])
    whole = replace(whole, is_unsteady=streak.is_unsteady)
    if whole.cause != streak.cause:
        return streak
    since_told = _told_since(view, began)
    return replace(
        whole, since=since_told, mostly_credentials=streak.mostly_credentials, mostly_unknown=streak.mostly_unknown
    )


def _unsteady(lately: Tally | None) -> Tally | None:
    """Told for want of answers, unless nearly all is refused: one that is back refuses a few, too, or nothing at all."""
    if lately is None or lately.refused + lately.unmappable >= STILL_REFUSED * (lately.acknowledged + lately.failed):
        return lately
    return replace(lately, is_unsteady=True)


def _unmappable(view: DestinationView, streak: Tally) -> Finding:
    total = max(1, streak.acknowledged + streak.failed)
    part = streak.unmappable / total
    all_of_them = not streak.acknowledged
    title = f"{view.name} can be sent {'none' if all_of_them else 'hardly any'} of your events"
    worth = view.lost({*UNMAPPABLE, CAME_TOO_LATE})
    since, gone = clock_time(streak.since), lost(streak.unmappable, worth)
    if view.unmappable:
        worst = view.unmappable[0]
        message = (
            f"{title}: {percent(worst.share * part)} {lacking(worst)}. Since {since} {gone}:"
            f" {next_step(worst)}{rule(worst)}{others(view.unmappable, part)}"
        )
    else:
        message = (
            f"{title}: its rules refuse them. Since {since} {gone}: whoever sends your shop's events must add now what they"
            f" lack: {NOT_KNOWN}."
        )
    if streak.refused:
        message += f" Of what was sent, {view.name} refused {streak.refused:,}.{_said(view)}"
    figures = details(waiting_worth=view.waiting_worth, lost_worth=worth)
    return _finding(view, streak, Cause.UNMAPPABLE, title, f"{message}{_normal(view)}", figures)


def _refused(view: DestinationView, streak: Tally) -> Finding:
    example = f" Event `{view.last_failed}` is an example." if view.last_failed else ""
    before = f" {streak.unmappable:,} more could not even be sent: {NOT_KNOWN}." if streak.unmappable else ""
    money = said(view.failing_worth + view.refused_worth)
    in_danger = f", and sales worth {money} are lost or about to be" if money else ""
    return _finding(
        view,
        streak,
        Cause.REFUSED,
        f"{view.name} refuses {'nearly ' if streak.acknowledged else ''}every event",
        f"{view.name} has accepted {_how_few(streak)}, since"
        f" {clock_time(streak.since)}: each event is lost to it after five attempts{in_danger}. Whoever last changed your shop's"
        f" events or this destination's settings must mend that now; then redeliver what was dropped.{_said(view)}"
        f"{example}{before}{_normal(view)}",
        details(waiting_worth=view.waiting_worth, failing_worth=view.failing_worth, lost_worth=view.refused_worth),
    )


def _unanswered(view: DestinationView, streak: Tally, now: datetime) -> Finding:
    """Of one that is not held: it answers now and then, or is about to be held."""
    newest = _newest(view)
    answers = newest is not None and bool(newest.acknowledged) and not newest.unanswered
    if streak.refused and answers:
        view = replace(view, last_error=None, last_failed=None)  # what it refuses once it answers is not why it did not
    why = _why(view, streak)
    now_what = (
        f"It has taken events again since {clock_time(newest.start)}: you need do nothing, and this ends once that has lasted."
        if newest is not None and answers
        else why.what_to_do(view.name, view.credential, view.waiting)
    )
    return _finding(
        view,
        streak,
        why.cause,
        why.title(view.name, view.credential),
        f"{view.name} has accepted {_how_few(streak)}, since {clock_time(streak.since)}:"
        f" {_waits(view, now)}. {now_what}{redeliver(view)}{_said(view)}{_normal(view)}",
        {"first_loss_at": view.loses_at, **at_stake(view)},
    )


def _why(view: DestinationView, streak: Tally) -> Unanswered:
    """An open one keeps its cause until there is a newer error: while it ends, what failed for it is delivered."""
    told = cause_told(view.told_cause, view.told_reason)
    if view.last_error is None and told is not None:
        return told
    return cause_of_attempts(view.last_error, is_shut_out=streak.mostly_credentials, is_unknown=streak.mostly_unknown)


def _finding(
    view: DestinationView, streak: Tally, cause: Cause, title: str, message: str, figures: Mapping[str, Any]
) -> Finding:
    """``figures``: of what it says that waits or was lost."""
    worst = view.unmappable[0] if view.unmappable and streak.unmappable else None
    return Finding(
        AlertKind.PLATFORM_DOWN,
        view.platform,
        Severity.CRITICAL,
        title,
        message,
        streak.since,
        {
            "cause": cause,
            "reason": view.told_reason if view.last_error is None and cause == view.told_cause else None,
            "failures": streak.failed,
            "acknowledged": streak.acknowledged,
            "unmappable": streak.unmappable,
            "usual_failure_share": usually_refused(view),
            "last_error": view.last_error,
            "drop_reason": worst.reason if worst else None,
            "field": worst.field if worst else None,
            "example_event_id": worst.example if worst else view.last_failed,
            "waiting": view.waiting,
            **figures,
        },
    )


def _how_few(streak: Tally) -> str:
    if streak.acknowledged:
        return f"{streak.acknowledged:,} of the last {streak.acknowledged + streak.failed:,} attempts"
    if streak.events:
        return f"none of the last {counted(streak.events, 'event')}"
    return f"none of the last {counted(streak.failed, 'attempt')}"


def _said(view: DestinationView) -> str:
    return f" What {view.name} said last: {ended(view.last_error)}" if view.last_error else ""


def _normal(view: DestinationView) -> str:
    share = usually_refused(view)
    return "" if share is None else f" Usually {percent(share)} of its events fail at first."


def _judge_hold(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    since = _failing_all_the_time(view, now)
    reason = view.state_reason or "unreachable"
    why = cause_of_hold(reason)
    if not is_open and why.cause is not Cause.CREDENTIALS and now - since < TOLD_AFTER:
        return None
    too = f" {UNANSWERED_TOO}" if reason.startswith(UNANSWERED) else ""
    probe = f" The next try is at {clock_time(view.resume_at)}." if view.resume_at and view.resume_at > now else ""
    return Finding(
        AlertKind.PLATFORM_DOWN,
        view.platform,
        Severity.CRITICAL,
        why.title(view.name, view.credential),
        f"Nothing has reached {view.name} since {clock_time(since)}: {_waits(view, now)}."
        f" {why.what_to_do(view.name, view.credential, view.waiting)}{redeliver(view)}{too} The reason: {ended(reason)}{probe}",
        since,
        {
            "cause": why.cause,
            "reason": reason,
            "waiting": view.waiting,
            "next_try_at": view.resume_at,
            "first_loss_at": view.loses_at,
            **at_stake(view),
        },
    )


def _failing_all_the_time(view: DestinationView, now: datetime) -> datetime:
    """Since when: as an open alert says, where nothing has been accepted since then, as after a pause in between."""
    since, began = view.failing_since or now, view.known_since(view.outage)
    if began is None or any(span.acknowledged for span in view.spans if span.start >= began):
        return since
    return min(since, _told_since(view, began))


def _told_since(view: DestinationView, known: datetime) -> datetime:
    """As an open alert says, however long ago that is: where nothing was accepted in what is known, nothing was before."""
    if view.outage is None or view.outage.began is None or any(span.acknowledged for span in view.spans):
        return known
    return view.outage.began


def _paused_since(view: DestinationView, streak: Tally) -> timedelta:
    """How long after the last outcome it was resumed, or released from a hold; nothing where that was before."""
    if view.recovering_since is None:
        return timedelta()
    return max(timedelta(), view.recovering_since - streak.until)


def _judge_paused(view: DestinationView, now: datetime) -> Finding | None:
    """Of one that did not answer, or did not let us in: what is told of it goes on, but that nothing is tried."""
    why = cause_told(view.told_cause, view.told_reason)
    if why is None or view.outage is None or view.outage.began is None:
        return None
    since = view.outage.began
    new = "new ones" if view.credential.endswith("s") else "a new one"
    first = (
        f" Whoever manages your account at {view.name} must set {new} on the destination before that."
        if why.cause is Cause.CREDENTIALS
        else ""
    )
    reason = f" The reason, when it was paused: {ended(view.told_reason)}" if view.told_reason else ""
    return Finding(
        AlertKind.PLATFORM_DOWN,
        view.platform,
        Severity.CRITICAL,
        why.title(view.name, view.credential),
        f"Nothing has reached {view.name} since {clock_time(since)}, and it is paused now: {_waits(view, now)}. Whoever paused"
        f" it must resume it: nothing is tried before.{first}{redeliver(view)}{reason}",
        since,
        {
            "cause": why.cause,
            "reason": view.told_reason,
            "waiting": view.waiting,
            "paused": True,
            "first_loss_at": view.loses_at,
            **at_stake(view),
        },
    )


def _waits(view: DestinationView, now: datetime) -> str:
    """``3 deliveries wait, worth 389.97 USD in sales, and the first is lost in 23 h``."""
    if not view.waiting:
        return f"nothing waits for it at the moment{f', and {gone(view)}' if view.aged else ''}"
    waiting = f"{counted(view.waiting, 'delivery', 'deliveries')} wait{'s' if view.waiting == 1 else ''}"
    waiting += in_sales(view.waiting_worth)
    if view.loses_at is None:
        return f"{waiting}{f', and {gone(view)}' if view.aged else ''}"
    return f"{waiting}, and {losing(view.loses_at - now, view.aged, view.lost(AGED))}"


def _is_refusing(view: DestinationView) -> bool:
    """The quick test: whether the newest span with outcomes has failures and nothing else."""
    newest = _newest(view)
    return newest is not None and not newest.acknowledged


def _newest(view: DestinationView) -> Span | None:
    """The newest span with outcomes."""
    return next((span for span in reversed(view.recent) if span.outcomes), None)


def streak_of(spans: Sequence[Span]) -> Tally | None:
    """The newest spans in which all failed; None where the newest outcomes were acknowledgements."""
    failing = []
    for span in reversed(spans):
        if span.acknowledged:
            break
        if span.failed:
            failing.append(span)
    return _tally(failing) if failing else None


def _lately(spans: Sequence[Span], now: datetime) -> Tally | None:
    """Of the last minutes, from the first in which much failed; where nothing did in them, as after a pause or while a platform
    asked for a rest, from the last that failed before.
    """
    newest_first = [span for span in reversed(spans) if span.outcomes]
    late = [span for span in newest_first if span.end > now - LATELY]
    if not any(span.failed for span in late):
        last = next((place for place, span in enumerate(newest_first) if span.failed), len(late) - 1)
        late = newest_first[: last + 1]
    much = [place for place, span in enumerate(late) if span.failed >= MUCH * span.outcomes]
    return _tally(late[: much[-1] + 1] if much else late) if late else None


def _tally(spans: Sequence[Span]) -> Tally:
    """Of spans, the newest first."""
    return Tally(
        spans[-1].start,
        spans[0].end,
        sum(span.acknowledged for span in spans),
        sum(span.failed for span in spans),
        sum(span.first_failed for span in spans),
        sum(span.refused for span in spans),
        sum(span.unmappable for span in spans),
        sum(span.unanswered for span in spans),
        sum(span.credentials_refused for span in spans) * 2 > sum(span.unanswered for span in spans),
        sum(span.unknown for span in spans) * 2 > sum(span.unanswered for span in spans),
    )


def wants_run(view: DestinationView) -> bool:
    """Whether what failed before the last day counts, too: nothing was accepted in it, and too little failed to tell by."""
    spans = view.spans
    if any(span.acknowledged for span in spans):
        return False
    failed = sum(span.first_failed + span.too_late for span in spans)
    is_open = view.outage is not None and view.outage.until is None
    return (is_open or failed > 0) and failed < refusals_needed(view)


def usually_refused(view: DestinationView) -> float | None:
    return None if view.success is None else 1 - view.success.share


def refusals_needed(view: DestinationView) -> int:
    usual = chance_of_a_refusal(view.success)
    drop = view.rate_drop
    if drop is not None and drop.until is None:
        usual = min(SHARE_AT_MOST, max(usual, _failing_since(view.spans, drop.since)))
    return failures_in_a_row(usual, CHANCE)


def chance_of_a_refusal(success: SuccessRate | None) -> float:
    """Of each event, by what is usual, while all is well."""
    usual = SHARE_OF_A_NEW_ONE
    if success is not None and success.share >= LEARNED_AT_LEAST:
        usual = (1 - success.share) * TIMES_USUAL
    return min(SHARE_AT_MOST, max(SHARE_AT_LEAST, usual))


def _failing_since(spans: Sequence[Span], since: datetime) -> float:
    """The share that failed before the newest streak."""
    before = [span for span in spans if span.end > since]
    while before and not before[-1].acknowledged:
        before.pop()
    good, bad = sum(span.first_acknowledged for span in before), sum(span.first_failed for span in before)
    return bad / (good + bad) if good + bad else 0.0
