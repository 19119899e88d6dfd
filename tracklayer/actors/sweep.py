"""``sweep()``: the one rescue, then wake-ups for whoever has work."""

from __future__ import annotations

from tracklayer.actors import Wake
from tracklayer.runtime import Runtime
from tracklayer.services import deliver


def sweep(runtime: Runtime, wake: Wake) -> None:
    wake(deliver.sweep(runtime).wake)
