"""``/docs``: the guides of ``docs/`` and every platform's page beside its mapper, from Markdown to HTML, once.

A guide shows a picture that lies beside it, as ``![what it shows](name.png)``; one from elsewhere stays text. Raw HTML in a
page is shown as text and a link of an unknown scheme is no link. Pages have one script of ours (its source: ``ui/docs.ts``),
which adds a search and buttons that copy; without it all is there to read. They have no inline style and nothing from
elsewhere, and the headers say so to the browser.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracklayer import mappers
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.services.explain import docs_path

HERE = Path(__file__).parent
MAPPERS = Path(mappers.__file__).parent
# Who reads which guide, in reading order: a new guide is a file in `docs/`, and a line here. One without a line follows in
# the last of these groups by its title.
READERS: dict[str, tuple[str, ...]] = {
    "For developers": (
        "quickstart",
        "data-model",
        "dedup",
        "api",
        "errors",
        "limits",
        "versioning",
        "changelog",
    ),
    "For marketers": (
        "dashboard",
        "alerts",
        "identity",
        "retention",
        "erasure",
    ),
    "For operators": (
        "operations",
        "runbooks",
        "command-line",
        "settings",
        "metrics",
        "logging",
        "growing",
        "fairness",
        "guarantees",
        "measured",
        "changing",
        "new-platform",
    ),
}
PLATFORMS_GROUP = "Platforms"
INDEX = "/static/docs-search.json"

HTML = "text/html; charset=utf-8"
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
}
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_PICTURE = re.compile(r"[a-z0-9-]+\.png")
_SCHEMES = frozenset({"http", "https", "mailto"})


class Passage(NamedTuple):
    """What the search finds: the text below one heading. The first of a page has no ``anchor`` and no ``heading``."""

    anchor: str
    heading: str
    text: str


@dataclass(frozen=True)
class Article:
    """A page's Markdown, read. ``lead``: its first paragraph as text. ``sections``: (anchor, text) of each h2."""

    title: str
    lead: str
    html: str
    sections: tuple[tuple[str, str], ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Entry:
    """A line of the navigation."""

    path: str
    title: str


@dataclass(frozen=True)
class Group:
    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Document:
    """What a browser gets. ``etag`` changes exactly when ``body`` does."""

    body: bytes
    etag: str
    media_type: str = HTML


def docs_routes() -> list[Route]:
    return [
        Route("/docs", index, name="docs"),
        *(Route(path, picture, name=path) for path in _pictures()),
        Route("/docs/{slug}", page, name="docs_page"),
        Route("/static/docs.css", stylesheet, name="docs_stylesheet"),
        Route(_script_path(), script, name="docs_script"),
        Route(INDEX, search_index, name="docs_search"),
    ]


async def index(request: Request) -> Response:
    return answer(request, _documents()["/docs"])


async def page(request: Request) -> Response:
    found = _documents().get(f"/docs/{request.path_params['slug']}")
    return answer(request, found) if found is not None else Response(_not_found(), 404, SECURITY_HEADERS, HTML)


async def picture(request: Request) -> Response:
    return answer(request, _pictures()[request.url.path])


async def stylesheet(request: Request) -> Response:
    return answer(request, _stylesheet())


async def script(request: Request) -> Response:
    return answer(request, _script())


async def search_index(request: Request) -> Response:
    """All passages of all pages. It is fetched when somebody begins to search, so it travels small."""
    found = answer(request, _search_index())
    if found.status_code == 200 and "gzip" in request.headers.get("accept-encoding", ""):
        found.body = _small_index()
        found.headers["content-encoding"] = "gzip"
        found.headers["content-length"] = str(len(found.body))
    found.headers["vary"] = "accept-encoding"
    return found


def answer(request: Request, document: Document, security: Mapping[str, str] = SECURITY_HEADERS) -> Response:
    """The document, or 304 for whoever has it: browsers ask each time, and get it when it has changed."""
    headers = {**security, "etag": document.etag, "cache-control": "no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if document.etag in known or known == ["*"]:
        return Response(None, 304, headers)
    return Response(document.body, 200, headers, document.media_type)


def read_markdown(text: str, paths: Mapping[str, str]) -> Article:
    """A page from its Markdown. ``paths``: file name -> address, for links written as ``dedup.md#anchor``.

    Raises ValueError where the text does not begin with a ``# title``.
    """
    tokens = _MARKDOWN.parse(text)
    if [token.type for token in tokens[:1]] != ["heading_open"] or tokens[0].tag != "h1":
        raise ValueError("a page must begin with a title: # Title")
    title, body = _text(tokens[1]), tokens[3:]
    taken: set[str] = set()
    sections = []
    found: list[tuple[str, str, list[str]]] = [("", "", [])]
    for token, inner in zip(body, [*body[1:], None], strict=True):
        if token.type == "heading_open" and inner is not None:
            anchor = _anchor(_text(inner), taken)
            token.attrSet("id", anchor)
            found.append((anchor, _text(inner), []))
            if token.tag == "h2":
                sections.append((anchor, _text(inner)))
        elif token.content:
            found[-1][2].append(_text(token) if token.type == "inline" else token.content)
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _address(str(child.attrGet("href")), paths))
        style = token.attrs.pop("style", None)  # of an aligned column: the policy above forbids inline styles
        if style is not None:
            token.attrSet("class", str(style).removeprefix("text-align:"))
    lead = _text(body[1]) if body and body[0].type == "paragraph_open" else ""
    # A heading's own text is the first that was found below it.
    passages = [
        Passage(anchor, heading, " ".join(" ".join(texts[bool(anchor) :]).split())) for anchor, heading, texts in found
    ]
    return Article(
        title, lead, _MARKDOWN.renderer.render(body, _MARKDOWN.options, {}), tuple(sections), tuple(passages)
    )


def layout(title: str, main: str, navigation: Sequence[Group] = (), current: str | None = None) -> Document:
    """A whole HTML document around ``main``, which is HTML already."""
    head = f"{escape(title)} · TrackLayer" if title != "TrackLayer" else title
    menu = '<a class="menu" href="#_pages">All pages</a>' if navigation else ""
    groups = "".join(_group(group, current) for group in navigation)
    # Where there is little room the navigation is out of sight until it is the target of the link above.
    close = '<a class="close" href="#_content">Close</a>'
    side = f'<nav class="pages" id="_pages" aria-label="All pages">{close}{groups}</nav>' if navigation else ""
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{head}</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/docs.css">
<script src="{_script_path()}" defer></script>
</head>
<body>
<a class="skip" href="#_content">Skip to the content</a>
<header><a class="brand" href="/">TrackLayer</a><a href="/docs"{_current("/docs", current)}>Documentation</a>{menu}</header>
<div class="columns">
{side}
<main id="_content" tabindex="-1">
{main}
</main>
</div>
</body>
</html>
"""
    return document_of(text.encode(), HTML)


def _group(group: Group, current: str | None) -> str:
    entries = "".join(
        f'<li><a href="{entry.path}"{_current(entry.path, current)}>{escape(entry.title)}</a></li>'
        for entry in group.entries
    )
    return f'<p>{escape(group.title)}</p><ul aria-label="{escape(group.title)}">{entries}</ul>'


def _current(path: str, current: str | None) -> str:
    return ' aria-current="page"' if path == current else ""


def document_of(body: bytes, media_type: str) -> Document:
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', media_type)


@cache
def _stylesheet() -> Document:
    return document_of((HERE / "static" / "docs.css").read_bytes(), "text/css; charset=utf-8")


@cache
def _script_path() -> str:
    """Its name changes with its bytes: `make ui` builds it."""
    (file,) = (HERE / "static").glob("docs-*.js")
    return f"/static/{file.name}"


@cache
def _script() -> Document:
    return document_of((HERE / _script_path()[1:]).read_bytes(), "text/javascript; charset=utf-8")


@cache
def _search_index() -> Document:
    """``[{"path", "title", "passages": [[anchor, heading, text], ...]}, ...]``, in the order of the navigation."""
    pages = [
        {"path": path, "title": article.title, "passages": article.passages}
        for articles in _articles().values()
        for path, article in articles.items()
    ]
    body = json.dumps(pages, ensure_ascii=False, separators=(",", ":")).encode()
    return document_of(body, "application/json")


@cache
def _small_index() -> bytes:
    return gzip.compress(_search_index().body, 9, mtime=0)


@cache
def _pictures() -> dict[str, Document]:
    """The guides' pictures by their address."""
    files = sorted((HERE / "docs").glob("*.png"))
    return {f"/docs/{file.name}": document_of(file.read_bytes(), "image/png") for file in files}


@cache
def _articles() -> dict[str, dict[str, Article]]:
    """Group -> address -> page, in the order of the navigation."""
    guides = {f"/docs/{path.stem}": path for path in sorted((HERE / "docs").glob("*.md"))}
    platforms = {docs_path(key): MAPPERS / f"{key}.md" for key in PLATFORMS}
    paths = {file.name: path for path, file in {**guides, **platforms}.items()} | {"CHANGELOG.md": "/docs/changelog"}
    read = {path: read_markdown(file.read_text("utf-8"), paths) for path, file in {**guides, **platforms}.items()}

    groups = {title: [f"/docs/{slug}" for slug in slugs] for title, slugs in READERS.items()}
    named = {path for group in groups.values() for path in group}
    groups[list(groups)[-1]] += sorted(guides.keys() - named, key=lambda path: read[path].title)
    titles = {docs_path(key): mapper_for(key).title.casefold() for key in PLATFORMS}
    groups[PLATFORMS_GROUP] = sorted(platforms, key=titles.__getitem__)
    return {title: {path: read[path] for path in group} for title, group in groups.items()}


def _navigation() -> tuple[Group, ...]:
    return tuple(
        Group(title, tuple(Entry(path, article.title) for path, article in articles.items()))
        for title, articles in _articles().items()
    )


@cache
def _documents() -> dict[str, Document]:
    """Every page by its address."""
    navigation = _navigation()
    entries = [entry for group in navigation for entry in group.entries]
    before = dict(zip([entry.path for entry in entries[1:]], entries, strict=False))
    after = dict(zip([entry.path for entry in entries], entries[1:], strict=False))
    found = {"/docs": layout("Documentation", _index(), navigation, "/docs")}
    for articles in _articles().values():
        for path, article in articles.items():
            page = _page(article, before.get(path), after.get(path))
            found[path] = layout(article.title, page, navigation, path)
    return found


def _not_found() -> bytes:
    main = '<h1>There is no such page</h1>\n<p>See <a href="/docs">all pages of the documentation</a>.</p>'
    return layout("There is no such page", main, _navigation()).body


def _page(article: Article, before: Entry | None, after: Entry | None) -> str:
    links = "".join(f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in article.sections)
    contents = (
        f'<nav class="contents" aria-label="On this page"><p>On this page</p><ul>{links}</ul></nav>\n' if links else ""
    )
    turns = "".join(
        f'<a rel="{rel}" href="{entry.path}">{word}: {escape(entry.title)}</a>'
        for rel, word, entry in (("prev", "Previous", before), ("next", "Next", after))
        if entry is not None
    )
    turn = f'<nav class="turn" aria-label="Previous and next page">{turns}</nav>'
    return f"<h1>{escape(article.title)}</h1>\n{contents}<article>\n{article.html}</article>\n{turn}"


def _index() -> str:
    groups = []
    for title, articles in _articles().items():
        if title == PLATFORMS_GROUP:
            continue
        cards = "".join(
            f'<li><a href="{path}">{escape(article.title)}</a><p>{escape(article.lead)}</p></li>'
            for path, article in articles.items()
        )
        groups.append(f'<h2 id="{_anchor(title, set())}">{escape(title)}</h2>\n<ul class="cards">{cards}</ul>')
    names = "".join(
        f'<li><a href="{path}">{escape(article.title)}</a></li>'
        for path, article in _articles()[PLATFORMS_GROUP].items()
    )
    guides = "\n".join(groups)
    return f"""<h1>Documentation</h1>
<article>
<p>How to send conversions to TrackLayer, what it keeps of them, and what each ad platform gets. The API's schema, with a
description of every field, is at <a href="/schema.graphql">/schema.graphql</a>.</p>
{guides}
<h2 id="platforms">Platforms</h2>
<p>What is sent and what never is, where to find the settings, which event names and fields become which, and what each
error means.</p>
<ul class="names">{names}</ul>
</article>"""


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        """True for a link to here, or of a scheme that cannot run anything. What is refused stays text."""
        scheme = _SCHEME.match(url)
        return not url.startswith("//") and (scheme is None or scheme[1].lower() in _SCHEMES)


class _Renderer(RendererHTML):
    """Headings with a link to themselves; tables and code that scroll by themselves, with the keyboard too."""

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        tag, anchor = tokens[idx].tag, tokens[idx - 2].attrGet("id")
        label = f"Link to: {escape(_text(tokens[idx - 1]))}"
        link = f' <a class="anchor" href="#{anchor}" aria-label="{label}">#</a>' if tag in ("h2", "h3") else ""
        return f"{link}</{tag}>\n"

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table" role="group" aria-label="Table" tabindex="0">\n<table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table>\n</div>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        source, words = str(tokens[idx].attrGet("src")), tokens[idx].content
        if not _PICTURE.fullmatch(source):
            return escape(f"![{words}]({source})")
        return f'<img src="{source}" alt="{escape(words)}">'

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return super().fence(tokens, idx, options, env).replace("<pre>", '<pre tabindex="0">', 1)


_MARKDOWN = _Markdown("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")


def _text(inline: Token) -> str:
    parts = [" " if child.type == "softbreak" else child.content for child in inline.children or ()]
    return "".join(parts)


def _anchor(text: str, taken: set[str]) -> str:
    """As GitHub makes them, so that a link to a section works there too: ``Choosing an id`` is ``choosing-an-id``."""
    base = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    anchor, count = base, 0
    while anchor in taken:
        count += 1
        anchor = f"{base}-{count}"
    taken.add(anchor)
    return anchor


def _address(href: str, paths: Mapping[str, str]) -> str:
    """Where a link leads here: ``../mappers/meta.md#limits`` is ``/docs/platforms-meta#limits``."""
    file, mark, anchor = href.partition("#")
    path = paths.get(file.rpartition("/")[2]) if file.endswith(".md") and not _SCHEME.match(href) else None
    return f"{path}{mark}{anchor}" if path is not None else href
