"""The GraphQL door: the words of the API, who may use them, and how an answer is worded."""

from __future__ import annotations

import logging
import re
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.extensions.max_aliases import create_validator as aliases_at_most
from strawberry.extensions.query_depth_limiter import create_validator as depth_at_most
from strawberry.types import ExecutionContext

from tracklayer.db.connection import DatabaseAwayError
from tracklayer.schema.mutations import Mutation
from tracklayer.schema.queries import Query
from tracklayer.schema.scalars import CONFIG

log = logging.getLogger(__name__)

MAX_DEPTH = 12
MAX_ALIASES = 30
MAX_TOKENS = 5000
DATABASE_AWAY = "DATABASE_AWAY"
INTERNAL = "INTERNAL"

# Made once: a rule class a request would be a new key in the cache of validated documents every time.
_RULES: list[Any] = [depth_at_most(MAX_DEPTH, None), aliases_at_most(MAX_ALIASES)]

# graphql-core quotes the offending value: `Variable '$input' got invalid value {'email': ...} at 'input.x'; ...`. The
# path and the reason are what helps; the value is somebody's personal data.
_VARIABLE_VALUE = re.compile(r"got invalid value .*?(?= at '[\w.\[\]]+'; |; )", re.DOTALL)
_VALUE_FOUND = re.compile(r"(, found|cannot represent [^:]*?|non-numeric value|non-integer value): .*", re.DOTALL)
_VALUE_OF_ENUM = re.compile(r"(Value) '.*?' (does not exist in '\w+' enum)", re.DOTALL)


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Logs our own failures with their trace; a caller's mistake is the caller's to know."""
        for error in errors:
            cause = error.original_error
            if cause is not None and not isinstance(cause, GraphQLError | DatabaseAwayError):
                log.error("failed at %s", _path(error), exc_info=cause)


class _Rules(AddValidationRules):
    def __init__(self) -> None:
        super().__init__(_RULES)


schema = Schema(
    query=Query,
    mutation=Mutation,
    config=CONFIG,
    extensions=[lambda: MaxTokensLimiter(MAX_TOKENS), _Rules, ParserCache, ValidationCache],
)


def masked(error: GraphQLError) -> GraphQLError:
    """The error as the caller may see it: no value that was sent, no trace of ours."""
    cause = error.original_error
    if isinstance(cause, DatabaseAwayError):
        message = "The database is away; nothing was stored. Send the same request again in a few seconds."
        return _reworded(error, message, {"code": DATABASE_AWAY, "retryable": True})
    if cause is not None and not isinstance(cause, GraphQLError):
        return _reworded(
            error, "TrackLayer failed to answer this. Its operator finds the trace in the log.", {"code": INTERNAL}
        )
    message = _VARIABLE_VALUE.sub("got an invalid value", error.message)
    message = _VALUE_OF_ENUM.sub(r"\1 \2", _VALUE_FOUND.sub(lambda found: found[1].replace(", found", ""), message))
    return _reworded(error, message, error.extensions)


def _reworded(error: GraphQLError, message: str, extensions: dict[str, object] | None) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions=extensions)


def _path(error: GraphQLError) -> str:
    return ".".join(map(str, error.path or ())) or "the operation"
