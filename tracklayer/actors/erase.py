"""``erase()``: erasures of people go on, page by page."""

from __future__ import annotations

from tracklayer.runtime import Runtime
from tracklayer.services.erase_jobs import continue_erasures


def erase(runtime: Runtime) -> None:
    continue_erasures(runtime)
