"""An API that starts before its database: it says that it is alive and what it waits for, then serves on the same socket."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.factories import API_KEY_SECRET, INGEST, camel, draft, new_merchant
from tests.faults.proxy import FrozenProxy
from tests.servers import Process, free_port, running, wait_for_api, wait_until
from tracklayer.cli.process import warn_of_troubles
from tracklayer.clock import SystemClock
from tracklayer.db import connection
from tracklayer.runtime import Runtime
from tracklayer.settings import load_settings


@pytest.fixture
def proxy(database: str) -> Iterator[FrozenProxy]:
    with FrozenProxy(database) as made:
        yield made


@contextmanager
def starting(proxy: FrozenProxy, redis_url: str, *command: str) -> Iterator[tuple[Process, str]]:
    port = free_port()
    environ = {
        "TRACKLAYER_DATABASE_URL": proxy.url,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
    }
    with running(*command, "--port", str(port), environ=environ) as process:
        yield process, f"http://127.0.0.1:{port}"


def is_alive(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=30).status_code == 200
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize(
    "command", [("api",), ("api", "--processes", "2"), ("up",)], ids=["api", "api --processes 2", "up"]
)
def test_whoever_asks_is_answered_from_the_first_moment_until_the_database_is_there(
    proxy: FrozenProxy,
    redis_url: str,
    runtime: Runtime,
    command: tuple[str, ...],
) -> None:
    runtime.clock = SystemClock()
    merchant = new_merchant(runtime)
    proxy.refuse()
    headers = {"authorization": f"Bearer {merchant.key}"}
    with (
        starting(proxy, redis_url, *command) as (process, address),
        httpx.Client(base_url=address, timeout=30, headers=headers) as client,
    ):
        wait_until(lambda: is_alive(address), "it to answer")
        why = "waiting: the database cannot be reached: it hung up; look into PostgreSQL's log"
        wait_until(lambda: client.get("/readyz").json()["why"] == why, "it to say what it waits for")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.headers["retry-after"], ready.json()["ready"]) == (503, "5", False)
        body = {"query": INGEST, "variables": {"input": camel(draft(occurred_at=datetime.now(UTC).isoformat()))}}

        def ask() -> httpx.Response:
            return httpx.post(f"{address}/graphql", json=body, headers=headers, timeout=30)

        for away in (client.post("/graphql", json=body), client.get("/docs/quickstart"), ask()):
            assert (away.status_code, away.headers["retry-after"]) == (503, "2")
            assert away.json()["errors"][0]["extensions"] == {"code": "DATABASE_AWAY", "retryable": True}
        with pytest.raises(InvalidStatus) as refused, connect(f"{address.replace('http', 'ws', 1)}/graphql"):
            pass
        assert (refused.value.response.status_code, refused.value.response.headers["retry-after"]) == (503, "2")
        assert "handshake" not in process.output()
        proxy.thaw()
        seen: Counter[int] = Counter()
        wait_until(lambda: seen.update([ask().status_code]) or seen[200] >= 5, "it to serve")
        assert set(seen) == {503, 200}  # and whoever connected in between was answered, too
        wait_until(lambda: client.get("/readyz").status_code == 200, "all of it to be ready")
        assert "Traceback" not in process.output()
        assert process.output().count("waiting for PostgreSQL at 127.0.0.1") >= 1
        assert process.stop() == 0


def test_a_signal_while_it_waits_ends_it_at_once(proxy: FrozenProxy, redis_url: str) -> None:
    proxy.refuse()
    for command in (("api",), ("api", "--processes", "2"), ("up",)):
        with starting(proxy, redis_url, *command) as (process, address):
            wait_until(lambda address=address: is_alive(address), "it to answer")  # type: ignore[misc]
            assert process.stop() == 0
            assert "Traceback" not in process.output()


def test_one_of_several_that_starts_turns_nobody_away_whom_another_one_serves(
    proxy: FrozenProxy, redis_url: str, runtime: Runtime
) -> None:
    with starting(proxy, redis_url, "api", "--processes", "2") as (process, address):
        wait_for_api(process, address)
        found: Counter[int] = Counter()
        parent = psutil.Process(process.pid)

        def ask() -> bool:
            found.update([httpx.get(f"{address}/readyz", timeout=30).status_code])
            return len(parent.children()) == 2

        for _ in range(3):
            wait_until(ask, "both to run")
            victim = parent.children()[0]
            victim.kill()
            victim.wait(30)
            wait_until(ask, "it to be replaced")
            since = time.monotonic()
            while time.monotonic() - since < 3:  # in which it starts
                ask()
        assert set(found) == {200}


def test_a_role_starts_though_the_database_goes_away_while_it_looks_for_troubles(
    runtime: Runtime, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection.connect(f"postgresql://127.0.0.1:{free_port()}/gone")
    warn_of_troubles(runtime, load_settings({}))
    assert "could not look for what may be wrong" in caplog.text
    connection.connect(database)
