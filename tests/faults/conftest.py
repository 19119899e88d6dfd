"""A small installation of real processes: any number of API servers, workers and schedulers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest

from tests.factories import API_KEY_SECRET, Merchant, new_merchant
from tests.servers import Process, RedisServer, free_port, running, wait_for_api
from tracklayer.clock import SystemClock
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.invariants import check_invariants


@dataclass
class Installation:
    """``environ``: what its processes are told."""

    environ: dict[str, str]
    sandbox: SandboxServer
    redis: RedisServer
    merchant: Merchant
    stack: ExitStack = field(repr=False)

    def api(self) -> str:
        """Starts an API server; its address."""
        port = free_port()
        process = self.stack.enter_context(running("api", "--port", str(port), environ=self.environ))
        wait_for_api(process, f"http://127.0.0.1:{port}")
        return f"http://127.0.0.1:{port}"

    def worker(self) -> Process:
        return self.stack.enter_context(running("worker", environ=self.environ))

    def scheduler(self) -> Process:
        return self.stack.enter_context(running("scheduler", environ=self.environ))

    def client(self, address: str) -> httpx.Client:
        return self.stack.enter_context(
            httpx.Client(base_url=address, headers={"authorization": f"Bearer {self.merchant.key}"}, timeout=30)
        )

    def fault(self, **settings: object) -> None:
        httpx.post(f"{self.sandbox.url}/_faults", json={"platform": "meta", **settings}).raise_for_status()

    def accepted(self) -> dict[str, int]:
        items = httpx.get(f"{self.sandbox.url}/_accepted", params={"limit": 5000}).json()["items"]
        return {item["event_id"]: item["times"] for item in items}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """One that lives in real time, as the processes do."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def installation(runtime: Runtime, sandbox: SandboxServer, database: str) -> Iterator[Installation]:
    runtime.clock = SystemClock()
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        environ = {
            "TRACKLAYER_DATABASE_URL": database,
            "TRACKLAYER_REDIS_URL": redis.url,
            "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
            "TRACKLAYER_SANDBOX_URL": sandbox.url,
            "TRACKLAYER_RETRY_BASE_SECONDS": "1",
        }
        yield Installation(environ, sandbox, redis, new_merchant(runtime), stack)
        # While its processes are still at work: whatever died, nothing is overdue or lost, and every sum is right.
        assert check_invariants(runtime.clock.now()) == []


@pytest.fixture
def now() -> Callable[[], str]:
    return lambda: datetime.now(UTC).isoformat()
