"""The commands: exit status, one clear sentence for a mistake, JSON where it is asked for."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg2
import pytest
import redis

from tests.conftest import url_of
from tests.factories import API_KEY_SECRET, PURCHASE, Api, Merchant, draft
from tests.rights import as_others_have_them
from tests.servers import (
    RedisServer,
    disk_of,
    fill,
    free_port,
    handlers_kept,
    make_read_only,
    refuse_scripts,
    running,
    wait_until,
)
from tests.sessions import other_session
from tracklayer import __version__
from tracklayer.cli import doctor, main
from tracklayer.cli.process import CommandError, generated_secret, warn_of_troubles
from tracklayer.clock import SystemClock
from tracklayer.db import connection
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.migrate import MIGRATIONS
from tracklayer.domain.event import USER_FIELDS
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.schema import schema
from tracklayer.services.destinations import example_settings, remove_destination, sandbox_destinations
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import ensure_default_merchant, update_merchant
from tracklayer.services.sign_in import sign_in_with_code

NOW = "2026-04-24T00:00:00Z"


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: Any) -> None:
    content = b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def write(path: Path, value: Any) -> str:
    path.write_bytes(value if isinstance(value, bytes) else orjson.dumps(value))
    return str(path)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param([], id="no command"),
        pytest.param(["nonsense"], id="an unknown command"),
        pytest.param(["merchant", "create"], id="a missing option"),
        pytest.param(["merchant", "create", "--name", "x", "--retention-days", "31"], id="a choice that is none"),
        pytest.param(["preview"], id="preview without an event"),
        pytest.param(["up", "--port", "http"], id="a port that is no number"),
        pytest.param(
            "destination set --merchant 1 --platform meta --settings - --every-event --event-name Lead".split(),
            id="options that exclude each other",
        ),
        pytest.param(["sign-in", "--port", "http"], id="a port that is no number, of a link"),
        pytest.param(["erase", "--merchant", "1"], id="an erasure of nobody"),
        pytest.param(["person", "export", "--merchant", "1"], id="an export of nobody"),
        pytest.param(["monitors", "backtest", "--days", "60"], id="a backtest of more than is kept"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_sentence(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["up", "merchant create", "merchant list", "doctor"])
def test_an_unknown_option_leads_to_the_help_of_its_own_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--name", "Shop"] if command == "merchant create" else []
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), *needed, "--nonsense"])
    assert ended.value.code == 2
    said = f"tracklayer {command}: unrecognized arguments: --nonsense; see `tracklayer {command} --help`\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "command",
    "up api worker scheduler migrate merchant sign-in destination import preview normalize sandbox schema doctor "
    "bench".split(),
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"tracklayer {command}" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tracklayer {__version__}\n"


def test_a_wrong_environment_is_told_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRACKLAYER_PROT", "8000")
    monkeypatch.setenv("TRACKLAYER_LOG_FORMAT", "xml")
    assert main(["migrate"]) == 2
    message = capsys.readouterr().err
    assert "TRACKLAYER_PROT is not a setting, did you mean TRACKLAYER_PORT?" in message
    assert "TRACKLAYER_LOG_FORMAT must be text or json" in message


@pytest.mark.parametrize("role", ["api", "worker", "scheduler"])
def test_a_role_needs_redis(environ: str, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([role]) == 2
    assert "TRACKLAYER_REDIS_URL is required for this role" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["api", "api --processes 2", "worker", "scheduler"])
def test_all_that_a_role_lacks_is_told_at_once(role: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(role.split()) == 2
    lacking = re.findall(r"^  (\w+) is required for this role; ", capsys.readouterr().err, re.MULTILINE)
    assert lacking == ["TRACKLAYER_DATABASE_URL", "TRACKLAYER_REDIS_URL", "TRACKLAYER_SECRET_KEY"]


def test_a_database_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    assert main(["migrate"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("tracklayer: the database cannot be reached")
    assert "hunter2" not in message
    assert "Traceback" not in message


@pytest.mark.parametrize("command", ["merchant list", "doctor", "migrate", "up"])
@pytest.mark.parametrize("closed", ["", "pg"])
def test_a_data_directory_of_another_user_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, closed: str
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRACKLAYER_PORT", str(free_port()))
    (tmp_path / "data" / "pg").mkdir(parents=True)
    folder = tmp_path / "data" / closed
    folder.chmod(0)
    try:
        with as_others_have_them(), handlers_kept():
            assert main(command.split()) == 1
    finally:
        folder.chmod(0o700)
    shown = capsys.readouterr()
    told = shown.out.splitlines()[1] if command == "doctor" else shown.err
    assert re.match(rf"(tracklayer: |FAULT  database    )cannot (read|make|use|write in) {tmp_path}/data", told)
    advice = "run it as the user that runs TrackLayer, or set TRACKLAYER_DATA_DIR to a directory of yours"
    assert told.rstrip().endswith(f": Permission denied: {advice}")
    assert shown.err.count("\n") == (0 if command == "doctor" else 1)


def test_a_file_that_is_closed_to_us_is_one_sentence_wherever_it_is_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(tmp_path / "closed" / "data"))
    (tmp_path / "closed").mkdir(mode=0)
    with socket.create_server(("127.0.0.1", 0)) as other, as_others_have_them(), handlers_kept():
        assert main(["up", "--port", str(other.getsockname()[1])]) == 1
    (tmp_path / "closed").chmod(0o700)
    assert capsys.readouterr().err == f"tracklayer: cannot use {tmp_path}/closed/data: Permission denied\n"


def test_a_key_that_is_closed_to_us_or_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("a-key")
    (tmp_path / "secret_key").chmod(0)
    with (
        as_others_have_them(),
        pytest.raises(CommandError, match=r"cannot read .*/secret_key: Permission denied: run it"),
    ):
        generated_secret(tmp_path)
    (tmp_path / "secret_key").unlink()
    tmp_path.chmod(0o500)
    with (
        as_others_have_them(),
        pytest.raises(CommandError, match=r"cannot make .*/secret_key: Permission denied: run it"),
    ):
        generated_secret(tmp_path)
    tmp_path.chmod(0o700)
    with disk_of("16k", tmp_path / "full") as disk:
        with suppress(OSError):
            (disk / "ballast").write_bytes(bytes(2**16))
        with pytest.raises(CommandError, match=r"cannot write .*/secret_key: No space left on device"):
            generated_secret(disk)
        assert not (disk / "secret_key").exists(), "a part of a key were taken for one"


def test_a_data_directory_that_nobody_can_find_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", "~nobody-has-this-name/data")
    assert main(["merchant", "list"]) == 1
    assert "there is no home directory for TRACKLAYER_DATA_DIR=~nobody-has-this-name/data" in capsys.readouterr().err
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(tmp_path / "loop"))
    assert main(["merchant", "list"]) == 1
    assert capsys.readouterr().err.startswith(f"tracklayer: there is no installation in {tmp_path}/loop: ")
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", ".tracklayer")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["merchant", "list"]) == 1
    assert capsys.readouterr().err.startswith("tracklayer: the directory that you stand in is gone: ")


def test_a_file_in_the_place_of_the_data_directory_is_one_sentence_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(tmp_path / place))
        with handlers_kept():
            assert main(["up", "--port", str(free_port())]) == 1
        said = capsys.readouterr().err
        assert said.startswith("tracklayer: cannot ")
        assert said.endswith("a file stands in the way; set TRACKLAYER_DATA_DIR to a directory\n")


def test_up_on_a_full_disk_names_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk_of("16k", tmp_path / "full") as disk:
        with suppress(OSError):
            (disk / "ballast").write_bytes(bytes(2**16))
        monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(disk))
        with handlers_kept():
            assert main(["up", "--port", str(free_port())]) == 1
    assert capsys.readouterr().err == f"tracklayer: cannot write in {disk}: No space left on device: make room there\n"


def test_migrate_tells_what_it_did(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--check"]) == 0
    assert main(["migrate", "--json"]) == 0
    assert '"applied": []' in capsys.readouterr().out


@pytest.fixture
def bare(postgres: str) -> Iterator[str]:
    """The URL of a database without a table."""
    with closing(psycopg2.connect(postgres)) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        cursor.execute("CREATE DATABASE bare")
        yield url_of(postgres, "bare")
        cursor.execute("DROP DATABASE bare WITH (FORCE)")


@pytest.mark.parametrize("role", ["api", "worker", "scheduler"])
def test_a_role_on_a_database_without_tables_says_one_sentence(bare: str, redis_url: str, role: str) -> None:
    environ = {
        "TRACKLAYER_DATABASE_URL": bare,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_PORT": str(free_port()),
    }
    with running(role, environ=environ) as process:
        wait_until(lambda: not process.is_running(), "it to refuse")
        assert process.stop() == 1
        lacks = f"{len(list(MIGRATIONS.glob('0*.py')))} migrations"
        says = f"the database is older than this version, and lacks {lacks}: run `tracklayer migrate`"
        assert [line.partition("tracklayer: ")[2] for line in process.output().splitlines()] == [says]


def create(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, str]:
    assert main(["merchant", "create", "--name", "Shop", "--json", *args]) == 0
    made: dict[str, str] = orjson.loads(capsys.readouterr().out)
    return made


def test_a_link_signs_in_once(environ: str, runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    merchant_id = create(capsys)["merchant_id"]
    assert main(["sign-in"]) == 0
    link, blank, told = capsys.readouterr().out.splitlines()
    assert blank == ""
    assert "once and within 15 minutes" in told
    address, _, code = link.partition("/#code=")
    assert (address, len(code)) == ("http://127.0.0.1:8000", 43)
    connection.connect(environ)
    # The command keeps the time of the machine, the tests' own is elsewhere.
    now = Runtime(runtime.settings, environ, runtime.sealer, SystemClock())
    begun = sign_in_with_code(now, code)
    assert begun is not None
    assert str(begun[1].merchant_id) == merchant_id
    assert sign_in_with_code(now, code) is None


def test_a_link_can_be_had_as_json_for_a_merchant_and_a_port(
    environ: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = create(capsys)["merchant_id"], create(capsys)["merchant_id"]
    assert main(["sign-in", "--json"]) == 2  # whose?
    assert "--merchant" in capsys.readouterr().err
    assert main(["sign-in", "--merchant", second, "--port", "8123", "--json"]) == 0
    told = orjson.loads(capsys.readouterr().out)
    assert set(told) == {"merchant_id", "url", "expires_at"}
    assert told["merchant_id"] == second
    assert told["url"].startswith("http://127.0.0.1:8123/#code=")
    monkeypatch.setenv("TRACKLAYER_PUBLIC_URL", "https://tl.example.com/")
    assert main(["sign-in", "--merchant", first, "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["url"].startswith("https://tl.example.com/#code=")
    monkeypatch.setenv("TRACKLAYER_PUBLIC_URL", "http://0.0.0.0:8000")  # as it is unset in a container
    assert main(["sign-in", "--merchant", first, "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["url"].startswith("http://localhost:8000/#code=")
    for wrong, status in (("99", 1), ("nonsense", 2)):
        assert main(["sign-in", "--merchant", wrong]) == status
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_link_to_the_default_merchant_among_several_says_whose_it_is(
    environ: str, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.connect(environ)
    merchant_id, _ = ensure_default_merchant(runtime)
    assert main(["sign-in"]) == 0
    assert capsys.readouterr().err == ""
    create(capsys)
    assert main(["sign-in", "--json"]) == 0
    told = capsys.readouterr()
    assert orjson.loads(told.out)["merchant_id"] == str(merchant_id)
    says = f"It is of merchant {merchant_id}, which `tracklayer up` made: --merchant ID is for another.\n"
    assert told.err == says


def test_json_is_utf_8_whatever_the_locale_is(environ: str) -> None:
    command = [sys.executable, "-m", "tracklayer", "merchant"]
    elsewhere = {**os.environ, "PYTHONIOENCODING": "ascii"}
    subprocess.run([*command, "create", "--name", "Café 日本"], env=elsewhere, check=True, capture_output=True)
    told = subprocess.run([*command, "show", "--json"], env=elsewhere, check=True, capture_output=True).stdout
    assert orjson.loads(told)["name"] == "Café 日本"


def test_a_merchant_is_created_with_its_key(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = create(capsys, "--retention-days", "30", "--no-hashing", "--alert-email", "ops@example.com")
    assert set(made) == {"merchant_id", "api_key"}
    connection.connect(environ)
    with in_transaction():
        found = rows("SELECT merchant_id, retention_days, hash_user_data, alert_emails FROM merchants")
        stored = rows("SELECT m::text || k::text FROM merchants m, api_keys k")[0][0]
    assert found == [(int(made["merchant_id"]), 30, False, ["ops@example.com"])]
    assert made["api_key"] not in stored
    assert main(["merchant", "create", "--name", "x", "--alert-email", "nonsense"]) == 2
    assert "alert address" in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["merchant", "create", "--name", "a\x00b"], id="a name with NUL"),
        pytest.param(["merchant", "create", "--name", "caf\udce9"], id="a name in bytes that are no UTF-8"),
        pytest.param(["merchant", "create", "--name", "\u202eb"], id="a name that turns around what follows"),
        pytest.param(["merchant", "create", "--name", " "], id="a blank name"),
        pytest.param(
            ["merchant", "create", "--name", "x", "--alert-email", "a\x00@example.com"], id="an address with NUL"
        ),
        pytest.param(["import", "--merchant", "9" * 40, "FILE"], id="a merchant's id beyond all numbers"),
        pytest.param(["import", "--merchant", "²", "FILE"], id="a merchant's id that only looks like a number"),
    ],
)
def test_hostile_arguments_are_one_sentence(
    environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    file = write(tmp_path / "FILE", [])
    assert main([file if word == "FILE" else word for word in args]) == 2
    told = capsys.readouterr().err
    assert told.startswith("tracklayer: ")
    assert told.count("\n") == 1
    with in_transaction():
        assert rows("SELECT count(*) FROM merchants") == [(0,)]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param(
            "schema > /dev/full", "tracklayer: cannot write any further: No space left on device\n", id="much"
        ),
        pytest.param(
            "--help > /dev/full", "tracklayer: cannot write any further: No space left on device\n", id="help"
        ),
        pytest.param("schema --help | true", "", id="nobody reads the help"),
        pytest.param("normalize <&-", "", id="nothing to read"),
        pytest.param(
            "preview --platform meta event.json > /dev/full",
            "tracklayer: cannot write any further: No space left on device\n",
            id="little",
        ),
        pytest.param(
            "preview --platform meta - <&-",
            "tracklayer: event - is not JSON: line 1, column 1: Input is a zero-length, empty document\n",
            id="closed",
        ),
        pytest.param("preview --platform meta event.json >&-", "", id="nowhere to print"),
        pytest.param("preview --platform meta event.json | true", "", id="nobody reads"),
    ],
)
def test_what_cannot_be_read_or_printed_is_one_sentence(tmp_path: Path, command: str, told: str) -> None:
    write(tmp_path / "event.json", PURCHASE)
    shell = f'tracklayer() {{ "{sys.executable}" -m tracklayer "$@"; }}; tracklayer {command}'
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == told


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"5", id="a number"),
        pytest.param(b'"x"', id="text"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[" * 5000, id="no JSON"),
        pytest.param(b'{"pixel_id": "1\\u0000", "access_token": "x"}', id="NUL"),
        pytest.param(b'{"pixel_id": 1e999, "access_token": "x"}', id="a number beyond all numbers"),
        pytest.param(b'{"pixel_id": {"a": [1]}, "access_token": ["x"]}', id="nested values"),
        pytest.param(b'{"\\u0000": 1, "": 2, "' + b"x" * 5000 + b'": 3}', id="names of nothing"),
    ],
)
def test_hostile_settings_are_told_in_sentences(
    environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: bytes
) -> None:
    main(["merchant", "create", "--name", "Shop"])
    path = write(tmp_path / "settings.json", settings)
    assert main(["destination", "set", "--merchant", "1", "--platform", "meta", "--settings", path]) == 1
    assert capsys.readouterr().err.startswith("tracklayer: ")
    with in_transaction():
        assert rows("SELECT count(*) FROM destinations") == [(0,)]


def test_a_backtest_prints_what_would_have_been_raised(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    merchant = create(capsys)["merchant_id"]
    connection.connect(environ)
    with in_transaction():
        # Once a minute for ten days, and nothing for the last hour.
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', minute, 0, 1 "
            "FROM generate_series(date_trunc('minute', now()) - interval '10 days', now() - interval '1 hour', "
            "interval '1 minute') AS minute",
            (merchant,),
        )
    connection.disconnect()
    assert main(["monitors", "backtest", "--days", "1", "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert (found["merchant_id"], found["kind"], found["resolved_at"]) == (merchant, "tracking_stopped", None)
    assert main(["monitors", "backtest", "--days", "1", "--merchant", merchant]) == 0
    told = capsys.readouterr()
    assert "Left out, as their counters are not kept for so long: events_rejected, match_quality_drop, " in told.err
    lines = told.out.splitlines()
    assert "still open UTC  critical tracking_stopped  No event for" in lines[0]
    assert lines[1] == "1 alert of 1 merchant in 1 day"
    assert main(["monitors", "backtest", "--merchant", "999"]) == 1
    assert capsys.readouterr().err == "tracklayer: there is no merchant 999\n"


def test_a_destination_is_checked_against_the_last_events(
    environ: str, runtime: Runtime, merchant: Merchant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.clock = SystemClock()
    now = runtime.clock.now().isoformat()
    for n in range(2):
        page = draft(f"page_{n}", event_name="PageView", event_source_url=None, occurred_at=now)
        ingest_events(runtime, merchant.holder, [page])
    ingest_events(runtime, merchant.holder, [draft("order", occurred_at=now)])
    path = write(tmp_path / "microsoft.json", example_settings(mapper_for("microsoft_ads")))
    command = f"destination set --merchant {merchant.merchant_id} --platform microsoft_ads --settings {path}".split()
    assert main(command) == 0
    refused = "2 INVALID_FIELD (event_source_url), such as page_1"
    assert capsys.readouterr().out.splitlines()[1:] == [f"Of the last 3 events it would get 1. Refused: {refused}."]
    assert main([*command, "--json"]) == 0
    group = {"reason": "INVALID_FIELD", "count": 2, "field": "event_source_url", "example_event_id": "page_1"}
    found = orjson.loads(capsys.readouterr().out)["check"]
    assert found == {"events": 3, "would_send": 1, "refused": [group], "no_place": {}, "warnings": []}


def test_a_destination_that_is_set_is_told_as_it_is_listed(
    environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merchant = create(capsys)["merchant_id"]
    path = write(tmp_path / "meta.json", {"pixel_id": "2468013579246801", "access_token": "EAAB1234567890abcd"})
    of_one = ["--merchant", merchant, "--json"]
    command = ["destination", "set", *of_one, "--platform", "meta"]
    for more, names in (
        (["--settings", path, "--event-name", "Purchase", "--event-name", "Lead"], ["Purchase", "Lead"]),
        ([], ["Purchase", "Lead"]),
        (["--every-event"], None),
    ):
        assert main([*command, *more]) == 0
        told = orjson.loads(capsys.readouterr().out)
        assert told["destination"]["event_names"] == names
        assert main(["destination", "list", *of_one]) == 0
        assert orjson.loads(capsys.readouterr().out) == {"destinations": [told["destination"]]}
        assert (told["merchant_id"], told["platform"]) == (merchant, "meta")
        assert told["settings"] == told["destination"]["settings"]


def test_invented_settings_are_told_at_once(environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merchant = create(capsys)["merchant_id"]
    path = write(tmp_path / "meta.json", example_settings(mapper_for("meta")))
    command = ["destination", "set", "--merchant", merchant, "--platform", "meta", "--settings", path]
    assert main(command) == 0
    assert capsys.readouterr().err.startswith("These are invented settings, as `tracklayer up --sandbox` has them")
    write(tmp_path / "meta.json", {"pixel_id": "2468013579246801"})
    assert main(command) == 0
    assert capsys.readouterr().err == ""


def test_each_wrong_setting_is_named(environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merchant = create(capsys)["merchant_id"]
    settings = {"pixel_id": "1234567890", "access_token": "EAAB1234567890abcd", "acess_token": "x", "shade": "red"}
    path = write(tmp_path / "meta.json", settings)
    assert main(["destination", "set", "--merchant", merchant, "--platform", "meta", "--settings", path]) == 1
    message = capsys.readouterr().err
    assert "settings.acess_token: This is not a setting of Meta, did you mean access_token?" in message
    assert "settings.shade: This is not a setting of Meta: it takes pixel_id, access_token" in message


def test_a_secret_in_the_place_of_a_settings_name_is_not_printed(
    environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merchant = create(capsys)["merchant_id"]
    secret = "EAAGcanaryTokenValue1234567890abcdef"
    path = write(tmp_path / "meta.json", {secret: "access_token", "pixel_id": "1234567890"})
    assert main(["destination", "set", "--merchant", merchant, "--platform", "meta", "--settings", path]) == 1
    assert main(["preview", "--platform", "meta", "--settings", path, write(tmp_path / "event.json", draft())]) == 1
    printed = "".join(capsys.readouterr())
    assert "settings.(a key): This is not a setting of Meta: it takes pixel_id, access_token" in printed
    assert secret not in printed


def test_a_destination_is_set_from_a_file(environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merchant = create(capsys)["merchant_id"]
    path = write(tmp_path / "meta.json", {"pixel_id": "1234567890", "access_token": "EAAB1234567890abcd"})
    command = ["destination", "set", "--merchant", merchant, "--platform", "meta", "--settings", path]
    assert main([*command, "--event-name", "Purchase", "--event-name", "Lead", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["settings"] == {"pixel_id": "1234567890", "access_token": "••••abcd"}
    write(tmp_path / "meta.json", {"pixel_id": "abc"})
    assert main(command) == 1
    message = capsys.readouterr().err
    assert message.startswith("tracklayer: settings.pixel_id: ")
    assert "access_token" not in message  # it was set before, and stays
    write(tmp_path / "meta.json", {"access_token": "EAAB1234567890wxyz", "default_country": "DE"})
    assert main(command) == 0
    nothing = "There are no events of the last 7 days to check it against.\n"
    assert capsys.readouterr().out == f"meta is set for merchant {merchant}: Purchase, Lead\n{nothing}"
    write(tmp_path / "meta.json", {"default_country": None})
    assert main([*command, "--every-event", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["settings"] == {"pixel_id": "1234567890", "access_token": "••••wxyz"}
    assert main(command) == 0
    assert capsys.readouterr().out == f"meta is set for merchant {merchant}: every event\n{nothing}"
    assert main([*command[:3], "999", *command[4:]]) == 1
    assert capsys.readouterr().err == "tracklayer: there is no merchant 999\n"
    assert main([*command[:-1], str(tmp_path / "none.json")]) == 1
    assert "cannot read settings" in capsys.readouterr().err


def test_an_import_reports_bad_lines_and_stores_the_rest(
    environ: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merchant = create(capsys)["merchant_id"]
    events = [draft(f"order_{n}", occurred_at="2026-11-20T14:00:00Z") for n in range(1200)]
    lines = [orjson.dumps(event) for event in events]
    lines[3] = b"{not json"
    lines[700] = orjson.dumps(draft("x", occurred_at="never"))
    path = write(tmp_path / "events.jsonl", b"\n".join([*lines, b"", lines[0]]))
    assert main(["import", "--merchant", merchant, path, "--json"]) == 1
    shown = capsys.readouterr()
    assert orjson.loads(shown.out) == {"accepted": 1198, "coalesced": 1, "rejected": 2}
    assert "line 4: This line is not JSON: column 2: unexpected character, expected a string key." in shown.err
    assert "line 701: occurred_at must be a date and time of RFC 3339 or ISO 8601" in shown.err
    path = write(tmp_path / "events.jsonl", b"\n".join(lines[:3]))
    assert main(["import", "--merchant", merchant, path]) == 0
    said = r"0 accepted, 3 coalesced, 0 rejected in \d+\.\d s \(\d[\d,]* events/s\)\n"
    assert re.fullmatch(said, capsys.readouterr().out)


def test_preview_prints_the_request_without_a_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = write(tmp_path / "event.json", PURCHASE)
    settings = write(tmp_path / "meta.json", {"pixel_id": "1234567890", "access_token": "the-secret-token"})
    assert main(["preview", "--platform", "meta", "--settings", settings, "--now", NOW, event]) == 0
    output = capsys.readouterr().out
    shown = orjson.loads(output)
    assert set(shown) == {"request", "verdicts"}
    assert shown["request"]["method"] == "POST"
    assert shown["request"]["url"] == "https://graph.facebook.com/v26.0/1234567890/events"
    assert "the-secret-token" not in output
    user_data = shown["request"]["body"]["data"][0]["user_data"]
    assert set(user_data) == {"em", "ph", "client_ip_address", "client_user_agent", "fbp", "fbc"}
    assert {verdict["field"] for verdict in shown["verdicts"] if not verdict["ok"]} == {"event_source_url"}


def test_preview_says_why_an_event_would_not_be_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = write(tmp_path / "event.json", PURCHASE)
    assert main(["preview", "--platform", "meta", "--now", "2026-11-20T15:00:00Z", event]) == 1
    assert orjson.loads(capsys.readouterr().out)["refused"] == "EVENT_TOO_OLD"
    event = write(tmp_path / "event.json", {**PURCHASE, "event_id": ""})
    assert main(["preview", "--platform", "meta", event]) == 1
    assert orjson.loads(capsys.readouterr().out)["refused"] == "INVALID_EVENT"


def test_preview_takes_a_batch_and_answers_in_order(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    settings = {"pixel_id": "1234567890", "access_token": "x"}
    type_in(
        monkeypatch,
        {"platform": "meta", "settings": settings, "event": PURCHASE, "now": NOW},
        {"platform": "meta", "settings": settings, "event": PURCHASE, "now": "2026-11-20T00:00:00Z"},
        b"{",
        {"platform": "none", "event": {}},
    )
    assert main(["preview", "--batch"]) == 1
    shown = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [answer.get("refused") for answer in shown] == [None, "EVENT_TOO_OLD", "INVALID_LINE", "INVALID_LINE"]
    assert shown[0]["request"]["body"]["data"][0]["event_id"] == "order_12345"


def test_preview_keeps_the_digits_of_an_id_that_is_a_number(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    settings = {"pixel_id": "1234567890", "access_token": "x"}
    custom = {**PURCHASE["custom_data"], "order_id": 2**64 + 1, "contents": [{"id": 4711}]}
    line = json.dumps(
        {"platform": "meta", "settings": settings, "event": {**PURCHASE, "custom_data": custom}, "now": NOW}
    )
    type_in(monkeypatch, line.encode())
    assert main(["preview", "--batch"]) == 0
    sent = orjson.loads(capfdbinary.readouterr().out)["request"]["body"]["data"][0]["custom_data"]
    assert (sent["order_id"], [one["id"] for one in sent["contents"]]) == ("18446744073709551617", ["4711"])


@pytest.mark.parametrize(
    ("platform", "person", "told"),
    [
        pytest.param("meta", {"client_user_agent": "x" * 2049}, ["identifier_malformed"], id="too long"),
        pytest.param("meta", {"client_user_agent": "x" * 2048}, [], id="as long as it may be"),
        pytest.param("meta", {"client_user_agent": 1.5}, ["identifier_malformed"], id="no text"),
        pytest.param("meta", {"client_user_agent": "undefined"}, ["identifier_placeholder"], id="nothing"),
        pytest.param("linkedin", {"client_user_agent": "x" * 2049}, [], id="what the platform has no place for"),
    ],
)
def test_preview_says_what_an_event_was_taken_without(
    platform: str,
    person: dict[str, Any],
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    settings = example_settings(mapper_for(platform))
    event = {**PURCHASE, "user_data": {"email": "jane@example.com", **person}}
    type_in(monkeypatch, {"platform": platform, "settings": settings, "event": event, "now": NOW})
    assert main(["preview", "--batch"]) == 0
    found = orjson.loads(capfdbinary.readouterr().out)
    assert "request" in found
    said = [one for one in found["verdicts"] if one["rule"].startswith("identifier_")]
    assert [(one["rule"], one["field"], one["ok"]) for one in said] == [
        (rule, "user_data.client_user_agent", False) for rule in told
    ]


def test_normalize_shows_what_a_platform_would_get(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = [
        {"platform": "meta", "field": "email", "value": "Jane.Doe+News@Gmail.com"},
        {"platform": "meta", "field": "phone", "value": "(650)555-1212", "settings": {"default_country": "US"}},
        {"platform": "meta", "field": "phone", "value": "(650)555-1212"},
        {"platform": "meta", "field": "ttclid", "value": "x"},
        {"platform": "meta", "field": "client_ip", "value": " 203.0.113.42 "},
    ]
    type_in(monkeypatch, *given)
    assert main(["normalize"]) == 0
    shown = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [{name: value for name, value in line.items() if name != "out"} for line in shown] == given
    assert [line["out"] for line in shown] == [
        "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a",
        "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        None,
        None,
        "203.0.113.42",
    ]


def test_normalize_answers_a_wrong_line_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    right = {"platform": "meta", "field": "client_ip", "value": "203.0.113.42"}
    wrong: list[dict[str, Any]] = [
        {"platform": "meta", "field": "email"},
        {"platform": "meta", "field": "email", "value": None},
        {"platform": "meta", "field": "phone", "value": 16505551212},
        {"platform": "metta", "field": "email", "value": "jane@example.com"},
        {"platform": "meta", "field": "emial", "value": "jane@example.com"},
        {"platform": "meta", "field": "user_data.email", "value": "jane@example.com"},
        {"platform": "meta", "field": "email", "value": "jane@example.com", "settings": 1},
        {"platform": "meta", "field": "phone", "value": "6505551212", "settings": {"default_country": 1}},
    ]
    type_in(monkeypatch, *wrong, b"{", b"1", {**right, "more": None}, right)
    assert main(["normalize"]) == 1
    caught = capfdbinary.readouterr()
    assert caught.err == b""
    shown = [orjson.loads(line) for line in caught.out.splitlines()]
    names = ", ".join(USER_FIELDS)
    all_text = "must be an object of platform, field and value, all text: value is not"
    errors = [
        f"line 1: {all_text}",
        f"line 2: {all_text}",
        f"line 3: {all_text}",
        f"line 4: platform must be one of {', '.join(PLATFORMS)}",
        f"line 5: 'emial' is not a field, perhaps email: field must be one of {names}",
        f"line 6: 'user_data.email' is not a field, perhaps email: field must be one of {names}",
        "line 7: settings must be an object",
        "line 8: settings.default_country must be text",
        "line 9: is not JSON: column 2: unexpected end of data",
        "line 10: must be an object of platform, field and value",
    ]
    assert shown == [
        *({**line, "out": None, "error": error} for line, error in zip([*wrong, {}, {}], errors, strict=True)),
        {**right, "more": None, "out": "203.0.113.42"},
        {**right, "out": "203.0.113.42"},
    ]


def test_normalize_has_null_for_a_field_that_a_platform_does_not_take(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = [
        {"platform": platform, "field": field, "value": "?"} for platform in PLATFORMS for field in ("value", "model")
    ]
    type_in(monkeypatch, *given)
    assert main(["normalize"]) == 0
    shown = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert shown == [{**line, "out": None} for line in given]


def test_the_bench_tells_a_rate_for_every_platform(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "map", "--events", "5", "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert [figures["platform"] for figures in found] == list(PLATFORMS)
    assert all(figures[name] > 0 for figures in found for name in ("json", "mapped", "batch", "batch_to_json"))


SDK = {
    "": "__version__ = '26.0.0'",
    "adobjects": "",
    "adobjects.serverside": "",
    "adobjects.serverside.action_source": "class ActionSource:\n    WEBSITE = 'website'",
    "adobjects.serverside.custom_data": "CustomData = dict",
    "adobjects.serverside.user_data": "UserData = dict",
    "adobjects.serverside.event": "class Event(dict):\n    def normalize(self):\n        return self",
}


@pytest.fixture
def with_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Puts modules of that source where another interpreter looks for Meta's SDK."""

    def put(modules: dict[str, str]) -> None:
        for name, source in modules.items():
            folder = (
                tmp_path.joinpath("facebook_business", *name.split(".")) if name else tmp_path / "facebook_business"
            )
            folder.mkdir(exist_ok=True)
            folder.joinpath("__init__.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return put


def test_the_bench_tells_what_the_sdk_of_meta_makes_of_the_same_event(
    with_sdk: Callable[[dict[str, str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_sdk(SDK)
    assert main(["bench", "map", "--events", "5", "--json", "--sdk-python", sys.executable]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert [figures["platform"] for figures in found if figures["sdk"] is not None] == ["meta"]
    (measured,) = [figures for figures in found if figures["sdk"] is not None]
    assert measured["batch_to_sdk"] == pytest.approx(measured["batch"] / measured["sdk"])
    assert main(["bench", "map", "--events", "5"]) == 0
    assert "Meta's own SDK, facebook-business: 26.0.0\n" in capsys.readouterr().out


def test_the_bench_says_where_the_sdk_of_meta_is_missing(
    with_sdk: Callable[[dict[str, str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_sdk({"": "raise ImportError"})
    assert main(["bench", "map", "--events", "5"]) == 0
    assert "facebook-business: not here: pip install facebook-business" in capsys.readouterr().out
    assert main(["bench", "map", "--events", "5", "--sdk-python", "/nowhere/python"]) != 0
    assert "--sdk-python must name a Python that can be run" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema.as_str() + "\n"


def test_doctor_finds_everything_in_order(
    environ: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLAYER_REDIS_URL", redis_url)
    assert main(["doctor", "--json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert [finding["check"] for finding in found["findings"]] == [
        "settings",
        "database",
        "migrations",
        "secret key",
        "durability",
        "log",
        "connections",
        "roles",
        "clock",
        "redis",
        "mail",
    ]


def test_addresses_for_alerts_without_a_mail_server_are_a_fault_and_warned_of(
    environ: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRACKLAYER_SMTP_URL", raising=False)
    assert main(["merchant", "create", "--name", "Shop", "--alert-email", "ops@shop.example"]) == 0
    assert "Nobody gets an e-mail as yet: no mail server is set here." in capsys.readouterr().err
    assert main(["merchant", "create", "--name", "Other"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["doctor"]) == 1
    assert "1 merchant has addresses for alerts, and no mail server is set: nobody gets one" in capsys.readouterr().out


def test_doctor_names_each_fault(
    environ: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with RedisServer() as gone:
        pass
    monkeypatch.setenv("TRACKLAYER_REDIS_URL", gone.url)
    monkeypatch.setenv("TRACKLAYER_SMTP_URL", "smtp://user:hunter2@127.0.0.1:1")
    assert main(["doctor"]) == 1
    output = capsys.readouterr().out
    assert "FAULT  redis       does not answer (ConnectionError)" in output
    assert "FAULT  mail        127.0.0.1 takes no mail (ConnectionRefusedError)" in output
    assert "hunter2" not in output


def test_doctor_says_where_what_listens_is_not_redis(
    environ: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Web(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Web) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            monkeypatch.setenv("TRACKLAYER_REDIS_URL", f"redis://127.0.0.1:{web.server_address[1]}")
            assert main(["doctor"]) == 1
        finally:
            web.shutdown()
            thread.join()
    told = "what listens there is not Redis: check the host and the port in TRACKLAYER_REDIS_URL\n"
    assert f"FAULT  redis       {told}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (fill, "is full and takes no messages: raise its maxmemory, or take away what else is kept there"),
        (make_read_only, "is a read-only replica: let TRACKLAYER_REDIS_URL name its primary"),
        (
            refuse_scripts,
            "refuses what messages need (NoPermissionError): allow SET, DEL, EVAL, EVALSHA and SCRIPT on tracklayer:*",
        ),
    ],
)
def test_doctor_finds_a_redis_that_answers_and_takes_nothing(
    begin: Callable[[redis.Redis], None],
    said: str,
    environ: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with RedisServer() as server, closing(redis.Redis.from_url(server.url)) as client:
        begin(client)
        monkeypatch.setenv("TRACKLAYER_REDIS_URL", server.url)
        assert main(["doctor"]) == 1
    assert f"FAULT  redis       {said}\n" in capsys.readouterr().out


def beats_of(*roles: tuple[str, str], says: str = "{}") -> None:
    """(role, how long ago it was heard of last); all have run for an hour."""
    with connection.session():
        for role, age in roles:
            execute(
                "INSERT INTO heartbeats (instance, role, host, version, started_at, beat_at, says) VALUES (%s, %s, 'host-a', "
                "'1', clock_timestamp() - interval '1 h', clock_timestamp() - %s::interval, %s::jsonb)",
                (role, role, age, says),
            )


def jobs_began(ago: str) -> None:
    with connection.session():
        for name in ("sweep", "monitor", "fold", "purge"):
            execute(
                "INSERT INTO periodic_jobs (name, next_run_at, begun_at) "
                "VALUES (%s, clock_timestamp(), clock_timestamp() - %s::interval)",
                (name, ago),
            )


ALL = (("api", "3 s"), ("worker", "3 s"), ("scheduler", "3 s"))


@pytest.mark.parametrize(
    ("beats", "says", "ago", "status", "line"),
    [
        pytest.param(ALL, "{}", "1 s", 0, "ok     roles       alive: 1 api, 1 worker, 1 scheduler", id="well"),
        pytest.param(ALL[:1], "{}", "10 min", 1, "FAULT  roles       No worker is running. ", id="an API alone"),
        pytest.param(
            (*ALL[:2], ("scheduler", "10 min")), "{}", "1 s", 1, "FAULT  roles       No scheduler is", id="scheduler"
        ),
        pytest.param(ALL, '{"broker": "full", "broker_seconds": 60}', "1 s", 1, "FAULT  redis       Redis takes no", id="Redis"),
        pytest.param(ALL, "{}", "10 min", 1, "FAULT  jobs        Sweep, monitor, fold and purge do not run", id="jobs"),
        pytest.param(ALL, '{"sandbox": 2}', "1 s", 1, "FAULT  sandbox     TRACKLAYER_SANDBOX_URL is set beside 2", id="sandbox"),
        pytest.param(ALL, '{"invented": 2}', "1 s", 0, "ok     sandbox     2 destinations have the invented", id="warning"),
    ],
)  # fmt: skip
def test_doctor_names_each_role_that_is_missing_and_what_the_others_say(
    environ: str,
    capsys: pytest.CaptureFixture[str],
    beats: tuple[tuple[str, str], ...],
    says: str,
    ago: str,
    status: int,
    line: str,
) -> None:
    beats_of(*beats, says=says)
    jobs_began(ago)
    assert main(["doctor"]) == status
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("says", ['{"sandbox": 1}', "{}"])
@pytest.mark.parametrize("is_set_here", [True, False])
def test_doctor_has_one_line_on_the_sandbox_whoever_has_it_set(
    environ: str,
    runtime: Runtime,
    merchant: Merchant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    says: str,
    is_set_here: bool,
) -> None:
    if is_set_here:
        monkeypatch.setenv("TRACKLAYER_SANDBOX_URL", "http://127.0.0.1:9100")
    beats_of(*ALL, says=says)
    jobs_began("1 s")
    is_fault = is_set_here or says != "{}"
    assert main(["doctor"]) == int(is_fault)
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines() if "sandbox " in line]
    assert lines == [["FAULT", "sandbox", "TRACKLAYER_SANDBOX_URL"]] * is_fault


def test_doctor_finds_a_queue_that_nobody_serves(
    environ: str, runtime: Runtime, merchant: Merchant, capsys: pytest.CaptureFixture[str]
) -> None:
    beats_of(*ALL)
    jobs_began("1 s")
    ingest_events(runtime, merchant.holder, [draft()])
    with connection.session():
        execute("UPDATE deliveries SET due_at = clock_timestamp() - interval '10 min'")
        execute("DELETE FROM minutes")
    assert main(["doctor"]) == 1
    assert "FAULT  queue       Deliveries wait at 1 destination of 1 merchant." in capsys.readouterr().out


def test_doctor_finds_that_all_was_stopped_though_something_waits(
    environ: str, runtime: Runtime, merchant: Merchant, capsys: pytest.CaptureFixture[str]
) -> None:
    beats_of(*ALL)
    with connection.session():
        execute("UPDATE heartbeats SET ended_at = beat_at")
    assert main(["doctor"]) == 0
    connection.connect(environ)
    ingest_events(runtime, merchant.holder, [draft()])
    assert main(["doctor"]) == 1
    assert "FAULT  roles       none is running, and 1 delivery waits" in capsys.readouterr().out


def test_doctor_leaves_nothing_in_redis(environ: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer() as server, closing(redis.Redis.from_url(server.url)) as client:
        monkeypatch.setenv("TRACKLAYER_REDIS_URL", server.url)
        assert main(["doctor"]) == 0
        assert client.keys() == []


def test_doctor_counts_the_advice_that_merchants_are_given(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    with in_transaction():
        execute("INSERT INTO merchants (merchant_id, name, created_at) VALUES (7, 'Shop', now())")
        execute(
            "INSERT INTO advice (merchant_id, platform, code, event_name, sentence, next_step, count, since, last_seen_at) "
            "SELECT 7, '', 'value_missing', name, 'x', 'y', 1, now(), now() FROM unnest('{Purchase,Order}'::text[]) AS name"
        )
    assert main(["doctor", "--json"]) == 0
    findings = orjson.loads(capsys.readouterr().out)["findings"]
    assert [found["message"] for found in findings if found["check"] == "advice"] == [
        "given to merchants: VALUE_MISSING to 1; `advice` of a merchant and its destinations says more"
    ]


def test_merchant_collector_shows_and_changes_what_a_shops_pages_may_tell(
    environ: str, merchant: Merchant, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["merchant", "collector", "--merchant", str(merchant.merchant_id), "--json"]
    assert main(command) == 0
    before = orjson.loads(capsys.readouterr().out)
    assert (before["enabled"], before["public_key"], before["snippet"]) == (False, None, None)
    assert main([*command, "--enabled", "--origin", "https://www.shop.example", "--consent-required"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    key = found["public_key"]
    assert found == {
        "merchant_id": str(merchant.merchant_id),
        "enabled": True,
        "origins": ["https://www.shop.example"],
        "cookie_domain": "shop.example",
        "consent_required": True,
        "public_key": key,
        "snippet": f'<script src="https://t.shop.example/tl.js?m={key}" data-consent="required" defer></script>',
    }
    assert main(command) == 0
    assert orjson.loads(capsys.readouterr().out) == found
    assert main([*command[:-1], "--no-enabled"]) == 0
    assert capsys.readouterr().out.startswith("not enabled, for pages of https://www.shop.example\n")
    assert main([*command, "--origin", "shop"]) == 1
    assert capsys.readouterr().err.strip().endswith("without a path, and without a star.")
    assert main(["merchant", "collector", "--merchant", "999"]) == 1
    assert "There is no such merchant." in capsys.readouterr().err


def test_doctor_says_whether_safari_keeps_a_collectors_cookie(
    environ: str,
    runtime: Runtime,
    merchant: Merchant,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: dict[str, list[str]] = {"t.shop.example": ["203.0.113.7"], "www.shop.example": ["203.0.200.1"]}
    monkeypatch.setattr(doctor, "_addresses_of", lambda host: found.get(host, []))
    wish = {"collector": {"enabled": True, "origins": ["https://www.shop.example"]}}
    update_merchant(runtime, merchant.merchant_id, wish)

    def said() -> list[str]:
        assert main(["doctor", "--json"]) == 0
        findings = orjson.loads(capsys.readouterr().out)["findings"]
        return [found["message"] for found in findings if found["check"] == "collector"]

    assert said()[0] == "set TRACKLAYER_COLLECTOR_HOSTS, so that its names serve nothing else"
    monkeypatch.setenv("TRACKLAYER_COLLECTOR_HOSTS", "*")
    host, page = "t.shop.example", "www.shop.example"
    assert said() == [f"{host} shares the first half of an address with {page}: Safari keeps its cookie"]
    found[host] = ["198.51.100.1"]
    assert said()[0].startswith(
        f"{host} shares no first half of an address with {page}, so Safari ends its cookie after 7"
    )
    del found[host]
    assert said()[0].startswith(f"{host} or {page} is not found from here")


def test_doctor_recounts_everything_when_asked(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--invariants"]) == 0
    assert "ok     invariants  nothing is overdue or lost, and the ledger adds up" in capsys.readouterr().out
    assert main(["merchant", "create", "--name", "Shop"]) == 0
    with in_transaction():
        execute("INSERT INTO queues (merchant_id, platform, slot, waiting) VALUES (1, 'meta', 1, 3)")
    capsys.readouterr()
    assert main(["doctor", "--invariants", "--json"]) == 1
    found = orjson.loads(capsys.readouterr().out)
    assert [finding for finding in found["findings"] if not finding["ok"]] == [
        {
            "check": "invariants",
            "ok": False,
            "message": "ledger_queues: merchant 1, meta: 3 deliveries are too many or too few in what is counted as waiting",
        }
    ]


@pytest.fixture
def altered(environ: str) -> Iterator[Callable[[str], None]]:
    """Alters the server or the database; all of it is as before at the end."""

    def alter(sql: str) -> None:
        connection.connect(environ)
        with connection.session():
            execute(sql)
            execute("SELECT pg_reload_conf()")

    yield alter
    alter("ALTER SYSTEM RESET ALL")
    alter("ALTER DATABASE tracklayer RESET ALL")
    alter("ALTER DATABASE tracklayer CONNECTION LIMIT -1")


@pytest.mark.parametrize(
    ("sql", "check", "says"),
    [
        pytest.param("ALTER SYSTEM SET fsync = off", "durability", "fsync is off", id="fsync"),
        pytest.param("ALTER SYSTEM SET full_page_writes = off", "durability", "full_page_writes is off", id="pages"),
        pytest.param(
            "ALTER DATABASE tracklayer SET synchronous_commit = off",
            "durability",
            "synchronous_commit is off: a crash of PostgreSQL loses events that were acknowledged",
            id="synchronous_commit",
        ),
        pytest.param(
            "ALTER DATABASE tracklayer CONNECTION LIMIT 68",
            "connections",
            "68 connections are there for us, and 3 processes may open 69",
            id="too few connections",
        ),
    ],
)
def test_doctor_finds_what_loses_events_though_it_runs(
    altered: Callable[[str], None], sql: str, check: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def faults() -> list[tuple[str, str]]:
        main(["doctor", "--json"])
        found = orjson.loads(capsys.readouterr().out)
        return [(finding["check"], finding["message"]) for finding in found["findings"] if not finding["ok"]]

    altered(sql)
    wait_until(lambda: bool(faults()), "the server to take the setting")
    ((found, message),) = faults()
    assert (found, message[: len(says)]) == (check, says)


@pytest.mark.parametrize(
    ("change", "undo", "says"),
    [
        (
            "DELETE FROM schema_migrations WHERE name = '0016_turns'",
            "INSERT INTO schema_migrations (name, applied) VALUES ('0016_turns', now())",
            "the database is older than this version, and lacks 1 migration: run `tracklayer migrate`",
        ),
        (
            "INSERT INTO schema_migrations (name, applied) VALUES ('9999_later', now())",
            "DELETE FROM schema_migrations WHERE name = '9999_later'",
            "this version is older than the database, which has 9999_later: upgrade to the version that made it so",
        ),
    ],
    ids=["older", "newer"],
)
async def test_which_is_older_the_database_or_the_program_is_told(
    api: Api, environ: str, capsys: pytest.CaptureFixture[str], change: str, undo: str, says: str
) -> None:
    with connection.session():
        execute(change)
    try:
        answer = await api.client.get("/readyz")
        if "lacks" in says:
            assert (answer.status_code, answer.json()["why"], answer.json()["pending"]) == (503, says, ["0016_turns"])
        else:  # it goes on: during an upgrade the new tables serve both
            assert (answer.status_code, answer.json()["warnings"][0]) == (200, says)
        assert main(["merchant", "create", "--name", "Shop"]) == 1
        back = (
            ""
            if "lacks" in says
            else ", or, to go back to this version on purpose, set TRACKLAYER_ALLOW_NEWER_DATABASE=true"
        )
        assert capsys.readouterr().err == f"tracklayer: {says}{back}\n"
        assert main(["doctor"]) == 1
        assert f"FAULT  migrations  {says}" in capsys.readouterr().out
    finally:
        connection.connect(environ)
        with connection.session():
            execute(undo)


def test_an_operator_may_go_back_to_a_version_that_is_older_than_the_database(
    environ: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    says = "this version is older than the database, which has 9999_later"
    with connection.session():
        execute("INSERT INTO schema_migrations (name, applied) VALUES ('9999_later', now())")
    try:
        assert main(["migrate"]) == 1
        assert says in capsys.readouterr().err
        monkeypatch.setenv("TRACKLAYER_ALLOW_NEWER_DATABASE", "true")
        assert main(["migrate"]) == 0
        assert main(["merchant", "create", "--name", "Shop"]) == 0
        assert main(["doctor"]) == 0
        assert f"ok     migrations  {says}" in capsys.readouterr().out
        # What it lacks is not forgiven: its own statements would fail.
        connection.connect(environ)
        with connection.session():
            execute("DELETE FROM schema_migrations WHERE name = '0016_turns'")
        assert main(["merchant", "create", "--name", "Shop"]) == 1
        assert "lacks 1 migration" in capsys.readouterr().err
    finally:
        connection.connect(environ)
        with connection.session():
            execute("DELETE FROM schema_migrations WHERE name IN ('9999_later', '0016_turns')")
            execute("INSERT INTO schema_migrations (name, applied) VALUES ('0016_turns', now())")


def test_doctor_finds_a_read_only_database(
    altered: Callable[[str], None], environ: str, capsys: pytest.CaptureFixture[str]
) -> None:
    altered("ALTER DATABASE tracklayer SET default_transaction_read_only = on")
    try:
        assert main(["doctor"]) == 1
        assert "FAULT  durability  the database is read-only" in capsys.readouterr().out
    finally:
        connection.connect(environ)
        with connection.session():
            execute("SET default_transaction_read_only = off")
            execute("ALTER DATABASE tracklayer RESET default_transaction_read_only")


@pytest.fixture
def plain_role(environ: str) -> Iterator[str]:
    """The URL by which a role comes that is no superuser, and may do what its owner may."""
    with other_session(environ) as own:
        own.autocommit = True
        own.cursor().execute("CREATE ROLE plain LOGIN; GRANT postgres TO plain")
        yield f"{environ}&user=plain"
        own.cursor().execute("DROP ROLE plain")


async def test_a_log_of_postgresql_that_would_show_what_was_sent_is_told_by_doctor_readyz_and_at_the_start(
    api: Api,
    runtime: Runtime,
    environ: str,
    plain_role: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    says = "PostgreSQL's log would hold events, with e-mail addresses and phones where these are not hashed, when a statement fails"

    def told() -> list[str]:
        main(["doctor", "--json"])
        found = [one["message"] for one in orjson.loads(capsys.readouterr().out)["findings"] if not one["ok"]]
        connection.connect(plain_role)
        caplog.clear()
        warn_of_troubles(runtime, runtime.settings)
        return [line for line in [*found, *caplog.messages] if "log" in line]

    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", plain_role)
    try:
        fault, at_the_start = told()
        assert fault.startswith(says)
        assert at_the_start == fault
        assert fault in (await api.client.get("/readyz")).json()["warnings"]
        with other_session(environ) as own:
            own.cursor().execute(
                "ALTER ROLE plain SET log_min_error_statement = 'panic'; ALTER ROLE plain SET log_error_verbosity = 'terse'"
            )
            own.commit()
        connection.disconnect()
        assert told() == []
    finally:
        connection.disconnect()


def test_a_sandbox_that_was_left_set_is_told_by_doctor_and_at_the_start(
    runtime: Runtime,
    merchant: Merchant,
    environ: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "TRACKLAYER_SANDBOX_URL is set: what is meant for 1 destination goes to the emulator, and none of it to a platform"
    sandbox_destinations(runtime, merchant.merchant_id, PLATFORMS)
    told = {"TRACKLAYER_SANDBOX_URL": "http://127.0.0.1:9100", "TRACKLAYER_REDIS_URL": redis_url}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 1
    assert f"FAULT  sandbox     {said}" in capsys.readouterr().out
    given = {"TRACKLAYER_DATABASE_URL": environ, "TRACKLAYER_SECRET_KEY": API_KEY_SECRET, **told}
    with running("scheduler", environ=given) as process:
        wait_until(lambda: said in process.output(), "the scheduler to say so")
        assert process.stop() == 0
    connection.connect(environ)
    remove_destination(runtime, merchant.merchant_id, "meta")
    assert main(["doctor"]) == 0
    assert "ok     sandbox     the platforms' traffic goes to the emulator" in capsys.readouterr().out


def test_the_sandbox_runs_alone() -> None:
    port = free_port()

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
        except httpx.TransportError:
            return False

    with running("sandbox", "--port", str(port), environ={}) as process:
        wait_until(answers, "the sandbox to answer")
        assert process.stop() == 0


def test_a_database_that_is_not_there_is_named_and_no_secret_with_it(
    environ: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = url_of(environ, "no_such_database")
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", missing.replace("postgres:@", "postgres:hunter2@"))
    said = "this database does not exist: create it with `createdb`, or check TRACKLAYER_DATABASE_URL"
    assert main(["migrate"]) == 1
    assert capsys.readouterr().err == f"tracklayer: {said}\n"
    assert main(["doctor"]) == 1
    assert f"FAULT  database    {said}" in capsys.readouterr().out


def test_a_read_only_database_is_named_by_migrate(
    environ: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with connection.session():
        execute("CREATE DATABASE readonly")
        execute("ALTER DATABASE readonly SET default_transaction_read_only = on")
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", url_of(environ, "readonly"))
    try:
        assert main(["migrate"]) == 1
        assert "tracklayer: the database is read-only" in capsys.readouterr().err
    finally:
        connection.connect(environ)
        with connection.session():
            execute("DROP DATABASE readonly")
