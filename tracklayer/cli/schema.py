"""``tracklayer schema``: the SDL."""

from __future__ import annotations

import argparse

from tracklayer.schema import schema


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("schema", help="print the GraphQL schema")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    print(schema.as_str())
    return 0
