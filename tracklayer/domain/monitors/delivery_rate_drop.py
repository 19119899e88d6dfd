"""``delivery_rate_drop``: of what is meant for a destination markedly less is taken than usual, or than is bearable."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.delivery import UNMAPPABLE, DestinationState
from tracklayer.domain.monitors.causes import Cause, cause_of_attempts
from tracklayer.domain.monitors.learn import LEARN_FROM, LEAST_SPREAD, TRIMMED, SuccessRate
from tracklayer.domain.monitors.refusals import NOT_KNOWN, lacking, next_step, others, rule
from tracklayer.domain.monitors.statistics import failures_at_least
from tracklayer.domain.monitors.steadiness import LATELY
from tracklayer.domain.monitors.views import BEARABLE_SHARE, SMALL_SAMPLE, DestinationView, Span, wants_earlier
from tracklayer.domain.monitors.words import capitalised, clock_time, ended, lasting, percent
from tracklayer.domain.monitors.worth import Worth, details, in_sales, said

# Besides the minute that runs. Short ones find a sudden drop at a busy destination, long ones any drop at a quiet one.
WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 2, 5, 15, 60, 360, 1440))
# Of whom a day holds hardly any event. So few are judged seldom: a larger chance is as seldom wrong.
DAYS, CHANCE_OF_DAYS = tuple(timedelta(days=days) for days in (3, 7, 14, 28)), 1e-4
LEAST_SAMPLE = 20  # first outcomes
CHANCE = 1e-7  # of so many failures at its usual rate
FLOOR = 0.10  # a drop by less than ten points is not worth waking anybody
FRESH = 8  # newest events, of which
FRESH_GOOD = 2  # so many must be acknowledged: where none is any more, the platform is down and that is told
A_LOOK = timedelta(seconds=10)  # less than lies between two looks


@dataclass(frozen=True, slots=True)
class Expected:
    """What a destination is held against. ``usual`` None: no past of its own that is worth anything.

    ``or_more``: what is usual may be more than ``share``.
    """

    share: float
    spread: float
    floor: float
    least: int
    usual: SuccessRate | None
    or_more: bool = False

    def at_least(self) -> Expected:
        """As if the worst hours, which were left out as outages, were usual (``learn_success``).

        They are where an hour holds an event or two: each that is refused makes an hour as bad as an outage does.
        """
        return self if self.usual is None else replace(self, share=self.share * (1 - TRIMMED), or_more=True)

    @property
    def said(self) -> str:
        return f"{percent(self.share)}{' or more' if self.or_more else ''}"


# Of a new destination, and of one that has never been well: a lasting loss of two fifths is no rate to get used to.
BEARABLE = Expected(BEARABLE_SHARE, LEAST_SPREAD, 0.2, 50, None)


def expected_of(usual: SuccessRate | None) -> Sequence[Expected]:
    """Its own rate, and where that is none or below what is bearable, that too."""
    own = [] if usual is None else [Expected(usual.share, usual.spread, FLOOR, LEAST_SAMPLE, usual)]
    return own if usual is not None and usual.share >= BEARABLE.share else [*own, BEARABLE]


def judge_delivery_rate_drop(view: DestinationView, *, is_open: bool, now: datetime) -> Finding | None:
    """Its success rate over one of eight windows, of at least 20 events, fell by ten points and more than chance allows.

    Only the first outcome of each event counts: what fails for good is sent five times, and would be five failures; what
    the platform's rules refuse beforehand is one. The test is the beta-binomial one against the destination's own rate of
    four weeks with its own spread (``learn_success``), one-sided, at one in 10^7. Where nothing was learned, or less than
    80 % taken was learned, it is told as well when two fifths of at least 50 events failed and 80 % taken rules that out
    as chance. A window never reaches back into an outage or a drop that was told, and the last five minutes with events
    must bear it out. Where a day holds hardly any events, its own rate is taken for the least that it may be
    (``Expected.at_least``), and up to four weeks are judged, too, at one in 10^4: what came in one hour of them, as the events of
    a cart do, counts as one.
    An open one stays while these five minutes are more than half the floor below what is expected.
    """
    if view.state is not DestinationState.ACTIVE:
        return None
    if not is_open and (view.failing_since is not None or not any(span.first_failed for span in view.recent)):
        return None  # where nothing is answered right now, the next look knows whether it is down
    is_of_few = _is_of_few(view)
    windows = (*WINDOWS, *(DAYS if view.earlier and wants_earlier(view) else ()))
    view = replace(view, past=[*view.earlier, *view.past])
    for usual in expected_of(view.success):
        expected = usual.at_least() if is_of_few else usual
        window = _still_low(view.spans, expected)
        if window is not None and not is_open:
            window = _dropped(view, expected, windows, now)
        if window is not None:
            return _finding(view, expected, window, _whole(view, window), now)
    return None


def _is_of_few(view: DestinationView) -> bool:
    """Whether its days hold hardly any events, though this one may hold more."""
    return (bool(view.earlier) and wants_earlier(view)) or (
        view.success is not None and view.success.attempts < SMALL_SAMPLE * (LEARN_FROM / timedelta(days=1))
    )


@dataclass(frozen=True, slots=True)
class Window:
    """First outcomes since an instant. The last three are all outcomes, first or not, and only tell the causes apart."""

    since: datetime
    good: int
    bad: int
    refused: int = 0
    unmappable: int = 0
    unanswered: int = 0
    mostly_credentials: bool = False
    mostly_unknown: bool = False
    together: float = 1.0  # how many of them count as one

    def chance(self, expected: Expected) -> float:
        """Of so many failures at the usual rate."""
        total, bad = (self.good + self.bad) / self.together, self.bad / self.together
        # Of what counts as one, how alike it is says no more about the others.
        spread = expected.spread if self.together == 1.0 else LEAST_SPREAD
        return failures_at_least(math.floor(bad), math.ceil(total), 1 - expected.share, spread)


def _finding(view: DestinationView, expected: Expected, window: Window, whole: Window, now: datetime) -> Finding:
    """``window``: how it is now; ``whole``: all since the drop began, which is what is lost."""
    total = window.good + window.bad
    rate = window.good / total
    usual = expected.usual
    if usual is not None:
        normal = f"{expected.said} is usual."
        instead = f" instead of {expected.said}"
    else:
        normal = f"the least to be expected of a destination is {percent(expected.share)}."
        instead = ""
    figures = f"{percent(rate)} were accepted at the first attempt {_within(now - window.since)}; {normal}"
    cause, title, message, money = _words(view, window, whole, rate, instead)
    worst = view.unmappable[0] if view.unmappable and window.unmappable else None
    return Finding(
        AlertKind.DELIVERY_RATE_DROP,
        view.platform,
        Severity.CRITICAL if rate < 0.5 else Severity.WARNING,
        title,
        f"{message} {figures}",
        whole.since,
        {
            "cause": cause,
            "success_rate": round(rate, 4),
            "usual_success_rate": round(expected.share, 4) if usual is not None else None,
            "acknowledged": whole.good,
            "failed": whole.bad,
            "unmappable": whole.unmappable,
            "probability": window.chance(expected),
            "last_error": view.last_error,
            "drop_reason": worst.reason if worst else None,
            "field": worst.field if worst else None,
            "example_event_id": worst.example if worst else view.last_failed,
            **details(**money),
        },
    )


def _within(span: timedelta) -> str:
    return f"in {lasting(span)}" if span >= timedelta(minutes=1) else "within this minute"


def _whole(view: DestinationView, window: Window) -> Window:
    """All since the drop began: as it was told, or else from the first failure of a window on."""
    began = view.known_since(view.rate_drop)
    first = next((span.start for span in view.spans if span.start >= window.since and span.first_failed), window.since)
    since = first if began is None else min(began, first)
    # A minute that was cut where it began is whole by now: nothing failed in its first part.
    inside = [span for span in view.spans if span.start >= since.replace(second=0, microsecond=0)]
    return _window(since, inside)


def _words(
    view: DestinationView, window: Window, whole: Window, rate: float, instead: str
) -> tuple[Cause, str, str, dict[str, Worth]]:
    """(cause, title, what is lost and who must do what, what that is worth): of the larger cause, where there are several."""
    name, total = view.name, whole.good + whole.bad
    since = clock_time(whole.since)
    began = view.rate_drop.began if view.rate_drop is not None and view.rate_drop.until is None else None
    if began is not None and began < whole.since:
        since += f" alone (it began {clock_time(began)})"
    last = f" What {name} said last: {ended(view.last_error)}" if view.last_error else ""
    if window.unmappable >= max(window.refused, window.unanswered, 1):
        part = min(window.unmappable, window.bad) / (window.good + window.bad)
        worth = view.lost(UNMAPPABLE)
        lost = (
            f"{whole.unmappable:,} of {total:,} events since {since} cannot be sent to {name} and are lost to it"
            f"{in_sales(worth)}"
        )
        title = f"{name} can be sent only {percent(rate)} of your events{instead}"
        if not view.unmappable:
            return Cause.UNMAPPABLE, title, f"{lost}: {NOT_KNOWN}.", {"lost_worth": worth}
        worst = view.unmappable[0]
        why = f"{percent(worst.share * part)} {lacking(worst)}. {capitalised(next_step(worst))}{rule(worst)}"
        return Cause.UNMAPPABLE, title, f"{lost}: {why}{others(view.unmappable, part)}", {"lost_worth": worth}
    worths = {"failing_worth": view.failing_worth, "lost_worth": view.refused_worth}
    if window.unanswered > window.refused:
        why_not = cause_of_attempts(
            view.last_error, is_shut_out=window.mostly_credentials, is_unknown=window.mostly_unknown
        )
        money = said(view.failing_worth)
        words = (
            f"{whole.bad:,} of {total:,} events since {since} got no answer of {name} that counts at the first attempt:"
            " they are sent again, up to five times in a day, and lost only if none gets through"
            f"{f'; sales worth {money} wait for that' if money else ''}."
            f" {why_not.what_to_do(name, view.credential, whole.bad)}{last}"
        )
        title = f"{why_not.title(name, view.credential)}: {percent(rate)} get through{instead}"
        return why_not.cause, title, words, worths
    example = f", event `{view.last_failed}` for one" if view.last_failed else ""
    unmappable = f" {whole.unmappable:,} more could not even be sent: {NOT_KNOWN}." if whole.unmappable else ""
    money = in_sales(view.failing_worth + view.refused_worth)
    words = (
        f"{name} did not accept {max(0, whole.bad - whole.unmappable):,} of {total:,} events since {since}{money}, and each of"
        " them is lost to it unless a later attempt succeeds. Whoever last changed your shop's events or this destination's settings must look at what"
        f" changed then: the deliveries that failed say what is wrong with each{example}.{last}{unmappable}"
    )
    return Cause.REFUSED, f"{name} accepts {percent(rate)}{instead or ' of your events'}", words, worths


def _dropped(view: DestinationView, expected: Expected, windows: Sequence[timedelta], now: datetime) -> Window | None:
    """The shortest window in which the drop is beyond chance."""
    told = [told.until for told in (view.outage, view.rate_drop) if told is not None and told.until is not None]
    spans = [span for span in view.spans if all(span.start >= until for until in told)]
    if not _is_partial(spans) or _may_be_all(spans, expected, now):
        return None
    minute = now.replace(second=0, microsecond=0)
    for length in windows:
        is_long = length > WINDOWS[-1]
        since = max([minute - length, *told, *([spans[0].start] if is_long else [])])
        inside = [span for span in spans if span.start >= since]
        window = _window(since, inside)
        total = window.good + window.bad
        notable = 1 - expected.share + expected.floor
        if total < expected.least or window.bad / total < notable:
            continue
        is_new = length <= LATELY or not any(span.unanswered for span in inside if span.start < now - LATELY)
        refused = max(0, window.bad - window.unanswered)
        if (is_new or is_long) and window.unanswered and refused < notable * (window.good + refused):
            continue  # a platform that comes and goes is told as that; what fails seldom enough for a rate lasts longer
        if is_long:
            window = replace(window, together=_of_an_hour(inside))
        if window.chance(expected) < (CHANCE_OF_DAYS if is_long else CHANCE):
            return window
    return None


def _of_an_hour(spans: Sequence[Span]) -> float:
    """How many first outcomes the hour of an event has on average, itself among them.

    Of so many that fare alike the share varies as that of one in so many does (the design effect of clusters; Kish 1965, "Survey
    Sampling", 5.4).
    """
    hours: Counter[datetime] = Counter()
    for span in spans:
        hours[span.start.replace(minute=0, second=0, microsecond=0)] += span.first_acknowledged + span.first_failed
    return max(1.0, sum(count**2 for count in hours.values()) / max(1, hours.total()))


def _window(since: datetime, spans: Sequence[Span]) -> Window:
    return Window(
        since,
        sum(span.first_acknowledged for span in spans),
        sum(span.first_failed for span in spans),
        sum(span.refused for span in spans),
        sum(span.unmappable for span in spans),
        sum(span.unanswered for span in spans),
        sum(span.credentials_refused for span in spans) * 2 > sum(span.unanswered for span in spans),
        sum(span.unknown for span in spans) * 2 > sum(span.unanswered for span in spans),
    )


def _is_partial(spans: Sequence[Span]) -> bool:
    """Whether the newest events, the running minute first, hold failures and acknowledgements both."""
    good = bad = 0
    for span in reversed(spans):
        good, bad = good + span.first_acknowledged, bad + span.first_failed
        if good + bad >= FRESH:
            break
    return good >= FRESH_GOOD and bad > 0


def _may_be_all(spans: Sequence[Span], expected: Expected, now: datetime) -> bool:
    """Whether all may be refused from a moment within the newest span on, before which all was as usual.

    The next look knows, or no event came until then: a shop that sends once an hour is not waited for.
    """
    if expected.usual is None:
        return False
    newest_first = [span for span in reversed(spans) if span.first_acknowledged or span.first_failed]
    if now - newest_first[0].end >= A_LOOK or newest_first[0].first_acknowledged + newest_first[0].first_failed < FRESH:
        return False
    good = bad = 0
    for span in newest_first[1:]:
        good, bad = good + span.first_acknowledged, bad + span.first_failed
        if good + bad >= FRESH:
            break
    return bad < (1 - expected.share + expected.floor) * (good + bad)


def _still_low(spans: Sequence[Span], expected: Expected) -> Window | None:
    good = bad = 0
    minutes = set()
    late = []
    for span in reversed(spans):
        if not span.first_acknowledged and not span.first_failed:
            continue
        minutes.add(span.start.replace(second=0, microsecond=0))
        if len(minutes) > 5 and good + bad >= LEAST_SAMPLE:
            break
        good, bad = good + span.first_acknowledged, bad + span.first_failed
        late.append(span)
    if not late or good / (good + bad) >= expected.share - expected.floor / 2:
        return None
    return _window(late[-1].start, late)
