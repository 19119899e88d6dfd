"""``tracklayer migrate``: brings the database to this version."""

from __future__ import annotations

import argparse
import logging
from datetime import UTC, datetime

from tracklayer.cli.process import CommandError, give_up_spoilt_key, own_sealer, print_json, settings_with_log
from tracklayer.db import connection
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.db.migrate import migrate, pending, unknown
from tracklayer.domain.monitors.words import counted
from tracklayer.services.keys import forget_lost_keys
from tracklayer.services.soundness import GO_BACK, version_trouble

log = logging.getLogger(__name__)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("migrate", help="bring the database to this version")
    parser.add_argument("--check", action="store_true", help="only say whether it is; exit 1 where it is not")
    parser.add_argument(
        "--forget-lost-keys",
        action="store_true",
        help="also give up what was sealed with keys that are lost: destinations' secrets must be set anew",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = settings_with_log()
    embedded = None if settings.database_url is not None else EmbeddedPostgres(settings.data_dir)
    try:
        connection.connect(embedded.start() if embedded is not None else str(settings.database_url))
        newer = version_trouble([], unknown())
        if newer is not None and not settings.allow_newer_database:
            raise CommandError(newer.sentence + GO_BACK)
        names = pending() if args.check else migrate()
        if args.forget_lost_keys and not args.check:
            give_up_spoilt_key(settings)
            lost = forget_lost_keys(own_sealer(settings), datetime.now(UTC))
            log.warning("%s forgotten", counted(lost, "lost key is", "lost keys are"))
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
