"""``sweep()``: the one rescue, then wake-ups for whoever has work."""

from __future__ import annotations

import random

from tracklayer.actors import Wake
from tracklayer.runtime import Runtime
from tracklayer.services import sweep as rescue


def sweep(runtime: Runtime, wake: Wake) -> None:
    found = rescue.sweep(runtime).wake
    # Where there are more than lanes, who comes first finds one: it must not be the same ones each time.
    random.shuffle(found)
    wake(found)
