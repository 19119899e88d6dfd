"""``tracklayer erase``, ``tracklayer erase verify`` and ``tracklayer erase rotate-key``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, merchant_id_of, print_json, printing, refused, runtime_of
from tracklayer.db.connection import in_transaction
from tracklayer.db.erasures import GIVEN_UP, ErasureRow, erasure_by_id
from tracklayer.db.merchants import merchant_by_id
from tracklayer.runtime import Runtime
from tracklayer.services.erase import BY_COMMAND, Counted, Request, count_person, erase_person
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.receipts import WELL_KNOWN, ReceiptError, published_keys, read_keys, rotate_key, verify_receipt

PAUSE_SECONDS = 0.5  # between two looks at what others may do, too


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "erase", help="erase somebody, with a signed receipt; verify one; or sign with a new key"
    )
    who(parser, required=False)
    parser.add_argument("--dry-run", action="store_true", help="count what would go, and change nothing")
    parser.add_argument("--no-suppress", action="store_true", help="take later events of this person in as anybody's")
    parser.add_argument("--json", action="store_true", help="print the counts, or the receipt alone, as JSON")
    parser.set_defaults(run=run, fail=parser.error)
    actions = parser.add_subparsers(dest="action", metavar="verify | rotate-key")
    verify = actions.add_parser("verify", help="tell whether a receipt is as it was signed")
    verify.add_argument("file", metavar="FILE", help="the receipt")
    verify.add_argument(
        "--keys",
        metavar="KEYS.json",
        help=f"the public keys, as {WELL_KNOWN} has them; left out: those of the database",
    )
    verify.set_defaults(run=run_verify)
    rotate = actions.add_parser(
        "rotate-key", help="sign receipts with a new key from now on, such as after the old one leaked"
    )
    rotate.add_argument("--json", action="store_true", help="print the new key's id as JSON")
    rotate.set_defaults(run=run_rotate)


def who(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """The arguments that say who is meant. ``required``: whether the merchant must be named."""
    parser.add_argument("--merchant", required=required, metavar="ID", help="the merchant's id")
    parser.add_argument("--email", metavar="E", help="plain, or its SHA-256")
    parser.add_argument("--phone", metavar="P", help="with its country code, or the SHA-256 of its digits")
    parser.add_argument("--external-id", metavar="X", help="as it was sent")
    parser.add_argument("--browser-id", metavar="B", help="as it was sent")
    parser.add_argument("--event-id", action="append", metavar="ID", help="an event; may be given again")


def run(args: argparse.Namespace) -> int:
    """Exit 0 once it has finished. Ended before, the workers go on with it."""
    if args.merchant is None:
        args.fail("say whose customer it was: --merchant ID")
    asked, merchant_id = request(args), merchant_id_of(args.merchant)
    with runtime_of(settings_beside()) as runtime:
        check_merchant(merchant_id, args.merchant)
        if args.dry_run:
            counted = count_person(runtime, merchant_id, asked, seconds=3600)
            if isinstance(counted, list):
                raise refused(counted, named=True)
            if args.json:
                print_json(vars(counted))
            else:
                print(_would_go(counted))
            return 0
        begun = erase_person(runtime, merchant_id, asked, BY_COMMAND, suppress=not args.no_suppress)
        if isinstance(begun, list):
            raise refused(begun, named=True)
        if begun.is_another:
            print(
                f"erasure {begun.erasure.erasure_id} of this person goes on already: it does what was asked for, and its receipt "
                "is the one for both",
                file=sys.stderr,
            )
        done = _finish(runtime, begun.erasure)
    kept = (
        f"erasure {done.erasure_id} is done, and its receipt is kept: the dashboard's Settings have it, and the API as `merchant "
        "{ erasures { nodes { receipt } } }`; another erasure would get a receipt of its own, which names nothing of this one"
    )
    with printing(kept):
        _print_done(done, as_json=args.json)
    return 0


def _print_done(done: ErasureRow, *, as_json: bool) -> None:
    if as_json:
        print(done.receipt)
        return
    events, deliveries = done.counts.get("events", 0), done.counts.get("deliveries", 0)
    if uncertain := done.counts.get("uncertain", 0):
        print(f"{some(uncertain, 'event')} may be somebody else's, and stayed: a dry run tells which.")
    print(f"Erased: {some(events, 'event')} with {some(deliveries, 'delivery')}. The receipt:\n\n{done.receipt}")


def _would_go(counted: Counted) -> str:
    """A dry run's result, in sentences."""
    lines = [
        f"{some(counted.events, 'event')} with {some(counted.deliveries, 'delivery')} would be erased, and "
        f"{some(counted.browsers - counted.shared, 'browser')} forgotten."
    ]
    if counted.shared:
        lines.append(
            f"{some(counted.shared, 'browser')} that others were seen with too would stay, and only lose the link."
        )
    kinds = {"email": counted.emails, "phone": counted.phones, "external id": counted.external_ids}
    if max(kinds.values()) > 1:
        several = ", ".join(some(count, kind) for kind, count in kinds.items() if count)
        lines.append(f"These events have {several}, all different: is that one person?")
    if counted.uncertain:
        lines.append(
            f"{some(counted.uncertain, 'event')} would stay, as {'it' if counted.uncertain == 1 else 'they'} may be somebody "
            "else's: a phone that reads in two ways, or another person in the browser that you named. Look, and name with "
            f"--event-id what is this person's: {', '.join(counted.uncertain_ids)}"
        )
    return "\n".join(lines)


def some(count: int, noun: str) -> str:
    """``1 browser``, ``2 deliveries``."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"


def _finish(runtime: Runtime, begun: ErasureRow) -> ErasureRow:
    """Does what there is to do, beside whichever workers there are, until this one has finished."""
    failures = 0
    while True:
        continue_erasures(runtime)
        with in_transaction():
            row = erasure_by_id(begun.merchant_id, begun.erasure_id)
        if row is None:
            raise CommandError("the merchant is gone")
        if row.stage == GIVEN_UP:
            raise CommandError("the secret key that it was sealed with was given up: erase this person anew")
        if row.finished_at is not None:
            return row
        if row.failures > failures:
            print(
                f"erasure {row.erasure_id}: its next step failed, {row.failures} in a row; it is tried again in a minute",
                file=sys.stderr,
            )
        failures = row.failures
        time.sleep(PAUSE_SECONDS)


def run_verify(args: argparse.Namespace) -> int:
    """Without a database where the keys are given."""
    text = _bytes_of(args.file)
    try:
        if args.keys is not None:
            keys = read_keys(_bytes_of(args.keys))
        else:
            with runtime_of(settings_beside()) as runtime:
                keys = {one["key_id"]: bytes.fromhex(one["public_key"]) for one in published_keys(runtime)["keys"]}
        told = verify_receipt(text, keys)
    except ReceiptError as error:
        raise CommandError(str(error)) from None
    print(
        f"The receipt is as it was signed: erasure {told['erasure']} of merchant {told['merchant']}, finished at "
        f"{told['finished_at']}, {told['deleted'].get('events', 0)} events."
    )
    return 0


def run_rotate(args: argparse.Namespace) -> int:
    """Every process signs with it at once. Receipts that the former key signed verify as before."""
    with runtime_of(settings_beside()) as runtime:
        key_id = rotate_key(runtime)
    with printing(f"receipts are signed with key {key_id} from now on: there is no need to say it again", is_kept=True):
        if args.json:
            print_json({"key_id": key_id})
        else:
            print(
                f"Receipts are signed with key {key_id} from now on. The former one is retired: its private half is deleted, its "
                f"public half stays at {WELL_KNOWN}, so that its receipts verify as before."
            )
    return 0


def request(args: argparse.Namespace) -> Request:
    """What ``who`` was given. Wrong usage where that is nobody."""
    asked = Request(args.email, args.phone, args.external_id, args.browser_id, tuple(args.event_id or ()))
    if asked == Request():
        args.fail("say who is meant: --email, --phone, --external-id, --browser-id or --event-id")
    return asked


def check_merchant(merchant_id: int, given: str) -> None:
    """Raises CommandError where there is no such merchant."""
    with in_transaction():
        if merchant_by_id(merchant_id) is None:
            raise CommandError(f"there is no merchant {given}")


def _bytes_of(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from None
