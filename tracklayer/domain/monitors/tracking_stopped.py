"""``tracking_stopped``: a merchant that usually sends has gone quiet."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.monitors.learn import USUAL_AT_LEAST, Rhythm
from tracklayer.domain.monitors.views import MerchantView
from tracklayer.domain.monitors.words import clock_time, counted, lasting

LEAST_SILENCE = timedelta(minutes=15)  # a busy shop that deploys is back by then
TIMES_USUAL = 1.5  # how much longer than the usual silence one must be


def judge_tracking_stopped(view: MerchantView, now: datetime) -> Finding | None:
    """A silence that swallowed half as much again as this merchant's usual one, judged by the hours of its own week.

    Where arrivals are independent, the chance of a silence that swallows x minutes with an event is at most exp(-x),
    as for any Poisson process: the usual silence, of one in a thousand or the longest but one of four weeks, makes
    x at least 6.9; one and a half times that is a chance of one in 31,600. Where they come in clusters, the usual one has
    been longer, and so has to be this one. Nobody is judged without a rhythm (``learn_rhythm``). It is over with the next
    event.
    """
    if view.rhythm is None or view.last_event_at is None:
        return None
    silence = now - view.last_event_at
    if silence < LEAST_SILENCE:
        return None
    swallowed = view.rhythm.expected(view.last_event_at, now) * view.level
    if swallowed < TIMES_USUAL * view.rhythm.usual:
        return None
    chance = math.exp(-swallowed * USUAL_AT_LEAST / view.rhythm.usual)
    refused = (
        f" {counted(view.rejected, 'event')} came since but {'was' if view.rejected == 1 else 'were'} refused for"
        " bad fields: the answers to them say which."
        if view.rejected
        else ""
    )
    return Finding(
        AlertKind.TRACKING_STOPPED,
        None,
        Severity.CRITICAL,
        f"No event for {lasting(silence)}",
        f"The last event arrived at {clock_time(view.last_event_at)}. At these hours {swallowed:,.0f} minutes with an"
        f" event are usual since then; the chance of such a silence is {_one_in(chance)}.{refused} Look at whether the"
        " shop still sends: its deployments, its API key, its connection to TrackLayer.",
        view.last_event_at,
        {
            "silent_seconds": round(silence.total_seconds()),
            "expected_minutes_with_events": round(swallowed, 1),
            "usual_silence_swallows": round(view.rhythm.usual, 1),
            "probability": chance,
            "rejected_since": view.rejected,
        },
    )


def may_have_stopped(rhythm: Rhythm, last_event_at: datetime, now: datetime) -> bool:
    """The quick test: whether it would be told if the traffic before was as usual."""
    if now - last_event_at < LEAST_SILENCE:
        return False
    return rhythm.expected(last_event_at, now) >= TIMES_USUAL * rhythm.usual


def _one_in(chance: float) -> str:
    return "less than one in a billion" if chance < 1e-9 else f"one in {1 / chance:,.0f}"
