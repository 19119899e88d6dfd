"""``tracklayer merchant``: created, listed, shown, and what their shops' pages may tell."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext

from tracklayer.cli.arguments import add_json, add_merchant, add_page, place_after, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import (
    CommandError,
    merchant_id_of,
    print_json,
    printing,
    refused,
    runtime_of,
)
from tracklayer.cli.shapes import merchant_json, page_json
from tracklayer.cli.table import print_fields, print_table
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import Overview, overview
from tracklayer.domain.collector import Collector, address_of, snippet
from tracklayer.services.merchants import RETENTION_DAYS, create_merchant, update_merchant


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "merchant", help="create, list and show merchants, and what their shops' pages may tell"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="create a merchant; prints its id and its API key, once")
    create.add_argument("--name", required=True, help="the merchant's name")
    create.add_argument(
        "--retention-days", type=int, default=90, choices=RETENTION_DAYS, help="how long events are kept (%(default)s)"
    )
    create.add_argument("--no-hashing", action="store_true", help="keep email and phone plain")
    create.add_argument("--alert-email", action="append", default=[], help="who gets alerts; may be given again")
    add_json(create)
    create.set_defaults(run=run_create)

    several = actions.add_parser("list", help="list the merchants, by id; of those that are shown the worst first")
    add_page(several)
    add_json(several)
    several.set_defaults(run=run_list)

    show = actions.add_parser("show", help="show one merchant")
    show.add_argument("merchant", nargs="?", metavar="ID", help="its id; may be left out where there is only one")
    add_json(show)
    show.set_defaults(run=run_show)

    change = actions.add_parser("collector", help="show or change what a shop's pages may tell; what is left out stays")
    add_merchant(change)
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
    add_json(change)
    change.set_defaults(run=run_collector)


def run_create(args: argparse.Namespace) -> int:
    settings = settings_beside()
    with runtime_of(settings) as runtime:
        created = create_merchant(runtime, args.name, args.retention_days, not args.no_hashing, args.alert_email)
    if isinstance(created, list):
        raise refused(created)
    merchant_id, key = created
    if args.alert_email and settings.smtp_url is None:
        print(
            "Nobody gets an e-mail as yet: no mail server is set here. Give TRACKLAYER_SMTP_URL to the processes of TrackLayer.",
            file=sys.stderr,
        )
    made = (
        f"merchant {merchant_id} was made, and its key cannot be shown: create another by `tracklayer key create --merchant "
        f"{merchant_id} --name NAME --scope admin`, and revoke “first key”, which `tracklayer key list --merchant {merchant_id}` shows"
    )
    with printing(made):
        if args.json:
            print_json({"merchant_id": str(merchant_id), "api_key": key})
        else:
            print(f"merchant_id  {merchant_id}\napi_key      {key}\n\nThe key is shown this once: keep it.")
    return 0


def run_list(args: argparse.Namespace) -> int:
    after = merchant_id_of(args.after) if args.after is not None else 0
    with runtime_of(settings_beside()), in_transaction():
        found = overview(after, args.limit + 1)
    page, more = found[: args.limit], len(found) > args.limit
    end = str(page[-1].row.merchant_id) if page else None
    if args.json:
        print_json(page_json([_as_json(one) for one in page], end, has_next_page=more))
        return 0
    worst_first = sorted(page, key=lambda one: (-one.critical, -one.open_alerts, -one.not_active, one.row.merchant_id))
    print_table(
        ("id", "open alerts", "critical", "not sent to", "destinations", "retention", "hashing", "name"),
        [
            (
                str(one.row.merchant_id),
                one.open_alerts,
                one.critical,
                one.not_active,
                one.destinations,
                f"{one.row.retention_days} d",
                "on" if one.row.hash_user_data else "off",
                one.row.name,
            )
            for one in worst_first
        ],
    )
    place_after(end if more else None)
    return 0


def _as_json(one: Overview) -> dict[str, object]:
    return {
        **merchant_json(one.row),
        "destinations": one.destinations,
        "destinations_not_active": one.not_active,
        "open_alerts": one.open_alerts,
        "open_alerts_critical": one.critical,
    }


def run_show(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()):
        merchant_id = the_merchant(args.merchant)
        with in_transaction():
            (one,) = overview(merchant_id - 1, 1)
    if args.json:
        print_json(_as_json(one))
        return 0
    row = one.row
    print_fields(
        [
            ("id", str(row.merchant_id)),
            ("name", row.name),
            ("created", row.created_at),
            ("retention", f"{row.retention_days} days"),
            ("hashing", "on" if row.hash_user_data else "off: email and phone are kept plain"),
            ("alert e-mails", ", ".join(row.alert_emails) or "nobody"),
            ("default currency", row.default_currency),
            ("default page", row.default_page_url),
            ("consent required", row.require_consent),
            ("destinations", f"{one.destinations:,}, {one.not_active:,} of them not sent to"),
            ("open alerts", f"{one.open_alerts:,}, {one.critical:,} of them critical"),
        ]
    )
    return 0


def run_collector(args: argparse.Namespace) -> int:
    given = {
        "enabled": args.enabled,
        "origins": args.origin,
        "cookie_domain": args.cookie_domain,
        "consent_required": args.consent_required,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    with runtime_of(settings_beside()) as runtime:
        merchant_id = merchant_id_of(args.merchant) if args.merchant is not None else the_merchant(None)
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
    done = f"the collector of merchant {merchant_id} is set; `tracklayer merchant collector --merchant {merchant_id}` shows it"
    with printing(done, is_kept=True) if changes else nullcontext():
        if args.json:
            print_json(
                {"merchant_id": str(merchant_id), **found.stored(), "public_key": row.public_key, "snippet": tag}
            )
        else:
            _print_collector(found, tag)
    return 0


def _print_collector(found: Collector, tag: str | None) -> None:
    print(f"{'enabled' if found.enabled else 'not enabled'}, for pages of {', '.join(found.origins) or 'nobody'}")
    print(
        f"cookie on {found.cookie_domain or 'the exact host'}, {'after' if found.consent_required else 'without'} consent"
    )
    if tag is not None:
        print(f"\n{tag}")
