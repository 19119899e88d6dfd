"""What an operation costs: how many objects it may answer with at most, known before anything else is done with it.

One pass over the document, linear in its length: every selection set is read once, a fragment once however often it is
spread. A field that answers with an object costs 1 and what is selected below it; a list, as often as it may have items
(``access.at_most``): a page by its ``first``, of a variable too. The same pass tells how deep an operation goes, how many
aliases it has, and who may ask for it.

It reads documents that nothing else has checked. What it does not know, such as a field that is not there, costs
nothing: the rules that come after it name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeNode,
    VariableNode,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef

from tracklayer.schema import errors
from tracklayer.schema.access import PAGE, Scopes, most_of, scopes_of, weight_of, weights_of

MAX_COST = 50_000  # objects: a page of 50 events with all there is to know of them is half of it
INTROSPECTION = 7  # what one object of it costs: it is found in the interpreter, which everybody shares
MAX_DEPTH = 12  # fields within fields
MAX_SPREADS = 40  # fragments within fragments
MAX_ALIASES = 30
# Whether fields of one name can be merged is asked of every two of them, and of every two fragments.
MAX_FRAGMENTS = 60
MAX_INLINE = 100
MAX_CHECKS = 25_000  # of two fields with each other: some take 10 microseconds
MAX_REPEATS = 100  # of a field that its selection set has already
# Values within what is sent for a variable: each use of it after the first is answered anew, and costs an object for so many.
VALUES_AN_OBJECT = 10
USUAL_VALUES = 100  # of an event; they are in its price
MAX_PAGE = 1000  # items of any page: of a number that is out of bounds, the field itself says so
JSON_SCALAR = "JSON"  # whose values hold others
ENDLESS = 10**12  # what is dearer than that is not told more exactly

Parent = GraphQLObjectType | GraphQLInterfaceType


@dataclass(frozen=True, slots=True)
class _Ref:
    """An amount that depends on variables: the result of a step."""

    step: int


Amount = int | _Ref


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount, and the steps that it takes to know it. Each is (what, left, right); ``page``, ``size``, ``bulk`` and ``member``
    read a variable.
    """

    amount: Amount
    steps: tuple[tuple[str, Any, Any], ...] = ()

    def of(self, variables: Mapping[str, Any]) -> int:
        """In objects, for the values that were sent; linear in the number of steps."""
        if isinstance(self.amount, int):
            return self.amount
        results = _results(self.steps, variables)
        return results[self.amount.step]


def _results(steps: Sequence[tuple[str, Any, Any]], variables: Mapping[str, Any]) -> list[int]:
    results: list[int] = []
    bulks: dict[str, int] = {}  # by variable: nothing is counted twice
    for what, left, right in steps:
        if what == "page":
            given = variables.get(left)
            results.append(_page(right if given is None else given))
        elif what == "size":
            given = variables.get(left, right)
            results.append(len(given) if isinstance(given, list) else given if type(given) is int else 1)
        elif what == "member":
            given = variables.get(left)
            results.append((right.get(given) if isinstance(given, str) else None) or max(right.values()))
        elif what == "bulk":
            if left not in bulks:
                bulks[left] = max(_values_in(variables.get(left)) - USUAL_VALUES, 0) // VALUES_AN_OBJECT
            results.append(bulks[left])
        else:
            a = left if isinstance(left, int) else results[left.step]
            b = right if isinstance(right, int) else results[right.step]
            results.append(min(a * b if what == "times" else a + b, ENDLESS))
    return results


def _values_in(given: Any) -> int:
    """How many values stand in a value, at whatever depth."""
    count = 0
    open_ = [given] if isinstance(given, dict | list) else []
    while open_:
        inner = open_.pop()
        values = inner.values() if isinstance(inner, dict) else inner
        count += len(inner)
        open_ += [value for value in values if type(value) is dict or type(value) is list]
    return count


def _page(given: Any) -> int:
    return min(max(given, 1), MAX_PAGE) if type(given) is int else MAX_PAGE


@dataclass(slots=True)
class _Sum:
    """A selection set: what it costs once, and once for each item of the page that it is about."""

    once: Amount = 0
    an_item: Amount = 0
    depth: int = 0
    fields: int = 0  # in it and below
    parts: list[tuple[str, Amount, _Sum]] = field(default_factory=list)  # by field: what it adds to once, or to an_item


@dataclass(slots=True)
class _Level:
    """What stands on one level of a selection set, its inline fragments included: all of it is checked with each other."""

    keys: dict[str, int] = field(default_factory=dict)  # of its fields, and how many have each
    spreads: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Measured:
    """``scopes``: the caller needs one of each. ``checks``: about how many pairs of fields the rules look at."""

    operation: OperationDefinitionNode
    cost: Cost
    scopes: tuple[Scopes, ...]
    checks: int
    _sum: _Sum = field(repr=False)

    def refuse_above(self, limit: int, variables: Mapping[str, Any]) -> int:
        """The cost. Raises GraphQLError where it is above ``limit``, naming the field that makes it."""
        cost = self.cost.of(variables)
        if cost <= limit:
            return cost
        dearest = self._dearest(variables)
        told = f"{cost:,}" if cost < ENDLESS else "endlessly many"
        message = (
            f"This operation may answer with {told} objects; {limit:,} is the most. {dearest} makes most of them: ask for "
            "smaller pages with `first`, or for that part in an operation of its own."
        )
        raise errors.refused(message, errors.TOO_COSTLY, cost=cost, limit=limit, field=dearest)

    def _dearest(self, variables: Mapping[str, Any]) -> str:
        """The path of fields down which most of the cost lies, to where no single field makes half of it any more."""
        results = _results(self.cost.steps, variables)
        path: list[str] = []
        found = self._sum
        while found.parts:
            shares = [(amount if isinstance(amount, int) else results[amount.step]) for _, amount, _ in found.parts]
            most = max(shares)
            if path and most * 2 < sum(shares):
                break
            name, _, below = found.parts[shares.index(most)]
            path.append(name)
            found = below
            if len(path) > MAX_DEPTH * 2:
                break
        return ".".join(path)


def measure(schema: GraphQLSchema, document: DocumentNode, operation_name: str | None) -> Measured:
    """Measures the operation that is to be executed.

    Raises GraphQLError where no operation has that name, or none is named and there are several; where it goes too
    deep, or has too many aliases.
    """
    operation = _operation(document, operation_name)
    pass_ = _Pass(schema, document)
    root = schema.get_root_type(operation.operation)
    found = pass_.operation(operation, root)
    if found.depth > MAX_DEPTH:
        message = f"This operation goes {found.depth} fields deep; {MAX_DEPTH} is the most."
        raise errors.refused(message, errors.TOO_DEEP)
    if pass_.aliases > MAX_ALIASES:
        message = f"This operation has {pass_.aliases} aliases; {MAX_ALIASES} is the most."
        raise errors.refused(message, errors.TOO_MANY_ALIASES)
    for count, most, what in (
        (len(pass_.fragments), MAX_FRAGMENTS, "fragments"),
        (pass_.inline, MAX_INLINE, "inline fragments"),
        (pass_.repeats, MAX_REPEATS, "fields that stand twice in one selection"),
        (pass_.checks, MAX_CHECKS, "pairs of fields that might be one, in fragments or under one name"),
    ):
        if count > most:
            raise errors.refused(f"This operation has {count:,} {what}; {most:,} is the most.", errors.TOO_COMPLEX)
    return Measured(operation, Cost(found.once, tuple(pass_.steps)), tuple(pass_.scopes), pass_.checks, found)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None and len(found) > 1:
        message = "This document has several operations: say with operationName which one is meant."
        raise errors.refused(message, errors.OPERATION_UNKNOWN)
    if name is not None:
        found = [node for node in found if node.name is not None and node.name.value == name]
    if not found:
        message = "This document has no operation of the name that operationName says."
        if name is None:
            message = "This document has no operation."
        raise errors.refused(message, errors.OPERATION_UNKNOWN)
    return found[0]


class _Pass:
    """One pass over one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._definitions = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.fragments: dict[str, _Sum] = {}  # those that the operation reaches
        self._defaults: dict[str, Any] = {}
        self._averages: dict[str, int] = {}
        self._bulky: dict[str, bool] = {}  # variables that may hold many values: whether a use of them was free
        self.steps: list[tuple[str, Any, Any]] = []
        self.scopes: dict[Scopes, None] = {}
        self.aliases = 0
        self.inline = 0
        self.repeats = 0
        self.checks = 0

    def operation(self, operation: OperationDefinitionNode, root: Any) -> _Sum:
        for node in operation.variable_definitions or ():
            default = node.default_value
            known = int(default.value) if isinstance(default, IntValueNode) and len(default.value) < 10 else None
            self._defaults[node.variable.name.value] = (
                len(default.values) if isinstance(default, ListValueNode) else known
            )
            if self._may_be_bulky(node.type):
                self._bulky[node.variable.name.value] = True  # what a fragment uses is used as often as it is spread
        # Fragments first, those without spreads before those that spread them: none is read twice, and a chain of
        # hundreds needs no deep stack.
        for name in self._in_order(operation):
            definition = self._definitions[name]
            on = self._schema.get_type(definition.type_condition.name.value)
            self.fragments[name] = self._set(on, definition.selection_set)
        self._bulky = dict.fromkeys(self._bulky, False)
        return self._set(root, operation.selection_set)

    def _in_order(self, operation: OperationDefinitionNode) -> list[str]:
        """The fragments that an operation reaches, each behind those that it spreads. A cycle is cut: a rule names it."""
        height: dict[str, int] = {}
        open_: set[str] = set()
        order: list[str] = []
        stack: list[tuple[str, bool]] = [(name, False) for name in _spreads(operation.selection_set)]
        spread: dict[str, list[str]] = {}
        while stack:
            name, is_done = stack.pop()
            if is_done:
                open_.discard(name)
                height[name] = 1 + max((height.get(inner, 0) for inner in spread[name]), default=0)
                if height[name] > MAX_SPREADS:
                    message = f"This document has fragments within fragments to a depth of more than {MAX_SPREADS}."
                    raise errors.refused(message, errors.TOO_DEEP)
                order.append(name)
            elif name in self._definitions and name not in height and name not in open_:
                open_.add(name)
                spread[name] = _spreads(self._definitions[name].selection_set)
                stack.append((name, True))
                stack.extend((inner, False) for inner in spread[name])
        return order

    def _set(self, parent: Any, selection_set: SelectionSetNode | None) -> _Sum:
        level = _Level()
        found = self._part(parent, selection_set, level)
        # Each fragment is checked with each other one, and with the fields beside it.
        self.checks = min(self.checks + len(level.spreads) * found.fields // 2, ENDLESS)
        return found

    def _part(self, parent: Any, selection_set: SelectionSetNode | None, level: _Level) -> _Sum:
        """Of a set: all of it, or an inline part."""
        found = _Sum()
        spread: set[str] = set()
        for node in selection_set.selections if selection_set is not None else ():
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias is not None else node.name.value
                before = level.keys.get(key, 0)
                level.keys[key] = before + 1
                self.repeats += before > 0
                fields = found.fields
                self._field(found, parent, node)
                self.checks = min(self.checks + before * (found.fields - fields), ENDLESS)
                continue
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in spread:  # a fragment twice in one set answers once
                    continue
                spread.add(name)
                level.spreads.add(name)
                inner = self.fragments.get(name, _Sum())
            else:
                assert isinstance(node, InlineFragmentNode)
                self.inline += 1
                on = node.type_condition
                inner_type = parent if on is None else self._schema.get_type(on.name.value)
                inner = self._part(inner_type, node.selection_set, level)
            found.once = self._plus(found.once, inner.once)
            found.an_item = self._plus(found.an_item, inner.an_item)
            found.depth = max(found.depth, inner.depth)
            found.fields = min(found.fields + inner.fields, ENDLESS)
            found.parts += inner.parts if len(found.parts) + len(inner.parts) <= MAX_SPREADS else inner.parts[:1]
        return found

    def _field(self, found: _Sum, parent: Any, node: FieldNode) -> None:
        name = node.name.value
        if node.alias is not None:
            self.aliases += 1
        definition = self._definition(parent, name)
        if definition is None:
            below = self._set(None, node.selection_set)
            found.fields = min(found.fields + 1 + below.fields, ENDLESS)
            found.depth = max(found.depth, below.depth + 1)
            return
        self.scopes[scopes_of(definition)] = None
        type_, is_list = _named(definition.type)
        below = self._set(type_, node.selection_set)
        found.fields = min(found.fields + 1 + below.fields, ENDLESS)
        if not name.startswith("__"):
            found.depth = max(found.depth, below.depth + (node.selection_set is not None))
        weight = self._plus(weight_of(definition), self._bulk(node))
        weight = self._plus(weight, self._chosen(definition, node))
        if node.selection_set is None:
            if weight:
                found.once = self._plus(found.once, weight)
                found.parts.append((name, weight, below))
            return
        if isinstance(parent, Parent) and parent.name.startswith("__"):
            found.once = self._plus(found.once, self._introspected(name, below.once) if is_list else below.once)
            found.parts.append((name, found.once, below))
            return
        one: Amount = self._plus(self._plus(1, weight), below.once)
        if name in ("__schema", "__type"):
            one = self._times(INTROSPECTION, one)
        most = most_of(definition)
        if most == PAGE:
            found.an_item = self._plus(found.an_item, one)
            found.parts.append((name, one, below))
            return
        if isinstance(most, str):  # a connection, or whatever else has a page
            one = self._plus(one, self._times(self._given(definition, node, most), below.an_item))
        elif most is not None:
            one = self._times(most, one)
        found.once = self._plus(found.once, one)
        found.parts.append((name, one, below))

    def _definition(self, parent: Any, name: str) -> GraphQLField | None:
        if parent is self._schema.query_type and name in ("__schema", "__type"):
            return SchemaMetaFieldDef if name == "__schema" else TypeMetaFieldDef
        return parent.fields.get(name) if isinstance(parent, Parent) else None

    def _given(self, definition: GraphQLField, node: FieldNode, argument: str) -> Amount:
        """How many items an argument asks for: its number, or how many it lists."""
        value = next((given.value for given in node.arguments or () if given.name.value == argument), None)
        is_size = isinstance(_nullable(definition.args[argument].type), GraphQLList)
        if isinstance(value, VariableNode):
            name = value.name.value
            if is_size:
                return self._step("size", name, self._defaults.get(name))
            # Left out, it is the variable's default or the argument's; null, the argument's.
            defaults = [self._defaults.get(name), definition.args[argument].default_value]
            return self._step("page", name, max((found for found in defaults if type(found) is int), default=None))
        if is_size:
            return len(value.values) if isinstance(value, ListValueNode) else 1
        if isinstance(value, IntValueNode):
            return _page(int(value.value)) if len(value.value) < 10 else MAX_PAGE
        default = definition.args[argument].default_value if value is None else None
        return _page(default)

    def _may_be_bulky(self, node: TypeNode) -> bool:
        """Whether a variable of that type can hold more than one value."""
        if isinstance(node, NonNullTypeNode):
            node = node.type
        found = self._schema.get_type(node.name.value) if isinstance(node, NamedTypeNode) else None
        return found is None or found.name == JSON_SCALAR or not isinstance(found, GraphQLScalarType | GraphQLEnumType)

    def _bulk(self, node: FieldNode) -> Amount:
        """What the arguments of a field cost, by how much is in them: the first use of each variable is free."""
        found: Amount = 0
        values: list[Any] = [given.value for given in node.arguments or ()]
        while values and self._bulky:
            value = values.pop()
            if isinstance(value, VariableNode):
                name = value.name.value
                if name in self._bulky:
                    if self._bulky[name]:
                        found = self._plus(found, self._step("bulk", name, None))
                    self._bulky[name] = True
            elif isinstance(value, ListValueNode):
                values += value.values
            elif isinstance(value, ObjectValueNode):
                values += [inner.value for inner in value.fields]
        return found

    def _chosen(self, definition: GraphQLField, node: FieldNode) -> Amount:
        """What a field costs by the member of an enum that an argument names."""
        found = weights_of(definition)
        if found is None:
            return 0
        argument, objects = found
        value = next((given.value for given in node.arguments or () if given.name.value == argument), None)
        if isinstance(value, VariableNode):
            return self._step("member", value.name.value, objects)
        if isinstance(value, EnumValueNode):
            return objects.get(value.value, 0)
        return max(objects.values())

    def _introspected(self, name: str, an_item: Amount) -> Amount:
        """A list of introspection: as many items as it has on average, since nobody can choose which ones it has."""
        if name not in self._averages:
            self._averages[name] = _average(self._schema, name)
        return self._times(self._averages[name], self._plus(1, an_item))

    def _plus(self, a: Amount, b: Amount) -> Amount:
        if isinstance(a, int) and isinstance(b, int):
            return min(a + b, ENDLESS)
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self._step("plus", a, b)

    def _times(self, a: Amount, b: Amount) -> Amount:
        if isinstance(a, int) and isinstance(b, int):
            return min(a * b, ENDLESS)
        if a == 0 or b == 0:
            return 0
        return self._step("times", a, b)

    def _step(self, what: str, left: Any, right: Any) -> _Ref:
        self.steps.append((what, left, right))
        return _Ref(len(self.steps) - 1)


def _spreads(selection_set: SelectionSetNode | None) -> list[str]:
    """The names of the fragments that stand in a selection set, at whatever depth."""
    found: dict[str, None] = {}
    sets = [selection_set] if selection_set is not None else []
    while sets:
        for node in sets.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                found[node.name.value] = None
            elif getattr(node, "selection_set", None) is not None:
                sets.append(node.selection_set)  # type: ignore[attr-defined]
    return list(found)


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _named(type_: Any) -> tuple[Any, bool]:
    is_list = False
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        is_list = is_list or isinstance(type_, GraphQLList)
        type_ = type_.of_type
    return type_, is_list


def _average(schema: GraphQLSchema, name: str) -> int:
    types = list(schema.type_map.values())

    def each(items: Iterable[Any]) -> int:
        sizes = [len(found) for found in items if found]
        return -(-sum(sizes) // max(len(sizes), 1))

    if name == "types":
        return len(types)
    if name == "directives":
        return len(schema.directives)
    if name == "args":
        fields = [found for kind in types if isinstance(kind, Parent) for found in kind.fields.values()]
        return each(found.args for found in fields)
    if name in ("fields", "inputFields"):
        is_input = name == "inputFields"
        return each(getattr(kind, "fields", None) for kind in types if isinstance(kind, Parent) is not is_input)
    return each(getattr(kind, "values", None) for kind in types)
