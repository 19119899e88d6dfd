"""``tracklayer up`` as a newcomer meets it: start, paste, stop, start again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest

from tests.servers import PATIENCE_SECONDS, Process, free_port, running, wait_for_api, wait_until
from tracklayer.cli import main
from tracklayer.cli.bench.roles import answers
from tracklayer.cli.up import elsewhere, on_port, own_command
from tracklayer.db import connection
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.db.migrate import migrate, pending
from tracklayer.mappers import PLATFORMS
from tracklayer.services.deliver import INVENTED
from tracklayer.settings import load_settings


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tl"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def up(data_dir: Path, port: int) -> Iterator[tuple[Process, str]]:
    environ = {"TRACKLAYER_DATA_DIR": str(data_dir), "TRACKLAYER_RETRY_BASE_SECONDS": "1"}
    with running("up", "--sandbox", "--port", str(port), environ=environ) as process:
        wait_for_api(process, f"http://127.0.0.1:{port}")
        wait_until(lambda: "Ctrl-C stops everything" in process.output(), "the welcome")
        yield process, f"http://127.0.0.1:{port}"


def paste(output: str, number: int = 0) -> Any:
    """What a printed command answers, run as it stands. ``number``: 0 sends an event, 1 asks what became of it."""
    command = re.findall(r"^curl -s .*?}'$", output, re.MULTILINE | re.DOTALL)[number]
    return orjson.loads(subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout)


def ask(address: str, key: str, query: str) -> Any:
    answer = httpx.post(f"{address}/graphql", json={"query": query}, headers={"authorization": f"Bearer {key}"})
    return answer.json()["data"]


def test_from_an_empty_directory_to_a_delivered_event_and_again(data_dir: Path) -> None:
    port = free_port()
    with up(data_dir, port) as (process, address):
        output = process.output()
        key = re.search(r"API key +(tl_\S+)", output)
        assert key is not None
        answer = paste(output)["data"]["ingestEvent"]
        assert (answer["outcome"], answer["userErrors"]) == ("ACCEPTED", [])
        assert sorted(delivery["platform"] for delivery in answer["event"]["deliveries"]) == sorted(
            platform.upper() for platform in PLATFORMS
        )

        def settled() -> bool:
            deliveries = paste(output, 1)["data"]["event"]["deliveries"]
            return {delivery["status"] for delivery in deliveries} == {"DELIVERED"}

        wait_until(settled, "every platform to have the event")
        assert paste(output)["data"]["ingestEvent"]["outcome"] == "COALESCED"
        assert process.stop(signal.SIGINT) == 0
    with up(data_dir, port) as (process, address):
        assert "API key" not in process.output()
        assert "with API_KEY set to the key of the first start" in process.output()
        link = re.search(rf"Dashboard  {address}/#code=(\S+)", process.output())  # another at each start
        assert link is not None
        with httpx.Client(base_url=address, headers={"sec-fetch-site": "same-origin"}) as browser:
            assert browser.post("/session", json={"code": link[1]}).json()["merchant"]["name"] == "default"
            answer = browser.post("/graphql", json={"query": "{ merchant { name } }"})
            assert answer.json() == {"data": {"merchant": {"name": "default"}}}
        assert httpx.post(f"{address}/session", json={"code": link[1]}).status_code == 401
        told = re.search(r"`(\S+=\S+ .*tracklayer sign-in[^`]*)` prints another\.", process.output())
        assert told is not None  # typed in another terminal, which knows nothing of this one
        environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        another = subprocess.run(
            ["bash", "-c", told[1]], env=environ, capture_output=True, check=True, text=True
        ).stdout
        code = re.match(rf"{address}/#code=(\S+)", another)
        assert code is not None
        assert httpx.post(f"{address}/session", json={"code": code[1]}).status_code == 200
        found = ask(address, key[1], "{ events { edges { node { timesReceived } } } merchant { name } }")
        assert found == {"events": {"edges": [{"node": {"timesReceived": 2}}]}, "merchant": {"name": "default"}}
        assert process.stop(signal.SIGTERM) == 0
        assert "Traceback" not in process.output()


def test_it_is_one_process_of_each_role_and_none_when_it_has_ended(data_dir: Path) -> None:
    def roles() -> str:
        environ = {**os.environ, "TRACKLAYER_DATA_DIR": str(data_dir)}
        command = [sys.executable, "-m", "tracklayer", "doctor", "--json"]
        found = orjson.loads(subprocess.run(command, env=environ, capture_output=True, check=False).stdout)
        (line,) = [finding for finding in found["findings"] if finding["check"] == "roles"]
        assert line["ok"]
        return str(line["message"])

    with up(data_dir, free_port()) as (process, _):
        wait_until(lambda: roles() == "alive: 1 api, 1 worker, 1 scheduler", "all roles to be heard of")
        assert process.stop() == 0
    assert roles().startswith("none is running, and nothing is meant to")


@contextlib.contextmanager
def embedded(data_dir: Path) -> Iterator[None]:
    """The database of a data directory, for the length of the block."""
    server = EmbeddedPostgres(data_dir)
    connection.connect(server.start())
    try:
        yield
    finally:
        connection.disconnect()
        server.stop()


@pytest.mark.parametrize(
    "command",
    [
        ("erase", "--merchant", "1", "--email", "jane@shop.example", "--dry-run"),
        ("merchant", "create", "--name", "Shop"),
        ("doctor",),
    ],
)
def test_a_command_in_another_directory_makes_no_installation_there(data_dir: Path, command: tuple[str, ...]) -> None:
    environ = {**os.environ, "TRACKLAYER_DATA_DIR": str(data_dir)}
    found = subprocess.run(
        [sys.executable, "-m", "tracklayer", *command], env=environ, capture_output=True, check=False, text=True
    )
    assert found.returncode == 1
    assert f"there is no installation in {data_dir}: set TRACKLAYER_DATA_DIR" in found.stdout + found.stderr
    assert not data_dir.exists()


def test_no_other_command_changes_the_tables_of_an_older_version(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(data_dir))
    older = "DELETE FROM schema_migrations WHERE name = (SELECT max(name) FROM schema_migrations) RETURNING name"
    with embedded(data_dir):
        migrate()
        with in_transaction():
            ((last,),) = rows(older)
    for command in ("doctor", "merchant list", "export events --merchant 1 --to -", "sign-in"):
        assert main(command.split()) == 1
        said = capsys.readouterr()
        lacks = "the database is older than this version, and lacks 1 migration: run `tracklayer migrate`"
        assert lacks in said.out + said.err, command
    with embedded(data_dir):
        assert pending() == [last]


def test_killed_it_starts_again_and_finds_everything(data_dir: Path) -> None:
    port = free_port()
    with up(data_dir, port) as (process, _):
        output = process.output()
        paste(output)
        process.kill()
    with up(data_dir, port) as (process, address):
        key = re.search(r"API key +(tl_\S+)", output)
        assert key is not None
        assert len(ask(address, key[1], "{ events { edges { cursor } } }")["events"]["edges"]) == 1
        assert process.stop(signal.SIGTERM) == 0


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "pg" / "postmaster.pid").read_text().splitlines()[0]))


def test_a_database_that_is_killed_alone_is_started_again(data_dir: Path) -> None:
    with up(data_dir, free_port()) as (process, address):
        output = process.output()
        paste(output)
        key = re.search(r"API key +(tl_\S+)", output)
        assert key is not None
        for times in (1, 2):
            postmaster(data_dir).kill()
            wait_until(lambda times=times: process.output().count("runs again") == times, "it to be started again")  # type: ignore[misc]
            wait_for_api(process, address)
            assert len(ask(address, key[1], "{ events { edges { cursor } } }")["events"]["edges"]) == 1
            assert paste(output)["data"]["ingestEvent"]["outcome"] == "COALESCED"
        said = re.findall(r"the embedded PostgreSQL has ended; it is started again in (\d+) s", process.output())
        assert said == ["1", "2"]
        last = postmaster(data_dir)
        assert process.stop(signal.SIGTERM) == 0
        assert not last.is_running() or last.status() == psutil.STATUS_ZOMBIE  # which nobody has asked about
        assert "Traceback" not in process.output()


def test_a_signal_just_after_its_database_was_killed_ends_it_cleanly(data_dir: Path) -> None:
    with up(data_dir, free_port()) as (process, _):
        paste(process.output())
        postmaster(data_dir).kill()
        assert process.stop() == 0
        assert "Traceback" not in process.output()


def test_a_database_whose_files_are_gone_is_not_replaced_by_an_empty_one(data_dir: Path) -> None:
    with up(data_dir, free_port()) as (process, _):
        server = postmaster(data_dir)
        (data_dir / "pg").rename(data_dir / "elsewhere")
        server.kill()
        wait_until(lambda: "holds no database any more" in process.output(), "it to say so")
        assert not (data_dir / "pg").exists()
        assert process.stop() == 0
        assert "Traceback" not in process.output()


def test_what_a_trial_left_is_sent_to_no_real_platform_and_goes_on_with_the_sandbox(data_dir: Path) -> None:
    port = free_port()
    with up(data_dir, port) as (process, address):
        key = re.search(r"API key +(tl_\S+)", process.output())
        assert key is not None
        command = re.findall(r"^curl -s .*?}'$", process.output(), re.MULTILINE | re.DOTALL)
        assert process.stop() == 0
    # Nothing of a real platform is asked here, even if all of this failed.
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
    environ = {"TRACKLAYER_DATA_DIR": str(data_dir), "NO_PROXY": "127.0.0.1", **nowhere}

    def states() -> set[tuple[str, str | None]]:
        found = ask(address, key[1], "{ merchant { destinations { state stateReason } } }")["merchant"]
        return {(one["state"], one["stateReason"]) for one in found["destinations"]}

    with running("up", "--port", str(port), environ=environ) as process:
        wait_for_api(process, address)
        subprocess.run(["bash", "-c", command[0]], capture_output=True, check=True)
        held = {("HELD", INVENTED)}
        wait_until(lambda: states() == held, "all of them to be held")
        assert (
            f"{len(PLATFORMS)} destinations have the invented settings of `tracklayer up --sandbox`" in process.output()
        )
        asked = orjson.loads(subprocess.run(["bash", "-c", command[1]], capture_output=True, check=True).stdout)
        found = {(one["status"], one["attempts"]) for one in asked["data"]["event"]["deliveries"]}
        assert found == {("QUEUED", 0)}
        ready = httpx.get(f"{address}/readyz").json()
        assert any("have the invented settings" in warning for warning in ready["warnings"])
        wait_until(
            lambda: (
                {"kind": "sandbox_missing", "severity": "warning"}
                in httpx.get(f"{address}/readyz").json().get("troubles", [])
            ),
            "the trouble to be told",
        )
        said = subprocess.run(
            [sys.executable, "-m", "tracklayer", "doctor"],
            env={**os.environ, **environ},
            capture_output=True,
            check=False,
            text=True,
        ).stdout
        assert (
            f"sandbox     {len(PLATFORMS)} destinations have the invented settings of a trial, and there is no sandbox"
            in said
        )
        assert process.stop() == 0
    with up(data_dir, port) as (process, _):
        assert states() == {("ACTIVE", None)}  # at once: there is a sandbox again

        def delivered() -> bool:
            answer = orjson.loads(subprocess.run(["bash", "-c", command[1]], capture_output=True, check=True).stdout)
            return {one["status"] for one in answer["data"]["event"]["deliveries"]} == {"DELIVERED"}

        wait_until(delivered, "the sandbox to have them")
        assert process.stop() == 0


def test_commands_beside_it_know_its_address_and_its_sandbox(data_dir: Path) -> None:
    def said(*command: str, **environ: str) -> Any:
        environ = {**os.environ, "TRACKLAYER_DATA_DIR": str(data_dir), **environ}
        found = subprocess.run(
            [sys.executable, "-m", "tracklayer", *command, "--json"], env=environ, capture_output=True, check=False
        )
        return orjson.loads(found.stdout) if found.stdout else found.stderr.decode()

    def link(**environ: str) -> str:
        return str(said("sign-in", **environ)["url"]).partition("/#")[0]

    port = free_port()
    with up(data_dir, port) as (process, address):
        tried = said("destination", "test", "--platform", "ga4")
        assert (tried["attempt"]["outcome"], tried["user_errors"]) == ("acknowledged", [])
        assert link() == address
        assert link(TRACKLAYER_PORT="8123") == "http://127.0.0.1:8123"
        assert link(TRACKLAYER_PUBLIC_URL="https://t.shop.example") == "https://t.shop.example"
        process.kill()
    with running("up", "--port", str(port), environ={"TRACKLAYER_DATA_DIR": str(data_dir)}) as process:
        wait_for_api(process, address)
        assert link() == address
        assert "TRACKLAYER_SANDBOX_URL" in said("destination", "test", "--platform", "ga4")
        assert process.stop() == 0


@pytest.mark.parametrize("same_port", [True, False])
def test_a_second_one_in_a_data_directory_says_where_the_first_is(data_dir: Path, same_port: bool) -> None:
    port = free_port()
    environ = {"TRACKLAYER_DATA_DIR": str(data_dir)}
    with up(data_dir, port) as (first, address):
        with running("up", "--port", str(port if same_port else free_port()), environ=environ) as second:
            wait_until(lambda: not second.is_running(), "the second to give up")
            assert second.stop() == 1
            told = f"TrackLayer runs already with the data directory {data_dir} at {address}: stop it first"
            assert told in second.output()
            assert "Traceback" not in second.output()
        first.kill()
    with up(data_dir, port) as (again, _):
        assert again.stop() == 0


def test_a_taken_port_is_one_clear_sentence(data_dir: Path) -> None:
    port = free_port()
    with up(data_dir, port) as (_, _), running("up", "--port", str(port), environ={}) as second:
        wait_until(lambda: not second.is_running(), "the second to give up")
        assert second.stop() == 1
        assert "cannot listen on 127.0.0.1" in second.output()
        assert "Traceback" not in second.output()


def test_a_signal_while_it_starts_ends_it_cleanly(data_dir: Path) -> None:
    environ = {"TRACKLAYER_DATA_DIR": str(data_dir)}
    with running("up", "--port", str(free_port()), environ=environ) as process:
        wait_until(lambda: (data_dir / "pg").exists(), "the database to be made")
        assert process.stop(signal.SIGTERM) == 0
        assert "Traceback" not in process.output()


@pytest.mark.parametrize(
    ("redirection", "why"),
    [
        pytest.param("| true", "Broken pipe", id="a reader that is gone"),
        pytest.param("> /dev/full", "No space left on device", id="a full disk"),
        pytest.param(">&-", "standard output is closed", id="closed"),
    ],
)
def test_a_welcome_that_nobody_reads_does_not_end_it(
    data_dir: Path, tmp_path: Path, redirection: str, why: str
) -> None:
    port, log, status = free_port(), tmp_path / "log", tmp_path / "status"
    command = f"{sys.executable} -m tracklayer up --port {port} 2> {log}"
    script = f"set -o pipefail; ({command} & echo $! > {tmp_path}/pid; wait $!; echo $? > {status}) {redirection}"
    environ = {**os.environ, "TRACKLAYER_DATA_DIR": str(data_dir)}
    with subprocess.Popen(["bash", "-c", script], env=environ, start_new_session=True) as shell:
        try:
            wait_until(
                lambda: (log.exists() and "the welcome could not" in log.read_text()) or status.exists(), "it to say so"
            )
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz") or status.exists(), "it to serve")
            assert not status.exists(), log.read_text()
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
            shell.wait(PATIENCE_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert status.read_text() == "0\n"
    said = log.read_text()
    assert re.search(
        rf"the welcome could not be printed \({why}\): `TRACKLAYER_DATA_DIR={data_dir} \S.*sign-in --port {port}` prints a link to the "
        rf"dashboard, and `TRACKLAYER_DATA_DIR={data_dir} \S.*key create` makes an API key\n",
        said,
    )
    assert "Traceback" not in said
    assert "tl_" not in said.replace(str(data_dir), "")


@pytest.mark.parametrize(
    ("given", "port", "sign_in", "beside"),
    [
        pytest.param({}, None, "sign-in", "", id="nothing"),
        pytest.param({}, 8123, "sign-in --port 8123", "", id="a port that was typed"),
        pytest.param({"PORT": "8123"}, None, "PUBLIC_URL=http://127.0.0.1:8123 sign-in", "", id="a port"),
        pytest.param({"DATA_DIR": "/a b/c"}, None, "DATA_DIR='/a b/c' sign-in", "", id="a directory"),
        pytest.param(
            {"PUBLIC_URL": "https://t.shop.example"}, 8123, "PUBLIC_URL=https://t.shop.example sign-in", "", id="a name"
        ),
        pytest.param(
            {"DATABASE_URL": "postgresql://me:hidden@db/t", "SECRET_KEY": "hidden-" * 6},
            None,
            "sign-in",
            ", with TRACKLAYER_DATABASE_URL and TRACKLAYER_SECRET_KEY set as here",
            id="what is secret",
        ),
    ],
)
def test_what_is_printed_for_another_terminal_carries_every_setting_that_leads_here(
    given: dict[str, str], port: int | None, sign_in: str, beside: str
) -> None:
    settings = load_settings({f"TRACKLAYER_{name}": value for name, value in given.items()})
    there = elsewhere(on_port(settings, port), port)
    assert there.sign_in.replace(f"{own_command()} ", "").replace("TRACKLAYER_", "") == sign_in
    assert there.beside == beside
    assert "hidden" not in there.command + there.beside
