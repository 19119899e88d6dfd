"""What is normal: learned of each destination and each merchant from their own last weeks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from statistics import median_high, median_low

LEARN_FROM = timedelta(days=28)  # four of each day of the week

# Destinations --------------------------------------------------------------------------------------------------------

ENOUGH_ATTEMPTS = 200
TRIMMED = 0.05  # of the attempts, in the worst hours: an outage is not what is normal
LEAST_SPREAD = 0.005
MOST_SPREAD = 0.5


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """``share`` of a destination's attempts is acknowledged; ``spread``: how much alike attempts of one hour are.

    ``worst``: the share in hours as bad as come now and then, where that was learned (``learn_worst``).
    """

    share: float
    spread: float
    attempts: int
    worst: float | None = None


def learn_success(hours: Sequence[tuple[int, int]]) -> SuccessRate | None:
    """From (acknowledged, failed) by hour; None where that is too little to know.

    The spread is the method-of-moments estimate of the intra-class correlation (Kleinman 1973, "Proportions with
    extraneous variance", JASA 68), kept within bounds that a short history cannot leave.
    """
    samples = sorted(((good / (good + bad), good + bad) for good, bad in hours if good + bad), reverse=True)
    attempts = sum(size for _, size in samples)
    if attempts < ENOUGH_ATTEMPTS:
        return None
    kept, left = [], attempts * (1 - TRIMMED)
    for rate, size in samples:
        if left <= 0:
            break
        kept.append((rate, size))
        left -= size
    total = sum(size for _, size in kept)
    share = sum(rate * size for rate, size in kept) / total
    # A destination that has never failed yet fails once in a while all the same; and so with one that has done nothing else.
    share = max(1 / (total + 2), min(share, (total + 1) / (total + 2)))
    return SuccessRate(share, _spread(kept, share, total), attempts)


DAYS_OF_A_HABIT = 3  # of four weeks: what was on fewer may have been an incident
YOUNG = 7  # days: of whom fewer are known, one must do


def learn_worst(hours: Mapping[datetime, tuple[int, int]]) -> float | None:
    """The share of good ones in hours that are as bad as there was one on several days, from hour -> (good, bad).

    ``learn_success`` leaves out the worst hours, as an outage is not what is normal. But where some product is wrong for an
    hour every other day, such an hour is no news. What chance may have added to an hour (two standard deviations) is
    taken off. None where no day is known.
    """
    days: dict[date, float] = {}
    for hour, (good, bad) in hours.items():
        if good + bad:
            share = max(0.0, bad - 2 * math.sqrt(bad)) / (good + bad)
            day = hour.astimezone(UTC).date()
            days[day] = max(days.get(day, 0.0), share)
    if not days:
        return None
    worst = sorted(days.values(), reverse=True)
    return 1 - worst[DAYS_OF_A_HABIT - 1 if len(days) >= YOUNG else 0]


WORST_USUAL = 0.75  # accepted: more refusals than that are not usual, however long they have lasted
WORSE = 1.25  # times what is refused in a bad hour


def worst_of(usual: SuccessRate) -> float:
    """The share that is accepted in hours as bad as come now and then: no less than is bearable, however many there were."""
    return usual.share if usual.worst is None else min(usual.share, max(usual.worst, WORST_USUAL))


def _spread(samples: Sequence[tuple[float, int]], share: float, total: int) -> float:
    """Of hours that each have their own rate, around ``share``: sum(n (r - p)^2) = p q (A + spread (B - A)) on average,

    with A = number of hours - 1 and B = N - sum(n^2) / N.
    """
    a = len(samples) - 1
    b = total - sum(size**2 for _, size in samples) / total
    if a < 1 or b <= a:
        return LEAST_SPREAD
    squares = sum(size * (rate - share) ** 2 for rate, size in samples)
    spread = (squares / (share * (1 - share)) - a) / (b - a)
    return min(MOST_SPREAD, max(LEAST_SPREAD, spread))


# Merchants -----------------------------------------------------------------------------------------------------------

ENOUGH_DAYS = timedelta(days=7)  # a whole week: before that nobody knows its Sunday
ENOUGH_MINUTES = 40  # with an event, of the weeks learned from: twice a day is enough, three a week are not a rhythm
# How many weeks of one's own an hour of the week needs to outweigh what day and hour say by themselves, or as many as usually
# bring it so many minutes with an event: of whoever sells twice a day chance picks the hours.
PRIOR_WEEKS, PRIOR_MINUTES = 2, 2
ENOUGH_OF_AN_HOUR = 10  # minutes with an event that an hour of the day has on average, with the hours around it
WEEK_HOURS = 168
EDGE = 0.5  # an hour next to one with less than this share of it may begin later or end earlier
USUAL_AT_LEAST = math.log(1000)  # one silence in a thousand of random arrivals is longer
MOST_OF_A_DAY = 2  # times what the same day of other weeks has
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# And so may one next to an hour that is open for a part only: that has fewer minutes by this many, and borders on one with less
# than ``CLOSED`` of it. Not where it goes on rising behind it, to more than it has by ``LEVEL``: that is how a day begins slowly.
A_PART, CLOSED, LEVEL = USUAL_AT_LEAST, 0.1, 0.85


Away = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a merchant sends. ``rates``: by hour of the week from Monday 0:00 UTC, minutes of it that have an event.

    Minutes with an event are counted rather than events, so that a burst is one sign of life and not a thousand.
    ``usual``: how many such minutes its longest usual silence swallowed; see ``learn_rhythm``. ``events``: how many
    such a minute has on average. ``away``: spans, none of which overlap, in which nothing could come in, whatever was sent.
    ``sure``: as ``rates``, without what may come in the hour before or after instead; empty: nothing may. ``clumps``: how
    many such minutes of a day come or stay away together.
    """

    rates: tuple[float, ...]
    usual: float = USUAL_AT_LEAST
    events: float = 1.0
    away: tuple[Away, ...] = ()
    sure: tuple[float, ...] = ()
    clumps: float = 1.0

    def usually(self, start: datetime, end: datetime) -> float:
        """Minutes with an event that ``start`` to ``end`` has where all comes at its usual hour."""
        return _summed(self.rates, start, end)

    def expected(self, start: datetime, end: datetime) -> float:
        """Minutes with an event that ``start`` to ``end`` has at least, though all may come an hour sooner or later.

        That is what is ``sure`` in each hour, or all of the hours that lie inside with an hour to spare, whichever is more:
        what moves from one hour to the next is not gone. Of the latter, what comes or stays away together counts as one, as
        with a batch that is left out now and then. What may have fallen into ``away`` is left out.
        """
        return max(self._hour_by_hour(start, end), self._inside(start + HOUR, end - HOUR) / self.clumps)

    def missing(self, start: datetime, end: datetime) -> float:
        """Minutes with an event that probably would have come from ``start`` to ``end``: how many, and not how sure that is.

        As ``expected``, but of all whole hours, each minute by itself: nothing is taken off for what might have moved.
        """
        return max(self._hour_by_hour(start, end), self._inside(start, end))

    def _hour_by_hour(self, start: datetime, end: datetime) -> float:
        sure = self.sure or self.rates
        total = _summed(sure, start, end)
        for began, ended in self.away:
            if began < end and ended > start:
                total -= _summed(sure, max(start, began), min(end, ended))
        return max(0.0, total)

    def _inside(self, start: datetime, end: datetime) -> float:
        """Of whole hours alone: in which part of an hour its events come is not known."""
        start, end = _hour(start + HOUR - timedelta.resolution), _hour(end)
        if start >= end:
            return 0.0
        total = self.usually(start, end)
        # Hour -> minutes that were away, of it and of those beside it.
        lost: defaultdict[datetime, float] = defaultdict(float)
        for began, ended in self.away:
            hour = max(start, _hour(began - HOUR))
            while hour < min(end, ended + HOUR):
                lost[hour] += _overlap(hour - HOUR, hour + 2 * HOUR, [(began, ended)]) / MINUTE
                hour += HOUR
        return total - sum(min(self.rates[hour_of_week(hour)], minutes) for hour, minutes in lost.items())

    def away_for(self, start: datetime, end: datetime) -> timedelta:
        """How much of ``start`` to ``end`` falls into ``away``."""
        return _overlap(start, end, self.away)

    def silence(self, expected: float) -> timedelta | None:
        """How long a silence lasts on average that swallows so many minutes; None where it never sends."""
        pace = sum(self.rates) / WEEK_HOURS
        return HOUR * (expected / pace) if pace else None

    def level(self, spans: Sequence[tuple[datetime, datetime]], found: Sequence[int]) -> float:
        """How busy a merchant was in some spans, of which ``found`` minutes had an event, as a share of its usual: the

        least of them, at most 1, which also is what differs from it by chance alone (two standard deviations).
        """
        return min(
            (level_of(self.expected(*span), count) for span, count in zip(spans, found, strict=True)), default=1.0
        )


def level_of(usual: float, found: int) -> float:
    """``found`` as a share of what is usual; 1 where it is as much, or where chance alone may have made it less."""
    return found / usual if found < usual - 2 * math.sqrt(usual) else 1.0


def hour_of_week(at: datetime) -> int:
    at = at.astimezone(UTC)
    return at.weekday() * 24 + at.hour


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _summed(rates: Sequence[float], start: datetime, end: datetime) -> float:
    weeks, rest = divmod(end - start, timedelta(days=7))
    total = weeks * sum(rates)
    at, end = start, start + rest
    place = hour_of_week(at)
    while at < end:
        following = min(end, _hour(at) + HOUR)
        total += rates[place] * ((following - at) / HOUR)
        at, place = following, (place + 1) % WEEK_HOURS
    return total


def learn_rhythm(
    hours: Mapping[datetime, int],
    gaps: Sequence[tuple[datetime, datetime]],
    since: datetime,
    until: datetime,
    longest_within: float = 1.0,
    away: Sequence[Away] = (),
    told: Sequence[datetime] = (),
) -> Rhythm | None:
    """From minutes with an event by hour, and the longer silences between them; None where that is no rhythm.

    ``since`` (the first event, or four weeks ago) to ``until``: whole hours, of which those after the last event are
    left out: a silence that goes on is judged, and nothing is learned from it. An hour of the week is estimated from its
    own few weeks, drawn towards day times hour; sure of it is, at an edge, the least of itself and its neighbours: so that a
    clock change, and a shop that closes a little earlier, alarm nobody. The longest but one silence is the usual one, the
    longest may have been an outage: unless it is no more than ``longest_within`` times as long. Nothing is learned from
    what was ``away``, nor from outages of which somebody was ``told``.
    """
    until = min(until, learned_until(hours))
    if until - since < ENOUGH_DAYS or sum(hours.values()) < ENOUGH_MINUTES:
        return None
    outages = outages_among(gaps, told)
    gaps, away = [gap for gap in gaps if gap not in outages], _joined([*away, *outages])
    weeks = [0.0] * WEEK_HOURS
    for hour in _hours_of(since, until):
        weeks[hour_of_week(hour)] += 1.0 - _overlap(hour, hour + HOUR, away) / HOUR
    days = _days(hours, since, until)
    found = [0.0] * WEEK_HOURS
    for hour, count in _without_sales(hours, days).items():
        if since <= hour + HOUR and hour < until:
            found[hour_of_week(hour)] += count
    own = [n / max(1, times) for n, times in zip(found, weeks, strict=True)]
    mean = sum(own) / WEEK_HOURS
    by_day = [sum(own[day * 24 : day * 24 + 24]) / 24 / mean for day in range(7)]
    by_hour = _by_hour(own, (until - since) / timedelta(days=1))
    prior = [by_hour[place % 24] * by_day[place // 24] for place in range(WEEK_HOURS)]
    drawn = [_drawn(prior[place], found[place], weeks[place]) for place in range(WEEK_HOURS)]
    rates = tuple(min(60.0, rate) for rate in drawn)
    sure = tuple(min(60.0, _edged(drawn, prior, place)) for place in range(WEEK_HOURS))
    clumps = _clumps(days, since, until, away)
    rhythm = Rhythm(rates, away=tuple(away), sure=sure, clumps=clumps)
    swallowed = sorted(rhythm.expected(start, end) for start, end in gaps)
    usual = max(USUAL_AT_LEAST, swallowed[-2] if len(swallowed) > 1 else 0.0)
    if swallowed and usual < swallowed[-1] <= longest_within * usual:
        usual = swallowed[-1]
    return Rhythm(rates, usual, sure=sure, clumps=clumps)


def _hours_of(since: datetime, until: datetime) -> Iterator[datetime]:
    at = _hour(since)
    while at < until:
        yield at
        at += HOUR


def _days(hours: Mapping[datetime, int], since: datetime, until: datetime) -> dict[datetime, int]:
    """Start -> minutes with an event, of days that begin where the least is sent, so that none cuts a batch in two.

    The first and the last may reach beyond ``since`` and ``until``.
    """
    of_day = [0] * 24
    for hour, count in hours.items():
        of_day[hour.astimezone(UTC).hour] += count
    start = _hour(since.astimezone(UTC)) - timedelta(hours=(since.astimezone(UTC).hour - _quietest(of_day)) % 24)
    days = {start + n * DAY: 0 for n in range(-(-(until - start) // DAY))}
    for hour, count in hours.items():
        day = start + (hour - start) // DAY * DAY
        if day in days:
            days[day] += count
    return days


def _quietest(of_day: Sequence[int]) -> int:
    """The hour of the day that begins the farthest from what is sent."""

    def nearness(begins: int) -> float:
        return sum(of_day[(begins + n) % 24] / (1 + min(n, 23 - n)) for n in range(24))

    return min(range(24), key=nearness)


def _usual_days(days: Mapping[datetime, int], middle: Callable[[Sequence[int]], int]) -> dict[int, int]:
    """Day of the week -> what such a day has, in the middle of those on which anything came."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for day, count in days.items():
        if count:
            found[day.weekday()].append(count)
    return {weekday: middle(counts) for weekday, counts in found.items()}


def _without_sales(hours: Mapping[datetime, int], days: Mapping[datetime, int]) -> dict[datetime, float]:
    """Of a day with many times what is usual, no more than ``MOST_OF_A_DAY``: the hours of a sale are not open each week."""
    usual, start = _usual_days(days, median_high), min(days)  # of growth the newer half is what is usual
    found: dict[datetime, float] = {}
    for hour, count in hours.items():
        day = start + (hour - start) // DAY * DAY
        most = MOST_OF_A_DAY * usual[day.weekday()] if days.get(day) else 0
        found[hour] = count * min(1.0, most / days[day]) if most else count
    return found


def _clumps(days: Mapping[datetime, int], since: datetime, until: datetime, away: Sequence[Away]) -> float:
    """How much more than by chance a day has less than the same day of other weeks: Pearson's chi-square by its degrees of

    freedom (the dispersion of quasi-Poisson models; McCullagh and Nelder 1989, "Generalized Linear Models", 4.5). A day with
    more than is usual counts as a usual one: growth and a sale keep no event away. Left out are days that are not over, and
    those in which something was ``away`` for more than an hour.
    """
    usual_days = _usual_days(days, median_low)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for day, count in days.items():
        most = usual_days.get(day.weekday())
        if most and since <= day and day + DAY <= until and _overlap(day, day + DAY, away) <= HOUR:
            found[day.weekday()].append(min(count, most))
    squares, free = 0.0, 0
    for counts in found.values():
        usual = sum(counts) / len(counts)
        squares += sum((count - usual) ** 2 / usual for count in counts) if usual else 0.0
        free += len(counts) - 1
    return max(1.0, squares / max(1, free))


def _overlap(start: datetime, end: datetime, away: Sequence[Away]) -> timedelta:
    return sum((min(end, to) - max(start, since) for since, to in away if since < end and to > start), timedelta())


MOST_OUTAGES = 3  # of four weeks: what comes more often is what a merchant does
WEEK = timedelta(days=7)


def outages_among(
    gaps: Sequence[tuple[datetime, datetime]], told: Sequence[datetime]
) -> list[tuple[datetime, datetime]]:
    """The silences that were none of what is usual: those in which one was ``told``.

    One that comes at the same time of other weeks was told of wrongly, and so were more than a few.
    """
    outages = [gap for gap in gaps if any(gap[0] < at <= gap[1] for at in told) and not _recurs(gap, gaps)]
    return [] if len(outages) > MOST_OUTAGES else outages


def _joined(spans: Iterable[Away]) -> list[Away]:
    """Without overlaps."""
    found: list[Away] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _recurs(gap: tuple[datetime, datetime], gaps: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether there is a silence that has half of this one's time of the week, and is half as long, in another week."""
    for start, end in gaps:
        weeks = round((start - gap[0]) / WEEK)
        shifted = [(start - weeks * WEEK, end - weeks * WEEK)]
        if weeks and 2 * _overlap(*gap, shifted) >= max(gap[1] - gap[0], end - start):
            return True
    return False


def learned_until(hours: Mapping[datetime, object]) -> datetime:
    """The end of the last of some hours with an event."""
    return max(hours) + HOUR


def _by_hour(own: Sequence[float], days: float) -> list[float]:
    """What an hour of the day usually has, from what each hour of the week had in some days: with as many hours around it

    as it takes to tell an hour from chance. Else most hours of whoever sells twice a day would count as closed.
    """
    single = [sum(own[hour::24]) / 7 for hour in range(24)]
    reach = next((n for n in range(12) if (2 * n + 1) * sum(single) / 24 * days >= ENOUGH_OF_AN_HOUR), 0)
    around = range(-reach, reach + 1)
    return [sum(single[(hour + away) % 24] for away in around) / len(around) for hour in range(24)]


def _drawn(prior: float, found: float, weeks: float) -> float:
    """What an hour of the week usually has, of which so much was found in so many weeks."""
    of_prior = max(PRIOR_WEEKS, PRIOR_MINUTES / prior) if prior else PRIOR_WEEKS
    return (of_prior * prior + found) / (of_prior + weeks)


ENOUGH_OF_A_NAME = 50  # minutes with an event of four weeks
# Names come in clusters more than merchants do, and there are more of them: of theirs, the longest is an outage only if
# it is longer than the next one by far.
LONGEST_OF_A_NAME = 1.5


def learn_arrivals(
    hours: Mapping[datetime, tuple[int, int]],
    gaps: Sequence[tuple[datetime, datetime]],
    since: datetime,
    until: datetime,
    enough: int = ENOUGH_MINUTES,
    longest_within: float = 1.0,
    away: Sequence[Away] = (),
    told: Sequence[datetime] = (),
) -> Rhythm | None:
    """As ``learn_rhythm``, from (minutes with an event, events) by hour. ``enough``: such minutes, at least."""
    minutes = sum(found for found, _ in hours.values())
    if minutes < enough:
        return None
    of_hours = {hour: found for hour, (found, _) in hours.items()}
    rhythm = learn_rhythm(of_hours, gaps, since, until, longest_within, away, told)
    return rhythm and replace(rhythm, events=sum(events for _, events in hours.values()) / minutes)


def _edged(rates: Sequence[float], usual: Sequence[float], place: int) -> float:
    return min(_as_if_moved(rates, usual, place, to) for to in (-1, 1))


def _as_if_moved(rates: Sequence[float], usual: Sequence[float], place: int, to: int) -> float:
    """What an hour has where all comes an hour later (``to`` -1) or earlier (1), unless it is about the same.

    ``usual``: by the hour of the day, from many more of them.
    """
    own, beside, beyond = (rates[(place + far * to) % WEEK_HOURS] for far in range(3))
    is_edge = beside < EDGE * own
    is_level = usual[place] >= LEVEL * usual[(place - to) % WEEK_HOURS]
    if own - beside >= A_PART and beyond < CLOSED * own and (is_edge or is_level):
        # A shop that opens at half past may do so in this hour, too: its first half has nothing then, and not the half of it.
        return min(beside, beyond)
    return beside if is_edge else own
