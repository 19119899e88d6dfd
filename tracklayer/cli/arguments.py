"""Arguments that several commands take, and what they mean."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tracklayer.cli.process import CommandError, UsageError, merchant_id_of
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import merchant_by_id, page_of_merchants
from tracklayer.domain import ids
from tracklayer.domain.values import read_instant

MOST_ROWS = 10_000  # of a list: whoever wants more exports
DEFAULT_ROWS = 50
_AGE = re.compile(r"([0-9]{1,6})(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Moment = datetime | timedelta  # an instant, or how long ago


def add_merchant(parser: argparse.ArgumentParser, **kwargs: Any) -> None:
    parser.add_argument(
        "--merchant", metavar="ID", help="the merchant's id; may be left out where there is only one", **kwargs
    )


def add_json(parser: argparse.ArgumentParser, **kwargs: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON", **kwargs)


def add_page(parser: argparse.ArgumentParser, rows: int = DEFAULT_ROWS, **kwargs: Any) -> None:
    """Which part of a long list is shown. ``rows``: where nobody says how many."""
    parser.add_argument(
        "--limit",
        type=number(1, MOST_ROWS),
        metavar="N",
        help=f"how many at most, up to {MOST_ROWS:,} ({rows})",
        **{"default": rows, **kwargs},
    )
    parser.add_argument(
        "--after", metavar="CURSOR", help="go on behind this place, as the page before said it", **kwargs
    )


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number between two bounds."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least:,} to {most:,}")
        return int(text)

    return read


def port_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) < 65536:
        raise argparse.ArgumentTypeError("must be a port number from 1 to 65535")
    return int(text)


def moment(text: str) -> Moment:
    """``2026-11-20T14:00:00Z``, a day of UTC such as ``2026-11-20``, or how long ago: ``15m``, ``24h``, ``7d``."""
    age = _AGE.fullmatch(text)
    if age:
        return int(age[1]) * _UNITS[age[2]]
    found = read_instant(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    if isinstance(found, str):
        raise argparse.ArgumentTypeError(
            "must be a time such as 2026-11-20T14:00:00Z, a day such as 2026-11-20, or how long ago: 15m, 24h, 7d"
        )
    return found


def duration(text: str) -> timedelta:
    age = _AGE.fullmatch(text)
    if not age:
        raise argparse.ArgumentTypeError("must be a time span such as 30m, 4h or 7d")
    return int(age[1]) * _UNITS[age[2]]


def instant_of(given: Moment | None, now: datetime) -> datetime | None:
    if not isinstance(given, timedelta):
        return given
    try:
        return now - given
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def span_of(args: argparse.Namespace, now: datetime, prefix: str = "") -> tuple[datetime | None, datetime | None]:
    """``--since`` and ``--until``, or those of another name. Raises UsageError where nothing can lie between them."""
    given = getattr(args, f"{prefix}since"), getattr(args, f"{prefix}until")
    since, until = instant_of(given[0], now), instant_of(given[1], now)
    if since is not None and until is not None and since >= until:
        name = prefix.replace("_", "-")
        raise UsageError(
            f"nothing lies between --{name}since and --{name}until: {_seconds(since)} is not before {_seconds(until)}"
        )
    return since, until


def _seconds(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def the_merchant(given: str | None) -> int:
    """The id of the one that was named, or of the only one there is. Raises CommandError."""
    with in_transaction():
        if given is None:
            found = page_of_merchants(0, 2)
            if len(found) == 1:
                return found[0][0]
            if not found:
                raise CommandError("there is no merchant yet: make one with `tracklayer merchant create --name NAME`")
            raise UsageError(
                "there are several merchants: say which with --merchant ID; `tracklayer merchant list` shows them"
            )
        merchant_id = merchant_id_of(given)
        if merchant_by_id(merchant_id) is None:
            raise CommandError(f"there is no merchant {given}")
        return merchant_id


def number_of(text: str, kind: str, merchant_id: int) -> int | None:
    """The number in an id of a merchant's own, as a table shows it or as JSON and GraphQL do; None for any other."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    parts = ids.parts_of(text, kind, (int, int))
    return int(parts[1]) if parts is not None and parts[0] == merchant_id and 0 <= parts[1] < ids.MAX_NUMBER else None


def place_of(cursor: str | None, kind: str, types: tuple[type, ...]) -> Any:
    """What a page goes on behind. Raises CommandError."""
    if cursor is None:
        return None
    found = ids.parts_of(cursor, f"{kind}Cursor", (str, *types))
    at = read_instant(found[0]) if found is not None else None
    if found is None or not isinstance(at, datetime):
        raise no_place()
    return (at, *found[1:])


def no_place() -> CommandError:
    return CommandError("--after is not a place of this list: give the one that the page before ended with")


def place_after(cursor: str | None) -> None:
    """Says how to go on, where there is more. On stderr: a table in a pipe is a table alone."""
    if cursor is not None:
        print(f"There is more: --after {cursor}", file=sys.stderr)
