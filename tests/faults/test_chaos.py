"""The storm of ``tracklayer bench chaos`` in a size that takes half a minute."""

from __future__ import annotations

import pytest

from tracklayer.cli.bench.chaos import storm
from tracklayer.cli.bench.ground import redis_binary
from tracklayer.cli.bench.roles import Crowd

SEED = 3


def test_nothing_is_lost_or_sent_twice_or_stuck_whatever_dies() -> None:
    if redis_binary() is None:
        pytest.skip("no Redis: put redis-server on PATH")
    print(f"seed {SEED}")
    found = storm(400, 3, 8, SEED, Crowd(apis=2, workers=2, schedulers=1))
    assert found.faults == []
    assert found.acknowledged == found.events > 400, "all that were sent, and a canary for each trouble and API"
    assert sum(found.by_status.values()) == 3 * found.events
    assert sum(found.kills.values()) == 8
    assert len(found.recovery_seconds) == 8
    assert 1 <= found.most_arrivals <= 5
    if not found.drop_reasons:
        assert found.unique == 3 * found.events
