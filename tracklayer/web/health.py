"""``/healthz``: this process is alive. ``/readyz``: it can serve, because the database is there, up to date, and ours."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door
from tracklayer.db.migrate import pending
from tracklayer.runtime import Runtime
from tracklayer.services.keys import ADVICE, has_a_key
from tracklayer.services.soundness import troubles


def health_routes(runtime: Runtime) -> list[Route]:
    readyz = _Readiness(runtime).readyz
    return [Route("/healthz", healthz, name="healthz"), Route("/readyz", readyz, name="readyz")]


async def healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


@dataclass(frozen=True)
class _Found:
    pending: list[str] = field(default_factory=list)
    lost_key: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Readiness:
    runtime: Runtime

    async def readyz(self, request: Request) -> Response:
        """503 with ``why``, or 200; ``warnings`` then are what makes it lose events though it serves."""
        if request.app.state.ending:
            return JSONResponse({"ready": False, "why": "this process is being ended"}, 503)
        try:
            found = await ask_at_the_door(self._look)
        except DatabaseAwayError:
            return JSONResponse({"ready": False, "why": "the database is away"}, 503, {"retry-after": "5"})
        if found.pending:
            return JSONResponse({"ready": False, "why": "run `tracklayer migrate`", "pending": found.pending}, 503)
        if found.lost_key is not None:
            return JSONResponse({"ready": False, "why": found.lost_key}, 503)
        return JSONResponse({"ready": True, **({"warnings": found.warnings} if found.warnings else {})})

    def _look(self) -> _Found:
        missing = pending()
        if missing:
            return _Found(missing)
        if not has_a_key(self.runtime.sealer):
            return _Found(lost_key=ADVICE)
        found = troubles(None, self.runtime.settings.sandbox_url)
        return _Found(warnings=[trouble.sentence for trouble in found])
