"""A look at every destination and merchant: what the counters say is judged, and alerts are made of the verdicts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import alerts as db_alerts
from tracklayer.db import monitors as db
from tracklayer.db.alerts import Subject
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.db.monitors import DestinationFacts, Key
from tracklayer.domain.alert import AlertKind, Finding
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.monitors import OF_DESTINATIONS, judge_destination, judge_merchant
from tracklayer.domain.monitors.learn import LEARN_FROM, Rhythm, SuccessRate, learn_rhythm, learn_success
from tracklayer.domain.monitors.spans import Memory, Minute, spans_of
from tracklayer.domain.monitors.tracking_stopped import LEAST_SILENCE, may_have_stopped
from tracklayer.domain.monitors.views import (
    LEVEL_OF,
    PAST,
    RECENT,
    DestinationView,
    MerchantView,
    Oldest,
    Told,
    wants_past,
)
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.alert import settle_findings
from tracklayer.services.alone import alone, is_everybodys, pages_of_merchants, tell_fault

MERCHANTS = 200  # of one page: one transaction of a few statements
LOOK = timedelta(seconds=20)  # what is left is taken up by the next one
ROUND = "monitor"
LEARN_EVERY = timedelta(hours=6)
LEARN_MERCHANTS = 50  # by one call
Lately = Mapping[tuple[int, AlertKind, str | None], tuple[datetime, datetime | None]]  # opened, resolved


class Watch:
    """The looks of one process. It remembers a little of what it saw, and judges the sharper for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._memory = Memory()

    def look(self) -> int:
        """Judges everything once; how many alerts opened, opened again or resolved.

        Safe with any number of processes at once, not with several threads of one.
        """
        changed, ends = 0, time.monotonic() + LOOK.total_seconds()
        for page in pages_of_merchants(ROUND, MERCHANTS):
            changed += self._look_at([merchant_id for merchant_id, _ in page])
            if time.monotonic() > ends:
                break  # the next look begins behind this page
        return changed

    def _look_at(self, merchant_ids: Sequence[int]) -> int:
        """A page; where it fails, its halves, until whoever it fails for stands alone."""
        try:
            return _look_at(self._runtime, self._memory, merchant_ids)
        except Exception as error:
            if is_everybodys(error):
                raise
            if len(merchant_ids) == 1:
                tell_fault(self._runtime, f"the monitors' look at merchant {merchant_ids[0]}", error)
                return 0
        middle = len(merchant_ids) // 2
        return self._look_at(merchant_ids[:middle]) + self._look_at(merchant_ids[middle:])


def _look_at(runtime: Runtime, memory: Memory, merchant_ids: Sequence[int]) -> int:
    now = runtime.clock.now()
    with in_transaction():
        lately = db_alerts.open_lately(merchant_ids, now - PAST)
        open_now = {key for key, (_, resolved_at) in lately.items() if resolved_at is None}
        facts = db.destination_facts(merchant_ids, now)
        views = _destination_views(runtime, memory, merchant_ids, facts, lately, now)
        merchants = _merchant_views(merchant_ids, now)
        findings: dict[int, list[Finding]] = {}
        judged: dict[int, list[Subject]] = {}
        for (merchant_id, platform), view in views.items():
            kinds = {kind for kind in OF_DESTINATIONS if (merchant_id, kind, platform) in open_now}
            with alone(runtime, f"judging merchant {merchant_id}, {platform},"):
                found = _judge(merchant_id, view, kinds, now)
                findings.setdefault(merchant_id, []).extend(found)
                # While it is down, nothing is said of its rate and its queue: alerts of these stay as they are.
                is_down = any(finding.kind is AlertKind.PLATFORM_DOWN for finding in found)
                judged.setdefault(merchant_id, []).extend(
                    (kind, platform) for kind in ([AlertKind.PLATFORM_DOWN] if is_down else OF_DESTINATIONS)
                )
        for merchant_id, merchant in merchants.items():
            findings.setdefault(merchant_id, []).extend(judge_merchant(merchant, now))
            judged.setdefault(merchant_id, []).append((AlertKind.TRACKING_STOPPED, None))
    # One that this version does not know, or that could not be looked at, is there all the same.
    _judge_removed({(found.merchant_id, found.platform) for found in facts}, open_now, judged)
    changed = 0
    for merchant_id, subjects in judged.items():
        is_known = any(subject in subjects for subject in _subjects(merchant_id, open_now))
        if findings.get(merchant_id) or is_known:
            changed += len(settle_findings(runtime, merchant_id, findings.get(merchant_id, []), subjects, now))
    return changed


def _judge(merchant_id: int, view: DestinationView, kinds: set[AlertKind], now: datetime) -> list[Finding]:
    found = judge_destination(view, kinds, now)
    if found and view.state is DestinationState.ACTIVE:
        return judge_destination(replace(view, last_error=db.last_error(merchant_id, view.platform)), kinds, now)
    return found


def _subjects(merchant_id: int, open_now: set[tuple[int, AlertKind, str | None]]) -> list[Subject]:
    return [(kind, platform) for merchant, kind, platform in open_now if merchant == merchant_id]


def _judge_removed(
    there: set[Key],
    open_now: set[tuple[int, AlertKind, str | None]],
    judged: dict[int, list[Subject]],
) -> None:
    """An alert about a destination that was removed has nothing to be about any more: it is judged, and resolves."""
    for merchant_id, kind, platform in open_now:
        if platform is not None and (merchant_id, platform) not in there:
            judged.setdefault(merchant_id, []).append((kind, platform))


def _destination_views(
    runtime: Runtime,
    memory: Memory,
    merchant_ids: Sequence[int],
    found: Sequence[DestinationFacts],
    lately: Lately,
    now: datetime,
) -> dict[Key, DestinationView]:
    """Of the destinations on platforms that this version knows; without one whose facts make no sense to it."""
    recent_since = (now - RECENT).replace(second=0, microsecond=0)
    minutes = db.recent_minutes(merchant_ids, recent_since)
    views = {}
    for facts in found:
        key = facts.merchant_id, facts.platform
        if facts.platform not in PLATFORMS:
            continue
        with alone(runtime, f"the monitors' look at merchant {key[0]}, {key[1]},"):
            view = _destination_view(facts, minutes.get(key, []), memory, now)
            outage = lately.get((key[0], AlertKind.PLATFORM_DOWN, key[1]))
            rate_drop = lately.get((key[0], AlertKind.DELIVERY_RATE_DROP, key[1]))
            views[key] = replace(
                view, outage=Told(*outage) if outage else None, rate_drop=Told(*rate_drop) if rate_drop else None
            )
    wanted = [
        key for key, view in views.items() if wants_past(view.recent, view.success) or view.failing_since is not None
    ]
    for key, past in db.past_minutes(wanted, now - PAST, recent_since).items():
        views[key] = replace(views[key], past=spans_of(past, (), now))
    return views


def _destination_view(
    facts: DestinationFacts, minutes: Sequence[Minute], memory: Memory, now: datetime
) -> DestinationView:
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
    )


def _oldest(facts: DestinationFacts) -> Oldest | None:
    if facts.due_at is None or facts.window_ends_at is None:
        return None
    expires_at = facts.window_ends_at
    if facts.occurred_at is not None and facts.action_source is not None:
        age = mapper_for(facts.platform).oldest_age(facts.action_source, facts.settings)
        if age is not None:
            expires_at = min(expires_at, facts.occurred_at + age)
    return Oldest(facts.due_at, expires_at)


def _merchant_views(merchant_ids: Sequence[int], now: datetime) -> dict[int, MerchantView]:
    views = {}
    for merchant_id, learned, minute in db.last_events(merchant_ids, now - LEARN_FROM):
        rhythm = rhythm_of(learned)
        if minute is None:
            continue  # silent for weeks: whoever is to know does, and an open alert stays
        last = minute + timedelta(minutes=1)  # somewhere in that minute
        view = MerchantView(rhythm, last)
        if may_have_stopped(rhythm, last, now):
            spans = [(last - length, last) for length in LEVEL_OF]
            level = rhythm.level(spans, db.minutes_with_events(merchant_id, spans))
            view = MerchantView(rhythm, last, level, db.rejected_since(merchant_id, last))
        views[merchant_id] = view
    return views


# Learning ------------------------------------------------------------------------------------------------------------


def learn_baselines(runtime: Runtime) -> int:
    """Learns anew what is normal for the merchants whose baselines are the oldest; of how many."""
    now = runtime.clock.now()
    until = now.replace(minute=0, second=0, microsecond=0)
    ends = time.monotonic() + LOOK.total_seconds()
    with in_transaction():
        merchant_ids = db.merchants_to_learn(now - LEARN_EVERY, LEARN_MERCHANTS)
    count = 0
    for merchant_id in merchant_ids:
        if time.monotonic() > ends:
            break
        learned = False
        what = f"learning what is normal for merchant {merchant_id}"
        with alone(runtime, what), in_transaction(), statements_within(LONG_SECONDS):
            db.write_baselines(merchant_id, learned_of(merchant_id, until), now)
            learned = True
        count += learned
        if not learned:
            # What was learned before stays, and it is not the first again the next time.
            with alone(runtime, f"putting off merchant {merchant_id}"), in_transaction():
                db.write_baselines(merchant_id, {"": None}, now)
    return count


def learned_of(merchant_id: int, until: datetime) -> dict[str, Any]:
    """What the four weeks before tell of a merchant ('') and of each destination, as JSON. Needs an open transaction."""
    since = until - LEARN_FROM
    hours = db.active_hours(merchant_id, since, until)
    learned: dict[str, Any] = {"": None}
    if hours:
        gaps = db.longest_gaps(merchant_id, since, until, LEAST_SILENCE)
        rhythm = learn_rhythm(hours, gaps, max(since, min(hours)), until)
        if rhythm is not None:
            learned[""] = {"rates": [round(rate, 4) for rate in rhythm.rates], "usual": round(rhythm.usual, 3)}
    for platform, attempts in db.attempts_by_hour(merchant_id, since, until).items():
        success = learn_success(attempts)
        if success is not None:
            learned[platform] = {"share": success.share, "spread": success.spread, "attempts": success.attempts}
    return learned


def rhythm_of(learned: dict[str, Any]) -> Rhythm:
    return Rhythm(tuple(learned["rates"]), learned["usual"])
