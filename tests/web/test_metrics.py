"""Who may read ``/metrics``: the operator, and nobody who comes by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.datastructures import Secret

from tracklayer import metrics
from tracklayer.apart import build_metrics_app
from tracklayer.app import build_app, build_waiting_app
from tracklayer.runtime import Runtime
from tracklayer.settings import load_settings
from tracklayer.web.health import Waiting

TOKEN = "a-token-of-the-tests-0123456789"
HERE = "127.0.0.1:8000"


async def ask(
    app: Starlette, host: str = HERE, peer: str = "127.0.0.1", path: str = "/metrics", **headers: str
) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(peer, 40000))
    sent = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with httpx.AsyncClient(transport=transport, base_url="http://tracklayer") as client:
        return await client.get(path, headers=sent)


@pytest.fixture
def app(runtime: Runtime) -> Starlette:
    return build_app(runtime, lambda destinations: None)


async def test_this_machine_reads_the_text_format_without_a_key(app: Starlette) -> None:
    answer = await ask(app)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    found = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"tracklayer_events", "tracklayer_deliveries", "tracklayer_http_request_duration_seconds"} <= found


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_has_several_names(app: Starlette, host: str, peer: str) -> None:
    assert (await ask(app, host, peer)).status_code == 200


@pytest.mark.parametrize(
    ("host", "peer", "headers"),
    [
        pytest.param(HERE, "203.0.113.7", {}, id="from another machine"),
        pytest.param(HERE, "10.0.0.7", {}, id="from a private network"),
        pytest.param(HERE, "::ffff:10.0.0.7", {}, id="from a private network, as IPv6"),
        pytest.param(HERE, "nobody", {}, id="from nowhere"),
        pytest.param("tl.example.com", "127.0.0.1", {}, id="under another name, as a page elsewhere may"),
        pytest.param("127.0.0.1.example.com", "127.0.0.1", {}, id="under a name that begins like one"),
        pytest.param(HERE, "127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, id="by a proxy"),
        pytest.param(HERE, "127.0.0.1", {"forwarded": "for=127.0.0.1"}, id="by a modern proxy"),
        pytest.param(HERE, "127.0.0.1", {"x_real_ip": "127.0.0.1"}, id="by an old proxy"),
        pytest.param(HERE, "127.0.0.1", {"x_forwarded_proto": "https"}, id="by a proxy that says how it was asked"),
        pytest.param(HERE, "127.0.0.1", {"cf_connecting_ip": "203.0.113.7"}, id="by a tunnel"),
        pytest.param(HERE, "127.0.0.1", {"authorization": f"Bearer {TOKEN}"}, id="with a token that is not set"),
    ],
)
async def test_strangers_read_nothing(app: Starlette, host: str, peer: str, headers: dict[str, str]) -> None:
    if "authorization" in headers:
        peer = "203.0.113.7"
    answer = await ask(app, host, peer, **headers)
    assert answer.status_code == 403
    assert "TRACKLAYER_METRICS_TOKEN" in answer.text
    assert "tracklayer_" not in answer.text


async def test_nginx_as_it_is_set_from_the_start_reads_nothing_for_strangers(app: Starlette) -> None:
    """It asks under this machine's name, adds no header that says so, and speaks HTTP/1.0."""

    async def of_nginx(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "http_version": "1.0"}, receive, send)

    assert (await ask(of_nginx, connection="close")).status_code == 403  # type: ignore[arg-type]


async def test_with_an_address_that_others_know_this_machine_may_be_a_proxy_that_says_nothing(runtime: Runtime) -> None:
    runtime.settings = replace(runtime.settings, public_url="https://tl.example.com")
    app = build_app(runtime, lambda destinations: None)
    assert (await ask(app)).status_code == 403
    assert (await ask(app, "tl.example.com")).status_code == 403
    runtime.settings = replace(runtime.settings, public_url="http://0.0.0.0:8000")
    app = build_app(runtime, lambda destinations: None)
    assert (await ask(app)).status_code == 200
    assert (await ask(app, peer="10.0.0.7")).status_code == 403


async def test_a_token_opens_it_from_anywhere_and_nothing_else_does(runtime: Runtime) -> None:
    settings = replace(runtime.settings, metrics_token=Secret(TOKEN), public_url="https://tl.example.com")
    runtime.settings = settings
    apps = [
        build_app(runtime, lambda destinations: None),
        build_waiting_app(Waiting(), settings),
        build_metrics_app(Waiting(), settings),
    ]
    for app in apps:
        for given in ({}, {"authorization": "Bearer "}, {"authorization": f"Bearer {TOKEN}x"}):
            refused = await ask(app, **given)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        opened = await ask(app, "tl.example.com", "203.0.113.7", authorization=f"Bearer {TOKEN}")
        assert opened.status_code == 200
        assert "tracklayer_events_total" in opened.text


async def test_a_port_of_its_own_has_metrics_and_health_and_nothing_else(runtime: Runtime) -> None:
    waiting = Waiting()
    app = build_metrics_app(waiting, load_settings({}))
    assert (await ask(app, "worker-1:9090", "10.0.0.7")).status_code == 200
    assert (await ask(app, path="/healthz")).text == "ok\n"
    assert (await ask(app, path="/readyz")).status_code == 503
    waiting.is_over(runtime, tuple)
    assert (await ask(app, path="/readyz")).json()["ready"] is True
    for path in ("/", "/graphql", "/docs", "/session"):
        assert (await ask(app, path=path)).status_code == 404


async def test_a_process_that_waits_for_its_database_shows_what_it_has() -> None:
    app = build_waiting_app(Waiting(), load_settings({}))
    assert (await ask(app)).status_code == 200
    assert (await ask(app, peer="203.0.113.7")).status_code == 403


async def test_who_serves_the_port_until_the_api_does_is_never_ready(runtime: Runtime) -> None:
    """Whoever it told that it is would send events, and be answered 503."""
    waiting = Waiting()
    app = build_waiting_app(waiting, load_settings({}))
    waiting.is_over(runtime, tuple)
    assert (await ask(app, path="/readyz")).status_code == 503
    assert (await ask(app, path="/graphql")).status_code == 503


async def test_the_collectors_host_does_not_serve_it(runtime: Runtime) -> None:
    runtime.settings = replace(runtime.settings, collector_hosts=("t.shop.example.com",), metrics_token=Secret(TOKEN))
    app = build_app(runtime, lambda destinations: None)
    answer = await ask(app, "t.shop.example.com", authorization=f"Bearer {TOKEN}")
    assert (answer.status_code, answer.text) == (404, "Not found\n")


async def test_however_many_ask_at_once_it_is_written_once(app: Starlette) -> None:
    await ask(app)
    metrics.EVENTS.labels("accepted").inc()
    answers = await asyncio.gather(*(ask(app) for _ in range(50)))
    assert len({answer.text for answer in answers}) == 1


async def test_it_names_no_merchant_and_quotes_nobody(app: Starlette, runtime: Runtime) -> None:
    """A path and a status are a stranger's to choose: neither makes a label of its own."""
    for number in range(30):
        await ask(app, path=f"/events/jane@example.com-{number}")
        await ask(app, path=f"/docs/{number}")
    app.write_metrics()  # type: ignore[attr-defined]
    text = metrics.exposition().decode()
    assert "jane" not in text
    routes = {
        sample.labels["route"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "route" in sample.labels
    }
    assert routes <= {"/graphql", "/t", "/tl.js", "/session", "/schema.graphql", "/healthz", "/readyz", "/metrics"} | {
        "/docs",
        "/static",
        "other",
    }
