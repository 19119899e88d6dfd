"""Subscriptions of whoever is signed in: for a page of the dashboard alone, and until the session or its key ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.factories import Merchant
from tests.live import PATIENCE_SECONDS, LiveServer, WsClient, ws_client
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import api_keys
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.runtime import Runtime
from tracklayer.services.alert import settle_findings
from tracklayer.services.merchants import create_api_key, revoke_api_key
from tracklayer.services.sign_in import sign_in_with_key, sign_out

ALERTS = "subscription { alerts { id } }"


@pytest.fixture
def server(runtime: Runtime) -> Iterator[LiveServer]:
    with LiveServer(runtime, check_keys_seconds=0.2) as served:
        yield served


@pytest.fixture
def session(runtime: Runtime, merchant: Merchant) -> str:
    begun = sign_in_with_key(runtime, merchant.key)
    assert begun is not None
    return begun[0]


def cookie(session: str) -> dict[str, str]:
    return {"cookie": f"tracklayer-8000={session}"}


def own(server: LiveServer) -> Origin:
    return Origin(f"http://127.0.0.1:{server.port}")


async def test_a_page_of_the_dashboard_needs_no_key(server: LiveServer, session: str) -> None:
    for origin in (own(server), Origin("http://127.0.0.1:8000")):  # of the host it asks, and of the public URL
        async with ws_client(server, None, origin=origin, additional_headers=cookie(session)) as client:
            await client.subscribe("{ merchant { name } }")
            assert await client.data() == {"merchant": {"name": "Shop"}}


async def test_a_page_that_is_allowed_to_ask_is_not_signed_in_by_that(runtime: Runtime, session: str) -> None:
    allowed = "https://shop.example.com"
    runtime.settings = replace(runtime.settings, allowed_origins=(allowed,))
    with LiveServer(runtime) as server:
        headers = cookie(session)
        async with ws_client(server, None, init=False, origin=Origin(allowed), additional_headers=headers) as client:
            await client.say("connection_init")
            assert await client.closing_code() == 4403
        answer = await asyncio.to_thread(
            httpx.post, server.http, json={"query": "{ merchant { name } }"}, headers={**headers, "origin": allowed}
        )
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "access-control-allow-credentials" not in answer.headers
        with pytest.raises(InvalidStatus):
            async with ws_client(server, None, origin=Origin("https://evil.example"), additional_headers=headers):
                pass


async def test_without_an_origin_the_cookie_of_a_socket_does_not_count(server: LiveServer, session: str) -> None:
    async with ws_client(server, None, init=False, additional_headers=cookie(session)) as client:
        await client.say("connection_init")
        assert await client.closing_code() == 4403


async def ended_by(server: LiveServer, session: str, end: Callable[[], object]) -> None:
    """What is open ends with an error, and nothing new begins on the same socket."""

    async def streamed() -> list[str]:
        headers = {**cookie(session), "accept": "text/event-stream", "origin": own(server)}
        async with (
            httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client,
            client.stream("POST", server.http, json={"query": ALERTS}, headers=headers) as answer,
        ):
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            return [line async for line in answer.aiter_lines()]

    async with ws_client(server, None, origin=own(server), additional_headers=cookie(session)) as client:
        stream = asyncio.create_task(streamed())
        await client.subscribe(ALERTS)
        await asyncio.to_thread(server.wait_for_followers, 2)
        await asyncio.to_thread(end)
        assert await refused(client) == "UNAUTHENTICATED"
        assert await client.next() == {"id": "1", "type": "complete"}
        assert any("UNAUTHENTICATED" in line for line in await stream)
        await client.subscribe("{ merchant { name } }", id="2")
        assert await refused(client) == "UNAUTHENTICATED"


async def refused(client: WsClient) -> str:
    (error,) = (await client.next())["payload"]["errors"]
    return str(error["extensions"]["code"])


async def test_signing_out_ends_what_is_open(server: LiveServer, runtime: Runtime, session: str) -> None:
    await ended_by(server, session, lambda: sign_out(runtime, session))


async def test_revoking_its_key_ends_what_is_open_of_it_alone(
    server: LiveServer, runtime: Runtime, merchant: Merchant, session: str
) -> None:
    made = create_api_key(runtime, merchant.merchant_id, "jane", ["read"])
    assert isinstance(made, tuple)
    begun = sign_in_with_key(runtime, made[1])
    assert begun is not None
    async with ws_client(server, None, origin=own(server), additional_headers=cookie(session)) as other:
        await other.subscribe(ALERTS, id="other")
        await asyncio.to_thread(server.wait_for_followers, 1)
        async with ws_client(server, None, origin=own(server), additional_headers=cookie(begun[0])) as client:
            await client.subscribe(ALERTS)
            await asyncio.to_thread(server.wait_for_followers, 2)
            await asyncio.to_thread(revoke_api_key, runtime, merchant.merchant_id, made[0].key_id)
            assert await refused(client) == "UNAUTHENTICATED"
        await other.in_step()


async def test_a_session_that_is_over_ends_what_is_open(server: LiveServer, session: str, clock: FrozenClock) -> None:
    await ended_by(server, session, lambda: clock.move(timedelta(hours=12)))


@pytest.fixture
def unhurried(runtime: Runtime) -> Iterator[LiveServer]:
    """One that looks at keys of its own accord when this test is long over."""
    with LiveServer(runtime, check_keys_seconds=3600) as served:
        yield served


async def test_what_this_process_signs_out_ends_at_once(unhurried: LiveServer, runtime: Runtime, session: str) -> None:
    await ended_by(unhurried, session, lambda: sign_out(runtime, session))


async def test_what_this_process_revokes_ends_at_once(
    unhurried: LiveServer, runtime: Runtime, merchant: Merchant, session: str
) -> None:
    with in_transaction():
        (key,) = api_keys(merchant.merchant_id)
    await ended_by(unhurried, session, lambda: revoke_api_key(runtime, merchant.merchant_id, key.key_id))


async def test_whoever_was_signed_out_elsewhere_hears_of_no_alert(
    unhurried: LiveServer, runtime: Runtime, merchant: Merchant, session: str, clock: FrozenClock
) -> None:
    elsewhere = Runtime(runtime.settings, runtime.database_url, runtime.sealer, clock)
    headers = cookie(session)
    try:
        async with ws_client(unhurried, None, origin=own(unhurried), additional_headers=headers) as client:
            await client.subscribe(ALERTS)
            await asyncio.to_thread(unhurried.wait_for_followers, 1)
            await asyncio.to_thread(sign_out, elsewhere, session)
            found = Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, "Trouble", "It is.", clock.now())
            await asyncio.to_thread(settle_findings, elsewhere, merchant.merchant_id, [found], [], clock.now())
            assert await refused(client) == "UNAUTHENTICATED"
    finally:
        elsewhere.close()
