"""Random GraphQL operations on any schema, with variables that fit or do not: for holding one executor against another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

WRONG: dict[str, list[Any]] = {
    "String": [5, True, 1.5, {}, [], ["a"]],
    "ID": [5, 5.0, True, {}],
    "Int": [3.0, 2**40, -(2**31) - 1, "5", True, 1.5, {}, [1]],
    "Float": ["1.5", True, {}],
    "Boolean": [0, 1, "true", {}],
}


@dataclass
class Operation:
    """A document and its variables' types by name."""

    text: str
    variables: dict[str, Any]


@dataclass
class Writer:
    """``words`` are texts to choose from, by the name of the scalar."""

    schema: GraphQLSchema
    random: Random
    words: Mapping[str, Sequence[Any]]
    max_depth: int = 4
    _variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _fragments: list[str] = field(default_factory=list)
    _names: int = 0

    def operation(self, root: GraphQLObjectType, names: Sequence[str], kind: str) -> Operation:
        """One that selects these fields of a root type."""
        self._variables, self._fragments = {}, []
        selections = [self._field(name, root.fields[name], 0) for name in names]
        if kind == "query" and self._chance(0.2):
            selections.append("__typename")
        declared = ", ".join(f"${name}: {text}" for name, (text, _) in self._variables.items())
        head = f"{kind} Op({declared})" if declared else f"{kind} Op"
        text = " ".join([f"{head} {{ {' '.join(selections)} }}", *self._fragments])
        return Operation(text, {name: type_ for name, (_, type_) in self._variables.items()})

    def values(self, operation: Operation, wrong: float) -> dict[str, Any]:
        """Variables for it; each value is wrong with this probability."""
        found = {}
        for name, type_ in operation.variables.items():
            if self._chance(0.1 if wrong else 0) or (not isinstance(type_, GraphQLNonNull) and self._chance(0.2)):
                continue
            found[name] = self.value(type_, wrong)
        if self._chance(wrong):
            found["unknown"] = 1
        return found

    def value(self, type_: Any, wrong: float) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return None if self._chance(wrong) else self._given(type_.of_type, wrong)
        return None if self._chance(0.15) else self._given(type_, wrong)

    def _given(self, type_: Any, wrong: float) -> Any:
        if isinstance(type_, GraphQLList):
            if self._chance(wrong):
                return self.random.choice([self.value(type_.of_type, 0), "x", 5, {}])
            return [self.value(type_.of_type, wrong) for _ in range(self.random.randrange(4))]
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_, wrong)
        if isinstance(type_, GraphQLEnumType):
            name = self.random.choice(list(type_.values))
            return self.random.choice([name.lower(), 5, True, [name], {}]) if self._chance(wrong) else name
        if self._chance(wrong) and type_.name in WRONG:
            return self.random.choice(WRONG[type_.name])
        return self._word(type_.name)

    def _object(self, type_: GraphQLInputObjectType, wrong: float) -> Any:
        if self._chance(wrong / 3):
            return self.random.choice([[], "x", 5, [{}]])
        names = [n for n, f in type_.fields.items() if is_required_input_field(f) or self._chance(0.4)]
        if self._chance(wrong):
            self.random.shuffle(names)
            del names[:1]
        found = {name: self.value(type_.fields[name].type, wrong) for name in names}
        if self._chance(wrong / 2):
            found["nobodyKnows"] = "jane@example.com"
        return found

    def _word(self, scalar: str) -> Any:
        return self.random.choice(self.words.get(scalar, ["a"]))

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _fresh(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _field(self, name: str, found: GraphQLField, depth: int) -> str:
        alias = f"{self._fresh('a')}: " if self._chance(0.2) else ""
        given = [
            f"{key}: {self._argument(argument.type)}"
            for key, argument in found.args.items()
            if is_required_argument(argument) or self._chance(0.4)
        ]
        arguments = f"({', '.join(given)})" if given else ""
        return f"{alias}{name}{arguments}{self._condition()}{self._selection_of(found.type, depth + 1)}"

    def _selection_of(self, type_: Any, depth: int) -> str:
        while isinstance(type_, GraphQLNonNull | GraphQLList):
            type_ = type_.of_type
        return "" if is_leaf_type(type_) else f" {{ {self._selection(type_, depth)} }}"

    def _selection(self, type_: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        names = [n for n, f in type_.fields.items() if depth < self.max_depth or _is_leaf(f.type)]
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, 5)))
        parts = [self._field(name, type_.fields[name], depth) for name in chosen]
        if self._chance(0.2) or not parts:
            parts.append("__typename")
        simple = [n for n in names if not type_.fields[n].args]
        if simple and self._chance(0.3):  # in a fragment, perhaps a field that is there already
            name = self.random.choice(simple)
            body = f"{name}{self._selection_of(type_.fields[name].type, depth + 1)}"
            parts.insert(self.random.randrange(len(parts) + 1), self._fragment(type_.name, body))
        if isinstance(type_, GraphQLInterfaceType):
            possible = self.random.choice(list(self.schema.get_possible_types(type_)))
            parts.append(f"... on {possible.name} {{ {self._selection(possible, max(depth, self.max_depth - 1))} }}")
        return " ".join(parts)

    def _fragment(self, type_name: str, body: str) -> str:
        kind = self.random.randrange(3)
        if kind == 0:
            return f"...{self._condition()} {{ {body} }}"
        if kind == 1:
            return f"... on {type_name}{self._condition()} {{ {body} }}"
        name = self._fresh("F")
        self._fragments.append(f"fragment {name} on {type_name} {{ {body} }}")
        return f"...{name}{self._condition()}"

    def _condition(self) -> str:
        if not self._chance(0.08):
            return ""
        directive = self.random.choice(["skip", "include"])
        boolean = self.schema.type_map["Boolean"]
        if self._chance(0.5):
            return f" @{directive}(if: {self.random.choice(['true', 'false'])})"
        name = self._fresh("c")
        if self._chance(0.5):
            self._variables[name] = ("Boolean!", GraphQLNonNull(boolean))
        else:
            self._variables[name] = ("Boolean = true", boolean)
        return f" @{directive}(if: ${name})"

    def _argument(self, type_: Any) -> str:
        return self._variable(type_) if self._chance(0.6) else self._literal(type_)

    def _variable(self, type_: Any) -> str:
        name = self._fresh("v")
        text = str(type_)
        if isinstance(type_, GraphQLNonNull) and self._chance(0.1):
            self._variables[name] = (f"{text[:-1]} = {self._literal(type_, plain=True)}", type_.of_type)
        elif not isinstance(type_, GraphQLNonNull) and self._chance(0.2):
            self._variables[name] = (f"{text}!", GraphQLNonNull(type_))
        elif not isinstance(type_, GraphQLNonNull) and self._chance(0.2):
            self._variables[name] = (f"{text} = {self._literal(type_, plain=True)}", type_)
        else:
            self._variables[name] = (text, type_)
        return f"${name}"

    def _literal(self, type_: Any, *, plain: bool = False) -> str:
        """A literal that fits. ``plain``: without variables in it."""
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        elif self._chance(0.1):
            return "null"
        if isinstance(type_, GraphQLList):
            if self._chance(0.2):
                item = type_.of_type
                return self._literal(item if isinstance(item, GraphQLNonNull) else GraphQLNonNull(item), plain=plain)
            return f"[{', '.join(self._literal(type_.of_type, plain=plain) for _ in range(self.random.randrange(3)))}]"
        if isinstance(type_, GraphQLInputObjectType):
            names = [n for n, f in type_.fields.items() if is_required_input_field(f) or self._chance(0.3)]
            inner = []
            for name in names:
                kind = type_.fields[name].type
                in_variable = not plain and self._chance(0.2)
                inner.append(f"{name}: {self._variable(kind) if in_variable else self._literal(kind, plain=plain)}")
            return f"{{{', '.join(inner)}}}"
        if isinstance(type_, GraphQLEnumType):
            return str(self.random.choice(list(type_.values)))
        return _written(self._word(type_.name))


def _is_leaf(type_: Any) -> bool:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return is_leaf_type(type_)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)
