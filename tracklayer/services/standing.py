"""How all destinations of a merchant stand, at one moment and in a handful of statements."""

from __future__ import annotations

from datetime import datetime, timedelta

from tracklayer.db import destinations as db_destinations
from tracklayer.db import queues as db_queues
from tracklayer.db import standing as db
from tracklayer.db.counters import minute_of
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.standing import PACE_OF, Flow, Standing, Waiting, judge_standing
from tracklayer.mappers import PLATFORMS, mapper_for


def standings(merchant_id: int, window: timedelta, now: datetime) -> dict[str, Standing]:
    """By platform. ``window``: how long a delivery waits at most. Needs an open transaction."""
    there = {row.platform: row for row in db_destinations.destinations(merchant_id)}
    waiting = db_queues.waiting_by_platform(merchant_id)
    since = minute_of(now - PACE_OF)
    lately = db.lately(merchant_id, list(there), since, now)
    oldest = db.longest_waiting(merchant_id, [key for key in there if waiting.get(key, 0) > 0], window, now)
    found = {}
    for platform, row in there.items():
        of_late = lately[platform]
        found[platform] = judge_standing(
            DestinationState(row.state),
            waiting.get(platform, 0),
            [_waiting(row, one) for one in oldest.get(platform, ())],
            Flow((now - since).total_seconds(), of_late.arrived, of_late.left, of_late.acknowledged),
            of_late.acknowledged_at,
            now,
        )
    return found


def _waiting(row: DestinationRow, found: db.WaitingRow) -> Waiting:
    """A platform that this version does not know has no age limit here."""
    age = None
    if row.platform in PLATFORMS:
        age = mapper_for(row.platform).oldest_age(found.action_source, row.settings)
    return Waiting(found.since, found.window_ends_at, found.occurred_at + age if age is not None else None)
