"""The ledger's sums: what a bucket of arrived events came to, whether that adds up, and percentiles of a histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tracklayer.domain.delivery import LEFT_ALONE

BUCKETS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
LONGEST = {"minute": timedelta(days=1), "hour": timedelta(days=31), "day": timedelta(days=366)}


@dataclass(frozen=True, slots=True)
class Cohort:
    """The events that arrived in one bucket, at one platform, or (``platform`` None) of the whole merchant.

    ``waiting`` and ``held`` exclude each other. ``drop_reasons``: reason -> how many; ``latency``: how many deliveries
    in each place of the histogram. ``purged``: deliveries, or events, that are counted here and kept no more.
    """

    bucket_start: datetime
    platform: str | None
    accepted: int
    coalesced: int
    rejected: int
    filtered: int
    routed: int
    delivered: int
    dropped: int
    waiting: int
    held: int
    drop_reasons: Mapping[str, int]
    latency: Sequence[int]
    purged: int = 0

    @property
    def left_alone(self) -> int:
        """How many of ``dropped`` were so because somebody was erased."""
        return sum(self.drop_reasons.get(reason, 0) for reason in LEFT_ALONE)

    @property
    def is_balanced(self) -> bool:
        """Whether every event offered and every delivery made is accounted for, by columns counted on their own."""
        offered = self.platform is None or self.accepted == self.filtered + self.routed
        ended = self.routed == self.delivered + self.dropped + self.waiting + self.held
        explained = self.dropped == sum(self.drop_reasons.values())
        return offered and ended and explained


def with_totals(rows: Sequence[Cohort]) -> list[Cohort]:
    """By bucket: the merchant's row first, with the sums over its platforms, then the platforms in their order.

    ``rows``: those of platforms, and (``platform`` None) what was counted of the merchant's events, in any order.
    """
    buckets: dict[datetime, list[Cohort]] = {}
    for row in rows:
        buckets.setdefault(row.bucket_start, []).append(row)
    found = []
    for start in sorted(buckets):
        platforms = sorted((r for r in buckets[start] if r.platform is not None), key=lambda r: r.platform or "")
        events = [row for row in buckets[start] if row.platform is None]
        offered, sent = _sum_of(events, start, None), _sum_of(platforms, start, None)
        total = replace(
            sent,
            accepted=offered.accepted,
            coalesced=offered.coalesced,
            rejected=offered.rejected,
            purged=offered.purged,
        )
        found += [total, *platforms]
    return found


def summed(rows: Sequence[Cohort], start: datetime) -> list[Cohort]:
    """All buckets as one that begins at ``start``: a row for each platform there is, and (None) for the merchant's events."""
    of_platform: dict[str | None, list[Cohort]] = {}
    for row in rows:
        of_platform.setdefault(row.platform, []).append(row)
    return [_sum_of(found, start, platform) for platform, found in of_platform.items()]


def _sum_of(rows: Sequence[Cohort], start: datetime, platform: str | None) -> Cohort:
    reasons: dict[str, int] = {}
    for row in rows:
        for reason, count in row.drop_reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return Cohort(
        start,
        platform,
        sum(row.accepted for row in rows),
        sum(row.coalesced for row in rows),
        sum(row.rejected for row in rows),
        sum(row.filtered for row in rows),
        sum(row.routed for row in rows),
        sum(row.delivered for row in rows),
        sum(row.dropped for row in rows),
        sum(row.waiting for row in rows),
        sum(row.held for row in rows),
        {reason: count for reason, count in reasons.items() if count},
        [sum(places) for places in zip(*(row.latency for row in rows), strict=True)],
        sum(row.purged for row in rows),
    )


def percentile(counts: Sequence[int], bounds: Sequence[int], share: float) -> int | None:
    """The value below which ``share`` (0 to 1) of all lie, interpolated; None where there are none.

    Place i of ``counts`` holds values from ``bounds[i - 1]`` up to ``bounds[i]``, the first from 0. Within its place a
    value may be anywhere, so the answer is off by no more than the place is wide; of the last place, which has no end,
    it is the beginning.
    """
    total = sum(counts)
    if total <= 0:
        return None
    rank, below = share * total, 0
    for place, count in enumerate(counts):
        if count and below + count >= rank:
            low = bounds[place - 1] if place else 0
            if place == len(bounds):
                return low
            return round(low + (bounds[place] - low) * (rank - below) / count)
        below += count
    return bounds[-1]


def whole_buckets(since: datetime, until: datetime, bucket: str) -> tuple[datetime, datetime] | str:
    """The beginning of the bucket that ``since`` lies in and the end of that before ``until``; or what is wrong."""
    if since >= until:
        return "since must be before until"
    if until - since > LONGEST[bucket]:
        days = LONGEST[bucket].days
        longest = f"{days} days" if days > 1 else "1 day"
        return f"since and until may lie at most {longest} apart where a bucket is one {bucket}"
    end = bucket_of(until, bucket)
    if end < until:
        try:
            end += BUCKETS[bucket]
        except OverflowError:
            end = until
    return bucket_of(since, bucket), end


def bucket_of(at: datetime, bucket: str) -> datetime:
    """When the bucket began, in UTC."""
    start = at.astimezone(UTC).replace(second=0, microsecond=0)
    if bucket == "minute":
        return start
    return start.replace(minute=0) if bucket == "hour" else start.replace(hour=0, minute=0)
