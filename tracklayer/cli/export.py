"""``tracklayer export``: events and deliveries of a time, into files that another program reads.

A file gets its name when it is whole; then the place behind it is noted beside it. Ended at any moment, however that was,
the same command goes on behind the last whole file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import orjson
from tqdm import tqdm

from tracklayer.cli.arguments import add_json, add_merchant, instant_of, moment, number, span_of, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, ended_as_by_ctrl_c, print_json, printing, runtime_of
from tracklayer.cli.shapes import delivery_json
from tracklayer.cli.table import text_of
from tracklayer.db.connection import ReadTimeoutError
from tracklayer.domain.values import write_instant
from tracklayer.loading import load
from tracklayer.runtime import Runtime
from tracklayer.services.export import Page, Place, event_as_sent, export_pages

ROWS = 100_000  # of a file
_UNFINISHED = ".unfinished"
_SUBJECTS = {"events": "events", "deliveries": "deliveries of events"}

# Of a Parquet file: column -> type. What is an object is JSON text there.
_TEXT, _WHOLE, _TIME, _FLAG, _OBJECT = "string", "int64", "time", "bool", "json"
COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "event_name": _TEXT,
        "event_id": _TEXT,
        "occurred_at": _TIME,
        "received_at": _TIME,
        "last_received_at": _TIME,
        "times_received": _WHOLE,
        "action_source": _TEXT,
        "event_source_url": _TEXT,
        "user_data": _OBJECT,
        "custom_data": _OBJECT,
        "device": _OBJECT,
        "consent": _OBJECT,
    },
    "deliveries": {
        "id": _TEXT,
        "event_id": _TEXT,
        "platform": _TEXT,
        "status": _TEXT,
        "attempts": _WHOLE,
        "drop_reason": _TEXT,
        "last_error": _TEXT,
        "error_code": _TEXT,
        "received_at": _TIME,
        "queued_at": _TIME,
        "last_attempt_at": _TIME,
        "delivered_at": _TIME,
        "dropped_at": _TIME,
        "latency_ms": _WHOLE,
        "window_ends_at": _TIME,
        "may_redeliver": _FLAG,
        "attempt_log": _OBJECT,
    },
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "export",
        help="write events or deliveries of a time into files, as JSONL or Parquet",
        description="Writes what was received in a time into files of a directory, newest first. Ended before its end, the "
        "same command goes on. Events are as `tracklayer import` takes them: identifiers as they are stored, without what is "
        "sealed. Nothing is changed.",
    )
    parser.add_argument("kind", choices=tuple(COLUMNS), help="what is written")
    add_merchant(parser)
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="the directory; made where there is none")
    parser.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help="of events received then or later: 2026-11-20, or 30d for a month ago",
    )
    parser.add_argument(
        "--until", type=moment, metavar="TIME", help="of events received before then; left out: until now"
    )
    parser.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl", help="of the files (%(default)s)")
    parser.add_argument(
        "--rows-per-file", type=number(1, 100_000_000), default=ROWS, metavar="N", help=f"about how many ({ROWS:,})"
    )
    add_json(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class State:
    """What of an export is done: as the file beside its parts has it, instants as text. ``until``: set when it begins."""

    kind: str
    merchant_id: str
    format: str
    since: str | None
    until: str
    after: tuple[str, str] | None = None
    files: int = 0
    rows: int = 0
    complete: bool = False

    @property
    def place(self) -> Place | None:
        return (_instant(self.after[0]), self.after[1]) if self.after is not None else None


def run(args: argparse.Namespace) -> int:
    if args.format == "parquet":
        _pyarrow()
    with ended_as_by_ctrl_c(), runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        with _directory(args.to, args.kind):
            state = _begun(args, merchant_id, runtime.clock.now())
            if state.complete:
                print(
                    "This export was complete: nothing is added to it. Choose another directory for a new one.",
                    file=sys.stderr,
                )
            try:
                state = _go_on(runtime, args, state)
            except KeyboardInterrupt:
                print("Stopped: the files that are there are whole. The same command goes on.", file=sys.stderr)
                raise
            except ReadTimeoutError:
                raise CommandError("the database takes too long: try again at a quieter hour, it goes on") from None
            except OSError as error:
                raise CommandError(
                    f"cannot write into {args.to}: {error.strerror or error}; the files that are there are whole, and the "
                    "same command goes on"
                ) from None
    files = f"{state.files:,} file{'' if state.files == 1 else 's'}"
    until = text_of(datetime.fromisoformat(state.until))
    done = f"{state.rows:,} {_SUBJECTS[args.kind]} received before {until} UTC are in {files} of {args.to}"
    with printing(done, is_kept=True):
        if args.json:
            print_json({**asdict(state), **_told(state), "directory": str(args.to)})
        else:
            print(done)
    return 0


@contextmanager
def _directory(path: Path, kind: str) -> Iterator[None]:
    """This process's alone for the length of the block. Raises CommandError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = load("fasteners").InterProcessLock(path / f".{kind}.lock")
        is_ours = lock.acquire(blocking=False)
    except OSError as error:
        raise CommandError(f"cannot write into {path}: {error.strerror or error}") from None
    if not is_ours:
        raise CommandError(f"another export of {kind} is writing into {path}: wait for it, or choose another directory")
    try:
        yield
    finally:
        lock.release()


def _begun(args: argparse.Namespace, merchant_id: int, now: datetime) -> State:
    """The state of the export that is there, or of a new one. Raises CommandError where another is there, and for a wrong time."""
    since, until = instant_of(args.since, now), instant_of(args.until, now)
    if until is not None and until > now:
        raise CommandError(
            "--until lies ahead, and what is received until then could not be in it: leave it out for all that is there now"
        )
    fresh = State(args.kind, str(merchant_id), args.format, _text(since), (until or now).isoformat())
    path = _state_file(args.to, args.kind)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        span_of(args, now)  # of one that goes on "7d" may have come to lie behind its end
        return fresh
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    try:
        found = orjson.loads(content)
        state = State(**{**found, "after": tuple(found["after"]) if found["after"] else None})
        _ = state.place, _instant(state.until), _instant(state.since or state.until), state.files + state.rows
    except (ValueError, TypeError, KeyError):
        raise CommandError(f"{path} is not the state of an export: take it away, or choose another directory") from None
    # How long ago is another instant each time; what was meant is what was begun.
    given = {
        "merchant": (state.merchant_id, fresh.merchant_id),
        "format": (state.format, fresh.format),
        "since": (state.since, state.since if not isinstance(args.since, datetime | None) else fresh.since),
        "until": (state.until, fresh.until if isinstance(args.until, datetime) else state.until),
    }
    for name, (before, wanted) in given.items():
        if before != wanted:
            raise CommandError(
                f"{args.to} holds another export of {args.kind}, with --{name} {before or 'left out'}: choose another directory"
            )
    if state.complete and not all(isinstance(one, datetime | None) for one in (args.since, args.until)):
        raise CommandError(
            f"{args.to} holds a complete export of {args.kind}, of what was received before {text_of(_instant(state.until))} "
            "UTC, and how long ago means another time by now: choose another directory"
        )
    return state


def _go_on(runtime: Runtime, args: argparse.Namespace, state: State) -> State:
    """Writes file after file."""
    if state.complete:
        return state
    since = _instant(state.since) if state.since is not None else None
    pages = export_pages(
        runtime,
        int(state.merchant_id),
        since,
        _instant(state.until),
        state.place,
        deliveries=state.kind == "deliveries",
    )
    part: _Part | None = None
    with tqdm(unit=" rows", initial=state.rows, desc="export", disable=None) as progress:
        for page in pages:
            if part is None:
                part = _Part(args.to, state)
            part.write(page)
            progress.update(len(page.deliveries if state.kind == "deliveries" else page.events))
            if part.rows >= args.rows_per_file:
                state, part = part.finished(), None
        if part is not None:
            state = part.finished()
    state = replace(state, complete=True)
    _note(args.to, state)
    return state


class _Part:
    """One file, which has its own name when it is whole."""

    def __init__(self, directory: Path, state: State) -> None:
        self._directory = directory
        self._state = state
        self._name = directory / f"{state.kind}-{state.files + 1:05}.{state.format}"
        self._unfinished = self._name.with_name(self._name.name + _UNFINISHED)
        # What is in it is the merchant's customers' and nobody else's.
        descriptor = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._rows: _Rows = _Parquet(self._file, state.kind) if state.format == "parquet" else _Lines(self._file)
        self._place: Place | None = None
        self.rows = 0

    def write(self, page: Page) -> None:
        if self._state.kind == "deliveries":
            found = [delivery_json(row) for row in page.deliveries]
        elif self._state.format == "parquet":
            found = [
                {
                    **event_as_sent(row),
                    "received_at": row.received_at,
                    "last_received_at": row.last_received_at,
                    "times_received": row.times_received,
                }
                for row in page.events
            ]
        else:
            found = [event_as_sent(row) for row in page.events]
        self._rows.write(found)
        self.rows += len(found)
        self._place = page.place

    def finished(self) -> State:
        """The state behind it. Ended between the two steps, the file is written once more, from the same place on."""
        self._rows.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.replace(self._name)
        assert self._place is not None
        at, event_id = self._place
        state = replace(
            self._state,
            after=(at.isoformat(), event_id),
            files=self._state.files + 1,
            rows=self._state.rows + self.rows,
        )
        _note(self._directory, state)
        return state


class _Rows(Protocol):
    def write(self, rows: Sequence[Mapping[str, Any]]) -> None: ...

    def close(self) -> None: ...


class _Lines:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._file.writelines(_json(row) + b"\n" for row in rows)

    def close(self) -> None:
        pass


class _Parquet:
    """Rows are gathered, so that a group of them is worth its own statistics."""

    _GROUP = 10_000

    def __init__(self, file: Any, kind: str) -> None:
        self._arrow, parquet = _pyarrow()
        types = {
            _TEXT: self._arrow.string(),
            _OBJECT: self._arrow.string(),
            _WHOLE: self._arrow.int64(),
            _TIME: self._arrow.timestamp("us", tz="UTC"),
            _FLAG: self._arrow.bool_(),
        }
        self._columns = COLUMNS[kind]
        self._schema = self._arrow.schema([(name, types[of]) for name, of in self._columns.items()])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._gathered: list[dict[str, Any]] = []

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._gathered.append(
                {
                    name: _json(row[name]).decode() if of == _OBJECT and row.get(name) is not None else row.get(name)
                    for name, of in self._columns.items()
                }
            )
        if len(self._gathered) >= self._GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._gathered:
            self._writer.write_table(self._arrow.Table.from_pylist(self._gathered, schema=self._schema))
            self._gathered = []

    def close(self) -> None:
        self._flush()
        self._writer.close()


def _pyarrow() -> tuple[Any, Any]:
    """(pyarrow, pyarrow.parquet), loaded for this alone. Raises CommandError."""
    try:
        return load("pyarrow"), load("pyarrow.parquet")
    except ModuleNotFoundError:
        raise CommandError(
            "--format parquet needs pyarrow: install it by `pip install 'tracklayer[parquet]'`"
        ) from None


def _state_file(directory: Path, kind: str) -> Path:
    return directory / f"{kind}.state.json"


def _note(directory: Path, state: State) -> None:
    """Whole or not at all, and on the disk."""
    path = _state_file(directory, state.kind)
    unfinished = path.with_name(path.name + _UNFINISHED)
    with unfinished.open("wb") as file:
        file.write(orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    with suppress(OSError):  # not every system opens a directory
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _told(state: State) -> dict[str, str | None]:
    """Its instants as every command prints them; the file of the state has them to the microsecond."""
    return {
        "since": write_instant(_instant(state.since)) if state.since is not None else None,
        "until": write_instant(_instant(state.until)),
    }


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
