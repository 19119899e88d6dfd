"""``tracklayer merchant create`` and ``tracklayer merchant collector``."""

from __future__ import annotations

import argparse

from tracklayer.cli.process import (
    CommandError,
    merchant_id_of,
    print_json,
    runtime_of,
    settings_with_log,
)
from tracklayer.domain.collector import Collector, address_of, snippet
from tracklayer.services.merchants import RETENTION_DAYS, create_merchant, update_merchant


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("merchant", help="create merchants, and set what their shops' pages may tell")
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

    change = actions.add_parser("collector", help="show or change what a shop's pages may tell; what is left out stays")
    change.add_argument("--merchant", required=True, metavar="ID", help="the merchant's id")
    change.add_argument(
        "--enabled", action=argparse.BooleanOptionalAction, default=None, help="whether the shop's pages may call"
    )
    change.add_argument(
        "--origin", action="append", metavar="O", help="a page's, such as https://www.shop.example; may be given again"
    )
    change.add_argument(
        "--cookie-domain", metavar="D", help="whose hosts share the cookie; empty: the collector's own host alone"
    )
    change.add_argument(
        "--consent-required",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether nothing is set or kept before a page says that its visitor agreed",
    )
    change.add_argument("--json", action="store_true", help="print the result as JSON")
    change.set_defaults(run=run_collector)


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


def run_collector(args: argparse.Namespace) -> int:
    given = {
        "enabled": args.enabled,
        "origins": args.origin,
        "cookie_domain": args.cookie_domain,
        "consent_required": args.consent_required,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    merchant_id = merchant_id_of(args.merchant)
    with runtime_of(settings_with_log()) as runtime:
        row = update_merchant(runtime, merchant_id, {"collector": changes})
        address = runtime.settings.public_url, runtime.settings.collector_hosts
    if isinstance(row, list):
        raise CommandError(" ".join(problem.message for problem in row))
    found = Collector.read(row.collector)
    tag = None
    if row.public_key is not None:
        tag = snippet(
            address_of(found, address[1], address[0]), row.public_key, consent_required=found.consent_required
        )
    if args.json:
        print_json({"merchant_id": str(merchant_id), **found.stored(), "public_key": row.public_key, "snippet": tag})
        return 0
    print(f"{'enabled' if found.enabled else 'not enabled'}, for pages of {', '.join(found.origins) or 'nobody'}")
    print(
        f"cookie on {found.cookie_domain or 'the exact host'}, {'after' if found.consent_required else 'without'} consent"
    )
    if tag is not None:
        print(f"\n{tag}")
    return 0
