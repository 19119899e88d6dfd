"""Whether the text of an operation is known, whatever it came over, and the answer of one that is, by its plan.

What is known is neither read again nor paid for. All else is the stock executor's, which reads it and has it paid for
(the gate of ``schema``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql import ExecutionResult

from tracklayer.request_id import scope_of_current
from tracklayer.schema import errors
from tracklayer.schema.compiled.source import Doubt
from tracklayer.schema.context import Context, is_free, may
from tracklayer.schema.cost import MAX_COST
from tracklayer.tracing import OPERATION

MAX_TEXT = 64 * 1024  # characters of a document: what is no token (commas, comments) is read all the same


class ReadsError(Exception):
    """An operation that was to take events in does more, or something else."""


def refuse_long(text: str) -> None:
    """Before a document is read. Raises GraphQLError where it is longer than any may be."""
    if len(text) > MAX_TEXT:
        message = f"A document may have {MAX_TEXT:,} characters: send what varies in `variables`, which may be as long as the body."
        raise errors.refused(message, errors.TOO_LARGE)


async def answer_known(
    context: Context,
    query: str,
    variables: Mapping[str, Any],
    name: str | None,
    *,
    takes_in: bool = False,
    only_reads: bool = False,
) -> dict[str, Any] | ExecutionResult | None:
    """``data`` of an answer without errors, or a result with some; None: this is no operation that is known, or none that its
    caller may have, and nothing was executed.

    Raises GraphQLError where it has to wait; ReadsError with ``takes_in`` for one that does not only take events in. ``only_reads``:
    None for one that does not.
    """
    house, holder = context.house, context.holder
    if house.plans is None or holder is None:
        return None
    refuse_long(query)
    plan = house.plans.find(holder.merchant_id, query, name, partial(house.limits.admit_compilation, holder))
    if plan is None or not may(holder, plan.scopes) or (only_reads and not plan.only_reads):
        return None
    takes_in_alone = is_free(plan.scopes)
    if takes_in and not takes_in_alone:
        raise ReadsError
    cost = plan.cost.of(variables)
    if cost > MAX_COST:
        return None
    if not takes_in_alone:
        house.admit(holder, cost)
    if house.runtime.tracer is not None and (scope := scope_of_current()) is not None:
        scope[OPERATION] = plan.operation
    context.cost = cost
    with context.reading(only_reads=plan.only_reads):
        try:
            return await plan.run(variables, context)
        except Doubt:
            house.limits.admit_text(holder)
            house.limits.count_text(holder, query, 0)
            return await plan.run_stock(variables, context)
