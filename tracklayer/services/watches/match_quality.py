"""Whether events still carry what the platforms match people by: ``match_quality_drop``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import match_quality as db
from tracklayer.db.coverage import Covered, coverage_by_hour, names_of
from tracklayer.db.match_quality import Key
from tracklayer.domain.alert import AlertKind, Subject
from tracklayer.domain.monitors.coverage import TRACKED, Bin, Cells, NameBaseline, busiest, learn_name, tally
from tracklayer.domain.monitors.learn import LEARN_FROM
from tracklayer.domain.monitors.match_quality_drop import (
    DEEP_LOOK,
    GLANCE,
    LOOK_BACK,
    Fall,
    NameView,
    judge_match_quality_drop,
    wants_past,
)
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.services.watches.memory import Remembered
from tracklayer.services.watches.page import Page, Verdicts

MINUTE = timedelta(minutes=1)
LEAST_GLANCE = timedelta(minutes=5)
LONGEST_REST = timedelta(minutes=30)  # between two looks at a name of which few events come
MOST_NAMES = 50_000  # of which a process remembers when it looked at them


class MatchQuality:
    """The looks of one process. It looks at a name again when about another event should have come, by whole minutes."""

    def __init__(self) -> None:
        self._due: Remembered[Key, datetime] = Remembered(MOST_NAMES)
        self._deep_due: Remembered[Key, datetime] = Remembered(MOST_NAMES)

    def __call__(self, page: Page) -> Verdicts:
        """First a glance at the newest events of each name; minutes are read where that shows something, or is open,

        and every ``DEEP_LOOK`` at any rate.
        """
        verdicts = Verdicts()
        until = page.now.replace(second=0, microsecond=0)
        glances = db.glances(page.merchant_ids)
        open_now = _open_keys(page)
        for key in open_now - glances.keys():  # of this name nothing is usual any more
            verdicts.add(key[0], [_subject(key[1])])
        due = {key: seconds for key, seconds in glances.items() if self._is_due(key, until)}
        since = {
            key: until - max(LEAST_GLANCE, min(LOOK_BACK, timedelta(seconds=seconds))) for key, seconds in due.items()
        }
        newest = db.newest(since, until)
        asked = [key for key in due if key in newest or key in open_now]
        learned = db.learned(asked)
        platforms = db.platforms_of(sorted({key[0] for key in asked})) if asked else {}
        users = {key[0]: _users(platforms.get(key[0], ())) for key in asked}
        baselines = {key: NameBaseline.from_json(found) for key, found in learned.items()}
        amiss = [
            key
            for key, baseline in baselines.items()
            if key in open_now or self._is_deep(key, until) or wants_past(_cells(newest[key]), baseline, users[key[0]])
        ]
        for key in amiss:
            self._deep_due.note(key, until + DEEP_LOOK)
        past = db.past(amiss, until - LOOK_BACK, until)
        told = db.open_details(sorted({key[0] for key in open_now}))
        for key, covered in past.items():
            subject = _subject(key[1])
            _, resolved_at = page.lately.get((key[0], subject), (None, None))
            falls = [Fall.from_json(one) for one in told[key].get("identifiers", ())] if key in told else None
            view = NameView(key[1], baselines[key], _bins(covered), users[key[0]], resolved_at, falls)
            finding = judge_match_quality_drop(view, page.now)
            verdicts.add(key[0], [subject], [finding] if finding is not None else [])
        for key, seconds in due.items():
            self._due.note(key, until + max(MINUTE, min(LONGEST_REST, timedelta(seconds=seconds / GLANCE))))
        for key in open_now:
            self._due.pop(key, None)
        return verdicts

    def _is_deep(self, key: Key, until: datetime) -> bool:
        """The first ones of a process are spread out, so that not all merchants' come at once."""
        if key not in self._deep_due:
            self._deep_due.note(key, until + DEEP_LOOK * (key[0] % 20) / 20)
        return until >= self._deep_due[key]

    def _is_due(self, key: Key, until: datetime) -> bool:
        return key not in self._due or self._due[key] <= until


def _subject(event_name: str) -> Subject:
    return Subject(AlertKind.MATCH_QUALITY_DROP, None, event_name)


def _open_keys(page: Page) -> set[Key]:
    return {
        (merchant_id, subject.event_name)
        for (merchant_id, subject), (_, resolved_at) in page.lately.items()
        if subject.kind is AlertKind.MATCH_QUALITY_DROP and resolved_at is None and subject.event_name is not None
    }


def _users(platforms: Sequence[str]) -> dict[str, Sequence[str]]:
    """Identifier -> the titles of the merchant's platforms that use it; without any platform, all of them, by nobody."""
    mappers = [mapper_for(platform) for platform in platforms if platform in PLATFORMS]
    used = {name: [mapper.title for mapper in mappers if name in mapper.identifiers] for name in TRACKED}
    return {name: titles for name, titles in used.items() if titles or not mappers}


def _cells(covered: Iterable[Covered]) -> Cells:
    cells: Cells = {}
    for one in covered:
        tally(cells, one.action_source, one.host, one.facts, one.events)
    return cells


def _bins(covered: Iterable[Covered]) -> list[Bin]:
    return list(_by_minute(covered).items())


def _by_minute(covered: Iterable[Covered]) -> dict[datetime, Cells]:
    bins: dict[datetime, Cells] = {}
    for one in covered:
        tally(bins.setdefault(one.minute, {}), one.action_source, one.host, one.facts, one.events)
    return bins


# Learning ------------------------------------------------------------------------------------------------------------


def learn_coverage(merchant_id: int, until: datetime) -> None:
    """Learns what is usual for the identifiers of a merchant's busiest names. Needs an open transaction."""
    since = until - LEARN_FROM
    hours: dict[str, Mapping[datetime, Cells]] = {}
    counts: dict[str, int] = {}
    for name in names_of(merchant_id):
        covered = coverage_by_hour(merchant_id, since, until, name)
        counts[name] = sum(one.events for one in covered)
        hours[name] = _by_minute(covered)
        if len(hours) > len(kept := busiest(counts.items())):
            hours = {name: hours[name] for name in kept if name in hours}
            counts = {name: counts[name] for name in hours}
    learned: dict[str, Any] = {}
    glances: dict[str, float] = {}
    for name, found in hours.items():
        baseline = learn_name(found)
        if baseline is not None:
            learned[name] = baseline.as_json()
            glances[name] = round(GLANCE * 86400 / max(1.0, sum(baseline.per_hour)), 1)
    db.write_baselines(merchant_id, learned, glances, until)
