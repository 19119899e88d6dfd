"""What is told as it happens: each alert as it opens and as it resolves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import strawberry
from graphql import GraphQLError
from strawberry import ID, Info

from tracklayer.db.alert_changes import Change, Place, first_change_of
from tracklayer.db.alerts import alerts_by_id
from tracklayer.domain.values import read_instant
from tracklayer.schema import errors, ids
from tracklayer.schema.access import READ
from tracklayer.schema.context import MAX_OF_A_KEY, context_of, read
from tracklayer.schema.enums import AlertKind, AlertState
from tracklayer.schema.inputs import values_of
from tracklayer.schema.keys import BAD_KEY, BAD_SESSION
from tracklayer.schema.scalars import DateTime
from tracklayer.schema.types import AlertNode, alert_node
from tracklayer.services.follow import Key, KeyRevokedError

MAX_POSITION = 2**63


@strawberry.type(description="Everything that is told as it happens: over graphql-transport-ws or graphql-sse.")
class Subscription:
    @strawberry.subscription(
        metadata=READ,
        description="Each alert as it opens, or opens again, and as it resolves, in order, each once. Scope READ.",
    )
    async def alerts(
        self,
        info: Info,
        after: Annotated[
            ID | None,
            strawberry.argument(
                description="Left out: from now on. A `change` received before: everything behind it, exactly. An "
                "alert's id: everything behind that alert's first opening, its own resolving with it, so that nothing "
                "is missed; what was received behind it comes once more. Kept for 30 days."
            ),
        ] = None,
        kinds: Annotated[
            list[AlertKind] | None, strawberry.argument(description="Only of these kinds; left out or empty: all.")
        ] = None,
    ) -> AsyncGenerator[AlertNode, None]:
        context = context_of(info)
        holder = context.caller
        place = await _place(holder.merchant_id, str(after)) if after is not None else None
        key = (holder.merchant_id, holder.key_id)
        if not context.house.subscriptions.enter(key):
            message = f"This key has {MAX_OF_A_KEY:,} subscriptions open; end some first."
            raise errors.refused(message, errors.RATE_LIMITED)
        try:
            told = context.hub.follow(Key(*key, holder.session), place, values_of(kinds), context.paid_for)
            async with aclosing(told) as changes:
                async for change in changes:
                    context.renew()
                    yield changed_alert(change)
        except KeyRevokedError:
            message = BAD_KEY if holder.session is None else BAD_SESSION
            raise errors.refused(message, errors.UNAUTHENTICATED) from None
        finally:
            context.house.subscriptions.leave(key)


def changed_alert(change: Change) -> AlertNode:
    """The alert as it was at that change, open or resolved, in its present words."""
    node = alert_node(change.alert)
    node.state = AlertState(change.state)
    node.resolved_at = DateTime(change.at) if change.state == "resolved" else None
    node.change = ID(ids.encode("AlertChange", change.alert.merchant_id, change.change_id, change.at.isoformat()))
    return node


async def _place(merchant_id: int, after: str) -> Place:
    """The place that ``after`` stands for. Raises GraphQLError for an id that is not this merchant's."""
    change = ids.parts_of(after, "AlertChange", (int, int, str))
    at = read_instant(change[2]) if change is not None else None
    if isinstance(at, datetime) and change is not None and _is_position(merchant_id, change):
        return Place(change[1], at)
    change = ids.parts_of(after, "AlertChange", (int, int))  # as versions before had them
    if change is not None and _is_position(merchant_id, change):
        return Place(change[1])
    alert = ids.parts_of(after, "Alert", (int, int))
    if alert is not None and alert[0] == merchant_id and await read(alerts_by_id, merchant_id, [alert[1]]):
        return Place(await read(first_change_of, merchant_id, alert[1]))
    message = "after is not the id of an alert of yours, nor a change that was received."
    raise GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


def _is_position(merchant_id: int, change: Sequence[Any]) -> bool:
    return bool(change[0] == merchant_id and 0 <= change[1] < MAX_POSITION)
