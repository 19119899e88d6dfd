"""Generated coercion: what was sent for the variables of an operation becomes what its resolvers get."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from operator import itemgetter
from typing import Any, ClassVar

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
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    type_from_ast,
)
from graphql.utilities import coerce_input_value
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition, StrawberryOptional

from tracklayer.schema.compiled.source import CONSTANTS, DEFINITION, MISSING, Doubt, NotCompiledError, Source, indented


class Drafted:
    """Marks an input class whose resolvers ask for nothing but its draft: what was given, as a plain dictionary.

    A plan gives them the draft itself, nested ones within it: keys are the Python names, in the order of the fields; what
    is None or UNSET is missing, and so is what was not sent, whatever the schema's default for it: the reader of drafts has
    the same, and its size is that of what was sent. Enums are their values. The stock executor gives the same
    (``take_drafts``). Nobody changes one.
    """


class Alone(Drafted):
    """Marks an input class of which one that is wrong makes no request wrong: the others of its list are taken.

    What is wrong with it is the resolver's to say: in its place stands its misfit, in a list and as a variable of its own.
    Only of variables; one that is written out in a document makes the document wrong.
    """

    most: ClassVar[
        int
    ]  # of them in a list: of a longer one, so many and one are looked at, and the resolver refuses it

    @classmethod
    def misfit(cls, sent: Any) -> Any:
        """What stands in the place of a draft, for something that is no such input."""
        raise NotImplementedError

    @classmethod
    def stand_in(cls, misfit: Any) -> dict[str, Any]:
        """An input that the stock executor takes, and that holds the misfit."""
        raise NotImplementedError

    @classmethod
    def misfit_in_draft(cls, draft: Mapping[str, Any]) -> Any:
        """The misfit that the draft of a stand-in holds; None of any other draft."""
        raise NotImplementedError


def take_drafts(schema: strawberry.Schema) -> None:
    """Makes the stock executor give drafts, too. Strawberry's own conversion asks for every value in it what type it has: of
    a basket of thousands of lines that took seconds, once for every alias.
    """
    for kind in schema._schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            definition: StrawberryObjectDefinition = kind.extensions[DEFINITION]
            if issubclass(definition.origin, Drafted):
                definition.from_input = _Drafting(schema, kind)
                for field in kind.fields.values():
                    field.default_value = _marked(field.default_value)


class _UnsentNumber(int):
    """A default, number or flag, that can be told from the same value where that was sent."""


class _UnsentText(str):
    """The same of a text, or of the value of an enum's member."""

    __slots__ = ()


def _marked(default: Any) -> Any:
    if isinstance(default, int):
        return _UnsentNumber(default)
    value = default.value if isinstance(default, Enum) else default
    return _UnsentText(value) if isinstance(value, str) else default


class _Drafting:
    """Makes drafts of what graphql-core has coerced."""

    def __init__(self, schema: strawberry.Schema, type_: GraphQLInputObjectType) -> None:
        self._schema = schema
        self._type = type_
        self._fields: list[tuple[str, str, _Drafting | None]] | None = None

    def __call__(self, cls: type, value: Any, context: Any) -> Any:
        draft = self._draft(value)
        if issubclass(cls, Alone) and (misfit := cls.misfit_in_draft(draft)) is not None:
            return misfit
        return draft

    def _draft(self, value: Mapping[str, Any]) -> dict[str, Any]:
        if self._fields is None:
            self._fields = self._read_fields()
        draft = {}
        for sent, name, inner in self._fields:
            found = value.get(sent)
            if found is None or found is strawberry.UNSET or isinstance(found, _UnsentNumber | _UnsentText):
                continue
            if inner is not None:
                draft[name] = inner._drafts(found)
            else:
                draft[name] = draft_of(found) if isinstance(found, Enum | list) else found
        return draft

    def _drafts(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._drafts(item) for item in value]
        return None if value is None else self._draft(value)

    def _read_fields(self) -> list[tuple[str, str, _Drafting | None]]:
        order = [field.name for field in dataclasses.fields(self._type.extensions[DEFINITION].origin)]
        found = []
        for sent, field in self._type.fields.items():
            ours = field.extensions[DEFINITION]
            inner: Any = field.type
            while isinstance(inner, GraphQLNonNull | GraphQLList):
                inner = inner.of_type
            below = _Drafting(self._schema, inner) if isinstance(inner, GraphQLInputObjectType) else None
            found.append((sent, ours.python_name, below))
        return sorted(found, key=lambda known: order.index(known[1]))


def draft_of(value: Any) -> Any:
    """The draft of an instance, or of a list of instances; a draft, and any other value, as it is."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        # A list of JSON is the sender's own, however deep.
        is_ours = any(isinstance(item, Enum) or hasattr(type(item), "__strawberry_definition__") for item in value)
        return [draft_of(item) for item in value] if is_ours else value
    if getattr(type(value), "__strawberry_definition__", None) is None:
        return value
    return {
        name: draft_of(inner)
        for name, inner in vars(value).items()
        if inner is not None and inner is not strawberry.UNSET
    }


class Inputs(Source):
    """Coercion of the types of a schema. Only what needs no conversion passes; anything else raises, and the stock
    executor decides. What is made for a type serves every plan; what is a plan's own stands in that plan's source.
    """

    def __init__(self, schema: strawberry.Schema) -> None:
        super().__init__()
        self._schema = schema
        self._functions: dict[tuple[str, bool], str] = {}
        self._open: set[str] = set()

    def variables(
        self, source: Source, definitions: Sequence[tuple[str, Any, Any]]
    ) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """A function of ``source`` from what was sent to a tuple of values.

        ``definitions``: (name, type, default or MISSING).
        """
        lines = ["get = sent.get"]
        values = []
        for index, (name, type_, default) in enumerate(definitions):
            x = f"v{index}"
            lines.append(f"{x} = get({name!r}, MISSING)")
            inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            given = self._coercion(inner, x, False, source)
            absent = source.keep("default", default) if default is not MISSING else None
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
        return source.define(source.fresh("variables"), "sent", lines)

    def _coercion(self, type_: Any, x: str, in_draft: bool, source: Source) -> list[str]:
        """Lines of ``source`` that hold ``x``, which is not null, against its type and make of it what a resolver or a
        draft gets.
        """
        if isinstance(type_, GraphQLList):
            return [f"{x} = {self._lend(self._list(type_, in_draft), source)}({x})"]
        if type_ in (GraphQLString, GraphQLID):
            return [f"if type({x}) is not str: raise Doubt"]
        if type_ is GraphQLInt:
            convert = source.keep("parse", _parsing(type_))  # a whole number may be written 2.0
            return [f"if type({x}) is not int or not -2147483648 <= {x} <= 2147483647: {x} = {convert}({x})"]
        if type_ is GraphQLBoolean:
            return [f"if {x} is not True and {x} is not False: raise Doubt"]
        if isinstance(type_, GraphQLEnumType):
            members = {name: type_.coerce_input_value(name) for name in type_.values}
            table = {name: member.value if in_draft else member for name, member in members.items()}
            return [f"{x} = {source.keep('enum', table)}[{x}]"]
        if isinstance(type_, GraphQLInputObjectType):
            made = f"{self._lend(self._object(type_, in_draft), source)}({x})"
            alone = class_judged_alone(type_)
            if alone is None or source is self:
                return [f"{x} = {made}"]
            otherwise = source.keep("alone", _judged_alone(self._schema, type_, alone))
            return ["try:", f"    {x} = {made}", "except Exception:", f"    {x} = {otherwise}({x})"]
        return [f"{x} = {source.keep('parse', _parsing(type_))}({x})"]

    def _lend(self, name: str, source: Source) -> str:
        source.names[name] = self.names[name]
        return name

    def _list(self, type_: GraphQLList[Any], in_draft: bool) -> str:
        key = (str(type_), in_draft)
        known = self._functions.get(key)
        if known is not None:
            return known
        item = type_.of_type
        inner = item.of_type if isinstance(item, GraphQLNonNull) else item
        given = [*self._coercion(inner, "x", in_draft, self), "values.append(x)"]
        null = "raise Doubt" if inner is not item else "values.append(None)"
        lines = ["if type(sent) is not list: raise Doubt", "values = []", "for x in sent:"]
        if (alone := class_judged_alone(inner)) is not None:
            # Whatever is wrong with one of them costs the others nothing.
            otherwise = self.keep("alone", _judged_alone(self._schema, inner, alone))
            lines.insert(1, f"if len(sent) > {alone.most}: sent = sent[:{alone.most + 1}]")
            lines += indented(["try:", *indented(given), "except Exception:", f"    values.append({otherwise}(x))"])
        else:
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
        if type_.is_one_of or definition.is_one_of or not isinstance(definition.from_input, _Drafting | None):
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
        name = self.fresh("input")
        if is_drafted:
            made_so = self.define(f"{name}_anew", "sent", ["d = {}", *lines, "return d"])
            converters = [(sent, ours.python_name, self._converter(field.type)) for sent, field, ours in fields]
            self.names[name] = by_shape(made_so, converters)
            return name
        template, made = self.keep("template", defaults), self.keep("cls", cls)
        self.define(name, "sent", [f"d = {template}.copy()", *lines, f"o = new({made})", "o.__dict__ = d", "return o"])
        return name

    def _converter(self, type_: Any) -> Converter | None:
        """What makes the value of a draft of one that was sent and is not null; None where that is the value."""
        inner = _nullable(type_)
        if inner in (GraphQLString, GraphQLID, GraphQLBoolean):
            return None
        return self.define(self.fresh("convert"), "x", [*self._coercion(inner, "x", True, self), "return x"])

    def _field(self, sent: str, type_: Any, name: str, default: Any, in_draft: bool) -> list[str]:
        required = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if required else type_
        given = [*self._coercion(inner, "x", in_draft, self), f"d[{name!r}] = x"]
        if default is MISSING or (default is None and not required):
            # Left out and null are the same: refused, or None as the template has it.
            null = ["if x is None: raise Doubt"] if required else []
            body = [*null, *given] if required else ["if x is not None:", *indented(given)]
            return [f"x = get({sent!r})", *body]
        null_line = "pass" if in_draft else f"d[{name!r}] = None"
        return [
            f"x = get({sent!r}, MISSING)",
            "if x is MISSING: pass",
            f"elif x is None: {'raise Doubt' if required else null_line}",
            "else:",
            *indented(given),
        ]


Converter = Callable[[Any], Any]
MOST_SHAPES = 1000  # of an input type; the longest of them take 1.5 MB together


def by_shape(
    make: Callable[[Any], dict[str, Any]], fields: Sequence[tuple[str, str, Converter | None]]
) -> Callable[[Any], dict[str, Any]]:
    """Makes drafts as ``make`` does, in a third of the steps where names and kinds of what was sent are as they were before.

    A type has dozens of fields, of which a shop sends the same few with each event: ``make`` asks for every one. ``fields``: all
    of the type, in the order of a draft, as (name in the schema, name in the draft, converter).
    """
    shapes: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def made(sent: Any) -> dict[str, Any]:
        if type(sent) is not dict:
            return make(sent)
        shape = (*sent, *map(type, sent.values()))
        try:
            take, names, converters = shapes[shape]
        except KeyError:
            draft = make(sent)  # raises where it does not fit: then nothing of it is kept
            if len(shapes) >= MOST_SHAPES:
                shapes.clear()
            given = [one for one in fields if sent.get(one[0]) is not None]
            if len(given) > 1:  # of one alone its getter gives no tuple
                take = itemgetter(*[name for name, _, _ in given])
                converters = [(name, converter) for _, name, converter in given if converter is not None]
                shapes[shape] = take, tuple(draft), converters
            return draft
        draft = dict(zip(names, take(sent), strict=True))
        for name, convert in converters:
            draft[name] = convert(draft[name])
        return draft

    return made


def class_judged_alone(type_: Any) -> type[Alone] | None:
    """The class of an input type of which each is judged alone; None of any other type."""
    if not isinstance(type_, GraphQLInputObjectType):
        return None
    origin: type = type_.extensions[DEFINITION].origin
    return origin if issubclass(origin, Alone) else None


def _judged_alone(schema: strawberry.Schema, type_: GraphQLInputObjectType, cls: type[Alone]) -> Callable[[Any], Any]:
    """What becomes of one that the generated code does not take: the stock coercion decides whether it fits."""

    def judge(sent: Any) -> Any:
        found = coerce_input_value(sent, GraphQLNonNull(type_))
        return cls.misfit(sent) if found is Undefined else _draft_of_coerced(schema, cls, found)

    return judge


def _draft_of_coerced(schema: strawberry.Schema, cls: type[Alone], found: Any) -> Any:
    converter = schema.schema_converter
    return draft_of(convert_argument(found, cls, converter.scalar_registry, schema.config))


def tolerated(schema: GraphQLSchema, operation: OperationDefinitionNode, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """The variables with a stand-in for each value that is judged alone and does not fit: for the stock executor."""
    found = dict(sent)
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        declared: Any = type_from_ast(schema, node.type)
        type_ = _nullable(declared)
        is_list = isinstance(type_, GraphQLList)
        inner = _nullable(type_.of_type) if is_list else type_
        alone = class_judged_alone(inner)
        if alone is None or name not in found:
            continue
        given = found[name]
        fits = partial(_stand_in, GraphQLNonNull(inner), alone)
        if not is_list:
            # Null is what was left out, where it may be; else it is a wrong one like any other.
            if given is not None or declared is not type_:
                found[name] = fits(given)
        elif given is not None:
            found[name] = [fits(item) for item in given[: alone.most + 1]] if isinstance(given, list) else [fits(given)]
    return found


def _stand_in(type_: Any, cls: type[Alone], sent: Any) -> Any:
    return sent if coerce_input_value(sent, type_) is not Undefined else cls.stand_in(cls.misfit(sent))


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


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
