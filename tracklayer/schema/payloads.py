"""What mutations answer: a foreseeable mistake is data in ``userErrors``, never a GraphQL error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import strawberry
from strawberry import Info

from tracklayer.db.connection import DatabaseAwayError, run_for_merchant
from tracklayer.db.models import DestinationRow
from tracklayer.db.redeliveries import Key
from tracklayer.domain.event import MAX_EVENT
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime
from tracklayer.schema.access import ADMIN, PAGE, SENDER, at_most, holds, weighs
from tracklayer.schema.context import context_of
from tracklayer.schema.enums import IngestOutcome
from tracklayer.schema.inputs import dotted_path, path_in_api, worded
from tracklayer.schema.scalars import JSON
from tracklayer.schema.types import (
    MAX_REASONS,
    MAX_VERDICTS,
    AlertChannelNode,
    AlertNode,
    ApiKeyNode,
    DeliveryAttempt,
    DestinationNode,
    ErasureNode,
    ErrorExplanation,
    EventNode,
    FieldWithoutPlace,
    MerchantNode,
    RedeliveryNode,
    RefusedGroup,
    RuleVerdictNode,
    event_node,
    refused_groups,
)
from tracklayer.services.access_package import MOST_BYTES
from tracklayer.services.check import MOST, SINCE, Checked, check_destination, check_redelivery
from tracklayer.services.erase import LOOK_SECONDS, MOST_EXAMPLES, Counted
from tracklayer.services.ingest import Accepted, Coalesced, Forgotten, Ingested
from tracklayer.services.pacing import PAGE as REDELIVERED

MAX_USER_ERRORS = 20  # of one input: whoever has more has made the same mistake again and again
_ERRORS = "What is wrong, or worth knowing; empty when all is well."


@strawberry.type(description="Something that the caller can mend.")
class UserError:
    field: list[str] | None = strawberry.field(
        metadata=SENDER, description="Path of the input field; null: the input as a whole."
    )
    code: str = strawberry.field(
        metadata=SENDER, description="For programs: REQUIRED, INVALID_TIME, CARD_DATA and so on."
    )
    message: str = strawberry.field(
        metadata=SENDER, description="For people: what is wrong and what to do. Never quotes a value."
    )


def user_errors(problems: Sequence[Problem]) -> list[UserError]:
    """Problems in the spelling of this API: paths, fields in sentences and choices."""
    return [
        UserError(field=_path_of(problem) or None, code=problem.code, message=worded(problem))
        for problem in problems[:MAX_USER_ERRORS]
    ]


def _path_of(problem: Problem) -> list[str]:
    if problem.code == "UNKNOWN_FIELD" and problem.field:  # its last word is the caller's own
        return [*path_in_api(problem.field[:-1]), problem.field[-1]]
    return path_in_api(problem.field)


@strawberry.type(description="What became of one event.")
class IngestEventPayload:
    outcome: IngestOutcome = strawberry.field(metadata=SENDER, description="Accepted, coalesced or rejected.")
    event: EventNode | None = strawberry.field(
        metadata=SENDER,
        description="The event as stored; null where it was rejected, or was erased before: a key that may only send is "
        "shown what it sent.",
    )
    index: int | None = strawberry.field(
        metadata=SENDER, description="Which of the inputs it answers, from 0; 0 of a single one."
    )
    event_id: str | None = strawberry.field(
        metadata=SENDER, description="The eventId of that input; null where it has none that could be stored."
    )
    user_errors: list[UserError] = strawberry.field(
        metadata=SENDER | at_most(MAX_USER_ERRORS),
        description="Why it was rejected; or warnings beside an accepted or coalesced event.",
    )


@strawberry.type(description="What became of each event, in order.")
class IngestEventsPayload:
    results: list[IngestEventPayload] = strawberry.field(
        metadata=SENDER | at_most(PAGE), description="One an input, in order."
    )
    accepted: int = strawberry.field(metadata=SENDER, description="How many were stored.")
    coalesced: int = strawberry.field(metadata=SENDER, description="How many were repeats.")
    rejected: int = strawberry.field(metadata=SENDER, description="How many were refused.")


@strawberry.type(
    description=f"What would be sent of deliveries that are queued again, as their destinations are set now, each at the time "
    f"when it is due: of the first {REDELIVERED:,}, and as many as 2 s suffice for."
)
class RedeliveryCheck:
    deliveries: int = strawberry.field(metadata=ADMIN, description="How many were looked at.")
    would_send: int = strawberry.field(metadata=ADMIN, description="Those of them that would be sent.")
    refused: list[RefusedGroup] = strawberry.field(
        metadata=ADMIN | at_most(MAX_REASONS), description="Those of them that would not, by reason and field."
    )


@strawberry.type(
    description="What was queued, or would be. Up to 1,000 deliveries, or stored events, are done when this answer is given; of more "
    "than that, the first 1,000, and `job` does the rest. A dry run looks at all that match."
)
class RedeliverPayload:
    matched: int = strawberry.field(
        metadata=ADMIN, description="Deliveries, or stored events, that were looked at until this answer."
    )
    requeued: int = strawberry.field(
        metadata=ADMIN, description="Those of them that are queued; in a dry run, that would be."
    )
    refused: list[RefusedGroup] = strawberry.field(
        metadata=ADMIN | at_most(MAX_REASONS), description="Those of them that are not, by reason."
    )
    complete: bool = strawberry.field(
        metadata=ADMIN,
        description="Whether all that match were looked at. False: `job` does the rest; or a dry run had no time for all, "
        "and counted the newest, or as many ids as it came to.",
    )
    duplicate_risk: int = strawberry.field(
        metadata=ADMIN,
        description="Those of the queued, or of what would be, that their platform may count twice: an attempt was not answered, "
        "and the platform does not recognise a copy of the event that comes so late. Not of what `job` does. 0 of "
        "deliverStored: such an event has never been sent there.",
    )
    job: RedeliveryNode | None = strawberry.field(
        metadata=ADMIN, description="What does the rest; `node(id)` tells how far it is. Null: there is no rest."
    )
    due: strawberry.Private[Mapping[Key, datetime] | None] = None  # of what is queued again, or would be

    @strawberry.field(
        metadata=ADMIN | weighs(REDELIVERED),
        description="What would be sent of those that are queued, or would be: a delivery that the platform's rules refuse "
        "again is dropped again at once. Null of deliverStored, whose `refused` says so already, and where the check itself "
        "failed. Made when it is selected.",
    )
    async def check(self, info: Info) -> RedeliveryCheck | None:
        if self.due is None:
            return None
        context = context_of(info)
        check = partial(_check_redelivery, context.runtime)
        try:
            found = await run_for_merchant(check, context.caller.merchant_id, self.due)
        except DatabaseAwayError:
            return None  # what was done is committed, which the rest of the answer says
        if found is None:
            return None
        return RedeliveryCheck(
            deliveries=found.events, would_send=found.would_send, refused=refused_groups(found.refused, found.examples)
        )

    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(
    description=f"What would be sent of the merchant's newest events of {SINCE.days} days, as a destination is set now: at "
    f"most {MOST}, as many of each event name, and as many as 2 s suffice for. Sends nothing. An event's age is judged as of "
    "its own arrival."
)
class DestinationCheck:
    events: int = strawberry.field(metadata=ADMIN, description="How many were looked at; 0: there are none.")
    would_send: int = strawberry.field(metadata=ADMIN, description="Those of them that would be sent.")
    refused: list[RefusedGroup] = strawberry.field(
        metadata=ADMIN | at_most(MAX_REASONS), description="Those of them that would not, by reason and field."
    )
    no_place: list[FieldWithoutPlace] = strawberry.field(
        metadata=ADMIN | at_most(MAX_VERDICTS),
        description="Fields of those that would be sent that stay here, since the platform has none for them.",
    )
    warnings: list[UserError] = strawberry.field(
        metadata=ADMIN | at_most(MAX_USER_ERRORS),
        description="On the settings, which are set all the same, such as a refund's name that would count as one more sale.",
    )


@strawberry.type(description="The destination after the change.")
class DestinationPayload:
    changed: strawberry.Private[DestinationRow | None] = None
    destination: DestinationNode | None = strawberry.field(
        metadata=ADMIN, description="Null where nothing was changed."
    )

    @strawberry.field(
        metadata=ADMIN | weighs(MOST),
        description="What it would get of the merchant's last events as `setDestination` left it; null after any other "
        "change, and where the check itself failed. Made when it is selected.",
    )
    async def check(self, info: Info) -> DestinationCheck | None:
        if self.changed is None:
            return None
        check = partial(_check, context_of(info).runtime)
        try:
            found = await run_for_merchant(check, self.changed.merchant_id, self.changed)
        except DatabaseAwayError:
            return None  # the change itself is committed, which the rest of the answer says
        if found is None:
            return None
        return DestinationCheck(
            events=found.events,
            would_send=found.would_send,
            refused=refused_groups(found.refused, found.examples),
            no_place=[
                FieldWithoutPlace(field=dotted_path(path.split(".")), count=count)
                for path, count in sorted(found.no_place.items())
            ],
            warnings=user_errors(found.warnings),
        )

    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="What a test event came to.")
class TestDestinationPayload:
    attempt: DeliveryAttempt | None = strawberry.field(
        metadata=ADMIN, description="How it ended; null where nothing was sent."
    )
    request: JSON | None = strawberry.field(
        metadata=ADMIN | holds(MAX_EVENT), description="What was sent, without credentials."
    )
    explanation: ErrorExplanation | None = strawberry.field(
        metadata=ADMIN, description="What a refusal means, TrackLayer's own before anything is sent as well."
    )
    verdicts: list[RuleVerdictNode] = strawberry.field(
        metadata=ADMIN | at_most(MAX_VERDICTS),
        description="Every rule that the event was held against: what is left out, and what a default fills in.",
    )
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="The merchant after the change.")
class MerchantPayload:
    merchant: MerchantNode | None = strawberry.field(metadata=ADMIN, description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="The alert after the change.")
class AlertPayload:
    alert: AlertNode | None = strawberry.field(metadata=ADMIN, description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="The channel after the change, or as it was before it was removed.")
class AlertChannelPayload:
    channel: AlertChannelNode | None = strawberry.field(metadata=ADMIN, description="Null where there is none.")
    secret: str | None = strawberry.field(
        metadata=ADMIN, description="What signs its messages, where it is new: shown this once. Null of SLACK."
    )
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(
    description="What is erased so far, as `erasure` goes on; in a dry run, what would be, as far as 8 s suffice to look."
)
class ErasePersonPayload:
    events_erased: int = strawberry.field(metadata=ADMIN, description="Events.")
    deliveries_erased: int = strawberry.field(metadata=ADMIN, description="Their deliveries.")
    identities_erased: int = strawberry.field(
        metadata=ADMIN, description="Browsers that are forgotten, or that are linked to the person no more."
    )
    shared_identities: int = strawberry.field(
        metadata=ADMIN,
        description="Those of them that others were seen with as well: they stay, and lose the link. Of a dry run.",
    )
    events_uncertain: int = strawberry.field(
        metadata=ADMIN,
        description="Events that stay, as they may be somebody else's: a phone that reads in two ways, or another person in the "
        "browser that was asked for. Of a dry run.",
    )
    uncertain_event_ids: list[str] = strawberry.field(
        metadata=ADMIN | at_most(MOST_EXAMPLES),
        description="The eventId of some of them, at most 20: name in `eventIds` what is the person's.",
    )
    different_emails: int = strawberry.field(
        metadata=ADMIN,
        description="How many different emails the events have, counted to 1,000: several may be several people. Of a dry run.",
    )
    different_phones: int = strawberry.field(metadata=ADMIN, description="The same of phones.")
    different_external_ids: int = strawberry.field(metadata=ADMIN, description="The same of external ids.")
    complete: bool = strawberry.field(
        metadata=ADMIN,
        description="Whether all events were looked at. False: the job goes on, or a dry run had no more time.",
    )
    erasure: ErasureNode | None = strawberry.field(
        metadata=ADMIN, description="What does it; `node(id)` tells how far it is. Null in a dry run."
    )
    was_there_before: bool = strawberry.field(
        metadata=ADMIN,
        description="Whether `erasure` went on before this request, which asked for the very same with the same options: it "
        "does this one as well, and its receipt is that of both.",
    )
    receipt: str | None = strawberry.field(
        metadata=ADMIN, description="The signed receipt, once it has finished: `node(id)` has it then."
    )
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(
    description=f"What is stored about somebody, to give to that person: as far as it is found within {LOOK_SECONDS:.0f} s and is "
    f"no more than {MOST_BYTES // 1_000_000} MB."
)
class ExportPersonPayload:
    events: int = strawberry.field(metadata=ADMIN, description="Events that were found.")
    browsers: int = strawberry.field(
        metadata=ADMIN, description="Browsers that were found, those that others use as well among them."
    )
    events_uncertain: int = strawberry.field(
        metadata=ADMIN,
        description="Events that are not in it, as they may be somebody else's: a dry run of `erasePerson` names them, and those "
        "that are named in `eventIds` are in it.",
    )
    complete: bool = strawberry.field(
        metadata=ADMIN,
        description="Whether that is all. False: `json` is null, and `tracklayer person export` gives it, however much it is.",
    )
    json: str | None = strawberry.field(
        metadata=ADMIN,
        description='The access package: `{"events": [...], "browsers": [...]}`, sealed fields opened; null: it would be a part.',
    )
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="Whether somebody was suppressed until now.")
class UnsuppressPersonPayload:
    lifted: bool = strawberry.field(
        metadata=ADMIN,
        description="Whether one of these identifiers was suppressed: none is any more, in whichever spelling. "
        "What else the erasure named stays suppressed.",
    )
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="A new key.")
class CreateApiKeyPayload:
    api_key: ApiKeyNode | None = strawberry.field(metadata=ADMIN, description="Null where nothing was created.")
    key: str | None = strawberry.field(metadata=ADMIN, description="The key itself: shown this once.")
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="The key after the change.")
class ApiKeyPayload:
    api_key: ApiKeyNode | None = strawberry.field(metadata=ADMIN, description="Null where nothing was changed.")
    user_errors: list[UserError] = strawberry.field(metadata=ADMIN | at_most(MAX_USER_ERRORS), description=_ERRORS)


@strawberry.type(description="What became of an identification.")
class IdentifyPayload:
    ok: bool = strawberry.field(metadata=SENDER, description="The browser is known to be used by this person.")
    user_errors: list[UserError] = strawberry.field(
        metadata=SENDER | at_most(MAX_USER_ERRORS), description="What is wrong with it; where it is ok, warnings."
    )


def _check(runtime: Runtime, merchant_id: int, row: DestinationRow) -> Checked | None:
    return check_destination(runtime, row)


def _check_redelivery(runtime: Runtime, merchant_id: int, due: Mapping[Key, datetime]) -> Checked | None:
    return check_redelivery(runtime, merchant_id, due)


def erase_payload(
    counted: Counted,
    *,
    erasure: ErasureNode | None = None,
    was_there_before: bool = False,
    problems: Sequence[Problem] = (),
) -> ErasePersonPayload:
    """What would be erased; or what begins to be, or why nothing does."""
    return ErasePersonPayload(
        events_erased=counted.events,
        deliveries_erased=counted.deliveries,
        identities_erased=counted.browsers,
        shared_identities=counted.shared,
        events_uncertain=counted.uncertain,
        uncertain_event_ids=counted.uncertain_ids,
        different_emails=counted.emails,
        different_phones=counted.phones,
        different_external_ids=counted.external_ids,
        complete=counted.complete,
        erasure=erasure,
        was_there_before=was_there_before,
        receipt=None,
        user_errors=user_errors(problems),
    )


def ingest_payload(ingested: Ingested, index: int) -> IngestEventPayload:
    """What became of the event that came as number ``index``."""
    match ingested:
        case Accepted(row=row, warnings=warnings):
            return IngestEventPayload(
                outcome=IngestOutcome.ACCEPTED,
                event=event_node(row),
                index=index,
                event_id=row.event_id,
                user_errors=user_errors(warnings),
            )
        case Coalesced(row=row, warnings=warnings):
            return IngestEventPayload(
                outcome=IngestOutcome.COALESCED,
                event=event_node(row),
                index=index,
                event_id=row.event_id,
                user_errors=user_errors(warnings),
            )
        case Forgotten(event_id=event_id, warnings=warnings):
            return IngestEventPayload(
                outcome=IngestOutcome.COALESCED,
                event=None,
                index=index,
                event_id=event_id,
                user_errors=user_errors(warnings),
            )
        case _:
            return IngestEventPayload(
                outcome=IngestOutcome.REJECTED,
                event=None,
                index=index,
                event_id=ingested.event_id,
                user_errors=user_errors(ingested.problems),
            )
