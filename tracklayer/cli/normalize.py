"""``tracklayer normalize``: a value as a platform would get it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import orjson

from tracklayer.cli.process import CommandError
from tracklayer.mappers import PLATFORMS
from tracklayer.services.preview import normalise_value


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "normalize",
        help="read {platform, field, value, settings?} a line, print the same with out: hash, plain, or null where "
        "it is dropped",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    for number, line in enumerate(sys.stdin.buffer, 1):
        if line.strip():
            given = _read(number, line)
            settings = given.get("settings") or {}
            out = normalise_value(given["platform"], given["field"], given["value"], settings)
            sys.stdout.buffer.write(orjson.dumps({**given, "out": out}) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def _read(number: int, line: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise CommandError(f"line {number} is not JSON") from None
    if not isinstance(given, dict) or not all(isinstance(given.get(n), str) for n in ("platform", "field", "value")):
        raise CommandError(f"line {number} must be an object of platform, field and value, all text")
    if given["platform"] not in PLATFORMS:
        raise CommandError(f"line {number}: platform must be one of {', '.join(PLATFORMS)}")
    if not isinstance(given.get("settings") or {}, dict):
        raise CommandError(f"line {number}: settings must be an object")
    return given
