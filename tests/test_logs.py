"""The log: one record a line, of a thousand alike one line and how many more; as JSON, one object a line."""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peewee import DatabaseError

import tracklayer
from tracklayer import logs, request_id
from tracklayer.db.connection import execute, in_transaction
from tracklayer.logs import WINDOW_SECONDS, Handler, JsonFormatter, TextFormatter

DESTINATION = ("destination_{state.value}", "destination_{after.value}")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def handler(out: io.StringIO, clock: Clock) -> Handler:
    made = Handler(out, clock)
    made.setFormatter(JsonFormatter("worker"))
    return made


@pytest.fixture
def log(handler: Handler) -> Iterator[logging.Logger]:
    made = logging.getLogger("tracklayer.of_a_test")
    made.addHandler(handler)
    made.setLevel(logging.INFO)
    made.propagate = False
    yield made
    made.removeHandler(handler)
    made.propagate = True


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def messages(out: io.StringIO) -> list[str]:
    return [line["message"] for line in lines(out)]


def test_a_line_is_an_object_with_what_is_known_besides(log: logging.Logger, out: io.StringIO) -> None:
    log.warning("merchant %s: done", 7, extra={"kind": "done", "merchant_id": 7})
    (line,) = lines(out)
    assert line.pop("ts").endswith("+00:00")
    assert line.pop("pid") > 0
    assert line == {
        "level": "warning",
        "role": "worker",
        "logger": "tracklayer.of_a_test",
        "message": "merchant 7: done",
        "kind": "done",
        "merchant_id": 7,
    }


def test_a_thousand_alike_are_one_line_and_how_many_more(
    log: logging.Logger, out: io.StringIO, handler: Handler, clock: Clock
) -> None:
    for merchant_id in range(1000):
        log.warning("merchant %s: rows are locked", merchant_id, extra={"merchant_id": merchant_id, "kind": "locked"})
    log.warning("another kind of line")
    assert messages(out) == ["merchant 0: rows are locked", "another kind of line"]
    handler.tell_alike()
    assert len(lines(out)) == 2
    clock.now = WINDOW_SECONDS
    handler.tell_alike()
    last = lines(out)[-1]
    assert last["message"].startswith("and 999 more like it in the last minute (merchants 1, 2, 3, ")
    assert last["message"].endswith("; the last: merchant 999: rows are locked")
    assert (last["more"], last["merchants"], last["kind"]) == (999, list(range(1, 21)), "locked")
    handler.tell_alike()
    assert len(lines(out)) == 3
    log.warning("merchant %s: rows are locked", 5)
    assert messages(out)[-1] == "merchant 5: rows are locked"


def test_the_next_of_its_like_after_a_minute_says_how_many_there_were_before_it(
    log: logging.Logger, out: io.StringIO, clock: Clock
) -> None:
    for count in range(3):
        log.info("line %d", count)
    clock.now = WINDOW_SECONDS
    log.info("line %d", 3)
    assert messages(out) == ["line 0", "and 2 more like it in the last minute; the last: line 2", "line 3"]


def test_what_is_left_is_told_at_the_end(log: logging.Logger, out: io.StringIO, handler: Handler) -> None:
    log.info("line %d", 1)
    log.info("line %d", 2)
    handler.tell_alike(is_end=True)
    assert messages(out) == ["line 1", "and 1 more like it in the last minute; the last: line 2"]


def test_platforms_sentences_and_faults_in_other_places_are_not_alike(log: logging.Logger, out: io.StringIO) -> None:
    for platform in ("a", "b"):
        log.warning("%s is down", platform, extra={"platform": platform})
    for sentence in ("one thing is wrong", "another is"):
        log.warning("%s", sentence)
        log.error("%s. %s", sentence, "do this")
    for error in (ValueError, KeyError):
        try:
            raise error
        except error:
            log.exception("failed")
    assert len(lines(out)) == 8


def test_a_fault_has_its_trace_in_a_field(log: logging.Logger, out: io.StringIO) -> None:
    try:
        raise RuntimeError("a\nb")
    except RuntimeError:
        log.exception("failed")
    (line,) = lines(out)
    assert line["message"] == "failed"
    assert line["trace"].startswith("Traceback (most recent call last):\n")


def test_kinds_without_end_take_no_room_without_end(log: logging.Logger, out: io.StringIO) -> None:
    for number in range(3 * logs.MOST_KINDS):
        log.info(f"line {number}")  # noqa: G004
    assert len(lines(out)) == logs.MOST_KINDS + 1


def test_a_line_that_does_not_fit_its_template_is_a_line_all_the_same(out: io.StringIO, handler: Handler) -> None:
    def say(template: str, *args: object) -> None:  # past pytest's own handler, which raises
        handler.handle(logging.LogRecord("tracklayer", logging.WARNING, "", 0, template, args, None))

    for _ in range(3):
        say("two %s and %s", 1)
        say("%s", 1, 2)
    say("\ud800 lone")
    handler.tell_alike(is_end=True)
    again = "and 2 more like it in the last minute; the last: "
    assert messages(out) == ["two %s and %s", "%s", "\ud800 lone", f"{again}two %s and %s", f"{again}%s"]
    handler.setFormatter(TextFormatter())
    say("two %s and %s", 1)
    assert out.getvalue().endswith("two %s and %s\n")


def test_the_request_is_named_in_both_formats(handler: Handler, log: logging.Logger, out: io.StringIO) -> None:
    def answer() -> None:
        request_id.identified({"headers": [(b"x-request-id", b"abc-1")]}, lambda message: asyncio.sleep(0))
        log.info("failed")
        handler.setFormatter(TextFormatter())
        log.info("failed, too", extra={"trace": "  in a file\n"})

    contextvars.Context().run(answer)
    first, second, trace = out.getvalue().splitlines()
    assert json.loads(first)["request_id"] == "abc-1"
    assert second.endswith("INFO tracklayer.of_a_test: failed, too (request abc-1)")
    assert trace == "  in a file"


def test_what_others_put_into_their_records_stays_there(handler: Handler, out: io.StringIO) -> None:
    record = logging.makeLogRecord({"name": "uvicorn.error", "msg": "x", "color_message": "y", "levelno": 40})
    handler.emit(record)
    assert "color_message" not in lines(out)[0]


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        pytest.param(b"4bf92f35-77b3-4da6", True, id="an id"),
        pytest.param(b"Root=1-67891233-abcdef", True, id="of a load balancer"),
        pytest.param(b"x" * 128, True, id="as long as may be"),
        pytest.param(b"x" * 129, False, id="too long"),
        pytest.param(b"", False, id="empty"),
        pytest.param(b"jane@example.com", False, id="an address"),
        pytest.param(b"+4915112345678", False, id="a phone"),
        pytest.param(b"a b", False, id="a space"),
        pytest.param(b"a\r\nset-cookie: x", False, id="a header more"),
        pytest.param("ä".encode(), False, id="a letter that no id has"),
    ],
)
def test_only_a_sane_id_of_the_callers_is_taken(sent: bytes, taken: bool) -> None:
    found = request_id.id_of([(b"host", b"x"), (b"x-request-id", sent)])
    assert (found == sent) is taken


def test_two_requests_have_two_ids() -> None:
    assert request_id.id_of([]) != request_id.id_of([])


def test_a_fault_at_start_is_an_object_where_the_log_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    before = (logs.Log.role, logs.Log.is_json)
    try:
        logs.Log.role, logs.Log.is_json = "worker", True
        logs.fault("two\nlines", faults=["two", "lines"])
        logs.Log.is_json = False
        logs.fault("a sentence")
    finally:
        logs.Log.role, logs.Log.is_json = before
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["faults"] == ["two", "lines"]
    assert (json.loads(first)["role"], json.loads(first)["level"]) == ("worker", "error")
    assert second == "tracklayer: a sentence"


def test_every_kind_of_line_is_in_the_guide_and_no_other() -> None:
    root = Path(tracklayer.__file__).parent
    written = {
        kind
        for path in root.rglob("*.py")
        for kind in re.findall(r'"kind": f?"([a-z_{}.]+)"', path.read_text())
        if "log." in path.read_text() and path.parent.name not in ("bench", "sandbox", "platforms")
    }
    states = {"alert_{state}": ("opened", "resolved"), **dict.fromkeys(DESTINATION, ("active", "held", "paused"))}
    kinds = {re.sub(r"{.*}", state, kind) for kind in written for state in states.get(kind, ("",))}
    guide = (root / "web" / "docs" / "logging.md").read_text()
    tables = guide[guide.index("### Lines of every day") : guide.index("## Traces")]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `") and "`kind`" not in line]
    assert kinds == {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)}


PERSON = "jane.canary@example.com"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter("worker")], ids=["text", "json"])
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        pytest.param("INSERT INTO of_a_test VALUES (%s)", "violates check constraint", id="a row, as detail"),
        pytest.param("UPDATE of_a_test SET email = %s", "duplicate key value violates unique", id="a key, as detail"),
        pytest.param("SELECT nobody FROM of_a_test WHERE email = %s", "does not exist", id="the statement's line"),
        pytest.param("SELECT jsonb_object(ARRAY['a', %s]) ->> 1 / 0", "division by zero", id="nothing"),
        pytest.param(
            "SELECT %s::text::int", 'invalid input syntax for type integer: "..."', id="a value, in a sentence"
        ),
        pytest.param("SELECT %s::text::jsonb", "invalid input syntax for type json", id="a value, as context"),
        pytest.param("DO $$ BEGIN RAISE 'no' USING DETAIL = %s; END $$", "no", id="a statement, as context"),
    ],
)
def test_what_the_database_says_of_an_error_is_told_without_what_it_quotes(
    handler: Handler, log: logging.Logger, out: io.StringIO, formatter: logging.Formatter, sql: str, says: str
) -> None:
    handler.setFormatter(formatter)
    value = f"two\nlines, {PERSON}"
    try:
        with in_transaction():
            execute(
                "CREATE TEMP TABLE of_a_test (email text UNIQUE CHECK (email <> 'x' AND length(email) < 20 OR email LIKE 'a%%'))"
            )
            execute("INSERT INTO of_a_test VALUES ('a'), ('ab')")
            execute(sql.replace("email = %s", "email = 'a' || left(%s, 0)") if "duplicate" in says else sql, (value,))
    except DatabaseError as error:
        first = error
    log.error("failed at %s", "x", exc_info=first)
    try:
        raise RuntimeError(f"it said: {first}") from ExceptionGroup("of a group", [first])
    except RuntimeError as error:
        log.error("failed too", exc_info=error)
    written = out.getvalue()
    assert PERSON not in written
    if isinstance(formatter, JsonFormatter):
        written = "\n".join(line["trace"] for line in lines(out))
    assert written.count("Traceback") == 5
    assert says in written


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter("worker")], ids=["text", "json"])
def test_a_line_that_ends_in_an_errors_words_ends_before_what_they_quote(
    handler: Handler, log: logging.Logger, out: io.StringIO, formatter: logging.Formatter
) -> None:
    handler.setFormatter(formatter)
    for quotes in (f"LINE 1: '{PERSON}'\n    ^", f"DETAIL:  Failing row contains ({PERSON}\n).", f"CONTEXT:  {PERSON}"):
        log.error("%s", f"it is wrong\n{quotes}")
    handler.tell_alike(is_end=True)
    assert "it is wrong" in out.getvalue()
    assert PERSON not in out.getvalue()
