"""How destinations are doing: from their counters, their state and what is normal for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from tracklayer.db import monitors as db
from tracklayer.db import standing as db_standing
from tracklayer.db.alerts import ToldAs, open_lately, told_as
from tracklayer.db.connection import in_transaction
from tracklayer.db.monitors import DestinationFacts, Key
from tracklayer.db.operator_alerts import open_troubles
from tracklayer.db.worth import Ages, Sales, sales_at
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors import OF_DESTINATIONS, judge_destination
from tracklayer.domain.monitors.causes import Cause, cause_told
from tracklayer.domain.monitors.learn import SuccessRate
from tracklayer.domain.monitors.platform_down import wants_run
from tracklayer.domain.monitors.queue_backlog import gather_backlogs
from tracklayer.domain.monitors.spans import Memory, Minute, spans_of
from tracklayer.domain.monitors.views import PAST, RECENT, RUN, DestinationView, Oldest, Told, wants_earlier, wants_past
from tracklayer.domain.monitors.worth import NOTHING
from tracklayer.domain.trouble import BROKER_KIND, NO_ROLE, OLD_QUEUE
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone
from tracklayer.services.watches.memory import MERCHANTS, Remembered
from tracklayer.services.watches.page import Page, Verdicts
from tracklayer.services.watches.refused_names import UNREAD, NamesRefused, Unread

TOLD_BEFORE = frozenset(OF_DESTINATIONS)
TELLS_A_SHARE = frozenset({AlertKind.PLATFORM_DOWN, AlertKind.DELIVERY_RATE_DROP})
LOSING = frozenset({AlertKind.PLATFORM_DOWN, AlertKind.QUEUE_BACKLOG})
SUM_EVERY, SUM_AGAIN = timedelta(minutes=1), 0.25
SUMMED = 20_000  # deliveries that one page's look adds up, more or less; what is left over comes first the next time
FIRST_SUMMED = 3  # destinations of its first statements; then up to twice as many, as what these read lets expect
FIRST_DUE = 20  # deliveries of each in trouble that are looked at for which is lost first, beside those that came first
LEAST_SUMMED = 100  # deliveries that a destination counts as besides


class Destinations:
    """The looks of one process at destinations. It remembers a little of what it saw, and judges the sharper for it."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._sales = SalesKnown()
        self._names = NamesRefused()

    def __call__(self, page: Page) -> Verdicts:
        facts = db.destination_facts(page.merchant_ids, page.now)
        verdicts = Verdicts()
        late: dict[int, list[Late]] = {merchant_id: [] for merchant_id in page.merchant_ids}
        unjudged: set[int] = set()
        views = _views(page, self._memory, facts)
        for (merchant_id, platform), view in _looked_into(page, views, self._sales, facts).items():
            is_judged = False
            with alone(page.runtime, f"judging merchant {merchant_id}, {platform},"):
                found, still = _judge(page, merchant_id, view)
                found += [finding for finding in still if is_shortage(finding)]
                is_down = any(finding.kind is AlertKind.PLATFORM_DOWN for finding in found)
                is_paused = view.state is DestinationState.PAUSED
                judged: Collection[AlertKind] = _judged_while_down(view) if is_down and not is_paused else _judged(view)
                named = self._of_names(page, merchant_id, view, found)
                if named is UNREAD:  # the alert about its rate stays as it is, too
                    judged = [kind for kind in judged if kind is not AlertKind.DELIVERY_RATE_DROP]
                if named is not None:
                    found = [finding for finding in found if finding.kind is not AlertKind.DELIVERY_RATE_DROP]
                if isinstance(named, Finding):
                    found.append(named)
                others = [finding for finding in found if not is_shortage(finding)]
                verdicts.add(merchant_id, [Subject(kind, platform) for kind in judged], others)
                late[merchant_id] += [(view, finding) for finding in found if is_shortage(finding)]
                is_judged = True
            if not is_judged:
                unjudged.add(merchant_id)
        for merchant_id in unjudged:
            del late[merchant_id]  # whether all of them are well is not known
        _tell_shortage(page, late, verdicts)
        # One that this version does not know, or that could not be looked at, is there all the same.
        _judge_removed(page, {(found.merchant_id, found.platform) for found in facts}, verdicts)
        return verdicts

    def _of_names(
        self, page: Page, merchant_id: int, view: DestinationView, found: Sequence[Finding]
    ) -> Finding | Unread | None:
        """What single names show, where the destination's own alerts do not tell the same."""
        kinds = {finding.kind for finding in found}
        is_ending = view.outage is not None and view.outage.until is None
        if AlertKind.PLATFORM_DOWN in kinds:
            return None
        if not view.told_names and (is_ending or AlertKind.DELIVERY_RATE_DROP in kinds):
            return None
        return self._names.look(page, merchant_id, view, view.told_names)


Late = tuple[DestinationView, Finding]  # a destination, and its own backlog for want of workers
BACKLOG = Subject(AlertKind.QUEUE_BACKLOG)  # of several destinations
TOLD_TO_OPERATOR = frozenset({NO_ROLE["worker"], OLD_QUEUE, BROKER_KIND})


def is_told_alone(found: Sequence[Finding], open_kinds: set[AlertKind]) -> bool:
    return not {AlertKind.PLATFORM_DOWN, AlertKind.QUEUE_BACKLOG}.isdisjoint(
        {*open_kinds, *(finding.kind for finding in found)}
    )


def is_shortage(finding: Finding) -> bool:
    return finding.kind is AlertKind.QUEUE_BACKLOG and finding.details.get("cause") is Cause.WORKERS


def _tell_shortage(page: Page, late: Mapping[int, Sequence[Late]], verdicts: Verdicts) -> None:
    """What waits for want of workers: one alert a merchant, and none as long as the operator is told and nothing is lost.

    A destination's own alert that is open stays by itself.
    """
    is_told = any(late.values()) and _operator_is_told(page.runtime)
    for merchant_id, found in late.items():
        open_now = page.open_subjects(merchant_id)
        told = BACKLOG in open_now
        if is_told and not told:
            found = [one for one in found if one[1].severity is Severity.CRITICAL or one[1].subject in open_now]
        own = [finding for _, finding in found if finding.subject in open_now]
        if found and (told or (len(found) > 1 and len(own) < len(found))):
            verdicts.add(merchant_id, [BACKLOG], [*own, gather_backlogs(found, page.now)])
        else:
            verdicts.add(merchant_id, [BACKLOG], [finding for _, finding in found])


def _operator_is_told(runtime: Runtime) -> bool:
    if not runtime.settings.operator_email and runtime.settings.operator_webhook is None:
        return False
    return any(trouble.kind in TOLD_TO_OPERATOR for trouble in open_troubles())


def _judged(view: DestinationView) -> Collection[AlertKind]:
    """While it is paused, nothing shows whether it takes anything: what is open about that stays open."""
    return [AlertKind.QUEUE_BACKLOG] if view.state is DestinationState.PAUSED else OF_DESTINATIONS


def _judged_while_down(view: DestinationView) -> Collection[AlertKind]:
    """While it is down, nothing is said of its rate and its queue: alerts of these stay as they are.

    But that it is paused is over once it is resumed, whether or not it takes anything then; and what waits as it does not answer,
    that it is down tells from now on.
    """
    is_resumed = view.told_backlog == Cause.PAUSED and view.state is not DestinationState.PAUSED
    is_the_same = cause_told(view.told_backlog, view.told_backlog_error) is not None
    return [AlertKind.PLATFORM_DOWN, *([AlertKind.QUEUE_BACKLOG] if is_resumed or is_the_same else [])]


def _judge(page: Page, merchant_id: int, view: DestinationView) -> tuple[list[Finding], list[Finding]]:
    """(what is found, what besides while the backlogs of several are told together).

    Then each asks for as much to be over as an open one of its own.
    """
    open_now = page.open_subjects(merchant_id)
    asked = {*_judged(view), AlertKind.PLATFORM_DOWN}  # that one has its words of a pause
    kinds = {kind for kind in asked if Subject(kind, view.platform) in open_now}
    if view.told_names:
        kinds.discard(AlertKind.DELIVERY_RATE_DROP)  # that is about names, and tells nothing of the whole
    found = judge_destination(view, kinds, page.now)
    if BACKLOG not in open_now or is_told_alone(found, kinds):
        return found, []
    return found, judge_destination(view, {*kinds, AlertKind.QUEUE_BACKLOG}, page.now)


class _Summed(NamedTuple):
    """``since``: from when on what was dropped was counted; ``waiting``: how many deliveries there were.

    ``flows``: whether some have left since, so that others may wait now; ``came_back``: whether some were queued again, so that
    what was lost may not be.
    """

    at: datetime
    since: datetime
    waiting: int
    sales: Sales
    flows: bool = False
    came_back: bool = False

    def lasts(self, since: datetime) -> timedelta:
        return SUM_EVERY if self.flows or self.came_back else max(SUM_EVERY, (self.at - since) * SUM_AGAIN)

    def seen(self, view: DestinationView) -> _Summed:
        later = [span for span in view.recent if span.start >= self.at]
        flows = self.flows or any(span.finished for span in later)
        came_back = self.came_back or any(span.requeued for span in later)
        # Where nothing is sent, what leaves was lost, and that is told whatever it is worth.
        matters = bool(self.sales.waiting.amounts) or view.state is not DestinationState.ACTIVE
        return self._replace(flows=flows and matters, came_back=came_back and bool(self.sales.dropped))

    def as_the_least(self, since: datetime, waiting: int, now: datetime) -> Sales:
        """What is left of it: what waits may have gone out, and others wait in its place; what was lost may be queued again."""
        is_old = now - self.at >= SUM_EVERY
        lost = {reason: replace(worth, is_all=False) for reason, worth in self.sales.lost.items()}
        dropped, refused = self.sales.dropped, replace(self.sales.refused, is_all=False)
        if since > self.since or (self.came_back and is_old):
            lost, dropped, refused = {}, {}, NOTHING  # something else is told than before
        if waiting < self.waiting or (self.flows and is_old):
            return Sales(refused=refused, lost=lost, dropped=dropped)
        waits, fails = (replace(worth, is_all=False) for worth in (self.sales.waiting, self.sales.failing))
        return Sales(waits, fails, refused, lost, dropped)


class SalesKnown:
    """What sales are worth at destinations in trouble, as a process added them up last.

    That reads up to thousands of rows of each, and a platform that is down is so for all merchants: it is done when
    something is found, and again when that has lasted a quarter longer, or after a minute where others wait, or are lost, by then.
    """

    def __init__(self) -> None:
        self._known: Remembered[Key, _Summed] = Remembered(MERCHANTS)

    def of(
        self,
        page: Page,
        views: Mapping[Key, DestinationView],
        troubled: Mapping[Key, Sequence[Finding]],
        ages: Mapping[Key, Ages] = {},
    ) -> dict[Key, Sales]:
        """Of those of which it is known. What was added up a while ago is told as the least that it is."""
        for key in views.keys() - troubled.keys():
            self._known.pop(key, None)
        known = {key: self._known[key].seen(views[key]) for key in troubled if key in self._known}
        self._known.update(known)
        summed_at = {key: known[key].at if key in known else None for key in troubled}
        begun = {key: min(finding.since for finding in found) for key, found in troubled.items()}
        wanted = [key for key, at in summed_at.items() if at is None or page.now - at >= known[key].lasts(begun[key])]
        due = deque(sorted(wanted, key=lambda one: (summed_at[one] is not None, summed_at[one] or page.now)))
        added: dict[Key, Sales] = {}
        tried: list[Key] = []
        left, several, is_well = SUMMED, FIRST_SUMMED, True
        while due and left > 0 and is_well:
            part = [due.popleft() for _ in range(min(several, len(due)))]
            tried += part
            is_well = False
            # An alert without its money is better than none: where this fails, what it did alone is undone.
            with alone(page.runtime, "adding up what sales are worth"), in_transaction():
                sums = sales_at({key: begun[key] for key in part}, ages)
                is_well = True
            if is_well:
                added |= sums
                read = sum(LEAST_SUMMED + one.read for one in sums.values())
                left -= read
                several = max(1, min(2 * several, left * len(part) // read))
        least = {key: one.as_the_least(begun[key], views[key].waiting, page.now) for key, one in known.items()}
        found = {**least, **added}
        for key in tried:
            sales = found.setdefault(key, Sales())
            self._known.note(key, _Summed(page.now, begun[key], views[key].waiting, sales))
        return found


def _looked_into(
    page: Page, views: Mapping[Key, DestinationView], known: SalesKnown, facts: Sequence[DestinationFacts]
) -> dict[Key, DestinationView]:
    """With what is read only of those where something is found; judged again, that makes the words."""
    in_trouble: dict[Key, list[Finding]] = {}
    for key, view in views.items():
        with alone(page.runtime, f"judging merchant {key[0]}, {key[1]},"):
            found, still = _judge(page, key[0], view)
            if found or still:
                in_trouble[key] = [*found, *still]
    keys = ((one.merchant_id, one.platform) for one in facts)
    ages = {
        key: mapper_for(key[1]).oldest_ages(one.settings)
        for key, one in zip(keys, facts, strict=True)
        if key in in_trouble
    }
    sales = known.of(page, views, in_trouble, ages)
    looked = {key: _with_sales(view, sales[key]) if key in sales else view for key, view in views.items()}
    late = [key for key, found in in_trouble.items() if any(finding.kind in LOSING for finding in found)]
    _tell_first_loss(page, looked, late, facts)
    troubled = {key: found for key, found in in_trouble.items() if views[key].state is DestinationState.ACTIVE}
    since = {key: min(finding.since for finding in found) for key, found in troubled.items()}
    # What waits may have come after the failure for which a platform is left alone.
    errors = db.last_errors({key: min(at, views[key].failing_since or at) for key, at in since.items()})
    due = {
        key: oldest.due_at
        for key, found in troubled.items()
        if (oldest := views[key].oldest) is not None
        and any(finding.kind is AlertKind.QUEUE_BACKLOG for finding in found)
    }
    seconds = db.answer_seconds(due, page.now - RECENT)
    for key in troubled:
        error, event_id = errors.get(key, (None, None))
        view = replace(looked[key], last_error=error, last_failed=event_id, answer_seconds=seconds.get(key))
        if any(span.unmappable for span in view.spans):
            view = replace(view, unmappable=db.unmappable_grounds(*key, since[key]))
        looked[key] = view
    return looked


def _tell_first_loss(
    page: Page, views: dict[Key, DestinationView], keys: Sequence[Key], facts: Sequence[DestinationFacts]
) -> None:
    """Writes down when the first that waits is lost, of those of the destinations of which it is not known."""
    wanted = [key for key in keys if views[key].waiting and views[key].first_loss_at is None]
    settings = {(one.merchant_id, one.platform): one.settings for one in facts}
    window = page.runtime.settings.retry_window
    for key, found in db_standing.longest_waiting_of(wanted, window, page.now, FIRST_DUE).items():
        ends = (_ends_at(key[1], settings[key], *one[1:]) for one in found)
        views[key] = replace(views[key], first_loss_at=min(ends))


def _ends_at(
    platform: str,
    settings: Mapping[str, str],
    window_ends_at: datetime,
    occurred_at: datetime | None,
    action_source: str | None,
) -> datetime:
    """When a delivery is lost: for its window, or for the age of its event."""
    if occurred_at is None or action_source is None:
        return window_ends_at
    age = mapper_for(platform).oldest_age(action_source, settings)
    return window_ends_at if age is None else min(window_ends_at, occurred_at + age)


def _with_sales(view: DestinationView, sales: Sales) -> DestinationView:
    return replace(
        view,
        waiting_worth=sales.waiting,
        failing_worth=sales.failing,
        refused_worth=sales.refused,
        lost_worth=sales.lost,
        lost_count=sales.dropped,
    )


def _judge_removed(page: Page, there: set[Key], verdicts: Verdicts) -> None:
    """An alert about a destination that was removed has nothing to be about any more: it is judged, and resolves."""
    for (merchant_id, subject), (_, resolved_at) in page.lately.items():
        if resolved_at is None and subject.platform is not None and (merchant_id, subject.platform) not in there:
            verdicts.add(merchant_id, [subject])


def _views(page: Page, memory: Memory, found: Sequence[DestinationFacts]) -> dict[Key, DestinationView]:
    """Of the destinations on platforms that this version knows; without one whose facts make no sense to it."""
    now, lately = page.now, page.lately
    recent_since = (now - RECENT).replace(second=0, microsecond=0)
    minutes = db.recent_minutes(page.merchant_ids, recent_since, now)
    open_ones = [key[0] for key, (_, until) in lately.items() if key[1].kind in TOLD_BEFORE and until is None]
    told = told_as(list(dict.fromkeys(open_ones)), TOLD_BEFORE) if open_ones else {}
    views = {}
    for facts in found:
        key = facts.merchant_id, facts.platform
        if facts.platform not in PLATFORMS:
            continue
        with alone(page.runtime, f"the monitors' look at merchant {key[0]}, {key[1]},"):
            view = _view(facts, minutes.get(key, []), memory, now)
            outage = key[0], Subject(AlertKind.PLATFORM_DOWN, key[1])
            rate_drop = key[0], Subject(AlertKind.DELIVERY_RATE_DROP, key[1])
            before, backlog = told.get(outage), told.get((key[0], Subject(AlertKind.QUEUE_BACKLOG, key[1])))
            views[key] = replace(
                view,
                outage=_told(lately.get(outage), before),
                rate_drop=_told(lately.get(rate_drop), told.get(rate_drop)),
                told_cause=before.cause if before else None,
                told_reason=before.reason if before else None,
                told_backlog=backlog.cause if backlog else None,
                told_backlog_error=backlog.reason if backlog else None,
                backlog_began=backlog.began if backlog else None,
                told_names=told[rate_drop].event_names if rate_drop in told else (),
            )
    wanted = [
        key
        for key, view in views.items()
        if wants_past(view.recent, view.success)
        or view.failing_since is not None
        or any(one is not None and one.until is None for one in (view.outage, view.rate_drop))
    ]
    past_since = (now - PAST).replace(second=0, microsecond=0)
    for key, past in db.past_minutes(wanted, past_since, recent_since).items():
        views[key] = replace(views[key], past=spans_of(past, (), now))
    seldom = [key for key in wanted if wants_run(views[key])]
    for key, run in db.runs(seldom, now - RUN, past_since, now).items():
        views[key] = replace(views[key], past=[*run, *views[key].past])
    few = [key for key in wanted if key not in seldom and wants_earlier(views[key])]
    since = _since_last_told(few, now)
    # What an open drop counts, it goes on to count.
    since |= {
        key: began for key in wanted if key not in seldom and (began := _drop_began(views[key])) and began < past_since
    }
    for key, hours in db.earlier(since, past_since).items():
        views[key] = replace(views[key], earlier=[hour.without_late() for hour in hours])
    paused = [key for key, view in views.items() if view.state is DestinationState.PAUSED]
    _tell_first_loss(page, views, paused, found)
    return views


def _drop_began(view: DestinationView) -> datetime | None:
    """Since when its open drop, of all its events, tells of it."""
    drop = view.rate_drop
    if drop is None or drop.until is not None or drop.began is None or view.told_names:
        return None
    return drop.began.replace(second=0, microsecond=0)


def _since_last_told(keys: Sequence[Key], now: datetime) -> dict[Key, datetime]:
    """How far back a destination's share is judged: to the end of the last alert that told of it, four weeks at most."""
    since = dict.fromkeys(keys, (now - RUN).replace(minute=0, second=0, microsecond=0))
    if since:
        lately = open_lately(sorted({merchant_id for merchant_id, _ in keys}), now - RUN, now)
        for (merchant_id, subject), (_, until) in lately.items():
            key = merchant_id, subject.platform or ""
            if key in since and subject.kind in TELLS_A_SHARE and until is not None:
                since[key] = max(since[key], until)
    return since


def _told(span: tuple[datetime, datetime | None] | None, before: ToldAs | None) -> Told | None:
    return None if span is None else Told(*span, before.began if before is not None else None)


def _view(facts: DestinationFacts, minutes: Sequence[Minute], memory: Memory, now: datetime) -> DestinationView:
    merchant_id, platform = facts.merchant_id, facts.platform
    spans = spans_of(minutes, memory.cuts(merchant_id, platform), now)
    memory.note(merchant_id, platform, minutes, now)
    learned = facts.learned
    return DestinationView(
        platform,
        mapper_for(platform).title,
        DestinationState(facts.state),
        facts.state_reason,
        facts.failing_since,
        facts.resume_at,
        spans,
        success=SuccessRate(**learned) if learned else None,
        waiting=facts.waiting,
        oldest=_oldest(facts),
        recovering_since=facts.recovering_since,
        credential=_credential(platform),
    )


def _credential(platform: str) -> str:
    """``access token``, where that is the one secret a platform asks for."""
    secrets = [setting.label for setting in mapper_for(platform).settings if setting.secret and setting.required]
    if len(secrets) != 1:
        return "credentials"
    label = secrets[0]
    return label if label[:2].isupper() else label[:1].lower() + label[1:]  # "API secret" stays


def _oldest(facts: DestinationFacts) -> Oldest | None:
    if facts.due_at is None or facts.window_ends_at is None:
        return None
    ends_at = _ends_at(facts.platform, facts.settings, facts.window_ends_at, facts.occurred_at, facts.action_source)
    return Oldest(facts.due_at, ends_at)
