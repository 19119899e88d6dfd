"""The monitors: pure functions from what a look saw to a finding or None.

``judge_destination`` and ``judge_merchant`` run those that concern one. ``is_open`` says of each kind whether its alert
is open: an open one asks for more to be over than a new one to begin, so that nothing flaps around a threshold.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tracklayer.domain.alert import AlertKind, Finding
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors.delivery_rate_drop import judge_delivery_rate_drop
from tracklayer.domain.monitors.platform_down import judge_platform_down
from tracklayer.domain.monitors.queue_backlog import judge_queue_backlog
from tracklayer.domain.monitors.tracking_stopped import judge_tracking_stopped
from tracklayer.domain.monitors.views import DestinationView, MerchantView, without_imports

OF_DESTINATIONS = (AlertKind.PLATFORM_DOWN, AlertKind.QUEUE_BACKLOG, AlertKind.DELIVERY_RATE_DROP)


def judge_destination(view: DestinationView, open_kinds: Collection[AlertKind], now: datetime) -> list[Finding]:
    """What is wrong with a destination.

    While it is down, its rate and its queue say nothing more; and until the alert about that has resolved, nothing new:
    what the outage left behind is part of it. While it is paused, its queue is judged in any case.
    """
    is_paused = view.state is DestinationState.PAUSED
    view = without_imports(view)
    down = judge_platform_down(view, is_open=AlertKind.PLATFORM_DOWN in open_kinds, now=now)
    if down is not None and not is_paused:
        return [down]
    found = [down]
    for kind, judge in _AFTER_AN_OUTAGE.items():
        if is_paused or kind in open_kinds or AlertKind.PLATFORM_DOWN not in open_kinds:
            found.append(judge(view, is_open=kind in open_kinds, now=now))
    return [finding for finding in found if finding is not None]


_AFTER_AN_OUTAGE = {
    AlertKind.QUEUE_BACKLOG: judge_queue_backlog,
    AlertKind.DELIVERY_RATE_DROP: judge_delivery_rate_drop,
}


def judge_merchant(view: MerchantView, now: datetime, *, is_open: bool = False) -> list[Finding]:
    """What is wrong with a merchant's events. ``is_open``: an alert tells of this silence, and no event came since."""
    stopped = judge_tracking_stopped(view, now, is_open=is_open)
    return [stopped] if stopped is not None else []
