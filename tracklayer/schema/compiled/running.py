"""A plan while it runs: the calls of its resolvers, and the stock executor where a call or its answer is out of line."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import ExecutionResult, OperationType, VariableDefinitionNode, execute, parse
from graphql.execution.values import get_variable_values

from tracklayer.schema.compiled.source import Doubt, Source
from tracklayer.schema.cost import Measured

log = logging.getLogger(__name__)

BYTES_A_CHARACTER = 12  # of generated code: what it and the objects that it names hold; a test measures it


class Plan:
    """One operation, compiled."""

    def __init__(
        self,
        schema: strawberry.Schema,
        text: str,
        measured: Measured,
        source: Source,
        coerce: Callable[[Mapping[str, Any]], tuple[Any, ...]],
        project: Callable[[None, Info, list[Call]], dict[str, Any]],
    ) -> None:
        """``source``: where the generated functions live. Of the document the definitions of its variables are kept."""
        operation = measured.operation
        self.cost = measured.cost
        self.scopes = measured.scopes
        self.only_reads = operation.operation is OperationType.QUERY
        self._schema = schema
        self._text = text
        self._name = operation.name.value if operation.name else None
        self.operation = operation.operation.value, self._name  # its kind, and the name it was given
        self._definitions = operation.variable_definitions or ()
        self._names = source.names
        self.size = 2 * len(text) + BYTES_A_CHARACTER * source.written
        self._coerce = coerce
        self._project = project
        self._running: list[None] = []  # one for each run, of whatever thread: adding and taking are one step each
        self._is_closed = False

    def close(self) -> None:
        """Lets go of the generated code, when nothing runs it any more.

        Functions and the namespace they live in hold each other: left alone, they would wait for Python's collector.
        """
        self._is_closed = True
        if not self._running:
            self._names.clear()

    async def run(self, variables: Mapping[str, Any], context: Any) -> dict[str, Any] | ExecutionResult:
        """``data`` of an answer without errors, or the stock executor's result where there are any.

        Raises Doubt before anything was called: then this request is the stock executor's, from the beginning (``run_stock``).
        """
        self._running.append(None)
        if self._is_closed:
            self._running.pop()
            raise Doubt
        try:
            return await self._run(variables, context)
        finally:
            self._running.pop()
            if self._is_closed:
                self.close()

    async def run_stock(self, variables: Mapping[str, Any], context: Any) -> ExecutionResult:
        """The stock executor's result for variables that ``run`` doubts. The text is known to be good: it is not validated again,
        which takes several times as long as the rest.
        """
        return await self._replay(variables, context, {}, Doubt())

    async def _run(self, variables: Mapping[str, Any], context: Any) -> dict[str, Any] | ExecutionResult:
        try:
            values = self._coerce(variables)
        except Exception as error:  # a wrong type shows as any kind of error in straight-line code
            raise Doubt from error
        info = Info(context, values, variables, self._schema, self._definitions)
        outcomes: dict[str, Outcome] = {}
        try:
            calls: list[Call] = []
            data = self._project(None, info, calls)
            if len(calls) == 1:
                await call_root(calls[0], info, outcomes)
            else:
                await all_of([call_root(call, info, outcomes) for call in calls])
        except Exception as error:  # noqa: BLE001 - whatever it is, the stock executor words it
            return await self._replay(variables, context, outcomes, error)
        return data

    async def _replay(
        self, variables: Mapping[str, Any], context: Any, outcomes: dict[str, Outcome], error: Exception
    ) -> ExecutionResult:
        """The stock executor's result; root resolvers that were called already are not called again."""

        def play_back(resolve: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
            if info.path.prev is None and info.path.key in outcomes:
                return outcomes[info.path.key].again()
            return resolve(source, info, **arguments)

        result: Any = execute(
            self._schema._schema,
            parse(self._text),
            variable_values=dict(variables),
            operation_name=self._name,
            context_value=context,
            middleware=[play_back],
            executor_class=self._schema.execution_context_class,
        )
        if isawaitable(result):
            result = await result
        assert isinstance(result, ExecutionResult)
        if result.errors:
            self._schema.process_errors(result.errors)
        elif not isinstance(error, Doubt):
            log.error("a compiled operation failed where the stock executor did not", exc_info=error)
        return result


@dataclasses.dataclass(slots=True)
class Outcome:
    """What a root resolver returned or raised."""

    value: Any = None
    error: Exception | None = None

    async def again(self) -> Any:
        """Both once more; awaited, as the resolver was, so that neighbours get their turn in the same order."""
        if self.error is not None:
            raise self.error
        return self.value


class Info:
    """What compiled resolvers get as ``info``; they use ``context`` alone."""

    __slots__ = ("_definitions", "_schema", "_sent", "_stock_values", "context", "values")

    def __init__(
        self,
        context: Any,
        values: tuple[Any, ...],
        sent: Mapping[str, Any],
        schema: strawberry.Schema,
        definitions: Sequence[VariableDefinitionNode],
    ) -> None:
        self.context = context
        self.values = values
        self._sent = sent
        self._schema = schema
        self._definitions = definitions
        self._stock_values: Any = None

    def stock_values(self) -> Any:
        """The variables as graphql-core coerces them, for arguments that it has to put together."""
        if self._stock_values is None:
            found = get_variable_values(
                self._schema._schema,
                self._definitions,
                dict(self._sent),
            )
            if isinstance(found, list):
                raise Doubt
            self._stock_values = found
        return self._stock_values


# An asynchronous field that waits for its turn: resolver, source, keyword arguments, what makes the answer of the value
# and puts further calls into a list, and where the answer goes.
Call = tuple[
    Callable[..., Any],
    tuple[Any, ...],
    dict[str, Any],
    Callable[[Any, Info, list[Any]], Any],
    dict[str, Any],
    str,
]


async def call_root(call: Call, info: Info, outcomes: dict[str, Outcome]) -> None:
    resolve, source, arguments, finish, target, key = call
    try:
        value = await resolve(*source, **arguments)
    except Exception as error:
        outcomes[key] = Outcome(error=error)
        raise
    outcomes[key] = Outcome(value)
    calls: list[Call] = []
    target[key] = finish(value, info, calls)
    if calls:
        await all_of([_call(inner, info) for inner in calls])


async def _call(call: Call, info: Info) -> None:
    """Calls one field and then what is below it at once, without waiting for its neighbours, as graphql-core does.

    Neighbours that wake in the same turn of the loop ask their data loaders in the same turn: one statement for all.
    """
    resolve, source, arguments, finish, target, key = call
    value = await resolve(*source, **arguments)
    calls: list[Call] = []
    target[key] = finish(value, info, calls)
    if calls:
        await all_of([_call(inner, info) for inner in calls])


async def all_of(waiting: Sequence[Any]) -> None:
    """All at once, each to its end; then the first failure is raised."""
    if len(waiting) == 1:
        await waiting[0]
        return
    for found in await asyncio.gather(*waiting, return_exceptions=True):
        if found is not None:
            raise found
