"""``tracklayer import``: what is told of a file, whatever stands in it and however it ends."""

from __future__ import annotations

import fcntl
import gzip
import io
import os
import random
import re
import select
import signal
import subprocess
import sys
import termios
import threading
from array import array
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import pytest

from tests.factories import API_KEY_SECRET, Merchant, draft
from tests.servers import PATIENCE_SECONDS, wait_until
from tracklayer.cli import lines, main
from tracklayer.cli.import_events import BATCH
from tracklayer.db import connection
from tracklayer.db.connection import in_transaction, rows


def event(number: int, **changes: object) -> bytes:
    return orjson.dumps(draft(f"order_{number}", **changes))


@pytest.fixture
def load(
    environ: str, merchant: Merchant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Imports a file of that content: (exit status, what it printed, what it said beside that)."""

    def imported(content: bytes, *words: str, name: str = "events.jsonl") -> tuple[int, str, str]:
        path = tmp_path / name
        path.write_bytes(content)
        status = main(["import", *words, str(path)])
        told = capsys.readouterr()
        connection.connect(environ)
        return status, told.out, told.err

    return imported


def stored() -> list[str]:
    with in_transaction():
        return [row[0] for row in rows("SELECT event_id FROM events ORDER BY event_id")]


def test_lines_are_told_in_order_also_those_that_are_no_json(load: Callable[..., tuple[int, str, str]]) -> None:
    content = [event(n) for n in range(1, 8)]
    content[1] = event(2, occurred_at="never")
    content[2] = b"{"
    content[4] = event(5, event_name="")
    content[5] = b"nonsense"
    status, _, told = load(b"\n".join(content))
    assert status == 1
    assert re.findall(r"line (\d+):", told) == ["2", "3", "5", "6"]
    assert stored() == ["order_1", "order_4", "order_7"]


@pytest.mark.parametrize(
    ("text", "instead", "told"),
    [
        pytest.param(b'"jane"', b"NaN", "column 9: NaN and Infinity are no JSON. Leave the field out", id="NaN"),
        pytest.param(
            b'"jane"', b"-Infinity", "column 10: NaN and Infinity are no JSON. Leave the field out", id="infinite"
        ),
        pytest.param(b'"jane"', b'"jane",', "column 15: trailing comma is not allowed", id="a comma"),
        pytest.param(b'"', b"'", "column 2: unexpected character, expected a string key", id="single quotes"),
        pytest.param(b'"', b'""', "column 4: ", id="quotes twice"),
        pytest.param(b'"jane"}', b'"ja', "column 12: unexpected end of data", id="cut"),
        pytest.param(b"}", b'}\r{"note":"jane"}', "column 17: unexpected content after document", id="ends of old"),
        pytest.param(b"jane", b"ja\x07ne", "column 12: a control character in a text", id="control"),
        pytest.param(b'{"note":"jane"}', b"PK\x03\x04jane", "column 1: unexpected character", id="a ZIP file"),
    ],
)
def test_of_a_line_that_is_no_json_it_is_told_where_and_why(
    load: Callable[..., tuple[int, str, str]], text: bytes, instead: bytes, told: str
) -> None:
    status, _, err = load(b"\n".join([event(1), b'{"note":"jane"}'.replace(text, instead), event(3)]))
    assert status == 1
    assert err.startswith(f"line 2: This line is not JSON: {told}"), err
    assert "jane" not in err
    assert stored() == ["order_1", "order_3"]


def test_whatever_is_refused_is_counted_with_its_code_also_what_is_no_json(
    load: Callable[..., tuple[int, str, str]],
) -> None:
    broken = [b'{"value": NaN}', b'{"event_name": "purch', b"\xe4", b"x" * (lines.MOST_BYTES + 1)]
    assert load(b"\n".join([event(1), *broken, b"[]", event(2, occurred_at="never")]))[0] == 1
    with in_transaction():
        counted = rows("SELECT code, event_name, sum(events)::int FROM rejections_counted GROUP BY 1, 2 ORDER BY 1")
    assert counted == [("INVALID_JSON", "", 4), ("INVALID_TIME", "Purchase", 1), ("INVALID_TYPE", "", 1)]


def test_a_number_beyond_all_bounds_costs_its_own_line(load: Callable[..., tuple[int, str, str]]) -> None:
    content = [event(n) for n in range(1, 4)]
    content[1] = event(2, custom_data={"value": 7, "currency": "EUR"}).replace(b'"value":7', b'"value":1e1000000')
    status, _, told = load(b"\n".join(content))
    assert status == 1
    assert re.findall(r"line (\d+): custom_data.value must be a number", told) == ["2"]
    assert stored() == ["order_1", "order_3"]


def test_warnings_are_summed_up_by_code_and_field(load: Callable[..., tuple[int, str, str]]) -> None:
    person = {"email": "jane@example.com", "gclid": "{gclid}"}
    content = [event(n, user_data=person) for n in range(3)]
    content.append(event(4, event_source_url="https://shop.example/?email=jane@example.com"))
    status, told, _ = load(b"\n".join(content), "--json")
    assert status == 0
    found = orjson.loads(told)
    assert {name: found[name] for name in ("accepted", "coalesced", "rejected")} == {
        "accepted": 4,
        "coalesced": 0,
        "rejected": 0,
    }
    assert found["warnings"] == [
        {"code": "IDENTIFIER_PLACEHOLDER", "field": "user_data.gclid", "count": 3, "example_line": 1},
        {"code": "PERSONAL_DATA", "field": "event_source_url", "count": 1, "example_line": 4},
    ]
    _, told, _ = load(b"\n".join(content))
    assert "IDENTIFIER_PLACEHOLDER" in told
    assert "user_data.gclid" in told
    assert "jane@example.com" not in told


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
    ],
)
def test_a_file_in_a_wide_encoding_is_named(
    load: Callable[..., tuple[int, str, str]], encoding: str, named: str
) -> None:
    status, _, told = load(event(1).decode().encode(encoding), name="an export.jsonl")
    assert status == 1
    assert f"line 1 is {named}, and JSON is UTF-8: convert it first, by `iconv -f {named} -t UTF-8 '" in told
    assert stored() == []


def test_a_file_that_is_no_text_is_told_once(load: Callable[..., tuple[int, str, str]]) -> None:
    content = random.Random(1).randbytes(100_000)
    status, out, told = load(content, name="photo.jpg")
    assert status == 1
    assert re.search(r"line \d is no text: \S*photo\.jpg is not a file of JSON lines\n", told)
    assert (out + told).count("\n") < 20
    assert stored() == []


PRETTY = orjson.dumps([draft("order_1"), draft("order_2")], option=orjson.OPT_INDENT_2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(
            b"event_name,event_id,occurred_at\nPurchase,1,2026-11-20\n", "line 1: this is CSV, and JSONL", id="CSV"
        ),
        pytest.param(
            b'"event_name";"value"\r\n"Purchase";"1,5"\r\n', "line 1: this is CSV, ", id="CSV of a spreadsheet"
        ),
        pytest.param(b"Purchase\t1\t9.99\nLead\t2\t\n", "line 1: this is CSV, ", id="a table without titles"),
        pytest.param(
            PRETTY, "line 1: this is a JSON array, and JSONL is wanted, one JSON object a line: ", id="an array"
        ),
        pytest.param(b"\n" + orjson.dumps([draft("1")]), "line 2: this is a JSON array, ", id="an array in one line"),
        pytest.param(
            b"[" + event(1) + b",\n" + event(2) + b"]", "line 1: this is a JSON array, ", id="an event a line"
        ),
        pytest.param(b"[\n" + event(1) + b",\n" + event(2) + b"\n]\n", "line 1: this is a JSON array, ", id="by hand"),
        pytest.param(
            orjson.dumps(draft("1"), option=orjson.OPT_INDENT_2),
            "line 1: this is JSON over several lines, ",
            id="pretty",
        ),
        pytest.param(
            b'{"event_name": "Lead",\n "event_id": "1"}\n', "line 1: this is JSON over several", id="two lines"
        ),
    ],
)
def test_a_file_in_another_format_is_named_once(
    load: Callable[..., tuple[int, str, str]], content: bytes, told: str
) -> None:
    status, out, err = load(content, "--json")
    assert (status, orjson.loads(out)) == (1, {"accepted": 0, "coalesced": 0, "rejected": 0})
    assert err.startswith(f"tracklayer: {told}")
    assert err.count("\n") == 1
    command = re.search("convert it first, by `(.+)`$", err.strip())
    assert command is None if "CSV" in told else command is not None and command[1].endswith(" > events.jsonl")


@pytest.mark.parametrize(
    "broken", [b"{not json", b'{"event_name": "Purchase",', b"[1, 2]", b"event_name,event_id", b"[" * 5000, b"", b"7"]
)
def test_lines_of_json_whose_first_is_broken_lose_that_one_alone(
    load: Callable[..., tuple[int, str, str]], broken: bytes
) -> None:
    status, out, err = load(broken + b"\n" + event(1) + b"\n" + b"x" * 9 + b"\n" + event(2), "--json")
    assert orjson.loads(out) == {"accepted": 2, "coalesced": 0, "rejected": 1 + bool(broken)}, err
    assert status == 1
    assert err.startswith("line 1: " if broken else "line 3: ")
    assert stored() == ["order_1", "order_2"]


def test_a_line_to_begin_with_that_is_behind_the_end_is_refused(load: Callable[..., tuple[int, str, str]]) -> None:
    content = event(1) + b"\n" + event(2) + b"\n"
    status, out, err = load(content, "--from-line", "99")
    assert (status, out) == (1, "")
    assert re.fullmatch(r"tracklayer: --from-line 99 lies behind the end: \S+/events\.jsonl has 2 lines\n", err)
    assert load(content, "--from-line", "3")[0] == 0, "where an import goes on that was ended when it had them all"


def test_a_line_in_latin_1_is_named_and_stops_no_other(load: Callable[..., tuple[int, str, str]]) -> None:
    latin = '{"event_id": "bücher"}'.encode("latin-1")
    status, _, told = load(b"\n".join([event(1), latin, event(3)]))
    assert status == 1
    assert "line 2: This line is not UTF-8 (byte 0xFC at 16), but Latin-1 or Windows-1252, it seems" in told
    assert stored() == ["order_1", "order_3"]


def test_a_byte_order_mark_is_passed_over(load: Callable[..., tuple[int, str, str]]) -> None:
    mark = b"\xef\xbb\xbf"
    assert load(mark + event(1) + b"\r\n\r\n" + mark + event(2) + b"\r\n")[0] == 0
    assert stored() == ["order_1", "order_2"]


def test_a_compressed_file_is_read_and_a_damaged_one_goes_on_where_it_broke(
    load: Callable[..., tuple[int, str, str]],
) -> None:
    content = gzip.compress(b"\n".join(event(n) for n in range(BATCH * 3)))
    assert load(content, name="events.jsonl.gz")[0] == 0
    assert len(stored()) == BATCH * 3
    for broken in (content[:-2000], content[:4000] + b"\0" * 100 + content[4100:]):
        status, _, told = load(broken, name="events.jsonl.gz")
        assert status == 1
        assert "Go on with: tracklayer import --from-line " in told
        assert "cannot read" in told
        assert "Traceback" not in told


def test_a_line_without_an_end_takes_no_more_memory_than_a_line_may(load: Callable[..., tuple[int, str, str]]) -> None:
    endless = b'{"a": "' + b"x" * (3 * lines.MOST_BYTES) + b'"}'
    status, _, told = load(b"\n".join([event(1), endless, event(3)]))
    assert status == 1
    assert f"line 2: This line has more than {lines.MOST_BYTES:,} bytes." in told
    assert stored() == ["order_1", "order_3"]


def test_standard_input_is_read_from_a_line_on(
    environ: str, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"\n".join([event(1), b"broken", event(3), event(4)])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["import", "--from-line", "3", "--json", "-"]) == 0
    assert orjson.loads(capsys.readouterr().out) == {"accepted": 2, "coalesced": 0, "rejected": 0}
    connection.connect(environ)
    assert stored() == ["order_3", "order_4"]


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"")], ids=["nothing", "blank", "compressed"])
def test_an_empty_file_is_no_mistake(load: Callable[..., tuple[int, str, str]], content: bytes) -> None:
    assert load(content, "--json")[:2] == (
        0,
        '{\n  "accepted": 0,\n  "coalesced": 0,\n  "rejected": 0\n}\n',
    )


def unread(pipe: Any) -> int:
    """Bytes that lie in it."""
    found = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, found)
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_stops_it_is_told_how_to_go_on(environ: str, merchant: Merchant, number: signal.Signals) -> None:
    environment = {**os.environ, "TRACKLAYER_DATABASE_URL": environ, "TRACKLAYER_SECRET_KEY": API_KEY_SECRET}
    command = [sys.executable, "-m", "tracklayer", "import", "--json", "-"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),  # whoever started the tests may have it ignored
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n".join(event(n) for n in range(BATCH + 10)) + b"\n")
        process.stdin.flush()  # and left open: it waits for more
        wait_until(lambda: len(stored()) == BATCH, "the first lines are stored")
        # They are before it knows; once it reads on, it does.
        process.stdin.write(event(BATCH + 10) + b"\n")
        process.stdin.flush()
        wait_until(lambda: unread(process.stdin) == 0, "it to read on")
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read().decode()
        process.stdin.close()
        assert process.wait() == 128 + number
    assert orjson.loads(out) == {"accepted": BATCH, "coalesced": 0, "rejected": 0}
    assert f"Everything up to line {BATCH} is stored. Go on with: tracklayer import --from-line {BATCH + 1} -\n" in err


def test_nothing_is_read_before_something_is_there_so_that_a_signal_is_heeded_at_once() -> None:
    """One that comes after the last look at signals, and before the read has begun, waits for its end."""
    reading, writing = os.pipe()
    looking = select.poll()
    looking.register(reading, select.POLLIN)

    class Watched(io.BufferedReader):
        def read1(self, size: int = -1) -> bytes:
            assert looking.poll(0), "a read that waits was begun"
            return super().read1(size)

    came = threading.Event()

    def write() -> None:
        for number in range(3):
            os.write(writing, event(number) + b"\n")
            assert came.wait(PATIENCE_SECONDS)
            came.clear()
        os.close(writing)

    writer = threading.Thread(target=write, daemon=True)
    with Watched(io.FileIO(reading)) as file:
        writer.start()
        numbers = []
        for line in lines.lines_of(file):
            numbers.append(line.number)
            came.set()
    writer.join()
    assert numbers == [1, 2, 3]


def test_a_database_that_goes_away_leaves_a_way_to_go_on(environ: str, postgres: str, merchant: Merchant) -> None:
    environment = {**os.environ, "TRACKLAYER_DATABASE_URL": environ, "TRACKLAYER_SECRET_KEY": API_KEY_SECRET}
    command = [sys.executable, "-m", "tracklayer", "import", "-"]
    with closing(psycopg2.connect(postgres)) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdin is not None
            process.stdin.write(b"\n".join(event(n) for n in range(BATCH + 1)) + b"\n")
            process.stdin.flush()
            wait_until(lambda: len(stored()) == BATCH, "the first lines are stored")
            try:
                cursor.execute("ALTER DATABASE tracklayer ALLOW_CONNECTIONS false")
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tracklayer'")
                process.stdin.write(b"\n".join(event(n) for n in range(BATCH)) + b"\n")
                process.stdin.close()
                assert process.stderr is not None
                said = process.stderr.read().decode()
            finally:
                cursor.execute("ALTER DATABASE tracklayer ALLOW_CONNECTIONS true")
            assert process.wait() == 1
    assert f"Go on with: tracklayer import --from-line {BATCH + 1} -\n" in said
    assert [line for line in said.splitlines() if line.startswith("tracklayer: the database ")]
    assert "Traceback" not in said


def test_a_file_that_is_none_is_one_sentence(
    environ: str, merchant: Merchant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl"):
        assert main(["import", str(path)]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"tracklayer: cannot read {path}: ")
        assert told.count("\n") == 1


def test_no_identifier_of_whatever_kind_costs_an_event(load: Callable[..., tuple[int, str, str]]) -> None:
    people = [
        '{"zip": 10115, "country": "DE"}',
        '{"external_id": 5}',
        '{"phone": 4917012345678}',
        '{"first_name": "Jane \\ud83d"}',
        '{"client_user_agent": "Mozilla/5.0 \\u0007"}',
        '{"gclid": ["x"], "emails": 5}',
    ]
    lines_ = [
        event(n, user_data={}).replace(b'"user_data":{}', f'"user_data":{text}'.encode())
        for n, text in enumerate(people)
    ]
    status, told, _ = load(b"\n".join(lines_), "--json")
    found = orjson.loads(told)
    assert (status, found["accepted"], found["rejected"]) == (0, len(people), 0)
    assert {(one["code"], one["field"]) for one in found["warnings"]} == {
        ("IDENTIFIER_MALFORMED", f"user_data.{name}")
        for name in ("zip", "phone", "first_name", "client_user_agent", "gclid", "emails")
    }
    with in_transaction():
        kept = rows("SELECT user_data FROM events WHERE event_id = 'order_1'")
    assert kept == [({"external_id": "5"},)]
