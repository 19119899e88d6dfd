"""Generated projection: calls an operation's resolvers and writes its answer, in straight lines of code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import strawberry
from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
    InlineFragmentNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    VariableNode,
    type_from_ast,
)
from graphql.execution.values import get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.types.arguments import convert_argument, convert_arguments

from tracklayer.schema.compiled.coercion import Inputs
from tracklayer.schema.compiled.running import Info, Plan
from tracklayer.schema.compiled.source import CONSTANTS, DEFINITION, MISSING, Doubt, NotCompiledError, Source, indented
from tracklayer.schema.cost import Measured


@dataclasses.dataclass
class _Selected:
    """A field of an answer: all its nodes in the document, and (index of a variable, its value) that it depends on."""

    nodes: list[FieldNode]
    conditions: tuple[tuple[int, bool], ...]


class Compiler(Source):
    """Generates the code of one operation."""

    def __init__(
        self,
        schema: strawberry.Schema,
        inputs: Inputs,
        text: str,
        document: DocumentNode,
        measured: Measured,
    ) -> None:
        super().__init__()
        self._schema = schema
        self._graphql = schema._schema
        self._inputs = inputs
        self._text = text
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        if schema.exception_handlers or schema.directives:
            raise NotCompiledError
        self._measured = measured
        self._operation = measured.operation
        self._variables: dict[str, tuple[int, Any, Any]] = {}

    def plan(self) -> Plan:
        operation = self._operation
        root = self._graphql.get_root_type(operation.operation)
        if operation.operation is OperationType.SUBSCRIPTION or operation.directives or root is None:
            raise NotCompiledError
        definitions = [self._variable(node) for node in operation.variable_definitions or ()]
        self._variables = {name: (index, type_, default) for index, (name, type_, default) in enumerate(definitions)}
        coerce = self._inputs.variables(self, definitions)
        selected = self._collect(root, [operation.selection_set])
        if operation.operation is OperationType.MUTATION and len(selected) != 1:
            raise NotCompiledError  # one after another: not worth a path of its own
        project = self.names[self._object(root, selected, is_root=True)]
        return Plan(self._schema, self._text, self._measured, self, coerce, project)

    def _variable(self, node: Any) -> tuple[str, Any, Any]:
        if node.directives:
            raise NotCompiledError
        type_ = type_from_ast(self._graphql, node.type)
        default = MISSING
        if node.default_value is not None:
            default = coerce_input_literal(node.default_value, type_)
            if default is Undefined or not isinstance(default, CONSTANTS):
                raise NotCompiledError
        return node.variable.name.value, type_, default

    # What an object's answer has

    def _collect(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> dict[str, _Selected]:
        found: dict[str, _Selected] = {}
        spread: dict[str, bool] = {}
        for selection_set in sets:
            if selection_set is not None:
                self._collect_into(found, spread, type_, selection_set, ())
        return found

    def _collect_into(
        self,
        found: dict[str, _Selected],
        spread: dict[str, bool],
        type_: GraphQLObjectType,
        selection_set: SelectionSetNode,
        outer: tuple[tuple[int, bool], ...],
    ) -> None:
        """``spread``: the fragments that were read already, and whether under conditions. Each is read once."""
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
                name = node.name.value
                if name in spread:
                    if conditions or spread[name]:
                        raise NotCompiledError  # the same fragment under two conditions
                    continue
                spread[name] = bool(conditions)
                fragment = self._fragments[name]
                if fragment.directives or getattr(node, "arguments", None):
                    raise NotCompiledError
            assert isinstance(fragment, InlineFragmentNode | FragmentDefinitionNode)
            if self._applies(fragment.type_condition, type_):
                self._collect_into(found, spread, type_, fragment.selection_set, conditions)

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
            made = self.keep("cls", type_.extensions[DEFINITION].origin)
            lines.append(f"if type(o) is not {made}: raise Doubt")
        fields = [(key, field, *self._field(type_, key, field.nodes, is_root)) for key, field in selected.items()]
        if any(field.conditions for field in selected.values()):
            self.names["flag"] = _flag
            lines.append("d = {}")
            for key, field, value, calls in fields:
                flags = [f"flag(i.values[{index}]) is {expected}" for index, expected in field.conditions]
                lines += [f"if {' and '.join(flags) or 'True'}:", f"    d[{key!r}] = {value}", *indented(calls)]
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
        ours = field.extensions.get(DEFINITION) if field is not None else None
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
            members = type_.extensions[DEFINITION].wrapped_cls
            # By identity: hashing a member is a call in Python, and there is one of each for ever.
            table = self.keep("enum", {id(member): type_.coerce_output_value(member) for member in members})
            return f"({table}.get(id({first})) or {slow}({x}))"
        return f"{slow}({first})"

    def _object_of(self, type_: GraphQLObjectType, nodes: list[FieldNode]) -> str:
        return self._object(type_, self._collect(type_, [node.selection_set for node in nodes]))

    def _by_class(self, type_: GraphQLInterfaceType, nodes: list[FieldNode]) -> str:
        """A table from the class of a value to the function for it. A class that is not there raises, and that is fine."""
        if type_.extensions[DEFINITION].resolve_type is not None:
            raise NotCompiledError
        table = {}
        for possible in self._graphql.get_possible_types(type_):
            definition = possible.extensions[DEFINITION]
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
                if default is MISSING:
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
        return self.keep("constant", converted) if isinstance(converted, CONSTANTS) else None


def _has_variables(node: Any) -> bool:
    if isinstance(node, VariableNode):
        return True
    inner = [*(getattr(node, "values", None) or ()), *(field.value for field in getattr(node, "fields", None) or ())]
    return any(_has_variables(found) for found in inner)


def _stock_arguments(
    schema: strawberry.Schema, field: GraphQLField, ours: Any, node: FieldNode
) -> Callable[[Info], dict[str, Any]]:
    def arguments(info: Info) -> dict[str, Any]:
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
