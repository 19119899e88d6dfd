"""Whether a platform answers: told by the stretches of time in which it left much unanswered, not by single answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tracklayer.domain.monitors.views import Span

A_MINUTE = timedelta(seconds=60)
TWO_MINUTES = timedelta(minutes=2)
LATELY = timedelta(minutes=5)
MUCH = 0.2  # of what a span brought, without an answer
SOME = 0.05  # the same, of one that was down before
OFTEN = 1 / 3  # of the spans
TIMES = 3


def fails(span: Span, part: float = MUCH) -> bool:
    return bool(span.unanswered) and span.unanswered >= part * span.outcomes


def often_fails(spans: Sequence[Span], now: datetime) -> bool:
    """Whether a third of the spans of two minutes that brought anything failed: it comes and goes, and is not well."""
    late = [span for span in spans if span.outcomes and span.end > now - TWO_MINUTES]
    return 0 < sum(map(fails, late)) >= OFTEN * len(late)


def keeps_failing(spans: Sequence[Span], now: datetime) -> bool:
    """The same, three times, over more than a minute and in the last one."""
    failing = [span for span in spans if span.end > now - LATELY and fails(span)]
    if len(failing) < TIMES or failing[-1].end <= now - A_MINUTE or failing[-1].end - failing[0].start <= A_MINUTE:
        return False
    return often_fails(spans, now)


def is_not_back(spans: Sequence[Span], down_since: datetime | None, now: datetime) -> bool:
    """Of a platform that was down: whether it has answered without failing for less than a minute yet, or has failed
    within five since it had answered before.

    So one that is back is believed after a minute, and one that comes and goes after five.
    """
    answered_at: datetime | None = None  # for the first time since it failed last
    failed = answered_before = is_wavering = False
    for span in spans:
        if fails(span, SOME):
            failed, answered_at = True, None
            is_wavering = is_wavering or (answered_before and span.end > now - LATELY)
        elif span.acknowledged and answered_at is None:
            answered_at = span.start
        answered_before = answered_before or bool(
            span.acknowledged and down_since is not None and span.start >= down_since
        )
    if not failed:
        return False
    return is_wavering or answered_at is None or now - answered_at < A_MINUTE
