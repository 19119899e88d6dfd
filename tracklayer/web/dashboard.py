"""The dashboard's pages: one document for all of its addresses, the same for everybody.

What fills it is a script of ours that speaks the public GraphQL API (its sources: ``ui/``, built into ``static/``).
The headers let nothing else run or load.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracklayer.mappers import PLATFORMS, title_of
from tracklayer.web.docs import HERE, HTML, Document, answer, document_of
from tracklayer.web.hosts import refuse_host
from tracklayer.web.security import page_headers

SCREENS = ("/", "/events", "/deliveries", "/notifications", "/destinations", "/settings", "/why")
MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ICON = HERE / "static" / "icon.svg"
# The names of built files change with their bytes.
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
FOR_A_DAY = {"cache-control": "public, max-age=86400"}
# It stands in the page itself, as nothing else would come where the dashboard's script did not: that would have taken the
# `noscript` away. A page that was loaded again already rests, so that what is gone for good does not go round and round.
WATCH = """
addEventListener('load', () => {
  const left = document.querySelector('#app > noscript')
  if (!left) return
  const main = document.createElement('main')
  main.role = 'alert'
  main.textContent =
    'A part of the dashboard could not be loaded. The page is loaded again by itself as soon as TrackLayer answers.'
  left.after(main)
  const look = () =>
    fetch('/healthz', { cache: 'no-store' })
      .then((answer) => answer.ok && location.reload(), () => {})
      .then(() => setTimeout(look, 3000))
  setTimeout(look, performance.getEntriesByType('navigation')[0]?.type === 'reload' ? 30000 : 3000)
})
"""


class _Text(PathConvertor):
    """What an event's id may be, line breaks too."""

    regex = "(?s:.*)"


register_url_convertor("text", _Text())


def dashboard_routes() -> list[Route]:
    """Every screen's address, those below it, and the built files."""
    below = [f"{path}/{{rest:text}}" for path in ("/events", "/notifications", "/destinations")]
    screens = [Route(path, page, name=path) for path in (*SCREENS, *below)]
    return [*screens, *(Route(f"/static/{file.name}", served(file), name=file.name) for file in (*_built(), ICON))]


async def page(request: Request) -> Response:
    return refuse_host(request) or answer(request, *_page())


def _built() -> list[Path]:
    """What every page loads, ``dashboard-*``, and the parts that its script asks for."""
    found = (HERE / "static").iterdir()
    return sorted(file for file in found if file.name.startswith(("dashboard-", "part-")))


def _needed(file: Path) -> list[Path]:
    """A script and the parts without which it cannot begin."""
    names = re.findall(r"""(?:from|import)\s*"\./([\w.-]+\.js)\"""", file.read_text("utf-8"))
    return [file, *(file.with_name(name) for name in dict.fromkeys(names))]


def served(file: Path) -> Callable[[Request], Response]:
    """What answers with a file of ours; its name changes with its bytes."""

    @cache
    def packed() -> tuple[bytes, bytes]:
        plain = file.read_bytes()
        return plain, gzip.compress(plain, 9, mtime=0)

    def serve(request: Request) -> Response:
        refused = refuse_host(request)
        if refused is not None:
            return refused
        plain, small = packed()
        life = FOR_A_DAY if file == ICON else FOR_EVER
        headers = {**life, "x-content-type-options": "nosniff", "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(small, 200, {**headers, "content-encoding": "gzip"}, MEDIA_TYPES[file.suffix])
        return Response(plain, 200, headers, MEDIA_TYPES[file.suffix])

    return serve


@cache
def _page() -> tuple[Document, dict[str, str]]:
    """With its headers. What is seen first needs nothing else: its style stands in the page. The others are asked for at once,
    and named at the end, where the browser waits for them with the scripts alone, and not with what it shows.
    """
    shell = (HERE / "static" / "shell.css").read_text("utf-8")
    style, script = (
        next(file for file in _built() if file.name.startswith("dashboard-") and file.suffix == end)
        for end in (".css", ".js")
    )
    titles = escape(";".join(f"{key.upper()}={title_of(key)}" for key in PLATFORMS))
    parts = "".join(f'<link rel="modulepreload" href="/static/{file.name}">\n' for file in _needed(script)[1:])
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>TrackLayer</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<style>{shell}</style>
<script>{WATCH}</script>
<link rel="preload" href="/static/{style.name}" as="style">
{parts}<script src="/static/{script.name}" type="module"></script>
</head>
<body>
<div id="app" data-titles="{titles}">
<header class="top"><a class="brand" href="/">TrackLayer</a><a href="/docs">Docs</a></header>
<noscript><main><p>The dashboard needs JavaScript. The GraphQL API at <code>/graphql</code> says the same.</p></main></noscript>
</div>
<link rel="stylesheet" href="/static/{style.name}">
</body>
</html>
"""
    return document_of(text.encode(), HTML), page_headers(shell, WATCH)
