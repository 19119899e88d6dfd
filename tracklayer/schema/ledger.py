"""The ledger as callers see it: every event accounted for."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import strawberry
from graphql import GraphQLError

from tracklayer.db.counters import LATENCY_BOUNDS
from tracklayer.db.ledger import ledger, ledger_as_one
from tracklayer.domain.ledger import Cohort, percentile, summed, whole_buckets, with_totals
from tracklayer.mappers import PLATFORMS
from tracklayer.schema.access import READ, at_most
from tracklayer.schema.context import read
from tracklayer.schema.enums import Platform
from tracklayer.schema.scalars import JSON, DateTime, as_int

_MOST_BUCKETS = 24 * 60  # a day of minutes
# Putting rows together takes as long as answering with a quarter of them: of 366 days, of 31 days of hours, of a day of minutes.
WEIGHTS = {"DAY": 1_000, "HOUR": 2_000, "MINUTE": 4_000}
_MOST_ROWS = _MOST_BUCKETS * (len(PLATFORMS) + 1)  # for the merchant and each platform


@strawberry.type(
    description="The events that arrived in one bucket: at one platform, or of the whole merchant where platform is null."
)
class LedgerRow:
    bucket_start: DateTime = strawberry.field(metadata=READ, description="When the bucket began, in UTC.")
    platform: Platform | None = strawberry.field(
        metadata=READ, description="The platform; null: all of the merchant's events, with the sums over its platforms."
    )
    events_accepted: int = strawberry.field(
        metadata=READ,
        description="Events that were stored; with a platform: those offered to it, which is filtered + routed.",
    )
    events_coalesced: int = strawberry.field(metadata=READ, description="Repeats of stored events; 0 with a platform.")
    events_rejected: int = strawberry.field(metadata=READ, description="Events that were refused; 0 with a platform.")
    routed: int = strawberry.field(
        metadata=READ, description="Deliveries made of them: delivered + dropped + waiting + held."
    )
    filtered: int = strawberry.field(
        metadata=READ, description="Events that the destination does not take by their name."
    )
    delivered: int = strawberry.field(metadata=READ, description="Deliveries that the platform acknowledged.")
    dropped: int = strawberry.field(metadata=READ, description="Deliveries given up: dropReasons says why.")
    left_alone: int = strawberry.field(
        metadata=READ,
        description="Those of dropped whose person was erased, since or before (erased and suppressed in dropReasons): no more a "
        "failure than what is filtered. A success rate is delivered / (delivered + dropped - leftAlone).",
    )
    waiting: int = strawberry.field(
        metadata=READ, description="Deliveries on their way or waiting for the next attempt."
    )
    held: int = strawberry.field(
        metadata=READ, description="Deliveries that wait because their destination is paused or held now."
    )
    drop_reasons: JSON = strawberry.field(
        metadata=READ,
        description="Reason -> how many were dropped for it; purged: deleted with their event while they waited.",
    )
    latency_p50_ms: int | None = strawberry.field(
        metadata=READ,
        name="latencyP50Ms",
        description="Half were acknowledged within this after arrival. From a histogram: off by 100 ms at most below "
        "0.5 s, and by less than the place it falls into is wide above; null where none was.",
    )
    latency_p95_ms: int | None = strawberry.field(
        metadata=READ,
        name="latencyP95Ms",
        description="95 of 100 were acknowledged within this after arrival; as exact as the median.",
    )
    purged: int = strawberry.field(
        metadata=READ,
        description="Of these deliveries (of these events, where platform is null) those that are deleted since, as their "
        "retention ended: they stay counted, and no list holds them any more.",
    )
    balanced: bool = strawberry.field(metadata=READ, description="Whether this row adds up.")


class FoundLedger:
    """What the fields of one answer are made of: read once, and no further than they ask. Of a day there are thousands of rows."""

    def __init__(self, merchant_id: int, since: datetime, until: datetime, bucket: str) -> None:
        self._asked = (merchant_id, since, until, bucket)
        self._buckets: asyncio.Future[list[Cohort]] | None = None
        self._totals: list[Cohort] | None = None

    async def totals(self) -> list[Cohort]:
        """By bucket, the merchant's row before those of its platforms."""
        if self._buckets is None:
            self._buckets = asyncio.ensure_future(read(ledger, *self._asked))
        found = await self._buckets
        if self._totals is None:
            self._totals = with_totals(found)
        return self._totals

    async def whole(self) -> list[Cohort]:
        """All buckets as one."""
        merchant_id, since, until, _ = self._asked
        await asyncio.sleep(
            0
        )  # fields beside this one are asked in the same turn: if they read the buckets, so does this
        if self._buckets is not None:
            return with_totals(summed(await self._buckets, since))
        return with_totals(await read(ledger_as_one, merchant_id, since, until))


@strawberry.type(description="Every event accounted for, by the bucket that it arrived in.")
class Ledger:
    found: strawberry.Private[FoundLedger]

    @strawberry.field(
        metadata=READ | at_most(_MOST_ROWS),
        description="By bucket, the merchant's row before those of its platforms; buckets without anything are left out.",
    )
    async def rows(self) -> list[LedgerRow]:
        return [_row(row) for row in await self.found.totals()]

    @strawberry.field(
        metadata=READ,
        description="Whether every row adds up. What waits is counted on its own, so this is a check and no definition.",
    )
    async def balanced(self) -> bool:
        return all(row.is_balanced for row in await self.found.totals())

    @strawberry.field(
        metadata=READ | at_most(len(PLATFORMS) + 1),
        description="All buckets as one: the merchant's row, then those of its platforms, with the latencies of the whole "
        "time. Empty where nothing arrived.",
    )
    async def whole(self) -> list[LedgerRow]:
        return [_row(row) for row in await self.found.whole()]

    @strawberry.field(
        metadata=READ | at_most(_MOST_BUCKETS),
        description="The rows of one platform, or the merchant's own, in the order of their buckets; buckets without "
        "anything are left out.",
    )
    async def series(
        self,
        platform: Annotated[
            Platform | None, strawberry.argument(description="The platform; null: the merchant's rows.")
        ] = None,
    ) -> list[LedgerRow]:
        key = platform.value if platform is not None else None
        return [_row(row) for row in await self.found.totals() if row.platform == key]


def ledger_range(since: datetime, until: datetime, bucket: str) -> tuple[datetime, datetime]:
    """Whole buckets. Raises GraphQLError for a range that is none, or too long."""
    found = whole_buckets(since, until, bucket)
    if isinstance(found, str):
        raise GraphQLError(f"{found}.", extensions={"code": "BAD_USER_INPUT"})
    return found


def _row(row: Cohort) -> LedgerRow:
    return LedgerRow(
        bucket_start=DateTime(row.bucket_start),
        platform=Platform(row.platform) if row.platform else None,
        events_accepted=as_int(row.accepted),
        events_coalesced=as_int(row.coalesced),
        events_rejected=as_int(row.rejected),
        routed=as_int(row.routed),
        filtered=as_int(row.filtered),
        delivered=as_int(row.delivered),
        dropped=as_int(row.dropped),
        left_alone=as_int(row.left_alone),
        waiting=as_int(row.waiting),
        held=as_int(row.held),
        drop_reasons=JSON(dict(row.drop_reasons)),
        latency_p50_ms=percentile(row.latency, LATENCY_BOUNDS, 0.5),
        latency_p95_ms=percentile(row.latency, LATENCY_BOUNDS, 0.95),
        purged=as_int(row.purged),
        balanced=row.is_balanced,
    )
