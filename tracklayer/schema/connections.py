"""Relay cursor connections by keyset: a cursor holds the sort key of its row, so every page costs the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from graphql import GraphQLError

from tracklayer.schema.access import PAGE, READ, at_most
from tracklayer.schema.scalars import DateTime

MAX_FIRST = 500
DEFAULT_FIRST = 50

T = TypeVar("T")

First = Annotated[int | None, strawberry.argument(description="How many at most, 1 to 500.")]
After = Annotated[str | None, strawberry.argument(description="The endCursor of the page before.")]


@strawberry.type(description="Where a page begins and ends.")
class PageInfo:
    has_next_page: bool = strawberry.field(metadata=READ, description="Whether there is more after endCursor.")
    has_previous_page: bool = strawberry.field(
        metadata=READ, description="Whether this page was asked for with a cursor."
    )
    start_cursor: str | None = strawberry.field(metadata=READ, description="Cursor of the first row.")
    end_cursor: str | None = strawberry.field(
        metadata=READ,
        description="Cursor of the last row, or of where this page stopped looking: the next page's after.",
    )
    searched_until: DateTime | None = strawberry.field(
        metadata=READ,
        default=None,
        description="Where a filter finds few among many, a page looks at so many rows and stops, though it is not full and "
        "perhaps empty: how far back it has looked. endCursor goes on from there. Null of every other page.",
    )


@strawberry.type(description="A row and where it stands.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(metadata=READ, description="Where the row stands in the list.")
    node: T = strawberry.field(metadata=READ, description="The row.")


@strawberry.type(description="A page of rows.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(
        metadata=READ | at_most(PAGE), description="The rows, each with its own cursor."
    )
    nodes: list[T] = strawberry.field(metadata=READ | at_most(PAGE), description="The rows, without cursors.")
    page_info: PageInfo = strawberry.field(metadata=READ, description="Where the page begins and ends.")


def page_size(first: int | None) -> int:
    """How many rows a page has. Raises GraphQLError for a number out of bounds."""
    if first is None:
        return DEFAULT_FIRST
    if not 1 <= first <= MAX_FIRST:
        raise GraphQLError(f"first must be 1 to {MAX_FIRST}.", extensions={"code": "BAD_USER_INPUT"})
    return first


def goes_on(page: Connection[T], until: datetime, cursor: str) -> Connection[T]:
    """A page that is not full, and stopped looking at an instant; ``cursor``: of what is before that."""
    info = page.page_info
    info.has_next_page, info.end_cursor, info.searched_until = True, cursor, DateTime(until)
    return page


def connect(
    rows: Sequence[Any], first: int, after: str | None, node_of: Callable[[Any], T], cursor_of: Callable[[Any], str]
) -> Connection[T]:
    """A page from up to ``first + 1`` rows."""
    edges = [Edge(cursor=cursor_of(row), node=node_of(row)) for row in rows[:first]]
    return Connection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            has_next_page=len(rows) > first,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )
