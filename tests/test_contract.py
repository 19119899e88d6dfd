"""The printed schema keeps the names that clients rely on, and says what each of them means."""

from __future__ import annotations

from pathlib import Path

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, build_schema
from graphql.utilities import find_breaking_changes

from tracklayer.schema import schema

HERE = Path(__file__).parent
PRINTED = HERE.parent / "tracklayer" / "schema" / "schema.graphql"

# Named in the contract and not served yet. A line goes when its feature comes.
NOT_YET: set[str] = set()


def test_nothing_in_the_contract_is_broken_but_what_is_not_served_yet() -> None:
    contract = build_schema((HERE / "contract.graphql").read_text())
    changes = find_breaking_changes(contract, build_schema(schema.as_str()))
    assert {change.description for change in changes} == NOT_YET


def test_the_printed_schema_is_current() -> None:
    """`tracklayer schema > tracklayer/schema/schema.graphql` renews it: a change of the API is a diff to look at."""
    assert PRINTED.read_text() == schema.as_str() + "\n"


def test_every_name_carries_a_description() -> None:
    bare = []
    for name, kind in schema._schema.type_map.items():
        if name.startswith("__") or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        if not kind.description:
            bare.append(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            bare += [f"{name}.{field}" for field, found in kind.fields.items() if not found.description]
            bare += [
                f"{name}.{field}({argument})"
                for field, found in kind.fields.items()
                for argument, given in found.args.items()
                if not given.description
            ]
        if isinstance(kind, GraphQLInputObjectType):
            bare += [f"{name}.{field}" for field, given in kind.fields.items() if not given.description]
        if isinstance(kind, GraphQLEnumType):
            bare += [f"{name}.{value}" for value, found in kind.values.items() if not found.description]
    assert bare == []
