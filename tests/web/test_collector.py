"""``/tl.js`` and ``/t``: what a page's call keeps, what it is told, and what no call of anybody's can do."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ipaddress
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import Api, Merchant, new_merchant
from tests.sessions import other_session
from tracklayer.app import Application, build_app
from tracklayer.clock import FrozenClock, elapsed
from tracklayer.db.connection import connect, in_transaction, rows, run_in_db_thread
from tracklayer.db.connection import database as pool
from tracklayer.db.identities import Link, forget_browsers, hold_browsers, link_people
from tracklayer.db.marks import add_suppressions, add_tombstones, mark_merchant
from tracklayer.domain.address import networks
from tracklayer.domain.collector import is_browser_id, is_public_key
from tracklayer.runtime import Runtime
from tracklayer.services import collect
from tracklayer.services.collect import BATCH, MOST_ASKED, MOST_KEYS, Collection, Directory, OverloadedError
from tracklayer.services.ingest import LATE_SECONDS
from tracklayer.services.marks import marker_of
from tracklayer.services.merchants import update_merchant
from tracklayer.web.collector import (
    MAX_BODY,
    NEW_AT_ONCE,
    NEW_OF_MERCHANT,
    OF_ADDRESS,
    OF_MERCHANT,
    OF_NETWORK,
    SCRIPT,
    CollectorDoor,
    _public,
)

SHOP, HOST = "https://www.shop.example", "t.shop.example"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36"
)
ADDRESS = "8.8.4.4"
PATIENCE_SECONDS = 30
UNKNOWN_KEY = "tlp_" + "x" * 22
CLICK = {"gclid": "Cj0KCQ_x-1", "fbclid": "IwAR2F4-dbP0"}
EVERYTHING = "m s q i p c".split()


def settings_of(runtime: Runtime, merchant: Merchant, **changes: Any) -> str:
    """Changes the collector; the public key."""
    with in_transaction():
        row = update_merchant(runtime, merchant.merchant_id, {"collector": changes})
    assert not isinstance(row, list), row
    key = str(row.public_key)
    assert is_public_key(key)
    return key


@pytest.fixture
def key(runtime: Runtime, merchant: Merchant) -> str:
    return settings_of(runtime, merchant, enabled=True, origins=[SHOP])


@pytest.fixture
def app(runtime: Runtime) -> Application:
    """One that has the patience of a machine that does much else."""
    made = build_app(runtime, lambda wake: None)
    made.collector = CollectorDoor(runtime, answer_seconds=PATIENCE_SECONDS)
    return made


@dataclass
class Page:
    """A page of the shop in somebody's browser, which keeps the one cookie. ``headers``: what the browser sends besides."""

    app: Application
    key: str
    address: str = ADDRESS
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    base: str = f"https://{HOST}"

    async def call(self, *, content: bytes | None = None, **body: Any) -> httpx.Response:
        """``body``: in place of what is sent of the call."""
        sent = {"m": self.key, "s": None, "q": False, "i": False, "p": {}, "c": {}, **body}
        headers = {"origin": SHOP, "user-agent": AGENT, "content-type": "text/plain;charset=UTF-8", **self.headers}
        if self.cookie and "cookie" not in self.headers:
            headers["cookie"] = f"theme=dark; _tlb={self.cookie}"
        transport = httpx.ASGITransport(self.app, client=(self.address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=self.base) as client:
            text = json.dumps(sent).encode() if content is None else content
            answer = await client.post("/t", content=text, headers={k: v for k, v in headers.items() if v})
        given = answer.headers.get_list("set-cookie")
        if given:
            name, _, value = given[-1].partition(";")[0].partition("=")
            assert name == "_tlb"
            self.cookie = value
        return answer


@pytest.fixture
def page(app: Application, key: str) -> Page:
    return Page(app, key)


def browsers() -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows("SELECT browser_id, consent FROM browsers ORDER BY first_seen_at, browser_id")


def signals(browser_id: str | None = None) -> dict[str, str]:
    with in_transaction():
        found = rows("SELECT browser_id, kind, value FROM browser_signals ORDER BY kind, last_seen_at")
    return {kind: value for id, kind, value in found if browser_id in (None, id)}


def nothing_is_kept() -> bool:
    with in_transaction():
        tables = ("browsers", "browser_signals", "browser_people")
        return all(rows(f"SELECT count(*) FROM {table}") == [(0,)] for table in tables)


async def test_a_call_gives_the_browser_a_cookie_and_keeps_what_it_shows(page: Page, clock: FrozenClock) -> None:
    answer = await page.call(p=CLICK, c={"_fbp": "fb.1.1596403881668.1116446470", "session": "secret"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert is_browser_id(page.cookie)
    assert answer.headers["set-cookie"] == (
        f"_tlb={page.cookie}; Max-Age=7776000; Domain=shop.example; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "origin"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-site"
    assert browsers() == [(page.cookie, None)]
    assert signals() == {
        **CLICK,
        "fbp": "fb.1.1596403881668.1116446470",
        "client_ip": ADDRESS,
        "client_user_agent": AGENT,
    }

    before = page.cookie
    clock.move(timedelta(days=3))
    again = await page.call()
    assert page.cookie == before  # and its life begins anew
    assert "Max-Age=7776000" in again.headers["set-cookie"]
    with in_transaction():
        assert rows("SELECT first_seen_at, last_seen_at FROM browsers") == [
            (clock.now() - timedelta(days=3), clock.now())
        ]


async def test_a_page_is_told_its_browsers_id(page: Page) -> None:
    answer = await page.call(i=True)
    assert answer.status_code == 200
    assert answer.json() == {"browserId": page.cookie}
    assert (await page.call(i=True)).json() == {"browserId": page.cookie}
    assert len(browsers()) == 1


async def test_of_a_kind_the_present_value_and_two_before_are_kept(page: Page, clock: FrozenClock) -> None:
    for click in ("A-1", "B-2", "C-3", "D-4", "C-3", "C-3", "B-2"):
        clock.move(timedelta(hours=1))
        await page.call(p={"gclid": click})
    with in_transaction():
        found = rows("SELECT value FROM browser_signals WHERE kind = 'gclid' ORDER BY first_seen_at")
    assert [value for (value,) in found] == ["B-2", "C-3", "D-4"]


async def test_a_click_is_as_old_as_its_cookie_says(page: Page, clock: FrozenClock) -> None:
    then = clock.now() - timedelta(days=40)
    for _ in range(2):
        await page.call(c={"_gcl_aw": f"GCL.{int(then.timestamp())}.Cj0KCQ_x-1"})
        clock.move(timedelta(hours=1))
    with in_transaction():
        assert rows("SELECT first_seen_at FROM browser_signals WHERE kind = 'gclid'") == [(then,)]


async def test_a_click_that_was_told_by_an_address_is_as_old_as_its_cookie_says_later(
    page: Page, clock: FrozenClock
) -> None:
    then = clock.now() - timedelta(days=40)
    cookie = {"_gcl_aw": f"GCL.{int(then.timestamp())}.Cj0KCQ_x-1"}
    address = {"gclid": "Cj0KCQ_x-1"}
    for parameters, cookies in ((address, {}), ({}, cookie), (address, {})):
        await page.call(p=parameters, c=cookies)
        clock.move(timedelta(hours=1))
    with in_transaction():
        found = rows("SELECT first_seen_at, last_seen_at FROM browser_signals WHERE kind = 'gclid'")
    assert found == [(then, clock.now() - timedelta(hours=1))]


@pytest.mark.parametrize(
    ("base", "origin", "settings", "end"),
    [
        pytest.param(f"http://{HOST}", "http://shop.example", {}, "Domain=shop.example; Path=/", id="not secure"),
        pytest.param(f"https://{HOST}", SHOP, {"cookie_domain": ""}, "Path=/; Secure", id="no domain"),
        pytest.param(f"https://{HOST}:8443", SHOP, {}, "Domain=shop.example; Path=/; Secure", id="a port"),
        pytest.param("http://127.0.0.1:8000", "http://127.0.0.1:9350", {}, "Path=/", id="a trial"),
        pytest.param("http://[::1]:8000", "http://[::1]:9350", {}, "Path=/", id="a trial over IPv6"),
        pytest.param("http://localhost:8000", "http://localhost:9350", {}, "Path=/", id="a trial by name"),
    ],
)
async def test_the_cookies_domain_is_the_shops_own_or_the_exact_host(
    runtime: Runtime, merchant: Merchant, app: Application, base: str, origin: str, settings: dict[str, Any], end: str
) -> None:
    origins = [SHOP, "http://shop.example"] if "shop" in origin else [origin]
    key = settings_of(runtime, merchant, enabled=True, origins=origins, **settings)
    page = Page(app, key, base=base, headers={"origin": origin})
    given = (await page.call()).headers["set-cookie"].replace("; HttpOnly; SameSite=Lax", "")
    assert given == f"_tlb={page.cookie}; Max-Age=7776000; {end}"


@pytest.mark.parametrize("host", ["t.shop.example", "127.0.0.1:8000", "else.example", "x" * 300 + ".evil.example", ""])
async def test_a_page_of_another_site_changes_nobodys_cookie(
    runtime: Runtime, app: Application, page: Page, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Any name leads to the collector of every merchant, and a form of another site is sent with its answer's cookies taken."""
    await page.call(p=CLICK)
    evil = "https://www.evil.example"
    other = settings_of(runtime, new_merchant(runtime, name="Other"), enabled=True, origins=[evil])
    forms: list[dict[str, Any]] = [{}, {"s": "granted"}, {"s": "denied"}]
    for body in forms:
        answer = await Page(app, other, headers={"origin": evil, "host": host}).call(p=CLICK, **body)
        assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None)
    assert browsers() == [(page.cookie, None)]
    assert caplog.text.count("must keep the Host header") == 1

    # What asks for the id passes it on itself.
    asked = Page(app, other, headers={"origin": evil, "host": host})
    answer = await asked.call(p=CLICK, i=True)
    assert "set-cookie" not in answer.headers
    assert (answer.json()["browserId"], None) in browsers()
    assert len(browsers()) == 2


@pytest.mark.parametrize(("days", "seconds"), [(30, 2_592_000), (365, 31_536_000)])
async def test_the_cookie_lives_as_long_as_what_it_names(
    runtime: Runtime, merchant: Merchant, page: Page, days: int, seconds: int
) -> None:
    update_merchant(runtime, merchant.merchant_id, {"retention_days": days})
    assert f"Max-Age={seconds};" in (await page.call()).headers["set-cookie"]


# Consent


@pytest.mark.parametrize("by", ["tag", "merchant"])
async def test_before_consent_nothing_is_set_or_kept(runtime: Runtime, merchant: Merchant, page: Page, by: str) -> None:
    asks: dict[str, Any] = {"q": True} if by == "tag" else {}
    if by == "merchant":
        settings_of(runtime, merchant, consent_required=True)
    bodies: list[dict[str, Any]] = [{}, {"i": True}, {"s": "denied"}, {"s": "maybe"}, {"s": True}]
    for body in bodies:
        answer = await page.call(p=CLICK, **{**asks, **body})
        assert answer.status_code == (200 if "i" in body else 204)
        assert "set-cookie" not in answer.headers
    assert answer.content == b""
    assert nothing_is_kept()

    assert (await page.call(p=CLICK, s="granted", **asks)).status_code == 204
    assert browsers() == [(page.cookie, "granted")]
    assert signals()["gclid"] == CLICK["gclid"]


async def test_a_refusal_deletes_what_is_known_and_is_remembered(page: Page, merchant: Merchant) -> None:
    await page.call(p=CLICK)
    browser_id = page.cookie
    with in_transaction():
        (seen_at,) = rows("SELECT last_seen_at FROM browsers")[0]
        link_people(merchant.merchant_id, [Link(browser_id, "email", "d" * 64, {}, seen_at)], seen_at)
    answer = await page.call(s="denied", p=CLICK)
    assert (answer.status_code, page.cookie) == (204, "0")
    assert "Max-Age=7776000; Domain=shop.example" in answer.headers["set-cookie"]
    assert browsers() == [(browser_id, "denied")]
    assert signals() == {}
    with in_transaction():
        assert rows("SELECT * FROM browser_people") == []

    # The next pages know, whatever their tag says.
    bodies: list[dict[str, Any]] = [{}, {"i": True}, {"s": "denied"}]
    for body in bodies:
        answer = await page.call(p=CLICK, **body)
        assert "set-cookie" not in answer.headers
    assert len(browsers()) == 1
    assert signals() == {}

    # Who changes his mind is a new browser: the old id stays refused.
    await page.call(s="granted", p=CLICK)
    assert is_browser_id(page.cookie)
    assert page.cookie != browser_id
    assert dict(browsers()) == {browser_id: "denied", page.cookie: "granted"}
    assert signals(browser_id) == {}


async def test_who_refuses_at_once_is_remembered_without_a_row(page: Page) -> None:
    answer = await page.call(s="denied")
    assert page.cookie == "0"
    assert "Max-Age=7776000;" in answer.headers["set-cookie"]
    await page.call(p=CLICK)
    assert nothing_is_kept()


@pytest.mark.parametrize("said", [None, "granted"])
async def test_a_browser_that_opts_out_is_not_followed(page: Page, said: str | None) -> None:
    page.headers["sec-gpc"] = "1"
    answer = await page.call(p=CLICK, s=said)
    assert "set-cookie" not in answer.headers
    assert nothing_is_kept()

    page.headers["sec-gpc"] = ""
    await page.call(p=CLICK, s=said)
    browser_id = page.cookie
    page.headers["sec-gpc"] = "1"
    answer = await page.call(p=CLICK, s=said, i=True)
    assert answer.json() == {"browserId": None}
    assert "_tlb=; Max-Age=0; Domain=shop.example" in answer.headers["set-cookie"]
    assert browsers() == [(browser_id, "denied")]
    assert signals() == {}


@pytest.mark.parametrize("must_ask", [True, False])
@pytest.mark.parametrize("said", [None, "granted", "denied"])
async def test_a_browser_that_opts_out_gets_no_cookie_at_all(page: Page, said: str | None, must_ask: bool) -> None:
    page.headers["sec-gpc"] = "1"
    for _ in range(2):
        answer = await page.call(p=CLICK, s=said, q=must_ask, i=True)
        assert answer.json() == {"browserId": None}
        assert "set-cookie" not in answer.headers
    assert nothing_is_kept()
    # Nor does a refused id that is still brought become a 0.
    page.headers["sec-gpc"] = ""
    await page.call(p=CLICK, s="granted")
    browser_id = page.cookie
    page.headers["sec-gpc"] = "1"
    for _ in range(2):
        page.cookie = browser_id
        await page.call(p=CLICK, s=said, q=must_ask)
        assert page.cookie == ""
    assert browsers() == [(browser_id, "denied")]


def refusal_of(browser_id: str) -> collect.Call:
    with in_transaction():
        ((merchant_id, at),) = rows(
            "SELECT merchant_id, last_seen_at FROM browsers WHERE browser_id = %s", (browser_id,)
        )
    return collect.Call(merchant_id, browser_id, at, "denied", forgets=True)


async def test_a_refused_id_stays_refused(page: Page, merchant: Merchant) -> None:
    """Whatever still brings it: another tab, a copy of the cookie, somebody who has read it."""
    await page.call(p=CLICK)
    browser_id = page.cookie
    await page.call(s="denied")
    bodies: list[dict[str, Any]] = [{}, {"i": True}]
    for body in bodies:
        page.cookie = browser_id
        answer = await page.call(p=CLICK, **body)
        assert page.cookie == "0"
        assert "Max-Age=7776000" in answer.headers["set-cookie"]
    assert answer.json() == {"browserId": None}
    assert browsers() == [(browser_id, "denied")]
    assert signals() == {}

    page.cookie = browser_id
    answer = await page.call(p=CLICK, s="granted", i=True)
    assert answer.json() == {"browserId": page.cookie}
    assert is_browser_id(page.cookie)
    assert page.cookie != browser_id
    assert dict(browsers()) == {browser_id: "denied", page.cookie: "granted"}
    assert signals(browser_id) == {}
    assert signals(page.cookie)["gclid"] == CLICK["gclid"]


async def test_a_refusal_and_a_consent_of_one_moment_are_a_refusal(runtime: Runtime, key: str) -> None:
    now, one = runtime.clock.now(), "a" * 32
    calls = [
        collect.Call(1, one, now, "granted", [("gclid", "before", now)]),
        collect.Call(1, one, now, "denied", forgets=True),
        collect.Call(1, one, now, "granted", [("gclid", "after", now)]),
        collect.Call(1, "b" * 32, now, None, [("gclid", "b", now)]),
    ]
    found = collect.store(calls, 250)
    assert found == [collect.Outcome.DENIED] * 3 + [collect.Outcome.KEPT_NEW]
    assert dict(browsers()) == {one: "denied", "b" * 32: None}
    assert signals(one) == {}


async def test_a_refusal_deletes_what_another_process_was_writing(page: Page, database: str) -> None:
    await page.call()
    browser_id = page.cookie
    with other_session(database) as other, other.cursor() as cursor:
        # As another process does: the browser's row first, then what it showed.
        cursor.execute("UPDATE browsers SET consent = NULL WHERE browser_id = %s", (browser_id,))
        cursor.execute(
            "INSERT INTO browser_signals (merchant_id, browser_id, kind, value, first_seen_at, last_seen_at) "
            "SELECT merchant_id, browser_id, 'gclid', 'late', last_seen_at, last_seen_at FROM browsers"
        )
        refusing = asyncio.create_task(run_in_db_thread(collect.store, [refusal_of(browser_id)], 60_000))
        with other_session(database) as third, third.cursor() as looking:
            third.autocommit = True
            for _ in range(10 * PATIENCE_SECONDS):
                looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if looking.fetchone() == (1,):
                    break
                await asyncio.sleep(0.1)
        other.commit()
        assert await refusing == [collect.Outcome.DENIED]
    assert browsers() == [(browser_id, "denied")]
    assert signals() == {}


async def test_an_erased_browser_does_not_come_back(runtime: Runtime, merchant: Merchant, page: Page) -> None:
    """One that is to be left alone has its id on, so that it is known; what was only erased is a new browser."""
    ids: dict[str, str] = {}
    for name in ("suppressed", "erased", "other"):
        page.cookie = ""
        await page.call()
        ids[name] = page.cookie
    marker = marker_of(runtime)
    marks = {name: marker.mark(merchant.merchant_id, f"browser_id:{one}") for name, one in ids.items()}
    now = runtime.clock.now()
    with in_transaction():
        gone = [ids["suppressed"], ids["erased"]]
        forget_browsers(merchant.merchant_id, gone, hold_browsers(merchant.merchant_id, gone))
        mark_merchant(merchant.merchant_id)
        add_suppressions(merchant.merchant_id, {marks["suppressed"]: None}, now)
        add_tombstones(merchant.merchant_id, {marks["erased"]: now + timedelta(days=90)})
    runtime.marker = None  # as in a process that has erased nobody
    page.app.collector = CollectorDoor(runtime, answer_seconds=PATIENCE_SECONDS)

    bodies: list[dict[str, Any]] = [{}, {"s": "granted"}, {"i": True}]
    for body in bodies:
        page.cookie = ids["suppressed"]
        answer = await page.call(p=CLICK, **body)
        assert "set-cookie" not in answer.headers
    assert answer.json() == {"browserId": None}
    assert browsers() == [(ids["other"], None)]
    page.cookie = ids["suppressed"]
    await page.call(s="denied")
    assert page.cookie == "0"
    assert browsers() == [(ids["other"], None)]

    page.cookie = ids["erased"]
    answer = await page.call(p=CLICK, i=True)
    assert answer.json() == {"browserId": page.cookie}
    assert page.cookie not in ids.values()
    assert {id for id, _ in browsers()} == {ids["other"], page.cookie}
    assert signals(page.cookie)["gclid"] == CLICK["gclid"]

    page.cookie = ids["other"]
    assert (await page.call(i=True)).json() == {"browserId": ids["other"]}


@pytest.mark.parametrize("body", [{"p": CLICK}, {"s": "denied"}])
async def test_a_call_that_is_held_against_what_was_known_long_ago_is_late(
    page: Page, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]
) -> None:
    """Its process stood still since: the browser's person may have been erased."""
    await page.call()
    browser_id, directory = page.cookie, page.app.collector.directory
    ((key, named),) = directory._known.items()
    with monkeypatch.context() as patch:
        patch.setattr(collect, "KNOWN_SECONDS", 60.0)
        directory._known[key] = replace(named, asked_at=elapsed() - LATE_SECONDS - 5)
        assert (await page.call(**body)).status_code == 503
    assert browsers() == [(browser_id, None)]
    assert "gclid" not in signals(browser_id)


async def test_a_call_that_says_nothing_does_not_take_back_a_consent(page: Page) -> None:
    await page.call(s="granted")
    await page.call()
    assert browsers() == [(page.cookie, "granted")]


# Who calls


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec-purpose": "prefetch"}, id="prefetch"),
        pytest.param({"sec-purpose": "prefetch;prerender"}, id="prerender"),
        pytest.param({"purpose": "prefetch"}, id="prefetch of old"),
        pytest.param(
            {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, id="bot"
        ),
        pytest.param({"user-agent": "facebookexternalhit/1.1"}, id="preview"),
        pytest.param({"user-agent": AGENT.replace("Chrome/", "HeadlessChrome/")}, id="headless"),
        pytest.param({"user-agent": "curl/8.5.0"}, id="curl"),
        pytest.param({"user-agent": " "}, id="nobody"),
    ],
)
async def test_who_is_no_visitor_leaves_nothing(page: Page, headers: dict[str, str]) -> None:
    page.headers |= headers
    answer = await page.call(p=CLICK, s="granted")
    assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None)
    assert nothing_is_kept()


async def test_a_telephone_is_no_bot(page: Page) -> None:
    page.headers["user-agent"] = "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/153.0.0.0 Mobile"
    await page.call()
    assert len(browsers()) == 1


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://www.shop.example",
        "https://shop.example",
        "https://www.shop.example:8443",
        "null",
        "",
    ],
)
async def test_pages_of_other_origins_are_refused(page: Page, origin: str) -> None:
    page.headers["origin"] = origin
    answer = await page.call(p=CLICK, i=True)
    assert (answer.status_code, answer.content) == (403, b"")
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert nothing_is_kept()


async def test_another_merchants_page_is_refused(runtime: Runtime, app: Application, page: Page) -> None:
    other = settings_of(runtime, new_merchant(runtime, name="Other"), enabled=True, origins=["https://other.example"])
    assert (await Page(app, other).call()).status_code == 403
    assert (await page.call()).status_code == 204


@pytest.mark.parametrize("key", [UNKNOWN_KEY, "", "tlp_x", "tl_secret", None, 5, ["x"]])
async def test_a_key_that_names_nobody_keeps_nothing(page: Page, key: Any) -> None:
    answer = await page.call(m=key, p=CLICK)
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers
    assert nothing_is_kept()


async def test_an_api_key_is_no_public_key(page: Page, merchant: Merchant) -> None:
    assert (await page.call(m=merchant.key)).status_code == 404


async def test_a_collector_that_is_switched_off_keeps_nothing(
    runtime: Runtime, merchant: Merchant, page: Page, key: str
) -> None:
    settings_of(runtime, merchant, enabled=False)
    assert (await page.call()).status_code == 404
    assert nothing_is_kept()
    assert settings_of(runtime, merchant, enabled=True) == key


@pytest.mark.parametrize(
    "cookie",
    ["x", "A" * 32, "a" * 31, "a" * 33, "../" * 10, "0" * 32 + ";x", "' OR 1=1 --", "%00", "00"],
)
async def test_a_cookie_that_is_not_of_our_form_is_replaced(page: Page, cookie: str) -> None:
    page.headers["cookie"] = f"_tlb={cookie}"
    await page.call()
    assert is_browser_id(page.cookie)
    assert browsers() == [(page.cookie, None)] or cookie.startswith("0" * 32)


async def test_a_cookie_that_a_sibling_host_planted_is_not_adopted(page: Page) -> None:
    await page.call(p=CLICK)
    first, planted = page.cookie, "b7" * 16
    page.headers["cookie"] = f"_tlb={planted}; _tlb={first}"  # the longer path comes first
    answer = await page.call(i=True)
    assert (answer.json(), page.cookie) == ({"browserId": first}, first)
    assert "_tlb=; Max-Age=0; Domain=shop.example; Path=/t" in answer.headers.get_list("set-cookie")
    page.headers["cookie"] = f"_tlb=0; _tlb={first}"
    assert (await page.call(i=True)).json() == {"browserId": first}
    assert browsers() == [(first, None)]
    page.headers["cookie"] = f"_tlb={planted}; _tlb=0"
    answer = await page.call(i=True)
    assert answer.json() == {"browserId": None}
    assert len(browsers()) == 1


async def test_where_nobody_can_tell_whose_cookie_it_is_the_browser_is_new(
    runtime: Runtime, merchant: Merchant, page: Page
) -> None:
    settings_of(runtime, merchant, cookie_domain="")
    planted = "b7" * 16
    page.headers["cookie"] = f"_tlb={'a' * 32}; _tlb={planted}"
    answer = await page.call(p=CLICK)
    assert is_browser_id(page.cookie)
    assert [id for id, _ in browsers()] == [page.cookie]
    assert page.cookie not in ("a" * 32, planted)
    assert "_tlb=; Max-Age=0; Domain=shop.example; Path=/" in answer.headers.get_list("set-cookie")


async def test_a_forged_id_is_a_browser_of_its_own(page: Page) -> None:
    await page.call(p=CLICK)
    first = page.cookie
    page.cookie = "a" * 32
    await page.call(p={"gclid": "Forged-1"})
    assert [id for id, _ in browsers()] == sorted([first, "a" * 32])
    assert signals(first)["gclid"] == CLICK["gclid"]


# Bounds


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 2000, b"{}" * 2],
)
async def test_what_is_no_call_is_refused(page: Page, content: bytes) -> None:
    assert (await page.call(content=content)).status_code == 400
    assert nothing_is_kept()


async def test_a_call_may_have_4_kilobytes(page: Page) -> None:
    room = MAX_BODY - len(json.dumps({"m": page.key, "x": ""}))
    fits = json.dumps({"m": page.key, "x": "y" * room}).encode()
    assert (await page.call(content=fits)).status_code == 204
    assert (await page.call(content=fits + b" ")).status_code == 413
    assert len(browsers()) == 1


@pytest.mark.parametrize("length", ["5000", "-1", "x", "99999999999999999999"])
async def test_what_is_announced_as_too_large_is_not_read(page: Page, length: str) -> None:
    page.headers["content-length"] = length
    answer = await page.call()
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("part", EVERYTHING[1:])
@pytest.mark.parametrize("value", [None, 1, "x", [], [{}], {"gclid": {"a": 1}}, {"gclid": "\ud800"}, {"_fbc": 10**30}])
async def test_no_value_of_any_kind_is_a_fault(page: Page, part: str, value: Any) -> None:
    text = json.dumps({"m": page.key, part: value}).encode()
    assert (await page.call(content=text)).status_code in (200, 204)
    assert set(signals()) <= {"client_ip", "client_user_agent"}


async def test_an_email_is_never_kept(page: Page) -> None:
    email = "jane@example.com"
    await page.call(p={"email": email, "gclid": email, "twclid": email}, c={"em": email, "_fbp": email}, email=email)
    with in_transaction():
        for table in ("browsers", "browser_signals", "browser_people"):
            assert "jane" not in str(rows(f"SELECT * FROM {table}"))


async def test_an_address_of_nobody_on_the_internet_is_not_kept(page: Page) -> None:
    page.address = "10.0.0.7"
    await page.call()
    assert signals() == {}


def test_an_ordinary_address_is_judged_as_if_it_were_looked_at_closely() -> None:
    addresses = [
        f"{first}.{rest}" for first in range(256) for rest in ("0.0.0", "0.0.1", "16.0.9", "168.1.1", "255.255.255")
    ]
    addresses += [
        "100.64.0.1",
        "172.31.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.9",
        "2001:4860:4860::8844",
        "::1",
        "",
    ]
    for address in addresses:
        is_somebodys = bool(address) and ipaddress.ip_address(address).is_global
        assert (_public(address) == address) is is_somebodys, address


async def test_calls_of_a_moment_are_one_way_to_the_server_and_back(
    page: Page, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page.call()  # whom the key names is known
    statements: list[str] = []
    real = pool.execute_sql

    def noted(sql: str, *args: Any, **options: Any) -> Any:
        statements.append(sql)
        return real(sql, *args, **options)

    begin = pool.begin

    def begun(*args: Any) -> None:
        statements.append("BEGIN")
        begin(*args)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "execute_sql", noted)
        patch.setattr(pool, "begin", begun)
        await page.call(p=CLICK)
        assert len(statements) == 1
        assert (await page.call(s="denied")).status_code == 204  # what is deleted needs a transaction of several
    assert [sql.split()[0] for sql in statements] == ["SET", "BEGIN", "SELECT", "WITH", "WITH", "WITH", "SELECT"]


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(app: Application, runtime: Runtime) -> Time:
    """Seconds for the limits, which the test moves."""
    made = Time()
    app.collector = CollectorDoor(runtime, made, PATIENCE_SECONDS)
    return made


async def test_an_address_may_call_60_times_a_minute(page: Page, time: Time) -> None:
    answers = [(await page.call()).status_code for _ in range(OF_ADDRESS + 2)]
    assert answers == [204] * OF_ADDRESS + [429] * 2
    page.cookie = ""
    refused = await page.call()
    assert (refused.headers["retry-after"], refused.headers.get("set-cookie")) == ("1", None)
    assert len(browsers()) == 1
    page.address = "8.8.8.8"
    assert (await page.call()).status_code == 204
    page.address = ADDRESS
    time.now += 1
    assert (await page.call()).status_code == 204
    assert (await page.call()).status_code == 429


async def test_one_ipv6_network_is_one_address(page: Page, time: Time) -> None:
    for number in range(OF_ADDRESS):
        page.address = f"2a00:1450:4001:81b::{number:x}"
        assert (await page.call()).status_code == 204
    page.address = "2a00:1450:4001:81b:ffff::1"
    assert (await page.call()).status_code == 429
    page.address = "2a00:1450:4001:81c::1"
    assert (await page.call()).status_code == 204


@pytest.mark.parametrize("network", ["2a00:1450:4001:{:x}::1", "8.8.4.{}"])
async def test_a_whole_network_has_a_limit_with_each_merchant(
    runtime: Runtime, app: Application, page: Page, merchant: Merchant, time: Time, network: str
) -> None:
    other = Page(app, settings_of(runtime, new_merchant(runtime, name="Other"), enabled=True, origins=[SHOP]))
    page.address = network.format(0)
    assert (
        app.collector._networks.take((merchant.merchant_id, networks(page.address)[1]), OF_NETWORK - 20, time.now) == 0
    )
    statuses = []
    for number in range(21):
        page.address = network.format(number)
        statuses.append((await page.call()).status_code)
    assert statuses == [204] * 20 + [429]
    page.address = "8.8.5.1"
    assert (await page.call()).status_code == 204
    other.address = network.format(1)
    assert (await other.call()).status_code == 204


@pytest.mark.parametrize("text", ["x" * 60_000, "unknown", "", "1.2.3", "::1%eth0"])
async def test_what_is_no_address_is_one_caller(page: Page, time: Time, text: str) -> None:
    """What a proxy passes on as one is anybody's text."""
    page.address = text
    assert page.app.collector._addresses.take("", OF_ADDRESS - 1, time.now) == 0
    assert [(await page.call()).status_code for _ in range(2)] == [204, 429]
    assert list(page.app.collector._addresses._buckets) == [""]
    assert signals() == {}


async def test_a_port_does_not_make_another_address(page: Page, time: Time) -> None:
    page.address = f"{ADDRESS}:50001"
    assert page.app.collector._addresses.take(networks(ADDRESS)[0], OF_ADDRESS - 1, time.now) == 0
    assert [(await page.call()).status_code for _ in range(2)] == [204, 429]
    assert signals()["client_ip"] == ADDRESS


async def test_new_browsers_have_a_limit_that_those_who_are_known_do_not_feel(
    runtime: Runtime, app: Application, page: Page, merchant: Merchant, time: Time
) -> None:
    new = app.collector._new
    assert new.take(merchant.merchant_id, NEW_AT_ONCE - 2, time.now) == 0
    await page.call()
    known = page.cookie
    page.cookie = "a" * 32  # one that nobody gave counts as well
    await page.call()
    for cookie in ("", "b" * 32):
        page.cookie = cookie
        answer = await page.call(p=CLICK)
        assert (answer.status_code, answer.headers.get("set-cookie")) == (429, None)
    assert [id for id, _ in browsers()] == sorted([known, "a" * 32])
    page.cookie = known
    assert (await page.call(p=CLICK)).status_code == 204
    assert signals(known)["gclid"] == CLICK["gclid"]
    assert (await page.call(s="denied")).status_code == 204

    other = settings_of(runtime, new_merchant(runtime, name="Other"), enabled=True, origins=[SHOP])
    assert (await Page(app, other).call()).status_code == 204
    time.now += 1
    page.cookie = ""
    assert (await page.call()).status_code == 204
    assert NEW_OF_MERCHANT >= 60


async def test_a_merchants_pages_have_a_limit_and_other_merchants_do_not_feel_it(
    runtime: Runtime, app: Application, page: Page, merchant: Merchant, time: Time
) -> None:
    door = app.collector
    assert door._merchants.take(merchant.merchant_id, OF_MERCHANT - 1, time.now) == 0
    assert [(await page.call()).status_code for _ in range(2)] == [204, 429]
    assert len(browsers()) == 1
    other = settings_of(runtime, new_merchant(runtime, name="Other"), enabled=True, origins=[SHOP])
    assert (await Page(app, other).call()).status_code == 204
    time.now += 1
    assert (await page.call()).status_code == 204


async def test_many_calls_of_a_moment_are_one_commit(
    page: Page, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = collect.store

    def store(calls: Any, lock_ms: int) -> list[collect.Outcome]:
        sizes.append(len(calls))
        return real(calls, lock_ms)

    monkeypatch.setattr(collect, "store", store)
    await page.call()
    pages = [Page(app, page.key, address=f"8.8.{number // 250}.{number % 250}") for number in range(300)]
    answers = await asyncio.gather(*(one.call(p=CLICK) for one in pages))
    assert {answer.status_code for answer in answers} == {204}
    assert len({one.cookie for one in pages}) == 300
    assert len(browsers()) == 301
    assert sum(sizes) == 301
    assert len(sizes) < 100


async def test_20000_forged_calls_link_nobody_and_change_no_other_browser(
    runtime: Runtime, merchant: Merchant, page: Page, app: Application
) -> None:
    """Of one poisoner, who has all of the shop's public words and sends what he likes: what is refused costs no row, what is
    taken is a browser of his own. In this process, so that it takes seconds."""
    await page.call(p=CLICK, s="granted")
    victim = page.cookie
    with in_transaction():
        (seen_at,) = rows("SELECT last_seen_at FROM browsers")[0]
        link_people(merchant.merchant_id, [Link(victim, "email", "d" * 64, {}, seen_at)], seen_at)

    def all_of(browser_id: str) -> list[list[tuple[Any, ...]]]:
        with in_transaction():
            return [
                rows(f"SELECT * FROM {table} WHERE browser_id = %s ORDER BY 1, 2, 3, 4", (browser_id,))
                for table in ("browsers", "browser_signals", "browser_people")
            ]

    before = all_of(victim)
    statuses: dict[int, int] = {}
    calls = 20_000

    async def forge(numbers: Iterator[int]) -> None:
        for number in numbers:
            body = {
                "m": page.key if number % 10 else f"tlp_{number:022d}",
                "s": ("granted", "denied", None)[number % 3],
                "p": {"gclid": f"Forged-{number}", "email": "jane@example.com"},
                "c": {"_fbp": "fb.1.1596403881668.666", "em": "d" * 64, "browser_id": victim, "_tlb": victim},
                "browserId": victim,
                "userData": {"email": "jane@example.com", "browserId": victim},
            }
            # One address in a hundred is new: the others are over their limit.
            headers = [
                (b"host", HOST.encode()),
                (b"origin", SHOP.encode()),
                (b"user-agent", AGENT.encode()),
                (b"cookie", f"_tlb={number:032x}; _tlb2={victim}; x_tlb={victim}".encode()),
            ]
            client = (f"9.{number // 25_600 % 256}.{number // 100 % 256}.9" if number % 5 == 0 else "9.9.9.9", 1)
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/t",
                "headers": headers,
                "client": client,
                "scheme": "https",
            }
            text = json.dumps(body).encode()

            async def receive(text: bytes = text) -> Any:
                return {"type": "http.request", "body": text}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses[message["status"]] = statuses.get(message["status"], 0) + 1

            await app(scope, receive, send)

    numbers = iter(range(calls))
    await asyncio.gather(*(forge(numbers) for _ in range(64)))
    assert sum(statuses.values()) == calls
    assert set(statuses) <= {204, 404, 429, 503}
    assert statuses[204] > 0
    assert all_of(victim) == before
    with in_transaction():
        assert rows("SELECT browser_id, digest FROM browser_people") == [(victim, "d" * 64)]
        (made,) = rows("SELECT count(*) FROM browsers WHERE browser_id <> %s", (victim,))[0]
        assert rows("SELECT count(*) FROM browser_signals WHERE value LIKE '%%@%%'") == [(0,)]
    assert made <= statuses[204]
    assert len(app.collector.directory) <= 2 * MOST_KEYS
    assert len(app.collector.collection) == 0


# The database


PATIENCE = 50  # tries: fewer than an address has


async def until_taken(page: Page, **body: Any) -> None:
    """Until the database is found to be there again."""
    for _ in range(PATIENCE):
        if (await page.call(**body)).status_code == 204:
            return
        await asyncio.sleep(0.1)
    pytest.fail("it is never taken")


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    with other_session(url) as other, other.cursor() as cursor:
        cursor.execute(statement)
        yield


async def test_what_cannot_be_stored_in_time_is_not_acknowledged(page: Page, database: str) -> None:
    await page.call()  # whom the key names is known
    with locked(database, "LOCK TABLE browsers IN ACCESS EXCLUSIVE MODE"):
        answer = await page.call(p=CLICK)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.headers["access-control-allow-origin"] == SHOP  # so that the page can read it, and tell it again
        refused = await page.call(s="denied")
        assert refused.status_code == 503
        assert "set-cookie" not in refused.headers  # the id stays until what is known of it is gone
    assert is_browser_id(page.cookie)
    await until_taken(page, s="denied")
    assert page.cookie == "0"


async def test_no_page_waits_longer_than_it_may(page: Page, app: Application, runtime: Runtime, database: str) -> None:
    await page.call()
    app.collector = CollectorDoor(runtime, answer_seconds=0.05)
    with locked(database, "LOCK TABLE browsers IN ACCESS EXCLUSIVE MODE"):
        assert (await page.call()).status_code == 503
    assert len(app.collector.collection) == 0


async def test_while_the_database_is_away_nothing_waits_in_memory(page: Page, app: Application, database: str) -> None:
    await page.call()
    connect(database.replace("tracklayer", "nowhere"))
    pages = [Page(app, page.key, address=f"8.8.{number // 250}.{number % 250}") for number in range(300)]
    answers = await asyncio.gather(*(one.call(p=CLICK) for one in pages))
    assert {answer.status_code for answer in answers} == {503}
    assert len(app.collector.collection) == 0
    connect(database)
    await until_taken(page)
    assert len(browsers()) == 1


async def test_one_merchants_locked_rows_are_not_anothers(
    runtime: Runtime, app: Application, page: Page, database: str
) -> None:
    other = Page(app, settings_of(runtime, new_merchant(runtime, name="Other"), enabled=True, origins=[SHOP]))
    await page.call()
    await other.call()
    with locked(database, f"UPDATE browsers SET consent = NULL WHERE browser_id = '{page.cookie}'"):
        for _ in range(PATIENCE):
            answers = await asyncio.gather(page.call(), other.call())
            assert answers[0].status_code == 503
            if answers[1].status_code == 204:
                break
            await asyncio.sleep(0.05)
        assert answers[1].status_code == 204


async def test_what_waits_is_bounded(runtime: Runtime, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_WAITING", 3)
    collection = Collection(PATIENCE_SECONDS)
    now = runtime.clock.now()
    calls = [collection.keep(collect.Call(1, f"{number:032x}", now)) for number in range(5)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in found] == [collect.Outcome] * 3 + [OverloadedError] * 2
    assert len(browsers()) == 3
    assert BATCH > 3


async def test_keys_that_name_nobody_are_remembered_and_bounded(runtime: Runtime, key: str) -> None:
    directory = Directory(runtime)
    unknown = [f"tlp_{number:022d}" for number in range(MOST_ASKED + 50)]
    found = await asyncio.gather(directory.find(key), *(directory.find(one) for one in unknown), return_exceptions=True)
    assert isinstance(found[0], collect.Named)
    assert found[1:MOST_ASKED] == [None] * (MOST_ASKED - 1)
    assert [type(one) for one in found[MOST_ASKED:]] == [OverloadedError] * 51
    assert len(directory) == MOST_ASKED
    for begin in range(0, MOST_KEYS + 2 * MOST_ASKED, MOST_ASKED):
        more = [f"tlp_x{number:021d}" for number in range(begin, begin + MOST_ASKED)]
        assert await asyncio.gather(*map(directory.find, more)) == [None] * MOST_ASKED
    assert len(directory) == MOST_KEYS + 1
    assert await directory.find(key) is not None


# The script


@pytest.fixture
async def anybody(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"https://{HOST}") as client:
        yield client


async def test_the_script_is_small_and_cached_by_its_hash(anybody: httpx.AsyncClient) -> None:
    text = SCRIPT.read_bytes()
    mark = hashlib.sha256(text).hexdigest()[:16]
    assert len(gzip.compress(text, 9)) <= 3 * 1024
    answer = await anybody.get("/tl.js?m=x")
    assert (answer.status_code, answer.content) == (200, text)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["etag"] == f'"{mark}"'
    assert answer.headers["cache-control"].startswith("public, max-age=3600")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "set-cookie" not in answer.headers
    plain = await anybody.get("/tl.js?m=x", headers={"accept-encoding": "identity"})
    assert (plain.content, plain.headers.get("content-encoding")) == (text, None)
    known = await anybody.get("/tl.js?m=x", headers={"if-none-match": f'W/"{mark}"'})
    assert (known.status_code, known.content) == (304, b"")
    assert (await anybody.get(f"/tl.js?m=x&v={mark}")).headers["cache-control"].endswith("immutable")
    assert not (await anybody.get("/tl.js?m=x&v=else")).headers["cache-control"].endswith("immutable")
    assert (await anybody.head("/tl.js")).content == b""
    assert (await anybody.post("/tl.js")).status_code == 405
    for word in (b"eval", b"Function(", b"localStorage", b"sessionStorage", b"document.cookie =", b"innerHTML"):
        assert word not in text


async def test_the_door_takes_nothing_but_post(anybody: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = await anybody.request(method, "/t")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# Hosts


@pytest.mark.parametrize("hosts", [(HOST,), ("*.shop.example",), ("*",)])
async def test_a_collectors_host_serves_nothing_else(
    runtime: Runtime, merchant: Merchant, key: str, hosts: tuple[str, ...]
) -> None:
    runtime.settings = replace(runtime.settings, collector_hosts=hosts, public_url="https://tl.example")
    app = build_app(runtime, lambda wake: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        paths = (
            "/",
            "/graphql",
            "/docs",
            "/healthz",
            "/readyz",
            "/schema.graphql",
            "/session",
            "/events",
            "/t/",
            "/static/icon.svg",
        )
        for host in (HOST, f"{HOST}:8443", HOST.upper(), f"{HOST}."):
            for path in paths:
                answer = await client.get(f"https://{HOST}{path}", headers={"host": host})
                assert (answer.status_code, answer.text) == (404, "Not found\n"), path
            asked = await client.post(
                f"https://{HOST}/graphql",
                json={"query": "{ merchant { name } }"},
                headers={"authorization": f"Bearer {merchant.key}", "host": host},
            )
            assert asked.status_code == 404
        assert (await client.get(f"https://{HOST}/tl.js")).status_code == 200
        assert (await Page(app, key).call()).status_code == 204
        # The dashboard's own names serve the dashboard, and this machine's a trial besides.
        assert (await client.get("https://tl.example/healthz")).status_code == 200
        assert (await client.get("https://tl.example/tl.js")).status_code == 404
        assert (await client.get("http://127.0.0.1:8000/healthz")).status_code == 200
        assert (await client.get("http://127.0.0.1:8000/tl.js")).status_code == 200
        other = await client.get("https://api.else.example/healthz")
        assert other.status_code == (404 if hosts == ("*",) else 200)


# Settings

SET = """
mutation($collector: CollectorInput) {
  updateMerchant(input: {collector: $collector}) {
    merchant { collector { ...all } } userErrors { field code message }
  }
}
fragment all on Collector {
  enabled origins cookieDomain consentRequired publicKey cookieName cookieMaxAgeSeconds snippet
}"""


async def test_a_merchant_sets_its_collector(api: Api, merchant: Merchant, clock: FrozenClock) -> None:
    before = await api("{ merchant { collector { enabled origins cookieDomain consentRequired publicKey snippet } } }")
    assert before["merchant"]["collector"] == {
        "enabled": False,
        "origins": [],
        "cookieDomain": None,
        "consentRequired": False,
        "publicKey": None,
        "snippet": None,
    }
    done = (await api(SET, collector={"enabled": True, "origins": [f"{SHOP}/"], "consentRequired": True}))[
        "updateMerchant"
    ]
    assert done["userErrors"] == []
    found = done["merchant"]["collector"]
    key = found["publicKey"]
    assert is_public_key(key)
    assert found == {
        "enabled": True,
        "origins": [SHOP],
        "cookieDomain": "shop.example",
        "consentRequired": True,
        "publicKey": key,
        "cookieName": "_tlb",
        "cookieMaxAgeSeconds": 7_776_000,
        "snippet": f'<script src="https://t.shop.example/tl.js?m={key}" data-consent="required" defer></script>',
    }
    with in_transaction():
        assert rows("SELECT stitched_since FROM merchants") == [(clock.now() + timedelta(seconds=5),)]
    clock.move(timedelta(days=1))
    again = (await api(SET, collector={"enabled": False}))["updateMerchant"]["merchant"]["collector"]
    assert again == {**found, "enabled": False}
    await api(SET, collector={"enabled": True})
    with in_transaction():
        assert rows("SELECT stitched_since, public_key FROM merchants") == [
            (clock.now() - timedelta(days=1, seconds=-5), key)
        ]


@pytest.mark.parametrize(
    ("collector", "field", "code"),
    [
        (None, ["collector"], "REQUIRED"),
        ({"enabled": True}, ["collector", "origins"], "REQUIRED"),
        ({"enabled": None}, ["collector", "enabled"], "REQUIRED"),
        ({"origins": ["https://shop.example/x"]}, ["collector", "origins", "0"], "INVALID_VALUE"),
        ({"origins": ["https://shop.co.uk"], "cookieDomain": "co.uk"}, ["collector", "cookieDomain"], "INVALID_VALUE"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_changes(
    api: Api, merchant: Merchant, collector: Any, field: list[str], code: str
) -> None:
    done = (await api(SET, collector=collector))["updateMerchant"]
    assert done["merchant"] is None
    assert [(error["field"], error["code"]) for error in done["userErrors"]] == [(field, code)]
    assert re.fullmatch(r"[A-Z].*\.", done["userErrors"][0]["message"])
    with in_transaction():
        assert rows("SELECT collector, public_key, stitched_since FROM merchants") == [(None, None, None)]
