"""``/notifications``: the page that everything which tells of an alert links to, and the list of open ones.

One document for all addresses, the same for everybody: it asks for an API key, keeps it in its memory alone, and reads
the public API. Its script and styles are files of ours, and the headers let nothing else run or load.
"""

from __future__ import annotations

from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracklayer.web.docs import HERE, HTML, Document, answer, document_of

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
SNOOZES = ((1, "1 hour"), (4, "4 hours"), (8, "8 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week"))


def notifications_routes() -> list[Route]:
    return [
        Route("/notifications", page, name="notifications"),
        Route("/notifications/{alert}", page, name="notification"),
        Route("/static/notifications.js", script, name="notifications_script"),
        Route("/static/notifications.css", stylesheet, name="notifications_stylesheet"),
    ]


async def page(request: Request) -> Response:
    return answer(request, _page(), SECURITY_HEADERS)


async def script(request: Request) -> Response:
    return answer(request, _static("notifications.js", "text/javascript; charset=utf-8"), SECURITY_HEADERS)


async def stylesheet(request: Request) -> Response:
    return answer(request, _static("notifications.css", "text/css; charset=utf-8"), SECURITY_HEADERS)


@cache
def _static(name: str, media_type: str) -> Document:
    return document_of((HERE / "static" / name).read_bytes(), media_type)


@cache
def _page() -> Document:
    # No input has a name: without the script nothing of them could be sent, not even by mistake.
    choices = "".join(f'<option value="{hours}">{text}</option>' for hours, text in SNOOZES)
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Notifications · TrackLayer</title>
<link rel="stylesheet" href="/static/docs.css">
<link rel="stylesheet" href="/static/notifications.css">
<script src="/static/notifications.js" defer></script>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><a class="brand" href="/">TrackLayer</a><a href="/notifications" id="all">Notifications</a><a href="/docs">Documentation</a></header>
<div class="columns">
<main id="content" tabindex="-1">
<noscript><p>This page needs JavaScript. The API's query <code>alerts</code> says the same.</p></noscript>
<p class="status" id="status" role="status"></p>
<form id="sign-in" autocomplete="off" hidden>
<h1>Notifications</h1>
<label>API key <input id="key" type="password" autocomplete="off" spellcheck="false" required></label>
<p>The scope READ shows alerts; acknowledging and snoozing need ADMIN. The key stays in this page's memory until you leave it.</p>
<button class="main">Show</button>
</form>
<section id="list" aria-labelledby="list-title" hidden>
<h1 id="list-title">Open alerts</h1>
<ul class="alerts" id="alerts"></ul>
<p id="none"></p>
</section>
<article id="alert" aria-labelledby="title" hidden>
<h1 id="title"></h1>
<div id="tags"></div>
<p class="message" id="message"></p>
<p id="since"></p>
<p class="message" id="note"></p>
<dl class="figures" id="figures" aria-label="Figures"></dl>
<form id="acknowledge" autocomplete="off">
<label>Note for the others, if any <textarea id="new-note" maxlength="1000"></textarea></label>
<button class="main" id="acknowledge-now">Acknowledge</button>
</form>
<form id="snooze" autocomplete="off">
<label>Say nothing about it for <select id="hours">{choices}</select></label>
<button id="snooze-now">Snooze</button>
<button id="wake" type="button" hidden>Wake it now</button>
</form>
</article>
</main>
</div>
</body>
</html>
"""
    return document_of(text.encode(), HTML)
