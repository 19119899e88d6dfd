"""The GraphQL door: the words of the API, who may use them, and how an answer is worded."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    ValidationContext,
    ValidationRule,
    parse,
    specified_rules,
)
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.extensions.max_aliases import create_validator as aliases_at_most
from strawberry.extensions.query_depth_limiter import create_validator as depth_at_most
from strawberry.schema.schema import validate_document
from strawberry.types import ExecutionContext
from strawberry.types.execution import PreExecutionError

from tracklayer.db.connection import READ_TIMEOUT_MS, DatabaseAwayError, ReadTimeoutError
from tracklayer.schema.context import Context
from tracklayer.schema.mutations import Mutation
from tracklayer.schema.queries import Query
from tracklayer.schema.scalars import CONFIG
from tracklayer.schema.subscriptions import Subscription
from tracklayer.services.intake import OverloadedError

log = logging.getLogger(__name__)

MAX_DEPTH = 12
MAX_ALIASES = 30
MAX_TOKENS = 5000
DATABASE_AWAY = "DATABASE_AWAY"
OVERLOADED = "OVERLOADED"
READ_TIMEOUT = "READ_TIMEOUT"
INTERNAL = "INTERNAL"

_DepthRule: Any = depth_at_most(MAX_DEPTH, None)


class _Depth(_DepthRule):  # type: ignore[misc]
    """Strawberry's rule, for documents too that spread a fragment they do not define: another rule names those."""

    def __init__(self, context: ValidationContext) -> None:
        try:
            super().__init__(context)
        except KeyError:
            ValidationRule.__init__(self, context)


# Made once: a rule class a request would be a new key in the cache of validated documents every time.
_RULES: list[Any] = [_Depth, aliases_at_most(MAX_ALIASES)]

# graphql-core quotes what was sent: "... not to include unknown field 'emial'. Did you mean 'email'? Found: {'emial':
# 'jane@example.com'}". The path, the reason and the hint are what helps; the value is somebody's personal data.
_QUOTED_VALUES = (
    (re.compile(r"(cannot represent [^:]*): .*", re.DOTALL), r"\1."),
    (re.compile(r",? [Ff]ound: .*", re.DOTALL), "."),
    (re.compile(r"Value .* (does not exist in '\w+' enum)", re.DOTALL), r"This value \1"),
)


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Logs our own failures with their trace; a caller's mistake is the caller's to know."""
        for error in errors:
            cause = error.original_error
            told = isinstance(cause, GraphQLError | DatabaseAwayError | OverloadedError | ReadTimeoutError)
            if cause is not None and not told and not _is_closing(cause):
                log.error("failed at %s", _path(error), exc_info=cause)

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """One operation over a WebSocket or an event stream: with a context of its own, its errors worded for callers."""
        context = context_value.of_operation() if isinstance(context_value, Context) else context_value
        return _masked_results(await super().stream(query, variable_values, context, *args, **kwargs))


def _is_closing(cause: BaseException) -> bool:
    """Whether the process closed a stream in the very moment in which it told something: nobody is there to miss it.

    A generator that is thrown StopAsyncIteration raises RuntimeError from it, generators around it may do so again, and
    on the way it may lose where it came from; its words remain.
    """
    seen: BaseException | None = cause
    while isinstance(seen, RuntimeError):
        if StopAsyncIteration.__name__ in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return isinstance(seen, StopAsyncIteration)


async def _masked_results(results: Any) -> AsyncGenerator[Any, None]:
    async with aclosing(results):
        try:
            async for result in results:
                if result.errors:
                    result.errors = [masked(error) for error in result.errors]
                yield result
        except GraphQLSyntaxError as error:  # the cache of documents raises it where Strawberry does not expect it
            yield PreExecutionError(data=None, errors=[masked(error)])


class _Rules(AddValidationRules):
    def __init__(self) -> None:
        super().__init__(_RULES)


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=CONFIG,
    extensions=[lambda: MaxTokensLimiter(MAX_TOKENS), _Rules, ParserCache, ValidationCache],
)


def checked(text: str) -> DocumentNode | None:
    """The document of a text that this schema executes; None for one that it refuses, by the same limits and rules."""
    try:
        document = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLError:
        return None
    wrong = validate_document(schema._schema, document, (*specified_rules, *_RULES))
    return None if wrong else document


def masked(error: GraphQLError) -> GraphQLError:
    """The error as the caller may see it: no value that was sent, no trace of ours."""
    cause = error.original_error
    if isinstance(cause, DatabaseAwayError):
        message = (
            "The database is away; nothing was acknowledged. Send the same request again in a few seconds: what was "
            "stored all the same is not counted twice."
        )
        return _reworded(error, message, {"code": DATABASE_AWAY, "retryable": True})
    if isinstance(cause, OverloadedError):
        message = (
            "More events are waiting than this server may hold; nothing of this request was stored. Send it again."
        )
        return _reworded(error, message, {"code": OVERLOADED, "retryable": True})
    if isinstance(cause, ReadTimeoutError):
        message = (
            f"This reads more than {READ_TIMEOUT_MS // 1000} seconds allow, and was ended. Narrow it: by time, by status, "
            "or by the beginning of the id."
        )
        return _reworded(error, message, {"code": READ_TIMEOUT})
    if cause is not None and not isinstance(cause, GraphQLError):
        return _reworded(
            error, "TrackLayer failed to answer this. Its operator finds the trace in the log.", {"code": INTERNAL}
        )
    message = error.message
    for pattern, replacement in _QUOTED_VALUES:
        message = pattern.sub(replacement, message)
    return _reworded(error, message.replace("?.", "?"), error.extensions)


def _reworded(error: GraphQLError, message: str, extensions: dict[str, object] | None) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions=extensions)


def _path(error: GraphQLError) -> str:
    return ".".join(map(str, error.path or ())) or "the operation"
