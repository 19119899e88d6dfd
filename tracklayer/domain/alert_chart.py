"""The chart of an alert: which stretch of time it shows, in which steps, and how counts become lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tracklayer.domain.alert import AlertKind
from tracklayer.domain.monitors.learn import Rhythm

MOST_POINTS = 200
READABLE = 120  # points
LEAST_POINTS = 24  # that steps are joined down to where few events came: the share of a handful jumps about
OF_A_SHARE, OF_A_SUM = 20, 10  # events that a point should be of
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = tuple(MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))
LONGEST = timedelta(days=31)
BEFORE = (HOUR, DAY)  # the least and the most that is shown of the time before it began,
BEFORE_SILENCE = (6 * HOUR, 7 * DAY)  # and before a silence, which is one only where something is usual
AFTER = (timedelta(minutes=30), 6 * HOUR)  # the same of the time after it resolved
SINCE_AT_MOST = timedelta(days=14)  # before it opened; what is said to hold for longer is drawn from there


class ChartUnit(StrEnum):
    SHARE = "share"
    EVENTS = "events"
    DELIVERIES = "deliveries"


class SeriesRole(StrEnum):
    SEEN = "seen"
    NORMAL = "normal"
    COMPARED = "compared"


@dataclass(frozen=True, slots=True)
class ChartRange:
    """``points`` whole steps of UTC from ``since`` on; the last one may still run."""

    since: datetime
    step: timedelta
    points: int

    @property
    def until(self) -> datetime:
        return self.since + self.points * self.step

    @property
    def times(self) -> list[datetime]:
        """Where each step begins, oldest first."""
        return [self.since + n * self.step for n in range(self.points)]


@dataclass(frozen=True, slots=True)
class Series:
    """``values``: one a step; None where nothing is known of it."""

    role: SeriesRole
    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """``counts``: what each share is one of; None where the unit is no share. ``since``: since when it most likely holds."""

    title: str
    unit: ChartUnit
    since: datetime
    step: timedelta
    times: Sequence[datetime]
    series: Sequence[Series]
    counts: Sequence[int] | None = None


def chart_range(
    kind: AlertKind,
    since: datetime,
    opened_at: datetime,
    resolved_at: datetime | None,
    minutes_since: datetime,
    now: datetime,
) -> ChartRange:
    """Around the moment: from before it began until after it resolved, or now; of a long one, the beginning.

    ``minutes_since``: what is older is kept by the hour, so no step may be shorter.
    """
    ended = max(opened_at, resolved_at or now)
    lasted = ended - opened_at
    least, most = BEFORE_SILENCE if kind is AlertKind.TRACKING_STOPPED else BEFORE
    lead = min(most, max(least, 2 * (opened_at - since), lasted / 2))
    tail = min(AFTER[1], max(AFTER[0], lasted / 4)) if resolved_at is not None else timedelta()
    begin = since - lead
    end = min(now, ended + tail, begin + LONGEST)
    shortest = HOUR if begin < minutes_since else MINUTE
    step = next((s for s in STEPS if s >= shortest and (end - begin) / s <= READABLE), STEPS[-1])
    begin = _rounded_down(begin, step)
    return ChartRange(begin, step, max(1, -((begin - end) // step)))


def began(told: object, opened_at: datetime) -> datetime:
    """Since when an alert holds, as its figures tell; when it opened, where they do not."""
    try:
        since = datetime.fromisoformat(told) if isinstance(told, str) else opened_at
    except ValueError:
        return opened_at
    if since.tzinfo is None:
        return opened_at
    return min(opened_at, max(since.astimezone(UTC), opened_at - SINCE_AT_MOST))


def _rounded_down(at: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // step * step


def joined(
    span: ChartRange, counted: Mapping[int, tuple[int, ...]], wanted: int
) -> tuple[ChartRange, dict[int, tuple[int, ...]]]:
    """Longer steps where few came in each: ``wanted`` on average, of the largest count, as long as enough points are left."""
    found = dict(counted)
    factor = 1
    while len(found) > LEAST_POINTS and max(map(sum, zip(*found.values(), strict=True))) < wanted * len(found):
        longer = _by_steps(counted, factor + 1)
        if len(longer) < LEAST_POINTS:
            break
        factor, found = factor + 1, longer
    return ChartRange(span.since, span.step * factor, -(-span.points // factor)), found


def _by_steps(counted: Mapping[int, tuple[int, ...]], factor: int) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for place, counts in counted.items():
        known = found.get(place // factor)
        found[place // factor] = counts if known is None else tuple(map(sum, zip(known, counts, strict=True)))
    return found


def shares(span: ChartRange, counted: Mapping[int, tuple[int, int]]) -> tuple[list[float | None], list[int]]:
    """(the share of each step, what it is one of), from step -> (how many did, how many there were)."""
    values: list[float | None] = []
    counts = []
    for place in range(span.points):
        some, total = counted.get(place, (0, 0))
        values.append(round(min(1.0, max(0.0, some / total)), 4) if total > 0 else None)
        counts.append(max(0, total))
    return values, counts


def sums(span: ChartRange, counted: Mapping[int, int], now: datetime) -> list[float | None]:
    """How many in each step. Of the one that runs nothing is known yet: it would look like a fall."""
    return [
        float(max(0, counted.get(place, 0))) if at + span.step <= now else None for place, at in enumerate(span.times)
    ]


def usual_sums(span: ChartRange, rhythm: Rhythm) -> list[float | None]:
    """How many events each step usually has, by the hours of the week."""
    return [round(rhythm.usually(at, at + span.step) * rhythm.events, 2) for at in span.times]


def level(span: ChartRange, value: float | None) -> list[float | None] | None:
    """The same all along; None where nothing is known."""
    return None if value is None else [value] * span.points


def is_empty(unit: ChartUnit, series: Sequence[Series]) -> bool:
    """Whether there is nothing to draw: nothing is known of what was seen, or nothing was there and nothing is usual."""
    seen = [value for one in series if one.role is SeriesRole.SEEN for value in one.values if value is not None]
    if unit is ChartUnit.SHARE:
        return not seen
    return not seen or not any(value for one in series for value in one.values)
