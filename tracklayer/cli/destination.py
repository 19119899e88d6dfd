"""``tracklayer destination set``."""

from __future__ import annotations

import argparse
from typing import Any

from tracklayer.cli.process import (
    CommandError,
    merchant_id_of,
    print_json,
    read_json,
    runtime_of,
    settings_with_log,
)
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import merchant_by_id
from tracklayer.mappers import PLATFORMS
from tracklayer.services.check import Checked, check_destination, in_words
from tracklayer.services.credentials import shown_settings
from tracklayer.services.destinations import KEEP, set_destination
from tracklayer.services.refusals import reason_and_field


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("destination", help="create or change destinations")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    change = actions.add_parser("set", help="create or change a destination; what is left out stays")
    change.add_argument("--merchant", required=True, metavar="ID", help="the merchant's id")
    change.add_argument("--platform", required=True, choices=PLATFORMS, help="the platform")
    change.add_argument(
        "--settings", metavar="FILE.json", help="settings, null removes one; left out: all stay; - for standard input"
    )
    names = change.add_mutually_exclusive_group()
    names.add_argument(
        "--event-name", action="append", metavar="N", help="only events of this name; may be given again"
    )
    names.add_argument("--every-event", action="store_true", help="events of any name again")
    change.add_argument("--json", action="store_true", help="print the result as JSON")
    change.set_defaults(run=run_set)


def run_set(args: argparse.Namespace) -> int:
    settings = read_json(args.settings, "settings") if args.settings is not None else KEEP
    merchant_id = merchant_id_of(args.merchant)
    with runtime_of(settings_with_log()) as runtime:
        with in_transaction():
            if merchant_by_id(merchant_id) is None:
                raise CommandError(f"there is no merchant {args.merchant}")
        names = None if args.every_event else args.event_name or KEEP
        found = set_destination(runtime, merchant_id, args.platform, settings, names)
        if isinstance(found, list):
            raise CommandError(" ".join(problem.message for problem in found))
        shown = shown_settings(runtime.sealer, found.row)
        checked = check_destination(runtime, found.row)
    if args.json:
        check = as_json(checked) if checked is not None else None
        print_json({"merchant_id": str(merchant_id), "platform": args.platform, "settings": shown, "check": check})
    else:
        taken = "every event" if found.row.event_names is None else ", ".join(found.row.event_names) or "no event"
        print(f"{args.platform} is set for merchant {merchant_id}: {taken}")
        print(
            in_words(checked)
            if checked is not None
            else "It could not be checked against the last events: see the log."
        )
    return 0


def as_json(checked: Checked) -> dict[str, Any]:
    """A check in the words of JSON."""
    refused = []
    for key, count in sorted(checked.refused.items()):
        reason, field = reason_and_field(key)
        refused.append({"reason": reason, "count": count, "field": field, "example_event_id": checked.examples[key]})
    return {"events": checked.events, "would_send": checked.would_send, "refused": refused}
