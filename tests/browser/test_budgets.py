"""What a first look costs, and what the browser may keep: facts that no slow machine changes.

How long it takes is told with ``--screens FOLDER``, in ``paints.txt`` there, and asserted nowhere.
"""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop

KIB = 1024
PAGE_BYTES, SCRIPT_BYTES, STYLE_BYTES = 4 * KIB, 70 * KIB, 16 * KIB  # as they travel
PAINTS = 15
PAINT = """
() => new Promise((resolve) => {
  const told = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime
  if (told()) return resolve(told())
  new PerformanceObserver(() => { if (told()) resolve(told()) }).observe({ type: 'paint', buffered: true })
})
"""
RESOURCES = """
() => performance.getEntriesByType('resource').map((entry) => [
  new URL(entry.name).pathname, entry.encodedBodySize, entry.renderBlockingStatus,
])
"""
NAMED = """
() => [...document.querySelectorAll('script[src], link[rel="stylesheet"], link[rel="modulepreload"]')]
  .map((one) => one.getAttribute('src') ?? one.getAttribute('href'))
"""


def test_a_first_look_waits_for_the_page_alone(visit: Visitors, shop: Shop, screens: Path | None) -> None:
    page = visit(shop.key)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.goto("/")
    paint = page.evaluate(PAINT)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    (size,) = page.evaluate("performance.getEntriesByType('navigation').map((entry) => entry.encodedBodySize)")
    found = {path: (size, blocking) for path, size, blocking in page.evaluate(RESOURCES)}

    assert paint > 0
    assert size <= PAGE_BYTES
    assert [path for path, (_, blocking) in found.items() if blocking == "blocking"] == []
    assert [size <= STYLE_BYTES for path, (size, _) in found.items() if path.endswith(".css")] == [True]
    # Each script is named by the page: none has to be read first to know of another, until it is known who is here.
    named = {*page.evaluate(NAMED)}
    assert asked[0] == "/"
    assert {path for path in asked[1 : asked.index("/session")] if path != "/static/icon.svg"} == named
    if screens is not None:
        write_paints(page, screens)


@pytest.mark.parametrize("path", ["/", "/events", "/deliveries", "/notifications", "/destinations/meta", "/settings"])
def test_the_scripts_of_a_screen_weigh_at_most_70_kib(visit: Visitors, shop: Shop, path: str) -> None:
    page = visit(shop.key)
    page.goto(path, wait_until="networkidle")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    scripts = {name: size for name, size, _ in page.evaluate(RESOURCES) if name.endswith(".js")}
    assert all(scripts.values()), scripts
    assert sum(scripts.values()) <= SCRIPT_BYTES


def test_graphiql_runs_from_here_and_knows_who_is_signed_in(visit: Visitors, shop: Shop) -> None:
    page = visit(shop.key)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/graphql")
    page.locator(".graphiql-query-editor .CodeMirror").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("{ merchant { name } }")
    page.get_by_role("button", name=re.compile("^Execute query")).click()
    expect(page.locator(".result-window")).to_contain_text('"name": "default"')
    assert [url for url in asked if not url.startswith((shop.address, "data:", "blob:"))] == []
    assert shop.key not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


def test_built_files_are_kept_for_ever_and_data_never(visit: Visitors, shop: Shop) -> None:
    page = visit(shop.key)
    answers: list[Response] = []
    page.on("response", lambda response: answers.append(response))
    for path in ("/", "/events", "/deliveries", "/notifications", "/destinations", "/settings"):
        page.goto(path, wait_until="networkidle")
    kept: dict[str, set[str]] = {}
    for answer in answers:
        path = urlsplit(answer.url).path
        built = re.match("/static/(dashboard|part)-", path)
        kind = built[1] if built else path
        kept.setdefault(kind, set()).add(answer.header_value("cache-control") or "")
    assert kept["dashboard"] == kept["part"] == {"public, max-age=31536000, immutable"}
    assert kept["/graphql"] == kept["/session"] == {"no-store"}
    assert kept["/"] == kept["/events"] == {"no-cache"}


def test_every_answer_to_a_browser_names_the_policy(installed: Installation) -> None:
    for path in ("/", "/events", "/events/1", "/notifications/1", "/settings"):
        policy = httpx.get(f"{installed.address}{path}", headers={"accept": "text/html"}).headers.get(
            "content-security-policy", ""
        )
        assert policy.startswith("default-src 'none'"), path
        assert "unsafe" not in policy


def first_paint(page: Page, path: str, latency_ms: int) -> float:
    """Milliseconds until something is seen, with nothing kept from before."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    limits = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", limits)
    page.goto(path)
    took: float = page.evaluate(PAINT)
    page.goto("about:blank")
    session.detach()
    return took


def write_paints(page: Page, folder: Path) -> None:
    """In turn with a page of one word from the same server: no page is painted sooner by this browser, on this machine, now."""
    lines = []
    for latency in (0, 50):
        pairs = [(first_paint(page, "/", latency), first_paint(page, "/healthz", latency)) for _ in range(PAINTS)]
        ours, bare = (statistics.median(took) for took in zip(*pairs, strict=True))
        lines.append(
            f"latency {latency} ms: first contentful paint {ours:.0f} ms, of one bare word {bare:.0f} ms "
            f"(medians of {PAINTS} each, in turn)"
        )
    (folder / "paints.txt").write_text("\n".join(lines) + "\n")
