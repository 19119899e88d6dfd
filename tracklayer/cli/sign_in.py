"""``tracklayer sign-in``: a link to the dashboard that works once."""

from __future__ import annotations

import argparse
import sys

from tracklayer.cli.arguments import port_number
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import (
    CommandError,
    UsageError,
    merchant_id_of,
    print_json,
    printing,
    runtime_of,
    settings_with_log,
)
from tracklayer.cli.up import on_port
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import merchant_by_id, page_of_merchants, sole_merchant_id
from tracklayer.services.sign_in import CODE_LIFETIME, link_with, make_code

MINUTES = int(CODE_LIFETIME.total_seconds()) // 60


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "sign-in", help=f"print a link that signs one person in to the dashboard, once, within {MINUTES} minutes"
    )
    parser.add_argument(
        "--merchant", metavar="ID", help="whose dashboard (the merchant that `tracklayer up` made, or the only one)"
    )
    parser.add_argument(
        "--port", type=port_number, help="as given to `tracklayer up`, where TRACKLAYER_PUBLIC_URL is not set"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = settings_beside() if args.port is None else on_port(settings_with_log(), args.port)
    with runtime_of(settings) as runtime:
        merchant_id = _merchant(args.merchant)
        link = link_with(runtime.settings.public_url, make_code(runtime, merchant_id))
        expires_at = runtime.clock.now() + CODE_LIFETIME
    with printing("the link that was made cannot be shown: say it again for another"):
        if args.json:
            print_json({"merchant_id": str(merchant_id), "url": link, "expires_at": expires_at})
        else:
            print(f"{link}\n\nIt signs in whoever opens it first, with all rights, once and within {MINUTES} minutes.")
    return 0


def _merchant(given: str | None) -> int:
    """Raises CommandError where there is no such merchant, or nobody can tell which."""
    with in_transaction():
        if given is None:
            found = sole_merchant_id()
            if found is None:
                raise UsageError("say whose dashboard: --merchant ID, as `tracklayer merchant create` printed it")
            if len(page_of_merchants(0, 2)) > 1:
                print(
                    f"It is of merchant {found}, which `tracklayer up` made: --merchant ID is for another.",
                    file=sys.stderr,
                )
            return found
        merchant_id = merchant_id_of(given)
        if merchant_by_id(merchant_id) is None:
            raise CommandError(f"there is no merchant {given}")
        return merchant_id
