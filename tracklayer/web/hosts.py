"""The names under which the dashboard answers. Another is refused: a page elsewhere may have pointed its own name here.

The API proper, which is asked with keys, answers under any name, and so do the guides and the health pages; but not under a
name that is set to be a collector's, where shops' pages come by and nothing else is to be found.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from tracklayer.domain.site import Site, is_own_machine

MISDIRECTED = 421


def site_of(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


def wrong_host(request: Request) -> str | None:
    """What to do, in a sentence, where a request names a host that is not the dashboard's; None where it does."""
    site = site_of(request)
    named = {value for name, value in request.scope["headers"] if name == b"host"}
    if len(named) == 1 and site.is_named_by(*named):
        return None
    return (
        f"The dashboard does not answer under this name: open {site.public_url}, "
        "or set TRACKLAYER_PUBLIC_URL to the address that you use."
    )


def refuse_host(request: Request) -> Response | None:
    """The answer to a request that names a host that is not the dashboard's; None where it does."""
    why = wrong_host(request)
    return PlainTextResponse(f"{why}\n", MISDIRECTED, {"cache-control": "no-store"}) if why is not None else None


def is_loopback(scope: Scope) -> bool:
    """Whether a request names this machine's own."""
    return any(name == b"host" and is_own_machine(host) for name, host in scope["headers"])


def is_collectors(scope: Scope, hosts: Sequence[str], site: Site) -> bool:
    """Whether a request names a host that serves the collector alone. ``hosts``: names, ``*.name``, or ``*`` for all but the
    dashboard's.
    """
    for key, host in scope["headers"]:
        if key == b"host":
            name = host.decode("latin-1").lower().partition(":")[0].removesuffix(".")
            return any(
                not site.is_named_by(host) if known == "*" else name == known or _is_below(name, known)
                for known in hosts
            )
    return False


def _is_below(name: str, known: str) -> bool:
    return known.startswith("*.") and name.endswith(known[1:])
