"""``tracklayer key``: a merchant's API keys."""

from __future__ import annotations

import argparse

from tracklayer.cli.arguments import add_json, add_merchant, number_of, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, print_json, printing, refused, runtime_of
from tracklayer.cli.shapes import key_json
from tracklayer.cli.table import print_table, quoted
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import MAX_API_KEYS, api_keys
from tracklayer.services.merchants import SCOPES, create_api_key, revoke_api_key


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("key", help="create, list and revoke API keys")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="create a key; it is shown once")
    add_merchant(create)
    create.add_argument("--name", required=True, help="what it is for")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        type=str.lower,
        choices=SCOPES,
        help="what it may do: take events in, read, or everything; may be given again",
    )
    add_json(create)
    create.set_defaults(run=run_create)
    several = actions.add_parser(
        "list", help=f"list a merchant's keys, the newest first, then revoked ones; the first {MAX_API_KEYS + 1}"
    )
    add_merchant(several)
    add_json(several)
    several.set_defaults(run=run_list)
    revoke = actions.add_parser("revoke", help="make a key worth nothing, within a second and for good")
    add_merchant(revoke)
    revoke.add_argument("key", metavar="ID", help="the key's id, as `key list` shows it")
    add_json(revoke)
    revoke.set_defaults(run=run_revoke)


def run_create(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        created = create_api_key(runtime, merchant_id, args.name, args.scope)
    if isinstance(created, list):
        raise refused(created)
    row, key = created
    revoke = f"tracklayer key revoke --merchant {merchant_id} {row.key_id}"
    with printing(f"key {row.key_id} was made and cannot be shown: revoke it by `{revoke}`, then create another"):
        if args.json:
            print_json({"api_key": key_json(row), "key": key})
        else:
            print(f"{key}\n\nIts id is {row.key_id}, and it may {_may(row.scopes)}. It is shown this once: keep it.")
    return 0


def run_list(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()):
        merchant_id = the_merchant(args.merchant)
        with in_transaction():
            found = api_keys(merchant_id)
    if args.json:
        print_json({"api_keys": [key_json(row) for row in found]})
        return 0
    print_table(
        ("id", "begins with", "may", "created (UTC)", "last used (UTC)", "state", "name"),
        [
            (
                str(row.key_id),
                row.prefix,
                _may(row.scopes),
                row.created_at,
                row.last_used_at,
                "revoked" if row.revoked_at else "active",
                row.name,
            )
            for row in found
        ],
    )
    if len(found) > MAX_API_KEYS:
        print(f"\nThese are the first {len(found)}: there may be more, made or revoked before these.")
    return 0


def _may(scopes: list[str]) -> str:
    return ", ".join(scope for scope in SCOPES if scope in scopes)


def run_revoke(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        key_id = number_of(args.key, "ApiKey", merchant_id)
        row = revoke_api_key(runtime, merchant_id, key_id) if key_id is not None else None
    if row is None:
        raise CommandError(
            f"merchant {merchant_id} has no key {quoted(args.key)}: `tracklayer key list --merchant {merchant_id}` shows them"
        )
    with printing(f"the key {row.key_id} is revoked", is_kept=True):
        if args.json:
            print_json({"api_key": key_json(row)})
        else:
            print(f"The key {row.key_id} ({row.prefix}…) is revoked.")
    return 0
