"""Stored counters through the judges: which alerts the rules would have raised.

A look a minute, at whole minutes. What the counters do not hold is inferred from them: a destination counts as held
while its attempts get no answer, and its longest due delivery as the first one of those that had not been sent yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Known, Step, next_step
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.health import HOLD_AFTER_FAILURES, UNANSWERED
from tracklayer.domain.monitors import OF_DESTINATIONS, judge_destination, judge_merchant
from tracklayer.domain.monitors.learn import Rhythm, SuccessRate
from tracklayer.domain.monitors.platform_down import wants_run
from tracklayer.domain.monitors.spans import Minute, spans_of
from tracklayer.domain.monitors.tracking_stopped import LEAST_SILENCE, may_have_stopped
from tracklayer.domain.monitors.views import (
    LEVEL_OF,
    PAST,
    RECENT,
    RUN,
    DestinationView,
    MerchantView,
    Oldest,
    Span,
    Told,
    wants_past,
)

# Of whole merchants and of destinations. What the others are judged by is kept by the minute for two days.
REPLAYED = (*OF_DESTINATIONS, AlertKind.TRACKING_STOPPED)
MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=24)  # a delivery's, where no setting says otherwise: replays know of none


@dataclass(slots=True)
class Raised:
    """An alert of a replay. ``finding``: of its opening; ``reopened``: how often it came back within ten minutes."""

    finding: Finding
    opened_at: datetime
    resolved_at: datetime | None = None
    reopened: int = 0


class Lives:
    """The alerts of a replay, by the same rules of life as the stored ones."""

    def __init__(self) -> None:
        self.raised: list[Raised] = []
        self._known: dict[AlertKind, tuple[Known, Raised]] = {}

    def is_open(self, kind: AlertKind) -> bool:
        return kind in self._known and self._known[kind][0].resolved_at is None

    @property
    def any_open(self) -> bool:
        return any(self.is_open(kind) for kind in self._known)

    def told(self, kind: AlertKind, now: datetime) -> Told | None:
        """As a look sees it: open, or open within a day."""
        if kind not in self._known:
            return None
        known, raised = self._known[kind]
        if known.resolved_at is not None and known.resolved_at <= now - PAST:
            return None
        return Told(raised.opened_at, known.resolved_at, raised.finding.since)

    def settle(self, kind: AlertKind, finding: Finding | None, now: datetime) -> Step:
        known, raised = self._known.get(kind, (None, None))
        step = next_step(known, finding, now)
        if step is Step.OPEN and finding is not None:
            raised = Raised(finding, now)
            self.raised.append(raised)
            known = Known(len(self.raised), finding.subject, finding.severity, now, None, None)
            self._known[kind] = known, raised
        elif known is not None and raised is not None:
            if step is Step.REOPEN:
                raised.reopened += 1
            known = _after(known, step, finding, now)
            raised.resolved_at = known.resolved_at
            self._known[kind] = known, raised
        return step


def _after(known: Known, step: Step, finding: Finding | None, now: datetime) -> Known:
    if step in (Step.REOPEN, Step.SEEN) and finding is not None:
        severity = finding.severity
        return replace(known, severity=severity, last_seen_at=now, quiet_since=None, resolved_at=None)
    if step is Step.QUIET:
        return replace(known, quiet_since=now)
    if step is Step.RESOLVE:
        return replace(known, resolved_at=now)
    return known


# Destinations --------------------------------------------------------------------------------------------------------


def replay_destination(
    platform: str, name: str, minutes: Iterable[Minute], success: SuccessRate | None, since: datetime, until: datetime
) -> list[Raised]:
    """The alerts about a destination. ``minutes``: with anything counted, oldest first, from a day before ``since``."""
    lives, past, engine = Lives(), _Past(), _Inferred()
    coming = deque(minutes)
    now = coming[0][0] + MINUTE if coming else until
    while now <= until:
        while coming and coming[0][0] < now:
            (span,) = spans_of([coming.popleft()], (), now)
            past.add(span)
            engine.note(span)
        past.forget(now)
        if now > since and (past.has_recent(now) or lives.any_open or engine.unsent or engine.failing_since):
            _look(lives, past, engine, DestinationView(platform, name, success=success), now)
        now += MINUTE
    return lives.raised


def _look(lives: Lives, past: _Past, engine: _Inferred, view: DestinationView, now: datetime) -> None:
    recent = past.recent(now)
    view = replace(
        view,
        state=DestinationState.HELD if engine.is_held else DestinationState.ACTIVE,
        state_reason=engine.reason,
        failing_since=engine.failing_since,
        recent=recent,
        waiting=engine.unsent,
        oldest=engine.oldest(),
        outage=lives.told(AlertKind.PLATFORM_DOWN, now),
        rate_drop=lives.told(AlertKind.DELIVERY_RATE_DROP, now),
    )
    if wants_past(recent, view.success) or engine.failing_since is not None:
        view = replace(view, past=past.before(now))
        if wants_run(view):
            view = replace(view, past=[*past.run, *view.past])
    found = judge_destination(view, {kind for kind in OF_DESTINATIONS if lives.is_open(kind)}, now)
    by_kind = {finding.kind: finding for finding in found}
    is_down = AlertKind.PLATFORM_DOWN in by_kind
    for kind in [AlertKind.PLATFORM_DOWN] if is_down else OF_DESTINATIONS:
        lives.settle(kind, by_kind.get(kind), now)


class _Past:
    """The spans of the last day, and those before it since the last one with an acknowledgement."""

    def __init__(self) -> None:
        self._spans: deque[Span] = deque()
        self.run: deque[Span] = deque()

    def add(self, span: Span) -> None:
        self._spans.append(span)

    def forget(self, now: datetime) -> None:
        while self._spans and self._spans[0].start < now - PAST:
            span = self._spans.popleft()
            if span.acknowledged:
                self.run.clear()
            elif span.failed:
                self.run.append(span)
        while self.run and self.run[0].start < now - RUN:
            self.run.popleft()

    def has_recent(self, now: datetime) -> bool:
        return bool(self._spans) and self._spans[-1].start >= now - RECENT

    def recent(self, now: datetime) -> list[Span]:
        found = []
        for span in reversed(self._spans):
            if span.start < now - RECENT:
                break
            found.append(span)
        return found[::-1]

    def before(self, now: datetime) -> list[Span]:
        return [span for span in self._spans if span.start < now - RECENT]


class _Inferred:
    """What the counters let one know of the engine: whether it was held, and how much had not been sent yet.

    Of what came to be queued so much waits at most as has not left: what was tried in vain and went out later is no more
    counted as a first attempt.
    """

    def __init__(self) -> None:
        self.failing_since: datetime | None = None
        self.reason: str | None = None
        self.is_held = False
        self.unsent = 0
        self._waiting = 0
        self._unanswered = 0
        self._arrivals: deque[tuple[datetime, int]] = deque()  # of what had not been sent yet, oldest first

    def note(self, span: Span) -> None:
        self._note_queue(span)
        if span.acknowledged:
            self.failing_since, self.reason, self.is_held, self._unanswered = None, None, False, 0
        unanswered = span.unreachable + span.unknown
        if span.acknowledged or not (unanswered or span.credentials_refused):
            return
        self.failing_since = self.failing_since or span.start
        self._unanswered += unanswered
        if span.credentials_refused * 2 > unanswered + span.credentials_refused:
            self.reason = "credentials refused"
        else:
            self.reason = UNANSWERED if span.unknown * 2 > unanswered else "unreachable"
        self.is_held = self.is_held or bool(span.credentials_refused) or self._unanswered >= HOLD_AFTER_FAILURES

    def _note_queue(self, span: Span) -> None:
        if span.arrived:
            self._arrivals.append((span.start, span.arrived))
        # What was dropped without an attempt has left the queue as well.
        retried = span.retries_failed - span.too_late
        left = span.first_acknowledged + span.refused - retried
        left = max(0, left) + max(0, span.finished - span.acknowledged - retried)
        self._waiting = max(0, self._waiting + span.arrived - span.finished)
        unsent = sum(count for _, count in self._arrivals)
        left = max(left, unsent - self._waiting)
        while left > 0 and self._arrivals:
            at, count = self._arrivals.popleft()
            if count > left:
                self._arrivals.appendleft((at, count - left))
            left -= count
        self.unsent = sum(count for _, count in self._arrivals)

    def oldest(self) -> Oldest | None:
        return Oldest(self._arrivals[0][0], self._arrivals[0][0] + WINDOW) if self._arrivals else None


# Merchants -----------------------------------------------------------------------------------------------------------


def replay_merchant(
    active: Sequence[datetime], rhythm: Rhythm | None, since: datetime, until: datetime
) -> list[Raised]:
    """The alerts about a merchant. ``active``: minutes with an event, in order, from a week before ``since``."""
    lives = Lives()
    if rhythm is None:
        return []
    for start, end in _silences(active, until):
        if end - start < LEAST_SILENCE or end < since:
            continue
        # Only from where it may be told on, and until the alert has resolved after the silence.
        now = max(since, start + LEAST_SILENCE)
        while now < end + 2 * MINUTE and now <= until:
            last = start if now < end else end
            if now >= end or may_have_stopped(rhythm, last, now):
                view = MerchantView(rhythm, last, _level(rhythm, active, last))
                found = judge_merchant(view, now) if now < end else []
                lives.settle(AlertKind.TRACKING_STOPPED, found[0] if found else None, now)
            now += MINUTE
    return lives.raised


def _silences(active: Sequence[datetime], until: datetime) -> Iterator[tuple[datetime, datetime]]:
    for before, after in zip(active, [*active[1:], until], strict=True):
        if after - before > MINUTE:
            yield before + MINUTE, after


def _level(rhythm: Rhythm, active: Sequence[datetime], last: datetime) -> float:
    spans = [(last - length, last) for length in LEVEL_OF]
    return rhythm.level(spans, [bisect_left(active, end) - bisect_left(active, start) for start, end in spans])
