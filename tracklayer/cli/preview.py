"""``tracklayer preview``: what would be sent, without a database."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from tracklayer.cli.lines import read_line
from tracklayer.cli.process import CommandError, print_json, read_json
from tracklayer.clock import SystemClock
from tracklayer.domain.values import read_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.mappers.base import RuleVerdict
from tracklayer.services.preview import Prepared, Preview, prepare, preview

FLUSH_EVERY = 100  # lines: a reader at the other end sees progress, and writing costs nothing
MAX_PREPARED = 1000  # different settings kept


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("preview", help="show what would be sent for an event; sends and stores nothing")
    parser.add_argument("--platform", choices=PLATFORMS, help="the platform")
    parser.add_argument("--settings", metavar="FILE.json", help="the destination's settings")
    parser.add_argument(
        "--now", type=_instant, metavar="INSTANT", help="judge ages as of this instant instead of the clock"
    )
    parser.add_argument(
        "--batch", action="store_true", help="read {platform, settings, event, now?} a line from standard input"
    )
    parser.add_argument("event", nargs="?", metavar="EVENT.json", help="the event; - for standard input")
    parser.set_defaults(run=run, fail=parser.error)


def run(args: argparse.Namespace) -> int:
    if args.batch:
        # What is made for a line is gone with it, by reference count: the collector would only walk what stays.
        gc.disable()
        try:
            return _batch()
        finally:
            gc.enable()
    if args.platform is None or args.event is None:
        args.fail("--platform and EVENT.json are required, or --batch")
    settings = read_json(args.settings, "settings") if args.settings else {}
    prepared = prepare(args.platform, _object(settings))
    now = args.now or SystemClock().now()
    found = preview(read_json(args.event, "event"), prepared, now)
    print_json(_shown(found))
    return 0 if found.request is not None else 1


def _batch() -> int:
    clock = SystemClock()
    prepared: dict[bytes, Prepared] = {}
    status = 0
    lines = []
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            given = _object(_read(line))
            now = _now(str(given["now"])) if given.get("now") else clock.now()
            lines.append(written(preview(given.get("event"), _prepared(given, prepared), now)))
        except CommandError as error:
            lines.append(_wrong_line(number, str(error)))
            status = 1
        if len(lines) == FLUSH_EVERY:
            _print(lines)
    _print(lines)
    return status


def _read(line: bytes) -> Any:
    try:
        return read_line(line)
    except ValueError as error:
        raise CommandError(f"is not JSON: {error}") from None


def _prepared(given: dict[str, Any], known: dict[bytes, Prepared]) -> Prepared:
    """Of the line's platform and settings, which are the same on most lines."""
    platform, settings = given.get("platform"), given.get("settings") or {}
    if platform not in PLATFORMS:
        raise CommandError(f"platform must be one of {', '.join(PLATFORMS)}")
    try:
        key = orjson.dumps([platform, settings])
    except TypeError:  # a number beyond 64 bits, half a character
        return prepare(platform, _object(settings))
    found = known.get(key)
    if found is None:
        if len(known) >= MAX_PREPARED:
            known.clear()
        found = known[key] = prepare(platform, _object(settings))
    return found


def _wrong_line(number: int, what: str) -> bytes:
    return orjson.dumps({"refused": "INVALID_LINE", "error": f"line {number}: {what}", "verdicts": []})


def _print(lines: list[bytes]) -> None:
    if lines:
        sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
        sys.stdout.buffer.flush()
        lines.clear()


def written(found: Preview) -> bytes:
    """``_shown`` as a line of JSON."""
    verdicts = _written_verdicts(tuple(found.verdicts))
    if found.request is not None:
        return orjson.dumps({"request": found.request, "verdicts": verdicts})
    return orjson.dumps({"refused": found.refused, "verdicts": verdicts})


@lru_cache(maxsize=1024)  # most events of a platform are held against the same rules, and pass them
def _written_verdicts(verdicts: tuple[RuleVerdict, ...]) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(_shown_verdicts(verdicts)))


def _shown(found: Preview) -> dict[str, Any]:
    verdicts = _shown_verdicts(found.verdicts)
    if found.request is not None:
        return {"request": found.request, "verdicts": verdicts}
    return {"refused": found.refused, "verdicts": verdicts}


def _shown_verdicts(verdicts: Sequence[RuleVerdict]) -> list[dict[str, Any]]:
    return [
        {"rule": v.rule, "ok": v.ok, "message": v.message, "field": v.field}
        if v.field
        else {"rule": v.rule, "ok": v.ok, "message": v.message}
        for v in verdicts
    ]


def _instant(text: str) -> datetime:
    found = read_instant(text)
    if isinstance(found, str):
        raise argparse.ArgumentTypeError(found)
    return found


@lru_cache(maxsize=1024)  # a batch is mostly judged as of one instant
def _now(text: str) -> datetime:
    instant = read_instant(text)
    if isinstance(instant, str):
        raise CommandError(f"now {instant}")
    return instant


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CommandError("settings and each line must be a JSON object")
    return value
