"""``redeliver()``: big redeliveries go on, page by page."""

from __future__ import annotations

from tracklayer.actors import Wake
from tracklayer.runtime import Runtime
from tracklayer.services.redeliver import continue_redeliveries


def redeliver(runtime: Runtime, wake: Wake) -> None:
    wake(continue_redeliveries(runtime))
