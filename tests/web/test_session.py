"""Signing in: what a browser gets for a key or a link, what its cookie is worth, and for whom it is worth nothing."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.factories import Merchant, new_merchant
from tests.live import LiveServer
from tracklayer.app import build_app
from tracklayer.buckets import Buckets
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.merchants import api_keys
from tracklayer.domain.site import Site
from tracklayer.keyring import LIFETIME
from tracklayer.runtime import Runtime
from tracklayer.services.merchants import create_api_key, revoke_api_key
from tracklayer.services.sign_in import (
    LINKS_KEY,
    is_known_session,
    make_code,
    purge_sign_ins,
    sign_in_with_key,
    sign_out,
)
from tracklayer.web.session import session_routes

OWN = {"sec-fetch-site": "same-origin"}
COOKIE = "tracklayer-8000"
UNKNOWN = "x" * 43


@dataclass
class Browser:
    """One that keeps what it is told to keep; ``site``: what it says of the page that asks."""

    client: httpx.AsyncClient
    cookie: str = COOKIE
    value: str = ""

    async def ask(self, method: str, path: str = "/session", json: Any = None, **headers: str) -> httpx.Response:
        sent = {**OWN, **headers}
        if self.value:
            sent.setdefault("cookie", f"theme=dark; {self.cookie}={self.value}")
        sent = {name: value for name, value in sent.items() if value}
        answer = await self.client.request(method, path, json=json, headers=sent)
        self.client.cookies.clear()  # several browsers share it
        given = answer.headers.get("set-cookie", "")
        if given:
            name, _, value = given.partition(";")[0].partition("=")
            assert name == self.cookie
            self.value = value
        return answer

    async def sign_in(self, **credentials: str) -> httpx.Response:
        return await self.ask("POST", json=credentials)

    async def query(self, text: str = "{ merchant { name } }", **headers: str) -> httpx.Response:
        return await self.ask("POST", "/graphql", {"query": text}, **headers)

    def copy(self) -> Browser:
        return Browser(self.client, self.cookie, self.value)


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(runtime, lambda wake: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000") as made:
        yield made


@pytest.fixture
def browser(client: httpx.AsyncClient, merchant: Merchant) -> Browser:
    """``merchant`` is there."""
    return Browser(client)


def code_of(answer: httpx.Response) -> str:
    """Of an error, as a page reads it."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["message"].endswith(".")
    return str(error["code"])


def graphql_code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])


async def test_a_key_signs_in_until_one_signs_out(browser: Browser, merchant: Merchant) -> None:
    assert (await browser.ask("GET")).status_code == 401
    answer = await browser.sign_in(key=f" {merchant.key}\n")
    assert answer.status_code == 200
    assert answer.json()["merchant"]["name"] == "Shop"
    assert answer.json()["scopes"] == ["INGEST", "READ", "ADMIN"]
    assert answer.headers["cache-control"] == "no-store"
    given = answer.headers["set-cookie"].split("; ")
    assert given[0].startswith(f"{COOKIE}=")
    assert given[1:] == ["Max-Age=604800", "Path=/", "HttpOnly", "SameSite=Lax"]
    assert merchant.key not in answer.text

    there = await browser.ask("GET")
    assert (there.status_code, there.json(), there.headers["cache-control"]) == (200, answer.json(), "no-store")
    asked = await browser.query()
    assert asked.json() == {"data": {"merchant": {"name": "Shop"}}}
    assert asked.headers["cache-control"] == "no-store"

    stolen = browser.copy()
    gone = await browser.ask("DELETE")
    assert (gone.status_code, gone.headers["clear-site-data"]) == (204, '"storage"')
    assert gone.headers["set-cookie"] == f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
    assert (await stolen.ask("GET")).status_code == 401  # at once: the value is worth nothing any more
    assert graphql_code(await stolen.query()) == "UNAUTHENTICATED"
    assert rows("SELECT count(*) FROM sessions")[0][0] == 0
    assert (await browser.ask("DELETE")).status_code == 204  # again, and nothing is wrong


async def test_a_secure_address_gets_a_cookie_that_no_other_host_can_set(runtime: Runtime, merchant: Merchant) -> None:
    runtime.settings = replace(runtime.settings, public_url="https://tl.example.com")
    app = build_app(runtime, lambda wake: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tl.example.com") as client:
        browser = Browser(client, "__Host-tracklayer")
        answer = await browser.sign_in(key=merchant.key)
        assert answer.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
        assert (await browser.query()).status_code == 200
        browser.cookie = "tracklayer"  # that a page without TLS could have set
        assert graphql_code(await browser.query()) == "UNAUTHENTICATED"


async def test_a_session_has_the_scopes_of_its_key(browser: Browser, runtime: Runtime, merchant: Merchant) -> None:
    made = create_api_key(runtime, merchant.merchant_id, "looks only", ["read"])
    assert isinstance(made, tuple)
    assert (await browser.sign_in(key=made[1])).json()["scopes"] == ["READ"]
    refused = await browser.query("mutation { pauseDestination(platform: META) { userErrors { code } } }")
    assert graphql_code(refused) == "FORBIDDEN"
    assert "ADMIN" in refused.json()["errors"][0]["message"]


async def test_what_is_kept_of_a_session_is_its_hash(browser: Browser, merchant: Merchant) -> None:
    await browser.sign_in(key=merchant.key)
    stored = repr(
        [bytes(value) if isinstance(value, memoryview) else value for value in rows("SELECT * FROM sessions")[0]]
    )
    assert browser.value not in stored
    assert len(browser.value) == 43


async def test_each_sign_in_gives_a_new_value_and_ends_the_one_before(browser: Browser, merchant: Merchant) -> None:
    browser.value = "a" * 43  # that somebody else put there
    await browser.sign_in(key=merchant.key)
    first = browser.copy()
    assert first.value != "a" * 43
    await browser.sign_in(key=merchant.key)
    assert browser.value != first.value
    assert (await first.ask("GET")).status_code == 401
    assert graphql_code(await first.query()) == "UNAUTHENTICATED"
    assert rows("SELECT count(*) FROM sessions")[0][0] == 1


async def test_a_revoked_key_ends_its_sessions_at_once_and_no_others(
    browser: Browser, client: httpx.AsyncClient, runtime: Runtime, merchant: Merchant
) -> None:
    made = create_api_key(runtime, merchant.merchant_id, "jane", ["read"])
    assert isinstance(made, tuple)
    other = Browser(client)
    await browser.sign_in(key=made[1])
    await other.sign_in(key=merchant.key)
    assert (await browser.query()).status_code == 200
    revoke_api_key(runtime, merchant.merchant_id, made[0].key_id)
    assert graphql_code(await browser.query()) == "UNAUTHENTICATED"
    assert (await browser.ask("GET")).status_code == 401
    assert code_of(await browser.sign_in(key=made[1])) == "UNAUTHENTICATED"
    assert (await other.query()).status_code == 200


async def test_another_process_revokes_or_signs_out_and_it_counts_within_a_second(
    browser: Browser, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    elsewhere = Runtime(runtime.settings, runtime.database_url, runtime.sealer, clock)
    try:
        await browser.sign_in(key=merchant.key)
        assert (await browser.query()).status_code == 200
        await asyncio.to_thread(sign_out, elsewhere, browser.value)
        clock.move(LIFETIME)
        assert graphql_code(await browser.query()) == "UNAUTHENTICATED"
        await browser.sign_in(key=merchant.key)
        assert (await browser.query()).status_code == 200
        with in_transaction():
            (key,) = api_keys(merchant.merchant_id)
        await asyncio.to_thread(revoke_api_key, elsewhere, merchant.merchant_id, key.key_id)
        clock.move(LIFETIME)
        assert graphql_code(await browser.query()) == "UNAUTHENTICATED"
    finally:
        elsewhere.close()


async def test_it_ends_after_twelve_idle_hours_and_after_seven_days(
    browser: Browser, merchant: Merchant, clock: FrozenClock, runtime: Runtime
) -> None:
    await browser.sign_in(key=merchant.key)
    clock.move(timedelta(hours=11, minutes=59))
    assert (await browser.query()).status_code == 200
    clock.move(timedelta(hours=11, minutes=59))  # it was seen meanwhile
    assert (await browser.query()).status_code == 200
    clock.move(timedelta(hours=12))
    assert graphql_code(await browser.query()) == "UNAUTHENTICATED"
    await browser.sign_in(key=merchant.key)
    for _ in range(15):
        clock.move(timedelta(hours=11))
        assert (await browser.query()).status_code == 200
    clock.move(timedelta(hours=3))
    assert graphql_code(await browser.query()) == "UNAUTHENTICATED"
    assert purge_sign_ins(runtime) == 1  # the idle one was ended by the second signing in


async def test_that_somebody_was_seen_is_noted_once_a_minute(
    browser: Browser, merchant: Merchant, clock: FrozenClock
) -> None:
    await browser.sign_in(key=merchant.key)
    begun = clock.now()
    assert rows("SELECT last_used_at FROM api_keys") == [(begun,)]  # to sign in is to use the key

    def noted() -> tuple[timedelta, bool]:
        ((seen, used),) = rows(
            "SELECT last_seen_at, last_used_at FROM sessions JOIN api_keys USING (merchant_id, key_id)"
        )
        return seen - begun, used == seen

    for seconds, expected in ((2, 0), (57, 0), (2, 61), (58, 61), (3, 122)):
        clock.move(timedelta(seconds=seconds))
        assert (await browser.query()).status_code == 200
        assert noted()[0] == timedelta(seconds=expected)
    assert noted()[1]  # and of the key with it


async def test_a_key_has_fifty_sessions_at_most_and_ends_none_of_another_key(
    browser: Browser, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    other = create_api_key(runtime, merchant.merchant_id, "shop", ["ingest"])
    assert isinstance(other, tuple)
    await browser.sign_in(key=merchant.key)
    made = []
    for _ in range(51):
        clock.move(timedelta(seconds=1))
        begun = sign_in_with_key(runtime, other[1])
        assert begun is not None
        made.append(begun[0])
    assert (await browser.ask("GET")).status_code == 200
    statuses = []
    for browser.value in made[:2]:
        statuses.append((await browser.ask("GET")).status_code)
    assert statuses == [401, 200]
    assert rows("SELECT count(*) FROM sessions GROUP BY key_id ORDER BY 1") == [(1,), (50,)]


# Links -------------------------------------------------------------------------------------------------------------


async def test_a_link_signs_in_once(
    browser: Browser, client: httpx.AsyncClient, runtime: Runtime, merchant: Merchant
) -> None:
    code = make_code(runtime, merchant.merchant_id)
    answer = await browser.sign_in(code=code)
    assert (answer.status_code, answer.json()["scopes"]) == (200, ["INGEST", "READ", "ADMIN"])
    assert (await browser.query()).json() == {"data": {"merchant": {"name": "Shop"}}}
    again = await Browser(client).sign_in(code=code)
    assert (again.status_code, code_of(again)) == (401, "UNAUTHENTICATED")
    assert "tracklayer sign-in" in again.json()["error"]["message"]
    assert rows("SELECT count(*) FROM sign_in_codes")[0][0] == 0


async def test_of_twenty_who_use_a_link_at_the_same_time_one_is_let_in(
    client: httpx.AsyncClient, runtime: Runtime, merchant: Merchant
) -> None:
    code = make_code(runtime, merchant.merchant_id)
    answers = await asyncio.gather(*(Browser(client).sign_in(code=code) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 9]
    assert rows("SELECT count(*) FROM sessions")[0][0] == 1


async def test_a_link_is_too_old_after_fifteen_minutes(
    browser: Browser, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    codes = [make_code(runtime, merchant.merchant_id) for _ in range(2)]
    clock.move(timedelta(minutes=14, seconds=59))
    assert (await browser.sign_in(code=codes[0])).status_code == 200
    clock.move(timedelta(seconds=1))
    assert (await browser.sign_in(code=codes[1])).status_code == 401
    assert purge_sign_ins(runtime) == 1
    assert purge_sign_ins(runtime) == 0


async def test_links_share_a_key_that_is_listed_and_ends_their_sessions_when_it_is_revoked(
    browser: Browser, client: httpx.AsyncClient, runtime: Runtime, merchant: Merchant
) -> None:
    browsers = [browser, Browser(client)]
    codes = [make_code(runtime, merchant.merchant_id) for _ in range(3)]
    found = await asyncio.gather(*(each.sign_in(code=code) for each, code in zip(browsers, codes, strict=False)))
    assert [answer.status_code for answer in found] == [200, 200]
    listed = (await browser.query("{ merchant { apiKeys { id name scopes revokedAt } } }")).json()["data"]["merchant"]
    (links,) = [key for key in listed["apiKeys"] if key["name"] == LINKS_KEY]
    assert (sorted(links["scopes"]), links["revokedAt"]) == (["ADMIN", "INGEST", "READ"], None)
    revoke = f'mutation {{ revokeApiKey(id: "{links["id"]}") {{ userErrors {{ code }} }} }}'
    assert (await browser.query(revoke)).status_code == 200
    for each in browsers:
        assert graphql_code(await each.query()) == "UNAUTHENTICATED"
    assert (await browser.sign_in(code=codes[2])).status_code == 200  # a new link works, with a new key
    assert (await browser.query()).status_code == 200
    names = [name for (name,) in rows("SELECT name FROM api_keys WHERE revoked_at IS NULL ORDER BY key_id")]
    assert names == ["first key", LINKS_KEY]


async def test_a_merchants_waiting_links_are_a_hundred_at_most(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for _ in range(103):
        clock.move(timedelta(seconds=1))
        make_code(runtime, merchant.merchant_id)
    assert rows("SELECT count(*) FROM sign_in_codes")[0][0] == 100


# What is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"key": "tl_' + b"x" * 43 + b'"}', 401, id="an unknown key"),
        pytest.param(b'{"key": ""}', 401, id="no key"),
        pytest.param(b'{"key": "%s"}' % UNKNOWN.encode(), 401, id="a session's value for a key"),
        pytest.param(b'{"key": "tl_\\ud800\\u0000' + b"x" * 43 + b'"}', 401, id="a key that no row can hold"),
        pytest.param(b'{"code": "%s"}' % UNKNOWN.encode(), 401, id="an unknown code"),
        pytest.param(b'{"code": "../../x"}', 401, id="no code"),
        pytest.param(b'{"key": 7}', 400, id="a number"),
        pytest.param(b'{"key": null}', 400, id="nothing"),
        pytest.param(b'{"key": ["tl_x"]}', 400, id="a list"),
        pytest.param(b'{"code": {"$ne": ""}}', 400, id="an object"),
        pytest.param(b'{"key": "tl_x", "code": "x"}', 400, id="both"),
        pytest.param(b"{}", 400, id="neither"),
        pytest.param(b'["key"]', 400, id="a list of names"),
        pytest.param(b"", 400, id="no body"),
        pytest.param(b"{", 400, id="no JSON"),
        pytest.param(b"\xff", 400, id="no text"),
        pytest.param(b'{"key": "' + b"x" * 4096 + b'"}', 413, id="too much"),
    ],
)
async def test_what_signs_nobody_in(browser: Browser, body: bytes, status: int) -> None:
    answer = await browser.client.post(
        "/session", content=body, headers={**OWN, "content-type": "application/json; charset=utf-8"}
    )
    assert answer.status_code == status
    assert code_of(answer) == {401: "UNAUTHENTICATED", 400: "BAD_REQUEST", 413: "TOO_LARGE"}[status]
    assert "set-cookie" not in answer.headers
    assert rows("SELECT count(*) FROM sessions")[0][0] == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_a_form_signs_nobody_in(browser: Browser, merchant: Merchant, kind: str) -> None:
    headers = {**OWN, "content-type": kind}
    answer = await browser.client.post("/session", content=f'{{"key": "{merchant.key}"}}', headers=headers)
    assert (answer.status_code, code_of(answer)) == (415, "BAD_REQUEST")


class Door:
    """``/session`` alone, at a time that the test sets."""

    def __init__(self, runtime: Runtime) -> None:
        self.at = 0.0
        self._app = Starlette(routes=session_routes(runtime, lambda: self.at))
        self._app.state.site = Site.at(runtime.settings.public_url)

    def client(self, address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self._app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def tries(self, address: str, count: int) -> list[int]:
        """Statuses of tries in vain."""
        async with self.client(address) as client:
            return [(await Browser(client).sign_in(code="no")).status_code for _ in range(count)]


async def test_ten_tries_in_vain_a_minute_and_an_address(runtime: Runtime, merchant: Merchant) -> None:
    door = Door(runtime)
    async with door.client("192.0.2.1") as client:
        for number in range(12):
            sent = {"key": "tl_" + UNKNOWN} if number % 2 else {"code": UNKNOWN}
            answer = await Browser(client).sign_in(**sent)
            assert answer.status_code == (401 if number < 10 else 429)
        assert (code_of(answer), answer.headers["retry-after"]) == ("RATE_LIMITED", "6")
        # Who has a key or a link gets in, whoever else guesses from the same address.
        assert (await Browser(client).sign_in(key=merchant.key)).status_code == 200
        assert (await Browser(client).sign_in(code=make_code(runtime, merchant.merchant_id))).status_code == 200
    door.at = 6.0
    assert await door.tries("192.0.2.1", 2) == [401, 429]


async def test_all_addresses_together_guess_six_hundred_times_a_minute(runtime: Runtime, merchant: Merchant) -> None:
    door = Door(runtime)
    for number in range(60):
        assert await door.tries(f"192.0.2.{number}", 10) == [401] * 10
    assert await door.tries("192.0.2.60", 1) == [429]
    async with door.client("192.0.2.61") as client:
        assert (await Browser(client).sign_in(key=merchant.key)).status_code == 200
    door.at = 1.0
    assert await door.tries("192.0.2.62", 11) == [*[401] * 10, 429]


async def test_guesses_that_might_be_right_are_looked_up_so_often_and_no_more(
    runtime: Runtime, merchant: Merchant
) -> None:
    async with Door(runtime).client("192.0.2.1") as client:
        for number in range(500):
            await Browser(client).sign_in(key=f"tl_{number:043d}")
        answer = await Browser(client).sign_in(key=merchant.key)
        assert (answer.status_code, code_of(answer), answer.headers["retry-after"]) == (429, "RATE_LIMITED", "1")


async def test_a_key_begins_thirty_sessions_a_minute(runtime: Runtime, merchant: Merchant) -> None:
    door = Door(runtime)
    async with door.client("192.0.2.1") as client:
        statuses = [(await Browser(client).sign_in(key=merchant.key)).status_code for _ in range(32)]
        assert statuses == [*[200] * 30, 429, 429]
        door.at = 2.0
        assert (await Browser(client).sign_in(key=merchant.key)).status_code == 200


async def test_unknown_cookies_are_looked_up_so_often_and_no_more(runtime: Runtime, merchant: Merchant) -> None:
    async with Door(runtime).client("192.0.2.1") as client:
        browser = Browser(client)
        await browser.sign_in(key=merchant.key)
        assert (await browser.ask("GET")).status_code == 200
        statuses = [(await browser.ask("GET", cookie=f"{COOKIE}={number:043d}")).status_code for number in range(100)]
        assert statuses == [*[401] * 99, 429]
        assert (await browser.ask("GET")).status_code == 200  # who is known is not kept out


# Other pages -------------------------------------------------------------------------------------------------------

PAGES = [
    pytest.param({"sec-fetch-site": "cross-site"}, id="another site"),
    pytest.param({"sec-fetch-site": "same-site"}, id="a shop on the same site"),
    pytest.param({"sec-fetch-site": "none"}, id="an address that was typed"),
    pytest.param({"sec-fetch-site": "same-origin, cross-site"}, id="nonsense"),
    pytest.param({"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"}, id="both, and they differ"),
    pytest.param({"sec-fetch-site": "", "origin": "https://shop.example.com"}, id="the origin of a shop"),
    pytest.param({"sec-fetch-site": "", "origin": "null"}, id="a page without an origin"),
    pytest.param({"sec-fetch-site": "", "origin": "http://localhost:3000"}, id="another port of this machine"),
    pytest.param({"sec-fetch-site": "", "origin": "http://localhost:8000.evil.example"}, id="a longer name"),
    pytest.param({"sec-fetch-site": "", "origin": "http://127.0.0.1:9000"}, id="another loopback name and port"),
]


@pytest.mark.parametrize("headers", PAGES)
async def test_no_other_page_signs_in_asks_or_signs_out(
    browser: Browser, merchant: Merchant, headers: dict[str, str]
) -> None:
    await browser.sign_in(key=merchant.key)
    held = browser.value
    for method, json in (("POST", {"key": merchant.key}), ("GET", None), ("DELETE", None)):
        answer = await browser.ask(method, json=json, **headers)
        assert (answer.status_code, code_of(answer)) == (403, "FORBIDDEN")
        assert "set-cookie" not in answer.headers
    assert browser.value == held
    assert (await browser.ask("GET")).status_code == 200


@pytest.mark.parametrize("headers", PAGES)
async def test_for_any_other_page_the_cookie_is_not_there(
    browser: Browser, merchant: Merchant, headers: dict[str, str]
) -> None:
    await browser.sign_in(key=merchant.key)
    posted = await browser.query(**headers)
    got = await browser.ask("GET", "/graphql?query={merchant{name}}", **headers)
    streamed = await browser.query("subscription { alerts { id } }", accept="text/event-stream", **headers)
    for answer in (posted, got, streamed):
        assert graphql_code(answer) == "UNAUTHENTICATED"
        assert "Shop" not in answer.text
    with_key = await browser.query(authorization=f"Bearer {merchant.key}", **headers)
    assert with_key.status_code == 200  # a key is nothing that a browser sends by itself


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"origin": "http://localhost:8000"}, id="the origin of its host"),
        pytest.param({"origin": "http://127.0.0.1:8000"}, id="the public URL's"),
        pytest.param({"content-type": "application/json"}, id="neither, and JSON"),
    ],
)
async def test_without_what_newer_browsers_say_the_origin_counts(
    browser: Browser, merchant: Merchant, headers: dict[str, str]
) -> None:
    await browser.sign_in(key=merchant.key)
    headers = {"sec-fetch-site": "", **headers}
    assert (await browser.ask("GET", **headers)).status_code == 200
    assert (await browser.query(**headers)).status_code == 200
    got = await browser.ask("GET", "/graphql?query={merchant{name}}", **headers)
    assert got.json() == {"data": {"merchant": {"name": "Shop"}}}


async def test_without_either_it_does_not_count_on_a_plain_get(browser: Browser, merchant: Merchant) -> None:
    await browser.sign_in(key=merchant.key)
    assert (await browser.ask("GET", **{"sec-fetch-site": ""})).status_code == 403
    got = await browser.ask("GET", "/graphql?query={merchant{name}}", **{"sec-fetch-site": ""})
    assert graphql_code(got) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8000",
        "127.0.0.2",
        "[::2]",
        "a b",
        "",
    ],
)
async def test_another_host_is_told_where_the_dashboard_is(browser: Browser, merchant: Merchant, host: str) -> None:
    await browser.sign_in(key=merchant.key)
    for method, json in (("POST", {"key": merchant.key}), ("GET", None), ("DELETE", None)):
        answer = await browser.client.request(
            method, "/session", json=json, headers={**OWN, "host": host, "cookie": f"{COOKIE}={browser.value}"}
        )
        assert (answer.status_code, code_of(answer)) == (421, "WRONG_HOST")
        assert "TRACKLAYER_PUBLIC_URL" in answer.json()["error"]["message"]
    headers = {**OWN, "host": host, "cookie": f"{COOKIE}={browser.value}"}
    answer = await browser.client.post("/graphql", json={"query": "{ merchant { name } }"}, headers=headers)
    assert graphql_code(answer) == "UNAUTHENTICATED"
    headers = {"host": host, "authorization": f"Bearer {merchant.key}"}
    answer = await browser.client.post("/graphql", json={"query": "{ merchant { name } }"}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:9", "127.0.0.1"])
async def test_every_name_of_this_machine_is_good(browser: Browser, merchant: Merchant, host: str) -> None:
    answer = await browser.client.post("/session", json={"key": merchant.key}, headers={**OWN, "host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("cookie", "code"),
    [
        pytest.param(f"{COOKIE}=junk", "UNAUTHENTICATED", id="junk"),
        pytest.param(f"{COOKIE}={UNKNOWN}", "UNAUTHENTICATED", id="an unknown one"),
        pytest.param(f"{COOKIE}={'x' * 60_000}", "UNAUTHENTICATED", id="a very long one"),
        pytest.param(f"{COOKIE}=%00%ff", "UNAUTHENTICATED", id="escapes"),
        pytest.param(f"{COOKIE}=", "UNAUTHENTICATED", id="an empty one"),
        pytest.param(f"{COOKIE}", "UNAUTHENTICATED", id="no value"),
        pytest.param("=;;;==; ;", "UNAUTHENTICATED", id="no cookies"),
        pytest.param(f"x{COOKIE}=VALUE", "UNAUTHENTICATED", id="a longer name"),
        pytest.param(f"{COOKIE}=VALUE; {COOKIE}=OTHER", "UNAUTHENTICATED", id="two that live"),
        pytest.param(f"{COOKIE}=VALUE; {COOKIE}={UNKNOWN}", "", id="one of two lives"),
        pytest.param(f"{COOKIE}={UNKNOWN}; {COOKIE}=VALUE", "", id="the second of two lives"),
        pytest.param(f"{COOKIE}=junk; {COOKIE}=VALUE", "", id="one that is none was set besides"),
        pytest.param("; ".join(f"{COOKIE}={n:043}" for n in range(9)) + f"; {COOKIE}=VALUE", "", id="the last of ten"),
        pytest.param(f"{COOKIE}=VALUE;{COOKIE}=VALUE", "", id="the same twice"),
        pytest.param(f"a=b;  {COOKIE} = VALUE ;c", "", id="blanks"),
        pytest.param(f"{COOKIE}=KEY", "UNAUTHENTICATED", id="an API key"),
    ],
)
async def test_only_a_session_is_a_session(
    browser: Browser, runtime: Runtime, merchant: Merchant, cookie: str, code: str
) -> None:
    other = sign_in_with_key(runtime, new_merchant(runtime, name="Other").key)
    assert other is not None
    await browser.sign_in(key=merchant.key)
    assert (await browser.query(authorization=f"Bearer {merchant.key}", cookie="")).status_code == 200  # it is at hand
    assert (await browser.query()).status_code == 200
    # All at once: any of them may have the name of another in it, by chance.
    values = {"VALUE": browser.value, "KEY": merchant.key, "OTHER": other[0]}
    cookie = re.sub("|".join(values), lambda found: values[found[0]], cookie)
    answer = await browser.query(cookie=cookie)
    assert (graphql_code(answer) if code else answer.json()) == (code or {"data": {"merchant": {"name": "Shop"}}})
    assert len(answer.text) < 500
    there = await browser.ask("GET", cookie=cookie)
    assert there.status_code == (401 if code else 200)


async def test_only_what_may_be_a_session_is_looked_up_and_unknown_ones_so_often_and_no_more(
    runtime: Runtime, merchant: Merchant
) -> None:
    app = build_app(runtime, lambda wake: None)
    limits = app.door.house.limits
    limits.unknown_keys, limits.now = Buckets(1, burst=3), lambda: 0.0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000") as client:
        browser = Browser(client)
        for number in range(10):
            assert graphql_code(await browser.query(cookie=f"{COOKIE}=junk{number}")) == "UNAUTHENTICATED"
        codes = [graphql_code(await browser.query(cookie=f"{COOKIE}={number:043d}")) for number in range(4)]
        assert codes == [*["UNAUTHENTICATED"] * 3, "RATE_LIMITED"]


async def test_behind_a_proxy_that_asks_for_a_password_one_is_signed_in_all_the_same(
    browser: Browser, merchant: Merchant
) -> None:
    await browser.sign_in(key=merchant.key)
    asked = await browser.query(authorization="Basic amFuZTpzZWNyZXQ=")
    assert asked.json() == {"data": {"merchant": {"name": "Shop"}}}
    assert graphql_code(await browser.query(authorization="Bearer tl_" + UNKNOWN)) == "UNAUTHENTICATED"
    browser.value = ""
    assert graphql_code(await browser.query(authorization="Basic amFuZTpzZWNyZXQ=")) == "UNAUTHENTICATED"


async def test_a_session_is_no_key(browser: Browser, merchant: Merchant, runtime: Runtime) -> None:
    await browser.sign_in(key=merchant.key)
    assert (await browser.query()).status_code == 200
    assert is_known_session(runtime, browser.value)
    for sent in (f"Bearer {browser.value}", f"Session {browser.value}", browser.value, f"Bearer tl_{browser.value}"):
        assert graphql_code(await browser.query(authorization=sent, cookie="")) == "UNAUTHENTICATED"
    answer = await browser.query(authorization="Bearer tl_" + UNKNOWN)  # a bad key is not mended by a good cookie
    assert graphql_code(answer) == "UNAUTHENTICATED"
    assert "www-authenticate" in answer.headers


async def test_nothing_of_a_key_a_code_or_a_session_is_in_a_log(
    browser: Browser, merchant: Merchant, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = make_code(runtime, merchant.merchant_id)
    bad = "tl_" + "y" * 43
    await browser.sign_in(key=merchant.key)
    await browser.sign_in(key=bad)
    await browser.sign_in(code=code)
    await browser.query()
    secrets = (merchant.key, code, bad, browser.value)
    found = [
        record.getMessage() for record in caplog.records if record.name.startswith(("tracklayer", "uvicorn", "peewee"))
    ]
    assert [line for line in found for secret in secrets if secret in line] == []
    await browser.ask("DELETE")


async def test_while_the_database_is_away_nobody_is_signed_in_and_everybody_is_told(
    runtime: Runtime, merchant: Merchant
) -> None:
    def ask(method: str, value: str = "", json: Any = None) -> httpx.Response:
        headers = {**OWN, **({"cookie": f"tracklayer-8000={value}"} if value else {})}
        return httpx.request(
            method, server.http.replace("/graphql", "/session"), json=json, headers=headers, timeout=30
        )

    with LiveServer(runtime) as server:
        answer = await asyncio.to_thread(ask, "POST", json={"key": merchant.key})
        value = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
        held = asyncio.Event()

        def hold() -> None:
            with in_transaction():
                execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
                loop.call_soon_threadsafe(held.set)
                stop.wait(60)

        stop, loop = threading.Event(), asyncio.get_running_loop()
        holding = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.wait_for(held.wait(), 20)
        for method, json in (("POST", {"key": merchant.key}), ("GET", None), ("DELETE", None)):
            answer = await asyncio.to_thread(ask, method, value, json)
            assert (answer.status_code, code_of(answer)) == (503, "UNAVAILABLE"), method
            assert "retry-after" in answer.headers
            assert "set-cookie" not in answer.headers
        stop.set()
        await holding
        assert (await asyncio.to_thread(ask, "GET", value)).status_code == 200
