"""The sandbox as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.routing import Route

from tracklayer.sandbox.controls import Controls
from tracklayer.sandbox.engine import DEFAULT_LIMITS, Engine, Limits
from tracklayer.sandbox.platforms import PLATFORMS
from tracklayer.sandbox.platforms.base import Platform


def utc_now() -> datetime:
    return datetime.now(UTC)


def build_sandbox(
    seed: int = 0,
    clock: Callable[[], datetime] = utc_now,
    limits: Limits = DEFAULT_LIMITS,
    platforms: Mapping[str, Platform] = PLATFORMS,
) -> Starlette:
    """A sandbox with nothing in it.

    ``seed`` decides which requests a fault with a ``share`` strikes. ``clock`` gives aware times: it judges
    the age of events, duplicates and how long faults last. Faults that cut the connection need
    ``SandboxServer``.
    """
    engine = Engine(platforms, clock, seed, limits)
    return Starlette(routes=[*Controls(engine).routes(), Route("/{platform}{path:path}", engine)])
