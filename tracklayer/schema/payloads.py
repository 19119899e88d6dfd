"""What mutations answer: a foreseeable mistake is data in ``userErrors``, never a GraphQL error."""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from tracklayer.domain.problem import Problem
from tracklayer.schema.enums import IngestOutcome
from tracklayer.schema.scalars import JSON
from tracklayer.schema.types import (
    AlertNode,
    ApiKeyNode,
    DeliveryAttempt,
    DestinationNode,
    ErrorExplanation,
    EventNode,
    MerchantNode,
    RedeliveryNode,
    RefusedGroup,
    event_node,
)
from tracklayer.services.ingest import Accepted, Coalesced, Ingested

_ERRORS = "What is wrong, or worth knowing; empty when all is well."


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@strawberry.type(description="Something that the caller can mend.")
class UserError:
    field: list[str] | None = strawberry.field(description="Path of the input field; null: the input as a whole.")
    code: str = strawberry.field(description="For programs: REQUIRED, INVALID_TIME, CARD_DATA and so on.")
    message: str = strawberry.field(description="For people: what is wrong and what to do. Never quotes a value.")


def user_errors(problems: Sequence[Problem]) -> list[UserError]:
    """Problems with their paths in the spelling of this API. Keys of ``properties`` are the caller's and stay."""
    return [
        UserError(field=_path(problem.field) or None, code=problem.code, message=problem.message)
        for problem in problems
    ]


def _path(field: tuple[str, ...]) -> list[str]:
    if field[:2] == ("custom_data", "properties"):
        return ["customData", "properties", *field[2:]]
    return [_camel(part) for part in field] if field[:1] != ("settings",) else list(field)


@strawberry.type(description="What became of one event.")
class IngestEventPayload:
    outcome: IngestOutcome = strawberry.field(description="Accepted, coalesced or rejected.")
    event: EventNode | None = strawberry.field(description="The event as stored; null where it was rejected.")
    user_errors: list[UserError] = strawberry.field(
        description="Why it was rejected; or warnings beside an accepted or coalesced event."
    )


@strawberry.type(description="What became of each event, in order.")
class IngestEventsPayload:
    results: list[IngestEventPayload] = strawberry.field(description="One an input, in order.")
    accepted: int = strawberry.field(description="How many were stored.")
    coalesced: int = strawberry.field(description="How many were repeats.")
    rejected: int = strawberry.field(description="How many were refused.")


@strawberry.type(
    description="What was redelivered, or would be. Up to 1,000 deliveries are done when this answer is given; of more "
    "than that, the first 1,000, and `job` does the rest. A dry run looks at all that match."
)
class RedeliverPayload:
    matched: int = strawberry.field(description="Deliveries that were looked at until this answer.")
    requeued: int = strawberry.field(description="Those of them that are queued again; in a dry run, that would be.")
    refused: list[RefusedGroup] = strawberry.field(description="Those of them that are not, by reason.")
    complete: bool = strawberry.field(
        description="Whether all that match were looked at. False: `job` does the rest; or a dry run had no time for all, "
        "and counted the newest, or as many ids as it came to."
    )
    job: RedeliveryNode | None = strawberry.field(
        description="What does the rest; `node(id)` tells how far it is. Null: there is no rest."
    )
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


@strawberry.type(description="The destination after the change.")
class DestinationPayload:
    destination: DestinationNode | None = strawberry.field(description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


@strawberry.type(description="What a test event came to.")
class TestDestinationPayload:
    attempt: DeliveryAttempt | None = strawberry.field(description="How it ended; null where nothing was sent.")
    request: JSON | None = strawberry.field(description="What was sent, without credentials.")
    explanation: ErrorExplanation | None = strawberry.field(description="What a refusal means.")
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


@strawberry.type(description="The merchant after the change.")
class MerchantPayload:
    merchant: MerchantNode | None = strawberry.field(description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


@strawberry.type(description="The alert after the change.")
class AlertPayload:
    alert: AlertNode | None = strawberry.field(description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


@strawberry.type(description="A new key.")
class CreateApiKeyPayload:
    api_key: ApiKeyNode | None = strawberry.field(description="Null where nothing was created.")
    key: str | None = strawberry.field(description="The key itself: shown this once.")
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


@strawberry.type(description="The key after the change.")
class ApiKeyPayload:
    api_key: ApiKeyNode | None = strawberry.field(description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(description=_ERRORS)


def ingest_payload(ingested: Ingested) -> IngestEventPayload:
    match ingested:
        case Accepted(row=row, warnings=warnings):
            return IngestEventPayload(
                outcome=IngestOutcome.ACCEPTED, event=event_node(row), user_errors=user_errors(warnings)
            )
        case Coalesced(row=row, warnings=warnings):
            return IngestEventPayload(
                outcome=IngestOutcome.COALESCED, event=event_node(row), user_errors=user_errors(warnings)
            )
        case _:
            return IngestEventPayload(
                outcome=IngestOutcome.REJECTED, event=None, user_errors=user_errors(ingested.problems)
            )
