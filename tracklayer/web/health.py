"""``/healthz``: this process is alive. ``/readyz``: it can serve, because the database is there and up to date."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door
from tracklayer.db.migrate import pending
from tracklayer.runtime import Runtime


def health_routes(runtime: Runtime) -> list[Route]:
    return [Route("/healthz", healthz, name="healthz"), Route("/readyz", readyz, name="readyz")]


async def healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    try:
        missing = await ask_at_the_door(pending)
    except DatabaseAwayError:
        return JSONResponse({"ready": False, "why": "the database is away"}, 503, {"retry-after": "5"})
    if missing:
        return JSONResponse({"ready": False, "why": "run `tracklayer migrate`", "pending": missing}, 503)
    return JSONResponse({"ready": True})
