"""The embedded PostgreSQL starts whatever a power cut left behind, and says why where it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import API_KEY_SECRET, Merchant
from tests.servers import free_port, running, wait_for_api, wait_until
from tracklayer.db.embedded import EmbeddedPostgres, EmbeddedPostgresError


@pytest.fixture
def folder() -> Iterator[Path]:
    # A short path: PostgreSQL's socket lies in it, and its name may have a hundred characters.
    made = Path(tempfile.mkdtemp(prefix="tl"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def pid_file(folder: Path) -> bytes:
    """What the pid file of a server said that ran in the folder and ended."""
    server = EmbeddedPostgres(folder)
    server.start()
    found = (folder / "pg" / "postmaster.pid").read_bytes()
    server.stop()
    return found


def starts(folder: Path) -> bool:
    server = EmbeddedPostgres(folder, patience=5)
    server.start()
    server.stop()
    return True


def test_a_pid_file_whose_pid_is_somebody_elses_by_now_does_not_keep_it_from_starting(
    folder: Path, pid_file: bytes
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as somebody:
        (folder / "pg" / "postmaster.pid").write_bytes(re.sub(rb"^\d+", str(somebody.pid).encode(), pid_file))
        assert starts(folder)
        assert somebody.poll() is None
        somebody.communicate(b"\n")


def test_a_pid_file_that_names_the_server_of_another_directory_does_not_either(
    folder: Path, pid_file: bytes, postgres: str
) -> None:
    other = Path(re.sub(r".*host=", "", postgres)) / "postmaster.pid"
    (folder / "pg" / "postmaster.pid").write_bytes(
        re.sub(rb"^\d+", other.read_bytes().splitlines()[0], pid_file),
    )
    assert starts(folder)
    assert other.exists()


def test_a_pid_file_that_was_cut_short_does_not_either(folder: Path, pid_file: bytes) -> None:
    (folder / "pg" / "postmaster.pid").write_bytes(b"")
    assert starts(folder)


def test_a_server_that_runs_is_left_alone(folder: Path) -> None:
    first, second = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    assert first.start() == second.start()
    pid = (folder / "pg" / "postmaster.pid").read_bytes()
    second.start()
    assert (folder / "pg" / "postmaster.pid").read_bytes() == pid
    first.stop()
    second.stop()


def test_what_postgresql_says_of_its_start_is_in_the_sentence(folder: Path, pid_file: bytes) -> None:
    with (folder / "pg" / "log").open("a") as log:
        log.write('FATAL:  could not open file "of an earlier start"\n')
    with (folder / "pg" / "postgresql.auto.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError) as raised:
        EmbeddedPostgres(folder, patience=0).start()
    said = str(raised.value)
    assert said.startswith('PostgreSQL does not start; it says: unrecognized configuration parameter "no_such_setting"')
    assert said.endswith(f"(its log is {folder}/pg/log)")
    assert "an earlier start" not in said


@pytest.fixture
def nowhere_to_write(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no directory for temporary files, as on a read-only root."""
    patch = "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/nonexistent']\n"
    (tmp_path / "sitecustomize.py").write_text(patch)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_roles_with_a_database_of_their_own_need_no_directory_for_temporary_files(
    nowhere_to_write: dict[str, str], database: str, redis_url: str, merchant: Merchant
) -> None:
    environ = {
        **nowhere_to_write,
        "TRACKLAYER_DATABASE_URL": database,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_SANDBOX_URL": "http://127.0.0.1:9",  # which each role says at its start
        "TRACKLAYER_PORT": "tcp://10.0.0.1:8000",
    }
    for command in ("migrate", "doctor"):
        with running(command, environ=environ) as process:
            wait_until(lambda: not process.is_running(), f"{command} to end")
            assert "Traceback" not in process.output()
            assert "the database is at this version" in process.output()
    port = free_port()
    for role in (["api", "--port", str(port)], ["worker"], ["scheduler"]):
        with running(*role, environ=environ) as process:
            if role[0] == "api":
                wait_for_api(process, f"http://127.0.0.1:{port}")
            wait_until(lambda: "TRACKLAYER_SANDBOX_URL is set" in process.output(), f"{role[0]} to start")
            assert process.output().count("what Kubernetes says of a service") == 1
            assert process.stop() == 0


def test_the_embedded_database_says_that_it_needs_one(nowhere_to_write: dict[str, str], folder: Path) -> None:
    environ = {**nowhere_to_write, "TRACKLAYER_DATA_DIR": str(folder)}
    with running("up", "--port", str(free_port()), environ=environ) as process:
        wait_until(lambda: not process.is_running(), "it to give up")
        assert process.stop() == 1
        assert "needs a directory for temporary files: make /tmp writable, or set TMPDIR" in process.output()
        assert "Traceback" not in process.output()
