"""``/metrics``: what Prometheus reads. It names no merchant, and yet it is nobody's business but the operator's.

With ``TRACKLAYER_METRICS_TOKEN`` whoever has the token may read it, from anywhere. Without, it is served on a port of its own
(``TRACKLAYER_METRICS_PORT``), and beside the API only to this machine, as long as the API has no address that others know.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tracklayer import metrics
from tracklayer.domain.site import Site, is_own_machine

KEPT_SECONDS = 1.0  # what was found, for those who ask right afterwards
# What proxies say of themselves, besides all that begins with ``x-forwarded-``.
_FORWARDED = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
_ANY_ADDRESS = frozenset({b"0.0.0.0", b"[::]"})
_NOT_HERE = (
    "Metrics are served beside the API to this machine alone, and not at all where TRACKLAYER_PUBLIC_URL names another: set "
    "TRACKLAYER_METRICS_TOKEN and send it as a bearer token, or TRACKLAYER_METRICS_PORT and ask there.\n"
)


def metrics_route(
    token: Secret | None, public_url: str, *, is_own_port: bool = False, shared: Path | None = None
) -> Route:
    """``is_own_port``: nothing but health is beside it. ``shared``: as for ``metrics.exposition``."""
    return Route("/metrics", _Door(token, public_url, is_own_port, shared).metrics)


@dataclass
class _Door:
    """One reading at a time, whoever asks and however often: all of it is written anew for each."""

    token: Secret | None
    public_url: str
    is_own_port: bool
    shared: Path | None
    _reading: asyncio.Future[bytes] | None = None
    _read_at: float = -math.inf

    async def metrics(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        now = asyncio.get_running_loop().time()
        if self._reading is None or (self._reading.done() and now - self._read_at > KEPT_SECONDS):
            # In a thread: it takes some milliseconds, for which requests would wait.
            reading = asyncio.to_thread(metrics.exposition, self.shared)
            self._reading, self._read_at = asyncio.ensure_future(reading), now
            self._reading.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        body = await asyncio.shield(self._reading)
        return Response(body, headers={"content-type": metrics.CONTENT_TYPE, "cache-control": "no-store"})

    def _refused(self, request: Request) -> Response | None:
        if self.token is not None:
            given = request.headers.get("authorization", "").encode("latin-1")
            if hmac.compare_digest(given, f"Bearer {self.token}".encode()):
                return None
            return PlainTextResponse(
                "This needs TRACKLAYER_METRICS_TOKEN as a bearer token.\n", 401, {"www-authenticate": "Bearer"}
            )
        if self.is_own_port or (self._has_no_public_address() and _is_from_here(request)):
            return None
        return PlainTextResponse(_NOT_HERE, 403)

    def _has_no_public_address(self) -> bool:
        host = Site.at(self.public_url).host
        return is_own_machine(host) or host in _ANY_ADDRESS


def _is_from_here(request: Request) -> bool:
    """Whether this machine asked, and no proxy on it for somebody else."""
    headers = request.scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts or not all(map(is_own_machine, hosts)):
        return False
    # nginx, where nobody told it otherwise, passes a request on under this machine's name, in HTTP/1.0, and says no more.
    if request.scope["http_version"] == "1.0":
        return False
    if any(name in _FORWARDED or name.startswith(b"x-forwarded-") for name, _ in headers):
        return False
    try:
        address = ip_address(request.client.host if request.client is not None else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
