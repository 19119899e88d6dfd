"""Subscriptions over real processes: all of them tell, and none of them hangs when it is asked to end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

from tests.faults.conftest import Installation
from tests.live import PATIENCE_SECONDS, sse_events, ws_client
from tests.servers import Process, free_port, running, wait_for_api
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.alert import settle_findings

EVERYTHING = "WyJBbGVydENoYW5nZSIsMSwwXQ"  # behind change 0 of merchant 1
ALERTS = "subscription($after: ID) { alerts(after: $after) { platform state details } }"


@dataclass
class Api:
    """One process and where it listens."""

    process: Process
    port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"


def start(stack: ExitStack, installation: Installation) -> Api:
    port = free_port()
    process = stack.enter_context(running("api", "--port", str(port), environ=installation.environ))
    wait_for_api(process, f"http://127.0.0.1:{port}")
    return Api(process, port)


def opens(runtime: Runtime, installation: Installation, platform: str, size: int = 0) -> None:
    now = runtime.clock.now()
    details = {"figures": "x" * size}
    found = Finding(AlertKind.PLATFORM_DOWN, platform, Severity.CRITICAL, "Down", "It is.", now, details)
    settle_findings(runtime, installation.merchant.merchant_id, [found], [], now)


async def test_every_process_tells_and_ends_at_once_with_streams_open(
    runtime: Runtime, installation: Installation
) -> None:
    key = installation.merchant.key
    with ExitStack() as processes:
        apis = [start(processes, installation) for _ in range(2)]
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(ws_client(api, key)) for api in apis]
            streams = [await stack.enter_async_context(sse_events(api, key, ALERTS, after=EVERYTHING)) for api in apis]
            for client in clients:
                await client.subscribe(ALERTS, after=EVERYTHING)
            await asyncio.to_thread(opens, runtime, installation, "meta")
            for client in clients:
                assert (await client.data())["alerts"]["platform"] == "META"
            for stream in streams:
                _, data = await anext(stream)
                assert data["data"]["alerts"]["platform"] == "META"

            # One more that takes everything in and reads nothing.
            sleeper = await stack.enter_async_context(ws_client(apis[0], key, close_timeout=0))
            sleeper.socket.transport.pause_reading()
            for n in range(50):
                await sleeper.subscribe(ALERTS, id=str(n), after=EVERYTHING)
            for platform in PLATFORMS[1:]:
                await asyncio.to_thread(opens, runtime, installation, platform, 20_000)
            async with asyncio.timeout(PATIENCE_SECONDS):
                statuses = await asyncio.gather(*(asyncio.to_thread(api.process.stop) for api in apis))
            assert statuses == [0, 0]
            assert [await client.closing_code() for client in clients] == [1012, 1012]
        for api in apis:
            assert "Traceback" not in api.process.output()
            assert key not in api.process.output()
