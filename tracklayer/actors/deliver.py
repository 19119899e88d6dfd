"""``deliver(merchant_id, platform)``: look what is due there."""

from __future__ import annotations

from tracklayer.actors import Wake
from tracklayer.actors.lanes import Lanes
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due


def deliver(runtime: Runtime, worker: WorkerLock, lanes: Lanes, wake: Wake, merchant_id: int, platform: str) -> None:
    destination = (merchant_id, platform)
    turns = runtime.turns
    with lanes.enter(destination, yields=turns.is_behind(destination) and turns.is_busy()) as room:
        more = room and deliver_due(runtime, worker.number(), merchant_id, platform)
    if room:
        # Who stands in line comes first. Should this fail before, the sweep wakes them within a second.
        wake(lanes.missed(destination))
    if more:
        wake([destination])
