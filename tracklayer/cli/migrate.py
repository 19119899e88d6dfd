"""``tracklayer migrate``: brings the database to this version."""

from __future__ import annotations

import argparse

from tracklayer.cli.process import print_json, settings_with_log
from tracklayer.db import connection
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.db.migrate import migrate, pending


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("migrate", help="bring the database to this version")
    parser.add_argument("--check", action="store_true", help="only say whether it is; exit 1 where it is not")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = settings_with_log()
    embedded = None if settings.database_url is not None else EmbeddedPostgres(settings.data_dir)
    connection.connect(embedded.start() if embedded is not None else str(settings.database_url))
    try:
        names = pending() if args.check else migrate()
    finally:
        connection.disconnect()
        if embedded is not None:
            embedded.stop()
    if args.json:
        print_json({"pending" if args.check else "applied": names})
    elif args.check:
        print(f"missing: {', '.join(names)}" if names else "the database is at this version")
    else:
        print(f"applied: {', '.join(names)}" if names else "nothing to do: the database is at this version")
    return 1 if args.check and names else 0
