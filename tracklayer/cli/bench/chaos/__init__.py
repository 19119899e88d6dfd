"""``tracklayer bench chaos``: events flow while every role is killed again and again, and everything else breaks.

What breaks below them are Redis and PostgreSQL: emptied, stopped, full, read-only, crashed, frozen, locked, without room on
its disk, with times too short, behind a pooler that dies; within them a clock that is wrong and a mapper that raises; at one
platform every answer is lost. After each it is measured how long every API takes until it acknowledges again, and the workers
until they try a delivery again, or deliver to the platform in question.

Afterwards it is counted: every event that was acknowledged is stored with a delivery a platform, every delivery has come
to its end, the emulator has each exactly once, and nothing that must never be is found. The seed fixes who is killed
and what breaks, in which order.
"""

from __future__ import annotations

import argparse

from tracklayer.cli.bench.chaos import storm
from tracklayer.cli.process import print_json
from tracklayer.mappers import PLATFORMS

EVENTS, KILLS, WIDTH = 10_000, 50, 5


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("chaos", help="kill roles and break things while events flow; then count")
    parser.add_argument("--events", type=int, default=EVENTS, help="%(default)s")
    parser.add_argument(
        "--platforms", type=int, default=WIDTH, choices=range(1, len(PLATFORMS) + 1), help="%(default)s"
    )
    parser.add_argument("--kills", type=int, default=KILLS, help="%(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed and broken, and when (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    found = storm.storm(args.events, args.platforms, args.kills, args.seed)
    if args.json:
        print_json(vars(found))
    else:
        print(found.describe())
    return 0 if not found.faults else 1
