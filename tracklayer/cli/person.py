"""``tracklayer person export``."""

from __future__ import annotations

import argparse
import sys

from tracklayer.cli.beside import settings_beside
from tracklayer.cli.erase import check_merchant, request, some, who
from tracklayer.cli.process import merchant_id_of, refused, runtime_of
from tracklayer.services.access_package import Package, as_json, check_export, export_person


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("person", help="what is stored about somebody")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = actions.add_parser("export", help="print it as JSON, sealed fields opened")
    who(export, required=True)
    export.set_defaults(run=run, fail=export.error)


def run(args: argparse.Namespace) -> int:
    """Printed as it is found: however much there is, little of it is in memory. What may be somebody else's is told on stderr."""
    asked, merchant_id = request(args), merchant_id_of(args.merchant)
    with runtime_of(settings_beside()) as runtime:
        check_merchant(merchant_id, args.merchant)
        problems = check_export(merchant_id, asked)
        if problems:
            raise refused(problems, named=True)
        found = Package()
        for piece in as_json(export_person(runtime, merchant_id, asked, found)):
            sys.stdout.write(piece.decode())
        sys.stdout.flush()
    if found.uncertain:
        print(
            f"{some(found.uncertain, 'event')} may be somebody else's, and {'is' if found.uncertain == 1 else 'are'} not in it: "
            "tracklayer erase --dry-run tells which; name with --event-id what is this person's.",
            file=sys.stderr,
        )
    return 0
