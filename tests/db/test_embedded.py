"""The embedded PostgreSQL starts whatever a power cut or a signal left behind, and says why where it cannot."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import psycopg2
import pytest

from tests.factories import API_KEY_SECRET, Merchant
from tests.servers import disk_of, free_port, running, wait_for_api, wait_until
from tracklayer.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tracklayer.db.postmaster import socket_folder, what_to_do


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


STARTS = """
import sys
from pathlib import Path
from tracklayer.cli.serve import Stopped, Stopper
from tracklayer.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
with Stopper():
    try:
        EmbeddedPostgres(Path(sys.argv[1]), patience=float(sys.argv[2])).start(*map(float, sys.argv[3:]))
        print("started", flush=True)
        sys.stdin.read()
    except Stopped:
        pass
    except EmbeddedPostgresError as error:
        sys.exit(str(error))
"""


def start_in_a_process(
    folder: Path, patience: int = 30, within: Sequence[str] = (), held_seconds: float | None = None
) -> subprocess.Popen[str]:
    more = [] if held_seconds is None else [str(held_seconds)]
    command = [*within, sys.executable, "-c", STARTS, str(folder), str(patience), *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def has_trace(said: str) -> bool:
    return "Traceback" in said or "Exception ignored" in said


def is_named(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and any(
            str(folder / "pg") in word for word in process.cmdline()
        )
    except psutil.Error:
        return False


def nothing_runs_in(folder: Path) -> bool:
    return not any(is_named(process, folder) for process in psutil.process_iter())


def holds(folder: Path, name: str) -> bool:
    """At whatever depth."""
    try:
        return any(folder.rglob(name))
    except FileNotFoundError:  # it is being deleted meanwhile
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["PG_VERSION", "pg_control", "pg_filenode.map", "postmaster.pid"])
def test_a_first_start_that_was_ended_at_any_instant_leaves_nothing_that_keeps_the_next_from_it(
    folder: Path, moment: str, number: signal.Signals
) -> None:
    with start_in_a_process(folder) as process:
        wait_until(lambda: holds(folder, moment), f"{moment} to be made")
        process.send_signal(number)
        said = process.communicate()[1]
    if number == signal.SIGTERM:
        assert process.returncode == 0
        assert not has_trace(said)
        wait_until(lambda: nothing_runs_in(folder), "all that was started to end")
    server = EmbeddedPostgres(folder)
    with contextlib.closing(psycopg2.connect(server.start())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database ORDER BY datname")
        assert cursor.fetchall() == [("postgres",), ("template0",), ("template1",)]
    server.stop()
    assert nothing_runs_in(folder)
    assert starts(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_later_start_that_is_interrupted_stops_what_it_started(
    folder: Path, pid_file: bytes, number: signal.Signals
) -> None:
    with start_in_a_process(folder) as process:
        wait_until(lambda: holds(folder, "postmaster.pid"), "the server to begin")
        process.send_signal(number)
        assert not has_trace(process.communicate()[1])
    assert process.returncode == 0
    assert nothing_runs_in(folder)


def test_a_start_that_fails_stops_what_it_started(folder: Path, pid_file: bytes) -> None:
    (folder / "pg" / "pg_hba.conf").write_text("local all all reject\n")
    with start_in_a_process(folder, patience=2) as process:
        said = process.communicate()[1]
    assert said.endswith(f"PostgreSQL does not start (OperationalError); its log is {folder}/pg/log\n")
    assert not has_trace(said)
    assert process.returncode == 1
    assert nothing_runs_in(folder)


def test_a_start_that_fails_leaves_alone_what_another_process_holds(folder: Path) -> None:
    with start_in_a_process(folder) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "started\n"
        server = EmbeddedPostgres(folder)
        url = server.start()
        server.stop()
        rules = folder / "pg" / "pg_hba.conf"
        allowed = rules.read_text()
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            rules.write_text("local all all reject\n")
            cursor.execute("SELECT pg_reload_conf()")
            with pytest.raises(EmbeddedPostgresError):
                EmbeddedPostgres(folder, patience=2).start()
            rules.write_text(allowed)
            cursor.execute("SELECT pg_reload_conf()")
            assert cursor.fetchall() == [(True,)]
        first.terminate()
        assert not has_trace(first.communicate()[1])
    assert nothing_runs_in(folder)


def test_a_start_waits_for_as_long_as_the_log_is_replayed(folder: Path, pid_file: bytes) -> None:
    go_on, said = folder / "go-on", folder / "said"
    with (folder / "pg" / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'touch {said}; until [ -e {go_on} ]; do sleep 0.1; done; false'\n")
    (folder / "pg" / "recovery.signal").touch()
    folder.chmod(0o777)  # PostgreSQL may be another user than this one
    with start_in_a_process(folder, patience=1) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if "after a crash it replays its log" in line:
                break
        assert said.exists()
        go_on.touch()
        assert process.stdout.readline() == "started\n"
        process.terminate()
        assert not has_trace(process.communicate()[1])
    assert nothing_runs_in(folder)


def test_a_power_cut_while_what_was_made_moves_in_loses_nothing_of_it(folder: Path, pid_file: bytes) -> None:
    made = folder / "pg" / ".made"
    made.mkdir()
    for name in ("PG_VERSION", "global", "postgresql.conf"):
        (folder / "pg" / name).rename(made / name)
    assert starts(folder)
    assert not made.exists()


def test_nothing_is_deleted_that_was_not_left_by_an_interrupted_start(folder: Path) -> None:
    lost, kept = folder / "pg" / ".new-lost", folder / "pg" / "somebodys.txt"
    lost.mkdir(parents=True)
    (lost / "PG_VERSION").write_text("18\n")
    kept.write_text("precious")
    with pytest.raises(EmbeddedPostgresError, match=r"holds 'somebodys\.txt', but no database"):
        EmbeddedPostgres(folder).start()
    assert not lost.exists()
    assert kept.read_text() == "precious"
    kept.unlink()
    assert starts(folder)


def test_a_part_of_a_database_is_told_at_once_and_stays(folder: Path, pid_file: bytes) -> None:
    control = folder / "pg" / "global" / "pg_control"
    control.rename(folder / "pg_control")
    with pytest.raises(EmbeddedPostgresError, match=r"is not a whole database \(global/pg_control is missing\)"):
        EmbeddedPostgres(folder).start()
    (folder / "pg_control").rename(control)
    assert starts(folder)


def test_a_database_without_its_version_is_told_alike_by_whoever_makes_one_and_whoever_does_not(
    folder: Path, pid_file: bytes
) -> None:
    (folder / "pg" / "PG_VERSION").unlink()
    for opens in (EmbeddedPostgres(folder).start, EmbeddedPostgres(folder).find):
        with pytest.raises(EmbeddedPostgresError, match=r"but no database \(PG_VERSION is missing\)"):
            opens()


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


@pytest.mark.parametrize("name", [".", "long-" * 25], ids=["beside the files", "in a folder of its own"])
@pytest.mark.parametrize("has_pid_file", [True, False])
def test_nor_does_the_lock_of_a_socket_that_names_one(
    folder: Path, postgres: str, name: str, has_pid_file: bool
) -> None:
    here = folder / name
    here.mkdir(mode=0o755, exist_ok=True)
    assert starts(here)
    other = (Path(re.sub(r".*host=", "", postgres)) / "postmaster.pid").read_bytes().splitlines()[0]
    sockets = socket_folder((here / "pg").resolve())
    sockets.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(sockets, (here / "pg").stat().st_uid)
    lock = sockets / ".s.PGSQL.5432.lock"
    lock.write_bytes(other + b"\n")
    shutil.chown(lock, (here / "pg").stat().st_uid)
    if has_pid_file:
        (here / "pg" / "postmaster.pid").write_bytes(other + b"\n")
    assert starts(here)


def test_of_a_lock_that_stays_it_is_said_what_to_do_with_it() -> None:
    said = what_to_do(
        'lock file "/a shop/pg/.s.PGSQL.5432.lock" already exists; Is another postmaster (PID 7) using it?'
    )
    assert said == (
        ": if no PostgreSQL of this directory runs any more, remove /a shop/pg/.s.PGSQL.5432.lock, and start again"
    )


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


def sees_no_process(*more: str) -> list[str]:
    """Begins a command as in another container, which has no process of this one."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *more]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs root, and unshare")
    return command


def files_of_its_run(folder: Path) -> dict[str, bytes]:
    names = ("postmaster.pid", ".s.PGSQL.5432.lock", ".handle_pids.json", "global/pg_control")
    return {name: (folder / "pg" / name).read_bytes() for name in names}


@pytest.mark.parametrize("more", [["--ipc"], []], ids=["containers", "containers that share memory"])
def test_beside_a_server_of_another_container_none_is_started_and_nothing_of_it_is_touched(
    folder: Path, more: list[str]
) -> None:
    within = sees_no_process(*more)
    server = EmbeddedPostgres(folder)
    with contextlib.closing(psycopg2.connect(server.start())) as connection, connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        before = files_of_its_run(folder)
        with start_in_a_process(folder, within=within) as process:
            said = process.communicate()[1]
        assert said == (
            f"a PostgreSQL that cannot be seen from here has {folder}/pg, in another container perhaps: run the command there "
            "(`docker exec`, `kubectl exec`), or stop that TrackLayer first\n"
        )
        assert process.returncode == 1
        assert files_of_its_run(folder) == before
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    server.stop()
    assert nothing_runs_in(folder)
    with start_in_a_process(folder, within=within) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.communicate("")
    assert starts(folder)


def test_whoever_has_time_waits_for_a_command_in_another_container_to_end_and_says_so(folder: Path) -> None:
    within = sees_no_process("--ipc")
    server = EmbeddedPostgres(folder)
    server.start()
    with start_in_a_process(folder, within=within, held_seconds=60) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said == (
            f"a PostgreSQL that cannot be seen from here has {folder}/pg: this waits up to 60 s for it to end, as a command in another "
            "container will\n"
        )
        server.stop()
        assert process.stdout.readline() == "started\n"
        assert process.communicate("")[1] == ""
    assert starts(folder)


def test_nor_beside_one_whose_processes_were_killed_but_for_itself(folder: Path) -> None:
    within = sees_no_process("--ipc")
    with start_in_a_process(folder) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "started\n"
        first.kill()
    before = (folder / "pg" / "postmaster.pid").read_bytes()
    with start_in_a_process(folder, within=within) as process:
        assert "cannot be seen from here" in process.communicate()[1]
    assert (folder / "pg" / "postmaster.pid").read_bytes() == before
    assert starts(folder)
    assert nothing_runs_in(folder)


def test_nor_beside_one_that_answers_and_has_no_lock_as_those_of_versions_before(folder: Path, pid_file: bytes) -> None:
    (folder / "pg" / "postmaster.pid").write_bytes(pid_file)
    with socket.socket(socket.AF_UNIX) as answers:
        answers.bind(str(folder / "pg" / ".s.PGSQL.5432"))
        answers.listen()
        with pytest.raises(EmbeddedPostgresError, match="cannot be seen from here"):
            EmbeddedPostgres(folder).start()
    assert (folder / "pg" / "postmaster.pid").read_bytes() == pid_file
    assert starts(folder)


def test_a_server_of_another_user_is_not_taken_for_that_of_this_directory(folder: Path, postgres: str) -> None:
    if os.geteuid():
        pytest.skip("only root may be somebody else")
    asks = (
        "import os, sys; from pathlib import Path; from tracklayer.db.cluster import is_postmaster; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); print(is_postmaster(0, Path(sys.argv[1])))"
    )
    said = subprocess.run([sys.executable, "-c", asks, str(folder)], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_a_server_is_shared_by_whatever_name_its_directory_has(folder: Path) -> None:
    (folder / "a").mkdir(mode=0o755)
    (folder / "b").mkdir(mode=0o755)
    server, other = EmbeddedPostgres(folder / "a"), EmbeddedPostgres(folder / "b")
    server.start()
    if subprocess.run(["mount", "--bind", folder / "a", folder / "b"], capture_output=True).returncode:
        server.stop()
        pytest.skip("only root may mount")
    try:
        before = files_of_its_run(folder / "a")["postmaster.pid"]
        with contextlib.closing(psycopg2.connect(other.start())):
            assert files_of_its_run(folder / "a")["postmaster.pid"] == before
        server.stop()
        other.stop()
        assert nothing_runs_in(folder / "a")
    finally:
        subprocess.run(["umount", folder / "b"], check=True)


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


@pytest.mark.parametrize(
    "name",
    [
        "my shop",
        "jane's",
        "R&D",
        "100%",
        "50%25off",
        "a,b",
        "; touch told",
        "#1 (new)",
        "a?b=c",
        "L\xe4den",
        os.fsdecode(b"L\xe4den"),
        "long-" * 25,
    ],
    ids=ascii,
)
def test_it_starts_in_a_directory_of_any_name(folder: Path, name: str) -> None:
    here = folder / name
    here.mkdir(mode=0o755)
    server, again = EmbeddedPostgres(here), EmbeddedPostgres(here)
    url = server.start()
    assert url.isascii()
    assert again.start() == url
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    again.stop()
    server.stop()
    assert nothing_runs_in(here)
    assert {path.name for path in folder.iterdir()} == {name}
    assert {path.name for path in here.iterdir()} == {"pg", ".pglock"}


def test_it_starts_in_a_directory_whose_name_this_process_cannot_decode(folder: Path) -> None:
    here = folder / "L\xe4den"
    here.mkdir(mode=0o755)
    environ = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TRACKLAYER_DATA_DIR": str(here)}
    with running("up", "--port", str(free_port()), environ=environ) as process:
        wait_until(lambda: "TrackLayer is running at" in process.output() or not process.is_running(), "it to start")
        assert process.stop() == 0, process.output()
        assert "Traceback" not in process.output()


def test_a_socket_does_not_lie_in_a_folder_that_somebody_else_made(folder: Path) -> None:
    here = folder / "a,b"
    here.mkdir(mode=0o755)
    sockets = socket_folder(here / "pg")
    sockets.mkdir(mode=0o777)
    sockets.chmod(0o777)
    try:
        with pytest.raises(EmbeddedPostgresError, match="which somebody else made: remove it, or set TMPDIR"):
            EmbeddedPostgres(here).start()
    finally:
        sockets.rmdir()


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", "\n"])
def test_a_character_that_postgresql_cannot_take_is_named_at_once(folder: Path, character: str) -> None:
    here = folder / f"a{character}(touch told)"
    here.mkdir()
    with pytest.raises(EmbeddedPostgresError) as raised:
        EmbeddedPostgres(here).start()
    said = str(raised.value)
    assert said.endswith(f"the path has the character {character!r}; use another TRACKLAYER_DATA_DIR")
    assert "\n" not in said
    assert not holds(folder, "told")


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A directory on a disk of 30 MB, less than initdb writes."""
    with disk_of("30m", folder / "small") as disk:
        yield disk


def test_a_full_disk_at_the_first_start_is_told_at_once(small_disk: Path) -> None:
    with pytest.raises(EmbeddedPostgresError) as raised:
        EmbeddedPostgres(small_disk, patience=float("inf")).start()
    said = str(raised.value)
    assert said.startswith(f"PostgreSQL cannot make its files in {small_disk}/pg; it says: could not ")
    assert said.endswith("No space left on device: make room there")
    assert {path.name for path in (small_disk / "pg").iterdir()} == set()


def test_a_full_disk_under_a_server_that_runs_is_told_at_once_and_leaves_it_running(folder: Path) -> None:
    with disk_of("200m", folder / "d") as disk:
        server = EmbeddedPostgres(disk)
        server.start()
        try:
            for kept in (disk / "pg").rglob("pg_internal.init"):
                kept.unlink()  # as after any change of a table: the next session writes it anew
            with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
                while ballast.write(bytes(2**20)):
                    pass
            said = subprocess.run(
                [sys.executable, "-m", "tracklayer", "doctor"],
                env=os.environ | {"TRACKLAYER_DATA_DIR": str(disk)},
                capture_output=True,
                text=True,
            )
            assert "PostgreSQL's disk is full, so it lets nobody in: make room there" in said.stdout
            assert said.returncode == 1
            (disk / "ballast").unlink()
            with contextlib.closing(psycopg2.connect(server.find())):
                pass
        finally:
            server.stop()


def test_a_full_disk_under_a_server_that_is_to_start_is_told_with_what_to_do(folder: Path) -> None:
    with disk_of("200m", folder / "d") as disk:
        server = EmbeddedPostgres(disk)
        server.start()
        server.stop()
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(2**12)):
                pass
        with pytest.raises(
            EmbeddedPostgresError, match=r"No space left on device \(its log is .*/d/pg/log\): make room there$"
        ):
            EmbeddedPostgres(disk).start()


def test_what_would_be_so_at_the_next_try_is_told_at_once(folder: Path, pid_file: bytes) -> None:
    with (folder / "pg" / "postgresql.auto.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="unrecognized configuration parameter"):
        EmbeddedPostgres(folder, patience=float("inf")).start()


@pytest.fixture
def nowhere_to_write(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no directory for temporary files, as on a read-only root."""
    patch = f"import tempfile\ntempfile._candidate_tempdir_list = lambda: [{str(tmp_path / 'nowhere')!r}]\n"
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
