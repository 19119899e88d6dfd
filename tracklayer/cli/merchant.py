"""``tracklayer merchant create``."""

from __future__ import annotations

import argparse

from tracklayer.cli.process import CommandError, print_json, runtime_of, settings_with_log
from tracklayer.services.merchants import RETENTION_DAYS, create_merchant


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("merchant", help="create merchants")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="create a merchant; prints its id and its API key, once")
    create.add_argument("--name", required=True, help="the merchant's name")
    create.add_argument(
        "--retention-days", type=int, default=90, choices=RETENTION_DAYS, help="how long events are kept (%(default)s)"
    )
    create.add_argument("--no-hashing", action="store_true", help="keep email and phone plain")
    create.add_argument("--alert-email", action="append", default=[], help="who gets alerts; may be given again")
    create.add_argument("--json", action="store_true", help="print the result as JSON")
    create.set_defaults(run=run_create)


def run_create(args: argparse.Namespace) -> int:
    with runtime_of(settings_with_log()) as runtime:
        created = create_merchant(runtime, args.name, args.retention_days, not args.no_hashing, args.alert_email)
    if isinstance(created, list):
        raise CommandError(" ".join(problem.message for problem in created))
    merchant_id, key = created
    if args.json:
        print_json({"merchant_id": str(merchant_id), "api_key": key})
    else:
        print(f"merchant_id  {merchant_id}\napi_key      {key}\n\nThe key is shown this once: keep it.")
    return 0
