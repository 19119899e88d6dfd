"""``tracklayer destination``: where a merchant's events go."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from tracklayer.cli.arguments import add_json, add_merchant, the_merchant
from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import (
    print_json,
    printing,
    read_json,
    runtime_of,
    told,
    wrong,
)
from tracklayer.cli.shapes import attempt_json, check_json, destination_json, explanation_json
from tracklayer.cli.table import print_fields, print_table, text_of
from tracklayer.db.connection import in_transaction
from tracklayer.db.destinations import destinations
from tracklayer.db.models import DestinationRow
from tracklayer.db.queues import waiting_by_platform
from tracklayer.domain.delivery import AttemptOutcome, DestinationState
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.check import check_destination, in_words
from tracklayer.services.destinations import (
    KEEP,
    Changed,
    is_invented,
    pause_destination,
    remove_destination,
    resume_destination,
    set_destination,
)
from tracklayer.services.trial import Tried, try_destination

_WORST_FIRST = {DestinationState.HELD: 0, DestinationState.PAUSED: 1, DestinationState.ACTIVE: 2}
_INVENTED = (
    "These are invented settings, as `tracklayer up --sandbox` has them: without the sandbox nothing is sent there, and the "
    "destination is held. Set the ones of your own account."
)
# What is done -> the service that does it, and what it is called afterwards.
_CHANGES: dict[str, tuple[Callable[[Runtime, int, str], Any], str, str]] = {
    "pause": (pause_destination, "keep its deliveries back until it is resumed", "is paused"),
    "resume": (resume_destination, "end a pause or a hold: what waits goes out", "is active"),
    "remove": (
        remove_destination,
        "remove it: what waits there is dropped, and its secrets are forgotten",
        "is removed",
    ),
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("destination", help="set, list, test, pause, resume and remove destinations")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    change = _action(actions, "set", "create or change a destination; what is left out stays", run_set)
    change.add_argument(
        "--settings", metavar="FILE.json", help="settings, null removes one; left out: all stay; - for standard input"
    )
    names = change.add_mutually_exclusive_group()
    names.add_argument(
        "--event-name", action="append", metavar="N", help="only events of this name; may be given again"
    )
    names.add_argument("--every-event", action="store_true", help="events of any name again")
    several = actions.add_parser("list", help="list a merchant's destinations, the worst first")
    add_merchant(several)
    add_json(several)
    several.set_defaults(run=run_list)
    test = _action(
        actions, "test", "send one event in the platform's own test mode; exit 1 where it is not taken", run_test
    )
    test.add_argument(
        "--event", metavar="EVENT.json", help="the event, - for standard input; left out: an invented purchase"
    )
    for name, (_, what, _) in _CHANGES.items():
        _action(actions, name, what, run_change)


def _action(actions: Any, name: str, what: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """Of one destination."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what)
    add_merchant(parser)
    parser.add_argument("--platform", required=True, choices=PLATFORMS, help="the platform")
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run_set(args: argparse.Namespace) -> int:
    settings = read_json(args.settings, "settings") if args.settings is not None else KEEP
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        names = None if args.every_event else args.event_name or KEEP
        found = _changed(set_destination(runtime, merchant_id, args.platform, settings, names))
        with in_transaction():
            waiting = waiting_by_platform(merchant_id).get(args.platform, 0)
        shown = destination_json(runtime, found, waiting)
        checked = check_destination(runtime, found)
        has_sandbox = runtime.settings.sandbox_url is not None
    if is_invented(found) and not has_sandbox:
        print(_INVENTED, file=sys.stderr)
    done = f"{args.platform} is set for merchant {merchant_id}: there is no need to say it again"
    with printing(done, is_kept=True):
        if args.json:
            check = check_json(checked) if checked is not None else None
            of_old = {"merchant_id": str(merchant_id), "platform": args.platform, "settings": shown["settings"]}
            print_json({**of_old, "destination": shown, "check": check})
        else:
            taken = "every event" if found.event_names is None else ", ".join(found.event_names) or "no event"
            print(f"{args.platform} is set for merchant {merchant_id}: {taken}")
            print(
                in_words(checked)
                if checked is not None
                else "It could not be checked against the last events: see the log."
            )
    return 0


def _changed(found: Changed | list[Any]) -> DestinationRow:
    if isinstance(found, list):
        raise wrong(found)
    return found.row


def run_list(args: argparse.Namespace) -> int:
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        with in_transaction():
            found, waiting = destinations(merchant_id), waiting_by_platform(merchant_id)
        shown = [destination_json(runtime, row, waiting.get(row.platform, 0)) for row in found]
    if args.json:
        print_json({"destinations": shown})
        return 0
    print_table(
        ("platform", "state", "waiting", "events", "made (UTC)", "reason"),
        [
            (
                one["platform"],
                one["state"],
                one["waiting"],
                "all" if one["event_names"] is None else ", ".join(one["event_names"]),
                one["created_at"],
                one["state_reason"],
            )
            for one in sorted(shown, key=lambda one: (_WORST_FIRST[one["state"]], -one["waiting"], one["platform"]))
        ],
    )
    return 0


def run_change(args: argparse.Namespace) -> int:
    service, _, done = _CHANGES[args.action]
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        row = _changed(service(runtime, merchant_id, args.platform))
        with in_transaction():
            waiting = waiting_by_platform(merchant_id).get(args.platform, 0)
        shown = destination_json(runtime, row, waiting)
    said = [f"{args.platform} {done} for merchant {merchant_id}."]
    if waiting:
        is_one = waiting == 1
        wait = f"{waiting:,} {'delivery waits' if is_one else 'deliveries wait'} there"
        are, go, them = ("is", "goes", "it") if is_one else ("are", "go", "them")
        again = f"redeliver --merchant {merchant_id} --platform {args.platform} --reason destination_removed"
        what = {
            "pause": f"{wait}, and {are} dropped where the pause lasts too long.",
            "resume": f"{wait}, and {go} out now.",
            "remove": f"{wait}, and {are} dropped now. Set it again to redeliver {them}: `tracklayer {again}`.",
        }
        said.append(what[args.action])
    with printing(" ".join(said), is_kept=True):
        if args.json:
            print_json({"destination": shown})
        else:
            print("\n".join(said))
    return 0


def run_test(args: argparse.Namespace) -> int:
    draft = read_json(args.event, "event") if args.event is not None else None
    with runtime_of(settings_beside()) as runtime:
        merchant_id = the_merchant(args.merchant)
        tried = try_destination(runtime, merchant_id, args.platform, draft)
        url = runtime.settings.public_url
    if isinstance(tried, list):
        raise wrong(tried)
    taken = tried.attempt is not None and tried.attempt.outcome is AttemptOutcome.ACKNOWLEDGED
    if args.json:
        print_json(_tried_json(url, tried))
    else:
        _print_tried(args.platform, tried, taken=taken)
    return 0 if taken else 1


def _tried_json(url: str, tried: Tried) -> dict[str, Any]:
    return {
        "attempt": attempt_json(tried.attempt) if tried.attempt is not None else None,
        "request": tried.request,
        "explanation": explanation_json(url, tried.explanation),
        "verdicts": [
            {"rule": one.rule, "ok": one.ok, "message": one.message, "field": one.field} for one in tried.verdicts
        ],
        "user_errors": [{"field": list(one.field), "code": one.code, "message": one.message} for one in tried.problems],
    }


def _print_tried(platform: str, tried: Tried, *, taken: bool) -> None:
    for problem in tried.problems:
        print(told(problem))
    if tried.attempt is not None:
        print(f"{platform} took the test event." if taken else f"{platform} did not take the test event.")
        print_fields(
            [
                ("outcome", tried.attempt.outcome.value),
                ("HTTP status", tried.attempt.http_status),
                ("answer", tried.attempt.error or tried.attempt.note),
                ("took", f"{tried.attempt.duration_ms:,} ms"),
            ]
        )
    if tried.explanation is not None:
        print(f"{tried.explanation.summary} {tried.explanation.next_step}")
    for verdict in tried.verdicts:
        if not verdict.ok:
            print(f"  {text_of(verdict.field or verdict.rule)}: {text_of(verdict.message)}")
