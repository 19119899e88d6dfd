"""The documentation: every page is there, every link leads somewhere, every example works, nothing foreign runs."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette

import tracklayer
from tests.factories import Api, Merchant, draft
from tests.web import errors_guide, limits_guide
from tracklayer import mappers, sandbox, web
from tracklayer.cli import doctor, main
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import READ_TIMEOUT_MS, in_transaction, run_in_db_thread
from tracklayer.domain import trouble
from tracklayer.domain.advice import AdviceCode
from tracklayer.domain.alert import AlertKind
from tracklayer.domain.delivery import AttemptOutcome, DropReason
from tracklayer.domain.event import (
    ACTION_SOURCES,
    CONSENT_FIELDS,
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    DEVICE_FIELDS,
    EVENT_FIELDS,
    USER_FIELDS,
)
from tracklayer.domain.event_fields import MAX_UNKNOWN
from tracklayer.domain.problem import CODES
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.schema import MAX_TOKENS, errors, schema
from tracklayer.schema.bodies import MAX_ADMIN_BODY, MAX_BODY
from tracklayer.schema.connections import DEFAULT_FIRST, MAX_FIRST
from tracklayer.schema.cost import MAX_ALIASES, MAX_COST, MAX_DEPTH
from tracklayer.schema.http import TELL_COST
from tracklayer.schema.known import MAX_TEXT
from tracklayer.services import soundness
from tracklayer.services.deliver import deliver_due
from tracklayer.services.explain import OWN
from tracklayer.services.merchants import update_merchant
from tracklayer.settings import load_settings
from tracklayer.web import collector, session
from tracklayer.web.docs import READERS, docs_routes, layout, read_markdown

GUIDES = {path.stem: path.read_text("utf-8") for path in (Path(web.__file__).parent / "docs").glob("*.md")}
PICTURES = {path.name: path.read_bytes() for path in (Path(web.__file__).parent / "docs").glob("*.png")}
MAPPERS = Path(mappers.__file__).parent
(SCRIPT,) = (Path(web.__file__).parent / "static").glob("docs-*.js")
TEXTS = {f"/docs/{slug}": text for slug, text in GUIDES.items()} | {
    f"/docs/platforms-{key.replace('_', '-')}": (MAPPERS / f"{key}.md").read_text("utf-8") for key in PLATFORMS
}
TITLES = {"/docs": "Documentation"} | {path: text.partition("\n")[0].removeprefix("# ") for path, text in TEXTS.items()}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
LATER = datetime(2026, 12, 1, tzinfo=UTC)  # than every time that a guide shows
ELSEWHERE = {"/graphql", "/healthz", "/schema.graphql"}  # doors of others, which the start page names

MAKERS = {"Problem", "said", "problem"}  # what says a mistake, with its code first or second

every_page = pytest.mark.parametrize("path", sorted(TITLES))


@dataclass
class Seen(HTMLParser):
    """What a page holds, as a browser would find it."""

    markup: str
    title: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    self_links: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self._open = ""
        self.feed(self.markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes |= given.keys()
        self._open = tag
        if "id" in given:
            self.ids.append(given["id"])
        if tag in ("h2", "h3"):
            self.headings.append((tag, given.get("id", "")))
        if tag == "img":
            self.pictures.append((given["src"], given["alt"]))
        if tag == "a":
            self.links.append((given["href"], ""))
            if "aria-current" in given:
                self.current.append(given["href"])
            if given.get("class") == "anchor":
                self.self_links.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._open == "title":
            self.title += data
        elif self._open == "a" and self.links:
            href, text = self.links[-1]
            self.links[-1] = (href, text + data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=docs_routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as made:
        yield made


def fences(kind: str, text: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell(slug: str) -> str:
    return "".join(fences("sh", GUIDES[slug]))


def test_the_guides_and_every_platform_have_a_page() -> None:
    assert {"quickstart", "data-model", "dedup", "alerts", "retention"} <= GUIDES.keys()
    assert len(TITLES) == 1 + len(GUIDES) + len(PLATFORMS)


@every_page
async def test_a_page_has_its_title_and_the_whole_navigation(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    seen = Seen(answer.text)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert seen.title == f"{TITLES[path]} · TrackLayer"
    assert answer.text.count(f"<h1>{TITLES[path]}</h1>") == 1
    assert '<html lang="en">' in answer.text
    assert seen.links[0] == ("#_content", "Skip to the content")
    assert TITLES.keys() <= {href for href, _ in seen.links}
    assert seen.current == [path]


async def test_the_navigation_is_guides_by_who_reads_them_then_platforms_by_title(client: httpx.AsyncClient) -> None:
    text = (await client.get("/docs/dedup")).text
    navigation = text[text.index('<nav class="pages"') : text.index("</nav>")]
    entries = Seen(navigation).links[1:]
    guides, platforms = entries[: len(GUIDES)], entries[len(GUIDES) :]

    named = [f"/docs/{slug}" for slugs in READERS.values() for slug in slugs]
    assert [href for href, _ in guides][: len(named)] == named
    assert re.findall("<p>([^<]*)</p>", navigation) == [*READERS, "Platforms"]
    assert [title for _, title in platforms] == sorted((mapper_for(key).title for key in PLATFORMS), key=str.casefold)


async def test_each_page_leads_to_the_one_before_and_after_it(client: httpx.AsyncClient) -> None:
    text = (await client.get("/docs")).text
    order = [href for href, _ in Seen(text[text.index('<nav class="pages"') : text.index("</nav>")]).links[1:]]
    for place, path in enumerate(order):
        text = (await client.get(path)).text
        turn = Seen(text[text.index('<nav class="turn"') :])
        around = [(order[place - 1], "Previous")] if place else []
        around += [(order[place + 1], "Next")] if place + 1 < len(order) else []
        assert turn.links == [(href, f"{word}: {escape(TITLES[href])}") for href, word in around]


@every_page
async def test_every_section_can_be_linked_to(client: httpx.AsyncClient, path: str) -> None:
    seen = Seen((await client.get(path)).text)

    assert len(seen.ids) == len(set(seen.ids))
    assert [id for _, id in seen.headings if not id] == []
    if path != "/docs":
        assert seen.self_links == [f"#{id}" for _, id in seen.headings]


async def test_every_link_leads_to_a_page_and_to_a_place_on_it(client: httpx.AsyncClient) -> None:
    pages = {path: Seen((await client.get(path)).text) for path in ("/", *TITLES)}
    reached = set()
    for path, seen in pages.items():
        for href, _ in seen.links:
            target = urlsplit(urljoin(f"http://tracklayer{path}", href))
            if target.netloc != "tracklayer" or target.path in ELSEWHERE:
                continue
            assert target.path in pages, (path, href)
            assert not target.fragment or target.fragment in pages[target.path].ids, (path, href)
            reached.add(target.path)
    assert reached == pages.keys()


async def test_every_guide_that_the_dashboard_or_the_code_leads_to_is_there_with_its_section(
    client: httpx.AsyncClient,
) -> None:
    house = Path(tracklayer.__file__).parent
    sources = [path for ending in ("ts", "tsx", "py") for path in house.rglob(f"*.{ending}")]
    named = {
        href
        for path in sources
        for href in re.findall(r"/docs/[a-z-]+(?:#[a-z-]+)?(?=[\"'`])", path.read_text("utf-8"))
    }
    assert len(named) > 10
    pages = {path: Seen((await client.get(path)).text).ids for path in TITLES}
    targets = {href: urlsplit(href) for href in named}
    lost = [href for href, to in targets.items() if to.path not in pages or to.fragment not in ("", *pages[to.path])]
    assert sorted(lost) == []


@every_page
async def test_a_page_loads_nothing_but_its_stylesheet_pictures_and_our_own_script(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    seen = Seen(answer.text)

    assert not {"style", "iframe", "object", "form"} & set(seen.tags)
    scripts = re.findall("<script[^>]*>.*?</script>", answer.text, re.DOTALL)
    assert scripts == [f'<script src="/static/{SCRIPT.name}" defer></script>']
    assert not {"style", "srcset"} & seen.attributes
    for source, words in seen.pictures:
        assert words, source
        found = await client.get(urljoin(path, source))
        assert (found.status_code, found.headers["content-type"]) == (200, "image/png")
    assert re.findall("<link [^>]*>", answer.text) == [
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">',
        '<link rel="stylesheet" href="/static/docs.css">',
    ]


@pytest.mark.parametrize("path", ["/docs", "/docs/quickstart", "/docs/nothing", "/static/docs.css"])
async def test_the_browser_is_told_to_run_nothing_of_others(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers

    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/retention", "/static/docs.css", f"/static/{SCRIPT.name}", "/static/docs-search.json"]
)
async def test_what_the_browser_has_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    assert re.fullmatch('"[0-9a-f]{32}"', etag)

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["content-security-policy"] == POLICY
    other = await client.get(path, headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_every_document_has_an_etag_of_its_own(client: httpx.AsyncClient) -> None:
    etags = [(await client.get(path)).headers["etag"] for path in ("/static/docs.css", *TITLES)]

    assert len(set(etags)) == len(etags)


@pytest.mark.parametrize("slug", ["nothing", "quickstart.md", "platforms-x_ads", "%3Cscript%3E"])
async def test_an_unknown_page_is_404_and_shows_the_way(client: httpx.AsyncClient, slug: str) -> None:
    answer = await client.get(f"/docs/{slug}")
    seen = Seen(answer.text)

    assert answer.status_code == 404
    assert seen.title == "There is no such page · TrackLayer"
    assert TITLES.keys() <= {href for href, _ in seen.links}
    assert seen.current == []
    assert slug not in answer.text


async def test_the_stylesheet_is_css_that_loads_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/docs.css")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text
    assert "@import" not in answer.text


async def test_the_search_finds_every_heading_and_every_code(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/docs-search.json")
    small = await client.get("/static/docs-search.json", headers={"accept-encoding": "gzip"})
    pages = {page["path"]: page for page in answer.json()}

    assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "accept-encoding")
    assert small.headers["content-encoding"] == "gzip"
    assert small.json() == answer.json()
    assert int(small.headers["content-length"]) < 300_000
    assert pages.keys() == TITLES.keys() - {"/docs"}
    for path, page in pages.items():
        seen = Seen((await client.get(path)).text)
        assert page["title"] == TITLES[path]
        anchors = [anchor for anchor, _, _ in page["passages"]]
        assert anchors[0] == ""
        assert {id for _, id in seen.headings} <= set(anchors[1:]) <= set(seen.ids)
    texts = " ".join(text for page in pages.values() for _, _, text in page["passages"])
    for words in ("EVENT_ID_CONFLICT", "TRACKLAYER_DRAIN_SECONDS", "fbq(", "alerts(after: $after"):
        assert words in texts


async def test_the_script_is_ours_and_named_by_its_bytes(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/static/{SCRIPT.name}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.content == SCRIPT.read_bytes()
    assert len(answer.content) < 8_000
    assert not {"http:", "https:", "innerHTML", "eval("} & set(re.findall(r"https?:|innerHTML|eval\(", answer.text))


async def test_pictures_are_small_and_not_sent_again(client: httpx.AsyncClient) -> None:
    for name, content in PICTURES.items():
        answer = await client.get(f"/docs/{name}")
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", content)
        assert len(content) < 150_000
        assert answer.headers["content-security-policy"] == POLICY
        again = await client.get(f"/docs/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_picture_lies_beside_its_guide_and_says_what_it_shows() -> None:
    text = "# T\n\n![The home](dashboard-home.png) ![a](https://example.com/x.png) ![b](//example.com/x.png) ![c](../x.png)"
    seen = Seen(read_markdown(text, {}).html)

    assert seen.pictures == [("dashboard-home.png", "The home")]
    assert "![a](https://example.com/x.png)" in read_markdown(text, {}).html


HOSTILE = """# A <b>title</b> & more

<script>alert(1)</script>

Before <img src=x onerror=alert(1)> after <a href="https://example.com" onclick="alert(1)">x</a>.

## <svg onload=alert(1)>

| a | b |
| --- | ---: |
| <iframe src=//example.com></iframe> | `<script>` |

```"><script>alert(1)</script>
</code></pre><script>alert(1)</script>
```
"""


def test_raw_html_is_shown_as_text() -> None:
    article = read_markdown(HOSTILE, {})
    seen = Seen(article.html)

    assert article.title == "A <b>title</b> & more"
    assert set(seen.tags) == {"p", "h2", "a", "div", "table", "thead", "tbody", "tr", "th", "td", "code", "pre"}
    assert seen.attributes == {"id", "class", "href", "aria-label", "role", "tabindex"}
    assert seen.links == [("#svg-onloadalert1", "#")]
    assert (
        article.html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == HOSTILE.count("<script>alert(1)</script>") == 3
    )


@pytest.mark.parametrize(
    "link",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](<javascript:alert(1)>)",
        "[x]( vbscript:x )",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](file:///etc/passwd)",
        "[x](ftp://example.com)",
        "[x](//example.com)",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        "![x](data:image/png;base64,AAAA)",
        "[x][ref]\n\n[ref]: javascript:alert(1)",
    ],
)
def test_a_link_that_could_run_something_stays_text(link: str) -> None:
    seen = Seen(read_markdown(f"# T\n\n{link}", {}).html)

    assert set(seen.tags) == {"p"}
    assert seen.links == []


@pytest.mark.parametrize(
    ("href", "address"),
    [
        ("dedup.md", "/docs/dedup"),
        ("dedup.md#choosing-ids", "/docs/dedup#choosing-ids"),
        ("../web/docs/dedup.md", "/docs/dedup"),
        ("../mappers/meta.md", "/docs/platforms-meta"),
        ("../../mappers/x_ads.md#limits", "/docs/platforms-x-ads#limits"),
        ("/docs/dedup", "/docs/dedup"),
        ("#here", "#here"),
        ("other.md", "other.md"),
        ("https://example.com/dedup.md", "https://example.com/dedup.md"),
        ("mailto:jane@example.com", "mailto:jane@example.com"),
    ],
)
def test_a_link_to_a_file_leads_to_its_page(href: str, address: str) -> None:
    paths = {"dedup.md": "/docs/dedup", "meta.md": "/docs/platforms-meta", "x_ads.md": "/docs/platforms-x-ads"}

    assert Seen(read_markdown(f"# T\n\n[x]({href})", paths).html).links == [(address, "x")]


def test_sections_of_the_same_name_have_anchors_of_their_own() -> None:
    article = read_markdown("# T\n\nLead with `code`\nand more.\n\n## It's *so*\n\n### Deep\n\n## It's *so*\n", {})

    assert article.lead == "Lead with code and more."
    assert [tuple(passage) for passage in article.passages] == [
        ("", "", "Lead with code and more."),
        ("its-so", "It's so", ""),
        ("deep", "Deep", ""),
        ("its-so-1", "It's so", ""),
    ]
    assert article.sections == (("its-so", "It's so"), ("its-so-1", "It's so"))
    assert Seen(article.html).headings == [("h2", "its-so"), ("h3", "deep"), ("h2", "its-so-1")]


def test_an_aligned_column_needs_no_inline_style() -> None:
    html = read_markdown("# T\n\n| a | b |\n| :---: | ---: |\n| 1 | 2 |\n", {}).html

    assert re.findall("<t[hd] [^>]*>", html) == [
        '<th class="center">',
        '<th class="right">',
        '<td class="center">',
        '<td class="right">',
    ]


def test_a_title_is_text_too() -> None:
    body = layout("<i> & co", "<p>HTML already</p>").body.decode()

    assert "<title>&lt;i&gt; &amp; co · TrackLayer</title>" in body
    assert "<p>HTML already</p>" in body


@pytest.mark.parametrize("text", ["", "No title.", "## Too deep"])
def test_a_page_without_a_title_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must begin with a title"):
        read_markdown(text, {})


OPERATIONS = [
    pytest.param(document, id=f"{slug}-{number}")
    for slug, text in sorted(GUIDES.items())
    for number, document in enumerate(fences("graphql", text), 1)
]


@pytest.mark.parametrize("document", OPERATIONS)
def test_every_operation_that_is_shown_is_valid(document: str) -> None:
    assert validate(build_schema(schema.as_str()), parse(document)) == []


def test_every_event_that_is_shown_is_taken_without_a_warning() -> None:
    blocks = [orjson.loads(block) for text in GUIDES.values() for block in fences("json", text)]
    events = [block for block in blocks if "event_name" in block]

    assert {event["event_id"] for event in events} >= {"order_12345", "refund_987"}
    for event in events:
        read = read_event(event, LATER)
        assert isinstance(read, ReadEvent), read
        assert read.warnings == ()


def test_the_tables_of_errors_are_current() -> None:
    """`python -m tests.web.errors_guide` renews them."""
    assert errors_guide.tables_in(GUIDES["errors"])[:2] == errors_guide.tables()


def test_the_tables_of_limits_are_current() -> None:
    """`python -m tests.web.limits_guide` renews them."""
    assert errors_guide.tables_in(GUIDES["limits"]) == limits_guide.tables()


def test_no_code_is_used_that_the_tables_of_errors_lack() -> None:
    problems, requested = set(), set()
    for path in Path(tracklayer.__file__).parent.rglob("*.py"):
        if path.is_relative_to(Path(sandbox.__file__).parent):
            continue  # the platforms' own codes
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in MAKERS:
                problems |= {
                    arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant) and _is_code(arg.value)
                }
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                        requested |= {value.value} if _is_code(value.value) else set()
    assert {"REQUIRED", "TOO_LONG", "NOT_FOUND"} <= problems <= CODES.keys()
    assert {"BAD_USER_INPUT"} <= requested <= {code.name for code in errors.codes()}


def _is_code(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[A-Z]+(_[A-Z]+)*", value) is not None


def test_the_catalogue_of_errors_has_every_code() -> None:
    refused = re.findall(r'RefusedError\(\s*[\w.]+, "([A-Z_]+)"', Path(session.__file__).read_text("utf-8"))
    for heading, codes in {
        "Why a delivery was dropped": [reason.name for reason in DropReason],
        "How an attempt ended": [*(outcome.name for outcome in AttemptOutcome), *(OWN.keys() - DropReason.__members__)],
        "Alerts": [kind.name for kind in AlertKind],
        "Advice": [code.name for code in AdviceCode],
        "Signing in": refused,
    }.items():
        _, _, section = GUIDES["errors"].partition(f"\n## {heading}\n")
        rows = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
        assert len(rows) == len(set(rows))
        assert set(rows) == set(codes), heading


def test_the_guide_to_operations_has_every_kind_of_the_operators_alerts() -> None:
    kinds = {*trouble.NO_ROLE.values(), *trouble.KEEPS_DYING.values()}
    kinds |= {trouble.BROKER_KIND, trouble.OLD_QUEUE, trouble.JOBS_LATE, trouble.WRONG_KEY, trouble.MIGRATIONS}
    kinds |= {trouble.DATABASE_AWAY, trouble.DATABASE_FULL, trouble.DATABASE_READ_ONLY}
    kinds |= {trouble.MAILS_FAIL, trouble.WEBHOOKS_FAIL}
    kinds |= {trouble.SANDBOX, trouble.NO_SANDBOX, trouble.NO_FILES, trouble.CLOCK_OFF, f"{trouble.PLATFORM_DOWN}:meta"}
    _, _, section = GUIDES["operations"].partition("\n## The operator's alerts\n")
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert kinds <= {kind for row in rows for kind in re.findall(r"`([\w:]+)`", row)}


def test_the_limits_that_the_guide_to_identity_tells_are_those_of_the_code() -> None:
    _, _, told = GUIDES["identity"].partition("### Limits of `/t`\n")
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in told.split("\n\n")[0].splitlines()[2:]]
    assert [limit for _, limit in rows] == [
        f"{collector.OF_ADDRESS} calls",
        f"{collector.OF_NETWORK:,} calls",
        f"{collector.NEW_OF_MERCHANT:,}, and {collector.NEW_AT_ONCE:,} at once",
        f"{collector.OF_MERCHANT * 60:,} calls",
    ]
    assert f"| {collector.OF_MERCHANT:,} a second |" in told


def test_the_limits_that_the_guide_to_the_api_tells_are_those_of_the_code() -> None:
    text, mib = GUIDES["api"], 1024 * 1024
    for told in (
        f"{MAX_COST:,} is the most",
        f"at most {MAX_DEPTH} fields deep",
        f"at most {MAX_ALIASES} aliases",
        f"{MAX_TOKENS:,} tokens and {MAX_TEXT:,} characters",
        f"is 1 to {MAX_FIRST}, and {DEFAULT_FIRST} where",
        f"{MAX_BODY // mib} MiB, and {MAX_ADMIN_BODY // mib} MiB",
        f"{int(load_settings({}).read_cost_per_second):,} objects a second",
        f"`{TELL_COST.decode()}: 1`",
        f"more than {READ_TIMEOUT_MS // 1000} seconds",
    ):
        assert told in re.sub(r"\s+", " ", text), told


def test_the_guide_to_errors_tells_how_many_unknown_fields_are_named() -> None:
    assert f"the first {MAX_UNKNOWN} of each object" in GUIDES["errors"]


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("## Event", EVENT_FIELDS),
        ("### Who: user_data", USER_FIELDS),
        ("### What: custom_data", CUSTOM_FIELDS),
        ("### On which device: device", DEVICE_FIELDS),
        ("### Consent", CONSENT_FIELDS),
        ("### Why a delivery is dropped", [reason.name for reason in DropReason]),
    ],
)
def test_the_data_model_has_each_name_in_the_table_of_its_own_section(heading: str, fields: Sequence[str]) -> None:
    section = GUIDES["data-model"].partition(f"\n{heading}\n")[2].partition("\n#")[0]
    first_column = re.findall(r"^\| (.*?) \|", section.partition("\n| --- |")[2], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_column))) == sorted(fields)


@pytest.mark.parametrize(("row", "names"), [("contents", CONTENT_FIELDS), ("action_source", ACTION_SOURCES)])
def test_the_data_model_has_each_field_of_a_line_and_each_source_in_their_own_row(
    row: str, names: Sequence[str]
) -> None:
    (said,) = re.findall(rf"^\| `{row}` \| (.*) \|$", GUIDES["data-model"], re.MULTILINE)
    assert [name for name in names if f"`{name}`" not in said] == []


def test_the_guide_to_changing_names_files_that_are_there_and_every_room() -> None:
    text, house = GUIDES["changing"], Path(tracklayer.__file__).parent
    paths = set(re.findall(r"`((?:tests|tracklayer)/[\w/.]+)`", text))
    assert len(paths) > 40
    assert sorted(path for path in paths if not (house.parent / path).exists()) == []
    rooms = {path.parent.name for path in house.glob("*/__init__.py")}
    drawn = text.partition("```text\n")[2].partition("```")[0]
    assert set(re.findall(r"(\w+)/ ", drawn)) == rooms


def test_every_line_of_doctor_is_in_its_table() -> None:
    sources = [Path(module.__file__ or "").read_text("utf-8") for module in (doctor, soundness)]
    lines = {name for source in sources for name in re.findall(r'\b(?:Finding|Trouble)\(\s*"([a-z -]+)"', source)}
    lines |= set(doctor._CHECKS.values()) - {"invariants"}
    text = GUIDES["operations"]
    table = text[text.index("| line | what is looked at |") : text.index("`--invariants` recounts")]
    told = {
        name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1] if row else "")
    }
    assert told == lines - {"invariants"}


def test_every_command_and_option_that_is_shown_exists(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for slug in GUIDES for line in shell(slug).splitlines() if line.startswith("tracklayer ")]
    assert len(lines) == 24
    for line in lines:
        words = line.split()[1:]
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    *words[: 1 + (words[0] in ("merchant", "destination", "monitors", "person") or "verify" in words)],
                    "--help",
                ]
            )
        assert ended.value.code == 0
        usage = capsys.readouterr().out
        assert [word for word in words if word.startswith("--") and word not in usage] == [], line


SHELL = """
set -euo pipefail
make() { :; }
source() { :; }
tracklayer() { :; }
requests=0
curl() {
  local body=""
  while [ $# -gt 0 ]; do
    if [ "$1" = "-d" ]; then body="$2"; fi
    shift
  done
  if [ -z "$body" ]; then return; fi
  requests=$((requests + 1))
  if [ "$body" = "@-" ]; then body="$(cat)"; fi
  printf "%s" "$body" > "request_$requests.json"
}
"""


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which somebody has typed all of the quickstart; what curl would send lies in request_N.json."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["bash", "-c", SHELL + shell("quickstart")], cwd=tmp_path, check=True, timeout=30)
    return tmp_path


async def test_the_quickstart_leads_to_a_delivered_event(
    followed: Path, api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    clock.move(datetime.now(UTC) - clock.now())
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json"}

    async def send(number: int) -> Any:
        content = (followed / f"request_{number}.json").read_bytes()
        return (await api.client.post("/graphql", content=content, headers=headers)).json()

    assert await send(1) == orjson.loads(fences("json", GUIDES["quickstart"])[0])
    await run_in_db_thread(deliver_due, runtime, worker, merchant.merchant_id, "meta")
    answer = (await send(2))["data"]["event"]
    delivery = answer["deliveries"][0]
    assert delivery.pop("latencyMs") >= 0
    assert answer == {
        "timesReceived": 1,
        "deliveries": [
            {"platform": "META", "status": "DELIVERED", "attempts": 1, "lastError": None, "explanation": None}
        ],
    }


def test_the_files_of_the_quickstart_are_previewed_and_imported(
    followed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ["event.json", "events.jsonl", "meta.json", "request_1.json", "request_2.json"]
    assert sorted(path.name for path in followed.iterdir()) == made

    assert main(["preview", "--platform", "meta", "--settings", "meta.json", "event.json"]) == 0
    shown = orjson.loads(capsys.readouterr().out)
    assert shown["request"]["body"]["data"][0]["event_id"] == "order_12346"
    assert [verdict for verdict in shown["verdicts"] if not verdict["ok"]] == []

    lines = [orjson.loads(line) for line in (followed / "events.jsonl").read_bytes().splitlines()]
    assert [line["event_id"] for line in lines] == ["order_12001", "lead_77"]
    for line in lines:
        read = read_event(line, datetime.now(UTC))
        assert isinstance(read, ReadEvent), read
        assert read.warnings == ()


async def test_repeats_are_answered_as_the_guide_shows(api: Api) -> None:
    shown, differing, refund = map(orjson.loads, fences("json", GUIDES["dedup"]))
    assert (await api.ingest(draft("order_12345")))["outcome"] == "ACCEPTED"

    repeat = await api.ingest(draft("order_12345"))
    del repeat["event"]["id"]
    assert {"data": {"ingestEvent": repeat}} == shown

    other = await api.ingest(draft("order_12345", custom_data={"value": 99, "currency": "USD"}))
    assert {"outcome": other["outcome"], "userErrors": other["userErrors"]} == differing

    conflict = await api.ingest(draft("order_12345", event_name="Refund"))
    assert [error["code"] for error in conflict["userErrors"]] == ["EVENT_ID_CONFLICT"]
    assert (await api.ingest({**refund, "occurred_at": "2026-11-20T14:59:00Z"}))["outcome"] == "ACCEPTED"
    assert (await api('{ event(eventId: "order_12345") { timesReceived } }'))["event"] == {"timesReceived": 3}


async def test_the_guide_on_identity_leads_to_an_event_with_a_click(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, tmp_path: Path
) -> None:
    """After the quickstart, in the same installation: the page's call first, then the event, with the id that it gave."""
    clock.move(datetime.now(UTC) - clock.now())
    await api.ingest(draft("order_12345"))
    subprocess.run(["bash", "-c", SHELL + "API_KEY=x\n" + shell("identity")], cwd=tmp_path, check=True, timeout=30)
    event, call = ((tmp_path / f"request_{number}.json").read_text() for number in (1, 2))
    origin = re.search(r"--origin (http://\S+)", shell("identity"))
    assert origin is not None
    with in_transaction():
        row = update_merchant(runtime, merchant.merchant_id, {"collector": {"enabled": True, "origins": [origin[1]]}})
    assert not isinstance(row, list)
    clock.move(timedelta(seconds=10))
    headers = {"user-agent": "Mozilla/5.0", "origin": origin[1], "host": "127.0.0.1:8000"}
    answer = await api.client.post("/t", content=call.replace("tlp_...", str(row.public_key)), headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, True)
    (shown,) = set(re.findall(r'"browserId": "(\w{32})"', event))
    sent = event.replace(shown, answer.json()["browserId"])
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json"}
    answer = await api.client.post("/graphql", content=sent, headers=headers)
    assert answer.json() == {"data": {"ingestEvent": {"outcome": "ACCEPTED", "userErrors": []}}}
    look = next(one for one in fences("graphql", GUIDES["identity"]) if "enrichment" in one)
    looked = (await api(look))["event"]
    assert {"field": "gclid", "value": "Cj0KCQ_x-1"}.items() <= looked["enrichment"][0].items()


@pytest.mark.parametrize("slug", ["api", "data-model", "identity", "retention"])
async def test_the_operations_of_a_guide_run(api: Api, slug: str) -> None:
    await api.ingest(draft("order_12345"))
    for document in fences("graphql", GUIDES[slug]):
        await api(document)


@pytest.mark.parametrize("host", ["tracklayer", "evil.example"])
async def test_a_slash_too_many_leads_to_the_page_and_to_no_other_host(api: Api, host: str) -> None:
    for path, location in (("/docs/", "/docs"), ("/docs/quickstart/?a=b%20c", "/docs/quickstart?a=b%20c")):
        answer = await api.client.get(path, headers={"host": host})
        assert (answer.status_code, answer.headers.get("location")) == (307, location)
    for path in ("//evil.example/docs/", "/nothing/at/all/", "//"):
        answer = await api.client.get(f"http://tracklayer{path}", headers={"host": host})
        assert (answer.status_code, answer.headers.get("location")) == (404, None)
