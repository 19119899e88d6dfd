"""GraphiQL, for whoever opens ``/graphql`` in a browser: everything that it loads is in ``static/graphiql/``.

Its session is the dashboard's. Any other request at that address goes on to the API.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tracklayer.web.dashboard import served
from tracklayer.web.docs import HERE, HTML, Document, answer, document_of
from tracklayer.web.hosts import refuse_host
from tracklayer.web.security import GRAPHIQL_HEADERS

FOLDER = HERE / "static" / "graphiql"
VENDORED = ("react-18.3.1.js", "react-dom-18.3.1.js", "graphiql-4.1.2.js", "graphiql-4.1.2.css")
OWN = ("graphiql.js", "page.css")


def graphiql_routes() -> list[Route]:
    """The files that the page loads. Names change with what is in them: by version, or by a digest."""
    return [Route(path, served(file), name=file.name) for file, path in _files().items()]


@cache
def _files() -> dict[Path, str]:
    """file -> address."""
    vendored = {FOLDER / name: f"/static/graphiql/{name}" for name in VENDORED}
    return vendored | {file: f"/static/graphiql/{_hashed(file)}" for file in (FOLDER / name for name in OWN)}


def _hashed(file: Path) -> str:
    return f"{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:10]}{file.suffix}"


class WithGraphiQL:
    """The API's door, and GraphiQL for whoever reads HTML and asks nothing yet."""

    def __init__(self, door: ASGIApp) -> None:
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and _is_for_eyes(scope):
            await _page(Request(scope))(scope, receive, send)
        else:
            await self._door(scope, receive, send)


def _is_for_eyes(scope: Scope) -> bool:
    accepts = any(name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"])
    return accepts and "query" not in parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _page(request: Request) -> Response:
    refused = refuse_host(request)
    if refused is not None:
        return refused
    page = answer(request, _document(), GRAPHIQL_HEADERS)
    page.headers["vary"] = "accept"
    return page


@cache
def _document() -> Document:
    styles = [path for file, path in _files().items() if file.suffix == ".css"]
    scripts = [path for file, path in _files().items() if file.suffix == ".js"]
    head = [f'<link rel="stylesheet" href="{path}">' for path in styles]
    head += [f'<script src="{path}" defer></script>' for path in scripts]
    loads = "\n".join(head)
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>GraphQL API · TrackLayer</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
{loads}
</head>
<body>
<header><a href="/">TrackLayer</a><span>The API is explained in its <a href="/docs/api">guide</a>.</span><span id="who" role="status"></span></header>
<div id="graphiql"><noscript>GraphiQL needs JavaScript. The API takes POST requests at this address.</noscript></div>
</body>
</html>
"""
    return document_of(text.encode(), HTML)
