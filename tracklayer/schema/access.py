"""Who may see what, and how many of it an answer can hold: said at every field, or the schema is not built.

Both stand in a field's metadata, ``metadata=READ | at_most(10)``, and are read off the schema by whoever asks: the guard
below, which stands before every resolver; compiled operations, which ask once for all of their fields; and ``cost``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
)

SCOPES, MOST, WEIGHT, WEIGHT_BY = "scopes", "most", "weight", "weight by"
OBJECT_LENGTH = 13 * 1024  # characters that one object more pays for: the largest event is worth 20
_DEFINITION = "strawberry-definition"  # where Strawberry keeps its own definition of a GraphQL field

Scopes = frozenset[str]  # one of these suffices, as ADMIN always does; none: whoever asks, with a key or without


def _scopes(*names: str) -> dict[str, Any]:
    return {SCOPES: frozenset(names)}


PUBLIC = _scopes()
INGEST = _scopes("ingest")
SENDER = _scopes("ingest", "read")  # what the sender of an event knows, or needs to know of it
READ = _scopes("read")
ADMIN = _scopes("admin")

PAGE = "the page of the connection"


def at_most(bound: int | str) -> dict[str, Any]:
    """How many items a list has at most: a number, the name of the argument that says it, or PAGE."""
    return {MOST: bound}


def weighs(objects: int) -> dict[str, Any]:
    """What a value costs that takes as long as so many objects."""
    return {WEIGHT: objects}


def holds(characters: int) -> dict[str, Any]:
    """What a value costs that may hold so many characters, or bytes: a text, or an object whose texts share that bound."""
    return weighs(-(-characters // OBJECT_LENGTH) if characters > OBJECT_LENGTH else 0)


def weighs_by(argument: str, objects: Mapping[str, int]) -> dict[str, Any]:
    """What a value costs by an argument that names a member of an enum; what says none, as much as the dearest."""
    return {WEIGHT_BY: (argument, objects)}


class UndeclaredError(Exception):
    """A field does not say who may see it, or how many items it has."""


def scopes_of(field: GraphQLField) -> Scopes:
    """Who may see a field. Those of introspection are everybody's."""
    ours = field.extensions.get(_DEFINITION)
    found: Scopes = ours.metadata.get(SCOPES, frozenset()) if ours is not None else frozenset()
    return found


def most_of(field: GraphQLField) -> int | str | None:
    """How many items a list of objects has at most, as ``at_most`` puts it; None of what is no such list."""
    ours = field.extensions.get(_DEFINITION)
    found: int | str | None = ours.metadata.get(MOST) if ours is not None else None
    return found


def weight_of(field: GraphQLField) -> int:
    """What a value costs besides the objects below it."""
    ours = field.extensions.get(_DEFINITION)
    return int(ours.metadata.get(WEIGHT, 0)) if ours is not None else 0


def weights_of(field: GraphQLField) -> tuple[str, Mapping[str, int]] | None:
    """The argument that says what a value costs, and how much each member does, as ``weighs_by`` puts it."""
    ours = field.extensions.get(_DEFINITION)
    found: tuple[str, Mapping[str, int]] | None = ours.metadata.get(WEIGHT_BY) if ours is not None else None
    return found


def guard(schema: strawberry.Schema) -> None:
    """Puts before every resolver the question whether the caller may see its field.

    ``info.context.require(scopes)`` raises where not. Raises UndeclaredError, naming every field that does not say.
    """
    undeclared = []
    for kind in schema._schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            metadata = field.extensions[_DEFINITION].metadata
            if SCOPES not in metadata:
                undeclared.append(f"{kind.name}.{name} does not say who may see it")
            if _is_list_of_objects(field.type) and MOST not in metadata:
                undeclared.append(f"{kind.name}.{name} does not say how many items it has at most")
    if undeclared:
        raise UndeclaredError("; ".join(undeclared))
    for kind in schema._schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for field in kind.fields.values():
                scopes = scopes_of(field)
                if scopes and field.resolve is not None:
                    field.resolve = _guarded(field.resolve, scopes)
                if scopes and field.subscribe is not None:
                    field.subscribe = _guarded_stream(field.subscribe, scopes)


def _guarded(resolve: Callable[..., Any], scopes: Scopes) -> Callable[..., Any]:
    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        info.context.require(scopes)
        return resolve(source, info, **arguments)

    return guarded


def _guarded_stream(subscribe: Callable[..., Any], scopes: Scopes) -> Callable[..., Any]:
    """A refusal is the stream's first word, as any other failure of it is."""

    async def guarded(source: Any, info: Any, **arguments: Any) -> AsyncGenerator[Any, None]:
        info.context.require(scopes)
        found = subscribe(source, info, **arguments)
        async with aclosing(await found if isawaitable(found) else found) as stream:
            async for value in stream:
                yield value

    return guarded


def _is_list_of_objects(type_: Any) -> bool:
    is_list = False
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        is_list = is_list or isinstance(type_, GraphQLList)
        type_ = type_.of_type
    return is_list and not isinstance(type_, GraphQLScalarType | GraphQLEnumType)
