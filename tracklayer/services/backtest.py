"""What today's rules would have raised in the last days, from the counters that are kept anyway."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tracklayer.db import destinations as db_destinations
from tracklayer.db import merchants as db_merchants
from tracklayer.db import monitors as db
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.domain.monitors.learn import SuccessRate
from tracklayer.domain.monitors.replay import Raised, replay_destination, replay_merchant
from tracklayer.domain.monitors.views import LEVEL_OF, PAST
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.monitor import learned_of
from tracklayer.services.watches.names import rhythm_of

MOST_DAYS = 34  # older counters are kept by the hour, which is too coarse
MERCHANTS = 200


def backtest(runtime: Runtime, days: int, merchant_id: int | None = None) -> Iterator[tuple[int, list[Raised]]]:
    """(merchant, what would have been raised, in its order) of each merchant, or of one. Writes nothing.

    What is normal is taken from the four weeks before now, as the monitors would learn it now.
    """
    until = runtime.clock.now().replace(second=0, microsecond=0)
    since = until - timedelta(days=days)
    for merchant in [merchant_id] if merchant_id is not None else _merchants():
        yield merchant, _replay(merchant, since, until)


def _merchants() -> Iterator[int]:
    after = 0
    while True:
        with in_transaction():
            page = [merchant_id for merchant_id, _ in db_merchants.page_of_merchants(after, MERCHANTS)]
        yield from page
        if len(page) < MERCHANTS:
            return
        after = page[-1]


def _replay(merchant_id: int, since: datetime, until: datetime) -> list[Raised]:
    with in_transaction(), statements_within(LONG_SECONDS):
        learned = learned_of(merchant_id, until.replace(minute=0), until)
        active = db.active_minutes(merchant_id, since - max(LEVEL_OF), until)
        platforms = [row.platform for row in db_destinations.destinations(merchant_id)]
    rhythm = rhythm_of(learned[""]) if learned[""] else None
    raised = replay_merchant(active, rhythm, since, until)
    for platform in platforms:
        with in_transaction(), statements_within(LONG_SECONDS):
            minutes = db.past_minutes([(merchant_id, platform)], since - PAST, until)
        usual = SuccessRate(**learned[platform]) if learned.get(platform) else None
        title = mapper_for(platform).title
        raised += replay_destination(platform, title, minutes.get((merchant_id, platform), []), usual, since, until)
    return sorted(raised, key=lambda one: one.opened_at)
