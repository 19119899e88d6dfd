"""What the monitors look at: counts by stretch of time, the state of a destination, and what is normal for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain.delivery import DestinationState, DropReason
from tracklayer.domain.monitors.learn import Rhythm, SuccessRate
from tracklayer.domain.monitors.refusals import Unmappable
from tracklayer.domain.monitors.worth import NOTHING, Worth, details, were

RECENT = timedelta(minutes=30)  # what every look reads of a destination
PAST = timedelta(hours=24)  # what it reads where that leaves something open
RUN = timedelta(days=28)  # how far back failures are counted after which nothing succeeded
AGED = frozenset({DropReason.WINDOW_EXPIRED, DropReason.EVENT_TOO_OLD})  # what waited for too long is lost so
LEVEL_OF = (timedelta(days=1), timedelta(days=7))  # before a silence: how busy the merchant was at last


@dataclass(frozen=True, slots=True)
class Span:
    """What happened at a destination from ``start`` to ``end``: deliveries by their outcome, arrivals and departures.

    ``unmappable``: refused by the platform's rules before anything was sent, of which there is one a delivery.
    ``retries_failed`` holds those of them that were too old for the platform when they arrived, too, and what failed again
    when it was redelivered: no failure of new events, as a retry is none.

    A span is a minute of the counters, or the part of one between two looks.
    """

    start: datetime
    end: datetime
    acknowledged: int = 0
    refused: int = 0
    credentials_refused: int = 0
    unreachable: int = 0
    unknown: int = 0
    rate_limited: int = 0
    routed: int = 0
    requeued: int = 0
    finished: int = 0
    retries_acknowledged: int = 0
    retries_failed: int = 0
    unmappable: int = 0

    @property
    def unanswered(self) -> int:
        """Attempts that say nothing about the events: the platform was away, or did not let us in."""
        return self.credentials_refused + self.unreachable + self.unknown

    @property
    def failed(self) -> int:
        """Outcomes that brought nothing: attempts, and what the platform's rules refuse before anything is sent.

        A rate limit is none of them: the platform is there and asks to wait.
        """
        return self.refused + self.unmappable + self.unanswered

    @property
    def outcomes(self) -> int:
        return self.acknowledged + self.failed

    @property
    def first_acknowledged(self) -> int:
        """Of deliveries that came to an outcome for the first time."""
        return self.acknowledged - self.retries_acknowledged

    @property
    def first_failed(self) -> int:
        return self.failed - self.retries_failed

    @property
    def too_late(self) -> int:
        """Of ``unmappable``, what was too old when it arrived: at least so many, and exactly where nothing else failed."""
        if not self.unmappable:
            return 0
        return min(self.unmappable, max(0, self.retries_failed - self.refused - self.unanswered))

    def with_late(self) -> Span:
        """What came too late counted as failures of new events."""
        return replace(self, retries_failed=self.retries_failed - self.too_late)

    def without_late(self) -> Span:
        """As if what came too late had not come."""
        late = self.too_late
        return replace(self, retries_failed=self.retries_failed - late, unmappable=self.unmappable - late)

    @property
    def arrived(self) -> int:
        return self.routed + self.requeued


@dataclass(frozen=True, slots=True)
class Oldest:
    """The longest due delivery of a queue. ``expires_at``: when the platform's age limit or the window loses it.

    It need not be the first that is lost: one that was tried is due later than others that came after it.
    """

    due_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """When the last alert of one kind about a destination was open; ``until`` None: it still is.

    ``began``: of an open one, since when what it tells of held when it was told.
    """

    since: datetime
    until: datetime | None
    began: datetime | None = None


@dataclass(frozen=True, slots=True)
class DestinationView:
    """One destination at one look.

    ``recovering_since``: it was resumed, or released from a hold, then. ``recent``: the last half hour, the newest last. ``past``:
    the last day by minutes, read only where ``recent`` gives reason to (``wants_past``); before it, as far as nothing was accepted
    in it either, what failed since the last success (``wants_run``), by the hour. ``earlier``: of whom hardly anything goes to, the four weeks
    before that by the hour, since its last alert of the two below (``wants_earlier``). ``success``: what it learned of itself, None for a
    new one. ``outage`` and ``rate_drop``: its alerts of these kinds that are open or were within a day. ``credential``: what its
    merchant calls that by which the platform knows him, in the plural where it is several things.

    What is read only where something was found: ``first_loss_at``, also where it is paused: when the first that waits is lost;
    ``last_error``: what the platform said of the delivery that failed last since then, ``last_failed`` (an event's id), without
    personal data; ``told_cause`` and ``told_reason``: what its open outage was put down to so far, ``told_backlog`` and ``told_backlog_error``: its
    open backlog; ``told_names``: which names its open drop is about, none where it is about all; ``unmappable``: on what grounds its
    rules refused events, the commonest first; ``answer_seconds``: how long it took to answer the requests that it acknowledged last;
    ``waiting_worth``: of the sales that wait, ``failing_worth``: of those of them that have failed since it began, ``refused_worth``:
    of those that have, and were dropped as often refused; ``lost_worth``: of all that
    were dropped since it began, by reason or ``CAME_TOO_LATE``; ``lost_count``: how many deliveries that is. ``backlog_began``: since when what its
    open backlog tells of held when it was told.
    """

    platform: str
    name: str
    state: DestinationState = DestinationState.ACTIVE
    state_reason: str | None = None
    failing_since: datetime | None = None
    resume_at: datetime | None = None
    recent: Sequence[Span] = ()
    past: Sequence[Span] = ()
    earlier: Sequence[Span] = ()
    success: SuccessRate | None = None
    waiting: int = 0
    oldest: Oldest | None = None
    recovering_since: datetime | None = None
    outage: Told | None = None
    rate_drop: Told | None = None
    last_error: str | None = None
    last_failed: str | None = None
    told_cause: str | None = None
    told_reason: str | None = None
    told_backlog: str | None = None
    told_backlog_error: str | None = None
    told_names: Sequence[str] = ()
    unmappable: Sequence[Unmappable] = ()
    answer_seconds: float | None = None
    credential: str = "credentials"
    first_loss_at: datetime | None = None
    waiting_worth: Worth = NOTHING
    failing_worth: Worth = NOTHING
    refused_worth: Worth = NOTHING
    lost_worth: Mapping[str, Worth] = field(default_factory=dict)
    lost_count: Mapping[str, int] = field(default_factory=dict)
    backlog_began: datetime | None = None

    def lost(self, reasons: Collection[str]) -> Worth:
        """The worth of what was dropped for these reasons since it began."""
        return sum((worth for reason, worth in self.lost_worth.items() if reason in reasons), NOTHING)

    @property
    def aged(self) -> int:
        """How many of its deliveries were lost for their age since it began, as far as that is known."""
        return sum(count for reason, count in self.lost_count.items() if reason in AGED)

    @property
    def loses_at(self) -> datetime | None:
        """When the first of what waits is lost, as far as that is known; None where nothing waits."""
        known = [self.first_loss_at, self.oldest.expires_at if self.oldest is not None else None]
        return min((at for at in known if at is not None), default=None)

    def known_since(self, told: Told | None) -> datetime | None:
        """Since when an open alert tells of it, or from when on it is known; None where none is open."""
        if told is None or told.until is not None or told.began is None or not self.spans:
            return None
        return max(told.began, self.spans[0].start)

    @property
    def spans(self) -> Sequence[Span]:
        """Everything that is known: what is before ``recent``, then ``recent`` itself."""
        if not self.recent:
            return self.past
        return [*(span for span in self.past if span.end <= self.recent[0].start), *self.recent]


def gone(view: DestinationView) -> str:
    """``28 deliveries, worth 1,234.00 EUR in sales, were lost for their age``."""
    return f"{were(view.aged, view.lost(AGED))} lost for their age"


def redeliver(view: DestinationView) -> str:
    """What is to be done about what was lost while it waited, behind what ends that; empty where nothing was, or no redelivery saves it."""
    return " Then redeliver what was dropped." if view.lost_count.get(DropReason.WINDOW_EXPIRED) else ""


def at_stake(view: DestinationView) -> dict[str, Any]:
    """What ``details`` of an alert about what waits hold: ``waiting_worth``; and of what was lost for its age meanwhile, where there is
    any, ``lost_deliveries`` and ``lost_worth``.
    """
    count = {"lost_deliveries": view.aged} if view.aged else {}
    return {**count, **details(waiting_worth=view.waiting_worth, lost_worth=view.lost(AGED))}


def without_imports(view: DestinationView) -> DestinationView:
    """Without the events that came too late, as an import of old ones does; that is advice and no alert.

    Where nothing was accepted for a day they stay, as failures of new events: what always comes too late is why.
    """
    spans = view.spans
    if not any(span.too_late for span in spans):
        return view
    if not any(span.acknowledged for span in spans):
        return replace(
            view, recent=[span.with_late() for span in view.recent], past=[span.with_late() for span in view.past]
        )
    others = [one for one in view.unmappable if one.reason is not DropReason.EVENT_TOO_OLD]
    total = sum(one.share for one in others)
    return replace(
        view,
        recent=[span.without_late() for span in view.recent],
        past=[span.without_late() for span in view.past],
        unmappable=[replace(one, share=one.share / total) for one in others],
    )


SMALL_SAMPLE = 50  # outcomes
NOTABLE_DROP = 0.05
BEARABLE_SHARE = 0.8  # of a destination's events taken: less is told even where it is usual


def wants_past(recent: Sequence[Span], success: SuccessRate | None) -> bool:
    """Whether the last half hour leaves open how a destination is doing, so that the day before is worth reading.

    Something failed for the first time, and it is too little to go by, or nothing else happened, or it is more than usual.
    """
    good, bad = sum(span.first_acknowledged for span in recent), sum(span.first_failed for span in recent)
    if not bad:
        return not good and any(span.too_late for span in recent)
    if not good:
        return True
    share = max(BEARABLE_SHARE, success.share if success is not None else 0.0)
    return good + bad < SMALL_SAMPLE or bad / (good + bad) > 1 - share + NOTABLE_DROP


def wants_earlier(view: DestinationView) -> bool:
    """Whether a day holds too few outcomes to tell a share of them by, so that the weeks before are worth reading."""
    good, bad = sum(span.first_acknowledged for span in view.spans), sum(span.first_failed for span in view.spans)
    is_open = view.rate_drop is not None and view.rate_drop.until is None
    return good + bad < SMALL_SAMPLE and (bad > 0 or is_open)


def is_forgotten(since: datetime, last: datetime, count: int, now: datetime) -> bool:
    """Whether nothing has come for so long after ``count`` failures in a row that nobody knows how it is.

    For a day; where they come seldom, for three times as long as is usual between two of them.
    """
    return now - last > max(PAST, 3 * (last - since) / max(1, count - 1))


@dataclass(frozen=True, slots=True)
class MerchantView:
    """A merchant's events at one look. ``level``: its traffic before the silence, as a share of its usual, at most 1.

    ``rejected``: events refused at the door since the last one that was accepted.
    """

    rhythm: Rhythm | None
    last_event_at: datetime | None
    level: float = 1.0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class NameView:
    """Events of one name at one look, of a merchant that sends others.

    ``quiet_since``: its last event, or the end of the merchant's own silence after that. ``level``: its traffic before,
    as a share of its usual, at most 1. ``others``: of each other name with a rhythm, how many minutes with an event are
    usual since then, and how many there were. ``rejected``: events of this name refused since.
    """

    name: str
    rhythm: Rhythm
    quiet_since: datetime
    level: float = 1.0
    others: Sequence[tuple[float, int]] = ()
    rejected: int = 0
