"""Web pages of other origins: none may use the API but those that the setting names, over HTTP and WebSocket alike."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.factories import Merchant
from tests.live import PROTOCOL, LiveServer, ws_client
from tracklayer import logs
from tracklayer.runtime import Runtime
from tracklayer.schema import schema

SHOP, OTHER = "https://shop.example.com", "https://other.example.com"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,tracklayer-cost",
}
QUERY = {"query": "{ merchant { name } }"}


@pytest.fixture
def server(runtime: Runtime) -> Iterator[LiveServer]:
    """One whose setting names the shop."""
    runtime.settings = replace(runtime.settings, allowed_origins=(SHOP,))
    with LiveServer(runtime) as made:
        yield made


@pytest.fixture
def closed_server(runtime: Runtime) -> Iterator[LiveServer]:
    """One without the setting."""
    with LiveServer(runtime) as made:
        yield made


@pytest.fixture
def as_configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What an installation would log from here on."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] != "tracklayer"]
    levels = {name: logging.getLogger(name).level for name in names}
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr(logs.Log, "handler", None)
    logs.configure(as_json=False)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, known in levels.items():
        logging.getLogger(name).setLevel(known)


def preflight(server: LiveServer, origin: str, **headers: str) -> httpx.Response:
    return httpx.options(server.http, headers={"origin": origin, **PREFLIGHT, **headers})


def ask(server: LiveServer, key: str, origin: str | None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", **({"origin": origin} if origin else {})}
    return httpx.post(server.http, json=QUERY, headers=headers)


def test_a_page_of_an_allowed_origin_may_send_its_key(server: LiveServer, merchant: Merchant) -> None:
    asked = preflight(server, SHOP)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == SHOP
    assert "POST" in asked.headers["access-control-allow-methods"]
    allowed = asked.headers["access-control-allow-headers"].lower()
    wanted = ("authorization", "content-type", "content-encoding", "tracklayer-cost")
    assert [name for name in wanted if name not in allowed] == []
    assert "access-control-allow-credentials" not in asked.headers  # a key is sent by the page, never by the browser

    answer = ask(server, merchant.key, SHOP)
    assert answer.json() == {"data": {"merchant": {"name": "Shop"}}}
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-expose-headers"] == "retry-after, x-request-id"
    assert answer.headers["vary"] == "Origin"


def test_an_error_can_be_read_by_an_allowed_origin_too(server: LiveServer) -> None:
    answer = ask(server, "tl_" + "x" * 43, SHOP)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, SHOP)
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("origin", [OTHER, "http://shop.example.com", f"{SHOP}:8443", f"{SHOP}.evil.example", "null"])
def test_no_other_origin_is_allowed(server: LiveServer, merchant: Merchant, origin: str) -> None:
    asked = preflight(server, origin)
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-origin" not in ask(server, merchant.key, origin).headers


def test_what_was_not_agreed_on_is_not_allowed(server: LiveServer) -> None:
    assert preflight(server, SHOP, **{"access-control-request-headers": "x-other"}).status_code == 400
    assert preflight(server, SHOP, **{"access-control-request-method": "DELETE"}).status_code == 400


def test_without_the_setting_nobody_is_allowed(closed_server: LiveServer, merchant: Merchant) -> None:
    asked = preflight(closed_server, SHOP)
    assert asked.status_code >= 400
    answer = ask(closed_server, merchant.key, SHOP)
    assert answer.status_code == 200
    for headers in (asked.headers, answer.headers):
        assert [name for name in headers if name.startswith("access-control-")] == []


async def test_a_socket_is_opened_for_allowed_origins_and_for_what_is_no_page(
    server: LiveServer, merchant: Merchant, runtime: Runtime
) -> None:
    own = Origin(runtime.settings.public_url.rstrip("/"))
    for origin in (Origin(SHOP), own, None):
        async with ws_client(server, merchant.key, origin=origin) as client:
            await client.in_step()


@pytest.mark.parametrize("origin", [OTHER, "http://shop.example.com", f"{SHOP}.evil.example", "null"])
async def test_a_socket_of_another_origin_is_refused_before_it_is_open(server: LiveServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(server.ws, subprotocols=[PROTOCOL], origin=Origin(origin)):
            pass
    assert refused.value.response.status_code == 403


async def test_the_log_says_which_setting_refused_a_socket_and_nothing_of_what_was_sent(
    server: LiveServer, as_configured: io.StringIO
) -> None:
    with pytest.raises(InvalidStatus):
        async with connect(
            server.ws,
            subprotocols=[PROTOCOL],
            origin=Origin("https://jane.canary:tl_secret@evil.example"),
            additional_headers={"host": "canary.example"},
        ):
            pass
    said = as_configured.getvalue()
    assert said.count("\n") == 1
    assert "WARNING tracklayer.schema.live: " in said
    assert "TRACKLAYER_ALLOWED_ORIGINS" in said
    assert "canary" not in said
    assert "evil" not in said


async def test_without_the_setting_a_page_gets_no_socket(closed_server: LiveServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(closed_server.ws, subprotocols=[PROTOCOL], origin=Origin(SHOP)):
            pass
    assert refused.value.response.status_code == 403


def test_the_sdl_is_there_for_everybody(closed_server: LiveServer) -> None:
    answer = httpx.get(closed_server.http.replace("/graphql", "/schema.graphql"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text == schema.as_str() + "\n"
