"""PostgreSQL goes away and comes back: never a false acknowledgement, and nobody needs a restart."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest

from tests.factories import API_KEY_SECRET, INGEST_MANY, Merchant, camel, draft, new_merchant
from tests.faults.conftest import Installation
from tests.servers import RedisServer, free_port, running, wait_for_api, wait_until
from tracklayer.cli.process import runtime_of
from tracklayer.cli.serve import SETTLING_SECONDS
from tracklayer.clock import SystemClock
from tracklayer.db import connection
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.invariants import check_invariants
from tracklayer.settings import load_settings


class Postgres:
    """A server of the test's own, so that it can be stopped."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)
        self.url = self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self.url = self._server.start()

    def count(self, sql: str) -> int:
        with contextlib.closing(psycopg2.connect(self.url)) as own, own.cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.fetchone()[0])  # type: ignore[index]


@pytest.fixture
def postgres_of_its_own() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="tl"))
    folder.chmod(0o755)
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fragile(postgres_of_its_own: Postgres, sandbox: SandboxServer) -> Iterator[Installation]:
    """An installation on a database that the test may stop."""
    environ = {
        "TRACKLAYER_DATABASE_URL": postgres_of_its_own.url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_SANDBOX_URL": sandbox.url,
        "TRACKLAYER_RETRY_BASE_SECONDS": "1",
    }
    with runtime_of(load_settings(environ), apply_migrations=True) as runtime:
        merchant: Merchant = new_merchant(runtime)
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        yield Installation({**environ, "TRACKLAYER_REDIS_URL": redis.url}, sandbox, redis, merchant, stack)
        connection.connect(postgres_of_its_own.url)
        assert check_invariants(SystemClock().now()) == []
        connection.disconnect()


def post(client: httpx.Client, *events: dict[str, Any]) -> httpx.Response:
    return client.post("/graphql", json={"query": INGEST_MANY, "variables": {"inputs": camel(list(events))}})


def test_while_the_database_is_away_the_caller_is_told_to_retry_and_all_roles_come_back(
    fragile: Installation, postgres_of_its_own: Postgres, now: Callable[[], str]
) -> None:
    client = fragile.client(fragile.api())
    fragile.worker()
    fragile.scheduler()
    assert post(client, draft("before", occurred_at=now())).status_code == 200
    wait_until(lambda: "before" in fragile.accepted(), "the first event to go out")
    postgres_of_its_own.stop()
    away = post(client, draft("during", occurred_at=now()))
    assert away.status_code == 503
    assert away.headers["retry-after"] == "2"
    (error,) = away.json()["errors"]
    assert error["extensions"] == {"code": "DATABASE_AWAY", "retryable": True}
    assert away.json()["data"] is None
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    postgres_of_its_own.start()
    wait_until(lambda: post(client, draft("after", occurred_at=now())).status_code == 200, "ingest to work again")
    wait_until(lambda: "after" in fragile.accepted(), "the event after it to go out")
    assert "during" not in fragile.accepted()
    assert postgres_of_its_own.count("SELECT count(*) FROM events") == 2


def test_an_api_process_that_dies_while_the_database_is_away_does_not_take_the_others_along(
    fragile: Installation, postgres_of_its_own: Postgres, now: Callable[[], str]
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running("api", "--port", str(port), "--processes", "2", environ=fragile.environ) as process:
        wait_for_api(process, address)
        parent = psutil.Process(process.pid)
        wait_until(lambda: len(parent.children()) == 2, "both processes to run")
        wait_until(
            lambda: all(time.time() - child.create_time() > 4 for child in parent.children()), "both to have served"
        )
        postgres_of_its_own.stop()
        first, second = parent.children()
        first.kill()
        # What takes its place finds no database, as often as it is started.
        wait_until(lambda: bool({child.pid for child in parent.children()} - {first.pid, second.pid}), "the next one")
        wait_until(lambda: not first.is_running() and len(process.output().splitlines()) >= 2, "the log to say so")
        time_to_give_up = time.monotonic() + 3 * SETTLING_SECONDS
        wait_until(lambda: time.monotonic() > time_to_give_up or not process.is_running(), "some tries to fail")
        assert process.is_running()
        assert second.is_running()
        postgres_of_its_own.start()
        client = fragile.client(address)
        wait_until(lambda: len(parent.children()) == 2, "two processes again")
        wait_until(lambda: post(client, draft(occurred_at=now())).status_code == 200, "ingest to work again")
        assert process.stop() == 0


def test_a_fault_that_does_not_pass_ends_all_api_processes(fragile: Installation) -> None:
    environ = {**fragile.environ, "TRACKLAYER_SECRET_KEY": "a key that is not the one of this database"}
    with running("api", "--port", str(free_port()), "--processes", "2", environ=environ) as process:
        wait_until(lambda: not process.is_running(), "the role to end")
        assert process.stop() == 1
        assert "TRACKLAYER_SECRET_KEY lacks a key" in process.output()


def test_an_api_killed_under_load_has_stored_all_it_acknowledged(
    fragile: Installation, postgres_of_its_own: Postgres, now: Callable[[], str]
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    acknowledged = 0
    with running("api", "--port", str(port), environ=fragile.environ) as process:
        wait_for_api(process, address)
        client = fragile.client(address)
        while True:
            try:
                answer = post(client, *(draft(f"{acknowledged}-{n}", occurred_at=now()) for n in range(20)))
            except httpx.TransportError:
                break
            acknowledged += answer.json()["data"]["ingestEvents"]["accepted"]
            if acknowledged == 400:
                threading.Timer(0.01, process.kill).start()
    assert acknowledged >= 400
    assert postgres_of_its_own.count("SELECT count(*) FROM events") >= acknowledged
    assert (
        postgres_of_its_own.count(
            "SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.merchant_id = e.merchant_id "
            "AND d.event_id = e.event_id)"
        )
        == 0
    )
