"""The codes of errors that are not about one field of an input, and how an error is worded for whoever sent the request.

An operation that is refused, or a field that could not be answered, stands in ``errors`` with ``extensions.code``. What a
caller can mend in an input is data instead: ``userErrors``, whose codes are ``domain.problem``'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError

from tracklayer import metrics, request_id
from tracklayer.db.connection import READ_TIMEOUT_MS, DatabaseAwayError, LockedOutError, ReadTimeoutError
from tracklayer.schema.enums import VALUES
from tracklayer.services.ingest import LATE_SECONDS
from tracklayer.services.marks import KeyAwayError
from tracklayer.services.waiting_room import LateError, OverloadedError


@dataclass(frozen=True, slots=True)
class Code:
    """``status``: of an HTTP answer that has no data, where it is not 200. ``meaning`` and ``what_to_do`` are the guide's."""

    name: str
    meaning: str
    what_to_do: str
    status: int | None = None


_CODES: dict[str, Code] = {}


def _code(name: str, meaning: str, what_to_do: str, status: int | None = None) -> str:
    _CODES[name] = Code(name, meaning, what_to_do, status)
    metrics.GRAPHQL_ERRORS.labels(name)  # from 0 on: else the first one would not be seen
    return name


def codes() -> list[Code]:
    """All of them, in the order of the guide."""
    return list(_CODES.values())


def status_of(name: str) -> int | None:
    """The HTTP status of an answer with this code; None: 200."""
    found = _CODES.get(name)
    return found.status if found is not None else None


BAD_REQUEST = _code(
    "BAD_REQUEST",
    "The body is not a GraphQL request as JSON, or the request is no HTTP.",
    'Send `{"query": ..., "variables": {...}}`.',
    400,
)
TOO_LARGE = _code(
    "TOO_LARGE",
    "The body, or the query in it, is larger than it may be.",
    "Send fewer events at once; with a key, 4 MiB. In a query, use variables.",
    413,
)
TOO_SLOW = _code(
    "TOO_SLOW",
    "The request did not come in the time that it may take; nothing of it was taken.",
    "Send the same request again; where the body stopped, with its number of bytes as Content-Length.",
    408,
)
PARSE_FAILED = _code(
    "GRAPHQL_PARSE_FAILED", "The query is not GraphQL, or has more than 5,000 tokens.", "Correct the query.", 400
)
VALIDATION_FAILED = _code(
    "GRAPHQL_VALIDATION_FAILED", "The query does not fit the schema.", "Correct what the message names.", 400
)
OPERATION_UNKNOWN = _code(
    "OPERATION_RESOLUTION_FAILURE",
    "The document has several operations and `operationName` names none of them.",
    "Send `operationName`.",
    400,
)
BAD_INPUT = _code(
    "BAD_USER_INPUT",
    "A variable or an argument is not what the schema or the field takes.",
    "Correct what the message names; values are never quoted.",
    400,
)
TOO_DEEP = _code("TOO_DEEP", "The operation goes too many fields deep.", "Ask for less in one operation.", 400)
TOO_MANY_ALIASES = _code("TOO_MANY_ALIASES", "The operation has too many aliases.", "Ask in several operations.", 400)
TOO_COMPLEX = _code(
    "TOO_COMPLEX",
    "The operation has too many fragments, inline fragments, fields that stand twice, or pairs of fields to compare.",
    "Ask in several operations.",
    400,
)
TOO_COSTLY = _code(
    "TOO_COSTLY",
    "The operation may answer with more objects than one may ask for; `extensions` has `cost`, `limit` and `field`.",
    "Ask for smaller pages, or for less below them.",
    400,
)
UNAUTHENTICATED = _code(
    "UNAUTHENTICATED", "The API key is missing, unknown or revoked.", "Correct the `Authorization` header.", 401
)
FORBIDDEN = _code("FORBIDDEN", "The API key lacks the scope that this field asks for.", "Take another key.")
RATE_LIMITED = _code(
    "RATE_LIMITED",
    "More was asked for than may be asked for in a time, or be open at once.",
    "Send it again after `Retry-After`; over a WebSocket or an event stream after the `retryAfterSeconds` of its `extensions`, or as "
    "its message says.",
    429,
)
DATABASE_AWAY = _code(
    "DATABASE_AWAY", "The database is away; nothing was acknowledged.", "Send the same request again.", 503
)
KEY_AWAY = _code(
    "KEY_AWAY",
    "This process lacks a secret key that others use already; nothing was acknowledged.",
    "Send the same request again; tell the operator where it lasts.",
    503,
)
OVERLOADED = _code(
    "OVERLOADED",
    "More arrives than this server may hold, clients have too many answers to read still, or it waited for too long; nothing was "
    "acknowledged.",
    "Send the same request again.",
    503,
)
READ_TIMEOUT = _code(
    "READ_TIMEOUT", "A query read for more than 10 seconds, and was ended.", "Narrow its filter: by time, status or id."
)
CHANGED_MEANWHILE = _code(
    "CHANGED_MEANWHILE",
    "Something of the answer was deleted while it was read: erased, purged, or a destination that was removed.",
    "Ask again.",
)
INTERNAL = _code(
    "INTERNAL",
    "TrackLayer failed to answer; its operator finds the trace in the log, by the `requestId` in `extensions`.",
    "Tell the operator, with that id.",
)

# graphql-core quotes what was sent: "... not to include unknown field 'emial'. Did you mean 'email'? Found: {'emial':
# 'jane@example.com'}". The path, the reason and the hint are what helps; the value is somebody's personal data.
_QUOTED_VALUES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(cannot represent [^:]*): .*", re.DOTALL), r"\1."),
    (re.compile(r",? [Ff]ound: .*", re.DOTALL), "."),
    (
        re.compile(r"Value .* (does not exist in '(\w+)' enum)", re.DOTALL),
        lambda found: f"This value {found[1]}{_which_has(found[2])}",
    ),
    (re.compile(r"Exceeds the limit .*", re.DOTALL), "This document holds a number that is too long."),
    (re.compile(r"((?:Block)?String|Int|Float) '.*'", re.DOTALL), r"\1"),  # of a document that is no GraphQL
)


def _which_has(enum: str) -> str:
    return f", which has {', '.join(VALUES[enum])}" if enum in VALUES else ""


_UNKNOWN = re.compile(r"(.*unknown field )'(.*?)'(\.?(?: Did you mean [\w', ]+\?)?\.?)", re.DOTALL)
_QUOTED_NAME = re.compile(r"'([^']*)'")
# Of GraphQL, as its messages write them: of an argument `Mutation.ingestEvents(inputs:)`.
_A_NAME = re.compile(r"[@$]?[\w!\[\]., ]{1,64}|\w{1,64}\.\w{1,64}\(\w{1,64}:\)|[$@&():={|}]", re.ASCII)  # or a sign


def refused(message: str, code: str, **more: Any) -> GraphQLError:
    """An error to raise: ``more`` stands beside the code in its extensions."""
    return GraphQLError(message, extensions={"code": code, **more})


def gone_meanwhile(what: str) -> GraphQLError:
    """An error to raise: ``what`` was there a moment ago, when the page was read that it belongs to."""
    return refused(f"{what} was deleted while this was read. Ask again.", CHANGED_MEANWHILE, retryable=True)


def masked(error: GraphQLError) -> GraphQLError:
    """The error as the caller may see it, counted as told."""
    found = worded(error)
    code = (found.extensions or {}).get("code")
    metrics.GRAPHQL_ERRORS.labels(code if code in _CODES else "OTHER").inc()
    return found


def worded(error: GraphQLError) -> GraphQLError:
    """The error as a caller may see it: with a code, no value that was sent, no trace of ours."""
    cause = error.original_error
    if isinstance(cause, KeyAwayError):
        message = (
            "This process lacks a secret key that was put into use elsewhere; nothing was acknowledged. Send the same request "
            "again in a few seconds: what was stored all the same is not counted twice."
        )
        return _reworded(error, message, {"code": KEY_AWAY, "retryable": True})
    if isinstance(cause, DatabaseAwayError):
        is_locked = isinstance(cause, LockedOutError)
        what = "Rows of this merchant are locked in the database" if is_locked else "The database is away"
        message = (
            f"{what}; nothing was acknowledged. Send the same request again in a few seconds: what was stored all the same "
            "is not counted twice."
        )
        return _reworded(error, message, {"code": DATABASE_AWAY, "retryable": True})
    if isinstance(cause, OverloadedError):
        message = (
            "More events are waiting than this server may hold; nothing of this request was stored. Send it again."
        )
        if isinstance(cause, LateError):
            message = (
                f"This waited for more than {LATE_SECONDS:.0f} seconds; nothing was acknowledged. Send the same request again: "
                "what was stored all the same is not counted twice."
            )
        return _reworded(error, message, {"code": OVERLOADED, "retryable": True})
    if isinstance(cause, ReadTimeoutError):
        message = (
            f"This reads more than {READ_TIMEOUT_MS // 1000} seconds allow, and was ended. Narrow it: by time, by status, "
            "or by the beginning of the id."
        )
        return _reworded(error, message, {"code": READ_TIMEOUT})
    if cause is not None and not isinstance(cause, GraphQLError):
        message = "TrackLayer failed to answer this. Its operator finds the trace in the log."
        current = request_id.current()
        return _reworded(error, message, {"code": INTERNAL, **({"requestId": current} if current else {})})
    message = error.message
    for pattern, replacement in _QUOTED_VALUES:
        message = pattern.sub(replacement, message)
    message = _without_odd_names(message)
    extensions = dict(error.extensions or {})
    extensions.setdefault("code", PARSE_FAILED if isinstance(error, GraphQLSyntaxError) else BAD_INPUT)
    return _reworded(error, message.replace("?.", "?"), extensions)


def _without_odd_names(message: str) -> str:
    """A name that is no plain word could be anything, a value in the wrong place too."""
    if "unknown field '" in message:
        found = _UNKNOWN.fullmatch(message)
        if found is None or not found[2].isidentifier() or not _is_plain(found[2]):
            return message[: message.index("unknown field '")] + "a field that does not exist."
    return _QUOTED_NAME.sub(lambda name: name[0] if _is_plain(name[1]) else "'(a name)'", message)


def _is_plain(name: str) -> bool:
    return _A_NAME.fullmatch(name) is not None and sum(map(str.isdigit, name)) < 4


def _reworded(error: GraphQLError, message: str, extensions: dict[str, object] | None) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions=extensions)
