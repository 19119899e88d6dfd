"""``tracklayer deliveries``: what became of events at the platforms, narrowed as in the API."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from tracklayer.cli.arguments import (
    add_json,
    add_merchant,
    add_page,
    moment,
    place_after,
    place_of,
    span_of,
    the_merchant,
)
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, print_json, runtime_of
from tracklayer.cli.shapes import page_json, standing_delivery_json
from tracklayer.cli.table import print_table
from tracklayer.db.connection import bounded_read
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.destinations import destinations
from tracklayer.db.walks import walk_of_deliveries
from tracklayer.domain import ids
from tracklayer.domain.delivery import DeliveryStatus, DropReason
from tracklayer.domain.text import is_storable
from tracklayer.mappers import PLATFORMS

PAGE = 500  # of one statement
_WORST_FIRST = (DeliveryStatus.DROPPED, DeliveryStatus.FAILED, DeliveryStatus.QUEUED, DeliveryStatus.DELIVERED)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "deliveries",
        help="list deliveries",
        description="Lists deliveries, newest queued first; a table shows the worst of those first. Times are UTC.",
    )
    add_merchant(parser)
    add_filter(parser)
    add_page(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def add_filter(parser: argparse.ArgumentParser) -> None:
    """What ``search_of`` reads."""
    parser.add_argument("--platform", choices=PLATFORMS, help="to this platform")
    parser.add_argument(
        "--status",
        action="append",
        type=str.lower,
        choices=[status.value for status in DeliveryStatus],
        help="in this status; may be given again",
    )
    parser.add_argument(
        "--reason",
        action="append",
        type=str.lower,
        choices=[reason.value for reason in DropReason],
        help="dropped for this reason; may be given again",
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help="queued then or later: 2026-11-20T14:00:00Z, 2026-11-20, or 24h for a day ago",
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="queued before then")
    parser.add_argument("--received-since", type=moment, metavar="TIME", help="of events received then or later")
    parser.add_argument("--received-until", type=moment, metavar="TIME", help="of events received before then")
    parser.add_argument(
        "--held",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="those that wait because their destination is paused or held, or all others",
    )
    parser.add_argument("--error-contains", metavar="TEXT", help="with this text in the last error, case ignored")
    parser.add_argument("--error-code", metavar="CODE", help="with exactly this code of the last refusal")


def search_of(args: argparse.Namespace, now: datetime) -> DeliverySearch:
    """Raises CommandError."""
    for name in ("error_contains", "error_code"):
        text = getattr(args, name)
        if text is not None and (not is_storable(text) or len(text) > ids.MAX_TEXT):
            raise CommandError(f"--{name.replace('_', '-')} must be plain text of at most {ids.MAX_TEXT:,} characters")
    received_since, received_until = span_of(args, now, "received_")
    return DeliverySearch(
        args.platform,
        tuple(args.status or ()),
        tuple(args.reason or ()),
        *span_of(args, now),
        args.error_contains,
        received_since=received_since,
        received_until=received_until,
        held=args.held,
        error_code=args.error_code,
    )


def run(args: argparse.Namespace) -> int:
    place = place_of(args.after, "Delivery", (str, str))
    with runtime_of(settings_beside()) as runtime:
        merchant_id, now = the_merchant(args.merchant), runtime.clock.now()
        search = replace(search_of(args, now), after=place)
        found = list(_rows(merchant_id, search, args.limit + 1))
        with bounded_read():
            there = {row.platform: row for row in destinations(merchant_id)}
        url = runtime.settings.public_url
        shown = [standing_delivery_json(url, row, there.get(row.platform), now) for row in found[: args.limit]]
    last = found[min(len(found), args.limit) - 1] if found else None
    end = ids.cursor("Delivery", last.queued_at, last.event_id, last.platform) if last is not None else None
    more = len(found) > args.limit
    if args.json:
        print_json(page_json(shown, end, has_next_page=more))
        return 0
    print_deliveries(sorted(shown, key=lambda one: (_WORST_FIRST.index(one["status"]), not one["held"])))
    place_after(end if more else None)
    return 0


def _rows(merchant_id: int, search: DeliverySearch, wanted: int) -> Iterator[DeliveryRow]:
    """Page by page: none of its statements is longer for all that is wanted, or for all that is looked at."""
    while wanted > 0:
        size = min(PAGE, wanted)
        with bounded_read():
            page, until = walk_of_deliveries(merchant_id, search, size)
        yield from page
        wanted -= len(page)
        if until is not None:
            search = replace(search, after=(until, "", ""))
        elif len(page) == size:
            search = replace(search, after=(page[-1].queued_at, page[-1].event_id, page[-1].platform))
        else:
            return


def print_deliveries(shown: list[dict[str, Any]]) -> None:
    print_table(
        ("event id", "platform", "status", "queued (UTC)", "tries", "next try (UTC)", "reason or error"),
        [
            (
                one["event_id"],
                one["platform"],
                f"{one['status']}, held" if one["held"] else one["status"],
                one["queued_at"],
                one["attempts"],
                one["next_retry_at"],
                ": ".join(filter(None, (one["drop_reason"], one["last_error"]))) or None,
            )
            for one in shown
        ],
    )
