"""PgBouncer between the roles and PostgreSQL, where this machine has one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.factories import API_KEY_SECRET, draft
from tests.faults.conftest import Installation
from tests.faults.test_processes import post
from tests.servers import free_port, running, wait_for_api, wait_until
from tracklayer.cli import main
from tracklayer.cli.bench.pooler import Pooler, pooler_binary
from tracklayer.db import connection

POOLED = "a proxy in front of PostgreSQL pools by transaction"

Through = Callable[[str], Pooler]


@pytest.fixture
def through(database: str) -> Iterator[Through]:
    """Starts a PgBouncer of a mode."""
    binary = pooler_binary()
    if binary is None:
        pytest.skip("no PgBouncer: put pgbouncer on PATH")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tlp")))
        folder.chmod(0o755)  # it runs as PostgreSQL's user
        yield lambda mode: stack.enter_context(Pooler(binary, folder, database, mode))


@pytest.mark.parametrize(("mode", "status"), [("session", 0), ("transaction", 1)])
def test_doctor_says_that_a_proxy_pools_by_transaction(
    mode: str,
    status: int,
    through: Through,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", through(mode).url)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    assert main(["doctor"]) == status
    connection.connect(database)
    assert (f"FAULT  connections {POOLED}" in capsys.readouterr().out) is bool(status)


def test_a_role_says_at_its_start_and_in_readyz_that_a_proxy_pools_by_transaction(
    through: Through, installation: Installation
) -> None:
    port = free_port()
    environ = {**installation.environ, "TRACKLAYER_DATABASE_URL": through("transaction").url}
    with running("api", "--port", str(port), environ=environ) as api:
        wait_for_api(api, f"http://127.0.0.1:{port}")
        assert POOLED in api.output()
        warnings = httpx.get(f"http://127.0.0.1:{port}/readyz").json()["warnings"]
    assert [warning.startswith(POOLED) for warning in warnings].count(True) == 1


def test_all_goes_on_after_a_proxy_that_pools_by_session_was_killed_and_started_again(
    through: Through, installation: Installation, now: Callable[[], str]
) -> None:
    pooler = through("session")
    installation.environ["TRACKLAYER_DATABASE_URL"] = pooler.url
    client = installation.client(installation.api())
    worker = installation.worker()

    def send(event_id: str) -> int:
        return post(client, draft(event_id, occurred_at=now())).status_code

    assert send("before") == 200
    wait_until(lambda: installation.accepted() == {"before": 1}, "the first one to arrive")
    pooler.kill()
    assert send("meanwhile") == 503
    pooler.start()
    wait_until(lambda: send("meanwhile") == 200, "the API to take events again")
    wait_until(lambda: installation.accepted() == {"before": 1, "meanwhile": 1}, "the second one to arrive")
    assert worker.is_running()
