"""Reads. Every one begins with who asks and sees that merchant's rows alone."""

from __future__ import annotations

import asyncio
from typing import Annotated

import strawberry
from strawberry import ID, Info

from tracklayer.db.alerts import AlertSearch, page_of_alerts
from tracklayer.db.channels import channel
from tracklayer.db.coverage import enriched_of_names, facts_of_names, refusals
from tracklayer.db.delivery_groups import MOST_CODES, delivery_groups
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.destinations import destinations
from tracklayer.db.erasures import erasure_by_id
from tracklayer.db.event_search import EventSearch
from tracklayer.db.merchants import api_key
from tracklayer.db.redeliveries import page_of_redeliveries, redelivery_by_id
from tracklayer.db.walks import walk_of_deliveries, walk_of_events
from tracklayer.domain.text import is_storable
from tracklayer.mappers import PLATFORMS
from tracklayer.schema import errors, ids
from tracklayer.schema.access import PUBLIC, READ, at_most, weighs, weighs_by
from tracklayer.schema.alert_chart import WEIGHT, AlertChart, chart_node
from tracklayer.schema.connections import After, Connection, First, page_size
from tracklayer.schema.context import Context, context_of, read, work
from tracklayer.schema.coverage import MOST_ROWS, CoverageRow, coverage_range, coverage_rows
from tracklayer.schema.enums import LedgerBucket, Platform
from tracklayer.schema.groups import MOST_GROUPS, DeliveryGroup, group_node
from tracklayer.schema.inputs import (
    AlertFilter,
    DeliveryFilter,
    EventFilter,
    IngestEventInput,
    to_draft,
    value_of,
    values_of,
    worded,
)
from tracklayer.schema.ledger import WEIGHTS as LEDGER_WEIGHTS
from tracklayer.schema.ledger import FoundLedger, Ledger, ledger_range
from tracklayer.schema.rejections import MOST_ROWS as MOST_REJECTIONS
from tracklayer.schema.rejections import RejectionRow, rejection_row
from tracklayer.schema.scalars import DateTime, instant_argument, span_arguments
from tracklayer.schema.types import (
    PREVIEW,
    AlertNode,
    DeliveryNode,
    DeliveryPreview,
    EventNode,
    MerchantNode,
    Node,
    PlatformInfo,
    RedeliveryNode,
    alert_connection,
    alert_node,
    api_key_node,
    channel_node,
    delivery_connection,
    delivery_node,
    destination_node,
    erasure_node,
    event_connection,
    event_node,
    merchant_node,
    platform_info,
    preview_node,
    redelivery_connection,
    redelivery_node,
)
from tracklayer.services.alert_chart import chart_of_alert
from tracklayer.services.credentials import merchant_settings, settings_to_map
from tracklayer.services.groups import groups_of
from tracklayer.services.marks import is_left_alone
from tracklayer.services.preview import LEFT_ALONE, prepare, preview

MAX_ID = 2**63
_FILTER = strawberry.argument(description="Narrows the list.")


MOST_NODES = 100  # two pages of a list


async def _node_of(context: Context, id: str) -> Node | None:
    holder = context.caller
    found = ids.decode(id)
    if found is None or not found[1] or found[1][0] != holder.merchant_id:
        return None
    kind, parts = found
    match kind, parts[1:]:
        case "Merchant", []:
            return merchant_node(await context.merchant())
        case "Event", [str(event_id)]:
            event = await context.loaders.event.load(event_id)
            return event_node(event) if event else None
        case "Delivery", [str(event_id), str(platform)]:
            delivery = await context.loaders.delivery.load((event_id, platform))
            return delivery_node(delivery) if delivery else None
        case "Alert", [int(alert_id)]:
            alert = await context.loaders.alert.load(alert_id)
            return alert_node(alert) if alert else None
        case "Destination", [str(platform)] if platform in PLATFORMS:
            destination = await context.loaders.destination.load(platform)
            return destination_node(destination) if destination else None
        case "Redelivery", [int(redelivery_id)]:
            job = await read(redelivery_by_id, holder.merchant_id, redelivery_id)
            return redelivery_node(job) if job else None
        case "Erasure", [int(erasure_id)]:
            erasure = await read(erasure_by_id, holder.merchant_id, erasure_id)
            return erasure_node(erasure) if erasure else None
        case "AlertChannel", [int(channel_id)]:
            found_channel = await read(channel, holder.merchant_id, channel_id)
            return channel_node(found_channel) if found_channel else None
        case "ApiKey", [int(key_id)]:
            row = await read(api_key, holder.merchant_id, key_id)
            return api_key_node(row) if row else None
    return None


@strawberry.type(description="Everything that can be read.")
class Query:
    @strawberry.field(metadata=READ, description="Any node by its id; null where it is not there, or not yours.")
    async def node(self, info: Info, id: Annotated[ID, strawberry.argument(description="A node's id.")]) -> Node | None:
        return await _node_of(context_of(info), str(id))

    @strawberry.field(
        metadata=READ | at_most("ids"),
        description="Nodes by their ids, in their order; null where one is not there, or not yours.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[ID], strawberry.argument(description=f"Ids of nodes, at most {MOST_NODES}.")],
    ) -> list[Node | None]:
        if len(ids) > MOST_NODES:
            raise errors.refused(f"ids holds at most {MOST_NODES}; this is {len(ids):,}.", errors.BAD_INPUT)
        context = context_of(info)
        return list(await asyncio.gather(*(_node_of(context, str(id)) for id in ids)))

    @strawberry.field(metadata=READ, description="The caller's own merchant.")
    async def merchant(self, info: Info) -> MerchantNode:
        context = context_of(info)
        return merchant_node(await context.merchant())

    @strawberry.field(metadata=READ, description="An event by the merchant's own event id.")
    async def event(
        self, info: Info, event_id: Annotated[str, strawberry.argument(description="As it was sent.")]
    ) -> EventNode | None:
        context = context_of(info)
        row = await context.loaders.event.load(event_id) if is_storable(event_id) else None
        return event_node(row) if row else None

    @strawberry.field(metadata=READ | at_most("first"), description="Events, newest received first.")
    async def events(
        self,
        info: Info,
        first: First = 50,
        after: After = None,
        filter: Annotated[EventFilter | None, _FILTER] = None,
    ) -> Connection[EventNode]:
        holder, size = context_of(info).caller, page_size(first)
        search = event_search(filter, after)
        rows, until = await read(walk_of_events, holder.merchant_id, search, size + 1)
        return event_connection(rows, size, after, until)

    @strawberry.field(metadata=READ | at_most("first"), description="Deliveries, newest queued first.")
    async def deliveries(
        self,
        info: Info,
        first: First = 50,
        after: After = None,
        filter: Annotated[DeliveryFilter | None, _FILTER] = None,
    ) -> Connection[DeliveryNode]:
        holder, size = context_of(info).caller, page_size(first)
        search = delivery_search(filter, after)
        rows, until = await read(walk_of_deliveries, holder.merchant_id, search, size + 1)
        return delivery_connection(rows, size, after, until)

    @strawberry.field(
        metadata=READ | at_most(MOST_GROUPS),
        description="Deliveries that wait, failed or were dropped, by platform, reason and the platform's code; the worst "
        f"first. Of one platform up to {MOST_CODES} groups of what failed or was dropped: the first codes of each reason.",
    )
    async def delivery_groups(
        self, info: Info, filter: Annotated[DeliveryFilter | None, _FILTER] = None
    ) -> list[DeliveryGroup]:
        context = context_of(info)
        search = delivery_search(filter)
        found = await read(delivery_groups, context.caller.merchant_id, search, list(PLATFORMS))
        there = await context.loaders.destination.load_many(list(PLATFORMS)) if found else []
        groups = groups_of(found, {row.platform: row for row in there if row})
        url = context.runtime.settings.public_url
        return [group_node(url, group) for group in groups if search.held in (None, group.is_held)]

    @strawberry.field(
        metadata=READ | at_most("first"),
        description="Redeliveries that go on, or went on, in the background, newest first: those of the last 30 days.",
    )
    async def redeliveries(self, info: Info, first: First = 20, after: After = None) -> Connection[RedeliveryNode]:
        holder, size = context_of(info).caller, page_size(first)
        seen = ids.read_cursor(after, "Redelivery", (int,)) if after is not None else None
        rows = await read(page_of_redeliveries, holder.merchant_id, seen[1] if seen else None, size + 1)
        return redelivery_connection(rows, size, after)

    @strawberry.field(metadata=READ | at_most("first"), description="Alerts, newest opened first.")
    async def alerts(
        self,
        info: Info,
        first: First = 50,
        after: After = None,
        filter: Annotated[AlertFilter | None, _FILTER] = None,
    ) -> Connection[AlertNode]:
        holder, size = context_of(info).caller, page_size(first)
        given = filter or AlertFilter()
        seen = ids.read_cursor(after, "Alert", (int,)) if after is not None else None
        state = value_of(given.state)
        search = AlertSearch(
            values_of(given.kind),
            value_of(given.platform),
            None if state is None else state == "open",
            *span_arguments(given.opened_since, given.opened_until, "filter.openedSince", "filter.openedUntil"),
            (seen[0], seen[1]) if seen else None,
        )
        rows = await read(page_of_alerts, holder.merchant_id, search, size + 1)
        return alert_connection(rows, size, after)

    @strawberry.field(
        metadata=READ | weighs(WEIGHT),
        description="What was seen against what is normal around the moment of an alert; null where nothing is left of that "
        "time, and where there is no such alert of yours.",
    )
    async def alert_chart(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The alert's id.")]
    ) -> AlertChart | None:
        context = context_of(info)
        merchant_id = context.caller.merchant_id
        found = ids.parts_of(str(id), "Alert", (int, int))
        if found is None or found[0] != merchant_id or not 0 < found[1] < MAX_ID:
            return None
        chart = await read(chart_of_alert, merchant_id, found[1], context.now)
        return chart_node(chart) if chart is not None else None

    @strawberry.field(
        metadata=READ | weighs_by("bucket", LEDGER_WEIGHTS),
        description="Every event that arrived in a time, accounted for by bucket and platform. Buckets are of UTC and "
        "whole: since is rounded down, until up. At most a day of minutes, 31 days of hours, 366 days.",
    )
    async def ledger(
        self,
        info: Info,
        since: Annotated[DateTime, strawberry.argument(description="From here on.")],
        until: Annotated[DateTime, strawberry.argument(description="Up to here, not included.")],
        bucket: Annotated[
            LedgerBucket | None, strawberry.argument(description="How long a bucket is.")
        ] = LedgerBucket.HOUR,
    ) -> Ledger:
        holder = context_of(info).caller
        length = (bucket or LedgerBucket.HOUR).value
        begin, end = instant_argument(since, "since"), instant_argument(until, "until")
        assert begin is not None  # the schema demands both
        assert end is not None
        whole = ledger_range(begin, end, length)
        return Ledger(found=FoundLedger(holder.merchant_id, *whole, length))

    @strawberry.field(
        metadata=READ | at_most(MOST_REJECTIONS),
        description="Why events were refused when they were sent, the commonest reasons first: with the ledger's "
        f"eventsRejected of the same time it says what came of every event. The first {MOST_REJECTIONS}; of what is more than "
        "two days old, whole hours. At most 366 days.",
    )
    async def rejections(
        self,
        info: Info,
        since: Annotated[DateTime, strawberry.argument(description="From here on.")],
        until: Annotated[DateTime, strawberry.argument(description="Up to here, not included.")],
    ) -> list[RejectionRow]:
        holder = context_of(info).caller
        begin, end = instant_argument(since, "since"), instant_argument(until, "until")
        assert begin is not None  # the schema demands both
        assert end is not None
        ledger_range(begin, end, LedgerBucket.DAY.value)  # no longer than that
        found = await read(refusals, holder.merchant_id, begin, end, MOST_REJECTIONS)
        return [rejection_row(row) for row in found]

    @strawberry.field(
        metadata=READ | at_most(MOST_ROWS),
        description="Which share of the events that arrived in a time carries which identifier: by event name, of all "
        "identifiers and of those that each platform with a destination uses. Hours are of UTC and whole: since is rounded "
        "down, until up. At most 90 days.",
    )
    async def coverage(
        self,
        info: Info,
        since: Annotated[DateTime, strawberry.argument(description="From here on.")],
        until: Annotated[DateTime, strawberry.argument(description="Up to here, not included.")],
        event_name: Annotated[str | None, strawberry.argument(description="Only events of this name.")] = None,
    ) -> list[CoverageRow]:
        holder = context_of(info).caller
        begin, end = instant_argument(since, "since"), instant_argument(until, "until")
        assert begin is not None  # the schema demands both
        assert end is not None
        name = ids.text_argument(event_name, "eventName")
        span = coverage_range(begin, end)
        facts = await read(facts_of_names, holder.merchant_id, *span, name)
        if not facts:
            return []
        enriched = await read(enriched_of_names, holder.merchant_id, *span, name)
        rows = await read(destinations, holder.merchant_id)
        return coverage_rows(facts, enriched, [row.platform for row in rows if row.platform in PLATFORMS])

    @strawberry.field(
        metadata=READ | weighs(PREVIEW),
        description="What would be sent to a platform, and why not: sends and stores nothing.",
    )
    async def preview(
        self,
        info: Info,
        input: Annotated[IngestEventInput, strawberry.argument(description="The event.")],
        platform: Annotated[Platform, strawberry.argument(description="The platform.")],
    ) -> DeliveryPreview:
        context = context_of(info)
        destination = await context.loaders.destination.load(platform.value)
        settings = (
            settings_to_map(context.runtime.sealer, destination)
            if destination
            else merchant_settings(await context.merchant())
        )
        prepared = prepare(platform.value, settings)
        draft = to_draft(input)
        if context.caller.is_marked and await work(context, is_left_alone, context.runtime, context.caller, draft):
            return preview_node(LEFT_ALONE)
        return preview_node(await work(context, preview, draft, prepared, context.now, worded))

    @strawberry.field(metadata=PUBLIC | at_most(len(PLATFORMS)), description="What TrackLayer knows of each platform.")
    async def platforms(self, info: Info) -> list[PlatformInfo]:
        url = context_of(info).runtime.settings.public_url
        return [platform_info(key, url) for key in PLATFORMS]


def event_search(given: EventFilter | None, after: str | None = None) -> EventSearch:
    """A filter as a search. Raises GraphQLError for a wrong instant or cursor."""
    given = given or EventFilter()
    seen = ids.read_cursor(after, "Event", (str,)) if after is not None else None
    return EventSearch(
        ids.text_argument(given.event_name, "filter.eventName"),
        ids.text_argument(given.event_id_prefix, "filter.eventIdPrefix"),
        *span_arguments(given.received_since, given.received_until, "filter.receivedSince", "filter.receivedUntil"),
        *span_arguments(given.occurred_since, given.occurred_until, "filter.occurredSince", "filter.occurredUntil"),
        value_of(given.delivery_status),
        values_of(given.delivery_statuses),
        value_of(given.platform),
        values_of(given.platforms),
        value_of(given.filtered_at),
        (seen[0], seen[1]) if seen else None,
    )


def delivery_search(given: DeliveryFilter | None, after: str | None = None) -> DeliverySearch:
    """A filter as a search. Raises GraphQLError for a wrong instant or cursor."""
    given = given or DeliveryFilter()
    seen = ids.read_cursor(after, "Delivery", (str, str)) if after is not None else None
    received = span_arguments(
        given.received_since, given.received_until, "filter.receivedSince", "filter.receivedUntil"
    )
    return DeliverySearch(
        value_of(given.platform),
        values_of(given.status),
        values_of(given.drop_reason),
        *span_arguments(given.queued_since, given.queued_until, "filter.queuedSince", "filter.queuedUntil"),
        ids.text_argument(given.error_contains, "filter.errorContains"),
        (seen[0], seen[1], seen[2]) if seen else None,
        received_since=received[0],
        received_until=received[1],
        held=given.held,
        error_code=ids.text_argument(given.error_code, "filter.errorCode"),
    )
