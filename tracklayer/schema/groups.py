"""Deliveries by what befell them, as callers see it."""

from __future__ import annotations

import strawberry

from tracklayer.db.delivery_groups import MOST_CODES, MOST_LOOKED_AT, MOST_WAITING_CODES
from tracklayer.mappers import PLATFORMS
from tracklayer.schema.access import READ
from tracklayer.schema.enums import DeliveryStatus, DropReason, Platform
from tracklayer.schema.scalars import DateTime
from tracklayer.schema.types import ErrorExplanation, explanation_node
from tracklayer.services.groups import Group

MOST_GROUPS = len(PLATFORMS) * (MOST_CODES + MOST_WAITING_CODES)


@strawberry.type(
    description="Deliveries of one platform that share their status, their reason and the platform's code."
)
class DeliveryGroup:
    platform: Platform = strawberry.field(metadata=READ, description="The platform.")
    status: DeliveryStatus = strawberry.field(metadata=READ, description="Where they stand; DELIVERED in no group.")
    held: bool = strawberry.field(
        metadata=READ, description="Whether they wait because their destination is paused or held."
    )
    drop_reason: DropReason | None = strawberry.field(metadata=READ, description="Why they were given up.")
    code: str | None = strawberry.field(
        metadata=READ, description="The platform's code of their last refusal: `DeliveryFilter.errorCode`; null: none."
    )
    explanation: ErrorExplanation | None = strawberry.field(
        metadata=READ, description="What the code, or the reason, means and what to do next."
    )
    what_to_do: str = strawberry.field(metadata=READ, description="What to do about the group, in one sentence.")
    may_redeliver: bool = strawberry.field(
        metadata=READ, description="Whether a redelivery could help; not where they are too old, or consent is denied."
    )
    count: int = strawberry.field(metadata=READ, description="How many were found.")
    is_exact: bool = strawberry.field(
        metadata=READ,
        description=f"Whether count is all of them. Up to {MOST_LOOKED_AT:,} of a group are looked at, fewer where there are "
        "very many groups; false: there are, or may be, more. With receivedUntil also where events were stored before "
        "their destination took them.",
    )
    newest_queued_at: DateTime = strawberry.field(metadata=READ, description="When the newest was queued.")
    oldest_queued_at: DateTime = strawberry.field(
        metadata=READ,
        description="When the oldest was queued; where count is not exact, and they wait, or a text or a time of arrival "
        "was asked for: the oldest of those that were found.",
    )
    example_event_id: str = strawberry.field(metadata=READ, description="The event id of the newest of them.")
    example_error: str | None = strawberry.field(
        metadata=READ, description="The last refusal of that one: status and the platform's words."
    )


def group_node(public_url: str, group: Group) -> DeliveryGroup:
    row = group.row
    return DeliveryGroup(
        platform=Platform(row.platform),
        status=DeliveryStatus(row.status),
        held=group.is_held,
        drop_reason=DropReason(row.drop_reason) if row.drop_reason else None,
        code=row.code,
        explanation=explanation_node(public_url, group.explained),
        what_to_do=group.what_to_do,
        may_redeliver=group.may_redeliver,
        count=row.count,
        is_exact=row.is_exact,
        newest_queued_at=DateTime(row.newest_queued_at),
        oldest_queued_at=DateTime(row.oldest_queued_at),
        example_event_id=row.example_event_id,
        example_error=row.example_error,
    )
