"""Changes: each asks who the caller is, calls one service, wakes whom it names, and words the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeVar

import strawberry
from graphql import GraphQLError
from strawberry import ID, Info

from tracklayer.clock import elapsed
from tracklayer.db.connection import in_transaction, run_for_merchant
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.models import ApiKeyRow
from tracklayer.db.redeliveries import Key
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime
from tracklayer.schema import errors, ids
from tracklayer.schema.access import ADMIN, INGEST, at_most, weighs
from tracklayer.schema.context import context_of
from tracklayer.schema.enums import Platform
from tracklayer.schema.inputs import (
    UNSET,
    CreateApiKeyInput,
    DeliveryFilter,
    ErasePersonInput,
    EventFilter,
    IdentifyInput,
    IngestEventInput,
    SetAlertChannelInput,
    SetDestinationInput,
    UpdateMerchantInput,
    to_draft,
)
from tracklayer.schema.payloads import (
    AlertChannelPayload,
    AlertPayload,
    ApiKeyPayload,
    CreateApiKeyPayload,
    DestinationPayload,
    ErasePersonPayload,
    ExportPersonPayload,
    IdentifyPayload,
    IngestEventPayload,
    IngestEventsPayload,
    MerchantPayload,
    RedeliverPayload,
    TestDestinationPayload,
    UnsuppressPersonPayload,
    erase_payload,
    ingest_payload,
    user_errors,
)
from tracklayer.schema.queries import delivery_search, event_search
from tracklayer.schema.scalars import JSON, DateTime, instant_argument
from tracklayer.schema.types import (
    alert_node,
    api_key_node,
    attempt_node,
    channel_node,
    destination_node,
    erasure_node,
    explanation_node,
    merchant_node,
    redelivery_node,
    refused_groups,
    verdict_node,
)
from tracklayer.services import channels, destinations, merchants
from tracklayer.services.access_package import package_of
from tracklayer.services.alert import acknowledge_alert, check_note, snooze_alert
from tracklayer.services.erase import Begun, Counted, Request, count_person, erase_person, requester, unsuppress_person
from tracklayer.services.identify import Identified, identify
from tracklayer.services.ingest import MAX_EVENTS, Accepted, Coalesced, Forgotten, Rejected
from tracklayer.services.pacing import Redelivered
from tracklayer.services.post import try_channel
from tracklayer.services.redeliver import count_ids, count_matching, redeliver_ids, redeliver_matching
from tracklayer.services.stored import count_stored, deliver_stored
from tracklayer.services.trial import OF_ONE, TooManyTrialsError, run_beside, run_trial

EMPTY_FILTER = Problem(
    ("filter",),
    "EMPTY_FILTER",
    "This filter means every failed and dropped delivery of all time. Narrow it, give ids, or say all: true.",
)
EMPTY_EVENT_FILTER = Problem(
    ("filter",),
    "EMPTY_FILTER",
    "This filter means every event that is stored. Say since when, receivedSince suffices, or say all: true.",
)
EXPORT = 1_000  # objects: an answer of megabytes takes as long
T = TypeVar("T")
TRIALS_FULL = (
    f"A merchant may try {OF_ONE} destinations or channels at once, and a server a few in all: others have not answered yet. "
    "Nothing was sent; ask again in 10 s."
)
PlatformArgument = Annotated[Platform, strawberry.argument(description="The destination's platform.")]


@strawberry.type(description="Everything that can be changed.")
class Mutation:
    @strawberry.mutation(metadata=INGEST, description="Takes one event in. Scope INGEST.")
    async def ingest_event(
        self, info: Info, input: Annotated[IngestEventInput, strawberry.argument(description="The event.")]
    ) -> IngestEventPayload:
        context = context_of(info)
        holder = context.caller
        (outcome,) = await context.intake.ingest(holder, [to_draft(input)])
        return ingest_payload(outcome, 0)

    @strawberry.mutation(
        metadata=INGEST | at_most("inputs"),
        description="Takes 1 to 1000 events in, each judged on its own. Scope INGEST.",
    )
    async def ingest_events(
        self, info: Info, inputs: Annotated[list[IngestEventInput], strawberry.argument(description="The events.")]
    ) -> IngestEventsPayload:
        context = context_of(info)
        holder = context.caller
        if not 1 <= len(inputs) <= MAX_EVENTS:
            raise GraphQLError(f"inputs must hold 1 to {MAX_EVENTS} events.", extensions={"code": "BAD_USER_INPUT"})
        outcomes = await context.intake.ingest(holder, [to_draft(given) for given in inputs])
        kinds = [type(outcome) for outcome in outcomes]
        return IngestEventsPayload(
            results=[ingest_payload(outcome, index) for index, outcome in enumerate(outcomes)],
            accepted=kinds.count(Accepted),
            coalesced=kinds.count(Coalesced) + kinds.count(Forgotten),
            rejected=kinds.count(Rejected),
        )

    @strawberry.mutation(
        metadata=INGEST,
        description="Tells that a browser is used by somebody, by email or phone, as an event that carries both does. Later "
        "events of the one get what is known of the other. Scope INGEST.",
    )
    async def identify(
        self, info: Info, input: Annotated[IdentifyInput, strawberry.argument(description="Which browser, and who.")]
    ) -> IdentifyPayload:
        context = context_of(info)
        holder = context.caller
        given = to_draft(input)
        found = await run_for_merchant(
            partial(_identify, context.runtime, holder, elapsed()),
            holder.merchant_id,
            given["browser_id"],
            given["user_data"],
        )
        return IdentifyPayload(ok=found.is_linked, user_errors=user_errors(found.problems))

    @strawberry.mutation(
        metadata=ADMIN,
        description="Starts a new series of attempts for failed and dropped deliveries, without upper limit; a filter "
        "without status finds both. Without ids and without a filter that narrows it is refused with EMPTY_FILTER, unless "
        "`all` is true. Each keeps its event's time and deduplication id. What is delivered, waits already "
        "or is too old for its platform is refused; `check` tells what the platforms' rules would refuse again. Scope ADMIN.",
    )
    async def redeliver(
        self,
        info: Info,
        filter: Annotated[DeliveryFilter, strawberry.argument(description="Which; {} with ids: just those.")],
        ids: Annotated[
            list[ID] | None, strawberry.argument(description="Only these deliveries; null is the same as left out.")
        ] = None,
        all: Annotated[
            bool | None, strawberry.argument(description="Every failed and dropped delivery is meant.")
        ] = False,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Count what would happen, and change nothing.")
        ] = False,
    ) -> RedeliverPayload:
        context = context_of(info)
        holder = context.caller
        search = delivery_search(filter)
        if not ids and not search.narrows and not all:
            return _not_redelivered([EMPTY_FILTER])
        if ids is None:
            matching = count_matching if dry_run else redeliver_matching
            result = await run_for_merchant(partial(matching, context.runtime), holder.merchant_id, search)
        else:
            by_ids = count_ids if dry_run else redeliver_ids
            result = await run_for_merchant(partial(_by_ids, by_ids, context.runtime), holder.merchant_id, ids, search)
        context.wake(result.wake)
        return _redelivered(result, result.due)

    @strawberry.mutation(
        metadata=ADMIN,
        description="Makes deliveries to a destination for stored events that have none there: it was added, or takes more, "
        "since they came. A paused one has them wait. Without a filter that narrows it is refused with EMPTY_FILTER, unless "
        "`all` is true; receivedSince suffices. Each keeps its event's time and deduplication id, and has 24 hours from when it is queued. "
        "What the platform would refuse is refused here, by reason: too old for the platform, filtered by the destination's "
        "event names, or the name of a DropReason such as MISSING_IDENTIFIERS. An event that has a delivery there already, "
        "however it ended, is refused as well: `redeliver` is for those. Scope ADMIN.",
    )
    async def deliver_stored(
        self,
        info: Info,
        platform: PlatformArgument,
        filter: Annotated[EventFilter, strawberry.argument(description="Which events; newest received first.")],
        all: Annotated[
            bool | None,
            strawberry.argument(description="Every stored event that has no delivery there is meant."),
        ] = False,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Count what would happen, and change nothing.")
        ] = False,
    ) -> RedeliverPayload:
        context = context_of(info)
        holder = context.caller
        search = event_search(filter)
        if not search.narrows and not all:
            return _not_redelivered([EMPTY_EVENT_FILTER])
        verb = count_stored if dry_run else deliver_stored
        result = await run_for_merchant(partial(verb, context.runtime), holder.merchant_id, platform.value, search)
        if isinstance(result, list):
            return _not_redelivered(result)
        context.wake(result.wake)
        return _redelivered(result)

    @strawberry.mutation(
        metadata=ADMIN,
        description="Erases somebody: events with their deliveries and logs, browsers and links. What waits is dropped as ERASED, "
        "what a worker has in its hands is waited for, and an event that was erased does not come back when it is sent again. "
        "Goes on in the background; try it with dryRun first. Asked again with the very same while one goes on, it answers with "
        "that one, where that does it. Scope ADMIN.",
    )
    async def erase_person(
        self,
        info: Info,
        input: Annotated[ErasePersonInput, strawberry.argument(description="Who.")],
        suppress: Annotated[
            bool | None,
            strawberry.argument(
                description="Events of this person that come later are counted and kept without identifiers, and sent nowhere."
            ),
        ] = True,
        dry_run: Annotated[
            bool | None, strawberry.argument(description="Count what would go, and change nothing.")
        ] = False,
    ) -> ErasePersonPayload:
        context = context_of(info)
        holder = context.caller
        request = _request(input)
        if dry_run:
            counted = await run_for_merchant(partial(count_person, context.runtime), holder.merchant_id, request)
            if isinstance(counted, list):
                return erase_payload(Counted(), problems=counted)
            return erase_payload(counted)
        verb = partial(_erase, context.runtime, holder.key_id, bool(suppress))
        found = await run_for_merchant(verb, holder.merchant_id, request)
        if isinstance(found, list):
            return erase_payload(Counted(), problems=found)
        return erase_payload(
            Counted(complete=False), erasure=erasure_node(found.erasure), was_there_before=found.is_another
        )

    @strawberry.mutation(
        metadata=ADMIN,
        description="Takes somebody's events in again as anybody's, from now on. What was erased stays erased. Scope ADMIN.",
    )
    async def unsuppress_person(
        self, info: Info, input: Annotated[ErasePersonInput, strawberry.argument(description="Who.")]
    ) -> UnsuppressPersonPayload:
        context = context_of(info)
        verb = partial(unsuppress_person, context.runtime)
        found = await run_for_merchant(verb, context.caller.merchant_id, _request(input))
        if isinstance(found, list):
            return UnsuppressPersonPayload(lifted=False, user_errors=user_errors(found))
        return UnsuppressPersonPayload(lifted=bool(found), user_errors=[])

    @strawberry.mutation(
        metadata=ADMIN | weighs(EXPORT),
        description="What is stored about somebody who asks for it: events with their deliveries and attempts, and browsers with "
        "what they showed, sealed fields opened. Changes nothing: it is a mutation so that who was asked for stands in no URL. "
        "Scope ADMIN.",
    )
    async def export_person(
        self, info: Info, input: Annotated[ErasePersonInput, strawberry.argument(description="Who.")]
    ) -> ExportPersonPayload:
        context = context_of(info)
        verb = partial(package_of, context.runtime)
        found = await run_for_merchant(verb, context.caller.merchant_id, _request(input))
        if isinstance(found, list):
            return ExportPersonPayload(
                events=0, browsers=0, events_uncertain=0, complete=True, json=None, user_errors=user_errors(found)
            )
        return ExportPersonPayload(
            events=found.events,
            browsers=found.browsers,
            events_uncertain=found.uncertain,
            complete=found.json is not None,
            json=found.json,
            user_errors=[],
        )

    @strawberry.mutation(
        metadata=ADMIN,
        description="Creates or changes a destination; what is left out stays. `check` tells what it would get of the last "
        "events. Scope ADMIN.",
    )
    async def set_destination(
        self, info: Info, input: Annotated[SetDestinationInput, strawberry.argument(description="What it is told.")]
    ) -> DestinationPayload:
        return await _change_destination(
            info,
            destinations.set_destination,
            input.platform.value,
            destinations.KEEP if input.settings is UNSET else input.settings,
            destinations.KEEP if input.event_names is UNSET else input.event_names,
            is_checked=True,
        )

    @strawberry.mutation(metadata=ADMIN, description="Keeps its deliveries back until it is resumed. Scope ADMIN.")
    async def pause_destination(self, info: Info, platform: PlatformArgument) -> DestinationPayload:
        return await _change_destination(info, destinations.pause_destination, platform.value)

    @strawberry.mutation(metadata=ADMIN, description="Ends a pause or a hold: what waits goes out now. Scope ADMIN.")
    async def resume_destination(self, info: Info, platform: PlatformArgument) -> DestinationPayload:
        return await _change_destination(info, destinations.resume_destination, platform.value)

    @strawberry.mutation(
        metadata=ADMIN,
        description="Removes it; what waits for it is dropped. The answer has it as it was before, with its state of then. "
        "Scope ADMIN.",
    )
    async def remove_destination(self, info: Info, platform: PlatformArgument) -> DestinationPayload:
        return await _change_destination(info, destinations.remove_destination, platform.value)

    @strawberry.mutation(
        metadata=ADMIN,
        description="Sends one event in the platform's own test mode; refuses where there is none. Scope ADMIN.",
    )
    async def test_destination(
        self,
        info: Info,
        platform: PlatformArgument,
        input: Annotated[
            IngestEventInput | None, strawberry.argument(description="The event; left out: an invented purchase.")
        ] = None,
    ) -> TestDestinationPayload:
        context = context_of(info)
        holder = context.caller
        draft = to_draft(input) if input is not None else None
        try:
            found = await run_trial(context.runtime, holder.merchant_id, platform.value, draft)
        except TooManyTrialsError:
            raise errors.refused(TRIALS_FULL, errors.RATE_LIMITED, retryable=True, retryAfterSeconds=10) from None
        if isinstance(found, list):
            return TestDestinationPayload(
                attempt=None, request=None, explanation=None, verdicts=[], user_errors=user_errors(found)
            )
        url = context.runtime.settings.public_url
        return TestDestinationPayload(
            attempt=attempt_node(found.attempt) if found.attempt is not None else None,
            request=JSON(found.request) if found.request is not None else None,
            explanation=explanation_node(url, found.explanation),
            verdicts=[verdict_node(verdict) for verdict in found.verdicts],
            user_errors=user_errors(found.problems),
        )

    @strawberry.mutation(
        metadata=ADMIN, description="Changes the merchant's settings; what is left out stays. Scope ADMIN."
    )
    async def update_merchant(
        self, info: Info, input: Annotated[UpdateMerchantInput, strawberry.argument(description="What changes.")]
    ) -> MerchantPayload:
        context = context_of(info)
        holder = context.caller
        changes = {name: value for name, value in vars(input).items() if value is not UNSET}
        if changes.get("alert_emails", ()) is None:
            changes["alert_emails"] = []
        nulls = [name for name, value in changes.items() if value is None and name not in merchants.DEFAULTS]
        if nulls:
            problems = [Problem((name,), "REQUIRED", "Leave it out to keep it; it cannot be null.") for name in nulls]
            return MerchantPayload(merchant=None, user_errors=user_errors(problems))
        for name in ("retention_days", "require_consent"):
            if name in changes:
                changes[name] = changes[name].value
        if "collector" in changes:
            given = vars(changes["collector"])
            changes["collector"] = {name: value for name, value in given.items() if value is not UNSET}
        found = await run_for_merchant(partial(merchants.update_merchant, context.runtime), holder.merchant_id, changes)
        if isinstance(found, list):
            return MerchantPayload(merchant=None, user_errors=user_errors(found))
        context.loaders.merchant.prime(holder.merchant_id, found, force=True)
        return MerchantPayload(merchant=merchant_node(found), user_errors=[])

    @strawberry.mutation(
        metadata=ADMIN,
        description="Takes note of an alert: nobody is told any more that it is open, the dashboard still shows it. Scope "
        "ADMIN.",
    )
    async def acknowledge_alert(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The alert's id.")],
        note: Annotated[
            str | None,
            strawberry.argument(
                description="What is known of it, for the others: up to 1,000 characters. Left out: what was said stays; "
                "empty: it is removed."
            ),
        ] = None,
    ) -> AlertPayload:
        problems = check_note(note)
        if problems:
            return AlertPayload(alert=None, user_errors=user_errors(problems))
        return await _change_alert(info, id, acknowledge_alert, note)

    @strawberry.mutation(
        metadata=ADMIN,
        description="Nobody is told before an instant that an alert is open; if it still is then, once more. Scope ADMIN.",
    )
    async def snooze_alert(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The alert's id.")],
        until: Annotated[
            DateTime | None, strawberry.argument(description="Until when, at most 90 days; null: it is awake again.")
        ] = None,
    ) -> AlertPayload:
        return await _change_alert(info, id, snooze_alert, instant_argument(until, "until"))

    @strawberry.mutation(
        metadata=ADMIN,
        description="Creates or changes a channel; what is left out stays. Its signing secret is shown once. Scope ADMIN.",
    )
    async def set_alert_channel(
        self, info: Info, input: Annotated[SetAlertChannelInput, strawberry.argument(description="What it is told.")]
    ) -> AlertChannelPayload:
        context = context_of(info)
        holder = context.caller
        nulls = [name for name in ("url", "topics", "min_severity") if getattr(input, name) is None]
        if nulls:
            problems = [Problem((name,), "REQUIRED", "Leave it out to keep it; it cannot be null.") for name in nulls]
            return AlertChannelPayload(channel=None, secret=None, user_errors=user_errors(problems))
        channel_id = None
        if input.id is not None:
            channel_id = _own(input.id, "AlertChannel", holder.merchant_id)
            if channel_id is None:
                return _no_channel()
        wish = channels.Wish(
            channel_id,
            input.kind.value if input.kind is not None else None,
            channels.KEEP if input.url is UNSET else str(input.url),
            channels.KEEP if input.topics is UNSET else list(input.topics or ()),
            channels.KEEP if input.min_severity is UNSET else input.min_severity.value,  # type: ignore[union-attr]
            bool(input.rotate_secret),
        )
        found = await _beside(context.runtime, channels.set_channel, holder.merchant_id, wish)
        if isinstance(found, list):
            return AlertChannelPayload(channel=None, secret=None, user_errors=user_errors(found))
        return AlertChannelPayload(channel=channel_node(found.row), secret=found.secret, user_errors=[])

    @strawberry.mutation(
        metadata=ADMIN,
        description="Sends a test message now; where it is not taken, userErrors say what became of it. Scope ADMIN.",
    )
    async def test_alert_channel(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The channel's id.")]
    ) -> AlertChannelPayload:
        context = context_of(info)
        holder = context.caller
        channel_id = _own(id, "AlertChannel", holder.merchant_id)
        found = None
        if channel_id is not None:
            found = await _beside(context.runtime, try_channel, holder.merchant_id, channel_id)
        if found is None:
            return _no_channel()
        row, answer = found
        problems = [Problem(("id",), "NOT_TAKEN", answer.error)] if answer.error is not None else []
        return AlertChannelPayload(channel=channel_node(row), secret=None, user_errors=user_errors(problems))

    @strawberry.mutation(metadata=ADMIN, description="Ends a channel; what waits for it is gone with it. Scope ADMIN.")
    async def remove_alert_channel(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The channel's id.")]
    ) -> AlertChannelPayload:
        holder = context_of(info).caller
        channel_id = _own(id, "AlertChannel", holder.merchant_id)
        row = None
        if channel_id is not None:
            row = await run_for_merchant(channels.remove_channel, holder.merchant_id, channel_id)
        if row is None:
            return _no_channel()
        return AlertChannelPayload(channel=channel_node(row), secret=None, user_errors=[])

    @strawberry.mutation(metadata=ADMIN, description="Creates an API key; it is shown this once. Scope ADMIN.")
    async def create_api_key(
        self, info: Info, input: Annotated[CreateApiKeyInput, strawberry.argument(description="Its name and rights.")]
    ) -> CreateApiKeyPayload:
        context = context_of(info)
        holder = context.caller
        scopes = [scope.value for scope in input.scopes]
        found = await run_for_merchant(
            partial(merchants.create_api_key, context.runtime), holder.merchant_id, input.name, scopes
        )
        if isinstance(found, list):
            return CreateApiKeyPayload(api_key=None, key=None, user_errors=user_errors(found))
        return CreateApiKeyPayload(api_key=api_key_node(found[0]), key=found[1], user_errors=[])

    @strawberry.mutation(metadata=ADMIN, description="Makes an API key worth nothing, at once. Scope ADMIN.")
    async def revoke_api_key(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The key's id.")]
    ) -> ApiKeyPayload:
        context = context_of(info)
        holder = context.caller
        parts = ids.parts_of(str(id), "ApiKey", (int, int))
        row: ApiKeyRow | None = None
        if parts is not None and parts[0] == holder.merchant_id:
            row = await run_for_merchant(
                partial(merchants.revoke_api_key, context.runtime), holder.merchant_id, parts[1]
            )
        if row is None:
            problem = Problem(("id",), "NOT_FOUND", "There is no such key.")
            return ApiKeyPayload(api_key=None, user_errors=user_errors([problem]))
        return ApiKeyPayload(api_key=api_key_node(row), user_errors=[])


def _identify(
    runtime: Runtime, holder: KeyHolder, arrived: float, merchant_id: int, browser_id: str, user_data: dict[str, Any]
) -> Identified:
    return identify(runtime, holder, browser_id, user_data, arrived)


def _own(id: ID, kind: str, merchant_id: int) -> int | None:
    """The number in a merchant's own id of a kind."""
    parts = ids.parts_of(str(id), kind, (int, int))
    return int(parts[1]) if parts is not None and parts[0] == merchant_id else None


def _no_channel() -> AlertChannelPayload:
    return AlertChannelPayload(channel=None, secret=None, user_errors=user_errors([channels.NOT_FOUND]))


async def _beside(runtime: Runtime, change: Callable[..., T], merchant_id: int, *args: Any) -> T:
    """In a thread of its own: a receiver, or who knows its name, may let one wait."""
    try:
        return await run_beside(partial(change, runtime, merchant_id, *args), merchant_id)
    except TooManyTrialsError:
        raise errors.refused(TRIALS_FULL, errors.RATE_LIMITED, retryable=True, retryAfterSeconds=10) from None


async def _change_alert(info: Info, id: ID, change: Callable[..., Any], *args: Any) -> AlertPayload:
    context = context_of(info)
    holder = context.caller
    alert_id = _own(id, "Alert", holder.merchant_id)
    found = None
    if alert_id is not None:
        found = await run_for_merchant(partial(change, context.runtime), holder.merchant_id, alert_id, *args)
    if found is None:
        found = [Problem(("id",), "NOT_FOUND", "There is no such alert.")]
    if isinstance(found, list):
        return AlertPayload(alert=None, user_errors=user_errors(found))
    return AlertPayload(alert=alert_node(found), user_errors=[])


async def _change_destination(
    info: Info,
    change: Callable[..., destinations.Changed | list[Problem]],
    platform: str,
    *args: Any,
    is_checked: bool = False,
) -> DestinationPayload:
    context = context_of(info)
    holder = context.caller
    found = await run_for_merchant(partial(change, context.runtime), holder.merchant_id, platform, *args)
    if isinstance(found, list):
        return DestinationPayload(destination=None, user_errors=user_errors(found))
    context.wake([(holder.merchant_id, platform)])
    changed = found.row if is_checked else None
    return DestinationPayload(destination=destination_node(found.row), changed=changed, user_errors=[])


def _redelivered(result: Redelivered, due: Mapping[Key, datetime] | None = None) -> RedeliverPayload:
    return RedeliverPayload(
        matched=result.matched,
        requeued=result.requeued,
        refused=refused_groups(result.refused, result.examples),
        complete=result.complete,
        duplicate_risk=result.at_risk,
        job=redelivery_node(result.job) if result.job is not None else None,
        due=due,
        user_errors=[],
    )


def _not_redelivered(problems: list[Problem]) -> RedeliverPayload:
    return RedeliverPayload(
        matched=0, requeued=0, refused=[], complete=True, duplicate_risk=0, job=None, user_errors=user_errors(problems)
    )


def _request(given: ErasePersonInput) -> Request:
    return Request(given.email, given.phone, given.external_id, given.browser_id, tuple(given.event_ids or ()))


def _erase(runtime: Runtime, key_id: int, suppress: bool, merchant_id: int, request: Request) -> Begun | list[Problem]:
    with in_transaction():
        by = requester(merchant_id, key_id)
    return erase_person(runtime, merchant_id, request, by, suppress=suppress)


def _by_ids(
    verb: Callable[..., Redelivered], runtime: Runtime, merchant_id: int, given: list[ID], search: DeliverySearch
) -> Redelivered:
    """In a thread: there may be hundreds of thousands of ids to read."""
    keys = []
    for text in given:
        parts = ids.parts_of(str(text), "Delivery", (int, str, str))
        if parts is not None and parts[0] == merchant_id:
            keys.append((parts[1], parts[2]))
    return verb(runtime, merchant_id, keys, search, len(given) - len(keys))
