"""``delivery_rate_drop``: a destination takes markedly less of what it is sent than it usually does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors.learn import SuccessRate
from tracklayer.domain.monitors.statistics import failures_at_least
from tracklayer.domain.monitors.views import DestinationView, Span
from tracklayer.domain.monitors.words import clock_time, lasting

# Besides the minute that runs. Short ones find a sudden drop at a busy destination, long ones any drop at a quiet one.
WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 2, 5, 15, 60, 360, 1440))
LEAST_SAMPLE = 20  # first attempts
CHANCE = 1e-7  # of so many failures at its usual rate
FLOOR = 0.10  # a drop by less than ten points is not worth waking anybody
FRESH = 8  # newest events, of which
FRESH_GOOD = 2  # so many must be acknowledged: where none is any more, the platform is down and that is told


def judge_delivery_rate_drop(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    """Its success rate over one of eight windows, of at least 20 events, fell by ten points and more than chance allows.

    Only the first attempt of each event counts: what fails for good is sent five times, and would be five failures. The
    test is the beta-binomial one against the destination's own rate of four weeks with its own spread
    (``learn_success``), one-sided, at one in 10^7. A window never reaches back into an outage or a drop that was told,
    and the last five minutes with events must bear it out.
    An open one stays while these five minutes are more than half the floor below the usual rate.
    """
    usual = view.success
    if usual is None or view.state is not DestinationState.ACTIVE:
        return None
    if not is_open and (view.failing_since is not None or not any(span.first_failed for span in view.recent)):
        return None  # where nothing is answered right now, the next look knows whether it is down
    window = _still_low(view.spans, usual)
    if window is not None and not is_open:
        window = _dropped(view, usual, now)
    if window is None:
        return None
    span, good, bad = window
    rate = good / (good + bad)
    said = f" What the platform said last: {view.last_error}." if view.last_error else ""
    return Finding(
        AlertKind.DELIVERY_RATE_DROP,
        view.platform,
        Severity.CRITICAL if rate < 0.5 else Severity.WARNING,
        f"{view.name} accepts {rate:.0%} instead of {usual.share:.0%}",
        f"{view.name} accepted {good:,} of {good + bad:,} events at the first attempt ({rate:.1%}) in {lasting(now - span)}; {usual.share:.1%}"
        f" is usual.{said} Look at what changed in the events since {clock_time(span)}; the deliveries that failed say"
        " what is wrong with each.",
        span,
        {
            "success_rate": round(rate, 4),
            "usual_success_rate": round(usual.share, 4),
            "acknowledged": good,
            "failed": bad,
            "probability": failures_at_least(bad, good + bad, 1 - usual.share, usual.spread),
            "last_error": view.last_error,
        },
    )


Window = tuple[datetime, int, int]  # since when, acknowledged, failed


def _dropped(view: DestinationView, usual: SuccessRate, now: datetime) -> Window | None:
    """The shortest window in which the drop is beyond chance."""
    told = [told.until for told in (view.outage, view.rate_drop) if told is not None and told.until is not None]
    spans = [span for span in view.spans if all(span.start >= until for until in told)]
    if not _is_partial(spans):
        return None
    minute = now.replace(second=0, microsecond=0)
    for length in WINDOWS:
        since = max([minute - length, *told])
        inside = [span for span in spans if span.start >= since]
        good, bad = sum(span.first_acknowledged for span in inside), sum(span.first_failed for span in inside)
        attempts = good + bad
        if attempts < LEAST_SAMPLE or bad / attempts < 1 - usual.share + FLOOR:
            continue
        if failures_at_least(bad, attempts, 1 - usual.share, usual.spread) < CHANCE:
            return since, good, bad
    return None


def _is_partial(spans: Sequence[Span]) -> bool:
    """Whether the newest events, the running minute first, hold failures and acknowledgements both."""
    good = bad = 0
    for span in reversed(spans):
        good, bad = good + span.first_acknowledged, bad + span.first_failed
        if good + bad >= FRESH:
            break
    return good >= FRESH_GOOD and bad > 0


def _still_low(spans: Sequence[Span], usual: SuccessRate) -> Window | None:
    good = bad = 0
    minutes = set()
    since = None
    for span in reversed(spans):
        if not span.first_acknowledged and not span.first_failed:
            continue
        minutes.add(span.start.replace(second=0, microsecond=0))
        if len(minutes) > 5 and good + bad >= LEAST_SAMPLE:
            break
        good, bad, since = good + span.first_acknowledged, bad + span.first_failed, span.start
    if since is None or good / (good + bad) >= usual.share - FLOOR / 2:
        return None
    return since, good, bad
