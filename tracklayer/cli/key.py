"""``tracklayer key``: a merchant's API keys."""

from __future__ import annotations

import argparse

from tracklayer.cli.arguments import add_json, add_merchant, add_page, no_place, number_of, place_after, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, print_json, printing, refused, runtime_of
from tracklayer.cli.shapes import key_json, page_json
from tracklayer.cli.table import print_table, quoted
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import MAX_API_KEYS, api_keys
from tracklayer.domain import ids
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
    several = actions.add_parser("list", help="list a merchant's keys, the newest first, then revoked ones")
    add_merchant(several)
    add_page(several, MAX_API_KEYS + 1)  # as many as may be in force
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
    place = _place_of(args.after)
    with runtime_of(settings_beside()):
        merchant_id = the_merchant(args.merchant)
        with in_transaction():
            found = api_keys(merchant_id, args.limit + 1, place)
    page, more = found[: args.limit], len(found) > args.limit
    end = ids.encode("ApiKeyCursor", int(page[-1].revoked_at is not None), page[-1].key_id) if page else None
    if args.json:
        told = page_json([key_json(row) for row in page], end, has_next_page=more)
        print_json({"api_keys": told["nodes"], "page_info": told["page_info"]})
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
            for row in page
        ],
    )
    place_after(end if more else None)
    return 0


def _place_of(cursor: str | None) -> tuple[bool, int] | None:
    """Whether the key that the page before ended with was revoked, and its id. Raises CommandError."""
    if cursor is None:
        return None
    found = ids.parts_of(cursor, "ApiKeyCursor", (int, int))
    if found is None:
        raise no_place()
    return bool(found[0]), found[1]


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
