"""Generated coercion: what was sent for the variables of an operation becomes what its resolvers get."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import strawberry
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
    Undefined,
)
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition, StrawberryOptional

from tracklayer.schema.compiled.source import CONSTANTS, DEFINITION, MISSING, Doubt, NotCompiledError, Source, indented


class Drafted:
    """Marks an input class whose resolvers ask for nothing but its draft: what was given, as a plain dictionary.

    A plan gives them the draft itself, nested ones within it: keys are the Python names, in the order of the fields; what
    is None or UNSET is missing; enums are their values. The stock executor gives an instance. Nobody changes either.
    """


class Inputs(Source):
    """Coercion of variables. Only what needs no conversion passes; anything else raises, and the stock executor decides."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[tuple[str, bool], str] = {}
        self._open: set[str] = set()

    def variables(self, definitions: Sequence[tuple[str, Any, Any]]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """A function from what was sent to a tuple of values. ``definitions``: (name, type, default or MISSING)."""
        lines = ["get = sent.get"]
        values = []
        for index, (name, type_, default) in enumerate(definitions):
            x = f"v{index}"
            lines.append(f"{x} = get({name!r}, MISSING)")
            inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            given = self._coercion(inner, x, False)
            absent = self.keep("default", default) if default is not MISSING else None
            if isinstance(type_, GraphQLNonNull):
                given = [f"if {x} is None: raise Doubt", *given]
                if absent is None:
                    lines += [f"if {x} is MISSING: raise Doubt", *given]
                else:
                    lines += [f"if {x} is MISSING:", f"    {x} = {absent}", "else:", *indented(given)]
            else:
                lines += [f"if {x} is MISSING:", f"    {x} = {absent or 'MISSING'}", f"elif {x} is not None:"]
                lines += indented(given or ["pass"])
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
        lines += indented([f"if x is None: {null}", "else:", *indented(given)])
        name = self.fresh("list")
        self.define(name, "sent", [*lines, "return values"])
        self._functions[key] = name
        return name

    def _object(self, type_: GraphQLInputObjectType, in_draft: bool) -> str:
        """The function that builds an instance or a draft."""
        definition: StrawberryObjectDefinition = type_.extensions[DEFINITION]
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
            ((sent, field, field.extensions[DEFINITION]) for sent, field in type_.fields.items()),
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
        if default is MISSING or (default is None and not required):
            # Left out and null are the same: refused, or None as the template has it.
            null = ["if x is None: raise Doubt"] if required else []
            body = [*null, *given] if required else ["if x is not None:", *indented(given)]
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
            *indented(given),
        ]


def _default_of(field: Any) -> Any:
    """The value of a field that was left out; MISSING where it must not be."""
    if field.default_factory is not dataclasses.MISSING:
        raise NotCompiledError(f"{field.python_name} makes its default anew")
    if field.default is dataclasses.MISSING:
        return None if isinstance(field.type, StrawberryOptional) else MISSING
    if isinstance(field.type, StrawberryMaybe) or not isinstance(field.default, CONSTANTS):
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
