"""The storm of ``tracklayer bench chaos`` in a size that takes a minute."""

from __future__ import annotations

import pytest

from tracklayer.cli.bench.chaos.storm import storm
from tracklayer.cli.bench.chaos.troubles import Pace
from tracklayer.cli.bench.ground import redis_binary
from tracklayer.cli.bench.pooler import pooler_binary
from tracklayer.cli.bench.roles import Crowd

SEED = 3
QUICK = Pace(kill=0.6, away=1, frozen=3, locked=1, buggy=0.6, lost=3)  # none lasts until a platform is held
CROWD = Crowd(apis=1, workers=1, schedulers=1) if pooler_binary() else Crowd(apis=2, workers=2, schedulers=1)


def test_nothing_is_lost_or_sent_twice_or_stuck_whatever_dies() -> None:
    if redis_binary() is None:
        pytest.skip("no Redis: put redis-server on PATH")
    print(f"seed {SEED}")
    found = storm(400, 3, 8, SEED, CROWD, QUICK)
    print(found.describe())
    assert found.faults == []
    assert found.acknowledged == found.events > 400, "all that were sent, and a canary for each trouble and API"
    assert sum(found.by_status.values()) == 3 * found.events
    assert sum(found.kills.values()) == 8
    assert len(found.recovery_seconds) + len(found.absent) == 14, "how soon all served again after each trouble"
    assert 2 <= found.most_arrivals <= 5
    if not found.drop_reasons:
        assert found.unique == 3 * found.events
