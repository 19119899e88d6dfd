"""``/healthz``: this process is alive. ``/readyz``: it could store what is sent now, in a database that is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door, reads_only
from tracklayer.db.migrate import pending
from tracklayer.runtime import Runtime
from tracklayer.services.keys import ADVICE, has_a_key
from tracklayer.services.soundness import troubles

LOOK_SECONDS = 2.0  # whoever asks waits no longer


def health_routes(runtime: Runtime, was_away: Callable[[], bool]) -> list[Route]:
    """``was_away``: whether what was to be stored a moment ago could not be."""
    readyz = _Readiness(runtime, was_away).readyz
    return [Route("/healthz", healthz, name="healthz"), Route("/readyz", readyz, name="readyz")]


async def healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _unready(why: str, **more: object) -> Response:
    return JSONResponse({"ready": False, "why": why, **more}, 503, {"retry-after": "5"})


@dataclass(frozen=True)
class _Found:
    pending: list[str] = field(default_factory=list)
    why: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Readiness:
    runtime: Runtime
    was_away: Callable[[], bool]

    async def readyz(self, request: Request) -> Response:
        """503 with ``why``, or 200; ``warnings`` then are what makes it lose events though it serves."""
        if request.app.state.ending:
            return _unready("this process is being ended")
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await ask_at_the_door(self._look)
        except TimeoutError:
            return _unready("the database does not answer")
        except DatabaseAwayError:
            return _unready("the database is away")
        if found.pending:
            return _unready("run `tracklayer migrate`", pending=found.pending)
        if found.why is not None:
            return _unready(found.why)
        if self.was_away():
            return _unready("the database could not store what was sent a moment ago")
        return JSONResponse({"ready": True, **({"warnings": found.warnings} if found.warnings else {})})

    def _look(self) -> _Found:
        missing = pending()
        if missing:
            return _Found(missing)
        if reads_only():
            return _Found(why="the database only reads: it is a standby, or was set to read only")
        if not has_a_key(self.runtime.sealer):
            return _Found(why=ADVICE)
        found = troubles(None, self.runtime.settings.sandbox_url)
        return _Found(warnings=[trouble.sentence for trouble in found])
