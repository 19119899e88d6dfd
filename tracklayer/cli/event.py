"""``tracklayer event show``: one event, what was added to it, and what became of it at each platform."""

from __future__ import annotations

import argparse
from typing import Any

import orjson

from tracklayer.cli.arguments import add_json, add_merchant, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.deliveries import print_deliveries
from tracklayer.cli.process import CommandError, print_json, runtime_of
from tracklayer.cli.shapes import event_json, standing_delivery_json
from tracklayer.cli.table import print_fields, print_table, quoted
from tracklayer.db.connection import in_transaction
from tracklayer.db.deliveries import deliveries_of_events
from tracklayer.db.destinations import destinations
from tracklayer.db.events import events_by_id
from tracklayer.db.repeats import differences_of
from tracklayer.domain.text import is_storable
from tracklayer.services.stitch import decisions


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("event", help="show an event and what became of it")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser(
        "show", help="show an event with its deliveries; behind -- an id may begin with a dash: event show -- -id"
    )
    add_merchant(show)
    show.add_argument("event_id", metavar="ID", help="the merchant's own id of the event, as it was sent")
    add_json(show)
    show.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    event_id = args.event_id
    with runtime_of(settings_beside()) as runtime:
        merchant_id, now, url = the_merchant(args.merchant), runtime.clock.now(), runtime.settings.public_url
        with in_transaction():
            row = events_by_id(merchant_id, [event_id]).get(event_id) if is_storable(event_id) else None
            if row is None:
                raise CommandError(
                    f"merchant {merchant_id} has no event {quoted(event_id)}: was it sent, or is it purged?"
                )
            there = {one.platform: one for one in destinations(merchant_id)}
            rows = deliveries_of_events(merchant_id, [event_id])[event_id]
            differing = differences_of(merchant_id, [event_id]).get(event_id)
        added = decisions(runtime, merchant_id, [row]).get(event_id)
    shown = {
        **event_json(row),
        "last_difference": {"at": differing.at, "fields": differing.fields} if differing is not None else None,
        "enrichment": [
            {"field": one.field, "value": one.value, "source": one.source, "seen_at": one.seen_at}
            for one in (added.fields if added is not None else ())
        ],
        "deliveries": [standing_delivery_json(url, one, there.get(one.platform), now) for one in rows],
    }
    if args.json:
        print_json(shown)
    else:
        _print(merchant_id, shown)
    return 0


def _print(merchant_id: int, shown: dict[str, Any]) -> None:
    print_fields(
        [
            ("event", f"{shown['event_name']} {shown['event_id']}"),
            ("occurred (UTC)", shown["occurred_at"]),
            ("received (UTC)", shown["received_at"]),
            ("times received", shown["times_received"]),
            ("source", shown["action_source"]),
            ("page", shown["event_source_url"]),
            ("user data", _one_line(shown["user_data"])),
            ("custom data", _one_line(shown["custom_data"])),
            ("device", _one_line(shown["device"])),
            ("consent", _one_line(shown["consent"])),
            ("added", ", ".join(f"{one['field']} ({one['source']})" for one in shown["enrichment"]) or None),
            (
                "a repeat differed in",
                ", ".join(shown["last_difference"]["fields"]) if shown["last_difference"] else None,
            ),
        ]
    )
    print()
    if not shown["deliveries"]:
        which = f"`tracklayer destination list --merchant {merchant_id}`"
        print(f"No delivery: no destination took it when it came. {which} shows which take what.")
        return
    print_deliveries(shown["deliveries"])
    attempts = [
        (
            one["platform"],
            entry["number"],
            entry["at"][:19].replace("T", " "),
            entry["outcome"],
            entry["http_status"],
            f"{entry['duration_ms']:,} ms",
            entry["error"] or entry.get("note"),
        )
        for one in shown["deliveries"]
        for entry in one["attempt_log"]
    ]
    if attempts:
        print()
        print_table(("platform", "attempt", "at (UTC)", "outcome", "HTTP", "took", "answer"), attempts)
    for one in shown["deliveries"]:
        if one["explanation"] is not None:
            print(f"\n{one['platform']}: {one['explanation']['summary']} {one['explanation']['next_step']}")


def _one_line(value: Any) -> str | None:
    return orjson.dumps(value).decode() if value else None
