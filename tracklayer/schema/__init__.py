"""The GraphQL door: the words of the API, who may use them, and how an answer is worded."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, OperationType, parse, specified_rules, validate
from graphql import ExecutionResult as CompiledResult
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType as Kind

from tracklayer.db.connection import DatabaseAwayError, ReadTimeoutError
from tracklayer.request_id import scope_of_current
from tracklayer.schema import errors
from tracklayer.schema.access import guard
from tracklayer.schema.compiled.coercion import take_drafts, tolerated
from tracklayer.schema.compiled.plans import Checked
from tracklayer.schema.context import Context
from tracklayer.schema.cost import Measured, measure
from tracklayer.schema.errors import masked
from tracklayer.schema.known import answer_known, refuse_long
from tracklayer.schema.mutations import Mutation
from tracklayer.schema.queries import Query
from tracklayer.schema.scalars import CONFIG
from tracklayer.schema.subscriptions import Subscription
from tracklayer.services.waiting_room import OverloadedError
from tracklayer.tracing import OPERATION

log = logging.getLogger(__name__)

MAX_TOKENS = 5000
STRANGER_TOKENS = 600  # twice what asks for the whole schema
MAX_ERRORS = 20  # of one document: whoever has more has the wrong one
MAX_GOOD = 1_000  # documents that were found good and need not be validated again; thirty-two bytes of each are kept
MAX_VARIABLE_ERRORS = 5  # each quotes the whole value, before it is masked
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)  # as Strawberry has them
WHERE_TO_SUBSCRIBE = (
    "A subscription needs a WebSocket (graphql-transport-ws) or an event stream (Accept: text/event-stream)."
)
GET_CHANGES_NOTHING = "A mutation is sent with POST: GET changes nothing."


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Logs our own failures with their trace; a caller's mistake is the caller's to know."""
        for error in errors:
            cause = error.original_error
            told = isinstance(cause, GraphQLError | DatabaseAwayError | OverloadedError | ReadTimeoutError)
            if cause is not None and not told and not _is_closing(cause):
                log.error("failed at %s", _path(error), exc_info=cause, extra={"kind": "failed"})

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[Kind] | None = None,
    ) -> Any:
        """One operation over a WebSocket or an event stream: with a context of its own, its errors worded for callers."""
        context = context_value
        if isinstance(context, Context):
            try:
                context = await context.of_operation()
            except (GraphQLError, DatabaseAwayError) as error:
                return _only(ExecutionResult(data=None, errors=[masked(_located(error))]))
            if context.holder is not None:
                await context.hub.turns.take(context.holder.merchant_id)
        stock = partial(
            super().stream,
            query,
            variable_values,
            context,
            root_value,
            operation_name,
            operation_extensions,
            allowed_operation_types,
        )
        if query is None or operation_extensions is not None or not isinstance(context, Context):
            return _masked_results(await stock())
        only_reads = allowed_operation_types is not None and Kind.MUTATION not in allowed_operation_types
        known = partial(answer_known, context, query, variable_values or {}, operation_name, only_reads=only_reads)
        return _masked_results(_known_or(known, stock))


async def _known_or(
    known: Callable[[], Awaitable[dict[str, Any] | CompiledResult | None]],
    stock: Callable[[], Awaitable[AsyncGenerator[Any, None]]],
) -> AsyncGenerator[Any, None]:
    """The one answer of an operation that is known; what the stock executor tells of any other."""
    found = await known()
    if found is None:
        async with aclosing(await stock()) as results:
            async for result in results:
                yield result
    elif isinstance(found, dict):
        yield ExecutionResult(data=found, errors=None)
    else:
        yield ExecutionResult(data=found.data, errors=found.errors)


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
        except GraphQLError as error:  # a document that was refused before it was validated
            yield PreExecutionError(data=None, errors=[masked(error)])


async def _only(result: ExecutionResult) -> AsyncGenerator[Any, None]:
    yield result


def _located(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


class _Gate(SchemaExtension):
    """Before an operation is executed: it is parsed, its cost is held against what may be asked for, and then it is
    validated. Nothing of it is kept but that it is good; what is known does not come here.
    """

    def on_parse(self) -> Iterator[None]:
        operation = self.execution_context
        context: Context = operation.context
        text = operation.query or ""
        refuse_long(text)
        limits, checks = context.house.limits, 0
        if context.holder is not None:
            limits.admit_text(context.holder)
        try:
            document, measured = self._measured(text)
            checks = measured.checks
            context.admit(measured, operation.variables or {})
        finally:
            if context.holder is not None:
                limits.count_text(context.holder, text, checks)
        operation.graphql_document = document
        yield

    def _measured(self, text: str) -> tuple[DocumentNode, Measured]:
        """Raises GraphQLError for what is no GraphQL, too complex, a subscription where nothing can follow, or a mutation by GET."""
        operation = self.execution_context
        context: Context = operation.context
        try:
            document = parse(text, max_tokens=MAX_TOKENS if context.holder else STRANGER_TOKENS)
            measured = measure(schema._schema, document, operation._provided_operation_name)
        except GraphQLError:
            _count_mistake(operation)
            raise
        if measured.operation.operation is OperationType.SUBSCRIPTION and not context.is_stream:
            raise errors.refused(WHERE_TO_SUBSCRIBE, errors.BAD_REQUEST)
        if measured.operation.operation is OperationType.MUTATION and Kind.MUTATION not in operation.allowed_operations:
            raise errors.refused(GET_CHANGES_NOTHING, errors.BAD_REQUEST)
        return document, measured

    def on_validate(self) -> Iterator[None]:
        operation = self.execution_context
        assert operation.graphql_document is not None
        digest = sha256((operation.query or "").encode("utf-8", "surrogatepass")).digest()
        operation.pre_execution_errors = []  # where it has none yet, Strawberry would look for some
        if not _good.has(digest):
            operation.pre_execution_errors = _wrong_with(operation.graphql_document)
            if operation.pre_execution_errors:
                _count_mistake(operation)
            else:
                _good.add(digest)
        yield

    def on_execute(self) -> Iterator[None]:
        operation = self.execution_context
        if operation.context.runtime.tracer is not None and (scope := scope_of_current()) is not None:
            scope[OPERATION] = operation.operation_type.value, operation.operation_name
        with operation.context.reading(only_reads=operation.operation_type is Kind.QUERY):
            yield


class _Good:
    """The documents that were found good, the last ones: to validate one takes several times as long as all else that comes
    before its execution, and of a stream's there is no plan. Any thread may ask.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def has(self, digest: bytes) -> bool:
        with self._lock:
            if digest not in self._digests:
                return False
            self._digests.move_to_end(digest)
            return True

    def add(self, digest: bytes) -> None:
        with self._lock:
            self._digests[digest] = None
            if len(self._digests) > MAX_GOOD:
                self._digests.popitem(last=False)


_good = _Good()


def _count_mistake(operation: ExecutionContext) -> None:
    context: Context = operation.context
    if context.holder is not None:
        context.house.limits.count_mistake(context.holder, operation.query or "")


class Executor(StrawberryGraphQLCoreExecutionContext):
    """The stock executor, but a variable that is judged alone makes no request wrong."""

    @classmethod
    def build(
        cls,
        schema: Any,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        raw_variable_values: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        field_resolver: Any = None,
        type_resolver: Any = None,
        subscribe_field_resolver: Any = None,
        max_coercion_errors: int = MAX_VARIABLE_ERRORS,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """As the stock executor's, which see."""
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        named = [node for node in operations if operation_name in (None, node.name and node.name.value)]
        sent = dict(raw_variable_values or {})
        if len(named) == 1:
            sent = dict(tolerated(schema, named[0], sent))
        return super().build(
            schema,
            document,
            root_value,
            context_value,
            sent,
            operation_name,
            field_resolver,
            type_resolver,
            subscribe_field_resolver,
            min(max_coercion_errors, MAX_VARIABLE_ERRORS),
            *args,
            **kwargs,
        )


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=CONFIG,
    extensions=[_Gate],
    execution_context_class=Executor,
)
guard(schema)
take_drafts(schema)


def _wrong_with(document: DocumentNode) -> list[GraphQLError]:
    found = validate(schema._schema, document, _RULES, max_errors=MAX_ERRORS)
    return [
        GraphQLError(error.message, nodes=error.nodes, extensions={"code": errors.VALIDATION_FAILED}) for error in found
    ]


def checked(text: str, operation_name: str | None) -> Checked | None:
    """A document that this schema executes, and its measure; None for one that it refuses, by the same limits and rules.

    Without the places of its parts in the text: nobody who compiles it asks for them, and they hold all of it.
    """
    try:
        document = parse(text, max_tokens=MAX_TOKENS, no_location=True)
        measured = measure(schema._schema, document, operation_name)
    except GraphQLError:
        return None
    return None if _wrong_with(document) else Checked(document, measured)


def _path(error: GraphQLError) -> str:
    return ".".join(map(str, error.path or ())) or "the operation"
