"""Every process that a file of ``deploy/`` starts, started so: it becomes ready, works, and ends within its own grace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.conftest import url_of
from tests.deploy.confined import USER, Confined, may_confine
from tests.deploy.kit import ENV, KITS, Start
from tests.factories import INGEST, META, camel, draft
from tests.faults.proxy import FrozenProxy
from tests.servers import RedisServer, free_port, wait_until
from tracklayer.cli.bench.roles import answers
from tracklayer.db import connection
from tracklayer.db.connection import rows, session
from tracklayer.runtime import Runtime, build_runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services.destinations import set_destination
from tracklayer.services.invariants import check_invariants
from tracklayer.services.merchants import create_merchant
from tracklayer.settings import load_settings

# Of the files, what is another place here. Nothing else of their environment is touched.
MIGRATION_SECONDS = 120


@dataclass
class Place:
    """An empty database, reached by TCP as from another machine; Redis; the platforms."""

    url: str
    addresses: dict[str, str]
    sandbox: SandboxServer
    stack: ExitStack = field(repr=False)

    def start(self, start: Start, **more: str) -> Confined:
        return self.stack.enter_context(Confined(*start.args, environ={**start.environ, **self.addresses, **more}))

    def runtime(self) -> Runtime:
        """This test's own way to the migrated database."""
        connection.connect(self.url)
        self.stack.callback(connection.disconnect)
        made = build_runtime(load_settings({}), self.url, Sealer([ENV["TRACKLAYER_SECRET_KEY"]]))
        self.stack.callback(made.close)
        return made

    def accepted(self) -> dict[str, int]:
        items = httpx.get(f"{self.sandbox.url}/_accepted").json()["items"]
        return {item["event_id"]: item["times"] for item in items}


@pytest.fixture
def place(postgres: str) -> Iterator[Place]:
    with ExitStack() as stack:
        admin = psycopg2.connect(postgres)
        admin.autocommit = True
        stack.callback(admin.close)
        with admin.cursor() as cursor:
            cursor.execute("CREATE DATABASE installed")
        stack.callback(lambda: admin.cursor().execute("DROP DATABASE installed WITH (FORCE)"))
        url = url_of(postgres, "installed")
        proxy = stack.enter_context(FrozenProxy(url))
        redis = stack.enter_context(RedisServer())
        sandbox = stack.enter_context(SandboxServer())
        addresses = {
            "TRACKLAYER_DATABASE_URL": proxy.url,
            "TRACKLAYER_REDIS_URL": redis.url,
            "TRACKLAYER_SANDBOX_URL": sandbox.url,
            "TRACKLAYER_HOST": "127.0.0.1",
            "TRACKLAYER_PORT": str(free_port()),
        }
        yield Place(url, addresses, sandbox, stack)


def ready(process: Confined, holds: Callable[[], bool], what: str) -> None:
    def there() -> bool:
        if not process.is_running():
            pytest.fail(f"{what}: it ended\n{process.output()}")
        return holds()

    wait_until(there, what)


def heard_of(role: str) -> bool:
    with session():
        return bool(rows("SELECT count(*) FROM heartbeats WHERE role = %s", (role,))[0][0])


@pytest.mark.parametrize("kit", KITS)
def test_an_installation_starts_delivers_and_ends_without_losing_anything(place: Place, kit: str) -> None:
    migrate, *roles = KITS[kit]()
    migrating = place.start(migrate)
    assert migrating.ended(MIGRATION_SECONDS) == 0, migrating.output()
    runtime = place.runtime()
    ports = {start.role: str(free_port()) for start in roles if "TRACKLAYER_METRICS_PORT" in start.environ}
    running = {start.role: (place.start(start, **_metrics(ports.get(start.role))), start) for start in roles}
    api, worker, scheduler = (running[role][0] for role in ("api", "worker", "scheduler"))
    address = f"http://127.0.0.1:{place.addresses['TRACKLAYER_PORT']}"
    ready(api, lambda: answers(f"{address}/readyz"), "the API to serve")
    ready(worker, lambda: heard_of("worker"), "the worker's heartbeat")
    ready(scheduler, lambda: heard_of("scheduler"), "the scheduler's heartbeat")
    for port in ports.values():
        assert answers(f"http://127.0.0.1:{port}/healthz")
    if may_confine():
        for process, _ in running.values():
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
            assert "CapEff:\t0000000000000000" in status

    made = create_merchant(runtime, "Shop")
    assert isinstance(made, tuple)
    merchant_id, key = made
    set_destination(runtime, merchant_id, "meta", META, None)

    def send(event_id: str) -> str:
        event = camel(draft(event_id, occurred_at=datetime.now(UTC).isoformat()))
        body = {"query": INGEST, "variables": {"input": event}}
        answer = httpx.post(f"{address}/graphql", json=body, headers={"authorization": f"Bearer {key}"})
        return str(answer.json()["data"]["ingestEvent"]["outcome"])

    assert send("order_1") == "ACCEPTED"
    wait_until(lambda: place.accepted() == {"order_1": 1}, "the event to be delivered")

    # The platform has the next one in hand while everything is asked to end; another is stored at the last moment.
    slow = {"platform": "meta", "kind": "slow", "delay_seconds": 3, "count": 1}
    httpx.post(f"{place.sandbox.url}/_faults", json=slow).raise_for_status()
    assert send("order_2") == "ACCEPTED"
    wait_until(lambda: len(place.accepted()) == 2, "the platform to take the second")
    worker.ask_to_end()
    wait_until(lambda: "finishing the batches in hand" in worker.output(), "the worker to hear of its end")
    assert send("order_3") == "ACCEPTED"
    for process in (scheduler, api):
        process.ask_to_end()
    for process, start in running.values():
        assert start.grace is not None
        assert process.ended(start.grace) == 0, process.output()
        assert "Traceback" not in process.output()
    with session():
        found = rows("SELECT event_id, status, attempts FROM deliveries ORDER BY 1")
        assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert found == [("order_1", "delivered", 1), ("order_2", "delivered", 1), ("order_3", "queued", 0)]

    # What was stored at the last moment goes out with the next start.
    again = place.start(running["worker"][1], **_metrics(ports.get("worker")))
    wait_until(lambda: place.accepted() == {"order_1": 1, "order_2": 1, "order_3": 1}, "the third to be delivered")
    wait_until(lambda: not _waiting(), "the third to be settled")
    assert check_invariants(runtime.clock.now()) == []
    again.ask_to_end()
    assert again.ended(running["worker"][1].grace or 0) == 0


def _metrics(port: str | None) -> dict[str, str]:
    """One of its own, since all are on one machine here."""
    return {} if port is None else {"TRACKLAYER_METRICS_PORT": port}


def _waiting() -> int:
    with session():
        return int(rows("SELECT count(*) FROM deliveries WHERE status <> 'delivered'")[0][0])


@pytest.mark.skipif(not may_confine(), reason="needs root, unshare and setpriv")
def test_confined_means_confined(place: Place) -> None:
    """Else the tests above say nothing."""
    migrate = next(iter(KITS["systemd"]()))
    data = Path("/var/tmp") / f"tl-{os.getpid()}"
    environ = {"TRACKLAYER_DATA_DIR": str(data), "TRACKLAYER_PORT": str(free_port())}
    process = place.stack.enter_context(Confined("up", environ=environ))
    assert process.ended(60) != 0
    assert "cannot make" in process.output()
    assert not data.exists()
    assert migrate.role == "migrate"
