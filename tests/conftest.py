"""A real PostgreSQL, a real sandbox and a clock that the test moves."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.factories import API_KEY_SECRET, Api, Merchant, new_merchant
from tests.servers import RedisServer
from tracklayer.app import build_app
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.db.migrate import migrate
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.settings import load_settings

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TABLES = (
    "merchants",
    "api_keys",
    "sessions",
    "sign_in_codes",
    "destinations",
    "events",
    "deliveries",
    "alerts",
    "periodic_jobs",
    "minutes",
    "ledger_hours",
    "queues",
    "baselines",
    "claims",
    "alert_changes",
    "alert_mails",
    "redeliveries",
    "redelivery_pages",
    "sealing_keys",
    "rounds",
    "looks",
    "look_pages",
    "heartbeats",
    "operator_alerts",
    "operator_messages",
    "operator_turns",
    "alert_channels",
    "channel_messages",
    "coverage",
    "rejections",
    "name_minutes",
    "name_baselines",
    "coverage_baselines",
    "differing_repeats",
    "browsers",
    "browser_signals",
    "browser_people",
    "enrichments",
    "erasures",
    "erasure_traces",
    "erasure_walks",
    "erasure_keys",
    "tombstones",
    "suppressions",
    "platform_health",
)

for _name in [
    name for name in os.environ if name.startswith("TRACKLAYER_") and not name.startswith("TRACKLAYER_TEST_")
]:
    del os.environ[_name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screens", type=Path, help="a folder for pictures of every screen of the dashboard")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test run."""
    # A short path: PostgreSQL's socket lies in it, and its name may have a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="tl"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder)
    yield server.start()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(postgres: str) -> str:
    """The URL of a migrated database that the tests share, one after another."""
    _run(postgres, "CREATE DATABASE tracklayer")
    url = url_of(postgres, "tracklayer")
    connection.connect(url)
    migrate()
    connection.disconnect()
    return url


@pytest.fixture
def database(migrated: str) -> Iterator[str]:
    """The URL of an empty, migrated database that this process is connected to."""
    _run(migrated, f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE")
    connection.connect(migrated)
    yield migrated
    connection.disconnect()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def sandbox(clock: FrozenClock) -> Iterator[SandboxServer]:
    with SandboxServer(clock=clock.now) as server:
        yield server


@pytest.fixture
def runtime(database: str, clock: FrozenClock, sandbox: SandboxServer) -> Iterator[Runtime]:
    """A process's runtime: its platforms are the sandbox, its jitter is none."""
    settings = replace(load_settings({}), sandbox_url=sandbox.url)
    made = Runtime(settings, database, Sealer([API_KEY_SECRET]), clock, jitter=lambda: 0.0)
    yield made
    made.close()


@pytest.fixture
def merchant(runtime: Runtime) -> Merchant:
    return new_merchant(runtime)


@pytest.fixture
def worker(database: str) -> Iterator[int]:
    """The number of a worker that is alive."""
    lock = WorkerLock(database)
    yield lock.number()
    lock.release()


@pytest.fixture
def woken() -> list[tuple[int, str]]:
    """Whom the API woke."""
    return []


@pytest.fixture
async def api(runtime: Runtime, merchant: Merchant, woken: list[tuple[int, str]]) -> AsyncIterator[Api]:
    app = build_app(runtime, woken.extend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as client:
        yield Api(client, merchant.key)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def url_of(server: str, name: str) -> str:
    """The URL of one database of a server."""
    head, _, query = server.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}?{query}"


def _run(url: str, sql: str) -> None:
    with closing(psycopg2.connect(url)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(sql)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis: the one that is named, one on PATH, or the wheel's; where there is none, the test is skipped."""
    given = os.environ.get("TRACKLAYER_TEST_REDIS_URL")
    if given:
        yield given
        return
    with RedisServer() as server:
        yield server.url
