"""What a first look costs, and what the browser may keep: facts that no slow machine changes.

How long it takes is told with ``--screens FOLDER``, in ``paints.txt`` there, and asserted nowhere.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop

KIB = 1024
PAGE_BYTES, SCRIPT_BYTES, STYLE_BYTES = 2 * KIB, 70 * KIB, 16 * KIB  # as they travel
PAINT = """
() => new Promise((resolve) => {
  const told = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime
  if (told()) return resolve(told())
  new PerformanceObserver(() => { if (told()) resolve(told()) }).observe({ type: 'paint', buffered: true })
})
"""
RESOURCES = """
() => performance.getEntriesByType('resource').map((entry) => [
  new URL(entry.name).pathname, entry.startTime, entry.encodedBodySize, entry.renderBlockingStatus,
])
"""


def test_a_first_look_is_the_page_a_script_and_a_stylesheet(visit: Visitors, shop: Shop, screens: Path | None) -> None:
    page = visit(shop.key)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    paint = page.evaluate(PAINT)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    (navigation,) = page.evaluate("performance.getEntriesByType('navigation').map((entry) => entry.encodedBodySize)")
    found = {name: (at, size, blocking) for name, at, size, blocking in page.evaluate(RESOURCES)}
    built = {name.rpartition(".")[2]: name for name in found if name.startswith("/static/dashboard-")}

    assert built.keys() == {"js", "css"}
    # Both are named by the page itself: nothing that has to be read first names something else to fetch.
    assert asked[0].endswith("/")
    assert {asked[1].rpartition(".")[2], asked[2].rpartition(".")[2]} == {"js", "css"}
    assert navigation <= PAGE_BYTES
    assert found[built["js"]][1] <= SCRIPT_BYTES
    assert found[built["css"]][1] <= STYLE_BYTES
    assert found[built["js"]][2] == "non-blocking"
    # What is painted first waits for the stylesheet alone.
    assert [name for name, (_, _, blocking) in found.items() if blocking == "blocking"] == [built["css"]]
    assert paint > 0
    if screens is not None:
        write_paints(page, screens)


def test_built_files_are_kept_for_ever_and_data_never(visit: Visitors, shop: Shop) -> None:
    page = visit(shop.key)
    kept: dict[str, set[str]] = {}

    def hear(response: Any) -> None:
        path = response.url.partition("://")[2].partition("/")[2].partition("?")[0]
        kept.setdefault(path, set()).add(response.header_value("cache-control") or "")

    answers: list[Any] = []
    page.on("response", lambda response: answers.append(response))
    for path in ("/", "/events", "/deliveries", "/notifications", "/destinations", "/settings"):
        page.goto(path, wait_until="networkidle")
    for answer in answers:
        hear(answer)
    static = {path: life for path, life in kept.items() if path.startswith("static/dashboard-")}
    assert len(static) == 2
    assert set().union(*static.values()) == {"public, max-age=31536000, immutable"}
    assert kept["graphql"] == {"no-store"}
    assert kept["session"] == {"no-store"}


def test_every_answer_to_a_browser_names_the_policy(installed: Installation) -> None:
    for path in ("/", "/events", "/events/1", "/notifications/1", "/settings"):
        policy = httpx.get(f"{installed.address}{path}", headers={"accept": "text/html"}).headers.get(
            "content-security-policy", ""
        )
        assert policy.startswith("default-src 'none'"), path
        assert "unsafe" not in policy


def first_paint(page: Page, latency_ms: int) -> float:
    """Milliseconds until something is seen, with nothing kept from before."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    limits = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", limits)
    page.goto("/")
    took: float = page.evaluate(PAINT)
    page.goto("about:blank")
    session.detach()
    return took


def write_paints(page: Page, folder: Path) -> None:
    lines = []
    for latency in (0, 50):
        took = [first_paint(page, latency) for _ in range(11)]
        lines.append(f"latency {latency} ms: first contentful paint {statistics.median(took):.0f} ms (median of 11)")
    (folder / "paints.txt").write_text("\n".join(lines) + "\n")
