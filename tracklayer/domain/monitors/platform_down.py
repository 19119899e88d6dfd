"""``platform_down``: nothing that is sent to a destination is accepted any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.health import UNANSWERED
from tracklayer.domain.monitors.statistics import failures_in_a_row
from tracklayer.domain.monitors.views import DestinationView, Span
from tracklayer.domain.monitors.words import clock_time, counted, lasting

# A hold is told once its first probe, half a minute after it began, has brought nothing either: a hiccup is over by then.
TOLD_AFTER = timedelta(seconds=36)
CHANCE = 1e-9  # of so many refusals in a row while all is well
SHARE_OF_A_NEW_ONE = 0.2  # of events that a destination is taken to refuse as long as nothing is known of it
SHARE_AT_LEAST, SHARE_AT_MOST = 0.1, 0.9
TIMES_USUAL = 3  # an event that is refused comes seldom alone: its like are refused too
FORGOTTEN_AFTER = timedelta(hours=24)  # no attempt for so long: nobody knows any more

REFUSED = (
    "Look at what changed in the events or in the destination's settings: each delivery says what the platform wants."
    " Redeliver what was dropped once it is mended."
)
UNREACHABLE = (
    "Nothing needs to be done: it is tried again every few minutes, and all that waits goes out once it answers."
)
UNANSWERED_TOO = (
    "What was sent may have arrived all the same: no delivery is sent more than five times, each try is in its log, and"
    " platforms that recognise copies count it once."
)
OURS = "Its operator has to mend that, TrackLayer's log says more; nothing is sent and nothing lost meanwhile."
CREDENTIALS = "Set valid credentials on the destination: sending goes on at once."


@dataclass(frozen=True, slots=True)
class Streak:
    """The failures since the last acknowledgement. ``events``: those of them that failed for the first time."""

    failed: int
    events: int
    since: datetime
    refused: int


def judge_platform_down(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    """A destination that is held, or that refuses all it gets.

    The engine holds what cannot be reached or refuses the credentials; that is told once it has lasted, credentials at
    once. What is reached and refuses every event is told when so many events in a row, each with the chance that this
    destination usually refuses one (three times that, from 10 to 90 %), would be a coincidence of one in 10^9. Events
    are counted and not their retries, which fail with them.

    An open one stays until something is acknowledged again, or nothing was sent for a day.
    """
    if view.state is DestinationState.PAUSED:
        return None
    if view.state is DestinationState.HELD:
        return _judge_hold(view, is_open=is_open, now=now)
    if not is_open and not _is_refusing(view):
        return None
    streak = streak_of(view.spans)
    if streak is None or now - streak.since > FORGOTTEN_AFTER:
        return None
    if not is_open and streak.events < refusals_needed(view):
        return None
    share = usually_refused(view)
    normal = (
        f"Usually {share:.1%} of its events fail at first."
        if share is not None
        else "It is new: nothing is known of it."
    )
    said = f" What it said last: {view.last_error}." if view.last_error else ""
    refused = streak.refused * 2 >= streak.failed
    return Finding(
        AlertKind.PLATFORM_DOWN,
        view.platform,
        Severity.CRITICAL,
        f"{view.name} refuses every event" if refused else f"{view.name} does not answer",
        f"{view.name} has accepted none of the last {counted(streak.failed, 'attempt')}, since"
        f" {clock_time(streak.since)}. {normal}{said} {REFUSED if refused else UNREACHABLE}",
        streak.since,
        {
            "cause": "refused" if refused else "unreachable",
            "failures": streak.failed,
            "usual_failure_share": share,
            "last_error": view.last_error,
            "waiting": view.waiting,
        },
    )


def _judge_hold(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    since = view.failing_since or now
    reason = view.state_reason or "unreachable"
    credentials = reason.startswith("credentials")
    if not is_open and not credentials and now - since < TOLD_AFTER:
        return None
    is_ours = reason.startswith("TrackLayer")
    seen = "refuses the credentials" if credentials else "is not sent anything" if is_ours else "does not answer"
    todo = CREDENTIALS if credentials else OURS if is_ours else UNREACHABLE
    if reason.startswith(UNANSWERED):
        todo = f"{UNANSWERED_TOO} {todo}"
    probe = f" The next try is at {clock_time(view.resume_at)}." if view.resume_at and view.resume_at > now else ""
    waiting = f" {counted(view.waiting, 'delivery', 'deliveries')} wait{'s' if view.waiting == 1 else ''}."
    lost = ""
    if view.oldest is not None:
        left = view.oldest.expires_at - now
        lost = (
            f" The oldest is dropped in {lasting(left)} unless it answers before."
            if left > timedelta()
            else " The oldest are being dropped for their age."
        )
    return Finding(
        AlertKind.PLATFORM_DOWN,
        view.platform,
        Severity.CRITICAL,
        f"{view.name} {seen}",
        f"{view.name} {seen} since {clock_time(since)} ({reason}).{waiting}{lost} {todo}{probe}",
        since,
        {
            "cause": "credentials_refused" if credentials else "internal" if is_ours else "unreachable",
            "reason": reason,
            "waiting": view.waiting,
            "next_try_at": view.resume_at,
            "first_loss_at": view.oldest.expires_at if view.oldest else None,
        },
    )


def _is_refusing(view: DestinationView) -> bool:
    """The quick test: whether the newest span with attempts has failures and nothing else."""
    for span in reversed(view.recent):
        if span.attempts:
            return not span.acknowledged
    return False


def streak_of(spans: Sequence[Span]) -> Streak | None:
    """The newest spans in which all attempts failed; None where the newest attempts were acknowledged."""
    failed = events = refused = 0
    since: datetime | None = None
    for span in reversed(spans):
        if span.acknowledged:
            break
        if span.failed:
            since = span.start
        failed += span.failed
        refused += span.refused
        events += span.first_failed
    return Streak(failed, events, since, refused) if since is not None else None


def usually_refused(view: DestinationView) -> float | None:
    return None if view.success is None else 1 - view.success.share


def refusals_needed(view: DestinationView) -> int:
    share = usually_refused(view)
    usual = SHARE_OF_A_NEW_ONE if share is None else share * TIMES_USUAL
    return failures_in_a_row(min(SHARE_AT_MOST, max(SHARE_AT_LEAST, usual)), CHANCE)
