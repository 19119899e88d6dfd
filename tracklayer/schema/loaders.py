"""One query for all rows of a kind that an operation asks for, whatever its shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, TypeVar

from graphql import GraphQLError
from strawberry.dataloader import DataLoader

from tracklayer.db import advice, alerts, deliveries, destinations, events, merchants, queues, repeats
from tracklayer.db.alerts import Place, Span, Waits
from tracklayer.db.connection import bounded_read
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.events import EventRow
from tracklayer.db.models import AlertRow, ApiKeyRow, DestinationRow, MerchantRow
from tracklayer.db.repeats import Difference
from tracklayer.db.standby import read_for_merchant
from tracklayer.domain.advice import Advice
from tracklayer.domain.standing import Standing
from tracklayer.domain.stitching import Stitched
from tracklayer.runtime import Runtime
from tracklayer.schema.errors import gone_meanwhile
from tracklayer.services.outage import as_shown
from tracklayer.services.standing import standings
from tracklayer.services.stitch import decisions

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_KEYS = 500  # of one statement
SLACK = timedelta(hours=1)  # a delivery in a worker's hands may end a little after its window

Asked = tuple[Span, Place | None, int]  # an alert, a place in its list of deliveries, how many from there


class Loaders:
    """Of one operation. ``merchant_id`` is set when the caller is known; nothing loads before.

    Each is made when it is first asked for: an event that comes in needs none of them. None refers back to this: what
    an operation has read is gone with it, and thousands of rows do not wait for Python's collector, which stops everybody.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.merchant_id = 0

    @cached_property
    def event(self) -> DataLoader[str, EventRow | None]:
        return _loader(_events, self.merchant_id)

    @cached_property
    def delivery(self) -> DataLoader[tuple[str, str], DeliveryRow | None]:
        """By event id and platform."""
        return _loader(_deliveries, self.merchant_id)

    @cached_property
    def alert(self) -> DataLoader[int, AlertRow | None]:
        return _loader(_alerts, self.merchant_id)

    @cached_property
    def deliveries_of_event(self) -> DataLoader[str, list[DeliveryRow]]:
        return _loader(_deliveries_of_events, self.merchant_id)

    @cached_property
    def stitched(self) -> DataLoader[EventRow, Stitched | None]:
        """What was added to an event, or would be now; None where nothing can be."""
        return DataLoader(
            load_fn=partial(_decisions, self.runtime, self.merchant_id),
            max_batch_size=MAX_KEYS,
            cache_key_fn=lambda row: row.event_id,
        )

    @cached_property
    def difference(self) -> DataLoader[str, Difference | None]:
        return _loader(_differences, self.merchant_id)

    @cached_property
    def alerts_of_delivery(self) -> DataLoader[Waits, list[AlertRow]]:
        return _loader(_alerts_of_deliveries, self.merchant_id)

    @cached_property
    def deliveries_of_alert(self) -> DataLoader[Asked, list[DeliveryRow]]:
        return _loader(_deliveries_of_alerts, self.merchant_id, self.runtime.settings.retry_window + SLACK)

    @cached_property
    def destination(self) -> DataLoader[str, DestinationRow | None]:
        return _loader(_destinations, self.runtime, self.merchant_id)

    @cached_property
    def merchant(self) -> DataLoader[int, MerchantRow]:
        return _loader(_merchants)

    @cached_property
    def api_keys(self) -> DataLoader[int, list[ApiKeyRow]]:
        return _loader(_api_keys)

    @cached_property
    def waiting(self) -> DataLoader[str, int]:
        return _loader(_waiting, self.merchant_id)

    @cached_property
    def standing(self) -> DataLoader[str, Standing]:
        return _loader(_standings, self.merchant_id, self.runtime.settings.retry_window, self.runtime.clock.now)

    @cached_property
    def open_alerts(self) -> DataLoader[str, list[AlertRow]]:
        """By platform; '' for those of the whole merchant."""
        return _loader(_open_alerts, self.merchant_id)

    @cached_property
    def advice(self) -> DataLoader[str, list[Advice]]:
        """By platform; '' for the merchant's own."""
        return _loader(_advice, self.merchant_id)


def waits_of(row: DeliveryRow, now: datetime) -> Waits:
    """From when until when a delivery waited: once, and once more for each time that it was redelivered."""
    former = [(datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in row.former_waits or ()]
    present = (row.requeued_at or row.queued_at, row.finished_at or now)
    return Waits(row.event_id, row.platform, (*former, present))


async def _events(merchant_id: int, event_ids: list[str]) -> list[EventRow | None]:
    found = await read_for_merchant(events.events_by_id, merchant_id, event_ids)
    return [found.get(event_id) for event_id in event_ids]


async def _deliveries(merchant_id: int, keys: list[tuple[str, str]]) -> list[DeliveryRow | None]:
    found = await read_for_merchant(deliveries.deliveries_by_key, merchant_id, keys)
    return [found.get(key) for key in keys]


async def _alerts(merchant_id: int, alert_ids: list[int]) -> list[AlertRow | None]:
    found = await read_for_merchant(alerts.alerts_by_id, merchant_id, alert_ids)
    return [found.get(alert_id) for alert_id in alert_ids]


async def _decisions(runtime: Runtime, merchant_id: int, found: list[EventRow]) -> list[Stitched | None]:
    decided = await read_for_merchant(partial(decisions, runtime), merchant_id, found)
    return [decided.get(row.event_id) for row in found]


async def _differences(merchant_id: int, event_ids: list[str]) -> list[Difference | None]:
    found = await read_for_merchant(repeats.differences_of, merchant_id, event_ids)
    return [found.get(event_id) for event_id in event_ids]


async def _deliveries_of_events(merchant_id: int, event_ids: list[str]) -> list[list[DeliveryRow]]:
    found = await read_for_merchant(deliveries.deliveries_of_events, merchant_id, event_ids)
    return [found[event_id] for event_id in event_ids]


async def _alerts_of_deliveries(merchant_id: int, waits: list[Waits]) -> list[list[AlertRow]]:
    found = await read_for_merchant(alerts.alerts_of_deliveries, merchant_id, waits)
    return [found[wait.event_id, wait.platform] for wait in waits]


async def _deliveries_of_alerts(merchant_id: int, window: timedelta, asked: list[Asked]) -> list[list[DeliveryRow]]:
    found: dict[Asked, list[DeliveryRow]] = {}
    for after, limit in dict.fromkeys((ask[1], ask[2]) for ask in asked):  # one, unless a document asks for two
        spans = [ask[0] for ask in asked if ask[1:] == (after, limit)]
        rows = await read_for_merchant(_deliveries_of_spans, merchant_id, window, spans, after, limit)
        found.update({(span, after, limit): rows[span.alert_id] for span in spans})
    return [found[ask] for ask in asked]


def _deliveries_of_spans(
    merchant_id: int, window: timedelta, spans: list[Span], after: Place | None, limit: int
) -> dict[int, list[DeliveryRow]]:
    with bounded_read():
        return alerts.deliveries_of_alerts(merchant_id, spans, after, limit, window)


async def _destinations(runtime: Runtime, merchant_id: int, platforms: list[str]) -> list[DestinationRow | None]:
    found = await read_for_merchant(partial(_shown_destinations, runtime), merchant_id)
    by_platform = {row.platform: row for row in found}
    return [by_platform.get(platform) for platform in platforms]


def _shown_destinations(runtime: Runtime, merchant_id: int) -> list[DestinationRow]:
    return as_shown(runtime, destinations.destinations(merchant_id))


async def _merchants(merchant_ids: list[int]) -> list[MerchantRow | None]:
    return [await read_for_merchant(merchants.merchant_by_id, merchant_id) for merchant_id in merchant_ids]


async def _api_keys(merchant_ids: list[int]) -> list[list[ApiKeyRow]]:
    return [await read_for_merchant(merchants.api_keys, merchant_id) for merchant_id in merchant_ids]


async def _waiting(merchant_id: int, platforms: list[str]) -> list[int]:
    found = await read_for_merchant(queues.waiting_by_platform, merchant_id)
    return [found.get(platform, 0) for platform in platforms]


async def _standings(
    merchant_id: int, window: timedelta, clock: Callable[[], datetime], platforms: list[str]
) -> list[Standing | GraphQLError]:
    found = await read_for_merchant(_standings_of, merchant_id, window, clock())
    return [found.get(platform) or gone_meanwhile("A destination") for platform in platforms]


def _standings_of(merchant_id: int, window: timedelta, now: datetime) -> dict[str, Standing]:
    with bounded_read():
        return standings(merchant_id, window, now)


async def _open_alerts(merchant_id: int, platforms: list[str]) -> list[list[AlertRow]]:
    found = await read_for_merchant(alerts.open_alerts, merchant_id)
    return [[row for row in found if (row.platform or "") == platform] for platform in platforms]


async def _advice(merchant_id: int, platforms: list[str]) -> list[list[Advice]]:
    found = await read_for_merchant(_advice_of, merchant_id)
    return [found.get((merchant_id, platform), []) for platform in platforms]


def _advice_of(merchant_id: int) -> dict[tuple[int, str], list[Advice]]:
    return advice.advice_of([merchant_id])


def _loader(load: Callable[..., Awaitable[Any]], *scope: Any) -> DataLoader[Any, Any]:
    return DataLoader(load_fn=partial(load, *scope), max_batch_size=MAX_KEYS)
