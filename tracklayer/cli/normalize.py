"""``tracklayer normalize``: a value as a platform would get it."""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import Any

import orjson

from tracklayer.domain.event import (
    CONSENT_FIELDS,
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    DEVICE_FIELDS,
    EVENT_FIELDS,
    USER_FIELDS,
)
from tracklayer.mappers import PLATFORMS
from tracklayer.services.preview import normalise_value

# The other fields of an event are sent as they come, or not: no platform has a rule for them.
_FIELDS = frozenset((*USER_FIELDS, *EVENT_FIELDS, *CUSTOM_FIELDS, *CONTENT_FIELDS, *DEVICE_FIELDS, *CONSENT_FIELDS))


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "normalize",
        help="read {platform, field, value, settings?} a line, print the same with out: hash, plain, or null where "
        "it is dropped; a wrong line gets an error beside it",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    status = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        if line.strip():
            answer, is_right = _answer(number, line)
            sys.stdout.buffer.write(answer + b"\n")
            status = status if is_right else 1
    sys.stdout.buffer.flush()
    return status


def _answer(number: int, line: bytes) -> tuple[bytes, bool]:
    """The line with ``out``, and whether it was right; where it was not, with ``error`` as well."""
    try:
        given = orjson.loads(line.rstrip())
    except orjson.JSONDecodeError as error:
        return _wrong(number, {}, f"is not JSON: column {error.colno}: {error.msg}"), False
    if not isinstance(given, dict):
        return _wrong(number, {}, "must be an object of platform, field and value"), False
    wrong = _what_is_wrong(given)
    if wrong is not None:
        return _wrong(number, given, wrong), False
    out = normalise_value(given["platform"], given["field"], given["value"], given.get("settings") or {})
    try:
        return orjson.dumps({**given, "out": out}), True
    except orjson.JSONEncodeError:  # it is nested deeper than can be written again
        return _wrong(number, {}, "is nested too deep"), False


def _what_is_wrong(given: dict[str, Any]) -> str | None:
    lacking = [name for name in ("platform", "field", "value") if not isinstance(given.get(name), str)]
    if lacking:
        return f"must be an object of platform, field and value, all text: {' and '.join(lacking)} is not"
    if given["platform"] not in PLATFORMS:
        return f"platform must be one of {', '.join(PLATFORMS)}"
    if given["field"] not in _FIELDS:
        return _unknown_field(given["field"])
    settings = given.get("settings")
    if not isinstance(settings, dict | None):
        return "settings must be an object"
    if settings and not isinstance(settings.get("default_country"), str | None):
        return "settings.default_country must be text"
    return None


def _unknown_field(field: str) -> str:
    near = difflib.get_close_matches(field[:64].rpartition(".")[2].lower(), USER_FIELDS, n=1, cutoff=0.6)
    meant = f", perhaps {near[0]}" if near else ""
    return f"{field[:64]!r} is not a field{meant}: field must be one of {', '.join(USER_FIELDS)}"


def _wrong(number: int, given: dict[str, Any], what: str) -> bytes:
    error = f"line {number}: {what}"
    try:
        return orjson.dumps({**given, "out": None, "error": error})
    except orjson.JSONEncodeError:
        return orjson.dumps({"out": None, "error": error})
