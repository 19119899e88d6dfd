"""The collector in a real browser, over the names of two sites: who gets the cookie, who reads it, and who gets nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright
from playwright.sync_api import Request as Asked

from tests.browser.chromium import Chromium, find_chromium
from tests.browser.conftest import PATIENCE_MS
from tests.browser.installation import Installation
from tests.servers import wait_until

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36"
PLANTED = "b7" * 16
SET = """
mutation($collector: CollectorInput!) {
  updateMerchant(input: {collector: $collector}) { merchant { collector { publicKey } } userErrors { message } }
}"""


@dataclass
class Pages:
    """A web server for every name: ``/plain`` and ``/asks`` have the shop's tag, whoever's site it is."""

    tag: str = ""
    cookies: list[str] = field(default_factory=list)  # that came with requests for pages
    port: int = 0

    def address(self, path: str, site: str = "www.shop.test") -> str:
        return f"http://{site}:{self.port}{path}"

    def text(self, path: str) -> str:
        asks = ' data-consent="required"' if path.startswith("/asks") else ""
        if path == "/plants":
            where = "Domain=shop.test; Path=/t; Max-Age=99999"
            return f"<!doctype html><script>document.cookie = '_tlb={PLANTED}; {where}'</script>"
        if path == "/sends":
            call = json.dumps({"m": self.tag.partition("m=")[2], "s": "denied", "x": "="})
            name, _, rest = call.partition("=")
            collector = self.tag.partition("/tl.js")[0]
            return (
                f"""<!doctype html><form method=post enctype="text/plain" action="{collector}/t"><input name='{name}'"""
                f""" value='{rest}'></form><script>onload = () => setTimeout(() => document.forms[0].submit())</script>"""
            )
        named = ""
        if path.startswith("/names"):
            named = "<div id=tl></div><div id=tlConsent></div>" + "".join(
                f"<img name={name} alt=''><form name={name}></form>"
                for name in ("currentScript", "cookie", "referrer", "visibilityState", "prerendering")
            )
        return f'<!doctype html><title>Shop</title><link rel="icon" href="data:,">{named}<script src="{self.tag}"{asks} defer></script>'


@contextmanager
def serving(pages: Pages) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.cookies.append(self.headers.get("cookie", ""))
            body = pages.text(self.path).encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def pages(installed: Installation) -> Iterator[Pages]:
    """A shop that has its collector at a name of its own."""
    made = Pages()
    with serving(made):
        shop = installed.new_shop("Shop with pages")
        wish = {"enabled": True, "origins": [made.address("").rstrip("/")], "cookieDomain": "shop.test"}
        done = shop.ask(SET, collector=wish)["updateMerchant"]
        assert done["userErrors"] == []
        port = installed.address.rpartition(":")[2]
        made.tag = f"http://t.shop.test:{port}/tl.js?m={done['merchant']['collector']['publicKey']}"
        yield made


@dataclass
class Visitor:
    """Somebody whose browser keeps what it has in a folder."""

    playwright: Playwright
    chromium: Chromium
    folder: Path

    @contextmanager
    def browser(self) -> Iterator[BrowserContext]:
        """From its start to its end."""
        context = self.playwright.chromium.launch_persistent_context(
            self.folder,
            executable_path=self.chromium.path,
            env={**os.environ, **self.chromium.environ},
            user_agent=AGENT,
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-proxy-server",
                "--host-resolver-rules=MAP * 127.0.0.1",
                f"--user-agent={AGENT}",  # also of what is sent as a page is left
            ],
        )
        context.set_default_timeout(PATIENCE_MS)
        try:
            yield context
        finally:
            context.close()


@pytest.fixture
def visitor(browser: Browser, playwright: Playwright, tmp_path: Path) -> Visitor:
    """``browser``: there is one."""
    found = find_chromium(os.environ)
    assert isinstance(found, Chromium)
    return Visitor(playwright, found, tmp_path / "profile")


def calls_of(page: Page) -> list[int]:
    """The statuses of what its pages tell, as they come."""
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.url.endswith("/t") else None)
    return statuses


def kept(context: BrowserContext) -> dict[str, Any] | None:
    """The cookie, as the browser has it."""
    found = [cookie for cookie in context.cookies() if cookie.get("name") == "_tlb"]
    assert len(found) <= 1
    return dict(found[0]) if found else None


def test_a_cookie_outlives_the_browser_and_no_script_reads_it(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        with page.expect_response(lambda answer: answer.url.endswith("/t")) as told:
            page.goto(pages.address("/plain?gclid=Cj0KCQ_x-1&email=jane%40example.com"))
        assert told.value.status == 204
        sent: Any = told.value.request.post_data_json
        assert sent["p"] == {"gclid": "Cj0KCQ_x-1"}
        assert "jane" not in str(sent)
        browser_id = page.evaluate("tl.id()")
        cookie = kept(context)
        assert cookie is not None
        assert cookie["value"] == browser_id
        assert (cookie["domain"], cookie["httpOnly"], cookie["sameSite"]) == (".shop.test", True, "Lax")
        assert "_tlb" not in page.evaluate("document.cookie")
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
        # The shop's own backend reads it.
        page.goto(pages.address("/plain"))
        assert f"_tlb={browser_id}" in pages.cookies[-1]

    with visitor.browser() as context:
        page = context.new_page()
        page.goto(pages.address("/plain"))
        assert page.evaluate("tl.id()") == browser_id
        again = kept(context)
        assert again is not None
        assert again["value"] == browser_id
        assert again["expires"] >= cookie["expires"]


def test_another_sites_page_gets_nothing(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        page.goto(pages.address("/plain"))
        browser_id = page.evaluate("tl.id()")

        other = context.new_page()
        answers = calls_of(other)
        with other.expect_event("requestfailed", lambda request: request.url.endswith("/t")):
            other.goto(pages.address("/plain?gclid=Forged-1", "www.other.test"))
        assert other.evaluate("window.tl !== undefined") is True  # the script is anybody's
        collector = pages.tag.partition("/tl.js")[0]
        read = """async ([url, key]) => {
            const body = JSON.stringify({ m: key, s: 'granted', q: false, i: true, p: {}, c: {} })
            try {
                return await (await fetch(url, { method: 'POST', body, credentials: 'include' })).text()
            } catch (error) {
                return error.name
            }
        }"""
        assert other.evaluate(read, [f"{collector}/t", pages.tag.partition("m=")[2]]) == "TypeError"
        assert answers == []  # none that a page may see
        assert f"_tlb={browser_id}" not in pages.cookies[-1]
        cookie = kept(context)
        assert cookie is not None
        assert (cookie["value"], cookie["domain"]) == (browser_id, ".shop.test")


def test_a_script_on_a_sibling_host_does_not_give_the_browser_its_id(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        page.goto(pages.address("/plain"))
        browser_id = page.evaluate("tl.id()")
        page.goto(pages.address("/plants", "blog.shop.test"))
        assert sorted(cookie.get("value", "") for cookie in context.cookies()) == sorted([browser_id, PLANTED])
        page.goto(pages.address("/plain"))
        assert page.evaluate("tl.id()") == browser_id
        cookie = kept(context)  # and there is one
        assert cookie is not None
        assert (cookie["value"], cookie["path"], cookie["httpOnly"]) == (browser_id, "/", True)


def test_a_form_of_another_site_does_not_change_the_cookie(
    visitor: Visitor, pages: Pages, installed: Installation
) -> None:
    """Its own merchant's key, at the shop's collector."""
    other = Pages()
    with serving(other), visitor.browser() as context:
        wish = {"enabled": True, "origins": [other.address("", "www.evil.test").rstrip("/")]}
        done = installed.new_shop("Other").ask(SET, collector=wish)["updateMerchant"]
        other.tag = pages.tag.partition("m=")[0] + "m=" + done["merchant"]["collector"]["publicKey"]
        page = context.new_page()
        page.goto(pages.address("/plain"))
        browser_id = page.evaluate("tl.id()")
        with page.expect_response(lambda answer: answer.url.endswith("/t")) as told:
            page.goto(other.address("/sends", "www.evil.test"))
        assert told.value.status == 204  # it is taken, and changes nothing
        cookie = kept(context)
        assert cookie is not None
        assert cookie["value"] == browser_id


def test_elements_of_a_page_that_have_names_of_its_own_do_not_silence_the_script(
    visitor: Visitor, pages: Pages
) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(pages.address("/plain"))
        page.evaluate("document.cookie = '_fbp=fb.1.1596403881668.1116446470'")
        # The page that is left tells of the new cookie as well.
        with page.expect_response(lambda answer: "gclid" in (answer.request.post_data or "")) as told:
            page.goto(pages.address("/names?gclid=Cj0KCQ_x-1"))
        assert told.value.status == 204
        sent: Any = told.value.request.post_data_json
        assert sent["p"] == {"gclid": "Cj0KCQ_x-1"}
        assert sent["c"] == {"_fbp": "fb.1.1596403881668.1116446470"}
        cookie = kept(context)
        assert cookie is not None
        assert page.evaluate("tl.id()") == cookie["value"]
        assert faults == []


def test_before_consent_nothing_is_set_and_nothing_is_told(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        statuses = calls_of(page)
        for _ in range(2):
            page.goto(pages.address("/asks?gclid=Cj0KCQ_x-1"))
            assert page.evaluate("tl.id()") is None
            # As where its tab is closed.
            page.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
        assert statuses == []
        assert context.cookies() == []

        page.evaluate("tl.consent(true)")
        browser_id = page.evaluate("tl.id()")
        cookie = kept(context)
        assert cookie is not None
        assert cookie["value"] == browser_id

        page.evaluate("tl.consent(false)")
        cookie = kept(context)
        assert cookie is not None
        assert cookie["value"] == "0"
        assert page.evaluate("tl.id()") is None
        page.goto(pages.address("/plain"))
        assert page.evaluate("tl.id()") is None  # it is remembered where a page forgets to ask
        assert [cookie["value"] for cookie in context.cookies() if cookie.get("name") == "_tlb"] == ["0"]


def test_a_refusal_that_was_not_answered_is_told_when_the_page_is_left(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        page.goto(pages.address("/plain?gclid=Cj0KCQ_x-1"))
        assert page.evaluate("tl.id()") is not None
        context.route("**/t", lambda route: route.fulfill(status=503))
        with page.expect_response(lambda answer: answer.url.endswith("/t")):
            page.evaluate("void tl.consent(false)")
        context.unroute("**/t")
        page.goto("about:blank")  # before the page tells it again
        wait_until(lambda: (kept(context) or {}).get("value") == "0", "the refusal has come")


def test_a_refusal_that_is_taken_back_at_once_takes_the_id_away(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        page.goto(pages.address("/plain?gclid=Cj0KCQ_x-1"))
        before = page.evaluate("tl.id()")
        told: list[str] = []

        def hear(asked: Asked) -> None:
            if asked.url.endswith("/t"):
                told.append(json.loads(asked.post_data or "")["s"])

        page.on("request", hear)
        page.evaluate("tl.consent(false), tl.consent(true)")
        after = page.evaluate("tl.id()")
        assert told == ["denied", "granted", "granted"]
        assert after not in (None, before)
        assert (kept(context) or {}).get("value") == after


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("history.pushState({}, '', '/asks/basket')", id="a page that changes its own address"),
        pytest.param("history.replaceState({}, '', location.pathname)", id="a page that cleans its address"),
    ],
)
def test_a_click_is_told_after_its_address_has_gone(visitor: Visitor, pages: Pages, change: str) -> None:
    with visitor.browser() as context:
        page = context.new_page()
        page.goto(pages.address("/asks?gclid=Cj0KCQ_x-1"))
        page.evaluate(change)
        assert "gclid" not in page.url
        with page.expect_request(lambda request: request.url.endswith("/t")) as told:
            page.evaluate("tl.consent(true)")
        sent: Any = told.value.post_data_json
        assert sent["p"] == {"gclid": "Cj0KCQ_x-1"}


def test_what_was_chosen_before_the_script_is_there_counts(visitor: Visitor, pages: Pages) -> None:
    with visitor.browser() as context:
        context.add_init_script("window.tlConsent = true")
        page = context.new_page()
        with page.expect_response(lambda answer: answer.url.endswith("/t")) as told:
            page.goto(pages.address("/asks"))
        assert told.value.status == 204
        assert kept(context) is not None
