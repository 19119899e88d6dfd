"""``tracklayer export``: whole files, each row once, and another installation takes what was written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.factories import API_KEY_SECRET, Merchant, draft, new_merchant
from tests.servers import wait_until
from tracklayer.cli import export as command
from tracklayer.cli import main
from tracklayer.db import connection
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services import export
from tracklayer.services.deliver import deliver_due
from tracklayer.services.ingest import ingest_events

RICH: dict[str, Any] = {
    "action_source": "app",
    "user_data": {
        "email": "Jane.Doe@gmail.com",
        "emails": ["jane@work.example", "jane@home.example"],
        "phone": "+1 650 555 1212",
        "first_name": "Jane",
        "zip": "94025",
        "client_ip": "203.0.113.42",
        "client_user_agent": "Mozilla/5.0",
        "browser_id": "b-123",
        "fbp": "fb.1.1713877200.1234567890",
    },
    "custom_data": {
        "value": 129.990000001,
        "currency": "USD",
        "contents": [{"id": "sku_1", "quantity": 2, "item_price": 64.995}],
        "properties": {"shelf": "7", "weight": 12345678901234567890},
    },
    "device": {"os": "iOS", "os_version": "17.1"},
    "consent": {"ad_user_data": "granted", "limited_data_use": True},
}


@pytest.fixture
def say(environ: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def typed(*words: str, status: int = 0) -> tuple[str, str]:
        assert main(list(words)) == status
        told = capsys.readouterr()
        connection.connect(environ)
        return told.out, told.err

    return typed


def read(directory: Path, kind: str = "events") -> list[Any]:
    """The rows of all files, in their order."""
    return [
        orjson.loads(line)
        for path in sorted(directory.glob(f"{kind}-*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


def test_each_event_is_written_once_newest_first(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    for n in range(3):
        ingest_events(runtime, merchant.holder, [draft(f"order_{n}_{k:03}") for k in range(450)])
        runtime.clock.move(timedelta(minutes=1))  # type: ignore[attr-defined]
    other = new_merchant(runtime)
    ingest_events(runtime, other.holder, [draft("foreign")])
    own = ("--merchant", str(merchant.merchant_id))
    out, _ = say("export", "events", *own, "--to", str(tmp_path), "--rows-per-file", "600", "--json")
    found = orjson.loads(out)
    assert (found["rows"], found["files"], found["complete"]) == (1350, 2, True)
    assert names(tmp_path) == ["events-00001.jsonl", "events-00002.jsonl", "events.state.json"]
    ids = [event["event_id"] for event in read(tmp_path)]
    assert len(set(ids)) == len(ids) == 1350
    assert [event_id[:7] for event_id in ids[::450]] == ["order_2", "order_1", "order_0"]
    assert oct((tmp_path / "events-00001.jsonl").stat().st_mode)[-3:] == "600"
    told, beside = say("export", "events", *own, "--to", str(tmp_path), "--rows-per-file", "600", "--json")
    assert orjson.loads(told) == found  # nothing more to do
    assert beside.startswith("This export was complete: nothing is added to it.")
    some = tmp_path / "some"
    say(
        "export",
        "events",
        *own,
        "--to",
        str(some),
        "--since",
        "2026-11-20T15:01:00Z",
        "--until",
        "2026-11-20T15:02:00Z",
    )
    assert {event["event_id"][:7] for event in read(some)} == {"order_1"}
    assert len(read(some)) == 450


def test_what_is_still_to_come_is_in_no_export(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    """Its end would be noted, the export called complete, and what came until then be missing for ever."""
    ingest_events(runtime, merchant.holder, [draft()])
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    told = say("export", "events", "--to", str(tmp_path), "--until", tomorrow, status=1)[1]
    assert told.startswith("tracklayer: --until lies ahead")
    assert not list(tmp_path.glob("events*"))


@pytest.mark.parametrize("hashing", [True, False])
def test_another_installation_takes_what_was_written(
    say: Callable[..., tuple[str, str]], runtime: Runtime, tmp_path: Path, hashing: bool
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    ingest_events(runtime, merchant.holder, [draft("rich", **RICH), draft("plain")])
    say("export", "events", "--merchant", str(merchant.merchant_id), "--to", str(tmp_path))
    written = {event["event_id"]: event for event in read(tmp_path)}
    assert ("first_name" in written["rich"]["user_data"]) is not hashing  # it is sealed
    assert (written["rich"]["user_data"]["email"] == "Jane.Doe@gmail.com") is not hashing
    other = new_merchant(runtime, hashing=hashing)
    path = str(tmp_path / "events-00001.jsonl")
    say("import", "--merchant", str(other.merchant_id), path)
    columns = "event_id, event_name, occurred_at, action_source, event_source_url, custom_data::text, device::text, consent::text"
    with in_transaction():
        before, after = (
            rows(f"SELECT {columns} FROM events WHERE merchant_id = %s ORDER BY event_id", (one.merchant_id,))
            for one in (merchant, other)
        )
    assert before == after
    again = tmp_path / "again"
    say("export", "events", "--merchant", str(other.merchant_id), "--to", str(again))
    assert {event["event_id"]: event for event in read(again)} == written


def test_deliveries_are_written_with_their_attempts(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, worker: int, tmp_path: Path
) -> None:
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(3)])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    say("export", "deliveries", "--to", str(tmp_path))
    found = read(tmp_path, "deliveries")
    assert [(one["event_id"], one["platform"], one["status"]) for one in found] == [
        (f"order_{n}", "meta", "delivered") for n in (2, 1, 0)
    ]
    assert [entry["outcome"] for entry in found[0]["attempt_log"]] == ["acknowledged"]
    assert set(found[0]) == set(command.COLUMNS["deliveries"])


def test_parquet_has_the_same_rows_with_their_types(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, worker: int, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    ingest_events(runtime, merchant.holder, [draft("rich", **RICH), draft("plain")])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    for kind in ("events", "deliveries"):
        say("export", kind, "--to", str(tmp_path), "--format", "parquet")
        read_back = parquet.read_table(tmp_path / f"{kind}-00001.parquet")
        assert read_back.column_names == list(command.COLUMNS[kind])
        assert read_back.num_rows == 2
        assert str(read_back.schema.field("received_at").type) == "timestamp[us, tz=UTC]"
    events = {one["event_id"]: one for one in parquet.read_table(tmp_path / "events-00001.parquet").to_pylist()}
    assert orjson.loads(events["rich"]["device"]) == RICH["device"]
    assert '"weight": 12345678901234567890' in events["rich"]["custom_data"].replace('":', '": ').replace("  ", " ")
    assert events["plain"]["consent"] is None
    assert (events["plain"]["times_received"], events["plain"]["received_at"]) == (1, runtime.clock.now())


def test_parquet_without_its_library_is_one_sentence(environ: str, merchant: Merchant, tmp_path: Path) -> None:
    blocked = tmp_path / "pyarrow"
    blocked.mkdir()
    blocked.joinpath("__init__.py").write_text("raise ModuleNotFoundError(name='pyarrow')")
    environment = {
        **os.environ,
        "TRACKLAYER_DATABASE_URL": environ,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "PYTHONPATH": str(tmp_path),
    }
    words = [sys.executable, "-m", "tracklayer", "export", "events", "--to", "x", "--format", "parquet"]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        1,
        "tracklayer: --format parquet needs pyarrow: install it by `pip install 'tracklayer[parquet]'`\n",
    )


def test_a_killed_export_leaves_whole_files_and_goes_on(
    environ: str, say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    for part in range(20):
        ingest_events(runtime, merchant.holder, [draft(f"order_{part:02}_{n:03}") for n in range(500)])
        runtime.clock.move(timedelta(seconds=1))  # type: ignore[attr-defined]
    environment = {**os.environ, "TRACKLAYER_DATABASE_URL": environ, "TRACKLAYER_SECRET_KEY": API_KEY_SECRET}
    words = ["export", "events", "--to", str(tmp_path), "--rows-per-file", "500"]
    with subprocess.Popen([sys.executable, "-m", "tracklayer", *words], env=environment) as process:
        wait_until((tmp_path / "events-00002.jsonl").exists, "the second file is there")
        process.send_signal(signal.SIGKILL)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("events-*.jsonl")}
    for content in before.values():
        assert len(content.splitlines()) == 500
    ingest_events(runtime, merchant.holder, [draft("later")])  # what comes behind the end is another export's
    with in_transaction():
        execute("UPDATE events SET received_at = now() WHERE event_id = 'later'")
    say(*words)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    ids = [event["event_id"] for event in read(tmp_path)]
    assert len(ids) == len(set(ids)) == 10_000
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_file_that_was_not_noted_is_written_once_more(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    for part in range(3):
        ingest_events(runtime, merchant.holder, [draft(f"order_{part}_{n:03}") for n in range(500)])
        runtime.clock.move(timedelta(seconds=1))  # type: ignore[attr-defined]
    words = ("export", "events", "--to", str(tmp_path), "--rows-per-file", "500")
    say(*words)
    state = orjson.loads((tmp_path / "events.state.json").read_bytes())
    first = orjson.loads((tmp_path / "events-00001.jsonl").read_bytes().splitlines()[-1])
    with in_transaction():
        ((at,),) = rows("SELECT received_at FROM events WHERE event_id = %s", (first["event_id"],))
    place = [at.isoformat(), first["event_id"]]
    (tmp_path / "events.state.json").write_bytes(
        orjson.dumps({**state, "after": place, "files": 1, "rows": 500, "complete": False})
    )
    (tmp_path / "events-00002.jsonl.unfinished").write_bytes(b"half a li")
    say(*words)
    assert orjson.loads((tmp_path / "events.state.json").read_bytes()) == state
    assert len({event["event_id"] for event in read(tmp_path)}) == len(read(tmp_path)) == 1500


def test_a_directory_is_one_exports_alone(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    to = ("--to", str(tmp_path))
    say("export", "events", *to, "--since", "30d")
    noted = tmp_path / "events.state.json"
    noted.write_bytes(
        orjson.dumps(orjson.loads(noted.read_bytes()) | {"complete": False})
    )  # as when it was ended early
    say("export", "events", *to, "--since", "30d")  # the thirty days of when it began
    say("export", "deliveries", *to)
    for words in (("--since", "2026-11-01"), ("--format", "parquet"), ("--until", "2026-11-20")):
        told = say("export", "events", *to, *words, status=1)[1]
        assert "holds another export of events" in told
        assert told.count("\n") == 1
    (tmp_path / "events.state.json").write_bytes(b'{"kind": 1}')
    assert "is not the state of an export" in say("export", "events", *to, status=1)[1]
    with command._directory(tmp_path, "events"):
        other = subprocess.run(
            [sys.executable, "-m", "tracklayer", "export", "events", *to],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ},
        )
    assert (other.returncode, other.stderr.count("\n")) == (1, 1)
    assert "another export of events is writing into" in other.stderr


def test_how_long_ago_is_no_second_time_what_a_complete_export_was_begun_with(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    ingest_events(runtime, merchant.holder, [draft("order")])
    weekly = ("export", "events", "--merchant", str(merchant.merchant_id), "--to", str(tmp_path), "--since", "7d")
    say(*weekly)
    before = names(tmp_path)
    _, error = say(*weekly, status=1)
    assert error.startswith(f"tracklayer: {tmp_path} holds a complete export of events, of what was received before 20")
    assert error.endswith("choose another directory\n")
    assert names(tmp_path) == before


def test_where_nothing_can_be_written_is_one_sentence(
    say: Callable[..., tuple[str, str]], runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    (tmp_path / "file").write_bytes(b"")
    told = say("export", "events", "--to", str(tmp_path / "file"), status=1)[1]
    assert told.startswith(f"tracklayer: cannot write into {tmp_path / 'file'}: ")
    assert told.count("\n") == 1


def test_no_statement_reads_more_than_a_page(
    say: Callable[..., tuple[str, str]],
    runtime: Runtime,
    merchant: Merchant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for part in range(3):
        ingest_events(runtime, merchant.holder, [draft(f"order_{part}_{n:03}") for n in range(500)])
    read_rows: list[tuple[str, int]] = []

    real = connection.database.execute_sql

    def counted(sql: str, params: Any = None) -> Any:
        cursor = real(sql, params)
        read_rows.append((" ".join(sql.split())[:60], cursor.rowcount))
        return cursor

    monkeypatch.setattr(connection.database, "execute_sql", counted)
    say("export", "deliveries", "--to", str(tmp_path))
    assert max(count for _, count in read_rows) == export.PAGE
    pages = [
        sql for sql, _ in read_rows if "FROM events" in sql or sql.startswith("SELECT merchant_id, event_id, event")
    ]
    assert len(pages) == 4  # three that are full, and one that is empty
    assert len(read(tmp_path, "deliveries")) == 1500
