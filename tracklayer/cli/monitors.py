"""``tracklayer monitors backtest``."""

from __future__ import annotations

import argparse
import sys

from tracklayer.cli.beside import settings_beside
from tracklayer.cli.process import CommandError, merchant_id_of, runtime_of
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import merchant_by_id
from tracklayer.domain.alert import AlertKind
from tracklayer.domain.json_text import write_with_instants
from tracklayer.domain.monitors.replay import REPLAYED, Raised
from tracklayer.services.backtest import MOST_DAYS, backtest

LEFT_OUT = (
    f"Replayed are {', '.join(REPLAYED)}. Left out, as their counters are not kept for so long:"
    f" {', '.join(kind for kind in AlertKind if kind not in REPLAYED)}, and tracking_stopped of single event names. What a"
    " platform answered is not kept either: one that answered with errors (500) is told as one that cannot be reached."
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("monitors", help="try the rules of the alerts")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    replay = actions.add_parser(
        "backtest",
        help="replay stored counters: which alerts today's rules would have raised",
        description="Replays the stored minutes of all destinations and merchants through the monitors, and prints the"
        " alerts that they would have raised. Nothing is written, nobody is told. The counters do not say when a"
        " destination was held or what its queue held, so both are inferred from attempts, arrivals and departures. "
        + LEFT_OUT,
    )
    replay.add_argument(
        "--days", type=_days, default=30, metavar="N", help=f"how far back, 1 to {MOST_DAYS} (%(default)s)"
    )
    replay.add_argument("--merchant", metavar="ID", help="only this one")
    replay.add_argument("--json", action="store_true", help="print one JSON object a line, of each alert")
    replay.set_defaults(run=run_backtest)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"choose 1 to {MOST_DAYS} days: older counters are kept by the hour")
    return int(text)


def run_backtest(args: argparse.Namespace) -> int:
    only = merchant_id_of(args.merchant) if args.merchant is not None else None
    count = merchants = 0
    with runtime_of(settings_beside()) as runtime:
        with in_transaction():
            if only is not None and merchant_by_id(only) is None:
                raise CommandError(f"there is no merchant {args.merchant}")
        for merchant_id, raised in backtest(runtime, args.days, only):
            merchants += 1
            count += len(raised)
            for alert in raised:
                _print(merchant_id, alert, as_json=args.json)
    print(LEFT_OUT, file=sys.stderr)
    if not args.json:
        print(f"{_counted(count, 'alert')} of {_counted(merchants, 'merchant')} in {_counted(args.days, 'day')}")
    return 0


def _print(merchant_id: int, alert: Raised, *, as_json: bool) -> None:
    finding = alert.finding
    if as_json:
        line = {
            "merchant_id": str(merchant_id),
            "kind": finding.kind,
            "platform": finding.platform,
            "severity": finding.severity,
            "opened_at": alert.opened_at,
            "resolved_at": alert.resolved_at,
            "reopened": alert.reopened,
            "title": finding.title,
            "message": finding.message,
            "details": finding.details,
        }
        print(write_with_instants(line).decode())
        return
    ended = f"{alert.resolved_at:%d %b %H:%M}" if alert.resolved_at else "still open"
    again = f" (came back {alert.reopened}x)" if alert.reopened else ""
    print(
        f"merchant {merchant_id}  {alert.opened_at:%d %b %H:%M} - {ended} UTC  {finding.severity:8} {finding.kind}"
        f"  {finding.title}{again}"
    )


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
