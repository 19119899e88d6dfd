"""``deliver(merchant_id, platform, ...)``: look what is due at these destinations. ``deliver_alone``: at one, by itself."""

from __future__ import annotations

from typing import Any

from tracklayer.actors.lanes import Lanes
from tracklayer.actors.together import Together
from tracklayer.actors.waker import Waker
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due


def deliver(together: Together, *named: Any) -> None:
    """``named``: merchant id and platform of one destination after the other."""
    together(zip(named[::2], named[1::2], strict=True))


def deliver_alone(
    runtime: Runtime, worker: WorkerLock, lanes: Lanes, wake: Waker, merchant_id: int, platform: str
) -> None:
    destination = (merchant_id, platform)
    turns = runtime.turns
    with lanes.enter(destination, yields=turns.is_behind(destination) and turns.is_busy()) as room:
        more = room and deliver_due(runtime, worker.number(), merchant_id, platform)
    if room:
        # Who stands in line comes first. Should this fail before, the sweep wakes them within a second.
        wake.alone(lanes.missed(destination))
    if more:
        wake.alone([destination])
