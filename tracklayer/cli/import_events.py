"""``tracklayer import``: a backfill from a file of events, or from standard input, one event a line."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from tracklayer.cli.arguments import add_json, add_merchant, number, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.lines import Line, NotLinesError, NotTextError, lines_of, of_objects, read_line
from tracklayer.cli.process import CommandError, ended_as_by_ctrl_c, print_json, printing, runtime_of
from tracklayer.cli.table import print_table
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.merchants import KeyHolder, merchant_holder
from tracklayer.db.sessions import TOO_LATE, code_of
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import Accepted, Coalesced, Forgotten, Ingested, ingest_events

BATCH = 500  # lines of one transaction
MOST_GROUPS = 50  # of warnings, by code and field; what comes then is counted by its code alone
OUTCOMES = ("accepted", "coalesced", "rejected")
Warned = tuple[str, str]  # code, and the field that it is about


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "import",
        help="backfill events from a JSONL file, one snake_case event a line",
        description="Takes events in, one snake_case JSON object a line, by the same rules as ingestEvent. The file may be "
        "compressed with gzip. A line that is refused is told with its number, and does not stop the others. What was "
        "imported before is counted as a repeat, and never twice.",
    )
    add_merchant(parser)
    parser.add_argument("file", metavar="FILE.jsonl", help="the events, plain or .gz; - for standard input")
    parser.add_argument(
        "--from-line", type=number(1, 10**15), default=1, metavar="N", help="begin there: what came before is imported"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 1 where a line was rejected: the others are stored all the same, and importing again counts none twice."""
    with ExitStack() as stack:
        stack.enter_context(ended_as_by_ctrl_c())
        file, size = _open(args.file, stack)
        runtime = stack.enter_context(runtime_of(settings_beside()))
        merchant_id = the_merchant(args.merchant)
        with in_transaction():
            merchant = merchant_holder(merchant_id)
        assert merchant is not None
        found = Import(runtime, merchant, args.from_line - 1)
        try:
            with tqdm(total=size, unit="B", unit_scale=True, desc="import", disable=None) as progress:
                lines = lines_of(file, progress.update)
                found.take(of_objects(lines) if args.from_line == 1 else lines, progress)
        except (NotTextError, NotLinesError) as error:
            found.tell(as_json=args.json)
            raise CommandError(error.how_to_mend(args.file)) from None
        except BrokenPipeError:
            raise
        except (KeyboardInterrupt, DatabaseAwayError, OSError, EOFError) as error:
            found.tell(as_json=args.json)
            print(_how_to_go_on(found.stored_to, args.file, merchant_id, args.merchant is not None), file=sys.stderr)
            if isinstance(error, OSError | EOFError):
                raise CommandError(f"cannot read {args.file} any further: {_why(error)}") from None
            raise
    if args.from_line > found.lines + 1:  # the line behind the last one is where an import that had it all goes on
        raise CommandError(f"--from-line {args.from_line} lies behind the end: {args.file} has {found.lines} lines")
    with printing(f"the file is imported: {found.told()}", is_kept=True):
        found.tell(as_json=args.json)
    return 1 if found.counts["rejected"] else 0


def _open(name: str, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    """The file, and its bytes where they are known."""
    if name == "-":
        return sys.stdin.buffer, None
    path = Path(name)
    try:
        return stack.enter_context(path.open("rb")), path.stat().st_size
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}; - reads standard input") from None


def _why(error: OSError | EOFError) -> str:
    return getattr(error, "strerror", None) or str(error) or "it ends too soon"


def _how_to_go_on(stored_to: int, file: str, merchant_id: int, names_merchant: bool) -> str:
    """The command that does the rest."""
    of_merchant = f"--merchant {merchant_id} " if names_merchant else ""
    command = f"tracklayer import {of_merchant}--from-line {stored_to + 1} {shlex.quote(file)}"
    where = f"Everything up to line {stored_to} is stored" if stored_to else "Nothing was stored yet"
    return f"{where}. Go on with: {command}"


@dataclass
class Import:
    """``stored_to``: everything up to this line is stored, or was told of. ``lines``: so many were read."""

    runtime: Runtime
    merchant: KeyHolder
    stored_to: int
    lines: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    warnings: Counter[Warned] = field(default_factory=Counter)
    examples: dict[Warned, int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def take(self, lines: Iterable[Line], progress: Any) -> None:
        batch: list[tuple[int, Any]] = []
        first = self.stored_to
        for line in lines:
            self.lines = line.number
            if line.number <= first:
                continue
            if not line.is_blank:
                batch.append((line.number, _draft_of(line)))
            if len(batch) == BATCH:
                self._store(batch)
                batch = []
                done = f"{self.counts.total():,} events, {self.counts['rejected']:,} rejected"
                progress.set_postfix_str(f"{done}, {self._rate()}")
        if batch:
            self._store(batch)

    def _store(self, batch: Sequence[tuple[int, Any]]) -> None:
        """In one transaction; then tells what was refused, in the order of the lines."""
        outcomes = self._ingest([draft for _, draft in batch])
        for (line, _), outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Accepted():
                    self.counts["accepted"] += 1
                    self._warn(line, outcome.warnings)
                case Coalesced() | Forgotten():
                    self.counts["coalesced"] += 1
                    self._warn(line, outcome.warnings)
                case _:
                    self._reject(line, outcome.problems)
        self.stored_to = batch[-1][0]

    def _ingest(self, drafts: Sequence[Any]) -> list[Ingested]:
        try:
            return self._ingest_once(drafts)
        except DatabaseAwayError as error:
            if code_of(error) != TOO_LATE:
                raise
            return self._ingest_once(drafts)  # this process stood still, perhaps: it was stopped at its terminal

    def _ingest_once(self, drafts: Sequence[Any]) -> list[Ingested]:
        with in_transaction():  # an import may take hours, and somebody may be erased meanwhile
            self.merchant = merchant_holder(self.merchant.merchant_id) or self.merchant
        return ingest_events(self.runtime, self.merchant, drafts).outcomes

    def _reject(self, line: int, problems: Sequence[Problem]) -> None:
        self.counts["rejected"] += 1
        reasons = " ".join(_reason(problem) for problem in problems)
        tqdm.write(f"line {line}: {reasons}", file=sys.stderr)

    def _warn(self, line: int, warnings: Sequence[Problem]) -> None:
        for warning in warnings:
            about = warning.code, ".".join(warning.field)
            if about not in self.warnings and len(self.warnings) >= MOST_GROUPS:
                about = warning.code, ""
            self.warnings[about] += 1
            self.examples.setdefault(about, line)

    def _rate(self) -> str:
        return f"{self.counts.total() / max(time.monotonic() - self.started, 0.001):,.0f} events/s"

    def told(self) -> str:
        return ", ".join(f"{self.counts[name]} {name}" for name in OUTCOMES)

    def tell(self, *, as_json: bool) -> None:
        """What came of it, or of it so far."""
        result = {name: self.counts[name] for name in OUTCOMES}
        warned = [
            {"code": code, "field": about or None, "count": count, "example_line": self.examples[code, about]}
            for (code, about), count in self.warnings.most_common()
        ]
        if as_json:
            print_json({**result, "warnings": warned} if warned else result)
            return
        print(f"{self.told()} in {time.monotonic() - self.started:.1f} s ({self._rate()})")
        if warned:
            print("\nTaken, but:")
            print_table(
                ("events", "field", "such as line", "warning"),
                [(one["count"], one["field"], str(one["example_line"]), one["code"]) for one in warned],
            )


def _draft_of(line: Line) -> Any:
    """The event, or the Problem that the line is: that is counted with all else that is refused."""
    if line.problem is not None:
        return Problem((), "INVALID_JSON", line.problem)
    try:
        return read_line(line.content)
    except ValueError as error:
        return Problem((), "INVALID_JSON", f"This line is not JSON: {error}.")


def _reason(problem: Problem) -> str:
    """The sentence, and where it does not say so itself, the field that it is about."""
    field = ".".join(problem.field)
    return problem.message if field in problem.message else f"{field}: {problem.message}"
