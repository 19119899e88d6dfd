"""Subscriptions over real processes: all of them tell, and none of them hangs when it is asked to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

import httpx

from tests.factories import draft
from tests.faults.conftest import Installation
from tests.faults.test_processes import post
from tests.live import PATIENCE_SECONDS, sse_events, ws_client
from tests.servers import Process, free_port, running, wait_for_api, wait_until
from tests.smtp import MailServer
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.alert import settle_findings
from tracklayer.services.merchants import update_merchant

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
            output = api.process.output()
            assert "Traceback" not in output, output
            assert key not in api.process.output()


TOLD = "subscription { alerts { id change kind platform state title } }"
SET = "mutation($input: SetDestinationInput!) { setDestination(input: $input) { userErrors { code } } }"


async def test_an_outage_is_one_alert_and_two_mails_from_the_fault_to_its_end(
    runtime: Runtime, installation: Installation, now: Callable[[], str]
) -> None:
    """Real processes all the way: refused credentials, two schedulers that look every second, a mail server."""
    update_merchant(runtime, installation.merchant.merchant_id, {"alert_emails": ["ops@example.com"]})
    with MailServer() as mails, ExitStack() as processes:
        installation.environ.update(TRACKLAYER_MONITOR_INTERVAL_SECONDS="1", TRACKLAYER_SMTP_URL=mails.url)
        api = start(processes, installation)
        installation.worker()
        for _ in range(2):
            installation.scheduler()
        client = installation.client(f"http://127.0.0.1:{api.port}")
        async with sse_events(api, installation.merchant.key, TOLD) as stream:
            installation.fault(kind="credentials")
            post(client, draft("order_1", occurred_at=now()))
            _, opened = await anext(stream)
            httpx.delete(f"{installation.sandbox.url}/_faults").raise_for_status()
            settings = {"platform": "META", "settings": {"access_token": "a-token-that-is-good-again"}}
            client.post("/graphql", json={"query": SET, "variables": {"input": settings}}).raise_for_status()
            _, resolved = await anext(stream)
        alerts = [found["data"]["alerts"] for found in (opened, resolved)]
        assert [(alert["kind"], alert["platform"], alert["state"]) for alert in alerts] == [
            ("PLATFORM_DOWN", "META", "OPEN"),
            ("PLATFORM_DOWN", "META", "RESOLVED"),
        ]
        assert alerts[0]["id"] == alerts[1]["id"]
        wait_until(lambda: len(mails.mails) == 2, "both mails")
        wait_until(lambda: installation.accepted() == {"order_1": 1}, "the delivery")
        await asyncio.sleep(3)  # two schedulers go on looking
        assert len(mails.mails) == 2
    with in_transaction():
        assert rows("SELECT count(*) FROM alerts") == [(1,)]
