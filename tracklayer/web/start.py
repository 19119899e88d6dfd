"""``/``: says that TrackLayer is running and where to go from here. Nothing of any merchant's."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracklayer.runtime import Runtime
from tracklayer.web.docs import answer, layout


def start_routes(runtime: Runtime) -> list[Route]:
    page = layout("TrackLayer", _main(runtime.settings.public_url), current="/")

    async def start(request: Request) -> Response:
        return answer(request, page)

    return [Route("/", start, name="start")]


def _main(public_url: str) -> str:
    return f"""<h1>TrackLayer is running</h1>
<article>
<p>It takes your conversions and delivers each one to the ad platforms once, in each platform's own format.</p>
<ul class="cards">
<li><a href="/docs/quickstart">Quickstart</a><p>From nothing to a delivered event, in a few minutes.</p></li>
<li><a href="/docs">Documentation</a><p>The guides, and a page for every platform.</p></li>
<li><a href="/graphql">GraphQL API</a><p>Takes <code>POST</code> requests at <code>{escape(public_url)}/graphql</code>.</p></li>
<li><a href="/healthz">Health</a><p>Answers <code>ok</code> while this process is alive.</p></li>
</ul>
</article>"""
