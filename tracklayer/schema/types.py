"""What callers get to see. A node is a row in the contract's words; what needs another row is loaded in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import ID, Info

from tracklayer.db.advice import MAX_ADVICE
from tracklayer.db.alerts import MAX_ALERTS, Span
from tracklayer.db.answers import lately_answered
from tracklayer.db.channels import MAX_CHANNELS, ChannelRow, channels
from tracklayer.db.deliveries import LOG_LENGTH, DeliveryRow, just_queued
from tracklayer.db.destinations import health_of, there_since
from tracklayer.db.erasures import GIVEN_UP, ErasureRow, page_of_erasures
from tracklayer.db.events import EventRow
from tracklayer.db.merchants import MAX_API_KEYS
from tracklayer.db.models import AlertRow, ApiKeyRow, DestinationRow, MerchantRow
from tracklayer.db.redeliveries import RedeliveryRow
from tracklayer.db.stored_json import loads, loads_exactly
from tracklayer.domain import person
from tracklayer.domain.advice import Advice
from tracklayer.domain.alert import began_at
from tracklayer.domain.channel import Hearers
from tracklayer.domain.delivery import DestinationState as State
from tracklayer.domain.delivery import DropReason as Dropped
from tracklayer.domain.delivery import LoggedAttempt, may_be_doubled, may_redeliver
from tracklayer.domain.event import MAX_EVENT, MAX_EVENT_NAME, USER_FIELDS
from tracklayer.domain.event import Consent as EventConsent
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.health import RELEASE_FULL, RELEASE_GROWS, RELEASE_START, next_try, release_time
from tracklayer.domain.identifiers import MAX_IDENTIFIER
from tracklayer.domain.personal import MAX_URL
from tracklayer.domain.spelling import spelt
from tracklayer.domain.stitching import Enriched, Stitched
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import Mapper, RuleVerdict, Setting
from tracklayer.mappers.base import SettingKind as Kind
from tracklayer.runtime import Runtime
from tracklayer.schema import ids
from tracklayer.schema.access import ADMIN, PUBLIC, READ, SENDER, at_most, holds, weighs
from tracklayer.schema.collector import Collector, collector_of
from tracklayer.schema.connections import After, Connection, First, connect, goes_on, page_size
from tracklayer.schema.context import context_of, read, work
from tracklayer.schema.enums import (
    ActionSource,
    AdviceCode,
    AlertChannelKind,
    AlertKind,
    AlertSeverity,
    AlertState,
    ApiKeyScope,
    AttemptOutcome,
    ConsentRule,
    ConsentState,
    DeliveryStatus,
    DestinationState,
    DropReason,
    EnrichmentNote,
    ErasureState,
    Platform,
    RedeliveryState,
    RetentionDays,
    SettingKind,
)
from tracklayer.schema.errors import gone_meanwhile
from tracklayer.schema.inputs import dotted_path, filter_of
from tracklayer.schema.loaders import waits_of
from tracklayer.schema.scalars import JSON, DateTime, Decimal
from tracklayer.schema.standing import DestinationStanding, standing_node
from tracklayer.services.advise import advice_of_settings, advice_of_telling
from tracklayer.services.channels import alert_url, hearers, told_of
from tracklayer.services.credentials import merchant_settings, settings_to_map, shown_settings
from tracklayer.services.destinations import MAX_EVENT_NAMES, MAX_SETTING, demands
from tracklayer.services.explain import Explained, docs_path, explain_delivery
from tracklayer.services.ingest import ErasedRow
from tracklayer.services.payload import payload_of, preview_stored
from tracklayer.services.persist import is_left_alone
from tracklayer.services.preview import LEFT_ALONE, Preview, prepare
from tracklayer.services.privacy import preview_retention
from tracklayer.services.refusals import is_taken, reason_and_field

WAITING = ("queued", "failed")
MAX_ALERTS_OF_EVENT = 20
MAX_ANSWERS = 5  # of a destination
MAX_CONTENTS = 100  # lines of a basket that are typed: hardly one has more
MAX_REASONS = 20  # why deliveries are not redelivered: a handful
MAX_VERDICTS = 100  # rules of a platform: some dozens
_MOST_SETTINGS = max(len(mapper_for(key).settings) for key in PLATFORMS)
_OF_EVENT = holds(MAX_EVENT)  # whatever is made of all that an event says
_IDENTIFIERS = holds(len(USER_FIELDS) * MAX_IDENTIFIER)
_LARGE = 20  # objects: the table of a platform's names; an answer of a platform, which is looked for
_COUNTING = 500  # a statement over many rows, asked anew for each alias
PREVIEW = 500  # of the largest events; all platforms of one event, or a page of 50 deliveries, are far below the limit


def _field(seen_by: Mapping[str, Any], description: str) -> Any:
    return strawberry.field(description=description, metadata=seen_by)


def _read(seen_by: Mapping[str, Any], description: str, get: Callable[[Any], Any]) -> Any:
    """A field that is made of the node when it is selected."""
    return strawberry.field(resolver=get, description=description, metadata=seen_by)


@strawberry.interface(description="Anything with an id that `node` finds again.")
class Node:
    id: ID = _field(SENDER, "Opaque and globally unique.")


@strawberry.type(description="What a person agreed to.")
class Consent:
    ad_user_data: ConsentState = _field(READ, "Use of their data for ads.")
    ad_personalization: ConsentState = _field(READ, "Personalised ads.")
    limited_data_use: bool = _field(READ, "Limited data use, as US state laws demand.")


@strawberry.type(description="An identifier that identity stitching added.")
class EnrichedField:
    field: str = _field(READ, "Which identifier.")
    value: str = _field(READ, "As userData would show it: of an email or phone its SHA-256.")
    source: str = _field(
        READ,
        "cookie: the event's own browser showed it. email: a browser that its email or phone was seen with showed it.",
    )
    seen_at: DateTime = _field(
        READ, "When it was first seen; of an email or phone, when it was last seen with the browser."
    )


def enriched_node(found: Enriched) -> EnrichedField:
    return EnrichedField(
        field=dotted_path([found.field]),
        value=found.value if isinstance(found.value, str) else _shown(found.value),
        source=found.source,
        seen_at=DateTime(found.seen_at),
    )


def _shown(digests: Mapping[str, str]) -> str:
    """Of an email or phone, the digest that stands in ``user_data`` where an event brings it."""
    return next(digests[rule] for rule in ("as_given", "basic", "digits", *digests) if rule in digests)


@strawberry.type(description="A repeat of an event that differed from what was stored when it first came.")
class RepeatDifference:
    at: DateTime = _field(READ, "When it came.")
    fields: list[str] = _field(READ, "The fields in which it differed; never a value. The first content stayed.")


@strawberry.type(description="One attempt to hand a delivery to its platform.")
class DeliveryAttempt:
    number: int = _field(READ, "1 to 5; an attempt that cost none carries the number of the next.")
    at: DateTime = _field(READ, "When it began.")
    outcome: AttemptOutcome = _field(READ, "How it ended.")
    http_status: int | None = _field(READ, "The platform's HTTP status, where there was an answer.")
    error: str | None = _field(READ, "The platform's words, without anything personal or secret.")
    duration_ms: int = _field(READ, "Milliseconds until the answer.")
    note: str | None = _field(
        READ,
        "What the platform said of what it acknowledged, such as that it took a request only in part, without anything "
        "personal or secret; null: nothing.",
    )


@strawberry.type(description="What a platform's code means and what to do about it.")
class ErrorExplanation:
    code: str = _field(READ, "The platform's own code.")
    summary: str = _field(READ, "What it means.")
    field: str | None = _field(READ, "The field of the event that it is about.")
    next_step: str = _field(READ, "What to do next.")
    docs_url: str | None = _field(READ, "The platform's page.")


def explanation_node(public_url: str, found: Explained | None) -> ErrorExplanation | None:
    if found is None:
        return None
    return ErrorExplanation(
        code=found.code,
        summary=found.summary,
        field=found.field and dotted_path(found.field.split(".")),
        next_step=found.next_step,
        docs_url=f"{public_url}{found.docs_path}",
    )


def attempt_node(logged: LoggedAttempt) -> DeliveryAttempt:
    return DeliveryAttempt(
        number=logged.number,
        at=DateTime(logged.at),
        outcome=AttemptOutcome(logged.outcome.value),
        http_status=logged.http_status,
        error=logged.error,
        duration_ms=logged.duration_ms,
        note=logged.note,
    )


def logged_node(entry: Mapping[str, Any]) -> DeliveryAttempt:
    """An attempt as a delivery's row keeps it."""
    return DeliveryAttempt(
        number=entry["number"],
        at=DateTime(datetime.fromisoformat(entry["at"])),
        outcome=AttemptOutcome(entry["outcome"]),
        http_status=entry["http_status"],
        error=entry["error"],
        duration_ms=entry["duration_ms"],
        note=entry.get("note"),
    )


@strawberry.type(name="Content", description="One line of a basket.")
class ContentNode:
    id: str = _field(READ, "The product's id, as in the catalogue.")
    quantity: Decimal = _field(READ, "How many; with a fraction where goods are sold by weight.")
    item_price: Decimal | None = _field(READ, "Price of one unit, in major units of the currency.")
    title: str | None = _field(READ, "The product's name.")
    brand: str | None = _field(READ, "The product's brand.")
    category: str | None = _field(READ, "The product's category.")
    variant: str | None = _field(READ, "The product's variant.")
    coupon: str | None = _field(READ, "The coupon that was used for this line.")
    discount: Decimal | None = _field(READ, "What one unit was reduced by, in major units.")


@strawberry.type(
    name="CustomData", description="What the action was worth and about; without fields of the merchant's own."
)
class CustomDataNode:
    value: Decimal | None = _field(READ, "Value in major units of the currency.")
    currency: str | None = _field(READ, "ISO 4217 code.")
    order_id: str | None = _field(READ, "The order's id.")
    product_ids: list[str] = _field(READ, "Ids of the products, where there are no contents.")
    contents: list[ContentNode] = _field(
        READ | at_most(MAX_CONTENTS),
        f"The basket, line by line; the first {MAX_CONTENTS}: all of them stand in the event's customData.",
    )
    num_items: int | None = _field(READ, "How many items.")
    content_name: str | None = _field(READ, "Name of the page or product.")
    content_category: str | None = _field(READ, "Category of the page or product.")
    content_type: str | None = _field(READ, "product or product_group.")
    search_string: str | None = _field(READ, "What was searched for.")
    status: str | None = _field(READ, "Status of a registration.")
    predicted_ltv: Decimal | None = _field(READ, "Predicted lifetime value, in major units.")


def custom_data_node(stored: Mapping[str, Any]) -> CustomDataNode:
    get = stored.get
    return CustomDataNode(
        value=get("value"),
        currency=get("currency"),
        order_id=get("order_id"),
        product_ids=get("product_ids", []),
        contents=[
            ContentNode(
                id=line["id"],
                quantity=line.get("quantity", 1),
                item_price=line.get("item_price"),
                title=line.get("title"),
                brand=line.get("brand"),
                category=line.get("category"),
                variant=line.get("variant"),
                coupon=line.get("coupon"),
                discount=line.get("discount"),
            )
            for line in get("contents", ())[:MAX_CONTENTS]
        ],
        num_items=get("num_items"),
        content_name=get("content_name"),
        content_category=get("content_category"),
        content_type=get("content_type"),
        search_string=get("search_string"),
        status=get("status"),
        predicted_ltv=get("predicted_ltv"),
    )


@strawberry.type(name="Event", description="One business action, as it was first received.")
class EventNode(Node):
    row: strawberry.Private[EventRow]
    # Each is read for whoever selects it: a backend that sends thousands of events a second selects two.
    id: ID = _read(
        SENDER,
        "Opaque and globally unique.",
        lambda self: ID(ids.encode("Event", self.row.merchant_id, self.row.event_id)),
    )
    event_id: str = _read(SENDER, "The merchant's own id of the action.", lambda self: self.row.event_id)
    event_name: str = _read(SENDER, "Purchase, Lead and so on.", lambda self: self.row.event_name)
    occurred_at: DateTime = _read(SENDER, "When it happened.", lambda self: self.row.occurred_at)
    received_at: DateTime = _read(SENDER, "When TrackLayer first received it.", lambda self: self.row.received_at)
    action_source: ActionSource = _read(READ, "Where it took place.", lambda self: ActionSource(self.row.action_source))
    event_source_url: str | None = _read(
        READ | holds(MAX_URL), "The page it happened on.", lambda self: self.row.event_source_url
    )
    times_received: int = _read(SENDER, "1 and each repeat that was coalesced.", lambda self: self.row.times_received)
    last_received_at: DateTime = _read(SENDER, "When it was last received.", lambda self: self.row.last_received_at)

    @strawberry.field(
        metadata=READ | _IDENTIFIERS,
        description="The identifiers as persisted, snake_case: email and phone as SHA-256 by default, names and address "
        "sealed and shown as dots. A key of scope READ alone sees of browser_id a digest, the same for the same browser.",
    )
    def user_data(self, info: Info) -> JSON:
        found = loads(self.row.user_data)
        # By the id itself the collector takes whatever somebody tells of that browser.
        if "browser_id" in found and not context_of(info).caller.may_send:
            found["browser_id"] = person.shown_browser(self.row.merchant_id, found["browser_id"])
        return JSON(found)

    @strawberry.field(metadata=READ | _OF_EVENT, description="The business context as persisted, snake_case.")
    def custom_data(self) -> JSON:
        return JSON(loads_exactly(self.row.custom_data))

    @strawberry.field(metadata=READ | _OF_EVENT, description="The business context, field by field.")
    def custom(self) -> CustomDataNode:
        return custom_data_node(loads_exactly(self.row.custom_data))

    @strawberry.field(metadata=READ, description="What an app's event happened on, as persisted, snake_case.")
    def device(self) -> JSON:
        return JSON(loads(self.row.device) if self.row.device else {})

    @strawberry.field(metadata=READ, description="What the person agreed to.")
    def consent(self) -> Consent:
        given = EventConsent(**loads(self.row.consent)) if self.row.consent else EventConsent()
        return Consent(
            ad_user_data=ConsentState(given.ad_user_data),
            ad_personalization=ConsentState(given.ad_personalization),
            limited_data_use=given.limited_data_use,
        )

    @strawberry.field(
        metadata=READ | _IDENTIFIERS,
        description="Names of the identifiers in userData that are there, camelCase, without their values.",
    )
    def identifiers(self) -> list[str]:
        found = loads(self.row.user_data)
        return [dotted_path([name]) for name in USER_FIELDS if found.get(name)]

    @strawberry.field(
        metadata=READ,
        description="The last repeat that differed from what was stored; null: none did, or it was not noted.",
    )
    async def last_difference(self, info: Info) -> RepeatDifference | None:
        if self.row.times_received == 1:
            return None
        found = await context_of(info).loaders.difference.load(self.row.event_id)
        return RepeatDifference(at=DateTime(found.at), fields=[spelt(path) for path in found.fields]) if found else None

    @strawberry.field(
        metadata=READ | weighs(PREVIEW),
        description="What a platform would be sent of it now, and every rule it is held against: as the destination there is "
        "set, or with invented settings where there is none. Dots stand for what is kept sealed; sends nothing. Event names "
        "that a destination is limited to are not looked at.",
    )
    async def preview(
        self, info: Info, platform: Annotated[Platform, strawberry.argument(description="The platform.")]
    ) -> DeliveryPreview:
        context = context_of(info)
        if await self.is_left_alone(info):
            return preview_node(LEFT_ALONE)
        destination = await context.loaders.destination.load(platform.value)
        sealer = context.runtime.sealer
        settings = settings_to_map(sealer, destination) if destination else merchant_settings(await context.merchant())
        prepared = prepare(platform.value, settings)
        if prepared.refused is not None:
            return preview_node(Preview(None, list(prepared.verdicts)))
        added = await _added(info, self.row)
        found = await work(
            context, preview_stored, self.row, prepared.mapper, prepared.settings, context.now, sealer, added
        )
        return preview_node(found._replace(verdicts=[*prepared.verdicts, *found.verdicts]))

    @strawberry.field(metadata=READ, description="When its retention ends.")
    async def expires_at(self, info: Info) -> DateTime:
        retention = await context_of(info).retention()
        return DateTime(self.row.received_at + retention)

    @strawberry.field(
        metadata=READ | at_most(len(USER_FIELDS)),
        description="What identity stitching added, and from where. Decided once, before the event is first mapped for a "
        "platform; until then, what it would get now.",
    )
    async def enrichment(self, info: Info) -> list[EnrichedField]:
        return [enriched_node(one) for one in await _added(info, self.row)]

    @strawberry.field(
        metadata=READ,
        description="Why nothing, or not more, was added to it; null: nothing was in the way, or its events are not stitched.",
    )
    async def enrichment_note(self, info: Info) -> EnrichmentNote | None:
        found = await _stitched(info, self.row)
        return EnrichmentNote(found.note.value) if found is not None and found.note is not None else None

    @strawberry.field(
        metadata=READ,
        description="Whether its person was erased before, and is left alone: then it came without identifiers, and is sent "
        "nowhere.",
    )
    async def suppressed(self, info: Info) -> bool:
        return await self.is_left_alone(info)

    async def is_left_alone(self, info: Info) -> bool:
        if is_left_alone(self.row):
            return True
        rows = await context_of(info).loaders.deliveries_of_event.load(self.row.event_id)
        return any(row.drop_reason == Dropped.SUPPRESSED for row in rows)

    @strawberry.field(
        metadata=SENDER | at_most(len(PLATFORMS)),
        description="Its deliveries, one a platform at most. A key that may only send sees each as it was when the event was taken "
        "in, QUEUED, whatever became of it: else it could ask who was erased.",
    )
    async def deliveries(self, info: Info) -> list[DeliveryNode]:
        context = context_of(info)
        if context.caller.may_read:
            rows = await context.loaders.deliveries_of_event.load(self.row.event_id)
            return [delivery_node(row) for row in rows]
        if isinstance(self.row, ErasedRow):
            those = await context.loaders.destination.load_many(list(PLATFORMS))
            taking = (one for one in those if one is not None and is_taken(one.event_names, self.row.event_name))
            platforms = sorted(one.platform for one in taking)
        else:
            platforms = [row.platform for row in await context.loaders.deliveries_of_event.load(self.row.event_id)]
        window = context.runtime.settings.retry_window
        at = self.row.received_at
        queued = (just_queued(self.row.merchant_id, self.row.event_id, one, at, window) for one in platforms)
        return [delivery_node(row) for row in queued]

    @strawberry.field(
        metadata=READ | at_most(MAX_ALERTS_OF_EVENT),
        description=f"The alerts that its deliveries were part of, newest first; the last {MAX_ALERTS_OF_EVENT}.",
    )
    async def alerts(self, info: Info) -> list[AlertNode]:
        context = context_of(info)
        rows = await context.loaders.deliveries_of_event.load(self.row.event_id)
        found = await context.loaders.alerts_of_delivery.load_many([waits_of(row, context.now) for row in rows])
        distinct = {alert.alert_id: alert for alerts in found for alert in alerts}
        newest_first = sorted(distinct.values(), key=lambda alert: (alert.opened_at, alert.alert_id), reverse=True)
        return [alert_node(alert) for alert in newest_first[:MAX_ALERTS_OF_EVENT]]


async def _stitched(info: Info, row: EventRow) -> Stitched | None:
    context = context_of(info)
    if (await context.merchant()).stitched_since is None:
        return None
    return await context.loaders.stitched.load(row)


async def _added(info: Info, row: EventRow) -> tuple[Enriched, ...]:
    found = await _stitched(info, row)
    return found.fields if found is not None else ()


async def _as_mapped(
    info: Info, row: DeliveryRow
) -> tuple[EventRow, Mapper, Mapping[str, Any], tuple[Enriched, ...]] | None:
    """What a delivery is mapped from now: (its event, its platform's mapper, today's settings, what was added to the event); None
    where its destination is gone.
    """
    context = context_of(info)
    event = await context.loaders.event.load(row.event_id)
    destination = await context.loaders.destination.load(row.platform)
    if event is None or destination is None:
        return None
    settings = settings_to_map(context.runtime.sealer, destination)
    return event, mapper_for(row.platform), settings, await _added(info, event)


@strawberry.type(name="Delivery", description="The forwarding of one event to one platform.")
class DeliveryNode(Node):
    row: strawberry.Private[DeliveryRow]
    platform: Platform = _field(SENDER, "The platform.")
    status: DeliveryStatus = _field(SENDER, "Where it stands.")
    attempts: int = _field(READ, "How many attempts of the present series counted, 5 at most.")
    last_error: str | None = _field(
        READ, "The last refusal: status and the platform's words. No token, address or payload."
    )
    drop_reason: DropReason | None = _field(READ, "Why it was given up.")
    queued_at: DateTime = _field(SENDER, "When it was queued.")
    last_attempt_at: DateTime | None = _field(READ, "When the last attempt began.")
    delivered_at: DateTime | None = _field(READ, "When the platform acknowledged it.")
    dropped_at: DateTime | None = _field(READ, "When it was given up.")
    latency_ms: int | None = _field(READ, "Milliseconds from the event's arrival to the platform's acknowledgement.")
    window_ends_at: DateTime | None = _field(
        READ, "When it is given up, unless it is delivered before; null of what is delivered or was given up."
    )

    @strawberry.field(metadata=READ, description="The event.")
    async def event(self, info: Info) -> EventNode:
        row = await context_of(info).loaders.event.load(self.row.event_id)
        if row is None:
            raise gone_meanwhile("The event of a delivery")
        return event_node(row)

    @strawberry.field(metadata=READ, description="Waits because its destination is paused or held; costs no attempt.")
    async def held(self, info: Info) -> bool:
        if self.row.status not in WAITING:
            return False
        row = await context_of(info).loaders.destination.load(self.row.platform)
        return row is not None and row.state in (State.PAUSED, State.HELD)

    @strawberry.field(
        metadata=READ, description="When it is tried next; of a held delivery, when its destination is probed next."
    )
    async def next_retry_at(self, info: Info) -> DateTime | None:
        if self.row.status not in WAITING:
            return None
        row = await context_of(info).loaders.destination.load(self.row.platform)
        health = health_of(row) if row is not None else None
        return _instant(next_try(self.row.next_retry_at, self.row.due_at, health, context_of(info).now))

    @strawberry.field(
        metadata=READ | at_most(LOG_LENGTH), description=f"The attempts, oldest first; the last {LOG_LENGTH}."
    )
    def attempt_log(self) -> list[DeliveryAttempt]:
        return [logged_node(entry) for entry in self.row.attempt_log]

    @strawberry.field(
        metadata=READ,
        description="True where the platform may count it twice: an attempt was not answered and another followed or is to "
        "come, or was answered late, when another had gone out; and the platform does not recognise a copy of this event that "
        "comes so late.",
    )
    async def duplicate_risk(self, info: Info) -> bool:
        attempts = [(datetime.fromisoformat(entry["at"]), entry["outcome"]) for entry in self.row.attempt_log]
        if not may_be_doubled(attempts, self._last_attempt(info), None):
            return False
        event = await context_of(info).loaders.event.load(self.row.event_id)
        if event is None:
            return False
        memory = mapper_for(self.row.platform).copy_memory(event.event_name, event.action_source)
        return may_be_doubled(attempts, self._last_attempt(info), memory)

    def _last_attempt(self, info: Info) -> datetime | None:
        """When the next one is to come, or else when the last one was made."""
        if self.row.due_at is not None:
            return max(self.row.due_at, context_of(info).now)
        return self.row.last_attempt_at

    @strawberry.field(
        metadata=READ,
        description="Whether a redelivery could help; false of what is delivered or waits, and of what no redelivery mends: it "
        "is too old, consent is denied, or the person was erased.",
    )
    def may_redeliver(self) -> bool:
        return may_redeliver(self.row.status, self.row.drop_reason)

    @strawberry.field(
        metadata=READ,
        description="What the last refusal means, or what the platform noted of what it took, and what to do next.",
    )
    def explanation(self, info: Info) -> ErrorExplanation | None:
        row, url = self.row, context_of(info).runtime.settings.public_url
        found = explain_delivery(row.platform, row.status, row.error_code, row.drop_reason, row.attempt_log)
        return explanation_node(url, found)

    @strawberry.field(
        metadata=READ | _OF_EVENT,
        description="The request body as mapped with today's settings, without credentials, and with dots for what is kept "
        "sealed, whatever the platform makes of it; null: refused.",
    )
    async def payload(self, info: Info) -> JSON | None:
        found = await _as_mapped(info, self.row)
        if found is None:
            return None
        context, (event, mapper, settings, added) = context_of(info), found
        as_of = self.row.last_attempt_at or self.row.queued_at
        body = await work(context, payload_of, event, mapper, settings, as_of, context.runtime.sealer, added)
        return JSON(body) if body is not None else None

    @strawberry.field(
        metadata=READ | weighs(PREVIEW),
        description="What would be sent now, with today's settings, and every rule it is held against: dots stand for what is "
        "kept sealed; sends nothing. Null: it has no destination any more.",
    )
    async def preview(self, info: Info) -> DeliveryPreview | None:
        if self.row.drop_reason == Dropped.SUPPRESSED:
            return preview_node(LEFT_ALONE)
        found = await _as_mapped(info, self.row)
        if found is None:
            return None
        context, (event, mapper, settings, added) = context_of(info), found
        sealer = context.runtime.sealer
        return preview_node(await work(context, preview_stored, event, mapper, settings, context.now, sealer, added))

    @strawberry.field(
        metadata=READ | at_most(MAX_ALERTS),
        description=f"The alerts of its destination that were open while it waited, newest first; the last {MAX_ALERTS}.",
    )
    async def alerts(self, info: Info) -> list[AlertNode]:
        context = context_of(info)
        rows = await context.loaders.alerts_of_delivery.load(waits_of(self.row, context.now))
        return [alert_node(row) for row in rows]


@strawberry.type(name="Alert", description="A sign that the pipeline is not as it should be.")
class AlertNode(Node):
    row: strawberry.Private[AlertRow]
    kind: AlertKind = _field(READ, "What it is about.")
    severity: AlertSeverity = _field(READ, "How much it matters.")
    state: AlertState = _field(READ, "Whether it still holds.")
    platform: Platform | None = _field(READ, "The platform; null for an alert of the whole merchant.")
    event_name: str | None = _field(READ, "The event name, where it is about events of one name.")
    title: str = _field(READ, "In a few words.")
    message: str = _field(
        READ,
        "What is lost or at risk, since when, who must do what, and the figures; of one that is over as it was told when it "
        "opened.",
    )
    details: JSON = _field(READ, "The figures.")
    opened_at: DateTime = _field(READ, "Since when.")
    last_seen_at: DateTime = _field(READ, "When it was last found to hold.")
    acknowledged_at: DateTime | None = _field(READ, "When somebody took note.")
    note: str | None = _field(READ, "What they had to say.")
    snoozed_until: DateTime | None = _field(READ, "Until when nobody is told that it is open; null: nobody snoozed it.")
    resolved_at: DateTime | None = _field(READ, "Until when.")
    change: ID | None = _field(
        READ,
        "In a subscription: this opening or resolving; as `after`, it continues exactly behind it. Null elsewhere.",
    )

    @strawberry.field(metadata=READ, description="Its own page: what e-mails and webhooks link to.")
    def url(self, info: Info) -> str:
        return alert_url(context_of(info).runtime.settings.public_url, self.row.merchant_id, self.row.alert_id)

    @strawberry.field(
        metadata=READ | at_most("first"),
        description="The deliveries of its platform that waited, or were dropped, from when it began (in details, `since`), "
        "which is before it was found, until it was resolved; newest first.",
    )
    async def deliveries(self, info: Info, first: First = 50, after: After = None) -> Connection[DeliveryNode]:
        context, size = context_of(info), page_size(first)
        seen = ids.read_cursor(after, "Delivery", (str, str)) if after is not None else None
        told = self.row.told or {}
        began = began_at(self.row.opened_at, self.row.details, told.get("details"))
        span = Span(self.row.alert_id, self.row.platform, began, self.row.resolved_at or context.now)
        place = (seen[0], seen[1], seen[2]) if seen else None
        rows = await context.loaders.deliveries_of_alert.load((span, place, size + 1))
        return delivery_connection(rows, size, after, None)


@strawberry.type(name="Advice", description="Something that is about to cost conversions, and what to do about it.")
class AdviceNode:
    code: AdviceCode = _field(READ, "What it is about.")
    sentence: str = _field(READ, "What is at risk, with figures.")
    next_step: str = _field(READ, "What to do about it.")
    since: DateTime = _field(READ, "Since when it holds, as far as that is known.")
    count: int = _field(READ, "Events of late that it is about; 0 where it is about settings.")
    event_name: str | None = _field(READ, "The event name, where it is about events of one name.")
    example_event_id: str | None = _field(READ, "The event id of one of them.")
    details: JSON = _field(READ, "The figures.")


@strawberry.type(
    description="What waits at a destination that is paused or held, and how it goes out once that ends: slowly at first, at "
    "a pace that doubles as long as the platform takes it."
)
class Release:
    waiting: int = _field(READ, "Deliveries that would go out.")
    per_second: int = _field(READ, "How many a second at first.")
    full_per_second: int = _field(READ, "How many a second in the end; from there on as fast as they go.")
    full_after_seconds: int = _field(READ, "How long it takes to come to that pace.")
    seconds: float = _field(READ, "How long it takes for all of them at least, where the platform takes each at once.")


@strawberry.type(description="What a platform answered to one attempt.")
class DestinationAnswer:
    attempt: DeliveryAttempt = _field(READ, "The attempt.")
    delivery: DeliveryNode = _field(READ, "What was sent by it, as it stands now.")


@strawberry.type(name="Destination", description="Where a merchant's events go on one platform.")
class DestinationNode(Node):
    row: strawberry.Private[DestinationRow]
    platform: Platform = _field(READ, "The platform.")
    state: DestinationState = _field(READ, "Whether it is sent to.")
    state_reason: str | None = _field(READ, "Why it is paused or held.")
    event_names: list[str] | None = _field(
        READ | holds(MAX_EVENT_NAMES * MAX_EVENT_NAME), "Only events of these names; null: every event."
    )
    created_at: DateTime = _field(READ, "Since when.")

    @strawberry.field(
        metadata=READ | holds(_MOST_SETTINGS * MAX_SETTING),
        description="Its settings; of a secret the last four characters.",
    )
    def settings(self, info: Info) -> JSON:
        return JSON(shown_settings(context_of(info).runtime.sealer, self.row))

    @strawberry.field(metadata=READ, description="Deliveries that are neither delivered nor dropped.")
    async def waiting(self, info: Info) -> int:
        return await context_of(info).loaders.waiting.load(self.row.platform)

    @strawberry.field(metadata=READ, description="How it stands: what it took last, and what waits for how long still.")
    async def standing(self, info: Info) -> DestinationStanding:
        return standing_node(await context_of(info).loaders.standing.load(self.row.platform))

    @strawberry.field(
        metadata=READ | at_most(MAX_ALERTS),
        description=f"The alerts about it that are open, newest first; the last {MAX_ALERTS}.",
    )
    async def open_alerts(self, info: Info) -> list[AlertNode]:
        rows = await context_of(info).loaders.open_alerts.load(self.row.platform)
        return [alert_node(row) for row in rows[:MAX_ALERTS]]

    @strawberry.field(
        metadata=READ, description="How its waiting deliveries would go out if it were resumed; null: it is active."
    )
    async def release(self, info: Info) -> Release | None:
        if self.row.state == State.ACTIVE:
            return None
        waiting = await context_of(info).loaders.waiting.load(self.row.platform)
        return Release(
            waiting=waiting,
            per_second=RELEASE_START,
            full_per_second=RELEASE_FULL,
            full_after_seconds=int(RELEASE_GROWS.total_seconds()),
            seconds=round(release_time(waiting).total_seconds(), 1),
        )

    @strawberry.field(
        metadata=READ | at_most(MAX_ANSWERS) | weighs(_LARGE),
        description=f"What the platform answered last, the last answer first; {MAX_ANSWERS} at most.",
    )
    async def answers(self, info: Info) -> list[DestinationAnswer]:
        context = context_of(info)
        window = context.runtime.settings.retry_window
        found = await read(lately_answered, self.row.merchant_id, self.row.platform, MAX_ANSWERS, window, context.now)
        tried = [
            (datetime.fromisoformat(entry["at"]), place, row)
            for row in found
            for place, entry in enumerate(row.attempt_log)
        ]
        last = sorted(tried, key=lambda one: one[0], reverse=True)[:MAX_ANSWERS]
        return [
            DestinationAnswer(attempt=logged_node(row.attempt_log[place]), delivery=delivery_node(row))
            for _, place, row in last
        ]

    @strawberry.field(
        metadata=READ,
        description="How long a delivery may wait, paused and held time included, before it is dropped as WINDOW_EXPIRED.",
    )
    def window_seconds(self, info: Info) -> int:
        return int(context_of(info).runtime.settings.retry_window.total_seconds())

    @strawberry.field(
        metadata=READ | at_most(MAX_ADVICE + _MOST_SETTINGS),
        description="What is about to cost conversions there; what costs some already is an alert.",
    )
    async def advice(self, info: Info) -> list[AdviceNode]:
        context = context_of(info)
        of_settings = advice_of_settings(context.runtime.sealer, self.row, context.now)
        found = await context.loaders.advice.load(self.row.platform)
        return [advice_node(advice) for advice in (*of_settings, *found)]


@strawberry.type(name="ApiKey", description="A key that speaks for the merchant.")
class ApiKeyNode(Node):
    name: str = _field(READ, "What it is for.")
    scopes: list[ApiKeyScope] = _field(READ, "What it may do.")
    prefix: str = _field(READ, "How it begins.")
    created_at: DateTime = _field(READ, "Since when.")
    last_used_at: DateTime | None = _field(READ, "When it was last used, to the minute.")
    revoked_at: DateTime | None = _field(READ, "Since when it is worth nothing.")

    @strawberry.field(metadata=READ, description="Whether it is the one that asks: revoking it shuts the caller out.")
    def current(self, info: Info) -> bool:
        holder = context_of(info).caller
        return self.id == ids.encode("ApiKey", holder.merchant_id, holder.key_id)


@strawberry.type(name="AlertChannel", description="Where alerts and events are told besides e-mail.")
class AlertChannelNode(Node):
    kind: AlertChannelKind = _field(READ, "In which form.")
    url: str = _field(READ, "Where, with dots for the part that may be a secret.")
    topics: list[str] = _field(READ, "What it is told of; * is all alerts.")
    min_severity: AlertSeverity = _field(READ, "Alerts below it are not told there.")
    last_error: str | None = _field(
        READ, "Why a message was not taken, until one is and none that failed waits; null: all were."
    )
    created_at: DateTime = _field(READ, "Since when.")


@strawberry.type(description="What another retention would delete. Nothing is deleted by asking.")
class RetentionPreview:
    before: DateTime = _field(READ, "Events that arrived before this would go, with their deliveries.")
    events: int = _field(
        READ,
        "About how many that are, by the ledger's counters: those between what is kept now and what would be kept then; "
        "0: nothing would be deleted.",
    )
    oldest: DateTime | None = _field(READ, "When the oldest event arrived that is there now; null: there is none.")


@strawberry.type(
    name="Erasure",
    description="Somebody is erased. It goes on in the background, whatever process ends, and waits for deliveries that a worker "
    "has in its hands. What it looks for is forgotten when it has finished; its receipt is kept for 3 years.",
)
class ErasureNode(Node):
    state: ErasureState = _field(ADMIN, "Whether it is done.")
    failing_since: DateTime | None = _field(
        ADMIN,
        "Since when its next step has failed, again and again; null: it does not. It is tried each minute, and the log of the "
        "workers, or of `tracklayer erase`, says why.",
    )
    events_erased: int = _field(ADMIN, "Events deleted so far.")
    deliveries_erased: int = _field(ADMIN, "Deliveries deleted so far, with their logs.")
    identities_erased: int = _field(
        ADMIN, "Browsers that were forgotten, or that are linked to the person no more. Counted at the end."
    )
    events_uncertain: int = _field(
        ADMIN, "Events so far that stay, as they may be somebody else's. A dry run tells the ids of some."
    )
    requested_at: DateTime = _field(ADMIN, "When it was asked for.")
    finished_at: DateTime | None = _field(ADMIN, "When it was done.")
    suppressed: bool = _field(
        ADMIN, "Whether events of this person that come later are kept without identifiers and sent nowhere."
    )
    events_scanned: int = _field(ADMIN, "Events that it has looked at so far.")
    receipt: str | None = _field(
        ADMIN,
        "The signed receipt, as JSON; null until it has finished. Keep it as it is: it verifies in this spelling alone.",
    )


@strawberry.type(name="Merchant", description="Whose events these are.")
class MerchantNode(Node):
    row: strawberry.Private[MerchantRow]
    name: str = _field(READ, "The merchant's name.")
    retention_days: RetentionDays = _field(READ, "How long events and deliveries are kept.")
    hash_user_data: bool = _field(READ, "Whether email and phone are kept as SHA-256 only.")
    alert_emails: list[str] = _field(
        READ, "Who gets alerts by e-mail; empty: nobody, and nobody either where `sendsMail` is false."
    )
    default_currency: str | None = _field(
        READ, "ISO 4217 code of values that come without one; a destination's own setting wins."
    )
    default_page_url: str | None = _field(
        READ, "The page of website events that come without one; a destination's own setting wins."
    )
    require_consent: ConsentRule = _field(
        READ, "Whose events are sent only with ad_user_data granted; a destination's own setting wins."
    )

    @strawberry.field(metadata=READ, description="Whether mails can go out at all: the operator has set a mail server.")
    def sends_mail(self, info: Info) -> bool:
        return context_of(info).runtime.settings.smtp_url is not None

    @strawberry.field(metadata=READ, description="What the shop's pages may tell.")
    def collector(self, info: Info) -> Collector:
        return collector_of(self.row, context_of(info).runtime)

    @strawberry.field(metadata=READ | weighs(_COUNTING), description="What another retention would delete.")
    async def retention_preview(
        self,
        info: Info,
        retention_days: Annotated[RetentionDays, strawberry.argument(description="The retention it would be.")],
    ) -> RetentionPreview:
        now = context_of(info).now
        shorter = await read(
            preview_retention, self.row.merchant_id, self.row.retention_days, retention_days.value, now
        )
        return RetentionPreview(before=DateTime(shorter.before), events=shorter.events, oldest=_instant(shorter.oldest))

    @strawberry.field(metadata=READ | at_most(len(PLATFORMS)), description="Where its events go.")
    async def destinations(self, info: Info) -> list[DestinationNode]:
        context = context_of(info)
        found = await context.loaders.destination.load_many(list(PLATFORMS))
        return [destination_node(row) for row in found if row is not None]

    @strawberry.field(
        metadata=READ | at_most(MAX_CHANNELS), description="Its webhooks and Slack channels, oldest first."
    )
    async def alert_channels(self, info: Info) -> list[AlertChannelNode]:
        return [channel_node(row) for row in await read(channels, self.row.merchant_id)]

    @strawberry.field(
        metadata=READ | at_most(len(AlertKind)),
        description="Kinds of alerts of a severity that nobody is told of as they open: no address gets mails, and no channel "
        "wants them.",
    )
    async def alerts_untold(
        self,
        info: Info,
        severity: Annotated[
            AlertSeverity | None, strawberry.argument(description="Of this severity; null: CRITICAL.")
        ] = AlertSeverity.CRITICAL,
    ) -> list[AlertKind]:
        wanted = (severity or AlertSeverity.CRITICAL).value
        who = await read(_hearers, self.row.merchant_id, context_of(info).runtime, self.row)
        return [kind for kind in AlertKind if not who.hear(kind.value, wanted)]

    @strawberry.field(
        metadata=READ | at_most(MAX_ADVICE + 1),
        description="What is about to cost conversions, whatever the platform; each destination has its own besides.",
    )
    async def advice(self, info: Info) -> list[AdviceNode]:
        context = context_of(info)
        untold = await read(_advice_of_telling, self.row.merchant_id, context.runtime, self.row, context.now)
        return [advice_node(advice) for advice in (*untold, *await context.loaders.advice.load(""))]

    @strawberry.field(
        metadata=READ | at_most(MAX_API_KEYS + 1),
        description="Its API keys: those in force, then revoked ones, the newest of each first; "
        f"the first {MAX_API_KEYS + 1}, which are all that may be in force.",
    )
    async def api_keys(self, info: Info) -> list[ApiKeyNode]:
        return [api_key_node(row) for row in await context_of(info).loaders.api_keys.load(self.row.merchant_id)]

    @strawberry.field(
        metadata=ADMIN | at_most("first"),
        description="Erasures of people, newest first: with their receipts, those of the last 3 years.",
    )
    async def erasures(self, info: Info, first: First = 20, after: After = None) -> Connection[ErasureNode]:
        size = page_size(first)
        seen = ids.read_cursor(after, "Erasure", (int,)) if after is not None else None
        found = await read(page_of_erasures, self.row.merchant_id, seen[1] if seen else None, size + 1)
        return erasure_connection(found, size, after)


@strawberry.type(description="Deliveries, or events, of one reason that are not sent.")
class RefusedGroup:
    reason: str = _field(
        READ,
        "Why: in words, or the name of the DropReason that a delivery would have; INTERNAL: TrackLayer's own fault.",
    )
    count: int = _field(READ, "How many.")
    field: str | None = _field(READ, "The field of the event that it is about, snake_case; null: about none.")
    example_event_id: str | None = _field(READ, "The event id of one of them; null where none was noted.")


def refused_groups(refused: Mapping[str, int], examples: Mapping[str, str]) -> list[RefusedGroup]:
    groups = []
    for key, count in sorted(refused.items()):
        reason, path = reason_and_field(key)
        field = path and dotted_path(path.split("."))
        if count:
            groups.append(RefusedGroup(reason=reason, count=count, field=field, example_event_id=examples.get(key)))
    return groups


@strawberry.type(
    name="Redelivery",
    description="A redelivery of more than 1,000 deliveries, or deliverStored of more than 1,000 events, which goes on in the "
    "background, whatever process ends. It queues at most 1,000 a second for each destination, fewer while a destination is busy, so that fresh events need "
    "not wait. It is kept for 30 days after it finished.",
)
class RedeliveryNode(Node):
    state: RedeliveryState = _field(READ, "Whether it is done.")
    of_stored_events: bool = _field(READ, "Whether it makes deliveries for stored events, as deliverStored does.")
    by_ids: bool = _field(READ, "Whether the deliveries were given by their ids.")
    platform: Platform | None = _field(READ, "The platform that it is about; null: all.")
    filter: JSON = _field(
        READ, "By what it chooses: a DeliveryFilter, or, of stored events, an EventFilter; {}: by nothing else."
    )
    requested_at: DateTime = _field(READ, "When it was asked for. What was tried or given up after that is left alone.")
    finished_at: DateTime | None = _field(READ, "When the last delivery was looked at.")
    matched: int = _field(READ, "Deliveries, or stored events, that it has looked at so far.")
    requeued: int = _field(READ, "Deliveries that it has queued so far.")
    refused: list[RefusedGroup] = _field(READ | at_most(MAX_REASONS), "Those that it has not queued so far, by reason.")


@strawberry.type(description="One thing that a destination on this platform is told.")
class PlatformSetting:
    name: str = _field(PUBLIC, "Its name in `settings`.")
    label: str = _field(PUBLIC, "Its name for people.")
    help: str = _field(PUBLIC, "Where to find it.")
    required: bool = _field(PUBLIC, "Whether there is no destination without it.")
    demand: str | None = _field(
        PUBLIC,
        "Where one of several is required, and this is the usual one: the sentence that says which. Null of any other.",
    )
    unset: str | None = _field(
        PUBLIC, "What counts where it is not set, as the end of a sentence; null where that needs no word."
    )
    secret: bool = _field(PUBLIC, "Whether it is sealed and shown as dots.")
    kind: SettingKind = _field(PUBLIC, "What its value is.")
    choices: list[str] = _field(PUBLIC, "All values there are of a CHOICE; empty of any other.")
    example: JSON | None = _field(PUBLIC, "A well-formed, invented value; null of a secret.")
    key_label: str | None = _field(PUBLIC, "What the left side of a MAP names; null of any other.")
    takes_others: bool = _field(PUBLIC, "Whether * on the left side of a MAP stands for all the rest.")


@strawberry.type(description="What TrackLayer knows of a platform.")
class PlatformInfo:
    platform: Platform = _field(PUBLIC, "The platform.")
    title: str = _field(PUBLIC, "Its name for people.")
    docs_url: str = _field(PUBLIC, "Its page.")
    settings: list[PlatformSetting] = _field(PUBLIC | at_most(_MOST_SETTINGS), "What a destination is told.")
    event_names: JSON = _field(PUBLIC | weighs(_LARGE), "Event name -> the platform's own.")
    max_event_age_hours: int | None = _field(PUBLIC, "How old an event may be; null: the platform names no limit.")
    batch_size: int = _field(PUBLIC, "Events of one request at most.")
    supports_test_events: bool = _field(PUBLIC, "Whether testDestination can be used.")
    test_needs: list[str] = _field(PUBLIC, "Settings that must be set before it can be.")
    test_effect: str | None = _field(
        PUBLIC, "What the platform does with events in its test mode, as the end of a sentence; null: it has none."
    )
    instead_of_test: str | None = _field(
        PUBLIC, "How else to try a destination, where the platform has no test mode; null: it has one."
    )
    deduplication: str = _field(PUBLIC, "Which copies it counts once, where both came from TrackLayer.")
    deletion: str = _field(PUBLIC, "What can be done there about a person who was erased.")


@strawberry.type(name="RuleVerdict", description="One rule of a platform, held against one event.")
class RuleVerdictNode:
    rule: str = _field(READ, "The rule's name.")
    ok: bool = _field(READ, "Whether it is kept.")
    message: str = _field(READ, "What was found.")
    field: str | None = _field(READ, "The field it is about.")


@strawberry.type(description="What would be sent; nothing is sent or stored.")
class DeliveryPreview:
    request: JSON | None = _field(
        READ | _OF_EVENT, "method, url, headers and body, without credentials; null: it would not be sent."
    )
    verdicts: list[RuleVerdictNode] = _field(READ | at_most(MAX_VERDICTS), "Every rule it was held against.")
    would_send: bool = _field(READ, "Whether it would be sent.")


def preview_node(found: Preview) -> DeliveryPreview:
    return DeliveryPreview(
        request=JSON(found.request) if found.request is not None else None,
        verdicts=[verdict_node(verdict) for verdict in found.verdicts],
        would_send=found.request is not None,
    )


def _instant(value: datetime | None) -> DateTime | None:
    return DateTime(value) if value is not None else None


def event_node(row: EventRow) -> EventNode:
    return EventNode(row=row)


def event_connection(
    rows: Sequence[EventRow], first: int, after: str | None, until: datetime | None
) -> Connection[EventNode]:
    """``until``: how far back was looked, where there is more to look at."""
    page = connect(rows, first, after, event_node, lambda row: ids.cursor("Event", row.received_at, row.event_id))
    return goes_on(page, until, ids.cursor("Event", until, "")) if until is not None else page


def delivery_connection(
    rows: Sequence[DeliveryRow], first: int, after: str | None, until: datetime | None
) -> Connection[DeliveryNode]:
    """``until``: as of events."""

    def cursor(row: DeliveryRow) -> str:
        return ids.cursor("Delivery", row.queued_at, row.event_id, row.platform)

    page = connect(rows, first, after, delivery_node, cursor)
    return goes_on(page, until, ids.cursor("Delivery", until, "", "")) if until is not None else page


def redelivery_connection(rows: Sequence[RedeliveryRow], first: int, after: str | None) -> Connection[RedeliveryNode]:
    def cursor(row: RedeliveryRow) -> str:
        return ids.cursor("Redelivery", row.requested_at, row.redelivery_id)

    return connect(rows, first, after, redelivery_node, cursor)


def alert_connection(rows: Sequence[AlertRow], first: int, after: str | None) -> Connection[AlertNode]:
    return connect(rows, first, after, alert_node, lambda row: ids.cursor("Alert", row.opened_at, row.alert_id))


def delivery_node(row: DeliveryRow) -> DeliveryNode:
    return DeliveryNode(
        id=ID(ids.encode("Delivery", row.merchant_id, row.event_id, row.platform)),
        row=row,
        platform=Platform(row.platform),
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        last_error=row.last_error if row.status != "delivered" else None,
        drop_reason=DropReason(row.drop_reason) if row.drop_reason else None,
        queued_at=DateTime(row.queued_at),
        last_attempt_at=_instant(row.last_attempt_at),
        delivered_at=_instant(row.delivered_at),
        dropped_at=_instant(row.finished_at) if row.status == "dropped" else None,
        latency_ms=row.latency_ms,
        window_ends_at=DateTime(row.window_ends_at) if row.status in WAITING else None,
    )


def alert_node(row: AlertRow) -> AlertNode:
    told = told_of(row)
    return AlertNode(
        id=ID(ids.encode("Alert", row.merchant_id, row.alert_id)),
        row=row,
        kind=AlertKind(row.kind),
        severity=AlertSeverity(told["severity"]),
        state=AlertState("resolved" if row.resolved_at else "open"),
        platform=Platform(row.platform) if row.platform else None,
        event_name=row.event_name if row.event_name != OTHERS else None,  # of several: details lists them
        title=told["title"],
        message=told["message"],
        details=JSON(told["details"]),
        opened_at=DateTime(row.opened_at),
        last_seen_at=DateTime(row.last_seen_at),
        acknowledged_at=_instant(row.acknowledged_at),
        note=row.note,
        snoozed_until=_instant(row.snoozed_until),
        resolved_at=_instant(row.resolved_at),
        change=None,
    )


def _hearers(merchant_id: int, runtime: Runtime, row: MerchantRow) -> Hearers:
    return hearers(runtime, row)


def _advice_of_telling(merchant_id: int, runtime: Runtime, row: MerchantRow, now: datetime) -> list[Advice]:
    return advice_of_telling(runtime, row, now)


def advice_node(advice: Advice) -> AdviceNode:
    return AdviceNode(
        code=AdviceCode(advice.code.value),
        sentence=advice.sentence,
        next_step=advice.next_step,
        since=DateTime(advice.since),
        count=advice.count,
        event_name=advice.event_name,
        example_event_id=advice.example_event_id,
        details=JSON(dict(advice.details)),
    )


def destination_node(row: DestinationRow) -> DestinationNode:
    return DestinationNode(
        id=ID(ids.encode("Destination", row.merchant_id, row.platform)),
        row=row,
        platform=Platform(row.platform),
        state=DestinationState(row.state),
        state_reason=row.state_reason,
        event_names=list(row.event_names) if row.event_names is not None else None,
        created_at=DateTime(there_since(row)),
    )


def redelivery_node(row: RedeliveryRow) -> RedeliveryNode:
    platform = row.search.platform if row.stored is None else row.stored.platform
    return RedeliveryNode(
        id=ID(ids.encode("Redelivery", row.merchant_id, row.redelivery_id)),
        state=RedeliveryState("running" if row.finished_at is None else "finished"),
        of_stored_events=row.stored is not None,
        by_ids=row.by_ids,
        platform=Platform(platform) if platform in PLATFORMS else None,
        filter=JSON(filter_of(row.search if row.stored is None else row.stored.search)),
        requested_at=DateTime(row.requested_at),
        finished_at=_instant(row.finished_at),
        matched=row.matched,
        requeued=row.requeued,
        refused=refused_groups(row.refused, row.examples),
    )


def erasure_node(row: ErasureRow) -> ErasureNode:
    return ErasureNode(
        id=ID(ids.encode("Erasure", row.merchant_id, row.erasure_id)),
        state=ErasureState(
            "running" if row.finished_at is None else "given_up" if row.stage == GIVEN_UP else "finished"
        ),
        failing_since=_instant(row.failing_since),
        events_erased=row.counts.get("events", 0),
        deliveries_erased=row.counts.get("deliveries", 0),
        identities_erased=row.counts.get("identities", 0),
        events_uncertain=row.counts.get("uncertain", 0),
        requested_at=DateTime(row.requested_at),
        finished_at=_instant(row.finished_at),
        suppressed=row.suppress,
        events_scanned=row.scanned,
        receipt=row.receipt,
    )


def erasure_connection(rows: Sequence[ErasureRow], first: int, after: str | None) -> Connection[ErasureNode]:
    def cursor(row: ErasureRow) -> str:
        return ids.cursor("Erasure", row.requested_at, row.erasure_id)

    return connect(rows, first, after, erasure_node, cursor)


def channel_node(row: ChannelRow) -> AlertChannelNode:
    return AlertChannelNode(
        id=ID(ids.encode("AlertChannel", row.merchant_id, row.channel_id)),
        kind=AlertChannelKind(row.kind),
        url=row.shown,
        topics=list(row.topics),
        min_severity=AlertSeverity(row.min_severity),
        last_error=row.last_error,
        created_at=DateTime(row.created_at),
    )


def api_key_node(row: ApiKeyRow) -> ApiKeyNode:
    return ApiKeyNode(
        id=ID(ids.encode("ApiKey", row.merchant_id, row.key_id)),
        name=row.name,
        scopes=[ApiKeyScope(scope) for scope in row.scopes],
        prefix=row.prefix,
        created_at=DateTime(row.created_at),
        last_used_at=_instant(row.last_used_at),
        revoked_at=_instant(row.revoked_at),
    )


def merchant_node(row: MerchantRow) -> MerchantNode:
    return MerchantNode(
        id=ID(ids.encode("Merchant", row.merchant_id)),
        row=row,
        name=row.name,
        retention_days=RetentionDays(row.retention_days),
        hash_user_data=row.hash_user_data,
        alert_emails=list(row.alert_emails),
        default_currency=row.default_currency,
        default_page_url=row.default_page_url,
        require_consent=ConsentRule(row.require_consent),
    )


def platform_info(key: str, public_url: str) -> PlatformInfo:
    mapper = mapper_for(key)
    age = mapper.max_event_age
    return PlatformInfo(
        platform=Platform(key),
        title=mapper.title,
        docs_url=f"{public_url}{docs_path(key)}",
        settings=[setting_node(setting, demands(key).get(setting.name)) for setting in mapper.settings],
        event_names=JSON(dict(mapper.event_names)),
        max_event_age_hours=int(age.total_seconds() // 3600) if age is not None else None,
        batch_size=mapper.batch_size,
        supports_test_events=mapper.supports_test_events,
        test_needs=[name for name, value in mapper.test_mode.items() if value is None],
        test_effect=mapper.test_effect if mapper.supports_test_events else None,
        instead_of_test=None if mapper.supports_test_events else mapper.instead_of_test,
        deduplication=mapper.deduplication,
        deletion=mapper.deletion,
    )


def setting_node(setting: Setting, demand: str | None) -> PlatformSetting:
    is_map = setting.kind is Kind.MAP
    return PlatformSetting(
        name=setting.name,
        label=setting.label,
        help=setting.help,
        required=setting.required,
        demand=demand,
        unset=setting.unset,
        secret=setting.secret,
        kind=SettingKind(setting.kind),
        choices=list(setting.choices),
        example=JSON(setting.example) if setting.example is not None and not setting.secret else None,
        key_label=setting.keys if is_map else None,
        takes_others=is_map and setting.others,
    )


def verdict_node(verdict: RuleVerdict) -> RuleVerdictNode:
    field = verdict.field and dotted_path(verdict.field.split("."))
    return RuleVerdictNode(rule=verdict.rule, ok=verdict.ok, message=verdict.message, field=field)
