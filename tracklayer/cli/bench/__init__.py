"""``tracklayer bench``: what this machine does, as ratios against limits measured in the same run.

One file a benchmark. ``ground`` is what they stand on: a PostgreSQL and child processes of their own, and the tables;
``load`` asks, ``rivals`` answers; both run as processes of their own.
"""

from __future__ import annotations

import argparse
from importlib import import_module

# Modules of this package, in the order in which `--help` lists them. None is loaded by those that run as processes of their
# own, which are to start soon.
BENCHMARKS = ("mapping", "ingest", "deliver", "read", "store", "identity", "merchants", "chaos")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("bench", help="measure this machine, as ratios against limits of the same run")
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    for benchmark in BENCHMARKS:
        import_module(f"{__name__}.{benchmark}").add(actions)
