"""``tracklayer import``: a backfill from a file of events, one a line."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from tracklayer.cli.process import CommandError, merchant_id_of, print_json, runtime_of, settings_with_log
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import KeyHolder, merchant_holder
from tracklayer.domain.json_text import read_json
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import Accepted, Coalesced, Forgotten, ingest_events

BATCH = 500  # lines of one transaction


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("import", help="backfill events from a JSONL file, one snake_case event a line")
    parser.add_argument("--merchant", required=True, metavar="ID", help="the merchant's id")
    parser.add_argument("file", metavar="FILE.jsonl", help="the events")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 1 where a line was rejected: the others are stored all the same, and importing again counts none twice."""
    path = Path(args.file)
    merchant_id = merchant_id_of(args.merchant)
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandError(f"cannot read {args.file}: {error.strerror}") from None
    with file, runtime_of(settings_with_log()) as runtime:
        with in_transaction():
            merchant = merchant_holder(merchant_id)
        if merchant is None:
            raise CommandError(f"there is no merchant {args.merchant}")
        started = time.monotonic()
        counts = _import(runtime, merchant, file, path.stat().st_size)
    result = {name: counts[name] for name in ("accepted", "coalesced", "rejected")}
    if args.json:
        print_json(result)
    else:
        done = ", ".join(f"{count} {name}" for name, count in result.items())
        print(f"{done} in {time.monotonic() - started:.1f} s ({_rate(counts, started)})")
    return 1 if counts["rejected"] else 0


def _import(runtime: Runtime, merchant: KeyHolder, file: BinaryIO, size: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    batch: list[tuple[int, Any]] = []
    started = time.monotonic()
    with tqdm(total=size, unit="B", unit_scale=True, desc="import", disable=None) as progress:
        for number, line in enumerate(file, 1):
            progress.update(len(line))
            if not line.strip():
                continue
            try:
                batch.append((number, read_json(line)))
            except ValueError:
                _reject(counts, number, [Problem((), "INVALID_JSON", "This line is not JSON.")])
            if len(batch) == BATCH:
                _store(runtime, merchant, batch, counts)
                batch = []
                done = f"{counts.total():,} events, {counts['rejected']:,} rejected"
                progress.set_postfix_str(f"{done}, {_rate(counts, started)}")
        if batch:
            _store(runtime, merchant, batch, counts)
    return counts


def _rate(counts: Counter[str], started: float) -> str:
    return f"{counts.total() / max(time.monotonic() - started, 0.001):,.0f} events/s"


def _store(runtime: Runtime, merchant: KeyHolder, batch: list[tuple[int, Any]], counts: Counter[str]) -> None:
    with in_transaction():  # an import may take hours, and somebody may be erased meanwhile
        merchant = merchant_holder(merchant.merchant_id) or merchant
    result = ingest_events(runtime, merchant, [draft for _, draft in batch])
    for (number, _), outcome in zip(batch, result.outcomes, strict=True):
        match outcome:
            case Accepted():
                counts["accepted"] += 1
            case Coalesced() | Forgotten():
                counts["coalesced"] += 1
            case _:
                _reject(counts, number, outcome.problems)


def _reject(counts: Counter[str], number: int, problems: Any) -> None:
    counts["rejected"] += 1
    reasons = " ".join(_reason(problem) for problem in problems)
    tqdm.write(f"line {number}: {reasons}", file=sys.stderr)


def _reason(problem: Problem) -> str:
    """The sentence, and where it does not say so itself, the field that it is about."""
    field = ".".join(problem.field)
    return problem.message if field in problem.message else f"{field}: {problem.message}"
