"""``/healthz``: this process is alive. ``/readyz``: it could store what is sent now, in a database that is up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door, reads_only
from tracklayer.db.migrate import pending
from tracklayer.runtime import Runtime

LOOK_SECONDS = 2.0  # whoever asks waits no longer


def health_routes(runtime: Runtime, was_away: Callable[[], bool]) -> list[Route]:
    """``was_away``: whether what was to be stored a moment ago could not be."""

    async def readyz(request: Request) -> Response:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                missing, reads_only = await ask_at_the_door(_look)
        except TimeoutError:
            return _unready("the database does not answer")
        except DatabaseAwayError:
            return _unready("the database is away")
        if missing:
            return JSONResponse({"ready": False, "why": "run `tracklayer migrate`", "pending": missing}, 503)
        if reads_only:
            return _unready("the database only reads: it is a standby, or was set to read only")
        if was_away():
            return _unready("the database could not store what was sent a moment ago")
        return JSONResponse({"ready": True})

    return [Route("/healthz", healthz, name="healthz"), Route("/readyz", readyz, name="readyz")]


async def healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _unready(why: str) -> Response:
    return JSONResponse({"ready": False, "why": why}, 503, {"retry-after": "5"})


def _look() -> tuple[list[str], bool]:
    """What the database lacks, and whether it only reads."""
    return pending(), reads_only()
