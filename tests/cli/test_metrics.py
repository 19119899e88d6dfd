"""The metrics of real processes: of several that share a port, whichever is asked and whatever became of one of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from tests.factories import API_KEY_SECRET, INGEST, Merchant, camel, draft, new_merchant
from tests.servers import Process, free_port, running, wait_for_api, wait_until
from tracklayer import metrics
from tracklayer.cli.connections import MAX_ASIDE
from tracklayer.clock import SystemClock
from tracklayer.runtime import Runtime


@contextmanager
def role(database: str, redis_url: str, folder: Path, *command: str) -> Iterator[tuple[Process, str]]:
    """A role with a port for its metrics, and that port's address. ``folder``: for what it keeps while it runs."""
    port = free_port()
    environ = {
        "TRACKLAYER_DATABASE_URL": database,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_METRICS_PORT": str(port),
        "TMPDIR": str(folder),
    }
    with running(*command, environ=environ) as process:
        yield process, f"http://127.0.0.1:{port}"


def value(address: str, sample: str) -> float:
    """0 where it is not there."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)


def send(address: str, merchant: Merchant, number: int) -> None:
    """On a connection of its own: whichever process takes it."""
    event = draft(f"order_{number}", occurred_at=datetime.now(UTC).isoformat())
    body = {"query": INGEST, "variables": {"input": camel(event)}}
    answer = httpx.post(f"{address}/graphql", json=body, headers={"authorization": f"Bearer {merchant.key}"})
    assert answer.json()["data"]["ingestEvent"]["outcome"] == "ACCEPTED", answer.text


ACCEPTED = 'tracklayer_events_total{outcome="accepted"}'


def test_processes_that_share_a_port_count_together_and_a_killed_one_takes_nothing_along(
    database: str, redis_url: str, runtime: Runtime, tmp_path: Path
) -> None:
    runtime.clock = SystemClock()
    merchant = new_merchant(runtime)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ("api", "--processes", "2", "--port", str(port))
    with role(database, redis_url, tmp_path, *command) as (process, aside):
        wait_for_api(process, address)
        children = psutil.Process(process.pid).children()
        wait_until(lambda: value(aside, "process_open_fds") > 0, "both to have looked at themselves")
        for number in range(20):
            send(address, merchant, number)
        # The API's own port and the one aside tell the same, whoever answers; what was told is told for a second.
        for at in (aside, *[address] * 10):
            wait_until(lambda at=at: value(at, ACCEPTED) == 20, "all of them to be counted")  # type: ignore[misc]
        wait_until(lambda: value(aside, "tracklayer_event_loop_lag_seconds_count") > 10, "the loops to be looked at")
        lag = value(aside, "tracklayer_event_loop_lag_seconds_count")
        for child in children:
            child.kill()
        wait_until(lambda: len(set(psutil.Process(process.pid).children()) - set(children)) == 2, "both to be replaced")
        wait_for_api(process, address)
        assert value(aside, ACCEPTED) == 20
        for number in range(20, 30):
            send(address, merchant, number)
        wait_until(lambda: value(aside, ACCEPTED) == 30, "the others to be counted")
        assert value(aside, "tracklayer_event_loop_lag_seconds_count") >= lag
        # Each writes into the place of the one that it replaced: nothing is left of those that are gone.
        (shared,) = tmp_path.glob(f"{metrics.FOLDER}*")
        assert sorted(path.name for path in shared.iterdir()) == ["0", "1"]
        assert len(list(shared.rglob("*"))) == 2 + 2 * len(metrics.FILES)
        assert httpx.get(f"{aside}/healthz").text == "ok\n"
        process.stop()
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_killed_parent_left_behind_is_taken_away_and_that_of_a_living_one_is_not(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    def folders() -> set[Path]:
        return {path for path in tmp_path.glob(f"{metrics.FOLDER}*") if path.is_dir()}

    def api() -> tuple[str, ...]:
        return ("api", "--processes", "2", "--port", str(free_port()))

    with role(database, redis_url, tmp_path, *api()) as (killed, _):
        # Those that serve for it, too: what they still write would make it look new.
        wait_until(lambda: len(list(tmp_path.rglob("histogram_*.db"))) == 2, "a folder to be made, and filled")
        left = folders()
        killed.kill()
        for path in left:
            os.utime(path, (1, 1))
        with role(database, redis_url, tmp_path, *api()) as (living, _):
            wait_until(lambda: len(folders()) == 1 and not folders() & left, "the folder to be taken away")
            own = folders()
            for path in own:
                os.utime(path, (1, 1))
            with role(database, redis_url, tmp_path, *api()) as (_, _):
                wait_until(lambda: len(folders()) == 2, "another one")
                assert own < folders()
            living.stop()
            assert not own & folders()


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_a_role_without_a_door_has_one_for_metrics_and_health(
    database: str, redis_url: str, tmp_path: Path, command: str
) -> None:
    with role(database, redis_url, tmp_path, command) as (process, address):
        wait_until(lambda: process.is_running() and _is_ready(address), "it to be ready")
        assert value(address, "process_cpu_seconds_total") > 0
        text = httpx.get(f"{address}/metrics").text
        assert 'tracklayer_build_info{python="' in text
        assert httpx.get(f"{address}/graphql").status_code == 404


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_whoever_holds_on_to_it_takes_no_files_from_what_the_process_is_for(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    with role(database, redis_url, tmp_path, "scheduler") as (process, address), ExitStack() as held:
        wait_until(lambda: process.is_running() and _is_ready(address), "it to be ready")
        port = int(address.rpartition(":")[2])
        for _ in range(3 * MAX_ASIDE):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert httpx.get(f"{address}/healthz").text == "ok\n"  # all those before it have been let in
        there = [one for one in psutil.Process(process.pid).net_connections() if one.laddr and one.laddr.port == port]
        assert sum(one.status == psutil.CONN_ESTABLISHED for one in there) <= MAX_ASIDE


def test_a_port_that_is_taken_is_said_in_a_sentence(database: str, redis_url: str, tmp_path: Path) -> None:
    with (
        role(database, redis_url, tmp_path, "worker") as (first, address),
        running(
            "worker",
            environ={
                "TRACKLAYER_DATABASE_URL": database,
                "TRACKLAYER_REDIS_URL": redis_url,
                "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
                "TRACKLAYER_METRICS_PORT": address.rpartition(":")[2],
            },
        ) as second,
    ):
        wait_until(lambda: _is_ready(address), "either to be ready")
        wait_until(lambda: not (first.is_running() and second.is_running()), "one of them to end")
        (loser,) = [one for one in (first, second) if not one.is_running()]
        assert "choose another with TRACKLAYER_METRICS_PORT" in loser.output()


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096, b"\x20\0\0\0\0\0\0\0\x10\0\0\0{not json"], ids=repr)
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    """Whatever a disk that was full, or a machine that fell, has left of it: a process must start."""
    place = tmp_path / f"{metrics.FOLDER}x" / "0"
    place.mkdir(parents=True)
    (place / "counter_0.db").write_bytes(content)
    script = (
        "from tracklayer import metrics; metrics.EVENTS.labels('accepted').inc(3); "
        "print(metrics.is_apart_because, metrics.exposition().decode())"
    )
    environ = {**os.environ, metrics.PLACE: str(place)}
    for expected in ("3.0", "6.0"):  # the second goes on where the first ended
        done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("None ")
        assert f"{ACCEPTED} {expected}\n" in done.stdout
    assert (place / "counter_0.db").stat().st_size == metrics.FILES["counter"]


@pytest.mark.parametrize("folder", ["/dev/null/tracklayer-metrics-x/0", "somebody-elses"])
def test_a_folder_that_is_none_or_somebody_elses_leaves_a_process_its_own_numbers(tmp_path: Path, folder: str) -> None:
    script = (
        "from tracklayer import metrics; metrics.EVENTS.labels('accepted').inc(3); print(metrics.exposition().decode())"
    )
    environ = {**os.environ, metrics.PLACE: folder}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert f"{ACCEPTED} 3.0\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
