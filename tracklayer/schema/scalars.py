"""DateTime, JSON and Decimal as the contract words them.

Input of DateTime and Decimal is passed on as it came and judged by ``domain.read_event``: one bad instant in a batch of a
thousand events is that event's problem, with its path, and never an error of the whole operation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NewType

import strawberry
from graphql import FloatValueNode, GraphQLError, ValueNode, value_from_ast_untyped
from strawberry.schema.config import StrawberryConfig

from tracklayer.domain.json_text import exact_number
from tracklayer.domain.values import read_instant, write_instant

DateTime = NewType("DateTime", object)
JSON = NewType("JSON", object)
Decimal = NewType("Decimal", object)


MOST_INT = 2_147_483_647  # that GraphQL's Int holds


def as_int(count: int) -> int:
    """A count as GraphQL's Int: the largest one for what is more, so that the rest of the answer is not lost."""
    return count if count <= MOST_INT else MOST_INT


def instant_argument(value: Any, name: str) -> datetime | None:
    """An argument that is no event's: a wrong one fails the field, named."""
    if value is None:
        return None
    instant = read_instant(value)
    if isinstance(instant, str):
        raise GraphQLError(f"{name} {instant}.", extensions={"code": "BAD_USER_INPUT"})
    return instant


def span_arguments(since: Any, until: Any, name_since: str, name_until: str) -> tuple[datetime | None, datetime | None]:
    """Two arguments between which something is to lie. Raises GraphQLError where nothing can: they stand the wrong way round."""
    first, last = instant_argument(since, name_since), instant_argument(until, name_until)
    if first is not None and last is not None and first > last:
        raise GraphQLError(f"{name_since} lies after {name_until}.", extensions={"code": "BAD_USER_INPUT"})
    return first, last


def _amount_in_document(node: ValueNode, _variables: object = None) -> Any:
    return exact_number(node.value) if isinstance(node, FloatValueNode) else value_from_ast_untyped(node)


SCALARS: dict[object, Any] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339, always UTC with milliseconds: 2026-04-23T14:12:33.000Z. Input must carry an offset.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=write_instant,
        parse_value=lambda value: value,
    ),
    JSON: strawberry.scalar(
        name="JSON", description="Any JSON value.", serialize=lambda value: value, parse_value=lambda value: value
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="A JSON number or decimal text, finite; kept exactly as written.",
        serialize=lambda value: value,
        parse_value=lambda value: value,
        parse_literal=_amount_in_document,
    ),
}

CONFIG = StrawberryConfig(scalar_map=SCALARS)
