"""A real PostgreSQL, a real sandbox and a clock that the test moves."""

from __future__ import annotations

import functools
import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg2
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from httpx._transports import default as httpx_transport
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from tests import drawing
from tests.factories import API_KEY_SECRET, Api, Merchant, new_merchant
from tests.servers import PATIENCE_SECONDS, RedisServer
from tracklayer.app import build_app
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.db.migrate import migrate
from tracklayer.db.sessions import POOL, Session
from tracklayer.db.workers import WorkerLock
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.settings import load_settings

# All tests that there are stay to the end, and so does what they import: until all of it is there nobody looks for what is no
# longer needed, and then never through that.
gc.disable()

RAM = Path("/dev/shm")  # where Linux keeps files in memory: what is synced there is so at once
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
# What somebody wrote to, or had the planner look at, and whether there is much in it. To truncate one table takes as long as
# to delete from twenty; but only then its indexes are as small as those of a new one, by which plans go.
WRITTEN = """
SELECT oid::regclass::text, pg_total_relation_size(oid) > 256 * 1024 FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'
AND (reltuples >= 0 OR pg_relation_size(oid) > 0)"""
# Numbers that were given out and led to no row, and what the planner knows of rows that are gone.
FORGET = """
SELECT setval(seqrelid, seqstart, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
AND seqrelid <> pg_get_serial_sequence('schema_migrations', 'id')::regclass;
DELETE FROM pg_statistic WHERE starelid = ANY(%(tables)s::regclass[]);
UPDATE pg_class SET reltuples = -1
WHERE oid = ANY(%(tables)s::regclass[]) AND reltuples >= 0"""
# When PostgreSQL looks at a table by itself is chance, and with it what plans and sizes a test finds.
LOOK_NEVER = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
  LOOP EXECUTE 'ALTER TABLE ' || name || ' SET (autovacuum_enabled = false)'; END LOOP;
END $$"""

for _name in [
    name for name in os.environ if name.startswith("TRACKLAYER_") and not name.startswith("TRACKLAYER_TEST_")
]:
    del os.environ[_name]

# Hundreds of processes are started, and each would compile the same again: that takes longer than all else at their start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Whoever starts this in the background of a shell has Ctrl-C ignored, here and in every process that is started from here:
# what a test asks to end by it would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Each of httpx's clients, and so each `httpx.get`, reads all authorities that there are: twenty times as long as it asks.
httpx_transport.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]

# What a test asks with httpx's own patience of five seconds may take longer beside other tests.
for _phase in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, _phase, float(PATIENCE_SECONDS))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screens", type=Path, help="a folder for pictures of every screen of the dashboard")
    help = "walk at random this many times more than each test of walks does always"
    parser.addoption("--seeds", type=int, default=0, metavar="N", help=help)


def pytest_configure(config: pytest.Config) -> None:
    drawing.begin(config.getoption("--seeds"))
    config.addinivalue_line("markers", "seeds(*numbers): once with each, and with those that --seeds asks for besides")


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``seed`` of a test that walks at random: the same in every run, unless somebody looks for others."""
    marker = metafunc.definition.get_closest_marker("seeds")
    if marker is not None:
        more = [int.from_bytes(os.urandom(4)) for _ in range(metafunc.config.getoption("--seeds"))]
        metafunc.parametrize("seed", [*marker.args, *more], ids=lambda seed: f"seed-{seed}")


def _has_room(folder: Path) -> bool:
    """For three servers at once, each with less than a gigabyte."""
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 4 * 1024**3


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test run."""
    # A short path: PostgreSQL's socket lies in it, and its name may have a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="tl", dir=RAM if _has_room(RAM) else None))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder)
    url = server.start()
    _run(url, "ALTER SYSTEM SET max_wal_size = '256MB'", "SELECT pg_reload_conf()")
    yield url
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
    _run(url, LOOK_NEVER)
    return url


@pytest.fixture
def database(migrated: str) -> Iterator[str]:
    """The URL of an empty, migrated database that this process is connected to.

    Its sessions stay for the next test: one that begins anew has to read what tables there are, which takes longer than most
    tests.
    """
    with _kept_sessions(migrated):
        connection.connect(migrated)
    with connection.session():
        first = connection.database.connection()
        make_as_new(first)
    yield migrated
    idle = [session for _, _, session in connection.database._connections]
    if any(session is first for session in idle) and all(map(_is_as_new, idle)):
        with _kept_sessions(migrated):
            connection.disconnect()
    else:  # this test had its sessions end: those that came after it may have been made under other circumstances
        connection.disconnect()


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that ran in this process has its log go to a stream that ends with the test."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


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


@contextmanager
def _kept_sessions(url: str) -> Iterator[None]:
    """Whatever sessions the block closes, those of one database that nobody has in hand stay."""
    pool = connection.database
    found = sorted(pool._connections)
    pool._connections = [entry for entry in found if entry[2].url != url]
    yield
    pool._connections = [entry for entry in found if entry[2].url == url]


# Whether a session holds no more than one that begins: no tables and no locks of its own, no ears, no other patience.
AS_NEW = """
SELECT pg_my_temp_schema() = 0 AND NOT EXISTS (SELECT FROM pg_listening_channels())
AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
AND current_setting('statement_timeout') = %s AND current_setting('lock_timeout') = %s"""


def _is_as_new(session: Session) -> bool:
    if session.closed or session.info.transaction_status != TRANSACTION_STATUS_IDLE:
        return False
    try:
        return bool(session.ask(AS_NEW, (_lasting(POOL.statement), _lasting(POOL.lock))))
    except psycopg2.Error:  # the test had its server's process ended
        return False


def _lasting(milliseconds: int) -> str:
    """As PostgreSQL says it."""
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def make_as_new(session: Session) -> None:
    """Empties a database; what is asked of it then is planned as if nothing had ever been there."""
    with session.cursor() as cursor:
        cursor.execute(WRITTEN)
        written = dict(cursor.fetchall())
        large = [name for name, is_large in written.items() if is_large]
        if large:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        if written:
            deletes = "; ".join(f"DELETE FROM {name}" for name in written)
            cursor.execute(f"SET LOCAL session_replication_role = replica; {deletes}")  # in any order
            cursor.execute(f"VACUUM (SKIP_DATABASE_STATS) {', '.join(written)}")
        cursor.execute(FORGET, {"tables": list(written)})


def _run(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            for sql in statements:
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
