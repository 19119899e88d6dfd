"""A browser, an installation to look at, and people in front of it.

``page`` is somebody who is signed in with all rights, ``visit`` lets others in. At the end of a test nobody's browser may
have complained: no error in its console, nothing that the policy forbids.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Route,
    expect,
    sync_playwright,
)

from tests.browser.chromium import Chromium, find_chromium, must_be_had
from tests.browser.installation import Installation, Shop, installation

# It is asked who is here before anybody is, and told when a key is wrong or worth nothing any more: a browser writes
# that down as errors.
EXPECTED = re.compile(r"^Failed to load resource: the server responded with a status of 401 .* \S+/(session|graphql)$")
PATIENCE_MS = 60_000  # of a machine that does other work as well
WIDE = {"width": 1280, "height": 900}
VIOLATIONS = """
addEventListener('securitypolicyviolation', (event) => {
  violated(`${event.effectiveDirective} forbids ${event.blockedURI} in ${event.sourceFile}:${event.lineNumber}`)
})
"""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Visitors:
    """Opens browsers of people who know nothing of each other. ``complaints``: what their browsers wrote down."""

    browser: Browser
    address: str
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __call__(self, key: str | None = None, **options: Any) -> Page:
        """An empty tab. ``key``: signed in with it. ``options``: of the browser, as Playwright names them."""
        context = self.browser.new_context(
            **{"base_url": self.address, "locale": "en-GB", "timezone_id": "Europe/Berlin", "viewport": WIDE, **options}
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.expose_binding("violated", lambda source, text: self.complaints.append(text))
        context.add_init_script(VIOLATIONS)
        if key is not None:
            context.add_cookies([session_of(self.address, key)])
        return context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        said = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not EXPECTED.match(said):
            self.complaints.append(said)

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def hold(page: Page, operation: str, after: int = 0) -> list[Route]:
    """These questions, but for so many first ones, as they come: nobody answers them before the test does."""
    held: list[Route] = []
    asked = itertools.count()

    def meet(route: Route) -> None:
        if f"query {operation}" in (route.request.post_data or "") and next(asked) >= after:
            held.append(route)
        else:
            route.fallback()

    page.route("**/graphql", meet)
    return held


def session_of(address: str, key: str) -> Any:
    """The cookie of a new session, for a browser to have."""
    answer = httpx.post(f"{address}/session", json={"key": key})
    assert answer.status_code == 200, answer.text
    ((name, value),) = answer.cookies.items()
    return {"name": name, "value": value, "url": address, "httpOnly": True, "sameSite": "Lax"}


@contextmanager
def launch(playwright: Playwright, chromium: Chromium) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=chromium.path,
        env={**os.environ, **chromium.environ},
        # Root has no sandbox, containers have hardly any shared memory.
        args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"],
    )
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    found = find_chromium(os.environ)
    if isinstance(found, str):
        if must_be_had(os.environ):
            pytest.fail(found)
        pytest.skip(found)
    with launch(playwright, found) as started:
        yield started


@pytest.fixture(scope="package")
def installed(browser: Browser) -> Iterator[Installation]:
    """Asked after the browser: without one, nothing is started."""
    with installation() as running:
        yield running


@pytest.fixture
def shop(installed: Installation) -> Iterator[Shop]:
    """The merchant that people look at. No platform has a fault when a test ends."""
    yield installed.shop
    installed.mend()


@pytest.fixture
def visit(browser: Browser, installed: Installation) -> Iterator[Visitors]:
    visitors = Visitors(browser, installed.address)
    yield visitors
    installed.mend()  # of whatever merchant: a platform's fault is everybody's
    visitors.close()
    assert visitors.complaints == []


@pytest.fixture
def page(visit: Callable[..., Page], shop: Shop) -> Page:
    """Somebody who is signed in with all rights; one session for each test."""
    return visit(shop.key)


@pytest.fixture(scope="package")
def screens(pytestconfig: pytest.Config) -> Path | None:
    """Where pictures of the screens are wanted, with ``--screens FOLDER``."""
    folder: Path | None = pytestconfig.getoption("--screens")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
