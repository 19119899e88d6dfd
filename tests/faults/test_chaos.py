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
    assert found.acknowledged == found.events == 400
    assert sum(found.by_status.values()) == 1200
    assert sum(found.kills.values()) == 8
    if not found.drop_reasons:
        assert found.unique == 1200
