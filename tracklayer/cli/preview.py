"""``tracklayer preview``: what would be sent, without a database."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any

import orjson

from tracklayer.cli.process import CommandError, print_json, read_json
from tracklayer.clock import SystemClock
from tracklayer.domain.event import read_instant
from tracklayer.mappers import PLATFORMS
from tracklayer.services.preview import Preview, preview


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("preview", help="show what would be sent for an event; sends and stores nothing")
    parser.add_argument("--platform", choices=PLATFORMS, help="the platform")
    parser.add_argument("--settings", metavar="FILE.json", help="the destination's settings")
    parser.add_argument("--now", metavar="INSTANT", help="judge ages as of this instant instead of the clock")
    parser.add_argument(
        "--batch", action="store_true", help="read {platform, settings, event, now?} a line from standard input"
    )
    parser.add_argument("event", nargs="?", metavar="EVENT.json", help="the event; - for standard input")
    parser.set_defaults(run=run, fail=parser.error)


def run(args: argparse.Namespace) -> int:
    if args.batch:
        return _batch()
    if args.platform is None or args.event is None:
        args.fail("--platform and EVENT.json are required, or --batch")
    settings = read_json(args.settings, "settings") if args.settings else {}
    found = preview(read_json(args.event, "event"), args.platform, _object(settings), _now(args.now))
    print_json(_shown(found))
    return 0 if found.request is not None else 1


def _batch() -> int:
    clock = SystemClock()
    status = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            given = _object(orjson.loads(line))
            platform = given.get("platform")
            if platform not in PLATFORMS:
                raise CommandError(f"platform must be one of {', '.join(PLATFORMS)}")
            now = _now(given["now"]) if given.get("now") else clock.now()
            shown = _shown(preview(given.get("event"), platform, _object(given.get("settings") or {}), now))
        except orjson.JSONDecodeError:
            shown, status = {"refused": "INVALID_LINE", "error": f"line {number} is not JSON", "verdicts": []}, 1
        except CommandError as error:
            shown, status = {"refused": "INVALID_LINE", "error": f"line {number}: {error}", "verdicts": []}, 1
        sys.stdout.buffer.write(orjson.dumps(shown) + b"\n")
    sys.stdout.buffer.flush()
    return status


def _shown(found: Preview) -> dict[str, Any]:
    verdicts = [
        {"rule": v.rule, "ok": v.ok, "message": v.message, **({"field": v.field} if v.field else {})}
        for v in found.verdicts
    ]
    if found.request is not None:
        return {"request": found.request, "verdicts": verdicts}
    return {"refused": found.refused, "verdicts": verdicts}


def _now(text: str | None) -> datetime:
    if text is None:
        return SystemClock().now()
    instant = read_instant(text)
    if isinstance(instant, str):
        raise CommandError(f"--now {instant}")
    return instant


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CommandError("settings and each line must be a JSON object")
    return value
