"""The names under which the dashboard answers. Another is refused: a page elsewhere may have pointed its own name here.

The API proper, which is asked with keys, answers under any name, and so do the guides and the health pages.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tracklayer.domain.site import Site

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
