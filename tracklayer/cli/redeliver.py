"""``tracklayer redeliver``: says what would be sent again, and sends it where that is confirmed."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from tracklayer.cli.arguments import add_json, add_merchant, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.deliveries import add_filter, search_of
from tracklayer.cli.process import CommandError, print_json, printing, runtime_of
from tracklayer.cli.shapes import check_json, refused_json
from tracklayer.cli.table import print_table, quoted
from tracklayer.db.connection import ReadTimeoutError, in_transaction
from tracklayer.db.deliveries import deliveries_of_events
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.redeliveries import Key
from tracklayer.domain import ids
from tracklayer.domain.text import is_storable
from tracklayer.runtime import Runtime
from tracklayer.services.check import Checked, check_redelivery, refused_in_words
from tracklayer.services.pacing import Redelivered
from tracklayer.services.redeliver import count_ids, count_matching, redeliver_ids, redeliver_matching

COUNT_SECONDS = 60.0  # of a dry run: whoever types the command waits for it


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "redeliver",
        help="send failed and dropped deliveries again; without --yes it only says what it would do",
        description="Starts a new series of attempts for deliveries that failed or were dropped. Each keeps its event's "
        "time and deduplication id, by which platforms know a copy. Without --yes nothing is changed.",
    )
    add_merchant(parser)
    parser.add_argument("--event-id", action="append", metavar="ID", help="of this event; may be given again")
    add_filter(parser)
    parser.add_argument("--all", action="store_true", help="every failed and dropped delivery is meant")
    parser.add_argument("--yes", action="store_true", help="do it")
    add_json(parser)
    parser.set_defaults(run=run, fail=parser.error)


def run(args: argparse.Namespace) -> int:
    if not args.event_id and not args.all and not search_of(args, datetime.now(UTC)).narrows:
        args.fail("say which: --platform, --reason, --since and so on, --event-id, or --all")
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        search = search_of(args, runtime.clock.now())
        keys, unknown = _keys_of(merchant_id, args.event_id) if args.event_id is not None else (None, 0)
        is_nothing = keys == []
        if is_nothing and not args.json:
            some = "" if len(args.event_id) == 1 else f"any of these {len(args.event_id):,} events, such as "
            raise CommandError(f"merchant {merchant_id} has no delivery of {some}{quoted(args.event_id[0])}")
        try:
            result = _redelivered(runtime, merchant_id, keys, unknown, search, done=args.yes)
        except ReadTimeoutError:
            raise CommandError(
                "this takes too long to find, and nothing was changed: narrow it, by --since say"
            ) from None
        check = check_redelivery(runtime, merchant_id, result.due) if result.due else None
    done = f"{result.requeued:,} of {result.matched:,} deliveries are queued again"
    with printing(done, is_kept=True) if args.yes else nullcontext():
        if args.json:
            print_json(_as_json(result, check, dry_run=not args.yes))
        else:
            _print(result, check, dry_run=not args.yes)
    return 1 if is_nothing else 0


def _redelivered(
    runtime: Runtime, merchant_id: int, keys: list[Key] | None, unknown: int, search: DeliverySearch, *, done: bool
) -> Redelivered:
    if keys is None:
        if done:
            return redeliver_matching(runtime, merchant_id, search)
        return count_matching(runtime, merchant_id, search, COUNT_SECONDS)
    if done:
        return redeliver_ids(runtime, merchant_id, keys, search, unknown)
    return count_ids(runtime, merchant_id, keys, search, unknown, COUNT_SECONDS)


def _keys_of(merchant_id: int, event_ids: list[str]) -> tuple[list[Key], int]:
    """The deliveries of events, and how many of the ids have none."""
    storable = [event_id for event_id in dict.fromkeys(event_ids) if is_storable(event_id)]
    with in_transaction():
        found = deliveries_of_events(merchant_id, storable)
    keys = [(row.event_id, row.platform) for rows in found.values() for row in rows]
    return keys, len(set(event_ids)) - sum(1 for rows in found.values() if rows)


def _as_json(result: Redelivered, check: Checked | None, *, dry_run: bool) -> dict[str, Any]:
    job = result.job
    return {
        "dry_run": dry_run,
        "matched": result.matched,
        "requeued": result.requeued,
        "refused": refused_json(result.refused, result.examples),
        "complete": result.complete,
        "duplicate_risk": result.at_risk,
        "check": check_json(check, "deliveries") if check is not None else None,
        "job": {"id": ids.encode("Redelivery", job.merchant_id, job.redelivery_id)} if job is not None else None,
    }


def _print(result: Redelivered, check: Checked | None, *, dry_run: bool) -> None:
    least = "" if result.complete or not dry_run else "at least "
    done = "would be queued again" if dry_run else "are queued again"
    print(f"{least}{result.requeued:,} of {result.matched:,} deliveries {done}.".capitalize())
    refused = refused_json(result.refused, result.examples)
    if refused:
        print()
        print_table(
            ("not sent", "field", "such as event", "reason"),
            [
                (one["count"], one["field"], one["example_event_id"], one["reason"])
                for one in sorted(refused, key=lambda one: -one["count"])
            ],
        )
    if check is not None and check.refused:
        looked_at = f"Of the {check.events:,} that were looked at, " if check.events < result.requeued else ""
        dropped = f"{check.events - check.would_send:,} would be dropped again: {refused_in_words(check)}."
        print(f"\n{looked_at}{dropped}")
    if result.at_risk:
        print(
            f"\n{result.at_risk:,} of these {result.requeued:,} may be counted twice: an attempt got no answer, and the platform "
            "does not recognise a copy that comes so late."
        )
    if result.job is not None:
        print("\nThese are the first. The workers go on with the others, about a thousand a second and destination.")
    if dry_run and result.requeued:
        print("\nNothing was changed. Say it again with --yes to send them.", file=sys.stderr)
