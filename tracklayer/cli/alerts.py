"""``tracklayer alerts``: listed, shown, acknowledged and snoozed."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import Any

from tracklayer.cli.arguments import (
    add_json,
    add_merchant,
    add_page,
    duration,
    instant_of,
    moment,
    number_of,
    place_after,
    place_of,
    span_of,
    the_merchant,
)
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, print_json, printing, runtime_of
from tracklayer.cli.shapes import alert_json, page_json
from tracklayer.cli.table import print_fields, print_table, quoted, text_of
from tracklayer.db.alerts import AlertSearch, alerts_by_id, page_of_alerts
from tracklayer.db.connection import bounded_read, in_transaction
from tracklayer.db.models import AlertRow
from tracklayer.domain import ids
from tracklayer.domain.alert import AlertKind, Severity
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.alert import LONGEST_SNOOZE, acknowledge_alert, check_note, snooze_alert

_STATES = ("open", "resolved", "all")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("alerts", help="list, show, acknowledge and snooze alerts")
    _list(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    # What is given behind the action counts, and what is not leaves alone what was given before it.
    _list(actions.add_parser("list", help="list them, as without an action"), default=argparse.SUPPRESS)
    _one(actions, "show", "show one alert").set_defaults(run=run_show)
    acknowledge = _one(actions, "acknowledge", "take note of one: nobody is told any more that it is open")
    acknowledge.add_argument("--note", metavar="TEXT", help="what is known of it, for the others; empty: none any more")
    acknowledge.set_defaults(run=run_acknowledge)
    snooze = _one(actions, "snooze", "have nobody told for a while that it is open")
    how_long = snooze.add_mutually_exclusive_group(required=True)
    how_long.add_argument(
        "--for",
        dest="length",
        type=duration,
        metavar="SPAN",
        help=f"for so long: 30m, 4h, 7d; at most {LONGEST_SNOOZE.days}d",
    )
    how_long.add_argument("--until", type=moment, metavar="TIME", help="until 2026-11-20T14:00:00Z, say")
    how_long.add_argument("--wake", action="store_true", help="end it: if the alert is open, all are told now")
    snooze.set_defaults(run=run_snooze)


def _list(parser: argparse.ArgumentParser, **kwargs: Any) -> None:
    add_merchant(parser, **kwargs)
    parser.add_argument("--state", choices=_STATES, help="open ones (without this), resolved ones, or all", **kwargs)
    parser.add_argument(
        "--kind",
        action="append",
        type=str.lower,
        choices=[kind.value for kind in AlertKind],
        help="of this kind; may be given again",
        **kwargs,
    )
    parser.add_argument("--platform", choices=PLATFORMS, help="about this platform", **kwargs)
    parser.add_argument("--since", type=moment, metavar="TIME", help="opened then or later", **kwargs)
    parser.add_argument("--until", type=moment, metavar="TIME", help="opened before then", **kwargs)
    add_page(parser, **kwargs)
    add_json(parser, **kwargs)
    parser.set_defaults(run=run_list)


def _one(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what)
    add_merchant(parser, default=argparse.SUPPRESS)
    parser.add_argument("id", metavar="ID", help="the alert's id, as the list shows it")
    add_json(parser, default=argparse.SUPPRESS)
    return parser


def run_list(args: argparse.Namespace) -> int:
    place = place_of(args.after, "Alert", (int,))
    with runtime_of(settings_beside()) as runtime:
        merchant_id, now = the_merchant(args.merchant), runtime.clock.now()
        state = args.state or "open"
        search = AlertSearch(
            tuple(args.kind or ()),
            args.platform,
            None if state == "all" else state == "open",
            *span_of(args, now),
            place,
        )
        with bounded_read():
            found = page_of_alerts(merchant_id, search, args.limit + 1)
        url = runtime.settings.public_url
    page, more = found[: args.limit], len(found) > args.limit
    end = ids.cursor("Alert", page[-1].opened_at, page[-1].alert_id) if page else None
    shown = [alert_json(url, row) for row in page]
    if args.json:
        print_json(page_json(shown, end, has_next_page=more))
        return 0
    numbers = {one["id"]: row.alert_id for one, row in zip(shown, page, strict=True)}
    print_table(
        ("id", "severity", "state", "opened (UTC)", "platform", "kind", "title"),
        [
            (
                str(numbers[one["id"]]),
                one["severity"],
                _state(one),
                one["opened_at"],
                one["platform"],
                one["kind"],
                one["title"],
            )
            for one in sorted(shown, key=lambda one: (one["state"] != "open", one["severity"] != Severity.CRITICAL))
        ],
    )
    place_after(end if more else None)
    return 0


def _state(one: dict[str, Any]) -> str:
    if one["state"] == "open" and one["acknowledged_at"]:
        return "acknowledged"
    return str(one["state"])


def run_show(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()) as runtime:
        merchant_id, alert_id = _which(args)
        with in_transaction():
            row = alerts_by_id(merchant_id, [alert_id]).get(alert_id)
        return _show(runtime, args, row)


def run_acknowledge(args: argparse.Namespace) -> int:
    problems = check_note(args.note)
    if problems:
        raise CommandError(problems[0].message)
    with runtime_of(settings_beside()) as runtime:
        row = acknowledge_alert(runtime, *_which(args), args.note)
        with printing("the alert is acknowledged", is_kept=True) if row is not None else nullcontext():
            return _show(runtime, args, row)


def run_snooze(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()) as runtime:
        now = runtime.clock.now()
        until = None if args.wake else now + args.length if args.length is not None else instant_of(args.until, now)
        found = snooze_alert(runtime, *_which(args), until)
        if isinstance(found, list):
            raise CommandError(
                f"snooze it until an instant that lies ahead, at most {LONGEST_SNOOZE.days} days; `--wake` ends a snooze"
            )
        done = "the snooze is over" if until is None else "the alert is snoozed"
        with printing(done, is_kept=True) if found is not None else nullcontext():
            return _show(runtime, args, found)


def _which(args: argparse.Namespace) -> tuple[int, int]:
    merchant_id = the_merchant(args.merchant)
    alert_id = number_of(args.id, "Alert", merchant_id)
    return merchant_id, alert_id if alert_id is not None else 0  # no alert has 0


def _show(runtime: Runtime, args: argparse.Namespace, row: AlertRow | None) -> int:
    if row is None:
        merchant_id = the_merchant(args.merchant)
        raise CommandError(
            f"merchant {merchant_id} has no alert {quoted(args.id)}: `tracklayer alerts --merchant {merchant_id} --state all` "
            "lists them"
        )
    shown = alert_json(runtime.settings.public_url, row)
    if args.json:
        print_json({"alert": shown})
        return 0
    print_fields(
        [
            ("id", str(row.alert_id)),
            ("severity", shown["severity"]),
            ("kind", shown["kind"]),
            ("platform", shown["platform"]),
            ("event name", shown["event_name"]),
            ("opened (UTC)", shown["opened_at"]),
            ("last seen (UTC)", shown["last_seen_at"]),
            ("resolved (UTC)", shown["resolved_at"]),
            ("acknowledged (UTC)", shown["acknowledged_at"]),
            ("snoozed until (UTC)", shown["snoozed_until"]),
            ("note", shown["note"]),
            ("page", shown["url"]),
        ]
    )
    print(f"\n{text_of(shown['title'])}\n{text_of(shown['message'])}")
    return 0
