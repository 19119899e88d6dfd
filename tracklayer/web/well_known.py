"""``/.well-known/tracklayer-erasure.json``: the public keys by which anybody verifies the receipt of an erasure."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracklayer.db.connection import DatabaseAwayError, run_in_db_thread
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services.receipts import WELL_KNOWN, published_keys

CACHED_SECONDS = 300  # how long a copy may be kept: a new key signs nothing that is older


def well_known_routes(runtime: Runtime) -> list[Route]:
    async def keys(request: Request) -> Response:
        try:
            found = await run_in_db_thread(published_keys, runtime)
        except (DatabaseAwayError, SealError):
            return JSONResponse({"error": "the database, or a key that it needs, is away"}, 503, {"retry-after": "5"})
        headers = {"cache-control": f"public, max-age={CACHED_SECONDS}", "access-control-allow-origin": "*"}
        return JSONResponse(found, headers=headers)

    return [Route(WELL_KNOWN, keys, methods=["GET"], name="erasure keys")]
