"""Compiled operations: a document that comes again and again is answered by Python that was generated for it.

graphql-core walks types and documents anew for every request, and Strawberry looks up every argument's type: some 500
microseconds for one mutation with a typed input. A plan does that walk once. It coerces the variables, calls the
resolvers and writes the answer in straight lines of code; what they cannot decide is left to the stock executor, so
that an answer, its errors and their words are always the ones that graphql-core gives:

- before a resolver was called, any doubt about a variable means that there is no plan for this request (``Doubt``);
- afterwards, any exception means that the stock executor answers, with the outcomes of the root resolvers played back:
  a root resolver is never called twice, for a mutation has effects.

Not compiled, and left to the stock executor as a whole: several root fields of a mutation, introspection, subscriptions,
unions, directives other than @skip and @include, fields with extensions or permissions, recursive or one-of inputs.

A compiled resolver gets a light ``info`` that has ``context`` and nothing else. Nothing here knows what the API is about.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import (
    BooleanValueNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    VariableNode,
    execute,
    type_from_ast,
)
from graphql.execution.values import get_argument_values, get_variable_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.types.arguments import convert_argument, convert_arguments
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition, StrawberryOptional

log = logging.getLogger(__name__)

MAX_PLANS = 500  # documents: an application has a few dozen
MAX_TEXT = 16 * 1024  # characters: a longer document is executed, not compiled
_MISSING: Any = object()  # a variable or field that was not sent, where null means something else
_DEFINITION = "strawberry-definition"  # where Strawberry keeps its own definition of a GraphQL type or field
_CONSTANTS = (str, int, float, bool, type(None), type(strawberry.UNSET), Enum)  # what calls may share: unchangeable


class Doubt(Exception):
    """The generated code cannot decide: the stock executor must."""


class NotCompiledError(Exception):
    """This operation has something that is not compiled."""


class Drafted:
    """Marks an input class whose resolvers ask for nothing but its draft: what was given, as a plain dictionary.

    A plan gives them the draft itself, nested ones within it: keys are the Python names, in the order of the fields; what
    is None or UNSET is missing; enums are their values. The stock executor gives an instance. Nobody changes either.
    """


class Plans:
    """The plans of one schema by text and operation name, the most recently used ones.

    A plan is made when a text is seen the second time: whoever sends ever new texts pays for no compilation here, and
    pushes no plan out. ``check`` parses and validates a text as the schema does; None for one that it refuses.
    """

    def __init__(
        self, schema: strawberry.Schema, check: Callable[[str], DocumentNode | None], size: int = MAX_PLANS
    ) -> None:
        self._schema = schema
        self._check = check
        self._size = size
        self._inputs = _Inputs()
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple[str, str | None], Plan | None] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()

    def find(self, text: str, operation_name: str | None) -> Plan | None:
        """The plan of an operation, or None: then the stock executor answers. Any thread may ask."""
        with self._lock:
            return self._find(text, operation_name)

    def _find(self, text: str, operation_name: str | None) -> Plan | None:
        key = (text, operation_name)
        if key in self._plans:
            self._plans.move_to_end(key)
            return self._plans[key]
        if len(text) > MAX_TEXT:
            return None
        seen = hash(key)  # a text of somebody's choice is not kept; two that share a hash are compiled a little early
        if seen not in self._seen:
            self._seen[seen] = None
            _shrink(self._seen, self._size)
            return None
        del self._seen[seen]
        self._plans[key] = found = self._compile(text, operation_name)
        _shrink(self._plans, self._size)
        return found

    def __len__(self) -> int:
        return len(self._plans)

    def _compile(self, text: str, operation_name: str | None) -> Plan | None:
        document = self._check(text)
        if document is None:
            return None
        try:
            return _Compiler(self._schema, self._inputs, document, operation_name).plan()
        except NotCompiledError:
            return None
        except Exception:  # whatever is wrong with the compiler, the stock executor can answer
            log.exception("an operation could not be compiled")
            return None


def _shrink(cache: OrderedDict[Any, Any], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)


class Plan:
    """One operation, compiled."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        coerce: Callable[[Mapping[str, Any]], tuple[Any, ...]],
        project: Callable[[None, _Info, list[_Call]], dict[str, Any]],
    ) -> None:
        self._schema = schema
        self._document = document
        self._operation = operation
        self._coerce = coerce
        self._project = project

    async def run(self, variables: Mapping[str, Any], context: Any) -> dict[str, Any] | ExecutionResult:
        """``data`` of an answer without errors, or the stock executor's result where there are any.

        Raises Doubt before anything was called: then this request is the stock executor's, from the beginning.
        """
        try:
            values = self._coerce(variables)
        except Exception as error:  # a wrong type shows as any kind of error in straight-line code
            raise Doubt from error
        info = _Info(context, values, variables, self._schema, self._operation)
        outcomes: dict[str, _Outcome] = {}
        try:
            calls: list[_Call] = []
            data = self._project(None, info, calls)
            if len(calls) == 1:
                await _call_root(calls[0], info, outcomes)
            else:
                await _all_of([_call_root(call, info, outcomes) for call in calls])
        except Exception as error:  # noqa: BLE001 - whatever it is, the stock executor words it
            return await self._replay(variables, context, outcomes, error)
        return data

    async def _replay(
        self, variables: Mapping[str, Any], context: Any, outcomes: dict[str, _Outcome], error: Exception
    ) -> ExecutionResult:
        """The stock executor's result; root resolvers that were called already are not called again."""

        def play_back(resolve: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
            if info.path.prev is None and info.path.key in outcomes:
                return outcomes[info.path.key].again()
            return resolve(source, info, **arguments)

        result: Any = execute(
            self._schema._schema,
            self._document,
            variable_values=dict(variables),
            operation_name=self._operation.name.value if self._operation.name else None,
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
class _Outcome:
    """What a root resolver returned or raised."""

    value: Any = None
    error: Exception | None = None

    async def again(self) -> Any:
        """Both once more; awaited, as the resolver was, so that neighbours get their turn in the same order."""
        if self.error is not None:
            raise self.error
        return self.value


class _Info:
    """What compiled resolvers get as ``info``; they use ``context`` alone."""

    __slots__ = ("_operation", "_schema", "_sent", "_stock_values", "context", "values")

    def __init__(
        self,
        context: Any,
        values: tuple[Any, ...],
        sent: Mapping[str, Any],
        schema: strawberry.Schema,
        operation: OperationDefinitionNode,
    ) -> None:
        self.context = context
        self.values = values
        self._sent = sent
        self._schema = schema
        self._operation = operation
        self._stock_values: Any = None

    def stock_values(self) -> Any:
        """The variables as graphql-core coerces them, for arguments that it has to put together."""
        if self._stock_values is None:
            found = get_variable_values(
                self._schema._schema,
                self._operation.variable_definitions or (),
                dict(self._sent),
            )
            if isinstance(found, list):
                raise Doubt
            self._stock_values = found
        return self._stock_values


# An asynchronous field that waits for its turn: resolver, source, keyword arguments, what makes the answer of the value
# and puts further calls into a list, and where the answer goes.
_Call = tuple[
    Callable[..., Any],
    tuple[Any, ...],
    dict[str, Any],
    Callable[[Any, _Info, list[Any]], Any],
    dict[str, Any],
    str,
]


async def _call_root(call: _Call, info: _Info, outcomes: dict[str, _Outcome]) -> None:
    resolve, source, arguments, finish, target, key = call
    try:
        value = await resolve(*source, **arguments)
    except Exception as error:
        outcomes[key] = _Outcome(error=error)
        raise
    outcomes[key] = _Outcome(value)
    calls: list[_Call] = []
    target[key] = finish(value, info, calls)
    if calls:
        await _all_of([_call(inner, info) for inner in calls])


async def _call(call: _Call, info: _Info) -> None:
    """Calls one field and then what is below it at once, without waiting for its neighbours, as graphql-core does.

    Neighbours that wake in the same turn of the loop ask their data loaders in the same turn: one statement for all.
    """
    resolve, source, arguments, finish, target, key = call
    value = await resolve(*source, **arguments)
    calls: list[_Call] = []
    target[key] = finish(value, info, calls)
    if calls:
        await _all_of([_call(inner, info) for inner in calls])


async def _all_of(waiting: Sequence[Any]) -> None:
    """All at once, each to its end; then the first failure is raised."""
    if len(waiting) == 1:
        await waiting[0]
        return
    for found in await asyncio.gather(*waiting, return_exceptions=True):
        if found is not None:
            raise found


class _Source:
    """Lines of Python and the objects that they name."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"Doubt": Doubt, "MISSING": _MISSING, "new": object.__new__}
        self._count = 0

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def keep(self, prefix: str, value: Any) -> str:
        """A name for an object that the lines use."""
        name = self.fresh(prefix)
        self.names[name] = value
        return name

    def define(self, name: str, parameters: str, lines: Iterable[str]) -> Callable[..., Any]:
        """Compiles a function. Its lines hold names of GraphQL, quoted, and names from here: nothing else was sent."""
        body = "\n".join(f"    {line}" for line in lines)
        exec(compile(f"def {name}({parameters}):\n{body}", "<compiled operation>", "exec"), self.names)  # noqa: S102
        made: Callable[..., Any] = self.names[name]
        return made


class _Inputs(_Source):
    """Coercion of variables. Only what needs no conversion passes; anything else raises, and the stock executor decides."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[tuple[str, bool], str] = {}
        self._open: set[str] = set()

    def variables(self, definitions: Sequence[tuple[str, Any, Any]]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """A function from what was sent to a tuple of values. ``definitions``: (name, type, default or _MISSING)."""
        lines = ["get = sent.get"]
        values = []
        for index, (name, type_, default) in enumerate(definitions):
            x = f"v{index}"
            lines.append(f"{x} = get({name!r}, MISSING)")
            inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            given = self._coercion(inner, x, False)
            absent = self.keep("default", default) if default is not _MISSING else None
            if isinstance(type_, GraphQLNonNull):
                given = [f"if {x} is None: raise Doubt", *given]
                if absent is None:
                    lines += [f"if {x} is MISSING: raise Doubt", *given]
                else:
                    lines += [f"if {x} is MISSING:", f"    {x} = {absent}", "else:", *_indented(given)]
            else:
                lines += [f"if {x} is MISSING:", f"    {x} = {absent or 'MISSING'}", f"elif {x} is not None:"]
                lines += _indented(given or ["pass"])
            values.append(x)
        lines.append(f"return ({''.join(f'{value}, ' for value in values)})")
        return self.define(self.fresh("variables"), "sent", lines)

    def _coercion(self, type_: Any, x: str, in_draft: bool) -> list[str]:
        """Lines that hold ``x``, which is not null, against its type and make of it what a resolver or a draft gets."""
        if isinstance(type_, GraphQLList):
            return [f"{x} = {self._list(type_, in_draft)}({x})"]
        if type_ in (GraphQLString, GraphQLID):
            return [f"if type({x}) is not str: raise Doubt"]
        if type_ is GraphQLInt:
            return [f"if type({x}) is not int or not -2147483648 <= {x} <= 2147483647: raise Doubt"]
        if type_ is GraphQLBoolean:
            return [f"if {x} is not True and {x} is not False: raise Doubt"]
        if isinstance(type_, GraphQLEnumType):
            members = {name: type_.coerce_input_value(name) for name in type_.values}
            table = {name: member.value if in_draft else member for name, member in members.items()}
            return [f"{x} = {self.keep('enum', table)}[{x}]"]
        if isinstance(type_, GraphQLInputObjectType):
            return [f"{x} = {self._object(type_, in_draft)}({x})"]
        return [f"{x} = {self.keep('parse', _parsing(type_))}({x})"]

    def _list(self, type_: GraphQLList[Any], in_draft: bool) -> str:
        key = (str(type_), in_draft)
        known = self._functions.get(key)
        if known is not None:
            return known
        item = type_.of_type
        inner = item.of_type if isinstance(item, GraphQLNonNull) else item
        given = [*self._coercion(inner, "x", in_draft), "values.append(x)"]
        null = "raise Doubt" if inner is not item else "values.append(None)"
        lines = ["if type(sent) is not list: raise Doubt", "values = []", "for x in sent:"]
        lines += _indented([f"if x is None: {null}", "else:", *_indented(given)])
        name = self.fresh("list")
        self.define(name, "sent", [*lines, "return values"])
        self._functions[key] = name
        return name

    def _object(self, type_: GraphQLInputObjectType, in_draft: bool) -> str:
        """The function that builds an instance or a draft."""
        definition: StrawberryObjectDefinition = type_.extensions[_DEFINITION]
        cls = definition.origin
        is_drafted = issubclass(cls, Drafted)
        key = (type_.name, is_drafted)
        known = self._functions.get(key)
        if known is not None:
            return known
        if type_.name in self._open:
            raise NotCompiledError(f"{type_.name} contains itself")
        if in_draft and not is_drafted:
            raise NotCompiledError(f"{type_.name} has no draft and stands in one")
        if self._open and not in_draft and is_drafted:
            raise NotCompiledError(f"{type_.name} has a draft and stands in an instance")
        if type_.is_one_of or definition.is_one_of or definition.from_input is not None:
            raise NotCompiledError(f"{type_.name} is built in its own way")
        if hasattr(cls, "__post_init__"):
            raise NotCompiledError(f"{type_.name} has a __post_init__")
        self._open.add(type_.name)
        try:
            name = self._define_object(type_, cls, is_drafted)
        finally:
            self._open.discard(type_.name)
        self._functions[key] = name  # known only now: a failure above must not leave half of it behind
        return name

    def _define_object(self, type_: GraphQLInputObjectType, cls: type, is_drafted: bool) -> str:
        order = [field.name for field in dataclasses.fields(cls)]
        fields = sorted(
            ((sent, field, field.extensions[_DEFINITION]) for sent, field in type_.fields.items()),
            key=lambda found: order.index(found[2].python_name),
        )
        if len(fields) != len(order):
            raise NotCompiledError(f"{type_.name} has a field that is not published")
        defaults: dict[str, Any] = {}
        lines: list[str] = []
        for sent, field, ours in fields:
            default = _default_of(ours)
            defaults[ours.python_name] = default
            lines += self._field(sent, field.type, ours.python_name, default, is_drafted)
        known = self.keep("fields", frozenset(type_.fields))
        lines = [f"if type(sent) is not dict or not {known}.issuperset(sent): raise Doubt", "get = sent.get", *lines]
        if is_drafted:
            lines = ["d = {}", *lines, "return d"]
        else:
            template, made = self.keep("template", defaults), self.keep("cls", cls)
            lines = [f"d = {template}.copy()", *lines, f"o = new({made})", "o.__dict__ = d", "return o"]
        name = self.fresh("input")
        self.define(name, "sent", lines)
        return name

    def _field(self, sent: str, type_: Any, name: str, default: Any, in_draft: bool) -> list[str]:
        required = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if required else type_
        given = [*self._coercion(inner, "x", in_draft), f"d[{name!r}] = x"]
        if default is _MISSING or (default is None and not required):
            # Left out and null are the same: refused, or None as the template has it.
            null = ["if x is None: raise Doubt"] if required else []
            body = [*null, *given] if required else ["if x is not None:", *_indented(given)]
            return [f"x = get({sent!r})", *body]
        absent, null_line = "pass", f"d[{name!r}] = None"
        if in_draft:
            null_line = "pass"
            if default is not None and default is not strawberry.UNSET:
                value = self.keep("default", default.value if isinstance(default, Enum) else default)
                absent = f"d[{name!r}] = {value}"
        return [
            f"x = get({sent!r}, MISSING)",
            f"if x is MISSING: {absent}",
            f"elif x is None: {'raise Doubt' if required else null_line}",
            "else:",
            *_indented(given),
        ]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _default_of(field: Any) -> Any:
    """The value of a field that was left out; _MISSING where it must not be."""
    if field.default_factory is not dataclasses.MISSING:
        raise NotCompiledError(f"{field.python_name} makes its default anew")
    if field.default is dataclasses.MISSING:
        return None if isinstance(field.type, StrawberryOptional) else _MISSING
    if isinstance(field.type, StrawberryMaybe) or not isinstance(field.default, _CONSTANTS):
        raise NotCompiledError(f"{field.python_name} has a default that cannot be shared")
    return field.default


def _parsing(type_: Any) -> Callable[[Any], Any]:
    if not isinstance(type_, GraphQLScalarType):
        raise NotCompiledError(f"{type_} is no input")
    parse = type_.coerce_input_value

    def checked(value: Any) -> Any:
        found = parse(value)
        if found is Undefined:
            raise Doubt
        return found

    return checked


@dataclasses.dataclass
class _Selected:
    """A field of an answer: all its nodes in the document, and (index of a variable, its value) that it depends on."""

    nodes: list[FieldNode]
    conditions: tuple[tuple[int, bool], ...]


class _Compiler(_Source):
    """Generates the code of one operation."""

    def __init__(
        self, schema: strawberry.Schema, inputs: _Inputs, document: DocumentNode, operation_name: str | None
    ) -> None:
        super().__init__()
        self._schema = schema
        self._graphql = schema._schema
        self._inputs = inputs
        self._document = document
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if operation_name is not None:
            operations = [node for node in operations if node.name and node.name.value == operation_name]
        if not operations or schema.exception_handlers or schema.directives:
            raise NotCompiledError
        self._operation = operations[0]  # the first of several without a name to choose by, as Strawberry does
        self._variables: dict[str, tuple[int, Any, Any]] = {}

    def plan(self) -> Plan:
        operation = self._operation
        root = self._graphql.get_root_type(operation.operation)
        if operation.operation is OperationType.SUBSCRIPTION or operation.directives or root is None:
            raise NotCompiledError
        definitions = [self._variable(node) for node in operation.variable_definitions or ()]
        self._variables = {name: (index, type_, default) for index, (name, type_, default) in enumerate(definitions)}
        coerce = self._inputs.variables(definitions)
        selected = self._collect(root, [operation.selection_set])
        if operation.operation is OperationType.MUTATION and len(selected) != 1:
            raise NotCompiledError  # one after another: not worth a path of its own
        project = self.names[self._object(root, selected, is_root=True)]
        return Plan(self._schema, self._document, operation, coerce, project)

    def _variable(self, node: Any) -> tuple[str, Any, Any]:
        if node.directives:
            raise NotCompiledError
        type_ = type_from_ast(self._graphql, node.type)
        default = _MISSING
        if node.default_value is not None:
            default = coerce_input_literal(node.default_value, type_)
            if default is Undefined or not isinstance(default, _CONSTANTS):
                raise NotCompiledError
        return node.variable.name.value, type_, default

    # What an object's answer has

    def _collect(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> dict[str, _Selected]:
        found: dict[str, _Selected] = {}
        for selection_set in sets:
            if selection_set is not None:
                self._collect_into(found, type_, selection_set, ())
        return found

    def _collect_into(
        self,
        found: dict[str, _Selected],
        type_: GraphQLObjectType,
        selection_set: SelectionSetNode,
        outer: tuple[tuple[int, bool], ...],
    ) -> None:
        for node in selection_set.selections:
            own = self._conditions(node)
            if own is None:
                continue
            conditions = outer + own
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                if key not in found:
                    found[key] = _Selected([node], conditions)
                elif conditions or found[key].conditions:
                    raise NotCompiledError  # the same key under two conditions
                else:
                    found[key].nodes.append(node)
                continue
            fragment: Any = node
            if isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                if fragment.directives or getattr(node, "arguments", None):
                    raise NotCompiledError
            assert isinstance(fragment, InlineFragmentNode | FragmentDefinitionNode)
            if self._applies(fragment.type_condition, type_):
                self._collect_into(found, type_, fragment.selection_set, conditions)

    def _applies(self, condition: Any, type_: GraphQLObjectType) -> bool:
        if condition is None or condition.name.value == type_.name:
            return True
        other: Any = self._graphql.get_type(condition.name.value)
        return not isinstance(other, GraphQLObjectType) and self._graphql.is_sub_type(other, type_)

    def _conditions(self, node: Any) -> tuple[tuple[int, bool], ...] | None:
        """The variables that decide whether a node is there; None for one that never is."""
        found = []
        for directive in node.directives or ():
            name = directive.name.value
            if name not in ("skip", "include"):
                raise NotCompiledError
            given = directive.arguments[0].value
            if isinstance(given, VariableNode):
                found.append((self._variables[given.name.value][0], name == "include"))
            elif isinstance(given, BooleanValueNode):
                if given.value is not (name == "include"):
                    return None
            else:
                raise NotCompiledError
        return tuple(found)

    # How it is written

    def _object(self, type_: GraphQLObjectType, selected: dict[str, _Selected], *, is_root: bool = False) -> str:
        """The name of a function(source, info, calls) that makes an object's answer."""
        lines = []
        if type_.is_type_of is not None:  # the stock executor asks whether it is one; exactly this class surely is
            made = self.keep("cls", type_.extensions[_DEFINITION].origin)
            lines.append(f"if type(o) is not {made}: raise Doubt")
        fields = [(key, field, *self._field(type_, key, field.nodes, is_root)) for key, field in selected.items()]
        if any(field.conditions for field in selected.values()):
            self.names["flag"] = _flag
            lines.append("d = {}")
            for key, field, value, calls in fields:
                flags = [f"flag(i.values[{index}]) is {expected}" for index, expected in field.conditions]
                lines += [f"if {' and '.join(flags) or 'True'}:", f"    d[{key!r}] = {value}", *_indented(calls)]
        else:
            lines.append(f"d = {{{', '.join(f'{key!r}: {value}' for key, _, value, _ in fields)}}}")
            lines += [call for _, _, _, calls in fields for call in calls]
        name = self.fresh("object")
        self.define(name, "o, i, calls", [*lines, "return d"])
        return name

    def _field(
        self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode], is_root: bool
    ) -> tuple[str, list[str]]:
        """(what its answer is at first, the line that has it called where it is asynchronous)."""
        name = nodes[0].name.value
        if name == "__typename":
            return repr(parent.name), []
        field = parent.fields.get(name)
        ours = field.extensions.get(_DEFINITION) if field is not None else None
        if field is None or ours is None or ours.extensions or ours.is_subscription:
            raise NotCompiledError
        resolver = ours.base_resolver
        if resolver is None:
            if is_root or self._schema.config.default_resolver is not getattr:
                raise NotCompiledError
            return self._value(field.type, nodes, f"o.{ours.python_name}"), []
        source, arguments = self._arguments(field, ours, nodes[0])
        call = self.keep("resolve", resolver.wrapped_func)
        if not ours.is_async:
            if is_root:
                raise NotCompiledError  # it would be called before its outcome can be noted
            separator = ", " if source and arguments else ""
            return self._value(field.type, nodes, f"{call}({source}{separator}{arguments})"), []
        finish = self.fresh("finish")
        self.define(finish, "v, i, calls", [f"return {self._value(field.type, nodes, 'v')}"])
        owner = f"({source},)" if source else "()"
        return "None", [f"calls.append(({call}, {owner}, dict({arguments}), {finish}, d, {key!r}))"]

    def _value(self, type_: Any, nodes: list[FieldNode], expression: str) -> str:
        """An expression that makes the answer of a value, which ``expression`` gives and which is evaluated once."""
        nullable = not isinstance(type_, GraphQLNonNull)
        inner = type_ if nullable else type_.of_type
        x = expression if expression.isidentifier() else self.fresh("x")
        first = x if x is expression else f"({x} := {expression})"
        if isinstance(inner, GraphQLScalarType | GraphQLEnumType):
            return self._leaf(inner, nullable, x, first)
        if isinstance(inner, GraphQLList):
            self.names["items"] = _items
            item = self.fresh("item")
            made = f"[{self._value(inner.of_type, nodes, item)} for {item} in items({x})]"
        elif isinstance(inner, GraphQLObjectType):
            made = f"{self._object_of(inner, nodes)}({x}, i, calls)"
        elif isinstance(inner, GraphQLInterfaceType):
            made = f"{self._by_class(inner, nodes)}[type({x})]({x}, i, calls)"
        else:
            raise NotCompiledError
        self.names["null"] = _null
        return f"({'None' if nullable else 'null()'} if {first} is None else {made})"

    def _leaf(self, type_: Any, nullable: bool, x: str, first: str) -> str:
        """Values that need no conversion pass at once; the type's own function decides on all others."""
        slow = self.keep("leaf", _leaf(type_, nullable))
        if type_ in (GraphQLString, GraphQLID):
            return f"({x} if type({first}) is str else {slow}({x}))"
        if type_ is GraphQLInt:
            return f"({x} if type({first}) is int and -2147483648 <= {x} <= 2147483647 else {slow}({x}))"
        if type_ is GraphQLBoolean:
            return f"({x} if {first} is True or {x} is False else {slow}({x}))"
        if isinstance(type_, GraphQLEnumType):
            members = type_.extensions[_DEFINITION].wrapped_cls
            # By identity: hashing a member is a call in Python, and there is one of each for ever.
            table = self.keep("enum", {id(member): type_.coerce_output_value(member) for member in members})
            return f"({table}.get(id({first})) or {slow}({x}))"
        return f"{slow}({first})"

    def _object_of(self, type_: GraphQLObjectType, nodes: list[FieldNode]) -> str:
        return self._object(type_, self._collect(type_, [node.selection_set for node in nodes]))

    def _by_class(self, type_: GraphQLInterfaceType, nodes: list[FieldNode]) -> str:
        """A table from the class of a value to the function for it. A class that is not there raises, and that is fine."""
        if type_.extensions[_DEFINITION].resolve_type is not None:
            raise NotCompiledError
        table = {}
        for possible in self._graphql.get_possible_types(type_):
            definition = possible.extensions[_DEFINITION]
            if definition.concrete_of is None and not definition.is_graphql_generic:
                table[definition.origin] = self.names[self._object_of(possible, nodes)]
        return self.keep("by_class", table)

    # What resolvers are called with

    def _arguments(self, field: GraphQLField, ours: Any, node: FieldNode) -> tuple[str, str]:
        """(the positional argument, the keyword arguments) of a resolver as code."""
        resolver = ours.base_resolver
        parts = []
        if resolver.info_parameter is not None:
            parts.append(f"{resolver.info_parameter.name}=i")
        parts += [f"{p.name}=o" for p in (resolver.parent_parameter, resolver.root_parameter) if p is not None]
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        named = {self._schema.config.name_converter.from_argument(a): a for a in ours.arguments}
        values = [self._argument(field.args[name], argument, given.get(name)) for name, argument in named.items()]
        if None in values:
            parts.append(f"**{self.keep('stock', _stock_arguments(self._schema, field, ours, node))}(i)")
        else:
            parts += [f"{a.python_name}={value}" for a, value in zip(named.values(), values, strict=True) if value]
        return "o" if resolver.self_parameter is not None else "", ", ".join(parts)

    def _argument(self, argument: GraphQLArgument, ours: Any, given: Any) -> str | None:
        """One argument as code: empty for one that is left out, None for one that graphql-core has to put together."""
        if isinstance(given, VariableNode):
            index, type_, default = self._variables[given.name.value]
            value = f"i.values[{index}]"
            if not isinstance(type_, GraphQLNonNull):
                if default is _MISSING:
                    otherwise = self._constant(coerce_default_value(argument), ours)
                    if not otherwise:
                        return None
                    x = self.fresh("x")
                    value = f"({otherwise} if ({x} := {value}) is MISSING else {x})"
                if isinstance(argument.type, GraphQLNonNull):
                    self.names["not_null"] = _not_null
                    value = f"not_null({value})"
            return value
        if given is None:
            return self._constant(coerce_default_value(argument), ours)
        if _has_variables(given):
            return None
        return self._constant(coerce_input_literal(given, argument.type), ours) or None

    def _constant(self, value: Any, ours: Any) -> str | None:
        if value is Undefined:
            return ""
        converted = convert_argument(
            value, ours.type, self._schema.schema_converter.scalar_registry, self._schema.config
        )
        # A list or an input may be changed by whoever gets it: such a one is made anew for every call.
        return self.keep("constant", converted) if isinstance(converted, _CONSTANTS) else None


def _has_variables(node: Any) -> bool:
    if isinstance(node, VariableNode):
        return True
    inner = [*(getattr(node, "values", None) or ()), *(field.value for field in getattr(node, "fields", None) or ())]
    return any(_has_variables(found) for found in inner)


def _stock_arguments(
    schema: strawberry.Schema, field: GraphQLField, ours: Any, node: FieldNode
) -> Callable[[_Info], dict[str, Any]]:
    def arguments(info: _Info) -> dict[str, Any]:
        values = get_argument_values(field, node, info.stock_values())
        registry = schema.schema_converter.scalar_registry
        return convert_arguments(values, ours.arguments, scalar_registry=registry, config=schema.config)

    return arguments


def _leaf(type_: Any, nullable: bool) -> Callable[[Any], Any]:
    serialize = type_.coerce_output_value

    def leaf(value: Any) -> Any:
        if value is None and nullable:
            return None
        if value is None or isinstance(value, Exception):
            raise Doubt
        written = serialize(value)
        if written is None or written is Undefined:
            raise Doubt
        return written

    return leaf


def _items(value: Any) -> Any:
    if type(value) is not list and type(value) is not tuple:
        raise Doubt
    return value


def _null() -> None:
    raise Doubt


def _not_null(value: Any) -> Any:
    if value is None:
        raise Doubt
    return value


def _flag(value: Any) -> bool:
    if value is not True and value is not False:
        raise Doubt
    return value
